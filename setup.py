"""Compiles the modules that every event passes through, where that is asked for.

Everything runs as it is written, without a compiler. With LOYALTY_COMPILE=1, mypy and a C compiler
(`make compiled`, and the image of the Dockerfile), mypyc turns these typed modules into extension
modules of the same behaviour, which decide in half the time. The same tests pass on both, but for
those that put a failing function in the place of one that is compiled.

No coroutine that handles exceptions (``try``, ``with``) is among them: what is suspended while it
handles one is where compiled code differs most from the interpreter.
"""

import os

from setuptools import setup

NAMES = """
    accrual basket calendar candidates catalogue chain conditions counters daily decide decision
    draft earning envelope ledger level_gifts lots member_id membership moments occasion
    periods program purchases refunds refusal shares spending status ticks tiers
"""
HOT = [
    *(f"services/loyalty/domain/{name}.py" for name in NAMES.split()),
    "services/loyalty/application/batch.py",
    "services/loyalty/application/bodies.py",
    "services/loyalty/application/facts.py",
    "services/loyalty/application/intake.py",
    "services/loyalty/application/programs.py",
    "services/loyalty/application/store.py",
    "services/loyalty/db/rows.py",
    "services/events/inbox.py",
    "services/events/reading.py",
]


def extensions() -> list[object]:
    """The hot modules as extensions, none where compiling was not asked for."""
    if os.environ.get("LOYALTY_COMPILE") != "1":
        return []
    from mypyc.build import mypycify  # noqa: PLC0415  only who compiles needs it

    return list(mypycify(HOT, opt_level="3", debug_level="0"))


setup(ext_modules=extensions())
