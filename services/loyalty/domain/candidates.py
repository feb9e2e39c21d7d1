"""Which rules are candidates for an activity: an index over what their filters say of it.

A programme may have hundreds of rules, few of which concern an ordinary purchase. What most filters
look at (channel, store, payment, tier, segments, the number of the purchase, day and validity)
takes few values, so the answer is worked out once for each combination that occurs, and remembered
with the words of the trace. Lines, money and conditions are looked at rule by rule.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import date
from functools import lru_cache
from typing import Final

from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.conditions import MOST_TOGETHER, Together
from services.loyalty.domain.program import Boost, Filter, Program, Rule
from services.loyalty.domain.reasons import NotFired

AMENDMENT = "amendment"
"""The event of what an amendment adds: of channel, store and payment it tells nothing."""

NO_SEGMENTS: Final[frozenset[str]] = frozenset()

_OTHER: Final = "\0"  # stands for all that no rule names
_ANY_DAY: Final = date.min


class Setting:
    """What structural filters see of an activity. ``level`` and ``segments`` are those held when it
    occurred, ``nth`` numbers the member's purchases from 1.
    """

    __slots__ = ("channel", "day", "level", "nth", "occurred_at", "payment", "segments", "store")

    def __init__(
        self,
        occurred_at: Instant,
        day: date,
        level: str,
        channel: str,
        store: str,
        payment: str,
        nth: int,
        segments: frozenset[str],
    ) -> None:
        self.occurred_at = occurred_at
        self.day = day
        self.level = level
        self.channel = channel
        self.store = store
        self.payment = payment
        self.nth = nth
        self.segments = segments


class Candidates:
    """Rules that an activity may fire and boosts that may apply to it, each with the reasons why
    others may not. ``conditions`` are what they ask, where that is more than one thing.
    """

    __slots__ = ("boosts", "boosts_missed", "conditions", "missed", "rules")

    def __init__(
        self,
        rules: list[Rule],
        missed: list[tuple[str, NotFired]],
        boosts: list[Boost],
        boosts_missed: list[tuple[str, NotFired]],
    ) -> None:
        self.rules = rules
        self.missed = missed
        self.boosts = boosts
        self.boosts_missed = boosts_missed
        every: list[Rule | Boost] = [*rules, *boosts]
        found = [one.when for one in every if one.when is not None][:MOST_TOGETHER]
        self.conditions = Together(found) if len(found) > 1 else None


def of_event(program: Program, event: str, setting: Setting) -> Candidates:
    """The candidates of an event: ``purchase``, ``enrolled``, ``engagement:`` and its kind, or
    :data:`AMENDMENT`, of which only the boosts are told.
    """
    asked, values = program.asked, program.asked.values
    return _remembered(
        program,
        event if event in asked.events else event.partition(":")[0],
        bisect_right(asked.eras, setting.occurred_at),
        setting.day if asked.by_day else _ANY_DAY,
        (
            setting.level if setting.level in values else _OTHER,
            setting.channel if setting.channel in values else _OTHER,
            setting.store if setting.store in values else _OTHER,
            setting.payment if setting.payment in values else _OTHER,
        ),
        setting.nth if setting.nth in asked.nths else 0,
        setting.segments & values if setting.segments else NO_SEGMENTS,
    )


def among(setting: Setting, rules: Sequence[Rule]) -> tuple[list[Rule], list[tuple[str, NotFired]]]:
    """The candidates among some rules, and why the others are none."""
    found: list[Rule] = []
    missed: list[tuple[str, NotFired]] = []
    for rule in rules:
        if why := unmet(setting, rule):
            missed.append((rule.id, why))
        else:
            found.append(rule)
    return found, missed


@lru_cache(maxsize=4096)
def _remembered(
    program: Program,
    event: str,
    era: int,
    day: date,
    where: tuple[str, str, str, str],
    nth: int,
    segments: frozenset[str],
) -> Candidates:
    level, channel, store, payment = where
    since = program.asked.eras[era - 1] if era else -1
    setting = Setting(since, day, level, channel, store, payment, nth, segments)
    rules, missed = among(setting, program.rules_of(event))
    boosts: list[Boost] = []
    boosts_missed: list[tuple[str, NotFired]] = []
    for boost in program.boosts.boosts:
        unknown = event == AMENDMENT and boost.filter.excludes_purchases
        why: NotFired = "not_told_by_amendment" if unknown else unmet(setting, boost)
        if why:
            boosts_missed.append((boost.id, why))
        else:
            boosts.append(boost)
    return Candidates(rules, missed, boosts, boosts_missed)


def unmet(setting: Setting, rule: Rule | Boost) -> NotFired:
    """The first structural reason why a rule or boost does not look at an activity, empty where it
    does. Days by the member's own calendar are looked at by whoever knows the member.
    """
    if not rule.valid_from <= setting.occurred_at < rule.valid_until:
        return "not_valid_then"
    if rule.days is not None and not rule.days(setting.day):
        return "other_day"
    return "" if rule.filter.empty else _filtered(setting, rule.filter)


def _filtered(setting: Setting, filter_: Filter) -> NotFired:  # noqa: PLR0911 - a return per reason
    if filter_.tier and setting.level not in filter_.tier:
        return "other_tier"
    if filter_.channel and setting.channel not in filter_.channel:
        return "other_channel"
    if filter_.store and setting.store not in filter_.store:
        return "other_store"
    if filter_.payment and setting.payment not in filter_.payment:
        return "other_payment"
    if filter_.nth and setting.nth not in filter_.nth:
        return "other_purchase_number"
    if filter_.segment and filter_.segment.isdisjoint(setting.segments):
        return "not_in_segment"
    return _turned_away(setting, filter_) if filter_.excludes else ""


def _turned_away(setting: Setting, filter_: Filter) -> NotFired:
    if setting.level in filter_.exclude_tier:
        return "excluded_tier"
    if setting.channel in filter_.exclude_channel:
        return "excluded_channel"
    if setting.store in filter_.exclude_store:
        return "excluded_store"
    if setting.payment in filter_.exclude_payment:
        return "excluded_payment"
    if not filter_.exclude_segment.isdisjoint(setting.segments):
        return "excluded_segment"
    return ""
