"""Members who come from another system: with what they had, and nothing for coming."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction
from typing import Any

import msgspec
import pytest

from services.loyalty.application.store import ProfilePatch
from services.loyalty.domain.account import Reach, Standing
from services.loyalty.domain.activity import (
    Delivered,
    Enrolled,
    Opening,
    OpeningLot,
    OpeningOrder,
    OpeningPaid,
    OpeningPosting,
    Refunded,
    RefundLine,
    decode_body,
    encode_body,
)
from services.loyalty.domain.approved import Approvals
from services.loyalty.domain.calendar import IDLE, NEVER
from services.loyalty.domain.consideration import Change, Found, Unpriced
from services.loyalty.domain.deferral import Ledger, postings
from services.loyalty.domain.movements import MonthPoints
from services.loyalty.domain.opening_mistakes import Mistake, mistakes, over
from services.loyalty.domain.program import Cap, Expiry, Gift, Limit, Pending, Program, Span
from services.loyalty.domain.receipt import ReceiptLine
from services.loyalty.domain.status import STATUS
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    both,
    end_of_month,
    points,
    programme,
    rule,
    status,
    tiers,
)
from tests.loyalty.paid import paid

EARNED, END = at("2010-10-20"), at("2011-02-01 00:00")
NOW = "2010-12-10"
WELCOME = rule("welcome", "enrolled", give={"points": 100})


def _program(**more: Any) -> Program:
    return programme(both(), WELCOME, points(expiry=end_of_month(3)), tiers(), **more)


def _lot(amount: int = 300, **more: Any) -> OpeningLot:
    return msgspec.structs.replace(OpeningLot("points", amount, EARNED, END), **more)


def _counts(amount: int, earned: str = "2010-10-20") -> OpeningLot:
    return OpeningLot("status", amount, at(earned), NEVER)


def _opening(*lots: OpeningLot, **more: Any) -> Opening:
    return Opening(enrolled_at=at("2009-05-04"), lots=list(lots), **more)


def _comes(body: Opening, program: Program | None = None, when: str = NOW) -> Member:
    ada = Shop(program or _program()).member("ada")
    assert ada.does(body, when).status == "accepted", ada.told
    return ada


SILVER = Standing(
    "silver",
    at("2010-10-20"),
    [Reach("silver", at("2010-10-20"), at("2011-01-20 00:00"), "2010-10")],
)


# What comes along -------------------------------------------------------------------------------


def test_a_member_comes_with_lots_and_is_given_nothing() -> None:
    ada = _comes(_opening(_lot(), _counts(1200), standing=SILVER))
    assert (ada.available, ada.pending) == (300, 0)
    assert ada.account.enrolled_at == at("2009-05-04")
    assert [lot.key for lot in ada.account.lots] == [f"points/2010-10/{END}"]
    assert ada.account.windows == {"status": {"2010-10": 1200}}
    assert [entry[:5] for entry in ada.entries()] == [
        ("opening", "points", 300, "issuance", "available"),
        ("opening", "status", 1200, "issuance", "available"),
    ]
    assert ada.heard("member.imported") == [
        {
            "enrolled_at": "2009-05-04T11:00:00Z",
            "points": {"points": 300, "status": 1200},
            "tier": "silver",
        }
    ]
    assert not ada.heard("member.enrolled") + ada.heard("tier.changed")
    assert not ada.heard("points.accrued")
    ada.shop.proves()


def test_whoever_came_enrols_no_more() -> None:
    ada = _comes(_opening(_lot()))
    assert ada.does(Enrolled()).reason == "already_enrolled"
    assert ada.does(_opening(_lot())).reason == "already_enrolled"
    assert ada.available == 300
    bob = ada.shop.enrols("bob", "2010-12-11")
    assert bob.does(_opening(_lot())).reason == "already_enrolled"
    assert bob.available == 100


@pytest.mark.parametrize("status", STATUS)
def test_only_who_is_no_member_yet_can_come(status: str) -> None:
    what, _ = STATUS[status]["opening"]
    assert what == "decide" if status in ("unenrolled", "active", "suspended") else "refuse"


def test_what_waited_for_the_enrolment_goes_on() -> None:
    shop = Shop(_program())
    ada = shop.member("ada")
    assert ada.buys("o1", 50_00, at="2010-12-02").status == "parked"
    ada.does(_opening(_lot()), NOW)
    assert ada.available == 350
    assert not ada.account.waiting
    shop.proves()


def test_points_keep_the_end_that_they_had() -> None:
    ada = _comes(_opening(_lot(), _lot(50, expires_at=at("2010-12-20 13:37"))))
    ada.shop.waits_until("2010-12-20 13:00")
    assert ada.available == 350
    ada.shop.waits_until("2010-12-20 14:00")
    assert ada.available == 300
    ada.shop.waits_until("2011-02-01 00:00")
    assert ada.available == 0


def test_points_that_ended_since_the_file_was_checked_expire_at_once() -> None:
    body = _opening(_lot(expires_at=at("2010-12-09")), _lot(7))
    assert [*over(body, at(NOW))] == [Mistake(("lots", 0), "is_past")]
    ada = _comes(body)
    assert (ada.available, ada.balance("expired")) == (7, 300)


def test_pending_points_become_available_when_they_would_have() -> None:
    ada = _comes(_opening(_lot(activates_at=at("2010-12-15 00:00")), _lot(9, activates_at=EARNED)))
    assert (ada.available, ada.pending) == (9, 300)
    ada.shop.waits_until("2010-12-15 00:00")
    assert (ada.available, ada.pending) == (309, 0)
    ada.shop.proves()


def test_what_was_owed_is_paid_off_first() -> None:
    ada = _comes(_opening(_counts(5), arrears={"points": 30}))
    assert (ada.owed, ada.available) == (30, 0)
    assert ("opening", "points", 30, "arrears", "issuance") in [e[:5] for e in ada.entries()]
    ada.buys("o1", 50_00, at="2010-12-11")
    assert (ada.owed, ada.available) == (0, 20)
    ada.shop.proves()


def test_points_that_live_while_their_member_is_active_go_on_from_their_date() -> None:
    moves = Expiry(Span(months=2), moved_by=frozenset({"purchase"}))
    program = programme(both(), points(expiry=moves), tiers())
    lot = _lot(expires_at=IDLE)
    ada = _comes(_opening(lot, idle={"points": at("2011-01-01 00:00")}), program)
    ada.shop.waits_until("2010-12-31")
    assert ada.available == 300
    ada.shop.waits_until("2011-01-01 00:00")
    assert ada.available == 0
    bob = ada.shop.member("bob")
    bob.does(_opening(lot, idle={"points": at("2011-02-01 00:00")}), "2011-01-02")
    bob.buys("o1", 50_00, at="2011-01-10")
    bob.shop.waits_until("2011-03-31")
    assert bob.available == 350
    bob.shop.proves()


# The tier ---------------------------------------------------------------------------------------


def test_a_tier_is_kept_to_its_end_and_judged_then() -> None:
    ada = _comes(_opening(_counts(1200), standing=SILVER))
    ada.buys("o1", 10_00, at="2010-12-11")
    ada.shop.waits_until("2011-01-19")
    assert ada.tier == "silver"
    assert not ada.heard("tier.changed")
    ada.shop.waits_until("2011-01-20 00:00")
    assert ada.tier == "basic"
    ada.shop.proves()


def test_a_tier_without_a_basis_is_kept_whatever_comes_back() -> None:
    held = Reach("gold", at("2010-11-01"), at("2011-03-01 00:00"), "", "imported")
    ada = _comes(_opening(standing=Standing("gold", at("2010-11-01"), [held])))
    ada.buys("o1", 10_00, at="2010-12-11")
    ada.does(Refunded("o1", "GBP", amount=10_00))
    assert ada.tier == "gold"
    ada.shop.waits_until("2011-02-28")
    assert ada.tier == "gold"


def test_grace_goes_on() -> None:
    program = replace(_program(), tiers=tiers(grace=Span(days=30)))
    standing = Standing("silver", at("2010-08-01"), [], at("2010-12-20 00:00"))
    ada = _comes(_opening(standing=standing), program)
    assert ada.tier == "silver"
    ada.shop.waits_until("2010-12-20 00:00")
    assert ada.tier == "basic"


# Occasions and limits ---------------------------------------------------------------------------


def test_a_birthday_gift_that_was_given_is_not_given_again() -> None:
    gift = Gift("birthday", "birthday", {"points": 200})
    program = replace(_program(), gifts=(gift,))
    shop = Shop(program)
    for name, given in (("ada", {"birthday": at("2010-06-01")}), ("bob", {})):
        body = msgspec.structs.replace(_opening(), gifts=given)
        profile = ProfilePatch(born_on=date(1980, 2, 1))
        shop.member(name).does(body, NOW, profile=profile)
    shop.waits_until("2011-02-02")
    assert (shop.member("ada").available, shop.member("bob").available) == (0, 200)


def test_limits_go_on_counting() -> None:
    once = rule("once", give={"points": 40}, limit=Limit("lifetime", times=1))
    program = replace(
        programme(once, points(expiry=end_of_month(3)), caps=(Cap("points", 100, "month"),))
    )
    ada = _comes(_opening(counters={"once/life": [1, 40], "cap:points/2010-12": [0, 90]}), program)
    ada.buys("o1", 50_00, at="2010-12-11")
    assert ada.available == 0
    ada.shop.proves()


# Orders that may come back ----------------------------------------------------------------------


def _order(*postings: OpeningPosting, back: int = 0, **more: Any) -> OpeningOrder:
    lines = [ReceiptLine(1, 2, 200_00, 200_00, back), ReceiptLine(2, 1, 100_00, 100_00)]
    order = OpeningOrder("o1", "GBP", EARNED, lines, list(postings))
    return msgspec.structs.replace(order, **more)


BASE = OpeningPosting("base", "points", [200, 100], EARNED, END)


def test_a_refund_takes_from_the_lots_that_came() -> None:
    ada = _comes(_opening(_lot(250), orders=[_order(BASE)]))
    ada.does(Refunded("o1", "GBP", [RefundLine(1, quantity=1)]), "2010-12-11")
    assert ada.available == 150
    ada.does(Refunded("o1", "GBP", [RefundLine(1, quantity=1), RefundLine(2, quantity=1)]))
    assert (ada.available, ada.owed) == (0, 50)
    ada.shop.proves()


def test_what_had_come_back_before_is_not_taken_twice() -> None:
    ada = _comes(_opening(_lot(200), orders=[_order(BASE, back=1)]))
    ada.does(Refunded("o1", "GBP", [RefundLine(2, quantity=1)]), "2010-12-11")
    assert ada.available == 100
    ada.does(Refunded("o1", "GBP", [RefundLine(1, quantity=2)]))
    assert (ada.available, ada.owed) == (0, 0)
    ada.shop.proves()


def test_what_had_expired_before_is_taken_back_at_no_cost() -> None:
    gone = msgspec.structs.replace(BASE, rule="early", expires_at=at("2010-12-01 00:00"))
    ada = _comes(_opening(_lot(300), orders=[_order(BASE, gone)]))
    ada.does(Refunded("o1", "GBP", [RefundLine(1, quantity=2), RefundLine(2, quantity=1)]), NOW)
    assert (ada.available, ada.owed) == (0, 0)
    ada.shop.proves()


def test_a_purchase_that_came_along_is_not_recorded_again() -> None:
    ada = _comes(_opening(_lot(), orders=[_order(BASE)]))
    assert ada.buys("o1", 300_00, at="2010-12-11").reason == "order_exists"


def test_a_refund_of_what_made_the_tier_undoes_it() -> None:
    counts = OpeningPosting("base", "status", [200, 100], EARNED, NEVER)
    ada = _comes(_opening(_counts(1200), standing=SILVER, orders=[_order(counts)]))
    ada.does(Refunded("o1", "GBP", [RefundLine(2, quantity=1)]), "2010-12-11")
    assert ada.tier == "silver"
    ada.does(Refunded("o1", "GBP", [RefundLine(1, quantity=2)]))
    assert ada.tier == "basic"
    assert ada.account.windows["status"] == {"2010-10": 900}
    ada.shop.proves()


def test_what_awaits_its_delivery_comes_with_it_or_is_cancelled() -> None:
    until = Pending(until_delivered=True, cancel_after=Span(days=60))
    program = programme(both(), points(expiry=end_of_month(3), pending=until), tiers())
    awaited: dict[str, Any] = {"activates_at": at("2010-12-20 00:00"), "awaits": "o1"}
    body = _opening(_lot(**awaited), orders=[_order(msgspec.structs.replace(BASE, **awaited))])
    ada = _comes(body, program)
    assert (ada.available, ada.pending) == (0, 300)
    ada.does(Delivered("o1"), "2010-12-11")
    assert (ada.available, ada.pending) == (300, 0)
    bob = ada.shop.member("bob")
    bob.does(body, "2010-12-12")
    ada.shop.waits_until("2010-12-20 00:00")
    assert (bob.available, bob.pending) == (0, 0)
    ada.shop.proves()


# What is impossible -----------------------------------------------------------------------------

_LATER = at("2011-01-01")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (Opening(_LATER), Mistake(("enrolled_at",), "in_future")),
        (_opening(purchases=-1), Mistake(("purchases",), "not_positive")),
        (_opening(arrears={"coins": 5}), Mistake(("arrears", "coins"), "unknown_currency")),
        (_opening(arrears={"status": 5}), Mistake(("arrears", "status"), "unknown_currency")),
        (_opening(arrears={"points": 0}), Mistake(("arrears", "points"), "not_positive")),
        (_opening(_lot(), arrears={"points": 1}), Mistake(("arrears", "points"), "owes_and_has")),
        (_opening(idle={"points": _LATER}), Mistake(("idle", "points"), "no_inactivity")),
        (
            _opening(counters={"no/life": [1, 0]}),
            Mistake(("counters", "no/life"), "unknown_counter"),
        ),
        (
            _opening(counters={"base/2011-1": [1, 0]}),
            Mistake(("counters", "base/2011-1"), "unknown_counter"),
        ),
        (
            _opening(counters={"base/life": [-1, 0]}),
            Mistake(("counters", "base/life"), "not_positive"),
        ),
        (_opening(gifts={"easter": EARNED}), Mistake(("gifts", "easter"), "unknown_occasion")),
        (_opening(gifts={"birthday": _LATER}), Mistake(("gifts", "birthday"), "in_future")),
        (_opening(blocked=["breathing"]), Mistake(("blocked",), "unknown_block")),
        (_opening(_lot(0)), Mistake(("lots", 0), "not_positive")),
        (_opening(_lot(currency="coins")), Mistake(("lots", 0), "unknown_currency")),
        (_opening(_lot(earned_at=_LATER)), Mistake(("lots", 0), "in_future")),
        (_opening(_lot(currency="status")), Mistake(("lots", 0), "has_no_end")),
        (_opening(_lot(expires_at=0)), Mistake(("lots", 0), "needs_an_end")),
        (_opening(_lot(expires_at=EARNED)), Mistake(("lots", 0), "ends_before_it_begins")),
        (_opening(_lot(expires_at=IDLE)), Mistake(("lots", 0), "no_inactivity")),
        (
            _opening(_lot(awaits="o2", activates_at=_LATER)),
            Mistake(("lots", 0), "no_such_order"),
        ),
        (
            _opening(_lot(awaits="o1"), orders=[_order()]),
            Mistake(("lots", 0), "awaits_without_end"),
        ),
        (
            _opening(_lot(awaits="o1", activates_at=_LATER), orders=[_order()]),
            Mistake(("lots", 0), "other_than_its_lot"),
        ),
        (_opening(standing=Standing("bronze")), Mistake(("standing",), "unknown_level")),
        (_opening(standing=Standing("gold")), Mistake(("standing",), "not_the_highest_level")),
        (_opening(standing=Standing("", _LATER)), Mistake(("standing",), "in_future")),
        (
            _opening(standing=Standing("silver", 0, [], EARNED)),
            Mistake(("standing",), "is_past"),
        ),
        (
            _opening(standing=Standing("silver", 0, [Reach("silver", EARNED, EARNED, "")])),
            Mistake(("standing", "reaches", 0), "is_past"),
        ),
        (
            _opening(standing=Standing("silver", 0, [Reach("silver", EARNED, END, "2010")])),
            Mistake(("standing", "reaches", 0), "not_a_window"),
        ),
        (
            _opening(standing=Standing("silver", 0, [Reach("silver", EARNED, END, "", "luck")])),
            Mistake(("standing", "reaches", 0), "not_a_basis"),
        ),
        (
            _opening(_counts(999), standing=SILVER),
            Mistake(("standing", "reaches", 0), "window_does_not_allow"),
        ),
        (_opening(orders=[_order(), _order()]), Mistake(("orders", 1), "given_twice")),
        (_opening(orders=[_order(occurred_at=_LATER)]), Mistake(("orders", 0), "in_future")),
        (_opening(orders=[_order(lines=[])]), Mistake(("orders", 0), "no_lines")),
        (
            _opening(orders=[_order(back=3)]),
            Mistake(("orders", 0, "lines", 0), "impossible_line"),
        ),
        (
            _opening(orders=[_order(lines=[ReceiptLine(1, 1, 5, 5)] * 2)]),
            Mistake(("orders", 0, "lines", 1), "given_twice"),
        ),
        (
            _opening(orders=[_order(msgspec.structs.replace(BASE, allocated=[1]))]),
            Mistake(("orders", 0, "postings", 0), "impossible_posting"),
        ),
        (
            _opening(orders=[_order(msgspec.structs.replace(BASE, awaits="o9"))]),
            Mistake(("orders", 0, "postings", 0), "not_its_order"),
        ),
        (
            _opening(
                _counts(299),
                orders=[_order(OpeningPosting("base", "status", [200, 100], EARNED, NEVER))],
            ),
            Mistake(("orders", 0, "postings", 0), "not_in_its_lot"),
        ),
    ],
)
def test_what_cannot_have_been_is_told_and_refused(body: Opening, found: Mistake) -> None:
    told = [*mistakes(_program(), body, at(NOW))]
    assert found in told
    ada = Shop(_program()).member("ada")
    outcome = ada.does(body, NOW)
    assert (outcome.status, outcome.reason) == ("refused", "impossible_opening")
    assert {"at": ".".join(map(str, found.path)), "why": found.why} in outcome.details["mistakes"]
    assert ada.account.status == "unenrolled"
    assert not ada.entries()


def test_a_programme_without_tiers_takes_no_standing() -> None:
    program = programme(both(), status())
    found = [*mistakes(program, _opening(standing=SILVER), at(NOW))]
    assert found == [Mistake(("standing",), "no_tiers")]
    assert not [*mistakes(program, _opening(), at(NOW))]


def test_a_body_is_written_as_it_was_read() -> None:
    body = _opening(
        _lot(), _counts(1200), standing=SILVER, orders=[_order(BASE)], blocked=["earning"]
    )
    assert encode_body(decode_body(encode_body(body))) == encode_body(body)


# What was paid ----------------------------------------------------------------------------------


def _paid(amount: int, money: str = "GBP", funding: str = "purchase") -> OpeningPaid:
    return OpeningPaid("points", "2010-10", money, funding, amount)


def _found(ada: Member) -> list[Found]:
    return [each for told in paid(ada.shop, Approvals()).values() for each in told]


def test_what_was_paid_before_comes_along_and_is_nobodys_sale() -> None:
    ada = _comes(_opening(_lot(), _lot(40, earned_at=at("2010-09-03")), paid=[_paid(2_50)]))
    came, unpriced = _found(ada)
    assert came == Change(1, "points", "2010-10", "GBP", "purchase", Fraction(2_50), imported=True)
    assert unpriced == Unpriced(1, "points", "", "imported", 40)
    ledger = Ledger()
    ledger.add(came)
    months = {"points": {"2010-10": MonthPoints(200, 100, 0)}}
    [row] = ledger.rows({}, months, Approvals(), since=at(NOW), until=at("2011-01-01"))
    assert (row.imported_now, row.allocated_now, row.allocated) == ("2.50", "0.00", "2.50")
    assert (row.recognised, row.deferred) == ("0.83", "1.67")
    posted = postings([row], Approvals(), at("2011-01-01"))
    assert [(line.why, line.debit, line.credit, line.amount) for line in posted] == [
        ("imported", "opening_balance", "deferred_revenue", "2.50"),
        ("recognised", "deferred_revenue", "loyalty_revenue", "0.83"),
    ]


@pytest.mark.parametrize("had", [250, 300, 600])
def test_a_refund_takes_its_part_of_what_came_along_and_never_more(had: int) -> None:
    ada = _comes(_opening(_lot(had), orders=[_order(BASE)], paid=[_paid(3_00)]))
    ada.does(Refunded("o1", "GBP", [RefundLine(1, quantity=1)]), "2010-12-11")
    ada.does(Refunded("o1", "GBP", [RefundLine(1, quantity=1), RefundLine(2, quantity=1)]))
    came, *back = [each for each in _found(ada) if isinstance(each, Change)]
    assert came.amount == 3_00
    each_point = Fraction(3_00, max(had, 300))
    assert [-one.amount for one in back] == [each_point * 100, each_point * 200]
    assert all(each.refund and each.issued == "2010-10" for each in back)


def test_an_order_in_other_money_takes_nothing_back() -> None:
    ada = _comes(_opening(_lot(), orders=[_order(BASE)], paid=[_paid(3_00, "EUR")]))
    ada.does(Refunded("o1", "GBP", [RefundLine(1, quantity=1)]), "2010-12-11")
    assert len(_found(ada)) == 1


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (OpeningPaid("points", "2010-09", "GBP", "purchase", 1), "no_points_of_that_month"),
        (_paid(0), "not_positive"),
        (_paid(1, funding="charity"), "not_a_funding"),
    ],
)
def test_consideration_belongs_to_points_that_came(part: OpeningPaid, why: str) -> None:
    assert [*mistakes(_program(), _opening(_lot(), paid=[part]), at(NOW))] == [(("paid", 0), why)]
