"""Publishing a version of the programme, and letting every account know that it will judge anew."""

from __future__ import annotations

import asyncpg

from services.loyalty.domain.calendar import Instant, to_datetime

PUBLISHING = 0x70726F6772616D
"""The advisory lock of a publication: the bytes of "program". Who makes accounts due later shares
it, so that no version comes between the look at the versions and the commit.
"""

_LOWER = """
    WITH later AS (
        SELECT member_id FROM account
        WHERE member_id > $1 AND (due_at IS NULL OR due_at > $2)
        ORDER BY member_id LIMIT $3 FOR NO KEY UPDATE
    ), lowered AS (
        UPDATE account AS t SET due_at = $2, version = t.version + 1
        FROM later WHERE t.member_id = later.member_id RETURNING t.member_id
    )
    SELECT count(*), max(member_id) FROM lowered
"""


async def publish(
    connection: asyncpg.Connection,
    *,
    holds_from: Instant,
    published_at: Instant,
    document: str,
    digest: str,
    published_by: str,
) -> int:
    """Stores the next version and answers its number; publishers wait for one another."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", PUBLISHING)
        version: int = await connection.fetchval(
            "INSERT INTO program_version"
            " (version, holds_from, published_at, document, digest, published_by)"
            " SELECT coalesce(max(version), 0) + 1, $1, $2, $3, $4, $5 FROM program_version"
            " RETURNING version",
            to_datetime(holds_from),
            to_datetime(published_at),
            document,
            digest,
            published_by,
        )
    return version


async def lower_due_at(connection: asyncpg.Connection, to: Instant, *, batch: int = 5000) -> int:
    """Makes every account due by ``to`` at the latest; answers how many were not before.

    Each batch commits by itself, so nobody waits long, and stopping half-way does no harm: run it
    again. An account's version moves with it, so that a decision made meanwhile from the later
    moment is redone.
    """
    assert not connection.is_in_transaction(), "each batch is a commit of its own"
    lowered: int = 0
    last = ""
    while True:
        count, greatest = await connection.fetchrow(_LOWER, last, to_datetime(to), batch)
        lowered += int(count)
        if count < batch:
            return lowered
        last = greatest
