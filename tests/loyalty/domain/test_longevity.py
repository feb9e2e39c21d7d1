"""Points that are given a longer life by hand, and what a clawback finds of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.activity import Cancelled, Purchased, RedemptionRequested
from services.loyalty.domain.calendar import DAY
from services.loyalty.domain.program import Reward
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    base,
    end_of_month,
    line,
    points,
    programme,
)

MARCH, APRIL, JUNE = at("2011-03-01 00:00"), at("2011-04-01 00:00"), at("2011-06-01 00:00")


def ada_of() -> Member:
    program = programme(base(), points(expiry=end_of_month(1)))
    ada = Shop(program).enrols("ada", "2011-01-01")
    ada.buys("o1", 100_00, at="2011-01-05")
    return ada


def spend(ada: Member, how_many: int) -> None:
    ada.captures(ada.holds(how_many))


def test_extended_points_expire_later_in_a_lot_of_the_same_month() -> None:
    ada = ada_of()
    assert ada.is_extended("2011-06-01 00:00", "2011-02-01").status == "accepted"
    assert ada.lots() == [(100, JUNE)]
    [entry] = ada.entries("extension")
    assert entry.lot_from == f"points/2011-01/{MARCH}"
    assert entry.lot_to == f"points/2011-01/{JUNE}"
    ada.shop.waits_until("2011-03-02")
    assert ada.available == 100
    ada.shop.waits_until("2011-06-01 00:00")
    assert (ada.available, ada.balance("expired")) == (0, 100)


def test_only_later_ends_are_given_and_only_to_what_would_end_by_then() -> None:
    ada = ada_of()
    ada.is_adjusted(30, "2011-02-10")
    assert ada.is_extended("2011-01-01", "2011-02-11").reason == "not_later"
    assert ada.is_extended("2011-03-01 00:00").reason == "nothing_to_extend"
    assert ada.is_extended("2011-06-01 00:00", by="2011-03-01 00:00").status == "accepted"
    assert ada.lots() == [(30, APRIL), (100, JUNE)]


def test_held_points_come_back_to_the_longer_life() -> None:
    ada = ada_of()
    hold = ada.holds(60, "2011-02-28 23:50", ttl_s=3600)
    ada.is_extended("2011-06-01 00:00")
    ada.shop.waits_until("2011-03-01 00:10")
    assert (ada.available, ada.held) == (40, 60)
    ada.voids(hold)
    assert ada.lots() == [(100, JUNE)]


def test_expired_points_are_reinstated_the_latest_first() -> None:
    ada = ada_of()
    ada.is_adjusted(30, "2011-02-10")
    ada.shop.waits_until("2011-04-02")
    assert ada.balance("expired") == 130
    outcome = ada.is_reinstated("2011-06-01 00:00", points=50)
    assert outcome.status == "accepted"
    assert (ada.available, ada.balance("expired")) == (50, 80)
    taken = [(entry.lot_from, entry.points) for entry in ada.entries("reinstatement")]
    assert taken == [(f"points/2011-02/{APRIL}", 30), (f"points/2011-01/{MARCH}", 20)]
    refused = ada.is_reinstated("2011-06-01 00:00", points=81)
    assert (refused.reason, refused.details["expired"]) == ("more_than_expired", 80)
    assert ada.is_reinstated("2011-06-01 00:00").status == "accepted"
    assert ada.is_reinstated("2011-06-01 00:00").reason == "nothing_to_reinstate"
    ada.shop.waits_until("2011-06-01 00:00")
    assert ada.balance("expired") == 130


def test_reinstated_points_pay_what_is_owed_first() -> None:
    ada = ada_of()
    ada.buys("o2", 50_00, at="2011-04-03")
    spend(ada, 50)
    ada.cancels("o2")
    assert ada.arrears == 50
    ada.is_reinstated("2011-06-01 00:00")
    assert (ada.available, ada.arrears) == (50, 0)


def test_a_clawback_finds_what_was_reinstated_and_what_has_expired_again() -> None:
    ada = ada_of()
    ada.shop.waits_until("2011-03-02")
    ada.is_reinstated("2011-06-01 00:00", points=60)
    ada.is_adjusted(500, "2011-05-30")
    ada.returns("o1", {1: 1}, at="2011-05-31")
    reversed_ = [(e.from_bucket, e.lot_from, e.points) for e in ada.entries("accrual_reversal")]
    assert reversed_ == [
        ("available", f"points/2011-01/{JUNE}", 60),
        ("expired", f"points/2011-01/{MARCH}", 40),
    ]
    assert ada.available == 500


def test_a_clawback_follows_one_longer_life_after_another() -> None:
    ada = ada_of()
    ada.is_extended("2011-04-01 00:00", "2011-02-01")
    ada.is_extended("2011-05-01 00:00", "2011-02-02")
    ada.shop.waits_until("2011-05-02")
    ada.is_reinstated("2011-06-01 00:00")
    ada.shop.waits_until("2011-06-02")
    ada.is_adjusted(500)
    ada.cancels("o1")
    [entry] = ada.entries("accrual_reversal")
    assert (entry.from_bucket, entry.lot_from) == ("expired", f"points/2011-01/{JUNE}")
    assert ada.available == 500


@given(
    spent=st.integers(0, 60),
    ends=st.lists(st.integers(40, 300), min_size=1, max_size=5),
    returned_on=st.integers(10, 320),
)
def test_whoever_returns_everything_loses_no_more_than_that_order_gave(
    spent: int, ends: list[int], returned_on: int
) -> None:
    """Whatever lives its points were given, and whether they have expired by then."""
    ada, start = ada_of(), at("2011-01-05")
    if spent:
        spend(ada, spent)
    for day, end in enumerate(ends, 1):
        ada.is_extended(start + end * DAY, start + day * DAY)
    ada.shop.waits_until(start + max(returned_on, len(ends) + 1) * DAY)
    ada.is_adjusted(500)
    ada.cancels("o1")
    assert (ada.available, ada.arrears, ada.balance("expired")) == (500 - spent, 0, 0)
    ada.shop.proves()


@pytest.mark.parametrize("cut", [(1, 1, 1), (3,), (2, 1), (1, 2)])
def test_a_clawback_finds_the_longer_life_however_messages_are_cut(cut: tuple[int, ...]) -> None:
    """The order is bought, its points are spent and it comes back, after its lot was extended."""
    rewards = {"fifty": Reward("fifty", 50, "points")}
    shop = Shop(programme(base(), points(expiry=end_of_month(1)), rewards=rewards, transfers=True))
    ada = shop.enrols("ada", "2011-01-01")
    ada.buys("o1", 100_00, at="2011-01-05")
    ada.is_extended("2011-06-01 00:00", "2011-01-06")
    bob = shop.enrols("bob", "2011-01-01")
    bob.is_adjusted(70, "2011-01-06")
    bob.is_extended("2011-04-01 00:00")
    bob.gives("ada", 70)
    shop.delivers_derived()
    messages = [
        shop.incoming("ada", body, shop.clock.at)
        for body in (
            Purchased("o2", "GBP", [line(1, 50_00)]),
            RedemptionRequested("r1", "fifty"),
            Cancelled("o2"),
        )
    ]
    for size in cut:
        shop.records(*messages[:size])
        del messages[:size]
    assert ada.lots() == [(70, APRIL), (50, JUNE)]
    shop.proves()
