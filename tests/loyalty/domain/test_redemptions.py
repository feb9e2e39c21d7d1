"""Redemptions undone: points go home, never more than were drawn and never twice."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.loyalty.domain.activity import RedemptionCancelled, RedemptionRequested
from services.loyalty.domain.calendar import DAY
from services.loyalty.domain.program import Expiry, Limit, Reward, Span, VoucherTerms
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    base,
    decision_of,
    end_of_month,
    points,
    programme,
)

REWARDS = {
    "mug": Reward("mug", 300, "points"),
    "five-off": Reward("five-off", 300, "points", voucher=VoucherTerms(Span(days=90), "GBP", 500)),
}


def shopper(**more: Any) -> Member:
    """A member whose points live to the end of the second month after they were earned."""
    more.setdefault("rewards", REWARDS)
    return Shop(programme(base(), points(expiry=end_of_month(2)), **more)).enrols("ada")


def redeemed(ada: Member, reward: str = "mug", when: str | None = None) -> str:
    """A redemption's id, once it is accepted."""
    outcome = ada.redeems(reward, when)
    assert outcome.status == "accepted", outcome
    name: str = decision_of(outcome).redemptions[0].redemption
    return name


# Where points go ------------------------------------------------------------------------------


def test_a_redemption_knows_the_lots_that_it_drew_from() -> None:
    ada = shopper()
    ada.buys("o1", 200_00, at="2010-12-10")
    ada.buys("o2", 200_00, at="2011-01-10")
    row = ada.redemption(redeemed(ada))
    assert [points for _, points in row.draws] == [200, 100]
    assert (row.points, row.left, row.voucher) == (300, 300, "")


def test_undoing_returns_each_point_to_its_lot_with_that_lots_expiry() -> None:
    ada = shopper()
    ada.buys("o1", 200_00, at="2010-12-10")
    ada.buys("o2", 200_00, at="2011-01-10")
    before = ada.lots()
    name = redeemed(ada)
    assert ada.undoes(name).status == "accepted"
    assert ada.lots() == before
    assert (ada.available, ada.balance("redeemed")) == (400, 0)
    assert ada.heard("points.restored") == [
        {
            "redemption": name,
            "reward": "mug",
            "currency": "points",
            "points": 300,
            "reason": "changed_mind",
        }
    ]


def test_a_part_returns_what_expires_last_first() -> None:
    ada = shopper()
    ada.buys("o1", 200_00, at="2010-12-10")
    ada.buys("o2", 200_00, at="2011-01-10")
    name = redeemed(ada)
    ada.undoes(name, 150)
    assert ada.redemption(name).returned == [50, 100]
    assert [held for held, _ in ada.lots()] == [50, 200]


def test_never_more_than_was_drawn_and_never_twice() -> None:
    ada = shopper()
    ada.is_adjusted(1000)
    name = redeemed(ada)
    assert ada.undoes(name, 301).reason == "more_than_redeemed"
    ada.undoes(name, 100)
    more = ada.undoes(name, 201)
    assert (more.reason, more.details["left"]) == ("more_than_redeemed", 200)
    assert ada.undoes(name).status == "accepted"
    assert ada.undoes(name).reason == "already_cancelled"
    assert ada.undoes(name, 1).reason == "already_cancelled"
    assert ada.undoes("none").reason == "unknown_redemption"
    assert ada.available == 1000


def test_what_is_owed_is_repaid_first() -> None:
    ada = shopper()
    ada.buys("o1", 300_00)
    name = redeemed(ada)
    ada.returns("o1", {1: 1})
    assert (ada.available, ada.arrears) == (0, 300)
    ada.undoes(name, 100)
    assert (ada.available, ada.arrears) == (0, 200)
    ada.undoes(name)
    assert (ada.available, ada.arrears, ada.balance("redeemed")) == (0, 0, 0)


def test_a_redemption_is_undone_for_a_suspended_member_and_not_for_a_closed_account() -> None:
    ada = shopper()
    ada.is_adjusted(600)
    first, second = redeemed(ada), redeemed(ada)
    ada.becomes("suspended")
    assert ada.undoes(first).status == "accepted"
    ada.becomes("closed")
    assert ada.undoes(second).reason == "account_closed"


# Lots that have expired since -----------------------------------------------------------------


def test_points_whose_lot_has_expired_live_on_in_a_successor_of_the_same_month() -> None:
    ada = shopper()
    ada.buys("o1", 300_00, at="2010-12-10")
    name = redeemed(ada, when="2011-02-20")
    ada.shop.waits_until("2011-03-05")
    ada.undoes(name, at="2011-03-10 09:00")
    [lot] = ada.account.lots
    assert (lot.issued, lot.points, lot.expires_at) == ("2010-12", 300, at("2011-03-25 00:00"))
    ada.shop.waits_until("2011-03-25 00:00")
    assert (ada.available, ada.balance("expired")) == (0, 300)


def test_with_no_days_they_expire_at_once() -> None:
    ada = shopper(restored_for=Span())
    ada.buys("o1", 300_00, at="2010-12-10")
    name = redeemed(ada, when="2011-02-20")
    ada.undoes(name, at="2011-03-10")
    assert (ada.available, ada.balance("expired"), ada.balance("redeemed")) == (0, 300, 0)


def test_a_clawback_follows_points_to_the_successor() -> None:
    ada = shopper()
    ada.buys("o1", 300_00, at="2010-12-10")
    name = redeemed(ada, when="2011-02-20")
    ada.undoes(name, at="2011-03-30")
    [successor] = ada.account.lots
    ada.buys("o2", 100_00, at="2011-01-31", known_at="2011-03-31")  # ends before the successor
    assert [held for held, _ in ada.lots()] == [100, 300]
    ada.returns("o1", {1: 1}, at="2011-03-31 13:00")
    assert [held for held, _ in ada.lots()] == [100]
    assert ada.entries("accrual_reversal")[0].lot_from == successor.key


def test_a_clawback_takes_what_expired_in_the_successor_at_no_cost() -> None:
    ada = shopper()
    ada.buys("o1", 300_00, at="2010-12-10")
    name = redeemed(ada, when="2011-02-20")
    ada.undoes(name, at="2011-03-10")
    ada.shop.waits_until("2011-04-20")
    ada.buys("o2", 100_00, at="2011-04-21")
    ada.returns("o1", {1: 1}, at="2011-04-22")
    assert (ada.available, ada.arrears) == (100, 0)
    ada.shop.proves()


def test_points_may_be_restored_again_and_again() -> None:
    ada = shopper()
    ada.buys("o1", 300_00, at="2010-12-10")
    for month in ("2011-03", "2011-04", "2011-05"):
        name = redeemed(ada)
        ada.shop.waits_until(f"{month}-28")
        ada.undoes(name)
    ada.returns("o1", {1: 1}, at="2011-05-29")
    assert (ada.available, ada.arrears, ada.balance("issuance")) == (0, 0, 0)


# Vouchers -------------------------------------------------------------------------------------


def test_undoing_voids_the_voucher_in_the_same_decision() -> None:
    ada = shopper()
    ada.is_adjusted(300)
    name = redeemed(ada, "five-off")
    [voucher] = ada.vouchers()
    assert ada.redemption(name).voucher == voucher.id
    outcome = ada.undoes(name)
    assert decision_of(outcome).vouchers[0].state == "voided"
    assert (ada.available, ada.voucher(voucher.id).reason) == (300, "redemption_cancelled")
    assert ada.uses(voucher.id).reason == "voucher_voided"


def test_a_voucher_that_was_used_or_has_ended_leaves_nothing_to_undo() -> None:
    ada = shopper()
    ada.is_adjusted(900)
    names = [redeemed(ada, "five-off", "2011-01-05") for _ in range(3)]
    used, lost, _ = ada.vouchers()
    ada.uses(used.id)
    ada.loses(lost.id)
    ada.shop.waits_until("2011-06-01")
    reasons = [ada.undoes(name).reason for name in names]
    assert reasons == ["voucher_used", "voucher_voided", "voucher_expired"]
    assert (ada.available, ada.balance("redeemed")) == (0, 900)


def test_what_came_with_a_voucher_is_undone_whole() -> None:
    ada = shopper()
    ada.is_adjusted(300)
    name = redeemed(ada, "five-off")
    assert ada.undoes(name, 299).reason == "whole_only"
    assert ada.undoes(name, 300).status == "accepted"


def test_a_redemption_and_its_undoing_may_meet_in_one_batch() -> None:
    ada = shopper()
    ada.is_adjusted(300)
    shop = ada.shop
    bodies = (
        RedemptionRequested("r", "five-off"),
        RedemptionCancelled("r"),
        RedemptionRequested("r", "five-off"),
    )
    outcomes = shop.records(*(shop.incoming("ada", body, shop.clock.at) for body in bodies))
    assert [each.reason for each in outcomes] == ["", "", "redemption_exists"]
    assert ada.available == 300
    assert [voucher.state for voucher in ada.vouchers()] == ["voided"]
    shop.proves()


def test_a_redemption_of_a_name_that_is_taken_is_refused() -> None:
    ada = shopper()
    ada.is_adjusted(900)
    assert ada.does(RedemptionRequested("r", "mug")).status == "accepted"
    assert ada.does(RedemptionRequested("r", "mug")).reason == "redemption_exists"
    assert ada.available == 600


def test_a_piece_of_stock_and_the_members_limit_come_back_with_the_whole() -> None:
    one = Reward("mug", 300, "points", stock=1, limit=Limit("month", times=1))
    ada = shopper(rewards={"mug": one})
    ada.is_adjusted(600, "2011-01-05")
    name = redeemed(ada, when="2011-01-06")
    assert ada.redeems("mug").reason == "reward_unavailable"  # sold out, and no more for her
    ada.undoes(name, 100)
    assert ada.redeems("mug").reason == "reward_unavailable"
    ada.undoes(name)
    assert ada.shop.store.counters == {one.stock_key: (1, 0)}
    assert ada.account.counters["reward:mug/2011-01"] == [0, 0]
    redeemed(ada)
    ada.shop.proves()


def test_a_limit_of_a_period_that_is_over_comes_back_to_that_period() -> None:
    ada = shopper(rewards={"mug": Reward("mug", 300, "points", limit=Limit("month", times=1))})
    ada.is_adjusted(900, "2011-01-05")
    name = redeemed(ada, when="2011-01-06")
    later = redeemed(ada, when="2011-02-06")
    ada.undoes(name)
    assert ada.shop.store.history["ada", "reward:mug/2011-01"] == [0, 0]
    assert ada.account.counters["reward:mug/2011-02"] == [1, 0]
    ada.undoes(later)
    ada.shop.proves()


# Numbers --------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    spent=st.lists(st.integers(0, 600), min_size=1, max_size=4),
    parts=st.lists(st.integers(1, 300), max_size=6),
)
def test_parts_in_any_sizes_sum_to_the_whole(spent: list[int], parts: list[int]) -> None:
    ada = shopper()
    for month, pounds in enumerate(spent, 1):
        ada.buys(f"o{month}", pounds * 100, at=f"2011-{month:02}-10")
    if ada.redeems("mug").status != "accepted":
        return
    [name] = [key for _, key in ada.shop.store.redemptions]
    row = ada.redemption(name)
    before = ada.available
    left = 300
    for part in parts:
        outcome = ada.undoes(name, part)
        assert (outcome.status == "accepted") == (part <= left), outcome
        left -= part if part <= left else 0
    assert ada.available == before + 300 - left
    if left:
        ada.undoes(name)
    assert ada.redemption(name).returned == [points for _, points in row.draws]
    assert (ada.available, ada.balance("redeemed")) == (before + 300, 0)
    ada.shop.proves()


STEPS = ("undo", "refund", "later", "buy")


@settings(max_examples=80, deadline=None)
@given(
    order=st.permutations(STEPS),
    part=st.integers(1, 300),
    back=st.integers(1, 400),
    days=st.sampled_from([1, 40, 100]),
    valid=st.sampled_from([Span(), Span(days=14)]),
)
def test_a_refund_before_or_after_the_undoing_never_makes_or_loses_a_point(
    order: list[str], part: int, back: int, days: int, valid: Span
) -> None:
    ada = shopper(restored_for=valid)
    ada.buys("o1", 400_00, at="2010-12-10")
    name = redeemed(ada)
    for step in order:
        if step == "undo":
            assert ada.undoes(name, part).status == "accepted"
        elif step == "refund":
            ada.returns("o1", money={1: back * 100})
        elif step == "later":
            ada.shop.waits_until(ada.shop.clock.at + days * DAY)
        else:
            ada.buys("o2", 50_00)
    net = ada.available - ada.arrears + ada.balance("expired") + ada.balance("redeemed")
    assert net == 450 - back
    assert ada.balance("redeemed") == 300 - part
    ada.shop.proves()


@settings(max_examples=40, deadline=None)
@given(back=st.integers(1, 400), part=st.integers(1, 300))
def test_while_nothing_expires_it_does_not_matter_which_came_first(back: int, part: int) -> None:
    ends = []
    for first in ("undo", "refund"):
        shop = Shop(programme(base(), points(expiry=Expiry(Span(months=12))), rewards=REWARDS))
        ada = shop.enrols("ada")
        ada.buys("o1", 400_00)
        name = redeemed(ada)
        for step in sorted(("undo", "refund"), key=first.__ne__):
            if step == "undo":
                ada.undoes(name, part)
            else:
                ada.returns("o1", money={1: back * 100})
        ends.append((ada.lots(), ada.arrears, ada.balance("redeemed")))
    assert ends[0] == ends[1]
