"""Our positions in Kafka, which are rows in PostgreSQL.

A position moves in the transaction of the effects and only by compare-and-set on topic, partition,
epoch and the position expected. So of two sessions that believe to own a partition one is fenced,
whatever Kafka told them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka.structs import TopicPartition

from services.events.halt import Fenced, PositionLost
from services.events.inbox import Message, Partition
from services.loyalty.domain.calendar import Instant, from_datetime, to_datetime

_ACQUIRE = """
    INSERT INTO position (topic, partition, epoch, position, dead_in_a_row)
    SELECT topic, partition, 1, start, 0
    FROM unnest($1::text[], $2::int[], $3::bigint[]) AS assigned(topic, partition, start)
    ORDER BY topic COLLATE "C", partition
    ON CONFLICT (topic, partition) DO UPDATE SET epoch = position.epoch + 1
    RETURNING topic, partition, epoch, position, read_to, dead_in_a_row
"""

_ADVANCE = """
    UPDATE position AS p
    SET position = moved.next,
        read_to = greatest(p.read_to, moved.read_to),
        dead_in_a_row = moved.dead
    FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[],
                $6::timestamptz[], $7::int[])
        AS moved(topic, partition, epoch, expected, next, read_to, dead)
    WHERE p.topic = moved.topic AND p.partition = moved.partition
        AND p.epoch = moved.epoch AND p.position = moved.expected
"""


@dataclass(frozen=True, slots=True)
class Advance:
    """Where one partition is to stand: ``read_to`` 0 leaves that as it is."""

    partition: Partition
    next: int
    read_to: Instant
    dead_in_a_row: int

    def settle(self) -> None:
        """Notes on the partition what the committed transaction wrote."""
        self.partition.position = self.next
        self.partition.read_to = max(self.partition.read_to, self.read_to)
        self.partition.dead_in_a_row = self.dead_in_a_row


async def acquire(
    connection: Any, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, Partition]:
    """Takes partitions over: whoever held them before is fenced from now on.

    Args:
        connection: an idle connection; this commits by itself.
        starts: where each partition's log starts, which is where a new one begins.
        ends: where it ends.

    Raises:
        PositionLost: a position lies outside its log.
    """
    assigned = sorted(starts)
    rows = await connection.fetch(
        _ACQUIRE,
        [tp.topic for tp in assigned],
        [tp.partition for tp in assigned],
        [starts[tp] for tp in assigned],
    )
    taken = {TopicPartition(row[0], row[1]): _partition(row) for row in rows}
    for tp, partition in taken.items():
        partition.end = ends[tp]
        if not starts[tp] <= partition.position <= ends[tp]:
            raise PositionLost(lost(partition.name, partition.position, starts[tp], ends[tp]))
    return taken


async def advance(connection: Any, advances: Sequence[Advance]) -> None:
    """Moves partitions on. First in a transaction, because offset rows are locked before accounts.

    Raises:
        Fenced: another session has taken over one of them.
    """
    moved = sorted(advances, key=lambda one: (one.partition.topic, one.partition.number))
    tag = await connection.execute(
        _ADVANCE,
        [one.partition.topic for one in moved],
        [one.partition.number for one in moved],
        [one.partition.epoch for one in moved],
        [one.partition.position for one in moved],
        [one.next for one in moved],
        [to_datetime(one.read_to) if one.read_to else None for one in moved],
        [one.dead_in_a_row for one in moved],
    )
    if tag != f"UPDATE {len(moved)}":
        names = ", ".join(one.partition.name for one in moved)
        raise Fenced(f"another session took over one of {names}")


def advances(
    messages: Iterable[Message], runs_of_dead: Mapping[Partition, int], now: Instant
) -> list[Advance]:
    """Where the partitions of recorded messages stand then: read up to the greatest time read.

    An event from ahead of our clock does not let the clock of the ticks run ahead of ours.
    """
    last: dict[Partition, Message] = {}
    for message in messages:
        last[message.partition] = message
    return [
        Advance(partition, message.next, min(message.order, now), runs_of_dead[partition])
        for partition, message in last.items()
    ]


def lost(name: str, position: int, start: int, end: int) -> str:
    """What the operator reads when a position lies outside its log."""
    return (
        f"{name}: the position is {position}, but its log holds {start} to {end}: messages were"
        " deleted unread, or the topic was recreated. Nothing is skipped unasked; set the row in"
        " the table position to where reading shall go on"
    )


def _partition(row: Any) -> Partition:
    topic, number, epoch, position, read_to, dead = row
    return Partition(
        topic,
        number,
        epoch=epoch,
        position=position,
        read_to=from_datetime(read_to) if read_to else 0,
        dead_in_a_row=dead,
        fetched_to=position,
        end=position,
    )
