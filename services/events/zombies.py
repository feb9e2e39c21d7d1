"""Sessions whose process was stopped in the middle of a transaction, and holds rows.

PostgreSQL ends a session that is idle in a transaction, but not one that has begun a COPY and waits
for the rest: neither its timeouts nor a cancellation reach it there. So whoever has waited for such
rows in vain ends that session, which undoes its transaction; its process, should it wake, is told
so by its connection.
"""

from __future__ import annotations

from typing import Any

STOPPED_S = 10.0
"""A transaction that has waited so long for its own process, in seconds, will hear no more of it.

Ours never wait for anything but the database between their first lock and their end.
"""

_END = """
    WITH zombie AS MATERIALIZED (
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
            AND application_name LIKE 'loyalty %' AND backend_xid IS NOT NULL
            AND wait_event = 'ClientRead' AND clock_timestamp() > state_change + $1 * interval '1 s'
    )
    SELECT pid FROM zombie WHERE pg_terminate_backend(pid)
"""
"""Materialized, or the planner would be free to end sessions before it looks at them."""


async def end_zombies(connection: Any) -> list[int]:
    """Ends the sessions of our own login that have written and not been heard of for so long;
    answers their process ids in PostgreSQL.
    """
    async with connection.transaction():
        await connection.execute("SET LOCAL ROLE NONE")  # the login itself may end its sessions
        return [row[0] for row in await connection.fetch(_END, STOPPED_S)]
