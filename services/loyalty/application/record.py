"""The use cases at the heart of the service: a batch recorded, due moments caught up with.

A batch either records everything that follows from all of its messages, or nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.loyalty.application.attempt import (
    Attempt,
    Fence,
    OfferedTooLittle,
    ProgramPublished,
)
from services.loyalty.application.batch import Batch, Outcome
from services.loyalty.application.clock import Clock
from services.loyalty.application.facts import read_facts
from services.loyalty.application.programs import NoProgram, Programs
from services.loyalty.application.store import (
    AlreadyRecorded,
    CodeTaken,
    Incoming,
    Overdrawn,
    Session,
    Write,
)
from services.loyalty.domain.calendar import Instant

MAX_ATTEMPTS = 20
ASK_FOR_BATCHES = 50
"""So many batches after one that hit a duplicate, a lane asks for duplicates before it decides."""

_Done = TypeVar("_Done")


class Contended(Exception):
    """The batch lost against others again and again; nothing was recorded."""


@dataclass(slots=True)
class Habits:
    """What a lane remembers between batches: for how many more to ask for duplicates beforehand."""

    ask_for: int = 0

    @property
    def asks(self) -> bool:
        """Whether the next attempt is to look for what is recorded already."""
        return self.ask_for > 0


async def record_batch(
    session: Session,
    programs: Programs,
    clock: Clock,
    incoming: Sequence[Incoming],
    *,
    fence: Fence | None = None,
    habits: Habits | None = None,
    begun: Attempt | None = None,
) -> list[Outcome]:
    """Decides messages in order and records all that follows in one transaction; answers what
    became of each.

    ``fence`` runs first inside the transaction and may raise to abandon it: a worker advances its
    position there. ``begun`` is an attempt at these messages of which something is decided already.

    Raises:
        NoProgram: nothing is published yet. Contended: others changed the same accounts every time.
    """
    habits = habits or Habits()
    lock = False
    for _ in range(MAX_ATTEMPTS):
        attempt = begun or Attempt(session, programs, clock, incoming, ask=habits.asks, lock=lock)
        begun = None
        try:
            await attempt.decide()
            outcomes = await attempt.record(fence)
        except AlreadyRecorded:
            habits.ask_for = ASK_FOR_BATCHES
        except Overdrawn:
            lock = True
        except (CodeTaken, OfferedTooLittle):
            continue
        except ProgramPublished:
            await programs.refresh(session)
        else:
            habits.ask_for = max(0, habits.ask_for - 1)
            return outcomes
    raise Contended(
        f"a batch of {len(incoming)} messages lost {MAX_ATTEMPTS} times against other writers"
    )


async def catch_up_due(
    session: Session, programs: Programs, clock: Clock, *, until: Instant, limit: int = 500
) -> int:
    """Decides the due moments of up to ``limit`` accounts that have any by ``until``; answers how
    many it visited.

    Schedulers side by side pass over each other's accounts. A visit that finds nothing due only
    raises ``due_at``.
    """
    while True:
        try:
            return await _visit(session, programs, clock, until, limit)
        except CodeTaken:
            continue


async def _visit(
    session: Session, programs: Programs, clock: Clock, until: Instant, limit: int
) -> int:
    if not programs.latest:
        await programs.refresh(session)
    now = await clock.now(session)
    return await _until_it_fits(lambda: _catch_up_due(session, programs, now, until, limit))


async def _until_it_fits(attempt: Callable[[], Awaitable[_Done]]) -> _Done:
    """What is decided inside its transaction can only be short of a shared counter from which
    nobody had ever taken, so that there was no row to lock.
    """
    for _ in range(MAX_ATTEMPTS):
        try:
            return await attempt()
        except Overdrawn:
            continue
    raise Contended(f"shared counters were short {MAX_ATTEMPTS} times")


async def _catch_up_due(
    session: Session, programs: Programs, now: Instant, until: Instant, limit: int
) -> int:
    async with session.transaction():
        accounts = await session.lock_due(min(until, now), limit)
        if await session.latest_program_version() != programs.latest:
            await programs.refresh(session)
        if not programs.latest:
            raise NoProgram
        if not accounts:
            return 0
        reads = await read_facts(session, programs, now, accounts, lock=True)
        batch = Batch(programs, now, accounts, reads)
        for member in accounts:
            batch.catch_up(member, min(until, now))
        await record_writes(session, batch.writes(raise_due=True))
    return len(accounts)


async def record_writes(session: Session, writes: Iterable[Write]) -> None:
    """Records what was decided of some accounts. Only inside a transaction."""
    recording = session.recording()
    for write in writes:
        recording.add(write)
    await session.record(recording)


async def retry_tick(session: Session, programs: Programs, clock: Clock, member: str) -> Outcome:
    """Decides again the Tick that made an account stuck, and releases what waited for it, in order.

    Raises:
        Exception: whatever the Tick raises again; the account stays stuck and nothing is recorded.
    """
    while True:
        try:
            return await _retried(session, programs, clock, member)
        except CodeTaken:
            continue


async def _retried(session: Session, programs: Programs, clock: Clock, member: str) -> Outcome:
    await programs.refresh(session)
    now = await clock.now(session)
    return await _until_it_fits(lambda: _retry_tick(session, programs, now, member))


async def _retry_tick(session: Session, programs: Programs, now: Instant, member: str) -> Outcome:
    async with session.transaction():
        await session.lock_accounts([member])
        accounts = await session.load_accounts([member])
        reads = await read_facts(session, programs, now, accounts, lock=True)
        batch = Batch(programs, now, accounts, reads)
        decision = batch.retry_tick(member)
        await record_writes(session, batch.writes())
    return Outcome(
        decision.outcome, decision.reason, decision.details, decision.account.seq, decision
    )
