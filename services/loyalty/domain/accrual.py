"""Posting an accrual: into its lot, pending or available, or into its qualifying window."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from services.loyalty.domain.account import Lot
from services.loyalty.domain.calendar import IDLE, NEVER, Instant, rfc3339
from services.loyalty.domain.daily import Course
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import (
    activation_at,
    after_span,
    expiry_at,
    windows_counted,
)
from services.loyalty.domain.program import Currency, Pending
from services.loyalty.domain.receipt import Posting

SETTLED = "settled:"
"""How the name of what a lot awaits begins, where that is the end of the return window on which a
referral rests; an order's name follows.
"""


def accrue(
    draft: Draft,
    currency: str,
    points: int,
    *,
    cause: str,
    order: str = "",
    pending: Pending | None = None,
) -> tuple[list[tuple[str, int]], str]:
    """Posts an accrual into its lot, or its qualifying window; answers the lots entered and the
    window.
    """
    terms = draft.program.currency(currency)
    if terms.qualifies:
        return _accrue_qualifying(draft, terms, points, cause=cause, order=order, pending=pending)
    course = _course(draft, terms, pending)
    if course is not None:
        key = course.key
        draft.post(
            "accrual",
            currency,
            points,
            ("issuance", "pending"),
            lot_to=key,
            cause=cause,
            order=order,
        )
        draft.pour(
            currency, draft.month, course.expires_at, course.activates_at, "", points, points
        )
        return [(key, points)], ""
    activates_at, awaits = _activation(draft, pending, order)
    if not activates_at:
        expires_at = _expires_at(draft, terms, draft.occurred_at)
        key = draft.credit(
            "accrual",
            currency,
            points,
            from_bucket="issuance",
            issued=draft.month,
            expires_at=expires_at,
            cause=cause,
            order=order,
        )
        return [(key, points)], ""
    expires_at = (
        0
        if awaits and _counts_from_activation(terms)
        else _expires_at(draft, terms, _start(draft, terms, activates_at))
    )
    lot = Lot(currency, draft.month, expires_at, activates_at, awaits, points, points)
    return [(draft.accrue_pending(lot, cause=cause, order=order), points)], ""


def _course(draft: Draft, terms: Currency, pending: Pending | None) -> Course | None:
    """The course that the day gives to pending points; None where there is more to it, as on the
    instant on which the day begins, or where a late activity finds its points active or expired.
    """
    day, now = draft.earned_on, draft.effective_at
    if pending is None or draft.occurred_at == day.begins_at or day.month != draft.month:
        return None
    course = day.course(terms, pending)
    if not course.alike or course.activates_at <= now or course.expires_at <= now:
        return None
    return course


def _counts_from_activation(terms: Currency) -> bool:
    return terms.expiry is not None and terms.expiry.counted_from == "activated"


def _start(draft: Draft, terms: Currency, activates_at: Instant) -> Instant:
    return activates_at if _counts_from_activation(terms) else draft.occurred_at


def _activation(draft: Draft, pending: Pending | None, order: str) -> tuple[Instant, str]:
    """When pending points become available and what they await: (0, "") where they do so at once.

    For a lot that awaits its delivery the instant is that of its cancellation if none comes.
    """
    if pending is None:
        return 0, ""
    if pending.until_settled:
        return NEVER, f"{SETTLED}{order}"
    if pending.until_delivered:
        return max(
            after_span(draft.occurred_at, pending.cancel_after, draft.tz), draft.effective_at + 1
        ), order
    at = activation_at(pending, draft.occurred_at, draft.tz)
    return (at, "") if at > draft.effective_at else (0, "")


def _expires_at(draft: Draft, terms: Currency, start: Instant) -> Instant:
    """The end of the points' life; what is past already lives on for the currency's ``late`` span,
    if it has one.
    """
    if terms.expiry is None:
        return NEVER
    at = expiry_at(terms.expiry, start, draft.tz)
    if at <= draft.effective_at and (terms.late.months or terms.late.days):
        return after_span(draft.effective_at, terms.late, draft.tz)
    return at


def expires_when_activated(draft: Draft, currency: str, at: Instant) -> Instant:
    """The end of life of points that count it from an activation which happens now."""
    terms = draft.program.currency(currency)
    return NEVER if terms.expiry is None else expiry_at(terms.expiry, at, draft.tz)


def window_lot(currency: str, window: str) -> str:
    """The ledger's name of a qualifying window: ``status/2011-02``."""
    return f"{currency}/{window}"


def _accrue_qualifying(
    draft: Draft, terms: Currency, points: int, *, cause: str, order: str, pending: Pending | None
) -> tuple[list[tuple[str, int]], str]:
    assert terms.window is not None
    window = draft.earned_on.window(terms.window, draft.enrolled_at)
    activates_at, awaits = (
        _activation(draft, pending, order) if terms.counts == "when_activated" else (0, "")
    )
    if activates_at:
        tiers = draft.program.tiers
        beside = tiers.currencies if tiers and terms.name in tiers.currencies else (terms.name,)
        for name in beside:
            _recall(draft, name, windows_counted(terms.window.kind, terms.window.months, window))
        lot = Lot(terms.name, window, NEVER, activates_at, awaits, points, points)
        return [(draft.accrue_pending(lot, cause=cause, order=order), points)], window
    key = window_lot(terms.name, window)
    draft.post(
        "accrual",
        terms.name,
        points,
        ("issuance", "available"),
        lot_to=key,
        cause=cause,
        order=order,
    )
    count_qualifying(draft, terms.name, window, points)
    return [(key, points)], window


def _recall(draft: Draft, currency: str, windows: Sequence[str]) -> None:
    """Brings closed windows back into the working state: points that wait will enter one of them,
    and the moment at which they do reads no rows.
    """
    held = draft.windows.get(currency, {})
    for window in windows:
        key = f"window:{currency}/{window}"
        row = draft.history.get(key) or draft.facts.history.get(key)
        if row and window not in held:
            held = draft.windows.setdefault(currency, {})
            held[window] = row[1]
            draft.history[key] = [0, 0]


def count_qualifying(draft: Draft, currency: str, window: str, points: int) -> None:
    """Changes the balance of a qualifying window, wherever it is kept now; it never falls below
    zero.
    """
    held = draft.windows.setdefault(currency, {})
    key = f"window:{currency}/{window}"
    if window not in held and (key in draft.history or key in draft.facts.history):
        was = draft.history.get(key) or draft.facts.history[key]
        assert was[1] + points >= 0
        draft.history[key] = [0, was[1] + points]
        return
    total = held.get(window, 0) + points
    assert total >= 0
    held[window] = total


def accrue_whole(draft: Draft, currency: str, points: int, *, cause: str) -> Posting:
    """Posts a number of points that goes back whole or not at all, and to no order."""
    lots, window = accrue(draft, currency, points, cause=cause)
    return Posting(
        cause, currency, points, lots, [points], [0], "revoke", window=window, prorates=False
    )


def announce_accrual(
    draft: Draft, activity: str, postings: Sequence[Posting], order: str = ""
) -> None:
    """The event that says what an activity earned."""
    told = [
        told_of(posting.rule, posting.currency, posting.points, posting.lots[0][0])
        for posting in postings
    ]
    announce_told(draft, activity, told, order)


def told_of(rule: str, currency: str, points: int, lot: str) -> dict[str, Any]:
    """What that event says of one posting into a lot, or qualifying window."""
    told: dict[str, Any] = {"rule": rule, "currency": currency, "points": points}
    if not counts_already(lot):  # a window has neither end nor beginning of its own
        told.update(_life(lot))
    return told


def counts_already(lot: str) -> bool:
    """Whether points entered a qualifying window, where they count, and no lot; a name tells."""
    return lot.count("/") == 1


def announce_told(draft: Draft, activity: str, told: list[dict[str, Any]], order: str) -> None:
    """The same event, where what it says of each posting is at hand."""
    if not told:
        return
    data: dict[str, Any] = {"activity": activity, "postings": told}
    if order:
        data["order"] = order
    draft.announce("loyalty.points.accrued.v1", data)


@lru_cache(maxsize=16384)
def _life(key: str) -> dict[str, str]:
    """What a lot's name says of its points' life, for people."""
    life: dict[str, str] = {}
    parts = key.split("/", 3)
    if len(parts) > 2 and int(parts[2]) not in (0, IDLE, NEVER):
        life["expires_at"] = rfc3339(int(parts[2]))
    if len(parts) > 3:
        life["available"] = _available(parts[3])
    return life


def _available(awaits: str) -> str:
    if awaits.startswith(f"d{SETTLED}"):
        return "when the return window has ended"
    return "when delivered" if awaits.startswith("d") else rfc3339(int(awaits[1:]))
