"""The civil calendar: midnights, months, weeks and years as the programme's zone has them."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.calendar import (
    Instant,
    add_months,
    local_date,
    midnight,
    rfc3339,
    shift,
    zone,
)
from services.loyalty.domain.moments import next_yearly
from services.loyalty.domain.periods import (
    activation_at,
    after_span,
    days_before,
    ended_before,
    expiry_at,
    period_key,
    window_end,
    window_key,
    windows_counted,
)
from services.loyalty.domain.program import Expiry, Pending, Span, Window
from tests.loyalty.domain.shop import LONDON, at

ZONES = [
    zone(name)
    for name in (
        "Europe/London",
        "America/Sao_Paulo",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Africa/Cairo",
        "America/Havana",
        "Australia/Lord_Howe",
        "UTC",
    )
]
instants = st.integers(315_532_800_000_000, 2_000_000_000_000_000)  # 1980 to 2033
days = st.dates(date(1980, 1, 1), date(2033, 1, 1))
zones = st.sampled_from(ZONES)


@given(days, zones)
def test_midnight_is_the_first_instant_of_its_day(day: date, tz: ZoneInfo) -> None:
    start = midnight(day, tz)
    if local_date(start, tz) == day:
        assert local_date(start - 1, tz) < day
    else:  # Samoa left out a whole day
        assert local_date(start, tz) > day


@given(instants, st.integers(0, 30), st.integers(0, 400), zones)
def test_nothing_ends_early_and_all_ends_at_a_local_midnight(
    earned: Instant, months: int, more: int, tz: ZoneInfo
) -> None:
    span = Span(months, more)
    end = after_span(earned, span, tz)
    assert end == midnight(local_date(end, tz), tz)
    assert end >= earned
    # in civil days: where Samoa left one out, fewer hours have passed
    assert local_date(end, tz) - local_date(earned, tz) >= timedelta(days=more)
    for rounded in ("exact", "end_of_month", "end_of_year"):
        expires = expiry_at(Expiry(span, at=rounded), earned, tz)
        assert expires > earned or (rounded == "exact" and not (months or more))
        assert rounded == "exact" or expires >= shift(earned, tz, months=months, days=more)


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        ("2011-01-31", 1, "2011-02-28"),
        ("2012-01-31", 1, "2012-02-29"),
        ("2011-12-31", 2, "2012-02-29"),
        ("2012-03-31", -1, "2012-02-29"),
        ("2011-01-15", -13, "2009-12-15"),
    ],
)
def test_a_month_later_is_the_same_day_or_the_last(day: str, months: int, then: str) -> None:
    assert add_months(date.fromisoformat(day), months) == date.fromisoformat(then)


def test_exact_activation_keeps_the_wall_clock() -> None:
    pending = Pending(Span(months=1), exact=True)
    assert activation_at(pending, at("2011-03-10 08:30"), LONDON) == at("2011-04-10 08:30")
    assert activation_at(pending, at("2011-10-10 08:30"), LONDON) == at("2011-11-10 08:30")


@given(days, days)
def test_a_period_is_over_exactly_when_a_later_one_has_begun(one: date, other: date) -> None:
    for period in ("day", "week", "month", "year", "lifetime"):
        key, now = period_key(period, one), period_key(period, other)
        assert ended_before(key, other) == (one < other and key != now)


def test_periods_are_named_by_their_calendar() -> None:
    day = date(2011, 1, 2)
    assert [period_key(period, day) for period in ("day", "week", "month", "year", "lifetime")] == [
        "2011-01-02",
        "2010-W52",
        "2011-01",
        "2011",
        "life",
    ]


def test_windows_are_named_and_counted() -> None:
    rolling, calendar, own = Window("rolling", 3), Window("calendar_year"), Window("member_year")
    enrolled = at("2008-02-29")
    day = date(2011, 2, 27)
    assert window_key(rolling, day, enrolled, LONDON) == "2011-02"
    assert windows_counted("rolling", 3, "2011-02") == ("2011-02", "2011-01", "2010-12")
    assert window_key(calendar, day, enrolled, LONDON) == "2011"
    assert window_key(own, day, enrolled, LONDON) == "2010-02-28"
    assert window_key(own, day + timedelta(1), enrolled, LONDON) == "2011-02-28"
    assert windows_counted("member_year", 12, "2010-02-28") == ("2010-02-28",)
    assert window_end(rolling, "2011-02", LONDON) == at("2011-03-01 00:00")
    assert window_end(calendar, "2011", LONDON, later=1) == at("2013-01-01 00:00")


def test_notices_are_days_of_the_calendar_before_the_end() -> None:
    assert days_before(at("2011-04-01 00:00"), 7, LONDON) == at("2011-03-25 00:00")


@given(st.dates(date(1930, 1, 1), date(2010, 1, 1)), instants, st.integers(1, 5))
def test_the_next_anniversary_is_the_first_after_an_instant(
    first: date, now: Instant, years: int
) -> None:
    found = next_yearly(first, "feb_28", years, now, LONDON)
    assert found > now
    day = local_date(found, LONDON)
    assert (day.year - first.year) % years == 0
    assert day.year > first.year
    assert (day.month, day.day) == (first.month, first.day) or (first.month, first.day) == (2, 29)
    before = add_months(first, 12 * (day.year - years - first.year))
    assert day.year - years <= first.year or midnight(before, LONDON) <= now


def test_instants_read_as_rfc_3339() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00Z"
    assert rfc3339(at("2011-07-01 12:00")) == "2011-07-01T11:00:00Z"


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "../etc/passwd", "Europe/./London"])
def test_a_zone_that_is_none_is_no_zone(name: str) -> None:
    with pytest.raises(KeyError):
        zone(name)
