"""How values of the document are written: notations as types that pydantic reads and describes.

A field typed ``Duration`` takes the text ``3 months``, holds a ``Span``, and its JSON Schema says
how to write it. Numbers and truth values may be given as such in JSON; they arrive as their text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from services.loyalty.domain import languages, notation
from services.loyalty.domain.calendar import zone
from services.loyalty.domain.conditions import Condition, read_condition
from services.loyalty.domain.mistakes import Misread
from services.loyalty.domain.notation import Amount, Dates, Limited, Measured, Points
from services.loyalty.domain.program import Rate, Span, Window
from services.loyalty.domain.recurrence import Recurrence, read_recurrence

_Value = TypeVar("_Value")


@dataclass(frozen=True, eq=False)
class Written:
    """The notation of a type: its reader, and what the JSON Schema says of its text."""

    read: Callable[[str], Any]
    schema: dict[str, Any]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._read)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return dict(self.schema)

    def _read(self, value: Any) -> Any:
        if not isinstance(value, str):
            kind = "a list" if isinstance(value, list) else "a mapping"
            raise Misread(f"{kind} stands where text is expected", _remedy(self.schema))
        if not value:
            raise Misread("nothing is given", _remedy(self.schema))
        return self.read(value)


def _remedy(schema: dict[str, Any]) -> str:
    examples = " or ".join(map(_flat, schema.get("examples", ())))
    return f"Write it like {examples}" if examples else "Write text"


def _flat(example: Any) -> str:
    if isinstance(example, dict):
        return ", ".join(f"{key}: {value}" for key, value in example.items())
    return str(example)


def _written(read: Callable[[str], Any], *examples: str, pattern: str = "", **more: Any) -> Written:
    schema: dict[str, Any] = {"type": "string"}
    if pattern:
        schema["pattern"] = f"^{pattern}$"
    return Written(read, {**schema, "examples": list(examples), **more})


def _read_zone(text: str) -> ZoneInfo:
    try:
        return zone(text)
    except KeyError:
        raise Misread(
            f"{text!r} is not a time zone of the IANA database", "Write it like Europe/London"
        ) from None


_AMOUNT = r"[0-9]+(\.[0-9]{1,4})? [A-Z]{3}"
_SPAN = r"[0-9]+ (day|week|month|year)s?"
_ID = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
_NUMBER = {"type": ["string", "integer"], "minimum": 0}

Id: TypeAlias = Annotated[str, _written(notation.read_id, "big-basket", pattern=_ID)]
Kind: TypeAlias = Annotated[str, _written(notation.read_kind, "product.reviewed")]
Word: TypeAlias = Annotated[str, _written(notation.read_word, type=["string", "integer"])]
Name: TypeAlias = Annotated[str, _written(notation.read_name, "Harbour Rewards")]
Description: TypeAlias = Annotated[
    str, _written(notation.read_description, "Free of charge, the whole year.")
]
Language: TypeAlias = Annotated[
    str, _written(notation.read_language, "en", "zh-Hans", pattern=languages.PATTERN)
]
ReasonCode: TypeAlias = Annotated[
    str, _written(notation.read_code, "goodwill", pattern="[a-z0-9][a-z0-9_.-]{0,63}")
]
Truth: TypeAlias = Annotated[
    bool, _written(notation.read_truth, "true", type=["string", "boolean"], pattern="(true|false)")
]
Count: TypeAlias = Annotated[
    int, _written(notation.read_count, "1000", pattern="[0-9]+", **_NUMBER)
]
Positive: TypeAlias = Annotated[
    int, _written(notation.read_positive, "1", pattern="[1-9][0-9]*", **(_NUMBER | {"minimum": 1}))
]
Duration: TypeAlias = Annotated[
    Span, _written(notation.read_span, "30 days", "3 months", pattern=_SPAN)
]
SomeDuration: TypeAlias = Annotated[
    Span, _written(notation.read_some_span, "14 days", "3 months", pattern=_SPAN)
]
Time: TypeAlias = Annotated[
    int, _written(notation.read_time, "24 hours", pattern="[0-9]+ (minute|hour|day)s?")
]
SomeTime: TypeAlias = Annotated[
    int, _written(notation.read_some_time, "30 minutes", pattern="[0-9]+ (minute|hour|day)s?")
]
Part: TypeAlias = Annotated[
    int, _written(notation.read_part, "50 %", pattern=r"[0-9]+(\.[0-9]{1,2})? ?%")
]
Days: TypeAlias = Annotated[
    int, _written(notation.read_days, "30 days", pattern="[0-9]+ (day|week)s?")
]
SomeDays: TypeAlias = Annotated[
    int, _written(notation.read_some_days, "30 days", pattern="[0-9]+ (day|week)s?")
]
Years: TypeAlias = Annotated[
    int, _written(notation.read_years, "1 year", pattern="[0-9]+ (month|year)s?")
]
Money: TypeAlias = Annotated[Amount, _written(notation.read_amount, "200.00 GBP", pattern=_AMOUNT)]
Rated: TypeAlias = Annotated[
    Rate, _written(notation.read_rate, "100 per 1.00 GBP", pattern=rf"[1-9][0-9]* per {_AMOUNT}")
]
Given: TypeAlias = Annotated[
    Rate | int,
    _written(
        notation.read_give,
        "1 per 1.00 GBP",
        "50 per full 100.00 GBP",
        "250",
        type=["string", "integer"],
        minimum=1,
        pattern=rf"[1-9][0-9]*( per (full )?{_AMOUNT})?",
    ),
]
Ending: TypeAlias = Annotated[
    str,
    _written(
        notation.read_end,
        "end_of_month",
        "03-31",
        "2012-03-31",
        pattern="(exact|end_of_month|end_of_year|([0-9]{4}-)?[0-9]{2}-[0-9]{2})",
    ),
]
Threshold: TypeAlias = Annotated[
    Amount | int,
    _written(
        notation.read_threshold,
        "5000",
        "1000.00 GBP",
        pattern=rf"([0-9]+|{_AMOUNT})",
        **_NUMBER,
    ),
]
Measures: TypeAlias = Annotated[
    Measured,
    _written(
        notation.read_measured,
        "orders",
        "spend in GBP",
        pattern="(orders|engagements|spend in [A-Z]{3})",
    ),
]
Cost: TypeAlias = Annotated[
    Points, _written(notation.read_points, "500 points", pattern=f"[1-9][0-9]* {_ID}")
]
Present: TypeAlias = Annotated[
    Points | str,
    _written(
        notation.read_present, "200 points", "birthday-treat", pattern=f"([1-9][0-9]* )?{_ID}"
    ),
]
AtMost: TypeAlias = Annotated[
    Limited,
    _written(
        notation.read_limit,
        "1 per month",
        "500 points per year",
        pattern=f"[1-9][0-9]*( {_ID})? per ({'|'.join(notation.LIMIT_PERIODS)})",
    ),
]
Share: TypeAlias = Annotated[
    int,
    _written(notation.read_share, "10 %", "2.5 %", pattern=r"[0-9]{1,2}(\.[0-9]{1,2})? ?%"),
]
UntilWhen: TypeAlias = Annotated[
    date | str,
    _written(
        notation.read_until,
        "delivered",
        "2011-12-24",
        pattern="(delivered|[0-9]{4}-[0-9]{2}-[0-9]{2})",
    ),
]
Quota: TypeAlias = Annotated[str, _written(notation.read_quota, "unlimited", "2 per year")]
Term: TypeAlias = Annotated[str, _written(notation.read_term, "min_spend")]
Percent: TypeAlias = Annotated[
    int, _written(notation.read_percent, "10 %", "12.5 %", pattern=r"[0-9]+(\.[0-9]{1,2})? ?%")
]
Factor: TypeAlias = Annotated[
    tuple[int, int],
    _written(notation.read_factor, "x2", "x1.5", pattern=r"x[0-9]+(\.[0-9]{1,3})?"),
]
Worth: TypeAlias = Annotated[
    tuple[int, int, str], _written(notation.read_worth, "0.01 GBP", "5.00 GBP per 1000")
]
DateRange: TypeAlias = Annotated[
    Dates, _written(notation.read_dates, "2011-03-01/2011-05-31", "2011-03-01/..")
]
LocalTime: TypeAlias = Annotated[datetime, _written(notation.read_local_time, "2010-12-01T00:00")]
Zone: TypeAlias = Annotated[ZoneInfo, _written(_read_zone, "Europe/London")]
RecurringDays: TypeAlias = Annotated[
    Recurrence, _written(read_recurrence, "FREQ=MONTHLY;BYMONTHDAY=8", "FREQ=WEEKLY;BYDAY=TU")
]
When: TypeAlias = Annotated[
    Condition, _written(read_condition, "order.lines.exists(l, l.quantity >= 6)")
]


class _WindowNotation(Written):
    """`calendar_year` and `member_year` are words; a rolling window names its months."""

    def _read(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return super()._read(value)
        if list(value) != ["rolling"]:
            raise Misread("a window has the one key 'rolling'", _remedy(self.schema))
        return notation.read_rolling(value["rolling"])


Windowed: TypeAlias = Annotated[
    Window,
    _WindowNotation(
        notation.read_window,
        {
            "anyOf": [
                {"enum": ["calendar_year", "member_year"]},
                {
                    "type": "object",
                    "properties": {"rolling": {"type": "string", "pattern": "^[0-9]+ months?$"}},
                    "required": ["rolling"],
                    "additionalProperties": False,
                },
            ],
            "examples": ["calendar_year", {"rolling": "3 months"}],
        },
    ),
]


class _OrAlone:
    """Lets the only item of a list stand by itself, and says so in the JSON Schema."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: [value] if isinstance(value, str) else value, handler(source)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        several = handler(schema)
        return {"anyOf": [several["items"], several]}


OneOrMore: TypeAlias = Annotated[list[_Value], Field(min_length=1), _OrAlone()]
"""A list, or its only item by itself."""


def _each_language_once(texts: Any) -> Any:
    """Refuses two tags that mean one language, ``en-gb`` and ``en-GB``: only one of them could be
    read.
    """
    seen: dict[str, str] = {}
    for tag in texts if isinstance(texts, dict) else ():
        other = seen.setdefault(languages.in_normal_case(tag), tag)
        if other != tag:
            raise Misread(f"{other!r} and {tag!r} are one language", "Keep one of the two")
    return texts


ByLanguage: TypeAlias = Annotated[dict[Language, _Value], BeforeValidator(_each_language_once)]
"""Texts by language tag."""
