"""Proving that the journal alone makes everything else: folded from nothing into a second set of
tables, which must equal the live ones byte for byte.

Journals are read in member order from one snapshot. The second set are temporary tables, filled by
COPY and compared in SQL some thousand activities at a time; every transaction is read-only, so that
nothing but them can be written. The journal's own columns are compared as they pass by.
"""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from itertools import groupby, pairwise
from multiprocessing import get_context
from typing import NamedTuple, TypeAlias

import asyncpg

from services.loyalty.application.replay import Unfoldable, fold
from services.loyalty.application.store import Write
from services.loyalty.db.connect import Limits, connected
from services.loyalty.db.journal import COLUMNS, journal_row
from services.loyalty.db.replayed import SECOND, Difference, Replayed, differing
from services.loyalty.db.rows import Row, Rows, rows_of
from services.loyalty.db.session import PgSession
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.program import Program

CHUNK = 4000
"""Activities that are compared together, if one member has no more."""

SPAN = 50_000
"""Activities of one task, where several processes share the work."""

_NO_HURRY = Limits(statement_ms=0, idle_in_transaction_ms=0)
_JOURNAL = (
    f"SELECT {', '.join(COLUMNS)} FROM journal"  # noqa: S608  our names
    " WHERE member_id >= $1 AND member_id < $2 ORDER BY member_id, seq"
)
_PARTS = """
    SELECT max(member_id) FROM (
        SELECT member_id, div(sum(seq) OVER (ORDER BY member_id) * $1, $2 + 1) AS part FROM account
    ) AS placed GROUP BY part ORDER BY part
"""
_PLAN_FREELY = """
    SET plan_cache_mode = force_custom_plan; SET jit = off;
    SET enable_seqscan = on; SET enable_hashjoin = on; SET enable_mergejoin = on
"""

_Member: TypeAlias = tuple[str, list[asyncpg.Record]]
Progress: TypeAlias = Callable[[int, int], None]


class Span(NamedTuple):
    """Members from ``low`` until before ``high``, in the order of their ids."""

    low: str
    high: str


class _Task(NamedTuple):
    """What a process needs to replay a part."""

    url: str
    snapshot: str
    span: Span


async def replay(
    url: str, *, member: str | None = None, processes: int = 1, progress: Progress | None = None
) -> Replayed:
    """Replays all members, or one, and says what differs.

    ``progress`` gets activities done and in all.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    keeping = connected(url, purpose="replay", limits=_NO_HURRY)
    async with keeping as keeper, keeper.transaction(isolation="repeatable_read", readonly=True):
        snapshot = await keeper.fetchval("SELECT pg_export_snapshot()")
        total = await _total(keeper, member)
        spans = [Span(member, _after(member))] if member else await _spans(keeper, total)
        tasks = [_Task(url, snapshot, span) for span in spans]
        whole = Replayed()
        done = _in_processes(tasks, processes) if processes > 1 < len(tasks) else _here(tasks)
        async for part in done:
            whole.add(part)
            if progress:
                progress(whole.activities, total)
    return whole


async def _total(keeper: asyncpg.Connection, member: str | None) -> int:
    total: int = await keeper.fetchval(
        "SELECT coalesce(sum(seq), 0)::bigint FROM account"
        " WHERE $1::text IS NULL OR member_id = $1",
        member,
    )
    return total


async def _spans(keeper: asyncpg.Connection, total: int) -> list[Span]:
    """All members that there may be, in parts with about as many activities each."""
    rows = await keeper.fetch(_PARTS, total // SPAN + 1, total)
    bounds = ["", *(_after(row[0]) for row in rows[:-1]), "\U0010ffff"]
    return [Span(low, high) for low, high in pairwise(bounds)]


def _after(member: str) -> str:
    """The least text that sorts after a member id."""
    return f"{member}\x01"


async def _here(tasks: Iterable[_Task]) -> AsyncIterator[Replayed]:
    for task in tasks:
        async with _opened(task) as parts:
            async for part in parts:
                yield part


async def _in_processes(tasks: Iterable[_Task], processes: int) -> AsyncIterator[Replayed]:
    loop = asyncio.get_running_loop()
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin)
    try:
        running = [loop.run_in_executor(pool, _replay_alone, task) for task in tasks]
        for each in asyncio.as_completed(running):
            yield await each
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    """An interrupt is for the process that was typed, which stops handing out work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    spare_the_collector()


def spare_the_collector() -> None:
    """Decisions are freed by reference counts; looking for cycles among them is time lost."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)


def _replay_alone(task: _Task) -> Replayed:
    async def run() -> Replayed:
        whole = Replayed()
        async with _opened(task) as parts:
            async for part in parts:
                whole.add(part)
        return whole

    return asyncio.run(run())


@asynccontextmanager
async def _opened(task: _Task) -> AsyncIterator[AsyncIterator[Replayed]]:
    """Two connections on one snapshot: one to read journals, one with the second set of tables."""
    reading = connected(task.url, purpose="replay", limits=_NO_HURRY)
    comparing = connected(task.url, purpose="replay", limits=_NO_HURRY)
    async with reading as reader, comparing as second:
        await second.execute(_PLAN_FREELY)
        for table in SECOND:
            await second.execute(table.creation)
        async with _seeing(reader, task.snapshot):
            yield _parts(reader, second, task)


@asynccontextmanager
async def _seeing(connection: asyncpg.Connection, snapshot: str) -> AsyncIterator[None]:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
        yield


async def _parts(
    reader: asyncpg.Connection, second: asyncpg.Connection, task: _Task
) -> AsyncIterator[Replayed]:
    """What became of each stretch of the span, which they cover without a gap."""
    programs = {
        number: parse_program(document, number)
        for number, _, document in await PgSession(reader).load_programs(0)
    }
    low, high = task.span
    async for members in _chunks(reader, task.span):
        end = _after(members[-1][0])
        async with _seeing(second, task.snapshot):
            yield await _compared(second, members, programs, Span(low, end))
        low = end
    async with _seeing(second, task.snapshot):
        yield await _compared(second, [], programs, Span(low, high))


async def _chunks(reader: asyncpg.Connection, span: Span) -> AsyncIterator[list[_Member]]:
    """Whole members, some thousand activities at a time."""
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


def _by_member(records: Iterable[asyncpg.Record]) -> list[_Member]:
    return [(member, list(group)) for member, group in groupby(records, key=lambda row: row[0])]


async def _compared(
    second: asyncpg.Connection,
    members: list[_Member],
    programs: Mapping[int, Program],
    span: Span,
) -> Replayed:
    """Folds members into the second set of tables, and compares it with the live one."""
    part = Replayed(members=len(members), activities=sum(len(rows) for _, rows in members))
    writes = []
    for member, records in members:
        try:
            writes.append(fold(member, map(journal_row, records), programs))
        except Unfoldable as unfoldable:
            why = Difference(member, unfoldable.seq, "journal", "", "a decision", str(unfoldable))
            part.wrong.append(why)
            writes.append(unfoldable.write)
    rows = rows_of(writes)
    part.wrong += _rewritten(members, writes, rows)
    part.compared["journal"] = len(rows.journal)
    last_seqs = {member: records[-1][1] for member, records in members}
    for table in SECOND:
        made: list[Row] = table.made(rows)
        if made:
            await second.copy_records_to_table(
                table.name, records=made, columns=table.columns, schema_name="pg_temp"
            )
        found = await second.fetch(table.comparison, *span)
        part.wrong += (differing(table, row, last_seqs) for row in found)
        part.compared[table.name] = len(made)
    part.relayed = len(rows.outbox) - await second.fetchval(_WAITING, *span)
    part.compared["outbox"] -= part.relayed
    return part


_WAITING = (
    "SELECT count(*) FROM pg_temp.outbox JOIN public.outbox USING (member_id, seq, n)"
    " WHERE member_id >= $1 AND member_id < $2"
)


def _rewritten(members: list[_Member], writes: list[Write], rows: Rows) -> Iterator[Difference]:
    """The first journal row of each member that would be written otherwise today."""
    made = iter(rows.journal)
    for (member, records), write in zip(members, writes, strict=True):
        pairs = [(next(made), tuple(record)) for record in records[: len(write.decided)]]
        for expected, found in pairs:
            if expected != found:
                column = next(i for i, value in enumerate(expected) if value != found[i])
                yield Difference(
                    member, expected[1], "journal", COLUMNS[column], expected[column], found[column]
                )
                break
