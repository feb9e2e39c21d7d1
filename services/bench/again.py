"""What happened, decided again: replay and a draft over history, and what a budget costs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from services.bench.measure import BenchFailed
from services.loyalty.domain.calendar import DAY, Instant, to_datetime

_BUDGET = {"event": "purchase", "give": {"points": "5"}, "budget": "1000000000000 points"}


def with_rule(document: str, rule: Mapping[str, Any], holds_from: Instant) -> str:
    """The programme, as of an instant, with one more rule for purchases, which fires on each."""
    tree: dict[str, Any] = yaml.load(document, Loader=yaml.BaseLoader)  # noqa: S506  ours, and as text
    tree["holds_from"] = f"{to_datetime(holds_from):%Y-%m-%dT12:00}"
    tree["earn"]["on-every-event"] = dict(rule)
    return json.dumps(tree)


@dataclass(frozen=True)
class Again:
    """A programme and its history, which begins at an instant, to be decided again."""

    document: str
    begins_at: Instant
    environment: Mapping[str, str]

    @property
    def budgeted(self) -> tuple[str, str]:
        """The programme with a budget from which every purchase takes, and with the same rule
        without one.
        """
        free = {key: value for key, value in _BUDGET.items() if key != "budget"}
        since = self.begins_at - DAY // 2
        return with_rule(self.document, _BUDGET, since), with_rule(self.document, free, since)

    async def replayed(self, url: str, processes: int) -> float:
        """Activities per second of `loyalty replay`, from its beginning to its end.

        Raises:
            BenchFailed: the books are not what their journal makes, or it ended otherwise.
        """
        return await self._run(url, "replay", "--processes", f"{processes}")

    async def drafted(self, url: str, processes: int) -> float:
        """Activities per second of `loyalty program diff` with a draft that gives more, each
        decided twice.
        """
        with TemporaryDirectory() as directory:
            draft = Path(directory, "draft.json")
            await asyncio.to_thread(draft.write_text, self.budgeted[1], "utf-8")
            since = f"{to_datetime(self.begins_at):%Y-%m-%d}"
            what = ("program", "diff", str(draft), "--since", since, "--processes", f"{processes}")
            return await self._run(url, *what)

    async def _run(self, url: str, *what: str) -> float:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli", *what, "--json"),
            env={**self.environment, "LOYALTY_DATABASE_URL": url},
            stdout=asyncio.subprocess.PIPE,
        )
        told, _ = await process.communicate()
        if process.returncode:
            raise BenchFailed(f"loyalty {what[0]} ended with {process.returncode}; see above")
        found = json.loads(told.splitlines()[-1])
        return float(found["activities"] / found["seconds"])
