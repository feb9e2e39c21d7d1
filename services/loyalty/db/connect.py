"""Connections to PostgreSQL: role, timeouts, and what is said when the database is not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import asyncpg

from services.loyalty.db.instants import take_instants
from services.loyalty.db.tables import APP_ROLE

_T = TypeVar("_T")


class DatabaseUnavailable(Exception):
    """The database cannot be reached or refuses us; the message is one line without secrets."""


class SchemaBehind(Exception):
    """The database lacks migrations that this program needs; the message names the remedy."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a session may hold up others, in milliseconds; 0 is without end.

    A process that was stopped, or cut off from the network, so loses its locks instead of keeping
    them for ever.
    """

    statement_ms: int = 30_000
    lock_ms: int = 10_000
    idle_in_transaction_ms: int = 15_000
    connect_ms: int = 10_000


DEFAULT_LIMITS = Limits()

NO_HURRY = Limits(statement_ms=0, idle_in_transaction_ms=0)
"""For who reads a whole history: statements and transactions that take their time."""

_BY_KEY = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}
"""How the application's statements are planned: once, and by index.

Each names its keys, up to a few thousand. A plan made while a table is small would rather read it
whole, and would be kept while the table grows.
"""


def plain_url(url: str) -> str:
    """``url`` as the driver reads it: ``postgresql+asyncpg://`` and ``postgres://`` become
    ``postgresql://``.

    Raises:
        DatabaseUnavailable: it is not a PostgreSQL URL.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise DatabaseUnavailable("the database URL must begin with postgresql://")
    return f"postgresql://{rest}"


async def connect(
    url: str, *, purpose: str, role: str | None = APP_ROLE, limits: Limits = DEFAULT_LIMITS
) -> asyncpg.Connection:
    """An open connection.

    ``purpose`` shows in ``pg_stat_activity``; ``role`` is taken on at once, None keeps that of the
    URL.

    Raises:
        DatabaseUnavailable: it cannot be reached, or refuses us.
        SchemaBehind: it has never been migrated, so that the role does not exist.
    """
    return await _explained(url, _opened(url, purpose, role, limits))


async def create_pool(
    url: str,
    *,
    purpose: str,
    min_size: int = 1,
    max_size: int = 10,
    role: str | None = APP_ROLE,
    limits: Limits = DEFAULT_LIMITS,
) -> asyncpg.Pool:
    """A pool of such connections; raises as :func:`connect` does."""
    opening = asyncpg.create_pool(
        plain_url(url),
        min_size=min_size,
        max_size=max_size,
        timeout=limits.connect_ms / 1000,
        server_settings=_server_settings(purpose, role, limits),
        init=take_instants,
        reset=_reset,
    )
    pool: asyncpg.Pool = await _explained(url, opening)
    return pool


@asynccontextmanager
async def connected(
    url: str, *, purpose: str, role: str | None = APP_ROLE, limits: Limits = DEFAULT_LIMITS
) -> AsyncIterator[asyncpg.Connection]:
    """A connection for the time of a ``with`` block; raises as :func:`connect` does."""
    connection = await connect(url, purpose=purpose, role=role, limits=limits)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


def place(url: str) -> str:
    """Where the database is, for messages: ``host:port/name``, without user and password."""
    parts = urlsplit(plain_url(url))
    host = parts.netloc.rpartition("@")[2] or "the local socket"
    return f"{host}{parts.path}"


async def _opened(url: str, purpose: str, role: str | None, limits: Limits) -> asyncpg.Connection:
    connection = await asyncpg.connect(
        plain_url(url),
        timeout=limits.connect_ms / 1000,
        server_settings=_server_settings(purpose, role, limits),
    )
    try:
        async with asyncio.timeout(limits.connect_ms / 1000):
            await take_instants(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _server_settings(purpose: str, role: str | None, limits: Limits) -> dict[str, str]:
    settings = {
        "application_name": f"loyalty {purpose}",
        "timezone": "UTC",
        "statement_timeout": str(limits.statement_ms),
        "lock_timeout": str(limits.lock_ms),
        "idle_in_transaction_session_timeout": str(limits.idle_in_transaction_ms),
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
        "tcp_user_timeout": "60000",
        "jit": "off",
    }
    return settings | _BY_KEY | {"role": role} if role else settings


async def _reset(_: asyncpg.Connection) -> None:
    """What a pool does on release beyond rolling back: nothing, because our code leaves nothing."""


async def _explained(url: str, opening: Awaitable[_T]) -> _T:
    try:
        return await opening
    except asyncpg.InvalidParameterValueError as error:
        if f'role "{APP_ROLE}"' in str(error):
            raise SchemaBehind(
                f"{place(url)} has not been prepared: run `loyalty migrate`"
            ) from error
        raise DatabaseUnavailable(f"{place(url)}: {_line(error)}") from error
    except TimeoutError as error:
        raise DatabaseUnavailable(f"{place(url)} does not answer") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise DatabaseUnavailable(f"{place(url)}: {_line(error)}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
