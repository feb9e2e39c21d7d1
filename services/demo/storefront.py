"""The shop's storefront in the demonstration: members spend points over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

from services.demo.script import Wish

MOST_REWARDS = 4
"""Rewards that one wish gets at most."""

TIMEOUT_S = 20.0


class Storefront:
    """Sends wishes to the service and counts the answers: granted, or the code of the problem."""

    def __init__(self, host: str, port: int, key: str) -> None:
        self._connection = HTTPConnection(host, port, timeout=TIMEOUT_S)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.answers: Counter[str] = Counter()

    async def fulfil(self, wishes: Sequence[Wish]) -> None:
        """Sends the wishes one after the other, beside the event loop."""
        if wishes:
            await asyncio.to_thread(self._fulfil, wishes)

    def _fulfil(self, wishes: Sequence[Wish]) -> None:
        with closing(self._connection):
            for wish in wishes:
                if wish.reward:
                    self._redeem(wish, wish.reward, 0)
                else:
                    self._redeem_all(wish)

    def _redeem_all(self, wish: Wish) -> None:
        """The dearest reward that the member can have, and again with what is left."""
        for attempt in range(MOST_REWARDS):
            _, shown = self._ask("GET", f"/v1/members/{wish.member}/rewards")
            within_reach = [each for each in shown["catalogue"] if each["affordable"]]
            if not within_reach or not self._redeem(wish, within_reach[-1]["reward"], attempt):
                return

    def _redeem(self, wish: Wish, reward: str, attempt: int) -> bool:
        key = f"wish-{wish.member}-{wish.at}-{attempt}"
        place = f"/v1/members/{wish.member}/redemptions"
        status, said = self._ask("POST", place, {"reward": reward}, {"Idempotency-Key": key})
        self.answers["granted" if status < 300 else said["code"]] += 1
        return status < 300

    def _ask(
        self,
        method: str,
        place: str,
        body: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        sent = json.dumps(body) if body is not None else None
        self._connection.request(method, place, sent, {**self._headers, **(headers or {})})
        answer = self._connection.getresponse()
        said: dict[str, Any] = json.loads(answer.read())
        return answer.status, said
