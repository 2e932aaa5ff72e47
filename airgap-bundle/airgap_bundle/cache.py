"""A folder of content by digest, on the low side: what was collected once is not fetched again.

    CACHE/5f/5fa3...     content, named by its SHA-256, read-only
    CACHE/.work/XXXX/    downloads under way, each folder locked by the process that uses it

A name appears only after the bytes were hashed, so a crash leaves work folders behind and nothing else; the
next process that opens the cache removes those that nobody holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from airgap_bundle.durable import sync_folder
from airgap_bundle.sources.errors import NotAsLocked, not_there

CHUNK = 1024 * 1024


@dataclass(frozen=True)
class Digest:
    """The identity of some bytes."""

    sha256: str
    size: int
    """Bytes."""


class Cache:
    """Content by digest. Several processes may use one folder at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._work = folder / ".work"
        self._work.mkdir(parents=True, exist_ok=True)
        self._sweep()

    def path(self, sha256: str) -> Path:
        """Where this content is, or would be."""
        return self.folder / sha256[:2] / sha256

    def has(self, sha256: str, size: int) -> bool:
        """Whether a file of this name and length is there. Its bytes were right when it came; see `sound`."""
        try:
            return self.path(sha256).stat().st_size == size
        except FileNotFoundError:
            return False

    def sound(self, sha256: str, size: int) -> bool:
        """Whether the content is there and still has this digest. What was damaged is removed."""
        path = self.path(sha256)
        if not path.exists():
            return False
        if digest_of(path) == Digest(sha256, size):
            return True
        path.unlink()
        return False

    def admit(self, file: Path, sha256: str, size: int | None, what: str) -> Path:
        """Move `file`, which lies in a work folder, into the cache if it has this digest.

        Raises NotAsLocked: it has another one, and is removed.
        """
        made = digest_of(file)
        if made.sha256 != sha256 or (size is not None and made.size != size):
            file.unlink()
            raise NotAsLocked(what=what, why=difference(made, sha256, size))
        return self._enter(file, made)

    def take(self, file: Path) -> Digest:
        """Move `file`, which lies in a work folder, into the cache whatever it is."""
        made = digest_of(file)
        self._enter(file, made)
        return made

    def copy(self, file: Path, what: str, expected: Digest | None = None) -> Digest:
        """Copy a file of somebody else's into the cache; a hole in it stays one.

        Raises NotThere: it cannot be read; NotAsLocked: it is not what is `expected`, and does not enter.
        """
        with self.work() as folder:
            copied = folder / "copy"
            try:
                with file.open("rb") as source, copied.open("wb") as target:
                    copy_sparse(source.fileno(), target.fileno())
            except OSError as error:
                not_there(what, f"{file} cannot be read ({error.strerror})", "Check the path in the recipe.")
            if expected is None:
                return self.take(copied)
            self.admit(copied, expected.sha256, expected.size, what)
            return expected

    def add(self, data: bytes) -> Digest:
        """Put bytes into the cache."""
        with self.work() as folder:
            file = folder / "data"
            file.write_bytes(data)
            return self.take(file)

    def read(self, sha256: str) -> bytes:
        """The bytes of a small content, checked against their name. Raises NotAsLocked, FileNotFoundError."""
        data = self.path(sha256).read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise NotAsLocked(
                what=f"the cached content {sha256[:12]}", why="its bytes have changed on the disk"
            )
        return data

    @contextlib.contextmanager
    def work(self) -> Iterator[Path]:
        """A folder of one's own on the cache's file system, removed at the end."""
        folder = self._work / secrets.token_hex(8)
        folder.mkdir()
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)  # crash after this: the lock goes, and the next process sweeps
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(handle)

    def _enter(self, file: Path, made: Digest) -> Path:
        target = self.path(made.sha256)
        if self.sound(made.sha256, made.size):
            file.unlink()
            return target
        target.parent.mkdir(exist_ok=True)
        file.chmod(0o444)
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
        os.replace(file, target)  # crash before this: a leftover in a work folder; after: complete content
        sync_folder(target.parent)
        return target

    def _sweep(self) -> None:
        for folder in self._work.iterdir():
            with contextlib.suppress(OSError):
                handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held: somebody works in it
                    shutil.rmtree(folder, ignore_errors=True)
                finally:
                    os.close(handle)


def digest_of(file: Path) -> Digest:
    """Hash a file in pieces. Raises OSError."""
    with file.open("rb") as handle:
        sha256 = hashlib.file_digest(handle, "sha256").hexdigest()
        return Digest(sha256, handle.tell())


def difference(made: Digest, sha256: str, size: int | None) -> str:
    """How what came differs from what was named, for a sentence."""
    if size is not None and made.size != size:
        return f"it has {made.size} bytes where {size} are named"
    return f"its SHA-256 begins with {made.sha256[:16]} where {sha256[:16]} is named"


def copy_sparse(source: int, target: int) -> None:
    """Copy one open file into another, empty one, and leave out its holes."""
    end = os.fstat(source).st_size
    os.ftruncate(target, end)
    at = 0
    while at < end:
        try:
            begin = os.lseek(source, at, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            return
        at = os.lseek(source, begin, os.SEEK_HOLE)
        offset = begin
        while offset < at:
            piece = os.pread(source, min(CHUNK, at - offset), offset)
            if not piece:
                return  # it was cut while we read; its digest will say so
            done = 0
            while done < len(piece):
                done += os.pwrite(target, piece[done:], offset + done)
            offset += len(piece)
