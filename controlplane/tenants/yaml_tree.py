"""YAML as plain data with the line of every key and value; what YAML readers disagree about is refused.

Read from the parser's events, so that a document is refused while it is read: no anchor is ever expanded,
no object is ever made from a tag, and depth and size are bounded before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, NamedTuple

import yaml

from controlplane.tenants.words import Path, label, quoted
from controlplane.tenants.yaml_syntax import plainly

DEEPEST = 12
MOST_NODES = 50_000

_THIS = "\0"
"""In a sentence: what contains the thing, named when the whole tree is known. Never in a decoded text."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Place(NamedTuple):
    """A position in a text; the first line and column are 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Odd:
    """A plain value that YAML readers disagree about, as it is written. No model accepts one."""

    text: str
    why: str

    def __str__(self) -> str:
        return self.text


class Trouble(NamedTuple):
    """Something wrong with the YAML itself."""

    place: Place
    path: Path
    message: str
    remedy: str


@dataclass
class Tree:
    """What a YAML text says, where each part stands and how each scalar is written."""

    value: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    troubles: list[Trouble] = field(default_factory=list)
    broken: bool = False
    """The text could not be read to its end."""
    shortened: bool = False
    """Anchors, aliases or merge keys stand for values: the tree is not what the writer means."""

    def place(self, path: Path) -> Place:
        """Where the thing at `path` stands; a missing thing is at what should contain it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(1, 1))


def compose(text: str) -> Tree:
    """The tree of `text`, one YAML document. Never raises: what is wrong is in `troubles`."""
    tree = Tree()
    composer = _Composer(text, tree)
    try:
        composer.document()
    except _Stop as stop:
        tree.broken = True
        tree.troubles.append(Trouble(stop.place, (), stop.message, stop.remedy))
    except yaml.YAMLError as error:
        tree.broken = True
        line, column, message, remedy = plainly(error, text)
        tree.troubles.append(Trouble(Place(line, column), (), message, remedy))
    for within, trouble in composer.later:
        tree.troubles.append(
            trouble._replace(message=trouble.message.replace(_THIS, label(tree.value, within)))
        )
    return tree


class _Stop(Exception):
    """Reading on makes no sense."""

    def __init__(self, place: Place, message: str, remedy: str) -> None:
        self.place, self.message, self.remedy = place, message, remedy


class _Composer:
    """From events to plain data. Recursion is bounded by `DEEPEST`."""

    def __init__(self, text: str, tree: Tree) -> None:
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=_Loader))
        self.tree = tree
        self.nodes = 0
        self.shortcuts: set[str] = set()
        self.later: list[tuple[Path, Trouble]] = []
        """Troubles that name what contains them: told when the whole tree is known."""

    def document(self) -> None:
        """Read the one document."""
        next(self.events)  # the stream's start
        start = next(self.events)
        if not isinstance(start, yaml.DocumentStartEvent):
            raise _Stop(Place(1, 1), "the file is empty", "Begin with a line such as 'tenant: ministry'.")
        if start.version or start.tags:
            self._trouble(
                start,
                (),
                "a '%' directive stands before the document",
                "Remove the line that begins with '%'.",
            )
        self.tree.value = self._node(next(self.events), (), 1)
        next(self.events)  # the document's end
        after = next(self.events)
        if isinstance(after, yaml.DocumentStartEvent):
            raise _Stop(
                _place(after),
                "a second document begins here",
                "Write one tenant a file: remove the '---' line and move what follows to a file of its own.",
            )

    def _node(self, event: Any, path: Path, depth: int) -> Any:
        self.nodes += 1
        place = _place(event)
        if self.nodes > MOST_NODES:
            raise _Stop(
                place,
                f"the file has more than {MOST_NODES:,} values".replace(",", " "),
                "Remove what is not needed: a tenant needs a few hundred.",
            )
        self.tree.places.setdefault(path, place)
        if isinstance(event, yaml.AliasEvent):
            self._shortcut(
                event,
                path,
                f"the alias '*{event.anchor}' stands for a value",
                "Write the value out; a value that begins with '*' needs quotes.",
            )
            return Odd(f"*{event.anchor}", "alias")
        self._refuse_anchor_and_tag(event, path)
        if isinstance(event, yaml.ScalarEvent):
            self.tree.written[path] = event.value
            return scalar(event.value) if not event.style else event.value
        if depth > DEEPEST:
            raise _Stop(
                place,
                f"values are nested more than {DEEPEST} deep",
                "Check the indentation and the brackets: no part of a tenant is nested that deep.",
            )
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path, depth)
        return self._mapping(path, depth)

    def _refuse_anchor_and_tag(self, event: Any, path: Path) -> None:
        if event.anchor is not None:
            self._shortcut(
                event,
                path,
                f"the anchor '&{event.anchor}' marks a value",
                "Remove it and write each value out; a value that begins with '&' needs quotes.",
            )
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._trouble(
                event,
                path,
                f"the tag {quoted(tag)} changes what a value is",
                "Remove it: text in quotes is text, anything else is what it looks like.",
            )

    def _sequence(self, path: Path, depth: int) -> list[Any]:
        items: list[Any] = []
        for event in self.events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._node(event, (*path, len(items)), depth + 1))
        return items

    def _mapping(self, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        seen: dict[str, Place] = {}
        for event in self.events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, path, depth)
            if key is None:
                self._node(next(self.events), (*path, ""), depth + 1)
                continue
            place = _place(event)
            below = (*path, key)
            if key in seen:
                first = seen[key].line
                self._trouble_within(
                    place,
                    path,
                    below,
                    f"the key {quoted(key)} stands twice in {_THIS}, first on line {first}",
                    "Remove one of the two.",
                )
                self._node(next(self.events), (*below, ""), depth + 1)
                continue
            seen[key] = place
            self.tree.places[below] = place
            found[key] = self._node(next(self.events), below, depth + 1)
        return found

    def _key(self, event: Any, path: Path, depth: int) -> str | None:
        """The key that `event` begins; None when it is none, which is told."""
        if not isinstance(event, yaml.ScalarEvent):
            if isinstance(event, yaml.AliasEvent):
                what = f"the alias '*{event.anchor}'"
            else:
                what = "a list" if isinstance(event, yaml.SequenceStartEvent) else "a mapping"
                self._node(event, (*path, ""), depth + 1)
            self._trouble_within(
                _place(event),
                path,
                path,
                f"a key in {_THIS} is {what}",
                "Write a word and a colon; put text that has brackets in quotes.",
            )
            return None
        self._refuse_anchor_and_tag(event, (*path, event.value))
        self.nodes += 1
        value = scalar(event.value) if not event.style else event.value
        if not event.style and event.value == "<<":
            self._shortcut(
                event,
                path,
                "the merge key '<<' copies values",
                "Write the values out where they apply.",
            )
            return None
        if not isinstance(value, str):
            shown = event.value or "nothing"
            self._trouble_within(
                _place(event),
                path,
                (*path, ""),
                f"the key {quoted(shown)} in {_THIS} is not text",
                f'Put it in quotes: "{event.value}".' if event.value else "Write a word before the colon.",
            )
            return None
        return value

    def _trouble(self, event: Any, path: Path, message: str, remedy: str) -> None:
        self.tree.troubles.append(Trouble(_place(event), path, message, remedy))

    def _shortcut(self, event: Any, path: Path, message: str, remedy: str) -> None:
        """An anchor, alias or merge key: told once each, however often a bomb repeats them."""
        kind = message.split("'")[0]
        if kind not in self.shortcuts:
            self._trouble(event, path, message, remedy)
        self.shortcuts.add(kind)
        self.tree.shortened = True

    def _trouble_within(self, place: Place, within: Path, path: Path, sentence: str, remedy: str) -> None:
        self.later.append((within, Trouble(place, path, sentence, remedy)))


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


# --- plain scalars --------------------------------------------------------------------------------------

_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_OCTAL = re.compile(r"[-+]?0[0-9_]+")
_BASED = re.compile(r"[-+]?0(?:x[0-9a-fA-F_]+|o[0-7_]+|b[01_]+)")
_UNDERSCORED = re.compile(r"[-+]?[0-9]+(?:_[0-9_]*)+(?:\.[0-9_]*)?")
_SIXTIES = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}.*")
_YES_NO = frozenset(
    w for word in ("yes", "no", "on", "off", "y", "n") for w in (word, word.upper(), word.title())
)


def scalar(text: str) -> Any:
    """What a value without quotes is; `Odd` where versions of YAML disagree.

    >>> scalar("4711"), scalar("true"), scalar("prod"), scalar("no").why, scalar("0644").why
    (4711, True, 'prod', 'yes-no', 'octal')
    """
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text[0] in "tT"
    if text in _YES_NO:
        return Odd(text, "yes-no")
    if text[0] not in "0123456789+-.":
        return text
    if _DECIMAL.fullmatch(text):
        return int(text) if len(text) <= 20 else Odd(text, "huge")
    if _DATE.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            return text  # 2027-13-45: text, which no date accepts
    if _TIME.fullmatch(text):
        return Odd(text, "time")
    for pattern, why in (
        (_OCTAL, "octal"),
        (_BASED, "number"),
        (_UNDERSCORED, "number"),
        (_SIXTIES, "sixties"),
    ):
        if pattern.fullmatch(text):
            return Odd(text, why)
    if _FLOAT.fullmatch(text) or _INFINITE.fullmatch(text):
        return Odd(text, "fraction")
    return text
