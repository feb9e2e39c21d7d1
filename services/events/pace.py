"""How many messages one transaction takes, so that nobody waits long for its locks."""

from __future__ import annotations

from dataclasses import dataclass

LEAST = 100
LOCKED_MS = 100.0
"""The span of locks, in milliseconds, that batches aim to stay below."""


@dataclass(slots=True)
class Pace:
    """The size of the next batch, which follows the measured span of locks."""

    most: int
    size: int = 0
    least: int = 0

    def __post_init__(self) -> None:
        self.least = min(LEAST, self.most)
        self.size = self.size or min(max(500, self.least), self.most)

    def measured(self, taken: int, locked_ms: float) -> None:
        """A batch of ``taken`` messages held its locks for ``locked_ms``."""
        if locked_ms > LOCKED_MS:
            fitting = int(taken * LOCKED_MS / locked_ms * 0.9)
            self.size = max(self.least, min(fitting, self.size))
        elif taken >= self.size and locked_ms < 0.8 * LOCKED_MS:
            self.size = min(self.most, self.size + max(50, self.size // 5))
