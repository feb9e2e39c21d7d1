"""What rising to a level gives, and what a refund takes back of it that undoes the rise.

Both follow from a decision as a whole, after everything else of it: a return that undoes a level
and by another window keeps it takes nothing and gives nothing. What a level gave is remembered
until its tier period ends. Until then a refund may still undo the rise, and who reaches the level
again is given what went back, and nothing twice.
"""

from __future__ import annotations

from services.loyalty.domain import refunds, vouchers
from services.loyalty.domain.account import Account, Affairs, LevelGift, with_affairs
from services.loyalty.domain.accrual import accrue_whole, announce_accrual
from services.loyalty.domain.activity import (
    Amended,
    AnyBody,
    Cancelled,
    ClaimedPurchase,
    Delivered,
    Engaged,
    Enrolled,
    MergeReceived,
    Purchased,
    ReferralCancelled,
    ReferralQualified,
    ReferralSettled,
    Refunded,
    Tick,
    TierGiven,
)
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.moments import REFERRAL
from services.loyalty.domain.program import Level, Program, Tiers
from services.loyalty.domain.reasons import NotFired
from services.loyalty.domain.receipt import Posting
from services.loyalty.domain.tiers import level_now, place_of

_RISE = (
    Purchased,
    ClaimedPurchase,
    Delivered,
    Engaged,
    Enrolled,
    TierGiven,
    ReferralQualified,
    ReferralSettled,
    MergeReceived,
)
_UNDO = (Refunded, Cancelled, Amended, ReferralCancelled)
"""Bodies by which a level may be undone; or reached, where rounding restores what was taken."""


def may_rise(body: AnyBody) -> bool:
    """Whether a member may rise to a level by an activity."""
    if isinstance(body, Tick):
        moments = ("activation", "tier_review", "occasion")
        return body.moment in moments or body.name.startswith(REFERRAL)
    return isinstance(body, _RISE) or may_undo(body)


def may_undo(body: AnyBody) -> bool:
    """Whether an activity may undo a level."""
    return isinstance(body, _UNDO)


def follow(draft: Draft) -> None:
    """Takes back what levels gave that were undone, and gives what those give that were reached."""
    if draft.tier_undone:
        _take_back(draft)
    if draft.risen:
        _give(draft)


def forget(draft: Draft) -> None:
    """Forgets what was given in tier periods that are over."""
    _keep(draft, [gift for gift in draft.affairs.level_gifts if gift.until > draft.effective_at])


def _give(draft: Draft) -> None:
    tiers = draft.program.tiers
    assert tiers is not None
    held = place_of(tiers, draft.standing.level)
    for place, level in enumerate(tiers.levels[: held + 1]):
        rose = draft.risen.get(level.name) if place else None
        if rose is None or not (level.points or level.rewards):
            continue
        how, until = rose
        why = _withheld(draft, tiers, how)
        if why:
            draft.trace.setdefault("not", []).append((level.name, why))
        else:
            _give_of(draft, level, until)


def _withheld(draft: Draft, tiers: Tiers, how: str) -> NotFired:
    if how not in tiers.give_when:
        return "other_way_of_rising"
    return "earning_blocked" if "earning" in draft.affairs.blocked else ""


def _give_of(draft: Draft, level: Level, until: Instant) -> None:
    """Gives what a level gives and did not give in this tier period, or what went back since."""
    points, missing = would_give(draft.program, draft.affairs, level, draft.effective_at)
    postings = [
        accrue_whole(draft, currency, number, cause=level.name)
        for currency, number in points.items()
    ]
    announce_accrual(draft, "tier", postings)
    rewards = vouchers.give(draft, missing, how="tier", by=level.name)
    draft.trace.setdefault("level_gifts", []).append(
        {
            "level": level.name,
            "points": points,
            "rewards": [one.reward for one in rewards],
        }
    )
    before = _given(draft.program, draft.affairs, level, draft.effective_at)
    after = LevelGift(
        level.name,
        max(until, before.until),
        [*before.postings, *postings],
        [*before.rewards, *rewards],
    )
    others = [gift for gift in draft.affairs.level_gifts if gift is not before]
    _keep(draft, [*others, after])


def would_give(
    program: Program, affairs: Affairs, level: Level, at: Instant
) -> tuple[dict[str, int], list[str]]:
    """Points by currency, and rewards, that rising to a level would give a member: not what it gave
    in a tier period that is not over, unless that went back.
    """
    before = _given(program, affairs, level, at)
    there = {posting.currency for posting in before.postings}
    had = {program.reward_name_now(one.reward) for one in before.rewards}
    points = {
        currency: number for currency, number in level.points.items() if currency not in there
    }
    return points, [reward for reward in level.rewards if reward not in had]


def _given(program: Program, affairs: Affairs, level: Level, at: Instant) -> LevelGift:
    """What a level gave in the tier period that is not over."""
    for gift in affairs.level_gifts:
        if level_now(program, gift.level) == level.name and gift.until > at:
            return gift
    return LevelGift(level.name, 0)


def _take_back(draft: Draft) -> None:
    """Takes back what levels gave that are above the one held now. What was used is kept, and said;
    it stays remembered, so that it is not given again.
    """
    left: list[LevelGift] = []
    for gift in draft.affairs.level_gifts:
        lost = _is_above(draft, gift.level) and gift.until > draft.effective_at
        left.append(_without(draft, gift) if lost else gift)
    _keep(draft, left)


def _is_above(draft: Draft, level: str) -> bool:
    tiers = draft.program.tiers
    assert tiers is not None
    place = place_of(tiers, level_now(draft.program, level))
    return place > place_of(tiers, draft.standing.level)


def _without(draft: Draft, gift: LevelGift) -> LevelGift:
    """What is left of a gift once all of it went back that could."""
    order = next(iter(draft.receipts), "")
    points: dict[str, int] = {}
    short: dict[str, int] = {}
    for posting in gift.postings:
        missing = refunds.take_back(draft, posting, order=order, reason="tier_undone")
        points[posting.currency] = points.get(posting.currency, 0) + posting.points
        if missing:
            short[posting.currency] = short.get(posting.currency, 0) + missing
    if points:
        draft.announce(
            "loyalty.points.clawed-back.v1",
            {"order": order, "reason": "tier_undone", "points": points}
            | ({"short": short} if short else {}),
        )
    withdrawn, kept = vouchers.take_back(draft, gift.rewards, "tier_undone")
    told = {
        "level": gift.level,
        "order": order,
        "points": points,
        "vouchers_voided": [one.voucher for one in withdrawn],
        "rewards_kept": [one.reward for one in kept],
    }
    draft.trace.setdefault("level_gifts_undone", []).append(told)
    draft.announce("loyalty.tier.undone.v1", told)
    return LevelGift(gift.level, gift.until, [], kept)


def joined(held: list[LevelGift], more: list[LevelGift]) -> list[LevelGift]:
    """What levels gave to two members who are one: together, by level."""
    if not more:
        return held
    by_level = {gift.level: gift for gift in held}
    for gift in more:
        own = by_level.get(gift.level, LevelGift(gift.level, 0))
        by_level[gift.level] = LevelGift(
            gift.level,
            max(own.until, gift.until),
            [*own.postings, *gift.postings],
            [*own.rewards, *gift.rewards],
        )
    return list(by_level.values())


def _keep(draft: Draft, gifts: list[LevelGift]) -> None:
    """Remembers what was given, of which there is anything left to know."""
    gifts = [gift for gift in gifts if gift.postings or gift.rewards]
    if gifts != draft.affairs.level_gifts:
        draft.affairs = with_affairs(draft.affairs, level_gifts=gifts)


def stock_above(program: Program, account: Account) -> tuple[str, ...]:
    """The stock from which levels above the one that a member holds give."""
    assert program.tiers is not None
    held = place_of(program.tiers, level_now(program, account.standing.level))
    return tuple(
        key
        for place, level in enumerate(program.tiers.levels)
        for key in program.level_stock.get(level.name, ())
        if place > held
    )


def postings_of(account: Account) -> list[Posting]:
    """What levels gave that a refund may still take back."""
    return [posting for gift in account.affairs.level_gifts for posting in gift.postings]


def vouchers_of(account: Account) -> list[str]:
    """The vouchers of it that are open."""
    named = {one.voucher for gift in account.affairs.level_gifts for one in gift.rewards}
    return [held.id for held in account.vouchers if held.id in named]
