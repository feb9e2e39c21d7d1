"""One account at a time without a lock: one SELECT, then one autocommit statement.

The statement's first part advances the account only if it is still at the version that was read,
and every other part selects from it. So either all of it happens or nothing, and whoever comes
second reads again and decides again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import asyncpg
import msgspec

from services.loyalty.application.store import Loaded, Overdrawn, Write
from services.loyalty.db import statements, tables
from services.loyalty.db.rows import Rows, rows_of
from services.loyalty.db.session import LOADED_COLUMNS, loaded_from, overdrawn, translated
from services.loyalty.db.statements import Statement


class Answer(NamedTuple):
    """What an idempotency key stands for: the digest of its request, and the response it got."""

    key_digest: bytes
    request_digest: bytes
    status: int
    response: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one request needs to decide, as of one instant of the database.

    Attributes:
        loaded: the account, or None before it was opened.
        answer: the recorded answer to the request's idempotency key, if there is one.
        program_version: the greatest published version, 0 before the first.
        counters: what is used of the shared counters asked for.
    """

    loaded: Loaded | None
    answer: Answer | None
    program_version: int
    counters: dict[str, int]


_READ = f"""
    SELECT {LOADED_COLUMNS}, i.key_digest, i.request_digest, i.status, i.response,
        (SELECT coalesce(max(version), 0) FROM program_version),
        (SELECT json_object_agg(id, used)::text FROM counter WHERE id = ANY($3::text[]))
    FROM (SELECT $1::text COLLATE "C" AS member_id) m
    LEFT JOIN account a USING (member_id)
    LEFT JOIN profile p USING (member_id)
    LEFT JOIN idempotency i ON i.member_id = $1 AND i.key_digest = $2::bytea
"""  # noqa: S608  constants


async def read_one(
    connection: asyncpg.Connection,
    member: str,
    *,
    idempotency_key_digest: bytes | None = None,
    counters: Sequence[str] = (),
) -> Snapshot:
    """One member's account with what the request names, all from one SELECT."""
    row = await connection.fetchrow(_READ, member, idempotency_key_digest, counters)
    used = msgspec.json.decode(row[13], type=dict[str, int]) if row[13] else {}
    return Snapshot(
        loaded=None if row[0] is None else loaded_from(row),
        answer=None if row[8] is None else Answer(*row[8:12]),
        program_version=row[12],
        counters=dict.fromkeys(counters, 0) | used,
    )


async def write_one(
    connection: asyncpg.Connection, write: Write, *, idempotency: Answer | None = None
) -> bool:
    """Records one account's Decisions, and the answer to the request, in one statement.

    False: the account moved on since it was read, another request took the idempotency key, or too
    little is left of a shared counter; nothing was written, so read and decide again.

    Raises:
        AlreadyRecorded: an event of the Write is in the journal.
        CodeTaken: a code that was drawn is somebody's already: read and decide again.
        EventTooLarge: an event of the Write may not be published.
    """
    rows = rows_of((write,))
    rows.sum_grants()
    if idempotency:
        rows.idempotency.append((write.loaded.member, *idempotency, write.account.recorded_at))
    taken = _taken(rows)
    arguments = [
        each for name in taken for each in _STATEMENTS[name].parameters(getattr(rows, name))
    ]
    try:
        written = await connection.fetchval(_statement(taken), *arguments)
    except asyncpg.UniqueViolationError as error:
        if error.table_name == tables.idempotency.name:
            return False
        raise translated(error) from error
    except asyncpg.CheckViolationError as error:
        if isinstance(found := overdrawn(error), Overdrawn):
            return False
        raise found from error
    return written is not None


_STATEMENTS: dict[str, Statement] = {
    each.name: each
    for each in (
        statements.ACCOUNT,
        statements.JOURNAL,
        statements.LEDGER,
        statements.OUTBOX,
        statements.NEW_RECEIPT,
        statements.NEW_VOUCHER,
        statements.NEW_REDEMPTION,
        *statements.OTHERS,
        statements.COUNTER,
    )
}


def _taken(rows: Rows) -> tuple[str, ...]:
    return tuple(name for name in _STATEMENTS if getattr(rows, name))


@lru_cache(maxsize=256)
def _statement(names: tuple[str, ...]) -> str:
    """One statement for the tables that get rows; the account comes first."""
    account, *others = (_STATEMENTS[name] for name in names)
    assert account is statements.ACCOUNT
    parts = [f"written AS ({account.alone()} RETURNING t.member_id)"]
    first = 1 + len(account.arrays)
    for other in others:
        parts.append(f"{other.name}_ AS ({other.following('written', first)})")
        first += len(other.arrays)
    return f"WITH {', '.join(parts)} SELECT member_id FROM written"  # noqa: S608  our own statements
