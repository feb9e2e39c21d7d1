"""What a story is told from: the journal of a member, and where an event went."""

from __future__ import annotations

import asyncpg
import msgspec

from services.loyalty.application.intake import event_digest
from services.loyalty.application.story.letters import DeadLetter
from services.loyalty.db.journal import COLUMNS, journal_row
from services.loyalty.domain.calendar import from_datetime
from services.loyalty.domain.chain import JournalRow

_JOURNAL = f"""
    SELECT {", ".join(COLUMNS)} FROM journal WHERE member_id = $1 AND seq <= $2 ORDER BY seq
"""  # noqa: S608  the names are ours
_OF_MEMBER = "SELECT seq FROM journal WHERE member_id = $1 AND event_digest = $2"
_OF_ANYBODY = "SELECT member_id, seq FROM journal WHERE event_digest = $1 ORDER BY member_id"
_LETTERS = """
    SELECT topic, partition, offset_, member_id, reason, detail, received_at, replayed_at, body
    FROM dead_letter
    WHERE ($1::text IS NULL OR member_id = $1 OR member_id IS NULL)
        AND position($2::bytea in body) > 0
    ORDER BY received_at, topic, partition, offset_
"""
LAST = 2**62
"""Above every seq."""


class _Envelope(msgspec.Struct):
    """What names an event."""

    id: str = ""
    source: str = ""


_read = msgspec.json.Decoder(_Envelope).decode


async def load_journal(
    connection: asyncpg.Connection, member: str, until: int = LAST
) -> list[JournalRow]:
    """A member's journal from the first row up to and including a seq."""
    return [journal_row(row) for row in await connection.fetch(_JOURNAL, member, until)]


async def find_event(
    connection: asyncpg.Connection, source: str, event_id: str, member: str
) -> int:
    """The journal row of a member that an event made; 0 where it made none."""
    seq = await connection.fetchval(_OF_MEMBER, member, event_digest(source, event_id))
    return int(seq or 0)


async def find_event_of_anybody(
    connection: asyncpg.Connection, source: str, event_id: str
) -> list[tuple[str, int]]:
    """The members whose journal has an event, and where: it reads an index whole, as no index
    leads with events.
    """
    rows = await connection.fetch(_OF_ANYBODY, event_digest(source, event_id))
    return [(row[0], row[1]) for row in rows]


async def find_letters(
    connection: asyncpg.Connection, source: str, event_id: str, member: str | None = None
) -> list[DeadLetter]:
    """Dead letters whose kept bytes are that event: of one member and of nobody known, or of
    anybody.
    """
    plain = event_id.isascii() and not set(event_id) & set('"\\/')  # else written in many ways
    named = event_id.encode() if plain else b""
    rows = await connection.fetch(_LETTERS, member, named)
    return [_letter(row) for row in rows if _is_of(row["body"], source, event_id)]


def _is_of(body: bytes, source: str, event_id: str) -> bool:
    try:
        read = _read(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return (read.source, read.id) == (source, event_id)


def _letter(row: asyncpg.Record) -> DeadLetter:
    replayed_at = row["replayed_at"]
    return DeadLetter(
        f"{row['topic']}/{row['partition']}/{row['offset_']}",
        row["member_id"] or "",
        row["reason"],
        row["detail"],
        from_datetime(row["received_at"]),
        from_datetime(replayed_at) if replayed_at else 0,
    )
