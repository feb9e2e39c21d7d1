"""Merging two members, seen from the account that ends: asking, leaving, and passing on.

A decision works on one account, so a merge is a conversation. The account asks the other one, and
nothing moves before that has said yes; if it says no, or something has come in between, all is as
it was. Then it ends: what it has travels in parts, each of which says all that it needs, and what
reaches it later goes the same way. Points on their way are in transit; expired points and arrears,
which are owed to nobody, are moving.

Receipts, redemptions and vouchers stay where they are. The account that took this one over finds
its receipts (see :attr:`~account.Affairs.absorbed`); what was spent is undone here, and what comes
back of it is passed on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import msgspec
from msgspec import structs

from services.loyalty.domain import approvals
from services.loyalty.domain.account import (
    NO_AFFAIRS,
    Account,
    Card,
    Lot,
    Merge,
    Referral,
    Standing,
    with_affairs,
)
from services.loyalty.domain.accrual import window_lot
from services.loyalty.domain.activity import (
    AnyBody,
    MergeAnswered,
    MergeOffered,
    MergeReceived,
    MergeRequested,
    PoolContributed,
    TransferReceived,
    TransferReturned,
)
from services.loyalty.domain.books import WINDOW_PREFIX
from services.loyalty.domain.decision import Derived
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.facts import LotTotals
from services.loyalty.domain.reasons import Refused
from services.loyalty.domain.refusal import Refusal
from services.loyalty.domain.status import REFUSE, verdict

MOST_PIECES, MOST_BYTES = 400, 128 * 1024
"""What one part of a merge holds at most, beside what belongs to the person: lots, counters, cards.
So no part comes near the limit of what may be published.
"""

# Asking ---------------------------------------------------------------------------------------


def ask(draft: Draft, body: MergeRequested) -> None:
    """Asks the other account. Everything goes on as before until it answers."""
    if body.into == body.from_member:
        raise Refusal("merge_into_self")
    if draft.affairs.merge is not None:
        raise Refusal("merge_pending", into=draft.affairs.merge.into)
    if why := _hindrance(draft, [body.into]):
        raise Refusal(why)
    name = body.merge or f"seq-{draft.seq}"
    draft.affairs = with_affairs(draft.affairs, merge=Merge(body.from_member, body.into))
    unsettled = next((held.referrer for held in draft.account.referrals if not held.settled), "")
    offer = MergeOffered(name, body.from_member, body.into, unsettled)
    draft.derived.append(Derived(body.into, offer))
    draft.trace = {"asks": body.into, "reason": body.reason, "actor": body.actor}


def _hindrance(draft: Draft, ids: Collection[str]) -> Refused | None:
    """Why the account cannot become part of the one with these ids now; None where it can."""
    what, reason = verdict(draft.status, "merge")
    if what == REFUSE:
        return cast("Refused", reason)
    if draft.holds:
        return "holds_open"
    shared = draft.affairs.household
    if shared is not None and (shared.pool or shared.last):
        return "shared_points"
    if any(each.order and not each.settled and each.referrer in ids for each in _brought(draft)):
        return "referral_between"
    return None


def _brought(draft: Draft) -> list[Referral]:
    return [*([draft.referral] if draft.referral else []), *draft.affairs.brought]


def answered(draft: Draft, body: MergeAnswered) -> None:
    """Leaves, where nothing stands against it; else goes on as if nobody had asked."""
    merge = draft.affairs.merge
    if merge is None or merge.done or merge.into != body.into:
        raise Refusal("not_merging", into=body.into)
    draft.affairs = with_affairs(draft.affairs, merge=None)
    if why := body.refused or _hindrance(draft, body.ids):
        draft.trace = {"merge": body.merge, "declined": why}
        draft.announce(
            "loyalty.member.merge-declined.v1",
            {"merge": body.merge, "into": body.into, "reason": why},
        )
        return
    _leave(draft, merge, body)


# Leaving --------------------------------------------------------------------------------------


def _leave(draft: Draft, merge: Merge, body: MergeAnswered) -> None:
    draft.status = "merged"
    approvals.drop_all(draft, "account_merged")
    person = Account(
        standing=draft.standing,
        purchases=draft.purchases,
        segments=draft.segments,
        gifts=draft.gifts,
        cards=draft.cards,
        badges=draft.badges,
        zone=draft.zone,
        referral=draft.referral,
        idle=draft.idle,
        offers=draft.offers,
        affairs=with_affairs(
            NO_AFFAIRS,
            blocked=draft.affairs.blocked,
            returnable=draft.affairs.returnable,
            absorbed=draft.affairs.absorbed,
            brought=draft.affairs.brought,
            years=draft.affairs.years,
            level_gifts=[
                structs.replace(gift, rewards=[one.at(merge.member) for one in gift.rewards])
                for gift in draft.affairs.level_gifts
            ],
        ),
    )
    draft.affairs = with_affairs(NO_AFFAIRS, merge=Merge(merge.member, merge.into, done=True))
    draft.standing, draft.purchases, draft.referral = Standing(), 0, None
    draft.segments, draft.offers = [], []
    draft.gifts, draft.badges, draft.cards, draft.idle = {}, {}, {}, {}
    points = _send(draft, body.merge, person, {**draft.facts.history, **draft.history})
    for parked, occurred_at in draft.facts.waiting:
        draft.derived.append(Derived(body.into, parked, occurred_at))
    left = [waiting for waiting in draft.waiting if waiting.awaits == "tick"]  # they come now
    draft.done_waiting += [waiting.seq for waiting in draft.waiting if waiting not in left]
    draft.waiting = left
    draft.trace = {"merge": body.merge, "into": body.into, "points": points}
    draft.announce(
        "loyalty.member.merged.v1", {"merge": body.merge, "into": body.into, "points": points}
    )


def forward(draft: Draft, body: AnyBody) -> None:
    """Sends what reaches a merged account on to the one that took it over."""
    draft.derived.append(Derived(draft.account.merged_into, body, draft.occurred_at))
    draft.trace["goes_on"] = draft.account.merged_into


def carries(body: AnyBody) -> Iterator[tuple[str, int]]:
    """Points in transit that an activity brings to its target, by currency."""
    if isinstance(body, TransferReceived | TransferReturned | PoolContributed):
        yield from ((body.currency, lot.points) for lot in body.lots)
    elif isinstance(body, MergeReceived):
        yield from ((lot.currency, lot.points) for lot in body.state.lots)
        for currency, windows in body.state.windows.items():
            yield from ((currency, points) for points in windows.values())
        for key, counted in body.history.items():
            if key.startswith(WINDOW_PREFIX):
                yield key.removeprefix(WINDOW_PREFIX).partition("/")[0], counted[1]


def pass_on(draft: Draft) -> None:
    """A merged account holds nothing: what a decision has left there follows the rest."""
    _send(draft, "", Account(), dict(draft.history))


def _send(
    draft: Draft, merge: str, person: Account, history: Mapping[str, list[int]]
) -> dict[str, int]:
    """Takes everything out of the account and sends it, in parts; answers the points of lots that
    went, by currency.
    """
    ended = draft.affairs.merge
    assert ended is not None
    to = ended.into
    person = structs.replace(
        person,
        arrears=_take_arrears(draft, to),
        windows=_take_windows(draft, to),
    )
    pieces = [*_take_lots(draft, to), *_take_rows(draft, to, history)]
    pieces += [_Piece("cards", name, card) for name, card in person.cards.items()]
    person = structs.replace(person, cards={})
    points: dict[str, int] = {}
    for piece in pieces:
        if isinstance(piece.what, Lot):
            points[piece.name] = points.get(piece.name, 0) + piece.what.points
    groups = list(_grouped(pieces))
    if not groups and (merge or person.arrears or person.windows):
        groups = [[]]
    for place, group in enumerate(groups):
        first = not place
        draft.derived.append(
            Derived(
                to,
                MergeReceived(
                    merge,
                    ended.member,
                    place + 1,
                    len(groups),
                    _with_pieces(person if first else Account(), group),
                    _named(group, "history"),
                    _named(group, "expired"),
                    draft.facts.given if first else [],
                ),
            )
        )
    return points


class _Piece(NamedTuple):
    """One thing that travels: of which field of a part, under which name there."""

    field: str
    name: str
    what: Lot | Card | list[int] | int


def _grouped(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    """Pieces in groups that are neither too many nor too large."""
    group: list[_Piece] = []
    size = 0
    for piece in pieces:
        more = len(msgspec.json.encode(piece))
        if group and (len(group) == MOST_PIECES or size + more > MOST_BYTES):
            yield group
            group, size = [], 0
        group.append(piece)
        size += more
    if group:
        yield group


def _with_pieces(state: Account, group: Sequence[_Piece]) -> Account:
    return structs.replace(
        state,
        lots=[piece.what for piece in group if piece.field == "lots"],
        counters=_named(group, "counters"),
        cards=_named(group, "cards"),
    )


def _named(group: Sequence[_Piece], field: str) -> dict[str, Any]:
    return {piece.name: piece.what for piece in group if piece.field == field}


def _take_lots(draft: Draft, to: str) -> list[_Piece]:
    taken: list[_Piece] = []
    while draft.lots:
        lot = draft.lots[0]
        bucket = "pending" if lot.activates_at else "available"
        _out(draft, lot.currency, lot.points, (bucket, "transit"), lot_from=lot.key, to=to)
        draft.take(0, lot.points)
        taken.append(_Piece("lots", lot.currency, lot))
    return taken


def _take_windows(draft: Draft, to: str) -> dict[str, dict[str, int]]:
    """Qualifying points that can be counted, and lie in their windows."""
    taken: dict[str, dict[str, int]] = {}
    for currency, windows in draft.windows.items():
        for window, points in windows.items():
            if points:
                lot = window_lot(currency, window)
                _out(draft, currency, points, ("available", "transit"), lot_from=lot, to=to)
                taken.setdefault(currency, {})[window] = points
    draft.windows = {}
    return taken


def _take_arrears(draft: Draft, to: str) -> dict[str, int]:
    taken = dict(draft.arrears)
    for currency, points in taken.items():
        _out(draft, currency, points, ("moving", "arrears"), to=to)
        draft.owe(currency, -points)
    return taken


def _take_rows(draft: Draft, to: str, history: Mapping[str, list[int]]) -> Iterator[_Piece]:
    """Counters, and what lies in rows: counters and windows of the past, and what has expired."""
    for key, counted in draft.counters.items():
        if any(counted):
            yield _Piece("counters", key, counted)
    draft.counters = {}
    for key, counted in history.items():
        if not any(counted):
            continue
        if key.startswith(WINDOW_PREFIX):
            lot = key.removeprefix(WINDOW_PREFIX)
            currency = lot.partition("/")[0]
            _out(draft, currency, counted[1], ("available", "transit"), lot_from=lot, to=to)
        draft.history[key] = [0, 0]
        yield _Piece("history", key, counted)
    for key in list(dict.fromkeys([*draft.facts.lots, *draft.lot_totals])):
        totals = draft.facts.lots.get(key, LotTotals()).plus(draft.lot_totals.get(key, LotTotals()))
        left = totals.expired - totals.reclaimed
        if left:
            currency = key.partition("/")[0]
            _out(draft, currency, left, ("expired", "moving"), lot_from=key, to=to)
            draft.add_totals(key, LotTotals(reclaimed=left))
            yield _Piece("expired", key, left)


def _out(
    draft: Draft,
    currency: str,
    points: int,
    buckets: tuple[str, str],
    *,
    lot_from: str = "",
    to: str,
) -> None:
    draft.post("merge_out", currency, points, buckets, lot_from=lot_from, cause=to)
