"""New files that become durable and get their name only then: large ones directly, small ones by the batch.

    NewFile   FOLDER/<sha256>.partial           written by several threads past the page cache, fsync, then
              FOLDER/<sha256>                   renamed
    Batch     FOLDER/batch-….partial/<sha256>   thousands of small files, one syncfs for all of them, then
              FOLDER/batch-…/<sha256>           the folder renamed

Whatever moment we crash at: a name without `.partial` on its way holds what was hashed, whole and on the
disk. Sources: open(2) on O_DIRECT, ioctl_ficlonerange(2), syncfs(2), which reports errors of write-back
since Linux 5.8.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import secrets
import struct
from collections.abc import Callable
from contextlib import suppress

from airgap_bundle.durable import TEMPORARY_SUFFIX
from airgap_bundle.reading import Source, Unreadable

PAGE = 4096
ALLOCATE_FROM = 1024 * 1024
BATCH_FILES = 4096
BATCH_BYTES = 64 * 1024 * 1024
FICLONERANGE = 0x4020940D
REFUSED = {errno.EOPNOTSUPP, errno.EINVAL, errno.EXDEV, errno.ENOTTY, errno.ENOSYS, errno.EBADF, errno.EPERM}
"""What a file system says that cannot do a thing at all."""
_libc = ctypes.CDLL(None, use_errno=True)


class Ways:
    """What the file system of a folder can do, learned by trying; shared by the new files in it."""

    __slots__ = ("clone", "direct")

    def __init__(self, *, direct: bool = True, clone: bool = True) -> None:
        self.direct, self.clone = direct, clone


class NewFile:
    """One large file, written by several threads; see `pieces.Keep`."""

    __slots__ = ("_descriptor", "_direct", "_durable", "_folder", "_name", "_size", "_tell", "_ways")

    def __init__(
        self,
        folder: int,
        name: str,
        size: int,
        ways: Ways,
        *,
        durable: bool = True,
        tell: Callable[[str], None] = lambda name: None,
    ) -> None:
        """`folder`: an open folder. `tell`: called with `name` when it has settled.

        `durable`: False for what is not needed after a crash; it stays in memory as long as the kernel likes.

        Raises OSError.
        """
        self._folder, self._name, self._size, self._ways = folder, name, size, ways
        self._durable, self._tell = durable, tell
        self._direct = durable and ways.direct
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        partial = name + TEMPORARY_SUFFIX
        try:
            self._descriptor = os.open(
                partial, flags | (os.O_DIRECT if self._direct else 0), 0o600, dir_fd=folder
            )
        except OSError as error:
            if not self._direct or error.errno != errno.EINVAL:
                raise
            # Refused by this file system, after the file was made.
            self._direct = ways.direct = False
            self._descriptor = os.open(partial, flags & ~os.O_EXCL, 0o600, dir_fd=folder)

    def allocate(self) -> None:
        """Make room: a full disk is noticed now, and direct writes need not wait for each other.

        Raises OSError.
        """
        if self._size >= ALLOCATE_FROM and self._durable:
            try:
                os.posix_fallocate(self._descriptor, 0, self._size)
            except OSError as error:
                if error.errno not in REFUSED:
                    raise

    def clone(self, source: Source, at: int, offset: int, size: int) -> bool:
        """Share the source's blocks when both are on one file system that can; else make room."""
        if self._ways.clone and at % PAGE == 0 and offset % PAGE == 0 and self._durable:
            # Up to the end of the last page: what comes after the blob is cut off in `settle`.
            length = min(-(-size // PAGE) * PAGE, source.size - at)
            if offset + size != self._size:
                length = size
            try:
                order = struct.pack("qQQQ", source.descriptor, at, length, offset)
                fcntl.ioctl(self._descriptor, FICLONERANGE, order)
                return True
            except OSError as error:
                if error.errno not in REFUSED:
                    raise
                if length % PAGE == 0:  # it cannot be because of this blob's length
                    self._ways.clone = False
        if offset == 0:
            self.allocate()
        return False

    def read(self, view: memoryview, offset: int) -> None:
        """Read back what was cloned. Raises Unreadable."""
        done = 0
        if self._direct:
            self._by_the_cache()
        while done < len(view):
            try:
                got = os.preadv(self._descriptor, [view[done:]], offset + done)
            except OSError as error:
                why = f"its copy cannot be read ({(error.strerror or '').lower()})"
                raise Unreadable(why, offset + done, broken=True) from None
            if not got:
                raise Unreadable("its copy ends there", offset + done)
            done += got

    def write(self, view: memoryview, offset: int) -> None:
        """Write `view`, the begin of a page-aligned buffer that reaches at least to the end of its last page.

        Raises OSError.
        """
        end = offset + len(view)
        if self._direct and offset % PAGE == 0 and (len(view) % PAGE == 0 or end == self._size):
            whole = memoryview(view.obj)[: -(-len(view) // PAGE) * PAGE]
            try:
                written = os.pwrite(self._descriptor, whole, offset)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self._ways.direct, written = False, 0
            if written >= len(view):
                return
            view, offset = view[written:], offset + written
        if self._direct:
            self._by_the_cache()
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            view, offset = view[written:], offset + written

    def settle(self) -> None:
        """Make it durable, read-only, and give it its name. Raises OSError; then it is gone."""
        try:
            # The last page was written whole. Crash here: a partial file, which the next ingest removes.
            os.ftruncate(self._descriptor, self._size)
            os.fchmod(self._descriptor, 0o444)
            if self._durable:
                os.fsync(self._descriptor)
            # Crash before this: nobody believes a partial name. After: the name holds what is on the disk.
            _give_name(self._folder, self._name)
        except BaseException:
            self.discard()
            raise
        os.close(self._descriptor)
        self._tell(self._name)

    def discard(self) -> None:
        """Remove it."""
        os.close(self._descriptor)
        with suppress(OSError):
            os.unlink(self._name + TEMPORARY_SUFFIX, dir_fd=self._folder)

    def _by_the_cache(self) -> None:
        """Write by the page cache from now on: safe at any moment, since such writes need no alignment."""
        flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
        fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT)
        self._direct = False


class Batch:
    """Small files that become durable together."""

    __slots__ = ("_descriptor", "_durable", "_folder", "_name", "count", "size")

    def __init__(self, folder: int, *, durable: bool = True) -> None:
        """`folder`: the open folder that it is made in. Raises OSError."""
        self._folder, self._durable = folder, durable
        self._name = f"batch-{secrets.token_hex(8)}"
        partial = self._name + TEMPORARY_SUFFIX
        os.mkdir(partial, 0o700, dir_fd=folder)
        # Opened before anything is written: syncfs tells of the write-back errors since then.
        self._descriptor = os.open(
            partial, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder
        )
        self.count = self.size = 0

    @property
    def full(self) -> bool:
        """Whether it is time for the next batch: what is in this one is lost in a crash."""
        return self.count >= BATCH_FILES or self.size >= BATCH_BYTES

    def add(self, name: str, data: memoryview | bytes) -> None:
        """Write one file. Raises OSError."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(name, flags, 0o444, dir_fd=self._descriptor)
        except FileExistsError:  # one content twice in a bundle that travels in two ways
            return
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        finally:
            os.close(descriptor)
        self.count += 1
        self.size += len(data)

    def settle(self) -> str:
        """Make all of it durable, then give the folder its name. Gives the name. Raises OSError."""
        try:
            if self._durable:
                sync_file_system(self._descriptor)
            # Crash before this: a partial folder, which the next ingest removes.
            _give_name(self._folder, self._name)
        finally:
            os.close(self._descriptor)
        return self._name

    def close(self) -> None:
        """Leave it as it is: partial."""
        os.close(self._descriptor)


def _give_name(folder: int, name: str) -> None:
    os.rename(name + TEMPORARY_SUFFIX, name, src_dir_fd=folder, dst_dir_fd=folder)


def sync_file_system(descriptor: int) -> None:
    """Make everything on the file system of this open file durable: syncfs(2). Raises OSError."""
    if _libc.syncfs(descriptor):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
