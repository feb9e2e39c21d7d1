"""Dead letters as they are written: a row with the original bytes, and a notice without them.

The row and the notice are inserted by the transaction that moves the position beyond the message.
The notice waits in the outbox like every event, so that it is published exactly once; its place
there, ``topic/partition`` and the offset, is a key that no member can have, because a member id
holds no slash.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgspec

from services.events.inbox import Message, Unusable
from services.loyalty.domain.calendar import Instant, to_datetime

NOTICE = "loyalty.dead-letter.v1"
"""Type of the outbox rows that go to the topic of dead letters."""

_INSERT = """
    WITH letter AS (
        INSERT INTO dead_letter
            (topic, partition, offset_, member_id, reason, detail, digest, size, received_at, body)
        SELECT topic, partition, offset_, member_id, reason, detail, digest, size, $10, body
        FROM unnest($1::text[], $2::int[], $3::bigint[], $4::text[], $5::text[], $6::text[],
                    $7::bytea[], $8::bigint[], $9::bytea[])
            AS dead(topic, partition, offset_, member_id, reason, detail, digest, size, body)
    )
    INSERT INTO outbox (member_id, seq, n, recorded_at, at, type, data)
    SELECT place, offset_, 0, $10, $10, $13, data
    FROM unnest($11::text[], $3::bigint[], $12::text[]) AS notice(place, offset_, data)
"""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that was given up, and why."""

    message: Message
    unusable: Unusable


async def insert_letters(connection: Any, letters: Sequence[Letter], received_at: Instant) -> None:
    """Writes dead letters and their notices, in the transaction that moves the positions."""
    if not letters:
        return
    messages = [letter.message for letter in letters]
    digests = [sha256(message.raw).digest() for message in messages]
    await connection.execute(
        _INSERT,
        [message.partition.topic for message in messages],
        [message.partition.number for message in messages],
        [message.offset for message in messages],
        [letter.unusable.member for letter in letters],
        [letter.unusable.reason for letter in letters],
        [letter.unusable.detail for letter in letters],
        digests,
        [len(message.raw) for message in messages],
        [message.raw for message in messages],
        to_datetime(received_at),
        [message.partition.name for message in messages],
        [notice(letter, digest) for letter, digest in zip(letters, digests, strict=True)],
        NOTICE,
    )


def notice(letter: Letter, digest: bytes) -> str:
    """What the topic says of a dead letter: reason, position, digest and size, and no payload."""
    message = letter.message
    return msgspec.json.encode(
        {
            "topic": message.partition.topic,
            "partition": message.partition.number,
            "offset": message.offset,
            "reason": letter.unusable.reason,
            "detail": letter.unusable.detail,
            "sha256": digest.hex(),
            "size_bytes": len(message.raw),
        }
    ).decode()
