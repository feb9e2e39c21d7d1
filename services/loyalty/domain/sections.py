"""The programme document, section by section: its keys, their defaults, and what they mean.

Only what a key means by itself is checked here; what spans several keys is for :mod:`consistency`.
The descriptions are the reference that marketing reads, by way of the JSON Schema.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.loyalty.domain.written import (
    AtMost,
    ByLanguage,
    Cost,
    Count,
    DateRange,
    Days,
    Description,
    Duration,
    Ending,
    Factor,
    Given,
    Id,
    Kind,
    Language,
    LocalTime,
    Measures,
    Money,
    Name,
    OneOrMore,
    Part,
    Percent,
    Positive,
    Present,
    Quota,
    Rated,
    ReasonCode,
    RecurringDays,
    Share,
    SomeDays,
    SomeDuration,
    SomeTime,
    Term,
    Threshold,
    Time,
    Truth,
    UntilWhen,
    When,
    Windowed,
    Word,
    Worth,
    Years,
    Zone,
)


def _key(description: str, *examples: Any, default: Any = None, alias: str | None = None) -> Any:
    """A key that may be left out. Its default is written as the document would write it."""
    shown = list(examples) or [default]
    return Field(
        default, validate_default=True, alias=alias, description=description, examples=shown
    )


def _must(description: str, *examples: Any, alias: str | None = None) -> Any:
    """A key that has to be there."""
    return Field(alias=alias, description=description, examples=list(examples))


class Section(BaseModel):
    """A mapping of known keys; any other is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class NamedSection(Section):
    """What people call something, and what it is, language by language."""

    names: ByLanguage[Name] = _key(
        "Its name by language (BCP 47).", {"en": "Gold", "zh-Hans": "金卡"}, default={}
    )
    descriptions: ByLanguage[Description] = _key(
        "What it is, in a sentence or two, by language.",
        {"en": "For those who come every week."},
        default={},
    )


class BasisSection(Section):
    """Which money counts as spend."""

    tax: Literal["included", "excluded"] = _key(
        "Whether the tax contained in prices earns.", default="included"
    )
    shipping: Literal["included", "excluded"] = _key(
        "Whether shipping earns; it is then shared by the lines that earn.", default="excluded"
    )
    paid_by_points_or_voucher: Literal["included", "excluded"] = _key(
        "Whether the part paid by points, vouchers or gift cards earns.", default="excluded"
    )


class LinesSection(Section):
    """Lines, by what they sell."""

    sku: OneOrMore[Word] | None = _key("Stock codes, exactly as lines carry them.", ["POST"])
    category: OneOrMore[Word] | None = _key("Categories.", ["gift-cards"])
    brand: OneOrMore[Word] | None = _key("Brands.", ["harbour"])


class ExclusionSection(LinesSection):
    """What a rule or boost does not look at: lines, and whole activities."""

    channel: OneOrMore[Word] | None = _key("Not on these channels.", ["marketplace"])
    store: OneOrMore[Word] | None = _key("Not in these stores.", ["outlet-2"])
    payment: OneOrMore[Word] | None = _key("Not when paid in these ways.", ["gift-card"])
    tier: OneOrMore[Id] | None = _key("Not for members of these levels.", ["basic"])
    segment: OneOrMore[Word] | None = _key(
        "Not for members who were in one of these segments when it happened.", ["staff"]
    )


class SpendSection(Section):
    """The money that earns: a line's share of what was paid, after every discount."""

    basis: BasisSection = _key("Which money counts.", {"tax": "included"}, default={})
    exclude: LinesSection = _key(
        "Lines that never earn, such as postage and fees.", {"sku": ["POST", "DOT"]}, default={}
    )


class PendingSection(Section):
    """How long points cannot be spent yet. Give either `for` or `until`."""

    for_: SomeDuration | None = _key(
        "How long after they were earned; rounded up to the next local midnight.",
        "14 days",
        alias="for",
    )
    exact: Truth = _key("With `for`: keep the time of day instead of rounding.", default="false")
    until: UntilWhen | None = _key(
        "Until the order is delivered, or until a day begins: `2011-12-24`.", "delivered"
    )
    cancel_after: SomeDuration | None = _key(
        "With `until: delivered`: how long to wait for the delivery before the points are "
        "cancelled; 60 days where it is left out.",
        "60 days",
    )


class ExpiresSection(Section):
    """When points expire. Give `after`, `inactive`, or a day as `at`."""

    after: SomeDuration | None = _key(
        "How long points live; with a day of each year as `at`, how long at least.", "12 months"
    )
    inactive: SomeDuration | None = _key(
        "Instead of `after`: how long after the member's last activity all points of the currency "
        "expire.",
        "12 months",
    )
    moved_by: OneOrMore[Kind] | None = _key(
        "With `inactive`: what counts as activity, besides enrolling: `purchase`, `redemption`, "
        "`transfer`, `engagement`, or a kind of engagement. A purchase that comes back whole no "
        "longer counts. Purchases and redemptions where it is left out.",
        ["purchase", "redemption"],
        ["purchase", "app.opened"],
    )
    counted_from: Literal["earned", "activated"] = _key(
        "Whether life begins when points are earned or when they can first be spent.",
        default="earned",
    )
    at: Ending = _key(
        "Rounds the end up: to the next local midnight, the end of its month or year, or of a day "
        "of each year, as in `03-31`. Or names the one day at whose end points expire.",
        "end_of_month",
        "03-31",
        "2012-03-31",
        default="end_of_month",
    )
    notice: OneOrMore[SomeDays] | None = _key(
        "How long ahead members are told. Where it is left out: 30 days and 7 days, "
        "as far as points live longer than that.",
        ["30 days", "7 days"],
    )


class CurrencySection(NamedSection):
    """A currency of points: one that can be spent, or one that counts towards tiers."""

    worth: Worth | None = _key("What a point is worth, for the books.", "0.01 GBP")
    pending: PendingSection | None = _key(
        "How long points of a purchase cannot be spent yet; at once where it is left out.",
        {"for": "14 days"},
    )
    expires: ExpiresSection | None = _key(
        "When points expire; never where it is left out.", {"after": "12 months"}
    )
    refund_shortfall: Literal["arrears", "write_off", "pending_only"] = _key(
        "What happens when a refund takes back points that were spent: they are owed and paid from "
        "the next ones, forgiven and written off, or only pending ones are ever taken back.",
        default="arrears",
    )
    late: Duration = _key(
        "How long points live that had already expired when their purchase reached us; "
        "0 days expires them at once.",
        "7 days",
        default="0 days",
    )
    qualifies: Truth = _key(
        "Whether it counts towards tiers; it can then not be spent.", default="false"
    )
    window: Windowed | None = _key(
        "With `qualifies`: the period over which points count. `rolling: 3 months` is the current "
        "month and the two before it; `calendar_year`; `member_year`, from the enrolment's day.",
        {"rolling": "12 months"},
        "calendar_year",
    )
    measures: Measures | None = _key(
        "With `qualifies`: it is given by no rule and counts by itself: each order of which "
        "something is kept, each engagement, or the money spent, in minor units.",
        "orders",
        "engagements",
        "spend in GBP",
    )
    counts: Literal["when_earned", "when_activated"] = _key(
        "With `qualifies`: whether points count at once or when they are no longer pending.",
        default="when_earned",
    )


class LevelSection(NamedSection):
    """A level of the tiers. Give `from`, `all` or `any`."""

    from_: Threshold | None = _key(
        "From how much it is reached: what the window counts of the currency that decides.",
        "1000",
        "1000.00 GBP",
        alias="from",
    )
    all_: list[dict[Id, Threshold]] | None = _key(
        "Instead of `from`: all that is needed, by qualifying currency.",
        [{"status": "5000"}, {"orders": "4"}],
        alias="all",
    )
    any_: list[dict[Id, Threshold]] | None = _key(
        "Instead of `from`: several ways to it, any one of which is enough.",
        [{"status": "5000"}, {"spend": "2000.00 GBP"}],
        alias="any",
    )
    badge: Id | None = _key("A badge that rising to it gives.", "golden")
    give: OneOrMore[Present] | None = _key(
        "What rising to it gives, once in a tier period: points that can be spent, and rewards by "
        "name. A refund that undoes the rise takes back what is unused of it.",
        ["500 points", "gold-hamper"],
    )
    benefits: dict[Id, Quota] = _key(
        "What members of the level may have, and how often.",
        {"priority-shipping": "unlimited", "free-upgrade": "2 per year"},
        default={},
    )


class KeptSection(Section):
    """How long a level is kept once reached. Give either `for` or `until`."""

    for_: SomeDuration | None = _key("How long from reaching it.", "12 months", alias="for")
    until: Literal["end_of_window", "end_of_next_window"] | None = _key(
        "With a window of a calendar or member year: to the end of that year, or of the next.",
        "end_of_next_window",
    )


class AtEndSection(Section):
    """What happens when a level's period ends and the window does not allow the level again."""

    grace: Duration = _key(
        "Extra time in which reaching the level again keeps it.", "30 days", default="0 days"
    )
    fall: Literal["one_level", "to_qualified"] = _key(
        "Whether members fall by one level, or to the one that their points allow.",
        default="one_level",
    )
    new_level_kept: SomeDuration | None = _key(
        "How long a level reached by falling is kept; as long as `kept` has it `for`, "
        "else 12 months, where it is left out.",
        "3 months",
    )
    warn: OneOrMore[SomeDays] = _key(
        "How long before the end members are warned who would fall.", default=["30 days"]
    )


class TiersSection(Section):
    """Tiers: reached the moment the window's balance allows, and kept for a period."""

    by: Id = _must("The qualifying currency that decides, unless a level says more.", "status")
    levels: dict[Id, LevelSection] = _must(
        "Levels, lowest first; the first is from 0 and everybody's.",
        {"basic": {"from": "0"}, "gold": {"from": "5000"}},
    )
    kept: KeptSection = _key("How long a level is kept.", default={"for": "12 months"})
    at_end: AtEndSection = _key("What happens at the end.", {"grace": "30 days"}, default={})
    on_change: Literal["keep_until_review", "rise_at_once", "judge_at_once"] = _key(
        "What a version that changes the tiers does, at the instant from which it holds, to members"
        " with a standing: nothing until it is reviewed or more is earned; lift at once who has "
        "enough by the new rules; or also take at once what the new rules do not allow.",
        default="keep_until_review",
    )
    give_when: OneOrMore[Literal["reached", "rules_changed", "manual"]] = _key(
        "Which ways of rising give what a level gives: by what was earned, by a version that "
        "changes the tiers, or by hand.",
        ["reached", "manual"],
        default="reached",
    )
    refund: Literal["undo_what_it_bought", "at_end"] = _key(
        "What a refund does to the level that its own points reached: undo it at once, "
        "or leave it until its period ends.",
        default="undo_what_it_bought",
    )


class Choice(NamedSection):
    """What a rule or boost looks at. All that is given must hold; within a list, any one."""

    sku: OneOrMore[Word] | None = _key("Only lines with these stock codes.", ["22423"])
    category: OneOrMore[Word] | None = _key("Only lines of these categories.", ["garden"])
    brand: OneOrMore[Word] | None = _key("Only lines of these brands.", ["harbour"])
    exclude: ExclusionSection = _key(
        "Not these lines, and not what happened so.",
        {"category": ["sale"], "payment": ["gift-card"]},
        default={},
    )
    channel: OneOrMore[Word] | None = _key("Only on these channels.", ["app"])
    store: OneOrMore[Word] | None = _key("Only in these stores.", ["quay-1"])
    payment: OneOrMore[Word] | None = _key("Only when paid in these ways.", ["card"])
    tier: OneOrMore[Id] | None = _key("Only for members of these levels.", ["gold"])
    segment: OneOrMore[Word] | None = _key(
        "Only for members who were in one of these segments when it happened.", ["lapsed"]
    )
    nth: OneOrMore[Positive] | None = _key(
        "Only for a member's purchases of these numbers; 1 is the first.", ["1"]
    )
    when: When | None = _key(
        "A condition in CEL, for what the other keys cannot say. Money is in minor units.",
        "order.lines.exists(l, l.quantity >= 6)",
    )
    valid: DateRange | None = _key(
        "From the first day until the end of the last.",
        "2011-03-01/2011-05-31",
    )
    days: RecurringDays | None = _key(
        "Only on days that recur, by RFC 5545.",
        "FREQ=MONTHLY;BYMONTHDAY=8",
    )
    calendar: Literal["programme", "member"] = _key(
        "Whose time zone `valid` and `days` go by: the programme's, or the member's own where one "
        "is known.",
        default="programme",
    )
    holdout: Share | None = _key(
        "The share of members that is left out, always the same ones, to see what it brings.",
        "10 %",
    )


class EarnSection(Choice):
    """An earning rule: what happens, and what it gives."""

    event: Literal["purchase", "engagement", "enrolled", "referral.qualified"] = _must(
        "What it rewards; with `referral.qualified`, the other keys look at the friend's purchase.",
        "purchase",
    )
    kind: Kind | None = _key(
        "With `event: engagement`: the kind of engagement; every kind where it is left out.",
        "product.reviewed",
    )
    min_spend: OneOrMore[Money] | None = _key(
        "The least spend of the lines that it looks at, in each currency of money.", "200.00 GBP"
    )
    max_spend: OneOrMore[Money] | None = _key(
        "The greatest spend of the lines that it looks at, in each currency of money.",
        "500.00 GBP",
    )
    group: Id | None = _key(
        "Of the rules of one group that would fire, only one does: see `groups`.", "welcome-offers"
    )
    give: dict[Id, OneOrMore[Given]] = _key(
        "Per currency of points: a fixed number, or for each currency of money a rate, or steps, "
        "as in `50 per full 100.00 GBP`.",
        {"points": "1 per 1.00 GBP"},
        {"points": "250"},
        default={},
    )
    badge: Id | None = _key("A badge that it gives, beside points or alone.", "reviewer")
    reward: OneOrMore[Id] | None = _key(
        "Rewards that it gives, beside points or alone, as far as there are any left. Vouchers of "
        "an order are withdrawn unused when a refund leaves too little of it.",
        ["five-off"],
    )
    friend: dict[Id, Positive] = _key(
        "With `referral.qualified`: what the friend gets, where `give` is for the referrer.",
        {"points": "200"},
        default={},
    )
    round: Literal["down", "half_up", "half_even"] = _key(
        "How points are rounded to whole ones, once, after boosts.", default="down"
    )
    per: Literal["order", "line"] = _key(
        "Whether rounding, and a fixed number, is for the order or for each line.", default="order"
    )
    limit: AtMost | None = _key(
        "How many times, or points, a member gets at most in a period.", "1 per month"
    )
    budget: Cost | None = _key(
        "How many points the rule gives to all members together, in a currency that it gives. "
        "Once they are spent, it gives nothing at all.",
        "500000 points",
    )
    budget_short: Literal["partial", "nothing"] | None = _key(
        "With `budget`: what a member gets when less is left than the rule gives: what is left, or "
        "nothing. What is left is given where it is left out.",
        "nothing",
    )
    on_refund: Literal["revoke", "prorate", "keep"] | None = _key(
        "What a refund takes back: what the spend that is kept no longer reaches (all below the "
        "least spend, and steps one by one), the refunded share, or nothing while a line is kept. "
        "Rates are prorated, steps and fixed numbers revoked where it is left out.",
        "revoke",
    )
    pending: PendingSection | None = _key(
        "How long these points cannot be spent yet, instead of what their currency says. Of a "
        "referral both rewards, counted from the purchase, instead of the return window.",
        {"for": "30 days"},
    )
    funding: Literal["purchase", "gratuitous", "third_party"] | None = _key(
        "Who pays for these points, for the books: the buyer, as a part of the price of what is "
        "bought; nobody, so that they are a cost of marketing; or a third party. Purchase rules "
        "are paid by the purchase and all others by nobody where it is left out.",
        "third_party",
    )


class GroupSection(Section):
    """Rules of which only one fires."""

    fires: Literal["best", "first"] = _key(
        "The one that gives the member most, by what points are worth and else by their number, "
        "or the one that stands first.",
        default="best",
    )


class BoostSection(Choice):
    """A multiplier: what it looks at, and a factor by currency of points, as in `points: x2`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Factor] = Field(init=False)


class BoostsSection(Section):
    """Multipliers of what rules give. Every other key names a boost."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, BoostSection] = Field(init=False)

    stacking: Literal["best", "add", "multiply"] = _key(
        "What several at once make: x2 and x3 make x3 (best), x4 (add) or x6 (multiply).",
        default="best",
    )
    applies_to: OneOrMore[Id] | None = _key(
        "The earning rules that they multiply; all that give a rate where it is left out.",
        ["base"],
    )


class GiftSection(NamedSection):
    """What an occasion of a member gives."""

    occasion: Literal["birthday", "anniversary", "tier-anniversary"] | None = _key(
        "The occasion; the gift's own name where that is one. The anniversary is the enrolment's; "
        "the tier's is of the day since which a level above the first is held without a break.",
        "birthday",
    )
    give: OneOrMore[Present] | None = _key(
        "Points, and rewards and badges by name. Give this, `choose` or both.",
        ["200 points", "birthday-treat"],
    )
    choose: OneOrMore[Id] | None = _key(
        "Rewards of which the member chooses one.", ["five-off", "birthday-treat"]
    )
    claim_within: SomeDuration | None = _key(
        "How long the gift can be used, rounded up to the next local midnight: the choice is made "
        "by then, else it lapses, and vouchers given without a choice end by then. Where it is "
        "left out, 30 days for a choice, and as long as its vouchers live otherwise.",
        "30 days",
    )
    leap_day: Literal["feb_28", "mar_1"] = _key(
        "When 29 February is celebrated in other years.", default="feb_28"
    )
    member_for: Duration = _key("The least time since enrolment.", "30 days", default="30 days")
    at_most_once_in: SomeDays = _key(
        "The least time between two of them, whatever happens to the date.", default="300 days"
    )
    date_known_for: Days | None = _key(
        "With `birthday`: how long before it the date must have been known and unchanged, "
        "else it waits a year; 30 days where it is left out.",
        "30 days",
    )
    every: Years | None = _key(
        "With an anniversary: how many years apart; each year where it is left out.", "5 years"
    )


class StampsSection(Choice):
    """A card of stamps, a streak or a challenge: what stamps it, and what a full one gives.

    Without `every` and `different`, each activity is a stamp.
    """

    event: OneOrMore[Literal["purchase", "engagement"]] = _must("What earns a stamp.", "purchase")
    kind: OneOrMore[Kind] | None = _key(
        "With `engagement`: the kinds of engagement; every kind where it is left out.",
        ["product.reviewed"],
    )
    min_spend: OneOrMore[Money] | None = _key(
        "With `purchase`: the least spend of the lines that it looks at, in each currency of money "
        "(where stamps differ by line, of the lines of each).",
        "25.00 GBP",
    )
    collect: Positive = _must("How many stamps fill the card, at most 100.", "6")
    within: SomeDuration | None = _key(
        "How long a stamp counts while the card is not full; without end where it is left out.",
        "6 months",
    )
    every: Literal["week", "month"] | None = _key(
        "A streak: one stamp a calendar week or month, without a gap.", "week"
    )
    different: Literal["sku", "category", "brand", "channel", "store", "kind"] | None = _key(
        "A challenge: what the stamps of one card differ in.", "category"
    )
    give: OneOrMore[Present] = _must(
        "What a full card gives: points, and rewards and badges by name.", ["five-off"]
    )
    limit: AtMost | None = _key("How many times a member may fill it in a period.", "1 per year")
    on_refund: Literal["revoke", "keep"] = _key(
        "What a refund within the return window does to a full card that loses a stamp for which "
        "no other is in hand: its points are taken back, or it stands. Rewards and badges stay "
        "and are reported.",
        default="revoke",
    )


class BadgeSection(NamedSection):
    """A badge: shown, given once, worth nothing."""


class ReturnsSection(Section):
    """The return window: when returns are to be expected."""

    within: SomeDuration = _key(
        "How long after the delivery, or after the purchase where no delivery is known.",
        default="30 days",
    )


class GuestPurchasesSection(Section):
    """What guests bought, and members claim with the receipt number."""

    claim_within: SomeDuration = _key(
        "How long after a guest's purchase reached us a member may claim it.", default="60 days"
    )


class CapSection(Section):
    """A cap over all rules, as in `points: 10000, per: purchase`."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Positive] = Field(init=False)

    per: Literal["purchase", "day", "week", "month", "year", "lifetime"] = _must(
        "The period, or one purchase.", "month"
    )


class VoucherSection(Section):
    """The voucher that a reward is handed over as: a code that the shop honours once."""

    worth: Money | None = _key("What it is worth, for the shop and for the books.", "5.00 GBP")
    percent: Percent | None = _key("What it takes off an order.", "10 %")
    item: Word | None = _key("What it is exchanged for, as the shop calls it.", "22423")
    valid: SomeDuration = _key(
        "How long it can be used; rounded up to the next local midnight.", default="12 months"
    )
    terms: dict[Term, Word] = _key(
        "What else the shop is to heed. Nothing here reads it; it is told with the voucher.",
        {"min_spend": "20.00 GBP"},
        default={},
    )


class RewardSection(NamedSection):
    """A reward of the catalogue."""

    cost: Cost | None = _key("What it costs.", "500 points")
    gift_only: Truth = _key("Whether it is only ever a gift; it has then no cost.", default="false")
    tier: OneOrMore[Id] | None = _key("Only for members of these levels.", ["gold"])
    stock: Count | None = _key(
        "How many there are for all members together, gifts too; no end of them where it is left "
        "out.",
        "5000",
    )
    limit: AtMost | None = _key("How many times a member redeems it at most.", "2 per year")
    segment: OneOrMore[Word] | None = _key(
        "Only for members who are in one of these segments.", ["lapsed"]
    )
    valid: DateRange | None = _key(
        "From the first day until the end of the last, in the programme's time zone.",
        "2011-03-01/2011-05-31",
    )
    voucher: VoucherSection | None = _key(
        "The voucher that it is handed over as, if it is.",
        {"worth": "5.00 GBP", "valid": "90 days"},
    )


class HoldsSection(Section):
    """Points that are set aside until they are spent or let go."""

    last: SomeTime = _key(
        "How long a hold lasts where whoever asks for it does not say.", default="30 minutes"
    )
    longest: SomeTime = _key("The longest that anybody may ask for.", default="7 days")
    most: Positive = _key("The most holds that a member may have open at a time.", default="20")
    released_live: Time = _key(
        "How long points live that a hold gives back after they would have expired; 0 hours "
        "expires them at once.",
        "24 hours",
        default="0 hours",
    )


class SpendPointsSection(Section):
    """Points as money: how they pay for an order, or a part of it."""

    rate: OneOrMore[Rated] = _must(
        "How many points pay how much, for each currency of money.", "100 per 1.00 GBP"
    )
    currency: Id | None = _key(
        "Which points; those that can be spent, where only one currency of points can.", "points"
    )
    min: Count = _key("The fewest points of a payment.", "200", default="0")
    step: Positive | None = _key(
        "Payments are multiples of so many points, worth a whole number of minor units; where it "
        "is left out, the fewest that are.",
        "100",
    )
    max_share: Part = _key("The most of an order that points may pay.", "50 %", default="100 %")
    hold: SomeTime = _key(
        "How long points are held for an order where whoever asks does not say.",
        default="30 minutes",
    )


class RefundWithoutPurchaseSection(Section):
    """What happens to a refund whose purchase has not reached us."""

    wait: SomeDuration = _key("How long it waits for the purchase.", default="30 days")
    then: Literal["drop"] = _key("What becomes of it then: it lapses.", default="drop")


class IfExpiredSection(Section):
    """What becomes of points that return after their lot has expired."""

    valid: Duration = _key(
        "How long they live on, rounded up to the next local midnight; 0 days lets them expire at "
        "once.",
        default="14 days",
    )


class CancelledRedemptionSection(Section):
    """What a cancelled redemption gives back: what is owed is repaid first."""

    to: Literal["original_lot"] = _key(
        "Where points return to: the lot that they came from, with its expiry.",
        default="original_lot",
    )
    if_expired: IfExpiredSection = _key(
        "Where that lot has expired since.", {"valid": "14 days"}, default={}
    )


class TransfersSection(Section):
    """Points given by one member to another."""

    allowed: Truth = _key("Whether members may give points to each other.", default="false")
    min: Positive = _key("The fewest points of one transfer.", "100", default="1")
    limits: OneOrMore[AtMost] | None = _key(
        "How many times, or points of one currency, a member gives at most in a period; every one "
        "of them holds.",
        ["3 per day", "5000 points per month"],
    )


class PoolsSection(Section):
    """Households that share the points which their members earn."""

    members: Positive = _key("The most members of a pool, from 2 to 50.", "6", default="6")
    may_spend: Literal["anyone", "owner", "named"] = _key(
        "Who spends a pool's points: anyone in it, its owner, or the owner and whom the owner has "
        "named.",
        default="anyone",
    )
    min_stay: Duration = _key(
        "How long a member stays at least, rounded up to the next local midnight.",
        "30 days",
        default="0 days",
    )
    rejoin_after: Duration = _key(
        "How long after leaving one pool a member may join another, rounded up likewise.",
        default="30 days",
    )
    owner_leaves: Literal["passes_on", "closes"] = _key(
        "What becomes of a pool whose owner leaves: it goes to who has been in it longest, or "
        "closes. It always closes with the last one who leaves.",
        default="passes_on",
    )
    when_closed: Literal["to_owner", "forfeit"] = _key(
        "What becomes of the points of a pool that closes.", default="to_owner"
    )


class ClosingSection(Section):
    """What becomes of the points of an account that is closed."""

    keep_points_for: Duration = _key(
        "How long a closed account keeps its points, so that reopening it finds them; "
        "0 days forfeits them at once.",
        "30 days",
        default="30 days",
    )


class AdjustmentsSection(Section):
    """Points granted or taken by hand."""

    approval_above: Positive | None = _key(
        "An adjustment of more points waits until a second person approves it; "
        "none waits where it is left out.",
        "1000",
    )
    approval_within: SomeDuration = _key(
        "How long it waits before it lapses.", "14 days", default="14 days"
    )


class SuccessorsSection(Section):
    """What takes the place of names that earlier versions had and this one does not."""

    levels: dict[Id, Id] = _key("Dropped levels.", {"platinum": "gold"}, default={})
    currencies: dict[Id, Id] = _key("Dropped currencies.", {"stars": "points"}, default={})
    rewards: dict[Id, Id] = _key("Dropped rewards.", {"mug": "teapot"}, default={})


class Document(NamedSection):
    """A loyalty programme, as its owner writes it."""

    program: Id = _must("The programme's own name.", "harbour-rewards")
    language: Language | None = _key(
        "The language of names and descriptions for those who ask for none that there is; the "
        "first of the programme's `names` where it is left out, else `en`.",
        "en",
    )
    holds_from: LocalTime = _must(
        "From when this version holds, local to `timezone`; at least 60 s after its publication.",
        "2010-12-01T00:00",
    )
    timezone: Zone = _must("The zone of every date and month here.", "Europe/London")
    spend: SpendSection = _key("The money that earns.", {"basis": {}}, default={})
    currencies: dict[Id, CurrencySection] = Field(
        min_length=1,
        description="Currencies of points.",
        examples=[{"points": {}, "status": {"qualifies": "true", "window": "calendar_year"}}],
    )
    tiers: TiersSection | None = _key(
        "Tiers, where there are any.",
        {"by": "status", "levels": {"basic": {"from": "0"}, "gold": {"from": "5000"}}},
    )
    earn: dict[Id, EarnSection] = _key(
        "Earning rules by name.",
        {"base": {"event": "purchase", "give": {"points": "1 per 1.00 GBP"}}},
        default={},
    )
    boosts: BoostsSection = _key(
        "Multipliers by name, and how they stack.",
        {"gold-double": {"tier": ["gold"], "points": "x2"}},
        default={},
    )
    groups: dict[Id, GroupSection] = _key(
        "How groups of rules choose the one that fires; the best one where a group is not here.",
        {"welcome-offers": {"fires": "first"}},
        default={},
    )
    gifts: dict[Id, GiftSection] = _key(
        "Gifts by name.", {"birthday": {"give": ["200 points"]}}, default={}
    )
    stamps: dict[Id, StampsSection] = _key(
        "Cards of stamps, streaks and challenges by name.",
        {"six-orders": {"event": "purchase", "collect": "6", "give": ["500 points"]}},
        default={},
    )
    badges: dict[Id, BadgeSection] = _key(
        "Badges by name.", {"explorer": {"names": {"en": "Explorer"}}}, default={}
    )
    caps: list[CapSection] = _key(
        "The most points that all rules together give a member.",
        [{"points": "10000", "per": "purchase"}],
        default=[],
    )
    rewards: dict[Id, RewardSection] = _key(
        "The catalogue by name.", {"five-off": {"cost": "500 points"}}, default={}
    )
    holds: HoldsSection = _key("Points set aside.", {"last": "30 minutes"}, default={})
    spend_points: SpendPointsSection | None = _key(
        "Points as money, where they are that.",
        {"rate": "100 per 1.00 GBP", "min": "200", "step": "100", "max_share": "50 %"},
    )
    refund_without_purchase: RefundWithoutPurchaseSection = _key(
        "Refunds before their purchase.", {"wait": "30 days"}, default={}
    )
    guest_purchases: GuestPurchasesSection = _key(
        "Purchases of guests.", {"claim_within": "60 days"}, default={}
    )
    returns: ReturnsSection = _key(
        "The window in which returns are to be expected.", {"within": "30 days"}, default={}
    )
    cancelled_redemption: CancelledRedemptionSection = _key(
        "Redemptions that are undone.", {"if_expired": {"valid": "14 days"}}, default={}
    )
    transfers: TransfersSection = _key("Points between members.", {"allowed": "true"}, default={})
    pools: PoolsSection | None = _key(
        "Pools of households, where there are any.", {"members": "6", "may_spend": "anyone"}
    )
    closing: ClosingSection = _key(
        "Points of closed accounts.", {"keep_points_for": "30 days"}, default={}
    )
    adjustments: AdjustmentsSection = _key(
        "What is granted or taken by hand.", {"approval_above": "1000"}, default={}
    )
    benefits: dict[Id, NamedSection] = _key(
        "What people call the benefits that levels have.",
        {"priority-shipping": {"names": {"en": "Priority shipping"}}},
        default={},
    )
    reasons: dict[ReasonCode, NamedSection] = _key(
        "What people call reason codes: those given with adjustments and other acts by hand, and "
        "those with which something is refused.",
        {"goodwill": {"names": {"en": "With our apologies"}}},
        default={},
    )
    successors: SuccessorsSection = _key(
        "What takes the place of dropped names. An entry stays for good, because a member may have "
        "been away for several versions.",
        {"levels": {"platinum": "gold"}},
        default={},
    )
