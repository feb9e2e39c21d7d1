"""A level given by hand from the command line."""

from __future__ import annotations

from argparse import Namespace
from uuid import uuid4

from services.commands.adjust import record_by_hand, settled
from services.commands.instants import read_instant
from services.loyalty.domain.activity import TierGiven
from services.loyalty.domain.calendar import rfc3339
from services.settings import Settings


async def give(settings: Settings, options: Namespace) -> None:
    """Records the level and says what came of it; the same ``--id`` never counts twice."""
    name = options.id or str(uuid4())
    until = read_instant(options.until) if options.until else 0
    body = TierGiven(options.level or "", until, options.reason, options.by)
    outcome = await record_by_hand(settings, options.member, body, name)
    if settled(outcome, name):
        ends = f" until {rfc3339(until)}" if until else ""
        given = f"{options.level}{ends}" if options.level else "no level by hand any more"
        print(f"member {options.member}, seq {outcome.seq}: {given}, recorded as {name}")
