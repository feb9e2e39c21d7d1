"""The keys that sign checkpoints: PEM files, made and read."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from services.settings import Settings, SettingsRefused

_HOW = "`loyalty checkpoint --new-key FILE` makes one"


def new_key(name: str) -> tuple[Path, Path]:
    """Makes a key that only its owner may read, and beside it the public one; answers both files.

    Raises:
        SettingsRefused: a file is there already, or cannot be written.
    """
    file = Path(name).absolute()
    key, public = Ed25519PrivateKey.generate(), file.with_name(f"{file.name}.pub")
    private_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public_pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        _write_new(file, private_pem, 0o600)
        _write_new(public, public_pem, 0o644)
    except FileExistsError as error:
        raise SettingsRefused(
            f"{error.filename} is there already: a key is never replaced"
        ) from None
    except OSError as error:
        raise SettingsRefused(f"{error.filename}: {error.strerror}") from None
    return file, public


def signing_key(settings: Settings) -> Ed25519PrivateKey:
    """The key that signs.

    Raises:
        SettingsRefused: none is named, or the file is no such key.
    """
    if not settings.checkpoint_key_file:
        raise SettingsRefused(f"LOYALTY_CHECKPOINT_KEY_FILE is not set: {_HOW}")
    file = Path(settings.checkpoint_key_file)
    try:
        key = load_pem_private_key(_read(file), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsRefused(f"{file} is no private Ed25519 key without a passphrase: {_HOW}")
    return key


def checking_key(settings: Settings, file: str | None) -> Ed25519PublicKey:
    """The public key of a file, by default the one that belongs to the key that signs.

    Raises:
        SettingsRefused: neither is named, or the file is no such key.
    """
    if file is None:
        if not settings.checkpoint_key_file:
            raise SettingsRefused("name the public key of whoever signed, with --key PUB.pem")
        return signing_key(settings).public_key()
    try:
        key = load_pem_public_key(_read(Path(file)))
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise SettingsRefused(f"{file} is no public Ed25519 key in PEM")
    return key


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SettingsRefused(f"{file}: {error.strerror}") from None


def _write_new(file: Path, pem: bytes, mode: int) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as made:
        made.write(pem)
