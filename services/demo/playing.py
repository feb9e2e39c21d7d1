"""Plays happenings on the stage, one simulated day after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from services.demo.retail import SHOP_ZONE
from services.demo.stage import Stage
from services.demo.storefront import Storefront
from services.demo.timeline import Happening, Post
from services.loyalty.db.connect import connected
from services.loyalty.domain.calendar import Instant, local_date, midnight


@dataclass(frozen=True, slots=True)
class Played:
    """How long it took, and from which local date to which."""

    seconds: float
    from_date: str
    to_date: str


async def play(
    stage: Stage, storefront: Storefront, happenings: Sequence[Happening], console: Console
) -> Played:
    """Plays everything, and returns once it was recorded, decided and published.

    A day ends at local midnight. The clock goes there first, so that what occurred that day is
    recorded then; after the last of it the members' wishes are sent, and what is due is decided.
    """
    began = time.monotonic()
    done = 0
    url = stage.deployment.settings.database_url
    with _progress(console) as progress:
        bar = progress.add_task("", total=len(happenings), date="", rate=0)
        async with connected(url, purpose="demo schedule") as connection:
            for ends_at, of_day in _days(happenings):
                await stage.set_clock(ends_at)
                await _play_day(stage, storefront, of_day)
                await stage.tick(connection)
                done += len(of_day)
                rate = done / (time.monotonic() - began)
                date = local_date(ends_at - 1, SHOP_ZONE).strftime("%d %b %Y")
                progress.update(bar, completed=done, date=date, rate=rate)
        await stage.published()
    first, last = (local_date(happenings[end].at, SHOP_ZONE).isoformat() for end in (0, -1))
    return Played(time.monotonic() - began, first, last)


async def _play_day(stage: Stage, storefront: Storefront, of_day: Sequence[Happening]) -> None:
    posts = [each for each in of_day if isinstance(each, Post)]
    wishes = [each for each in of_day if not isinstance(each, Post)]
    await stage.recorded(await stage.send(posts))
    await storefront.fulfil(wishes)


def _days(happenings: Sequence[Happening]) -> Iterator[tuple[Instant, list[Happening]]]:
    """Each day from the first to the last: the local midnight that ends it, and what it brought."""
    start = 0
    day = local_date(happenings[0].at, SHOP_ZONE)
    while start < len(happenings):
        day += timedelta(days=1)
        ends_at, end = midnight(day, SHOP_ZONE), start
        while end < len(happenings) and happenings[end].at < ends_at:
            end += 1
        yield ends_at, list(happenings[start:end])
        start = end


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("[bold]{task.fields[date]:>11}"),
        BarColumn(bar_width=None),
        TaskProgressColumn(),
        TextColumn("{task.fields[rate]:>7,.0f} events/s"),
        TimeElapsedColumn(),
        console=console,
    )
