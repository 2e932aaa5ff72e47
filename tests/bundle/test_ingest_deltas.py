"""Deltas on their way into the store: applied to what is there, compared, and refused in words."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from airgap_bundle import delta
from airgap_bundle.content import DELTA, Entry
from airgap_bundle.delta import DeltaBaseMissing, DeltaMalformed
from airgap_bundle.ingest import ContentsMissing, VolumesToCome
from airgap_bundle.rebuild import NotAsSigned
from airgap_bundle.report import Result, Verdict
from airgap_bundle.store import Store
from airgap_bundle.trusted_root import TrustedRoot
from airgap_bundle.verify import verify
from tests.bundle.make_bundle import CREATED, TYPE, Extra, MadeBundle, make_bundle, sha
from tests.bundle.test_ingest import BASE, EXPIRES, Place
from tests.bundle.volumes import write_volumes

NOW = CREATED + timedelta(days=5)
chance = random.Random(41)
OLD = chance.randbytes(3_000_000)
NEW = OLD[:1_000_000] + b"changed" * 100 + OLD[1_000_500:] + chance.randbytes(5000)
NEWEST = NEW[:2_000_000] + b"again" * 100 + NEW[2_000_000:]


def delta_entry(folder: Path, path: str, data: bytes, base: bytes) -> Extra:
    """An entry that travels as a delta against `base`."""
    (folder / "base").write_bytes(base)
    (folder / "target").write_bytes(data)
    delta.make(folder / "target", [delta.Base(sha(base), folder / "base")], folder / "delta")
    blob = (folder / "delta").read_bytes()
    assert len(blob) < 100_000
    return Extra(Entry(path, sha(data), len(data), TYPE, DELTA, sha(blob), len(blob), (sha(base),)), blob)


@pytest.fixture
def first(tmp_path: Path) -> MadeBundle:
    return make_bundle(tmp_path / "one", {"images/base.raw": OLD, "files/a": b"a"}, expires=EXPIRES)


@pytest.fixture
def second(tmp_path: Path, first: MadeBundle) -> MadeBundle:
    extra = [delta_entry(tmp_path, "images/base.raw", NEW, OLD)]
    return make_bundle(tmp_path / "two", {"files/a": b"a"}, 2, first, extra=extra, base=BASE, expires=EXPIRES)


@pytest.fixture
def place(tmp_path: Path, first: MadeBundle) -> Place:
    place = Place(tmp_path / "zone", first)
    place.ingest(first.folder)
    return place


def check(made: MadeBundle, store: Store | None) -> tuple[Verdict, Result, str]:
    report = verify([made.folder], TrustedRoot.parse(made.root_bytes), clock=NOW, store=store)
    return report.verdict, report.checks[11].result, report.checks[11].text


def test_a_delta_becomes_the_content_that_was_signed(place: Place, second: MadeBundle) -> None:
    done = place.ingest(second.folder)
    assert place.store.read(sha(NEW)) == NEW
    assert (done.added, done.here) == (1, 1)
    assert done.read < 100_000


def test_a_delta_may_stand_on_what_comes_with_it(place: Place, first: MadeBundle, tmp_path: Path) -> None:
    """Two deltas, the second on the first; their order in the bundle says nothing."""
    extra = [
        delta_entry(tmp_path, "images/a-newest.raw", NEWEST, NEW),
        delta_entry(tmp_path, "images/base.raw", NEW, OLD),
    ]
    made = make_bundle(tmp_path / "two", {}, 2, first, extra=extra, base=BASE, expires=EXPIRES)
    place.ingest(made.folder)
    assert place.store.read(sha(NEWEST)) == NEWEST


def test_a_delta_may_come_on_an_early_volume(place: Place, first: MadeBundle, tmp_path: Path) -> None:
    files: dict[str, bytes | Path] = {f"images/z{n}.raw": chance.randbytes(300_000) for n in range(2)}
    extra = [delta_entry(tmp_path, "images/base.raw", NEW, OLD)]
    made = make_bundle(tmp_path / "two", files, 2, first, extra=extra, base=BASE, expires=EXPIRES)
    volumes = write_volumes(made, tmp_path / "v", 400_000)
    assert len(volumes) == 2
    with pytest.raises(VolumesToCome):
        place.ingest(volumes[0])
    assert not place.store.has(sha(NEW))
    place.ingest(volumes[1])
    assert place.store.read(sha(NEW)) == NEW


def test_without_the_base_nothing_is_begun(place: Place, second: MadeBundle) -> None:
    place.store.path(sha(OLD)).unlink()
    with pytest.raises(ContentsMissing, match="stands on zone-updates 1, and 1 of its contents"):
        place.ingest(second.folder)
    assert place.state.past.highest == 1


def test_a_base_that_was_damaged_here_is_named(place: Place, second: MadeBundle) -> None:
    path = place.store.path(sha(OLD))
    path.chmod(0o644)
    path.write_bytes(OLD[:500] + b"?" + OLD[501:])
    with pytest.raises((DeltaBaseMissing, DeltaMalformed)) as caught:
        place.ingest(second.folder)
    assert caught.value.exit_code in (46, 47)
    assert not place.store.has(sha(NEW))
    assert place.state.past.highest == 1


def test_a_delta_of_something_else_is_refused(place: Place, first: MadeBundle, tmp_path: Path) -> None:
    good = delta_entry(tmp_path, "images/base.raw", NEW, OLD)
    for entry in (good.entry._replace(sha256="11" * 32), good.entry._replace(size=len(NEW) - 1)):
        name = f"{entry.size}-{entry.sha256[:4]}"
        made = make_bundle(
            tmp_path / name, {}, 2, first, extra=[Extra(entry, good.blob)], base=BASE, expires=EXPIRES
        )
        with pytest.raises(NotAsSigned, match=r"images/base\.raw does not come out as it was signed"):
            place.ingest(made.folder)
    assert place.state.past.highest == 1


def test_verification_rebuilds_deltas_only_with_their_base(place: Place, second: MadeBundle) -> None:
    verdict, result, text = check(second, place.store)
    assert (verdict, result) == (Verdict.ACCEPTED, Result.PASSED)
    assert not place.store.has(sha(NEW))
    verdict, result, text = check(second, None)
    assert (verdict, result) == (Verdict.ACCEPTED, Result.NOT_CHECKED)
    assert sha(OLD) in text
