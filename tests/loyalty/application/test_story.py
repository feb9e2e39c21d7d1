"""Stories, as they read."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.loyalty.application.replay import refold
from services.loyalty.application.story.languages import language
from services.loyalty.application.story.letters import DeadLetter, tell_letter
from services.loyalty.application.story.shown import as_lines, as_values
from services.loyalty.application.story.telling import concerns, explain, tell
from services.loyalty.domain.chain import JournalRow
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.program import (
    Boost,
    Boosts,
    Budget,
    Filter,
    Limit,
    Pending,
    Program,
    Rate,
    Span,
    Words,
)
from tests.loyalty.domain import shop
from tests.loyalty.domain.shop import LONDON, Member, Shop, at, line, points, programme, rate, rule

GIFT_SHOP = parse_program(
    (Path(__file__).parents[3] / "contracts/programs/gift-shop.yaml").read_text("utf-8"), 1
)


def rows_of(member: Member) -> list[JournalRow]:
    rows = member.shop.store.journal.items()
    return [JournalRow(*row[:-1]) for (name, _), row in rows if name == member.name]


def told(member: Member, seq: int = 0, *, tag: str = "en", brief: bool = False) -> list[str]:
    """The sentences about a row of the journal, by default the last."""
    versions = {program.version: program for program in member.shop.programs}
    *_, last = tell(rows_of(member)[: seq or None], versions, brief=brief)
    return [line.strip() for line in as_lines([last], language(tag))][1:]


def in_the_gift_shop() -> Member:
    """A member who buys a lot and thinks better of it sixteen minutes later."""
    member = Shop(GIFT_SHOP).enrols("12346", "2011-01-18 10:00")
    member.buys("541431", line(1, 104, 74_215, sku="23166"), at="2011-01-18 10:01")
    member.cancels("541431", at="2011-01-18 10:17")
    return member


def test_a_purchase_is_explained_with_arithmetic_cuts_lots_and_version() -> None:
    assert told(in_the_gift_shop(), 2) == [
        "The member bought order 541431: 1 line for £77,183.60.",
        "“A point for every pound”: 1 for each £1.00 of £77,183.60, rounded down,"
        " makes 77,183 points.",
        "“A point for every pound”: what all rules together may give for an order cuts"
        " 67,183 points off.",
        "“A point for every pound”: 10,000 points are left.",
        "“A point for every pound”: 1 for each £1.00 of £77,183.60, rounded down,"
        " makes 77,183 status points.",
        "“Spring fair” did not apply: it was not valid then.",
        "“Third time lucky” did not apply: it is for the purchases number 3, and this was number"
        " 1.",
        "“Silver bonus” did not apply: it is for the levels “Silver”, and the member held “Basic”.",
        "“Gold bonus” did not apply: it is for the levels “Gold”, and the member held “Basic”.",
        "“VIP day” did not apply: it is for other days.",
        "“Big basket” did not apply: its condition does not hold (order.lines.size() >= 10).",
        "10,000 points were earned by “A point for every pound” and are pending.",
        "They are now: 10,000 issued in January 2011, which can be spent from 2 February 2011,"
        " 00:00 on and expire at the end of 30 April 2011.",
        "77,183 status points were earned by “A point for every pound” and count towards the"
        " level.",
        "They are now: 77,183 in the window of January 2011.",
        "That leaves 100 points to spend, 10,000 pending.",
        "The points reach the level “Gold”, up from “Basic”, until the end of 18 April 2011.",
        "Judged by version 1 of the programme “Harbour Rewards”, which holds from 1 December"
        " 2010, 00:00.",
    ]


def test_the_same_in_chinese() -> None:
    assert told(in_the_gift_shop(), 3, tag="zh-Hans") == [
        "订单 541431 已取消。",
        "该订单累计退回 £77,183.60，所得积分随之调整。",
        "收回待生效的 10,000 积分，来自订单 541431。",
        "原为：2011年1月发放的 10,000 分，自 2011年2月2日 00:00 起可用，"
        "于2011年4月30日结束时过期。",
        "收回计入等级的 77,183 等级积分，来自订单 541431。",
        "原为：计入周期 2011年1月的 77,183 分。",
        "余额：可用 100 积分。",
        "等级由“金卡会员”降为“普通会员”：使其升级的消费已退回。",
        "按计划“海港奖励”第 1 版判定，该版自 2010年12月1日 00:00 起生效。",
    ]


def test_a_brief_story_says_what_happened_and_what_came_of_it() -> None:
    assert told(in_the_gift_shop(), 3, brief=True) == [
        "Order 541431 was cancelled.",
        "10,000 points were taken back while they were pending, of what order 541431 had earned.",
        "77,183 status points that counted towards the level were taken back, of what order"
        " 541431 had earned.",
        "That leaves 100 points to spend.",
        "The level fell from “Gold” to “Basic”, because what had reached it came back.",
    ]


def test_what_earned_nothing_is_explained_too() -> None:
    member = in_the_gift_shop()
    member.engages("product.reviewed", "2011-01-20 10:00", about="22423")
    member.engages("product.reviewed", "2011-01-20 11:00", about="22424")
    assert told(member)[:3] == [
        "The member was active: product.reviewed, about 22424.",
        "No points moved.",
        "“Your review” did not apply: its limit (once a day) was reached.",
    ]


def test_a_refusal_says_everything_that_stood_against_it() -> None:
    member = in_the_gift_shop()
    member.redeems("gold-hamper", "2011-01-20")
    assert told(member)[:4] == [
        "The member asked for the reward “Hamper for gold members”.",
        "It was refused: several things stood against “Hamper for gold members”.",
        "It was refused: “Hamper for gold members” is for the levels “Gold”.",
        "It was refused: 1,900 more points were needed.",
    ]


def test_what_waits_says_for_what_and_until_when_and_then_that_it_did_not_come() -> None:
    member = in_the_gift_shop()
    member.returns("o9", {1: 2}, at="2011-01-20 09:30")
    assert told(member)[:2] == [
        "Of order o9 came back: 2 pieces of line 1.",
        "It waits for the purchase of order o9, until the end of 19 February 2011.",
    ]
    member.shop.waits_until("2011-02-21")
    assert told(member)[:3] == [
        "What entry 4 had waited for since 20 January 2011, 09:30 did not come in time, so what"
        " follows was dropped.",
        "Of order o9 came back: 2 pieces of line 1.",
        "The purchase had not come in time.",
    ]


def boosted() -> Program:
    return programme(
        rule("base", give={"points": rate()}),
        rule(
            "spree",
            give={"points": {"GBP": Rate(20, 50_00, "GBP", full=True)}},
            limit=Limit("month", points=30),
        ),
        rule("shared", give={"points": 80}, budget=Budget("points", 100)),
        boosts=Boosts(
            (
                Boost("whole", {"points": (3, 2)}),
                Boost("toys", {"points": (2, 1)}, Filter(category=frozenset({"toy"}))),
            ),
            "multiply",
            frozenset({"base", "spree"}),
        ),
    )


def test_boosts_steps_limits_and_budgets_show_their_arithmetic() -> None:
    ada = Shop(boosted()).enrols("ada")
    ada.buys("o1", 100_00, at="2011-01-05")
    assert told(ada)[1:7] == [
        "base: 1 for each £1.00 of £100.00, times 1.5 by whole, rounded down, makes 150 points.",
        "spree: 20 for each of 2 whole steps of £50.00 in £100.00, times 1.5 by whole,"
        " makes 60 points.",
        "spree: its limit (30 points a month) cuts 30 points off.",
        "spree: 30 points are left.",
        "shared gives 80 points.",
        "shared: 80 points taken from its budget for all members.",
    ]
    ada.buys("o2", line(1, 10_00, category="toy"), 10_00, at="2011-01-06")
    said = told(ada)
    assert "shared: less was left in its budget for all members, which cuts 60 points off." in said
    assert (
        "base: 1 for each £1.00 of £20.00, with whole and toys on the lines that they choose,"
        " rounded down, makes 45 points." in said
    )


def test_an_order_has_a_story_of_its_own() -> None:
    member = in_the_gift_shop()
    versions = {1: GIFT_SHOP}
    of_the_order = tell(rows_of(member), versions, wanted=concerns("541431"))
    assert [each.row.seq for each in of_the_order] == [2, 3]


def test_the_story_of_an_order_has_what_never_came_too() -> None:
    waits = points(pending=Pending(until_delivered=True, cancel_after=Span(days=10)))
    ada = Shop(programme(shop.base(), waits)).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    ada.shop.waits_until("2011-02-01")
    versions = {program.version: program for program in ada.shop.programs}
    *_, last = tell(rows_of(ada), versions, wanted=concerns("o1"))
    assert [line.strip() for line in as_lines([last], language("en"))][1:3] == [
        "The delivery of order o1 did not come in time.",
        "10 points were taken back while they were pending, of what order o1 had earned.",
    ]


def test_one_entry_of_the_ledger_can_be_asked_for() -> None:
    *_, last = refold(rows_of(in_the_gift_shop())[:2], {1: GIFT_SHOP})
    explained = explain(last, {1: GIFT_SHOP}, entry=1)
    about = [each.message for each in explained.sentences if each.part == "moved"]
    assert [message.key for message in about] == [
        "moved.accrual_issuance_available_counting",
        "moved.entered_lots",
    ]


def test_programs_get_keys_and_values_beside_the_text() -> None:
    *_, last = refold(rows_of(in_the_gift_shop())[:2], {1: GIFT_SHOP})
    values = as_values(explain(last, {1: GIFT_SHOP}), language("en"))
    assert values["occurred_at"] == "2011-01-18T10:01:00Z"
    assert values["sentences"][0] == {
        "part": "happened",
        "key": "happened.purchase",
        "params": {
            "order": "541431",
            "paid": {"amount": "77183.60", "currency": "GBP"},
            "lines": 1,
            "channel": "none",
            "guest": "no",
        },
        "text": "The member bought order 541431: 1 line for £77,183.60.",
    }
    lots = next(each for each in values["sentences"] if each["key"] == "moved.entered_lots")
    assert lots["params"]["lots"][0]["points"] == 10_000
    assert lots["params"]["lots"][0]["lot"].startswith("points/2011-01/")


@pytest.mark.parametrize(
    ("tag", "said"),
    [
        ("en", "It is a dead letter: no event of its type is read here."),
        ("zh-Hans", "这是一封死信：此处不读取该类型的事件。"),
    ],
)
def test_a_dead_letter_says_why_it_is_one(tag: str, said: str) -> None:
    now = at("2011-01-05")
    letter = DeadLetter("commerce.members/0/7", "ada", "unknown_type", "type: new", now, now)
    messages = list(tell_letter(letter, LONDON))
    assert language(tag).text(messages[0]) == said
    assert len(messages) == 3


def test_late_points_say_when_they_had_happened() -> None:
    ada = Shop(programme(shop.base(), points())).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    ada.buys("o2", 10_00, at="2011-01-04", known_at="2011-01-06")
    assert told(ada)[1] == (
        "It had happened on 4 January 2011, 12:00 and took effect on 5 January 2011, 12:00,"
        " because it became known late."
    )


def test_what_the_version_that_judged_does_not_name_is_called_as_in_the_newest() -> None:
    plain = programme(shop.base())
    names = {"earn": {"base": Words({"en": "Every pound"})}}
    named = programme(shop.base(), version=2, holds_from=at("2011-02-01"), words=names)
    ada = Shop(plain, named).enrols("ada")
    ada.buys("o1", 10_00, at="2011-01-05")
    assert "10 points were earned by “Every pound”." in told(ada)
