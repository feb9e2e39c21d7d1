"""A deployment as operators have it: real processes, which tests start, stop, freeze and kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer

from services.demo.timeline import Post
from services.embedded import free_port
from services.events.broker import partitions_of, started
from services.events.topics import INPUTS
from services.loyalty.domain.calendar import Instant, from_datetime, to_datetime
from tests.events.conftest import Shop
from tests.postgres import Database

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
POLL_S = 0.02

_BEGUN = {"work": "partitions taken:", "relay": "relay leads:", "serve": "listening:"}
"""What processes say once they do what they are for."""


@dataclass(eq=False)
class Process:
    """A command at work, and the file in which it says what it does."""

    name: str
    command: str
    log: Path
    popen: subprocess.Popen[bytes]

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def kill(self) -> None:
        """Ends it as a power cut would, also while it is frozen."""
        self.popen.kill()
        self.popen.wait()

    def freeze(self) -> None:
        self.popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.popen.send_signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        self.popen.send_signal(signal.SIGTERM)

    def said(self, text: str) -> int:
        """How often it has said so."""
        return self.log.read_text(errors="replace").count(text)

    @property
    def holds(self) -> set[str]:
        """The partitions that it took over last."""
        taken = self.log.read_text(errors="replace").rpartition("partitions taken: ")[2]
        return set(taken.partition("\n")[0].split()) - {"none"}

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])


@dataclass(eq=False)
class Deployment:
    """A broker, a database, and the processes of the service that work on them.

    ``settings`` are LOYALTY_… variables, without that prefix, that all of its commands see.
    """

    shop: Shop
    database: Database
    directory: Path
    producer: AIOKafkaProducer
    pool: asyncpg.Pool
    settings: dict[str, str]
    processes: list[Process] = field(default_factory=list)
    produced: int = 0

    async def stand_still(self, at: Instant) -> None:
        """Has all processes go by a clock that shows ``at`` and does not move."""
        self.settings["CLOCK"] = "row"
        await self.rows("INSERT INTO clock (id, now) VALUES (1, $1)", to_datetime(at))

    def start(self, *command: str, **settings: str) -> Process:
        """Starts a process of the service."""
        name = f"{len(self.processes)}-{command[0]}"
        log = self.directory / f"{name}.log"
        with log.open("wb") as written:
            popen = subprocess.Popen(
                [sys.executable, "-m", "services.cli", *command],
                cwd=ROOT,
                env=self._environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=written,
                stderr=written,
            )
        process = Process(name, command[0], log, popen)
        self.processes.append(process)
        return process

    @property
    def url(self) -> str:
        """Where HTTP is served, by whichever process serves it."""
        return f"http://127.0.0.1:{self.settings.setdefault('HTTP_PORT', str(free_port()))}"

    async def serve(self) -> Process:
        """A server, once it answers."""
        assert self.url
        process = self.start("serve")
        await self.at_work(process)
        return process

    async def _has_said(self, process: Process, text: str) -> bool:
        assert process.alive, f"{process.name} ended: {process.last_words()}"
        return process.said(text) > 0

    async def at_work(self, *processes: Process) -> None:
        """Returns once these workers have joined the group, and these relays lead."""

        async def begun() -> bool:
            return all([await self._has_said(one, _BEGUN[one.command]) for one in processes])

        await self.until(begun, "the processes begin to work")

    async def stop(self, *processes: Process) -> None:
        """Asks processes to stop, as a supervisor would, and waits until they have."""
        for process in processes:
            process.ask_to_stop()
        for process in processes:
            assert await self.code_of(process) == 0, process.last_words()
            assert not process.said("Traceback"), process.last_words()

    async def code_of(self, process: Process, *, seconds: float = 15) -> int:
        """The exit code of a process that is about to end."""
        return await asyncio.to_thread(process.popen.wait, seconds)

    async def run(self, *command: str, **settings: str) -> tuple[int, str, str]:
        """A command that ends by itself: its exit code, standard output and standard error."""
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.cli", *command),
            cwd=ROOT,
            env=self._environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(running.communicate(), PATIENCE_S)
        assert running.returncode is not None
        return running.returncode, out.decode(errors="replace"), err.decode(errors="replace")

    def _environment(self, settings: dict[str, str]) -> dict[str, str]:
        ours = {f"LOYALTY_{name}": text for name, text in (self.settings | settings).items()}
        return {name: text for name, text in os.environ.items() if "LOYALTY" not in name} | ours

    async def produce(self, posts: Iterable[Post]) -> None:
        """Sends messages, and returns once the broker has them."""
        pending = [
            await self.producer.send(post.topic, post.value, key=post.member.encode())
            for post in posts
        ]
        for each in pending:
            await each
        self.produced += len(pending)

    async def settled(self) -> None:
        """Returns once all that was produced is behind the positions and all events are out."""
        ends = await self._ends()

        async def nothing_left() -> bool:
            rows = await self.rows("SELECT topic, partition, position FROM position")
            at = {(row[0], row[1]): row[2] for row in rows}
            if any(at.get(place, 0) < end for place, end in ends.items()):
                return False
            return not await self.value("SELECT EXISTS (SELECT FROM outbox)")

        await self.until(nothing_left, "everything produced is recorded and published")

    async def _ends(self) -> dict[tuple[str, int], int]:
        async with started(self.shop.kafka, self.shop.kafka.reader()) as reader:
            places = await partitions_of(reader, INPUTS)
            ends = await reader.end_offsets(places)
        return {(place.topic, place.partition): end for place, end in ends.items()}

    async def now(self) -> Instant:
        """The system's clock, which the processes go by unless it was told to stand still."""
        return from_datetime(await self.value("SELECT now()"))

    async def recorded(self) -> int:
        """How many messages are behind the positions of the topics that we produce to."""
        done = await self.value(
            "SELECT coalesce(sum(position), 0) FROM position WHERE topic LIKE 'commerce.%'"
        )
        return int(done)

    async def goes_on(self, count: int) -> None:
        """Returns once so many more messages are recorded."""
        goal = await self.recorded() + count

        async def reached() -> bool:
            return await self.recorded() >= goal

        await self.until(reached, f"{count} more messages are recorded")

    async def until(
        self, true: Callable[[], Awaitable[bool]], what: str, *, seconds: float = PATIENCE_S
    ) -> None:
        """Returns once a condition holds; fails with the last words of all processes."""
        deadline = asyncio.get_running_loop().time() + seconds
        while not await true():
            if asyncio.get_running_loop().time() > deadline:
                words = "\n".join(f"== {one.name}\n{one.last_words()}" for one in self.processes)
                raise AssertionError(f"not within {seconds:.0f} s: {what}\n{words}")
            await asyncio.sleep(POLL_S)

    async def rows(self, query: str, *arguments: Any) -> list[Any]:
        """Asks the database as superuser."""
        return list(await self.pool.fetch(query, *arguments))

    async def value(self, query: str, *arguments: Any) -> Any:
        return (await self.rows(query, *arguments))[0][0]

    def close(self) -> None:
        for process in self.processes:
            with suppress(ProcessLookupError):
                process.kill()
