"""Merging members over HTTP: asked once, and the old id answers for who goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.application.programs import Programs
from services.loyalty.db.session import PgSession
from services.loyalty.domain.calendar import DAY
from tests.loyalty.arriving import arrive
from tests.loyalty.http.events import bought, event, refunded
from tests.loyalty.http.test_spending import available, enrol, redeem

WHY = {"reason": "duplicate", "actor": "agent-7"}
Arrives = Callable[[], Awaitable[None]]


@pytest.fixture
async def arrives(pool: asyncpg.Pool, clock: FixedClock) -> Arrives:
    """All that accounts send to each other arrives."""

    async def arrive_all() -> None:
        async with pool.acquire() as connection:
            while await arrive(PgSession(connection), Programs(), clock):
                pass

    return arrive_all


@pytest.fixture
async def two(client: httpx.AsyncClient, clock: FixedClock) -> None:
    """Members 1 and 2, each with the 100 points of welcome, and 1 with those of a purchase."""
    await enrol(client, clock, "1")
    await enrol(client, clock, "2")
    sent = await client.post("/v1/activities", json=bought("1", "o1", 60, clock.at))
    assert sent.json()["outcome"] == "accepted", sent.text


async def merge(
    client: httpx.AsyncClient, old: str, into: str, key: str = "k", **more: Any
) -> httpx.Response:
    return await client.post(
        f"/v1/members/{old}/merge",
        json={"into": into, **WHY, **more},
        headers={"Idempotency-Key": key},
    )


@pytest.mark.usefixtures("two")
async def test_the_old_id_answers_for_the_member_who_goes_on(
    client: httpx.AsyncClient, clock: FixedClock, arrives: Arrives
) -> None:
    both = await available(client, "1") + await available(client, "2")
    asked = await merge(client, "1", "2")
    assert (asked.status_code, asked.json()["into"]) == (202, "2")
    assert (await merge(client, "1", "2")).headers["Idempotency-Replayed"] == "true"
    assert (await merge(client, "1", "2", "other")).json()["code"] == "merge_pending"
    await arrives()
    glance = (await client.get("/v1/members/1")).json()
    assert glance == (await client.get("/v1/members/2")).json()
    assert await available(client, "1") == both
    spent = await redeem(client, "mug", "r", "1")
    assert (spent.status_code, spent.json()["member_id"]) == (201, "2")
    again = await redeem(client, "mug", "r", "1")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await available(client, "2") == both - 80
    clock.at += DAY
    back = await client.post("/v1/activities", json=refunded("1", "o1", 60, clock.at))
    assert back.json()["outcome"] == "accepted"
    await arrives()
    assert await available(client, "1") < both - 80


@pytest.mark.usefixtures("two")
async def test_what_was_spent_by_the_old_id_is_undone_by_either(
    client: httpx.AsyncClient, arrives: Arrives
) -> None:
    both = await available(client, "1") + await available(client, "2")
    spent = (await redeem(client, "mug", "r", "1")).json()
    await merge(client, "1", "2")
    await arrives()
    assert await available(client, "2") == both - 80
    undone = await client.post(
        f"/v1/members/2/redemptions/{spent['redemption']}/cancellation",
        json={"reason": "changed_mind"},
        headers={"Idempotency-Key": "u"},
    )
    assert (undone.status_code, undone.json()["member_id"]) == (201, "1")
    await arrives()
    assert await available(client, "2") == both


@pytest.mark.usefixtures("two")
async def test_a_chain_of_merges_is_followed_to_its_end(
    client: httpx.AsyncClient, clock: FixedClock, arrives: Arrives
) -> None:
    await enrol(client, clock, "3")
    await merge(client, "1", "2")
    await arrives()
    await merge(client, "2", "3")
    await arrives()
    for member in "123":
        assert (await client.get(f"/v1/members/{member}")).json()["member_id"] == "3"
    await enrol(client, clock, "4")
    assert (await merge(client, "4", "1")).json()["into"] == "3"


@pytest.mark.usefixtures("two")
async def test_what_cannot_be_merged_is_told_apart(
    client: httpx.AsyncClient, clock: FixedClock, arrives: Arrives
) -> None:
    assert (await merge(client, "1", "nobody")).json()["code"] == "unknown_member"
    assert (await merge(client, "nobody", "1")).json()["code"] == "unknown_member"
    assert (await merge(client, "1", "1")).json()["code"] == "merge_into_self"
    closed = {"status": "closed", "reason": "x", "actor": "y"}
    await enrol(client, clock, "3")
    await client.post("/v1/members/3/status", json=closed, headers={"Idempotency-Key": "c"})
    refused = await merge(client, "1", "3", "a")
    assert (refused.status_code, refused.json()["code"]) == (409, "account_closed")
    await merge(client, "1", "2", "b")
    await arrives()
    assert (await merge(client, "1", "2", "c")).json()["code"] == "account_merged"
    assert (await merge(client, "2", "1", "d")).json()["code"] == "merge_into_self"
    status = await client.post(
        "/v1/members/1/status", json=closed, headers={"Idempotency-Key": "s"}
    )
    assert status.json()["code"] == "account_merged"


@pytest.mark.usefixtures("two")
async def test_a_merge_may_be_told_as_an_event(
    client: httpx.AsyncClient, clock: FixedClock, arrives: Arrives
) -> None:
    told = event("member.merged", "m1", clock.at, member_id="1", into="2", reason="duplicate")
    assert (await client.post("/v1/activities", json=told)).json()["outcome"] == "accepted"
    await arrives()
    assert (await client.get("/v1/members/1")).json()["member_id"] == "2"
    wrong = event("member.merged", "m2", clock.at, member_id="2", into="ann@example.org")
    answer = (await client.post("/v1/activities", json=wrong)).json()
    assert "ann@example.org" not in str(answer)
    assert "invalid_field" in str(answer)
