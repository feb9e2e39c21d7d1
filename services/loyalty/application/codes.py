"""Codes of vouchers: bearer secrets, drawn outside of decisions.

A code has a hundred random bits in Crockford's base 32, which has no letters that people confuse.
Whoever has it may use the voucher, so it stands in the voucher's row and nowhere else: journal,
ledger and outbox know the voucher's id, and the journal the code's SHA-256, from which nothing can
be guessed, and which proves that the row has the code that was drawn.
"""

from __future__ import annotations

import hashlib
import re
import secrets

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH, _GROUP = 20, 5
_CONFUSED = str.maketrans("ILO", "110")
_SPELT = re.compile(rf"[{_ALPHABET}]{{{_LENGTH}}}", re.ASCII)


def draw() -> str:
    """A new code: ``7Q3KV-9ZBM4-01XTE-RW8HC``."""
    return _grouped("".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)))


def digest_of(code: str) -> str:
    """What the journal keeps of a code."""
    return hashlib.sha256(code.encode()).hexdigest()


def read_code(typed: str) -> str | None:
    """The code that somebody typed, whatever the case, spaces and hyphens; None for what is no
    code.
    """
    plain = re.sub(r"[\s-]", "", typed).upper().translate(_CONFUSED)
    return _grouped(plain) if _SPELT.fullmatch(plain) else None


def _grouped(plain: str) -> str:
    return "-".join(plain[start : start + _GROUP] for start in range(0, len(plain), _GROUP))
