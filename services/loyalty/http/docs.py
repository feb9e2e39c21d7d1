"""The documentation page: Swagger UI from an installed package, nothing fetched from elsewhere.

The script and the style sheet come out of the ``fastapi-offline`` package, which ships Swagger UI 5
(the first to understand OpenAPI 3.1); none of that package's code runs. The content security policy
holds the page to its own origin.
"""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from services.loyalty.http.problem_codes import KINDS
from services.loyalty.http.problems import HELP_PATH, Problem

# Swagger UI sets styles inline; scripts must be files of ours.
_POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PACKAGED = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Loyalty API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/assets/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="docs/assets/swagger-ui-bundle.js"></script>
<script src="docs/assets/start.js"></script>
</body>
</html>
"""

_START = """// A key entered under "Authorize" stays in this browser: reloading the page keeps it.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""

_PROBLEMS_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Loyalty API: problems</title>
<style>
body { font-family: sans-serif; margin: 2rem }
td, th { padding: .3rem .8rem; text-align: left }
tr:target { background: #ffd }
</style>
</head>
<body>
<h1>Problems</h1>
<p>Every error is <code>application/problem+json</code> and carries one of these codes.</p>
<table>
<tr><th>code</th><th>status</th><th>meaning</th><th>what to do</th></tr>
ROWS
</table>
</body>
</html>
"""

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def page() -> Response:
    """The page that shows ``openapi.json`` and can try each request."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _POLICY})


@router.get("/docs/assets/start.js")
async def start_script() -> Response:
    """What starts Swagger UI, apart from the page because the policy allows no inline script."""
    return Response(_START, media_type="text/javascript", headers={"Cache-Control": "no-cache"})


@router.get("/docs/assets/{name}")
async def asset(name: str) -> Response:
    """A file of Swagger UI. Raises Problem ``not_found`` for every other name."""
    if name not in _PACKAGED:
        raise Problem("not_found", f"There is no asset {name}.")
    return Response(
        _packaged(name), media_type=_PACKAGED[name], headers={"Cache-Control": "max-age=3600"}
    )


@router.get(HELP_PATH)
async def problems_page() -> Response:
    """Every problem code with its status, meaning and remedy: where a problem's ``type`` leads."""
    return HTMLResponse(_problems_page(), headers={"Content-Security-Policy": _POLICY})


@cache
def _packaged(name: str) -> bytes:
    return files("fastapi_offline").joinpath("static", name).read_bytes()


@cache
def _problems_page() -> str:
    rows = "\n".join(
        f'<tr id="{code}"><td><code>{code}</code></td><td>{kind.status}</td>'
        f"<td>{escape(kind.title)}</td><td>{escape(kind.remedy)}</td></tr>"
        for code, kind in sorted(KINDS.items())
    )
    return _PROBLEMS_PAGE.replace("ROWS", rows)
