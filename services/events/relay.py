"""The relay: from the outbox to Kafka, each batch exactly once and in order.

One relay works at a time. It holds an advisory lock on the connection on which it claims, and its
producer's transactional id fences whoever sent before. Between claiming a batch and deleting it any
crash is settled at the next start: the watermark tells whether Kafka has the batch.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from typing import Any

from services.events import outbox
from services.events.broker import Kafka, one_line, started
from services.events.codec import SOURCE
from services.events.database import Database, closed
from services.events.halt import BrokerUnavailable, Halted
from services.events.outbox import Row, Standing
from services.events.publishing import outgoing, send_batch
from services.events.stopping import GRACE_S, pause, unless_stopped
from services.events.watermark import (
    Watermark,
    check_claimed,
    check_standing,
    read_watermark,
)

log = logging.getLogger(__name__)

TRANSACTIONAL_ID = "loyalty-relay"
LOCK = 0x6C6F79616C7479
"""The advisory lock that a relay or a recovery holds: the bytes of "loyalty"."""

LIMIT = 2000
"""The most rows of one batch."""

POLL_S = (0.02, 0.05, 0.1, 0.2)
RETRY_S = (0.1, 0.5, 1.0, 2.0, 5.0)
TURN_S = 1.0
"""How often a relay in waiting asks whether it is its turn."""


class Relay:
    """Publishes the outbox.

    Args:
        source: the CloudEvents source of what is published.
        wake: set by whoever recorded something in this process; without it the relay polls.
        limit: the most rows of one batch.
    """

    def __init__(
        self,
        kafka: Kafka,
        database: Database,
        *,
        source: str = SOURCE,
        wake: asyncio.Event | None = None,
        limit: int = LIMIT,
    ) -> None:
        self._kafka = kafka
        self._database = database
        self._source = source
        self._wake = wake or asyncio.Event()
        self._limit = limit
        self._owner = secrets.token_hex(8)
        self.published = 0
        self.idle = asyncio.Event()
        """Set while nothing was left to publish at the last look."""

    async def run(self, stop: asyncio.Event) -> None:
        """Publishes until ``stop``; waits while the database or Kafka cannot be reached.

        Raises:
            Halted: only a person can help.
            BrokerUnavailable: Kafka was not there from the start.
        """
        failures = 0
        while not stop.is_set():
            before = self.published
            try:
                await unless_stopped(stop, self._serve(stop), grace_s=GRACE_S)
            except Halted:
                raise
            except BrokerUnavailable:
                if not self.published and not failures:
                    raise
                failures += 1
            except Exception as error:
                failures = 1 if self.published > before else failures + 1
                log.warning("relay begins again: %s: %s", type(error).__name__, one_line(error))
            self.idle.clear()
            if not stop.is_set():
                await pause(stop, RETRY_S[min(failures, len(RETRY_S) - 1)])
        log.info("relay stopped: published=%d", self.published)

    async def _serve(self, stop: asyncio.Event) -> None:
        """Publishes on one connection, which holds the lock, and with one producer."""
        async with closed(await self._database.open("relay")) as connection:
            if not await self._has_turn(connection, stop):
                return
            async with started(self._kafka, self._kafka.producer(TRANSACTIONAL_ID)) as producer:
                held = await outbox.take_ownership(connection, self._owner)
                mark = await read_watermark(self._kafka)
                check_standing(mark, held)
                await check_claimed(connection, mark, held)
                log.info("relay leads: incarnation=%d batch=%d", held.incarnation, held.n)
                rows = await self._unsettled(connection, held, mark)
                await self._publish(connection, producer, held, rows, stop)

    async def _has_turn(self, connection: Any, stop: asyncio.Event) -> bool:
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            await pause(stop, TURN_S)
            if stop.is_set():
                return False
        return True

    async def _unsettled(
        self, connection: Any, held: Standing, mark: Watermark | None
    ) -> Sequence[Row]:
        """The batch that was claimed and never sent; one that Kafka has is deleted instead."""
        rows = await outbox.claimed(connection, held.n)
        if held.n == (mark.n if mark else 0):
            await outbox.delete(connection, held.n, rows)
            return ()
        log.info("sent again: batch=%d rows=%d", held.n, len(rows))
        return rows

    async def _publish(
        self,
        connection: Any,
        producer: Any,
        held: Standing,
        rows: Sequence[Row],
        stop: asyncio.Event,
    ) -> None:
        quiet = 0
        while True:
            if rows:
                await send_batch(
                    producer, held, (outgoing(row, held, self._source) for row in rows)
                )
                self.published += len(rows)
            self._wake.clear()
            last, rows = rows, ()
            async with connection.transaction():
                if last:
                    await outbox.delete(connection, held.n, last)
                if not stop.is_set():
                    rows = await outbox.claim(connection, held, self._owner, self._limit)
            if stop.is_set():
                return
            if rows:
                held, quiet = Standing(held.incarnation, held.n + 1), 0
                self.idle.clear()
            else:
                self.idle.set()
                await pause(stop, POLL_S[min(quiet, len(POLL_S) - 1)], wake=self._wake)
                quiet += 1
