"""Bundles larger than memory should be: read in pieces, cut into members and volumes, at a steady size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from airgap_bundle.container import lay_out
from airgap_bundle.content import Blob
from airgap_bundle.volume_json import WHOLE, Cut
from tests.browser.devtools import Chromium
from tests.browser.verifier import VERIFIER, Verifier
from vectors.forge import Forged, Line, forge
from vectors.vector import CLOCK

MIB = 1 << 20
MOST_MEMORY = 600 * MIB
"""For the page and its worker: JavaScript's own heap, two pieces of 4 MiB, or a blob of 64 MiB at most."""


def zeros(size: int) -> tuple[Line, str]:
    """An entry of zeros, and its digest; nothing of it is in memory."""
    hash_ = hashlib.sha256()
    for _ in range(size // MIB):
        hash_.update(bytes(MIB))
    hash_.update(bytes(size % MIB))
    digest = hash_.hexdigest()
    line = {"path": "images/zeros.raw", "sha256": digest, "size": size, "type": "application/octet-stream"}
    return Line(line, None), digest


def write_sparse(folder: Path, size: int, cuts: Sequence[Cut] = WHOLE) -> Forged:
    """Volumes of a bundle with one blob of zeros, as sparse files that take no room on the disk."""
    line, digest = zeros(size)
    carried = {"bytes": size, "carried": size, "entries": 1}
    made = forge([line], release=lambda value: value.update(content=carried))
    named = [(name, len(data)) for name, data in made.files.items()]
    folder.mkdir()
    for layout in lay_out(named, [Blob(digest, size)], cuts, bundle=made.bundle, sequence=made.sequence):
        with (folder / layout.name).open("wb") as file:
            file.truncate(layout.size)
            for at, run in layout.framing():
                file.seek(at)
                file.write(run)
            for member in layout.members:
                if member.name in made.files:
                    file.seek(member.at)
                    file.write(made.files[member.name])
    return made


def verdict(chromium: Chromium, folder: Path, made: Forged) -> str | None:
    """Verify from the page; the memory is watched at the end."""
    root = folder.parent / "root.json"
    root.write_bytes(made.root)
    answer = Verifier(chromium.open(VERIFIER)).verify(folder=folder, root=root, clock=CLOCK)
    assert answer.sorry is None
    return answer.verdict


def test_a_blob_too_large_to_hash_at_once_is_hashed_in_pieces(chromium: Chromium, tmp_path: Path) -> None:
    made = write_sparse(tmp_path / "medium", 70 * MIB + 1)
    assert verdict(chromium, tmp_path / "medium", made) == "accepted"


def test_a_large_blob_in_three_volumes_is_one_blob(chromium: Chromium, tmp_path: Path) -> None:
    cuts = (Cut(0, 0), Cut(0, 30 * MIB), Cut(0, 69 * MIB))
    made = write_sparse(tmp_path / "medium", 70 * MIB, cuts)
    assert verdict(chromium, tmp_path / "medium", made) == "accepted"


def test_a_changed_byte_in_the_middle_of_a_large_blob_is_found(chromium: Chromium, tmp_path: Path) -> None:
    made = write_sparse(tmp_path / "medium", 70 * MIB)
    with (tmp_path / "medium" / "zone-updates-7.bundle").open("r+b") as file:
        file.seek(35 * MIB)
        file.write(b"\1")
    assert verdict(chromium, tmp_path / "medium", made) == "refused"


@pytest.mark.long
def test_a_container_beyond_4_gib_is_verified_in_bounded_memory(chromium: Chromium, tmp_path: Path) -> None:
    made = write_sparse(tmp_path / "medium", (1 << 32) + 5)  # two members
    before = chromium.memory()
    assert verdict(chromium, tmp_path / "medium", made) == "accepted"
    assert chromium.memory() - before < MOST_MEMORY
