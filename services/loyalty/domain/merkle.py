"""A Merkle tree over an ordered list of leaves, as RFC 6962 section 2.1 defines it.

A leaf is hashed behind the byte 0 and an inner node behind the byte 1 (so that neither passes for
the other), with SHA-256; the left subtree holds the largest power of two that is smaller than the
number of leaves. An audit path (section 2.1.1) leads from one leaf to the root.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

EMPTY = sha256().digest()
"""The root over nothing."""


def leaf_hash(leaf: bytes) -> bytes:
    """The 32 bytes that stand for a leaf."""
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The 32 bytes that stand for two subtrees side by side."""
    return sha256(b"\1" + left + right).digest()


class Tree:
    """The root over leaves that pass by once; at most one hash per level is kept."""

    def __init__(self) -> None:
        self.count = 0
        self._full: list[tuple[int, bytes]] = []  # (height, root) of full subtrees, largest first

    def add(self, hashed: bytes) -> None:
        """Adds the hash of the next leaf."""
        self.count += 1
        height, joined = 0, hashed
        while self._full and self._full[-1][0] == height:
            joined = node_hash(self._full.pop()[1], joined)
            height += 1
        self._full.append((height, joined))

    def root(self) -> bytes:
        """The root over the leaves so far."""
        if not self._full:
            return EMPTY
        *rest, (_, right) = self._full
        for _, left in reversed(rest):
            right = node_hash(left, right)
        return right


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over leaves, given their hashes."""
    tree = Tree()
    for hashed in leaf_hashes:
        tree.add(hashed)
    return tree.root()


def path(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of the leaf at ``index``: the sibling at each level, from the leaf upwards.

    Raises:
        IndexError: there is no such leaf.
    """
    if not 0 <= index < len(leaf_hashes):
        raise IndexError(index)
    siblings = []
    level, place = list(leaf_hashes), index
    while len(level) > 1:
        if (sibling := place ^ 1) < len(level):
            siblings.append(level[sibling])
        level, place = list(_joined(level)), place // 2
    return siblings


def root_of_path(hashed: bytes, index: int, count: int, siblings: Sequence[bytes]) -> bytes | None:
    """The root to which an audit path leads from the leaf at ``index`` of ``count``; None where it
    is too short or too long to be one.
    """
    if not 0 <= index < count:
        return None
    found, last, left = hashed, count - 1, list(reversed(siblings))
    while last:
        if index ^ 1 <= last:  # else it has no sibling and rises as it is
            if not left:
                return None
            other = left.pop()
            found = node_hash(other, found) if index & 1 else node_hash(found, other)
        index, last = index // 2, last // 2
    return None if left else found


def _joined(level: Sequence[bytes]) -> Iterator[bytes]:
    """The level above; a node without a sibling rises as it is."""
    for place in range(0, len(level) - 1, 2):
        yield node_hash(level[place], level[place + 1])
    if len(level) % 2:
        yield level[-1]
