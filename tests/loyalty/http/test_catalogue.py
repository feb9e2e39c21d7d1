"""Stock, limits and budgets over HTTP, and exact whoever races whom."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import Any

import asyncpg
import httpx
import pytest

from services.loyalty.application.batch import Outcome
from services.loyalty.application.clock import FixedClock
from services.loyalty.application.intake import event_digest
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import record_batch
from services.loyalty.application.store import Incoming
from services.loyalty.db.replay import replay
from services.loyalty.db.session import PgSession
from services.loyalty.db.verify import verify
from services.loyalty.domain.activity import (
    AnyBody,
    Cancelled,
    Line,
    Purchased,
    RedemptionRequested,
    decode_body,
)
from services.loyalty.domain.calendar import DAY
from services.loyalty.domain.envelope import Activity
from tests.loyalty.http.conftest import START
from tests.loyalty.http.events import bought, enrolled
from tests.loyalty.http.test_spending import available, redeem
from tests.postgres import Database

DOCUMENT = """
program: test-rewards
holds_from: "{holds_from}"
timezone: Europe/London
currencies: {{points: {{}}}}
earn:
  spree:
    {{event: purchase, give: {{points: 30}}, budget: {budget} points, valid: 2011-01-01/2011-06-30,
      on_refund: revoke}}
  welcome: {{event: enrolled, give: {{points: 100}}}}
rewards:
  mug: {{cost: 10 points, stock: {stock}, names: {{en: Mug, de: Becher}}}}
  pen: {{cost: 10 points, limit: 2 per year}}
  tea: {{cost: 500 points, segment: [vip], valid: 2011-03-01/2011-03-31}}
  card: {{gift_only: true, stock: 5}}
"""
RISING = """
program: test-rewards
holds_from: "2011-01-01T00:00"
timezone: Europe/London
currencies: {points: {}, orders: {qualifies: true, measures: orders, window: calendar_year}}
tiers:
  by: orders
  levels: {all: {from: 0}, ten: {from: 10, give: [lamp, 5 points]}}
rewards: {lamp: {gift_only: true, stock: 3, voucher: {item: lamp}}}
"""


async def publish(client: httpx.AsyncClient, **terms: Any) -> httpx.Response:
    document = DOCUMENT.format(
        **({"holds_from": "2011-01-01T00:00", "stock": 1, "budget": 1000} | terms)
    )
    return await client.post(
        "/v1/program/versions", content=document, headers={"Content-Type": "application/yaml"}
    )


@pytest.fixture
async def shop(unpublished: httpx.AsyncClient, clock: FixedClock) -> httpx.AsyncClient:
    made = await publish(unpublished)
    assert made.status_code == 201, made.text
    clock.at = START + 10 * DAY
    return unpublished


async def enrol(client: httpx.AsyncClient, clock: FixedClock, members: Iterable[str]) -> None:
    events = [enrolled(member, clock.at) for member in members]
    sent = await client.post("/v1/activities", json=events)
    assert {each["outcome"] for each in sent.json()} == {"accepted"}


def incoming(member: str, body: AnyBody, name: str, clock: FixedClock) -> Incoming:
    activity = Activity(body, clock.at, 0, "/worker", name)
    return Incoming(member, activity, event_digest("/worker", name), name.encode())


async def prove(pool: asyncpg.Pool, database: Database) -> None:
    async with pool.acquire() as connection:
        verdict = await verify(connection)
    assert verdict.sound, verdict.first
    replayed = await replay(database.url)
    assert replayed.identical, replayed.first


async def test_fifty_members_and_a_worker_race_for_the_only_one(
    shop: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    members = [str(number) for number in range(60)]
    await enrol(shop, clock, members)
    programs = Programs()

    async def works(few: list[str]) -> list[str]:
        wanted = RedemptionRequested("r", "mug")
        messages = [incoming(each, wanted, f"r-{each}", clock) for each in few]
        async with pool.acquire() as connection:
            outcomes = await record_batch(PgSession(connection), programs, clock, messages)
        return [outcome.reason for outcome in outcomes]

    asked = [redeem(shop, "mug", "k", member) for member in members[:50]]
    answers, *worked = await asyncio.gather(
        asyncio.gather(*asked), works(members[50:55]), works(members[55:])
    )
    codes = Counter(answer.json().get("code", "") for answer in answers)
    codes.update(reason for reasons in worked for reason in reasons)
    assert codes == {"": 1, "sold_out": 59}
    async with pool.acquire() as connection:
        counters = [tuple(row) for row in await connection.fetch("SELECT * FROM counter")]
    assert counters == [("stock:mug", 1, 1)]
    await prove(pool, database)


async def test_holds_race_for_the_only_one_and_a_voided_hold_gives_it_back(
    shop: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    members = [str(number) for number in range(12)]
    await enrol(shop, clock, members)

    async def post(path: str, key: str, body: dict[str, Any] | None = None) -> httpx.Response:
        return await shop.post(f"/v1/members/{path}", json=body, headers={"Idempotency-Key": key})

    asked = [post(f"{member}/holds", "h", {"reward": "mug"}) for member in members]
    answers = await asyncio.gather(*asked)
    assert Counter(answer.json().get("code", "") for answer in answers) == {"": 1, "sold_out": 11}
    [won] = [answer.json() for answer in answers if answer.is_success]
    hold = won["hold"]["hold"]
    voided = await post(f"{won['member_id']}/holds/{hold}/void", "v")
    assert voided.json()["hold"]["state"] == "voided"
    assert (await redeem(shop, "mug", "k", members[0])).status_code == 201
    async with pool.acquire() as connection:
        counters = [tuple(row) for row in await connection.fetch("SELECT * FROM counter")]
    assert counters == [("stock:mug", 1, 1)]
    await prove(pool, database)


async def test_of_what_a_level_gives_there_is_no_more_than_the_stock_whoever_rises_at_once(
    unpublished: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    yaml = {"Content-Type": "application/yaml"}
    made = await unpublished.post("/v1/program/versions", content=RISING, headers=yaml)
    assert made.status_code == 201, made.text
    clock.at = START + 10 * DAY
    members = [str(number) for number in range(8)]
    await enrol(unpublished, clock, members)
    programs = Programs()

    async def works(few: list[str]) -> None:
        async with pool.acquire() as connection:
            for number in range(10):
                messages = [
                    incoming(
                        each,
                        Purchased(f"{each}-{number}", "GBP", [Line(1, "A", 1, 10_00)]),
                        f"{each}-{number}",
                        clock,
                    )
                    for each in few
                ]
                await record_batch(PgSession(connection), programs, clock, messages)

    await asyncio.gather(*(works(members[start : start + 2]) for start in (0, 2, 4, 6)))
    async with pool.acquire() as connection:
        held = [row[0] for row in await connection.fetch("SELECT member_id FROM voucher")]
        assert len(held) == len(set(held)) == 3
        back = [incoming(held[0], Cancelled(f"{held[0]}-0"), "back", clock)]
        await record_batch(PgSession(connection), programs, clock, back)
        states = await connection.fetch("SELECT state FROM voucher WHERE member_id = $1", held[0])
        assert [row[0] for row in states] == ["voided"]
        [used] = await connection.fetch("SELECT used FROM counter WHERE id = 'stock:lamp'")
        assert used[0] == 2
    await prove(pool, database)


async def test_two_workers_and_http_spend_a_budget_to_the_last_point(
    shop: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    members = [str(number) for number in range(12)]
    await enrol(shop, clock, members)
    programs = Programs()

    async def works(lane: int) -> None:
        async with pool.acquire() as connection:
            session = PgSession(connection)
            for batch in range(5):
                messages = []
                for member in members:
                    order = f"{lane}-{batch}-{member}"
                    body = Purchased(order, "GBP", [Line(1, "A", 1, 10_00)])
                    messages.append(incoming(member, body, order, clock))
                back = Cancelled(f"{lane}-{batch - 1}-0")
                messages.append(incoming("0", back, f"c{lane}-{batch}", clock))
                await record_batch(session, programs, clock, messages)

    async def sends(number: int) -> None:
        events = [bought(member, f"h{number}-{member}", 10, clock.at) for member in members[:4]]
        sent = await shop.post("/v1/activities", json=events)
        assert {each["outcome"] for each in sent.json()} == {"accepted"}, sent.text

    await asyncio.gather(works(1), works(2), *(sends(number) for number in range(8)))
    [budget] = (await shop.get("/v1/budgets")).json()["budgets"]
    held = sum([await available(shop, member) for member in members])
    assert held == 100 * len(members) + 1000 - budget["left"]
    await prove(pool, database)
    await shop.post(
        "/v1/activities",
        json=[bought(member, f"last-{member}", 10, clock.at) for member in members],
    )
    [budget] = (await shop.get("/v1/budgets")).json()["budgets"]
    assert budget["left"] == 0
    assert sum([await available(shop, member) for member in members]) == 2200
    await prove(pool, database)


async def test_a_batch_that_others_forestalled_is_decided_again_from_what_is_left(
    shop: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    await enrol(shop, clock, ["1", "2"])
    programs, tries = Programs(), 0

    async def forestalled(_: list[Outcome]) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            assert (await redeem(shop, "mug", "a", "1")).status_code == 201

    message = incoming("2", RedemptionRequested("r", "mug"), "r-2", clock)
    async with pool.acquire() as connection:
        session = PgSession(connection)
        [outcome] = await record_batch(session, programs, clock, [message], fence=forestalled)
    assert (outcome.reason, tries) == ("sold_out", 2)
    await prove(pool, database)


@pytest.mark.tampered
async def test_a_counter_that_somebody_changed_is_named(
    shop: httpx.AsyncClient, clock: FixedClock, owner: asyncpg.Connection, database: Database
) -> None:
    await enrol(shop, clock, ["1"])
    assert (await redeem(shop, "mug", "a", "1")).status_code == 201
    await owner.execute("UPDATE counter SET used = 0")
    verdict = await verify(owner)
    assert [wrong.what for wrong in verdict.wrong] == ["used of stock:mug"]
    assert (await verify(owner, member="1")).sound
    first = (await replay(database.url)).first
    assert first is not None
    assert str(first) == "all members, counter.stock:mug: expected 1, found 0"


async def test_no_counter_goes_beyond_its_cap_or_below_nothing(owner: asyncpg.Connection) -> None:
    for cap, used in ((5, 6), (5, -1), (-1, 0)):
        with pytest.raises(asyncpg.CheckViolationError):
            await owner.execute("INSERT INTO counter VALUES ('stock:x', $1, $2)", cap, used)


async def test_the_catalogue_says_whether_each_can_be_had_and_every_reason_why_not(
    shop: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(shop, clock, ["1", "2"])
    await redeem(shop, "mug", "a", "1")
    await redeem(shop, "pen", "b", "1")
    shown = (await shop.get("/v1/members/1/rewards")).json()["catalogue"]
    told = {each["reward"]: each for each in shown}
    assert told["pen"]["affordable"]
    assert told["pen"]["reasons"] == []
    assert told["mug"]["reasons"] == [{"code": "sold_out", "reward": "mug"}]
    assert [reason["code"] for reason in told["tea"]["reasons"]] == [
        "not_valid_yet",
        "not_in_segment",
        "insufficient_points",
    ]
    assert (told["tea"]["affordable"], told["tea"]["missing"]) == (False, 420)
    await redeem(shop, "pen", "c", "1")
    for reward in told:
        refused = await redeem(shop, reward, f"d-{reward}", "1")
        again = (await shop.get("/v1/members/1/rewards")).json()["catalogue"]
        [reasons] = [each["reasons"] for each in again if each["reward"] == reward]
        assert (refused.status_code, refused.json()["reasons"]) == (409, reasons)
        one = [reason["code"] for reason in reasons]
        assert refused.json()["code"] == (one[0] if len(one) == 1 else "reward_unavailable")


async def test_operations_see_what_is_left(shop: httpx.AsyncClient, clock: FixedClock) -> None:
    await enrol(shop, clock, ["1"])
    before = (await shop.get("/v1/rewards", headers={"Accept-Language": "de"})).json()
    assert [(each["reward"], each["stock"], each["left"]) for each in before["rewards"]] == [
        ("mug", 1, 1),
        ("pen", None, None),
        ("tea", None, None),
        ("card", 5, 5),
    ]
    assert before["rewards"][0]["name"] == "Becher"
    assert before["rewards"][1]["limit"] == "2 per year"
    assert before["rewards"][2]["valid_until"] == "2011-03-31T23:00:00Z"
    await redeem(shop, "mug", "a", "1")
    await shop.post("/v1/activities", json=bought("1", "1", 10, clock.at))
    after = (await shop.get("/v1/rewards")).json()["rewards"]
    assert after[0]["left"] == 0
    [budget] = (await shop.get("/v1/budgets")).json()["budgets"]
    assert (budget["rule"], budget["points"], budget["left"]) == ("spree", 1000, 970)


async def test_before_any_programme_there_is_no_catalogue(unpublished: httpx.AsyncClient) -> None:
    for path in ("/v1/rewards", "/v1/budgets"):
        answer = await unpublished.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_program")


async def test_a_version_that_leaves_nothing_of_a_stock_is_published_with_a_warning(
    shop: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(shop, clock, ["1"])
    assert (await redeem(shop, "mug", "a", "1")).status_code == 201
    await shop.post("/v1/activities", json=bought("1", "1", 10, clock.at))
    made = await publish(shop, holds_from="2011-02-01T00:00", budget=30)
    assert made.status_code == 201
    assert [(each["place"], each["reason"]) for each in made.json()["warnings"]] == [
        ("earn.spree.budget", "30 were taken before, so that nothing is left of it"),
        ("rewards.mug.stock", "1 were taken before, so that nothing is left of it"),
    ]


async def test_a_preview_sees_what_is_left_and_takes_nothing(
    unpublished: httpx.AsyncClient, clock: FixedClock
) -> None:
    welcome = "welcome: {{event: enrolled, budget: 150 points, give: {{points: 100}}}}"
    document = DOCUMENT.replace("welcome: {{event: enrolled, give: {{points: 100}}}}", welcome)
    text = document.format(holds_from="2011-01-01T00:00", stock=1, budget=20)
    made = await unpublished.post(
        "/v1/program/versions", content=text, headers={"Content-Type": "application/yaml"}
    )
    assert made.status_code == 201, made.text
    clock.at = START + 10 * DAY
    await enrol(unpublished, clock, ["1"])
    basket = {"position": 1, "sku": "A", "quantity": 1, "unit_price": "10.00"}
    for member, joining in (({"member_id": "1"}, []), ({}, [("welcome", 50)])):
        asked = {"currency": "GBP", "lines": [basket], **member}
        shown = (await unpublished.post("/v1/previews", json=asked)).json()
        assert [(each["rule"], each["points"]) for each in shown["earned"]] == [("spree", 20)]
        assert [(each["rule"], each["points"]) for each in shown["joining"] or []] == joining
    budgets = (await unpublished.get("/v1/budgets")).json()["budgets"]
    assert {each["rule"]: each["left"] for each in budgets} == {"spree": 20, "welcome": 50}


async def test_a_stock_that_is_lowered_below_what_is_used_is_sold_out_until_it_is_raised(
    shop: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    await enrol(shop, clock, ["1"])
    assert (await redeem(shop, "mug", "a", "1")).status_code == 201
    for month, stock, status in (("02", 0, 409), ("03", 2, 201)):
        made = await publish(shop, holds_from=f"2011-{month}-01T00:00", stock=stock, budget=60)
        assert (made.status_code, made.json()["warnings"]) == (201, [])
        clock.at += 31 * DAY
        assert (await redeem(shop, "mug", f"b{month}", "1")).status_code == status
        [mug, *_] = (await shop.get("/v1/rewards")).json()["rewards"]
        assert (mug["stock"], mug["left"]) == (stock, 0)
    await prove(pool, database)


async def test_a_referrals_budget_is_exact_and_proves(
    unpublished: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    """Three friends buy at the same time, and there is enough for one and a half."""
    referral = """earn:
  friends: {{event: referral.qualified, min_spend: 5.00 GBP, budget: 750 points, limit: 1 per year,
             give: {{points: 300}}, friend: {{points: 200}}}}
"""
    text = DOCUMENT.replace("earn:\n", referral).format(
        holds_from="2011-01-01T00:00", stock=1, budget=1000
    )
    made = await unpublished.post(
        "/v1/program/versions", content=text, headers={"Content-Type": "application/yaml"}
    )
    assert made.status_code == 201, made.text
    clock.at = START + 10 * DAY
    await enrol(unpublished, clock, ["ada"])
    code = (await unpublished.get("/v1/members/ada/referral")).json()["code"]
    joining = [enrolled(friend, clock.at) for friend in ("bob", "eve", "dan")]
    for each in joining:
        each["data"]["referred_by"] = code
    await unpublished.post("/v1/activities", json=joining)
    sends = (
        unpublished.post("/v1/activities", json=bought(friend, "1", 10, clock.at))
        for friend in ("bob", "eve", "dan")
    )
    await asyncio.gather(*sends)

    async def left() -> int:
        budgets = (await unpublished.get("/v1/budgets")).json()["budgets"]
        [kept] = [each["left"] for each in budgets if each["rule"] == "friends"]
        return int(kept)

    assert await left() == 0
    await prove(pool, database)
    async with pool.acquire() as connection:
        rows = await connection.fetch("SELECT data FROM outbox WHERE target = 'ada' ORDER BY at")
        messages = [
            incoming("ada", decode_body(row["data"]), f"d{n}", clock) for n, row in enumerate(rows)
        ]
        await record_batch(PgSession(connection), Programs(), clock, messages)
    balances = {
        who: (await unpublished.get(f"/v1/members/{who}/balances")).json()["balances"][0]["pending"]
        for who in ("ada", "bob", "eve", "dan")
    }
    given = sum(balances.values())
    assert balances["ada"] in (50, 300)  # the limit is one a year, whichever friend comes first
    assert given + await left() == 750
    await prove(pool, database)
