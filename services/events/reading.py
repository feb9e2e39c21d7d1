"""From a record of Kafka to a message for the inbox: decoded, refused, or left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.events import codec
from services.events.inbox import Message, Partition, Unusable
from services.events.topics import DERIVED
from services.loyalty.application.intake import LIMITS, Limits, read_event
from services.loyalty.application.refusal import Unacceptable
from services.loyalty.application.store import Incoming
from services.loyalty.domain.calendar import Instant


@dataclass(slots=True)
class Reader:
    """Reads records of every input topic.

    Attributes:
        limits: how far an event's time may lie from the clock.
        last_batches: per incarnation that has ended, its last valid batch. What it sent beyond that
            was undone by a restore, and its derived messages count for nothing.
    """

    limits: Limits = LIMITS
    last_batches: Mapping[int, int] = field(default_factory=dict)

    def read(self, partition: Partition, record: Any, now: Instant) -> Message:
        """The record as a message of its partition; never raises for what the record holds."""
        raw = record.value or b""
        try:
            incoming = self._decoded(record, now)
        except Unacceptable as refusal:
            unusable = Unusable(refusal.code, refusal.detail, refusal.member)
            return self._message(partition, record.offset, raw, unusable=unusable)
        return self._message(partition, record.offset, raw, incoming)

    def _message(
        self,
        partition: Partition,
        offset: int,
        raw: bytes,
        incoming: Incoming | None = None,
        unusable: Unusable | None = None,
    ) -> Message:
        time = partition.newest if incoming is None else incoming.activity.occurred_at
        partition.newest = order = max(partition.newest, time)
        return Message(partition, offset, offset + 1, time, order, raw, incoming, unusable)

    def _decoded(self, record: Any, now: Instant) -> Incoming | None:
        if record.topic != DERIVED:
            return read_event(record.value, now=now, key=record.key, limits=self.limits)
        message = codec.read_derived(record.value, key=record.key)
        last = self.last_batches.get(message.origin.incarnation)
        return None if last is not None and message.batch > last else message.incoming
