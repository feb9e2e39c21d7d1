"""The catalogue of sentences in each language, and how a language writes its values.

A pattern is text with places, as in ICU's MessageFormat and as little of it as two languages need:
``{points}``; ``{lines, plural, one {# line} other {# lines}}`` with the number in place of ``#``;
and ``{actor, select, none {} other { by {actor}}}``, where ``none`` is for what there is not.
A language is a file of :mod:`catalogue`; another one is another file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, TypeAlias

import yaml

from services.loyalty.application.story import catalogue
from services.loyalty.application.story.words import (
    NONE,
    End,
    Message,
    Moment,
    Money,
    Month,
    Named,
    Phrase,
    Value,
)
from services.loyalty.domain.calendar import SECOND, to_datetime
from services.loyalty.domain.languages import lookup
from services.loyalty.domain.money import decimal_text

TAGS = ("en", "zh-Hans")
"""The languages that there are (BCP 47); the first where none is known that was asked for."""


class BadPattern(ValueError):
    """A pattern that cannot be read; the message says which and where."""


# Patterns -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: as it is, or in the case (of ``plural`` or ``select``) that fits it."""

    name: str
    kind: str
    cases: Mapping[str, Pattern]


Pattern: TypeAlias = "tuple[str | Place, ...]"


def read_pattern(text: str) -> Pattern:
    """The pattern of a text.

    Raises:
        BadPattern: it is none.
    """
    pattern, end = _read(text, 0, inside="")
    if end < len(text):
        raise BadPattern(f"a brace too many at {text[end:]!r} in {text!r}")
    return pattern


def _read(text: str, start: int, *, inside: str) -> tuple[Pattern, int]:
    """Reads up to the brace that ends it; ``inside`` names the number that # stands for."""
    parts: list[str | Place] = []
    at = start
    while at < len(text) and text[at] != "}":
        if text[at] == "{":
            place, at = _read_place(text, at + 1)
            parts.append(place)
        elif text[at] == "#" and inside:
            parts.append(Place(inside, "", {}))
            at += 1
        else:
            end = next((i for i in range(at, len(text)) if text[i] in "{}#"), len(text))
            end = max(end, at + 1)
            parts.append(text[at:end])
            at = end
    return tuple(parts), at


def _read_place(text: str, start: int) -> tuple[Place, int]:
    end = next((i for i in range(start, len(text)) if text[i] in ",}"), len(text))
    name = text[start:end].strip()
    if not name.isidentifier():
        raise BadPattern(f"{name!r} is no name in {text!r}")
    if text[end : end + 1] == "}":
        return Place(name, "", {}), end + 1
    kind_end = text.find(",", end + 1)
    kind = text[end + 1 : kind_end].strip()
    if kind_end < 0 or kind not in ("plural", "select"):
        raise BadPattern(f"{name} is neither plural nor select in {text!r}")
    cases, at = _read_cases(text, kind_end + 1, inside=name if kind == "plural" else "")
    if "other" not in cases:
        raise BadPattern(f"{name} has no other case in {text!r}")
    return Place(name, kind, cases), at


def _read_cases(text: str, start: int, *, inside: str) -> tuple[dict[str, Pattern], int]:
    cases: dict[str, Pattern] = {}
    at = start
    while True:
        opens = next((i for i in range(at, len(text)) if text[i] in "{}"), len(text))
        if opens == len(text):
            raise BadPattern(f"a brace is missing in {text!r}")
        if text[opens] == "}":
            return cases, opens + 1
        case = text[at:opens].strip()
        cases[case], at = _read(text, opens + 1, inside=inside)
        at += 1


def places(pattern: Pattern) -> Iterator[Place]:
    """All places of a pattern, those inside cases too."""
    for part in pattern:
        if isinstance(part, Place):
            yield part
            for case in part.cases.values():
                yield from places(case)


# Languages ----------------------------------------------------------------------------------------


class Language:
    """One language: its patterns by key, and its ways of writing numbers, money, dates, lists."""

    def __init__(self, tag: str, document: Mapping[str, Any]) -> None:
        self.tag = tag
        self._formats: Mapping[str, Any] = document["formats"]
        spaces = self._formats.get("superfluous")
        self._superfluous = re.compile(spaces) if spaces else None
        self.patterns: dict[str, Pattern] = {}
        for section, messages in document["messages"].items():
            for name, text in messages.items():
                self.patterns[f"{section}.{name}"] = read_pattern(text)

    def text(self, message: Message | Phrase) -> str:
        """A sentence, or a part of one, in this language.

        Raises:
            KeyError: there is no such pattern, or no value for one of its places.
        """
        filled = self._filled(self.patterns[message.key], message.params)
        return self._superfluous.sub("", filled) if self._superfluous else filled

    def _filled(self, pattern: Pattern, params: Mapping[str, Value]) -> str:
        return "".join(
            part if isinstance(part, str) else self._placed(part, params) for part in pattern
        )

    def _placed(self, place: Place, params: Mapping[str, Value]) -> str:
        value = params[place.name]
        if not place.kind:
            return self.written(value)
        case = _case(value) if place.kind == "select" else "one" if value == 1 else "other"
        return self._filled(place.cases.get(case, place.cases["other"]), params)

    def written(self, value: Value) -> str:  # noqa: PLR0911 - a return per kind of value
        """A value as this language writes it."""
        match value:
            case str():
                return value
            case int():
                return f"{value:,}"
            case Money():
                return self._money(value)
            case Moment(at, zone):
                return self._clock(to_datetime(at).astimezone(zone))
            case End():
                return self._end(value)
            case Month(text):
                return self._month(text)
            case Named():
                return self._name(value)
            case Phrase():
                return self.text(value)
            case _:
                return self.listed([self.written(each) for each in value])

    def listed(self, texts: Sequence[str]) -> str:
        """Texts as a list: ``a, b and c``, or ``a, a; b, b`` where they have commas themselves."""
        if len(texts) < 2:
            return "".join(texts)
        if any(comma in text for text in texts for comma in (", ", "，")):
            between: str = self._formats["between_long"]
            return between.join(texts)
        first = self._formats["between"].join(texts[:-1])
        last: str = self._formats["last"]
        return last.format(first=first, last=texts[-1])

    def _money(self, value: Money) -> str:
        whole, point, rest = decimal_text(abs(value.amount), value.currency).partition(".")
        amount = f"{int(whole):,}{point}{rest}"
        monies: Mapping[str, str] = self._formats["money"]
        told = monies.get(value.currency, monies["other"])
        sign = "−" if value.amount < 0 else ""
        return sign + told.format(amount=amount, currency=value.currency)

    def _clock(self, local: Any) -> str:
        told: str = self._formats["moment"]
        return told.format(date=self._date(local), time=f"{local:%H:%M}")

    def _date(self, local: Any) -> str:
        told: str = self._formats["date"]
        month = self._formats["months"][local.month - 1]
        return told.format(year=local.year, month=month, day=local.day)

    def _end(self, end: End) -> str:
        local = to_datetime(end.at).astimezone(end.zone)
        if local.time() != local.time().min:
            return self._clock(local)
        last = to_datetime(end.at - SECOND).astimezone(end.zone)
        told: str = self._formats["end_of_day"]
        return told.format(date=self._date(last))

    def _month(self, text: str) -> str:
        year, _, month = text.partition("-")
        told: str = self._formats["month"]
        return told.format(year=year, month=self._formats["months"][int(month) - 1])

    def _name(self, named: Named) -> str:
        words = named.words
        name = words.get(lookup([self.tag], words) or named.default, "")
        if not name:
            return named.id
        quoted: str = self._formats["name"]
        return quoted.format(name=name) if named.quoted else name


def _case(value: Value) -> str:
    if isinstance(value, Named):
        return value.id or NONE
    if isinstance(value, str | int):
        return str(value) or NONE
    empty = isinstance(value, Sequence) and not value
    return NONE if empty else "other"


def best_of(wanted: Sequence[str]) -> str:
    """The language that fits best, of the tags wanted most first; English where none does."""
    return lookup(wanted, TAGS) or TAGS[0]


@lru_cache(maxsize=len(TAGS))
def language(tag: str) -> Language:
    """A language of the catalogue, read once."""
    text = files(catalogue).joinpath(f"{tag}.yaml").read_text("utf-8")
    return Language(tag, yaml.safe_load(text))
