"""What time does to lots: activation, its cancellation, expiry and its notice."""

from __future__ import annotations

from services.loyalty.domain.account import Lot, lot_key
from services.loyalty.domain.accrual import count_qualifying, expires_when_activated, window_lot
from services.loyalty.domain.calendar import NEVER, Instant, rfc3339
from services.loyalty.domain.decision import LotTotals
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import days_before
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


def remove(draft: Draft, lot: Lot) -> None:
    """Takes a whole lot out of the working state; what becomes of its totals is the caller's."""
    del draft.lots[draft.find_lot(lot.key)]


def available_key(key: str) -> str:
    """The name that a pending lot has once it is available (its own, if it is)."""
    currency, issued, *rest = key.split("/", 3)
    return lot_key(currency, issued, int(rest[0])) if rest else key


def expire_due(draft: Draft, at: Instant) -> None:
    """Ends the points whose life is over."""
    told: dict[str, int] = {}
    for lot in [lot for lot in draft.lots if 0 < lot.expires_at <= at]:
        bucket = "pending" if lot.activates_at else "available"
        draft.post("expiration", lot.currency, lot.points, (bucket, "expired"), lot_from=lot.key)
        remove(draft, lot)
        draft.add_totals(lot.key, LotTotals(taken_in=lot.taken_in, expired=lot.points))
        told[lot.currency] = told.get(lot.currency, 0) + lot.points
    for currency, points in told.items():
        draft.announce("loyalty.points.expired.v1", {"currency": currency, "points": points})


def announce_expiring(draft: Draft, at: Instant) -> None:
    """Tells a member what will expire, on the days that the programme names."""
    for currency in draft.program.currencies.values():
        if currency.expiry is None:
            continue
        for days in currency.expiry.notices:
            ends = {
                lot.expires_at
                for lot in draft.lots
                if lot.currency == currency.name
                and 0 < lot.expires_at < NEVER
                and days_before(lot.expires_at, days, draft.tz) == at
            }
            for end in sorted(ends):
                points = sum(
                    lot.points
                    for lot in draft.lots
                    if lot.currency == currency.name and lot.expires_at == end
                )
                draft.announce(
                    "loyalty.points.expiring.v1",
                    {
                        "currency": currency.name,
                        "points": points,
                        "expires_at": rfc3339(end),
                        "days": days,
                    },
                )
