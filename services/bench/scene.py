"""The scene of a measurement: scratch databases, and events in the log of a broker of its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import asyncpg
import msgspec
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.structs import TopicPartition

from services.events.broker import Kafka, started
from services.events.topics import MEMBERS, PURCHASES, ensure_topics
from services.loyalty.db import migrate
from services.loyalty.domain.calendar import DAY, SECOND, Instant, rfc3339, to_datetime

TEMPLATE = "loyalty_bench_template"
PARTITIONS = 4


class BenchRefused(Exception):
    """The bench would meddle with somebody's data, or lacks what it measures on."""


@dataclass(frozen=True)
class Story:
    """Events of one character.

    Attributes:
        events: purchases in the log.
        members: members who make them, in turn and at random.
        repeated: share of messages that are sent once more, by chance.
        tick_each: whether each purchase finds the points of the last one to activate.
    """

    name: str
    events: int
    members: int
    repeated: float = 0.0
    tick_each: bool = False


@dataclass(frozen=True)
class Stretch:
    """Where a story lies in the log: first offset by partition, and how many messages follow."""

    story: Story
    starts: dict[int, int]
    messages: int


def member_name(number: int) -> str:
    return f"bench-{number:06}"


def purchases(story: Story, begins_at: Instant, seed: int) -> Iterator[tuple[str, bytes]]:
    """Member and message of each purchase: three lines of 300 articles at £0.40 to £15."""
    chance = random.Random(seed)  # noqa: S311  a repeatable load, not a secret
    encode = msgspec.json.encode
    step = 15 * DAY // max(1, story.events // story.members) if story.tick_each else SECOND // 10
    for number in range(story.events):
        turn, place = divmod(number, story.members)
        who = place if story.tick_each else chance.randrange(story.members)
        at = begins_at + (turn * 15 * DAY + place if story.tick_each else number * step)
        member = member_name(who)
        lines = [
            {
                "position": position,
                "sku": f"{20_000 + chance.randrange(300)}",
                "category": ("kitchen", "garden", "party")[position % 3],
                "quantity": chance.randrange(1, 13),
                "unit_price": f"{chance.randrange(40, 1500) / 100:.2f}",
            }
            for position in (1, 2, 3)
        ]
        event = {
            "specversion": "1.0",
            "id": f"{story.name}-{seed}-{number}",
            "source": "/bench",
            "type": "commerce.purchase.completed.v1",
            "time": rfc3339(at),
            "datacontenttype": "application/json",
            "data": {
                "member_id": member,
                "order_id": f"{story.name}-{seed}-{number}",
                "currency": "GBP",
                "channel": "web",
                "lines": lines,
            },
        }
        yield member, encode(event)


class Log:
    """The topics of the bench on a broker that nobody else uses."""

    def __init__(self, kafka: Kafka) -> None:
        self.kafka = kafka

    async def prepare(self) -> None:
        """Creates the topics.

        Raises:
            BenchRefused: they hold messages: somebody works here.
        """
        await ensure_topics(self.kafka, partitions=PARTITIONS, replication=1)
        for topic in (PURCHASES, MEMBERS):
            if any((await self.ends(topic)).values()):
                raise BenchRefused(
                    f"topic {topic} at {self.kafka.place} holds messages:"
                    " the bench needs a broker of its own"
                )

    async def ends(self, topic: str) -> dict[int, int]:
        async with started(self.kafka, self.kafka.reader()) as consumer:
            parts = [TopicPartition(topic, p) for p in range(PARTITIONS)]
            ends = await consumer.end_offsets(parts)
        return {tp.partition: offset for tp, offset in ends.items()}

    async def write(self, story: Story, begins_at: Instant, seed: int) -> Stretch:
        """Appends a story to the log."""
        starts = await self.ends(PURCHASES)
        chance = random.Random(seed + 1)  # noqa: S311  a repeatable load, not a secret
        count = 0
        producer = AIOKafkaProducer(
            **self.kafka.options, acks=1, linger_ms=20, max_batch_size=512 * 1024
        )
        async with started(self.kafka, producer):
            sent: list[asyncio.Future[object]] = []
            for member, message in purchases(story, begins_at, seed):
                copies = 2 if chance.random() < story.repeated else 1
                for _ in range(copies):
                    sent.append(await producer.send(PURCHASES, message, key=member.encode()))
                count += copies
                if len(sent) >= 5000:
                    await asyncio.gather(*sent)
                    sent.clear()
            await asyncio.gather(*sent)
        return Stretch(story, starts, count)

    async def read(self, stretch: Stretch) -> list[tuple[int, int, bytes]]:
        """(partition, offset, message) of a stretch, to know where each event lies."""
        found: list[tuple[int, int, bytes]] = []
        async with started(self.kafka, self.kafka.reader()) as consumer:
            assign(consumer, stretch.starts)
            while len(found) < stretch.messages:
                for tp, records in (await consumer.getmany(timeout_ms=1000)).items():
                    found += [(tp.partition, record.offset, record.value) for record in records]
        return found


def assign(consumer: AIOKafkaConsumer, starts: dict[int, int]) -> None:
    parts = {TopicPartition(PURCHASES, p): offset for p, offset in starts.items()}
    consumer.assign(list(parts))
    for tp, offset in parts.items():
        consumer.seek(tp, offset)


class Databases:
    """Scratch databases, each cloned from one in which the members are enrolled already."""

    def __init__(self, owner_url: str, login_url: str) -> None:
        self.owner_url = owner_url
        self.login_url = login_url
        self._number = 0

    async def prepare(self, document: str, holds_from: Instant) -> None:
        """Makes the template, with one version of the programme."""
        await self._admin(
            f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)", f"CREATE DATABASE {TEMPLATE}"
        )
        url = in_database(self.owner_url, TEMPLATE)
        await asyncio.to_thread(migrate.upgrade, url)
        await self.publish(url, 1, document, holds_from)

    async def publish(self, url: str, number: int, document: str, holds_from: Instant) -> None:
        """Adds a version of the programme to a database of the owner's."""
        async with connection(url) as owner:
            await owner.execute(
                "INSERT INTO program_version (version, holds_from, published_at, document, digest,"
                " published_by) VALUES ($1, $2, $2, $3, repeat('0', 64), 'bench')",
                number,
                to_datetime(holds_from),
                document,
            )

    @property
    def template(self) -> tuple[str, str]:
        return in_database(self.owner_url, TEMPLATE), in_database(self.login_url, TEMPLATE)

    @asynccontextmanager
    async def clone(self, stretch: Stretch) -> AsyncIterator[tuple[str, str]]:
        """A fresh database (owner's URL, application's URL) whose worker begins at a stretch."""
        self._number += 1
        name = f"loyalty_bench_{self._number}"
        await self._admin(
            f"DROP DATABASE IF EXISTS {name} WITH (FORCE)",
            f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}",
        )
        url = in_database(self.owner_url, name)
        try:
            async with connection(url) as owner:
                await owner.executemany(
                    "INSERT INTO position (topic, partition, epoch, position, dead_in_a_row)"
                    " VALUES ($1, $2, 0, $3, 0)",
                    [(PURCHASES, p, offset) for p, offset in stretch.starts.items()],
                )
                await owner.execute("VACUUM (ANALYZE) account")
                await owner.execute("CHECKPOINT")
            yield url, in_database(self.login_url, name)
        finally:
            await self._admin(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    async def drop(self) -> None:
        await self._admin(f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")

    async def _admin(self, *statements: str) -> None:
        async with connection(self.owner_url) as owner:
            for statement in statements:
                await owner.execute(statement)


@asynccontextmanager
async def connection(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A plain connection of the owner's."""
    opened = await asyncpg.connect(url)
    try:
        yield opened
    finally:
        await opened.close()


def in_database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def scaled(stories: Sequence[Story], factor: float) -> list[Story]:
    """The same stories, shorter or longer."""
    return [replace(story, events=max(1000, int(story.events * factor))) for story in stories]
