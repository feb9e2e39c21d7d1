"""Occasions: birthdays and anniversaries, once each, on their civil day."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from services.loyalty.application.store import ProfilePatch
from services.loyalty.domain.activity import Enrolled, ProfileUpdated, StatusChanged
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.domain.program import Expiry, Gift, Span
from tests.loyalty.domain.shop import Member, Shop, at, base, both, points, programme, tiers

CAKE = Gift("cake", "birthday", {"points": 200}, ("card",))


def told(member: Member, born_on: date, when: str) -> None:
    """The shop learns a date of birth."""
    member.does(ProfileUpdated(["born_on"]), when, profile=ProfilePatch(born_on=born_on))


def born(day: date, *gifts: Gift, since: str = "2011-01-01") -> Member:
    return Shop(programme(base(), gifts=gifts or (CAKE,))).enrols("ada", since, born_on=day)


def gifts_of(member: Member) -> list[str]:
    """The days on which points were given."""
    shop = member.shop.store
    rows = [
        row for (who, _), row in shop.journal.items() if who == member.name and row[2] == "tick"
    ]
    return [rfc3339(row[9])[:10] for row in rows if "gifts" in row[16]]


def test_a_birthday_comes_on_its_local_day_every_year() -> None:
    ada = born(date(1980, 5, 5))
    ada.shop.waits_until("2013-06-01")
    assert ada.ticks() == [("occasion", at(f"{year}-05-05 00:00")) for year in (2011, 2012, 2013)]
    assert ada.available == 600
    assert [told["reward"] for told in ada.heard("reward.issued")] == ["card"] * 3
    assert ada.heard("points.accrued")[0]["activity"] == "birthday"


def test_the_account_is_due_from_the_moment_its_birthday_is_known() -> None:
    ada = born(date(1980, 5, 5))
    assert ada.shop.store.accounts["ada"].due_at == at("2011-05-05 00:00")
    bob = ada.shop.enrols("bob", "2011-01-02")
    assert ada.shop.store.accounts["bob"].due_at is None
    told(bob, date(1980, 4, 4), "2011-01-03")
    assert ada.shop.store.accounts["bob"].due_at == at("2011-04-04 00:00")


def test_a_date_of_birth_set_just_before_the_day_waits_a_year() -> None:
    ada = Shop(programme(base(), gifts=(CAKE,))).enrols("ada", "2011-01-01")
    told(ada, date(1980, 5, 5), "2011-04-06")
    ada.shop.waits_until("2011-05-06")
    assert gifts_of(ada) == []
    ada.shop.waits_until("2012-05-06")
    assert gifts_of(ada) == ["2012-05-04"]  # midnight in London is the evening before in UTC
    told(ada, date(1980, 6, 4), "2012-05-05")  # thirty days are enough, but it was given lately
    ada.shop.waits_until("2012-06-05")
    assert len(gifts_of(ada)) == 1


@pytest.mark.parametrize(
    ("moved_to", "given"), [(date(1980, 12, 20), 1), (date(1980, 1, 20), 1), (date(1980, 3, 20), 2)]
)
def test_a_birthday_is_once_a_year_and_three_hundred_days_apart(moved_to: date, given: int) -> None:
    ada = born(date(1980, 5, 5))
    ada.shop.waits_until("2011-06-01")
    told(ada, moved_to, "2011-06-02")
    ada.shop.waits_until("2012-04-01")
    assert len(gifts_of(ada)) == given


@pytest.mark.parametrize(
    ("leap_day", "days"),
    [
        ("feb_28", ["2011-02-28", "2012-02-29"]),
        ("mar_1", ["2011-03-01", "2012-02-29"]),
    ],
)
def test_a_leap_day_is_kept_by_the_rule_of_the_programme(leap_day: str, days: list[str]) -> None:
    gift = Gift("cake", "birthday", {"points": 200}, leap_day=leap_day)
    ada = born(date(1980, 2, 29), gift, since="2010-12-05")
    ada.shop.waits_until("2012-06-01")
    assert [at(f"{day} 00:00") for day in days] == [instant for _, instant in ada.ticks()]


def test_a_gift_may_ask_for_a_least_membership() -> None:
    gift = Gift("cake", "birthday", {"points": 200}, member_for=Span(days=30))
    ada = born(date(1980, 1, 20), gift)
    bob = ada.shop.enrols("bob", "2011-01-02", born_on=date(1980, 3, 5))
    ada.shop.waits_until("2011-06-01")
    assert (ada.available, bob.available) == (0, 200)


def test_an_anniversary_counts_from_the_enrolment() -> None:
    gift = Gift("year", "anniversary", {"points": 100}, years=2)
    ada = Shop(programme(base(), gifts=(gift,))).enrols("ada", "2011-01-31 10:00")
    ada.shop.waits_until("2015-12-01")
    assert ada.ticks() == [
        ("occasion", at("2013-01-31 00:00")),
        ("occasion", at("2015-01-31 00:00")),
    ]


def test_birthday_and_anniversary_on_one_day_are_both_given() -> None:
    year = Gift("year", "anniversary", {"points": 100})
    ada = born(date(1980, 5, 5), CAKE, year, since="2011-05-05 10:00")
    ada.shop.waits_until("2012-05-06")
    assert (ada.available, len(ada.ticks())) == (300, 2)
    ada.shop.waits_until("2013-05-06")
    assert ada.available == 600


def test_expiry_notice_and_birthday_of_one_midnight_are_all_decided() -> None:
    terms = points(expiry=Expiry(Span(days=10), at="exact", notices=(5,)))
    shop = Shop(programme(base(), terms, gifts=(CAKE,)))
    ada = shop.enrols("ada", "2011-04-01", born_on=date(1980, 5, 10))
    ada.buys("o1", 10_00, at="2011-04-30 00:00")
    ada.buys("o2", 20_00, at="2011-05-05 00:00")
    shop.waits_until("2011-05-11")
    midnight = at("2011-05-10 00:00")
    assert [moment for moment, instant in ada.ticks() if instant == midnight] == [
        "expiry",
        "notice",
        "occasion",
    ]
    assert ada.available == 220


def test_a_gift_is_missed_by_nobody_whom_nobody_visited() -> None:
    ada = born(date(1980, 5, 5))
    ada.buys("o1", 10_00, at="2011-05-05 00:00")
    assert ada.available == 210
    assert [kind for kind, _, _ in ada.journal()] == ["enrolment", "tick", "purchase"]


def test_what_is_refused_changes_no_date_of_birth_but_an_erasure_is_always_carried_out() -> None:
    shop = Shop(programme(base()))
    ada = shop.enrols("ada", "2011-01-01", born_on=date(1980, 5, 5))
    again = ada.does(Enrolled(), "2011-01-02", profile=ProfilePatch(born_on=date(1990, 3, 3)))
    assert again.reason == "already_enrolled"
    assert shop.store.profiles["ada"].born_on == date(1980, 5, 5)
    early = ada.does(StatusChanged("erased"), "2010-11-01", profile=ProfilePatch(erase=True))
    assert early.reason == "before_program"
    assert "ada" not in shop.store.profiles


def test_an_erased_member_has_no_birthday_any_more() -> None:
    ada = born(date(1980, 5, 5))

    ada.does(StatusChanged("erased"), "2011-02-01", profile=ProfilePatch(erase=True))
    ada.shop.waits_until("2012-01-01")
    assert ada.ticks() == []
    assert ada.shop.store.accounts["ada"].due_at is None
    ada.shop.proves()


LOYAL = Gift("loyal", "tier-anniversary", {"points": 70})


def climbed(**terms: Any) -> Member:
    """Silver since 2011-02-10, for as long as the tiers say."""
    ladder = programme(both(), tiers(**terms), gifts=(LOYAL,))
    ada = Shop(ladder).enrols("ada", "2011-01-01")
    ada.buys("o1", 1000_00, at="2011-02-10")
    return ada


def test_a_tier_anniversary_counts_from_the_day_since_which_the_level_is_held() -> None:
    ada = climbed(kept=Span(months=30))
    ada.shop.waits_until("2012-02-09 23:59")
    assert gifts_of(ada) == []
    ada.shop.waits_until("2013-03-01")
    assert gifts_of(ada) == ["2012-02-10", "2013-02-10"]
    ada.buys("o2", 5000_00, at="2013-04-05")  # gold is another level
    ada.shop.waits_until("2014-04-04")
    assert gifts_of(ada) == ["2012-02-10", "2013-02-10"]
    ada.shop.waits_until("2014-04-06")
    assert gifts_of(ada)[2:] == ["2014-04-04"]  # midnight in London is the evening before in UTC
    ada.shop.proves()


def test_everybodys_level_has_no_anniversary_and_a_fall_ends_the_count() -> None:
    ada = climbed(kept=Span(months=11))
    bob = ada.shop.enrols("bob", "2011-01-01")
    ada.shop.waits_until("2013-01-01")
    assert (ada.tier, gifts_of(ada), gifts_of(bob)) == ("basic", [], [])


def test_a_level_that_ends_at_the_midnight_of_its_anniversary_has_none() -> None:
    ada = climbed(kept=Span(days=364))
    assert ada.account.standing.reaches[0].until == at("2012-02-10 00:00")
    ada.shop.waits_until("2012-02-12")
    assert gifts_of(ada) == []
