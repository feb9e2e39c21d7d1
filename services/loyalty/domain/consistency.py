"""What must hold between the keys of a programme document.

Each check looks at one section and yields findings: path, reason and remedy. Names are taken from
the text itself, so that a reference to something misspelt elsewhere is not reported as dangling.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from services.loyalty.domain.conditions import Condition, failure_on, samples_of
from services.loyalty.domain.mistakes import one_of
from services.loyalty.domain.notation import Amount, Points
from services.loyalty.domain.program import Rate, Span
from services.loyalty.domain.sections import (
    BoostSection,
    CapSection,
    Choice,
    CurrencySection,
    Document,
    EarnSection,
    GiftSection,
    PendingSection,
    RewardSection,
    TiersSection,
)
from services.loyalty.domain.source import Path, Source


class Finding(NamedTuple):
    """Something wrong at a path, not yet placed in the text."""

    path: Path
    reason: str
    remedy: str


Findings = Iterator[Finding]


@dataclass(frozen=True, slots=True)
class Names:
    """What the document names, as it is written."""

    currencies: frozenset[str]
    qualifying: frozenset[str]
    levels: frozenset[str]
    rules: frozenset[str]
    rewards: frozenset[str]

    @classmethod
    def of(cls, source: Source) -> Names:
        """The names in the text of a document."""
        currencies = source.names("currencies")
        return cls(
            currencies,
            frozenset(n for n in currencies if source.text("currencies", n, "qualifies") == "true"),
            source.names("tiers", "levels"),
            source.names("earn"),
            source.names("rewards"),
        )


def inconsistencies(document: Document, names: Names) -> Findings:
    """Everything that does not fit together."""
    yield from _start(document)
    yield from _distinct_names(document)
    for name, currency in document.currencies.items():
        yield from _currency(("currencies", name), name, currency)
    if document.tiers is not None:
        yield from _tiers(document, document.tiers, names)
    for name, rule in document.earn.items():
        yield from _rule(("earn", name), rule, names)
    yield from _monies(document)
    yield from _boosts(document, names)
    yield from _gifts(document, names)
    yield from _caps(document.caps, names)
    for name, reward in document.rewards.items():
        yield from _reward(("rewards", name), reward, names)
    yield from _successors(document, names)


# The start and the names --------------------------------------------------------------------------


def _start(document: Document) -> Findings:
    if not _happens_once(document.holds_from, document.timezone):
        yield Finding(
            ("holds_from",),
            f"in {document.timezone.key} the clocks skip or repeat that time",
            "Choose a time that happens exactly once, such as noon",
        )


def _happens_once(local: datetime, zone: ZoneInfo) -> bool:
    first, second = (local.replace(tzinfo=zone, fold=fold) for fold in (0, 1))
    there_and_back = first.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    return first.utcoffset() == second.utcoffset() and there_and_back == local


_RESERVED_CURRENCIES = frozenset(BoostSection.model_fields) | frozenset(CapSection.model_fields)


def _distinct_names(document: Document) -> Findings:
    for name in document.currencies:
        if name in _RESERVED_CURRENCIES:
            yield Finding(
                ("currencies", name),
                "boosts and caps have a key of that name, so they could not name this currency",
                "Choose another name",
            )
    taken: dict[str, str] = {}
    boosts = document.boosts.model_extra or {}
    for section, members in (
        ("earn", document.earn),
        ("boosts", boosts),
        ("gifts", document.gifts),
    ):
        for name in members:
            if name in taken:
                yield Finding(
                    (section, name),
                    f"{taken[name]} has the same name, so that no entry could tell them apart",
                    "Choose another name",
                )
            taken.setdefault(name, section)


def _dangling(
    path: Path, given: Sequence[str] | None, known: frozenset[str], what: str
) -> Findings:
    for index, name in enumerate(given or ()):
        if name not in known:
            yield Finding((*path, index), f"there is no {what} {name!r}", one_of(known, name))


def _repeated(path: Path, items: Iterable[object] | None) -> Findings:
    seen: set[object] = set()
    for index, item in enumerate(items or ()):
        if item in seen:
            yield Finding((*path, index), "it is in the list twice", "Keep one of the two")
        seen.add(item)


def _misplaced(path: Path, given: Iterable[str], section: object, why: str) -> Findings:
    """Keys that were given where they mean nothing."""
    fields = type(section).model_fields  # type: ignore[attr-defined]  # sections are pydantic models
    for name in given:
        if name in section.model_fields_set:  # type: ignore[attr-defined]  # as above
            yield Finding((*path, fields[name].alias or name), why, "Remove it")


# Currencies and tiers -----------------------------------------------------------------------------


def _currency(path: Path, name: str, currency: CurrencySection) -> Findings:
    if currency.pending:
        yield from _pending((*path, "pending"), currency.pending)
    if currency.expires:
        yield from _notices((*path, "expires", "notice"), currency)
    if currency.qualifies:
        yield from _qualifying(path, currency)
    else:
        why = "only a currency that qualifies for tiers has it"
        yield from _misplaced(path, ("window", "counts"), currency, why)


def _qualifying(path: Path, currency: CurrencySection) -> Findings:
    if not currency.window:
        yield Finding(
            (*path, "window"),
            "a currency that qualifies for tiers has no window in which it counts",
            "Add one, as in window: {rolling: 12 months} or window: calendar_year",
        )
    spendable = ("worth", "expires", "refund_shortfall", "late")
    yield from _misplaced(path, spendable, currency, "points that qualify are not spent")
    if currency.pending and currency.counts == "when_earned":
        yield Finding(
            (*path, "pending"),
            "points that count when earned are never pending",
            "Remove it, or write counts: when_activated",
        )
    if not currency.pending and currency.counts == "when_activated":
        yield Finding(
            (*path, "counts"),
            "points that are never pending are not activated",
            "Add pending, or write counts: when_earned",
        )


def _notices(path: Path, currency: CurrencySection) -> Findings:
    assert currency.expires is not None
    notices = currency.expires.notice
    yield from _repeated(path, notices)
    for index, days in enumerate(notices or ()):
        if days >= least_days(currency.expires.after):
            yield Finding(
                (*path, index),
                f"points may live no longer than {least_days(currency.expires.after)} days",
                "Tell members later, or let points live longer",
            )


def least_days(span: Span) -> int:
    """The fewest days that a span can last."""
    return span.months // 12 * 365 + span.months % 12 * 28 + span.days


def _pending(path: Path, pending: PendingSection) -> Findings:
    if (pending.for_ is None) == (pending.until is None):
        yield Finding(path, "it says not one of 'for' and 'until'", "Give exactly one of the two")
    elif pending.until is None:
        yield from _misplaced(path, ("cancel_after",), pending, "nothing is waited for")
    else:
        yield from _misplaced(path, ("exact",), pending, "a delivery is not rounded")


def _tiers(document: Document, tiers: TiersSection, names: Names) -> Findings:
    if tiers.by not in names.qualifying:
        known = tiers.by in names.currencies
        reason = f"{tiers.by!r} does not qualify" if known else f"there is no currency {tiers.by!r}"
        remedy = "Write qualifies: true there" if known else one_of(names.qualifying, tiers.by)
        yield Finding(("tiers", "by"), reason, remedy)
    yield from _levels(tiers)
    yield from _kept(document, tiers)
    yield from _repeated(("tiers", "at_end", "warn"), tiers.at_end.warn)


def _levels(tiers: TiersSection) -> Findings:
    below: int | None = None
    for name, level in tiers.levels.items():
        path = ("tiers", "levels", name, "from")
        if below is None and level.from_:
            yield Finding(path, "the first level is not from 0", "Begin with a level from 0")
        elif below is not None and level.from_ <= below:
            yield Finding(path, "it is not above the level before", "Order levels by rising 'from'")
        below = level.from_
    if not tiers.levels:
        yield Finding(
            ("tiers", "levels"), "there is no level", "Add one from 0, as in basic: {from: 0}"
        )


def _kept(document: Document, tiers: TiersSection) -> Findings:
    kept, path = tiers.kept, ("tiers", "kept")
    if (kept.for_ is None) == (kept.until is None):
        yield Finding(path, "it says not one of 'for' and 'until'", "Give exactly one of the two")
    currency = document.currencies.get(tiers.by)
    if kept.until and currency and currency.window and currency.window.kind == "rolling":
        yield Finding(
            (*path, "until"), "a rolling window has no end", "Write it like for: 12 months"
        )


# Rules and boosts ---------------------------------------------------------------------------------

_LINES = ("sku", "category", "brand", "exclude")
_PURCHASE_ONLY = (*_LINES, "store", "payment", "nth", "min_spend", "per", "on_refund")


def _rule(path: Path, rule: EarnSection, names: Names) -> Findings:
    yield from _choice(path, rule, names)
    if rule.event != "purchase":
        yield from _misplaced(path, _PURCHASE_ONLY, rule, "only purchases have it")
    if rule.event != "engagement":
        yield from _misplaced(path, ("kind",), rule, "only engagements have a kind")
    if rule.when:
        yield from _evaluable((*path, "when"), rule.when, rule.event)
    if rule.pending:
        yield from _pending((*path, "pending"), rule.pending)
    yield from _gives((*path, "give"), rule, names)
    yield from _limit((*path, "limit"), rule)


def _gives(path: Path, rule: EarnSection, names: Names) -> Findings:
    if not rule.give:
        yield Finding(path, "it gives nothing", "Name a currency, as in give: {points: 100}")
    yield from _unknown_currencies(path, rule.give, names)
    for currency, given in rule.give.items():
        here = (*path, currency)
        rates = [one for one in given if isinstance(one, Rate)]
        if rates and rule.event != "purchase":
            yield Finding(here, "only purchases have money to rate", "Write a number of points")
        if len(given) > 1 and len(rates) < len(given):
            yield Finding(here, "a fixed number stands beside others", "Write one number, or rates")
        yield from _repeated(here, [one.money if isinstance(one, Rate) else "" for one in given])


def _unknown_currencies(path: Path, given: Iterable[str], names: Names) -> Findings:
    """Keys that should name currencies of points."""
    for currency in given:
        if currency not in names.currencies:
            remedy = one_of(names.currencies, currency)
            yield Finding((*path, currency), f"there is no currency {currency!r}", remedy)


def _limit(path: Path, rule: EarnSection) -> Findings:
    if rule.limit and rule.limit.currency and set(rule.give) != {rule.limit.currency}:
        yield Finding(
            path,
            f"it counts {rule.limit.currency!r}, but the rule gives {', '.join(rule.give)}",
            "Limit the times instead, or give each currency by a rule of its own",
        )


def _monies(document: Document) -> Findings:
    """A currency of money is never guessed: whichever one rule rates, all have to."""
    monies = frozenset(
        one.money
        for rule in document.earn.values()
        for given in rule.give.values()
        for one in given
        if isinstance(one, Rate)
    )
    for name, rule in document.earn.items():
        for currency, given in rule.give.items():
            rated = frozenset(one.money for one in given if isinstance(one, Rate))
            if rated:
                yield from _unrated(("earn", name, "give", currency), monies - rated, "rate")
        if rule.min_spend:
            path = ("earn", name, "min_spend")
            yield from _min_spend(path, rule.min_spend, monies)


def _min_spend(path: Path, amounts: Sequence[Amount], monies: frozenset[str]) -> Findings:
    given = [amount.currency for amount in amounts]
    yield from _repeated(path, given)
    yield from _unrated(path, monies - frozenset(given), "amount")
    if monies:
        yield from _dangling(path, given, monies, "rate for money in")


def _unrated(path: Path, missing: frozenset[str], what: str) -> Findings:
    if missing:
        listed = ", ".join(sorted(missing))
        yield Finding(path, f"it has no {what} for {listed}, which other rules rate", "Add one")


def _choice(path: Path, choice: Choice, names: Names) -> Findings:
    yield from _dangling((*path, "tier"), choice.tier, names.levels, "level")
    for key in (
        "sku",
        "category",
        "brand",
        "channel",
        "store",
        "payment",
        "tier",
        "segment",
        "nth",
    ):
        yield from _repeated((*path, key), getattr(choice, key))
    for key in ("sku", "category", "brand"):
        excluded = getattr(choice.exclude, key)
        yield from _repeated((*path, "exclude", key), excluded)
    if choice.days and choice.days.has_interval and not (choice.valid and choice.valid.first):
        yield Finding(
            (*path, "days"),
            "an INTERVAL needs a day to count from",
            "Give valid a first day, as in valid: 2011-03-01/..",
        )


def _evaluable(path: Path, when: Condition, event: str) -> Findings:
    if failure := failure_on(when, samples_of(event)):
        yield Finding(path, failure, "Guard it, as in order.lines.size() > 0 && …")


def _boosts(document: Document, names: Names) -> Findings:
    boosts = document.boosts
    applies_to = ("boosts", "applies_to")
    yield from _dangling(applies_to, boosts.applies_to, names.rules, "rule")
    yield from _repeated(applies_to, boosts.applies_to)
    events = {rule.event for rule in document.earn.values()}
    for name, boost in (boosts.model_extra or {}).items():
        path = ("boosts", name)
        yield from _choice(path, boost, names)
        for event in sorted(events) if boost.when else ():
            yield from _evaluable((*path, "when"), boost.when, event)
        if not boost.model_extra:
            yield Finding(path, "it multiplies nothing", "Add a factor, as in points: x2")
        yield from _unknown_currencies(path, boost.model_extra or (), names)


# Gifts, caps, rewards, successors -----------------------------------------------------------------


def _gifts(document: Document, names: Names) -> Findings:
    given: dict[str, str] = {}
    for name, gift in document.gifts.items():
        path = ("gifts", name)
        occasion = occasion_of(name, gift)
        if not occasion:
            remedy = "Add occasion: birthday or occasion: anniversary"
            yield Finding((*path, "occasion"), f"{name!r} does not tell the occasion", remedy)
        elif occasion in given:
            yield Finding(path, f"{given[occasion]!r} is for the same occasion", "Make it one gift")
        given.setdefault(occasion, name)
        if occasion == "birthday":
            yield from _misplaced(path, ("every",), gift, "a birthday comes each year")
        elif occasion:
            yield from _misplaced(path, ("date_known_for",), gift, "only birthdays are told to us")
        yield from _presents((*path, "give"), gift, names)


def occasion_of(name: str, gift: GiftSection) -> str:
    """The occasion of a gift, empty where neither it nor its name tells."""
    return gift.occasion or (name if name in ("birthday", "anniversary") else "")


def _presents(path: Path, gift: GiftSection, names: Names) -> Findings:
    yield from _repeated(
        path, [one.currency if isinstance(one, Points) else ("reward", one) for one in gift.give]
    )
    for index, one in enumerate(gift.give):
        if isinstance(one, str) and one not in names.rewards:
            remedy = one_of(names.rewards, one)
            yield Finding((*path, index), f"there is no reward {one!r}", remedy)
        elif isinstance(one, Points) and one.currency not in names.currencies:
            remedy = one_of(names.currencies, one.currency)
            yield Finding((*path, index), f"there is no currency {one.currency!r}", remedy)


def _caps(caps: Sequence[CapSection], names: Names) -> Findings:
    seen: set[tuple[str, str]] = set()
    for index, cap in enumerate(caps):
        path: Path = ("caps", index)
        capped = cap.model_extra or {}
        if not capped:
            yield Finding(path, "it caps no currency", "Name one, as in points: 10000")
        yield from _unknown_currencies(path, capped, names)
        for currency in capped:
            if (currency, cap.per) in seen:
                reason = f"{currency!r} has a cap per {cap.per} already"
                yield Finding((*path, currency), reason, "Keep one of the two")
            seen.add((currency, cap.per))


def _reward(path: Path, reward: RewardSection, names: Names) -> Findings:
    yield from _dangling((*path, "tier"), reward.tier, names.levels, "level")
    yield from _repeated((*path, "tier"), reward.tier)
    if reward.gift_only:
        yield from _misplaced(path, ("cost",), reward, "what is only ever a gift has no cost")
        yield from _misplaced(path, ("tier",), reward, "its gift says who gets it")
        return
    if reward.cost is None:
        remedy = "Add one, as in cost: 500 points, or gift_only: true"
        yield Finding((*path, "cost"), "it has no cost", remedy)
        return
    currency = reward.cost.currency
    if currency not in names.currencies - names.qualifying:
        known = currency in names.currencies
        reason = f"{currency!r} cannot be spent" if known else f"there is no currency {currency!r}"
        yield Finding(
            (*path, "cost"), reason, one_of(names.currencies - names.qualifying, currency)
        )


def _successors(document: Document, names: Names) -> Findings:
    known = {"levels": names.levels, "currencies": names.currencies, "rewards": names.rewards}
    for kind, there in known.items():
        for old, new in getattr(document.successors, kind).items():
            path = ("successors", kind, old)
            if old in there:
                yield Finding(path, f"{old!r} is still there", "Remove it")
            if new not in there:
                yield Finding(path, f"there is no {new!r} to follow it", one_of(there, new))
