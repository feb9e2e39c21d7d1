"""What must hold within and between earning rules and boosts."""

from __future__ import annotations

from collections.abc import Sequence

from services.loyalty.domain.conditions import Condition, failure_on, samples_of
from services.loyalty.domain.findings import (
    Finding,
    Findings,
    Names,
    check_pending,
    dangling,
    misplaced,
    repeated,
    unknown_currencies,
)
from services.loyalty.domain.mistakes import one_of
from services.loyalty.domain.notation import Amount
from services.loyalty.domain.program import Rate
from services.loyalty.domain.sections import Choice, Document, EarnSection
from services.loyalty.domain.source import Path


def earning_findings(document: Document, names: Names) -> Findings:
    """Everything that does not fit in ``earn``, ``groups`` and ``boosts``."""
    for name, rule in document.earn.items():
        yield from _rule(("earn", name), rule, names)
    yield from _monies(document)
    yield from _groups(document)
    yield from _boosts(document, names)


def _groups(document: Document) -> Findings:
    rules: dict[str, list[str]] = {}
    for name, rule in document.earn.items():
        if rule.group:
            rules.setdefault(rule.group, []).append(name)
    for group in document.groups:
        if group not in rules:
            remedy = f"Write group: {group} in the rules of which one fires"
            yield Finding(("groups", group), "no rule is in it", remedy)
    for group, members in rules.items():
        if len(members) == 1:
            remedy = "Put another rule into it, or remove it"
            yield Finding(("earn", members[0], "group"), f"{group!r} has no other rule", remedy)


TURNING_AWAY = ("channel", "store", "payment", "tier", "segment")
"""What ``exclude`` turns a whole activity away by."""

_LINES = ("sku", "category", "brand")
_PURCHASE_ONLY = (
    *_LINES, "store", "payment", "nth", "min_spend", "max_spend", "per", "on_refund",
)  # fmt: skip


def _rule(path: Path, rule: EarnSection, names: Names) -> Findings:
    yield from choice_findings(path, rule, names)
    if rule.event == "referral.qualified":
        yield from _referral(path, rule, names)
    elif rule.event != "purchase":
        yield from misplaced(path, _PURCHASE_ONLY, rule, "only purchases have it")
        of_purchases = (*_LINES, "store", "payment")
        why = "only purchases have it"
        yield from misplaced((*path, "exclude"), of_purchases, rule.exclude, why)
    if rule.event != "purchase" and rule.funding == "purchase":
        remedy = "Write gratuitous or third_party"
        yield Finding((*path, "funding"), "there is no price that would pay for it", remedy)
    if rule.event != "referral.qualified":
        yield from misplaced(path, ("friend",), rule, "only referrals have a friend")
    if rule.event != "engagement":
        yield from misplaced(path, ("kind",), rule, "only engagements have a kind")
    if rule.when:
        of_purchase = rule.event == "referral.qualified"
        event = "purchase" if of_purchase else rule.event
        yield from evaluable((*path, "when"), rule.when, event)
    if rule.pending:
        yield from check_pending((*path, "pending"), rule.pending)
    yield from _gives((*path, "give"), rule, names)
    yield from _badge((*path, "badge"), rule, names)
    yield from dangling((*path, "reward"), rule.reward, names.rewards, "reward")
    yield from repeated((*path, "reward"), rule.reward)
    yield from _limit((*path, "limit"), rule, names)
    yield from _budget(path, rule)


def _referral(path: Path, rule: EarnSection, names: Names) -> Findings:
    why = "a referral gives whole numbers, for as long as the purchase is kept"
    yield from misplaced(path, ("per", "round", "on_refund"), rule, why)
    yield from misplaced(path, ("group",), rule, "a referral stands by itself")
    why = "a referral has two members to give it to"
    yield from misplaced(path, ("badge", "reward"), rule, why)
    yield from unknown_currencies((*path, "friend"), rule.friend, names)
    if rule.pending and rule.pending.until:
        reason = "it would not end where nothing is delivered"
        yield Finding((*path, "pending", "until"), reason, "Write it like for: 30 days")
    elif rule.pending:
        yield from misplaced((*path, "pending"), ("exact",), rule.pending, "it ends at midnight")


def _badge(path: Path, rule: EarnSection, names: Names) -> Findings:
    if rule.badge and rule.badge not in names.badges:
        yield Finding(path, f"there is no badge {rule.badge!r}", one_of(names.badges, rule.badge))


def _gives(path: Path, rule: EarnSection, names: Names) -> Findings:
    if not (rule.give or rule.badge or rule.reward or rule.friend):
        yield Finding(path, "it gives nothing", "Name a currency, as in give: {points: 100}")
    yield from unknown_currencies(path, rule.give, names)
    for currency, given in rule.give.items():
        here = (*path, currency)
        rates = [one for one in given if isinstance(one, Rate)]
        if rates and rule.event != "purchase":
            yield Finding(here, "only purchases have money to rate", "Write a number of points")
        if len(given) > 1 and len(rates) < len(given):
            yield Finding(here, "a fixed number stands beside others", "Write one number, or rates")
        yield from repeated(here, [one.money for one in given if isinstance(one, Rate)])
        if rule.per == "line" and any(rate.full for rate in rates):
            remedy = "Remove per: line, or give a rate"
            yield Finding(here, "whole steps are counted over the order, not per line", remedy)
        if len({rate.full for rate in rates}) > 1:
            yield Finding(here, "rates and whole steps stand together", "Write all of one kind")


def _limit(path: Path, rule: EarnSection, names: Names) -> Findings:
    if rule.limit and rule.limit.limit.period == "tier_period" and not names.levels:
        yield Finding(path, "there are no tiers", "Limit it per month, year or lifetime")
    if rule.limit and rule.limit.currency and set(rule.give) != {rule.limit.currency}:
        yield Finding(
            path,
            f"it counts {rule.limit.currency!r}, but the rule gives {', '.join(rule.give)}",
            "Limit the times instead, or give each currency by a rule of its own",
        )


def _budget(path: Path, rule: EarnSection) -> Findings:
    if rule.budget is None:
        yield from misplaced(path, ("budget_short",), rule, "there is no budget")
        return
    gives = (*rule.give, *rule.friend)
    if rule.budget.currency not in gives:
        yield Finding(
            (*path, "budget"),
            f"it is one of {rule.budget.currency!r}, but the rule gives {', '.join(gives)}",
            f"Name what it gives, as in budget: 500000 {next(iter(gives), 'points')}",
        )


def _monies(document: Document) -> Findings:
    """A currency of money is never guessed: whichever one rule rates, all have to."""
    monies = frozenset(
        one.money
        for rule in document.earn.values()
        if rule.event == "purchase"
        for given in rule.give.values()
        for one in given
        if isinstance(one, Rate)
    )
    for name, rule in document.earn.items():
        if rule.event != "purchase":
            continue
        for currency, given in rule.give.items():
            rated = frozenset(one.money for one in given if isinstance(one, Rate))
            if rated:
                yield from _unrated(("earn", name, "give", currency), monies - rated, "rate")
        if rule.min_spend:
            path = ("earn", name, "min_spend")
            yield from _bound(path, rule.min_spend, monies)
        if rule.max_spend:
            path = ("earn", name, "max_spend")
            yield from _bound(path, rule.max_spend, monies)
            yield from _above_the_least(path, rule)


def _above_the_least(path: Path, rule: EarnSection) -> Findings:
    least = {amount.currency: amount.minor for amount in rule.min_spend or ()}
    for amount in rule.max_spend or ():
        if amount.minor < least.get(amount.currency, 0):
            yield Finding(path, "it is below min_spend, so that the rule never fires", "Raise it")


def _bound(path: Path, amounts: Sequence[Amount], monies: frozenset[str]) -> Findings:
    given = [amount.currency for amount in amounts]
    yield from repeated(path, given)
    yield from _unrated(path, monies - frozenset(given), "amount")
    if monies:
        yield from dangling(path, given, monies, "rate for money in")


def _unrated(path: Path, missing: frozenset[str], what: str) -> Findings:
    if missing:
        listed = ", ".join(sorted(missing))
        yield Finding(path, f"it has no {what} for {listed}, which other rules rate", "Add one")


def choice_findings(path: Path, choice: Choice, names: Names) -> Findings:
    """What does not fit in what a rule, boost or card looks at."""
    yield from dangling((*path, "tier"), choice.tier, names.levels, "level")
    for key in (
        "sku",
        "category",
        "brand",
        "channel",
        "store",
        "payment",
        "tier",
        "segment",
        "nth",
    ):
        yield from repeated((*path, key), getattr(choice, key))
    for key in ("sku", "category", "brand"):
        excluded = getattr(choice.exclude, key)
        yield from repeated((*path, "exclude", key), excluded)
    yield from dangling((*path, "exclude", "tier"), choice.exclude.tier, names.levels, "level")
    for key in TURNING_AWAY:
        excluded = getattr(choice.exclude, key)
        yield from repeated((*path, "exclude", key), excluded)
        yield from _both((*path, "exclude", key), excluded, getattr(choice, key))
    if choice.calendar == "member" and not (choice.valid or choice.days):
        yield Finding(
            (*path, "calendar"),
            "nothing here goes by a calendar",
            "Add valid or days, or remove it",
        )
    if choice.days and choice.days.has_interval and not (choice.valid and choice.valid.first):
        yield Finding(
            (*path, "days"),
            "an INTERVAL needs a day to count from",
            "Give valid a first day, as in valid: 2011-03-01/..",
        )


def _both(path: Path, excluded: Sequence[str] | None, chosen: Sequence[str] | None) -> Findings:
    for index, item in enumerate(excluded or ()):
        if item in (chosen or ()):
            yield Finding((*path, index), f"{item!r} is also asked for", "Keep one of the two")


def evaluable(path: Path, when: Condition, event: str) -> Findings:
    """A condition that fails on an activity as there may be."""
    if failure := failure_on(when, samples_of(event)):
        yield Finding(path, failure, "Guard it, as in order.lines.size() > 0 && …")


def _boosts(document: Document, names: Names) -> Findings:
    boosts = document.boosts
    applies_to = ("boosts", "applies_to")
    yield from dangling(applies_to, boosts.applies_to, names.rules, "rule")
    yield from repeated(applies_to, boosts.applies_to)
    for index, name in enumerate(boosts.applies_to or ()):
        rule = document.earn.get(name)
        if rule and rule.event == "referral.qualified" and rule.budget:
            yield Finding(
                (*applies_to, index),
                f"what {name!r} gives is set aside in its budget before it is known who gets it",
                "Leave it out, or remove the rule's budget",
            )
    events = {rule.event for rule in document.earn.values() if rule.event != "referral.qualified"}
    for name, boost in (boosts.model_extra or {}).items():
        path = ("boosts", name)
        yield from choice_findings(path, boost, names)
        for event in sorted(events) if boost.when else ():
            yield from evaluable((*path, "when"), boost.when, event)
        if not boost.model_extra:
            yield Finding(path, "it multiplies nothing", "Add a factor, as in points: x2")
        yield from unknown_currencies(path, boost.model_extra or (), names)
