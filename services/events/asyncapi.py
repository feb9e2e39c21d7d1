"""The AsyncAPI 3.0 document: every topic with its owner, key, partitioning, retention, messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from services.events import topics
from services.events.outgoing import PUBLISHED
from services.loyalty.application.contract import INCOMING

_DRAFT_07 = "application/schema+json;version=draft-07"
_BINDING = "0.5.0"
_MEMBER_KEY = "The member id, UTF-8. It decides the partition."

_ABOUT = """\
What this service reads from Kafka and what it publishes there.

Values are CloudEvents 1.0 in structured JSON. Every topic of members is keyed by the member id and
partitioned by murmur2, as Kafka's own clients do (with librdkafka: `partitioner=murmur2_random`).
All topics of members have the same number of partitions. What is decided never depends on that;
only the order across topics does.

Producers repeat an event with the same `source` and `id` as often as they like: it counts once.
The same pair with other content is refused. Consumers read `read_committed`, take the fields they
know, and find a member's events in the order in which they happened; no event id comes twice.
"""


@dataclass(frozen=True, slots=True)
class Channel:
    """A topic in the document: who writes it (``owner``), and what its messages are keyed by."""

    name: str
    owner: str
    says: str
    key: str = _MEMBER_KEY
    incoming: bool = False


CHANNELS: dict[str, Channel] = {
    topics.PURCHASES: Channel(
        "purchases", "the shop", "Orders, and what becomes of them.", incoming=True
    ),
    topics.ENGAGEMENTS: Channel(
        "engagements",
        "whoever sees members do something",
        "What members do beside buying.",
        incoming=True,
    ),
    topics.MEMBERS: Channel(
        "members", "the customer system", "Who the members are.", incoming=True
    ),
    topics.EVENTS: Channel(
        "events", "this service", "All that happens to a member, in the order it happened."
    ),
    topics.DEAD_LETTERS: Channel(
        "deadLetters",
        "this service",
        "Messages refused for good: why, where, how large; never what they said.",
        key="Topic and partition of the message.",
    ),
    topics.CHECKPOINTS: Channel(
        "checkpoints",
        "this service",
        "Signed roots over the chains of all members: keep them where the service cannot write.",
        key="One constant key.",
    ),
    topics.DERIVED: Channel(
        "derived",
        "this service, for itself",
        "What one account sends to another. Internal: nobody else writes or relies on it.",
        key="The account that it is for.",
    ),
    topics.RELAY: Channel(
        "relay",
        "this service, for itself",
        "How far the relay has published. Internal: nobody else writes or relies on it.",
        key="One constant key.",
    ),
}
"""What the document says of each topic."""


def document(examples: Mapping[str, object]) -> str:
    """The document as YAML, with an example of each event."""
    told = {
        "asyncapi": "3.0.0",
        "info": {"title": "Loyalty", "version": "1.0.0", "description": _ABOUT},
        "defaultContentType": "application/cloudevents+json",
        "channels": {CHANNELS[topic.name].name: _channel(topic) for topic in topics.TOPICS},
        "operations": _operations(),
        "components": {
            "messages": {_name(kind): _message(kind, examples) for kind in _topics_by_type()}
        },
    }
    text: str = yaml.dump(told, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=100)
    return text


class _Plain(yaml.SafeDumper):
    """Writes out what occurs twice, and texts of several lines as they are."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_str(self, data: str) -> yaml.ScalarNode:
        style = "|" if "\n" in data else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)


_Plain.add_representer(str, _Plain.represent_str)


def _channel(topic: topics.Topic) -> dict[str, Any]:
    channel = CHANNELS[topic.name]
    kinds = [kind for kind, published_on in _topics_by_type().items() if published_on == topic.name]
    return {
        "address": topic.name,
        "description": channel.says,
        "messages": {
            _name(kind): {"$ref": f"#/components/messages/{_name(kind)}"} for kind in kinds
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "topicConfiguration": _configuration(topic),
                "bindingVersion": _BINDING,
            }
        },
        "x-owner": channel.owner,
        "x-key": channel.key,
        "x-partitioning": "murmur2 of the key" if topic.partitioned else "one partition",
    }


def _configuration(topic: topics.Topic) -> dict[str, Any]:
    """As ``ensure_topics`` makes it where it is missing."""
    configs = topic.configs
    numbers = {name: int(text) for name, text in configs.items() if name.startswith("retention.")}
    return {"cleanup.policy": [configs.get("cleanup.policy", "delete")], **numbers}


def _operations() -> dict[str, Any]:
    return {
        f"{'read' if channel.incoming else 'publish'}{channel.name[0].upper()}{channel.name[1:]}": {
            "action": "receive" if channel.incoming else "send",
            "channel": {"$ref": f"#/channels/{channel.name}"},
        }
        for channel in CHANNELS.values()
    }


def _message(kind: str, examples: Mapping[str, object]) -> dict[str, Any]:
    topic = _topics_by_type()[kind]
    message: dict[str, Any] = {
        "name": kind,
        "title": kind,
        "payload": {"schemaFormat": _DRAFT_07, "schema": {"$ref": f"./schemas/{kind}.json"}},
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": CHANNELS[topic].key},
                "bindingVersion": _BINDING,
            }
        },
    }
    if kind in examples:
        message["examples"] = [{"payload": examples[kind]}]
    if kind == topics.DERIVED:
        message["contentType"] = "application/json"
    return message


def _topics_by_type() -> dict[str, str]:
    """The topic of every message, by its type."""
    read = {kind: _TOPIC_OF_SUBJECT[kind.split(".")[1]] for kind in INCOMING}
    written = {kind: told.topic for kind, told in PUBLISHED.items()}
    return read | written | {topics.DERIVED: topics.DERIVED}


_TOPIC_OF_SUBJECT = {
    "purchase": topics.PURCHASES,
    "engagement": topics.ENGAGEMENTS,
    "member": topics.MEMBERS,
}


def _name(kind: str) -> str:
    """A type as a component's name: ``loyalty.tier.changed.v1`` is ``loyaltyTierChangedV1``."""
    first, *rest = kind.replace("-", ".").split(".")
    return first + "".join(part.capitalize() for part in rest)
