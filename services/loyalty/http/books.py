"""The books for finance: reports between two instants, closed periods, and approvals.

A month is closed on the command line, by whoever has the key that signs its checkpoint.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response, Security
from pydantic import ConfigDict, Field

from services.loyalty.application.api_keys import ApiKey
from services.loyalty.application.books import Approving, Asked, Close
from services.loyalty.domain.approved import Approval
from services.loyalty.domain.bookreport import Table, as_csv, encode_report
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.http import book_examples, examples, openapi
from services.loyalty.http.instants import instant
from services.loyalty.http.models import Moment, Shown
from services.loyalty.http.parts import PartsHere
from services.loyalty.http.security import key_holder

router = APIRouter(prefix="/v1/books", tags=["books"])

_READ = [Security(key_holder, scopes=["books:read"])]
_CSV = "text/csv"
_REPORT: dict[int | str, dict[str, Any]] = openapi.answers(
    "invalid_period", "no_program", example=book_examples.BOOKS
)
_REPORT[200]["content"][_CSV] = {"schema": {"type": "string"}, "example": book_examples.BOOKS_CSV}
_REPORT[200]["description"] = "The report; its schema is `contracts/schemas/loyalty.books.json`."


class ClosedPeriod(Shown):
    """A closed period."""

    period: str = Field(description="The month.")
    starts_at: Moment = Field(description="Its first instant.")
    ends_at: Moment = Field(description="Its end, exclusive.")
    checkpoint: int = Field(
        description="The checkpoint whose heads say what was known of each member."
    )
    closed_at: Moment = Field(description="When it was closed.")
    closed_by: str = Field(description="Who answers for it.")


class ClosedPeriods(Shown):
    """All closed periods, the first one first."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.CLOSED_PERIODS]})

    closed: list[ClosedPeriod] = Field(description="The first one first.")


class ApprovalWanted(Shown):
    """What is to be approved."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.APPROVAL_WANTED]})

    what: Literal["redemption", "worth", "account"] = Field(
        description="Expected redemption, a point's worth in other money, or an account's code."
    )
    of: str = Field(description="The currency of points, or the account.", max_length=64)
    value: str = Field(description="`0.95`, `0.012 EUR` or `2310`.", max_length=64)
    holds_from: Moment = Field(description="From when it holds: no date that is closed.")
    issued: str = Field(
        default="", description="For redemption: only points of this month of issue.", max_length=7
    )


class ApprovalGiven(ApprovalWanted):
    """An approval. It is never changed; a later one takes its place."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.APPROVAL]})

    number: int = Field(description="Its place among all of them.")
    approved_by: str = Field(description="Who approved it: the name of a key, or as typed.")
    approved_at: Moment = Field(description="When it was approved.")


class ApprovalsGiven(Shown):
    """All approvals, in the order in which they were given."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.APPROVALS]})

    approvals: list[ApprovalGiven] = Field(description="In the order in which they were given.")


@router.get(
    "/report",
    summary="A report between two instants",
    response_class=Response,
    responses=_REPORT,
    dependencies=_READ,
)
async def report(
    parts: PartsHere,
    request: Request,
    period: Annotated[
        str, Query(description="A month; else `since` and `until` are read.", examples=["2011-03"])
    ] = "",
    since: Annotated[
        str, Query(description="What had happened before.", examples=["2011-03-01T00:00:00Z"])
    ] = "",
    until: Annotated[
        str,
        Query(description="The end, exclusive; now, if absent.", examples=["2011-04-01T00:00:00Z"]),
    ] = "",
    known_by: Annotated[
        str, Query(description="What was known by then.", examples=["2011-04-03T09:00:00Z"])
    ] = "",
    table: Annotated[
        Table, Query(description="The table, with `Accept: text/csv`.", examples=["journals"])
    ] = "rollforward",
) -> Response:
    """What had happened by one instant and was known by the other: JSON, or one table as CSV.

    The report of a closed month is always the same; every other says `provisional`. Without a span
    it is about everything until now.
    """
    async with parts.store.session() as session:
        now = await parts.clock.now(session)
    asked = Asked(
        period,
        instant("since", since) if since else 0,
        instant("until", until) if until else now + 1,
        instant("known_by", known_by) if known_by else None,
    )
    async with parts.store.books() as books:
        made = await books.report(asked, now=now)
    if _CSV in request.headers.get("accept", ""):
        return Response(as_csv(made, table), media_type=_CSV)
    return Response(encode_report(made), media_type="application/json")


@router.get(
    "/closes",
    summary="Closed periods",
    responses=openapi.answers(example=examples.CLOSED_PERIODS),
    dependencies=_READ,
)
async def closes(parts: PartsHere) -> ClosedPeriods:
    """The first one first. What comes after the last is open, and its reports are provisional."""
    async with parts.store.books() as books:
        return ClosedPeriods(closed=[_closed(each) for each in await books.closes()])


@router.get(
    "/approvals",
    summary="What finance approved",
    responses=openapi.answers(example=examples.APPROVALS),
    dependencies=_READ,
)
async def approvals(parts: PartsHere) -> ApprovalsGiven:
    """Expected redemption, worth in other money, and the codes of accounts, with their dates."""
    async with parts.store.books() as books:
        return ApprovalsGiven(approvals=[_approval(each) for each in await books.approvals()])


@router.post(
    "/approvals",
    summary="Approve",
    status_code=201,
    responses=openapi.answers(
        "not_approvable", "period_closed", "no_program", example=examples.APPROVAL, status=201
    ),
)
async def approve(
    parts: PartsHere,
    wanted: ApprovalWanted,
    holder: Annotated[ApiKey, Security(key_holder, scopes=["books:approve"])],
) -> ApprovalGiven:
    """From a date on that is not closed. It is added to those before and never changed."""
    async with parts.store.session() as session:
        now = await parts.clock.now(session)
    approving = Approving(
        wanted.what,
        wanted.of,
        wanted.value,
        instant("holds_from", wanted.holds_from),
        holder.name,
        wanted.issued,
    )
    async with parts.store.books() as books:
        return _approval(await books.approve(approving, now=now))


def _closed(each: Close) -> ClosedPeriod:
    return ClosedPeriod(
        period=each.period,
        starts_at=rfc3339(each.starts_at),
        ends_at=rfc3339(each.ends_at),
        checkpoint=each.checkpoint,
        closed_at=rfc3339(each.closed_at),
        closed_by=each.closed_by,
    )


def _approval(each: Approval) -> ApprovalGiven:
    return ApprovalGiven(
        what=each.what,
        of=each.of,
        value=each.value,
        holds_from=rfc3339(each.holds_from),
        issued=each.issued,
        number=each.number,
        approved_by=each.approved_by,
        approved_at=rfc3339(each.approved_at),
    )
