"""Points granted or taken by hand from the command line, and a second person's word on that."""

from __future__ import annotations

from argparse import Namespace
from uuid import uuid4

from services.commands import wiring
from services.failures import Refusal
from services.loyalty.application.batch import Outcome
from services.loyalty.application.intake import event_digest
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import record_batch
from services.loyalty.application.store import Incoming
from services.loyalty.db.connect import connected
from services.loyalty.db.migrate import require_schema
from services.loyalty.db.session import PgSession
from services.loyalty.domain.activity import Adjusted, AnyBody, Approved, encode_body
from services.loyalty.domain.envelope import Activity
from services.settings import Settings

SOURCE = "loyalty.cli"


async def adjust(settings: Settings, options: Namespace) -> None:
    """Records an adjustment and says what came of it; the same ``--id`` never counts twice."""
    name = options.id or str(uuid4())
    body = Adjusted(options.currency, options.points, options.reason, options.by, name)
    outcome = await record_by_hand(settings, options.member, body, name)
    if settled(outcome, name):
        points = f"{options.points:+,} {options.currency}"
        print(f"member {options.member}, seq {outcome.seq}: {points}, recorded as {name}")
        if await _waits(settings, options.member, name):
            print(f"no point moves before another person decides: loyalty approve … {name}")


async def approve(settings: Settings, options: Namespace) -> None:
    """Carries out an adjustment that waits, or drops it, and says what came of that."""
    name, approved = str(uuid4()), not options.decline
    body = Approved(options.adjustment, approved, options.by)
    outcome = await record_by_hand(settings, options.member, body, name)
    if settled(outcome, name):
        done = "approved and carried out" if approved else "declined"
        print(f"member {options.member}, seq {outcome.seq}: {options.adjustment} {done}")


async def _waits(settings: Settings, member: str, name: str) -> bool:
    async with connected(wiring.database_url(settings), purpose="adjust") as connection:
        [loaded] = (await PgSession(connection).load_accounts([member])).values()
    return any(one.adjustment == name for one in loaded.account.affairs.approvals)


async def record_by_hand(settings: Settings, member: str, body: AnyBody, name: str) -> Outcome:
    """Records what an operator types about a member, once under its name."""
    clock, programs = wiring.clock(settings), Programs()
    async with connected(wiring.database_url(settings), purpose="adjust") as connection:
        await require_schema(connection)
        session = PgSession(connection)
        if not await session.load_accounts([member]):
            raise Refusal(f"there is no member {member}")
        now = await clock.now(session)
        activity = Activity(body, now, 0, SOURCE, name)
        incoming = Incoming(member, activity, event_digest(SOURCE, name), encode_body(body))
        [outcome] = await record_batch(session, programs, clock, [incoming])
    return outcome


def settled(outcome: Outcome, name: str) -> bool:
    """Whether it was carried out now; says so where it was before.

    Raises:
        Refusal: it was refused.
    """
    if outcome.status == "duplicate":
        print(f"{name} was decided before, as the member's journal shows; nothing was done")
        return False
    if outcome.status != "accepted":
        details = ", ".join(f"{key} {value}" for key, value in outcome.details.items())
        reason = outcome.reason or outcome.status
        raise Refusal(f"refused: {reason}" + (f" ({details})" if details else ""))
    return True
