"""The set-based statements that record Decisions, each written once for both ways of recording.

A statement takes its rows as one array per column, or as one array of rows.
:meth:`Statement.alone` is for a batch inside a transaction (:mod:`session`);
:meth:`Statement.following` makes it one of several in a single autocommit statement
(:mod:`single`), where it acts only if the account was found at the version that was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BigInteger, Date, DateTime, Integer, LargeBinary, SmallInteger, Table, Text

from services.loyalty.db import tables

_TYPES = {
    Text: "text",
    BigInteger: "bigint",
    Integer: "integer",
    SmallInteger: "smallint",
    LargeBinary: "bytea",
    DateTime: "timestamptz",
    Date: "date",
}


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL over a set of rows ``r``.

    ``columns`` are the fields of a row tuple, ``types`` their PostgreSQL types; ``template`` has
    ``{rows}`` where the rows come from. ``row_type`` is the composite type of a whole row, empty
    where there is none: the driver looks twice at every element of an array, so that an array of
    rows costs half as much as one of each column.
    """

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    template: str
    row_type: str = ""

    @property
    def arrays(self) -> tuple[str, ...]:
        """Its parameters: arrays of these types."""
        return (self.row_type,) if self.row_type else self.types

    def parameters(self, rows: Sequence[tuple[Any, ...]]) -> list[Sequence[Any]]:
        """What it is given to record ``rows``."""
        return [rows] if self.row_type else list(zip(*rows, strict=True))

    def alone(self) -> str:
        """The statement by itself."""
        return self.template.format(rows=self._unnest(1))

    def following(self, source: str, first: int) -> str:
        """The statement for each row of ``source``; its parameters begin at number ``first``."""
        return self.template.format(rows=f"{source}, {self._unnest(first)}")

    def _unnest(self, first: int) -> str:
        arrays = ", ".join(f"${first + i}::{kind}[]" for i, kind in enumerate(self.arrays))
        return f"unnest({arrays}) AS r({', '.join(self.columns)})"


def columns_of(table: Table, without: Sequence[str] = ()) -> tuple[str, ...]:
    """The table's columns in their order."""
    return tuple(column.name for column in table.columns if column.name not in without)


def _types_of(table: Table, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(_TYPES[type(table.c[column].type)] for column in columns)


def _insert(table: Table, *, without: Sequence[str] = (), otherwise: str = "") -> Statement:
    columns = columns_of(table, without)
    named, taken = ", ".join(columns), ", ".join(f"r.{column}" for column in columns)
    template = f"INSERT INTO {table.name} ({named}) SELECT {taken} FROM {{rows}} {otherwise}"  # noqa: S608  our names
    return Statement(table.name, columns, _types_of(table, columns), template)


def _change(name: str, table: Table, columns: tuple[str, ...], template: str) -> Statement:
    return Statement(name, columns, _types_of(table, columns), template)


JOURNAL = _insert(tables.journal)
LEDGER = _insert(tables.ledger)
OUTBOX = _insert(tables.outbox, without=("claim",))
NEW_RECEIPT = replace(_insert(tables.receipt), name="new_receipt")
"""In a batch these four are written by COPY, with the same columns."""

NEW_VOUCHER = replace(_insert(tables.voucher), name="new_voucher")
NEW_REDEMPTION = replace(_insert(tables.redemption), name="new_redemption")

ACCOUNT = replace(
    _change(
        "account",
        tables.account,
        columns_of(tables.account),
        "UPDATE account AS t SET version = t.version + 1, seq = r.seq, status = r.status,"
        " tier = r.tier, due_at = r.due_at, head = r.head, state = r.state"
        " FROM {rows} WHERE t.member_id = r.member_id AND t.version = r.version",
    ),
    row_type="changed_account",
)

COUNTER = Statement(
    "counter",
    ("id", "points", "cap"),
    ("text", "bigint", "bigint"),
    "INSERT INTO counter AS t (id, cap, used)"
    " SELECT r.id, r.cap, greatest(r.points, 0) FROM {rows} ORDER BY r.id"
    " ON CONFLICT (id) DO UPDATE SET (used, cap) = (SELECT t.used + r.points, CASE"
    " WHEN r.points > 0 THEN r.cap ELSE greatest(r.cap, t.used + r.points) END"
    " FROM {rows} WHERE r.id = t.id)",
)
"""Takes from shared counters, in the order of their names and last of all, so that others wait for
no more than the commit. The table's own check refuses what goes beyond a cap, which is that of the
version that holds now: one that was lowered below what is used gives nothing more, and takes back.
"""

OTHERS: tuple[Statement, ...] = (
    _insert(
        tables.receipt,
        otherwise="ON CONFLICT (member_id, order_id) DO UPDATE SET doc = EXCLUDED.doc",
    ),
    _insert(
        tables.lot,
        otherwise="ON CONFLICT (member_id, lot_key) DO UPDATE SET"
        " taken_in = lot.taken_in + EXCLUDED.taken_in,"
        " expired = lot.expired + EXCLUDED.expired,"
        " reclaimed = lot.reclaimed + EXCLUDED.reclaimed,"
        " successor = CASE WHEN EXCLUDED.successor = '' THEN lot.successor ELSE array_to_string("
        'ARRAY(SELECT DISTINCT each COLLATE "C" FROM unnest(string_to_array('
        "lot.successor || ' ' || EXCLUDED.successor, ' ')) AS each WHERE each <> '' ORDER BY 1),"
        " ' ') END",
    ),
    _insert(
        tables.hold,
        otherwise="ON CONFLICT (member_id, hold_id) DO UPDATE SET state = EXCLUDED.state,"
        " captured = EXCLUDED.captured, ended_at = EXCLUDED.ended_at",
    ),
    _insert(
        tables.history,
        otherwise="ON CONFLICT (member_id, key) DO UPDATE SET"
        " times = EXCLUDED.times, points = EXCLUDED.points",
    ),
    _insert(tables.tier_history),
    _insert(tables.parked),
    _change(
        "unparked",
        tables.parked,
        ("member_id", "seq"),
        "DELETE FROM parked AS t USING {rows} WHERE t.member_id = r.member_id AND t.seq = r.seq",
    ),
    _insert(tables.issued_reward),
    _insert(tables.referral_code),
    _change(
        "voucher",
        tables.voucher,
        ("member_id", "voucher_id", "state", "doc"),
        "UPDATE voucher AS t SET state = r.state, doc = r.doc"
        " FROM {rows} WHERE t.member_id = r.member_id AND t.voucher_id = r.voucher_id",
    ),
    _change(
        "redemption",
        tables.redemption,
        ("member_id", "redemption_id", "points", "returned", "doc"),
        "UPDATE redemption AS t SET returned = r.returned, doc = r.doc"
        " FROM {rows} WHERE t.member_id = r.member_id AND t.redemption_id = r.redemption_id",
    ),
    _change(
        "profile",
        tables.profile,
        ("member_id", "born_on", "born_set_at", "language"),
        "UPDATE profile AS t SET born_on = coalesce(r.born_on, t.born_on), born_set_at = CASE"
        " WHEN r.born_on IS NULL OR r.born_on = t.born_on"
        " THEN t.born_set_at ELSE r.born_set_at END,"
        " language = coalesce(r.language, t.language)"
        " FROM {rows} WHERE t.member_id = r.member_id",
    ),
    _change(
        "erased_profile",
        tables.profile,
        ("member_id",),
        "DELETE FROM profile AS t USING {rows} WHERE t.member_id = r.member_id",
    ),
    _change(
        "erased_letters",
        tables.dead_letter,
        ("member_id",),
        "UPDATE dead_letter AS t SET body = NULL FROM {rows} WHERE t.member_id = r.member_id",
    ),
    _change(
        "erased_answers",
        tables.idempotency,
        ("member_id",),
        "DELETE FROM idempotency AS t USING {rows} WHERE t.member_id = r.member_id",
    ),
    _insert(tables.idempotency),
)
"""Everything else that a Decision may leave, in the order in which it is written."""
