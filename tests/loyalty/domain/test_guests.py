"""Guest purchases: they wait under a receipt number, and one member claims them, once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.application.batch import Outcome
from services.loyalty.domain.activity import Enrolled, PurchaseClaimed
from services.loyalty.domain.program import Span
from tests.loyalty.domain.shop import Member, Shop, base, points, programme


def shop() -> Shop:
    return Shop(programme(base(), points(), claim_within=Span(days=40), wait=Span(days=5)))


def claims(of: Shop, member: str, receipt: str = "r1", at: str | None = None) -> Outcome:
    body = PurchaseClaimed(f"c-{member}", receipt, member)
    return of.member(receipt).does(body, at)


def bought(of: Shop, at: str = "2011-01-05") -> Member:
    receipt = of.member("r1")
    outcome = receipt.buys("o1", 30_00, at=at, guest=True)
    assert (outcome.status, outcome.reason) == ("parked", "awaits_claim")
    return receipt


def test_a_claimed_purchase_earns_as_of_when_it_was_made() -> None:
    of = shop()
    bought(of)
    ada = of.enrols("ada", "2011-01-10")
    assert claims(of, "ada", at="2011-01-12").status == "accepted"
    of.delivers_derived()
    assert ada.available == 30
    assert ada.receipt("o1").occurred_at < ada.account.enrolled_at
    of.proves()


def test_of_two_who_claim_the_first_has_it() -> None:
    of = shop()
    bought(of)
    ada, bob = of.enrols("ada"), of.enrols("bob")
    of.clock.at += 40 * 86_400_000_000
    first = of.incoming("r1", PurchaseClaimed("c1", "r1", "bob"), of.clock.at)
    second = of.incoming("r1", PurchaseClaimed("c2", "r1", "ada"), of.clock.at)
    outcomes = of.records(first, second)
    assert [each.reason for each in outcomes] == ["", "already_claimed"]
    of.delivers_derived()
    assert (ada.available, bob.available) == (0, 30)
    of.proves()


def test_what_came_back_before_the_claim_comes_along_and_what_comes_later_follows() -> None:
    of = shop()
    early = of.member("r1").returns("o1", money={1: 10_00}, at="2011-01-04")
    assert early.status == "parked"
    receipt = bought(of)
    receipt.returns("o1", money={1: 5_00}, at="2011-01-06")
    ada = of.enrols("ada", "2011-01-10")
    assert claims(of, "ada", at="2011-02-01").status == "accepted"
    receipt.returns("o1", money={1: 3_00}, at="2011-02-02")
    of.delivers_derived()
    assert ada.available == 12
    of.waits_until("2011-06-01")
    receipt.cancels("o1")
    of.delivers_derived()
    assert ada.available == 0
    assert receipt.heard("activity.lapsed") == []
    of.proves()


def test_nobody_claims_too_late_or_what_is_not_there() -> None:
    of = shop()
    of.enrols("ada")
    bought(of)
    of.member("r2").buys("o2", 10_00, at="2011-01-05")
    assert claims(of, "ada", "r2").reason == "unknown_receipt"
    assert claims(of, "ada", "ada").reason == "not_a_receipt"
    assert claims(of, "ada", at="2011-02-15").reason == "claim_too_late"


def test_a_claim_that_the_members_account_refuses_is_undone() -> None:
    of = shop()
    bought(of)
    ada, bob = of.enrols("ada"), of.enrols("bob")
    claims(of, "ada", at="2011-01-06")
    ada.becomes("closed")
    of.delivers_derived()
    assert of.member("r1").heard("receipt.returned") == [{"reason": "account_closed"}]
    assert claims(of, "bob").status == "accepted"
    of.delivers_derived()
    assert bob.available == 30
    of.proves()


def test_a_claim_undone_after_something_came_back_is_over() -> None:
    """What came back has gone to the first who claimed, and nobody may earn on it again."""
    of = shop()
    receipt = bought(of)
    ada = of.enrols("ada")
    of.enrols("bob")
    claims(of, "ada", at="2011-01-06")
    receipt.returns("o1", {1: 1})
    ada.becomes("erased")
    of.delivers_derived()
    assert claims(of, "bob").reason == "claim_too_late"


def test_a_receipt_is_no_member_and_has_one_purchase() -> None:
    of = shop()
    receipt = bought(of)
    assert receipt.buys("o2", 10_00, guest=True).reason == "receipt_exists"
    assert receipt.does(Enrolled()).reason == "not_a_member"


@given(back=st.lists(st.tuples(st.integers(1, 12_00), st.integers(0, 3)), max_size=4))
def test_a_claim_changes_nothing_of_what_a_purchase_and_its_refunds_come_to(
    back: list[tuple[int, int]],
) -> None:
    """Whenever the refunds come: before the claim, between claim and purchase, or after."""
    of = shop()
    receipt = bought(of)
    ada = of.enrols("ada", "2011-01-05 13:00")
    days = ("06", "07", "09", "11")
    for amount, when in sorted(back, key=lambda one: one[1]):
        if when > 1 and not receipt.account.guest:
            assert claims(of, "ada", at="2011-01-08").status == "accepted"
        if when > 2:
            of.delivers_derived()
        receipt.returns("o1", money={1: amount}, at=f"2011-01-{days[when]}")
    if not receipt.account.guest:
        claims(of, "ada", at="2011-01-12")
    of.delivers_derived()
    spent = 30_00 - min(30_00, sum(amount for amount, _ in back))
    assert ada.available == 30 - 30 * (30_00 - spent) // 30_00
    of.proves()
