"""What rising to a level gives, and what of it goes back with a return that undoes the rise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.loyalty.application.drafting import Birth, Difference, Draft, compare
from services.loyalty.domain.activity import Amended, Blocked, Cancelled, TierGiven
from services.loyalty.domain.chain import JournalRow
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.level_gifts import would_give
from services.loyalty.domain.mistakes import ProgramMistakes
from services.loyalty.domain.program import Pending, Program, Reward, Span, Tiers, VoucherTerms
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    both,
    decision_of,
    missed,
    points,
    programme,
    purchase,
    status,
    tiers,
)
from tests.loyalty.domain.shop import line as of

REWARDS = {
    "five-off": Reward(
        "five-off", gift_only=True, voucher=VoucherTerms(Span(days=200), "GBP", 500)
    ),
    "hamper": Reward("hamper", gift_only=True, voucher=VoucherTerms(item="hamper"), stock=2),
    "mug": Reward("mug", gift_only=True),
}


def giving(plan: Tiers | None = None, **more: Any) -> Tiers:
    """Silver gives 100 points and a voucher, gold 400 points, a hamper of two and a mug."""
    plan = plan or tiers(**more)
    basic, silver, gold = plan.levels
    return replace(
        plan,
        levels=(
            basic,
            replace(silver, points={"points": 100}, rewards=("five-off",), badge="silvery"),
            replace(gold, points={"points": 400}, rewards=("hamper", "mug")),
        ),
    )


def program(plan: Tiers | None = None, /, *parts: Any, **more: Any) -> Program:
    return programme(both(), plan or giving(), *parts, rewards=REWARDS, **more)


def joined(*versions: Program) -> Member:
    return Shop(*(versions or (program(),))).enrols("ada", "2010-12-02")


def vouchers(member: Member) -> list[tuple[str, str]]:
    return [(voucher.reward, voucher.state) for voucher in member.vouchers()]


# Given ----------------------------------------------------------------------------------------


def test_rising_gives_points_and_rewards() -> None:
    ada = joined()
    outcome = ada.buys("o1", 1000_00, at="2011-01-05")
    assert ada.tier == "silver"
    assert ada.available == 1000 + 100
    [voucher] = ada.vouchers()
    assert (voucher.reward, voucher.how, voucher.by) == ("five-off", "tier", "silver")
    assert ada.heard("reward.issued")[0]["tier"] == "silver"
    assert ada.heard("points.accrued")[-1]["activity"] == "tier"
    assert decision_of(outcome).trace["level_gifts"] == [
        {"level": "silver", "points": {"points": 100}, "rewards": ["five-off"]}
    ]
    ada.shop.proves()


def test_a_leap_gives_what_the_levels_on_the_way_give() -> None:
    ada = joined()
    ada.buys("o1", 5000_00, at="2011-01-05")
    assert ada.available == 5000 + 100 + 400
    assert vouchers(ada) == [("five-off", "open"), ("hamper", "open")]
    assert set(ada.account.badges) == {"silvery"}


def test_a_renewal_gives_nothing_and_a_new_rise_after_a_fall_does() -> None:
    ada = joined()
    ada.buys("o1", 1000_00, at="2011-01-05")
    ada.buys("o2", 1000_00, at="2011-03-05")  # keeps silver beyond its first period
    assert len(ada.vouchers()) == 1
    ada.shop.waits_until("2011-09-01")
    assert ada.tier == "basic"
    assert ada.account.affairs.level_gifts == []
    ada.buys("o3", 1000_00, at="2011-09-05")
    assert len(ada.vouchers()) == 2


def test_a_level_given_by_hand_gives_only_where_the_programme_says_so() -> None:
    ada = joined()
    outcome = ada.does(TierGiven("gold", 0, "match", "ops"), "2011-01-05")
    assert (ada.available, ada.vouchers()) == (0, [])
    assert missed(outcome) == {"gold": "other_way_of_rising"}
    both_ways = giving(give_when=frozenset({"reached", "manual"}))
    bob = Shop(program(both_ways)).enrols("bob", "2010-12-02")
    bob.does(TierGiven("gold", 0, "match", "ops"), "2011-01-05")
    assert (bob.available, vouchers(bob)) == (400, [("hamper", "open")])
    bob.shop.proves()


@pytest.mark.parametrize(("give_when", "given"), [("reached", 0), ("rules_changed", 1)])
def test_a_change_of_the_tiers_gives_only_where_it_says_so(give_when: str, given: int) -> None:
    lower = giving(on_change="rise_at_once", give_when=frozenset({give_when}))
    basic, silver, gold = lower.levels
    lower = replace(lower, levels=(basic, replace(silver, threshold=500, needs=()), gold))
    new = program(lower, version=2, holds_from=at("2011-01-10"))
    ada = joined(program(), new)
    ada.buys("o1", 600_00, at="2011-01-05")
    ada.shop.waits_until("2011-01-11")
    assert ada.tier == "silver"
    assert len(ada.vouchers()) == given


def test_what_a_level_gives_is_no_change_of_the_tiers() -> None:
    more = giving(on_change="judge_at_once")
    ada = joined(program(tiers()), program(more, version=2, holds_from=at("2011-01-10")))
    ada.buys("o1", 1000_00, at="2011-01-05")
    ada.shop.waits_until("2011-01-20")
    assert "tier_review" not in dict(ada.ticks())


def test_blocked_earning_gives_nothing() -> None:
    both_ways = giving(give_when=frozenset({"manual"}))
    ada = joined(program(both_ways))
    ada.does(Blocked("earning", True, "fraud", "ops"), "2011-01-04")
    outcome = ada.does(TierGiven("gold", 0, "match", "ops"), "2011-01-05")
    assert (ada.available, missed(outcome)) == (0, {"gold": "earning_blocked"})


# Taken back -----------------------------------------------------------------------------------


def test_a_return_that_undoes_the_rise_withdraws_what_is_unused() -> None:
    ada = joined()
    ada.buys("o1", 1000_00, at="2011-01-05")
    outcome = ada.cancels("o1", "2011-01-06")
    assert (ada.tier, ada.available, ada.owed) == ("basic", 0, 0)
    [voucher] = ada.vouchers()
    assert (voucher.state, voucher.reason) == ("voided", "tier_undone")
    told = {
        "level": "silver",
        "order": "o1",
        "points": {"points": 100},
        "vouchers_voided": [voucher.id],
        "rewards_kept": [],
    }
    assert ada.heard("tier.undone") == [told]
    assert decision_of(outcome).trace["level_gifts_undone"] == [told]
    assert ada.account.affairs.level_gifts == []
    assert set(ada.account.badges) == {"silvery"}
    ada.shop.proves()


def test_what_was_used_is_kept_and_said() -> None:
    ada = joined()
    ada.buys("o1", 5000_00, at="2011-01-05")
    ada.uses(ada.vouchers()[0].id)
    ada.cancels("o1", "2011-01-07")
    assert vouchers(ada) == [("five-off", "used"), ("hamper", "voided")]
    silver, gold = ada.heard("tier.undone")
    assert (silver["level"], silver["rewards_kept"]) == ("silver", ["five-off"])
    assert (gold["level"], gold["rewards_kept"]) == ("gold", ["mug"])
    ada.shop.proves()


def test_points_that_were_spent_go_back_by_the_policy_of_their_currency() -> None:
    ada = joined(
        programme(
            both(),
            giving(),
            rewards={**REWARDS, "tea": Reward("tea", 1050, "points")},
        )
    )
    ada.buys("o1", 1000_00, at="2011-01-05")
    ada.redeems("tea")
    ada.cancels("o1", "2011-01-07")
    assert (ada.available, ada.arrears) == (0, 1050)
    assert sum(told["points"]["points"] for told in ada.heard("points.clawed-back")) == 1100


def test_only_the_level_that_is_lost_gives_back() -> None:
    ada = joined()
    ada.buys("o1", 2000_00, at="2011-01-05")
    ada.buys("o2", 3000_00, at="2011-01-06")
    assert ada.tier == "gold"
    ada.cancels("o2", "2011-01-07")
    assert (ada.tier, vouchers(ada)) == ("silver", [("five-off", "open"), ("hamper", "voided")])
    assert [told["level"] for told in ada.heard("tier.undone")] == ["gold"]


def test_buying_returning_and_buying_again_gives_anew_only_what_went_back() -> None:
    ada = joined()
    ada.buys("o1", 5000_00, at="2011-01-05")
    ada.uses(ada.vouchers()[0].id)
    ada.cancels("o1", "2011-01-07")
    ada.buys("o2", 5000_00, at="2011-01-08")
    assert vouchers(ada) == [("five-off", "used"), ("hamper", "voided"), ("hamper", "open")]
    assert ada.available == 5000 + 100 + 400
    assert [each["reward"] for each in ada.heard("reward.issued")].count("mug") == 1
    ada.cancels("o2", "2011-01-09")
    assert vouchers(ada)[-1] == ("hamper", "voided")
    ada.shop.proves()


def test_what_the_next_level_would_give_is_known_beforehand() -> None:
    ada = joined()
    plan = ada.shop.programs.at(ada.account.as_of)
    assert plan.tiers is not None
    silver = plan.tiers.levels[1]

    def next_gives() -> tuple[dict[str, int], list[str]]:
        return would_give(plan, ada.account.affairs, silver, ada.shop.clock.at)

    assert next_gives() == ({"points": 100}, ["five-off"])
    ada.buys("o1", 1000_00, at="2011-01-05")
    assert next_gives() == ({}, [])
    ada.uses(ada.vouchers()[0].id)
    ada.cancels("o1")
    assert next_gives() == ({"points": 100}, [])


def test_once_the_period_is_over_nothing_goes_back() -> None:
    ada = joined(program(giving(tiers(kept=Span(days=10)))))
    ada.buys("o1", 1000_00, at="2011-01-05")
    ada.buys("o2", 1000_00, at="2011-01-10")
    ada.shop.waits_until("2011-01-17")  # the second reach holds silver up now
    ada.cancels("o1", "2011-01-18")
    ada.cancels("o2", "2011-01-18 13:00")
    assert (ada.tier, vouchers(ada)) == ("basic", [("five-off", "open")])
    assert ada.available == 100


def test_a_level_that_another_window_holds_up_gives_nothing_back() -> None:
    ada = joined()
    ada.buys("o1", 1000_00, at="2011-01-05")
    ada.buys("o2", 1000_00, at="2011-02-05")
    ada.cancels("o1", "2011-02-06")
    assert (ada.tier, vouchers(ada)) == ("silver", [("five-off", "open")])


def test_an_amendment_undoes_a_rise_and_makes_another() -> None:
    ada = joined()
    ada.buys("o1", of(1, 1000_00), at="2011-01-05")
    ada.does(Amended("o1", "GBP", [of(1, 999_00)]), "2011-01-06")
    assert vouchers(ada) == [("five-off", "voided")]
    ada.does(Amended("o1", "GBP", [of(1, 999_00), of(2, 1_00)]), "2011-01-07")
    assert vouchers(ada) == [("five-off", "voided"), ("five-off", "open")]
    ada.shop.proves()


def test_a_purchase_and_its_return_in_one_batch_meet() -> None:
    ada = joined()
    shop = ada.shop
    shop.clock.at = at("2011-01-05")
    bought = shop.incoming("ada", purchase("o1", 1000_00), at("2011-01-05"))
    back = shop.incoming("ada", Cancelled("o1"), at("2011-01-05"))
    shop.records(bought, back)
    assert vouchers(ada) == [("five-off", "voided")]
    shop.proves()


def test_what_waited_rises_when_it_is_activated() -> None:
    waits = status(pending=Pending(Span(days=5)), counts="when_activated")
    slow = points(pending=Pending(Span(days=5)))
    ada = joined(program(giving(), waits, slow))
    ada.buys("o1", 5000_00, at="2011-01-05")
    assert ada.vouchers() == []
    ada.shop.waits_until("2011-01-12")
    assert vouchers(ada) == [("five-off", "open"), ("hamper", "open")]
    ada.cancels("o1", "2011-01-13")
    assert vouchers(ada) == [("five-off", "voided"), ("hamper", "voided")]
    ada.shop.proves()


def test_a_draft_counts_what_a_level_gave_less_what_went_back() -> None:
    ada = joined()
    ada.buys("o1", 1000_00, at="2011-01-05")
    ada.buys("o2", 4000_00, at="2011-01-06")
    ada.cancels("o2", "2011-01-07")
    rows = [JournalRow(*row[:-1]) for row in ada.shop.store.journal.values()]
    programs, found = ada.shop.programs, Difference()
    versions = {each.version: each for each in programs}
    compare(found, "ada", rows, Draft(versions, programs, at("2011-01-01")), Birth())
    for course in (found.live, found.draft):
        assert (course.earned["silver/points"], course.earned["gold/points"]) == (100, 0)


# Stock ----------------------------------------------------------------------------------------


def test_stock_is_taken_by_rising_and_given_back_by_the_return() -> None:
    ada = joined()
    shop = ada.shop
    others = [shop.enrols(name, "2010-12-03") for name in ("bob", "cy")]
    for day, member in enumerate((ada, *others), 5):
        member.buys(f"o-{member.name}", 5000_00, at=f"2011-01-0{day}")
    assert [("hamper", "open") in vouchers(each) for each in (ada, *others)] == [True, True, False]
    ada.cancels("o-ada", "2011-01-09")
    assert shop.store.counters["stock:hamper"] == (2, 1)
    dee = shop.enrols("dee", "2011-01-10")
    dee.buys("o-dee", 5000_00, at="2011-01-11")
    assert ("hamper", "open") in vouchers(dee)
    shop.proves()


def test_who_is_at_the_top_is_offered_no_stock() -> None:
    ada = joined()
    assert decision_of(ada.buys("o1", 5000_00, at="2011-01-05")).facts.allowances
    assert not decision_of(ada.buys("o2", 1_00, at="2011-01-06")).facts.allowances


ENOUGH = {name: replace(reward, stock=None) for name, reward in REWARDS.items()}
acts = st.lists(
    st.tuples(
        st.sampled_from(["buy", "buy", "return", "amend", "use"]),
        st.integers(0, 5),
        st.sampled_from([400_00, 999_99, 1000_00, 3000_00, 5000_00]),
    ),
    max_size=14,
)


@settings(max_examples=80, deadline=None)
@given(acts=acts)
def test_whatever_comes_back_each_level_held_gives_once_and_none_above_it(
    acts: list[tuple[str, int, int]],
) -> None:
    shop = Shop(programme(both(), giving(), rewards=ENOUGH))
    ada = shop.enrols("ada", "2010-12-02")
    shop.clock.at = at("2011-01-05")
    for number, (what, which, pence) in enumerate(acts):
        if what == "buy":
            ada.buys(f"o{number}", of(1, pence))
        elif what == "return":
            ada.cancels(f"o{which}")
        elif what == "amend":
            ada.amends(f"o{which}", of(1, pence))
        elif open_ones := [each.id for each in ada.vouchers() if each.state == "open"]:
            ada.uses(open_ones[which % len(open_ones)])
        held = ["basic", "silver", "gold"].index(ada.tier)
        for place, reward in ((1, "five-off"), (2, "hamper")):
            states = [state for name, state in vouchers(ada) if name == reward]
            alive = states.count("open") + states.count("used")
            assert alive == 1 if held >= place else (alive <= 1 and "open" not in states)
    extra = (100 if ada.tier != "basic" else 0) + (400 if ada.tier == "gold" else 0)
    kept = sum(ada.account.windows.get("status", {}).values())
    assert ada.available - ada.arrears == kept + extra
    shop.proves()


# The document ---------------------------------------------------------------------------------

DOCUMENT = """\
program: levels
holds_from: "2010-12-01T00:00"
timezone: Europe/London
currencies:
  points: {}
  status: {qualifies: true, window: calendar_year}
badges: {shiny: {}}
rewards: {hamper: {gift_only: true, voucher: {item: hamper}}}
tiers:
  by: status
  levels:
    basic: {from: 0}
    gold: {from: 1000, give: GIVE}
earn: {RULE: {event: purchase, give: {points: 1 per 1.00 GBP, status: 1 per 1.00 GBP}}}
"""


def read(give: str = "[500 points, hamper]", rule: str = "base") -> Program:
    return parse_program(DOCUMENT.replace("GIVE", give).replace("RULE", rule), 1)


def test_the_document_says_what_a_level_gives() -> None:
    plan = read().tiers
    assert plan is not None
    assert (plan.levels[1].points, plan.levels[1].rewards) == ({"points": 500}, ("hamper",))
    assert plan.give_when == {"reached"}


@pytest.mark.parametrize(
    ("give", "rule", "reason"),
    [
        ("[500 status]", "base", "it would hold the level up by itself"),
        ("[shiny]", "base", "a level has a key for it"),
        ("[hampr]", "base", "there is no reward 'hampr'"),
        ("[500 points]", "gold", "tiers has the same name"),
    ],
)
def test_what_a_level_cannot_give_is_refused(give: str, rule: str, reason: str) -> None:
    with pytest.raises(ProgramMistakes) as caught:
        read(give, rule)
    [mistake] = caught.value.mistakes
    assert reason in mistake.reason
