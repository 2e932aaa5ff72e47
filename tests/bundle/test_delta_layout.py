"""A delta from an enemy: every rule of its format is kept, and no bytes but ours are read."""

from __future__ import annotations

import hashlib
import io
import random
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle import delta
from airgap_bundle.delta import DeltaBaseMissing, DeltaMalformed, layout
from airgap_bundle.delta.layout import (
    LEAST_SEGMENT,
    MOST_BYTES,
    MOST_DATA,
    MOST_DICTIONARY,
    MOST_FRAME,
    MOST_HEADER,
    MOST_STEPS,
    MOST_TABLE,
    ZEROS,
    Blob,
    Header,
    Segment,
    Step,
)

A, B = "a" * 64, "b" * 64
GOOD = f"airgap-delta 1\ntarget {A} 10\nbase {B} 20\n\n"


def test_the_documented_example_is_what_is_written() -> None:
    assert layout.parse_header(GOOD.encode()) == Header(Blob(A, 10), (Blob(B, 20),))
    assert layout.parse_header(GOOD.encode()).encode() == GOOD.encode()


def test_the_longest_header_fits() -> None:
    bases = tuple(Blob(f"{n}" * 64, MOST_BYTES // 8) for n in range(8))
    longest = Header(Blob(A, MOST_BYTES), bases).encode()
    assert len(longest) <= MOST_HEADER
    assert layout.read_header(io.BytesIO(longest)).encode() == longest


BAD_HEADERS = {
    "empty": "",
    "another format": GOOD.replace("airgap-delta", "VCD"),
    "a later version": GOOD.replace("delta 1", "delta 2"),
    "a version with a zero before it": GOOD.replace("delta 1", "delta 01"),
    "Windows line ends": GOOD.replace("\n", "\r\n"),
    "no empty line": GOOD[:-1],
    "a space at an end": GOOD.replace("1\n", "1 \n"),
    "no target": GOOD.replace(f"target {A} 10\n", ""),
    "two targets": GOOD.replace("base", "target"),
    "no base": GOOD.replace(f"base {B} 20\n", ""),
    "a base before the target": f"airgap-delta 1\nbase {B} 20\ntarget {A} 10\n\n",
    "the same base twice": GOOD.replace("\n\n", f"\nbase {B} 20\n\n"),
    "nine bases": GOOD.replace("\n\n", "".join(f"\nbase {n:064} 1" for n in range(8)) + "\n\n"),
    "a digest in capitals": GOOD.replace(A, A.upper()),
    "a short digest": GOOD.replace(A, A[1:]),
    "a long digest": GOOD.replace(A, A + "a"),
    "a sign": GOOD.replace(" 10", " +10"),
    "a negative size": GOOD.replace(" 10", " -10"),
    "a zero before a size": GOOD.replace(" 10", " 010"),
    "a size with an underscore": GOOD.replace(" 10", " 1_0"),
    "a size in other digits": GOOD.replace(" 10", " ١٠"),
    "a size of twenty digits": GOOD.replace(" 10", " 1" + "0" * 19),
    "a size of 2**63": GOOD.replace(" 10", f" {2**63}"),
    "bases of 2**63 together": GOOD.replace(" 20\n", f" {MOST_BYTES}\nbase {A} 1\n"),
    "two spaces": GOOD.replace(" 10", "  10"),
    "a tab": GOOD.replace(" 10", "\t10"),
    "more in a line": GOOD.replace(" 10", " 10 x"),
    "a line more": GOOD.replace("\n\n", "\nnote x\n\n"),
    "a NUL": GOOD.replace(" 10", " 10\0"),
    "a byte order mark": "\ufeff" + GOOD,
    "endless": GOOD[:-1] + "x" * 2000,
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_a_header_out_of_order_is_refused(name: str) -> None:
    with pytest.raises(DeltaMalformed) as refused:
        layout.read_header(io.BytesIO(BAD_HEADERS[name].encode()))
    assert refused.value.exit_code == 46


def packed(data: bytes, *, dictionary: bytes = b"", size: bool = True, checksum: bool = False) -> bytes:
    parameters = zstandard.ZstdCompressionParameters(write_content_size=size, write_checksum=checksum)
    raw = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(compression_params=parameters, dict_data=raw).compress(data)


def numbers(*values: int) -> bytes:
    table = bytearray()
    for value in values:
        while value >= 0x80:
            table.append(value & 0x7F | 0x80)
            value >>= 7
        table.append(value)
    return bytes(table)


def raw_segment(table: bytes, frame: bytes = b"") -> bytes:
    return len(table).to_bytes(4, "little") + len(frame).to_bytes(4, "little") + table + frame


HELLO = packed(b"hello")
BASE = bytes(range(256)) * 400
"""100 blocks of 1024 bytes: 25 blocks of 4096."""
DATA5 = (1, 5, 0)
"""One step: five bytes of data, no run."""

BAD_SEGMENTS: dict[str, tuple[int, bytes]] = {
    # name: (size of the target, what follows the header)
    "nothing": (5, b""),
    "half of its sizes": (5, b"\1\0\0\0"),
    "a table that is cut off": (5, raw_segment(numbers(0, *DATA5), HELLO)[:10]),
    "a frame that is cut off": (5, raw_segment(numbers(0, *DATA5), HELLO)[:-1]),
    "an empty table": (5, raw_segment(b"", HELLO)),
    "a huge table": (5, (MOST_TABLE + 1).to_bytes(4, "little") + bytes(4)),
    "a huge frame": (5, bytes(4) + (MOST_FRAME + 1).to_bytes(4, "little")),
    "a table with more in it": (5, raw_segment(numbers(0, *DATA5, 0), HELLO)),
    "a number in a longer form": (5, raw_segment(b"\x00\x01\x85\x00\x00", HELLO)),
    "a number of 2**63": (5, raw_segment(b"\x00\x01" + b"\x80" * 9 + b"\x01\x00", HELLO)),
    "a number without an end": (5, raw_segment(b"\x00\x01\x85", HELLO)),
    "more extents than there are": (5, raw_segment(numbers(1 << 40, 0, 1), HELLO)),
    "an empty extent": (5, raw_segment(numbers(1, 0, 0, *DATA5), HELLO)),
    "extents that touch": (5, raw_segment(numbers(2, 0, 1, 0, 1, *DATA5), HELLO)),
    "an extent outside": (5, raw_segment(numbers(1, 25, 1, *DATA5), HELLO)),
    "an extent that ends outside": (5, raw_segment(numbers(1, 20, 6, *DATA5), HELLO)),
    "an extent of 2**62 blocks": (5, raw_segment(numbers(1, 0, 1 << 62, *DATA5), HELLO)),
    "a dictionary without a frame": (5, raw_segment(numbers(1, 0, 1, 1, 0, 10))),
    "no steps": (5, raw_segment(numbers(0, 0), HELLO)),
    "too many steps": (5, raw_segment(numbers(0, MOST_STEPS + 1, *[0, 2] * (MOST_STEPS + 1)))),
    "more steps than there are": (10, raw_segment(numbers(0, 2, 5, 10), HELLO)),
    "a step of nothing": (5, raw_segment(numbers(0, 2, 0, 0, 5, 0), HELLO)),
    "a step of nothing at the end": (5, raw_segment(numbers(0, 2, 5, 0, 0, 0), HELLO)),
    "data without a run before the end": (10, raw_segment(numbers(0, 2, 5, 0, 0, 10), HELLO)),
    "a copy of nothing": (5, raw_segment(numbers(0, 1, 5, 1, 0), HELLO)),
    "a copy from before the bases": (5, raw_segment(numbers(0, 1, 0, 11, 1))),
    "a copy from behind the bases": (5, raw_segment(numbers(0, 1, 0, 11, 2 * len(BASE)))),
    "a copy that ends outside": (5, raw_segment(numbers(0, 1, 0, 11, 2 * (len(BASE) - 4)))),
    "two copies that are one": (10, raw_segment(numbers(0, 2, 0, 11, 0, 0, 11, 0))),
    "two runs of zeros that are one": (10, raw_segment(numbers(0, 2, 0, 10, 0, 10))),
    "more than the target": (4, raw_segment(numbers(0, *DATA5), HELLO)),
    "more zeros than the target": (4, raw_segment(numbers(0, 1, 0, 10))),
    "zeros without an end": (5, raw_segment(numbers(0, 1, 0, 1 << 62))),
    "less than the target": (6, raw_segment(numbers(0, *DATA5), HELLO)),
    "small segments": (20, raw_segment(numbers(0, 1, 0, 20)) * 2),
    "a frame that nothing takes": (5, raw_segment(numbers(0, 1, 0, 10), HELLO)),
    "no frame": (5, raw_segment(numbers(0, *DATA5))),
    "a byte more": (5, raw_segment(numbers(0, *DATA5), HELLO) + b"\0"),
    "a segment more": (5, raw_segment(numbers(0, *DATA5), HELLO) * 2),
    "anything after an empty target": (0, b"\0"),
    "a frame of less": (5, raw_segment(numbers(0, *DATA5), packed(b"hell"))),
    "a frame of more": (5, raw_segment(numbers(0, *DATA5), packed(b"hello!"))),
    "a frame that does not say its size": (5, raw_segment(numbers(0, *DATA5), packed(b"hello", size=False))),
    "a frame with a checksum": (5, raw_segment(numbers(0, *DATA5), packed(b"hello", checksum=True))),
    "a frame and more": (5, raw_segment(numbers(0, *DATA5), HELLO + b"\0")),
    "two frames": (5, raw_segment(numbers(0, *DATA5), HELLO + packed(b""))),
    "a skippable frame": (5, raw_segment(numbers(0, *DATA5), b"\x50\x2a\x4d\x18\4\0\0\0abcd")),
    "no zstd": (5, raw_segment(numbers(0, *DATA5), b"plain")),
    "half a frame": (5, raw_segment(numbers(0, *DATA5), HELLO[:-2])),
}


class Zone:
    """A receiver with one base."""

    def __init__(self, folder: Path) -> None:
        self.base, self.delta = folder / "base", folder / "delta"
        self.base.write_bytes(BASE)
        self.digest = hashlib.sha256(BASE).hexdigest()

    def header(self, target: bytes | int) -> bytes:
        size = target if isinstance(target, int) else len(target)
        digest = A if isinstance(target, int) else hashlib.sha256(target).hexdigest()
        return Header(Blob(digest, size), (Blob(self.digest, len(BASE)),)).encode()

    def apply(self, content: bytes) -> bytes:
        self.delta.write_bytes(content)
        rebuilt = bytearray()
        delta.apply(self.delta, {self.digest: self.base}.get, rebuilt.extend)
        return bytes(rebuilt)


@pytest.fixture
def zone(tmp_path: Path) -> Zone:
    return Zone(tmp_path)


@pytest.mark.parametrize("name", BAD_SEGMENTS)
def test_a_segment_out_of_order_is_refused(zone: Zone, name: str) -> None:
    size, rest = BAD_SEGMENTS[name]
    with pytest.raises(DeltaMalformed) as refused:
        zone.apply(zone.header(size) + rest)
    assert "it rebuilds" not in str(refused.value), "only the last check saw it"


def test_too_much_data_is_refused(zone: Zone) -> None:
    rest = raw_segment(numbers(0, 1, MOST_DATA + 1, 0), packed(bytes(MOST_DATA + 1)))
    with pytest.raises(DeltaMalformed, match="too much data"):
        zone.apply(zone.header(MOST_DATA + 1) + rest)


def test_too_large_a_dictionary_is_refused() -> None:
    blocks = MOST_DICTIONARY // layout.BLOCK + 1
    header = Header(Blob(A, 5), (Blob(B, 1 << 40),))
    rest = raw_segment(numbers(1, 7, blocks, *DATA5), HELLO)
    with pytest.raises(DeltaMalformed, match="dictionary is too large"):
        list(layout.segments(io.BytesIO(rest), header))


def test_a_frame_that_unpacks_to_more_than_it_says_stays_within(zone: Zone) -> None:
    bomb = bytearray(packed(bytes(MOST_DATA)))
    assert bomb[4] >> 6 == 2  # a content size of four bytes
    bomb[5:9] = (5).to_bytes(4, "little")
    with pytest.raises(DeltaMalformed, match="unpacked"):
        zone.apply(zone.header(5) + raw_segment(numbers(0, *DATA5), bytes(bomb)))


def test_what_is_in_order_is_rebuilt(zone: Zone) -> None:
    target = b"hello" + bytes(7) + BASE[100:5000] + BASE[5000:5010]
    segment = Segment((), (Step(5, 7, ZEROS), Step(0, 4910, 100)), HELLO)
    assert zone.apply(zone.header(target) + segment.encode()) == target


def test_the_dictionary_is_the_extents_one_after_another(zone: Zone) -> None:
    data = BASE[8192:12288][::3]
    frame = packed(data, dictionary=BASE[:4096] + BASE[8192 : 8192 + 4096])
    segment = Segment(((0, 1), (2, 1)), (Step(len(data), 0, ZEROS),), frame)
    assert zone.apply(zone.header(data) + segment.encode()) == data


def test_another_content_than_the_target_is_refused_in_the_end(zone: Zone) -> None:
    segment = Segment((), (Step(5, 0, ZEROS),), packed(b"hallo"))
    with pytest.raises(DeltaMalformed, match=r"it rebuilds sha256 [0-9a-f]{64}, and not"):
        zone.apply(zone.header(b"hello") + segment.encode())


def a_small_delta(folder: Path) -> tuple[bytes, Callable[[bytes], bytes], bytes]:
    """A delta with all there is in one, how to apply it, and its target."""
    rng = random.Random(7)
    one, two = rng.randbytes(9000), bytes(rng.choice(b"abcdef ") for _ in range(9000))
    target = one[200:8000] + bytes(8192) + two[3000:3600] + b"!" + two[3601:4000] + one[:4500]
    bases: list[delta.Base] = []
    for content in (one, two):
        bases.append(delta.Base(hashlib.sha256(content).hexdigest(), folder / f"base-{len(bases)}"))
        bases[-1].path.write_bytes(content)
    (folder / "target").write_bytes(target)
    delta.make(folder / "target", bases, folder / "delta")
    places = {base.sha256: base.path for base in bases}

    def apply(content: bytes) -> bytes:
        (folder / "delta").write_bytes(content)
        rebuilt = bytearray()
        delta.apply(folder / "delta", places.get, rebuilt.extend)
        return bytes(rebuilt)

    return (folder / "delta").read_bytes(), apply, target


def test_every_flipped_bit_is_refused(tmp_path: Path) -> None:
    good, apply, target = a_small_delta(tmp_path)
    assert apply(good) == target
    assert len(good) < 1000
    with io.BytesIO(good) as file:
        steps = next(iter(layout.segments(file, layout.read_header(file)))).steps
    assert {step.place == ZEROS for step in steps} == {True, False}
    for at in range(len(good) * 8):
        bad = bytearray(good)
        bad[at // 8] ^= 1 << at % 8
        with pytest.raises((DeltaMalformed, DeltaBaseMissing)):
            apply(bytes(bad))


def test_every_cut_is_refused(tmp_path: Path) -> None:
    good, apply, _ = a_small_delta(tmp_path)
    for end in range(len(good)):
        with pytest.raises(DeltaMalformed):
            apply(good[:end])


def reads(content: bytes) -> tuple[Header, list[Segment]]:
    with io.BytesIO(content) as file:
        header = layout.read_header(file)
        return header, list(layout.segments(file, header))


PLACES = st.one_of(st.just(ZEROS), st.integers(0, 1 << 40))
STEPS = st.builds(Step, st.integers(0, 1 << 21), st.integers(0, 1 << 41), PLACES)
SEGMENTS = st.builds(
    Segment,
    st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(0, 1 << 12)), max_size=4).map(tuple),
    st.lists(STEPS, max_size=5).map(tuple),
    st.binary(max_size=20),
)


@given(st.lists(SEGMENTS, max_size=3), st.one_of(st.none(), st.integers(0, 1 << 42)))
def test_what_parses_is_what_would_be_written(segments: list[Segment], size: int | None) -> None:
    total = sum(segment.rebuilds for segment in segments) if size is None else size
    header = Header(Blob(A, total), (Blob(B, 1 << 41), Blob("c" * 64, 5)))
    with suppress(DeltaMalformed, ValueError):  # extents that descend cannot be written
        content = header.encode() + b"".join(segment.encode() for segment in segments)
        assert reads(content) == (header, segments)


@given(st.data())
def test_only_canonical_bytes_parse(data: st.DataObject) -> None:
    first = Segment(
        ((3, 2), (9, 1)), (Step(4, 2 * LEAST_SEGMENT, 70), Step(0, 5, ZEROS), Step(1, 0, ZEROS)), b"ab"
    )
    second = Segment((), (Step(0, 300, 1 << 20), Step(0, 8, 5)), b"")
    size = first.rebuilds + second.rebuilds
    good = Header(Blob(A, size), (Blob(B, 1 << 22),)).encode() + first.encode() + second.encode()
    assert reads(good)[1] == [first, second]
    at = data.draw(st.integers(len(good) - 60, len(good)))
    bad = good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(0, 3)) :]
    with suppress(DeltaMalformed):
        header, segments = reads(bad)
        assert header.encode() + b"".join(segment.encode() for segment in segments) == bad


@given(st.binary(max_size=300))
def test_no_header_but_a_canonical_one_parses(noise: bytes) -> None:
    for text in (noise, GOOD.encode()[: len(GOOD) - len(noise) % 60] + noise[:2] + b"\n\n"):
        with suppress(DeltaMalformed):
            assert layout.parse_header(text).encode() == text


def test_the_example_in_the_documentation_is_true(tmp_path: Path) -> None:
    text = Path(layout.__file__).with_name("FORMAT.md").read_text()
    example = text.split("### Example")[1].split("### Header")[0]
    lines = [line[4:] for line in example.splitlines() if line.startswith("    ")]
    header = "\n".join([*lines[:3], "", ""]).encode()
    found = (re.match(r" *((?:[0-9a-f]{2} )+)", line) for line in lines[4:])
    segment = b"".join(bytes.fromhex(octets[1]) for octets in found if octets)
    base = b"".join(b"debian-%04d 1.0\n" % n for n in range(1024))
    (tmp_path / "base").write_bytes(base)
    (tmp_path / "target").write_bytes(base.replace(b"0500 1.0", b"0500 1.1") + bytes(4096))
    made = delta.Base(hashlib.sha256(base).hexdigest(), tmp_path / "base")
    delta.make(tmp_path / "target", [made], tmp_path / "delta")
    assert (tmp_path / "delta").read_bytes() == header + segment
