"""The measurements, interleaved with their floors, and the report of their ratios."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from services.bench.again import Again
from services.bench.deciding import deciding
from services.bench.measure import Bench, Run, Shape
from services.bench.scene import Databases, Log, Story, Stretch, member_name
from services.bench.stages import stages
from services.bench.storefront import waits
from services.events.broker import Kafka
from services.loyalty.application.clock import SystemClock
from services.loyalty.application.collector import spare_the_collector
from services.loyalty.application.intake import event_digest
from services.loyalty.application.programs import Programs
from services.loyalty.application.record import record_batch
from services.loyalty.application.store import Incoming
from services.loyalty.db.connect import connected
from services.loyalty.db.session import PgSession
from services.loyalty.domain import decide
from services.loyalty.domain.activity import Enrolled
from services.loyalty.domain.calendar import DAY, Instant
from services.loyalty.domain.envelope import Activity

ONE = Shape(1, 1)
TWO_LANES = Shape(1, 2)
FULL = Shape(2, 2)
SINGLE = Shape(1, 1, 1)
SHAPES = (ONE, TWO_LANES, FULL)

TARGETS: Mapping[str, float] = {
    "whole ÷ blind, one worker, one lane": 0.35,
    "whole ÷ blind, 2 workers, 2 lanes": 0.45,
    "two workers ÷ one, 2 lanes": 1.4,
    "batches ÷ one transaction per event": 4.0,
    "replay ÷ whole, one worker, one lane": 1.0,
    "replay ÷ whole, 2 workers, 2 lanes": 1.0,
    "budget ÷ none, one worker, one lane": 0.9,
    "budget ÷ none, 2 workers, 2 lanes": 0.9,
}
"""What the design asks for, at the median."""


@dataclass
class Findings:
    """Everything measured, by name: events per second, and ratios of one repeat."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    ratios: dict[str, list[float]] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict)

    def rate(self, name: str, run: Run) -> float:
        self.rates.setdefault(name, []).append(run.per_second)
        return run.per_second

    def ratio(self, name: str, value: float) -> None:
        self.ratios.setdefault(name, []).append(value)


async def enrol(owner: tuple[str, str], members: int, at: Instant) -> None:
    """Enrols the members of all stories, through the same use case as ever."""
    async with connected(owner[1], purpose="bench") as connection:
        session, programs, clock = PgSession(connection), Programs(), SystemClock()
        for first in range(0, members, 2000):
            batch = [
                Incoming(
                    member_name(number),
                    Activity(Enrolled(), at, 0, "/bench", f"enrol-{number}"),
                    event_digest("/bench", f"enrol-{number}"),
                    b"",
                )
                for number in range(first, min(members, first + 2000))
            ]
            await record_batch(session, programs, clock, batch)


async def paired(
    bench: Bench,
    log: Log,
    stretch: Stretch,
    findings: Findings,
    console: Console,
    *,
    repeats: int,
    again: Again,
    shapes: Sequence[Shape] = SHAPES,
) -> None:
    """Whole path and blind write of the same events, shape by shape, several times; and what the
    whole path recorded decided again, in as many processes as it had workers.
    """
    places = {_id(message): (p, o) for p, o, message in await log.read(stretch)}
    for repeat in range(repeats):
        rates: dict[str, float] = {}
        for shape in shapes:
            async with bench.databases.clone(stretch) as source:
                whole = findings.rate(
                    f"whole path, {shape}", await bench.whole(stretch, shape, source)
                )
                async with bench.databases.clone(stretch) as target:
                    run = await bench.blind(
                        stretch, shape, target, source_url=source[0], places=places, rows="all"
                    )
                    blind = findings.rate(f"blind write, {shape}", run)
                if shape in (ONE, FULL):
                    for name, run_again in (
                        ("replay", again.replayed),
                        ("program diff", again.drafted),
                    ):
                        rate = await run_again(source[1], shape.workers)
                        findings.rates.setdefault(f"{name}, {shape}", []).append(rate)
                        findings.ratio(f"{name} ÷ whole, {shape}", rate / whole)
                if shape == ONE:
                    for rows, name in (
                        ("ledger", "consume + COPY of one ledger row"),
                        ("none", "consume only"),
                    ):
                        async with bench.databases.clone(stretch) as target:
                            run = await bench.blind(
                                stretch,
                                shape,
                                target,
                                source_url=source[0],
                                places=places,
                                rows=rows,
                            )
                            findings.rate(f"{name}, {shape}", run)
            rates[str(shape)] = whole
            findings.ratio(f"whole ÷ blind, {shape}", whole / blind)
            console.print(
                f"  {repeat + 1}/{repeats} {shape}: whole {whole:,.0f}/s, blind {blind:,.0f}/s,"
                f" ratio {whole / blind:.2f}"
            )
        if str(FULL) in rates and str(TWO_LANES) in rates:
            findings.ratio("two workers ÷ one, 2 lanes", rates[str(FULL)] / rates[str(TWO_LANES)])


async def warm_up(bench: Bench, stretch: Stretch) -> None:
    """A run that is not counted: the broker compiles its own code during the first ones."""
    async with bench.databases.clone(stretch) as urls:
        await bench.whole(stretch, ONE, urls)


async def halves(bench: Bench, stretch: Stretch, findings: Findings, repeats: int) -> None:
    """What a second worker adds where it takes no processor from the first."""
    for _ in range(repeats):
        rates = []
        for shape in (TWO_LANES, FULL):
            async with bench.databases.clone(stretch) as urls:
                run = await bench.whole(stretch, shape, urls, halved=True)
                rates.append(findings.rate(f"whole path, {shape}, half of the time", run))
        findings.ratio("two workers ÷ one, 2 lanes, half of the time each", rates[1] / rates[0])


def _id(message: bytes) -> str:
    return str(msgspec.json.decode(message)["id"])


async def one_by_one(bench: Bench, stretch: Stretch, findings: Findings, repeats: int) -> None:
    """The same code with a batch size of one: a transaction per event."""
    for _ in range(repeats):
        async with bench.databases.clone(stretch) as urls:
            findings.rate("one transaction per event", await bench.whole(stretch, SINGLE, urls))
    batches = findings.rates[f"whole path, {ONE}"]
    for batch, single in zip(batches, findings.rates["one transaction per event"], strict=False):
        findings.ratio("batches ÷ one transaction per event", batch / single)


async def budgets(
    bench: Bench, stretch: Stretch, findings: Findings, *, repeats: int, again: Again
) -> None:
    """The whole path with a budget from which every event takes, and without it; each goes first in
    turn.
    """
    versions = dict(zip(("a budget", "none"), again.budgeted, strict=True))
    for repeat in range(repeats):
        for shape in (ONE, FULL):
            rates: dict[str, float] = {}
            for name in sorted(versions, reverse=bool(repeat % 2)):
                async with bench.databases.clone(stretch) as urls:
                    holds_from = again.begins_at - DAY // 2
                    await bench.databases.publish(urls[0], 2, versions[name], holds_from)
                    run = await bench.whole(stretch, shape, urls)
                    rates[name] = findings.rate(f"whole path with {name}, {shape}", run)
            findings.ratio(f"budget ÷ none, {shape}", rates["a budget"] / rates["none"])


async def beside(bench: Bench, stretch: Stretch, findings: Findings) -> None:
    """A load of another character, reported beside the ordinary one."""
    async with bench.databases.clone(stretch) as urls:
        findings.rate(f"beside: {stretch.story.name}", await bench.whole(stretch, ONE, urls))


async def memory(bench: Bench, stretch: Stretch, findings: Findings) -> None:
    """A long run: whether memory stays flat after the first fifth."""
    async with bench.databases.clone(stretch) as urls:
        run = await bench.whole(stretch, TWO_LANES, urls)
    settled = [mib for share, mib in run.memory if 0.2 <= share <= 0.4]
    last = [mib for share, mib in run.memory if share >= 0.9]
    if settled and last:
        findings.others["memory"] = {
            "events": stretch.messages,
            "settled_mib": round(statistics.median(settled), 1),
            "end_mib": round(statistics.median(last), 1),
            "growth": round(statistics.median(last) / statistics.median(settled) - 1, 3),
        }
    findings.rate(f"whole path, long run of {stretch.messages:,}", run)


def report(findings: Findings, console: Console) -> None:
    """The tables: ratios first, because they are what a machine does not change much."""
    table = Table("ratio", "min", "median", "max", "asked", "", title="Ratios of one run each")
    for name, values in findings.ratios.items():
        low, middle, high = min(values), statistics.median(values), max(values)
        asked = TARGETS.get(name)
        verdict = "" if asked is None else ("met" if middle >= asked else "missed")
        table.add_row(name, f"{low:.2f}", f"{middle:.2f}", f"{high:.2f}", f"{asked or ''}", verdict)
    console.print(table)
    rates = Table("events per second", "min", "median", "max", title="Of this machine, today")
    for name, values in findings.rates.items():
        cells = (min(values), statistics.median(values), max(values))
        rates.add_row(name, *(f"{cell:,.0f}" for cell in cells))
    console.print(rates)
    for name, value in findings.others.items():
        console.print(f"{name}: {json.dumps(value)}")


async def run(
    kafka: Kafka,
    databases: Databases,
    document: str,
    *,
    events: int,
    repeats: int,
    long_run: int,
    quick: bool,
    console: Console,
) -> Findings:
    """All of it; leaves nothing behind but the messages in the log."""
    findings = Findings()
    now = time.time_ns() // 1000  # noqa: TID251  events of a bench happen when it runs
    begins_at = now - 300 * DAY
    log = Log(kafka)
    await log.prepare()
    spare_the_collector()  # what is decided again here is decided as the commands do it
    members = max(1000, events // 6)
    as_written = str(decide.__file__).endswith(".py")
    console.print(f"The hot path runs {'as it is written' if as_written else 'compiled'}.")
    console.print(f"Preparing {members:,} members and {events:,} purchases of three lines")
    await databases.prepare(document, begins_at - 400 * DAY)
    await enrol(databases.template, members, begins_at - DAY)
    bench = Bench(kafka, databases, _environment(kafka))
    # A clone needs its template to itself, so nobody stays connected to it.
    try:
        ordinary = await log.write(Story("ordinary", events, members), begins_at, seed=1)
        again = Again(document, begins_at)
        await warm_up(bench, ordinary)
        await paired(bench, log, ordinary, findings, console, repeats=repeats, again=again)
        await halves(bench, ordinary, findings, repeats)
        few = await log.write(Story("singles", max(2000, events // 20), members), begins_at, seed=2)
        await one_by_one(bench, few, findings, repeats)
        await budgets(bench, ordinary, findings, repeats=repeats, again=again)
        if not quick:
            timed = Story("stages", max(6000, events // 4), members)
            findings.others["decide alone"] = deciding(
                document, events=max(5000, events // 3), begins_at=begins_at
            )
            findings.others["µs per event by stage"] = await stages(databases, timed, begins_at)
            findings.others["redemptions while saturated"] = await waits(bench, ordinary, FULL)
            for number, story in enumerate(_others(events, members)):
                stretch = await log.write(story, begins_at, seed=10 + number)
                await beside(bench, stretch, findings)
            if long_run:
                stretch = await log.write(Story("long", long_run, members), begins_at, seed=20)
                await memory(bench, stretch, findings)
    finally:
        await databases.drop()
    return findings


def _others(events: int, members: int) -> list[Story]:
    return [
        Story("1 % duplicates", events // 2, members, repeated=0.01),
        Story("100 % duplicates", events // 4, members, repeated=1.0),
        Story("200 events per member", events // 2, max(1, events // 400)),
        Story("an activation tick per purchase", events // 4, members // 4, tick_each=True),
    ]


def _environment(kafka: Kafka) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LOYALTY_")}
    return kept | {"LOYALTY_KAFKA_BOOTSTRAP": kafka.place}
