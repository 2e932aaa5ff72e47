"""The container: which byte stands where, predicted from what is signed (SPEC section 6).

    layouts = lay_out(metadata, blobs, cuts, bundle="zone-updates", sequence=7)
    for member in layouts[0].members: ...        # where each content lies
    for at, run in layouts[0].framing(): ...     # every byte that is no member's content

A container is a tar file that any `tar` extracts, and that nobody here parses: names, sizes and order come
from signed metadata, so headers, padding and the end are known before they are read, and are compared.
Nothing here reads or writes a file. Layouts are walked, not stored: 2,000,000 members cost no memory.

Source of the header's form: POSIX.1-2017, pax, "ustar Interchange Format".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

from airgap_bundle.content import Blob
from airgap_bundle.volume_json import WHOLE, Cut, VolumeJson, check_cuts, file_name, order_of

BLOCK = 512
PAGE = 4096
ALIGNED_FROM = 65_536
"""Bytes: blobs of this size and more begin at a multiple of PAGE, so that they can be cloned, not copied."""
LARGEST_MEMBER = 2**32
RUN = 2**20
NAME = 100
"""Bytes that a header has for a member's name."""


class Member(NamedTuple):
    """One file in the container."""

    name: str
    size: int
    """Bytes of its content."""
    at: int
    """Offset of its content in the volume's file; its header is the 512 bytes before."""
    blob: str | None
    """SHA-256 of the blob that this is or is a piece of; None for VOLUME.json and metadata."""
    blob_offset: int
    """Where in the blob this piece begins."""


@dataclass(frozen=True)
class VolumeLayout:
    """Where everything is in one volume."""

    about: VolumeJson
    blobs: Sequence[Blob]
    """All blobs of the bundle, in their order; this volume holds those between `begin` and `end`."""
    begin: Cut
    end: Cut

    @property
    def number(self) -> int:
        """The volume's number, from 1."""
        return self.about.volume

    @property
    def name(self) -> str:
        """Its file's name."""
        return file_name(self.about.bundle, self.about.sequence, self.number, self.about.volumes)

    @property
    def members(self) -> Iterator[Member]:
        """Every member in order: VOLUME.json, metadata, blobs and pieces of blobs."""
        at = 0
        for name, size in [("VOLUME.json", len(self._volume_json)), *self.about.metadata]:
            at += len(long_name(name)) + BLOCK
            yield Member(name, size, at, None, 0)
            at = _padded(at + size, BLOCK)
        for sha256, offset, size in self.pieces():
            at += _pad_before(at, size) + BLOCK
            yield Member(blob_name(sha256, offset), size, at, sha256, offset)
            at = _padded(at + size, BLOCK)

    @cached_property
    def head_size(self) -> int:
        """Bytes before the first blob's header: VOLUME.json and metadata with all that frames them."""
        return head_size(len(self._volume_json), self.about.metadata)

    @cached_property
    def size(self) -> int:
        """Bytes of the whole file."""
        at = self.head_size
        for _, _, size in self.pieces():
            at = _padded(at + _pad_before(at, size) + BLOCK + size, BLOCK)
        return _padded(at + 2 * BLOCK, PAGE)

    def framing(self, metadata: Mapping[str, bytes] | None = None) -> Iterator[tuple[int, bytes]]:
        """Every byte that is no member's content, as (offset, bytes) in order. VOLUME.json is predicted.

        Between two runs lies exactly the content of one member that is not empty. With the verified
        `metadata` that comes too, in runs of a megabyte at most: all that is left is content of blobs.
        """
        run_at, run = 0, b""
        at = 0
        for member in self.members:
            if member.blob:
                short = member.at - BLOCK - at
                run += (pad(short) if short else b"") + header(member.name, member.size)
            else:
                run += long_name(member.name) + header(member.name, member.size)
            end = member.at + member.size
            at = _padded(end, BLOCK)
            if member.name == "VOLUME.json":
                run += self._volume_json + bytes(at - end)
            elif member.size:
                yield run_at, run
                if metadata is not None and not member.blob:
                    data = metadata[member.name]
                    for offset in range(0, member.size, RUN):
                        yield member.at + offset, data[offset : offset + RUN]
                run_at, run = end, bytes(at - end)
        yield run_at, run + bytes(self.size - at)

    def pieces(self) -> Iterator[tuple[str, int, int]]:
        """The blobs' pieces in this volume: SHA-256 of the blob, offset in it, size (at most 2^32 bytes)."""
        for number in range(self.begin.blob, min(self.end.blob + 1, len(self.blobs))):
            blob = self.blobs[number]
            offset = self.begin.offset if number == self.begin.blob else 0
            stop = self.end.offset if number == self.end.blob else blob.size
            if number == self.end.blob and not self.end.offset:
                return
            while stop - offset > LARGEST_MEMBER:
                yield blob.sha256, offset, LARGEST_MEMBER
                offset += LARGEST_MEMBER
            yield blob.sha256, offset, stop - offset

    @cached_property
    def _volume_json(self) -> bytes:
        return self.about.render()


def lay_out(
    metadata: Iterable[tuple[str, int]],
    blobs: Sequence[Blob],
    cuts: Sequence[Cut] = WHOLE,
    *,
    bundle: str,
    sequence: int,
) -> list[VolumeLayout]:
    """The layout of every volume of a bundle.

    `metadata`: names and sizes, in any order. `blobs`: in the order of `Content.blobs`.

    Raises Malformed: the cuts are not places in these blobs that go forward.
    """
    check_cuts(cuts, blobs)
    ordered = tuple(sorted(metadata, key=lambda named: order_of(named[0])))
    ends = [*cuts[1:], Cut(len(blobs), 0)]
    return [
        VolumeLayout(VolumeJson(bundle, sequence, ordered, tuple(cuts), number), blobs, begin, end)
        for number, (begin, end) in enumerate(zip(cuts, ends, strict=True), 1)
    ]


def next_at(at: int, size: int) -> int:
    """Where the next member's pad or header begins when a blob of `size` bytes is laid at `at`."""
    while size > LARGEST_MEMBER:
        at = _padded(at + _pad_before(at, LARGEST_MEMBER) + BLOCK + LARGEST_MEMBER, BLOCK)
        size -= LARGEST_MEMBER
    return _padded(at + _pad_before(at, size) + BLOCK + size, BLOCK)


def head_size(volume_json: int, metadata: Sequence[tuple[str, int]]) -> int:
    """Bytes before the first blob, when VOLUME.json has `volume_json` bytes."""
    named = [("VOLUME.json", volume_json), *metadata]
    return sum(len(long_name(name)) + BLOCK + _padded(size, BLOCK) for name, size in named)


def _padded(size: int, to: int) -> int:
    return -(-size // to) * to


def _pad_before(at: int, size: int) -> int:
    """Bytes of the pad before a blob member of `size` bytes whose header would begin at `at`."""
    if size < ALIGNED_FROM:
        return 0
    short = -(at + BLOCK) % PAGE
    return short + PAGE if short == BLOCK else short  # a pad is its header and one block at least


@cache  # there are eight sizes
def pad(size: int) -> bytes:
    """A pad of `size` bytes: a pax header for the next member that says nothing, in one comment of spaces."""
    body = size - BLOCK
    record = f"{body} comment="
    return header("pad", body, b"x") + f"{record}{' ' * (body - len(record) - 1)}\n".encode()


def long_name(name: str) -> bytes:
    """What comes before the header of a member whose name is too long for it: a pax header that holds it."""
    if len(name) <= NAME:
        return b""
    length = len(f"... path={name}\n")  # names of 101 to 190 bytes: its own length has three digits
    return header("path", length, b"x") + f"{length} path={name}\n".encode().ljust(BLOCK, b"\0")


def header(name: str, size: int, flag: bytes = b"0") -> bytes:
    """The 512 bytes before a member's content."""
    short, length = name.encode()[:NAME], b"%011o" % size
    summed = _REST_SUM + sum(short) + sum(length) + flag[0]
    return b"".join([short.ljust(NAME, b"\0"), _OWNER, length, _TIME, b"%06o\0 " % summed, flag, _REST])


_OWNER = b"0000644\0" + b"0000000\0" * 2
_TIME = b"\0" + b"0" * 11 + b"\0"
_REST = bytes(100) + b"ustar\0" + b"00" + bytes(64) + b"0000000\0" * 2 + bytes(155 + 12)
_REST_SUM = sum(_OWNER + _TIME + b" " * 8 + _REST)


def blob_name(sha256: str, offset: int) -> str:
    """The member's name of a blob, or of its piece that begins at `offset`."""
    return f"blobs/{sha256}.{offset:016d}" if offset else f"blobs/{sha256}"
