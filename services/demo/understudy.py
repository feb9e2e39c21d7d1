"""A worker in a process of its own, which the demonstration starts to kill it.

It ends when its standard input does, so it never outlives the demonstration.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading

import uvloop

from services.commands.processes import Deployment
from services.settings import Settings


def main() -> None:
    """Works until it is killed."""
    threading.Thread(target=_end_with_standard_input, daemon=True).start()
    settings = Settings.from_environment(os.environ)
    uvloop.run(Deployment.of(settings, real=False).worker().run(asyncio.Event()))


def _end_with_standard_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


if __name__ == "__main__":
    main()
