"""The watermark: what Kafka itself knows of the last batch that was published.

It goes out in the Kafka transaction of its batch, into a compacted topic. Beside the row ``relay``
of the database it tells after a crash whether the claimed batch went out, and after a restore that
one of the two was set back.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from services.events import outbox
from services.events.broker import Kafka, one_line, started
from services.events.halt import BrokerUnavailable, WatermarkDiffers
from services.events.outbox import Standing
from services.events.topics import RELAY

KEY = b"watermark"
PLACE = TopicPartition(RELAY, 0)
READ_S = 15.0
"""Seconds that reading the watermark may take."""

SETTLE_S = 3.0
"""Seconds that Kafka gets to show a batch whose commit it has answered: markers follow later."""

_NEAR_THE_END = 64


class Watermark(msgspec.Struct, frozen=True):
    """The last batch that was published: the ``n``-th, by ``incarnation``."""

    incarnation: int
    n: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Watermark).decode


def watermark_bytes(standing: Standing) -> bytes:
    """The record's value for a batch."""
    return _encode(Watermark(standing.incarnation, standing.n))


async def read_watermark(kafka: Kafka) -> Watermark | None:
    """The last committed watermark, None before the first batch.

    Raises:
        BrokerUnavailable: Kafka cannot be reached, or the topic is missing.
    """
    async with started(kafka, kafka.reader()) as reader:
        try:
            return await asyncio.wait_for(_read(reader), READ_S)
        except (TimeoutError, KafkaError, OSError) as error:
            raise BrokerUnavailable(
                f"the topic {RELAY} at {kafka.place} cannot be read ({one_line(error)});"
                " `loyalty migrate` creates missing topics"
            ) from error


async def _read(reader: Any) -> Watermark | None:
    reader.assign([PLACE])
    reader.seek(PLACE, 0)  # at once, or it would look for a committed offset
    start = (await reader.beginning_offsets([PLACE]))[PLACE]
    end = (await reader.end_offsets([PLACE]))[PLACE]
    back = _NEAR_THE_END
    while True:
        begin = max(start, end - back)
        found = await _last_between(reader, begin, end)
        if found is not None or begin == start:
            return found
        back *= 16  # markers and aborted batches only: look further back


async def _last_between(reader: Any, begin: int, end: int) -> Watermark | None:
    reader.seek(PLACE, begin)
    found = None
    while await reader.position(PLACE) < end:
        for record in (await reader.getmany(timeout_ms=200)).get(PLACE, ()):
            if record.key == KEY and record.value:
                found = _decode(record.value)
    return found


async def check_history(kafka: Kafka, connection: Any) -> None:
    """Compares Kafka's history with the database's, while a relay may be at work.

    Raises:
        WatermarkDiffers: one of the two was set back.
        BrokerUnavailable: the watermark cannot be read.
    """
    before = await outbox.standing(connection)
    mark = await _settled_watermark(kafka, before)
    after = await outbox.standing(connection)
    if before.incarnation != after.incarnation:
        raise WatermarkDiffers("a recovery is going on: start again when it has ended")
    if difference := _difference(mark, oldest=before, newest=after):
        raise WatermarkDiffers(difference)


async def _settled_watermark(kafka: Kafka, held: Standing) -> Watermark | None:
    """The watermark, read again for a while where batches before the claimed one are missing."""
    deadline = time.monotonic() + SETTLE_S
    while True:
        mark = await read_watermark(kafka)
        if not _lags(_seen(mark, held), held) or time.monotonic() > deadline:
            return mark
        await asyncio.sleep(0.1)


def check_standing(mark: Watermark | None, held: Standing) -> None:
    """Compares a watermark with where the relay stands, while nobody else publishes.

    Raises:
        WatermarkDiffers: one of the two was set back.
    """
    if difference := _difference(mark, oldest=held, newest=held):
        raise WatermarkDiffers(difference)


def _difference(mark: Watermark | None, *, oldest: Standing, newest: Standing) -> str:
    """What does not agree, empty where all does; batch 0 is the time before the first."""
    seen = _seen(mark, newest)
    if seen.incarnation != newest.incarnation:
        return _say(seen, newest, "another incarnation published")
    if seen.n > newest.n:
        return _say(seen, newest, "the database was restored to an earlier moment")
    if _lags(seen, oldest):
        return _say(seen, newest, "Kafka has lost what was published")
    return ""


def _seen(mark: Watermark | None, held: Standing) -> Watermark:
    return mark or Watermark(held.incarnation, 0)


def _lags(seen: Watermark, held: Standing) -> bool:
    """Whether more than the claimed batch is missing in Kafka."""
    return seen.incarnation == held.incarnation and seen.n < held.n - 1


async def check_claimed(connection: Any, mark: Watermark | None, held: Standing) -> None:
    """Checks that the last batch, where Kafka lacks it, still waits to be sent.

    Raises:
        WatermarkDiffers: it was sent and deleted, so Kafka lost it.
    """
    if held.n != (mark.n if mark else 0) and not await outbox.claimed(connection, held.n):
        seen = Watermark(held.incarnation, held.n - 1)
        raise WatermarkDiffers(_say(seen, held, "Kafka has lost what was published"))


def _say(seen: Watermark, held: Standing, meaning: str) -> str:
    return (
        f"Kafka says that batch {seen.n} of incarnation {seen.incarnation} was published last, the"
        f" database says batch {held.n} of incarnation {held.incarnation}: {meaning}. Stop all"
        " parts and run `loyalty recover`"
    )


async def ended_incarnations(connection: Any) -> dict[int, int]:
    """The last valid batch of every incarnation that has ended."""
    rows = await connection.fetch(
        "SELECT incarnation, last_batch FROM incarnation WHERE last_batch IS NOT NULL"
    )
    return {row[0]: row[1] for row in rows}
