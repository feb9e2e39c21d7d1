"""What a lane makes of a consumer's moods, told by a consumer that has them at will."""

from __future__ import annotations

from typing import Any

import pytest
from aiokafka.errors import OffsetOutOfRangeError, RecordTooLargeError
from aiokafka.structs import TopicPartition

from services.events.feed import Feed
from services.events.halt import PositionLost
from services.events.inbox import Partition
from services.events.reading import Reader
from services.events.topics import PURCHASES
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


async def now() -> int:
    return NOW


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
        await feed.fetch(0, now)


async def test_a_message_that_the_client_skips_stops_the_worker() -> None:
    consumer = Consumer()
    feed = feed_of(consumer)
    consumer.next = RecordTooLargeError("too large")
    with pytest.raises(PositionLost):
        await feed.fetch(0, now)


async def test_while_partitions_change_hands_errors_and_records_are_of_no_account() -> None:
    consumer = Consumer()
    feed = feed_of(consumer)
    consumer.listener.on_partitions_revoked([PLACE])
    consumer.next = OffsetOutOfRangeError({PLACE: 17})
    await feed.fetch(0, now)
    consumer.next = {PLACE: [Record(0, purchased("m1", "o1"))]}
    await feed.fetch(0, now)
    assert feed.queued == 0
    assert feed.stale


async def test_the_position_goes_beyond_markers_that_follow_the_last_record() -> None:
    consumer = Consumer()
    feed = feed_of(consumer)
    consumer.next, consumer.at, consumer.stable = {PLACE: [Record(3, purchased("m1", "o1"))]}, 5, 9
    await feed.fetch(0, now)
    (message,) = feed.draw(10)
    assert (message.offset, message.next) == (3, 5)
    assert feed.waits_for_more, "the log is known to hold more"


async def test_markers_that_come_alone_are_passed_over_too() -> None:
    consumer = Consumer()
    feed = feed_of(consumer)
    consumer.at = 2
    await feed.fetch(0, now)
    assert feed.partitions[PLACE].fetched_to == 2
    assert not feed.queued
