"""Accrual: which rules an activity fires, what each gives after boosts, limits and caps, and where
it is posted.

The order is fixed: structural filters, dates, least spend, CEL condition, limit; then the amount
(rate × boosts, rounded once); then the limit's and the caps' cuts; then the split over the lines by
largest remainder, so that what was posted can be reversed line by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from services.loyalty.domain import conditions
from services.loyalty.domain.account import Lot
from services.loyalty.domain.activity import Line
from services.loyalty.domain.basket import chosen
from services.loyalty.domain.calendar import NEVER, Instant, local_date, rfc3339
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import (
    activation_at,
    after_span,
    ended_before,
    expiry_at,
    period_key,
    window_key,
)
from services.loyalty.domain.program import Boost, Cap, Currency, Filter, Give, Pending, Rule
from services.loyalty.domain.receipt import Posting, ReceiptLine
from services.loyalty.domain.shares import divide, largest_remainder

_WHOLE = (1, 1)


class Occasion:
    """What the rules look at: one activity of one member, with everything derived from it computed
    at most once.
    """

    __slots__ = (
        "about",
        "channel",
        "currency",
        "day",
        "draft",
        "level",
        "lines",
        "matched_boosts",
        "of",
        "order",
        "payment",
        "receipt_lines",
        "shipping",
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
        self.day = local_date(draft.occurred_at, draft.tz)
        then = draft.facts.level_then
        self.level = draft.standing.level if then is None else then
        self.total = sum(line.spend for line in receipt_lines)
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
            "days_enrolled": (self.day - local_date(draft.enrolled_at, draft.tz)).days,
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
        why = unmet(self, boost)
        if not why and boost.when is not None:
            try:
                why = "" if self.holds(boost.when) else "condition"
            except conditions.ConditionError:
                why = "condition_error"
        if why:
            self.draft.trace.setdefault("not", []).append((boost.id, why))
        return bool(why)


def _held(membership: Any, at: Instant) -> bool:
    return bool(membership.starts_at <= at < membership.ends_at)


def unmet(occasion: Occasion, rule: Rule | Boost) -> str:
    """The first structural reason why a rule or boost does not look at an activity, empty where it
    does.
    """
    draft = occasion.draft
    if not rule.valid_from <= draft.occurred_at < rule.valid_until:
        return "not_valid_then"
    if rule.days is not None and not rule.days(occasion.day):
        return "other_day"
    return "" if rule.filter is _NO_FILTER else _filtered(occasion, rule.filter)


_NO_FILTER = Filter()


def _filtered(occasion: Occasion, filter_: Filter) -> str:  # noqa: PLR0911 - a return per reason
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
    return ""


def earn(occasion: Occasion, rules: Sequence[Rule]) -> list[Posting]:
    """Fires rules on an activity and posts what they give; the trace says what fired, what did not,
    and why.
    """
    draft = occasion.draft
    postings: list[Posting] = []
    fired: list[dict[str, Any]] = []
    missed: list[tuple[str, str]] = []
    draft.trace["fired"] = fired
    draft.trace["not"] = missed
    capped: dict[str, int] = {}
    for rule in rules:
        eligible, spend, why = _look(occasion, rule)
        if why:
            missed.append((rule.id, why))
            continue
        counter, times_left, points_left = _limit(occasion, rule)
        if times_left == 0 or points_left == 0:
            missed.append((rule.id, "limit_reached"))
            continue
        gave = False
        for give in rule.gives:
            factor, weights, boosts = _boosted(occasion, rule, give, eligible)
            points = _amount(occasion, rule, give, factor, weights, eligible)
            if points is None:
                missed.append((rule.id, "no_rate_for_currency"))
                continue
            fact: dict[str, Any] = {"rule": rule.id, "currency": give.currency, "spend": spend}
            _arithmetic(fact, occasion, give, factor, boosts)
            limited = points_left if rule.limit and rule.limit.points else None
            points = _cut(fact, "limit", points, limited)
            taken: list[tuple[str, int, int]] = []
            points = _cap(occasion, give.currency, points, capped, fact, taken)
            fact["points"] = points
            fired.append(fact)
            if not points:
                continue
            if points_left is not None and rule.limit and rule.limit.points:
                points_left -= points
            if counter:
                taken.append((counter, 0 if gave else 1, points))
                _count(occasion, counter, 0 if gave else 1, points)
            gave = True
            postings.append(_post(occasion, rule, give, points, weights, eligible, taken))
    return postings


def _look(  # noqa: PLR0911 - a return per reason
    occasion: Occasion, rule: Rule
) -> tuple[list[int] | None, int, str]:
    """The lines that a rule looks at (None for all), what was spent on them, and why it does not
    fire (or "").
    """
    why = unmet(occasion, rule)
    if why:
        return None, 0, why
    eligible: list[int] | None = None
    spend = occasion.total
    if rule.filter.chooses_lines:
        eligible = chosen(rule.filter, occasion.lines)
        spend = sum(occasion.receipt_lines[index].spend for index in eligible)
        if not eligible:
            return eligible, 0, "no_such_line"
    if rule.min_spend:
        least = rule.min_spend.get(occasion.currency)
        if least is None:
            return eligible, spend, "no_min_spend_for_currency"
        if spend < least:
            return eligible, spend, "below_min_spend"
    if rule.when is not None:
        try:
            if not occasion.holds(rule.when):
                return eligible, spend, "condition"
        except conditions.ConditionError:
            return eligible, spend, "condition_error"
    return eligible, spend, ""


def _limit(occasion: Occasion, rule: Rule) -> tuple[str, int | None, int | None]:
    """The limit's counter key, and the times and points left (None: not limited that way)."""
    limit = rule.limit
    if limit is None:
        return "", None, None
    key = f"{rule.id}/{period_key(limit.period, occasion.day)}"
    times, points = occasion.draft.counted(key)
    return (
        key,
        max(0, limit.times - times) if limit.times else None,
        max(0, limit.points - points) if limit.points else None,
    )


def _count(occasion: Occasion, key: str, times: int, points: int) -> None:
    past = ended_before(
        key.rpartition("/")[2], local_date(occasion.draft.effective_at, occasion.draft.tz)
    )
    occasion.draft.count(key, times, points, past=past)


def _boosted(
    occasion: Occasion, rule: Rule, give: Give, eligible: list[int] | None
) -> tuple[tuple[int, int], list[int], list[str]]:
    """The factor where it is one for all lines, the lines' weights (spend × factor), and the boosts
    that apply.
    """
    spends = _weights(occasion, eligible)
    boosts = occasion.draft.program.boosts
    if rule.id not in boosts.applies_to:
        return _WHOLE, spends, []
    matched = [
        (boost.factors[give.currency], lines, boost.id)
        for boost, lines in occasion.boosts()
        if give.currency in boost.factors
    ]
    if not matched:
        return _WHOLE, spends, []
    names = [name for _, _, name in matched]
    if all(lines is None for _, lines, _ in matched):
        return _stack(boosts.stacking, [factor for factor, _, _ in matched]), spends, names
    factors = [
        _stack(
            boosts.stacking,
            [factor for factor, lines, _ in matched if lines is None or index in lines],
        )
        for index in range(len(spends))
    ]
    common = 1
    for _, denominator in factors:
        common *= denominator // _gcd(common, denominator)
    weights = [spend * n * (common // d) for spend, (n, d) in zip(spends, factors, strict=True)]
    return (1, common), weights, names


def _gcd(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


def _weights(occasion: Occasion, eligible: list[int] | None) -> list[int]:
    if eligible is None:
        return [line.spend for line in occasion.receipt_lines]
    keep = set(eligible)
    return [line.spend if index in keep else 0 for index, line in enumerate(occasion.receipt_lines)]


def _stack(stacking: str, factors: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """The one factor of several: the best, their sum (x2 and x3 make x4), or their product (x6)."""
    if not factors:
        return _WHOLE
    if stacking == "best":
        best = factors[0]
        for factor in factors[1:]:
            if factor[0] * best[1] > best[0] * factor[1]:
                best = factor
        return best
    numerator, denominator = 1, 1
    for n, d in factors:
        if stacking == "multiply":
            numerator, denominator = numerator * n, denominator * d
        else:
            numerator, denominator = numerator * d + (n - d) * denominator, denominator * d
    return numerator, denominator


def _amount(
    occasion: Occasion,
    rule: Rule,
    give: Give,
    factor: tuple[int, int],
    weights: list[int],
    eligible: list[int] | None,
) -> int | None:
    """Points given before cuts, None where the money of the order has no rate."""
    numerator, denominator = factor
    if not give.rates:
        times = (len(weights) if eligible is None else len(eligible)) if rule.per == "line" else 1
        return divide(give.fixed * times * numerator, denominator, rule.round)
    rate = give.rates.get(occasion.currency)
    if rate is None:
        return None
    points, per = rate.points * numerator, rate.per * denominator
    if rule.per == "line":
        return sum(divide(weight * points, per, rule.round) for weight in weights if weight)
    return divide(sum(weights) * points, per, rule.round)


def _arithmetic(
    fact: dict[str, Any], occasion: Occasion, give: Give, factor: tuple[int, int], boosts: list[str]
) -> None:
    rate = give.rates.get(occasion.currency) if give.rates else None
    if rate is not None:
        fact["rate"] = (rate.points, rate.per)
    else:
        fact["fixed"] = give.fixed
    if boosts:
        fact["boosts"] = boosts
        fact["factor"] = factor


def _cut(fact: dict[str, Any], by: str, points: int, left: int | None) -> int:
    """What remains of points under a bound; what was cut is recorded with its reason."""
    if left is None or points <= left:
        return points
    fact.setdefault("cut", []).append((by, points - left))
    return left


def _cap(
    occasion: Occasion,
    currency: str,
    points: int,
    capped: dict[str, int],
    fact: dict[str, Any],
    taken: list[tuple[str, int, int]],
) -> int:
    caps: list[tuple[Cap, str]] = []
    for number, cap in enumerate(occasion.draft.program.caps):
        if cap.currency != currency:
            continue
        if cap.period == "purchase":
            if not occasion.order:
                continue
            points = _cut(fact, "cap_per_purchase", points, cap.points - capped.get(currency, 0))
            continue
        key = f"cap{number}/{period_key(cap.period, occasion.day)}"
        left = max(0, cap.points - occasion.draft.counted(key)[1])
        points = _cut(fact, f"cap_per_{cap.period}", points, left)
        caps.append((cap, key))
    capped[currency] = capped.get(currency, 0) + points
    for _, key in caps:
        if points:
            taken.append((key, 0, points))
            _count(occasion, key, 0, points)
    return points


def _post(
    occasion: Occasion,
    rule: Rule,
    give: Give,
    points: int,
    weights: list[int],
    eligible: list[int] | None,
    taken: list[tuple[str, int, int]],
) -> Posting:
    currency = give.currency
    allocated = _allocate(rule, points, weights, eligible)
    lots, window = accrue(
        occasion.draft,
        currency,
        points,
        cause=rule.id,
        order=occasion.order,
        pending=_pending(occasion, rule, currency),
    )
    return Posting(
        rule.id,
        currency,
        points,
        lots,
        allocated,
        [0] * len(allocated),
        rule.on_refund,
        rule.min_spend.get(occasion.currency, 0),
        eligible or [],
        taken,
        window,
        bool(give.rates),
    )


def _allocate(rule: Rule, points: int, weights: list[int], eligible: list[int] | None) -> list[int]:
    """Points per line, summing to what was posted; by money, or evenly over the lines chosen where
    none cost any.
    """
    if not weights:
        return []
    if not any(weights) and eligible:
        weights = [1 if index in eligible else 0 for index in range(len(weights))]
    return largest_remainder(points, weights)


def _pending(occasion: Occasion, rule: Rule, currency: str) -> Pending | None:
    """The pending period: the rule's own, else the currency's for what can be returned, which only
    purchases can.
    """
    if rule.pending is not None:
        return rule.pending
    return occasion.draft.program.currencies[currency].pending if occasion.order else None


def accrue(
    draft: Draft,
    currency: str,
    points: int,
    *,
    cause: str,
    order: str = "",
    pending: Pending | None = None,
) -> tuple[list[tuple[str, int]], str]:
    """Posts an accrual into its lot, or its qualifying window; answers the lots entered and the
    window.
    """
    terms = draft.program.currencies[currency]
    if terms.qualifies:
        return _accrue_qualifying(draft, terms, points, cause=cause, order=order, pending=pending)
    activates_at, awaits = _activation(draft, pending, order)
    if not activates_at:
        expires_at = _expires_at(draft, terms, draft.occurred_at)
        key = draft.credit(
            "accrual",
            currency,
            points,
            from_bucket="issuance",
            issued=draft.month(),
            expires_at=expires_at,
            cause=cause,
            order=order,
        )
        return [(key, points)], ""
    expires_at = (
        0
        if awaits and _counts_from_activation(terms)
        else _expires_at(draft, terms, _start(draft, terms, activates_at))
    )
    lot = Lot(currency, draft.month(), expires_at, activates_at, awaits, points, points)
    draft.post(
        "accrual",
        currency,
        points,
        ("issuance", "pending"),
        lot_to=lot.key,
        cause=cause,
        order=order,
    )
    return [(draft.put(lot), points)], ""


def _counts_from_activation(terms: Currency) -> bool:
    return terms.expiry is not None and terms.expiry.counted_from == "activated"


def _start(draft: Draft, terms: Currency, activates_at: Instant) -> Instant:
    return activates_at if _counts_from_activation(terms) else draft.occurred_at


def _activation(draft: Draft, pending: Pending | None, order: str) -> tuple[Instant, str]:
    """When pending points become available and what they await: (0, "") where they do so at once.

    For a lot that awaits its delivery the instant is that of its cancellation if none comes.
    """
    if pending is None:
        return 0, ""
    if pending.until_delivered:
        return max(
            after_span(draft.occurred_at, pending.cancel_after, draft.tz), draft.effective_at + 1
        ), order
    at = activation_at(pending, draft.occurred_at, draft.tz)
    return (at, "") if at > draft.effective_at else (0, "")


def _expires_at(draft: Draft, terms: Currency, start: Instant) -> Instant:
    """The end of the points' life; what is past already lives on for the currency's ``late`` span,
    if it has one.
    """
    if terms.expiry is None:
        return NEVER
    at = expiry_at(terms.expiry, start, draft.tz)
    if at <= draft.effective_at and (terms.late.months or terms.late.days):
        return after_span(draft.effective_at, terms.late, draft.tz)
    return at


def expires_when_activated(draft: Draft, currency: str, at: Instant) -> Instant:
    """The end of life of points that count it from an activation which happens now."""
    terms = draft.program.currencies[currency]
    return NEVER if terms.expiry is None else expiry_at(terms.expiry, at, draft.tz)


def window_lot(currency: str, window: str) -> str:
    """The ledger's name of a qualifying window: ``status/2011-02``."""
    return f"{currency}/{window}"


def _accrue_qualifying(
    draft: Draft, terms: Currency, points: int, *, cause: str, order: str, pending: Pending | None
) -> tuple[list[tuple[str, int]], str]:
    assert terms.window is not None
    day = local_date(draft.occurred_at, draft.tz)
    window = window_key(terms.window, day, local_date(draft.enrolled_at, draft.tz))
    activates_at, awaits = (
        _activation(draft, pending, order) if terms.counts == "when_activated" else (0, "")
    )
    if activates_at:
        lot = Lot(terms.name, window, NEVER, activates_at, awaits, points, points)
        draft.post(
            "accrual",
            terms.name,
            points,
            ("issuance", "pending"),
            lot_to=lot.key,
            cause=cause,
            order=order,
        )
        return [(draft.put(lot), points)], window
    key = window_lot(terms.name, window)
    draft.post(
        "accrual",
        terms.name,
        points,
        ("issuance", "available"),
        lot_to=key,
        cause=cause,
        order=order,
    )
    count_qualifying(draft, terms.name, window, points)
    return [(key, points)], window


def count_qualifying(draft: Draft, currency: str, window: str, points: int) -> None:
    """Changes the balance of a qualifying window, wherever it is kept now; it never falls below
    zero.
    """
    held = draft.windows.setdefault(currency, {})
    key = f"window:{currency}/{window}"
    if window not in held and (key in draft.facts.history or key in draft.history):
        was = draft.history.get(key) or draft.facts.history[key]
        assert was[1] + points >= 0
        draft.history[key] = [0, was[1] + points]
        return
    total = held.get(window, 0) + points
    assert total >= 0
    held[window] = total


def announce_accrual(
    draft: Draft, activity: str, postings: Sequence[Posting], order: str = ""
) -> None:
    """The event that says what an activity earned."""
    if not postings:
        return
    told = [
        {
            "rule": posting.rule,
            "currency": posting.currency,
            "points": posting.points,
            **_life(posting.lots[0][0]),
        }
        for posting in postings
    ]
    data: dict[str, Any] = {"activity": activity, "postings": told}
    if order:
        data["order"] = order
    draft.announce("loyalty.points.accrued.v1", data)


@lru_cache(maxsize=16384)
def _life(key: str) -> dict[str, str]:
    """What a lot's name says of its points' life, for people."""
    life: dict[str, str] = {}
    parts = key.split("/", 3)
    if len(parts) > 2 and int(parts[2]) not in (0, NEVER):
        life["expires_at"] = rfc3339(int(parts[2]))
    if len(parts) > 3:
        awaits = parts[3].startswith("d")
        life["available"] = "when delivered" if awaits else rfc3339(int(parts[3][1:]))
    return life
