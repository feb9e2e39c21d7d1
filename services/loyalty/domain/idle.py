"""Points that expire by inactivity: one date per currency, moved only by the kinds of activity that
the programme states.

Their lots carry no end of their own, so that a date which moves moves no points: the account holds
the date. An activity moves it to a span after itself, never back. What a purchase moved is counted
under the end that it made, and remembered on its receipt; once all of it came back, its move is
withdrawn, and the date is what the other activities made of it. Nothing that has expired returns.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import structs

from services.loyalty.domain import lots, refunds
from services.loyalty.domain.account import HeldLot, Idle, Lot
from services.loyalty.domain.activity import (
    AnyBody,
    ClaimedPurchase,
    Engaged,
    Enrolled,
    Purchased,
    Resumed,
    kind_of,
)
from services.loyalty.domain.calendar import IDLE, Instant
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import idle_at
from services.loyalty.domain.receipt import Receipt

_NONE = Idle(0)
_SAME = {"capture": "redemption", "pool_in": "purchase"}
"""Kinds of activity that are another one to members, or to their pool."""


def follow(draft: Draft) -> None:
    """Lets the dates follow what was decided, and expires at once what a withdrawn move kept
    alive.
    """
    before = _held(draft)
    held = dict(before)
    for receipt in list(draft.receipts.values()):
        if receipt.moved:
            _withdraw(draft, held, receipt)
    body = draft.activity.body
    if isinstance(body, Resumed) and draft.facts.parked is not None:
        body = draft.facts.parked
    if isinstance(body, ClaimedPurchase):  # of a guest who turned out to be the member
        body = body.purchase
    if isinstance(body, ClaimedPurchase):
        body = body.purchase
    for currency in draft.program.idle:
        if _moves(draft, currency, body):
            _move(draft, held, currency, body)
    if held != draft.idle:
        draft.idle = held
    for currency in draft.program.idle:
        _settle(draft, currency, before.get(currency, _NONE))


def extend(draft: Draft, currency: str, ends_by: Instant, until: Instant) -> int:
    """Moves the date of a currency by hand, where it is no later than ``ends_by``: to an instant
    which nothing withdraws, and from which activity moves it on. Answers for how many points the
    date holds, those that are held at checkout included.
    """
    held = _held(draft)
    date = held.get(currency)
    if currency not in draft.program.idle or date is None or date.ends_at > ends_by:
        return 0
    now = draft.program.currency_now
    there: list[Lot | HeldLot] = [*draft.lots, *(lot for one in draft.holds for lot in one.drawn)]
    points = sum(
        lot.points for lot in there if lot.expires_at == IDLE and now(lot.currency) == currency
    )
    if points:
        draft.idle = {**held, currency: _pruned(draft, Idle(until, date.moves))}
    return points


def _held(draft: Draft) -> dict[str, Idle]:
    """What the account holds, under today's names of the currencies."""
    held: dict[str, Idle] = {}
    for name, idle in draft.idle.items():
        now = draft.program.currency_now(name)
        held[now] = _both(held[now], idle) if now in held else idle
    return held


def added(held: Mapping[str, Idle], more: Mapping[str, Idle]) -> dict[str, Idle]:
    """The dates of two members who are one: the later holds, and every move of either."""
    both = {name: _both(held[name], more[name]) for name in more if name in held}
    return {**held, **more, **both}


def _both(one: Idle, other: Idle) -> Idle:
    counts = dict(one.moves)
    for end, times in other.moves:
        counts[end] = counts.get(end, 0) + times
    return Idle(max(one.until, other.until), sorted(counts.items()))


def _moves(draft: Draft, currency: str, body: AnyBody) -> bool:
    terms = draft.program.currencies[currency].expiry
    assert terms is not None
    kind = kind_of(body)
    if isinstance(body, Enrolled) or _SAME.get(kind, kind) in terms.moved_by:
        return True
    return isinstance(body, Engaged) and body.of in terms.moved_by


def _move(draft: Draft, held: dict[str, Idle], currency: str, body: AnyBody) -> None:
    terms = draft.program.currencies[currency].expiry
    assert terms is not None
    end = idle_at(terms, draft.occurred_at, draft.tz)
    idle = held.get(currency, _NONE)
    if not idle.until:  # what nothing is known of begins now
        idle = Idle(idle_at(terms, draft.effective_at, draft.tz))
    if not isinstance(body, Purchased):
        held[currency] = _pruned(draft, Idle(max(idle.until, end), idle.moves))
        return
    if end > idle.until and end > draft.effective_at:
        idle = _counted(idle, end, 1)
        receipt = draft.receipts[body.order]
        moved = {**receipt.moved, currency: end}
        draft.receipts[body.order] = structs.replace(receipt, moved=moved)
    held[currency] = _pruned(draft, idle)


def _withdraw(draft: Draft, held: dict[str, Idle], receipt: Receipt) -> None:
    """Takes a purchase's moves out once all of it came back, and in again should it not have."""
    gone = refunds.is_all_back(receipt, refunds.returned(receipt))
    if gone == receipt.withdrawn:
        return
    for name, end in receipt.moved.items():
        currency = draft.program.currency_now(name)
        idle = held.get(currency)
        if idle is not None and end > max(idle.until, draft.effective_at):
            held[currency] = _pruned(draft, _counted(idle, end, -1 if gone else 1))
    draft.receipts[receipt.order] = structs.replace(receipt, withdrawn=gone)


def _counted(idle: Idle, end: Instant, times: int) -> Idle:
    counts = dict(idle.moves)
    counts[end] = counts.get(end, 0) + times
    assert counts[end] >= 0
    return Idle(idle.until, sorted((end, count) for end, count in counts.items() if count))


def _pruned(draft: Draft, idle: Idle) -> Idle:
    """Without moves that cannot be the latest any more."""
    least = max(idle.until, draft.effective_at)
    return Idle(idle.until, [move for move in idle.moves if move[0] > least])


def _settle(draft: Draft, currency: str, before: Idle) -> None:
    """Sees to it that points which expire by inactivity have a date ahead: they expire where a
    withdrawn move leaves none, and begin one where there was none when they came.
    """
    now = draft.program.currency_now
    if not any(lot.expires_at == IDLE and now(lot.currency) == currency for lot in draft.lots):
        return
    idle = draft.idle.get(currency, _NONE)
    if idle.ends_at > draft.effective_at:
        return
    if before.ends_at > draft.effective_at:
        lots.expire_due(draft, draft.effective_at)
        return
    terms = draft.program.currencies[currency].expiry
    assert terms is not None
    begun = Idle(idle_at(terms, draft.effective_at, draft.tz))
    draft.idle = {**draft.idle, currency: begun}
