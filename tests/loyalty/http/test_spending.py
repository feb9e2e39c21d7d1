"""Redemptions, transfers and adjustments: once, in races, and with refusals that say why."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import asyncpg
import httpx
import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.domain.calendar import DAY
from tests.loyalty.http.events import bought, enrolled


async def enrol(client: httpx.AsyncClient, clock: FixedClock, member: str = "17850") -> None:
    """The member now has 100 points of welcome."""
    sent = await client.post("/v1/activities", json=enrolled(member, clock.at))
    assert sent.json()["outcome"] == "accepted", sent.text


async def redeem(
    client: httpx.AsyncClient, reward: str, key: str, member: str = "17850"
) -> httpx.Response:
    return await client.post(
        f"/v1/members/{member}/redemptions",
        json={"reward": reward},
        headers={"Idempotency-Key": key},
    )


async def available(client: httpx.AsyncClient, member: str = "17850") -> int:
    shown = await client.get(f"/v1/members/{member}/balances")
    points: int = shown.json()["balances"][0]["available"]
    return points


async def test_a_redemption_takes_exactly_the_cost(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    answer = await redeem(client, "mug", "a")
    assert answer.status_code == 201
    told = answer.json()
    assert (told["reward"], told["points"], told["currency"]) == ("mug", 80, "points")
    assert told["balances"][0]["available"] == 20 == await available(client)
    issued = (await client.get("/v1/members/17850/rewards")).json()["issued"]
    assert [(each["reward"], each["how"], each["by"]) for each in issued] == [
        ("mug", "redemption", told["redemption"])
    ]


async def test_a_refused_redemption_says_how_many_points_are_missing(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    answer = await redeem(client, "five-off", "a")
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["code"] == "insufficient_points"
    assert told["missing"] == 400
    assert "400" in told["detail"]
    assert await available(client) == 100


async def test_the_same_key_gives_the_first_answer_again(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    first, again = await redeem(client, "mug", "a"), await redeem(client, "mug", "a")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert await available(client) == 20


async def test_a_refusal_is_an_answer_that_stays(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    first = await redeem(client, "five-off", "a")
    await client.post("/v1/activities", json=bought("17850", "1", 900, clock.at))
    again = await redeem(client, "five-off", "a")
    assert again.content == first.content
    assert (await redeem(client, "five-off", "b")).status_code == 201


async def test_the_same_key_for_another_request_is_refused(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    await redeem(client, "mug", "a")
    answer = await redeem(client, "five-off", "a")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    moved = await client.post(
        "/v1/members/17850/adjustments",
        json={"currency": "points", "points": 5, "reason": "goodwill", "actor": "agent-7"},
        headers={"Idempotency-Key": "a"},
    )
    assert moved.json()["code"] == "idempotency_key_reused"


async def test_a_key_belongs_to_its_member(client: httpx.AsyncClient, clock: FixedClock) -> None:
    await enrol(client, clock, "1")
    await enrol(client, clock, "2")
    first, second = await redeem(client, "mug", "a", "1"), await redeem(client, "mug", "a", "2")
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["redemption"] != second.json()["redemption"]


async def test_a_request_without_a_key_is_told_to_bring_one(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/members/17850/redemptions", json={"reward": "mug"})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")


async def test_what_the_member_may_not_have_is_refused(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    for reward, status, code in (
        ("yacht", 422, "unknown_reward"),
        ("birthday-cake", 422, "unknown_reward"),
        ("golden-pen", 409, "tier_too_low"),
    ):
        answer = await redeem(client, reward, reward)
        assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_member_that_nobody_enrolled_is_not_found(client: httpx.AsyncClient) -> None:
    answer = await redeem(client, "mug", "a", "nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_member")


async def test_of_fifty_at_once_exactly_one_gets_what_there_is(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    answers = await asyncio.gather(*(redeem(client, "mug", f"k{n}") for n in range(50)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 49}
    assert {answer.json()["missing"] for answer in answers if answer.status_code == 409} == {60}
    assert await available(client) == 20


async def test_fifty_copies_of_one_request_have_one_effect(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    answers = await asyncio.gather(*(redeem(client, "mug", "same") for _ in range(50)))
    assert {(answer.status_code, answer.content) for answer in answers} == {
        (201, answers[0].content)
    }
    assert await available(client) == 20


async def test_a_redemption_spends_nothing_that_expired_a_second_ago(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    clock.at += 120 * DAY
    answer = await redeem(client, "mug", "a")
    assert (answer.status_code, answer.json()["missing"]) == (409, 80)
    page = (await client.get("/v1/members/17850/entries")).json()["items"]
    assert [item["kind"] for item in page[:2]] == ["redemption", "tick"]


async def test_a_stuck_account_says_so_and_remembers_no_answer(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool
) -> None:
    await enrol(client, clock)
    stuck = """UPDATE account SET version = version + 1, status = 'stuck',
        state = replace(state, '"status":"active"', '"status":"stuck","stuck_from":"active"')"""
    async with pool.acquire() as connection:
        await connection.execute(stuck)
    answer = await redeem(client, "mug", "a")
    assert (answer.status_code, answer.json()["code"]) == (503, "account_stuck")
    shown = (await client.get("/v1/members/17850")).json()
    assert shown["status"] == "stuck"
    assert "last good state" in shown["notice"]
    sent = await client.post("/v1/activities", json=bought("17850", "1", 9, clock.at))
    assert (sent.status_code, sent.json()["code"]) == (503, "account_stuck")
    async with pool.acquire() as connection:
        await connection.execute(
            """UPDATE account SET version = version + 1, status = 'active',
            state = replace(state, '"status":"stuck","stuck_from":"active"', '"status":"active"')"""
        )
    assert (await redeem(client, "mug", "a")).status_code == 201


async def transfer(client: httpx.AsyncClient, points: Any, to_member: str = "2") -> httpx.Response:
    return await client.post(
        "/v1/members/1/transfers",
        json={"to_member": to_member, "currency": "points", "points": points},
        headers={"Idempotency-Key": f"t{points}{to_member}"},
    )


async def test_a_transfer_leaves_the_member_and_waits_for_the_other(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool
) -> None:
    await enrol(client, clock, "1")
    answer = await transfer(client, 30)
    assert answer.status_code == 201
    assert answer.json()["balances"][0]["available"] == 70
    derived = "SELECT target, data::json->>'to_member' FROM outbox WHERE target IS NOT NULL"
    async with pool.acquire() as connection:
        assert [tuple(row) for row in await connection.fetch(derived)] == [("2", "2")]


async def test_more_than_there_is_cannot_be_transferred(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock, "1")
    told = (await transfer(client, 101)).json()
    assert (told["code"], told["missing"]) == ("insufficient_points", 1)


@pytest.mark.parametrize(
    ("points", "to_member", "code"),
    [
        (1, "1", "transfer_to_self"),
        (1, "ann@example.com", "invalid_request"),
        (0, "2", "invalid_request"),
        ("1", "2", "invalid_request"),
        (1.5, "2", "invalid_request"),
        (10**15, "2", "invalid_request"),
    ],
)
async def test_a_transfer_that_cannot_be_is_refused(
    insider: httpx.AsyncClient, points: Any, to_member: str, code: str
) -> None:
    answer = await transfer(insider, points, to_member)
    assert answer.json()["code"] == code, answer.text
    assert "ann@example" not in answer.text


async def adjust(client: httpx.AsyncClient, points: int, currency: str = "points") -> Any:
    answer = await client.post(
        "/v1/members/17850/adjustments",
        json={"currency": currency, "points": points, "reason": "goodwill", "actor": "agent-7"},
        headers={"Idempotency-Key": f"{currency}{points}"},
    )
    return answer.json()


async def test_adjustments_grant_and_take(client: httpx.AsyncClient, clock: FixedClock) -> None:
    await enrol(client, clock)
    assert (await adjust(client, 50))["balances"][0]["available"] == 150
    assert (await adjust(client, -40))["balances"][0]["available"] == 110
    assert (await adjust(client, -111))["code"] == "insufficient_points"
    assert (await adjust(client, 0))["code"] == "nothing_to_adjust"
    assert (await adjust(client, 1, "status"))["code"] == "unknown_currency"


async def test_redemptions_race_activities_on_the_same_members_and_every_point_is_counted(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    members = ("1", "2", "3")
    for member in members:
        await enrol(client, clock, member)
    sending = [
        client.post(
            "/v1/activities", json=[bought(each, f"{each}-{n}", 10, clock.at) for each in members]
        )
        for n in range(15)
    ]
    spending = [redeem(client, "mug", f"k{n}", member) for n in range(15) for member in members]
    answers = await asyncio.gather(*sending, *spending)
    for sent in answers[: len(sending)]:
        assert [each["outcome"] for each in sent.json()] == ["accepted"] * 3
    redeemed = Counter(
        answer.json()["member_id"] for answer in answers[len(sending) :] if answer.is_success
    )
    for member in members:
        assert await available(client, member) == 100 + 15 * 10 - 80 * redeemed[member]
        assert redeemed[member] >= 1


async def give_level(client: httpx.AsyncClient, key: str, **wanted: Any) -> httpx.Response:
    body = {"level": "gold", "reason": "status-match", "actor": "agent-7", **wanted}
    headers = {"Idempotency-Key": key}
    return await client.post("/v1/members/17850/tier", json=body, headers=headers)


async def test_a_level_is_given_by_hand_and_ended_again(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    first = await give_level(client, "a", until="2011-06-01T00:00:00+01:00")
    assert first.status_code == 201, first.text
    told = first.json()
    assert (told["level"], told["tier"], told["until"]) == ("gold", "gold", "2011-05-31T23:00:00Z")
    assert (await give_level(client, "a", until="2011-06-01T00:00:00+01:00")).json() == told
    shown = (await client.get("/v1/members/17850/tier")).json()
    assert (shown["level"], shown["manual"]["until"]) == ("gold", "2011-05-31T23:00:00Z")
    ended = await give_level(client, "b", level=None)
    assert (ended.json()["level"], ended.json()["tier"]) == (None, "basic")
    for key, wanted, code in (
        ("c", {"level": None}, "no_manual_tier"),
        ("d", {"level": "diamond"}, "unknown_level"),
        ("e", {"until": "2011-01-01T00:00:00Z"}, "end_is_past"),
        ("f", {"until": "2011-01-01"}, "invalid_request"),
    ):
        refused = await give_level(client, key, **wanted)
        assert refused.json()["code"] == code, refused.text
