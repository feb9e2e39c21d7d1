"""Points given a longer life by hand from the command line."""

from __future__ import annotations

from argparse import Namespace
from uuid import uuid4

from services.commands.adjust import record_by_hand, settled
from services.commands.instants import read_instant
from services.loyalty.domain.activity import Extended, Reinstated
from services.loyalty.domain.calendar import rfc3339
from services.settings import Settings


async def extend(settings: Settings, options: Namespace) -> None:
    """Lets points expire later; the same ``--id`` never counts twice."""
    by = read_instant(options.expiring_by) if options.expiring_by else 0
    until = read_instant(options.until)
    await _give(
        settings, options, Extended(options.currency, until, options.reason, options.by, by)
    )


async def reinstate(settings: Settings, options: Namespace) -> None:
    """Lets expired points live again; the same ``--id`` never counts twice."""
    since = read_instant(options.expired_from) if options.expired_from else 0
    until, points = read_instant(options.until), options.points or 0
    body = Reinstated(options.currency, until, options.reason, options.by, points, since)
    await _give(settings, options, body)


async def _give(settings: Settings, options: Namespace, body: Extended | Reinstated) -> None:
    name = options.id or str(uuid4())
    outcome = await record_by_hand(settings, options.member, body, name)
    if settled(outcome, name):
        lives = f"{body.currency} live until {rfc3339(body.until)}"
        print(f"member {options.member}, seq {outcome.seq}: {lives}, recorded as {name}")
