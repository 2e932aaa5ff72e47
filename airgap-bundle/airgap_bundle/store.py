"""The content-addressed store: verified contents by their SHA-256, and the releases that name them.

    STORE/format                             airgap-bundle/store/1
    STORE/lock                               held by the one ingest or collection at work
    STORE/objects/5f/5f0c…                   a content, read-only
    STORE/releases/zone-updates/7/metadata/  a kept release: its metadata and targets, as section 1 names them
    STORE/releases/zone-updates/7/targets/
    STORE/incoming/<release>/                an ingest that is not finished; see `incoming`

A name under objects/ appears by one rename, after its bytes were hashed and are on the disk; a name under
releases/ appears after all its objects. So whoever looks, at any moment, before or after a crash, finds
nothing that was not verified. Readers need no lock.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from airgap_bundle import pipeline
from airgap_bundle.content import Content
from airgap_bundle.content import parse as parse_content
from airgap_bundle.durable import TEMPORARY_SUFFIX, sync_folder, write_durably
from airgap_bundle.errors import InputProblem, StateProblem
from airgap_bundle.pieces import Piece
from airgap_bundle.reading import Source
from airgap_bundle.release import Release

FORMAT = b"airgap-bundle/store/1\n"
_SHA = re.compile(r"[0-9a-f]{64}")
_FOLDER = re.compile(r"[0-9a-f]{2}")
_STREAM = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SEQUENCE = re.compile(r"[1-9][0-9]{0,15}")


class NoStore(InputProblem):
    """The folder is no store."""

    exit_code = 16
    message = "{folder} is not a store: {why}"
    hint = "Give the folder that `airgap-bundle ingest` made, or an empty one to begin a store."


class StoreBusy(StateProblem):
    """Another ingest or collection is at work."""

    exit_code = 31
    message = "another ingest or collection is at work on {folder}"
    hint = "Wait until it has ended; if it was killed, its lock went with it and this is another one."


class StoreFull(StateProblem):
    """There is no room for what would be kept."""

    exit_code = 32
    message = "{folder} has no room: {why}"
    hint = "Make room (`airgap-bundle store collect` shows what no kept release needs), then run it again."


class StoreBroken(StateProblem):
    """The store's disk failed."""

    exit_code = 33
    message = "{folder} cannot be written: {why}"
    hint = "Look at the disk and the permissions; nothing that was there was changed. Then run it again."


class ReleaseDamaged(StateProblem):
    """A kept release is not what it was when it was accepted."""

    exit_code = 37
    message = "the kept release {name} is damaged: {why}"
    hint = "Ingest the same bundle again with --repair; nothing is collected meanwhile."


class NotKept(InputProblem):
    """No such release or content is kept."""

    exit_code = 16
    message = "{what} is not kept in {folder}"
    hint = "`airgap-bundle store list` shows what is."


class AnotherKept(StateProblem):
    """The store keeps another release under the same name."""

    exit_code = 38
    message = "{folder} keeps another release as {bundle} {sequence}"
    hint = "A store goes with one trust state; give the one that belongs to this state, or a new one."


@dataclass(frozen=True)
class Kept:
    """A release that is kept, complete."""

    bundle: str
    sequence: int
    folder: Path
    """In the folder form of SPEC section 1, without blobs."""

    @property
    def name(self) -> str:
        """As people call it."""
        return f"{self.bundle} {self.sequence}"

    @cached_property
    def release(self) -> Release:
        """Its release manifest. Raises ReleaseDamaged."""
        return Release.parse(self._target("release.json")[1])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its release.json. Raises ReleaseDamaged."""
        return self._target("release.json")[0]

    @property
    def content(self) -> Content:
        """Its content manifest, read anew each time: it can be large. Raises ReleaseDamaged."""
        return parse_content(self._target("content.ndjson")[1])

    def _target(self, kind: str) -> tuple[str, bytes]:
        found = sorted((self.folder / "targets").glob(f"*.{kind}"))
        if len(found) != 1:
            raise ReleaseDamaged(name=self.name, why=f"it has {len(found)} files {kind} where one belongs")
        data, digest = found[0].read_bytes(), found[0].name.partition(".")[0]
        if hashlib.sha256(data).hexdigest() != digest:
            raise ReleaseDamaged(name=self.name, why=f"the SHA-256 of {kind} differs")
        return digest, data


@dataclass(frozen=True)
class Store:
    """The store in a folder; `Store.at` checks that it is one."""

    folder: Path

    @classmethod
    def at(cls, folder: Path | str, *, create: bool = False) -> Store:
        """The store in `folder`; with `create`, an empty or absent folder becomes one. Raises NoStore."""
        path = Path(folder)
        try:
            found = (path / "format").read_bytes()
        except FileNotFoundError:
            if not create:
                raise NoStore(folder=path, why="it has no file `format`") from None
            return cls._created(path)
        except OSError as error:
            raise NoStore(folder=path, why=(error.strerror or str(error)).lower()) from None
        if found != FORMAT:
            raise NoStore(folder=path, why="its format is not airgap-bundle/store/1")
        return cls(path)

    @classmethod
    def _created(cls, path: Path) -> Store:
        made = [path / name for name in ("objects", "releases", "incoming")]
        try:
            path.mkdir(parents=True, exist_ok=True)
            if strays := {entry.name for entry in path.iterdir()} - {folder.name for folder in made}:
                raise NoStore(folder=path, why=f"it holds other things, such as {sorted(strays)[0]}")
            for folder in made:
                folder.mkdir(exist_ok=True)
            write_durably(path / "format", FORMAT)  # last: a folder with it is a store with all its parts
            sync_folder(path.parent)
        except OSError as error:
            raise NoStore(folder=path, why=(error.strerror or str(error)).lower()) from None
        return cls(path)

    @cached_property
    def _objects(self) -> str:
        return os.fspath(self.folder / "objects")

    def path(self, sha256: str) -> Path:
        """Where a content is or would be."""
        return self.folder / "objects" / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Whether the content is here."""
        return os.path.exists(f"{self._objects}/{sha256[:2]}/{sha256}")  # a Path costs more than the look

    def held(self, sha256: str) -> Path | None:
        """The content's file, or None."""
        path = self.path(sha256)
        return path if path.exists() else None

    def open(self, sha256: str) -> BinaryIO:
        """The content, to be read. Raises NotKept."""
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError:
            raise NotKept(what=f"content {sha256}", folder=self.folder) from None

    def read(self, sha256: str) -> bytes:
        """The whole content, which the caller knows to be small. Raises NotKept."""
        with self.open(sha256) as file:
            return file.read()

    def objects(self) -> Iterator[tuple[str, int]]:
        """SHA-256 and size in bytes of every content, in the order of the digests."""
        for folder in sorted(os.listdir(self.folder / "objects")):
            if not _FOLDER.fullmatch(folder):
                continue
            with os.scandir(self.folder / "objects" / folder) as entries:
                found = [
                    (entry.name, entry.stat(follow_symlinks=False).st_size)
                    for entry in entries
                    if _SHA.fullmatch(entry.name) and entry.name[:2] == folder
                ]
            yield from sorted(found)

    def kept(self, bundle: str | None = None) -> list[Kept]:
        """The releases that are kept, of one stream or of all, by name and sequence."""
        found = []
        root = self.folder / "releases"
        for stream in sorted(os.listdir(root)):
            if not _STREAM.fullmatch(stream) or bundle not in (None, stream):
                continue
            numbers = sorted(int(name) for name in os.listdir(root / stream) if _SEQUENCE.fullmatch(name))
            found += [Kept(stream, number, root / stream / str(number)) for number in numbers]
        return found

    def release(self, bundle: str, sequence: int) -> Kept:
        """One release that is kept. Raises NotKept."""
        kept = Kept(bundle, sequence, self.folder / "releases" / bundle / str(sequence))
        if not _STREAM.fullmatch(bundle) or not kept.folder.is_dir():
            raise NotKept(what=kept.name, folder=self.folder)
        return kept

    def keep(self, release: Release, digest: str, metadata: Mapping[str, bytes]) -> Kept:
        """Record a release whose contents are all here and durable. The caller holds the lock.

        `metadata`: every metadata and target file by its name. Doing it again changes nothing.

        Raises AnotherKept, OSError.
        """
        stream = self.folder / "releases" / release.bundle
        kept = Kept(release.bundle, release.sequence, stream / str(release.sequence))
        if kept.folder.exists():
            with suppress(ReleaseDamaged, FileNotFoundError):  # as good as none: it is written again
                if kept.digest != digest:
                    raise AnotherKept(folder=self.folder, bundle=release.bundle, sequence=release.sequence)
                if {name: (kept.folder / name).read_bytes() for name in metadata} == dict(metadata):
                    return kept
        stream.mkdir(exist_ok=True)
        partial = stream / f"{release.sequence}{TEMPORARY_SUFFIX}"
        remove(partial)
        for name, data in metadata.items():
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            write_durably(partial / name, data, 0o444)
        sync_folder(partial)  # crash before this: a partial folder, which nobody reads; it is made again
        if kept.folder.exists():  # damaged: it goes aside, and for a moment the release is not kept
            os.rename(kept.folder, stream / f"{release.sequence}.damaged{TEMPORARY_SUFFIX}")
        os.rename(partial, kept.folder)  # crash after this: the release is there, or its ingest runs again
        sync_folder(stream)
        sync_folder(stream.parent)
        remove(stream / f"{release.sequence}.damaged{TEMPORARY_SUFFIX}")
        return kept

    def forget(self, bundle: str, sequence: int) -> None:
        """Keep a release no longer; its contents go with the next collection. Raises NotKept, OSError."""
        with self.locked():
            kept = self.release(bundle, sequence)
            gone = kept.folder.with_name(f"{sequence}.forgotten{TEMPORARY_SUFFIX}")
            remove(gone)
            os.rename(kept.folder, gone)  # crash after this: forgotten, with a leftover that nobody reads
            sync_folder(gone.parent)
            remove(gone)

    def damaged(
        self, objects: Iterable[tuple[str, int]], progress: Callable[[int], None] | None = None
    ) -> list[str]:
        """Hash these contents (SHA-256 and size) again; gives those that are not what they were.

        `progress` is told the bytes that were read.
        """
        pieces = (
            Piece(Source(os.fspath(self.path(sha256)), size), 0, size, sha256, size)
            for sha256, size in objects
        )
        outcome = pipeline.run(pieces, progress=progress, most_damages=sys.maxsize)
        if outcome.given_up:
            raise StoreBroken(folder=self.folder, why="its contents cannot be read: the device fails")
        return sorted({damage.blob for damage in outcome.damages if damage.blob})

    def unfinished(self) -> list[str]:
        """SHA-256 of the release.json of every ingest that is not finished."""
        return sorted(name for name in os.listdir(self.folder / "incoming") if _SHA.fullmatch(name))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who changes the store. The kernel drops the lock when we die. Raises StoreBusy."""
        path = self.folder / "lock"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreBroken(folder=self.folder, why=(error.strerror or str(error)).lower()) from None
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StoreBusy(folder=self.folder) from None
            yield
        finally:
            os.close(descriptor)

    def publish(self, files: Iterable[tuple[str, str]]) -> None:
        """Give verified, durable files their names as contents; they are SHA-256 and path.

        The caller holds the lock. Crash in the midst: each name is there or not, all bytes are. When it
        returns the names are durable too. Raises OSError.
        """
        folders: set[str] = set()
        for sha256, path in files:  # text and no Path: there can be a million
            folder = f"{self._objects}/{sha256[:2]}"
            if folder not in folders:
                os.makedirs(folder, exist_ok=True)
                folders.add(folder)
            os.rename(path, f"{folder}/{sha256}")
        # Crash before this: any of the names may be gone, and the ingest after finds the others.
        self.sync_objects(sorted(folder[-2:] for folder in folders))

    def sync_objects(self, folders: Iterable[str]) -> None:
        """Make the names below these folders of objects/ durable. Raises OSError."""
        for folder in folders:
            sync_folder(self.folder / "objects" / folder)
        sync_folder(self.folder / "objects")

    def room(self) -> int:
        """Bytes that can still be written here."""
        about = os.statvfs(self.folder)
        return about.f_bavail * about.f_frsize


def no_space(error: OSError) -> bool:
    """Whether this is a full disk or a used-up quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def remove(path: Path) -> None:
    """Remove a file or folder that nobody reads, if it is there. Raises OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    except IsADirectoryError:
        shutil.rmtree(path)
