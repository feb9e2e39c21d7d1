"""Activities over HTTP: one or a batch, each with what became of it."""

from __future__ import annotations

import json
from typing import Any

import httpx

from services.loyalty.application.clock import FixedClock
from services.loyalty.domain.calendar import DAY
from services.loyalty.http.activities import BATCH, EVENT
from tests.loyalty.http.events import bought, enrolled, refunded


async def send(
    client: httpx.AsyncClient, content: Any, media_type: str = "application/json"
) -> httpx.Response:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return await client.post("/v1/activities", content=raw, headers={"Content-Type": media_type})


async def test_one_activity_is_recorded(client: httpx.AsyncClient, clock: FixedClock) -> None:
    answer = await send(client, enrolled("1", clock.at), f"{EVENT}; charset=utf-8")
    assert answer.status_code == 200
    assert answer.json() == {
        "id": "enrol-1",
        "source": "/shop",
        "member_id": "1",
        "outcome": "accepted",
        "reason": None,
        "detail": None,
        "seq": 1,
        "facts": {},
    }


async def test_the_same_again_is_a_duplicate(client: httpx.AsyncClient, clock: FixedClock) -> None:
    await send(client, enrolled("1", clock.at))
    answer = await send(client, enrolled("1", clock.at))
    assert (answer.status_code, answer.json()["outcome"]) == (200, "duplicate")
    assert (await client.get("/v1/members/1/entries")).json()["items"][0]["seq"] == 1


async def test_another_activity_under_a_used_id_is_refused(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await send(client, enrolled("1", clock.at))
    await send(client, bought("1", "7", 10, clock.at))
    answer = await send(client, bought("1", "7", 11, clock.at))
    assert (answer.status_code, answer.json()["code"]) == (409, "id_reused")


async def test_an_activity_that_waits_is_accepted_for_later(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    await send(client, enrolled("1", clock.at))
    answer = await send(client, refunded("1", "7", 10, clock.at))
    assert answer.status_code == 202
    assert (answer.json()["outcome"], answer.json()["reason"]) == ("parked", "awaits_purchase")


async def test_a_batch_answers_for_each_in_order(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    wrong = bought("1", "9", 1, clock.at)
    wrong["data"]["lines"][0]["unit_price"] = "-1"
    batch = [
        enrolled("1", clock.at),
        wrong,
        bought("1", "7", 10, clock.at),
        enrolled("1", clock.at),
        {**enrolled("1", clock.at), "id": "again"},
        bought("2", "8", 10, clock.at),
    ]
    answer = await send(client, batch, BATCH)
    assert answer.status_code == 200
    assert [(each["outcome"], each["reason"]) for each in answer.json()] == [
        ("accepted", None),
        ("unacceptable", "impossible_amount"),
        ("accepted", None),
        ("duplicate", None),
        ("refused", "already_enrolled"),
        ("parked", "awaits_enrolment"),
    ]


RUBBISH = (
    (b"", 400, "not_json", "not_json"),
    (b"{", 400, "not_json", "not_json"),
    (b"[{]", 400, "not_json", "not_json"),
    (b"\xff\xfe", 400, "not_json", "not_json"),
    (b"[" * 100_000, 400, "not_json", "too_deep"),
    (b"3", 422, "unacceptable", "not_a_cloudevent"),
    (b"{}", 422, "unacceptable", "not_a_cloudevent"),
    (b"[" + b"{}," * 1000 + b"{}]", 413, "batch_too_long", "too_many_events"),
)


async def test_rubbish_is_refused_with_a_reason(client: httpx.AsyncClient) -> None:
    for content, status, code, reason in RUBBISH:
        answer = await send(client, content)
        told = answer.json()
        assert (answer.status_code, told["code"]) == (status, code), content[:20]
        assert told["reason"] == reason


async def test_an_event_that_cannot_be_names_its_reason(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    for wrong, reason in (
        ({**enrolled("1", clock.at), "type": "commerce.member.hugged.v1"}, "unknown_type"),
        (enrolled("ann@example.com", clock.at), "member_id_is_personal"),
        (enrolled("1", clock.at + 30 * DAY), "date_out_of_range"),
    ):
        answer = await send(client, wrong)
        told = answer.json()
        assert (answer.status_code, told["code"], told["reason"]) == (422, "unacceptable", reason)
        assert "ann@" not in answer.text


async def test_a_media_type_says_what_it_carries(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    one = enrolled("1", clock.at)
    assert (await send(client, one, BATCH)).status_code == 422
    assert (await send(client, [one], EVENT)).status_code == 422
    for unsupported in ("text/plain", ""):
        answer = await send(client, one, unsupported)
        assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_an_empty_batch_is_nothing_and_no_mistake(client: httpx.AsyncClient) -> None:
    answer = await send(client, [])
    assert (answer.status_code, answer.json()) == (200, [])


async def test_before_any_programme_nothing_is_recorded(
    unpublished: httpx.AsyncClient, clock: FixedClock
) -> None:
    answer = await send(unpublished, enrolled("1", clock.at))
    assert (answer.status_code, answer.json()["code"]) == (503, "no_program")
