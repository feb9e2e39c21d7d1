"""An account: the working state that decisions about one member read and replace.

It is a projection of the journal (replay rebuilds it), stored as one compact JSON document. What a
decision no longer needs leaves it as a row: totals of empty lots, counters of past periods, closed
windows.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.ledger import lot_key
from services.loyalty.domain.receipt import Given, Posting


class Lot(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Points that share all that matters: a lot *is* its key, and lots with equal keys merge.

    Attributes:
        currency: the currency of the points.
        issued: month of issue in the programme's zone (``2011-02``); of a qualifying lot still
            pending, the window.
        expires_at: exclusive end of the points' life; ``NEVER`` where they do not expire, ``IDLE``
            where they do when the member has not been active, see :class:`Idle`; 0 while
            it is not yet known, because they count it from an activation that has not come.
        activates_at: 0 once available; else when they become so; ``NEVER`` while they await an
            event.
        awaits: the order whose delivery activates them, for lots that await one.
        points: what is left.
        taken_in: all points that entered since the lot came (back) into the working state.
    """

    currency: str
    issued: str
    expires_at: Instant
    activates_at: Instant
    awaits: str
    points: int
    taken_in: int

    @property
    def key(self) -> str:
        """The lot's name in ledger entries and receipts."""
        return lot_key(self.currency, self.issued, self.expires_at, self.activates_at, self.awaits)


class HeldLot(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Points that a hold keeps out of a lot, to which they return if they are not spent.

    ``extended_to`` is the later end of life that they were given meanwhile, or 0.
    """

    currency: str
    issued: str
    expires_at: Instant
    points: int
    extended_to: Instant = 0

    @property
    def key(self) -> str:
        """The name of the lot."""
        return lot_key(self.currency, self.issued, self.expires_at)


class Hold(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Points set aside until before ``ends_at``, to be captured, voided, or released by the clock.

    Attributes:
        id: the hold's name.
        currency: the currency that was asked for.
        points: all that were set aside; those not yet captured are in ``drawn``.
        drawn: what is still held of each lot, soonest to expire first.
        seq: of the journal row that made it.
        held_at, ends_at: from when, and until when.
        captured: points spent of it so far.
        reward: the reward for which they are held, or empty.
        for_order: the order for which they are held as money, or empty.
        money, amount: what that order costs, in minor units of an ISO 4217 currency.
        worth: what all its points pay of that, in minor units.
        step: parts of a payment are multiples of so many points; 0 for what is no payment.
        counters: the member's limit and the shared stock that were charged for the reward.
    """

    id: str
    currency: str
    points: int
    drawn: list[HeldLot]
    seq: int
    held_at: Instant
    ends_at: Instant
    captured: int = 0
    reward: str = ""
    for_order: str = ""
    money: str = ""
    amount: int = 0
    worth: int = 0
    step: int = 0
    counters: list[str] = []

    @property
    def left(self) -> int:
        """Points that are still set aside."""
        return sum(lot.points for lot in self.drawn)

    def worth_of(self, points: int) -> int:
        """What a part of its points pays, in minor units: whole ones, because of the step."""
        return points * self.worth // self.points


class Reach(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One reason to hold a tier: a level, reached at an instant and kept until before another.

    ``window`` names the qualifying window whose balance allowed it (the last month of a rolling
    one), so that a change to that window can judge it again; it is empty for a level held by
    falling to it (``cause`` ``fell``) or given by hand (``manual``).
    """

    level: str
    at: Instant
    until: Instant
    window: str
    cause: str = "reached"


class Standing(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The tier held, since when, and every reach that may still hold it up.

    ``grace_until`` is set while the tier period has ended and the member may still reach the level
    again.
    """

    level: str = ""
    since: Instant = 0
    reaches: list[Reach] = []
    grace_until: Instant = 0


class Membership(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A segment that the member is in from ``starts_at`` until before ``ends_at`` (``NEVER``: no
    end).
    """

    segment: str
    starts_at: Instant
    ends_at: Instant


class Waiting(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A parked activity: its journal seq, what it awaits (see :class:`~refusal.Park`), and when it
    lapses.
    """

    seq: int
    awaits: str
    lapses_at: Instant


class Referral(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Who brought this member (``friend``, by its own id), and the purchase that qualified, empty
    before: by which rule, what must be kept of it, and until before when it may be returned.
    """

    referrer: str
    friend: str
    order: str = ""
    rule: str = ""
    least: int = 0
    lines: list[int] = []
    ends_at: Instant = 0
    settled: bool = False


class Guest(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Of a receipt number: the member who claimed what was bought, empty where a claim was undone,
    and whether anything that came later has gone there too.
    """

    claimed_by: str = ""
    forwarded: bool = False


class StampSource(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What earned a stamp. Of an order (else empty): the least spend that must be kept of its
    ``lines`` (indexes in its receipt; empty for all), 0 where any will do.
    """

    order: str = ""
    least: int = 0
    lines: list[int] = []


class Stamp(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A stamp on a card. ``slot`` is the place that it fills: the period of a streak, what must
    differ, or its activity. It stands while any of its ``sources`` does, and until before
    ``ends_at``.
    """

    slot: str
    sources: list[StampSource]
    at: Instant
    ends_at: Instant


class FullCard(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A card that was full at ``at``, what it gave, and until before when a return may undo it."""

    at: Instant
    final_at: Instant
    stamps: list[Stamp]
    postings: list[Posting] = []
    rewards: list[str] = []
    counter: str = ""


class Card(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The stamps of one kind: those in hand, how often the card was full, the last slot of a full
    one, and full cards that a return may still undo.
    """

    stamps: list[Stamp] = []
    filled: int = 0
    last: str = ""
    full: list[FullCard] = []


class Idle(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Until when the points of a currency live that expire by inactivity.

    Until the latest of ``until``, which nothing withdraws, and of ``moves``: by rising end, the
    ends to which purchases moved it, with how many did that are not back whole.
    """

    until: Instant
    moves: list[tuple[Instant, int]] = []

    @property
    def ends_at(self) -> Instant:
        """The one date (exclusive)."""
        return max(self.until, self.moves[-1][0]) if self.moves else self.until


class OpenVoucher(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A voucher that can be used until before ``expires_at``; all else of it is a row."""

    id: str
    expires_at: Instant


class Offer(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A gift of which the member may choose one of ``rewards`` until before ``until``."""

    id: str
    gift: str
    rewards: list[str]
    until: Instant


class Approval(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An adjustment that waits for a second person, until before ``lapses_at``."""

    adjustment: str
    currency: str
    points: int
    reason: str
    actor: str
    lapses_at: Instant


class Returnable(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Points of orders whose return window began on one day (an ordinal of the proleptic Gregorian
    calendar); they can be spent from ``activates_at`` on.
    """

    day: int
    currency: str
    activates_at: Instant
    points: int


class LevelGift(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What rising to a level gave, which a refund that undoes the rise takes back, and which is not
    given again until before ``until``, the end of the tier period.
    """

    level: str
    until: Instant
    postings: list[Posting] = []
    rewards: list[Given] = []


class Merge(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """That the account of ``member`` becomes part of that of ``into``: asked, and once it is
    ``done``, for ever.
    """

    member: str
    into: str
    done: bool = False


class Household(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The pool that the member, ``member`` by its own id, shares points with.

    Attributes:
        pool: the pool, empty while there is none.
        turn: how many pools were asked for so far: an answer to an earlier one counts no more.
        since: from when it is shared; 0 while the pool has not answered.
        last, left_at: the pool that was left last, and when.
        refused: why the pool that was asked last did not let the member in.
    """

    member: str
    pool: str = ""
    turn: int = 0
    since: Instant = 0
    last: str = ""
    left_at: Instant = 0
    refused: str = ""


class PoolMember(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A member of a pool since ``since``, by the ``turn`` of its :class:`Household`."""

    member: str
    turn: int
    since: Instant


class Pool(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Of an account that is a pool: whose it is, its members as they came, the owner among them,
    and who else may spend where the programme lets the owner say so.
    """

    owner: str
    members: list[PoolMember]
    spenders: list[str] = []


class Affairs(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What most members never have: it costs an account that has none of it a reference.

    Attributes:
        blocked: ``earning`` and ``spending``, where they are blocked, with the reason.
        forfeits_at: of a closed account, when the points that it still has are forfeited.
        approvals: adjustments that wait for a second person.
        returnable: points inside the return window of their orders, soonest out of it first.
        level_gifts: what levels gave in tier periods that are not over.
        merge: the merge by which this account asked to end, or has ended.
        absorbed: members whose accounts this one took over, and those that theirs had, newest
            first.
        brought: referrals of absorbed members that are not settled yet, beside the account's own.
        years: by the years of absorbed members, which began with their enrolment, the own one in
            which each counts.
        household: the pool that the member shares points with, or did.
        pool: of an account that is a pool, also once it is closed.
    """

    blocked: dict[str, str] = {}
    forfeits_at: Instant = 0
    approvals: list[Approval] = []
    returnable: list[Returnable] = []
    level_gifts: list[LevelGift] = []
    merge: Merge | None = None
    absorbed: list[str] = []
    brought: list[Referral] = []
    years: dict[str, str] = {}
    household: Household | None = None
    pool: Pool | None = None


NO_AFFAIRS = Affairs()


def with_affairs(affairs: Affairs, **changes: object) -> Affairs:
    """The affairs after a change; the very default where nothing is left of them, because a default
    is known by identity.
    """
    changed = msgspec.structs.replace(affairs, **changes)
    return NO_AFFAIRS if changed == NO_AFFAIRS else changed


class Account(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The working state of one member; :mod:`decide` returns a new one and never changes one in
    place.

    Attributes:
        status: ``unenrolled``, ``active``, ``suspended``, ``closed``, ``merged``, ``erased``,
            ``stuck``, or ``pool``: no member's, but a household's.
        seq: seq of the last journal row, 0 before the first.
        as_of: effective time of the last journal row: the account's clock.
        recorded_at: ``recorded_at`` of the last journal row.
        enrolled_at: when the member enrolled, 0 before.
        lots: open lots, soonest expiry first.
        arrears: per currency, points owed (> 0).
        windows: per qualifying currency, points by window.
        standing: the tier.
        counters: ``rule/period`` → [times, points] taken from a limit or cap.
        purchases: purchases counted so far (for "nth purchase").
        segments: segments held, and held in the future.
        gifts: occasion → instant when it was last given.
        waiting: parked activities.
        stuck_from: the status to return to once a failed Tick has been decided.
        ticked: of the due moments on the instant ``as_of``, the last one decided, as (rank, name,
            seq); None where none is left of that instant.
        cards: stamps by the name of their card.
        badges: badges, and when they were given.
        zone: the member's own time zone (IANA), empty where none is known.
        code: the member's own referral code, empty before one was drawn.
        referral: who brought the member, and what became of it.
        idle: per currency that expires by inactivity, until when its points live.
        holds: open holds, in the order in which they were made.
        guest: for an account that is a receipt number, who claimed it.
        vouchers: vouchers that are open.
        offers: gifts that wait for a choice.
        affairs: what most members never have.
    """

    status: str = "unenrolled"
    seq: int = 0
    as_of: Instant = 0
    recorded_at: Instant = 0
    enrolled_at: Instant = 0
    lots: list[Lot] = []
    arrears: dict[str, int] = {}
    windows: dict[str, dict[str, int]] = {}
    standing: Standing = Standing()
    counters: dict[str, list[int]] = {}
    purchases: int = 0
    segments: list[Membership] = []
    gifts: dict[str, Instant] = {}
    waiting: list[Waiting] = []
    stuck_from: str = ""
    ticked: tuple[int, str, int] | None = None
    cards: dict[str, Card] = {}
    badges: dict[str, Instant] = {}
    zone: str = ""
    code: str = ""
    referral: Referral | None = None
    idle: dict[str, Idle] = {}
    holds: list[Hold] = []
    guest: Guest | None = None
    vouchers: list[OpenVoucher] = []
    offers: list[Offer] = []
    affairs: Affairs = NO_AFFAIRS

    @property
    def is_receipt(self) -> bool:
        """Whether it stands for a receipt number, under which a guest bought, and no member."""
        return self.guest is not None or any(held.awaits == "claim" for held in self.waiting)

    @property
    def merged_into(self) -> str:
        """The member whose account took this one over, empty where none did."""
        merge = self.affairs.merge
        return merge.into if merge is not None and merge.done else ""

    @property
    def referrals(self) -> list[Referral]:
        """Who brought the member, by any of the ids that became this account."""
        own = [] if self.referral is None else [self.referral]
        return [*own, *self.affairs.brought]

    def available(self, currency: str) -> int:
        """Points that can be spent."""
        return sum(
            lot.points for lot in self.lots if lot.currency == currency and not lot.activates_at
        )

    def pending(self, currency: str) -> int:
        """Points earned that cannot be spent yet."""
        return sum(lot.points for lot in self.lots if lot.currency == currency and lot.activates_at)

    def held(self, currency: str) -> int:
        """Points set aside by open holds."""
        return sum(
            lot.points for hold in self.holds for lot in hold.drawn if lot.currency == currency
        )


encode_account: Callable[[Account], bytes] = msgspec.json.Encoder().encode
"""The one canonical JSON of a working state."""

_decode = msgspec.json.Decoder(Account).decode


def decode_account(text: bytes | str) -> Account:
    """The working state that :func:`encode_account` wrote."""
    return _decode(text)
