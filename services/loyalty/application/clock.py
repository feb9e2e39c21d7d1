"""The one Clock of a process: from the system, or from a row that only the demo's producer
advances.
"""

from __future__ import annotations

import time
from typing import Protocol

from services.loyalty.application.store import Session
from services.loyalty.domain.calendar import Instant


class Clock(Protocol):
    """Where every ``now`` of a process comes from."""

    async def now(self, session: Session) -> Instant:
        """The present instant."""
        ...


class SystemClock:
    """The machine's clock."""

    async def now(self, session: Session) -> Instant:
        """Microseconds since the epoch; ``session`` is not asked."""
        del session
        return time.time_ns() // 1_000


class RowClock:
    """The clock row of the database: time as the demo tells it.

    Raises:
        ClockNotSet: the row is missing.
    """

    async def now(self, session: Session) -> Instant:
        """The instant of the clock row."""
        at = await session.now()
        if at is None:
            raise ClockNotSet("the clock row is missing: set it, or use LOYALTY_CLOCK=system")
        return at


class FixedClock:
    """A clock that stands still until it is set; for tests and for replaying at a known instant."""

    def __init__(self, at: Instant) -> None:
        self.at = at

    async def now(self, session: Session) -> Instant:
        """The instant last set."""
        del session
        return self.at


class ClockNotSet(Exception):
    """The deployment runs on the clock row, and there is none."""
