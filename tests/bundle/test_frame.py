"""One zstd frame, and nothing else: whatever bytes come, they are the content or a clause says why not."""

from __future__ import annotations

import io

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.frame import BadFrame, unpack


def packed(data: bytes, **parameters: int) -> bytes:
    settings = zstandard.ZstdCompressionParameters(**parameters)
    return zstandard.ZstdCompressor(compression_params=settings).compress(data)


def unpacked(frame: bytes, size: int) -> bytes:
    out = bytearray()
    unpack(io.BytesIO(frame), len(frame), size, out.extend)
    return bytes(out)


@given(st.binary(max_size=5000), st.integers(1, 200), st.booleans())
def test_what_was_packed_comes_out(data: bytes, times: int, checksum: bool) -> None:
    content = data * times
    assert unpacked(packed(content, write_checksum=int(checksum)), len(content)) == content


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_a_clause(data: bytes) -> None:
    with pytest.raises(BadFrame):
        unpacked(data, 1000)


@given(st.data())
def test_a_changed_frame_is_refused_or_gives_as_much_as_was_signed(data: st.DataObject) -> None:
    content = b"sovereign " * 500
    frame = bytearray(packed(content, write_checksum=1))
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))
    try:
        out = unpacked(bytes(frame), len(content))
    except BadFrame:
        return
    assert len(out) == len(content)


@given(st.binary(min_size=1, max_size=50), st.booleans())
def test_nothing_stands_before_or_behind_it(more: bytes, before: bool) -> None:
    frame = packed(b"a" * 500)
    with pytest.raises(BadFrame):
        unpacked(more + frame if before else frame + more, 500)


@pytest.mark.parametrize("size", [0, 499, 501, 2**50])
def test_another_size_than_the_signed_one_is_refused(size: int) -> None:
    with pytest.raises(BadFrame, match="does not say the size that was signed"):
        unpacked(packed(b"a" * 500), size)


def test_a_bomb_gives_one_buffer_at_a_time() -> None:
    frame = packed(bytes(200_000_000))
    longest = 0

    def write(data: bytes | memoryview) -> None:
        nonlocal longest
        longest = max(longest, len(data))

    unpack(io.BytesIO(frame), len(frame), 200_000_000, write)
    assert longest <= 2**20


def test_a_window_that_takes_too_much_memory_is_refused() -> None:
    content = bytes(20_000_000)
    with pytest.raises(BadFrame, match="its window is"):
        unpacked(packed(content, window_log=24), len(content))
