"""What the clock does to an account: one decision for each due moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from services.loyalty.domain import (
    approvals,
    badges,
    gifts,
    holds,
    lots,
    membership,
    referrals,
    refunds,
    stamps,
    tiers,
    vouchers,
)
from services.loyalty.domain.accrual import accrue
from services.loyalty.domain.activity import Tick
from services.loyalty.domain.calendar import local_date
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.moments import APPROVAL, CLAIM, CLOSING, REFERRAL, STAMPS, VOUCHER
from services.loyalty.domain.periods import after_span
from services.loyalty.domain.program import Gift
from services.loyalty.domain.reasons import NotFired
from services.loyalty.domain.rejudging import rejudge


def tick(draft: Draft, body: Tick) -> None:
    assert draft.effective_at >= body.at, "a tick is decided when its moment has come"
    _MOMENTS[body.moment](draft, body)


def _activation(draft: Draft, body: Tick) -> None:
    if not body.name:
        lots.activate_due(draft, body.at)
        return
    receipt = draft.facts.receipt  # of the order whose delivery has not come in time
    assert receipt is not None
    refunds.cancel_pending(draft, receipt)


def _hold_end(draft: Draft, body: Tick) -> None:
    holds.lapse_due(draft, body.at)


def _review(draft: Draft, body: Tick) -> None:
    if body.name:  # a version that changed the tiers begins to hold
        rejudge(draft)
    else:
        tiers.review(draft, body.at)


def _grace_end(draft: Draft, body: Tick) -> None:
    tiers.fall(draft, body.at)


def _expire(draft: Draft, body: Tick) -> None:
    lots.expire_due(draft, body.at)


def _lapse(draft: Draft, body: Tick) -> None:
    if body.name == CLOSING:
        membership.keep_no_longer(draft)
        return
    if body.name == APPROVAL:
        approvals.lapse(draft, body.at)
        return
    for prefix, ends in _LAPSES:
        if body.name.startswith(prefix):
            ends(draft, body.name.removeprefix(prefix))
            return
    raise AssertionError(f"nothing lapses under the name {body.name!r}")


_LAPSES: tuple[tuple[str, Callable[[Draft, str], None]], ...] = (
    (CLAIM, gifts.lapse),
    (STAMPS, stamps.lapse),
    (REFERRAL, referrals.settle),
    (VOUCHER, vouchers.expire),
)


def _notice(draft: Draft, body: Tick) -> None:
    lots.announce_expiring(draft, body.at)


def _warning(draft: Draft, _: Tick) -> None:
    tiers.warn(draft)


def _occasion(draft: Draft, body: Tick) -> None:
    given: list[dict[str, Any]] = []
    for gift in draft.program.gifts:
        if gift.occasion != body.name:
            continue
        why = _gift_refused(draft, gift, body)
        if why:
            draft.trace.setdefault("not", []).append((gift.id, why))
            continue
        rewards = _give(draft, gift)
        given.append(
            {"gift": gift.id, "points": dict(gift.points), "rewards": rewards}
            | ({"choose": list(gift.choose)} if gift.choose else {})
        )
    if given:
        draft.trace["gifts"] = given
        draft.gifts = {**draft.gifts, body.name: body.at}


def _gift_refused(draft: Draft, gift: Gift, body: Tick) -> NotFired:
    """Why an occasion gives nothing: too short a membership, given recently, or a date of birth set
    just now.
    """
    if "earning" in draft.affairs.blocked:
        return "earning_blocked"
    if after_span(draft.enrolled_at, gift.member_for, draft.tz) > body.at:
        return "member_too_short"
    birthday = gift.occasion == "birthday"
    today = local_date(body.at, draft.tz)
    last = draft.gifts.get(body.name)
    if last is not None:
        given_on = local_date(last, draft.tz)
        if birthday and given_on.year == today.year:
            return "given_recently"
        if (today - given_on).days < gift.at_most_once_in:
            return "given_recently"
    if birthday and 0 <= draft.facts.birthday_set_days < gift.settled:
        return "birthday_set_recently"
    return ""


def _give(draft: Draft, gift: Gift) -> list[str]:
    """Gives points and rewards; answers the rewards that there were."""
    for currency, points in gift.points.items():
        _, window = accrue(draft, currency, points, cause=gift.id)
        if window:
            tiers.judge(draft, currency, credited=points, window=window)
    if gift.points:
        draft.announce(
            "loyalty.points.accrued.v1",
            {
                "activity": gift.occasion,
                "postings": [
                    {"rule": gift.id, "currency": currency, "points": points}
                    for currency, points in gift.points.items()
                ],
            },
        )
    rewards = gifts.give_rewards(draft, gift)
    for badge in gift.badges:
        badges.award(draft, badge, by=gift.id)
    return rewards


_MOMENTS: dict[str, Callable[[Draft, Tick], None]] = {
    "activation": _activation,
    "hold_end": _hold_end,
    "tier_review": _review,
    "grace_end": _grace_end,
    "expiry": _expire,
    "lapse": _lapse,
    "notice": _notice,
    "tier_warning": _warning,
    "occasion": _occasion,
}
