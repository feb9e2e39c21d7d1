"""What others build against says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jsonschema import Draft7Validator

from services.events import contracts
from services.events.asyncapi import CHANNELS
from services.events.codec import EventId, derived_bytes, parse_event_id
from services.events.outgoing import PUBLISHED
from services.events.topics import TOPICS
from services.loyalty.application.contract import INCOMING
from services.loyalty.application.intake import read_event
from services.loyalty.application.refusal import CODES
from services.loyalty.domain import activity
from services.loyalty.domain.calendar import Instant
from services.loyalty.domain.checkpoint import Checkpoint, is_signed_by

DIRECTORY = contracts.DIRECTORY
SERVICES = DIRECTORY.parent / "services"
SUMMER_2011: Instant = 1_307_000_000_000_000
RFC_8032_SECRET_KEY = bytes.fromhex(
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
)
"""Of the first test vector in section 7.1: a key that everybody knows."""
EVERY_TYPE = [*INCOMING, *PUBLISHED]


def example(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((DIRECTORY / "examples" / f"{name}.json").read_text("utf-8"))
    return event


def schema(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((DIRECTORY / "schemas" / f"{name}.json").read_text("utf-8"))
    return read


def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((DIRECTORY / "asyncapi.yaml").read_text("utf-8"))
    return document


def references(node: object) -> list[str]:
    if isinstance(node, dict):
        found = [node["$ref"]] if "$ref" in node else []
        return found + [ref for value in node.values() for ref in references(value)]
    return [ref for item in node for ref in references(item)] if isinstance(node, list) else []


def test_the_written_contracts_are_those_that_the_code_makes() -> None:
    for path, text in contracts.generated().items():
        written = (DIRECTORY / path).read_text("utf-8")
        assert written == text, f"{path}: run python -m services.events.contracts"


def test_nothing_lies_among_the_schemas_and_examples_that_no_code_knows() -> None:
    generated = contracts.generated()
    known = set(generated) | {f"examples/{name}.json" for name in INCOMING}
    found = {
        str(path.relative_to(DIRECTORY))
        for folder in ("schemas", "examples")
        for path in (DIRECTORY / folder).iterdir()
    }
    assert found <= known


@pytest.mark.parametrize("name", EVERY_TYPE)
def test_every_event_has_an_example_that_its_schema_allows(name: str) -> None:
    Draft7Validator.check_schema(schema(name))
    Draft7Validator(schema(name)).validate(example(name))


@pytest.mark.parametrize("name", INCOMING)
def test_every_incoming_example_is_read_without_a_question(name: str) -> None:
    event = example(name)
    key = event["data"]["member_id"].encode()
    incoming = read_event(json.dumps(event).encode(), now=SUMMER_2011, key=key)
    assert incoming.activity.id == event["id"]
    body = incoming.activity.body
    assert activity.decode_body(activity.encode_body(body)) == body


@pytest.mark.parametrize("name", INCOMING)
def test_incoming_examples_show_every_field_of_their_data(name: str) -> None:
    shape = INCOMING[name]
    shown = set(example(name)["data"])
    missing = set(shape.__struct_fields__) - shown
    assert missing <= ({"born_on"} if name == "commerce.member.updated.v1" else set())


@pytest.mark.parametrize("name", PUBLISHED)
def test_ids_of_outgoing_examples_say_where_they_were_decided(name: str) -> None:
    event = example(name)
    assert str(parse_event_id(event["id"])) == event["id"]
    assert parse_event_id(event["id"]).member == event["subject"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_consumers_are_told_that_more_fields_may_come(name: str) -> None:
    event = example(name)
    event["data"]["added_later"] = 1
    event["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    Draft7Validator(schema(name)).validate(event)


def test_every_event_that_the_code_publishes_is_described() -> None:
    literal = re.compile(r'"(loyalty\.[a-z-]+(?:\.[a-z-]+)?\.v1)"')
    published = {
        name for path in SERVICES.rglob("*.py") for name in literal.findall(path.read_text("utf-8"))
    }
    assert published == set(PUBLISHED)


def test_a_derived_message_is_as_its_schema_says() -> None:
    body = activity.encode_body(activity.TransferReturned("t-1", "13047", "points", []))
    raw = derived_bytes(EventId(1, "17850", 41, 2), 7, "13047", SUMMER_2011, body.decode())
    Draft7Validator(schema("loyalty.derived")).validate(json.loads(raw))


def test_the_example_of_a_checkpoint_is_signed_as_its_schema_says() -> None:
    signer = Ed25519PrivateKey.from_private_bytes(RFC_8032_SECRET_KEY)
    checkpoint = msgspec.convert(example("loyalty.checkpoint.made.v1")["data"], Checkpoint)
    assert is_signed_by(checkpoint, signer.public_key())
    assert set(PUBLISHED["loyalty.checkpoint.made.v1"].fields) == set(Checkpoint.__struct_fields__)


def test_every_topic_is_described_with_owner_key_and_retention() -> None:
    channels = asyncapi()["channels"]
    assert [channel["address"] for channel in channels.values()] == [topic.name for topic in TOPICS]
    assert set(CHANNELS) == {topic.name for topic in TOPICS}
    for channel in channels.values():
        assert channel["x-owner"]
        assert channel["x-key"]
        assert channel["x-partitioning"]
        assert channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = asyncapi()
    found = references(document)
    assert found
    for ref in found:
        path, _, pointer = ref.partition("#")
        if path:
            assert (DIRECTORY / path).is_file(), ref
            continue
        node: Any = document
        for part in pointer.strip("/").split("/"):
            node = node[part]


def test_every_event_stands_in_exactly_one_channel_with_its_example() -> None:
    document = asyncapi()
    messages = document["components"]["messages"]
    placed = [name for channel in document["channels"].values() for name in channel["messages"]]
    assert sorted(placed) == sorted(messages)
    told = {message["name"]: message for message in messages.values()}
    assert set(told) == {*EVERY_TYPE, "loyalty.derived"}
    for name in EVERY_TYPE:
        assert told[name]["examples"] == [{"payload": example(name)}]


def test_the_readme_of_the_contracts_names_every_reason_to_refuse_a_message() -> None:
    readme = Path(DIRECTORY / "README.md").read_text("utf-8")
    for code, meaning in CODES.items():
        assert f"| `{code}` | {meaning} |" in readme
