"""A storefront's backend: it moves points over HTTP, times out, and tries again with its key."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

TRIES = 200
PAUSE_S = 0.1


@dataclass
class Storefront:
    """Sends requests, each twice at once, until they are answered for good.

    ``moved`` counts what answers said was done, as the books name it; ``answered`` the requests
    that have an answer.
    """

    client: httpx.AsyncClient
    key: str
    moved: Counter[tuple[str, ...]] = field(default_factory=Counter)
    answered: int = 0
    tried_again: int = 0

    async def grant(self, url: str, member: str, points: int, *, key: str) -> int:
        wanted = {"currency": "points", "points": points, "reason": "storm", "actor": "tests"}
        answer = await self._answer(f"{url}/v1/members/{member}/adjustments", wanted, key)
        if answer.status_code == 201:
            self.moved[member, "points", "adjustment", "issuance", "available"] += points
        return answer.status_code

    async def redeem(self, url: str, member: str, reward: str, *, key: str) -> int:
        wanted = {"reward": reward}
        answer = await self._answer(f"{url}/v1/members/{member}/redemptions", wanted, key)
        if answer.status_code == 201:
            points = answer.json()["points"]
            self.moved[member, "points", "redemption", "available", "redeemed"] += points
        return answer.status_code

    async def available(self, url: str, member: str) -> int:
        answer = await self.client.get(
            f"{url}/v1/members/{member}/balances", headers=self._headers("")
        )
        answer.raise_for_status()
        balances: dict[str, Any] = answer.json()["balances"][0]
        return int(balances["available"])

    async def _answer(self, url: str, wanted: dict[str, Any], key: str) -> httpx.Response:
        """The answer, which is the same however often and at once one asks."""
        first, second = await asyncio.gather(*[self._try(url, wanted, key) for _ in range(2)])
        assert (first.status_code, first.text) == (second.status_code, second.text)
        self.answered += 1
        return first

    async def _try(self, url: str, wanted: dict[str, Any], key: str) -> httpx.Response:
        for _ in range(TRIES):
            try:
                answer = await self.client.post(url, json=wanted, headers=self._headers(key))
            except httpx.TransportError:
                await self._wait()
                continue
            if answer.status_code < 500:
                return answer
            await self._wait()
        raise AssertionError(f"{TRIES} tries and no answer: {url}")

    async def _wait(self) -> None:
        self.tried_again += 1
        await asyncio.sleep(PAUSE_S)

    def _headers(self, key: str) -> dict[str, str]:
        named = {"Idempotency-Key": key} if key else {}
        return {"Authorization": f"Bearer {self.key}"} | named
