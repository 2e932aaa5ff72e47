"""YAML as a tree in which every part knows its line; what YAML readers disagree about is refused.

Read from the parser's events, so that a file is refused while it is read: no anchor is expanded, no object is
made from a tag, and depth and number of values are bounded before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from airgap_bundle.sources.errors import RecipeInvalid, Wrong

LARGEST = 1024 * 1024
"""Bytes. A recipe of a thousand packages has about 30 KiB."""
DEEPEST = 10
MOST_NODES = 50_000
MOST_FINDINGS = 50

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
"""Control characters, line breaks that editors do not count, and marks that reverse text."""


@dataclass
class Node:
    """One value of the file: text, a list or a mapping, and where it stands."""

    line: int
    column: int
    value: str | list[Node] | dict[str, Node]
    kind: str = "text"
    """What an unquoted value looks like to YAML: text, number, truth, word (yes, no, on, off),
    nothing, date; or list or mapping."""
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of a mapping: where each key stands."""


def read_tree(data: bytes, file: str) -> Node:
    """The mapping that the YAML `data` holds; `file` is only its name, for messages.

    Raises RecipeInvalid: not UTF-8, control characters, broken YAML, anchors, aliases, tags, a key twice,
    more than one document, too large or too deep.
    """
    text = _decode(data, file)
    composer = _Composer(text)
    found = composer.found
    try:
        tree = composer.document()
    except _Stop as stop:
        found.append(stop.wrong)
    except yaml.YAMLError as error:
        found.append(_unreadable(error, text))
    else:
        if tree.kind != "mapping":
            found.append(Wrong(tree.line, f"the file is {describe(tree)}, must be a mapping", _BEGIN))
    if found:
        raise RecipeInvalid(file, found[:MOST_FINDINGS])
    return tree


_BEGIN = "Begin with a line such as 'bundle: zone-updates'."


class _Stop(Exception):
    """Reading on makes no sense."""

    def __init__(self, wrong: Wrong) -> None:
        self.wrong = wrong


class _Composer:
    """From events to nodes. Recursion is bounded by `DEEPEST`."""

    def __init__(self, text: str) -> None:
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=_Loader))
        self.found: list[Wrong] = []
        self.nodes = 0

    def document(self) -> Node:
        """Read the one document."""
        next(self.events)  # the stream's start
        start = next(self.events)
        if not isinstance(start, yaml.DocumentStartEvent):
            raise _Stop(Wrong(1, "the file is empty", _BEGIN))
        if start.version or start.tags:
            self._wrong(
                start,
                "a '%' directive stands before the document",
                "Remove the line that begins with '%'.",
            )
        tree = self._node(next(self.events), 1)
        next(self.events)  # the document's end
        after = next(self.events)
        if isinstance(after, yaml.DocumentStartEvent):
            raise _Stop(
                Wrong(
                    _line(after),
                    "a second document begins here",
                    "Write one recipe a file: move what follows '---' to a file of its own.",
                )
            )
        return tree

    def _node(self, event: Any, depth: int) -> Node:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise _Stop(Wrong(_line(event), f"the file has more than {MOST_NODES} values", "Split it."))
        line, column = _line(event), event.start_mark.column + 1
        if isinstance(event, yaml.AliasEvent):
            self._wrong(
                event,
                f"the alias '*{event.anchor}' stands for a value",
                "Write the value out; a value that begins with '*' needs quotes.",
            )
            return Node(line, column, "")
        if event.anchor is not None:
            self._wrong(
                event,
                f"the anchor '&{event.anchor}' marks a value",
                "Remove it and write each value out; a value that begins with '&' needs quotes.",
            )
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._wrong(
                event, f"the tag '{tag}' changes what a value is", "Remove it; text can stand in quotes."
            )
        if isinstance(event, yaml.ScalarEvent):
            return Node(line, column, event.value, "text" if event.style else looks_like(event.value))
        if depth > DEEPEST:
            raise _Stop(
                Wrong(
                    line,
                    f"values are nested more than {DEEPEST} deep",
                    "Check the indentation and the brackets.",
                )
            )
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(line, column, self._items(depth), "list")
        return self._mapping(line, column, depth)

    def _items(self, depth: int) -> list[Node]:
        items: list[Node] = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, depth + 1))
        return items

    def _mapping(self, line: int, column: int, depth: int) -> Node:
        values: dict[str, Node] = {}
        keys: dict[str, tuple[int, int]] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._node(event, depth + 1)
            value = self._node(next(self.events), depth + 1)
            if not isinstance(key.value, str) or key.kind != "text":
                self._wrong(event, f"a key is {describe(key)}", "Write a word and a colon.")
            elif key.value == "<<":
                self._wrong(
                    event, "the merge key '<<' copies values", "Write the values out where they apply."
                )
            elif key.value in values:
                self._wrong(
                    event,
                    f"the key '{key.value}' stands twice, first on line {keys[key.value][0]}",
                    "Remove one of the two.",
                )
            else:
                values[key.value] = value
                keys[key.value] = key.line, key.column
        return Node(line, column, values, "mapping", keys)

    def _wrong(self, event: Any, message: str, remedy: str) -> None:
        self.found.append(Wrong(_line(event), message, remedy, event.start_mark.column + 1))


def describe(node: Node) -> str:
    """What a value is, for a sentence: `a list`, `the number 7`."""
    if node.kind in ("list", "mapping"):
        return f"a {node.kind}"
    if node.kind == "nothing":
        return "empty"
    shown = str(node.value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return f"the {node.kind} {shown}" if node.kind in ("number", "date") else f"'{shown}'"


_KINDS = {
    "int": "number",
    "float": "number",
    "bool": "word",
    "null": "nothing",
    "timestamp": "date",
}
_NUMBER = re.compile(r"[-+]?(?:0o?[0-7_]+|[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?)")  # what YAML 1.2 adds


def looks_like(text: str) -> str:
    """What some version of YAML takes an unquoted value for: text, number, date ...

    >>> looks_like("openssl"), looks_like("3.11"), looks_like("no"), looks_like("")
    ('text', 'number', 'word', 'nothing')
    """
    if text in ("true", "false"):
        return "truth"
    if text == "<<":
        return "text"  # refused as a key by name
    for tag, pattern in yaml.SafeLoader.yaml_implicit_resolvers.get(text[:1], []):
        if pattern.match(text):
            return _KINDS.get(tag.rpartition(":")[2], "text")
    return "number" if _NUMBER.fullmatch(text) else "text"


def _decode(data: bytes, file: str) -> str:
    if len(data) > LARGEST:
        raise RecipeInvalid(
            file,
            [
                Wrong(
                    1,
                    f"the file has {len(data)} bytes, at most {LARGEST} are read",
                    "Name many files by a glob.",
                )
            ],
        )
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        wrong = Wrong(
            line, f"the byte 0x{data[error.start]:02x} is not UTF-8 text", "Save the file as UTF-8."
        )
        raise RecipeInvalid(file, [wrong]) from None
    found = [
        Wrong(
            text.count("\n", 0, match.start()) + 1,
            f"the character U+{ord(match.group()):04X}, which cannot be seen, stands in the file",
            "Remove it: type the line again.",
        )
        for match, _ in zip(_FORBIDDEN.finditer(text), range(MOST_FINDINGS), strict=False)
    ]
    if found:
        raise RecipeInvalid(file, found)
    return text


_SAID = (
    # what the parser says, what is wrong, remedy
    ("tab character", "a tab stands where only spaces may", "Indent with spaces."),
    (
        "mapping values are not allowed",
        "a second colon or a wrong indentation makes this line unreadable",
        "Put a value that has ': ' in it in quotes, or indent the line like its neighbours.",
    ),
    (
        "could not find expected ':'",
        "a line without a colon stands where 'key: value' is expected",
        "Add the colon.",
    ),
    (
        "did not find expected key",
        "a line is indented differently from the lines it belongs to",
        "Give it the same indentation, with spaces.",
    ),
    ("expected '-' indicator", "a line in a list does not begin with '-'", "Begin each item with '- '."),
    ("',' or ']'", "a '[' is not closed, or a comma is missing", "Close the list with ']'."),
    ("',' or '}'", "a '{' is not closed, or a comma is missing", "Close the mapping with '}'."),
    ("end of stream", "a quote that opens here is never closed", "Close the quote on the same line."),
    (
        "cannot start any token",
        "a value begins with a character that YAML keeps for itself",
        "Put it in quotes.",
    ),
)


def _unreadable(error: yaml.YAMLError, text: str) -> Wrong:
    said = str(getattr(error, "problem", None) or "")
    mark = getattr(error, "problem_mark", None)
    lines = text.split("\n")
    if (
        mark is not None
        and mark.line < len(lines)
        and lines[mark.line][mark.column : mark.column + 1] == "\t"
    ):
        said = "tab character"
    opened = getattr(error, "context_mark", None)
    for part, message, remedy in _SAID:
        if part in said:
            at = (
                opened
                if opened is not None and part in ("end of stream", "',' or ']'", "',' or '}'")
                else mark
            )
            return Wrong((at.line if at else 0) + 1, message, remedy)
    return Wrong(
        (mark.line if mark else 0) + 1,
        "this is not YAML",
        "Check the indentation, the colons and the quotes on this line and the one above.",
    )


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
