"""Rewards issued, and what becomes of the vouchers that come with them.

:func:`issue` is the one way in which a reward reaches a member: redemptions, gifts, tiers, stamps
and campaigns all call it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from services.loyalty.domain.account import OpenVoucher
from services.loyalty.domain.activity import VoucherUsed, VoucherVoided
from services.loyalty.domain.calendar import NEVER, Instant, rfc3339
from services.loyalty.domain.counters import take_stock
from services.loyalty.domain.decision import Derived, IssuedReward
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.money import decimal_text
from services.loyalty.domain.periods import after_span
from services.loyalty.domain.program import VoucherTerms
from services.loyalty.domain.reasons import Refused
from services.loyalty.domain.receipt import Given
from services.loyalty.domain.refusal import CodeNeeded, Refusal
from services.loyalty.domain.voucher import EXPIRED, OPEN, USED, VOIDED, Voucher


def give(
    draft: Draft,
    rewards: Iterable[str],
    *,
    how: str,
    by: str,
    occasion: str = "",
    until: Instant = NEVER,
) -> list[Given]:
    """Issues what there is of some rewards for which nothing is paid, and answers what that was."""
    left = [reward for reward in rewards if take_stock(draft, reward, by=by)]
    return [
        Given(
            reward,
            issue(draft, reward, how=how, by=by, occasion=occasion, until=until),
            _stock(draft, reward),
        )
        for reward in left
    ]


def _stock(draft: Draft, reward: str) -> str:
    """The counter of the stock from which a reward was taken, empty where it has no end."""
    terms = draft.program.rewards.get(reward)
    return "" if terms is None or terms.stock is None else terms.stock_key


def take_back(draft: Draft, given: Iterable[Given], reason: str) -> tuple[list[Given], list[Given]]:
    """Withdraws those vouchers of what was given that nobody has used, and puts the pieces back
    into stock; answers what was withdrawn and what the member keeps.

    A voucher that lies at an account which became part of this one is named ``v12-0@member``. It is
    withdrawn there, and counts as kept.
    """
    still_open = {held.id for held in draft.open_vouchers}
    withdrawn: list[Given] = []
    kept: list[Given] = []
    for one in given:
        voucher, _, member = one.voucher.partition("@")
        if member:  # of a merged account, which alone knows whether it was used
            draft.derived.append(Derived(member, VoucherVoided(voucher, reason)))
        if one.voucher not in still_open:
            kept.append(one)
            continue
        withdraw(draft, draft.facts.vouchers[one.voucher], reason)
        if one.stock:
            draft.grant(one.stock, -1)
        withdrawn.append(one)
    return withdrawn, kept


def issue(
    draft: Draft,
    reward: str,
    *,
    how: str,
    by: str,
    occasion: str = "",
    cost: tuple[str, int] = ("", 0),
    until: Instant = NEVER,
) -> str:
    """Issues a reward, with its voucher where it has one; answers the voucher's id or nothing.

    ``how`` and ``by`` say what gave it, as in ``gift`` and the gift's name; ``occasion`` what the
    event calls it where that is more than ``how``. ``cost`` is the currency and the points paid.
    A voucher ends by ``until`` at the latest.
    """
    told: dict[str, Any] = {"reward": reward, "by": occasion or how, how: by}
    known = draft.program.reward_now(reward)
    voucher = ""
    if known is not None and known.voucher is not None:
        made = _made(draft, reward, known.voucher, how, by, cost, until)
        voucher = made.id
        told |= {"voucher": voucher, "expires_at": rfc3339(made.expires_at)}
    draft.rewards.append(IssuedReward(reward, how, by, cost[1], voucher))
    draft.announce("loyalty.reward.issued.v1", told)
    return voucher


def _made(
    draft: Draft,
    reward: str,
    terms: VoucherTerms,
    how: str,
    by: str,
    cost: tuple[str, int],
    until: Instant,
) -> Voucher:
    place, digest = _drawn(draft)
    ends = after_span(draft.effective_at, terms.valid, draft.tz)
    voucher = Voucher(
        f"v{draft.seq}-{place}",
        reward,
        how,
        by,
        digest,
        draft.program.version,
        draft.seq,
        draft.effective_at,
        min(ends, until),
        cost[0],
        cost[1],
        terms.money,
        terms.worth,
        terms.percent,
        terms.item,
        dict(terms.terms),
    )
    draft.vouchers[voucher.id] = voucher
    draft.open_vouchers = [*draft.open_vouchers, OpenVoucher(voucher.id, voucher.expires_at)]
    return voucher


def _drawn(draft: Draft) -> tuple[int, str]:
    """The next code's place among those drawn for this decision, and its digest."""
    place, codes = draft.codes_taken, draft.facts.codes
    if place == len(codes):
        raise CodeNeeded
    draft.codes_taken += 1
    return place, codes[place]


def use(draft: Draft, body: VoucherUsed) -> None:
    voucher = _open(draft, body.voucher)
    _end(draft, voucher, USED, order=body.used_on)
    draft.announce(
        "loyalty.voucher.used.v1",
        carried(voucher) | ({"order": body.used_on} if body.used_on else {}),
    )


def void(draft: Draft, body: VoucherVoided) -> None:
    withdraw(draft, _open(draft, body.voucher), body.reason)
    draft.trace = {"actor": body.actor}


def withdraw(draft: Draft, voucher: Voucher, reason: str) -> None:
    """Voids an open voucher; what it carried is not given back here."""
    _end(draft, voucher, VOIDED, reason=reason)
    draft.announce("loyalty.voucher.voided.v1", carried(voucher) | {"reason": reason})


def expire(draft: Draft, voucher_id: str) -> None:
    """Ends a voucher whose life is over; the points that it carried stay spent."""
    voucher = _open(draft, voucher_id)
    _end(draft, voucher, EXPIRED)
    draft.announce("loyalty.voucher.expired.v1", carried(voucher))


def carried(voucher: Voucher) -> dict[str, Any]:
    """What an event says of a voucher: never its code."""
    told: dict[str, Any] = {"voucher": voucher.id, "reward": voucher.reward}
    if voucher.points:
        told |= {"currency": voucher.currency, "points": voucher.points}
    if voucher.money:
        told["worth"] = f"{decimal_text(voucher.worth, voucher.money)} {voucher.money}"
    return told


_ENDED: dict[str, Refused] = {
    USED: "voucher_used",
    EXPIRED: "voucher_expired",
    VOIDED: "voucher_voided",
}


def check_open(voucher: Voucher) -> None:
    """Raises Refusal where a voucher is no longer open: ``voucher_used`` and its like."""
    if voucher.state != OPEN:
        raise Refusal(_ENDED[voucher.state], voucher=voucher.id, since=rfc3339(voucher.ended_at))


def _open(draft: Draft, voucher_id: str) -> Voucher:
    voucher = draft.facts.voucher
    if voucher is None:
        raise Refusal("unknown_voucher", voucher=voucher_id)
    assert voucher.id == voucher_id, "the fact is of another voucher"
    check_open(voucher)
    return voucher


def _end(draft: Draft, voucher: Voucher, state: str, *, reason: str = "", order: str = "") -> None:
    draft.vouchers[voucher.id] = msgspec.structs.replace(
        voucher,
        state=state,
        ended_at=draft.effective_at,
        reason=reason,
        order=order,
        ended_seq=draft.seq,
    )
    draft.open_vouchers = [held for held in draft.open_vouchers if held.id != voucher.id]
