"""The programme as decisions use it: a published document, compiled.

:mod:`document` checks what marketing wrote and compiles it into these values; nothing here is
parsed again. Money is integer minor units, durations and dates are in the programme's zone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from services.loyalty.domain.calendar import LONGEST_DAY, NEVER, Instant
from services.loyalty.domain.conditions import LINE_FIELDS, Condition


@dataclass(frozen=True, slots=True)
class Span:
    """A length of calendar time: whole months plus whole days."""

    months: int = 0
    days: int = 0


@dataclass(frozen=True, slots=True)
class Pending:
    """How long points cannot be spent: for a span, until delivery, or until before ``until_at``.

    ``exact`` keeps the time of day; otherwise activation is rounded up to the next local midnight.
    ``until_settled`` is for referrals: until the return window of the friend's purchase has ended.
    """

    span: Span = Span()
    until_delivered: bool = False
    cancel_after: Span = Span(days=60)
    exact: bool = False
    until_at: Instant = 0
    until_settled: bool = False


UNTIL_SETTLED = Pending(until_settled=True)


@dataclass(frozen=True, slots=True)
class Expiry:
    """When points expire: a span after they were earned (or activated), rounded up to the end of a
    month, a year or a fixed day; or a span after the member's last activity.

    ``at`` is ``exact`` (next local midnight), ``end_of_month``, ``end_of_year``, a day of each year
    (``03-31``) or the one day at whose end they expire (``2012-03-31``). ``notices`` are days
    ahead. ``moved_by`` names the kinds of activity after which the span begins anew for all points
    of the currency; it is empty where each lot has an end of its own.
    """

    after: Span
    counted_from: str = "earned"
    at: str = "end_of_month"
    notices: tuple[int, ...] = ()
    moved_by: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Window:
    """The window in which qualifying points count: ``rolling`` (the current month and ``months -
    1`` before it), ``calendar_year`` or ``member_year``.
    """

    kind: str
    months: int = 12


@dataclass(frozen=True, slots=True)
class Currency:
    """A currency of points. ``qualifies`` marks one that counts towards tiers and cannot be spent.

    ``worth`` is what one point is worth, as (minor units, per points, ISO 4217 code), or None.
    ``shortfall`` says what becomes of a clawback that finds no points: ``arrears``, ``write_off``
    or ``pending_only``. ``late`` is how long points live that are already past their expiry when
    they come: zero expires them at once. ``money`` is the currency of money whose minor units it
    counts, where it measures spend.
    """

    name: str
    qualifies: bool = False
    worth: tuple[int, int, str] | None = None
    pending: Pending | None = None
    expiry: Expiry | None = None
    window: Window | None = None
    counts: str = "when_earned"
    shortfall: str = "arrears"
    late: Span = Span()
    money: str = ""


@dataclass(frozen=True, slots=True)
class Level:
    """A tier level: its name, what reaches it, its benefits, and what rising to it gives.

    ``threshold`` is the window balance of the tiers' own currency from which it is reached.
    ``needs`` holds what is needed of each currency, where that is more or other than the threshold:
    ``all`` of it or ``any`` one (``how``). Tiers fill it for every level.
    """

    name: str
    threshold: int
    benefits: Mapping[str, str] = field(default_factory=dict)
    badge: str = ""
    needs: tuple[tuple[str, int], ...] = ()
    how: str = "all"
    points: Mapping[str, int] = field(default_factory=dict)
    rewards: tuple[str, ...] = ()

    def allows(self, counted: Mapping[str, int]) -> bool:
        """Whether what a window counts, by currency, reaches the level."""
        if len(self.needs) == 1:
            [(currency, needed)] = self.needs
            return counted[currency] >= needed
        enough = [counted[currency] >= needed for currency, needed in self.needs]
        return any(enough) if self.how == "any" else all(enough)


@dataclass(frozen=True, slots=True)
class Tiers:
    """Levels, lowest first, the first of which is everybody's.

    Attributes:
        currency: the qualifying currency by which they are reached.
        currencies: that one, and others that levels need; all have the same window.
        kept: how long a reached level is kept, from the instant of reaching it; or
        kept_until: ``""``, or ``end_of_window`` / ``end_of_next_window``: to the end of the
            calendar or member year.
        grace: extra time after the period's end in which reaching the level again keeps it.
        fall: ``one_level``, or ``to_qualified``: to what the window allows.
        new_level_kept: how long a level reached by falling is kept.
        warn_days: days before the period's end on which a member who would fall is warned.
        refund: ``undo_what_it_bought`` or ``at_end``.
        on_change: what members get at the instant from which a version holds that changes the
            tiers: ``keep_until_review``, ``rise_at_once`` or ``judge_at_once``.
        give_when: the ways of rising that give what a level gives: ``reached``, ``rules_changed``
            or ``manual``.
    """

    currency: str
    levels: tuple[Level, ...]
    kept: Span = Span(months=12)
    kept_until: str = ""
    grace: Span = Span()
    fall: str = "one_level"
    new_level_kept: Span = Span(months=12)
    warn_days: tuple[int, ...] = ()
    refund: str = "undo_what_it_bought"
    on_change: str = "keep_until_review"
    give_when: frozenset[str] = frozenset({"reached"})
    currencies: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        levels = tuple(
            level if level.needs else replace(level, needs=((self.currency, level.threshold),))
            for level in self.levels
        )
        others = (currency for level in levels for currency, _ in level.needs)
        object.__setattr__(self, "levels", levels)
        object.__setattr__(self, "currencies", tuple(dict.fromkeys((self.currency, *others))))


@dataclass(frozen=True, slots=True)
class Filter:
    """Structural conditions; an empty set does not filter. All given ones must hold.

    ``sku``, ``category`` and ``brand`` choose lines, and with ``exclude_`` leave lines out; the
    rest choose the activity, and with ``exclude_`` turn it away. ``nth`` holds ordinal numbers of
    the member's purchases (1 is the first). ``excludes_purchases`` is set where one is turned away
    by what its amendment does not tell.
    """

    sku: frozenset[str] = frozenset()
    category: frozenset[str] = frozenset()
    brand: frozenset[str] = frozenset()
    exclude_sku: frozenset[str] = frozenset()
    exclude_category: frozenset[str] = frozenset()
    exclude_brand: frozenset[str] = frozenset()
    channel: frozenset[str] = frozenset()
    store: frozenset[str] = frozenset()
    payment: frozenset[str] = frozenset()
    tier: frozenset[str] = frozenset()
    segment: frozenset[str] = frozenset()
    nth: frozenset[int] = frozenset()
    exclude_channel: frozenset[str] = frozenset()
    exclude_store: frozenset[str] = frozenset()
    exclude_payment: frozenset[str] = frozenset()
    exclude_tier: frozenset[str] = frozenset()
    exclude_segment: frozenset[str] = frozenset()

    chooses_lines: bool = field(init=False, compare=False)
    leaves_out_lines: bool = field(init=False, compare=False)
    empty: bool = field(init=False, compare=False)
    excludes: bool = field(init=False, compare=False)
    excludes_purchases: bool = field(init=False, compare=False)

    def __post_init__(self) -> None:
        left_out = (self.exclude_sku, self.exclude_category, self.exclude_brand)
        lines = (self.sku, self.category, self.brand, *left_out)
        activity = (self.channel, self.store, self.payment, self.tier, self.segment, self.nth)
        turned_away = (
            self.exclude_channel,
            self.exclude_store,
            self.exclude_payment,
            self.exclude_tier,
            self.exclude_segment,
        )
        chosen = any(lines) or any(activity)
        object.__setattr__(self, "excludes_purchases", any(turned_away[:3]))
        object.__setattr__(self, "chooses_lines", any(lines))
        object.__setattr__(self, "leaves_out_lines", any(left_out))
        object.__setattr__(self, "excludes", any(turned_away))
        object.__setattr__(self, "empty", not chosen and not any(turned_away))

    @property
    def asked(self) -> frozenset[str]:
        """Every text by which it chooses an activity or turns it away."""
        return frozenset().union(
            self.channel,
            self.store,
            self.payment,
            self.tier,
            self.segment,
            self.exclude_channel,
            self.exclude_store,
            self.exclude_payment,
            self.exclude_tier,
            self.exclude_segment,
        )


NO_FILTER = Filter()
"""Chooses everything; a rule without structural conditions has this very value."""


@dataclass(frozen=True, slots=True)
class Rate:
    """``points`` per ``per`` minor units of the money currency ``money``; ``full`` counts whole
    steps of it only.
    """

    points: int
    per: int
    money: str
    full: bool = False


@dataclass(frozen=True, slots=True)
class Give:
    """What a rule gives in one currency: a rate per currency of money, for whole ``steps`` of it or
    for all of it, or a fixed number.
    """

    currency: str
    rates: Mapping[str, Rate] = field(default_factory=dict)
    fixed: int = 0
    steps: bool = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", any(rate.full for rate in self.rates.values()))


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many times, or points, per ``day``, ``week``, ``month``, ``year``, ``tier_period``
    or ``lifetime`` of a member.
    """

    period: str
    times: int = 0
    points: int = 0


BUDGET = "budget:"
"""Begins the name of every counter that is a campaign's budget."""


STOCK = "stock:"
"""Begins the name of every counter that is a reward's stock."""


def stock_key(reward: str) -> str:
    """The counter of a reward's stock: ``stock:mug``."""
    return STOCK + reward


@dataclass(frozen=True, slots=True)
class Budget:
    """The points of a currency that a rule gives to all members together.

    ``partial`` says that who finds less than the rule gives gets what is left, and not nothing.
    """

    currency: str
    points: int
    partial: bool = True


@dataclass(frozen=True, slots=True)
class LocalDays:
    """Days by the member's own calendar: from ``first`` to ``last``, both included and None where
    open, and of those the ones that ``recurs`` chooses.
    """

    first: date | None = None
    last: date | None = None
    recurs: Callable[[Any], bool] | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """An earning rule.

    Attributes:
        event: ``purchase``, ``engagement``, ``enrolled`` or ``referral.qualified``.
        of: kind of engagement, empty for every kind.
        gives: what it gives, one per currency.
        round: ``down``, ``half_up`` or ``half_even``.
        per: ``order`` or ``line``: where the rounding happens, and what a fixed number is given
            for.
        min_spend: by money currency, the least spend of the lines chosen.
        valid_from, valid_until: when it holds, until exclusive.
        days: predicate on the local date (a recurrence), or None.
        when: compiled CEL condition over the variables of :mod:`conditions`, or None; ``condition``
            is its text.
        limit: per member, or None.
        on_refund: ``revoke``, ``prorate`` or ``keep``; ``pending`` for what others may take back,
            and then only while it is pending.
        pending: overrides the currency's, or None.
        badge: given where the rule fires; empty for none.
        max_spend: by money currency, the greatest spend of the lines chosen.
        group: of the rules of a group that would fire, one does; empty for none.
        holdout: of 10,000 members, how many the rule leaves out.
        local: takes the place of validity and days where these go by the member's own calendar.
        funding: who pays for its points: ``purchase``, ``gratuitous`` or ``third_party``.
        budget: for all members together, or None; its currency is the first that the rule gives.
        rewards: given beside points, or alone.
    """

    id: str
    event: str
    gives: tuple[Give, ...]
    of: str = ""
    filter: Filter = NO_FILTER
    round: str = "down"
    per: str = "order"
    min_spend: Mapping[str, int] = field(default_factory=dict)
    valid_from: Instant = 0
    valid_until: Instant = NEVER
    days: Callable[[Any], bool] | None = None
    when: Condition | None = None
    condition: str = ""
    limit: Limit | None = None
    on_refund: str = "prorate"
    pending: Pending | None = None
    badge: str = ""
    max_spend: Mapping[str, int] = field(default_factory=dict)
    group: str = ""
    holdout: int = 0
    local: LocalDays | None = None
    funding: str = "purchase"
    budget: Budget | None = None
    rewards: tuple[str, ...] = ()

    @property
    def budget_key(self) -> str:
        """The counter of its budget: ``budget:big-basket``."""
        return BUDGET + self.id


@dataclass(frozen=True, slots=True)
class Boost:
    """A multiplier of what rules give: ``factor`` as (numerator, denominator) by point currency."""

    id: str
    factors: Mapping[str, tuple[int, int]]
    filter: Filter = NO_FILTER
    valid_from: Instant = 0
    valid_until: Instant = NEVER
    days: Callable[[Any], bool] | None = None
    when: Condition | None = None
    condition: str = ""
    holdout: int = 0
    local: LocalDays | None = None


@dataclass(frozen=True, slots=True)
class Boosts:
    """All boosts, the rules to which they apply, and how several stack: ``best``, ``add`` or
    ``multiply``.
    """

    boosts: tuple[Boost, ...] = ()
    stacking: str = "best"
    applies_to: frozenset[str] = frozenset()


class Asked:
    """What rules and boosts tell activities apart by; whatever else these are is one to them.

    Attributes:
        events: the names of events that have rules.
        eras: the instants at which the validity of any begins or ends, in order.
        by_day: whether any holds on certain days only.
        values: every channel, store, payment, level and segment that any names.
        nths: every ordinal number of a purchase that any names.
        variables: every variable that a condition, of a card or referral too, may read, and
        fields: every field of a line.
        monies: every currency of money for which a rule on purchases has a rate.
    """

    __slots__ = ("by_day", "eras", "events", "fields", "monies", "nths", "values", "variables")

    def __init__(
        self,
        rules_by_event: Mapping[str, tuple[Rule, ...]],
        boosts: Sequence[Boost],
        others: Sequence[Rule],
    ) -> None:
        rules = {rule.id: rule for each in rules_by_event.values() for rule in each}
        looking: list[Rule | Boost] = [*rules.values(), *boosts]
        limits = {limit for one in looking for limit in (one.valid_from, one.valid_until)}
        self.events = frozenset(rules_by_event)
        self.eras = tuple(sorted(limits))
        self.by_day = any(one.days is not None for one in looking)
        self.values: frozenset[str] = frozenset().union(*(one.filter.asked for one in looking))
        self.nths: frozenset[int] = frozenset().union(*(one.filter.nth for one in looking))
        conditions = [one.when for one in (*looking, *others) if one.when is not None]
        self.variables: frozenset[str] = frozenset().union(*(one.variables for one in conditions))
        fields = {name for one in conditions for name in one.fields}
        self.fields = tuple(name for name in LINE_FIELDS if name in fields)
        gives = [give for rule in rules_by_event.get("purchase", ()) for give in rule.gives]
        self.monies: frozenset[str] = frozenset().union(*(give.rates for give in gives))


@dataclass(frozen=True, slots=True)
class Gift:
    """What an occasion gives: points by currency, and rewards.

    ``occasion`` is ``birthday``, ``anniversary`` (of the enrolment) or ``tier-anniversary`` (of the
    level held). ``member_for`` is the least membership; ``at_most_once_in`` days between two;
    ``leap_day`` ``feb_28`` or ``mar_1``; ``settled`` days that a date of birth must have stood
    before its gift. The member chooses one of ``choose``; ``claim_within`` is the window in
    which to choose, or to use its vouchers.
    """

    id: str
    occasion: str
    points: Mapping[str, int] = field(default_factory=dict)
    rewards: tuple[str, ...] = ()
    member_for: Span = Span()
    at_most_once_in: int = 300
    leap_day: str = "feb_28"
    settled: int = 30
    years: int = 1
    badges: tuple[str, ...] = ()
    choose: tuple[str, ...] = ()
    claim_within: Span | None = None


@dataclass(frozen=True, slots=True)
class Stamps:
    """A card of stamps: a challenge of ``collect`` stamps, and what a full card gives.

    Attributes:
        look: what a purchase must be to earn a stamp, a rule that gives nothing itself; ``engaged``
            the same for an engagement, which has neither lines nor money.
        zone: the programme's, in which periods end.
        events: ``purchase``, ``engagement``, or both.
        kinds: kinds of engagement; empty for every kind.
        every: ``week`` or ``month`` for a streak: one stamp for each, without a gap; else empty.
        different: that in which stamps of one card differ (``sku``, ``category``, ``brand``,
            ``channel``, ``store``, ``kind``); empty where each activity earns one.
        within: how long a stamp lives while its card is not full; None for ever.
        limit: how often a member may fill it, or None.
        on_refund: ``revoke`` or ``keep``: what becomes of a full card that loses a stamp.
    """

    id: str
    look: Rule
    engaged: Rule
    events: frozenset[str]
    collect: int
    zone: ZoneInfo
    kinds: frozenset[str] = frozenset()
    every: str = ""
    different: str = ""
    within: Span | None = None
    points: Mapping[str, int] = field(default_factory=dict)
    rewards: tuple[str, ...] = ()
    badges: tuple[str, ...] = ()
    limit: Limit | None = None
    on_refund: str = "revoke"


@dataclass(frozen=True, slots=True)
class Referring:
    """What a referral gives once the friend's purchase qualifies.

    Attributes:
        friend: what the purchase must be, and what the friend gets for it.
        points: what the referrer gets, by currency.
        limit: of the referrer, or None.
        window: how long both are pending, counted from the purchase; None for the return window.
    """

    id: str
    friend: Rule
    points: Mapping[str, int] = field(default_factory=dict)
    limit: Limit | None = None
    window: Span | None = None


@dataclass(frozen=True, slots=True)
class Cap:
    """At most so many points of a currency per ``purchase``, ``day``, ``week``, ``month``, ``year``
    or ``lifetime``, over all rules of a member.
    """

    currency: str
    points: int
    period: str


@dataclass(frozen=True, slots=True)
class VoucherTerms:
    """What a voucher is issued with: ``worth`` minor units of ``money``, ``percent`` in hundredths
    of a percent, an ``item``, how long it is ``valid``, and ``terms`` that only the shop reads.
    """

    valid: Span = Span(months=12)
    money: str = ""
    worth: int = 0
    percent: int = 0
    item: str = ""
    terms: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reward:
    """A reward of the catalogue: its cost in points, unless it is only ever a gift, and the voucher
    that it is handed over as, if it is.

    Attributes:
        tier, segment: who may redeem it; empty for everybody.
        stock: pieces for all members together, or None where there is no end of them.
        limit: how often a member may redeem it, or None.
        valid_from, valid_until: when it can be redeemed, until exclusive.
    """

    id: str
    cost: int = 0
    currency: str = ""
    gift_only: bool = False
    tier: frozenset[str] = frozenset()
    stock: int | None = None
    limit: Limit | None = None
    segment: frozenset[str] = frozenset()
    valid_from: Instant = 0
    valid_until: Instant = NEVER
    voucher: VoucherTerms | None = None

    @property
    def stock_key(self) -> str:
        """The counter of its stock."""
        return stock_key(self.id)


@dataclass(frozen=True, slots=True)
class Holds:
    """How long points may be set aside: ``last_s`` seconds where nobody says, ``longest_s`` at
    most, in ``most`` open holds of a member at a time.

    ``released_live_s`` is how long points live that come back after their expiry; 0 expires them at
    once.
    """

    last_s: int = 30 * 60
    longest_s: int = 7 * 24 * 3600
    most: int = 20
    released_live_s: int = 0


@dataclass(frozen=True, slots=True)
class SpendPoints:
    """Points of a currency as money for an order.

    Attributes:
        rates: by money currency, points per minor units that they pay.
        least: the fewest points of a payment.
        step: payments are multiples of so many points, worth whole minor units at every rate.
        max_share: the most of an order that points pay, in ten-thousandths.
        hold_s: seconds that such a hold lasts where nobody says.
    """

    currency: str
    rates: Mapping[str, Rate]
    least: int = 0
    step: int = 1
    max_share: int = 10_000
    hold_s: int = 30 * 60


@dataclass(frozen=True, slots=True)
class Pools:
    """Households that share what their members earn.

    Attributes:
        most: members of a pool.
        may_spend: ``anyone`` in the pool, the ``owner``, or the owner and whom the owner has
            ``named``.
        min_stay: so long after joining a member may leave.
        rejoin_after: so long after leaving one pool a member may join another.
        owner_leaves: ``passes_on``, to who has been in it longest, or ``closes`` the pool, as the
            last one to leave always does.
        when_closed: ``to_owner`` or ``forfeit``: what becomes of its points.
    """

    most: int = 6
    may_spend: str = "anyone"
    min_stay: Span = Span()
    rejoin_after: Span = Span()
    owner_leaves: str = "passes_on"
    when_closed: str = "to_owner"


@dataclass(frozen=True, slots=True)
class Basis:
    """Which money earns: tax, shipping and the prepaid part are in or out."""

    tax: bool = True
    shipping: bool = False
    prepaid: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """What people call something, and what it is, by language tag in normal case."""

    names: Mapping[str, str] = field(default_factory=dict)
    descriptions: Mapping[str, str] = field(default_factory=dict)


NO_WORDS = Words()


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """One immutable version of the programme.

    ``wait`` is how long a refund waits for its purchase; ``transfers`` whether members may transfer
    points; ``rules_by_event`` indexes rules by ``purchase``, ``enrolled``, and
    ``engagement:<kind>`` (``engagement:`` holds those for every kind). ``successors`` says, under
    ``levels``, ``currencies`` and ``rewards``, what takes the place of names that earlier versions
    had and this one does not, and ``succeeded`` is that of currencies; ``capped`` holds the
    currencies that have a cap. ``returns`` is the return window: so long after a delivery, else a
    purchase, returns are to be expected.
    ``groups`` says of each group of rules which of them fires, ``best`` or ``first``; ``holds_out``
    whether any rule, boost or card leaves members out; ``idle`` the currencies whose points expire
    when the member is not active.
    ``counters`` are the shared counters with their caps; ``budgeted`` has the rule of each budget,
    ``counters_by_event`` what an event may take from, and ``gift_stock`` the stock of rewards that
    occasions give; ``level_stock`` that of those which levels give, by level. ``rejudges`` says
    that standings are looked at anew when it begins to hold, because it changes the tiers of the
    version before.
    ``claim_within`` is how long a guest's purchase may be claimed.
    ``restored_for`` is how long points live whose lot had expired when their redemption was
    cancelled.

    No expiry is told of longer than ``told_ahead`` before it.
    ``keeps_returnable`` says that accounts keep which points are inside the return window of their
    orders; ``transfer_min`` and ``transfer_limits`` bound what a member gives away.
    ``closed_keeps`` is for how long a closed account keeps its points (zero: not at all). An
    adjustment of more points than ``approval_above`` waits for a second person, for
    ``approval_within``. ``pools`` is None where members may not pool their points.

    ``words`` holds, by the section of the document and the name there, what people call it; the
    programme's own stand under ``program``. ``languages`` are those in which anything is said, and
    ``language`` is that of whoever asks for none of them. Decisions use none of this.
    """

    name: str
    version: int
    holds_from: Instant
    zone: ZoneInfo
    currencies: Mapping[str, Currency]
    digest: str = ""
    basis: Basis = Basis()
    exclude: Filter = Filter()
    tiers: Tiers | None = None
    rules: tuple[Rule, ...] = ()
    rules_by_event: Mapping[str, tuple[Rule, ...]] = field(default_factory=dict)
    boosts: Boosts = Boosts()
    gifts: tuple[Gift, ...] = ()
    caps: tuple[Cap, ...] = ()
    rewards: Mapping[str, Reward] = field(default_factory=dict)
    wait: Span = Span(days=30)
    transfers: bool = False
    successors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    returns: Span = Span(days=30)
    stamps: tuple[Stamps, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    referrals: tuple[Referring, ...] = ()
    holds: Holds = Holds()
    spend_points: SpendPoints | None = None
    claim_within: Span = Span(days=60)
    restored_for: Span = Span(days=14)
    transfer_min: int = 1
    transfer_limits: tuple[Limit, ...] = ()
    closed_keeps: Span = Span()
    approval_above: int | None = None
    approval_within: Span = Span(days=14)
    pools: Pools | None = None
    language: str = "en"
    words: Mapping[str, Mapping[str, Words]] = field(default_factory=dict)
    languages: frozenset[str] = field(init=False)
    capped: frozenset[str] = field(init=False)
    asked: Asked = field(init=False)
    rejudges: bool = False
    holds_out: bool = field(init=False)
    idle: tuple[str, ...] = field(init=False)
    succeeded: Mapping[str, str] = field(init=False)
    counters: Mapping[str, int] = field(init=False)
    budgeted: Mapping[str, Rule] = field(init=False)
    counters_by_event: Mapping[str, tuple[str, ...]] = field(init=False)
    gift_stock: tuple[str, ...] = field(init=False)
    level_stock: Mapping[str, tuple[str, ...]] = field(init=False)
    keeps_returnable: bool = field(init=False)
    told_ahead: Instant = field(init=False)

    def __post_init__(self) -> None:
        said = (one for named in self.words.values() for one in named.values())
        tags = (tag for one in said for tag in (*one.names, *one.descriptions))
        object.__setattr__(self, "languages", frozenset(tags))
        has_window = bool(self.returns.months or self.returns.days)
        object.__setattr__(self, "keeps_returnable", self.transfers and has_window)
        object.__setattr__(self, "succeeded", self.successors.get("currencies", {}))
        object.__setattr__(self, "capped", frozenset(cap.currency for cap in self.caps))
        friends = [one.friend for one in self.referrals if one.friend.budget]
        budgeted = {rule.budget_key: rule for rule in (*self.rules, *friends) if rule.budget}
        object.__setattr__(self, "asked", self._asked())
        stocked = [reward for reward in self.rewards.values() if reward.stock is not None]
        given = {reward for gift in self.gifts for reward in gift.rewards}
        counters = {key: rule.budget.points for key, rule in budgeted.items() if rule.budget}
        counters.update((each.stock_key, each.stock or 0) for each in stocked)
        by_event: dict[str, tuple[str, ...]] = {
            event: tuple(rule.budget_key for rule in rules if rule.budget)
            for event, rules in self.rules_by_event.items()
        }
        for event, rules in self.rules_by_event.items():
            given_by = {reward for rule in rules for reward in rule.rewards}
            keys = tuple(each.stock_key for each in stocked if each.id in given_by)
            by_event[event] = (*by_event[event], *keys)
        if friends:
            by_event["referral.qualified"] = tuple(rule.budget_key for rule in friends)
        for card in self.stamps:
            keys = tuple(each.stock_key for each in stocked if each.id in card.rewards)
            for event in card.events if keys else ():
                name = "engagement:" if event == "engagement" else event
                by_event[name] = tuple(dict.fromkeys((*by_event.get(name, ()), *keys)))
        object.__setattr__(self, "counters", counters)
        object.__setattr__(self, "budgeted", budgeted)
        object.__setattr__(self, "counters_by_event", by_event)
        object.__setattr__(
            self, "gift_stock", tuple(each.stock_key for each in stocked if each.id in given)
        )
        by_level = {
            level.name: tuple(each.stock_key for each in stocked if each.id in level.rewards)
            for level in (self.tiers.levels if self.tiers else ())
        }
        level_stock = {name: keys for name, keys in by_level.items() if keys}
        object.__setattr__(self, "level_stock", level_stock)
        leaves_out = (
            any(rule.holdout for rule in self.rules)
            or any(boost.holdout for boost in self.boosts.boosts)
            or any(card.look.holdout for card in self.stamps)
        )
        object.__setattr__(self, "holds_out", leaves_out)
        idle = (n for n, one in self.currencies.items() if one.expiry and one.expiry.moved_by)
        object.__setattr__(self, "idle", tuple(idle))
        expiries = [one.expiry for one in self.currencies.values() if one.expiry]
        days = max((days for expiry in expiries for days in expiry.notices), default=0)
        object.__setattr__(self, "told_ahead", (days + 1) * LONGEST_DAY)

    def _asked(self) -> Asked:
        cards = [rule for card in self.stamps for rule in (card.look, card.engaged)]
        friends = [terms.friend for terms in self.referrals]
        return Asked(self.rules_by_event, self.boosts.boosts, [*cards, *friends])

    def rules_of(self, event: str) -> tuple[Rule, ...]:
        """The rules of an event; those of a kind of engagement before those of every kind."""
        rules = self.rules_by_event.get(event, ())
        every = "engagement:"
        if event != every and event.startswith("engagement"):
            return rules + self.rules_by_event.get(every, ())
        return rules

    def currency_now(self, name: str) -> str:
        """The name under which points of a currency are spent: its own, or its successor's."""
        return self.succeeded.get(name, name) if self.succeeded else name

    def reward_now(self, name: str) -> Reward | None:
        """The terms of a reward: its own, or those of what took its place; None for no reward."""
        followed = self.successors.get("rewards", {})
        return self.rewards.get(name) or self.rewards.get(followed.get(name, ""))

    def reward_name_now(self, name: str) -> str:
        """The name that a reward has: its own, or its successor's."""
        return self.successors.get("rewards", {}).get(name, name)

    def currency(self, name: str) -> Currency:
        """The terms of a currency of points: its own, or those of what took its place since."""
        terms = self.currencies.get(name)
        while terms is None:
            name = self.successors["currencies"][name]
            terms = self.currencies.get(name)
        return terms
