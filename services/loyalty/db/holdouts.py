"""Comparing the members of a holdout with all others: two streams of one snapshot."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

from services.loyalty.domain.holdout_report import Comparison
from services.loyalty.domain.receipt import decode_receipt

_PREFETCH = 1000
_MEMBERS = """
    SELECT member_id, (state::jsonb ->> 'enrolled_at')::bigint FROM account
    WHERE status <> 'unenrolled' AND member_id > $1 ORDER BY member_id LIMIT $2
"""
_ORDERS = """
    SELECT r.member_id, r.doc, j.trace
    FROM (
        SELECT member_id, order_id, doc, doc::jsonb AS told FROM receipt
        WHERE member_id > $3 AND ($4::text IS NULL OR member_id <= $4)
    ) AS r
    JOIN journal j ON j.member_id = r.member_id AND j.seq = (r.told ->> 'seq')::bigint
    WHERE (r.told ->> 'occurred_at')::bigint >= $1 AND (r.told ->> 'occurred_at')::bigint < $2
    ORDER BY r.member_id, r.order_id
"""


async def compare(
    connection: asyncpg.Connection,
    made: Comparison,
    *,
    after: str = "",
    limit: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Reads members after one, up to ``limit`` or all, and every order of theirs in the trial's
    time, one by one. Answers the last member where there may be more, else nothing. ``progress``
    gets rows read.
    """
    trial, read, members, last = made.trial, 0, 0, after
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for member, enrolled_at in connection.cursor(
            _MEMBERS, after, limit, prefetch=_PREFETCH
        ):
            made.enrolled(member, enrolled_at or 0)
            members, last = members + 1, member
            read += 1
            if progress and read % _PREFETCH == 0:
                progress(read)
        more = members == limit
        orders = connection.cursor(
            _ORDERS, trial.since, trial.until, after, last if more else None, prefetch=_PREFETCH
        )
        async for member, doc, trace in orders:
            made.ordered(member, decode_receipt(doc), trace)
            read += 1
            if progress and read % _PREFETCH == 0:
                progress(read)
    return last if more else ""
