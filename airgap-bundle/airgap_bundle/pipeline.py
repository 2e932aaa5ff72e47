"""The engine: bytes of a medium are read once, hashed, compared and written, at the speed of the medium.

    read (1 thread) ──> hash (1 or 2) ──┬──> settle (1): did the digest match? then durable, then named
          │──────────> write (3) ───────┘
          └──────────> small (2): framing and small blobs, many of them in one chunk

A chunk is 2 MiB of page-aligned memory, so that writes can pass by the page cache (O_DIRECT) while the
processor hashes. There are never more than `BUFFERS` chunks: memory does not grow with the bundle.

Measured: buffered reads with direct writes reach 0.90 to 0.97 of `cp` and fsync, buffered writes 0.75,
serial Python 0.5. One thread reads, in the medium's order: a disc that seeks is slow.
"""

from __future__ import annotations

import hashlib
import mmap
import threading
import time
from collections.abc import Callable, Iterable
from queue import SimpleQueue

from airgap_bundle.chunks import CHUNK, Chunk, LargeBlob, at_most, neighbours
from airgap_bundle.metadata_source import StuckMedium
from airgap_bundle.pieces import MOST_DAMAGES, Damage, Outcome, Piece, Sink
from airgap_bundle.reading import Source, Unreadable

BUFFERS = 12
SMALL = CHUNK
"""Bytes. Smaller blobs travel many to a chunk and become durable many at a time: a file of its own costs two
syncs of the disk, which is more than to write 100 KB."""
WRITERS = 3
SMALL_WORKERS = 2
MOST_UNREADABLE = 8
"""Errors of the device after which the medium is given up: a dying disc takes minutes for each."""
MOST_UNSETTLED = 256
"""Large blobs under way at once, each an open file."""
SILENCE = 120.0
"""Seconds that a read may take; drives retry a bad sector for half a minute."""


def run(
    pieces: Iterable[Piece],
    sink: Sink | None = None,
    *,
    hashers: int | None = None,
    progress: Callable[[int], None] | None = None,
    silence: float = SILENCE,
    most_damages: int = MOST_DAMAGES,
) -> Outcome:
    """Read, hash and keep all pieces. Damage does not end the run, so that all of it gets known.

    `hashers`: threads that hash large blobs; by default 1 with a sink (the other core writes), else 2.
    `progress` is told the bytes read a few times a second, in the calling thread. `silence`: seconds that one
    read may take. `most_damages`: how many are remembered.

    Raises StuckMedium; OSError: the sink's disk is full or broken. What the sink settled before stays.
    """
    return _Run(sink, hashers or (1 if sink else 2), most_damages).run(pieces, progress, silence)


_Queue = SimpleQueue[Chunk | None]


class _Run:
    def __init__(self, sink: Sink | None, hashers: int, most_damages: int) -> None:
        self._sink = sink
        self._waiting: tuple[str, float] | None = None
        """What is being read, and since when."""
        self._outcome = Outcome(most=most_damages)
        self._unreadable = 0
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self._free: SimpleQueue[mmap.mmap] = SimpleQueue()
        for _ in range(BUFFERS):
            self._free.put(mmap.mmap(-1, CHUNK))
        self._to_hash: list[_Queue] = [SimpleQueue() for _ in range(hashers)]
        self._to_write: _Queue = SimpleQueue()
        self._to_small: _Queue = SimpleQueue()
        self._to_settle: SimpleQueue[LargeBlob | None] = SimpleQueue()
        self._unsettled = threading.Semaphore(MOST_UNSETTLED)
        self._lane = 0

    def run(self, pieces: Iterable[Piece], progress: Callable[[int], None] | None, silence: float) -> Outcome:
        hashing = [_started(self._work, queue, self._hash) for queue in self._to_hash]
        writers = WRITERS if self._sink else 0
        writing = [_started(self._work, self._to_write, self._write) for _ in range(writers)]
        small = [_started(self._work_small, worker) for worker in range(SMALL_WORKERS)]
        settling = _started(self._settle)
        try:
            self._watch(_started(self._read, pieces), progress, silence)
        except BaseException as error:  # the person's interrupt, or a medium that hangs
            self._stop(error)
        # Each stage ends after the one before it: no queue keeps anything.
        for queue in [*self._to_hash, *(self._to_write for _ in writing), *(self._to_small for _ in small)]:
            queue.put(None)
        for thread in (*hashing, *writing, *small):
            thread.join()
        self._to_settle.put(None)
        settling.join()
        if self._error is not None:
            raise self._error
        if progress is not None:
            progress(self._outcome.size)
        return self._outcome

    def _watch(
        self, reading: threading.Thread, progress: Callable[[int], None] | None, silence: float
    ) -> None:
        """Wait for the reading thread, which a dying disk can hold up for ever: then it is left behind."""
        while reading.is_alive():
            reading.join(0.2)
            if progress is not None:
                progress(self._outcome.size)
            waiting = self._waiting
            if waiting is not None and time.monotonic() - waiting[1] > silence:
                raise StuckMedium(what=f"{waiting[0]}", seconds=round(time.monotonic() - waiting[1]))

    def _stop(self, error: BaseException) -> None:
        """After an error everybody only gives buffers back, so that nobody waits for ever."""
        with self._lock:
            self._error = self._error or error

    # The reading thread.

    def _read(self, pieces: Iterable[Piece]) -> None:
        try:
            self._read_all(pieces)
        except Unreadable:
            self._outcome.given_up = True
        except BaseException as error:
            self._stop(error)

    def _read_all(self, pieces: Iterable[Piece]) -> None:
        many: Chunk | None = None  # small pieces gather in it
        blob: LargeBlob | None = None
        source: Source | None = None
        try:
            for piece in pieces:
                if self._error is not None:
                    return
                if piece.source is not source:
                    many = self._send(many)
                    self._leave(source)
                    source = piece.source
                    self._enter(source)
                if piece.blob and (piece.blob_size >= SMALL or piece.size != piece.blob_size):
                    many = self._send(many)
                    if blob is None or blob.name != piece.blob:
                        self._end(blob)
                        blob = None
                        blob = self._begin(piece)
                    self._read_large(blob, piece)
                    if blob.next == blob.size:
                        self._end(blob)
                        blob = None
                    continue
                for part in at_most(CHUNK, piece):
                    if many is not None and many.size + part.size > CHUNK:
                        many = self._send(many)
                    many = many or Chunk(self._free.get())
                    many.parts.append((many.size, part))
                    many.size += part.size
            many = self._send(many)
            self._leave(source)
        finally:
            if many is not None:
                self._free.put(many.buffer)
            self._end(blob)
            if source is not None:
                source.close()

    def _enter(self, source: Source) -> None:
        try:
            self._waiting = (source.name, time.monotonic())
            source.open()
            self._waiting = None
        except Unreadable as why:  # each of its pieces will say so
            self._cannot_read(why)

    def _leave(self, source: Source | None) -> None:
        if source is None:
            return
        try:
            source.check_unchanged()
        except Unreadable as why:
            self._add(Damage(source.name, why.at, "", why.why))
        finally:
            source.close()

    def _begin(self, piece: Piece) -> LargeBlob:
        self._unsettled.acquire()
        try:
            keep = self._sink.begin(piece.blob, piece.blob_size) if self._sink else None
        except BaseException:
            self._unsettled.release()
            raise
        self._lane = (self._lane + 1) % len(self._to_hash)
        return LargeBlob(piece, keep, self._lane)

    def _end(self, blob: LargeBlob | None) -> None:
        if blob is not None:
            if blob.next != blob.size:
                blob.damaged(blob.path, blob.at, "it is not here as a whole")
            self._done(blob)

    def _read_large(self, blob: LargeBlob, piece: Piece) -> None:
        if piece.offset != blob.next:
            raise ValueError("the pieces of a blob come in order and without a hole")
        blob.next += piece.size
        if blob.damage:
            return
        keep = blob.keep
        try:
            cloned = keep is not None and keep.clone(piece.source, piece.at, piece.offset, piece.size)
            for done in range(0, piece.size, CHUNK):
                chunk = Chunk(self._free.get())
                chunk.blob, chunk.offset = blob, piece.offset + done
                chunk.size = min(CHUNK, piece.size - done)
                chunk.users = 1 if keep is None or cloned else 2
                try:
                    view = memoryview(chunk.buffer)[: chunk.size]
                    if cloned and keep is not None:
                        keep.read(view, chunk.offset)
                        self._outcome.size += chunk.size
                    else:
                        self._fill(view, piece, piece.at + done)
                except BaseException:
                    self._free.put(chunk.buffer)
                    raise
                with self._lock:
                    blob.open += chunk.users
                if chunk.users == 2:
                    self._to_write.put(chunk)
                self._to_hash[blob.lane].put(chunk)
                if self._error is not None:
                    return
        except Unreadable as why:
            blob.damaged(piece.source.name, why.at, why.why)
            self._cannot_read(why)

    def _send(self, many: Chunk | None) -> Chunk | None:
        """Read what the gathered pieces name, neighbours at once, and pass it on. Gives None."""
        if many is None:
            return None
        view, bad = memoryview(many.buffer), set[int]()
        for first, last, at, to, size in neighbours(many.parts):
            try:
                self._fill(view[to : to + size], many.parts[first][1], at)
            except Unreadable:
                bad |= self._read_apart(many.parts, first, last, view)
        if bad:
            many.parts = [part for number, part in enumerate(many.parts) if number not in bad]
        self._to_small.put(many)
        return None

    def _read_apart(
        self, parts: list[tuple[int, Piece]], first: int, last: int, view: memoryview
    ) -> set[int]:
        """One of these neighbours cannot be read: find out which. Gives their numbers."""
        bad = set()
        for number in range(first, last):
            to, piece = parts[number]
            try:
                self._fill(view[to : to + piece.size], piece, piece.at)
            except Unreadable as why:
                bad.add(number)
                self._add(Damage(piece.source.name, why.at, piece.blob, why.why))
                self._cannot_read(why)
        return bad

    def _cannot_read(self, why: Unreadable) -> None:
        self._waiting = None
        self._unreadable += why.broken
        if self._unreadable >= MOST_UNREADABLE:
            raise why

    def _fill(self, view: memoryview, piece: Piece, at: int) -> None:
        self._waiting = (piece.source.name, time.monotonic())
        piece.source.read(view, at)
        self._waiting = None
        self._outcome.size += len(view)

    # The other threads.

    def _work(self, queue: _Queue, step: Callable[[Chunk, LargeBlob], None]) -> None:
        while (chunk := queue.get()) is not None:
            blob = chunk.blob
            assert blob is not None
            try:
                if self._error is None:
                    step(chunk, blob)
            except BaseException as error:  # the disk is full or broken: no other blob will do better
                self._stop(error)
            self._release(chunk)
            self._done(blob)

    def _hash(self, chunk: Chunk, blob: LargeBlob) -> None:
        blob.hasher.update(memoryview(chunk.buffer)[: chunk.size])

    def _write(self, chunk: Chunk, blob: LargeBlob) -> None:
        assert blob.keep is not None
        blob.keep.write(memoryview(chunk.buffer)[: chunk.size], chunk.offset)

    def _work_small(self, worker: int) -> None:
        while (chunk := self._to_small.get()) is not None:
            try:
                if self._error is None:
                    self._small(worker, chunk)
            except BaseException as error:
                self._stop(error)
            self._release(chunk)
        try:
            if self._sink is not None and self._error is None:
                self._sink.flush(worker)
        except BaseException as error:
            self._stop(error)

    def _small(self, worker: int, chunk: Chunk) -> None:
        view, sink, sha256, good = memoryview(chunk.buffer), self._sink, hashlib.sha256, 0
        for at, piece in chunk.parts:
            data = view[at : at + piece.size]
            if not piece.blob:
                if bytes(data) != piece.expected:
                    where = next(n for n, byte in enumerate(piece.expected) if data[n] != byte)
                    why = "it has other bytes than the format puts there"
                    self._add(Damage(piece.source.name, piece.at + where, "", why))
            elif sha256(data).hexdigest() != piece.blob:
                self._add(Damage(piece.source.name, piece.at, piece.blob, "its SHA-256 differs"))
            else:
                good += 1
                if sink is not None:
                    sink.small(worker, piece.blob, data)
        with self._lock:
            self._outcome.blobs += good

    def _settle(self) -> None:
        """One after the other: what the file system commits for one blob, it commits for the next."""
        while (blob := self._to_settle.get()) is not None:
            try:
                if self._error is None and not blob.damage and blob.hasher.hexdigest() != blob.name:
                    blob.damaged(blob.path, blob.at, "its SHA-256 differs")
                if blob.damage:
                    self._add(blob.damage)
                elif self._error is None:
                    keep, blob.keep = blob.keep, None
                    if keep is not None:
                        keep.settle()
                    with self._lock:
                        self._outcome.blobs += 1
                if blob.keep is not None:
                    blob.keep.discard()
            except BaseException as error:
                self._stop(error)
            self._unsettled.release()

    def _add(self, damage: Damage) -> None:
        with self._lock:
            self._outcome.add(damage)

    def _release(self, chunk: Chunk) -> None:
        with self._lock:
            chunk.users -= 1
            free = chunk.users == 0
        if free:
            self._free.put(chunk.buffer)

    def _done(self, blob: LargeBlob) -> None:
        with self._lock:
            blob.open -= 1
            settle = blob.open == 0
        if settle:
            self._to_settle.put(blob)


def _started(work: Callable[..., None], *arguments: object) -> threading.Thread:
    thread = threading.Thread(target=work, args=arguments, daemon=True, name="pipeline")
    thread.start()
    return thread
