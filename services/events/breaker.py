"""The breaker: dead letters in a row on one partition. A hundred of them are no accident."""

from __future__ import annotations

from collections.abc import Iterable

from services.events.inbox import Message, Partition


class Tripped(Exception):
    """The message at ``index`` is one dead letter too many; those before it are not."""

    def __init__(self, index: int, message: Message) -> None:
        super().__init__(f"offset {message.offset} of {message.partition.name}")
        self.index = index
        self.message = message


def runs_of_dead(fates: Iterable[tuple[Message, bool]], limit: int) -> dict[Partition, int]:
    """How many dead letters in a row each partition ends with.

    Args:
        fates: messages in the order drawn, each with whether it becomes a dead letter.
        limit: the most in a row that are let through.

    Raises:
        Tripped: a partition would exceed the limit.
    """
    runs: dict[Partition, int] = {}
    for index, (message, dead) in enumerate(fates):
        if not dead:
            runs[message.partition] = 0
            continue
        run = runs.get(message.partition, message.partition.dead_in_a_row) + 1
        if run > limit:
            raise Tripped(index, message)
        runs[message.partition] = run
    return runs


def explanation(message: Message, limit: int) -> str:
    """What the operator reads when the breaker opens."""
    reason = message.unusable.reason if message.unusable else "id_reused"
    return (
        f"{message.partition.name} holds more than {limit} unusable messages in a row; the next is"
        f" at offset {message.offset} ({reason}), and nothing from there on was taken. Repair its"
        " producer or this program, or raise LOYALTY_BREAKER to let more become dead letters"
    )
