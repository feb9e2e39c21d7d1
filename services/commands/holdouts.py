"""`loyalty program holdout`: what a rule brings, by those whom it leaves out."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from services.commands import wiring
from services.commands.opened import opened
from services.commands.replay import bar
from services.failures import Refusal
from services.loyalty.application.programs import Programs
from services.loyalty.db.connect import NO_HURRY
from services.loyalty.db.holdouts import compare
from services.loyalty.domain.calendar import Instant, midnight, rfc3339
from services.loyalty.domain.holdout_report import Comparison, Trial, trial_of
from services.loyalty.domain.money import decimal_text
from services.settings import Settings, SettingsRefused


async def holdout(settings: Settings, options: Namespace) -> None:
    """Prints both groups side by side, or as one JSON object."""
    async with opened(settings, purpose="holdout", limits=NO_HURRY) as (session, programs):
        now = await wiring.clock(settings).now(session)
        trial = _trial(programs, options, now)
        with bar("rows") as shown:
            task = shown.add_task("Comparing", total=None)
            made = Comparison(trial)
            await compare(
                session.connection, made, progress=lambda read: shown.update(task, completed=read)
            )
    if options.json:
        print(json.dumps(made.told()))
    else:
        _show(made)


def _trial(programs: Programs, options: Namespace, now: Instant) -> Trial:
    zone = programs.at(now).zone
    trial = trial_of(
        programs,
        options.rule,
        now=now,
        since=_midnight(options.since, zone),
        until=_midnight(options.until, zone, later=1),
    )
    if trial is None:
        raise Refusal(f"no version has a rule, boost or card {options.rule!r} with a holdout")
    return trial


def _midnight(text: str | None, zone: ZoneInfo, *, later: int = 0) -> Instant:
    if not text:
        return 0
    try:
        return midnight(date.fromisoformat(text) + timedelta(days=later), zone)
    except ValueError as error:
        raise SettingsRefused(f"{text!r} is not a date: write it like 2011-03-01") from error


def _show(made: Comparison) -> None:
    trial, groups = made.trial, (made.treated, made.held_out)
    print(
        f"{trial.rule}, {trial.percent} held out, {rfc3339(trial.since)} to {rfc3339(trial.until)}"
    )
    table = Table(box=None)
    for title in ("", "with the rule", "held out"):
        table.add_column(title, justify="left" if not title else "right")
    for name in ("members", "buyers", "orders", "reached"):
        table.add_row(name, *(f"{getattr(group, name):,}" for group in groups))
    for money in made.monies:
        for name, amounts in (
            (f"spend, {money}", [group.spend[money] for group in groups]),
            (f"a member, {money}", [group.per_member(money) for group in groups]),
        ):
            table.add_row(name, *(decimal_text(amount, money) for amount in amounts))
    for currency in sorted({*made.treated.points, *made.held_out.points}):
        table.add_row(currency, *(f"{group.points[currency]:,}" for group in groups))
    Console().print(table)
