"""Days that recur, such as a VIP day each month: the part of RFC 5545 that chooses whole days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

from dateutil.rrule import rrule, rrulestr

from services.loyalty.domain.mistakes import Misread, one_of

_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_PARTS = (
    "FREQ", "INTERVAL", "BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYDAY", "BYSETPOS",
    "WKST",
)  # fmt: skip
_REMEDIES = {
    "COUNT": "Say when it ends with 'valid'",
    "UNTIL": "Say when it ends with 'valid'",
    "DTSTART": "Say when it begins with 'valid'",
    "BYHOUR": "Days are chosen whole, in the programme's time zone",
    "BYMINUTE": "Days are chosen whole, in the programme's time zone",
    "BYSECOND": "Days are chosen whole, in the programme's time zone",
}
_VALUE = re.compile(r"[A-Z0-9,+-]+", re.ASCII)
_INTERVAL = re.compile(r"[1-9][0-9]?", re.ASCII)
_CHOOSES_A_DAY = {
    "DAILY": frozenset(_PARTS),
    "WEEKLY": frozenset({"BYDAY"}),
    "MONTHLY": frozenset({"BYDAY", "BYMONTHDAY"}),
    "YEARLY": frozenset({"BYDAY", "BYMONTHDAY", "BYYEARDAY"}),
}
_WRITE_LIKE = "Write it like FREQ=MONTHLY;BYMONTHDAY=8 or FREQ=WEEKLY;BYDAY=TU"
_Y2K = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Recurrence:
    """Says of a civil date whether the rule chooses it: ``recurrence(date(2011, 3, 8))``.

    ``anchor`` is where intervals are counted from; without an interval it changes nothing.
    """

    text: str
    anchor: date | None = None

    def __call__(self, day: date) -> bool:
        return day in days_of_year(self.text, self.anchor, day.year)

    @property
    def has_interval(self) -> bool:
        """Whether it counts every second, third … period, so that it needs a day to count from."""
        return parts_of(self.text).get("INTERVAL", "1") != "1"

    def anchored(self, anchor: date | None) -> Recurrence:
        """The same rule with its intervals counted from ``anchor``."""
        return Recurrence(self.text, anchor) if self.has_interval else self


def read_recurrence(text: str) -> Recurrence:
    """A recurrence of whole days, which can be told for any date without knowing where it began.

    Raises:
        Misread: not RFC 5545, not about days, open in the day it means, or never happening.
    """
    parts = parts_of(text)
    _check_parts(parts)
    recurrence = Recurrence(text)
    try:
        first = next(iter(_rule(text, _Y2K)), None)
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise Misread(f"{text!r} is not a recurrence (RFC 5545): {error}", _WRITE_LIKE) from None
    if first is None:
        raise Misread(f"{text!r} never happens", "Choose days that exist")
    return recurrence


def parts_of(text: str) -> dict[str, str]:
    """The parts of a recurrence: ``{"FREQ": "MONTHLY", "BYMONTHDAY": "8"}``.

    Raises:
        Misread: it does not consist of such.
    """
    pairs = [part.partition("=") for part in text.split(";")]
    parts = {name: value for name, _, value in pairs}
    if len(parts) != len(pairs) or not all(map(_VALUE.fullmatch, parts.values())):
        raise Misread(f"{text!r} is not a recurrence (RFC 5545)", _WRITE_LIKE)
    return parts


def _check_parts(parts: dict[str, str]) -> None:
    for name in parts:
        if name not in _PARTS:
            raise Misread(
                f"{name!r} is not a part that chooses days",
                _REMEDIES.get(name) or one_of(_PARTS, name),
            )
    frequency = parts.get("FREQ", "")
    if frequency not in _FREQUENCIES:
        raise Misread(f"FREQ is {frequency!r}", one_of(_FREQUENCIES, frequency))
    if not _INTERVAL.fullmatch(interval := parts.get("INTERVAL", "1")):
        raise Misread(f"INTERVAL is {interval!r}", "Write a whole number from 1 to 99")
    if not _CHOOSES_A_DAY[frequency] & parts.keys():
        needed = " or ".join(sorted(_CHOOSES_A_DAY[frequency]))
        raise Misread(f"{frequency} alone does not say which day", f"Add {needed}")


@lru_cache(maxsize=1024)
def days_of_year(text: str, anchor: date | None, year: int) -> frozenset[date]:
    """The days of one year that a recurrence chooses, counted from the year before: a week across
    New Year is whole.
    """
    start = anchor or date(max(year - 1, 1), 1, 1)
    begins = datetime(start.year, start.month, start.day, tzinfo=UTC)
    first, last = datetime(year, 1, 1, tzinfo=UTC), datetime(year, 12, 31, tzinfo=UTC)
    found: set[date] = set()
    for moment in _rule(text, begins):
        if moment > last:
            break
        if moment >= first:
            found.add(moment.date())
    return frozenset(found)


def _rule(text: str, begins: datetime) -> rrule:
    rule = rrulestr(text, dtstart=begins)
    assert isinstance(rule, rrule), text
    return rule
