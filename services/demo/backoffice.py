"""What marketing and finance see after the play: a draft run over its history, and the books."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from time import monotonic
from typing import Any

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from services.demo.retail import SHOP_ZONE
from services.demo.stage import Stage
from services.loyalty.application.books import Asked
from services.loyalty.application.clock import RowClock
from services.loyalty.application.drafting import Difference
from services.loyalty.db.closes import report
from services.loyalty.db.drafting import run_draft
from services.loyalty.db.session import PgSession
from services.loyalty.domain.calendar import midnight

CHANGES = (
    ("give: {points: 75}", "give: {points: 150}"),
    ("gold-bonus: {tier: [gold], points: x2,", "gold-bonus: {tier: [gold], points: x1.5,"),
)
"""What the draft changes: text of the programme, and what stands there instead."""

TOLD = "150 points instead of 75 for the third purchase, and half as much again for gold members"


@dataclass(frozen=True, slots=True)
class Drafted:
    """What a draft would have made of the second half of the play."""

    since: str
    seconds: float
    difference: Difference

    def plain(self) -> dict[str, Any]:
        """The gist of it, for JSON."""
        found = self.difference
        return {
            "since": self.since,
            "seconds": self.seconds,
            "activities": found.since,
            "earned": {"live": _total(found.live.earned), "draft": _total(found.draft.earned)},
            "winners": found.winners,
            "losers": found.losers,
            "left_out": len(found.left_out),
        }


@dataclass(frozen=True, slots=True)
class Books:
    """The roll-forward of the currencies that can be spent, by bucket, and whether it foots."""

    foots: bool
    entries: int
    rolls: dict[str, list[tuple[str, int, dict[str, int], int]]]

    def plain(self) -> dict[str, Any]:
        """The same, for JSON."""
        return {
            "foots": self.foots,
            "entries": self.entries,
            "currencies": {
                currency: {
                    bucket: {"opening": opening, **moved, "closing": closing}
                    for bucket, opening, moved, closing in rolls
                }
                for currency, rolls in self.rolls.items()
            },
        }


async def run_a_draft(stage: Stage, played_from: str, played_to: str) -> Drafted:
    """Runs a draft over the second half of what was played; changes nothing."""
    first, last = date.fromisoformat(played_from), date.fromisoformat(played_to)
    since = first + (last - first) / 2
    text = await stage.owner.fetchval(
        "SELECT document FROM program_version ORDER BY version DESC LIMIT 1"
    )
    for old, new in CHANGES:
        assert old in text, old
        text = text.replace(old, new)
    began = monotonic()
    verdicts = await run_draft(
        stage.deployment.settings.database_url,
        text,
        midnight(since, SHOP_ZONE),
        processes=os.cpu_count() or 1,
    )
    return Drafted(since.isoformat(), round(monotonic() - began, 1), verdicts.difference)


async def read_the_books(stage: Stage) -> Books:
    """The roll-forward from the beginning up to now, as finance reads it."""
    now = await RowClock().now(PgSession(stage.owner))
    made = await report(stage.owner, Asked(until=now + 1), now=now)
    rolls = {
        each.currency: [
            (row.bucket, row.opening, _moved(row.period, row.prior_period), row.closing)
            for row in each.rollforward
        ]
        for each in made.currencies
        if each.spendable
    }
    return Books(made.proof.foots, made.proof.entries, rolls)


def _moved(*parts: Mapping[str, int]) -> dict[str, int]:
    moved: dict[str, int] = {}
    for part in parts:
        for column, points in part.items():
            moved[column] = moved.get(column, 0) + points
    return {column: points for column, points in moved.items() if points}


def show_backoffice(console: Console, drafted: Drafted, books: Books) -> None:
    """Tells both."""
    console.print(Panel(_draft_told(drafted), title="A draft", box=box.ROUNDED))
    for currency, rolls in books.rolls.items():
        console.print(_roll(currency, rolls))
    verdict = "foots" if books.foots else "DOES NOT FOOT"
    style = "bold green" if books.foots else "bold red"
    console.print(
        f"Every row sums to what was issued; it {verdict} to {books.entries:,} ledger entries.",
        style=style,
    )


def _draft_told(drafted: Drafted) -> str:
    found = drafted.difference
    live, draft = _total(found.live.earned), _total(found.draft.earned)
    return (
        f"What if, from {drafted.since} on: {TOLD}? {found.since:,} activities decided twice in"
        f" {drafted.seconds} s:\n"
        f"{draft - live:+,} points earned ({live:,} as it was). {found.winners:,} members would"
        f" have earned more and {found.losers:,} less. Nothing was changed."
    )


def _roll(currency: str, rolls: list[tuple[str, int, dict[str, int], int]]) -> Table:
    """From nothing to now, bucket by bucket. Issuance is what all the others sum to."""
    rolls = [roll for roll in rolls if roll[0] != "issuance"]
    columns = list(dict.fromkeys(column for _, _, moved, _ in rolls for column in moved))
    table = Table(title=f"Roll-forward, {currency}", title_justify="left", box=box.SIMPLE_HEAD)
    table.padding = (0, 1, 0, 0)
    table.add_column("")
    for bucket, *_ in rolls:
        table.add_column(bucket, justify="right")
    for column in columns:
        table.add_row(column, *(_number(moved.get(column, 0)) for _, _, moved, _ in rolls))
    table.add_section()
    table.add_row("closing", *(_number(closing) for *_, closing in rolls))
    return table


def _number(points: int) -> str:
    return f"{points:,}" if points else ""


def _total(earned: Mapping[str, int]) -> int:
    """Points that can be spent; what only counts towards levels is told elsewhere."""
    return sum(points for name, points in earned.items() if name.endswith("/points"))
