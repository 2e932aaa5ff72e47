"""How findings speak: one sentence that names the thing and the value, the same everywhere.

A *path* says where something stands in a spec, in the spec's own keys: `("projects", 0, "quota", "class")`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from difflib import get_close_matches
from itertools import islice
from typing import Any

from airgap_bundle.errors import printable

Path = tuple[str | int, ...]

NOUNS: Mapping[str, str] = {
    "projects": "project",
    "networks": "network",
    "subnets": "subnet",
    "ranges": "range",
    "routers": "router",
    "routes": "route",
    "security_groups": "security group",
    "rules": "rule",
    "server_groups": "server group",
    "groups": "group",
    "users": "user",
    "keypairs": "keypair",
    "application_credentials": "application credential",
    "assignments": "assignment",
    "flavors": "flavor",
    "images": "image",
    "volume_types": "volume type",
    "classes": "class",
}
"""What one item of a list is called."""

ABSENT: Any = object()

_LONGEST = 60
_COMPARED = 100
"""Names that a wrong one is compared with: comparing is slow, and nobody reads on."""


def quoted(value: object) -> str:
    """`value` between single quotes, shortened when long."""
    text = str(value)
    return f"'{text[: _LONGEST - 1]}…'" if len(text) > _LONGEST else f"'{text}'"


def listed(names: Iterable[object], last: str = "and") -> str:
    """The names in a row: `a, b and c`."""
    row = [str(name) for name in names]
    return f"{', '.join(row[:-1])} {last} {row[-1]}" if len(row) > 1 else "".join(row)


def count(number: int, noun: str, plural: str = "") -> str:
    """The number with its noun: `1 network`, `2 networks`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    close = get_close_matches(name[:_LONGEST], list(islice(known, _COMPARED)), n=1, cutoff=0.6)
    return close[0] if close else None


def choose(name: str, known: Iterable[str], noun: str, otherwise: str = "") -> str:
    """The remedy for an unknown name: what was probably meant, or what there is."""
    names = sorted(known)
    if close := nearest(name, names):
        return f"Did you mean '{close}'?"
    if names:
        shown = names if len(names) <= 12 else [*names[:12], "…"]
        return f"Write one of the {noun} there are: {', '.join(shown)}."
    return otherwise or f"Add it to the {noun} first."


def describe(value: object) -> str:
    """A value as a person sees it in the file."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true" if value else "false"
        case str():
            return f"the text {quoted(value)}" if value else "an empty text"
        case date():
            return f"the date {value.isoformat()}"
        case int() | float():
            return f"the number {shortened(value)}"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return quoted(value)


def shortened(number: float) -> str:
    """A number, the middle left out when it is very long."""
    text = str(number)
    return text if len(text) <= 24 else f"{text[:12]}…{text[-4:]}"


def label(tree: Any, path: Path) -> str:
    """What stands at `path`, named the way people do: `quota.compute.cores of project prod`.

    >>> label({"projects": [{"name": "prod", "quota": {}}]}, ("projects", 0, "quota", "class"))
    'quota.class of project prod'
    >>> label({}, ("governance", "owner"))
    'owner of governance'
    """
    keys, thing = _split(tree, path)
    if thing:
        return f"{'.'.join(keys)} of {thing}" if keys else thing
    if len(keys) > 1:
        return f"{'.'.join(keys[1:])} of {keys[0]}"
    return keys[0] if keys else "the tenant"


def where(tree: Any, path: Path) -> str:
    """What contains the thing at `path`: `project prod`, `governance`, `the tenant`."""
    return label(tree, path[:-1])


def _split(tree: Any, path: Path) -> tuple[list[str], str]:
    """The keys below the innermost listed thing, and what that thing is called."""
    things: list[str] = []
    keys: list[str] = []
    node = tree
    for step in path:
        node = child(node, step)
        if isinstance(step, str) and keys == ["classes"]:
            things.append(f"class {_plain(step)}")
            keys = []
        elif isinstance(step, str):
            keys.append(step)
        elif keys and keys[-1] in NOUNS and not isinstance(node, str):
            name = child(node, "name")
            noun = NOUNS[keys[-1]]
            things.append(
                f"{noun} {_plain(name)}" if isinstance(name, str) and name else f"{noun} {step + 1}"
            )
            keys = []
    nameless = things[-2:] if things and things[-1].rpartition(" ")[2].isdigit() else things[-1:]
    return keys, " of ".join(reversed(nameless))


def _plain(name: str) -> str:
    return name if len(name) <= _LONGEST and name.isprintable() and " " not in name else quoted(name)


def child(node: Any, step: str | int) -> Any:
    """What `node` has at `step`, or `ABSENT`."""
    if isinstance(node, dict) and isinstance(step, str):
        return node.get(step, ABSENT)
    if isinstance(node, list) and isinstance(step, int) and 0 <= step < len(node):
        return node[step]
    return ABSENT


def at(node: Any, path: Path) -> Any:
    """What stands at `path` below `node`, or `ABSENT`."""
    for step in path:
        node = child(node, step)
    return node


def dotted(path: Path) -> str:
    """A path for programs: `projects[0].quota.class`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{printable(step)}" for step in path).lstrip(
        "."
    )
