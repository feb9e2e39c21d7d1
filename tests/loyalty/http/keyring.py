"""A store with keys and nothing else, for what is answered before any storage is asked."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

import httpx
from fastapi import FastAPI

from services.loyalty.application.api_keys import SCOPES, ApiKey, hash_secret, spell
from services.loyalty.application.books import Books
from services.loyalty.application.clock import FixedClock
from services.loyalty.application.online import (
    CodedVoucher,
    HoldRow,
    Issued,
    JournalPageItem,
    OnlineSession,
    PublishedVersion,
    Unreachable,
)
from services.loyalty.application.programs import Programs
from services.loyalty.application.story.letters import DeadLetter
from services.loyalty.domain.chain import JournalRow
from services.loyalty.domain.holdout_report import Comparison
from services.loyalty.http.app import create_app
from services.loyalty.http.parts import HttpLimits

NOWHERE = "this store has keys and nothing else"


class Keyring:
    """Stands for a database that answers about keys and then goes away."""

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}

    def add(self, *scopes: str) -> str:
        """Makes a key with these scopes and answers it."""
        key_id = f"key{len(self._keys)}"
        self._keys[key_id] = ApiKey(key_id, "shop", hash_secret("secret"), frozenset(scopes))
        return spell(key_id, "secret")

    async def find_key(self, key_id: str) -> ApiKey | None:
        return self._keys.get(key_id)

    def session(self) -> AbstractAsyncContextManager[OnlineSession]:
        raise Unreachable(NOWHERE)

    def snapshot(self) -> AbstractAsyncContextManager[OnlineSession]:
        raise Unreachable(NOWHERE)

    async def load_page(self, member: str, before: int, limit: int) -> list[JournalPageItem]:
        raise Unreachable(NOWHERE)

    async def load_journal(self, member: str, until: int) -> list[JournalRow]:
        raise Unreachable(NOWHERE)

    async def find_event(self, source: str, event_id: str, member: str) -> int:
        raise Unreachable(NOWHERE)

    async def find_letters(self, source: str, event_id: str, member: str) -> list[DeadLetter]:
        raise Unreachable(NOWHERE)

    async def load_issued(self, member: str, limit: int) -> list[Issued]:
        raise Unreachable(NOWHERE)

    async def load_holds(self, member: str, limit: int) -> list[HoldRow]:
        raise Unreachable(NOWHERE)

    async def load_hold(self, member: str, hold: str) -> HoldRow | None:
        raise Unreachable(NOWHERE)

    async def load_coded(self, member: str, limit: int) -> list[CodedVoucher]:
        raise Unreachable(NOWHERE)

    async def find_code(self, code: str) -> CodedVoucher | None:
        raise Unreachable(NOWHERE)

    async def load_versions(self) -> list[PublishedVersion]:
        raise Unreachable(NOWHERE)

    async def load_version(self, version: int) -> PublishedVersion | None:
        raise Unreachable(NOWHERE)

    async def compare_holdout(self, made: Comparison, after: str, limit: int) -> str:
        raise Unreachable(NOWHERE)

    def books(self) -> AbstractAsyncContextManager[Books]:
        raise Unreachable(NOWHERE)

    async def check(self) -> dict[str, str]:
        return {"database": "it cannot be reached", "schema": "unknown"}


def application(keyring: Keyring, limits: HttpLimits | None = None) -> FastAPI:
    return create_app(
        store=keyring, programs=Programs(), clock=FixedClock(0), limits=limits or HttpLimits()
    )


def client_of(app: FastAPI, key: str = "") -> httpx.AsyncClient:
    """A client of the application, with a key or without."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://loyalty",
        headers={"Authorization": f"Bearer {key}"} if key else {},
    )


def insider() -> httpx.AsyncClient:
    """A client with a key of every scope, of an application whose storage is away."""
    keyring = Keyring()
    return client_of(application(keyring), keyring.add(*SCOPES))
