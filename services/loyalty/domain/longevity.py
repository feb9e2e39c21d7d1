"""Longer lives by hand: points that shall expire later, and expired ones that shall live again.

Both move points to a lot of the same month of issue. The old lot remembers it, so that a clawback
finds them there. Points that live while their member is active move nowhere: their date does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from services.loyalty.domain import idle
from services.loyalty.domain.activity import Extended, Reinstated
from services.loyalty.domain.calendar import NEVER, Instant, rfc3339
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.facts import LotTotals
from services.loyalty.domain.holds import extend
from services.loyalty.domain.refusal import Refusal
from services.loyalty.domain.spending import spendable


def extension(draft: Draft, body: Extended) -> None:
    spendable(draft.program, body.currency)
    _check_later(draft, body.until)
    ends_by = min(body.expiring_by or NEVER, body.until - 1)
    now = draft.program.currency_now
    moved = [
        lot
        for lot in draft.lots
        if not lot.activates_at and lot.expires_at <= ends_by and now(lot.currency) == body.currency
    ]
    for lot in moved:
        draft.take(draft.find_lot(lot.key), lot.points)
        extend(draft, lot, body.until, body.reason)
    held = _extend_held(draft, body.currency, ends_by, body.until)
    while_active = idle.extend(draft, body.currency, ends_by, body.until)
    points = sum(lot.points for lot in moved) + held + while_active
    if not points:
        raise Refusal("nothing_to_extend", currency=body.currency)
    draft.trace = {
        "actor": body.actor,
        "until": rfc3339(body.until),
        "points": points,
        "held": held,
        "lots": [(lot.key, lot.points) for lot in moved],
    }
    if while_active:
        draft.trace["while_active"] = while_active
    draft.announce(
        "loyalty.points.extended.v1",
        {
            "currency": body.currency,
            "points": points,
            "expires_at": rfc3339(body.until),
            "reason": body.reason,
        },
    )


def _extend_held(draft: Draft, currency: str, ends_by: Instant, until: Instant) -> int:
    """Lets points that are held come back to the longer life; answers how many."""
    now, extended = draft.program.currency_now, 0
    holds = []
    for hold in draft.holds:
        drawn = []
        for lot in hold.drawn:
            ends = max(lot.expires_at, lot.extended_to)
            if ends <= ends_by and now(lot.currency) == currency:
                extended += lot.points
                drawn.append(msgspec.structs.replace(lot, extended_to=until))
            else:
                drawn.append(lot)
        holds.append(msgspec.structs.replace(hold, drawn=drawn))
    if extended:
        draft.holds = holds
    return extended


def reinstatement(draft: Draft, body: Reinstated) -> None:
    spendable(draft.program, body.currency)
    _check_later(draft, body.until)
    gone = reinstatable(draft.program.currency_now, draft.facts.lots, body)
    there = sum(points for _, points in gone)
    points = body.points or there
    if not there:
        raise Refusal("nothing_to_reinstate", currency=body.currency)
    if points > there:
        raise Refusal("more_than_expired", expired=there, missing=points - there)
    left, lots = points, []
    for key, expired in gone:
        part = min(left, expired)
        if part:
            _reinstate(draft, key, part, body)
            lots.append((key, part))
            left -= part
    draft.trace = {
        "actor": body.actor,
        "until": rfc3339(body.until),
        "points": points,
        "lots": lots,
    }
    draft.announce(
        "loyalty.points.reinstated.v1",
        {
            "currency": body.currency,
            "points": points,
            "expires_at": rfc3339(body.until),
            "reason": body.reason,
        },
    )


def reinstatable(
    now: Callable[[str], str], lots: Mapping[str, LotTotals], body: Reinstated
) -> list[tuple[str, int]]:
    """Lots of which something is left among what has expired and may be reinstated, the latest to
    expire first, and how much. ``now`` says under which name a currency's points are spent.
    """
    found: list[tuple[Instant, str, int]] = []
    for key, totals in lots.items():
        points = totals.expired - totals.reclaimed
        currency, _, expires_at, *_ = key.split("/", 3)
        end = int(expires_at)
        if points > 0 and end >= body.expired_from and now(currency) == body.currency:
            found.append((-end, key, points))
    return [(key, points) for _, key, points in sorted(found)]


def _reinstate(draft: Draft, key: str, points: int, body: Reinstated) -> None:
    currency, issued, *_ = key.split("/", 3)
    successor = draft.credit(
        "reinstatement",
        currency,
        points,
        from_bucket="expired",
        issued=issued,
        expires_at=body.until,
        lot_from=key,
        cause=body.reason,
    )
    draft.add_totals(key, LotTotals(reclaimed=points, successors=(successor,)))


def _check_later(draft: Draft, until: Instant) -> None:
    if until <= draft.effective_at:
        raise Refusal("not_later", until=rfc3339(until), now=rfc3339(draft.effective_at))
