"""Adjustments that wait for a second person: asked for, approved or declined, lapsed."""

from __future__ import annotations

from services.loyalty.domain.account import Approval, with_affairs
from services.loyalty.domain.activity import Adjusted, Approved
from services.loyalty.domain.calendar import Instant, rfc3339
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.periods import after_span
from services.loyalty.domain.refusal import Refusal

MAX_APPROVALS = 100
"""Adjustments of one member that wait at the same time; one more is refused."""


def wait(draft: Draft, body: Adjusted) -> None:
    """Keeps an adjustment until a second person decides on it. No point moves."""
    held = draft.affairs.approvals
    if len(held) >= MAX_APPROVALS:
        raise Refusal("too_many_approvals", at_most=MAX_APPROVALS)
    name = body.adjustment or f"seq-{draft.seq}"
    if any(one.adjustment == name for one in held):
        raise Refusal("adjustment_exists", adjustment=name)
    lapses_at = after_span(draft.effective_at, draft.program.approval_within, draft.tz)
    asked = Approval(name, body.currency, body.points, body.reason, body.actor, lapses_at)
    draft.affairs = with_affairs(draft.affairs, approvals=[*held, asked])
    draft.trace = {
        "actor": body.actor,
        "waits": name,
        "approval_above": draft.program.approval_above,
    }
    draft.announce(
        "loyalty.adjustment.requested.v1", {**_told(asked), "lapses_at": rfc3339(lapses_at)}
    )


def settle(draft: Draft, body: Approved) -> Approval:
    """Ends the waiting of an adjustment by another person than the one who asked; answers what
    waited.
    """
    asked = next(
        (one for one in draft.affairs.approvals if one.adjustment == body.adjustment), None
    )
    if asked is None:
        raise Refusal("unknown_adjustment", adjustment=body.adjustment)
    if _same_person(asked.actor, body.actor):
        raise Refusal("second_person_needed", adjustment=body.adjustment)
    _drop(draft, asked, "" if body.approved else "declined")
    return asked


def lapse(draft: Draft, at: Instant) -> None:
    """Drops what nobody has decided on in time."""
    late = [one for one in draft.affairs.approvals if one.lapses_at <= at]
    for asked in late:
        _drop(draft, asked, "lapsed")
    draft.trace = {"lapsed": [one.adjustment for one in late]}


def drop_all(draft: Draft, reason: str) -> None:
    """Drops everything that waits: there is no account any more that it could change."""
    for asked in draft.affairs.approvals:
        _drop(draft, asked, reason)


def _drop(draft: Draft, asked: Approval, reason: str) -> None:
    others = [one for one in draft.affairs.approvals if one is not asked]
    draft.affairs = with_affairs(draft.affairs, approvals=others)
    if reason:
        draft.announce("loyalty.adjustment.dropped.v1", {**_told(asked), "why": reason})


def _told(asked: Approval) -> dict[str, object]:
    return {
        "adjustment": asked.adjustment,
        "currency": asked.currency,
        "points": asked.points,
        "reason": asked.reason,
    }


def _same_person(asked: str, decided: str) -> bool:
    return asked.strip().casefold() == decided.strip().casefold()
