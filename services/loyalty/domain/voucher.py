"""Vouchers and redemptions: the rows that stand for what points were spent on.

A voucher does not discharge the obligation, it moves it: it carries the points that it cost and
what it is worth until it is used, expired or voided. Its code is a bearer secret and is no part of
these values: they know only its digest.
"""

from __future__ import annotations

import msgspec

from services.loyalty.domain.calendar import Instant

OPEN, USED, EXPIRED, VOIDED = "open", "used", "expired", "voided"


class Voucher(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A voucher of one member, as its row keeps it.

    Attributes:
        id: its name among the member's vouchers, ``v12-0``: seq of the journal row that issued it,
            and place there.
        reward: the reward that it stands for.
        how: what gave it: ``redemption``, ``gift``, ``tier`` or ``rule``.
        by: the redemption's id, the gift, the tier …
        digest: SHA-256 of the code, in hexadecimal.
        version: the programme version whose terms it has.
        seq: the journal row that issued it.
        expires_at: exclusive end of its life.
        currency, points: what was paid for it and it still carries; none where it was given.
        money, worth: what it is worth, in minor units; none where the shop alone can tell.
        percent: hundredths of a percent that it takes off; 0 for none.
        item: what it is exchanged for; empty for nothing in particular.
        terms: what the shop is to heed, by names that only it understands.
        state: ``open``, ``used``, ``expired`` or ``voided``; only ``open`` ever changes.
        ended_at: when it stopped being open; ``reason`` why it was voided, ``order`` on what it was
            used, ``ended_seq`` the journal row that ended it.
    """

    id: str
    reward: str
    how: str
    by: str
    digest: str
    version: int
    seq: int
    issued_at: Instant
    expires_at: Instant
    currency: str = ""
    points: int = 0
    money: str = ""
    worth: int = 0
    percent: int = 0
    item: str = ""
    terms: dict[str, str] = {}
    state: str = OPEN
    ended_at: Instant = 0
    reason: str = ""
    order: str = ""
    ended_seq: int = 0


class Redemption(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Points that were spent at once, the lots that they came from, and what went back since.

    Attributes:
        draws: [lot key, points] pairs in the order in which they were drawn.
        returned: points that went back, for each draw; empty as long as none did.
        voucher: id of the voucher that was issued for it, empty for none.
        counters: the stock and the member's limit that it was counted against, by their keys.
    """

    redemption: str
    reward: str
    currency: str
    points: int
    version: int
    seq: int
    at: Instant
    draws: list[tuple[str, int]]
    voucher: str = ""
    returned: list[int] = []
    counters: list[str] = []

    @property
    def left(self) -> int:
        """Points that have not gone back."""
        return self.points - sum(self.returned)


_encode = msgspec.json.Encoder().encode
_decode_voucher = msgspec.json.Decoder(Voucher).decode
_decode_redemption = msgspec.json.Decoder(Redemption).decode


def encode_voucher(voucher: Voucher) -> bytes:
    """The one canonical JSON of a voucher."""
    return _encode(voucher)


def decode_voucher(text: bytes | str) -> Voucher:
    """The voucher that :func:`encode_voucher` wrote."""
    return _decode_voucher(text)


def encode_redemption(redemption: Redemption) -> bytes:
    """The one canonical JSON of a redemption."""
    return _encode(redemption)


def decode_redemption(text: bytes | str) -> Redemption:
    """The redemption that :func:`encode_redemption` wrote."""
    return _decode_redemption(text)
