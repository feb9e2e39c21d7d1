"""From a checked document to the programme that decisions use: nothing in it is parsed again."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from services.loyalty.domain.calendar import NEVER, Instant, from_datetime, midnight
from services.loyalty.domain.consistency import (
    is_day,
    least_days,
    least_step,
    occasion_of,
    spendable_of,
)
from services.loyalty.domain.earning_checks import TURNING_AWAY
from services.loyalty.domain.notation import Amount, Dates, Points
from services.loyalty.domain.program import (
    UNTIL_SETTLED,
    Basis,
    Boost,
    Boosts,
    Budget,
    Cap,
    Currency,
    Expiry,
    Filter,
    Gift,
    Give,
    Holds,
    Level,
    LocalDays,
    Pending,
    Pools,
    Program,
    Rate,
    Referring,
    Reward,
    Rule,
    Span,
    SpendPoints,
    Stamps,
    Tiers,
    VoucherTerms,
    Words,
)
from services.loyalty.domain.recurrence import Recurrence
from services.loyalty.domain.sections import (
    BasisSection,
    BoostSection,
    Choice,
    CurrencySection,
    Document,
    EarnSection,
    ExpiresSection,
    GiftSection,
    LevelSection,
    LinesSection,
    NamedSection,
    PendingSection,
    PoolsSection,
    RewardSection,
    StampsSection,
    TiersSection,
    VoucherSection,
)
from services.loyalty.domain.source import Path

_NOTICES = (30, 7)
"""Days ahead of an expiry on which members are told where the document does not say."""


def compile_program(document: Document, *, version: int, digest: str = "") -> Program:
    """The programme that a document makes as its ``version``; ``digest`` names the text it was."""
    zone = document.timezone
    written = tuple(_rule(name, rule, zone) for name, rule in document.earn.items())
    rules = (*written, *_measures(document))
    return Program(
        name=document.program,
        version=version,
        holds_from=from_datetime(document.holds_from.replace(tzinfo=zone)),
        zone=zone,
        currencies={name: _currency(name, one, zone) for name, one in document.currencies.items()},
        digest=digest,
        basis=_basis(document.spend.basis),
        exclude=_never_earns(document.spend.exclude),
        tiers=_tiers(document.tiers, document.rewards) if document.tiers else None,
        rules=rules,
        rules_by_event=_by_event(rules),
        boosts=_boosts(document, written, zone),
        gifts=tuple(_gift(name, gift, document) for name, gift in document.gifts.items()),
        stamps=tuple(_stamps(name, card, document) for name, card in document.stamps.items()),
        returns=document.returns.within,
        claim_within=document.guest_purchases.claim_within,
        referrals=tuple(
            _referring(name, rule, zone)
            for name, rule in document.earn.items()
            if rule.event == "referral.qualified"
        ),
        caps=tuple(
            Cap(currency, points, cap.per)
            for cap in document.caps
            for currency, points in (cap.model_extra or {}).items()
        ),
        rewards={name: _reward(name, reward, zone) for name, reward in document.rewards.items()},
        wait=document.refund_without_purchase.wait,
        transfers=document.transfers.allowed,
        transfer_min=document.transfers.min,
        transfer_limits=tuple(one.limit for one in document.transfers.limits or ()),
        pools=_pools(document.pools) if document.pools else None,
        closed_keeps=document.closing.keep_points_for,
        approval_above=document.adjustments.approval_above,
        approval_within=document.adjustments.approval_within,
        successors={
            "levels": document.successors.levels,
            "currencies": document.successors.currencies,
            "rewards": document.successors.rewards,
        },
        groups={
            rule.group: document.groups[rule.group].fires
            if rule.group in document.groups
            else "best"
            for rule in rules
            if rule.group
        },
        holds=Holds(
            document.holds.last,
            document.holds.longest,
            document.holds.most,
            document.holds.released_live,
        ),
        spend_points=_spend_points(document),
        restored_for=document.cancelled_redemption.if_expired.valid,
        language=language_of(document),
        words=_words(document),
    )


def language_of(document: Document) -> str:
    """The language of whoever asks for none that there is."""
    return document.language or next(iter(document.names), "en")


class Named(NamedTuple):
    """Something that may have names and descriptions: its section, its name there, and where both
    stand in the document.
    """

    section: str
    name: str
    path: Path
    words: NamedSection


def named_in(document: Document) -> Iterator[Named]:
    """Everything that may have names and descriptions; the document itself is ``program``."""
    yield Named("program", document.program, (), document)
    sections: Mapping[str, Mapping[str, NamedSection]] = {
        "currencies": document.currencies,
        "levels": document.tiers.levels if document.tiers else {},
        "benefits": document.benefits,
        "earn": document.earn,
        "boosts": document.boosts.model_extra or {},
        "gifts": document.gifts,
        "stamps": document.stamps,
        "badges": document.badges,
        "rewards": document.rewards,
        "reasons": document.reasons,
    }
    for section, named in sections.items():
        above = ("tiers",) if section == "levels" else ()
        for name, words in named.items():
            yield Named(section, name, (*above, section, name), words)


def _words(document: Document) -> Mapping[str, Mapping[str, Words]]:
    words: dict[str, dict[str, Words]] = {}
    for section, name, _, one in named_in(document):
        words.setdefault(section, {})[name] = Words(one.names, one.descriptions)
    return words


def _pools(section: PoolsSection) -> Pools:
    return Pools(
        section.members,
        section.may_spend,
        section.min_stay,
        section.rejoin_after,
        section.owner_leaves,
        section.when_closed,
    )


def _spend_points(document: Document) -> SpendPoints | None:
    section = document.spend_points
    if section is None:
        return None
    currency = section.currency or spendable_of(document)[0]
    rates = {rate.money: rate for rate in section.rate}
    return SpendPoints(
        currency,
        rates,
        least=section.min,
        step=section.step or least_step(section.rate),
        max_share=section.max_share,
        hold_s=section.hold,
    )


def _currency(name: str, section: CurrencySection, zone: ZoneInfo) -> Currency:
    return Currency(
        name,
        qualifies=section.qualifies,
        worth=section.worth,
        pending=_pending(section.pending, zone),
        expiry=_expiry(section.expires) if section.expires else None,
        window=section.window,
        counts=section.counts,
        shortfall=section.refund_shortfall,
        late=section.late,
        money=section.measures.money if section.measures else "",
    )


def _pending(section: PendingSection | None, zone: ZoneInfo) -> Pending | None:
    if section is None:
        return None
    if isinstance(section.until, date):
        return Pending(until_at=midnight(section.until, zone))
    if section.until:
        return Pending(until_delivered=True, cancel_after=section.cancel_after or Span(days=60))
    return Pending(section.for_ or Span(), exact=section.exact)


def _expiry(section: ExpiresSection) -> Expiry:
    span = section.after or section.inactive or Span()
    least = least_days(span)
    fixed = is_day(section.at)
    notices = section.notice or [days for days in _NOTICES if fixed or days < least]
    moved_by = section.moved_by or ("purchase", "redemption") if section.inactive else ()
    return Expiry(
        span,
        section.counted_from,
        section.at,
        tuple(sorted(notices, reverse=True)),
        frozenset(moved_by),
    )


def _basis(section: BasisSection) -> Basis:
    return Basis(
        tax=section.tax == "included",
        shipping=section.shipping == "included",
        prepaid=section.paid_by_points_or_voucher == "included",
    )


def _tiers(section: TiersSection, rewards: Container[str]) -> Tiers:
    levels = tuple(
        replace(
            _level(name, one, section.by),
            points=_points(one.give or ()),
            rewards=_named(one.give or (), rewards),
        )
        for name, one in section.levels.items()
    )
    year = Span(months=12)
    at_end = section.at_end
    return Tiers(
        currency=section.by,
        levels=levels,
        kept=section.kept.for_ or year,
        kept_until=section.kept.until or "",
        grace=at_end.grace,
        fall=at_end.fall,
        new_level_kept=at_end.new_level_kept or section.kept.for_ or year,
        warn_days=tuple(sorted(at_end.warn, reverse=True)),
        refund=section.refund,
        on_change=section.on_change,
        give_when=frozenset(section.give_when),
    )


def _level(name: str, section: LevelSection, by: str) -> Level:
    if section.from_ is not None:
        return Level(name, _number(section.from_), section.benefits, section.badge or "")
    needs = tuple(
        (currency, _number(threshold))
        for condition in section.all_ or section.any_ or ()
        for currency, threshold in condition.items()
    )
    how = "any" if section.any_ else "all"
    least = dict(needs).get(by, 0)
    return Level(name, least, section.benefits, section.badge or "", needs, how)


def _number(threshold: Amount | int) -> int:
    return threshold.minor if isinstance(threshold, Amount) else threshold


# Rules and boosts ---------------------------------------------------------------------------------


def _rule(name: str, section: EarnSection, zone: ZoneInfo) -> Rule:
    gives = [_give(currency, given) for currency, given in section.give.items()]
    budget = _budget(section)
    if budget:  # what it lacks is known before anything else is given
        gives.sort(key=lambda give: give.currency != budget.currency)
    has_rates = any(rate for give in gives for rate in give.rates.values() if not rate.full)
    valid_from, valid_until = _validity(section, zone)
    return Rule(
        id=name,
        event=section.event,
        gives=tuple(gives),
        of=section.kind or "",
        filter=_choice(section),
        round=section.round,
        per=section.per,
        min_spend={amount.currency: amount.minor for amount in section.min_spend or ()},
        valid_from=valid_from,
        valid_until=valid_until,
        days=_days(section),
        when=section.when,
        condition=section.when.text if section.when else "",
        limit=section.limit.limit if section.limit else None,
        on_refund=section.on_refund or ("prorate" if has_rates else "revoke"),
        badge=section.badge or "",
        pending=_pending(section.pending, zone),
        max_spend={amount.currency: amount.minor for amount in section.max_spend or ()},
        group=section.group or "",
        holdout=section.holdout or 0,
        local=_local_days(section),
        funding=section.funding or ("purchase" if section.event == "purchase" else "gratuitous"),
        budget=budget,
        rewards=tuple(section.reward or ()),
    )


def _budget(section: EarnSection) -> Budget | None:
    if section.budget is None:
        return None
    partial = section.budget_short != "nothing"
    return Budget(section.budget.currency, section.budget.points, partial)


def _measures(document: Document) -> Iterable[Rule]:
    """The rules of currencies that count by themselves; no name of the document has a colon."""
    for name, currency in document.currencies.items():
        if currency.measures is None:
            continue
        what, money = currency.measures
        give = Give(name, {money: Rate(1, 1, money)}) if money else Give(name, fixed=1)
        event = "engagement" if what == "engagements" else "purchase"
        on_refund = "prorate" if money else "revoke"
        yield Rule(f"measure:{name}", event, (give,), on_refund=on_refund)


def _referring(name: str, section: EarnSection, zone: ZoneInfo) -> Referring:
    rule = _rule(name, section, zone)
    friend = replace(
        rule,
        gives=tuple(Give(currency, fixed=points) for currency, points in section.friend.items()),
        limit=None,
        on_refund="revoke",
        pending=UNTIL_SETTLED,
    )
    return Referring(
        name,
        friend,
        points={give.currency: give.fixed for give in rule.gives},
        limit=rule.limit,
        window=section.pending.for_ if section.pending else None,
    )


def _give(currency: str, given: Iterable[Rate | int]) -> Give:
    rates = {one.money: one for one in given if isinstance(one, Rate)}
    return Give(currency, rates, sum(one for one in given if isinstance(one, int)))


def _by_event(rules: Iterable[Rule]) -> Mapping[str, tuple[Rule, ...]]:
    index: dict[str, list[Rule]] = {}
    for rule in rules:
        key = f"engagement:{rule.of}" if rule.event == "engagement" else rule.event
        index.setdefault(key, []).append(rule)
    return {key: tuple(found) for key, found in index.items()}


def _boosts(document: Document, rules: Iterable[Rule], zone: ZoneInfo) -> Boosts:
    section = document.boosts
    with_rates = (rule.id for rule in rules if any(give.rates for give in rule.gives))
    named: Mapping[str, BoostSection] = section.model_extra or {}
    return Boosts(
        tuple(_boost(name, boost, zone) for name, boost in named.items()),
        section.stacking,
        frozenset(section.applies_to or with_rates),
    )


def _boost(name: str, section: BoostSection, zone: ZoneInfo) -> Boost:
    valid_from, valid_until = _validity(section, zone)
    return Boost(
        name,
        factors=dict(section.model_extra or {}),
        filter=_choice(section),
        valid_from=valid_from,
        valid_until=valid_until,
        days=_days(section),
        when=section.when,
        condition=section.when.text if section.when else "",
        holdout=section.holdout or 0,
        local=_local_days(section),
    )


_CHOICES = ("sku", "category", "brand", "channel", "store", "payment", "tier", "segment", "nth")


def _choice(section: Choice) -> Filter:
    kept: dict[str, Any] = {key: frozenset(getattr(section, key) or ()) for key in _CHOICES}
    turned_away: dict[str, Any] = {
        f"exclude_{key}": frozenset(getattr(section.exclude, key) or ()) for key in TURNING_AWAY
    }
    return Filter(**kept, **_excluded(section.exclude), **turned_away)


def _never_earns(section: LinesSection) -> Filter:
    """The filter that chooses the lines of which nothing earns."""
    return Filter(
        sku=frozenset(section.sku or ()),
        category=frozenset(section.category or ()),
        brand=frozenset(section.brand or ()),
    )


def _excluded(section: LinesSection) -> dict[str, frozenset[Any]]:
    lists = {"sku": section.sku, "category": section.category, "brand": section.brand}
    return {f"exclude_{key}": frozenset(items or ()) for key, items in lists.items()}


def _validity(section: Choice, zone: ZoneInfo) -> tuple[Instant, Instant]:
    """From the first midnight until before the midnight after the last day, by the programme's
    calendar; by the member's own, days are compared instead.
    """
    return _between(None if section.calendar == "member" else section.valid, zone)


def _between(valid: Dates | None, zone: ZoneInfo) -> tuple[Instant, Instant]:
    if valid is None:
        return 0, NEVER
    start = midnight(valid.first, zone) if valid.first else 0
    end = midnight(valid.last + timedelta(days=1), zone) if valid.last else NEVER
    return start, end


def _days(section: Choice) -> Recurrence | None:
    return None if section.calendar == "member" else _recurrence(section)


def _recurrence(section: Choice) -> Recurrence | None:
    if section.days is None:
        return None
    return section.days.anchored(section.valid.first if section.valid else None)


def _local_days(section: Choice) -> LocalDays | None:
    if section.calendar == "programme" or not (section.valid or section.days):
        return None
    valid = section.valid or Dates(None, None)
    return LocalDays(valid.first, valid.last, _recurrence(section))


# Rewards and gifts --------------------------------------------------------------------------------


def _reward(name: str, section: RewardSection, zone: ZoneInfo) -> Reward:
    valid_from, valid_until = _between(section.valid, zone)
    return Reward(
        name,
        cost=section.cost.points if section.cost else 0,
        currency=section.cost.currency if section.cost else "",
        gift_only=section.gift_only,
        tier=frozenset(section.tier or ()),
        stock=section.stock,
        limit=section.limit.limit if section.limit else None,
        segment=frozenset(section.segment or ()),
        valid_from=valid_from,
        valid_until=valid_until,
        voucher=_voucher(section.voucher) if section.voucher else None,
    )


def _voucher(section: VoucherSection) -> VoucherTerms:
    worth = section.worth
    return VoucherTerms(
        valid=section.valid,
        money=worth.currency if worth else "",
        worth=worth.minor if worth else 0,
        percent=section.percent or 0,
        item=section.item or "",
        terms=section.terms,
    )


def _gift(name: str, section: GiftSection, document: Document) -> Gift:
    given = section.give or []
    return Gift(
        id=name,
        occasion=occasion_of(name, section),
        points=_points(given),
        rewards=_named(given, document.rewards),
        badges=_named(given, document.badges),
        member_for=section.member_for,
        at_most_once_in=section.at_most_once_in,
        leap_day=section.leap_day,
        settled=30 if section.date_known_for is None else section.date_known_for,
        years=section.every or 1,
        choose=tuple(section.choose or ()),
        claim_within=section.claim_within or (Span(days=30) if section.choose else None),
    )


def _points(given: Iterable[Points | str]) -> Mapping[str, int]:
    return {one.currency: one.points for one in given if isinstance(one, Points)}


def _named(given: Iterable[Points | str], there: Container[str]) -> tuple[str, ...]:
    return tuple(one for one in given if isinstance(one, str) and one in there)


# Stamps -------------------------------------------------------------------------------------------


def _stamps(name: str, section: StampsSection, document: Document) -> Stamps:
    zone = document.timezone
    valid_from, valid_until = _validity(section, zone)
    look = Rule(
        name,
        "purchase",
        (),
        filter=_choice(section),
        min_spend={amount.currency: amount.minor for amount in section.min_spend or ()},
        valid_from=valid_from,
        valid_until=valid_until,
        days=_days(section),
        when=section.when,
        condition=section.when.text if section.when else "",
        holdout=section.holdout or 0,
        local=_local_days(section),
    )
    chosen = look.filter
    activity = Filter(
        channel=chosen.channel,
        tier=chosen.tier,
        segment=chosen.segment,
        nth=chosen.nth,
        exclude_channel=chosen.exclude_channel,
        exclude_tier=chosen.exclude_tier,
        exclude_segment=chosen.exclude_segment,
    )
    engaged = replace(look, event="engagement", filter=activity, min_spend={})
    return Stamps(
        name,
        look,
        engaged,
        events=frozenset(section.event),
        collect=section.collect,
        zone=zone,
        kinds=frozenset(section.kind or ()),
        every=section.every or "",
        different=section.different or "",
        within=section.within,
        points=_points(section.give),
        rewards=_named(section.give, document.rewards),
        badges=_named(section.give, document.badges),
        limit=section.limit.limit if section.limit else None,
        on_refund=section.on_refund,
    )
