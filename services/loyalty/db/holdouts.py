"""Comparing the members of a holdout with all others: two streams of one snapshot."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

from services.loyalty.domain.holdout_report import Comparison, Trial
from services.loyalty.domain.receipt import decode_receipt

_PREFETCH = 1000
_MEMBERS = """
    SELECT member_id, (state::jsonb ->> 'enrolled_at')::bigint FROM account
    WHERE status <> 'unenrolled' ORDER BY member_id
"""
_ORDERS = """
    SELECT r.member_id, r.doc, j.trace
    FROM (
        SELECT member_id, order_id, doc, doc::jsonb AS told FROM receipt
    ) AS r
    JOIN journal j ON j.member_id = r.member_id AND j.seq = (r.told ->> 'seq')::bigint
    WHERE (r.told ->> 'occurred_at')::bigint >= $1 AND (r.told ->> 'occurred_at')::bigint < $2
    ORDER BY r.member_id, r.order_id
"""


async def compare(
    connection: asyncpg.Connection,
    trial: Trial,
    *,
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Reads every member and every order of the trial's time, one by one; ``progress`` gets rows
    read.
    """
    made, read = Comparison(trial), 0
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        async for member, enrolled_at in connection.cursor(_MEMBERS, prefetch=_PREFETCH):
            made.enrolled(member, enrolled_at or 0)
            read += 1
            if progress and read % _PREFETCH == 0:
                progress(read)
        orders = connection.cursor(_ORDERS, trial.since, trial.until, prefetch=_PREFETCH)
        async for member, doc, trace in orders:
            made.ordered(member, decode_receipt(doc), trace)
            read += 1
            if progress and read % _PREFETCH == 0:
                progress(read)
    return made
