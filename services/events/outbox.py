"""The outbox as the edge sees it: what waits to be published, claimed batch by batch.

A member's transactions commit in the order of their locks, so what is visible of a member is
always a prefix; and a claim takes the first rows of one snapshot in one order, so its cut is too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from services.events.halt import Fenced
from services.loyalty.domain.calendar import Instant, from_datetime


class Row(NamedTuple):
    """A row of the outbox: an event of ``member_id``, or what ``target`` shall hear of it."""

    member_id: str
    seq: int
    n: int
    at: Any
    type: str
    target: str | None
    data: str


class Standing(NamedTuple):
    """Where the relay stands: its incarnation, and the last batch claimed (0: none yet)."""

    incarnation: int
    n: int


_COLUMNS = "member_id, seq, n, at, type, target, data"

_CLAIM = f"""
    WITH first AS (
        SELECT member_id, seq, n FROM outbox WHERE claim IS NULL
        ORDER BY recorded_at, member_id, seq, n LIMIT $2
    ), stamped AS (
        UPDATE outbox o SET claim = $1 FROM first f
        WHERE o.member_id = f.member_id AND o.seq = f.seq AND o.n = f.n
        RETURNING o.recorded_at, o.member_id, o.seq, o.n, o.at, o.type, o.target, o.data
    )
    SELECT {_COLUMNS} FROM stamped ORDER BY recorded_at, member_id, seq, n
"""  # noqa: S608  the columns are constants

_CLAIMED = f"""
    SELECT {_COLUMNS} FROM outbox WHERE claim = $1 ORDER BY recorded_at, member_id, seq, n
"""  # noqa: S608  the columns are constants

_EVENTS_AT = f"""
    SELECT {_COLUMNS} FROM unnest($1::text[], $2::bigint[]) AS place(member_id, seq)
    JOIN outbox USING (member_id, seq) WHERE target IS NULL
"""  # noqa: S608  the columns are constants

_MOVE = """
    UPDATE relay SET n = n + 1
    WHERE id = 1 AND incarnation = $1 AND n = $2 AND owner = $3
"""

_DELETE = """
    DELETE FROM outbox o
    USING unnest($2::text[], $3::bigint[], $4::smallint[]) AS s(member_id, seq, n)
    WHERE o.member_id = s.member_id AND o.seq = s.seq AND o.n = s.n AND o.claim = $1
"""


async def take_ownership(connection: Any, owner: str) -> Standing:
    """Makes ``owner`` the one who claims from now on; answers where its predecessor stood."""
    row = await connection.fetchrow(
        "UPDATE relay SET owner = $1 WHERE id = 1 RETURNING incarnation, n", owner
    )
    return Standing(*row)


async def standing(connection: Any) -> Standing:
    """Where the relay stands, without touching it."""
    return Standing(*await connection.fetchrow("SELECT incarnation, n FROM relay WHERE id = 1"))


async def claim(connection: Any, held: Standing, owner: str, limit: int) -> list[Row]:
    """Claims the next batch, ``held.n + 1``, of up to ``limit`` rows; nothing where none wait.

    Inside a transaction, which must end where :class:`Fenced` is raised.

    Raises:
        Fenced: another relay moved on.
    """
    rows = await connection.fetch(_CLAIM, held.n + 1, limit)
    if rows and await connection.execute(_MOVE, *held, owner) != "UPDATE 1":
        raise Fenced("another relay has taken over")
    return [Row(*row) for row in rows]


async def claimed(connection: Any, n: int) -> list[Row]:
    """The rows of a batch that was claimed and not yet deleted."""
    return [Row(*row) for row in await connection.fetch(_CLAIMED, n)]


async def events_at(connection: Any, places: Collection[tuple[str, int]]) -> list[Row]:
    """The events that wait in the outbox at places, each a member and a seq."""
    members, seqs = zip(*sorted(set(places)), strict=True) if places else ((), ())
    return [Row(*row) for row in await connection.fetch(_EVENTS_AT, members, seqs)]


async def delete(connection: Any, n: int, rows: Sequence[Row]) -> None:
    """Deletes a batch that Kafka has, and nothing else."""
    await connection.execute(
        _DELETE,
        n,
        [row.member_id for row in rows],
        [row.seq for row in rows],
        [row.n for row in rows],
    )


async def oldest_derived(connection: Any) -> Instant | None:
    """When the oldest derived row was recorded that is not sent on yet, None where none waits."""
    oldest = await connection.fetchval(
        "SELECT min(recorded_at) FROM outbox WHERE target IS NOT NULL"
    )
    return None if oldest is None else from_datetime(oldest)
