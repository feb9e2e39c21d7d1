"""What the rules made of an activity: which fired with their arithmetic, which did not and why, and
what was cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from services.loyalty.application.story.told import Told, money, several
from services.loyalty.application.story.words import (
    NONE,
    Message,
    Money,
    Value,
    phrase,
    say,
)
from services.loyalty.domain.activity import Amended, AnyBody, ClaimedPurchase, Purchased
from services.loyalty.domain.counters import is_budget
from services.loyalty.domain.program import (
    BUDGET,
    NO_FILTER,
    STOCK,
    Boost,
    Filter,
    Limit,
    Referring,
    Rule,
    Stamps,
)

_MEASURE = "measure:"
"""How the rules are called that count by themselves for tiers."""


def earned(told: Told) -> Iterator[Message]:
    """What the trace says of rules, boosts, cards, gifts and shared counters."""
    trace = told.decision.trace
    paid_in = _money_of(told.decision.facts.parked or told.decision.activity.body)
    yield from _basis(told)
    yield from _returned(told)
    for fact in trace.get("fired", ()):
        yield from _fired(told, fact, paid_in)
    for contest in trace.get("groups", ()):
        yield _contest(told, contest)
    for name, why in trace.get("not", ()):
        yield _missed(told, name, why, paid_in)
    for by, reward in trace.get("sold_out", ()):
        yield say("rules.sold_out", giver=told.giver(by), reward=told.reward(reward))
    for _, cut in trace.get("referrer_cut", ()):
        yield say("rules.referrer_cut", points=cut)
    yield from _shared(told)


def _money_of(body: AnyBody) -> str:
    if isinstance(body, ClaimedPurchase):
        body = body.purchase
    return body.currency if isinstance(body, Purchased | Amended) else ""


def _basis(told: Told) -> Iterator[Message]:
    """How much of a purchase counts, where that is not all of it."""
    body = told.decision.facts.parked or told.decision.activity.body
    if isinstance(body, ClaimedPurchase):
        body = body.purchase
    made = [each for each in told.decision.receipts if each.seq == told.decision.account.seq]
    if not isinstance(body, Purchased) or not made:
        return
    spend = sum(line.spend for line in made[0].lines)
    if spend != sum(line.paid for line in body.lines) - body.discount:
        yield say("rules.basis", spend=Money(spend, body.currency))


def _returned(told: Told) -> Iterator[Message]:
    """How much of an order has come back, by which what it had earned goes."""
    for back in told.decision.trace.get("reversed", ()):
        receipt = told.decision.receipts[0]
        if receipt.currency:  # that of a referral is no order
            yield say("rules.returned", amount=Money(back["returned"], receipt.currency))


# What fired ---------------------------------------------------------------------------------------


def _fired(told: Told, fact: Mapping[str, Any], paid_in: str) -> Iterator[Message]:
    currency, points = fact["currency"], fact["points"]
    cuts: Sequence[tuple[str, int]] = fact.get("cut", ())
    before = points + sum(cut for _, cut in cuts)
    rule = told.giver(fact["rule"])
    if fact["rule"].startswith(_MEASURE):
        yield say("rules.measured", points=told.points(before, currency))
        return
    common: dict[str, Value] = {
        "rule": rule,
        "points": told.points(before, currency),
        **_boosted(told, fact),
    }
    if "rate" in fact:
        rate, per = fact["rate"]
        yield say(
            "rules.steps" if "steps" in fact else "rules.rate",
            **common,
            rate=rate,
            per=Money(per, paid_in),
            spend=Money(fact["spend"], paid_in),
            **({"steps": fact["steps"]} if "steps" in fact else _rounding(told, fact["rule"])),
        )
    else:
        each = _per(told, fact["rule"])
        if each == "order" and not common["boosts"]:
            yield say("rules.gives", rule=rule, points=common["points"])
        else:
            yield say("rules.fixed", **common, fixed=fact["fixed"], each=each)
    for by, cut in cuts:
        yield _cut(told, fact["rule"], by, cut, currency)
    if cuts:
        yield say("rules.left", rule=rule, points=told.points(points, currency))


def _boosted(told: Told, fact: Mapping[str, Any]) -> dict[str, Value]:
    """The boosts of a rule, and their factor where it is one for all lines."""
    boosts = [told.giver(name) for name in fact.get("boosts", ())]
    numerator, denominator = fact.get("factor", (1, 1))
    whole = not boosts or numerator > denominator
    return {
        "boosts": boosts,
        "factor": _decimal(Fraction(numerator, denominator)) if boosts and whole else NONE,
    }


def _decimal(factor: Fraction) -> str:
    """``1.5``; a fraction where there are no such digits."""
    text = f"{float(factor):g}"
    return text if Fraction(text) == factor else str(factor)


def _rounding(told: Told, name: str) -> dict[str, Value]:
    rule = _rule(told, name)
    return {"round": rule.round if rule else "down", "each": rule.per if rule else "order"}


def _per(told: Told, name: str) -> str:
    rule = _rule(told, name)
    return rule.per if rule else "order"


def _cut(told: Told, name: str, by: str, cut: int, currency: str) -> Message:
    rule, points = told.giver(name), told.points(cut, currency)
    if by == "limit":
        limit = _limit(told, name)
        return say(
            "rules.cut_limit",
            rule=rule,
            points=points,
            limit=told.limit(limit) if limit else NONE,
        )
    if by == "budget":
        return say("rules.cut_budget", rule=rule, points=points)
    return say("rules.cut_cap", rule=rule, points=points, period=by.removeprefix("cap_per_"))


# What did not -------------------------------------------------------------------------------------


def _missed(told: Told, name: str, why: str, paid_in: str) -> Message:
    """Why something did not apply, with what the programme says of it as far as the reason needs
    it.
    """
    look = _look(told, name)
    chosen: Filter = look.filter if look else NO_FILTER
    facts: dict[str, Value] = {}
    match why:
        case "other_tier":
            facts["levels"] = [told.level(level) for level in sorted(chosen.tier)]
            facts["held"] = told.level(_level(told))
        case "other_channel":
            facts["channels"] = several(chosen.channel)
        case "other_store":
            facts["stores"] = several(chosen.store)
        case "other_payment":
            facts["payments"] = several(chosen.payment)
        case "other_purchase_number":
            facts["numbers"] = sorted(chosen.nth)
            facts["number"] = told.decision.account.purchases
        case "not_in_segment":
            facts["segments"] = several(chosen.segment)
        case "below_min_spend":
            facts["least"] = money(look.min_spend, paid_in) if isinstance(look, Rule) else NONE
        case "above_max_spend":
            facts["most"] = money(look.max_spend, paid_in) if isinstance(look, Rule) else NONE
        case "no_min_spend_for_currency" | "no_max_spend_for_currency" | "no_rate_for_currency":
            facts["money"] = paid_in
        case "condition":
            facts["condition"] = (look.condition if look else "") or NONE
        case "limit_reached":
            limit = _limit(told, name)
            facts["limit"] = told.limit(limit) if limit else NONE
        case "lost_in_group":
            facts["won"] = _winner(told, name)
    return say(f"missed.{why}", giver=told.giver(name), **facts)


def _level(told: Told) -> str:
    """The level by which rules went: that of when it happened, if that was another."""
    then = told.decision.facts.level_then
    if then is not None:
        return then
    return told.before.standing.level or told.decision.account.standing.level


def _winner(told: Told, name: str) -> Value:
    for contest in told.decision.trace.get("groups", ()):
        if name in contest["would_give"]:
            return told.giver(contest["won"])
    return NONE


def _contest(told: Told, contest: Mapping[str, Any]) -> Message:
    offers = [
        phrase(
            "part.offer",
            {"rule": rule, "points": gives},
            rule=told.giver(rule),
            points=[told.points(points, currency) for currency, points in gives.items()],
        )
        for rule, gives in contest["would_give"].items()
    ]
    return say(
        "rules.contest",
        group=contest["group"],
        fires=contest["fires"],
        won=told.giver(contest["won"]),
        offers=offers,
    )


def _rule(told: Told, name: str) -> Rule | None:
    look = _look(told, name)
    return look if isinstance(look, Rule) else None


def _look(told: Told, name: str) -> Rule | Boost | None:
    """What looks at an activity under that name; None for a gift, which looks at no activity."""
    program = told.program
    for rule in program.rules:
        if rule.id == name:
            return rule
    for boost in program.boosts.boosts:
        if boost.id == name:
            return boost
    for card in program.stamps:
        if card.id == name:
            return card.look
    for referral in program.referrals:
        if referral.id == name:
            return referral.friend
    return None


def _limit(told: Told, name: str) -> Limit | None:
    """The limit of a rule, card or referral."""
    program = told.program
    limited: tuple[Rule | Stamps | Referring, ...] = (
        *program.rules,
        *program.stamps,
        *program.referrals,
    )
    return next((each.limit for each in limited if each.id == name), None)


# What all members share ---------------------------------------------------------------------------


def _shared(told: Told) -> Iterator[Message]:
    trace = told.decision.trace
    for key, taken in trace.get("grants", {}).items():
        direction = "taken" if taken > 0 else "returned"
        if is_budget(key):
            rule = told.giver(key.removeprefix(BUDGET))
            yield say("rules.budget", rule=rule, points=abs(taken), direction=direction)
        else:
            reward = told.reward(key.removeprefix(STOCK))
            yield say("rules.stock", reward=reward, pieces=abs(taken), direction=direction)
    for key, points in trace.get("budget_kept", ()):
        yield say("rules.budget_kept", rule=told.giver(key.removeprefix(BUDGET)), points=points)
    for key, points in trace.get("over_budget", ()):
        yield say("rules.over_budget", rule=told.giver(key.removeprefix(BUDGET)), points=points)
