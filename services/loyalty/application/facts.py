"""What decisions need beside the accounts: which rows a batch may touch, read at once.

Nearly every message is a purchase that happens now and makes its own rows, and needs nothing. So
those are told apart first, and the questions below are about the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from services.loyalty.application import merges
from services.loyalty.application.batch import (
    JOINS,
    NAMES_ROWS,
    Reads,
    code_named,
    history_keys,
    order_of,
    receipt_of,
    redemption_of,
    voucher_of,
)
from services.loyalty.application.programs import Programs
from services.loyalty.application.store import Incoming, Loaded, Session
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
from services.loyalty.domain.facts import LotTotals
from services.loyalty.domain.moments import REFERRAL
from services.loyalty.domain.referrals import code_of


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
    asking = incoming if ask else [one for one in incoming if not _is_ordinary(one, accounts)]
    merging = merges.among(asking, reads)
    known = reads.absorbed = merges.absorbed(accounts, merging)
    looked_up = asking
    if not ask:
        if known:
            asking = [
                one for one in incoming if one.member in known or not _is_ordinary(one, accounts)
            ]
        looked_up = [one for one in asking if not _is_new(one) or one.member in known]
    due = {member: one for member, one in accounts.items() if _may_be_due(one, now)}
    about_orders = _about_orders(due)
    orders = _orders(about_orders, looked_up, reads)
    if orders:
        reads.receipts = await session.load_receipts(orders)
    lots, history, levels = _further(programs, now, accounts, asking, about_orders, reads)
    history.update(_rejudged(programs, due, now))
    if lots:
        reads.lots = await _with_successors(session, sorted(lots))
    if made_here := _giving_and_taking_back(incoming, asking, reads):
        reads.lots |= await session.load_lots_of(made_here)
    if history:
        reads.history = await session.load_history(sorted(history))
    if levels:
        reads.levels = await session.load_levels(sorted(levels))
    await _rows(session, accounts, due, looked_up, reads)
    if programs.counting:
        keys = _shared(programs, now, incoming, reads)
        if keys:
            reads.counters = await session.load_counters(keys, lock=lock)
    if incoming and programs.at(now).referrals:
        await _read_codes(session, reads, accounts, incoming)
    await _for_requests(session, accounts, asking, reads)
    if merging:
        await merges.read_merges(session, merging, reads)
    return reads


def _is_ordinary(item: Incoming, accounts: Mapping[str, Loaded]) -> bool:
    """Whether it is a purchase that is not late: it makes all its rows, as far as anybody knows."""
    activity = item.activity
    if type(activity.body) is not Purchased:
        return False
    return activity.occurred_at >= accounts[item.member].account.as_of


def reaches_others(body: AnyBody) -> bool:
    """Whether its decision hangs on accounts of other members: whose a code is, or one that moves.

    Every other decision reads of its own member only, by whatever ids, and of shared counters.
    """
    return isinstance(body, merges.MOVES) or bool(code_named(body))


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
            keys |= counters.offered_at_most(program, body, receipt)
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
    accounts: Mapping[str, Loaded],
    due: Mapping[str, Loaded],
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
        for member, loaded in due.items()
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
    about_orders: Iterable[tuple[str, Tick]], incoming: Iterable[Incoming], reads: Reads
) -> list[tuple[str, str]]:
    """Orders that the messages name, that wait, or whose delivery has not come in time."""
    orders = {(item.member, order) for item in incoming if (order := order_of(item.activity.body))}
    orders.update(
        (member, order)
        for (member, _), (body, _) in reads.parked.items()
        if (order := order_of(body))
    )
    orders.update((member, order_of(tick)) for member, tick in about_orders)
    return sorted(orders | set(merges.elsewhere(reads, orders)))


def _about_orders(due: Mapping[str, Loaded]) -> list[tuple[str, Tick]]:
    """The moments that need a receipt, of accounts with something due: a delivery has not come in
    time, or the return window has ended on which a referral rests.
    """
    ends = [
        (member, Tick("lapse", held.ends_at, f"{REFERRAL}{held.order}"))
        for member, loaded in due.items()
        for held in loaded.account.referrals
        if held.order and not held.settled
    ]
    return ends + [
        (member, Tick("activation", lot.activates_at, lot.awaits))
        for member, loaded in due.items()
        for lot in loaded.account.lots
        if lot.awaits and lot.activates_at < NEVER
    ]


def _further(
    programs: Programs,
    now: Instant,
    accounts: Mapping[str, Loaded],
    asking: Iterable[Incoming],
    about_orders: Iterable[tuple[str, Tick]],
    reads: Reads,
) -> tuple[set[tuple[str, str]], set[tuple[str, str]], set[tuple[str, Instant]]]:
    """Lots, counters and levels outside the working state that refunds and late activities may
    need.
    """
    lots: set[tuple[str, str]] = set()
    history: set[tuple[str, str]] = set()
    levels: set[tuple[str, Instant]] = set()
    bodies = [(item.member, item.activity.body, item.activity.occurred_at) for item in asking]
    bodies += [(member, body, at) for (member, _), (body, at) in reads.parked.items()]
    bodies += [(member, tick, tick.at) for member, tick in about_orders]
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
    lots.update(list(merges.elsewhere(reads, lots)))
    return lots, history, levels


_TAKING_BACK = (Refunded, Cancelled, Amended)


def _giving_and_taking_back(
    incoming: Iterable[Incoming], asking: Iterable[Incoming], reads: Reads
) -> list[str]:
    """Members to whom something is given here and of whom something is taken back: into which lots
    the points come that may go again is known once they are there.
    """
    taken = {item.member for item in asking if isinstance(item.activity.body, _TAKING_BACK)}
    taken |= {who for (who, _), (body, _) in reads.parked.items() if isinstance(body, _TAKING_BACK)}
    if not taken:
        return []
    times = Counter(item.member for item in incoming if item.member in taken)
    times.update(member for member, _ in reads.parked if member in taken)
    return sorted(member for member, count in times.items() if count > 1)


def _rejudged(
    programs: Programs, due: Mapping[str, Loaded], now: Instant
) -> Iterable[tuple[str, str]]:
    """Closed windows of accounts at whose standing a version looks anew."""
    for member, loaded in due.items():
        if loaded.due_at is not None and loaded.due_at <= now:
            for program in programs.rejudging(loaded.account.as_of, now):
                for key in rejudging.history_keys(program, loaded.account):
                    yield member, key
