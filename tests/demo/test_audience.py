"""Listening to what was published."""

from __future__ import annotations

from types import SimpleNamespace

from aiokafka.structs import TopicPartition

from services.demo.audience import Audience
from services.events.topics import DEAD_LETTERS, EVENTS


def heard(*ids: str) -> Audience:
    audience = Audience()
    found = [SimpleNamespace(value=f'{{"id": "{name}", "type": "t"}}'.encode()) for name in ids]
    audience._note({TopicPartition(EVENTS, 0): found})
    return audience


def test_events_are_counted_by_type_and_notices_apart() -> None:
    audience = heard("1/m1/1/0", "1/m1/1/1", "1/m2/1/0", "1/m1/2/0")
    audience._note({TopicPartition(DEAD_LETTERS, 0): [SimpleNamespace(value=b"{}")]})
    assert (dict(audience.heard), audience.notices, audience.total) == ({"t": 4}, 1, 5)
    assert audience.twice_or_out_of_order == 0


def test_an_event_that_comes_twice_or_late_is_noticed() -> None:
    assert heard("1/m1/1/0", "1/m1/1/0").twice_or_out_of_order == 1
    assert heard("1/m1/2/0", "1/m1/1/5").twice_or_out_of_order == 1
    assert heard("1/m1/9/0", "1/m1/10/0").twice_or_out_of_order == 0
