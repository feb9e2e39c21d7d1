"""A proof that one journal row, with its ledger entries, stands under a signed checkpoint.

It needs no database and nobody's word: from the row, link by link, to the member's head in the
checkpoint, from there by an audit path to the root, and the root is signed.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated, Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta

from services.loyalty.domain import merkle
from services.loyalty.domain.chain import bound
from services.loyalty.domain.checkpoint import Checkpoint, is_signed_by, key_id, leaf


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """That the journal row ``seq`` of ``member`` stands under the checkpoint.

    Attributes:
        previous: the link before the row, in base64.
        rows: the row, and all that follow it up to the member's head in the checkpoint, each as a
            text: one line of JSON, ``[columns before the body, lengths of body, facts and trace in
            bytes, ledger entries]``, a line feed, then body, facts and trace with nothing between.
            A row's link is the SHA-256 of the link before it followed by this text in UTF-8.
        index: place of the member among the leaves of the tree, from 0.
        path: sibling hashes from the leaf to the root, in hexadecimal (RFC 6962 section 2.1.1).
    """

    checkpoint: Checkpoint
    member: str
    seq: Annotated[int, Meta(ge=1)]
    previous: str
    rows: Annotated[list[str], Meta(min_length=1)]
    index: Annotated[int, Meta(ge=0)]
    path: list[Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]]


class NotProven(Exception):
    """A proof does not prove what it claims; the message says where it fails."""


def check(proof: Proof, key: Ed25519PublicKey) -> list[Any]:
    """The proven row as ``[columns before the body, lengths of the documents, ledger entries]``.

    Raises:
        NotProven: it is not, or not by this key.
    """
    checkpoint = proof.checkpoint
    if not is_signed_by(checkpoint, key):
        raise NotProven(
            f"the checkpoint says that key {checkpoint.key_id} signed it,"
            f" and key {key_id(key)} did not sign this"
        )
    first, seq = _row(proof, 0), proof.seq + len(proof.rows) - 1
    hashed = leaf(proof.member, seq, _head(proof))
    siblings = [bytes.fromhex(each) for each in proof.path]
    root = merkle.root_of_path(hashed, proof.index, checkpoint.count, siblings)
    if root is None or root.hex() != checkpoint.root:
        raise NotProven("rows and path do not lead to the checkpoint's root")
    return first


def _head(proof: Proof) -> bytes:
    """The link of the last row, from the link before the first."""
    try:
        head = b64decode(proof.previous, validate=True)
    except ValueError:
        raise NotProven("the link before the row is not base64") from None
    for place, text in enumerate(proof.rows):
        _row(proof, place)
        head = bound(head, text.encode())
    return head


def _row(proof: Proof, place: int) -> list[Any]:
    """What a row's first line says; it must be of this member, and one seq after the one before."""
    try:
        said = msgspec.json.decode(proof.rows[place].partition("\n")[0])
        member, seq = said[0][:2]
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError):
        raise NotProven(f"row {place + 1} is not a journal row with its entries") from None
    if (member, seq) != (proof.member, proof.seq + place):
        raise NotProven(f"row {place + 1} is seq {seq} of member {member}")
    row: list[Any] = said
    return row
