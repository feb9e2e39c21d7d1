"""Recurring days are told for any date, whenever the rule began."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.mistakes import Misread
from services.loyalty.domain.recurrence import read_recurrence
from services.loyalty.domain.recurrence_gaps import skipped_month


def _days(text: str, first: date, last: date) -> list[date]:
    chosen = read_recurrence(text)
    count = (last - first).days + 1
    return [day for day in (first + timedelta(days=n) for n in range(count)) if chosen(day)]


def test_a_vip_day_is_the_same_day_of_each_month() -> None:
    found = _days("FREQ=MONTHLY;BYMONTHDAY=8", date(2010, 12, 1), date(2011, 3, 31))
    assert found == [date(2010, 12, 8), date(2011, 1, 8), date(2011, 2, 8), date(2011, 3, 8)]


def test_the_last_day_of_the_month_knows_leap_years() -> None:
    found = _days("FREQ=MONTHLY;BYMONTHDAY=-1", date(2012, 2, 1), date(2012, 3, 31))
    assert found == [date(2012, 2, 29), date(2012, 3, 31)]


def test_the_first_tuesday_is_found() -> None:
    found = _days("FREQ=MONTHLY;BYDAY=1TU", date(2011, 1, 1), date(2011, 2, 28))
    assert found == [date(2011, 1, 4), date(2011, 2, 1)]


def test_a_week_across_new_year_is_whole() -> None:
    text = "FREQ=WEEKLY;BYDAY=FR,SA,SU;BYSETPOS=-1"
    assert _days(text, date(2010, 12, 27), date(2011, 1, 2)) == [date(2011, 1, 2)]


def test_a_day_of_the_year_is_chosen_by_month_and_day() -> None:
    found = _days("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=26", date(2010, 1, 1), date(2011, 12, 31))
    assert found == [date(2010, 12, 26), date(2011, 12, 26)]


def test_an_interval_is_counted_from_its_anchor() -> None:
    every_other = read_recurrence("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO")
    assert every_other.has_interval
    from_the_third = every_other.anchored(date(2011, 1, 3))
    from_the_tenth = every_other.anchored(date(2011, 1, 10))
    assert from_the_third(date(2011, 1, 17))
    assert not from_the_third(date(2011, 1, 10))
    assert from_the_tenth(date(2011, 1, 24))
    assert not from_the_third(date(2010, 12, 20)), "nothing is before the anchor"


def test_without_an_interval_the_anchor_changes_nothing() -> None:
    monthly = read_recurrence("FREQ=MONTHLY;BYMONTHDAY=8")
    assert monthly.anchored(date(2011, 5, 1)) == monthly
    assert monthly.anchored(date(2011, 5, 1))(date(2011, 1, 8))


@pytest.mark.parametrize(
    ("text", "part", "month"),
    [
        ("FREQ=MONTHLY;BYMONTHDAY=31", "BYMONTHDAY=31", "2001-02"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,30", "BYMONTHDAY=30", "2001-02"),
        ("FREQ=MONTHLY;BYMONTHDAY=-30", "BYMONTHDAY=-30", "2001-02"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "BYMONTHDAY=29", "2001-02"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=28,30", "BYMONTHDAY=30", "2001-02"),
        ("FREQ=MONTHLY;BYDAY=5MO", "BYDAY=5MO", "2001-02"),
        ("FREQ=YEARLY;BYYEARDAY=366", "BYYEARDAY=366", "2001"),
        ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "it", "2001-01"),
        ("FREQ=DAILY;BYMONTHDAY=31", "BYMONTHDAY=31", "2001-02"),
        ("FREQ=YEARLY;BYMONTH=11;BYDAY=-5TH", "BYDAY=-5TH", "2002-11"),
    ],
)
def test_a_recurrence_that_skips_months_is_found_out(text: str, part: str, month: str) -> None:
    assert skipped_month(read_recurrence(text), None, None) == (part, month)


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=MONTHLY;BYMONTHDAY=8",
        "FREQ=MONTHLY;BYMONTHDAY=-1",
        "FREQ=MONTHLY;BYMONTHDAY=28,29,30,31;BYSETPOS=-1",
        "FREQ=MONTHLY;BYDAY=1MO,-1FR",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "FREQ=MONTHLY;BYMONTH=1,3;BYMONTHDAY=31",
        "FREQ=YEARLY;BYMONTH=3;BYMONTHDAY=8",
        "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH",
        "FREQ=YEARLY;BYYEARDAY=-1",
        "FREQ=WEEKLY;BYDAY=TU",
        "FREQ=DAILY",
    ],
)
def test_what_has_a_day_each_time_skips_nothing(text: str) -> None:
    assert skipped_month(read_recurrence(text), None, None) == ("", "")


def test_only_months_in_which_a_rule_is_valid_can_be_skipped() -> None:
    last = read_recurrence("FREQ=MONTHLY;BYMONTHDAY=31")
    assert skipped_month(last, date(2011, 3, 1), date(2011, 3, 31)) == ("", "")
    assert skipped_month(last, date(2011, 3, 1), date(2011, 4, 30))[1] == "2011-04"
    every_other = read_recurrence("FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=31")
    assert skipped_month(every_other, date(2011, 1, 1), date(2011, 8, 31)) == ("", "")
    assert skipped_month(every_other, date(2011, 1, 1), None)[1] == "2011-09"


@given(st.dates(date(1971, 1, 1), date(2100, 12, 31)))
def test_each_date_is_told_by_itself(day: date) -> None:
    assert read_recurrence("FREQ=WEEKLY;BYDAY=TU")(day) == (day.isoweekday() == 2)
    assert read_recurrence("FREQ=MONTHLY;BYMONTHDAY=8")(day) == (day.day == 8)
    assert read_recurrence("FREQ=DAILY")(day)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("every monday", "not a recurrence"),
        ("FREQ=HOURLY;BYHOUR=3", "'BYHOUR' is not a part"),
        ("FREQ=SECONDLY", "FREQ is 'SECONDLY'"),
        ("BYDAY=TU", "FREQ is ''"),
        ("FREQ=MONTHLY", "does not say which day"),
        ("FREQ=WEEKLY", "does not say which day"),
        ("FREQ=YEARLY;BYMONTH=3", "does not say which day"),
        ("FREQ=DAILY;COUNT=3", "Say when it ends with 'valid'"),
        ("FREQ=DAILY;UNTIL=20110301", "Say when it ends with 'valid'"),
        ("FREQ=MONTHLY;BYMONTHDAY=8;BYMONTHDAY=9", "not a recurrence"),
        ("FREQ=MONTHLY;BYMONTHDAY=eight", "not a recurrence"),
        ("FREQ=WEEKLY;BYDAY=XX", "not a recurrence"),
        ("FREQ=WEEKLY;INTERVAL=0;BYDAY=TU", "INTERVAL is '0'"),
        ("FREQ=WEEKLY;INTERVAL=-2;BYDAY=TU", "INTERVAL is '-2'"),
        ("FREQ=DAILY;INTERVAL=99999999999999999", "INTERVAL is"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never happens"),
        ("FREQ=WEEKLY;BYDAY=TU\nRDATE:20110101", "not a recurrence"),
        ("", "not a recurrence"),
        ("FREQ=MONTHLY;", "not a recurrence"),
    ],
)
def test_what_does_not_choose_days_is_misread(text: str, told: str) -> None:
    with pytest.raises(Misread, match=told):
        read_recurrence(text)
