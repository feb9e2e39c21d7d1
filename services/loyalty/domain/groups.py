"""Groups of rules: of those that would fire, one does.

Which one is the programme's choice: ``best`` for the member, or the ``first`` of the document. Best
compares what each rule would give, after boosts and its own limit and before the caps, which all of
them share: first what the points that can be spent are worth (their number, where not all of them
have a worth in one money), then the points that only count, and last the order of the document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

from services.loyalty.domain.draft import Draft
from services.loyalty.domain.program import Program, Rule
from services.loyalty.domain.reasons import NotFired


def contested(
    draft: Draft,
    rules: Sequence[Rule],
    would_give: Mapping[str, dict[str, int] | None],
    missed: list[tuple[str, NotFired]],
) -> Sequence[Rule]:
    """The rules without those that another one of their group shuts out. ``would_give`` holds
    points by currency for each rule of a group, None where it would not fire. The trace says of a
    group for which several contended who won, and what each would have given.
    """
    contenders: dict[str, list[Rule]] = {}
    for rule in rules:
        if rule.group and would_give[rule.id] is not None:
            contenders.setdefault(rule.group, []).append(rule)
    shut_out: set[str] = set()
    for group, those in contenders.items():
        if len(those) == 1:
            continue
        fires = draft.program.groups[group]
        won = those[0] if fires == "first" else _best(draft.program, those, would_give)
        lost = [rule.id for rule in those if rule.id != won.id]
        draft.trace.setdefault("groups", []).append(
            {
                "group": group,
                "fires": fires,
                "won": won.id,
                "would_give": {rule.id: would_give[rule.id] for rule in those},
            }
        )
        missed += [(rule, "lost_in_group") for rule in lost]
        shut_out.update(lost)
    return [rule for rule in rules if rule.id not in shut_out] if shut_out else rules


def _best(
    program: Program, those: Sequence[Rule], would_give: Mapping[str, dict[str, int] | None]
) -> Rule:
    worth = _worths(program)
    best, most = those[0], (Fraction(-1), 0)
    for rule in those:
        spendable, counting = Fraction(0), 0
        for currency, points in (would_give[rule.id] or {}).items():
            if program.currencies[currency].qualifies:
                counting += points
            else:
                spendable += points * worth.get(currency, Fraction(1))
        if (spendable, counting) > most:
            best, most = rule, (spendable, counting)
    return best


@lru_cache(maxsize=64)
def _worths(program: Program) -> dict[str, Fraction]:
    """What a point of each currency that can be spent is worth; nothing where they cannot be
    compared so.
    """
    spendable = [one for one in program.currencies.values() if not one.qualifies]
    worths = {one.name: one.worth for one in spendable if one.worth is not None}
    monies = {money for _, _, money in worths.values()}
    if len(worths) < len(spendable) or len(monies) != 1:
        return {}
    return {name: Fraction(minor, per) for name, (minor, per, _) in worths.items()}
