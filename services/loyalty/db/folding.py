"""Reading all journals whole, in member order, by as many processes as there are, on one snapshot.

Whoever folds them (:mod:`replay`, :mod:`drafting`) sees the same rows, whatever is recorded
meanwhile.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import groupby, pairwise
from multiprocessing import get_context
from typing import NamedTuple, TypeAlias, TypeVar

import asyncpg

from services.loyalty.application.collector import spare_the_collector
from services.loyalty.db.journal import COLUMNS
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.program import Program

CHUNK = 4000
"""Activities that are folded together, if one member has no more."""

SPAN = 50_000
"""Activities of one task at most, where several processes share the work."""

EACH = 3
"""So many tasks there are for each process at least, so that none waits long for the last."""

_JOURNAL = (
    f"SELECT {', '.join(COLUMNS)} FROM journal"  # noqa: S608  our names
    " WHERE member_id >= $1 AND member_id < $2 ORDER BY member_id, seq"
)
_PARTS = """
    SELECT max(member_id) FROM (
        SELECT member_id, div(sum(seq) OVER (ORDER BY member_id) * $1, $2 + 1) AS part FROM account
    ) AS placed GROUP BY part ORDER BY part
"""

MemberRows: TypeAlias = tuple[str, list[asyncpg.Record]]
"""A member, and the rows of the member's journal from the first to the last."""

Progress: TypeAlias = Callable[[int, int], None]
"""Told of activities done, and of how many there are in all."""

_Task = TypeVar("_Task")
_Done = TypeVar("_Done")


class Span(NamedTuple):
    """Members from ``low`` until before ``high``, in the order of their ids."""

    low: str
    high: str


def after(member: str) -> str:
    """The least text that sorts after a member id."""
    return f"{member}\x01"


async def total_of(connection: asyncpg.Connection, member: str | None = None) -> int:
    """How many activities the journals hold, or one member's."""
    total: int = await connection.fetchval(
        "SELECT coalesce(sum(seq), 0)::bigint FROM account"
        " WHERE $1::text IS NULL OR member_id = $1",
        member,
    )
    return total


async def spans_of(connection: asyncpg.Connection, total: int, processes: int = 1) -> list[Span]:
    """All members that there may be, in parts with about as many activities each: enough to share,
    and none smaller than what is folded together anyway.
    """
    most = total if processes == 1 else max(CHUNK, total // (processes * EACH))
    rows = await connection.fetch(_PARTS, total // max(1, min(SPAN, most)) + 1, total)
    bounds = ["", *(after(row[0]) for row in rows[:-1]), "\U0010ffff"]
    return [Span(low, high) for low, high in pairwise(bounds)]


async def in_processes(
    work: Callable[[_Task], _Done], tasks: Sequence[_Task], processes: int
) -> AsyncIterator[_Done]:
    """What ``work`` makes of each task, as it is done; both must be something that can be sent."""
    loop = asyncio.get_running_loop()
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin)
    try:
        running: list[Awaitable[_Done]] = [loop.run_in_executor(pool, work, task) for task in tasks]
        for each in asyncio.as_completed(running):
            yield await each
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """An interrupt is for the process that was typed, which stops handing out work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    spare_the_collector()


@asynccontextmanager
async def seeing(connection: asyncpg.Connection, snapshot: str) -> AsyncIterator[None]:
    """A transaction that only reads, on an exported snapshot."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        yield


async def chunks(reader: asyncpg.Connection, span: Span) -> AsyncIterator[list[MemberRows]]:
    """Whole members, some thousand activities at a time. Only inside a transaction."""
    cursor = await reader.cursor(_JOURNAL, *span)
    held: list[asyncpg.Record] = []
    while fetched := await cursor.fetch(CHUNK):
        held += fetched
        last = fetched[-1][0]
        if held[0][0] != last:
            members = _by_member(held)
            *whole, (_, held) = members
            yield whole
    if held:
        yield _by_member(held)


@lru_cache(maxsize=64)
def compiled(document: str, number: int) -> Program:
    """A published version; a process that folds part after part compiles it once."""
    return parse_program(document, number)


def _by_member(records: Iterable[asyncpg.Record]) -> list[MemberRows]:
    return [(member, list(group)) for member, group in groupby(records, key=lambda row: row[0])]
