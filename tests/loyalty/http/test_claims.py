"""Claims of guest purchases: one member has it, and everybody else is told."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.domain.calendar import DAY
from tests.loyalty.http.events import bought, enrolled


@pytest.fixture
async def receipt(client: httpx.AsyncClient, clock: FixedClock) -> str:
    """What a guest bought, and two members."""
    purchase = bought("R-1", "7", 30, clock.at)
    purchase["data"]["guest"] = True
    batch = [enrolled("1", clock.at), enrolled("2", clock.at), purchase]
    sent = await client.post("/v1/activities", json=batch)
    assert [each["outcome"] for each in sent.json()] == ["accepted", "accepted", "parked"]
    return "R-1"


async def claims(
    client: httpx.AsyncClient, member: str, receipt: str, key: str = "k"
) -> httpx.Response:
    return await client.post(
        f"/v1/members/{member}/claims",
        json={"receipt": receipt},
        headers={"Idempotency-Key": key},
    )


async def test_of_two_members_at_once_one_has_it(client: httpx.AsyncClient, receipt: str) -> None:
    answers = await asyncio.gather(*(claims(client, member, receipt) for member in "12"))
    assert sorted(each.status_code for each in answers) == [202, 409]
    loser = next(each for each in answers if each.status_code == 409)
    assert loser.json()["code"] == "already_claimed"


async def test_asking_again_gives_the_first_answer_again(
    client: httpx.AsyncClient, receipt: str
) -> None:
    first = await claims(client, "1", receipt)
    again = await claims(client, "1", receipt)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (await claims(client, "1", receipt, "other")).json()["code"] == "already_claimed"


async def test_what_cannot_be_claimed_is_told_apart(
    client: httpx.AsyncClient, clock: FixedClock, receipt: str
) -> None:
    for number in ("R-2", "ann@example.org"):
        unknown = await claims(client, "1", number)
        assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_receipt")
    assert (await claims(client, "1", "2")).json()["code"] == "not_a_receipt"
    assert (await claims(client, receipt, receipt)).json()["code"] == "not_enrolled"
    assert (await claims(client, "9", receipt)).json()["code"] == "unknown_member"
    clock.at += 70 * DAY
    assert (await claims(client, "1", receipt, "late")).json()["code"] == "claim_too_late"
