"""How Alembic reaches the database: over our own connection, one migrator at a time.

The URL comes from the caller (:mod:`services.loyalty.db.migrate`), or, on Alembic's own command
line, from ``LOYALTY_MIGRATION_DATABASE_URL`` or ``LOYALTY_DATABASE_URL``.
"""

from __future__ import annotations

import os

import uvloop
from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from services.loyalty.db.connect import Limits, connect
from services.loyalty.db.tables import metadata

_LIMITS = Limits(statement_ms=0, lock_ms=5_000, idle_in_transaction_ms=60_000)
_ONE_MIGRATOR = 0x6D696772617465  # "migrate", as the key of an advisory lock


def run(connection: Connection) -> None:
    """Runs the migrations in one transaction; another migrator waits, then finds nothing to do."""
    context.configure(connection=connection, target_metadata=metadata)
    with context.begin_transaction():
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_ONE_MIGRATOR})"))
        connection.execute(text(f"SET LOCAL lock_timeout = {_LIMITS.lock_ms}"))
        context.run_migrations()


async def online(url: str) -> None:
    """Connects as whoever the URL names, and not as the application's role."""

    async def opened() -> object:
        return await connect(url, purpose="migrate", role=None, limits=_LIMITS)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=opened, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


def _url_from_environment() -> str:
    owner = os.environ.get("LOYALTY_MIGRATION_DATABASE_URL")
    return owner or os.environ["LOYALTY_DATABASE_URL"]


if context.is_offline_mode():
    raise SystemExit("migrations are run against a database, not written out as SQL")
uvloop.run(online(context.config.attributes.get("url") or _url_from_environment()))
