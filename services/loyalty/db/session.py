"""The port to storage on PostgreSQL: set-based reads, one round trip per table to record."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager

import asyncpg

from services.loyalty.application.store import (
    AlreadyRecorded,
    CodeTaken,
    Loaded,
    Overdrawn,
    Recording,
)
from services.loyalty.db import programs, statements, tables
from services.loyalty.db.rows import Row, Rows
from services.loyalty.domain.account import Account, decode_account, encode_account
from services.loyalty.domain.activity import AnyBody, decode_body
from services.loyalty.domain.calendar import Instant, from_datetime
from services.loyalty.domain.chain import GENESIS
from services.loyalty.domain.facts import EndedHold, LotTotals
from services.loyalty.domain.receipt import Receipt, decode_receipt
from services.loyalty.domain.voucher import (
    Redemption,
    Voucher,
    decode_redemption,
    decode_voucher,
)

_OPEN = """
    WITH wanted AS (
        SELECT * FROM unnest($1::text[], $2::bytea[]) AS w(member_id, hmac_key) ORDER BY member_id
    ), opened AS (
        INSERT INTO account (member_id, version, seq, status, tier, head, state)
        SELECT member_id, 0, 0, $3, '', $4, $5 FROM wanted
        ON CONFLICT (member_id) DO NOTHING RETURNING member_id
    )
    INSERT INTO profile (member_id, hmac_key) SELECT member_id, hmac_key FROM opened
    JOIN wanted USING (member_id)
"""
"""A profile is made only with its account: an erased one never comes back."""

LOADED_COLUMNS = (
    "a.member_id, a.version, a.state, a.head, a.due_at, p.hmac_key, p.born_on, p.born_set_at"
)
_ACCOUNTS = (
    f"SELECT {LOADED_COLUMNS} FROM account a LEFT JOIN profile p USING (member_id)"  # noqa: S608  constants
    " WHERE a.member_id = ANY($1::text[])"
)
_LOCK = (
    "SELECT member_id, version FROM account WHERE member_id = ANY($1::text[])"
    " ORDER BY member_id FOR NO KEY UPDATE"
)


def _pairs(columns: str, table: str, key: str, kind: str = "text") -> str:
    """A question about pairs of a member and a key."""
    return (
        f"SELECT {columns} FROM unnest($1::text[], $2::{kind}[]) AS q(member_id, {key})"  # noqa: S608  constants
        f" JOIN {table} t USING (member_id, {key})"
    )


_COUNTERS = "SELECT id, used FROM counter WHERE id = ANY($1::text[])"
_COUNTERS_LOCKED = f"{_COUNTERS} ORDER BY id FOR NO KEY UPDATE"
_RECEIPTS = _pairs("member_id, order_id, doc", "receipt", "order_id")
_LOT_COLUMNS = "member_id, lot_key, taken_in, expired, reclaimed, successor"
_LOTS = _pairs(_LOT_COLUMNS, "lot", "lot_key")
_AFTER = "SELECT member_id FROM account WHERE member_id > $1 ORDER BY member_id LIMIT $2"
_LOTS_OF = f"SELECT {_LOT_COLUMNS} FROM lot WHERE member_id = ANY($1::text[])"  # noqa: S608  constants
_ENDED_HOLDS = (
    _pairs("member_id, hold_id, state, ended_at", "hold", "hold_id")
    + " WHERE t.ended_at IS NOT NULL"
)
_HISTORY = _pairs("member_id, key, times, points", "history", "key")
_ALL_HISTORY = "SELECT member_id, key, times, points FROM history WHERE member_id = ANY($1::text[])"
_WELCOMES = """
    SELECT j.member_id, array_agg(DISTINCT l.cause COLLATE "C" ORDER BY l.cause COLLATE "C")
    FROM journal j JOIN ledger l ON l.member_id = j.member_id AND l.seq = j.seq
    WHERE j.member_id = ANY($1::text[]) AND j.kind = 'enrolment' AND l.kind = 'accrual'
    GROUP BY j.member_id
"""
_VOUCHERS = _pairs("member_id, voucher_id, doc", "voucher", "voucher_id")
_REDEMPTIONS = _pairs("member_id, redemption_id, doc", "redemption", "redemption_id")
_RECORDED = _pairs("member_id, event_digest, content_digest", "journal", "event_digest", "bytea")
_DUE = (
    f"SELECT {LOADED_COLUMNS} FROM account a LEFT JOIN profile p USING (member_id)"  # noqa: S608  constants
    " WHERE a.due_at <= $1 ORDER BY a.due_at LIMIT $2 FOR NO KEY UPDATE OF a SKIP LOCKED"
)
_LEVELS = """
    SELECT q.member_id, q.at, t.level FROM unnest($1::text[], $2::timestamptz[]) AS q(member_id, at)
    CROSS JOIN LATERAL (
        SELECT level FROM tier_history h WHERE h.member_id = q.member_id AND h.since <= q.at
        ORDER BY h.since DESC, h.seq DESC LIMIT 1
    ) t
"""
_CODES = "SELECT code, member_id FROM referral_code WHERE code = ANY($1::text[])"
_PARKED = "SELECT member_id, seq, body, occurred_at FROM parked WHERE member_id = ANY($1::text[])"


RECEIPT_KEY, REDEMPTION_KEY = "receipt_pkey", "redemption_pkey"
"""A purchase is decided without looking for its receipt, and a redemption for its row; where there
is one, these say so.
"""


class PgSession:
    """:class:`~services.loyalty.application.store.Session` on one connection of :mod:`connect`."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self.connection = connection

    async def now(self) -> Instant | None:
        moment = await self.connection.fetchval("SELECT now FROM clock")
        return None if moment is None else from_datetime(moment)

    async def open_accounts(self, members: Sequence[str]) -> None:
        assert not self.connection.is_in_transaction(), "accounts are opened in their own commit"
        wanted = sorted(set(members))
        keys = [secrets.token_bytes(32) for _ in wanted]
        empty = Account()
        state = encode_account(empty).decode()
        await self.connection.execute(_OPEN, wanted, keys, empty.status, GENESIS, state)

    async def load_accounts(self, members: Sequence[str]) -> dict[str, Loaded]:
        rows = await self.connection.fetch(_ACCOUNTS, members)
        return {row[0]: loaded_from(row) for row in rows}

    async def load_members(self, after: str, limit: int) -> list[str]:
        return [row[0] for row in await self.connection.fetch(_AFTER, after, limit)]

    async def load_receipts(
        self, orders: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Receipt]:
        rows = await self._fetch_pairs(_RECEIPTS, orders)
        return {(row[0], row[1]): decode_receipt(row[2]) for row in rows}

    async def load_lots(self, lots: Sequence[tuple[str, str]]) -> dict[tuple[str, str], LotTotals]:
        rows = await self._fetch_pairs(_LOTS, lots)
        return {(row[0], row[1]): totals_of(row) for row in rows}

    async def load_lots_of(self, members: Sequence[str]) -> dict[tuple[str, str], LotTotals]:
        rows = await self.connection.fetch(_LOTS_OF, members)
        return {(row[0], row[1]): totals_of(row) for row in rows}

    async def load_ended_holds(
        self, holds: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], EndedHold]:
        rows = await self._fetch_pairs(_ENDED_HOLDS, holds)
        return {(row[0], row[1]): EndedHold(row[2], from_datetime(row[3])) for row in rows}

    async def load_codes(self, codes: Sequence[str]) -> dict[str, str]:
        rows = await self.connection.fetch(_CODES, codes)
        return {row[0]: row[1] for row in rows}

    async def load_vouchers(
        self, vouchers: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Voucher]:
        rows = await self._fetch_pairs(_VOUCHERS, vouchers)
        return {(row[0], row[1]): decode_voucher(row[2]) for row in rows}

    async def load_redemptions(
        self, redemptions: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Redemption]:
        rows = await self._fetch_pairs(_REDEMPTIONS, redemptions)
        return {(row[0], row[1]): decode_redemption(row[2]) for row in rows}

    async def load_history(
        self, keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], list[int]]:
        rows = await self._fetch_pairs(_HISTORY, keys)
        return {(row[0], row[1]): [row[2], row[3]] for row in rows}

    async def load_all_history(self, members: Sequence[str]) -> dict[tuple[str, str], list[int]]:
        rows = await self.connection.fetch(_ALL_HISTORY, members)
        return {(row[0], row[1]): [row[2], row[3]] for row in rows}

    async def load_welcomes(self, members: Sequence[str]) -> dict[str, list[str]]:
        rows = await self.connection.fetch(_WELCOMES, members)
        return {row[0]: row[1] for row in rows}

    async def load_levels(
        self, moments: Sequence[tuple[str, Instant]]
    ) -> dict[tuple[str, Instant], str]:
        rows = await self._fetch_pairs(_LEVELS, moments)
        return {(row[0], from_datetime(row[1])): row[2] for row in rows}

    async def load_parked(
        self, members: Sequence[str]
    ) -> dict[tuple[str, int], tuple[AnyBody, Instant]]:
        rows = await self.connection.fetch(_PARKED, members)
        return {(row[0], row[1]): (decode_body(row[2]), from_datetime(row[3])) for row in rows}

    async def load_counters(self, keys: Collection[str], *, lock: bool = False) -> dict[str, int]:
        question = _COUNTERS_LOCKED if lock else _COUNTERS
        rows = await self.connection.fetch(question, sorted(keys))
        return dict.fromkeys(keys, 0) | {row[0]: row[1] for row in rows}

    async def all_counters(self) -> dict[str, int]:
        """What is used of every shared counter from which anybody has ever taken."""
        return dict(await self.connection.fetch("SELECT id, used FROM counter"))

    async def find_recorded(
        self, events: Sequence[tuple[str, bytes]]
    ) -> dict[tuple[str, bytes], bytes]:
        rows = await self._fetch_pairs(_RECORDED, events)
        return {(row[0], row[1]): row[2] for row in rows}

    def transaction(self) -> AbstractAsyncContextManager[None]:
        transaction: AbstractAsyncContextManager[None] = self.connection.transaction()
        return transaction

    async def lock_accounts(self, members: Iterable[str]) -> dict[str, int]:
        rows = await self.connection.fetch(_LOCK, list(members))
        return {row[0]: row[1] for row in rows}

    async def lock_due(self, until: Instant, limit: int) -> dict[str, Loaded]:
        await self.connection.execute(
            "SELECT pg_advisory_xact_lock_shared($1)", programs.PUBLISHING
        )
        rows = await self.connection.fetch(_DUE, until, limit)
        return {row[0]: loaded_from(row) for row in rows}

    async def latest_program_version(self) -> int:
        latest: int = await self.connection.fetchval(
            "SELECT coalesce(max(version), 0) FROM program_version"
        )
        return latest

    async def load_programs(self, after: int) -> list[tuple[int, Instant, str]]:
        rows = await self.connection.fetch(
            "SELECT version, holds_from, document FROM program_version WHERE version > $1"
            " ORDER BY version",
            after,
        )
        return [(row[0], from_datetime(row[1]), row[2]) for row in rows]

    def recording(self) -> Recording:
        return Rows()

    async def record(self, recording: Recording) -> None:
        assert isinstance(recording, Rows)
        rows = recording
        if not rows.account:
            return
        rows.sum_grants()
        assert self.connection.is_in_transaction(), "Decisions are recorded in a transaction"
        try:
            await self._copy(tables.journal.name, statements.JOURNAL, rows.journal)
            await self._copy(tables.receipt.name, statements.NEW_RECEIPT, rows.new_receipt)
            await self._execute(statements.NEW_VOUCHER, rows.new_voucher)
            await self._execute(statements.NEW_REDEMPTION, rows.new_redemption)
        except asyncpg.UniqueViolationError as error:
            raise translated(error) from error
        await self._copy(tables.ledger.name, statements.LEDGER, rows.ledger)
        await self._copy(tables.outbox.name, statements.OUTBOX, rows.outbox)
        try:
            for statement in statements.OTHERS:
                await self._execute(statement, getattr(rows, statement.name))
        except asyncpg.UniqueViolationError as error:
            raise translated(error) from error
        tag = await self._execute(statements.ACCOUNT, rows.account)
        assert tag == f"UPDATE {len(rows.account)}", f"accounts changed although locked: {tag}"
        try:
            await self._execute(statements.COUNTER, rows.counter)
        except asyncpg.CheckViolationError as error:
            raise overdrawn(error) from error

    async def _copy(self, table: str, statement: statements.Statement, rows: Iterable[Row]) -> None:
        if rows:
            await self.connection.copy_records_to_table(
                table, records=rows, columns=statement.columns
            )

    async def _execute(self, statement: statements.Statement, rows: list[Row]) -> str:
        if not rows:
            return ""
        tag: str = await self.connection.execute(statement.alone(), *statement.parameters(rows))
        return tag

    async def _fetch_pairs(
        self, query: str, pairs: Sequence[tuple[object, object]]
    ) -> list[asyncpg.Record]:
        if not pairs:
            return []
        rows: list[asyncpg.Record] = await self.connection.fetch(query, *zip(*pairs, strict=True))
        return rows


def loaded_from(row: asyncpg.Record) -> Loaded:
    """An account as :data:`LOADED_COLUMNS` read it."""
    member, version, state, head, due_at, hmac_key, born_on, born_set_at = row[:8]
    return Loaded(
        member,
        version,
        decode_account(state),
        head,
        None if due_at is None else from_datetime(due_at),
        hmac_key or b"",
        born_on,
        0 if born_set_at is None else from_datetime(born_set_at),
    )


def overdrawn(error: asyncpg.CheckViolationError) -> Exception:
    """What a failed check means: too little left of a shared counter, or a bug."""
    if error.constraint_name == tables.COUNTER_USED:
        return Overdrawn(error.detail)
    bug: Exception = error
    return bug


def totals_of(row: asyncpg.Record) -> LotTotals:
    """The totals of a row of ``lot`` in the order of its columns."""
    return LotTotals(row[2], row[3], row[4], tuple(row[5].split()))


def translated(error: asyncpg.UniqueViolationError) -> Exception:
    """What a unique violation means: an event, order or redemption that is recorded already, a
    referral code or a voucher's that is taken, or a bug.
    """
    if error.constraint_name in (tables.VOUCHER_KEY, tables.CODE_KEY):
        return CodeTaken()  # its detail holds somebody's code
    if error.constraint_name in (tables.EVENT_KEY, RECEIPT_KEY, REDEMPTION_KEY):
        return AlreadyRecorded(error.detail)
    bug: Exception = error
    return bug
