"""What an outbox row becomes in Kafka, and sending a batch of them in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from services.events import codec
from services.events.codec import EventId
from services.events.letters import NOTICE
from services.events.outbox import Row, Standing
from services.events.topics import CHECKPOINTS, DEAD_LETTERS, DERIVED, EVENTS, RELAY
from services.events.watermark import KEY, watermark_bytes
from services.loyalty.domain.calendar import from_datetime
from services.loyalty.domain.checkpoint import MADE

INCARNATION_HEADER = "loyalty-incarnation"
BATCH_HEADER = "loyalty-batch"
"""Headers of all that the relay sends: which batch of which incarnation it belongs to."""

_ELSEWHERE = {NOTICE: DEAD_LETTERS, MADE: CHECKPOINTS}
"""Where events go that are not of a member, by their type."""


class Outgoing(NamedTuple):
    """A record on its way to Kafka."""

    topic: str
    key: bytes
    value: bytes


def outgoing(row: Row, held: Standing, source: str) -> Outgoing:
    """The record that publishes an outbox row in a batch."""
    origin = EventId(held.incarnation, row.member_id, row.seq, row.n)
    at = from_datetime(row.at)
    if row.target is not None:
        value = codec.derived_bytes(origin, held.n, row.target, at, row.data)
        return Outgoing(DERIVED, row.target.encode(), value)
    topic = _ELSEWHERE.get(row.type, EVENTS)
    value = codec.event_bytes(origin, row.type, at, row.data, source=source)
    return Outgoing(topic, row.member_id.encode(), value)


async def send_batch(producer: Any, held: Standing, records: Iterable[Outgoing]) -> None:
    """Sends records and the watermark of their batch in one Kafka transaction.

    Raises:
        KafkaError: nothing of it counts, unless the commit itself was cut off. A new producer
            settles that, and the watermark then tells.
    """
    headers = batch_headers(held)
    await producer.begin_transaction()  # never aborted here: the next producer's start does that
    sent = [
        await producer.send(record.topic, record.value, key=record.key, headers=headers)
        for record in records
    ]
    sent.append(await producer.send(RELAY, watermark_bytes(held), key=KEY, partition=0))
    for future in sent:
        await future
    await producer.commit_transaction()


def batch_headers(held: Standing) -> list[tuple[str, bytes]]:
    """The headers of a batch's records."""
    return [
        (INCARNATION_HEADER, str(held.incarnation).encode()),
        (BATCH_HEADER, str(held.n).encode()),
    ]


def batch_of(headers: Sequence[tuple[str, bytes]]) -> Standing | None:
    """The incarnation and batch that a record's headers name, None where they name none."""
    found = dict(headers)
    try:
        return Standing(int(found[INCARNATION_HEADER]), int(found[BATCH_HEADER]))
    except (KeyError, ValueError):
        return None
