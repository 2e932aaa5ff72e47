"""Shapes: what a value in a recipe may be. One description reads the value and writes the JSON schema.

    Record(Image, {"image": Field(Text(...), "name[:tag]@digest"), "layout": Field(FilePath(), "...", None)})

Reading goes on after something wrong, so that a person sees all of it at once; a value that is wrong reads as
`WRONG`, and its finding is in the reporter.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from airgap_bundle.recipe_yaml import Node, describe
from airgap_bundle.sources.errors import Wrong

WRONG: Any = object()
"""Reads as this: it was reported."""
REQUIRED: Any = object()
"""The default of a field that has to be there."""


@dataclass
class Reporter:
    """Collects what is wrong."""

    found: list[Wrong] = field(default_factory=list)

    def wrong(self, node: Node, message: str, remedy: str) -> Any:
        """Report about `node`; returns `WRONG`."""
        self.found.append(Wrong(node.line, message, remedy, node.column))
        return WRONG


class Shape(Protocol):
    """How one value reads."""

    def read(self, node: Node, label: str, reporter: Reporter) -> Any:
        """The value, or `WRONG`; `label` is what people call it."""

    def schema(self) -> dict[str, Any]:
        """Its JSON schema."""


Check = Callable[[str], tuple[str, str] | None]
"""What is wrong with a text and its remedy, or None."""


@dataclass(frozen=True)
class Text:
    """Text of one form. `must` ends the sentence "... must be"."""

    pattern: str
    must: str
    example: str
    check: Check | None = None
    """A closer look than the pattern's, made before it."""

    def read(self, node: Node, label: str, reporter: Reporter) -> Any:
        """The text."""
        if node.kind in ("list", "mapping", "nothing"):
            return reporter.wrong(
                node, f"{label} is {describe(node)}, must be {self.must}", f"Example: {self.example}"
            )
        text = str(node.value)
        if node.kind != "text" and not re.fullmatch("[0-9a-f]{64}", text):  # a digest is clear without quotes
            return reporter.wrong(
                node,
                f"{label} is {describe(node)}, which YAML readers do not take for text",
                f'Put it in quotes: "{text}".',
            )
        if self.check and (complaint := self.check(text)):
            return reporter.wrong(node, f"{label} {complaint[0]}", complaint[1])
        if not re.fullmatch(self.pattern, text) or not text.isprintable():
            return reporter.wrong(
                node, f"{label} is {describe(node)}, must be {self.must}", f"Example: {self.example}"
            )
        return text

    def schema(self) -> dict[str, Any]:
        """A string of the pattern."""
        return {"type": "string", "pattern": f"^(?:{self.pattern})$", "examples": [self.example]}


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    words: tuple[str, ...]

    def read(self, node: Node, label: str, reporter: Reporter) -> Any:
        """The word."""
        if node.kind == "text" and node.value in self.words:
            return node.value
        near = difflib.get_close_matches(str(node.value), self.words, 1) if node.kind == "text" else []
        return reporter.wrong(
            node,
            f"{label} is {describe(node)}, must be {either(self.words)}",
            f"Did you mean '{near[0]}'?" if near else f"Write one of them, such as {self.words[0]}.",
        )

    def schema(self) -> dict[str, Any]:
        """An enumeration."""
        return {"enum": list(self.words)}


@dataclass(frozen=True)
class Truth:
    """true or false."""

    def read(self, node: Node, label: str, reporter: Reporter) -> Any:
        """The truth."""
        if node.kind == "truth":
            return node.value == "true"
        return reporter.wrong(
            node, f"{label} is {describe(node)}, must be true or false", "Write true or false."
        )

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Days:
    """A number of days, written `30 days`."""

    most: int = 3650

    def read(self, node: Node, label: str, reporter: Reporter) -> Any:
        """The number."""
        found = re.fullmatch(r"([1-9][0-9]{0,4}) days?", str(node.value)) if node.kind == "text" else None
        if found and int(found[1]) <= self.most:
            return int(found[1])
        return reporter.wrong(
            node,
            f"{label} is {describe(node)}, must be a number of days up to {self.most}",
            "Example: 30 days",
        )

    def schema(self) -> dict[str, Any]:
        """A string such as `30 days`."""
        return {"type": "string", "pattern": "^[1-9][0-9]{0,4} days?$", "examples": ["30 days"]}


@dataclass(frozen=True)
class ListOf:
    """A list without repetitions; at least one item. `thing` names an item."""

    item: Shape
    thing: str

    def read(self, node: Node, label: str, reporter: Reporter) -> Any:
        """The items as a tuple."""
        if node.kind != "list":
            return reporter.wrong(
                node,
                f"{label} is {describe(node)}, must be a list",
                f"Write each {self.thing} on a line of its own that begins with '- '.",
            )
        assert isinstance(node.value, list)
        if not node.value:
            return reporter.wrong(
                node, f"{label} is an empty list", f"Name at least one {self.thing}, or remove the key."
            )
        items: list[Any] = []
        for number, below in enumerate(node.value, 1):
            item = self.item.read(below, f"{self.thing} {number} of {label}", reporter)
            if item is not WRONG and item in items:
                reporter.wrong(
                    below, f"{self.thing} {number} of {label} stands there twice", "Remove one of the two."
                )
            items.append(item)
        return WRONG if WRONG in items else tuple(items)

    def schema(self) -> dict[str, Any]:
        """An array."""
        return {"type": "array", "minItems": 1, "uniqueItems": True, "items": self.item.schema()}


@dataclass(frozen=True)
class Field:
    """One key of a mapping: its shape, what it is for, and what it is when absent."""

    shape: Shape
    about: str
    default: Any = REQUIRED


@dataclass(frozen=True)
class Record:
    """A mapping with known keys, made into `make(**values)`."""

    make: Callable[..., Any]
    fields: Mapping[str, Field]
    one_of: tuple[str, ...] = ()
    """Of these keys, at least one has to be there."""

    def read(self, node: Node, label: str, reporter: Reporter) -> Any:
        """What `make` makes of it."""
        if node.kind != "mapping":
            keys = ", ".join(self.fields)
            return reporter.wrong(
                node,
                f"{label} is {describe(node)}, must be a mapping",
                f"Write 'key: value' lines; keys are {keys}.",
            )
        assert isinstance(node.value, dict)
        inner = "" if label == TOP else f" of {label}"
        values: dict[str, Any] = {}
        for key, below in node.value.items():
            if key in self.fields:
                values[key] = self.fields[key].shape.read(below, f"{key}{inner}", reporter)
            else:
                self._unknown(node, key, label, reporter)
                values[key] = WRONG
        for key, known in self.fields.items():
            if key not in values:
                values[key] = known.default
                if known.default is REQUIRED:
                    reporter.wrong(
                        node, f"{key}{inner} is missing", f"Add the line '{key}: ...', {known.about}."
                    )
                    values[key] = WRONG
        if self.one_of and not any(key in node.value for key in self.one_of):
            reporter.wrong(node, f"{label} has none of {either(self.one_of)}", "Add one of them.")
            return WRONG
        return WRONG if any(value is WRONG for value in values.values()) else self.make(**values)

    def _unknown(self, node: Node, key: str, label: str, reporter: Reporter) -> None:
        line, column = node.keys[key]
        near = difflib.get_close_matches(key, self.fields, 1)
        reporter.wrong(
            Node(line, column, key),
            f"{label} has no key '{key}'",
            f"Did you mean '{near[0]}'?" if near else f"Keys are {', '.join(self.fields)}.",
        )

    def schema(self) -> dict[str, Any]:
        """An object."""
        made: dict[str, Any] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {k: {"description": f.about, **f.shape.schema()} for k, f in self.fields.items()},
        }
        if required := [key for key, known in self.fields.items() if known.default is REQUIRED]:
            made["required"] = required
        if self.one_of:
            made["anyOf"] = [{"required": [key]} for key in self.one_of]
        return made


TOP = "a recipe"
"""What people call the whole file."""


@dataclass(frozen=True)
class Short:
    """A shape that may be written as a bare text instead of a mapping: `make(text)`."""

    text: Text
    make: Callable[[str], Any]
    long: Record

    def read(self, node: Node, label: str, reporter: Reporter) -> Any:
        """Either form, as the same thing."""
        if node.kind in ("list", "mapping", "nothing"):
            return self.long.read(node, label, reporter)
        text = self.text.read(node, label, reporter)
        return WRONG if text is WRONG else self.make(text)

    def schema(self) -> dict[str, Any]:
        """A string or an object."""
        return {"anyOf": [self.text.schema(), self.long.schema()]}


def either(words: tuple[str, ...]) -> str:
    """`a, b or c`."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))
