"""What the rules look at: one activity of one member, as filters and conditions see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from services.loyalty.domain import conditions, local_days
from services.loyalty.domain.activity import Line
from services.loyalty.domain.basket import chosen
from services.loyalty.domain.calendar import Instant, local_date
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.holdout import leaves_out
from services.loyalty.domain.program import Boost, Filter, Rule
from services.loyalty.domain.reasons import NotFired
from services.loyalty.domain.receipt import ReceiptLine, RuleReward

_NOTHING_GIVEN: list[RuleReward] = []


class Occasion:
    """What the rules look at: one activity of one member, with everything derived from it computed
    at most once.
    """

    __slots__ = (
        "about",
        "amends",
        "channel",
        "currency",
        "draft",
        "given",
        "level",
        "lines",
        "matched_boosts",
        "of",
        "order",
        "payment",
        "posted",
        "receipt_lines",
        "shipping",
        "spends",
        "store",
        "total",
        "variables",
    )

    def __init__(  # noqa: PLR0913 - an occasion is what its parts are
        self,
        draft: Draft,
        *,
        lines: Sequence[Line] = (),
        receipt_lines: Sequence[ReceiptLine] = (),
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
        self.posted = posted or {}  # points by currency that the order has already, for its caps
        self.amends = amends  # of which channel, store and payment are not told
        self.given: list[RuleReward] = _NOTHING_GIVEN  # what rules gave beside points
        then = draft.facts.level_then
        self.level = draft.standing.level if then is None else then
        self.spends = [line.spend for line in receipt_lines]
        self.total = sum(self.spends)
        self.matched_boosts: list[tuple[Boost, list[int] | None]] | None = None
        self.variables: Any = None

    def holds(self, when: Any) -> bool:
        """Whether a CEL condition holds.

        Raises:
            ConditionError: it cannot be evaluated over this activity.
        """
        if self.variables is None:
            self.variables = conditions.activation(
                order=self._order(), member=self._member(), engagement=self._engagement()
            )
        return bool(when(self.variables))

    def _order(self) -> dict[str, Any]:
        return {
            "total": self.total,
            "channel": self.channel,
            "store": self.store,
            "payment": self.payment,
            "currency": self.currency,
            "shipping": self.shipping,
            "lines": [
                {
                    "position": line.position,
                    "sku": line.sku,
                    "category": line.category,
                    "brand": line.brand,
                    "quantity": line.quantity,
                    "unit_price": line.unit_price,
                    "paid": paid.value,
                    "spend": paid.spend,
                }
                for line, paid in zip(self.lines, self.receipt_lines, strict=True)
            ],
        }

    def _member(self) -> dict[str, Any]:
        draft = self.draft
        return {
            "tier": self.level,
            "purchases": draft.purchases,
            "segments": [held.segment for held in draft.segments if _held(held, draft.occurred_at)],
            "days_enrolled": (draft.day - local_date(draft.enrolled_at, draft.tz)).days,
        }

    def _engagement(self) -> dict[str, Any]:
        return {"kind": self.of, "channel": self.channel, "about": self.about}

    def boosts(self) -> list[tuple[Boost, list[int] | None]]:
        """Boosts that apply, each with the line indexes that it chooses (None for all)."""
        if self.matched_boosts is None:
            self.matched_boosts = [
                (boost, chosen(boost.filter, self.lines) if boost.filter.chooses_lines else None)
                for boost in self.draft.program.boosts.boosts
                if not self._missed(boost)
            ]
        return self.matched_boosts

    def _missed(self, boost: Boost) -> bool:
        unknown = self.amends and boost.filter.excludes_purchases
        why: NotFired = "not_told_by_amendment" if unknown else unmet(self, boost)
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


def _held(membership: Any, at: Instant) -> bool:
    return bool(membership.starts_at <= at < membership.ends_at)


def unmet(occasion: Occasion, rule: Rule | Boost) -> NotFired:
    """The first structural reason why a rule or boost does not look at an activity, empty where it
    does.
    """
    draft = occasion.draft
    if not rule.valid_from <= draft.occurred_at < rule.valid_until:
        return "not_valid_then"
    if rule.days is not None and not rule.days(draft.day):
        return "other_day"
    if rule.local is not None:
        why = local_days.unmet(draft, rule.local)
        if why:
            return why
    return "" if rule.filter.empty else _filtered(occasion, rule.filter)


def _filtered(occasion: Occasion, filter_: Filter) -> NotFired:  # noqa: PLR0911 - a return per reason
    draft = occasion.draft
    if filter_.tier and occasion.level not in filter_.tier:
        return "other_tier"
    if filter_.channel and occasion.channel not in filter_.channel:
        return "other_channel"
    if filter_.store and occasion.store not in filter_.store:
        return "other_store"
    if filter_.payment and occasion.payment not in filter_.payment:
        return "other_payment"
    if filter_.nth and draft.purchases not in filter_.nth:
        return "other_purchase_number"
    if filter_.segment and not any(
        held.segment in filter_.segment and _held(held, draft.occurred_at)
        for held in draft.segments
    ):
        return "not_in_segment"
    return _turned_away(occasion, filter_) if filter_.excludes else ""


def _turned_away(occasion: Occasion, filter_: Filter) -> NotFired:
    if occasion.level in filter_.exclude_tier:
        return "excluded_tier"
    if occasion.channel in filter_.exclude_channel:
        return "excluded_channel"
    if occasion.store in filter_.exclude_store:
        return "excluded_store"
    if occasion.payment in filter_.exclude_payment:
        return "excluded_payment"
    draft = occasion.draft
    if filter_.exclude_segment and any(
        held.segment in filter_.exclude_segment and _held(held, draft.occurred_at)
        for held in draft.segments
    ):
        return "excluded_segment"
    return ""
