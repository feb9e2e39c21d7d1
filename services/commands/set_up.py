"""Commands that prepare a deployment: the schema, the topics, the service's login, the settings."""

from __future__ import annotations

from argparse import Namespace
from urllib.parse import unquote, urlsplit

import asyncpg

from services.commands import wiring
from services.events.topics import ensure_topics
from services.failures import Refusal
from services.loyalty.db import migrate as migrations
from services.loyalty.db.connect import connected
from services.settings import Settings, settings_table


async def show_settings(settings: Settings, options: Namespace) -> None:
    """Prints every setting with its value, or with its default."""
    print(settings_table(None if options.defaults else settings))


async def migrate(settings: Settings, options: Namespace) -> None:
    """Brings schema, login and topics up to this version; ``--check`` only looks at the schema."""
    if options.check:
        await _check(settings)
        return
    url = wiring.owner_url(settings)
    reached = migrations.upgrade(url)
    ahead = "" if reached == migrations.head() else ", which is ahead of this program and is kept"
    print(f"schema: at {reached}{ahead}")
    login = await _let_in(url, settings.database_url)
    print(f"login: {login} may work with it")
    if not settings.kafka_bootstrap:
        print("topics: not looked at, because LOYALTY_KAFKA_BOOTSTRAP is not set")
        return
    made = await ensure_topics(
        wiring.kafka(settings),
        partitions=settings.kafka_partitions,
        replication=settings.kafka_replication,
    )
    print(f"topics: made {', '.join(made)}" if made else "topics: all there")


async def _check(settings: Settings) -> None:
    async with connected(wiring.owner_url(settings), purpose="migrate", role=None) as connection:
        await migrations.require_schema(connection)
    print(f"schema: at {migrations.head()}")


async def _let_in(owner_url: str, url: str) -> str:
    """Makes sure that the login of the service's URL exists and may take on its role.

    A login that is missing is made, with the URL's password.
    """
    parts = urlsplit(url or owner_url)
    login = unquote(parts.username or "")
    async with connected(owner_url, purpose="migrate", role=None) as connection:
        try:
            return await _grant(connection, login, unquote(parts.password or ""))
        except asyncpg.InsufficientPrivilegeError as error:
            raise Refusal(
                f"the database's owner may not let {login} in: as superuser, make that login"
                f" and GRANT loyalty_app TO {login}"
            ) from error


async def _grant(connection: asyncpg.Connection, login: str, password: str) -> str:
    if not login:
        return str(await connection.fetchval("SELECT current_user"))
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", login):
        made = "SELECT format('CREATE ROLE %I LOGIN PASSWORD %L', $1::text, $2::text)"
        await connection.execute(await connection.fetchval(made, login, password))
    if not await connection.fetchval("SELECT pg_has_role($1, 'loyalty_app', 'MEMBER')", login):
        granted = "SELECT format('GRANT loyalty_app TO %I', $1::text)"
        await connection.execute(await connection.fetchval(granted, login))
    return login
