"""Who may do what: API keys with scopes, closed by default.

An operation names the one scope that opens it, and one that names none opens for nobody. A key that
was found good is remembered for a few seconds: so long may a revocation take to arrive here.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from services.loyalty.application import api_keys
from services.loyalty.application.api_keys import ApiKey
from services.loyalty.http.problems import Problem

BEARER = HTTPBearer(
    scheme_name="ApiKey",
    description="An API key made by `loyalty keys create`: `lk_…`.",
    auto_error=False,
)
_CHALLENGE = {"WWW-Authenticate": "Bearer"}
_MOST_REMEMBERED = 1024
_LONGEST_KEY = 256


class Gate:
    """Checks keys against storage, remembering good ones for ``remember_s`` seconds.

    ``find`` answers the stored key of an id or None; ``stopwatch`` seconds that only ever grow.
    What is remembered is the digest of a whole key: looking one up tells nothing by its timing.
    """

    def __init__(
        self,
        find: Callable[[str], Awaitable[ApiKey | None]],
        *,
        remember_s: float,
        stopwatch: Callable[[], float],
    ) -> None:
        self._find = find
        self._remember_s = remember_s
        self._stopwatch = stopwatch
        self._remembered: OrderedDict[bytes, tuple[float, ApiKey]] = OrderedDict()

    async def identify(self, key: str) -> ApiKey:
        """The stored key. Raises Problem ``key_unknown`` for one that opens nothing."""
        digest = hashlib.sha256(key.encode("utf-8", "replace")).digest()
        known = self._remembered.get(digest)
        if known is not None and known[0] > self._stopwatch():
            return known[1]
        found = await self._checked(key)
        self._remember(digest, found)
        return found

    async def _checked(self, key: str) -> ApiKey:
        parts = api_keys.split(key) if len(key) <= _LONGEST_KEY else None
        stored = await self._find(parts[0]) if parts else None
        if parts is None or stored is None or not api_keys.opens(stored, parts[1]):
            raise Problem("key_unknown", headers=_CHALLENGE)
        return stored

    def _remember(self, digest: bytes, key: ApiKey) -> None:
        self._remembered[digest] = (self._stopwatch() + self._remember_s, key)
        self._remembered.move_to_end(digest)
        while len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)


async def key_holder(
    request: Request,
    scopes: SecurityScopes,
    given: Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)],
) -> ApiKey:
    """The key of a request that holds the operation's scopes.

    Raises Problem ``key_missing``, ``key_unknown`` or ``scope_missing``.
    """
    if given is None:
        raise Problem("key_missing", headers=_CHALLENGE)
    gate: Gate = request.app.state.gate
    key = await gate.identify(given.credentials)
    wanted = scopes.scopes or ["a scope that the operation forgot to name"]
    for scope in wanted:
        if scope not in key.scopes:
            raise Problem("scope_missing", f"The key needs the scope {scope}.", scope=scope)
    return key
