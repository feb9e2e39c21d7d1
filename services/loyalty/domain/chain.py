"""The tamper-evident chain of one member's journal.

Each journal row carries a *link*: SHA-256 over the link before it, followed by what
:func:`covered` says of the row: one line of compact JSON, a line feed, and after it body, facts and
trace, one right after the other, as the very bytes (UTF-8) that are stored. The line is
``[columns, lengths, entries]``: all columns before the body in the order of :class:`JournalRow`,
with instants as integer microseconds and digests in base64 (RFC 4648 section 4); how many bytes
each of the three documents has, so that none can borrow from its neighbour; and the row's ledger
entries in the order of :class:`~services.loyalty.domain.ledger.LedgerEntry`. An entry's place is
its column ``n``, and its member and seq are the row's. So a change to any column of any row shows,
and so does a row put in, or taken out before the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec

from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.ledger import LedgerEntry

GENESIS = bytes(32)
"""The link before a member's first."""


class JournalRow(NamedTuple):
    """One row of the journal without its link; the columns of the table, in its order."""

    member: str
    seq: int
    kind: str
    outcome: str
    reason: str
    program_version: int
    engine: int
    occurred_at: Instant
    recorded_at: Instant
    effective_at: Instant
    source: str
    event_id: str
    event_digest: bytes | None
    content_digest: bytes | None
    body: str
    facts: str
    trace: str


_COLUMNS: Final = JournalRow._fields.index("body")
"""So many columns stand before the documents."""

_encode: Final = msgspec.json.Encoder().encode
_sha256: Final = sha256  # a Final is found at once, an imported name is looked up at every call


def covered(
    columns: tuple[Any, ...],
    body: bytes,
    facts: bytes,
    trace: bytes,
    entries: Sequence[LedgerEntry],
) -> bytes:
    """What a row's link covers beside the link before it.

    ``columns`` are those of :class:`JournalRow` before the documents, which are taken as they were
    encoded: nothing is encoded twice.
    """
    line = _encode((columns, (len(body), len(facts), len(trace)), entries))
    return b"".join((line, b"\n", body, facts, trace))


def bound(previous: bytes, content: bytes) -> bytes:
    """The link, of 32 bytes, that binds what is :func:`covered` to the link before it."""
    digest: bytes = _sha256(previous + content).digest()
    return digest


def covered_of(row: JournalRow, entries: Sequence[LedgerEntry]) -> bytes:
    """What the link of a row that was read covers."""
    body, facts, trace = row.body.encode(), row.facts.encode(), row.trace.encode()
    return covered(row[:_COLUMNS], body, facts, trace, entries)


def link(previous: bytes, row: JournalRow, entries: Sequence[LedgerEntry]) -> bytes:
    """The link of a row that was read, recomputed."""
    return bound(previous, covered_of(row, entries))
