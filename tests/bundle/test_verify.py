"""Verification of whole bundles: every vector, and what a report says of good, partial and damaged ones."""

from __future__ import annotations

import json
import os
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airgap_bundle.errors import Problem
from airgap_bundle.report import Report, Result, Verdict
from airgap_bundle.trusted_root import TrustedRoot
from airgap_bundle.verify import verify
from tests.bundle.make_bundle import CREATED, MadeBundle, make_bundle, zstd_entry
from tests.bundle.volumes import write_volumes

VECTORS = Path(__file__).parents[2] / "airgap-bundle" / "vectors"
CASES = json.loads((VECTORS / "expected.json").read_text(encoding="utf-8"))["vectors"]
NOW = CREATED + timedelta(days=1)


def verified(made: MadeBundle, *paths: Path) -> Report:
    return verify(list(paths), TrustedRoot.parse(made.root_bytes), clock=NOW)


def result(report: Report, number: int) -> tuple[str, str]:
    check = report.checks[number - 1]
    return str(check.result), check.text


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeBundle:
    chance = random.Random(7)
    files: dict[str, bytes | Path] = {f"files/{n}.bin": chance.randbytes(300 * n) for n in range(40)}
    files |= {f"images/{n}.raw": chance.randbytes(1_000_000 + n) for n in range(5)}
    files["images/large.raw"] = chance.randbytes(9_000_000)
    extra = [zstd_entry("data/small.json", b"[1]" * 500), zstd_entry("data/large.json", b"abc" * 4_000_000)]
    return make_bundle(tmp_path_factory.mktemp("made") / "bundle", files, extra=extra)


@pytest.mark.parametrize("vector", CASES, ids=[case["name"] for case in CASES])
def test_every_vector_gets_its_verdict_at_its_check(vector: dict[str, Any]) -> None:
    root = TrustedRoot.read(VECTORS / vector["root"])
    report = verify([VECTORS / vector["name"]], root, clock=datetime.fromisoformat(vector["clock"]))
    failed = next((check.number for check in report.checks if check.result is Result.FAILED), None)
    assert (report.verdict, failed) == (vector["verdict"], vector["check"]), report.sentence


@pytest.mark.parametrize("form", ["folder", "container", "volumes"])
def test_a_good_bundle_is_accepted_in_every_form(made: MadeBundle, tmp_path: Path, form: str) -> None:
    path = made.folder
    if form != "folder":
        path = write_volumes(made, tmp_path / "v", 4_000_000 if form == "volumes" else None)[0].parent
    report = verified(made, path)
    assert report.verdict is Verdict.ACCEPTED, report.to_text()
    assert result(report, 12) == ("passed", "2 contents come out as signed")
    assert len(made.content.blobs) == 48
    assert result(report, 11)[1].startswith("48 blobs of ")


def test_volumes_that_are_not_here_make_it_incomplete_and_are_named(made: MadeBundle, tmp_path: Path) -> None:
    volumes = write_volumes(made, tmp_path, 4_000_000)
    report = verified(made, volumes[1])
    assert report.verdict is Verdict.INCOMPLETE
    assert "volumes 1, 3" in result(report, 11)[1]
    assert report.exit_code == 75


def test_all_damage_is_counted_and_the_first_named_by_its_path(made: MadeBundle, tmp_path: Path) -> None:
    (volume,) = write_volumes(made, tmp_path)
    data = bytearray(volume.read_bytes())
    for path in ("files/7.bin", "images/large.raw"):
        entry = next(e for e in made.content.entries if e.path == path)
        at = data.index((made.folder / "blobs" / entry.blob).read_bytes()[:64])
        data[at + 10] ^= 1
    volume.write_bytes(data)
    report = verified(made, volume)
    assert result(report, 10)[0] == "passed"
    state, text = result(report, 11)
    assert state == "failed"
    assert "the blob of files/7.bin is damaged: its SHA-256 differs" in text
    assert "so are 1 other blob" in text
    assert report.exit_code == 44


def test_a_file_that_changes_while_it_is_read_is_refused(
    made: MadeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (volume,) = write_volumes(made, tmp_path)
    real = os.preadv

    def touched(*arguments: Any) -> int:
        os.utime(volume)
        return real(*arguments)

    monkeypatch.setattr(os, "preadv", touched)
    report = verified(made, volume)
    assert "changed while it was read" in result(report, 10)[1]
    assert report.verdict is Verdict.REFUSED


def test_nothing_is_written_where_the_bundle_lies(made: MadeBundle, tmp_path: Path) -> None:
    volumes = write_volumes(made, tmp_path / "v", 4_000_000)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "v").iterdir()}
    os.chmod(tmp_path / "v", 0o500)
    assert verified(made, *volumes).verdict is Verdict.ACCEPTED
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "v").iterdir()} == before


def test_progress_reaches_the_whole_size(made: MadeBundle, tmp_path: Path) -> None:
    volumes = write_volumes(made, tmp_path, 4_000_000)
    told: list[tuple[int, int]] = []
    root = TrustedRoot.parse(made.root_bytes)
    verify(volumes, root, clock=NOW, progress=lambda done, total: told.append((done, total)))
    whole = sum(path.stat().st_size for path in volumes)
    assert told[-1] == (told[-1][1], told[-1][1])
    assert 0.9 * whole < told[-1][1] <= whole
    assert told == sorted(told)


def test_what_is_no_bundle_is_said_and_not_judged(made: MadeBundle, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no bundle here"):
        verified(made, tmp_path)
