"""API keys open what they were made for, until they are revoked."""

from __future__ import annotations

import asyncpg
import pytest

from services.loyalty.application.api_keys import opens, split
from services.loyalty.db.keys import KeyRefused, create_key, find_key, list_keys, revoke_key
from tests.loyalty.db.handmade import START


async def test_a_key_is_found_by_its_id_and_opens_by_its_secret(
    connection: asyncpg.Connection,
) -> None:
    key = await create_key(connection, "storefront", ["members:read"], at=START)
    parts = split(key)
    assert parts
    key_id, secret = parts
    stored = await find_key(connection, key_id)
    assert stored
    assert (stored.name, stored.scopes) == ("storefront", frozenset({"members:read"}))
    assert opens(stored, secret)
    assert not opens(stored, secret + "x")
    assert await find_key(connection, "000000000000") is None


async def test_the_secret_is_nowhere_in_the_database(connection: asyncpg.Connection) -> None:
    key = await create_key(connection, "storefront", ["members:read"], at=START)
    parts = split(key)
    assert parts
    row = await connection.fetchval("SELECT api_key::text FROM api_key")
    assert parts[0] in row
    assert parts[1] not in row


async def test_a_revoked_key_opens_nothing(connection: asyncpg.Connection) -> None:
    parts = split(await create_key(connection, "storefront", ["members:read"], at=START))
    assert parts
    await revoke_key(connection, parts[0], at=START + 1)
    stored = await find_key(connection, parts[0])
    assert stored
    assert not opens(stored, parts[1])
    [listed] = await list_keys(connection)
    assert (listed.created_at, listed.revoked_at) == (START, START + 1)
    with pytest.raises(KeyRefused, match="no key"):
        await revoke_key(connection, parts[0], at=START + 2)


@pytest.mark.parametrize(
    ("name", "scopes", "says"),
    [
        (" ", ["members:read"], "needs a name"),
        ("storefront", [], "at least one scope"),
        ("storefront", ["members:read", "members:rule"], "no such scope: members:rule"),
    ],
)
async def test_a_key_that_makes_no_sense_is_refused(
    name: str, scopes: list[str], says: str, connection: asyncpg.Connection
) -> None:
    with pytest.raises(KeyRefused, match=says):
        await create_key(connection, name, scopes, at=START)
    assert await list_keys(connection) == []
