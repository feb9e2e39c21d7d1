"""What a balance is, for comparing it."""

from __future__ import annotations

from dataclasses import replace

from services.loyalty.application.shadow import balance
from services.loyalty.domain.account import Account
from tests.loyalty.domain.shop import Shop, at, both, programme, status, tiers


def test_what_is_held_is_the_members_still_and_what_is_owed_is_less_than_nothing() -> None:
    program = programme(both(), tiers())
    ada = Shop(program).enrols("ada")
    ada.buys("o1", 100_00, at="2010-12-02")
    ada.holds(40)
    now = ada.shop.clock.at
    assert balance(program, ada.account, "points", now) == (100, 0)
    ada.returns("o1", {1: 1})
    assert (ada.available, ada.held, ada.owed) == (0, 40, 40)
    assert balance(program, ada.account, "points", now) == (0, 0)
    assert balance(program, ada.account, "status", now) == (0, 0)


def test_points_that_count_for_tiers_are_what_todays_window_counts() -> None:
    program = programme(both(), tiers())
    ada = Shop(program).enrols("ada")
    ada.buys("o1", 100_00, at="2010-12-02")
    assert balance(program, ada.account, "status", at("2011-02-28")) == (100, 0)
    assert balance(program, ada.account, "status", at("2011-03-01")) == (0, 0)
    assert balance(program, Account(), "status", at("2011-03-01")) == (0, 0)


def test_points_of_a_currency_that_was_followed_are_those_of_its_successor() -> None:
    program = programme(both(), tiers())
    ada = Shop(program).enrols("ada")
    ada.buys("o1", 100_00, at="2010-12-02")
    now = ada.shop.clock.at
    renamed = replace(
        program,
        currencies={"coins": program.currencies["points"], "status": status()},
        successors={"currencies": {"points": "coins"}},
    )
    assert balance(renamed, ada.account, "coins", now) == (100, 0)
