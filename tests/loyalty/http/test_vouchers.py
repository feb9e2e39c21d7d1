"""Vouchers over HTTP: codes for those who may see them, used once whoever races, and undone."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import asyncpg
import httpx
import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.application.codes import digest_of
from services.loyalty.db.replay import replay
from services.loyalty.db.verify import verify
from services.loyalty.domain.calendar import DAY
from tests.loyalty.http.conftest import START, MakeKey
from tests.loyalty.http.events import bought, enrolled, event
from tests.loyalty.http.programme import DOCUMENT
from tests.loyalty.http.test_spending import available, enrol, redeem
from tests.postgres import Database

MEMBER = "/v1/members/17850"
RICHER = (
    DOCUMENT.replace(
        "{priority-shipping: unlimited}", "{priority-shipping: unlimited, free-upgrade: 2 per year}"
    )
    .replace(
        "birthday-cake: {gift_only: true}",
        "birthday-cake: {gift_only: true, voucher: {item: cake}}",
    )
    .replace(
        "\nrewards:\n",
        """
gifts:
  birthday:
    choose: [birthday-cake, birthday-card]
    member_for: 0 days
    date_known_for: 0 days
rewards:
  birthday-card: {gift_only: true}
  one-off:
    cost: 50 points
    voucher: {worth: 1.00 GBP, percent: 12.5 %, valid: 30 days, terms: {min_spend: 9.00 GBP}}
""",
    )
)
"""The small programme, with vouchers, a gift to choose and a benefit that is counted."""


@pytest.fixture
async def client(unpublished: httpx.AsyncClient, clock: FixedClock) -> httpx.AsyncClient:
    """A client with a key of every scope, ten days after the richer programme began to hold."""
    made = await unpublished.post(
        "/v1/program/versions", content=RICHER, headers={"Content-Type": "application/yaml"}
    )
    assert made.status_code == 201, made.text
    clock.at = START + 10 * DAY
    return unpublished


async def post(client: httpx.AsyncClient, path: str, key: str, **body: Any) -> httpx.Response:
    return await client.post(path, json=body, headers={"Idempotency-Key": key})


async def issued(client: httpx.AsyncClient, clock: FixedClock) -> dict[str, Any]:
    """A voucher of the member, as it is shown, for half of the points of the welcome."""
    await enrol(client, clock)
    answer = await redeem(client, "one-off", "first")
    assert answer.status_code == 201, answer.text
    [voucher] = (await client.get(f"{MEMBER}/vouchers")).json()["vouchers"]
    assert voucher["voucher"] == answer.json()["voucher"]
    shown: dict[str, Any] = voucher
    return shown


async def sound(pool: asyncpg.Pool, database: Database) -> None:
    async with pool.acquire() as connection:
        verdict = await verify(connection)
    assert verdict.sound, verdict.first
    replayed = await replay(database.url)
    assert replayed.identical, replayed.first


async def test_a_voucher_is_shown_with_its_terms_and_its_code(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    voucher = await issued(client, clock)
    assert (voucher["state"], voucher["points"], voucher["currency"]) == ("open", 50, "points")
    assert voucher["worth"] == {"amount": "1.00", "currency": "GBP"}
    assert (voucher["percent"], voucher["terms"]) == ("12.5", {"min_spend": "9.00 GBP"})
    typed = voucher["code"].lower().replace("-", "")
    assert (await client.get(f"/v1/vouchers/{typed}")).json() == voucher
    [reward] = (await client.get(f"{MEMBER}/rewards")).json()["issued"]
    assert reward["voucher"] == voucher["voucher"]


async def test_a_code_is_answered_to_its_own_scope_alone_and_is_stored_once(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, make_key: MakeKey
) -> None:
    voucher = await issued(client, clock)
    code = voucher["code"]
    used = await post(client, f"/v1/vouchers/{code}/use", "u")
    assert code not in used.text
    async with pool.acquire() as connection:
        tables = await connection.fetch(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        )
        for (table,) in tables:
            rows = await connection.fetch(
                f"SELECT t::text FROM {table} AS t WHERE t::text ~ $1", code
            )
            assert len(rows) == (table == "voucher"), table
        facts = await connection.fetchval("SELECT facts FROM journal WHERE kind = 'redemption'")
    assert digest_of(code) in facts
    client.headers["Authorization"] = f"Bearer {await make_key('members:read', 'members:write')}"
    for path in (f"{MEMBER}/vouchers", f"/v1/vouchers/{code}"):
        assert (await client.get(path)).json()["code"] == "scope_missing"
    refused = await post(client, f"/v1/vouchers/{code}/use", "v")
    assert refused.json()["code"] == "scope_missing"


async def test_a_voucher_is_used_once_and_the_same_key_says_so_again(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    path = f"/v1/vouchers/{(await issued(client, clock))['code']}/use"
    first = await post(client, path, "a", order_id="o1")
    assert first.status_code == 201, first.text
    assert first.json()["voucher"]["state"] == "used"
    assert first.json()["voucher"]["order_id"] == "o1"
    again = await post(client, path, "a", order_id="o1")
    assert (again.content, again.headers["Idempotency-Replayed"]) == (first.content, "true")
    assert (await post(client, path, "a", order_id="o2")).json()["code"] == "idempotency_key_reused"
    other = await post(client, path, "b", order_id="o1")
    assert (other.status_code, other.json()["code"]) == (409, "voucher_used")
    await sound(pool, database)


async def test_the_same_key_for_another_voucher_is_refused(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await issued(client, clock)
    await redeem(client, "one-off", "second")
    one, two = (await client.get(f"{MEMBER}/vouchers")).json()["vouchers"]
    assert (await post(client, f"/v1/vouchers/{one['code']}/use", "a")).status_code == 201
    answer = await post(client, f"/v1/vouchers/{two['code']}/use", "a")
    assert answer.json()["code"] == "idempotency_key_reused"


async def test_of_thirty_who_have_the_code_exactly_one_uses_it(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    path = f"/v1/vouchers/{(await issued(client, clock))['code']}/use"
    answers = await asyncio.gather(*(post(client, path, f"k{n}") for n in range(30)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 29}
    assert {each.json()["code"] for each in answers if each.status_code == 409} == {"voucher_used"}
    await sound(pool, database)


async def test_use_void_and_cancellation_race_and_one_of_them_wins(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    voucher = await issued(client, clock)
    use, void = (
        f"/v1/vouchers/{voucher['code']}/use",
        f"{MEMBER}/vouchers/{voucher['voucher']}/void",
    )
    undo = f"{MEMBER}/redemptions/{voucher['by']}/cancellation"
    answers = await asyncio.gather(
        *(post(client, use, f"u{n}") for n in range(5)),
        *(post(client, void, f"v{n}", reason="x", actor="y") for n in range(5)),
        *(post(client, undo, f"c{n}", reason="x") for n in range(5)),
    )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 14}
    undone = any(answer.status_code == 201 for answer in answers[10:])
    assert await available(client) == (100 if undone else 50)
    await sound(pool, database)


async def test_an_expired_voucher_is_shown_so_before_anybody_recorded_it(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    code = (await issued(client, clock))["code"]
    clock.at += 40 * DAY
    shown = (await client.get(f"/v1/vouchers/{code}")).json()
    assert (shown["state"], shown["ended_at"]) == ("expired", shown["expires_at"])
    refused = await post(client, f"/v1/vouchers/{code}/use", "u")
    assert (refused.status_code, refused.json()["code"]) == (409, "voucher_expired")
    listed = await client.get(f"{MEMBER}/vouchers", params={"state": "open"})
    assert listed.json()["vouchers"] == []


@pytest.mark.parametrize("code", ["nonsense", "7Q3KV-9ZBM4-01XTE-RW8HC", "%27%20OR%201"])
async def test_a_code_of_nobody_is_unknown(client: httpx.AsyncClient, code: str) -> None:
    for answer in (
        await client.get(f"/v1/vouchers/{code}"),
        await post(client, f"/v1/vouchers/{code}/use", "a"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_voucher")


async def test_a_cancelled_redemption_gives_its_points_back_and_voids_the_voucher(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    voucher = await issued(client, clock)
    path = f"{MEMBER}/redemptions/{voucher['by']}/cancellation"
    part = await post(client, path, "part", points=1, reason="order_cancelled")
    assert (part.status_code, part.json()["code"]) == (409, "whole_only")
    answer = await post(client, path, "all", reason="order_cancelled")
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["points"], told["left"], told["voucher"]) == (50, 0, voucher["voucher"])
    assert [each["points"] for each in told["returned"]] == [50]
    assert await available(client) == 100
    again = await post(client, path, "all", reason="order_cancelled")
    assert again.content == answer.content
    twice = await post(client, path, "more", reason="order_cancelled")
    assert (twice.status_code, twice.json()["code"]) == (409, "already_cancelled")
    shown = (await client.get(f"/v1/vouchers/{voucher['code']}")).json()
    assert (shown["state"], shown["reason"]) == ("voided", "redemption_cancelled")
    await sound(pool, database)


async def test_a_redemption_is_cancelled_in_parts_and_never_beyond(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    await enrol(client, clock)
    name = (await redeem(client, "mug", "a")).json()["redemption"]
    path = f"{MEMBER}/redemptions/{name}/cancellation"
    answers = await asyncio.gather(
        *(post(client, path, f"c{n}", points=30, reason="x") for n in range(6))
    )
    assert Counter(answer.status_code for answer in answers) == {201: 2, 409: 4}
    assert {each.json()["left"] for each in answers if each.status_code == 409} == {20}
    assert await available(client) == 80
    unknown = await post(client, f"{MEMBER}/redemptions/rd-0/cancellation", "u", reason="x")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_redemption")
    await sound(pool, database)


async def test_a_gift_is_chosen_once(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    joining = enrolled("17850", clock.at)
    joining["data"]["born_on"] = "1980-01-20"
    await client.post("/v1/activities", json=joining)
    assert (await client.get(f"{MEMBER}/offers")).json()["offers"] == []
    clock.at += 15 * DAY
    [offer] = (await client.get(f"{MEMBER}/offers")).json()["offers"]
    assert offer["choose"] == ["birthday-cake", "birthday-card"]
    path = f"{MEMBER}/offers/{offer['offer']}/claim"
    assert (await post(client, path, "a", reward="mug")).json()["code"] == "not_offered"
    answers = await asyncio.gather(
        *(post(client, path, f"k{n}", reward="birthday-cake") for n in range(8))
    )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 404: 7}
    [voucher] = (await client.get(f"{MEMBER}/vouchers")).json()["vouchers"]
    assert (voucher["item"], voucher["how"]) == ("cake", "gift")
    await sound(pool, database)


async def test_benefits_are_counted_and_refused_when_they_are_used_up(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    await enrol(client, clock)
    path = f"{MEMBER}/benefits/free-upgrade/uses"
    refused = await post(client, path, "early")
    assert (refused.status_code, refused.json()["code"]) == (409, "benefit_not_held")
    await client.post("/v1/activities", json=bought("17850", "1", 150, clock.at))
    answers = await asyncio.gather(*(post(client, path, f"k{n}", about="b-1") for n in range(6)))
    assert Counter(answer.status_code for answer in answers) == {201: 2, 409: 4}
    told = (await client.get(f"{MEMBER}/benefits")).json()
    assert told["level"] == "silver"
    assert [(each["name"], each["used"], each["left"]) for each in told["benefits"]] == [
        ("priority-shipping", 0, None),
        ("free-upgrade", 2, 0),
    ]
    await sound(pool, database)


async def test_whoever_may_not_void_is_refused_and_a_voided_voucher_stays_so(
    client: httpx.AsyncClient, clock: FixedClock, make_key: MakeKey
) -> None:
    voucher = await issued(client, clock)
    path = f"{MEMBER}/vouchers/{voucher['voucher']}/void"
    answer = await post(client, path, "v", reason="sent_twice", actor="agent-7")
    assert answer.json()["voucher"]["reason"] == "sent_twice"
    used = await post(client, f"/v1/vouchers/{voucher['code']}/use", "u")
    assert used.json()["code"] == "voucher_voided"
    assert await available(client) == 50
    client.headers["Authorization"] = f"Bearer {await make_key('members:write')}"
    refused = await post(client, path, "w", reason="sent_twice", actor="agent-7")
    assert refused.json()["code"] == "scope_missing"


async def test_a_voucher_outlives_the_erasure_of_its_member(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool, database: Database
) -> None:
    voucher = await issued(client, clock)
    erased = event("member.erased", "erase", clock.at, member_id="17850", reason="asked")
    await client.post("/v1/activities", json=erased)
    used = await post(client, f"/v1/vouchers/{voucher['code']}/use", "u")
    assert used.status_code == 201, used.text
    await sound(pool, database)
