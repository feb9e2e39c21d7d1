"""Households that share what their members earn."""

from __future__ import annotations

import pytest

from services.loyalty.domain.activity import (
    AnyBody,
    Blocked,
    Enrolled,
    HoldRequested,
    PoolAnswered,
    PoolAsked,
    PoolContributed,
    PoolLeft,
    PoolRecalled,
    PoolSpendersNamed,
    Purchased,
    StatusChanged,
)
from services.loyalty.domain.calendar import NEVER
from services.loyalty.domain.ledger import lot_key
from services.loyalty.domain.program import Holds, Pending, Pools, Reward, Span
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    base,
    both,
    end_of_month,
    points,
    programme,
    rule,
    tiers,
)

REWARDS = {"ten": Reward("ten", 10, "points"), "forty": Reward("forty", 40, "points")}
POOL = "smiths"


def household(shop: Shop, *names: str, when: str = "2010-12-02") -> list[Member]:
    """Members of one pool, which the first of them founded; and then the pool."""
    members = [shop.enrols(name, when) for name in names]
    for member in members:
        assert member.joins(POOL, founds=member is members[0]).status == "accepted"
        shop.delivers_derived()
    return [*members, shop.member(POOL)]


def shop_of(*parts: object, **more: object) -> Shop:
    more.setdefault("pools", Pools())
    return Shop(programme(*(parts or (base(),)), rewards=REWARDS, **more))  # type: ignore[arg-type]


def sent_by(member: Member) -> list[AnyBody]:
    """What the member's last decision sent to others."""
    decision = member.shop.store.decisions[member.name, member.account.seq]
    return [each.body for each in decision.derived]


def members_of(pool: Member) -> list[str]:
    assert pool.account.affairs.pool is not None
    return [each.member for each in pool.account.affairs.pool.members]


# Who is in ------------------------------------------------------------------------------------


def test_a_pool_is_founded_by_one_and_joined_by_others() -> None:
    ada, bob, pool = household(shop_of(), "ada", "bob")
    assert (pool.account.status, members_of(pool)) == ("pool", ["ada", "bob"])
    assert pool.heard("pool.founded") == [{"owner": "ada"}]
    assert pool.heard("pool.member-joined")[-1] == {"member": "bob", "members": 2}
    assert ada.heard("pool.joined") == bob.heard("pool.joined") == [{"pool": POOL}]
    ada.shop.proves()


@pytest.mark.parametrize(
    ("pool", "founds", "reason"),
    [
        ("nobody", False, "unknown_pool"),
        (POOL, True, "pool_exists"),
        (POOL, False, "pool_full"),
        ("ada", False, "not_a_pool"),
        ("ada", True, "not_a_pool"),
    ],
)
def test_who_is_not_let_in_is_told_why(pool: str, founds: bool, reason: str) -> None:
    shop = shop_of(pools=Pools(most=2))
    household(shop, "ada", "bob")
    eve = shop.enrols("eve", "2010-12-03")
    assert eve.joins(pool, founds=founds).status == "accepted"
    shop.delivers_derived()
    assert eve.heard("pool.refused") == [{"pool": pool, "reason": reason}]
    eve.buys("o1", 10_00)
    assert eve.available == 10
    shop.proves()


def test_a_member_is_in_one_pool_at_a_time() -> None:
    shop = shop_of()
    ada, _ = household(shop, "ada")
    assert ada.joins("others", founds=True).reason == "in_a_pool"
    assert shop_of(pools=None).enrols("bob").joins(POOL).reason == "pools_not_offered"
    assert ada.shop.member("bob").joins(POOL).reason == "not_enrolled"


def test_stays_are_not_too_short_and_changes_not_too_quick() -> None:
    shop = shop_of(pools=Pools(min_stay=Span(days=30), rejoin_after=Span(months=3)))
    ada, bob, _ = household(shop, "ada", "bob")
    assert ada.leaves_the_pool("2010-12-20").reason == "pool_joined_recently"
    assert ada.leaves_the_pool("2011-01-03").status == "accepted"
    assert ada.leaves_the_pool().reason == "in_no_pool"
    assert ada.joins("others", "2011-02-01", founds=True).reason == "pool_left_recently"
    assert ada.joins(POOL, "2011-02-01").status == "accepted"  # the same one, at any time
    assert ada.leaves_the_pool("2011-02-02").status == "accepted"  # before it has answered
    shop.delivers_derived()
    assert ada.joins("others", "2011-04-04", founds=True).status == "accepted"
    assert bob.account.affairs.household is not None


def test_a_pool_is_no_member_and_a_member_no_pool() -> None:
    shop = shop_of(transfers=True)
    ada, pool = household(shop, "ada")
    refused: list[AnyBody] = [Enrolled(), Purchased("o", "GBP", []), StatusChanged("suspended")]
    for body in refused:
        assert pool.does(body).reason == "not_a_member"
    assert ada.does(PoolLeft(POOL, "x", 1)).reason == "not_a_pool"
    ada.is_adjusted(30)
    ada.gives(POOL, 20)
    shop.delivers_derived()
    assert (ada.available, pool.available) == (30, 0)  # a gift to a pool comes back
    assert ada.redeems("ten", by="ada").reason == "not_a_pool"


# What goes there ------------------------------------------------------------------------------


def test_what_is_earned_goes_to_the_pool_and_what_counts_for_tiers_stays() -> None:
    shop = shop_of(both(), points(expiry=end_of_month(3)), tiers())
    ada, bob, pool = household(shop, "ada", "bob")
    ada.buys("o1", 1200_00, at="2011-01-05")
    bob.buys("o1", 30_00, at="2011-02-05")
    assert (ada.available, pool.available, shop.auditor.in_transit("points")) == (0, 0, 1230)
    shop.delivers_derived()
    assert (ada.tier, bob.tier, pool.tier) == ("silver", "basic", "")
    assert [held for held, _ in pool.lots()] == [1200, 30]  # each with its own end
    assert ada.heard("pool.contributed") == [
        {"pool": POOL, "currency": "points", "points": 1200, "order": "o1"}
    ]
    assert pool.heard("pool.credited")[0]["member"] == "ada"
    shop.waits_until("2011-05-02")
    assert pool.heard("points.expired") == [{"currency": "points", "points": 1200}]
    shop.proves()


def test_what_is_pending_stays_with_the_member_until_it_can_be_spent() -> None:
    shop = shop_of(base(), points(pending=Pending(Span(days=14))))
    ada, pool = household(shop, "ada")
    ada.buys("o1", 50_00, at="2011-01-05")
    ada.buys("o2", 20_00, at="2011-01-05")
    assert ada.pending == 70
    ada.cancels("o2", "2011-01-07")
    shop.waits_until("2011-01-25")
    shop.delivers_derived()
    assert (ada.available, ada.pending, pool.available) == (0, 0, 50)


def test_arrears_are_repaid_before_anything_is_shared() -> None:
    shop = shop_of(base())
    ada = shop.enrols("ada", "2010-12-02")
    ada.buys("o1", 40_00)
    ada.redeems("forty")
    ada.cancels("o1")
    assert ada.arrears == 40
    ada.joins(POOL, founds=True)
    shop.delivers_derived()
    ada.buys("o2", 55_00)
    shop.delivers_derived()
    assert (ada.arrears, ada.available, shop.member(POOL).available) == (0, 0, 15)


def test_what_was_there_before_and_what_is_granted_by_hand_stays() -> None:
    shop = shop_of(base(), rule("welcome", "enrolled", give={"points": 5}))
    ada, pool = household(shop, "ada")
    ada.is_adjusted(7)
    shop.delivers_derived()
    assert (ada.available, pool.available) == (12, 0)
    ada.buys("o1", 10_00)  # which enters the very lot
    shop.delivers_derived()
    assert (ada.available, pool.available) == (12, 10)


def test_who_may_not_spend_shares_nothing() -> None:
    shop = shop_of()
    ada, pool = household(shop, "ada")
    ada.becomes("suspended")
    ada.buys("o1", 10_00)
    ada.becomes("active")
    ada.does(Blocked("spending", True))
    ada.buys("o2", 20_00)
    shop.delivers_derived()
    assert (ada.available, pool.available) == (30, 0)
    assert members_of(pool) == ["ada"]


# Who may spend --------------------------------------------------------------------------------


def test_anyone_in_the_pool_spends_its_points() -> None:
    shop = shop_of()
    ada, _, pool = household(shop, "ada", "bob")
    ada.buys("o1", 30_00)
    shop.delivers_derived()
    assert pool.redeems("ten", by="bob").status == "accepted"
    assert pool.heard("points.redeemed")[0]["spent_by"] == "bob"
    assert pool.redeems("ten", by="eve").reason == "not_in_pool"
    assert pool.redeems("ten").reason == "not_in_pool"
    assert pool.redeems("forty", by="ada").reason == "insufficient_points"
    assert pool.does(HoldRequested("h1", "points", 20, by="bob")).status == "accepted"
    assert (pool.available, pool.held) == (0, 20)
    shop.waits_until("2011-01-05")
    assert pool.available == 20
    shop.proves()


def test_the_owner_alone_spends_where_the_programme_says_so() -> None:
    shop = shop_of(pools=Pools(may_spend="owner"))
    ada, _, pool = household(shop, "ada", "bob")
    ada.buys("o1", 30_00)
    shop.delivers_derived()
    assert pool.redeems("ten", by="bob").reason == "may_not_spend"
    assert pool.redeems("ten", by="ada").status == "accepted"
    assert pool.does(PoolSpendersNamed(["bob"], "ada")).reason == "spenders_not_named"


def test_the_owner_names_who_else_may_spend() -> None:
    shop = shop_of(pools=Pools(may_spend="named"))
    ada, bob, _, pool = household(shop, "ada", "bob", "cy")
    ada.buys("o1", 60_00)
    shop.delivers_derived()
    assert pool.redeems("ten", by="bob").reason == "may_not_spend"
    assert pool.does(PoolSpendersNamed(["bob"], "bob")).reason == "not_the_owner"
    assert pool.does(PoolSpendersNamed(["eve"], "ada")).reason == "not_in_pool"
    assert pool.does(PoolSpendersNamed(["bob"], "ada")).status == "accepted"
    assert pool.redeems("ten", by="bob").status == "accepted"
    assert pool.redeems("ten", by="cy").reason == "may_not_spend"
    bob.leaves_the_pool()
    shop.delivers_derived()
    assert pool.redeems("ten", by="bob").reason == "not_in_pool"
    assert pool.account.affairs.pool is not None
    assert pool.account.affairs.pool.spenders == []


def test_a_version_without_pools_leaves_what_is_in_them_to_the_owner() -> None:
    first = programme(base(), rewards=REWARDS, pools=Pools())
    later = programme(base(), version=2, holds_from=at("2011-01-01 00:00"), rewards=REWARDS)
    shop = Shop(first, later)
    ada, bob, pool = household(shop, "ada", "bob")
    bob.buys("o1", 30_00)
    shop.delivers_derived()
    bob.buys("o2", 20_00, at="2011-01-05")
    shop.delivers_derived()
    assert (bob.available, pool.available) == (20, 30)
    assert pool.redeems("ten", by="bob").reason == "may_not_spend"
    assert pool.redeems("ten", by="ada").status == "accepted"
    bob.cancels("o1")
    shop.delivers_derived()
    assert (bob.available, bob.arrears, pool.available) == (10, 0, 0)
    assert shop.enrols("eve", "2011-01-06").joins("x", founds=True).reason == "pools_not_offered"
    assert ada.leaves_the_pool().status == "accepted"
    shop.proves()


# What comes back ------------------------------------------------------------------------------


def test_a_refund_takes_from_the_pool_what_the_order_gave_to_it() -> None:
    shop = shop_of(both(), tiers())
    ada, bob, pool = household(shop, "ada", "bob")
    ada.buys("o1", 40_00, 20_00)
    bob.buys("o1", 30_00)
    shop.delivers_derived()
    ada.returns("o1", {1: 1})
    reversed_ = [entry for entry in ada.entries("accrual_reversal") if entry.currency == "points"]
    assert sum(entry.points for entry in reversed_) == 40  # at once, whatever the pool has
    shop.delivers_derived()
    assert (pool.available, ada.arrears, bob.arrears) == (50, 0, 0)
    assert shop.auditor.in_transit("points") == 0
    shop.proves()


def test_what_the_pool_has_spent_is_owed_by_who_returned_and_nobody_else() -> None:
    shop = shop_of()
    ada, bob, pool = household(shop, "ada", "bob")
    ada.buys("o1", 40_00)
    bob.buys("o1", 20_00)
    shop.delivers_derived()
    pool.redeems("forty", by="bob")
    pool.redeems("ten", by="bob")
    ada.cancels("o1")
    shop.delivers_derived()
    assert (ada.arrears, bob.arrears, pool.arrears, pool.available) == (30, 0, 0, 0)
    assert ada.heard("pool.short") == [
        {"pool": POOL, "order": "o1", "currency": "points", "points": 30, "short": 30}
    ]
    assert shop.auditor.in_transit("points") == 0
    shop.proves()


def test_who_returned_gives_what_is_left_elsewhere_before_owing() -> None:
    shop = shop_of()
    ada, pool = household(shop, "ada")
    ada.is_adjusted(25)
    ada.buys("o1", 40_00)
    shop.delivers_derived()
    pool.redeems("forty", by="ada")
    ada.cancels("o1")
    shop.delivers_derived()
    assert (ada.available, ada.arrears) == (0, 15)


def test_a_shortfall_is_written_off_where_the_currency_says_so() -> None:
    shop = shop_of(base(), points(shortfall="write_off"))
    ada, pool = household(shop, "ada")
    ada.buys("o1", 40_00)
    shop.delivers_derived()
    pool.redeems("ten", by="ada")
    ada.cancels("o1")
    shop.delivers_derived()
    assert (ada.arrears, ada.balance("writeoff"), pool.available) == (0, -10, 0)


def test_what_has_expired_in_the_pool_costs_nobody_anything() -> None:
    shop = shop_of(base(), points(expiry=end_of_month(1)))
    ada, pool = household(shop, "ada")
    ada.buys("o1", 40_00, at="2011-01-05")
    shop.delivers_derived()
    pool.redeems("ten", by="ada")
    shop.waits_until("2011-04-01")
    ada.cancels("o1")
    shop.delivers_derived()
    assert (ada.arrears, pool.balance("expired"), pool.balance("redeemed")) == (10, 0, 10)


def test_points_that_are_held_in_the_pool_are_not_taken() -> None:
    shop = shop_of(holds=Holds(last_s=3600))
    ada, pool = household(shop, "ada")
    ada.buys("o1", 40_00)
    shop.delivers_derived()
    pool.does(HoldRequested("h1", "points", 30, by="ada"))
    ada.cancels("o1")
    shop.delivers_derived()
    assert (ada.arrears, pool.held, pool.available) == (30, 30, 0)


def test_a_refund_after_leaving_finds_the_pool() -> None:
    shop = shop_of()
    ada, _, pool = household(shop, "ada", "bob")
    ada.buys("o1", 40_00)
    shop.delivers_derived()
    ada.leaves_the_pool()
    ada.buys("o2", 5_00)
    shop.delivers_derived()
    assert (ada.available, pool.available, members_of(pool)) == (5, 40, ["bob"])
    ada.cancels("o1")  # whose points lay in the same lot as those of the other
    shop.delivers_derived()
    assert (ada.available, pool.available, ada.arrears) == (0, 5, 0)


def test_a_recall_waits_for_the_points_that_it_concerns() -> None:
    """They stood among the dead letters, and come when they are replayed."""
    shop = shop_of()
    ada, pool = household(shop, "ada")
    ada.buys("o1", 40_00)
    [contribution] = sent_by(ada)
    ada.cancels("o1")
    [recall] = sent_by(ada)
    assert isinstance(contribution, PoolContributed)
    assert isinstance(recall, PoolRecalled)
    assert pool.does(recall).status == "parked"
    shop.waits_until("2012-01-05")  # however long that takes
    assert (pool.available, ada.arrears) == (0, 0)
    assert pool.does(contribution).status == "accepted"
    assert (pool.available, ada.arrears, shop.auditor.in_transit("points")) == (0, 0, 0)
    assert pool.journal()[-1][:2] == ("resumed", "accepted")
    shop.proves()


# Leaving and closing --------------------------------------------------------------------------


def test_points_stay_with_the_pool_and_it_goes_to_who_has_been_in_it_longest() -> None:
    shop = shop_of(pools=Pools(may_spend="owner"))
    ada, _, _, pool = household(shop, "ada", "bob", "cy")
    ada.buys("o1", 40_00)
    ada.leaves_the_pool()
    shop.delivers_derived()
    assert pool.heard("pool.passed-on") == [{"owner": "bob"}]
    assert pool.redeems("ten", by="bob").status == "accepted"
    assert (ada.available, pool.available) == (0, 30)


@pytest.mark.parametrize(("policy", "owned"), [("to_owner", 60), ("forfeit", 0)])
def test_the_owner_closes_the_pool_by_leaving_where_the_programme_says_so(
    policy: str, owned: int
) -> None:
    shop = shop_of(pools=Pools(owner_leaves="closes", when_closed=policy))
    ada, bob, pool = household(shop, "ada", "bob")
    bob.buys("o1", 60_00)
    shop.delivers_derived()
    pool.does(HoldRequested("h1", "points", 10, by="bob"))
    ada.leaves_the_pool()
    shop.delivers_derived()
    assert (pool.account.status, pool.available, pool.held) == ("closed", 0, 0)
    assert (ada.available, pool.balance("forfeited")) == (owned, 60 - owned)
    assert bob.heard("pool.left") == [{"pool": POOL, "reason": "pool_closed"}]
    bob.cancels("o1")
    shop.delivers_derived()
    assert (bob.arrears, ada.arrears) == (60, 0)
    assert bob.joins(POOL).status == "accepted"
    shop.delivers_derived()
    assert bob.heard("pool.refused") == [{"pool": POOL, "reason": "pool_closed"}]
    shop.proves()


def test_what_reaches_a_closed_pool_goes_where_its_points_went() -> None:
    shop = shop_of(pools=Pools(owner_leaves="closes"))
    ada, bob, pool = household(shop, "ada", "bob")
    ada.leaves_the_pool()
    bob.buys("o1", 20_00)
    bob.cancels("o1")
    shop.delivers_derived()
    assert (pool.account.status, pool.available, ada.available) == ("closed", 0, 20)
    assert (bob.arrears, shop.auditor.in_transit("points")) == (20, 0)
    shop.proves()


def test_the_last_one_to_leave_closes_the_pool() -> None:
    shop = shop_of()
    ada, pool = household(shop, "ada")
    ada.buys("o1", 40_00)
    ada.leaves_the_pool()
    shop.delivers_derived()
    assert (pool.account.status, ada.available) == ("closed", 40)
    ada.buys("o2", 3_00)
    assert ada.available == 43


@pytest.mark.parametrize("status", ["closed", "erased"])
def test_an_account_that_ends_leaves_its_pool(status: str) -> None:
    shop = shop_of()
    ada, bob, pool = household(shop, "ada", "bob")
    ada.buys("o1", 40_00)
    ada.becomes(status)
    shop.delivers_derived()
    assert (members_of(pool), pool.available, ada.balance("forfeited")) == (["bob"], 40, 0)
    assert ada.heard("pool.left") == [{"pool": POOL, "reason": f"account_{status}"}]
    bob.becomes("closed")
    shop.delivers_derived()
    assert (pool.account.status, bob.balance("forfeited"), pool.balance("forfeited")) == (
        "closed",
        0,
        40,
    )
    shop.proves()


def test_a_refund_after_the_end_of_an_account_is_answered() -> None:
    shop = shop_of()
    ada, _, pool = household(shop, "ada", "bob")
    ada.buys("o1", 40_00)
    shop.delivers_derived()
    pool.redeems("ten", by="bob")
    ada.becomes("closed")
    ada.cancels("o1")
    shop.delivers_derived()
    assert (pool.available, ada.arrears, shop.auditor.in_transit("points")) == (0, 10, 0)


def test_who_has_shared_points_is_merged_into_nobody_but_takes_others_over() -> None:
    shop = shop_of(base(), points(pending=Pending(Span(days=5))))
    ada, pool = household(shop, "ada")
    bob = shop.enrols("bob", "2010-12-03")
    bob.buys("b1", 30_00)
    assert ada.becomes_one_with("bob").reason == "shared_points"
    assert bob.becomes_one_with(POOL).status == "accepted"
    shop.delivers_derived()
    assert bob.heard("member.merge-declined")[0]["reason"] == "not_a_member"
    assert bob.becomes_one_with("ada").status == "accepted"
    shop.delivers_derived()
    assert (bob.account.status, ada.pending, pool.available) == ("merged", 30, 0)
    shop.waits_until("2010-12-20")
    shop.delivers_derived()
    assert (ada.available, pool.available) == (0, 30)  # it became available while ada shares
    bob.cancels("b1")
    shop.delivers_derived()
    assert (ada.arrears, ada.available, pool.available) == (0, 0, 0)
    ada.leaves_the_pool()
    assert ada.becomes_one_with("eve").reason == "shared_points"
    shop.proves()


# Out of order ---------------------------------------------------------------------------------


def test_an_answer_that_comes_too_late_lets_nobody_in() -> None:
    shop = shop_of()
    household(shop, "ada")
    bob = shop.enrols("bob", "2010-12-03")
    bob.joins(POOL)
    bob.leaves_the_pool()
    shop.delivers_derived()
    assert members_of(shop.member(POOL)) == ["ada"]
    bob.buys("o1", 10_00)
    assert bob.available == 10


def test_a_member_who_left_before_being_let_in_is_taken_out_again() -> None:
    """The asking stood among the dead letters."""
    shop = shop_of()
    _, pool = household(shop, "ada")
    bob = shop.enrols("bob", "2010-12-03")
    bob.joins(POOL)
    bob.leaves_the_pool()
    pool.does(PoolLeft(POOL, "bob", 1))
    pool.does(PoolAsked(POOL, "bob", 1))
    assert members_of(pool) == ["ada", "bob"]
    assert bob.does(PoolAnswered(POOL, 1)).status == "accepted"
    pool.does(PoolLeft(POOL, "bob", 1, "too_late"))
    assert members_of(pool) == ["ada"]


def test_an_earlier_leave_does_not_end_a_later_stay() -> None:
    shop = shop_of()
    _, pool = household(shop, "ada")
    pool.does(PoolAsked(POOL, "bob", 2))
    pool.does(PoolLeft(POOL, "bob", 1))
    assert members_of(pool) == ["ada", "bob"]
    assert pool.does(PoolAsked(POOL, "bob", 1)).reason == "in_a_pool"


def test_a_lot_in_a_pool_is_named_after_whose_it_was() -> None:
    shop = shop_of()
    ada, pool = household(shop, "ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    shop.delivers_derived()
    [given] = ada.entries("transfer_out")
    [taken] = pool.entries("transfer_in")
    key = lot_key("points", "2011-01", NEVER)
    assert (given.lot_from, given.lot_to, given.cause) == (key, f"{key}/@{POOL}", POOL)
    assert (taken.lot_from, taken.lot_to, taken.cause) == (f"{key}/@ada", key, "ada")


def test_what_a_programme_does_not_use_leaves_no_trace() -> None:
    shop = shop_of(pools=None)
    ada = shop.enrols("ada", "2010-12-02")
    ada.buys("o1", 10_00)
    assert "affairs" not in shop.store.accounts["ada"].state
