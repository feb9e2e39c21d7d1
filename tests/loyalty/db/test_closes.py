"""Reports foot to the ledger between any two cuts, and a closed period never changes."""

from __future__ import annotations

import csv
import io
import json
import random
from collections import defaultdict
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import asyncpg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.loyalty.application.books import Approving, Asked, BooksRefused
from services.loyalty.application.clock import FixedClock
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import catch_up_due, record_batch
from services.loyalty.db import closes, cuts
from services.loyalty.db.session import PgSession
from services.loyalty.db.verify import Verdict, verify
from services.loyalty.domain.activity import (
    AnyBody,
    Cancelled,
    Engaged,
    Enrolled,
    Line,
    Purchased,
    RedemptionCancelled,
    RedemptionRequested,
    Refunded,
    VoucherUsed,
    VoucherVoided,
)
from services.loyalty.domain.bookreport import (
    Breakage,
    Report,
    Table,
    VoucherMoves,
    as_csv,
    encode_report,
)
from services.loyalty.domain.calendar import (
    DAY,
    HOUR,
    Instant,
    from_datetime,
    to_datetime,
    zone,
)
from services.loyalty.domain.deferral import minor
from services.loyalty.domain.movements import OUTSTANDING
from services.loyalty.http import book_examples
from tests.loyalty.db.half_a_year import happenings, message

KEY = Ed25519PrivateKey.from_private_bytes(sha256(b"a key of the tests").digest())
DOCUMENT = (Path(__file__).parents[3] / "contracts/programs/gift-shop.yaml").read_text("utf-8")
START: Instant = 1_291_291_200_000_000  # 2010-12-02T12:00:00Z
LONDON = zone("Europe/London")
TABLES: Sequence[Table] = (
    "rollforward", "liability", "age", "expiry", "breakage", "vouchers", "deferred", "unpriced",
    "journals",
)  # fmt: skip


def day(text: str) -> Instant:
    """The first instant of a day in London (in winter)."""
    return from_datetime(to_datetime(0).fromisoformat(f"{text}T00:00:00+00:00"))


class Life:
    """What happens to the members of one shop, as time goes on."""

    def __init__(self, session: PgSession, seed: int = 17) -> None:
        self.session = session
        self.chance = random.Random(seed)
        self.clock, self.programs = FixedClock(START), Programs()
        self.happens = happenings(self.chance)
        self._sent = 0

    async def opens(self, document: str = DOCUMENT, holds_from: Instant = 0) -> None:
        await self.session.connection.execute(
            "INSERT INTO program_version (version, holds_from, published_at, document, digest,"
            " published_by) VALUES (1, $1, $1, $2, 'd', 'ann')",
            to_datetime(holds_from or START - DAY),
            document,
        )
        for number in range(0 if holds_from else 12):
            await self.does(f"m{number:02}", Enrolled())

    async def does(self, member: str, body: AnyBody, *, late: int = 0) -> None:
        self._sent += 1
        sent = message(member, body, self.clock.at - late, f"e{self._sent}")
        await record_batch(self.session, self.programs, self.clock, [sent])

    async def goes_on(self, until: Instant, *, every: int = 6 * DAY, each: int = 20) -> None:
        """Anything, up to ten days late, and the clock's own."""
        while self.clock.at < until:
            self.clock.at = min(until, self.clock.at + every)
            batch = []
            for _ in range(each):
                self._sent += 1
                late = self.chance.randrange(240) * HOUR
                member, body = next(self.happens)
                batch.append(message(member, body, self.clock.at - late, f"e{self._sent}"))
            await record_batch(self.session, self.programs, self.clock, batch)
            await catch_up_due(self.session, self.programs, self.clock, until=self.clock.at)

    async def closes(self, period: str) -> Report:
        return await closes.close(
            self.session.connection, KEY, period, at=self.clock.at, by="Ann Li"
        )

    async def reports(self, period: str = "", **asked: Instant) -> Report:
        return await closes.report(
            self.session.connection, Asked(period, **asked), now=self.clock.at
        )


@pytest.fixture
async def life(session: PgSession) -> Life:
    made = Life(session)
    await made.opens()
    return made


async def balances(
    connection: asyncpg.Connection, until: Instant, known_by: Instant
) -> dict[str, dict[str, int]]:
    """Balances under a cut, added up entry by entry."""
    rows = await connection.fetch(
        "SELECT l.currency, l.points, l.from_bucket, l.to_bucket FROM ledger l"
        " JOIN journal j USING (member_id, seq) WHERE effective_at < $1 AND recorded_at <= $2",
        to_datetime(until),
        to_datetime(known_by),
    )
    held: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
    for currency, points, source, target in rows:
        held[currency][source] -= points
        held[currency][target] += points
    return {currency: dict(buckets) for currency, buckets in held.items()}


def closing(report: Report) -> dict[str, dict[str, int]]:
    return {
        each.currency: {row.bucket: row.closing for row in each.rollforward}
        for each in report.currencies
    }


def opening(report: Report) -> dict[str, dict[str, int]]:
    return {
        each.currency: {row.bucket: row.opening for row in each.rollforward}
        for each in report.currencies
    }


def check(report: Report) -> None:
    """What every report proves of itself."""
    assert report.proof.foots, report.proof.differences
    for each in report.currencies:
        held = {row.bucket: row.closing for row in each.rollforward}
        for row in each.rollforward:
            moved = sum(row.period.values()) + sum(row.prior_period.values())
            assert row.opening + moved == row.closing
        assert sum(held.values()) == 0
        for split in (each.by_age, each.by_expiry):
            for bucket, name in zip(
                OUTSTANDING, ("available", "pending", "held", "in_transit"), strict=True
            ):
                assert sum(getattr(row, name) for row in split) == held.get(bucket, 0)
        owed = each.liability
        if each.spendable:
            in_lots = sum(held.get(bucket, 0) for bucket in OUTSTANDING)
            assert owed.total == in_lots + owed.open_vouchers
            assert owed.arrears == -held.get("arrears", 0)
        else:
            assert owed.total == owed.arrears == 0
    for roll in report.vouchers:
        for moves in (roll.vouchers, roll.points, roll.worth):
            ended = moves.used + moves.expired + moves.voided
            assert moves.opening + moves.issued - ended == moves.closing >= 0
    in_vouchers = sum(each.liability.open_vouchers for each in report.currencies)
    assert in_vouchers == sum(roll.points.closing for roll in report.vouchers)
    for month in report.deferred:
        assert minor(month.allocated) - minor(month.recognised) == minor(month.deferred) >= 0
        assert minor(month.recognised) >= 0


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_any_history_foots_between_any_instants(
    session: PgSession, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(cuts, "_SIZE", 5)
    life = Life(session, seed)
    await life.opens()
    await life.goes_on(START + 150 * DAY)
    end = life.clock.at + DAY
    for _ in range(8):
        since, until = sorted(life.chance.randrange(START, end) for _ in range(2))
        known_by = life.chance.randrange(until, end)
        report = await life.reports(since=since, until=until, known_by=known_by)
        assert report.status == "provisional"
        check(report)
        expected = await balances(session.connection, until, known_by)
        assert {
            currency: {bucket: points for bucket, points in buckets.items() if points}
            for currency, buckets in closing(report).items()
        } == {
            currency: {bucket: points for bucket, points in buckets.items() if points}
            for currency, buckets in expected.items()
        }
        before = await life.reports(until=since, known_by=known_by)
        after = opening(report)
        for currency, buckets in closing(before).items():
            for bucket, points in buckets.items():
                assert after[currency].get(bucket, 0) == points
        was = {(row.issued, row.funding): row.recognised for row in before.deferred}
        for row in report.deferred:
            assert was.get((row.issued, row.funding), "0.00") == row.recognised_before


async def test_what_is_known_late_restates_what_was_not_closed(life: Life) -> None:
    life.clock.at = day("2011-01-10")
    await life.does("m01", Purchased("o1", "GBP", [Line(1, "A", 1, 100_00)]))
    life.clock.at = day("2011-02-10")
    first = await life.reports("2011-01")
    early = life.clock.at
    await life.does("m00", Purchased("o2", "GBP", [Line(1, "A", 1, 50_00)]), late=20 * DAY)
    second = await life.reports("2011-01")
    issued = [row.period["issued"] for row in second.currencies[0].rollforward if row.period]
    assert first != second
    assert sum(abs(points) for points in issued) > 0
    again = await life.reports("2011-01", known_by=early - 1)
    assert closing(again) == closing(first)
    assert again.deferred == first.deferred


async def test_a_close_is_final_and_runs_again_byte_for_byte(life: Life) -> None:
    await life.goes_on(day("2011-01-03"))
    closed = await life.closes("2010-12")
    assert (closed.status, closed.closed.checkpoint) == ("closed", 1)  # type: ignore[union-attr]  # it is
    check(closed)
    await life.does("m00", Purchased("late", "GBP", [Line(1, "A", 1, 80_00)]), late=5 * DAY)
    await life.goes_on(day("2011-02-02"))
    assert encode_report(await life.reports("2010-12")) == encode_report(closed)
    provisional = await life.reports("2011-01")
    assert provisional.status == "provisional"
    january = await life.closes("2011-01")
    for report in (provisional, january):
        check(report)
        assert opening(report)["points"] | closing(closed)["points"] == opening(report)["points"]
    assert provisional.currencies == january.currencies
    assert provisional.deferred == january.deferred
    await life.goes_on(day("2011-03-04"))
    february = await life.closes("2011-02")
    check(february)
    known = {row.issued: row.recognised for row in january.deferred if row.funding == "purchase"}
    for row in february.deferred:
        if row.funding == "purchase":
            assert row.recognised_before == known.get(row.issued, "0.00")
    whole = await life.reports(until=day("2011-03-01"))
    assert [(row.issued, row.money, row.funding, row.allocated) for row in whole.deferred] == [
        (row.issued, row.money, row.funding, row.allocated) for row in february.deferred
    ]
    for report in (closed, january, february):
        again = await life.reports(report.period)
        assert encode_report(again) == encode_report(report)
    verdict = await verify(life.session.connection)
    asked: list[str] = []
    with life.session.connection.query_logger(lambda told: asked.append(told.query)):
        await closes.verify(life.session.connection, verdict)
    assert verdict.sound, verdict.first
    assert closes.CHECKED in verdict.checked
    once = (cuts._LEGS, cuts._HELD, cuts._CHAINS, cuts._CURVE, cuts._VOUCHERS, cuts._RETURNING)
    assert {statement: asked.count(statement) for statement in once} == dict.fromkeys(once, 1)


async def test_later_entries_go_to_the_first_open_period_whatever_their_times(life: Life) -> None:
    life.clock.at = day("2011-01-20")
    await life.does("m01", Purchased("o1", "GBP", [Line(1, "A", 1, 100_00)]))
    life.clock.at = day("2011-02-02")
    await catch_up_due(life.session, life.programs, life.clock, until=life.clock.at)
    await life.closes("2010-12")
    january = await life.closes("2011-01")
    await life.does("m00", Purchased("o2", "GBP", [Line(1, "A", 1, 50_00)]), late=9 * DAY)
    await life.does("m02", Purchased("o3", "GBP", [Line(1, "A", 1, 70_00)]))
    assert encode_report(await life.reports("2011-01")) == encode_report(january)
    february = await life.reports("2011-02")
    [row] = [
        row
        for each in february.currencies
        if each.currency == "points"
        for row in each.rollforward
        if row.bucket == "issuance"
    ]
    assert row.prior_period["issued"] < 0 > row.period["issued"]
    check(february)


async def test_refunds_over_closes_take_back_what_was_allocated(life: Life) -> None:
    life.clock.at = day("2011-01-10")
    await life.does("m01", Purchased("o1", "GBP", [Line(1, "A", 3, 33_33, tax=16_66)]))
    life.clock.at = day("2011-02-02")
    await catch_up_due(life.session, life.programs, life.clock, until=life.clock.at)
    january = await life.closes("2011-01")
    [row] = [row for row in january.deferred if row.issued == "2011-01"]
    assert (row.funding, row.allocated_before, row.allocated_now) == ("purchase", "0.00", "0.98")
    for number in (1, 1, 1):
        await life.does("m01", Refunded("o1", "GBP", amount=33_33 * number))
    february = await life.reports("2011-02")
    [row] = [row for row in february.deferred if row.issued == "2011-01"]
    assert (row.allocated_before, row.refunded_now, row.allocated) == ("0.98", "0.98", "0.00")
    refunded = [line for line in february.journals if line.why == "refunded"]
    assert [(line.debit, line.credit, line.amount) for line in refunded] == [
        ("deferred_revenue", "sales_revenue", "0.98")
    ]


@pytest.mark.parametrize(
    ("closed", "period", "now", "code"),
    [
        ([], "2011-1", "2011-03-01", "invalid_period"),
        ([], "January", "2011-03-01", "invalid_period"),
        ([], "2011-02", "2011-02-28", "period_not_over"),
        (["2010-12"], "2011-02", "2011-03-05", "not_next_period"),
        (["2010-12"], "2010-12", "2011-03-05", "period_closed"),
        (["2011-01"], "2010-12", "2011-03-05", "period_closed"),
    ],
)
async def test_what_cannot_be_closed(
    life: Life, closed: list[str], period: str, now: str, code: str
) -> None:
    life.clock.at = day("2011-03-05")
    await catch_up_due(life.session, life.programs, life.clock, until=life.clock.at)
    for each in closed:
        await life.closes(each)
    life.clock.at = day(now)
    with pytest.raises(BooksRefused) as refused:
        await life.closes(period)
    assert refused.value.code == code


async def test_moments_that_are_not_decided_hold_a_close_up(
    life: Life, connection: asyncpg.Connection
) -> None:
    await life.does("m01", Purchased("o1", "GBP", [Line(1, "A", 1, 100_00)]))
    life.clock.at = day("2011-03-02")
    with pytest.raises(BooksRefused, match="is not decided") as refused:
        await life.closes("2011-02")
    assert refused.value.code == "moments_undecided"
    report = await closes.close(
        connection, KEY, "2011-02", at=life.clock.at, by="Ann Li", undecided=True
    )
    check(report)


async def test_an_approval_holds_from_an_open_date_only(
    life: Life, connection: asyncpg.Connection
) -> None:
    def half(since: str, of: str = "points", value: str = "0.5") -> Approving:
        return Approving("redemption", of, value, day(since), "Ann Li")

    made = await closes.approve(connection, half("2010-12-01"), now=START)
    assert (made.number, made.value) == (1, "0.5")
    life.clock.at = day("2011-01-10")
    await life.does("m01", Purchased("o1", "GBP", [Line(1, "A", 1, 100_00)]))
    await catch_up_due(life.session, life.programs, life.clock, until=life.clock.at)
    closed = await life.closes("2010-12")
    for refused in (half("2010-12-31"), half("2011-01-01", "status"), half("2011-01-01", "x", "2")):
        with pytest.raises(BooksRefused):
            await closes.approve(connection, refused, now=life.clock.at)
    await closes.approve(connection, half("2011-01-01", value="0.4"), now=life.clock.at)
    assert [each.value for each in await closes.approvals(connection)] == ["0.5", "0.4"]
    assert encode_report(await life.reports("2010-12")) == encode_report(closed)
    january = await life.reports("2011-01")
    assert [each.value for each in january.approvals] == ["0.5", "0.4"]
    assert {row.redemption for row in january.deferred} == {"0.4"}


async def test_every_table_is_csv_that_names_both_instants(life: Life) -> None:
    await life.goes_on(day("2011-02-20"))
    report = await life.reports("2011-02")
    for table in TABLES:
        rows = list(csv.DictReader(io.StringIO(as_csv(report, table))))
        for row in rows:
            assert row["happened_before"] == report.happened_before == "2011-03-01T00:00:00Z"
            assert row["known_by"] == report.known_by == "2011-02-20T00:00:00Z"
            assert None not in row
            assert None not in row.values()
        assert rows or table in ("vouchers", "unpriced", "deferred", "journals"), table
    rolled = list(csv.DictReader(io.StringIO(as_csv(report, "rollforward"))))
    prior = [row for row in rolled if row["section"] == "prior_period"]
    assert {(row["currency"], row["bucket"]): int(row["closing"]) for row in prior} == {
        (each.currency, row.bucket): row.closing
        for each in report.currencies
        for row in each.rollforward
    }


async def test_breakage_grows_month_by_month_within_what_was_issued(life: Life) -> None:
    await life.goes_on(day("2011-05-30"))
    report = await life.reports(until=life.clock.at + 1)
    [points] = [each for each in report.currencies if each.currency == "points"]
    assert any(row.lost for row in points.breakage)
    last: dict[str, Breakage] = {}
    for row in points.breakage:
        assert row.month >= row.issued
        last[row.issued] = row
    held = {row.bucket: row.closing for row in points.rollforward}
    lost = held["expired"] + held.get("forfeited", 0)
    assert sum(row.lost for row in last.values()) == lost
    assert all(row.redeemed + row.lost <= row.points for row in last.values())


async def test_nothing_published_has_no_books(session: PgSession) -> None:
    with pytest.raises(BooksRefused, match="nothing is published"):
        await closes.report(session.connection, Asked(until=START), now=START)


@pytest.mark.tampered
@pytest.mark.parametrize(
    "forged",
    [
        "UPDATE book_close SET document = replace(document, '\"closing\":', '\"closing\":1')",
        "UPDATE ledger SET points = points + 1 WHERE kind = 'accrual' AND member_id = 'm01'",
        "UPDATE checkpoint_head SET seq = 1 WHERE member_id = 'm01'",
    ],
)
async def test_verify_names_a_closed_period_that_is_not_what_it_was(
    life: Life, owner: asyncpg.Connection, forged: str
) -> None:
    await life.does("m01", Purchased("o1", "GBP", [Line(1, "A", 1, 100_00)]))
    life.clock.at = day("2011-01-01")
    await catch_up_due(life.session, life.programs, life.clock, until=life.clock.at)
    await life.closes("2010-12")
    await owner.execute("SET session_replication_role = replica")
    await owner.execute(forged)
    verdict = Verdict()
    await closes.verify(life.session.connection, verdict)
    assert verdict.first is not None
    assert verdict.first.what == "report of closed period 2010-12"


VOUCHERS = """
program: vouchers
holds_from: "2011-01-01T00:00"
timezone: Europe/London
currencies: {points: {worth: 0.01 GBP}}
earn: {base: {event: purchase, give: {points: 1 per 0.10 GBP}}}
rewards:
  fiver: {cost: 500 points, voucher: {worth: 5.00 GBP, valid: 30 days}}
"""


async def test_a_voucher_moves_the_obligation_until_it_ends(session: PgSession) -> None:
    """Of three vouchers for 500 points each, one is used, one expires, one is undone."""
    life = Life(session)
    await life.opens(VOUCHERS, day("2011-01-01"))
    life.clock.at = day("2011-01-12")
    await life.does("m00", Enrolled())
    await life.does("m00", Purchased("o1", "GBP", [Line(1, "A", 1, 1000_00)]))
    for name in ("r1", "r2", "r3"):
        await life.does("m00", RedemptionRequested(name, "fiver"))
    life.clock.at = day("2011-02-01")
    january = await life.closes("2011-01")
    await life.does("m00", VoucherUsed("v3-0", "o2"))
    await life.does("m00", RedemptionCancelled("r2"))
    life.clock.at = day("2011-03-01")
    await catch_up_due(session, life.programs, life.clock, until=life.clock.at)
    february = await life.closes("2011-02")
    for report in (january, february):
        check(report)
    [first], [second] = january.vouchers, february.vouchers
    assert (first.vouchers, first.points, first.worth) == (
        VoucherMoves(0, 3, 0, 0, 0, 3),
        VoucherMoves(0, 1500, 0, 0, 0, 1500),
        VoucherMoves(0, 1500, 0, 0, 0, 1500),
    )
    assert second.points == VoucherMoves(1500, 0, 500, 500, 500, 0)
    [points], [later] = january.currencies, february.currencies
    assert (points.liability.available, points.liability.open_vouchers) == (8500, 1500)
    assert (later.liability.available, later.liability.total) == (9000, 9000)
    [waits], [done] = january.deferred, february.deferred
    assert (waits.points_redeemed, waits.recognised) == (0, "0.00")
    assert (done.points_redeemed, done.points_expected) == (500, "9500")
    assert (done.allocated, done.recognised_now) == ("90.91", "4.78")
    again = await life.reports("2011-01")
    assert encode_report(again) == encode_report(january)


PRESENTS = VOUCHERS.replace(
    "earn: {", "earn: {thanks: {event: engagement, reward: [present]}, "
).replace(
    "rewards:", "rewards:\n  present: {gift_only: true, voucher: {worth: 5.00 GBP, valid: 30 days}}"
)


def posted(report: Report) -> list[tuple[str, str, str, str]]:
    return [
        (line.why, line.debit, line.credit, line.amount)
        for line in report.journals
        if line.funding == "gift_vouchers"
    ]


async def presented(session: PgSession) -> Life:
    """Three vouchers that carry no points are open at the end of January."""
    life = Life(session)
    await life.opens(PRESENTS, day("2011-01-01"))
    life.clock.at = day("2011-01-12")
    await life.does("m00", Enrolled())
    for _ in range(3):
        await life.does("m00", Engaged("survey.answered"))
    life.clock.at = day("2011-02-01")
    return life


async def ends(life: Life) -> Report:
    """One is used, one is voided, one expires."""
    await life.does("m00", VoucherUsed("v2-0", "o2"))
    await life.does("m00", VoucherVoided("v3-0", "sent_twice"))
    life.clock.at = day("2011-03-01")
    await catch_up_due(life.session, life.programs, life.clock, until=life.clock.at)
    return await life.closes("2011-02")


ISSUED = ("allocated", "marketing_expense", "loyalty_provision", "15.00")
ENDED = [
    ("recognised", "loyalty_provision", "rewards_settled", "5.00"),
    ("released", "loyalty_provision", "marketing_expense", "10.00"),
]


async def test_vouchers_without_points_are_provided_for_until_they_end(session: PgSession) -> None:
    life = await presented(session)
    january = await life.closes("2011-01")
    february = await ends(life)
    for report in (january, february):
        check(report)
    assert (posted(january), posted(february)) == ([ISSUED], ENDED)
    [roll] = february.vouchers
    assert (roll.currency, roll.money, roll.worth) == (
        "",
        "GBP",
        VoucherMoves(1500, 0, 500, 500, 500, 0),
    )
    whole = await life.reports(until=day("2011-03-01"))
    assert posted(whole) == [ISSUED, *ENDED]


async def test_a_month_closed_before_they_were_posted_stays_as_it_was(
    session: PgSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = await presented(session)
    with monkeypatch.context() as earlier:
        earlier.setattr(closes, "FORMAT", 1)
        january = await life.closes("2011-01")
    assert (january.format, posted(january)) == (1, [])
    assert posted(await life.reports("2011-02"))[0] == ISSUED
    february = await ends(life)
    assert (february.format, posted(february)) == (2, [ISSUED, *ENDED])
    assert encode_report(await life.reports("2011-01")) == encode_report(january)
    verdict = await verify(session.connection)
    await closes.verify(session.connection, verdict)
    assert verdict.sound, verdict.first


OLD = """
program: coins
holds_from: "2011-01-01T00:00"
timezone: Europe/London
currencies: {coins: {worth: 0.01 GBP}}
earn: {base: {event: purchase, give: {coins: 1 per 1.00 GBP}}}
rewards: {eighty: {cost: 80 coins}}
"""
NEW = (
    OLD.replace("2011-01-01", "2011-02-01")
    .replace("coins", "points")
    .replace("program: points", "program: coins\nsuccessors: {currencies: {coins: points}}")
)


async def test_a_debt_paid_under_another_name_foots_in_both(
    session: PgSession, connection: asyncpg.Connection
) -> None:
    life = Life(session)
    await life.opens(OLD, day("2011-01-01"))
    await connection.execute(
        "INSERT INTO program_version (version, holds_from, published_at, document, digest,"
        " published_by) VALUES (2, $1, $1, $2, 'd', 'ann')",
        to_datetime(day("2011-02-01")),
        NEW,
    )
    life.clock.at = day("2011-01-12")
    await life.does("m00", Enrolled())
    await life.does("m00", Purchased("o1", "GBP", [Line(1, "A", 1, 100_00)]))
    await life.does("m00", RedemptionRequested("r1", "eighty"))
    await life.does("m00", Cancelled("o1"))
    life.clock.at = day("2011-02-10")
    january = await life.closes("2011-01")
    await life.does("m00", Purchased("o2", "GBP", [Line(1, "A", 1, 90_00)]))
    life.clock.at = day("2011-03-01")
    february = await life.closes("2011-02")
    for report in (january, february):
        check(report)
    owed = {books.currency: books.liability.arrears for books in january.currencies}
    assert owed == {"coins": 80}
    after = {each.currency: each.liability for each in february.currencies}
    assert (after["coins"].arrears, after["points"].arrears) == (0, 0)
    assert after["points"].available == 10
    assert encode_report(await life.reports("2011-01")) == encode_report(january)
    verdict = await verify(connection)
    assert verdict.sound, verdict.first


EXAMPLE_52 = """
program: example-52
holds_from: "2011-01-01T00:00"
timezone: Europe/London
currencies: {points: {worth: 0.01 GBP}}
earn: {base: {event: purchase, give: {points: 1 per 0.10 GBP}}}
rewards: {first: {cost: 4500 points}, second: {cost: 4000 points}}
"""


async def test_example_52_closed_month_by_month(
    session: PgSession, connection: asyncpg.Connection
) -> None:
    """A customer buys for 1,000.00 and gets 10,000 points; `docs/finance.md` shows what follows."""
    life = Life(session)
    await life.opens(EXAMPLE_52, day("2011-01-01"))
    approved = [
        ("redemption", "points", "0.95", "2011-01-01"),
        ("redemption", "points", "0.97", "2011-03-01"),
        ("account", "sales_revenue", "4000", "2011-01-01"),
        ("account", "deferred_revenue", "2310", "2011-01-01"),
        ("account", "loyalty_revenue", "4010", "2011-01-01"),
    ]
    for what, of, value, since in approved:
        await closes.approve(
            connection,
            Approving(what, of, value, day(since), "Ann Li"),  # type: ignore[arg-type]  # as listed
            now=day("2011-01-01"),
        )
    life.clock.at = day("2011-01-12")
    await life.does("m00", Enrolled())
    await life.does("m00", Purchased("o1", "GBP", [Line(1, "A", 1, 1000_00)]))
    life.clock.at = day("2011-02-10")
    january = await life.closes("2011-01")
    await life.does("m00", RedemptionRequested("r1", "first"))
    life.clock.at = day("2011-03-10")
    february = await life.closes("2011-02")
    await life.does("m00", RedemptionRequested("r2", "second"))
    life.clock.at = day("2011-04-10")
    march = await life.closes("2011-03")
    posted = [
        [(line.debit_code, line.credit_code, line.amount) for line in each.journals]
        for each in (january, february, march)
    ]
    assert posted == [
        [("4000", "2310", "86.76")],
        [("2310", "4010", "41.10")],
        [("2310", "4010", "34.93")],
    ]
    [row] = march.deferred
    assert (row.recognised, row.deferred, row.points_expected) == ("76.03", "10.73", "9700")
    for each in (january, february, march):
        check(each)
    assert json.loads(encode_report(february)) == book_examples.BOOKS
    assert as_csv(february, "rollforward") == book_examples.BOOKS_CSV
