"""Accounts that stand still because a due moment could not be decided, from the command line."""

from __future__ import annotations

from argparse import Namespace

from services.commands import wiring
from services.failures import Refusal
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import retry_tick
from services.loyalty.db.connect import connected
from services.loyalty.db.session import PgSession
from services.settings import Settings

_LIST = """
    SELECT a.member_id, j.recorded_at, j.seq, j.trace,
        (SELECT count(*) FROM parked p WHERE p.member_id = a.member_id)
    FROM account a CROSS JOIN LATERAL (
        SELECT recorded_at, seq, trace FROM journal
        WHERE member_id = a.member_id AND kind = 'stuck' ORDER BY seq DESC LIMIT 1
    ) j
    WHERE a.status = 'stuck' ORDER BY j.recorded_at, a.member_id
"""


async def show_all(settings: Settings, options: Namespace) -> None:
    """Prints one line per stuck account, the longest stuck first, with what failed."""
    del options
    async with connected(wiring.database_url(settings), purpose="stuck") as connection:
        for member, since, seq, trace, waiting in await connection.fetch(_LIST):
            print(
                f"{member}  since {since:%Y-%m-%dT%H:%M:%SZ}  seq {seq}  {waiting} waiting  {trace}"
            )


async def retry(settings: Settings, options: Namespace) -> None:
    """Decides the due moment again that failed, and with it all that waited for it, in order."""
    async with connected(wiring.database_url(settings), purpose="stuck") as connection:
        session = PgSession(connection)
        found = await session.load_accounts([options.member])
        if not found:
            raise Refusal(f"there is no member {options.member}")
        if found[options.member].account.status != "stuck":
            raise Refusal(f"member {options.member} is not stuck")
        clock = wiring.clock(settings)
        outcome = await retry_tick(session, Programs(), clock, options.member)
    print(f"member {options.member} goes on, at seq {outcome.seq}")
