"""Checkpoints and proofs from the command line."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TypeVar

import msgspec

from services.commands import signing, wiring
from services.failures import BOOKS
from services.loyalty.db import checkpoints
from services.loyalty.db.connect import Limits, connected
from services.loyalty.db.migrate import require_schema
from services.loyalty.db.proofs import prove
from services.loyalty.db.session import PgSession
from services.loyalty.domain.checkpoint import Checkpoint
from services.loyalty.domain.proof import NotProven, Proof, check
from services.settings import Settings, SettingsRefused

_NO_HURRY = Limits(statement_ms=0, lock_ms=0, idle_in_transaction_ms=0)
_T = TypeVar("_T")


async def checkpoint(settings: Settings, options: Namespace) -> None:
    """Makes a checkpoint and prints it; or makes a key for those to come."""
    if options.new_key is not None:
        private, public = signing.new_key(options.new_key)
        print(f"{private} signs: keep it secret, and let the service know it with")
        print(f"export LOYALTY_CHECKPOINT_KEY_FILE={private}")
        print(f"{public} checks what it signed: give it to whoever wants to.")
        return
    key = signing.signing_key(settings)
    url = wiring.database_url(settings)
    async with connected(url, purpose="checkpoint", limits=_NO_HURRY) as connection:
        await require_schema(connection)
        now = await wiring.clock(settings).now(PgSession(connection))
        made = await checkpoints.make(connection, key, at=now)
    print(_text(made))


async def proof(settings: Settings, options: Namespace) -> int:
    """Prints the proof of a journal row, or checks one without a database."""
    if options.check is not None:
        return _check(settings, options)
    if options.member is None or options.seq is None:
        raise SettingsRefused("name a member and a seq, or a proof to check with --check FILE")
    url = wiring.database_url(settings)
    async with connected(url, purpose="proof", limits=_NO_HURRY) as connection:
        await require_schema(connection)
        made = await prove(connection, options.member, options.seq, options.checkpoint)
    print(_text(made))
    return 0


def _check(settings: Settings, options: Namespace) -> int:
    given = read_document(options.check, Proof)
    try:
        [row, _, entries] = check(given, signing.checking_key(settings, options.key))
    except NotProven as failure:
        print(f"loyalty: {options.check} proves nothing: {failure}", file=sys.stderr)
        return BOOKS.code
    root = given.checkpoint
    print(
        f"Included: member {given.member}, seq {given.seq}, {row[2]}, {row[3]},"
        f" with {len(entries)} ledger entries\n"
        f"  {len(given.rows)} links to the member's head, {len(given.path)} hashes to the root\n"
        f"  checkpoint {root.number} of {root.at} over {root.count:,} members,"
        f" signed by key {root.key_id}"
    )
    for kind, currency, points, source, target, *_ in entries:
        print(f"  {kind}: {points:,} {currency}, {source} to {target}")
    return 0


def read_checkpoint(file: str) -> Checkpoint:
    """A checkpoint as it was printed, or as the event that published it.

    Raises:
        SettingsRefused: the file holds none.
    """
    text = _read(file)
    try:
        published = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        return msgspec.json.decode(published.get("data", text), type=Checkpoint)
    except msgspec.MsgspecError as error:
        raise SettingsRefused(f"{file} is no checkpoint: {error}") from None


def read_document(file: str, kind: type[_T]) -> _T:
    """A document of one kind.

    Raises:
        SettingsRefused: the file holds none.
    """
    try:
        return msgspec.json.decode(_read(file), type=kind)
    except msgspec.MsgspecError as error:
        raise SettingsRefused(f"{file} is no {kind.__name__.lower()}: {error}") from None


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise SettingsRefused(f"{file}: {error.strerror}") from None


def _text(document: Checkpoint | Proof) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
