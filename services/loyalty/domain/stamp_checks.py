"""What must hold within and between cards of stamps, badges, and what is given by name."""

from __future__ import annotations

from collections.abc import Sequence

from services.loyalty.domain.earning_checks import choice_findings, evaluable
from services.loyalty.domain.findings import Finding, Findings, Names, misplaced, repeated
from services.loyalty.domain.mistakes import one_of
from services.loyalty.domain.notation import Points
from services.loyalty.domain.sections import Document, StampsSection
from services.loyalty.domain.source import Path

MOST_STAMPS = 100
"""Stamps of the largest card: they stand in the working state of its member."""

_LINES = ("sku", "category", "brand")


def stamp_findings(document: Document, names: Names) -> Findings:
    """Everything that does not fit in ``stamps`` and ``badges``."""
    for name in document.badges:
        if name in names.rewards:
            remedy = "Choose another name"
            yield Finding(("badges", name), "a reward has the same name", remedy)
    for name, card in document.stamps.items():
        yield from _card(("stamps", name), card, names)


def _card(path: Path, card: StampsSection, names: Names) -> Findings:
    yield from choice_findings(path, card, names)
    yield from repeated((*path, "event"), card.event)
    yield from repeated((*path, "kind"), card.kind)
    if "engagement" not in card.event:
        yield from misplaced(path, ("kind",), card, "only engagements have a kind")
    if "purchase" not in card.event:
        of_purchases = (*_LINES, "exclude", "store", "payment", "nth", "min_spend")
        yield from misplaced(path, of_purchases, card, "only purchases have it")
    for event in card.event if card.when else ():
        yield from evaluable((*path, "when"), card.when, event)  # type: ignore[arg-type]
    yield from repeated((*path, "min_spend"), [one.currency for one in card.min_spend or ()])
    yield from _shape(path, card)
    yield from presents((*path, "give"), card.give, names)


def _shape(path: Path, card: StampsSection) -> Findings:
    if card.collect > MOST_STAMPS:
        yield Finding((*path, "collect"), f"it is more than {MOST_STAMPS}", "Collect fewer")
    if card.every:
        why = "a streak has one stamp for each period"
        yield from misplaced(path, ("different", "within"), card, why)
    if card.different in (*_LINES, "store") and card.event != ["purchase"]:
        reason = f"only purchases have a {card.different}"
        yield Finding((*path, "different"), reason, "Write event: purchase")
    if card.limit and card.limit.limit.period == "tier_period":
        reason = "a card is filled over several tier periods"
        yield Finding((*path, "limit"), reason, "Write it like 1 per year")
    elif card.limit and card.limit.limit.period == "tier_period":
        reason = "a card does not know the tier's periods"
        yield Finding((*path, "limit"), reason, "Write it like 1 per year")
    if card.limit and not card.limit.limit.times:
        reason = "it counts points, and a card is filled a number of times"
        yield Finding((*path, "limit"), reason, "Write it like 1 per year")


def presents(path: Path, given: Sequence[Points | str], names: Names) -> Findings:
    """What is given as points, or by the name of a reward or badge."""
    yield from repeated(
        path, [one.currency if isinstance(one, Points) else ("reward", one) for one in given]
    )
    for index, one in enumerate(given):
        if isinstance(one, str) and one not in names.rewards | names.badges:
            remedy = one_of(names.rewards | names.badges, one)
            yield Finding((*path, index), f"there is no reward {one!r}", remedy)
        elif isinstance(one, Points) and one.currency not in names.currencies:
            remedy = one_of(names.currencies, one.currency)
            yield Finding((*path, index), f"there is no currency {one.currency!r}", remedy)
