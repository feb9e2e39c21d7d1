"""Dead letters as people work with them: list, show, replay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from services.events import codec
from services.events.database import Database
from services.events.topics import DERIVED
from services.loyalty.application.batch import Outcome
from services.loyalty.application.clock import Clock
from services.loyalty.application.intake import LIMITS, Limits, read_event
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import record_batch
from services.loyalty.application.store import Incoming
from services.loyalty.domain.calendar import Instant, from_datetime, to_datetime


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up.

    ``body`` holds the original bytes, or None where retention or an erasure took them (and in
    lists); ``replayed_at`` is when it was recorded after all.
    """

    topic: str
    partition: int
    offset: int
    member: str | None
    reason: str
    detail: str
    digest: bytes
    size_bytes: int
    received_at: Instant
    replayed_at: Instant | None
    body: bytes | None = None

    @property
    def place(self) -> str:
        """Its name on the command line: ``topic/partition/offset``."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class NoSuchDeadLetter(Exception):
    """There is no dead letter at that place."""


class NotReplayable(Exception):
    """It was replayed before, its bytes are gone, or its id belongs to another event."""


_COLUMNS = (
    "topic, partition, offset_, member_id, reason, detail, digest, size, received_at, replayed_at"
)
_LIST = f"""
    SELECT {_COLUMNS} FROM dead_letter
    WHERE ($1::text IS NULL OR reason = $1) AND ($2::text IS NULL OR member_id = $2)
        AND ($3 OR replayed_at IS NULL)
    ORDER BY received_at DESC, topic, partition, offset_ DESC LIMIT $4
"""  # noqa: S608  the columns are constants
_SHOW = f"""
    SELECT {_COLUMNS}, body FROM dead_letter WHERE topic = $1 AND partition = $2 AND offset_ = $3
"""  # noqa: S608  the columns are constants
_MARK = """
    UPDATE dead_letter SET replayed_at = $4
    WHERE topic = $1 AND partition = $2 AND offset_ = $3 AND replayed_at IS NULL
"""


def parse_place(text: str) -> tuple[str, int, int]:
    """The topic, partition and offset that ``topic/partition/offset`` names.

    Raises:
        NoSuchDeadLetter: it names none.
    """
    topic, _, rest = text.partition("/")
    partition, _, offset = rest.partition("/")
    if not (topic and partition.isdecimal() and offset.isdecimal()):
        raise NoSuchDeadLetter(f"{text!r} is no place like commerce.purchases/3/1042")
    return topic, int(partition), int(offset)


async def list_dead_letters(
    connection: Any,
    *,
    reason: str | None = None,
    member: str | None = None,
    replayed: bool = False,
    limit: int = 100,
) -> list[DeadLetter]:
    """Dead letters without their bytes, newest first; those replayed only where asked for."""
    rows = await connection.fetch(_LIST, reason, member, replayed, limit)
    return [_dead_letter(row) for row in rows]


async def show(connection: Any, place: str) -> DeadLetter:
    """One dead letter with its bytes.

    Raises:
        NoSuchDeadLetter: there is none.
    """
    row = await connection.fetchrow(_SHOW, *parse_place(place))
    if row is None:
        raise NoSuchDeadLetter(f"there is no dead letter at {place}")
    return _dead_letter(row)


async def replay(
    database: Database,
    connection: Any,
    programs: Programs,
    clock: Clock,
    place: str,
    *,
    limits: Limits = LIMITS,
) -> Outcome:
    """Takes the original bytes down the one river again, and notes that in the same transaction.

    Raises:
        NoSuchDeadLetter: there is none.
        NotReplayable: it cannot be, and the message says why.
        Unacceptable: it is refused still.
    """
    letter = await show(connection, place)
    if letter.replayed_at is not None:
        raise NotReplayable(f"{place} was replayed before")
    if letter.body is None:
        raise NotReplayable(f"the bytes of {place} are no longer kept")
    session = database.session(connection)
    now = await clock.now(session)
    incoming = _decoded(letter, now, limits)
    (outcome,) = await record_batch(
        session, programs, clock, [incoming], fence=_marking(connection, letter, now)
    )
    return outcome


def _marking(
    connection: Any, letter: DeadLetter, now: Instant
) -> Callable[[list[Outcome]], Awaitable[None]]:
    async def mark(outcomes: list[Outcome]) -> None:
        if outcomes[0].status == "id_reused":
            raise NotReplayable(f"{letter.place}: its id belongs to an event with another content")
        where = (letter.topic, letter.partition, letter.offset)
        if await connection.execute(_MARK, *where, to_datetime(now)) != "UPDATE 1":
            raise NotReplayable(f"{letter.place} was replayed meanwhile")

    return mark


def _decoded(letter: DeadLetter, now: Instant, limits: Limits) -> Incoming:
    assert letter.body is not None
    if letter.topic == DERIVED:
        return codec.read_derived(letter.body).incoming
    return read_event(letter.body, now=now, limits=limits)


async def forget_bodies(connection: Any, *, before: Instant) -> int:
    """Drops the original bytes of dead letters received before an instant; answers of how many."""
    tag = await connection.execute(
        "UPDATE dead_letter SET body = NULL WHERE body IS NOT NULL AND received_at < $1",
        to_datetime(before),
    )
    return int(tag.rpartition(" ")[2])


def _dead_letter(row: Any) -> DeadLetter:
    replayed_at = row["replayed_at"]
    return DeadLetter(
        row["topic"],
        row["partition"],
        row["offset_"],
        row["member_id"],
        row["reason"],
        row["detail"],
        row["digest"],
        row["size"],
        from_datetime(row["received_at"]),
        None if replayed_at is None else from_datetime(replayed_at),
        row["body"] if "body" in row else None,  # noqa: SIM401  a driver's row is no mapping
    )
