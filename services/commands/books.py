"""Proving the books, and going on after a restore, from the command line."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from rich.console import Console
from rich.progress import Progress

from services.commands import signing, wiring
from services.commands.checkpoints import read_checkpoint
from services.events import recover as recovery
from services.failures import BOOKS, Refusal
from services.loyalty.db import checkpoints, closes
from services.loyalty.db.connect import NO_HURRY, connected
from services.loyalty.db.migrate import require_schema
from services.loyalty.db.verify import Verdict
from services.loyalty.db.verify import verify as verify_books
from services.loyalty.domain.checkpoint import Checkpoint, is_signed_by, key_id
from services.loyalty.domain.money import decimal_text
from services.settings import Settings


async def verify(settings: Settings, options: Namespace) -> int:
    """Prints what was checked and what is wrong; answers the exit code of books that are."""
    against = None if options.against is None else _trusted(settings, options)
    url = wiring.database_url(settings)
    async with connected(url, purpose="verify", limits=NO_HURRY) as connection:
        await require_schema(connection)

        async def further(verdict: Verdict) -> None:
            if against:
                await checkpoints.compare(connection, against, verdict)

        screen = Console(stderr=True)
        with Progress(console=screen, transient=True, disable=not screen.is_terminal) as shown:
            task = shown.add_task("Verifying", total=None)

            def progress(done: int, total: int) -> None:
                shown.update(task, completed=done, total=total)

            verdict = await verify_books(connection, progress=progress, further=further)
            await closes.verify(connection, verdict, progress=progress)
    print(_as_json(verdict) if options.json else _in_words(verdict))
    if verdict.sound:
        return 0
    print(f"loyalty: the books do not verify: {verdict.first}", file=sys.stderr)
    return BOOKS.code


async def recover(settings: Settings, options: Namespace) -> None:
    """Begins a new incarnation where Kafka and the database disagree."""
    del options
    wiring.start_logging(settings)
    database, kafka = wiring.database(settings), wiring.kafka(settings)
    async with connected(settings.database_url, purpose="recover") as connection:
        await require_schema(connection)
    done = await recovery.recover(kafka, database, wiring.clock(settings))
    if done is None:
        print("Kafka and the database agree: there is nothing to recover.")
        return
    print(
        f"Incarnation {done.incarnation} begins after batch {done.last_batch}:"
        f" {done.voided:,} members were told that events are void, and {done.kept:,} events"
        " that were published before are not sent again. Start serve, work, relay and schedule."
    )


def _trusted(settings: Settings, options: Namespace) -> Checkpoint:
    """The checkpoint of the file that was named.

    Raises:
        SettingsRefused: the file holds none, or no key is named. Refusal: another key signed it,
            or nobody.
    """
    checkpoint = read_checkpoint(options.against)
    key = signing.checking_key(settings, options.key)
    if not is_signed_by(checkpoint, key):
        raise Refusal(
            f"{options.against} says that key {checkpoint.key_id} signed it, and key {key_id(key)}"
            " did not: against a forgery nothing is checked"
        )
    return checkpoint


def _in_words(verdict: Verdict) -> str:
    lines = [
        f"{verdict.members:,} members, {verdict.journal_rows:,} activities,"
        f" {verdict.ledger_rows:,} ledger entries",
        *(f"  {each}" for each in verdict.checked),
        f"Not checked: {verdict.not_checked}.",
        *_vouchers(verdict),
        *(f"WRONG  {wrong}" for wrong in verdict.wrong),
    ]
    if verdict.wrong_count > len(verdict.wrong):
        lines.append(f"WRONG  and {verdict.wrong_count - len(verdict.wrong):,} more")
    lines.append("The books balance." if verdict.sound else "The books DO NOT balance.")
    return "\n".join(lines)


def _vouchers(verdict: Verdict) -> list[str]:
    """The line that says what open vouchers carry, where there are any."""
    if not verdict.open_vouchers:
        return []
    carried = ", ".join(
        f"{decimal_text(amount, name)} {name}" if name.isupper() else f"{amount:,} {name}"
        for name, amount in sorted(verdict.vouchers.items())
    )
    return [f"Outstanding in {verdict.open_vouchers:,} open vouchers: {carried or 'no worth'}."]


def _as_json(verdict: Verdict) -> str:
    return json.dumps(
        {
            "sound": verdict.sound,
            "members": verdict.members,
            "journal_rows": verdict.journal_rows,
            "ledger_rows": verdict.ledger_rows,
            "balances": verdict.balances,
            "in_transit": verdict.in_transit,
            "open_vouchers": verdict.open_vouchers,
            "vouchers": verdict.vouchers,
            "wrong_count": verdict.wrong_count,
            "wrong": [str(wrong) for wrong in verdict.wrong],
            "checked": verdict.checked,
            "not_checked": verdict.not_checked,
        }
    )
