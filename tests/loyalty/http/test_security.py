"""Closed by default: every operation names a scope, and only a key that has it opens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from services.loyalty.application.api_keys import SCOPES, ApiKey, hash_secret, spell, split
from services.loyalty.application.clock import FixedClock
from services.loyalty.db.keys import revoke_key
from services.loyalty.http.app import bare_app
from services.loyalty.http.problems import Problem
from services.loyalty.http.security import Gate
from tests.loyalty.http.keyring import Keyring, application, client_of

MakeKey = Callable[..., Awaitable[str]]
OPEN = {"/health/live", "/health/ready"}


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    paths: dict[str, dict[str, Any]] = bare_app().openapi()["paths"]
    return [
        (method.upper(), path, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]


CLOSED = [
    (method, path, operation["security"][0]["ApiKey"])
    for method, path, operation in operations()
    if path not in OPEN
]


def _address(path: str) -> str:
    return path.replace("{member_id}", "1").replace("{version}", "1")


@pytest.mark.parametrize(("method", "path", "scopes"), CLOSED)
async def test_every_operation_is_closed_without_its_scope(
    method: str, path: str, scopes: list[str]
) -> None:
    assert len(scopes) == 1
    assert scopes[0] in SCOPES
    keyring = Keyring()
    anyone = client_of(application(keyring))
    without = await anyone.request(method, _address(path))
    assert (without.status_code, without.json()["code"]) == (401, "key_missing")
    assert without.headers["WWW-Authenticate"] == "Bearer"
    others = keyring.add(*(SCOPES.keys() - set(scopes)))
    headers = {"Authorization": f"Bearer {others}"}
    barred = await anyone.request(method, _address(path), headers=headers)
    assert (barred.status_code, barred.json()["code"]) == (403, "scope_missing")
    assert barred.json()["scope"] == scopes[0]


def test_only_health_is_open() -> None:
    assert {path for _, path, operation in operations() if not operation.get("security")} == OPEN


@pytest.mark.parametrize(
    "given",
    [
        "lk_",
        "lk_abc",
        "lk_abc_",
        "lk__secret",
        "abc_secret",
        "lk_abc_wrong",
        "lk_ä_b",
        "lk_" + "a" * 5_000,
        "'; DROP TABLE api_key; --",
    ],
)
async def test_what_is_no_key_opens_nothing(given: str) -> None:
    anyone = client_of(application(Keyring()))
    headers = {b"Authorization": f"Bearer {given}".encode()}
    answer = await anyone.get("/v1/program", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "key_unknown")


@pytest.mark.parametrize("given", ["", "Bearer", "Basic bGtfYTpi", "lk_abc_def"])
async def test_another_scheme_is_no_key(given: str) -> None:
    anyone = client_of(application(Keyring()))
    answer = await anyone.get("/v1/program", headers={"Authorization": given})
    assert answer.status_code == 401


async def test_a_key_with_another_secret_opens_nothing(
    anyone: httpx.AsyncClient, make_key: MakeKey
) -> None:
    key = await make_key("program:read")
    parts = split(key)
    assert parts is not None
    forged = spell(parts[0], parts[1][::-1])
    answer = await anyone.get("/v1/program", headers={"Authorization": f"Bearer {forged}"})
    assert answer.json()["code"] == "key_unknown"


async def test_a_revoked_key_closes_within_the_memory_of_the_gate(
    anyone: httpx.AsyncClient,
    make_key: MakeKey,
    app: FastAPI,
    pool: asyncpg.Pool,
    clock: FixedClock,
) -> None:
    key = await make_key("program:read")
    headers = {"Authorization": f"Bearer {key}"}
    assert (await anyone.get("/v1/program/versions", headers=headers)).status_code == 200
    parts = split(key)
    assert parts is not None
    async with pool.acquire() as connection:
        await revoke_key(connection, parts[0], at=clock.at)
    seconds = app.state.gate._stopwatch  # what the gate reads is put ahead, not waited for
    app.state.gate._stopwatch = lambda: seconds() + 6
    answer = await anyone.get("/v1/program/versions", headers=headers)
    assert answer.json()["code"] == "key_unknown"


class TestGate:
    """The gate alone, with a store of one key and a stopwatch in hand."""

    def setup_method(self) -> None:
        self.asked = 0
        self.now_s = 0.0
        self.key = ApiKey("abc", "shop", hash_secret("s"), frozenset({"program:read"}))
        self.gate = Gate(self.find, remember_s=5, stopwatch=lambda: self.now_s)

    async def find(self, key_id: str) -> ApiKey | None:
        self.asked += 1
        return self.key if key_id == "abc" else None

    async def test_a_good_key_is_looked_up_once_in_a_while(self) -> None:
        for _ in range(3):
            assert await self.gate.identify("lk_abc_s") is self.key
        assert self.asked == 1
        self.now_s = 5
        await self.gate.identify("lk_abc_s")
        assert self.asked == 2

    async def test_a_bad_key_is_never_remembered(self) -> None:
        for bad in ("lk_abc_t", "lk_abd_s", "lk_abc_t"):
            with pytest.raises(Problem):
                await self.gate.identify(bad)
        assert self.asked == 3

    async def test_memory_is_bounded(self) -> None:
        for _ in range(3):
            await self.gate.identify("lk_abc_s")
        assert len(self.gate._remembered) == 1
