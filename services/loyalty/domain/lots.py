"""What time does to lots: activation, its cancellation, expiry and its notice."""

from __future__ import annotations

from collections.abc import Mapping

from services.loyalty.domain.account import Idle, Lot
from services.loyalty.domain.accrual import count_qualifying, expires_when_activated, window_lot
from services.loyalty.domain.calendar import IDLE, NEVER, Instant, rfc3339
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.facts import LotTotals
from services.loyalty.domain.ledger import lot_key
from services.loyalty.domain.periods import days_before
from services.loyalty.domain.program import Program
from services.loyalty.domain.tiers import judge


def activate_due(draft: Draft, at: Instant) -> None:
    """Makes the pending lots available whose day has come."""
    due = [
        lot for lot in draft.lots if lot.activates_at and lot.activates_at <= at and not lot.awaits
    ]
    told: dict[str, int] = {}
    for lot in due:
        activate(draft, lot)
        told[lot.currency] = told.get(lot.currency, 0) + lot.points
    for currency, points in told.items():
        draft.announce("loyalty.points.activated.v1", {"currency": currency, "points": points})


def activate(draft: Draft, lot: Lot, *, order: str = "") -> str:
    """Moves one pending lot into the available one (or the qualifying window) that it becomes;
    answers its key.
    """
    remove(draft, lot)
    if draft.program.currency(lot.currency).qualifies:
        key = window_lot(lot.currency, lot.issued)
        draft.post(
            "activation",
            lot.currency,
            lot.points,
            ("pending", "available"),
            lot_from=lot.key,
            lot_to=key,
            order=order,
        )
        count_qualifying(draft, lot.currency, lot.issued, lot.points)
        judge(draft, lot.currency, credited=lot.points, window=lot.issued)
        return key
    expires_at = lot.expires_at or expires_when_activated(draft, lot.currency, draft.effective_at)
    return draft.credit(
        "activation",
        lot.currency,
        lot.points,
        from_bucket="pending",
        issued=lot.issued,
        expires_at=expires_at,
        lot_from=lot.key,
        cause="",
        order=order,
    )


def activate_awaiting(draft: Draft, awaits: str, order: str) -> dict[str, str]:
    """Makes available what awaited an event that has come, and says so; answers the new key of each
    lot by its old one.
    """
    activated: dict[str, str] = {}
    told: dict[str, int] = {}
    for lot in [lot for lot in draft.lots if lot.awaits == awaits]:
        activated[lot.key] = activate(draft, lot, order=order)
        told[lot.currency] = told.get(lot.currency, 0) + lot.points
    for currency, points in told.items():
        draft.announce(
            "loyalty.points.activated.v1",
            {"currency": currency, "points": points, "order": order},
        )
    return activated


def remove(draft: Draft, lot: Lot) -> None:
    """Takes a whole lot out of the working state; what becomes of its totals is the caller's."""
    del draft.lots[draft.find_lot(lot.key)]


def available_key(key: str) -> str:
    """The name that a pending lot has once it is available (its own, if it is)."""
    currency, issued, *rest = key.split("/", 3)
    return lot_key(currency, issued, int(rest[0])) if rest else key


def end_of(program: Program, idle: Mapping[str, Idle], lot: Lot) -> Instant:
    """The exclusive end of a lot's life: its own, or the date of its currency where that expires by
    inactivity; ``NEVER`` for none, and where the programme knows no inactivity of it any more.
    """
    if lot.expires_at != IDLE:
        return lot.expires_at
    currency = program.currency_now(lot.currency)
    held = idle.get(currency) or idle.get(lot.currency)
    return held.ends_at if held is not None and currency in program.idle else NEVER


def expire_due(draft: Draft, at: Instant) -> None:
    """Ends the points whose life is over."""
    told: dict[str, int] = {}
    for lot in [lot for lot in draft.lots if 0 < end_of(draft.program, draft.idle, lot) <= at]:
        bucket = "pending" if lot.activates_at else "available"
        draft.post("expiration", lot.currency, lot.points, (bucket, "expired"), lot_from=lot.key)
        remove(draft, lot)
        draft.add_totals(lot.key, LotTotals(taken_in=lot.taken_in, expired=lot.points))
        told[lot.currency] = told.get(lot.currency, 0) + lot.points
    for currency, points in told.items():
        draft.announce("loyalty.points.expired.v1", {"currency": currency, "points": points})


def announce_expiring(draft: Draft, at: Instant) -> None:
    """Tells a member what will expire, on the days that the programme names."""
    program = draft.program
    ending: dict[tuple[str, Instant], int] = {}
    for lot in draft.lots:
        key = program.currency_now(lot.currency), end_of(program, draft.idle, lot)
        ending[key] = ending.get(key, 0) + lot.points
    for name, currency in program.currencies.items():
        for days in currency.expiry.notices if currency.expiry else ():
            for (_, end), points in sorted(item for item in ending.items() if item[0][0] == name):
                if 0 < end < NEVER and days_before(end, days, draft.tz) == at:
                    draft.announce(
                        "loyalty.points.expiring.v1",
                        {
                            "currency": name,
                            "points": points,
                            "expires_at": rfc3339(end),
                            "days": days,
                        },
                    )
