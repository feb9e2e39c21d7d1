"""Benefits of a tier, counted by period."""

from __future__ import annotations

from services.loyalty.domain.benefits import entitlements
from services.loyalty.domain.calendar import local_date
from services.loyalty.domain.program import Level, Span, Tiers
from tests.loyalty.domain.shop import LONDON, Member, Shop, both, programme

TIERS = Tiers(
    "status",
    (
        Level("basic", 0),
        Level("silver", 100, {"shipping": "unlimited", "upgrade": "1 per month"}),
        Level("gold", 1000, {"shipping": "unlimited", "upgrade": "2 per month"}),
    ),
    kept=Span(months=1),
    new_level_kept=Span(months=1),
    fall="to_qualified",
)


def silver() -> Member:
    ada = Shop(programme(both(), TIERS)).enrols("ada")
    ada.buys("o1", 150_00, at="2011-01-03")
    return ada


def left(ada: Member) -> dict[str, int | None]:
    program = ada.shop.programs.at(ada.shop.clock.at)
    today = local_date(ada.shop.clock.at, LONDON)
    return {each.name: each.left for each in entitlements(program, ada.account, today)}


def test_a_level_brings_its_benefits() -> None:
    ada = Shop(programme(both(), TIERS)).enrols("ada")
    assert left(ada) == {}
    assert ada.enjoys("shipping").reason == "benefit_not_held"
    ada.buys("o1", 150_00)
    assert left(ada) == {"shipping": None, "upgrade": 1}


def test_a_quota_is_used_up_and_begins_anew_with_its_period() -> None:
    ada = silver()
    assert ada.enjoys("upgrade", "2011-01-05").status == "accepted"
    again = ada.enjoys("upgrade", "2011-01-31 23:59")
    assert (again.reason, again.details["used"]) == ("benefit_used_up", 1)
    assert ada.enjoys("upgrade", "2011-02-01 00:00").status == "accepted"
    assert [told["left"] for told in ada.heard("benefit.used")] == [0, 0]
    ada.shop.proves()


def test_what_is_unlimited_is_recorded_and_never_used_up() -> None:
    ada = silver()
    for _ in range(5):
        assert ada.enjoys("shipping").status == "accepted"
    assert len(ada.heard("benefit.used")) == 5
    assert left(ada)["shipping"] is None


def test_a_rise_gives_what_the_level_has_more_and_does_not_begin_anew() -> None:
    ada = silver()
    ada.enjoys("upgrade")
    ada.buys("o2", 2000_00)
    assert (ada.tier, left(ada)["upgrade"]) == ("gold", 1)
    ada.enjoys("upgrade")
    assert ada.enjoys("upgrade").reason == "benefit_used_up"


def test_a_benefit_is_lost_with_the_tier() -> None:
    ada = silver()
    ada.shop.waits_until("2011-06-01")
    assert ada.tier == "basic"
    refused = ada.enjoys("upgrade")
    assert (refused.reason, refused.details["level"]) == ("benefit_not_held", "basic")


def test_a_use_that_reaches_us_late_counts_where_it_happened() -> None:
    ada = silver()
    ada.enjoys("upgrade", "2011-01-05")
    ada.shop.waits_until("2011-02-10")
    ada.buys("o2", 1_00, at="2011-02-10 13:00")
    late = ada.enjoys("upgrade", "2011-01-20", known_at="2011-02-11")
    assert late.reason == "benefit_used_up"
    assert ada.shop.store.history["ada", "benefit:upgrade/2011-01"] == [1, 0]
    assert ada.tier == "basic" or left(ada)["upgrade"] == 1
    ada.shop.proves()


def test_a_suspended_member_has_no_use_of_benefits() -> None:
    ada = silver()
    ada.becomes("suspended")
    assert ada.enjoys("shipping").reason == "account_suspended"
