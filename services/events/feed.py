"""What a lane reads: its consumer, the partitions that Kafka assigned to it, and their queues."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import KafkaError, OffsetOutOfRangeError, RecordTooLargeError
from aiokafka.structs import TopicPartition

from services.events import position
from services.events.halt import PositionLost
from services.events.inbox import Message, Partition, draw
from services.events.reading import Reader
from services.loyalty.domain.calendar import Instant

log = logging.getLogger(__name__)

ASK_S = 10.0
"""Seconds that a question about offsets may take."""

SLICE = 10
"""So many messages are decoded before somebody else has a turn: about half a millisecond."""


class Assignment(ConsumerRebalanceListener):  # type: ignore[misc]  # the library carries no types
    """What Kafka said last about the lane's partitions.

    aiokafka logs and swallows whatever its listener raises, so this one only counts; the lane asks
    the database by itself when it sees that the count has changed.
    """

    def __init__(self) -> None:
        self.count = 0
        self.complete = asyncio.Event()

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        del revoked
        self.count += 1
        self.complete.clear()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        del assigned
        self.count += 1
        self.complete.set()


class Feed:
    """Fetches and queues what the lane's partitions hold.

    Args:
        consumer: the lane's own, in its group.
        onlooker: one that sees where logs end with the transactions that are still open.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        onlooker: AIOKafkaConsumer,
        topics: Iterable[str],
        reader: Reader,
    ) -> None:
        self._consumer = consumer
        self._onlooker = onlooker
        self._reader = reader
        self._held_since = -1
        self.assignment = Assignment()
        self.partitions: dict[TopicPartition, Partition] = {}
        consumer.subscribe(list(topics), listener=self.assignment)

    @property
    def stale(self) -> bool:
        """Whether partitions must be taken over before anything is read."""
        return self._held_since != self.assignment.count

    def drop(self) -> None:
        """Forgets what was fetched; the partitions must be taken over again."""
        self.partitions = {}
        self._held_since = -1

    async def acquire(self, connection: Any) -> None:
        """Takes over the assigned partitions and seeks to where the database says they stand.

        Where Kafka changes its mind meanwhile, the feed stays stale.

        Raises:
            PositionLost: a position lies outside its log.
        """
        self.drop()
        count = self.assignment.count
        assigned = sorted(self._consumer.assignment())
        starts = await self._asked(self._consumer.beginning_offsets, assigned)
        ends = await self._asked(self._consumer.end_offsets, assigned)
        if not self._unchanged(count):
            return
        taken = await position.acquire(connection, starts, ends)
        if not self._unchanged(count):
            return
        for tp, partition in taken.items():
            self._consumer.seek(tp, partition.position)
        self.partitions, self._held_since = taken, count
        log.info("partitions taken: %s", " ".join(one.name for one in taken.values()) or "none")

    async def _asked(
        self, ask: Callable[..., Awaitable[dict[TopicPartition, int]]], about: list[TopicPartition]
    ) -> dict[TopicPartition, int]:
        return await asyncio.wait_for(ask(about), ASK_S) if about else {}

    def _unchanged(self, count: int) -> bool:
        return self.assignment.complete.is_set() and self.assignment.count == count

    async def fetch(self, wait_ms: int) -> None:
        """Queues what has arrived, waiting up to ``wait_ms`` for something.

        Raises:
            PositionLost: the log no longer holds our position.
        """
        try:
            records = await self._consumer.getmany(timeout_ms=wait_ms)
        except OffsetOutOfRangeError as error:
            if not self.stale:
                raise PositionLost(self._out_of_range(error)) from error
            return
        except RecordTooLargeError as error:  # aiokafka has skipped the message already
            raise PositionLost(f"a message cannot be fetched: {error}") from error
        if self.stale:
            return  # these may be somebody else's by now, or from where another position stood
        for tp, found in records.items():
            self.partitions[tp].arrived.extend(found)
        for tp, partition in self.partitions.items():
            partition.fetched_to = await self._consumer.position(tp)
            _pass_over(partition)
            partition.end = max(partition.end, self._consumer.last_stable_offset(tp) or 0)

    def decode(self, each: int, now: Instant) -> None:
        """Decodes so much that ``each`` messages of every partition can be drawn, where they are
        here.
        """
        for _ in self.decoding(each, now):
            pass

    def decoding(self, each: int, now: Instant) -> Iterator[None]:
        """The same, with a stop now and then for others to have their turn."""
        read = self._reader.read
        for partition in self.partitions.values():
            arrived, waiting = partition.arrived, partition.waiting
            while arrived and len(waiting) < each:
                for _ in range(min(SLICE, len(arrived))):
                    waiting.append(read(partition, arrived[0], now))
                    arrived.popleft()
                _pass_over(partition)
                yield

    def _out_of_range(self, error: OffsetOutOfRangeError) -> str:
        places = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
        named = [f"{tp.topic}/{tp.partition} at {offset}" for tp, offset in places.items()]
        return (
            f"the log no longer holds our position {', '.join(named)}: messages were deleted"
            " unread, or the topic was recreated. Nothing is skipped unasked; set the row in the"
            " table position to where reading shall go on"
        )

    @property
    def queued(self) -> int:
        """Messages that wait to be recorded."""
        return sum(partition.queued for partition in self.partitions.values())

    @property
    def waits_for_more(self) -> bool:
        """A partition is known to hold more, and none of it is here to be merged."""
        return any(partition.behind for partition in self.partitions.values())

    def draw(self, limit: int) -> list[Message]:
        """Takes up to ``limit`` decoded messages, merged by time."""
        return draw(self.partitions.values(), limit)

    async def read_to_the_end(self) -> list[Partition]:
        """The partitions of which nothing is left to read, by a question sent after this call.

        What a transaction holds that is not settled yet is left to read: Kafka hides it, also for a
        while after the commit was answered.
        """
        empty = {tp: one for tp, one in self.partitions.items() if one.all_recorded}
        ends = await self._asked(self._onlooker.end_offsets, list(empty))
        if self.stale:
            return []
        return [one for tp, one in empty.items() if one.fetched_to >= ends[tp]]

    async def still_ours(self) -> bool:
        """Whether Kafka takes a commit from us, which it does only from a member of the group."""
        return await self.commit(timeout_s=ASK_S)

    async def commit(self, timeout_s: float) -> bool:
        """Tells Kafka our positions, for tools that show lag; answers whether it listened."""
        positions = {
            tp: one.position
            for tp, one in self.partitions.items()
            if tp in self._consumer.assignment()
        }
        if not positions:
            return True
        try:
            await asyncio.wait_for(self._consumer.commit(positions), timeout_s)
        except (TimeoutError, KafkaError, OSError) as error:
            log.debug("offsets not committed: %s", type(error).__name__)
            return False
        return True


def _pass_over(partition: Partition) -> None:
    """Compacted records and transaction markers beyond the last record count as read with it."""
    if partition.waiting and not partition.arrived:
        partition.waiting[-1].next = partition.fetched_to
