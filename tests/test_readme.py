"""What the documents say is so: commands parse, paths exist, tables are current, examples fit."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from services import cli
from services.loyalty.domain.document import read_document
from tests.documents import DOCUMENTS, ROOT, SCHEMA, parts, sections, written

PROGRAMME = ROOT / "docs/programme.md"
GIFT_SHOP = ROOT / "contracts/programs/gift-shop.yaml"

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)#]+)\)")
_TOP = {path.name for path in ROOT.iterdir()} - {".venv", "build"}


def blocks(file: Path, language: str) -> list[str]:
    return [text for _, found, text in _BLOCK.findall(file.read_text()) if found == language]


def prose(file: Path) -> str:
    return _BLOCK.sub("", file.read_text())


def typed(file: Path) -> Iterator[list[str]]:
    """Every `loyalty` and `make` command of a document, as words."""
    lines = [line for block in blocks(file, "sh") for line in block.replace("\\\n", "").split("\n")]
    lines += _INLINE.findall(prose(file))
    for line in lines:
        found = re.match(r"(?:\s*[A-Z_]+=\S+ )*\s*((?:loyalty|make) .*)", line)
        if found:
            yield shlex.split(re.split(r"\s[|>&]|\s&&", found[1])[0], comments=True)


def named_paths(file: Path) -> Iterator[str]:
    """Every file and directory of this repository that a document names."""
    for code in _INLINE.findall(prose(file)):
        if re.fullmatch(r"[\w./-]+", code) and code.split("/")[0] in _TOP:
            yield code
    for link in _LINK.findall(prose(file)):
        if "://" not in link:
            yield str((file.parent / link).resolve().relative_to(ROOT))


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_what_follows_from_the_code_is_current(file: Path) -> None:
    """`python -m tests.documents` makes it so."""
    assert file.read_text() == written(file.read_text())


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_every_command_that_is_named_can_be_typed(file: Path) -> None:
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for program, *arguments in typed(file):
        if program == "make":
            assert arguments[0] in [*targets, ".venv/.ready"], arguments
        else:
            cli.parser().parse_args(arguments)


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_every_path_that_is_named_exists(file: Path) -> None:
    missing = [path for path in named_paths(file) if not (ROOT / path).exists()]
    assert not missing


def test_the_readme_names_commands_and_paths() -> None:
    readme = ROOT / "README.md"
    assert ["make", "demo"] in list(typed(readme))
    assert ["loyalty", "migrate"] in list(typed(readme))
    assert "contracts/programs/gift-shop.yaml" in set(named_paths(readme))
    assert {"settings", "exit codes"} == set(parts(readme.read_text()))


def test_the_tree_of_the_readme_stands() -> None:
    [tree] = [text for text in blocks(ROOT / "README.md", "text") if text.startswith("services/")]
    above: list[str] = []
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.split(r"\s{2,}", line.strip())[0]
        for name in names.split(", "):
            path = ROOT.joinpath(*above[:depth], name)
            assert path.exists(), path
        above[depth:] = [names]


def test_the_reference_has_every_key_of_the_programme() -> None:
    told = set(parts(PROGRAMME.read_text()))
    earn, boost = (SCHEMA["$defs"][name]["properties"] for name in ("EarnSection", "BoostSection"))
    assert {name for name, _ in sections()} - told == {"BoostSection"}
    assert all(earn[key] == schema for key, schema in boost.items())
    listed = PROGRAMME.read_text().partition("## Boosts")[2].partition("```")[0]
    assert set(_INLINE.findall(listed)) == set(boost)


def test_every_example_of_a_key_fits_its_schema() -> None:
    for name, section in sections():
        for key, schema in section.get("properties", {}).items():
            checks = Draft202012Validator({**schema, "$defs": SCHEMA["$defs"]})
            for example in schema["examples"]:
                assert not list(checks.iter_errors(example)), (name, key, example)


@pytest.mark.parametrize("fragment", blocks(PROGRAMME, "yaml"), ids=lambda text: text.split(":")[0])
def test_every_example_of_the_reference_is_read(fragment: str) -> None:
    """Put into the gift shop's programme, in the place of what it says there."""
    shop: dict[str, Any] = yaml.load(GIFT_SHOP.read_text(), yaml.BaseLoader)  # noqa: S506  text only
    shown: dict[str, Any] = yaml.load(fragment, yaml.BaseLoader)  # noqa: S506  text only
    for key, section in shown.items():
        merges = isinstance(section, dict) and key in ("earn", "rewards")
        shop[key] = {**shop[key], **section} if merges else section
    if "tiers" in shown and "benefits" not in shown:
        del shop["benefits"]  # of the shop's own levels
    read_document(json.dumps(shop))
