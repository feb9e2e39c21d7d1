"""API keys: what they look like, what they may open, and how one is checked.

A key is ``lk_<id>_<secret>``. The id finds its row and may stand in logs; the secret has 256 random
bits and only its SHA-256 is stored: nothing can be guessed from that, so no slow hash is needed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection
from dataclasses import dataclass

SCOPES: dict[str, str] = {
    "members:read": "see members: balances, tier, lots, rewards and the journal",
    "members:write": "hold, redeem and transfer points of members",
    "vouchers:read": "see vouchers with their codes, of a member or by code",
    "vouchers:use": "use up vouchers by their codes",
    "members:adjust": "grant and take points by hand, give them longer lives, and change what"
    " members may do",
    "activities:write": "send activities",
    "program:read": "see the programme and check a draft",
    "program:publish": "publish a version of the programme",
    "books:read": "read reports, closed periods and approvals of the books",
    "books:approve": "approve what the books rest on",
    "metrics:read": "read the numbers of a process",
}
"""Every scope, with what it lets its holder do."""

PREFIX = "lk_"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored. ``revoked`` keys open nothing."""

    id: str
    name: str
    secret_hash: bytes
    scopes: frozenset[str]
    revoked: bool = False


def hash_secret(secret: str) -> bytes:
    """What is stored of a secret: 32 bytes."""
    return hashlib.sha256(secret.encode()).digest()


def spell(key_id: str, secret: str) -> str:
    """The key as its holder sends it."""
    return f"{PREFIX}{key_id}_{secret}"


def split(key: str) -> tuple[str, str] | None:
    """Id and secret of a key, or None for a text that is none."""
    key_id, separator, secret = key.removeprefix(PREFIX).partition("_")
    if not key.startswith(PREFIX) or not separator or not key_id or not secret:
        return None
    return (key_id, secret) if key.isascii() and key_id.isalnum() else None


def opens(stored: ApiKey, secret: str) -> bool:
    """Whether the secret is that of the stored key, compared in constant time."""
    return hmac.compare_digest(stored.secret_hash, hash_secret(secret)) and not stored.revoked


def unknown_scopes(scopes: Collection[str]) -> list[str]:
    """Those that :data:`SCOPES` does not know, sorted."""
    return sorted(set(scopes) - SCOPES.keys())
