"""A watched child: programs that end, and directories that go, when whoever started them does.

The child is this very file, run as a program of its own. It holds the reading end of a pipe whose
writing end lives in the process that started it; the kernel closes that end however the process
dies, by SIGKILL too, and the child then ends its programs and removes their directories.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

_COMPLAINS = re.compile(r"\b(error|fatal|exception)\b", re.IGNORECASE)

PATIENCE_S = 6.0
"""How long a program may take to end by itself before it is killed."""


@dataclass(frozen=True)
class Orders:
    """What a guard runs and how it cleans up.

    Attributes:
        steps: command lines, run one after the other; the last is the one that stays.
        ends_by: name of the signal that asks the programs to end.
        user, group: numbers of the account to run as, or None for our own.
        remove: directories to remove afterwards.
        environment: all that the programs see of an environment.
    """

    steps: Sequence[Sequence[str]]
    ends_by: str = "SIGTERM"
    user: int | None = None
    group: int | None = None
    remove: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


class Guarded:
    """Programs that run under guard. :meth:`stop` ends them; so does the end of this process."""

    def __init__(self, orders: Orders) -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed by stop()
        self._guard = subprocess.Popen(  # noqa: S603  our own file, run by our own interpreter
            [sys.executable, "-I", __file__, json.dumps(asdict(orders))],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )

    @property
    def ended(self) -> bool:
        return self._guard.poll() is not None

    def complaint(self) -> str:
        """The line that says what went wrong: the first that speaks of an error, else the last."""
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), 8192, max(0, size - 8192))
        lines = tail.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        return next((line for line in lines if _COMPLAINS.search(line)), lines[-1]).strip()

    def stop(self) -> None:
        """Ends the programs and waits until they and their directories are gone. Repeatable."""
        if self._guard.stdin is not None:
            self._guard.stdin.close()
        try:
            self._guard.wait(timeout=PATIENCE_S + 2)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()
        self._log.close()


def _guard(orders: Orders) -> int:
    """Runs the steps until one fails, the last ends, or standard input closes."""
    wakeup, waker = os.pipe()
    for end in (wakeup, waker):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    for name in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(name, lambda *_: None)
    code = 0
    try:
        for step in orders.steps:
            code = _run(step, orders, wakeup)
            if code:
                break
    finally:
        for directory in orders.remove:
            shutil.rmtree(directory, ignore_errors=True)
    return code


def _run(step: Sequence[str], orders: Orders, wakeup: int) -> int:
    ends_by = signal.Signals[orders.ends_by]
    child = subprocess.Popen(  # noqa: S603  the command line comes from our parent
        step,
        stdin=subprocess.DEVNULL,
        user=orders.user,
        group=orders.group,
        extra_groups=None if orders.user is None else [],
        env=dict(orders.environment),
        cwd="/",
        preexec_fn=_die_with_parent(ends_by),  # noqa: PLW1509  this process has one thread
    )
    with contextlib.suppress(ProcessLookupError):
        while child.poll() is None:
            ready, _, _ = select.select([sys.stdin.fileno(), wakeup], [], [])
            if sys.stdin.fileno() in ready or signal.SIGTERM in _signals(wakeup, ready):
                return _end(child, ends_by)
    return child.returncode


def _signals(wakeup: int, ready: Sequence[int]) -> bytes:
    return os.read(wakeup, 64) if wakeup in ready else b""


def _end(child: subprocess.Popen[bytes], ends_by: signal.Signals) -> int:
    child.send_signal(ends_by)
    try:
        child.wait(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    return 128 + ends_by


def _die_with_parent(ends_by: signal.Signals) -> Callable[[], None] | None:
    """Linux alone can also end the programs of a guard that was itself killed."""
    if sys.platform != "linux":
        return None
    prctl, set_pdeathsig = ctypes.CDLL(None).prctl, 1
    return lambda: prctl(set_pdeathsig, int(ends_by))


def wait_until(ready: Callable[[], bool], *, seconds: float, pause_s: float = 0.02) -> bool:
    """Asks ``ready`` until it says yes; False when it has not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause_s)
    return True


def removable(parent: Path | None, *, prefix: str) -> Path:
    """A new directory that other accounts may enter, below ``parent`` or the system's own place."""
    directory = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    directory.chmod(0o711)
    return directory


if __name__ == "__main__":
    sys.exit(_guard(Orders(**json.loads(sys.argv[1]))))
