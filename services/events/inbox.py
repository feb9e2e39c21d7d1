"""What a lane has read and not yet recorded: a queue per partition, drawn from in order of time.

Pure: nothing here waits or asks. Drawing never reorders a partition; across partitions it goes by
the time of the events, because Kafka orders only within one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heapreplace
from typing import Any

from services.loyalty.application.store import Incoming
from services.loyalty.domain.activity import Enrolled
from services.loyalty.domain.calendar import Instant


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why a message is refused for good: a stable code, its explanation, and whose it seems."""

    reason: str
    detail: str
    member: str | None = None


class Message:
    """One record of a partition, decoded.

    Attributes:
        offset: its own; ``next`` is where its partition stands once it is recorded, beyond
            compacted records and transaction markers that follow it.
        time: when it occurred; for one that does not say, as its predecessor.
        order: the greatest ``time`` of its partition so far, which is what it is merged by.
        raw: the original bytes.
        incoming: what it says, or None where ``unusable`` tells why nothing comes of it, or where
            neither is set, because a former incarnation sent it in vain.
    """

    def __init__(
        self,
        partition: Partition,
        offset: int,
        next: int,
        time: Instant,
        order: Instant,
        raw: bytes,
        incoming: Incoming | None = None,
        unusable: Unusable | None = None,
    ) -> None:
        self.partition = partition
        self.offset = offset
        self.next = next
        self.time = time
        self.order = order
        self.raw = raw
        self.incoming = incoming
        self.unusable = unusable


@dataclass(slots=True, eq=False)
class Partition:
    """One assigned partition: where it stands in the database, and what was fetched of it: records
    that have arrived, and behind them, decoded, those that wait to be recorded.

    Attributes:
        epoch, position, read_to, dead_in_a_row: its row as this session wrote it last; ``position``
            is what the next fence expects, never the first offset seen. ``read_to`` 0 is never.
        fetched_to: where the next fetch continues.
        drawn_to: where it stands once all that was drawn is recorded.
        end: the last end of the log that was heard of.
    """

    topic: str
    number: int
    epoch: int
    position: int
    read_to: Instant
    dead_in_a_row: int
    fetched_to: int
    end: int
    arrived: deque[Any] = field(default_factory=deque)
    waiting: deque[Message] = field(default_factory=deque)
    newest: Instant = 0
    drawn_to: int = 0

    @property
    def queued(self) -> int:
        """How many of its messages are here and not drawn."""
        return len(self.arrived) + len(self.waiting)

    @property
    def all_recorded(self) -> bool:
        """Whether nothing of it is here: neither queued nor drawn and still to be recorded."""
        return not self.queued and self.position >= self.drawn_to

    @property
    def behind(self) -> bool:
        """The log has more than was fetched, and nothing of it is here."""
        return not self.queued and self.fetched_to < self.end

    @property
    def name(self) -> str:
        return f"{self.topic}/{self.number}"


def draw(partitions: Iterable[Partition], limit: int) -> list[Message]:
    """Takes up to ``limit`` messages off the queues, merged by time."""
    queues = [partition.waiting for partition in partitions if partition.waiting]
    drawn = _drain(queues[0], limit) if len(queues) == 1 else _merge(queues, limit)
    for message in drawn:
        message.partition.drawn_to = message.next
    return drawn


def _merge(queues: Sequence[deque[Message]], limit: int) -> list[Message]:
    heads = [(queue[0].order, index) for index, queue in enumerate(queues)]
    heapify(heads)
    drawn: list[Message] = []
    while heads and len(drawn) < limit:
        index = heads[0][1]
        queue = queues[index]
        drawn.append(queue.popleft())
        if queue:
            heapreplace(heads, (queue[0].order, index))
        else:
            heappop(heads)
    return drawn


def _drain(queue: deque[Message], limit: int) -> list[Message]:
    return [queue.popleft() for _ in range(min(limit, len(queue)))]


def enrolments_first(messages: Sequence[Message]) -> list[Message]:
    """The usable messages in the order in which they are decided.

    A member's first enrolment takes the place of the member's first message where those before it
    come from other partitions; nothing else moves, and no partition is reordered.
    """
    usable = [message for message in messages if message.incoming is not None]
    seen: set[str] = set()
    for message in usable:
        member = _member(message)
        if _enrols(message) and member in seen:
            return _promoted(usable)
        seen.add(member)
    return usable


def _promoted(usable: list[Message]) -> list[Message]:
    ahead: dict[str, Message] = {}
    seen_in: dict[str, set[Partition]] = {}
    for message in usable:
        partitions = seen_in.setdefault(_member(message), set())
        if _enrols(message) and message.partition not in partitions:
            ahead.setdefault(_member(message), message)
        partitions.add(message.partition)
    moved = set(ahead.values())
    order: list[Message] = []
    for message in usable:
        if (enrolment := ahead.pop(_member(message), None)) is not None:
            order.append(enrolment)
        if message not in moved:
            order.append(message)
    return order


def _enrols(message: Message) -> bool:
    assert message.incoming is not None
    return isinstance(message.incoming.activity.body, Enrolled)


def _member(message: Message) -> str:
    assert message.incoming is not None
    return message.incoming.member
