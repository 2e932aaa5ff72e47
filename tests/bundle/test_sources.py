"""The small parts of sources: versions, dependencies, .deb files, signed indexes, tools, trees."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airgap_bundle.sources import debs, oci, signed_index, tools, tree, versions
from airgap_bundle.sources.apt import address
from airgap_bundle.sources.debs import Available, Relation
from airgap_bundle.sources.errors import NotVouched, ToolMissing, UpstreamFailed
from airgap_bundle.sources.item import media_type
from airgap_bundle.sources.oci import Locked, untagged
from airgap_bundle.sources.pypi import PythonTarget, target_of
from tests.bundle.upstream import Keyring, Package, tar, write

# --- versions ---------------------------------------------------------------------------------------------

ORDERED = ["1.0~~", "1.0~rc1-1", "1.0~rc2-1", "1.0", "1.0-0.1", "1.0-1~deb12u1", "1.0-1", "1.0-1+b1",
           "1.0-1+deb12u2", "1.0a", "1.0+dfsg-1", "1.0.0", "1.9", "1.10", "1:0.1", "2:0~"]  # fmt: skip


def test_versions_sort_as_debians_do() -> None:
    assert sorted(set(ORDERED), key=versions.newest_last) == ORDERED
    assert all(versions.compare(a, b) == -1 and versions.compare(b, a) == 1 for a, b in pairwise(ORDERED))


_VERSION = st.from_regex(r"([0-9]:)?[0-9][0-9a-z.+~]{0,6}(-[0-9a-z.+~]{1,4})?", fullmatch=True)


@settings(max_examples=60)
@given(_VERSION, _VERSION)
@example("0", "0~")
@example("1.0", "1.0-0")
def test_versions_compare_as_dpkg_compares_them(left: str, right: str) -> None:
    word = {-1: "lt", 0: "eq", 1: "gt"}[versions.compare(left, right)]
    assert subprocess.run(["dpkg", "--compare-versions", left, word, right]).returncode == 0


@pytest.mark.parametrize(
    ("version", "relation", "wanted", "met"),
    [("1", ">=", "1", True), ("1", ">>", "1", False), ("1", "<<", "2", True), ("1", "=", "1-0", True),
     ("2", "<=", "1", False), ("1", "<", "1", True), ("1", ">", "1", True)],
)  # fmt: skip
def test_relations_of_versions(version: str, relation: str, wanted: str, met: bool) -> None:
    assert versions.satisfies(version, relation, wanted) is met


# --- dependencies -----------------------------------------------------------------------------------------


def test_dependencies_are_groups_of_alternatives() -> None:
    text = "libc6 (>= 2.36), awk | mawk:any (<< 2), python3:any, linux-any [amd64],\n perl"
    assert debs.relations(text) == [
        [Relation("libc6", ">=", "2.36")],
        [Relation("awk", "", ""), Relation("mawk", "<<", "2")],
        [Relation("python3", "", "")],
        [Relation("linux-any", "", "")],
        [Relation("perl", "", "")],
    ]


@pytest.mark.parametrize(
    ("wanted", "met"),
    [("mawk", True), ("awk", True), ("awk (>= 1)", False), ("mail (>= 2)", True), ("mail (>= 4)", False),
     ("none | mawk", True), ("none", False), ("mawk (>= 2)", False), ("mawk (<< 2)", True)],
)  # fmt: skip
def test_a_dependency_is_met_by_a_package_or_by_what_one_provides(wanted: str, met: bool) -> None:
    there = Available([("mawk", "1.3", [("awk", "")]), ("postfix", "3.7", [("mail", "3")])])
    assert there.meets(debs.relations(wanted)[0]) is met


def test_stanzas_are_read_with_their_folded_fields() -> None:
    text = "Package: a\nVersion: 1\nConffiles:\n /etc/a 00\n /etc/b 01\nSource: src (1.1)\n\n"
    text += "Version: 2\n\n\nPackage: b\n"
    first, second = debs.packages(text)
    assert (first.name, first.version, first.source, second.name, second.version) == (
        "a",
        "1",
        "src",
        "b",
        "",
    )
    assert debs.fields(first.text)["Conffiles"] == "\n /etc/a 00\n /etc/b 01"


# --- .deb files -------------------------------------------------------------------------------------------


def test_a_deb_says_what_it_is_as_dpkg_reads_it(tmp_path: Path) -> None:
    path = write(tmp_path / "x.deb", Package("x", depends="libc6", conffiles=("/etc/x.conf",)).build())
    read = debs.read_deb(path)
    assert (read.package.name, read.package.get("Depends"), read.conffiles) == (
        "x",
        "libc6",
        ("/etc/x.conf",),
    )
    said = subprocess.run(["dpkg-deb", "--field", path], check=True, capture_output=True, text=True).stdout
    assert said.strip() == read.package.text


@pytest.mark.parametrize("end", ["", ".gz", ".xz", ".zst"])
def test_all_compressions_of_control_archives_are_read(tmp_path: Path, end: str) -> None:
    control = tar([("control", b"Package: x\nVersion: 1\nArchitecture: all\n")])
    packed = {"": control, ".gz": gzip.compress(control), ".xz": lzma.compress(control)}
    packed[".zst"] = zstandard.compress(control)
    data = packed[end]
    member = f"{'control.tar' + end:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
    path = write(tmp_path / "x.deb", b"!<arch>\n" + member + data)
    assert debs.read_deb(path).package.name == "x"


def test_a_deb_that_is_cut_or_changed_anywhere_is_refused_or_read_never_worse(tmp_path: Path) -> None:
    good = Package("x").build()
    outcomes = set()
    for end in range(0, len(good) - 1, 7):
        for data in (good[:end], good[:end] + b"\xff" + good[end + 1 :]):
            try:
                outcomes.add(type(debs.read_deb(write(tmp_path / "x.deb", data))).__name__)
            except NotVouched as refused:
                outcomes.add(type(refused).__name__)
    assert outcomes == {"Deb", "NotVouched"}


def test_a_bomb_is_not_unpacked() -> None:
    bomb = b"\0" * 1_000_000
    packed = {"x.gz": gzip.compress(bomb), "x.xz": lzma.compress(bomb), "x.zst": zstandard.compress(bomb)}
    for name, data in packed.items():
        with pytest.raises(NotVouched, match="holds more than 1000 bytes"):
            debs.unpacked(data, name, 1000)


# --- signed indexes ---------------------------------------------------------------------------------------

RELEASE = f"Suite: stable\nSHA256:\n {'0' * 64} 5 main/binary-amd64/Packages\n".encode()


def test_a_signed_index_names_files_by_digest(archive_key: Keyring) -> None:
    read = signed_index.verify(archive_key.clearsign(RELEASE), archive_key.file, "stable")
    assert read.fields["Suite"] == "stable"
    assert read.digests == {"main/binary-amd64/Packages": ("0" * 64, 5)}
    with pytest.raises(NotVouched, match="is not the file that the suite's InRelease names"):
        read.check("main/binary-amd64/Packages", b"other")
    with pytest.raises(NotVouched, match="InRelease does not name it"):
        read.check("main/binary-arm64/Packages", b"other")


def test_what_is_not_exactly_one_signed_text_is_refused(archive_key: Keyring, tmp_path: Path) -> None:
    stranger = Keyring.make(tmp_path, "stranger")
    signed, other = archive_key.clearsign(RELEASE), stranger.clearsign(RELEASE)
    stranger.close()
    for data, why in (
        (b"", "not one clear-signed text"),
        (RELEASE, "not one clear-signed text"),
        (b"\n" + signed, "not one clear-signed text"),
        (RELEASE + signed, "not one clear-signed text"),
        (signed + RELEASE, "not one clear-signed text"),
        (signed + other, "not one clear-signed text"),
        (other + signed, "not one clear-signed text"),
        (other, "nobody in the keyring archive.gpg signed it"),
        (signed.replace(b"Suite: stable", b"Suite: evil00"), "changed after it was signed"),
        (archive_key.clearsign(b"Suite: stable\n"), "names no files"),
    ):
        with pytest.raises(NotVouched, match=why):
            signed_index.verify(data, archive_key.file, "stable")


def test_a_keyring_that_is_not_there_is_named(archive_key: Keyring, tmp_path: Path) -> None:
    with pytest.raises(NotVouched, match="there is no keyring") as refused:
        signed_index.verify(archive_key.clearsign(RELEASE), tmp_path / "none.gpg", "stable")
    assert refused.value.remedy == "Install the package with the keyring, or name another one."


# --- tools ------------------------------------------------------------------------------------------------


def test_a_tool_that_is_missing_is_named_with_its_package() -> None:
    with pytest.raises(ToolMissing, match="nonesuch is needed for tests, and it is not installed") as refused:
        tools.need("nonesuch", "tests")
    assert refused.value.remedy == "Install the package nonesuch."


def test_a_tool_that_fails_is_told_with_its_last_words_and_a_remedy() -> None:
    with pytest.raises(UpstreamFailed) as refused:
        tools.run(["sh", "-c", "echo one; echo E: two; echo three >&2; exit 9"], "do it", "Do that.")
    assert str(refused.value) == "sh could not do it: E: two"
    assert refused.value.remedy == "Do that."


def test_a_tool_that_hangs_is_ended() -> None:
    with pytest.raises(UpstreamFailed, match="it did not end within 0 seconds"):
        tools.run(["sleep", "30"], "wait", "Do that.", seconds=0.2)


# --- names ------------------------------------------------------------------------------------------------


def test_addresses_are_written_as_apt_writes_them() -> None:
    assert address("mirror:/x/", "pool/a b_1+2~3.deb") == "mirror:/x/pool/a%20b_1%2B2%7e3.deb"


def test_a_target_is_found_again_by_its_name() -> None:
    target = PythonTarget("3.11", "x86_64", "2.36", ("a==1",))
    assert target_of(target.name) == PythonTarget("3.11", "x86_64", "2.36", ())
    assert "manylinux_2_36_x86_64" in target.options()
    assert "manylinux_2_37_x86_64" not in target.options()


def test_skopeo_gets_a_digest_without_a_tag() -> None:
    assert untagged("host:5000/a/b:1@sha256:00") == "host:5000/a/b@sha256:00"
    assert untagged("b@sha256:00") == "b@sha256:00"


@pytest.mark.parametrize(
    ("path", "kind"),
    [("x.deb", "application/vnd.debian.binary-package"), ("a/B.PDF", "application/pdf"),
     ("x", "application/octet-stream"), (".yml", "application/octet-stream"),
     ("x.tar.gz", "application/gzip")],
)  # fmt: skip
def test_media_types_follow_names(path: str, kind: str) -> None:
    assert media_type(path) == kind


def test_an_index_of_images_does_not_depend_on_their_order() -> None:
    one, two = Locked("b", "b", "1", "1" * 64, 1, "x/y"), Locked("b", "b", None, "2" * 64, 2, "x/y")
    assert oci.index_json([one, two]) == oci.index_json([two, one])


# --- trees ------------------------------------------------------------------------------------------------

CREATED = datetime(2026, 11, 23, 10, tzinfo=UTC)


def grow(folder: Path, seconds: int) -> Path:
    """The same tree, made at another time and in another order."""
    names = ["etc/hosts", "usr/bin/tool", "var/log/x.log", "var/cache/big", "etc/machine-id"]
    for name in names if seconds else reversed(names):
        path = write(
            folder / name,
            name.encode() * (7 if name.startswith(("etc", "usr")) else seconds),
        )
        os.utime(path, (2_000_000_000 + seconds, 2_000_000_000 + seconds))
    (folder / "usr/bin/tool").chmod(0o755)
    (folder / "usr/bin/link").symlink_to("tool")
    os.link(folder / "usr/bin/tool", folder / "usr/bin/zweit")
    os.mkfifo(folder / "usr/pipe")
    return folder


def test_the_same_tree_gives_the_same_image_whenever_it_was_made(tmp_path: Path) -> None:
    first = tree.layout(grow(tmp_path / "a", 0), tmp_path / "one", "12", CREATED)
    second = tree.layout(grow(tmp_path / "b", 9), tmp_path / "two", "12", CREATED)
    assert first == second
    assert first != tree.layout(tmp_path / "a", tmp_path / "three", "12", datetime(2026, 12, 1, tzinfo=UTC))


def test_a_layer_holds_what_a_container_needs_and_nothing_of_the_machine(tmp_path: Path) -> None:
    tree.layout(grow(tmp_path / "a", 0), tmp_path / "one", "12", CREATED)
    largest = max((tmp_path / "one/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    with tarfile.open(largest) as archive:
        members = {member.name: member for member in archive}
    assert list(members) == ["etc", "etc/hosts", "usr", "usr/bin", "usr/bin/link", "usr/bin/tool",
                             "usr/bin/zweit", "var", "var/cache", "var/log"]  # fmt: skip
    assert members["usr/bin/zweit"].islnk()
    assert members["usr/bin/tool"].mode == 0o755
    assert {member.mtime <= CREATED.timestamp() for member in members.values()} == {True}


def test_skopeo_reads_an_image_of_a_tree(tmp_path: Path) -> None:
    made = tree.layout(grow(tmp_path / "a", 0), tmp_path / "one", "12", CREATED)
    command = [
        "skopeo",
        "copy",
        "--quiet",
        "--preserve-digests",
        f"oci:{tmp_path}/one:12",
        f"dir:{tmp_path}/out",
    ]
    subprocess.run(command, check=True)
    said = subprocess.run(
        ["skopeo", "manifest-digest", tmp_path / "out/manifest.json"], capture_output=True, text=True
    )
    assert said.stdout.strip() == made
    shutil.rmtree(tmp_path / "out")


def test_the_layer_is_a_plain_tar(tmp_path: Path) -> None:
    tree.layout(grow(tmp_path / "a", 0), tmp_path / "one", "12", CREATED)
    largest = max((tmp_path / "one/blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    with tarfile.open(fileobj=io.BytesIO(largest.read_bytes()), mode="r:") as plain:
        assert plain.getnames()[0] == "etc"
