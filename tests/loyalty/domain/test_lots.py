"""Points over time: pending, activation, expiry and its notice, and the order of draws."""

from __future__ import annotations

import pytest

from services.loyalty.domain.activity import Engaged
from services.loyalty.domain.calendar import NEVER, rfc3339
from services.loyalty.domain.program import Expiry, Limit, Pending, Reward, Span
from tests.loyalty.domain.shop import (
    Shop,
    at,
    base,
    end_of_month,
    line,
    points,
    programme,
    rule,
)

FORTNIGHT = Pending(Span(days=14))
DELIVERY = Pending(until_delivered=True, cancel_after=Span(days=60))
REWARDS = {"ten": Reward("ten", 10, "points"), "forty": Reward("forty", 40, "points")}


# Pending --------------------------------------------------------------------------------------


def test_pending_points_become_available_at_the_next_midnight_and_not_before() -> None:
    ada = Shop(programme(base(), points(pending=FORTNIGHT))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05 10:00")
    ada.shop.waits_until(at("2011-01-20 00:00") - 1)
    assert (ada.pending, ada.available) == (10, 0)
    ada.shop.waits_until(at("2011-01-20 00:00"))
    assert (ada.pending, ada.available) == (0, 10)
    assert ada.heard("points.activated") == [{"currency": "points", "points": 10}]


def test_exact_pending_keeps_the_time_of_day_across_the_change_of_clocks() -> None:
    ada = Shop(programme(base(), points(pending=Pending(Span(days=2), exact=True)))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-03-26 10:30")  # clocks go forward on the 27th
    ada.shop.waits_until("2011-03-30")
    assert ada.ticks() == [("activation", at("2011-03-28 10:30"))]


def test_a_span_that_begins_at_midnight_is_not_rounded_up_by_a_day() -> None:
    ada = Shop(programme(base(), points(pending=FORTNIGHT))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05 00:00")
    ada.shop.waits_until("2011-02-01")
    assert ada.ticks() == [("activation", at("2011-01-19 00:00"))]


def test_points_of_one_day_wait_and_become_available_as_one_lot() -> None:
    ada = Shop(programme(base(), points(pending=FORTNIGHT, expiry=end_of_month(3)))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05 10:00")
    ada.buys("o2", 20_00, at="2011-01-05 18:00")
    assert len(ada.account.lots) == 1
    ada.buys("o3", 5_00, at="2011-01-06 10:00")
    ada.shop.waits_until("2011-02-01")
    assert ada.lots() == [(35, at("2011-05-01 00:00"))]


def test_points_until_delivered_wait_for_the_delivery_of_their_own_order() -> None:
    ada = Shop(programme(base(), points(pending=DELIVERY))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    ada.buys("o2", 20_00, at="2011-01-05")
    ada.gets("o2", "2011-01-07")
    assert (ada.available, ada.pending) == (20, 10)
    assert ada.gets("o2").reason == "already_delivered"
    assert ada.heard("points.activated") == [{"currency": "points", "points": 20, "order": "o2"}]


def test_what_an_amendment_adds_to_a_delivered_order_awaits_no_second_delivery() -> None:
    delivered = Pending(until_delivered=True, cancel_after=Span(days=30))
    shop = Shop(programme(base(), points(pending=delivered)))
    ada = shop.enrols("ada", "2011-01-01")
    ada.buys("o1", 50_00, at="2011-01-05")
    ada.gets("o1", "2011-01-08")
    ada.amends("o1", line(1, 50_00), line(2, 30_00), at="2011-01-09")
    assert (ada.available, ada.pending) == (80, 0)
    shop.waits_until("2011-06-01")
    assert ada.available == 80


def test_a_delivery_that_does_not_come_cancels_what_waited_for_it() -> None:
    ada = Shop(programme(base(), points(pending=DELIVERY))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05 10:00")
    ada.shop.waits_until("2011-06-01")
    assert ada.ticks() == [("activation", at("2011-03-07 00:00"))]
    assert (ada.available, ada.pending, ada.balance("issuance")) == (0, 0, 0)
    [told] = ada.heard("points.clawed-back")
    assert told == {"order": "o1", "reason": "not_delivered", "points": {"points": 10}}
    ada.gets("o1")
    assert ada.returns("o1", {1: 1}).status == "accepted"
    assert ada.balance("issuance") == 0


def test_a_cancelled_delivery_gives_a_limit_back_even_of_a_month_long_over() -> None:
    big = rule("big", give={"points": 9}, limit=Limit("month", 1))
    ada = Shop(programme(big, points(pending=DELIVERY))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    ada.engages("other", "2011-02-20")
    assert ada.shop.store.history["ada", "big/2011-01"] == [1, 9]
    ada.shop.waits_until("2011-06-01")
    assert ada.shop.store.history["ada", "big/2011-01"] == [0, 0]
    ada.shop.proves()


def test_what_an_amendment_adds_waits_for_the_same_delivery() -> None:
    ada = Shop(programme(base(), points(pending=DELIVERY))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    ada.amends("o1", line(1, 30_00), at="2011-01-09")
    assert [lot.points for lot in ada.account.lots] == [30]
    ada.gets("o1", "2011-01-12")
    assert ada.available == 30


# Expiry ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expiry", "earned", "ends"),
    [
        (Expiry(Span(months=3), at="exact"), "2011-01-31 10:00", "2011-05-01 00:00"),
        (Expiry(Span(months=1), at="exact"), "2011-01-31 10:00", "2011-03-01 00:00"),
        (Expiry(Span(months=1), at="exact"), "2012-01-31 10:00", "2012-03-01 00:00"),
        (Expiry(Span(days=1), at="exact"), "2011-03-26 10:00", "2011-03-28 00:00"),
        (Expiry(Span(days=1), at="exact"), "2011-10-29 10:00", "2011-10-31 00:00"),
        (end_of_month(3), "2010-12-31 23:59", "2011-04-01 00:00"),
        (end_of_month(1), "2011-01-31 10:00", "2011-03-01 00:00"),
        (end_of_month(12), "2012-02-29 10:00", "2013-03-01 00:00"),
        (Expiry(Span(months=6), at="end_of_year"), "2011-08-01 10:00", "2013-01-01 00:00"),
    ],
)
def test_points_end_at_a_local_midnight_whatever_clocks_and_months_do(
    expiry: Expiry, earned: str, ends: str
) -> None:
    ada = Shop(programme(base(), points(expiry=expiry))).enrols("ada")
    ada.buys("o1", 10_00, at=earned)
    assert ada.lots() == [(10, at(ends))]
    ada.shop.waits_until(at(ends) - 1)
    assert ada.available == 10
    ada.shop.waits_until(at(ends))
    assert (ada.available, ada.balance("expired")) == (0, 10)
    assert ada.heard("points.expired") == [{"currency": "points", "points": 10}]


def test_life_may_count_from_the_activation() -> None:
    expiry = Expiry(Span(days=10), "activated", "exact")
    ada = Shop(programme(base(), points(pending=FORTNIGHT, expiry=expiry))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05 00:00")
    ada.shop.waits_until("2011-03-01")
    assert ada.ticks() == [
        ("activation", at("2011-01-19 00:00")),
        ("expiry", at("2011-01-29 00:00")),
    ]


def test_life_that_counts_from_a_delivery_is_unknown_until_it_comes() -> None:
    expiry = Expiry(Span(days=10), "activated", "exact", (3,))
    ada = Shop(programme(base(), points(pending=DELIVERY, expiry=expiry))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    assert ada.lots() == [(10, 0)]
    ada.gets("o1", "2011-01-07 10:00")
    assert ada.lots() == [(10, at("2011-01-18 00:00"))]
    ada.returns("o1", {1: 1})
    assert ada.account.lots == []


def test_points_that_never_expire_have_no_moments() -> None:
    ada = Shop(programme(base())).enrols("ada")
    ada.buys("o1", 10_00)
    assert ada.account.lots[0].expires_at == NEVER
    assert ada.shop.store.accounts["ada"].due_at is None


def test_points_may_expire_while_they_still_wait() -> None:
    expiry = Expiry(Span(days=5), at="exact")
    ada = Shop(programme(base(), points(pending=DELIVERY, expiry=expiry))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05 00:00")
    ada.shop.waits_until("2011-01-11")
    assert [entry.from_bucket for entry in ada.entries("expiration")] == ["pending"]
    ada.returns("o1", {1: 1})  # and a refund then costs nothing
    assert (ada.arrears, ada.balance("expired"), ada.balance("issuance")) == (0, 0, 0)


def test_activation_comes_before_expiry_on_one_instant_and_both_are_decided() -> None:
    ada = Shop(
        programme(
            base(), points(pending=Pending(Span(days=10)), expiry=Expiry(Span(days=10), at="exact"))
        )
    ).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05 00:00")
    ada.buys("o2", 10_00, at="2011-01-15 00:00")
    assert ada.balance("expired") == 10
    assert ada.ticks() == [("activation", at("2011-01-15 00:00"))]


def test_points_that_come_after_their_end_are_accrued_and_expired_in_one_decision() -> None:
    ada = Shop(programme(base(), points(expiry=end_of_month(1)))).enrols("ada")
    ada.engages("other", "2011-06-01")
    ada.buys("o1", 10_00, at="2011-01-05", known_at="2011-06-02")
    assert [entry.kind for entry in ada.entries()] == ["accrual", "expiration"]
    assert ada.available == 0


def test_or_they_live_on_by_policy() -> None:
    late = points(expiry=end_of_month(1), late=Span(days=10))
    ada = Shop(programme(base(), late)).enrols("ada")
    ada.engages("other", "2011-06-01 12:00")
    ada.buys("o1", 10_00, at="2011-01-05", known_at="2011-06-02")
    assert ada.lots() == [(10, at("2011-06-12 00:00"))]


def test_what_is_late_and_waits_for_its_delivery_expires_at_once_too() -> None:
    ada = Shop(programme(base(), points(pending=DELIVERY, expiry=end_of_month(1)))).enrols("ada")
    ada.engages("other", "2011-06-01")
    ada.buys("o1", 10_00, at="2011-01-05", known_at="2011-06-02")
    assert [entry.kind for entry in ada.entries()] == ["accrual", "expiration"]
    ada.gets("o1")
    ada.cancels("o1")
    assert (ada.arrears, ada.balance("issuance")) == (0, 0)


# Notices --------------------------------------------------------------------------------------


def test_a_member_is_told_ahead_of_what_will_expire() -> None:
    ada = Shop(programme(base(), points(expiry=end_of_month(3, notices=(30, 7))))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    ada.buys("o2", 5_00, at="2011-01-31")
    ada.shop.waits_until("2011-04-25")
    assert ada.ticks() == [("notice", at("2011-04-01 00:00")), ("notice", at("2011-04-24 00:00"))]
    assert ada.heard("points.expiring") == [
        {
            "currency": "points",
            "points": 15,
            "expires_at": rfc3339(at("2011-05-01 00:00")),
            "days": days,
        }
        for days in (30, 7)
    ]


def test_what_was_spent_meanwhile_is_not_announced() -> None:
    shop = Shop(programme(base(), points(expiry=end_of_month(3, notices=(7,))), rewards=REWARDS))
    ada = shop.enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    ada.redeems("ten")
    shop.waits_until("2011-06-01")
    assert ada.ticks() == []


# Drawing --------------------------------------------------------------------------------------


def test_draws_take_the_soonest_to_expire_first_and_name_their_lots() -> None:
    shop = Shop(programme(base(), points(expiry=end_of_month(3)), rewards=REWARDS))
    ada = shop.enrols("ada")
    ada.buys("o2", 30_00, at="2011-02-05")
    ada.buys("o1", 20_00, at="2011-01-05", known_at="2011-02-06")
    outcome = ada.redeems("forty")
    assert outcome.status == "accepted"
    drawn = [(entry.points, entry.lot_from.split("/")[2]) for entry in ada.entries("redemption")]
    assert drawn == [(20, str(at("2011-05-01 00:00"))), (20, str(at("2011-06-01 00:00")))]
    assert ada.lots() == [(10, at("2011-06-01 00:00"))]


def test_no_redemption_spends_points_that_expired_a_second_ago() -> None:
    shop = Shop(programme(base(), points(expiry=end_of_month(1)), rewards=REWARDS))
    ada = shop.enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    outcome = ada.redeems("ten", "2011-03-01 00:00")
    assert outcome.details["missing"] == 10
    assert ada.journal()[-2:] == [
        ("tick", "accepted", ""),
        ("redemption", "refused", "insufficient_points"),
    ]
    assert ada.buys("o2", 10_00, at=at("2011-03-31 00:00")).status == "accepted"
    assert ada.redeems("ten", "2011-04-29 23:59").status == "accepted"


def test_a_clock_that_stands_behind_another_loses_no_moment() -> None:
    ada = Shop(programme(base(), points(expiry=end_of_month(1)))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-02-20", known_at="2011-04-20")
    ada.shop.clock.at = at("2011-03-15")  # the clock of another process
    ada.shop.records(ada.shop.incoming("ada", Engaged("other"), at("2011-04-10")))
    assert (ada.available, ada.balance("expired")) == (0, 10)
    assert ada.account.recorded_at == at("2011-04-20")
