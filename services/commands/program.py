"""The programme from the command line: checked, published, shown."""

from __future__ import annotations

import getpass
import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from services.commands import wiring
from services.failures import USAGE, Refusal
from services.loyalty.application.publishing import HoldsTooSoon, VersionExists, warnings
from services.loyalty.application.publishing import publish as publish_version
from services.loyalty.db.connect import connected
from services.loyalty.db.online import PgOnlineSession
from services.loyalty.domain.calendar import rfc3339
from services.loyalty.domain.document import parse_program
from services.loyalty.domain.mistakes import Mistake, ProgramMistakes
from services.loyalty.domain.warnings import warnings_of
from services.settings import Settings


async def check(settings: Settings, options: Namespace) -> int:
    """Prints every mistake, or what the document would be; needs no database."""
    del settings
    try:
        document = read_file(options.file)
        program = parse_program(document, 1)
    except ProgramMistakes as mistakes:
        return report_mistakes(options.file, mistakes)
    _warn(warnings_of(document))
    print(f"{options.file}: a programme without mistakes, from {rfc3339(program.holds_from)}")
    return 0


async def publish(settings: Settings, options: Namespace) -> int:
    """Publishes the document as the next version and prints its number."""
    document = read_file(options.file)
    by = options.by or getpass.getuser()
    async with connected(wiring.database_url(settings), purpose="program") as connection:
        session = PgOnlineSession(connection)
        try:
            made = await publish_version(session, wiring.clock(settings), document, by=by)
        except ProgramMistakes as mistakes:
            return report_mistakes(options.file, mistakes)
        except HoldsTooSoon as error:
            raise Refusal(
                f"the version would hold from {rfc3339(error.holds_from)}, and the earliest that"
                f" it can is {rfc3339(error.earliest)}: set holds_from later"
            ) from error
        except VersionExists as error:
            raise Refusal("another version was published at this moment: try again") from error
        _warn(await warnings(session, document))
    print(f"version {made.version}, holds from {rfc3339(made.holds_from)}")
    return 0


def _warn(found: Iterable[Mistake]) -> None:
    """What may not be meant stands on standard error, a line each: nothing is refused for it."""
    for warning in found:
        print(f"loyalty: warning: {warning}", file=sys.stderr)


async def show(settings: Settings, options: Namespace) -> None:
    """Prints one line per version, or the document of one as it was published."""
    async with connected(wiring.database_url(settings), purpose="program") as connection:
        if options.version is None:
            for row in await connection.fetch(
                "SELECT version, holds_from, published_at, published_by, digest"
                " FROM program_version ORDER BY version"
            ):
                version, holds_from, published_at, by, digest = row
                print(
                    f"{version:>4}  holds from {holds_from:%Y-%m-%dT%H:%M:%SZ}"
                    f"  published {published_at:%Y-%m-%d} by {by}  {digest[:12]}"
                )
            return
        document = await connection.fetchval(
            "SELECT document FROM program_version WHERE version = $1", options.version
        )
    if document is None:
        raise Refusal(f"there is no version {options.version}")
    print(document, end="" if document.endswith("\n") else "\n")


def read_file(file: str) -> str:
    """The text of a file, or of standard input for ``-``."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except OSError as error:
        raise Refusal(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Refusal(f"{file}: not UTF-8 text") from error


def report_mistakes(file: str, mistakes: ProgramMistakes) -> int:
    """Prints every mistake, and answers the exit code of a file that does not fit."""
    count = len(mistakes.mistakes)
    print(*mistakes.mistakes, sep="\n")
    print(f"loyalty: {file}: {count} mistake{'s' * (count > 1)}", file=sys.stderr)
    return USAGE.code
