"""Kafka clients, made in one place: what every one of them takes, and how they start and stop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from services.events.halt import BrokerUnavailable

log = logging.getLogger(__name__)

STOP_S = 3.0
"""Seconds that a client may take to leave; then its sockets are dropped."""

MOCK_WAIT_MS = 10
"""How long the mock holds a fetch that finds nothing: it does not answer when something comes."""

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Kafka:
    """Where Kafka is, and how its clients are made.

    Attributes:
        options: what every client takes to find and trust the brokers, as aiokafka names it.
        real: False for the in-process mock, whose control batches carry a bad checksum.
        session_s: after so many seconds of silence a lane's partitions go to others.
    """

    options: Mapping[str, Any] = field(repr=False)
    real: bool = True
    session_s: float = 10.0

    def group_consumer(self, group: str, client_id: str) -> AIOKafkaConsumer:
        """A consumer for one lane. It commits nothing by itself, and never guesses an offset."""
        return AIOKafkaConsumer(
            **self.options,
            client_id=client_id,
            group_id=group,
            # Ranges bring equal partition numbers together; a second assignor costs 11 s a join.
            partition_assignment_strategy=(RangePartitionAssignor,),
            auto_offset_reset="none",
            enable_auto_commit=False,
            isolation_level="read_committed",
            check_crcs=self.real,
            fetch_max_wait_ms=250 if self.real else MOCK_WAIT_MS,
            fetch_max_bytes=16 * _MIB,
            max_partition_fetch_bytes=_MIB,
            metadata_max_age_ms=30_000,
            session_timeout_ms=round(self.session_s * 1000),
            heartbeat_interval_ms=round(self.session_s * 1000 / 4),
        )

    def reader(self, *, committed: bool = True) -> AIOKafkaConsumer:
        """A consumer outside any group, for reading a topic to its end.

        A log ends for it before the first transaction that is open, unless ``committed`` is False.
        One whose commit was answered is open still until Kafka has written its markers.
        """
        return AIOKafkaConsumer(
            **self.options,
            auto_offset_reset="none",
            enable_auto_commit=False,
            isolation_level="read_committed" if committed else "read_uncommitted",
            check_crcs=self.real,
            fetch_max_wait_ms=100,
        )

    def producer(self, transactional_id: str) -> AIOKafkaProducer:
        """A transactional producer. Its start fences the one before and settles its transaction."""
        return AIOKafkaProducer(
            **self.options,
            transactional_id=transactional_id,
            acks="all",
            max_batch_size=256 * 1024,
            max_request_size=2 * _MIB,
            transaction_timeout_ms=60_000,
        )

    def admin(self) -> AIOKafkaAdminClient:
        return AIOKafkaAdminClient(**self.options)

    @property
    def place(self) -> str:
        """Where the brokers are, for messages."""
        return str(self.options.get("bootstrap_servers", "localhost"))


@asynccontextmanager
async def started(kafka: Kafka, client: Any) -> AsyncIterator[Any]:
    """The client, running; stopped at the end, however the block is left.

    Raises:
        BrokerUnavailable: it cannot start.
    """
    try:
        try:
            await client.start()
        except (KafkaError, OSError) as error:
            raise BrokerUnavailable(f"Kafka at {kafka.place}: {one_line(error)}") from error
        yield client
    finally:
        await stop(client)


async def stop(client: Any) -> None:
    """Stops a client within :data:`STOP_S`, which aiokafka does not promise."""
    closing = client.close() if isinstance(client, AIOKafkaAdminClient) else client.stop()
    try:
        await asyncio.wait_for(closing, STOP_S)
    except (TimeoutError, KafkaError, OSError) as error:
        log.warning("kafka client dropped instead of stopped: %s", one_line(error))


async def partitions_of(reader: Any, topics: Iterable[str]) -> list[TopicPartition]:
    """All partitions of topics, assigned to the reader; it must seek before it fetches."""
    firsts = [TopicPartition(topic, 0) for topic in topics]
    _assign(reader, firsts)
    await reader.beginning_offsets(firsts)  # which fetches what is known of the topics
    places = [
        TopicPartition(first.topic, number)
        for first in firsts
        for number in sorted(reader.partitions_for_topic(first.topic) or ())
    ]
    _assign(reader, places)
    return places


def _assign(reader: Any, places: list[TopicPartition]) -> None:
    reader.assign(places)
    for place in places:  # at once, or it would look for committed offsets
        reader.seek(place, 0)


def one_line(error: BaseException) -> str:
    """An error's message on one line, or its kind where it has none."""
    return " ".join(str(error).split()) or type(error).__name__
