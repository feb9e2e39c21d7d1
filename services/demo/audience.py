"""Somebody who listens to ``loyalty.events`` and keeps count, as another service would."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import msgspec
from aiokafka.structs import TopicPartition

from services.events.broker import Kafka, started
from services.events.topics import DEAD_LETTERS, EVENTS

PAUSE_MS = 50


class _Heard(msgspec.Struct):
    """What an event says of itself."""

    id: str
    type: str


_decode = msgspec.json.Decoder(_Heard).decode


class Audience:
    """Counts events by type, and notices one that comes twice or out of its member's order.

    An event's id is ``incarnation/member/seq/n``: within a member, (seq, n) only ever rises.
    """

    def __init__(self) -> None:
        self.heard: Counter[str] = Counter()
        self.notices = 0
        self.twice_or_out_of_order = 0
        self._latest: dict[str, tuple[int, int]] = {}

    @property
    def total(self) -> int:
        """Everything heard, notices of dead letters too."""
        return self.heard.total() + self.notices

    async def listen(self, kafka: Kafka, partitions: int, stop: asyncio.Event) -> None:
        """Reads the topics from their beginning until ``stop``."""
        places = [TopicPartition(EVENTS, number) for number in range(partitions)]
        places.append(TopicPartition(DEAD_LETTERS, 0))
        async with started(kafka, kafka.reader()) as reader:
            reader.assign(places)
            for place in places:
                reader.seek(place, 0)
            while not stop.is_set():
                self._note(await reader.getmany(timeout_ms=PAUSE_MS))

    def _note(self, records: dict[TopicPartition, list[Any]]) -> None:
        for place, found in records.items():
            if place.topic == DEAD_LETTERS:
                self.notices += len(found)
                continue
            for record in found:
                self._hear(_decode(record.value))

    def _hear(self, event: _Heard) -> None:
        _, rest = event.id.split("/", 1)
        member, seq, n = rest.rsplit("/", 2)
        place = int(seq), int(n)
        if place <= self._latest.get(member, (0, -1)):
            self.twice_or_out_of_order += 1
        self._latest[member] = place
        self.heard[event.type] += 1
