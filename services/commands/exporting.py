"""Members written to the files of an import."""

from __future__ import annotations

import csv
import json
import os
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from services.commands import wiring
from services.commands.opened import opened
from services.commands.replay import bar
from services.failures import Refusal
from services.loyalty.application.books import Asked
from services.loyalty.application.exporting import Deferred, Export
from services.loyalty.application.opening_columns import FILES
from services.loyalty.db import closes
from services.loyalty.db.connect import NO_HURRY
from services.loyalty.db.exporting import leavers
from services.settings import Settings


async def export(settings: Settings, options: Namespace) -> None:
    """Writes all members who can be taken in elsewhere, and says what is left out."""
    async with opened(settings, purpose="export", limits=NO_HURRY) as (session, programs):
        connection = session.connection
        async with connection.transaction(isolation="repeatable_read"):
            now = await wiring.clock(settings).now(session)
            report = await closes.report(connection, Asked("", 0, now + 1), now=now)
            made = Export(programs.at(now), now, Deferred(report))
            total = await connection.fetchval("SELECT count(*) FROM account")
            with _Folder(options.folder) as folder, bar("members") as shown:
                task = shown.add_task("Exporting", total=total)
                async for some in leavers(session, programs, now, made.left_out):
                    for leaver in some:
                        for file, rows in made.rows(leaver).items():
                            folder.write(file, rows)
                    shown.update(task, advance=len(some))
    print(_as_json(made) if options.json else _in_words(options.folder, made))


class _Folder:
    """The files being written, for nobody's eyes but their owner's: they hold dates of birth."""

    def __init__(self, name: str) -> None:
        self._path = Path(name)
        self._stack = ExitStack()
        self._writers: dict[str, Any] = {}

    def __enter__(self) -> _Folder:
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(self._path.iterdir()):
                raise Refusal(f"{self._path}: the folder is not empty")
            for file, columns in FILES.items():
                path = self._path / f"{file}.csv"
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                text = self._stack.enter_context(open(handle, "w", encoding="utf-8", newline=""))
                self._writers[file] = csv.writer(text, lineterminator="\r\n")
                self._writers[file].writerow(columns)
        except OSError as error:
            raise Refusal(f"{self._path}: {error.strerror}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, file: str, rows: list[list[str]]) -> None:
        """Adds rows to a file."""
        self._writers[file].writerows(rows)


def _in_words(folder: str, made: Export) -> str:
    lines = [f"{folder}: {made.members:,} members"]
    lines += [
        f"  {currency} {bucket}: {points:,}"
        for (currency, bucket), points in sorted(made.points.items())
        if points
    ]
    lines += [
        f"  left out: {count:,} {what}" for what, count in sorted(made.left_out.items()) if count
    ]
    return "\n".join(lines)


def _as_json(made: Export) -> str:
    points: dict[str, dict[str, int]] = {}
    for (currency, bucket), amount in sorted(made.points.items()):
        points.setdefault(currency, {})[bucket] = amount
    left_out = {what: count for what, count in sorted(made.left_out.items()) if count}
    return json.dumps({"members": made.members, "points": points, "left_out": left_out})
