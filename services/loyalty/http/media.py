"""Media types of request bodies that are read whole, as bytes or as text."""

from __future__ import annotations

from fastapi import Request

from services.loyalty.http.problems import Problem

JSON = "application/json"
YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/plain")


def media_type(request: Request, *supported: str) -> str:
    """The body's media type, without parameters. Raises Problem ``unsupported_media_type``."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in supported:
        detail = f"Send one of {', '.join(supported)}; this was {given or 'not named'}."
        raise Problem("unsupported_media_type", detail, supported=list(supported))
    return given


async def read_text(request: Request, *supported: str) -> str:
    """The body as text. Raises Problem ``unsupported_media_type`` or ``not_utf8``."""
    media_type(request, *supported)
    try:
        return (await request.body()).decode()
    except UnicodeDecodeError as error:
        raise Problem("not_utf8") from error
