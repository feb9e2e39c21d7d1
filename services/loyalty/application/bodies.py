"""From the data of an incoming event to the body of an activity, with money in minor units.

Each composer takes the data and the event's instant and answers the body and what goes to the
profile. It raises what is wrong with amounts as :class:`ImpossibleAmount` or
:class:`UnknownCurrency`, and everything else as :class:`Unacceptable` without a member.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias

from msgspec import UNSET, UnsetType
from msgspec.structs import astuple

from services.loyalty.application import contract as wire
from services.loyalty.application.refusal import Unacceptable
from services.loyalty.application.store import ProfilePatch
from services.loyalty.domain import activity as domain
from services.loyalty.domain.activity import AnyBody, Line, RefundLine
from services.loyalty.domain.calendar import DAY, Instant, from_datetime, to_datetime, zone
from services.loyalty.domain.member_id import BadMemberId, check_member_id, looks_personal
from services.loyalty.domain.money import EXPONENTS, minor_units

MAX_AMOUNT: Final = 10**12
"""Minor units of the largest amount, and of the largest order."""

NOTHING: Final = "0"
"""Default of every amount that may be left out; not worth a call for each of them."""

OLDEST_BIRTH = date(1900, 1, 1)
_LAST_INSTANT = from_datetime(datetime.fromisoformat("9999-01-01T00:00:00+00:00"))

Composed: TypeAlias = tuple[AnyBody, ProfilePatch | None]

# The same prices come again and again, some of them without all places.
_parsed = lru_cache(maxsize=65_536)(minor_units)


def _purchase(data: wire.PurchaseCompleted, at: Instant) -> Composed:
    # all fields at once, in their order: that costs less than a few of them by name
    _, order, currency, bought, off, charged, paid, channel, store, payment, guest = astuple(data)
    if not bought:
        raise Unacceptable("invalid_field", "data.lines: an order has at least one line")
    places = EXPONENTS.get(currency, 0)
    lines, cost = _lines(bought, currency, places)
    discount = _optional(off, currency, places)
    shipping = _optional(charged, currency, places)
    prepaid = _optional(paid, currency, places)
    if discount > cost:
        raise _impossible("data.discount: more than the lines cost")
    if prepaid > cost - discount + shipping:
        raise _impossible("data.prepaid: more than was to be paid")
    if shipping > MAX_AMOUNT:
        raise _impossible("data.shipping: too large")
    return domain.Purchased(
        order, currency, lines, discount, shipping, prepaid, channel, store, payment, guest
    ), None


def _delivery(data: wire.PurchaseDelivered, at: Instant) -> Composed:
    return domain.Delivered(data.order_id), None


def _amendment(data: wire.PurchaseAmended, at: Instant) -> Composed:
    currency = data.currency
    places = EXPONENTS.get(currency, 0)
    lines, cost = _lines(data.lines, currency, places)
    discount = _optional(data.discount, currency, places)
    if discount > cost:
        raise _impossible("data.discount: more than the lines cost")
    return domain.Amended(data.order_id, currency, lines, discount), None


def _cancellation(data: wire.PurchaseCancelled, at: Instant) -> Composed:
    return domain.Cancelled(data.order_id, data.reason), None


def _refund(data: wire.PurchaseRefunded, at: Instant) -> Composed:
    currency = data.currency
    _check_positions([line.position for line in data.lines])
    lines = [_refunded_line(line, currency) for line in data.lines]
    amount = _bounded(data.amount, currency)
    if not lines and not amount:
        raise Unacceptable("invalid_field", "data: a refund names lines or an amount")
    return domain.Refunded(data.order_id, currency, lines, amount), None


def _engagement(data: wire.EngagementRecorded, at: Instant) -> Composed:
    return domain.Engaged(data.kind, data.channel, data.about), None


def _enrolment(data: wire.MemberEnrolled, at: Instant) -> Composed:
    if data.referred_by and looks_personal(data.referred_by):
        raise Unacceptable("invalid_field", "data.referred_by: a code, never a person's address")
    body = domain.Enrolled(data.channel, data.referred_by, _zone(data.time_zone))
    return body, _profile(data.born_on, data.language, at)


def _update(data: wire.MemberUpdated, at: Instant) -> Composed:
    named = (
        ("born_on", data.born_on),
        ("language", data.language),
        ("time_zone", data.time_zone),
    )
    fields = [name for name, value in named if value is not UNSET]
    body = domain.ProfileUpdated(fields, _zone(data.time_zone))
    return body, _profile(data.born_on, data.language, at)


def _segment(data: wire.MemberSegmented, at: Instant) -> Composed:
    starts_at = at if data.starts_at is UNSET else _instant("data.starts_at", data.starts_at)
    ends_at = 0 if data.ends_at is UNSET else _instant("data.ends_at", data.ends_at)
    if data.ends_at is not UNSET and ends_at < starts_at:
        raise Unacceptable("date_out_of_range", "data.ends_at: before the start")
    return domain.Segmented(data.segment, starts_at, ends_at), None


def _erasure(data: wire.MemberErased, at: Instant) -> Composed:
    return domain.StatusChanged("erased", data.reason), ProfilePatch(erase=True)


def _merge(data: wire.MemberMerged, at: Instant) -> Composed:
    try:
        check_member_id(data.into)
    except BadMemberId as bad:
        raise Unacceptable("invalid_field", f"data.into: {bad.reason}") from None
    return domain.MergeRequested("", data.member_id, data.into, data.reason), None


def _pool_joined(data: wire.MemberPoolJoined, at: Instant) -> Composed:
    try:
        check_member_id(data.pool_id)
    except BadMemberId as bad:
        raise Unacceptable("invalid_field", f"data.pool_id: {bad.reason}") from None
    if data.pool_id == data.member_id:
        raise Unacceptable("invalid_field", "data.pool_id: the member's own id")
    return domain.PoolJoinRequested(data.member_id, data.pool_id, data.founds), None


def _pool_left(data: wire.MemberPoolLeft, at: Instant) -> Composed:
    return domain.PoolLeaveRequested(), None


COMPOSERS: dict[type[wire.Member], Callable[[Any, Instant], Composed]] = {
    wire.PurchaseCompleted: _purchase,
    wire.PurchaseDelivered: _delivery,
    wire.PurchaseAmended: _amendment,
    wire.PurchaseCancelled: _cancellation,
    wire.PurchaseRefunded: _refund,
    wire.EngagementRecorded: _engagement,
    wire.MemberEnrolled: _enrolment,
    wire.MemberUpdated: _update,
    wire.MemberSegmented: _segment,
    wire.MemberErased: _erasure,
    wire.MemberMerged: _merge,
    wire.MemberPoolJoined: _pool_joined,
    wire.MemberPoolLeft: _pool_left,
}
"""The composer of each shape of data."""


def _lines(given: list[wire.PurchaseLine], currency: str, places: int) -> tuple[list[Line], int]:
    """The lines and what they cost together, each of which could have cost what it says."""
    fields, made = astuple, Line  # names of the module would be looked up for each line
    rows = [fields(line) for line in given]
    _check_positions([row[0] for row in rows])
    lines: list[Line] = []
    total = 0
    quantity: int
    for position, sku, quantity, price, off, taxed, category, brand in rows:
        unit_price = _amount(price, currency, places)
        discount = _optional(off, currency, places)
        tax = _optional(taxed, currency, places)
        gross = quantity * unit_price
        paid = gross - discount
        if gross > MAX_AMOUNT:
            raise _impossible(f"data.lines: a line of more than {MAX_AMOUNT} minor units")
        if paid < 0 or tax > paid:
            raise _impossible("data.lines: a discount or tax is more than what it is part of")
        total += paid
        lines.append(made(position, sku, quantity, unit_price, discount, tax, category, brand))
    if total > MAX_AMOUNT:
        raise _impossible(f"data.lines: they cost more than {MAX_AMOUNT} minor units")
    return lines, total


def _refunded_line(line: wire.RefundedLine, currency: str) -> RefundLine:
    amount = _bounded(line.amount, currency)
    if not line.quantity and not amount:
        raise Unacceptable("invalid_field", "data.lines: a line with neither quantity nor amount")
    return RefundLine(line.position, line.quantity, amount)


def _check_positions(positions: list[int]) -> None:
    if len(positions) > wire.MAX_LINES:
        raise Unacceptable("too_many_lines", f"data.lines: at most {wire.MAX_LINES}")
    if not _ascend(positions) and len(set(positions)) != len(positions):
        raise Unacceptable("duplicate_position", "data.lines: two lines have the same position")


def _ascend(positions: list[int]) -> bool:
    """They hardly ever do not, and this is asked sooner than whether a set of them is as large."""
    last = -1
    for position in positions:
        if position <= last:
            return False
        last = position
    return True


def _optional(text: str, currency: str, places: int) -> int:
    return 0 if text == NOTHING else _amount(text, currency, places)


def _amount(text: str, currency: str, places: int) -> int:
    """Its :func:`minor_units`, read here where all places of the currency are written, as in 12.34.

    ``places`` are those of the currency, 0 where it has none or is unknown.
    """
    point = len(text) - 1 - places
    if places == 0 or not 1 <= point <= 12 or text[point] != "." or (text[0] == "0" and point > 1):
        return _parsed(text, currency)
    amount = 0
    for index in range(len(text)):
        if index != point:
            digit = ord(text[index]) - 48
            if not 0 <= digit <= 9:
                return _parsed(text, currency)
            amount = amount * 10 + digit
    return amount


def _bounded(text: str, currency: str) -> int:
    amount = _parsed(text, currency)
    if amount > MAX_AMOUNT:
        raise _impossible(f"data: an amount of more than {MAX_AMOUNT} minor units")
    return amount


def _impossible(detail: str) -> Unacceptable:
    return Unacceptable("impossible_amount", detail)


def _instant(place: str, moment: datetime | UnsetType) -> Instant:
    assert isinstance(moment, datetime), place
    at = from_datetime(moment)
    if not 0 < at < _LAST_INSTANT:
        raise Unacceptable("date_out_of_range", f"{place}: before 1970 or after 9998")
    return at


def _zone(name: str | UnsetType) -> str:
    if isinstance(name, UnsetType):
        return ""
    try:
        return zone(name).key
    except KeyError:
        raise Unacceptable(
            "invalid_field", "data.time_zone: the IANA database has no such zone"
        ) from None


def _profile(
    born_on: date | UnsetType, language: str | UnsetType, at: Instant
) -> ProfilePatch | None:
    if born_on is UNSET and language is UNSET:
        return None
    return ProfilePatch(
        None if isinstance(born_on, UnsetType) else _birth(born_on, at),
        None if isinstance(language, UnsetType) else language,
    )


def _birth(born_on: date, at: Instant) -> date:
    # A day of grace: where the member lives it may be tomorrow already.
    if not OLDEST_BIRTH <= born_on <= to_datetime(at + DAY).date():
        raise Unacceptable("date_out_of_range", "data.born_on: before 1900 or in the future")
    return born_on
