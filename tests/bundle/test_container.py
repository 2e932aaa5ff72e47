"""The container's layout: predicted to the byte, readable by any tar, cut to any medium."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
import time
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airgap_bundle.canonical import Malformed
from airgap_bundle.container import ALIGNED_FROM, LARGEST_MEMBER, PAGE, VolumeLayout, header, lay_out
from airgap_bundle.content import Blob
from airgap_bundle.cuts import CUT_STEP, VolumesTooSmall, choose_cuts
from airgap_bundle.volume_json import WHOLE, Cut, VolumeJson, file_name

A, B = "a" * 64, "b" * 64
METADATA = {
    "metadata/1.root.json": b"{root}",
    "metadata/2.root.json": b"{root 2}" * 100,
    "metadata/timestamp.json": b"{timestamp}",
    "metadata/7.snapshot.json": b"",
    "metadata/7.targets.json": b"{targets}" * 500,
    f"targets/{A}.release.json": b"{}",
    f"targets/{B}.content.ndjson": b"{}\n" * 700,
    f"targets/{A}.attestation-apt-1.json": b"attested",
    f"targets/{B}.attestation-the-part-with-a-name-that-no-header-holds-22.json": b"attested at length",
}
NAMED = [(name, len(data)) for name, data in METADATA.items()]

sizes = st.one_of(
    st.integers(0, 3000),
    st.sampled_from([0, 1, 511, 512, 513, 65_535, 65_536, 65_537, 70_000, 2**20, 2**20 + 1]),
    st.integers(0, 5 * 2**20),
)


def blobs_of(lengths: Sequence[int]) -> list[Blob]:
    return [Blob(f"{number:064x}", length) for number, length in enumerate(lengths)]


def layouts_of(blobs: Sequence[Blob], cuts: Sequence[Cut] = WHOLE) -> list[VolumeLayout]:
    return lay_out(NAMED, blobs, cuts, bundle="zone-updates", sequence=7)


def content_of(blob: Blob) -> bytes:
    return (hashlib.sha256(blob.sha256.encode()).digest() * (blob.size // 32 + 1))[: blob.size]


def written(layout: VolumeLayout, blobs: Sequence[Blob]) -> bytes:
    """The volume's bytes, put together without the code that writes volumes."""
    out = bytearray(layout.size)
    for at, run in layout.framing():
        out[at : at + len(run)] = run
    contents = {blob.sha256: content_of(blob) for blob in blobs}
    for member in layout.members:
        if member.blob:
            data = contents[member.blob][member.blob_offset : member.blob_offset + member.size]
        elif member.name == "VOLUME.json":
            continue
        else:
            data = METADATA[member.name]
        out[member.at : member.at + member.size] = data
    return bytes(out)


MIXED = blobs_of([0, 5, 512, 70_000, 3, 65_536, 65_535, 2**20 + 7, 1])


def test_gnu_tar_lists_and_extracts_every_byte(tmp_path: Path) -> None:
    [layout] = layouts_of(MIXED)
    (tmp_path / "bundle.tar").write_bytes(written(layout, MIXED))
    listed = subprocess.run(
        ["tar", "-tf", "bundle.tar"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert listed.stdout.split() == [member.name for member in layout.members]
    assert listed.stderr == ""
    subprocess.run(["tar", "-xf", "bundle.tar"], cwd=tmp_path, check=True)
    for blob in MIXED:
        assert (tmp_path / "blobs" / blob.sha256).read_bytes() == content_of(blob)
    for name, data in METADATA.items():
        assert (tmp_path / name).read_bytes() == data
    assert (tmp_path / "VOLUME.json").read_bytes() == layout.about.render()


def test_pythons_tarfile_finds_each_member_where_the_layout_says() -> None:
    [layout] = layouts_of(MIXED)
    with tarfile.open(fileobj=io.BytesIO(written(layout, MIXED)), errorlevel=2) as archive:
        found = [(info.name, info.size, info.offset_data) for info in archive]
        assert all(info.isreg() and info.mode == 0o644 and info.mtime == 0 for info in archive)
    assert found == [(member.name, member.size, member.at) for member in layout.members]


@pytest.mark.parametrize(("folder", "name", "size"), [("blobs", A, 70_000), (".", "VOLUME.json", 0)])
def test_a_header_is_what_gnu_tar_writes(tmp_path: Path, folder: str, name: str, size: int) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    path = tmp_path / folder / name
    path.write_bytes(bytes(size))
    path.chmod(0o644)
    named = str(path.relative_to(tmp_path))
    owner = ["--owner=:0", "--group=:0", "--numeric-owner", "--mtime=@0"]
    made = subprocess.run(
        ["tar", "--format=ustar", *owner, "-cf", "-", named], cwd=tmp_path, capture_output=True, check=True
    ).stdout
    assert header(named, size) == made[:512]


@given(st.integers(1, 100))
def test_a_name_too_long_for_a_header_is_read_by_tar(length: int) -> None:
    name = f"targets/{A}.attestation-{'x' * length}.json"
    [layout] = lay_out([(name, 5)], [], bundle="zone-updates", sequence=7)
    METADATA[name] = b"12345"
    with tarfile.open(fileobj=io.BytesIO(written(layout, [])), errorlevel=2) as archive:
        _, attestation = archive.getmembers()
        file = archive.extractfile(attestation)
        assert file is not None
        assert (attestation.name, file.read()) == (name, b"12345")
    del METADATA[name]


def test_volumes_extracted_into_one_folder_hold_everything(tmp_path: Path) -> None:
    blobs = blobs_of([9 * 2**20, 100, 5 * 2**20 + 3, 0])
    cuts = choose_cuts(NAMED, blobs, 4 * 2**20, bundle="zone-updates", sequence=7)
    assert len(cuts) > 3
    for layout in layouts_of(blobs, cuts):
        (tmp_path / "v.tar").write_bytes(written(layout, blobs))
        subprocess.run(["tar", "-xf", "v.tar"], cwd=tmp_path, check=True)
    for blob in blobs:
        pieces = sorted((tmp_path / "blobs").glob(blob.sha256 + "*"))
        assert b"".join(piece.read_bytes() for piece in pieces) == content_of(blob)


@given(st.lists(sizes, max_size=30), st.integers(2**20 + 100_000, 20 * 2**20))
def test_every_byte_of_every_volume_is_framing_or_content_and_never_both(
    lengths: list[int], capacity: int
) -> None:
    blobs = blobs_of(lengths)
    cuts = choose_cuts(NAMED, blobs, capacity, bundle="zone-updates", sequence=7)
    carried = {blob.sha256: 0 for blob in blobs}
    for layout in layouts_of(blobs, cuts):
        runs = [(at, at + len(run)) for at, run in layout.framing()]
        contents = [(m.at, m.at + m.size) for m in layout.members if m.size and m.name != "VOLUME.json"]
        pieces = sorted(runs + contents)
        assert pieces[0][0] == 0
        assert pieces[-1][1] == layout.size
        assert all(before[1] == after[0] for before, after in pairwise(pieces))
        assert len(runs) == len(contents) + 1
        assert layout.size % PAGE == 0
        assert layout.size <= capacity
        for member in layout.members:
            if member.blob:
                assert carried[member.blob] == member.blob_offset
                carried[member.blob] += member.size
                assert member.size < ALIGNED_FROM or member.at % PAGE == 0
    assert carried == {blob.sha256: blob.size for blob in blobs}


@given(st.lists(sizes, min_size=1, max_size=20), st.integers(2**20 + 100_000, 10 * 2**20))
def test_a_blob_is_cut_only_when_no_volume_holds_it(lengths: list[int], capacity: int) -> None:
    blobs = blobs_of(lengths)
    cuts = choose_cuts(NAMED, blobs, capacity, bundle="zone-updates", sequence=7)
    for cut in cuts:
        if cut.offset:
            alone = lay_out(
                NAMED, [blobs[cut.blob]], cuts=WHOLE, bundle="zone-updates", sequence=7
            )  # its VOLUME.json is smaller, so leave that some room
            assert alone[0].size > capacity - 100 * len(cuts) - 2 * PAGE
            assert cut.offset % CUT_STEP == 0


@given(st.lists(sizes, min_size=1, max_size=8), st.data())
def test_any_cuts_that_go_forward_tile_the_blobs(lengths: list[int], data: st.DataObject) -> None:
    blobs = blobs_of(lengths)
    places = st.integers(0, len(blobs) - 1).flatmap(
        lambda n: st.builds(Cut, st.just(n), st.integers(0, max(blobs[n].size - 1, 0)))
    )
    cuts = sorted({Cut(0, 0), *data.draw(st.lists(places, max_size=6))})
    total = {blob.sha256: b"" for blob in blobs}
    for layout in layouts_of(blobs, cuts):
        volume = written(layout, blobs)
        assert any(member.blob for member in layout.members)
        for member in layout.members:
            if member.blob:
                total[member.blob] += volume[member.at : member.at + member.size]
    assert total == {blob.sha256: content_of(blob) for blob in blobs}


def test_members_of_absurd_blobs_stay_below_what_old_tars_read() -> None:
    blobs = blobs_of([2**45 + 5, 17])
    members = [member for member in layouts_of(blobs)[0].members if member.blob]
    assert max(member.size for member in members) == LARGEST_MEMBER
    assert sum(member.size for member in members) == 2**45 + 5 + 17
    assert members[1].name == f"blobs/{blobs[0].sha256}.{LARGEST_MEMBER:016d}"


def test_a_hundred_thousand_blobs_are_laid_out_in_little_time_and_memory() -> None:
    blobs = blobs_of([(number * 7919) % 200_000 for number in range(100_000)])
    began = time.process_time()
    [layout] = layouts_of(blobs)
    runs = sum(1 for _ in layout.framing())
    assert runs > 99_000
    assert time.process_time() - began < 5  # 0.9 s on a quiet machine


def test_the_order_of_metadata_is_the_containers_whatever_the_order_given() -> None:
    shuffled = lay_out(NAMED[::-1], [], bundle="zone-updates", sequence=7)
    assert [member.name for member in shuffled[0].members] == ["VOLUME.json", *METADATA]


@pytest.mark.parametrize("capacity", [0, 4096, 10_000, 2**20])
def test_volumes_that_cannot_hold_a_piece_of_a_blob_are_refused(capacity: int) -> None:
    with pytest.raises(VolumesTooSmall):
        choose_cuts(NAMED, blobs_of([2**22]), capacity, bundle="zone-updates", sequence=7)


def test_more_volumes_than_can_be_numbered_are_refused() -> None:
    with pytest.raises(VolumesTooSmall, match="999"):
        choose_cuts(NAMED, blobs_of([2**40]), 2 * 2**20, bundle="zone-updates", sequence=7)


def test_nine_hundred_and_ninety_nine_volumes_are_cut() -> None:
    blobs = blobs_of([990 * 2**20])
    cuts = choose_cuts(NAMED, blobs, 2**20 + 200_000, bundle="zone-updates", sequence=7)
    layouts = layouts_of(blobs, cuts)
    assert len(layouts) == 990
    assert max(layout.size for layout in layouts) <= 2**20 + 200_000
    assert layouts[7].name == "zone-updates-7.008-of-990.bundle"


@pytest.mark.parametrize(
    "cuts",
    [
        [],
        [Cut(1, 0)],
        [Cut(0, 1)],
        [Cut(0, 0), Cut(0, 0)],
        [Cut(0, 0), Cut(1, 0), Cut(0, 3)],
        [Cut(0, 0), Cut(1, 3), Cut(1, 2)],
        [Cut(0, 0), Cut(0, 10)],
        [Cut(0, 0), Cut(2, 0)],
        [Cut(0, 0), Cut(1, 5)],
        [Cut(0, 0)] * 1000,
    ],
)
def test_cuts_that_do_not_tile_the_blobs_are_refused(cuts: list[Cut]) -> None:
    with pytest.raises(Malformed):
        layouts_of(blobs_of([10, 5]), cuts)


ABOUT = VolumeJson("zone-updates", 7, tuple(NAMED), (Cut(0, 0), Cut(3, 99)), 2)


def test_volume_json_is_read_as_it_was_written() -> None:
    assert VolumeJson.parse(ABOUT.render()) == ABOUT


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"volume":2', b'"volume":3'),
        (b'"volume":2', b'"volume":0'),
        (b'"volume":2', b'"volume":true'),
        (b'"volume":2', b'"volume":2,"volumes":2'),
        (b'"sequence":7', b'"sequence":07'),
        (b'"sequence":7', b'"sequence":0'),
        (b'"sequence":7', b'"sequence":7.0'),
        (b'"bundle":"zone-updates"', b'"bundle":"../../etc"'),
        (b'"bundle":"zone-updates"', b'"bundle":"Zone"'),
        (b"[[0,0],[3,99]]", b"[[0,0],[0,0]]"),
        (b"[[0,0],[3,99]]", b"[[0,1],[3,99]]"),
        (b"[[0,0],[3,99]]", b"[]"),
        (b"[[0,0],[3,99]]", b"[[0,0],[3,-1]]"),
        (b"[[0,0],[3,99]]", b"[[0,0],[3,9007199254740992]]"),
        (b"[[0,0],[3,99]]", b"[[0,0],[3,99,1]]"),
        (b"metadata/1.root.json", b"metadata/3.root.json"),
        (b"metadata/1.root.json", b"metadata/2.root.json"),
        (b"metadata/1.root.json", b"metadata/01.root.json"),
        (b"metadata/1.root.json", b"metadata/../../evil"),
        (b"metadata/timestamp.json", b"metadata/Timestamp.json"),
        (b'timestamp.json",11', b'timestamp.json",512001'),
        (b'timestamp.json",11', b'timestamp.json","11"'),
        (b".release.json", b".content.ndjson"),
        (b"/volume/1", b"/volume/2"),
    ],
)
def test_a_volume_json_that_says_something_else_is_refused(old: bytes, new: bytes) -> None:
    good = ABOUT.render()
    assert old in good
    with pytest.raises(Malformed):
        VolumeJson.parse(good.replace(old, new, 1))


@given(st.binary(max_size=60), st.integers(0, len(ABOUT.render())), st.integers(0, 60))
def test_only_bytes_that_we_would_write_are_a_volume_json(new: bytes, at: int, skip: int) -> None:
    good = ABOUT.render()
    data = good[:at] + new + good[at + skip :]
    assume(data != good)
    with suppress(Malformed):
        assert VolumeJson.parse(data).render() == data


def test_a_single_container_has_the_shorter_name() -> None:
    assert file_name("zone-updates", 7) == "zone-updates-7.bundle"
    assert file_name("zone-updates", 7, 2, 3) == "zone-updates-7.002-of-003.bundle"
