"""The small grammars of the programme document, read strictly.

Each reader takes the text as it stands in the document and answers with the value that decisions
use, or raises :class:`~services.loyalty.domain.mistakes.Misread` with what is wrong and how to
write it.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from fractions import Fraction
from typing import NamedTuple

from services.loyalty.domain.languages import in_normal_case, is_well_formed
from services.loyalty.domain.mistakes import Misread, one_of
from services.loyalty.domain.money import (
    ImpossibleAmount,
    UnknownCurrency,
    exponent_of,
    minor_units,
)
from services.loyalty.domain.program import Limit, Rate, Span, Window

MAX_POINTS = 10**12
"""More points than any rule, threshold or cap may name; sums stay far inside 64 bits."""

QUOTA_PERIODS = ("day", "week", "month", "year", "lifetime")
LIMIT_PERIODS = (*QUOTA_PERIODS, "tier_period")
CAP_PERIODS = ("purchase", *QUOTA_PERIODS)

_SPAN = re.compile(r"([0-9]{1,5}) (day|week|month|year)s?", re.ASCII)
_UNITS = {
    "day": Span(days=1),
    "week": Span(days=7),
    "month": Span(months=1),
    "year": Span(months=12),
}
_TIME = re.compile(r"([0-9]{1,5}) (minute|hour|day)s?", re.ASCII)
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
_PART = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?) ?%", re.ASCII)
_COUNT = re.compile(r"0|[1-9][0-9]{0,12}", re.ASCII)
_ID = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*", re.ASCII)
_KIND = re.compile(r"[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+)*", re.ASCII)
_QUOTA = re.compile(rf"[1-9][0-9]{{0,5}} per (?:{'|'.join(QUOTA_PERIODS)})", re.ASCII)
_CODE = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
_TERM = re.compile(r"[a-z][a-z0-9]*(?:[_-][a-z0-9]+)*", re.ASCII)
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?) ?%", re.ASCII)
_FACTOR = re.compile(r"x([0-9]{1,3}(?:\.[0-9]{1,3})?)", re.ASCII)
_WORTH = re.compile(
    r"([0-9]{1,9}(?:\.[0-9]{1,8})?) ([A-Z]{3})(?: per ([1-9][0-9]{0,8}))?", re.ASCII
)
_SHARE = re.compile(r"([0-9]{1,2}(?:\.[0-9]{1,2})?) ?%", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATES = re.compile(r"(\d{4}-\d{2}-\d{2}|\.\.)/(\d{4}-\d{2}-\d{2}|\.\.)", re.ASCII)
_LOCAL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2})?", re.ASCII)


class Amount(NamedTuple):
    """Money in minor units of an ISO 4217 currency."""

    minor: int
    currency: str


class Points(NamedTuple):
    """A number of points (> 0) of a currency of the programme."""

    points: int
    currency: str


class Limited(NamedTuple):
    """A limit, and the currency whose points it counts (empty where it counts times)."""

    limit: Limit
    currency: str


class Measured(NamedTuple):
    """What a qualifying currency counts by itself: ``orders``, ``engagements``, or ``spend`` in a
    currency of money (else empty).
    """

    what: str
    money: str


class Dates(NamedTuple):
    """Days from ``first`` to ``last``, both included; None where an end is open."""

    first: date | None
    last: date | None


def read_id(text: str) -> str:
    """A name that the programme gives: ``big-basket``."""
    if not _ID.fullmatch(text) or len(text) > 40:
        raise Misread(
            f"{text!r} cannot be a name",
            "Use at most 40 lower-case letters, digits and single hyphens, as in big-basket",
        )
    return text


def read_term(text: str) -> str:
    """The name of a term that only the shop reads: ``min_spend``."""
    if not _TERM.fullmatch(text) or len(text) > 40:
        raise Misread(
            f"{text!r} cannot name a term",
            "Use at most 40 lower-case letters and digits, with single underscores, as in "
            "min_spend",
        )
    return text


def read_percent(text: str) -> int:
    """A share in hundredths of a percent, above nothing and up to all: ``10 %``, ``12.5 %``."""
    match = _PERCENT.fullmatch(text)
    share = int(Fraction(match[1]) * 100) if match else 0
    if not 0 < share <= 100_00:
        raise Misread(f"{text!r} is not a share", "Write it like 10 % or 12.5 %")
    return share


def read_kind(text: str) -> str:
    """A kind of engagement: ``product.reviewed``."""
    if not _KIND.fullmatch(text) or len(text) > 80:
        raise Misread(
            f"{text!r} is not a kind of engagement",
            "Write the kind as its events do, in lower case, as in product.reviewed",
        )
    return text


def read_end(text: str) -> str:
    """To what the end of points is rounded up: a word, a day of each year (``03-31``), or the one
    day at whose end they expire (``2012-03-31``).
    """
    if text in ("exact", "end_of_month", "end_of_year"):
        return text
    try:
        read = date.fromisoformat(text if len(text) > len("03-31") else f"2000-{text}")
    except ValueError:
        read = None
    if read is None or read.isoformat()[-len(text) :] != text or len(text) not in (5, 10):
        raise Misread(
            f"{text!r} is no end of points",
            "Write exact, end_of_month, end_of_year, a day of each year like 03-31, or one day "
            "like 2012-03-31",
        )
    return text


def read_measured(text: str) -> Measured:
    """What is counted by itself: ``orders``, ``engagements``, ``spend in GBP``."""
    if text in ("orders", "engagements"):
        return Measured(text, "")
    what, _, money = text.partition(" in ")
    try:
        exponent_of(money)
    except UnknownCurrency:
        what = ""
    if what != "spend":
        raise Misread(
            f"{text!r} is nothing that can be counted",
            "Write orders, engagements, or spend in GBP",
        )
    return Measured(what, money)


def read_threshold(text: str) -> Amount | int:
    """From how much a level is reached: ``5000`` points, or ``1000.00 GBP``."""
    return read_amount(text) if " " in text else read_count(text)


def read_word(text: str) -> str:
    """Text that an activity carries as it is: a sku, a category, a channel, a segment."""
    if not text or text != text.strip() or len(text) > 200:
        raise Misread(
            f"{text[:40]!r} can match nothing",
            "Write 1 to 200 characters, without spaces around them",
        )
    return text


def read_name(text: str) -> str:
    """A name that people read, in their language."""
    return read_word(text)


def read_language(text: str) -> str:
    """A language tag (BCP 47), in normal case: ``en``, ``zh-Hans``."""
    if not is_well_formed(text):
        raise Misread(
            f"{text!r} is not a language tag (BCP 47)", "Write it like en, en-GB or zh-Hans"
        )
    return in_normal_case(text)


def read_description(text: str) -> str:
    """A description that people read, in their language; space around it is left out."""
    described = text.strip()
    if not described or len(described) > 1000:
        raise Misread("it is empty or too long", "Write 1 to 1,000 characters")
    return described


def read_code(text: str) -> str:
    """A reason code, as whoever adjusts points gives it: ``goodwill``."""
    if not _CODE.fullmatch(text):
        raise Misread(
            f"{text[:70]!r} is not a reason code",
            "Use at most 64 lower-case letters, digits, dots, hyphens and underscores",
        )
    return text


def read_truth(text: str) -> bool:
    """``true`` or ``false``."""
    if text not in ("true", "false"):
        raise Misread(f"{text!r} is neither true nor false", "Write true or false")
    return text == "true"


def read_count(text: str) -> int:
    """A whole number, 0 or more."""
    if not _COUNT.fullmatch(text) or int(text) > MAX_POINTS:
        raise Misread(
            f"{text!r} is not a whole number from 0 to {MAX_POINTS}",
            "Write digits only, as in 1000",
        )
    return int(text)


def read_positive(text: str) -> int:
    """A whole number, 1 or more."""
    number = read_count(text)
    if number == 0:
        raise Misread("it is 0", "Write a whole number from 1, or leave it out")
    return number


def read_span(text: str) -> Span:
    """A length of calendar time: ``14 days``, ``2 weeks``, ``3 months``, ``1 year``, ``0 days``."""
    match = _SPAN.fullmatch(text)
    if not match:
        raise Misread(
            f"{text!r} is not a length of time",
            "Write it like 14 days, 2 weeks, 3 months or 1 year",
        )
    unit = _UNITS[match[2]]
    span = Span(months=unit.months * int(match[1]), days=unit.days * int(match[1]))
    if span.months > 1200 or span.days > 36500:
        raise Misread(
            f"{text!r} is more than a hundred years", "Leave it out where there is no end"
        )
    return span


def read_some_span(text: str) -> Span:
    """A length of calendar time above zero."""
    span = read_span(text)
    if span == Span():
        raise Misread("it lasts no time", "Write at least 1 day, or leave it out")
    return span


def read_time(text: str) -> int:
    """A length of time in seconds: ``30 minutes``, ``24 hours``, ``7 days`` of 24 hours."""
    match = _TIME.fullmatch(text)
    if not match:
        raise Misread(
            f"{text!r} is not a length of time", "Write it like 30 minutes, 24 hours or 7 days"
        )
    return int(match[1]) * _SECONDS[match[2]]


def read_some_time(text: str) -> int:
    """A length of time above zero, in seconds."""
    if not (seconds := read_time(text)):
        raise Misread("it lasts no time", "Write at least 1 minute")
    return seconds


def read_part(text: str) -> int:
    """A share above nothing, in ten-thousandths: ``50 %``, ``12.5 %``."""
    match = _PART.fullmatch(text)
    share = int(Fraction(match[1]) * 100) if match else 0
    if not 0 < share <= 10_000:
        raise Misread(f"{text!r} is not a share of a whole", "Write it like 50 % or 12.5 %")
    return share


def read_days(text: str) -> int:
    """A number of days: ``30 days``, ``2 weeks``."""
    span = read_span(text)
    if span.months:
        raise Misread(f"{text!r} is not a number of days", "Write it in days, as in 30 days")
    return span.days


def read_some_days(text: str) -> int:
    """A number of days above zero."""
    if not (days := read_days(text)):
        raise Misread("it lasts no time", "Write at least 1 day, or leave it out")
    return days


def read_years(text: str) -> int:
    """A number of years from 1: ``1 year``, ``5 years``."""
    years, rest = divmod(read_some_span(text).months, 12)
    if rest or not years:
        raise Misread(f"{text!r} is not a number of years", "Write it like 1 year or 5 years")
    return years


def read_window(text: str) -> Window:
    """A window that is a year: ``calendar_year``, ``member_year``."""
    if text not in ("calendar_year", "member_year"):
        raise Misread(
            f"{text!r} is not a window",
            "Write calendar_year, member_year or a rolling one, as in rolling: 3 months",
        )
    return Window(text)


def read_rolling(text: object) -> Window:
    """The window of the current month and those before it: ``3 months``."""
    span = read_span(text) if isinstance(text, str) else Span()
    if span.days or not 1 <= span.months <= 120:
        raise Misread(
            "a rolling window is 1 to 120 whole months", "Write it like rolling: 3 months"
        )
    return Window("rolling", span.months)


def read_amount(text: str) -> Amount:
    """Money above zero: ``200.00 GBP``."""
    number, _, currency = text.partition(" ")
    try:
        minor = minor_units(number, currency)
    except UnknownCurrency:
        raise Misread(
            f"{text!r} does not end in an ISO 4217 currency code",
            "Write it like 200.00 GBP",
        ) from None
    except ImpossibleAmount as error:
        raise Misread(
            f"{text!r} is not an amount: {error.reason}", "Write it like 200.00 GBP"
        ) from None
    if not minor:
        raise Misread("it is no money at all", "Write an amount above zero, or leave it out")
    return Amount(minor, currency)


def read_rate(text: str) -> Rate:
    """Points per money, ``1 per 1.00 GBP``, or for each whole step of it, ``50 per full 100.00
    GBP``.
    """
    points, found, money = text.partition(" per ")
    if not found:
        raise Misread(f"{text!r} is not a rate", "Write it like 1 per 1.00 GBP")
    full = money.startswith("full ")
    amount = read_amount(money.removeprefix("full "))
    return Rate(read_positive(points), amount.minor, amount.currency, full)


def read_give(text: str) -> Rate | int:
    """What a rule gives: a rate, ``1 per 1.00 GBP``, steps, ``50 per full 100.00 GBP``, or a fixed
    number of points, ``250``.
    """
    if " " in text:
        return read_rate(text)
    if not _COUNT.fullmatch(text):
        raise Misread(
            f"{text!r} is neither a number of points nor a rate",
            "Write it like 250 or 1 per 1.00 GBP",
        )
    return read_positive(text)


def read_points(text: str) -> Points:
    """Points of a named currency: ``500 points``."""
    number, _, currency = text.partition(" ")
    if not _COUNT.fullmatch(number) or not _ID.fullmatch(currency):
        raise Misread(
            f"{text!r} is not a number of points", "Write a number and a currency, as in 500 points"
        )
    return Points(read_positive(number), currency)


def read_present(text: str) -> Points | str:
    """What a gift gives: points, ``200 points``, or the name of a reward, ``birthday-treat``."""
    return read_points(text) if text[:1].isdigit() else read_id(text)


def read_limit(text: str) -> Limited:
    """Times or points in a period: ``1 per month``, ``500 points per year``, ``1 per lifetime``."""
    what, found, period = text.rpartition(" per ")
    if not found:
        raise Misread(
            f"{text!r} is not a limit", "Write it like 1 per month or 500 points per year"
        )
    if period not in LIMIT_PERIODS:
        raise Misread(f"{period!r} is not a period", one_of(LIMIT_PERIODS, period))
    if " " in what:
        points = read_points(what)
        return Limited(Limit(period, points=points.points), points.currency)
    return Limited(Limit(period, times=read_positive(what)), "")


def read_quota(text: str) -> str:
    """How often a benefit may be had: ``unlimited``, ``2 per year``."""
    if text != "unlimited" and not _QUOTA.fullmatch(text):
        raise Misread(f"{text!r} is not a quota", "Write it like unlimited or 2 per year")
    return text


def read_factor(text: str) -> tuple[int, int]:
    """A multiplier above 1, as (numerator, denominator) in lowest terms: ``x2``, ``x1.5``."""
    match = _FACTOR.fullmatch(text)
    if not match:
        raise Misread(f"{text!r} is not a multiplier", "Write it like x2 or x1.5")
    factor = Fraction(match[1])
    if factor <= 1:
        raise Misread(
            f"{text!r} gives no more than before", "Write a multiplier above 1, as in x1.5"
        )
    return factor.as_integer_ratio()


def read_worth(text: str) -> tuple[int, int, str]:
    """What points are worth, as (minor units, per points, currency): ``5.00 GBP per 1000``.

    A single point may be worth less than a minor unit: ``0.005 GBP`` is one penny per two points.
    """
    match = _WORTH.fullmatch(text)
    if not match:
        raise Misread(f"{text!r} is not a worth", "Write it like 0.01 GBP, or 5.00 GBP per 1000")
    try:
        minor_unit = 10 ** exponent_of(match[2])
    except UnknownCurrency:
        raise Misread(
            f"{match[2]!r} is not an ISO 4217 currency code", "Write it like 0.01 GBP"
        ) from None
    worth = Fraction(match[1]) * minor_unit / int(match[3] or 1)
    if not worth:
        raise Misread("points worth nothing have no worth to state", "Leave it out")
    return worth.numerator, worth.denominator, match[2]


def read_dates(text: str) -> Dates:
    """A range of days, both ends included: ``2011-03-01/2011-05-31``; ``..`` leaves an end open."""
    match = _DATES.fullmatch(text)
    if not match or text == "../..":
        raise Misread(
            f"{text!r} is not a range of dates",
            "Write it like 2011-03-01/2011-05-31 or 2011-03-01/..",
        )
    first, last = (None if end == ".." else _read_date(end) for end in match.groups())
    if first and last and last < first:
        raise Misread(f"{text!r} ends before it begins", "Put the earlier date first")
    return Dates(first, last)


def read_share(text: str) -> int:
    """A share of members, as so many of 10,000: ``10 %``, ``2.5 %``."""
    match = _SHARE.fullmatch(text)
    if not match:
        raise Misread(f"{text!r} is not a share", "Write it like 10 % or 2.5 %")
    share = int(Fraction(match[1]) * 100)
    if not 0 < share < 10_000:
        raise Misread(f"{text!r} leaves out nobody or everybody", "Write it like 10 %")
    return share


def read_until(text: str) -> date | str:
    """Until when points wait: ``delivered``, or a day, ``2011-12-24``."""
    if text == "delivered":
        return text
    if not _DATE.fullmatch(text):
        raise Misread(
            f"{text!r} is neither 'delivered' nor a date",
            "Write it like delivered or 2011-12-24",
        )
    return _read_date(text)


def read_local_time(text: str) -> datetime:
    """A local date and time, without an offset: ``2010-12-01T00:00``."""
    if not _LOCAL.fullmatch(text):
        raise Misread(
            f"{text!r} is not a local date and time",
            "Write it like 2010-12-01T00:00; the offset follows from the time zone",
        )
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise Misread(
            f"{text!r} is no such time: {error}", "Write it like 2010-12-01T00:00"
        ) from None


def _read_date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Misread(f"{text!r} is no such date: {error}", "Write it like 2011-03-01") from None
