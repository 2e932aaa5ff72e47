"""Several files read as one: the bases of a delta are one address space, in the order of its header.

Reads are pread(2), never a memory map: a disk that fails or a file that shrinks is an error here, not a
SIGBUS, and what was read does not count as memory of this process.
"""

from __future__ import annotations

import errno
import os
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path


class Blobs:
    """Open files, one after another. A context manager; safe to read from several threads."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Open all of `paths`. Raises OSError."""
        self.sizes: list[int] = []
        """Bytes of each, when it was opened."""
        self._files: list[int] = []
        self._starts: list[int] = []
        self.size = 0
        """Bytes of all."""
        try:
            for path in paths:
                self._files.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
                self._starts.append(self.size)
                self.sizes.append(os.fstat(self._files[-1]).st_size)
                self.size += self.sizes[-1]
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Blobs:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all; reads are errors from now on."""
        while self._files:
            os.close(self._files.pop())

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset` on, which must lie within. Raises OSError."""
        if len(self._files) == 1:
            data = os.pread(self._files[0], length, offset)
            if len(data) == length:
                return data
        buffer = bytearray(length)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes from `offset` on, which must lie within. Raises OSError."""
        while buffer:
            nth = bisect_right(self._starts, offset) - 1
            at = offset - self._starts[nth]
            room = buffer[: self.sizes[nth] - at]
            got = os.preadv(self._files[nth], [room], at) if room else 0
            if not got:
                raise OSError(errno.EIO, "a file became shorter while it was read")
            buffer, offset = buffer[got:], offset + got
