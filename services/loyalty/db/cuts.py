"""What stands in journal and ledger under cuts: set-based, some thousand members at a time.

Several cuts, each inside the next, are read in one pass: of every row it is found out which of them
is the first to hold it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from services.loyalty.domain.account import decode_account
from services.loyalty.domain.calendar import Instant, to_datetime
from services.loyalty.domain.movements import OPENING, PERIOD, PRIOR


@dataclass(frozen=True, slots=True)
class Cut:
    """What had happened before ``until``, as far as it was known: of each member what a checkpoint
    holds, else by an instant, else all.
    """

    until: Instant
    known_by: Instant | None = None
    checkpoint: int | None = None


OUTSIDE = -1
"""The section of what no cut of a report holds."""


def section_of(place: int, closing: int) -> int:
    """The section in which a row stands of the report whose closing cut is ``closing``, and whose
    opening cut is the one before. ``place`` is that of the row among all cuts, as statements give
    it: twice the number of the first cut that holds it, and one more if it had happened before the
    end of the cut before.
    """
    first, late = divmod(place, 2)
    if place < 0 or first > closing:
        return OUTSIDE
    if first < closing:
        return OPENING
    return PRIOR if late else PERIOD


Span = tuple[str, str]
"""Members after the first and up to the second."""

_SIZE = 2000
_PREFETCH = 1000

# An account's clocks never run back, so either condition keeps the beginning of a chain; and what
# was known by one cut is known by all that follow.
_FIRST = "greatest(width_bucket(j.effective_at, $3), width_bucket(j.seq - 1, s.known))"
_PLACE = f"2 * {_FIRST} + coalesce(j.effective_at < ($3::timestamptz[])[{_FIRST}], false)::int"
_HELD_BY_ANY = "< 2 * cardinality($3::timestamptz[])"
_MEMBERS = """
    seen AS (
        SELECT a.member_id, ARRAY(
            SELECT max(CASE
                WHEN cut.checkpoint IS NOT NULL THEN coalesce((
                    SELECT h.seq FROM checkpoint_head h
                    WHERE h.member_id = a.member_id AND h.number <= cut.checkpoint
                    ORDER BY h.number DESC LIMIT 1), 0)
                WHEN cut.known_by IS NOT NULL THEN coalesce((
                    SELECT max(j.seq) FROM journal j
                    WHERE j.member_id = a.member_id AND j.recorded_at <= cut.known_by), 0)
                ELSE 9223372036854775807 END) OVER (ORDER BY cut.place)
            FROM unnest($4::timestamptz[], $5::bigint[]) WITH ORDINALITY
                AS cut (known_by, checkpoint, place)
            ORDER BY cut.place
        ) AS known
        FROM account a WHERE a.member_id > $1 AND a.member_id <= $2
    )
"""
_SEEN = f"""
    {_MEMBERS}, placed AS (
        SELECT j.*, {_PLACE} AS place
        FROM seen s JOIN journal j ON j.member_id = s.member_id
        WHERE j.member_id > $1 AND j.member_id <= $2
    ), cut AS (SELECT * FROM placed WHERE place {_HELD_BY_ANY})
"""  # noqa: S608  our own text
_LEGS = f"""
    WITH {_SEEN}
    SELECT c.place, l.currency, l.kind, leg.bucket, split_part(leg.lot, '/', 2) AS issued,
        split_part(leg.lot, '/', 3) AS expires, sum(leg.points)::bigint
    FROM cut c JOIN ledger l ON l.member_id = c.member_id AND l.seq = c.seq
    CROSS JOIN LATERAL (VALUES
        (l.from_bucket, CASE WHEN l.lot_from = '' THEN l.lot_to ELSE l.lot_from END, -l.points),
        (l.to_bucket, CASE WHEN l.lot_to = '' THEN l.lot_from ELSE l.lot_to END, l.points)
    ) AS leg (bucket, lot, points)
    GROUP BY 1, 2, 3, 4, 5, 6
"""  # noqa: S608  our own text
_CURVE = f"""
    WITH {_SEEN}
    SELECT c.place, l.currency, split_part(
            CASE WHEN l.lot_from = '' THEN l.lot_to ELSE l.lot_from END, '/', 2) AS issued,
        width_bucket(c.effective_at, $6::timestamptz[]) AS month,
        (coalesce(sum(l.points) FILTER (WHERE l.to_bucket IN ('redeemed', 'arrears')), 0)
        - coalesce(sum(l.points) FILTER (WHERE l.from_bucket = 'redeemed'), 0))::bigint,
        (coalesce(sum(l.points) FILTER (WHERE l.to_bucket IN ('expired', 'forfeited')), 0)
        - coalesce(sum(l.points) FILTER (WHERE l.from_bucket = 'expired'), 0))::bigint
    FROM cut c JOIN ledger l ON l.member_id = c.member_id AND l.seq = c.seq
    WHERE (l.to_bucket IN ('redeemed', 'arrears', 'expired', 'forfeited')
        OR l.from_bucket IN ('redeemed', 'expired')) AND l.kind NOT IN ('merge_out', 'merge_in')
    GROUP BY 1, 2, 3, 4
"""  # noqa: S608  our own text
# Neither kinds nor places nor times: only where each member's chain ends under each of the cuts,
# and where it ended under those before.
_ENDS = f"""
    {_SEEN}, last AS (
        SELECT member_id, place / 2 AS first, max(seq) AS seq FROM cut GROUP BY 1, 2
    ), ends AS (
        SELECT member_id, first, max(seq) OVER chain AS seq,
            coalesce(max(seq) OVER (chain ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
                AS before
        FROM last WINDOW chain AS (PARTITION BY member_id ORDER BY first)
    )
"""  # noqa: S608  our own text
_HELD = f"""
    WITH {_ENDS}
    SELECT e.first, l.currency, leg.bucket, sum(leg.points)::bigint, count(*)
    FROM ends e JOIN ledger l ON l.member_id = e.member_id AND l.seq > e.before AND l.seq <= e.seq
    CROSS JOIN LATERAL (VALUES (l.from_bucket, -l.points), (l.to_bucket, l.points))
        AS leg (bucket, points)
    GROUP BY 1, 2, 3
"""  # noqa: S608  our own text
_CHAINS = f"""
    WITH {_ENDS}
    SELECT first, count(*) FILTER (WHERE before = 0), sum(seq - before)::bigint FROM ends GROUP BY 1
"""  # noqa: S608  our own text
_ISSUED = f"""
    WITH {_SEEN}
    SELECT c.member_id, c.seq, c.place, c.kind, c.program_version, c.effective_at,
        CASE WHEN c.kind IN ('purchase', 'claimed', 'resumed', 'opening') THEN c.body END,
        CASE WHEN c.kind = 'resumed' THEN c.facts END,
        l.kind, l.currency, l.points, l.from_bucket, l.to_bucket, l.lot_from, l.lot_to, l.cause,
        l.order_id
    FROM cut c JOIN ledger l ON l.member_id = c.member_id AND l.seq = c.seq
    WHERE c.place / 2 >= $6 AND (l.kind IN ('accrual', 'opening')
        OR l.kind = 'adjustment' AND l.to_bucket = 'available')
        AND NOT (l.order_id <> '' AND starts_with(c.facts, '{{"receipt":'))
    ORDER BY c.member_id, c.seq, l.n
"""  # noqa: S608  our own text
_RETURNING = f"""
    WITH {_SEEN}
    SELECT c.member_id, array_agg(DISTINCT c.place / 2) FROM cut c
    WHERE c.place / 2 >= $6 AND starts_with(c.facts, '{{"receipt":') GROUP BY 1 ORDER BY 1
"""  # noqa: S608  our own text
_ORDERS = f"""
    WITH {_SEEN}
    SELECT p.seq, p.place, p.kind, p.program_version, p.effective_at, p.body, p.facts
    FROM placed p
    WHERE starts_with(p.facts, '{{"receipt":') OR EXISTS (
        SELECT FROM ledger l WHERE l.member_id = p.member_id AND l.seq = p.seq
        AND l.kind = 'accrual' AND l.order_id <> '') OR p.kind = 'opening'
    ORDER BY p.seq
"""  # noqa: S608  our own text
# A voucher's id holds the seq of the row that issued it. It ends once, by the row that it names.
_VOUCHED = f"""
    {_MEMBERS}, vouched AS (
        SELECT v.*, came.seq, came.place AS came,
            CASE WHEN went.place {_HELD_BY_ANY} THEN went.place END AS went
        FROM seen s JOIN voucher v ON v.member_id = s.member_id
        CROSS JOIN LATERAL (
            SELECT j.seq, {_PLACE} AS place FROM journal j WHERE j.member_id = v.member_id
                AND j.seq = split_part(ltrim(v.voucher_id, 'v'), '-', 1)::bigint
        ) AS came
        LEFT JOIN LATERAL (
            SELECT {_PLACE} AS place FROM journal j WHERE j.member_id = v.member_id
                AND j.seq = (v.doc::json ->> 'ended_seq')::bigint
        ) AS went ON v.state <> 'open'
        WHERE came.place {_HELD_BY_ANY}
    )
"""  # noqa: S608  our own text
_VOUCHERS = f"""
    WITH {_VOUCHED}
    SELECT currency, money, came, went, CASE WHEN went IS NULL THEN 'open' ELSE state END AS state,
        count(*), sum(points)::bigint, sum(worth)::bigint
    FROM vouched GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608  our own text
_CARRIED = f"""
    WITH {_VOUCHED}
    SELECT l.currency, split_part(l.lot_from, '/', 2) AS issued, v.came, v.went,
        CASE WHEN v.went IS NULL THEN 'open' ELSE v.state END AS state, sum(l.points)::bigint
    FROM vouched v JOIN ledger l ON l.member_id = v.member_id AND l.seq = v.seq
    WHERE v.points > 0 AND l.kind = 'redemption' GROUP BY 1, 2, 3, 4, 5
"""  # noqa: S608  our own text
_NEXT = """
    SELECT max(member_id), count(*) FROM (
        SELECT member_id FROM account WHERE member_id > $1 ORDER BY member_id LIMIT $2
    ) AS next
"""
_RECEIPTS = """
    SELECT order_id, doc FROM receipt WHERE member_id = $1 AND order_id = ANY($2::text[])
"""

_STATE = "SELECT state FROM account WHERE member_id = $1"

_PLANNED = (
    "plan_cache_mode = force_custom_plan",
    "enable_seqscan = on",
    "enable_hashjoin = on",
    "enable_mergejoin = on",
)
"""Reports read whole stretches, which the plans of keyed statements would read row by row."""


class CutReader:
    """Reads what stands under cuts, each inside the next, within a repeatable-read transaction of
    the caller. For a place see :func:`section_of`; ``first`` is the first cut that holds a row.
    """

    def __init__(self, connection: asyncpg.Connection, cuts: Sequence[Cut]) -> None:
        self._connection = connection
        self._arguments = (
            [to_datetime(cut.until) for cut in cuts],
            [None if cut.known_by is None else to_datetime(cut.known_by) for cut in cuts],
            [cut.checkpoint for cut in cuts],
        )

    async def prepare(self) -> int:
        """Lets statements be planned for what they read; answers how many members there are."""
        for setting in _PLANNED:
            await self._connection.execute(f"SET LOCAL {setting}")
        count: int = await self._connection.fetchval("SELECT count(*) FROM account")
        return count

    async def spans(self) -> AsyncIterator[tuple[Span, int]]:
        """All members, some thousand at a time, with how many these are."""
        last = ""
        while True:
            until, count = await self._connection.fetchrow(_NEXT, last, _SIZE)
            if not count:
                return
            yield (last, until), count
            last = until

    async def legs(self, span: Span) -> Sequence[asyncpg.Record]:
        """place, currency, kind, bucket, issued, expires and points of entries alike."""
        return await self._fetch(_LEGS, span)

    async def curve(self, span: Span, months: Sequence[Instant]) -> Sequence[asyncpg.Record]:
        """place, currency, issued, number among ``months`` (their first instants), points redeemed
        and lost.
        """
        starts: list[datetime] = [to_datetime(month) for month in months]
        return await self._fetch(_CURVE, span, starts)

    async def held(self, span: Span) -> Sequence[asyncpg.Record]:
        """first, currency, bucket, points and legs, by each member's last seq alone."""
        return await self._fetch(_HELD, span)

    async def chains(self, span: Span) -> Sequence[asyncpg.Record]:
        """first, and how many members and activities it holds that no cut before does."""
        return await self._fetch(_CHAINS, span)

    async def vouchers(self, span: Span) -> Sequence[asyncpg.Record]:
        """currency, money, places of coming and going, state, count, points and worth of vouchers
        alike.
        """
        return await self._fetch(_VOUCHERS, span)

    async def carried(self, span: Span) -> Sequence[asyncpg.Record]:
        """currency, month of issue, places of coming and going, state and points that vouchers
        carry.
        """
        return await self._fetch(_CARRIED, span)

    def issued(self, span: Span, least: int) -> AsyncIterator[asyncpg.Record]:
        """Rows that issued points, first held by cut ``least`` or later, one line per entry that is
        of no receipt from before.
        """
        return self._cursor(_ISSUED, span, least)

    async def returning(self, span: Span, least: int) -> Sequence[tuple[str, Sequence[int]]]:
        """Members of whom a receipt changed, each with the cuts that are the first to hold that."""
        return [(row[0], row[1]) for row in await self._fetch(_RETURNING, span, least)]

    def orders(self, member: str) -> AsyncIterator[asyncpg.Record]:
        """All rows of one member that made or changed a receipt, later ones than any cut too."""
        return self._cursor(_ORDERS, (_before(member), member))

    async def absorbed(self, member: str) -> list[str]:
        """The members whose accounts became part of this one's, the first one first."""
        state = await self._connection.fetchval(_STATE, member)
        return list(reversed(decode_account(state).affairs.absorbed))

    async def receipts(self, member: str, orders: Sequence[str]) -> dict[str, str]:
        """Receipts as they are now, by order."""
        return dict(await self._connection.fetch(_RECEIPTS, member, list(orders)))

    async def _fetch(self, query: str, span: Span, *more: object) -> Sequence[asyncpg.Record]:
        rows: Sequence[asyncpg.Record] = await self._connection.fetch(
            query, *span, *self._arguments, *more
        )
        return rows

    async def _cursor(self, query: str, span: Span, *more: object) -> AsyncIterator[asyncpg.Record]:
        rows = self._connection.cursor(query, *span, *self._arguments, *more, prefetch=_PREFETCH)
        async for row in rows:
            yield row


def _before(member: str) -> str:
    """A text after which the member comes first: ids collate by their bytes, and none holds the
    least character.
    """
    return member[:-1] + chr(ord(member[-1]) - 1) + "\U0010ffff"
