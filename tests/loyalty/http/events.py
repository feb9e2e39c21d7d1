"""CloudEvents as a shop sends them."""

from __future__ import annotations

from typing import Any

from services.loyalty.domain.calendar import Instant, rfc3339

Event = dict[str, Any]


def event(type_: str, event_id: str, at: Instant, **data: Any) -> Event:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": "/shop",
        "type": f"commerce.{type_}.v1",
        "time": rfc3339(at),
        "data": data,
    }


def enrolled(member: str, at: Instant) -> Event:
    return event("member.enrolled", f"enrol-{member}", at, member_id=member)


def bought(member: str, order: str, pounds: int, at: Instant) -> Event:
    line = {"position": 1, "sku": "85123A", "quantity": 1, "unit_price": f"{pounds}.00"}
    return event(
        "purchase.completed",
        f"order-{order}",
        at,
        member_id=member,
        order_id=order,
        currency="GBP",
        lines=[line],
    )


def refunded(member: str, order: str, pounds: int, at: Instant) -> Event:
    return event(
        "purchase.refunded",
        f"refund-{order}",
        at,
        member_id=member,
        order_id=order,
        currency="GBP",
        amount=f"{pounds}.00",
    )
