"""Running a draft of the programme over all journals: only reading, on one snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import asyncpg
import uvloop

from services.loyalty.application.drafting import Birth, Difference, Draft, compare
from services.loyalty.application.programs import NoProgram, Programs
from services.loyalty.db.connect import NO_HURRY, connected
from services.loyalty.db.folding import (
    Progress,
    Span,
    chunks,
    compiled,
    in_processes,
    seeing,
    spans_of,
    total_of,
)
from services.loyalty.db.journal import journal_row
from services.loyalty.db.session import PgSession
from services.loyalty.domain.calendar import Instant, from_datetime
from services.loyalty.domain.document import (
    check_successor,
    compile_program,
    parse_program,
    read_document,
)
from services.loyalty.domain.program import Program

_BIRTHS = (
    "SELECT member_id, born_on, born_set_at FROM profile"
    " WHERE member_id = ANY($1::text[]) AND born_on IS NOT NULL"
)


class Verdicts(NamedTuple):
    """The programme as published last, the draft, and what differs."""

    published: Program
    draft: Program
    difference: Difference


class _Task(NamedTuple):
    url: str
    snapshot: str
    span: Span
    text: str
    since: Instant


async def run_draft(
    url: str, text: str, since: Instant, *, processes: int = 1, progress: Progress | None = None
) -> Verdicts:
    """What a draft would have made of history from an instant on.

    Raises:
        ProgramMistakes: the draft has mistakes, or cannot follow the newest version.
        NoProgram: nothing is published.
        DatabaseUnavailable: it cannot be reached.
    """
    keeping = connected(url, purpose="draft", limits=NO_HURRY)
    async with keeping as keeper, keeper.transaction(isolation="repeatable_read", readonly=True):
        snapshot = await keeper.fetchval("SELECT pg_export_snapshot()")
        versions = await _versions(keeper)
        draft = _draft(versions, text, since)
        total = await total_of(keeper)
        spans = await spans_of(keeper, total, processes)
        tasks = [_Task(url, snapshot, span, text, since) for span in spans]
        whole = Difference()
        shared = min(processes, len(tasks)) > 1
        done = in_processes(_alone, tasks, processes) if shared else _here(tasks)
        async for part in done:
            whole.add(part)
            if progress:
                progress(whole.activities, total)
    return Verdicts(parse_program(versions[-1][1], versions[-1][0]), draft, whole)


async def _versions(connection: asyncpg.Connection) -> tuple[tuple[int, str], ...]:
    published = await PgSession(connection).load_programs(0)
    if not published:
        raise NoProgram
    return tuple((number, document) for number, _, document in published)


@lru_cache(maxsize=4)
def _draft(versions: tuple[tuple[int, str], ...], text: str, since: Instant) -> Program:
    document = read_document(text)
    number, newest = versions[-1]
    check_successor(read_document(newest), document)
    return replace(compile_program(document, version=number + 1), holds_from=since)


async def _here(tasks: Sequence[_Task]) -> AsyncIterator[Difference]:
    for task in tasks:
        async for part in _parts(task):
            yield part


def _alone(task: _Task) -> Difference:
    async def run() -> Difference:
        whole = Difference()
        async for part in _parts(task):
            whole.add(part)
        return whole

    return uvloop.run(run())


async def _parts(task: _Task) -> AsyncIterator[Difference]:
    reading = connected(task.url, purpose="draft", limits=NO_HURRY)
    asking = connected(task.url, purpose="draft", limits=NO_HURRY)
    async with reading as reader, asking as second, seeing(reader, task.snapshot):
        versions = await _versions(reader)
        live = {number: compiled(document, number) for number, document in versions}
        before = [program for program in live.values() if program.holds_from < task.since]
        judging = Programs([*before, _draft(versions, task.text, task.since)])
        draft = Draft(live, judging, task.since)
        async for members in chunks(reader, task.span):
            births = await _births(second, [member for member, _ in members])
            part = Difference()
            for member, records in members:
                rows = [journal_row(record) for record in records]
                compare(part, member, rows, draft, births.get(member, Birth()))
            yield part


async def _births(connection: asyncpg.Connection, members: Sequence[str]) -> dict[str, Birth]:
    rows = await connection.fetch(_BIRTHS, members)
    return {row[0]: Birth(row[1], from_datetime(row[2]) if row[2] else 0) for row in rows}
