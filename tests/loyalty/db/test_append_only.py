"""What is written once stays: for everyone by triggers, for the application by its privileges."""

from __future__ import annotations

from itertools import product

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.loyalty.db import checkpoints, tables
from services.loyalty.db.programs import publish
from services.loyalty.db.session import PgSession
from services.loyalty.domain.calendar import DAY, to_datetime
from services.loyalty.domain.ledger import TRANSFERS
from tests.loyalty.db.handmade import START, bought, lived

CHANGES = {
    "journal": ("UPDATE journal SET reason = 'x'", "DELETE FROM journal", "TRUNCATE journal"),
    "ledger": ("UPDATE ledger SET points = 1", "DELETE FROM ledger", "TRUNCATE ledger"),
    "program_version": (
        "UPDATE program_version SET document = ''",
        "DELETE FROM program_version",
        "TRUNCATE program_version",
    ),
    "checkpoint": (
        "UPDATE checkpoint SET document = ''",
        "DELETE FROM checkpoint",
        "TRUNCATE checkpoint",
    ),
    "checkpoint_head": (
        "UPDATE checkpoint_head SET head = sha256('x')",
        "DELETE FROM checkpoint_head",
        "TRUNCATE checkpoint_head",
    ),
    "book_close": (
        "UPDATE book_close SET closed_by = 'x'",
        "DELETE FROM book_close",
        "TRUNCATE book_close",
    ),
    "book_approval": (
        "UPDATE book_approval SET value = '1'",
        "DELETE FROM book_approval",
        "TRUNCATE book_approval",
    ),
}


@pytest.fixture
async def history(session: PgSession) -> None:
    await lived(session, ["ada"], bought("1"))
    await publish(
        session.connection,
        holds_from=START,
        published_at=START,
        document="{}",
        digest="d",
        published_by="ann",
    )
    await checkpoints.make(session.connection, Ed25519PrivateKey.generate(), at=START)
    await session.connection.execute(
        "INSERT INTO book_close VALUES ('2010-11', $1, $2, 1, $2, 'ann', 1, '{}')",
        to_datetime(START - DAY),
        to_datetime(START),
    )
    await session.connection.execute(
        "INSERT INTO book_approval VALUES (1, 'redemption', 'points', '', '0.9', $1, 'ann', $1)",
        to_datetime(START),
    )


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("table", CHANGES)
async def test_not_even_a_superuser_changes_what_is_append_only(
    table: str, owner: asyncpg.Connection
) -> None:
    for change in CHANGES[table]:
        with pytest.raises(asyncpg.PostgresError, match=f"{table} is append-only"):
            await owner.execute(change)
    assert await owner.fetchval(f"SELECT count(*) FROM {table}") > 0


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize("table", CHANGES)
async def test_the_application_lacks_the_privilege_to_try(
    table: str, connection: asyncpg.Connection
) -> None:
    for change in CHANGES[table]:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(change)


async def test_the_application_owns_nothing_and_disables_nothing(
    connection: asyncpg.Connection,
) -> None:
    for attempt in (
        "ALTER TABLE ledger DISABLE TRIGGER ALL",
        "DROP TRIGGER ledger_append_only ON ledger",
        "SET session_replication_role = replica",
        "ALTER TABLE ledger ADD COLUMN x int",
        "CREATE TABLE mine (x int)",
        "DROP TABLE journal",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(attempt)


async def test_every_table_can_be_read_by_the_application_and_most_cannot_be_emptied(
    connection: asyncpg.Connection,
) -> None:
    for table in tables.metadata.tables:
        await connection.fetchval(f"SELECT count(*) FROM {table}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"TRUNCATE {table}")
    for table in ("account", "receipt", "lot", "history", "tier_history", "issued_reward"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"DELETE FROM {table}")


async def test_the_database_knows_exactly_the_transfers_of_the_domain(
    owner: asyncpg.Connection,
) -> None:
    definition = await owner.fetchval(
        "SELECT pg_get_expr(conbin, conrelid) FROM pg_constraint WHERE conname = 'ledger_transfer'"
    )
    buckets = sorted({bucket for pairs in TRANSFERS.values() for pair in pairs for bucket in pair})
    asked = list(product([*TRANSFERS, "gift"], buckets, buckets))
    allowed = await owner.fetch(
        "SELECT kind, from_bucket, to_bucket FROM unnest($1::text[], $2::text[], $3::text[])"
        f" AS l(kind, from_bucket, to_bucket) WHERE {definition}",
        *zip(*asked, strict=True),
    )
    assert {tuple(row) for row in allowed} == {
        (kind, *pair) for kind, pairs in TRANSFERS.items() for pair in pairs
    }


@pytest.mark.parametrize(
    "wrong",
    ["points = 0", "points = -5", "n = -1", "kind = 'gift'", "to_bucket = 'pocket'", "seq = 0"],
)
async def test_an_impossible_entry_is_refused(wrong: str, owner: asyncpg.Connection) -> None:
    column, _, value = wrong.partition(" = ")
    row = {
        "member_id": "'ada'",
        "seq": "1",
        "n": "0",
        "kind": "'accrual'",
        "currency": "'points'",
        "points": "5",
        "from_bucket": "'issuance'",
        "to_bucket": "'available'",
        "lot_from": "''",
        "lot_to": "'l'",
        "cause": "''",
        "order_id": "''",
    } | {column: value}
    with pytest.raises(asyncpg.CheckViolationError):
        await owner.execute(
            f"INSERT INTO ledger ({', '.join(row)}) VALUES ({', '.join(row.values())})"
        )
