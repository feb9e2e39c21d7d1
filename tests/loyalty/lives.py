"""Programmes rich in moments, and all that may happen to members under them, for hypothesis."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

from hypothesis import strategies as st

from services.loyalty.domain.account import Reach, Standing
from services.loyalty.domain.activity import (
    Adjusted,
    Amended,
    AnyBody,
    Approved,
    BenefitUsed,
    Blocked,
    Cancelled,
    Delivered,
    Engaged,
    Enrolled,
    Extended,
    GiftClaimed,
    HoldCaptured,
    HoldRequested,
    HoldVoided,
    Line,
    Opening,
    OpeningLot,
    OpeningOrder,
    OpeningPosting,
    ProfileUpdated,
    Purchased,
    RedemptionCancelled,
    RedemptionRequested,
    Refunded,
    RefundLine,
    Reinstated,
    Segmented,
    StatusChanged,
    TierGiven,
    TransferRequested,
    VoucherUsed,
    VoucherVoided,
)
from services.loyalty.domain.calendar import DAY, NEVER
from services.loyalty.domain.program import (
    UNTIL_SETTLED,
    Boost,
    Boosts,
    Budget,
    Cap,
    Currency,
    Expiry,
    Filter,
    Gift,
    Holds,
    Level,
    Limit,
    LocalDays,
    Pending,
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
    Window,
)
from services.loyalty.domain.receipt import ReceiptLine
from services.loyalty.domain.recurrence import read_recurrence
from tests.loyalty.domain import shop
from tests.loyalty.domain.shop import at, end_of_month, programme, rate, rule, tiers

START = at("2010-12-01 00:00")
MEMBERS = ("ada", "bob")

_SUNDAYS = "FREQ=WEEKLY;BYDAY=SU"
_RULES = (
    rule("base", give={"points": rate(), "status": rate()}),
    rule(
        "coins",
        give={"coins": rate(1, 150)},
        round="half_up",
        per="line",
        filter=Filter(exclude_category=frozenset({"post"})),
    ),
    rule(
        "big",
        give={"points": 250},
        min_spend={"GBP": 400_00},
        limit=Limit("month", times=2),
        on_refund="revoke",
    ),
    rule("loyal", give={"points": 7}, on_refund="keep", filter=Filter(tier=frozenset({"silver"}))),
    rule("some", give={"points": rate(3)}, limit=Limit("week", points=900), on_refund="prorate"),
    rule(
        "spree",
        give={"points": 90, "coins": rate(1, 500)},
        budget=Budget("points", 700),
        on_refund="prorate",
        valid_until=START + 80 * DAY,
    ),
    rule(
        "thanks",
        give={"points": 3},
        rewards=("pin", "cup"),
        min_spend={"GBP": 300_00},
        limit=Limit("month", times=2),
        on_refund="revoke",
    ),
    rule("token", give={}, rewards=("pin",), min_spend={"GBP": 60_00}, group="offers"),
    rule(
        "quick",
        give={"points": rate(1, 900)},
        budget=Budget("points", 400, partial=False),
        min_spend={"GBP": 90_00},
        on_refund="revoke",
    ),
    rule("vips", give={"points": 30}, filter=Filter(segment=frozenset({"vip"}))),
    rule("steps", give={"points": {"GBP": Rate(20, 150_00, "GBP", full=True)}}, on_refund="revoke"),
    rule("small", give={"points": 9}, max_spend={"GBP": 300_00}, group="offers"),
    rule(
        "treat",
        give={"points": rate(1, 20_00)},
        limit=Limit("tier_period", times=2),
        group="offers",
        holdout=3_000,
    ),
    rule("sunday", give={"points": 4}, local=LocalDays(None, None, read_recurrence(_SUNDAYS))),
    rule("review", "engagement", give={"points": 50}, of="product.reviewed", limit=Limit("day", 1)),
    rule("welcome", "enrolled", give={"points": 100}),
)


def _card(name: str, collect: int, **more: Any) -> Stamps:
    """What any purchase stamps, and a review where it may."""
    look, engaged = Rule(name, "purchase", ()), Rule(name, "engagement", ())
    return Stamps(
        name,
        replace(look, min_spend=more.pop("min_spend", {})),
        engaged,
        more.pop("events", frozenset({"purchase"})),
        collect,
        shop.LONDON,
        points=more.pop("points", {"points": 90}),
        **more,
    )


_CARDS = (
    _card("three", 3, min_spend={"GBP": 20_00}, within=Span(months=2), points={"points": 333}),
    _card("weeks", 2, every="week", rewards=("card",), limit=Limit("month", times=2)),
    _card("toys", 2, different="category", badges=("player",), on_refund="keep"),
    _card(
        "both",
        2,
        different="kind",
        events=frozenset({"purchase", "engagement"}),
        points={"coins": 40, "status": 30},
    ),
)
_REFERRALS = (
    Referring(
        "friends",
        rule(
            "friends",
            "referral.qualified",
            give={"points": 200, "status": 10},
            min_spend={"GBP": 30_00},
            on_refund="revoke",
            pending=UNTIL_SETTLED,
        ),
        {"points": 300, "coins": 20},
        Limit("month", times=1),
    ),
)
_MORE: dict[str, Any] = {
    "stamps": _CARDS,
    "referrals": _REFERRALS,
    "returns": Span(days=12),
    "boosts": Boosts(
        (
            Boost("gold-double", {"points": (2, 1)}, Filter(tier=frozenset({"gold"}))),
            Boost("toys", {"points": (3, 2), "coins": (3, 2)}, Filter(category=frozenset({"toy"}))),
        ),
        "add",
        frozenset({"base", "coins", "big"}),
    ),
    "gifts": (
        Gift(
            "birthday",
            "birthday",
            {"points": 200},
            ("card",),
            member_for=Span(days=30),
            choose=("card", "five"),
            claim_within=Span(days=9),
        ),
        Gift("anniversary", "anniversary", {"points": 100, "status": 60}, ("card",)),
        Gift("loyal-year", "tier-anniversary", {"points": 70}),
    ),
    "caps": (Cap("points", 4000, "purchase"), Cap("points", 9000, "month")),
    "rewards": {
        "five": Reward("five", 500, "points", voucher=VoucherTerms(Span(days=20), "GBP", 5_00)),
        "mug": Reward("mug", 300, "points", stock=4, limit=Limit("month", times=2)),
        "sweet": Reward("sweet", 40, "coins", stock=3, limit=Limit("month", times=2)),
        "card": Reward(
            "card", gift_only=True, stock=2, voucher=VoucherTerms(Span(days=30), item="card")
        ),
        "pin": Reward("pin", gift_only=True, stock=99, voucher=VoucherTerms(item="pin")),
        "trophy": Reward("trophy", gift_only=True, stock=0),
        "cup": Reward("cup", gift_only=True),
        "rare": Reward(
            "rare",
            10,
            "points",
            tier=frozenset({"silver", "gold"}),
            segment=frozenset({"vip"}),
            stock=2,
            valid_until=START + 100 * DAY,
        ),
    },
    "groups": {"offers": "best"},
    "restored_for": Span(days=7),
    "transfers": True,
    "spend_points": SpendPoints("points", {"GBP": Rate(10, 1_00, "GBP")}, 20, 10, 5_000, 3600),
    "transfer_limits": (Limit("week", times=3), Limit("month", points=900)),
    "approval_above": 250,
    "approval_within": Span(days=5),
    "wait": Span(days=20),
    "exclude": Filter(category=frozenset({"post"})),
}


def _giving(plan: Tiers, *give_when: str) -> Tiers:
    """Levels that give points, and rewards: of one there are enough, of another none."""
    basic, silver, gold = plan.levels
    silver = replace(silver, points={"points": 70}, rewards=("pin",))
    gold = replace(gold, points={"points": 20, "coins": 30}, rewards=("trophy", "five", "cup"))
    return replace(plan, levels=(basic, silver, gold), give_when=frozenset({"reached", *give_when}))


def _coins(**terms: Any) -> Currency:
    return Currency("coins", **terms)


def monthly() -> Program:
    """Rolling tiers with grace; coins wait for their delivery and may expire before it."""
    return programme(
        *_RULES,
        shop.points(
            worth=(1, 1, "GBP"),
            pending=Pending(Span(days=14)),
            expiry=end_of_month(3, notices=(30, 7)),
        ),
        _coins(
            worth=(5, 2, "GBP"),
            pending=Pending(until_delivered=True, cancel_after=Span(days=40)),
            expiry=Expiry(Span(days=30), at="exact", notices=(5,)),
            shortfall="write_off",
        ),
        _giving(tiers(grace=Span(days=15), warn_days=(30,)), "manual"),
        holds_from=START,
        holds=Holds(longest_s=90 * 86_400),
        closed_keeps=Span(days=8),
        **_MORE,
    )


def yearly() -> Program:
    """Calendar-year tiers whose points count once they are available; falls go to what is left."""
    return programme(
        *_RULES,
        shop.points(
            pending=Pending(Span(days=3), exact=True),
            expiry=Expiry(Span(months=1), "activated", "exact", (3,)),
            late=Span(days=10),
        ),
        _coins(
            pending=Pending(until_delivered=True, cancel_after=Span(days=40)),
            expiry=Expiry(Span(months=2), "activated", "end_of_month"),
            shortfall="pending_only",
        ),
        shop.status(
            Window("calendar_year"), pending=Pending(Span(days=14)), counts="when_activated"
        ),
        _giving(
            tiers(kept_until="end_of_next_window", fall="to_qualified", warn_days=(60, 10)),
            "rules_changed",
        ),
        holds_from=START,
        holds=Holds(longest_s=90 * 86_400, most=6, released_live_s=36 * 3600),
        **_MORE,
    )


def personal() -> Program:
    """Tiers by the member's own year; nothing waits; what a refund undid stays to the review."""
    return programme(
        *_RULES,
        shop.points(expiry=Expiry(Span(days=20), at="exact", notices=(1,))),
        _coins(expiry=Expiry(Span(months=1), notices=(5,), moved_by=frozenset({"purchase"}))),
        shop.status(Window("member_year")),
        tiers(kept=Span(days=25), new_level_kept=Span(days=10), refund="at_end", warn_days=(5,)),
        holds_from=START,
        **_MORE,
    )


def several() -> Program:
    """Levels by points, orders, engagements and spend together, over rolling months."""
    orders, acts, spent = (
        Currency(name, qualifies=True, window=Window("rolling", 3))
        for name in ("orders", "acts", "spent")
    )
    gold = Level("gold", 0, needs=(("status", 900), ("orders", 2)))
    silver = Level("silver", 0, needs=(("spent", 300_00), ("acts", 2)), how="any")
    return programme(
        *_RULES,
        rule("measure:orders", give={"orders": 1}, on_refund="revoke"),
        rule("measure:spent", give={"spent": rate(1, 1)}),
        rule("measure:acts", "engagement", give={"acts": 1}, of="product.reviewed"),
        shop.points(
            expiry=Expiry(
                Span(days=45), notices=(7,), moved_by=frozenset({"redemption", "product.reviewed"})
            )
        ),
        _coins(expiry=Expiry(Span(days=10), at="01-31", notices=(7,))),
        orders,
        acts,
        spent,
        _giving(
            Tiers(
                "status",
                (Level("basic", 0), silver, gold),
                kept=Span(days=40),
                new_level_kept=Span(days=20),
                grace=Span(days=10),
                warn_days=(12,),
            )
        ),
        holds_from=START,
        **_MORE,
    )


PROGRAMMES = (monthly(), yearly(), personal(), several())


def changed(program: Program) -> Program:
    """The version after it: nothing waits, life is short, and several rules are gone."""
    assert program.tiers is not None
    return replace(
        program,
        version=2,
        holds_from=START + 50 * DAY,
        caps=(),
        gifts=program.gifts[:1],
        rules_by_event={**program.rules_by_event, "purchase": _RULES[:3]},
        currencies={
            **program.currencies,
            "points": shop.points(expiry=end_of_month(1, notices=(10,))),
        },
        tiers=replace(
            program.tiers, grace=Span(days=5), warn_days=(15,), on_change="judge_at_once"
        ),
    )


redemptions = st.sampled_from([f"r{number}" for number in range(9)])
orders = st.sampled_from(["o1", "o2", "o3", "o4", "o5"])
positions = st.integers(1, 3)
pence = st.one_of(st.sampled_from([0, 1, 99, 100, 500_00]), st.integers(0, 900_00))


@st.composite
def lines(draw: st.DrawFn) -> list[Line]:
    """Some lines, one or other of them free, discounted or of a category."""
    made = []
    for position in draw(st.lists(positions, min_size=1, max_size=3, unique=True)):
        quantity, price = draw(st.integers(1, 5)), draw(pence)
        discount = draw(st.integers(0, quantity * price)) if draw(st.booleans()) else 0
        category = draw(st.sampled_from(["", "toy", "post"]))
        made.append(Line(position, f"SKU{position}", quantity, price, discount, 0, category))
    return made


@st.composite
def purchases(draw: st.DrawFn) -> Purchased:
    """An order, perhaps with a discount on the whole or a part paid otherwise."""
    made = draw(lines())
    cost = sum(line.paid for line in made)
    discount = draw(st.integers(0, cost)) if draw(st.booleans()) else 0
    prepaid = draw(st.integers(0, cost - discount)) if draw(st.booleans()) else 0
    return Purchased(draw(orders), "GBP", made, discount, 0, prepaid)


refund_lines = st.builds(
    RefundLine, positions, st.integers(0, 6), st.sampled_from([0, 0, 1, 99_00])
)
refunds = st.builds(
    Refunded,
    orders,
    st.just("GBP"),
    st.lists(refund_lines, max_size=3, unique_by=lambda line: line.position),
    st.one_of(st.just(0), st.integers(0, 900_00)),
)
segments = st.builds(
    Segmented,
    st.just("vip"),
    st.integers(0, 60).map(lambda days: START + days * DAY),
    st.sampled_from([0, START + 30 * DAY, START + 90 * DAY]),
)

names = st.sampled_from(["?1", "?2", "?3", "?5"])
"""Of holds, counted back from the latest: :meth:`Shop.incoming` knows what they are called."""
ttls = st.sampled_from([0, 60, 3600, 86_400, 20 * 86_400, 60 * 86_400])
holds: st.SearchStrategy[AnyBody] = st.one_of(
    st.builds(
        HoldRequested,
        names,
        st.sampled_from(["points", "points", "coins", "status"]),
        st.integers(0, 300),
        ttl_s=ttls,
    ),
    st.builds(
        HoldRequested,
        names,
        points=st.sampled_from([20, 30, 50, 55, 200]),
        for_order=orders,
        money=st.sampled_from(["GBP", "GBP", "EUR"]),
        amount=st.sampled_from([1_00, 40_00, 900_00]),
        ttl_s=ttls,
    ),
    st.builds(HoldRequested, names, reward=st.sampled_from(["five", "sweet", "none"]), ttl_s=ttls),
)
settlements: st.SearchStrategy[AnyBody] = st.one_of(
    st.builds(HoldCaptured, names, st.just("r"), st.sampled_from([0, 0, 1, 10, 40, 500])),
    st.builds(HoldCaptured, names, st.just("r"), st.integers(1, 60), st.booleans()),
    st.builds(HoldVoided, names),
)
untils = st.integers(5, 200).map(lambda days: START + days * DAY)
longevity: st.SearchStrategy[AnyBody] = st.one_of(
    st.builds(
        Extended,
        st.sampled_from(["points", "points", "coins"]),
        untils,
        st.just("x"),
        st.just("y"),
        st.one_of(st.just(0), untils),
    ),
    st.builds(
        Reinstated,
        st.sampled_from(["points", "points", "coins"]),
        untils,
        st.just("x"),
        st.just("y"),
        st.sampled_from([0, 0, 5, 80]),
        st.one_of(st.just(0), untils),
    ),
)


@st.composite
def openings(draw: st.DrawFn) -> Opening:
    """What a member brings along: lots of both currencies, a tier, and an order that earned some of
    each, of which something may have come back.
    """
    at = START - draw(st.integers(1, 60)) * DAY
    end, soon = START + draw(st.integers(1, 150)) * DAY, START + draw(st.integers(-9, 60)) * DAY
    of_lines = draw(st.lists(st.integers(0, 400), min_size=1, max_size=3))
    made = [
        ReceiptLine(place, pieces, value, value, draw(st.integers(0, pieces)), value // 5)
        for place, value in enumerate(draw(st.lists(pence, min_size=3, max_size=3)))
        if place < len(of_lines)
        for pieces in (draw(st.integers(1, 4)),)
    ]
    fixed = draw(st.booleans())
    terms = {
        "points": (end, soon if draw(st.booleans()) else 0),
        "coins": (end, 0),
        "status": (NEVER, soon if draw(st.booleans()) else 0),
    }
    postings = [
        OpeningPosting(
            "base",
            name,
            of_lines,
            at,
            *life,
            on_refund="keep" if fixed else "prorate",
            prorates=not fixed,
        )
        for name, life in terms.items()
        if any(of_lines)
    ]
    earned = sum(of_lines) or 1
    extra = {"points": draw(st.integers(-earned + 1, 300)), "coins": 5, "status": 1000}
    lots = [OpeningLot(name, earned + extra[name], at, *life) for name, life in terms.items()]
    owes = extra["points"] < 0 and terms["points"][1]
    level = draw(st.sampled_from(["", "silver", "gold"]))
    reaches = [Reach(level, at, START + 90 * DAY, "", "imported")] if level else []
    return Opening(
        at - 400 * DAY,
        Standing(level, at if level else 0, reaches),
        lots,
        {"points": 17} if owes else {},
        counters={"treat/life": [1, 0], "some/2010-W49": [2, 800]},
        purchases=2,
        gifts={"birthday": at},
        orders=[OpeningOrder(draw(orders), "GBP", at, made, postings, 0, draw(st.just(0) | pence))],
    )


Returns: TypeAlias = Refunded | Cancelled | Delivered | Amended
returns: st.SearchStrategy[Returns] = st.one_of(
    refunds,
    refunds,
    refunds,
    st.builds(Cancelled, orders),
    st.builds(Delivered, orders),
    st.builds(Delivered, orders),
    st.builds(Amended, orders, st.just("GBP"), lines()),
)

bodies: st.SearchStrategy[AnyBody] = st.one_of(
    purchases(),
    returns,
    st.just(Engaged("product.reviewed")),
    st.builds(
        RedemptionRequested, redemptions, st.sampled_from(["five", "mug", "sweet", "rare", "none"])
    ),
    st.builds(RedemptionCancelled, redemptions, st.sampled_from([0, 0, 1, 120, 300])),
    st.builds(VoucherUsed, st.sampled_from(["v3-0", "v9-0"])),
    st.builds(VoucherVoided, st.sampled_from(["v3-0", "v9-0"]), st.just("x")),
    st.builds(GiftClaimed, st.just("g5-birthday"), st.just("card")),
    st.builds(BenefitUsed, st.sampled_from(["lounge", "upgrade"])),
    st.builds(
        Adjusted,
        st.sampled_from(["points", "coins"]),
        st.integers(-400, 400),
        st.just("x"),
        st.just("y"),
        st.sampled_from(["a1", "a2"]),
    ),
    st.builds(
        Approved, st.sampled_from(["a1", "a2"]), st.booleans(), st.sampled_from(["y", "z", "z"])
    ),
    st.builds(Blocked, st.sampled_from(["earning", "spending"]), st.sampled_from([True, False])),
    st.builds(
        TransferRequested,
        st.just("t"),
        st.sampled_from(MEMBERS),
        st.sampled_from([*MEMBERS, "eve"]),
        st.just("points"),
        st.integers(1, 600),
    ),
    st.builds(
        RedemptionRequested,
        st.just("r"),
        st.just(""),
        st.sampled_from([20, 55, 100]),
        orders,
        st.just("GBP"),
        st.sampled_from([1_00, 300_00]),
    ),
    holds,
    holds,
    settlements,
    longevity,
    segments,
    st.builds(
        TierGiven,
        st.sampled_from(["silver", "gold", "", "diamond"]),
        st.sampled_from([0, START + 40 * DAY, START + 90 * DAY + 7]),
        st.just("x"),
        st.just("y"),
    ),
    st.just(ProfileUpdated(["language"])),
    st.just(ProfileUpdated(["time_zone"], "Asia/Tokyo")),
    st.just(Enrolled()),
    openings(),
    st.builds(
        StatusChanged, st.sampled_from(["active", "active", "active", "suspended", "closed"])
    ),
)
"""Anything that may reach an account, whether it makes sense for it or not."""
