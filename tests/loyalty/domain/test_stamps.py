"""Stamps, streaks and challenges: what fills a card, what a full one gives, and what comes back."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.calendar import NEVER
from services.loyalty.domain.program import Filter, Gift, Level, Limit, Rule, Span, Stamps, Tiers
from tests.loyalty.domain.shop import (
    LONDON,
    Member,
    Shop,
    at,
    base,
    both,
    line,
    missed,
    points,
    programme,
    rule,
)


def card(name: str = "six", **more: Any) -> Stamps:
    """A card of three stamps for purchases, unless more says otherwise."""
    look = more.pop("look", {})
    terms: dict[str, Any] = {"collect": 3, "points": {"points": 500}}
    terms["events"] = frozenset({"purchase"})
    return Stamps(
        name,
        Rule(name, "purchase", (), **look),
        Rule(name, "engagement", ()),
        zone=LONDON,
        **(terms | more),
    )


def shop(*cards: Stamps, **more: Any) -> Shop:
    return Shop(programme(base(), points(), stamps=cards, **more))


def hand(member: Member, name: str = "six") -> int:
    held = member.account.cards.get(name)
    return len(held.stamps) if held else 0


def outcomes(member: Member) -> list[str]:
    return [told["outcome"] for told in member.heard("stamp.returned")]


# Cards ----------------------------------------------------------------------------------------


def test_the_last_stamp_fills_the_card_and_a_new_one_begins() -> None:
    ada = shop(card(rewards=("tea",))).enrols("ada")
    for day in (1, 2, 3, 4):
        ada.buys(f"o{day}", 10_00, at=f"2011-01-0{day}")
    assert ada.available == 40 + 500
    assert hand(ada) == 1
    assert ada.heard("stamp.filled") == [{"card": "six", "times": 1}]
    assert [told["collected"] for told in ada.heard("stamp.collected")] == [1, 2, 3, 1]
    assert [told["reward"] for told in ada.heard("reward.issued")] == ["tea"]
    ada.shop.proves()


def test_a_purchase_below_the_least_spend_earns_no_stamp() -> None:
    ada = shop(card(look={"min_spend": {"GBP": 25_00}})).enrols("ada")
    assert missed(ada.buys("o1", 24_99))["six"] == "below_min_spend"
    ada.buys("o2", 25_00)
    assert hand(ada) == 1


def test_each_stamp_lives_for_its_own_time() -> None:
    ada = shop(card(within=Span(months=1))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    ada.buys("o2", 10_00, at="2011-01-20")
    ada.shop.waits_until("2011-02-07")
    assert hand(ada) == 1
    assert ada.heard("stamp.lapsed") == [{"card": "six", "lapsed": 1, "collected": 1}]
    ada.buys("o3", 10_00, at="2011-02-10")
    ada.buys("o4", 10_00, at="2011-02-11")
    assert ada.heard("stamp.filled") == [{"card": "six", "times": 1}]
    ada.shop.proves()


def test_a_stamp_that_would_have_lapsed_before_it_reached_us_is_none() -> None:
    ada = shop(card(within=Span(days=10))).enrols("ada")
    ada.engages("app.opened", at="2011-01-31")
    late = ada.buys("o1", 10_00, at="2011-01-05", known_at="2011-02-01")
    assert missed(late)["six"] == "too_late"
    assert hand(ada) == 0


def test_a_card_may_be_filled_as_often_as_its_limit_says() -> None:
    ada = shop(card(limit=Limit("lifetime", times=1))).enrols("ada")
    for day in (1, 2, 3):
        ada.buys(f"o{day}", 10_00, at=f"2011-01-0{day}")
    assert missed(ada.buys("o4", 10_00))["six"] == "limit_reached"
    assert hand(ada) == 0


# Streaks --------------------------------------------------------------------------------------


def test_a_streak_has_one_stamp_a_week_and_no_gap() -> None:
    ada = shop(card(every="week")).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-03")
    ada.buys("o2", 10_00, at="2011-01-05")
    assert hand(ada) == 1
    ada.buys("o3", 10_00, at="2011-01-16")
    assert hand(ada) == 2
    ada.shop.waits_until("2011-01-24 00:00")
    assert hand(ada) == 0
    assert ada.heard("stamp.lapsed") == [{"card": "six", "lapsed": 2, "collected": 0}]
    for day in ("01-25", "02-02", "02-07"):
        ada.buys(f"o{day}", 10_00, at=f"2011-{day}")
    assert ada.heard("stamp.filled") == [{"card": "six", "times": 1}]


def test_the_week_that_filled_a_streak_does_not_begin_the_next() -> None:
    ada = shop(card(every="week")).enrols("ada")
    for day in ("03", "10", "17"):
        ada.buys(f"o{day}", 10_00, at=f"2011-01-{day}")
    assert missed(ada.buys("o4", 10_00, at="2011-01-18"))["six"] == "counted_already"
    ada.returns("o17", {1: 1}, at="2011-01-19")  # the week has another order
    assert outcomes(ada) == []
    ada.returns("o4", {1: 1}, at="2011-01-20")
    assert outcomes(ada) == ["undone"]
    assert ada.available == 20


def test_a_refund_in_the_middle_of_a_streak_leaves_what_follows_it() -> None:
    ada = shop(card(every="week", collect=4)).enrols("ada")
    for day in ("03", "10", "17"):
        ada.buys(f"o{day}", 10_00, at=f"2011-01-{day}")
    ada.returns("o10", {1: 1}, at="2011-01-18")
    assert hand(ada) == 1
    ada.shop.proves()


# Challenges -----------------------------------------------------------------------------------


def test_a_challenge_wants_what_differs() -> None:
    rooms = card(different="category", look={"filter": Filter(category=frozenset("abc"))})
    ada = shop(rooms).enrols("ada")
    ada.buys("o1", line(1, 10_00, category="a"), line(2, 10_00, category="b"))
    ada.buys("o2", line(1, 10_00, category="b"), line(2, 10_00, category="z"))
    assert hand(ada) == 2
    ada.returns("o1", {2: 1})  # another order has b
    assert hand(ada) == 2
    ada.buys("o3", line(1, 10_00, category="c"))
    assert len(ada.heard("stamp.filled")) == 1


def test_a_challenge_may_mix_purchases_and_engagements() -> None:
    both = card(
        different="kind",
        events=frozenset({"purchase", "engagement"}),
        kinds=frozenset({"product.reviewed", "social.shared"}),
        badges=("explorer",),
    )
    ada = shop(both).enrols("ada")
    ada.engages("product.reviewed")
    ada.engages("product.reviewed")
    ada.engages("app.opened")
    ada.buys("o1", 10_00)
    ada.engages("social.shared")
    assert len(ada.heard("stamp.filled")) == 1
    assert ada.heard("badge.given") == [{"badge": "explorer", "by": "six"}]


# What comes back ------------------------------------------------------------------------------


def test_a_refund_takes_the_stamp_of_its_order_back() -> None:
    ada = shop(card(look={"min_spend": {"GBP": 10_00}})).enrols("ada")
    ada.buys("o1", line(1, 10_00, 2))
    ada.returns("o1", {1: 1})
    assert hand(ada) == 1
    ada.returns("o1", money={1: 1})
    assert (hand(ada), outcomes(ada)) == (0, ["taken"])
    ada.returns("o1", money={1: 1})
    assert outcomes(ada) == ["taken"]


def test_a_full_card_takes_a_stamp_from_those_in_hand() -> None:
    ada = shop(card()).enrols("ada")
    for day in (1, 2, 3, 4):
        ada.buys(f"o{day}", 10_00, at=f"2011-01-0{day}")
    ada.cancels("o2")
    assert (hand(ada), outcomes(ada), ada.available) == (0, ["replaced"], 530)
    ada.cancels("o4")
    assert (hand(ada), outcomes(ada)[-1], ada.available) == (2, "undone", 20)
    ada.buys("o5", 10_00)
    assert ada.available == 30 + 500
    ada.shop.proves()


def test_what_a_full_card_gave_beside_points_stays_and_is_named() -> None:
    ada = shop(card(rewards=("tea",), limit=Limit("lifetime", times=1))).enrols("ada")
    for day in (1, 2, 3):
        ada.buys(f"o{day}", 10_00, at=f"2011-01-0{day}")
    ada.cancels("o1")
    assert ada.heard("stamp.returned")[0]["rewards_kept"] == ["tea"]
    assert ada.heard("points.clawed-back")[-1]["points"] == {"points": 500}
    ada.buys("o4", 10_00)
    assert len(ada.heard("stamp.filled")) == 2  # its limit was given back


def test_a_programme_may_let_a_full_card_stand() -> None:
    ada = shop(card(on_refund="keep")).enrols("ada")
    for day in (1, 2, 3):
        ada.buys(f"o{day}", 10_00, at=f"2011-01-0{day}")
    ada.cancels("o1")
    assert (outcomes(ada), ada.available) == (["kept"], 520)


def test_a_full_card_is_final_once_the_return_window_has_passed() -> None:
    ada = shop(card(), returns=Span(days=10)).enrols("ada")
    for day in (1, 2, 3):
        ada.buys(f"o{day}", 10_00, at=f"2011-01-0{day}")
    ada.cancels("o1", at="2011-01-20")
    assert (outcomes(ada), ada.available) == ([], 520)
    assert ada.account.cards["six"].full == []


@given(
    collect=st.integers(1, 4),
    back=st.lists(st.integers(0, 7), max_size=8),
    within=st.sampled_from([None, Span(days=3), Span(days=30)]),
)
def test_what_is_given_is_what_the_orders_kept_would_give(
    collect: int, back: list[int], within: Span | None
) -> None:
    """With refunds inside the window, and no stamp lapsing, whole cards count what is kept."""
    ada = shop(card(collect=collect, within=within)).enrols("ada")
    for order in range(8):
        ada.buys(f"o{order}", 10_00, at="2011-01-05")
    for order in back:
        ada.cancels(f"o{order}", at="2011-01-06")
    kept = 8 - len(set(back))
    assert ada.balance("available") == 10 * kept + 500 * (kept // collect)
    assert hand(ada) == kept % collect
    assert ada.account.cards["six"].filled == kept // collect
    ada.shop.proves()


# Badges ---------------------------------------------------------------------------------------


def test_a_badge_is_given_once() -> None:
    reviewer = rule("review", "engagement", give={}, of="product.reviewed", badge="reviewer")
    ada = Shop(programme(base(), reviewer)).enrols("ada")
    ada.engages("product.reviewed", at="2011-01-05")
    ada.engages("product.reviewed")
    assert ada.heard("badge.given") == [{"badge": "reviewer", "by": "review"}]
    assert ada.account.badges == {"reviewer": at("2011-01-05")}


def test_a_level_and_a_gift_may_give_a_badge() -> None:
    levels = (Level("basic", 0), Level("silver", 1000, badge="silvery"))
    steps = Tiers("status", levels, kept=Span(months=3))
    gift = Gift("birthday", "birthday", {"points": 5}, badges=("celebrated",))
    of = Shop(programme(both(), steps, gifts=(gift,)))
    ada = of.enrols("ada", born_on=date(1980, 3, 1))
    ada.buys("o1", 1000_00, at="2011-01-05")
    of.waits_until("2011-03-02")
    given = [(told["badge"], told["by"]) for told in ada.heard("badge.given")]
    assert given == [("silvery", "silver"), ("celebrated", "birthday")]
    ada.cancels("o1")
    assert ada.tier == "basic"
    assert set(ada.account.badges) == {"silvery", "celebrated"}


def test_a_stamp_without_an_end_makes_no_moment() -> None:
    ada = shop(card()).enrols("ada")
    ada.buys("o1", 10_00)
    assert ada.account.cards["six"].stamps[0].ends_at == NEVER
    assert ada.shop.store.accounts["ada"].due_at is None
