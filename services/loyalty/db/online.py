"""Storage for requests that wait for an answer, on a pool of connections."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from services.loyalty.application.api_keys import ApiKey
from services.loyalty.application.books import Books
from services.loyalty.application.online import (
    CodedVoucher,
    HoldRow,
    Issued,
    JournalPageItem,
    OnlineSession,
    PublishedVersion,
    Reply,
    Snapshot,
    Unreachable,
)
from services.loyalty.application.store import Write
from services.loyalty.application.story.letters import DeadLetter
from services.loyalty.db import keys, programs, single, stories, tables
from services.loyalty.db.closes import PgBooks
from services.loyalty.db.connect import SchemaBehind
from services.loyalty.db.holdouts import compare
from services.loyalty.db.migrate import require_schema
from services.loyalty.db.session import PgSession
from services.loyalty.db.statements import columns_of
from services.loyalty.domain.calendar import Instant, from_datetime, to_datetime
from services.loyalty.domain.chain import JournalRow
from services.loyalty.domain.holdout_report import Comparison
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.voucher import decode_voucher

_log = logging.getLogger(__name__)

_ITEM = (
    "seq, kind, outcome, reason, program_version, occurred_at, recorded_at, effective_at,"
    " source, event_id, body, trace"
)
# One statement, so that rows and their entries come from one snapshot.
_PAGE = f"""
    WITH page AS (
        SELECT * FROM journal WHERE member_id = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3
    )
    SELECT {_ITEM}, (
        SELECT json_agg(json_build_array(
            l.kind, l.currency, l.points, l.from_bucket, l.to_bucket, l.lot_from, l.lot_to,
            l.cause, l.order_id) ORDER BY l.n)
        FROM ledger l WHERE l.member_id = $1 AND l.seq = page.seq
    ) AS entries
    FROM page ORDER BY seq DESC
"""  # noqa: S608  the names are ours
_ISSUED = """
    SELECT reward, how, by, points, issued_at, voucher_id FROM issued_reward WHERE member_id = $1
    ORDER BY seq DESC, n DESC LIMIT $2
"""
_HOLDS = f"""
    SELECT {", ".join(columns_of(tables.hold, ("member_id",)))} FROM hold
    WHERE member_id = $1 AND ($2::text IS NULL OR hold_id = $2)
    ORDER BY seq DESC, hold_id LIMIT $3
"""  # noqa: S608  the names are ours

# Ids are v<seq>-<n>; what is newest has the greatest numbers.
_CODED = """
    SELECT member_id, code, doc FROM voucher WHERE member_id = $1
    ORDER BY length(voucher_id) DESC, voucher_id DESC LIMIT $2
"""
# The one read that names no member, as its key is the code.
_BY_CODE = "SELECT member_id, code, doc FROM voucher WHERE code = $1"
_VERSIONS = """
    SELECT version, holds_from, published_at, published_by, digest FROM program_version
    ORDER BY version DESC
"""
_VERSION = """
    SELECT version, holds_from, published_at, published_by, digest, document FROM program_version
    WHERE version = $1
"""
_NEWEST = """
    SELECT version, holds_from, published_at, published_by, digest, document FROM program_version
    ORDER BY version DESC LIMIT 1
"""
_INSERT_VERSION = """
    INSERT INTO program_version
        (version, holds_from, published_at, document, digest, published_by)
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (version) DO NOTHING
"""


class PgOnlineSession(PgSession):
    """:class:`~services.loyalty.application.online.OnlineSession` on one connection."""

    async def read_one(
        self, member: str, key_digest: bytes | None = None, counters: Sequence[str] = ()
    ) -> Snapshot:
        seen = await single.read_one(
            self.connection, member, idempotency_key_digest=key_digest, counters=counters
        )
        reply = Reply(*seen.answer[1:]) if seen.answer else None
        return Snapshot(seen.loaded, reply, seen.program_version, seen.counters)

    async def write_one(self, write: Write, key_digest: bytes, reply: Reply) -> bool:
        answer = single.Answer(key_digest, reply.request_digest, reply.status, reply.body)
        return await single.write_one(self.connection, write, idempotency=answer)

    async def load_newest(self) -> PublishedVersion | None:
        row = await self.connection.fetchrow(_NEWEST)
        return _version(row) if row else None

    async def insert_version(self, version: PublishedVersion) -> bool:
        async with self.connection.transaction():
            await self.connection.execute("SELECT pg_advisory_xact_lock($1)", programs.PUBLISHING)
            done = await self.connection.execute(
                _INSERT_VERSION,
                version.version,
                to_datetime(version.holds_from),
                to_datetime(version.published_at),
                version.document,
                version.digest,
                version.published_by,
            )
        return str(done) == "INSERT 0 1"

    async def lower_due(self, until: Instant) -> None:
        await programs.lower_due_at(self.connection, until)


class PgOnlineStore:
    """:class:`~services.loyalty.application.online.OnlineStore` on a pool of :mod:`connect`.

    A request waits at most ``acquire_s`` seconds for a connection.
    """

    def __init__(self, pool: asyncpg.Pool, *, acquire_s: float = 5.0) -> None:
        self._pool = pool
        self._acquire_s = acquire_s

    @asynccontextmanager
    async def session(self) -> AsyncIterator[OnlineSession]:
        async with self._connection() as connection:
            yield PgOnlineSession(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[OnlineSession]:
        async with (
            self._connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield PgOnlineSession(connection)

    async def load_page(self, member: str, before: int, limit: int) -> list[JournalPageItem]:
        async with self._connection() as connection:
            rows = await connection.fetch(_PAGE, member, before, limit)
        return [_item(row) for row in rows]

    async def load_journal(self, member: str, until: int) -> list[JournalRow]:
        async with self._connection() as connection:
            return await stories.load_journal(connection, member, until)

    async def find_event(self, source: str, event_id: str, member: str) -> int:
        async with self._connection() as connection:
            return await stories.find_event(connection, source, event_id, member)

    async def find_letters(self, source: str, event_id: str, member: str) -> list[DeadLetter]:
        async with self._connection() as connection:
            return await stories.find_letters(connection, source, event_id, member)

    async def load_issued(self, member: str, limit: int) -> list[Issued]:
        async with self._connection() as connection:
            rows = await connection.fetch(_ISSUED, member, limit)
        return [
            Issued(row[0], row[1], row[2], row[3], from_datetime(row[4]), row[5]) for row in rows
        ]

    async def load_holds(self, member: str, limit: int) -> list[HoldRow]:
        async with self._connection() as connection:
            return [_hold(row) for row in await connection.fetch(_HOLDS, member, None, limit)]

    async def load_hold(self, member: str, hold: str) -> HoldRow | None:
        async with self._connection() as connection:
            row = await connection.fetchrow(_HOLDS, member, hold, 1)
        return _hold(row) if row else None

    async def load_coded(self, member: str, limit: int) -> list[CodedVoucher]:
        async with self._connection() as connection:
            rows = await connection.fetch(_CODED, member, limit)
        return [CodedVoucher(row[0], row[1], decode_voucher(row[2])) for row in rows]

    async def find_code(self, code: str) -> CodedVoucher | None:
        async with self._connection() as connection:
            row = await connection.fetchrow(_BY_CODE, code)
        return CodedVoucher(row[0], row[1], decode_voucher(row[2])) if row else None

    async def load_versions(self) -> list[PublishedVersion]:
        async with self._connection() as connection:
            rows = await connection.fetch(_VERSIONS)
        return [_version(row) for row in rows]

    async def load_version(self, version: int) -> PublishedVersion | None:
        async with self._connection() as connection:
            row = await connection.fetchrow(_VERSION, version)
        return _version(row) if row else None

    async def compare_holdout(self, made: Comparison, after: str, limit: int) -> str:
        async with self._connection() as connection:
            return await compare(connection, made, after=after, limit=limit)

    async def find_key(self, key_id: str) -> ApiKey | None:
        async with self._connection() as connection:
            return await keys.find_key(connection, key_id)

    @asynccontextmanager
    async def books(self) -> AsyncIterator[Books]:
        async with self._connection() as connection:
            yield PgBooks(connection)

    async def check(self) -> dict[str, str]:
        try:
            async with self._connection() as connection:
                await require_schema(connection)
        except Unreachable as error:
            _log.warning("the database cannot be reached: %s", error)
            return {"database": "it cannot be reached", "schema": "unknown"}
        except SchemaBehind as error:
            return {"database": "ok", "schema": str(error)}
        return {"database": "ok", "schema": "ok"}

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        try:
            async with self._pool.acquire(timeout=self._acquire_s) as connection:
                yield connection
        except _UNREACHABLE as error:
            raise Unreachable(" ".join(str(error).split()) or type(error).__name__) from error


# Classes 08 (connection), 53 (too many of them), 57P (shutting down, cancelled by a timeout), code
# 55P03 (a lock not had in time), and what the driver says of a connection that is gone.
_UNREACHABLE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.LockNotAvailableError,
    asyncpg.InterfaceError,
)


def _item(row: asyncpg.Record) -> JournalPageItem:
    return JournalPageItem(
        seq=row["seq"],
        kind=row["kind"],
        outcome=row["outcome"],
        reason=row["reason"],
        program_version=row["program_version"],
        occurred_at=from_datetime(row["occurred_at"]),
        recorded_at=from_datetime(row["recorded_at"]),
        effective_at=from_datetime(row["effective_at"]),
        source=row["source"],
        event_id=row["event_id"],
        body=row["body"],
        trace=row["trace"],
        entries=msgspec.json.decode(row["entries"] or "[]", type=list[LedgerEntry]),
    )


def _hold(row: asyncpg.Record) -> HoldRow:
    return HoldRow(
        hold=row["hold_id"],
        seq=row["seq"],
        state=row["state"],
        currency=row["currency"],
        points=row["points"],
        captured=row["captured"],
        reward=row["reward"],
        for_order=row["for_order"],
        money=row["money"],
        amount=row["amount"],
        worth=row["worth"],
        held_at=from_datetime(row["held_at"]),
        ends_at=from_datetime(row["ends_at"]),
        ended_at=from_datetime(row["ended_at"]) if row["ended_at"] else 0,
    )


def _version(row: asyncpg.Record) -> PublishedVersion:
    return PublishedVersion(
        version=row["version"],
        holds_from=from_datetime(row["holds_from"]),
        published_at=from_datetime(row["published_at"]),
        published_by=row["published_by"],
        digest=row["digest"],
        document=row.get("document", ""),
    )
