"""The use case at the heart of the service: open, load, decide, record.

Decisions are made before the transaction, on what was read; inside it the fence is passed, accounts
are locked in sorted order and their versions compared, and whoever lost is read again and decided
again. So a batch either records everything that follows from all of its messages, or nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from services.loyalty.application.batch import Batch, Outcome, Reads
from services.loyalty.application.clock import Clock
from services.loyalty.application.facts import read_facts
from services.loyalty.application.programs import NoProgram, Programs
from services.loyalty.application.store import (
    AlreadyRecorded,
    CodeTaken,
    Incoming,
    Loaded,
    Overdrawn,
    Recording,
    Session,
    Write,
)
from services.loyalty.domain.calendar import Instant

MAX_ATTEMPTS = 20
ASK_FOR_BATCHES = 50
"""So many batches after one that hit a duplicate, a lane asks for duplicates before it decides."""

_Done = TypeVar("_Done")
Fence = Callable[[list[Outcome]], Awaitable[None]]


class Contended(Exception):
    """The batch lost against others again and again; nothing was recorded."""


class _ProgramPublished(Exception):
    """A version was published between deciding and recording."""


@dataclass(slots=True)
class Habits:
    """What a lane remembers between batches: for how many more to ask for duplicates beforehand."""

    ask_for: int = 0


async def record_batch(
    session: Session,
    programs: Programs,
    clock: Clock,
    incoming: Sequence[Incoming],
    *,
    fence: Fence | None = None,
    habits: Habits | None = None,
) -> list[Outcome]:
    """Decides messages in order and records all that follows in one transaction; answers what
    became of each.

    ``fence`` runs first inside the transaction and may raise to abandon it: a worker advances its
    position there.

    Raises:
        NoProgram: nothing is published yet. Contended: others changed the same accounts every time.
    """
    habits = habits or Habits()
    lock = False
    for _ in range(MAX_ATTEMPTS):
        try:
            outcomes = await _attempt(
                session, programs, clock, incoming, fence, ask=habits.ask_for > 0, lock=lock
            )
        except AlreadyRecorded:
            habits.ask_for = ASK_FOR_BATCHES
        except Overdrawn:
            lock = True
        except CodeTaken:
            continue
        except _ProgramPublished:
            await programs.refresh(session)
        else:
            habits.ask_for = max(0, habits.ask_for - 1)
            return outcomes
    raise Contended(
        f"a batch of {len(incoming)} messages lost {MAX_ATTEMPTS} times against other writers"
    )


async def _attempt(
    session: Session,
    programs: Programs,
    clock: Clock,
    incoming: Sequence[Incoming],
    fence: Fence | None,
    *,
    ask: bool,
    lock: bool,
) -> list[Outcome]:
    """With ``lock``, all is decided inside the transaction, where nobody else takes from the shared
    counters: so whatever is left of them is enough.
    """
    if not programs.latest:
        await programs.refresh(session)
    now = await clock.now(session)
    recorded = await _recorded(session, incoming) if ask else {}
    accounts = await _open(session, incoming)
    reads = await _read(session, programs, now, incoming, accounts, recorded, ask=ask)
    recording = session.recording()
    outcomes = _decide(Batch(programs, now, accounts, reads), incoming, recording)
    async with session.transaction():
        if fence is not None:
            await fence(outcomes)
        if await session.latest_program_version() != programs.latest:
            raise _ProgramPublished
        read = recording.versions
        versions = await session.lock_accounts(list(read))
        lost = {
            member for member, version in read.items() if lock or versions.get(member) != version
        }
        if lost:
            recording.forget(lost)
            await _decide_again(
                session, programs, now, incoming, lost, outcomes, recorded, recording, lock=lock
            )
        await session.record(recording)
    return outcomes


async def _decide_again(  # noqa: PLR0913 - all that an attempt holds
    session: Session,
    programs: Programs,
    now: Instant,
    incoming: Sequence[Incoming],
    lost: set[str],
    outcomes: list[Outcome],
    recorded: Mapping[tuple[str, bytes], bytes],
    recording: Recording,
    *,
    lock: bool,
) -> None:
    """Reads and decides the accounts again that somebody changed; they are locked now, so this
    settles it.
    """
    places = [place for place, item in enumerate(incoming) if item.member in lost]
    again = [incoming[place] for place in places]
    accounts = await session.load_accounts(sorted(lost))
    reads = await _read(session, programs, now, again, accounts, recorded, ask=True, lock=lock)
    for key, granted in recording.granted().items():
        if key in reads.counters:
            reads.counters[key] += granted
    new = _decide(Batch(programs, now, accounts, reads), again, recording)
    for place, outcome in zip(places, new, strict=True):
        outcomes[place] = outcome


async def _recorded(
    session: Session, incoming: Sequence[Incoming]
) -> dict[tuple[str, bytes], bytes]:
    return await session.find_recorded([(item.member, item.event_digest) for item in incoming])


async def _open(session: Session, incoming: Sequence[Incoming]) -> dict[str, Loaded]:
    members = list(dict.fromkeys(item.member for item in incoming))
    accounts = await session.load_accounts(members)
    missing = sorted(member for member in members if member not in accounts)
    if missing:
        await session.open_accounts(missing)
        accounts.update(await session.load_accounts(missing))
    return accounts


async def _read(
    session: Session,
    programs: Programs,
    now: Instant,
    incoming: Sequence[Incoming],
    accounts: Mapping[str, Loaded],
    recorded: Mapping[tuple[str, bytes], bytes],
    *,
    ask: bool,
    lock: bool = False,
) -> Reads:
    """Reads what decisions need. An order or a redemption is taken to be new, as ids are, unless
    ``ask`` says to look: the unique key of its row finds out, and the batch is redone.
    """
    reads = await read_facts(session, programs, now, accounts, incoming, ask=ask, lock=lock)
    reads.recorded.update(recorded)
    return reads


def _decide(batch: Batch, incoming: Sequence[Incoming], recording: Recording) -> list[Outcome]:
    """Decides member by member, each one's messages in their order, and writes down what follows.

    Members go in the order in which they are locked: neighbours in an index are written together.
    """
    places: dict[str, list[int]] = {}
    for place, item in enumerate(incoming):
        places.setdefault(item.member, []).append(place)
    outcomes: list[Any] = [None] * len(incoming)
    for member in sorted(places):
        for place in places[member]:
            outcome = outcomes[place] = batch.decide(incoming[place])
            outcome.decision = None  # it is written down below, and let go of
        if write := batch.leave(member):
            recording.add(write)
    return outcomes


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
