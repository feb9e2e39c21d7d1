"""What the HTTP face takes in and gives out about members.

Points are whole numbers. Instants are RFC 3339 texts in UTC; an end is exclusive, and null means
that there is none.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from services.loyalty.http import examples

Moment: TypeAlias = Annotated[
    str, Field(json_schema_extra={"format": "date-time"}, examples=["2011-06-01T00:00:00Z"])
]
Status: TypeAlias = Literal[
    "unenrolled", "active", "suspended", "closed", "merged", "erased", "stuck", "pool"
]
STATUS: TypeAdapter[Status] = TypeAdapter(Status)
HoldState: TypeAlias = Literal["open", "captured", "voided", "lapsed", "closed"]
HOLD_STATE: TypeAdapter[HoldState] = TypeAdapter(HoldState)
MAX_POINTS = 1_000_000_000_000
"""No request moves more points than this at once; sums stay far inside 64 bits."""


class Shown(BaseModel):
    """What all models share: they are values, and unknown fields are mistakes."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Name: TypeAlias = Annotated[
    str,
    Field(description="What people call it, in the language asked for; the id for no name."),
]
NameOrNull: TypeAlias = Annotated[
    str | None,
    Field(description="What people call it, in the language asked for; null for nothing to name."),
]
Description: TypeAlias = Annotated[
    str | None,
    Field(description="What it is, in the language asked for; null where nothing is said of it."),
]


Names: TypeAlias = Annotated[
    dict[str, str],
    Field(
        description="What people call the rules, boosts, cards and levels of the trace, in the "
        "language asked for.",
        examples=[{"base": "A point for every pound"}],
    ),
]


class Balance(Shown):
    """What a member has in one currency that can be spent."""

    currency: str = Field(description="The currency of points.", examples=["points"])
    available: int = Field(description="Points that can be spent now.", ge=0)
    pending: int = Field(description="Points earned that cannot be spent yet.", ge=0)
    held: int = Field(description="Points set aside for an order at checkout.", ge=0)
    arrears: int = Field(
        description="Points owed, because a refund took back more than was left.", ge=0
    )


class Balances(Shown):
    """All balances of a member, as of one instant."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.BALANCES]})

    member_id: str = Field(description="The member.")
    as_of: Moment = Field(description="The instant for which the balances hold.")
    notice: str | None = Field(
        default=None, description="Why the state may be behind, where it may be."
    )
    balances: list[Balance] = Field(description="One for each currency that can be spent.")


class Qualifying(Shown):
    """What counts towards tiers at the moment."""

    currency: str = Field(description="The qualifying currency.")
    window: str = Field(description="The window that counts now: `2011-03` or `2011`.")
    points: int = Field(description="Points in that window; refunds can make them negative.")


class LevelCondition(Shown):
    """What a level needs of one currency."""

    currency: str = Field(description="The qualifying currency.", examples=["orders"])
    needs: int = Field(description="How much the window must count.", ge=0)
    missing: int = Field(description="How much of it is still missing.", ge=0)
    money: str | None = Field(
        description="Where money spent is counted: which, and the numbers are in its minor units.",
        examples=["GBP"],
    )


How: TypeAlias = Literal["all", "any"]
HOW: TypeAdapter[How] = TypeAdapter(How)


class NextLevel(Shown):
    """The way up."""

    level: str = Field(description="The next higher level.")
    name: Name
    threshold: int = Field(description="Qualifying points from which it is reached.")
    missing: int = Field(description="Qualifying points still missing.", ge=0)
    how: How = Field(description="Whether all conditions are needed, or any one of them.")
    conditions: list[LevelCondition] = Field(description="What it needs, currency by currency.")
    points: dict[str, int] = Field(description="Points that rising to it gives, by currency.")
    rewards: list[str] = Field(
        description="Rewards that rising to it gives, by their ids, as far as there are any left."
    )


class Keep(Shown):
    """What keeps the level that is held."""

    threshold: int = Field(description="Qualifying points from which the level is reached again.")
    missing: int = Field(description="Qualifying points still missing; 0 when it is kept.", ge=0)
    by: Moment | None = Field(description="Before when; null where the level has no end.")
    how: How = Field(description="Whether all conditions are needed, or any one of them.")
    conditions: list[LevelCondition] = Field(description="What it needs, currency by currency.")


class ManualLevel(Shown):
    """A level given by hand, which holds the tier up whatever was earned."""

    level: str = Field(description="The level given.", examples=["gold"])
    name: Name
    since: Moment = Field(description="Since when.")
    until: Moment | None = Field(description="Until before when; null: no end.")


class Benefit(Shown):
    """Something that holders of the tier may claim."""

    name: str = Field(description="The benefit's id.", examples=["priority-shipping"])
    label: Name
    description: Description
    terms: str = Field(description="How much of it: `unlimited`, `2 per year`.")


class Tier(Shown):
    """The tier that a member holds, and what comes next."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TIER]})

    level: str = Field(description="The level held.", examples=["silver"])
    name: Name
    description: Description
    since: Moment | None = Field(description="Since when it has been held.")
    until: Moment | None = Field(description="The end of its tier period; null: no end.")
    grace_until: Moment | None = Field(
        description="Set while the period has ended and reaching the level again still keeps it."
    )
    qualifying: Qualifying = Field(description="What counts towards tiers now.")
    next: NextLevel | None = Field(description="The next level; null at the top.")
    keep: Keep | None = Field(description="What keeps the level; null for everybody's level.")
    benefits: list[Benefit] = Field(description="What the level brings.")
    manual: ManualLevel | None = Field(description="The level given by hand; null without one.")


class Member(Shown):
    """One member at a glance."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.MEMBER]})

    member_id: str = Field(description="The opaque id that the shop gave.", examples=["17850"])
    status: Status = Field(description="Of the account.")
    enrolled_at: Moment | None = Field(description="When the member enrolled.")
    as_of: Moment = Field(description="The instant for which all of this holds.")
    notice: str | None = Field(
        default=None, description="Why the state may be behind, where it may be."
    )
    program_version: int = Field(description="The programme version that holds now.")
    balances: list[Balance] = Field(description="One for each currency that can be spent.")
    tier: Tier | None = Field(description="Null where the programme has no tiers.")
    blocked: list[str] = Field(
        description="What is blocked apart from the status: `earning`, `spending`."
    )
    points_kept_until: Moment | None = Field(
        description="Of a closed account: before when reopening it keeps its points."
    )


class LotShown(Shown):
    """Points that share month of issue, expiry and, while pending, their activation."""

    currency: str = Field(description="The currency of the points.")
    state: Literal["available", "pending"] = Field(description="Whether they can be spent.")
    points: int = Field(description="What is left of them.", gt=0)
    issued: str = Field(description="Month of issue in the programme's zone.", examples=["2011-02"])
    activates_at: Moment | None = Field(
        description="When pending points can be spent; null if available or awaiting a delivery."
    )
    awaits_delivery_of: str | None = Field(description="The order that must be delivered first.")
    awaits_referral: bool = Field(
        default=False, description="Whether they await the end of a referral's return window."
    )
    expires_at: Moment | None = Field(
        description="When they expire; null if never, or if that counts from a delivery to come."
    )
    while_active: bool = Field(
        description="Whether they expire by inactivity, so that activity moves their end."
    )


class Lots(Shown):
    """A member's open lots, those that expire first in front: the order in which they are spent."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.LOTS]})

    member_id: str = Field(description="The member.")
    as_of: Moment = Field(description="The instant for which the lots hold.")
    notice: str | None = Field(
        default=None, description="Why the state may be behind, where it may be."
    )
    lots: list[LotShown] = Field(description="Open lots.")


class EntryShown(Shown):
    """A transfer of points between two buckets."""

    kind: str = Field(description="What the transfer means.", examples=["accrual"])
    currency: str = Field(description="The currency of the points.")
    points: int = Field(description="How many.", gt=0)
    from_bucket: str = Field(description="Where they come from.", examples=["issuance"])
    to_bucket: str = Field(description="Where they go.", examples=["pending"])
    lot_from: str | None = Field(description="The lot that they leave.")
    lot_to: str | None = Field(description="The lot that they enter.")
    cause: str | None = Field(description="The rule, reward or reason code.", examples=["base"])
    cause_name: NameOrNull
    order: str | None = Field(description="The order concerned.")


class JournalItem(Shown):
    """One activity, what was decided on it and why: a row of the journal with its entries."""

    seq: int = Field(description="Its place in the member's journal, counted from 1.")
    kind: str = Field(description="The kind of activity.", examples=["purchase"])
    outcome: Literal["accepted", "refused", "parked"] = Field(description="What was decided.")
    reason: str | None = Field(description="Stable code of a refusal or of what is awaited.")
    reason_name: NameOrNull
    program_version: int = Field(description="The programme version that judged.")
    occurred_at: Moment = Field(description="When it happened, as its producer says.")
    recorded_at: Moment = Field(description="When it was recorded.")
    effective_at: Moment = Field(description="When it took effect on the account.")
    source: str | None = Field(description="Its producer; null for what the service made itself.")
    event_id: str | None = Field(description="Its id there.")
    activity: dict[str, Any] = Field(description="What was journaled of the activity.")
    entries: list[EntryShown] = Field(description="The points that moved; empty where none did.")
    trace: dict[str, Any] = Field(
        description="Rules considered: which fired with what arithmetic, and why others did not."
    )
    names: Names


class Entries(Shown):
    """A page of the journal, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ENTRIES]})

    member_id: str = Field(description="The member.")
    items: list[JournalItem] = Field(description="Activities with their entries, newest first.")
    next: str | None = Field(description="The `cursor` of the next page; null on the last.")


class CatalogueReward(Shown):
    """A reward of the catalogue, seen by one member."""

    reward: str = Field(description="The reward's id.", examples=["five-off"])
    name: Name
    description: Description
    cost: int = Field(description="What it costs, in points.", ge=0)
    currency: str = Field(description="The currency of the cost.")
    affordable: bool = Field(description="Whether the member could redeem it now.")
    missing: int = Field(description="Points still missing; 0 if there are enough.", ge=0)
    closed_because: str | None = Field(
        description="Why it is not open to the member: `tier_too_low`; null where it is."
    )
    reasons: list[dict[str, Any]] = Field(
        description="Everything that stands against redeeming it now, each with its `code` and"
        " facts, as a refused redemption would say it, and a `name` where the programme has one"
        " for the code; empty where nothing does."
    )


class RewardIssued(Shown):
    """A reward that the member got."""

    reward: str = Field(description="The reward's id.")
    name: Name
    how: str = Field(description="By `redemption`, as a `gift`, by a `tier` or by a `rule`.")
    by: str = Field(description="The redemption's id, or the gift, card, rule or level.")
    by_name: NameOrNull
    points: int = Field(description="Points paid for it; 0 for a gift.", ge=0)
    issued_at: Moment = Field(description="When.")
    voucher: str | None = Field(
        default=None, description="Id of its voucher, if it has one: see /vouchers."
    )


class Rewards(Shown):
    """What a member could redeem, and what the member got."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.REWARDS]})

    member_id: str = Field(description="The member.")
    as_of: Moment = Field(description="The instant for which the catalogue holds.")
    notice: str | None = Field(
        default=None, description="Why the state may be behind, where it may be."
    )
    catalogue: list[CatalogueReward] = Field(description="Rewards with a cost, cheapest first.")
    issued: list[RewardIssued] = Field(description="The latest hundred, newest first.")


class OrderToPay(Shown):
    """An order for which points pay."""

    order_id: str = Field(
        description="The order's id at the shop.",
        pattern=r"^[^\x00-\x1f]{1,128}$",
        examples=["536365"],
    )
    amount: str = Field(
        description="What it costs, before points: a decimal string.", examples=["49.90"]
    )
    currency: str = Field(description="Its ISO 4217 code.", pattern="^[A-Z]{3}$", examples=["GBP"])


class RedemptionRequest(Shown):
    """A member asks for a reward of the catalogue at its cost, or pays for an order with points.
    Give either `reward`, or `order` and `points`.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [examples.REDEMPTION_REQUEST, examples.PAYMENT_REQUEST]}
    )

    reward: str | None = Field(
        default=None,
        description="The reward's id in the catalogue.",
        min_length=1,
        max_length=128,
    )
    order: OrderToPay | None = Field(default=None, description="The order to pay for.")
    points: int | None = Field(
        default=None,
        description="With `order`: how many points are to pay.",
        gt=0,
        le=MAX_POINTS,
        strict=True,
    )


class HoldRequest(Shown):
    """Points to be set aside: for a `reward`, as money for an `order` (then with `points`), or so
    many `points` of a `currency`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                examples.HOLD_REQUEST,
                examples.REDEMPTION_REQUEST,
                examples.PLAIN_HOLD_REQUEST,
            ]
        }
    )

    reward: str | None = Field(
        default=None, description="The reward's id.", min_length=1, max_length=128
    )
    order: OrderToPay | None = Field(default=None, description="The order to pay for.")
    currency: str | None = Field(
        default=None,
        description="The currency of the points, where they are for nothing else that says it.",
        min_length=1,
        max_length=64,
    )
    points: int | None = Field(
        default=None, description="How many.", gt=0, le=MAX_POINTS, strict=True
    )
    ttl_s: int | None = Field(
        default=None,
        description="Seconds after which the clock gives them back; what the programme says where"
        " it is left out.",
        gt=0,
        le=366 * 86_400,
        strict=True,
    )


class CaptureRequest(Shown):
    """Held points to be spent: all that are left, or a part."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CAPTURE_REQUEST]})

    points: int | None = Field(
        default=None,
        description="How many; all that are still held where it is left out.",
        gt=0,
        le=MAX_POINTS,
        strict=True,
    )
    release_rest: bool = Field(
        default=False, description="Whether what is held beyond them is given back at once."
    )


Reason: TypeAlias = Annotated[
    str,
    Field(
        description="A reason code of your own.",
        pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$",
        examples=["goodwill"],
    ),
]
Actor: TypeAlias = Annotated[
    str,
    Field(
        description="Who decided it: an opaque id, never a name or an e-mail address.",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$",
        examples=["agent-7"],
    ),
]


class ExtensionRequest(Shown):
    """Available points that are to expire later."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.EXTENSION_REQUEST]})

    currency: str = Field(description="The currency of the points.", min_length=1, max_length=64)
    until: Moment = Field(description="Exclusive end of their life then.")
    expiring_by: Moment | None = Field(
        default=None,
        description="Only points that would expire by then; all that would expire before `until`"
        " where it is left out.",
    )
    reason: Reason
    actor: Actor


class ReinstatementRequest(Shown):
    """Expired points that are to live again."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.REINSTATEMENT_REQUEST]})

    currency: str = Field(description="The currency of the points.", min_length=1, max_length=64)
    until: Moment = Field(description="Exclusive end of their new life.")
    points: int | None = Field(
        default=None,
        description="How many, those that expired last first; all where it is left out.",
        gt=0,
        le=MAX_POINTS,
        strict=True,
    )
    expired_from: Moment | None = Field(
        default=None, description="Only points that expired then or later."
    )
    reason: Reason
    actor: Actor


class TransferRequest(Shown):
    """A member gives available points to another member."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TRANSFER_REQUEST]})

    to_member: str = Field(description="Who gets the points.", min_length=1, max_length=128)
    currency: str = Field(description="The currency of the points.", min_length=1, max_length=64)
    points: int = Field(description="How many.", gt=0, le=MAX_POINTS, strict=True)


class AdjustmentRequest(Shown):
    """Points granted or taken by hand."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ADJUSTMENT_REQUEST]})

    currency: str = Field(description="The currency of the points.", min_length=1, max_length=64)
    points: int = Field(
        description="Granted if positive, taken if negative; never 0.",
        ge=-MAX_POINTS,
        le=MAX_POINTS,
        strict=True,
    )
    reason: Reason
    actor: Actor


class TierRequest(Shown):
    """A level given by hand, or the end of one."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TIER_REQUEST]})

    level: str | None = Field(
        description="The level; null ends what was given by hand.", min_length=1, max_length=64
    )
    until: AwareDatetime | None = Field(
        default=None,
        description="Until before when (RFC 3339); null: no end.",
        examples=["2012-01-01T00:00:00Z"],
    )
    reason: Reason
    actor: Actor


class Settled(Shown):
    """What all answers to accepted requests share."""

    member_id: str = Field(description="The member.")
    seq: int = Field(description="Its place in the member's journal.")
    recorded_at: Moment = Field(description="When it was recorded.")
    balances: list[Balance] = Field(description="The balances right after it.")


class Amount(Shown):
    """Money."""

    amount: str = Field(description="A decimal string.", examples=["5.00"])
    currency: str = Field(description="ISO 4217 code.", examples=["GBP"])


class HoldShown(Shown):
    """Points set aside, and what became of them."""

    hold: str = Field(description="Its id, made from member and Idempotency-Key.")
    state: HoldState = Field(
        description="`open`; or how it ended: `captured`, `voided`, `lapsed`, or `closed` with the"
        " account."
    )
    currency: str = Field(description="The currency of the points.")
    points: int = Field(description="Points that were set aside.", gt=0)
    captured: int = Field(description="Points of them that were spent.", ge=0)
    held: int = Field(description="Points of them that are still set aside.", ge=0)
    released: int = Field(description="Points of them that were given back.", ge=0)
    reward: str | None = Field(description="The reward that they are for.")
    order_id: str | None = Field(description="The order that they are for.")
    order_amount: Amount | None = Field(description="What that order costs.")
    worth: Amount | None = Field(description="What all the points pay of it.")
    held_at: Moment = Field(description="Since when.")
    ends_at: Moment = Field(description="When the clock gives back what is not captured by then.")
    ended_at: Moment | None = Field(description="When it ended; null while it is open.")


class HoldSeen(HoldShown):
    """A hold, with the name of what it is for."""

    name: NameOrNull


class HoldList(Shown):
    """A member's latest holds, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.HOLDS]})

    member_id: str = Field(description="The member.")
    as_of: Moment = Field(description="The instant for which this holds.")
    notice: str | None = Field(
        default=None, description="Why the state may be behind, where it may be."
    )
    holds: list[HoldSeen] = Field(description="The latest hundred, whether open or ended.")


class HoldMade(Settled):
    """A hold that was made, or voided."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.HOLD_MADE]})

    hold: HoldShown = Field(description="The hold as it is now.")


class LongerLife(Settled):
    """Points that now expire later, or live again."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.LONGER_LIFE]})

    points: int = Field(
        description="How many. Points that are held are among them: they come back to it.", gt=0
    )
    currency: str = Field(description="The currency of the points.")
    expires_at: Moment = Field(description="Exclusive end of their life.")
    reason: str = Field(description="The reason code.")


class Redemption(Settled):
    """A redemption that was carried out."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.REDEMPTION]})

    redemption: str = Field(description="Its id, made from member and Idempotency-Key.")
    reward: str | None = Field(
        default=None, description="The reward issued; null where points paid for an order."
    )
    points: int = Field(description="What it cost.", ge=0)
    currency: str = Field(description="The currency of the cost.")
    voucher: str | None = Field(
        default=None,
        description="Id of its voucher, if it has one. The code is told by /vouchers alone.",
    )
    order_id: str | None = Field(default=None, description="The order that was paid for.")
    worth: Amount | None = Field(default=None, description="What the points paid of it.")
    hold: str | None = Field(default=None, description="The hold whose points they were.")


class Captured(Redemption):
    """A capture that was carried out."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CAPTURED]})

    left: int = Field(description="Points that the hold still sets aside.", ge=0)
    released: int = Field(description="Points that it gave back with this capture.", ge=0)


class Transfer(Settled):
    """A transfer that left the member. It returns if the other account refuses it."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TRANSFER]})

    transfer: str = Field(description="Its id, made from member and Idempotency-Key.")
    to_member: str = Field(description="Who gets the points.")
    points: int = Field(description="How many.", gt=0)
    currency: str = Field(description="The currency of the points.")


class TierGiven(Settled):
    """A level that was given by hand, or ended."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.TIER_GIVEN]})

    level: str | None = Field(description="The level given; null where what was given ended.")
    until: Moment | None = Field(description="Until before when; null: no end.")
    reason: str = Field(description="The reason code.")
    tier: str = Field(description="The level held right after it; what was earned may be higher.")


class Adjustment(Settled):
    """An adjustment that was carried out, or that waits for a second person."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.ADJUSTMENT]})

    points: int = Field(description="Granted if positive, taken if negative.")
    currency: str = Field(description="The currency of the points.")
    reason: str = Field(description="The reason code.")
    adjustment: str = Field(description="Its id, made from member and Idempotency-Key.")
    state: Literal["done", "waiting"] = Field(
        description="`waiting`: no point moves before a second person approves it."
    )
