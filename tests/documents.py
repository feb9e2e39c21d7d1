"""The parts of the documents that follow from the code; `python -m tests.documents` writes them.

Such a part stands between `<!-- from the code: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from services.failures import ENDINGS
from services.loyalty.application.api_keys import SCOPES
from services.loyalty.application.opening_columns import FILES, Column
from services.loyalty.domain.conditions import LINE_FIELDS, NEUTRAL
from services.settings import settings_table

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "contracts/README.md", *ROOT.glob("docs/*.md")])
SCHEMA: dict[str, Any] = json.loads((ROOT / "contracts/program.schema.json").read_text())

_PART = re.compile(r"(<!-- from the code: (.+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
_SPECIAL = set(",[]{}#\"'")


def written(document: str) -> str:
    """A document with every such part as the code has it now."""
    return _PART.sub(lambda found: f"{found[1]}{_part(found[2])}\n{found[4]}", document)


def parts(document: str) -> list[str]:
    """The names of its parts."""
    return [found[2] for found in _PART.finditer(document)]


def _part(name: str) -> str:
    if name in _PARTS:
        return _PARTS[name]()
    return _keys(SCHEMA if name == "Document" else SCHEMA["$defs"][name])


def _table(*rows: tuple[str, ...]) -> str:
    first, *others = rows
    lines = [first, tuple("---" for _ in first), *others]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _endings() -> str:
    meanings = [("`0`", "done, or stopped as asked")]
    meanings += [(f"`{each.code}`", each.meaning) for each in ENDINGS]
    return _table(("exit code", "meaning"), *meanings)


def _scopes() -> str:
    return _table(
        ("scope", "lets its holder"), *((f"`{name}`", what) for name, what in SCOPES.items())
    )


def _variables() -> str:
    line = {f"l.{name}": neutral for name, neutral in LINE_FIELDS.items()}
    return _table(
        ("variable", "type"),
        *((f"`{name}`", _kind(name, neutral)) for name, neutral in {**NEUTRAL, **line}.items()),
    )


def _kind(name: str, neutral: object) -> str:
    if isinstance(neutral, list):
        return "list of lines `l`" if name == "order.lines" else "list of text"
    return "text" if isinstance(neutral, str) else "whole number"


def _columns(columns: Mapping[str, Column]) -> str:
    return _table(
        ("column", "", "example", "meaning"),
        *(
            (f"`{name}`", "required" if each.required else "", f"`{each.example}`", each.says)
            for name, each in columns.items()
        ),
    )


_PARTS: dict[str, Callable[[], str]] = {
    f"columns of {file}": partial(_columns, columns) for file, columns in FILES.items()
} | {
    "settings": settings_table,
    "exit codes": _endings,
    "scopes": _scopes,
    "variables of conditions": _variables,
}


# The keys of the programme ------------------------------------------------------------------------


def _keys(section: Mapping[str, Any]) -> str:
    required = section.get("required", ())
    rows = [
        (
            f"`{key}`",
            "required" if key in required else _default(schema),
            f"`{_cell(_flow(schema['examples'][0], nested=False))}`",
            _cell(schema["description"]) + _see(schema),
        )
        for key, schema in section["properties"].items()
    ]
    return _table(("key", "default", "example", "meaning"), *rows)


def _default(schema: Mapping[str, Any]) -> str:
    if "default" not in schema or schema["default"] in ({}, []):
        return ""
    return f"`{_flow(schema['default'], nested=False)}`"


def _see(schema: Mapping[str, Any]) -> str:
    """Where the keys of the section below stand, for a key that holds one or several."""
    below = re.findall(r"#/\$defs/(\w+)", json.dumps(schema))
    return "".join(f" ([keys](#{anchor(name)}))" for name in dict.fromkeys(below))


def anchor(section: str) -> str:
    """The place in the document where the keys of a section stand."""
    return "keys-" + re.sub(r"(?<!^)([A-Z])", r"-\1", section.removesuffix("Section")).lower()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _flow(example: object, *, nested: bool) -> str:
    """An example as it stands in a YAML document, on one line."""
    if isinstance(example, dict):
        inside = (f"{key}: {_flow(each, nested=True)}" for key, each in example.items())
        return "{" + ", ".join(inside) + "}"
    if isinstance(example, list):
        return "[" + ", ".join(_flow(each, nested=True) for each in example) + "]"
    text = str(example)
    return json.dumps(text) if nested and _SPECIAL & set(text) else text


def sections() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every section of the programme, by the name of its part."""
    yield "Document", SCHEMA
    yield from SCHEMA["$defs"].items()


def main() -> int:
    for file in DOCUMENTS:
        text = file.read_text()
        if (now := written(text)) != text:
            file.write_text(now)
            print(f"written: {file.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
