"""What runs for every batch finds its rows by index, also with a plan made for empty tables."""

from __future__ import annotations

import re
from collections.abc import Iterator

import asyncpg

from services.loyalty.db import session, single


def _hot() -> Iterator[tuple[str, str]]:
    """Every statement of the hot path, by a name."""
    for name, text in vars(session).items():
        if name.isupper() and isinstance(text, str) and "$1" in text:
            yield name, text
    yield "read_one", single._READ
    everything = tuple(single._STATEMENTS)
    yield "write_one", single._statement(everything)
    for statement in single._STATEMENTS.values():
        yield statement.name, statement.alone()


async def test_no_statement_of_the_hot_path_reads_a_table_whole(
    connection: asyncpg.Connection,
) -> None:
    hot = dict(_hot())
    assert {"_ACCOUNTS", "_LOCK", "_RECEIPTS", "_RECORDED", "account", "unparked"} <= hot.keys()
    for name, text in hot.items():
        prepared = f"hot_{name.lower()}"
        await connection.execute(f"PREPARE {prepared} AS {text}")
        nothing = ", ".join("NULL" for _ in range(_parameters(text)))
        rows = await connection.fetch(f"EXPLAIN EXECUTE {prepared}({nothing})")
        plan = "\n".join(row[0] for row in rows)
        whole = re.findall(r"Seq Scan on \w+|(?:Hash|Merge) .*Join", plan)
        assert not whole, f"{name}: {whole}\n{plan}"


def _parameters(text: str) -> int:
    return max(int(number) for number in re.findall(r"\$(\d+)", text))
