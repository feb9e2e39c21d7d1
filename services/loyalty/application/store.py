"""The port to storage, and the values that pass through it.

The use cases know only this protocol; :mod:`services.loyalty.db` implements it on PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Final, Protocol

from services.loyalty.domain.account import Account
from services.loyalty.domain.activity import AnyBody
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.decision import Decision
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import EndedHold, LotTotals
from services.loyalty.domain.receipt import Receipt
from services.loyalty.domain.voucher import Redemption, Voucher


@dataclass(frozen=True, slots=True)
class ProfilePatch:
    """Personal data on its way to the profile, and to nowhere else. None leaves a field as it is.

    ``erase`` destroys the profile, its key and the original bytes of the member's dead letters
    instead. ``born_known_at`` is since when a date of birth was known, 0: since now.
    """

    born_on: date | None = None
    language: str | None = None
    erase: bool = False
    born_known_at: Instant = 0


class Incoming:
    """One accepted message on its way to be decided.

    Attributes:
        member: the member whose account it concerns.
        activity: what happened; its ``recorded_at`` is not yet known and 0.
        event_digest: 16 bytes that identify source and id; a member never records the same twice.
        content: the canonical parsed content, for telling a duplicate from a reused id.
        profile: personal data for the profile, or None.
    """

    def __init__(
        self,
        member: str,
        activity: Activity,
        event_digest: bytes,
        content: bytes,
        profile: ProfilePatch | None = None,
    ) -> None:
        self.member: Final = member
        self.activity: Final = activity
        self.event_digest: Final = event_digest
        self.content: Final = content
        self.profile: Final = profile


class Loaded:
    """An account as it was read, with what of its profile decisions need.

    ``due_at`` is the stored next due moment (never late, perhaps early) or None; ``head`` the last
    link of the chain; ``hmac_key`` is empty once the profile was erased.
    """

    def __init__(
        self,
        member: str,
        version: int,
        account: Account,
        head: bytes,
        due_at: Instant | None,
        hmac_key: bytes,
        born_on: date | None = None,
        born_set_at: Instant = 0,
    ) -> None:
        self.member: Final = member
        self.version: Final = version
        self.account: Final = account
        self.head: Final = head
        self.due_at: Final = due_at
        self.hmac_key: Final = hmac_key
        self.born_on: Final = born_on
        self.born_set_at: Final = born_set_at


class Decided:
    """A Decision with the digests of the message that caused it (None where the service made the
    activity itself).
    """

    def __init__(
        self,
        decision: Decision,
        event_digest: bytes | None = None,
        content_digest: bytes | None = None,
    ) -> None:
        self.decision: Final = decision
        self.event_digest: Final = event_digest
        self.content_digest: Final = content_digest


class Write:
    """All that one transaction records for one account: its Decisions in order and the state after
    the last. ``caps`` are those of the shared counters, under which grants were made; ``codes``
    those drawn for vouchers, by their digests.
    """

    def __init__(
        self,
        loaded: Loaded,
        account: Account,
        due_at: Instant | None,
        decided: list[Decided],
        profile: ProfilePatch | None = None,
        caps: Mapping[str, int] = MappingProxyType({}),
        codes: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.loaded = loaded
        self.account = account
        self.due_at = due_at
        self.decided = decided
        self.profile = profile
        self.caps = caps
        self.codes = codes


class Recording(Protocol):
    """What one transaction is to record, written down account by account.

    Decisions are written down at once and let go of: two thousand of them held at the same time do
    not fit a processor's cache, and took a quarter longer.
    """

    versions: dict[str, int]
    """By member, the version of the account that was read."""

    def add(self, write: Write) -> None:
        """Writes down what is to be recorded of one account.

        Raises:
            EventTooLarge: an event of it may not be published.
        """
        ...

    def forget(self, members: Collection[str]) -> None:
        """Strikes out what was written down of these members."""
        ...

    def granted(self) -> dict[str, int]:
        """What is written down of grants, by shared counter."""
        ...


class Session(Protocol):
    """One connection to storage. Reads see committed state; writes happen inside
    :meth:`transaction`.
    """

    async def now(self) -> Instant | None:
        """The clock row's instant where the deployment runs on one, else None."""
        ...

    async def open_accounts(self, members: Sequence[str]) -> None:
        """Creates missing accounts and profiles, in sorted order, in a committed transaction of its
        own.
        """
        ...

    async def load_accounts(self, members: Sequence[str]) -> dict[str, Loaded]:
        """The accounts that exist, by member."""
        ...

    async def load_members(self, after: str, limit: int) -> list[str]:
        """The ids of up to so many accounts after one, in order."""
        ...

    async def load_receipts(
        self, orders: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Receipt]:
        """Receipts by (member, order)."""
        ...

    async def load_lots(self, lots: Sequence[tuple[str, str]]) -> dict[tuple[str, str], LotTotals]:
        """Totals of lots that left the working state, by (member, lot key)."""
        ...

    async def load_codes(self, codes: Sequence[str]) -> dict[str, str]:
        """Whose referral codes these are, by code, where they are anybody's."""
        ...

    async def load_lots_of(self, members: Sequence[str]) -> dict[tuple[str, str], LotTotals]:
        """Totals of all lots of the members that left the working state, by (member, lot key)."""
        ...

    async def load_ended_holds(
        self, holds: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], EndedHold]:
        """How those holds ended that did, by (member, hold)."""
        ...

    async def load_vouchers(
        self, vouchers: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Voucher]:
        """Vouchers by (member, voucher id)."""
        ...

    async def load_redemptions(
        self, redemptions: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Redemption]:
        """Redemptions by (member, redemption)."""
        ...

    async def load_history(
        self, keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], list[int]]:
        """Counters and windows that left the working state, as [times, points] by (member, key)."""
        ...

    async def load_all_history(self, members: Sequence[str]) -> dict[tuple[str, str], list[int]]:
        """All counters and windows of some members that left the working state."""
        ...

    async def load_welcomes(self, members: Sequence[str]) -> dict[str, list[str]]:
        """By member, the rules that gave points for the enrolment, in the order of their names."""
        ...

    async def load_levels(
        self, moments: Sequence[tuple[str, Instant]]
    ) -> dict[tuple[str, Instant], str]:
        """The tier level that each member held at an instant, where the history knows one."""
        ...

    async def load_parked(
        self, members: Sequence[str]
    ) -> dict[tuple[str, int], tuple[AnyBody, Instant]]:
        """Parked bodies and when they occurred, by (member, seq)."""
        ...

    async def load_counters(self, keys: Collection[str], *, lock: bool = False) -> dict[str, int]:
        """What is used of shared counters; of one that nobody has taken from yet, nothing.

        With ``lock``, nobody else takes from them until the transaction ends: in the order of their
        names, and after all accounts.
        """
        ...

    async def find_recorded(
        self, events: Sequence[tuple[str, bytes]]
    ) -> dict[tuple[str, bytes], bytes]:
        """Content digests of events that are already in the journal, by (member, event digest)."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """A read-committed transaction; leaving it normally commits."""
        ...

    async def lock_accounts(self, members: Iterable[str]) -> dict[str, int]:
        """Locks accounts in sorted order and answers their versions."""
        ...

    async def lock_due(self, until: Instant, limit: int) -> dict[str, Loaded]:
        """Locks up to ``limit`` accounts due by ``until``, passing over those that somebody else
        has locked. No version of the programme is published until the transaction ends.
        """
        ...

    async def latest_program_version(self) -> int:
        """The greatest published version, 0 before the first."""
        ...

    async def load_programs(self, after: int) -> list[tuple[int, Instant, str]]:
        """Published versions greater than ``after``: number, instant from which it holds, document
        text.
        """
        ...

    def recording(self) -> Recording:
        """An empty recording."""
        ...

    async def record(self, recording: Recording) -> None:
        """Records Decisions set-based: one round trip per table. Only inside :meth:`transaction`.

        Raises:
            AlreadyRecorded: a unique key of the journal refused an event that was recorded
            meanwhile.
            Overdrawn: there is less left of a shared counter than was granted.
            CodeTaken: a code that was drawn for a voucher or a member is somebody's already.
        """
        ...


class CodeTaken(Exception):
    """A voucher or a member has the very code that was drawn: read, draw and decide again."""


class AlreadyRecorded(Exception):
    """An event of the batch is in the journal already: ask :meth:`Session.find_recorded` and redo
    the batch.
    """


class Overdrawn(Exception):
    """Others took from a shared counter meanwhile, and too little is left: decide again."""
