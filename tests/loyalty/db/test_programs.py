"""Versions get numbers one after the other, and every account learns of them."""

from __future__ import annotations

import asyncio

import asyncpg

from services.loyalty.application.online import PublishedVersion
from services.loyalty.db.connect import connected, create_pool
from services.loyalty.db.online import PgOnlineSession
from services.loyalty.db.programs import lower_due_at, publish
from services.loyalty.db.session import PgSession
from tests.loyalty.db.handmade import EXPIRY, START, bought, lived, opened
from tests.postgres import Database


async def _publish(connection: asyncpg.Connection, name: str) -> int:
    return await publish(
        connection,
        holds_from=START,
        published_at=START - 1,
        document=name,
        digest=name,
        published_by="ann",
    )


async def test_published_versions_are_numbered_and_loaded_in_order(session: PgSession) -> None:
    assert await session.latest_program_version() == 0
    for name in ("a", "b", "c"):
        await _publish(session.connection, name)
    assert await session.latest_program_version() == 3
    assert await session.load_programs(1) == [(2, START, "b"), (3, START, "c")]


async def test_publishers_at_once_get_a_number_each(database: Database) -> None:
    pool = await create_pool(database.url, purpose="publish", max_size=5)

    async def one(name: str) -> int:
        async with pool.acquire() as connection:
            return await _publish(connection, name)

    try:
        versions = await asyncio.gather(*(one(str(n)) for n in range(10)))
    finally:
        await pool.close()
    assert sorted(versions) == list(range(1, 11))


async def test_every_account_is_due_by_the_new_version_at_the_latest(session: PgSession) -> None:
    await lived(session, [f"m{n}" for n in range(7)], bought("1"))
    await opened(session, "idle")
    assert await lower_due_at(session.connection, EXPIRY, batch=3) == 1
    assert await lower_due_at(session.connection, EXPIRY - 5, batch=3) == 8
    assert await lower_due_at(session.connection, EXPIRY - 5, batch=3) == 0
    assert await lower_due_at(session.connection, EXPIRY + 5, batch=3) == 0
    loaded = await session.load_accounts(["m0", "m6", "idle"])
    assert {each.due_at for each in loaded.values()} == {EXPIRY - 5}
    assert [loaded[member].version for member in ("m0", "m6", "idle")] == [2, 2, 2]


async def test_no_version_is_published_while_a_scheduler_may_make_accounts_due_later(
    session: PgSession, database: Database
) -> None:
    version = PublishedVersion(1, START, START - 1, "ann", "digest", "document")
    async with connected(database.url, purpose="publish") as connection:
        publisher = PgOnlineSession(connection)
        async with session.transaction():
            await session.lock_due(EXPIRY, 10)
            publishing = asyncio.create_task(publisher.insert_version(version))
            done, _ = await asyncio.wait({publishing}, timeout=0.3)
            assert not done
            assert await session.latest_program_version() == 0
        assert await publishing
    assert await session.latest_program_version() == 1
