"""Apply a delta: rebuild the target out of the bases, segment by segment, and hash it on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import zstandard

from airgap_bundle.delta import layout
from airgap_bundle.delta.blobs import Blobs
from airgap_bundle.delta.errors import DeltaBaseMissing, DeltaMalformed
from airgap_bundle.delta.layout import MIB, ZEROS, Header, Segment, span

Held = Callable[[str], Path | None]
"""The file that holds the blob of this SHA-256, or None."""
Write = Callable[[bytes | memoryview], None]
"""Takes the next bytes of the target; a memoryview is good during the call only."""

PIECE = 1 * MIB
"""Bytes that are written at once, but for the last."""
UNUSED_BITS = 0b0001_1000
"""Of the frame header descriptor (RFC 8878, 3.1.1.1.1): what decoders pass over must not hide anything."""
_MOST_WINDOW = 32 * MIB
"""Bytes. No window is ever that large here: the frames are unpacked in one go."""


def read_header(delta: Path) -> Header:
    """What `delta` rebuilds and what it builds upon. Nothing else of it is looked at.

    Raises DeltaMalformed, OSError.
    """
    with delta.open("rb") as file:
        return layout.read_header(file)


def apply(delta: Path, held: Held, write: Write) -> None:
    """Give `write` the target of `delta`, from its first byte to its last.

    Only when this returns is it known that the bytes are the target: whoever keeps them must drop them when
    it raises. Memory does not depend on the sizes: below 100 MB. Bases are opened, never changed.

    Raises DeltaBaseMissing (names the first base that is not there, or that is not what it was),
    DeltaMalformed, OSError, and what `write` raises.
    """
    with delta.open("rb") as file:
        header = layout.read_header(file)
        paths = []
        for base in header.bases:  # check 11
            path = held(base.sha256)
            if path is None:
                raise DeltaBaseMissing(digest=base.sha256, why="is not here")
            paths.append(path)
        with Blobs(paths) as bases:
            for base, size in zip(header.bases, bases.sizes, strict=True):
                if size != base.size:
                    raise DeltaBaseMissing(
                        digest=base.sha256, why=f"has {size} bytes here and not {base.size}: it is damaged"
                    )
            rebuilt = _Rebuilt(write)
            try:
                for segment in layout.segments(file, header):
                    _rebuild(segment, bases, rebuilt)
            except DeltaMalformed:
                _blame(header, paths)
                raise
        if (found := rebuilt.finish()) != header.target.sha256:  # check 13
            _blame(header, paths)
            raise DeltaMalformed(why=f"it rebuilds sha256 {found}, and not {header.target.sha256}")


def _rebuild(segment: Segment, bases: Blobs, rebuilt: _Rebuilt) -> None:
    data, at = memoryview(_unpack(segment, bases)), 0
    for step in segment.steps:
        rebuilt.add(data[at : at + step.data])
        at += step.data
        if step.place == ZEROS:
            rebuilt.add_zeros(step.run)
        else:
            rebuilt.copy(bases, step.place, step.run)


def _unpack(segment: Segment, bases: Blobs) -> bytes:
    """The data of a segment. Its frame says beforehand that it has that many bytes."""
    if not segment.data:
        return b""
    try:
        frame = zstandard.get_frame_parameters(segment.frame)  # check 12
        plain = not (frame.dict_id or frame.has_checksum or segment.frame[4] & UNUSED_BITS)
        if frame.content_size != segment.data or not plain:
            raise DeltaMalformed(why="a frame is not of the data that its segment takes")
        dictionary = zstandard.ZstdCompressionDict(
            b"".join(bases.read(*span(extent, bases.size)) for extent in segment.extents),
            dict_type=zstandard.DICT_TYPE_RAWCONTENT,
        )
        unpacker = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=_MOST_WINDOW)
        data = unpacker.decompress(segment.frame, max_output_size=segment.data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise DeltaMalformed(why=f"a frame cannot be unpacked ({error})") from None
    if len(data) != segment.data:
        raise DeltaMalformed(why="a frame is not of the data that its segment takes")
    return data


def _blame(header: Header, paths: list[Path]) -> None:
    """A base that was damaged while it lay here explains everything: name it. Raises DeltaBaseMissing."""
    for base, path in zip(header.bases, paths, strict=True):
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != base.sha256:
            raise DeltaBaseMissing(digest=base.sha256, why="is damaged here: its content has changed")


class _Rebuilt:
    """Gathers what is rebuilt into pieces; hashes and writes each."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._digest = hashlib.sha256()
        self._piece = memoryview(bytearray(PIECE))
        self._filled = 0

    def add(self, data: memoryview) -> None:
        while data:
            room = self._room(len(data))
            room[:] = data[: len(room)]
            data = data[len(room) :]
            self._fill(len(room))

    def add_zeros(self, length: int) -> None:
        while length:
            room = self._room(length)
            room[:] = _ZEROS[: len(room)]
            length -= len(room)
            self._fill(len(room))

    def copy(self, bases: Blobs, place: int, length: int) -> None:
        while length:
            room = self._room(length)
            bases.read_into(place, room)
            place, length = place + len(room), length - len(room)
            self._fill(len(room))

    def finish(self) -> str:
        """The SHA-256 of everything, in hexadecimal."""
        self._flush()
        return self._digest.hexdigest()

    def _room(self, length: int) -> memoryview:
        return self._piece[self._filled : self._filled + length]

    def _fill(self, length: int) -> None:
        self._filled += length
        if self._filled == PIECE:
            self._flush()

    def _flush(self) -> None:
        if self._filled:
            piece = self._piece[: self._filled].toreadonly()
            self._digest.update(piece)
            self._write(piece)
            self._filled = 0


_ZEROS = memoryview(bytes(PIECE))
