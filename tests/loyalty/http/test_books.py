"""The books over HTTP: reports as JSON and CSV, closed periods, and approvals."""

from __future__ import annotations

import csv
import io
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from services.loyalty.application.clock import FixedClock
from services.loyalty.db import closes
from services.loyalty.domain.bookreport import decode_report
from services.loyalty.domain.calendar import DAY
from tests.loyalty.db.test_closes import KEY
from tests.loyalty.http.conftest import START, MakeKey
from tests.loyalty.http.events import bought, enrolled
from tests.loyalty.http.keyring import client_of

APPROVAL = {
    "what": "redemption",
    "of": "points",
    "value": "0.95",
    "holds_from": "2011-01-01T00:00:00Z",
}


@pytest.fixture
async def shop(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """One member who has enrolled and bought something."""
    for sent in (enrolled("ada", START + DAY), bought("ada", "o1", 50, START + 2 * DAY)):
        answer = await client.post("/v1/activities", json=sent)
        assert answer.status_code < 300, answer.text
    return client


async def test_a_report_foots_and_says_that_it_is_provisional(shop: httpx.AsyncClient) -> None:
    answer = await shop.get("/v1/books/report", params={"period": "2011-01"})
    assert answer.status_code == 200, answer.text
    report = decode_report(answer.content)
    assert (report.period, report.status, report.proof.foots) == ("2011-01", "provisional", True)
    assert report.happened_before == "2011-02-01T00:00:00Z"
    everything = decode_report((await shop.get("/v1/books/report")).content)
    assert everything.proof == report.proof
    [row] = [row for row in everything.deferred if row.funding == "purchase"]
    assert (row.issued, row.allocated) == ("2011-01", "0.50")


async def test_a_table_comes_as_csv_to_whoever_accepts_it(shop: httpx.AsyncClient) -> None:
    answer = await shop.get(
        "/v1/books/report", params={"table": "liability"}, headers={"Accept": "text/csv"}
    )
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {"happened_before", "known_by", "status", "total"} <= rows[0].keys()


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"period": "2011"}, "invalid_period"),
        ({"since": "2011-02-01T00:00:00Z", "until": "2011-01-01T00:00:00Z"}, "invalid_period"),
        ({"since": "2011-02-01"}, "invalid_request"),
        ({"table": "everything"}, "invalid_request"),
    ],
)
async def test_a_report_of_nothing_is_refused(
    client: httpx.AsyncClient, asked: dict[str, str], code: str
) -> None:
    answer = await client.get("/v1/books/report", params=asked)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_before_anything_is_published_there_are_no_books(
    unpublished: httpx.AsyncClient,
) -> None:
    answer = await unpublished.get("/v1/books/report")
    assert (answer.status_code, answer.json()["code"]) == (503, "no_program")


async def test_an_approval_is_kept_with_the_name_of_its_key(
    client: httpx.AsyncClient, clock: FixedClock
) -> None:
    made = await client.post("/v1/books/approvals", json=APPROVAL)
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["number"], told["approved_by"], told["value"]) == (1, "shop", "0.95")
    assert (await client.get("/v1/books/approvals")).json() == {"approvals": [told]}
    clock.at += DAY
    again = await client.post("/v1/books/approvals", json=APPROVAL | {"value": "0.9"})
    assert again.json()["number"] == 2


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"value": "95 %"}, "not_approvable"),
        ({"of": "status"}, "not_approvable"),
        ({"holds_from": "2011-01-01"}, "invalid_request"),
        ({"what": "luck"}, "invalid_request"),
    ],
)
async def test_what_cannot_be_approved(
    client: httpx.AsyncClient, change: dict[str, Any], code: str
) -> None:
    answer = await client.post("/v1/books/approvals", json=APPROVAL | change)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (await client.get("/v1/books/approvals")).json() == {"approvals": []}


async def test_closed_periods_are_listed_and_stay_closed(
    client: httpx.AsyncClient, pool: asyncpg.Pool, clock: FixedClock
) -> None:
    assert (await client.get("/v1/books/closes")).json() == {"closed": []}
    clock.at += 40 * DAY
    async with pool.acquire() as connection:
        await closes.close(connection, KEY, "2011-01", at=clock.at, by="Ann Li", undecided=True)
    [closed] = (await client.get("/v1/books/closes")).json()["closed"]
    assert (closed["period"], closed["checkpoint"], closed["closed_by"]) == ("2011-01", 1, "Ann Li")
    report = decode_report(
        (await client.get("/v1/books/report", params={"period": "2011-01"})).content
    )
    assert report.status == "closed"
    refused = await client.post("/v1/books/approvals", json=APPROVAL)
    assert (refused.status_code, refused.json()["code"]) == (409, "period_closed")


async def test_each_operation_needs_its_scope(app: FastAPI, make_key: MakeKey) -> None:
    async with client_of(app, await make_key("books:read")) as reader:
        refused = await reader.post("/v1/books/approvals", json=APPROVAL)
        assert refused.json()["scope"] == "books:approve"
    async with client_of(app, await make_key("books:approve")) as approver:
        for path in ("report", "closes", "approvals"):
            assert (await approver.get(f"/v1/books/{path}")).json()["scope"] == "books:read"
