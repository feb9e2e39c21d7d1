"""The scheduler: decides due moments of accounts to which nothing else happens.

It does not run ahead of the inputs: what occurred before a moment shall be decided before it, so it
ticks up to where all partitions were read, or as far as the longest wait allows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from services.events import dead_letters, outbox
from services.events.broker import Kafka, one_line
from services.events.database import Database, closed
from services.events.halt import Halted
from services.events.stopping import GRACE_S, pause, unless_stopped
from services.events.watermark import check_history
from services.loyalty.application.clock import Clock
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import catch_up_due
from services.loyalty.domain.calendar import Instant, from_datetime

log = logging.getLogger(__name__)

LIMIT = 200
"""Accounts of one transaction: they stay locked while it lasts."""

EVERY_S = 1.0
RETRY_S = (0.5, 1.0, 2.0, 5.0)
TIDY_S = 3600.0

Checkpointer = Callable[[Any, Instant], Awaitable[None]]


class Scheduler:
    """Ticks due accounts. Any number may run side by side.

    Args:
        tick_wait: how long due moments wait at most for inputs that lag behind the clock.
        keep_bodies: how long dead letters keep their original bytes.
        every_s: seconds between two looks.
        wake: set by whoever wants a look at once.
        checkpoint: called every hour with the connection and the instant, to make one of the day.
    """

    def __init__(  # noqa: PLR0913  all but four are named and have a default
        self,
        kafka: Kafka,
        database: Database,
        programs: Programs,
        clock: Clock,
        *,
        tick_wait: timedelta = timedelta(minutes=15),
        keep_bodies: timedelta = timedelta(days=30),
        every_s: float = EVERY_S,
        wake: asyncio.Event | None = None,
        checkpoint: Checkpointer | None = None,
    ) -> None:
        self._kafka = kafka
        self._database = database
        self._programs = programs
        self._clock = clock
        self._tick_wait = tick_wait // timedelta(microseconds=1)
        self._keep_bodies = keep_bodies // timedelta(microseconds=1)
        self._every_s = every_s
        self._wake = wake or asyncio.Event()
        self._checkpoint = checkpoint
        self.visited = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Ticks until ``stop``; waits while the database cannot be reached.

        Raises:
            Halted: only a person can help.
        """
        failures = 0
        while not stop.is_set():
            try:
                await unless_stopped(stop, self._serve(stop), grace_s=GRACE_S)
            except Halted:
                raise
            except Exception as error:
                log.warning("scheduler begins again: %s: %s", type(error).__name__, one_line(error))
                await pause(stop, RETRY_S[min(failures, len(RETRY_S) - 1)])
                failures += 1
        log.info("scheduler stopped: visited=%d", self.visited)

    async def _serve(self, stop: asyncio.Event) -> None:
        async with closed(await self._database.open("schedule")) as connection:
            await check_history(self._kafka, connection)
            clock = asyncio.get_running_loop().time
            tidy_at = clock()
            while not stop.is_set():
                self._wake.clear()
                await self.look(connection, stop)
                if clock() >= tidy_at:
                    tidy_at = clock() + TIDY_S
                    await self.tidy(connection)
                await pause(stop, self._every_s, wake=self._wake)

    async def look(self, connection: Any, stop: asyncio.Event | None = None) -> int:
        """Decides all moments due by the horizon; answers how many accounts were visited."""
        session = self._database.session(connection)
        until = await horizon(connection, await self._clock.now(session), self._tick_wait)
        total = 0
        while stop is None or not stop.is_set():
            visited = await catch_up_due(
                session, self._programs, self._clock, until=until, limit=LIMIT
            )
            total += visited
            if visited < LIMIT:
                break
        self.visited += total
        if total:
            log.info("ticked: accounts=%d", total)
        return total

    async def tidy(self, connection: Any) -> None:
        """What is to be done now and then."""
        now = await self._clock.now(self._database.session(connection))
        await dead_letters.forget_bodies(connection, before=now - self._keep_bodies)
        if self._checkpoint:
            await self._checkpoint(connection, now)


async def horizon(connection: Any, now: Instant, tick_wait: Instant) -> Instant:
    """Up to when due moments may be decided at ``now``.

    The least time up to which any partition was read, and of what is still on its way from one
    account to another; or ``tick_wait`` (microseconds) before now, where that is later. A partition
    that nobody has read yet may hold anything.
    """
    unsent = await outbox.oldest_derived(connection)
    read_to, unread = await connection.fetchrow(
        "SELECT min(read_to), coalesce(bool_or(read_to IS NULL), true) FROM position"
    )
    latest = now - tick_wait
    if unread:
        return latest
    reached = from_datetime(read_to)
    if unsent is not None:
        reached = min(reached, unsent)
    return min(now, max(latest, reached))
