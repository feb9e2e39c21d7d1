"""A lane: one consumer, one connection of its own, one batch in flight.

Reading, deciding and recording follow each other in one task, so nothing here is shared; only while
the database works, what is next is decoded already and, where the lane lags, decided as far as it
does not hang on what is being recorded. Kafka says which partitions the lane should read; what it
may record, the database alone says (:mod:`~services.events.position`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer

from services.events.broker import Kafka, one_line, started
from services.events.database import Database, closed
from services.events.feed import Feed
from services.events.halt import Fenced, Halted
from services.events.inbox import Partition
from services.events.outbox import oldest_derived
from services.events.pace import Pace
from services.events.position import Advance, advance
from services.events.reading import Reader
from services.events.recording import Drawn, Recorder, Tally
from services.events.stopping import pause, unless_stopped
from services.events.topics import DERIVED, INPUTS
from services.events.waits import in_waits
from services.events.watermark import check_history, ended_incarnations
from services.events.zombies import end_zombies
from services.loyalty.application.clock import Clock
from services.loyalty.application.intake import LIMITS, Limits
from services.loyalty.application.programs import Programs
from services.loyalty.domain.calendar import NEVER, Instant

log = logging.getLogger(__name__)

WAIT_MS = 250
PATIENCE_S = 0.1
"""How long a batch waits for a partition known to hold more, so that it is merged by time."""

FRESH_S = 1.0
"""What was decided ahead longer ago than this, in seconds, is decided anew: it says of itself that
it was recorded when it was read.
"""

IDLE_S = 1.0
COMMIT_S = 5.0
RETRY_S = (0.1, 0.5, 1.0, 2.0, 5.0)


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """How a worker works.

    Attributes:
        group: the consumer group.
        lanes: consumers with a connection and a batch in flight each.
        batch_size: the most messages that one transaction records.
        breaker: dead letters in a row on one partition after which the worker stops.
        idle_s: how often partitions that hold nothing new are noted as read, in seconds.
        limits: how far an event's time may lie from the clock.
    """

    group: str = "loyalty"
    lanes: int = 2
    batch_size: int = 2000
    breaker: int = 100
    idle_s: float = IDLE_S
    limits: Limits = LIMITS
    topics: tuple[str, ...] = INPUTS


class Lane:
    """One of a worker's lanes; ``recorded`` is called after every batch."""

    def __init__(
        self,
        name: str,
        kafka: Kafka,
        database: Database,
        programs: Programs,
        clock: Clock,
        options: WorkerOptions,
        tally: Tally,
        recorded: Callable[[], None],
    ) -> None:
        self._name = name
        self._kafka = kafka
        self._database = database
        self._programs = programs
        self._clock = clock
        self._options = options
        self._tally = tally
        self._recorded = recorded
        self._pace = Pace(options.batch_size)
        self._reader = Reader(options.limits)

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop``; waits without moving while the world is broken.

        Raises:
            Halted: only a person can help.
        """
        consumer = self._kafka.group_consumer(self._options.group, self._name)
        onlooker = self._kafka.reader(committed=False)
        async with started(self._kafka, consumer), started(self._kafka, onlooker):
            await self._topics_exist(consumer, stop)
            feed = Feed(consumer, onlooker, self._options.topics, self._reader)
            await self._keep_working(feed, stop)

    async def _topics_exist(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        """Waits for missing topics: a group that joins without them looks again only much later."""
        said = 0.0
        while missing := set(self._options.topics) - await consumer.topics():
            if time.monotonic() > said:
                said = time.monotonic() + 10
                log.warning("lane %s waits for topics: %s", self._name, ", ".join(sorted(missing)))
            await pause(stop, 0.2)
            if stop.is_set():
                return

    async def _keep_working(self, feed: Feed, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            before = self._tally.batches
            try:
                await self._work(feed, stop)
            except Halted:
                raise
            except Fenced as fenced:
                log.info("lane %s fenced: %s", self._name, fenced)
                await unless_stopped(stop, self._back_in_the_group(feed))
            except Exception as error:
                failures = 0 if self._tally.batches > before else failures + 1
                seconds = RETRY_S[min(failures, len(RETRY_S) - 1)]
                log.warning(
                    "lane %s waits %.1f s: %s: %s",
                    self._name,
                    seconds,
                    type(error).__name__,
                    one_line(error),
                )
                await pause(stop, seconds)
        await feed.commit(timeout_s=1.0)

    async def _back_in_the_group(self, feed: Feed) -> None:
        """Waits for Kafka where that put us out: taking over now would fence our successor."""
        count = feed.assignment.count
        if await feed.still_ours():
            return
        for _ in range(100):
            if feed.assignment.count != count and feed.assignment.complete.is_set():
                return
            await asyncio.sleep(0.1)

    async def _work(self, feed: Feed, stop: asyncio.Event) -> None:
        """Works on one connection until ``stop``.

        Raises:
            Exception: the connection, or what was done on it, is of no more use.
        """
        feed.drop()
        async with closed(await self._database.open(f"worker {self._name}")) as connection:
            await check_history(self._kafka, connection)
            self._reader.last_batches = await ended_incarnations(connection)
            session = self._database.session(connection)
            recorder = Recorder(
                connection,
                session,
                self._programs,
                self._clock,
                self._options.breaker,
                self._pace,
                self._tally,
            )
            shift = _Shift(feed, connection, recorder, self._options)
            try:
                await self._take_turns(shift, stop)
            except asyncpg.LockNotAvailableError:
                if ended := await end_zombies(connection):
                    log.warning("lane %s ended sessions that hold rows: %s", self._name, ended)
                raise

    async def _take_turns(self, shift: _Shift, stop: asyncio.Event) -> None:
        while not stop.is_set():
            if shift.stale:
                await unless_stopped(stop, shift.take_over())
            elif await unless_stopped(stop, shift.read()) and await shift.record():
                self._recorded()


class _Shift:
    """The lane's work on one connection."""

    def __init__(
        self, feed: Feed, connection: Any, recorder: Recorder, options: WorkerOptions
    ) -> None:
        self._feed = feed
        self._connection = connection
        self._recorder = recorder
        self._idle_s = options.idle_s
        self._note_idle_at = self._commit_at = 0.0
        self._patient_until = 0.0
        self._next: Drawn | None = None
        self._fresh_until = 0.0

    @property
    def stale(self) -> bool:
        return self._feed.stale

    async def take_over(self) -> None:
        self._next = None
        await self._feed.assignment.complete.wait()
        await self._feed.acquire(self._connection)

    async def read(self) -> bool:
        """Fetches, and answers whether there is a batch to record."""
        feed = self._feed
        queued = feed.queued
        if queued < 4 * self._recorder.pace.size:
            await feed.fetch(self._wait_ms(queued))
        if feed.stale:
            return False
        await self._note_idle()
        return self._next is not None or (bool(feed.queued) and not self._had_better_wait())

    def _wait_ms(self, queued: int) -> int:
        if self._next is not None:
            return 0
        if not queued:
            return WAIT_MS
        return 20 if self._feed.waits_for_more else 0

    def _had_better_wait(self) -> bool:
        """Whether more is about to come with which the next batch is to be merged by time."""
        if not self._feed.waits_for_more:
            return False
        if not self._patient_until:
            self._patient_until = time.monotonic() + PATIENCE_S
        return time.monotonic() < self._patient_until

    async def record(self) -> bool:
        """Records one batch; answers whether there was one."""
        self._patient_until = 0.0
        feed, recorder = self._feed, self._recorder
        now, size = await self._now(), recorder.pace.size
        batch, self._next = self._next, None
        if batch is None:
            batch = self._draw(size, now)
        elif time.monotonic() > self._fresh_until:
            batch.attempt = None
        if batch is None:
            return False
        async with in_waits(feed.decoding(size, now)):
            await recorder.prepare(batch)
        following = await self._read_ahead(batch, size, now)
        async with in_waits(chain(following.turns if following else (), feed.decoding(size, now))):
            await recorder.record(batch, now)
        self._next = following
        if time.monotonic() >= self._commit_at:
            self._commit_at = time.monotonic() + COMMIT_S
            await feed.commit(timeout_s=1.0)
        return True

    def _draw(self, size: int, now: Instant) -> Drawn | None:
        self._feed.decode(size, now)
        messages = self._feed.draw(size)
        return self._recorder.drawn(messages) if messages else None

    async def _read_ahead(self, batch: Drawn, size: int, now: Instant) -> Drawn | None:
        """The batch after one that is about to be recorded, where a whole one is here already."""
        feed = self._feed
        if batch.attempt is None or feed.queued < size or feed.waits_for_more:
            return None
        following = self._draw(size, now)
        if following is not None:
            self._fresh_until = time.monotonic() + FRESH_S
            async with in_waits(feed.decoding(size, now)):
                await self._recorder.read_ahead(following, batch, now)
        return following

    async def _now(self) -> Instant:
        return await self._recorder.clock.now(self._recorder.session)

    async def _note_idle(self) -> None:
        """Writes of partitions without news that they were read up to the moment of asking.

        What the relay has not yet sent on does not lie in Kafka, so the partitions of derived
        activities are read no further than the oldest of it, be it decided and not yet recorded.
        """
        if time.monotonic() < self._note_idle_at:
            return
        self._note_idle_at = time.monotonic() + self._idle_s
        now = await self._now()
        unsent = await oldest_derived(self._connection) or NEVER
        if self._next is not None:
            unsent = min(unsent, self._next.read_at)
        ended = await self._feed.read_to_the_end()
        moved = [
            Advance(one, one.fetched_to, up_to, one.dead_in_a_row)
            for one in ended
            if (up_to := _read_to(one, now, unsent)) > one.read_to or one.fetched_to > one.position
        ]
        if moved:
            await advance(self._connection, moved)
            for one in moved:
                one.settle()


def _read_to(partition: Partition, now: Instant, unsent: Instant) -> Instant:
    return min(now, unsent) if partition.topic == DERIVED else now
