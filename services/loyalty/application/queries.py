"""Reading one member as of now: due moments since the last record are decided in memory only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from services.loyalty.application.batch import Batch, Reads
from services.loyalty.application.clock import Clock
from services.loyalty.application.facts import needs_rows, read_facts
from services.loyalty.application.online import OnlineStore
from services.loyalty.application.programs import Programs
from services.loyalty.application.store import Incoming, Loaded, Session
from services.loyalty.domain.account import Account
from services.loyalty.domain.activity import RedemptionRequested
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.decide import decide
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import Facts
from services.loyalty.domain.program import Program, Reward


@dataclass(frozen=True, slots=True)
class Seen:
    """A member as of an instant, judged by the programme version that holds then.

    Where a due moment fails (``stuck``), the account is as it was before that moment, and ``as_of``
    is the time of its last journal row. ``left`` is the stock that is left, by its counter, where
    that was asked for.
    """

    member: str
    account: Account
    program: Program
    as_of: Instant
    stuck: bool
    left: Mapping[str, int] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """All by which the member is known, the account's own first."""
        return [self.member, *self.account.affairs.absorbed]


_NO_CODE = "0" * 64
"""In the place of a code's digest, for what is decided and forgotten."""


async def see(
    store: OnlineStore, programs: Programs, clock: Clock, member: str, *, stock: bool = False
) -> Seen | None:
    """The member as of now, with nothing changed; None where there is no such account. Of a merged
    one it is who goes on.

    Raises:
        NoProgram: nothing is published yet.
    """
    async with store.session() as session:
        snapshot = await session.read_one(member)
        while snapshot.loaded is not None and (into := snapshot.loaded.account.merged_into):
            snapshot = await session.read_one(into)
        if snapshot.loaded is None:
            return None
        await refresh(session, programs, snapshot.program_version)
        now = await clock.now(session)
        reads = await due_facts(session, programs, now, snapshot.loaded)
        left = await stock_left(session, programs, now) if stock else {}
    return replace(caught_up(programs, now, snapshot.loaded, reads), left=left)


async def stock_left(session: Session, programs: Programs, now: Instant) -> Mapping[str, int]:
    """What is left of each shared counter of the version that holds now."""
    keys, caps = programs.at(now).counters, programs.caps(now)
    used = await session.load_counters(keys) if keys else {}
    return {key: max(0, caps[key] - used[key]) for key in keys}


def why_not(seen: Seen, reward: Reward) -> Sequence[Mapping[str, Any]]:
    """All reasons why the member cannot redeem a reward now, none where nothing stands against it:
    what `decide` would say, with nothing changed.
    """
    if seen.stuck:
        return [{"code": "account_stuck"}]
    pool = seen.account.affairs.pool
    asked = RedemptionRequested("", reward.id, by=pool.owner if pool is not None else "")
    activity = Activity(asked, seen.as_of, seen.as_of)
    facts = Facts(allowances=dict(seen.left), codes=[_NO_CODE])
    decision = decide(seen.program, seen.account, activity, facts)
    if decision.outcome == "accepted":
        return []
    reasons: Sequence[Mapping[str, Any]] = decision.details.get("reasons", ())
    return reasons or [{"code": decision.reason, **decision.details}]


def caught_up(programs: Programs, now: Instant, loaded: Loaded, reads: Reads) -> Seen:
    """The account with every due moment up to ``now`` decided."""
    batch = Batch(programs, now, {loaded.member: loaded}, reads)
    batch.catch_up(loaded.member, now)
    account = batch.account(loaded.member)
    stuck = account.status == "stuck"
    return Seen(loaded.member, account, programs.at(now), account.as_of if stuck else now, stuck)


async def refresh(session: Session, programs: Programs, published: int) -> None:
    """Brings the programmes up to what is published, where the snapshot saw more than they hold."""
    if published > programs.latest:
        await programs.refresh(session)


async def due_facts(
    session: Session,
    programs: Programs,
    now: Instant,
    loaded: Loaded,
    incoming: Sequence[Incoming] = (),
) -> Reads:
    """What an account's due moments, and then a request, need beside it; nothing is read where
    nothing is due and the request needs no more than the account.
    """
    due = loaded.due_at is not None and loaded.due_at <= now
    if not due and not any(needs_rows(item.activity.body) for item in incoming):
        return Reads()
    accounts: Mapping[str, Loaded] = {loaded.member: loaded}
    return await read_facts(session, programs, now, accounts, incoming)
