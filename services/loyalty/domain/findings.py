"""Findings: what is wrong at a path of the document, and the checks that several sections share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from services.loyalty.domain.mistakes import one_of
from services.loyalty.domain.sections import PendingSection, Section
from services.loyalty.domain.source import Path, Source


class Finding(NamedTuple):
    """Something wrong at a path, not yet placed in the text."""

    path: Path
    reason: str
    remedy: str


Findings = Iterator[Finding]


@dataclass(frozen=True, slots=True)
class Names:
    """What the document names, as it is written."""

    currencies: frozenset[str]
    qualifying: frozenset[str]
    levels: frozenset[str]
    rules: frozenset[str]
    rewards: frozenset[str]
    badges: frozenset[str]

    @classmethod
    def of(cls, source: Source) -> Names:
        """The names in the text of a document."""
        currencies = source.names("currencies")
        return cls(
            currencies,
            frozenset(n for n in currencies if source.text("currencies", n, "qualifies") == "true"),
            source.names("tiers", "levels"),
            source.names("earn"),
            source.names("rewards"),
            source.names("badges"),
        )


def dangling(path: Path, given: Sequence[str] | None, known: frozenset[str], what: str) -> Findings:
    """Names in a list that name nothing."""
    for index, name in enumerate(given or ()):
        if name not in known:
            yield Finding((*path, index), f"there is no {what} {name!r}", one_of(known, name))


def repeated(path: Path, items: Iterable[object] | None) -> Findings:
    """Items that a list has twice."""
    seen: set[object] = set()
    for index, item in enumerate(items or ()):
        if item in seen:
            yield Finding((*path, index), "it is in the list twice", "Keep one of the two")
        seen.add(item)


def misplaced(path: Path, keys: Iterable[str], section: Section, why: str) -> Findings:
    """Keys that were given where they mean nothing."""
    fields = type(section).model_fields
    for name in keys:
        if name in section.model_fields_set:
            yield Finding((*path, fields[name].alias or name), why, "Remove it")


def unknown_currencies(path: Path, given: Iterable[str], names: Names) -> Findings:
    """Keys that should name currencies of points."""
    for currency in given:
        if currency not in names.currencies:
            remedy = one_of(names.currencies, currency)
            yield Finding((*path, currency), f"there is no currency {currency!r}", remedy)


def one_way(path: Path, first: object, second: object) -> Findings:
    """Of ``for`` and ``until``, exactly one has to be given."""
    if (first is None) == (second is None):
        both = "'for' and 'until' are both there"
        reason = both if first is not None else "neither 'for' nor 'until' is there"
        yield Finding(path, reason, "Give exactly one of the two")


def check_pending(path: Path, pending: PendingSection) -> Findings:
    """A pending period, of a currency or of a rule."""
    yield from one_way(path, pending.for_, pending.until)
    if pending.until is None or isinstance(pending.until, date):
        yield from misplaced(path, ("cancel_after",), pending, "nothing is waited for")
    if pending.for_ is None:
        yield from misplaced(path, ("exact",), pending, "only a length of time is rounded")
