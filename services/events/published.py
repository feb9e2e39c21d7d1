"""What Kafka holds of what was published: which batches, and which events beyond a certain one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import msgspec
from aiokafka.errors import KafkaError

from services.events.broker import Kafka, one_line, partitions_of, started
from services.events.codec import EventId, parse_event_id
from services.events.halt import BrokerUnavailable
from services.events.publishing import batch_of
from services.events.topics import CHECKPOINTS, DEAD_LETTERS, DERIVED, EVENTS

ASK_S = 30.0


@dataclass(slots=True)
class Published:
    """What was published by an incarnation and those after it.

    Attributes:
        newest: the greatest batch, 0 for none.
        beyond: the events in batches beyond the one asked for, each with its :func:`digest`.
    """

    newest: int = 0
    beyond: dict[EventId, bytes] = field(default_factory=dict)


class _Identified(msgspec.Struct):
    id: str


_read_id = msgspec.json.Decoder(_Identified).decode


async def published_since(kafka: Kafka, incarnation: int, last_batch: int) -> Published:
    """What ``incarnation`` and later ones published, and of that the events beyond ``last_batch``.

    Reads the topics from their beginning to their end, which takes its time.

    Raises:
        BrokerUnavailable: they cannot be read.
    """
    published = Published()
    async for record in _everything(kafka, (EVENTS, DERIVED, DEAD_LETTERS, CHECKPOINTS)):
        stamped = batch_of(record.headers)
        if stamped is None or stamped.incarnation < incarnation:
            continue
        published.newest = max(published.newest, stamped.n)
        if stamped.n > last_batch and record.topic == EVENTS:
            published.beyond[parse_event_id(_read_id(record.value).id)] = digest(record.value)
    return published


def digest(value: bytes) -> bytes:
    """16 bytes that stand for what was published, because all of it would be too much to hold."""
    return blake2b(value, digest_size=16).digest()


async def _everything(kafka: Kafka, topics: tuple[str, ...]) -> AsyncIterator[Any]:
    async with started(kafka, kafka.reader()) as reader:
        try:
            places = await asyncio.wait_for(partitions_of(reader, topics), ASK_S)
            starts = await asyncio.wait_for(reader.beginning_offsets(places), ASK_S)
            ends = await asyncio.wait_for(reader.end_offsets(places), ASK_S)
            for place in places:
                reader.seek(place, starts[place])
                while await reader.position(place) < ends[place]:
                    found = await reader.getmany(place, timeout_ms=500)
                    for record in found.get(place, ()):
                        yield record
        except (KafkaError, OSError, TimeoutError) as error:
            raise BrokerUnavailable(
                f"what was published at {kafka.place} cannot be read: {one_line(error)}"
            ) from error
