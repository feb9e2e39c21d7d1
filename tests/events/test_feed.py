"""What a lane makes of a consumer's moods, told by a consumer that has them at will."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import OffsetOutOfRangeError, RecordTooLargeError
from aiokafka.structs import TopicPartition

from services.events.feed import SLICE, Feed
from services.events.halt import PositionLost
from services.events.inbox import Partition
from services.events.position import Advance
from services.events.reading import Reader
from services.events.topics import PURCHASES
from services.events.waits import in_waits
from tests.events.messages import NOW, purchased

PLACE = TopicPartition(PURCHASES, 0)


class Record:
    def __init__(self, offset: int, value: bytes) -> None:
        self.topic, self.partition, self.offset = PURCHASES, 0, offset
        self.key, self.value = b"m1", value


class Consumer:
    """Answers ``getmany`` with what was put on, or raises it."""

    def __init__(self) -> None:
        self.next: Any = {}
        self.at = 0
        self.stable = 0

    def subscribe(self, topics: list[str], listener: Any) -> None:
        self.listener = listener

    async def getmany(self, timeout_ms: int) -> Any:
        if isinstance(self.next, Exception):
            raise self.next
        return self.next

    async def position(self, tp: TopicPartition) -> int:
        return self.at

    def last_stable_offset(self, tp: TopicPartition) -> int:
        return self.stable


def feed_of(consumer: Consumer) -> Feed:
    """A feed that holds one partition, as after a take-over."""
    feed = Feed(consumer, consumer, [PURCHASES], Reader())
    feed.assignment.on_partitions_assigned([PLACE])
    feed.partitions = {PLACE: Partition(PURCHASES, 0, 1, 0, 0, 0, fetched_to=0, end=0)}
    feed._held_since = feed.assignment.count
    return feed


async def test_a_log_that_no_longer_holds_our_position_stops_the_worker() -> None:
    consumer = Consumer()
    feed = feed_of(consumer)
    consumer.next = OffsetOutOfRangeError({PLACE: 17})
    with pytest.raises(PositionLost, match=r"commerce\.purchases/0 at 17"):
        await feed.fetch(0)


async def test_a_message_that_the_client_skips_stops_the_worker() -> None:
    consumer = Consumer()
    feed = feed_of(consumer)
    consumer.next = RecordTooLargeError("too large")
    with pytest.raises(PositionLost):
        await feed.fetch(0)


async def test_while_partitions_change_hands_errors_and_records_are_of_no_account() -> None:
    consumer = Consumer()
    feed = feed_of(consumer)
    consumer.listener.on_partitions_revoked([PLACE])
    consumer.next = OffsetOutOfRangeError({PLACE: 17})
    await feed.fetch(0)
    consumer.next = {PLACE: [Record(0, purchased("m1", "o1"))]}
    await feed.fetch(0)
    assert feed.queued == 0
    assert feed.stale


async def test_the_position_goes_beyond_markers_that_follow_the_last_record() -> None:
    consumer = Consumer()
    feed = feed_of(consumer)
    consumer.next, consumer.at, consumer.stable = {PLACE: [Record(3, purchased("m1", "o1"))]}, 5, 9
    await feed.fetch(0)
    feed.decode(10, NOW)
    (message,) = feed.draw(10)
    assert (message.offset, message.next) == (3, 5)
    assert feed.waits_for_more, "the log is known to hold more"


async def test_markers_that_come_alone_are_passed_over_too() -> None:
    consumer = Consumer()
    feed = feed_of(consumer)
    consumer.at = 2
    await feed.fetch(0)
    assert feed.partitions[PLACE].fetched_to == 2
    assert not feed.queued


async def test_what_is_next_is_decoded_while_the_lane_waits_for_something_else() -> None:
    consumer = Consumer()
    feed = feed_of(consumer)
    partition = feed.partitions[PLACE]
    count = 3 * SLICE
    consumer.next = {PLACE: [Record(n, purchased("m1", f"o{n}")) for n in range(count)]}
    consumer.at = count + 1
    await feed.fetch(0)
    feed.decode(1, NOW)
    assert [message.next for message in feed.draw(2)] == [1, 2]
    assert len(partition.arrived) == count - SLICE
    async with in_waits(feed.decoding(count, NOW)):
        for _ in range(4):
            await asyncio.sleep(0)
    assert [message.offset for message in partition.waiting] == list(range(2, count))
    assert partition.waiting[-1].next == count + 1
    assert [message.next for message in partition.waiting][:-1] == list(range(3, count))


async def test_what_cannot_be_decoded_ahead_is_neither_lost_nor_in_the_way() -> None:
    consumer = Consumer()
    feed = feed_of(consumer)
    consumer.next, consumer.at = {PLACE: [Record(0, purchased("m1", "o1"))]}, 1
    await feed.fetch(0)
    record = feed.partitions[PLACE].arrived[0]
    good, record.value = record.value, 7  # as nothing from Kafka is
    async with in_waits(feed.decoding(1, NOW)):
        await asyncio.sleep(0.01)
    assert feed.queued == 1
    with pytest.raises(TypeError):
        feed.decode(1, NOW)
    record.value = good
    feed.decode(1, NOW)
    assert [message.next for message in feed.draw(1)] == [1]


async def test_a_partition_is_read_to_its_end_only_once_what_was_drawn_is_recorded() -> None:
    consumer = Consumer()
    feed = feed_of(consumer)
    consumer.next, consumer.at = {PLACE: [Record(0, purchased("m1", "o1"))]}, 1
    await feed.fetch(0)
    feed.decode(1, NOW)
    (message,) = feed.draw(1)
    assert not feed.queued
    assert not feed.partitions[PLACE].all_recorded
    Advance(message.partition, message.next, NOW, 0).settle()
    assert feed.partitions[PLACE].all_recorded
