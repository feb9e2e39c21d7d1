"""Rewards that earning rules give: with points or alone, and withdrawn unused with a return."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.loyalty.domain.activity import Cancelled
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.mistakes import ProgramMistakes
from services.loyalty.domain.program import Limit, Program, Reward, Rule, VoucherTerms
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    base,
    decision_of,
    line,
    missed,
    programme,
    purchase,
    rate,
    rule,
)

REWARDS = {
    "five-off": Reward("five-off", gift_only=True, voucher=VoucherTerms(money="GBP", worth=5_00)),
    "lamp": Reward("lamp", gift_only=True, voucher=VoucherTerms(item="lamp"), stock=1),
    "mug": Reward("mug", gift_only=True),
}


def spree(*rewards: str, **more: Any) -> Rule:
    """A campaign that gives rewards for orders of £100."""
    terms: dict[str, Any] = {"min_spend": {"GBP": 100_00}, "on_refund": "revoke"} | more
    return rule("spree", give=terms.pop("give", {}), rewards=rewards or ("five-off",), **terms)


def program(*rules: Rule, **more: Any) -> Program:
    return programme(base(), *rules, rewards=REWARDS, **more)


def joined(*rules: Rule, **more: Any) -> Member:
    return Shop(program(*(rules or (spree(),)), **more)).enrols("ada", "2010-12-02")


def vouchers(member: Member) -> list[tuple[str, str]]:
    return [(voucher.reward, voucher.state) for voucher in member.vouchers()]


def test_a_campaign_issues_a_voucher() -> None:
    ada = joined()
    outcome = ada.buys("o1", 120_00, at="2011-01-05")
    [voucher] = ada.vouchers()
    assert (voucher.how, voucher.by, voucher.state) == ("rule", "spree", "open")
    assert ada.heard("reward.issued")[0]["rule"] == "spree"
    assert decision_of(outcome).trace["rewards"] == [("spree", ["five-off"])]
    assert missed(ada.buys("o2", 99_99, at="2011-01-06")) == {"spree": "below_min_spend"}
    ada.shop.proves()


def test_an_engagement_may_bring_a_reward_too() -> None:
    review = rule("review", "engagement", give={"points": 5}, of="reviewed", rewards=("mug",))
    ada = joined(review)
    ada.engages("reviewed", "2011-01-05")
    assert [told["reward"] for told in ada.heard("reward.issued")] == ["mug"]


def test_the_limit_counts_rewards_and_points_together() -> None:
    ada = joined(spree(give={"points": 10}, limit=Limit("month", times=1)))
    ada.buys("o1", 100_00, at="2011-01-05")
    assert missed(ada.buys("o2", 100_00, at="2011-01-06")) == {"spree": "limit_reached"}
    assert (ada.available, len(ada.vouchers())) == (210, 1)


def test_a_return_below_the_least_spend_withdraws_what_is_unused() -> None:
    ada = joined(spree("five-off", "mug"))
    ada.buys("o1", 80_00, 40_00, at="2011-01-05")
    ada.returns("o1", money={1: 20_00}, at="2011-01-06")
    assert vouchers(ada) == [("five-off", "open")]
    outcome = ada.returns("o1", money={1: 1}, at="2011-01-07")
    [voucher] = ada.vouchers()
    assert (voucher.state, voucher.reason) == ("voided", "returned")
    told = {
        "rule": "spree",
        "order": "o1",
        "vouchers_voided": [voucher.id],
        "rewards_kept": ["mug"],
    }
    assert ada.heard("reward.returned") == [told]
    assert decision_of(outcome).trace["rewards_returned"] == [told]
    ada.cancels("o1", "2011-01-08")
    assert ada.heard("reward.returned") == [told]
    ada.shop.proves()


def test_what_was_used_is_kept_and_counts_against_the_limit() -> None:
    ada = joined(spree(limit=Limit("month", times=1)))
    ada.buys("o1", 100_00, at="2011-01-05")
    ada.uses(ada.vouchers()[0].id)
    ada.cancels("o1", "2011-01-06")
    assert vouchers(ada) == [("five-off", "used")]
    assert missed(ada.buys("o2", 100_00, at="2011-01-07")) == {"spree": "limit_reached"}


def test_what_went_back_may_be_given_again() -> None:
    ada = joined(spree(limit=Limit("month", times=1)))
    ada.buys("o1", 100_00, at="2011-01-05")
    ada.cancels("o1", "2011-01-06")
    ada.buys("o2", 100_00, at="2011-01-07")
    assert vouchers(ada) == [("five-off", "voided"), ("five-off", "open")]
    ada.shop.proves()


def test_a_limit_is_given_back_to_the_month_it_was_taken_from() -> None:
    ada = joined(spree(limit=Limit("month", times=1)))
    ada.buys("o1", 100_00, at="2011-01-05")
    ada.buys("o2", 100_00, at="2011-02-05")
    ada.cancels("o1", "2011-02-06")
    assert missed(ada.buys("o3", 100_00, at="2011-02-07")) == {"spree": "limit_reached"}
    assert ada.shop.store.history["ada", "spree/2011-01"] == [0, 0]
    ada.shop.proves()


@pytest.mark.parametrize("on_refund", ["keep", "prorate"])
def test_other_policies_let_it_stand_while_a_line_is_kept(on_refund: str) -> None:
    ada = joined(spree(on_refund=on_refund, give={"points": rate()}))
    ada.buys("o1", 80_00, 40_00, at="2011-01-05")
    ada.returns("o1", {1: 1}, at="2011-01-06")
    assert vouchers(ada) == [("five-off", "open")]
    ada.returns("o1", {2: 1}, at="2011-01-07")
    assert vouchers(ada) == [("five-off", "voided")]


def test_an_amendment_takes_rewards_back_and_gives_none() -> None:
    ada = joined()
    ada.buys("o1", line(1, 120_00), at="2011-01-05")
    ada.amends("o1", line(1, 90_00), at="2011-01-06")
    ada.amends("o1", line(1, 120_00), at="2011-01-07")
    assert vouchers(ada) == [("five-off", "voided")]
    ada.shop.proves()


def test_of_the_last_piece_there_is_one() -> None:
    ada = joined(spree("lamp"))
    bob = ada.shop.enrols("bob", "2010-12-03")
    ada.buys("o1", 100_00, at="2011-01-05")
    outcome = bob.buys("o2", 100_00, at="2011-01-06")
    assert missed(outcome) == {"spree": "sold_out"}
    ada.cancels("o1", "2011-01-07")
    bob.buys("o3", 100_00, at="2011-01-08")
    assert (vouchers(ada), vouchers(bob)) == ([("lamp", "voided")], [("lamp", "open")])
    ada.shop.proves()


def test_who_finds_nothing_left_shuts_nobody_out_of_the_group() -> None:
    other = rule("other", give={"points": 7}, group="offers")
    ada = joined(spree("lamp", group="offers"), other, groups={"offers": "first"})
    ada.buys("o1", 100_00, at="2011-01-05")
    outcome = ada.buys("o2", 100_00, at="2011-01-06")
    assert "other" not in missed(outcome)


def test_a_purchase_and_its_return_in_one_batch_meet() -> None:
    ada = joined()
    shop = ada.shop
    shop.clock.at = at("2011-01-05")
    one_by_one = joined()
    one_by_one.buys("o1", 100_00, at="2011-01-05")
    one_by_one.cancels("o1", "2011-01-05")
    when = at("2011-01-05")
    shop.records(
        shop.incoming("ada", purchase("o1", 100_00), when),
        shop.incoming("ada", Cancelled("o1"), when),
    )
    assert vouchers(ada) == vouchers(one_by_one) == [("five-off", "voided")]
    shop.proves()


acts = st.lists(
    st.tuples(
        st.sampled_from(["buy", "buy", "return", "amend", "use"]),
        st.integers(0, 5),
        st.sampled_from([1, 50_00, 99_99, 100_00, 180_00]),
    ),
    max_size=14,
)


@settings(max_examples=80, deadline=None)
@given(acts=acts)
def test_whatever_comes_back_open_vouchers_are_those_of_orders_that_are_kept(
    acts: list[tuple[str, int, int]],
) -> None:
    ada = joined()
    ada.shop.clock.at = at("2011-01-05")
    kept: dict[str, int] = {}
    earned: dict[str, bool] = {}
    for number, (what, which, pence) in enumerate(acts):
        order = f"o{number if what == 'buy' else which}"
        if what == "buy":
            ada.buys(order, line(1, pence))
            kept[order], earned[order] = pence, pence >= 100_00
        elif what == "use":
            for voucher in ada.vouchers()[:1]:
                ada.uses(voucher.id)
        elif order in kept:
            back = min(kept[order], pence)
            ada.returns(order, money={1: back})
            kept[order] -= back
            earned[order] = earned[order] and kept[order] >= 100_00
        states = [state for _, state in vouchers(ada)]
        assert "open" not in states or states.count("open") <= sum(earned.values())
        assert states.count("open") + states.count("used") >= sum(earned.values())
    ada.shop.proves()


DOCUMENT = """\
program: campaigns
holds_from: "2010-12-01T00:00"
timezone: Europe/London
currencies: {points: {}}
rewards: {five-off: {gift_only: true, voucher: {worth: 5.00 GBP}}}
earn:
  spree: {event: EVENT, reward: REWARD}
"""


def read(event: str = "purchase", reward: str = "five-off") -> Program:
    return parse_program(DOCUMENT.replace("EVENT", event).replace("REWARD", reward), 1)


def test_the_document_says_which_rewards_a_rule_gives() -> None:
    [spree] = read().rules
    assert (spree.rewards, spree.on_refund) == (("five-off",), "revoke")


@pytest.mark.parametrize(
    ("event", "reward", "reason"),
    [
        ("purchase", "six-off", "there is no reward 'six-off'"),
        ("purchase", "[five-off, five-off]", "it is in the list twice"),
        ("referral.qualified, friend: {points: 5}", "five-off", "a referral has two members"),
    ],
)
def test_what_a_rule_cannot_give_is_refused(event: str, reward: str, reason: str) -> None:
    with pytest.raises(ProgramMistakes) as caught:
        read(event, reward)
    [mistake] = caught.value.mistakes
    assert reason in mistake.reason
