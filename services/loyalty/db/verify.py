"""Proving the books: every chain, lot, balance and total recomputed from the stored rows.

Members are read in order, from one snapshot of the database, so it may run beside anything else;
what is held in memory at a time is one member's rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import groupby

import asyncpg
import msgspec

from services.loyalty.application.codes import digest_of
from services.loyalty.db.instants import reading_instants
from services.loyalty.db.session import totals_of
from services.loyalty.db.statements import columns_of
from services.loyalty.db.tables import journal, ledger
from services.loyalty.domain.account import Account, decode_account
from services.loyalty.domain.activity import decode_body
from services.loyalty.domain.books import (
    Difference,
    HoldEntries,
    MemberBooks,
    differences,
    impossible,
    spending_differences,
)
from services.loyalty.domain.chain import GENESIS, JournalRow, link
from services.loyalty.domain.ledger import LedgerEntry
from services.loyalty.domain.merging import carries
from services.loyalty.domain.pooling import recalls_of
from services.loyalty.domain.voucher import OPEN, Voucher, decode_redemption, decode_voucher

CHECKED = (
    "every link of every member's chain, over all columns of journal and ledger",
    "seqs without a gap, entries without a gap and with their journal row",
    "every entry's points and buckets, and no balance below zero that may not be",
    "lots, what is held of them, windows, arrears and totals of lots against the entries",
    "every hold that is open, or ended, against the working state and the entries",
    "head, seq, status, tier and parked activities of every account",
    "redemptions and vouchers against the entries, and codes against their digests",
    "the trial balance, and points in transit",
    "campaign budgets and rewards' stock against all that was taken from them",
)
_OF_ALL = 2
"""So many of these, the last ones, concern all members together."""
NOT_CHECKED = "a journal that was cut off at its end shows only against a checkpoint"

_KEPT = 20
_TRACE = JournalRow._fields.index("trace")
_GRANTS = '"grants":{'
_PREFETCH = 2000
_JOURNAL_WIDTH = len(JournalRow._fields)


def _ordered(columns: str, table: str, order: str = "") -> str:
    """All rows of a table in member order, with a place for whose."""
    return f"SELECT {columns} FROM {table} {{of}} ORDER BY member_id{order}"  # noqa: S608  our names


_STREAMS = {
    "account": _ordered("member_id, seq, status, tier, head, state", "account"),
    "journal": _ordered(", ".join(columns_of(journal)), "journal", ", seq"),
    "ledger": _ordered(", ".join(columns_of(ledger)), "ledger", ", seq, n"),
    "lot": _ordered("member_id, lot_key, taken_in, expired, reclaimed, successor", "lot"),
    "hold": _ordered("member_id, hold_id, state, points, captured", "hold", ", hold_id"),
    "history": _ordered("member_id, key, points", "history"),
    "parked": _ordered("member_id, seq", "parked", ", seq"),
    "referral_code": _ordered("member_id, code", "referral_code", ", code"),
    "redemption": _ordered("member_id, redemption_id, points, returned, doc", "redemption"),
    "voucher": _ordered(
        "member_id, voucher_id, code, state, currency, points, money, worth, doc", "voucher"
    ),
    "level": _ordered(
        "DISTINCT ON (member_id) member_id, level", "tier_history", ", since DESC, seq DESC"
    ),
}

_Group = dict[str, list[asyncpg.Record]]


@dataclass(frozen=True, slots=True)
class Wrong:
    """A stored row that is not what the others say it must be.

    ``seq`` is the journal row concerned, or the last one for what concerns the account as a whole;
    ``member`` is empty for what concerns all together.
    """

    member: str
    seq: int
    what: str
    expected: object
    found: object

    def __str__(self) -> str:
        where = f"member {self.member}, seq {self.seq}" if self.member else "all members"
        return f"{where}: {self.what}: expected {_shown(self.expected)}, found {_shown(self.found)}"


@dataclass(slots=True)
class Verdict:
    """What was found, and how much was looked at.

    Attributes:
        wrong_count: how many wrong things were found; ``wrong`` holds the first few in order.
        balances: points by currency and bucket over all members.
        in_transit: by currency, points that left one member and have not reached another yet; what
            a merge carries that nobody is owed is ``moving`` instead.
        recalled: by currency, points that refunds took back and pools have not sent yet.
        unrelayed, unrelayed_recalls: the parts of both that still stand in the outbox.
        granted: by shared counter, what the journal says was taken from it.
        vouchers: open ones: points that they carry by currency, and what they are worth in minor
            units by currency of money. They are owed until they are used, expired or voided.
        open_vouchers: how many they are.
    """

    members: int = 0
    journal_rows: int = 0
    ledger_rows: int = 0
    wrong_count: int = 0
    wrong: list[Wrong] = field(default_factory=list)
    balances: dict[str, dict[str, int]] = field(default_factory=dict)
    in_transit: dict[str, int] = field(default_factory=dict)
    unrelayed: dict[str, int] = field(default_factory=dict)
    recalled: dict[str, int] = field(default_factory=dict)
    unrelayed_recalls: dict[str, int] = field(default_factory=dict)
    granted: dict[str, int] = field(default_factory=dict)
    open_vouchers: int = 0
    vouchers: dict[str, int] = field(default_factory=dict)
    checked: tuple[str, ...] = CHECKED
    not_checked: str = NOT_CHECKED

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong_count

    @property
    def first(self) -> Wrong | None:
        """The first wrong row, in the order of members and seqs."""
        return self.wrong[0] if self.wrong else None

    def add(self, wrong: Wrong) -> None:
        """Counts a wrong row, and keeps it if it is one of the first."""
        self.wrong_count += 1
        if len(self.wrong) < _KEPT:
            self.wrong.append(wrong)


async def verify(
    connection: asyncpg.Connection,
    *,
    member: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    further: Callable[[Verdict], Awaitable[None]] | None = None,
) -> Verdict:
    """Recomputes everything that the ledger implies, for all members or for one.

    ``progress`` gets members done and in all; ``further`` checks more in the same snapshot. Points
    in transit and shared counters concern all members together, so for one they are not looked at.
    """
    verdict = Verdict() if member is None else Verdict(checked=CHECKED[:-_OF_ALL])
    totals: defaultdict[tuple[str, str], int] = defaultdict(int)
    snapshot = connection.transaction(isolation="repeatable_read", readonly=True)
    async with reading_instants(connection), snapshot:
        await connection.execute("SET LOCAL statement_timeout = 0")
        members = await connection.fetchval("SELECT count(*) FROM account")
        async for each, rows in _by_member(connection, member):
            books = _examine(verdict, each, rows)
            for place, points in books.balances.items():
                totals[place] += points
            for currency, points in books.recalled.items():
                verdict.recalled[currency] = verdict.recalled.get(currency, 0) - points
            verdict.members += 1
            if progress and not verdict.members % 100:
                progress(verdict.members, members)
        if member is None:
            await _unrelayed(verdict, connection)
            await _counters(verdict, connection)
        if further:
            await further(verdict)
    if progress:
        progress(verdict.members, members)
    _balance(verdict, totals)
    if member is None:
        _transit(verdict)
    return verdict


def _examine(verdict: Verdict, member: str, rows: _Group) -> MemberBooks:
    """Checks one member and adds what is wrong to the verdict."""
    books = MemberBooks()
    entries = {
        seq: [(entry[2], LedgerEntry(*entry[3:])) for entry in group]
        for seq, group in groupby(rows["ledger"], key=lambda entry: entry[1])
    }
    verdict.journal_rows += len(rows["journal"])
    verdict.ledger_rows += len(rows["ledger"])
    head, last = GENESIS, 0
    for row in rows["journal"]:
        seq, stored = row[1], row[_JOURNAL_WIDTH]
        if seq != last + 1:
            verdict.add(Wrong(member, seq, "seq", last + 1, seq))
        numbered = entries.pop(seq, [])
        posted = [entry for _, entry in numbered]
        expected = link(head, JournalRow(*row[:_JOURNAL_WIDTH]), posted)
        if expected != stored:
            verdict.add(Wrong(member, seq, _link_of(posted), expected, stored))
        for difference in _entries(books, numbered):
            verdict.add(Wrong(member, seq, *difference))
        if _GRANTS in row[_TRACE]:
            _grants(verdict.granted, row[_TRACE])
        head, last = stored, seq
    for seq, numbered in entries.items():
        verdict.add(Wrong(member, seq, "entries without a journal row", 0, len(numbered)))
    for difference in _account(books, rows, head, last):
        verdict.add(Wrong(member, last, *difference))
    _outstanding(verdict, rows["voucher"])
    return books


def _link_of(entries: list[LedgerEntry]) -> str:
    return f"link over the journal row and its {len(entries)} entries"


def _entries(books: MemberBooks, numbered: list[tuple[int, LedgerEntry]]) -> Iterator[Difference]:
    """What is wrong with the entries of one journal row, which are posted."""
    for place, (n, entry) in enumerate(numbered):
        if n != place:
            yield Difference("number of an entry", place, n)
        if refused := impossible(entry):
            yield refused
        books.post(entry)
    for _, entry in numbered:
        if overdrawn := books.overdrawn(entry):
            yield overdrawn


def _account(books: MemberBooks, rows: _Group, head: bytes, last: int) -> Iterator[Difference]:
    """What is wrong with the account as a whole."""
    if not rows["account"]:
        yield Difference("account", "a row", None)
        return
    _, seq, status, tier, stored_head, text = rows["account"][0]
    if (seq, stored_head) != (last, head):
        yield Difference("seq and head of the account", (last, head), (seq, stored_head))
    try:
        state = decode_account(text)
    except msgspec.MsgspecError as error:
        yield Difference("working state", "a document", str(error))
        return
    yield from _mirrored(state, rows, seq, status, tier)
    lots = {row[1]: totals_of(row) for row in rows["lot"]}
    yield from _holds(books, state, rows)
    yield from differences(books, state, lots, {row[1]: row[2] for row in rows["history"]})
    yield from _spent(books, state, rows)


def _spent(books: MemberBooks, state: Account, rows: _Group) -> Iterator[Difference]:
    """What is wrong with redemptions and vouchers, their columns and their codes."""
    redemptions, vouchers = {}, {}
    try:
        for _, name, *columns, text in rows["redemption"]:
            redemption = redemptions[name] = decode_redemption(text)
            stated = [redemption.points, sum(redemption.returned)]
            if (name, columns) != (redemption.redemption, stated):
                yield Difference(f"columns of redemption {name}", stated, columns)
        for _, name, code, *columns, text in rows["voucher"]:
            voucher = vouchers[name] = decode_voucher(text)
            if (name, columns) != (voucher.id, _columns(voucher)):
                yield Difference(f"columns of voucher {name}", _columns(voucher), columns)
            if digest_of(code) != voucher.digest:  # neither is shown: one of them opens something
                yield Difference(f"code of voucher {name}", "the one that was drawn", "another")
    except msgspec.MsgspecError as error:
        yield Difference("a redemption or voucher", "a document", str(error))
        return
    yield from spending_differences(books, state, redemptions, vouchers)


def _columns(voucher: Voucher) -> list[object]:
    return [voucher.state, voucher.currency, voucher.points, voucher.money, voucher.worth]


def _outstanding(verdict: Verdict, rows: list[asyncpg.Record]) -> None:
    """Adds what the open vouchers of a member carry."""
    for _, _, _, state, currency, points, money, worth, _ in rows:
        if state != OPEN:
            continue
        verdict.open_vouchers += 1
        for name, amount in ((currency, points), (money, worth)):
            if amount:
                verdict.vouchers[name] = verdict.vouchers.get(name, 0) + amount


def _mirrored(
    state: Account, rows: _Group, seq: int, status: str, tier: str
) -> Iterator[Difference]:
    """Where columns and rows that repeat the working state do not."""
    level = rows["level"][0][1] if rows["level"] else ""
    pairs = (
        ("seq of the working state", seq, state.seq),
        ("status", state.status, status),
        ("tier", state.standing.level, tier),
        ("latest level of the tier history", state.standing.level, level),
        (
            "parked activities",
            sorted(each.seq for each in state.waiting),
            [row[1] for row in rows["parked"]],
        ),
        (
            "referral code",
            [state.code] if state.code else [],
            [row[1] for row in rows["referral_code"]],
        ),
    )
    for what, expected, found in pairs:
        if expected != found:
            yield Difference(what, expected, found)


def _holds(books: MemberBooks, state: Account, rows: _Group) -> Iterator[Difference]:
    """Where holds are not what the working state says is open, or what the entries say of each."""
    opened = sorted((hold.id, hold.points, hold.captured) for hold in state.holds)
    stated = [(row[1], row[3], row[4]) for row in rows["hold"] if row[2] == "open"]
    if opened != stated:
        yield Difference("open holds", opened, stated)
    left = {hold.id: hold.left for hold in state.holds}
    for _, name, _, points, captured in rows["hold"]:
        kept = books.holds.get(name, HoldEntries())
        expected = (kept.held, kept.held - kept.released - left.get(name, 0))
        if expected != (points, captured):
            yield Difference(f"points held and captured of {name}", expected, (points, captured))


def _balance(verdict: Verdict, totals: dict[tuple[str, str], int]) -> None:
    """The trial balance: over all buckets, every currency comes to nothing."""
    for (currency, bucket), points in sorted(totals.items()):
        verdict.balances.setdefault(currency, {})[bucket] = points
    for currency, buckets in verdict.balances.items():
        if total := sum(buckets.values()):
            verdict.add(Wrong("", 0, f"trial balance of {currency}", 0, total))


def _transit(verdict: Verdict) -> None:
    """Points in transit are those on their way: in the outbox, or relayed and not consumed yet. So
    are recalls of points that a pool has to send.
    """
    recalled = verdict.recalled = {
        name: points for name, points in verdict.recalled.items() if points
    }
    for currency, buckets in verdict.balances.items():
        if points := buckets.get("transit", 0) + recalled.get(currency, 0):
            verdict.in_transit[currency] = points
    for what, there, waiting in (
        ("in transit", verdict.in_transit, verdict.unrelayed),
        ("recalled", recalled, verdict.unrelayed_recalls),
    ):
        for currency in sorted(there.keys() | waiting.keys()):
            least, found = waiting.get(currency, 0), there.get(currency, 0)
            if found < least:
                verdict.add(Wrong("", 0, f"{currency} {what}", f">= {least}", found))


class _Granted(msgspec.Struct):
    """What a trace says of shared counters."""

    grants: dict[str, int] = {}


_granted = msgspec.json.Decoder(_Granted).decode


def _grants(granted: dict[str, int], trace: str) -> None:
    """Adds what one decision took; what cannot be read any more fails as a link."""
    with suppress(msgspec.MsgspecError):
        for key, taken in _granted(trace).grants.items():
            granted[key] = granted.get(key, 0) + taken


async def _counters(verdict: Verdict, connection: asyncpg.Connection) -> None:
    """Nobody has taken from a shared counter but by a decision of the journal."""
    used = dict(await connection.fetch("SELECT id, used FROM counter"))
    for key in sorted(used.keys() | verdict.granted.keys()):
        expected, found = verdict.granted.get(key, 0), used.get(key, 0)
        if expected != found:
            verdict.add(Wrong("", 0, f"used of {key}", expected, found))


async def _unrelayed(verdict: Verdict, connection: asyncpg.Connection) -> None:
    """By currency, points of transfers, merges and recalls that no relay has claimed yet."""
    waiting = "SELECT data FROM outbox WHERE target IS NOT NULL AND claim IS NULL"
    points, recalls = verdict.unrelayed, verdict.unrelayed_recalls
    async for row in connection.cursor(waiting, prefetch=_PREFETCH):
        body = decode_body(row[0])
        for currency, carried in carries(body):
            points[currency] = points.get(currency, 0) + carried
        for currency, asked in recalls_of(body):
            recalls[currency] = recalls.get(currency, 0) + asked


async def _by_member(
    connection: asyncpg.Connection, only: str | None
) -> AsyncIterator[tuple[str, _Group]]:
    """All rows of one member after the other, whichever table has some."""
    of, arguments = ("", ()) if only is None else ("WHERE member_id = $1", (only,))
    streams = {
        name: _Stream(_grouped(connection, query.format(of=of), *arguments))
        for name, query in _STREAMS.items()
    }
    for stream in streams.values():
        await stream.advance()
    while members := [s.member for s in streams.values() if s.member is not None]:
        member = min(members)
        yield member, {name: await stream.take(member) for name, stream in streams.items()}


class _Stream:
    """Rows of one query, ordered by their first column, handed out by member."""

    def __init__(self, groups: AsyncIterator[tuple[str, list[asyncpg.Record]]]) -> None:
        self.member: str | None = None
        self._rows: list[asyncpg.Record] = []
        self._groups = groups

    async def advance(self) -> None:
        try:
            self.member, self._rows = await anext(self._groups)
        except StopAsyncIteration:
            self.member, self._rows = None, []

    async def take(self, member: str) -> list[asyncpg.Record]:
        if self.member != member:
            return []
        rows = self._rows
        await self.advance()
        return rows


async def _grouped(
    connection: asyncpg.Connection, query: str, *arguments: str
) -> AsyncIterator[tuple[str, list[asyncpg.Record]]]:
    rows: list[asyncpg.Record] = []
    async for row in connection.cursor(query, *arguments, prefetch=_PREFETCH):
        if rows and rows[0][0] != row[0]:
            yield rows[0][0], rows
            rows = []
        rows.append(row)
    if rows:
        yield rows[0][0], rows


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()[:16] + "…"
    return str(value)
