"""Tiers: reaching a level, keeping it for its period, falling from it, and undoing what a refund
undid.

A standing is held up by *reaches*. A level is reached the moment the balance of its window allows,
at a posting or at the review that ends a tier period; each reach names the window that allowed it.
A change to that window judges it again, and so a refund undoes only what its own points made: a
reach falls when the balance of its window, without what came back, no longer allows its level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from services.loyalty.domain import badges
from services.loyalty.domain.account import Account, Lot, Reach, Standing
from services.loyalty.domain.activity import TierGiven
from services.loyalty.domain.calendar import NEVER, Instant, local_date, rfc3339
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import after_span, window_end, window_key, windows_counted
from services.loyalty.domain.program import Currency, Level, Program, Tiers
from services.loyalty.domain.reasons import TierChange
from services.loyalty.domain.refusal import Refusal
from services.loyalty.domain.status import ENDED


def qualifying(program: Program) -> Currency:
    """The currency by which tiers are reached; what else levels need has the same window."""
    assert program.tiers is not None
    return program.currencies[program.tiers.currency]


def window_of(draft: Draft, at: Instant) -> str:
    """The qualifying window that holds an instant."""
    return _window_at(draft.program, draft.enrolled_at, at)


def _window_at(program: Program, enrolled_at: Instant, at: Instant) -> str:
    window = qualifying(program).window
    assert window is not None
    day = local_date(at, program.zone)
    return window_key(window, day, enrolled_at, program.zone)


_NO_WINDOWS: Final[dict[str, int]] = {}


def balances(draft: Draft, window: str) -> dict[str, int]:
    """What a window counts of each currency that levels need."""
    tiers = draft.program.tiers
    assert tiers is not None
    counted: dict[str, int] = {}
    for currency in tiers.currencies:
        counted[currency] = balance(draft, window, currency)
    return counted


def balance(draft: Draft, window: str, name: str) -> int:
    """The qualifying points of a currency that a window counts."""
    currency = draft.program.currencies[name]
    assert currency.window is not None
    held = _counted(draft.program, draft.windows, name)
    outside = bool(draft.history or draft.facts.history)
    if not held and not outside:
        return 0
    total = 0
    for key in windows_counted(currency.window.kind, currency.window.months, window):
        points = held.get(key)
        if points is None:
            if not outside:
                continue
            gone = f"window:{name}/{key}"
            row = draft.history.get(gone) or draft.facts.history.get(gone)
            points = row[1] if row else 0
        total += points
    return total


def _counted(program: Program, windows: dict[str, dict[str, int]], currency: str) -> dict[str, int]:
    """Qualifying points by window: of the currency, and of those whose place it took."""
    held = windows.get(currency, _NO_WINDOWS)
    followed = program.succeeded
    if not followed:
        return held
    total = dict(held)
    for old, new in followed.items():
        for window, points in windows.get(old, {}).items() if new == currency else ():
            total[window] = total.get(window, 0) + points
    return total


def window_balances(program: Program, account: Account, at: Instant) -> dict[str, int]:
    """What the window that holds ``at`` counts of each currency that levels need, for reads."""
    return counted_in(program, account, _window_at(program, account.enrolled_at, at))


def counted_in(program: Program, account: Account, window: str) -> dict[str, int]:
    """What a window that is at hand counts of each currency that levels need."""
    terms, tiers = qualifying(program).window, program.tiers
    assert terms is not None
    assert tiers is not None
    keys = windows_counted(terms.kind, terms.months, window)
    held = {name: _counted(program, account.windows, name) for name in tiers.currencies}
    return {name: sum(points.get(key, 0) for key in keys) for name, points in held.items()}


def judge(draft: Draft, currency: str, *, credited: int, window: str) -> None:
    """Reaches the levels that a posting of ``credited`` points to ``window`` has made the balances
    allow, where the currency is the one that counts for tiers and the account has one.
    """
    tiers = draft.program.tiers
    if tiers is None or draft.status in ENDED:
        return
    currency = draft.program.currency_now(currency)
    if currency not in tiers.currencies:
        return
    terms = qualifying(draft.program).window
    assert terms is not None
    current = draft.posted_on.window(terms, draft.enrolled_at)
    counts = window == current or window in windows_counted(terms.kind, terms.months, current)
    gained = credited if counts else 0
    _reach(draft, tiers, current, (currency, gained), draft.effective_at)
    if window != current:
        at = min(draft.occurred_at, draft.effective_at)
        _reach(draft, tiers, window, (currency, credited), at)


def _reach(draft: Draft, tiers: Tiers, window: str, gained: tuple[str, int], at: Instant) -> None:
    after = balances(draft, window)
    allowed = [level for level in tiers.levels[1:] if level.allows(after)]
    if not allowed:
        return
    currency, credited = gained
    before = {**after, currency: after[currency] - credited}
    held = draft.standing.reaches
    names = [reach.level for reach in held]
    new: list[Reach] = []
    for level in allowed:
        if level.name not in names or not level.allows(before):
            until = period_until(draft, tiers, window, at)
            reach = Reach(level.name, at, until, window)
            if until > draft.effective_at and reach not in held:
                new.append(reach)
    if new:
        stand(draft, [*held, *new], "reached", keep=True)


def period_until(draft: Draft, tiers: Tiers, window: str, at: Instant) -> Instant:
    """Until when a level is kept that is reached at an instant in a window."""
    if tiers.kept_until:
        terms = qualifying(draft.program).window
        assert terms is not None
        later = 1 if tiers.kept_until == "end_of_next_window" else 0
        return window_end(terms, window, draft.tz, later=later)
    return after_span(at, tiers.kept, draft.tz)


def stand(
    draft: Draft, reaches: Sequence[Reach], reason: TierChange, *, keep: bool = False
) -> None:
    """Takes the highest level that a live reach holds up, and says so where that is a change."""
    tiers = draft.program.tiers
    assert tiers is not None
    live = [reach for reach in reaches if reach.until > draft.effective_at]
    was = draft.standing
    level = max(
        (reach.level for reach in live),
        key=lambda name: _rank(tiers, name),
        default=tiers.levels[0].name,
    )
    if was.grace_until and _rank(tiers, level) < _rank(tiers, was.level) and keep:
        draft.standing = Standing(was.level, was.since, live, was.grace_until)
        return
    since = was.since if level == was.level else draft.effective_at
    draft.standing = Standing(level, since, live)
    if level != was.level:
        if _rank(tiers, level) > _rank(tiers, was.level):
            _rise(draft, tiers, was, reason)
        elif reason == "refunded":
            draft.tier_undone = True
    _tell(draft, tiers, was, reason)


def _tell(draft: Draft, tiers: Tiers, was: Standing, reason: TierChange) -> None:
    """Says of the standing now held that it is another level, or the same for longer."""
    level = draft.standing.level
    if level != was.level:
        up = _rank(tiers, level) > _rank(tiers, was.level)
        draft.announce(
            "loyalty.tier.changed.v1",
            {"from": was.level, "to": level, "direction": "up" if up else "down", "reason": reason}
            | _kept_to(draft.standing),
        )
    elif level != tiers.levels[0].name and period_end(draft.standing) > period_end(was):
        draft.announce(
            "loyalty.tier.kept.v1", {"level": level, "reason": reason} | _kept_to(draft.standing)
        )


def _rise(draft: Draft, tiers: Tiers, was: Standing, how: str) -> None:
    """Notes the levels above the one before that are reached, those on the way too: it is the same
    whether a member climbs to the top in one step or in several.
    """
    held = _rank(tiers, was.level)
    for level in tiers.levels[1:]:
        ends = [
            reach.until
            for reach in draft.standing.reaches
            if reach.level == level.name and reach not in was.reaches
        ]
        if ends and _rank(tiers, level.name) > held:
            draft.risen = {**draft.risen, level.name: (how, max(ends))}
            if level.badge:
                badges.award(draft, level.badge, by=level.name)


def _kept_to(standing: Standing) -> dict[str, str]:
    until = period_end(standing)
    return {"until": rfc3339(until)} if 0 < until < NEVER else {}


def _rank(tiers: Tiers, name: str) -> int:
    """Place of a level, -1 for none. One that only another version knows stands above all others,
    so that a late activity judged by an earlier version takes nobody's level away.
    """
    for place, level in enumerate(tiers.levels):
        if level.name == name:
            return place
    return len(tiers.levels) if name else -1


def period_end(standing: Standing) -> Instant:
    """When the tier period of the level held ends (exclusive), 0 where it has no end."""
    end, level = 0, standing.level
    for reach in standing.reaches:
        if reach.level == level and reach.until > end:
            end = reach.until
    return end


def enrol(draft: Draft) -> None:
    """Gives a new member everybody's level."""
    if draft.program.tiers:
        draft.standing = Standing(draft.program.tiers.levels[0].name, draft.effective_at)


def level_now(program: Program, name: str) -> str:
    """The name that a level has in a programme: its own, or its successor's."""
    return program.successors.get("levels", {}).get(name, name)


def succeed(draft: Draft) -> None:
    """Lets the successors of levels that this version dropped take their place, and says so."""
    dropped = draft.program.successors.get("levels")
    was = draft.standing
    if not dropped or not (was.level in dropped or any(r.level in dropped for r in was.reaches)):
        return
    reaches = [
        Reach(dropped.get(r.level, r.level), r.at, r.until, r.window, r.cause) for r in was.reaches
    ]
    level = dropped.get(was.level, was.level)
    since = was.since if level == was.level else draft.effective_at
    draft.standing = Standing(level, since, reaches, was.grace_until)
    if level != was.level:
        draft.announce(
            "loyalty.tier.kept.v1",
            {"level": level, "reason": "renamed"} | _kept_to(draft.standing),
        )


def give(draft: Draft, body: TierGiven) -> None:
    """Gives a level by hand, in place of one given before; it holds the tier up beside what was
    earned and never pulls it down.
    """
    tiers = draft.program.tiers
    if tiers is None or (body.level and not 0 < _rank(tiers, body.level) < len(tiers.levels)):
        raise Refusal("unknown_level", level=body.level)
    if body.until and body.until <= draft.effective_at:
        raise Refusal("end_is_past", until=rfc3339(body.until))
    others = [reach for reach in draft.standing.reaches if reach.cause != "manual"]
    draft.trace = {"level": body.level, "reason": body.reason, "actor": body.actor}
    if body.level:
        until = body.until or NEVER
        given = Reach(body.level, draft.effective_at, until, "", "manual")
        stand(draft, [*others, given], "manual", keep=True)
        return
    if len(others) == len(draft.standing.reaches):
        raise Refusal("no_manual_tier")
    stand(draft, others, "manual_ended", keep=True)
    _keep_what_the_window_allows(draft, tiers)


def review(draft: Draft, at: Instant) -> None:
    """Ends a tier period: the level is kept where the window that just ended allows it, else grace
    or a fall.
    """
    tiers = draft.program.tiers
    assert tiers is not None
    level = level_of(tiers, draft.standing.level)
    window = window_of(draft, at - 1)
    counted = balances(draft, window)
    if level.allows(counted):
        until = period_until(draft, tiers, window, at)
        if until <= at:
            until = period_until(draft, tiers, window_of(draft, at), at)
        kept = Reach(level.name, at, until, window, "kept")
        stand(draft, [*draft.standing.reaches, kept], "kept")
        return
    draft.trace["tier"] = {
        "window": window,
        "balance": counted[tiers.currency],
        "needs": level.threshold,
    } | _conditions(tiers, level, counted)
    if tiers.grace.months or tiers.grace.days:
        live = [reach for reach in draft.standing.reaches if reach.until > at]
        grace = after_span(at, tiers.grace, draft.tz)
        draft.standing = Standing(level.name, draft.standing.since, live, grace)
        return
    fall(draft, at)


def fall(draft: Draft, at: Instant) -> None:
    """Leaves a level that was not reached again: by one, or to what the window allows, as the
    programme says.
    """
    tiers = draft.program.tiers
    assert tiers is not None
    place = _rank(tiers, draft.standing.level)
    allowed = _allowed(draft, tiers, window_of(draft, at - 1))
    target = max(place - 1 if tiers.fall == "one_level" else 0, min(allowed, place - 1), 0)
    live = [
        reach
        for reach in draft.standing.reaches
        if reach.until > at and reach.level != draft.standing.level
    ]
    if target and target >= max((_rank(tiers, reach.level) for reach in live), default=0):
        until = after_span(at, tiers.new_level_kept, draft.tz)
        live.append(Reach(tiers.levels[target].name, at, until, "", "fell"))
    draft.standing = Standing(draft.standing.level, draft.standing.since, live)
    stand(draft, live, "period_ended")


def _conditions(tiers: Tiers, level: Level, counted: Mapping[str, int]) -> dict[str, object]:
    """What a level needs of each currency and what there is of it, where that is more to say than
    one number.
    """
    if level.needs == ((tiers.currency, level.threshold),):
        return {}
    return {
        "conditions": [
            {"currency": currency, "needs": needed, "missing": max(0, needed - counted[currency])}
            for currency, needed in level.needs
        ],
        "how": level.how,
    }


def _allowed(draft: Draft, tiers: Tiers, window: str) -> int:
    counted = balances(draft, window)
    return max(
        place for place, level in enumerate(tiers.levels) if place == 0 or level.allows(counted)
    )


def level_of(tiers: Tiers, name: str) -> Level:
    """The level that a programme has for a name: the highest for one it does not know."""
    return tiers.levels[place_of(tiers, name)]


def place_of(tiers: Tiers, name: str) -> int:
    """Place of the level that a programme has for a name: the highest for one it does not know."""
    return min(max(0, _rank(tiers, name)), len(tiers.levels) - 1)


def undo(draft: Draft, window: str) -> None:
    """Judges again, after points left a window, the reaches that it held up; ``at_end`` leaves that
    to the review.
    """
    tiers = draft.program.tiers
    if tiers is None or tiers.refund != "undo_what_it_bought":
        return
    terms = qualifying(draft.program).window
    assert terms is not None
    stands = [
        reach
        for reach in draft.standing.reaches
        if not reach.window
        or window not in windows_counted(terms.kind, terms.months, reach.window)
        or level_of(tiers, reach.level).allows(balances(draft, reach.window))
    ]
    if len(stands) == len(draft.standing.reaches):
        return
    grace = draft.standing.grace_until
    stand(draft, stands, "refunded", keep=bool(grace))
    _keep_what_the_window_allows(draft, tiers)


def _keep_what_the_window_allows(draft: Draft, tiers: Tiers) -> None:
    """A lower level whose own period ran out under the undone one stands where today's window still
    allows it.
    """
    window = window_of(draft, draft.effective_at)
    place = _allowed(draft, tiers, window)
    if place > _rank(tiers, draft.standing.level):
        until = period_until(draft, tiers, window, draft.effective_at)
        reach = Reach(tiers.levels[place].name, draft.effective_at, until, window, "kept")
        stand(draft, [*draft.standing.reaches, reach], "kept")


def warn(draft: Draft) -> None:
    """Tells a member that the level will be lost at the period's end, and what would keep it."""
    tiers = draft.program.tiers
    assert tiers is not None
    level = level_of(tiers, draft.standing.level)
    end = period_end(draft.standing)
    counted = balances(draft, window_of(draft, end - 1))
    missing = max(0, level.threshold - counted[tiers.currency])
    draft.announce(
        "loyalty.tier.warned.v1",
        {"level": level.name, "until": rfc3339(end), "missing": missing}
        | _conditions(tiers, level, counted),
    )


def would_fall(program: Program, account: Account) -> bool:
    """Whether, with what the window holds now, the level would not be kept at the end of its
    period.
    """
    assert program.tiers is not None
    end = period_end(account.standing)
    level = level_of(program.tiers, level_now(program, account.standing.level))
    return not level.allows(window_balances(program, account, end - 1))


def absorb(draft: Draft, held: Standing, gained: Mapping[str, Mapping[str, int]]) -> None:
    """Takes over the standing of a member whose account becomes part of this one, once what was
    counted there (``gained``, by currency and window) is counted here.

    The higher level is kept, and at equal levels the later end; a level that both together have
    reached, and neither alone, is reached now.
    """
    tiers = draft.program.tiers
    if tiers is None:
        return
    was, theirs = draft.standing, _on_its_way(draft, held)
    both = (was, theirs)
    level = max((each.level for each in both), key=lambda name: _rank(tiers, name))
    of_it = [each for each in both if each.level == level]
    reaches = [*was.reaches, *(each for each in theirs.reaches if each not in was.reaches)]
    live = [each for each in reaches if each.until > draft.effective_at]
    held_up = any(each.level == level for each in live)
    grace = 0 if held_up else max(each.grace_until for each in of_it)
    since = min(each.since for each in of_it)
    draft.standing = Standing(level, since, live, grace)
    _tell(draft, tiers, was, "merged")
    _reach_together(draft, tiers, gained)


def _on_its_way(draft: Draft, held: Standing) -> Standing:
    """A standing by this version's names. What ended on its way ends a moment from now, so that it
    is reviewed.
    """
    now = draft.effective_at
    grace = max(held.grace_until, now + 1) if held.grace_until else 0
    ended = not grace and period_end(held) <= now
    reaches = [
        Reach(
            level_now(draft.program, each.level),
            each.at,
            now + 1 if ended and each.level == held.level else each.until,
            each.window,
            each.cause,
        )
        for each in held.reaches
    ]
    return Standing(level_now(draft.program, held.level), held.since, reaches, grace)


def _reach_together(draft: Draft, tiers: Tiers, gained: Mapping[str, Mapping[str, int]]) -> None:
    terms = qualifying(draft.program).window
    assert terms is not None
    window = window_of(draft, draft.effective_at)
    after = balances(draft, window)
    keys = windows_counted(terms.kind, terms.months, window)
    theirs = dict.fromkeys(after, 0)
    for name, windows in gained.items():
        currency = draft.program.currency_now(name)
        if currency in theirs:
            theirs[currency] += sum(windows.get(key, 0) for key in keys)
    ours = {currency: points - theirs[currency] for currency, points in after.items()}
    until = period_until(draft, tiers, window, draft.effective_at)
    new = [
        Reach(level.name, draft.effective_at, until, window)
        for level in tiers.levels[1:]
        if level.allows(after) and not level.allows(ours) and not level.allows(theirs)
    ]
    if new and until > draft.effective_at:
        stand(draft, [*draft.standing.reaches, *new], "reached", keep=True)


def close_windows(draft: Draft) -> None:
    """Moves windows that nothing counts any more out of the working state, to their rows."""
    over = windows_over(
        draft.program,
        draft.windows,
        draft.standing,
        draft.lots,
        draft.enrolled_at,
        at=draft.effective_at,
    )
    for currency, key in over:
        draft.history[f"window:{currency}/{key}"] = [0, draft.windows[currency].pop(key)]


def windows_over(
    program: Program,
    windows: Mapping[str, Mapping[str, int]],
    standing: Standing,
    lots: Iterable[Lot],
    enrolled_at: Instant,
    *,
    at: Instant,
) -> list[tuple[str, str]]:
    """Windows, by currency, that nothing counts any more: not today's, nor what holds up the tier
    or will judge it, nor what pending points will enter.
    """
    tiers = program.tiers
    if tiers is None or not any(windows.get(currency) for currency in tiers.currencies):
        return []
    terms = qualifying(program).window
    assert terms is not None
    moments = [at]
    end = period_end(standing)
    if 0 < end < NEVER:
        moments.append(end - 1)
    if standing.grace_until:
        moments.append(standing.grace_until - 1)
    needed = {_window_at(program, enrolled_at, moment) for moment in moments}
    needed |= {reach.window for reach in standing.reaches if reach.window}
    needed |= {lot.issued for lot in lots if lot.currency in tiers.currencies}
    counted = {
        key for window in needed for key in windows_counted(terms.kind, terms.months, window)
    }
    newest = max(counted)
    return [
        (currency, key)
        for currency in tiers.currencies
        for key in windows.get(currency, {})
        if key not in counted and key < newest
    ]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a member may be shown of the tier.

    Attributes:
        level: the level held.
        counted: what today's window counts, by currency.
        next: the level above, None at the top, and
        lifts: what is still missing of each currency for it.
        keeps: what is still missing, by currency, for the level held to be kept at the end of its
            period; None for everybody's level.
        by: the end (exclusive) of that period, or of the grace after it; 0 or ``NEVER`` for none.
    """

    level: Level
    counted: Mapping[str, int]
    next: Level | None
    lifts: Mapping[str, int]
    keeps: Mapping[str, int] | None
    by: Instant


def progress(program: Program, account: Account, at: Instant) -> Progress | None:
    """How far a member has come; None without tiers."""
    tiers = program.tiers
    if tiers is None:
        return None
    nothing = dict.fromkeys(tiers.currencies, 0)
    counted = window_balances(program, account, at) if account.enrolled_at else nothing
    place = place_of(tiers, level_now(program, account.standing.level))
    level = tiers.levels[place]
    above = tiers.levels[place + 1] if place + 1 < len(tiers.levels) else None
    end = account.standing.grace_until or period_end(account.standing)
    judged = window_balances(program, account, end - 1) if 0 < end < NEVER else counted
    return Progress(
        level,
        counted,
        above,
        missing(above, counted) if above else {},
        missing(level, judged) if place else None,
        end,
    )


def missing(level: Level, counted: Mapping[str, int]) -> dict[str, int]:
    """What is still missing of each currency that a level needs; nothing of any once one is enough
    and there.
    """
    if level.allows(counted):
        return {currency: 0 for currency, _ in level.needs}
    return {currency: max(0, needed - counted[currency]) for currency, needed in level.needs}
