"""``contracts/``: schemas, examples and AsyncAPI, made of what the code itself reads and writes.

``python -m services.events.contracts [DIRECTORY]`` writes them; a test compares. Incoming schemas
come from the shapes that intake decodes, outgoing ones from :mod:`services.events.outgoing`.
Examples of incoming events are kept by hand in ``contracts/examples``, those of outgoing ones are
written here.
"""

from __future__ import annotations

import json
import sys
from inspect import cleandoc
from pathlib import Path
from typing import Any, Protocol

import msgspec

from services.events.asyncapi import document
from services.events.codec import VOIDED, Derived, EventId, event_bytes
from services.events.outgoing import PUBLISHED, Published, data_schema
from services.events.topics import CHECKPOINTS, DEAD_LETTERS
from services.loyalty.application.contract import INCOMING
from services.loyalty.domain.bookreport import Report
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.checkpoint import KEY
from services.loyalty.domain.proof import Proof

DRAFT = "http://json-schema.org/draft-07/schema#"
DIRECTORY = Path(__file__).parents[2] / "contracts"

_DEFINITION = "#/definitions/{name}"
_EXAMPLE_AT: Instant = 1_291_191_960_000_000  # 2010-12-01T08:26:00Z
_SUBJECTS = {DEAD_LETTERS: "Place of the message.", CHECKPOINTS: "Always the same."}
_DERIVED_NAME = "loyalty.derived"
_PROOF_NAME = "loyalty.proof"
_BOOKS_NAME = "loyalty.books"


class _Sink(Protocol):
    def write(self, text: str, /) -> object: ...


def generated(directory: Path = DIRECTORY) -> dict[str, str]:
    """The text of every generated file, by its path below ``directory``, whose hand-kept examples
    are read.
    """
    files = {f"schemas/{name}.json": _pretty(schema) for name, schema in schemas().items()}
    examples = {name: example(name, told) for name, told in PUBLISHED.items()}
    files |= {f"examples/{name}.json": _pretty(event) for name, event in examples.items()}
    for name in INCOMING:
        examples[name] = json.loads((directory / "examples" / f"{name}.json").read_text("utf-8"))
    files["asyncapi.yaml"] = document(examples)
    return files


def schemas() -> dict[str, dict[str, Any]]:
    """A self-contained JSON Schema (draft 7) of every message, by its name."""
    _, definitions = msgspec.json.schema_components(
        [*INCOMING.values(), Derived, Proof, Report], ref_template=_DEFINITION
    )
    made = {name: _incoming(name, shape.__name__, definitions) for name, shape in INCOMING.items()}
    made |= {name: _outgoing(name, told) for name, told in PUBLISHED.items()}
    made[_DERIVED_NAME] = _headed(_DERIVED_NAME, definitions["Derived"])
    made[_PROOF_NAME] = _headed(
        _PROOF_NAME,
        definitions["Proof"] | {"definitions": {"Checkpoint": definitions["Checkpoint"]}},
    )
    made[_BOOKS_NAME] = _headed(
        _BOOKS_NAME,
        definitions["Report"]
        | {"definitions": {part: definitions[part] for part in _needed("Report", definitions)[1:]}},
    )
    return made


def example(name: str, told: Published) -> dict[str, Any]:
    """An outgoing event as it is published."""
    origin = EventId(1, "17850", 41, 0)
    if told.topic == DEAD_LETTERS:
        place = f"{told.example['topic']}/{told.example['partition']}"
        origin = EventId(1, place, told.example["offset"], 0)
    if told.topic == CHECKPOINTS:
        origin = EventId(1, KEY, told.example["number"], 0)
    if name == VOIDED:  # the next incarnation says it of the one that ended
        ended = told.example["incarnation"]
        origin = EventId(ended + 1, "17850", told.example["after_seq"], -1)
    event: dict[str, Any] = json.loads(
        event_bytes(origin, name, _EXAMPLE_AT, json.dumps(told.example))
    )
    return event


def write(directory: Path, out: _Sink) -> None:
    """Writes all generated files below a directory and says which ones changed."""
    for path, text in generated(directory).items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text("utf-8") != text:
            file.write_text(text, "utf-8")
            out.write(f"{path}\n")


def _incoming(name: str, shape: str, definitions: dict[str, Any]) -> dict[str, Any]:
    data = definitions[shape]
    return _headed(
        name,
        {
            "description": data["description"],
            **_envelope(name, {"$ref": _DEFINITION.format(name=shape)}),
            "definitions": {part: definitions[part] for part in _needed(shape, definitions)},
        },
    )


def _needed(shape: str, definitions: dict[str, Any]) -> list[str]:
    """A definition and all that it refers to."""
    needed, looked_at = [shape], 0
    while looked_at < len(needed):
        text = json.dumps(definitions[needed[looked_at]])
        needed += [
            other
            for other in definitions
            if f'"{_DEFINITION.format(name=other)}"' in text and other not in needed
        ]
        looked_at += 1
    return needed


def _outgoing(name: str, told: Published) -> dict[str, Any]:
    whose = _SUBJECTS.get(told.topic, "The member.")
    envelope = _envelope(name, data_schema(told))
    envelope["properties"]["subject"] = {"type": "string", "description": whose}
    envelope["properties"]["id"] |= {
        "pattern": "^[0-9]+/.+/[0-9]+/-?[0-9]+$",
        "description": "`incarnation/member/seq/n`. A member's (seq, n) rises from event to event.",
    }
    envelope["required"].append("subject")
    return _headed(name, {"description": told.says, **envelope})


def _envelope(name: str, data: dict[str, Any]) -> dict[str, Any]:
    """A CloudEvent 1.0 of one type. Extension attributes may come along."""
    name_part = {"type": "string", "minLength": 1, "maxLength": 256}
    return {
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time", "data"],
        "properties": {
            "specversion": {"const": "1.0"},
            "id": name_part | {"description": "With `source` it names the event for ever."},
            "source": name_part | {"description": "Who says it."},
            "type": {"const": name},
            "subject": {"type": "string", "description": "Not looked at."},
            "time": {
                "type": "string",
                "format": "date-time",
                "description": "When it happened, with an offset from UTC.",
            },
            "datacontenttype": {"type": "string", "default": "application/json"},
            "data": data,
        },
    }


def _headed(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    description = cleandoc(schema["description"])
    head = {"$schema": DRAFT, "$id": f"urn:loyalty:{name}", "title": name}
    return head | schema | {"title": name, "description": description}


def _pretty(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else DIRECTORY, sys.stdout)
