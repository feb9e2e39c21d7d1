"""One statement records a request or does not, whoever else writes."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from services.loyalty.application.store import AlreadyRecorded, Decided, ProfilePatch
from services.loyalty.db import tables
from services.loyalty.db.connect import create_pool
from services.loyalty.db.session import PgSession
from services.loyalty.db.single import Answer, read_one, write_one
from tests.loyalty.db.handmade import (
    as_read,
    bought,
    cancelled,
    captured,
    closed,
    digest,
    expired,
    held,
    opened,
    parked,
    record,
    redeemed,
    resumed,
    rewarded,
    write_of,
)
from tests.postgres import Database

ANSWER = Answer(b"key", b"request", 201, '{"reward": "mug"}')


async def test_a_member_that_nobody_opened_is_not_found(connection: asyncpg.Connection) -> None:
    seen = await read_one(connection, "ada", idempotency_key_digest=b"key")
    assert (seen.loaded, seen.answer, seen.program_version) == (None, None, 0)


async def test_the_answer_is_recorded_with_its_effect(session: PgSession) -> None:
    await opened(session, "ada")
    seen = await read_one(session.connection, "ada", idempotency_key_digest=b"key")
    assert seen.loaded
    assert seen.answer is None
    write = write_of(seen.loaded, bought("1"), rewarded)
    assert await write_one(session.connection, write, idempotency=ANSWER)
    after = await read_one(session.connection, "ada", idempotency_key_digest=b"key")
    assert after.loaded
    assert after.answer == ANSWER
    assert after.loaded.account == write.account
    assert (await read_one(session.connection, "ada", idempotency_key_digest=b"?")).answer is None


BESIDE_DECISIONS = {"profile", "dead_letter", "idempotency", "checkpoint_head"}
"""Tables of members that no Decision writes."""


OWN_CODE = {"voucher": ("code", "doc"), "journal": ("facts",)}
"""Columns that have a voucher's code or its digest, which no two members share."""


async def test_one_statement_writes_what_a_batch_writes(session: PgSession) -> None:
    lives = (
        (bought("1"), held, parked, rewarded, bought("2", 70, level="silver")),
        (resumed, expired, captured, closed),
    )
    for life in lives:
        ada, bob = await opened(session, "ada", "bob")
        await record(session, write_of(ada, *life))
        assert await write_one(session.connection, write_of(bob, *life))
    for spend in (lambda code: (bought("3"), redeemed(code)), lambda code: (cancelled(code),)):
        ada, bob = await opened(session, "ada", "bob")
        await record(session, write_of(ada, *spend("one")))
        assert await write_one(session.connection, write_of(bob, *spend("other")))
    for table in tables.metadata.tables.values():
        if "member_id" not in table.c or table.name in BESIDE_DECISIONS:
            continue
        own = ("member_id", "link", "head", *OWN_CODE.get(table.name, ()))
        same = [c.name for c in table.c if c.name not in own]
        rows = await session.connection.fetch(
            f"SELECT member_id, ({', '.join(same)})::text FROM {table.name} ORDER BY 1, 2"
        )
        one, other = ([row[1] for row in rows if row[0] == member] for member in ("ada", "bob"))
        assert one == other, table.name
        assert one or table.name in ("parked", "referral_code"), table.name


async def test_a_profile_is_patched_and_erased(session: PgSession) -> None:
    [ada] = await opened(session, "ada")
    await write_one(session.connection, write_of(ada, profile=ProfilePatch(language="cy")))
    assert await session.connection.fetchval("SELECT language FROM profile") == "cy"
    [ada] = await opened(session, "ada")
    await write_one(session.connection, write_of(ada, rewarded, profile=ProfilePatch(erase=True)))
    assert await session.connection.fetchval("SELECT count(*) FROM profile") == 0


async def test_who_comes_second_writes_nothing(session: PgSession) -> None:
    [ada] = await opened(session, "ada")
    assert await write_one(session.connection, write_of(ada, bought("1")), idempotency=ANSWER)
    late = write_of(ada, rewarded)
    assert not await write_one(session.connection, late, idempotency=Answer(b"k2", b"", 200, ""))
    for table in ("journal", "outbox", "idempotency"):
        assert await session.connection.fetchval(f"SELECT count(*) FROM {table}") == 1
    assert await session.connection.fetchval("SELECT count(*) FROM issued_reward") == 0


async def test_a_taken_idempotency_key_means_read_again(session: PgSession) -> None:
    [ada] = await opened(session, "ada")
    assert await write_one(session.connection, write_of(ada, bought("1")), idempotency=ANSWER)
    [ada] = await opened(session, "ada")
    assert not await write_one(session.connection, write_of(ada, rewarded), idempotency=ANSWER)
    assert as_read(*(await session.load_accounts(["ada"])).values()) == as_read(ada)


async def test_an_event_recorded_meanwhile_is_told_apart(session: PgSession) -> None:
    [ada] = await opened(session, "ada")
    await write_one(session.connection, write_of(ada, bought("1")))
    [ada] = await opened(session, "ada")
    twice = write_of(ada, bought("2"))
    [other] = twice.decided
    twice.decided = [Decided(other.decision, digest("/shop event-1"), other.content_digest)]
    with pytest.raises(AlreadyRecorded):
        await write_one(session.connection, twice)


async def test_of_many_at_once_each_counts_once(session: PgSession, database: Database) -> None:
    await opened(session, "ada")
    pool = await create_pool(database.url, purpose="race", max_size=8)

    async def buy(order: str) -> int:
        for attempt in range(1, 200):
            async with pool.acquire() as connection:
                seen = await read_one(connection, "ada")
                assert seen.loaded
                if await write_one(connection, write_of(seen.loaded, bought(order, 5))):
                    return attempt
        raise AssertionError("lost 200 times")

    try:
        attempts = await asyncio.gather(*(buy(str(n)) for n in range(40)))
    finally:
        await pool.close()
    [ada] = await opened(session, "ada")
    assert (ada.account.seq, ada.account.available("points"), ada.version) == (40, 200, 40)
    assert max(attempts) > 1, "nobody raced"
