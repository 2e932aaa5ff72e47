"""The bytes of a delta, read strictly and written canonically. FORMAT.md explains them by an example.

    airgap-delta 1
    target <sha256> <size>
    base <sha256> <size>          1 to 8 of them
    <empty line>
    segment ...                   until the target is complete

Nothing here opens a base or runs a decompressor: this is the grammar, and the limits that make it safe to
read from an enemy. Whatever parses is what `encode` writes for the same values, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from airgap_bundle.delta.errors import DeltaMalformed

KIB, MIB = 1 << 10, 1 << 20

FIRST_LINE = "airgap-delta 1"
MOST_BASES = 8
MOST_BYTES = (1 << 63) - 1
"""Of a target, and of all bases together: offsets fit a signed 64-bit number."""
MOST_HEADER = 1024
"""Bytes; the longest header that the rules allow has 1006."""
BLOCK = 4 * KIB
"""Bytes; extents of a dictionary begin at multiples of it: the block of the usual file systems."""
MOST_DICTIONARY = 4 * MIB
"""Bytes of the bases that one segment may use as its dictionary."""
MOST_DATA = 1 * MIB
"""Bytes that the frame of one segment may unpack to."""
MOST_FRAME = MOST_DATA + MOST_DATA // 256 + 64
"""Bytes of one frame: ZSTD_compressBound(MOST_DATA)."""
MOST_STEPS = 8192
MOST_TABLE = 256 * KIB
"""Bytes; 2048 extents and 8192 steps with large numbers."""
LEAST_SEGMENT = 512 * KIB
"""Bytes that each segment but the last rebuilds: so reading dictionaries costs at most 8 times the target."""

ZEROS = -1
"""In the place of a base offset: the run is of zero bytes."""

_DIGEST = re.compile(r"[0-9a-f]{64}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Blob:
    """A blob by its SHA-256 (64 lower-case hexadecimal digits) and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Header:
    """What a delta rebuilds, and what it builds upon.

    The bases, one after another in this order, are one address space: every offset is into it.
    """

    target: Blob
    bases: tuple[Blob, ...]

    @property
    def base_size(self) -> int:
        """Bytes of all bases together."""
        return sum(blob.size for blob in self.bases)

    def encode(self) -> bytes:
        """The header's bytes, the empty line included."""
        lines = [FIRST_LINE, f"target {self.target.sha256} {self.target.size}"]
        lines += [f"base {blob.sha256} {blob.size}" for blob in self.bases]
        return "\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True)
class Step:
    """`data` bytes out of the segment's frame, then a run: `run` bytes of the bases, or so many zeros."""

    data: int
    run: int
    place: int
    """Offset in the bases, or ZEROS."""


@dataclass(frozen=True)
class Segment:
    """The next stretch of the target."""

    extents: tuple[tuple[int, int], ...]
    """(first block, blocks) of the bases, ascending: joined, they are the dictionary of the frame."""
    steps: tuple[Step, ...]
    frame: bytes
    """A zstd frame that unpacks to the data of all steps; empty when they have none."""

    @property
    def data(self) -> int:
        """Bytes that the frame unpacks to."""
        return sum(step.data for step in self.steps)

    @property
    def rebuilds(self) -> int:
        """Bytes of the target."""
        return sum(step.data + step.run for step in self.steps)

    def encode(self) -> bytes:
        """The segment's bytes."""
        table = bytearray()
        _put(table, len(self.extents))
        end = 0
        for block, blocks in self.extents:
            _put(table, block - end)
            _put(table, blocks)
            end = block + blocks
        _put(table, len(self.steps))
        expected = 0
        for step in self.steps:
            _put(table, step.data)
            _put(table, step.run * 2 + (step.place != ZEROS))
            expected += step.data
            if step.place != ZEROS:
                _put(table, _zigzag(step.place - expected))
                expected = step.place
            expected += step.run
        sizes = len(table).to_bytes(4, "little") + len(self.frame).to_bytes(4, "little")
        return b"".join((sizes, table, self.frame))


def read_header(file: BinaryIO) -> Header:
    """The header of the delta that `file` is at the start of; `file` is then at its first segment.

    Raises DeltaMalformed.
    """
    start = file.read(MOST_HEADER)
    end = start.find(b"\n\n") + 2
    _require(end > 1, f"no empty line ends its header within {MOST_HEADER} bytes")
    header = parse_header(start[:end])
    file.seek(end)
    return header


def parse_header(text: bytes) -> Header:
    """The header that these bytes are. Raises DeltaMalformed."""
    try:
        lines = text.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise DeltaMalformed(why="its header is not ASCII") from None
    _require(lines[0] == FIRST_LINE, f"it does not begin with the line {FIRST_LINE!r}")  # check 1
    _require(len(lines) > 3 and lines[-2:] == ["", ""], "no empty line ends its header")
    target, *bases = lines[1:-2]
    header = Header(_parse_blob("target", target), tuple(_parse_blob("base", line) for line in bases))
    _require(1 <= len(bases) <= MOST_BASES, f"it names {len(bases)} bases, not 1 to {MOST_BASES}")  # check 3
    _require(len({blob.sha256 for blob in header.bases}) == len(bases), "it names a base twice")
    _require(header.base_size <= MOST_BYTES, "its bases are too large")
    return header


def _parse_blob(word: str, line: str) -> Blob:  # check 2
    parts = line.split(" ")
    _require(len(parts) == 3 and parts[0] == word, f"{line!r} is not: {word}, digest, size")
    _, digest, size = parts
    _require(_DIGEST.fullmatch(digest) is not None, f"{digest!r} is not 64 lower-case hexadecimal digits")
    _require(_NUMBER.fullmatch(size) is not None, f"{size!r} is not a size in plain decimal digits")
    _require(int(size) <= MOST_BYTES, f"{size} bytes are too many")
    return Blob(digest, int(size))


def segments(file: BinaryIO, header: Header) -> Iterator[Segment]:
    """The segments that follow `header` in `file`, one at a time, none larger than the limits above.

    The iterator ends when they have rebuilt the target's size and nothing follows. Raises DeltaMalformed.
    """
    left = header.target.size
    while left:
        sizes = _exactly(file, 8)
        table_size, frame_size = (int.from_bytes(sizes[i : i + 4], "little") for i in (0, 4))
        _require(table_size <= MOST_TABLE, f"a table of {table_size} bytes is too large")  # check 4
        _require(frame_size <= MOST_FRAME, f"a frame of {frame_size} bytes is too large")
        extents, steps = _parse_table(_exactly(file, table_size), header.base_size, left)
        segment = Segment(extents, steps, _exactly(file, frame_size))
        _require(bool(segment.data) == bool(segment.frame), "a frame and its data do not go together")
        _require(bool(segment.data) or not extents, "a dictionary has no frame")
        left -= segment.rebuilds
        _require(not left or segment.rebuilds >= LEAST_SEGMENT, "a segment is too small")  # check 9
        yield segment
    _require(not file.read(1), "more follows where the target is complete")  # check 10


def _parse_table(
    table: bytes, base_size: int, left: int
) -> tuple[tuple[tuple[int, int], ...], tuple[Step, ...]]:
    reader = _Table(table)
    blocks_left, end, used = -(-base_size // BLOCK), 0, 0
    extents = []
    count = reader.number()
    for nth in range(count):  # each takes two bytes at least, so a false count runs out of table
        skipped, blocks = reader.number(), reader.number()
        _require(blocks > 0 and (skipped > 0 or not nth), "extents are empty or touch each other")  # check 6
        used += blocks
        _require(used * BLOCK <= MOST_DICTIONARY, "a dictionary is too large")
        extents.append((end + skipped, blocks))
        end += skipped + blocks
        _require(end <= blocks_left, "an extent lies outside the bases")
    steps: list[Step] = []
    count = reader.number()
    _require(1 <= count <= MOST_STEPS, f"{count} steps are not 1 to {MOST_STEPS}")  # check 7
    expected = data_left = 0
    data_left = MOST_DATA
    for nth in range(count):
        data, coded = reader.number(), reader.number()
        run, copies = coded >> 1, bool(coded & 1)
        data_left -= data
        left -= data + run
        _require(data_left >= 0, "the steps of a segment take too much data")
        _require(left >= 0, "its segments rebuild more than the target's size")  # check 8
        expected += data
        place = ZEROS
        if copies:
            place = expected + _unzigzag(reader.number())
            _require(place >= 0 and place + run <= base_size, "a step copies from outside the bases")
        _require(run > 0 or (data > 0 and not copies and nth == count - 1), "a step has no run")
        if nth and not data:
            joined = place == expected if copies else True
            _require((steps[-1].place != ZEROS) != copies or not joined, "two steps are really one")
        steps.append(Step(data, run, place))
        expected = (place if copies else expected) + run
    _require(reader.at == len(table), "a table is longer than its content")
    return tuple(extents), tuple(steps)


class _Table:
    """Numbers out of a table: LEB128, little end first, shortest form, below 2**63."""

    def __init__(self, table: bytes) -> None:
        self._table = table
        self.at = 0

    def number(self) -> int:
        value = shift = 0
        while True:
            _require(self.at < len(self._table), "a table ends within a number")  # check 5
            byte = self._table[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                _require(byte > 0 or shift == 0, "a number is not in its shortest form")
                return value
            shift += 7
            _require(shift < 63, "a number is too large")


def span(extent: tuple[int, int], base_size: int) -> tuple[int, int]:
    """(offset, length) in bytes of an extent: the last block of the bases may be a short one."""
    start, end = extent[0] * BLOCK, min((extent[0] + extent[1]) * BLOCK, base_size)
    return start, end - start


def _put(table: bytearray, number: int) -> None:
    while number >= 0x80:
        table.append(number & 0x7F | 0x80)
        number >>= 7
    table.append(number)


def _zigzag(number: int) -> int:
    return number * 2 if number >= 0 else -number * 2 - 1


def _unzigzag(number: int) -> int:
    return -(number + 1) // 2 if number & 1 else number // 2


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    _require(len(data) == size, "it ends too early")
    return data


def _require(holds: bool, why: str) -> None:
    if not holds:
        raise DeltaMalformed(why=why)
