"""How the spending of points is undone.

Undoing returns each point to the lot that it came from. What the member owes is repaid first, and
points whose lot has expired since live on in a successor of the same month of issue, or expire at
once, as the programme says.
"""

from __future__ import annotations

from typing import Any

import msgspec

from services.loyalty.domain.activity import RedemptionCancelled
from services.loyalty.domain.calendar import Instant, rfc3339
from services.loyalty.domain.catalogue import uncount_redemption
from services.loyalty.domain.draft import Draft
from services.loyalty.domain.facts import LotTotals
from services.loyalty.domain.ledger import lot_key
from services.loyalty.domain.periods import after_span
from services.loyalty.domain.refusal import Refusal
from services.loyalty.domain.voucher import Redemption
from services.loyalty.domain.vouchers import check_open, withdraw


def undo(draft: Draft, body: RedemptionCancelled) -> None:
    row = draft.facts.redemption
    if row is None:
        raise Refusal("unknown_redemption", redemption=body.redemption)
    points = _wanted(row, body.points)
    if row.voucher:
        voucher = draft.facts.voucher
        assert voucher is not None
        if points < row.points:
            raise Refusal("whole_only", redemption=row.redemption, points=row.points)
        check_open(voucher)
        withdraw(draft, voucher, "redemption_cancelled")
    shares = _shares(row, points)
    told = [
        _return(draft, row, lot, share)
        for (lot, _), share in zip(row.draws, shares, strict=True)
        if share
    ]
    before = row.returned or [0] * len(row.draws)
    back = [was + share for was, share in zip(before, shares, strict=True)]
    undone = draft.redemptions[row.redemption] = msgspec.structs.replace(row, returned=back)
    if not undone.left:
        uncount_redemption(draft, row.counters)
    draft.trace = {"redemption": row.redemption, "actor": body.actor, "returned": told}
    draft.announce(
        "loyalty.points.restored.v1",
        {
            "redemption": row.redemption,
            "reward": row.reward,
            "currency": row.currency,
            "points": points,
            "reason": body.reason,
        },
    )


def _wanted(row: Redemption, points: int) -> int:
    """The points that go back: as many as were asked for, by default all that are left."""
    if not row.left:
        raise Refusal("already_cancelled", redemption=row.redemption)
    if not 0 <= points <= row.left:
        raise Refusal("more_than_redeemed", redemption=row.redemption, left=row.left)
    return points or row.left


def _shares(row: Redemption, points: int) -> list[int]:
    """What goes back to each draw, those that expire last first."""
    before = row.returned or [0] * len(row.draws)
    shares = [0] * len(row.draws)
    latest_first = sorted(
        range(len(row.draws)), key=lambda place: (_life(row.draws[place][0]), place), reverse=True
    )
    for place in latest_first:
        shares[place] = min(points, row.draws[place][1] - before[place])
        points -= shares[place]
    assert not points
    return shares


def _life(lot: str) -> Instant:
    """When the points of an available lot expire."""
    return int(lot.split("/")[2])


def _return(draft: Draft, row: Redemption, lot: str, points: int) -> dict[str, Any]:
    """Returns points to their lot, or to its successor; answers what the trace says of it."""
    currency, issued, _ = lot.split("/")
    ends = _life(lot)
    told: dict[str, Any] = {"lot": lot, "points": points}
    followed = ""
    valid = draft.program.restored_for
    if ends <= draft.effective_at and (valid.months or valid.days):
        ends = after_span(draft.effective_at, valid, draft.tz)
        successor = lot_key(currency, issued, ends)
        draft.add_totals(lot, LotTotals(successors=(successor,)))
        followed = lot
        told |= {"successor": successor, "expires_at": rfc3339(ends)}
    draft.credit(
        "redemption_reversal",
        currency,
        points,
        from_bucket="redeemed",
        issued=issued,
        expires_at=ends,
        lot_from=followed,
        cause=row.reward,
        order=row.redemption,
    )
    return told
