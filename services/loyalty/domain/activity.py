"""Activities: facts that reached us, reduced to the fields that the programme may use.

An :class:`Activity` is an envelope (when it occurred, when we recorded it, who sent it) around one
*body*. Bodies are journaled as compact JSON in declaration order, so field order and defaults are
part of the engine: fields are only ever added at the end, with a default. Money is integer minor
units (ISO 4217 exponent). No personal data is here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, get_args

import msgspec

from services.loyalty.domain.account import Account, Standing
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.receipt import ReceiptLine


class Body(msgspec.Struct, frozen=True, gc=False, tag_field="kind", omit_defaults=True):
    """What all bodies share: they are values, and their JSON names their kind."""


class Enrolled(Body, frozen=True, gc=False, tag="enrolment"):
    """A member joined the programme; ``referred_by`` is the referrer's code, if one was given, and
    ``zone`` the member's own time zone (IANA), if it is known.
    """

    channel: str = ""
    referred_by: str = ""
    zone: str = ""


class ProfileUpdated(Body, frozen=True, gc=False, tag="profile"):
    """Fields of the profile changed. Only their names are journaled; the values live in the
    profile. The member's own time zone (IANA) is no part of it: a campaign goes by it, so it is
    here where it changed.
    """

    fields: list[str] = []
    zone: str = ""


class Segmented(Body, frozen=True, gc=False, tag="segment"):
    """The member is in ``segment`` from ``starts_at`` until before ``ends_at`` (0: no end)."""

    segment: str
    starts_at: Instant
    ends_at: Instant = 0


class StatusChanged(Body, frozen=True, gc=False, tag="status"):
    """The account is to be ``active``, ``suspended``, ``closed`` or ``erased``, for a stated
    reason.
    """

    status: str
    reason: str = ""
    actor: str = ""


class Blocked(Body, frozen=True, gc=False, tag="block"):
    """``earning`` or ``spending`` (``what``) is blocked from now on, or no longer."""

    what: str
    blocked: bool
    reason: str = ""
    actor: str = ""


class Approved(Body, frozen=True, gc=False, tag="approval"):
    """A second person approves, or declines, an adjustment that waits for it."""

    adjustment: str
    approved: bool
    actor: str


class Line(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One line of an order. ``discount`` lowers ``quantity × unit_price``; ``tax`` is contained in
    the result.
    """

    position: int
    sku: str
    quantity: int
    unit_price: int
    discount: int = 0
    tax: int = 0
    category: str = ""
    brand: str = ""

    @property
    def paid(self) -> int:
        """What the line cost after its own discount, tax included, in minor units."""
        return self.quantity * self.unit_price - self.discount


class Purchased(Body, frozen=True, gc=False, tag="purchase"):
    """A completed order. ``discount`` is order-wide and is shared by the lines in proportion to
    what each cost; ``prepaid`` is the part paid by points, vouchers or gift cards; ``shipping`` is
    outside the lines. Of a ``guest`` the account is a receipt number.
    """

    order: str
    currency: str
    lines: list[Line]
    discount: int = 0
    shipping: int = 0
    prepaid: int = 0
    channel: str = ""
    store: str = ""
    payment: str = ""
    guest: bool = False


class Delivered(Body, frozen=True, gc=False, tag="delivery"):
    """All of an order reached the member."""

    order: str


class Amended(Body, frozen=True, gc=False, tag="amendment"):
    """An order now has these lines, and this discount on the whole: lower lines count as returned,
    new positions are earned on their own.
    """

    order: str
    currency: str
    lines: list[Line]
    discount: int = 0


class Cancelled(Body, frozen=True, gc=False, tag="cancellation"):
    """An order was called off whole: a full refund with its own reason."""

    order: str
    reason: str = ""


class RefundLine(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What came back of one line: a quantity, an amount of money, or both (they add up)."""

    position: int
    quantity: int = 0
    amount: int = 0


class Refunded(Body, frozen=True, gc=False, tag="refund"):
    """Lines came back, or money was given back without naming a line (``amount``)."""

    order: str
    currency: str
    lines: list[RefundLine] = []
    amount: int = 0


class Engaged(Body, frozen=True, gc=False, tag="engagement"):
    """Something other than a purchase: ``of`` names it (``product.reviewed``, ``survey.answered``
    …).
    """

    of: str
    channel: str = ""
    about: str = ""


class RedemptionRequested(Body, frozen=True, gc=False, tag="redemption"):
    """A member asks for a reward of the catalogue at its cost; or, without one, pays ``points`` as
    money for an order of ``amount`` in ``money``. ``by`` is who spends the points of a pool.
    """

    redemption: str
    reward: str
    points: int = 0
    for_order: str = ""
    money: str = ""
    amount: int = 0
    by: str = ""


class HoldRequested(Body, frozen=True, gc=False, tag="hold"):
    """Points are to be set aside until they are captured: for a reward, as money for an order of
    ``amount`` in ``money``, or just so many of a currency. ``ttl_s`` is 0 where the programme says
    how long, and ``by`` who spends the points of a pool.
    """

    hold: str
    currency: str = ""
    points: int = 0
    reward: str = ""
    for_order: str = ""
    money: str = ""
    amount: int = 0
    ttl_s: int = 0
    by: str = ""


class HoldCaptured(Body, frozen=True, gc=False, tag="capture"):
    """Held points are spent, as ``redemption``: all that is left (``points`` 0), or a part, after
    which the rest may be released.
    """

    hold: str
    redemption: str
    points: int = 0
    release_rest: bool = False


class HoldVoided(Body, frozen=True, gc=False, tag="void"):
    """What a hold still sets aside is not needed any more."""

    hold: str


class Extended(Body, frozen=True, gc=False, tag="extension"):
    """Points that would expire before ``until``, and by ``expiring_by`` (0: whenever), are to live
    until then.
    """

    currency: str
    until: Instant
    reason: str
    actor: str
    expiring_by: Instant = 0


class Reinstated(Body, frozen=True, gc=False, tag="reinstatement"):
    """Points that expired no earlier than ``expired_from`` are to live again until ``until``: all
    of them (``points`` 0), or so many, the latest to expire first.
    """

    currency: str
    until: Instant
    reason: str
    actor: str
    points: int = 0
    expired_from: Instant = 0


class RedemptionCancelled(Body, frozen=True, gc=False, tag="redemption_cancellation"):
    """A redemption is undone: ``points`` of it go back, 0 for all that are left."""

    redemption: str
    points: int = 0
    reason: str = ""
    actor: str = ""


class VoucherUsed(Body, frozen=True, gc=False, tag="voucher_use"):
    """The shop honoured a voucher, on the order ``used_on`` if it says so."""

    voucher: str
    used_on: str = ""


class VoucherVoided(Body, frozen=True, gc=False, tag="voucher_void"):
    """A voucher is withdrawn, for a stated reason."""

    voucher: str
    reason: str
    actor: str = ""


class GiftClaimed(Body, frozen=True, gc=False, tag="gift_claim"):
    """A member chose ``reward`` among those of an offer."""

    offer: str
    reward: str


class BenefitUsed(Body, frozen=True, gc=False, tag="benefit_use"):
    """A member made use of a benefit of the tier, ``about`` something that the shop names."""

    benefit: str
    about: str = ""


class Adjusted(Body, frozen=True, gc=False, tag="adjustment"):
    """Points granted (positive) or taken (negative) by hand, with a reason code and an actor.

    ``adjustment`` names it for the second person whose approval it may need.
    """

    currency: str
    points: int
    reason: str
    actor: str
    adjustment: str = ""


class TierGiven(Body, frozen=True, gc=False, tag="tier"):
    """A level given by hand until before an instant (0: no end), with a reason code and an actor;
    an empty level ends what was given.
    """

    level: str
    until: Instant
    reason: str
    actor: str


class TransferRequested(Body, frozen=True, gc=False, tag="transfer"):
    """``from_member`` gives available points to another member."""

    transfer: str
    from_member: str
    to_member: str
    currency: str
    points: int


class TransferredLot(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Points in transit with the expiry that they keep."""

    issued: str
    expires_at: Instant
    points: int


class TransferReceived(Body, frozen=True, gc=False, tag="transfer_in"):
    """Derived: the other half of a transfer reaches its target."""

    transfer: str
    from_member: str
    to_member: str
    currency: str
    lots: list[TransferredLot]


class TransferReturned(Body, frozen=True, gc=False, tag="transfer_back"):
    """Derived: the target refused the transfer, and the points come back from transit."""

    transfer: str
    to_member: str
    currency: str
    lots: list[TransferredLot]
    reason: str = ""


class Tick(Body, frozen=True, gc=False, tag="tick"):
    """The clock reached a moment that matters to this account.

    ``moment`` is one of :data:`MOMENTS`; ``at`` is its instant. ``name`` is the occasion, for
    occasions, and what ends, for lapses (``collect:six-orders``, ``referral:536365``,
    ``voucher:v12-0``), else empty.
    """

    moment: str
    at: Instant
    name: str = ""


class Resumed(Body, frozen=True, gc=False, tag="resumed"):
    """What the activity of journal row ``seq`` was waiting for has come."""

    seq: int


class Lapsed(Body, frozen=True, gc=False, tag="lapsed"):
    """What the activity of journal row ``seq`` was waiting for has not come in time."""

    seq: int


class Stuck(Body, frozen=True, gc=False, tag="stuck"):
    """A Tick failed: until it is decided, activities of the account wait."""

    moment: str
    at: Instant
    error: str = ""


class Unstuck(Body, frozen=True, gc=False, tag="unstuck"):
    """The Tick that failed is to be decided again; what waited for it follows in order."""


class ReferralQualified(Body, frozen=True, gc=False, tag="referral_qualified"):
    """Derived: a friend's purchase qualified. ``order`` names the referral's receipt here,
    ``points`` by currency is what its rule gives a referrer. Those of the currency ``budget`` are
    set aside in the rule's budget already.
    """

    order: str
    rule: str
    points: dict[str, int] = {}
    budget: str = ""


class ReferralCancelled(Body, frozen=True, gc=False, tag="referral_cancelled"):
    """Derived: too little is kept of the friend's purchase."""

    order: str


class ReferralSettled(Body, frozen=True, gc=False, tag="referral_settled"):
    """Derived: the return window of the friend's purchase has ended."""

    order: str


class PurchaseClaimed(Body, frozen=True, gc=False, tag="claim"):
    """The member ``by`` claims what a guest bought under this ``receipt`` number, the account's."""

    claim: str
    receipt: str
    by: str


class ClaimedPurchase(Body, frozen=True, gc=False, tag="claimed"):
    """Derived: a guest's purchase becomes that of the member who claimed it, ``by``."""

    order: str
    receipt: str
    by: str
    purchase: Purchased


class ClaimReturned(Body, frozen=True, gc=False, tag="claim_back"):
    """Derived: the account of the member ``by`` refused the purchase."""

    order: str
    by: str
    reason: str = ""


class OpeningLot(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Points that a member brings along: when they were earned, and the end of their life.

    Of a currency that counts for tiers, ``earned_at`` says in which window they count, and they
    have no end. ``activates_at`` is when they can be spent (0: they can), or, where they await the
    delivery of the order ``awaits``, by when it must have come.
    """

    currency: str
    points: int
    earned_at: Instant
    expires_at: Instant
    activates_at: Instant = 0
    awaits: str = ""


class OpeningPosting(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What an order had earned by one rule in one currency, by line (``allocated``), into one lot,
    and how a refund takes it back: as in a :class:`~services.loyalty.domain.receipt.Posting`.
    """

    rule: str
    currency: str
    allocated: list[int]
    earned_at: Instant
    expires_at: Instant
    activates_at: Instant = 0
    awaits: str = ""
    on_refund: str = "prorate"
    min_spend: int = 0
    eligible: list[int] = []
    prorates: bool = True
    step: int = 0
    steps: int = 0


class OpeningOrder(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An order that may still come back, with what has come back of it already."""

    order: str
    currency: str
    occurred_at: Instant
    lines: list[ReceiptLine]
    postings: list[OpeningPosting]
    delivered_at: Instant = 0
    returned_unlined: int = 0


class OpeningPaid(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Consideration for points of a month of issue that is not recognised yet: ``amount`` minor
    units of ``money``.
    """

    currency: str
    issued: str
    money: str
    funding: str
    amount: int


class Opening(Body, frozen=True, gc=False, tag="opening"):
    """A member comes from another system with all that was there: nothing of it is judged again.

    Attributes:
        enrolled_at: when the member had joined.
        standing: the tier, and every reason to hold it.
        lots: points by lot. arrears: points owed, by currency.
        idle: until when points live that expire by inactivity, by currency.
        counters: what limits and caps count, by the name of the counter: [times, points].
        purchases: purchases made so far.
        gifts: occasion → instant when it was last given.
        orders: what may still come back.
        paid: what was paid for the points.
        suspended, blocked: whether the account is, and what of it.
        zone: the member's own time zone (IANA), if it is known.
    """

    enrolled_at: Instant
    standing: Standing = Standing()
    lots: list[OpeningLot] = []
    arrears: dict[str, int] = {}
    idle: dict[str, Instant] = {}
    counters: dict[str, list[int]] = {}
    purchases: int = 0
    gifts: dict[str, Instant] = {}
    orders: list[OpeningOrder] = []
    paid: list[OpeningPaid] = []
    suspended: bool = False
    blocked: list[str] = []
    zone: str = ""


class MergeRequested(Body, frozen=True, gc=False, tag="merge"):
    """The account of ``from_member`` is to become part of that of ``into``: both are one person."""

    merge: str
    from_member: str
    into: str
    reason: str
    actor: str = ""


class MergeOffered(Body, frozen=True, gc=False, tag="merge_offer"):
    """Derived: an account asks another one to take it over. Nothing has moved yet.

    ``referrer`` is who brought its member, where that is not settled yet.
    """

    merge: str
    from_member: str
    into: str
    referrer: str = ""


class MergeAnswered(Body, frozen=True, gc=False, tag="merge_answer"):
    """Derived: what the other account says: nothing against it, or why it ``refused``. ``ids`` are
    all by which its member is known.
    """

    merge: str
    into: str
    ids: list[str] = []
    refused: str = ""


class MergeReceived(Body, frozen=True, gc=False, tag="merge_in"):
    """Derived: a part of what the account of ``from_member`` had.

    Parts may arrive in any order, each of them says all that it needs. ``state`` is so much of a
    working state, ``history`` so many of the counters and windows that had left it, ``expired`` the
    points by lot that a clawback may still find; ``given`` is what the member got for enrolling.
    """

    merge: str
    from_member: str
    part: int
    parts: int
    state: Account
    history: dict[str, list[int]] = {}
    expired: dict[str, int] = {}
    given: list[str] = []


class PoolJoinRequested(Body, frozen=True, gc=False, tag="pool_join"):
    """The member, ``member`` by its own id, is to share points with a pool, which is made for it
    where it ``founds`` one.
    """

    member: str
    pool: str
    founds: bool = False


class PoolLeaveRequested(Body, frozen=True, gc=False, tag="pool_leave"):
    """The member is to share points with its pool no more."""


class PoolAsked(Body, frozen=True, gc=False, tag="pool_ask"):
    """Derived: a member asks a pool to be let in, for the ``turn``-th time that it asks any."""

    pool: str
    member: str
    turn: int
    founds: bool = False


class PoolAnswered(Body, frozen=True, gc=False, tag="pool_answer"):
    """Derived: the pool let the member in; or, for a ``reason``, did not, or does not any more."""

    pool: str
    turn: int
    reason: str = ""


class PoolLeft(Body, frozen=True, gc=False, tag="pool_left"):
    """Derived: a member has left the pool."""

    pool: str
    member: str
    turn: int
    reason: str = ""


class PoolSpendersNamed(Body, frozen=True, gc=False, tag="pool_spenders"):
    """The owner of a pool, ``by``, names all other members who may spend its points."""

    spenders: list[str]
    by: str


class PoolContributed(Body, frozen=True, gc=False, tag="pool_in"):
    """Derived: points that a member earned reach the pool, ``for_order`` if there is one."""

    pool: str
    member: str
    currency: str
    lots: list[TransferredLot]
    for_order: str = ""


class PoolRecalled(Body, frozen=True, gc=False, tag="pool_recall"):
    """Derived: points of a lot that a member gave to the pool were taken back, for an order. The
    member has given ``sent`` points of that lot in all.
    """

    pool: str
    member: str
    lot: str
    points: int
    sent: int
    for_order: str
    reason: str


class PoolShort(Body, frozen=True, gc=False, tag="pool_short"):
    """Derived: the pool does not have so many of the points that were recalled."""

    pool: str
    lot: str
    points: int
    for_order: str
    reason: str


MOMENTS = (
    "activation",
    "hold_end",
    "tier_review",
    "grace_end",
    "window_close",
    "expiry",
    "lapse",
    "notice",
    "tier_warning",
    "occasion",
)
"""Kinds of due moment, in the order in which they are decided when they fall on one instant."""

AnyBody: TypeAlias = (
    Enrolled
    | ProfileUpdated
    | Segmented
    | StatusChanged
    | Purchased
    | Delivered
    | Amended
    | Cancelled
    | Refunded
    | Engaged
    | RedemptionRequested
    | Adjusted
    | TierGiven
    | TransferRequested
    | TransferReceived
    | TransferReturned
    | Tick
    | Resumed
    | Lapsed
    | Stuck
    | Unstuck
    | ReferralQualified
    | ReferralCancelled
    | ReferralSettled
    | HoldRequested
    | HoldCaptured
    | HoldVoided
    | Extended
    | Reinstated
    | PurchaseClaimed
    | ClaimedPurchase
    | ClaimReturned
    | RedemptionCancelled
    | VoucherUsed
    | VoucherVoided
    | GiftClaimed
    | BenefitUsed
    | Blocked
    | Approved
    | Opening
    | MergeRequested
    | MergeOffered
    | MergeAnswered
    | MergeReceived
    | PoolJoinRequested
    | PoolLeaveRequested
    | PoolAsked
    | PoolAnswered
    | PoolLeft
    | PoolSpendersNamed
    | PoolContributed
    | PoolRecalled
    | PoolShort
)


encode_body: Callable[[AnyBody], bytes] = msgspec.json.Encoder().encode
"""The one canonical JSON of a body."""

_decode = msgspec.json.Decoder(AnyBody).decode

KINDS: dict[type, str] = {kind: str(kind.__struct_config__.tag) for kind in get_args(AnyBody)}
"""The journal's name of each kind of body, such as ``purchase``."""


def kind_of(body: AnyBody) -> str:
    """The journal's name of a body's kind."""
    return KINDS[type(body)]


def decode_body(text: bytes | str) -> AnyBody:
    """The body that :func:`encode_body` wrote.

    Raises:
        msgspec.ValidationError: not such a text.
    """
    body: AnyBody = _decode(text)
    return body
