"""Holdouts: members whom a rule leaves out, to see what it brings.

Who they are follows from the programme's name, the rule's and the member's id, and from nothing
else: the same members are left out for as long as the rule has its name, and who is left out of one
rule says nothing of another.
"""

from __future__ import annotations

from hashlib import blake2b

from services.loyalty.domain.draft import Draft

WHOLE = 10_000
"""Shares of members are so many of this many."""


def is_held_out(program: str, rule: str, member: str, share: int) -> bool:
    """Whether a member belongs to the share that a rule (or boost) leaves out."""
    digest = blake2b(f"{program}\0{rule}\0{member}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") * WHOLE < share << 64


def leaves_out(draft: Draft, rule: str, share: int) -> bool:
    """Whether a rule leaves out the member that a decision is about; nobody in particular, such as
    a guest, is not left out.
    """
    member = draft.facts.member
    return bool(member) and is_held_out(draft.program.name, rule, member, share)
