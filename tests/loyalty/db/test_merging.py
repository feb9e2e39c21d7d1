"""Merges on PostgreSQL: proved after each step, replayed to the byte, and told to finance once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import asyncpg
import pytest

from services.loyalty.application.clock import FixedClock
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import catch_up_due, record_batch
from services.loyalty.db.drafting import run_draft
from services.loyalty.db.exporting import leavers
from services.loyalty.db.replay import replay
from services.loyalty.db.session import PgSession
from services.loyalty.db.verify import Verdict, verify
from services.loyalty.domain.activity import (
    AnyBody,
    Cancelled,
    Enrolled,
    Line,
    MergeRequested,
    Purchased,
    Refunded,
)
from services.loyalty.domain.bookreport import Report
from services.loyalty.domain.calendar import DAY, Instant, from_datetime
from tests.loyalty.arriving import arrive
from tests.loyalty.db.half_a_year import DOCUMENT, MEMBERS, START, message
from tests.loyalty.db.test_closes import Life, day
from tests.postgres import Database


class Shop:
    """Members whose derived activities arrive when the test lets them."""

    def __init__(self, session: PgSession, at: Instant, programs: Programs | None = None) -> None:
        self.session, self.programs = session, programs or Programs()
        self.clock = FixedClock(at)
        self._sent = 0

    async def does(self, member: str, body: AnyBody, *, after: int = 0) -> str:
        self._sent += 1
        self.clock.at += after
        sent = message(member, body, self.clock.at, f"x{self._sent}")
        [outcome] = await record_batch(self.session, self.programs, self.clock, [sent])
        return outcome.reason or outcome.status

    async def arrive(self, at_most: int = 10_000, *, again: bool = False) -> int:
        return await arrive(self.session, self.programs, self.clock, at_most, again=again)


def ago(members: Sequence[str]) -> Iterator[tuple[str, str]]:
    return zip(members[::2], members[1::2], strict=False)


async def sound(connection: asyncpg.Connection) -> Verdict:
    verdict = await verify(connection)
    assert verdict.sound, verdict.first
    return verdict


def held(verdict: Verdict) -> dict[str, int]:
    """Points that are somewhere, by currency, wherever they lie."""
    buckets = ("available", "pending", "held", "expired", "arrears", "transit", "moving")
    return {
        currency: sum(points.get(bucket, 0) for bucket in buckets)
        for currency, points in verdict.balances.items()
    }


@pytest.mark.usefixtures("lives")
async def test_the_books_are_sound_after_every_step_and_follow_from_the_journal(
    session: PgSession, connection: asyncpg.Connection, database: Database
) -> None:
    at = await connection.fetchval("SELECT max(recorded_at) FROM journal")
    shop = Shop(session, from_datetime(at))
    while await shop.arrive():
        pass
    for old, into in ago(MEMBERS):
        await shop.does(old, MergeRequested("", old, into, "duplicate"))
    before = held(await sound(connection))
    seen: set[int] = set()
    while step := await shop.arrive(3, again=True):
        verdict = await sound(connection)
        assert held(verdict) == before
        seen.add(sum(verdict.in_transit.values()))
        assert step
    assert len(seen) > 2
    states = await connection.fetch("SELECT status, count(*) FROM account GROUP BY 1")
    assert dict(states)["merged"] >= 3
    orders = await connection.fetch(
        "SELECT member_id, order_id FROM receipt JOIN account USING (member_id)"
        " WHERE status = 'merged' ORDER BY 1, 2 LIMIT 40"
    )
    for number, (member, order) in enumerate(orders):
        back: AnyBody = Refunded(order, "GBP", [], 150) if number % 3 else Cancelled(order)
        await shop.does(member, back)
    while await shop.arrive(again=True):
        pass
    shop.clock.at += 400 * DAY
    while await catch_up_due(session, shop.programs, shop.clock, until=shop.clock.at):
        pass
    while await shop.arrive():
        pass
    verdict = await sound(connection)
    assert not any(verdict.in_transit.values())
    assert not any(points.get("moving") for points in verdict.balances.values())
    replayed = await replay(database.url)
    assert replayed.identical, replayed.first
    verdicts = await run_draft(database.url, DOCUMENT, START + 30 * DAY)
    difference = verdicts.difference
    assert difference.left_out == []
    assert difference.draft.earned == difference.live.earned
    assert difference.draft.outstanding == difference.live.outstanding


async def test_a_refund_by_the_old_id_takes_the_consideration_back_once(
    session: PgSession, connection: asyncpg.Connection
) -> None:
    life = Life(session)
    await life.opens(holds_from=day("2010-12-02") - DAY)
    shop = Shop(session, START, life.programs)
    for member in ("ada", "bob"):
        await shop.does(member, Enrolled())
    for order in ("o1", "o2"):
        bought = Purchased(order, "GBP", [Line(1, "A", 1, 100_00), Line(2, "B", 1, 50_00)])
        await shop.does("ada", bought, after=DAY)
    await shop.does("ada", Refunded("o1", "GBP", [], 40_00))

    async def told() -> Report:
        life.clock.at = shop.clock.at + DAY
        report = await life.reports(since=START - DAY, until=life.clock.at)
        assert report.proof.foots, report.proof.differences
        return report

    async def allocated() -> dict[str, str]:
        report = await told()
        return {row.issued: row.allocated for row in report.deferred if row.funding == "purchase"}

    before = await allocated()
    await shop.does("ada", MergeRequested("", "ada", "bob", "duplicate"))
    while await shop.arrive(1):
        await told()
    assert await allocated() == before
    async with connection.transaction(isolation="repeatable_read"):
        [[bob]] = [some async for some in leavers(session, shop.programs, shop.clock.at, Counter())]
    assert (bob.member, {each.order for each in bob.receipts}) == ("bob", {"o1", "o2"})
    await shop.does("ada", Refunded("o1", "GBP", [], 30_00))
    await shop.does("ada", Purchased("o2", "GBP", [Line(1, "A", 1, 100_00)]))  # which is known
    while await shop.arrive():
        pass
    await allocated()
    await shop.does("ada", Cancelled("o2"))
    while await shop.arrive():
        pass
    half = await allocated()
    assert before != half
    await shop.does("bob", Cancelled("o1"))
    assert {float(amount) for amount in (await allocated()).values()} == {0.0}
    await sound(connection)
