"""What happens to a deployment while it works: load without end, and faults."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from random import Random

from tests.storm.deployment import Deployment, Process
from tests.storm.shoppers import Shoppers

AT_ONCE, EVERY_S = 10, 0.04
"""Some 250 messages a second, so that most batches are small and most moments busy."""

BACKLOG = 300


@asynccontextmanager
async def feeding(deployment: Deployment, shoppers: Shoppers) -> AsyncIterator[None]:
    """Shoppers go on for the time of a ``with`` block, never far ahead of what is recorded."""
    over = asyncio.Event()

    async def feed() -> None:
        while not over.is_set():
            if deployment.produced - await deployment.recorded() < BACKLOG:
                await deployment.produce(shoppers.go_on(AT_ONCE))
            await asyncio.sleep(EVERY_S)

    task = asyncio.create_task(feed())
    try:
        yield
    finally:
        over.set()
        await task


@dataclass
class Storm:
    """Faults at seeded random moments, each while work is under way.

    ``met`` counts them by kind.
    """

    deployment: Deployment
    rng: Random
    workers: list[Process]
    relay: Process
    met: Counter[str] = field(default_factory=Counter)

    async def over_workers(self, kills: int, freezes: int) -> None:
        """Workers are killed, or frozen until others have taken their partitions."""
        faults = [self._kill_worker] * kills + [self._freeze_worker] * freezes
        self.rng.shuffle(faults)
        for fault in faults:
            await self.deployment.goes_on(self.rng.randint(1, 200))
            await self._random_moment()
            await fault(self.rng.randrange(len(self.workers)))

    async def over_the_relay(self, kills: int, cuts: int, freezes: int) -> None:
        """The relay is killed at any moment, or just when Kafka has a batch that the database does
        not know to be sent, or frozen until another has taken its place.
        """
        faults = [self._kill_relay] * kills + [self._cut_relay] * cuts
        faults += [self._freeze_relay] * freezes
        self.rng.shuffle(faults)
        for fault in faults:
            await self._publishes_on(self.rng.randint(1, 6))
            await self._random_moment()
            await fault()

    async def _random_moment(self) -> None:
        await asyncio.sleep(self.rng.uniform(0, 0.05))

    async def _kill_worker(self, which: int) -> None:
        self.workers[which].kill()
        self.workers[which] = self.deployment.start("work")
        self.met["worker killed"] += 1

    async def _freeze_worker(self, which: int) -> None:
        """The others may wait for a lock that it holds until its session is ended."""
        zombie = await self._frozen(which)
        before, epochs = zombie.said("partitions taken:"), await self._epochs()

        async def taken() -> bool:
            return all(epoch > epochs[place] for place, epoch in (await self._epochs()).items())

        async def back() -> bool:
            return zombie.said("partitions taken:") > before

        await self.deployment.until(taken, f"others take over from {zombie.name}")
        zombie.thaw()
        await self.deployment.until(back, f"{zombie.name} is back in the group")
        self.met["worker frozen"] += 1

    async def _frozen(self, which: int) -> Process:
        """The worker, or the next that has partitions, frozen."""
        candidates = cycle(self.workers[which:] + self.workers[:which])
        found: list[Process] = []

        async def has_partitions() -> bool:
            candidate = next(candidates)
            candidate.freeze()
            if candidate.holds:
                found.append(candidate)
            else:
                candidate.thaw()
            return bool(found)

        await self.deployment.until(has_partitions, "a worker has partitions")
        return found[0]

    async def _epochs(self) -> dict[tuple[str, int], int]:
        rows = await self.deployment.rows("SELECT topic, partition, epoch FROM position")
        return {(row[0], row[1]): row[2] for row in rows}

    async def _kill_relay(self) -> None:
        self.relay.kill()
        self.relay = self.deployment.start("relay")
        self.met["relay killed"] += 1

    async def _cut_relay(self) -> None:
        """The rows of its batch are locked, so that it waits with deleting what it has sent."""
        async with self.deployment.pool.acquire() as connection, connection.transaction():

            async def holds_batch() -> bool:
                rows = await connection.fetch(
                    "SELECT FROM outbox WHERE claim IS NOT NULL FOR UPDATE SKIP LOCKED"
                )
                return bool(rows)

            await self.deployment.until(holds_batch, "a batch is claimed")
            await self.deployment.until(self._waits_for_a_lock, "a batch is sent")
            self.relay.kill()
        self.relay = self.deployment.start("relay")
        self.met["relay cut off from its batch"] += 1

    async def _waits_for_a_lock(self) -> bool:
        return bool(
            await self.deployment.value(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND application_name = 'loyalty relay' AND wait_event_type = 'Lock'"
            )
        )

    async def _freeze_relay(self) -> None:
        """A relay is cut off from the database while it is frozen, and finds another at work."""
        zombie, self.relay = self.relay, self.deployment.start("relay")
        zombie.freeze()
        await self.deployment.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'loyalty relay'"
        )
        await self.deployment.until(self._leads, "another relay takes over")
        zombie.thaw()
        await self._publishes_on(2)
        await self.deployment.stop(zombie)
        self.met["relay frozen"] += 1

    async def _leads(self) -> bool:
        return self.relay.said("relay leads") > 0

    async def _publishes_on(self, batches: int) -> None:
        goal = await self.deployment.value("SELECT n FROM relay") + batches

        async def reached() -> bool:
            return bool(await self.deployment.value("SELECT n FROM relay") >= goal)

        await self.deployment.until(reached, f"{batches} more batches are published")
