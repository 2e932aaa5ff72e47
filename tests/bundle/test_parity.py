"""Parity: any damage that it can mend is mended to the byte; any other is said to be too much."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.canonical import Malformed
from airgap_bundle.medium import VolumesMixed, open_medium
from airgap_bundle.metadata_source import Damaged
from airgap_bundle.parity import NoSuchParity, Wish, make_parity, read_wish, shape_of
from airgap_bundle.parity_file import BLOCK, HEADER, PAGE, Shape, read_header
from airgap_bundle.parity_set import NoParityHere, examine
from airgap_bundle.repair import BeyondRepair, NowhereToWrite, Repaired, repair
from tests.bundle.make_bundle import Keys, MadeBundle, make_bundle
from tests.bundle.volumes import write_volumes

RANDOM = random.Random(20)
FILES = {f"files/{n}": RANDOM.randbytes(700_000 + 1000 * n) for n in range(22)}
SIZE = 6_000_000
WISH = Wish(6, 2)
RELEASE = "5f" * 32


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeBundle:
    return make_bundle(tmp_path_factory.mktemp("made") / "bundle", FILES, keys=Keys.fresh(seed="parity"))


@pytest.fixture
def container(made: MadeBundle, tmp_path: Path) -> Path:
    """One container of 16 MB, with 6+2: three rows."""
    write_volumes(made, tmp_path / "m")
    make_parity([tmp_path / "m"], tmp_path / "m", WISH)
    return tmp_path / "m"


@pytest.fixture
def volumes(made: MadeBundle, tmp_path: Path) -> Path:
    """Three volumes, of which any one may be lost."""
    write_volumes(made, tmp_path / "m", SIZE)
    make_parity([tmp_path / "m"], tmp_path / "m", Wish(volumes=1))
    return tmp_path / "m"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.bundle")}


def spoil(path: Path, at: int, size: int = 1) -> None:
    """Change bytes; a bad sector gives other bytes or none."""
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(size)
        file.seek(at)
        file.write(bytes(byte ^ 0x5A for byte in old))


def mend(folder: Path, before: dict[str, bytes], mended: Sequence[str]) -> Repaired:
    """Repair into another folder; the mended volumes are what they were, and nothing else was written."""
    here = contents(folder)
    out = folder.parent / "out"
    repaired = repair([folder], out)
    assert [one.name for one in repaired.mended] == list(mended)
    assert contents(out) == {name: before[name] for name in mended} if mended else not out.exists()
    assert contents(folder) == here
    assert set(repaired.sound) == set(before) - set(mended)
    return repaired


def test_what_is_not_damaged_is_left_alone(container: Path) -> None:
    assert mend(container, contents(container), []) == Repaired((), ("zone-updates-1.bundle",), 0)


@pytest.mark.parametrize("at", [0, 511, BLOCK - 1, BLOCK, 6 * BLOCK + 7, 15_000_000, -1])
def test_one_bad_byte_anywhere_is_mended(container: Path, at: int) -> None:
    before = contents(container)
    path = container / "zone-updates-1.bundle"
    at %= path.stat().st_size
    spoil(path, at)
    [one] = mend(container, before, [path.name]).mended
    [(first, behind)] = one.ranges
    assert first <= at < behind <= first + BLOCK
    assert str(one).startswith("zone-updates-1.bundle is mended at bytes")


def test_a_scratch_as_long_as_the_parity_is_mended(container: Path) -> None:
    before = contents(container)
    path = container / "zone-updates-1.bundle"
    spoil(path, 4 * BLOCK + 5, 2 * 3 * BLOCK - BLOCK)  # two columns of three rows, begun within a block
    assert len(mend(container, before, [path.name]).mended[0].ranges) == 1


def test_a_scratch_longer_than_that_is_said_to_be_too_much(container: Path) -> None:
    spoil(container / "zone-updates-1.bundle", 4 * BLOCK, 2 * 3 * BLOCK + 1)
    with pytest.raises(BeyondRepair, match=r"^1 blocks of 1 MiB.*mends 2 in each row of 8, and 1 of 3 rows"):
        repair([container], container.parent / "out")
    assert not (container.parent / "out").exists()


@pytest.mark.parametrize("size", [0, 1, BLOCK, 13_000_000, 15_500_000])
def test_a_container_that_was_cut_is_mended_if_enough_is_left(container: Path, size: int) -> None:
    before = contents(container)
    path = container / "zone-updates-1.bundle"
    os.truncate(path, size)
    if path.stat().st_size < 12 * BLOCK:
        with pytest.raises(BeyondRepair):
            repair([container], container.parent / "out")
    else:
        mend(container, before, [path.name])


def test_a_container_that_has_grown_is_cut_to_its_length(container: Path) -> None:
    before = contents(container)
    path = container / "zone-updates-1.bundle"
    with path.open("ab") as file:
        file.write(b"trailer")
    [one] = mend(container, before, [path.name]).mended
    assert str(one) == "zone-updates-1.bundle is cut to its length"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_whole_lost_volume_is_rebuilt(volumes: Path, number: int) -> None:
    before = contents(volumes)
    name = f"zone-updates-1.{number:03d}-of-003.bundle"
    (volumes / name).unlink()
    [one] = mend(volumes, before, [name]).mended
    assert one.lost
    assert str(one) == f"{name} was not there and is rebuilt"
    paths = [*volumes.glob("*.bundle"), one.path]
    with open_medium(paths) as medium:
        assert medium.missing == ()


def test_bad_places_in_all_volumes_are_mended_where_they_differ(volumes: Path) -> None:
    before = contents(volumes)
    for number, name in enumerate(sorted(before)):
        spoil(volumes / name, 2 * number * BLOCK, 2 * BLOCK)
    mend(volumes, before, sorted(before))


def test_two_lost_volumes_are_one_too_many_for_one_parity_volume(volumes: Path) -> None:
    for number in (1, 3):
        (volumes / f"zone-updates-1.{number:03d}-of-003.bundle").unlink()
    with pytest.raises(BeyondRepair) as refusal:
        repair([volumes], volumes.parent / "out")
    assert "zone-updates-1.001-of-003.bundle, zone-updates-1.003-of-003.bundle" in refusal.value.remedy


def test_two_lost_volumes_are_rebuilt_when_two_may_be_lost(made: MadeBundle, tmp_path: Path) -> None:
    write_volumes(made, tmp_path / "m", SIZE)
    before = contents(tmp_path / "m")
    shape, files = make_parity([tmp_path / "m"], tmp_path / "m", Wish(volumes=2))
    assert [path.name for path in files] == [
        "zone-updates-1.001-of-002.parity",
        "zone-updates-1.002-of-002.parity",
    ]
    names = sorted(before)
    for lost in (names[:2], names[1:], [names[0], names[2]]):
        for name in lost:
            (tmp_path / "m" / name).rename(tmp_path / name)
        repaired = repair([tmp_path / "m"], tmp_path / "out")
        for one in repaired.mended:
            assert one.path.read_bytes() == before[one.name]
            one.path.unlink()
            (tmp_path / one.name).rename(tmp_path / "m" / one.name)
    files[0].unlink()  # one parity volume is as good as any other
    (tmp_path / "m" / names[0]).unlink()
    assert [one.name for one in repair([tmp_path / "m"], tmp_path / "out").mended] == names[:1]
    assert (tmp_path / "out" / names[0]).read_bytes() == before[names[0]]
    assert shape.width == 5


@pytest.mark.parametrize("begin", [True, False])
@pytest.mark.parametrize("size", [1, HEADER, HEADER + PAGE, HEADER + 3 * PAGE])
def test_a_parity_file_damaged_at_one_end_still_mends(container: Path, size: int, begin: bool) -> None:
    before = contents(container)
    [parity] = container.glob("*.parity")
    spoil(parity, 0 if begin else parity.stat().st_size - size, size)
    spoil(container / "zone-updates-1.bundle", 5 * BLOCK)
    mend(container, before, ["zone-updates-1.bundle"])


def test_a_parity_file_whose_end_was_cut_off_still_mends(container: Path) -> None:
    before = contents(container)
    [parity] = container.glob("*.parity")
    os.truncate(parity, parity.stat().st_size - HEADER - PAGE - BLOCK)
    spoil(container / "zone-updates-1.bundle", 5 * BLOCK)
    mend(container, before, ["zone-updates-1.bundle"])


def test_damaged_parity_blocks_are_not_used(container: Path) -> None:
    before = contents(container)
    [parity] = container.glob("*.parity")
    spoil(parity, HEADER + 2 * PAGE + 3 * BLOCK // 2, 2 * BLOCK)
    spoil(
        container / "zone-updates-1.bundle", 5 * BLOCK, BLOCK
    )  # one block of row 2, whose parity is damaged
    assert mend(container, before, ["zone-updates-1.bundle"]).parity_damaged == 1


def test_a_page_of_hashes_lost_in_both_places_costs_only_its_blocks(container: Path) -> None:
    before = contents(container)
    [parity] = container.glob("*.parity")
    shape, _ = read_header(parity.read_bytes()[:HEADER], "parity")
    assert shape.pages == 1
    for at in shape.page_at(0):
        spoil(parity, at + 100)
    with pytest.raises(BeyondRepair):  # here it holds all
        repair([container], container.parent / "out")
    assert contents(container) == before


def test_without_parity_nothing_can_be_mended(container: Path) -> None:
    for path in container.glob("*.parity"):
        data = path.read_bytes()
        path.write_bytes(bytes(HEADER) + data[HEADER:-HEADER] + bytes(HEADER))
    with pytest.raises(NoParityHere):
        repair([container], container.parent / "out")


def test_in_place_the_damaged_blocks_are_written_over(volumes: Path) -> None:
    before = contents(volumes)
    names = sorted(before)
    inode = (volumes / names[0]).stat().st_ino
    spoil(volumes / names[0], 3 * BLOCK + 9, BLOCK)
    os.truncate(volumes / names[2], 1)
    with pytest.raises(BeyondRepair):
        repair([volumes], None)
    (volumes / names[2]).write_bytes(before[names[2]] + b"more")
    repaired = repair([volumes], None)
    assert [one.name for one in repaired.mended] == [names[0], names[2]]
    assert contents(volumes) == before
    assert (volumes / names[0]).stat().st_ino == inode
    (volumes / names[1]).unlink()
    repair([volumes], None)
    assert contents(volumes) == before


def test_a_mended_volume_is_never_written_over_another(container: Path) -> None:
    spoil(container / "zone-updates-1.bundle", 7)
    (container.parent / "out").mkdir()
    (container.parent / "out" / "zone-updates-1.bundle").write_bytes(b"precious")
    with pytest.raises(NowhereToWrite):
        repair([container], container.parent / "out")
    assert (container.parent / "out" / "zone-updates-1.bundle").read_bytes() == b"precious"


def test_parities_of_two_bundles_are_not_mixed(container: Path, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "b2", {"files/a": b"a" * 3_000_000}, 2)
    write_volumes(other, tmp_path / "m2")
    make_parity([tmp_path / "m2"], container, Wish())
    with pytest.raises(VolumesMixed):
        repair([container], tmp_path / "out")


def test_parity_of_some_volumes_is_not_made(made: MadeBundle, tmp_path: Path) -> None:
    paths = write_volumes(made, tmp_path / "m", SIZE)
    with pytest.raises(Damaged, match="parity takes all volumes"):
        make_parity(paths[:2], tmp_path / "m", Wish())
    with pytest.raises(NoSuchParity, match="not of a folder"):
        make_parity([made.folder], tmp_path / "m", Wish())
    assert not list((tmp_path / "m").glob("*.parity*"))


def test_the_same_volumes_give_the_same_parity(container: Path, tmp_path: Path) -> None:
    [first] = container.glob("*.parity")
    _, [again] = make_parity([container], tmp_path, WISH)
    assert first.read_bytes() == again.read_bytes()


def test_parity_may_stand_beside_its_volumes(volumes: Path) -> None:
    with open_medium([volumes]) as medium:
        assert medium.missing == ()


@given(st.integers(1, 40), st.integers(1, 6), st.integers(1, 5), st.data())
def test_as_many_blocks_as_there_is_parity_may_be_lost_in_each_row(
    data: int, parity: int, volumes: int, draw: st.DataObject
) -> None:
    import zfec  # type: ignore[import-untyped]

    shape = shape_of(Wish(data, parity), "z", 1, RELEASE, [5 * BLOCK] * volumes)
    assert shape.parity / shape.columns >= parity / data
    blocks = [os.urandom(64) for _ in range(shape.columns)]
    made = zfec.Encoder(shape.columns, shape.width).encode(blocks, tuple(range(shape.columns, shape.width)))
    every = blocks + list(made)
    lost = draw.draw(st.sets(st.integers(0, shape.width - 1), max_size=shape.parity))
    kept = [number for number in range(shape.width) if number not in lost][: shape.columns]
    decoded = zfec.Decoder(shape.columns, shape.width).decode([every[n] for n in kept], kept)
    assert [bytes(block) for block in decoded] == blocks


@given(
    st.lists(st.integers(1, 30 * BLOCK), min_size=1, max_size=12),
    st.integers(1, 30),
    st.integers(1, 4),
    st.none() | st.integers(3 * BLOCK, 40 * BLOCK),
)
def test_columns_hold_every_byte_of_every_volume_once(
    sizes: list[int], data: int, parity: int, largest: int | None
) -> None:
    shape = shape_of(Wish(data, parity), "z", 1, RELEASE, sizes, largest)
    held: dict[int, list[tuple[int, int]]] = {}
    for column in range(shape.width):
        for row in range(shape.rows):
            file, at = shape.place(row, column)
            if (length := shape.length(row, column)) or file >= len(sizes):
                held.setdefault(file, []).append((at, at + length))
    for file, runs in held.items():
        runs.sort()
        assert all(before[1] == after[0] for before, after in pairwise(runs))
        if file < len(sizes):
            assert (runs[0][0], runs[-1][1]) == (0, sizes[file])
        else:
            assert (runs[0][0], runs[-1][1]) == (shape.data_at, shape.file_size - shape.data_at)
    assert len(held) == len(sizes) + shape.files
    header = shape.render_header(shape.files)
    assert read_header(header, "parity") == (shape, shape.files)


SHAPE = Shape("zone-updates", 7, RELEASE, (5_000_000, 4_000_000), 10, 2)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace(b'"parity":2', b'"parity":0'),
        lambda text: text.replace(b'"parity":2', b'"parity":300'),
        lambda text: text.replace(b'"files":1', b'"files":3'),
        lambda text: text.replace(b'"file":1', b'"file":2'),
        lambda text: text.replace(b'"per_volume":10', b'"per_volume":200'),
        lambda text: text.replace(b"[5000000,4000000]", b"[]"),
        lambda text: text.replace(b"[5000000,4000000]", b"[5000000,0]"),
        lambda text: text.replace(b"zone-updates", b"../evil"),
        lambda text: text.replace(b'"sequence":7', b'"sequence":7,"x":1'),
        lambda text: text + b" ",
        lambda text: text[:-1],
        lambda text: b"",
    ],
)
def test_a_header_that_says_something_impossible_is_refused(change: Callable[[bytes], bytes]) -> None:
    import hashlib

    text = SHAPE.render_header(1)[:-32].rstrip(b"\0")
    body = change(text).ljust(HEADER - 32, b"\0")
    assert body[: len(text)] != text or len(change(text)) > len(text)
    with pytest.raises(Malformed):
        read_header(body + hashlib.sha256(body).digest(), "a parity file")


@given(st.integers(0, HEADER * 8 - 1))
def test_any_flipped_bit_of_a_header_is_found(bit: int) -> None:
    data = bytearray(SHAPE.render_header(1))
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Malformed):
        read_header(bytes(data), "a parity file")


@given(st.integers(0, PAGE * 8 - 1))
def test_any_flipped_bit_of_a_page_is_found(bit: int) -> None:
    data = bytearray(SHAPE.render_page(3, bytes(range(32)) * 120))
    data[bit // 8] ^= 1 << bit % 8
    assert SHAPE.read_page(3, bytes(data)) is None


def test_a_page_of_another_place_or_bundle_is_not_taken() -> None:
    page = SHAPE.render_page(3, bytes(32))
    assert SHAPE.read_page(3, page) is not None
    assert SHAPE.read_page(2, page) is None
    assert Shape("zone-updates", 8, RELEASE, (5_000_000, 4_000_000), 10, 2).read_page(3, page) is None


def test_a_parity_file_is_examined_to_the_last_byte(container: Path) -> None:
    [parity] = container.glob("*.parity")
    good = parity.read_bytes()
    examine(parity)
    chance = random.Random(3)
    for at in [
        0,
        HEADER - 1,
        HEADER,
        HEADER + PAGE,
        len(good) - 1,
        *(chance.randrange(len(good)) for _ in range(9)),
    ]:
        spoil(parity, at)
        with pytest.raises(Damaged):
            examine(parity)
        spoil(parity, at)
    os.truncate(parity, len(good) - 1)
    with pytest.raises(Damaged):
        examine(parity)


@pytest.mark.parametrize(
    "text", ["", "20", "20+0", "0+2", "volumes-2", "20+2+2", "0-volumes", "-1", "20 + 2"]
)
def test_other_wishes_are_refused(text: str) -> None:
    with pytest.raises(NoSuchParity):
        read_wish(text)


def test_wishes_are_read() -> None:
    assert read_wish("20+2") == Wish(20, 2)
    assert read_wish("volume") == Wish(volumes=1)
    assert read_wish("2-volumes") == Wish(volumes=2)


def test_more_than_256_columns_are_refused() -> None:
    for wish, volumes in [(Wish(250, 7), 1), (Wish(20, 2), 250), (Wish(volumes=2), 255)]:
        with pytest.raises(NoSuchParity, match="more than 256"):
            shape_of(wish, "z", 1, RELEASE, [BLOCK] * volumes)


def test_a_forged_header_does_not_make_endless_work(container: Path) -> None:
    [parity] = container.glob("*.parity")
    huge = Shape("zone-updates", 1, RELEASE, (2**53 - 1,), 20, 2)
    with parity.open("r+b") as file:
        file.write(huge.render_header(1))
    with pytest.raises(BeyondRepair):
        repair([container], container.parent / "out")


@pytest.mark.parametrize(
    ("columns", "size"), [("20+2", 200), pytest.param("230+4", 250, marks=pytest.mark.long)]
)
def test_memory_does_not_grow_with_the_volumes(tmp_path: Path, columns: str, size: int) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(size * 2**20)
    made = make_bundle(tmp_path / "b", {"files/zeros": large})
    from airgap_bundle.carry import carry

    carry(made.folder, tmp_path / "m")
    script = (
        "import sys; from pathlib import Path; from airgap_bundle.parity import make_parity, read_wish\n"
        "from airgap_bundle.repair import repair\n"
        "m = Path(sys.argv[1]); make_parity([m], m, read_wish(sys.argv[2]))\n"
        "f = next(m.glob('*.bundle')).open('r+b'); f.seek(99_000_000); f.write(b'x' * 900_000); f.close()\n"
        "assert repair([m], m / 'out').mended\n"
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "m", columns], capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) < 200 * 1024
