"""Conditions: what structural filters cannot say, in CEL (the Common Expression Language).

A condition sees integers, text, truth values and lists of them; money is in minor units, and there
is no clock. It is compiled twice when a document is read: against typed lines, so that a misspelt
field or a comparison of text with a number is found where it stands, and for evaluation, where
lines are plain mappings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from cel_expr_python import cel
from google.protobuf import descriptor_pb2, descriptor_pool

from services.loyalty.domain.mistakes import Misread, one_of

MAX_CHARACTERS = 2_000

_T = cel.Type
_PROTO = descriptor_pb2.FieldDescriptorProto
_LINE_TYPE = "loyalty.Line"

LINE_FIELDS: dict[str, Any] = {
    "position": 0,
    "sku": "",
    "category": "",
    "brand": "",
    "quantity": 0,
    "unit_price": 0,
    "paid": 0,
    "spend": 0,
}
"""Fields of a line. ``paid`` is its cost after every discount, ``spend`` the part that can earn."""

NEUTRAL: dict[str, Any] = {
    "order.total": 0,
    "order.lines": [],
    "order.channel": "",
    "order.store": "",
    "order.payment": "",
    "order.currency": "",
    "order.shipping": 0,
    "member.tier": "",
    "member.purchases": 0,
    "member.segments": [],
    "member.days_enrolled": 0,
    "engagement.kind": "",
    "engagement.channel": "",
    "engagement.about": "",
}
"""Every variable, with what it is where an activity says nothing of it: 0, "" or an empty list.

``order.total`` is the spend of the order, ``member.tier`` the level held when the activity
occurred, and ``member.purchases`` counts the purchase at hand.
"""


FEW = frozenset(
    {
        "order.lines", "order.channel", "order.payment", "order.currency", "member.tier",
        "engagement.kind", "engagement.channel",
    }
)  # fmt: skip
"""Variables that take few values, of lines only their number."""


class ConditionError(Exception):
    """A condition that cannot be evaluated over one activity, such as an order without lines."""

    code = "condition_error"

    def __init__(self, condition: str, reason: str) -> None:
        super().__init__(f"{condition}: {reason}")
        self.condition = condition
        self.reason = reason


Variables: TypeAlias = Mapping[str, Any]
"""The variables of one activity by their whole names; a condition that reads another one has an
error.
"""


def activation(
    *,
    order: Mapping[str, Any] | None = None,
    member: Mapping[str, Any] | None = None,
    engagement: Mapping[str, Any] | None = None,
) -> Variables:
    """The fields of one activity, named as in :data:`NEUTRAL` without their prefix.

    Lines are mappings, and fields that are not given are neutral.
    """
    values = dict(NEUTRAL)
    for prefix, fields in (("order.", order), ("member.", member), ("engagement.", engagement)):
        if fields:
            for name, value in fields.items():
                values[prefix + name] = value
    return values


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. Two are equal where their texts are.

    ``variables`` are those that it may read, and ``fields`` those of a line; it may hold others of
    which the text has the words. ``repeats`` says that all of these take few values (:data:`FEW`),
    and that lines are only counted: so its answer can be remembered.
    """

    text: str
    _expression: Any = field(repr=False, compare=False)
    variables: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    fields: tuple[str, ...] = field(default=(), repr=False, compare=False)
    repeats: bool = field(default=False, repr=False, compare=False)

    def __call__(self, variables: Variables) -> bool:
        """Whether it holds.

        Raises:
            ConditionError: it cannot be evaluated over these values.
        """
        result = self._expression.eval(None, variables).value()
        if isinstance(result, bool):
            return result
        raise ConditionError(self.text, str(result))


class Together:
    """Several conditions asked at once: an evaluation costs more than what it evaluates."""

    __slots__ = ("_bits", "_expression")

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self._bits = {id(one): 1 << place for place, one in enumerate(conditions)}
        self._expression = _sum_of(tuple(one.text for one in conditions))

    def bit(self, condition: Condition) -> int:
        """The bit of a condition in the answer, 0 for one that is not asked here."""
        return self._bits.get(id(condition), 0)

    def __call__(self, variables: Variables) -> int:
        """The bits of those that hold, -1 where one of them cannot be evaluated over these values:
        then each has to be asked by itself.
        """
        if self._expression is None:
            return -1
        result = self._expression.eval(None, variables).value()
        return result if isinstance(result, int) else -1


MOST_TOGETHER = 60
"""Conditions that are asked at once at most: CEL has integers of 64 bits."""


@lru_cache(maxsize=1024)
def _sum_of(texts: tuple[str, ...]) -> Any:
    # A condition may end in a comment, so what follows it stands on a line of its own.
    terms = (f"(({text}\n) ? {1 << place} : 0)" for place, text in enumerate(texts))
    try:
        return _compile(_runtime(), " + ".join(terms))
    except Misread:  # longer together than CEL takes
        return None


def read_condition(text: str) -> Condition:
    """Compiles a condition and checks its types.

    Raises:
        Misread: not CEL, an unknown variable or field, types that do not fit, or not true or false.
    """
    stripped = text.strip()
    if not stripped or len(stripped) > MAX_CHARACTERS:
        raise Misread(
            f"a condition has 1 to {MAX_CHARACTERS} characters",
            "Write it like order.total >= 20000",
        )
    checked = _compile(_typed(), stripped)
    if checked.return_type() != _T.BOOL:
        raise Misread(
            f"{stripped!r} is not true or false but {checked.return_type().name().lower()}",
            "Compare it with something, as in order.total >= 20000",
        )
    words = set(_WORD.findall(stripped))
    named = frozenset(name for name in NEUTRAL if words.issuperset(name.split(".")))
    fields = _fields(stripped, words)
    repeats = not fields and named <= FEW
    return Condition(stripped, _compile(_runtime(), stripped), named, fields, repeats)


def _fields(text: str, words: Set[str]) -> tuple[str, ...]:
    """The fields of a line that a condition may read: those that it names.

    Lines that it compares are told apart by their position. A field can be read by a name that is
    made up only in what has no type of its own, and only a call of ``dyn``, or a list or map of
    what is not written out, has none: there, and where it is hard to say, that is every field.
    """
    rest = _WRITTEN_OUT.sub("", _WITH_WRITTEN_OUT.sub("", _STRING.sub("0", text)))
    if "dyn" in words or _HARD_TO_SAY.search(text) or "[" in rest or "{" in rest:
        return tuple(LINE_FIELDS)
    named = {*words, "position"} if _COMPARISON.search(rest) else words
    return tuple(name for name in LINE_FIELDS if name in named)


def failure_on(condition: Condition, samples: Sequence[tuple[str, Variables]]) -> str:
    """The first sample on which a condition cannot be evaluated, and why; empty for none."""
    for name, sample in samples:
        try:
            condition(sample)
        except ConditionError as error:
            return f"it fails for {name}: {error.reason}"
    return ""


@lru_cache(maxsize=8)
def samples_of(event: str) -> tuple[tuple[str, Variables], ...]:
    """Activities of an event (``purchase``, ``engagement``, ``enrolled``) to try conditions on."""
    member = {"tier": "basic", "purchases": 1, "segments": ["one"], "days_enrolled": 400}
    newcomer = {"tier": "basic"}
    if event == "purchase":
        order = {
            "total": 3450, "channel": "web", "store": "1", "payment": "card",
            "currency": "GBP", "shipping": 495,
        }  # fmt: skip
        lines = [_sample_line(1), _sample_line(2), _sample_line(3)]
        return (
            ("an order of three lines", activation(order={**order, "lines": lines}, member=member)),
            (
                "an order of one line",
                activation(order={**order, "lines": lines[:1]}, member=member),
            ),
            ("an order without lines", activation(order={"currency": "GBP"}, member=newcomer)),
        )
    if event == "engagement":
        about = {"kind": "product.reviewed", "channel": "app", "about": "22423"}
        return (
            ("an engagement", activation(engagement=about, member=member)),
            ("a newcomer's engagement", activation(engagement=about, member=newcomer)),
        )
    return (("an enrolment", activation(engagement={"channel": "web"}, member=newcomer)),)


def _sample_line(position: int) -> dict[str, Any]:
    return {
        "position": position, "sku": "22423", "category": "kitchen", "brand": "harbour",
        "quantity": position, "unit_price": 575, "paid": 575 * position, "spend": 575 * position,
    }  # fmt: skip


@lru_cache(maxsize=1)
def _runtime() -> Any:
    """The environment of evaluation, where a line is a mapping of its fields."""
    return cel.NewEnv(variables=_variables(_T.Map(_T.STRING, _T.DYN)))


@lru_cache(maxsize=1)
def _typed() -> Any:
    """The environment of the type check, where a line is a message with typed fields."""
    file = descriptor_pb2.FileDescriptorProto(
        name="loyalty/line.proto", package="loyalty", syntax="proto3"
    )
    message = file.message_type.add(name=_LINE_TYPE.rpartition(".")[2])
    for number, (name, neutral) in enumerate(LINE_FIELDS.items(), start=1):
        kind = _PROTO.TYPE_STRING if isinstance(neutral, str) else _PROTO.TYPE_INT64
        message.field.add(name=name, number=number, type=kind, label=_PROTO.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return cel.NewEnv(descriptor_pool=pool, variables=_variables(_T(_LINE_TYPE)))


def _variables(line: Any) -> dict[str, Any]:
    lists = {"order.lines": _T.List(line), "member.segments": _T.List(_T.STRING)}
    return {
        name: lists.get(name) or (_T.STRING if isinstance(neutral, str) else _T.INT)
        for name, neutral in NEUTRAL.items()
    }


_WORD = re.compile(r"\w+")
_STRING = re.compile(r"\"[^\"]*\"|'[^']*'")
_HARD_TO_SAY = re.compile(r"\\|//|\"{3}|'{3}")  # escapes, comments, long texts
_WITH_WRITTEN_OUT = re.compile(r"[!=]=\s*\d+|\bin\s*\[[\s\d,]*\]")  # which no line ever is
_COMPARISON = re.compile(r"[!=]=|\bin\b")
_WRITTEN_OUT = re.compile(r"\[[\s\d,]*\]")  # an index, or a list of numbers and texts
_COMPLAINT = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNKNOWN_VARIABLE = re.compile(r"undeclared reference to '([\w.]+)'")
_UNKNOWN_FIELD = re.compile(r"undefined field '(\w+)'")


def _compile(environment: Any, text: str) -> Any:
    try:
        return environment.compile(text)
    except RuntimeError as error:  # the binding raises nothing more precise
        raise _misread(text, str(error)) from None


def _misread(text: str, report: str) -> Misread:
    complaints = _COMPLAINT.findall(report)
    reason = "; ".join(
        f"{_plain(message)} at line {line}, column {column} of the condition"
        for line, column, message in complaints
    )
    return Misread(reason or f"{text!r} is not CEL: {report}", _remedy(report))


def _plain(message: str) -> str:
    return (
        message.partition(" (in container")[0]
        .partition(" expecting {")[0]
        .removesuffix(f" not found in struct '{_LINE_TYPE}'")
    )


def _remedy(report: str) -> str:
    if variable := _UNKNOWN_VARIABLE.search(report):
        return one_of(NEUTRAL, variable[1])
    if unknown := _UNKNOWN_FIELD.search(report):
        return one_of(LINE_FIELDS, unknown[1])
    return "Write CEL with money in minor units, as in order.total >= 20000 for 200.00 GBP"
