"""A bound on the size of request bodies, kept before anything reads them."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.loyalty.http.problems import Problem, respond


class BodyLimit:
    """Refuses bodies of more than ``limit_bytes``, whether their length was declared or not."""

    def __init__(self, app: ASGIApp, *, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _declared(scope) > self._limit_bytes:
            refusal = self._refusal()
            answer = respond(refusal.code, refusal.detail, refusal.facts)
            await answer(scope, receive, send)
            return
        await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit_bytes:
                raise self._refusal()
            return message

        return counted

    def _refusal(self) -> Problem:
        detail = f"Send at most {self._limit_bytes} bytes; split a batch if need be."
        return Problem("too_large", detail, limit_bytes=self._limit_bytes)


def _declared(scope: Scope) -> int:
    """The declared length, 0 where none is (then the bytes are counted as they come)."""
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0
