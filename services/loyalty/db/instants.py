"""Instants as PostgreSQL's timestamps.

A batch writes thousands of them, and a datetime costs a microsecond to make and another to send. So
every connection takes instants wherever a timestamp goes, beside datetimes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import asyncpg

from services.loyalty.domain.calendar import Instant, from_datetime

_Stored: TypeAlias = tuple[int]
"""A timestamp as the driver passes it on: microseconds since PostgreSQL's epoch."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""From which PostgreSQL counts."""

_EPOCH_AT = from_datetime(_EPOCH)
_MICROSECOND = timedelta.resolution


async def take_instants(connection: asyncpg.Connection) -> None:
    """Lets a connection take instants; it still reads timestamps as datetimes in UTC."""
    await _translate(connection, lambda stored: _EPOCH + _MICROSECOND * stored[0])


@asynccontextmanager
async def reading_instants(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Reads timestamps as instants: also those that no calendar holds, as a tampered row may."""
    await _translate(connection, lambda stored: stored[0] + _EPOCH_AT)
    try:
        yield
    finally:
        await take_instants(connection)


async def _translate(
    connection: asyncpg.Connection, read: Callable[[_Stored], Instant | datetime]
) -> None:
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=_stored, decoder=read, format="tuple"
    )


def _stored(moment: Instant | datetime) -> _Stored:
    at = moment if isinstance(moment, int) else from_datetime(moment)
    return (at - _EPOCH_AT,)
