"""What the demonstration makes up around the real sales, always the same for the same sales.

The shop's file knows no birthdays, reviews or loyalty programme. So every date of birth, every
engagement and every wish to redeem in here is invented: each follows from a hash of the seed, the
member and the purpose, never from a shared random sequence, so that one member's story does not
change when another's does.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import blake2b
from typing import TypeAlias

from services.demo.orders import Purchase, Sale
from services.demo.retail import SHOP_ZONE
from services.loyalty.domain.calendar import (
    DAY,
    HOUR,
    MINUTE,
    Instant,
    add_months,
    local_date,
    midnight,
)

SEED = "gift-shop"
LAPSED_AFTER = 60 * DAY
_NOT_GOODS = frozenset({"POST", "DOT", "M", "C2", "S", "BANK CHARGES", "AMAZONFEE"})
_LANGUAGES = {"Germany": "de", "Austria": "de", "France": "fr", "Spain": "es", "Italy": "it"}
_BIRTHS_FROM = date(1940, 1, 1)
_BIRTHS_DAYS = 56 * 365


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A member joins just before the first purchase. ``born_on`` is made up; some do not tell."""

    member: str
    at: Instant
    born_on: date | None
    language: str


@dataclass(frozen=True, slots=True)
class Engagement:
    """A made-up review, answered survey or share."""

    member: str
    at: Instant
    of: str
    about: str


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The member has not bought for a while and is counted among ``segment`` until ``ends_at``."""

    member: str
    at: Instant
    segment: str
    ends_at: Instant


@dataclass(frozen=True, slots=True)
class Wish:
    """A member spends points over HTTP: on ``reward``, or, where it is empty, on all they can buy.

    The wish is made up, and the points may not suffice for it.
    """

    member: str
    at: Instant
    reward: str


Act: TypeAlias = Enrolment | Engagement | Segmentation | Wish


def share(purpose: str, *names: str) -> float:
    """A number in [0, 1) that depends on nothing but its arguments and the seed."""
    text = "\0".join((SEED, purpose, *names)).encode()
    return int.from_bytes(blake2b(text, digest_size=7).digest()) / 2**56


def acts(sales: Sequence[Sale], rewards: Sequence[str], came: Collection[str] = ()) -> list[Act]:
    """All that is made up around the sales, in order of time, up to the last sale. Members who
    ``came`` from elsewhere enrol no more.
    """
    if not sales:
        return []
    purchases = [sale for sale in sales if isinstance(sale, Purchase)]
    last = sales[-1].at
    joins = [act for act in _enrolments(purchases) if act.member not in came]
    made: list[Act] = [*joins, *_engagements(purchases)]
    made += _lapses(purchases, last)
    made += _wishes(purchases, rewards)
    return sorted((act for act in made if act.at <= last), key=lambda act: act.at)


def _enrolments(purchases: Iterable[Purchase]) -> Iterator[Enrolment]:
    seen: set[str] = set()
    for first in purchases:
        if first.member not in seen:
            seen.add(first.member)
            language = _LANGUAGES.get(first.country, "en")
            yield Enrolment(first.member, first.at - MINUTE, born_on(first.member), language)


def born_on(member: str) -> date | None:
    """The made-up date of birth of a member, None for one who does not tell."""
    if share("tells birthday", member) < 0.1:
        return None
    return _BIRTHS_FROM + timedelta(days=int(share("birthday", member) * _BIRTHS_DAYS))


def _engagements(purchases: Iterable[Purchase]) -> Iterator[Engagement]:
    answered: set[str] = set()
    for sale in purchases:
        goods = [line.sku for line in sale.lines if line.sku not in _NOT_GOODS]
        if not goods:
            continue
        sku = goods[int(share("sku", sale.order) * len(goods))]
        if share("reviews", sale.order) < 0.2:
            at = sale.at + _days("review", sale.order, 4, 14)
            yield Engagement(sale.member, at, "product.reviewed", sku)
        if share("shares", sale.order) < 0.06:
            at = sale.at + _days("share", sale.order, 2, 9)
            yield Engagement(sale.member, at, "social.shared", sku)
        if sale.member not in answered and share("answers", sale.order) < 0.15:
            answered.add(sale.member)
            at = sale.at + _days("answer", sale.order, 1, 3)
            yield Engagement(sale.member, at, "survey.answered", "how-was-your-order")


def _days(purpose: str, name: str, least: int, most: int) -> int:
    """A length of ``least`` to ``most`` days, in whole minutes."""
    minutes = (least * DAY + int(share(f"{purpose} days", name) * (most - least) * DAY)) // MINUTE
    return minutes * MINUTE


def _lapses(purchases: Sequence[Purchase], last: Instant) -> Iterator[Segmentation]:
    """On every first of a month at 03:00: who has not bought for long, said once per member."""
    latest: dict[str, Instant] = {}
    said: set[str] = set()
    upcoming = iter(purchases)
    sale = next(upcoming, None)
    for at in _firsts_of_months(purchases, last):
        while sale is not None and sale.at < at:
            latest[sale.member] = sale.at
            sale = next(upcoming, None)
        lapsed = [m for m, bought in latest.items() if at - bought > LAPSED_AFTER and m not in said]
        said.update(lapsed)
        for member in lapsed:
            yield Segmentation(member, at, "lapsed", at + 60 * DAY)


def _firsts_of_months(purchases: Sequence[Purchase], last: Instant) -> Iterator[Instant]:
    if not purchases:
        return
    first = local_date(purchases[0].at, SHOP_ZONE).replace(day=1)
    months = 0
    while True:
        months += 1
        at = midnight(add_months(first, months), SHOP_ZONE) + 3 * HOUR
        if at > last:
            return
        yield at


def _wishes(purchases: Iterable[Purchase], rewards: Sequence[str]) -> Iterator[Wish]:
    """One member in five is a spender, who goes shopping with points some weeks after an order.

    One in six of them sets their heart on a certain reward, whatever it costs.
    """
    if not rewards:
        return
    for sale in purchases:
        if share("spends", sale.member) < 0.2 and share("wishes", sale.order) < 0.4:
            stubborn = share("stubborn", sale.order) < 1 / 6
            reward = rewards[int(share("reward", sale.order) * len(rewards))] if stubborn else ""
            yield Wish(sale.member, sale.at + _days("wish", sale.order, 16, 40), reward)
