"""Unpack one zstd frame, strictly and within bounds (SPEC section 5).

    unpack(file, 41276, 301223, write)

A blob is one frame of exactly the size that was signed, with a window of 8 MiB at most. Its blocks are
walked first, so that nothing stands before, between or behind; libzstd then gives at most one buffer at a
time, so a bomb costs neither memory nor disk. Source: RFC 8878 section 3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import zstandard

LARGEST_WINDOW = 8 * 1024 * 1024
BUFFER = 1024 * 1024
MAGIC = b"\x28\xb5\x2f\xfd"
LONGEST_HEADER = 18
LARGEST_BLOCK = 128 * 1024
RAW, RLE, RESERVED = 0, 1, 3

Write = Callable[[bytes | memoryview], None]


class BadFrame(Exception):
    """The bytes are not one frame of the content; the text is a clause."""


def unpack(file: BinaryIO, length: int, size: int, write: Write) -> None:
    """Unpack the frame of `length` bytes at the begin of `file` into `size` bytes.

    Raises BadFrame, and what `write` raises; some bytes may have been written then.
    """
    _check_form(file, length, size)
    file.seek(0)
    buffer = bytearray(min(BUFFER, max(size, 1)))
    done = 0
    try:
        with zstandard.ZstdDecompressor(max_window_size=LARGEST_WINDOW).stream_reader(
            file, read_size=LARGEST_BLOCK, closefd=False
        ) as reader:
            while got := reader.readinto(buffer):
                done += got
                if done > size:
                    raise BadFrame(f"it holds more than the {size} bytes that were signed")
                write(memoryview(buffer)[:got])
    except zstandard.ZstdError as error:
        raise BadFrame(f"it cannot be unpacked ({str(error)[:80]})") from None
    if done != size:
        raise BadFrame(f"it holds {done} of the {size} bytes that were signed")


def _check_form(file: BinaryIO, length: int, size: int) -> None:
    file.seek(0)
    head = file.read(LONGEST_HEADER)
    if not head.startswith(MAGIC):
        raise BadFrame("it does not begin as a zstd frame")
    try:
        about = zstandard.get_frame_parameters(head)
        at = zstandard.frame_header_size(head)
    except zstandard.ZstdError:
        raise BadFrame("its header is not that of a zstd frame") from None
    if about.content_size != size:
        raise BadFrame("its header does not say the size that was signed")
    if about.window_size > LARGEST_WINDOW:
        raise BadFrame(f"its window is {about.window_size} bytes, and {LARGEST_WINDOW} are the most")
    if about.dict_id:
        raise BadFrame("it wants a dictionary")
    last = False
    while not last:
        file.seek(at)
        header = int.from_bytes(block := file.read(3), "little")
        if len(block) < 3:
            raise BadFrame("it ends too early")
        last, kind, inside = bool(header & 1), header >> 1 & 3, header >> 3
        if kind == RESERVED or inside > LARGEST_BLOCK:
            raise BadFrame("it has a block of an unknown kind")
        at += 3 + (1 if kind == RLE else inside)
    at += 4 if about.has_checksum else 0
    if at != length:
        raise BadFrame("it ends too early" if at > length else f"{length - at} bytes are behind its end")
