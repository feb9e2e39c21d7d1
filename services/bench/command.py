"""The command `loyalty bench`."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from argparse import Namespace
from pathlib import Path

from rich.console import Console

from services.bench.measure import BenchFailed
from services.bench.scene import BenchRefused, Databases
from services.bench.suite import report, run
from services.commands import wiring
from services.failures import Refusal
from services.settings import Settings

PROGRAM = Path(__file__).resolve().parents[2] / "contracts" / "programs" / "gift-shop.yaml"


async def measure(settings: Settings, options: Namespace) -> None:
    """Measures, prints tables, and with ``--json`` all numbers as one line on standard output."""
    owner, login = wiring.owner_url(settings), wiring.database_url(settings)
    console = Console(stderr=options.json)
    document = await asyncio.to_thread(Path(options.program or PROGRAM).read_text, "utf-8")
    try:
        findings = await run(
            wiring.kafka(settings),
            Databases(owner, login),
            document,
            events=options.events,
            repeats=options.repeats,
            long_run=options.long,
            quick=options.quick,
            console=console,
        )
    except (BenchRefused, BenchFailed) as error:
        raise Refusal(str(error)) from error
    report(findings, console)
    if options.json:
        print(json.dumps(dataclasses.asdict(findings)))
