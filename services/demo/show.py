"""Shows the summary of the demonstration as tables that a newcomer can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from rich import box
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from services.demo.acts import Forged, Killed
from services.demo.stage import Stage
from services.demo.summary import Books, Points, Summary


def show(console: Console, summary: Summary) -> None:
    """Prints every figure of the summary but the two acts."""
    books = summary.books
    console.print(Panel(_headline(summary), title="What was played", box=box.ROUNDED))
    console.print(_tiers(books))
    for name, points in books.points.items():
        console.print(_points(name, points, books.issued_by_cause.get(name, {})))
    console.print(_rewards(books, summary.wishes))
    console.print(_activities(summary))
    console.print(_pairs("Published to loyalty.events", summary.events_published, "events"))
    console.print(_verdict(summary.verified))


def _headline(summary: Summary) -> Group:
    source = summary.source
    real = (
        f"Real: {source['purchases']:,} purchases of {source['members']:,} customers with"
        f" {source['purchase_lines']:,} lines, {source['refunds']:,} refunds"
        f" ({source['refunds_of_unknown_orders']:,} of goods bought before the data begins),"
        f" {source['cancellations']:,} cancellations."
    )
    out = (
        f"Left out: {source['guest_lines_left_out']:,} lines of guests,"
        f" {source['stock_write_offs_left_out']:,} stock write-offs."
    )
    made_up = (
        "Made up: the programme, an older card, birthdays, reviews, surveys, shares, segments,"
        " wishes to redeem, a few messages sent twice and some rubbish."
    )
    came = summary.came
    same = "all the same as there" if came.good else f"{came.different:,} DIFFER"
    imported = (
        f"By import: {came.members:,} members of the older card with {came.points:,} points and"
        f" {came.orders:,} orders that may come back; {came.same + came.different:,} balances"
        f" compared, {same}. A second import took {came.again or 'nobody'}."
    )
    speed = (
        f"{summary.played_from} to {summary.played_to} in {summary.play_s:.1f} s:"
        f" {summary.messages_sent:,} messages at {summary.messages_per_s:,.0f}/s,"
        f" {summary.books.journal_rows:,} activities journaled at {summary.activities_per_s:,.0f}/s"
        f" (the clock's own included)."
    )
    return Group(Text(real), Text(out), Text(made_up), Text(imported), Text(speed, style="bold"))


def _tiers(books: Books) -> Table:
    tiers = books.tiers
    table = _table("Members by tier", "members")
    for level, members in tiers.members.items():
        table.add_row(level, f"{members:,}")
    table.add_section()
    table.add_row("rose at least once", f"{tiers.members_who_rose:,}", f"{tiers.rises:,} rises")
    table.add_row("fell at least once", f"{tiers.members_who_fell:,}", f"{tiers.falls:,} falls")
    return table


def _points(name: str, points: Points, causes: Mapping[str, int]) -> Table:
    table = _table(f"Points ({name})", "points")
    rows = [
        ("issued", points.issued, ", ".join(f"{c} {p:,}" for c, p in causes.items())),
        ("brought along", points.brought_along, "from the older card; not counted as issued"),
        ("redeemed", points.redeemed, ""),
        ("expired", points.expired, ""),
        ("clawed back by refunds", points.clawed_back, ""),
        ("  went into arrears", points.went_into_arrears, f"{points.repaid:,} repaid since"),
        ("in arrears now", points.in_arrears, "owed by members who had spent or lost them"),
        ("pending", points.pending, "not spendable yet"),
        ("available", points.available, ""),
        ("outstanding", points.outstanding, f"worth {points.worth}" if points.worth else ""),
    ]
    for label, number, note in rows:
        table.add_row(label, f"{number:,}", note)
    return table


def _rewards(books: Books, wishes: Mapping[str, int]) -> Table:
    table = _table("Gifts and rewards issued", "issued")
    for occasion, rewards in books.rewards.items():
        for reward, issued in rewards.items():
            table.add_row(f"{occasion}: {reward}", f"{issued:,}")
    for answer, times in wishes.items():
        table.add_row(f"asked for over HTTP, {answer}", f"{times:,}")
    return table


def _activities(summary: Summary) -> Table:
    books = summary.books
    table = _table("Activities", "rows")
    for kind, rows in books.activities.items():
        table.add_row(kind, f"{rows:,}")
    table.add_section()
    for outcome, reasons in (
        ("refused", books.refused),
        ("parked", books.parked),
        ("dead letter", books.dead_letters),
    ):
        for reason, rows in reasons.items():
            table.add_row(f"{outcome}: {reason}", f"{rows:,}")
    table.add_row("lapsed: what was awaited never came", f"{books.lapsed:,}")
    table.add_row("released from waiting", f"{books.resumed:,}")
    table.add_row("waiting still", f"{books.still_waiting:,}")
    return table


def _pairs(title: str, numbers: Mapping[str, int], unit: str) -> Table:
    table = _table(title, unit)
    for name, number in sorted(numbers.items(), key=lambda item: -item[1]):
        table.add_row(name, f"{number:,}")
    table.add_section()
    table.add_row("all", f"{sum(numbers.values()):,}")
    return table


def _verdict(verified: Mapping[str, Any]) -> Panel:
    looked_at = (
        f"{verified['members']:,} members, {verified['journal_rows']:,} journal rows and"
        f" {verified['ledger_rows']:,} ledger entries recomputed"
    )
    if verified["sound"]:
        verdict = Text(f"{looked_at}: every chain, lot and balance is right.", style="bold green")
    else:
        verdict = Text(f"{looked_at}: {verified['first_wrong']}", style="bold red")
    return Panel(verdict, title="verify", box=box.ROUNDED)


def show_acts(console: Console, killed: Killed, forged: Forged, seconds: float) -> None:
    """Tells the two acts."""
    console.print(_act("A worker is killed", _told_of_the_dead(killed), passed=killed.passed))
    console.print(_act("An entry is forged", _told_of_the_forger(forged), passed=forged.passed))
    console.print(f"All this took {seconds:.1f} s.", style="bold")


def _told_of_the_dead(act: Killed) -> list[str]:
    return [
        f"The next morning {act.messages:,} members write a review (made up). A worker process is"
        " killed (SIGKILL) while its transaction is open.",
        f"The books are {_same(act.unchanged_by_the_death)} after its death; its successor records"
        f" {act.recorded_by_the_successor:,} reviews.",
        f"All {act.sent_again:,} are sent again, and the books are"
        f" {_same(act.unchanged_by_sending_again)}.",
    ]


def _told_of_the_forger(act: Forged) -> list[str]:
    return [
        f"Somebody wants {act.forged_points:,} points instead of {act.points:,} for member"
        f" {act.member}. PostgreSQL refuses: {act.refused or 'no, it does not!'}",
        "A superuser switches the triggers off and does it all the same.",
        f"verify finds: {act.found}",
        f"Put back, the books are {'sound again' if act.sound_again else 'still wrong'}.",
    ]


def _same(unchanged: bool) -> str:
    return "the same to the last byte" if unchanged else "CHANGED"


def _act(title: str, told: Sequence[str], *, passed: bool) -> Panel:
    style = "green" if passed else "bold red"
    return Panel("\n".join(told), title=title, box=box.ROUNDED, border_style=style)


async def show_service(console: Console, stage: Stage) -> None:
    """Says where HTTP is served, and three requests to paste."""
    reward = min((r for r in stage.program.rewards.values() if r.cost), key=lambda r: r.cost)
    member = await stage.owner.fetchval(_SPENDER, reward.currency) or "17850"
    place = f"{stage.url}/v1/members/{member}"
    curl = f"curl -s -H 'Authorization: Bearer {stage.key}'"
    body = msgspec.json.encode({"reward": reward.id}).decode()
    asked = f"-H 'Idempotency-Key: my-first' -H 'Content-Type: application/json' -d '{body}'"
    told = (
        "",
        f"The service is still there, on the morning after the last day: {stage.url}/docs",
        f"A key that opens everything: {stage.key}",
        "Three requests to paste:",
        f"{curl} {place}",
        f"{curl} '{place}/entries?limit=3'",
        f"{curl} {asked} {place}/redemptions",
    )
    for line in told:
        console.print(line, soft_wrap=True)
    console.print("Ctrl-C ends it, and nothing stays behind.", style="dim")


_SPENDER = """
SELECT member_id FROM ledger WHERE currency = $1 GROUP BY member_id
HAVING bool_or(kind = 'redemption')
ORDER BY sum(points * ((to_bucket = 'available')::int - (from_bucket = 'available')::int)) DESC,
    member_id
LIMIT 1
"""
"""Who has spent points and has the most of them left."""


def _table(title: str, unit: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("", overflow="fold")
    table.add_column(unit, justify="right")
    table.add_column("", overflow="fold", style="dim")
    return table
