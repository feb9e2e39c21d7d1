"""Proving that the journal alone makes everything else: folded from nothing into a second set of
tables, which must equal the live ones byte for byte.

Journals are read in member order from one snapshot. The second set are temporary tables, filled by
COPY and compared in SQL some thousand activities at a time; every transaction is read-only, so that
nothing but them can be written. The journal's own columns are compared as they pass by.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

import asyncpg
import uvloop

from services.loyalty.application.replay import Unfoldable, fold
from services.loyalty.application.store import Write
from services.loyalty.db.connect import NO_HURRY, connected
from services.loyalty.db.folding import (
    MemberRows,
    Progress,
    Span,
    after,
    chunks,
    compiled,
    in_processes,
    seeing,
    spans_of,
    total_of,
)
from services.loyalty.db.journal import COLUMNS, journal_row
from services.loyalty.db.replayed import SECOND, Difference, Replayed, differing, differing_counters
from services.loyalty.db.rows import Row, Rows, rows_of
from services.loyalty.db.session import PgSession
from services.loyalty.domain.calendar import to_datetime
from services.loyalty.domain.program import Program

_PLAN_FREELY = """
    SET plan_cache_mode = force_custom_plan; SET jit = off;
    SET enable_seqscan = on; SET enable_hashjoin = on; SET enable_mergejoin = on
"""


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
    keeping = connected(url, purpose="replay", limits=NO_HURRY)
    async with keeping as keeper, keeper.transaction(isolation="repeatable_read", readonly=True):
        snapshot = await keeper.fetchval("SELECT pg_export_snapshot()")
        total = await total_of(keeper, member)
        spans = [Span(member, after(member))] if member else []
        spans = spans or await spans_of(keeper, total, processes)
        tasks = [_Task(url, snapshot, span) for span in spans]
        whole = Replayed()
        shared = min(processes, len(tasks)) > 1
        done = in_processes(_replay_alone, tasks, processes) if shared else _here(tasks)
        async for part in done:
            whole.add(part)
            if progress:
                progress(whole.activities, total)
        if member is None:
            used = await PgSession(keeper).all_counters()
            whole.add(Replayed(wrong=differing_counters(whole.granted, used)))
            whole.compared["counter"] = len(used)
    return whole


async def _here(tasks: Iterable[_Task]) -> AsyncIterator[Replayed]:
    for task in tasks:
        async with _opened(task) as parts:
            async for part in parts:
                yield part


def _replay_alone(task: _Task) -> Replayed:
    async def run() -> Replayed:
        whole = Replayed()
        async with _opened(task) as parts:
            async for part in parts:
                whole.add(part)
        return whole

    return uvloop.run(run())


@asynccontextmanager
async def _opened(task: _Task) -> AsyncIterator[AsyncIterator[Replayed]]:
    """Two connections on one snapshot: one to read journals, one with the second set of tables."""
    reading = connected(task.url, purpose="replay", limits=NO_HURRY)
    comparing = connected(task.url, purpose="replay", limits=NO_HURRY)
    async with reading as reader, comparing as second:
        await second.execute(_PLAN_FREELY)
        for table in SECOND:
            await second.execute(table.creation)
        async with seeing(reader, task.snapshot):
            yield _parts(reader, second, task)


async def _parts(
    reader: asyncpg.Connection, second: asyncpg.Connection, task: _Task
) -> AsyncIterator[Replayed]:
    """What became of each stretch of the span, which they cover without a gap."""
    programs = {
        number: compiled(document, number)
        for number, _, document in await PgSession(reader).load_programs(0)
    }
    low, high = task.span
    async for members in chunks(reader, task.span):
        end = after(members[-1][0])
        async with seeing(second, task.snapshot):
            yield await _compared(second, members, programs, Span(low, end))
        low = end
    async with seeing(second, task.snapshot):
        yield await _compared(second, [], programs, Span(low, high))


async def _compared(
    second: asyncpg.Connection,
    members: list[MemberRows],
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
            writes += [unfoldable.write] if unfoldable.write else []
    rows = rows_of(writes)
    part.granted = rows.granted()
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


def _rewritten(members: list[MemberRows], writes: list[Write], rows: Rows) -> Iterator[Difference]:
    """The first journal row of each member that would be written otherwise today."""
    made = (
        (*row[:7], *map(to_datetime, row[7:10]), *row[10:])  # as they are read
        for row in rows.journal
    )
    for (member, records), write in zip(members, writes, strict=True):
        pairs = [(next(made), tuple(record)) for record in records[: len(write.decided)]]
        for expected, found in pairs:
            if expected != found:
                column = next(i for i, value in enumerate(expected) if value != found[i])
                yield Difference(
                    member, expected[1], "journal", COLUMNS[column], expected[column], found[column]
                )
                break
