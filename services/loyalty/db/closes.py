"""Closing periods, reporting on them and on open ones, and what finance approves for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from zoneinfo import ZoneInfo

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.loyalty.application.books import Approving, Asked, BooksRefused, Close
from services.loyalty.db import checkpoints
from services.loyalty.db.cuts import Cut
from services.loyalty.db.reports import Progress, Wanted, held_at, make, month_of
from services.loyalty.db.session import PgSession
from services.loyalty.db.verify import Verdict, Wrong
from services.loyalty.domain.approved import Approval, Approvals, NotApprovable
from services.loyalty.domain.bookreport import (
    FORMAT,
    Closed,
    Report,
    decode_report,
    encode_report,
)
from services.loyalty.domain.calendar import Instant, from_datetime, rfc3339, to_datetime
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.program import Program

CHECKED = "the report of every closed period, and the checkpoint that it names"

_LOCK = 0x626F6F6B73
"""The advisory lock of whoever closes or approves: the bytes of "books"."""

_CLOSE = """
    SELECT period, starts_at, ends_at, checkpoint, closed_at, closed_by, format, document
    FROM book_close
"""
_KEEP = """
    INSERT INTO book_close
        (period, starts_at, ends_at, checkpoint, closed_at, closed_by, format, document)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_APPROVALS = """
    SELECT number, what, "of", value, holds_from, approved_by, approved_at, issued
    FROM book_approval ORDER BY number
"""
_APPROVE = """
    INSERT INTO book_approval
        (number, what, "of", value, holds_from, approved_by, approved_at, issued)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_UNDECIDED = "SELECT count(*) FROM account WHERE due_at < $1"


async def close(
    connection: asyncpg.Connection,
    key: Ed25519PrivateKey,
    period: str,
    *,
    at: Instant,
    by: str,
    undecided: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Closes the next period with one snapshot: its report, and the checkpoint whose heads are what
    was known of each member. All of it is one transaction.

    With ``undecided`` also while moments of the period are due and not decided.

    Raises:
        BooksRefused: it is not the next period, or not over, or moments of it are not decided.
    """
    async with _alone(connection), checkpoints.alone(connection), _snapshot(connection):
        programs = await _programs(connection)
        last = await _last_close(connection)
        starts_at, ends_at = _next_period(programs, last, period)
        if at < ends_at:
            raise BooksRefused("period_not_over", f"{period} ends only at {rfc3339(ends_at)}")
        due = await connection.fetchval(_UNDECIDED, to_datetime(ends_at))
        if due and not undecided:
            raise BooksRefused(
                "moments_undecided",
                f"of {due:,} accounts something that was due before {rfc3339(ends_at)} is not"
                " decided: let `loyalty schedule` come to an end of it first",
            )
        checkpoint = await checkpoints.make_within(connection, key, at=at)
        made = Close(period, starts_at, ends_at, checkpoint.number, at, by, FORMAT, "")
        [report] = await _made(connection, programs, [made], last, progress)
        await connection.execute(
            _KEEP,
            period,
            to_datetime(starts_at),
            to_datetime(ends_at),
            checkpoint.number,
            to_datetime(at),
            by,
            FORMAT,
            encode_report(report).decode(),
        )
    return report


async def report(
    connection: asyncpg.Connection,
    asked: Asked,
    *,
    now: Instant,
    progress: Progress | None = None,
) -> Report:
    """The report of a period or a span: that of a closed period is made again from the rows.

    Raises:
        BooksRefused: the period cannot be read, or nothing is published.
    """
    async with _snapshot(connection):
        programs = await _programs(connection)
        found = await closes(connection)
        for place, each in enumerate(found):
            if asked.period == each.period and asked.known_by is None:
                before = found[place - 1] if place else None
                [made] = await _made(connection, programs, [each], before, progress)
                return made
        return await _provisional(connection, programs, asked, found, now, progress)


async def zone_now(connection: asyncpg.Connection, now: Instant) -> ZoneInfo:
    """The programme's zone, for dates that somebody types.

    Raises:
        BooksRefused: nothing is published.
    """
    return held_at(await _programs(connection), now).zone


async def closes(connection: asyncpg.Connection) -> list[Close]:
    """All closed periods, the first one first."""
    return [_close(row) for row in await connection.fetch(f"{_CLOSE} ORDER BY ends_at")]


async def approvals(connection: asyncpg.Connection) -> list[Approval]:
    """All approvals, in the order in which they were given."""
    return [
        Approval(
            number=row["number"],
            what=row["what"],
            of=row["of"],
            value=row["value"],
            holds_from=from_datetime(row["holds_from"]),
            approved_by=row["approved_by"],
            approved_at=from_datetime(row["approved_at"]),
            issued=row["issued"],
        )
        for row in await connection.fetch(_APPROVALS)
    ]


async def approve(
    connection: asyncpg.Connection, approving: Approving, *, now: Instant
) -> Approval:
    """Adds an approval.

    Raises:
        BooksRefused: it cannot be approved so, or from a date that is closed: what was allocated in
            a closed period never changes.
    """
    async with _alone(connection), connection.transaction():
        last = await _last_close(connection)
        if last is not None and approving.holds_from < last.ends_at:
            raise BooksRefused(
                "period_closed",
                f"{last.period} is closed: approve it from {rfc3339(last.ends_at)} on",
            )
        number = await connection.fetchval("SELECT coalesce(max(number), 0) + 1 FROM book_approval")
        try:
            made = Approval(
                number=number,
                what=approving.what,
                of=approving.of,
                value=approving.value,
                holds_from=approving.holds_from,
                approved_by=approving.by,
                approved_at=now,
                issued=approving.issued,
            )
        except NotApprovable as error:
            raise BooksRefused("not_approvable", str(error)) from error
        if made.what != "account":
            await _require_currency(connection, made.of)
        await connection.execute(
            _APPROVE,
            made.number,
            made.what,
            made.of,
            made.value,
            to_datetime(made.holds_from),
            made.approved_by,
            to_datetime(made.approved_at),
            made.issued,
        )
    return made


class PgBooks:
    """:class:`~services.loyalty.application.books.Books` on one connection."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def report(self, asked: Asked, *, now: Instant) -> Report:
        return await report(self._connection, asked, now=now)

    async def closes(self) -> list[Close]:
        return await closes(self._connection)

    async def approvals(self) -> list[Approval]:
        return await approvals(self._connection)

    async def approve(self, approving: Approving, *, now: Instant) -> Approval:
        return await approve(self._connection, approving, now=now)


async def verify(
    connection: asyncpg.Connection, verdict: Verdict, *, progress: Progress | None = None
) -> None:
    """Makes the report of every closed period again, all from one pass, and adds what is not the
    same to the verdict.
    """
    async with _snapshot(connection):
        found = await closes(connection)
        if not found:
            return
        programs = await _programs(connection)
        again = await _made(connection, programs, found, None, progress)
    before: Close | None = None
    for each, report in zip(found, again, strict=True):
        text = encode_report(report)
        if text.decode() != each.document:
            verdict.add(Wrong("", 0, f"report of closed period {each.period}", each.document, text))
        if before is not None and before.ends_at != each.starts_at:
            what = f"start of closed period {each.period}"
            verdict.add(Wrong("", 0, what, before.ends_at, each.starts_at))
        before = each
    verdict.checked += (CHECKED,)


# Making a report ----------------------------------------------------------------------------------


async def _made(
    connection: asyncpg.Connection,
    programs: dict[int, Program],
    found: Sequence[Close],
    before: Close | None,
    progress: Progress | None,
) -> list[Report]:
    """The reports of closes that follow each other, the first of them after the one ``before``."""
    known = all(1 <= each.format <= FORMAT for each in found)
    assert known, "a format stays in the code as long as a close names it"
    first = found[0]
    opening = Cut(first.starts_at, checkpoint=(before or first).checkpoint)
    cuts = [opening, *(Cut(each.ends_at, checkpoint=each.checkpoint) for each in found)]
    wanted = [
        Wanted(
            each.period,
            each.closed_at,
            Closed(each.checkpoint, rfc3339(each.closed_at), each.closed_by),
            None if last is None else decode_report(last.document),
            each.format,
        )
        for last, each in zip((before, *found), found, strict=False)
    ]
    approved = Approvals(await approvals(connection))
    return await make(connection, cuts, wanted, programs, approved, progress=progress)


async def _provisional(
    connection: asyncpg.Connection,
    programs: dict[int, Program],
    asked: Asked,
    found: list[Close],
    now: Instant,
    progress: Progress | None,
) -> Report:
    since, until = asked.since, asked.until
    if asked.period:
        since, until = _period(programs, asked.period)
    if until <= since:
        raise BooksRefused("invalid_period", "a report ends after it begins")
    known_by = now if asked.known_by is None else asked.known_by
    last = found[-1] if found else None
    # What is open goes on from the last close; any other span is read as it is known by then.
    follows = last is not None and last.ends_at == since and known_by >= last.closed_at
    base = last.checkpoint if last is not None and follows else None
    opening = Cut(since, None if base else asked.known_by, base)
    before = decode_report(last.document) if last is not None and follows else None
    [made] = await make(
        connection,
        [opening, Cut(until, asked.known_by)],
        [Wanted(asked.period, known_by, before=before)],
        programs,
        Approvals(await approvals(connection)),
        progress=progress,
    )
    return made


def _next_period(
    programs: dict[int, Program], last: Close | None, period: str
) -> tuple[Instant, Instant]:
    starts_at, ends_at = _period(programs, period)
    if last is None:
        return starts_at, ends_at
    if last.ends_at >= ends_at:
        raise BooksRefused("period_closed", f"the books are closed up to {rfc3339(last.ends_at)}")
    follows, until = _period(programs, period, after=last.ends_at)
    if follows != last.ends_at:
        raise BooksRefused(
            "not_next_period", f"{last.period} is the last closed: close the month after it first"
        )
    return follows, until


def _period(
    programs: dict[int, Program], period: str, *, after: Instant | None = None
) -> tuple[Instant, Instant]:
    """A month in the programme's zone. Where the zone changed since the last close, the month
    begins where that ended.
    """
    try:
        starts_at, ends_at = month_of(period, held_at(programs, 0).zone)
        held = held_at(programs, starts_at)
        starts_at, ends_at = month_of(period, held.zone)
    except ValueError:
        raise BooksRefused("invalid_period", f"{period} is no month like 2011-03") from None
    close_enough = after is not None and abs(starts_at - after) <= _ZONES_APART
    return (after if close_enough and after is not None else starts_at), ends_at


_ZONES_APART = 26 * 3600 * 1_000_000
"""No two zones are further apart."""


async def _require_currency(connection: asyncpg.Connection, currency: str) -> None:
    programs = await _programs(connection)
    known = {
        name
        for program in programs.values()
        for name, terms in program.currencies.items()
        if not terms.qualifies
    }
    if currency not in known:
        listed = ", ".join(sorted(known))
        raise BooksRefused("not_approvable", f"{currency} cannot be spent: name one of {listed}")


async def _programs(connection: asyncpg.Connection) -> dict[int, Program]:
    """All versions by number.

    Raises:
        BooksRefused: there is none.
    """
    found = {
        number: parse_program(document, number)
        for number, _, document in await PgSession(connection).load_programs(0)
    }
    if not found:
        raise BooksRefused("no_program", "nothing is published, so there are no books")
    return found


async def _last_close(connection: asyncpg.Connection) -> Close | None:
    row = await connection.fetchrow(f"{_CLOSE} ORDER BY ends_at DESC LIMIT 1")
    return None if row is None else _close(row)


def _close(row: asyncpg.Record) -> Close:
    return Close(
        row["period"],
        from_datetime(row["starts_at"]),
        from_datetime(row["ends_at"]),
        row["checkpoint"],
        from_datetime(row["closed_at"]),
        row["closed_by"],
        row["format"],
        row["document"],
    )


@asynccontextmanager
async def _snapshot(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """One snapshot of everything, however long it takes."""
    async with connection.transaction(isolation="repeatable_read"):
        await connection.execute("SET LOCAL statement_timeout = 0")
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield


@asynccontextmanager
async def _alone(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Lets one in at a time, before the transaction and its snapshot."""
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        yield
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
