"""Gifts among which a member may choose, until a date."""

from __future__ import annotations

from services.loyalty.domain.account import Offer
from services.loyalty.domain.activity import GiftClaimed
from services.loyalty.domain.calendar import NEVER, Instant, rfc3339
from services.loyalty.domain.counters import take_stock
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import after_span
from services.loyalty.domain.program import Gift
from services.loyalty.domain.refusal import Refusal
from services.loyalty.domain.vouchers import give, issue


def give_rewards(draft: Draft, gift: Gift) -> list[str]:
    """Issues the rewards of a gift that there are, and offers those among which it lets choose;
    answers what was issued.
    """
    until = _window(draft, gift)
    given = give(draft, gift.rewards, how="gift", by=gift.id, occasion=gift.occasion, until=until)
    if gift.choose:
        _offer(draft, gift, until)
    return [one.reward for one in given]


def _offer(draft: Draft, gift: Gift, until: Instant) -> None:
    offer = Offer(f"g{draft.seq}-{gift.id}", gift.id, list(gift.choose), until)
    draft.offers = [*draft.offers, offer]
    draft.announce(
        "loyalty.gift.offered.v1",
        {
            "offer": offer.id,
            "gift": gift.id,
            "occasion": gift.occasion,
            "choose": offer.rewards,
            "claim_by": rfc3339(until),
        },
    )


def _window(draft: Draft, gift: Gift) -> Instant:
    """The exclusive end of the gift's window of use, ``NEVER`` where it has none."""
    if gift.claim_within is None:
        return NEVER
    return after_span(draft.effective_at, gift.claim_within, draft.tz)


def claim(draft: Draft, body: GiftClaimed) -> None:
    offer = next((offer for offer in draft.offers if offer.id == body.offer), None)
    if offer is None:
        raise Refusal("unknown_offer", offer=body.offer)
    if body.reward not in offer.rewards:
        raise Refusal("not_offered", offer=offer.id, choose=offer.rewards)
    reward = draft.program.reward_name_now(body.reward)
    if not take_stock(draft, reward, by=offer.gift):
        raise Refusal("sold_out", reward=reward)
    _close(draft, offer.id)
    issue(draft, reward, how="gift", by=offer.gift)
    draft.trace = {"offer": offer.id, "gift": offer.gift, "reward": body.reward}


def lapse(draft: Draft, offer_id: str) -> None:
    """Ends an offer that nobody claimed in time."""
    offer = next(offer for offer in draft.offers if offer.id == offer_id)
    _close(draft, offer_id)
    draft.announce("loyalty.gift.lapsed.v1", {"offer": offer.id, "gift": offer.gift})


def _close(draft: Draft, offer_id: str) -> None:
    draft.offers = [offer for offer in draft.offers if offer.id != offer_id]
