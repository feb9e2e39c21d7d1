"""Days by the member's own calendar: campaigns that begin and end where the member lives."""

from __future__ import annotations

from datetime import date

from services.loyalty.domain.calendar import local_date, zone
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.program import LocalDays
from services.loyalty.domain.reasons import NotFired


def unmet(draft: Draft, days: LocalDays) -> NotFired:
    """Why the day on which an activity occurred, where the member lives, is none of these; empty
    where it is one.
    """
    day = member_day(draft)
    if (days.first is not None and day < days.first) or (days.last is not None and day > days.last):
        return "not_valid_then"
    return "" if days.recurs is None or days.recurs(day) else "other_day"


def member_day(draft: Draft) -> date:
    """The civil date on which the activity occurred in the member's own time zone; in the
    programme's where none is known.
    """
    return local_date(draft.occurred_at, zone(draft.zone)) if draft.zone else draft.day
