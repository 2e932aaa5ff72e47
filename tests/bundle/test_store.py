"""The store: what it is, what it gives, and what it refuses to be."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from airgap_bundle.store import AnotherKept, NoStore, NotKept, Store
from tests.bundle.make_bundle import MadeBundle, make_bundle, sha
from tests.bundle.test_ingest import EXPIRES, Place


@pytest.fixture
def made(tmp_path: Path) -> MadeBundle:
    return make_bundle(tmp_path / "one", {"files/a": b"a" * 5000, "files/b": b""}, expires=EXPIRES)


@pytest.fixture
def place(tmp_path: Path, made: MadeBundle) -> Place:
    place = Place(tmp_path / "zone", made)
    place.ingest(made.folder)
    return place


def test_an_empty_folder_becomes_a_store_and_is_one_then(tmp_path: Path) -> None:
    Store.at(tmp_path / "new", create=True)
    assert list(Store.at(tmp_path / "new").objects()) == []


def test_a_store_that_was_half_made_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "new" / "objects").mkdir(parents=True)
    assert Store.at(tmp_path / "new", create=True).kept() == []


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "it has no file `format`"),
        ({"format": b"airgap-bundle/store/2\n"}, "its format is not"),
    ],
)
def test_another_folder_is_no_store(tmp_path: Path, files: dict[str, bytes], why: str) -> None:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(NoStore, match=why):
        Store.at(tmp_path)


def test_a_folder_with_other_things_does_not_become_a_store(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(NoStore, match="it holds other things, such as photos"):
        Store.at(tmp_path, create=True)


def test_contents_are_found_by_their_digest(place: Place) -> None:
    digest = sha(b"a" * 5000)
    assert place.store.has(digest)
    assert place.store.read(digest) == b"a" * 5000
    with place.store.open(digest) as file:
        assert file.read(3) == b"aaa"
    assert sorted(place.store.objects()) == sorted([(digest, 5000), (sha(b""), 0)])
    assert stat.S_IMODE(place.store.path(digest).stat().st_mode) == 0o444


def test_what_is_not_there_is_said(place: Place) -> None:
    assert not place.store.has("00" * 32)
    assert place.store.held("00" * 32) is None
    with pytest.raises(NotKept, match="content 0000"):
        place.store.open("00" * 32)


def test_a_kept_release_gives_its_manifests(place: Place, made: MadeBundle) -> None:
    kept = place.store.release("zone-updates", 1)
    assert kept.release == made.release
    assert kept.content == made.content
    for name in ("../zone", "zone"):
        with pytest.raises(NotKept):
            place.store.release(name, 1)


def test_a_number_stands_for_one_release(place: Place, made: MadeBundle, tmp_path: Path) -> None:
    other = make_bundle(tmp_path / "other", {"files/c": b"c"}, expires=EXPIRES)
    with pytest.raises(AnotherKept):
        place.store.keep(other.release, other.release_sha256, other.files)
    assert place.store.keep(made.release, made.release_sha256, made.files).digest == made.release_sha256


def test_a_damaged_record_is_written_again(place: Place, made: MadeBundle) -> None:
    kept = place.store.release("zone-updates", 1)
    (content,) = kept.folder.glob("targets/*.content.ndjson")
    content.unlink()
    place.ingest(made.folder)
    assert place.store.release("zone-updates", 1).content == made.content


def test_the_check_finds_every_damaged_content(place: Place) -> None:
    digest = sha(b"a" * 5000)
    assert place.store.damaged(place.store.objects()) == []
    place.store.path(digest).chmod(0o644)
    place.store.path(digest).write_bytes(b"a" * 4999)
    assert place.store.damaged([(digest, 5000)]) == [digest]
    assert place.store.damaged(place.store.objects()) == [digest]
