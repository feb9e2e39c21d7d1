"""Shoppers who buy, return, review and now and then repeat themselves, all from one seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from services.demo.timeline import Post
from services.events.topics import ENGAGEMENTS, MEMBERS, PURCHASES
from services.loyalty.domain.calendar import DAY, SECOND, Instant
from tests.events.messages import enrolled, event

SKU = "22423"


def joined(member: str, at: Instant) -> Post:
    return Post(MEMBERS, member, at, enrolled(member, at=at))


def bought(
    member: str, order: str, at: Instant, *, units: int = 1, price: str = "10.00", id: str = ""
) -> Post:
    """An order of one line."""
    fields = {
        "member_id": member,
        "order_id": order,
        "currency": "GBP",
        "lines": [{"position": 1, "sku": SKU, "quantity": units, "unit_price": price}],
    }
    value = event("commerce.purchase.completed.v1", fields, at=at, id=id or f"order-{order}")
    return Post(PURCHASES, member, at, value)


def returned(member: str, order: str, at: Instant, *, id: str, units: int = 1) -> Post:
    """Units of that line come back."""
    fields = {
        "member_id": member,
        "order_id": order,
        "currency": "GBP",
        "lines": [{"position": 1, "quantity": units}],
    }
    value = event("commerce.purchase.refunded.v1", fields, at=at, id=f"return-{id}")
    return Post(PURCHASES, member, at, value)


def reviewed(member: str, at: Instant, *, id: str) -> Post:
    fields = {"member_id": member, "kind": "product.reviewed", "about": SKU}
    value = event("commerce.engagement.recorded.v1", fields, at=at, id=f"review-{id}")
    return Post(ENGAGEMENTS, member, at, value)


@dataclass
class Shoppers:
    """Members, and an endless stream of what they do, a second after the other from ``start``."""

    rng: Random
    start: Instant
    count: int = 40
    posts: list[Post] = field(default_factory=list)

    @property
    def members(self) -> list[str]:
        return [f"shopper-{number}" for number in range(self.count)]

    def join(self) -> list[Post]:
        """Everybody's enrolment."""
        return self._sent([joined(member, self.start - DAY) for member in self.members])

    def go_on(self, count: int) -> list[Post]:
        """The next things they do, at least ``count``."""
        first = len(self.posts)
        while len(self.posts) < first + count:
            self._sent(self._next())
        return self.posts[first:]

    def _sent(self, posts: list[Post]) -> list[Post]:
        self.posts += posts
        return posts

    def _next(self) -> list[Post]:
        number, rng = len(self.posts), self.rng
        at, member = self.start + number * SECOND, rng.choice(self.members)
        order, price = f"o{number}", f"{rng.randint(1, 12)}.{rng.randint(0, 99):02}"
        sale = bought(member, order, at, units=rng.randint(2, 6), price=price)
        back = returned(member, order, at + SECOND, id=order, units=rng.randint(1, 2))
        doings = {
            "buys": (55, [sale]),
            "returns": (12, [sale, back]),
            "returns first": (5, [back, sale]),
            "reviews": (12, [reviewed(member, at, id=str(number))]),
            "repeats": (12, [rng.choice(self.posts)]),
            "confuses": (2, [sale, bought(member, f"{order}-too", at, id=f"order-{order}")]),
            "babbles": (2, [Post(PURCHASES, member, at, b"not JSON, whoever sent it")]),
        }
        weights, choices = zip(*doings.values(), strict=True)
        chosen: list[Post] = rng.choices(choices, weights)[0]
        return chosen
