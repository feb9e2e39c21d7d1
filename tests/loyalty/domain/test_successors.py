"""Points of a currency that a version dropped are spent and taken back as its successor's."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.application.queries import Seen
from services.loyalty.domain.calendar import DAY
from services.loyalty.domain.program import (
    Currency,
    Holds,
    Level,
    Program,
    Reward,
    Span,
    Tiers,
    Window,
)
from services.loyalty.domain.tiers import progress
from services.loyalty.http import shown
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    base,
    both,
    programme,
    rate,
    rule,
    tiers,
)

FIRST = programme(rule("base", give={"coins": rate()}), Currency("coins"))
SECOND = programme(
    base(),
    version=2,
    holds_from=at("2011-02-01 00:00"),
    rewards={"eighty": Reward("eighty", 80, "points")},
    transfers=True,
    wait=Span(days=30),
    returns=Span(),
    successors={"currencies": {"coins": "points"}},
)


def _holder() -> Member:
    """100 of the old currency and 20 of the new."""
    ada = Shop(FIRST, SECOND).enrols("ada", "2011-01-01")
    ada.buys("old", 100_00, at="2011-01-05")
    ada.buys("new", 20_00, at="2011-02-05")
    return ada


def _shown(member: Member, program: Program = SECOND) -> list[int]:
    seen = Seen(member.name, member.account, program, at("2011-02-06"), stuck=False)
    [points] = shown.balances(program, seen.account)
    assert {lot.currency for lot in shown.lots(seen).lots} <= {"points"}
    return [points.available, points.arrears]


def test_old_points_are_shown_and_spent_as_new_ones() -> None:
    ada = _holder()
    assert _shown(ada) == [120, 0]
    assert ada.redeems("eighty", "2011-02-06").status == "accepted"
    assert _shown(ada) == [40, 0]
    assert ada.redeems("eighty", "2011-02-07").details["missing"] == 40
    assert ada.is_adjusted(-30, "2011-02-08").status == "accepted"
    assert _shown(ada) == [10, 0]
    ada.shop.proves()


def test_a_refund_of_an_old_order_takes_new_points_where_the_old_are_spent() -> None:
    ada = _holder()
    ada.redeems("eighty", "2011-02-06")
    ada.returns("old", {1: 1}, at="2011-02-07")
    assert _shown(ada) == [0, 60]
    ada.buys("more", 70_00, at="2011-02-08")
    assert _shown(ada) == [10, 0], "what is owed is owed in points that one can still earn"
    ada.shop.proves()


def test_what_was_owed_in_old_points_is_paid_from_new_ones() -> None:
    first = programme(
        rule("base", give={"coins": rate()}),
        Currency("coins"),
        rewards={"eighty": Reward("eighty", 80, "coins")},
    )
    ada = Shop(first, SECOND).enrols("ada", "2011-01-01")
    ada.buys("old", 100_00, at="2011-01-05")
    ada.redeems("eighty", "2011-01-06")
    ada.returns("old", {1: 1}, at="2011-01-07")
    assert ada.account.arrears == {"coins": 80}
    ada.buys("new", 30_00, at="2011-02-05")
    assert (ada.account.arrears, _shown(ada)) == ({"coins": 50}, [0, 50])
    paid = [(one.currency, one.kind, one.points) for one in ada.entries()[-3:]]
    assert paid == [
        ("points", "repayment", 30),
        ("points", "arrears", 30),
        ("coins", "repayment", 30),
    ]
    ada.buys("more", 70_00, at="2011-02-06")
    assert (ada.account.arrears, _shown(ada)) == ({}, [20, 0])
    ada.shop.proves()


def test_old_points_that_a_hold_gives_back_pay_what_is_owed_in_new_ones() -> None:
    first = replace(FIRST, holds=Holds(last_s=60 * 86_400, longest_s=90 * 86_400))
    ada = Shop(first, SECOND).enrols("ada", "2011-01-01")
    ada.buys("old", 100_00, at="2011-01-05")
    hold = ada.holds(100, "2011-01-06", currency="coins")
    ada.returns("old", {1: 1}, at="2011-02-07")
    assert (ada.account.arrears, ada.account.held("coins")) == ({"points": 100}, 100)
    ada.voids(hold)
    assert (ada.account.arrears, _shown(ada)) == ({}, [0, 0])
    ada.shop.proves()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["buys", "returns", "redeems", "holds", "voids", "waits"]),
            st.integers(1, 90),
        ),
        max_size=16,
    )
)
def test_nobody_owes_and_has_points_of_a_currency_and_its_successor(
    steps: list[tuple[str, int]],
) -> None:
    first = replace(FIRST, holds=Holds(last_s=60 * 86_400, longest_s=90 * 86_400))
    shop = Shop(first, SECOND)
    ada = shop.enrols("ada", "2011-01-01")
    orders, holds = [], []
    for number, (what, points) in enumerate(steps):
        after = shop.clock.at >= SECOND.holds_from
        if what == "buys":
            ada.buys(f"o{number}", points * 100)
            orders.append(f"o{number}")
        elif what == "returns" and orders:
            ada.cancels(orders.pop(points % len(orders)))
        elif what == "redeems" and after:
            ada.redeems("eighty")
        elif what == "holds":
            holds.append(ada.holds(points, currency="points" if after else "coins"))
        elif what == "voids" and holds:
            ada.voids(holds.pop(points % len(holds)))
        elif what == "waits":
            shop.waits_until(shop.clock.at + points * DAY // 4)
        shown = _shown(ada)
        assert not (shown[0] and shown[1])
        assert all(owed > 0 for owed in ada.account.arrears.values())
    shop.proves()


def test_old_points_are_given_away_and_arrive() -> None:
    ada = _holder()
    bob = ada.shop.enrols("bob", "2011-02-06")
    assert ada.gives("bob", 110, "2011-02-07").status == "accepted"
    ada.shop.delivers_derived()
    assert (_shown(ada), _shown(bob)) == ([10, 0], [110, 0])
    for currency in ("coins", "points"):
        assert ada.shop.auditor.in_transit(currency) == 0
    ada.shop.proves()


def test_what_was_earned_towards_tiers_goes_on_counting() -> None:
    first = programme(both(), tiers())
    second = programme(
        rule("base", give={"miles": rate()}),
        Currency("miles", qualifies=True, window=Window("rolling", 3)),
        Tiers("miles", (Level("basic", 0), Level("silver", 1000)), kept=Span(months=3)),
        version=2,
        holds_from=at("2011-02-01 00:00"),
        successors={"currencies": {"status": "miles"}},
    )
    ada = Shop(first, second).enrols("ada", "2011-01-01")
    ada.buys("old", 900_00, at="2011-01-05")
    ada.buys("new", 100_00, at="2011-02-05")
    assert ada.tier == "silver"
    shown = progress(second, ada.account, at("2011-02-06"))
    assert shown is not None
    assert shown.counted == {"miles": 1000}
    ada.returns("old", {1: 1}, at="2011-02-07")
    assert ada.tier == "basic"
    ada.shop.proves()
