"""Referrals: who is tied to whom, what qualifies, and that both rewards hang on what is kept."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.activity import Engaged, Enrolled
from services.loyalty.domain.calendar import NEVER
from services.loyalty.domain.program import (
    UNTIL_SETTLED,
    Budget,
    Cap,
    Expiry,
    Filter,
    Limit,
    Pending,
    Referring,
    Reward,
    Rule,
    Span,
)
from services.loyalty.domain.referrals import code_of, written_code
from services.loyalty.domain.status import REFUSE, verdict
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    base,
    decision_of,
    line,
    missed,
    points,
    programme,
    rule,
)
from tests.loyalty.fake_store import settled


def referring(name: str = "referral", /, *, friend: int = 200, **more: Any) -> Referring:
    """300 points for who refers and 200 for the friend, for a purchase of 25 pounds."""
    terms: dict[str, Any] = {"min_spend": {"GBP": 25_00}} | more.pop("look", {})
    gives = rule(name, give={"points": friend} if friend else {}).gives
    look = Rule(
        name, "referral.qualified", gives, on_refund="revoke", pending=UNTIL_SETTLED, **terms
    )
    return Referring(name, look, **({"points": {"points": 300}} | more))


def shop(*terms: Referring, **more: Any) -> Shop:
    return Shop(programme(base(), points(), referrals=terms or (referring(),), **more))


def friends(of: Shop) -> tuple[Member, Member]:
    """Ada, and Bob whom she referred."""
    ada = of.enrols("ada", "2011-01-01")
    return ada, joins(of, "bob", ada.account.code)


def joins(of: Shop, name: str, code: str, when: str = "2011-01-02") -> Member:
    member = of.member(name)
    assert member.does(Enrolled(referred_by=code), when).status == "accepted"
    return member


def refusals(member: Member) -> list[str]:
    return [told["reason"] for told in member.heard("referral.refused")]


# Codes ----------------------------------------------------------------------------------------


def test_a_member_gets_a_code_once_and_keeps_it() -> None:
    of = shop()
    ada = of.enrols("ada")
    code = ada.account.code
    assert written_code(code) == code
    assert of.store.codes == {code: "ada"}
    ada.buys("o1", 10_00)
    assert (ada.account.code, len(of.store.codes)) == (code, 1)
    of.proves()


def test_who_joined_before_there_were_referrals_gets_a_code_with_the_next_activity() -> None:
    before = programme(base(), points())
    after = programme(
        base(), points(), version=2, holds_from=at("2011-02-01"), referrals=(referring(),)
    )
    of = Shop(before, after)
    ada = of.enrols("ada")
    assert ada.account.code == ""
    ada.buys("o1", 10_00, at="2011-02-02")
    assert ada.account.code


def test_a_code_that_somebody_has_is_drawn_anew() -> None:
    of = shop()
    settled(of.session.open_accounts(["ada"]))
    key = of.store.profiles["ada"].hmac_key
    of.store.codes[code_of(key)] = "eve"
    assert of.enrols("ada").account.code == code_of(key, 1)


def test_a_code_may_be_written_as_people_write() -> None:
    assert written_code("oil0 1234-5678") == "011012345678"
    assert written_code("11U112345678") == ""
    assert written_code("short") == ""


# Who is tied to whom --------------------------------------------------------------------------


def test_nobody_refers_herself_and_a_code_must_be_somebodys() -> None:
    of = shop()
    ada = of.enrols("ada", "2011-01-01")
    itself = ada.does(Engaged("referral.made", about=ada.account.code))
    assert (itself.status, itself.reason) == ("refused", "self_referral")
    assert refusals(joins(of, "bob", "000000000000")) == ["unknown_referral_code"]
    assert of.member("bob").account.referral is None


@pytest.mark.parametrize("status", ["closed", "erased"])
def test_who_has_left_refers_nobody_any_more(status: str) -> None:
    of = shop()
    ada = of.enrols("ada", "2011-01-01")
    code = ada.account.code
    ada.becomes(status, at="2011-01-01 13:00")
    assert refusals(joins(of, "bob", code)) == [f"referrer_{status}"]


def test_a_code_may_be_named_until_the_first_purchase() -> None:
    of = shop()
    ada = of.enrols("ada", "2011-01-01")
    bob, eve = of.enrols("bob", "2011-01-02"), of.enrols("eve", "2011-01-02")
    assert bob.does(Engaged("referral.made", about=ada.account.code.lower())).status == "accepted"
    again = bob.does(Engaged("referral.made", about=ada.account.code))
    assert again.reason == "already_referred"
    eve.buys("o1", 50_00)
    assert eve.does(Engaged("referral.made", about=ada.account.code)).reason == "already_a_customer"


@pytest.mark.parametrize("status", ["unenrolled", "closed", "erased"])
def test_derived_referrals_carry_no_points_and_are_refused_without_a_way_back(status: str) -> None:
    for kind in ("referral_qualified", "referral_cancelled", "referral_settled"):
        assert verdict(status, kind)[0] == REFUSE


# Both rewards ---------------------------------------------------------------------------------


def test_both_rewards_are_pending_until_the_return_window_ends() -> None:
    of = shop()
    ada, bob = friends(of)
    assert missed(bob.buys("o1", 24_99, at="2011-01-03"))["referral"] == "below_min_spend"
    bob.buys("o2", 25_00, at="2011-01-05")
    of.delivers_derived()
    assert (ada.pending, bob.pending) == (300, 200)
    assert ada.account.lots[0].activates_at == NEVER
    of.waits_until("2011-02-05 00:00")
    of.delivers_derived()
    assert (ada.available, bob.available) == (300, 24 + 25 + 200)
    assert (ada.pending, bob.pending) == (0, 0)
    bob.cancels("o2")
    of.delivers_derived()
    assert (ada.available, bob.available) == (300, 24)
    of.proves()


def test_the_return_window_is_counted_from_the_delivery() -> None:
    of = shop()
    ada, bob = friends(of)
    bob.buys("o1", 25_00, at="2011-01-05")
    bob.gets("o1", at="2011-01-20")
    of.delivers_derived()
    of.waits_until("2011-02-10")
    of.delivers_derived()
    assert (ada.pending, bob.pending) == (300, 200)
    of.waits_until("2011-02-20")
    of.delivers_derived()
    assert (ada.available, bob.available) == (300, 225)
    of.proves()


def test_a_rule_may_have_a_time_of_its_own() -> None:
    of = shop(referring(window=Span(days=3)))
    ada, bob = friends(of)
    bob.buys("o1", 25_00, at="2011-01-05")
    bob.gets("o1", at="2011-01-06")
    of.delivers_derived()
    of.waits_until("2011-01-09 00:00")
    of.delivers_derived()
    assert (ada.available, bob.available) == (300, 225)


def test_what_is_kept_below_the_minimum_cancels_both_and_another_purchase_qualifies() -> None:
    of = shop(referring(limit=Limit("year", times=1)))
    ada, bob = friends(of)
    bob.buys("o1", line(1, 10_00), line(2, 20_00), at="2011-01-05")
    of.delivers_derived()
    bob.returns("o1", money={1: 5_00}, at="2011-01-06")
    of.delivers_derived()
    assert (ada.pending, bob.pending) == (300, 200)
    bob.returns("o1", money={1: 1}, at="2011-01-07")
    of.delivers_derived()
    assert (ada.pending, bob.pending) == (0, 0)
    assert ada.account.counters["referral/2011"] == [0, 0]
    assert ada.heard("points.clawed-back")[0]["reason"] == "referral_cancelled"
    bob.buys("o2", 25_00, at="2011-01-08")
    of.delivers_derived()
    assert (ada.pending, bob.pending) == (300, 200)
    of.proves()


def test_the_limit_is_the_referrers_and_the_friend_gets_his_all_the_same() -> None:
    of = shop(referring(limit=Limit("year", times=1)))
    ada, bob = friends(of)
    eve = joins(of, "eve", ada.account.code)
    for friend in (bob, eve):
        friend.buys("o1", 25_00, at="2011-01-05")
    of.delivers_derived()
    assert (ada.pending, bob.pending, eve.pending) == (300, 200, 200)
    of.waits_until("2011-02-05 00:00")
    of.delivers_derived()
    assert ada.available == 300
    of.proves()


def test_caps_hold_for_referrals_too() -> None:
    of = shop(caps=(Cap("points", 250, "month"),))
    ada, bob = friends(of)
    bob.buys("o1", 100_00, at="2011-01-05")
    of.delivers_derived()
    assert (ada.pending, bob.pending + bob.available) == (250, 250)
    bob.cancels("o1", at="2011-01-06")
    of.delivers_derived()
    assert (ada.pending, bob.pending + bob.available) == (0, 0)


def test_a_rule_may_look_at_some_lines_and_give_one_side_only() -> None:
    toys = referring(friend=0, look={"filter": Filter(category=frozenset({"toy"}))})
    of = shop(toys)
    ada, bob = friends(of)
    assert missed(bob.buys("o1", 50_00, at="2011-01-05"))["referral"] == "no_such_line"
    bob.buys("o2", line(1, 50_00), line(2, 30_00, category="toy"), at="2011-01-06")
    of.delivers_derived()
    assert (ada.pending, bob.pending) == (300, 0)
    bob.returns("o2", {1: 1}, at="2011-01-07")
    of.delivers_derived()
    assert ada.pending == 300
    bob.returns("o2", {2: 1}, at="2011-01-08")
    of.delivers_derived()
    assert ada.pending == 0


def test_a_purchase_known_long_after_settles_at_once() -> None:
    of = shop()
    ada, bob = friends(of)
    bob.engages("app.opened", at="2011-04-01")
    bob.buys("o1", 25_00, at="2011-01-05", known_at="2011-04-02")
    of.waits_until("2011-04-03")
    of.delivers_derived()
    assert (ada.available, bob.available) == (300, 225)
    of.proves()


def test_another_members_refund_sends_nobody_into_arrears() -> None:
    """A reopened account no longer has what was pending, and nothing else is taken for it."""
    of = shop()
    ada, bob = friends(of)
    bob.buys("o1", 25_00, at="2011-01-05")
    of.delivers_derived()
    ada.becomes("closed", at="2011-01-06")
    ada.becomes("active", at="2011-01-07")
    ada.buys("o9", 40_00, at="2011-01-08")
    bob.cancels("o1", at="2011-01-09")
    of.delivers_derived()
    assert (ada.available, ada.arrears) == (40, 0)
    of.proves()


def test_a_closed_referrer_gets_nothing_and_the_friend_does() -> None:
    of = shop()
    ada, bob = friends(of)
    ada.becomes("closed", at="2011-01-03")
    bob.buys("o1", 25_00, at="2011-01-05")
    of.delivers_derived()
    of.waits_until("2011-02-05")
    of.delivers_derived()
    assert ada.heard("activity.refused")[-1]["reason"] == "account_closed"
    assert bob.available == 225
    of.proves()


def test_a_friend_who_leaves_has_kept_the_purchase() -> None:
    of = shop()
    ada, bob = friends(of)
    bob.buys("o1", 25_00, at="2011-01-05")
    bob.becomes("closed", at="2011-01-06")
    of.waits_until("2011-02-05")
    of.delivers_derived()
    assert ada.available == 300
    of.proves()


def test_what_ended_before_it_qualified_waits_for_it() -> None:
    """As after a dead letter was replayed late."""
    of = shop()
    ada, bob = friends(of)
    bob.buys("o1", 25_00, at="2011-01-05")
    bob.cancels("o1", at="2011-01-06")
    qualified, cancelled = [row for row in of.store.outbox if row[6]]
    of.store.outbox[:] = [row for row in of.store.outbox if row not in (qualified, cancelled)] + [
        cancelled,
        qualified,
    ]
    of.delivers_derived()
    assert (ada.pending, ada.available) == (0, 0)
    assert ada.account.waiting == []


amounts = st.integers(1, 60_00)


@given(
    bought=amounts,
    back=st.lists(st.tuples(amounts, st.booleans()), max_size=4),
    spends=st.booleans(),
    late=st.booleans(),
)
def test_both_rewards_hang_on_what_is_kept_and_on_nothing_else(
    bought: int, back: list[tuple[int, bool]], spends: bool, late: bool
) -> None:
    of = shop(rewards={"ten": Reward("ten", 10, "points")})
    ada, bob = friends(of)
    ada.buys("a1", 15_00, at="2011-01-03")
    if spends:
        ada.redeems("ten")
    bob.buys("o1", bought, at="2011-01-05")
    for amount, lined in back:
        if lined:
            bob.returns("o1", money={1: amount}, at="2011-01-06")
        else:
            bob.returns("o1", amount=amount, at="2011-01-06")
        if not late:
            of.delivers_derived()
    of.waits_until("2011-02-05")
    of.delivers_derived()
    kept = max(0, bought - sum(amount for amount, _ in back))
    earned = kept >= 25_00
    assert ada.available == 15 - 10 * spends + 300 * earned
    assert ada.arrears == 0
    assert bob.account.referral is not None
    assert bob.account.referral.settled == earned
    assert bob.balance("available") + bob.balance("arrears") >= 200 * earned
    of.proves()


def test_points_that_expire_meanwhile_are_nobodys() -> None:
    of = Shop(
        programme(
            base(),
            points(expiry=Expiry(Span(days=10), at="exact"), pending=Pending(Span(days=2))),
            referrals=(referring(),),
        )
    )
    ada, bob = friends(of)
    bob.buys("o1", 25_00, at="2011-01-05")
    of.delivers_derived()
    of.waits_until("2011-01-20")
    assert (ada.pending, ada.balance("expired")) == (0, 300)
    of.waits_until("2011-02-05")
    of.delivers_derived()
    assert ada.available == 0
    of.proves()


# Budgets --------------------------------------------------------------------------------------


KEY = "budget:referral"


def budgeted(budget: int, *, partial: bool = True, friend: int = 200, **more: Any) -> Shop:
    """A shop whose referral rule has a budget for all members together."""
    terms = referring(
        friend=friend, look={"budget": Budget("points", budget, partial=partial)}, **more
    )
    return shop(terms)


def used(of: Shop) -> int:
    return of.store.counters.get(KEY, (0, 0))[1]


def brought(of: Shop, *names: str) -> tuple[Member, list[Member]]:
    ada = of.enrols("ada", "2011-01-01")
    return ada, [joins(of, name, ada.account.code) for name in names]


def test_a_budget_pays_both_rewards_and_the_referrers_is_set_aside_with_the_purchase() -> None:
    of = budgeted(1200)
    ada, (bob, eve, dan) = brought(of, "bob", "eve", "dan")
    bob.buys("o1", 25_00, at="2011-01-05")
    assert used(of) == 500
    eve.buys("o1", 25_00, at="2011-01-05")
    assert used(of) == 1000
    of.delivers_derived()
    assert (ada.pending, bob.pending, eve.pending, used(of)) == (600, 200, 200, 1000)
    last = dan.buys("o1", 25_00, at="2011-01-06")
    assert decision_of(last).trace["referrer_cut"] == [("budget", 300)]
    of.delivers_derived()
    assert (ada.pending, dan.pending, used(of)) == (600, 200, 1200)
    of.proves()


def test_a_spent_budget_leaves_the_referral_open_for_another_rule() -> None:
    first = referring(look={"budget": Budget("points", 500)})
    of = shop(first, referring("later", friend=20, points={"points": 30}))
    ada, (bob, eve) = brought(of, "bob", "eve")
    bob.buys("o1", 25_00, at="2011-01-05")
    assert missed(eve.buys("o1", 25_00, at="2011-01-05"))["referral"] == "budget_spent"
    of.delivers_derived()
    assert (ada.pending, bob.pending, eve.pending, used(of)) == (330, 200, 20, 500)
    of.proves()


def test_all_or_nothing_holds_for_both_members_together() -> None:
    of = budgeted(900, partial=False)
    ada, (bob, eve) = brought(of, "bob", "eve")
    bob.buys("o1", 25_00, at="2011-01-05")
    assert missed(eve.buys("o1", 25_00, at="2011-01-05"))["referral"] == "budget_spent"
    of.delivers_derived()
    assert (ada.pending, bob.pending, eve.pending, used(of)) == (300, 200, 0, 500)
    bob.cancels("o1", at="2011-01-06")
    of.delivers_derived()
    assert used(of) == 0
    eve.buys("o2", 25_00, at="2011-01-07")
    of.delivers_derived()
    assert (ada.pending, eve.pending, used(of)) == (300, 200, 500)
    of.proves()


def test_what_limit_or_status_keep_from_the_referrer_goes_back_to_the_budget() -> None:
    of = budgeted(5000, limit=Limit("year", times=1))
    ada, (bob, eve, dan) = brought(of, "bob", "eve", "dan")
    for friend in (bob, eve):
        friend.buys("o1", 25_00, at="2011-01-05")
    assert used(of) == 1000
    of.delivers_derived()
    assert (ada.pending, used(of)) == (300, 700)
    dan.buys("o1", 25_00, at="2011-01-06")
    ada.becomes("closed", at="2011-01-07")
    assert used(of) == 1200
    of.delivers_derived()
    assert used(of) == 900
    of.proves()


def test_a_referral_cancelled_after_the_campaign_gives_nothing_back() -> None:
    of = shop(
        referring(
            look={"budget": Budget("points", 900), "valid_until": at("2011-01-10")},
        )
    )
    _, (bob,) = brought(of, "bob")
    bob.buys("o1", 25_00, at="2011-01-05")
    of.delivers_derived()
    bob.cancels("o1", at="2011-01-11")
    of.delivers_derived()
    assert used(of) == 500
    of.proves()


@given(
    budget=st.integers(0, 1300),
    partial=st.booleans(),
    friend=st.sampled_from([0, 200]),
    steps=st.lists(
        st.tuples(st.sampled_from(["bob", "eve", "dan"]), st.booleans(), st.booleans()),
        max_size=8,
    ),
)
def test_referrals_never_give_more_than_their_budget(
    budget: int, partial: bool, friend: int, steps: list[tuple[str, bool, bool]]
) -> None:
    of = budgeted(budget, partial=partial, friend=friend)
    ada, friends_ = brought(of, "bob", "eve", "dan")
    by_name = {member.name: member for member in friends_}
    for number, (name, cancels, delivers) in enumerate(steps):
        member, order = by_name[name], f"o{number}"
        member.buys(order, 25_00)
        if delivers:
            of.delivers_derived()
        if cancels:
            member.cancels(order)
    of.delivers_derived()
    bought = {name: 25 * sum(not back for who, back, _ in steps if who == name) for name in by_name}
    given_ = ada.pending + sum(
        member.pending + member.available - bought[name] for name, member in by_name.items()
    )
    assert given_ == used(of) <= budget
    if not partial:
        assert given_ % (300 + friend) == 0
    of.proves()
