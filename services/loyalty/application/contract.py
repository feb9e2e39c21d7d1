"""What other services send us: the data of every incoming CloudEvent, field by field.

These names are a contract and change by addition only; ``contracts/schemas`` is generated from this
file. Money is a decimal string in the event's currency, a time is RFC 3339 with an offset, a date
is ISO 8601. Unknown fields are ignored, so a producer may be ahead of us. Defaults are left out
when encoded, so a field added later leaves the canonical content of older events alone.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from services.loyalty.domain import member_id as ids

MAX_LINES: Final = 2_000
"""Lines in the longest order, amendment or refund."""

CODE_PATTERN = r"^[a-z0-9._-]*$(?!\n)"
LANGUAGE_PATTERN = r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$(?!\n)"
AMOUNT_PATTERN = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,4})?$"


def _text(says: str, longest: int = 128, *, shortest: int | None = None) -> Meta:
    return Meta(description=says, min_length=shortest, max_length=longest)


def _code(says: str, longest: int = 64, *, shortest: int | None = None) -> Meta:
    return Meta(description=says, min_length=shortest, max_length=longest, pattern=CODE_PATTERN)


# What a JSON Schema alone says below is checked by intake, faster or with a code of its own.


def _money(says: str) -> Meta:
    return Meta(description=says, extra_json_schema={"pattern": AMOUNT_PATTERN})


def _lines(says: str, *, fewest: int) -> Meta:
    return Meta(description=says, extra_json_schema={"minItems": fewest, "maxItems": MAX_LINES})


MemberId = Annotated[
    str,
    Meta(
        description="Opaque id and message key; never an e-mail address or a phone number.",
        examples=["17850"],
        extra_json_schema={
            "minLength": 1,
            "maxLength": ids.MAX_LENGTH,
            "pattern": f"^{ids.ALPHABET}+$",
        },
    ),
]
OrderId = Annotated[str, _text("The order's id, unique for the member.", shortest=1)]
Currency = Annotated[
    str,
    Meta(
        description="ISO 4217 code of every amount here.",
        extra_json_schema={"pattern": "^[A-Z]{3}$"},
    ),
]
Position = Annotated[int, Meta(description="Names the line in its order.", ge=0, le=1_000_000)]
Channel = Annotated[str, _text("Where it happened: `web`, `store`, `app` …")]
Reason = Annotated[str, _code("A code, not prose: it is kept for ever.")]
BornOn = Annotated[date, Meta(description="Date of birth. It stays in the profile.")]
Language = Annotated[
    str, Meta(description="Language (BCP 47).", max_length=35, pattern=LANGUAGE_PATTERN)
]
TimeZone = Annotated[
    str,
    Meta(
        description="The member's own time zone, as the IANA database names it, for campaigns that "
        "go by the member's calendar.",
        min_length=1,
        max_length=64,
        examples=["Europe/Berlin"],
    ),
]
StartsAt = Annotated[datetime, Meta(tz=True, description="Since when; else the event's time.")]
EndsAt = Annotated[
    datetime,
    Meta(tz=True, description="Exclusive end, if any; equal to the start, it ends membership."),
]


class Wire(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What all shapes here share: immutable plain data."""


class Member(Wire, frozen=True):
    """What the data of every incoming event begins with."""

    member_id: MemberId


class PurchaseLine(Wire, frozen=True):
    """One line of an order. It cost ``quantity × unit_price - discount``, tax included."""

    position: Position
    sku: Annotated[str, _text("What was sold.", shortest=1)]
    quantity: Annotated[int, Meta(description="Whole units.", ge=1, le=1_000_000_000)]
    unit_price: Annotated[str, _money("Price of one unit, tax included.")]
    discount: Annotated[str, _money("Taken off the whole line.")] = "0"
    tax: Annotated[str, _money("Tax contained in what the line cost.")] = "0"
    category: Annotated[str, _text("The line's category in the shop's catalogue.")] = ""
    brand: Annotated[str, _text("The line's brand.")] = ""


class PurchaseCompleted(Member, frozen=True):
    """A member completed an order."""

    order_id: OrderId
    currency: Currency
    lines: Annotated[list[PurchaseLine], _lines("What was bought; a position once.", fewest=1)]
    discount: Annotated[str, _money("Order-wide; shared by the lines by what each cost.")] = "0"
    shipping: Annotated[str, _money("Charged beside the lines.")] = "0"
    prepaid: Annotated[str, _money("Paid by points, vouchers or gift cards.")] = "0"
    channel: Channel = ""
    store: Annotated[str, _text("The shop, brand site or branch.")] = ""
    payment_method: Annotated[str, _text("How it was paid: `card`, `invoice` …")] = ""
    guest: Annotated[
        bool,
        Meta(
            description="Bought by a guest: `member_id` is the receipt number, one for each order,"
            " by which a member may claim it. What comes back of it names the same number."
        ),
    ] = False


class PurchaseDelivered(Member, frozen=True):
    """All of an order reached the member."""

    order_id: OrderId


class PurchaseAmended(Member, frozen=True):
    """An order now has these lines: lower ones count as returned, new positions earn."""

    order_id: OrderId
    currency: Currency
    lines: Annotated[list[PurchaseLine], _lines("All lines as they now are.", fewest=0)]
    discount: Annotated[str, _money("Order-wide discount as it now is.")] = "0"


class PurchaseCancelled(Member, frozen=True):
    """An order was called off whole."""

    order_id: OrderId
    reason: Reason = ""


class RefundedLine(Wire, frozen=True):
    """What came back of one line: whole units, or money, or both, which then add up."""

    position: Position
    quantity: Annotated[int, Meta(description="Units returned.", ge=0, le=1_000_000_000)] = 0
    amount: Annotated[str, _money("Money given back for the line.")] = "0"


class PurchaseRefunded(Member, frozen=True):
    """Lines of an order came back, or money was given back without naming a line, or both."""

    order_id: OrderId
    currency: Currency
    lines: Annotated[list[RefundedLine], _lines("What came back; a line once.", fewest=0)] = []
    amount: Annotated[str, _money("Money given back without naming a line.")] = "0"


class EngagementRecorded(Member, frozen=True):
    """A member did something other than buying."""

    kind: Annotated[str, _code("`product.reviewed`, `social.shared` …", shortest=1)]
    channel: Channel = ""
    about: Annotated[
        str,
        _text("What it was about: a sku, a referral's code …; never a person."),
    ] = ""


class MemberEnrolled(Member, frozen=True):
    """A member joined the programme."""

    channel: Channel = ""
    referred_by: Annotated[str, _text("The referrer's code; never an address.")] = ""
    born_on: BornOn | msgspec.UnsetType = msgspec.UNSET
    language: Language | msgspec.UnsetType = msgspec.UNSET
    time_zone: TimeZone | msgspec.UnsetType = msgspec.UNSET


class MemberUpdated(Member, frozen=True):
    """Fields of the profile changed; what is absent stays as it is."""

    born_on: BornOn | msgspec.UnsetType = msgspec.UNSET
    language: Language | msgspec.UnsetType = msgspec.UNSET
    time_zone: TimeZone | msgspec.UnsetType = msgspec.UNSET


class MemberSegmented(Member, frozen=True):
    """A member is in a segment for a time. A later event for that segment replaces what was said of
    the time from its start on; what was before stays.
    """

    segment: Annotated[str, _code("The segment's code.", shortest=1)]
    starts_at: StartsAt | msgspec.UnsetType = msgspec.UNSET
    ends_at: EndsAt | msgspec.UnsetType = msgspec.UNSET


class MemberErased(Member, frozen=True):
    """A member is to be forgotten: profile, key and original messages are destroyed."""

    reason: Reason = ""


class MemberMerged(Member, frozen=True):
    """A member turned out to be another one: ``member_id`` becomes part of ``into``."""

    into: Annotated[MemberId, Meta(description="The member who goes on.")]
    reason: Reason = ""


class MemberPoolJoined(Member, frozen=True):
    """A member is to share the points that it earns with a pool. It does so once the pool has let
    it in, which `loyalty.pool.joined.v1` says, or `loyalty.pool.refused.v1` why not.
    """

    pool_id: Annotated[
        str, _text("Opaque id of the pool, from the same ids as those of members.", shortest=1)
    ]
    founds: Annotated[
        bool,
        Meta(description="Whether the pool is new, and the member becomes its owner."),
    ] = False


class MemberPoolLeft(Member, frozen=True):
    """A member is to share points with its pool no more. What it gave to it stays there."""


class Naming(msgspec.Struct):
    """As much of an event's data as names its member, for telling whose refused event it is."""

    member_id: Any = None


class Attributes(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a CloudEvent 1.0 in structured JSON says of itself, beside its type.

    ``subject`` and extension attributes may be there and are not looked at: the member is
    ``data.member_id``.
    """

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(min_length=1, max_length=256)]
    source: Annotated[str, Meta(min_length=1, max_length=256)]
    time: Annotated[datetime, Meta(tz=True)] | None = None
    datacontenttype: str | None = None


class Envelope(Attributes, frozen=True, gc=False, kw_only=True):
    """A CloudEvent of any type; ``data`` is read once ``type`` has said what it is."""

    type: Annotated[str, Meta(min_length=1, max_length=256)]
    data: msgspec.Raw = msgspec.Raw()


INCOMING: dict[str, type[Member]] = {
    "commerce.purchase.completed.v1": PurchaseCompleted,
    "commerce.purchase.delivered.v1": PurchaseDelivered,
    "commerce.purchase.amended.v1": PurchaseAmended,
    "commerce.purchase.cancelled.v1": PurchaseCancelled,
    "commerce.purchase.refunded.v1": PurchaseRefunded,
    "commerce.engagement.recorded.v1": EngagementRecorded,
    "commerce.member.enrolled.v1": MemberEnrolled,
    "commerce.member.updated.v1": MemberUpdated,
    "commerce.member.segmented.v1": MemberSegmented,
    "commerce.member.erased.v1": MemberErased,
    "commerce.member.merged.v1": MemberMerged,
    "commerce.member.pool-joined.v1": MemberPoolJoined,
    "commerce.member.pool-left.v1": MemberPoolLeft,
}
"""The data of every incoming event, by its type."""


EVENTS: dict[str, type[Any]] = {
    event_type: msgspec.defstruct(
        f"{shape.__name__}Event",
        [("data", shape)],
        bases=(Attributes,),
        tag_field="type",
        tag=event_type,
        frozen=True,
        gc=False,
        kw_only=True,
    )
    for event_type, shape in INCOMING.items()
}
"""Every incoming event whole, by its type: its attributes, and in ``data`` what it says."""
