"""The text of a programme document, as a tree of text with the place of every node.

YAML (1.1, as PyYAML reads it) would make ``on`` true, ``NO`` false, 12:30 750 and a numeric sku an
integer. Here no scalar is ever anything but its text; what it means is for the schema to say. JSON
is read as JSON, with numbers and truth values as they are written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

from services.loyalty.domain.mistakes import Mistake, ProgramMistakes

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree]"
Path: TypeAlias = tuple[str | int, ...]

MAX_CHARACTERS = 200_000
"""A programme that one can still read is far shorter; a parser fed more is being abused."""

_MISTAKEN_KEYS = frozenset({"on", "off", "yes", "no", "y", "n", "true", "false", "null", "~", ""})
_WRITE_ONE = "Write one mapping, as in program: harbour-rewards and so on"


@dataclass(slots=True)
class Source:
    """A document as it was written: its tree, where each path stands, and what is wrong already.

    ``places`` holds (line, column), from 1, of the key of a mapping's entry or of a list's item.
    """

    tree: dict[str, Tree]
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def mistake(self, path: Path, reason: str, remedy: str) -> Mistake:
        """A mistake at a path, with the place in the text of the nearest node that there is."""
        written = self._as_written(path)
        line, column = self._place(written)
        return Mistake(place_of(written), reason, remedy, line, column)

    def names(self, *path: str) -> frozenset[str]:
        """The keys of the mapping at a path; none where there is no mapping."""
        node: Any = self.tree
        for key in path:
            node = node.get(key) if isinstance(node, dict) else None
        return frozenset(node) if isinstance(node, dict) else frozenset()

    def text(self, *path: str) -> str:
        """The text at a path, empty where there is none."""
        node: Any = self.tree
        for key in path:
            node = node.get(key) if isinstance(node, dict) else None
        return node if isinstance(node, str) else ""

    def _as_written(self, path: Path) -> Path:
        """The path without list numbers where one text stands for a list of one."""
        node: Any = self.tree
        kept: list[str | int] = []
        for step in path:
            if isinstance(step, int) and not isinstance(node, list):
                continue
            kept.append(step)
            node = _child(node, step)
        return tuple(kept)

    def _place(self, path: Path) -> tuple[int, int] | tuple[None, None]:
        for length in range(len(path), -1, -1):
            if place := self.places.get(path[:length]):
                return place
        return None, None


def place_of(path: Path) -> str:
    """A path as people write it: ``earn.base.give.points``, ``caps[0].per``."""
    place = ""
    for step in path:
        if isinstance(step, int):
            place += f"[{step}]"
        else:
            place += f".{step}" if place else step
    return place


def read_source(text: str) -> Source:
    """Reads YAML or JSON. Mistakes that leave a tree to go on with are collected in it.

    Raises:
        ProgramMistakes: no tree can be made of it.
    """
    if len(text) > MAX_CHARACTERS:
        raise _hopeless(f"it has {len(text)} characters", f"Keep to {MAX_CHARACTERS}")
    try:
        return _read_json(text) if text.lstrip().startswith("{") else _read_yaml(text)
    except RecursionError:
        raise _hopeless("it is nested too deeply", "Nest as deeply as the schema does") from None


def _read_json(text: str) -> Source:
    try:
        pairs = json.loads(
            text, object_pairs_hook=_Pairs, parse_int=str, parse_float=str, parse_constant=str
        )
    except json.JSONDecodeError:
        return _read_yaml(text)  # a flow mapping of YAML begins with a brace as well
    source = Source({})
    tree = _from_json(source, (), pairs)
    assert isinstance(tree, dict)
    source.tree = tree
    return source


class _Pairs(list[tuple[str, Any]]):
    """A JSON object before its keys are known to differ."""


def _from_json(source: Source, path: Path, value: Any) -> Tree:
    if isinstance(value, _Pairs):
        tree: dict[str, Tree] = {}
        for key, inner in value:
            if _is_good_key(source, path, key, tree, None):
                tree[key] = _from_json(source, (*path, key), inner)
        return tree
    if isinstance(value, list):
        return [_from_json(source, (*path, i), inner) for i, inner in enumerate(value)]
    return value if isinstance(value, str) else json.dumps(value)


def _read_yaml(text: str) -> Source:
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        raise _not_yaml(error) from None
    except yaml.YAMLError as error:
        raise _hopeless(f"it is not YAML: {error}", "Remove what is not text") from None
    if not isinstance(root, yaml.MappingNode):
        raise _hopeless("it is not a mapping of keys to values", _WRITE_ONE)
    source = Source({})
    source.places[()] = _mark(root)
    tree = _from_node(source, (), root, set())
    assert isinstance(tree, dict)
    source.tree = tree
    return source


def _from_node(source: Source, path: Path, node: yaml.Node, seen: set[int]) -> Tree:
    if not isinstance(node, yaml.ScalarNode) and id(node) in seen:
        source.mistakes.append(
            source.mistake(path, "it repeats another part by reference", "Write it out in full")
        )
        return ""
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        tree: dict[str, Tree] = {}
        for key, inner in _entries(source, path, node, tree):
            tree[key] = _from_node(source, (*path, key), inner, seen)
        return tree
    if isinstance(node, yaml.SequenceNode):
        items: list[Tree] = []
        for index, inner in enumerate(node.value):
            source.places[(*path, index)] = _mark(inner)
            items.append(_from_node(source, (*path, index), inner, seen))
        return items
    return str(node.value)


def _entries(
    source: Source, path: Path, node: yaml.MappingNode, tree: dict[str, Tree]
) -> Iterator[tuple[str, yaml.Node]]:
    for key_node, inner in node.value:
        key = key_node.value
        if not isinstance(key, str):
            line, column = _mark(key_node)
            reason = "a key is a list or a mapping"
            mistake = Mistake(place_of(path), reason, "Name it with one word", line, column)
            source.mistakes.append(mistake)
        elif _is_good_key(source, path, key, tree, _mark(key_node)):
            source.places[(*path, key)] = _mark(key_node)
            yield key, inner


def _is_good_key(
    source: Source, path: Path, key: str, tree: dict[str, Tree], at: tuple[int, int] | None
) -> bool:
    reason = ""
    if key in tree:
        reason, remedy = "the key is there twice", "Keep one of the two"
    elif key.lower() in _MISTAKEN_KEYS:
        reason = f"{key!r} is no good key: YAML readers take it for something else"
        remedy = "Choose another name"
    if reason:
        line, column = at or (None, None)
        source.mistakes.append(Mistake(place_of((*path, key)), reason, remedy, line, column))
    return not reason


def _child(node: Any, step: str | int) -> Any:
    if isinstance(node, dict):
        return node.get(step)
    if isinstance(node, list) and isinstance(step, int) and step < len(node):
        return node[step]
    return None


def _mark(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _hopeless(reason: str, remedy: str) -> ProgramMistakes:
    return ProgramMistakes([Mistake("", reason, remedy)])


def _not_yaml(error: yaml.MarkedYAMLError) -> ProgramMistakes:
    mark = error.problem_mark or error.context_mark
    told = ", ".join(part for part in (error.context, error.problem) if part)
    line, column = (mark.line + 1, mark.column + 1) if mark else (None, None)
    return ProgramMistakes(
        [
            Mistake(
                "", f"it is not YAML: {told}", "Mind indentation, quotes and colons", line, column
            )
        ]
    )
