"""Storage in memory: the port to storage as :mod:`services.loyalty.db.session` implements it.

It keeps the very rows that PostgreSQL would get, so that what is read back has gone through its
text, and it never waits: :func:`settled` runs a use case to its end without an event loop.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from itertools import groupby
from typing import Any, TypeVar

from services.loyalty.application.store import (
    AlreadyRecorded,
    CodeTaken,
    Loaded,
    Overdrawn,
    Recording,
    Write,
)
from services.loyalty.db.rows import Row, Rows
from services.loyalty.domain.account import Account, decode_account, encode_account
from services.loyalty.domain.activity import AnyBody, decode_body
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.chain import GENESIS
from services.loyalty.domain.decision import Decision
from services.loyalty.domain.facts import EndedHold, LotTotals
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.receipt import Receipt, decode_receipt
from services.loyalty.domain.voucher import (
    OPEN,
    Redemption,
    Voucher,
    decode_redemption,
    decode_voucher,
)

T = TypeVar("T")


def settled(use_case: Coroutine[Any, Any, T]) -> T:
    """What a use case comes to on a store that never makes it wait, but for others' turns."""
    while True:
        try:
            waits_for = use_case.send(None)
        except StopIteration as done:
            value: T = done.value
            return value
        assert waits_for is None, "a fake store never waits"


@dataclass(slots=True)
class Stored:
    """An account's row."""

    version: int
    state: str
    head: bytes
    due_at: Instant | None


@dataclass(slots=True)
class Profile:
    """A member's profile."""

    hmac_key: bytes
    born_on: date | None = None
    born_set_at: Instant = 0
    language: str | None = None


@dataclass
class FakeStore:
    """All committed rows. Sessions of one store see each other's commits and heed their locks."""

    now: Instant | None = None
    programs: list[tuple[int, Instant, str]] = field(default_factory=list)
    accounts: dict[str, Stored] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)
    journal: dict[tuple[str, int], Row] = field(default_factory=dict)
    ledger: list[Row] = field(default_factory=list)
    outbox: list[Row] = field(default_factory=list)
    receipts: dict[tuple[str, str], str] = field(default_factory=dict)
    lots: dict[tuple[str, str], LotTotals] = field(default_factory=dict)
    history: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    levels: list[Row] = field(default_factory=list)
    parked: dict[tuple[str, int], tuple[str, Instant]] = field(default_factory=dict)
    rewards: list[Row] = field(default_factory=list)
    codes: dict[str, str] = field(default_factory=dict)
    holds: dict[tuple[str, str], Row] = field(default_factory=dict)
    vouchers: dict[tuple[str, str], str] = field(default_factory=dict)
    voucher_codes: dict[str, tuple[str, str]] = field(default_factory=dict)
    redemptions: dict[tuple[str, str], str] = field(default_factory=dict)
    recorded: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    decisions: dict[tuple[str, int], Decision] = field(default_factory=dict)
    locks: dict[str, FakeSession] = field(default_factory=dict)
    counters: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Cap and used, by name."""

    def account(self, member: str) -> Account:
        """The working state as it is stored."""
        return decode_account(self.accounts[member].state)

    def entries(self, member: str) -> dict[int, list[LedgerEntry]]:
        """The member's ledger by journal seq."""
        own = [row for row in self.ledger if row[0] == member]
        by_seq = groupby(own, key=lambda row: int(row[1]))
        return {seq: [LedgerEntry(*row[3:]) for row in rows] for seq, rows in by_seq}

    def apply(self, rows: Rows) -> None:
        """Makes rows visible, all at once."""
        for row in rows.account:
            stored = self.accounts[row[0]]
            assert stored.version == row[1], "accounts changed although locked"
            self.accounts[row[0]] = Stored(row[1] + 1, row[7], row[6], row[5])
        for row in rows.journal:
            self.journal[row[0], row[1]] = row
            if row[12] is not None:
                self.recorded[row[0], row[12]] = row[13]
        self.ledger += rows.ledger
        self.outbox += rows.outbox
        for member, order, doc in (*rows.receipt, *rows.new_receipt):
            self.receipts[member, order] = doc
        for member, key, *more in rows.lot:
            was = self.lots.get((member, key), LotTotals())
            totals = LotTotals(more[0], more[1], more[2], tuple(more[3].split()))
            self.lots[member, key] = was.plus(totals)
        for row in rows.hold:
            self.holds[row[0], row[1]] = row
        for member, key, times, points in rows.history:
            self.history[member, key] = [times, points]
        self.levels += rows.tier_history
        for member, seq, _, _, occurred_at, body in rows.parked:
            self.parked[member, seq] = (body, occurred_at)
        for member, seq in rows.unparked:
            del self.parked[member, seq]
        self.rewards += rows.issued_reward
        self.counters |= self.moved(rows)
        for member, code, _ in rows.referral_code:
            self.codes[code] = member
        self._spent(rows)
        self._profiles(rows)

    def moved(self, rows: Rows) -> dict[str, tuple[int, int]]:
        """Shared counters as rows leave them.

        Raises:
            Overdrawn: that is more than there is.
        """
        moved = {}
        for key, taken, cap in rows.counter:
            used = self.counters.get(key, (0, 0))[1] + taken
            held = cap if taken > 0 else max(cap, used)
            if not 0 <= used <= held:
                raise Overdrawn(key)
            moved[key] = held, used
        return moved

    def _spent(self, rows: Rows) -> None:
        for member, voucher, code, *_, doc in rows.new_voucher:
            assert code, "a voucher is written with the code that was drawn"
            self.vouchers[member, voucher] = doc
            self.voucher_codes[code] = (member, voucher)
        for member, voucher, _, doc in rows.voucher:
            assert decode_voucher(self.vouchers[member, voucher]).state == OPEN
            self.vouchers[member, voucher] = doc
        for member, redemption, points, returned, doc in (*rows.new_redemption, *rows.redemption):
            assert 0 <= returned <= points
            self.redemptions[member, redemption] = doc

    def _profiles(self, rows: Rows) -> None:
        for member, born_on, set_at, language in rows.profile:
            held = self.profiles.get(member)
            if held is None:
                continue  # erased
            if born_on is not None and born_on != held.born_on:
                held.born_on, held.born_set_at = born_on, set_at
            held.language = language or held.language
        for (member,) in rows.erased_profile:
            self.profiles.pop(member, None)


class _Remembered:
    """Rows, and the Decisions that they came from, for tests to look at."""

    def __init__(self, decisions: dict[tuple[str, int], Decision]) -> None:
        self.rows = Rows()
        self.versions = self.rows.versions
        self.forget = self.rows.forget
        self.granted = self.rows.granted
        self.decisions = decisions

    def add(self, write: Write) -> None:
        self.rows.add(write)
        for decided in write.decided:
            self.decisions[write.loaded.member, decided.decision.account.seq] = decided.decision


class FakeSession:
    """:class:`~services.loyalty.application.store.Session` on a :class:`FakeStore`."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self._staged: list[Rows] | None = None

    async def now(self) -> Instant | None:
        return self.store.now

    async def open_accounts(self, members: Sequence[str]) -> None:
        assert self._staged is None, "accounts are opened in their own commit"
        for member in sorted(set(members)):
            if member not in self.store.accounts:
                state = encode_account(Account()).decode()
                self.store.accounts[member] = Stored(0, state, GENESIS, None)
                self.store.profiles[member] = Profile(sha256(member.encode()).digest())

    async def load_accounts(self, members: Sequence[str]) -> dict[str, Loaded]:
        return {member: self._loaded(member) for member in members if member in self.store.accounts}

    def _loaded(self, member: str) -> Loaded:
        stored = self.store.accounts[member]
        profile = self.store.profiles.get(member, Profile(b""))
        return Loaded(
            member,
            stored.version,
            decode_account(stored.state),
            stored.head,
            stored.due_at,
            profile.hmac_key,
            profile.born_on,
            profile.born_set_at,
        )

    async def load_members(self, after: str, limit: int) -> list[str]:
        return sorted(member for member in self.store.accounts if member > after)[:limit]

    async def load_receipts(
        self, orders: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Receipt]:
        docs = self.store.receipts
        return {order: decode_receipt(docs[order]) for order in orders if order in docs}

    async def load_lots(self, lots: Sequence[tuple[str, str]]) -> dict[tuple[str, str], LotTotals]:
        return {key: self.store.lots[key] for key in lots if key in self.store.lots}

    async def load_codes(self, codes: Sequence[str]) -> dict[str, str]:
        return {code: self.store.codes[code] for code in codes if code in self.store.codes}

    async def load_lots_of(self, members: Sequence[str]) -> dict[tuple[str, str], LotTotals]:
        return {key: totals for key, totals in self.store.lots.items() if key[0] in members}

    async def load_ended_holds(
        self, holds: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], EndedHold]:
        rows = {hold: self.store.holds[hold] for hold in holds if hold in self.store.holds}
        return {
            hold: EndedHold(row[3], row[14]) for hold, row in rows.items() if row[14] is not None
        }

    async def load_vouchers(
        self, vouchers: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Voucher]:
        docs = self.store.vouchers
        return {name: decode_voucher(docs[name]) for name in vouchers if name in docs}

    async def load_redemptions(
        self, redemptions: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], Redemption]:
        docs = self.store.redemptions
        return {name: decode_redemption(docs[name]) for name in redemptions if name in docs}

    async def load_history(
        self, keys: Sequence[tuple[str, str]]
    ) -> dict[tuple[str, str], list[int]]:
        return {key: list(self.store.history[key]) for key in keys if key in self.store.history}

    async def load_all_history(self, members: Sequence[str]) -> dict[tuple[str, str], list[int]]:
        return {key: list(row) for key, row in self.store.history.items() if key[0] in members}

    async def load_welcomes(self, members: Sequence[str]) -> dict[str, list[str]]:
        joined = {key for key, row in self.store.journal.items() if row[2] == "enrolment"}
        given: dict[str, set[str]] = {}
        for member, seq, _, kind, *more in self.store.ledger:
            if member in members and (member, seq) in joined and kind == "accrual":
                given.setdefault(member, set()).add(more[6])
        return {member: sorted(causes) for member, causes in given.items()}

    async def load_levels(
        self, moments: Sequence[tuple[str, Instant]]
    ) -> dict[tuple[str, Instant], str]:
        found = {}
        for member, at in moments:
            held = [
                (since, seq, level)
                for who, since, seq, level in self.store.levels
                if who == member and since <= at
            ]
            if held:
                found[member, at] = max(held)[2]
        return found

    async def load_parked(
        self, members: Sequence[str]
    ) -> dict[tuple[str, int], tuple[AnyBody, Instant]]:
        return {
            key: (decode_body(body), at)
            for key, (body, at) in self.store.parked.items()
            if key[0] in members
        }

    async def load_counters(self, keys: Collection[str], *, lock: bool = False) -> dict[str, int]:
        assert not lock or self._staged is not None, "locks live as long as their transaction"
        return {key: self.store.counters.get(key, (0, 0))[1] for key in keys}

    async def find_recorded(
        self, events: Sequence[tuple[str, bytes]]
    ) -> dict[tuple[str, bytes], bytes]:
        recorded = self.store.recorded
        return {event: recorded[event] for event in events if event in recorded}

    def transaction(self) -> AbstractAsyncContextManager[None]:
        return self._transaction()

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        assert self._staged is None, "transactions do not nest"
        self._staged = []
        try:
            yield
            for rows in self._staged:
                self.store.apply(rows)
        finally:
            self._staged = None
            for member in [m for m, holder in self.store.locks.items() if holder is self]:
                del self.store.locks[member]

    async def lock_accounts(self, members: Iterable[str]) -> dict[str, int]:
        assert self._staged is not None, "locks live as long as their transaction"
        versions = {}
        for member in sorted(members):
            holder = self.store.locks.setdefault(member, self)
            assert holder is self, "a fake cannot wait for a lock"
            if member in self.store.accounts:
                versions[member] = self.store.accounts[member].version
        return versions

    async def lock_due(self, until: Instant, limit: int) -> dict[str, Loaded]:
        due = sorted(
            (stored.due_at, member)
            for member, stored in self.store.accounts.items()
            if stored.due_at is not None and stored.due_at <= until
        )
        free = [member for _, member in due if self.store.locks.get(member, self) is self][:limit]
        await self.lock_accounts(free)
        return {member: self._loaded(member) for member in free}

    async def latest_program_version(self) -> int:
        return max((number for number, _, _ in self.store.programs), default=0)

    async def load_programs(self, after: int) -> list[tuple[int, Instant, str]]:
        return [version for version in self.store.programs if version[0] > after]

    def recording(self) -> Recording:
        return _Remembered(self.store.decisions)

    async def record(self, recording: Recording) -> None:
        assert isinstance(recording, _Remembered)
        rows = recording.rows
        if not rows.account:
            return
        assert self._staged is not None, "Decisions are recorded in a transaction"
        new = {(row[0], row[12]) for row in rows.journal if row[12] is not None}
        orders = {(member, order) for member, order, _ in rows.new_receipt}
        redemptions = {(member, name) for member, name, *_ in rows.new_redemption}
        codes = {code for _, code, _ in rows.referral_code}
        if (
            new & self.store.recorded.keys()
            or orders & self.store.receipts.keys()
            or redemptions & self.store.redemptions.keys()
        ):
            raise AlreadyRecorded
        rows.sum_grants()
        self.store.moved(rows)
        if codes & self.store.codes.keys():
            raise CodeTaken
        if self.store.voucher_codes.keys() & {row[2] for row in rows.new_voucher}:
            raise CodeTaken
        self._staged.append(rows)


def events_of(store: FakeStore, member: str) -> Iterator[tuple[int, str, str | None, str]]:
    """What went out about a member, in the order of the outbox: seq, type, target and data."""
    for who, seq, _, _, _, kind, target, data in store.outbox:
        if who == member:
            yield seq, kind, target, data
