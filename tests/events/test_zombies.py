"""A process that was stopped in the middle of a COPY, while it held rows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from services.events import zombies
from services.events.database import Database, closed
from services.events.topics import MEMBERS
from services.loyalty.db.session import PgSession
from tests.events.conftest import Shop, recorded, running, until
from tests.events.messages import enrolled

pytestmark = pytest.mark.real_kafka


@pytest.fixture
def shop(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Its sessions wait half a second for a lock, and a zombie is one after a second."""
    monkeypatch.setattr(zombies, "STOPPED_S", 1.0)
    opened = shop.books.open

    async def impatient(purpose: str) -> Any:
        connection = await opened(purpose)
        await connection.execute("SET lock_timeout = 500")
        return connection

    return replace(shop, books=Database(impatient, PgSession))


async def stops_in_a_copy(shop: Shop) -> None:
    """Locks all positions, and ends in a COPY whose rows never come."""

    async def nothing_more() -> AsyncIterator[bytes]:
        yield b"commerce.purchases\t"
        await asyncio.Event().wait()

    async with closed(await shop.books.open("worker zombie")) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE position SET epoch = epoch")
        await connection.copy_to_table("dead_letter", source=nothing_more())


async def test_a_worker_ends_the_session_that_keeps_it_from_its_partitions(shop: Shop) -> None:
    await shop.produce(MEMBERS, ("m1", enrolled("m1")))
    async with running(shop.worker()):
        await recorded(shop, 1)
    zombie = asyncio.create_task(stops_in_a_copy(shop))
    await until(lambda: holds_rows(shop))
    await shop.produce(MEMBERS, ("m2", enrolled("m2")))
    async with running(shop.worker()):
        await recorded(shop, 2)
    assert not await holds_rows(shop)
    zombie.cancel()  # as one that never wakes: a client in a COPY hears nothing while it waits
    await asyncio.gather(zombie, return_exceptions=True)


async def holds_rows(shop: Shop) -> bool:
    async with shop.owner() as owner:  # others may not look
        return bool(
            await owner.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active'"
                " AND application_name = 'loyalty worker zombie' AND wait_event = 'ClientRead'"
            )
        )


async def test_sessions_that_work_read_or_only_rest_are_left_alone(shop: Shop) -> None:
    async with (
        closed(await shop.books.open("worker resting")) as resting,
        closed(await shop.books.open("verify")) as reading,
        closed(await shop.books.open("worker busy")) as busy,
        closed(await shop.books.open("worker")) as connection,
    ):
        await reading.execute("BEGIN; SELECT count(*) FROM position")
        await busy.execute("BEGIN; UPDATE relay SET n = n")
        working = asyncio.create_task(busy.execute("SELECT pg_sleep(1.5)"))
        await asyncio.sleep(1.2)
        assert await zombies.end_zombies(connection) == []
        await working
        for each in (resting, reading, busy):
            assert await each.fetchval("SELECT 1") == 1
        assert await connection.fetchval("SELECT current_user") == "loyalty_app"
