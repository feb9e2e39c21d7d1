"""API keys in the database: made, listed, revoked. What they look like is :mod:`api_keys`'."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass

import asyncpg

from services.loyalty.application.api_keys import (
    SCOPES,
    ApiKey,
    hash_secret,
    spell,
    unknown_scopes,
)
from services.loyalty.domain.calendar import Instant, from_datetime, to_datetime


class KeyRefused(Exception):
    """A key cannot be made or revoked as asked; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A key as operators see it, without anything that opens."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: Instant
    revoked_at: Instant | None


async def create_key(
    connection: asyncpg.Connection, name: str, scopes: Collection[str], *, at: Instant
) -> str:
    """Makes a key and answers it, this once: only its hash is stored.

    Raises:
        KeyRefused: without a name or scopes, or a scope is unknown.
    """
    if not name.strip():
        raise KeyRefused("a key needs a name: whose is it?")
    if not scopes:
        raise KeyRefused("a key needs at least one scope")
    if unknown := unknown_scopes(scopes):
        raise KeyRefused(f"no such scope: {', '.join(unknown)}; there are {', '.join(SCOPES)}")
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    await connection.execute(
        "INSERT INTO api_key (id, name, secret_hash, scopes, created_at)"
        " VALUES ($1, $2, $3, $4, $5)",
        key_id,
        name.strip(),
        hash_secret(secret),
        sorted(set(scopes)),
        to_datetime(at),
    )
    return spell(key_id, secret)


async def find_key(connection: asyncpg.Connection, key_id: str) -> ApiKey | None:
    """The key of an id, revoked ones too."""
    row = await connection.fetchrow(
        "SELECT id, name, secret_hash, scopes, revoked_at FROM api_key WHERE id = $1", key_id
    )
    if row is None:
        return None
    return ApiKey(row[0], row[1], row[2], frozenset(row[3]), row[4] is not None)


async def list_keys(connection: asyncpg.Connection) -> list[ListedKey]:
    """All keys, oldest first."""
    rows = await connection.fetch(
        "SELECT id, name, scopes, created_at, revoked_at FROM api_key ORDER BY created_at, id"
    )
    return [
        ListedKey(
            row[0],
            row[1],
            tuple(row[2]),
            from_datetime(row[3]),
            None if row[4] is None else from_datetime(row[4]),
        )
        for row in rows
    ]


async def revoke_key(connection: asyncpg.Connection, key_id: str, *, at: Instant) -> None:
    """Closes a key for good.

    Raises:
        KeyRefused: there is no such key, or it was revoked before.
    """
    tag = await connection.execute(
        "UPDATE api_key SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
        key_id,
        to_datetime(at),
    )
    if tag == "UPDATE 0":
        raise KeyRefused(f"there is no key {key_id} that could be revoked")
