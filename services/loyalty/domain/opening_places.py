"""Where what a member brings along has its place: lots, qualifying windows, and receipts."""

from __future__ import annotations

from msgspec import structs

from services.loyalty.domain import refunds
from services.loyalty.domain.accrual import window_lot
from services.loyalty.domain.activity import Opening, OpeningLot, OpeningOrder, OpeningPosting
from services.loyalty.domain.calendar import NEVER, Instant, local_date, month_text
from services.loyalty.domain.ledger import lot_key
from services.loyalty.domain.periods import window_key
from services.loyalty.domain.program import Program
from services.loyalty.domain.receipt import Posting, Receipt


def waits(lot: OpeningLot | OpeningPosting, at: Instant) -> bool:
    """Whether these points cannot be spent yet."""
    return bool(lot.awaits) or lot.activates_at > at


def place_of(
    program: Program, enrolled_at: Instant, lot: OpeningLot | OpeningPosting, at: Instant
) -> str:
    """The name of the lot, or of the qualifying window, in which these points are."""
    terms = program.currency(lot.currency)
    pending = (lot.activates_at, lot.awaits) if waits(lot, at) else (0, "")
    if terms.window is None:
        return lot_key(lot.currency, month_of(program, lot), lot.expires_at, *pending)
    day = local_date(lot.earned_at, program.zone)
    window = window_key(terms.window, day, enrolled_at, program.zone)
    if waits(lot, at):
        return lot_key(lot.currency, window, NEVER, *pending)
    return window_lot(lot.currency, window)


def month_of(program: Program, lot: OpeningLot | OpeningPosting) -> str:
    """The month of issue of these points."""
    return month_text(local_date(lot.earned_at, program.zone))


def receipt_of(program: Program, body: Opening, order: OpeningOrder, at: Instant) -> Receipt:
    """The receipt of an order: what has come back of it is reversed as a refund would have."""
    receipt = Receipt(
        order.order,
        order.currency,
        order.occurred_at,
        program.version,
        0,
        order.lines,
        [_posting(program, body.enrolled_at, each, at) for each in order.postings],
        order.returned_unlined,
        order.delivered_at,
    )
    back = refunds.returned(receipt)
    postings = [
        structs.replace(posting, reversed=refunds.reversed_shares(posting, receipt, back))
        for posting in receipt.postings
    ]
    return structs.replace(receipt, postings=postings)


def _posting(
    program: Program, enrolled_at: Instant, posting: OpeningPosting, at: Instant
) -> Posting:
    key, points = place_of(program, enrolled_at, posting, at), sum(posting.allocated)
    qualifies = program.currency(posting.currency).qualifies
    return Posting(
        posting.rule,
        posting.currency,
        points,
        [(key, points)],
        posting.allocated,
        [0] * len(posting.allocated),
        posting.on_refund,
        posting.min_spend,
        posting.eligible,
        [],
        key.split("/")[1] if qualifies else "",
        posting.prorates,
        posting.step,
        posting.steps,
    )
