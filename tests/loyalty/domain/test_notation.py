"""The small grammars of the programme document say what they mean, and refuse all else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain import notation
from services.loyalty.domain.mistakes import Misread
from services.loyalty.domain.money import EXPONENTS, decimal_text
from services.loyalty.domain.notation import Amount, Dates, Limited, Points
from services.loyalty.domain.program import Limit, Rate, Span, Window

_HALF_PAST_TWELVE = datetime.fromisoformat("2010-12-01T12:30")
_currencies = st.sampled_from(sorted(EXPONENTS))
_counts = st.integers(1, notation.MAX_POINTS)
_ids = st.from_regex(r"[a-z][a-z0-9]{0,9}(-[a-z0-9]{1,9}){0,2}", fullmatch=True)


@pytest.mark.parametrize(
    ("read", "text", "value"),
    [
        (notation.read_span, "14 days", Span(days=14)),
        (notation.read_span, "1 day", Span(days=1)),
        (notation.read_span, "2 weeks", Span(days=14)),
        (notation.read_span, "3 months", Span(months=3)),
        (notation.read_span, "2 years", Span(months=24)),
        (notation.read_span, "0 days", Span()),
        (notation.read_days, "2 weeks", 14),
        (notation.read_years, "24 months", 2),
        (notation.read_window, "calendar_year", Window("calendar_year")),
        (notation.read_rolling, "3 months", Window("rolling", 3)),
        (notation.read_rolling, "1 year", Window("rolling", 12)),
        (notation.read_amount, "200.00 GBP", Amount(20000, "GBP")),
        (notation.read_amount, "80000 JPY", Amount(80000, "JPY")),
        (notation.read_rate, "1 per 1.00 GBP", Rate(1, 100, "GBP")),
        (notation.read_rate, "5 per 1.20 EUR", Rate(5, 120, "EUR")),
        (notation.read_give, "250", 250),
        (notation.read_give, "1 per 1.00 GBP", Rate(1, 100, "GBP")),
        (notation.read_points, "500 tier-points", Points(500, "tier-points")),
        (notation.read_present, "200 points", Points(200, "points")),
        (notation.read_present, "birthday-treat", "birthday-treat"),
        (notation.read_limit, "1 per month", Limited(Limit("month", times=1), "")),
        (notation.read_limit, "500 points per year", Limited(Limit("year", points=500), "points")),
        (notation.read_limit, "1 per lifetime", Limited(Limit("lifetime", times=1), "")),
        (notation.read_limit, "2 per tier_period", Limited(Limit("tier_period", times=2), "")),
        (notation.read_give, "50 per full 100.00 GBP", Rate(50, 10000, "GBP", full=True)),
        (notation.read_share, "10 %", 1000),
        (notation.read_share, "0.25%", 25),
        (notation.read_until, "delivered", "delivered"),
        (notation.read_until, "2011-12-24", date(2011, 12, 24)),
        (notation.read_quota, "unlimited", "unlimited"),
        (notation.read_quota, "2 per year", "2 per year"),
        (notation.read_factor, "x2", (2, 1)),
        (notation.read_factor, "x1.50", (3, 2)),
        (notation.read_worth, "0.01 GBP", (1, 1, "GBP")),
        (notation.read_worth, "0.005 GBP", (1, 2, "GBP")),
        (notation.read_worth, "5.00 GBP per 1000", (1, 2, "GBP")),
        (notation.read_worth, "2 JPY", (2, 1, "JPY")),
        (notation.read_dates, "2011-03-01/..", Dates(date(2011, 3, 1), None)),
        (notation.read_dates, "../2011-03-01", Dates(None, date(2011, 3, 1))),
        (notation.read_local_time, "2010-12-01T12:30", _HALF_PAST_TWELVE),
        (notation.read_truth, "true", True),
        (notation.read_truth, "false", False),
        (notation.read_count, "0", 0),
        (notation.read_language, "zh-Hans", "zh-Hans"),
        (notation.read_kind, "product.reviewed", "product.reviewed"),
        (notation.read_word, "BANK CHARGES", "BANK CHARGES"),
    ],
)
def test_what_is_written_is_what_is_meant(
    read: Callable[[str], Any], text: str, value: object
) -> None:
    assert read(text) == value


@pytest.mark.parametrize(
    ("read", "texts"),
    [
        (notation.read_id, ["Base", "1st", "a--b", "-a", "a-", "a_b", "a b", "a" * 41, "é", "a\n"]),
        (notation.read_kind, ["Product", "a..b", ".a", "a.", "a b", "a" * 81]),
        (notation.read_word, [" a", "a ", "a" * 201]),
        (notation.read_language, ["english", "e", "en_GB", "en-", "中文"]),
        (notation.read_truth, ["yes", "True", "1", "on"]),
        (notation.read_count, ["-1", "1.0", "1,000", "01", "1e3", "9" * 14, "٣"]),
        (notation.read_positive, ["0"]),
        (notation.read_span, ["3 moons", "3months", "-1 days", "1.5 days", "days", "99999 years"]),
        (notation.read_some_span, ["0 days", "0 months"]),
        (notation.read_days, ["1 month"]),
        (notation.read_some_days, ["0 days", "1 year"]),
        (notation.read_years, ["13 months", "1 day", "0 years"]),
        (notation.read_window, ["rolling", "year"]),
        (notation.read_rolling, ["3 days", "0 months", "11 years", "three months"]),
        (notation.read_amount, ["200", "200.00", "GBP 200", "£200", "200.00 GPB", "200 gbp",
                                "2.001 GBP", "0.00 GBP", "-1.00 GBP", "1.00  GBP"]),
        (notation.read_rate, ["1 pr 1.00 GBP", "0 per 1.00 GBP", "1 per 0.00 GBP", "1/1.00 GBP"]),
        (notation.read_give, ["", "0", "-5", "five", "1 per pound", "2.5"]),
        (notation.read_points, ["500", "points", "0 points", "5 Points", "500  points"]),
        (notation.read_present, ["0 points", "200 pts!", "Treat"]),
        (notation.read_share, ["10", "100 %", "0 %", "0.001 %", "-1 %", "ten %"]),
        (notation.read_until, ["now", "2011-13-01", "2011-02-29", "24.12.2011"]),
        (notation.read_limit, ["1", "1 per fortnight", "0 per day", "per day", "x per day"]),
        (notation.read_quota, ["often", "5 points per year", "0 per year"]),
        (notation.read_factor, ["2", "x", "x1", "x0.5", "x-2", "2x", "x1.2345"]),
        (notation.read_worth, ["0.01", "0 GBP", "0.01 GPB", "1 GBP per 0", "1p"]),
        (notation.read_dates, ["../..", "2011-03-01", "2011-05-31/2011-03-01", "2011-02-30/..",
                               "2011-3-1/.."]),
        (notation.read_local_time, ["2010-12-01", "2010-12-01T00:00Z", "2010-13-01T00:00",
                                    "2010-12-01T00:00+00:00", "2010-12-01 00:00"]),
    ],
)  # fmt: skip
def test_anything_else_is_misread_with_a_remedy(
    read: Callable[[str], Any], texts: list[str]
) -> None:
    for text in texts:
        with pytest.raises(Misread) as caught:
            read(text)
        assert caught.value.reason, text
        assert caught.value.remedy, text


@given(_counts, st.integers(1, 10**12 - 1), _currencies)
def test_a_rate_reads_back_as_it_was_written(points: int, minor: int, currency: str) -> None:
    text = f"{points} per {decimal_text(minor, currency)} {currency}"
    assert notation.read_rate(text) == Rate(points, minor, currency)


@given(_counts, st.sampled_from(notation.LIMIT_PERIODS), _ids)
def test_a_limit_reads_back_as_it_was_written(count: int, period: str, currency: str) -> None:
    by_times = Limited(Limit(period, times=count), "")
    by_points = Limited(Limit(period, points=count), currency)
    assert notation.read_limit(f"{count} per {period}") == by_times
    assert notation.read_limit(f"{count} {currency} per {period}") == by_points


@given(_counts, _ids)
def test_points_read_back_as_they_were_written(count: int, currency: str) -> None:
    assert notation.read_points(f"{count} {currency}") == Points(count, currency)
    assert notation.read_present(f"{count} {currency}") == Points(count, currency)
    assert notation.read_present(currency) == currency


@given(st.integers(0, 1200), st.integers(0, 36500))
def test_a_length_of_time_reads_back_as_it_was_written(months: int, days: int) -> None:
    assert notation.read_span(f"{months} months") == Span(months=months)
    assert notation.read_span(f"{days} days") == Span(days=days)


@given(st.integers(1001, 999_999))
def test_a_multiplier_is_exact(thousandths: int) -> None:
    text = f"x{thousandths // 1000}.{thousandths % 1000:03d}"
    assert Fraction(*notation.read_factor(text)) == Fraction(thousandths, 1000)


@given(st.dates(), st.dates())
def test_a_range_of_dates_reads_back_unless_it_runs_backwards(one: date, other: date) -> None:
    first, last = sorted((one, other))
    assert notation.read_dates(f"{first}/{last}") == Dates(first, last)
    if first != last:
        with pytest.raises(Misread, match="ends before it begins"):
            notation.read_dates(f"{last}/{first}")


@given(st.text(max_size=40))
def test_no_text_does_worse_than_be_misread(text: str) -> None:
    readers = [getattr(notation, name) for name in dir(notation) if name.startswith("read_")]
    for read in readers:
        with suppress(Misread):
            read(text)
