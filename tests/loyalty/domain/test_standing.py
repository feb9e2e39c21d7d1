"""Closing and reopening, blocks, adjustments that wait for a second person, limits of transfers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.loyalty.domain.activity import (
    Adjusted,
    Approved,
    Blocked,
    Delivered,
    StatusChanged,
)
from services.loyalty.domain.approvals import MAX_APPROVALS
from services.loyalty.domain.calendar import DAY
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.program import Gift, Limit, Pending, Reward, Span
from services.loyalty.domain.status import BLOCKED, KINDS
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    base,
    both,
    decision_of,
    end_of_month,
    line,
    missed,
    points,
    programme,
    tiers,
)
from tests.loyalty.domain.test_referrals import friends, referring
from tests.loyalty.domain.test_stamps import card

REWARDS = {"ten": Reward("ten", 10, "points")}
MONTH = Span(days=30)


# Closing and reopening ------------------------------------------------------------------------


def closed(**more: object) -> Member:
    """A member whose account is closed with 130 points, 100 of them pending."""
    terms = points(pending=Pending(Span(days=9)), expiry=end_of_month(1))
    shop = Shop(programme(both(), terms, tiers(), **({"closed_keeps": MONTH} | more)))  # type: ignore[arg-type]  # passed on
    ada = shop.enrols("ada", "2011-01-05")
    ada.is_adjusted(30)
    ada.buys("o1", 100_00)
    ada.becomes("closed")
    return ada


def test_a_closed_account_keeps_its_points_for_a_while_and_reopening_finds_them() -> None:
    ada = closed()
    assert (ada.available, ada.pending, ada.balance("forfeited")) == (30, 100, 0)
    assert ada.account.affairs.forfeits_at == at("2011-02-05 00:00")
    ada.shop.waits_until("2011-02-01")
    assert (ada.available, ada.pending) == (130, 0)  # time goes on for its points
    ada.becomes("active")
    assert (ada.available, ada.account.affairs.forfeits_at) == (130, 0)
    ada.shop.waits_until("2011-02-20")
    assert ada.balance("forfeited") == 0
    ada.shop.proves()


def test_after_that_time_its_points_are_forfeited() -> None:
    ada = closed()
    ada.shop.waits_until("2011-02-05")
    assert (ada.available, ada.balance("forfeited")) == (0, 130)
    ada.becomes("active")
    assert ada.available == 0
    ada.shop.proves()


def test_a_refund_takes_back_what_a_closed_account_still_has() -> None:
    ada = closed()
    ada.cancels("o1")
    assert (ada.available, ada.pending, ada.arrears) == (30, 0, 0)


def test_erasing_a_closed_account_ends_the_time_to_reopen_it() -> None:
    ada = closed()
    ada.becomes("erased")
    assert (ada.available, ada.balance("forfeited")) == (0, 130)


def test_who_changed_a_status_and_why_stands_in_the_journal() -> None:
    ada = Shop(programme(base())).enrols("ada")
    outcome = ada.does(StatusChanged("suspended", "fraud-check", "agent-7"))
    assert decision_of(outcome).trace == {"reason": "fraud-check", "actor": "agent-7"}


# Blocks ---------------------------------------------------------------------------------------


def test_every_block_refuses_kinds_that_there_are() -> None:
    assert set(BLOCKED) == {"earning", "spending"}
    for _, kinds in BLOCKED.values():
        assert kinds <= set(KINDS)


def test_who_may_not_spend_still_earns() -> None:
    ada = Shop(programme(base(), rewards=REWARDS, transfers=True)).enrols("ada")
    outcome = ada.does(Blocked("spending", True, "card-stolen", "agent-7"))
    assert decision_of(outcome).trace["actor"] == "agent-7"
    ada.buys("o1", 50_00)
    assert ada.available == 50
    assert ada.redeems("ten").reason == "spending_blocked"
    assert ada.gives("bob", 5).reason == "spending_blocked"
    assert ada.does(Blocked("spending", True)).reason == "block_unchanged"
    ada.does(Blocked("spending", False, "card-found", "agent-7"))
    assert ada.redeems("ten").status == "accepted"
    assert ada.heard("member.unblocked") == [{"what": "spending", "reason": "card-found"}]
    ada.shop.proves()


def test_what_is_bought_while_earning_is_blocked_earns_nothing_and_can_be_returned() -> None:
    ada = Shop(programme(base(), rewards=REWARDS)).enrols("ada")
    ada.is_adjusted(40)
    ada.does(Blocked("earning", True, "fraud-check", "agent-7"))
    outcome = ada.buys("o1", 50_00)
    assert (outcome.status, missed(outcome)) == ("accepted", {"base": "earning_blocked"})
    assert ada.redeems("ten").status == "accepted"
    ada.does(Blocked("earning", False))
    ada.returns("o1", {1: 1})
    assert (ada.available, ada.arrears) == (30, 0)
    ada.shop.proves()


def test_an_occasion_gives_nothing_while_earning_is_blocked() -> None:
    shop = Shop(programme(base(), gifts=(Gift("years", "anniversary", {"points": 100}),)))
    ada = shop.enrols("ada", "2011-01-05")
    ada.does(Blocked("earning", True))
    shop.waits_until("2012-01-06")
    assert ada.available == 0


def test_nothing_stamps_a_card_while_earning_is_blocked() -> None:
    two = card("two", collect=2, events=frozenset({"purchase", "engagement"}))
    ada = Shop(programme(base(), points(), stamps=(two,))).enrols("ada")
    ada.buys("o1", 50_00)
    ada.does(Blocked("earning", True))
    blocked = {"base": "earning_blocked", "two": "earning_blocked"}
    assert missed(ada.buys("o2", 50_00)) == blocked
    assert missed(ada.engages("app.opened")) == {"two": "earning_blocked"}
    assert len(ada.account.cards["two"].stamps) == 1
    ada.cancels("o2")
    ada.does(Blocked("earning", False))
    ada.engages("app.opened")
    assert ada.account.cards["two"].filled == 1
    ada.shop.proves()


def test_who_is_blocked_gets_nothing_for_a_friend_and_the_friend_does() -> None:
    shop = Shop(programme(base(), points(), referrals=(referring(),)))
    ada, bob = friends(shop)
    ada.does(Blocked("earning", True), "2011-01-03")
    bob.buys("o1", 25_00, at="2011-01-05")
    shop.delivers_derived()
    decided = shop.store.decisions["ada", ada.account.seq]
    assert decided.trace["not"] == [("referral", "earning_blocked")]
    ada.does(Blocked("earning", False), "2011-01-06")
    shop.waits_until("2011-02-06")
    shop.delivers_derived()
    assert (ada.available + ada.pending, bob.available) == (0, 225)
    shop.proves()


# A second person ------------------------------------------------------------------------------


def careful(**more: object) -> Member:
    """A member of a programme in which one person alone may adjust up to 1,000 points."""
    return Shop(programme(base(), approval_above=1000, **more)).enrols("ada", "2011-01-05")  # type: ignore[arg-type]  # passed on


def asks(ada: Member, how_many: int, name: str = "a1", actor: str = "ann") -> str:
    return ada.does(Adjusted("points", how_many, "goodwill", actor, name)).status


def test_up_to_the_amount_one_person_decides_alone() -> None:
    ada = careful()
    asks(ada, 1000)
    assert (ada.available, ada.account.affairs.approvals) == (1000, [])


def test_above_it_nothing_moves_before_another_person_approves() -> None:
    ada = careful()
    assert asks(ada, 1001) == "accepted"
    assert (ada.available, ada.entries()) == (0, [])
    assert ada.does(Approved("a1", True, " Ann")).reason == "second_person_needed"
    assert ada.does(Approved("a2", True, "bo")).reason == "unknown_adjustment"
    outcome = ada.does(Approved("a1", True, "bo"))
    assert decision_of(outcome).trace == {"asked": "ann", "actor": "bo", "approved": True}
    assert (ada.available, ada.account.affairs.approvals) == (1001, [])
    assert ada.does(Approved("a1", True, "bo")).reason == "unknown_adjustment"
    ada.shop.proves()


def test_what_was_declined_is_gone() -> None:
    ada = careful()
    asks(ada, -1001)
    ada.does(Approved("a1", False, "bo"))
    assert (ada.account.affairs.approvals, ada.entries()) == ([], [])
    assert [told["why"] for told in ada.heard("adjustment.dropped")] == ["declined"]


def test_an_approval_that_finds_too_few_points_leaves_it_waiting() -> None:
    ada = careful()
    asks(ada, -1001)
    assert ada.does(Approved("a1", True, "bo")).reason == "insufficient_points"
    assert len(ada.account.affairs.approvals) == 1


def test_what_nobody_decides_on_lapses() -> None:
    ada = careful(approval_within=Span(days=3))
    asks(ada, 5000)
    asks(ada, 6000, "a2")
    ada.shop.waits_until("2011-01-20")
    assert ada.account.affairs.approvals == []
    assert [told["why"] for told in ada.heard("adjustment.dropped")] == ["lapsed", "lapsed"]
    assert ada.does(Approved("a1", True, "bo")).reason == "unknown_adjustment"
    ada.shop.proves()


def test_closing_drops_what_waits() -> None:
    ada = careful()
    asks(ada, 5000)
    ada.becomes("closed")
    assert ada.account.affairs.approvals == []


def test_only_so_many_wait_and_each_has_a_name_of_its_own() -> None:
    ada = careful()
    asks(ada, 5000, "same")
    assert ada.does(Adjusted("points", 5000, "x", "ann", "same")).reason == "adjustment_exists"
    for number in range(MAX_APPROVALS - 1):
        assert asks(ada, 5000, f"n{number}") == "accepted"
    assert ada.does(Adjusted("points", 5000, "x", "ann", "more")).reason == "too_many_approvals"


# The return window and the limits of transfers ------------------------------------------------


def giver(**more: object) -> Member:
    shop = Shop(programme(base(), transfers=True, returns=MONTH, **more))  # type: ignore[arg-type]  # passed on
    ada = shop.enrols("ada", "2011-01-05")
    shop.enrols("bob", "2011-01-05")
    return ada


def test_points_of_an_order_that_may_come_back_stay() -> None:
    ada = giver()
    ada.is_adjusted(20)
    ada.buys("o1", 100_00, at="2011-01-10")
    outcome = ada.gives("bob", 21, "2011-01-11")
    assert (outcome.reason, outcome.details["transferable"]) == ("inside_return_window", 20)
    assert ada.gives("bob", 20, "2011-01-11").status == "accepted"
    assert ada.gives("bob", 1, "2011-02-09 23:59").reason == "inside_return_window"
    assert ada.gives("bob", 100, "2011-02-10").status == "accepted"
    ada.shop.proves()


def test_the_window_begins_again_with_the_delivery() -> None:
    ada = giver()
    ada.buys("o1", 100_00, at="2011-01-10")
    ada.does(Delivered("o1"), "2011-01-20")
    assert ada.gives("bob", 1, "2011-02-10").reason == "inside_return_window"
    assert ada.gives("bob", 100, "2011-02-20").status == "accepted"


def test_what_came_back_already_holds_nothing_up() -> None:
    ada = giver()
    ada.is_adjusted(20)
    ada.buys("o1", line(1, 60_00), line(2, 40_00), at="2011-01-10")
    ada.returns("o1", {1: 1}, at="2011-01-11")
    assert ada.gives("bob", 21, "2011-01-12").details["transferable"] == 20
    ada.cancels("o1", "2011-01-13")
    assert ada.account.affairs.returnable == []


def test_pending_points_hold_nothing_up_before_they_can_be_spent() -> None:
    shop = Shop(
        programme(base(), points(pending=Pending(Span(days=9))), transfers=True, returns=MONTH)
    )
    ada = shop.enrols("ada", "2011-01-05")
    ada.is_adjusted(20)
    ada.buys("o1", 100_00, at="2011-01-10")
    assert ada.gives("bob", 5, "2011-01-12").status == "accepted"
    assert ada.gives("bob", 16, "2011-01-25").details["transferable"] == 15


def test_a_transfer_has_a_least_size_and_limits_per_period() -> None:
    limits = (Limit("day", times=2), Limit("month", points=100))
    ada = giver(transfer_min=10, transfer_limits=limits)
    ada.is_adjusted(500)
    assert ada.gives("bob", 9, "2011-01-10").details == {"minimum": 10}
    assert ada.gives("bob", 10, "2011-01-10 01:00").status == "accepted"
    assert ada.gives("bob", 40, "2011-01-10 02:00").status == "accepted"
    assert ada.gives("bob", 10, "2011-01-10 03:00").details == {"per": "day", "left": 0}
    assert ada.gives("bob", 51, "2011-01-11").details == {"per": "month", "left": 50}
    assert ada.gives("bob", 50, "2011-01-11").status == "accepted"
    assert ada.gives("bob", 100, "2011-02-01").status == "accepted"


orders = st.lists(
    st.tuples(st.integers(0, 40), st.integers(1, 200), st.booleans()), min_size=1, max_size=6
)


@settings(max_examples=40, deadline=None)
@given(bought=orders, spent=st.integers(0, 300), asked=st.integers(1, 400))
def test_what_is_given_away_never_comes_out_of_what_may_come_back(
    bought: list[tuple[int, int, bool]], spent: int, asked: int
) -> None:
    """If everything inside its window comes back after a transfer, nobody owes for the transfer."""
    ada = giver(rewards={"any": Reward("any", max(1, spent), "points")})
    now = at("2011-01-06")
    for number, (days, pounds, delivered) in enumerate(sorted(bought)):
        when = at("2011-01-06") + days * DAY + number
        now = max(now, when)
        ada.buys(f"o{number}", pounds * 100, at=when)
        if delivered:
            ada.does(Delivered(f"o{number}"), when)
    if spent:
        ada.redeems("any")
    before = ada.available
    done = ada.gives("bob", asked).status == "accepted"
    redeemed = ada.balance("redeemed")
    inside = 0
    for number, (days, pounds, _) in enumerate(sorted(bought)):
        if at("2011-01-06") + (days + 30) * DAY > ada.account.as_of:
            inside += pounds
            ada.cancels(f"o{number}")
    assert ada.arrears == max(0, inside - (before - (asked if done else 0)))
    if done:
        assert ada.arrears == 0
    assert ada.balance("redeemed") == redeemed
    ada.shop.proves()


# The document ---------------------------------------------------------------------------------


def test_the_keys_reach_the_programme() -> None:
    read = parse_program(
        """
program: p
holds_from: "2011-01-01T00:00"
timezone: Europe/London
currencies: {points: {}}
transfers: {allowed: true, min: 10, limits: [2 per day, 100 points per month]}
returns: {within: 14 days}
closing: {keep_points_for: 10 days}
adjustments: {approval_above: 1000, approval_within: 7 days}
""",
        1,
    )
    assert (read.transfer_min, read.returns) == (10, Span(days=14))
    assert [(one.period, one.times, one.points) for one in read.transfer_limits] == [
        ("day", 2, 0),
        ("month", 0, 100),
    ]
    assert (read.closed_keeps, read.approval_above) == (Span(days=10), 1000)
    assert (read.approval_within, read.keeps_returnable) == (Span(days=7), True)
