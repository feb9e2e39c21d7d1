"""The demonstration: half a year of a real shop's sales, played through the whole service."""

from __future__ import annotations

from argparse import Namespace

from services.settings import Settings


async def play(settings: Settings, options: Namespace) -> int:
    """The command ``loyalty demo``; answers its exit code."""
    from services.demo.performance import perform  # noqa: PLC0415  help answers without all of it

    return await perform(settings, options)
