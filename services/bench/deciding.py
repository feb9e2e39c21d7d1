"""`decide` alone, on one core: ordinary purchases under programmes of more and more rules."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from itertools import islice, pairwise
from typing import Any

import yaml

from services.bench.scene import Story, member_name, purchases
from services.loyalty.application.collector import spare_the_collector
from services.loyalty.application.intake import read_event
from services.loyalty.domain.account import Account
from services.loyalty.domain.activity import Enrolled
from services.loyalty.domain.calendar import DAY, Instant
from services.loyalty.domain.decide import decide
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.envelope import Activity
from services.loyalty.domain.facts import NO_FACTS
from services.loyalty.domain.program import Program

RULES = (5, 20, 100)
AT_ONCE = 50
"""Decisions that are timed together: a clock asked for each would be part of what it tells."""

_FILTERS: tuple[dict[str, Any], ...] = (
    {"category": ["kitchen"]},
    {"category": ["toys"]},
    {"sku": ["20007", "20133"]},
    {"channel": ["app"]},
    {"store": ["quay-1"]},
    {"tier": ["gold"]},
    {"segment": ["lapsed"]},
    {"nth": [1]},
    {"brand": ["harbour"]},
    {"payment": ["invoice"]},
)
"""What campaigns look at; of the purchases here, most match the first alone."""


def programme(document: str, rules: int, conditions: int) -> Program:
    """The programme with so many rules for purchases in all, ``conditions`` of which reach CEL."""
    tree: dict[str, Any] = yaml.load(document, Loader=yaml.BaseLoader)  # noqa: S506  ours, and as text
    earn = {name: rule for name, rule in tree["earn"].items() if rule["event"] != "purchase"}
    earn["base"] = tree["earn"]["base"]
    for number in range(1, rules):
        rule: dict[str, Any] = {"event": "purchase", "give": {"points": "5"}}
        if number <= conditions:
            rule["when"] = f"order.total >= {900_000 + number}"
        else:
            rule |= _FILTERS[number % len(_FILTERS)]
        earn[f"campaign-{number}"] = rule
    tree["earn"] = earn
    return parse_program(json.dumps(tree), 1)


def deciding(document: str, *, events: int, begins_at: Instant) -> dict[str, dict[str, float]]:
    """By number of rules: microseconds at the median, and activities a second on one core.

    At most four conditions are reached, as structural filters let pass in practice; and, told
    beside it, twenty.
    """
    spare_the_collector()
    found = {}
    for rules in RULES:
        found[f"{rules} rules"] = _timed(programme(document, rules, 4), events, begins_at)
    found["20 rules, all of them conditions"] = _timed(
        programme(document, 20, 19), events, begins_at
    )
    return found


def _timed(program: Program, events: int, begins_at: Instant) -> dict[str, float]:
    story = Story("decide", events, max(1, events // 3))  # most of whom have no tier yet
    now = begins_at + DAY
    messages = islice(purchases(story, begins_at, seed=40), events)
    happened = [read_event(raw, now=now) for _, raw in messages]
    accounts = {member_name(n): _enrolled(program, begins_at) for n in range(story.members)}
    spent: list[float] = []
    clock: Callable[[], int] = time.perf_counter_ns
    for first, end in pairwise(range(0, events + 1, AT_ONCE)):
        activities = [
            (one.member, Activity(one.activity.body, one.activity.occurred_at, now))
            for one in happened[first:end]
        ]
        since = clock()
        for member, activity in activities:
            accounts[member] = decide(program, accounts[member], activity, NO_FACTS).account
        spent.append((clock() - since) / 1000 / AT_ONCE)
    settled = spent[len(spent) // 10 :]  # the first ones fill caches
    return {
        "median_us": round(statistics.median(settled), 1),
        "activities_per_s": round(1e6 / statistics.fmean(settled)),
    }


def _enrolled(program: Program, begins_at: Instant) -> Account:
    joined = Activity(Enrolled(), begins_at - DAY, begins_at - DAY)
    return decide(program, Account(), joined, NO_FACTS).account
