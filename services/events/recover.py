"""Recovery: going on after the database, or Kafka, was set back to an earlier moment.

A restored database is a prefix of what once was, and perhaps has gone another way since. Events
that were published of what it no longer knows, or knows otherwise, are void; a new incarnation says
so, member by member, and is part of every later event's id, so that nobody takes a new event for
one of those. What was published of what it does know stays published, and is not sent again.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from services.events import codec, outbox
from services.events.agreement import last_agreed
from services.events.broker import Kafka, started
from services.events.codec import SOURCE, EventId
from services.events.database import Database, closed
from services.events.halt import Halted, WatermarkDiffers
from services.events.outbox import Standing
from services.events.published import Published, published_since
from services.events.publishing import Outgoing, send_batch
from services.events.relay import LOCK, TRANSACTIONAL_ID
from services.events.topics import EVENTS
from services.events.watermark import Watermark, check_claimed, check_standing, read_watermark
from services.loyalty.application.clock import Clock
from services.loyalty.domain.calendar import Instant, to_datetime

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a recovery did.

    Attributes:
        incarnation: the one that begins.
        last_batch: the last valid batch of those that ended.
        voided: members of whom events were taken back.
        kept: events that wait no more, because they were published before and stay so.
    """

    incarnation: int
    last_batch: int
    voided: int
    kept: int


class _Plan(NamedTuple):
    """Which incarnations end, from ``base`` on, and which begins.

    The database is a prefix of what ``base`` once was. ``begun`` says that a recovery was cut off
    after it had told the database.
    """

    base: int
    next: int
    begun: bool


def _plan(mark: Watermark | None, held: Standing) -> _Plan:
    seen = mark.incarnation if mark else held.incarnation
    begun = seen < held.incarnation
    return _Plan(min(seen, held.incarnation), held.incarnation if begun else seen + 1, begun)


async def recover(
    kafka: Kafka, database: Database, clock: Clock, *, source: str = SOURCE
) -> Recovered | None:
    """Starts a new incarnation where Kafka and the database disagree; None where they agree.

    No other part may run. A recovery that was cut off is finished by the next one.

    Raises:
        Halted: a relay runs, or the histories have parted too far.
        BrokerUnavailable: Kafka cannot be reached.
    """
    async with closed(await database.open("recover")) as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
            raise Halted("a relay is running: stop all parts before `loyalty recover`")
        async with started(kafka, kafka.producer(TRANSACTIONAL_ID)) as producer:
            mark = await read_watermark(kafka)
            held = await outbox.take_ownership(connection, f"recovery {secrets.token_hex(8)}")
            if await _agree(connection, mark, held):
                return None
            now = await clock.now(database.session(connection))
            return await _Recovery(kafka, connection, producer, now, source).run(mark, held)


async def _agree(connection: Any, mark: Watermark | None, held: Standing) -> bool:
    try:
        check_standing(mark, held)
        await check_claimed(connection, mark, held)
    except WatermarkDiffers:
        return False
    return True


class _Recovery:
    """One recovery, under the lock of the relay and with its producer."""

    def __init__(
        self, kafka: Kafka, connection: Any, producer: Any, now: Instant, source: str
    ) -> None:
        self._kafka = kafka
        self._connection = connection
        self._producer = producer
        self._now = now
        self._source = source

    async def run(self, mark: Watermark | None, held: Standing) -> Recovered:
        plan = _plan(mark, held)
        last_batch = await self._last_batch(plan, held)
        published = await published_since(self._kafka, plan.base, last_batch)
        known = await self._known(published)
        _check_together(published.beyond, known, plan.base)
        stands = await last_agreed(
            self._connection, published, known, source=self._source, tidied=plan.begun
        )
        kept = [event for event in published.beyond if event.seq <= stands[event.member]]
        voided = sorted(
            {(event.member, event.incarnation) for event in _undone(published.beyond, stands)}
        )
        begins = Standing(plan.next, max(held.n, mark.n if mark else 0, published.newest))
        async with self._connection.transaction():
            if not plan.begun:
                await self._begin(plan, last_batch)
            await self._tidy_outbox(held, begins, kept, sent=published.newest >= held.n)
        await send_batch(self._producer, begins, self._notices(begins, voided, stands))
        done = Recovered(plan.next, last_batch, len({member for member, _ in voided}), len(kept))
        log.info("%s", done)
        return done

    async def _last_batch(self, plan: _Plan, held: Standing) -> int:
        if not plan.begun:
            return held.n
        last: int = await self._connection.fetchval(
            "SELECT last_batch FROM incarnation WHERE incarnation = $1", plan.base
        )
        return last

    async def _known(self, published: Published) -> dict[str, int]:
        """The last seq that the database knows, by member of whom anything was published beyond."""
        members = sorted({event.member for event in published.beyond})
        rows = await self._connection.fetch(
            "SELECT member_id, seq FROM account WHERE member_id = ANY($1::text[])", members
        )
        return dict.fromkeys(members, 0) | {row[0]: row[1] for row in rows}

    async def _begin(self, plan: _Plan, last_batch: int) -> None:
        await self._connection.execute(
            "INSERT INTO incarnation (incarnation, last_batch, started_at)"
            " SELECT ended, $3, $4 FROM generate_series($1::int, $2::int - 1) AS ended"
            " ON CONFLICT (incarnation) DO UPDATE SET last_batch = EXCLUDED.last_batch",
            plan.base,
            plan.next,
            last_batch,
            to_datetime(self._now),
        )
        await self._connection.execute(
            "INSERT INTO incarnation (incarnation, started_at) VALUES ($1, $2)",
            plan.next,
            to_datetime(self._now),
        )

    async def _tidy_outbox(
        self, held: Standing, begins: Standing, kept: list[EventId], *, sent: bool
    ) -> None:
        """Leaves in the outbox what was never published, and moves the relay's row."""
        if sent:
            await self._connection.execute("DELETE FROM outbox WHERE claim = $1", held.n)
        await self._connection.execute("UPDATE outbox SET claim = NULL WHERE claim IS NOT NULL")
        await self._connection.execute(
            "DELETE FROM outbox o"
            " USING unnest($1::text[], $2::bigint[], $3::smallint[]) AS k(member_id, seq, n)"
            " WHERE o.member_id = k.member_id AND o.seq = k.seq AND o.n = k.n AND o.target IS NULL",
            [event.member for event in kept],
            [event.seq for event in kept],
            [event.n for event in kept],
        )
        await self._connection.execute(
            "UPDATE relay SET incarnation = $1, n = $2 WHERE id = 1", *begins
        )

    def _notices(
        self, begins: Standing, voided: Iterable[tuple[str, int]], stands: Mapping[str, int]
    ) -> Iterator[Outgoing]:
        for member, incarnation in voided:
            value = codec.voided_bytes(
                begins.incarnation,
                member,
                voided=incarnation,
                after_seq=stands[member],
                at=self._now,
                source=self._source,
            )
            yield Outgoing(EVENTS, member.encode(), value)


def _undone(events: Iterable[EventId], stands: Mapping[str, int]) -> Iterator[EventId]:
    """Events that do not stand; what took others back is none itself."""
    return (event for event in events if event.n >= 0 and event.seq > stands[event.member])


def _check_together(events: Iterable[EventId], known: Mapping[str, int], base: int) -> None:
    """Checks that a later incarnation said nothing of what the restored database knows otherwise.

    Raises:
        Halted: it did, so that this database is no prefix of what was published.
    """
    for event in events:
        last = known[event.member]
        parted = event.seq < last if event.n < 0 else event.seq <= last
        if event.incarnation > base and parted:
            raise Halted(
                f"this database is of incarnation {base}, but incarnation {event.incarnation}"
                " already published another history of the same accounts: restore a backup of"
                " that one"
            )
