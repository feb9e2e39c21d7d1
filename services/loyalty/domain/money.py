"""Money: decimal strings in contracts, integer minor units inside (ISO 4217).

An amount is never a float. ``12.34 GBP`` is 1234, ``1200 JPY`` is 1200 and ``1.234 KWD`` is 1234:
the exponent of the currency says how many decimal places a minor unit has.
"""

from __future__ import annotations

import re

_TWO_PLACES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD
CDF CHE CHF CHW CNY COP COU CRC CUC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP
GMD GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD
MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR
PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP
TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG ZWL
"""
_NO_PLACES = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_PLACES = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_PLACES = "CLF UYW"

EXPONENTS: dict[str, int] = {
    code: places
    for places, codes in ((0, _NO_PLACES), (2, _TWO_PLACES), (3, _THREE_PLACES), (4, _FOUR_PLACES))
    for code in codes.split()
}
"""Decimal places of a minor unit by ISO 4217 code.

Codes withdrawn since 2020 are here, because old purchases still name them; metals, test codes and
whatever else nobody pays in are not.
"""

_AMOUNT = re.compile(r"(?:0|[1-9][0-9]{0,11})(?:\.[0-9]{1,4})?", re.ASCII)


class UnknownCurrency(ValueError):
    """A code that ISO 4217 does not know as money that one can pay with."""

    def __init__(self, currency: str) -> None:
        super().__init__(f"{currency!r} is not an ISO 4217 currency code")
        self.currency = currency


class ImpossibleAmount(ValueError):
    """Text that is no amount of its currency: no plain decimal, too large, or too many places."""

    def __init__(self, text: str, currency: str, reason: str) -> None:
        super().__init__(f"{text!r} is not an amount in {currency}: {reason}")
        self.text = text
        self.currency = currency
        self.reason = reason


def exponent_of(currency: str) -> int:
    """Decimal places of the currency's minor unit.

    Raises:
        UnknownCurrency: not a code of ISO 4217.
    """
    try:
        return EXPONENTS[currency]
    except (KeyError, TypeError):
        raise UnknownCurrency(currency) from None


def minor_units(text: str, currency: str) -> int:
    """The amount that a plain decimal stands for: ``12``, ``12.3`` or ``12.34``.

    There is no sign, no exponent and no grouping. Nothing is rounded: a place that the currency
    does not have is refused, even a zero. Whole units have at most twelve digits, so that sums stay
    far inside 64 bits.

    Raises:
        UnknownCurrency: not a code of ISO 4217.
        ImpossibleAmount: not an amount of that currency.
    """
    places = exponent_of(currency)
    if not isinstance(text, str) or not _AMOUNT.fullmatch(text):  # type: ignore[redundant-expr]  # JSON may hold anything
        raise ImpossibleAmount(
            text, currency, "write a plain decimal such as 12.34, of at most twelve whole digits"
        )
    whole, _, fraction = text.partition(".")
    if len(fraction) > places:
        raise ImpossibleAmount(
            text, currency, f"it has {len(fraction)} decimal places, {currency} has {places}"
        )
    return int(whole + fraction.ljust(places, "0"))


def decimal_text(amount: int, currency: str) -> str:
    """The amount with all places of its currency: 1234 GBP is ``12.34``, -5 GBP is ``-0.05``.

    Raises:
        UnknownCurrency: not a code of ISO 4217.
    """
    places = exponent_of(currency)
    digits = str(abs(amount)).rjust(places + 1, "0")
    sign = "-" if amount < 0 else ""
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"
