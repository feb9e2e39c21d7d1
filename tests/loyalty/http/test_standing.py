"""Status, blocks and approvals over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from services.loyalty.application.clock import FixedClock
from tests.loyalty.http.test_spending import available, enrol, redeem

WHY = {"reason": "fraud-check", "actor": "agent-7"}


async def post(client: httpx.AsyncClient, path: str, key: str, **wanted: Any) -> httpx.Response:
    return await client.post(
        f"/v1/members/17850/{path}", json=wanted, headers={"Idempotency-Key": key}
    )


async def test_an_account_is_suspended_closed_and_reopened(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    answer = await post(client, "status", "a", status="suspended", **WHY)
    assert (answer.status_code, answer.json()["status"]) == (201, "suspended")
    assert (await redeem(client, "mug", "b")).json()["code"] == "account_suspended"
    again = await post(client, "status", "a", status="suspended", **WHY)
    assert again.headers["Idempotency-Replayed"] == "true"
    same = await post(client, "status", "c", status="suspended", **WHY)
    assert (same.status_code, same.json()["code"]) == (409, "status_unchanged")
    closed = (await post(client, "status", "d", status="closed", **WHY)).json()
    assert closed["points_kept_until"] is not None
    glance = (await client.get("/v1/members/17850")).json()
    assert glance["points_kept_until"] == closed["points_kept_until"]
    await post(client, "status", "e", status="active", **WHY)
    assert await available(client) == 100


async def test_spending_can_be_blocked_by_itself(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    answer = await post(client, "blocks", "a", what="spending", blocked=True, **WHY)
    assert (answer.status_code, answer.json()["blocked"]) == (201, ["spending"])
    assert (await client.get("/v1/members/17850")).json()["blocked"] == ["spending"]
    refused = await redeem(client, "mug", "b")
    assert (refused.status_code, refused.json()["code"]) == (409, "spending_blocked")
    await post(client, "blocks", "c", what="spending", blocked=False, **WHY)
    assert (await redeem(client, "mug", "d")).status_code == 201


async def test_a_large_adjustment_waits_for_another_person(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await enrol(client, clock)
    large = {"currency": "points", "points": 5001, "reason": "goodwill", "actor": "agent-7"}
    answer = (await post(client, "adjustments", "a", **large)).json()
    assert (answer["state"], await available(client)) == ("waiting", 100)
    name = answer["adjustment"]
    [waiting] = (await client.get("/v1/members/17850/adjustments")).json()["waiting"]
    assert (waiting["adjustment"], waiting["points"]) == (name, 5001)
    path = f"adjustments/{name}/approval"
    alone = await post(client, path, "b", approved=True, actor="agent-7")
    assert (alone.status_code, alone.json()["code"]) == (409, "second_person_needed")
    done = await post(client, path, "c", approved=True, actor="lead-2")
    assert (done.status_code, await available(client)) == (201, 5101)
    gone = await post(client, path, "d", approved=True, actor="lead-2")
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_adjustment")
    small = await post(client, "adjustments", "e", **{**large, "points": 5000})
    assert small.json()["state"] == "done"
