"""A broker with empty topics, a database with a published programme, and both at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from services.events.broker import Kafka, partitions_of, started
from services.events.consumer import Worker
from services.events.database import Database, closed
from services.events.lane import WorkerOptions
from services.events.relay import Relay
from services.events.topics import TOPICS, ensure_topics
from services.loyalty.application.clock import FixedClock
from services.loyalty.application.programs import Programs
from services.loyalty.db import connect
from services.loyalty.db.session import PgSession
from tests.events.messages import NOW
from tests.postgres import Database as OwnDatabase

PROGRAMME = Path(__file__).parents[2] / "contracts/programs/gift-shop.yaml"
PARTITIONS = 4

_PUBLISH = """
    INSERT INTO program_version (version, holds_from, published_at, document, digest, published_by)
    VALUES (1, '2010-12-01', '2010-11-01', $1, 'as bundled', 'tests')
"""


@pytest.fixture
async def kafka(kafka_bootstrap: str) -> Kafka:
    """A broker whose topics are empty."""
    made = Kafka({"bootstrap_servers": kafka_bootstrap})
    await recreate_topics(made)
    return made


async def recreate_topics(kafka: Kafka) -> None:
    await _delete(kafka, {topic.name for topic in TOPICS})
    await ensure_topics(kafka, partitions=PARTITIONS, replication=1)


async def recreate_topic(kafka: Kafka, name: str) -> None:
    await _delete(kafka, {name})
    await ensure_topics(kafka, partitions=PARTITIONS, replication=1)


async def _delete(kafka: Kafka, names: set[str]) -> None:
    async with started(kafka, kafka.admin()) as admin:
        await admin.delete_topics(sorted(names.intersection(await admin.list_topics())))

        async def gone() -> bool:
            return not names.intersection(await admin.list_topics())

        await until(gone)


@pytest.fixture
async def books(database: OwnDatabase) -> Database:
    """The database of one test, in which the bundled programme is published."""
    async with connect.connected(database.owner_url, purpose="test", role=None) as owner:
        await owner.execute(_PUBLISH, PROGRAMME.read_text())

    async def open_connection(purpose: str) -> Any:
        return await connect.connect(database.url, purpose=purpose)

    return Database(open_connection, PgSession)


@dataclass
class Shop:
    """A deployment under test: its broker, its database, and a clock that stands still."""

    kafka: Kafka
    books: Database
    owner_url: str
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))
    programs: Programs = field(default_factory=Programs)

    async def produce(self, topic: str, *messages: tuple[str | None, bytes | None]) -> None:
        """Sends messages, each a member (its key) and its bytes."""
        producer = AIOKafkaProducer(
            **self.kafka.options, max_request_size=4_000_000, compression_type="gzip"
        )
        async with started(self.kafka, producer):
            for key, value in messages:
                await producer.send(topic, value, key=None if key is None else key.encode())
            await producer.flush()

    def worker(self, **options: Any) -> Worker:
        chosen = WorkerOptions(**{"lanes": 1, "idle_s": 0.1} | options)
        return Worker(self.kafka, self.books, self.programs, self.clock, chosen)

    def relay(self, **options: Any) -> Relay:
        return Relay(self.kafka, self.books, **options)

    async def fetch(self, query: str, *arguments: Any) -> list[Any]:
        async with closed(await self.books.open("test")) as connection:
            return list(await connection.fetch(query, *arguments))

    async def value(self, query: str, *arguments: Any) -> Any:
        return (await self.fetch(query, *arguments))[0][0]

    @asynccontextmanager
    async def owner(self) -> AsyncIterator[Any]:
        """A connection of the superuser."""
        async with connect.connected(self.owner_url, purpose="test", role=None) as connection:
            yield connection

    async def read(self, topic: str) -> list[Any]:
        """All committed records of a topic, partition by partition, once no transaction is open.

        Kafka answers a commit before its markers are written, and until then hides what it holds.
        """
        records: list[Any] = []
        everything = self.kafka.reader(committed=False)
        async with (
            started(self.kafka, self.kafka.reader()) as reader,
            started(self.kafka, everything),
            asyncio.timeout(30),
        ):
            places = await partitions_of(reader, [topic])
            ends = await everything.end_offsets(places)
            for place in places:
                while await reader.position(place) < ends[place]:
                    found = await reader.getmany(place, timeout_ms=200)
                    records += found.get(place, ())
        return records


@pytest.fixture
def shop(kafka: Kafka, books: Database, database: OwnDatabase) -> Shop:
    return Shop(kafka, books, database.owner_url)


@asynccontextmanager
async def running(part: Any) -> AsyncIterator[asyncio.Task[None]]:
    """A part at work for a ``with`` block; what ended it early is raised at the block's end."""
    stop = asyncio.Event()
    task: asyncio.Task[None] = asyncio.create_task(part.run(stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def until(true: Callable[[], Awaitable[bool]], *, seconds: float = 20) -> None:
    """Returns once a condition holds."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await true():
        assert asyncio.get_running_loop().time() < deadline, "it does not come about"
        await asyncio.sleep(0.03)


async def recorded(shop: Shop, count: int) -> None:
    """Returns once so many messages are behind the positions (or offsets behind markers)."""

    async def enough() -> bool:
        done = await shop.value(
            "SELECT (SELECT count(*) FROM journal WHERE event_digest IS NOT NULL)"
            " + (SELECT count(*) FROM dead_letter)"
        )
        return bool(done >= count)

    await until(enough)
