"""Pools: accounts of households, and who is in them.

A pool is an account that is no member's. Which pool a member is in is decided at the member, who is
in one at a time; who is let in is decided at the pool, which has room for so many. So a member
asks, and is in once the pool has answered; a pool whose answer comes too late is told so. What
members earn goes to their pool by :mod:`pooling`.
"""

from __future__ import annotations

from msgspec import structs

from services.loyalty.domain import approvals, holds
from services.loyalty.domain.account import Household, Pool, PoolMember, with_affairs
from services.loyalty.domain.activity import (
    AnyBody,
    PoolAnswered,
    PoolAsked,
    PoolContributed,
    PoolJoinRequested,
    PoolLeaveRequested,
    PoolLeft,
    PoolRecalled,
    PoolShort,
    TransferReceived,
    TransferredLot,
    TransferReturned,
)
from services.loyalty.domain.calendar import Instant, rfc3339
from services.loyalty.domain.decision import Derived
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import after_span
from services.loyalty.domain.program import Pools, Span
from services.loyalty.domain.refusal import Refusal

# The member -----------------------------------------------------------------------------------


def join(draft: Draft, body: PoolJoinRequested) -> None:
    """Asks a pool to let the member in."""
    terms = draft.program.pools
    if terms is None:
        raise Refusal("pools_not_offered")
    held = draft.affairs.household or Household(body.member)
    if held.pool:
        raise Refusal("in_a_pool", pool=held.pool)
    changes = held.last not in ("", body.pool)
    if changes and (until := _not_before(draft, held.left_at, terms.rejoin_after)):
        raise Refusal("pool_left_recently", until=until)
    asking = structs.replace(held, pool=body.pool, turn=held.turn + 1, refused="")
    draft.affairs = with_affairs(draft.affairs, household=asking)
    ask = PoolAsked(body.pool, held.member, asking.turn, body.founds)
    draft.derived.append(Derived(body.pool, ask))
    draft.trace = {"asked": body.pool}


def leave(draft: Draft, _: PoolLeaveRequested) -> None:
    """Leaves the pool. What the member gave to it stays there."""
    held, terms = draft.affairs.household, draft.program.pools
    if held is None or not held.pool:
        raise Refusal("in_no_pool")
    stays = terms.min_stay if held.since and terms is not None else Span()
    if until := _not_before(draft, held.since, stays):
        raise Refusal("pool_joined_recently", until=until)
    part(draft, held, "left")


def _not_before(draft: Draft, since: Instant, span: Span) -> str:
    """When a span is over that has begun, empty where it is or there is none."""
    if not (span.months or span.days):
        return ""
    until = after_span(since, span, draft.tz)
    return rfc3339(until) if draft.effective_at < until else ""


def part(draft: Draft, held: Household, reason: str) -> None:
    """Ends the sharing, and tells the pool."""
    draft.derived.append(Derived(held.pool, PoolLeft(held.pool, held.member, held.turn, reason)))
    _ends(draft, held, reason)


def _ends(draft: Draft, held: Household, reason: str) -> None:
    alone = Household(held.member, "", held.turn, 0, held.last, held.left_at)
    if held.since:
        alone = structs.replace(alone, last=held.pool, left_at=draft.effective_at)
    elif reason != "left":
        alone = structs.replace(alone, refused=reason)
    draft.affairs = with_affairs(draft.affairs, household=alone)
    what = "left" if held.since else "refused"
    draft.announce(f"loyalty.pool.{what}.v1", {"pool": held.pool, "reason": reason})


def answered(draft: Draft, body: PoolAnswered) -> None:
    """The pool let the member in, or did not, or has closed; unless that answers what is over."""
    held = draft.affairs.household
    if held is None or (held.pool, held.turn) != (body.pool, body.turn):
        draft.trace = {"too_late": True}
        if held is not None and not body.reason:
            gone = PoolLeft(body.pool, held.member, body.turn, "too_late")
            draft.derived.append(Derived(body.pool, gone))
    elif body.reason:
        _ends(draft, held, body.reason)
    else:
        shares = structs.replace(held, since=draft.effective_at)
        draft.affairs = with_affairs(draft.affairs, household=shares)
        draft.announce("loyalty.pool.joined.v1", {"pool": body.pool})


# The pool -------------------------------------------------------------------------------------


def ask(draft: Draft, body: PoolAsked) -> None:
    """Lets a member in, or is founded by one."""
    pool = draft.affairs.pool
    if pool is None:
        pool = _found(draft, body)
    elif draft.status == "closed":
        raise Refusal("pool_closed")
    elif body.founds:
        raise Refusal("pool_exists")
    else:
        pool = _let_in(draft, pool, body)
    draft.affairs = with_affairs(draft.affairs, pool=pool)
    draft.derived.append(Derived(body.member, PoolAnswered(body.pool, body.turn)))
    draft.announce(
        "loyalty.pool.member-joined.v1", {"member": body.member, "members": len(pool.members)}
    )


def _found(draft: Draft, body: PoolAsked) -> Pool:
    account = draft.account
    if account.status != "unenrolled" or account.is_receipt or account.waiting:
        raise Refusal("not_a_pool")
    if not body.founds:
        raise Refusal("unknown_pool")
    if draft.program.pools is None:
        raise Refusal("pools_not_offered")
    draft.status = "pool"
    draft.announce("loyalty.pool.founded.v1", {"owner": body.member})
    return Pool(body.member, [PoolMember(body.member, body.turn, draft.effective_at)])


def _let_in(draft: Draft, pool: Pool, body: PoolAsked) -> Pool:
    terms = draft.program.pools
    if terms is None:
        raise Refusal("pools_not_offered")
    others = [each for each in pool.members if each.member != body.member]
    if len(others) < len(pool.members):  # who left and came back, if that is told in this order
        [listed] = [each for each in pool.members if each.member == body.member]
        if listed.turn >= body.turn:
            raise Refusal("in_a_pool", pool=body.pool)
    elif len(others) >= terms.most:
        raise Refusal("pool_full", most=terms.most)
    joined = PoolMember(body.member, body.turn, draft.effective_at)
    return structs.replace(pool, members=[*others, joined])


def left(draft: Draft, body: PoolLeft) -> None:
    """A member has gone, unless it has come back since. The last one closes the pool, and the owner
    does where the programme says so; else it goes to who has been in it longest.
    """
    pool, terms = draft.affairs.pool, draft.program.pools or Pools()
    gone = (body.member, body.turn)
    others = [each for each in pool.members if (each.member, each.turn) != gone] if pool else []
    if pool is None or len(others) == len(pool.members):
        draft.trace = {"too_late": True}
        return
    spenders = [name for name in pool.spenders if name != body.member]
    pool = Pool(pool.owner, others, spenders)
    draft.announce(
        "loyalty.pool.member-left.v1",
        {"member": body.member, "reason": body.reason, "members": len(others)},
    )
    if not others or (body.member == pool.owner and terms.owner_leaves == "closes"):
        _close(draft, pool, body.pool)
        return
    if body.member == pool.owner:
        pool = structs.replace(pool, owner=others[0].member)
        draft.announce("loyalty.pool.passed-on.v1", {"owner": pool.owner})
    draft.affairs = with_affairs(draft.affairs, pool=pool)


def _close(draft: Draft, pool: Pool, name: str) -> None:
    holds.close(draft)
    approvals.drop_all(draft, "account_closed")
    draft.status = "closed"
    draft.affairs = with_affairs(draft.affairs, pool=Pool(pool.owner, []))
    draft.derived += [
        Derived(each.member, PoolAnswered(name, each.turn, "pool_closed")) for each in pool.members
    ]
    draft.announce("loyalty.pool.closed.v1", {"owner": pool.owner})
    settle(draft, name)


def settle(draft: Draft, name: str) -> None:
    """Sends what a closed pool has to its last owner; or leaves it to be forfeited."""
    pool, terms = draft.affairs.pool, draft.program.pools or Pools()
    assert pool is not None
    if terms.when_closed == "forfeit":
        return
    moved: dict[str, list[TransferredLot]] = {}
    for lot in draft.lots:
        draft.post(
            "transfer_out",
            lot.currency,
            lot.points,
            ("available", "transit"),
            lot_from=lot.key,
            cause=name,
        )
        moved.setdefault(lot.currency, []).append(
            TransferredLot(lot.issued, lot.expires_at, lot.points)
        )
    while draft.lots:
        draft.take(0, draft.lots[0].points)
    draft.derived += [
        Derived(pool.owner, TransferReceived(name, name, pool.owner, currency, lots))
        for currency, lots in moved.items()
    ]


def send_back(draft: Draft, body: AnyBody, reason: str) -> None:
    """The way back of what a pool, or what is none, refuses."""
    match body:
        case PoolAsked():
            back: AnyBody = PoolAnswered(body.pool, body.turn, reason)
        case PoolContributed():
            back = TransferReturned(body.pool, body.pool, body.currency, body.lots, reason)
        case PoolRecalled():
            back = PoolShort(body.pool, body.lot, body.points, body.for_order, body.reason)
        case _:
            return
    draft.derived.append(Derived(body.member, back))
