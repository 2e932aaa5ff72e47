"""zstd frames, written block by block (RFC 8878): no compressor makes those that must be refused."""

from __future__ import annotations

import struct

MAGIC = struct.pack("<I", 0xFD2FB528)
SKIPPABLE = struct.pack("<I", 0x184D2A50)


def frame(
    data: bytes,
    *,
    said: int | None = None,
    window: int | None = None,
    dictionary: bytes = b"",
    has_size: bool = True,
    checksum: bytes = b"",
    kind: int = 0,
) -> bytes:
    """One frame of one raw block; `window`: its descriptor byte, else it is a single segment.

    `said`: another content size than that of `data`. `dictionary`: the bytes of a dictionary ID, one or none.
    """
    size = len(data) if said is None else said
    flags = (2 << 6 if has_size else 0) | (32 if window is None else 0) | len(dictionary)
    flags |= 4 if checksum else 0
    head = bytes([flags]) + (b"" if window is None else bytes([window])) + dictionary
    head += struct.pack("<I", size) if has_size else bytes([size] if window is None else [])
    block = struct.pack("<I", len(data) << 3 | kind << 1 | 1)[:3]
    return MAGIC + head + block + data + checksum
