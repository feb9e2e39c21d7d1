"""The journal alone makes all other tables, and what was changed in them is named."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.application.intake import event_digest
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import catch_up_due, record_batch
from services.loyalty.application.store import Incoming
from services.loyalty.db import replay as replaying
from services.loyalty.db.replay import replay
from services.loyalty.db.replayed import SECOND
from services.loyalty.db.session import PgSession
from services.loyalty.domain.activity import (
    Activity,
    Adjusted,
    Amended,
    AnyBody,
    Cancelled,
    Delivered,
    Engaged,
    Enrolled,
    Line,
    Purchased,
    RedemptionRequested,
    Refunded,
    RefundLine,
    Segmented,
    StatusChanged,
    TransferRequested,
)
from services.loyalty.domain.calendar import DAY, HOUR, Instant, to_datetime
from tests.postgres import Database

START: Instant = 1_291_291_200_000_000  # 2010-12-02T12:00:00Z
DOCUMENT = (Path(__file__).parents[3] / "contracts/programs/gift-shop.yaml").read_text("utf-8")
MEMBERS = [f"m{number:02}" for number in range(12)]


def happenings(chance: random.Random) -> Iterator[tuple[str, AnyBody]]:
    """What may happen to members, whether it makes sense or not; orders meet their refunds, late
    and early.
    """
    kinds = [
        "buy", "buy", "buy", "buy", "refund", "refund", "cancel", "deliver", "amend", "engage",
        "redeem", "adjust", "segment", "status", "send",
    ]  # fmt: skip
    while True:
        member, order = chance.choice(MEMBERS), f"o{chance.randrange(90)}"
        lines = [
            Line(
                position, f"{chance.randrange(300)}", chance.randrange(1, 9), chance.randrange(2000)
            )
            for position in range(1, chance.randrange(2, 5))
        ]
        bodies: dict[str, AnyBody] = {
            "buy": Purchased(order, "GBP", lines),
            "refund": Refunded(order, "GBP", [RefundLine(1, 1)], chance.choice([0, 0, 250])),
            "cancel": Cancelled(order),
            "deliver": Delivered(order),
            "amend": Amended(order, "GBP", lines),
            "engage": Engaged(chance.choice(["product.reviewed", "survey.answered"])),
            "redeem": RedemptionRequested(f"r{chance.random()}", "tea-towel"),
            "adjust": Adjusted("points", chance.randrange(-300, 600), "goodwill", "ann"),
            "segment": Segmented("vip", START, START + 40 * DAY),
            "status": StatusChanged(chance.choice(["suspended", "active", "active", "active"])),
            "send": TransferRequested("t", member, "m00", "points", 5),
        }
        yield member, bodies[chance.choice(kinds)]


def message(member: str, body: AnyBody, at: Instant, name: str) -> Incoming:
    return Incoming(
        member, Activity(body, at, 0, "/test", name), event_digest("/test", name), name.encode()
    )


@pytest.fixture
async def lives(session: PgSession) -> None:
    """Half a year of twelve members, the first two of whom join late."""
    await session.connection.execute(
        "INSERT INTO program_version (version, holds_from, published_at, document, digest,"
        " published_by) VALUES (1, $1, $1, $2, 'd', 'ann')",
        to_datetime(START - DAY),
        DOCUMENT,
    )
    chance, programs, clock = random.Random(17), Programs(), FixedClock(START)
    joining = [message(member, Enrolled(), START, f"join-{member}") for member in MEMBERS]
    await record_batch(session, programs, clock, joining[2:])
    happens = happenings(chance)
    for day in range(0, 180, 6):
        clock.at = START + day * DAY
        batch = [
            message(*next(happens), clock.at - chance.randrange(240) * HOUR, f"{day}-{number}")
            for number in range(25)
        ]
        if day == 30:
            batch += joining[:2]
        await record_batch(session, programs, clock, batch)
        await catch_up_due(session, programs, clock, until=clock.at)
    await session.open_accounts(["opened-only"])


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
    monkeypatch.setattr(replaying, "CHUNK", 7)
    monkeypatch.setattr(replaying, "SPAN", 120)
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
