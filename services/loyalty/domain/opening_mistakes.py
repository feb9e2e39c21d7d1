"""What cannot be in an opening: whatever follows rests on what a member brings along.

Nothing of it is judged (:mod:`openings`), so what is impossible has to be found before. Each part
is named by its fields and places, so that a file can be told by its lines.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Literal, NamedTuple, TypeAlias

from services.loyalty.domain.account import Standing
from services.loyalty.domain.activity import Opening, OpeningLot, OpeningPosting
from services.loyalty.domain.calendar import IDLE, NEVER, Instant
from services.loyalty.domain.consideration import FUNDINGS
from services.loyalty.domain.opening_places import month_of, place_of, receipt_of, waits
from services.loyalty.domain.periods import window_key, windows_counted
from services.loyalty.domain.program import Program, Tiers, Window
from services.loyalty.domain.receipt import ReceiptLine
from services.loyalty.domain.status import BLOCKED

ON_REFUND = ("prorate", "revoke", "keep")
REACHED_BY = ("reached", "kept", "fell", "manual", "imported")
OCCASIONS = ("birthday", "anniversary", "tier-anniversary")

_COUNTER = re.compile(
    r"(?P<name>.+)/(life|\d{4}(-\d\d|-W\d\d|-\d\d-\d\d)?|[^/@]+@(life|\d{4}-\d\d-\d\d))",
    re.ASCII,
)

Path: TypeAlias = tuple[str | int, ...]
Why: TypeAlias = Literal[
    "in_future",
    "is_past",
    "unknown_currency",
    "not_positive",
    "needs_an_end",
    "has_no_end",
    "ends_before_it_begins",
    "no_inactivity",
    "no_such_order",
    "not_its_order",
    "awaits_without_end",
    "owes_and_has",
    "no_tiers",
    "unknown_level",
    "not_the_highest_level",
    "not_a_window",
    "window_does_not_allow",
    "not_a_basis",
    "unknown_counter",
    "unknown_occasion",
    "unknown_block",
    "given_twice",
    "no_lines",
    "impossible_line",
    "impossible_posting",
    "not_in_its_lot",
    "other_than_its_lot",
    "no_points_of_that_month",
    "not_a_funding",
]
"""Why a part of an opening is impossible."""


class Mistake(NamedTuple):
    """A part of an opening that is impossible, by its fields and places, and why."""

    path: Path
    why: Why


def mistakes(program: Program, body: Opening, at: Instant) -> Iterator[Mistake]:
    """Every part of an opening that cannot have been at an instant under a programme."""
    yield from _of_the_member(program, body, at)
    yield from _of_balances(program, body, at)
    found = [*_of_lots(program, body, at), *_of_orders(program, body, at)]
    yield from found
    if not found:  # else sums say nothing
        yield from _of_places(program, body, at)
        yield from _of_the_tier(program, body, at)
    yield from _of_consideration(program, body)


def over(body: Opening, at: Instant) -> Iterator[Mistake]:
    """Lots whose life has ended by an instant. They are possible, and expire at once, but have no
    place among opening balances.
    """
    for index, lot in enumerate(body.lots):
        if 0 < lot.expires_at <= at:
            yield Mistake(("lots", index), "is_past")


def counters_of(program: Program) -> set[str]:
    """The names, without their periods, of all counters that a programme may use."""
    names = {rule.id for rule in program.rules} | {card.id for card in program.stamps}
    names |= {referring.id for referring in program.referrals}
    names |= {f"cap:{cap.currency}" for cap in program.caps}
    names |= {f"reward:{reward}" for reward in program.rewards}
    names |= {f"transfers:{currency}" for currency in program.currencies}
    levels = program.tiers.levels if program.tiers else ()
    return names | {f"benefit:{benefit}" for level in levels for benefit in level.benefits}


def is_counter(program: Program, key: str) -> bool:
    """Whether a programme may use a counter of that name: ``big-basket/2011-02``."""
    found = _COUNTER.fullmatch(key)
    return found is not None and found["name"] in counters_of(program)


def _of_the_member(program: Program, body: Opening, at: Instant) -> Iterator[Mistake]:
    if body.enrolled_at > at:
        yield Mistake(("enrolled_at",), "in_future")
    if body.purchases < 0:
        yield Mistake(("purchases",), "not_positive")
    for key, counted in body.counters.items():
        if not is_counter(program, key):
            yield Mistake(("counters", key), "unknown_counter")
        elif len(counted) != 2 or min(counted) < 0:
            yield Mistake(("counters", key), "not_positive")
    for occasion, given_at in body.gifts.items():
        if occasion not in OCCASIONS:
            yield Mistake(("gifts", occasion), "unknown_occasion")
        elif given_at > at:
            yield Mistake(("gifts", occasion), "in_future")
    for what in body.blocked:
        if what not in BLOCKED:
            yield Mistake(("blocked",), "unknown_block")


def _of_balances(program: Program, body: Opening, at: Instant) -> Iterator[Mistake]:
    for currency, points in body.arrears.items():
        path = "arrears", currency
        if not _is_spendable(program, currency):
            yield Mistake(path, "unknown_currency")
        elif points <= 0:
            yield Mistake(path, "not_positive")
        elif any(lot.currency == currency and not waits(lot, at) for lot in body.lots):
            yield Mistake(path, "owes_and_has")
    for currency, until in body.idle.items():
        if currency not in program.idle:
            yield Mistake(("idle", currency), "no_inactivity")
        elif until <= at:
            yield Mistake(("idle", currency), "is_past")


def _is_spendable(program: Program, currency: str) -> bool:
    terms = program.currencies.get(currency)
    return terms is not None and not terms.qualifies


def _of_lots(program: Program, body: Opening, at: Instant) -> Iterator[Mistake]:
    for index, lot in enumerate(body.lots):
        path: Path = ("lots", index)
        if lot.points <= 0:
            yield Mistake(path, "not_positive")
        yield from _of_life(program, body, lot, path, at)


def _of_life(
    program: Program, body: Opening, lot: OpeningLot | OpeningPosting, path: Path, at: Instant
) -> Iterator[Mistake]:
    """What is impossible of when points were earned, and of how long they live."""
    terms = program.currencies.get(lot.currency)
    if terms is None:
        yield Mistake(path, "unknown_currency")
        return
    if lot.earned_at > at:
        yield Mistake(path, "in_future")
    if terms.qualifies:
        if lot.expires_at != NEVER:
            yield Mistake(path, "has_no_end")
    elif not lot.expires_at and not (lot.awaits and terms.expiry):
        yield Mistake(path, "needs_an_end")
    elif 0 < lot.expires_at <= lot.earned_at:
        yield Mistake(path, "ends_before_it_begins")
    elif lot.expires_at == IDLE and lot.currency not in body.idle:
        yield Mistake(path, "no_inactivity")
    if lot.awaits and lot.awaits not in {order.order for order in body.orders}:
        yield Mistake(path, "no_such_order")
    if lot.awaits and not at < lot.activates_at < NEVER:
        yield Mistake(path, "awaits_without_end")


def _of_orders(program: Program, body: Opening, at: Instant) -> Iterator[Mistake]:
    seen: set[str] = set()
    for index, order in enumerate(body.orders):
        path: Path = ("orders", index)
        if order.order in seen:
            yield Mistake(path, "given_twice")
        seen.add(order.order)
        if order.occurred_at > at or order.delivered_at > at:
            yield Mistake(path, "in_future")
        if not order.lines:
            yield Mistake(path, "no_lines")
        places = [line.position for line in order.lines]
        for place, line in enumerate(order.lines):
            if places.index(line.position) < place:
                yield Mistake((*path, "lines", place), "given_twice")
            elif not _is_possible(line):
                yield Mistake((*path, "lines", place), "impossible_line")
        for place, posting in enumerate(order.postings):
            here = (*path, "postings", place)
            if not _fits(posting, len(order.lines)):
                yield Mistake(here, "impossible_posting")
            if posting.awaits not in ("", order.order):
                yield Mistake(here, "not_its_order")
            yield from _of_life(program, body, posting, here, at)


def _is_possible(line: ReceiptLine) -> bool:
    return (
        line.quantity > 0
        and 0 <= line.returned_quantity <= line.quantity
        and min(line.value, line.spend, line.returned_amount) >= 0
    )


def _fits(posting: OpeningPosting, lines: int) -> bool:
    return (
        len(posting.allocated) == lines
        and min(posting.allocated, default=0) >= 0
        and sum(posting.allocated) > 0
        and posting.on_refund in ON_REFUND
        and posting.min_spend >= 0
        and all(0 <= index < lines for index in posting.eligible)
        and (posting.step > 0) == (posting.steps > 0)
        and not (posting.steps and posting.prorates)
    )


def _of_places(program: Program, body: Opening, at: Instant) -> Iterator[Mistake]:
    """Orders of which more is left than lies where it must: a refund takes points that count for
    tiers from their own window, and a delivery makes exactly those available that await it.
    """
    held: defaultdict[str, int] = defaultdict(int)
    awaited: dict[str, int] = {}
    for index, lot in enumerate(body.lots):
        key = place_of(program, body.enrolled_at, lot, at)
        held[key] += lot.points
        if lot.awaits:
            awaited.setdefault(key, index)
    left: defaultdict[str, int] = defaultdict(int)
    for index, order in enumerate(body.orders):
        for place, posting in enumerate(receipt_of(program, body, order, at).postings):
            key = posting.lots[0][0]
            left[key] += posting.points - sum(posting.reversed)
            if (posting.window or "/d" in key) and left[key] > held[key]:
                yield Mistake(("orders", index, "postings", place), "not_in_its_lot")
    for key, index in awaited.items():
        if held[key] > left[key]:
            yield Mistake(("lots", index), "other_than_its_lot")


def _of_the_tier(program: Program, body: Opening, at: Instant) -> Iterator[Mistake]:
    held, tiers = body.standing, program.tiers
    if tiers is None:
        if held != Standing():
            yield Mistake(("standing",), "no_tiers")
        return
    places = {level.name: place for place, level in enumerate(tiers.levels)}
    if held.since > at:
        yield Mistake(("standing",), "in_future")
    if held.grace_until and held.grace_until <= at:
        yield Mistake(("standing",), "is_past")
    if held.level not in places and held.level:
        yield Mistake(("standing",), "unknown_level")
        return
    for index, reach in enumerate(held.reaches):
        path = "standing", "reaches", index
        if not places.get(reach.level):
            yield Mistake(path, "unknown_level")
        elif reach.until <= at:
            yield Mistake(path, "is_past")
        elif reach.at > at:
            yield Mistake(path, "in_future")
        elif reach.cause not in REACHED_BY:
            yield Mistake(path, "not_a_basis")
        elif reach.window:
            yield from _of_window(program, tiers, body, path, at)
    highest = max((places.get(reach.level, 0) for reach in held.reaches), default=0)
    place = places.get(held.level, 0)
    if place != highest and not (held.grace_until and place > highest):
        yield Mistake(("standing",), "not_the_highest_level")


def _of_window(
    program: Program, tiers: Tiers, body: Opening, path: tuple[str, str, int], at: Instant
) -> Iterator[Mistake]:
    reach = body.standing.reaches[path[2]]
    terms = program.currencies[tiers.currency].window
    assert terms is not None
    if not _is_window(program, terms, reach.window, body.enrolled_at):
        yield Mistake(path, "not_a_window")
        return
    counted = windows_counted(terms.kind, terms.months, reach.window)
    balances = _balances(program, body, tiers.currencies, counted, at)
    level = next(level for level in tiers.levels if level.name == reach.level)
    if not level.allows(balances):
        yield Mistake(path, "window_does_not_allow")


def _is_window(program: Program, terms: Window, text: str, enrolled_at: Instant) -> bool:
    """Whether a text names a window of the programme's kind: ``2011-02``, ``2011``, or the first
    day of a member's year.
    """
    forms = {"rolling": f"{text}-01", "calendar_year": f"{text}-01-01", "member_year": text}
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", forms[terms.kind], re.ASCII):
        return False
    try:
        day = date.fromisoformat(forms[terms.kind])
    except ValueError:
        return False
    return window_key(terms, day, enrolled_at, program.zone) == text


def _balances(
    program: Program,
    body: Opening,
    currencies: Sequence[str],
    windows: Sequence[str],
    at: Instant,
) -> Mapping[str, int]:
    """What windows count together of each currency."""
    counted = dict.fromkeys(currencies, 0)
    for lot in body.lots:
        if lot.currency in counted and not waits(lot, at):
            key = place_of(program, body.enrolled_at, lot, at)
            if key.partition("/")[2] in windows:
                counted[lot.currency] += lot.points
    return counted


def _of_consideration(program: Program, body: Opening) -> Iterator[Mistake]:
    months = {
        (lot.currency, month_of(program, lot))
        for lot in body.lots
        if _is_spendable(program, lot.currency)
    }
    for index, paid in enumerate(body.paid):
        if (paid.currency, paid.issued) not in months:
            yield Mistake(("paid", index), "no_points_of_that_month")
        if paid.funding not in FUNDINGS:
            yield Mistake(("paid", index), "not_a_funding")
        if paid.amount <= 0:
            yield Mistake(("paid", index), "not_positive")
