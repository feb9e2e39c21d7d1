"""Movements of points summed up: what a cut through the ledger holds, and what led there.

Every entry has two legs, one out of a bucket and one into another, so the legs of every movement
come to nothing over all buckets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import NamedTuple

OPENING, PERIOD, PRIOR = 0, 1, 2
"""Sections of a report: what stood at its beginning, what happened in it, and what had happened
before and was not known then.
"""

_ALL = (OPENING, PERIOD, PRIOR)

COLUMNS: dict[str, str] = {
    "opening": "imported",
    "accrual": "issued",
    "activation": "activated",
    "hold": "held",
    "release": "held",
    "redemption": "redeemed",
    "expiration": "expired",
    "accrual_reversal": "reversed",
    "arrears": "reversed",
    "write_off": "reversed",
    "redemption_reversal": "restored",
    "adjustment": "adjusted",
    "recall": "reversed",
    "transfer_out": "transferred",
    "transfer_in": "transferred",
    "merge_out": "merged",
    "merge_in": "merged",
    "repayment": "repaid",
    "reinstatement": "reinstated",
    "extension": "extended",
    "forfeiture": "forfeited",
}
"""The column of a roll-forward in which a kind of entry stands; another stands under its name."""

OUTSTANDING = ("available", "pending", "held", "transit")
"""Buckets of points that are still owed to members."""

_LEFT = ("arrears", "moving", "redeemed", "expired", "forfeited", "writeoff", "issuance")
_BUCKETS = (*OUTSTANDING, *_LEFT)


class Leg(NamedTuple):
    """One side of entries alike, of a currency: their sum in a bucket, of points of one month of
    issue (empty where there is none) and one end of life (the text of a lot's name).
    """

    section: int
    kind: str
    bucket: str
    issued: str
    expires: str


class Carried(NamedTuple):
    """Points of a month of issue that vouchers alike carry: in which section these were issued, in
    which they ended (None: they are open) and how: ``used``, ``expired`` or ``voided``.
    """

    issued: str
    came: int
    went: int | None
    state: str
    points: int

    def is_open(self, sections: Collection[int]) -> bool:
        """Whether the vouchers are open where these sections end."""
        return self.came in sections and self.went not in sections


class MonthPoints(NamedTuple):
    """What became of the points of one month of issue: ``lost`` ones expired or were forfeited, or
    the voucher that carried them expired.
    """

    outstanding: int
    redeemed: int
    lost: int

    @property
    def issued(self) -> int:
        """All that were issued, less those that were taken back."""
        return self.outstanding + self.redeemed + self.lost


class Movements:
    """The legs of one currency."""

    def __init__(self) -> None:
        self._legs: defaultdict[Leg, int] = defaultdict(int)
        self._carried: list[Carried] = []

    def carry(self, carried: Carried) -> None:
        """Adds points that vouchers carry. In the ledger they are redeemed."""
        self._carried.append(carried)

    @property
    def open_vouchers(self) -> int:
        """Points that vouchers carry which are open at the end."""
        return sum(each.points for each in self._carried if each.is_open(_ALL))

    def add(self, leg: Leg, points: int) -> None:
        """Adds points (negative where they leave the bucket)."""
        self._legs[leg] += points

    @property
    def buckets(self) -> list[str]:
        """Buckets with any movement, in the order of a report."""
        found = {leg.bucket for leg in self._legs}
        return [*(each for each in _BUCKETS if each in found), *sorted(found - set(_BUCKETS))]

    def opening(self, bucket: str) -> int:
        """What a bucket held at the beginning."""
        return sum(
            points
            for leg, points in self._legs.items()
            if leg.section == OPENING and leg.bucket == bucket
        )

    def moved(self, bucket: str, section: int) -> dict[str, int]:
        """By column, what moved into a bucket (negative: out of it) in one section."""
        moved: defaultdict[str, int] = defaultdict(int)
        for leg, points in self._legs.items():
            if leg.section == section and leg.bucket == bucket:
                moved[COLUMNS.get(leg.kind, leg.kind)] += points
        order = list(dict.fromkeys(COLUMNS.values()))
        known = [column for column in order if column in moved]
        return {column: moved[column] for column in [*known, *sorted(moved.keys() - set(order))]}

    def held(self, what: str) -> Iterator[tuple[str, dict[str, int]]]:
        """Points outstanding at the end, by ``issued`` or ``expires`` and then by bucket."""
        found: defaultdict[str, defaultdict[str, int]] = defaultdict(lambda: defaultdict(int))
        for leg, points in self._legs.items():
            if leg.bucket in OUTSTANDING:
                found[getattr(leg, what)][leg.bucket] += points
        for key in sorted(found):
            if any(found[key].values()):
                yield key, {bucket: found[key][bucket] for bucket in OUTSTANDING}

    def months(self, sections: Collection[int] = _ALL) -> dict[str, MonthPoints]:
        """What became of the points of each month of issue, by the end or at the beginning.

        Points that paid off arrears count as redeemed: what they bought was given before. Points
        that an open voucher carries are owed still: it moves the obligation and discharges none.
        """
        wanted = frozenset(sections)
        found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for leg, points in self._legs.items():
            if leg.section in wanted and leg.issued and leg.bucket in _PLACE:
                found[leg.issued][_PLACE[leg.bucket]] += points
        for each in self._carried:
            if each.is_open(wanted) or (each.came in wanted and each.state == "expired"):
                found[each.issued][0 if each.is_open(wanted) else 2] += each.points
                found[each.issued][1] -= each.points
        return {month: MonthPoints(*found[month]) for month in sorted(found)}


_PLACE = dict.fromkeys(OUTSTANDING, 0) | {"redeemed": 1, "arrears": 1, "expired": 2, "forfeited": 2}
