"""`loyalty program diff`: a draft run over history that happened."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from datetime import date
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.table import Table

from services.commands import wiring
from services.commands.program import read_file, report_mistakes
from services.commands.replay import bar
from services.failures import Refusal
from services.loyalty.application.collector import spare_the_collector
from services.loyalty.application.drafting import Course, Difference
from services.loyalty.application.programs import NoProgram
from services.loyalty.db.connect import connected
from services.loyalty.db.drafting import Verdicts, run_draft
from services.loyalty.db.migrate import require_schema
from services.loyalty.domain.calendar import Instant, midnight
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.mistakes import ProgramMistakes
from services.loyalty.domain.money import decimal_text
from services.loyalty.domain.program import Program
from services.settings import Settings, SettingsRefused


async def diff(settings: Settings, options: Namespace) -> int:
    """Prints what would have differed, as tables or as one JSON object; changes nothing."""
    processes = options.processes or os.cpu_count() or 1
    if processes < 0:
        raise SettingsRefused("--processes must be 1 or more")
    url, text = wiring.database_url(settings), read_file(options.file)
    async with connected(url, purpose="draft") as connection:
        await require_schema(connection)
    spare_the_collector()
    begun = perf_counter()
    try:
        since = _since(options.since, parse_program(text, 1))
        with bar() as shown:
            task = shown.add_task("Deciding again", total=None)
            verdicts = await run_draft(
                url,
                text,
                since,
                processes=processes,
                progress=lambda done, total: shown.update(task, completed=done, total=total),
            )
    except ProgramMistakes as mistakes:
        return report_mistakes(options.file, mistakes)
    except NoProgram as error:
        raise Refusal(str(error)) from error
    took_s = perf_counter() - begun
    if options.json:
        print(json.dumps(as_json(verdicts, options.since, took_s)))
    else:
        show(verdicts, options.since, took_s, Console())
    return 0


def _since(text: str, draft: Program) -> Instant:
    try:
        return midnight(date.fromisoformat(text), draft.zone)
    except ValueError as error:
        raise SettingsRefused(f"--since: {text!r} is not a date like 2011-03-01") from error


def as_json(verdicts: Verdicts, since: str, took_s: float) -> dict[str, Any]:
    """All that was found, with numbers of points as they are."""
    found = verdicts.difference
    return {
        "since": since,
        "members": found.members,
        "activities": found.activities,
        "activities_since": found.since,
        "seconds": round(took_s, 3),
        "live": _course(found.live, verdicts.published),
        "draft": _course(found.draft, verdicts.draft),
        "levels": [
            {"live": live, "draft": draft, "members": count}
            for (live, draft), count in sorted(found.levels.items())
        ],
        "segments": {
            segment: {"members": members, "live": live, "draft": draft}
            for segment, (members, live, draft) in sorted(found.segments.items())
        },
        "winners": found.winners,
        "losers": found.losers,
        "most_gained": [{"member": member, "points": points} for points, member in found.gains],
        "most_lost": [{"member": member, "points": points} for points, member in found.losses],
        "left_out": [{"member": member, "why": why} for member, why in found.left_out],
    }


def _course(course: Course, program: Program) -> dict[str, Any]:
    return {
        "earned": _nonzero(course.earned),
        "outstanding": _nonzero(course.outstanding),
        "worth": _worths(course, program),
        "arrears": _nonzero(course.arrears),
        "redeemed": _nonzero(course.spent),
        "unfunded": {"requests": course.unfunded, "points": course.short},
    }


def _nonzero(points: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in sorted(points.items()) if count}


def _worths(course: Course, program: Program) -> dict[str, str]:
    """What is outstanding is worth, by currency of points; rounded down to the minor unit."""
    worths = {}
    for name, points in course.outstanding.items():
        terms = program.currencies.get(name)
        if terms is not None and terms.worth is not None:
            minor, per, money = terms.worth
            worths[name] = f"{decimal_text(points * minor // per, money)} {money}"
    return worths


def show(verdicts: Verdicts, since: str, took_s: float, console: Console) -> None:
    """Tables for people: what it was, what the draft would have made of it, and the difference."""
    found = verdicts.difference
    console.print(
        f"{found.since:,} activities of {found.members:,} members since {since} decided twice,"
        f" {found.activities / took_s:,.0f} activities a second. Nothing was changed."
    )
    console.print(_rules(found))
    console.print(_totals(verdicts))
    console.print(_levels(found))
    if found.segments:
        console.print(_segments(found))
    console.print(
        f"{found.winners:,} members would have earned more, {found.losers:,} less."
        f" {found.draft.unfunded - found.live.unfunded:+,} requests for a reward would have lacked"
        f" points ({found.draft.short - found.live.short:+,} points)."
    )
    for title, listed in (("Most gained", found.gains), ("Most lost", found.losses)):
        if listed:
            console.print(f"{title}: {', '.join(f'{who} {points:,}' for points, who in listed)}")
    for member, why in found.left_out:
        console.print(f"LEFT OUT  {member}: {why}")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left")
    return table


def _row(table: Table, name: str, live: int, draft: int) -> None:
    table.add_row(name, f"{live:,}", f"{draft:,}", f"{draft - live:+,}")


def _rules(found: Difference) -> Table:
    table = _table("Earned, less what refunds took back", "rule", "as it was", "draft", "change")
    for name in sorted({*found.live.earned, *found.draft.earned}):
        live, draft = found.live.earned[name], found.draft.earned[name]
        if live or draft:
            _row(table, name, live, draft)
    return table


def _totals(verdicts: Verdicts) -> Table:
    live, draft = verdicts.difference.live, verdicts.difference.draft
    table = _table("At the end", "points", "as it was", "draft", "change")
    for name in sorted({*live.outstanding, *draft.outstanding}):
        _row(table, f"{name} outstanding", live.outstanding[name], draft.outstanding[name])
    for name in sorted({*live.arrears, *draft.arrears}):
        _row(table, f"{name} in arrears", live.arrears[name], draft.arrears[name])
    for name in sorted({*live.spent, *draft.spent}):
        _row(table, f"{name} redeemed", live.spent[name], draft.spent[name])
    before, after = _worths(live, verdicts.published), _worths(draft, verdicts.draft)
    for name in sorted({*before, *after}):
        table.add_row(f"{name} are worth", before.get(name, ""), after.get(name, ""), "")
    return table


def _levels(found: Difference) -> Table:
    table = _table("Tiers at the end", "as it was", "draft", "members")
    for (live, draft), count in sorted(found.levels.items()):
        table.add_row(live or "none", draft or "none", f"{count:,}")
    return table


def _segments(found: Difference) -> Table:
    table = _table("By segment", "segment", "members", "as it was", "draft", "change")
    for segment, (members, live, draft) in sorted(found.segments.items()):
        table.add_row(segment, f"{members:,}", f"{live:,}", f"{draft:,}", f"{draft - live:+,}")
    return table
