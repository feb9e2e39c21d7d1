"""Previews: what a basket would earn, through the same rules, changing nothing."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.domain.calendar import DAY
from tests.loyalty.http.events import bought, enrolled

BASKET: dict[str, Any] = {
    "currency": "GBP",
    "lines": [{"position": 1, "sku": "22423", "quantity": 1, "unit_price": "120.00"}],
}


@pytest.fixture
async def member(client: httpx.AsyncClient, clock: FixedClock) -> str:
    await client.post("/v1/activities", json=[enrolled("17850", clock.at)])
    return "17850"


async def previewed(client: httpx.AsyncClient, **more: Any) -> dict[str, Any]:
    answer = await client.post("/v1/previews", json={**BASKET, **more})
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


def gains(shown: dict[str, Any], part: str = "earned") -> dict[tuple[str, str], int]:
    return {(gain["rule"], gain["currency"]): gain["points"] for gain in shown[part]}


async def test_a_preview_says_what_the_purchase_then_earns(
    client: httpx.AsyncClient, clock: FixedClock, member: str
) -> None:
    shown = await previewed(client, member_id=member)
    assert shown["outcome"] == "accepted"
    assert gains(shown) == {("base", "points"): 120, ("base", "status"): 120}
    assert shown["balances"][0]["available"] == 100
    assert shown["tier"]["level"] == "silver"
    assert shown["tier"]["next"]["missing"] == 880
    await client.post("/v1/activities", json=bought(member, "1", 120, clock.at))
    now = (await client.get(f"/v1/members/{member}")).json()
    assert now["balances"][0]["available"] == 220
    assert now["tier"] == shown["tier"]


async def test_a_preview_changes_nothing(
    client: httpx.AsyncClient, clock: FixedClock, member: str, pool: asyncpg.Pool
) -> None:
    clock.at += 200 * DAY  # points are due to expire, and would be ticked
    async with pool.acquire() as connection:
        question = "SELECT md5(string_agg(t::text, '')) FROM {} t"
        tables = ("account", "journal", "ledger", "outbox")
        before = [await connection.fetchval(question.format(each)) for each in tables]
        first, second = [await previewed(client, member_id=member) for _ in range(2)]
        assert first == second
        assert [await connection.fetchval(question.format(each)) for each in tables] == before


async def test_a_guest_sees_what_joining_and_buying_would_bring(client: httpx.AsyncClient) -> None:
    shown = await previewed(client)
    assert shown["member_id"] is None
    assert gains(shown, "joining") == {("welcome", "points"): 100}
    assert gains(shown) == {("base", "points"): 120, ("base", "status"): 120}
    assert shown["balances"][0]["available"] == 100


async def test_what_intake_refuses_no_preview_takes(client: httpx.AsyncClient, member: str) -> None:
    line = {**BASKET["lines"][0], "unit_price": "1.234"}
    answer = await client.post("/v1/previews", json={**BASKET, "lines": [line]})
    assert (answer.status_code, answer.json()["reason"]) == (422, "impossible_amount")
    shown = await previewed(client, member_id=member, currency="USD")
    assert (shown["outcome"], shown["reason"]) == ("refused", "currency_without_rate")
    assert shown["earned"] == []


async def test_nobody_and_nothing_have_no_preview(client: httpx.AsyncClient) -> None:
    unknown = await client.post("/v1/previews", json={**BASKET, "member_id": "zoe"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_member")
    empty = await client.post("/v1/previews", json={**BASKET, "lines": []})
    assert (empty.status_code, empty.json()["code"]) == (422, "invalid_request")


async def test_before_a_programme_nothing_can_be_judged(unpublished: httpx.AsyncClient) -> None:
    answer = await unpublished.post("/v1/previews", json=BASKET)
    assert (answer.status_code, answer.json()["code"]) == (503, "no_program")
