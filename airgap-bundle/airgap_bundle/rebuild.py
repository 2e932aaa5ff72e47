"""What is made of blobs that are not the content themselves: unpacked frames, applied deltas (check 12).

    raw     the blob is the content
    zstd    as soon as the blob's digest matched, another thread unpacks it, while the medium is read on
    delta   when all of the medium is read: what it stands on may come late

Nothing is interpreted before its digest matched, and from our own copy: a medium that gives other bytes the
second time gets nowhere. The result is hashed while it is made and never grows beyond its signed size.
"""

from __future__ import annotations

import hashlib
import io
import mmap
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from queue import Queue

from airgap_bundle import frame
from airgap_bundle.chunks import CHUNK
from airgap_bundle.content import DELTA, ZSTD, Entry
from airgap_bundle.errors import BundleRefused
from airgap_bundle.incoming import Quarantine
from airgap_bundle.keeping import NewFile
from airgap_bundle.pieces import Keep
from airgap_bundle.pipeline import SMALL

Held = Callable[[str], Path | None]
Write = Callable[[bytes | memoryview], None]


class NotAsSigned(BundleRefused):
    """What a blob is unpacked or applied to is another content than the signed one."""

    exit_code = 44
    message = "{path} does not come out as it was signed: {why}"
    hint = "The medium is whole, so it was built wrongly: ask for the bundle again."


class Receiving:
    """The sink of an ingest or a verification: keeps what matched and rebuilds what is to be rebuilt.

    `keep`: False when contents are only to be checked; then the quarantine holds no more than the blobs of
    deltas, and frames while they are unpacked.
    """

    def __init__(self, quarantine: Quarantine, entries: Iterable[Entry], *, keep: bool) -> None:
        self._quarantine, self._keep = quarantine, keep
        self._frames: dict[str, list[Entry]] = {}
        self._kept: set[str] = set()
        """Blobs that stay in the quarantine."""
        for entry in entries:
            self._kept.update(entry.bases)  # if they travel in this bundle too
            if entry.way == ZSTD:
                others = self._frames.setdefault(entry.blob, [])
                if all(other.sha256 != entry.sha256 for other in others):
                    others.append(entry)
            elif entry.way == DELTA or keep:
                self._kept.add(entry.blob)
        self.wrong: list[BundleRefused] = []
        """What did not come out as it was signed."""
        self.rebuilt = 0
        """Contents that did."""
        self._error: BaseException | None = None
        self._jobs: Queue[tuple[str, bytes | None] | None] = Queue(maxsize=64)
        self._thread = threading.Thread(target=self._unpack_all, daemon=True, name="unpack")
        self._thread.start()

    def begin(self, blob: str, size: int) -> Keep | None:
        """See `pieces.Sink`."""
        self._check()
        kept, framed = blob in self._kept, blob in self._frames
        tell = self._queue if framed else None
        if kept:
            return self._quarantine.new(blob, size, tell=tell)
        if framed:
            return self._quarantine.new(blob + TRANSIENT, size, durable=False, tell=tell)
        return None

    def small(self, worker: int, blob: str, data: memoryview) -> None:
        """See `pieces.Sink`."""
        if blob in self._kept:
            self._quarantine.small(worker, blob, data)
        for entry in self._frames.get(blob, ()):
            if entry.size <= SMALL:
                self._unpack_small(worker, entry, bytes(data))
            else:
                self._check()
                self._jobs.put((blob, bytes(data)))
                break  # all of that blob

    def flush(self, worker: int) -> None:
        """See `pieces.Sink`."""
        self._quarantine.flush(worker)

    def again(self, blob: str) -> None:
        """Unpack what is made of a blob that is in the quarantine already. Raises OSError."""
        if blob in self._frames:
            self._check()
            self._jobs.put((blob, None))

    def finish(self) -> None:
        """Wait until all is unpacked. Raises OSError."""
        if self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()
        self._check()

    def __enter__(self) -> Receiving:
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():  # something else broke: let the thread end, whatever it says
            self._jobs.put(None)
            self._thread.join()

    def apply(self, entries: Iterable[Entry], held: Held, tell: Callable[[int], None]) -> list[Entry]:
        """Apply the deltas whose bases are here, in whatever order they stand on each other.

        `held` gives the file of a content that is here. `tell` gets the size of each that came out. Gives
        those whose bases are not here. Raises OSError.
        """
        waiting = list({entry.sha256: entry for entry in entries if entry.way == DELTA}.values())
        made: set[str] = set()
        while True:
            ready = [e for e in waiting if all(held(base) for base in e.bases)]
            if not ready:
                return waiting
            for entry in ready:
                self._apply_one(entry, held)
                tell(entry.size)
            made |= {entry.sha256 for entry in ready}
            waiting = [entry for entry in waiting if entry.sha256 not in made]

    def _apply_one(self, entry: Entry, held: Held) -> None:
        from airgap_bundle.delta import apply  # only who has a delta pays for it

        blob = self._quarantine.held(entry.blob)
        if blob is not None:  # else it did not match, which check 11 has said
            self._make(entry, lambda write: apply(blob, held, write))

    def _unpack_small(self, worker: int, entry: Entry, data: bytes) -> None:
        out = bytearray()
        try:
            frame.unpack(io.BytesIO(data), len(data), entry.size, out.extend)
            if hashlib.sha256(out).hexdigest() != entry.sha256:
                raise frame.BadFrame("its SHA-256 differs")
        except frame.BadFrame as why:
            self.wrong.append(NotAsSigned(path=entry.path, why=str(why)))
            return
        self.rebuilt += 1
        if self._keep:
            self._quarantine.small(worker, entry.sha256, bytes(out))

    def _queue(self, name: str) -> None:
        self._jobs.put((name.removesuffix(TRANSIENT), None))

    def _unpack_all(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._error is None:
                try:
                    self._unpack(*job)
                except BaseException as error:  # the disk is full or broken; told to who gives the next job
                    self._error = error

    def _unpack(self, blob: str, data: bytes | None) -> None:
        transient = self._quarantine.folder / (blob + TRANSIENT)
        path = self._quarantine.held(blob) or transient
        for entry in self._frames[blob]:

            def make(write: Write, entry: Entry = entry) -> None:
                try:
                    with io.BytesIO(data) if data is not None else path.open("rb") as file:
                        frame.unpack(file, entry.blob_size, entry.size, write)
                except frame.BadFrame as why:
                    raise NotAsSigned(path=entry.path, why=str(why)) from None

            self._make(entry, make)
        transient.unlink(missing_ok=True)

    def _make(self, entry: Entry, make: Callable[[Write], None]) -> None:
        keep = self._quarantine.new(entry.sha256, entry.size) if self._keep else None
        try:
            made = _Made(entry, keep)
            make(made.write)
            made.finish()
        except BaseException as problem:
            if keep is not None:
                keep.discard()
            if not isinstance(problem, BundleRefused):
                raise
            self.wrong.append(problem)
            return
        if keep is not None:
            keep.settle()
        self.rebuilt += 1

    def _check(self) -> None:
        if self._error is not None:
            raise self._error


TRANSIENT = ".frame"
"""Ends the name of a blob's copy that is needed only until it is unpacked."""


class _Made:
    """A content that is being made: gathered into a buffer, hashed, written."""

    def __init__(self, entry: Entry, keep: NewFile | None) -> None:
        self._entry, self._keep = entry, keep
        self._hasher = hashlib.sha256()
        self._buffer = mmap.mmap(-1, CHUNK)
        self._fill = self._done = 0
        if keep is not None:
            keep.allocate()

    def write(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        if self._done + self._fill + len(rest) > self._entry.size:
            raise self._wrong(f"it is longer than {self._entry.size} bytes")
        while rest:
            part = rest[: CHUNK - self._fill]
            self._buffer[self._fill : self._fill + len(part)] = part
            self._fill += len(part)
            rest = rest[len(part) :]
            if self._fill == CHUNK:
                self._flush()

    def finish(self) -> None:
        self._flush()
        if self._done != self._entry.size:
            raise self._wrong(f"it has {self._done} of {self._entry.size} bytes")
        if self._hasher.hexdigest() != self._entry.sha256:
            raise self._wrong("its SHA-256 differs")

    def _flush(self) -> None:
        view = memoryview(self._buffer)[: self._fill]
        self._hasher.update(view)
        if self._keep is not None and self._fill:
            self._keep.write(view, self._done)
        self._done += self._fill
        self._fill = 0

    def _wrong(self, why: str) -> NotAsSigned:
        return NotAsSigned(path=self._entry.path, why=why)


def bases_missing(entries: Sequence[Entry], held: Held) -> list[str]:
    """SHA-256 of the bases that are not here."""
    return sorted({base for entry in entries for base in entry.bases if held(base) is None})
