"""Merging two members, seen from the account that goes on: answering, and taking in.

Nothing is asked of the parts but that they come: in any order, between other activities. Balances
and counters are added under their own names; of what a person has once, the better is kept, or
else what this account has.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import structs

from services.loyalty.domain import idle, level_gifts, lots, own_years, referrals, stamps, tiers
from services.loyalty.domain.account import (
    Account,
    Lot,
    Offer,
    Returnable,
    with_affairs,
)
from services.loyalty.domain.accrual import count_qualifying, window_lot
from services.loyalty.domain.activity import (
    MergeAnswered,
    MergeOffered,
    MergeReceived,
    StatusChanged,
)
from services.loyalty.domain.books import WINDOW_PREFIX
from services.loyalty.domain.calendar import local_date
from services.loyalty.domain.decision import Derived
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.facts import LotTotals
from services.loyalty.domain.membership import take_over_segments
from services.loyalty.domain.periods import LIFETIME, ended_before
from services.loyalty.domain.refusal import Refusal
from services.loyalty.domain.status import ENDED


def answer(draft: Draft, body: MergeOffered) -> None:
    """Says yes, unless this account is about to end itself, or a referral between both still waits
    for its end: who are one person brought each other not. What has not begun is forgotten.
    """
    if draft.affairs.merge is not None:
        raise Refusal("merge_pending", into=draft.affairs.merge.into)
    ids = [body.into, *draft.affairs.absorbed]
    if body.referrer in ids:
        raise Refusal("referral_between")
    for held in draft.account.referrals:
        if held.referrer == body.from_member and not held.settled:
            if held.order:
                raise Refusal("referral_between")
            draft.referral = None
    draft.derived.append(Derived(body.from_member, MergeAnswered(body.merge, body.into, ids)))
    draft.trace = {"answers": body.from_member}


def send_back(draft: Draft, body: MergeOffered, reason: str) -> None:
    """Says no."""
    no = MergeAnswered(body.merge, body.into, refused=reason)
    draft.derived.append(Derived(body.from_member, no))


def absorb(draft: Draft, body: MergeReceived) -> None:
    """Takes in one part of what another account had."""
    body = own_years.joined(draft, body)
    state = body.state
    twice = list(_twice(draft, body))
    known = draft.affairs.absorbed
    new = [each for each in (body.from_member, *state.affairs.absorbed) if each not in known]
    if new:
        draft.affairs = with_affairs(draft.affairs, absorbed=[*new, *known])
    if draft.status == "erased":  # in between, so these have not been told yet
        draft.derived += [Derived(each, StatusChanged("erased")) for each in new]
    points = _land(draft, body)
    _count(draft, body)
    if draft.status not in ENDED:
        _join(draft, state, body.from_member)
    draft.trace |= {"absorbed": body.from_member, "part": [body.part, body.parts]}
    if twice:
        draft.trace["given_twice"] = twice
    draft.announce(
        "loyalty.member.absorbed.v1",
        {
            "merge": body.merge,
            "from": body.from_member,
            "part": body.part,
            "parts": body.parts,
            "points": points,
            "given_twice": twice,
        },
    )


# What both were given -------------------------------------------------------------------------


def _twice(draft: Draft, body: MergeReceived) -> Iterator[dict[str, str]]:
    """What a person is given once and both members were: it is reported and nobody takes it
    back.
    """
    for name, at in body.state.gifts.items():
        here = draft.gifts.get(name)
        if here and local_date(at, draft.tz).year == local_date(here, draft.tz).year:
            yield {"what": "gift", "name": name}
    for badge in body.state.badges:
        if badge in draft.badges:
            yield {"what": "badge", "name": badge}
    for key, counted in (body.state.counters | body.history).items():
        name, _, period = key.rpartition("/")
        if period == LIFETIME and counted[0] > 0 and draft.counted(key)[0] > 0:
            yield {"what": "limit", "name": name}
    for rule in body.given:
        if rule in draft.facts.given:
            yield {"what": "enrolment", "name": rule}


# Points ---------------------------------------------------------------------------------------


def _land(draft: Draft, body: MergeReceived) -> dict[str, int]:
    """Lots enter with the life and the wait that they have. What is owed is paid at once, from
    whichever account's points.
    """
    cause = body.from_member
    points: dict[str, int] = {}
    for lot in body.state.lots:
        points[lot.currency] = points.get(lot.currency, 0) + lot.points
        _land_lot(draft, lot, cause)
    lots.activate_due(draft, draft.effective_at)  # what has become due on its way
    for currency, owed in body.state.arrears.items():
        draft.post("merge_in", currency, owed, ("arrears", "moving"), cause=cause)
        draft.owe(currency, owed)
        draft.repay_from_lots(currency, cause=cause)
    for key, expired in body.expired.items():
        currency = key.partition("/")[0]
        draft.post("merge_in", currency, expired, ("moving", "expired"), lot_to=key, cause=cause)
        draft.add_totals(key, LotTotals(expired=expired))
    return points


def _land_lot(draft: Draft, lot: Lot, cause: str) -> None:
    if not lot.activates_at:
        draft.credit(
            "merge_in",
            lot.currency,
            lot.points,
            from_bucket="transit",
            issued=lot.issued,
            expires_at=lot.expires_at,
            cause=cause,
        )
        return
    # a delivery that has not come in time is told by the clock, a moment from now
    at = max(lot.activates_at, draft.effective_at + 1) if lot.awaits else lot.activates_at
    landed = structs.replace(lot, activates_at=at, taken_in=lot.points)
    draft.accrue_pending(landed, cause=cause, kind="merge_in", from_bucket="transit")


def _count(draft: Draft, body: MergeReceived) -> None:
    """Adds what was counted, by window and by period, wherever that is kept here."""
    for currency, windows in body.state.windows.items():
        for window, points in windows.items():
            _count_window(draft, currency, window, points, body.from_member)
    for key, (times, points) in (body.state.counters | body.history).items():
        if key.startswith(WINDOW_PREFIX):
            currency, _, window = key.removeprefix(WINDOW_PREFIX).partition("/")
            _count_window(draft, currency, window, points, body.from_member)
        else:
            past = ended_before(key.rpartition("/")[2], draft.today)
            draft.count(key, times, points, past=past)


def _count_window(draft: Draft, currency: str, window: str, points: int, cause: str) -> None:
    lot = window_lot(currency, window)
    draft.post("merge_in", currency, points, ("transit", "available"), lot_to=lot, cause=cause)
    count_qualifying(draft, currency, window, points)


# The person -----------------------------------------------------------------------------------


def _join(draft: Draft, state: Account, member: str) -> None:
    draft.purchases += state.purchases
    draft.zone = draft.zone or state.zone
    draft.gifts = _with(draft.gifts, state.gifts, max)
    draft.badges = _with(draft.badges, state.badges, min)
    take_over_segments(draft, state.segments)
    if state.idle:
        draft.idle = idle.added(draft.idle, state.idle)
    if state.offers:
        draft.offers = list(_offers(draft, state.offers))
    if state.cards:
        stamps.absorb(draft, state.cards, member)
    referrals.take_over(draft, state.referrals)
    draft.affairs = with_affairs(
        draft.affairs,
        blocked={**state.affairs.blocked, **draft.affairs.blocked},
        returnable=_returnable(draft.affairs.returnable, state.affairs.returnable),
        level_gifts=level_gifts.joined(draft.affairs.level_gifts, state.affairs.level_gifts),
    )
    tiers.absorb(draft, state.standing, state.windows)


def _with(held: dict[str, int], more: Mapping[str, int], better: Any) -> dict[str, int]:
    if not more:
        return held
    return {**held, **{k: better(at, held.get(k, at)) for k, at in more.items()}}


def _offers(draft: Draft, more: Iterable[Offer]) -> Iterator[Offer]:
    """Offers of both, each with a name of its own; one that ended on its way lapses in a moment."""
    yield from draft.offers
    names = {offer.id for offer in draft.offers}
    for offer in more:
        name = offer.id
        while name in names:
            name += "-2"
        names.add(name)
        until = max(offer.until, draft.effective_at + 1)
        yield Offer(name, offer.gift, offer.rewards, until)


def _returnable(held: list[Returnable], more: list[Returnable]) -> list[Returnable]:
    if not more:
        return held
    points: dict[tuple[int, str, int], int] = {}
    for each in (*held, *more):
        key = each.day, each.currency, each.activates_at
        points[key] = points.get(key, 0) + each.points
    return [Returnable(*key, total) for key, total in sorted(points.items())]
