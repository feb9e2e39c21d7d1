"""What pydantic found wrong with a document, in the words of the document."""

from __future__ import annotations

import re
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from services.loyalty.domain.mistakes import Misread, Mistake, one_of
from services.loyalty.domain.sections import (
    BoostSection,
    BoostsSection,
    CapSection,
    Document,
    Section,
)
from services.loyalty.domain.source import Path, Source

_KINDS = {"dict_type": "a mapping", "model_type": "a mapping", "list_type": "a list"}
_QUOTED = re.compile(r"'([^']*)'")


def path_of(details: ErrorDetails) -> Path:
    """Where it is in the document; pydantic marks an error in a key itself by ``[key]``."""
    return tuple(step for step in details["loc"] if step != "[key]")


def explained(source: Source, details: ErrorDetails) -> Mistake:
    """One of pydantic's errors as a mistake with its place, reason and remedy."""
    path = path_of(details)
    return source.mistake(path, *_reason_and_remedy(source, path, details))


def _reason_and_remedy(source: Source, path: Path, details: ErrorDetails) -> tuple[str, str]:
    section, field = _at(path)
    kind = details["type"]
    if kind == "extra_forbidden" or _is_no_currency(source, section, path):
        known = _keys(section)
        if section in (BoostSection, CapSection):
            known |= source.names("currencies")
        return "there is no such key here", one_of(known, str(path[-1]))
    if kind == "missing":
        return "it is missing", "Add it" + _example(path, field)
    if kind == "literal_error":
        return _not_one_of(details)
    if kind in _KINDS:
        return _other_kind(section, path, field, details)
    if kind == "too_short":
        return "it is empty", "Write at least one, or leave it out"
    misread = details.get("ctx", {}).get("error")
    assert isinstance(misread, Misread), details
    return misread.reason, misread.remedy


def _is_no_currency(source: Source, section: type[Section] | None, path: Path) -> bool:
    """Whether it is a key of a boost or cap that is neither known nor a currency."""
    if section not in (BoostSection, CapSection):
        return False
    return path[-1] not in _keys(section) and path[-1] not in source.names("currencies")


def _not_one_of(details: ErrorDetails) -> tuple[str, str]:
    given = details["input"]
    shown = repr(given) if isinstance(given, str) else _kind_of(given)
    expected = _QUOTED.findall(details["ctx"]["expected"])
    return f"{shown} is not one of {', '.join(expected)}", one_of(expected, str(given))


def _other_kind(
    section: type[Section] | None, path: Path, field: FieldInfo | None, details: ErrorDetails
) -> tuple[str, str]:
    reason = f"{_kind_of(details['input'])} stands where {_KINDS[details['type']]} is expected"
    remedy = one_of(_keys(section), str(path[-1]))
    if field is None and remedy.startswith("Perhaps"):
        return reason, remedy
    return reason, "Write it" + (_example(path, field) or " as a mapping of keys to values")


def _kind_of(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else "text"


def _example(path: Path, field: FieldInfo | None) -> str:
    if field is None or not field.examples:
        return ""
    return f", as in {path[-1]}: {_flow(field.examples[0])}"


def _flow(value: Any) -> str:
    """A value as one would write it on one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    return "[" + ", ".join(map(_flow, value)) + "]" if isinstance(value, list) else str(value)


# The schema, walked -------------------------------------------------------------------------------


_NAMED_IN: dict[type[Section] | None, type[Section]] = {BoostsSection: BoostSection}
"""What the other keys of a section name, where it has keys of its own as well."""


def _keys(section: type[Section] | None) -> set[str]:
    if section is None:
        return set()
    return {field.alias or name for name, field in section.model_fields.items()}


def _at(path: Path) -> tuple[type[Section] | None, FieldInfo | None]:
    """The section that holds the last key of a path, and its field, as far as there are any."""
    section: type[Section] | None = Document
    field: FieldInfo | None = None
    names_next = False
    held: type[Section] | None = Document
    for step in path:
        if isinstance(step, int):
            continue
        if names_next:  # a name that the programme gives, such as that of a rule
            section, field, names_next = None, None, False
            continue
        section = held
        field = _field(section, step)
        annotation = field.annotation if field else _NAMED_IN.get(section)
        held = _section_in(annotation)
        names_next = field is not None and _is_mapping(annotation)
    return section, field


def _field(section: type[Section] | None, key: str) -> FieldInfo | None:
    for name, field in section.model_fields.items() if section else ():
        if key == (field.alias or name):
            return field
    return None


def _section_in(annotation: Any) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for inner in get_args(annotation):
        if (found := _section_in(inner)) is not None:
            return found
    return None


def _is_mapping(annotation: Any) -> bool:
    return get_origin(annotation) is dict or any(map(_is_mapping, get_args(annotation)))
