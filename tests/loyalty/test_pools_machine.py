"""Households under all that may happen to them, in whatever order it is told."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.loyalty.application.store import Incoming
from services.loyalty.domain.activity import (
    Adjusted,
    AnyBody,
    Cancelled,
    Delivered,
    Engaged,
    HoldCaptured,
    HoldRequested,
    PoolJoinRequested,
    PoolLeaveRequested,
    RedemptionCancelled,
    RedemptionRequested,
    Refunded,
    RefundLine,
    StatusChanged,
    decode_body,
)
from services.loyalty.domain.calendar import DAY, SECOND
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.program import Expiry, Holds, Pending, Pools, Program, Reward, Span
from services.loyalty.domain.receipt import Receipt, decode_receipt
from tests.loyalty.domain.shop import (
    Shop,
    both,
    carried,
    end_of_month,
    line,
    points,
    programme,
    purchase,
    tiers,
)
from tests.loyalty.domain.shop import (
    rule as earning,
)
from tests.loyalty.paid import check_paid
from tests.loyalty.test_batches import _left as left_by

CAREFUL = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
MEMBERS, POOLS = ("ada", "bob", "cy"), ("smiths", "others")
REWARDS = {"ten": Reward("ten", 10, "points"), "forty": Reward("forty", 40, "points")}


def _programme(pools: Pools, *parts: object, **more: object) -> Program:
    review = earning("review", "engagement", give={"points": 15}, of="product.reviewed")
    big = earning("big", give={"points": 30}, min_spend={"GBP": 50_00}, on_refund="revoke")
    return programme(both(), review, big, tiers(), *parts, pools=pools, rewards=REWARDS, **more)  # type: ignore[arg-type]


PROGRAMMES = (
    _programme(Pools()),
    _programme(
        Pools(most=2, may_spend="owner", owner_leaves="closes"),
        points(expiry=end_of_month(1), shortfall="write_off"),
        holds=Holds(last_s=3 * 3600),
    ),
    _programme(
        Pools(when_closed="forfeit", rejoin_after=Span(days=3)),
        points(pending=Pending(Span(days=5)), expiry=end_of_month(2)),
    ),
    _programme(
        Pools(),
        points(
            pending=Pending(until_delivered=True),
            expiry=Expiry(Span(months=1), moved_by=frozenset({"purchase", "redemption"})),
            late=Span(days=3),
        ),
        closed_keeps=Span(days=20),
        transfers=True,
    ),
)


def reversed_by(entries: Sequence[LedgerEntry]) -> Counter[tuple[str, str]]:
    """By order and currency, what was taken back by the ledger, whence does not matter, less what
    was given back: to a pool, or because an amount without a line was spread anew.
    """
    found: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        if entry.order and entry.to_bucket == "issuance":
            found[entry.order, entry.currency] += entry.points
        elif entry.order and entry.from_bucket == "issuance" and entry.cause in _RETURNS:
            found[entry.order, entry.currency] -= entry.points
    return found


_RETURNS = ("refund", "cancellation")


def check_reversals(shop: Shop) -> None:
    """At every instant the ledger of a member has taken back exactly what its receipts say, but for
    orders that were never delivered, whose postings leave their receipts.
    """
    due: Counter[tuple[str, str, str]] = Counter()
    for (member, order), doc in shop.store.receipts.items():
        receipt: Receipt = decode_receipt(doc)
        for posting in receipt.postings:
            due[member, order, posting.currency] += sum(posting.reversed)
    found: Counter[tuple[str, str, str]] = Counter()
    for member in MEMBERS:
        entries = shop.member(member).entries() if member in shop.store.accounts else []
        gone = {entry.order for entry in entries if entry.cause == "not_delivered"}
        for (order, currency), taken in reversed_by(entries).items():
            if order not in gone:
                found[member, order, currency] += taken
        due = Counter({key: n for key, n in due.items() if key[0] != member or key[1] not in gone})
    assert +found == +due


class Households(RuleBasedStateMachine):
    """Three members, two pools, and messages between them that come in any order, and twice."""

    @initialize(program=st.sampled_from(PROGRAMMES))
    def opens(self, program: Program) -> None:
        self.shop = Shop(program)
        self.orders: list[tuple[str, str]] = []
        self.read = 0
        self.underway: list[tuple[str, AnyBody]] = []
        self.waits = program.currencies["points"].pending is not None
        for member in MEMBERS:
            self.shop.enrols(member, "2010-12-02")
        self._tells("ada", PoolJoinRequested("ada", "smiths", True))
        self._tells("bob", PoolJoinRequested("bob", "smiths"))
        self.everything_arrives()

    def _tells(self, account: str, body: AnyBody) -> Incoming:
        self.shop.clock.at += SECOND
        message = self.shop.incoming(account, body, self.shop.clock.at)
        self.shop.records(message)
        self._collect()
        return message

    def _collect(self) -> None:
        """What has been sent to others since."""
        for row in self.shop.store.outbox[self.read :]:
            if row[6] is not None:
                self.underway.append((row[6], decode_body(row[7])))
        self.read = len(self.shop.store.outbox)

    @rule(member=st.sampled_from(MEMBERS), pounds=st.lists(st.integers(1, 60), max_size=3))
    def buys(self, member: str, pounds: list[int]) -> None:
        order = f"o{len(self.orders)}"
        lines = [line(place, 100 * each) for place, each in enumerate([*pounds, 7], 1)]
        self._tells(member, purchase(order, *lines))
        self.orders.append((member, order))

    @rule(choice=st.integers(0, 99), place=st.integers(0, 4), pence=st.integers(1, 30_00))
    def comes_back(self, choice: int, place: int, pence: int) -> None:
        """An amount of a line, or (``place`` 0) of none."""
        if self.orders:
            member, order = self.orders[choice % len(self.orders)]
            lines = [RefundLine(place, 0, pence)] if place else []
            self._tells(member, Refunded(order, "GBP", lines, 0 if place else pence))

    @rule(choice=st.integers(0, 99), delivered=st.booleans())
    def is_cancelled_or_delivered(self, choice: int, delivered: bool) -> None:
        if self.orders:
            member, order = self.orders[choice % len(self.orders)]
            self._tells(member, Delivered(order) if delivered else Cancelled(order))

    @rule(member=st.sampled_from(MEMBERS), adjusts=st.booleans())
    def gets_points_otherwise(self, member: str, adjusts: bool) -> None:
        self._tells(member, Adjusted("points", 9, "x", "y") if adjusts else Engaged(REVIEW))

    @rule(pool=st.sampled_from(POOLS), by=st.sampled_from(MEMBERS), how=st.integers(0, 3))
    def spends(self, pool: str, by: str, how: int) -> None:
        name = f"r{self.shop._sent}"
        spent: AnyBody = RedemptionRequested(name, ("ten", "forty")[how % 2], by=by)
        if how == 2:
            spent = HoldRequested("?", "points", 12, by=by)
        elif how == 3:
            spent = HoldCaptured("?1", name, 5)
        if pool in self.shop.store.accounts:
            self._tells(pool, spent)

    @rule(choice=st.integers(0, 99))
    def undoes(self, choice: int) -> None:
        if known := sorted(self.shop.store.redemptions):
            account, redemption = known[choice % len(known)]
            self._tells(account, RedemptionCancelled(redemption))

    @rule(
        member=st.sampled_from(MEMBERS),
        pool=st.sampled_from(POOLS),
        founds=st.booleans(),
        joins=st.booleans(),
    )
    def moves(self, member: str, pool: str, founds: bool, joins: bool) -> None:
        wanted = PoolJoinRequested(member, pool, founds)
        self._tells(member, wanted if joins else PoolLeaveRequested())

    @rule(
        member=st.sampled_from(MEMBERS),
        status=st.sampled_from(["suspended", "active", "active", "closed"]),
    )
    def becomes(self, member: str, status: str) -> None:
        self._tells(member, StatusChanged(status))

    @rule(choice=st.integers(0, 99))
    def one_message_arrives(self, choice: int) -> None:
        """Any of them: what is ahead of it may stand among the dead letters. And once more."""
        if self.underway:
            message = self._tells(*self.underway.pop(choice % len(self.underway)))
            [again] = self.shop.records(message)
            assert again.status == "duplicate"

    @rule()
    def the_next_message_arrives(self) -> None:
        self.one_message_arrives(0)

    @rule(days=st.sampled_from([0.1, 1, 6, 40]), visits=st.booleans())
    def time_passes(self, days: float, visits: bool) -> None:
        self.shop.clock.at += int(days * DAY)
        if visits:
            self.shop.waits_until(self.shop.clock.at)
            self._collect()

    @rule()
    def everything_arrives(self) -> None:
        while self.underway:
            self._tells(*self.underway.pop(0))
        assert self.shop.auditor.in_transit("points") == 0
        for account in self.shop.store.accounts:
            for waiting in self.shop.store.account(account).waiting:
                assert waiting.awaits.startswith("order:")  # one that was refused

    @invariant()
    def the_sums_are_exact(self) -> None:
        if not hasattr(self, "shop"):
            return
        waiting = [decode_body(body) for body, _ in self.shop.store.parked.values()]
        bodies = [*(body for _, body in self.underway), *waiting]
        assert self.shop.auditor.in_transit("points") == sum(
            carried(body, "points") for body in bodies
        )
        check_reversals(self.shop)
        for pool in POOLS:
            if pool in self.shop.store.accounts:
                assert not self.shop.store.account(pool).arrears

    def teardown(self) -> None:
        if hasattr(self, "shop"):
            self.everything_arrives()
            self.shop.proves()
            check_paid(self.shop)


REVIEW = "product.reviewed"
TestHouseholds = Households.TestCase
TestHouseholds.settings = CAREFUL


# What is told in another order ----------------------------------------------------------------


def _household(program: Program) -> Shop:
    shop = Shop(program)
    for member in MEMBERS:
        shop.enrols(member, "2010-12-02")
        body = PoolJoinRequested(member, "smiths", member == "ada")
        shop.records(shop.incoming(member, body, shop.clock.at))
        shop.delivers_derived()
    return shop


def _sent(shop: Shop) -> list[Incoming]:
    """All that members have sent each other and that has not arrived."""
    rows = shop.store.outbox[shop._delivered :]
    shop._delivered = len(shop.store.outbox)
    found = [(row[6], decode_body(row[7])) for row in rows if row[6] is not None]
    return [shop.incoming(account, body, shop.clock.at) for account, body in found]


buys = st.lists(
    st.tuples(st.sampled_from(MEMBERS), st.integers(1, 60), st.integers(0, 60)),
    min_size=1,
    max_size=6,
)


def _bought(shop: Shop, bought: Sequence[tuple[str, int, int]]) -> None:
    for place, (member, pounds, back) in enumerate(bought):
        shop.member(member).buys(f"o{place}", 100 * pounds)
        if back:
            shop.member(member).returns(f"o{place}", money={1: 100 * back})


@CAREFUL
@given(bought=buys, order=st.randoms(use_true_random=False))
def test_contributions_and_recalls_may_come_in_any_order(
    bought: list[tuple[str, int, int]], order: object
) -> None:
    lots = []
    for shuffles in (False, True):
        shop = _household(PROGRAMMES[0])
        _bought(shop, bought)
        messages = _sent(shop)
        if shuffles:
            order.shuffle(messages)  # type: ignore[attr-defined]
        for message in messages:
            shop.records(message)
        assert not _sent(shop)  # nothing was short
        assert shop.auditor.in_transit("points") == 0
        assert sum(shop.member(member).owed for member in MEMBERS) == 0
        lots.append(shop.member("smiths").lots())
        shop.proves()
    assert lots[0] == lots[1]


@CAREFUL
@given(
    program=st.sampled_from(PROGRAMMES[:3]),
    bought=buys,
    spent=st.integers(0, 3),
    cuts=st.sets(st.integers(1, 30)),
)
def test_how_messages_between_accounts_are_cut_into_batches_changes_nothing(
    program: Program, bought: list[tuple[str, int, int]], spent: int, cuts: set[int]
) -> None:
    shops = []
    for parts in (set[int](), cuts):
        shop = _household(program)
        _bought(shop, bought)
        redeems = [
            shop.incoming("smiths", RedemptionRequested(f"r{n}", "ten", by="ada"), shop.clock.at)
            for n in range(spent)
        ]
        messages = _sent(shop)
        messages[len(messages) // 2 : len(messages) // 2] = redeems
        while messages:
            ends = [*sorted(end for end in parts if end < len(messages)), len(messages)]
            for start, end in zip((0, *ends), ends, strict=False):
                shop.records(*messages[start:end])
            messages = _sent(shop)
        assert shop.auditor.in_transit("points") == 0
        shops.append(left_by(shop, recorded=True))
    assert shops[0] == shops[1]
