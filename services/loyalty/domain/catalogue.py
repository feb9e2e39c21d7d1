"""The catalogue: whether a member can have a reward now, and every reason why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from services.loyalty.domain.calendar import rfc3339
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import ended_before, period_key
from services.loyalty.domain.program import STOCK, Reward
from services.loyalty.domain.reasons import Refused
from services.loyalty.domain.refusal import Refusal

SEVERAL: Refused = "reward_unavailable"
"""The code of a refusal that has more than one reason; with a single one it is that reason's."""


def refuse_unless_available(draft: Draft, reward: Reward) -> None:
    """Makes sure that the member can redeem a reward now.

    Raises:
        Refusal: with all ``reasons``, each a code and its facts. Where there is but one, it is the
            refusal's own code, and its facts stand beside it too.
    """
    reasons = list(_reasons(draft, reward))
    if not reasons:
        return
    told = [{"code": code, **facts} for code, facts in reasons]
    if len(reasons) > 1:
        raise Refusal(SEVERAL, reward=reward.id, reasons=told)
    code, facts = reasons[0]
    raise Refusal(code, **facts, reasons=told)


def _reasons(draft: Draft, reward: Reward) -> Iterator[tuple[Refused, dict[str, Any]]]:
    level = draft.standing.level if draft.facts.level_then is None else draft.facts.level_then
    if draft.occurred_at < reward.valid_from:
        starts = rfc3339(reward.valid_from)
        yield "not_valid_yet", {"reward": reward.id, "valid_from": starts}
    if draft.occurred_at >= reward.valid_until:
        ended = rfc3339(reward.valid_until)
        yield "no_longer_valid", {"reward": reward.id, "valid_until": ended}
    if reward.tier and level not in reward.tier:
        yield "tier_too_low", {"reward": reward.id, "tiers": sorted(reward.tier)}
    if reward.segment and not _in_segment(draft, reward):
        segments = sorted(reward.segment)
        yield "not_in_segment", {"reward": reward.id, "segments": segments}
    limit = reward.limit
    if limit is not None and draft.counted(redemption_key(reward, draft.day))[0] >= limit.times:
        facts = {"times": limit.times, "period": limit.period}
        yield "limit_reached", {"reward": reward.id, **facts}
    if reward.stock is not None and not draft.allowance(reward.stock_key):
        yield "sold_out", {"reward": reward.id}
    available = draft.available(reward.currency)
    if available < reward.cost:
        yield (
            "insufficient_points",
            {
                "currency": reward.currency,
                "cost": reward.cost,
                "available": available,
                "missing": reward.cost - available,
            },
        )


def _in_segment(draft: Draft, reward: Reward) -> bool:
    at = draft.occurred_at
    return any(
        held.segment in reward.segment and held.starts_at <= at < held.ends_at
        for held in draft.segments
    )


def count_redemption(draft: Draft, reward: Reward) -> list[str]:
    """Takes a piece of the stock, and one time of the member's limit; answers from which counters,
    so that :func:`uncount_redemption` can give them back.
    """
    counters: list[str] = []
    if reward.stock is not None:
        draft.grant(reward.stock_key, 1)
        counters.append(reward.stock_key)
    if reward.limit is not None:
        key = redemption_key(reward, draft.day)
        past = draft.day != draft.today and ended_before(key.rpartition("/")[2], draft.today)
        draft.count(key, 1, 0, past=past)
        counters.append(key)
    return counters


def uncount_redemption(draft: Draft, counters: Sequence[str]) -> None:
    """Gives back what a redemption took that is undone whole: the piece to the stock, and the time
    to the member's limit, in the period from which it was taken.
    """
    for key in counters:
        if key.startswith(STOCK):
            draft.grant(key, -1)
        elif draft.counted(key)[0] or draft.status == "merged":  # then it is counted elsewhere
            past = ended_before(key.rpartition("/")[2], draft.today)
            draft.count(key, -1, 0, past=past)


def redemption_key(reward: Reward, day: date) -> str:
    """The counter of a member's redemptions of a limited reward in the period that holds a day."""
    assert reward.limit is not None
    return f"reward:{reward.id}/{period_key(reward.limit.period, day)}"
