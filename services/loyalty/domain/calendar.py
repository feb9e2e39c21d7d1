"""Instants, and the civil calendar of the programme's time zone.

An *instant* is an ``int``: microseconds since 1970-01-01T00:00:00Z. Civil dates, months and
midnights exist only in a zone, which is read from the pinned ``tzdata`` package and never from the
machine, because the data of a zone is part of what makes a decision repeatable (IANA time zone
database).
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

Instant: TypeAlias = int

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
LONGEST_DAY: Final = 25 * HOUR
NEVER: Final = 2**62
"""Later than every instant that can occur; stands for "no end"."""

IDLE: Final = NEVER - 1
"""The end of points that live on while their member is active: later than every fixed one. When it
comes is the account's to say, see :mod:`idle`.
"""

FIRST: Final = -62_135_596_800_000_000
LAST: Final = 253_402_300_799_999_999
"""The first instant that has a date, in the year 1, and the last, in 9999."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta.resolution
QUARTER: Final = 15 * MINUTE
"""Every UTC offset since 1972 is a multiple of it: a quarter of an hour has one local date, and
only its first instant can be a midnight.
"""


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The zone of an IANA name, from the pinned ``tzdata``.

    Raises:
        KeyError: no such zone.
    """
    parts = name.split("/")
    if not name or any(part in ("", ".", "..") for part in parts):
        raise KeyError(name)
    try:
        with files("tzdata.zoneinfo").joinpath(*parts).open("rb") as data:
            return ZoneInfo.from_file(data, key=name)
    except (OSError, ValueError) as error:
        raise KeyError(name) from error


def to_datetime(at: Instant) -> datetime:
    """The instant as an aware datetime in UTC."""
    return _EPOCH + _MICROSECOND * at


def from_datetime(moment: datetime) -> Instant:
    """An aware datetime as an instant."""
    return (moment - _EPOCH) // _MICROSECOND


def rfc3339(at: Instant) -> str:
    """The instant as RFC 3339 text in UTC, without a fraction where there is none."""
    return to_datetime(at).isoformat().replace("+00:00", "Z")


@lru_cache(maxsize=65536)
def _local_date(quarter: int, tz: ZoneInfo) -> date:
    return to_datetime(quarter * QUARTER).astimezone(tz).date()


def local_date(at: Instant, tz: ZoneInfo) -> date:
    """The civil date of an instant in a zone."""
    return _local_date(at // QUARTER, tz)


@lru_cache(maxsize=65536)
def midnight(day: date, tz: ZoneInfo) -> Instant:
    """The first instant of a civil date: 00:00, or the end of the gap where clocks skip it."""
    start = from_datetime(datetime(day.year, day.month, day.day, tzinfo=tz))
    while local_date(start, tz) < day:  # 00:00 does not exist on this day
        start += QUARTER
    return start


def add_months(day: date, months: int) -> date:
    """The same day ``months`` later, or the last day of a shorter month."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def shift(at: Instant, tz: ZoneInfo, *, months: int = 0, days: int = 0) -> Instant:
    """``at`` moved by calendar months and days, at the same local wall-clock time."""
    local = to_datetime(at).astimezone(tz)
    day = add_months(local.date(), months) + timedelta(days=days)
    return from_datetime(datetime.combine(day, local.timetz()))


@lru_cache(maxsize=8192)
def month_text(day: date) -> str:
    """The month of a civil date, as ``2011-02``."""
    return f"{day.year:04d}-{day.month:02d}"
