"""The use case at the heart of the service: open, load, decide, record.

Decisions are made before the transaction, on what was read; inside it the fence is passed, accounts
are locked in sorted order and their versions compared, and whoever lost is read again and decided
again. So a batch either records everything that follows from all of its messages, or nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from services.loyalty.application import merges
from services.loyalty.application.batch import (
    JOINS,
    NAMES_ROWS,
    Batch,
    Outcome,
    Reads,
    code_named,
    history_keys,
    order_of,
    receipt_of,
    redemption_of,
    voucher_of,
)
from services.loyalty.application.clock import Clock
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
from services.loyalty.domain import (
    counters,
    level_gifts,
    pooling,
    refunds,
    rejudging,
    rule_rewards,
    stamps,
)
from services.loyalty.domain.activity import (
    Amended,
    AnyBody,
    Cancelled,
    GiftClaimed,
    HoldCaptured,
    HoldVoided,
    MergeReceived,
    PoolRecalled,
    PurchaseClaimed,
    Purchased,
    RedemptionCancelled,
    RedemptionRequested,
    Refunded,
    Reinstated,
    Tick,
    VoucherUsed,
    VoucherVoided,
)
from services.loyalty.domain.calendar import NEVER, Instant
from services.loyalty.domain.decision import LotTotals
from services.loyalty.domain.moments import REFERRAL
from services.loyalty.domain.referrals import code_of

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


async def read_facts(
    session: Session,
    programs: Programs,
    now: Instant,
    accounts: Mapping[str, Loaded],
    incoming: Sequence[Incoming] = (),
    *,
    ask: bool = True,
    lock: bool = False,
) -> Reads:
    """Reads all that the decisions about these messages may need beside the accounts, in one query
    per table. Without ``ask`` it does not look for rows that messages make, but for members who had
    other ids; with ``lock``, shared counters are ours until the transaction ends.
    """
    reads = Reads()
    waiting = [member for member, loaded in accounts.items() if loaded.account.waiting]
    if waiting:
        reads.parked = await session.load_parked(waiting)
    merging = merges.among(incoming, reads)
    known = reads.absorbed = merges.absorbed(accounts, merging)
    looked_up = incoming
    if not ask:
        looked_up = [item for item in incoming if not _is_new(item) or item.member in known]
    orders = _orders(accounts, looked_up, reads, now)
    if orders:
        reads.receipts = await session.load_receipts(orders)
    lots, history, levels = _further(programs, now, accounts, incoming, reads)
    if lots:
        reads.lots = await _with_successors(session, lots)
    if made_here := _giving_and_taking_back(incoming, reads):
        reads.lots |= await session.load_lots_of(made_here)
    if history:
        reads.history = await session.load_history(history)
    if levels:
        reads.levels = await session.load_levels(levels)
    await _rows(session, now, accounts, looked_up, reads)
    if programs.counting:
        keys = _shared(programs, now, incoming, reads)
        if keys:
            reads.counters = await session.load_counters(keys, lock=lock)
    if incoming and programs.at(now).referrals:
        await _read_codes(session, reads, accounts, incoming)
    await _for_requests(session, accounts, incoming, reads)
    if merging:
        await merges.read_merges(session, merging, reads)
    return reads


CODES_TRIED = 3
"""Two members have the same code of 60 bits about never, and three times in a row not at all."""


async def _read_codes(
    session: Session,
    reads: Reads,
    accounts: Mapping[str, Loaded],
    incoming: Iterable[Incoming],
) -> None:
    """Looks up the referral codes that messages carry, and draws one for each who has none."""
    bodies = [(item.member, item.activity.body) for item in incoming]
    named = {code for _, body in bodies if (code := code_named(body))}
    named |= {code for body, _ in reads.parked.values() if (code := code_named(body))}
    joins = {member for member, body in bodies if isinstance(body, JOINS)}
    tried = {
        member: [code_of(loaded.hmac_key, attempt) for attempt in range(CODES_TRIED)]
        for member, loaded in accounts.items()
        if loaded.hmac_key and not loaded.account.code
        if loaded.account.enrolled_at or member in joins
    }
    if not named and not tried:
        return
    asked = named | {code for codes in tried.values() for code in codes}
    owners = await session.load_codes(sorted(asked))
    taken = set(owners)
    for member, codes in tried.items():
        reads.codes[member] = next(code for code in codes if code not in taken)
        taken.add(reads.codes[member])
    found = {code: owners[code] for code in named if code in owners}
    if found:
        reads.referrers = await merges.codes_now(session, found)


def _shared(
    programs: Programs, now: Instant, incoming: Iterable[Incoming], reads: Reads
) -> set[str]:
    """The shared counters from which these messages, or due moments, may take."""
    keys = programs.gift_stock
    bodies = [(item.member, item.activity.body, item.activity.occurred_at) for item in incoming]
    bodies += [(member, body, at) for (member, _), (body, at) in reads.parked.items()]
    for member, body, occurred_at in bodies:
        program = programs.at(min(occurred_at, now))
        if program.counters:
            order = order_of(body)
            receipt = receipt_of(reads, member, order) if order else None
            keys.update(counters.offered(program, body, None))
            if receipt is not None:
                keys.update(counters.offered(program, body, receipt))
    return keys


async def _with_successors(
    session: Session, lots: list[tuple[str, str]]
) -> dict[tuple[str, str], LotTotals]:
    """Totals of lots, of those to which their points moved, and so on."""
    found: dict[tuple[str, str], LotTotals] = {}
    while lots:
        new = await session.load_lots(lots)
        found |= new
        moved = {(member, key) for (member, _), totals in new.items() for key in totals.successors}
        lots = sorted(moved - found.keys())
    return found


_REQUESTS = frozenset(
    {
        HoldCaptured,
        HoldVoided,
        Reinstated,
        RedemptionCancelled,
        VoucherUsed,
        VoucherVoided,
        GiftClaimed,
    }
)


def needs_rows(body: AnyBody) -> bool:
    """Whether a request reads rows beside its account even where nothing is due."""
    return type(body) in _REQUESTS or isinstance(body, PurchaseClaimed)


async def _for_requests(
    session: Session, accounts: Mapping[str, Loaded], incoming: Iterable[Incoming], reads: Reads
) -> None:
    """How holds ended that are open no more, and what may be reinstated, where that is asked."""
    ended: list[tuple[str, str]] = []
    expired: list[str] = []
    for item in incoming:
        body = item.activity.body
        if type(body) not in _REQUESTS:
            continue
        if isinstance(body, HoldCaptured | HoldVoided):
            holds = accounts[item.member].account.holds
            if all(hold.id != body.hold for hold in holds):
                ended.append((item.member, body.hold))
        elif isinstance(body, Reinstated):
            expired.append(item.member)
    if ended:
        reads.holds = await session.load_ended_holds(ended)
    if expired:
        reads.lots |= await session.load_lots_of(expired)


async def _rows(
    session: Session,
    now: Instant,
    accounts: Mapping[str, Loaded],
    looked_up: Iterable[Incoming],
    reads: Reads,
) -> None:
    """Redemptions and vouchers that messages name, vouchers whose end has come, and those that a
    return may withdraw.
    """
    redemptions: set[tuple[str, str]] = set()
    vouchers: set[tuple[str, str]] = set()
    for item in looked_up:
        body = item.activity.body
        if type(body) not in NAMES_ROWS:
            continue
        if redemption := redemption_of(body):
            redemptions.add((item.member, redemption))
        elif voucher := voucher_of(body):
            vouchers.add((item.member, voucher))
    vouchers.update(
        (member, voucher.id)
        for member, loaded in accounts.items()
        if loaded.account.vouchers and _may_be_due(loaded, now)
        for voucher in loaded.account.vouchers
    )
    vouchers.update(_given(accounts, looked_up, reads))
    if redemptions:
        reads.redemptions = await session.load_redemptions(sorted(redemptions))
        vouchers.update(
            (member, row.voucher) for (member, _), row in reads.redemptions.items() if row.voucher
        )
        taken = {(who, key) for (who, _), row in reads.redemptions.items() for key in row.counters}
        if taken:
            reads.history |= await session.load_history(sorted(taken))
    if vouchers:
        reads.vouchers = await session.load_vouchers(sorted(vouchers))


def _given(
    accounts: Mapping[str, Loaded], looked_up: Iterable[Incoming], reads: Reads
) -> Iterable[tuple[str, str]]:
    """Open vouchers that were given for what messages may take back."""
    bodies = [(item.member, item.activity.body) for item in looked_up]
    bodies += [(member, body) for (member, _), (body, _) in reads.parked.items()]
    for member, body in bodies:
        account = accounts[member].account
        if not account.vouchers or not level_gifts.may_undo(body):
            continue
        for voucher in level_gifts.vouchers_of(account):
            yield member, voucher
        receipt = reads.receipts.get((member, order_of(body)))
        if receipt is not None and receipt.given:
            for voucher in rule_rewards.vouchers_of(receipt, account):
                yield member, voucher


def _may_be_due(loaded: Loaded, now: Instant) -> bool:
    stuck = loaded.account.status == "stuck"
    return stuck or (loaded.due_at is not None and loaded.due_at <= now)


def _is_new(item: Incoming) -> bool:
    """Whether it makes what it names, as far as anybody knows."""
    return isinstance(item.activity.body, Purchased | RedemptionRequested | HoldCaptured)


def _orders(
    accounts: Mapping[str, Loaded], incoming: Iterable[Incoming], reads: Reads, now: Instant
) -> list[tuple[str, str]]:
    """Orders that the messages name, that wait, or whose delivery has not come in time."""
    orders = {(item.member, order) for item in incoming if (order := order_of(item.activity.body))}
    orders.update(
        (member, order)
        for (member, _), (body, _) in reads.parked.items()
        if (order := order_of(body))
    )
    orders.update((member, order_of(tick)) for member, tick in _about_orders(accounts, now))
    return sorted(orders | set(merges.elsewhere(reads, orders)))


def _about_orders(accounts: Mapping[str, Loaded], now: Instant) -> list[tuple[str, Tick]]:
    """The moments that need a receipt, of accounts with something due: a delivery has not come in
    time, or the return window has ended on which a referral rests.
    """
    due = [
        (member, loaded.account) for member, loaded in accounts.items() if _may_be_due(loaded, now)
    ]
    ends = [
        (member, Tick("lapse", held.ends_at, f"{REFERRAL}{held.order}"))
        for member, account in due
        for held in account.referrals
        if held.order and not held.settled
    ]
    return ends + [
        (member, Tick("activation", lot.activates_at, lot.awaits))
        for member, account in due
        for lot in account.lots
        if lot.awaits and lot.activates_at < NEVER
    ]


def _further(
    programs: Programs,
    now: Instant,
    accounts: Mapping[str, Loaded],
    incoming: Iterable[Incoming],
    reads: Reads,
) -> tuple[list[tuple[str, str]], list[tuple[str, str]], list[tuple[str, Instant]]]:
    """Lots, counters and levels outside the working state that refunds and late activities may
    need.
    """
    lots: set[tuple[str, str]] = set()
    history: set[tuple[str, str]] = set()
    levels: set[tuple[str, Instant]] = set()
    bodies = [(item.member, item.activity.body, item.activity.occurred_at) for item in incoming]
    bodies += [(member, body, at) for (member, _), (body, at) in reads.parked.items()]
    bodies += [(member, tick, tick.at) for member, tick in _about_orders(accounts, now)]
    for member, body, occurred_at in bodies:
        account = accounts[member].account
        if account.affairs.level_gifts and level_gifts.may_undo(body):
            given = level_gifts.postings_of(account)
            lots.update((member, key) for key in refunds.keys_of(given))
        if isinstance(body, PoolRecalled):
            lots.update((member, key) for key in pooling.lot_keys(body))
            continue
        order = order_of(body)
        receipt = receipt_of(reads, member, order) if order else None
        late = occurred_at < account.as_of
        if receipt is None and not late and not isinstance(body, MergeReceived):
            continue
        if receipt is not None and not isinstance(body, Purchased):
            # all its lots: what is open now may have left the working state by then
            lots.update((member, key) for key in refunds.lot_keys(receipt))
            given = stamps.postings_of(account)
            lots.update((member, key) for key in refunds.keys_of(given))
        program = programs.at(min(occurred_at, now))
        history.update(
            (member, key) for key in history_keys(program, account, body, receipt, occurred_at)
        )
        if late and occurred_at < account.standing.since:
            levels.add((member, occurred_at))
    history.update(_rejudged(programs, accounts, now))
    lots.update(list(merges.elsewhere(reads, lots)))
    return sorted(lots), sorted(history), sorted(levels)


_TAKING_BACK = (Refunded, Cancelled, Amended)


def _giving_and_taking_back(incoming: Iterable[Incoming], reads: Reads) -> list[str]:
    """Members to whom something is given here and of whom something is taken back: into which lots
    the points come that may go again is known once they are there.
    """
    taken = {item.member for item in incoming if isinstance(item.activity.body, _TAKING_BACK)}
    taken |= {who for (who, _), (body, _) in reads.parked.items() if isinstance(body, _TAKING_BACK)}
    if not taken:
        return []
    times = Counter(item.member for item in incoming if item.member in taken)
    times.update(member for member, _ in reads.parked if member in taken)
    return sorted(member for member, count in times.items() if count > 1)


def _rejudged(
    programs: Programs, accounts: Mapping[str, Loaded], now: Instant
) -> Iterable[tuple[str, str]]:
    """Closed windows of accounts at whose standing a version looks anew."""
    for member, loaded in accounts.items():
        if loaded.due_at is not None and loaded.due_at <= now:
            for program in programs.rejudging(loaded.account.as_of, now):
                for key in rejudging.history_keys(program, loaded.account):
                    yield member, key


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
