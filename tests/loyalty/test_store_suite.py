"""The port to storage: the fake and PostgreSQL pass the same tests, and use cases run on both."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import date

import msgspec
import pytest
from msgspec import structs

from services.loyalty.application.clock import FixedClock
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import catch_up_due, record_batch, record_writes
from services.loyalty.application.store import (
    AlreadyRecorded,
    CodeTaken,
    Decided,
    Loaded,
    Overdrawn,
    ProfilePatch,
    Session,
    Write,
)
from services.loyalty.db.connect import connected
from services.loyalty.db.session import PgSession
from services.loyalty.domain.account import Account
from services.loyalty.domain.activity import (
    AnyBody,
    Cancelled,
    Delivered,
    Engaged,
    Enrolled,
    Extended,
    HoldCaptured,
    HoldRequested,
    HoldVoided,
    Refunded,
    RefundLine,
    Reinstated,
)
from services.loyalty.domain.calendar import DAY, Instant, to_datetime
from services.loyalty.domain.chain import GENESIS
from services.loyalty.domain.facts import LotTotals
from tests.loyalty.db.handmade import (
    EXPIRY,
    LOT,
    START,
    as_read,
    bought,
    cancelled,
    closed,
    digest,
    expired,
    parked,
    redeemed,
    resumed,
    write_of,
)
from tests.loyalty.domain.shop import Shop, at, line, purchase
from tests.loyalty.fake_store import FakeSession, FakeStore
from tests.loyalty.lives import monthly
from tests.postgres import Database

Open = Callable[[], Awaitable[Session]]
"""Opens another session of the same store."""


class Stores:
    """One store of either kind."""

    def __init__(self, open_session: Open, publish: Callable[[int, Instant], Awaitable[None]]):
        self.open = open_session
        self.publish = publish


@pytest.fixture
def fake_stores() -> Stores:
    store = FakeStore()

    async def open_session() -> Session:
        return FakeSession(store)

    async def publish(version: int, holds_from: Instant) -> None:
        store.programs.append((version, holds_from, "text"))

    return Stores(open_session, publish)


@pytest.fixture
async def postgres_stores(database: Database) -> AsyncIterator[Stores]:
    async with AsyncExitStack() as stack:

        async def open_session() -> Session:
            opened = connected(database.url, purpose="test")
            return PgSession(await stack.enter_async_context(opened))

        async def publish(version: int, holds_from: Instant) -> None:
            async with connected(database.owner_url, purpose="test", role=None) as owner:
                await owner.execute(
                    "INSERT INTO program_version VALUES ($1, $2, $2, 'text', 'none', 'test')",
                    version,
                    to_datetime(holds_from),
                )

        yield Stores(open_session, publish)


@pytest.fixture(params=["fake_stores", "postgres_stores"])
def stores(request: pytest.FixtureRequest) -> Stores:
    made: Stores = request.getfixturevalue(request.param)
    return made


async def _opened(session: Session, *members: str) -> list[Loaded]:
    await session.open_accounts(members)
    loaded = await session.load_accounts(members)
    return [loaded[member] for member in members]


async def _record(session: Session, *writes: Write) -> None:
    async with session.transaction():
        await session.lock_accounts([write.loaded.member for write in writes])
        await record_writes(session, writes)


async def _record_and_fail(session: Session, write: Write) -> None:
    async with session.transaction():
        await session.lock_accounts([write.loaded.member])
        await record_writes(session, [write])
        raise ZeroDivisionError


# What is written comes back -------------------------------------------------------------------


async def test_an_account_is_opened_once_empty_and_with_a_key(stores: Stores) -> None:
    session = await stores.open()
    first = await _opened(session, "bob", "ada", "bob")
    again = await _opened(session, "bob", "ada", "cyd")
    assert as_read(*again[:2]) == as_read(*first[:2])
    assert len({each.hmac_key for each in again}) == 3
    assert [each.account for each in again] == [Account()] * 3
    assert {(each.version, each.head, each.due_at) for each in again} == {(0, GENESIS, None)}
    assert await session.load_accounts(["eve"]) == {}


async def test_state_version_and_due_moment_come_back(stores: Stores) -> None:
    session, other = await stores.open(), await stores.open()
    [ada] = await _opened(session, "ada")
    write = write_of(ada, bought("1"), parked, bought("2", 70))
    await _record(session, write)
    [after] = await _opened(other, "ada")
    assert (after.account, after.version, after.due_at) == (write.account, 1, EXPIRY)
    assert after.head not in (GENESIS, ada.head)


async def test_receipts_lots_and_history_come_back_by_their_keys(stores: Stores) -> None:
    session = await stores.open()
    [ada] = await _opened(session, "ada")
    await _record(session, write_of(ada, bought("1"), expired))
    [ada] = await _opened(session, "ada")
    await _record(session, write_of(ada, bought("2", 60), expired, closed))
    receipts = await session.load_receipts([("ada", "1"), ("ada", "2"), ("ada", "3"), ("bob", "1")])
    assert {key: receipt.postings[0].points for key, receipt in receipts.items()} == {
        ("ada", "1"): 40,
        ("ada", "2"): 60,
    }
    assert await session.load_lots([("ada", LOT), ("ada", "none"), ("bob", LOT)]) == {
        ("ada", LOT): LotTotals(taken_in=100, expired=100)
    }
    window = "window:status/2010-12"
    assert await session.load_history([("ada", window), ("bob", window)]) == {
        ("ada", window): [0, 100]
    }


async def test_shared_counters_add_up_and_never_leave_their_bounds(stores: Stores) -> None:
    session, other = await stores.open(), await stores.open()
    assert await session.load_counters(["stock:a", "stock:b"]) == {"stock:a": 0, "stock:b": 0}
    for granted, used in (({"stock:a": 2, "stock:b": 1}, (2, 1)), ({"stock:a": -1}, (1, 1))):
        await _record(session, await _granting(session, granted))
        found = await other.load_counters(["stock:a", "stock:b"])
        assert found == dict(zip(("stock:a", "stock:b"), used, strict=True))
    for granted in ({"stock:a": 3}, {"stock:b": 3, "stock:a": 1}, {"stock:b": -2}):
        with pytest.raises(Overdrawn):
            await _record(session, await _granting(session, granted))
    assert await other.load_counters(["stock:a", "stock:b"]) == {"stock:a": 1, "stock:b": 1}


async def test_a_cap_lowered_below_what_is_used_lets_things_be_given_back(stores: Stores) -> None:
    session = await stores.open()
    await _record(session, await _granting(session, {"stock:a": 3}, cap=3))
    await _record(session, await _granting(session, {"stock:a": -1}, cap=1))
    with pytest.raises(Overdrawn):
        await _record(session, await _granting(session, {"stock:a": 1}, cap=1))
    async with session.transaction():
        assert await session.load_counters(["stock:a"], lock=True) == {"stock:a": 2}


async def _granting(session: Session, granted: dict[str, int], cap: int = 3) -> Write:
    [ada] = await _opened(session, "ada")
    write = write_of(ada, bought(f"{ada.version}"))
    decision = write.decided[0].decision
    decision.grants = decision.trace["grants"] = granted
    write.caps = dict.fromkeys(granted, cap)
    return write


async def test_a_referral_code_names_one_member(stores: Stores) -> None:
    session = await stores.open()
    ada, bob = await _opened(session, "ada", "bob")
    mine, taken = write_of(ada, bought("1")), write_of(bob, bought("1"))
    for write in (mine, taken):
        write.decided[-1].decision.code = "000000000000"
        write.account = structs.replace(write.account, code="000000000000")
    await _record(session, mine)
    codes = ["000000000000", "111111111111"]
    assert await session.load_codes(codes) == {"000000000000": "ada"}
    with pytest.raises(CodeTaken):
        await _record(session, taken)


async def test_the_level_held_at_an_instant_is_the_last_one_taken_by_then(stores: Stores) -> None:
    session = await stores.open()
    [ada] = await _opened(session, "ada")
    write = write_of(ada, bought("1"), bought("2", level="gold"), bought("3", level="silver"))
    await _record(session, write)
    days = [START, START + DAY, START + 2 * DAY - 1, START + 2 * DAY, START + 9 * DAY]
    found = await session.load_levels([("ada", day) for day in days] + [("bob", START + DAY)])
    assert found == {
        ("ada", START + DAY): "basic",
        ("ada", START + 2 * DAY - 1): "basic",
        ("ada", START + 2 * DAY): "gold",
        ("ada", START + 9 * DAY): "silver",
    }


async def test_what_is_parked_waits_until_it_is_released(stores: Stores) -> None:
    session = await stores.open()
    [ada, bob] = await _opened(session, "ada", "bob")
    await _record(session, write_of(ada, parked, bought("1"), parked))
    await _record(session, write_of(bob, parked, resumed))
    body = Refunded("late", "GBP", amount=100)
    assert await session.load_parked(["ada", "bob"]) == {
        ("ada", 1): (body, START + DAY),
        ("ada", 3): (body, START + 3 * DAY),
    }
    [ada] = await _opened(session, "ada")
    await _record(session, write_of(ada, resumed))
    assert set(await session.load_parked(["ada"])) == {("ada", 3)}


async def test_a_date_of_birth_is_dated_when_it_changes_and_gone_once_erased(
    stores: Stores,
) -> None:
    session = await stores.open()
    born, later = date(1980, 2, 29), date(1981, 3, 1)
    seen = []
    for day in (born, born, None, later):
        [ada] = await _opened(session, "ada")
        await _record(session, write_of(ada, bought(f"{ada.version}"), profile=ProfilePatch(day)))
        [ada] = await _opened(session, "ada")
        seen.append((ada.born_on, ada.born_set_at - START))
    assert seen == [
        (born, DAY + 1_500),
        (born, DAY + 1_500),
        (born, DAY + 1_500),
        (later, 4 * DAY + 1_500),
    ]
    await _record(session, write_of(ada, bought("last"), profile=ProfilePatch(erase=True)))
    [ada] = await _opened(session, "ada")
    assert (ada.born_on, ada.born_set_at, ada.hmac_key) == (None, 0, b"")


async def test_redemptions_vouchers_and_followers_of_lots_come_back_by_their_keys(
    stores: Stores,
) -> None:
    session = await stores.open()
    [ada, bob] = await _opened(session, "ada", "bob")
    for name, loaded in (("ada", ada), ("bob", bob)):
        await _record(session, write_of(loaded, bought("1"), redeemed(name)))
    found = await session.load_redemptions([("ada", "r"), ("ada", "none"), ("eve", "r")])
    assert {key: row.draws for key, row in found.items()} == {("ada", "r"): [(LOT, 40)]}
    vouchers = await session.load_vouchers([("ada", "v2-0"), ("bob", "v2-0"), ("ada", "v9-0")])
    assert {key: row.state for key, row in vouchers.items()} == {
        ("ada", "v2-0"): "open",
        ("bob", "v2-0"): "open",
    }
    [ada] = await _opened(session, "ada")
    await _record(session, write_of(ada, cancelled("ada")))
    [voucher] = (await session.load_vouchers([("ada", "v2-0")])).values()
    [row] = (await session.load_redemptions([("ada", "r")])).values()
    assert (voucher.state, row.returned) == ("voided", [40])
    [totals] = (await session.load_lots([("ada", LOT)])).values()
    assert totals.successors == tuple(f"points/2010-12/{EXPIRY + days * DAY}" for days in (1, 2))


# Nothing twice, and all or nothing ------------------------------------------------------------


async def test_an_event_that_is_recorded_already_is_found_and_refused(stores: Stores) -> None:
    session = await stores.open()
    [ada] = await _opened(session, "ada")
    await _record(session, write_of(ada, bought("1")))
    event = digest("/shop event-1")
    found = await session.find_recorded([("ada", event), ("bob", event), ("ada", b"?" * 16)])
    assert found == {("ada", event): digest("content of event-1")}
    [ada] = await _opened(session, "ada")
    again = write_of(ada, bought("2"))
    again.decided = [Decided(again.decided[0].decision, event, bytes(16))]
    with pytest.raises(AlreadyRecorded):
        await _record(session, again)
    assert as_read(*await _opened(session, "ada")) == as_read(ada)
    assert await session.load_receipts([("ada", "2")]) == {}


async def test_an_order_that_exists_is_never_made_anew(stores: Stores) -> None:
    session = await stores.open()
    [ada] = await _opened(session, "ada")
    await _record(session, write_of(ada, bought("1")))
    [ada] = await _opened(session, "ada")
    with pytest.raises(AlreadyRecorded):
        await _record(session, write_of(ada, bought("1", 90)))
    [receipt] = (await session.load_receipts([("ada", "1")])).values()
    assert receipt.postings[0].points == 40


async def test_a_code_is_one_vouchers_and_a_redemption_is_made_once(stores: Stores) -> None:
    session = await stores.open()
    [ada, bob] = await _opened(session, "ada", "bob")
    await _record(session, write_of(ada, bought("1"), redeemed("ada")))
    with pytest.raises(CodeTaken):
        await _record(session, write_of(bob, bought("1"), redeemed("ada")))
    assert as_read(*await _opened(session, "bob")) == as_read(bob)
    [ada] = await _opened(session, "ada")
    with pytest.raises(AlreadyRecorded):
        await _record(session, write_of(ada, bought("2"), redeemed("another")))
    assert as_read(*await _opened(session, "ada")) == as_read(ada)


async def test_a_transaction_that_fails_leaves_nothing(stores: Stores) -> None:
    session = await stores.open()
    [ada] = await _opened(session, "ada")
    with pytest.raises(ZeroDivisionError):
        await _record_and_fail(session, write_of(ada, bought("1")))
    assert as_read(*await _opened(session, "ada")) == as_read(ada)
    await _record(session, write_of(ada, bought("1")))


async def test_versions_tell_who_was_changed_meanwhile(stores: Stores) -> None:
    session, other = await stores.open(), await stores.open()
    [ada, bob] = await _opened(session, "ada", "bob")
    await _record(other, write_of(ada, bought("1")))
    async with session.transaction():
        versions = await session.lock_accounts(["bob", "ada", "eve"])
    assert versions == {"ada": ada.version + 1, "bob": bob.version}


async def test_schedulers_pass_over_each_others_accounts(stores: Stores) -> None:
    session, other = await stores.open(), await stores.open()
    names = [f"m{number}" for number in range(5)]
    for number, loaded in enumerate(await _opened(session, *names)):
        write = write_of(loaded, bought("1"))
        write.due_at = EXPIRY + number
        await _record(session, write)
    async with session.transaction(), other.transaction():
        assert set(await session.lock_due(EXPIRY + 3, 2)) == {"m0", "m1"}
        assert set(await other.lock_due(EXPIRY + 3, 9)) == {"m2", "m3"}
    async with other.transaction():
        assert set(await other.lock_due(EXPIRY + 9, 9)) == set(names)


async def test_versions_of_the_programme_are_read_from_the_last_one_known(stores: Stores) -> None:
    session = await stores.open()
    assert await session.latest_program_version() == 0
    await stores.publish(1, START)
    await stores.publish(2, EXPIRY)
    assert await session.latest_program_version() == 2
    assert await session.load_programs(0) == [(1, START, "text"), (2, EXPIRY, "text")]
    assert await session.load_programs(1) == [(2, EXPIRY, "text")]
    assert await session.now() is None


# The use cases --------------------------------------------------------------------------------

LIFE: tuple[tuple[str, AnyBody], ...] = (
    ("2010-12-02", Enrolled()),
    ("2010-12-03", purchase("o1", line(1, 600_00, 2), line(2, 50_00, category="toy"))),
    ("2010-12-04", Refunded("o1", "GBP", [RefundLine(1, 1)])),
    ("2010-12-05", Refunded("o2", "GBP", [RefundLine(1, 1)])),
    ("2010-12-20", Delivered("o1")),
    ("2010-12-19", purchase("o2", line(1, 75_00), discount=5_00)),
    ("2010-12-19", Refunded("o3", "GBP", amount=10_00)),
    ("2011-03-01", Engaged("product.reviewed")),
    ("2010-12-29", purchase("o4", line(1, 2000_00))),
    ("2011-03-02", Cancelled("o4")),
    ("2011-03-03", HoldRequested("h1", "points", 20)),
    ("2011-03-03", HoldCaptured("h1", "r1", 5)),
    ("2011-03-03", HoldCaptured("h1", "r2", 99)),
    ("2011-03-03", HoldVoided("h1")),
    ("2011-03-03", HoldCaptured("h1", "r3")),
    ("2011-03-04", HoldRequested("h2", "points", 20, ttl_s=60 * 86_400)),
    ("2011-03-05", Extended("points", at("2011-08-01"), "x", "y")),
    ("2011-08-05", Reinstated("points", at("2011-09-01"), "x", "y", 10)),
    ("2011-09-05", Cancelled("o1")),
)


async def test_the_same_life_leaves_the_same_account_on_every_store(stores: Stores) -> None:
    shop = Shop(monthly())
    ada = shop.member("ada")
    await stores.publish(1, START)
    programs, clock = Programs([monthly()]), FixedClock(START)
    session = await stores.open()
    for day, body in LIFE:
        ada.does(body, day)
        clock.at = shop.clock.at
        message = shop.last
        [outcome] = await record_batch(session, programs, clock, [message])
        assert outcome.status in ("accepted", "parked", "refused")
        [again] = await record_batch(session, programs, clock, [message])
        assert again.status == "duplicate"
    shop.waits_until("2012-01-01")
    clock.at = shop.clock.at
    while await catch_up_due(session, programs, clock, until=clock.at):
        pass
    [loaded] = await _opened(session, "ada")
    drawn = loaded.account.code  # by chance, on each store
    assert loaded.account == msgspec.structs.replace(ada.account, code=drawn)
    assert loaded.due_at == shop.store.accounts["ada"].due_at
    assert {row[2] for row in shop.store.journal.values()} >= {"tick", "resumed", "lapsed"}
    reasons = [row[4] for row in shop.store.journal.values() if row[3] == "refused"]
    assert reasons == ["more_than_held", "hold_ended"]
    ended = [("ada", "h1"), ("ada", "h2"), ("ada", "h3")]
    assert await session.load_ended_holds(ended) == await shop.session.load_ended_holds(ended)
    lots = list(shop.store.lots)
    assert await session.load_lots(lots) == shop.store.lots
    assert await session.load_lots_of(["ada"]) == await shop.session.load_lots_of(["ada"])
    assert any(totals.successors for totals in shop.store.lots.values())
