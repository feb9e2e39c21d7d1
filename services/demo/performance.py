"""The demonstration from curtain to curtain."""

from __future__ import annotations

import asyncio
import logging
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from heapq import merge
from pathlib import Path

import msgspec
from rich.console import Console

import services.demo.data
from services.commands.running import stop_on_signals
from services.commands.wiring import start_logging
from services.demo.acts import forge_an_entry, kill_a_worker
from services.demo.backoffice import read_the_books, run_a_draft, show_backoffice
from services.demo.biography import read_a_life, show_a_life
from services.demo.comers import bring_along, comers
from services.demo.orders import Sale, Tally, read_sales
from services.demo.playing import play
from services.demo.retail import SHOP_ZONE
from services.demo.script import acts
from services.demo.show import show, show_acts, show_service
from services.demo.stage import Stage, staged
from services.demo.storefront import Storefront
from services.demo.summary import Summary, read_books
from services.demo.timeline import Happening, happenings, rubbish
from services.failures import BOOKS
from services.loyalty.db.verify import verify
from services.loyalty.domain.calendar import local_date, midnight
from services.loyalty.domain.program import Program
from services.settings import Settings

BUNDLED = Path(services.demo.data.__file__).parent / "online-retail-slice.csv.gz"


async def perform(settings: Settings, options: Namespace) -> int:
    """Plays the sales of a file, shows what came of them and serves; answers the exit code.

    Raises:
        BadFileError: the file is not one of invoice lines.
        CancelledError: it was interrupted before it served.
    """
    start_logging(settings)
    if settings.log_level == "INFO":  # which would tell of every batch and every piece of rubbish
        logging.getLogger().setLevel(logging.ERROR)
    console = Console(stderr=options.json, highlight=False)
    async with stop_on_signals() as stop:
        serving = asyncio.Event()
        performing = asyncio.create_task(_perform(settings, options, console, serving, stop))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({performing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not performing.done() and not serving.is_set():
            performing.cancel()
        return await performing


async def _perform(
    settings: Settings,
    options: Namespace,
    console: Console,
    serving: asyncio.Event,
    stop: asyncio.Event,
) -> int:
    began = time.monotonic()
    path = Path(options.data) if options.data else BUNDLED
    console.print(f"Reading {path.name}, starting PostgreSQL and a broker …", style="dim")
    sales, tally = read_sales(path)
    port = 0 if options.once else settings.http_port
    async with staged(settings, sales[0].at, port=port) as stage:
        summary = await _played(stage, sales, tally, console)
        show(console, summary)
        drafted = await run_a_draft(stage, summary.played_from, summary.played_to)
        books = await read_the_books(stage)
        summary.backoffice = {"draft": drafted.plain(), "rollforward": books.plain()}
        show_backoffice(console, drafted, books)
        life = await read_a_life(stage)
        summary.story = life.plain()
        show_a_life(console, life)
        killed = await kill_a_worker(stage)
        forged = await forge_an_entry(stage)
        summary.acts = {
            "killed": asdict(killed) | {"passed": killed.passed},
            "forged": asdict(forged) | {"passed": forged.passed},
        }
        summary.total_s = round(time.monotonic() - began, 1)
        show_acts(console, killed, forged, summary.total_s)
        if options.json:
            print(msgspec.json.encode(summary.plain()).decode(), flush=True)
        if not options.once and not stop.is_set():
            serving.set()
            await show_service(console, stage)
            await stop.wait()
    proved = summary.verified["sound"] and summary.came.good and books.foots
    good = proved and killed.passed and forged.passed
    return 0 if good else BOOKS.code


async def _played(stage: Stage, sales: Sequence[Sale], tally: Tally, console: Console) -> Summary:
    host, port = stage.listening.getsockname()[:2]
    storefront = Storefront(host, port, stage.key)
    members, first = comers(sales), midnight(local_date(sales[0].at, SHOP_ZONE), SHOP_ZONE)
    await stage.set_clock(first)
    came = await bring_along(stage, members, first)
    plot = _plot(sales, stage.program, members)
    played = await play(stage, storefront, plot, console)
    verdict = await verify(stage.owner)
    books = await read_books(stage.owner, stage.program)
    audience = stage.audience
    return Summary(
        books=books,
        source=asdict(tally),
        messages_sent=stage.sent,
        wishes=dict(storefront.answers.most_common()),
        events_published=dict(audience.heard.most_common()),
        published_twice_or_out_of_order=audience.twice_or_out_of_order,
        came=came,
        played_from=played.from_date,
        played_to=played.to_date,
        play_s=round(played.seconds, 2),
        messages_per_s=round(stage.sent / played.seconds),
        activities_per_s=round(books.journal_rows / played.seconds),
        verified={
            "sound": verdict.sound,
            "first_wrong": str(verdict.first) if verdict.first else None,
            "members": verdict.members,
            "journal_rows": verdict.journal_rows,
            "ledger_rows": verdict.ledger_rows,
            "balances": verdict.balances,
            "not_checked": verdict.not_checked,
        },
    )


def _plot(sales: Sequence[Sale], program: Program, came: Sequence[str]) -> list[Happening]:
    """Everything that happens, in order: real sales, what is made up around them, some rubbish."""
    rewards = sorted(name for name, reward in program.rewards.items() if reward.cost)
    told = happenings(sales, acts(sales, rewards, frozenset(came)))
    last = sales[-1].at
    bad = [post for post in rubbish(sales[0].at) if post.at <= last]
    return list(merge(told, bad, key=lambda each: each.at))
