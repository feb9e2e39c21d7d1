"""Publishing: every account learns of new moments before the version that adds them holds."""

from __future__ import annotations

from typing import Any

import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.application.online import PublishedVersion
from services.loyalty.application.publishing import AHEAD, HoldsTooSoon, publish
from services.loyalty.domain.calendar import MINUTE, Instant
from services.loyalty.domain.document import parse_program

FIRST = """
program: mugs
holds_from: "2011-01-01T00:00"
timezone: Europe/London
currencies: {points: {}}
earn:
  base: {event: purchase, give: {points: 1 per 1.00 GBP}}
"""
SECOND = FIRST.replace("2011-01-01", "2011-02-01") + "gifts: {anniversary: {give: [5 points]}}\n"
HOLDS: Instant = parse_program(SECOND, 2).holds_from


class Register:
    """A session that notes in which order a publication does what, and how long lowering takes."""

    def __init__(self, clock: FixedClock, lowering: Instant = 0) -> None:
        self.done: list[str] = []
        self._clock = clock
        self._lowering = lowering

    async def load_newest(self) -> PublishedVersion:
        start = parse_program(FIRST, 1).holds_from
        return PublishedVersion(1, start, start - AHEAD, "ann", "", FIRST)

    async def insert_version(self, version: PublishedVersion) -> bool:
        self.done.append(f"insert {version.version}")
        return True

    async def lower_due(self, until: Instant) -> None:
        assert until == HOLDS
        self.done.append("lower")
        self._clock.at += self._lowering


async def _publish(document: str, now: Instant, **more: Any) -> Register:
    clock = FixedClock(now)
    register = Register(clock, **more)
    await publish(register, clock, document, by="ann")  # type: ignore[arg-type]  # all it needs
    return register


async def test_accounts_are_due_before_the_version_is_there_and_once_more_after() -> None:
    register = await _publish(SECOND, HOLDS - 5 * MINUTE)
    assert register.done == ["lower", "insert 2", "lower"]


async def test_a_version_that_adds_no_moment_leaves_all_accounts_alone() -> None:
    register = await _publish(FIRST.replace("2011-01-01", "2011-02-01"), HOLDS - 5 * MINUTE)
    assert register.done == ["insert 2"]


async def test_nothing_is_published_where_the_accounts_could_not_be_told_in_time() -> None:
    with pytest.raises(HoldsTooSoon):
        await _publish(SECOND, HOLDS - 5 * MINUTE, lowering=4 * MINUTE + 1)
