"""The cyclic garbage collector, where many Decisions are made."""

from __future__ import annotations

import gc


def spare_the_collector() -> None:
    """Lets the cyclic garbage collector look less often.

    A batch holds a hundred thousand objects at once, none of them in a cycle, and reference counts
    free them all; walking them again and again took half of a worker's time.
    """
    gc.freeze()
    gc.set_threshold(200_000, 20, 50)
