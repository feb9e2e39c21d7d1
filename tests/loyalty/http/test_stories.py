"""Stories and explanations over HTTP."""

from __future__ import annotations

from typing import Any

import asyncpg
import httpx
import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.domain.calendar import DAY
from tests.loyalty.http.events import bought, event
from tests.loyalty.http.test_spending import redeem

MEMBER = "/v1/members/17850"


@pytest.fixture
async def told(client: httpx.AsyncClient, clock: FixedClock) -> httpx.AsyncClient:
    """A client of a member who joined, bought, and asked for what is too dear."""
    for happened in (
        event("member.enrolled", "e", clock.at, member_id="17850"),
        bought("17850", "1", 150, clock.at),
    ):
        sent = await client.post("/v1/activities", json=happened)
        assert sent.json()["outcome"] == "accepted", sent.text
    clock.at += DAY
    await redeem(client, "five-off", "k-1")
    return client


async def _asked(client: httpx.AsyncClient, path: str, wanted: str = "en", **params: Any) -> Any:
    answer = await client.get(path, params=params, headers={"Accept-Language": wanted})
    assert answer.status_code == 200, answer.text
    assert answer.headers["Vary"] == "Accept-Language"
    return answer


def texts(activity: dict[str, Any]) -> list[str]:
    return [sentence["text"] for sentence in activity["sentences"]]


async def test_a_story_is_told_in_pages_newest_first(told: httpx.AsyncClient) -> None:
    first = (await _asked(told, f"{MEMBER}/story", limit=2)).json()
    assert first["language"] == "en"
    seqs = [item["seq"] for item in first["items"]]
    rest = (await _asked(told, f"{MEMBER}/story", cursor=first["next"])).json()
    seqs += [item["seq"] for item in rest["items"]]
    assert rest["next"] is None
    assert seqs == sorted(seqs, reverse=True)
    assert seqs[-1] == 1
    assert texts(rest["items"][-1])[0] == "The member joined the programme."


async def test_a_story_may_be_told_in_full(told: httpx.AsyncClient) -> None:
    for full in (False, True):
        items = (await _asked(told, f"{MEMBER}/story", full=full)).json()["items"]
        parts = {sentence["part"] for sentence in items[-2]["sentences"]}
        assert parts & {"rules", "judged"} == ({"rules", "judged"} if full else set())


async def test_an_entry_is_explained_in_the_language_asked_for(told: httpx.AsyncClient) -> None:
    answer = await _asked(told, f"{MEMBER}/entries/2/explanation", "zh-CN, en;q=0.5")
    assert answer.headers["Content-Language"] == "zh-Hans"
    made = answer.json()
    assert made["language"] == "zh-Hans"
    assert texts(made["activity"])[0] == "会员购买了订单 1：1 行，共 £150.00。"
    other = await _asked(told, f"{MEMBER}/entries/2/explanation", "fr")
    assert other.headers["Content-Language"] == "en"


async def test_what_was_refused_is_explained(told: httpx.AsyncClient) -> None:
    newest = (await _asked(told, f"{MEMBER}/story", limit=1)).json()["items"][0]
    assert newest["outcome"] == "refused"
    assert newest["sentences"][1]["key"] == f"refused.{newest['reason']}"


async def test_an_event_is_explained_by_its_source_and_id(
    told: httpx.AsyncClient, clock: FixedClock
) -> None:
    sent = event("member.enrolled", "e", clock.at, member_id="17850")
    asked = {"member_id": "17850", "source": sent["source"], "id": sent["id"]}
    made = (await _asked(told, "/v1/activities/explanation", **asked)).json()
    assert made["activity"]["seq"] == 1
    assert made["dead_letters"] == []


async def test_a_dead_letter_is_explained_by_its_source_and_id(
    told: httpx.AsyncClient, owner: asyncpg.Connection
) -> None:
    await owner.execute(
        "INSERT INTO dead_letter (topic, partition, offset_, member_id, reason, detail, digest,"
        " size, received_at, body) VALUES ('commerce.members', 0, 7, '17850', 'unknown_type',"
        " 'type: a new one', '\\x00', 1, now(), $1)",
        b'{"id": "x-1", "source": "/shop", "type": "a new one"}',
    )
    asked = {"member_id": "17850", "source": "/shop", "id": "x-1"}
    made = (await _asked(told, "/v1/activities/explanation", **asked)).json()
    assert made["activity"] is None
    [letter] = made["dead_letters"]
    assert letter["place"] == "commerce.members/0/7"
    assert letter["sentences"][0]["key"] == "dead.unknown_type"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/members/nobody/story", "unknown_member"),
        ("/v1/members/nobody/entries/1/explanation", "unknown_member"),
        (f"{MEMBER}/entries/99/explanation", "unknown_entry"),
        ("/v1/activities/explanation?member_id=17850&source=/shop&id=never", "unknown_activity"),
        (f"{MEMBER}/story?cursor=12", "invalid_cursor"),
    ],
)
async def test_what_there_is_not_is_a_problem(
    told: httpx.AsyncClient, path: str, code: str
) -> None:
    answer = await told.get(path)
    assert answer.json()["code"] == code


@pytest.mark.tampered
async def test_a_journal_that_cannot_be_decided_again_is_named(
    told: httpx.AsyncClient, owner: asyncpg.Connection
) -> None:
    async with owner.transaction():
        await owner.execute("SET LOCAL session_replication_role = replica")
        await owner.execute("UPDATE journal SET body = '{}' WHERE member_id = '17850' AND seq = 2")
    answer = await told.get(f"{MEMBER}/story")
    assert answer.status_code == 500
    assert (answer.json()["code"], answer.json()["seq"]) == ("journal_broken", 2)


async def test_reading_needs_its_scope(told: httpx.AsyncClient, make_key: Any) -> None:
    told.headers["Authorization"] = f"Bearer {await make_key('activities:write')}"
    assert (await told.get(f"{MEMBER}/story")).status_code == 403
    asked = "/v1/activities/explanation?member_id=17850&source=/shop&id=x"
    assert (await told.get(asked)).status_code == 403
