"""What a tier entitles to, and how often: uses are counted by period, as limits are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from services.loyalty.domain.account import Account
from services.loyalty.domain.activity import BenefitUsed
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import ended_before, period_key
from services.loyalty.domain.program import Limit, Program
from services.loyalty.domain.refusal import Refusal
from services.loyalty.domain.tiers import level_now, place_of


class Entitlement(NamedTuple):
    """A benefit as a member has it now; ``left`` is None where there is no end to it."""

    name: str
    terms: str
    used: int
    left: int | None
    period: str


def use(draft: Draft, body: BenefitUsed) -> None:
    then = draft.facts.level_then
    level = draft.standing.level if then is None else then
    terms = entitled(draft.program, level).get(body.benefit)
    if terms is None:
        raise Refusal("benefit_not_held", benefit=body.benefit, level=level)
    quota = quota_of(terms)
    draft.trace = {"benefit": body.benefit, "level": level, "terms": terms}
    told: dict[str, object] = {"benefit": body.benefit, "level": level}
    if quota is not None:
        key = counter_key(body.benefit, quota, draft.day)
        used = draft.counted(key)[0]
        if used >= quota.times:
            raise Refusal("benefit_used_up", benefit=body.benefit, terms=terms, used=used)
        past = draft.day != draft.today and ended_before(key.rpartition("/")[2], draft.today)
        draft.count(key, 1, 0, past=past)
        told["left"] = draft.trace["left"] = quota.times - used - 1
    draft.announce("loyalty.benefit.used.v1", told)


def entitled(program: Program, level: str) -> Mapping[str, str]:
    """The benefits of a level, with their quotas as the document has them."""
    if program.tiers is None or not level:
        return {}
    return program.tiers.levels[place_of(program.tiers, level_now(program, level))].benefits


@lru_cache(maxsize=1024)
def quota_of(terms: str) -> Limit | None:
    """The limit that ``2 per year`` is; None for ``unlimited``."""
    if terms == "unlimited":
        return None
    times, _, period = terms.partition(" per ")
    return Limit(period, times=int(times))


def counter_key(benefit: str, quota: Limit, day: date) -> str:
    """The counter of a benefit in the period that holds a civil date:
    ``benefit:free-upgrade/2011``. All levels share it, so that a rise does not begin anew.
    """
    return f"benefit:{benefit}/{period_key(quota.period, day)}"


def counter_keys(program: Program, benefit: str, day: date) -> Iterable[str]:
    """The counters that a use on a civil date may touch, by whatever level."""
    levels = program.tiers.levels if program.tiers else ()
    quotas = (quota_of(level.benefits.get(benefit, "unlimited")) for level in levels)
    return {counter_key(benefit, quota, day) for quota in quotas if quota is not None}


def entitlements(program: Program, account: Account, day: date) -> list[Entitlement]:
    """What a member is entitled to on a civil date, and what is left of it."""
    return [
        _entitlement(account, name, terms, day)
        for name, terms in entitled(program, account.standing.level).items()
    ]


def _entitlement(account: Account, name: str, terms: str, day: date) -> Entitlement:
    quota = quota_of(terms)
    if quota is None:
        return Entitlement(name, terms, 0, None, "")
    key = counter_key(name, quota, day)
    used = account.counters.get(key, (0, 0))[0]
    return Entitlement(name, terms, used, max(0, quota.times - used), key.rpartition("/")[2])
