"""What the other suites stand on: the bundles that `make_bundle` makes are what TUF and the formats ask."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path

from securesystemslib.signer._signature import Signature
from tuf.api._payload import Root
from tuf.api.metadata import Metadata

from airgap_bundle.content import parse
from airgap_bundle.release import Base, Release
from tests.bundle.make_bundle import Keys, held_entry, make_bundle, zstd_entry

FILES = {"files/a.txt": b"hello", "apt/pool/b.deb": b"x" * 100_000, "files/copy.txt": b"hello"}


def test_every_name_that_carries_a_digest_has_it(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "bundle", FILES)
    named = [*(made.folder / "blobs").iterdir(), *(made.folder / "targets").iterdir()]
    assert len(named) == 4
    for path in named:
        assert path.name.partition(".")[0] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_content_and_the_release_are_read_again(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "bundle", FILES, extra=[zstd_entry("files/z", b"z" * 9999)])
    by_kind = {name.split(".", 1)[1]: data for name, data in made.files.items() if name[0] == "t"}
    assert parse(by_kind["content.ndjson"]) == made.content
    assert Release.parse(by_kind["release.json"]) == made.release
    made.release.check_content(made.content)


def test_every_role_is_signed_by_as_many_as_it_takes(tmp_path: Path) -> None:
    made = make_bundle(tmp_path / "bundle", FILES, roots=[Keys.fresh(), Keys.fresh(4, 3)])
    first = Metadata[Root].from_bytes(made.root_bytes)
    second = Metadata[Root].from_bytes(made.files["metadata/2.root.json"])
    first.verify_delegate("root", first)
    first.verify_delegate("root", second)
    second.verify_delegate("root", second)
    for role, name in [("timestamp", "timestamp"), ("snapshot", "1.snapshot"), ("targets", "1.targets")]:
        data = made.files[f"metadata/{name}.json"]
        second.signed.verify_delegate(role, Metadata.from_bytes(data).signed_bytes, _signatures(data))


def test_a_next_bundle_follows_the_one_before(tmp_path: Path) -> None:
    one = make_bundle(tmp_path / "one", FILES)
    two = make_bundle(tmp_path / "two", FILES, sequence=2, previous=one)
    assert two.release.previous == one.release_sha256
    assert two.release.created == one.release.created + timedelta(days=1)
    assert two.keys is one.keys


def test_the_same_seed_gives_the_same_bundle(tmp_path: Path) -> None:
    one = make_bundle(tmp_path / "one", FILES, keys=Keys.fresh(seed="same"))
    two = make_bundle(tmp_path / "two", FILES, keys=Keys.fresh(seed="same"))
    assert one.files == two.files


def _signatures(data: bytes) -> dict[str, Signature]:
    return dict(Metadata.from_bytes(data).signatures)


def test_a_held_entry_brings_no_blob(tmp_path: Path) -> None:
    one = make_bundle(tmp_path / "one", FILES)
    two = make_bundle(
        tmp_path / "two", {}, 2, one, extra=[held_entry("files/a.txt", b"hello")], base=Base("0" * 64, 1)
    )
    assert list((two.folder / "blobs").iterdir()) == []
    assert two.release.carried == 0
