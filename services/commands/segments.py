"""Segments of members from a CSV file: checked whole, then taken like events."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TextIO, TypeVar
from zoneinfo import ZoneInfo

import asyncpg

from services.commands import wiring
from services.commands.replay import bar
from services.failures import REFUSED, USAGE, Refusal
from services.loyalty.application.batch import Outcome
from services.loyalty.application.csv_rows import BadRow
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import Habits, record_batch
from services.loyalty.application.segment_file import SegmentRow, read_segments
from services.loyalty.db.connect import connected
from services.loyalty.db.migrate import require_schema
from services.loyalty.db.session import PgSession
from services.settings import Settings

_Row = TypeVar("_Row")

_CHUNK = 1000
_TOLD = 20
"""So many refused rows are told one by one; the rest is counted."""

_UNKNOWN = """
    SELECT asked.member_id FROM unnest($1::text[]) AS asked(member_id)
    WHERE NOT EXISTS (
        SELECT FROM account WHERE account.member_id = asked.member_id COLLATE "C"
        AND account.status <> 'unenrolled'
    )
"""


async def segments(settings: Settings, options: Namespace) -> int:
    """Prints every row that cannot be taken; takes all of them where there is none."""
    clock, programs = wiring.clock(settings), Programs()
    url = wiring.database_url(settings)
    with _opened(options.file) as file:
        async with connected(url, purpose="segments") as connection:
            await require_schema(connection)
            session = PgSession(connection)
            await programs.refresh(session)
            zone = programs.at(await clock.now(session)).zone
            total, bad = await _check(connection, file, zone)
            if bad:
                print(f"loyalty: {options.file}: {bad:,} of {total:,} rows are bad, and none was"
                      " taken", file=sys.stderr)  # fmt: skip
                return USAGE.code
            if options.check:
                print(f"{options.file}: {total:,} rows without mistakes; none was taken")
                return 0
            taken: Counter[str] = Counter()
            file.seek(0)
            habits = Habits()
            with bar() as shown:
                task = shown.add_task("Taking segments", total=total)
                for rows in _chunks(_sound(file, zone)):
                    now = await clock.now(session)
                    incoming = [row.incoming(now) for row in rows]
                    outcomes = await record_batch(session, programs, clock, incoming, habits=habits)
                    _count(taken, rows, outcomes)
                    shown.update(task, advance=len(rows))
    return _tell(options.file, total, taken)


def _opened(file: str) -> TextIO:
    try:
        return Path(file).open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise Refusal(f"{file}: {error.strerror}") from error


async def _check(connection: asyncpg.Connection, file: TextIO, zone: ZoneInfo) -> tuple[int, int]:
    """How many rows there are and how many of them are bad; says of each of these why."""
    total = bad = 0
    for rows in _chunks(read_segments(file, zone)):
        total += len(rows)
        members = sorted({row.member for row in rows if isinstance(row, SegmentRow)})
        unknown = {record[0] for record in await connection.fetch(_UNKNOWN, members)}
        for row in rows:
            if isinstance(row, BadRow):
                print(row)
            elif row.member in unknown:
                print(f"line {row.line}: member_id: no such member has enrolled")
            else:
                continue
            bad += 1
    return total, bad


def _sound(file: TextIO, zone: ZoneInfo) -> Iterator[SegmentRow]:
    """The rows of a file that was checked.

    Raises:
        Refusal: it has changed since.
    """
    for row in read_segments(file, zone):
        if isinstance(row, BadRow):
            raise Refusal(f"the file changed while it was read: {row}")
        yield row


def _chunks(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    left = iter(rows)
    while chunk := list(islice(left, _CHUNK)):
        yield chunk


def _count(taken: Counter[str], rows: Sequence[SegmentRow], outcomes: Sequence[Outcome]) -> None:
    for row, outcome in zip(rows, outcomes, strict=True):
        taken[outcome.status] += 1
        refused = outcome.status in ("refused", "id_reused")
        if refused and taken["refused"] + taken["id_reused"] <= _TOLD:
            print(f"line {row.line}: refused: {outcome.reason}", file=sys.stderr)


def _tell(file: str, total: int, taken: Counter[str]) -> int:
    refused = taken["refused"] + taken["id_reused"]
    parts = [
        f"{taken[status]:,} {words}"
        for status, words in (
            ("accepted", "taken"),
            ("duplicate", "taken before"),
            ("parked", "waiting for their account"),
        )
        if taken[status]
    ]
    if refused:
        parts.append(f"{refused:,} refused")
    print(f"{file}: {total:,} rows: {', '.join(parts) or 'nothing to take'}")
    return REFUSED.code if refused else 0
