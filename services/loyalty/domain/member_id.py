"""Member ids: opaque names, fit for a Kafka key and a path segment, and never personal data.

Ids stand in journals from which nothing is erased. So one that looks like an e-mail address or a
phone number is refused at every edge; ``docs/decisions/0002-member-ids-are-opaque.md`` says exactly
what counts as looking like one.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_LENGTH: Final = 128
"""Characters in the longest member id."""

ALPHABET = r"[A-Za-z0-9._~!$&'()*+,;=:\-]"
"""What RFC 3986 lets stand unescaped in a path segment, without ``@``."""

_SPELT = re.compile(rf"(?!\.{{1,2}}\Z){ALPHABET}{{1,{MAX_LENGTH}}}", re.ASCII)
_DIALLED = re.compile(r"\s*(?:tel:)?\s*(\+?)([\d\s().\-/]+)", re.ASCII | re.IGNORECASE)
_NOT_DIGITS = re.compile(r"\D+", re.ASCII)
_NUMBER_DIGITS = range(7, 16)  # ITU-T E.164 allows 15; shorter ones than 7 are extensions
_TRUNK_DIGITS = range(9, 15)  # national (0…) and international (00…) dialling, prefix included


class BadMemberId(ValueError):
    """A text that cannot name a member. ``code`` is stable; the message never repeats the text."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def check_member_id(text: str) -> None:
    """Answers nothing for a member id that may stand in the books.

    Raises:
        BadMemberId: with code ``no_member``, ``member_id_is_personal`` or ``invalid_field``.
    """
    if not text:
        raise BadMemberId("no_member", "it is empty")
    if len(text) <= MAX_LENGTH and text.isascii() and _is_plain(text):
        return  # nearly every id, and nothing that follows could refuse it
    if looks_personal(text):
        raise BadMemberId(
            "member_id_is_personal", "it looks like an e-mail address or a phone number"
        )
    if not _SPELT.fullmatch(text):
        raise BadMemberId(
            "invalid_field",
            f"a member id is 1 to {MAX_LENGTH} characters that a URL's path takes unescaped",
        )


def looks_personal(text: str) -> bool:
    """Whether it looks like an e-mail address or a phone number, in any width of letters."""
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    return "@" in plain or _is_dialled(plain)


def _is_plain(text: str) -> bool:
    """Digits alone, but none that are dialled; or letters and digits, with hyphens or without."""
    if text.isdigit():
        return text[0] != "0"
    joined = text.replace("-", "")
    return joined.isalnum() and not joined.isdigit()


def _is_dialled(text: str) -> bool:
    dialled = _DIALLED.fullmatch(text)
    if dialled is None:
        return False
    plus, number = dialled.groups()
    digits = _NOT_DIGITS.sub("", number)
    if plus or digits != number:
        return len(digits) in _NUMBER_DIGITS
    return number.startswith("0") and len(digits) in _TRUNK_DIGITS
