"""Open what was carried here: a folder, one container, or some of the volumes in any order (check 1).

    with open_medium([Path("/media/usb")]) as medium:
        verified = open_bundle(medium.metadata, ...)
        located = medium.locate(verified)

Before anything is verified, a few bounded reads tell what the medium claims to be: the names in a folder, a
header and VOLUME.json of each volume. Links, devices and FIFOs are not opened, and what has no place on a
medium is refused by name. After that, `locate` compares all that was claimed with what is signed.
"""

from __future__ import annotations

import os
import re
import resource
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol

from airgap_bundle.canonical import malformed
from airgap_bundle.container import BLOCK, VolumeLayout, header, lay_out
from airgap_bundle.content import Content
from airgap_bundle.errors import BundleRefused, InputProblem
from airgap_bundle.metadata_source import Damaged, FolderSource, MetadataSource
from airgap_bundle.release import Release
from airgap_bundle.volume_json import (
    LARGEST_VOLUME_JSON,
    MOST_VOLUMES,
    WHAT,
    VolumeJson,
    file_name,
    is_metadata,
)
from airgap_bundle.watchdog import SILENCE, watched

BESIDE = frozenset({"carry-sheet.html", "carry-sheet.txt", "SHA256SUMS", "SHA256SUMS.sig"})
"""What may lie beside volumes. None of it is read when a bundle is verified."""
FOLDERS = frozenset({"metadata", "targets", "blobs"})
MOST_NAMES = 2 * MOST_VOLUMES + len(BESIDE)
_VOLUME = re.compile(
    r"([a-z0-9][a-z0-9-]{0,62}-[1-9][0-9]{0,15})(?:\.[0-9]{3}-of-[0-9]{3})?\.(bundle|parity)"
)
_LENGTH = re.compile(rb"[0-7]{11}")
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NoBundleHere(InputProblem):
    """What was named holds no bundle."""

    exit_code = 17
    message = "{where}: {why}"
    hint = "Name a bundle's folder, its .bundle file or files, or the folder that they lie in."


class DoesNotBelong(BundleRefused):
    """A file on the medium that has no place there."""

    exit_code = 40
    message = "{name} does not belong on the medium: {why}"
    hint = "Nothing of it was read. If it is yours, take it away, or name the bundle's files one by one."


class VolumesMixed(BundleRefused):
    """The volumes are not of one bundle, or one of them is there twice."""

    exit_code = 40
    message = "{one} and {other} do not go together: {why}"
    hint = "Put the volumes of exactly one bundle together, each once."


class Verified(Protocol):
    """What `locate` needs of a VerifiedBundle."""

    @property
    def release(self) -> Release:
        """The signed release."""

    @property
    def content(self) -> Content:
        """The signed content."""

    @property
    def metadata(self) -> Mapping[str, bytes]:
        """Every metadata and target file by name."""


@dataclass(frozen=True)
class OpenVolume:
    """A volume that is here, and what it says of itself."""

    path: Path
    descriptor: int
    size: int
    """Bytes of the file, when it was opened."""
    about: VolumeJson


@dataclass(frozen=True)
class LocatedVolume:
    """A volume that is here, and where everything in it is, as signed."""

    path: Path
    descriptor: int
    layout: VolumeLayout


@dataclass(frozen=True)
class Located:
    """Where the blobs of a verified bundle are."""

    volumes: tuple[LocatedVolume, ...]
    """Those that are here, by number; none in the folder form."""
    missing: tuple[int, ...]
    """Numbers of the volumes that are not here."""
    blobs: Path | None = None
    """The folder form's blobs/, in which each blob is there under its SHA-256."""


@dataclass
class Medium:
    """A bundle as it was carried: `folder` in the folder form, else `volumes`. Close it after use."""

    metadata: MetadataSource
    volumes: tuple[OpenVolume, ...] = ()
    folder: Path | None = None
    _open: ExitStack = field(default_factory=ExitStack, repr=False)

    @property
    def missing(self) -> tuple[int, ...]:
        """Numbers of the volumes that are not here, as far as the others say."""
        if not self.volumes:
            return ()
        here = {volume.about.volume for volume in self.volumes}
        return tuple(n for n in range(1, self.volumes[0].about.volumes + 1) if n not in here)

    @property
    def summary(self) -> str:
        """What is here, one clause for check 1 of the report."""
        if self.folder is not None:
            return "a folder, with its files and no others"
        about = self.volumes[0].about
        if about.volumes == 1:
            return f"one container of {self.volumes[0].size} bytes"
        if not self.missing:
            return f"all {about.volumes} volumes"
        gone = ", ".join(str(number) for number in self.missing)
        return (
            f"{len(self.volumes)} of {about.volumes} volumes; volume{'s' * (len(self.missing) > 1)} {gone} "
            f"of {about.volumes} {'is' if len(self.missing) == 1 else 'are'} not here"
        )

    def locate(self, verified: Verified) -> Located:
        """Compare what the medium said of itself with what is signed; where the blobs are then.

        Raises Malformed, Damaged, DoesNotBelong.
        """
        if self.folder is not None:
            _check_blobs(self.folder, verified.content)
            return Located((), (), self.folder / "blobs")
        release, about = verified.release, self.volumes[0].about
        named = [(name, len(data)) for name, data in verified.metadata.items()]
        blobs = list(verified.content.blobs.values())
        layouts = lay_out(named, blobs, about.cuts, bundle=release.bundle, sequence=release.sequence)
        found = []
        for volume in self.volumes:
            layout = layouts[volume.about.volume - 1]
            if volume.about != layout.about:
                malformed(f"{WHAT} of {volume.path.name}", "it says something else than what was signed")
            if volume.size != layout.size:
                short = layout.size - volume.size
                why = f"{short} bytes are missing at its end" if short > 0 else f"{-short} bytes too many"
                raise Damaged(what=volume.path.name, why=why)
            found.append(LocatedVolume(volume.path, volume.descriptor, layout))
        return Located(tuple(found), self.missing)

    def close(self) -> None:
        """Close the volumes."""
        self._open.close()

    def __enter__(self) -> Medium:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_medium(paths: Sequence[Path], *, silence: float = SILENCE) -> Medium:
    """Open the folder form, one container, or volumes: files, and folders in which they lie.

    Of a folder every name is judged; files that are named one by one may have any name. Volumes may be in any
    order, and some may be missing. `silence`: seconds after which a medium that gives nothing is given up.

    Raises NoBundleHere, DoesNotBelong, VolumesMixed, Malformed, Damaged, StuckMedium, OSError.
    """
    where = ", ".join(str(path) for path in paths)
    return watched(lambda _: _opened(paths), f"the beginning of {where}", silence=silence)


def _opened(paths: Sequence[Path]) -> Medium:
    files: list[tuple[Path, bool]] = []  # and whether its name was chosen by the medium
    for path in paths:
        kind = _kind(path)
        if not stat.S_ISDIR(kind):
            if path.name not in BESIDE and path.suffix != ".parity":
                files.append((path, False))
            continue
        names = _names(path)
        if names & FOLDERS:
            if len(paths) > 1:
                raise NoBundleHere(where=path, why="it is a bundle in a folder, which stands alone")
            return _folder_form(path, names)
        files += [(path / name, True) for name in sorted(names) if name.endswith(".bundle")]
    if not files:
        raise NoBundleHere(where=", ".join(map(str, paths)) or "nothing", why="there is no bundle here")
    return _volumes(files)


def _kind(path: Path) -> int:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        raise NoBundleHere(where=path, why="there is no such file or folder") from None


def _names(folder: Path) -> frozenset[str]:
    """The names in a folder, each of a kind that has a place there. Raises DoesNotBelong."""
    found: set[str] = set()
    with os.scandir(folder) as listing:
        for entry in listing:
            name = entry.name
            if name in FOLDERS:
                if not entry.is_dir(follow_symlinks=False):
                    raise DoesNotBelong(name=name, why="it is not a folder")
            elif not (name in BESIDE or _VOLUME.fullmatch(name)):
                raise DoesNotBelong(name=name, why=_why_strange(name))
            elif not entry.is_file(follow_symlinks=False):
                raise DoesNotBelong(name=name, why="it is not a regular file")
            found.add(name)
            if len(found) > MOST_NAMES:
                raise DoesNotBelong(name=name, why=f"there are more than {MOST_NAMES} files")
    bundles = {match[1] for name in found if (match := _VOLUME.fullmatch(name))}
    if len(bundles) > 1:
        one, other, *_ = sorted(bundles)
        raise VolumesMixed(one=one, other=other, why="they are two bundles")
    if found & FOLDERS and found - FOLDERS:
        name = min(found - FOLDERS)
        raise DoesNotBelong(name=name, why="beside a bundle in a folder there are no other files")
    return frozenset(found)


def _why_strange(name: str) -> str:
    if name.endswith(".partial"):
        return "it is a file that was not finished"
    if name.lower() in {known.lower() for known in BESIDE | FOLDERS} or _VOLUME.fullmatch(name.lower()):
        return "its name is in other letters than it must be"
    return "no file of a bundle has such a name"


def _folder_form(folder: Path, names: frozenset[str]) -> Medium:
    for needed in sorted(FOLDERS - {"blobs"} - names):
        raise NoBundleHere(where=folder, why=f"it has no {needed}/")
    source = FolderSource(folder)
    for name in sorted(source.names()):
        if not is_metadata(name):
            raise DoesNotBelong(name=name, why="no file of a bundle has such a name")
    return Medium(source, folder=folder)


def _check_blobs(folder: Path, content: Content) -> None:
    """Raise unless blobs/ holds a regular file for each blob, and nothing else."""
    wanted = content.blobs
    found: set[str] = set()
    try:
        listing = os.scandir(folder / "blobs")
    except FileNotFoundError:
        listing = None
    if listing is not None:
        with listing:
            for entry in listing:
                name = f"blobs/{entry.name}"
                if entry.name not in wanted:
                    raise DoesNotBelong(name=name, why="nothing that was signed names it")
                if not entry.is_file(follow_symlinks=False):
                    raise DoesNotBelong(name=name, why="it is not a regular file")
                found.add(entry.name)
    for sha256 in wanted:
        if sha256 not in found:
            more = len(wanted) - len(found) - 1
            why = f"it is not there, and so are {more} others" if more else "it is not there"
            raise Damaged(what=f"blobs/{sha256}", why=why)


def _volumes(files: Sequence[tuple[Path, bool]]) -> Medium:
    _allow_descriptors(len(files))
    with ExitStack() as stack:
        opened: dict[int, OpenVolume] = {}
        for path, judge in files:
            first = next(iter(opened.values()), None)
            volume = _open_volume(path, stack, first)
            about = volume.about
            proper = file_name(about.bundle, about.sequence, about.volume, about.volumes)
            if judge and path.name != proper:
                raise DoesNotBelong(name=path.name, why=f"what it holds is named {proper}")
            if first is not None and (why := _why_apart(first.about, about)) is not None:
                raise VolumesMixed(one=first.path.name, other=path.name, why=why)
            if (other := opened.get(about.volume)) is not None:
                raise VolumesMixed(
                    one=other.path.name, other=path.name, why=f"both are volume {about.volume}"
                )
            opened[about.volume] = volume
        ordered = tuple(opened[number] for number in sorted(opened))
        return Medium(_ContainerSource(ordered[0]), ordered, _open=stack.pop_all())


def _allow_descriptors(files: int) -> None:
    """999 volumes and what else is open are more than most shells' limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < files + 200 <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files + 200, hard))


def _why_apart(one: VolumeJson, other: VolumeJson) -> str | None:
    if (one.bundle, one.sequence) != (other.bundle, other.sequence):
        return f"one is of {one.bundle} {one.sequence}, the other of {other.bundle} {other.sequence}"
    if one.cuts != other.cuts:
        return "one bundle was cut into volumes in two ways"
    if one.metadata != other.metadata:
        return "they are of one name and number, but signed at different times"
    return None


def _open_volume(path: Path, stack: ExitStack, first: OpenVolume | None) -> OpenVolume:
    """Open a volume and read what it says of itself: a header and VOLUME.json, both bounded."""
    mode = os.lstat(path).st_mode
    if not stat.S_ISREG(mode):  # before it is opened: opening a device can do things
        raise DoesNotBelong(name=path.name, why="it is not a regular file")
    descriptor = os.open(path, _OPEN)
    stack.callback(os.close, descriptor)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise DoesNotBelong(name=path.name, why="it is not a regular file")
    begin = _read(descriptor, path, BLOCK, 0)
    length = begin[124:135]
    if not _LENGTH.fullmatch(length) or begin != header(WHAT, int(length, 8)):
        malformed(path.name, f"it does not begin with the header of {WHAT}")
    if int(length, 8) > LARGEST_VOLUME_JSON:
        malformed(path.name, f"its {WHAT} is larger than {LARGEST_VOLUME_JSON} bytes")
    data = _read(descriptor, path, int(length, 8), BLOCK)
    about = (first.about.sibling(data) if first else None) or VolumeJson.parse(data)
    return OpenVolume(path, descriptor, status.st_size, about)


class _ContainerSource:
    """The metadata of a volume, where VOLUME.json says that it is."""

    def __init__(self, volume: OpenVolume) -> None:
        self._volume = volume
        self._at = dict(_metadata_at(volume.about))

    def names(self) -> frozenset[str]:
        """See MetadataSource."""
        return frozenset(self._at)

    def read(self, name: str, limit: int) -> bytes:
        """See MetadataSource."""
        at, size = self._at[name]
        if size > limit:
            raise Damaged(what=name, why=f"it is longer than the {limit} bytes that it may have")
        return _read(self._volume.descriptor, self._volume.path, size, at)


def _metadata_at(about: VolumeJson) -> Iterator[tuple[str, tuple[int, int]]]:
    for member in VolumeLayout(about, (), about.cuts[0], about.cuts[0]).members:
        if member.name != WHAT:
            yield member.name, (member.at, member.size)


def _read(descriptor: int, path: Path, size: int, at: int) -> bytes:
    """Exactly `size` bytes from offset `at` on. Raises Damaged: they are not to be had."""
    parts: list[bytes] = []
    while size:
        try:
            part = os.pread(descriptor, size, at)
        except OSError as error:
            why = f"byte {at} cannot be read ({(error.strerror or '').lower()})"
            raise Damaged(what=path.name, why=why) from None
        if not part:
            raise Damaged(what=path.name, why=f"it ends at byte {at}, in the middle of its metadata")
        parts.append(part)
        at, size = at + len(part), size - len(part)
    return b"".join(parts)
