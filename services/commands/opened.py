"""The database, open for a command that judges by the published programmes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.commands import wiring
from services.loyalty.application.programs import Programs
from services.loyalty.db.connect import DEFAULT_LIMITS, Limits, connected
from services.loyalty.db.migrate import require_schema
from services.loyalty.db.session import PgSession
from services.settings import Settings


@asynccontextmanager
async def opened(
    settings: Settings, *, purpose: str, limits: Limits = DEFAULT_LIMITS
) -> AsyncIterator[tuple[PgSession, Programs]]:
    """A session, and every version that is published by now.

    Raises:
        SchemaBehind: the database lacks migrations.
        SettingsRefused: no database is set.
    """
    programs = Programs()
    async with connected(
        wiring.database_url(settings), purpose=purpose, limits=limits
    ) as connection:
        await require_schema(connection)
        session = PgSession(connection)
        await programs.refresh(session)
        yield session, programs
