"""The journal alone makes all other tables, and what was changed in them is named."""

from __future__ import annotations

import asyncpg
import pytest

from services.loyalty.db import folding
from services.loyalty.db.replay import replay
from services.loyalty.db.replayed import SECOND
from tests.loyalty.db.half_a_year import MEMBERS
from tests.postgres import Database


@pytest.mark.usefixtures("lives")
async def test_every_table_is_what_the_journal_makes(
    connection: asyncpg.Connection, database: Database
) -> None:
    seen: list[tuple[int, int]] = []
    replayed = await replay(database.url, progress=lambda *done: seen.append(done))
    assert replayed.identical, replayed.first
    assert replayed.members == len(MEMBERS)
    for table in ("journal", *(each.name for each in SECOND)):
        besides = "WHERE seq > 0" if table == "account" else ""
        rows = await connection.fetchval(f"SELECT count(*) FROM {table} {besides}")
        assert replayed.compared[table] == rows
        assert rows or table == "parked", f"the lives leave nothing in {table}"
    assert replayed.activities == replayed.compared["journal"]
    assert seen[-1] == (replayed.activities, replayed.activities)


@pytest.mark.usefixtures("lives")
async def test_how_the_work_is_cut_and_shared_changes_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await replay(database.url)
    monkeypatch.setattr(folding, "CHUNK", 7)
    monkeypatch.setattr(folding, "SPAN", 120)
    assert await replay(database.url) == whole
    assert await replay(database.url, processes=2) == whole


@pytest.mark.usefixtures("lives")
async def test_one_member_is_replayed_alone(
    connection: asyncpg.Connection, database: Database
) -> None:
    one = await replay(database.url, member="m03")
    rows = await connection.fetchval("SELECT count(*) FROM journal WHERE member_id = 'm03'")
    assert (one.members, one.activities, one.identical) == (1, rows, True)
    nobody = await replay(database.url, member="m0")
    assert (nobody.members, nobody.identical) == (0, True)


@pytest.mark.usefixtures("lives")
async def test_events_that_were_published_are_counted_and_not_missed(
    owner: asyncpg.Connection, database: Database
) -> None:
    await owner.execute(
        "DELETE FROM outbox o WHERE (recorded_at, member_id, seq, n) <= (SELECT recorded_at,"
        " member_id, seq, n FROM outbox ORDER BY 1, 2, 3, 4 OFFSET 100 LIMIT 1)"
    )
    replayed = await replay(database.url)
    assert replayed.identical, replayed.first
    assert replayed.relayed == 101
    assert replayed.compared["outbox"] == await owner.fetchval("SELECT count(*) FROM outbox")


BENT = {
    "ledger": "UPDATE ledger SET points = points + 1 WHERE (member_id, seq, n) ="
    " (SELECT member_id, seq, n FROM ledger WHERE member_id = 'm05' ORDER BY seq, n LIMIT 1)",
    "ledger, less": "DELETE FROM ledger WHERE (member_id, seq) ="
    " (SELECT member_id, max(seq) FROM ledger WHERE member_id = 'm05' GROUP BY 1)",
    "ledger, more": "INSERT INTO ledger VALUES ('m05', 9999, 0, 'accrual', 'points', 5, 'issuance',"
    " 'available', '', 'points/2010-12/5', 'base', '')",
    "journal": "UPDATE journal SET trace = '{}' WHERE member_id = 'm05' AND trace <> '{}'",
    "journal, the facts": "UPDATE journal SET facts = '[]' WHERE member_id = 'm05' AND seq = 3",
    "journal, the version": "UPDATE journal SET program_version = 7 WHERE member_id = 'm05'",
    "journal, cut": "DELETE FROM journal WHERE member_id = 'm05' AND seq = 2",
    "outbox": "UPDATE outbox SET data = '{}' WHERE member_id = 'm05' AND seq = 3",
    "outbox, a hole": "DELETE FROM outbox WHERE member_id = 'm05' AND seq = 5",
    "receipt": "UPDATE receipt SET doc = doc || ' ' WHERE member_id = 'm05'",
    "lot": "UPDATE lot SET expired = expired + 1 WHERE member_id = 'm05'",
    "lot, another": "INSERT INTO lot VALUES ('m05', 'points/2010-12/5', 0, 0, 0)",
    "history": "UPDATE history SET times = times + 1 WHERE member_id = 'm05'",
    "tier_history": "UPDATE tier_history SET level = 'tin' WHERE member_id = 'm05'",
    "issued_reward": "INSERT INTO issued_reward VALUES ('m05', 2, 0, 'mug', 'gift', 'x', 0, now())",
    "parked": "INSERT INTO parked VALUES ('m05', 2, 'late', NULL, now(), '{}')",
    "account": "UPDATE account SET state = state || ' ' WHERE member_id = 'm05'",
    "account, gone": "DELETE FROM account WHERE member_id = 'm05'",
}


@pytest.mark.tampered
@pytest.mark.usefixtures("lives")
@pytest.mark.parametrize("what", BENT)
async def test_what_was_changed_is_named(
    what: str, owner: asyncpg.Connection, database: Database
) -> None:
    await owner.execute("SET session_replication_role = replica")
    assert not (await owner.execute(BENT[what])).endswith(" 0")
    first = (await replay(database.url)).first
    assert first is not None
    assert (first.member, first.table) == ("m05", what.partition(",")[0]), first
    assert str(first).startswith(f"member m05, seq {first.seq}, {first.table}")


@pytest.mark.tampered
@pytest.mark.usefixtures("lives")
async def test_a_member_of_whom_only_rows_are_there_is_found(
    owner: asyncpg.Connection, database: Database
) -> None:
    for stranger in ("a", "m055", "zz"):
        await owner.execute("INSERT INTO receipt VALUES ($1, 'o', '{}')", stranger)
    found = [
        (each.member, each.table, each.expected) for each in (await replay(database.url)).wrong
    ]
    assert found == [("a", "receipt", None), ("m055", "receipt", None), ("zz", "receipt", None)]


@pytest.mark.usefixtures("lives")
async def test_a_replay_leaves_nothing_behind(
    owner: asyncpg.Connection, database: Database
) -> None:
    before = await owner.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' ORDER BY 1")
    await replay(database.url)
    after = await owner.fetch("SELECT relname FROM pg_class WHERE relkind = 'r' ORDER BY 1")
    assert after == before
