"""How sessions are limited, and what is said when there is no database."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from services.loyalty.db.connect import (
    DatabaseUnavailable,
    Limits,
    connect,
    connected,
    create_pool,
    place,
    plain_url,
)
from tests.postgres import Database


async def test_a_session_has_the_application_s_role_and_limits(database: Database) -> None:
    limits = Limits(statement_ms=7_000, lock_ms=2_000, idle_in_transaction_ms=3_000)
    async with connected(database.owner_url, purpose="work", limits=limits) as connection:
        asked = "SELECT current_user, " + ", ".join(
            f"current_setting('{name}')"
            for name in (
                "application_name",
                "timezone",
                "statement_timeout",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
            )
        )
        row = await connection.fetchrow(asked)
    assert tuple(row) == ("loyalty_app", "loyalty work", "UTC", "7s", "2s", "3s")


async def test_a_pool_s_sessions_are_the_same(database: Database) -> None:
    pool = await create_pool(database.url, purpose="serve", max_size=2)
    try:
        async with pool.acquire() as connection:
            user = await connection.fetchval("SELECT current_user")
            await connection.execute("BEGIN")
        async with pool.acquire() as connection:
            assert not connection.is_in_transaction()
    finally:
        await pool.close()
    assert user == "loyalty_app"


async def test_who_sleeps_inside_a_transaction_loses_it(database: Database) -> None:
    limits = Limits(idle_in_transaction_ms=50)
    async with connected(database.url, purpose="zombie", limits=limits) as connection:
        await connection.execute("BEGIN")
        await asyncio.sleep(0.5)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await connection.execute("SELECT 1")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://127.0.0.1:1/loyalty", "127.0.0.1:1/loyalty: "),
        ("postgresql://ann:secret@127.0.0.1:1/loyalty", "127.0.0.1:1/loyalty: "),
        ("mysql://127.0.0.1/loyalty", "must begin with postgresql://"),
        ("loyalty", "must begin with postgresql://"),
        ("postgresql://127.0.0.1:port/loyalty", "port"),
    ],
)
async def test_a_database_that_is_not_there_is_one_line(url: str, says: str) -> None:
    with pytest.raises(DatabaseUnavailable) as unavailable:
        await connect(url, purpose="test")
    message = str(unavailable.value)
    assert says in message
    assert "\n" not in message
    assert "secret" not in message


async def test_a_wrong_name_or_password_is_one_line(database: Database) -> None:
    nowhere = database.url.replace(database.name, "nowhere")
    with pytest.raises(DatabaseUnavailable, match='database "nowhere" does not exist'):
        await connect(nowhere, purpose="test")


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_urls_of_other_tools_are_understood(scheme: str) -> None:
    assert plain_url(f"{scheme}://ann@db/loyalty") == "postgresql://ann@db/loyalty"
    assert place(f"{scheme}://ann:secret@db:6000/loyalty") == "db:6000/loyalty"
