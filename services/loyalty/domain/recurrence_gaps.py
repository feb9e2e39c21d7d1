"""Months that a recurrence skips without saying so: the 31st of each month has seven a year.

RFC 5545 leaves such months out, which is right and seldom meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import lru_cache

from services.loyalty.domain.calendar import add_months, month_text
from services.loyalty.domain.recurrence import Recurrence, days_of_year, parts_of

_FIRST = date(2001, 1, 1)
_YEARS = 28
"""The calendar's days of week and leap years begin anew after so many."""


def skipped_month(recurrence: Recurrence, first: date | None, last: date | None) -> tuple[str, str]:
    """A part of a recurrence and the first month (``2001-02``), or year, in which it has no day
    although it recurs each month or year; two empty texts for none.

    Only whole months between ``first`` and ``last`` are looked at.
    """
    anchored = recurrence.anchored(first)
    for part, text in _variants(recurrence.text):
        for month, whole_year in _expected(text, first or _FIRST, last):
            days = days_of_year(text, anchored.anchor, month.year)
            if not any(whole_year or day.month == month.month for day in days):
                return part, str(month.year) if whole_year else month_text(month)
    return "", ""


@lru_cache(maxsize=256)
def _variants(text: str) -> tuple[tuple[str, str], ...]:
    """The recurrence once for each day that it lists, because one of them can be skipped while
    another one is there; as a whole where BYSETPOS chooses among them.
    """
    parts = parts_of(text)
    listed = [name for name in ("BYMONTHDAY", "BYDAY", "BYYEARDAY") if name in parts]
    if "BYSETPOS" in parts or len(listed) != 1:
        return (("it", text),)
    [name] = listed
    others = [f"{key}={value}" for key, value in parts.items() if key != name]
    return tuple(
        (f"{name}={day}", ";".join([*others, f"{name}={day}"])) for day in parts[name].split(",")
    )


def _expected(text: str, first: date, last: date | None) -> Iterator[tuple[date, bool]]:
    """Months, or years (true), in which the recurrence should have a day, by their first day."""
    parts = parts_of(text)
    frequency, step = parts["FREQ"], int(parts.get("INTERVAL", "1"))
    named = {int(month) for month in parts.get("BYMONTH", "").split(",") if month}
    if frequency in ("DAILY", "WEEKLY") and ("BYMONTHDAY" not in parts or step > 1):
        return
    by_year = frequency == "YEARLY" and (
        "BYSETPOS" in parts or not ("BYMONTHDAY" in parts or ("BYDAY" in parts and named))
    )
    named = {1} if by_year else named
    begun = first.replace(day=1)
    for index in range(_YEARS * 12):
        month = add_months(begun, index)
        since = month.year - begun.year if frequency == "YEARLY" else index
        if since % step or (named and month.month not in named):
            continue
        end = add_months(month, 12 if by_year else 1)
        if month >= first and (last is None or end.toordinal() <= last.toordinal() + 1):
            yield month, by_year
