"""Periods: the keys under which limits, caps and qualifying windows count, in the programme's civil
calendar.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from services.loyalty.domain.calendar import (
    IDLE,
    NEVER,
    QUARTER,
    Instant,
    add_months,
    local_date,
    midnight,
    shift,
)
from services.loyalty.domain.program import Expiry, Pending, Span, Window

LIFETIME = "life"

REMEMBERED = timedelta(days=366)
"""So long after its end a tier period's count is kept at hand, for late activities."""


@lru_cache(maxsize=65536)
def _key(period: str, day: date) -> str:
    if period == "day":
        return day.isoformat()
    if period == "week":  # ISO 8601 weeks begin on Monday
        year, week, _ = day.isocalendar()
        return f"{year:04d}-W{week:02d}"
    if period == "month":
        return f"{day.year:04d}-{day.month:02d}"
    return f"{day.year:04d}" if period == "year" else LIFETIME


def period_key(period: str, day: date) -> str:
    """The key of the ``day``, ``week``, ``month``, ``year`` or ``lifetime`` that holds a civil
    date.
    """
    return _key(period, day)


@lru_cache(maxsize=65536)
def ended_before(key: str, day: date) -> bool:
    """Whether the period of a key is over on a civil date; a tier period (``gold@2012-03-01``) once
    it has been over for a year.
    """
    if key == LIFETIME:
        return False
    _, found, end = key.partition("@")
    if found:
        return end != LIFETIME and date.fromisoformat(end) + REMEMBERED <= day
    for period in ("day", "week", "month", "year"):
        current = _key(period, day)
        if len(current) == len(key) and ("W" in current) == ("W" in key):
            return key < current
    return False


def period_after(key: str) -> str:
    """The week or month that follows the one of a key."""
    if "W" in key:
        return _key("week", _first_day(key) + timedelta(days=7))
    return _key("month", add_months(_first_day(key), 1))


def period_end(key: str, tz: ZoneInfo) -> Instant:
    """The exclusive end of the week or month of a key."""
    return midnight(_first_day(period_after(key)), tz)


def _first_day(key: str) -> date:
    year, found, week = key.partition("-W")
    return (
        date.fromisocalendar(int(year), int(week), 1) if found else date.fromisoformat(f"{key}-01")
    )


def window_key(window: Window, day: date, enrolled_at: Instant, tz: ZoneInfo) -> str:
    """The window that holds a civil date: its month (the last one of a rolling window), its
    calendar year, or the first day of the member's year (which begins on the anniversary of the
    enrolment; 29 February counts as the 28th in common years).
    """
    if window.kind == "rolling":
        return _key("month", day)
    if window.kind == "calendar_year":
        return _key("year", day)
    return _member_year(day, local_date(enrolled_at, tz)).isoformat()


@lru_cache(maxsize=16384)
def _member_year(day: date, enrolled_on: date) -> date:
    start = add_months(enrolled_on, 12 * (day.year - enrolled_on.year))
    return (
        start if start <= day else add_months(enrolled_on, 12 * (day.year - enrolled_on.year - 1))
    )


@lru_cache(maxsize=4096)
def windows_counted(kind: str, months: int, key: str) -> tuple[str, ...]:
    """The keys whose points a window sums: ``months`` months back from its last one if rolling,
    else just itself.
    """
    if kind != "rolling":
        return (key,)
    last = date.fromisoformat(f"{key}-01")
    return tuple(_key("month", add_months(last, -back)) for back in range(months))


def window_end(window: Window, key: str, tz: ZoneInfo, *, later: int = 0) -> Instant:
    """The exclusive end of a calendar or member year (or of the month of a rolling window),
    ``later`` windows on.
    """
    if window.kind == "rolling":
        return midnight(add_months(date.fromisoformat(f"{key}-01"), 1 + later), tz)
    if window.kind == "calendar_year":
        return midnight(date(int(key) + 1 + later, 1, 1), tz)
    return midnight(add_months(date.fromisoformat(key), 12 * (1 + later)), tz)


def after_span(at: Instant, span: Span, tz: ZoneInfo) -> Instant:
    """The local midnight at which a span from ``at`` is over: rounded up, so that nothing ends
    early.
    """
    return _after(at // QUARTER, at % QUARTER == 0, span.months, span.days, tz)


@lru_cache(maxsize=65536)
def _after(quarter: int, on_quarter: bool, months: int, days: int, tz: ZoneInfo) -> Instant:
    day, on_midnight = _day_of_quarter(quarter, on_quarter, tz)
    return _rounded(day, on_midnight, months, days, tz)


def _day_of_quarter(quarter: int, on_quarter: bool, tz: ZoneInfo) -> tuple[date, bool]:
    """The civil date of an instant in a quarter of an hour (or on its first instant), and whether
    the instant is the midnight that begins it. All instants between two quarters are alike.
    """
    at = quarter * QUARTER
    day = local_date(at, tz)
    return day, on_quarter and midnight(day, tz) == at


def _rounded(day: date, on_midnight: bool, months: int, days: int, tz: ZoneInfo) -> Instant:
    end = add_months(day, months) + timedelta(days=days + (0 if on_midnight else 1))
    return midnight(end, tz)


def activation_at(pending: Pending, earned_at: Instant, tz: ZoneInfo) -> Instant:
    """When points that are pending for a span, or until a day, become available."""
    if pending.until_at:
        return pending.until_at
    if pending.exact:
        return shift(earned_at, tz, months=pending.span.months, days=pending.span.days)
    return after_span(earned_at, pending.span, tz)


def expiry_at(expiry: Expiry, counted_from: Instant, tz: ZoneInfo) -> Instant:
    """The exclusive end of points whose life is counted from an instant."""
    if expiry.moved_by:
        return IDLE
    return _ends(expiry, counted_from, tz)


def idle_at(expiry: Expiry, active_at: Instant, tz: ZoneInfo) -> Instant:
    """The exclusive end of points that live for a span after an activity."""
    return _ends(expiry, active_at, tz)


def _ends(expiry: Expiry, counted_from: Instant, tz: ZoneInfo) -> Instant:
    after = expiry.after
    on_quarter = counted_from % QUARTER == 0
    return _end_of(counted_from // QUARTER, on_quarter, after.months, after.days, expiry.at, tz)


@lru_cache(maxsize=65536)
def _end_of(
    quarter: int, on_quarter: bool, months: int, days: int, at: str, tz: ZoneInfo
) -> Instant:
    day, on_midnight = _day_of_quarter(quarter, on_quarter, tz)
    if at == "exact":
        return _rounded(day, on_midnight, months, days, tz)
    last = add_months(day, months) + timedelta(days=days)
    if at == "end_of_year":
        return midnight(date(last.year + 1, 1, 1), tz)
    if at == "end_of_month":
        return midnight(add_months(last.replace(day=1), 1), tz)
    return _after_day(at, last, tz)


def _after_day(at: str, last: date, tz: ZoneInfo) -> Instant:
    """The end of the first such day of a year that is not before a date (29 February is the 28th in
    common years), or of the one day: what comes after that one has no end.
    """
    if len(at) > len("03-31"):
        only = date.fromisoformat(at)
        return midnight(only + timedelta(days=1), tz) if last <= only else NEVER
    fixed = (_day_of(at, year) for year in (last.year, last.year + 1))
    return midnight(next(day for day in fixed if day >= last) + timedelta(days=1), tz)


def _day_of(at: str, year: int) -> date:
    leap = date.fromisoformat(f"2000-{at}")  # a leap year
    return add_months(leap, 12 * (year - 2000))


@lru_cache(maxsize=65536)
def days_before(at: Instant, days: int, tz: ZoneInfo) -> Instant:
    """The local midnight so many days before the civil date of an instant."""
    return midnight(local_date(at, tz) - timedelta(days=days), tz)
