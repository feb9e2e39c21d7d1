"""What a change of the tiers does to members, at the instant from which its version holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from services.loyalty.domain import tiers as standings
from services.loyalty.domain.account import Account, Reach
from services.loyalty.domain.calendar import Instant, local_date
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import window_key, windows_counted
from services.loyalty.domain.program import Program, Tiers, Window


def rejudges(before: Program, after: Program) -> bool:
    """Whether a version looks at standings anew: it changes the tiers and says that this is to be
    seen at once, or it counts longer windows, which members' states have to hold from then on.
    """
    new = after.tiers
    if new is None:
        return False
    longer = _months(after) > _months(before)
    differs = before.tiers is None or _rules(before.tiers) != _rules(new)
    changed = differs or _months(after) != _months(before)
    return longer or (changed and new.on_change != "keep_until_review")


def _rules(tiers: Tiers) -> Tiers:
    """The tiers without what changes nobody's level: what levels bring and give."""
    levels = tuple(
        replace(level, benefits={}, badge="", points={}, rewards=()) for level in tiers.levels
    )
    return replace(tiers, levels=levels, on_change="", give_when=frozenset())


def _months(program: Program) -> int:
    """Of a rolling window in which levels are reached; 0 where it is a year."""
    window = _window(program) if program.tiers else None
    return window.months if window is not None and window.kind == "rolling" else 0


def _window(program: Program) -> Window:
    window = standings.qualifying(program).window
    assert window is not None
    return window


def name_of(program: Program) -> str:
    """The name of the moment at which a version looks at standings anew: ``v3``."""
    return f"v{program.version}"


def history_keys(program: Program, account: Account) -> Iterable[str]:
    """Rows of closed windows that judging anew may look at."""
    if program.tiers is None or not account.enrolled_at:
        return
    window = _window(program)
    day = local_date(program.holds_from, program.zone)
    looked_at = {window_key(window, day, account.enrolled_at, program.zone)}
    looked_at.update(reach.window for reach in account.standing.reaches if reach.window)
    for key in looked_at:
        for counted in windows_counted(window.kind, window.months, key):
            for currency in program.tiers.currencies:
                yield f"window:{currency}/{counted}"


def rejudge(draft: Draft) -> None:
    """Looks at the standing under the version that begins to hold, as far as it says so."""
    tiers = draft.program.tiers
    assert tiers is not None
    _bring_back(draft)
    if tiers.on_change == "keep_until_review":
        return
    if not draft.standing.level:
        standings.enrol(draft)
    held = draft.standing.reaches
    if tiers.on_change == "judge_at_once":
        held = [reach for reach in held if _stands(draft, tiers, reach)]
    at = draft.effective_at
    window = standings.window_of(draft, at)
    counted = standings.balances(draft, window)
    until = standings.period_until(draft, tiers, window, at)
    risen = [
        Reach(level.name, at, until, window, "rejudged")
        for level in tiers.levels[1:]
        if until > at and level.allows(counted) and not any(r.level == level.name for r in held)
    ]
    draft.trace["rejudged"] = {"plan": tiers.on_change, "window": window, "counted": counted}
    if risen or len(held) < len(draft.standing.reaches):
        standings.stand(draft, [*held, *risen], "rules_changed", keep=True)


def _stands(draft: Draft, tiers: Tiers, reach: Reach) -> bool:
    """Whether a reach stands under new rules: one that was given, by hand or by falling softly,
    does, and any other if its own window allows it.
    """
    if not reach.window:
        return True
    level = standings.level_of(tiers, reach.level)
    return level.allows(standings.balances(draft, reach.window))


def _bring_back(draft: Draft) -> None:
    """Takes closed windows back into the working state: from now on they count."""
    for key, (_, points) in draft.facts.history.items():
        currency, _, window = key.removeprefix("window:").partition("/")
        if points and window not in draft.windows.get(currency, {}):
            draft.windows.setdefault(currency, {})[window] = points
            draft.history[key] = [0, 0]


def moment_of(program: Program, account: Account) -> Instant:
    """When a version looks at an account's standing anew, 0 where it does not."""
    standing = account.standing
    if not program.rejudges or not (account.windows or standing.reaches or standing.grace_until):
        return 0
    return program.holds_from
