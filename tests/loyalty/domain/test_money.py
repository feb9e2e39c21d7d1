"""Money is exact: what is read is what was written, and nothing is ever rounded or guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.money import (
    EXPONENTS,
    ImpossibleAmount,
    UnknownCurrency,
    decimal_text,
    exponent_of,
    minor_units,
)


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("12.34", "GBP", 1234),
        ("12.3", "GBP", 1230),
        ("12", "GBP", 1200),
        ("0", "EUR", 0),
        ("0.01", "USD", 1),
        ("1200", "JPY", 1200),
        ("1.234", "KWD", 1234),
        ("1.2345", "CLF", 12345),
        ("999999999999.99", "GBP", 99999999999999),
    ],
)
def test_a_decimal_string_is_read_in_the_places_of_its_currency(
    text: str, currency: str, amount: int
) -> None:
    assert minor_units(text, currency) == amount


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "-1", "+1", "1e3", "1,000", ".5", "5.", "007", "0x10", "NaN", "inf", "1_000",
     "1.234", "1.000", "٣", "1\n", "1000000000000", "9" * 400],
)  # fmt: skip
def test_anything_else_is_an_impossible_amount(text: str) -> None:
    with pytest.raises(ImpossibleAmount):
        minor_units(text, "GBP")


@pytest.mark.parametrize("value", [12.34, 12, None, True, b"12", ["12"]])
def test_an_amount_that_is_not_text_is_impossible(value: object) -> None:
    with pytest.raises(ImpossibleAmount):
        minor_units(value, "GBP")  # type: ignore[arg-type]  # what arrives from outside may be anything


def test_a_yen_has_no_decimal_places() -> None:
    with pytest.raises(ImpossibleAmount, match="JPY has 0"):
        minor_units("1.5", "JPY")


@pytest.mark.parametrize("currency", ["", "gbp", "GB", "XAU", "XXX", "POINTS", "£"])
def test_a_code_that_nobody_pays_in_is_unknown(currency: str) -> None:
    with pytest.raises(UnknownCurrency):
        minor_units("1", currency)
    with pytest.raises(UnknownCurrency):
        decimal_text(1, currency)


def test_a_currency_that_is_not_even_text_is_unknown() -> None:
    with pytest.raises(UnknownCurrency):
        exponent_of([])  # type: ignore[arg-type]  # what arrives from outside may be anything


def test_negative_amounts_are_written_with_their_sign() -> None:
    assert decimal_text(-5, "GBP") == "-0.05"
    assert decimal_text(-1200, "JPY") == "-1200"
    assert decimal_text(0, "GBP") == "0.00"


@given(st.sampled_from(sorted(EXPONENTS)), st.integers(0, 10**12 - 1))
def test_what_is_written_reads_back_the_same(currency: str, amount: int) -> None:
    assert minor_units(decimal_text(amount, currency), currency) == amount
