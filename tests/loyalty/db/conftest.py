"""Connections to the test's own database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from services.loyalty.db.connect import connected
from services.loyalty.db.session import PgSession
from tests.loyalty.db.half_a_year import live
from tests.postgres import Database


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """As the application connects."""
    async with connected(database.url, purpose="test") as opened:
        yield opened


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """As the superuser connects."""
    async with connected(database.owner_url, purpose="test", role=None) as opened:
        yield opened


@pytest.fixture
def session(connection: asyncpg.Connection) -> PgSession:
    return PgSession(connection)


@pytest.fixture
async def lives(session: PgSession) -> None:
    """Half a year of twelve members, the first two of whom join late."""
    await live(session)
