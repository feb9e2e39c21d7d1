"""What support sees: the story of the member who once earned more than anybody, by `explain`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console, Group
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from services.demo.stage import Stage
from services.loyalty.application.story.languages import language
from services.loyalty.application.story.shown import as_lines, as_values
from services.loyalty.application.story.telling import Explained, tell
from services.loyalty.db.stories import load_journal

_WHO = """
SELECT member_id, seq FROM ledger WHERE kind = 'accrual'
ORDER BY points DESC, member_id, seq LIMIT 1
"""
AFTERWARDS = 1
"""So many activities are told after the one that earned so much."""


@dataclass(frozen=True, slots=True)
class Biography:
    """The activity by which somebody earned most, and what came right before and after it."""

    member: str
    told: list[Explained]

    def plain(self) -> dict[str, Any]:
        """The same in English, for JSON."""
        english = language("en")
        return {
            "member": self.member,
            "items": [as_values(each, english) for each in self.told],
        }


async def read_a_life(stage: Stage) -> Biography:
    """Has the story told of the member who earned most at once."""
    member, seq = await stage.owner.fetchrow(_WHO)
    rows = await load_journal(stage.owner, member, seq + AFTERWARDS)
    versions = {program.version: program for program in stage.deployment.programs}
    told = tell(rows, versions, wanted=lambda each: each.row.seq >= seq - 1, brief=True)
    return Biography(member, list(told))


def show_a_life(console: Console, life: Biography) -> None:
    """Tells it in English, and how it ends in Chinese too."""
    english, chinese = language("en"), language("zh-Hans")
    lines = [*as_lines(life.told, english), *as_lines(life.told[-1:], chinese)]
    told = Group(*(_indented(line) for line in lines))
    console.print(Panel(told, title=f"loyalty explain member {life.member}", box=box.ROUNDED))


def _indented(line: str) -> Padding:
    """A line whose continuation stands under its beginning."""
    text = line.lstrip()
    return Padding(Text(text), (0, 0, 0, len(line) - len(text)))
