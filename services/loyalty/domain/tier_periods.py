"""Limits per tier period: the counter of a rule's limit while a level is held.

A count runs from its first use to the end that the tier period had then. So a level that a refund
undid and a new purchase reached again meets the count of before, and reaching a level again in the
middle of its period begins no new count. Everybody's level has no end: there it counts for ever.

The key names the level and the day on which the period is over, ``vip-treat/gold@2012-03-01``. It
stays in the working state so long after that day that a late activity of the period finds it.
"""

from __future__ import annotations

from datetime import timedelta

from services.loyalty.domain.account import Standing
from services.loyalty.domain.calendar import NEVER, Instant, local_date, midnight
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import LIFETIME, ended_before
from services.loyalty.domain.tiers import period_end

PERIOD = "tier_period"


def counter_key(draft: Draft, rule: str, level: str) -> str:
    """The counter of the period in which a level was held when the activity occurred; empty for one
    that is over so long that nothing remembers what was counted in it.
    """
    running = _running(draft, f"{rule}/{level}@")
    if running:
        return running
    end = _end(draft, level)
    key = f"{rule}/{level}@{end}"
    return "" if ended_before(f"{level}@{end}", draft.today) else key


def _running(draft: Draft, prefix: str) -> str:
    """The counter of that rule and level that is first to end after the activity's day."""
    day = draft.day.isoformat()
    found = [
        key
        for key in draft.counters
        if key.startswith(prefix) and (key.endswith(LIFETIME) or key[-10:] > day)
    ]
    return min(found, default="")


def _end(draft: Draft, level: str) -> str:
    """The day on which the period is over: of a level that is held no more, the day it was left."""
    standing: Standing = draft.standing
    if level == standing.level:
        at = period_end(standing)
        at = max(at, standing.grace_until)
        if not 0 < at < NEVER:
            return LIFETIME
    else:
        at = standing.since
    return _day_after(draft, at)


def _day_after(draft: Draft, at: Instant) -> str:
    """The first day that begins at an instant or after it."""
    day = local_date(at, draft.tz)
    if midnight(day, draft.tz) < at:
        day += timedelta(days=1)
    return day.isoformat()
