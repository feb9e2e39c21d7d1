"""Points set aside: captured, voided, given back by the clock, and what may not touch them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.calendar import HOUR, MINUTE
from services.loyalty.domain.program import Expiry, Holds, Limit, Reward, Span
from services.loyalty.domain.status import DECIDE, KINDS, REFUSE, STATUS
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    base,
    end_of_month,
    points,
    programme,
)

NEW_YEAR = "2011-01-01"


def rich(*parts: Any, welcome: int = 300, **more: Any) -> Member:
    """A member with so many points since New Year."""
    more.setdefault("rewards", {"mug": Reward("mug", 80, "points")})
    ada = Shop(programme(base(), *parts, **more)).enrols("ada", NEW_YEAR)
    assert ada.is_adjusted(welcome, "2011-01-02").status == "accepted"
    return ada


# Setting aside --------------------------------------------------------------------------------


def test_what_is_held_is_no_longer_available_and_still_the_member_s() -> None:
    ada = rich()
    hold = ada.holds(120, "2011-01-03 10:00")
    assert (ada.available, ada.held) == (180, 120)
    assert ada.balance("held") == 120
    [entry] = ada.entries("hold")
    assert (entry.lot_from, entry.cause) == (entry.lot_to, hold)
    [heard] = ada.heard("points.held")
    assert heard == {
        "hold": hold,
        "currency": "points",
        "points": 120,
        "ends_at": "2011-01-03T10:30:00Z",
    }


def test_more_than_is_available_cannot_be_held() -> None:
    ada = rich()
    ada.holds(200)
    ada.holds(101)
    assert ada.told.reason == "insufficient_points"
    assert ada.told.details["missing"] == 1
    assert ada.held == 200


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"how_many": 5, "currency": "status"}, "unknown_currency"),
        ({"how_many": 5, "currency": "stars"}, "unknown_currency"),
        ({"how_many": 0}, "nothing_to_hold"),
        ({"reward": "yacht"}, "unknown_reward"),
        ({"how_many": 5, "ttl_s": 8 * 86_400}, "hold_too_long"),
    ],
)
def test_what_cannot_be_held_is_refused_with_its_reason(asked: dict[str, Any], reason: str) -> None:
    ada = rich()
    ada.holds(**asked)
    assert (ada.told.status, ada.told.reason) == ("refused", reason)
    assert ada.held == 0


def test_a_member_has_no_more_open_holds_than_the_programme_allows() -> None:
    ada = rich(holds=Holds(most=2))
    first = ada.holds(10)
    ada.holds(10)
    ada.holds(10)
    assert (ada.told.reason, ada.told.details) == ("too_many_holds", {"most": 2})
    ada.voids(first)
    ada.holds(10)
    assert ada.told.status == "accepted"


# Capturing ------------------------------------------------------------------------------------


def test_a_hold_for_a_reward_is_captured_whole_and_gives_the_reward() -> None:
    ada = rich()
    hold = ada.holds(reward="mug")
    assert not ada.shop.store.rewards
    assert ada.captures(hold, 40).reason == "captured_whole_only"
    assert ada.captures(hold).status == "accepted"
    assert (ada.available, ada.held, ada.balance("redeemed")) == (220, 0, 80)
    [reward] = ada.shop.store.rewards
    assert (reward[3], reward[4], reward[6]) == ("mug", "redemption", 80)
    [heard] = ada.heard("points.redeemed")
    assert (heard["hold"], heard["reward"], heard["points"]) == (hold, "mug", 80)
    [entry] = ada.entries("redemption")
    assert (entry.from_bucket, entry.order) == ("held", heard["redemption"])


def test_parts_are_captured_until_nothing_is_left_and_never_more() -> None:
    ada = rich()
    hold = ada.holds(100)
    assert ada.captures(hold, 60).status == "accepted"
    refused = ada.captures(hold, 41)
    assert (refused.reason, refused.details["held"]) == ("more_than_held", 40)
    assert ada.captures(hold, 40).status == "accepted"
    again = ada.captures(hold, 1)
    assert (again.reason, again.details["how"]) == ("hold_ended", "captured")
    assert (ada.available, ada.held, ada.balance("redeemed")) == (200, 0, 100)


def test_a_last_part_gives_back_the_rest_in_the_same_decision() -> None:
    ada = rich()
    hold = ada.holds(100)
    ada.captures(hold, 30, release_rest=True)
    assert (ada.available, ada.held, ada.balance("redeemed")) == (270, 0, 30)
    [released] = ada.heard("points.released")
    assert (released["points"], released["reason"]) == (70, "captured")
    assert ada.captures(hold).reason == "hold_ended"


def test_nobody_s_hold_is_unknown() -> None:
    ada = rich()
    assert ada.captures("h?").reason == "unknown_hold"
    assert ada.voids("h?").reason == "unknown_hold"


def test_a_held_reward_is_kept_from_the_stock_and_counts_against_the_limit() -> None:
    mug = Reward("mug", 80, "points", stock=1, limit=Limit("month", times=1))
    ada = rich(rewards={"mug": mug})
    bob = ada.shop.enrols("bob")
    bob.is_adjusted(300)
    hold = ada.holds(reward="mug")
    bob.holds(reward="mug")
    assert bob.told.reason == "sold_out"
    ada.holds(reward="mug")
    assert [each["code"] for each in ada.told.details["reasons"]] == ["limit_reached", "sold_out"]
    ada.voids(hold)
    assert ada.shop.store.counters == {"stock:mug": (1, 0)}
    hold = bob.holds(reward="mug")
    bob.captures(hold)
    assert ada.shop.store.counters == {"stock:mug": (1, 1)}
    assert bob.redeems("mug").status == "refused"


def test_a_hold_that_lapses_gives_the_piece_back_though_its_limit_s_period_is_over() -> None:
    mug = Reward("mug", 80, "points", stock=1, limit=Limit("day", times=1))
    ada = rich(rewards={"mug": mug})
    ada.holds(reward="mug", at="2011-01-31 23:50")
    ada.is_adjusted(1, "2011-02-01 00:05")
    ada.shop.waits_until("2011-02-01 00:30")
    assert ada.redeems("mug").status == "accepted"
    assert ada.shop.store.counters == {"stock:mug": (1, 1)}


# Giving back ----------------------------------------------------------------------------------


def test_a_voided_hold_gives_back_to_the_lots_that_it_drew_from() -> None:
    ada = rich(points(expiry=end_of_month(2)))
    ada.is_adjusted(50, "2011-02-10")
    before = ada.lots()
    hold = ada.holds(320)
    assert len(ada.lots()) == 1
    ada.voids(hold)
    assert ada.lots() == before
    assert ada.voids(hold).reason == "hold_ended"


def test_the_clock_gives_back_what_is_not_captured_in_time() -> None:
    ada = rich()
    hold = ada.holds(100, "2011-01-03 10:00", ttl_s=600)
    last = at("2011-01-03 10:10")
    assert ada.captures(hold, 30, last - 1).status == "accepted"
    assert ada.captures(hold, 30, last).details["how"] == "lapsed"
    assert ada.ticks() == [("hold_end", last)]
    assert (ada.available, ada.held) == (270, 0)


def test_a_later_version_shortens_no_hold_that_was_made() -> None:
    first = programme(holds=Holds(last_s=7200))
    later = programme(
        version=2, holds_from=at("2011-01-03 10:05"), holds=Holds(last_s=60, longest_s=60)
    )
    ada = Shop(first, later).enrols("ada", NEW_YEAR)
    ada.is_adjusted(50, "2011-01-02")
    hold = ada.holds(50, "2011-01-03 10:00")
    assert ada.captures(hold, 20, at("2011-01-03 11:59")).status == "accepted"
    ada.shop.waits_until("2011-01-03 12:00")
    assert (ada.available, ada.held) == (30, 0)


# Expiry and refunds ---------------------------------------------------------------------------


def test_held_points_do_not_expire_and_those_given_back_late_do_at_once() -> None:
    ada = rich(points(expiry=end_of_month(1)))
    end = at("2011-03-01 00:00")
    hold = ada.holds(100, "2011-02-28 23:50", ttl_s=3600)
    ada.shop.waits_until("2011-03-01 00:10")
    assert (ada.available, ada.held, ada.balance("expired")) == (0, 100, 200)
    assert ada.captures(hold, 60, end + 15 * MINUTE).status == "accepted"
    ada.shop.waits_until("2011-03-01 00:50")
    assert (ada.available, ada.held, ada.balance("expired")) == (0, 0, 240)
    assert [kind for kind, *_ in ada.journal()][-1] == "tick"
    assert [entry.kind for entry in ada.entries()][-2:] == ["release", "expiration"]


def test_on_one_instant_a_hold_ends_before_its_lot_expires() -> None:
    ada = rich(points(expiry=end_of_month(1)))
    ada.holds(100, "2011-02-28 23:30")
    ada.shop.waits_until("2011-03-01 00:00")
    assert [moment for moment, _ in ada.ticks()] == ["hold_end", "expiry"]
    assert ada.balance("expired") == 300


def test_by_policy_points_given_back_late_live_on_for_some_hours() -> None:
    ada = rich(points(expiry=end_of_month(1)), holds=Holds(released_live_s=24 * 3600))
    ada.holds(100, "2011-02-28 23:50", ttl_s=3600)
    ada.shop.waits_until("2011-03-01 00:50")
    until = at("2011-03-01 00:50") + 24 * HOUR
    assert ada.lots() == [(100, until)]
    ada.shop.waits_until(until)
    assert (ada.available, ada.balance("expired")) == (0, 300)


def test_points_that_ended_by_inactivity_while_they_were_held_expire_when_they_come_back() -> None:
    idle = Expiry(Span(months=1), at="exact", moved_by=frozenset({"purchase"}))
    ada = rich(points(expiry=idle), holds=Holds(longest_s=40 * 86_400))
    assert ada.account.idle["points"].ends_at < at("2011-02-10 00:00")
    ada.holds(100, "2011-01-20", ttl_s=30 * 86_400)
    ada.shop.waits_until("2011-02-10")
    assert (ada.available, ada.held, ada.balance("expired")) == (0, 100, 200)
    ada.shop.waits_until("2011-02-20")
    assert (ada.available, ada.held, ada.balance("expired")) == (0, 0, 300)


def test_a_clawback_follows_points_to_their_longer_life() -> None:
    ada = Shop(
        programme(base(), points(expiry=end_of_month(1)), holds=Holds(released_live_s=86_400))
    ).enrols("ada", NEW_YEAR)
    ada.buys("o1", 100_00, at="2011-01-05")
    ada.holds(100, "2011-02-28 23:50")
    ada.shop.waits_until("2011-03-01 00:20")
    ada.is_adjusted(50)
    ada.returns("o1", {1: 1}, at="2011-03-01 08:00")
    assert ada.available == 50
    [reversal] = ada.entries("accrual_reversal")
    assert reversal.lot_from.endswith(str(at("2011-03-01 00:20") + 24 * HOUR))


def test_a_clawback_counts_what_is_held_as_spent_and_it_is_paid_for_when_it_comes_back() -> None:
    ada = Shop(programme(base())).enrols("ada", NEW_YEAR)
    ada.buys("o1", 100_00, at="2011-01-05")
    hold = ada.holds(80)
    ada.cancels("o1")
    assert (ada.available, ada.held, ada.arrears) == (0, 80, 80)
    ada.voids(hold)
    assert (ada.available, ada.held, ada.arrears) == (0, 0, 0)
    assert [entry.kind for entry in ada.entries()][-2:] == ["release", "repayment"]


def test_what_is_captured_after_a_clawback_leaves_the_debt() -> None:
    ada = Shop(programme(base())).enrols("ada", NEW_YEAR)
    ada.buys("o1", 100_00, at="2011-01-05")
    hold = ada.holds(80)
    ada.cancels("o1")
    ada.captures(hold)
    assert (ada.available, ada.held, ada.arrears, ada.balance("redeemed")) == (0, 0, 80, 80)


# The account ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["closed", "erased"])
def test_an_account_that_ends_lets_go_of_its_holds_and_forfeits_all(status: str) -> None:
    ada = rich()
    hold = ada.holds(120)
    ada.becomes(status)
    assert (ada.available, ada.held, ada.balance("forfeited")) == (0, 0, 300)
    assert [entry.kind for entry in ada.entries()][-2:] == ["release", "forfeiture"]
    assert ada.captures(hold).status == "refused"
    assert ada.balance("redeemed") == 0


def test_a_suspended_member_holds_nothing_new_and_keeps_what_was_promised() -> None:
    ada = rich()
    first, second = ada.holds(100), ada.holds(50)
    ada.becomes("suspended")
    ada.holds(10)
    assert ada.told.reason == "account_suspended"
    assert ada.captures(first).status == "accepted"
    assert ada.voids(second).status == "accepted"
    assert (ada.available, ada.balance("redeemed")) == (200, 100)


def test_every_status_answers_what_concerns_holds() -> None:
    new = {"hold", "capture", "void", "extension", "reinstatement"}
    assert new < set(KINDS)
    for status, line in STATUS.items():
        for kind in new:
            what, reason = line[kind]
            assert what in (DECIDE, REFUSE), (status, kind)
            assert bool(reason) == (what == REFUSE)


# Numbers --------------------------------------------------------------------------------------


@given(
    lots=st.lists(st.integers(1, 90), min_size=1, max_size=4),
    parts=st.lists(st.integers(1, 60), max_size=8),
    share=st.integers(1, 100),
    late=st.booleans(),
)
def test_whatever_is_captured_the_parts_and_what_comes_back_are_what_was_held(
    lots: list[int], parts: list[int], share: int, late: bool
) -> None:
    shop = Shop(programme(points(late=Span(days=3), expiry=end_of_month(1))))
    ada = shop.enrols("ada", NEW_YEAR)
    for month, how_many in enumerate(lots, 1):
        ada.is_adjusted(how_many, f"2011-01-{month:02} 12:00")
    had = ada.available
    hold = ada.holds(max(1, had * share // 100), "2011-02-20", ttl_s=5 * 86_400)
    held = ada.held
    spent = 0
    for part in parts:
        outcome = ada.captures(hold, part)
        assert outcome.status == ("accepted" if spent + part <= held else "refused")
        spent += part if outcome.status == "accepted" else 0
    if late:
        shop.waits_until("2011-02-26")
    else:
        ada.voids(hold)
    assert ada.balance("redeemed") == spent
    assert (ada.held, ada.available) == (0, had - spent)
    shop.proves()
