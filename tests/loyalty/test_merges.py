"""Merges in the middle of lives: whatever happens meanwhile, and in whatever order parts arrive."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.loyalty.domain.activity import AnyBody, MergeRequested, Refunded
from services.loyalty.domain.calendar import DAY
from services.loyalty.domain.program import Program
from tests.loyalty.domain.shop import Shop, both, programme
from tests.loyalty.lives import MEMBERS, PROGRAMMES, START, bodies, purchases, returns
from tests.loyalty.paid import check_paid

CAREFUL = settings(
    max_examples=60,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

Told: TypeAlias = tuple[str, AnyBody, float]
told = st.tuples(
    st.sampled_from(MEMBERS),
    st.one_of(purchases(), returns, bodies),
    st.sampled_from([0, 0, 0.3, 1, 2, 7, 14, 30]),
)
lives = st.lists(told, min_size=2, max_size=14)


def shop_of(program: Program) -> Shop:
    shop = Shop(program)
    for place, member in enumerate(MEMBERS):  # whose years begin on different days
        shop.enrols(member, f"2010-12-0{1 + place}")
    shop.clock.at = START + 2 * DAY
    return shop


def live(shop: Shop, life: Sequence[Told], *, arriving: Sequence[int] = ()) -> None:
    """What is told happens, and after each so many derived activities arrive."""
    for place, (member, happens, days) in enumerate(life):
        shop.clock.at += int(days * DAY)
        body = happens
        if order := getattr(body, "order", ""):
            body = msgspec.structs.replace(body, order=f"{member}-{order}")
        shop.records(shop.incoming(member, body, shop.clock.at))
        if arriving:
            shop.delivers_derived(at_most=arriving[place % len(arriving)])


@given(
    program=st.sampled_from(PROGRAMMES),
    before=lives,
    after=lives,
    arriving=st.lists(st.integers(0, 3), min_size=1, max_size=5),
)
@CAREFUL
def test_a_merge_loses_and_makes_no_point_whatever_happens_meanwhile(
    program: Program, before: list[Told], after: list[Told], arriving: list[int]
) -> None:
    shop = shop_of(program)
    ada = shop.member("ada")
    live(shop, before)
    shop.delivers_derived()
    ada.does(MergeRequested("m", "ada", "bob", "duplicate", "y"))
    live(shop, after, arriving=arriving)
    shop.delivers_derived()
    for currency in program.currencies:
        for bucket in ("transit", "moving"):
            assert shop.auditor.over_all(currency, bucket) == 0
    if ada.account.merged_into:
        assert not ada.account.lots
        assert not ada.account.arrears
        assert not ada.account.counters
        assert not any(ada.account.windows.values())
        for currency in program.currencies:
            for bucket in ("available", "pending", "held", "expired", "arrears"):
                assert ada.balance(bucket, currency) == 0
    shop.proves()

    check_paid(shop)


@given(
    program=st.sampled_from(PROGRAMMES),
    before=lives,
    after=st.lists(told, max_size=8),
    places=st.lists(st.integers(0, 99), max_size=8),
)
@CAREFUL
def test_how_arriving_parts_are_cut_into_batches_changes_nothing(
    program: Program, before: list[Told], after: list[Told], places: list[int]
) -> None:
    """Parts, what was sent on behind them, and what comes to the account itself meanwhile."""
    left = []
    for at_once in (True, False):
        shop = shop_of(program)
        live(shop, before)
        shop.delivers_derived()
        shop.member("ada").does(MergeRequested("m", "ada", "bob", "duplicate", "y"))
        shop.delivers_derived(at_most=2)
        live(shop, after)
        messages = shop.arriving()
        for place in places:
            member = sorted(shop.store.accounts)[place % len(shop.store.accounts)]
            own = shop.incoming(member, Refunded("ada-o1", "GBP", [], place), shop.clock.at)
            messages.insert(place % (len(messages) + 1), own)
        for batch in [messages] if at_once else [[each] for each in messages]:
            shop.records(*batch)
        shop.delivers_derived()
        store = shop.store
        states = {member: store.account(member) for member in store.accounts}
        ledger = sorted(store.ledger, key=lambda row: row[:3])
        left.append((states, ledger, store.receipts, store.lots, store.history))
    assert left[0] == left[1]


purchase_or_refund = st.tuples(
    st.sampled_from(MEMBERS),
    st.integers(1, 4),
    st.sampled_from([0, 0, 10_00, 55_50]),
    st.booleans(),
)


@given(st.lists(purchase_or_refund, max_size=14), st.lists(st.integers(0, 4), min_size=1))
@CAREFUL
def test_purchases_and_refunds_of_either_id_come_to_the_same_whenever_parts_arrive(
    happenings: list[tuple[str, int, int, bool]], arriving: list[int]
) -> None:
    """As if one member had bought and returned all of it."""
    ends = []
    for pace in ([99], arriving, []):
        shop = Shop(programme(both()))
        for member in MEMBERS:
            shop.enrols(member)
        shop.member("ada").buys("ada-1", 80_00, at="2011-01-05")
        shop.member("bob").buys("bob-1", 30_00, at="2011-01-06")
        shop.member("ada").becomes_one_with("bob", "2011-02-01")
        for place, (member, order, amount, later) in enumerate(happenings):
            shop.clock.at += DAY * later
            who, name = shop.member(member), f"{member}-{order}"
            if amount:
                who.returns(name, amount=amount)
            else:
                who.buys(name, 20_00 * order)
            if pace:
                shop.delivers_derived(at_most=pace[place % len(pace)])
        shop.delivers_derived()
        bob = shop.member("bob").account
        counted = {key: points for key, points in bob.windows.get("status", {}).items() if points}
        ends.append((bob.available("points") - bob.arrears.get("points", 0), counted))
        assert shop.member("ada").account.merged_into == "bob"
        shop.proves()
    assert ends[0] == ends[1] == ends[2]
