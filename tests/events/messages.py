"""Messages as a lane holds them, and CloudEvents as producers write them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from services.events.inbox import Message, Partition, Unusable
from services.events.topics import ENGAGEMENTS, MEMBERS, PURCHASES
from services.loyalty.application.intake import event_digest
from services.loyalty.application.store import Incoming
from services.loyalty.domain.activity import AnyBody, Engaged, Enrolled
from services.loyalty.domain.calendar import DAY, HOUR, Instant, from_datetime, rfc3339
from services.loyalty.domain.envelope import Activity

NOW = from_datetime(datetime(2011, 1, 10, 12, tzinfo=UTC))
"""The instant at which the tests of the edge play."""

TOPIC_OF = {"purchase": PURCHASES, "engagement": ENGAGEMENTS, "member": MEMBERS}


def partition(topic: str = PURCHASES, number: int = 0, *, dead: int = 0) -> Partition:
    return Partition(topic, number, 1, 0, 0, dead, fetched_to=0, end=0)


def put(
    where: Partition, member: str, time: Instant, body: AnyBody | None = None, *, dead: bool = False
) -> Message:
    """Queues the partition's next message."""
    offset = where.fetched_to
    where.fetched_to += 1
    where.newest = max(where.newest, time)
    name = f"{where.name}/{offset}"
    activity = Activity(body or Engaged("app.opened"), time, 0, "test", name)
    incoming = Incoming(member, activity, event_digest("test", name), name.encode())
    message = Message(where, offset, offset + 1, time, where.newest, name.encode())
    if dead:
        message.unusable = Unusable("not_json", "rubbish", None)
    else:
        message.incoming = incoming
    where.waiting.append(message)
    return message


def enrolment() -> AnyBody:
    return Enrolled()


def event(kind: str, data: dict[str, Any], *, at: Instant, id: str) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": id,
            "source": "/tests",
            "type": kind,
            "time": rfc3339(at),
            "datacontenttype": "application/json",
            "data": data,
        }
    ).encode()


def enrolled(member: str, *, at: Instant = NOW - 2 * DAY) -> bytes:
    return event("commerce.member.enrolled.v1", {"member_id": member}, at=at, id=f"join-{member}")


def purchased(member: str, order: str, *, price: str = "10.00", at: Instant = NOW - HOUR) -> bytes:
    data = {
        "member_id": member,
        "order_id": order,
        "currency": "GBP",
        "lines": [{"position": 1, "sku": "22423", "quantity": 1, "unit_price": price}],
    }
    return event("commerce.purchase.completed.v1", data, at=at, id=f"order-{order}")
