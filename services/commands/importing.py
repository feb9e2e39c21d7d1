"""Members from another system: checked whole, shown in totals, then taken like events."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from services.commands import wiring
from services.commands.replay import bar
from services.failures import REFUSED, USAGE, Refusal
from services.loyalty.application.clock import Clock
from services.loyalty.application.collector import spare_the_collector
from services.loyalty.application.importing import Totals, examine, take
from services.loyalty.application.opening_files import OpeningFiles
from services.loyalty.application.opening_rows import Comer
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import Habits
from services.loyalty.db.connect import connected
from services.loyalty.db.migrate import require_schema
from services.loyalty.db.session import PgSession
from services.loyalty.domain.money import decimal_text
from services.settings import Settings

CHUNK = 1000
_TOLD = 20
"""So many refused members are told one by one; the rest is counted."""


async def import_members(settings: Settings, options: Namespace) -> int:
    """Prints every row that cannot be taken; takes all members where there is none."""
    folder = _folder(options.folder)
    clock, programs = wiring.clock(settings), Programs()
    spare_the_collector()
    async with connected(wiring.database_url(settings), purpose="import") as connection:
        await require_schema(connection)
        session = PgSession(connection)
        await programs.refresh(session)
        files = OpeningFiles(folder, programs.at(await clock.now(session)))
        totals = await _check(session, programs, clock, files)
        if totals is None:
            print(f"loyalty: {folder}: nobody was taken", file=sys.stderr)
            return USAGE.code
        if options.dry_run:
            print(_as_json(totals) if options.json else _in_words(totals))
            return 0
        if options.check:
            members = totals.new + totals.before
            print(f"{folder}: {members:,} members without mistakes; nobody was taken")
            return 0
        taken = await _take(session, programs, clock, files)
    return _tell(folder, totals, taken, as_json=options.json)


def _folder(name: str) -> Path:
    folder = Path(name)
    if not folder.is_dir():
        raise Refusal(f"{folder}: not a folder")
    return folder


async def _check(
    session: PgSession, programs: Programs, clock: Clock, files: OpeningFiles
) -> Totals | None:
    """What the files come to; None where any row is bad, of each of which it says why."""
    unfit = list(files.unfit())
    for row in unfit:
        print(row)
    if unfit:
        return None
    totals, bad = Totals(), 0
    with bar("members") as shown:
        task = shown.add_task("Checking", total=files.learn())
        for comers in _chunks(files.comers()):
            found = await examine(session, programs, await clock.now(session), comers, totals)
            for row in sorted(found, key=lambda row: (row.file, row.line)):
                print(row)
            bad += len(found)
            shown.update(task, advance=len(comers))
    return None if bad else totals


async def _take(
    session: PgSession, programs: Programs, clock: Clock, files: OpeningFiles
) -> Counter[str]:
    """How many members were taken, and how many were refused after all."""
    taken: Counter[str] = Counter()
    habits = Habits()
    with bar("members") as shown:
        task = shown.add_task("Taking", total=files.learn())
        for comers in _chunks(files.comers()):
            for comer in comers:
                for row in comer.bad:
                    raise Refusal(f"the files changed while they were read: {row}")
            outcomes = await take(session, programs, clock, comers, habits)
            for comer, outcome in zip(comers, outcomes, strict=True):
                taken[outcome.status] += 1
                if outcome.status in _REFUSED and sum(taken[each] for each in _REFUSED) <= _TOLD:
                    why = f"{outcome.reason} {json.dumps(outcome.details)}"
                    print(f"member {comer.member}: refused: {why}", file=sys.stderr)
            shown.update(task, advance=len(comers))
    return taken


_REFUSED = ("refused", "id_reused")


def _chunks(comers: Iterable[Comer]) -> Iterator[list[Comer]]:
    left = iter(comers)
    while chunk := list(islice(left, CHUNK)):
        yield chunk


def _tell(folder: Path, totals: Totals, taken: Counter[str], *, as_json: bool) -> int:
    refused = sum(taken[each] for each in _REFUSED)
    if as_json:
        told = {"taken": taken["accepted"], "taken_before": taken["duplicate"], "refused": refused}
        print(json.dumps(json.loads(_as_json(totals)) | told))
    else:
        parts = [
            f"{taken[status]:,} {words}"
            for status, words in (("accepted", "taken"), ("duplicate", "taken before"))
            if taken[status]
        ]
        parts += [f"{refused:,} refused"] if refused else []
        print(f"{folder}: {taken.total():,} members: {', '.join(parts) or 'nobody to take'}")
    return REFUSED.code if refused else 0


def _in_words(totals: Totals) -> str:
    lines = [f"{totals.new:,} members to take, {totals.before:,} taken before; nothing was changed"]
    lines += [
        f"  {currency} {bucket}: {points:,}"
        for (currency, bucket), points in sorted(totals.points.items())
        if points and bucket != "issuance"
    ]
    lines += [
        f"  tier {level or 'none'}: {count:,} members"
        for level, count in sorted(totals.levels.items())
    ]
    lines += [f"  {totals.orders:,} orders that may come back"]
    lines += [
        f"  deferred, {funding}: {decimal_text(amount, money)} {money}"
        for (money, funding), amount in sorted(totals.paid.items())
    ]
    return "\n".join(lines)


def _as_json(totals: Totals) -> str:
    points: dict[str, dict[str, int]] = {}
    for (currency, bucket), amount in sorted(totals.points.items()):
        if bucket == "issuance":
            continue
        points.setdefault(currency, {})[bucket] = amount
    return json.dumps(
        {
            "new": totals.new,
            "before": totals.before,
            "points": points,
            "tiers": dict(sorted(totals.levels.items())),
            "orders": totals.orders,
            "deferred": [
                {"money": money, "funding": funding, "amount": decimal_text(amount, money)}
                for (money, funding), amount in sorted(totals.paid.items())
            ],
        }
    )
