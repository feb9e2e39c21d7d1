"""Who would rise and fall under a draft, some members at a time."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from services.loyalty.application.clock import FixedClock
from tests.loyalty.http.conftest import MakeKey
from tests.loyalty.http.events import bought, enrolled
from tests.loyalty.http.programme import DOCUMENT

PATH = "/v1/program/rejudge"
YAML = {"Content-Type": "application/yaml"}
DRAFT = (
    DOCUMENT.replace("2011-01-01T00:00", "2011-02-01T00:00")
    .replace("{from: 100, benefits", "{from: 60, names: {en: Silver, de: Silber}, benefits")
    .replace("{from: 1000}", "{from: 200}")
)


@pytest.fixture
async def spenders(client: httpx.AsyncClient, clock: FixedClock) -> httpx.AsyncClient:
    """Seven members who spent 0, 50, 100 … 300 pounds."""
    sent: list[Any] = [enrolled(f"m{number}", clock.at) for number in range(7)]
    sent += [bought(f"m{number}", "1", 50 * number, clock.at) for number in range(1, 7)]
    answer = await client.post("/v1/activities", json=sent)
    assert {each["outcome"] for each in answer.json()} == {"accepted"}
    return client


async def _asked(client: httpx.AsyncClient, draft: str = DRAFT, **asked: str) -> Any:
    answer = await client.post(
        PATH, content=draft, params=asked, headers={**YAML, "Accept-Language": "de"}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_draft_is_judged_page_by_page_and_nothing_changes(
    spenders: httpx.AsyncClient, pool: asyncpg.Pool
) -> None:
    async def stored() -> Any:
        async with pool.acquire() as connection:
            return await connection.fetch("SELECT member_id, version, state FROM account")

    before = await stored()
    whole = await _asked(spenders, plan="judge_at_once")
    assert (whole["members"], whole["next"], whole["plan"]) == (7, None, "judge_at_once")
    assert whole["holds_from"] == "2011-02-01T00:00:00Z"
    assert [(one["level"], one["new_level"], one["members"]) for one in whole["changes"]] == [
        ("silver", "gold", 3)
    ]
    assert (whole["changes"][0]["name"], whole["changes"][0]["rises"]) == ("Silber", True)
    assert [one["member_id"] for one in whole["who"]] == ["m4", "m5", "m6"]
    found, after = [], ""
    while after is not None:
        page = await _asked(spenders, plan="judge_at_once", limit="2", after=after)
        found += page["who"]
        after = page["next"]
    assert found == whole["who"]
    assert await stored() == before


async def test_the_plan_of_the_draft_holds_unless_another_is_asked_for(
    spenders: httpx.AsyncClient,
) -> None:
    assert (await _asked(spenders))["changes"] == []
    harder = DRAFT.replace("{from: 60, ", "{from: 120, ").replace("{from: 200}", "{from: 999}")
    assert (await _asked(spenders, harder, plan="rise_at_once"))["changes"] == []
    [change] = (await _asked(spenders, harder, plan="judge_at_once"))["changes"]
    assert (change["level"], change["new_level"], change["rises"]) == ("silver", "basic", False)


async def test_a_draft_with_mistakes_is_refused(spenders: httpx.AsyncClient) -> None:
    wrong = DRAFT.replace("by: status", "by: stars")
    answer = await spenders.post(PATH, content=wrong, headers=YAML)
    assert (answer.status_code, answer.json()["code"]) == (422, "program_mistakes")
    answer = await spenders.post(PATH, content=DRAFT, headers=YAML, params={"limit": "0"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_before_any_programme_there_is_nothing_to_change(
    unpublished: httpx.AsyncClient,
) -> None:
    answer = await unpublished.post(PATH, content=DRAFT, headers=YAML)
    assert (answer.status_code, answer.json()["code"]) == (503, "no_program")


async def test_who_may_not_see_members_may_not_see_who_moves(
    anyone: httpx.AsyncClient, make_key: MakeKey
) -> None:
    headers = {**YAML, "Authorization": f"Bearer {await make_key('program:read')}"}
    answer = await anyone.post(PATH, content=DRAFT, headers=headers)
    assert (answer.status_code, answer.json()["scope"]) == (403, "members:read")
