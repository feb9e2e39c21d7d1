"""API keys from the command line."""

from __future__ import annotations

from argparse import Namespace

from services.commands import wiring
from services.loyalty.application.api_keys import SCOPES
from services.loyalty.db import keys
from services.loyalty.db.connect import connected
from services.loyalty.db.session import PgSession
from services.loyalty.domain.calendar import Instant, rfc3339
from services.settings import Settings


async def create(settings: Settings, options: Namespace) -> None:
    """Prints a new key alone on standard output, so that a script can take it."""
    async with connected(wiring.database_url(settings), purpose="keys") as connection:
        now = await wiring.clock(settings).now(PgSession(connection))
        print(await keys.create_key(connection, options.name, options.scope or SCOPES, at=now))


async def show(settings: Settings, options: Namespace) -> None:
    """Prints one line per key: id, state, when, name, scopes."""
    del options
    async with connected(wiring.database_url(settings), purpose="keys") as connection:
        for key in await keys.list_keys(connection):
            state = f"revoked {_day(key.revoked_at)}" if key.revoked_at is not None else "open"
            scopes = " ".join(key.scopes)
            print(f"{key.id}  {state:<18}  made {_day(key.created_at)}  {key.name}  {scopes}")


async def revoke(settings: Settings, options: Namespace) -> None:
    """Closes a key; processes that remember it as good do so for a few seconds."""
    async with connected(wiring.database_url(settings), purpose="keys") as connection:
        now = await wiring.clock(settings).now(PgSession(connection))
        await keys.revoke_key(connection, options.id, at=now)
    print(f"{options.id} opens nothing any more")


def _day(instant: Instant) -> str:
    return rfc3339(instant)[:10]
