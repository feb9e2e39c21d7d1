"""What is recorded comes back as it was decided, and never twice."""

from __future__ import annotations

import asyncio
from datetime import date

import asyncpg
import msgspec
import pytest

from services.loyalty.application.store import AlreadyRecorded, Decided, ProfilePatch
from services.loyalty.db.connect import connected
from services.loyalty.db.rows import EVENT_LIMIT_BYTES, EventTooLarge, rows_of
from services.loyalty.db.session import PgSession
from services.loyalty.domain.account import Account
from services.loyalty.domain.activity import Refunded
from services.loyalty.domain.calendar import DAY, from_datetime, to_datetime
from services.loyalty.domain.chain import GENESIS
from services.loyalty.domain.facts import LotTotals
from tests.loyalty.db.handmade import (
    EXPIRY,
    LOT,
    START,
    as_read,
    bought,
    closed,
    digest,
    expired,
    lived,
    opened,
    parked,
    record,
    resumed,
    rewarded,
    told,
    write_of,
)
from tests.postgres import Database


async def test_an_account_is_opened_once_with_a_key_of_its_own(session: PgSession) -> None:
    first = await opened(session, "bob", "ada", "bob")
    again = await opened(session, "bob", "ada", "cyd")
    assert [each.member for each in first[:2]] == ["bob", "ada"]
    assert as_read(*again[:2]) == as_read(*first[:2])
    assert len({each.hmac_key for each in again}) == 3
    assert (again[2].account, again[2].head, again[2].version) == (Account(), GENESIS, 0)


async def test_opening_the_same_accounts_from_two_sides_blocks_nobody(database: Database) -> None:
    members = [f"m{n}" for n in range(200)]
    async with (
        connected(database.url, purpose="a") as a,
        connected(database.url, purpose="b") as b,
    ):
        await asyncio.gather(
            PgSession(a).open_accounts(members), PgSession(b).open_accounts(members[::-1])
        )
        assert (
            await a.fetchval("SELECT count(*) FROM account JOIN profile USING (member_id)") == 200
        )


async def test_state_and_head_come_back_as_they_were_written(session: PgSession) -> None:
    [loaded] = await opened(session, "ada")
    write = write_of(loaded, bought("1"), parked, bought("2", 70))
    await record(session, write)
    [after] = await opened(session, "ada")
    assert after.account == write.account
    assert (after.version, after.due_at) == (1, EXPIRY)
    assert after.head == rows_of([write]).journal[-1][-1]


async def test_every_decision_of_a_batch_stands_in_the_journal(session: PgSession) -> None:
    ada, bob = await opened(session, "ada", "bob")
    await record(session, write_of(bob, bought("1")), write_of(ada, bought("1"), rewarded))
    rows = await session.connection.fetch(
        "SELECT member_id, seq, kind, outcome, occurred_at, body, trace FROM journal"
        " ORDER BY member_id, seq"
    )
    assert [tuple(row[:4]) for row in rows] == [
        ("ada", 1, "purchase", "accepted"),
        ("ada", 2, "engagement", "accepted"),
        ("bob", 1, "purchase", "accepted"),
    ]
    assert from_datetime(rows[0][4]) == START + DAY
    assert msgspec.json.decode(rows[0][6])["fired"]["base"]["points"] == 40


async def test_what_goes_out_stands_in_the_outbox_in_its_order(session: PgSession) -> None:
    [ada] = await opened(session, "ada")
    await record(session, write_of(ada, bought("1"), told(10)))
    rows = await session.connection.fetch("SELECT seq, n, type, target, data, claim FROM outbox")
    assert [tuple(row[:4]) for row in rows] == [
        (1, 0, "loyalty.points.accrued.v1", None),
        (2, 0, "loyalty.x.v1", None),
    ]
    assert msgspec.json.decode(rows[0][4]) == {"order": "1", "points": 40}


async def test_an_event_that_was_recorded_is_not_recorded_again(session: PgSession) -> None:
    [ada] = await opened(session, "ada")
    write = write_of(ada, bought("1"))
    await record(session, write)
    found = await session.find_recorded(
        [("ada", digest("/shop event-1")), ("bob", digest("/shop event-1")), ("ada", b"?" * 16)]
    )
    assert found == {("ada", digest("/shop event-1")): digest("content of event-1")}
    [again] = await opened(session, "ada")
    twice = write_of(again, bought("1"))
    [other] = twice.decided
    twice.decided = [Decided(other.decision, digest("/shop event-1"), other.content_digest)]
    with pytest.raises(AlreadyRecorded):
        await record(session, twice)
    assert as_read(*(await session.load_accounts(["ada"])).values()) == as_read(again)


async def test_two_batches_of_one_account_do_not_both_win(session: PgSession) -> None:
    [ada] = await opened(session, "ada")
    await record(session, write_of(ada, bought("1")))
    async with session.transaction():
        assert await session.lock_accounts(["ada"]) == {"ada": ada.version + 1}
    with pytest.raises(asyncpg.UniqueViolationError):
        await record(session, write_of(ada, rewarded))


async def test_receipts_are_replaced_and_found_by_their_order(session: PgSession) -> None:
    [ada] = await opened(session, "ada")
    write = write_of(ada, bought("1"), bought("2"), bought("1", 70))
    await record(session, write)
    found = await session.load_receipts([("ada", "1"), ("ada", "2"), ("ada", "3"), ("bob", "1")])
    assert set(found) == {("ada", "1"), ("ada", "2")}
    assert found["ada", "1"] == write.decided[2].decision.receipts[0]


async def test_an_order_that_was_recorded_is_not_taken_for_a_new_one(session: PgSession) -> None:
    await lived(session, ["ada"], bought("1"))
    receipts = await session.load_receipts([("ada", "1")])
    with pytest.raises(AlreadyRecorded):
        await lived(session, ["ada"], bought("1", 70))
    assert await session.load_receipts([("ada", "1")]) == receipts


async def test_totals_of_a_lot_add_up_over_batches(session: PgSession) -> None:
    await lived(session, ["ada"], bought("1"), expired, bought("2", 70), expired)
    assert await session.load_lots([("ada", LOT), ("ada", "other")]) == {
        ("ada", LOT): LotTotals(110, 110, 0)
    }


async def test_a_closed_window_is_remembered(session: PgSession) -> None:
    await lived(session, ["ada"], bought("1"), closed)
    key = "window:status/2010-12"
    assert await session.load_history([("ada", key), ("bob", key)]) == {("ada", key): [0, 40]}


async def test_the_level_held_at_an_instant_is_known(session: PgSession) -> None:
    steps = (bought("1"), bought("2"), bought("3", level="silver"), bought("4", level="basic"))
    await lived(session, ["ada"], *steps)
    asked = [("ada", START + day * DAY) for day in range(6)]
    assert await session.load_levels([*asked, ("bob", START)]) == {
        ("ada", START + 1 * DAY): "basic",
        ("ada", START + 2 * DAY): "basic",
        ("ada", START + 3 * DAY): "silver",
        ("ada", START + 4 * DAY): "basic",
        ("ada", START + 5 * DAY): "basic",
    }


async def test_what_waits_is_kept_until_it_goes_on(session: PgSession) -> None:
    await lived(session, ["ada"], parked)
    assert await session.load_parked(["ada", "bob"]) == {
        ("ada", 1): (Refunded("late", "GBP", amount=100), START + DAY)
    }
    await lived(session, ["ada"], resumed)
    assert await session.load_parked(["ada"]) == {}


async def test_what_waits_and_goes_on_in_one_batch_leaves_nothing(session: PgSession) -> None:
    [ada] = await opened(session, "ada")
    await record(session, write_of(ada, parked, parked, resumed))
    assert set(await session.load_parked(["ada"])) == {("ada", 2)}


async def test_rewards_are_listed(session: PgSession) -> None:
    await lived(session, ["ada"], rewarded)
    rows = await session.connection.fetch(
        "SELECT seq, n, reward, how, by, points FROM issued_reward"
    )
    assert [tuple(row) for row in rows] == [
        (1, 0, "mug", "gift", "birthday", 0),
        (1, 1, "pen", "gift", "vip", 5),
    ]


async def test_a_date_of_birth_counts_from_when_it_was_set(session: PgSession) -> None:
    born, moved = date(1980, 2, 29), date(1981, 3, 1)
    patches = [
        ProfilePatch(born_on=born),
        ProfilePatch(born_on=born, language="en-GB"),
        ProfilePatch(born_on=moved),
    ]
    seen = []
    for patch in patches:
        [ada] = await opened(session, "ada")
        await record(session, write_of(ada, rewarded, profile=patch))
        [ada] = await opened(session, "ada")
        seen.append((ada.born_on, (ada.born_set_at - 1_500 - START) // DAY))
    assert seen == [(born, 1), (born, 1), (moved, 3)]
    assert await session.connection.fetchval("SELECT language FROM profile") == "en-GB"


async def test_an_erased_member_s_key_and_original_bytes_are_gone_for_good(
    session: PgSession,
) -> None:
    ada, _ = await opened(session, "ada", "bob")
    at = to_datetime(START)
    for offset, member in enumerate(("ada", "bob")):
        await session.connection.execute(
            "INSERT INTO dead_letter VALUES ('t', 0, $1, $2, 'not_json', '', 'x', 4, $3, 'body')",
            offset,
            member,
            at,
        )
        await session.connection.execute(
            "INSERT INTO idempotency VALUES ($1, 'k', 'r', 200, '{}', $2)", member, at
        )
    await record(session, write_of(ada, rewarded, profile=ProfilePatch(erase=True)))
    ada, bob = await opened(session, "ada", "bob")
    assert (ada.hmac_key, ada.born_on, ada.account.seq) == (b"", None, 1)
    assert len(bob.hmac_key) == 32
    letters = "SELECT member_id, body IS NULL FROM dead_letter ORDER BY member_id"
    assert [tuple(row) for row in await session.connection.fetch(letters)] == [
        ("ada", True),
        ("bob", False),
    ]
    assert await session.connection.fetchval("SELECT array_agg(member_id) FROM idempotency") == [
        "bob"
    ]


async def test_an_event_too_large_to_publish_is_not_recorded(session: PgSession) -> None:
    ada, bob = await opened(session, "ada", "bob")
    fits = EVENT_LIMIT_BYTES - len('{"x":""}')
    with pytest.raises(EventTooLarge, match="of member bob has") as refused:
        await record(session, write_of(ada, told(fits)), write_of(bob, told(fits + 1)))
    assert refused.value.size_bytes == EVENT_LIMIT_BYTES + 1
    await record(session, write_of(ada, told(fits)))


async def test_due_accounts_are_shared_out_between_schedulers(
    session: PgSession, database: Database
) -> None:
    members = [f"m{n}" for n in range(6)]
    await lived(session, members, bought("1"))
    assert await session.lock_due(EXPIRY - 1, 10) == {}
    async with connected(database.url, purpose="other") as connection:
        other = PgSession(connection)
        async with session.transaction(), other.transaction():
            mine = await session.lock_due(EXPIRY, 4)
            theirs = await other.lock_due(EXPIRY, 4)
    assert (len(mine), len(theirs)) == (4, 2)
    assert {*mine, *theirs} == set(members)
    now = await session.load_accounts(list(mine))
    assert as_read(*now.values()) == as_read(*(mine[member] for member in now))
    assert now.keys() == mine.keys()


async def test_a_visit_that_decides_nothing_only_moves_the_next_moment(session: PgSession) -> None:
    await lived(session, ["ada"], bought("1"))
    [ada] = await opened(session, "ada")
    visit = write_of(ada)
    visit.due_at = None
    await record(session, visit)
    [after] = await opened(session, "ada")
    assert (after.due_at, after.account, after.head) == (None, ada.account, ada.head)


async def test_the_clock_row_is_read_where_there_is_one(session: PgSession) -> None:
    assert await session.now() is None
    await session.connection.execute("INSERT INTO clock VALUES (1, $1)", to_datetime(START))
    assert await session.now() == START


async def test_an_update_of_an_account_mostly_touches_no_index(
    session: PgSession, owner: asyncpg.Connection
) -> None:
    members = [f"m{n:03}" for n in range(100)]
    await lived(session, members, *(rewarded for _ in range(3)))
    await session.connection.execute("SELECT pg_stat_force_next_flush()")
    counted = "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'account'"
    for _ in range(50):
        updated, without_index = await owner.fetchrow(counted)
        if updated >= 300:
            break
        await asyncio.sleep(0.1)
    assert updated == 300
    assert without_index > 150  # the first set due_at, and of the others most found room
