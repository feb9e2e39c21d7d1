"""Whatever is changed behind the service's back, `verify` names it."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy import BigInteger, DateTime, Integer, LargeBinary, SmallInteger, Table, Text

from services.loyalty.db.session import PgSession
from services.loyalty.db.tables import journal, ledger
from services.loyalty.db.verify import Verdict, verify
from tests.loyalty.db.handmade import (
    bought,
    closed,
    expired,
    lived,
    parked,
    redeemed,
    resumed,
    rewarded,
    sent,
    told,
)

MEMBERS = ["ada", "bob"]
LIFE = (bought("1"), parked, bought("2", 70, level="silver"), resumed, rewarded, expired, closed)

ANOTHER_VALUE = {
    Text: "{0} || '~'",
    BigInteger: "{0} + 1",
    Integer: "{0} + 1",
    SmallInteger: "{0} + 1",
    DateTime: "{0} + interval '1 microsecond'",
    LargeBinary: "coalesce(set_byte({0}, 0, get_byte({0}, 0) # 1), decode(repeat('7', 32), 'hex'))",
}


BENT = [
    ("DELETE FROM ledger WHERE member_id = 'bob' AND seq = 3 AND n = 0", "bob", "link"),
    ("DELETE FROM ledger WHERE member_id = 'bob' AND seq = 3 AND n = 1", "bob", "link"),
    ("DELETE FROM journal WHERE member_id = 'ada' AND seq = 4", "ada", "seq"),
    ("DELETE FROM journal WHERE member_id = 'bob' AND seq = 7", "bob", "seq and head"),
    ("DELETE FROM account WHERE member_id = 'ada'", "ada", "account"),
    ("UPDATE account SET seq = seq + 1 WHERE member_id = 'ada'", "ada", "seq and head"),
    ("UPDATE account SET head = sha256('x') WHERE member_id = 'ada'", "ada", "seq and head"),
    ("UPDATE account SET status = 'closed' WHERE member_id = 'ada'", "ada", "status"),
    ("UPDATE account SET tier = 'gold' WHERE member_id = 'ada'", "ada", "tier"),
    ("UPDATE account SET state = '{' WHERE member_id = 'ada'", "ada", "working state"),
    (
        "UPDATE account SET state = jsonb_set(state::jsonb, '{arrears}', '{\"points\":5}')"
        " WHERE member_id = 'bob'",
        "bob",
        "arrears of points",
    ),
    (
        "UPDATE account SET state = jsonb_set(state::jsonb, '{lots}',"
        ' \'[["points", "2010-12", 5, 0, "", 9, 9]]\') WHERE member_id = \'bob\'',
        "bob",
        "available lot points/2010-12/5",
    ),
    ("UPDATE lot SET expired = expired - 1 WHERE member_id = 'bob'", "bob", "expired of lot"),
    ("UPDATE lot SET taken_in = taken_in + 1 WHERE member_id = 'bob'", "bob", "taken in of lo"),
    ("UPDATE lot SET reclaimed = 1 WHERE member_id = 'bob'", "bob", "reclaimed of lot"),
    ("UPDATE lot SET successor = 'points/2010-12/9' WHERE member_id = 'bob'", "bob", "successors"),
    (
        "INSERT INTO hold VALUES ('ada', 'h', 2, 'open', 'points', 5, 0, '', '', '', 0, 0,"
        " now(), now() + interval '1 day', NULL)",
        "ada",
        "open holds",
    ),
    (
        "INSERT INTO hold VALUES ('bob', 'h', 2, 'voided', 'points', 5, 0, '', '', '', 0, 0,"
        " now(), now() + interval '1 day', now())",
        "bob",
        "points held and captured",
    ),
    ("DELETE FROM lot WHERE member_id = 'ada'", "ada", "expired of lot"),
    ("UPDATE history SET points = 9 WHERE member_id = 'ada'", "ada", "window status/2010-12"),
    ("DELETE FROM history WHERE member_id = 'ada'", "ada", "window status/2010-12"),
    ("UPDATE tier_history SET level = 'tin'", "ada", "latest level"),
    (
        "INSERT INTO referral_code VALUES ('ada', '000000000000', 1)",
        "ada",
        "referral code",
    ),
    (
        "INSERT INTO parked VALUES ('ada', 2, 'late', NULL, now(), '{}')",
        "ada",
        "parked activities",
    ),
]
"""Changes, whose books they bend, and how what is found begins."""


SPENT = [
    ("UPDATE voucher SET code = 'another'", "code of voucher v2-0"),
    ("UPDATE voucher SET points = 39", "columns of voucher v2-0"),
    ("UPDATE voucher SET worth = 5, money = 'GBP'", "columns of voucher v2-0"),
    ("DELETE FROM voucher", "open vouchers"),
    ("UPDATE voucher SET doc = replace(doc, '\"points\":40', '\"points\":41'), points = 41",
     "points of voucher v2-0"),
    ("UPDATE redemption SET returned = 1", "columns of redemption r"),
    ("DELETE FROM redemption", "points and returned points of redemption r"),
    ("UPDATE redemption SET doc = replace(doc, ',40]]', ',39]]')", "draws of redemption r"),
]  # fmt: skip
"""Changes to what was spent, and how what is found begins."""


@pytest.mark.tampered
@pytest.mark.parametrize(("change", "what"), SPENT)
async def test_a_change_to_redemptions_and_vouchers_is_found(
    session: PgSession,
    connection: asyncpg.Connection,
    owner: asyncpg.Connection,
    change: str,
    what: str,
) -> None:
    await lived(session, ["ada"], bought("1"), redeemed("7Q3KV"))
    await owner.execute("SET session_replication_role = replica")
    verdict = await verify(connection)
    assert verdict.sound, verdict.first
    assert (verdict.open_vouchers, verdict.vouchers) == (1, {"points": 40})
    await owner.execute(change)
    verdict = await verify(connection)
    assert verdict.first is not None
    assert verdict.first.what.startswith(what), verdict.first
    assert "7Q3KV" not in str(verdict.first)


@pytest.fixture
async def lives(session: PgSession) -> None:
    await lived(session, MEMBERS, *LIFE)


@pytest.fixture
async def free_hand(owner: asyncpg.Connection) -> asyncpg.Connection:
    """A superuser who took away all that stands in the way of changing history."""
    await owner.execute("SET session_replication_role = replica")
    constraints = await owner.fetch(
        "SELECT conrelid::regclass AS table, conname FROM pg_constraint"
        " WHERE conrelid IN ('journal'::regclass, 'ledger'::regclass) AND contype IN ('c', 'p')"
    )
    for table, name in constraints:
        await owner.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    await owner.execute("DROP INDEX journal_event_key")
    return owner


@pytest.mark.usefixtures("lives")
async def test_books_that_nobody_touched_are_sound(connection: asyncpg.Connection) -> None:
    seen: list[tuple[int, int]] = []
    verdict = await verify(connection, progress=lambda done, of: seen.append((done, of)))
    assert verdict.sound, verdict.first
    assert (verdict.members, verdict.journal_rows, verdict.ledger_rows) == (2, 14, 10)
    assert verdict.balances == {
        "points": {"issuance": -220, "available": 0, "expired": 220},
        "status": {"issuance": -220, "available": 220},
    }
    assert seen[-1] == (2, 2)
    assert "checkpoint" in verdict.not_checked


@pytest.mark.tampered
@pytest.mark.usefixtures("lives")
@pytest.mark.parametrize("table", [journal, ledger], ids=["journal", "ledger"])
async def test_a_change_to_any_column_of_any_row_is_found(
    table: Table, free_hand: asyncpg.Connection
) -> None:
    rows = await free_hand.fetch(
        f"SELECT ctid::text, member_id, seq FROM {table.name}"
        " WHERE seq IN (1, 3, 6, 7) ORDER BY member_id, seq"
    )
    assert rows
    for column in table.columns:
        for ctid, member, seq in rows:
            another = ANOTHER_VALUE[type(column.type)].format(column.name)
            change = f"UPDATE {table.name} SET {column.name} = {another} WHERE ctid = '{ctid}'"
            verdict = await _while_changed(free_hand, change)
            assert verdict.first is not None, f"{column} of {member} {seq} was changed, unseen"
            if not column.primary_key:
                assert (verdict.first.member, verdict.first.seq) == (member, seq), column


async def _while_changed(owner: asyncpg.Connection, change: str) -> Verdict:
    """What `verify` says while something is otherwise; it is put back afterwards."""
    changing = owner.transaction()
    await changing.start()
    try:
        assert (await owner.execute(change)).split()[-1] != "0", change
        return await _verified_within(owner)
    finally:
        await changing.rollback()


async def _verified_within(owner: asyncpg.Connection) -> Verdict:
    """`verify` on the connection of an open transaction, whose change it shall see."""

    class Inside:
        """The connection, but for beginning a snapshot: there is one already."""

        def __getattr__(self, name: str) -> object:
            return getattr(owner, name)

        def transaction(self, **_: object) -> asyncpg.transaction.Transaction:
            return owner.transaction()

    return await verify(Inside())


@pytest.mark.tampered
@pytest.mark.usefixtures("lives")
async def test_rows_taken_out_and_projections_bent_are_named(
    free_hand: asyncpg.Connection,
) -> None:
    for change, member, what in BENT:
        first = (await _while_changed(free_hand, change)).first
        assert first is not None, change
        assert first.member == member, change
        assert first.what.startswith(what), first


@pytest.mark.tampered
@pytest.mark.usefixtures("lives")
async def test_a_moment_that_no_calendar_holds_is_named_and_not_stumbled_over(
    free_hand: asyncpg.Connection,
) -> None:
    for moment in ("infinity", "-infinity", "4713-01-01 BC"):
        change = "UPDATE journal SET occurred_at = $1::text::timestamptz WHERE seq = 2"
        await free_hand.execute(change, moment)
        first = (await verify(free_hand)).first
        assert first is not None
        assert (first.member, first.seq) == ("ada", 2)


@pytest.mark.tampered
async def test_points_on_their_way_are_in_transit_and_not_lost(
    session: PgSession, free_hand: asyncpg.Connection
) -> None:
    await lived(session, ["ada"], bought("1"), sent)
    verdict = await verify(free_hand)
    assert verdict.sound, verdict.first
    assert verdict.in_transit == verdict.unrelayed == {"points": 40}
    relayed = await _while_changed(free_hand, "DELETE FROM outbox WHERE target IS NOT NULL")
    assert relayed.sound
    twice = "UPDATE outbox SET data = replace(data, ',40]', ',41]') WHERE target IS NOT NULL"
    first = (await _while_changed(free_hand, twice)).first
    assert first is not None
    assert (first.what, first.expected, first.found) == ("points in transit", ">= 41", 40)


@pytest.mark.tampered
async def test_a_chain_continued_by_someone_else_is_not_the_account_s(
    session: PgSession, free_hand: asyncpg.Connection
) -> None:
    await lived(session, ["ada"], bought("1"), told(5))
    await free_hand.execute(
        "INSERT INTO ledger SELECT member_id, 3, n, kind, currency, points, from_bucket, to_bucket,"
        " lot_from, lot_to, cause, order_id FROM ledger"
    )
    verdict = await verify(free_hand)
    assert [wrong.what for wrong in verdict.wrong] == ["entries without a journal row"]


@pytest.mark.tampered
@pytest.mark.usefixtures("lives")
async def test_one_member_can_be_looked_at_alone(free_hand: asyncpg.Connection) -> None:
    await free_hand.execute("UPDATE ledger SET points = 1 WHERE member_id = 'bob' AND seq = 1")
    assert (await verify(free_hand, member="ada")).sound
    alone = await verify(free_hand, member="bob")
    assert alone.first is not None
    assert (alone.members, alone.first.seq) == (1, 1)
    assert str(alone.first).startswith("member bob, seq 1: link over the journal row and its 2")
