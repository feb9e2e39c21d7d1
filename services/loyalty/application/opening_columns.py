"""The files of an import, which are those of an export: what each column says, and how it is read.

A folder of CSV files (RFC 4180, in UTF-8, with or without a byte order mark). Only ``members.csv``
has to be there. The first line names the columns, in any order; those that are not required may be
left out. ``docs/import.md`` is generated from this file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from services.loyalty.application.bodies import OLDEST_BIRTH
from services.loyalty.application.contract import LANGUAGE_PATTERN
from services.loyalty.application.csv_rows import instant_of
from services.loyalty.domain.calendar import NEVER, Instant
from services.loyalty.domain.calendar import zone as zone_of

MOST = 10**12
"""Above all numbers that may stand in a column."""

_LONGEST = 128
_NUMBER = re.compile(r"-?\d{1,13}", re.ASCII)
_MONTH = re.compile(r"\d{4}-\d{2}", re.ASCII)
_LANGUAGE = re.compile(LANGUAGE_PATTERN)

Read = Callable[[str, str, ZoneInfo], Any]
"""Takes the column's name, what stands in it and the programme's zone; raises ValueError."""


def _text(column: str, text: str, _: ZoneInfo) -> str:
    if len(text) > _LONGEST or "\0" in text:
        raise ValueError(f"{column}: a text of at most {_LONGEST} characters")
    return text


def _number(column: str, text: str, _: ZoneInfo) -> int:
    if not _NUMBER.fullmatch(text) or abs(int(text)) > MOST:
        raise ValueError(f"{column}: a whole number, as in 740")
    return int(text)


def _since(column: str, text: str, zone: ZoneInfo) -> Instant:
    """An instant, or the beginning of a day or month."""
    return instant_of(column, f"{text}-01" if _MONTH.fullmatch(text) else text, zone)


def _until(column: str, text: str, zone: ZoneInfo) -> Instant:
    """An exclusive end: an instant, or the end of a day."""
    return NEVER if text == "never" else instant_of(column, text, zone, later=1)


def _born(column: str, text: str, _: ZoneInfo) -> date:
    try:
        born_on = date.fromisoformat(text)
    except ValueError:
        born_on = date.min
    if born_on < OLDEST_BIRTH:
        raise ValueError(f"{column}: a date from 1900 on, as in 1980-02-29")
    return born_on


def _language(column: str, text: str, _: ZoneInfo) -> str:
    if len(text) > 35 or not _LANGUAGE.fullmatch(text):
        raise ValueError(f"{column}: a language tag, as in en")
    return text


def _zone(column: str, text: str, _: ZoneInfo) -> str:
    try:
        return zone_of(text).key
    except KeyError:
        raise ValueError(f"{column}: a zone of the IANA database, as in Europe/Berlin") from None


def _yes(column: str, text: str, _: ZoneInfo) -> bool:
    if text not in ("yes", "no"):
        raise ValueError(f"{column}: yes or no")
    return text == "yes"


def _status(column: str, text: str, _: ZoneInfo) -> bool:
    """Whether the account is suspended."""
    if text not in ("active", "suspended"):
        raise ValueError(f"{column}: active or suspended")
    return text == "suspended"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: what it says, an example, and what stands for an empty one."""

    says: str
    example: str
    read: Read = _text
    empty: Any = ""
    required: bool = False


def _member() -> Column:
    return Column("The member's id.", "17850", required=True)


def _order() -> Column:
    return Column("The order, as in `purchases.csv`.", "536365", required=True)


_EXPIRES = Column(
    "When they expire: a date (they live to its end), a time, or `never`. Empty for points that "
    "count towards tiers, and for those that count it from a delivery still to come.",
    "2011-05-31",
    _until,
    0,
)
_WHILE_ACTIVE = Column(
    "`yes`: their end moves as the member is active, and `expires` says where it is now.",
    "yes",
    _yes,
    False,
)
_AVAILABLE = Column(
    "When they can be spent, if not yet; with `awaits` by when the delivery must have come.",
    "2011-03-15T00:00:00Z",
    _since,
    0,
)

FILES: Mapping[str, Mapping[str, Column]] = {
    "members": {
        "member_id": _member(),
        "enrolled": Column("When the member had joined.", "2009-05-04", _since, required=True),
        "status": Column("`active` or `suspended`.", "active", _status, False),
        "blocked": Column("`earning`, `spending`, or both with a space between.", "spending"),
        "tier": Column("The level held; empty for everybody's.", "silver"),
        "tier_since": Column("Since when; empty for since the enrolment.", "2010-11-02", _since, 0),
        "tier_until": Column(
            "To when it is kept: a date, a time or `never`.", "2011-04-30", _until, 0
        ),
        "tier_basis": Column(
            "What it rests on: the qualifying window that reached it (`2011-02`, `2011`, or the "
            "first day of a member's year), `manual` or `fell`. Empty: it is kept to its end "
            "whatever comes back.",
            "2011-02",
        ),
        "grace_until": Column(
            "Where the tier period is over: the end of the grace.", "2011-03-20", _until, 0
        ),
        "purchases": Column("How many purchases were made so far.", "12", _number, 0),
        "born_on": Column(
            "The date of birth, which goes to the profile alone.", "1980-02-29", _born, None
        ),
        "language": Column("The member's language (BCP 47).", "en", _language, None),
        "time_zone": Column("The member's own time zone.", "Europe/Berlin", _zone),
    },
    "tiers": {
        "member_id": _member(),
        "level": Column(
            "Another level to which there is a right, at most as high.", "silver", required=True
        ),
        "since": Column("Since when.", "2010-10-01", _since, required=True),
        "until": Column("To when: a date, a time or `never`.", "2011-06-30", _until, required=True),
        "basis": Column("As `tier_basis`.", "2011-02"),
    },
    "lots": {
        "member_id": _member(),
        "currency": Column("The currency, by its name in the programme.", "points", required=True),
        "points": Column(
            "Whole points; negative for what the member owes.", "740", _number, required=True
        ),
        "earned": Column(
            "When they were earned: a date, a time or a month. Of points that count towards tiers "
            "it says in which window. Empty only for what is owed.",
            "2011-02-17",
            _since,
            0,
        ),
        "expires": _EXPIRES,
        "while_active": _WHILE_ACTIVE,
        "available": _AVAILABLE,
        "awaits": Column("The order whose delivery they await.", "536365"),
    },
    "counters": {
        "member_id": _member(),
        "counter": Column(
            "A limit or cap and its period: `big-basket/2011-02`, `spring-fair/life`, "
            "`cap:points/2011-02`, `reward:mug/2011`, `benefit:gift-wrapping/2011-02`.",
            "big-basket/2011-02",
            required=True,
        ),
        "times": Column("How often it was taken.", "1", _number, 0),
        "points": Column("How many points of it.", "50", _number, 0),
    },
    "gifts": {
        "member_id": _member(),
        "occasion": Column(
            "`birthday`, `anniversary` or `tier-anniversary`.", "birthday", required=True
        ),
        "given": Column("When it was last given.", "2010-06-01", _since, required=True),
    },
    "consideration": {
        "member_id": _member(),
        "currency": Column("The currency of the points.", "points", required=True),
        "earned": Column(
            "When they were earned; their month counts.", "2011-02", _since, required=True
        ),
        "money": Column("ISO 4217.", "GBP", required=True),
        "amount": Column("What is still deferred for them.", "6.12", required=True),
        "funding": Column(
            "`purchase`, `third_party` or `gratuitous`; empty for the first.", "purchase"
        ),
    },
    "purchases": {
        "member_id": _member(),
        "order_id": Column("The order's id.", "536365", required=True),
        "bought": Column("When it was bought.", "2011-02-17T10:21:00Z", _since, required=True),
        "money": Column("ISO 4217.", "GBP", required=True),
        "delivered": Column("When it was delivered, if it was.", "2011-02-19", _since, 0),
        "returned": Column("Money given back without naming a line.", "5.00"),
    },
    "lines": {
        "member_id": _member(),
        "order_id": _order(),
        "position": Column("Names the line in its order.", "1", _number, required=True),
        "quantity": Column("Whole units bought.", "6", _number, required=True),
        "paid": Column("What was paid for the line after every discount.", "15.30", required=True),
        "earning": Column("The part of it that earned; empty for all.", "15.30"),
        "returned_quantity": Column("Units that came back.", "1", _number, 0),
        "returned": Column("Money given back for the line, beside its units.", "2.00"),
    },
    "earned": {
        "member_id": _member(),
        "order_id": _order(),
        "position": Column("The line.", "1", _number, required=True),
        "rule": Column("What gave the points.", "base", required=True),
        "currency": Column("The currency of the points.", "points", required=True),
        "points": Column(
            "What the line earned, before anything came back.", "15", _number, required=True
        ),
        "earned": Column(
            "As in `lots.csv`; empty for when it was bought.", "2011-02-17", _since, 0
        ),
        "expires": _EXPIRES,
        "while_active": _WHILE_ACTIVE,
        "available": _AVAILABLE,
        "awaits_delivery": Column(
            "`yes`: they await the delivery of this order.", "yes", _yes, False
        ),
        "on_refund": Column(
            "`prorate` (empty): they go with the money that comes back; `revoke`: so many too, and "
            "all once less than `min_spend` is kept; `keep`: all stay while anything is kept.",
            "revoke",
        ),
        "min_spend": Column("The least spend that must be kept.", "100.00"),
        "all_or_none": Column(
            "`yes`: a part that comes back takes none of them.", "yes", _yes, False
        ),
        "step": Column("Of points for whole steps of money: what a step takes.", "50.00"),
        "steps": Column("How many such steps the order made.", "3", _number, 0),
    },
}
"""By file and column, in the order of an export."""
