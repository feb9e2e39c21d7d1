"""What must hold between the keys of a programme document.

Each check looks at one section and yields findings: path, reason and remedy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import gcd, lcm
from zoneinfo import ZoneInfo

from services.loyalty.domain.earning_checks import earning_findings
from services.loyalty.domain.findings import (
    Finding,
    Findings,
    Names,
    check_pending,
    dangling,
    misplaced,
    one_way,
    repeated,
    unknown_currencies,
)
from services.loyalty.domain.mistakes import one_of
from services.loyalty.domain.notation import Amount, Points
from services.loyalty.domain.program import Rate, Span
from services.loyalty.domain.sections import (
    BoostSection,
    CapSection,
    CurrencySection,
    Document,
    ExpiresSection,
    GiftSection,
    LevelSection,
    RewardSection,
    SpendPointsSection,
    TiersSection,
    VoucherSection,
)
from services.loyalty.domain.source import Path
from services.loyalty.domain.stamp_checks import presents, stamp_findings


def inconsistencies(document: Document, names: Names) -> Findings:
    """Everything that does not fit together."""
    yield from _start(document)
    yield from _distinct_names(document)
    for name, currency in document.currencies.items():
        yield from _currency(("currencies", name), name, currency)
    if document.tiers is not None:
        yield from _tiers(document, document.tiers, names)
    yield from _measured(document)
    yield from earning_findings(document, names)
    yield from _gifts(document, names)
    yield from stamp_findings(document, names)
    yield from _caps(document.caps, names)
    for name, reward in document.rewards.items():
        yield from _reward(("rewards", name), reward, names)
    yield from _holds(document)
    if document.spend_points is not None:
        yield from _spend_points(document, document.spend_points, names)
    yield from _benefits(document)
    if document.pools is not None and document.pools.members not in _HOUSEHOLDS:
        yield Finding(("pools", "members"), "that is no household", "Write a number from 2 to 50")
    yield from _successors(document, names)


_HOUSEHOLDS = range(2, 51)


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
    levels = document.tiers.levels if document.tiers else {}
    for section, members in (
        ("tiers", [name for name, level in levels.items() if level.give]),
        ("earn", document.earn),
        ("boosts", boosts),
        ("gifts", document.gifts),
        ("stamps", document.stamps),
    ):
        for name in members:
            if name in taken:
                yield Finding(
                    (section, name),
                    f"{taken[name]} has the same name, so that no entry could tell them apart",
                    "Choose another name",
                )
            taken.setdefault(name, section)


# Currencies and tiers -----------------------------------------------------------------------------


def _currency(path: Path, name: str, currency: CurrencySection) -> Findings:
    if currency.pending:
        yield from check_pending((*path, "pending"), currency.pending)
    if currency.expires:
        yield from _expires((*path, "expires"), currency.expires)
    if currency.qualifies:
        yield from _qualifying(path, currency)
    else:
        why = "only a currency that qualifies for tiers has it"
        yield from misplaced(path, ("window", "counts", "measures"), currency, why)


def _qualifying(path: Path, currency: CurrencySection) -> Findings:
    if not currency.window:
        yield Finding(
            (*path, "window"),
            "a currency that qualifies for tiers has no window in which it counts",
            "Add one, as in window: {rolling: 12 months} or window: calendar_year",
        )
    spendable = ("worth", "expires", "refund_shortfall", "late")
    yield from misplaced(path, spendable, currency, "points that qualify are not spent")
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


def _measured(document: Document) -> Findings:
    """What counts by itself is given by nothing else."""
    by_itself = {name for name, currency in document.currencies.items() if currency.measures}
    given: list[tuple[Path, str]] = []
    for name, rule in document.earn.items():
        given += [(("earn", name, "give", currency), currency) for currency in rule.give]
    for name, boost in (document.boosts.model_extra or {}).items():
        given += [(("boosts", name, currency), currency) for currency in boost.model_extra or ()]
    for name, gift in document.gifts.items():
        given += [
            (("gifts", name, "give", index), one.currency)
            for index, one in enumerate(gift.give or ())
            if isinstance(one, Points)
        ]
    for path, currency in given:
        if currency in by_itself:
            yield Finding(path, f"{currency!r} counts by itself", "Remove it, or its 'measures'")


def is_day(at: str) -> bool:
    """Whether points end on a day, of each year or the only one."""
    return at[-2:].isdigit()


def _expires(path: Path, expires: ExpiresSection) -> Findings:
    yield from _life(path, expires)
    yield from repeated((*path, "notice"), expires.notice)
    span = expires.after or expires.inactive
    if span is None or is_day(expires.at):
        return
    for index, days in enumerate(expires.notice or ()):
        if days >= least_days(span):
            yield Finding(
                (*path, "notice", index),
                f"points may live no longer than {least_days(span)} days",
                "Tell members later, or let points live longer",
            )


def _life(path: Path, expires: ExpiresSection) -> Findings:
    """Points live for a span, while the member is active, or to a day."""
    if expires.inactive is None:
        why = "only points that expire by inactivity have it"
        yield from misplaced(path, ("moved_by",), expires, why)
    else:
        why = "the life of points that expire by inactivity is not counted from themselves"
        yield from misplaced(path, ("after", "counted_from"), expires, why)
        if expires.at not in ("end_of_month", "end_of_year"):
            yield Finding(
                (*path, "at"),
                "it moves with each activity, and moves are counted by month",
                "Write end_of_month or end_of_year",
            )
        if least_days(expires.inactive) > _LONGEST_INACTIVITY:
            remedy = "Write 10 years or less, or let points never expire"
            yield Finding((*path, "inactive"), "that is longer than anybody waits", remedy)
        yield from repeated((*path, "moved_by"), expires.moved_by)
        return
    if len(expires.at) == len("2012-03-31") and is_day(expires.at):
        why = "the day is the end, however long they have lived"
        yield from misplaced(path, ("after", "counted_from"), expires, why)
    elif expires.after is None and not is_day(expires.at):
        yield Finding((*path, "after"), "it is missing", "Add it, as in after: 12 months")


_LONGEST_INACTIVITY = 3660
"""Days; a move is kept for as long, by month."""


def least_days(span: Span) -> int:
    """The fewest days that a span can last."""
    return span.months // 12 * 365 + span.months % 12 * 28 + span.days


def _tiers(document: Document, tiers: TiersSection, names: Names) -> Findings:
    if tiers.by not in names.qualifying:
        known = tiers.by in names.currencies
        reason = f"{tiers.by!r} does not qualify" if known else f"there is no currency {tiers.by!r}"
        remedy = "Write qualifies: true there" if known else one_of(names.qualifying, tiers.by)
        yield Finding(("tiers", "by"), reason, remedy)
    yield from _levels(document, tiers, names)
    yield from _windows(document, tiers)
    yield from _kept(document, tiers)
    yield from repeated(("tiers", "at_end", "warn"), tiers.at_end.warn)


def _benefits(document: Document) -> Findings:
    """What is named is had at some level."""
    levels = document.tiers.levels.values() if document.tiers else ()
    had = frozenset(name for level in levels for name in level.benefits)
    for name in document.benefits:
        if name not in had:
            yield Finding(("benefits", name), "no level has this benefit", one_of(had, name))


def _level_badge(name: str, level: LevelSection, names: Names, *, first: bool) -> Findings:
    if first:
        why = "nobody rises to the first level"
        yield from misplaced(("tiers", "levels", name), ("badge",), level, why)
    elif level.badge and level.badge not in names.badges:
        remedy = one_of(names.badges, level.badge)
        path = ("tiers", "levels", name, "badge")
        yield Finding(path, f"there is no badge {level.badge!r}", remedy)


def _level_gives(name: str, level: LevelSection, names: Names, *, first: bool) -> Findings:
    path: Path = ("tiers", "levels", name, "give")
    if first:
        why = "nobody rises to the first level"
        yield from misplaced(("tiers", "levels", name), ("give",), level, why)
        return
    yield from presents(path, level.give or (), names)
    for index, one in enumerate(level.give or ()):
        if isinstance(one, Points) and one.currency in names.qualifying:
            remedy = "Name a currency that can be spent"
            yield Finding((*path, index), "it would hold the level up by itself", remedy)
        elif isinstance(one, str) and one in names.badges:
            yield Finding((*path, index), "a level has a key for it", f"Write badge: {one}")


def _levels(document: Document, tiers: TiersSection, names: Names) -> Findings:
    below: int | None = None
    for place, (name, level) in enumerate(tiers.levels.items()):
        path: Path = ("tiers", "levels", name)
        ways = [key for key in ("from_", "all_", "any_") if getattr(level, key) is not None]
        if len(ways) != 1:
            reason = "nothing says when it is reached" if not ways else "it is reached in two ways"
            yield Finding(path, reason, "Give exactly one of from, all and any")
            continue
        for where, currency, threshold in _needs(path, tiers.by, level):
            yield from _need(where, document, names, currency, threshold)
        if not place and (level.from_ is None or minor(level.from_)):
            yield Finding(
                (*path, "from"), "the first level is not from 0", "Begin with a level from 0"
            )
        elif place and level.from_ is not None:
            if below is not None and minor(level.from_) <= below:
                remedy = "Order levels by rising 'from'"
                yield Finding((*path, "from"), "it is not above the level before", remedy)
            below = minor(level.from_)
        below = 0 if below is None else below
        yield from _level_badge(name, level, names, first=not place)
        yield from _level_gives(name, level, names, first=not place)
        yield from _conditions(path, level)
    if not tiers.levels:
        yield Finding(
            ("tiers", "levels"), "there is no level", "Add one from 0, as in basic: {from: 0}"
        )


def minor(threshold: Amount | int) -> int:
    """A threshold as a number: points, or minor units of money."""
    return threshold.minor if isinstance(threshold, Amount) else threshold


def _needs(path: Path, by: str, level: LevelSection) -> Iterator[tuple[Path, str, Amount | int]]:
    """What a level needs, of which currency, and where it stands."""
    if level.from_ is not None:
        yield (*path, "from"), by, level.from_
    for key, listed in (("all", level.all_), ("any", level.any_)):
        for index, condition in enumerate(listed or ()):
            for currency, threshold in condition.items():
                yield (*path, key, index, currency), currency, threshold


def _need(
    path: Path, document: Document, names: Names, currency: str, threshold: Amount | int
) -> Findings:
    if path[-1] == currency and currency not in names.qualifying:
        known = currency in names.currencies
        reason = f"{currency!r} does not qualify" if known else f"there is no currency {currency!r}"
        yield Finding(path, reason, one_of(names.qualifying, currency))
        return
    section = document.currencies.get(currency)
    if section is None or not minor(threshold):
        return
    money = section.measures.money if section.measures else ""
    given = threshold.currency if isinstance(threshold, Amount) else ""
    if given != money:
        remedy = f"Write an amount, as in 1000.00 {money}" if money else "Write a whole number"
        yield Finding(path, f"{currency!r} does not count {given or 'points'}", remedy)


def _conditions(path: Path, level: LevelSection) -> Findings:
    for key, listed in (("all", level.all_), ("any", level.any_)):
        if listed is None:
            continue
        here = (*path, key)
        if not listed:
            yield Finding(here, "it lists nothing", "List what is needed, as in status: 5000")
        yield from repeated(here, [currency for condition in listed for currency in condition])
        for index, condition in enumerate(listed):
            if len(condition) != 1:
                remedy = "Write one currency and how much of it, as in status: 5000"
                yield Finding((*here, index), "a condition is of one currency", remedy)
            elif not all(minor(threshold) for threshold in condition.values()):
                yield Finding((*here, index), "0 is always there", "Write more, or leave it out")


def _windows(document: Document, tiers: TiersSection) -> Findings:
    """What levels compare has to lie in one and the same window."""
    needed = {
        currency: where
        for name, level in tiers.levels.items()
        for where, currency, _ in _needs(("tiers", "levels", name), tiers.by, level)
    }
    by = document.currencies.get(tiers.by)
    for currency, where in needed.items():
        section = document.currencies.get(currency)
        if by and section and by.window and section.window and section.window != by.window:
            yield Finding(
                where,
                f"{currency!r} and {tiers.by!r} count over different windows",
                "Give both the same window: a level is reached within one",
            )


def _kept(document: Document, tiers: TiersSection) -> Findings:
    kept, path = tiers.kept, ("tiers", "kept")
    yield from one_way(path, kept.for_, kept.until)
    currency = document.currencies.get(tiers.by)
    if kept.until and currency and currency.window and currency.window.kind == "rolling":
        yield Finding(
            (*path, "until"), "a rolling window has no end", "Write it like for: 12 months"
        )


# Gifts, caps, rewards, successors -----------------------------------------------------------------


def _gifts(document: Document, names: Names) -> Findings:
    given: dict[str, str] = {}
    for name, gift in document.gifts.items():
        path = ("gifts", name)
        occasion = occasion_of(name, gift)
        if not occasion:
            remedy = f"Add occasion: {', '.join(_OCCASIONS[:-1])} or {_OCCASIONS[-1]}"
            yield Finding((*path, "occasion"), f"{name!r} does not tell the occasion", remedy)
        elif occasion in given:
            yield Finding(path, f"{given[occasion]!r} is for the same occasion", "Make it one gift")
        given.setdefault(occasion, name)
        if occasion == "tier-anniversary" and not document.tiers:
            yield Finding(path, "there are no tiers", "Add tiers, or remove it")
        if occasion == "birthday":
            yield from misplaced(path, ("every",), gift, "a birthday comes each year")
        elif occasion:
            yield from misplaced(path, ("date_known_for",), gift, "only birthdays are told to us")
        if not gift.give and not gift.choose:
            remedy = "Add give, as in give: [200 points], or choose"
            yield Finding((*path, "give"), "it gives nothing", remedy)
        yield from presents((*path, "give"), gift.give or (), names)
        yield from dangling((*path, "choose"), gift.choose, names.rewards, "reward")
        yield from repeated((*path, "choose"), gift.choose)


_OCCASIONS = ("birthday", "anniversary", "tier-anniversary")


def occasion_of(name: str, gift: GiftSection) -> str:
    """The occasion of a gift, empty where neither it nor its name tells."""
    return gift.occasion or (name if name in _OCCASIONS else "")


def _caps(caps: Sequence[CapSection], names: Names) -> Findings:
    seen: set[tuple[str, str]] = set()
    for index, cap in enumerate(caps):
        path: Path = ("caps", index)
        capped = cap.model_extra or {}
        if not capped:
            yield Finding(path, "it caps no currency", "Name one, as in points: 10000")
        yield from unknown_currencies(path, capped, names)
        for currency in capped:
            if (currency, cap.per) in seen:
                reason = f"{currency!r} has a cap per {cap.per} already"
                yield Finding((*path, currency), reason, "Keep one of the two")
            seen.add((currency, cap.per))


def _reward(path: Path, reward: RewardSection, names: Names) -> Findings:
    yield from dangling((*path, "tier"), reward.tier, names.levels, "level")
    yield from repeated((*path, "tier"), reward.tier)
    yield from repeated((*path, "segment"), reward.segment)
    if reward.limit and reward.limit.currency:
        yield Finding(
            (*path, "limit"), "a reward is limited in times", "Write it like limit: 2 per year"
        )
    if reward.voucher is not None:
        yield from _voucher((*path, "voucher"), reward.voucher)
    if reward.gift_only:
        yield from misplaced(path, ("cost",), reward, "what is only ever a gift has no cost")
        gates = ("tier", "segment", "limit", "valid")
        yield from misplaced(path, gates, reward, "its gift says who gets it, and when")
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


# Holds and points as money ------------------------------------------------------------------------


def _holds(document: Document) -> Findings:
    if document.holds.last > document.holds.longest:
        yield Finding(
            ("holds", "last"), "it is longer than the longest hold", "Let 'longest' be longer"
        )


def _spend_points(document: Document, section: SpendPointsSection, names: Names) -> Findings:
    path: Path = ("spend_points",)
    spendable = names.currencies - names.qualifying
    if section.currency is None:
        if len(spendable) != 1:
            reason = "it does not say which points, and there is more than one kind"
            yield Finding(path, reason, "Name them, as in currency: points")
    elif section.currency not in spendable:
        known = section.currency in names.currencies
        reason = (
            f"{section.currency!r} cannot be spent"
            if known
            else f"there is no currency {section.currency!r}"
        )
        yield Finding((*path, "currency"), reason, one_of(spendable, section.currency))
    yield from repeated((*path, "rate"), [rate.money for rate in section.rate])
    step = section.step or least_step(section.rate)
    for rate in section.rate:
        if step * rate.per % rate.points:
            yield Finding(
                (*path, "step"),
                f"{step} points are no whole number of minor units of {rate.money}",
                f"Use a multiple of {least_step(section.rate)}, or leave it out",
            )
    if section.min % step:
        yield Finding(
            (*path, "min"), "it is no multiple of the step", f"Write a multiple of {step}"
        )
    if section.hold > document.holds.longest:
        yield Finding(
            (*path, "hold"), "it is longer than the longest hold", "Let holds: longest be longer"
        )


def spendable_of(document: Document) -> list[str]:
    """The currencies of a document that can be spent."""
    return [name for name, terms in document.currencies.items() if not terms.qualifies]


def least_step(rates: Sequence[Rate]) -> int:
    """The fewest points that are worth whole minor units at every rate."""
    return lcm(*(rate.points // gcd(rate.points, rate.per) for rate in rates))


def _voucher(path: Path, voucher: VoucherSection) -> Findings:
    if voucher.percent and voucher.item:
        yield Finding(
            (*path, "item"),
            "a voucher takes a share off or is exchanged for something, not both",
            "Keep one of the two",
        )
    if not (voucher.worth or voucher.percent or voucher.item or voucher.terms):
        yield Finding(
            path,
            "nothing says what it is good for",
            "Add worth, percent, item or terms, as in worth: 5.00 GBP",
        )
    if voucher.worth and not voucher.worth.minor:
        yield Finding((*path, "worth"), "it is worth nothing", "Leave it out")


def _successors(document: Document, names: Names) -> Findings:
    known = {"levels": names.levels, "currencies": names.currencies, "rewards": names.rewards}
    for kind, there in known.items():
        for old, new in getattr(document.successors, kind).items():
            path = ("successors", kind, old)
            if old in there:
                yield Finding(path, f"{old!r} is still there", "Remove it")
            if new not in there:
                yield Finding(path, f"there is no {new!r} to follow it", one_of(there, new))
