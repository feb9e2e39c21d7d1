"""What a civil day is to a programme: that which all who earn on it share, worked out once for the
thousands of activities of a day.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from services.loyalty.domain.calendar import NEVER, Instant, midnight
from services.loyalty.domain.ledger import lot_key
from services.loyalty.domain.periods import activation_at, expiry_at, period_key, window_key
from services.loyalty.domain.program import Cap, Currency, Pending, Program, Window


class Course:
    """How points go that are earned in the course of a day: they activate (0: at once) and expire,
    and ``key`` is the name of the lot that they enter, if it is that day's month which issues them.

    ``alike`` says whether it is the same whenever on the day they are earned, and for which order.
    """

    __slots__ = ("activates_at", "alike", "expires_at", "key", "pending")

    def __init__(self, day: Daily, terms: Currency, pending: Pending | None) -> None:
        self.pending = pending
        self.activates_at: Instant = 0
        self.expires_at: Instant = NEVER
        self.alike = pending is None or not (
            pending.exact or pending.until_delivered or pending.until_settled
        )
        self.key = ""
        if not self.alike:
            return
        tz, start = day.program.zone, day.begins_at + 1
        if pending is not None:
            self.activates_at = activation_at(pending, start, tz)
        if terms.expiry is not None:
            if pending is not None and terms.expiry.counted_from == "activated":
                start = self.activates_at
            self.expires_at = expiry_at(terms.expiry, start, tz)
        self.key = lot_key(terms.name, day.month, self.expires_at, self.activates_at)


class Daily:
    """A civil day of a programme's calendar. It begins at ``begins_at``, which counts as the end of
    the day before where a span is rounded up; ``month`` is its month.
    """

    __slots__ = ("begins_at", "capped", "courses", "day", "month", "program")

    def __init__(self, program: Program, day: date) -> None:
        self.program = program
        self.day = day
        self.begins_at = midnight(day, program.zone)
        self.month = period_key("month", day)
        self.courses: dict[str, list[Course]] = {}
        self.capped: dict[str, list[tuple[Cap, str]]] = {
            currency: [(cap, cap_key(cap, day)) for cap in program.caps if cap.currency == currency]
            for currency in program.capped
        }

    def window(self, terms: Window, enrolled_at: Instant) -> str:
        """The qualifying window that holds the day, for a member enrolled at an instant."""
        if terms.kind == "rolling":
            return self.month
        return window_key(terms, self.day, enrolled_at, self.program.zone)

    def course(self, terms: Currency, pending: Pending | None) -> Course:
        """The course of points of a currency that are pending on those terms."""
        known = self.courses.get(terms.name)
        if known is None:
            known = self.courses[terms.name] = []
        for course in known:
            if course.pending is pending:
                return course
        course = Course(self, terms, pending)
        known.append(course)
        return course


@lru_cache(maxsize=4096)
def daily(program: Program, day: date) -> Daily:
    """A civil day as a programme sees it."""
    return Daily(program, day)


def cap_key(cap: Cap, day: date) -> str:
    """The counter of a cap in the period that holds a civil date: ``cap:points/2011-02``. What each
    purchase has to itself is not counted.
    """
    return "" if cap.period == "purchase" else f"cap:{cap.currency}/{period_key(cap.period, day)}"
