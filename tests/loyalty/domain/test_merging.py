"""Two members who are one: their accounts become one, and nothing is lost on the way."""

from __future__ import annotations

from datetime import date
from itertools import permutations
from typing import Any

import pytest

from services.loyalty.application.store import ProfilePatch
from services.loyalty.domain.activity import (
    Engaged,
    Enrolled,
    MergeReceived,
    ProfileUpdated,
    decode_body,
)
from services.loyalty.domain.program import (
    UNTIL_SETTLED,
    Cap,
    Gift,
    Level,
    Limit,
    Pending,
    Referring,
    Reward,
    Rule,
    Span,
    Stamps,
    Tiers,
    VoucherTerms,
    Window,
)
from services.loyalty.domain.referrals import MADE
from tests.loyalty.domain.shop import (
    LONDON,
    Member,
    Shop,
    at,
    base,
    both,
    end_of_month,
    points,
    programme,
    rule,
    status,
    tiers,
)

FIVE = Reward("five", 50, "points")


def shop(*parts: Any, **more: Any) -> tuple[Shop, Member, Member]:
    of = Shop(programme(*(parts or (both(), tiers())), rewards={"five": FIVE}, **more))
    return of, of.enrols("ada"), of.enrols("bob")


def merged(of: Shop, when: str = "2011-03-01", old: str = "ada", into: str = "bob") -> None:
    assert of.member(old).becomes_one_with(into, when).status == "accepted"
    of.delivers_derived()
    assert of.member(old).account.merged_into == into
    rests(of)


def rests(of: Shop) -> None:
    """Everything has arrived, and follows from the journal."""
    for currency in ("points", "status"):
        for bucket in ("transit", "moving"):
            assert of.auditor.over_all(currency, bucket) == 0
    of.proves()


def declined(of: Shop, old: Member, why: str) -> None:
    """The account goes on, with all that it had."""
    of.delivers_derived()
    assert old.heard("member.merge-declined")[-1]["reason"] == why
    assert old.account.affairs.merge is None
    assert not old.entries("merge_out")
    rests(of)


# What is added --------------------------------------------------------------------------------


def test_points_windows_and_purchases_are_added_and_lots_keep_their_life() -> None:
    of, ada, bob = shop(both(), points(expiry=end_of_month(3)), tiers())
    ada.buys("a1", 600_00, at="2011-01-05")
    ada.buys("a2", 100_00, at="2011-02-05")
    bob.buys("b1", 300_00, at="2011-01-06")
    merged(of)
    assert bob.lots() == [(900, at("2011-05-01 00:00")), (100, at("2011-06-01 00:00"))]
    assert bob.account.windows == {"status": {"2011-01": 900, "2011-02": 100}}
    assert bob.account.purchases == 3
    assert (ada.available, ada.tier, ada.account.windows) == (0, "", {})


def test_a_level_that_only_both_together_have_reached_is_reached_by_the_merge() -> None:
    of, ada, bob = shop()
    ada.buys("a1", 600_00, at="2011-01-05")
    bob.buys("b1", 700_00, at="2011-02-06")
    merged(of)
    assert bob.tier == "silver"
    assert bob.account.standing.reaches[0].until == at("2011-06-02 00:00")


@pytest.mark.parametrize(("old", "into"), [("ada", "bob"), ("bob", "ada")])
def test_the_higher_level_is_kept_whoevers_it_was(old: str, into: str) -> None:
    of, ada, bob = shop()
    ada.buys("a1", 6000_00, at="2011-01-05")
    bob.buys("b1", 1500_00, at="2011-02-06")
    gold = ada.account.standing
    merged(of, old=old, into=into)
    kept = of.member(into)
    assert kept.tier == "gold"
    assert kept.account.standing.since == gold.since
    ends = {reach.until for reach in kept.account.standing.reaches if reach.level == "gold"}
    assert ends == {reach.until for reach in gold.reaches if reach.level == "gold"}


def test_at_equal_levels_the_later_end_is_kept() -> None:
    of, ada, bob = shop()
    bob.buys("b1", 1500_00, at="2011-01-06")
    ada.buys("a1", 1500_00, at="2011-02-05")
    merged(of)
    assert bob.heard("tier.kept")[-1]["until"].startswith("2011-05-")
    of.waits_until("2011-04-20")
    assert bob.tier == "silver"


def test_counters_of_both_use_up_the_limits_of_one() -> None:
    review = rule("review", "engagement", give={"points": 5}, of="r", limit=Limit("month", 3))
    of, ada, bob = shop(review, points())
    ada.engages("r", "2011-03-01")
    ada.engages("r")
    bob.engages("r")
    merged(of, "2011-03-02")
    bob.engages("r", "2011-03-03")
    assert bob.available == 15
    assert bob.account.counters["review/2011-03"] == [3, 15]


def test_counters_of_a_past_period_are_found_by_what_comes_late() -> None:
    cap = Cap("points", 100, "month")
    of, ada, bob = shop(base(), points(), caps=(cap,))
    ada.buys("a1", 90_00, at="2011-01-05")
    ada.engages("x", "2011-02-03")
    merged(of)
    bob.buys("b1", 50_00, at="2011-01-20", known_at="2011-03-02")
    assert bob.available == 100
    ada.returns("a1", {1: 1}, at="2011-03-03")
    of.delivers_derived()
    assert bob.available == 10
    rests(of)


def test_arrears_of_either_are_paid_from_the_points_of_both() -> None:
    for old, into in (("ada", "bob"), ("bob", "ada")):
        of, ada, bob = shop()
        ada.buys("a1", 80_00, at="2011-01-05")
        ada.redeems("five")
        ada.returns("a1", {1: 1})
        assert ada.arrears == 50
        bob.buys("b1", 70_00, at="2011-01-06")
        merged(of, old=old, into=into)
        kept = of.member(into)
        assert (kept.available, kept.arrears) == (20, 0)


def test_pending_points_go_on_waiting() -> None:
    of, ada, bob = shop(base(pending=Pending(Span(days=14))), points())
    ada.buys("a1", 80_00, at="2011-02-20")
    merged(of)
    assert (bob.pending, bob.available) == (80, 0)
    of.waits_until("2011-03-07")
    assert (bob.pending, bob.available) == (0, 80)
    rests(of)


def test_pending_points_that_became_due_on_their_way_can_be_spent_at_once() -> None:
    of, ada, bob = shop(base(pending=Pending(Span(days=14))), points())
    ada.buys("a1", 80_00, at="2011-02-20")
    ada.becomes_one_with("bob", "2011-03-01")
    of.delivers_derived(at_most=2)
    of.waits_until("2011-03-09")
    of.delivers_derived()
    assert (bob.pending, bob.available) == (0, 80)
    rests(of)


def test_what_awaits_a_delivery_is_activated_by_it_or_taken_back_without_it() -> None:
    until = Pending(until_delivered=True, cancel_after=Span(days=30))
    of, ada, bob = shop(base(pending=until), points())
    ada.buys("a1", 80_00, at="2011-02-20")
    ada.buys("a2", 20_00, at="2011-02-20")
    merged(of)
    ada.gets("a1", "2011-03-03")
    of.delivers_derived()
    assert (bob.pending, bob.available) == (20, 80)
    of.waits_until("2011-04-20")
    assert (bob.pending, bob.available) == (0, 80)
    rests(of)


# What comes back ------------------------------------------------------------------------------


def test_refunds_of_either_id_find_their_purchase_by_either_id() -> None:
    of, ada, bob = shop()
    ada.buys("a1", 80_00, 20_00, at="2011-01-05")
    bob.buys("b1", 50_00, at="2011-01-06")
    ada.returns("a1", {2: 1}, at="2011-02-01")
    merged(of)
    ada.returns("a1", money={1: 30_00}, at="2011-03-02")
    bob.returns("a1", money={1: 10_00}, at="2011-03-03")
    bob.returns("b1", {1: 1})
    of.delivers_derived()
    assert bob.available == 40
    assert bob.account.windows["status"] == {"2011-01": 40}
    ada.returns("a1", {1: 1})
    of.delivers_derived()
    assert bob.available == 0
    assert bob.receipt("a1").of == "ada"
    assert bob.receipt("a1").lines[0].returned_amount == 40_00
    rests(of)


def test_an_order_is_bought_once_by_whichever_id() -> None:
    of, ada, bob = shop()
    ada.buys("a1", 80_00, at="2011-01-05")
    merged(of)
    assert bob.buys("a1", 80_00).reason == "order_exists"
    ada.buys("a1", 80_00)
    of.delivers_derived()
    assert bob.available == 80


def test_what_is_bought_by_the_old_id_counts_for_the_new_one_as_of_when_it_was_bought() -> None:
    of, ada, bob = shop()
    merged(of)
    assert ada.buys("a1", 80_00, at="2011-02-27", known_at="2011-03-02").status == "accepted"
    ada.engages("x")
    of.delivers_derived()
    assert bob.available == 80
    assert bob.receipt("a1").occurred_at == at("2011-02-27")
    rests(of)


def test_a_refund_of_what_has_expired_costs_nothing_after_the_merge_too() -> None:
    of, ada, bob = shop(base(), points(expiry=end_of_month(1)))
    ada.buys("a1", 80_00, at="2011-01-05")
    bob.buys("b1", 50_00, at="2011-03-01")
    merged(of, "2011-03-02")
    assert (ada.balance("expired"), bob.balance("expired")) == (0, 80)
    ada.returns("a1", {1: 1})
    of.delivers_derived()
    assert (bob.available, bob.balance("expired")) == (50, 0)
    rests(of)


def test_a_refund_follows_points_that_were_given_a_longer_life_before_the_merge() -> None:
    of, ada, bob = shop(base(), points(expiry=end_of_month(2)))
    ada.buys("a1", 80_00, at="2011-01-05")
    ada.is_extended("2011-12-01 00:00", "2011-02-01")
    bob.buys("b1", 50_00, at="2011-02-01")
    merged(of, "2011-03-02")
    ada.returns("a1", {1: 1})
    of.delivers_derived()
    assert bob.lots() == [(50, at("2011-05-01 00:00"))]
    rests(of)


def test_a_refund_undoes_the_level_that_its_points_made_before_the_merge() -> None:
    of, ada, bob = shop()
    ada.buys("a1", 1200_00, at="2011-02-05")
    merged(of)
    assert bob.tier == "silver"
    ada.returns("a1", {1: 1})
    of.delivers_derived()
    assert bob.tier == "basic"
    rests(of)


def test_what_was_waiting_for_its_purchase_waits_at_the_other_account() -> None:
    of, ada, bob = shop()
    ada.returns("b1", {1: 1}, at="2011-02-28")
    merged(of)
    assert not ada.account.waiting
    bob.buys("b1", 50_00, at="2011-03-02")
    assert bob.available == 0
    rests(of)


def test_a_redemption_of_the_old_id_is_undone_there_and_its_points_go_on() -> None:
    of, ada, bob = shop()
    ada.buys("a1", 80_00, at="2011-01-05")
    ada.redeems("five")
    redemption = next(iter(of.store.redemptions))[1]
    merged(of)
    assert ada.undoes(redemption).status == "accepted"
    of.delivers_derived()
    assert (ada.available, bob.available) == (0, 80)
    rests(of)


def test_a_transfer_on_its_way_to_the_old_id_arrives() -> None:
    of, ada, bob = shop(base(), points(), transfers=True)
    eve = of.enrols("eve")
    eve.buys("e1", 100_00, at="2011-01-05")
    ada.becomes_one_with("bob", "2011-03-01")
    eve.gives("ada", 40)
    of.delivers_derived()
    assert (ada.available, bob.available, eve.available) == (0, 40, 60)
    rests(of)


def test_limits_given_back_at_the_old_id_are_given_back_to_the_new_one() -> None:
    once = Reward("five", 50, "points", limit=Limit("month", times=1))
    of = Shop(programme(base(), points(), rewards={"five": once}))
    ada, bob = of.enrols("ada"), of.enrols("bob")
    ada.buys("a1", 200_00, at="2011-03-01")
    ada.redeems("five")
    redemption = next(iter(of.store.redemptions))[1]
    merged(of)
    assert bob.redeems("five").reason != ""
    ada.undoes(redemption)
    of.delivers_derived()
    assert bob.redeems("five").status == "accepted"
    rests(of)


def test_a_voucher_of_the_old_id_still_works_and_is_withdrawn_with_its_order() -> None:
    terms = VoucherTerms(money="GBP", worth=5_00)
    off = Reward("off", gift_only=True, voucher=terms)
    spree = rule("spree", give={}, rewards=("off",), on_refund="revoke", min_spend={"GBP": 50_00})
    of = Shop(programme(base(), spree, points(), rewards={"off": off}))
    ada, bob = of.enrols("ada"), of.enrols("bob")
    for order in ("a1", "a2"):
        ada.buys(order, 80_00, at="2011-02-20")
    bob.buys("b1", 60_00)
    merged(of)
    first, second = ada.vouchers()
    assert ada.uses(first.id).status == "accepted"
    ada.cancels("a1")
    ada.cancels("a2")
    of.delivers_derived()
    assert [voucher.state for voucher in ada.vouchers()] == ["used", "voided"]
    assert [voucher.state for voucher in bob.vouchers()] == ["open"]
    assert bob.available == 60
    assert second.id == ada.vouchers()[1].id
    rests(of)


def test_what_a_level_gave_the_old_id_is_taken_back_where_a_refund_undoes_the_level() -> None:
    terms = VoucherTerms(money="GBP", worth=5_00)
    off = Reward("off", gift_only=True, voucher=terms)
    levels = (Level("basic", 0), Level("silver", 1000, points={"points": 70}, rewards=("off",)))
    held = Tiers("status", levels, kept=Span(months=3), new_level_kept=Span(months=3))
    of = Shop(programme(both(), points(), status(), held, rewards={"off": off}))
    ada, bob = of.enrols("ada"), of.enrols("bob")
    ada.buys("a1", 1200_00, at="2011-02-20")
    assert (ada.tier, ada.available) == ("silver", 1270)
    merged(of)
    assert (bob.tier, bob.available) == ("silver", 1270)
    ada.cancels("a1")
    of.delivers_derived()
    assert (bob.tier, bob.available) == ("basic", 0)
    assert [voucher.state for voucher in ada.vouchers()] == ["voided"]
    rests(of)


# What is refused ------------------------------------------------------------------------------


def test_nothing_moves_where_the_other_account_does_not_take_it() -> None:
    of, ada, bob = shop()
    ada.buys("a1", 80_00, at="2011-01-05")
    assert ada.becomes_one_with("ada").reason == "merge_into_self"
    ada.becomes_one_with("nobody")
    assert ada.becomes_one_with("bob").reason == "merge_pending"
    declined(of, ada, "not_enrolled")
    bob.becomes("closed")
    ada.becomes_one_with("bob")
    declined(of, ada, "account_closed")
    assert ada.available == 80


def test_two_who_are_to_become_part_of_each_other_both_stay() -> None:
    of, ada, bob = shop()
    ada.becomes_one_with("bob")
    bob.becomes_one_with("ada")
    declined(of, ada, "merge_pending")
    declined(of, bob, "merge_pending")
    merged(of)


def test_a_merged_account_is_not_merged_again_nor_anything_into_it() -> None:
    of, ada, bob = shop()
    merged(of)
    assert ada.becomes_one_with("bob").reason == "account_merged"
    bob.becomes_one_with("ada")
    declined(of, bob, "account_merged")


def test_an_account_with_open_holds_or_that_was_closed_meanwhile_stays() -> None:
    of, ada, _ = shop()
    ada.buys("a1", 80_00, at="2011-01-05")
    hold = ada.holds(30)
    assert ada.becomes_one_with("bob").reason == "holds_open"
    ada.voids(hold)
    ada.becomes_one_with("bob")
    of.delivers_derived(at_most=1)
    hold = ada.holds(30)
    declined(of, ada, "holds_open")
    ada.voids(hold)
    ada.becomes_one_with("bob")
    ada.becomes("closed")
    declined(of, ada, "account_closed")


def test_a_members_year_counts_in_the_survivors_year_in_which_it_ends() -> None:
    of = Shop(programme(both(), status(Window("member_year")), tiers(kept_until="end_of_window")))
    ada, bob = of.enrols("ada", "2010-12-02"), of.enrols("bob", "2011-03-10")
    ada.buys("a1", 600_00, at="2011-04-05")
    bob.buys("b1", 700_00, at="2011-04-06")
    merged(of, "2011-05-01")
    assert bob.account.windows == {"status": {"2011-03-10": 1300}}
    assert bob.tier == "silver"
    ada.returns("a1", money={1: 400_00})
    of.delivers_derived()
    assert bob.account.windows == {"status": {"2011-03-10": 900}}
    assert bob.tier == "basic"
    assert bob.receipt("a1").postings[1].window == "2011-03-10"
    ada.cancels("a1")
    of.delivers_derived()
    assert bob.account.windows == {"status": {"2011-03-10": 700}}
    rests(of)


def test_a_past_year_of_a_member_is_found_through_a_chain_of_merges() -> None:
    of = Shop(programme(both(), status(Window("member_year")), tiers(kept_until="end_of_window")))
    ada, eve = of.enrols("ada", "2010-12-02"), of.enrols("eve", "2011-06-20")
    of.enrols("bob", "2011-03-10")
    ada.buys("a1", 600_00, at="2011-04-05")
    of.waits_until("2012-02-01")
    ada.buys("a2", 100_00)
    merged(of, "2012-02-02")
    merged(of, "2012-02-03", "bob", "eve")
    assert of.auditor.books["eve"].lots["available", "status/2011-06-20"] == 700
    ada.cancels("a1")
    of.delivers_derived()
    assert eve.account.windows["status"]["2011-06-20"] == 100
    rests(of)


def test_adjustments_that_wait_for_a_second_person_are_dropped_and_say_why() -> None:
    of, ada, _ = shop(both(), points(), tiers(), approval_above=100)
    ada.is_adjusted(500, "2011-02-28")
    merged(of)
    assert ada.heard("adjustment.dropped")[-1]["why"] == "account_merged"


# Chains ---------------------------------------------------------------------------------------


def test_a_chain_of_merges_leads_everything_to_its_end() -> None:
    of, ada, bob = shop()
    eve = of.enrols("eve")
    ada.buys("a1", 80_00, at="2011-01-05")
    bob.buys("b1", 50_00, at="2011-01-06")
    merged(of)
    ada.returns("a1", money={1: 10_00})
    of.delivers_derived()
    merged(of, "2011-03-05", "bob", "eve")
    assert eve.account.affairs.absorbed == ["bob", "ada"]
    ada.returns("a1", money={1: 30_00})
    bob.returns("b1", {1: 1})
    of.delivers_derived()
    assert eve.available == 40
    ada.becomes("active")
    rests(of)


def test_parts_for_an_account_that_is_merged_itself_meanwhile_go_on() -> None:
    of, ada, bob = shop()
    eve = of.enrols("eve")
    ada.buys("a1", 80_00, at="2011-01-05")
    bob.buys("b1", 50_00, at="2011-01-06")
    ada.becomes_one_with("bob", "2011-03-01")
    of.delivers_derived(at_most=1)
    bob.becomes_one_with("eve")
    of.delivers_derived()
    assert bob.account.merged_into == "eve"
    assert ada.account.merged_into == "bob"
    assert eve.available == 130
    ada.returns("a1", {1: 1})
    of.delivers_derived()
    assert eve.available == 50
    rests(of)


def test_points_for_an_account_that_was_closed_meanwhile_are_forfeited_like_its_own() -> None:
    of, ada, bob = shop()
    ada.buys("a1", 80_00, at="2011-01-05")
    ada.becomes_one_with("bob")
    of.delivers_derived(at_most=2)
    bob.becomes("closed")
    of.delivers_derived()
    assert bob.balance("forfeited") == 80
    rests(of)


def test_erasing_the_member_erases_the_old_id_too_and_refunds_still_pass() -> None:
    of, ada, bob = shop()
    ada.buys("a1", 80_00, at="2011-01-05")
    merged(of)
    assert "ada" in of.store.profiles
    bob.becomes("erased")
    of.delivers_derived()
    assert "ada" not in of.store.profiles
    ada.returns("a1", {1: 1})
    of.delivers_derived()
    rests(of)


# The person -----------------------------------------------------------------------------------


def test_what_a_person_is_given_once_and_got_twice_is_reported_and_stays() -> None:
    first = rule("first", "engagement", give={"points": 9}, of="f", limit=Limit("lifetime", 1))
    welcome = rule("welcome", "enrolled", give={"points": 100})
    of, ada, bob = shop(
        first, welcome, points(), gifts=(Gift("birthday", "birthday", {"points": 7}),)
    )
    for member in (ada, bob):
        member.engages("f", "2011-01-05")
        member.does(ProfileUpdated(["born_on"]), profile=_born(date(1980, 2, 20)))
    of.waits_until("2011-02-21")
    merged(of)
    [told] = bob.heard("member.absorbed")
    assert told["given_twice"] == [
        {"what": "gift", "name": "birthday"},
        {"what": "limit", "name": "first"},
        {"what": "enrolment", "name": "welcome"},
    ]
    assert bob.available == 2 * (100 + 9 + 7)
    of.waits_until("2011-12-01")
    assert bob.available == 2 * (100 + 9 + 7)


def _born(day: date) -> ProfilePatch:
    return ProfilePatch(born_on=day)


def test_a_birthday_known_by_the_old_id_alone_goes_on_and_is_given_once_a_year() -> None:
    gift = Gift("birthday", "birthday", {"points": 7})
    of = Shop(programme(base(), points(), gifts=(gift,)))
    ada = of.enrols("ada", "2010-12-02", born_on=date(1980, 2, 20))
    bob = of.enrols("bob", "2010-12-02")
    of.waits_until("2011-02-21")
    assert ada.available == 7
    merged(of)
    of.waits_until("2012-02-19")
    assert bob.available == 7
    of.waits_until("2012-02-21")
    assert bob.available == 14
    assert ada.available == 0


def test_a_birthday_that_has_long_been_known_is_not_taken_for_a_new_one() -> None:
    of = Shop(programme(base(), points(), gifts=(Gift("birthday", "birthday", {"points": 7}),)))
    of.enrols("ada", "2010-12-02", born_on=date(1980, 3, 10))
    bob = of.enrols("bob", "2010-12-02")
    merged(of, "2011-03-01")
    of.waits_until("2011-03-11")
    assert bob.available == 7


def test_who_was_erased_before_all_had_arrived_is_erased_under_the_old_id_too() -> None:
    of, ada, bob = shop()
    ada.buys("a1", 80_00, at="2011-01-05")
    ada.becomes_one_with("bob", "2011-03-01")
    of.delivers_derived(at_most=2)
    bob.becomes("erased")
    of.delivers_derived()
    assert "ada" not in of.store.profiles
    assert bob.balance("forfeited") == 80
    rests(of)


def test_stamps_of_both_fill_one_card() -> None:
    plain = Rule("three", "purchase", ())
    card = Stamps("three", plain, plain, frozenset({"purchase"}), 3, LONDON, points={"points": 90})
    of, ada, bob = shop(base(), points(), stamps=(card,), returns=Span(days=30))
    ada.buys("a1", 10_00, at="2011-02-20")
    bob.buys("b1", 10_00)
    merged(of)
    bob.buys("b2", 10_00, at="2011-03-02")
    assert bob.available == 30 + 90
    ada.returns("a1", {1: 1})
    of.delivers_derived()
    assert bob.available == 20
    rests(of)


REFERRING = Referring(
    "friends",
    rule(
        "friends",
        "referral.qualified",
        give={"points": 20},
        on_refund="revoke",
        pending=UNTIL_SETTLED,
    ),
    {"points": 30},
    None,
)


def referring() -> tuple[Shop, Member, Member]:
    return shop(base(), points(), referrals=(REFERRING,), returns=Span(days=14))


def test_both_codes_are_those_of_one_member_who_does_not_bring_herself() -> None:
    of, ada, bob = referring()
    codes = ada.account.code, bob.account.code
    merged(of)
    for name, code in zip(("eve", "eli"), codes, strict=True):
        friend = of.member(name)
        assert friend.does(Enrolled(referred_by=code)).status == "accepted"
        assert friend.account.referral.referrer == "bob"  # type: ignore[union-attr]
    refused = bob.does(Engaged(MADE, about=codes[0]))
    assert refused.reason == "self_referral"


def test_a_referral_goes_on_for_friend_and_referrer_under_their_new_ids() -> None:
    of, ada, bob = referring()
    eve, dan = of.member("eve"), of.enrols("dan")
    eve.does(Enrolled(referred_by=ada.account.code), "2011-02-20")
    eve.buys("e1", 40_00)
    of.delivers_derived()
    merged(of)
    merged(of, "2011-03-02", "eve", "dan")
    assert (bob.pending, dan.pending) == (30, 20)
    of.waits_until("2011-03-10")
    of.delivers_derived()
    of.waits_until("2011-03-11")
    assert (bob.available, dan.available) == (30, 60)
    rests(of)


def test_two_who_brought_each_other_wait_for_the_end_of_that_before_they_are_one() -> None:
    of, ada, _ = referring()
    eve = of.member("eve")
    eve.does(Enrolled(referred_by=ada.account.code), "2011-02-20")
    eve.buys("e1", 40_00)
    of.delivers_derived()
    assert eve.becomes_one_with("ada").reason == "referral_between"
    ada.becomes_one_with("eve")
    declined(of, ada, "referral_between")
    of.waits_until("2011-03-10")
    of.delivers_derived()
    merged(of, "2011-03-11", "eve", "ada")


def test_a_referral_between_two_who_are_one_never_begins() -> None:
    of, ada, _ = referring()
    eve = of.member("eve")
    eve.does(Enrolled(referred_by=ada.account.code), "2011-02-20")
    merged(of, "2011-02-21", "ada", "eve")
    eve.buys("e1", 40_00)
    of.delivers_derived()
    assert (eve.available, eve.pending) == (40, 0)
    rests(of)


# Parts ----------------------------------------------------------------------------------------


def parts(of: Shop) -> list[tuple[str, MergeReceived]]:
    bodies = [(row[6], decode_body(row[7])) for row in of.store.outbox[of._delivered :] if row[6]]
    return [(to, body) for to, body in bodies if isinstance(body, MergeReceived)]


def test_a_part_is_small_however_much_there_is_and_each_arrives_once() -> None:
    of, ada, bob = shop(*(_engaged(n) for n in range(900)), points())
    ada.engages("x", "2011-01-05")
    ada.becomes_one_with("bob", "2011-03-01")
    of.delivers_derived(at_most=2)
    sent = parts(of)
    assert len(sent) == 3
    assert [len(body.state.counters) + len(body.state.lots) for _, body in sent] == [400, 400, 101]
    of.delivers_derived()
    assert len(bob.account.counters) == 900
    assert len(bob.heard("member.absorbed")) == 3
    rests(of)


def _engaged(n: int) -> Any:
    return rule(f"r{n:03}", "engagement", give={"points": 1}, limit=Limit("lifetime", 1))


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_parts_arrive_in_any_order(order: list[int]) -> None:
    of, ada, bob = shop(*(_engaged(n) for n in range(900)), points(expiry=end_of_month(3)))
    ada.engages("x", "2011-01-05")
    bob.engages("x", "2011-01-06")
    bob.is_adjusted(-800)
    ada.becomes_one_with("bob", "2011-03-01")
    of.delivers_derived(at_most=2)
    sent = parts(of)
    of._delivered = len(of.store.outbox)
    for place in order:
        of.records(of.incoming(*sent[place], of.clock.at))
    assert bob.available == 1000
    assert all(counted == [2, 2] for counted in bob.account.counters.values())
    rests(of)


@pytest.mark.as_written
def test_what_comes_while_the_clock_fails_goes_on_once_it_does_not() -> None:
    """To the account that it is for, whichever of the two is stuck."""
    of, ada, bob = shop(base(pending=Pending(Span(days=14))), points())
    ada.buys("a1", 80_00, at="2011-01-05")
    bob.buys("b1", 20_00, at="2011-01-05")
    ada.becomes_one_with("bob", "2011-01-06")
    of.delivers_derived(at_most=1)
    of.clock.at = at("2011-02-01")
    with of.ticks_failing():
        ada.buys("a2", 10_00, at="2011-02-01")
        ada.returns("a9", {1: 1})
        of.delivers_derived()
        ada.returns("a1", money={1: 30_00})
    assert ada.account.status == "stuck"
    ada.is_retried()
    assert ada.account.merged_into == "bob"
    with of.ticks_failing():
        of.delivers_derived()
    assert bob.account.status == "stuck"
    bob.is_retried()
    of.waits_until("2011-03-01")
    assert bob.available == 80 - 30 + 20 + 10
    assert not ada.account.waiting
    rests(of)
