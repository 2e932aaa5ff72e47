"""Results as a person reads them, or as JSON. stdout is data, stderr is narration."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

Say = Callable[[str], None]
"""Narrates one line."""


@dataclass(frozen=True)
class Aim:
    """What was aimed at, and what was got: `most` bounds it from above, else from below."""

    what: str
    aim: float
    got: float
    most: bool

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.got <= self.aim if self.most else self.got >= self.aim

    def __str__(self) -> str:
        verdict = "met" if self.met else "falls short"
        return f"{self.what}: aim {shown(self.aim)}, got {shown(self.got)}: {verdict}"


@dataclass
class Report:
    """Tables, notes and aims, shown when all is measured and narrated while it is."""

    quiet: bool = False
    tables: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Narrate."""
        if not self.quiet:
            print(f"  {line}", file=sys.stderr, flush=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Add a table; one without rows is left out."""
        if rows:
            self.tables.append(
                {"title": title, "columns": list(columns), "rows": [list(row) for row in rows]}
            )

    def note(self, line: str) -> None:
        """Add a sentence."""
        self.notes.append(line)

    def aim(self, aim: Aim) -> None:
        """Add an aim with what was got."""
        self.aims.append(aim)

    def as_json(self) -> str:
        """Everything as one JSON document."""
        aims = [vars(aim) | {"met": aim.met} for aim in self.aims]
        return json.dumps({"tables": self.tables, "notes": self.notes, "aims": aims}, indent=1)

    def as_text(self) -> str:
        """Everything as text."""
        parts = [aligned(table) for table in self.tables]
        if self.notes:
            parts.append("\n".join(f"note: {note}" for note in self.notes))
        if self.aims:
            parts.append("\n".join(f"aim: {aim}" for aim in self.aims))
        return "\n\n".join(parts)


def ratio(number: float, of: float) -> str:
    """How many times `of`.

    >>> ratio(3.0, 2.0), ratio(1.0, 0.0)
    ('1.50x', '-')
    """
    return f"{number / of:.2f}x" if of else "-"


def shown(cell: object) -> str:
    """A cell: three significant digits for a measured number.

    >>> shown(0.01234), shown(12.34), shown(1234.5), shown(7), shown("x")
    ('0.0123', '12.3', '1234', '7', 'x')
    """
    if not isinstance(cell, float):
        return str(cell)
    if not cell:
        return "0"
    return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:#.3g}"


def aligned(table: dict[str, Any]) -> str:
    """A table with its title; numbers to the right, words to the left."""
    rows = [[shown(cell) for cell in row] for row in table["rows"]]
    numeric = [
        all(isinstance(row[i], int | float) or str(row[i]).endswith(("x", "-")) for row in table["rows"])
        for i in range(len(table["columns"]))
    ]
    widths = [max(len(row[i]) for row in [table["columns"], *rows]) for i in range(len(numeric))]

    def line(cells: Sequence[str]) -> str:
        parts = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(cells, widths, numeric, strict=True))
        return "  ".join(parts).rstrip()

    head = line(table["columns"])
    return "\n".join([table["title"], head, "-" * len(head), *map(line, rows)])
