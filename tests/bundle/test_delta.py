"""A delta rebuilds its target, whatever lies between it and its bases, and never anything else."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airgap_bundle import delta
from airgap_bundle.delta import (
    Base,
    DeltaBaseMissing,
    DeltaMalformed,
    Form,
    applier,
    choose,
    layout,
    maker,
    matcher,
)
from airgap_bundle.delta.layout import BLOCK, KIB, MIB, MOST_DATA, MOST_DICTIONARY

RANDOM = random.Random(1).randbytes(3 * MIB)
"""Content that occurs nowhere twice."""
WORDS = b" ".join(RANDOM[i : i + 3].hex().encode() for i in range(0, 300_000, 5))
"""Content that packs well, 400 KB."""


class Desk:
    """A folder with blobs, named by their digests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "delta"
        self.target: Path | None = None

    def blob(self, content: bytes) -> Base:
        digest = hashlib.sha256(content).hexdigest()
        path = self.folder / digest
        path.write_bytes(content)
        return Base(digest, path)

    def make(self, target: bytes, *bases: bytes) -> delta.Delta:
        return delta.make(self.blob(target).path, [self.blob(base) for base in bases], self.out)

    def held(self, digest: str) -> Path | None:
        path = self.folder / digest
        return path if path.exists() else None

    def apply(self) -> bytes:
        rebuilt = bytearray()
        delta.apply(self.out, self.held, rebuilt.extend)
        return bytes(rebuilt)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@contextmanager
def a_desk() -> Iterator[Desk]:
    with tempfile.TemporaryDirectory() as folder:
        yield Desk(Path(folder))


def edited(content: bytes, rng: random.Random, edits: int) -> bytes:
    """`content` with stretches changed, removed, inserted, moved, repeated and zeroed."""
    result = bytearray(content)
    for _ in range(edits):
        at, other = sorted(rng.randrange(len(result) + 1) for _ in range(2))
        match rng.randrange(6):
            case 0:
                result[at : at + 8] = rng.randbytes(8)
            case 1:
                del result[at : at + rng.randrange(20_000)]
            case 2:
                result[at:at] = rng.randbytes(rng.randrange(20_000))
            case 3:
                moved = result[at:other][:200_000]
                del result[at : at + len(moved)]
                result.extend(moved)
            case 4:
                result[at:at] = result[other : other + 50_000]
            case _:
                result[at : at + rng.randrange(30_000)] = bytes(rng.randrange(30_000))
    return bytes(result)


@given(st.binary(max_size=400), st.lists(st.binary(max_size=400), min_size=1, max_size=8, unique=True))
@example(b"", [b""])
@example(b"x", [b""])
@example(b"", [b"x"])
@example(bytes(9000), [b"x"])
def test_tiny_blobs_are_rebuilt(target: bytes, bases: list[bytes]) -> None:
    with a_desk() as desk:
        desk.make(target, *bases)
        assert desk.apply() == target


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(0, 30), st.integers(1, 3 * MIB), st.booleans())
def test_what_was_edited_is_rebuilt(seed: int, edits: int, size: int, words: bool) -> None:
    rng = random.Random(seed)
    base = (WORDS * 8)[:size] if words else RANDOM[:size]
    target = edited(base, rng, edits)
    with a_desk() as desk:
        made = desk.make(target, base)
        assert desk.apply() == target
        assert made.size == desk.out.stat().st_size
        assert made.copied + made.zeros + made.data == len(target)


SHAPES = {
    "equal": (RANDOM, [RANDOM]),
    "a base that ends early": (RANDOM, [RANDOM[: MIB + 5]]),
    "a base that begins late": (RANDOM, [RANDOM[2 * MIB - 7 :]]),
    "a target that ends early": (RANDOM[: MIB + 5], [RANDOM]),
    "halves that changed places": (RANDOM[MIB:] + RANDOM[:MIB], [RANDOM]),
    "pieces in reversed order": (
        b"".join(RANDOM[i : i + 64 * KIB] for i in reversed(range(0, 3 * MIB, 64 * KIB))),
        [RANDOM],
    ),
    "parts of several bases": (RANDOM, [RANDOM[2 * MIB :], RANDOM[: MIB // 2], RANDOM[MIB // 2 : 2 * MIB]]),
    "a byte inserted at the start": (b"!" + RANDOM, [RANDOM]),
    "zeros": (bytes(5 * MIB + 3), [RANDOM[:10]]),
    "zeros after zeros": (bytes(5 * MIB + 3), [bytes(MIB)]),
    "a hole": (RANDOM[:MIB] + bytes(2 * MIB) + RANDOM[MIB:], [RANDOM]),
    "nothing alike": (RANDOM[: 2 * MIB + 1], [WORDS]),
    "more data than one segment takes": (RANDOM + RANDOM[::-1], [b"x"]),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_are_rebuilt_out_of_what_is_there(desk: Desk, shape: str) -> None:
    target, bases = SHAPES[shape]
    made = desk.make(target, *bases)
    assert desk.apply() == target
    unlike = {"nothing alike": 1.0, "more data than one segment takes": 1.0}
    unlike |= {"a base that ends early": 0.68, "a base that begins late": 0.68}
    assert made.size <= len(target) * unlike.get(shape, 0.003) + 1000


def test_a_base_larger_than_a_dictionary_is_searched(desk: Desk) -> None:
    base = random.Random(2).randbytes(MOST_DICTIONARY + 2 * MIB)
    target = bytearray(base[3 * MIB :] + base[: 3 * MIB])
    for at in range(0, len(target), 900):  # too dense for copies: all is packed against what is like it
        target[at] ^= 1
    made = desk.make(bytes(target), base)
    assert desk.apply() == target
    assert made.size < len(target) / 50


def test_the_same_inputs_give_the_same_bytes(desk: Desk) -> None:
    base = edited(RANDOM, random.Random(3), 40)
    desk.make(RANDOM, base, WORDS)
    first = desk.out.read_bytes()
    desk.make(RANDOM, base, WORDS)
    assert desk.out.read_bytes() == first


def test_the_header_names_target_and_bases(desk: Desk) -> None:
    made = desk.make(b"target", b"one", b"three")
    header = delta.read_header(desk.out)
    assert header == made.header
    assert [blob.size for blob in (header.target, *header.bases)] == [6, 3, 5]
    assert header.target.sha256 == hashlib.sha256(b"target").hexdigest()
    assert desk.out.read_bytes().startswith(header.encode())


def test_a_missing_base_is_named(desk: Desk) -> None:
    desk.make(RANDOM, WORDS, RANDOM[:MIB])
    base = desk.blob(RANDOM[:MIB])
    base.path.unlink()
    with pytest.raises(DeltaBaseMissing, match=f"{base.sha256}, which is not here") as refused:
        desk.apply()
    assert base.sha256 in refused.value.remedy
    assert refused.value.exit_code == 47


@pytest.mark.parametrize("change", ["shorter", "other bytes", "a byte that the dictionary needs"])
def test_a_base_that_was_damaged_where_it_lay_is_named(desk: Desk, change: str) -> None:
    desk.make(RANDOM + WORDS, RANDOM, WORDS[::-1], WORDS[100:])
    base = desk.blob(RANDOM if change != "a byte that the dictionary needs" else WORDS[100:])
    content = bytearray(base.path.read_bytes())
    if change == "shorter":
        content.pop()
    else:
        content[5000] ^= 1
    base.path.write_bytes(content)
    with pytest.raises(DeltaBaseMissing, match=f"{base.sha256}, which .*damaged"):
        desk.apply()


def test_a_base_under_a_wrong_name_makes_no_delta(desk: Desk) -> None:
    base = Base("0" * 64, desk.blob(RANDOM).path)
    with pytest.raises(DeltaBaseMissing, match="0000"):
        delta.make(desk.blob(WORDS).path, [base], desk.out)
    assert sorted(path.name for path in desk.folder.iterdir()) == sorted(
        hashlib.sha256(content).hexdigest() for content in (RANDOM, WORDS)
    )


@pytest.mark.parametrize("count", [0, 9])
def test_a_delta_has_one_to_eight_bases(desk: Desk, count: int) -> None:
    with pytest.raises(ValueError, match="1 to 8"):
        desk.make(b"target", *(bytes([n]) for n in range(count)))


def test_a_delta_that_does_not_rebuild_is_not_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maker, "_digest", lambda blobs: "0" * 64)
    with pytest.raises(DeltaMalformed, match="it rebuilds sha256"):
        desk.make(RANDOM, WORDS)
    assert not desk.out.exists()
    assert not list(desk.folder.glob("*.partial"))


def test_an_index_that_lies_costs_size_only(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal hashes of unequal content, by chance or on purpose: what is copied was compared byte by byte."""
    rng = random.Random(6)
    monkeypatch.setattr(matcher.Index, "find", lambda self, gear: rng.choice([None, rng.randrange(3 * MIB)]))
    desk.make(edited(RANDOM, random.Random(8), 50), RANDOM)
    assert hashlib.sha256(desk.apply()).hexdigest() == delta.read_header(desk.out).target.sha256


def test_what_the_sink_raises_comes_through(desk: Desk) -> None:
    desk.make(RANDOM, RANDOM[::2])

    def full(_: bytes | memoryview) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        delta.apply(desk.out, desk.held, full)


def test_pieces_are_large_and_cannot_be_changed(desk: Desk) -> None:
    desk.make(RANDOM, RANDOM[::-1], RANDOM[5:])
    pieces: list[int] = []

    def write(piece: bytes | memoryview) -> None:
        assert memoryview(piece).readonly
        pieces.append(len(piece))

    delta.apply(desk.out, desk.held, write)
    assert pieces == [applier.PIECE] * 3


def test_segments_are_within_their_limits(desk: Desk) -> None:
    rng = random.Random(4)
    base = rng.randbytes(2 * MOST_DICTIONARY)
    # many small pieces from everywhere: more likes than fit in a dictionary
    pieces = (base[at : at + 6000] for at in (rng.randrange(len(base)) for _ in range(2400)))
    target = b"".join(piece + rng.randbytes(1100) for piece in pieces)
    desk.make(target, base)
    assert desk.apply() == target
    with desk.out.open("rb") as file:
        header = layout.read_header(file)
        segments = list(layout.segments(file, header))
    assert len(segments) > 1
    for segment in segments[:-1]:
        assert segment.data == MOST_DATA
        assert sum(blocks for _, blocks in segment.extents) * BLOCK <= MOST_DICTIONARY


def test_making_and_applying_take_little_memory(tmp_path: Path) -> None:
    """32 MiB of base and as much of target, packed and copied: far less than both in memory."""
    base, target = tmp_path / "base", tmp_path / "target"
    rng = random.Random(5)
    with base.open("wb") as old, target.open("wb") as new:
        for nth in range(32):
            part = bytearray(rng.randbytes(MIB))
            old.write(part)
            for at in range(0, MIB * (nth % 2), 3000):
                part[at] ^= 1
            new.write(part)
    script = f"""
import hashlib, resource
from pathlib import Path
from airgap_bundle import delta
base, target, out = (Path({str(tmp_path)!r}) / name for name in ("base", "target", "out"))
digest = hashlib.file_digest(base.open("rb"), "sha256").hexdigest()
most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before = most()
delta.make(target, [delta.Base(digest, base)], out) if {{make}} else delta.apply(out, lambda _: base, len)
print(most() - before)
"""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for make, limit in ((True, 170), (False, 60)):
        command = [sys.executable, "-c", script.format(make=make)]
        grown = int(subprocess.run(command, check=True, capture_output=True, env=environ).stdout)
        assert grown < limit, f"{grown} MiB, making: {make}"


@pytest.mark.parametrize(
    ("whole", "packed", "delta_", "form"),
    [
        (100, None, None, Form.WHOLE),
        (100, 99, None, Form.WHOLE),
        (100, 50, None, Form.PACKED),
        (100, 50, 49, Form.PACKED),
        (100, 50, 40, Form.DELTA),
        (100, 101, 10, Form.DELTA),
        (100, None, 10, Form.DELTA),
        (0, 9, 200, Form.WHOLE),
    ],
)
def test_the_smallest_form_is_chosen_if_it_is_worth_it(
    whole: int, packed: int | None, delta_: int | None, form: Form
) -> None:
    assert choose(whole, packed, delta_) is form
