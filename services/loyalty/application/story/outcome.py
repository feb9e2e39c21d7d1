"""What became of an activity that was refused, waits, or changed nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from services.loyalty.application.story.told import Told
from services.loyalty.application.story.words import Message, Value, say
from services.loyalty.domain.activity import Lapsed, Resumed
from services.loyalty.domain.calendar import MINUTE

_QUIET = frozenset(
    {
        "profile",
        "segment",
        "status",
        "block",
        "approval",
        "tick",
        "stuck",
        "unstuck",
        "claim",
        "claim_back",
        "extension",
        "merge",
        "merge_offer",
        "merge_answer",
        "merge_in",
        "pool_join",
        "pool_leave",
        "pool_ask",
        "pool_answer",
        "pool_left",
        "pool_spenders",
    }
)
"""Kinds of which nobody expects that points move."""


def outcome(told: Told, kind: str) -> Iterator[Message]:
    """Why it was refused or waits; and when it was judged, where that is not when it occurred."""
    decision = told.decision
    if decision.outcome == "refused":
        yield from _refused(told, decision.reason, decision.details)
    elif decision.outcome == "parked":
        yield _parked(told)
    elif isinstance(decision.activity.body, Lapsed):
        yield from _lapsed(told)
    elif not decision.entries and kind not in _QUIET:
        yield say("outcome.no_points")
    occurred_at = decision.activity.occurred_at
    if decision.facts.parked is None and decision.effective_at - occurred_at >= MINUTE:
        yield say(
            "outcome.late",
            occurred=told.moment(occurred_at),
            effective=told.moment(decision.effective_at),
        )


def _refused(told: Told, code: str, details: Mapping[str, Any]) -> Iterator[Message]:
    facts = {name: _fact(told, name, value) for name, value in details.items() if name != "reasons"}
    yield Message(f"refused.{code}", facts)
    reasons = details.get("reasons", ())
    if len(reasons) > 1:
        for reason in reasons:
            more = dict(reason)
            yield from _refused(told, more.pop("code"), more)


def _fact(told: Told, name: str, value: Any) -> Value:
    """A fact of a refusal as a value of its kind."""
    read = _FACTS.get(name)
    if read is not None:
        return read(told, value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str | int):
        return value
    return [_fact(told, "", each) for each in value]


def _moment(told: Told, value: str) -> Value:
    return told.read_moment(value)


_FACTS: dict[str, Callable[[Told, Any], Value]] = {
    "currency": lambda told, name: told.currency(name),
    "reward": lambda told, name: told.reward(name),
    "benefit": lambda told, name: told.benefit(name),
    "level": lambda told, name: told.level(name),
    "terms": lambda told, text: told.terms(text),
    "mistakes": lambda _, found: [f"{each['at']} ({each['why']})" for each in found],
    "tiers": lambda told, names: [told.level(name) for name in names],
    "choose": lambda told, names: [told.reward(name) for name in names],
    "until": _moment,
    "now": _moment,
    "since": _moment,
    "ended_at": _moment,
    "valid_from": _moment,
    "valid_until": _moment,
}
"""How facts are read that are more than text and numbers."""


def _parked(told: Told) -> Message:
    body = told.decision.activity.body
    seq = body.seq if isinstance(body, Resumed) else told.decision.account.seq
    until = next(held.lapses_at for held in told.decision.account.waiting if held.seq == seq)
    order = getattr(told.decision.facts.parked or body, "order", "")
    facts = {"order": order} if told.decision.reason == "awaits_purchase" else {}
    return say(f"waits.{told.decision.reason}", until=told.end(until), **facts)


def _lapsed(told: Told) -> Iterator[Message]:
    if "reason" in told.decision.trace:
        yield say(f"lapsed.{told.decision.trace['reason']}")
