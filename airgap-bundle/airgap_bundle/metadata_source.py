"""Where a bundle's metadata is read from: a folder, a container, or bytes in memory.

    source.names()                                   {"metadata/1.root.json", "targets/5f….release.json", ...}
    source.read("metadata/1.root.json", 512_000)     its bytes, or Damaged when there are more

Reading is always bounded by what the reader allows, never by what the medium says. `Patient` bounds it in
time too: TUF's slow retrieval attack on a medium that gives its bytes one by one, or never.
"""

from __future__ import annotations

import os
import queue
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Protocol, TypeVar

from airgap_bundle.canonical import malformed
from airgap_bundle.errors import BundleRefused

FOLDERS = ("metadata", "targets")
Got = TypeVar("Got")
MOST_NAMES = 2_000
"""More files are never listed: 1,024 roots, 256 attestations and five others are the most there can be."""


class Damaged(BundleRefused):
    """Bytes are not what was signed: another digest or length, or not there at all."""

    exit_code = 44
    message = "{what} is damaged: {why}"
    hint = (
        "Carry the bundle again, or repair the medium with its parity; what was signed is not what arrived."
    )


class StuckMedium(BundleRefused):
    """The medium gives its bytes too slowly, or none at all."""

    exit_code = 44
    message = "the medium is stuck: after {seconds} s it still has not given {what}"
    hint = (
        "Try another drive or another copy of the medium; allow more time if the drive is known to be slow."
    )


class MetadataSource(Protocol):
    """The metadata and the targets of one bundle, unverified."""

    def names(self) -> frozenset[str]:
        """Every name under metadata/ and targets/, such as "metadata/1.root.json".

        Raises Malformed: something is no regular file; OSError.
        """

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of `name`.

        Raises Damaged: there are more than `limit` bytes; KeyError: there is no such name; OSError.
        """


@dataclass(frozen=True)
class MemorySource:
    """Metadata that is in memory: what was just made, and tests."""

    files: Mapping[str, bytes]

    def names(self) -> frozenset[str]:
        """Every name."""
        return frozenset(self.files)

    def read(self, name: str, limit: int) -> bytes:
        """See MetadataSource."""
        return within(self.files[name], name, limit)


@dataclass(frozen=True)
class FolderSource:
    """The folder form of a bundle. Only regular files are read, and no link is followed."""

    folder: Path

    def names(self) -> frozenset[str]:
        """Every name below metadata/ and targets/. Raises Malformed: something else than a file is there."""
        found: set[str] = set()
        for part in FOLDERS:
            try:
                listing = os.scandir(self.folder / part)
            except (FileNotFoundError, NotADirectoryError):
                continue
            with listing:
                for entry in listing:
                    name = f"{part}/{entry.name}"
                    if not entry.is_file(follow_symlinks=False):
                        malformed(name, "it is not a regular file")
                    found.add(name)
                    if len(found) > MOST_NAMES:
                        malformed(part, f"it has more than {MOST_NAMES} files")
        return frozenset(found)

    def read(self, name: str, limit: int) -> bytes:
        """See MetadataSource."""
        try:
            # Not blocking: a FIFO put in the file's place must not stop us. Then look at what was opened.
            descriptor = os.open(
                self.folder / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
            )
        except FileNotFoundError:
            raise KeyError(name) from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                malformed(name, "it is not a regular file")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return within(file.read(limit + 1), name, limit)
        finally:
            os.close(descriptor)


@dataclass
class Patient:
    """A source that must keep up: a grace, and then a lowest rate over all that it gives.

    A read that is late goes on in its own thread (a system call on a stuck disk cannot be interrupted), but
    nobody waits for it any more.
    """

    source: MetadataSource
    grace: float = 60.0
    """Seconds that all reading may take, besides what the rate allows."""
    rate: float = 100_000.0
    """Bytes a second: a tenth of a DVD drive at single speed."""
    _spent: float = field(default=0.0, init=False)
    _got: int = field(default=0, init=False)

    def names(self) -> frozenset[str]:
        """See MetadataSource. Raises StuckMedium."""
        return self._in_time(self.source.names, "the list of its files", 0)

    def read(self, name: str, limit: int) -> bytes:
        """See MetadataSource. Raises StuckMedium."""
        data = self._in_time(lambda: self.source.read(name, limit), name, limit)
        self._got += len(data)
        return data

    def _in_time(self, work: Callable[[], Got], what: str, limit: int) -> Got:
        allowed = self.grace + (self._got + limit) / self.rate - self._spent
        answer: queue.SimpleQueue[Got | BaseException] = queue.SimpleQueue()

        def run() -> None:
            try:
                answer.put(work())
            except BaseException as error:  # whatever it is, it is the reader's to see
                answer.put(error)

        began = monotonic()
        threading.Thread(target=run, daemon=True, name="medium").start()
        try:
            got = answer.get(timeout=max(allowed, 0.001))
        except queue.Empty:
            raise StuckMedium(what=what, seconds=round(self._spent + monotonic() - began)) from None
        self._spent += monotonic() - began
        if isinstance(got, BaseException):
            raise got
        return got


def within(data: bytes, name: str, limit: int) -> bytes:
    """`data` when it has at most `limit` bytes. Raises Damaged."""
    if len(data) > limit:
        raise Damaged(what=name, why=f"it is longer than the {limit} bytes that it may have")
    return data
