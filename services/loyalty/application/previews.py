"""What a basket would earn: the purchase decided in memory as it would be now, and nothing kept."""

from __future__ import annotations

from dataclasses import dataclass

from services.loyalty.application.batch import Batch
from services.loyalty.application.clock import Clock
from services.loyalty.application.facts import read_facts
from services.loyalty.application.intake import event_digest
from services.loyalty.application.online import OnlineStore
from services.loyalty.application.programs import NoProgram, Programs
from services.loyalty.application.queries import refresh
from services.loyalty.application.store import Incoming, Loaded
from services.loyalty.domain.account import Account
from services.loyalty.domain.activity import AnyBody, Enrolled, Purchased
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.chain import GENESIS
from services.loyalty.domain.decision import Decision
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.program import Program

SOURCE = "loyalty.previews"
ORDER = "preview"
"""The order's name in a preview; it is written down nowhere."""


@dataclass(frozen=True, slots=True)
class Previewed:
    """A purchase as it would be decided now.

    Attributes:
        member: whose it would be; empty for a guest, who is taken to join just before.
        before: the account before it, with every due moment decided.
        decision: what would follow.
        joining: what would follow from a guest's joining, None for a member.
    """

    member: str
    program: Program
    as_of: Instant
    before: Account
    decision: Decision
    joining: Decision | None


async def preview(
    store: OnlineStore, programs: Programs, clock: Clock, member: str, body: Purchased
) -> Previewed | None:
    """Decides a purchase of a member, or of a guest (empty), and changes nothing. None where there
    is no such account.

    Raises:
        NoProgram: nothing is published yet.
    """
    async with store.session() as session:
        snapshot = await session.read_one(member)
        await refresh(session, programs, snapshot.program_version)
        if not programs.latest:
            raise NoProgram
        loaded = _guest() if not member else snapshot.loaded
        if loaded is None:
            return None
        now = await clock.now(session)
        accounts = {member: loaded}
        bought = _incoming(member, body, now)
        joined = [] if member else [_incoming(member, Enrolled(), now)]
        reads = await read_facts(session, programs, now, accounts, [*joined, bought])
    batch = Batch(programs, now, accounts, reads)
    [joining] = [batch.decide(each).decision for each in joined] or [None]
    batch.catch_up(member, now)
    before = batch.account(member)
    decision = batch.decide(bought).decision
    assert decision is not None, "nothing was read that could make it a duplicate"
    return Previewed(member, programs.at(now), now, before, decision, joining)


def _guest() -> Loaded:
    return Loaded("", 0, Account(), GENESIS, None, b"")


def _incoming(member: str, body: AnyBody, now: Instant) -> Incoming:
    name = type(body).__name__
    return Incoming(member, Activity(body, now, 0, SOURCE, name), event_digest(SOURCE, name), b"")
