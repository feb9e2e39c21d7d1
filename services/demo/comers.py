"""Members of the demonstration who come from an older card, by `loyalty import`. All is made up.

The shop's file begins with the service; so that some members have a history before it, they get one
here: an enrolment in earlier years, points by month with the ends that the programme would have
given them, a tier, a birthday gift, and an order that may still come back.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from services.demo.orders import Purchase, Sale
from services.demo.retail import SHOP_ZONE
from services.demo.script import born_on, share
from services.demo.stage import Stage, StageFailed
from services.loyalty.application.importing import Totals, check_all, take_all
from services.loyalty.application.opening_columns import FILES
from services.loyalty.application.opening_files import OpeningFiles
from services.loyalty.application.shadow import Balances, Shadow
from services.loyalty.db.connect import connected
from services.loyalty.db.exporting import accounts_now
from services.loyalty.db.session import PgSession
from services.loyalty.domain.calendar import Instant, add_months, local_date
from services.loyalty.domain.money import decimal_text
from services.loyalty.domain.program import Program

COME = 300
KNOWN_FOR = "12346"
"""Whose story is told, from the enrolment on."""

MONEY, POINTS, STATUS = "GBP", "points", "status"
_MONTHS = 3
"""So many months before the first day earned what has not expired by then."""


@dataclass(frozen=True, slots=True)
class Came:
    """What the import came to.

    Attributes:
        members: who came.
        points: points that they can spend now or later.
        orders: orders that may still come back.
        levels: members by tier.
        again: members whom a second run took, which is nobody.
        same: balances that are those of the older card, and ``different``: those that are not.
    """

    members: int
    points: int
    orders: int
    levels: dict[str, int]
    again: int
    same: int
    different: int

    def plain(self) -> dict[str, Any]:
        """The same, for JSON."""
        return asdict(self)

    @property
    def good(self) -> bool:
        """Whether all came once, with all that they had."""
        return not self.again and not self.different


def comers(sales: Sequence[Sale]) -> list[str]:
    """Who comes from the older card, in the order of their ids: three hundred, or of fewer buyers
    every third.
    """
    buyers = sorted({sale.member for sale in sales if isinstance(sale, Purchase)} - {KNOWN_FOR})
    chosen = sorted(buyers, key=lambda member: share("comes along", member))
    return sorted(chosen[: min(COME, len(buyers) // 3)])


async def bring_along(stage: Stage, members: Sequence[str], first: Instant) -> Came:
    """Writes the files of an import, takes the members in, and compares their balances.

    Raises:
        StageFailed: a row of the files cannot be taken.
    """
    card = _Card(stage.program, local_date(first, SHOP_ZONE))
    url = stage.deployment.settings.database_url
    with TemporaryDirectory() as folder:
        card.write(Path(folder), members)
        async with connected(url, purpose="demo import") as connection:
            session = PgSession(connection)
            totals, _ = await _take(stage, session, Path(folder))
            again, _ = await _take(stage, session, Path(folder))
            shadow = Shadow(card.balances, stage.program, first)
            async for some, batch in accounts_now(session, stage.deployment.programs, first):
                for member in some:
                    list(shadow.compare(member, batch.account(member)))
    return Came(
        members=totals.new,
        points=sum(totals.points[POINTS, bucket] for bucket in ("available", "pending")),
        orders=totals.orders,
        levels=dict(totals.levels),
        again=again.new,
        same=sum(each.same for each in shadow.sums.values()),
        different=sum(each.different for each in shadow.sums.values()),
    )


async def _take(stage: Stage, session: PgSession, folder: Path) -> tuple[Totals, int]:
    programs, clock = stage.deployment.programs, stage.deployment.clock
    files = OpeningFiles(folder, stage.program)

    def bad(what: object, *_: object) -> None:
        raise StageFailed(f"a member of the older card cannot come: {what}")

    def quiet(*_: object) -> None: ...

    totals = await check_all(session, programs, clock, files, tell=bad, progress=quiet)
    assert totals is not None
    taken = await take_all(session, programs, clock, files, refused=bad, progress=quiet)
    return totals, taken["accepted"]


class _Card:
    """The older card: what it says of each member, made up from nothing but the id."""

    def __init__(self, program: Program, first: date) -> None:
        assert program.tiers is not None
        self._levels = [(level.name, level.threshold) for level in program.tiers.levels[1:]]
        self._first = first
        self._months = [add_months(first.replace(day=1), -back) for back in range(_MONTHS, 0, -1)]
        self.balances = Balances(pending=True)

    def write(self, folder: Path, members: Sequence[str]) -> None:
        """Writes the files of an import."""
        rows: dict[str, list[dict[str, object]]] = {file: [] for file in FILES}
        for member in members:
            for file, row in self._member(member):
                rows[file].append({"member_id": member, **row})
        for file, columns in FILES.items():
            with closing((folder / f"{file}.csv").open("w", encoding="utf-8", newline="")) as text:
                writer = csv.DictWriter(text, columns, restval="")
                writer.writeheader()
                writer.writerows(rows[file])

    def _member(self, member: str) -> Iterator[tuple[str, dict[str, object]]]:
        joined = self._first - timedelta(days=40 + int(share("had joined", member) * 900))
        earned = {
            month: 20 + int(share(f"{month} earned", member) ** 4 * 1500)
            for month in self._months
            if share(f"{month} active", member) < 0.7
        }
        order = self._order(member)
        points = dict(earned)
        if order:
            points[self._months[-1]] = points.get(self._months[-1], 0) + sum(order)
        yield "members", self._joined(member, joined, sum(points.values()))
        for month, gained in points.items():
            end = add_months(month, 1 + _MONTHS) - timedelta(days=1)
            lot = {"points": gained, "earned": f"{month:%Y-%m}"}
            yield "lots", {"currency": POINTS, "expires": end, **lot}
            yield "lots", {"currency": STATUS, **lot}
            paid = decimal_text(gained * 97 // 100, MONEY)
            yield (
                "consideration",
                {
                    "currency": POINTS,
                    "earned": f"{month:%Y-%m}",
                    "money": MONEY,
                    "amount": paid,
                },
            )
        self.balances.told[member, POINTS] = sum(points.values()), 0
        gift = self._birthday(member, joined)
        if gift:
            yield "gifts", {"occasion": "birthday", "given": gift}
        if order:
            yield from self._may_come_back(member, order)

    def _joined(self, member: str, joined: date, counted: int) -> dict[str, object]:
        reached = [name for name, threshold in self._levels if counted >= threshold]
        told: dict[str, object] = {"enrolled": joined, "purchases": 1 + counted // 200}
        if born := born_on(member):
            told["born_on"] = born
        if reached:
            since = self._months[-1] + timedelta(days=int(share("rose", member) * 28))
            told |= {"tier": reached[-1], "tier_since": since}
            told["tier_until"] = add_months(since, _MONTHS)
            told["tier_basis"] = f"{self._months[-1]:%Y-%m}"
        return told

    def _birthday(self, member: str, joined: date) -> date | None:
        """The last birthday before the first day, if the member had joined by then."""
        born = born_on(member)
        if born is None:
            return None
        last = add_months(born, 12 * (self._first.year - born.year))
        return last if joined + timedelta(days=30) <= last < self._first else None

    def _order(self, member: str) -> list[int]:
        """What the lines of an order of the last weeks earned: a point for each pound."""
        if share("bought before", member) >= 1 / 3:
            return []
        lines = 1 + int(share("lines before", member) * 3)
        return [10 + int(share(f"line {line}", member) * 90) for line in range(lines)]

    def _may_come_back(
        self, member: str, order: Sequence[int]
    ) -> Iterator[tuple[str, dict[str, object]]]:
        name, month = f"older-{member}", self._months[-1]
        bought = month + timedelta(days=7 + int(share("bought on", member) * 21))
        yield "purchases", {"order_id": name, "bought": bought, "money": MONEY}
        end = add_months(month, 1 + _MONTHS) - timedelta(days=1)
        for position, points in enumerate(order, 1):
            line: dict[str, object] = {"order_id": name, "position": position}
            yield "lines", {**line, "quantity": 1, "paid": decimal_text(points * 100, MONEY)}
            for currency in (POINTS, STATUS):
                told = {"rule": "older-card", "currency": currency, "points": points}
                life = {"expires": end} if currency == POINTS else {}
                yield "earned", {**line, **told, **life}
