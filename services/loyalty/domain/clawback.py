"""Taking points back: from which lots, in which order, and what becomes of what nobody has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from services.loyalty.domain.activity import PoolRecalled
from services.loyalty.domain.decision import Derived
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.facts import LotTotals
from services.loyalty.domain.lots import available_key
from services.loyalty.domain.receipt import Posting


class Taking(NamedTuple):
    """Why points are taken back, and where they go: the order and the reason code, the kind of the
    entries and the bucket, and the name under which it keeps them, if it does.
    """

    order: str
    reason: str
    kind: str = "accrual_reversal"
    bucket: str = "issuance"
    lot_to: str = ""


def claw_back(draft: Draft, posting: Posting, points: int, taking: Taking) -> int:
    """Takes points of a posting back: what is pending, its own lots, what expired of them, what a
    pool has of them, others; answers how many of them nobody here had.
    """
    left = points
    pending = [key for key, _ in posting.lots if key.count("/") > 2]
    left -= from_lots(draft, pending, left, taking)
    own = [available_key(key) for key, _ in posting.lots]
    own += successors(draft, [*pending, *own])
    shortfall = draft.program.currency(posting.currency).shortfall
    pending_only = posting.on_refund == "pending" or shortfall == "pending_only"
    if left and pending_only:
        draft.trace["forgiven"] = draft.trace.get("forgiven", 0) + left
        return left
    left -= from_lots(draft, own, left, taking)
    left -= from_expired(draft, [*pending, *own], left, taking)
    left -= _from_pools(draft, own, left, taking)
    return take_spent(draft, posting.currency, left, taking)


def take_spent(draft: Draft, currency: str, points: int, taking: Taking) -> int:
    """Takes what was spent from other available lots, and what is short by the currency's policy;
    answers how much that is.
    """
    now = draft.program.currency_now(currency)
    short = points - from_others(draft, now, points, taking)
    if short:
        _shortfall(draft, now, short, taking)
    return short


def successors(draft: Draft, keys: Sequence[str]) -> list[str]:
    """Lots to which points of these were moved, for a longer life or to a pool, and from there
    on.
    """
    found: dict[str, None] = {}
    following = list(keys)
    for key in following:
        for totals in (draft.facts.lots.get(key), draft.lot_totals.get(key)):
            new = [each for each in totals.successors if each not in found] if totals else ()
            found |= dict.fromkeys(new)
            following += new
    return [key for key in found if key not in keys]


def from_lots(draft: Draft, keys: Sequence[str], points: int, taking: Taking) -> int:
    """Takes from the named lots what they still hold, whoever's points they are."""
    taken = 0
    for key in keys:
        index = draft.find_lot(key)
        if index < 0 or taken == points:
            continue
        lot = draft.lots[index]
        part = min(points - taken, lot.points)
        _take(draft, "pending" if lot.activates_at else "available", key, part, taking)
        draft.take(index, part)
        taken += part
    return taken


def from_expired(draft: Draft, keys: Sequence[str], points: int, taking: Taking) -> int:
    """Takes what those lots have expired and no clawback took yet: it costs nobody anything."""
    taken = 0
    for key in keys:
        totals = totals_now(draft, key)
        part = min(points - taken, totals.expired - totals.reclaimed)
        if part <= 0:
            continue
        _take(draft, "expired", key, part, taking)
        draft.add_totals(key, LotTotals(reclaimed=part))
        taken += part
    return taken


def from_others(draft: Draft, currency: str, points: int, taking: Taking) -> int:
    """Takes what was spent from other available lots, soonest to expire first."""
    taken = 0
    for lot, part in draft.draw(currency, points):
        _take(draft, "available", lot.key, part, taking)
        taken += part
    return taken


def totals_now(draft: Draft, key: str) -> LotTotals:
    """Totals of a lot outside the working state, as of this decision."""
    return draft.facts.lots.get(key, LotTotals()).plus(draft.lot_totals.get(key, LotTotals()))


def _take(draft: Draft, bucket: str, key: str, points: int, taking: Taking) -> None:
    draft.post(
        taking.kind,
        key.partition("/")[0],
        points,
        (bucket, taking.bucket),
        lot_from=key,
        lot_to=taking.lot_to,
        cause=taking.reason,
        order=taking.order,
    )


def _shortfall(draft: Draft, currency: str, points: int, taking: Taking) -> None:
    """What nobody has: owed by the member, or written off, by the currency's policy."""
    order, reason = taking.order, taking.reason
    if draft.program.currency(currency).shortfall == "write_off":
        draft.post(
            "write_off", currency, points, ("writeoff", "issuance"), cause=reason, order=order
        )
        return
    draft.post("arrears", currency, points, ("arrears", "issuance"), cause=reason, order=order)
    draft.owe(currency, points)


# Points in a pool -----------------------------------------------------------------------------


def pooled_key(key: str, account: str) -> str:
    """The name under which points of a lot go to a pool, or have come from a member:
    ``points/2011-02/1306882800/@smiths``.
    """
    return f"{key}/@{account}"


def _from_pools(draft: Draft, keys: Sequence[str], points: int, taking: Taking) -> int:
    """Takes back at once what lots have given to a pool, out of what is in transit: the pool is
    told to send it. What it does not have comes back as :class:`PoolShort`.
    """
    taken = 0
    for name in keys:
        key, _, pool = name.partition("/@")
        totals = totals_now(draft, name)
        part = min(points - taken, totals.taken_in - totals.reclaimed)
        if not pool or part <= 0:
            continue
        _take(draft, "transit", name, part, taking)
        draft.add_totals(name, LotTotals(reclaimed=part))
        household = draft.affairs.household
        assert household is not None
        body = PoolRecalled(
            pool, household.member, key, part, totals.taken_in, taking.order, taking.reason
        )
        draft.derived.append(Derived(pool, body))
        taken += part
    return taken
