"""The API on a database of its own, with a key of every scope and a programme that holds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from services.loyalty.application.api_keys import SCOPES
from services.loyalty.application.clock import FixedClock
from services.loyalty.application.programs import Programs
from services.loyalty.db.connect import connected, create_pool
from services.loyalty.db.keys import create_key
from services.loyalty.db.online import PgOnlineStore
from services.loyalty.domain.calendar import DAY, Instant
from services.loyalty.http.app import create_app
from tests.loyalty.http import keyring
from tests.loyalty.http.keyring import client_of
from tests.loyalty.http.programme import DOCUMENT
from tests.postgres import Database

START: Instant = 1_293_840_000_000_000
"""2011-01-01T00:00:00Z: from then on the test's programme holds."""


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START - DAY)


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[asyncpg.Pool]:
    opened = await create_pool(database.url, purpose="http", min_size=1, max_size=10)
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def app(pool: asyncpg.Pool, clock: FixedClock) -> FastAPI:
    return create_app(store=PgOnlineStore(pool), programs=Programs(), clock=clock)


@pytest.fixture
async def insider() -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key of every scope, of an application whose storage is away."""
    async with keyring.insider() as opened:
        yield opened


@pytest.fixture
async def anyone(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a key."""
    async with client_of(app) as opened:
        yield opened


MakeKey = Callable[..., Awaitable[str]]


@pytest.fixture
def make_key(pool: asyncpg.Pool, clock: FixedClock) -> MakeKey:
    """Makes an API key with the scopes given."""

    async def made(*scopes: str) -> str:
        async with pool.acquire() as connection:
            return await create_key(connection, "shop", scopes, at=clock.at)

    return made


@pytest.fixture
async def unpublished(anyone: httpx.AsyncClient, make_key: MakeKey) -> httpx.AsyncClient:
    """A client with a key of every scope, before any programme."""
    anyone.headers["Authorization"] = f"Bearer {await make_key(*SCOPES)}"
    return anyone


@pytest.fixture
async def client(unpublished: httpx.AsyncClient, clock: FixedClock) -> httpx.AsyncClient:
    """A client with a key of every scope, ten days after the programme began to hold."""
    made = await unpublished.post(
        "/v1/program/versions", content=DOCUMENT, headers={"Content-Type": "application/yaml"}
    )
    assert made.status_code == 201, made.text
    clock.at = START + 10 * DAY
    return unpublished


@pytest.fixture
async def owner(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """As the superuser connects."""
    async with connected(database.owner_url, purpose="test", role=None) as opened:
        yield opened
