"""When points expire: to a day, by inactivity, and with notice of it."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.loyalty.domain.activity import (
    Cancelled,
    Engaged,
    PurchaseClaimed,
    RedemptionRequested,
)
from services.loyalty.domain.calendar import DAY, IDLE, Instant, rfc3339
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.periods import expiry_at, idle_at
from services.loyalty.domain.program import Currency, Expiry, Program, Reward, Span
from tests.loyalty.domain.shop import (
    LONDON,
    Member,
    Shop,
    at,
    base,
    decision_of,
    end_of_month,
    line,
    points,
    programme,
    rate,
    rule,
)

REVIEW = rule("review", "engagement", give={"points": 50}, of="product.reviewed")
ACTIVE = Expiry(Span(months=3), notices=(10,), moved_by=frozenset({"purchase", "redemption"}))


# To a day -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "day", "earned", "last"),
    [
        (Span(), "03-31", "2011-02-10", "2011-03-31"),
        (Span(), "03-31", "2011-03-31 23:59", "2011-03-31"),
        (Span(), "03-31", "2011-04-01 00:00", "2012-03-31"),
        (Span(months=12), "03-31", "2011-02-10", "2012-03-31"),
        (Span(months=12), "03-31", "2011-04-10", "2013-03-31"),
        (Span(days=30), "03-31", "2011-03-15", "2012-03-31"),
        (Span(), "02-29", "2011-02-10", "2011-02-28"),
        (Span(), "02-29", "2012-02-29 12:00", "2012-02-29"),
        (Span(), "2012-03-31", "2011-02-10", "2012-03-31"),
        (Span(), "2012-03-31", "2012-03-31 23:59", "2012-03-31"),
    ],
)
def test_points_expire_at_the_end_of_a_day(after: Span, day: str, earned: str, last: str) -> None:
    end = expiry_at(Expiry(after, at=day), at(earned), LONDON)
    assert end == at(f"{last} 00:00") + _length(last)


def _length(day: str) -> Instant:
    """Of a civil day in London, which has 23 to 25 hours."""
    first = date.fromisoformat(day)
    following = date.fromordinal(first.toordinal() + 1)
    return at(f"{following} 00:00") - at(f"{first} 00:00")


def test_what_is_earned_after_the_one_day_has_no_end() -> None:
    ada = Shop(programme(base(), points(expiry=Expiry(Span(), at="2011-03-31")))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-03-31 23:00")
    ada.buys("o2", 20_00, at="2011-04-01 01:00")
    ada.shop.waits_until("2031-01-01")
    assert ada.lots() == [(20, 0)]


def test_notice_is_given_of_a_fixed_day() -> None:
    terms = Expiry(Span(), at="03-31", notices=(30, 7))
    ada = Shop(programme(base(), points(expiry=terms))).enrols("ada")
    ada.buys("o1", 10_00, at="2011-02-01")
    ada.buys("o2", 20_00, at="2011-03-10")
    ada.shop.waits_until("2011-04-02")
    assert [(told["days"], told["points"]) for told in ada.heard("points.expiring")] == [
        (30, 10),
        (7, 30),
    ]
    assert ada.heard("points.expired")[0]["points"] == 30


def test_notice_is_given_of_points_that_a_version_renamed() -> None:
    coins = Currency("coins", expiry=end_of_month(2))
    first = programme(rule("base", give={"coins": rate()}), coins)
    second = programme(
        base(),
        points(expiry=end_of_month(1, notices=(5,))),
        version=2,
        holds_from=at("2011-02-01 00:00"),
        successors={"currencies": {"coins": "points"}},
    )
    ada = Shop(first, second).enrols("ada", "2011-01-01")
    ada.buys("o1", 10_00, at="2011-01-05")
    ada.shop.waits_until("2011-04-02")
    assert [(told["currency"], told["points"]) for told in ada.heard("points.expiring")] == [
        ("points", 10)
    ]


# By inactivity --------------------------------------------------------------------------------


def active(*more: Program, expiry: Expiry = ACTIVE) -> Member:
    rewards = {"pen": Reward("pen", 5, "points")}
    first = programme(base(), REVIEW, points(expiry=expiry), rewards=rewards, transfers=True)
    return Shop(first, *more).enrols("ada", "2011-01-10")


def ends(member: Member) -> str:
    idle = member.account.idle["points"]
    return rfc3339(idle.ends_at - 1)[:10]


def test_one_date_holds_for_all_points_and_stated_kinds_move_it() -> None:
    ada = active()
    ada.buys("o1", 100_00, at="2011-01-20")
    assert (ends(ada), ada.lots()) == ("2011-04-30", [(100, IDLE)])
    ada.engages("product.reviewed", "2011-03-05")
    assert ends(ada) == "2011-04-30"
    ada.redeems("pen", "2011-04-29")
    assert ends(ada) == "2011-07-31"
    ada.shop.waits_until("2011-07-31 23:59")
    assert ada.available == 145
    ada.shop.waits_until("2011-08-01 00:00")
    assert ada.available == 0
    assert ada.heard("points.expired") == [{"currency": "points", "points": 145}]
    ada.shop.proves()


def test_notice_is_given_before_the_date_and_again_when_it_has_moved() -> None:
    ada = active()
    ada.buys("o1", 100_00, at="2011-01-20")
    ada.shop.waits_until("2011-04-25")
    ada.buys("o2", 10_00, at="2011-04-26")
    ada.shop.waits_until("2011-08-02")
    assert [(told["points"], told["expires_at"]) for told in ada.heard("points.expiring")] == [
        (100, "2011-04-30T23:00:00Z"),
        (110, "2011-07-31T23:00:00Z"),
    ]


def test_a_purchase_that_came_back_whole_withdraws_its_move() -> None:
    ada = active()
    ada.engages("product.reviewed", "2011-01-15")
    ada.buys("o1", 60_00, 40_00, at="2011-02-20")
    assert ends(ada) == "2011-05-31"
    ada.returns("o1", {1: 1}, at="2011-02-21")
    assert ends(ada) == "2011-05-31"
    ada.returns("o1", {2: 1}, at="2011-02-22")
    assert (ends(ada), ada.available) == ("2011-04-30", 50)
    ada.shop.proves()


def test_of_two_purchases_that_made_one_end_the_other_holds_it() -> None:
    ada = active()
    ada.buys("o1", 60_00, at="2011-02-20")
    ada.buys("o2", 10_00, at="2011-02-21")
    ada.cancels("o1", "2011-02-22")
    assert ends(ada) == "2011-05-31"
    ada.cancels("o2", "2011-02-23")
    assert ends(ada) == "2011-04-30"


def test_what_only_a_withdrawn_move_kept_alive_expires_at_once() -> None:
    ada = active()
    ada.engages("product.reviewed", "2011-01-15")
    ada.buys("o1", 100_00, at="2011-03-20")
    ada.cancels("o1", "2011-05-10")
    assert ada.available == 0
    assert [(e.kind, e.points) for e in ada.entries()][-2:] == [
        ("accrual_reversal", 100),
        ("expiration", 50),
    ]
    ada.shop.proves()


def test_nothing_expired_returns_and_what_comes_later_begins_a_date_of_its_own() -> None:
    ada = active()
    ada.buys("o1", 100_00, at="2011-01-20")
    ada.shop.waits_until("2011-05-02")
    ada.buys("o2", 30_00, at="2011-04-20", known_at="2011-05-03")
    assert (ada.available, ends(ada)) == (30, "2011-07-31")
    ada.shop.waits_until("2011-08-02")
    ada.engages("product.reviewed", "2011-09-05")
    assert (ada.available, ends(ada)) == (50, "2011-12-31")


def test_an_order_amended_to_nothing_and_up_again_has_moved_the_date() -> None:
    ada = active()
    ada.engages("product.reviewed", "2011-01-15")
    ada.buys("o1", 100_00, at="2011-03-20")
    ada.returns("o1", {1: 1}, at="2011-03-21")
    assert ends(ada) == "2011-04-30"
    ada.amends("o1", line(1, 100_00), line(2, 50_00), at="2011-03-22")
    assert (ends(ada), ada.available) == ("2011-06-30", 100)
    ada.shop.proves()


def test_extending_by_hand_moves_the_date_and_activity_moves_it_on() -> None:
    ada = active()
    ada.buys("o1", 100_00, at="2011-01-20")
    hold = ada.holds(40, "2011-01-21")
    assert ada.is_extended("2011-03-01", "2011-01-22").reason == "nothing_to_extend"
    assert ada.is_extended("2011-06-10", by="2011-04-01").reason == "nothing_to_extend"
    outcome = ada.is_extended("2011-06-10 00:00")
    assert decision_of(outcome).trace["while_active"] == 100
    assert ada.heard("points.extended")[-1]["points"] == 100
    assert (ada.entries("extension"), ends(ada)) == ([], "2011-06-09")
    ada.voids(hold)
    ada.cancels("o1", "2011-01-23")
    assert ends(ada) == "2011-06-09"
    ada.buys("o2", 10_00, at="2011-04-26")
    assert ends(ada) == "2011-07-31"
    ada.cancels("o2", "2011-04-27")
    ada.is_adjusted(7, "2011-04-28")
    ada.shop.waits_until("2011-06-10 00:00")
    assert (ada.available, ada.balance("expired")) == (0, 7)
    ada.shop.proves()


def test_extending_reaches_points_with_and_without_an_end_of_their_own() -> None:
    later = programme(base(), points(expiry=ACTIVE), version=2, holds_from=at("2011-02-01 00:00"))
    first = programme(base(), points(expiry=Expiry(Span(months=4), at="exact")))
    ada = Shop(first, later).enrols("ada", "2011-01-10")
    ada.buys("o1", 100_00, at="2011-01-20")
    ada.buys("o2", 50_00, at="2011-02-02")
    assert ada.is_extended("2012-01-01 00:00", "2011-02-03").status == "accepted"
    assert ada.heard("points.extended")[-1]["points"] == 150
    ada.shop.waits_until("2011-12-31 23:00")
    assert ada.available == 150
    ada.shop.waits_until("2012-01-01 00:00")
    assert ada.available == 0
    ada.shop.proves()


def test_a_later_version_shortens_no_date_and_without_inactivity_there_is_none() -> None:
    shorter = programme(
        base(),
        points(expiry=Expiry(Span(months=1), moved_by=frozenset({"purchase"}))),
        version=2,
        holds_from=at("2011-02-01 00:00"),
    )
    endless = programme(base(), points(), version=3, holds_from=at("2011-04-15 00:00"))
    ada = active(shorter)
    ada.buys("o1", 100_00, at="2011-01-20")
    ada.buys("o2", 10_00, at="2011-02-20")
    assert ends(ada) == "2011-04-30"
    ada.shop.waits_until("2011-05-01")
    assert ada.available == 0
    bob = active(shorter, endless)
    bob.buys("o1", 100_00, at="2011-01-20")
    bob.shop.waits_until("2012-05-01")
    assert bob.available == 100


def test_points_given_away_take_the_date_of_who_gets_them() -> None:
    ada = active()
    bob = ada.shop.enrols("bob", "2011-03-10")
    ada.buys("o1", 100_00, at="2011-01-20", known_at="2011-03-10 13:00")
    ada.gives("bob", 40, at="2011-03-11")
    ada.shop.delivers_derived()
    assert (ends(ada), ends(bob)) == ("2011-04-30", "2011-06-30")
    assert bob.lots() == [(40, IDLE)]


def test_a_purchase_made_as_a_guest_moves_the_date_once_it_is_claimed_and_can_come_back() -> None:
    terms = points(expiry=ACTIVE)
    shop = Shop(programme(base(), REVIEW, terms, claim_within=Span(days=90), wait=Span(days=5)))
    ada = shop.enrols("ada", "2011-01-10")
    ada.engages("product.reviewed", "2011-01-11")
    shop.member("r1").buys("o1", 30_00, at="2011-03-05", guest=True)
    shop.member("r1").does(PurchaseClaimed("c1", "r1", "ada"), "2011-04-02")
    shop.delivers_derived()
    assert (ends(ada), ada.available) == ("2011-06-30", 80)
    ada.cancels("o1", "2011-04-03")
    assert (ends(ada), ada.available) == ("2011-04-30", 50)
    shop.proves()


STEPS = st.lists(
    st.tuples(
        st.integers(1, 70),
        st.sampled_from(["buy", "buy", "review", "redeem", "cancel", "cancel"]),
        st.integers(0, 5),
    ),
    max_size=14,
)


@settings(deadline=None, max_examples=120)
@given(STEPS)
def test_the_date_is_what_the_moves_that_stand_make_of_it(
    steps: list[tuple[int, str, int]],
) -> None:
    ada = active()
    now = at("2011-01-10")
    fixed = idle_at(ACTIVE, now, LONDON)
    moves: dict[str, Instant] = {}
    held: dict[str, int] = {}
    for days, what, choice in steps:
        now += days * DAY
        alive = max([fixed, *moves.values()]) > now
        if not alive:
            held, moves = _expired(held), {}
        end, order = idle_at(ACTIVE, now, LONDON), f"o{now}"
        if what == "buy":
            ada.buys(order, 10_00, at=now)
            held[order], moves[order] = 10, end
        elif what == "review":
            ada.does(Engaged("product.reviewed"), now)
            held[order] = 50
            if not alive and sum(held.values()) > 0:
                fixed = end
        elif what == "redeem":
            enough = sum(held.values()) >= 5
            asked = ada.does(RedemptionRequested(order, "pen"), now)
            assert (asked.status == "accepted") == enough
            if enough:
                held[order], fixed = -5, end
        elif moves:
            order = sorted(moves)[choice % len(moves)]
            ada.does(Cancelled(order), now)
            del moves[order], held[order]
            if max([fixed, *moves.values()]) <= now:
                held = _expired(held)
        ada.shop.waits_until(now)
        left = sum(held.values())
        assert ada.available - ada.arrears == left
        if left > 0:
            assert ada.account.idle["points"].ends_at == max([fixed, *moves.values()])
    ada.shop.proves()


def _expired(held: dict[str, int]) -> dict[str, int]:
    """What is owed does not expire."""
    return {"": min(0, sum(held.values()))}


@pytest.mark.parametrize(
    ("expires", "wrong"),
    [
        ("{}", "it is missing"),
        ("{after: 3 months, moved_by: [purchase]}", "only points that expire by inactivity"),
        ("{inactive: 3 months, after: 3 months}", "is not counted from themselves"),
        ("{inactive: 3 months, counted_from: activated}", "is not counted from themselves"),
        ("{inactive: 3 months, at: exact}", "moves are counted by month"),
        ("{inactive: 3 months, at: 03-31}", "moves are counted by month"),
        ("{inactive: 30 years}", "longer than anybody waits"),
        ("{inactive: 1 month, notice: 30 days}", "no longer than 28 days"),
        ("{at: 2012-03-31, after: 3 months}", "the day is the end"),
        ("{at: 02-30}", "is no end of points"),
        ("{at: 3-31}", "is no end of points"),
        ("{at: tomorrow}", "is no end of points"),
    ],
)
def test_an_expiry_that_does_not_fit_together_is_refused(expires: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        _written(expires)


@pytest.mark.parametrize(
    ("expires", "read"),
    [
        ("{at: 03-31}", Expiry(Span(), at="03-31", notices=(30, 7))),
        ("{at: 2012-03-31, notice: 5 days}", Expiry(Span(), at="2012-03-31", notices=(5,))),
        ("{after: 1 year, at: 03-31}", Expiry(Span(months=12), at="03-31", notices=(30, 7))),
        (
            "{inactive: 1 year}",
            Expiry(
                Span(months=12), notices=(30, 7), moved_by=frozenset({"purchase", "redemption"})
            ),
        ),
        (
            "{inactive: 1 month, moved_by: app.opened, at: end_of_year}",
            Expiry(
                Span(months=1), at="end_of_year", notices=(7,), moved_by=frozenset({"app.opened"})
            ),
        ),
    ],
)
def test_an_expiry_is_read_with_its_defaults(expires: str, read: Expiry) -> None:
    assert _written(expires).currencies["points"].expiry == read


def _written(expires: str) -> Program:
    head = 'program: p\nholds_from: "2010-12-01T00:00"\ntimezone: Europe/London\n'
    return parse_program(f"{head}currencies: {{points: {{expires: {expires}}}}}\n", 1)
