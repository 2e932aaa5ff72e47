"""Ingest of whole bundles into a store: first and next ones, volumes one at a time, refusals, repairs."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from airgap_bundle.errors import BundleRefused
from airgap_bundle.ingest import ContentsMissing, Ingested, VolumesToCome, ingest
from airgap_bundle.metadata_source import Damaged
from airgap_bundle.rebuild import NotAsSigned
from airgap_bundle.refusals import RolledBack
from airgap_bundle.release import Base
from airgap_bundle.report import Report, Verdict
from airgap_bundle.store import Store, StoreBusy, StoreFull
from airgap_bundle.trust_state import TrustState
from tests.bundle.make_bundle import CREATED, Extra, MadeBundle, held_entry, make_bundle, sha, zstd_entry
from tests.bundle.volumes import write_volumes

NOW = CREATED + timedelta(days=20)
EXPIRES = CREATED + timedelta(days=400)
"""The same for all bundles, so that all have one root."""
BASE = Base("ab" * 32, 1)
chance = random.Random(11)
FILES: Mapping[str, bytes | Path] = (
    {f"files/{n}.bin": chance.randbytes(321 * n) for n in range(30)}
    | {"files/empty": b"", "files/again": b"", "images/large.raw": chance.randbytes(9_000_001)}
    | {f"images/{n}.raw": chance.randbytes(2_500_000 + n) for n in range(3)}
)
PACKED = [zstd_entry("data/small.json", b"[1]" * 500), zstd_entry("data/large.json", b"abc" * 4_000_000)]


class Place:
    """A zone: a store and a trust state."""

    def __init__(self, folder: Path, made: MadeBundle) -> None:
        self.store = Store.at(folder / "store", create=True)
        TrustState.init(folder / "trust", made.root_bytes, hashlib.sha256(made.root_bytes).hexdigest())
        self.folder = folder

    @property
    def state(self) -> TrustState:
        return TrustState.load(self.folder / "trust")

    def ingest(self, *paths: Path, report: Report | None = None, repair: bool = False) -> Ingested:
        return ingest(list(paths), self.store, self.state, clock=NOW, report=report, repair=repair)

    def contents(self) -> dict[str, bytes]:
        found = {sha256: self.store.read(sha256) for sha256, _ in self.store.objects()}
        assert all(sha(data) == sha256 for sha256, data in found.items())
        return found

    def everything(self) -> dict[str, bytes]:
        """Every file of the store but those in quarantines."""
        return {
            str(path.relative_to(self.store.folder)): path.read_bytes()
            for path in sorted(self.store.folder.rglob("*"))
            if path.is_file()
            and path.name != "lock"
            and not path.is_relative_to(self.store.folder / "incoming")
        }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeBundle:
    return make_bundle(tmp_path_factory.mktemp("made") / "bundle", FILES, extra=PACKED, expires=EXPIRES)


@pytest.fixture
def place(tmp_path: Path, made: MadeBundle) -> Place:
    return Place(tmp_path / "zone", made)


def expected(made: MadeBundle) -> set[str]:
    return {entry.sha256 for entry in made.content.entries}


@pytest.mark.parametrize("form", ["folder", "container", "volumes"])
def test_a_good_bundle_is_taken_in_whole(place: Place, made: MadeBundle, tmp_path: Path, form: str) -> None:
    path = made.folder
    if form != "folder":
        path = write_volumes(made, tmp_path / "v", 4_000_000 if form == "volumes" else None)[0].parent
    report = Report()
    done = place.ingest(path, report=report)
    assert set(place.contents()) == expected(made)
    assert report.verdict is Verdict.ACCEPTED
    assert place.state.accepted[1].release == made.release_sha256
    (kept,) = place.store.kept()
    assert (kept.name, kept.digest) == ("zone-updates 1", made.release_sha256)
    assert kept.content == made.content
    assert {name: (kept.folder / name).read_bytes() for name in made.files} == made.files
    assert (done.added, done.here) == (len(expected(made)), 0)
    assert os.listdir(place.store.folder / "incoming") == []


def test_objects_are_read_only_files(place: Place, made: MadeBundle) -> None:
    place.ingest(made.folder)
    modes = {os.stat(place.store.path(sha256)).st_mode for sha256, _ in place.store.objects()}
    assert modes == {0o100444}


def test_doing_it_again_changes_nothing_and_reads_no_blob(place: Place, made: MadeBundle) -> None:
    place.ingest(made.folder)
    before = place.everything()
    again = place.ingest(made.folder)
    assert place.everything() == before
    assert (again.added, again.read) == (0, 0)


def test_what_is_there_is_not_copied_again(place: Place, made: MadeBundle, tmp_path: Path) -> None:
    place.ingest(made.folder)
    second = make_bundle(tmp_path / "two", {**FILES, "files/new": b"new"}, 2, made, expires=EXPIRES)
    done = place.ingest(second.folder)
    assert (done.added, done.read) == (1, 3)
    assert [kept.sequence for kept in place.store.kept("zone-updates")] == [1, 2]


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 2, 0, 3, 1)])
def test_volumes_come_one_at_a_time_in_any_order(
    place: Place, made: MadeBundle, tmp_path: Path, order: tuple[int, ...]
) -> None:
    """The large image is cut, so it is put together from pieces that came apart."""
    volumes = write_volumes(made, tmp_path / "v", 5_000_000)
    assert len(volumes) == len(order)
    for number in order[:-1]:
        with pytest.raises(VolumesToCome, match="still to come") as caught:
            place.ingest(volumes[number])
        assert caught.value.exit_code == 75
        assert place.contents() == {}
    place.ingest(volumes[order[-1]])
    assert set(place.contents()) == expected(made)
    assert os.listdir(place.store.folder / "incoming") == []


def test_the_volumes_to_come_are_named(place: Place, made: MadeBundle, tmp_path: Path) -> None:
    volumes = write_volumes(made, tmp_path / "v", 5_000_000)
    report = Report()
    with pytest.raises(VolumesToCome) as caught:
        place.ingest(volumes[1], report=report)
    assert "volumes 1, 3, 4, 5 of 5" in str(caught.value)
    assert report.verdict is Verdict.INCOMPLETE
    with pytest.raises(VolumesToCome) as caught:
        place.ingest(volumes[0], volumes[2], volumes[4])
    assert "volume 4 of 5" in str(caught.value)


def test_a_damaged_volume_is_refused_and_a_good_copy_of_it_goes_on(
    place: Place, made: MadeBundle, tmp_path: Path
) -> None:
    (volume,) = write_volumes(made, tmp_path / "v")
    good = volume.read_bytes()
    large = made.content.blobs[sha(bytes(FILES["images/large.raw"]))]
    at = good.index((made.folder / "blobs" / large.sha256).read_bytes()[:64])
    volume.write_bytes(good[: at + 5_000_000] + b"?" + good[at + 5_000_001 :])
    before = place.everything()
    with pytest.raises(Damaged, match=r"images/large\.raw"):
        place.ingest(volume)
    assert place.everything() == before
    assert place.state.accepted == {}
    volume.write_bytes(good)
    done = place.ingest(volume)
    assert done.read < 9_500_000  # the other blobs were kept
    assert set(place.contents()) == expected(made)


def test_a_refused_bundle_leaves_nothing_that_can_be_read(
    place: Place, made: MadeBundle, tmp_path: Path
) -> None:
    wrong = Extra(PACKED[0].entry._replace(sha256="11" * 32), PACKED[0].blob)
    other = make_bundle(tmp_path / "wrong", FILES, extra=[wrong], keys=made.keys, expires=EXPIRES)
    before = place.everything()
    with pytest.raises(NotAsSigned, match=r"data/small\.json does not come out as it was signed"):
        place.ingest(other.folder)
    assert place.everything() == before
    assert place.state.accepted == {}


def test_a_frame_that_grows_beyond_its_signed_size_stops_there(
    place: Place, made: MadeBundle, tmp_path: Path
) -> None:
    bomb = zstd_entry("data/bomb", bytes(500_000_000))
    entry = bomb.entry._replace(size=5_000_000, sha256=sha(bytes(5_000_000)))
    other = make_bundle(
        tmp_path / "bomb", {}, extra=[Extra(entry, bomb.blob)], keys=made.keys, expires=EXPIRES
    )
    with pytest.raises(NotAsSigned):
        place.ingest(other.folder)
    assert place.contents() == {}


def test_an_older_bundle_is_refused(place: Place, made: MadeBundle, tmp_path: Path) -> None:
    second = make_bundle(tmp_path / "two", {"files/a": b"a"}, 2, made, expires=EXPIRES)
    place.ingest(second.folder)
    with pytest.raises(RolledBack):
        place.ingest(made.folder)
    assert set(place.contents()) == {sha(b"a")}


def test_held_contents_must_be_in_the_store(place: Place, made: MadeBundle, tmp_path: Path) -> None:
    place.ingest(made.folder)
    held = held_entry("images/0.raw", bytes(FILES["images/0.raw"]))
    second = make_bundle(
        tmp_path / "two", {"files/a": b"a"}, 2, made, extra=[held], base=BASE, expires=EXPIRES
    )
    place.store.path(held.entry.sha256).unlink()
    with pytest.raises(ContentsMissing, match="stands on zone-updates 1") as caught:
        place.ingest(second.folder)
    assert caught.value.exit_code == 45
    assert place.state.past.highest == 1
    place.ingest(made.folder, repair=True)
    place.ingest(second.folder)
    assert place.state.past.highest == 2


def test_repair_replaces_what_was_damaged_in_the_store(place: Place, made: MadeBundle) -> None:
    place.ingest(made.folder)
    before = place.contents()
    for sha256 in (sha(bytes(FILES["files/7.bin"])), sha(bytes(FILES["images/1.raw"]))):
        path = place.store.path(sha256)
        data = bytearray(path.read_bytes())
        data[100] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
    report = Report()
    done = place.ingest(made.folder, report=report, repair=True)
    assert done.added == 2
    assert place.contents() == before
    assert report.notes == ["2 contents in the store were damaged and are replaced."]


def test_two_ingests_do_not_meet(place: Place, made: MadeBundle) -> None:
    with place.store.locked(), pytest.raises(StoreBusy):
        place.ingest(made.folder)
    place.ingest(made.folder)


def test_a_store_without_room_says_so_before_it_begins(
    place: Place, made: MadeBundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "room", lambda self: 20_000_000)
    with pytest.raises(StoreFull, match=r"up to 45\.\d MB are needed, and 20\.0 MB are free"):
        place.ingest(made.folder)
    assert place.contents() == {}


def test_roots_are_trusted_even_when_the_bundle_is_damaged(
    place: Place, made: MadeBundle, tmp_path: Path
) -> None:
    """A revocation must work at once: whoever damages its bundle must not keep the stolen key alive."""
    from tests.bundle.make_bundle import Keys

    second = make_bundle(
        tmp_path / "two", {"files/a": b"a"}, 2, made, roots=[made.keys, Keys.fresh()], expires=EXPIRES
    )
    next(iter((second.folder / "blobs").iterdir())).write_bytes(b"b")
    with pytest.raises(BundleRefused):
        place.ingest(second.folder)
    assert place.state.root.version == 2
    assert place.state.accepted == {}
