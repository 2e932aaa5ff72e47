"""stdout: tables for people, JSON for programs, by the global option `--output`.

    output.table(tenants, [("NAME", "name"), ("STATE", "state"), ("DRIFT", lambda t: t["drift"] or "none")])
    output.show(tenant)

What comes from clouds and hosts cannot forge lines or colours: control characters are escaped.
"""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from airgap_bundle.cli.kit import current
from airgap_bundle.errors import printable

Row = Mapping[str, Any]
Column = tuple[str, str | Callable[[Any], Any]]
"""A title, and the key of the row's value or a function of the row."""

ABSENT = "-"
GAP = "  "


def for_programs() -> bool:
    """Whether stdout is JSON."""
    return current().json


def json(value: Any) -> None:
    """Print `value` as JSON, whatever --output says."""
    print(json_module.dumps(value, indent=2, ensure_ascii=False, default=printable))


def table(rows: Iterable[Row], columns: Sequence[Column], empty: str = "none") -> None:
    """Print one row a line under titles; with --output json, the rows as they are.

    No rows: `empty` on stderr, so that stdout stays what a program expects.
    """
    listed = list(rows)
    if for_programs():
        json(listed)
        return
    if not listed:
        print(empty, file=sys.stderr)
        return
    cells = [[title for title, _ in columns]]
    cells += [[cell(pick(row)) for pick in map(picker, columns)] for row in listed]
    widths = [max(width(line[i]) for line in cells) for i in range(len(columns))]
    for line in cells:
        padded = [text + " " * (wide - width(text)) for text, wide in zip(line, widths, strict=True)]
        print(GAP.join(padded).rstrip())


def show(record: Row, fields: Sequence[Column] | None = None) -> None:
    """Print one record as `Name  value` lines; with --output json, the record as it is.

    Without `fields` every key is shown in its order, `suspended_at` as `Suspended at`; a list of records
    becomes one line each.
    """
    if for_programs():
        json(record)
        return
    chosen = fields or [(key.replace("_", " ").capitalize(), key) for key in record]
    lines: list[tuple[str, str]] = []
    for column in chosen:
        value = picker(column)(record)
        title = column[0]
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            for number, item in enumerate(value):
                lines.append((title if number == 0 else "", cell(item)))
        else:
            lines.append((title, cell(value)))
    wide = max((width(title) for title, _ in lines), default=0)
    for title, text in lines:
        print(f"{title}{' ' * (wide - width(title))}{GAP}{text}".rstrip())


def picker(column: Column) -> Callable[[Any], Any]:
    """How to get a column's value from a row."""
    pick = column[1]
    return (lambda row: row.get(pick)) if isinstance(pick, str) else pick


def cell(value: Any) -> str:
    """One value as one line of text."""
    if value is None or value == "" or value == [] or value == {}:
        return ABSENT
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return " ".join(f"{printable(key)}={cell(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    return moment(printable(value))


def moment(text: str) -> str:
    """`2026-01-01T12:00:00.123456Z` as `2026-01-01 12:00:00 UTC`; anything else as it is."""
    if len(text) >= 20 and text[10] == "T" and text[4] == text[7] == "-" and text[13] == text[16] == ":":
        rest = text[19:].lstrip(".0123456789")
        if rest in ("Z", "+00:00"):
            return f"{text[:10]} {text[11:19]} UTC"
    return text


def width(text: str) -> int:
    """How many columns of a terminal `text` takes."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )
