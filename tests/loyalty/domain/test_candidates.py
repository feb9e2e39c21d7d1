"""The index over rules answers what every rule by itself would, and conditions asked together what
each answers alone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.calendar import DAY, local_date
from services.loyalty.domain.candidates import AMENDMENT, Setting, among, of_event, unmet
from services.loyalty.domain.conditions import ConditionError, Together, activation, read_condition
from services.loyalty.domain.program import Boost, Boosts, Filter, Program, Rule
from tests.loyalty.domain.shop import at, points, programme, rule

NAMES = ("", "web", "shop", "gold", "vip", "elsewhere")
START = at("2011-03-01 00:00")

_some = st.frozensets(st.sampled_from(NAMES), max_size=2)
_filters = st.builds(
    Filter,
    channel=_some,
    store=_some,
    payment=_some,
    tier=_some,
    segment=_some,
    nth=st.frozensets(st.integers(1, 3), max_size=1),
    exclude_channel=_some,
    exclude_store=_some,
    exclude_payment=_some,
    exclude_tier=_some,
    exclude_segment=_some,
)
_instants = st.integers(0, 6).map(lambda days: START + days * DAY)


def _odd(day: date) -> bool:
    return day.day % 2 == 1


@st.composite
def _rules(draw: Any) -> list[Rule]:
    return [
        rule(
            f"rule-{number}",
            give={"points": 1},
            filter=draw(_filters),
            valid_from=draw(_instants),
            valid_until=draw(_instants),
            days=draw(st.sampled_from([None, _odd])),
        )
        for number in range(draw(st.integers(0, 5)))
    ]


@st.composite
def _settings(draw: Any) -> Setting:
    occurred_at = draw(_instants) + draw(st.integers(-1, 1))
    return Setting(
        occurred_at,
        local_date(occurred_at, PROGRAM.zone),
        draw(st.sampled_from(NAMES)),
        draw(st.sampled_from(NAMES)),
        draw(st.sampled_from(NAMES)),
        draw(st.sampled_from(NAMES)),
        draw(st.integers(1, 4)),
        draw(_some),
    )


PROGRAM: Program = programme(points())


@given(_rules(), _rules(), st.lists(_settings(), min_size=1, max_size=4))
def test_what_is_remembered_is_what_every_rule_says(
    rules: list[Rule], others: list[Rule], settings: list[Setting]
) -> None:
    boosts = tuple(
        Boost(each.id, {}, each.filter, each.valid_from, each.valid_until, days=each.days)
        for each in others
    )
    program = replace(PROGRAM, rules_by_event={"purchase": tuple(rules)}, boosts=Boosts(boosts))
    for setting in settings:
        found = of_event(program, "purchase", setting)
        assert (found.rules, found.missed) == among(setting, rules)
        assert found.boosts == [boost for boost in boosts if not unmet(setting, boost)]
        said = {boost.id: unmet(setting, boost) for boost in boosts}
        assert dict(found.boosts_missed) == {name: why for name, why in said.items() if why}
        assert not of_event(program, "engagement:review", setting).rules


def test_an_amendment_tells_nothing_of_what_a_boost_turns_away_by() -> None:
    boosts = Boosts((Boost("not-online", {}, Filter(exclude_channel=frozenset({"web"}))),))
    program = replace(PROGRAM, boosts=boosts)
    setting = Setting(START, local_date(START, program.zone), "", "", "", "", 1, frozenset())
    assert of_event(program, "purchase", setting).boosts
    amended = of_event(program, AMENDMENT, setting)
    assert (amended.boosts, amended.boosts_missed) == (
        [],
        [("not-online", "not_told_by_amendment")],
    )


def test_rules_of_a_kind_of_engagement_come_before_those_of_every_kind() -> None:
    every, review = (rule(name, "engagement", give={"points": 1}) for name in ("every", "review"))
    program = replace(
        PROGRAM, rules_by_event={"engagement:": (every,), "engagement:review": (review,)}
    )
    setting = Setting(START, local_date(START, program.zone), "", "", "", "", 0, frozenset())
    assert of_event(program, "engagement:review", setting).rules == [review, every]
    assert of_event(program, "engagement:survey", setting).rules == [every]


TEXTS = (
    "order.total >= 100 // a comment may end it",
    "order.total < 50",
    "member.tier == 'gold'",
    "order.lines[0].quantity > 1",
    "'vip' in member.segments || order.total == 7",
)


@given(
    st.lists(st.sampled_from(TEXTS), min_size=1, max_size=5),
    st.integers(0, 200),
    st.sampled_from(["gold", "basic"]),
    st.lists(st.integers(1, 2), max_size=1),
)
def test_conditions_asked_together_answer_as_each_does_alone(
    texts: list[str], total: int, tier: str, quantities: list[int]
) -> None:
    lines = [{"quantity": quantity} for quantity in quantities]
    bound = activation(
        order={"total": total, "lines": lines}, member={"tier": tier, "segments": ["vip"]}
    )
    asked = [read_condition(text) for text in texts]
    together = Together(asked)
    answers = together(bound)
    alone: list[bool | None] = []
    for condition in asked:
        try:
            alone.append(condition(bound))
        except ConditionError:
            alone.append(None)
    if None in alone:
        assert answers == -1
    else:
        assert [bool(answers & together.bit(condition)) for condition in asked] == alone


def test_conditions_too_long_to_be_asked_together_are_asked_one_by_one() -> None:
    long = [read_condition(f"order.channel != '{'x' * 1900}{number}'") for number in range(60)]
    assert Together(long)(activation()) == -1


def test_a_day_of_the_year_is_looked_at_only_where_a_rule_has_days() -> None:
    odd = rule("odd", give={"points": 1}, days=_odd)
    program = replace(PROGRAM, rules_by_event={"purchase": (odd,)})
    first = date(2011, 3, 1)
    for later in range(3):
        day = first + timedelta(days=later)
        setting = Setting(START, day, "", "", "", "", 1, frozenset())
        assert bool(of_event(program, "purchase", setting).rules) == (day.day % 2 == 1)
