"""Activities that come over HTTP: read, decided and recorded like those from Kafka.

Each gets an outcome of its own. What cannot be accepted, and what concerns a stuck account, is not
recorded; the rest is recorded in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.loyalty.application.batch import Outcome
from services.loyalty.application.clock import Clock
from services.loyalty.application.intake import LIMITS, Limits, read_batch
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import record_batch
from services.loyalty.application.refusal import Unacceptable
from services.loyalty.application.store import Incoming, Session


@dataclass(frozen=True, slots=True)
class Received:
    """What became of one activity.

    Attributes:
        outcome: ``accepted``, ``refused``, ``parked``, ``duplicate``, ``id_reused``,
            ``unacceptable`` or ``account_stuck``.
        reason: stable code, empty where there is none.
        detail: for people, what is wrong with it.
        seq: its row of the member's journal, 0 where it has none.
        facts: of a refusal.
    """

    outcome: str
    reason: str = ""
    detail: str = ""
    member: str = ""
    source: str = ""
    id: str = ""
    seq: int = 0
    facts: dict[str, Any] = field(default_factory=dict)


async def receive(
    session: Session,
    programs: Programs,
    clock: Clock,
    raw: bytes,
    *,
    limits: Limits = LIMITS,
) -> list[Received]:
    """Records a CloudEvent, or a JSON array of them, and says of each what became of it, in order.

    Raises:
        Unacceptable: it is no JSON, or the array is too long.
        NoProgram: nothing is published yet.
        Contended: others changed the same accounts every time.
    """
    read = read_batch(raw, now=await clock.now(session), limits=limits)
    stuck = await _stuck(session, [each.member for each in read if isinstance(each, Incoming)])
    taken = [each for each in read if isinstance(each, Incoming) and each.member not in stuck]
    outcomes = iter(await record_batch(session, programs, clock, taken) if taken else [])
    return [_received(each, stuck, outcomes) for each in read]


async def _stuck(session: Session, members: Sequence[str]) -> set[str]:
    accounts = await session.load_accounts(sorted(set(members))) if members else {}
    return {member for member, loaded in accounts.items() if loaded.account.status == "stuck"}


def _received(
    each: Incoming | Unacceptable, stuck: set[str], outcomes: Iterator[Outcome]
) -> Received:
    """Takes the next outcome for what was recorded, and makes one for what was not."""
    if isinstance(each, Unacceptable):
        return Received("unacceptable", each.code, each.detail, each.member or "")
    if each.member in stuck:
        return _named(each, Outcome("account_stuck", "account_stuck"))
    return _named(each, next(outcomes))


def _named(incoming: Incoming, outcome: Outcome) -> Received:
    return Received(
        outcome.status,
        outcome.reason,
        "",
        incoming.member,
        incoming.activity.source,
        incoming.activity.id,
        outcome.seq,
        outcome.details,
    )
