"""Where the time of an event goes: the whole path in one process, its steps timed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from services.bench.scene import Databases, Story, Stretch, purchases
from services.loyalty.application.clock import SystemClock
from services.loyalty.application.collector import spare_the_collector
from services.loyalty.application.intake import read_event
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import record_batch
from services.loyalty.application.store import Loaded, Recording
from services.loyalty.db.connect import connected
from services.loyalty.db.session import PgSession
from services.loyalty.db.statements import Statement
from services.loyalty.domain.calendar import Instant

BATCH = 2000


class _Timed(PgSession):
    """A session that adds up where it spent its time."""

    def __init__(self, connection: Any, spent: dict[str, float]) -> None:
        super().__init__(connection)
        self._spent = spent

    async def load_accounts(self, members: Sequence[str]) -> dict[str, Loaded]:
        since = time.perf_counter()
        found = await super().load_accounts(members)
        self._spent["load accounts"] += time.perf_counter() - since
        return found

    async def lock_accounts(self, members: Iterable[str]) -> dict[str, int]:
        since = time.perf_counter()
        found = await super().lock_accounts(members)
        self._spent["lock accounts"] += time.perf_counter() - since
        return found

    async def record(self, recording: Recording) -> None:
        since = time.perf_counter()
        await super().record(recording)
        self._spent["record"] += time.perf_counter() - since

    async def _copy(self, table: str, statement: Statement, rows: Any) -> None:
        since = time.perf_counter()
        await super()._copy(table, statement, rows)
        self._spent[f"of it COPY {table}"] += time.perf_counter() - since

    async def _execute(self, statement: Statement, rows: Any) -> str:
        since = time.perf_counter()
        tag = await super()._execute(statement, rows)
        self._spent[f"of it {statement.name}"] += time.perf_counter() - since
        return tag


async def stages(databases: Databases, story: Story, begins_at: Instant) -> dict[str, float]:
    """Microseconds per event by stage."""
    spent: dict[str, float] = defaultdict(float)
    spare_the_collector()  # as every worker does
    messages = [message for _, message in purchases(story, begins_at, seed=30)]
    async with (
        databases.clone(Stretch(story, {}, 0)) as urls,
        connected(urls[1], purpose="bench") as connection,
    ):
        session, programs, clock = _Timed(connection, spent), Programs(), SystemClock()
        await programs.refresh(session)
        now = await clock.now(session)
        for first in range(0, len(messages), BATCH):
            since = time.perf_counter()
            incoming = [read_event(raw, now=now) for raw in messages[first : first + BATCH]]
            spent["read the message"] += time.perf_counter() - since
            await record_batch(session, programs, clock, incoming)
            spent["in all"] += time.perf_counter() - since
            if first == 0:
                spent.clear()  # the first batch opens plans and caches
    counted = len(messages) - BATCH
    return {
        name: round(seconds / counted * 1e6, 1)
        for name, seconds in sorted(spent.items())
        if seconds / counted * 1e6 >= 0.05
    }
