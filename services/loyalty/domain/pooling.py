"""Points in pools: what members earn goes there, and comes back for what they return.

A member's accrual is the member's while it is pending, so that a refund finds it. Once it can be
spent it goes to the pool, by transit, as a lot that keeps its month and its end. What counts for
tiers stays. A refund that finds points of the order in a pool reverses them at once, out of
transit, and the pool sends them after: from the lot that they entered, from what that lot has
expired, from others, soonest first. What the pool does not have is put back and taken from the
member instead, as any clawback takes; so nobody owes for another's refund.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.loyalty.domain import pools
from services.loyalty.domain.account import Household
from services.loyalty.domain.activity import (
    AnyBody,
    PoolContributed,
    PoolRecalled,
    PoolShort,
    TransferredLot,
)
from services.loyalty.domain.books import is_window
from services.loyalty.domain.clawback import (
    Taking,
    from_expired,
    from_lots,
    from_others,
    pooled_key,
    successors,
    take_spent,
    totals_now,
)
from services.loyalty.domain.decision import Derived
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.facts import LotTotals
from services.loyalty.domain.ledger import lot_key
from services.loyalty.domain.refusal import Park
from services.loyalty.domain.status import ENDED

# The member -----------------------------------------------------------------------------------

_EARNED = frozenset({"accrual", "activation"})


def follow(draft: Draft) -> None:
    """Lets a member's pool follow what was decided: an account that has ended leaves it, and what
    has become available goes to it. What a member earns who may not spend stays with the member.
    """
    held = draft.affairs.household
    if held is None or not held.pool:
        return
    if draft.status in ENDED:
        pools.part(draft, held, f"account_{draft.status}")
    elif held.since and draft.program.pools is not None and _may_spend(draft):
        _contribute(draft, held)


def _may_spend(draft: Draft) -> bool:
    return draft.status == "active" and "spending" not in draft.affairs.blocked


def _contribute(draft: Draft, held: Household) -> None:
    moved: dict[tuple[str, str], list[TransferredLot]] = {}
    for key, (points, order) in _fresh(draft).items():
        index = draft.find_lot(key)
        if index < 0 or not points:
            continue
        lot = draft.lots[index]
        part, name = min(points, lot.points), pooled_key(key, held.pool)
        draft.take(index, part)
        draft.add_totals(key, LotTotals(successors=(name,)))
        draft.add_totals(name, LotTotals(taken_in=part))
        draft.post(
            "transfer_out",
            lot.currency,
            part,
            ("available", "transit"),
            lot_from=key,
            lot_to=name,
            cause=held.pool,
            order=order,
        )
        moved.setdefault((lot.currency, order), []).append(
            TransferredLot(lot.issued, lot.expires_at, part)
        )
    for (currency, order), lots in moved.items():
        body = PoolContributed(held.pool, held.member, currency, lots, order)
        draft.derived.append(Derived(held.pool, body))
        draft.announce(
            "loyalty.pool.contributed.v1",
            {"pool": held.pool, "currency": currency, "points": sum(lot.points for lot in lots)}
            | ({"order": order} if order else {}),
        )


def _fresh(draft: Draft) -> dict[str, tuple[int, str]]:
    """By lot, the earned points that this decision has made available and not taken again, and the
    order of the last of them.
    """
    fresh: dict[str, tuple[int, str]] = {}
    for entry in draft.entries:
        if entry.to_bucket == "available" and entry.kind in _EARNED:
            if not is_window(entry.lot_to):
                points, _ = fresh.get(entry.lot_to, (0, ""))
                fresh[entry.lot_to] = points + entry.points, entry.order
        elif entry.from_bucket == "available" and entry.lot_from in fresh:
            points, order = fresh[entry.lot_from]
            fresh[entry.lot_from] = max(0, points - entry.points), order
    return fresh


def short(draft: Draft, body: PoolShort) -> None:
    """Puts back what the pool did not have, and takes it as any clawback does."""
    currency = body.lot.partition("/")[0]
    draft.post(
        "recall",
        currency,
        body.points,
        ("issuance", "transit"),
        lot_to=pooled_key(body.lot, body.pool),
        cause=body.reason,
        order=body.for_order,
    )
    missing = take_spent(draft, currency, body.points, Taking(body.for_order, body.reason))
    draft.announce(
        "loyalty.pool.short.v1",
        {
            "pool": body.pool,
            "order": body.for_order,
            "currency": currency,
            "points": body.points,
            "short": missing,
        },
    )


# The pool -------------------------------------------------------------------------------------


def contribution_of(member: str) -> str:
    """What is awaited where that is points which a member has sent to a pool."""
    return f"contribution:{member}"


def recalls_of(body: AnyBody) -> Iterator[tuple[str, int]]:
    """Points that an activity asks its target for, by currency."""
    if isinstance(body, PoolRecalled | PoolShort):
        yield body.lot.partition("/")[0], body.points


def lot_keys(body: PoolRecalled) -> list[str]:
    """Lots of the pool whose totals a recall may need."""
    return [body.lot, pooled_key(body.lot, body.member)]


def contributed(draft: Draft, body: PoolContributed) -> None:
    """Points arrive. A closed pool sends them on, to where its own went."""
    for lot in body.lots:
        name = pooled_key(lot_key(body.currency, lot.issued, lot.expires_at), body.member)
        draft.credit(
            "transfer_in",
            body.currency,
            lot.points,
            from_bucket="transit",
            issued=lot.issued,
            expires_at=lot.expires_at,
            lot_from=name,
            cause=body.member,
            order=body.for_order,
        )
        draft.add_totals(name, LotTotals(taken_in=lot.points))
    draft.announce(
        "loyalty.pool.credited.v1",
        {
            "member": body.member,
            "currency": body.currency,
            "points": sum(lot.points for lot in body.lots),
        }
        | ({"order": body.for_order} if body.for_order else {}),
    )
    if draft.status == "closed":
        pools.settle(draft, body.pool)


def recalled(draft: Draft, body: PoolRecalled) -> None:
    """Sends back what was reversed at the member, as far as the pool has it.

    Raises:
        Park: some of the lot has not arrived yet; it stands among the dead letters, and comes.
    """
    name = pooled_key(body.lot, body.member)
    if totals_now(draft, name).taken_in < body.sent:
        raise Park(contribution_of(body.member), "awaits_contribution")
    taking = Taking(body.for_order, body.reason, "recall", "transit", name)
    keys = [body.lot, *successors(draft, [body.lot])]
    currency = body.lot.partition("/")[0]
    left = body.points
    left -= from_lots(draft, keys, left, taking)
    left -= from_expired(draft, keys, left, taking)
    left -= from_others(draft, draft.program.currency_now(currency), left, taking)
    if left:
        draft.trace = {"lacks": {"points": left, "currency": currency}}
        back = PoolShort(body.pool, body.lot, left, body.for_order, body.reason)
        draft.derived.append(Derived(body.member, back))
    draft.announce(
        "loyalty.pool.recalled.v1",
        {
            "member": body.member,
            "order": body.for_order,
            "currency": currency,
            "points": body.points - left,
            "reason": body.reason,
        }
        | ({"short": left} if left else {}),
    )
