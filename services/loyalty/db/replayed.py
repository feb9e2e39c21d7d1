"""The second set of tables that a replay fills, how each is compared with the live one, and what
differs then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from sqlalchemy import Table

from services.loyalty.db import tables
from services.loyalty.db.rows import Row, Rows
from services.loyalty.db.statements import columns_of
from services.loyalty.domain.account import Account, encode_account
from services.loyalty.domain.chain import GENESIS

KEPT = 20
"""So many differences are kept of each table and stretch; the first is what matters."""

NOT_COMPARED = (
    "events that were published already: they are made anew, but the outbox keeps none of them",
    "when an account is next looked at (due_at), which may be early, and profiles",
    "codes of vouchers, of which the journal knows the digests: `verify` compares those",
    "what stands in no journal: positions, dead letters, answers to repeated requests",
)

_EMPTY = encode_account(Account()).decode()
_ORDER = (
    "journal",
    "ledger",
    "outbox",
    "tier_history",
    "issued_reward",
    "referral_code",
    "voucher",
    "redemption",
    "receipt",
    "lot",
    "hold",
    "history",
    "parked",
    "account",
    "counter",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where the live tables are not what the journal makes.

    ``column`` is empty where the whole row is; ``expected`` is what the journal makes, ``found``
    what is stored, None for no row. ``seq`` is the journal row concerned, or the member's last.
    """

    member: str
    seq: int
    table: str
    column: str
    expected: object
    found: object

    def __str__(self) -> str:
        where = f"{self.table}.{self.column}" if self.column else self.table
        whose = f"member {self.member}, seq {self.seq}" if self.member else "all members"
        return f"{whose}, {where}: expected {_shown(self.expected)}, found {_shown(self.found)}"


@dataclass(slots=True)
class Replayed:
    """What was folded and compared, and what differs.

    Attributes:
        compared: rows that were compared, by table.
        relayed: events made anew that were published already, so that there is nothing to compare.
        granted: by shared counter, what was taken from it.
        wrong: the first differences, in the order of members, seqs and tables.
    """

    members: int = 0
    activities: int = 0
    compared: dict[str, int] = field(default_factory=dict)
    relayed: int = 0
    granted: dict[str, int] = field(default_factory=dict)
    wrong: list[Difference] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """Whether nothing differs."""
        return not self.wrong

    @property
    def first(self) -> Difference | None:
        """The first difference."""
        return self.wrong[0] if self.wrong else None

    def add(self, part: Replayed) -> None:
        """Takes in what was found of other members."""
        self.members += part.members
        self.activities += part.activities
        self.relayed += part.relayed
        for table, count in part.compared.items():
            self.compared[table] = self.compared.get(table, 0) + count
        for key, taken in part.granted.items():
            self.granted[key] = self.granted.get(key, 0) + taken
        self.wrong = sorted([*self.wrong, *part.wrong], key=_place)[:KEPT]


@dataclass(frozen=True)
class Second:
    """One temporary table beside a live one.

    Attributes:
        columns: those that are made and compared.
        only: which live rows are looked at, beside those of the members in question.
    """

    table: Table
    without: Sequence[str] = ()
    only: str = "true"

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def columns(self) -> tuple[str, ...]:
        return columns_of(self.table, self.without)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.primary_key)

    @property
    def creation(self) -> str:
        """The temporary table, which empties itself at the end of every transaction."""
        columns = ", ".join(self.columns)
        return (
            f"CREATE TEMPORARY TABLE {self.name} ON COMMIT DELETE ROWS AS"  # noqa: S608  our names
            f" SELECT {columns} FROM public.{self.name} WITH NO DATA"
        )

    def made(self, rows: Rows) -> list[Row]:
        """The rows to be filled in."""
        made: list[Row] = getattr(rows, self.name)
        return made

    @property
    def made_source(self) -> str:
        return f"pg_temp.{self.name}"

    @property
    def comparison(self) -> str:
        """The first rows that differ among members from $1 until before $2, as the columns
        expected and then those found.
        """
        columns, keys = self.columns, self.keys
        expected, found = (", ".join(f"{side}.{name}" for name in columns) for side in "ef")
        same = " AND ".join(f"e.{key} = f.{key}" for key in keys)
        order = ", ".join(f"coalesce(e.{key}, f.{key})" for key in keys)
        return (
            f"SELECT {expected}, {found} FROM {self.made_source} AS e FULL JOIN"  # noqa: S608  our names
            f" (SELECT {', '.join(columns)} FROM public.{self.name}"
            f" WHERE member_id >= $1 AND member_id < $2 AND {self.only}) AS f ON {same}"
            f" WHERE ({expected}) IS DISTINCT FROM ({found}) ORDER BY {order} LIMIT {KEPT}"
        )


class _Accounts(Second):
    """Accounts are made with a version and a due moment, of which the journal knows nothing."""

    def made(self, rows: Rows) -> list[Row]:
        places = [tables.account.columns.keys().index(name) for name in self.columns]
        return [tuple(row[place] for place in places) for row in rows.account]


class _Receipts(Second):
    """All receipts are new to a journal that is folded from nothing, but for those that go on from
    a merged account.
    """

    def made(self, rows: Rows) -> list[Row]:
        return [*rows.new_receipt, *rows.receipt]


class _Redemptions(Second):
    """All redemptions are new to a journal that is folded from nothing."""

    def made(self, rows: Rows) -> list[Row]:
        assert not rows.redemption
        return rows.new_redemption


class _Vouchers(Second):
    """Vouchers are made without their codes, which no journal holds."""

    def made(self, rows: Rows) -> list[Row]:
        assert not rows.voucher
        places = [tables.voucher.columns.keys().index(name) for name in self.columns]
        return [tuple(row[place] for place in places) for row in rows.new_voucher]


class _Outbox(Second):
    """The relay deletes a member's events from the first on: from the first that is left, all must
    be there.
    """

    @property
    def made_source(self) -> str:
        first = (
            "SELECT DISTINCT ON (member_id) member_id, seq, n FROM public.outbox"  # noqa: S608  ours
            f" WHERE member_id >= $1 AND member_id < $2 AND {self.only}"
            " ORDER BY member_id, seq, n"
        )
        return (
            f"(SELECT made.* FROM pg_temp.outbox AS made JOIN ({first}) AS first"  # noqa: S608  ours
            " USING (member_id) WHERE (made.seq, made.n) >= (first.seq, first.n))"
        )


SECOND: tuple[Second, ...] = (
    Second(tables.ledger),
    # Rows of the edge (dead letters, checkpoints) are keyed by what no member id can be.
    _Outbox(tables.outbox, without=("claim",), only="strpos(member_id, '/') = 0"),
    Second(tables.tier_history),
    Second(tables.issued_reward),
    Second(tables.referral_code),
    _Vouchers(tables.voucher, without=("code",)),
    _Redemptions(tables.redemption),
    _Receipts(tables.receipt),
    Second(tables.lot),
    Second(tables.hold),
    Second(tables.history),
    Second(tables.parked),
    # An account that was opened and to which nothing has happened is as good as none.
    _Accounts(
        tables.account,
        without=("version", "due_at"),
        only=f"(seq > 0 OR head <> '\\x{GENESIS.hex()}' OR state <> '{_EMPTY}')",
    ),
)


def differing_counters(granted: Mapping[str, int], used: Mapping[str, int]) -> list[Difference]:
    """Shared counters of which more or less is used than all members' decisions took."""
    return [
        Difference("", 0, "counter", key, granted.get(key, 0), used.get(key, 0))
        for key in sorted(granted.keys() | used.keys())
        if granted.get(key, 0) != used.get(key, 0)
    ]


def differing(table: Second, row: asyncpg.Record, last_seqs: Mapping[str, int]) -> Difference:
    """The difference that a row of a comparison shows."""
    half = len(table.columns)
    expected, found = tuple(row[:half]), tuple(row[half:])
    there = expected if expected[0] is not None else found
    member = there[0]
    whole = last_seqs.get(member, 0)
    seq = there[table.columns.index("seq")] if "seq" in table.keys else whole
    if expected[0] is None or found[0] is None:
        sides = (side if side[0] is not None else None for side in (expected, found))
        return Difference(member, seq, table.name, "", *sides)
    column = next(i for i in range(half) if expected[i] != found[i])
    return Difference(
        member, seq, table.name, table.columns[column], expected[column], found[column]
    )


def _place(difference: Difference) -> tuple[str, int, int]:
    return difference.member, difference.seq, _ORDER.index(difference.table)


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bytes):
        return value.hex()[:16] + "…"
    if isinstance(value, tuple):
        return "(" + ", ".join(_shown(each) for each in value) + ")"
    text: Any = value
    return str(text)
