"""What a recipe says, once it is read: plain values, checked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from airgap_bundle.canonical import render


@dataclass(frozen=True)
class Base:
    """What the hosts are assumed to have already, so that it need not be in the bundle."""

    priorities: tuple[str, ...]
    """Packages of these priorities in the first suite, with all that they depend on."""
    packages: tuple[str, ...]
    """These packages of the first suite, with all that they depend on."""
    installed: str | None
    """A host's /var/lib/dpkg/status, or what `dpkg-query -W` prints there."""


@dataclass(frozen=True)
class Debian:
    """Packages of one Debian release."""

    suites: tuple[str, ...]
    components: tuple[str, ...]
    architectures: tuple[str, ...]
    packages: tuple[str, ...]
    """`name` or `name=version`."""
    upgrade: bool
    """Whether to take everything of the base that has a newer version in the suites."""
    dependencies: bool
    """Whether to take what the packages depend on and the base does not have."""
    recommends: bool
    keyring: str
    """Who signs the suites: a file in /usr/share/keyrings, or a path with a slash, relative to the recipe."""
    base: Base | None


@dataclass(frozen=True)
class Python:
    """Wheels for one Python on one kind of machine."""

    version: str
    """Such as `3.11`."""
    machine: str
    glibc: str
    requirements: tuple[str, ...]
    requirements_file: str | None
    dependencies: bool
    wheels: tuple[str, ...]
    """Paths or globs of wheels that were built here."""


@dataclass(frozen=True)
class Image:
    """One OCI image, for all architectures that it is made for."""

    image: str
    """`name[:tag][@sha256:digest]`."""
    layout: str | None
    """The OCI layout folder that holds it; None: a registry does."""
    folder: str | None
    """Its folder below `oci/`; None: the last part of its name."""

    @property
    def name(self) -> str:
        """Without tag and digest."""
        return self.image.partition("@")[0].rpartition("/")[0] + self._slash + self._last.partition(":")[0]

    @property
    def tag(self) -> str | None:
        """The tag, if it has one."""
        return self._last.partition(":")[2] or None

    @property
    def digest(self) -> str | None:
        """Without `sha256:`."""
        return self.image.partition("@sha256:")[2] or None

    @property
    def place(self) -> str:
        """Its folder below `oci/`."""
        return self.folder or self._last.partition(":")[0]

    @property
    def _last(self) -> str:
        return self.image.partition("@")[0].rpartition("/")[2]

    @property
    def _slash(self) -> str:
        return "/" if "/" in self.image.partition("@")[0] else ""


@dataclass(frozen=True)
class File:
    """One local file, or those that a glob finds."""

    path: str
    sha256: str | None = None
    name: str | None = None
    """Its path below the part; None: its own name."""
    under: str | None = None
    """Folder below the part."""
    type: str | None = None


@dataclass(frozen=True)
class Disk:
    """A disk image; qcow2 travels as raw, so that the next one can travel as a delta."""

    path: str
    name: str
    sha256: str | None
    type: str


@dataclass(frozen=True)
class Ansible:
    """Ansible content."""

    collections: tuple[File, ...]
    playbooks: tuple[File, ...]


@dataclass(frozen=True)
class Vulnerabilities:
    """A file of vulnerability data."""

    path: str
    kind: str
    sha256: str | None


@dataclass(frozen=True)
class Allowed:
    """Something that the airtight check would report, and why it is right."""

    path: str
    value: str
    because: str


@dataclass(frozen=True)
class Recipe:
    """What goes into a bundle."""

    bundle: str
    title: str
    next_expected: int
    """Days."""
    inside: tuple[str, ...]
    """Host names and domains that are inside the zone: the content may name them."""
    allow: tuple[Allowed, ...]
    debian: tuple[Debian, ...]
    python: tuple[Python, ...]
    images: tuple[Image, ...]
    files: tuple[File, ...]
    disk_images: tuple[Disk, ...]
    ansible: Ansible | None
    documents: tuple[File, ...]
    vulnerabilities: tuple[Vulnerabilities, ...]
    folder: Path
    """Paths are relative to it."""

    @property
    def digest(self) -> str:
        """SHA-256 of what the recipe says; comments and layout do not count."""
        said = asdict(self)
        del said["folder"]
        return hashlib.sha256(render(json.loads(json.dumps(said)))).hexdigest()
