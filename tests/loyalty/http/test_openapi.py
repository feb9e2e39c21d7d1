"""The documentation: complete, current, and without a call to anywhere else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter

from services.loyalty.application.intake import read_event
from services.loyalty.domain.calendar import from_datetime
from services.loyalty.domain.document import read_document
from services.loyalty.http import (
    activities,
    books,
    examples,
    health,
    holdouts,
    holds,
    longevity,
    members,
    models,
    openapi,
    program,
    spending,
    stories,
)
from services.loyalty.http.app import bare_app
from services.loyalty.http.problem_codes import KINDS

CONTRACT = Path(__file__).parents[3] / "contracts" / "openapi.json"
MADE = bare_app().openapi()


def _routes() -> list[APIRoute]:
    """The routes that the document shows, wherever they were included from."""
    return [
        route
        for module in (
            members,
            spending,
            holds,
            longevity,
            activities,
            program,
            holdouts,
            stories,
            books,
            health,
        )
        for route in module.router.routes
        if isinstance(route, APIRoute)
    ]


OPERATIONS = [
    pytest.param(operation, id=f"{method} {path}")
    for path, methods in MADE["paths"].items()
    for method, operation in methods.items()
]


def test_the_contract_is_current() -> None:
    remedy = f"run: python -m services.loyalty.http.openapi {CONTRACT.relative_to(Path.cwd())}"
    assert CONTRACT.read_text(encoding="utf-8") == openapi.text(bare_app()), remedy


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_is_explained_with_examples(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    for parameter in operation.get("parameters", ()):
        assert parameter["description"]
        assert parameter["schema"].get("examples") or parameter.get("example"), parameter["name"]
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        assert _example_of(content), media_type
    for status, response in operation["responses"].items():
        assert response["description"], status
        for content in response["content"].values():
            assert _example_of(content), status


def _example_of(content: dict[str, Any]) -> Any:
    reference = content.get("schema", {}).get("$ref", "")
    named = MADE["components"]["schemas"].get(reference.rpartition("/")[2], {})
    return content.get("example") or content.get("examples") or named.get("examples")


@pytest.mark.parametrize("operation", OPERATIONS)
def test_errors_are_problems_with_codes_of_their_status(operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        if status < "400":
            continue
        shown = response["content"]["application/problem+json"]["examples"]
        assert shown
        assert {KINDS[code].status for code in shown} == {int(status)}


def test_every_field_is_described() -> None:
    for name, schema in MADE["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description"), f"{name}.{field}"


def test_every_reference_leads_somewhere() -> None:
    for reference in _references(MADE):
        there: Any = MADE
        for step in reference.removeprefix("#/").split("/"):
            assert step in there, reference
            there = there[step]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


@pytest.mark.parametrize(
    "route", [route for route in _routes() if route.response_model], ids=lambda route: route.name
)
def test_examples_are_what_is_answered(route: APIRoute) -> None:
    """Those of success are read by the model of the answer."""
    model: TypeAdapter[Any] = TypeAdapter(route.response_model)
    for status, response in route.responses.items():
        for content in response["content"].values():
            named = content.get("examples", {"": {"value": content.get("example")}})
            for example in named.values():
                if int(status) < 400:
                    model.validate_json(json.dumps(example["value"]))


def test_examples_of_requests_can_be_sent() -> None:
    models.RedemptionRequest.model_validate(examples.REDEMPTION_REQUEST)
    models.RedemptionRequest.model_validate(examples.PAYMENT_REQUEST)
    models.HoldRequest.model_validate(examples.HOLD_REQUEST)
    models.HoldRequest.model_validate(examples.PLAIN_HOLD_REQUEST)
    models.CaptureRequest.model_validate(examples.CAPTURE_REQUEST)
    models.ExtensionRequest.model_validate(examples.EXTENSION_REQUEST)
    models.ReinstatementRequest.model_validate(examples.REINSTATEMENT_REQUEST)
    models.TransferRequest.model_validate(examples.TRANSFER_REQUEST)
    models.AdjustmentRequest.model_validate(examples.ADJUSTMENT_REQUEST)
    now = from_datetime(datetime(2010, 12, 2, tzinfo=UTC))
    for event in (examples.ENROLMENT_EVENT, examples.PURCHASE_EVENT):
        read_event(json.dumps(event).encode(), now=now)
    in_yaml = read_document(examples.PROGRAM_YAML)
    assert read_document(json.dumps(examples.PROGRAM_JSON)) == in_yaml


class Loads(HTMLParser):
    """What a page makes a browser load or follow."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.inline = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.addresses += [value for name in ("src", "href") if (value := given.get(name))]
        self.inline += tag == "script" and "src" not in given


async def test_the_docs_page_loads_everything_from_here(insider: httpx.AsyncClient) -> None:
    page = await insider.get("/docs")
    assert page.status_code == 200
    loads = Loads()
    loads.feed(page.text)
    assert loads.inline == 0
    assert "//" not in page.text
    local = [address for address in loads.addresses if not address.startswith("data:")]
    assert local
    for address in local:
        answer = await insider.get(f"/{address}")
        assert answer.status_code == 200, address
        assert answer.content
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "http" not in policy


async def test_the_script_asks_for_our_document_and_no_validator(
    insider: httpx.AsyncClient,
) -> None:
    script = (await insider.get("/docs/assets/start.js")).text
    assert 'url: "openapi.json"' in script
    assert "validatorUrl: null" in script
    assert "://" not in script
    assert (await insider.get("/openapi.json")).json() == MADE


async def test_the_page_understands_openapi_3_1(insider: httpx.AsyncClient) -> None:
    assert MADE["openapi"].startswith("3.1")
    bundle = (await insider.get("/docs/assets/swagger-ui-bundle.js")).text
    found = re.search(r'PACKAGE_VERSION:"(\d+)\.', bundle)
    assert found is not None
    assert int(found[1]) >= 5


async def test_style_sheets_load_nothing_from_elsewhere(insider: httpx.AsyncClient) -> None:
    style = (await insider.get("/docs/assets/swagger-ui.css")).text
    assert "@import" not in style
    addresses = re.findall(r"url\(\s*[\"']?([^)]{5})", style)
    assert set(addresses) == {"data:"}


async def test_every_problem_code_is_explained(insider: httpx.AsyncClient) -> None:
    page = await insider.get("/docs/problems")
    assert page.status_code == 200
    assert all(f'id="{code}"' in page.text for code in KINDS)
