"""Due moments: the instants at which the clock itself changes an account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from services.loyalty.domain.account import Account
from services.loyalty.domain.activity import MOMENTS, Tick
from services.loyalty.domain.calendar import NEVER, Instant, add_months, local_date, midnight
from services.loyalty.domain.periods import days_before
from services.loyalty.domain.program import Gift, Program
from services.loyalty.domain.tiers import period_end, would_fall

_RANK = {moment: rank for rank, moment in enumerate(MOMENTS)}
_ACTIVATION, _REVIEW, _GRACE, _EXPIRY, _LAPSE, _NOTICE, _WARNING, _OCCASION = (
    _RANK[name]
    for name in (
        "activation",
        "tier_review",
        "grace_end",
        "expiry",
        "lapse",
        "notice",
        "tier_warning",
        "occasion",
    )
)


class Moment(NamedTuple):
    """A due moment; the order of these values is the order in which they are decided."""

    at: Instant
    rank: int
    name: str = ""
    seq: int = 0

    @property
    def tick(self) -> Tick:
        """The Tick of this moment."""
        return Tick(MOMENTS[self.rank], self.at, self.name)


class Versions(Protocol):
    """The published versions of a programme, by the instants from which they hold."""

    def spans(self, after: Instant, until: Instant) -> Sequence[tuple[Program, Instant, Instant]]:
        """Versions with the part of ``(after, until]`` in which each holds, earliest first."""
        ...


def next_moment(
    versions: Versions, account: Account, born_on: date | None, *, after: Instant, until: Instant
) -> Moment | None:
    """The first due moment in ``(after, until]``, judged by the version that holds then; None where
    there is none.
    """
    if account.status in ("unenrolled", "stuck") and not account.waiting:
        return None
    for program, start, end in versions.spans(after, until):
        found = _first(program, account, born_on, start, end)
        if found is not None:
            return found
    return None


def _first(
    program: Program, account: Account, born_on: date | None, after: Instant, until: Instant
) -> Moment | None:
    first: Moment | None = None
    for waiting in account.waiting:
        if after < waiting.lapses_at <= until:
            first = _earlier(first, Moment(waiting.lapses_at, _LAPSE, "", waiting.seq))
    if account.status in ("unenrolled", "stuck"):
        return first
    if account.lots:
        first = _of_lots(program, account, after, until, first)
    if account.status not in ("active", "suspended"):
        return first
    if account.standing.reaches or account.standing.grace_until:
        first = _of_tier(program, account, after, until, first)
    for gift in program.gifts:
        at = _occasion(gift, program.zone, account, born_on, after)
        if after < at <= until:
            first = _earlier(first, Moment(at, _OCCASION, gift.occasion))
    return first


def _earlier(first: Moment | None, other: Moment) -> Moment:
    return other if first is None or other < first else first


def _of_lots(
    program: Program, account: Account, after: Instant, until: Instant, first: Moment | None
) -> Moment | None:
    """The first activation, expiry or notice of a lot, or ``first`` where that comes before it."""
    ends: set[tuple[str, Instant]] = set()
    limit = until if first is None else first.at
    for lot in account.lots:
        at = lot.activates_at
        if at and after < at <= limit:
            first, limit = _earlier(first, Moment(at, _ACTIVATION, lot.awaits)), at
        if 0 < lot.expires_at < NEVER:
            ends.add((lot.currency, lot.expires_at))
    for currency, end in ends:
        if after < end <= limit:
            first = _earlier(first, Moment(end, _EXPIRY))
            limit = first.at
        terms = program.currencies.get(currency)
        if terms is None or terms.expiry is None:
            continue
        for days in terms.expiry.notices:
            at = days_before(end, days, program.zone)
            if after < at <= limit:
                first = _earlier(first, Moment(at, _NOTICE))
                limit = first.at
    return first


def _of_tier(
    program: Program, account: Account, after: Instant, until: Instant, first: Moment | None
) -> Moment | None:
    """The first review, grace end or warning, or ``first`` where that comes before it."""
    standing = account.standing
    if program.tiers is None:
        return first
    if after < standing.grace_until <= until:
        first = _earlier(first, Moment(standing.grace_until, _GRACE))
    end = period_end(standing)
    if not end:
        return first
    if after < end <= until:
        first = _earlier(first, Moment(end, _REVIEW))
    for days in program.tiers.warn_days if end < NEVER else ():
        at = days_before(end, days, program.zone)
        due = after < at <= until and (first is None or at <= first.at)
        if due and would_fall(program, account):
            first = _earlier(first, Moment(at, _WARNING))
    return first


def _occasion(
    gift: Gift, tz: ZoneInfo, account: Account, born_on: date | None, after: Instant
) -> Instant:
    if gift.occasion == "anniversary":
        return next_yearly(
            local_date(account.enrolled_at, tz), gift.leap_day, gift.years, after, tz
        )
    return next_yearly(born_on, gift.leap_day, 1, after, tz) if born_on else 0


@lru_cache(maxsize=65536)
def _yearly(first: date, leap_day: str, year: int, tz: ZoneInfo) -> Instant:
    day = add_months(first, 12 * (year - first.year))
    if leap_day == "mar_1" and (first.month, first.day) == (2, 29) and day.day == 28:
        day = date(year, 3, 1)
    return midnight(day, tz)


def next_yearly(first: date, leap_day: str, years: int, after: Instant, tz: ZoneInfo) -> Instant:
    """The next anniversary of a date after an instant, every so many years; 29 February by the
    programme's rule.
    """
    year = local_date(after, tz).year
    year = max(year, first.year + years)
    year += -(year - first.year) % years
    at = _yearly(first, leap_day, year, tz)
    return at if at > after else _yearly(first, leap_day, year + years, tz)


def due_at(versions: Versions, account: Account, born_on: date | None) -> Instant | None:
    """The next due moment of an account, as its row stores it; None where nothing is due ever."""
    found = next_moment(versions, account, born_on, after=account.as_of, until=NEVER)
    return found.at if found else None
