"""Merges in the middle of lives: whatever happens meanwhile, and in whatever order parts arrive."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import TypeAlias

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.loyalty.domain.activity import AnyBody, MergeRequested
from services.loyalty.domain.calendar import DAY
from services.loyalty.domain.program import Program, Window
from tests.loyalty.domain.shop import Shop
from tests.loyalty.lives import MEMBERS, PROGRAMMES, START, bodies, purchases, returns

CAREFUL = settings(
    max_examples=150,
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
MEMBER_YEAR = Window("member_year")
ADDING = [each for each in PROGRAMMES if each.currencies["status"].window != MEMBER_YEAR]


def shop_of(program: Program) -> Shop:
    shop = Shop(program)
    for member in MEMBERS:
        shop.enrols(member, "2010-12-02")
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


reached: Counter[str] = Counter()


@given(
    program=st.sampled_from(ADDING),
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
    reached[ada.account.status] += 1
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


def test_zz() -> None:
    print(reached)
