"""Write one volume at the speed of its medium, hash it and every blob on the way, and read it back.

    read blobs ──> 4 MiB ──┬──> SHA-256 of each blob: it must be the one it is named by
                           ├──> SHA-256 of the volume, for SHA256SUMS and for reading back
                           └──> write past the page cache

There are never more than `BUFFERS` chunks. A volume's length is a multiple of 4,096 and so is each chunk, so
that O_DIRECT holds to the end; a file system that does not know it gets ordinary writes, synced as we go.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import mmap
import os
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from airgap_bundle.container import Member, VolumeLayout
from airgap_bundle.errors import BundleRefused

CHUNK = 4 * 2**20
BUFFERS = 6
SYNC_EVERY = 16
"""Chunks between two syncs where writes go through the page cache: it must not fill with what a slow disc
takes minutes to store."""


class SourceDamaged(BundleRefused):
    """A blob of the bundle's folder is not what its name says."""

    exit_code = 44
    message = "blobs/{sha256} is damaged: {why}"
    hint = "Build the bundle again; nothing was put on the medium under a bundle's name."


@dataclass
class BlobCheck:
    """How far a blob has been hashed. A blob that is cut is hashed over several volumes."""

    sha256: str
    size: int
    given: int = 0
    """Bytes handed over to be hashed; hashing them comes later."""
    done: int = 0
    hasher: hashlib._Hash = field(default_factory=hashlib.sha256)

    def update(self, data: memoryview | bytes) -> None:
        """Hash the next bytes. Raises SourceDamaged: they were the last, and the digest is another."""
        self.hasher.update(data)
        self.done += len(data)
        if self.done == self.size and self.hasher.hexdigest() != self.sha256:
            raise SourceDamaged(sha256=self.sha256, why="its SHA-256 differs")


class Blobs:
    """The blobs of a bundle folder, to be read and checked."""

    def __init__(self, folder: Path, sizes: Mapping[str, int]) -> None:
        self._folder, self._sizes = folder, sizes
        self._begun: dict[str, BlobCheck] = {}

    @contextmanager
    def opened(self, sha256: str) -> Iterator[int]:
        """A descriptor of the blob. Raises SourceDamaged: it is not a regular file of its size."""
        try:
            descriptor = os.open(
                self._folder / sha256, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            )
        except OSError as error:
            why = f"it cannot be opened ({(error.strerror or '').lower()})"
            raise SourceDamaged(sha256=sha256, why=why) from None
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size != self._sizes[sha256]:
                raise SourceDamaged(sha256=sha256, why=f"it is no file of {self._sizes[sha256]} bytes")
            with suppress(OSError):
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_SEQUENTIAL)
            yield descriptor
        finally:
            os.close(descriptor)

    def check(self, sha256: str, offset: int, size: int) -> BlobCheck:
        """The check that the next `size` bytes of a blob, from `offset` on, are handed to.

        What was not hashed before `offset` is read here.
        """
        check = self._begun.pop(sha256, None)
        if check is None or check.given != offset:
            check = BlobCheck(sha256, self._sizes[sha256])
            self._read_on(check, offset)
        check.given = offset + size
        if check.given < check.size:
            self._begun[sha256] = check
        return check

    @property
    def begun(self) -> bool:
        """Whether a blob has been hashed in part only: nothing can be said of the volumes that hold it."""
        return bool(self._begun)

    def finish(self) -> None:
        """Hash the rest of the blobs that were begun, which no volume took. Raises SourceDamaged."""
        for check in self._begun.values():
            self._read_on(check, check.size)
        self._begun.clear()

    def _read_on(self, check: BlobCheck, to: int) -> None:
        with self.opened(check.sha256) as descriptor:
            buffer = memoryview(bytearray(min(CHUNK, to - check.done)))
            while check.done < to:
                view = buffer[: to - check.done]
                fill(descriptor, view, check.done, check.sha256)
                check.update(view)


def fill(descriptor: int, view: memoryview, at: int, sha256: str) -> None:
    """Read all of `view` from `at` on. Raises SourceDamaged."""
    done = 0
    while done < len(view):
        try:
            got = os.preadv(descriptor, [view[done:]], at + done)
        except OSError as error:
            why = f"byte {at + done} cannot be read ({(error.strerror or '').lower()})"
            raise SourceDamaged(sha256=sha256, why=why) from None
        if not got:
            raise SourceDamaged(sha256=sha256, why=f"it ends at byte {at + done}")
        done += got


def write_volume(
    layout: VolumeLayout,
    metadata: Mapping[str, bytes],
    blobs: Blobs,
    file: Path | None,
    tell: Callable[[int], None] = lambda size: None,
) -> str:
    """Write the volume into the new file `file`; its SHA-256. Everything is on the disk when this returns.

    Without a `file` it is only computed what would be written. `tell` gets the bytes of each chunk. What
    fails leaves `file` behind: the caller removes it.

    Raises SourceDamaged, OSError.
    """
    descriptor = None
    if file is not None:
        descriptor = _open_direct(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        writing = _Writing(descriptor, tell)
        try:
            members = (member for member in layout.members if member.blob)
            at = 0
            for run_at, run in layout.framing(metadata):
                while run_at > at:  # more than once only where an empty blob comes before
                    at += writing.copy(next(members), blobs)
                writing.put(run)
                at += len(run)
            for member in members:  # empty ones at the end
                writing.copy(member, blobs)
        finally:
            writing.end()
        if descriptor is not None:
            os.fsync(descriptor)
    finally:
        if descriptor is not None:
            os.close(descriptor)
    return writing.sum.hexdigest()


class _Chunk:
    __slots__ = ("at", "buffer", "parts", "size", "users")

    def __init__(self, buffer: mmap.mmap, at: int) -> None:
        self.buffer, self.at, self.size, self.users = buffer, at, 0, 3
        self.parts: list[tuple[int, int, BlobCheck]] = []


class _Writing:
    """Three threads that take each chunk: to hash the blobs, to hash the volume, to write."""

    def __init__(self, descriptor: int | None, tell: Callable[[int], None]) -> None:
        self.sum = hashlib.sha256()
        self._descriptor, self._tell = descriptor, tell
        self._free: SimpleQueue[mmap.mmap] = SimpleQueue()
        for _ in range(BUFFERS):
            self._free.put(mmap.mmap(-1, CHUNK))
        self._at = self._unsynced = 0
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._chunk: _Chunk | None = None
        self._queues: list[SimpleQueue[_Chunk | None]] = []
        self._threads: list[threading.Thread] = []
        for work in (self._check_blobs, self._hash, self._write):
            queue: SimpleQueue[_Chunk | None] = SimpleQueue()
            thread = threading.Thread(target=self._serve, args=(queue, work), daemon=True)
            thread.start()
            self._queues.append(queue)
            self._threads.append(thread)

    def put(self, data: bytes) -> None:
        """Bytes that are no blob's."""
        rest = memoryview(data)
        while rest:
            view = self._room()[: len(rest)]
            view[:] = rest[: len(view)]
            rest = rest[len(view) :]
            self._took(len(view))

    def copy(self, member: Member, blobs: Blobs) -> int:
        """A blob, or the piece of it that is the member; its length."""
        assert member.blob is not None
        check = blobs.check(member.blob, member.blob_offset, member.size)
        done = 0
        with blobs.opened(member.blob) as source:
            if not check.size:
                check.update(b"")
            while done < member.size:
                view = self._room()[: member.size - done]
                fill(source, view, member.blob_offset + done, member.blob)
                assert self._chunk is not None
                self._chunk.parts.append((self._chunk.size, self._chunk.size + len(view), check))
                done += len(view)
                self._took(len(view))
        return done

    def end(self) -> None:
        """Send what is left and wait for all. Raises what went wrong in a thread."""
        if self._chunk is not None:
            self._send()
        for queue in self._queues:
            queue.put(None)
        for thread in self._threads:
            thread.join()
        if self._error is not None:
            raise self._error

    def _room(self) -> memoryview:
        if self._chunk is None:
            self._chunk = _Chunk(self._free.get(), self._at)
        if self._error is not None:
            raise self._error
        return memoryview(self._chunk.buffer)[self._chunk.size :]

    def _took(self, size: int) -> None:
        assert self._chunk is not None
        self._chunk.size += size
        if self._chunk.size == CHUNK:
            self._send()

    def _send(self) -> None:
        chunk, self._chunk = self._chunk, None
        assert chunk is not None
        self._at += chunk.size
        for queue in self._queues:
            queue.put(chunk)
        self._tell(chunk.size)

    def _serve(self, queue: SimpleQueue[_Chunk | None], work: Callable[[_Chunk], None]) -> None:
        while (chunk := queue.get()) is not None:
            try:
                if self._error is None:
                    work(chunk)
            except BaseException as error:  # the reader raises it; this thread goes on giving buffers back
                self._error = self._error or error
            with self._lock:
                chunk.users -= 1
                free = chunk.users == 0
            if free:
                self._free.put(chunk.buffer)

    def _check_blobs(self, chunk: _Chunk) -> None:
        with memoryview(chunk.buffer) as view:
            for start, stop, check in chunk.parts:
                check.update(view[start:stop])

    def _hash(self, chunk: _Chunk) -> None:
        with memoryview(chunk.buffer) as view:
            self.sum.update(view[: chunk.size])

    def _write(self, chunk: _Chunk) -> None:
        if self._descriptor is None:
            return
        with memoryview(chunk.buffer) as view:
            done = 0
            while done < chunk.size:
                try:
                    done += os.pwrite(self._descriptor, view[done : chunk.size], chunk.at + done)
                except OSError as error:
                    if error.errno != errno.EINVAL or not _no_longer_direct(self._descriptor):
                        raise
        self._unsynced += 1
        if self._unsynced == SYNC_EVERY and not _is_direct(self._descriptor):
            os.fdatasync(self._descriptor)
            self._unsynced = 0


def read_back(file: Path, size: int, tell: Callable[[int], None] = lambda size: None) -> str:
    """The SHA-256 of the first `size` bytes as the medium gives them, past the page cache where that can be.

    A file that is shorter has another digest. Raises OSError.
    """
    descriptor = _open_direct(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    total = hashlib.sha256()
    buffers = [mmap.mmap(-1, CHUNK), mmap.mmap(-1, CHUNK)]
    hashing: threading.Thread | None = None
    try:
        with suppress(OSError):  # where O_DIRECT is unknown: forget what was written, so that it is read
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        at = 0
        while at < size:
            buffer = buffers[at // CHUNK % 2]
            got = _read_chunk(descriptor, buffer, at)
            if hashing is not None:
                hashing.join()
            if not got:
                break
            view = memoryview(buffer)[: min(got, size - at)]
            hashing = threading.Thread(target=total.update, args=(view,), daemon=True)
            hashing.start()
            tell(got)
            at += got
        if hashing is not None:
            hashing.join()
    finally:
        os.close(descriptor)
    return total.hexdigest()


def _read_chunk(descriptor: int, buffer: mmap.mmap, at: int) -> int:
    """Fill the buffer as far as the file goes: chunks stay aligned, whatever a read gives."""
    done = 0
    while done < CHUNK:
        try:
            got = os.preadv(descriptor, [memoryview(buffer)[done:]], at + done)
        except OSError as error:
            if error.errno != errno.EINVAL or not _no_longer_direct(descriptor):
                raise
            continue
        if not got:
            break
        done += got
    return done


def _open_direct(file: Path, flags: int) -> int:
    try:
        return os.open(file, flags | os.O_DIRECT, 0o644)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return os.open(file, flags, 0o644)


def _is_direct(descriptor: int) -> bool:
    return bool(fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT)


def _no_longer_direct(descriptor: int) -> bool:
    """Go on through the page cache: some file systems open for O_DIRECT, then refuse. Whether it was on."""
    flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT)
    return bool(flags & os.O_DIRECT)
