"""The PostgreSQL that tests run on, and a fresh migrated database for each of them.

Found in this order: the one that LOYALTY_TEST_DATABASE_URL names (as superuser), a server package's
programs, the wheel's. LOYALTY_TEST_POSTGRES=wheel passes over the server package.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import uvloop

from services.embedded import PostgresServer, programs_from_wheel
from services.loyalty.db import migrate
from services.loyalty.db.connect import connected
from services.loyalty.db.verify import verify

TEMPLATE = "loyalty_template"
LOGIN, PASSWORD = "loyalty_test_login", "known to all"


@dataclass(frozen=True)
class PostgresSource:
    """Where PostgreSQL comes from: a URL, or the directory of programs to start it with."""

    described: str
    real: bool
    url: str | None = None
    programs: Path | None = None

    @contextmanager
    def running(self) -> Iterator[str]:
        """The superuser's URL while it runs."""
        if self.url is not None:
            yield self.url
            return
        assert self.programs is not None
        server = PostgresServer(self.programs)
        try:
            server.wait_until_ready()
            yield server.url
        finally:
            server.stop()


def find_postgres() -> PostgresSource:
    if url := os.environ.get("LOYALTY_TEST_DATABASE_URL"):
        version = uvloop.run(_server_version(url))
        return PostgresSource(f"{version} from LOYALTY_TEST_DATABASE_URL", real=True, url=url)
    packaged = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_major)
    if packaged and os.environ.get("LOYALTY_TEST_POSTGRES") != "wheel":
        programs = packaged[-1].parent
        return PostgresSource(f"{_version(programs)} from {programs}", real=True, programs=programs)
    programs = programs_from_wheel()
    return PostgresSource(f"{_version(programs)} from its wheel", real=False, programs=programs)


def _major(program: Path) -> int:
    return int(program.parent.parent.name)


def _version(programs: Path) -> str:
    done = subprocess.run(
        [programs / "postgres", "--version"], capture_output=True, text=True, check=True
    )
    return done.stdout.partition(") ")[2].split()[0]


async def _server_version(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


@dataclass(frozen=True)
class Database:
    """One test's own database, migrated and empty.

    ``url`` logs in as the application does, with its few privileges; ``owner_url`` as superuser.
    """

    name: str
    url: str
    owner_url: str


def make_template(superuser_url: str) -> None:
    """The migrated database that every test's is cloned from, and the login that tests use."""
    run_sql(superuser_url, f"CREATE DATABASE {TEMPLATE}")
    owner_url = _in_database(superuser_url, TEMPLATE)
    migrate.upgrade(owner_url)
    run_sql(
        owner_url,
        f"CREATE ROLE {LOGIN} LOGIN PASSWORD '{PASSWORD}'",
        f"GRANT loyalty_app TO {LOGIN}",
        f"ALTER ROLE {LOGIN} SET role = loyalty_app",
    )


def drop_template(superuser_url: str) -> None:
    """Leaves a server that outlives the tests as it was found."""
    uvloop.run(_run(superuser_url, f"DROP DATABASE {TEMPLATE} WITH (FORCE)", f"DROP ROLE {LOGIN}"))


async def clone_template(superuser_url: str, name: str) -> Database:
    await _run(superuser_url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    owner_url = _in_database(superuser_url, name)
    return Database(name, as_login(owner_url), owner_url)


async def drop(superuser_url: str, database: Database) -> None:
    await _run(superuser_url, f"DROP DATABASE {database.name} WITH (FORCE)")


def run_sql(url: str, *statements: str) -> None:
    """Runs statements where no event loop is."""
    uvloop.run(_run(url, *statements))


async def _run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _in_database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def as_login(url: str) -> str:
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    login = f"{LOGIN}:{PASSWORD.replace(' ', '%20')}"
    return parts._replace(netloc=f"{login}@{place}").geturl()


async def books_must_balance(database: Database) -> None:
    """After every test the ledger, the chains and the working states agree, whatever it did."""
    async with connected(database.owner_url, purpose="verify", role=None) as connection:
        verdict = await verify(connection)
    assert verdict.sound, f"the books do not balance: {verdict.first}"
