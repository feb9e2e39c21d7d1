"""The programme over HTTP: what holds, what was published, checking and publishing."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import asyncpg
import httpx
import yaml

from services.loyalty.application.clock import FixedClock
from services.loyalty.domain.calendar import DAY, MINUTE
from tests.loyalty.http.conftest import START
from tests.loyalty.http.events import enrolled
from tests.loyalty.http.programme import DOCUMENT, HOLDS_FROM

YAML = {"Content-Type": "application/yaml"}
NEXT = DOCUMENT.replace(HOLDS_FROM, "2011-02-01T00:00")


async def test_what_was_published_is_given_back_letter_by_letter(
    client: httpx.AsyncClient,
) -> None:
    shown = (await client.get("/v1/program")).json()
    assert shown["document"] == DOCUMENT
    assert shown["digest"] == hashlib.sha256(DOCUMENT.encode()).hexdigest()
    assert (shown["version"], shown["program"]) == (1, "test-rewards")
    assert (shown["holds_from"], shown["published_by"]) == ("2011-01-01T00:00:00Z", "shop")
    assert (await client.get("/v1/program/versions/1")).json() == shown


async def test_a_version_holds_from_its_instant_on(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    made = await client.post("/v1/program/versions", content=NEXT, headers=YAML)
    assert (made.status_code, made.json()["version"]) == (201, 2)
    assert (await client.get("/v1/program")).json()["version"] == 1
    listed = (await client.get("/v1/program/versions")).json()["versions"]
    assert [each["version"] for each in listed] == [2, 1]
    clock.at = START + 31 * DAY
    assert (await client.get("/v1/program")).json()["version"] == 2


async def test_a_document_may_be_json(client: httpx.AsyncClient) -> None:
    document = yaml.safe_load(NEXT)
    document["transfers"] = {"allowed": "true"}
    document["earn"]["welcome"]["give"]["points"] = "100"
    text = json.dumps(document, default=str)
    made = await client.post(
        "/v1/program/versions", content=text, headers={"Content-Type": "application/json"}
    )
    assert made.status_code == 201, made.text
    assert made.json()["document"] == text


async def test_all_mistakes_come_at_once(client: httpx.AsyncClient) -> None:
    wrong = NEXT.replace("cost: 80 points", "cost: 80 stars").replace("kind: product", "knd: pro")
    for path in ("/v1/program/versions", "/v1/program/check"):
        answer = await client.post(path, content=wrong, headers=YAML)
        told = answer.json()
        assert (answer.status_code, told["code"]) == (422, "program_mistakes")
        assert len(told["mistakes"]) >= 2
        assert all(each["place"] and each["reason"] and each["remedy"] for each in told["mistakes"])
    assert len((await client.get("/v1/program/versions")).json()["versions"]) == 1


async def test_checking_publishes_nothing(client: httpx.AsyncClient) -> None:
    checked = await client.post("/v1/program/check", content=NEXT, headers=YAML)
    assert checked.status_code == 200
    assert checked.json() == {
        "program": "test-rewards",
        "version": 2,
        "holds_from": "2011-02-01T00:00:00Z",
        "currencies": ["points", "status"],
        "levels": ["basic", "silver", "gold"],
        "rules": ["base", "review", "welcome", "friends"],
        "rewards": ["five-off", "mug", "golden-pen", "birthday-cake"],
        "warnings": [],
    }
    assert len((await client.get("/v1/program/versions")).json()["versions"]) == 1


async def test_what_may_not_be_meant_is_a_warning_and_refuses_nothing(
    client: httpx.AsyncClient,
) -> None:
    odd = NEXT + "boosts: {payday: {days: FREQ=MONTHLY;BYMONTHDAY=31, points: x2}}\n"
    checked = await client.post("/v1/program/check", content=odd, headers=YAML)
    published = await client.post("/v1/program/versions", content=odd, headers=YAML)
    assert (checked.status_code, published.status_code) == (200, 201)
    for answer in (checked, published):
        [warning] = answer.json()["warnings"]
        assert warning["place"] == "boosts.payday.days"
        assert warning["reason"].startswith("BYMONTHDAY=31 has no day in 2001-02")
        assert warning["line"] == odd.count("\n")


async def test_a_version_that_drops_a_reward_names_its_successor(
    client: httpx.AsyncClient,
) -> None:
    dropped = NEXT.replace("  mug: {cost: 80 points}\n", "")
    answer = await client.post("/v1/program/versions", content=dropped, headers=YAML)
    assert answer.json()["mistakes"][0]["place"] == "successors.rewards.mug"


async def test_a_version_that_would_hold_too_soon_is_told_from_when_it_may(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    clock.at = START + 31 * DAY - MINUTE + 1
    answer = await client.post("/v1/program/versions", content=NEXT, headers=YAML)
    assert (answer.status_code, answer.json()["code"]) == (422, "holds_too_soon")
    clock.at = START + 31 * DAY - MINUTE
    answer = await client.post("/v1/program/versions", content=NEXT, headers=YAML)
    assert answer.status_code == 201


async def test_versions_hold_one_after_the_other(client: httpx.AsyncClient) -> None:
    later = DOCUMENT.replace(HOLDS_FROM, "2011-03-01T00:00")
    await client.post("/v1/program/versions", content=later, headers=YAML)
    answer = await client.post("/v1/program/versions", content=NEXT, headers=YAML)
    assert answer.json()["code"] == "holds_too_soon"
    assert answer.json()["earliest"].startswith("2011-03-01T00:00:00")


async def test_a_version_that_adds_a_moment_makes_every_account_due(
    client: httpx.AsyncClient, clock: FixedClock, pool: asyncpg.Pool
) -> None:
    await client.post("/v1/activities", json=enrolled("1", clock.at))
    due = "SELECT due_at, version FROM account"
    async with pool.acquire() as connection:
        before = await connection.fetchrow(due)
    gifts = NEXT + "gifts:\n  anniversary: {give: [5 points]}\n"
    made = await client.post("/v1/program/versions", content=gifts, headers=YAML)
    assert made.status_code == 201, made.text
    async with pool.acquire() as connection:
        after = await connection.fetchrow(due)
    assert before is not None
    assert after is not None
    assert (after["due_at"].month, after["due_at"].day) == (2, 1)
    assert after["version"] == before["version"] + 1


NO_DOCUMENTS = (
    (b"", "application/yaml", "program_mistakes"),
    (b"\xff", "application/yaml", "not_utf8"),
    (b"a: b", "application/xml", "unsupported_media_type"),
    (b"[1, 2]", "application/json", "program_mistakes"),
    (b"a: &a [*a]", "application/yaml", "program_mistakes"),
    (b"%", "application/yaml", "program_mistakes"),
)


async def test_what_is_no_document_is_refused(client: httpx.AsyncClient) -> None:
    for content, media_type, code in NO_DOCUMENTS:
        answer = await client.post(
            "/v1/program/versions", content=content, headers={"Content-Type": media_type}
        )
        assert answer.json()["code"] == code, content


async def test_before_the_first_version_there_is_none(unpublished: httpx.AsyncClient) -> None:
    answers: list[Any] = [
        (await unpublished.get(path)).json()
        for path in ("/v1/program", "/v1/program/versions/1", "/v1/program/versions")
    ]
    assert answers[0]["code"] == "unknown_program"
    assert answers[1]["code"] == "unknown_version"
    assert answers[2] == {"versions": []}
