"""The schema is what the tables say, made once and by one migrator at a time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from alembic import command
from alembic.config import Config

from services.loyalty.db import migrate
from services.loyalty.db.connect import SchemaBehind, connected
from services.loyalty.db.migrate import MIGRATIONS, current_and_head, require_schema, upgrade
from tests.postgres import Database


@pytest.fixture
async def empty_url(database_template: str) -> AsyncIterator[str]:
    """A database that was never migrated."""
    name = f"loyalty_{uuid4().hex[:12]}"
    async with connected(database_template, purpose="test", role=None) as admin:
        await admin.execute(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(database_template)._replace(path=f"/{name}").geturl()
        finally:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


# SQLAlchemy hands on what it reflects of a check that is NOT VALID as if it were an option of ours.
@pytest.mark.filterwarnings("ignore:Can't validate argument 'dialect_options'")
async def test_migrations_and_tables_describe_one_schema(database: Database) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = database.owner_url
    await asyncio.to_thread(command.check, config)


async def test_migrating_again_changes_nothing(database: Database) -> None:
    assert upgrade(database.owner_url) == migrate.head()
    assert current_and_head(database.owner_url) == (migrate.head(), migrate.head())


async def test_a_database_never_migrated_is_behind_and_says_what_to_do(empty_url: str) -> None:
    assert current_and_head(empty_url) == (None, migrate.head())
    async with connected(empty_url, purpose="test") as connection:
        with pytest.raises(SchemaBehind, match="run `loyalty migrate`"):
            await require_schema(connection)


async def test_two_migrators_at_once_leave_one_schema(empty_url: str) -> None:
    program = "import sys; from services.loyalty.db.migrate import upgrade; upgrade(sys.argv[1])"
    migrators = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", program, empty_url)
        for _ in range(2)
    ]
    assert [await migrator.wait() for migrator in migrators] == [0, 0]
    async with connected(empty_url, purpose="test") as connection:
        await require_schema(connection)


async def test_a_schema_that_is_ahead_will_do(owner: asyncpg.Connection) -> None:
    await owner.execute("UPDATE alembic_version SET version_num = 'later'")
    await require_schema(owner)


async def test_rows_that_are_updated_in_place_have_room_beside_them(
    owner: asyncpg.Connection,
) -> None:
    filled = await owner.fetch(
        "SELECT relname FROM pg_class WHERE (SELECT option_value::int FROM"
        " pg_options_to_table(reloptions) WHERE option_name = 'fillfactor') < 70"
    )
    assert {"account", "receipt", "position"} <= {row[0] for row in filled}


async def test_keys_of_members_sort_as_python_sorts(owner: asyncpg.Connection) -> None:
    members = ["b", "B", "a-1", "a1", "é", "z", "Z9", "日", "_", "\U0001f600", "\uffee"]
    fill = owner.transaction()
    await fill.start()
    await owner.execute(
        "INSERT INTO lot SELECT m, 'k', 0, 0, 0 FROM unnest($1::text[]) AS m", members
    )
    rows = await owner.fetch("SELECT member_id FROM lot ORDER BY member_id")
    await fill.rollback()
    assert [row[0] for row in rows] == sorted(members)


async def test_every_table_that_grows_with_members_leads_with_the_member(
    owner: asyncpg.Connection,
) -> None:
    leading = await owner.fetch(
        "SELECT c.relname, i.relname, a.attname FROM pg_index x"
        " JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = x.indkey[0]"
        " WHERE c.relnamespace = 'public'::regnamespace AND EXISTS (SELECT FROM pg_attribute m"
        " WHERE m.attrelid = c.oid AND m.attname = 'member_id')"
    )
    others = {row[1] for row in leading if row[2] != "member_id"}
    assert others == {
        "account_due",
        "outbox_order",
        "outbox_derived",
        "dead_letter_pkey",
        "referral_code_pkey",
        "voucher_code_key",
    }
