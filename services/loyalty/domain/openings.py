"""Members who come from another system: opening balances, and what refunds and reviews will need.

What they bring along is history, so nothing of it is judged: no rule fires, no level is reached,
nothing is given. It has to be possible, because what follows rests on it.
"""

from __future__ import annotations

from typing import Any

from msgspec import structs

from services.loyalty.domain.account import Idle, Lot, Standing, with_affairs
from services.loyalty.domain.accrual import count_qualifying
from services.loyalty.domain.activity import Opening, OpeningLot, OpeningOrder
from services.loyalty.domain.calendar import NEVER, rfc3339
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.opening_mistakes import mistakes
from services.loyalty.domain.opening_places import month_of, place_of, receipt_of, waits
from services.loyalty.domain.program import Program
from services.loyalty.domain.receipt import Receipt
from services.loyalty.domain.refusal import Refusal

CAUSE = "import"
"""Cause of the entries that open a member's books."""

_TOLD = 20
"""So many mistakes are told in a refusal."""


def opening(draft: Draft, body: Opening) -> None:
    if draft.account.enrolled_at:
        raise Refusal("already_enrolled")
    if draft.account.is_receipt:
        raise Refusal("not_a_member")
    found = [*mistakes(draft.program, body, draft.effective_at)]
    if found:
        told = [{"at": ".".join(map(str, path)), "why": why} for path, why in found[:_TOLD]]
        raise Refusal("impossible_opening", mistakes=told)
    draft.status = "suspended" if body.suspended else "active"
    draft.enrolled_at = body.enrolled_at
    draft.zone = body.zone or draft.zone
    draft.purchases = body.purchases
    draft.counters = dict(body.counters)
    draft.gifts = body.gifts
    draft.standing = _standing(draft.program, body)
    draft.idle = {currency: Idle(until) for currency, until in body.idle.items()}
    if body.blocked:
        draft.affairs = with_affairs(draft.affairs, blocked=dict.fromkeys(body.blocked, CAUSE))
    for lot in body.lots:
        _open(draft, lot)
    for currency, points in body.arrears.items():
        draft.post("opening", currency, points, ("arrears", "issuance"), cause=CAUSE)
        draft.owe(currency, points)
    for order in body.orders:
        draft.receipts[order.order] = _receipt(draft, body, order)
    _tell(draft, body)


def _receipt(draft: Draft, body: Opening, order: OpeningOrder) -> Receipt:
    """The receipt of an order. Of points whose life was over nothing is taken back any more, at no
    cost to the member: how many of them had been spent before, nobody has told.
    """
    at = draft.effective_at
    receipt = receipt_of(draft.program, body, order, at)
    postings = [
        posting
        for posting, told in zip(receipt.postings, order.postings, strict=True)
        if posting.window or not 0 < told.expires_at <= at
    ]
    return structs.replace(receipt, seq=draft.seq, postings=postings)


def _open(draft: Draft, lot: OpeningLot) -> None:
    """Posts the points of a lot; those whose life has ended since the file was checked expire."""
    key = place_of(draft.program, draft.enrolled_at, lot, draft.effective_at)
    currency, points = lot.currency, lot.points
    if waits(lot, draft.effective_at):
        _, issued, *_ = key.split("/", 2)
        expires_at = NEVER if draft.program.currency(currency).qualifies else lot.expires_at
        pending = Lot(currency, issued, expires_at, lot.activates_at, lot.awaits, points, points)
        draft.accrue_pending(pending, cause=CAUSE, order="", kind="opening")
    elif draft.program.currency(currency).qualifies:
        draft.post("opening", currency, points, ("issuance", "available"), lot_to=key, cause=CAUSE)
        count_qualifying(draft, currency, key.partition("/")[2], points)
    else:
        draft.credit(
            "opening",
            currency,
            points,
            from_bucket="issuance",
            issued=month_of(draft.program, lot),
            expires_at=lot.expires_at,
            cause=CAUSE,
        )


def _tell(draft: Draft, body: Opening) -> None:
    points: dict[str, int] = {}
    for lot in body.lots:
        points[lot.currency] = points.get(lot.currency, 0) + lot.points
    told: dict[str, Any] = {"enrolled_at": rfc3339(body.enrolled_at), "points": points}
    if draft.standing.level:
        told["tier"] = draft.standing.level
    draft.trace = {"opening": points}
    draft.announce("loyalty.member.imported.v1", told)


def _standing(program: Program, body: Opening) -> Standing:
    """The standing as it was; everybody's level where nothing is said."""
    held = body.standing
    if program.tiers is None:
        return held
    level = held.level or program.tiers.levels[0].name
    return structs.replace(held, level=level, since=held.since or body.enrolled_at)
