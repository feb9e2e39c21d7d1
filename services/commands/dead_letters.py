"""Dead letters from the command line."""

from __future__ import annotations

import sys
from argparse import Namespace

from services.commands import wiring
from services.events import dead_letters
from services.events.dead_letters import DeadLetter, NoSuchDeadLetter, NotReplayable
from services.failures import Refusal
from services.loyalty.application.programs import Programs
from services.loyalty.application.refusal import Unacceptable
from services.loyalty.db.connect import connected
from services.loyalty.domain.calendar import rfc3339
from services.settings import Settings


async def show_all(settings: Settings, options: Namespace) -> None:
    """Prints one line per dead letter, newest first."""
    async with connected(wiring.database_url(settings), purpose="dead letters") as connection:
        found = await dead_letters.list_dead_letters(
            connection,
            reason=options.reason,
            member=options.member,
            replayed=options.replayed,
            limit=options.limit,
        )
    for letter in found:
        again = "  replayed" if letter.replayed_at is not None else ""
        who = letter.member or "-"
        print(
            f"{letter.place}  {rfc3339(letter.received_at)}  {who}"
            f"  {letter.reason}: {letter.detail}{again}"
        )


async def show(settings: Settings, options: Namespace) -> None:
    """Prints what is known of one dead letter, then its original bytes as they came."""
    async with connected(wiring.database_url(settings), purpose="dead letters") as connection:
        try:
            letter = await dead_letters.show(connection, options.letter)
        except NoSuchDeadLetter as error:
            raise Refusal(str(error)) from error
    print(_described(letter), flush=True)
    if letter.body is None:
        print("The original bytes are no longer kept.")
    else:
        sys.stdout.buffer.write(letter.body + b"\n")


async def replay(settings: Settings, options: Namespace) -> None:
    """Takes a dead letter's bytes down the one river again and says what came of them."""
    database = wiring.database(settings)
    async with connected(settings.database_url, purpose="dead letters") as connection:
        try:
            outcome = await dead_letters.replay(
                database,
                connection,
                Programs(),
                wiring.clock(settings),
                options.letter,
                limits=wiring.event_limits(settings),
            )
        except (NoSuchDeadLetter, NotReplayable) as error:
            raise Refusal(str(error)) from error
        except Unacceptable as error:
            raise Refusal(f"{options.letter} is refused still: {error}") from error
    because = f": {outcome.reason}" if outcome.reason else ""
    where = f", seq {outcome.seq}" if outcome.seq else ""
    print(f"{options.letter}: {outcome.status}{because}{where}")


def _described(letter: DeadLetter) -> str:
    replayed = "no" if letter.replayed_at is None else rfc3339(letter.replayed_at)
    return "\n".join(
        [
            f"place     {letter.place}",
            f"member    {letter.member or 'unknown'}",
            f"reason    {letter.reason}: {letter.detail}",
            f"received  {rfc3339(letter.received_at)}",
            f"replayed  {replayed}",
            f"size      {letter.size_bytes:,} bytes, sha256 {letter.digest.hex()}",
            "",
        ]
    )
