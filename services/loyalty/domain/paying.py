"""Points as money: what so many points pay of an order, and every reason why they may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from services.loyalty.domain.draft import Draft
from services.loyalty.domain.money import decimal_text
from services.loyalty.domain.program import Rate, SpendPoints
from services.loyalty.domain.reasons import Refused
from services.loyalty.domain.refusal import Refusal

SEVERAL: Refused = "payment_impossible"
"""The code of a refusal that has more than one reason; with a single one it is that reason's."""


class Payment(NamedTuple):
    """Points of a currency that pay ``worth`` minor units, and how long a hold of them lasts."""

    currency: str
    worth: int
    step: int
    hold_s: int


def check_payment(draft: Draft, points: int, *, money: str, amount: int) -> Payment:
    """What points pay of an order of ``amount`` minor units. Whether the member has them is looked
    at too, so that one refusal says all.

    Raises:
        Refusal: with all ``reasons``, each a code and its facts. Where there is but one, it is the
            refusal's own code, and its facts stand beside it too.
    """
    terms = draft.program.spend_points
    if terms is None:
        raise Refusal("points_are_no_money")
    rate = terms.rates.get(money)
    if rate is None:
        raise Refusal("no_rate", money=money, rates=sorted(terms.rates))
    available = draft.available(terms.currency)
    reasons = list(_reasons(terms, rate, points, amount, available))
    if reasons:
        told = [{"code": code, **facts} for code, facts in reasons]
        if len(reasons) > 1:
            raise Refusal(SEVERAL, reasons=told)
        code, facts = reasons[0]
        raise Refusal(code, **facts, reasons=told)
    return Payment(terms.currency, worth_of(rate, points), terms.step, terms.hold_s)


def worth_of(rate: Rate, points: int) -> int:
    """What points pay at a rate, in minor units, rounded down."""
    return points * rate.per // rate.points


def most_points(terms: SpendPoints, rate: Rate, amount: int) -> int:
    """The most points that may pay of an order of so many minor units."""
    share = amount * terms.max_share // 10_000
    return share * rate.points // rate.per // terms.step * terms.step


def _reasons(
    terms: SpendPoints, rate: Rate, points: int, amount: int, available: int
) -> Iterator[tuple[Refused, dict[str, Any]]]:
    least = max(terms.least, terms.step)
    if points < least:
        yield "below_minimum", {"points": points, "minimum": least}
    if points % terms.step:
        yield "not_a_step", {"points": points, "step": terms.step}
    share = amount * terms.max_share // 10_000
    if worth_of(rate, points) > share:
        yield (
            "above_share",
            {
                "points": points,
                "most_points": most_points(terms, rate, amount),
                "most": decimal_text(share, rate.money),
                "money": rate.money,
            },
        )
    if available < points:
        yield (
            "insufficient_points",
            {
                "currency": terms.currency,
                "cost": points,
                "available": available,
                "missing": points - available,
            },
        )


def payment_told(order: str, money: str, worth: int) -> dict[str, Any]:
    """A payment as events tell it."""
    told: dict[str, Any] = {"worth": {"amount": decimal_text(worth, money), "currency": money}}
    return {"order": order, **told} if order else told
