"""Collecting what proves to anybody that a journal row stands under a checkpoint."""

from __future__ import annotations

from base64 import b64encode

import asyncpg

from services.loyalty.db import checkpoints
from services.loyalty.db.journal import COLUMNS, journal_row
from services.loyalty.db.statements import columns_of
from services.loyalty.db.tables import ledger
from services.loyalty.domain import merkle
from services.loyalty.domain.chain import GENESIS, covered_of
from services.loyalty.domain.checkpoint import Checkpoint, leaf
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.proof import Proof

_ROWS = (
    f"SELECT {', '.join(COLUMNS)} FROM journal"  # noqa: S608  our names
    " WHERE member_id = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq"
)
_ENTRIES = (
    f"SELECT {', '.join(columns_of(ledger))} FROM ledger"  # noqa: S608  our names
    " WHERE member_id = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq, n"
)
_FIRST = "SELECT min(number) FROM checkpoint_head WHERE member_id = $1 AND seq >= $2"


class NotCovered(Exception):
    """No such row stands under such a checkpoint; the message says what is there instead."""


async def prove(
    connection: asyncpg.Connection, member: str, seq: int, number: int | None = None
) -> Proof:
    """The proof of one row under a checkpoint, by default the first that covers it, which makes
    the shortest proof. It says what is stored; whether that is sound, its check tells.

    Raises:
        NotCovered: there is no such row, or no such checkpoint over it.
    """
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute("SET LOCAL statement_timeout = 0")
        checkpoint = await _checkpoint(connection, member, seq, number)
        leaves, index, last = await _leaves(connection, member, checkpoint)
        if not 0 < seq <= last:
            raise NotCovered(
                f"checkpoint {checkpoint.number} covers member {member} up to seq {last}"
            )
        previous = await connection.fetchval(
            "SELECT link FROM journal WHERE member_id = $1 AND seq = $2", member, seq - 1
        )
        return Proof(
            checkpoint=checkpoint,
            member=member,
            seq=seq,
            previous=b64encode(previous or GENESIS).decode(),
            rows=await _texts(connection, member, seq, last),
            index=index,
            path=[each.hex() for each in merkle.path(leaves, index)],
        )


async def _checkpoint(
    connection: asyncpg.Connection, member: str, seq: int, number: int | None
) -> Checkpoint:
    if number is None:
        number = await connection.fetchval(_FIRST, member, seq)
    if number is None:
        raise NotCovered(
            f"no checkpoint covers seq {seq} of member {member}; `loyalty checkpoint` makes one"
        )
    checkpoint = await checkpoints.load(connection, number)
    if checkpoint is None:
        raise NotCovered(f"there is no checkpoint {number}")
    return checkpoint


async def _leaves(
    connection: asyncpg.Connection, member: str, checkpoint: Checkpoint
) -> tuple[list[bytes], int, int]:
    """All leaves of a checkpoint, the member's place among them, and the seq that it had there."""
    leaves: list[bytes] = []
    index = last = 0
    async for each, seq, head in checkpoints.heads(connection, checkpoint.number):
        if each == member:
            index, last = len(leaves), seq
        leaves.append(leaf(each, seq, head))
    return leaves, index, last


async def _texts(connection: asyncpg.Connection, member: str, seq: int, last: int) -> list[str]:
    """What the links of the rows from ``seq`` to ``last`` cover."""
    entries: dict[int, list[LedgerEntry]] = {}
    for record in await connection.fetch(_ENTRIES, member, seq, last):
        entries.setdefault(record[1], []).append(LedgerEntry(*record[3:]))
    return [
        covered_of(journal_row(record), entries.get(record[1], [])).decode()
        for record in await connection.fetch(_ROWS, member, seq, last)
    ]
