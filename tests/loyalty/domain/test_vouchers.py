"""Vouchers: issued with rewards, used once, voided, and expired by the clock."""

from __future__ import annotations

from datetime import date
from typing import Any
from unittest.mock import patch

import pytest

from services.loyalty.application import codes
from services.loyalty.application.codes import digest_of, read_code
from services.loyalty.domain.calendar import DAY
from services.loyalty.domain.program import Gift, Pending, Reward, Span, VoucherTerms
from tests.loyalty.domain.shop import (
    Member,
    Shop,
    at,
    base,
    both,
    decision_of,
    points,
    programme,
    tiers,
)

OFF = VoucherTerms(Span(days=90), "GBP", 5_00, terms={"min_spend": "20.00 GBP"})
REWARDS = {
    "five-off": Reward("five-off", 500, "points", voucher=OFF),
    "mug": Reward("mug", 300, "points"),
    "treat": Reward("treat", gift_only=True, voucher=VoucherTerms(Span(days=60), item="22423")),
    "cake": Reward("cake", gift_only=True),
}


def rich(how_many: int = 2000, **more: Any) -> Member:
    """A member with so many points to spend."""
    ada = Shop(programme(both(), tiers(), rewards=REWARDS, **more)).enrols("ada")
    ada.is_adjusted(how_many)
    return ada


def born(gift: Gift, **more: Any) -> Member:
    """A member whose birthday of 2011 is near, and brings this gift."""
    shop = Shop(programme(base(), tiers(), rewards=REWARDS, gifts=(gift,), **more))
    return shop.enrols("ada", "2010-12-02", born_on=date(1980, 3, 5))


# Issue ----------------------------------------------------------------------------------------


def test_a_voucher_carries_what_it_cost_and_what_it_is_worth() -> None:
    ada = rich()
    outcome = ada.redeems("five-off", "2011-01-05 10:00")
    [voucher] = ada.vouchers()
    assert (voucher.currency, voucher.points) == ("points", 500)
    assert (voucher.money, voucher.worth, voucher.terms) == (
        "GBP",
        5_00,
        {"min_spend": "20.00 GBP"},
    )
    assert voucher.expires_at == at("2011-04-06 00:00")  # rounded up to the next midnight
    assert ada.balance("redeemed") == 500
    [reward] = decision_of(outcome).rewards
    assert reward.voucher == voucher.id
    told = ada.heard("reward.issued")[0]
    assert (told["voucher"], told["by"], told["redemption"]) == (
        voucher.id,
        "redemption",
        voucher.by,
    )


def test_a_reward_without_a_voucher_is_issued_as_before() -> None:
    ada = rich()
    ada.redeems("mug")
    assert ada.vouchers() == []
    assert "voucher" not in ada.heard("reward.issued")[0]


def test_the_code_stands_in_its_row_and_nowhere_else() -> None:
    ada = rich()
    outcome = ada.redeems("five-off")
    store = ada.shop.store
    [(code, (member, voucher))] = store.voucher_codes.items()
    assert (member, voucher) == ("ada", ada.vouchers()[0].id)
    assert ada.vouchers()[0].digest == digest_of(code) == decision_of(outcome).facts.codes[0]
    everything = repr((store.journal, store.ledger, store.outbox, store.accounts, store.vouchers))
    assert code not in everything
    assert code.replace("-", "") not in everything


def test_what_issues_no_voucher_draws_no_code() -> None:
    ada = rich()
    assert not decision_of(ada.redeems("mug")).facts.codes
    assert not decision_of(ada.buys("o1", 50_00)).facts.codes


def test_a_code_that_is_taken_is_drawn_again() -> None:
    ada = rich()
    ada.redeems("five-off")
    [taken] = ada.shop.store.voucher_codes
    another = codes.draw()
    with patch.object(codes, "draw", iter([taken, taken, another]).__next__):
        assert ada.redeems("five-off").status == "accepted"
    assert set(ada.shop.store.voucher_codes) == {taken, another}
    assert len({voucher.id for voucher in ada.vouchers()}) == 2


def test_codes_are_long_random_and_read_however_they_are_typed() -> None:
    drawn = {codes.draw() for _ in range(200)}
    assert len(drawn) == 200
    code = "7Q3KV-9ZBM4-01XTE-RW8HC"
    assert read_code(code) == code
    assert read_code(" 7q3kv9zbm4 oixte rw8hc ") == code
    for wrong in ("", "7Q3KV", code + "A", "7Q3KV-9ZBM4-01XTE-RW8HU", "七Q3KV-9ZBM4-01XTE-RW8HC"):
        assert read_code(wrong) is None


# Use, void, expire ----------------------------------------------------------------------------


def test_a_voucher_is_used_once() -> None:
    ada = rich()
    ada.redeems("five-off")
    [voucher] = ada.vouchers()
    assert ada.uses(voucher.id, "o9").status == "accepted"
    used = ada.voucher(voucher.id)
    assert (used.state, used.order, used.ended_at) == ("used", "o9", ada.shop.clock.at)
    again = ada.uses(voucher.id, "o9")
    assert (again.status, again.reason) == ("refused", "voucher_used")
    assert ada.account.vouchers == []
    assert ada.heard("voucher.used") == [
        {
            "voucher": voucher.id,
            "reward": "five-off",
            "currency": "points",
            "points": 500,
            "worth": "5.00 GBP",
            "order": "o9",
        }
    ]


def test_a_voucher_that_was_voided_cannot_be_used_nor_voided_again() -> None:
    ada = rich()
    ada.redeems("five-off")
    [voucher] = ada.vouchers()
    assert ada.loses(voucher.id).status == "accepted"
    assert ada.voucher(voucher.id).reason == "mistake"
    assert ada.uses(voucher.id).reason == "voucher_voided"
    assert ada.loses(voucher.id).reason == "voucher_voided"
    assert ada.heard("voucher.voided")[0]["reason"] == "mistake"
    assert ada.balance("redeemed") == 500


def test_a_voucher_expires_at_the_very_instant_and_its_points_stay_spent() -> None:
    ada = rich()
    ada.redeems("five-off", "2011-01-05 10:00")
    [voucher] = ada.vouchers()
    early = ada.shop.store.accounts["ada"].due_at
    assert early is not None
    assert early <= voucher.expires_at
    ada.shop.waits_until(voucher.expires_at - 1)
    assert ada.voucher(voucher.id).state == "open"
    ada.shop.waits_until(voucher.expires_at)
    assert ada.voucher(voucher.id).state == "expired"
    assert ("lapse", voucher.expires_at) in ada.ticks()
    assert ada.heard("voucher.expired")[0]["voucher"] == voucher.id
    assert ada.balance("redeemed") == 500
    assert ada.uses(voucher.id).reason == "voucher_expired"


def test_no_use_comes_before_the_expiry_that_was_due() -> None:
    ada = rich()
    ada.redeems("five-off", "2011-01-05 10:00")
    [voucher] = ada.vouchers()
    late = ada.uses(voucher.id, at=voucher.expires_at)
    assert late.reason == "voucher_expired"
    assert ada.voucher(voucher.id).state == "expired"


def test_vouchers_of_one_instant_expire_in_the_order_of_their_ids() -> None:
    ada = rich()
    for _ in range(3):
        ada.redeems("five-off")
    ada.shop.waits_until("2012-01-01")
    assert [voucher.state for voucher in ada.vouchers()] == ["expired"] * 3
    assert [told["voucher"] for told in ada.heard("voucher.expired")] == [
        voucher.id for voucher in ada.vouchers()
    ]


def test_a_voucher_that_there_never_was_is_unknown() -> None:
    ada = rich()
    assert ada.uses("v9-0").reason == "unknown_voucher"
    assert ada.loses("v9-0").reason == "unknown_voucher"


def test_a_voucher_outlives_its_account() -> None:
    ada = rich()
    ada.redeems("five-off", "2011-01-05")
    ada.redeems("five-off", "2011-01-05")
    first, second = ada.vouchers()
    ada.becomes("closed")
    assert ada.available == 0
    assert ada.uses(first.id).status == "accepted"
    ada.shop.waits_until("2012-01-01")
    assert ada.voucher(second.id).state == "expired"


def test_a_suspended_member_uses_no_voucher() -> None:
    ada = rich()
    ada.redeems("five-off")
    ada.becomes("suspended")
    assert ada.uses(ada.vouchers()[0].id).reason == "account_suspended"


# Gifts ----------------------------------------------------------------------------------------

BIRTHDAY = Gift("birthday", "birthday", {"points": 200}, ("treat",), settled=0)


def test_a_birthday_brings_a_voucher() -> None:
    ada = born(BIRTHDAY)
    ada.shop.waits_until("2011-03-06")
    [voucher] = ada.vouchers()
    assert (voucher.how, voucher.by, voucher.item, voucher.points) == (
        "gift",
        "birthday",
        "22423",
        0,
    )
    told = ada.heard("reward.issued")[0]
    assert (told["by"], told["gift"], told["voucher"]) == ("birthday", "birthday", voucher.id)
    assert ada.available == 200
    ada.shop.proves()


def test_a_gifts_window_of_use_ends_its_vouchers_early() -> None:
    gift = Gift(
        "birthday", "birthday", rewards=("treat", "cake"), settled=0, claim_within=Span(days=30)
    )
    ada = born(gift)
    ada.shop.waits_until("2011-03-06")
    [voucher] = ada.vouchers()
    assert voucher.expires_at == at("2011-04-04 00:00")


CHOICE = Gift(
    "birthday", "birthday", choose=("treat", "cake"), settled=0, claim_within=Span(days=30)
)


def test_a_gift_may_offer_a_choice_that_is_claimed_once() -> None:
    ada = born(CHOICE)
    ada.shop.waits_until("2011-03-06")
    [offer] = ada.account.offers
    [told] = ada.heard("gift.offered")
    assert (told["offer"], told["choose"]) == (offer.id, ["treat", "cake"])
    assert not ada.heard("reward.issued")
    assert ada.claims(offer.id, "mug").reason == "not_offered"
    assert ada.claims(offer.id, "treat", "2011-04-01").status == "accepted"
    assert [voucher.reward for voucher in ada.vouchers()] == ["treat"]
    assert ada.vouchers()[0].expires_at > at("2011-05-30 00:00")  # the voucher's own validity
    assert ada.claims(offer.id, "cake").reason == "unknown_offer"


def test_what_is_sold_out_cannot_be_chosen_and_leaves_the_choice_open() -> None:
    rewards = REWARDS | {"cake": Reward("cake", gift_only=True, stock=1)}
    shop = Shop(programme(base(), rewards=rewards, gifts=(CHOICE,)))
    members = [shop.enrols(name, "2010-12-02", born_on=date(1980, 3, 5)) for name in ("ada", "bob")]
    shop.waits_until("2011-03-06")
    outcomes = [each.claims(each.account.offers[0].id, "cake") for each in members]
    assert [each.reason for each in outcomes] == ["", "sold_out"]
    assert members[1].claims(members[1].account.offers[0].id, "treat").status == "accepted"
    shop.proves()


def test_an_offer_lapses_at_its_very_end() -> None:
    ada = born(CHOICE)
    ada.shop.waits_until("2011-03-06")
    [offer] = ada.account.offers
    assert offer.until == at("2011-04-04 00:00")
    ada.shop.waits_until(offer.until - 1)
    assert ada.account.offers == [offer]
    assert ada.claims(offer.id, "cake", at=offer.until).reason == "unknown_offer"
    assert ada.account.offers == []
    assert ada.heard("gift.lapsed") == [{"offer": offer.id, "gift": "birthday"}]
    ada.shop.proves()


def test_an_account_that_ends_loses_its_offers() -> None:
    ada = born(CHOICE)
    ada.shop.waits_until("2011-03-06")
    ada.becomes("closed")
    assert ada.account.offers == []
    ada.shop.waits_until("2011-06-01")
    assert not ada.heard("gift.lapsed")


def test_an_offer_outlives_the_name_of_its_reward() -> None:
    first = programme(base(), rewards=REWARDS, gifts=(CHOICE,))
    second = programme(
        base(),
        version=2,
        holds_from=at("2011-03-10 00:00"),
        rewards={"pie": Reward("pie", gift_only=True, voucher=VoucherTerms(item="pie"))},
        successors={"rewards": dict.fromkeys(REWARDS, "pie")},
    )
    ada = Shop(first, second).enrols("ada", "2010-12-02", born_on=date(1980, 3, 5))
    ada.shop.waits_until("2011-03-06")
    [offer] = ada.account.offers
    assert ada.claims(offer.id, "cake", "2011-03-12").status == "accepted"
    assert [(voucher.reward, voucher.item) for voucher in ada.vouchers()] == [("pie", "pie")]


@pytest.mark.as_written
def test_a_tick_that_fails_keeps_the_voucher_open_until_it_is_decided() -> None:
    ada = rich()
    ada.redeems("five-off", "2011-01-05 10:00")
    [voucher] = ada.vouchers()
    with ada.shop.ticks_failing():
        ada.shop.waits_until(voucher.expires_at + DAY)
    assert ada.account.status == "stuck"
    assert ada.uses(voucher.id).reason == "account_stuck"
    assert ada.is_retried().status == "accepted"
    assert ada.voucher(voucher.id).state == "expired"
    ada.shop.proves()


def test_pending_points_buy_no_voucher() -> None:
    shop = Shop(programme(base(), points(pending=Pending(Span(days=14))), rewards=REWARDS))
    ada = shop.enrols("ada")
    ada.buys("o1", 600_00)
    assert ada.redeems("five-off").reason == "insufficient_points"
    assert ada.vouchers() == []
