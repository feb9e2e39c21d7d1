"""A document's text becomes a tree of text: nothing is guessed, and every place is known."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.loyalty.domain.mistakes import ProgramMistakes
from services.loyalty.domain.source import MAX_CHARACTERS, place_of, read_source


def test_no_scalar_is_anything_but_its_text() -> None:
    text = "a: on\nb: NO\nc: 12:30\nd: 022423\ne: 1_000\nf: 2010-12-01\ng: ~\nh: 0x1F\ni: 1e3\nj:\n"
    assert read_source(text).tree == {
        "a": "on", "b": "NO", "c": "12:30", "d": "022423", "e": "1_000", "f": "2010-12-01",
        "g": "~", "h": "0x1F", "i": "1e3", "j": "",
    }  # fmt: skip


def test_json_is_read_with_its_numbers_as_they_are_written() -> None:
    text = '{"a": 1.50, "b": [true, null, 1e3], "c": {"d": "\\ud83d\\ude00"}}'
    assert read_source(text).tree == {
        "a": "1.50",
        "b": ["true", "null", "1e3"],
        "c": {"d": "😀"},
    }


def test_a_flow_mapping_of_yaml_may_begin_with_a_brace() -> None:
    assert read_source("{a: b, c: [d]}").tree == {"a": "b", "c": ["d"]}


def test_every_key_and_item_has_its_place() -> None:
    source = read_source("a:\n  b: [x, y]\nc: {d: 1}\n")
    assert source.places[("a", "b")] == (2, 3)
    assert source.places[("a", "b", 1)] == (2, 10)
    assert source.places[("c", "d")] == (3, 5)


@pytest.mark.parametrize("key", ["on", "Off", "YES", "no", "y", "N", "true", "null", "~"])
def test_a_key_that_yaml_takes_for_something_else_is_refused(key: str) -> None:
    (mistake,) = read_source(f"a:\n  {key}: 1\n").mistakes
    assert (mistake.place, mistake.line, mistake.column) == (f"a.{key}", 2, 3)


@pytest.mark.parametrize("text", ["a: {b: 1, c: 2, b: 3}", '{"a": {"b": 1, "c": 2, "b": 3}}'])
def test_a_key_that_is_there_twice_is_refused(text: str) -> None:
    source = read_source(text)
    assert [m.place for m in source.mistakes] == ["a.b"]
    assert source.tree == {"a": {"b": "1", "c": "2"}}


def test_references_are_refused_and_so_cannot_explode() -> None:
    levels = ["k0: &k0 [x, x]"]
    levels += [f"k{n}: &k{n} [*k{n - 1}, *k{n - 1}]" for n in range(1, 21)]
    source = read_source("\n".join(levels))
    assert len(source.mistakes) == 40
    assert all("repeats another part" in mistake.reason for mistake in source.mistakes)


def test_a_tag_cannot_make_anything_but_text() -> None:
    assert read_source("a: !!python/object/apply:os.getcwd x").tree == {"a": "x"}


@pytest.mark.parametrize(
    "text",
    ["", "- a", "just text", "a: [", "a: b: c", "a: 1\n---\nb: 2", "a: \x00", "a:\n\t- b",
     "[" * 5000, '{"a":' * 30000, "x" * (MAX_CHARACTERS + 1)],
)  # fmt: skip
def test_what_is_no_mapping_at_all_is_one_mistake(text: str) -> None:
    with pytest.raises(ProgramMistakes) as caught:
        read_source(text)
    (mistake,) = caught.value.mistakes
    assert mistake.place == ""
    assert mistake.remedy


def test_a_syntax_error_has_line_and_column() -> None:
    with pytest.raises(ProgramMistakes) as caught:
        read_source("a: 1\nb: [x\nc: 2\n")
    assert caught.value.mistakes[0].line == 3


def test_places_are_written_as_people_write_them() -> None:
    assert place_of(("earn", "base", "give", "points")) == "earn.base.give.points"
    assert place_of(("caps", 0, "per")) == "caps[0].per"


_trees = st.recursive(
    st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.from_regex(r"k[a-z]{1,4}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.from_regex(r"k[a-z]{1,4}", fullmatch=True), _trees, max_size=4))
def test_json_reads_back_as_it_was_written(tree: dict[str, object]) -> None:
    source = read_source(json.dumps(tree))
    assert source.tree == tree
    assert not source.mistakes
