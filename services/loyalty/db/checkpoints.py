"""Making checkpoints, keeping them, and holding the books against one that somebody kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.loyalty.db.verify import Verdict, Wrong
from services.loyalty.domain import merkle
from services.loyalty.domain.calendar import DAY, Instant, from_datetime, rfc3339, to_datetime
from services.loyalty.domain.checkpoint import KEY, MADE, Checkpoint, leaf, signed

Head: TypeAlias = tuple[str, int, bytes]
"""A member, the last seq of its journal and the link of that row."""

_LOCK = 0x636865636B
"""The advisory lock of whoever makes a checkpoint: the bytes of "check"."""

_PREFETCH = 5000
_CHAINS = "SELECT member_id, seq, head FROM account WHERE seq > 0 ORDER BY member_id"
_KEEP_HEADS = """
    INSERT INTO checkpoint_head (member_id, number, seq, head)
    SELECT a.member_id, $1, a.seq, a.head FROM account a LEFT JOIN LATERAL (
        SELECT h.seq, h.head FROM checkpoint_head h WHERE h.member_id = a.member_id
        ORDER BY h.number DESC LIMIT 1
    ) AS kept ON true
    WHERE a.seq > 0 AND (kept.seq IS NULL OR (kept.seq, kept.head) <> (a.seq, a.head))
"""
_KEEP = "INSERT INTO checkpoint (number, at, document) VALUES ($1, $2, $3)"
_PUBLISH = """
    INSERT INTO outbox (member_id, seq, n, recorded_at, at, type, data)
    VALUES ($1, $2, 0, $3, $3, $4, $5)
"""
_HEADS = """
    SELECT DISTINCT ON (h.member_id) h.member_id, h.seq, h.head
    FROM checkpoint_head h WHERE h.number <= $1 ORDER BY h.member_id, h.number DESC
"""
_LINKS = f"""
    SELECT kept.member_id, kept.seq, kept.head, j.link FROM ({_HEADS}) AS kept
    LEFT JOIN LATERAL (
        SELECT link FROM journal WHERE member_id = kept.member_id AND seq = kept.seq
    ) AS j ON true ORDER BY kept.member_id
"""  # noqa: S608  our own text

_decode = msgspec.json.Decoder(Checkpoint).decode


async def make(
    connection: asyncpg.Connection, key: Ed25519PrivateKey, *, at: Instant
) -> Checkpoint:
    """Signs a root over all chains as they are now, keeps it and hands it to the relay, in one
    transaction. Another maker is waited for.
    """
    async with alone(connection):
        return await _make(connection, key, at)


async def make_daily(
    connection: asyncpg.Connection, key: Ed25519PrivateKey, *, at: Instant
) -> Checkpoint | None:
    """Makes the first checkpoint of the day, in UTC; None where it is made already."""
    if await _made_on_the_day(connection, at):
        return None
    async with alone(connection):
        if await _made_on_the_day(connection, at):  # by whom we waited for
            return None
        return await _make(connection, key, at)


async def _made_on_the_day(connection: asyncpg.Connection, at: Instant) -> bool:
    last = await connection.fetchval("SELECT at FROM checkpoint ORDER BY number DESC LIMIT 1")
    return last is not None and from_datetime(last) // DAY >= at // DAY


async def _make(connection: asyncpg.Connection, key: Ed25519PrivateKey, at: Instant) -> Checkpoint:
    async with connection.transaction(isolation="repeatable_read"):
        await connection.execute("SET LOCAL statement_timeout = 0")
        return await make_within(connection, key, at=at)


async def make_within(
    connection: asyncpg.Connection, key: Ed25519PrivateKey, *, at: Instant
) -> Checkpoint:
    """As :func:`make`, inside a repeatable-read transaction of a caller who is :func:`alone`."""
    number = await connection.fetchval("SELECT coalesce(max(number), 0) + 1 FROM checkpoint")
    tree, activities = merkle.Tree(), 0
    async for member, seq, head in connection.cursor(_CHAINS, prefetch=_PREFETCH):
        tree.add(leaf(member, seq, head))
        activities += seq
    unsigned = Checkpoint(
        incarnation=await connection.fetchval("SELECT incarnation FROM relay"),
        number=number,
        at=rfc3339(at),
        count=tree.count,
        activities=activities,
        root=tree.root().hex(),
    )
    checkpoint = signed(unsigned, key)
    document, moment = msgspec.json.encode(checkpoint).decode(), to_datetime(at)
    await connection.execute(_KEEP_HEADS, number)
    await connection.execute(_KEEP, number, moment, document)
    await connection.execute(_PUBLISH, KEY, number, moment, MADE, document)
    return checkpoint


async def load(connection: asyncpg.Connection, number: int) -> Checkpoint | None:
    """The checkpoint of that number, as it was made."""
    document = await connection.fetchval(
        "SELECT document FROM checkpoint WHERE number = $1", number
    )
    return None if document is None else _decode(document)


async def heads(connection: asyncpg.Connection, number: int) -> AsyncIterator[Head]:
    """All heads of a checkpoint, in the order of its leaves. Inside a transaction."""
    async for row in connection.cursor(_HEADS, number, prefetch=_PREFETCH):
        yield tuple(row)


async def compare(connection: asyncpg.Connection, checkpoint: Checkpoint, verdict: Verdict) -> None:
    """Holds the journal against a checkpoint whose signature is good, inside the transaction in
    which its links are recomputed, and adds what is wrong to the verdict.
    """
    tree, rows = merkle.Tree(), connection.cursor(_LINKS, checkpoint.number, prefetch=_PREFETCH)
    async for member, seq, head, link in rows:
        if link != head:
            what = f"link at checkpoint {checkpoint.number}"
            verdict.add(Wrong(member, seq, what, head, link))
        tree.add(leaf(member, seq, link or b""))
    stated, found = (checkpoint.count, checkpoint.root), (tree.count, tree.root().hex())
    if found != stated:
        what = f"chains and root of checkpoint {checkpoint.number}"
        verdict.add(Wrong("", 0, what, stated, found))
    verdict.checked += (
        f"every chain up to checkpoint {checkpoint.number} of {checkpoint.at}: {checkpoint.count:,}"
        f" heads, {checkpoint.activities:,} activities, root {checkpoint.root[:16]}…",
    )
    verdict.not_checked = (
        f"whether a journal was cut at its end after checkpoint {checkpoint.number}"
    )


@asynccontextmanager
async def alone(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Lets one maker in at a time. The lock comes before the transaction and its snapshot: whoever
    waited then sees what the other made.
    """
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        yield
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
