"""The scheduler: how far it ticks, and that it ticks once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiokafka.structs import TopicPartition

from services.events import position
from services.events.database import Database, closed
from services.events.scheduler import Scheduler, horizon
from services.events.topics import MEMBERS, PURCHASES
from services.loyalty.application.clock import FixedClock
from services.loyalty.application.intake import read_event
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import record_batch
from services.loyalty.domain.calendar import DAY, HOUR, MINUTE, to_datetime
from tests.events.messages import NOW, enrolled, purchased


@pytest.fixture
async def connection(books: Database) -> Any:
    async with closed(await books.open("test")) as connection:
        yield connection


async def read_up_to(connection: Any, **read_to: int | None) -> None:
    for topic, at in read_to.items():
        await connection.execute(
            "INSERT INTO position (topic, partition, epoch, position, read_to, dead_in_a_row)"
            " VALUES ($1, 0, 1, 0, $2, 0) ON CONFLICT (topic, partition) DO UPDATE"
            " SET read_to = EXCLUDED.read_to",
            topic,
            None if at is None else to_datetime(at),
        )


async def test_it_ticks_up_to_where_the_slowest_partition_was_read(connection: Any) -> None:
    await read_up_to(connection, a=NOW - MINUTE, b=NOW - 2 * MINUTE)
    assert await horizon(connection, NOW, HOUR) == NOW - 2 * MINUTE


async def test_it_waits_no_longer_than_it_may(connection: Any) -> None:
    await read_up_to(connection, a=NOW - MINUTE, b=NOW - 2 * DAY)
    assert await horizon(connection, NOW, HOUR) == NOW - HOUR


async def test_a_partition_that_nobody_has_read_may_hold_anything(connection: Any) -> None:
    assert await horizon(connection, NOW, HOUR) == NOW - HOUR
    await read_up_to(connection, a=NOW, b=None)
    assert await horizon(connection, NOW, HOUR) == NOW - HOUR


async def test_it_never_ticks_ahead_of_the_clock(connection: Any) -> None:
    await read_up_to(connection, a=NOW + DAY)
    assert await horizon(connection, NOW, HOUR) == NOW


async def test_it_waits_for_what_is_on_its_way_to_another_account(connection: Any) -> None:
    await read_up_to(connection, a=NOW)
    await connection.execute(
        "INSERT INTO outbox (member_id, seq, n, recorded_at, at, type, target, data)"
        " VALUES ('m', 1, 0, $1, $1, 'derived', 'other', $2)",
        to_datetime(NOW - 5 * MINUTE),
        '{"kind":"transfer_back","transfer":"t","to_member":"x","currency":"points","lots":[]}',
    )
    assert await horizon(connection, NOW, HOUR) == NOW - 5 * MINUTE


class Members:
    """Members with a purchase each, whose points are pending for two weeks."""

    def __init__(self, books: Database) -> None:
        self.books = books
        self.clock = FixedClock(NOW)
        self.programs = Programs()

    async def buy(self, connection: Any, count: int) -> None:
        session = self.books.session(connection)
        messages = [
            read_event(raw, now=NOW)
            for number in range(count)
            for raw in (enrolled(f"m{number}"), purchased(f"m{number}", f"o{number}"))
        ]
        await record_batch(session, self.programs, self.clock, messages)

    def scheduler(self) -> Scheduler:
        kafka: Any = None
        wait = timedelta(days=30)
        return Scheduler(kafka, self.books, self.programs, self.clock, tick_wait=wait)


async def activations(connection: Any) -> list[int]:
    rows = await connection.fetch(
        "SELECT count(*) FROM ledger WHERE kind = 'activation' GROUP BY member_id"
    )
    return [row[0] for row in rows]


async def test_due_accounts_are_ticked_once_and_not_before_their_time(
    books: Database, connection: Any
) -> None:
    members = Members(books)
    await members.buy(connection, 5)
    scheduler = members.scheduler()
    await read_up_to(connection, a=NOW)
    await scheduler.look(connection)
    assert await activations(connection) == []
    members.clock.at = NOW + 20 * DAY
    await scheduler.look(connection)
    assert await activations(connection) == [], "the inputs are not read up to there"
    await read_up_to(connection, a=NOW + 20 * DAY)
    for _ in range(3):
        await scheduler.look(connection)
    assert await activations(connection) == [1] * 5


async def test_schedulers_side_by_side_tick_every_account_once(
    books: Database, connection: Any
) -> None:
    members = Members(books)
    await members.buy(connection, 40)
    members.clock.at = NOW + 20 * DAY
    await read_up_to(connection, **{PURCHASES: members.clock.at, MEMBERS: members.clock.at})

    async def look() -> None:
        async with closed(await books.open("test")) as own:
            await members.scheduler().look(own)

    await asyncio.gather(*[look() for _ in range(4)])
    assert await activations(connection) == [1] * 40


async def test_positions_are_read_only_forwards(books: Database, connection: Any) -> None:
    place = TopicPartition(PURCHASES, 0)
    held = (await position.acquire(connection, {place: 0}, {place: 9}))[place]
    for read_to in (NOW, NOW - DAY):
        await position.advance(connection, [position.Advance(held, 0, read_to, 0)])
    assert await connection.fetchval("SELECT read_to FROM position") == to_datetime(NOW)
