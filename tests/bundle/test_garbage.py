"""Collection keeps what is named and removes the rest, whatever a crash left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airgap_bundle.garbage import collect
from airgap_bundle.ingest import VolumesToCome
from airgap_bundle.store import NotKept, ReleaseDamaged, StoreBusy
from tests.bundle.make_bundle import MadeBundle, make_bundle, sha
from tests.bundle.test_ingest import EXPIRES, Place
from tests.bundle.volumes import write_volumes

ONE: dict[str, bytes | Path] = {"files/a": b"a" * 1000, "files/both": b"b" * 2000}
TWO: dict[str, bytes | Path] = {"files/c": b"c" * 3000, "files/both": b"b" * 2000}


@pytest.fixture
def first(tmp_path: Path) -> MadeBundle:
    return make_bundle(tmp_path / "one", ONE, expires=EXPIRES)


@pytest.fixture
def second(tmp_path: Path, first: MadeBundle) -> MadeBundle:
    return make_bundle(tmp_path / "two", TWO, 2, first, expires=EXPIRES)


@pytest.fixture
def place(tmp_path: Path, first: MadeBundle, second: MadeBundle) -> Place:
    place = Place(tmp_path / "zone", first)
    place.ingest(first.folder)
    place.ingest(second.folder)
    return place


def test_what_a_kept_release_names_stays(place: Place) -> None:
    found = collect(place.store)
    assert (found.objects, found.leftovers, found.kept, found.kept_size) == ((), (), 3, 6000)


def test_what_only_a_forgotten_release_named_goes(place: Place) -> None:
    place.store.forget("zone-updates", 1)
    dry = collect(place.store, dry_run=True)
    assert dry.objects == ((sha(b"a" * 1000), 1000),)
    assert dry.sentence == "1 contents and 0 leftovers would be removed (1.0 KB); 2 contents stay (5.0 KB)."
    assert len(place.contents()) == 3
    found = collect(place.store)
    assert found.objects == dry.objects
    assert set(place.contents()) == {sha(b"c" * 3000), sha(b"b" * 2000)}
    assert collect(place.store).objects == ()


def test_forgetting_what_is_not_kept_is_said(place: Place) -> None:
    with pytest.raises(NotKept, match="zone-updates 9 is not kept"):
        place.store.forget("zone-updates", 9)


def test_an_unfinished_ingest_keeps_what_it_holds_and_what_it_needs(
    place: Place, second: MadeBundle, tmp_path: Path
) -> None:
    """The third bundle needs `a`, which is there although no kept release names it any more."""
    large = os.urandom(300_000)
    files: dict[str, bytes | Path] = {**ONE, "files/d": large, "files/e": os.urandom(300_000)}
    third = make_bundle(tmp_path / "three", files, 3, second, expires=EXPIRES)
    volumes = write_volumes(third, tmp_path / "v", 400_000)
    assert len(volumes) == 2
    with pytest.raises(VolumesToCome):
        place.ingest(volumes[0])
    place.store.forget("zone-updates", 1)
    found = collect(place.store)
    assert (found.objects, found.leftovers) == ((), ())
    assert place.ingest(volumes[1]).read < 320_000
    assert large in place.contents().values()


def test_a_quarantine_that_nobody_can_finish_goes(place: Place, second: MadeBundle, tmp_path: Path) -> None:
    files: dict[str, bytes | Path] = {"files/d": os.urandom(300_000), "files/e": os.urandom(300_000)}
    third = make_bundle(tmp_path / "three", files, 3, second, expires=EXPIRES)
    volumes = write_volumes(third, tmp_path / "v", 400_000)
    with pytest.raises(VolumesToCome):
        place.ingest(volumes[0])
    fourth = make_bundle(tmp_path / "four", TWO, 4, third, expires=EXPIRES)
    place.ingest(fourth.folder)
    (place.store.folder / "incoming" / ("00" * 32)).mkdir()
    found = collect(place.store)
    assert len(found.leftovers) == 2
    assert os.listdir(place.store.folder / "incoming") == []


def test_nothing_is_collected_when_a_kept_release_cannot_be_read(place: Place) -> None:
    place.store.forget("zone-updates", 1)
    (kept,) = place.store.kept()
    (content,) = kept.folder.glob("targets/*.content.ndjson")
    content.chmod(0o644)
    content.write_bytes(content.read_bytes()[:-10])
    with pytest.raises(ReleaseDamaged, match=r"zone-updates 2 is damaged: the SHA-256 of content\.ndjson"):
        collect(place.store)
    assert len(place.contents()) == 3


def test_an_ingest_and_a_collection_do_not_meet(place: Place) -> None:
    with place.store.locked(), pytest.raises(StoreBusy):
        collect(place.store)
