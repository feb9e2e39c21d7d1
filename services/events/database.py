"""How the edge reaches the database, which the composition root hands in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from services.loyalty.application.store import Session

CLOSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Database:
    """Opens connections of the driver, and sessions on them.

    Attributes:
        open: a new connection in the application's role; the argument names its purpose.
        session: the port of the use cases on such a connection. What the edge itself writes
            (positions, dead letters) goes over the same one, and so into the same transaction.
    """

    open: Callable[[str], Awaitable[Any]]
    session: Callable[[Any], Session]


@asynccontextmanager
async def closed(connection: Any) -> AsyncIterator[Any]:
    """The connection for a ``with`` block, closed at its end; a dead one is dropped at once."""
    try:
        yield connection
    finally:
        try:
            await connection.close(timeout=CLOSE_S)
        except Exception:
            connection.terminate()
