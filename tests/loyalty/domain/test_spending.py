"""Redemptions, adjustments and transfers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.loyalty.domain.account import Account, Lot
from services.loyalty.domain.activity import Tick
from services.loyalty.domain.calendar import DAY, NEVER
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import NO_FACTS
from services.loyalty.domain.program import Pending, Program, Reward, Span
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    base,
    both,
    decision_of,
    end_of_month,
    points,
    programme,
    tiers,
)

REWARDS = {
    "mug": Reward("mug", 300, "points"),
    "lounge": Reward("lounge", 10, "points", tier=frozenset({"gold", "silver"})),
    "card": Reward("card", gift_only=True),
}


def rich(how_many: int, **more: object) -> Member:
    """A member with so many points to spend."""
    ada = Shop(programme(both(), tiers(), rewards=REWARDS, **more)).enrols("ada")  # type: ignore[arg-type]  # passed on
    ada.is_adjusted(how_many)
    return ada


# Redemptions ----------------------------------------------------------------------------------


def test_a_reward_is_issued_at_its_cost() -> None:
    ada = rich(500)
    outcome = ada.redeems("mug")
    assert outcome.status == "accepted"
    assert (ada.available, ada.balance("redeemed")) == (200, 300)
    [reward] = decision_of(outcome).rewards
    assert (reward.reward, reward.how, reward.points) == ("mug", "redemption", 300)
    assert ada.heard("reward.issued")[0]["reward"] == "mug"
    assert ada.heard("points.redeemed")[0]["points"] == 300


def test_a_refusal_says_how_many_points_are_missing() -> None:
    ada = rich(120)
    outcome = ada.redeems("mug")
    assert (outcome.status, outcome.reason) == ("refused", "insufficient_points")
    facts = {"currency": "points", "cost": 300, "available": 120, "missing": 180}
    reasons = [{"code": "insufficient_points", **facts}]
    assert outcome.details == {**facts, "reasons": reasons}
    assert ada.available == 120


def test_a_reward_may_be_for_some_tiers_only() -> None:
    ada = rich(20)
    outcome = ada.redeems("lounge")
    assert (outcome.reason, outcome.details["tiers"]) == ("tier_too_low", ["gold", "silver"])
    ada.buys("o1", 1000_00)
    assert ada.redeems("lounge").status == "accepted"


def test_what_is_only_ever_a_gift_cannot_be_bought() -> None:
    ada = rich(20)
    assert ada.redeems("card").reason == "unknown_reward"
    assert ada.redeems("none").reason == "unknown_reward"


def test_pending_points_are_not_spent() -> None:
    shop = Shop(programme(base(), points(pending=Pending(Span(days=9))), rewards=REWARDS))
    ada = shop.enrols("ada")
    ada.buys("o1", 400_00)
    assert ada.redeems("mug").details["missing"] == 300


# Adjustments ----------------------------------------------------------------------------------


def test_an_adjustment_grants_or_takes_with_a_reason_and_an_actor() -> None:
    ada = rich(100)
    outcome = ada.is_adjusted(-40)
    assert ada.available == 60
    assert decision_of(outcome).trace == {"actor": "ops"}
    assert {entry.cause for entry in ada.entries("adjustment")} == {"goodwill"}
    assert [told["points"] for told in ada.heard("points.adjusted")] == [100, -40]


def test_an_adjustment_never_takes_more_than_there_is() -> None:
    ada = rich(100)
    assert ada.is_adjusted(-130).details == {"currency": "points", "missing": 30}
    assert ada.is_adjusted(0).reason == "nothing_to_adjust"
    assert ada.is_adjusted(5, currency="status").reason == "unknown_currency"
    assert ada.is_adjusted(5, currency="gems").reason == "unknown_currency"


def test_granted_points_expire_as_if_earned_now() -> None:
    ada = Shop(programme(base(), points(expiry=end_of_month(2)))).enrols("ada")
    ada.is_adjusted(10, at="2011-01-15")
    assert ada.lots() == [(10, at("2011-04-01 00:00"))]


# Transfers ------------------------------------------------------------------------------------


def test_a_transfer_reaches_the_other_member_with_its_expiry() -> None:
    shop = Shop(programme(base(), points(expiry=end_of_month(2)), transfers=True))
    ada, bob = shop.enrols("ada"), shop.enrols("bob")
    ada.buys("o1", 50_00, at="2011-01-15")
    ada.gives("bob", 30, at="2011-02-15")
    assert (ada.available, shop.auditor.in_transit("points")) == (20, 30)
    shop.delivers_derived()
    assert bob.lots() == [(30, at("2011-04-01 00:00"))]
    assert shop.auditor.in_transit("points") == 0
    assert [told["points"] for told in ada.heard("points.transferred")] == [-30]
    assert [told["points"] for told in bob.heard("points.transferred")] == [30]
    shop.proves()


def test_a_transfer_that_is_refused_finds_its_way_back() -> None:
    shop = Shop(programme(base(), points(expiry=end_of_month(2)), transfers=True, returns=Span()))
    ada, bob = shop.enrols("ada"), shop.enrols("bob")
    bob.becomes("closed")
    ada.buys("o1", 50_00, at="2011-01-15")
    ada.gives("bob", 30)
    shop.delivers_derived()
    assert ada.lots() == [(50, at("2011-04-01 00:00"))]
    assert (shop.auditor.in_transit("points"), bob.available) == (0, 0)
    assert [told["points"] for told in ada.heard("points.transferred")] == [-30, 30]


def test_a_transfer_repays_what_the_other_member_owes() -> None:
    shop = Shop(programme(base(), rewards=REWARDS, transfers=True))
    ada, bob = shop.enrols("ada"), shop.enrols("bob")
    bob.buys("o1", 300_00)
    bob.redeems("mug")
    bob.cancels("o1")
    ada.is_adjusted(400)
    ada.gives("bob", 350)
    shop.delivers_derived()
    assert (bob.arrears, bob.available) == (0, 50)


def test_a_transfer_that_came_too_late_expires_where_it_arrives() -> None:
    shop = Shop(programme(base(), points(expiry=end_of_month(1)), transfers=True))
    ada, bob = shop.enrols("ada"), shop.enrols("bob")
    ada.buys("o1", 50_00, at="2011-01-15")
    ada.gives("bob", 50, at="2011-02-20")
    shop.clock.at = at("2011-03-05")
    shop.delivers_derived()
    assert (bob.available, bob.balance("expired")) == (0, 50)


def test_transfers_are_off_unless_the_programme_has_them() -> None:
    assert rich(50).gives("bob", 10).reason == "transfers_not_allowed"
    ada = rich(50, transfers=True)
    assert ada.gives("bob", 60).details == {"currency": "points", "missing": 10}
    assert ada.gives("bob", 0).reason == "nothing_to_transfer"


# Draws ----------------------------------------------------------------------------------------

lots = st.lists(
    st.tuples(st.sampled_from([30, 60, 90, None]), st.integers(1, 500), st.sampled_from([0, 20])),
    max_size=8,
)


def _draft(program: Program, made: list[tuple[int | None, int, int]]) -> Draft:
    activity = Activity(Tick("expiry", DAY), DAY, DAY)
    draft = Draft(program, Account(), activity, NO_FACTS, occurred_at=DAY, effective_at=DAY)
    for ends, how_many, activates in made:
        expires_at = NEVER if ends is None else ends * DAY
        draft.put(Lot("points", "1970-01", expires_at, activates * DAY, "", how_many, how_many))
    return draft


@settings(deadline=None)
@given(made=lots, asked=st.integers(1, 3000))
def test_a_draw_takes_exactly_what_was_asked_or_all_there_is_soonest_first(
    made: list[tuple[int | None, int, int]], asked: int
) -> None:
    draft = _draft(programme(base()), made)
    before = draft.available("points")
    waiting = [lot for lot in draft.lots if lot.activates_at]
    draws = draft.draw("points", asked)
    assert sum(taken for _, taken in draws) == min(asked, before)
    assert draft.available("points") == before - min(asked, before)
    ends = [lot.expires_at for lot, _ in draws]
    assert ends == sorted(ends)
    assert [lot for lot in draft.lots if lot.activates_at] == waiting
    left = [lot.expires_at for lot in draft.lots if not lot.activates_at]
    assert not draws or not left or min(left) >= ends[-1]


@settings(deadline=None)
@given(made=lots)
def test_lots_of_one_key_are_one_lot(made: list[tuple[int | None, int, int]]) -> None:
    draft = _draft(programme(base()), made)
    assert len({lot.key for lot in draft.lots}) == len(draft.lots)
    assert sum(lot.points for lot in draft.lots) == sum(how_many for _, how_many, _ in made)
    assert all(draft.lots[draft.find_lot(lot.key)] == lot for lot in draft.lots)
