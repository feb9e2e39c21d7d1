"""The port to storage for requests that wait for an answer: one member at a time, no locks.

:mod:`services.loyalty.db` implements it on a pool of PostgreSQL connections.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from services.loyalty.application.api_keys import ApiKey
from services.loyalty.application.books import Books
from services.loyalty.application.store import Loaded, Session, Write
from services.loyalty.application.story.letters import DeadLetter
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.chain import JournalRow
from services.loyalty.domain.holdout_report import Comparison
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.voucher import Voucher


@dataclass(frozen=True, slots=True)
class JournalPageItem:
    """A row of the journal with its entries; ``body`` and ``trace`` are JSON texts."""

    seq: int
    kind: str
    outcome: str
    reason: str
    program_version: int
    occurred_at: Instant
    recorded_at: Instant
    effective_at: Instant
    source: str
    event_id: str
    body: str
    trace: str
    entries: Sequence[LedgerEntry]


@dataclass(frozen=True, slots=True)
class Issued:
    """A reward that a member got, and when."""

    reward: str
    how: str
    by: str
    points: int
    issued_at: Instant
    voucher: str = ""


@dataclass(frozen=True, slots=True)
class CodedVoucher:
    """A voucher with its member and its code, which opens it to whoever has it."""

    member: str
    code: str = field(repr=False)
    voucher: Voucher


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold as its row tells it. ``state`` is ``open`` until something ends it, even where its end
    has come meanwhile and no tick was decided yet; ``ended_at`` is 0 while it is.
    """

    hold: str
    seq: int
    state: str
    currency: str
    points: int
    captured: int
    reward: str
    for_order: str
    money: str
    amount: int
    worth: int
    held_at: Instant
    ends_at: Instant
    ended_at: Instant


@dataclass(frozen=True, slots=True)
class PublishedVersion:
    """A version of the programme as it was published. ``document`` is empty in lists."""

    version: int
    holds_from: Instant
    published_at: Instant
    published_by: str
    digest: str
    document: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered to an idempotency key, as it was sent, and the digest of its request."""

    request_digest: bytes
    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one SELECT saw of a member.

    ``loaded`` is None where there is no account; ``reply`` is what was answered to the idempotency
    key asked for, or None; ``program_version`` the greatest published, 0 before the first;
    ``counters`` what is used of the shared counters asked for.
    """

    loaded: Loaded | None
    reply: Reply | None
    program_version: int
    counters: dict[str, int] = field(default_factory=dict)


class Unreachable(Exception):
    """The database cannot be reached at the moment."""


class OnlineSession(Session, Protocol):
    """A session that can also read and record one account without a lock, and publish."""

    async def read_one(
        self, member: str, key_digest: bytes | None = None, counters: Sequence[str] = ()
    ) -> Snapshot:
        """The member's account, the answer to an idempotency key and shared counters, all from one
        SELECT.
        """
        ...

    async def write_one(self, write: Write, key_digest: bytes, reply: Reply) -> bool:
        """Records one account's Decisions and the reply in one statement.

        False: the account moved on since it was read, the idempotency key was taken, or too little
        is left of a shared counter; nothing was written, so read and decide again.

        Raises:
            AlreadyRecorded: an event of the Write is in the journal.
            CodeTaken: a code that was drawn is somebody's already: read and decide again.
        """
        ...

    async def load_newest(self) -> PublishedVersion | None:
        """The newest published version with its document, None before the first."""
        ...

    async def insert_version(self, version: PublishedVersion) -> bool:
        """Adds a version; False where its number is taken."""
        ...

    async def lower_due(self, until: Instant) -> None:
        """Makes every account due by ``until`` at the latest, in batches that commit by themselves.

        Whoever decided meanwhile on what an account was before reads it again.
        """
        ...


class OnlineStore(Protocol):
    """Storage as HTTP uses it. All but :meth:`check` raise :class:`Unreachable` when it is away."""

    def session(self) -> AbstractAsyncContextManager[OnlineSession]:
        """A session of its own for the time of a ``with`` block."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[OnlineSession]:
        """The same, but all that it reads is as of one instant, and it can change nothing."""
        ...

    async def load_page(self, member: str, before: int, limit: int) -> list[JournalPageItem]:
        """Journal rows with a seq below ``before``, newest first."""
        ...

    async def load_journal(self, member: str, until: int) -> list[JournalRow]:
        """The member's journal from its first row up to and including a seq."""
        ...

    async def find_event(self, source: str, event_id: str, member: str) -> int:
        """The member's journal row that an event made; 0 where it made none."""
        ...

    async def find_letters(self, source: str, event_id: str, member: str) -> list[DeadLetter]:
        """Dead letters whose kept bytes are that event: the member's, and those that name nobody
        that could be read.
        """
        ...

    async def load_issued(self, member: str, limit: int) -> list[Issued]:
        """The latest rewards that the member got, newest first."""
        ...

    async def load_holds(self, member: str, limit: int) -> list[HoldRow]:
        """The latest holds of a member, newest first."""
        ...

    async def load_hold(self, member: str, hold: str) -> HoldRow | None:
        """One hold of a member."""
        ...

    async def load_coded(self, member: str, limit: int) -> list[CodedVoucher]:
        """The latest vouchers of the member, newest first."""
        ...

    async def find_code(self, code: str) -> CodedVoucher | None:
        """The voucher that has this code, whoever's it is."""
        ...

    async def load_versions(self) -> list[PublishedVersion]:
        """All published versions, newest first, without their documents."""
        ...

    async def load_version(self, version: int) -> PublishedVersion | None:
        """One published version with its document."""
        ...

    async def compare_holdout(self, made: Comparison, after: str, limit: int) -> str:
        """Adds to a comparison up to so many members after one, and their orders of the trial's
        time; answers the last of them where there may be more, else nothing.
        """
        ...

    async def find_key(self, key_id: str) -> ApiKey | None:
        """The API key of an id."""
        ...

    def books(self) -> AbstractAsyncContextManager[Books]:
        """The books, for the time of a ``with`` block."""
        ...

    async def check(self) -> dict[str, str]:
        """``database`` and ``schema``, each ``ok`` or what is wrong with it; never raises."""
        ...
