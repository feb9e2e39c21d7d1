"""Comparing our balances with those of another system."""

from __future__ import annotations

import csv
import sys
from argparse import Namespace
from pathlib import Path

import msgspec

from services.commands import wiring
from services.commands.opened import opened
from services.commands.replay import bar
from services.failures import BOOKS, USAGE, Refusal
from services.loyalty.application.shadow import Balances, Difference, Shadow, read_balances
from services.loyalty.db.connect import NO_HURRY
from services.loyalty.db.exporting import accounts_now
from services.loyalty.domain.program import Program
from services.settings import Settings

_TOLD = 20
"""So many differences are told one by one; the rest is counted."""


async def shadow(settings: Settings, options: Namespace) -> int:
    """Prints how the balances differ; answers the exit code of books that do."""
    async with opened(settings, purpose="shadow", limits=NO_HURRY) as (session, programs):
        now = await wiring.clock(settings).now(session)
        balances = _read(options.file, programs.at(now))
        if balances.bad:
            for row in balances.bad:
                print(row)
            print(f"loyalty: {options.file}: nothing was compared", file=sys.stderr)
            return USAGE.code
        compared, found = Shadow(balances, programs.at(now), now), list[Difference]()
        async with session.connection.transaction(isolation="repeatable_read", readonly=True):
            total = await session.connection.fetchval("SELECT count(*) FROM account")
            with bar("members") as shown:
                task = shown.add_task("Comparing", total=total)
                async for members, batch in accounts_now(session, programs, now):
                    for member in members:
                        found += compared.compare(member, batch.account(member))
                    shown.update(task, advance=len(members))
    found += compared.rest()
    if options.csv:
        _write(options.csv, found)
    print(_as_json(compared, found) if options.json else _in_words(compared, found))
    if not found:
        return 0
    print(f"loyalty: {len(found):,} balances differ", file=sys.stderr)
    return BOOKS.code


def _read(name: str, program: Program) -> Balances:
    try:
        with Path(name).open(encoding="utf-8-sig", newline="") as file:
            return read_balances(file, program)
    except OSError as error:
        raise Refusal(f"{name}: {error.strerror}") from error


def _write(name: str, found: list[Difference]) -> None:
    try:
        with Path(name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\r\n")
            writer.writerow(Difference.__struct_fields__)
            writer.writerows(msgspec.structs.astuple(each) for each in found)
    except OSError as error:
        raise Refusal(f"{name}: {error.strerror}") from error


def _in_words(compared: Shadow, found: list[Difference]) -> str:
    lines = [
        f"{currency}: {sums.same:,} balances the same, {sums.different:,} not;"
        f" there {sums.there:,}, here {sums.here:,}, difference {sums.here - sums.there:+,}"
        for currency, sums in compared.sums.items()
    ]
    if found:
        lines.append(f"{'member':<20} {'currency':<10} {'':<9} {'there':>12} {'here':>12}")
    for each in found[:_TOLD]:
        whose = each.member if each.status else f"{each.member} (not here)"
        lines.append(
            f"{whose:<20} {each.currency:<10} {each.bucket:<9} {each.there:>12,} {each.here:>12,}"
        )
    if len(found) > _TOLD:
        lines.append(f"and {len(found) - _TOLD:,} more: --csv FILE writes them all")
    return "\n".join(lines) or "nothing was compared: the file names no balance"


def _as_json(compared: Shadow, found: list[Difference]) -> str:
    told = {"same": not found, "currencies": compared.sums, "differences": found}
    return msgspec.json.encode(told).decode()
