"""What the demonstration plays on: the whole service in this process, on embedded parts.

Time is a row of the database, and only :meth:`Stage.set_clock` advances it: after everything up to
that moment was sent, recorded and decided.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from socket import socket
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer

from services.commands.http_server import address, bind
from services.commands.processes import Deployment, embedded_deployment
from services.demo.audience import Audience
from services.demo.retail import SHOP_ZONE
from services.demo.timeline import Post
from services.events.broker import started
from services.events.relay import Relay
from services.failures import PortInUse
from services.loyalty.application.api_keys import SCOPES
from services.loyalty.application.publishing import publish
from services.loyalty.db.connect import connected
from services.loyalty.db.keys import create_key
from services.loyalty.db.online import PgOnlineSession
from services.loyalty.domain.calendar import DAY, Instant, local_date, midnight, to_datetime
from services.loyalty.domain.program import Program
from services.settings import Settings

PROGRAM = Path(__file__).resolve().parents[2] / "contracts" / "programs" / "gift-shop.yaml"
PATIENCE_S = 60.0
"""How long anything that was sent may take to be recorded or published."""

POLL_S = 0.004
_HOLDS_FROM = re.compile(r"^holds_from:.*$", re.MULTILINE)

Ends = dict[tuple[str, int], int]
"""Per topic and partition, the offset after the last message sent."""


class StageFailed(Exception):
    """What was sent was not recorded or published in time."""


@dataclass
class Stage:
    """The running service.

    Attributes:
        owner: a superuser's connection, which the service itself never has.
        key: an API key that opens everything.
        sent: messages sent so far.
    """

    deployment: Deployment
    owner: asyncpg.Connection
    program: Program
    listening: socket
    key: str
    producer: AIOKafkaProducer
    relay: Relay
    audience: Audience
    parts: asyncio.TaskGroup
    wake: asyncio.Event
    stop: asyncio.Event
    sent: int = 0
    _working: list[tuple[asyncio.Task[None], asyncio.Event]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where HTTP is served."""
        return address(self.listening)

    async def set_clock(self, at: Instant) -> None:
        """Advances the one clock of the deployment."""
        await self.owner.execute("UPDATE clock SET now = $1 WHERE now < $1", to_datetime(at))

    async def send(self, posts: Iterable[Post]) -> Ends:
        """Sends messages; answers where the partitions end then."""
        pending = [
            await self.producer.send(post.topic, post.value, key=post.member.encode())
            for post in posts
        ]
        ends: Ends = {}
        for future in pending:
            place = await future
            where = place.topic, place.partition
            ends[where] = max(ends.get(where, 0), place.offset + 1)
        self.sent += len(pending)
        return ends

    async def recorded(self, ends: Ends) -> None:
        """Returns once a worker has recorded everything before these offsets.

        Raises:
            StageFailed: not within a minute.
        """
        if ends:
            await self._until(self._stand_at, ends, "the worker has not recorded what was sent")

    async def _stand_at(self, ends: Ends) -> bool:
        rows = await self.owner.fetch("SELECT topic, partition, position FROM position")
        positions = {(row[0], row[1]): row[2] for row in rows}
        return all(positions.get(where, 0) >= end for where, end in ends.items())

    async def tick(self, connection: asyncpg.Connection) -> None:
        """Has the scheduler decide everything that is due by now."""
        await self.deployment.scheduler().look(connection)

    async def published(self) -> None:
        """Returns once the outbox is empty and the audience has heard what left it.

        Raises:
            StageFailed: not within a minute.
        """
        await self._until(self._all_heard, None, "not everything recorded was published")

    async def _all_heard(self, _: None) -> bool:
        waiting = await self.owner.fetchval("SELECT EXISTS (SELECT FROM outbox)")
        return not waiting and self.audience.total >= self.relay.published

    async def _until(self, happened: Any, what: Any, otherwise: str) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not await happened(what):
            if asyncio.get_running_loop().time() > deadline:
                raise StageFailed(f"{otherwise} within {PATIENCE_S:.0f} s")
            await asyncio.sleep(POLL_S)

    def begin_work(self, group: str) -> None:
        """Starts a worker of a consumer group; where it begins to read, the database says."""
        settings = replace(self.deployment.settings, worker_group=group)
        worker = replace(self.deployment, settings=settings).worker(wake=self.wake)
        stop = asyncio.Event()
        self._working.append((self.parts.create_task(worker.run(stop)), stop))

    async def end_work(self) -> None:
        """Lets the worker finish its batch and end."""
        while self._working:
            task, stop = self._working.pop()
            stop.set()
            await task


@asynccontextmanager
async def staged(settings: Settings, first: Instant, *, port: int) -> AsyncIterator[Stage]:
    """Everything started, the programme published in time for ``first``, the clock a day before.

    Raises:
        EmbeddedPartFailed: a part does not start.
        PortInUse: somebody else listens on the port.
    """
    day = midnight(local_date(first, SHOP_ZONE), SHOP_ZONE)
    ours = replace(settings, clock="row", tick_wait=timedelta(0))
    async with AsyncExitStack() as stack:
        listening = stack.enter_context(_bound(settings.http_host, port))
        deployment = await stack.enter_async_context(embedded_deployment(ours))
        url = deployment.settings.database_url
        owner = await stack.enter_async_context(connected(url, purpose="demo", role=None))
        await owner.execute("INSERT INTO clock (id, now) VALUES (1, $1)", to_datetime(day - DAY))
        key = await create_key(owner, "the demonstration", SCOPES, at=day - DAY)
        program = await _publish(deployment, day)
        await deployment.check()
        options = deployment.kafka.options
        producer = AIOKafkaProducer(**options, acks="all", max_batch_size=256 * 1024)
        await stack.enter_async_context(started(deployment.kafka, producer))
        http = await stack.enter_async_context(deployment.http(listening))
        wake, stop = asyncio.Event(), asyncio.Event()
        relay, audience = deployment.relay(wake=wake), Audience()
        partitions = deployment.settings.kafka_partitions
        async with asyncio.TaskGroup() as parts:
            parts.create_task(relay.run(stop))
            parts.create_task(audience.listen(deployment.kafka, partitions, stop))
            parts.create_task(http(stop))
            stage = Stage(
                deployment,
                owner,
                program,
                listening,
                key,
                producer,
                relay,
                audience,
                parts,
                wake,
                stop,
            )
            stage.begin_work("loyalty")
            try:
                yield stage
            finally:
                await stage.end_work()
                stop.set()


@contextmanager
def _bound(host: str, port: int) -> Any:
    """A listening socket: on any free port where the one wished for is taken."""
    try:
        listening = bind(host, port)
    except PortInUse:
        listening = bind(host, 0)
    with listening:
        yield listening


async def _publish(deployment: Deployment, day: Instant) -> Program:
    """Publishes the example programme so that it holds from the first day of the sales."""
    on = local_date(day, SHOP_ZONE).isoformat()
    text = _HOLDS_FROM.sub(
        f'holds_from: "{on}T00:00"', PROGRAM.read_text(encoding="utf-8"), count=1
    )
    url = deployment.settings.database_url
    async with connected(url, purpose="program") as connection:
        session = PgOnlineSession(connection)
        await publish(session, deployment.clock, text, by="the demonstration")
        await deployment.programs.refresh(session)
    return deployment.programs.at(day)
