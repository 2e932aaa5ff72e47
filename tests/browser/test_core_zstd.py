"""The core's zstd decoder against libzstd and the Python verifier's bounds.

Each example runs in the page. What one side accepts and the other refuses is a hole in one, or in SPEC.
"""

from __future__ import annotations

import base64
import hashlib
import io

import zstandard
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle import frame
from tests.browser.core import accepts, js, quick
from tests.browser.devtools import Page
from vectors.frames import frame as raw_frame


def unpacked(core: Page, blob: bytes, size: int) -> bytes | None:
    """What the page makes of a frame, None when it is refused."""
    good, found = accepts(
        core,
        "(async () => { const all = await modules['core/zstd.js'].unzstdAll("
        f"{js(blob)}, {size}); let text = ''; for (let i = 0; i < all.length; i += 30000)"
        " text += String.fromCharCode(...all.subarray(i, i + 30000)); return btoa(text); })()",
    )
    return base64.b64decode(found) if good else None


def theirs_unpacked(blob: bytes, size: int) -> bytes | None:
    """What the Python verifier makes of it."""
    parts: list[bytes] = []
    try:
        frame.unpack(io.BytesIO(blob), len(blob), size, lambda part: parts.append(bytes(part)))
    except frame.BadFrame:
        return None
    return b"".join(parts)


texts = st.one_of(
    st.binary(max_size=300),
    st.builds(lambda unit, count: unit * count, st.binary(min_size=1, max_size=40), st.integers(0, 3000)),
    st.builds(
        lambda units, picks: b"".join(units[pick % len(units)] for pick in picks),
        st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=40),
        st.lists(st.integers(0, 1000), max_size=2000),
    ),
)


@quick
@given(texts, st.sampled_from([-7, 1, 3, 6, 12, 19, 22]), st.booleans(), st.sampled_from([10, 17, 23]))
def test_what_zstd_packs_is_unpacked(
    core: Page, data: bytes, level: int, checksum: bool, window: int
) -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, write_checksum=checksum, write_content_size=True, window_log=window
    )
    blob = zstandard.ZstdCompressor(compression_params=parameters).compress(data)
    assert unpacked(core, blob, len(data)) == data


@quick
@given(texts, st.sampled_from([1, 12]), st.booleans(), st.integers(0), st.integers(0, 255))
def test_damaged_frames_are_never_unpacked_to_what_only_one_side_accepts(
    core: Page, data: bytes, level: int, checksum: bool, at: int, byte: int
) -> None:
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=checksum)
    blob = bytearray(compressor.compress(data))
    blob[at % len(blob)] = byte
    ours, theirs = unpacked(core, bytes(blob), len(data)), theirs_unpacked(bytes(blob), len(data))
    # Where the content differs, its SHA-256 refuses it; what matters is who accepts the signed content.
    assert (ours == data) == (theirs == data)


def test_a_large_content_is_unpacked_within_its_window(core: Page) -> None:
    """Longer than window and buffer together: what is behind the window is given up again and again."""
    pattern = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(30_000))
    data = b"".join(pattern[at % 900_000 :] for at in range(0, 20_000_000, 999_983))[:12_000_000]
    parameters = zstandard.ZstdCompressionParameters.from_level(3, write_content_size=True, window_log=20)
    blob = zstandard.ZstdCompressor(compression_params=parameters).compress(data)
    found = core.run(
        f"(async () => {{ const {{ unzstd, readerOf }} = modules['core/zstd.js'];"
        " const hash = new modules['core/sha256.js'].Sha256();"
        f" for await (const piece of unzstd(readerOf({js(blob)}), {len(data)})) hash.update(piece);"
        " return hash.hex(); })()"
    )
    assert found == hashlib.sha256(data).hexdigest()


def test_a_bomb_is_refused_before_it_goes_off(core: Page) -> None:
    blob = zstandard.ZstdCompressor(level=19).compress(bytes(100_000_000))
    assert len(blob) < 10_000
    assert unpacked(core, blob, 13) is None
    assert unpacked(core, raw_frame(b"x" * 50, said=13), 13) is None
