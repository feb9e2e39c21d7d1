"""Holds over HTTP: visible at once, once, in races, and with refusals that say why."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import asyncpg
import httpx
import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.db.verify import verify
from services.loyalty.domain.calendar import DAY, MINUTE, rfc3339
from tests.loyalty.http.test_spending import enrol, redeem

MEMBER = "/v1/members/17850"
ORDER = {"order_id": "o9", "amount": "20.00", "currency": "GBP"}


async def post(
    client: httpx.AsyncClient, path: str, key: str, body: dict[str, Any] | None = None
) -> httpx.Response:
    return await client.post(f"{MEMBER}{path}", json=body, headers={"Idempotency-Key": key})


async def hold(client: httpx.AsyncClient, key: str = "h", **wanted: Any) -> str:
    answer = await post(client, "/holds", key, wanted or {"currency": "points", "points": 60})
    assert answer.status_code == 201, answer.text
    name: str = answer.json()["hold"]["hold"]
    return name


async def balance(client: httpx.AsyncClient) -> tuple[int, int]:
    shown = (await client.get(f"{MEMBER}/balances")).json()["balances"][0]
    return shown["available"], shown["held"]


async def test_a_hold_is_seen_at_once_and_captured_in_parts(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool
) -> None:
    await enrol(client, clock)
    made = await post(client, "/holds", "h", {"order": ORDER, "points": 60, "ttl_s": 600})
    told = made.json()["hold"]
    assert (told["state"], told["held"], told["worth"]["amount"]) == ("open", 60, "6.00")
    assert told["ends_at"] == rfc3339(clock.at + 10 * MINUTE)
    assert await balance(client) == (40, 60)
    name = told["hold"]
    part = await post(client, f"/holds/{name}/captures", "c1", {"points": 20})
    assert part.status_code == 201
    assert (part.json()["points"], part.json()["left"]) == (20, 40)
    assert part.json()["worth"] == {"amount": "2.00", "currency": "GBP"}
    rest = {"points": 30, "release_rest": True}
    last = (await post(client, f"/holds/{name}/captures", "c2", rest)).json()
    assert (last["points"], last["left"], last["released"]) == (30, 0, 10)
    shown = (await client.get(f"{MEMBER}/holds/{name}")).json()
    assert (shown["state"], shown["captured"], shown["released"]) == ("captured", 50, 10)
    assert await balance(client) == (50, 0)
    async with pool.acquire() as connection:
        verdict = await verify(connection)
    assert verdict.sound, verdict.first
    assert verdict.balances["points"]["held"] == 0


async def test_a_hold_for_a_reward_gives_it_when_it_is_captured(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    name = await hold(client, reward="mug")
    assert (await client.get(f"{MEMBER}/rewards")).json()["issued"] == []
    answer = await post(client, f"/holds/{name}/captures", "c", {})
    assert (answer.json()["reward"], answer.json()["hold"]) == ("mug", name)
    [issued] = (await client.get(f"{MEMBER}/rewards")).json()["issued"]
    assert (issued["reward"], issued["by"]) == ("mug", answer.json()["redemption"])


async def test_a_voided_hold_and_one_whose_time_is_over_are_shown_as_they_ended(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    first, second = await hold(client, "a", reward="mug"), ""
    voided = await post(client, f"/holds/{first}/void", "v")
    assert voided.json()["hold"]["state"] == "voided"
    second = await hold(client, "b")
    clock.at += 31 * MINUTE
    listed = (await client.get(f"{MEMBER}/holds")).json()["holds"]
    states = [(each["hold"], each["state"], each["released"]) for each in listed]
    assert states == [(second, "lapsed", 60), (first, "voided", 80)]
    assert await balance(client) == (100, 0)
    late = await post(client, f"/holds/{second}/captures", "late", {})
    assert (late.status_code, late.json()["code"]) == (409, "hold_ended")
    assert late.json()["how"] == "lapsed"
    again = await post(client, f"/holds/{first}/void", "v2")
    assert (again.json()["code"], again.json()["how"]) == ("hold_ended", "voided")


async def test_a_hold_that_nobody_made_is_not_found(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    shown = await client.get(f"{MEMBER}/holds/hd-none")
    assert (shown.status_code, shown.json()["code"]) == (404, "unknown_hold")
    answer = await post(client, "/holds/hd-none/captures", "c", {})
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_hold")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({}, "invalid_request"),
        ({"points": 5}, "invalid_request"),
        ({"reward": "mug", "points": 5}, "invalid_request"),
        ({"order": ORDER}, "invalid_request"),
        ({"order": {**ORDER, "amount": "20.001"}, "points": 20}, "invalid_request"),
        ({"order": {**ORDER, "amount": "0"}, "points": 20}, "invalid_request"),
        ({"order": {**ORDER, "currency": "XXX"}, "points": 20}, "invalid_request"),
        ({"currency": "points", "points": 0}, "invalid_request"),
        ({"order": {**ORDER, "currency": "EUR"}, "points": 20}, "no_rate"),
        ({"order": ORDER, "points": 10}, "below_minimum"),
        ({"order": ORDER, "points": 25}, "not_a_step"),
        ({"order": {**ORDER, "amount": "4.00"}, "points": 30}, "above_share"),
        ({"order": ORDER, "points": 110}, "payment_impossible"),
        ({"order": {**ORDER, "amount": "90.00"}, "points": 110}, "insufficient_points"),
        ({"currency": "points", "points": 5, "ttl_s": 8 * 86_400}, "hold_too_long"),
        ({"currency": "status", "points": 5}, "unknown_currency"),
    ],
)
async def test_what_cannot_be_held_is_refused(
    client: httpx.AsyncClient, clock: FixedClock, wanted: dict[str, Any], code: str
) -> None:
    await enrol(client, clock)
    answer = await post(client, "/holds", "h", wanted)
    assert answer.json()["code"] == code, answer.text
    assert await balance(client) == (100, 0)


async def test_points_pay_for_an_order_at_once(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    answer = await post(client, "/redemptions", "r", {"order": ORDER, "points": 60})
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["reward"], told["order_id"], told["worth"]["amount"]) == (None, "o9", "6.00")
    assert await balance(client) == (40, 0)
    both = await post(client, "/redemptions", "b", {"order": ORDER, "reward": "mug"})
    assert both.json()["code"] == "invalid_request"


async def test_the_same_key_for_another_hold_is_refused(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    few = {"currency": "points", "points": 10}
    first, second = await hold(client, "a", **few), await hold(client, "b", **few)
    once = await post(client, f"/holds/{first}/captures", "c", {})
    again = await post(client, f"/holds/{first}/captures", "c", {})
    assert (again.content, again.headers["Idempotency-Replayed"]) == (once.content, "true")
    other = await post(client, f"/holds/{second}/captures", "c", {})
    assert other.json()["code"] == "idempotency_key_reused"
    assert await balance(client) == (80, 10)


async def test_captures_and_voids_that_race_share_what_is_held_and_no_point_more(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool
) -> None:
    await enrol(client, clock)
    name = await hold(client)
    racing = [post(client, f"/holds/{name}/captures", f"c{n}", {"points": 9}) for n in range(14)]
    racing += [post(client, f"/holds/{name}/captures", "same", {"points": 1}) for _ in range(6)]
    racing += [redeem(client, "mug", f"r{n}") for n in range(4)]
    racing.append(post(client, f"/holds/{name}/void", "v"))
    answers = await asyncio.gather(*racing)
    assert all(answer.status_code in (201, 404, 409) for answer in answers)
    captured = sum(answer.is_success for answer in answers[:14])
    assert captured <= 6
    assert len({answer.content for answer in answers[14:20]}) == 1
    once = answers[14].is_success
    available, held = await balance(client)
    mugs = sum(answer.is_success for answer in answers[20:24])
    assert held == 0
    assert available == 100 - 9 * captured - once - 80 * mugs
    async with pool.acquire() as connection:
        verdict = await verify(connection)
    assert verdict.sound, verdict.first
    assert verdict.balances["points"]["redeemed"] == 100 - available


async def test_of_many_holds_at_once_only_what_there_is_is_held(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    wanted = {"currency": "points", "points": 30}
    answers = await asyncio.gather(*(post(client, "/holds", f"h{n}", wanted) for n in range(20)))
    assert Counter(answer.status_code for answer in answers) == {201: 3, 409: 17}
    assert await balance(client) == (10, 90)


async def by_hand(client: httpx.AsyncClient, what: str, key: str, **wanted: Any) -> httpx.Response:
    body = {"currency": "points", "reason": "goodwill", "actor": "agent-7", **wanted}
    return await post(client, f"/{what}", key, body)


async def test_points_are_extended_and_reinstated_by_hand(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool
) -> None:
    await enrol(client, clock)
    soon = clock.at + 150 * DAY
    answer = await by_hand(client, "extensions", "e", until=rfc3339(soon))
    assert answer.status_code == 201, answer.text
    assert (answer.json()["points"], answer.json()["expires_at"]) == (100, rfc3339(soon))
    lots = (await client.get(f"{MEMBER}/lots")).json()["lots"]
    assert [(lot["points"], lot["expires_at"]) for lot in lots] == [(100, rfc3339(soon))]
    assert (await by_hand(client, "extensions", "f", until=rfc3339(soon))).json()["code"] == (
        "nothing_to_extend"
    )
    clock.at = soon + DAY
    again = rfc3339(soon + 30 * DAY)
    late = await by_hand(client, "reinstatements", "r", until=rfc3339(soon), points=40)
    assert late.json()["code"] == "not_later"
    many = await by_hand(client, "reinstatements", "s", until=again, points=101)
    assert (many.json()["code"], many.json()["expired"]) == ("more_than_expired", 100)
    some = await by_hand(client, "reinstatements", "t", until=again, points=40)
    assert (some.status_code, some.json()["balances"][0]["available"]) == (201, 40)
    rest = await by_hand(client, "reinstatements", "u", until=again)
    assert rest.json()["points"] == 60
    none = await by_hand(client, "reinstatements", "w", until=again)
    assert none.json()["code"] == "nothing_to_reinstate"
    async with pool.acquire() as connection:
        verdict = await verify(connection)
    assert verdict.sound, verdict.first


@pytest.mark.parametrize("until", ["soon", "2011-06-01", "2011-06-01T00:00:00", "9999-01-01T00Z"])
async def test_an_end_that_is_no_instant_is_refused(insider: httpx.AsyncClient, until: str) -> None:
    answer = await by_hand(insider, "extensions", "e", until=until)
    assert answer.json()["code"] == "invalid_request", answer.text


async def test_longer_lives_need_the_scope_of_adjustments(
    anyone: httpx.AsyncClient, client: httpx.AsyncClient, clock: FixedClock, make_key: Any
) -> None:
    await enrol(client, clock)
    anyone.headers["Authorization"] = f"Bearer {await make_key('members:write')}"
    answer = await by_hand(anyone, "extensions", "e", until=rfc3339(clock.at + 200 * DAY))
    assert (answer.status_code, answer.json()["scope"]) == (403, "members:adjust")
