"""What is decided while another batch is recorded comes out as if it had been decided after it."""

from __future__ import annotations

from typing import Any

import pytest

from services.loyalty.application.attempt import ProgramPublished
from services.loyalty.application.batch import Outcome
from services.loyalty.application.record import record_batch
from services.loyalty.application.store import (
    AlreadyRecorded,
    Incoming,
    Overdrawn,
    ProfilePatch,
)
from services.loyalty.domain import decide
from services.loyalty.domain.activity import Cancelled, Enrolled, ProfileUpdated
from services.loyalty.domain.program import Budget, Referring, Rule
from tests.loyalty.domain.shop import (
    Shop,
    at,
    base,
    decision_of,
    fired,
    points,
    programme,
    purchase,
    rule,
)
from tests.loyalty.fake_store import settled
from tests.loyalty.lagging import Lane


def open_shop(*rules: Rule, **more: Any) -> Shop:
    return Shop(programme(*(rules or (base(),)), points(), **more))


def buys(shop: Shop, member: str, order: str, pence: int = 10_00) -> Incoming:
    return shop.incoming(member, purchase(order, pence), at("2011-02-01"))


def test_others_are_decided_ahead_and_the_same_member_is_not() -> None:
    shop = open_shop()
    for name in ("ada", "bob", "eve"):
        shop.enrols(name)
    lane = Lane(shop)
    first = [buys(shop, "ada", "1"), buys(shop, "bob", "2")]
    then = [buys(shop, "bob", "3"), buys(shop, "eve", "4"), buys(shop, "eve", "5")]
    lane.records(first, then)
    assert lane.ahead == 2  # both of eve's
    assert [shop.member(name).available for name in ("ada", "bob", "eve")] == [10, 20, 20]


def test_a_purchase_and_its_cancellation_in_the_batch_behind_it_meet() -> None:
    shop = open_shop()
    ada = shop.enrols("ada")
    undone = shop.incoming("ada", Cancelled("1"), at("2011-02-02"))
    (_, [outcome]) = Lane(shop).records([buys(shop, "ada", "1")], [undone])
    assert outcome.status == "accepted"
    assert ada.available == 0


def test_a_copy_in_the_batch_behind_counts_once() -> None:
    shop = open_shop()
    ada, bob = shop.enrols("ada"), shop.enrols("bob")
    once, other = buys(shop, "ada", "1"), buys(shop, "bob", "2")
    _, outcomes = Lane(shop).records([once], [other, once])
    assert [outcome.status for outcome in outcomes] == ["accepted", "duplicate"]
    assert (ada.available, bob.available) == (10, 10)


def test_what_waits_may_hang_on_others_and_is_decided_after_them() -> None:
    shop = open_shop()
    parked = buys(shop, "new", "1")
    shop.clock.at = at("2011-02-03")
    assert [outcome.status for outcome in shop.records(parked)] == ["parked"]
    shop.enrols("ada")
    lane = Lane(shop)
    joins = shop.incoming("new", Enrolled(), at("2011-02-02"))
    lane.records([buys(shop, "ada", "2")], [joins])
    assert lane.ahead == 0
    assert shop.member("new").available == 10


def test_a_code_that_is_drawn_in_one_batch_is_known_in_the_next() -> None:
    look = Rule("referral", "referral.qualified", (), on_refund="revoke")
    shop = open_shop(referrals=(Referring("referral", look, points={"points": 300}),))
    shop.enrols("zoe")
    joined = at("2011-02-01")
    code_of_ada = open_shop(referrals=(Referring("referral", look, points={"points": 300}),))
    code = code_of_ada.enrols("ada", "2011-02-01").account.code
    shop.clock.at = joined
    lane = Lane(shop)
    ada = shop.incoming("ada", Enrolled(), joined)
    bob = shop.incoming("bob", Enrolled(referred_by=code), joined)
    _, outcomes = lane.records([ada], [bob, buys(shop, "zoe", "1")])
    assert lane.ahead == 1  # zoe's purchase names nobody
    assert shop.member("ada").account.code == code
    assert decision_of(outcomes[0]).account.referrals


def test_a_budget_that_the_batch_before_uses_up_is_not_overdrawn() -> None:
    spree = rule("spree", give={"points": 250}, budget=Budget("points", 600))
    shop = open_shop(spree)
    names = [f"m{number}" for number in range(6)]
    for name in names:
        shop.enrols(name)
    first, second = names[:2], names[2:]
    lane = Lane(shop)
    batches = [[buys(shop, name, f"o-{name}") for name in part] for part in (first, second)]
    after = lane.behind(*batches)
    settled(after.decide())
    with pytest.raises(Overdrawn):  # it had been offered what is given since
        settled(after.record())
    outcomes = shop.records(*batches[1])
    assert [fired(outcome).get("spree") for outcome in outcomes] == [100, None, None, None]
    assert shop.store.counters["budget:spree"] == (600, 600)


def with_a_spent_budget() -> tuple[Shop, Incoming]:
    """A budget that one order of Ada's has used up, and the cancellation of it."""
    spree = rule("spree", give={"points": 250}, budget=Budget("points", 250), on_refund="revoke")
    shop = open_shop(spree)
    for name in ("ada", "bob"):
        shop.enrols(name)
    shop.records(buys(shop, "ada", "1"))
    return shop, shop.incoming("ada", Cancelled("1"), at("2011-02-02"))


def test_what_the_batch_before_gives_back_to_a_budget_is_offered() -> None:
    shop, undone = with_a_spent_budget()
    lane = Lane(shop)
    _, [outcome] = lane.records([undone], [buys(shop, "bob", "2")])
    assert lane.ahead == 1
    assert fired(outcome) == {"spree": 250}
    assert shop.store.counters["budget:spree"] == (250, 250)


def test_what_the_rest_of_the_batch_gives_back_is_offered_to_those_decided_ahead() -> None:
    shop, undone = with_a_spent_budget()
    _, [_, outcome] = Lane(shop).records([buys(shop, "ada", "2")], [undone, buys(shop, "bob", "3")])
    assert fired(outcome) == {"spree": 250}
    assert shop.store.counters["budget:spree"] == (250, 250)


def test_what_another_process_changed_meanwhile_is_decided_again() -> None:
    shop = open_shop()
    shop.enrols("ada")
    eve = shop.enrols("eve")
    lane = Lane(shop)
    batches = [buys(shop, "ada", "1")], [buys(shop, "eve", "2")]
    after = lane.behind(*batches)
    shop.records(buys(shop, "eve", "3"))
    [outcome] = shop.records(*batches[1], begun=after)
    assert outcome.seq == 3
    assert eve.available == 20


def test_what_another_process_recorded_meanwhile_is_a_duplicate() -> None:
    shop = open_shop()
    shop.enrols("ada")
    eve = shop.enrols("eve")
    lane = Lane(shop)
    batches = [buys(shop, "ada", "1")], [buys(shop, "eve", "2")]
    after = lane.behind(*batches)
    shop.records(*batches[1])
    with pytest.raises(AlreadyRecorded):
        settled(after.record())
    [outcome] = shop.records(*batches[1], begun=after)
    assert outcome.status == "duplicate"
    assert eve.available == 10


def test_a_version_that_is_published_meanwhile_holds_for_what_was_decided_ahead() -> None:
    first = programme(base(), points())
    shop = Shop(first)
    for name in ("ada", "eve", "zoe"):
        shop.enrols(name)
    shop.clock.at = at("2011-02-01")
    generous = rule("base", give={"points": 1000})
    second = programme(generous, points(), version=2, holds_from=at("2011-01-31"))
    lane = Lane(shop, [1])
    batches = [buys(shop, "ada", "1")], [buys(shop, "eve", "2"), buys(shop, "zoe", "3")]
    after = lane.behind(*batches)
    assert lane.ahead == 1
    shop.programs.add(second)
    shop.store.programs.append((2, second.holds_from, ""))
    outcomes = shop.records(*batches[1], begun=after)
    assert [fired(outcome) for outcome in outcomes] == [{"base": 1000}, {"base": 1000}]


def test_a_version_that_is_known_only_after_deciding_was_not_decided_by() -> None:
    first = programme(base(), points())
    shop = Shop(first)
    shop.enrols("eve")
    attempt = Lane(shop).begin([buys(shop, "eve", "1")])
    settled(attempt.decide())
    second = programme(base(), points(), version=2, holds_from=at("2011-01-31"))
    shop.store.programs.append((2, second.holds_from, ""))
    shop.programs.add(second)  # by another lane of the process
    with pytest.raises(ProgramPublished):
        settled(attempt.record())


@pytest.mark.as_written
def test_facts_of_one_version_that_another_one_cannot_use_spoil_no_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = Shop(programme(base(), points()))
    eve = shop.enrols("eve")
    second = programme(base(), points(), version=2, holds_from=at("2011-01-31"))

    def published(program: Any, account: Any, activity: Any, facts: Any) -> Any:
        if len(shop.store.programs) == 1:  # by another lane, since this one has read its facts
            shop.store.programs.append((2, second.holds_from, ""))
            shop.programs.add(second)
            raise KeyError("a counter of which nothing was read")
        return decide.decide(program, account, activity, facts)

    monkeypatch.setattr("services.loyalty.application.batch.decide", published)
    shop.records(buys(shop, "eve", "1"))
    assert eve.available == 10


@pytest.mark.as_written
def test_of_what_cannot_be_written_down_no_half_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = open_shop()
    shop.enrols("eve")
    attempt = Lane(shop).begin([buys(shop, "eve", "1")])

    def fails(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("services.loyalty.db.rows._documents", fails)
    with pytest.raises(ZeroDivisionError):
        settled(attempt.decide())
    monkeypatch.undo()
    settled(attempt.decide())
    settled(attempt.record())
    assert shop.member("eve").available == 10
    shop.audits()


@pytest.mark.as_written
def test_what_fails_ahead_fails_again_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    shop = open_shop()
    for name in ("ada", "eve", "zoe"):
        shop.enrols(name)

    def fails(program: Any, account: Any, activity: Any, facts: Any) -> Any:
        if getattr(activity.body, "order", "") == "2":
            raise ZeroDivisionError
        return decide.decide(program, account, activity, facts)

    monkeypatch.setattr("services.loyalty.application.batch.decide", fails)
    lane = Lane(shop)
    before = lane.begin([buys(shop, "ada", "1")])
    batch = [buys(shop, "eve", "2"), buys(shop, "zoe", "3")]
    settled(before.decide())
    begun = lane.begin(batch)
    settled(begun.read_ahead(before))
    with pytest.raises(ZeroDivisionError):
        list(begun.turns())
    with pytest.raises(ZeroDivisionError):
        settled(begun.decide())
    shop.records(*batch[1:])
    assert shop.member("zoe").available == 10


def test_messages_without_a_member_to_decide_are_recorded_under_the_latest_version() -> None:
    shop = open_shop()
    seen: list[list[Outcome]] = []

    async def fence(outcomes: list[Outcome]) -> None:
        seen.append(outcomes)

    assert (
        settled(record_batch(shop.session, shop.programs, shop.clock, [], fence=fence)) == seen[0]
    )


def test_a_profile_is_patched_once_though_it_was_decided_ahead() -> None:
    shop = open_shop()
    for name in ("ada", "eve"):
        shop.enrols(name)
    patched = shop.incoming("eve", ProfileUpdated(), at("2011-02-01"), ProfilePatch(language="fr"))
    Lane(shop).records([buys(shop, "ada", "1")], [patched])
    assert shop.store.profiles["eve"].language == "fr"
