"""What an activity is told from: its decision, and what the programme calls things."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.loyalty.application.story.words import (
    NONE,
    End,
    Moment,
    Money,
    Month,
    Named,
    Value,
    phrase,
)
from services.loyalty.domain.account import Account
from services.loyalty.domain.benefits import quota_of
from services.loyalty.domain.calendar import IDLE, Instant, from_datetime
from services.loyalty.domain.decision import Decision
from services.loyalty.domain.program import Limit, Program

_GIVERS = ("earn", "boosts", "stamps", "gifts", "levels", "rewards", "reasons")
"""Where in the document stands what gives or costs points."""


@dataclass(frozen=True, slots=True)
class Told:
    """A decision, the account before it, and the version that judged.

    Names are those of that version; what it does not name is called as in the first of the
    ``others`` that does.
    """

    program: Program
    before: Account
    decision: Decision
    others: Sequence[Program] = ()

    @property
    def zone(self) -> ZoneInfo:
        """The programme's, by whose clock everything is told."""
        return self.program.zone

    def moment(self, at: Instant) -> Value:
        """An instant; none for 0 and for never."""
        return Moment(at, self.zone) if 0 < at < IDLE else NONE

    def end(self, at: Instant) -> Value:
        """An exclusive end; none for 0 and for never."""
        return End(at, self.zone) if 0 < at < IDLE else NONE

    def read_moment(self, text: str) -> Value:
        """The instant of an RFC 3339 text."""
        return Moment(_instant(text), self.zone)

    def read_end(self, text: str) -> Value:
        """The exclusive end of an RFC 3339 text; none for none."""
        return End(_instant(text), self.zone) if text else NONE

    # What the programme calls things ----------------------------------------------------------

    def _named(self, name: str, *sections: str, quoted: bool = True) -> Named:
        """Something of the first of these sections of the document that has it."""
        for program in (self.program, *self.others):
            for section in sections:
                words = program.words.get(section, {}).get(name)
                if words is not None and words.names:
                    return Named(name, words.names, program.language, quoted)
        return Named(name, quoted=quoted)

    @property
    def whole(self) -> Named:
        """The programme itself."""
        return self._named(self.program.name, "program")

    def currency(self, name: str) -> Named:
        """A currency of points."""
        return self._named(name, "currencies", quoted=False)

    def reward(self, name: str) -> Named:
        """A reward of the catalogue."""
        return self._named(name, "rewards")

    def badge(self, name: str) -> Named:
        """A badge."""
        return self._named(name, "badges")

    def level(self, name: str) -> Named:
        """A level of the tiers."""
        return self._named(name, "levels")

    def benefit(self, name: str) -> Named:
        """A benefit of a level."""
        return self._named(name, "benefits")

    def giver(self, name: str) -> Named:
        """What gives or costs points: a rule or referral, boost, card, gift, level or reward, or
        the reason of who did it by hand.
        """
        return self._named(name, *_GIVERS)

    def reason(self, code: str) -> Named:
        """A reason code that a person gave."""
        return self._named(code, "reasons")

    def points(self, amount: int, currency: str) -> Value:
        """So many points of a currency; of one that measures what is spent, the money."""
        terms = self.program.currencies.get(currency)
        if terms is not None and terms.money:
            return phrase(
                "part.spent",
                {"points": amount, "currency": currency},
                amount=Money(amount, terms.money),
                currency=self.currency(currency),
            )
        return phrase(
            "part.points",
            {"points": amount, "currency": currency},
            points=amount,
            currency=self.currency(currency),
        )

    def limit(self, limit: Limit) -> Value:
        """A limit in words."""
        stands_for = {"times": limit.times, "points": limit.points, "period": limit.period}
        return phrase(
            "part.limit",
            stands_for,
            times=limit.times or NONE,
            points=limit.points or NONE,
            period=limit.period,
        )

    def terms(self, text: str) -> Value:
        """How much of a benefit there is: ``2 per year``, or ``unlimited``."""
        quota = quota_of(text)
        return phrase("part.unlimited", text) if quota is None else self.limit(quota)


def window(text: str) -> Value:
    """A window of points that count for levels: a month, or a year."""
    return Month(text) if len(text) == len("2011-02") else text


def money(amounts: Mapping[str, int], currency: str) -> Value:
    """An amount by its currency of money; none where there is none."""
    return Money(amounts[currency], currency) if currency in amounts else NONE


def several(names: Iterable[str]) -> Value:
    """Names in order."""
    return sorted(names)


def or_none(text: str) -> str:
    """The text; none for an empty one."""
    return text or NONE


def _instant(text: Any) -> Instant:
    return from_datetime(datetime.fromisoformat(text).astimezone(UTC))
