"""What happened to a pool and its members, and what followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from services.loyalty.application.story.told import Told, or_none
from services.loyalty.application.story.words import NONE, Message, say
from services.loyalty.domain.activity import (
    AnyBody,
    PoolAnswered,
    PoolAsked,
    PoolContributed,
    PoolJoinRequested,
    PoolLeaveRequested,
    PoolLeft,
    PoolRecalled,
    PoolShort,
    PoolSpendersNamed,
)

Data = Mapping[str, Any]


def _join(_: Told, body: PoolJoinRequested) -> Message:
    return say("happened.pool_join", pool=body.pool, founds="yes" if body.founds else "no")


def _leave(*_: object) -> Message:
    return say("happened.pool_leave")


def _ask(_: Told, body: PoolAsked) -> Message:
    return say("happened.pool_ask", member=body.member, founds="yes" if body.founds else "no")


def _answer(_: Told, body: PoolAnswered) -> Message:
    return say("happened.pool_answer", pool=body.pool, reason=or_none(body.reason))


def _left(_: Told, body: PoolLeft) -> Message:
    return say("happened.pool_left", member=body.member, reason=or_none(body.reason))


def _spenders(_: Told, body: PoolSpendersNamed) -> Message:
    return say("happened.pool_spenders", member=body.by, members=body.spenders or NONE)


def _contributed(told: Told, body: PoolContributed) -> Message:
    return say(
        "happened.pool_in",
        points=told.points(sum(lot.points for lot in body.lots), body.currency),
        member=body.member,
        order=or_none(body.for_order),
    )


def _recalled(told: Told, body: PoolRecalled) -> Message:
    return say(
        "happened.pool_recall",
        points=told.points(body.points, body.lot.partition("/")[0]),
        member=body.member,
        order=body.for_order,
    )


def _short(told: Told, body: PoolShort) -> Message:
    return say(
        "happened.pool_short",
        points=told.points(body.points, body.lot.partition("/")[0]),
        pool=body.pool,
        order=body.for_order,
    )


HAPPENED: dict[type[AnyBody], Callable[[Told, Any], Message]] = {
    PoolJoinRequested: _join,
    PoolLeaveRequested: _leave,
    PoolAsked: _ask,
    PoolAnswered: _answer,
    PoolLeft: _left,
    PoolSpendersNamed: _spenders,
    PoolContributed: _contributed,
    PoolRecalled: _recalled,
    PoolShort: _short,
}
"""For each kind of body about pools, the sentence about it."""


def of_trace(told: Told) -> Iterator[Message]:
    """What stands in the trace of a pool or its member alone."""
    trace = told.decision.trace
    if trace.get("too_late"):
        yield say("followed.pool_too_late")
    if trace.get("lacks"):
        currency = trace["lacks"]["currency"]
        yield say("followed.pool_lacks", points=told.points(trace["lacks"]["points"], currency))


def _no_more(_: Told, data: Data) -> Message:
    return say("followed.pool_no_more", pool=data["pool"])


def _given(told: Told, data: Data) -> Message:
    points = told.points(data["points"], data["currency"])
    return say("followed.pool_given", pool=data["pool"], points=points)


def _founded(_: Told, data: Data) -> Message:
    return say("followed.pool_founded", member=data["owner"])


def _let_in(_: Told, data: Data) -> Message:
    return say("followed.pool_let_in", member=data["member"], members=data["members"])


def _passed_on(_: Told, data: Data) -> Message:
    return say("followed.pool_passed_on", member=data["owner"])


def _closed(*_: object) -> Message:
    return say("followed.pool_closed")


EVENTS: dict[str, Callable[[Told, Data], Message] | None] = {
    "loyalty.pool.left.v1": _no_more,
    "loyalty.pool.contributed.v1": _given,
    "loyalty.pool.founded.v1": _founded,
    "loyalty.pool.member-joined.v1": _let_in,
    "loyalty.pool.passed-on.v1": _passed_on,
    "loyalty.pool.closed.v1": _closed,
    # What happened, and the entries, say these.
    "loyalty.pool.joined.v1": None,
    "loyalty.pool.refused.v1": None,
    "loyalty.pool.short.v1": None,
    "loyalty.pool.member-left.v1": None,
    "loyalty.pool.spenders-named.v1": None,
    "loyalty.pool.credited.v1": None,
    "loyalty.pool.recalled.v1": None,
}
"""Every event about pools, and the sentence about it; None where others say it."""
