"""A file on a medium, read with the suspicion that it is broken, cut or changing.

Reads are buffered: they profit from the kernel's read-ahead, and what another reader has just read is still
in memory. Direct reads were measured at 0.55 of that.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

AHEAD = 8 * 1024 * 1024
"""Bytes that the kernel is asked to read ahead, so that a disk has work while we hash."""


class Unreadable(Exception):
    """Bytes that should be on the medium are not to be had."""

    def __init__(self, why: str, at: int = 0, *, broken: bool = False) -> None:
        self.why, self.at = why, at
        self.broken = broken
        """The device failed; trying on may take minutes."""
        super().__init__(why)


class Source:
    """One regular file of a known length, opened when it is its turn and closed after it."""

    __slots__ = ("_ahead", "_failure", "_folder", "_given", "_open", "_seen", "name", "path", "size")

    def __init__(
        self,
        path: str,
        size: int,
        *,
        name: str = "",
        descriptor: int | None = None,
        folder: int | None = None,
    ) -> None:
        """`descriptor`: an open file that stays the caller's. `folder`: what `path` is relative to."""
        self.path, self.size, self.name = path, size, name or path
        self._given, self._folder = descriptor, folder
        self._open: int | None = None
        self._seen: os.stat_result | None = None
        self._failure: Unreadable | None = None
        self._ahead = 0

    def open(self) -> None:
        """Open the file and compare its kind and length. Raises Unreadable; so does each read after that."""
        try:
            self._open = self._given if self._given is not None else self._opened()
            self._seen = seen = os.fstat(self._open)
            if not stat.S_ISREG(seen.st_mode):
                raise Unreadable("it is not a regular file")
            if seen.st_size != self.size:
                raise Unreadable(f"it has {seen.st_size} bytes where {self.size} belong")
        except Unreadable as why:
            self.close()
            self._failure = why
            raise
        self._ahead = 0
        with suppress(OSError):  # only makes it faster
            os.posix_fadvise(self._open, 0, 0, os.POSIX_FADV_SEQUENTIAL)

    def _opened(self) -> int:
        # O_NONBLOCK: a FIFO in the file's place must not stop us. What was opened is looked at afterwards.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            return os.open(self.path, flags, dir_fd=self._folder)
        except OSError as error:
            raise _unreadable(error, 0) from None

    @property
    def descriptor(self) -> int:
        """The open file. Raises Unreadable: it could not be opened."""
        if self._open is None:
            raise self._failure or Unreadable("it is not open")
        return self._open

    def read(self, view: memoryview, at: int) -> None:
        """Fill `view` with the bytes from offset `at` on. Raises Unreadable."""
        descriptor, end = self.descriptor, at + len(view)
        if end + AHEAD // 2 > self._ahead and end < self.size:
            self._ahead = end + AHEAD
            with suppress(OSError):
                os.posix_fadvise(descriptor, end, AHEAD, os.POSIX_FADV_WILLNEED)
        done = 0
        while done < len(view):
            try:
                got = os.preadv(descriptor, [view[done:]], at + done)
            except OSError as error:
                raise _unreadable(error, at + done) from None
            if not got:
                raise Unreadable("the file ends there", at + done)
            done += got

    def check_unchanged(self) -> None:
        """Compare what the file was when it was opened with what it is now. Raises Unreadable."""
        if self._open is None or self._seen is None:
            return
        now, seen = os.fstat(self._open), self._seen
        if (now.st_size, now.st_mtime_ns) != (seen.st_size, seen.st_mtime_ns):
            raise Unreadable("the file was changed while it was read")

    def close(self) -> None:
        """Close the file if it was opened here; it can be opened again."""
        if self._open is not None and self._given is None:
            os.close(self._open)
        self._open = None


def _unreadable(error: OSError, at: int) -> Unreadable:
    return Unreadable(
        f"it cannot be read ({(error.strerror or str(error)).lower()})",
        at,
        broken=error.errno != errno.ENOENT,
    )
