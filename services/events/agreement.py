"""How far a restored database and what was published say the same of each member.

What the database knows and had not published when it was backed up waits in its outbox. So what was
published of it later must be found there, byte for byte. What is not was never the database's past:
a server that had not noticed the restore yet has recorded something else in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.events import outbox
from services.events.outbox import Standing
from services.events.published import Published, digest
from services.events.publishing import outgoing


async def last_agreed(
    connection: Any, published: Published, known: Mapping[str, int], *, source: str, tidied: bool
) -> dict[str, int]:
    """The last seq, by member, of which both say the same.

    Args:
        published: what the database does not know to be published.
        known: the last seq of each member in the database.
        source: of the events.
        tidied: a recovery that was cut off has taken out of the outbox what it found to agree.
    """
    asked = {each for each in published.beyond if each.n >= 0 and each.seq <= known[each.member]}
    rows = await outbox.events_at(connection, {(each.member, each.seq) for each in asked})
    waiting = {(row.member_id, row.seq, row.n): row for row in rows}
    places = {(row.member_id, row.seq) for row in rows}
    agreed = dict(known)
    for each in asked:
        row = waiting.get(each[1:])
        if row is None:
            same = tidied and (each.member, each.seq) not in places
        else:
            value = outgoing(row, Standing(each.incarnation, 0), source).value
            same = digest(value) == published.beyond[each]
        if not same:
            agreed[each.member] = min(agreed[each.member], each.seq - 1)
    return agreed
