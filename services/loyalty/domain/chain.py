"""The tamper-evident chain of one member's journal.

Each journal row carries a *link*: SHA-256 over the link before it, followed by the compact UTF-8
JSON of ``[row, entries]``, where ``row`` is the array of all other journal columns in the order of
:class:`JournalRow` and ``entries`` the array of the row's ledger entries in the order of
:class:`~services.loyalty.domain.ledger.LedgerEntry`; an entry's place in it is its column ``n``,
and its member and seq are the row's. Instants are integer microseconds, digests are base64 (RFC
4648 section 4), body, facts and trace are the very text that is stored. So a change to any column
of any row shows, and so does a row put in, or taken out before the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

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


_encode = msgspec.json.Encoder().encode


def link(previous: bytes, row: JournalRow, entries: Sequence[LedgerEntry]) -> bytes:
    """The 32 bytes that bind ``row`` and its entries to the link before them."""
    return sha256(previous + _encode((row, entries))).digest()


def linked_text(row: JournalRow, entries: Sequence[LedgerEntry]) -> str:
    """What a row's link covers beside the link before it, for whoever recomputes it elsewhere."""
    return _encode((row, entries)).decode()
