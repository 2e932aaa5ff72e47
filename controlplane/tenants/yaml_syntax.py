"""Syntax errors of YAML in words for people: what the parser says is looked up, and looked at in the text."""

from __future__ import annotations

import re

import yaml

_QUOTES = "Close the quote on the same line; inside single quotes write '' for one '."
_ALIGN = "Give it the same indentation as the lines it belongs to, with spaces."
_NO_COLON = (
    "a line without a colon stands where 'key: value' is expected",
    "Write it as 'key: value', with a space after the colon, or indent it below its key.",
)
_LEFT_OVER = (
    "something stands behind a value that had ended",
    "Check the quotes on this line and on the line above.",
)
_SYNTAX: tuple[tuple[str, str, str], ...] = (
    # what the parser says, what is wrong, remedy
    ("end of stream", "a quote that opens here is never closed", _QUOTES),
    ("document indicator", "a quote that opens here is never closed", _QUOTES),
    ("tab character", "a tab stands where only spaces may", "Indent with spaces."),
    (
        "mapping values are not allowed",
        "a second colon or a wrong indentation makes this line unreadable",
        "Put a value that has ': ' in it in quotes, or indent the line like its neighbours.",
    ),
    ("could not find expected ':'", *_NO_COLON),
    ("did not find expected key", "a line is indented differently from the lines it belongs to", _ALIGN),
    (
        "expected '-' indicator",
        "a line in a list does not begin with '-'",
        "Begin each item of the list with '- '.",
    ),
    (
        "sequence entries are not allowed",
        "a '-' stands where no list can begin",
        "Put the list on lines of its own below the key, each beginning with '- '.",
    ),
    (
        "',' or ']'",
        "a '[' is not closed, or a comma is missing",
        "Close the list with ']' and separate with commas.",
    ),
    (
        "',' or '}'",
        "a '{' is not closed, or a comma is missing",
        "Close the mapping with '}' and separate with commas.",
    ),
    (
        "escape",
        "a backslash in double quotes begins no escape that YAML knows",
        "Use single quotes, in which a backslash is just a backslash.",
    ),
    (
        "hexdecimal number",
        "a backslash in double quotes begins no escape that YAML knows",
        "Use single quotes, in which a backslash is just a backslash.",
    ),
    (
        "alphabetic or numeric character",
        "a value begins with '*' or '&', which YAML keeps for itself",
        "Put the value in quotes.",
    ),
    ("<document start>", "a line is indented differently from the lines above it", _ALIGN),
    ("node content", "a value is missing between brackets or commas", "Remove the extra comma or bracket."),
    ("tag", "a value begins with '!', which YAML keeps for itself", "Put the value in quotes."),
    ("directive", "a '%' directive stands before the document", "Remove the line that begins with '%'."),
    (
        "incompatible YAML",
        "a '%' directive stands before the document",
        "Remove the line that begins with '%'.",
    ),
    (
        "comment or line break",
        "something stands after '|' or '>', which begin text on the next line",
        "Put the text in quotes on one line.",
    ),
    (
        "indentation indicator",
        "something stands after '|' or '>', which begin text on the next line",
        "Put the text in quotes on one line.",
    ),
)

_UNREADABLE = ("this is not YAML", "Check the indentation, the colons and the quotes on this line.")
_OPENED = ("end of stream", "document indicator", "',' or ']'", "',' or '}'", "could not find expected ':'")
"""What is wrong stands where something was opened, not where the parser noticed."""


def plainly(error: yaml.YAMLError, text: str) -> tuple[int, int, str, str]:
    """Line, column, message and remedy of what the parser could not read in `text`."""
    said = str(getattr(error, "problem", None) or "")
    mark = getattr(error, "problem_mark", None)
    start = getattr(error, "context_mark", None)
    if mark is None:
        return (1, 1, *_UNREADABLE)
    lines = re.split(r"\r\n|\r|\n", text)
    before = lines[mark.line][: mark.column] if mark.line < len(lines) else ""
    if "cannot start any token" in said:
        return (mark.line + 1, mark.column + 1, *_strange_start(lines, mark.line, mark.column))
    if "mapping values are not allowed" in said and (line := _without_colon(lines, mark.line)) is not None:
        return (line + 1, 1, *_NO_COLON)
    if "did not find expected key" in said and before.strip(" -"):
        return (mark.line + 1, mark.column + 1, *_LEFT_OVER)
    for part, message, remedy in _SYNTAX:
        if part in said:
            at = start if start is not None and part in _OPENED else mark
            return (at.line + 1, at.column + 1, message, remedy)
    return (mark.line + 1, mark.column + 1, *_UNREADABLE)


def _strange_start(lines: list[str], line: int, column: int) -> tuple[str, str]:
    found = lines[line][column : column + 1] if line < len(lines) else ""
    if found in ("", "\t"):
        return "a tab stands where only spaces may", "Indent with spaces."
    return f"a value begins with '{found}', which YAML keeps for itself", "Put the value in quotes."


def _without_colon(lines: list[str], line: int) -> int | None:
    """The line above `line` when it is a bare word: the parser took both for one text."""
    above = next(
        (n for n in range(line - 1, -1, -1) if lines[n].strip() and not lines[n].lstrip().startswith("#")),
        None,
    )
    return above if above is not None and re.fullmatch(r"(?:[\w .-]|:(?=\w))+", lines[above]) else None
