"""Closing periods, reports and approvals from the command line."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import date, datetime
from typing import Any, get_args
from zoneinfo import ZoneInfo

import asyncpg
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Drawn

from services.commands import signing, wiring
from services.failures import BOOKS
from services.loyalty.application.books import Approving, Asked
from services.loyalty.db import closes
from services.loyalty.db import reports as making
from services.loyalty.db.connect import Limits, connected
from services.loyalty.db.migrate import require_schema
from services.loyalty.db.session import PgSession
from services.loyalty.domain.bookreport import Report, Table, as_csv, encode_report
from services.loyalty.domain.calendar import Instant, from_datetime, midnight, rfc3339
from services.settings import Settings, SettingsRefused

_NO_HURRY = Limits(statement_ms=0, lock_ms=0, idle_in_transaction_ms=0)
_TABLES: tuple[str, ...] = get_args(Table)


async def close(settings: Settings, options: Namespace) -> int:
    """Closes a month and prints its report."""
    _check_table(options)
    key = signing.signing_key(settings)
    async with _books(settings, "books close") as (connection, now):
        with _bar("Closing") as progress:
            made = await closes.close(
                connection,
                key,
                options.period,
                at=now,
                by=options.by,
                undecided=options.undecided,
                progress=progress,
            )
    return _print(made, options)


async def report(settings: Settings, options: Namespace) -> int:
    """Prints a report; answers the exit code of books that do not foot."""
    _check_table(options)
    async with _books(settings, "books report") as (connection, now):
        asked = await _asked(connection, options, now)
        with _bar("Reading") as progress:
            made = await closes.report(connection, asked, now=now, progress=progress)
        kept = {each.period: each.document for each in await closes.closes(connection)}
    code = _print(made, options)
    if made.closed and kept[made.period] != encode_report(made).decode():
        print(
            f"loyalty: the rows of {made.period} no longer make the report that closed it",
            file=sys.stderr,
        )
        return BOOKS.code
    return code


async def show_all(settings: Settings, options: Namespace) -> None:
    """Lists closed months."""
    del options
    async with _books(settings, "books list") as (connection, _):
        found = await closes.closes(connection)
    for each in found:
        print(
            f"{each.period}  {rfc3339(each.starts_at)} to {rfc3339(each.ends_at)}"
            f"  checkpoint {each.checkpoint}  closed {rfc3339(each.closed_at)} by {each.closed_by}"
        )
    if not found:
        print("No month is closed yet.")


async def approve(settings: Settings, options: Namespace) -> None:
    """Adds an approval and prints it."""
    async with _books(settings, "books approve") as (connection, now):
        zone = await closes.zone_now(connection, now)
        approving = Approving(
            options.what,
            options.of,
            options.value,
            _instant(options.holds_from, zone),
            options.by,
            options.issued,
        )
        made = await closes.approve(connection, approving, now=now)
    print(
        f"Approval {made.number}: {made.what} of {made.of} is {made.value}"
        f" from {rfc3339(made.holds_from)}"
    )


async def show_approvals(settings: Settings, options: Namespace) -> None:
    """Lists approvals."""
    del options
    async with _books(settings, "books approvals") as (connection, _):
        found = await closes.approvals(connection)
    for each in found:
        issued = f" issued {each.issued}" if each.issued else ""
        print(
            f"{each.number}  {each.what} of {each.of}{issued}: {each.value}"
            f"  from {rfc3339(each.holds_from)}"
            f"  approved {rfc3339(each.approved_at)} by {each.approved_by}"
        )
    if not found:
        print("Nothing is approved yet.")


@asynccontextmanager
async def _books(
    settings: Settings, purpose: str
) -> AsyncIterator[tuple[asyncpg.Connection, Instant]]:
    url = wiring.database_url(settings)
    async with connected(url, purpose=purpose, limits=_NO_HURRY) as connection:
        await require_schema(connection)
        yield connection, await wiring.clock(settings).now(PgSession(connection))


async def _asked(connection: asyncpg.Connection, options: Namespace, now: Instant) -> Asked:
    if options.period and (options.since or options.until):
        raise SettingsRefused("name a month, or --since and --until, but not both")
    zone = await closes.zone_now(connection, now)
    known_by = _instant(options.known_by, zone) if options.known_by else None
    if options.period:
        return Asked(options.period, known_by=known_by)
    since = _instant(options.since, zone) if options.since else 0
    # What happens at this very instant has happened.
    until = _instant(options.until, zone) if options.until else now + 1
    return Asked("", since, until, known_by)


def _instant(text: str, zone: ZoneInfo) -> Instant:
    """An instant as typed: a day is its first instant in the programme's zone.

    Raises:
        SettingsRefused: it is neither a day nor an instant.
    """
    try:
        if len(text) == 10:  # a date by ISO 8601
            return midnight(date.fromisoformat(text), zone)
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise SettingsRefused(f"{text} is neither a day like 2011-03-01 nor an RFC 3339 instant")
    return from_datetime(moment)


def _check_table(options: Namespace) -> None:
    if options.csv is not None and options.csv not in _TABLES:
        raise SettingsRefused(f"there is no table {options.csv}: name one of {', '.join(_TABLES)}")


def _print(made: Report, options: Namespace) -> int:
    if options.json:
        print(encode_report(made).decode())
    elif options.csv:
        sys.stdout.write(as_csv(made, options.csv))
    else:
        _draw(made)
    if made.proof.foots:
        return 0
    first = [*made.proof.differences, "the trial balance is not 0"][0]
    print(f"loyalty: the report does not foot to the ledger: {first}", file=sys.stderr)
    return BOOKS.code


def _draw(made: Report) -> None:
    """The roll-forward and what it comes to, for people."""
    screen = Console(width=None if sys.stdout.isatty() else 160)
    name = made.period or f"{made.since} to {made.happened_before}"
    print(
        f"{name}: happened before {made.happened_before}, known by {made.known_by}, {made.status}"
    )
    for each in made.currencies:
        columns = list(dict.fromkeys(c for row in each.rollforward for c in _moved(row)))
        drawn = Drawn(title=each.currency, title_justify="left", box=None)
        for column in ("bucket", "opening", *columns, "closing"):
            drawn.add_column(column, justify="left" if column == "bucket" else "right")
        for row in each.rollforward:
            moved = _moved(row)
            numbers = [row.opening, *(moved.get(column, 0) for column in columns), row.closing]
            drawn.add_row(row.bucket, *(f"{number:,}" for number in numbers))
        screen.print(drawn)
        owed = each.liability
        if each.spendable:
            worth = f", worth {owed.worth} {owed.money}" if owed.money else ""
            print(
                f"Owed to members: {owed.total:,} {each.currency}{worth}"
                f" ({owed.available:,} available, {owed.held:,} held, {owed.pending:,} pending,"
                f" {owed.in_transit:,} in transit, {owed.open_vouchers:,} in vouchers);"
                f" {owed.arrears:,} owed by members"
            )
    for line in made.journals:
        print(
            f"{line.why}: debit {line.debit} {line.debit_code or '(no code)'}, credit"
            f" {line.credit} {line.credit_code or '(no code)'}, {line.amount} {line.money}"
        )
    proof = made.proof
    print(
        f"{'Foots' if proof.foots else 'DOES NOT FOOT'} to the ledger: {proof.entries:,} entries,"
        f" {proof.activities:,} activities, {proof.members:,} members"
    )


def _moved(row: Any) -> dict[str, int]:
    """What moved in the period, with what is of periods before."""
    return {
        column: row.period.get(column, 0) + row.prior_period.get(column, 0)
        for column in dict.fromkeys([*row.period, *row.prior_period])
    }


@contextmanager
def _bar(name: str) -> Iterator[making.Progress]:
    screen = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f} members"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=screen, transient=True, disable=not screen.is_terminal
    ) as shown:
        task = shown.add_task(name, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
