"""What each status does with each kind of activity; enrolment, ending, waiting and being stuck."""

from __future__ import annotations

from datetime import date

import pytest

from services.loyalty.domain.activity import (
    AnyBody,
    Delivered,
    Enrolled,
    ProfileUpdated,
)
from services.loyalty.domain.decide import MAX_WAITING
from services.loyalty.domain.program import Gift, Pending, Reward, Span, Window
from services.loyalty.domain.status import DECIDE, FORWARD, KINDS, PARK, REFUSE, STATUS, verdict
from tests.loyalty.domain.shop import (
    Shop,
    at,
    base,
    both,
    end_of_month,
    line,
    points,
    programme,
    purchase,
    rule,
    status,
    tiers,
)

REWARDS = {"ten": Reward("ten", 10, "points")}


# The table ------------------------------------------------------------------------------------


def test_every_status_has_an_answer_to_every_kind() -> None:
    assert set(STATUS) == {
        "unenrolled",
        "active",
        "suspended",
        "closed",
        "merged",
        "erased",
        "stuck",
        "pool",
    }
    for row in STATUS.values():
        assert set(row) == set(KINDS)
        for what, reason in row.values():
            assert what in (DECIDE, FORWARD, PARK, REFUSE)
            assert bool(reason) == (what in (PARK, REFUSE))


def test_the_table_knows_every_body_there_is() -> None:
    bodies = AnyBody.__args__
    assert {body.__struct_config__.tag for body in bodies} == set(KINDS)


@pytest.mark.parametrize("status", ["suspended", "closed", "merged", "erased"])
def test_refunds_move_money_and_are_decided_whatever_has_become_of_the_account(status: str) -> None:
    by = FORWARD if status == "merged" else DECIDE
    for kind in ("refund", "cancellation", "delivery"):
        assert verdict(status, kind) == (by, "")
    for kind in ("tick", "transfer_back", "merge_answer"):
        assert verdict(status, kind) == (DECIDE, "")


def test_what_would_move_points_waits_while_a_tick_has_failed() -> None:
    waits = {kind for kind in KINDS if verdict("stuck", kind) == (PARK, "tick")}
    assert {"purchase", "refund", "transfer_in", "transfer_back", "status"} <= waits
    assert verdict("stuck", "redemption") == (REFUSE, "account_stuck")


# Enrolment and status -------------------------------------------------------------------------


def test_a_member_enrols_once() -> None:
    ada = Shop(programme(both(), tiers())).enrols("ada")
    assert ada.heard("member.enrolled") == [{"tier": "basic"}]
    assert ada.does(Enrolled()).reason == "already_enrolled"


def test_nothing_is_judged_before_the_first_version_holds() -> None:
    shop = Shop(programme(base()))
    shop.clock.at = at("2011-01-05")
    ada = shop.enrols("ada", "2011-01-04")
    early = ada.buys("o1", 10_00, at="2010-11-30", known_at="2011-01-06")
    assert (early.status, early.reason) == ("refused", "before_program")


def test_a_suspended_member_earns_but_does_not_spend() -> None:
    ada = Shop(programme(base(), rewards=REWARDS, transfers=True)).enrols("ada")
    ada.becomes("suspended")
    ada.buys("o1", 20_00)
    assert ada.redeems("ten").reason == "account_suspended"
    assert ada.gives("bob", 5).reason == "account_suspended"
    ada.becomes("active")
    assert ada.redeems("ten").status == "accepted"
    assert len(ada.heard("member.reopened")) == 1
    assert ada.becomes("active").reason == "status_unchanged"


def test_closing_forfeits_points_and_leaves_the_tier() -> None:
    ada = Shop(programme(both(), points(pending=Pending(Span(days=9))), tiers())).enrols("ada")
    ada.is_adjusted(30)
    ada.buys("o1", 1000_00)
    ada.becomes("closed")
    assert (ada.available, ada.pending, ada.balance("forfeited")) == (0, 0, 1030)
    assert ada.tier == ""
    assert ada.buys("o2", 1_00).reason == "account_closed"
    ada.becomes("active")
    assert (ada.tier, ada.available) == ("basic", 0)
    ada.buys("o3", 1_00)
    assert ada.tier == "silver"  # what was bought still counts


def test_a_refund_after_closing_finds_points_that_only_count() -> None:
    terms = status(Window("rolling", 3), pending=Pending(Span(days=9)), counts="when_activated")
    ada = Shop(programme(both(), terms, tiers())).enrols("ada")
    ada.buys("o1", 1000_00)
    ada.becomes("closed")
    ada.cancels("o1")
    assert ada.account.pending("status") == 0
    ada.shop.waits_until("2011-03-01")
    assert ada.tier == ""


def test_points_that_reach_an_ended_account_are_forfeited() -> None:
    ada = Shop(programme(base(), transfers=True)).enrols("ada")
    ada.is_adjusted(50)
    ada.gives("bob", 50)
    ada.becomes("closed")
    ada.shop.delivers_derived()  # bob is nobody, so they come back
    assert (ada.available, ada.balance("forfeited"), ada.balance("transit")) == (0, 50, 0)


def test_a_late_purchase_from_before_the_enrolment_had_no_tier() -> None:
    ada = Shop(programme(both(), tiers())).enrols("ada", "2011-01-10")
    ada.buys("o1", 1000_00, at="2011-01-11")
    late = ada.buys("o2", 1_00, at="2011-01-05", known_at="2011-01-12")
    assert late.decision is not None
    assert late.decision.facts.level_then == ""


# Waiting --------------------------------------------------------------------------------------


def test_what_comes_before_the_enrolment_waits_for_it_and_goes_on_in_order() -> None:
    ada = Shop(programme(base())).member("ada")
    ada.returns("o1", {1: 1}, at="2011-01-05")
    ada.buys("o1", line(1, 10_00, quantity=2), at="2011-01-04", known_at="2011-01-05")
    assert ada.journal() == [
        ("refund", "parked", "awaits_enrolment"),
        ("purchase", "parked", "awaits_enrolment"),
    ]
    ada.does(Enrolled(), "2011-01-06")
    assert ada.journal()[2:] == [
        ("enrolment", "accepted", ""),
        ("resumed", "parked", "awaits_purchase"),
        ("resumed", "accepted", ""),
        ("resumed", "accepted", ""),
    ]
    assert (ada.available, ada.account.waiting) == (10, [])
    ada.shop.proves()


def test_a_refund_before_its_purchase_waits_for_it() -> None:
    ada = Shop(programme(base())).enrols("ada")
    early = ada.returns("o1", {1: 1}, at="2011-01-05")
    assert (early.status, early.reason) == ("parked", "awaits_purchase")
    ada.buys("o1", 10_00, at="2011-01-04", known_at="2011-01-06")
    assert (ada.available, ada.account.waiting) == (0, [])
    assert ada.shop.store.parked == {}


def test_purchase_and_refund_meet_in_one_batch_in_either_order() -> None:
    for bodies in ((0, 1), (1, 0)):
        shop = Shop(programme(base()))
        shop.enrols("ada")
        shop.clock.at = at("2011-01-06")
        refund = shop.incoming("ada", Delivered("o1"), at("2011-01-05"))
        messages = [shop.incoming("ada", purchase("o1", 10_00), at("2011-01-05")), refund]
        shop.records(*(messages[place] for place in bodies))
        assert shop.member("ada").receipt("o1").delivered_at


def test_what_never_comes_lets_the_waiting_lapse() -> None:
    ada = Shop(programme(base(), wait=Span(days=20))).enrols("ada")
    ada.returns("o1", {1: 1}, at="2011-01-05 10:00")
    ada.shop.waits_until("2011-02-01")
    assert ada.journal()[-1] == ("lapsed", "accepted", "")
    assert ada.heard("activity.lapsed") == [
        {"activity": "refund", "parked": 2, "reason": "awaits_purchase"}
    ]
    [row] = [row for row in ada.shop.store.journal.values() if row[2] == "lapsed"]
    assert row[9] == at("2011-01-26 00:00")
    ada.buys("o1", 10_00)
    assert ada.available == 10


def test_a_member_has_only_so_many_waiting() -> None:
    ada = Shop(programme(base())).enrols("ada")
    for number in range(MAX_WAITING):
        assert ada.returns(f"o{number}", {1: 1}).status == "parked"
    assert ada.returns("more", {1: 1}).reason == "too_many_parked"
    assert ada.buys("o7", 10_00).status == "accepted"
    assert ada.returns("more", {1: 1}).status == "parked"


def test_a_resumed_activity_may_still_be_refused() -> None:
    ada = Shop(programme(base())).enrols("ada")
    ada.returns("o1", {9: 1}, at="2011-01-05")
    ada.buys("o1", 10_00, at="2011-01-06")
    assert ada.journal()[-1] == ("resumed", "refused", "unknown_line")
    assert ada.heard("activity.refused")[-1]["activity"] == "refund"


# Stuck ----------------------------------------------------------------------------------------


@pytest.mark.as_written
def test_a_tick_that_fails_makes_the_account_wait_and_its_clock_stand_still() -> None:
    terms = points(expiry=end_of_month(1, notices=(5,)))
    ada = Shop(programme(base(), terms, rewards=REWARDS)).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    with ada.shop.ticks_failing():
        late = ada.buys("o2", 20_00, at="2011-02-28")
    assert (late.status, late.reason) == ("parked", "awaits_tick")
    assert ada.redeems("ten", "2011-03-10").reason == "account_stuck"
    ada.returns("o2", {1: 1}, at="2011-03-11")
    assert (ada.account.status, ada.account.as_of) == ("stuck", at("2011-01-05"))
    assert ada.shop.store.accounts["ada"].due_at is not None  # until a scheduler has seen it
    ada.shop.waits_until("2011-03-20")
    assert ada.shop.store.accounts["ada"].due_at is None
    assert ada.is_retried().status == "accepted"
    assert (ada.account.status, ada.available) == ("active", 0)
    assert ada.ticks() == [("notice", at("2011-02-24 00:00")), ("expiry", at("2011-03-01 00:00"))]
    assert [kind for kind, _, _ in ada.journal()[-4:]] == ["tick", "tick", "resumed", "resumed"]
    ada.shop.proves()


@pytest.mark.as_written
def test_a_tick_that_fails_again_changes_nothing() -> None:
    ada = Shop(programme(base(), points(expiry=end_of_month(1)))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    with ada.shop.ticks_failing():
        ada.engages("other", "2011-03-05")
        before = dict(ada.shop.store.journal)
        with pytest.raises(ArithmeticError):
            ada.is_retried()
    assert ada.shop.store.journal == before
    assert ada.account.status == "stuck"
    assert ada.is_retried().status == "accepted"


def test_only_a_stuck_account_can_be_retried() -> None:
    ada = Shop(programme(base())).enrols("ada")
    assert ada.is_retried().reason == "not_stuck"


@pytest.mark.as_written
def test_what_is_left_of_an_instant_is_decided_once_the_failed_tick_is() -> None:
    gifts = (Gift("cake", "birthday", {"points": 200}),)
    terms = points(expiry=end_of_month(1))
    shop = Shop(programme(base(), terms, rule("w", "enrolled", give={"points": 5}), gifts=gifts))
    ada = shop.enrols("ada", "2011-01-05", born_on=date(1980, 3, 1))
    with shop.ticks_failing():
        ada.does(ProfileUpdated(["language"]), "2011-03-03")
    ada.is_retried()
    assert [moment for moment, _ in ada.ticks()] == ["expiry", "occasion"]
    assert ada.available == 200
