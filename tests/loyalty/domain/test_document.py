"""The programme document is checked as a whole: all mistakes at once, each where it stands."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import date, datetime
from pathlib import Path

import pytest

from services.loyalty.domain.calendar import NEVER, from_datetime, rfc3339, to_datetime, zone
from services.loyalty.domain.document import (
    Mistake,
    ProgramMistakes,
    check_successor,
    compile_program,
    json_schema,
    parse_program,
    read_document,
)
from services.loyalty.domain.program import (
    Boosts,
    Budget,
    Cap,
    Expiry,
    Filter,
    Gift,
    Limit,
    Pending,
    Program,
    Rate,
    Reward,
    Span,
    Tiers,
    Window,
    Words,
)
from services.loyalty.domain.warnings import warnings_of

CONTRACTS = Path(__file__).parents[3] / "contracts"
EXAMPLES = sorted((CONTRACTS / "programs").glob("*.yaml"))

HEAD = """\
program: harbour-rewards
holds_from: "2010-12-01T00:00"
timezone: Europe/London
currencies:
  points: {}
  status: {qualifies: true, window: {rolling: 3 months}}
"""
TIERS = """\
tiers:
  by: status
  levels: {basic: {from: 0}, silver: {from: 500}, gold: {from: 2500}}
"""


def _program(text: str, head: str = HEAD) -> Program:
    return parse_program(head + text, 1)


def _parts(program: Program) -> dict[str, object]:
    """All that a programme is made of; ``asked`` only follows from it."""
    names = [field.name for field in fields(program) if field.name != "asked"]
    return {name: getattr(program, name) for name in names}


def _mistakes(text: str) -> dict[str, Mistake]:
    with pytest.raises(ProgramMistakes) as caught:
        read_document(text)
    mistakes = caught.value.mistakes
    assert all(mistake.reason and mistake.remedy for mistake in mistakes)
    assert not any(mistake.reason.endswith(".") for mistake in mistakes)
    return {mistake.place: mistake for mistake in mistakes}


# The examples -------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_programmes(path: Path) -> None:
    program = parse_program(path.read_text(), 3, digest="d")
    assert (program.version, program.digest) == (3, "d")
    assert program.rules
    assert program.tiers is not None


def test_the_same_document_as_json_makes_the_same_programme() -> None:
    yaml = "earn: {base: {event: purchase, give: {points: 1 per 1.00 GBP}, nth: 2}}"
    as_json = {
        "program": "harbour-rewards",
        "holds_from": "2010-12-01T00:00",
        "timezone": "Europe/London",
        "currencies": {
            "points": {},
            "status": {"qualifies": True, "window": {"rolling": "3 months"}},
        },
        "earn": {"base": {"event": "purchase", "give": {"points": "1 per 1.00 GBP"}, "nth": 2}},
    }
    assert _parts(parse_program(json.dumps(as_json), 1)) == _parts(_program(yaml))


def test_the_published_json_schema_is_current() -> None:
    published = (CONTRACTS / "program.schema.json").read_text()
    assert published == json_schema(), "run python -m services.loyalty.domain.document > it"


def test_the_json_schema_describes_every_key_with_an_example() -> None:
    schema = json.loads(json_schema())
    sections = [schema, *schema["$defs"].values()]
    for section in sections:
        for name, key in section.get("properties", {}).items():
            assert key.get("description"), name
            assert key.get("examples"), name


# All mistakes at once -----------------------------------------------------------------------------

MISTAKEN = """\
program: Harbour
holds_from: 2010-12-01
timezone: Europe/Londn
colour: blue
currencies:
  points:
    worth: 0.01 GPB
    pending: {for: 14 days, until: delivered}
    expires: {after: 3 moons}
    window: calendar_year
  status: {qualifies: true}
  per: {}
tiers:
  by: points
  levels:
    basic: {from: 5}
    silver: {from: 1000}
    gold: {from: 900, benefits: {lounge: often}}
  kept: {for: 3 months, until: end_of_window}
  at_end: {fal: one_level}
earn:
  base: {event: purchase, give: {points: 1 pr 1.00 GBP, status: 1 per 1.00 EUR}, tier: [platinum]}
  big: {event: purchase, min_spend: 200, give: {pionts: 250}, when: "order.totl > 3"}
  nothing: {event: purchase}
  review: {event: engagement, give: {points: 1 per 1.00 GBP}, sku: [a], limit: 1 per fortnight}
  welcome: {event: enroled, give: {points: 100}}
  first: {event: purchase, give: {points: 10}, when: "order.lines[0].sku == 'x'"}
  Bad Name: {event: purchase, give: {points: 5}}
  wrong: text
boosts:
  staking: best
  applies_to: [bse]
  gold: {teir: [gold], points: 2}
  vip: {days: FREQ=MONTHLY, points: x2}
gifts:
  xmas: {give: [200 points]}
  birthday: {give: [200 pts, treat], every: 2 years}
caps: [{points: 10, per: purchase}, {points: 5, per: fortnight}]
rewards:
  mug: {}
  gift: {gift_only: true, cost: 5 points}
  star: {cost: 5 status}
transfers: {allowed: maybe}
on: x
"""


def test_all_mistakes_come_at_once_each_with_its_place() -> None:
    found = _mistakes(MISTAKEN)
    assert set(found) == {
        "program", "holds_from", "timezone", "colour", "currencies.points.worth",
        "currencies.points.pending", "currencies.points.expires.after", "currencies.points.window",
        "currencies.status.window", "currencies.per", "tiers.by", "tiers.levels.basic.from",
        "tiers.levels.gold.from", "tiers.levels.gold.benefits.lounge", "tiers.kept",
        "tiers.at_end.fal", "earn.base.give.points", "earn.base.tier[0]", "earn.big.min_spend",
        "earn.big.give.pionts", "earn.big.when", "earn.nothing.give", "earn.review.give.points",
        "earn.review.sku", "earn.review.limit", "earn.welcome.event", "earn.first.when",
        "earn.Bad Name", "earn.wrong", "boosts.staking", "boosts.applies_to[0]",
        "boosts.gold.teir", "boosts.gold.points", "boosts.vip.days", "gifts.xmas.occasion",
        "gifts.birthday.give[0]", "gifts.birthday.give[1]", "gifts.birthday.every", "caps[1].per",
        "rewards.mug.cost", "rewards.gift.cost", "rewards.star.cost", "transfers.allowed", "on",
    }  # fmt: skip


def test_mistakes_come_in_the_order_of_the_text_with_line_and_column() -> None:
    with pytest.raises(ProgramMistakes) as caught:
        read_document(MISTAKEN)
    lines = MISTAKEN.splitlines()
    places = [(m.line, m.column) for m in caught.value.mistakes]
    assert places == sorted(places, key=lambda place: (place[0] or 0, place[1] or 0))
    for mistake in caught.value.mistakes:
        assert mistake.line
        assert mistake.column
        at = lines[mistake.line - 1][mistake.column - 1 :]
        assert at[0].isalnum(), (mistake, at)


def test_a_mistake_says_what_to_write_instead() -> None:
    found = _mistakes(MISTAKEN)
    assert str(found["earn.base.give.points"]) == (
        "earn.base.give.points (line 22, column 34): '1 pr 1.00 GBP' is not a rate. "
        "Write it like 1 per 1.00 GBP."
    )
    assert found["boosts.staking"].remedy == "Perhaps 'stacking' was meant"
    assert found["boosts.gold.teir"].remedy == "Perhaps 'tier' was meant"
    assert found["earn.big.give.pionts"].remedy == "Perhaps 'points' was meant"
    assert found["earn.nothing.give"].remedy == "Name a currency, as in give: {points: 100}"
    assert found["earn.welcome.event"].remedy == "Perhaps 'enrolled' was meant"
    assert "at line 1, column 6" in found["earn.big.when"].reason


def test_an_empty_mapping_misses_all_that_must_be_there() -> None:
    assert set(_mistakes("{}")) == {"program", "holds_from", "timezone", "currencies"}


def test_what_follows_from_a_mistake_is_not_reported_as_another() -> None:
    text = HEAD + TIERS.replace("{from: 2500}", "{from: lots}") + "rewards: {m: {tier: [gold]}}\n"
    assert set(_mistakes(text)) == {"tiers.levels.gold.from", "rewards.m.cost"}


@pytest.mark.parametrize("kind", ["vouchers", "referral"])
def test_a_policy_that_nothing_carries_out_is_no_key(kind: str) -> None:
    assert set(_mistakes(f"{HEAD}{kind}: {{}}\n")) == {kind}


def test_mistakes_of_json_have_their_place_without_a_line() -> None:
    (mistake,) = _mistakes(
        '{"program": "a", "holds_from": "2010-12-01T00:00", "timezone": "Europe/London",'
        ' "currencies": {"points": {"late": "soon"}}}'
    ).values()
    assert (mistake.place, mistake.line) == ("currencies.points.late", None)


# Checks by section --------------------------------------------------------------------------------


@pytest.mark.parametrize("time", ["2011-03-27T01:30", "2011-10-30T01:30"])
def test_a_start_that_the_clocks_skip_or_repeat_is_refused(time: str) -> None:
    assert set(_mistakes(HEAD.replace("2010-12-01T00:00", time))) == {"holds_from"}


@pytest.mark.parametrize(
    ("currency", "wrong"),
    [
        ("{pending: {}}", "pending"),
        ("{pending: {for: 0 days}}", "pending.for"),
        ("{pending: {for: 1 day, cancel_after: 1 day}}", "pending.cancel_after"),
        ("{pending: {until: delivered, exact: true}}", "pending.exact"),
        ("{pending: {until: shipped}}", "pending.until"),
        ("{expires: {after: 1 month, notice: [30 days]}}", "expires.notice[0]"),
        ("{expires: {after: 1 year, notice: [7 days, 7 days]}}", "expires.notice[1]"),
        ("{expires: {after: 1 year, notice: []}}", "expires.notice"),
        ("{expires: {}}", "expires.after"),
        ("{expires: never}", "expires"),
        ("{counts: when_earned}", "counts"),
        ("{qualifies: true}", "window"),
        ("{qualifies: true, window: {rolling: 3 months}, worth: 1 GBP}", "worth"),
        ("{qualifies: true, window: {rolling: 90 days}}", "window"),
        ("{qualifies: true, window: {sliding: 3 months}}", "window"),
        ("{qualifies: true, window: member_year, expires: {after: 1 year}}", "expires"),
        ("{qualifies: true, window: member_year, late: 1 day}", "late"),
        ("{qualifies: true, window: member_year, refund_shortfall: arrears}", "refund_shortfall"),
        ("{qualifies: true, window: member_year, pending: {for: 1 day}}", "pending"),
        ("{qualifies: true, window: member_year, counts: when_activated}", "counts"),
    ],
)
def test_a_currency_that_does_not_fit_together_is_refused(currency: str, wrong: str) -> None:
    assert set(_mistakes(f"{HEAD}  third: {currency}\n")) == {f"currencies.third.{wrong}"}


@pytest.mark.parametrize(
    ("tiers", "wrong"),
    [
        ("{by: status, levels: {}}", "levels"),
        ("{by: stars, levels: {basic: {from: 0}}}", "by"),
        ("{by: points, levels: {basic: {from: 0}}}", "by"),
        ("{by: status, levels: {basic: {from: 1}}}", "levels.basic.from"),
        ("{by: status, levels: {a: {from: 0}, b: {from: 5}, c: {from: 5}}}", "levels.c.from"),
        ("{by: status, levels: {a: {}}}", "levels.a"),
        ("{by: status, levels: {a: {from: 0}}, kept: {until: end_of_window}}", "kept.until"),
        ("{by: status, levels: {a: {from: 0}}, kept: {}}", "kept"),
        ("{by: status, levels: {a: {from: 0}}, at_end: {warn: 0 days}}", "at_end.warn"),
        ("{by: status, levels: {a: {from: 0}}, at_end: {fall: down}}", "at_end.fall"),
    ],
)
def test_tiers_that_do_not_fit_together_are_refused(tiers: str, wrong: str) -> None:
    assert set(_mistakes(f"{HEAD}tiers: {tiers}\n")) == {f"tiers.{wrong}"}


@pytest.mark.parametrize(
    ("rule", "funding"),
    [
        ("{event: purchase, give: {points: 1}}", "purchase"),
        ("{event: purchase, give: {points: 1}, funding: gratuitous}", "gratuitous"),
        ("{event: enrolled, give: {points: 1}}", "gratuitous"),
        ("{event: engagement, give: {points: 1}, funding: third_party}", "third_party"),
    ],
)
def test_purchases_pay_for_purchase_rules_and_nobody_for_others(rule: str, funding: str) -> None:
    [made] = parse_program(f"{HEAD}earn: {{one: {rule}}}\n", 1).rules
    assert made.funding == funding


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ("{event: purchase, give: {}}", "give"),
        ("{event: purchase, give: {points: 1}, budget: 500}", "budget"),
        ("{event: purchase, give: {points: 1}, budget: 500 status}", "budget"),
        ("{event: purchase, give: {points: 1}, budget: 0 points}", "budget"),
        ("{event: purchase, give: {points: 1}, budget_short: nothing}", "budget_short"),
        ("{event: purchase, give: {points: 1}, budget: 5 points, budget_short: x}", "budget_short"),
        ("{event: purchase, give: {points: 1}, kind: product.reviewed}", "kind"),
        ("{event: engagement, give: {points: 1}, store: [a]}", "store"),
        ("{event: engagement, give: {points: 1}, nth: 1}", "nth"),
        ("{event: enrolled, give: {points: 1}, on_refund: keep}", "on_refund"),
        ("{event: enrolled, give: {points: 1}, min_spend: 1.00 GBP}", "min_spend"),
        ("{event: enrolled, give: {points: 1}, exclude: {sku: a}}", "exclude.sku"),
        ("{event: enrolled, give: {points: 1}, per: line}", "per"),
        ("{event: enrolled, give: {points: 1}, funding: purchase}", "funding"),
        ("{event: purchase, give: {points: 1}, sku: [a, a]}", "sku[1]"),
        ("{event: purchase, give: {points: 1}, sku: []}", "sku"),
        ("{event: purchase, give: {points: 1}, tier: silver}", "tier"),
        ("{event: purchase, give: {points: [1, 2]}}", "give.points"),
        ("{event: purchase, give: {points: [1 per 1.00 GBP, 2 per 1.00 GBP]}}", "give.points[1]"),
        ("{event: purchase, give: {points: 1}, min_spend: [1 GBP, 2 GBP]}", "min_spend[1]"),
        ("{event: purchase, give: {points: 1}, limit: 5 status per day}", "limit"),
        ("{event: purchase, give: {points: 1, status: 1}, limit: 5 points per day}", "limit"),
        ("{event: purchase, give: {points: 1}, pending: {}}", "pending"),
        ("{event: purchase, give: {points: 1}, nth: 0}", "nth"),
        ("{event: purchase, give: {points: 1}, when: order.total}", "when"),
        ("{event: purchase, give: {points: 1}, days: FREQ=DAILY;INTERVAL=3}", "days"),
        ("{event: purchase, give: {points: 1}, valid: 2011-03-01}", "valid"),
        ("{event: purchase, give: {points: 1}, budget: 5}", "budget"),
        ("{event: purchase, give: {points: 1}, holdout: 100 %}", "holdout"),
        ("{event: purchase, give: {points: 1}, holdout: 0 %}", "holdout"),
        ("{event: purchase, give: {points: 1}, group: alone}", "group"),
        ("{event: purchase, give: {points: 1}, calendar: member}", "calendar"),
        ("{event: purchase, give: {points: 1}, limit: 1 per tier_period}", "limit"),
        ("{event: purchase, give: {points: 1}, exclude: {tier: gold}}", "exclude.tier"),
        (
            "{event: purchase, give: {points: 1}, store: a, exclude: {store: a}}",
            "exclude.store",
        ),
        ("{event: enrolled, give: {points: 1}, exclude: {payment: a}}", "exclude.payment"),
        ("{event: enrolled, give: {points: 1}, max_spend: 1.00 GBP}", "max_spend"),
        (
            "{event: purchase, give: {points: 1}, min_spend: 2.00 GBP, max_spend: 1.00 GBP}",
            "max_spend",
        ),
        ("{event: purchase, give: {points: 1 per full 9.00 GBP}, per: line}", "give.points"),
        (
            "{event: purchase, give: {points: [1 per full 9.00 GBP, 1 per 1.00 EUR]}}",
            "give.points",
        ),
        ("{event: purchase, give: {points: 1}, pending: {until: 2011-02-30}}", "pending.until"),
        ("{event: purchase, give: {points: 1}, pending: {until: soon}}", "pending.until"),
        (
            "{event: purchase, give: {points: 1}, pending: {until: 2011-02-01, exact: true}}",
            "pending.exact",
        ),
        ("[event, purchase]", ""),
    ],
)
def test_a_rule_that_does_not_fit_together_is_refused(rule: str, wrong: str) -> None:
    place = f"earn.rule.{wrong}" if wrong else "earn.rule"
    assert set(_mistakes(f"{HEAD}earn: {{rule: {rule}}}\n")) == {place}


def test_a_group_of_which_no_rule_is_a_part_is_a_mistake() -> None:
    assert set(_mistakes(f"{HEAD}groups: {{offers: {{}}}}\n")) == {"groups.offers"}


def test_a_campaign_is_compiled_as_it_is_written() -> None:
    program = _program(
        TIERS
        + """
earn:
  steps:
    event: purchase
    give: {points: [50 per full 100.00 GBP, 60 per full 100.00 EUR]}
    max_spend: [900.00 GBP, 1000.00 EUR]
    exclude: {payment: gift-card, segment: [staff], sku: POST}
    limit: 2 per tier_period
    group: offers
    holdout: 2.5 %
    pending: {until: 2011-02-01}
  sundays:
    event: purchase
    give: {points: 5}
    valid: 2011-03-01/..
    days: FREQ=WEEKLY;BYDAY=SU
    calendar: member
    group: offers
  other: {event: purchase, give: {points: 5}, group: more}
  another: {event: purchase, give: {points: 5}, group: more}
groups: {offers: {fires: first}}
"""
    )
    steps, sundays = program.rules[:2]
    assert steps.gives[0].rates["EUR"] == Rate(60, 10000, "EUR", full=True)
    assert steps.max_spend == {"GBP": 90000, "EUR": 100000}
    assert steps.filter.exclude_payment == {"gift-card"}
    assert steps.filter.exclude_segment == {"staff"}
    assert steps.filter.exclude_sku == {"POST"}
    assert not steps.filter.empty
    assert steps.limit == Limit("tier_period", times=2)
    assert (steps.holdout, steps.on_refund) == (250, "revoke")
    february = from_datetime(datetime(2011, 2, 1, tzinfo=zone("Europe/London")))
    assert steps.pending == Pending(until_at=february)
    assert (sundays.valid_from, sundays.valid_until, sundays.days) == (0, NEVER, None)
    assert sundays.local is not None
    assert (sundays.local.first, sundays.local.last) == (date(2011, 3, 1), None)
    assert sundays.local.recurs is not None
    assert sundays.local.recurs(date(2011, 3, 6))
    assert program.groups == {"offers": "first", "more": "best"}
    assert program.holds_out


def test_money_that_one_rule_rates_all_have_to_rate() -> None:
    text = """
earn:
  base: {event: purchase, give: {points: [1 per 1.00 GBP, 1 per 1.20 EUR]}}
  half: {event: purchase, give: {points: 1 per 2.00 GBP}}
  big: {event: purchase, min_spend: 100.00 EUR, give: {points: 5}}
  odd: {event: purchase, min_spend: [1.00 GBP, 1.00 EUR, 1.00 USD], give: {points: 5}}
  fixed: {event: purchase, give: {points: 5}}
"""
    found = _mistakes(HEAD + text)
    assert set(found) == {"earn.half.give.points", "earn.big.min_spend", "earn.odd.min_spend[2]"}
    assert "EUR" in found["earn.half.give.points"].reason
    assert "GBP" in found["earn.big.min_spend"].reason


def test_names_that_entries_could_not_tell_apart_are_refused() -> None:
    text = """
earn: {birthday: {event: enrolled, give: {points: 1}}}
boosts: {birthday: {points: x2}}
gifts: {birthday: {give: [1 points]}}
"""
    assert set(_mistakes(HEAD + text)) == {"boosts.birthday", "gifts.birthday"}


@pytest.mark.parametrize(
    ("section", "wrong"),
    [
        ("boosts: {a: {}}", "boosts.a"),
        ("boosts: {a: {pionts: x2}}", "boosts.a.pionts"),
        ("boosts: {a: {points: x2, tier: gold}}", "boosts.a.tier"),
        ("boosts: {a: {points: x2, min_spend: 1.00 GBP}}", "boosts.a.min_spend"),
        ("boosts: {applies_to: nothing}", "boosts.applies_to"),
        ("gifts: {xmas: {give: [1 points]}}", "gifts.xmas.occasion"),
        ("gifts: {birthday: {give: mug}}", "gifts.birthday.give"),
        ("gifts: {birthday: {give: [5 points, 6 points]}}", "gifts.birthday.give[1]"),
        ("gifts: {anniversary: {give: 5 points, date_known_for: 1 day}}",
         "gifts.anniversary.date_known_for"),
        ("gifts: {birthday: {give: 5 points}, b: {occasion: birthday, give: 1 points}}", "gifts.b"),
        ("caps: [{per: day}]", "caps[0]"),
        ("caps: [{points: 5}]", "caps[0].per"),
        ("caps: [{pionts: 5, per: day}]", "caps[0].pionts"),
        ("caps: [{points: 5, per: day}, {points: 6, per: day}]", "caps[1].points"),
        ("caps: {points: 5, per: day}", "caps"),
        ("rewards: {mug: {cost: 5 stars}}", "rewards.mug.cost"),
        ("rewards: {mug: {cost: 5 status}}", "rewards.mug.cost"),
        ("rewards: {mug: {cost: 5 points, tier: gold}}", "rewards.mug.tier"),
        ("rewards: {mug: {cost: 5 points, stock: lots}}", "rewards.mug.stock"),
        ("rewards: {mug: {cost: 5 points, limit: 5 points per day}}", "rewards.mug.limit"),
        ("rewards: {mug: {cost: 5 points, segment: [a, a]}}", "rewards.mug.segment[1]"),
        ("rewards: {mug: {gift_only: true, valid: 2011-01-01/..}}", "rewards.mug.valid"),
        ("rewards: {mug: {gift_only: true, limit: 1 per day}}", "rewards.mug.limit"),
        ("rewards: {mug: {cost: 5 points, names: {norsk bokmål: Kopp}}}",
         "rewards.mug.names.norsk bokmål"),
        ("rewards: {mug: {cost: 5 points, names: {en-GB: Mug, en-gb: Mug}}}", "rewards.mug.names"),
        ("rewards: {mug: {cost: 5 points, names: {en: ' Mug'}}}", "rewards.mug.names.en"),
        ("rewards: {mug: {cost: 5 points, descriptions: {en: ' '}}}",
         "rewards.mug.descriptions.en"),
        ("boosts: {a: {points: x2, names: {de-1996-1996: A}}}", "boosts.a.names.de-1996-1996"),
        ("reasons: {Good Will: {names: {en: Good will}}}", "reasons.Good Will"),
        ("reasons: {goodwill: {name: Good will}}", "reasons.goodwill.name"),
        ("benefits: {lounge: {names: {en: Lounge}}}", "benefits.lounge"),
        ("language: english", "language"),
        ("successors: {rewards: {cup: mug}}", "successors.rewards.cup"),
        ("successors: {currencies: {points: status}}", "successors.currencies.points"),
        ("refund_without_purchase: {then: pay}", "refund_without_purchase.then"),
        ("spend: {basis: {tax: maybe}}", "spend.basis.tax"),
        ("spend: {exclude: {store: a}}", "spend.exclude.store"),
        ("gifts: {tier-anniversary: {give: 5 points}}", "gifts.tier-anniversary"),
    ],
)  # fmt: skip
def test_other_sections_that_do_not_fit_together_are_refused(section: str, wrong: str) -> None:
    assert set(_mistakes(f"{HEAD}{section}\n")) == {wrong}


# What a document compiles to ----------------------------------------------------------------------


def test_the_start_is_local_to_the_programmes_zone() -> None:
    summer = HEAD.replace("2010-12-01T00:00", "2011-06-01T00:00")
    assert rfc3339(_program("").holds_from) == "2010-12-01T00:00:00Z"
    assert rfc3339(_program("", summer).holds_from) == "2011-05-31T23:00:00Z"


def test_what_is_left_out_has_a_careful_default() -> None:
    program = _program(TIERS + "earn: {base: {event: purchase, give: {points: 1 per 1.00 GBP}}}\n")
    points = program.currencies["points"]
    assert (points.pending, points.expiry, points.worth) == (None, None, None)
    assert (points.shortfall, points.late) == ("arrears", Span())
    assert (program.basis.tax, program.basis.shipping, program.basis.prepaid) == (
        True,
        False,
        False,
    )
    assert program.tiers == Tiers(
        currency="status",
        levels=program.tiers.levels if program.tiers else (),
        kept=Span(months=12),
        grace=Span(),
        fall="one_level",
        new_level_kept=Span(months=12),
        warn_days=(30,),
        refund="undo_what_it_bought",
    )
    (rule,) = program.rules
    assert (rule.round, rule.per, rule.limit, rule.pending) == ("down", "order", None, None)
    assert rule.filter == Filter()
    assert (rule.valid_from, rule.valid_until) == (0, NEVER)
    assert program.boosts == Boosts((), "best", frozenset({"base"}))
    assert (program.wait, program.transfers) == (Span(days=30), False)


@pytest.mark.parametrize(
    ("expires", "expiry"),
    [
        ("{after: 1 year}", Expiry(Span(months=12), "earned", "end_of_month", (30, 7))),
        ("{after: 30 days}", Expiry(Span(days=30), "earned", "end_of_month", (7,))),
        ("{after: 2 days, at: exact}", Expiry(Span(days=2), "earned", "exact", ())),
        (
            "{after: 6 months, counted_from: activated, at: end_of_year, notice: [5 days, 9 days]}",
            Expiry(Span(months=6), "activated", "end_of_year", (9, 5)),
        ),
    ],
)
def test_an_expiry_is_compiled_with_its_notices_longest_first(expires: str, expiry: Expiry) -> None:
    program = _program(f"  third: {{expires: {expires}}}\n")
    assert program.currencies["third"].expiry == expiry


@pytest.mark.parametrize(
    ("pending", "compiled"),
    [
        ("{for: 14 days}", Pending(Span(days=14))),
        ("{for: 1 month, exact: true}", Pending(Span(months=1), exact=True)),
        ("{until: delivered}", Pending(until_delivered=True, cancel_after=Span(days=60))),
        (
            "{until: delivered, cancel_after: 13 months}",
            Pending(until_delivered=True, cancel_after=Span(months=13)),
        ),
    ],
)
def test_a_pending_period_is_for_a_time_or_until_delivery(pending: str, compiled: Pending) -> None:
    program = _program(f"  third: {{pending: {pending}}}\n")
    assert program.currencies["third"].pending == compiled


def test_a_rule_is_compiled_with_all_that_it_says() -> None:
    program = _program(
        TIERS
        + """
earn:
  all:
    event: purchase
    sku: ["022423", NO]
    category: garden
    exclude: {brand: [rival]}
    channel: [app, web]
    store: quay-1
    payment: [card]
    tier: [silver, gold]
    segment: [lapsed]
    nth: [1, 3]
    when: order.total >= 20000
    min_spend: [200.00 GBP, 240.00 EUR]
    give: {points: [1 per 1.00 GBP, 1 per 1.20 EUR], status: 5}
    round: half_even
    per: line
    limit: 2 per month
    valid: 2011-03-01/2011-05-31
    days: FREQ=MONTHLY;BYMONTHDAY=8
    pending: {for: 30 days}
"""
    )
    (rule,) = program.rules
    filters = rule.filter
    assert filters == Filter(
        sku=frozenset({"022423", "NO"}),
        category=frozenset({"garden"}),
        exclude_brand=frozenset({"rival"}),
        channel=frozenset({"app", "web"}),
        store=frozenset({"quay-1"}),
        payment=frozenset({"card"}),
        tier=frozenset({"silver", "gold"}),
        segment=frozenset({"lapsed"}),
        nth=frozenset({1, 3}),
    )
    points, status = rule.gives
    assert points.rates == {"GBP": Rate(1, 100, "GBP"), "EUR": Rate(1, 120, "EUR")}
    assert (points.fixed, status.fixed, status.rates) == (0, 5, {})
    assert rule.min_spend == {"GBP": 20000, "EUR": 24000}
    assert (rule.round, rule.per, rule.on_refund) == ("half_even", "line", "prorate")
    assert rule.limit == Limit("month", times=2)
    assert rule.pending == Pending(Span(days=30))
    assert rule.condition == "order.total >= 20000"
    assert rule.days is not None
    assert rule.days(date(2011, 3, 8))


def test_dates_of_validity_include_both_ends_in_the_programmes_zone() -> None:
    (rule,) = _program(
        "earn: {a: {event: enrolled, give: {points: 1}, valid: 2011-03-27/2011-05-31}}\n"
    ).rules
    assert rfc3339(rule.valid_from) == "2011-03-27T00:00:00Z"
    assert rfc3339(rule.valid_until) == "2011-05-31T23:00:00Z"


def test_an_interval_is_counted_from_the_first_day_of_validity() -> None:
    (rule,) = _program(
        "earn: {a: {event: enrolled, give: {points: 1}, valid: 2011-01-03/..,"
        " days: FREQ=WEEKLY;INTERVAL=2;BYDAY=MO}}\n"
    ).rules
    assert rule.days is not None
    chosen = [day for day in range(1, 32) if rule.days(date(2011, 1, day))]
    assert chosen == [3, 17, 31]
    assert rule.valid_until == NEVER


def test_refunds_prorate_rates_and_revoke_fixed_numbers() -> None:
    program = _program(
        """
earn:
  rate: {event: purchase, give: {points: 1 per 1.00 GBP}}
  fixed: {event: purchase, give: {points: 100}}
  kept: {event: purchase, give: {points: 100}, on_refund: keep}
"""
    )
    assert [rule.on_refund for rule in program.rules] == ["prorate", "revoke", "keep"]
    assert program.boosts.applies_to == {"rate"}, "boosts apply to rates unless they say more"


def test_lines_that_never_earn_are_chosen_by_what_they_sell() -> None:
    program = _program("spend: {exclude: {sku: [POST], category: fees, brand: [none]}}\n")
    assert program.exclude == Filter(
        sku=frozenset({"POST"}), category=frozenset({"fees"}), brand=frozenset({"none"})
    )


def test_rules_are_found_by_what_happened() -> None:
    program = _program(
        """
earn:
  base: {event: purchase, give: {points: 1 per 1.00 GBP}}
  review: {event: engagement, kind: product.reviewed, give: {points: 5}}
  any: {event: engagement, give: {points: 1}}
  welcome: {event: enrolled, give: {points: 9}}
"""
    )
    found = {key: [rule.id for rule in rules] for key, rules in program.rules_by_event.items()}
    assert found == {
        "purchase": ["base"],
        "engagement:product.reviewed": ["review"],
        "engagement:": ["any"],
        "enrolled": ["welcome"],
    }


def test_boosts_name_their_factor_by_currency() -> None:
    program = _program(
        TIERS
        + """
earn: {base: {event: purchase, give: {points: 1 per 1.00 GBP}}}
boosts:
  stacking: multiply
  applies_to: base
  vip: {tier: gold, days: FREQ=MONTHLY;BYMONTHDAY=8, points: x3, status: x1.5}
"""
    )
    (vip,) = program.boosts.boosts
    assert vip.factors == {"points": (3, 1), "status": (3, 2)}
    assert vip.filter.tier == {"gold"}
    assert program.boosts.stacking == "multiply"
    assert program.boosts.applies_to == {"base"}


def test_gifts_caps_and_rewards_are_compiled() -> None:
    program = _program(
        TIERS
        + """
gifts:
  birthday: {give: [200 points, treat], leap_day: mar_1, member_for: 90 days}
  five-years: {occasion: anniversary, give: 500 points, every: 5 years}
caps: [{points: 100, status: 50, per: purchase}]
rewards:
  mug: {cost: 300 points, tier: gold, names: {en: A mug, nb: En kopp}}
  treat: {gift_only: true}
"""
    )
    assert program.gifts == (
        Gift("birthday", "birthday", {"points": 200}, ("treat",), Span(days=90), leap_day="mar_1"),
        Gift("five-years", "anniversary", {"points": 500}, (), Span(days=30), years=5),
    )
    assert program.caps == (Cap("points", 100, "purchase"), Cap("status", 50, "purchase"))
    gold = frozenset({"gold"})
    assert program.rewards["mug"] == Reward("mug", 300, "points", tier=gold)
    assert program.words["rewards"]["mug"] == Words({"en": "A mug", "nb": "En kopp"})
    assert program.rewards["treat"] == Reward("treat", gift_only=True)


NAMED = """\
names: {en: Harbour Rewards, de: Hafenprämien}
tiers:
  by: status
  levels:
    basic: {from: 0}
    gold: {from: 2500, benefits: {lounge: unlimited}, names: {EN-gb: Gold}}
earn: {base: {event: purchase, give: {points: 5}, descriptions: {en: " Five each time.\\n"}}}
boosts: {twice: {points: x2, names: {de: Doppelt}}}
gifts: {birthday: {give: 5 points, names: {en: Birthday}}}
stamps: {six: {event: purchase, collect: 6, give: 5 points, names: {en: Six}}}
badges: {explorer: {names: {en: Explorer}}}
rewards: {mug: {cost: 5 points, names: {en: Mug}}}
benefits: {lounge: {names: {en: Lounge}}}
reasons: {good_will.1: {names: {en: Sorry}}}
"""


def test_everything_that_people_read_has_words_by_language_in_normal_case() -> None:
    program = _program(NAMED)
    assert program.language == "en"
    assert program.languages == {"en", "de", "en-GB"}
    found = {section: named for section, named in program.words.items() if section != "currencies"}
    assert found == {
        "program": {
            "harbour-rewards": Words({"en": "Harbour Rewards", "de": "Hafenprämien"}),
        },
        "levels": {"basic": Words(), "gold": Words({"en-GB": "Gold"})},
        "benefits": {"lounge": Words({"en": "Lounge"})},
        "earn": {"base": Words({}, {"en": "Five each time."})},
        "boosts": {"twice": Words({"de": "Doppelt"})},
        "gifts": {"birthday": Words({"en": "Birthday"})},
        "stamps": {"six": Words({"en": "Six"})},
        "badges": {"explorer": Words({"en": "Explorer"})},
        "rewards": {"mug": Words({"en": "Mug"})},
        "reasons": {"good_will.1": Words({"en": "Sorry"})},
    }


def test_what_the_programmes_own_language_lacks_is_a_warning() -> None:
    assert [one.place for one in warnings_of(HEAD + NAMED)] == [
        "tiers.levels.gold.names",
        "boosts.twice.names",
    ]
    assert [one.place for one in warnings_of(f"language: de\n{HEAD}{NAMED}")][:2] == [
        "tiers.levels.gold.names",
        "earn.base.descriptions",
    ]
    assert _program("language: zh-hans\n").language == "zh-Hans"


def test_a_year_can_be_the_window_and_the_end_of_a_level() -> None:
    head = HEAD.replace("{rolling: 3 months}", "calendar_year")
    program = _program(
        "tiers: {by: status, levels: {a: {from: 0}}, kept: {until: end_of_next_window}}\n", head
    )
    assert program.currencies["status"].window == Window("calendar_year")
    assert program.tiers is not None
    assert program.tiers.kept_until == "end_of_next_window"


def test_a_level_reached_by_falling_is_kept_as_long_as_one_reached_by_rising() -> None:
    text = TIERS + "  kept: {for: 3 months}\n"
    tiers = _program(text).tiers
    assert tiers is not None
    assert tiers.new_level_kept == Span(months=3)


# Successors ---------------------------------------------------------------------------------------

OLD = f"{HEAD}  stars: {{}}\n{TIERS}rewards: {{mug: {{cost: 5 points}}, cup: {{cost: 5 points}}}}\n"


def _next(old: str, new: str) -> dict[str, Mistake]:
    try:
        check_successor(read_document(old), read_document(new))
    except ProgramMistakes as error:
        return {mistake.place: mistake for mistake in error.mistakes}
    return {}


def test_what_the_budget_counts_is_given_first() -> None:
    rule = (
        "{event: enrolled, give: {stars: 1, points: 5}, budget: 500 points, budget_short: nothing}"
    )
    program = parse_program(f"{HEAD}  stars: {{}}\nearn: {{spree: {rule}}}\n", 1)
    [spree] = program.rules
    assert [give.currency for give in spree.gives] == ["points", "stars"]
    assert spree.budget == Budget("points", 500, partial=False)
    assert program.counters == {"budget:spree": 500}


def test_a_version_may_follow_itself() -> None:
    assert not _next(OLD, OLD)


def test_a_budget_goes_on_in_its_currency_or_under_another_name() -> None:
    def giving(currency: str, rest: str = "") -> str:
        rule = f"event: enrolled, give: {{{currency}: 5}}, budget: 500 {currency}"
        return f"{HEAD}  stars: {{}}\n{TIERS}earn: {{spree: {{{rule}}}}}\n{rest}"

    assert not _next(giving("points"), giving("points").replace("500", "300"))
    assert set(_next(giving("points"), giving("stars"))) == {"earn.spree.budget"}
    gone = giving("points").replace("  stars: {}\n", "")
    assert not _next(giving("stars"), gone + "successors: {currencies: {stars: points}}\n")


def test_what_a_version_drops_needs_a_successor() -> None:
    new = (
        f"{HEAD}{TIERS.replace('silver: {from: 500}, ', '')}rewards: {{cup: {{cost: 5 points}}}}\n"
    )
    assert set(_next(OLD, new)) == {
        "successors.levels.silver",
        "successors.currencies.stars",
        "successors.rewards.mug",
    }
    followed = (
        new + "successors: {levels: {silver: basic}, currencies: {stars: points}, "
        "rewards: {mug: cup}}\n"
    )
    assert not _next(OLD, followed)
    assert parse_program(followed, 2).successors["levels"] == {"silver": "basic"}


def test_a_successor_stays_named_for_members_who_were_away() -> None:
    second = OLD.replace("mug: {cost: 5 points}, ", "") + "successors: {rewards: {mug: cup}}\n"
    third = OLD.replace("mug: {cost: 5 points}, ", "")
    assert not _next(OLD, second)
    assert set(_next(second, third)) == {"successors.rewards.mug"}


def test_dropping_all_tiers_is_dropping_every_level() -> None:
    assert set(_next(OLD, OLD.replace(TIERS, ""))) == {
        f"successors.levels.{level}" for level in ("basic", "silver", "gold")
    }


def test_a_currency_is_followed_by_one_of_its_kind() -> None:
    new = OLD.replace("  stars: {}\n", "") + "successors: {currencies: {stars: status}}\n"
    assert set(_next(OLD, new)) == {"successors.currencies.stars"}
    turned = OLD.replace("stars: {}", "stars: {qualifies: true, window: member_year}")
    assert set(_next(OLD, turned)) == {"successors.currencies.stars"}


def test_a_qualifying_currency_keeps_its_kind_of_window() -> None:
    assert not _next(OLD, OLD.replace("rolling: 3 months", "rolling: 6 months"))
    other = OLD.replace("{rolling: 3 months}", "member_year")
    assert set(_next(OLD, other)) == {"currencies.status.window"}


def test_compiling_needs_nothing_but_the_document() -> None:
    document = read_document(HEAD)
    first, second = (compile_program(document, version=n) for n in (1, 2))
    assert (first.version, second.version) == (1, 2)
    assert first.zone is zone("Europe/London")
    assert from_datetime(to_datetime(first.holds_from)) == second.holds_from


CARDS = """badges: {explorer: {names: {en: Explorer}}}
rewards: {five-off: {cost: 500 points}}
"""


@pytest.mark.parametrize(
    ("card", "wrong"),
    [
        ("{event: purchase, give: [five-off]}", "collect"),
        ("{event: purchase, collect: 6}", "give"),
        ("{event: enrolled, collect: 6, give: [five-off]}", "event"),
        ("{event: purchase, collect: 101, give: [five-off]}", "collect"),
        ("{event: purchase, collect: 6, give: [mug]}", "give[0]"),
        ("{event: purchase, collect: 6, give: [5 stars]}", "give[0]"),
        ("{event: purchase, kind: app.opened, collect: 6, give: [five-off]}", "kind"),
        ("{event: engagement, min_spend: 1 GBP, collect: 6, give: [five-off]}", "min_spend"),
        ("{event: purchase, every: week, within: 1 month, collect: 6, give: [explorer]}", "within"),
        (
            "{event: purchase, every: week, different: sku, collect: 6, give: [explorer]}",
            "different",
        ),
        ("{event: engagement, different: sku, collect: 6, give: [explorer]}", "different"),
        (
            "{event: purchase, collect: 6, give: [explorer], limit: 5 points per year}",
            "limit",
        ),
        ("{event: purchase, tier: [gold], collect: 6, give: [explorer]}", "tier[0]"),
    ],
)
def test_what_does_not_fit_in_a_card_is_refused(card: str, wrong: str) -> None:
    assert set(_mistakes(f"{HEAD}{CARDS}stamps: {{six: {card}}}\n")) == {f"stamps.six.{wrong}"}


def test_a_badge_is_named_apart_from_rewards_and_must_be_there() -> None:
    text = f"{HEAD}{CARDS}earn: {{review: {{event: engagement, badge: nobody}}}}\n"
    assert set(_mistakes(text)) == {"earn.review.badge"}
    same = f"{HEAD}badges: {{mug: {{}}}}\nrewards: {{mug: {{cost: 500 points}}}}\n"
    assert set(_mistakes(same)) == {"badges.mug"}
    assert set(_mistakes(HEAD + TIERS.replace("{from: 0}", "{from: 0, badge: b}"))) == {
        "tiers.levels.basic.badge"
    }


def test_a_card_is_compiled_into_what_decisions_use() -> None:
    text = f"""{HEAD}{CARDS}stamps:
  six: {{event: [purchase, engagement], kind: app.opened, category: [toys], min_spend: 25.00 GBP,
        channel: app, collect: 6, within: 6 months, give: [five-off, explorer, 20 points]}}
"""
    (card,) = parse_program(text, 1).stamps
    assert (card.collect, card.within, card.on_refund) == (
        6,
        Span(months=6),
        "revoke",
    )
    assert (card.points, card.rewards, card.badges) == (
        {"points": 20},
        ("five-off",),
        ("explorer",),
    )
    assert card.look.min_spend == {"GBP": 25_00}
    assert card.look.filter.category == {"toys"}
    assert card.engaged.min_spend == {}
    assert card.engaged.filter == Filter(channel=frozenset({"app"}))


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ("{event: referral.qualified}", "give"),
        ("{event: referral.qualified, give: {points: 1 per 1 GBP}}", "give.points"),
        ("{event: referral.qualified, friend: {stars: 5}}", "friend.stars"),
        ("{event: purchase, give: {points: 5}, friend: {points: 5}}", "friend"),
        ("{event: referral.qualified, give: {points: 5}, on_refund: keep}", "on_refund"),
        (
            "{event: referral.qualified, give: {points: 5}, pending: {until: delivered}}",
            "pending.until",
        ),
        ("{event: referral.qualified, give: {points: 5}, kind: a.b}", "kind"),
        ("{event: referral.qualified, give: {points: 5}, budget: 100 status}", "budget"),
        ("{event: referral.qualified, give: {points: 5}, budget_short: nothing}", "budget_short"),
        ("{event: referral.qualified, give: {points: 5}, group: a}", "group"),
    ],
)
def test_what_does_not_fit_in_a_referral_is_refused(rule: str, wrong: str) -> None:
    assert set(_mistakes(f"{HEAD}earn: {{friends: {rule}}}\n")) == {f"earn.friends.{wrong}"}


def test_what_a_budget_sets_aside_is_not_multiplied() -> None:
    rule = "{event: referral.qualified, friend: {points: 5}, budget: 100 points}"
    boosts = "boosts: {applies_to: [friends], twice: {points: x2}}"
    assert set(_mistakes(f"{HEAD}earn: {{friends: {rule}}}\n{boosts}\n")) == {
        "boosts.applies_to[0]"
    }


def test_a_referral_is_compiled_for_both_members() -> None:
    text = f"""{HEAD}returns: {{within: 20 days}}
earn:
  friends: {{event: referral.qualified, min_spend: 25.00 GBP, give: {{points: 300}},
            friend: {{points: 200}}, limit: 10 per year, pending: {{for: 40 days}}}}
"""
    program = parse_program(text, 1)
    (terms,) = program.referrals
    assert (terms.points, terms.limit, terms.window) == (
        {"points": 300},
        Limit("year", times=10),
        Span(days=40),
    )
    assert (terms.friend.gives[0].fixed, terms.friend.min_spend) == (200, {"GBP": 25_00})
    assert terms.friend.limit is None
    assert program.returns == Span(days=20)
    assert "purchase" not in program.rules_by_event
