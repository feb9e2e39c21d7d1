"""All that can happen to an account, in any order and at any time, and the books still balance."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.loyalty.application.store import Incoming, ProfilePatch
from services.loyalty.domain.activity import (
    Adjusted,
    AnyBody,
    Engaged,
    Enrolled,
    GiftClaimed,
    Line,
    MergeRequested,
    Opening,
    ProfileUpdated,
    PurchaseClaimed,
    Purchased,
    RedemptionCancelled,
    RedemptionRequested,
    VoucherUsed,
)
from services.loyalty.domain.calendar import DAY, Instant
from services.loyalty.domain.moments import next_moment
from services.loyalty.domain.program import Program
from services.loyalty.domain.referrals import MADE
from tests.loyalty.domain.shop import Shop
from tests.loyalty.lives import (
    MEMBERS,
    PROGRAMMES,
    START,
    Returns,
    bodies,
    changed,
    holds,
    longevity,
    openings,
    purchases,
    returns,
    settlements,
)
from tests.loyalty.paid import check_paid

CAREFUL = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

members = st.sampled_from(MEMBERS)


@dataclass(frozen=True)
class When:
    """When something occurs, seen from the service's clock: days later, days ago, or close to the
    next due moment of the account (``off`` microseconds from it). It is known ``delay`` days later.
    """

    later: float = 0
    off: int | None = None
    delay: int = 0


whens = st.one_of(
    st.builds(When, later=st.sampled_from([0, 0, 0.01, 0.4, 1, 5, 13])),
    st.builds(When, later=st.sampled_from([0, 0, 0.01, 0.4, 1])),
    st.builds(When, off=st.sampled_from([-1, 0, 0, 1]), delay=st.sampled_from([0, 0, 3])),
    st.builds(When, later=st.integers(0, 20), delay=st.integers(0, 60)),
    st.builds(When, later=st.integers(-100, -1)),
)


class Lives(RuleBasedStateMachine):
    """Two members under a programme that may change once, with a clock that only goes on."""

    @initialize(program=st.sampled_from(PROGRAMMES), changes=st.booleans())
    def opens(self, program: Program, changes: bool) -> None:
        self.shop = Shop(program, changed(program)) if changes else Shop(program)
        self.last: Incoming | None = None
        for member in MEMBERS[:1]:
            self.shop.enrols(member, "2010-12-02")

    @rule(member=members, body=bodies, when=whens)
    def happens(self, member: str, body: AnyBody, when: When) -> None:
        occurred_at = self._occurs(member, when)
        self.shop.clock.at = max(self.shop.clock.at, occurred_at + int(when.delay * DAY))
        self.last = self.shop.incoming(member, body, occurred_at)
        self.shop.records(self.last)

    @rule(member=members, body=purchases(), when=whens)
    def buys(self, member: str, body: AnyBody, when: When) -> None:
        self.happens(member, body, when)

    @rule(member=members, body=holds, when=whens)
    def sets_points_aside(self, member: str, body: AnyBody, when: When) -> None:
        self.happens(member, body, when)

    @rule(member=members, body=settlements, when=whens)
    def settles_what_is_held(self, member: str, body: AnyBody, when: When) -> None:
        self.happens(member, body, when)

    @rule(member=members, body=longevity, when=whens)
    def gives_a_longer_life(self, member: str, body: AnyBody, when: When) -> None:
        self.happens(member, body, when)

    @rule(choice=st.integers(0, 99), body=returns, when=whens)
    def comes_back(self, choice: int, body: Returns, when: When) -> None:
        """Some of what was bought, in whatever way."""
        known = sorted(self.shop.store.receipts)
        if known:
            member, order = known[choice % len(known)]
            self.happens(member, msgspec.structs.replace(body, order=order), when)

    @rule(member=members, reward=st.sampled_from(["five", "mug"]), when=whens)
    def redeems(self, member: str, reward: str, when: When) -> None:
        """With points enough, which somebody may have granted."""
        if member in self.shop.store.accounts:
            self.happens(member, Adjusted("points", 400, "x", "y"), When())
            name = f"r{len(self.shop.store.redemptions)}"
            self.happens(member, RedemptionRequested(name, reward), when)

    @rule(choice=st.integers(0, 99), part=st.sampled_from([0, 0, 1, 120, 299]), when=whens)
    def undoes(self, choice: int, part: int, when: When) -> None:
        """A redemption, whole or in part, perhaps not for the first time."""
        known = sorted(self.shop.store.redemptions)
        if known:
            member, redemption = known[choice % len(known)]
            self.happens(member, RedemptionCancelled(redemption, part), when)

    @rule(choice=st.integers(0, 99), when=whens)
    def uses_a_voucher_or_claims_a_gift(self, choice: int, when: When) -> None:
        known: list[tuple[str, AnyBody]] = [
            (member, VoucherUsed(voucher)) for member, voucher in sorted(self.shop.store.vouchers)
        ]
        known += [
            (member, GiftClaimed(offer.id, offer.rewards[0]))
            for member in sorted(self.shop.store.accounts)
            for offer in self.shop.store.account(member).offers
        ]
        if known:
            self.happens(*known[choice % len(known)], when)

    @rule(member=members)
    def ticks_fail_for_a_while(self, member: str) -> None:
        """What comes meanwhile waits, and goes on in order once the Tick is decided."""
        with self.shop.ticks_failing():
            self.shop.clock.at += 30 * DAY
            for body in (Purchased("late", "GBP", [Line(1, "A", 1, 5_00)]), Engaged("x")):
                self.shop.records(self.shop.incoming(member, body, self.shop.clock.at))
            self.shop.clock.at += 5 * DAY
        stuck = [
            m for m in self.shop.store.accounts if self.shop.store.account(m).status == "stuck"
        ]
        for each in stuck:
            assert self.shop.member(each).is_retried().status == "accepted"
            account = self.shop.store.account(each)
            assert account.status != "stuck"
            assert not [waiting for waiting in account.waiting if waiting.awaits == "tick"]

    @rule(messages=st.lists(st.tuples(members, bodies, whens), min_size=2, max_size=6))
    def happen_together(self, messages: list[tuple[str, AnyBody, When]]) -> None:
        """In one batch."""
        batch = []
        for member, body, when in messages:
            occurred_at = self._occurs(member, when)
            self.shop.clock.at = max(self.shop.clock.at, occurred_at)
            batch.append(self.shop.incoming(member, body, occurred_at))
        self.shop.records(*batch)

    @rule()
    def is_delivered_again(self) -> None:
        if self.last is not None:
            before = len(self.shop.store.journal)
            [outcome] = self.shop.records(self.last)
            assert outcome.status == "duplicate"
            assert len(self.shop.store.journal) == before

    @rule(member=members, month=st.integers(1, 12), enrols=st.booleans())
    def tells_a_birthday(self, member: str, month: int, enrols: bool) -> None:
        patch = ProfilePatch(born_on=date(1980, month, 29 if month == 2 else 28))
        body: AnyBody = Enrolled() if enrols else ProfileUpdated(["born_on"])
        self.shop.records(self.shop.incoming(member, body, self.shop.clock.at, patch))

    @rule(member=members, referrer=members, enrols=st.booleans(), body=purchases(), when=whens)
    def is_referred(
        self, member: str, referrer: str, enrols: bool, body: Purchased, when: When
    ) -> None:
        """By whoever has a code, oneself among them; and buys."""
        if referrer in self.shop.store.accounts:
            code = self.shop.store.account(referrer).code
            naming: AnyBody = Enrolled(referred_by=code) if enrols else Engaged(MADE, about=code)
            self.shop.records(self.shop.incoming(member, naming, self.shop.clock.at))
            self.happens(member, body, when)

    @rule(body=purchases(), back=returns, when=whens, claims=st.lists(members, max_size=2))
    def a_guest_buys(self, body: Purchased, back: Returns, when: When, claims: list[str]) -> None:
        """Something may come back, and whoever claims it first has it."""
        receipt = f"receipt-{len(self.shop.store.accounts)}"
        self.happens(receipt, msgspec.structs.replace(body, guest=True), when)
        for member in claims:
            claim = PurchaseClaimed("c", receipt, member)
            self.shop.records(self.shop.incoming(receipt, claim, self.shop.clock.at))
        self.happens(receipt, msgspec.structs.replace(back, order=body.order), when)

    @rule(body=openings(), back=returns, when=whens)
    def comes_along(self, body: Opening, back: Returns, when: When) -> None:
        """From another system, with an order of which something comes back."""
        member = f"from-elsewhere-{len(self.shop.store.accounts)}"
        self.happens(member, body, When())
        self.happens(member, msgspec.structs.replace(back, order=body.orders[0].order), when)

    @rule(member=members, into=st.sampled_from([*MEMBERS, "eve"]), when=whens)
    def is_one_with_another(self, member: str, into: str, when: When) -> None:
        """An operator says so, and may be wrong, or say it twice, or both ways at once."""
        self.happens(member, MergeRequested("m", member, into, "duplicate", "y"), when)

    @rule()
    def one_derived_activity_arrives(self) -> None:
        self.shop.delivers_derived(at_most=1)

    @rule(days=st.sampled_from([0.5, 1, 3, 20, 60]))
    def time_passes(self, days: float) -> None:
        """And nobody looks."""
        self.shop.clock.at += int(days * DAY)

    @rule()
    def the_scheduler_visits(self) -> None:
        self.shop.waits_until(self.shop.clock.at)

    @rule()
    def derived_activities_arrive(self) -> None:
        accounts = self.shop.store.accounts
        before = {member: self.shop.member(member).owed for member in accounts}
        self.shop.delivers_derived()
        merged = any(self.shop.store.account(member).merged_into for member in accounts)
        for member, owed in before.items():  # nobody's refund sends another member into arrears
            assert merged or self.shop.member(member).owed <= owed
        for bucket in ("transit", "moving"):
            assert self.shop.auditor.over_all("points", bucket) == self.shop.underway("points") == 0

    @invariant()
    def points_in_transit_are_on_their_way(self) -> None:
        if hasattr(self, "shop"):
            on_their_way = self.shop.underway("points")
            assert self.shop.auditor.in_transit("points") == on_their_way

    def teardown(self) -> None:
        if hasattr(self, "shop"):
            self.shop.proves()
            check_paid(self.shop)

    def _occurs(self, member: str, when: When) -> Instant:
        now = self.shop.clock.at
        if when.off is None:
            return max(START, now + int(when.later * DAY))
        if member not in self.shop.store.accounts:
            return now
        account = self.shop.store.account(member)
        profile = self.shop.store.profiles[member]
        moment = next_moment(self.shop.programs, account, profile.born_on, until=now + 400 * DAY)
        return now if moment is None else moment.at + when.off


TestLives = Lives.TestCase
TestLives.settings = CAREFUL
