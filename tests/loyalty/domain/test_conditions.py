"""Conditions are checked before they hold, and evaluate what they were told, and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest

from services.loyalty.domain.conditions import (
    LINE_FIELDS,
    NEUTRAL,
    ConditionError,
    activation,
    failure_on,
    read_condition,
    samples_of,
)
from services.loyalty.domain.mistakes import Misread


def _line(**fields: Any) -> dict[str, Any]:
    return {**LINE_FIELDS, **fields}


def test_money_is_compared_in_minor_units() -> None:
    at_least_200_pounds = read_condition("order.total >= 20000")
    assert at_least_200_pounds(activation(order={"total": 20000}))
    assert not at_least_200_pounds(activation(order={"total": 19999}))


def test_lines_can_be_searched() -> None:
    by_the_half_dozen = read_condition("order.lines.exists(l, l.quantity >= 6 && l.sku != 'POST')")
    six = _line(sku="22423", quantity=6)
    postage = _line(sku="POST", quantity=9)
    assert by_the_half_dozen(activation(order={"lines": [postage, six]}))
    assert not by_the_half_dozen(activation(order={"lines": [postage]}))
    assert not by_the_half_dozen(activation(order={"lines": []}))


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("order.lines.size() >= 10", ()),
        ("order.lines.exists(l, l.quantity >= 6)", ("quantity",)),
        ("order.lines[0].paid > order.lines[1].spend", ("paid", "spend")),
        ("order.lines.exists(l, l.brand in ['a', 'b'] && l.paid != 100)", ("brand", "paid")),
        ("order.lines.exists(l, l.sku == member.tier)", ("position", "sku")),
        ("order.lines.exists(l, l in order.lines)", ("position",)),
        ("order.lines.exists_one(l, l == order.lines[0])", ("position",)),
        ("dyn(order.lines[0])['s' + 'ku'] == 'a'", tuple(LINE_FIELDS)),
        ("string([order.lines[0], 1][0]['s' + 'ku']) == 'a'", tuple(LINE_FIELDS)),
        (r"order.lines.exists(l, l.sku == '\'')", tuple(LINE_FIELDS)),
        ("order.lines.size() > 1 // it's more", tuple(LINE_FIELDS)),
    ],
)
def test_a_condition_tells_what_it_may_read_of_a_line(text: str, fields: tuple[str, ...]) -> None:
    assert read_condition(text).fields == fields


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("order.lines.size() >= 10 && member.tier == 'gold'", True),
        ("order.lines.size() in [1, 2] || order.channel in ['app', 'web']", True),
        ("order.lines[0] == order.lines[1]", False),
        ("engagement.kind == 'survey' || order.payment == 'card'", True),
        ("order.lines.exists(l, l.quantity >= 6)", False),
        ("order.total >= 200", False),
        ("member.days_enrolled > 30", False),
    ],
)
def test_answers_are_remembered_where_what_is_asked_takes_few_values(
    text: str, repeats: bool
) -> None:
    assert read_condition(text).repeats == repeats


def test_member_and_engagement_are_seen() -> None:
    condition = read_condition(
        "member.tier == 'gold' && 'vip' in member.segments && member.purchases > 2"
        " && member.days_enrolled >= 30 && engagement.about == '22423'"
    )
    member = {"tier": "gold", "segments": ["vip"], "purchases": 3, "days_enrolled": 30}
    assert condition(activation(member=member, engagement={"about": "22423"}))
    assert not condition(activation(member={**member, "tier": "silver"}))


def test_one_activation_serves_every_condition() -> None:
    bound = activation(order={"total": 500}, member={"tier": "gold"})
    assert read_condition("order.total == 500")(bound)
    assert read_condition("member.tier == 'gold'")(bound)


def test_what_an_activity_does_not_say_is_neutral() -> None:
    nothing = activation()
    for name, neutral in NEUTRAL.items():
        literal = "''" if neutral == "" else repr(neutral)
        assert read_condition(f"size({name}) == 0" if literal == "[]" else f"{name} == {literal}")(
            nothing
        ), name


@pytest.mark.parametrize(
    ("text", "reason", "remedy"),
    [
        ("order.totl > 1", "'order.totl' at line 1, column 6", "'order.total' was meant"),
        ("member.teir == 'gold'", "'member.teir'", "'member.tier' was meant"),
        ("order.lines.exists(l, l.quantty > 1)", "'quantty' at line 1, column 24", "'quantity'"),
        ("order.total > 9 && order.lines[0].pric > 1", "undefined field 'pric'", "'paid'|paid"),
        ("order.lines.exists(l, l.sku == 22423)", r"\(string, int\)", "minor units"),
        ("order.total > 'much'", r"\(int, string\)", "minor units"),
        ("order.total > 1.5", r"\(int, double\)", "minor units"),
        ("true &&\n  order.x > 1", "at line 2, column 8", "order"),
        ("order.total", "not true or false but int", "Compare"),
        ("order.total >", "Syntax error", "Write CEL"),
        ("now() > 3", "'now'", "Use one of"),
        ("loyalty.Line{sku: 'a'} in order.lines", "loyalty.Line", "Use one of"),
        (" ", "1 to 2000 characters", "Write it like"),
        ("order.total > 1 || " * 200 + "true", "1 to 2000 characters", "Write it like"),
    ],
)
def test_what_cannot_hold_is_misread_where_it_stands(text: str, reason: str, remedy: str) -> None:
    with pytest.raises(Misread) as caught:
        read_condition(text)
    assert re.search(reason, caught.value.reason)
    assert re.search(remedy, caught.value.remedy)


def test_every_misspelling_is_told_at_once() -> None:
    with pytest.raises(Misread, match=r"order\.a.*order\.b"):
        read_condition("order.a > 1 && order.b > 1")


def test_a_condition_that_cannot_be_evaluated_says_so() -> None:
    first_line = read_condition("order.lines[0].sku == 'a'")
    with pytest.raises(ConditionError, match="Index error") as caught:
        first_line(activation())
    assert caught.value.condition == "order.lines[0].sku == 'a'"


@pytest.mark.parametrize(
    ("text", "event", "fails"),
    [
        ("order.lines[0].sku == 'a'", "purchase", "an order without lines"),
        ("order.lines[2].sku == 'a'", "purchase", "an order of one line"),
        ("order.total / order.lines.size() > 500", "purchase", "an order without lines"),
        ("100 / member.purchases > 3", "engagement", "a newcomer's engagement"),
        ("100 / member.days_enrolled > 3", "enrolled", "an enrolment"),
        ("order.lines.size() > 2 && order.lines[2].sku == 'a'", "purchase", ""),
        ("engagement.channel == 'app'", "engagement", ""),
    ],
)
def test_conditions_are_tried_on_samples_of_their_event(text: str, event: str, fails: str) -> None:
    failure = failure_on(read_condition(text), samples_of(event))
    assert (fails in failure) if fails else not failure


def test_conditions_are_equal_where_their_texts_are() -> None:
    assert read_condition("order.total > 1") == read_condition(" order.total > 1 ")
    assert read_condition("order.total > 1") != read_condition("order.total > 2")
