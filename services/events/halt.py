"""What ends a part of the edge, or makes it begin again."""

from __future__ import annotations


class Halted(Exception):
    """A part cannot go on until a person acts; the message is one line that names the remedy."""


class BrokerUnavailable(Exception):
    """Kafka cannot be reached, will not let us in, or lacks a topic; the message is one line.

    It ends a part only where the part never began; later on it is waited for.
    """


class PositionLost(Halted):
    """A position lies outside its log: messages were lost, or the topic was recreated."""


class BreakerOpen(Halted):
    """Too many unusable messages came in a row on one partition."""


class WatermarkDiffers(Halted):
    """Kafka and the database disagree on what was published last: one of them was set back."""


class Fenced(Exception):
    """Another session took over what this one worked on; nothing of the transaction may stand."""
