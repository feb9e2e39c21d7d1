"""The `loyalty` command run inside a test, as a person would type it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from services import cli


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


Loyalty = Callable[..., Done]
"""Takes the arguments, and settings by their names without the prefix."""


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Loyalty:
    """Runs the command to its end, with nothing set but what is given."""

    def run(*arguments: str, **settings: str) -> Done:
        for name in [name for name in os.environ if name.startswith("LOYALTY_")]:
            monkeypatch.delenv(name)
        for name, text in {"HTTP_PORT": "0", **settings}.items():
            monkeypatch.setenv(f"LOYALTY_{name}", text)
        code = cli.main(arguments)
        return Done(code, *capsys.readouterr())

    return run
