"""Rows of CSV files that operators write: the times in them, and what is said of a bad one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from services.loyalty.domain.calendar import Instant, from_datetime, midnight

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_LAST = date(9998, 12, 31)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be taken, and why; ``file`` is its name where there are several."""

    line: int
    reason: str
    file: str = ""

    def __str__(self) -> str:
        where = f"{self.file} line" if self.file else "line"
        return f"{where} {self.line}: {self.reason}"


@lru_cache(maxsize=65536)  # the same days come again and again
def instant_of(column: str, text: str, zone: ZoneInfo, *, later: int = 0) -> Instant:
    """The instant of a time, or the beginning of a date, ``later`` days on.

    Raises:
        ValueError: it is neither.
    """
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text)
            at = midnight(day + timedelta(days=later), zone) if day <= _LAST else -1
        else:
            moment = datetime.fromisoformat(text)
            at = from_datetime(moment) if moment.tzinfo and moment.date() <= _LAST else -1
    except ValueError:
        at = -1
    if at <= 0:
        raise ValueError(
            f"{column}: write it like 2011-03-01 or 2011-03-01T09:30:00+00:00, from 1970 to 9998"
        )
    return at
