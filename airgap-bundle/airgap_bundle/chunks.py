"""What is on its way through the pipeline: buffers in use, and large blobs of which parts are known."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator

from airgap_bundle.pieces import Damage, Keep, Piece

CHUNK = 2 * 1024 * 1024
"""Bytes of a buffer."""


class LargeBlob:
    """A large blob on its way."""

    __slots__ = ("at", "damage", "hasher", "keep", "lane", "name", "next", "open", "path", "size")

    def __init__(self, piece: Piece, keep: Keep | None, lane: int) -> None:
        self.name, self.size = piece.blob, piece.blob_size
        self.path, self.at = piece.source.name, piece.at
        self.keep, self.lane = keep, lane
        self.hasher = hashlib.sha256()
        self.next = 0
        """The offset that comes next."""
        self.open = 1
        """What is under way: chunks to hash, chunks to write, and the reader."""
        self.damage: Damage | None = None

    def damaged(self, path: str, at: int, why: str) -> None:
        """Note the first damage; the rest of the blob is of no use then."""
        self.damage = self.damage or Damage(path, at, self.name, why)


class Chunk:
    """A buffer in use: a stretch of one large blob, or many small pieces."""

    __slots__ = ("blob", "buffer", "offset", "parts", "size", "users")

    def __init__(self, buffer: mmap.mmap) -> None:
        self.buffer = buffer
        self.size = 0
        self.users = 1
        self.blob: LargeBlob | None = None
        self.offset = 0
        self.parts: list[tuple[int, Piece]] = []
        """Offset in the buffer, and what belongs there."""


def at_most(size: int, piece: Piece) -> Iterator[Piece]:
    """`piece` in parts of at most `size` bytes: only predicted bytes can be more."""
    if piece.size <= size:
        yield piece
        return
    for at in range(0, piece.size, size):
        expected = piece.expected[at : at + size]
        yield piece._replace(at=piece.at + at, size=len(expected), expected=expected)


def neighbours(parts: list[tuple[int, Piece]]) -> Iterator[tuple[int, int, int, int, int]]:
    """Neighbours on the medium as one: first part, behind the last, offset there, offset here, bytes."""
    first = 0
    while first < len(parts):
        to, piece = parts[first]
        size, last = piece.size, first + 1
        while last < len(parts) and parts[last][1].at == piece.at + size:
            size += parts[last][1].size
            last += 1
        yield first, last, piece.at, to, size
        first = last
