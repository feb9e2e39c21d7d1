"""A checkpoint: one signed Merkle root over the chains of all members.

Whoever keeps it can tell later whether a chain was cut or rewritten up to there. It is small and
holds no member; the service keeps which head of which member stood in it.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from services.loyalty.domain.merkle import leaf_hash

MADE = "loyalty.checkpoint.made.v1"
"""Type of the event that publishes a checkpoint."""

KEY = "checkpoint/root"
"""What checkpoints are keyed by in the outbox; no member id holds a slash."""

_KEY_ID_DIGITS = 16


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What was true of all chains at one instant, signed.

    Attributes:
        incarnation: of the deployment; another one begins after a restore.
        number: counts checkpoints from 1.
        at: when it was made, RFC 3339 in UTC.
        count: members with at least one journal row, which are the leaves of the tree.
        activities: the sum of their last seqs.
        root: of the tree over their heads in the order of member ids, in hexadecimal.
        key_id: the first 16 hexadecimal digits of the SHA-256 of the public key's 32 bytes.
        signature: Ed25519 (RFC 8032) over all this but itself as canonical JSON (RFC 8785), in
            base64 (RFC 4648 section 4).
    """

    incarnation: Annotated[int, Meta(ge=1)]
    number: Annotated[int, Meta(ge=1)]
    at: str
    count: Annotated[int, Meta(ge=0)]
    activities: Annotated[int, Meta(ge=0)]
    root: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    key_id: Annotated[str, Meta(pattern="^[0-9a-f]{16}$")] = ""
    signature: str = ""


def leaf(member: str, seq: int, head: bytes) -> bytes:
    """The hashed leaf of one member: compact JSON of its id, its last seq and, in base64, the link
    of that row.
    """
    return leaf_hash(msgspec.json.encode((member, seq, head)))


def signed_bytes(checkpoint: Checkpoint) -> bytes:
    """What is signed: keys sorted and nothing between, as RFC 8785 asks of texts and integers."""
    stated = msgspec.to_builtins(checkpoint)
    del stated["signature"]
    return msgspec.json.encode(stated, order="sorted")


def signed(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> Checkpoint:
    """The checkpoint with the key's name and signature."""
    named = msgspec.structs.replace(checkpoint, key_id=key_id(key.public_key()))
    signature = b64encode(key.sign(signed_bytes(named))).decode()
    return msgspec.structs.replace(named, signature=signature)


def is_signed_by(checkpoint: Checkpoint, key: Ed25519PublicKey) -> bool:
    """Whether the key's owner signed exactly this."""
    try:
        key.verify(b64decode(checkpoint.signature, validate=True), signed_bytes(checkpoint))
    except (InvalidSignature, ValueError):
        return False
    return True


def key_id(key: Ed25519PublicKey) -> str:
    """A public key's name in the checkpoints that it checks."""
    return sha256(key.public_bytes_raw()).hexdigest()[:_KEY_ID_DIGITS]
