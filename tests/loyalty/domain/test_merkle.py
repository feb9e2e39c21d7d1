"""The tree is that of RFC 6962, and a path proves its own leaf and no other."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain import merkle

LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
"""Roots over the first so many leaves, as other implementations of the RFC publish them."""

hashes = st.lists(st.binary(max_size=4).map(merkle.leaf_hash), min_size=1, max_size=70)


def by_definition(leaves: list[bytes]) -> bytes:
    """MTH as section 2.1 writes it, over leaves that are hashed already."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\1" + by_definition(leaves[:split]) + by_definition(leaves[split:])).digest()


@pytest.mark.parametrize("count", ROOTS)
def test_roots_are_those_that_others_publish(count: int) -> None:
    assert merkle.root(map(merkle.leaf_hash, LEAVES[:count])).hex() == ROOTS[count]


@given(hashes)
def test_a_root_taken_in_passing_is_that_of_the_definition(leaves: list[bytes]) -> None:
    assert merkle.root(leaves) == by_definition(leaves)


@given(hashes, st.data())
def test_the_path_of_every_leaf_leads_to_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = merkle.path(leaves, index)
    assert merkle.root_of_path(leaves[index], index, len(leaves), path) == merkle.root(leaves)
    assert len(path) <= (len(leaves) - 1).bit_length()


@given(hashes, st.data())
def test_a_path_proves_no_other_leaf_and_no_other_place(
    leaves: list[bytes], data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path, root = merkle.path(leaves, index), merkle.root(leaves)
    other = merkle.leaf_hash(b"never drawn")
    assert merkle.root_of_path(other, index, len(leaves), path) != root
    place = data.draw(st.integers(-1, len(leaves)))
    if place != index:
        proven = merkle.root_of_path(leaves[index], place, len(leaves), path)
        # equal leaves side by side have equal subtrees: there a path may fit two places
        assert proven != root or (0 <= place < len(leaves) and leaves[place] == leaves[index])


@given(hashes, st.data())
def test_a_path_that_was_changed_leads_elsewhere(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path, root = merkle.path(leaves, index), merkle.root(leaves)
    assert merkle.root_of_path(leaves[index], index, len(leaves), [*path, bytes(32)]) is None
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        bent = [*path[:at], bytes(32), *path[at + 1 :]]
        assert merkle.root_of_path(leaves[index], index, len(leaves), path[:-1]) is None
        assert merkle.root_of_path(leaves[index], index, len(leaves), bent) != root


def test_there_is_no_path_to_a_leaf_that_is_not_there() -> None:
    for index in (-1, 3):
        with pytest.raises(IndexError):
            merkle.path(LEAVES[:3], index)
