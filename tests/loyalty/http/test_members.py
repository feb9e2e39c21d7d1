"""Reads of one member: as of now, and changing nothing."""

from __future__ import annotations

import asyncpg
import httpx
import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.domain.calendar import DAY, rfc3339
from tests.loyalty.http.events import bought, enrolled, event


@pytest.fixture
async def member(client: httpx.AsyncClient, clock: FixedClock) -> str:
    """Silver since today, with 220 points of January."""
    batch = [enrolled("17850", clock.at), bought("17850", "1", 120, clock.at)]
    sent = await client.post("/v1/activities", json=batch)
    assert [each["outcome"] for each in sent.json()] == ["accepted", "accepted"]
    return "/v1/members/17850"


async def test_a_member_at_a_glance(
    client: httpx.AsyncClient, clock: FixedClock, member: str
) -> None:
    shown = (await client.get(member)).json()
    assert shown == {
        "member_id": "17850",
        "status": "active",
        "enrolled_at": "2011-01-11T00:00:00Z",
        "as_of": rfc3339(clock.at),
        "notice": None,
        "program_version": 1,
        "balances": [
            {"currency": "points", "available": 220, "pending": 0, "held": 0, "arrears": 0}
        ],
        "tier": {
            "level": "silver",
            "name": "silver",
            "description": None,
            "since": "2011-01-11T00:00:00Z",
            "until": "2011-04-10T23:00:00Z",
            "grace_until": None,
            "qualifying": {"currency": "status", "window": "2011-01", "points": 120},
            "next": {
                "level": "gold",
                "name": "gold",
                "threshold": 1000,
                "missing": 880,
                "how": "all",
                "conditions": [
                    {"currency": "status", "needs": 1000, "missing": 880, "money": None}
                ],
                "points": {},
                "rewards": [],
            },
            # the review of April counts from February on
            "keep": {
                "threshold": 100,
                "missing": 100,
                "by": "2011-04-10T23:00:00Z",
                "how": "all",
                "conditions": [{"currency": "status", "needs": 100, "missing": 100, "money": None}],
            },
            "benefits": [
                {
                    "name": "priority-shipping",
                    "label": "priority-shipping",
                    "description": None,
                    "terms": "unlimited",
                }
            ],
            "manual": None,
        },
        "blocked": [],
        "points_kept_until": None,
    }
    assert (await client.get(f"{member}/tier")).json() == shown["tier"]
    assert (await client.get(f"{member}/balances")).json()["balances"] == shown["balances"]


async def test_lots_say_when_points_expire(client: httpx.AsyncClient, member: str) -> None:
    [lot] = (await client.get(f"{member}/lots")).json()["lots"]
    assert lot == {
        "currency": "points",
        "state": "available",
        "points": 220,
        "issued": "2011-01",
        "activates_at": None,
        "awaits_delivery_of": None,
        "awaits_referral": False,
        "expires_at": "2011-04-30T23:00:00Z",
        "while_active": False,
    }


async def test_a_read_is_as_of_now_and_changes_nothing(
    client: httpx.AsyncClient, clock: FixedClock, member: str, pool: asyncpg.Pool
) -> None:
    everything = "SELECT version, seq, state, due_at FROM account"
    async with pool.acquire() as connection:
        before = await connection.fetch(everything)
    clock.at += 120 * DAY
    shown = (await client.get(member)).json()
    assert shown["balances"][0]["available"] == 0
    assert shown["tier"]["level"] == "basic"
    assert (await client.get(f"{member}/lots")).json()["lots"] == []
    async with pool.acquire() as connection:
        assert await connection.fetch(everything) == before


async def test_entries_come_newest_first_with_their_trace(
    client: httpx.AsyncClient, member: str
) -> None:
    page = (await client.get(f"{member}/entries")).json()
    assert [item["seq"] for item in page["items"]] == [2, 1]
    assert page["next"] is None
    purchase = page["items"][0]
    assert (purchase["kind"], purchase["source"]) == ("purchase", "/shop")
    assert {(entry["currency"], entry["points"]) for entry in purchase["entries"]} == {
        ("points", 120),
        ("status", 120),
    }
    assert purchase["trace"]
    assert purchase["activity"]["order"] == "1"


async def test_pages_of_entries_join_without_gap_or_overlap(
    client: httpx.AsyncClient, clock: FixedClock, member: str
) -> None:
    batch = [
        event("engagement.recorded", f"r{n}", clock.at, member_id="17850", kind="product.reviewed")
        for n in range(5)
    ]
    await client.post("/v1/activities", json=batch)
    seen: list[int] = []
    cursor: str | None = None
    for _ in range(10):
        asked = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(f"{member}/entries", params=asked)).json()
        seen += [item["seq"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]


@pytest.mark.parametrize("cursor", ["", "s", "s0", "12", "s-1", "s1x", "s" + "9" * 30, "s١"])
async def test_a_cursor_that_is_not_ours_is_refused(
    insider: httpx.AsyncClient, cursor: str
) -> None:
    answer = await insider.get("/v1/members/1/entries", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")


async def test_the_catalogue_says_what_is_missing(client: httpx.AsyncClient, member: str) -> None:
    shown = (await client.get(f"{member}/rewards", headers={"Accept-Language": "de"})).json()
    assert [
        (each["reward"], each["affordable"], each["missing"], each["closed_because"])
        for each in shown["catalogue"]
    ] == [
        ("golden-pen", False, 0, "tier_too_low"),
        ("mug", True, 0, None),
        ("five-off", False, 280, None),
    ]
    assert shown["catalogue"][2]["name"] == "Fünf weniger"
    assert shown["catalogue"][1]["name"] == "mug"


async def test_a_member_that_there_is_not_is_not_found(client: httpx.AsyncClient) -> None:
    for what in ("", "/balances", "/tier", "/lots", "/rewards", "/entries"):
        answer = await client.get(f"/v1/members/nobody{what}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_member"), what


async def test_a_member_who_waits_for_the_enrolment_can_be_seen(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    sent = await client.post("/v1/activities", json=bought("5", "1", 10, clock.at))
    assert (sent.status_code, sent.json()["outcome"]) == (202, "parked")
    shown = (await client.get("/v1/members/5")).json()
    assert (shown["status"], shown["tier"], shown["enrolled_at"]) == ("unenrolled", None, None)
    assert (await client.get("/v1/members/5/tier")).json()["code"] == "no_tier"


async def test_before_any_programme_nothing_can_be_shown(
    unpublished: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    opened = """INSERT INTO account (member_id, version, seq, status, tier, head, state)
        VALUES ('1', 0, 0, 'unenrolled', '', decode(repeat('00', 32), 'hex'), '{}')"""
    async with pool.acquire() as connection:
        await connection.execute(opened)
    answer = await unpublished.get("/v1/members/1")
    assert (answer.status_code, answer.json()["code"]) == (503, "no_program")
