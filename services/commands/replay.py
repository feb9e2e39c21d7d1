"""Replaying the journal from the command line."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from services.commands import wiring
from services.failures import BOOKS, Refusal
from services.loyalty.application.collector import spare_the_collector
from services.loyalty.db.connect import connected
from services.loyalty.db.migrate import require_schema
from services.loyalty.db.replay import replay as replay_journal
from services.loyalty.db.replayed import NOT_COMPARED, Replayed
from services.settings import Settings, SettingsRefused


async def replay(settings: Settings, options: Namespace) -> int:
    """Prints what was compared and what differs; answers the exit code of books that do."""
    processes = options.processes or os.cpu_count() or 1
    if processes < 0:
        raise SettingsRefused("--processes must be 1 or more")
    url = wiring.database_url(settings)
    async with connected(url, purpose="replay") as connection:
        await require_schema(connection)
    spare_the_collector()
    since = perf_counter()
    with bar() as shown:
        task = shown.add_task("Replaying", total=None)
        replayed = await replay_journal(
            url,
            member=options.member,
            processes=processes,
            progress=lambda done, total: shown.update(task, completed=done, total=total),
        )
    if options.member and not replayed.members and replayed.identical:
        raise Refusal(f"nothing ever happened to a member {options.member}")
    took_s = perf_counter() - since
    print(_as_json(replayed, took_s) if options.json else _in_words(replayed, took_s))
    if replayed.identical:
        return 0
    print(f"loyalty: the journal makes other books: {replayed.first}", file=sys.stderr)
    return BOOKS.code


def bar(unit: str = "activities") -> Progress:
    """A progress bar, where somebody watches."""
    screen = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(f"{{task.completed:,.0f}} {unit}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)


def _in_words(replayed: Replayed, took_s: float) -> str:
    lines = [
        f"{replayed.members:,} members, {replayed.activities:,} activities decided again in"
        f" {took_s:,.1f} s, {replayed.activities / took_s:,.0f} a second",
        *(f"  {table}: {count:,} rows compared" for table, count in replayed.compared.items()),
        f"Not compared: {replayed.relayed:,} {NOT_COMPARED[0]};",
        *(f"  {each};" for each in NOT_COMPARED[1:]),
        *(f"DIFFERS  {difference}" for difference in replayed.wrong),
    ]
    same = "Every row is byte for byte what the journal makes."
    lines.append(same if replayed.identical else "The books are NOT what the journal makes.")
    return "\n".join(lines)


def _as_json(replayed: Replayed, took_s: float) -> str:
    return json.dumps(
        {
            "identical": replayed.identical,
            "members": replayed.members,
            "activities": replayed.activities,
            "seconds": round(took_s, 3),
            "compared": replayed.compared,
            "events_published_before": replayed.relayed,
            "differences": [str(difference) for difference in replayed.wrong],
            "not_compared": NOT_COMPARED,
        }
    )
