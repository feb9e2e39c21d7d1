"""The processes of the service: HTTP, worker, relay, scheduler, and all of them in one."""

from __future__ import annotations

import asyncio
import logging
import socket
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg

from services.commands import wiring
from services.commands.http_server import HttpServer, address, bind
from services.commands.running import Part, run_until_stopped
from services.commands.signing import signing_key
from services.embedded import embedded
from services.events.broker import Kafka, one_line
from services.events.consumer import Worker
from services.events.database import Database
from services.events.halt import WatermarkDiffers
from services.events.lane import WorkerOptions
from services.events.relay import Relay
from services.events.scheduler import Checkpointer, Scheduler
from services.events.stopping import pause
from services.events.topics import partition_counts
from services.events.watermark import check_history
from services.loyalty.application.clock import Clock
from services.loyalty.application.programs import Programs
from services.loyalty.db import migrate as migrations
from services.loyalty.db.checkpoints import make_daily
from services.loyalty.db.connect import SchemaBehind, connected, create_pool
from services.loyalty.db.online import PgOnlineStore
from services.loyalty.domain.calendar import Instant
from services.loyalty.http.app import create_app
from services.settings import Settings

log = logging.getLogger(__name__)

HISTORY_S = 10.0
"""How often a process that does not touch Kafka itself looks whether the two histories agree."""


@dataclass(frozen=True)
class Deployment:
    """What the processes of one deployment share."""

    settings: Settings
    kafka: Kafka
    database: Database
    clock: Clock
    programs: Programs

    @classmethod
    def of(cls, settings: Settings, *, real: bool = True) -> Deployment:
        """
        Args:
            real: False on the in-process broker.

        Raises:
            SettingsRefused: database or broker are not named.
        """
        return cls(
            settings,
            database=wiring.database(settings),
            kafka=wiring.kafka(settings, real=real),
            clock=wiring.clock(settings),
            programs=Programs(),
        )

    async def check(self) -> None:
        """Returns where everything is there for processes to start.

        Raises:
            DatabaseUnavailable, SchemaBehind, BrokerUnavailable, WatermarkDiffers: it is not.
        """
        url = self.settings.database_url
        async with connected(url, purpose="start") as connection:
            await migrations.require_schema(connection)
            await check_history(self.kafka, connection)

    async def run(self, **parts: Part) -> None:
        """Runs parts until they are asked to stop."""
        beat = self.settings.heartbeat_file
        await run_until_stopped(parts, heartbeat=Path(beat) if beat else None)

    def worker(self, *, wake: asyncio.Event | None = None) -> Worker:
        """A worker; it sets ``wake`` after every batch."""
        settings = self.settings
        options = WorkerOptions(
            group=settings.worker_group,
            lanes=settings.worker_lanes,
            batch_size=settings.batch_size,
            breaker=settings.breaker,
            limits=wiring.event_limits(settings),
        )
        recorded = (wake or asyncio.Event()).set
        return Worker(
            self.kafka, self.database, self.programs, self.clock, options, recorded=recorded
        )

    def relay(self, *, wake: asyncio.Event | None = None) -> Relay:
        """A relay; it looks for work at once when ``wake`` is set."""
        return Relay(self.kafka, self.database, wake=wake)

    def scheduler(self) -> Scheduler:
        """A scheduler; any number may work side by side."""
        return Scheduler(
            self.kafka,
            self.database,
            self.programs,
            self.clock,
            tick_wait=self.settings.tick_wait,
            keep_bodies=self.settings.keep_dead_letters,
            checkpoint=self._checkpointer(),
        )

    def _checkpointer(self) -> Checkpointer | None:
        """Makes the checkpoint of the day, where the deployment has a key to sign it.

        Raises:
            SettingsRefused: the file named is no such key.
        """
        if not self.settings.checkpoint_key_file:
            return None
        key = signing_key(self.settings)

        async def make(connection: asyncpg.Connection, now: Instant) -> None:
            if made := await make_daily(connection, key, at=now):
                log.info("checkpoint: number=%d members=%d", made.number, made.count)

        return make

    @asynccontextmanager
    async def http(self, listening: socket.socket) -> AsyncIterator[Part]:
        """HTTP on the socket, as a part; its connections are open inside the context."""
        settings = self.settings
        pool = await create_pool(
            settings.database_url, purpose="http", max_size=settings.http_connections
        )
        try:
            app = create_app(store=PgOnlineStore(pool), programs=self.programs, clock=self.clock)
            server = HttpServer(app)

            async def answer(stop: asyncio.Event) -> None:
                log.info("listening: %s", address(listening))
                await server.run_on(listening, stop)

            yield answer
        finally:
            await pool.close()

    async def watch_history(self, stop: asyncio.Event) -> None:
        """Looks now and then whether database and Kafka still tell one history.

        Raises:
            WatermarkDiffers: they do not.
            SchemaBehind: the database was set back to before a migration.
        """
        while not stop.is_set():
            await pause(stop, HISTORY_S)
            try:
                await self.check()
            except (WatermarkDiffers, SchemaBehind):
                raise
            except Exception as error:  # requests are answered as far as they can be
                log.warning("history not compared: %s: %s", type(error).__name__, one_line(error))


async def serve(settings: Settings, options: Namespace) -> None:
    """Answers HTTP requests."""
    wiring.start_logging(settings)
    deployment = Deployment.of(settings)
    with _bound(settings, options) as listening:
        await deployment.check()
        async with deployment.http(listening) as http:
            await deployment.run(http=http, history=deployment.watch_history)


async def work(settings: Settings, options: Namespace) -> None:
    """Takes events from Kafka and records what they earn."""
    wiring.start_logging(settings)
    if options.lanes is not None:
        settings = replace(settings, worker_lanes=options.lanes)
    deployment = Deployment.of(settings)
    await deployment.check()
    await deployment.run(worker=deployment.worker().run)


async def relay(settings: Settings, options: Namespace) -> None:
    """Publishes what was recorded."""
    del options
    wiring.start_logging(settings)
    deployment = Deployment.of(settings)
    await deployment.check()
    await deployment.run(relay=deployment.relay().run)


async def schedule(settings: Settings, options: Namespace) -> None:
    """Decides what the clock brings due."""
    del options
    wiring.start_logging(settings)
    deployment = Deployment.of(settings)
    await deployment.check()
    await deployment.run(scheduler=deployment.scheduler().run)


async def run(settings: Settings, options: Namespace) -> None:
    """Everything in one process, on the parts that are named or on embedded ones."""
    wiring.start_logging(settings)
    with _bound(settings, options) as listening:
        if not settings.embedded:
            await _run_all(Deployment.of(settings), listening)
            return
        async with embedded_deployment(settings) as deployment:
            _tell_where(deployment.settings)
            await _run_all(deployment, listening)


async def _run_all(deployment: Deployment, listening: socket.socket) -> None:
    await deployment.check()
    wake = asyncio.Event()
    async with deployment.http(listening) as http:
        await deployment.run(
            http=http,
            worker=deployment.worker(wake=wake).run,
            relay=deployment.relay(wake=wake).run,
            scheduler=deployment.scheduler().run,
        )


@asynccontextmanager
async def embedded_deployment(settings: Settings) -> AsyncIterator[Deployment]:
    """A deployment on embedded parts, migrated and empty, that go when the context ends.

    It has one lane, because the in-process broker cannot hold a group of two.

    Raises:
        EmbeddedPartFailed: a part does not start.
    """
    below = Path(settings.data_dir) if settings.data_dir else None
    topics = partition_counts(settings.kafka_partitions)
    async with embedded(topics, below=below) as parts:
        migrations.upgrade(parts.database_url)
        found = replace(
            settings,
            database_url=parts.database_url,
            kafka_bootstrap=parts.kafka_bootstrap,
            worker_lanes=1,
        )
        yield Deployment.of(found, real=False)


def _tell_where(settings: Settings) -> None:
    """What another terminal needs to work with the embedded parts."""
    print("Embedded parts, gone with this process. To work with them from another terminal:")
    print(f"export LOYALTY_DATABASE_URL='{settings.database_url}'")
    print(f"export LOYALTY_KAFKA_BOOTSTRAP='{settings.kafka_bootstrap}'", flush=True)


def _bound(settings: Settings, options: Namespace) -> socket.socket:
    host = options.host or settings.http_host
    return bind(host, settings.http_port if options.port is None else options.port)
