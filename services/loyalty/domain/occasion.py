"""What the rules look at: one activity of one member, as filters and conditions see it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from services.loyalty.domain import conditions, local_days
from services.loyalty.domain.activity import Line
from services.loyalty.domain.basket import chosen
from services.loyalty.domain.calendar import local_date
from services.loyalty.domain.candidates import (
    NO_SEGMENTS,
    Candidates,
    Setting,
    of_event,
)
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.holdout import leaves_out
from services.loyalty.domain.program import Boost
from services.loyalty.domain.reasons import NotFired
from services.loyalty.domain.receipt import ReceiptLine, RuleReward
from services.loyalty.domain.shares import sum_of

_NOTHING_GIVEN: Final[list[RuleReward]] = []

_NOTHING_TOLD: Final[list[dict[str, Any]]] = []
_NOTHING_POSTED: Final[dict[str, int]] = {}
_NO_CREDIT: Final[dict[tuple[str, str], int]] = {}
_NO_FIELDS: Final[dict[str, Any]] = {}
_NO_LINES: Final[list[Line]] = []
_NO_PAID: Final[list[ReceiptLine]] = []


class Occasion:
    """What the rules look at: one activity of one member, with everything derived from it computed
    at most once.
    """

    __slots__ = (
        "about",
        "amends",
        "answers",
        "channel",
        "credited",
        "currency",
        "draft",
        "found",
        "given",
        "level",
        "lines",
        "matched_boosts",
        "of",
        "order",
        "payment",
        "posted",
        "receipt_lines",
        "setting",
        "shipping",
        "spends",
        "split",
        "split_points",
        "store",
        "told",
        "total",
        "variables",
    )

    def __init__(  # noqa: PLR0913 - an occasion is what its parts are
        self,
        draft: Draft,
        *,
        lines: list[Line] = _NO_LINES,
        receipt_lines: list[ReceiptLine] = _NO_PAID,
        currency: str = "",
        order: str = "",
        channel: str = "",
        store: str = "",
        payment: str = "",
        shipping: int = 0,
        of: str = "",
        about: str = "",
        posted: Mapping[str, int] | None = None,
        amends: bool = False,
    ) -> None:
        self.draft = draft
        self.lines = lines
        self.receipt_lines = receipt_lines
        self.currency = currency
        self.order = order
        self.channel = channel
        self.store = store
        self.payment = payment
        self.shipping = shipping
        self.of = of
        self.about = about
        # Points by currency that the order has already, for its caps.
        self.posted = posted or _NOTHING_POSTED
        self.amends = amends  # of which channel, store and payment are not told
        self.given: list[RuleReward] = _NOTHING_GIVEN  # what rules gave beside points
        then = draft.facts.level_then
        self.level = draft.standing.level if then is None else then
        self.setting = Setting(
            draft.occurred_at,
            draft.day,
            self.level,
            channel,
            store,
            payment,
            draft.purchases,
            frozenset(self._segments()) if draft.segments else NO_SEGMENTS,
        )
        self.spends = [line.spend for line in receipt_lines]
        self.total = sum_of(self.spends)
        self.matched_boosts: list[tuple[Boost, list[int] | None]] | None = None
        self.variables: dict[str, Any] | None = None
        self.answers = -1  # the bits of the conditions that hold, once they were asked
        self.found: Candidates | None = None
        self.told: list[dict[str, Any]] = _NOTHING_TOLD  # of each posting, for people
        self.credited: dict[tuple[str, str], int] = _NO_CREDIT  # by currency and window
        self.split_points = -1  # the points last split over all that was spent, and their split
        self.split: list[int] = []

    def holds(self, when: conditions.Condition) -> bool:
        """Whether a CEL condition holds.

        Raises:
            ConditionError: it cannot be evaluated over this activity.
        """
        if when.repeats:
            return _remembered(
                when,
                len(self.lines),
                self.level,
                self.channel,
                self.payment,
                self.currency,
                self.of,
            )
        if self.variables is None:
            asked = self.draft.program.asked.variables
            self.variables = {name: self._value(name) for name in asked}
            together = self.found.conditions if self.found is not None else None
            if together is not None:
                self.answers = together(self.variables)
        if self.answers >= 0 and self.found is not None and self.found.conditions is not None:
            bit = self.found.conditions.bit(when)
            if bit:
                return bool(self.answers & bit)
        return when(self.variables)

    def _value(self, name: str) -> Any:
        """What a variable of :data:`conditions.NEUTRAL` is here."""
        if name in _FIELDS:
            return getattr(self, _FIELDS[name])
        if name == "order.lines":
            fields = self.draft.program.asked.fields
            if not fields:  # somebody counts them
                return [_NO_FIELDS] * len(self.lines)
            return [
                _seen(line, paid, fields)
                for line, paid in zip(self.lines, self.receipt_lines, strict=True)
            ]
        if name == "member.segments":
            return self._segments()
        draft = self.draft
        if name == "member.purchases":
            return draft.purchases
        assert name == "member.days_enrolled", name
        return (draft.day - local_date(draft.enrolled_at, draft.tz)).days

    def _segments(self) -> list[str]:
        """Segments held when it occurred."""
        at = self.draft.occurred_at
        return [held.segment for held in self.draft.segments if held.starts_at <= at < held.ends_at]

    def candidates(self, event: str) -> Candidates:
        """The rules of an event that it may fire, and the boosts that may apply."""
        self.found = of_event(self.draft.program, event, self.setting)
        return self.found

    def boosts(self) -> list[tuple[Boost, list[int] | None]]:
        """Boosts that apply, each with the line indexes that it chooses (None for all)."""
        if self.matched_boosts is None:
            found = self.found
            assert found is not None, "boosts are looked at where rules fire"
            if found.boosts_missed:
                self.draft.trace.setdefault("not", []).extend(found.boosts_missed)
            self.matched_boosts = [
                (boost, chosen(boost.filter, self.lines) if boost.filter.chooses_lines else None)
                for boost in found.boosts
                if not self._missed(boost)
            ]
        return self.matched_boosts

    def _missed(self, boost: Boost) -> bool:
        why: NotFired = "" if boost.local is None else local_days.unmet(self.draft, boost.local)
        if not why and boost.when is not None:
            try:
                why = "" if self.holds(boost.when) else "condition"
            except conditions.ConditionError:
                why = "condition_error"
        if not why and boost.holdout and leaves_out(self.draft, boost.id, boost.holdout):
            why = "held_out"
        if why:
            self.draft.trace.setdefault("not", []).append((boost.id, why))
        return bool(why)


_FIELDS = {
    "order.total": "total",
    "order.channel": "channel",
    "order.store": "store",
    "order.payment": "payment",
    "order.currency": "currency",
    "order.shipping": "shipping",
    "member.tier": "level",
    "engagement.kind": "of",
    "engagement.channel": "channel",
    "engagement.about": "about",
}
"""Variables that are fields of an occasion."""


@lru_cache(maxsize=4096)
def _remembered(
    when: conditions.Condition,
    lines: int,
    level: str,
    channel: str,
    payment: str,
    currency: str,
    of: str,
) -> bool:
    """Whether a condition holds that reads only variables of :data:`conditions.FEW`."""
    return when(
        {
            "order.lines": [_NO_FIELDS] * lines,
            "order.channel": channel,
            "order.payment": payment,
            "order.currency": currency,
            "member.tier": level,
            "engagement.kind": of,
            "engagement.channel": channel,
        }
    )


def _seen(line: Line, paid: ReceiptLine, fields: tuple[str, ...]) -> dict[str, Any]:
    """What conditions ask of a line, of the fields of :data:`conditions.LINE_FIELDS`."""
    seen: dict[str, Any] = {}
    for name in fields:
        if name == "paid":
            seen[name] = paid.value
        else:
            seen[name] = paid.spend if name == "spend" else getattr(line, name)
    return seen
