"""Debian's control data: package indexes, dependencies, and the control file inside a .deb.

Sources: deb-control(5), deb(5), Debian Policy chapter 7.
"""

from __future__ import annotations

import gzip
import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, NoReturn

import zstandard

from airgap_bundle.sources import versions
from airgap_bundle.sources.errors import NotVouched

LARGEST_INDEX = 512 * 1024 * 1024
LARGEST_CONTROL = 16 * 1024 * 1024

_FIELD = re.compile(r"^([A-Za-z][A-Za-z0-9-]*):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)


@dataclass(frozen=True)
class Package:
    """One stanza of an index, of a dpkg status file, or of a .deb."""

    text: str
    """The stanza as it stands there."""
    name: str
    version: str
    architecture: str

    def get(self, field: str) -> str:
        """A field's text, empty when it is not there."""
        found = re.search(rf"^{field}:[ \t]*(.*(?:\n[ \t].*)*)", self.text, re.MULTILINE)
        return found[1] if found else ""

    @property
    def source(self) -> str:
        """The source package that it was built from."""
        return (self.get("Source") or self.name).partition(" ")[0]

    @property
    def essential(self) -> bool:
        """Whether every host has it."""
        return self.get("Essential") == "yes"

    def conflicts(self, other: Package) -> bool:
        """Whether it says that it cannot be installed beside `other`."""
        if other.name == self.name:
            return False
        there = Available([(other.name, other.version, other.provides)])
        return any(
            there.meets(one) for field in ("Conflicts", "Breaks") for one in relations(self.get(field))
        )

    @property
    def provides(self) -> list[tuple[str, str]]:
        """What it provides: names, each with a version or an empty one."""
        return [(one.name, one.version) for group in relations(self.get("Provides")) for one in group]


class Relation(NamedTuple):
    """One alternative of a dependency: `libc6 (>= 2.36)`."""

    name: str
    relation: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} ({self.relation} {self.version})" if self.relation else self.name


_RELATION = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9+.-]*)(?::[a-z0-9-]+)?\s*(?:\(\s*(<<|<=|=|>=|>>|<|>)\s*([^\s)]+)\s*\))?\s*(?:\[[^]]*\])?"
)


def relations(text: str) -> list[list[Relation]]:
    """Groups that must each be met, by any one of their alternatives. What is no relation is left out."""
    groups = []
    for group in text.replace("\n", " ").split(","):
        found = [_RELATION.fullmatch(one.strip()) for one in group.split("|")]
        if alternatives := [Relation(f[1], f[2] or "", f[3] or "") for f in found if f]:
            groups.append(alternatives)
    return groups


class Available:
    """What packages there are, by name and by what they provide."""

    def __init__(self, packages: Iterable[tuple[str, str, Iterable[tuple[str, str]]]]) -> None:
        self.real: dict[str, list[str]] = {}
        self.virtual: dict[str, list[str]] = {}
        for name, version, provides in packages:
            self.real.setdefault(name, []).append(version)
            for provided, provided_version in provides:
                self.virtual.setdefault(provided, []).append(provided_version)

    def meets(self, alternatives: Iterable[Relation]) -> bool:
        """Whether one of the alternatives is met."""
        return any(self._meets(one) for one in alternatives)

    def _meets(self, one: Relation) -> bool:
        if not one.relation:
            return one.name in self.real or one.name in self.virtual
        offered = [*self.real.get(one.name, ()), *filter(None, self.virtual.get(one.name, ()))]
        return any(versions.satisfies(version, one.relation, one.version) for version in offered)


def packages(text: str) -> Iterator[Package]:
    """The stanzas of an index or a dpkg status file; a stanza without a name is left out."""
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields = dict(_first_fields(stanza))
        if "Package" in fields:
            yield Package(
                stanza.strip("\n"),
                fields["Package"],
                fields.get("Version", ""),
                fields.get("Architecture", ""),
            )


def _first_fields(stanza: str) -> list[tuple[str, str]]:
    return re.findall(r"^(Package|Version|Architecture):[ \t]*(\S*)", stanza, re.MULTILINE)


def fields(text: str) -> dict[str, str]:
    """All fields of one stanza."""
    return dict(_FIELD.findall(text))


def unpacked(data: bytes, name: str, limit: int = LARGEST_INDEX) -> bytes:
    """An index or a member, by the end of its name. Raises NotVouched: damaged or too large."""
    try:
        if name.endswith(".xz"):
            with lzma.LZMAFile(io.BytesIO(data)) as packed:
                made = packed.read(limit + 1)
        elif name.endswith(".gz"):
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                made = file.read(limit + 1)
        elif name.endswith(".zst"):
            made = zstandard.ZstdDecompressor().stream_reader(data).read(limit + 1)
        else:
            made = data[: limit + 1]
    except (lzma.LZMAError, zlib.error, OSError, EOFError, zstandard.ZstdError) as error:
        _unreadable(name, f"it cannot be unpacked ({error})")
    if len(made) > limit:
        _unreadable(name, f"it holds more than {limit} bytes")
    return made


# --- inside a .deb ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Deb:
    """What a .deb says of itself."""

    package: Package
    conffiles: tuple[str, ...]
    """Configuration files that it installs, absolute paths."""


def read_deb(path: Path) -> Deb:
    """Read the control part of a .deb. Raises NotVouched: it is not one."""
    name, data = _control_member(path)
    try:
        with tarfile.open(fileobj=io.BytesIO(unpacked(data, name, LARGEST_CONTROL))) as archive:
            files = {
                member.name.removeprefix("./"): archive.extractfile(member)
                for member in archive.getmembers()
                if member.isfile()
            }
            texts = {
                known: (file.read().decode("utf-8", "replace") if (file := files.get(known)) else "")
                for known in ("control", "conffiles")
            }
    except tarfile.TarError as error:
        _unreadable(path.name, f"its control part is damaged ({error})")
    found = next(packages(texts["control"]), None)
    if found is None:
        _unreadable(path.name, "its control part names no package")
    return Deb(found, tuple(line.split()[-1] for line in texts["conffiles"].splitlines() if line.strip()))


def _control_member(path: Path) -> tuple[str, bytes]:
    """The `control.tar.*` of a .deb: an `ar` archive, its second member."""
    with path.open("rb") as file:
        damaged = file.read(8) != b"!<arch>\n"
        while not damaged:
            header = file.read(60)
            damaged = len(header) < 60 or header[58:] != b"`\n" or not header[48:58].strip().isdigit()
            if damaged:
                break
            name = header[:16].decode("ascii", "replace").strip().rstrip("/")
            size = int(header[48:58])
            if name.startswith("control.tar"):
                return name, file.read(min(size, LARGEST_CONTROL))
            file.seek(size + size % 2, io.SEEK_CUR)
    return _unreadable(path.name, "it is not a Debian package, or it was cut")


def _unreadable(what: str, why: str) -> NoReturn:
    raise NotVouched(what=what, why=why, remedy="Fetch it again; it is damaged.") from None
