"""What happened, decided again: replay and a draft over history, and what a budget costs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from services.bench.measure import BenchFailed
from services.loyalty.db.drafting import run_draft
from services.loyalty.db.replay import replay
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

    @property
    def budgeted(self) -> tuple[str, str]:
        """The programme with a budget from which every purchase takes, and with the same rule
        without one.
        """
        free = {key: value for key, value in _BUDGET.items() if key != "budget"}
        since = self.begins_at - DAY // 2
        return with_rule(self.document, _BUDGET, since), with_rule(self.document, free, since)

    async def replayed(self, url: str, processes: int) -> float:
        """Activities per second of `loyalty replay`, from when all its processes are at work.

        Raises:
            BenchFailed: the books are not what their journal makes.
        """
        watch = _Watch()
        done = await replay(url, processes=processes, progress=watch)
        if not done.identical:
            raise BenchFailed(f"the journal makes other books: {done.first}")
        return watch.per_second

    async def drafted(self, url: str, processes: int) -> float:
        """The same of `loyalty program diff` with a draft that gives more: each activity is decided
        twice.
        """
        watch = _Watch()
        draft = self.budgeted[1]
        await run_draft(url, draft, self.begins_at, processes=processes, progress=watch)
        return watch.per_second


class _Watch:
    """Notes how far it is, and when."""

    def __init__(self) -> None:
        self._told: list[tuple[float, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self._told.append((time.perf_counter(), done))

    @property
    def per_second(self) -> float:
        """Activities per second between the first time that anything was done and the last."""
        (since, first), (until, last) = self._told[0], self._told[-1]
        return (last - first) / (until - since)
