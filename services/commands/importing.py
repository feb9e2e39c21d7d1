"""Members from another system: checked whole, shown in totals, then taken like events."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from services.commands import wiring
from services.commands.opened import opened
from services.commands.replay import bar
from services.failures import REFUSED, USAGE, Refusal
from services.loyalty.application.batch import Outcome
from services.loyalty.application.collector import spare_the_collector
from services.loyalty.application.importing import (
    NOT_TAKEN,
    Progress,
    Totals,
    check_all,
    take_all,
)
from services.loyalty.application.opening_files import OpeningFiles
from services.loyalty.application.opening_rows import Comer
from services.loyalty.domain.money import decimal_text
from services.settings import Settings

_TOLD = 20
"""So many refused members are told one by one; the rest is counted."""


async def import_members(settings: Settings, options: Namespace) -> int:
    """Prints every row that cannot be taken; takes all members where there is none."""
    folder = _folder(options.folder)
    clock = wiring.clock(settings)
    spare_the_collector()
    async with opened(settings, purpose="import") as (session, programs):
        files = OpeningFiles(folder, programs.at(await clock.now(session)))
        with _progress("Checking") as shown:
            totals = await check_all(session, programs, clock, files, tell=print, progress=shown)
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
        with _progress("Taking") as shown:
            taken = await take_all(
                session, programs, clock, files, refused=_Teller(), progress=shown
            )
    return _tell(folder, totals, taken, as_json=options.json)


@contextmanager
def _progress(what: str) -> Iterator[Progress]:
    with bar("members") as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


class _Teller:
    """Tells of members who were refused after all: of the first of them."""

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, comer: Comer, outcome: Outcome) -> None:
        self._told += 1
        if self._told <= _TOLD:
            why = f"{outcome.reason} {json.dumps(outcome.details)}"
            print(f"member {comer.member}: refused: {why}", file=sys.stderr)


def _folder(name: str) -> Path:
    folder = Path(name)
    if not folder.is_dir():
        raise Refusal(f"{folder}: not a folder")
    return folder


def _tell(folder: Path, totals: Totals, taken: Counter[str], *, as_json: bool) -> int:
    refused = sum(taken[each] for each in NOT_TAKEN)
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
