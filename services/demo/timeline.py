"""What happens in the demonstration, in order: messages to post and wishes to send over HTTP.

Messages are CloudEvents in the shapes of the contract. Those of the shop's real sales come from
:data:`SHOP`, those that are made up from :data:`MADE_UP_SOURCE`: the journal tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from heapq import merge
from typing import TypeAlias

import msgspec

from services.demo.orders import Cancellation, Purchase, Refund, Sale
from services.demo.script import Act, Engagement, Enrolment, Segmentation, Wish, share
from services.loyalty.application import contract
from services.loyalty.domain.calendar import DAY, Instant, rfc3339, to_datetime
from services.loyalty.domain.money import decimal_text

SHOP = "/shops/gift-shop"
MADE_UP_SOURCE = "/made-up/by-the-demonstration"
PURCHASES, ENGAGEMENTS, MEMBERS = "commerce.purchases", "commerce.engagements", "commerce.members"
MONEY = "GBP"
SENT_TWICE = 0.004
"""The share of messages that a forgetful producer sends a second time."""


@dataclass(frozen=True, slots=True)
class Post:
    """A message for a topic, keyed by the member. ``at`` is when the shop would have sent it."""

    topic: str
    member: str
    at: Instant
    value: bytes


Happening: TypeAlias = Post | Wish

_encode = msgspec.json.Encoder().encode


def happenings(sales: Sequence[Sale], acts: Sequence[Act]) -> Iterator[Happening]:
    """Everything in order of time; where times are equal, what is made up comes first."""
    for each in merge(_of_acts(acts), _of_sales(sales), key=lambda happening: happening.at):
        yield each
        if isinstance(each, Post) and share("sent twice", each.value[:200].decode()) < SENT_TWICE:
            yield each


def posts_of(acts: Sequence[Act]) -> list[Post]:
    """The messages of acts that are sent as such."""
    return [each for each in _of_acts(acts) if isinstance(each, Post)]


def rubbish(start: Instant) -> list[Post]:
    """Messages that no shop should send, one every few days from ``start`` on; all are made up."""
    lines = [contract.PurchaseLine(position=1, sku="22423", quantity=1, unit_price="12.75")]
    fields = {"member_id": "17850", "order_id": "rubbish", "currency": MONEY, "lines": lines}
    completed = "commerce.purchase.completed.v1"
    values = [
        b"this is not JSON",
        b'{"hello": "world"}',
        _event("rubbish-3", "commerce.parcel.lost.v1", MADE_UP_SOURCE, start, fields),
        _event(
            "rubbish-4", completed, MADE_UP_SOURCE, start, fields | {"member_id": "ann@shop.test"}
        ),
        _event("rubbish-5", completed, MADE_UP_SOURCE, start, fields | {"currency": "POUNDS"}),
    ]
    return [
        Post(PURCHASES, "17850", start + 6 * DAY * (n + 1), value) for n, value in enumerate(values)
    ]


def _of_sales(sales: Sequence[Sale]) -> Iterator[Happening]:
    for sale in sales:
        if isinstance(sale, Purchase):
            yield _completed(sale)
        elif isinstance(sale, Cancellation):
            yield _cancelled(sale)
        else:
            yield _refunded(sale)


def _of_acts(acts: Sequence[Act]) -> Iterator[Happening]:
    for act in acts:
        if isinstance(act, Enrolment):
            yield _enrolled(act)
        elif isinstance(act, Engagement):
            yield _engaged(act)
        elif isinstance(act, Segmentation):
            yield _segmented(act)
        else:
            yield act


def _completed(sale: Purchase) -> Post:
    order = contract.PurchaseCompleted(
        member_id=sale.member,
        order_id=sale.order,
        currency=MONEY,
        lines=[
            contract.PurchaseLine(
                position=line.position,
                sku=line.sku,
                quantity=line.quantity,
                unit_price=_money(line.unit_price),
            )
            for line in sale.lines
        ],
        discount=_money(sale.discount),
        channel="web",
        store=sale.country,
    )
    return _post(PURCHASES, sale.order, "commerce.purchase.completed.v1", SHOP, sale.at, order)


def _refunded(sale: Refund) -> Post:
    lines = [contract.RefundedLine(position=p, quantity=units) for p, units in sale.lines]
    refund = contract.PurchaseRefunded(
        member_id=sale.member,
        order_id=sale.order,
        currency=MONEY,
        lines=lines,
        amount=_money(sale.amount),
    )
    name = f"{sale.invoice}/{sale.order}"
    return _post(PURCHASES, name, "commerce.purchase.refunded.v1", SHOP, sale.at, refund)


def _cancelled(sale: Cancellation) -> Post:
    order = contract.PurchaseCancelled(member_id=sale.member, order_id=sale.order)
    kind = "commerce.purchase.cancelled.v1"
    return _post(PURCHASES, f"{sale.invoice}/{sale.order}", kind, SHOP, sale.at, order)


def _enrolled(act: Enrolment) -> Post:
    born_on: date | msgspec.UnsetType = act.born_on or msgspec.UNSET
    member = contract.MemberEnrolled(
        member_id=act.member, channel="web", born_on=born_on, language=act.language
    )
    name = f"enrolment-{act.member}"
    return _post(MEMBERS, name, "commerce.member.enrolled.v1", MADE_UP_SOURCE, act.at, member)


def _engaged(act: Engagement) -> Post:
    engagement = contract.EngagementRecorded(
        member_id=act.member, kind=act.of, channel="web", about=act.about
    )
    name = f"{act.of}-{act.member}-{act.at}"
    kind = "commerce.engagement.recorded.v1"
    return _post(ENGAGEMENTS, name, kind, MADE_UP_SOURCE, act.at, engagement)


def _segmented(act: Segmentation) -> Post:
    segment = contract.MemberSegmented(
        member_id=act.member, segment=act.segment, ends_at=to_datetime(act.ends_at)
    )
    name = f"{act.segment}-{act.member}-{act.at}"
    return _post(MEMBERS, name, "commerce.member.segmented.v1", MADE_UP_SOURCE, act.at, segment)


def _post(
    topic: str, name: str, kind: str, source: str, at: Instant, fields: contract.Member
) -> Post:
    return Post(topic, fields.member_id, at, _event(name, kind, source, at, fields))


def _event(
    name: str, kind: str, source: str, at: Instant, fields: contract.Member | Mapping[str, object]
) -> bytes:
    return _encode(
        {
            "specversion": "1.0",
            "id": name,
            "source": source,
            "type": kind,
            "time": rfc3339(at),
            "datacontenttype": "application/json",
            "data": fields,
        }
    )


def _money(pence: int) -> str:
    return decimal_text(pence, MONEY)
