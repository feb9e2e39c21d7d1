"""One good CloudEvent of every incoming type, with every field of its data."""

from __future__ import annotations

import json
from typing import Any


def cloud_event(event_type: str, **data: Any) -> dict[str, Any]:
    """An event of 2010-12-01T08:26:00Z with the id ``e-1`` of the source ``/shop``."""
    return {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/shop",
        "type": event_type,
        "time": "2010-12-01T08:26:00Z",
        "data": data,
    }


def raw_of(event: dict[str, Any]) -> bytes:
    """The event as its producer would send it."""
    return json.dumps(event, separators=(",", ":")).encode()


_LINES = [
    {
        "position": 1,
        "sku": "85123A",
        "quantity": 6,
        "unit_price": "2.55",
        "tax": "2.55",
        "category": "home",
        "brand": "lanterns",
    },
    {"position": 2, "sku": "71053", "quantity": 6, "unit_price": "3.39", "discount": "2.00"},
]
_ORDER = {"member_id": "17850", "order_id": "536365"}

EVENTS: dict[str, dict[str, Any]] = {
    event["type"]: event
    for event in (
        cloud_event(
            "commerce.purchase.completed.v1",
            **_ORDER,
            currency="GBP",
            lines=_LINES,
            discount="1.50",
            shipping="4.95",
            prepaid="5.00",
            channel="web",
            store="uk",
            payment_method="card",
        ),
        cloud_event("commerce.purchase.delivered.v1", **_ORDER),
        cloud_event(
            "commerce.purchase.amended.v1",
            **_ORDER,
            currency="GBP",
            lines=[{"position": 1, "sku": "85123A", "quantity": 4, "unit_price": "2.55"}],
        ),
        cloud_event("commerce.purchase.cancelled.v1", **_ORDER, reason="fraud"),
        cloud_event(
            "commerce.purchase.refunded.v1",
            **_ORDER,
            currency="GBP",
            lines=[{"position": 1, "quantity": 2}, {"position": 2, "amount": "3.39"}],
            amount="1.00",
        ),
        cloud_event(
            "commerce.engagement.recorded.v1",
            member_id="17850",
            kind="product.reviewed",
            channel="web",
            about="85123A",
        ),
        cloud_event(
            "commerce.member.enrolled.v1",
            member_id="17850",
            channel="web",
            referred_by="HARBOUR-7K2",
            born_on="1976-02-29",
            language="en-GB",
        ),
        cloud_event(
            "commerce.member.updated.v1",
            member_id="17850",
            born_on="1976-02-29",
            language="en-GB",
        ),
        cloud_event(
            "commerce.member.segmented.v1",
            member_id="17850",
            segment="lapsed",
            starts_at="2010-12-01T00:00:00Z",
            ends_at="2011-01-01T00:00:00Z",
        ),
        cloud_event("commerce.member.erased.v1", member_id="17850", reason="member_request"),
        cloud_event(
            "commerce.member.merged.v1", member_id="17850", into="12346", reason="duplicate"
        ),
        cloud_event(
            "commerce.member.pool-joined.v1", member_id="17850", pool_id="pool-7", founds=True
        ),
        cloud_event("commerce.member.pool-left.v1", member_id="17850"),
    )
}
"""The events by type."""
