"""One measurement: processes at work on a stretch of the log, watched until they have done it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from uuid import uuid4

import msgspec

from services.bench.blind import Orders
from services.bench.scene import Databases, Stretch, connection
from services.events.broker import Kafka
from services.events.topics import PURCHASES

PATIENCE_S = 900
LEAST = 0.2
"""The least share of a run by which it is judged."""
SLICE_S = 0.01
"""How long a process works, and then waits, where it works half of the time."""

MEASURED = (0.2, 0.95)
"""The share of a run that counts, from when the last partition has changed hands: all lanes have
joined, and none has run dry."""


class BenchFailed(Exception):
    """A process of the bench ended, or did not get on."""


@dataclass(frozen=True)
class Shape:
    """How many processes of how many lanes work, in batches of at most how many messages."""

    workers: int = 1
    lanes: int = 1
    batch_size: int = 2000

    def __str__(self) -> str:
        lanes = "one lane" if self.lanes == 1 else f"{self.lanes} lanes"
        workers = "one worker" if self.workers == 1 else f"{self.workers} workers"
        return f"{workers}, {lanes}"


@dataclass
class Run:
    """What a run showed: events per second, and the workers' memory in MiB over time."""

    per_second: float
    memory: list[tuple[float, float]] = field(default_factory=list)


class Bench:
    """What every run needs."""

    def __init__(self, kafka: Kafka, databases: Databases, environment: Mapping[str, str]) -> None:
        self.kafka = kafka
        self.databases = databases
        self.environment = dict(environment)

    async def whole(
        self, stretch: Stretch, shape: Shape, urls: tuple[str, str], *, halved: bool = False
    ) -> Run:
        """Real workers (`loyalty work`) on a fresh database.

        With ``halved`` each works half of the time (:func:`halving`).
        """
        environment = self.environment | {
            "LOYALTY_DATABASE_URL": urls[1],
            "LOYALTY_WORKER_GROUP": f"bench-{uuid4().hex[:12]}",
            "LOYALTY_WORKER_LANES": str(shape.lanes),
            "LOYALTY_BATCH_SIZE": str(shape.batch_size),
            "LOYALTY_LOG_LEVEL": "WARNING",
        }
        command = [sys.executable, "-m", "services.cli", "work"]
        async with processes(command, shape.workers, environment) as workers:
            if not halved:
                return await watched(urls[0], stretch, workers)
            async with halving(workers):
                return await watched(urls[0], stretch, workers)

    async def blind(
        self,
        stretch: Stretch,
        shape: Shape,
        urls: tuple[str, str],
        *,
        source_url: str,
        places: Mapping[str, tuple[int, int]],
        rows: str,
    ) -> Run:
        """The floor: rows of a former run, from memory, by as many processes and lanes."""
        orders = Orders(
            dict(self.kafka.options),
            f"bench-{uuid4().hex[:12]}",
            source_url,
            urls[1],
            dict(places),
            shape.lanes,
            shape.batch_size,
            rows,
        )
        command = [sys.executable, "-m", "services.bench.blind"]
        async with processes(command, shape.workers, self.environment) as workers:
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write(msgspec.json.encode(orders) + b"\n")
            for worker in workers:
                assert worker.stdout is not None
                if not await worker.stdout.readline():
                    raise BenchFailed("a blind writer ended before it began")
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write(b"go\n")
            return await watched(urls[0], stretch, workers)


@asynccontextmanager
async def processes(
    command: list[str], count: int, environment: Mapping[str, str]
) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """So many processes of one command, gone when the block is left."""
    started = [
        await asyncio.create_subprocess_exec(
            *command,
            env=dict(environment),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**20,
        )
        for _ in range(count)
    ]
    try:
        yield started
    finally:
        for process in started:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
        for process in started:
            try:
                await asyncio.wait_for(process.wait(), 10)
            except TimeoutError:
                process.kill()
                await process.wait()


@asynccontextmanager
async def halving(workers: list[asyncio.subprocess.Process]) -> AsyncIterator[None]:
    """Lets each process work in every other slice of time, two of them never in the same one.

    What two do then is what a second one adds where it takes no processor from the first, nor from
    the database: a machine of two cores has no such place for two that work all the time.
    """

    async def alternate() -> None:
        while True:
            for turn in (0, 1):
                for number, worker in enumerate(workers):
                    if worker.returncode is None:
                        works = number % 2 == turn
                        worker.send_signal(signal.SIGCONT if works else signal.SIGSTOP)
                await asyncio.sleep(SLICE_S)

    alternating = asyncio.create_task(alternate())
    try:
        yield
    finally:
        alternating.cancel()
        for worker in workers:
            if worker.returncode is None:
                worker.send_signal(signal.SIGCONT)


async def watched(
    owner_url: str, stretch: Stretch, workers: list[asyncio.subprocess.Process]
) -> Run:
    """Watches positions until the stretch is done; the rate is that of the run's middle.

    Lanes join one after another, and until the group has shared out the partitions again, the first
    works for all: that is no part of what is measured.
    """
    begin, joined, epochs = sum(stretch.starts.values()), 0, 0
    samples: list[tuple[float, int]] = []
    memory: list[tuple[float, float]] = []
    since = time.perf_counter()
    async with connection(owner_url) as watcher:
        while True:
            at = time.perf_counter()
            done, taken = await watcher.fetchrow(
                "SELECT sum(position)::bigint, sum(epoch)::bigint FROM position WHERE topic = $1",
                PURCHASES,
            )
            samples.append((at, done - begin))
            if taken != epochs:
                joined, epochs = done - begin, taken
            memory.append((samples[-1][1] / stretch.messages, resident_mib(workers)))
            if samples[-1][1] >= stretch.messages:
                break
            if any(worker.returncode is not None for worker in workers):
                raise BenchFailed("a process of the bench ended; its last line is above")
            if at - since > PATIENCE_S:
                raise BenchFailed(f"not done after {PATIENCE_S} s: {samples[-1][1]} messages")
            await asyncio.sleep(0.02)
    low, high = (share * stretch.messages for share in MEASURED)
    low = max(low, joined)
    if high - low < LEAST * stretch.messages:
        raise BenchFailed(
            f"the last lane joined when {joined} of {stretch.messages} events were done:"
            " ask for more with --events"
        )
    return Run((high - low) / (moment(samples, high) - moment(samples, low)), memory)


def moment(samples: list[tuple[float, int]], count: float) -> float:
    """When a count was reached, between the two samples around it."""
    for (t0, n0), (t1, n1) in pairwise(samples):
        if n0 <= count <= n1 and n1 > n0:
            return t0 + (t1 - t0) * (count - n0) / (n1 - n0)
    return samples[-1][0]


def resident_mib(workers: list[asyncio.subprocess.Process]) -> float:
    """Resident memory of all processes, 0 where the system does not tell."""
    pages = 0
    for worker in workers:
        try:
            pages += int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
