"""The programme document: read, checked as a whole, and compiled into the programme of decisions.

``python -m services.loyalty.domain.document`` writes the JSON Schema of ``contracts/``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from copy import deepcopy
from itertools import takewhile
from typing import Any

from pydantic import ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from services.loyalty.domain.compiling import compile_program
from services.loyalty.domain.consistency import inconsistencies
from services.loyalty.domain.explaining import explained, path_of
from services.loyalty.domain.findings import Finding, Names
from services.loyalty.domain.mistakes import Mistake, ProgramMistakes
from services.loyalty.domain.program import Program
from services.loyalty.domain.sections import CurrencySection, Document
from services.loyalty.domain.source import Path, Source, Tree, read_source

__all__ = [
    "Document",
    "Mistake",
    "ProgramMistakes",
    "check_successor",
    "compile_program",
    "json_schema",
    "parse_program",
    "read_document",
]

_STAND_INS: dict[str, Tree] = {
    "program": "nameless",
    "holds_from": "2000-01-01T12:00",
    "timezone": "UTC",
    "currencies": {"points": {}},
}
"""What stands in for a key that is missing or wrong, so that the rest can still be checked."""


def read_document(text: str) -> Document:
    """The document that a text (YAML or JSON) holds.

    Raises:
        ProgramMistakes: all that is wrong with it, at once.
    """
    source = read_source(text)
    document, mistakes = _validated(source)
    found = dict.fromkeys((*source.mistakes, *mistakes))
    wrong = {place for mistake in found for place in _place_and_above(mistake.place)}
    for finding in inconsistencies(document, Names.of(source)):
        mistake = source.mistake(*finding)
        if mistake.place not in wrong:  # else it may follow from what was cut out there
            found[mistake] = None
    if found:
        raise ProgramMistakes(found)
    return document


def _place_and_above(place: str) -> Iterable[str]:
    yield place
    for index, character in enumerate(place):
        if character in ".[":
            yield place[:index]


def parse_program(text: str, version: int, *, digest: str = "") -> Program:
    """Reads, checks and compiles a document in one go.

    Raises:
        ProgramMistakes: all that is wrong with it, at once.
    """
    return compile_program(read_document(text), version=version, digest=digest)


def check_successor(old: Document, new: Document) -> None:
    """Makes sure that no member is left with something that a new version no longer knows.

    A level, currency or reward that ``old`` has, or has a successor for, is in ``new`` or has a
    successor there. A currency is followed by one of its kind.

    Raises:
        ProgramMistakes: names without a successor, a currency that became another kind, or a budget
            that goes on in another currency.
    """
    mistakes = [
        Mistake(".".join(map(str, finding.path)), finding.reason, finding.remedy)
        for finding in (
            *_dropped(old, new),
            *_changed_in_kind(old, new),
            *_changed_budgets(old, new),
        )
    ]
    if mistakes:
        raise ProgramMistakes(mistakes)


def _named(document: Document) -> dict[str, Iterable[str]]:
    return {
        "levels": document.tiers.levels if document.tiers else (),
        "currencies": document.currencies,
        "rewards": document.rewards,
    }


def _dropped(old: Document, new: Document) -> Iterable[Finding]:
    there = _named(new)
    for kind, names in _named(old).items():
        followed = getattr(new.successors, kind)
        for name in (*names, *getattr(old.successors, kind)):
            if name not in there[kind] and name not in followed:
                yield Finding(
                    ("successors", kind, name),
                    f"the version before has {name!r}, and nothing takes its place",
                    f"Name its successor, as in successors: {{{kind}: {{{name}: …}}}}",
                )


def _changed_in_kind(old: Document, new: Document) -> Iterable[Finding]:
    for name, before in old.currencies.items():
        successor = new.successors.currencies.get(name, name)
        after = new.currencies.get(successor)
        if after is not None and after.qualifies != before.qualifies:
            yield Finding(
                ("successors", "currencies", name),
                f"{successor!r} cannot follow {name!r}: only one of them qualifies for tiers",
                "Name a successor that qualifies if and only if the old currency did",
            )
        elif after is not None and _kind(after) != _kind(before):
            yield Finding(
                ("currencies", successor, "window"),
                f"it was {_kind(before)!r}, and what was earned is counted by such windows",
                "Keep the kind of window, or let a new currency count for tiers",
            )
        elif after is not None and after.measures != before.measures:
            yield Finding(
                ("currencies", successor, "measures"),
                "it counted something else, and what was counted stays",
                "Keep what it measures, or let a new currency count for tiers",
            )


def _changed_budgets(old: Document, new: Document) -> Iterable[Finding]:
    """A budget goes on under its rule's name, with what was spent of it."""
    for name, rule in old.earn.items():
        after = new.earn.get(name)
        if rule.budget is None or after is None or after.budget is None:
            continue
        was, now = rule.budget.currency, after.budget.currency
        if new.successors.currencies.get(was, was) != now:
            yield Finding(
                ("earn", name, "budget"),
                f"it was one of {was!r}, and what is spent of it is counted in that",
                f"Keep {was!r}, or give the rule another name",
            )


def _kind(currency: CurrencySection) -> str:
    return currency.window.kind if currency.window else ""


# Validation ---------------------------------------------------------------------------------------


def _validated(source: Source) -> tuple[Document, list[Mistake]]:
    """The document without its wrong parts, and what was wrong with them.

    What is wrong is cut out and the rest is read again, until it can be read: so checks that span
    several keys see all that is right. Only the first reading is reported; what follows, follows
    from the cuts.
    """
    tree = source.tree
    mistakes: list[Mistake] | None = None
    while True:
        try:
            return Document.model_validate(tree), mistakes or []
        except ValidationError as error:
            details = error.errors(include_url=False)
        if mistakes is None:
            mistakes = [explained(source, one) for one in details]
            tree = deepcopy(tree)
        for one in details:
            _cut(tree, path_of(one), is_missing=one["type"] == "missing")


def _cut(tree: dict[str, Tree], path: Path, *, is_missing: bool) -> None:
    """Takes out what is wrong: the key itself, a whole list, or the mapping that misses a key."""
    steps = list(takewhile(lambda step: isinstance(step, str), path))
    if is_missing and len(steps) == len(path):
        steps.pop()
    node: Any = tree
    for step in steps[:-1]:
        node = node.get(step, {})
    if steps:
        node.pop(steps[-1], None)
    for key, stand_in in _STAND_INS.items():
        tree.setdefault(key, stand_in)


# The JSON Schema ----------------------------------------------------------------------------------


class _InTheWordsOfTheDocument(GenerateJsonSchema):
    """A key that is left out is left out: there is no null in a document."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        if schema.get("default") is None:
            return self.generate_inner(schema["schema"])
        return super().default_schema(schema)


def json_schema() -> str:
    """The JSON Schema (2020-12) of the document, as ``contracts/program.schema.json`` has it."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Document.model_json_schema(schema_generator=_InTheWordsOfTheDocument),
        "title": "Loyalty programme",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(json_schema())
