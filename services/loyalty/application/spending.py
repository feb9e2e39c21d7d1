"""A request that moves points and waits for its answer: read, decide, record, answer; no lock.

The answer is recorded with its effect in one statement, under the request's idempotency key. Where
another writer changed the account meanwhile, all of it is done anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace

from services.loyalty.application.batch import Batch
from services.loyalty.application.clock import Clock
from services.loyalty.application.intake import event_digest
from services.loyalty.application.online import OnlineSession, OnlineStore, Reply, Snapshot
from services.loyalty.application.programs import Programs
from services.loyalty.application.queries import due_facts, refresh
from services.loyalty.application.record import Contended
from services.loyalty.application.store import (
    AlreadyRecorded,
    CodeTaken,
    Incoming,
    Loaded,
    Session,
    Write,
)
from services.loyalty.domain import counters
from services.loyalty.domain.activity import (
    AnyBody,
    MergeRequested,
    PoolJoinRequested,
    RedemptionCancelled,
    StatusChanged,
    VoucherUsed,
    VoucherVoided,
)
from services.loyalty.domain.decision import Decision
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.program import Program

SOURCE = "loyalty.http"
"""The source of activities that are requests to this service itself."""


class UnknownMember(Exception):
    """There is no such account, and so nothing that could be decided or recorded."""


class AccountStuck(Exception):
    """A due moment of the account failed. Nothing is recorded: the request may succeed later."""


class KeyReused(Exception):
    """The idempotency key was used before: for another request, or its answer is no longer kept."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a member asks for, once.

    Attributes:
        name: the activity's id, made from member and idempotency key.
        body: what is asked for.
        key_digest: 32 bytes that stand for the idempotency key.
        request_digest: 32 bytes that stand for the request's content.
    """

    member: str
    name: str
    body: AnyBody
    key_digest: bytes
    request_digest: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was decided, with the programme version that judged it."""

    member: str
    decision: Decision
    program: Program


Render = Callable[[Asked], tuple[int, str]]
"""Status and body of the answer; called before it is recorded, perhaps more than once."""


Check = Callable[[OnlineSession], Awaitable[None]]


async def answer_once(
    store: OnlineStore,
    programs: Programs,
    clock: Clock,
    request: Request,
    *,
    render: Render,
    attempts: int,
    check: Check | None = None,
) -> tuple[Reply, bool]:
    """The answer to a request, and whether it was given before; ``check`` may raise what stands
    against deciding one that is new.

    Raises:
        UnknownMember, AccountStuck, KeyReused: as they say; nothing was recorded.
        NoProgram: nothing is published yet.
        Contended: others changed the account ``attempts`` times in a row.
    """
    async with store.session() as session:
        settled = False
        for _ in range(attempts):
            snapshot = await session.read_one(
                request.member, request.key_digest, counters.asked_for(request.body)
            )
            if snapshot.reply is not None:
                return _same(snapshot.reply, request), True
            if not settled and snapshot.loaded is not None and _is_merged(snapshot.loaded):
                settled = True
                request = replace(request, member=await _whose(session, request, snapshot.loaded))
                if request.member != snapshot.loaded.member:
                    continue
            if check is not None:
                await check(session)
            reply = await _answer(session, programs, clock, request, snapshot, render)
            if reply is not None:
                return reply, False
    raise Contended(f"{request.member} lost {attempts} times against other writers")


def _is_merged(loaded: Loaded) -> bool:
    return bool(loaded.account.merged_into or loaded.account.affairs.absorbed)


async def _whose(session: Session, request: Request, loaded: Loaded) -> str:
    """The account that decides a request: of merged ones the one that went on, but what was spent
    lies where that was done.
    """
    body = request.body
    if isinstance(body, MergeRequested | StatusChanged | VoucherUsed | PoolJoinRequested):
        return (
            loaded.member
        )  # these name the very account, and a voucher's code has said whose it is
    while loaded.account.merged_into:
        into = loaded.account.merged_into
        loaded = (await session.load_accounts([into]))[into]
    ids = [loaded.member, *loaded.account.affairs.absorbed]
    rows: Collection[tuple[str, str]] = ()
    if isinstance(body, RedemptionCancelled):
        rows = await session.load_redemptions([(each, body.redemption) for each in ids])
    elif isinstance(body, VoucherVoided):
        rows = await session.load_vouchers([(each, body.voucher) for each in ids])
    found = {member for member, _ in rows}
    return next((each for each in (request.member, *ids) if each in found), loaded.member)


def _same(reply: Reply, request: Request) -> Reply:
    if reply.request_digest != request.request_digest:
        raise KeyReused
    return reply


async def _answer(
    session: OnlineSession,
    programs: Programs,
    clock: Clock,
    request: Request,
    snapshot: Snapshot,
    render: Render,
) -> Reply | None:
    """Decides and records; None where that lost against another writer."""
    if snapshot.loaded is None:
        raise UnknownMember
    await refresh(session, programs, snapshot.program_version)
    write, asked = await _decide(
        session, programs, clock, request, snapshot.loaded, snapshot.counters
    )
    reply = Reply(request.request_digest, *render(asked))
    try:
        written = await session.write_one(write, request.key_digest, reply)
    except CodeTaken:
        return None
    except AlreadyRecorded as error:
        return await _recorded_before(session, request, error)
    return reply if written else None


async def _decide(
    session: OnlineSession,
    programs: Programs,
    clock: Clock,
    request: Request,
    loaded: Loaded,
    used: Mapping[str, int],
) -> tuple[Write, Asked]:
    now = await clock.now(session)
    incoming = _incoming(request, now)
    reads = await due_facts(session, programs, now, loaded, [incoming])
    reads.counters.update(used)
    named = counters.offered(programs.at(now), request.body, None)
    if further := [key for key in named if key not in reads.counters]:
        # what only the programme knows by its name, such as a reward's successor
        reads.counters.update(await session.load_counters(further))
    batch = Batch(programs, now, {loaded.member: loaded}, reads)
    outcome = batch.decide(incoming)
    if batch.account(loaded.member).status == "stuck":
        raise AccountStuck
    assert outcome.decision is not None, "nothing was read that could make it a duplicate"
    [write] = batch.writes()
    return write, Asked(loaded.member, outcome.decision, programs.at(now))


def _incoming(request: Request, now: int) -> Incoming:
    activity = Activity(request.body, now, 0, SOURCE, request.name)
    digest = event_digest(SOURCE, request.name)
    return Incoming(request.member, activity, digest, request.request_digest)


async def _recorded_before(
    session: OnlineSession, request: Request, error: AlreadyRecorded
) -> Reply | None:
    """The same request came in twice at once, or long ago: its effect is never doubled."""
    snapshot = await session.read_one(request.member, request.key_digest)
    if snapshot.reply is None:
        raise KeyReused from error
    return None  # the next attempt finds the answer
