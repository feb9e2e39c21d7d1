"""What follows from messages depends neither on how they were cut into batches nor on who looks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.loyalty.application.store import Incoming
from services.loyalty.domain.activity import AnyBody
from services.loyalty.domain.calendar import DAY, Instant
from services.loyalty.domain.program import Program, Rule
from tests.loyalty.domain.shop import Shop
from tests.loyalty.lagging import Lane
from tests.loyalty.lives import MEMBERS, PROGRAMMES, START, bodies, changed

CAREFUL = settings(
    max_examples=60,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

CROWD = (*MEMBERS, "eve", "kim", "zoe")

Told = tuple[str, AnyBody, float]
"""A member, what happens to her, and the days since what was told before (or since the start)."""

lives = st.lists(
    st.tuples(st.sampled_from(MEMBERS), bodies, st.sampled_from([0, 0, 0.3, 1, 2, 7, 14, 30, 61])),
    min_size=3,
    max_size=25,
)


def _shop(program: Program, *, changes: bool) -> Shop:
    shop = Shop(program, changed(program)) if changes else Shop(program)
    for member in CROWD:
        shop.enrols(member, "2010-12-02")
    return shop


def _plenty(program: Program) -> Program:
    """The same with so much of all that members share that nobody comes too late for it: who takes
    the last piece hangs on who is looked at first.
    """
    rewards = {
        name: each if each.stock is None else replace(each, stock=10**6)
        for name, each in program.rewards.items()
    }
    by_event = {
        event: tuple(_without_end(rule) for rule in rules)
        for event, rules in program.rules_by_event.items()
    }
    rules = tuple(_without_end(rule) for rule in program.rules)
    return replace(program, rewards=rewards, rules=rules, rules_by_event=by_event)


def _without_end(rule: Rule) -> Rule:
    return rule if rule.budget is None else replace(rule, budget=replace(rule.budget, points=10**9))


def _messages(shop: Shop, life: Sequence[Told], times: Sequence[Instant]) -> list[Incoming]:
    return [
        shop.incoming(member, body, at) for (member, body, _), at in zip(life, times, strict=True)
    ]


def _times(life: Sequence[Told]) -> list[Instant]:
    times, at = [], START + 2 * DAY
    for _, _, days in life:
        at += int(days * DAY)
        times.append(at)
    return times


def _left(shop: Shop, *, recorded: bool) -> dict[str, Any]:
    """All that is stored, but for what reading at other times may change: facts, links, versions,
    and (unless ``recorded``) when it was recorded.
    """
    store = shop.store
    states = {member: store.account(member) for member in store.accounts}
    journal = [(*row[:8], *row[9:15], row[16]) for _, row in sorted(store.journal.items())]
    outbox = [(*row[:3], *row[4:]) for row in sorted(store.outbox, key=lambda row: row[:3])]
    if not recorded:
        states = {
            member: msgspec.structs.replace(account, recorded_at=0)
            for member, account in states.items()
        }
    return {
        "states": states,
        "journal": journal,
        "recorded": [row[8] for _, row in sorted(store.journal.items())] if recorded else [],
        "ledger": sorted(store.ledger, key=lambda row: row[:3]),
        "outbox": outbox,
        "receipts": store.receipts,
        "lots": store.lots,
        "history": store.history,
        "levels": sorted(store.levels),
        "parked": store.parked,
        "rewards": sorted(store.rewards),
    }


@CAREFUL
@given(
    program=st.sampled_from(PROGRAMMES),
    changes=st.booleans(),
    life=lives,
    shuffled=st.randoms(use_true_random=False),
    cuts=st.sets(st.integers(1, 24)),
)
def test_how_messages_are_cut_into_batches_changes_nothing(
    program: Program, changes: bool, life: list[Told], shuffled: Any, cuts: set[int]
) -> None:
    times = _times(life)
    if shuffled.random() < 0.5:
        shuffled.shuffle(times)  # as they come over several partitions, late and early
    whole, parts = (_shop(program, changes=changes) for _ in range(2))
    for shop in (whole, parts):
        shop.clock.at = max(times)
    whole.records(*_messages(whole, life, times))
    messages = _messages(parts, life, times)
    for start, end in zip((0, *sorted(cuts)), (*sorted(cuts), len(messages)), strict=True):
        if messages[start:end]:
            parts.records(*messages[start:end])
    assert _left(whole, recorded=True) == _left(parts, recorded=True)


@CAREFUL
@given(
    program=st.sampled_from(PROGRAMMES),
    changes=st.booleans(),
    life=st.lists(
        st.tuples(st.sampled_from(CROWD), bodies, st.sampled_from([0, 0, 0.3, 1, 7, 30])),
        min_size=4,
        max_size=30,
    ),
    size=st.integers(1, 6),
    waits=st.lists(st.integers(0, 4), max_size=30),
)
def test_deciding_a_batch_while_another_is_recorded_changes_nothing(
    program: Program, changes: bool, life: list[Told], size: int, waits: list[int]
) -> None:
    after, meanwhile = (_shop(_plenty(program), changes=changes) for _ in range(2))
    times = _times(life)
    for shop in (after, meanwhile):
        shop.clock.at = max(times)
        messages = _messages(shop, life, times)
        batches = [messages[start : start + size] for start in range(0, len(messages), size)]
        if shop is meanwhile:
            Lane(shop, waits).records(*batches)
        else:
            for batch in batches:
                shop.records(*batch)
    assert _left(after, recorded=True) == _left(meanwhile, recorded=True)


@CAREFUL
@given(
    program=st.sampled_from(PROGRAMMES),
    changes=st.booleans(),
    life=lives,
    visits=st.lists(st.booleans(), min_size=25, max_size=25),
)
def test_who_visits_an_account_before_the_next_message_changes_nothing(
    program: Program, changes: bool, life: list[Told], visits: list[bool]
) -> None:
    visited, alone = (_shop(_plenty(program), changes=changes) for _ in range(2))
    times = _times(life)
    for shop in (visited, alone):
        for message, at, visit in zip(_messages(shop, life, times), times, visits, strict=False):
            if shop is visited and visit:
                shop.waits_until(at - DAY // 3)
            shop.clock.at = max(at, shop.clock.at)
            shop.records(message)
        shop.waits_until(times[-1] + 400 * DAY)
    assert _left(visited, recorded=False) == _left(alone, recorded=False)
