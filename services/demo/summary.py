"""What the demonstration came to: one read of the books, as plain figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import asyncpg

from services.demo.comers import Came
from services.loyalty.domain.money import decimal_text
from services.loyalty.domain.program import Currency, Program

REDEEMED, EXPIRED, ARREARS = "redeemed", "expired", "arrears"


@dataclass(frozen=True, slots=True)
class Points:
    """The books of one redeemable currency, in points.

    ``issued`` is all that was accrued, ``brought_along`` what came by import, ``clawed_back`` what
    refunds took back of both, whether it was still there or became ``arrears``; ``in_arrears`` what
    members still owe. ``outstanding`` is what can be spent now or later, and ``worth`` its value in
    the programme's money.
    """

    issued: int
    brought_along: int
    pending: int
    available: int
    redeemed: int
    expired: int
    clawed_back: int
    went_into_arrears: int
    repaid: int
    in_arrears: int
    outstanding: int
    worth: str


@dataclass(frozen=True, slots=True)
class Tiers:
    """Members by level, and how many of them ever rose or fell (a member may have done both)."""

    members: dict[str, int]
    members_who_rose: int
    members_who_fell: int
    rises: int
    falls: int


@dataclass(frozen=True, slots=True)
class Books:
    """All that one look into the database tells."""

    members: int
    tiers: Tiers
    points: dict[str, Points]
    issued_by_cause: dict[str, dict[str, int]]
    rewards: dict[str, dict[str, int]]
    activities: dict[str, int]
    refused: dict[str, int]
    parked: dict[str, int]
    still_waiting: int
    lapsed: int
    resumed: int
    dead_letters: dict[str, int]
    journal_rows: int
    ledger_entries: int


@dataclass(slots=True)
class Summary:
    """The summary as ``--json`` prints it. Times are seconds of the wall clock."""

    books: Books
    source: dict[str, int]
    messages_sent: int
    wishes: dict[str, int]
    events_published: dict[str, int]
    published_twice_or_out_of_order: int
    came: Came
    played_from: str
    played_to: str
    play_s: float
    messages_per_s: float
    activities_per_s: float
    total_s: float = 0.0
    verified: dict[str, Any] = field(default_factory=dict)
    backoffice: dict[str, Any] = field(default_factory=dict)
    story: dict[str, Any] = field(default_factory=dict)
    acts: dict[str, Any] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """The same as nested dictionaries that JSON can hold."""
        return asdict(self)


async def read_books(connection: asyncpg.Connection, program: Program) -> Books:
    """Reads the books as they stand; the caller holds everything still."""
    spendable = [currency for currency in program.currencies.values() if not currency.qualifies]
    flows = await _flows(connection)
    journal = await connection.fetch(_JOURNAL)
    return Books(
        members=sum(row["members"] for row in await connection.fetch(_MEMBERS)),
        tiers=await _tiers(connection, program),
        points={currency.name: _points(currency, flows) for currency in spendable},
        issued_by_cause=await _by(connection, _CAUSES, "currency", "cause", "points"),
        rewards=await _by(connection, _REWARDS, "occasion", "reward", "issued"),
        activities=_total(journal, "kind"),
        refused=_total([row for row in journal if row["outcome"] == "refused"], "reason"),
        parked=_total([row for row in journal if row["outcome"] == "parked"], "reason"),
        still_waiting=await connection.fetchval("SELECT count(*) FROM parked"),
        lapsed=sum(row["rows"] for row in journal if row["kind"] == "lapsed"),
        resumed=sum(row["rows"] for row in journal if row["kind"] == "resumed"),
        dead_letters=_total(await connection.fetch(_DEAD_LETTERS), "reason"),
        journal_rows=sum(row["rows"] for row in journal),
        ledger_entries=await connection.fetchval("SELECT count(*) FROM ledger"),
    )


_MEMBERS = "SELECT count(*) AS members FROM account WHERE status <> 'unenrolled'"

_JOURNAL = """
SELECT kind, outcome, reason, count(*) AS rows FROM journal
GROUP BY kind, outcome, reason ORDER BY rows DESC, kind, reason
"""

_DEAD_LETTERS = """
SELECT reason, count(*) AS rows FROM dead_letter GROUP BY reason ORDER BY rows DESC, reason
"""

_FLOWS = """
SELECT currency, kind, from_bucket, to_bucket, sum(points)::bigint AS points FROM ledger
GROUP BY currency, kind, from_bucket, to_bucket
"""

_CAUSES = """
SELECT currency, cause, sum(points)::bigint AS points FROM ledger
WHERE kind = 'accrual' GROUP BY currency, cause ORDER BY currency, points DESC
"""

_REWARDS = """
SELECT CASE how WHEN 'gift' THEN by ELSE how END AS occasion, reward, count(*) AS issued
FROM issued_reward GROUP BY occasion, reward ORDER BY occasion, issued DESC
"""

_LEVELS = """
SELECT tier, count(*) AS members FROM account WHERE status = 'active' GROUP BY tier
"""

_MOVES = """
WITH ranked AS (
    SELECT member_id, since, seq, array_position($1::text[], level) AS rank FROM tier_history
), moves AS (
    SELECT member_id,
           rank - lag(rank) OVER (PARTITION BY member_id ORDER BY since, seq) AS steps
    FROM ranked
)
SELECT count(DISTINCT member_id) FILTER (WHERE steps > 0) AS members_who_rose,
       count(DISTINCT member_id) FILTER (WHERE steps < 0) AS members_who_fell,
       count(*) FILTER (WHERE steps > 0) AS rises,
       count(*) FILTER (WHERE steps < 0) AS falls
FROM moves
"""


async def _tiers(connection: asyncpg.Connection, program: Program) -> Tiers:
    names = [level.name for level in program.tiers.levels] if program.tiers else []
    held = {row["tier"]: row["members"] for row in await connection.fetch(_LEVELS)}
    moves = await connection.fetchrow(_MOVES, names)
    assert moves is not None, "an aggregate always answers one row"
    return Tiers({name: held.get(name, 0) for name in names}, *moves)


_Flows = dict[str, list[tuple[str, str, str, int]]]


async def _flows(connection: asyncpg.Connection) -> _Flows:
    flows: _Flows = {}
    for currency, *flow in await connection.fetch(_FLOWS):
        kind, from_bucket, to_bucket, points = flow
        flows.setdefault(currency, []).append((kind, from_bucket, to_bucket, points))
    return flows


def _points(currency: Currency, flows: _Flows) -> Points:
    kinds: dict[str, int] = {}
    balances: dict[str, int] = {}
    for kind, source, target, points in flows.get(currency.name, []):
        kinds[kind] = kinds.get(kind, 0) + points
        balances[source] = balances.get(source, 0) - points
        balances[target] = balances.get(target, 0) + points
    outstanding = sum(balances.get(bucket, 0) for bucket in ("pending", "available", "held"))
    return Points(
        issued=kinds.get("accrual", 0),
        brought_along=kinds.get("opening", 0),
        pending=balances.get("pending", 0),
        available=balances.get("available", 0),
        redeemed=balances.get(REDEEMED, 0),
        expired=balances.get(EXPIRED, 0),
        clawed_back=kinds.get("accrual_reversal", 0) + kinds.get(ARREARS, 0),
        went_into_arrears=kinds.get(ARREARS, 0),
        repaid=kinds.get("repayment", 0),
        in_arrears=-balances.get(ARREARS, 0),
        outstanding=outstanding,
        worth=_worth(currency, outstanding),
    )


def _worth(currency: Currency, points: int) -> str:
    if currency.worth is None:
        return ""
    minor, per, money = currency.worth
    return f"{decimal_text(points * minor // per, money)} {money}"


async def _by(
    connection: asyncpg.Connection, query: str, outer: str, inner: str, number: str
) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for row in await connection.fetch(query):
        found.setdefault(row[outer], {})[row[inner]] = row[number]
    return found


def _total(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, int]:
    totals: dict[str, int] = {}
    for row in rows:
        totals[row[name]] = totals.get(row[name], 0) + row["rows"]
    return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))
