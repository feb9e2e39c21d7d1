"""The topics: their names, what we read, and how they are made where they are missing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from services.events.broker import Kafka, started
from services.events.halt import BrokerUnavailable

PURCHASES = "commerce.purchases"
ENGAGEMENTS = "commerce.engagements"
MEMBERS = "commerce.members"
DERIVED = "loyalty.derived"
EVENTS = "loyalty.events"
DEAD_LETTERS = "loyalty.dead-letters"
CHECKPOINTS = "loyalty.checkpoints"
RELAY = "loyalty.relay"

INPUTS = (PURCHASES, ENGAGEMENTS, MEMBERS, DERIVED)
"""What workers read, all with equally many partitions: one lane reads all of a member."""

_FOR_EVER = {"retention.ms": "-1", "retention.bytes": "-1"}
_COMPACTED = {"cleanup.policy": "compact", "segment.ms": str(24 * 3600 * 1000)}
_DAYS_30 = {"retention.ms": str(30 * 24 * 3600 * 1000)}


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic. ``partitioned`` ones are keyed by member; the deployment says how many they have."""

    name: str
    partitioned: bool = True
    configs: Mapping[str, str] = field(default_factory=dict)

    def partitions(self, count: int) -> int:
        return count if self.partitioned else 1


TOPICS = (
    Topic(PURCHASES, configs=_DAYS_30),
    Topic(ENGAGEMENTS, configs=_DAYS_30),
    Topic(MEMBERS, configs=_DAYS_30),
    Topic(DERIVED, configs=_FOR_EVER),
    Topic(EVENTS, configs=_DAYS_30),
    Topic(DEAD_LETTERS, partitioned=False, configs=_DAYS_30),
    Topic(CHECKPOINTS, partitioned=False, configs=_FOR_EVER),
    Topic(RELAY, partitioned=False, configs=_COMPACTED),
)


def partition_counts(partitions: int) -> dict[str, int]:
    """Every topic with its number of partitions, where member topics have ``partitions``."""
    return {topic.name: topic.partitions(partitions) for topic in TOPICS}


async def ensure_topics(kafka: Kafka, *, partitions: int, replication: int) -> list[str]:
    """Creates the topics that are missing and answers their names; existing ones stay as they are.

    Raises:
        BrokerUnavailable: Kafka cannot be reached, or refuses to create one.
    """
    async with started(kafka, kafka.admin()) as admin:
        present = set(await admin.list_topics())
        missing = [topic for topic in TOPICS if topic.name not in present]
        if not missing:
            return []
        made = await admin.create_topics(
            [
                NewTopic(
                    topic.name,
                    topic.partitions(partitions),
                    replication,
                    topic_configs=dict(topic.configs),
                )
                for topic in missing
            ]
        )
        for name, code, *rest in made.topic_errors:
            _check_created(name, for_code(code), rest[0] if rest else "")
        await _wait_until_known(admin, {topic.name for topic in missing})
    return [topic.name for topic in missing]


async def _wait_until_known(admin: Any, names: set[str]) -> None:
    for _ in range(100):
        if names <= set(await admin.list_topics()):
            return
        await asyncio.sleep(0.1)
    raise BrokerUnavailable(f"Kafka has not made the topics {', '.join(sorted(names))} in 10 s")


def _check_created(name: str, error: type[KafkaError], reason: str | None) -> None:
    if error.errno not in (0, TopicAlreadyExistsError.errno):
        raise BrokerUnavailable(
            f"Kafka refuses to create the topic {name}: {reason or error.__name__}"
        )
