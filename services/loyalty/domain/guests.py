"""Guest purchases: bought by nobody we know, under a receipt number, and claimed by a member later.

A receipt number is an account that never enrols. The purchase waits there, with what comes back of
it; a claim is decided there, so of two members who claim at once one is first. What waits then
travels to the member as derived activities, each as of when it happened, and so does whatever
reaches the receipt later. If the member's account refuses the purchase, the claim is undone.
"""

from __future__ import annotations

from services.loyalty.domain import purchases
from services.loyalty.domain.account import Guest
from services.loyalty.domain.activity import (
    Amended,
    AnyBody,
    Cancelled,
    ClaimedPurchase,
    ClaimReturned,
    Delivered,
    PurchaseClaimed,
    Purchased,
    Refunded,
)
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.decision import Derived
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import after_span
from services.loyalty.domain.refusal import Park, Refusal

CLAIM = "claim"
"""What the purchase of a guest awaits."""


# The receipt ----------------------------------------------------------------------------------


def wait_or_forward(draft: Draft, body: AnyBody, awaits: str) -> None:
    """What reaches an account that cannot decide it yet: it waits, or, where a receipt was claimed,
    goes on to the member.

    Raises:
        Park, Refusal: it waits; or it is a second purchase under one receipt number.
    """
    guest = isinstance(body, Purchased) and body.guest
    if awaits != "enrolment":
        raise Park(awaits, "awaits_tick")
    if guest and draft.account.is_receipt:
        raise Refusal("receipt_exists")
    held = draft.guest
    if held is None or not held.claimed_by:
        raise Park(CLAIM, "awaits_claim") if guest else Park(awaits, "awaits_enrolment")
    if not isinstance(body, Delivered | Amended | Cancelled | Refunded):
        raise Refusal("not_a_member")
    draft.derived.append(Derived(held.claimed_by, body, draft.occurred_at))
    draft.guest = Guest(held.claimed_by, forwarded=True)
    draft.trace["forwarded"] = True


def lapses_at(draft: Draft, awaits: str) -> Instant:
    """Until when something waits at an account that is not enrolled: what belongs to a receipt, as
    long as it may be claimed.
    """
    at = after_span(draft.effective_at, draft.program.wait, draft.tz)
    if awaits == CLAIM or draft.account.is_receipt:
        claim = after_span(draft.effective_at, draft.program.claim_within, draft.tz)
        return claim if awaits == CLAIM else max(at, claim)
    return at


def claim(draft: Draft, body: PurchaseClaimed) -> None:
    held = draft.guest
    if held is not None and held.claimed_by:
        raise Refusal("already_claimed")
    waiting = draft.facts.waiting
    bought = any(isinstance(each, Purchased) and each.guest for each, _ in waiting)
    if not bought or (held is not None and held.forwarded):
        over = held is not None or (draft.account.seq and not waiting)
        raise Refusal("claim_too_late" if over else "unknown_receipt")
    for each, occurred_at in waiting:
        sent: AnyBody = each
        if isinstance(each, Purchased):
            sent = ClaimedPurchase(each.order, body.receipt, body.by, each)
        draft.derived.append(Derived(body.by, sent, occurred_at))
    draft.guest = Guest(body.by)
    draft.trace["claimed"] = body.claim
    draft.announce("loyalty.receipt.claimed.v1", {"claim": body.claim})


def returned(draft: Draft, body: ClaimReturned) -> None:
    """The member's account refused the purchase: somebody else may claim it, while there is time,
    unless something of it has gone after the purchase already.
    """
    held = draft.guest
    if held is None or held.claimed_by != body.by:
        raise Refusal("not_claimed")
    draft.guest = Guest(forwarded=held.forwarded)
    draft.announce("loyalty.receipt.returned.v1", {"reason": body.reason})


# The member -----------------------------------------------------------------------------------


def claimed(draft: Draft, body: ClaimedPurchase) -> None:
    """A purchase of one's own, as of when it was made."""
    purchases.purchase(draft, body.purchase)


def send_back(draft: Draft, body: ClaimedPurchase, reason: str) -> None:
    """Undoes a claim that the account refuses."""
    back = ClaimReturned(body.order, body.by, reason)
    draft.derived.append(Derived(body.receipt, back))
