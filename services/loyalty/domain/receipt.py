"""Receipts: what an order posted, line by line and rule by rule, and what has been reversed of it
since.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from services.loyalty.domain.calendar import Instant


class ReceiptLine(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A line of the order as it was paid, and what has come back of it.

    ``value`` is what was paid for it after every discount, in minor units, and the measure of all
    returns; ``spend`` is the part of it that could earn (0 for an excluded line).
    """

    position: int
    quantity: int
    value: int
    spend: int
    returned_quantity: int = 0
    returned_amount: int = 0


class Given(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A reward that was given, its voucher if it has one, and the stock that it was taken from."""

    reward: str
    voucher: str = ""
    stock: str = ""

    def at(self, member: str) -> Given:
        """The same, where it was given by the account of another member."""
        if not self.voucher or "@" in self.voucher:
            return self
        return Given(self.reward, f"{self.voucher}@{member}", self.stock)


class Posting(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What one rule posted for the order in one currency.

    Attributes:
        rule: the rule's id.
        currency: the currency posted.
        points: the total posted, always ``sum(allocated)``.
        lots: [lot key, points] pairs that the points entered.
        allocated: points per line, in the order of the receipt's lines.
        reversed: points reversed per line so far.
        on_refund: ``prorate``, ``revoke``, ``keep`` or ``pending`` (a referrer's reward: whole, and
            only from what is still pending).
        min_spend: below this kept spend a ``revoke`` posting is reversed whole; 0 for none.
        eligible: indexes of the lines that the rule looked at; empty for all lines that could earn.
        counters: limit and cap counters taken: [counter key, times, points].
        window: of a qualifying currency, the window credited; else empty.
        prorates: whether it grew with the money spent, so that a part returned takes its part; else
            it is all or none.
        step: of points for whole steps of money, how much each takes, in minor units; else 0.
        steps: how many such steps the order made when they were posted.
    """

    rule: str
    currency: str
    points: int
    lots: list[tuple[str, int]]
    allocated: list[int]
    reversed: list[int]
    on_refund: str = "prorate"
    min_spend: int = 0
    eligible: list[int] = []
    counters: list[tuple[str, int, int]] = []
    window: str = ""
    prorates: bool = True
    step: int = 0
    steps: int = 0


class RuleReward(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Rewards that a rule gave for the order: kept while at least ``least`` is kept of its
    ``lines`` (indexes; none for all), 0 for anything at all. ``counter`` is that of the rule's
    limit, empty for none.
    """

    rule: str
    rewards: list[Given]
    least: int = 0
    lines: list[int] = []
    counter: str = ""


class Receipt(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The receipt of one order of one member; kept for ever.

    ``returned_unlined`` is the money given back without naming a line; ``version`` the programme
    version that judged the purchase; ``seq`` the journal row that made it. ``moved`` says to which
    end it moved the life of currencies that expire by inactivity, and ``withdrawn`` that it no
    longer does, because all of it came back. ``given`` are the rewards that stand on it. ``of`` is
    the member who bought, where that account was merged into this one's later: ``seq`` is then a
    row of theirs.
    """

    order: str
    currency: str
    occurred_at: Instant
    version: int
    seq: int
    lines: list[ReceiptLine]
    postings: list[Posting] = []
    returned_unlined: int = 0
    delivered_at: Instant = 0
    cancelled: bool = False
    moved: dict[str, Instant] = {}
    withdrawn: bool = False
    given: list[RuleReward] = []
    of: str = ""


encode_receipt: Callable[[Receipt], bytes] = msgspec.json.Encoder().encode
"""The one canonical JSON of a receipt."""

_decode = msgspec.json.Decoder(Receipt).decode


def decode_receipt(text: bytes | str) -> Receipt:
    """The receipt that :func:`encode_receipt` wrote."""
    return _decode(text)
