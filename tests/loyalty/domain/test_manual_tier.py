"""A level given by hand: beside what was earned, with or without an end, and never down."""

from __future__ import annotations

from services.loyalty.application.batch import Outcome
from services.loyalty.domain.activity import TierGiven
from services.loyalty.domain.program import Span
from tests.loyalty.domain.shop import Member, Shop, at, both, programme, tiers


def enrolled(**more: object) -> Member:
    return Shop(programme(both(), tiers(**more))).enrols("ada", "2011-01-01")


def given(member: Member, level: str, when: str, until: str = "") -> Outcome:
    body = TierGiven(level, at(until) if until else 0, "status-match", "agent-7")
    return member.does(body, when)


def test_a_level_without_an_end_stays() -> None:
    ada = enrolled()
    assert given(ada, "gold", "2011-01-05").status == "accepted"
    assert ada.heard("tier.changed") == [
        {"from": "basic", "to": "gold", "direction": "up", "reason": "manual"}
    ]
    ada.shop.waits_until("2031-01-01")
    assert ada.tier == "gold"
    assert ada.shop.store.accounts["ada"].due_at is None
    ada.shop.proves()


def test_its_end_is_the_end_of_a_period_like_any_other() -> None:
    ada = enrolled(fall="to_qualified", grace=Span(days=5), warn_days=(3,))
    given(ada, "silver", "2011-01-05", until="2011-02-01 00:00")
    ada.shop.waits_until("2011-02-05")
    assert (ada.tier, ada.heard("tier.warned")[0]["missing"]) == ("silver", 1000)
    ada.shop.waits_until("2011-02-07")
    assert ada.tier == "basic"


def test_what_was_earned_meanwhile_keeps_it() -> None:
    ada = enrolled()
    given(ada, "silver", "2011-01-05", until="2011-02-01 00:00")
    ada.buys("o1", 1000_00, at="2011-01-06")
    ada.shop.waits_until("2011-02-02")
    assert ada.tier == "silver"


def test_it_never_pulls_down_and_a_refund_leaves_it() -> None:
    ada = enrolled()
    ada.buys("o1", 5000_00, at="2011-01-06")
    given(ada, "silver", "2011-01-07")
    assert ada.tier == "gold"
    ada.cancels("o1", "2011-01-08")
    assert ada.tier == "silver"


def test_one_takes_the_place_of_the_other_and_can_be_ended() -> None:
    ada = enrolled()
    given(ada, "gold", "2011-01-05")
    given(ada, "silver", "2011-01-06", until="2012-01-01")
    assert ada.tier == "silver"
    assert given(ada, "", "2011-01-07").status == "accepted"
    assert ada.tier == "basic"
    assert ada.heard("tier.changed")[-1]["reason"] == "manual_ended"


def test_its_end_by_hand_leaves_what_the_window_allows() -> None:
    ada = enrolled()
    given(ada, "gold", "2011-01-05")
    ada.buys("o1", 1000_00, at="2011-01-06")
    given(ada, "", "2011-01-07")
    assert ada.tier == "silver"


def test_what_cannot_be_given_is_refused_with_its_reason() -> None:
    ada = enrolled()
    assert given(ada, "diamond", "2011-01-05").reason == "unknown_level"
    assert given(ada, "basic", "2011-01-05").reason == "unknown_level"
    assert given(ada, "gold", "2011-01-05", until="2011-01-05").reason == "end_is_past"
    assert given(ada, "", "2011-01-05").reason == "no_manual_tier"
    bob = ada.shop.member("bob")
    assert given(bob, "gold", "2011-01-06").reason == "not_enrolled"
