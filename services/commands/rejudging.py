"""`loyalty program rejudge`: who would rise and fall if a draft began to hold."""

from __future__ import annotations

import csv
import json
from argparse import Namespace
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from services.commands import wiring
from services.commands.program import read_file, report_mistakes
from services.commands.replay import bar
from services.failures import Refusal
from services.loyalty.application.dry_run import Moved, counts, draft_after, moved, rises
from services.loyalty.application.programs import NoProgram, Programs
from services.loyalty.db.connect import connected
from services.loyalty.db.migrate import require_schema
from services.loyalty.db.session import PgSession
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.domain.mistakes import ProgramMistakes
from services.loyalty.domain.program import Program
from services.settings import Settings

_CHUNK = 500


async def rejudge(settings: Settings, options: Namespace) -> int:
    """Prints how many members would rise and fall, and writes who; changes nothing."""
    text = read_file(options.file)
    found: list[Moved] = []
    members = 0
    async with connected(wiring.database_url(settings), purpose="draft") as connection:
        await require_schema(connection)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            session = PgSession(connection)
            now = await wiring.clock(settings).now(session)
            try:
                programs = await draft_after(session, text, now, plan=options.plan or "")
            except ProgramMistakes as mistakes:
                return report_mistakes(options.file, mistakes)
            except NoProgram as error:
                raise Refusal(str(error)) from error
            total = await connection.fetchval("SELECT count(*) FROM account")
            with bar() as shown:
                task = shown.add_task("Judging anew", total=total)
                async for looked_at, changed in _changed(session, programs):
                    members += looked_at
                    found += changed
                    shown.update(task, completed=members)
    *_, draft = programs
    if options.csv:
        _write(options.csv, found)
    if options.json:
        print(json.dumps(_as_json(draft, members, found)))
    else:
        _show(draft, members, found, Console())
    return 0


async def _changed(
    session: PgSession, programs: Programs
) -> AsyncIterator[tuple[int, list[Moved]]]:
    """All members, some at a time: how many were looked at, and whose level would change."""
    last = ""
    while members := await session.load_members(last, _CHUNK):
        last = members[-1]
        accounts = await session.load_accounts(members)
        yield len(members), await moved(session, programs, accounts)


def _as_json(draft: Program, members: int, found: list[Moved]) -> dict[str, Any]:
    rising = [one for one in found if rises(draft, one)]
    return {
        "holds_from": rfc3339(draft.holds_from),
        "plan": draft.tiers.on_change if draft.tiers else None,
        "members": members,
        "rise": len(rising),
        "fall": len(found) - len(rising),
        "changes": [
            {"from": level, "to": new, "members": count} for level, new, count in counts(found)
        ],
        "who": [{"member_id": one.member, "from": one.level, "to": one.new_level} for one in found],
    }


def _show(draft: Program, members: int, found: list[Moved], console: Console) -> None:
    plan = draft.tiers.on_change if draft.tiers else "no tiers"
    console.print(f"From {rfc3339(draft.holds_from)} ({plan}), of {members:,} members:")
    table = Table("from", "to", "", "members")
    for level, new, count in counts(found):
        way = "rise" if rises(draft, Moved("", level, new)) else "fall"
        table.add_row(level or "none", new, way, f"{count:,}")
    if found:
        console.print(table)
    else:
        console.print("Nobody would rise or fall.")


def _write(file: str, found: list[Moved]) -> None:
    try:
        with Path(file).open("w", encoding="utf-8", newline="") as opened:
            writer = csv.writer(opened)
            writer.writerow(("member_id", "from", "to"))
            writer.writerows(found)
    except OSError as error:
        raise Refusal(f"{file}: {error.strerror}") from error
