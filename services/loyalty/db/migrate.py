"""Bringing the schema up to what this program needs, and asking whether it is."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import TypeVar

import asyncpg
import uvloop
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from services.loyalty.db.connect import SchemaBehind, connected

MIGRATIONS = Path(__file__).resolve().parents[3] / "migrations"
"""Beside the package ``services``, wherever that was installed from."""

_T = TypeVar("_T")
_one_at_a_time = Lock()


def upgrade(url: str) -> str:
    """Runs all migrations that the database lacks; answers the revision that it then has.

    A schema that is ahead of this program stays as it is: so one may go back to the program before.
    Blocks until done, also when called inside a running event loop.

    Raises:
        DatabaseUnavailable: it cannot be reached, or refuses us.
    """
    revision, newest = current_and_head(url)
    if revision is not None and revision not in _known():
        return revision
    config = _config()
    config.attributes["url"] = url
    with _one_at_a_time:  # Alembic keeps its environment in globals
        _off_the_loop(lambda: command.upgrade(config, "head"))
    return newest


def current_and_head(url: str) -> tuple[str | None, str]:
    """The database's revision, None for one never migrated, and the newest that this program knows.

    Raises:
        DatabaseUnavailable: it cannot be reached, or refuses us.
    """

    async def ask() -> str | None:
        async with connected(url, purpose="migrate", role=None) as connection:
            return await current(connection)

    return _off_the_loop(lambda: uvloop.run(ask())), head()


def head() -> str:
    """The newest revision that this program knows."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    assert newest is not None
    return newest


async def current(connection: asyncpg.Connection) -> str | None:
    """The database's revision, or None for one never migrated."""
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


async def require_schema(connection: asyncpg.Connection) -> None:
    """Returns where the schema has all that this program needs.

    A schema that is ahead will do, because migrations are made to be safe beside the program
    before.

    Raises:
        SchemaBehind: it lacks migrations.
    """
    revision = await current(connection)
    known = _known()
    if revision is None or revision in known[1:]:
        raise SchemaBehind(
            f"the database schema is at {revision or 'nothing'} and this program needs {known[0]}:"
            " run `loyalty migrate`"
        )


def _known() -> list[str]:
    """The revisions that this program knows, newest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _off_the_loop(work: Callable[[], _T]) -> _T:
    """Runs ``work``, which starts an event loop of its own, where none can be running."""
    with ThreadPoolExecutor(1) as other_thread:
        return other_thread.submit(work).result()
