"""A notation for tests of the rules: members who buy, return and spend under a small programme.

    shop = Shop(programme(base(), points(pending=Span(days=14))))
    ada = shop.enrols("ada", "2011-01-01")
    ada.buys("o1", 50_00, at="2011-01-05 10:00")
    assert ada.pending == 50

Everything takes the service's own path on a store in memory: catch-up, facts, decision, record.
After every step the books are audited. Times are local to London; a date alone is noon. Money is in
pence.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from typing import Any
from unittest.mock import patch

import msgspec

from services.loyalty.application import batch
from services.loyalty.application.attempt import Attempt
from services.loyalty.application.batch import Outcome
from services.loyalty.application.clock import FixedClock
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import catch_up_due, record_batch, retry_tick
from services.loyalty.application.store import Incoming, ProfilePatch
from services.loyalty.domain.account import Account
from services.loyalty.domain.activity import (
    Adjusted,
    Amended,
    AnyBody,
    BenefitUsed,
    Cancelled,
    ClaimedPurchase,
    Delivered,
    Engaged,
    Enrolled,
    Extended,
    GiftClaimed,
    HoldCaptured,
    HoldRequested,
    HoldVoided,
    Lapsed,
    Line,
    MergeRequested,
    PoolJoinRequested,
    PoolLeaveRequested,
    Purchased,
    RedemptionCancelled,
    RedemptionRequested,
    Refunded,
    RefundLine,
    Reinstated,
    Segmented,
    StatusChanged,
    Tick,
    TransferRequested,
    VoucherUsed,
    VoucherVoided,
    decode_body,
    encode_body,
)
from services.loyalty.domain.calendar import NEVER, SECOND, Instant, from_datetime, zone
from services.loyalty.domain.decide import decide
from services.loyalty.domain.decision import Decision
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import Facts
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.merging import carries
from services.loyalty.domain.pooling import recalls_of
from services.loyalty.domain.program import (
    Currency,
    Expiry,
    Give,
    Level,
    Program,
    Rate,
    Rule,
    Span,
    Tiers,
    Window,
)
from services.loyalty.domain.receipt import Receipt, decode_receipt
from services.loyalty.domain.voucher import Redemption, Voucher, decode_redemption, decode_voucher
from tests.loyalty.fake_store import FakeSession, FakeStore, events_of, settled
from tests.loyalty.narrator import Narrator
from tests.loyalty.proof import Auditor, replay

LONDON = zone("Europe/London")
_TRAVELLING = (
    ClaimedPurchase | Refunded | Cancelled | Delivered | Amended | Purchased | Engaged | Segmented
)
"""What keeps the time at which it happened, wherever it is sent."""

DAWN = "2010-12-01 00:00"


def at(text: str) -> Instant:
    """``2011-01-05 10:00`` or ``2011-01-05`` (noon) in London."""
    if len(text) == 10:
        return from_datetime(datetime.combine(date.fromisoformat(text), time(12), LONDON))
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=LONDON))


# The programme --------------------------------------------------------------------------------


def points(**terms: Any) -> Currency:
    """The currency that members spend; points never expire unless terms say so."""
    return Currency("points", **terms)


def status(window: Window | None = None, **terms: Any) -> Currency:
    """The currency that counts for tiers, by default over three months."""
    return Currency("status", qualifies=True, window=window or Window("rolling", 3), **terms)


def rate(gives: int = 1, per: int = 100, money: str = "GBP") -> dict[str, Rate]:
    """So many points per so many pence."""
    return {money: Rate(gives, per, money)}


def rule(name: str, event: str = "purchase", /, *, give: Mapping[str, Any], **more: Any) -> Rule:
    """A rule that gives fixed points, or by rates, in each currency named."""
    gives = tuple(
        Give(currency, given) if isinstance(given, Mapping) else Give(currency, fixed=given)
        for currency, given in give.items()
    )
    return Rule(name, event, gives, **more)


def base(**more: Any) -> Rule:
    """One point to spend per pound."""
    return rule("base", give={"points": rate()}, **more)


def both(**more: Any) -> Rule:
    """One point to spend and one that counts, per pound."""
    return rule("base", give={"points": rate(), "status": rate()}, **more)


def tiers(**more: Any) -> Tiers:
    """Basic, silver from 1000 and gold from 5000, each kept for three months."""
    levels = (Level("basic", 0), Level("silver", 1000), Level("gold", 5000))
    defaults: dict[str, Any] = {"kept": Span(months=3), "new_level_kept": Span(months=3)}
    return Tiers("status", levels, **(defaults | more))


def end_of_month(months: int, **more: Any) -> Expiry:
    """Points live so many months and to the end of the last."""
    return Expiry(Span(months=months), **more)


def programme(*parts: Rule | Currency | Tiers, version: int = 1, **more: Any) -> Program:
    """A programme of these rules, currencies and tiers; currencies nobody describes are plain."""
    rules = tuple(part for part in parts if isinstance(part, Rule))
    currencies = {"points": points(), "status": status()}
    currencies |= {part.name: part for part in parts if isinstance(part, Currency)}
    by_event: dict[str, tuple[Rule, ...]] = {}
    for each in rules:
        key = f"engagement:{each.of}" if each.event == "engagement" else each.event
        by_event[key] = (*by_event.get(key, ()), each)
    more.setdefault("holds_from", at(DAWN))
    found = [part for part in parts if isinstance(part, Tiers)]
    return Program(
        name="test",
        version=version,
        zone=LONDON,
        currencies=currencies,
        rules=rules,
        rules_by_event=by_event,
        tiers=found[0] if found else None,
        **more,
    )


# The shop -------------------------------------------------------------------------------------


def line(position: int, pence: int, quantity: int = 1, **more: Any) -> Line:
    """A line of an order: so many pieces at so many pence each."""
    more.setdefault("sku", f"SKU{position}")
    return Line(position=position, quantity=quantity, unit_price=pence, **more)


def purchase(order: str, *lines: Line | int, currency: str = "GBP", **more: Any) -> Purchased:
    """An order of these lines; a number is a line of one piece at that price."""
    made = [
        each if isinstance(each, Line) else line(position, each)
        for position, each in enumerate(lines, 1)
    ]
    return Purchased(order, currency, made, **more)


class Shop:
    """The service on a store in memory, with a clock that follows what happens."""

    def __init__(self, *versions: Program) -> None:
        self.programs = Programs(versions)
        self.store = FakeStore(
            programs=[(program.version, program.holds_from, "") for program in versions]
        )
        self.session = FakeSession(self.store)
        self.clock = FixedClock(at(DAWN))
        self.auditor = Auditor(self.store, self.programs)
        self.narrator = Narrator(self.store, self.programs)
        self._sent = 0
        self._delivered = 0
        self._holds: dict[str, list[str]] = {}

    def member(self, name: str) -> Member:
        """A member of that name, enrolled or not."""
        return Member(self, name)

    def enrols(self, name: str, when: str = DAWN, **profile: Any) -> Member:
        """A member who has just joined."""
        member = self.member(name)
        patched = ProfilePatch(**profile) if profile else None
        assert member.does(Enrolled(), when, profile=patched).status == "accepted"
        return member

    def incoming(
        self, member: str, body: AnyBody, occurred_at: Instant, profile: ProfilePatch | None = None
    ) -> Incoming:
        """A message with an id of its own."""
        if isinstance(body, TransferRequested):
            body = msgspec.structs.replace(body, from_member=member)
        self._sent += 1
        if isinstance(body, HoldRequested | HoldCaptured | HoldVoided):
            body = msgspec.structs.replace(body, hold=self._called(member, body))
        name = f"event-{self._sent}"
        digest = hashlib.blake2b(name.encode(), digest_size=16).digest()
        activity = Activity(body, occurred_at, 0, "/shop", name)
        self.last = Incoming(member, activity, digest, encode_body(body), profile)
        return self.last

    def _called(self, member: str, body: HoldRequested | HoldCaptured | HoldVoided) -> str:
        """The name of a hold, which ``?2`` has left open: the member's last but one."""
        names = self._holds.setdefault(member, [])
        if not body.hold.startswith("?"):
            return body.hold
        if isinstance(body, HoldRequested):
            names.append(f"h{self._sent}")
            return names[-1]
        return names[-min(int(body.hold[1:]), len(names))] if names else "none"

    def records(self, *messages: Incoming, begun: Attempt | None = None) -> list[Outcome]:
        """Records messages as one batch, and audits the books."""
        recording = record_batch(self.session, self.programs, self.clock, messages, begun=begun)
        outcomes = settled(recording)
        self.audits()
        for message, outcome in zip(messages, outcomes, strict=True):
            outcome.decision = self.store.decisions.get((message.member, outcome.seq))
        return outcomes

    def audits(self) -> None:
        """The books must balance, and every decision can be told."""
        self.auditor.check()
        self.narrator.tell()

    def waits_until(self, when: str | Instant) -> None:
        """Time passes, and the scheduler visits whoever has something due."""
        self.clock.at = max(self.clock.at, at(when) if isinstance(when, str) else when)
        while settled(catch_up_due(self.session, self.programs, self.clock, until=self.clock.at)):
            self.audits()

    def delivers_derived(self, at_most: int = 1_000_000) -> None:
        """What members cause for each other reaches its target, once."""
        while at_most and (arriving := self.arriving(at_most=1)):
            self.records(*arriving)
            at_most -= 1

    def arriving(self, at_most: int = 1_000_000) -> list[Incoming]:
        """The next messages that members cause for each other, which the test has to record."""
        found: list[Incoming] = []
        while len(found) < at_most and self._delivered < len(self.store.outbox):
            row = self.store.outbox[self._delivered]
            self._delivered += 1
            if row[6] is not None:
                body = decode_body(row[7])
                at = row[4] if isinstance(body, _TRAVELLING) else self.clock.at
                erases = isinstance(body, StatusChanged)
                patch = ProfilePatch(erase=True) if erases else None
                found.append(self.incoming(row[6], body, at, patch))
        return found

    @contextmanager
    def ticks_failing(self) -> Iterator[None]:
        """Whatever the clock would do to an account fails, as a mistake of ours would make it."""

        def failing(
            program: Program, account: Account, activity: Activity, facts: Facts
        ) -> Decision:
            if isinstance(activity.body, Tick | Lapsed):
                raise ArithmeticError("a mistake of ours")
            return decide(program, account, activity, facts)

        with patch.object(batch, "decide", failing), patch.object(batch.log, "disabled", new=True):
            yield

    def underway(self, currency: str) -> int:
        """Points that derived activities carry and that have not reached anybody yet."""
        bodies = [decode_body(row[7]) for row in self.store.outbox[self._delivered :] if row[6]]
        bodies += [decode_body(body) for body, _ in self.store.parked.values()]
        return sum(carried(body, currency) for body in bodies)

    def proves(self) -> None:
        """Everything follows again from the journal."""
        replay(self.store, self.programs)


def carried(body: AnyBody, currency: str) -> int:
    """Points that a derived activity brings, less those that it asks for."""
    brought = sum(points for name, points in carries(body) if name == currency)
    return brought - sum(points for name, points in recalls_of(body) if name == currency)


@dataclasses.dataclass
class Member:
    """One member: what she does, and what the books say of her."""

    shop: Shop
    name: str
    told: Outcome = dataclasses.field(default_factory=lambda: Outcome(""), compare=False)

    # What she does ----------------------------------------------------------------------------

    def does(
        self,
        body: AnyBody,
        when: str | Instant | None = None,
        *,
        known_at: str | Instant | None = None,
        profile: ProfilePatch | None = None,
    ) -> Outcome:
        """Anything, at a time; ``known_at`` is when it reaches the service, by default at once."""
        shop = self.shop
        occurred_at = shop.clock.at + SECOND if when is None else _instant(when)
        known = occurred_at if known_at is None else _instant(known_at)
        shop.clock.at = max(shop.clock.at, known)
        return shop.records(shop.incoming(self.name, body, occurred_at, profile))[0]

    def buys(
        self,
        order: str,
        *lines: Line | int,
        at: str | Instant | None = None,
        known_at: str | Instant | None = None,
        currency: str = "GBP",
        **more: Any,
    ) -> Outcome:
        """An order of these lines, as :func:`purchase` has it."""
        body = purchase(order, *lines, currency=currency, **more)
        return self.does(body, at, known_at=known_at)

    def returns(
        self,
        order: str,
        lines: Mapping[int, int] | None = None,
        *,
        money: Mapping[int, int] | None = None,
        amount: int = 0,
        at: str | Instant | None = None,
        known_at: str | Instant | None = None,
    ) -> Outcome:
        """Pieces by position, money by position, or an amount that names no line."""
        back = [RefundLine(position, quantity) for position, quantity in (lines or {}).items()]
        back += [RefundLine(position, 0, pence) for position, pence in (money or {}).items()]
        return self.does(Refunded(order, "GBP", back, amount), at, known_at=known_at)

    def cancels(self, order: str, at: str | None = None) -> Outcome:
        return self.does(Cancelled(order), at)

    def gets(self, order: str, at: str | None = None) -> Outcome:
        """The order is delivered."""
        return self.does(Delivered(order), at)

    def amends(
        self,
        order: str,
        *lines: Line,
        at: str | None = None,
        currency: str = "GBP",
        discount: int = 0,
    ) -> Outcome:
        return self.does(Amended(order, currency, list(lines), discount), at)

    def engages(self, of: str, at: str | None = None, **more: Any) -> Outcome:
        return self.does(Engaged(of, **more), at)

    def redeems(self, reward: str, at: str | None = None, *, by: str = "") -> Outcome:
        return self.does(RedemptionRequested(f"r{self.shop._sent}", reward, by=by), at)

    def holds(
        self,
        how_many: int = 0,
        at: str | Instant | None = None,
        *,
        hold: str = "",
        currency: str = "points",
        **more: Any,
    ) -> str:
        """Points set aside; answers the hold's name, also where that is refused."""
        name = hold or f"h{self.shop._sent}"
        self.told = self.does(HoldRequested(name, currency, how_many, **more), at)
        return name

    def captures(
        self, hold: str, points: int = 0, at: str | Instant | None = None, **more: Any
    ) -> Outcome:
        """Of what is held: all that is left, or a part."""
        return self.does(HoldCaptured(hold, f"r{self.shop._sent}", points, **more), at)

    def voids(self, hold: str, at: str | Instant | None = None) -> Outcome:
        return self.does(HoldVoided(hold), at)

    def is_extended(
        self, until: str | Instant, at: str | Instant | None = None, *, by: str = ""
    ) -> Outcome:
        """By hand: what would expire before ``until``, and by ``by``, lives until then."""
        expiring_by = _instant(by) if by else 0
        return self.does(Extended("points", _instant(until), "fair", "ops", expiring_by), at)

    def is_reinstated(self, until: str, at: str | None = None, **more: Any) -> Outcome:
        """By hand: what has expired lives again."""
        return self.does(Reinstated("points", _instant(until), "fair", "ops", **more), at)

    def undoes(self, redemption: str, points: int = 0, at: str | Instant | None = None) -> Outcome:
        return self.does(RedemptionCancelled(redemption, points, "changed_mind", "ops"), at)

    def uses(self, voucher: str, order: str = "", at: str | Instant | None = None) -> Outcome:
        return self.does(VoucherUsed(voucher, order), at)

    def loses(self, voucher: str, at: str | Instant | None = None) -> Outcome:
        """The voucher is voided."""
        return self.does(VoucherVoided(voucher, "mistake", "ops"), at)

    def claims(self, offer: str, reward: str, at: str | Instant | None = None) -> Outcome:
        return self.does(GiftClaimed(offer, reward), at)

    def enjoys(
        self, benefit: str, at: str | Instant | None = None, *, known_at: str | None = None
    ) -> Outcome:
        return self.does(BenefitUsed(benefit), at, known_at=known_at)

    def is_adjusted(self, by: int, at: str | None = None, currency: str = "points") -> Outcome:
        return self.does(Adjusted(currency, by, "goodwill", "ops"), at)

    def gives(self, to: str, how_many: int, at: str | None = None) -> Outcome:
        """Points for another member, still on their way."""
        transfer = f"t{self.shop._sent}"
        return self.does(TransferRequested(transfer, self.name, to, "points", how_many), at)

    def becomes_one_with(self, into: str, at: str | Instant | None = None) -> Outcome:
        """Asks that the account become part of another; nobody has heard of it yet."""
        merge = f"m{self.shop._sent}"
        return self.does(MergeRequested(merge, self.name, into, "duplicate", "ops"), at)

    def joins(self, pool: str, at: str | None = None, *, founds: bool = False) -> Outcome:
        """Asks; the pool's answer is still to come."""
        return self.does(PoolJoinRequested(self.name, pool, founds), at)

    def leaves_the_pool(self, at: str | None = None) -> Outcome:
        return self.does(PoolLeaveRequested(), at)

    def is_in(self, segment: str, start: str, end: str | None = None) -> Outcome:
        starts_at = _instant(start)
        ends_at = 0 if end is None else _instant(end)
        return self.does(Segmented(segment, starts_at, ends_at), start)

    def becomes(self, status: str, at: str | None = None) -> Outcome:
        return self.does(StatusChanged(status), at)

    def is_retried(self) -> Outcome:
        """The Tick that made the account stuck is decided again."""
        shop = self.shop
        outcome = settled(retry_tick(shop.session, shop.programs, shop.clock, self.name))
        shop.audits()
        return outcome

    # What the books say -----------------------------------------------------------------------

    @property
    def account(self) -> Account:
        return self.shop.store.account(self.name)

    @property
    def available(self) -> int:
        return self.account.available("points")

    @property
    def held(self) -> int:
        return self.account.held("points")

    @property
    def pending(self) -> int:
        return self.account.pending("points")

    @property
    def arrears(self) -> int:
        return self.account.arrears.get("points", 0)

    @property
    def owed(self) -> int:
        """Points owed in all currencies."""
        return sum(self.account.arrears.values())

    @property
    def tier(self) -> str:
        return self.account.standing.level

    def balance(self, bucket: str, currency: str = "points") -> int:
        """What lies in a bucket by the ledger."""
        return self.shop.auditor.books[self.name].balances[currency, bucket]

    def receipt(self, order: str) -> Receipt:
        return decode_receipt(self.shop.store.receipts[self.name, order])

    def voucher(self, voucher: str) -> Voucher:
        return decode_voucher(self.shop.store.vouchers[self.name, voucher])

    def vouchers(self) -> list[Voucher]:
        """All that the member ever had, in the order of their ids."""
        held = self.shop.store.vouchers
        return [decode_voucher(held[key]) for key in sorted(held) if key[0] == self.name]

    def redemption(self, redemption: str) -> Redemption:
        return decode_redemption(self.shop.store.redemptions[self.name, redemption])

    def entries(self, kind: str | None = None) -> list[LedgerEntry]:
        """Ledger entries in order, all or of one kind."""
        by_seq = self.shop.store.entries(self.name)
        return [
            entry for seq in sorted(by_seq) for entry in by_seq[seq] if kind in (None, entry.kind)
        ]

    def journal(self) -> list[tuple[str, str, str]]:
        """Kind, outcome and reason of every row."""
        rows = self.shop.store.journal
        return [row[2:5] for (member, _), row in rows.items() if member == self.name]

    def ticks(self) -> list[tuple[str, Instant]]:
        """The due moments decided, in order."""
        bodies = [
            msgspec.json.decode(row[14])
            for (member, _), row in self.shop.store.journal.items()
            if member == self.name and row[2] == "tick"
        ]
        return [(body["moment"], body["at"]) for body in bodies]

    def heard(self, kind: str) -> list[dict[str, Any]]:
        """The data of the events of a type (``tier.changed``), oldest first."""
        name = f"loyalty.{kind}.v1"
        events = events_of(self.shop.store, self.name)
        return [msgspec.json.decode(data) for _, type_, _, data in events if type_ == name]

    def lots(self) -> list[tuple[int, Instant]]:
        """What is left of each open lot, and when it expires (0: never)."""
        return [(lot.points, lot.expires_at % NEVER) for lot in self.account.lots]


def decision_of(outcome: Outcome) -> Decision:
    assert outcome.decision is not None
    return outcome.decision


def fired(outcome: Outcome) -> dict[str, int]:
    """Points by rule, as the trace has them."""
    told: Sequence[dict[str, Any]] = decision_of(outcome).trace.get("fired", ())
    return {fact["rule"]: fact["points"] for fact in told if fact["currency"] == "points"}


def missed(outcome: Outcome) -> dict[str, str]:
    """Why rules and boosts did not fire."""
    return dict(decision_of(outcome).trace.get("not", ()))


def _instant(when: str | Instant) -> Instant:
    return at(when) if isinstance(when, str) else when
