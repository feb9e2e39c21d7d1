"""The worker: lanes that read the topics and record what follows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from services.events.broker import Kafka
from services.events.database import Database
from services.events.lane import Lane, WorkerOptions
from services.events.recording import Tally
from services.events.stopping import GRACE_S
from services.loyalty.application.clock import Clock
from services.loyalty.application.collector import spare_the_collector
from services.loyalty.application.programs import Programs

log = logging.getLogger(__name__)


def _nothing() -> None:
    """Nobody wants to hear of recorded batches."""


class Worker:
    """Reads every input topic in ``options.lanes`` lanes.

    Args:
        recorded: called after every batch, such as to wake a relay in the same process.
    """

    def __init__(
        self,
        kafka: Kafka,
        database: Database,
        programs: Programs,
        clock: Clock,
        options: WorkerOptions,
        *,
        recorded: Callable[[], None] = _nothing,
    ) -> None:
        self.tally = Tally()
        self._lanes = [
            Lane(
                f"loyalty-{number}", kafka, database, programs, clock, options, self.tally, recorded
            )
            for number in range(options.lanes)
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Works until ``stop``, then finishes the batches in flight and leaves the group.

        Raises:
            Halted: a lane cannot go on until a person acts; the others have stopped too.
        """
        spare_the_collector()
        ended = asyncio.Event()
        tasks = [asyncio.create_task(lane.run(ended)) for lane in self._lanes]
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            ended.set()
            await asyncio.wait(tasks, timeout=GRACE_S)
        finally:
            for task in (stopping, *tasks):
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(stopping, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
        log.info(
            "worker stopped: messages=%d dead_letters=%d",
            self.tally.messages,
            self.tally.dead_letters,
        )
