"""The OpenAPI document: what each operation answers, with an example of everything.

``contracts/openapi.json`` is this document; ``python -m services.loyalty.http.openapi FILE`` writes
it.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.loyalty.http import examples
from services.loyalty.http.problem_codes import KINDS
from services.loyalty.http.problems import MEDIA_TYPE, problem_document

TITLE = "Loyalty API"
VERSION = "1.0"
"""Of the contract, which grows by addition; `/v1` stands for its first number."""
DESCRIPTION = """Balances, tiers, rewards and the journal of members of one loyalty programme.

Points are whole numbers; money is a decimal string; instants are RFC 3339 in UTC and ends are
exclusive. Every operation under `/v1` needs an API key with the scope that it names:
`Authorization: Bearer lk_…`, made by `loyalty keys create`. What moves points takes an
`Idempotency-Key`: the same key with the same request gives the first answer again, refusals
included. Every error is `application/problem+json` (RFC 9457) with a stable `code`;
[all codes](docs/problems).
"""
TAGS = [
    {"name": "members", "description": "What a member has, and why."},
    {"name": "vouchers", "description": "Codes that the shop honours once, gifts and benefits."},
    {"name": "spending", "description": "Requests that move a member's points."},
    {"name": "pools", "description": "Households that share what their members earn."},
    {
        "name": "activities",
        "description": "What happened, as CloudEvents 1.0: the same as on Kafka.",
    },
    {
        "name": "programme",
        "description": "The rules, in versions that never change once published.",
    },
    {"name": "books", "description": "What finance reads, signs and posts."},
    {"name": "operations", "description": "Health and numbers."},
]

_PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "What went wrong, and what to do about it (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri-reference",
            "description": "Where `code` is explained.",
        },
        "title": {"type": "string", "description": "The code in words."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What to do, for people."},
        "code": {"type": "string", "enum": sorted(KINDS), "description": "Stable, for programs."},
        "instance": {"type": "string", "description": "This occurrence, as our log names it."},
    },
    "additionalProperties": {"description": "Facts of the case, such as `missing`."},
}
_FACTS: dict[str, dict[str, Any]] = {
    "insufficient_points": {"requested": 500, "available": 380, "missing": 120},
    "sold_out": {"reward": "mug", "reasons": [{"code": "sold_out", "reward": "mug"}]},
    "reward_unavailable": {
        "reward": "mug",
        "reasons": [
            {"code": "limit_reached", "reward": "mug", "times": 2, "period": "year"},
            {"code": "sold_out", "reward": "mug"},
        ],
    },
    "invalid_request": {"mistakes": [{"place": "body.points", "reason": "should be above 0"}]},
    "program_mistakes": {"mistakes": examples.MISTAKES},
    "scope_missing": {"scope": "members:read"},
    "not_ready": {"checks": {"database": "ok", "schema": "behind", "program": "ok"}},
    "unsupported_media_type": {"supported": ["application/json"]},
    "unacceptable": {"reason": "unknown_type", "member_id": "17850"},
    "too_large": {"limit_bytes": 1_048_576},
    "batch_too_long": {"limit_items": 1_000},
    "holds_too_soon": {"earliest": "2011-06-01T09:31:00Z"},
    "refused": {"reason": "before_program"},
}

_IN_LANGUAGES: dict[str, Any] = {
    "Content-Language": {
        "description": "The languages of the names and descriptions in it.",
        "schema": {"type": "string"},
        "example": "zh-Hans",
    },
    "Vary": {
        "description": "That it depends on the languages asked for.",
        "schema": {"type": "string", "const": "Accept-Language"},
    },
}


def answers(
    *codes: str, example: Any, status: int = 200, media_type: str = "application/json"
) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of an operation: the good one with its example, and its problems."""
    good: dict[int | str, dict[str, Any]] = {
        status: {"content": {media_type: {"example": example}}}
    }
    return {**good, **problems(*codes)}


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """``responses`` for problems, one example per code, grouped by status."""
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for code in codes:
        by_status[KINDS[code].status].append(code)
    return {status: _problem_response(of_status) for status, of_status in sorted(by_status.items())}


def _problem_response(codes: list[str]) -> dict[str, Any]:
    shown = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
    return {
        "description": "; ".join(KINDS[code].title for code in codes) + ".",
        "content": {
            MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": shown}
        },
    }


def document(app: FastAPI) -> dict[str, Any]:
    """The application's OpenAPI 3.1 document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=TAGS,
            servers=[{"url": "/", "description": "Where this page came from."}],
        )
        _explain_failures(made)
        app.openapi_schema = made
    return app.openapi_schema


def _explain_failures(made: dict[str, Any]) -> None:
    """Puts our problems where the framework puts its own, and adds those that all can give."""
    schemas = made["components"]["schemas"]
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Problem"] = _PROBLEM_SCHEMA
    made["components"]["examples"] = {
        code: {"summary": kind.title, "value": problem_document(code, "", _FACTS.get(code))}
        for code, kind in sorted(KINDS.items())
    }
    for operation in _operations(made):
        responses = operation["responses"]
        if "application/json" in responses.get("422", {}).get("content", {}):
            responses["422"] = _problem_response(["invalid_request"])
        if operation.get("security"):
            _add(responses, "key_missing", "key_unknown", "scope_missing", "database_unavailable")
        if "requestBody" in operation:
            _add(responses, "too_large")
        if any(each["name"] == "Accept-Language" for each in operation.get("parameters", ())):
            _add_headers(responses)
        _add(responses, "internal_error")
        operation["responses"] = dict(sorted(responses.items()))


def _add(responses: dict[str, Any], *codes: str) -> None:
    for code in codes:
        made = _problem_response([code])
        status = str(KINDS[code].status)
        there = responses.setdefault(status, made)
        examples_there = there["content"][MEDIA_TYPE]["examples"]
        if code not in examples_there:
            examples_there |= made["content"][MEDIA_TYPE]["examples"]
            there["description"] = f"{there['description'][:-1]}; {made['description']}"


def _add_headers(responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        if status < "300":
            response["headers"] = _IN_LANGUAGES


def _operations(made: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in made["paths"].values() for operation in path.values()]


def text(app: FastAPI) -> str:
    """The document as the contract stores it."""
    return json.dumps(document(app), indent=2, ensure_ascii=False) + "\n"


def main(target: Path) -> None:
    """Writes the document to a file."""
    from services.loyalty.http.app import bare_app  # noqa: PLC0415  # app imports this module

    target.write_text(text(bare_app()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
