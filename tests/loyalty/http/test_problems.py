"""Every error is a problem, whoever notices it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from services.loyalty.application.api_keys import SCOPES
from services.loyalty.application.online import PublishedVersion
from services.loyalty.http.parts import HttpLimits
from services.loyalty.http.problem_codes import KINDS
from tests.loyalty.http.keyring import NOWHERE, Keyring, application, client_of

MEMBER = "/v1/members/1"


def _is_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    told = answer.json()
    assert answer.status_code == told["status"] == status
    assert told["code"] == code
    assert told["type"] == f"/docs/problems#{code}"
    assert told["title"] == KINDS[code].title
    assert told["detail"]


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v1/members/a/b/c", "/docs/assets/x"])
async def test_a_path_that_leads_nowhere(insider: httpx.AsyncClient, path: str) -> None:
    _is_problem(await insider.get(path), 404, "not_found")


async def test_a_method_that_is_not_allowed(insider: httpx.AsyncClient) -> None:
    answer = await insider.delete(MEMBER)
    _is_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


async def test_every_mistake_of_a_request_is_named(insider: httpx.AsyncClient) -> None:
    answer = await insider.post(
        f"{MEMBER}/adjustments",
        json={"currency": "", "points": "many", "reason": "No Free Text!", "gift": 1},
        headers={"Idempotency-Key": "a"},
    )
    _is_problem(answer, 422, "invalid_request")
    assert {mistake["place"] for mistake in answer.json()["mistakes"]} == {
        "body.currency",
        "body.points",
        "body.reason",
        "body.actor",
        "body.gift",
    }


async def test_a_query_that_is_out_of_range(insider: httpx.AsyncClient) -> None:
    answer = await insider.get(f"{MEMBER}/entries", params={"limit": "201"})
    _is_problem(answer, 422, "invalid_request")
    assert answer.json()["mistakes"][0]["place"] == "query.limit"


@pytest.mark.parametrize("member", ["%00", "a%00b", "%0a", "x" * 129])
async def test_a_member_id_that_cannot_be(insider: httpx.AsyncClient, member: str) -> None:
    _is_problem(await insider.get(f"/v1/members/{member}"), 422, "invalid_request")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"reward": NaN', b"[" * 100_000])
async def test_a_body_that_is_not_json(insider: httpx.AsyncClient, content: bytes) -> None:
    headers = {"Idempotency-Key": "a", "Content-Type": "application/json"}
    answer = await insider.post(f"{MEMBER}/redemptions", content=content, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "ä"])
async def test_an_idempotency_key_that_cannot_be(insider: httpx.AsyncClient, key: str) -> None:
    answer = await insider.post(
        f"{MEMBER}/redemptions", json={"reward": "mug"}, headers={b"Idempotency-Key": key.encode()}
    )
    _is_problem(answer, 422, "invalid_request")


async def _in_pieces() -> AsyncIterator[bytes]:
    for _ in range(11):
        yield b" " * 100


async def test_a_body_beyond_the_limit() -> None:
    keyring = Keyring()
    key = keyring.add(*SCOPES)
    async with client_of(application(keyring, HttpLimits(body_bytes=1000)), key) as limited:
        for content in (b" " * 1001, _in_pieces()):
            answer = await limited.post(
                "/v1/activities", content=content, headers={"Content-Type": "application/json"}
            )
            _is_problem(answer, 413, "too_large")
            assert answer.json()["limit_bytes"] == 1000
        answer = await limited.post(
            f"{MEMBER}/redemptions", content=_in_pieces(), headers={"Idempotency-Key": "a"}
        )
        _is_problem(answer, 413, "too_large")
        answer = await limited.post("/v1/activities", json={})
        _is_problem(answer, 503, "database_unavailable")


async def test_a_mistake_of_ours_tells_nothing_but_its_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Keyring):
        async def load_versions(self) -> list[PublishedVersion]:
            raise RuntimeError("the secret plan")

    keyring = Broken()
    async with client_of(application(keyring), keyring.add("program:read")) as insider:
        with caplog.at_level(logging.ERROR):
            answer = await insider.get("/v1/program/versions")
    _is_problem(answer, 500, "internal_error")
    assert "secret" not in answer.text
    assert answer.json()["instance"] in caplog.text


async def test_a_database_that_is_away_is_said_and_asked_again_soon(
    insider: httpx.AsyncClient,
) -> None:
    answer = await insider.get("/v1/program/versions")
    _is_problem(answer, 503, "database_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert NOWHERE not in answer.text
