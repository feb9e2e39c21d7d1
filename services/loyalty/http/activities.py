"""Activities in: the same CloudEvents as on Kafka, one or a batch, each with what became of it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from fastapi import APIRouter, Request, Response, Security
from pydantic import ConfigDict, Field, TypeAdapter

from services.loyalty.application.receiving import Received, receive
from services.loyalty.http import examples, openapi
from services.loyalty.http.failures import unacceptable
from services.loyalty.http.media import JSON, media_type
from services.loyalty.http.models import Shown
from services.loyalty.http.parts import PartsHere
from services.loyalty.http.problems import Problem
from services.loyalty.http.security import key_holder

router = APIRouter(prefix="/v1/activities", tags=["activities"])

EVENT = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


class ActivityOutcome(Shown):
    """What became of one activity."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.OUTCOME]})

    id: str | None = Field(description="Its id, where it could be read.")
    source: str | None = Field(description="Its source, where it could be read.")
    member_id: str | None = Field(description="Its member, where it could be read.")
    outcome: Literal[
        "accepted",
        "refused",
        "parked",
        "duplicate",
        "id_reused",
        "unacceptable",
        "account_stuck",
    ] = Field(
        description="`accepted`, `refused` (by the programme or the account) and `parked` (it waits"
        " for another activity) are recorded; a `duplicate` was before; the rest is not recorded,"
        " and only `account_stuck` may be sent again as it is."
    )
    reason: str | None = Field(description="A stable code; null where nothing is to be said.")
    detail: str | None = Field(description="What is wrong with it, for people.")
    seq: int | None = Field(description="Its place in the member's journal, if recorded just now.")
    facts: dict[str, Any] = Field(description="Facts of a refusal.")


_ANSWER: TypeAdapter[ActivityOutcome | list[ActivityOutcome]] = TypeAdapter(
    ActivityOutcome | list[ActivityOutcome]
)
_EVENT_SCHEMA = {"type": "object", "description": "A CloudEvent 1.0 in structured JSON."}
_BATCH_SCHEMA = {"type": "array", "items": _EVENT_SCHEMA, "minItems": 1, "maxItems": 1000}
_BATCH_EXAMPLE = [examples.ENROLMENT_EVENT, examples.PURCHASE_EVENT]
_EITHER_EXAMPLE = {
    "one": {"summary": "One activity", "value": examples.PURCHASE_EVENT},
    "batch": {"summary": "A batch", "value": _BATCH_EXAMPLE},
}
_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One CloudEvent, or an array of at most 1,000. Types and data are those of"
        " the topics `commerce.members`, `commerce.purchases` and `commerce.engagements`.",
        "content": {
            JSON: {
                "schema": {"oneOf": [_EVENT_SCHEMA, _BATCH_SCHEMA]},
                "examples": _EITHER_EXAMPLE,
            },
            EVENT: {"schema": _EVENT_SCHEMA, "example": examples.PURCHASE_EVENT},
            BATCH: {"schema": _BATCH_SCHEMA, "example": _BATCH_EXAMPLE},
        },
    }
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "What became of it, or of each in its order.",
        "content": {
            "application/json": {
                "examples": {
                    "one": {"summary": "Of one activity", "value": examples.OUTCOME},
                    "batch": {"summary": "Of a batch", "value": examples.OUTCOMES},
                }
            }
        },
    },
    202: {
        "description": "One activity that waits for another, such as a refund for its purchase.",
        "content": {"application/json": {"example": examples.PARKED}},
    },
    **openapi.problems(
        "not_json",
        "id_reused",
        "unacceptable",
        "batch_too_long",
        "unsupported_media_type",
        "account_stuck",
        "contended",
        "no_program",
    ),
}


@router.post(
    "",
    summary="Send what happened",
    response_model=ActivityOutcome | list[ActivityOutcome],
    responses=_RESPONSES,
    openapi_extra=_REQUEST,
    dependencies=[Security(key_holder, scopes=["activities:write"])],
)
async def send(parts: PartsHere, request: Request) -> Response:
    """One CloudEvent, or a batch that is recorded together. Sending the same again changes nothing.

    A batch answers 200 with an outcome for each. One activity answers 200 or 202 where it is
    recorded or was before, and otherwise a problem.
    """
    given = media_type(request, JSON, EVENT, BATCH)
    raw = await request.body()
    batch = raw.lstrip(b" \t\r\n")[:1] == b"["
    if (given == BATCH and not batch) or (given == EVENT and batch):
        wanted = "an array" if given == BATCH else "one object"
        raise Problem("unacceptable", f"{given} carries {wanted}.", reason="not_a_cloudevent")
    async with parts.store.session() as session:
        received = await receive(
            session, parts.programs, parts.clock, raw, limits=parts.limits.events
        )
    if batch:
        return _respond(200, [_outcome(each) for each in received])
    return _single(received[0])


def _single(received: Received) -> Response:
    """The answer about one activity that came by itself."""
    match received.outcome:
        case "unacceptable":
            raise unacceptable(received.reason, received.detail, received.member)
        case "id_reused" | "account_stuck":
            raise Problem(received.outcome, member_id=received.member)
    return _respond(202 if received.outcome == "parked" else 200, _outcome(received))


def _respond(status: int, answer: ActivityOutcome | list[ActivityOutcome]) -> Response:
    return Response(_ANSWER.dump_json(answer), status_code=status, media_type="application/json")


def _outcome(received: Received) -> ActivityOutcome:
    return ActivityOutcome.model_validate(
        {
            "id": received.id or None,
            "source": received.source or None,
            "member_id": received.member or None,
            "outcome": received.outcome,
            "reason": received.reason or None,
            "detail": received.detail or None,
            "seq": received.seq or None,
            "facts": msgspec.to_builtins(received.facts),
        }
    )
