"""What sentences are made of: a key of the catalogue, and the values that it has places for.

Values keep what they are (points, money, an instant, a lot), so that each language writes them its
own way, and :func:`plain` gives them to programs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from services.loyalty.domain.calendar import Instant, rfc3339
from services.loyalty.domain.money import decimal_text

NONE = "none"
"""In the place of a value that there is not: the case that a pattern has for it."""


@dataclass(frozen=True, slots=True)
class Money:
    """Minor units of an ISO 4217 currency."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant, told as the wall clock of a zone shows it."""

    at: Instant
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class End:
    """An exclusive end: told as the end of a day where it is a midnight."""

    at: Instant
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Month:
    """A month, as ``2011-02``."""

    text: str


@dataclass(frozen=True, slots=True)
class Named:
    """Something of the programme, and what people call it by language; in ``default`` where there
    is no name in theirs, and by its id where there is none at all.

    ``quoted`` sets a name off from the sentence that it stands in.
    """

    id: str
    words: Mapping[str, str] = field(default_factory=dict)
    default: str = ""
    quoted: bool = True


@dataclass(frozen=True, slots=True)
class Phrase:
    """A part of a sentence that has a pattern of its own; ``stands_for`` is what programs get."""

    key: str
    params: Mapping[str, Value]
    stands_for: Any


Value: TypeAlias = "int | str | Money | Moment | End | Month | Named | Phrase | Sequence[Value]"


@dataclass(frozen=True, slots=True)
class Message:
    """One sentence: its key in the catalogue, and its values by name."""

    key: str
    params: Mapping[str, Value]


def say(key: str, **params: Value) -> Message:
    """A sentence."""
    return Message(key, params)


def phrase(key: str, stands_for: Any, **params: Value) -> Phrase:
    """A part of one."""
    return Phrase(key, params, stands_for)


def plain(value: Value) -> Any:
    """A value as JSON has it: money as a decimal string with its currency, instants in RFC 3339."""
    match value:
        case Money(amount, currency):
            return {"amount": decimal_text(amount, currency), "currency": currency}
        case Moment(at) | End(at):
            return rfc3339(at)
        case Month(text) | Named(text):
            return text
        case Phrase():
            return value.stands_for
        case str() | int():
            return value
        case _:
            return [plain(each) for each in value]
