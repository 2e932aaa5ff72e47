"""What changes from one release to the next, in the words of who operates it.

    apt        libssl3 (amd64)  3.0.16-1 -> 3.0.17-1
    images     base.raw  changed, 1.3 GB -> 1.4 GB
    documents  howto.html  added, 14 KB

Packages are told by their names: a new version is a new file, and nobody wants to read that one file was
removed and another added. What is held or a delta counts as what it becomes: how it travels is no change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import unquote

from airgap_bundle.content import Content, Entry
from airgap_bundle.errors import printable
from airgap_bundle.sizes import words

_DEB = re.compile(r"([a-z0-9][a-z0-9+.-]+)_([A-Za-z0-9.+~%:-]+)_([a-z0-9-]+)\.u?deb")
"""NAME_VERSION_ARCHITECTURE.deb (Debian Policy 5.6); an epoch's colon may stand as %3a."""
_WHEEL = re.compile(r"([A-Za-z0-9_.]+)-([A-Za-z0-9_.!+]+)(?:-\d[^-]*)?-([^-]+)-([^-]+)-([^-]+)\.whl")
"""NAME-VERSION(-BUILD)-PYTHON-ABI-PLATFORM.whl (the wheel specification of PyPA)."""


class Package(NamedTuple):
    """A package in some versions before and after."""

    name: str
    """With its architecture, such as `libssl3 (amd64)`."""
    old: tuple[str, ...]
    """Versions before; empty when it is new."""
    new: tuple[str, ...]
    """Versions after; empty when it is gone."""
    old_size: int
    """Bytes."""
    new_size: int


@dataclass
class PartDiff:
    """What changes in one part."""

    packages: list[Package] = field(default_factory=list)
    added: list[Entry] = field(default_factory=list)
    removed: list[Entry] = field(default_factory=list)
    changed: list[tuple[Entry, Entry]] = field(default_factory=list)
    """Before and after, of one path."""
    same: int = 0
    """Entries that stay as they are."""

    @property
    def anything(self) -> bool:
        """Whether anything changes."""
        return bool(self.packages or self.added or self.removed or self.changed)


@dataclass(frozen=True)
class Diff:
    """What changes between two releases, by part."""

    parts: dict[str, PartDiff]

    @property
    def anything(self) -> bool:
        """Whether anything changes."""
        return any(part.anything for part in self.parts.values())

    def to_text(self) -> str:
        """For people: one line a change, parts and names aligned."""
        rows = [(name, *row) for name, part in self.parts.items() for row in _rows(part)]
        if not rows:
            return "Nothing changes.\n"
        wide = [max(len(row[column]) for row in rows) for column in (0, 1)]
        lines = []
        for number, (part, name, change) in enumerate(rows):
            first = part if number == 0 or rows[number - 1][0] != part else ""
            lines.append(f"{first:<{wide[0]}}  {name:<{min(wide[1], 60)}}  {change}")
        return "\n".join(lines) + "\n"

    def to_value(self) -> dict[str, Any]:
        """For scripts."""
        return {name: _value(part) for name, part in self.parts.items() if part.anything}


def diff(old: Content | None, new: Content) -> Diff:
    """What `new` changes; `old` is None where nothing was there before."""
    before = {entry.path: entry for entry in old.entries} if old else {}
    parts: dict[str, PartDiff] = {}
    for entry in new.entries:
        part = parts.setdefault(entry.part, PartDiff())
        was = before.pop(entry.path, None)
        if was is None:
            part.added.append(entry)
        elif was.sha256 != entry.sha256:
            part.changed.append((was, entry))
        else:
            part.same += 1
    for entry in before.values():
        parts.setdefault(entry.part, PartDiff()).removed.append(entry)
    for part in parts.values():
        _gather_packages(part)
    return Diff(dict(sorted(parts.items())))


def package_of(path: str) -> tuple[str, str] | None:
    """Name and version of the Debian package or wheel at `path`, from its file name; None for other files."""
    file = path.rpartition("/")[2]
    if found := _DEB.fullmatch(file):
        return f"{found[1]} ({found[3]})", unquote(found[2])
    if found := _WHEEL.fullmatch(file):
        platform = "" if found[5] == "any" else f" ({found[5]})"
        return re.sub(r"[-_.]+", "-", found[1]).lower() + platform, found[2]
    return None


def _gather_packages(part: PartDiff) -> None:
    """Take packages out of what was added and removed."""
    versions: dict[str, tuple[list[Entry], list[Entry]]] = {}
    for side, entries in enumerate((part.removed, part.added)):
        for entry in entries:
            if (package := package_of(entry.path)) is not None:
                versions.setdefault(package[0], ([], []))[side].append(entry)
    gathered = {entry.path for sides in versions.values() for entries in sides for entry in entries}
    part.added = [entry for entry in part.added if entry.path not in gathered]
    part.removed = [entry for entry in part.removed if entry.path not in gathered]
    for name, (gone, come) in sorted(versions.items()):
        part.packages.append(
            Package(name, _versions(gone), _versions(come), _sum(gone), _sum(come)),
        )


def _versions(entries: Iterable[Entry]) -> tuple[str, ...]:
    found = (package_of(entry.path) for entry in entries)
    return tuple(sorted({package[1] for package in found if package}))


def _sum(entries: Iterable[Entry]) -> int:
    return sum(entry.size for entry in entries)


def _rows(part: PartDiff) -> Iterable[tuple[str, str]]:
    for package in part.packages:
        old, new = ", ".join(package.old), ", ".join(package.new)
        if old and new:
            yield printable(package.name), f"{old} -> {new}"
        elif new:
            yield printable(package.name), f"{new} added, {words(package.new_size)}"
        else:
            yield printable(package.name), f"{old} removed, {words(package.old_size)}"
    for was, entry in part.changed:
        yield _short(entry), f"changed, {words(was.size)} -> {words(entry.size)}"
    for entry in part.added:
        yield _short(entry), f"added, {words(entry.size)}"
    for entry in part.removed:
        yield _short(entry), f"removed, {words(entry.size)}"


def _short(entry: Entry) -> str:
    """The path within its part."""
    return printable(entry.path.partition("/")[2])


def _value(part: PartDiff) -> dict[str, Any]:
    def about(entry: Entry) -> dict[str, Any]:
        return {"path": entry.path, "sha256": entry.sha256, "size": entry.size}

    return {
        "added": [about(entry) for entry in part.added],
        "changed": [{"new": about(new), "old": about(old)} for old, new in part.changed],
        "packages": [
            {
                "name": package.name,
                "new": list(package.new),
                "new_size": package.new_size,
                "old": list(package.old),
                "old_size": package.old_size,
            }
            for package in part.packages
        ],
        "removed": [about(entry) for entry in part.removed],
        "same": part.same,
    }
