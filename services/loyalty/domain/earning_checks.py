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
    """Everything that does not fit in ``earn`` and ``boosts``."""
    for name, rule in document.earn.items():
        yield from _rule(("earn", name), rule, names)
    yield from _monies(document)
    yield from _boosts(document, names)


_LINES = ("sku", "category", "brand", "exclude")
_PURCHASE_ONLY = (*_LINES, "store", "payment", "nth", "min_spend", "per", "on_refund")


def _rule(path: Path, rule: EarnSection, names: Names) -> Findings:
    yield from choice_findings(path, rule, names)
    if rule.event != "purchase":
        yield from misplaced(path, _PURCHASE_ONLY, rule, "only purchases have it")
    if rule.event != "engagement":
        yield from misplaced(path, ("kind",), rule, "only engagements have a kind")
    if rule.when:
        yield from evaluable((*path, "when"), rule.when, rule.event)
    if rule.pending:
        yield from check_pending((*path, "pending"), rule.pending)
    yield from _gives((*path, "give"), rule, names)
    yield from _badge((*path, "badge"), rule, names)
    yield from _limit((*path, "limit"), rule)


def _badge(path: Path, rule: EarnSection, names: Names) -> Findings:
    if rule.badge and rule.badge not in names.badges:
        yield Finding(path, f"there is no badge {rule.badge!r}", one_of(names.badges, rule.badge))


def _gives(path: Path, rule: EarnSection, names: Names) -> Findings:
    if not rule.give and not rule.badge:
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


def _limit(path: Path, rule: EarnSection) -> Findings:
    if rule.limit and rule.limit.currency and set(rule.give) != {rule.limit.currency}:
        yield Finding(
            path,
            f"it counts {rule.limit.currency!r}, but the rule gives {', '.join(rule.give)}",
            "Limit the times instead, or give each currency by a rule of its own",
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
            yield from _min_spend(path, rule.min_spend, monies)


def _min_spend(path: Path, amounts: Sequence[Amount], monies: frozenset[str]) -> Findings:
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
    if choice.days and choice.days.has_interval and not (choice.valid and choice.valid.first):
        yield Finding(
            (*path, "days"),
            "an INTERVAL needs a day to count from",
            "Give valid a first day, as in valid: 2011-03-01/..",
        )


def evaluable(path: Path, when: Condition, event: str) -> Findings:
    """A condition that fails on an activity as there may be."""
    if failure := failure_on(when, samples_of(event)):
        yield Finding(path, failure, "Guard it, as in order.lines.size() > 0 && …")


def _boosts(document: Document, names: Names) -> Findings:
    boosts = document.boosts
    applies_to = ("boosts", "applies_to")
    yield from dangling(applies_to, boosts.applies_to, names.rules, "rule")
    yield from repeated(applies_to, boosts.applies_to)
    events = {rule.event for rule in document.earn.values()}
    for name, boost in (boosts.model_extra or {}).items():
        path = ("boosts", name)
        yield from choice_findings(path, boost, names)
        for event in sorted(events) if boost.when else ():
            yield from evaluable((*path, "when"), boost.when, event)
        if not boost.model_extra:
            yield Finding(path, "it multiplies nothing", "Add a factor, as in points: x2")
        yield from unknown_currencies(path, boost.model_extra or (), names)
