"""The floors, as processes of their own: consuming alone, and writing blindly.

The blind write consumes the same messages and COPYs, from memory, the very rows that a run of the
whole path wrote for them: nothing is read, nothing decided. It passes the same fence, in the same
lanes and batches. What the whole path adds is what it costs to think.

A process reads its rows, says ``ready``, waits for a line, and works until it is killed.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict
from typing import Any

import msgspec
import uvloop
from aiokafka import AIOKafkaConsumer
from aiokafka.abc import ConsumerRebalanceListener

from services.bench.scene import connection
from services.events.broker import Kafka, started
from services.events.inbox import Partition
from services.events.position import Advance, acquire, advance
from services.events.topics import PURCHASES
from services.loyalty.db.connect import connect
from services.loyalty.db.instants import reading_instants

Rows = dict[tuple[int, int], tuple[list[Any], list[Any], list[Any]]]
"""Journal, ledger and outbox rows by partition and offset."""


class Orders(msgspec.Struct):
    """What a blind process is told: where to consume and write, and which rows.

    ``rows`` is ``all``, ``ledger``, or ``none`` for the fence alone.
    """

    kafka: dict[str, Any]
    group: str
    source_url: str
    target_url: str
    places: dict[str, tuple[int, int]]
    lanes: int
    batch_size: int
    rows: str


async def read_rows(url: str, places: dict[str, tuple[int, int]]) -> Rows:
    """The rows that a run wrote, by the place of the message that caused them, as they are sent the
    quickest; ticks go with the next message of their member."""
    found: Rows = {}
    async with connection(url) as owner, reading_instants(owner):
        ledger, outbox = defaultdict(list), defaultdict(list)
        for row in await owner.fetch("SELECT * FROM ledger"):
            ledger[row["member_id"], row["seq"]].append(tuple(row))
        for row in await owner.fetch("SELECT * FROM outbox"):
            outbox[row["member_id"], row["seq"]].append(tuple(row))
        waiting: dict[str, list[Any]] = defaultdict(list)
        for row in await owner.fetch(
            "SELECT * FROM journal WHERE kind <> 'enrolment' ORDER BY member_id, seq"
        ):
            waiting[row["member_id"]].append(row)
            place = places.get(row["event_id"])
            if place is None:
                continue
            rows = waiting.pop(row["member_id"])
            keys = [(each["member_id"], each["seq"]) for each in rows]
            found[place] = (
                [tuple(each) for each in rows],
                [entry for key in keys for entry in ledger[key]],
                [event for key in keys for event in outbox[key]],
            )
    return found


async def lane(orders: Orders, rows: Rows, number: int) -> None:
    kafka = Kafka(orders.kafka)
    consumer = kafka.group_consumer(orders.group, f"blind-{number}")
    database = await connect(orders.target_url, purpose="bench")
    ours: dict[int, Partition] = {}
    taken = asyncio.Event()

    class Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka carries no types
        async def on_partitions_revoked(self, revoked: Any) -> None:
            ours.clear()

        async def on_partitions_assigned(self, assigned: Any) -> None:
            if not assigned:
                return
            starts = await consumer.beginning_offsets(list(assigned))
            ends = await consumer.end_offsets(list(assigned))
            for tp, partition in (await acquire(database, starts, ends)).items():
                ours[tp.partition] = partition
                consumer.seek(tp, partition.position)
            taken.set()

    async with started(kafka, consumer):
        consumer.subscribe([PURCHASES], listener=Listener())
        await taken.wait()
        while True:
            await write_next(orders, rows, consumer, database, ours)


async def write_next(
    orders: Orders,
    rows: Rows,
    consumer: AIOKafkaConsumer,
    database: Any,
    ours: dict[int, Partition],
) -> None:
    drawn = await consumer.getmany(timeout_ms=200, max_records=orders.batch_size)
    moved, journal, ledger, outbox = [], [], [], []
    for tp, records in drawn.items():
        partition = ours.get(tp.partition)
        if partition is None or not records:
            return
        for record in records:
            three = rows.get((tp.partition, record.offset))
            if three is not None:
                journal += three[0]
                ledger += three[1]
                outbox += three[2]
        moved.append(Advance(partition, records[-1].offset + 1, 0, 0))
    if not moved:
        return
    async with database.transaction():
        await advance(database, moved)
        if orders.rows == "all":
            await database.copy_records_to_table("journal", records=journal)
            await database.copy_records_to_table("ledger", records=ledger)
            await database.copy_records_to_table("outbox", records=outbox)
        elif orders.rows == "ledger":
            first = [row for row in ledger if row[2] == 0]
            await database.copy_records_to_table("ledger", records=first)
    for one in moved:
        one.settle()


async def main() -> None:
    orders = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)
    rows = await read_rows(orders.source_url, orders.places) if orders.rows != "none" else {}
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.buffer.readline)
    await asyncio.gather(*(lane(orders, rows, number) for number in range(orders.lanes)))


if __name__ == "__main__":
    uvloop.run(main())
