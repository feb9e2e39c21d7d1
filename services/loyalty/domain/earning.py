"""Accrual: which rules an activity fires, and what each gives after boosts, limits and caps.

The order is fixed: structural filters, dates, least spend, CEL condition, limit, budget; then the
amount (rate × boosts, rounded once); then the cuts of the limit, of the caps, and last of the
budget, which never pays for what something else cuts; then the split over the lines by largest
remainder, so that what was posted can be reversed line by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from math import lcm
from typing import Any

from services.loyalty.domain import (
    badges,
    conditions,
    holdout,
    local_days,
    rule_rewards,
    tier_periods,
    tiers,
)
from services.loyalty.domain.accrual import accrue, announce_told, counts_already, told_of
from services.loyalty.domain.basket import chosen
from services.loyalty.domain.candidates import among, unmet
from services.loyalty.domain.counters import in_stock
from services.loyalty.domain.groups import contested
from services.loyalty.domain.occasion import Occasion
from services.loyalty.domain.periods import ended_before, period_key
from services.loyalty.domain.program import Cap, Give, Limit, Pending, Rate, Rule
from services.loyalty.domain.reasons import NotFired
from services.loyalty.domain.receipt import Posting
from services.loyalty.domain.shares import divide, largest_remainder, sum_of

_WHOLE = (1, 1)
_NO_STEPS = (0, 0)
_NO_BOOSTS: list[str] = []


def fire(occasion: Occasion, event: str, activity: str, also: Sequence[Rule] = ()) -> list[Posting]:
    """Fires the rules of an event, says what they gave, and lets the tier follow what they posted.
    ``also`` are rules beside those that the event has.
    """
    draft = occasion.draft
    if "earning" in draft.affairs.blocked:
        rules = (*draft.program.rules_of(event), *also)
        draft.trace["fired"] = []
        draft.trace["not"] = [(rule.id, "earning_blocked") for rule in rules]
        return []
    found = occasion.candidates(event)
    missed = list(found.missed)
    candidates = found.rules
    if also:
        more, others = among(occasion.setting, also)
        candidates = [*candidates, *more]
        missed += others
    occasion.told, occasion.credited = [], {}
    postings = earn(occasion, candidates, missed)
    announce_told(draft, activity, occasion.told, occasion.order)
    for (currency, window), points in occasion.credited.items():
        tiers.judge(draft, currency, credited=points, window=window)
    return postings


def earn(
    occasion: Occasion, rules: Sequence[Rule], missed: list[tuple[str, NotFired]]
) -> list[Posting]:
    """Fires candidates on an activity and posts what they give; the trace says what fired, what did
    not, and why, beside the rules ``missed`` before.
    """
    draft = occasion.draft
    postings: list[Posting] = []
    fired: list[dict[str, Any]] = []
    draft.trace["fired"] = fired
    draft.trace["not"] = missed
    capped = dict(occasion.posted)
    for rule in _admitted(occasion, rules, missed) if draft.program.groups else rules:
        eligible, spend, why = _look_closer(occasion, rule)
        bounds = _UNBOUNDED
        if not why and (rule.limit is not None or rule.budget is not None):
            bounds, why = _bounded(occasion, rule)
        if why:
            missed.append((rule.id, why))
            continue
        gave = False
        for give in rule.gives:
            factor, weights, boosts = _boosted(occasion, rule, give, eligible)
            rate = _rate(occasion, give)
            points = _amount(occasion, rule, give, rate, factor, weights, spend)
            if points is None:
                missed.append((rule.id, "no_rate_for_currency"))
                continue
            fact: dict[str, Any] = {"rule": rule.id, "currency": give.currency, "spend": spend}
            steps = _steps(rate, spend) if give.steps else _NO_STEPS
            _arithmetic(fact, give, rate, factor, boosts, steps[1])
            limits = not draft.program.currencies[give.currency].qualifies
            points, taken = _bound(occasion, rule, give.currency, fact, points, bounds, capped)
            fact["points"] = points
            fired.append(fact)
            if not points and bounds.short:
                break  # all that the campaign promises, or nothing of it
            if not points:
                continue
            if bounds.counter:
                times = 0 if gave or rule.rewards else 1
                use = (bounds.counter, times, points if limits else 0)
                taken.append(use)
                _count(occasion, *use)
                bounds.points -= use[2]
            gave = True
            postings.append(_post(occasion, rule, give, points, weights, eligible, taken, steps))
        if not gave and rule.gives:
            continue
        if rule.badge:
            badges.award(draft, rule.badge, by=rule.id)
        if rule.rewards and not occasion.amends:
            given = rule_rewards.give(occasion, rule, eligible, bounds.counter)
            if not given and not gave:
                missed.append((rule.id, "sold_out"))
    return postings


def _admitted(
    occasion: Occasion, rules: Sequence[Rule], missed: list[tuple[str, NotFired]]
) -> Sequence[Rule]:
    """The rules that no other one of their group shuts out."""
    would_give = {rule.id: _would_give(occasion, rule) for rule in rules if rule.group}
    return contested(occasion.draft, rules, would_give, missed) if would_give else rules


def _would_give(occasion: Occasion, rule: Rule) -> dict[str, int] | None:
    """Points by currency that a rule would post if there were no caps; None where it would not
    fire.
    """
    eligible, spend, why = _look_closer(occasion, rule)
    if why:
        return None
    bounds = _UNBOUNDED
    if rule.limit is not None or rule.budget is not None:
        bounds, why = _bounded(occasion, rule)
        if why:
            return None
    left, budget = bounds.points, rule.budget
    gives: dict[str, int] = {}
    for give in rule.gives:
        factor, weights, _ = _boosted(occasion, rule, give, eligible)
        rate = _rate(occasion, give)
        points = _amount(occasion, rule, give, rate, factor, weights, spend) or 0
        if not occasion.draft.program.currencies[give.currency].qualifies:
            points = min(points, left)
            left -= points
        if budget is not None and budget.currency == give.currency and points > bounds.budget:
            if not budget.partial:
                return None
            points = bounds.budget
        if points:
            gives[give.currency] = points
    brings = rule.badge or any(in_stock(occasion.draft, reward) for reward in rule.rewards)
    return gives if gives or brings else None


class _Bounds:
    """What a rule may still give of its limit, whose counter it names, and of its budget.

    ``short`` is set once less was left in the budget than the rule gives.
    """

    __slots__ = ("budget", "counter", "points", "short")

    def __init__(self, counter: str, points: int, budget: int) -> None:
        self.counter = counter
        self.points = points
        self.budget = budget
        self.short = False


_ALL = 2**62  # above all points that anything gives
_UNBOUNDED = _Bounds("", _ALL, _ALL)


def _bounded(occasion: Occasion, rule: Rule) -> tuple[_Bounds, NotFired]:
    """What limit and budget leave, and which of them leaves nothing (or "")."""
    counter, points, budget = "", _ALL, _ALL
    why: NotFired = ""
    if rule.limit is not None:
        counter, times, left = _limit(occasion, rule, rule.limit)
        points = _ALL if left is None else left
        if times == 0 or not points:
            why = "limit_reached"
    if rule.budget is not None:
        budget = occasion.draft.allowance(rule.budget_key)
        if not budget:
            why = why or "budget_spent"
    return _Bounds(counter, points, budget), why


def _bound(
    occasion: Occasion,
    rule: Rule,
    currency: str,
    fact: dict[str, Any],
    points: int,
    bounds: _Bounds,
    capped: dict[str, int],
) -> tuple[int, list[tuple[str, int, int]]]:
    """What limit, caps and budget leave of points, and what was taken from caps and budget."""
    program = occasion.draft.program
    if points > bounds.points and not program.currencies[currency].qualifies:
        points = _cut(fact, "limit", points, bounds.points)
    caps: list[tuple[Cap, str]] | None = None
    if program.capped:
        caps = occasion.draft.earned_on.capped.get(currency)
    if caps is not None:
        points = _cap(occasion, currency, caps, points, capped, fact)
    budget = rule.budget
    if budget is not None and budget.currency != currency:
        budget = None
    if budget is not None and points > bounds.budget:
        bounds.short = True
        points = _cut(fact, "budget", points, bounds.budget if budget.partial else 0)
    if not points:
        return 0, []
    taken: list[tuple[str, int, int]] = []
    if caps is not None:
        capped[currency] = capped.get(currency, 0) + points
        for cap, key in caps:
            if cap.period != "purchase":
                taken.append((key, 0, points))
                _count(occasion, key, 0, points)
    if budget is not None:
        taken.append((rule.budget_key, 0, points))
        occasion.draft.grant(rule.budget_key, points)
    return points, taken


def look(occasion: Occasion, rule: Rule) -> tuple[list[int] | None, int, NotFired]:
    """The lines that a rule looks at (None for all), what was spent on them, and why it does not
    fire (or ""). Who is held out would have fired it, but for the limit.
    """
    why = unmet(occasion.setting, rule)
    return (None, 0, why) if why else _look_closer(occasion, rule)


def _look_closer(  # noqa: PLR0911 - a return per reason
    occasion: Occasion, rule: Rule
) -> tuple[list[int] | None, int, NotFired]:
    """The same of a candidate, whose structural filters are met."""
    if rule.local is not None and (why := local_days.unmet(occasion.draft, rule.local)):
        return None, 0, why
    eligible: list[int] | None = None
    spend = occasion.total
    if rule.filter.chooses_lines:
        eligible = chosen(rule.filter, occasion.lines)
        spend = 0
        for index in eligible:
            spend += occasion.spends[index]
        if not eligible:
            return eligible, 0, "no_such_line"
    if rule.min_spend or rule.max_spend:
        why = _out_of_bounds(rule, occasion.currency, spend)
        if why:
            return eligible, spend, why
    if rule.when is not None:
        try:
            if not occasion.holds(rule.when):
                return eligible, spend, "condition"
        except conditions.ConditionError:
            return eligible, spend, "condition_error"
    if rule.holdout and holdout.leaves_out(occasion.draft, rule.id, rule.holdout):
        return eligible, spend, "held_out"
    return eligible, spend, ""


def _out_of_bounds(rule: Rule, currency: str, spend: int) -> NotFired:
    if rule.min_spend:
        least = rule.min_spend.get(currency)
        if least is None:
            return "no_min_spend_for_currency"
        if spend < least:
            return "below_min_spend"
    if rule.max_spend:
        most = rule.max_spend.get(currency)
        if most is None:
            return "no_max_spend_for_currency"
        if spend > most:
            return "above_max_spend"
    return ""


def _limit(occasion: Occasion, rule: Rule, limit: Limit) -> tuple[str, int | None, int | None]:
    """The limit's counter key, and the times and points left (None: not limited that way)."""
    if limit.period == tier_periods.PERIOD:
        key = tier_periods.counter_key(occasion.draft, rule.id, occasion.level)
        if not key:
            return "", 0, 0
    else:
        key = limit_key(rule.id, limit, occasion.draft.day)
    times, points = occasion.draft.counted(key)
    return (
        key,
        max(0, limit.times - times) if limit.times else None,
        max(0, limit.points - points) if limit.points else None,
    )


def limit_key(rule: str, limit: Limit, day: date) -> str:
    """The counter of a rule's limit in the period that holds a civil date: ``welcome/2011-02``."""
    return f"{rule}/{period_key(limit.period, day)}"


def _count(occasion: Occasion, key: str, times: int, points: int) -> None:
    draft = occasion.draft
    past = draft.day != draft.today and ended_before(key.rpartition("/")[2], draft.today)
    draft.count(key, times, points, past=past)


def _boosted(
    occasion: Occasion, rule: Rule, give: Give, eligible: list[int] | None
) -> tuple[tuple[int, int], list[int], list[str]]:
    """The factor where it is one for all lines, the lines' weights (what counts of them × their own
    factor), and the boosts that apply. A fixed number for the whole order takes every boost that
    chooses any of its lines.
    """
    weights = _weights(occasion, rule, give, eligible)
    boosts = occasion.draft.program.boosts
    if rule.id not in boosts.applies_to or not occasion.boosts():
        return _WHOLE, weights, _NO_BOOSTS
    matched = [
        (boost.factors[give.currency], lines, boost.id)
        for boost, lines in occasion.boosts()
        if give.currency in boost.factors
        and (lines is None or any(weights[index] for index in lines))
    ]
    if not matched:
        return _WHOLE, weights, _NO_BOOSTS
    names = [name for _, _, name in matched]
    whole_order = rule.per == "order" and not give.rates
    if whole_order or all(lines is None for _, lines, _ in matched):
        return _stack(boosts.stacking, [factor for factor, _, _ in matched]), weights, names
    factors = [
        _stack(
            boosts.stacking,
            [factor for factor, lines, _ in matched if lines is None or index in lines],
        )
        for index in range(len(weights))
    ]
    common = lcm(*(denominator for _, denominator in factors))
    scaled = [weight * n * (common // d) for weight, (n, d) in zip(weights, factors, strict=True)]
    return (1, common), scaled, names


def _weights(occasion: Occasion, rule: Rule, give: Give, eligible: list[int] | None) -> list[int]:
    """What of each line counts: its spend, or the line itself where each gets a fixed number."""
    if rule.per == "line" and not give.rates:
        counts = set(range(len(occasion.spends)) if eligible is None else eligible)
        return [
            int(index in counts and (eligible is not None or spend > 0))
            for index, spend in enumerate(occasion.spends)
        ]
    if eligible is None:
        return occasion.spends
    weights = [0] * len(occasion.spends)
    for index in eligible:
        weights[index] = occasion.spends[index]
    return weights


def _stack(stacking: str, factors: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The one factor of several: the best, their sum (x2 and x3 make x4), or their product (x6)."""
    if not factors:
        return _WHOLE
    if stacking == "best":
        best = factors[0]
        for factor in factors[1:]:
            if factor[0] * best[1] > best[0] * factor[1]:
                best = factor
        return best
    numerator, denominator = 1, 1
    for n, d in factors:
        if stacking == "multiply":
            numerator, denominator = numerator * n, denominator * d
        else:
            numerator, denominator = numerator * d + (n - d) * denominator, denominator * d
    return numerator, denominator


def _amount(
    occasion: Occasion,
    rule: Rule,
    give: Give,
    rate: Rate | None,
    factor: tuple[int, int],
    weights: list[int],
    spend: int,
) -> int | None:
    """Points given before cuts, None where the money of the order has no rate. Boosts of single
    lines count for whole steps by those lines' share of the spend.
    """
    numerator, denominator = factor
    if not give.rates:
        times = sum_of(weights) if rule.per == "line" else 1
        return divide(give.fixed * times * numerator, denominator, rule.round)
    if rate is None:
        return None
    points, per = rate.points * numerator, rate.per * denominator
    if rate.full:
        steps = spend // rate.per
        whole = steps * sum_of(weights) * points
        return divide(whole, spend * denominator, rule.round) if steps else 0
    if rule.per == "line":
        return sum(divide(weight * points, per, rule.round) for weight in weights if weight)
    whole = occasion.total if weights is occasion.spends else sum_of(weights)
    return divide(whole * points, per, rule.round)


def _steps(rate: Rate | None, spend: int) -> tuple[int, int]:
    """How much a whole step takes where points are given for such, and how many there are."""
    return (rate.per, spend // rate.per) if rate is not None and rate.full else _NO_STEPS


def _rate(occasion: Occasion, give: Give) -> Rate | None:
    return give.rates.get(occasion.currency) if give.rates else None


def _arithmetic(
    fact: dict[str, Any],
    give: Give,
    rate: Rate | None,
    factor: tuple[int, int],
    boosts: list[str],
    steps: int,
) -> None:
    if rate is not None:
        fact["rate"] = (rate.points, rate.per)
        if rate.full:
            fact["steps"] = steps
    else:
        fact["fixed"] = give.fixed
    if boosts:
        fact["boosts"] = boosts
        fact["factor"] = factor


def _cut(fact: dict[str, Any], by: str, points: int, left: int) -> int:
    """What remains of points under a bound; what was cut is recorded with its reason."""
    if points <= left:
        return points
    fact.setdefault("cut", []).append((by, points - left))
    return left


def _cap(
    occasion: Occasion,
    currency: str,
    caps: list[tuple[Cap, str]],
    points: int,
    capped: dict[str, int],
    fact: dict[str, Any],
) -> int:
    """What the caps of a currency, with their counters, leave of points."""
    for cap, key in caps:
        if cap.period != "purchase":
            left = cap.points - occasion.draft.counted(key)[1]
        elif occasion.order:
            left = cap.points - capped.get(currency, 0)
        else:
            continue
        if points > left:
            points = _cut(fact, f"cap_per_{cap.period}", points, max(0, left))
    return points


def _post(
    occasion: Occasion,
    rule: Rule,
    give: Give,
    points: int,
    weights: list[int],
    eligible: list[int] | None,
    taken: list[tuple[str, int, int]],
    steps: tuple[int, int],
) -> Posting:
    currency = give.currency
    allocated = _allocate(occasion, points, weights, eligible)
    lots, window = accrue(
        occasion.draft,
        currency,
        points,
        cause=rule.id,
        order=occasion.order,
        pending=_pending(occasion, rule, currency),
    )
    lot = lots[0][0]
    occasion.told.append(told_of(rule.id, currency, points, lot))
    if window and counts_already(lot):
        credit = currency, window
        occasion.credited[credit] = occasion.credited.get(credit, 0) + points
    return Posting(
        rule.id,
        currency,
        points,
        lots,
        allocated,
        [0] * len(allocated),
        rule.on_refund,
        rule.min_spend.get(occasion.currency, 0) if rule.min_spend else 0,
        eligible or [],
        taken,
        window,
        bool(give.rates) and not steps[0],
        steps[0],
        steps[1],
    )


def _allocate(
    occasion: Occasion, points: int, weights: list[int], eligible: list[int] | None
) -> list[int]:
    """Points per line, summing to what was posted; by money, or evenly over the lines chosen where
    none cost any.
    """
    if not weights:
        return []
    if weights is not occasion.spends:
        if not any(weights) and eligible:
            weights = [1 if index in eligible else 0 for index in range(len(weights))]
        return largest_remainder(points, weights)
    if points != occasion.split_points:  # several currencies often have one rate
        occasion.split_points = points
        occasion.split = largest_remainder(points, weights)
    return occasion.split


def _pending(occasion: Occasion, rule: Rule, currency: str) -> Pending | None:
    """The pending period: the rule's own, else the currency's for what can be returned, which only
    purchases can. What an amendment adds to a delivered order awaits no delivery: none would come.
    """
    draft, pending = occasion.draft, rule.pending
    if pending is None and occasion.order:
        pending = draft.program.currencies[currency].pending
    if pending is None or not pending.until_delivered:
        return pending
    receipt = draft.facts.receipt
    return None if receipt is not None and receipt.delivered_at else pending
