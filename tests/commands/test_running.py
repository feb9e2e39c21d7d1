"""Running parts in one event loop."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from services.commands.running import run_until_stopped


async def test_a_future_that_a_library_forgot_is_no_traceback_and_a_task_of_ours_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fails() -> None:
        raise OSError("task of ours")

    async def part(_: asyncio.Event) -> None:
        asyncio.get_running_loop().create_future().set_exception(OSError("forgotten"))
        forgotten = asyncio.create_task(fails())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del forgotten
        gc.collect()

    with caplog.at_level(logging.INFO):
        await run_until_stopped({"part": part})
    said = [str(record.exc_info and record.exc_info[1]) for record in caplog.records]
    assert said == ["task of ours"]
