"""What changes between two releases, in the operator's words."""

from __future__ import annotations

import hashlib

import pytest

from airgap_bundle.content import HELD, Content, Entry, content, raw
from airgap_bundle.diff import diff, package_of


def made(**files: tuple[str, int]) -> Content:
    return content(entry(path, *about) for path, about in files.items())


def entry(path: str, text: str, size: int) -> Entry:
    return raw(path, hashlib.sha256(f"{text}{size}".encode()).hexdigest(), size, "text/plain")


OLD = made(
    **{
        "apt/pool/o/libssl3_3.0.16-1_amd64.deb": ("a", 2_000_000),
        "apt/pool/o/libssl3_3.0.16-1_arm64.deb": ("b", 1_900_000),
        "apt/pool/g/gone_1_all.deb": ("c", 10),
        "pypi/my_pkg-1.0-py3-none-any.whl": ("d", 700),
        "images/base.raw": ("e", 1_300_000_000),
        "docs/old.html": ("f", 5),
        "docs/same.html": ("g", 5),
    }
)
NEW = made(
    **{
        "apt/pool/o/libssl3_3.0.17-1_amd64.deb": ("h", 2_100_000),
        "apt/pool/o/libssl3_3.0.16-1_arm64.deb": ("b", 1_900_000),
        "apt/pool/n/new_1%3a2-1_all.deb": ("i", 20),
        "pypi/My.Pkg-1.1-py3-none-any.whl": ("j", 800),
        "images/base.raw": ("k", 1_400_000_000),
        "docs/new.html": ("l", 5),
        "docs/same.html": ("g", 5),
    }
)


def test_the_text_says_packages_by_name_and_files_by_path() -> None:
    assert diff(OLD, NEW).to_text().splitlines() == [
        "apt     gone (all)       1 removed, 10 bytes",
        "        libssl3 (amd64)  3.0.16-1 -> 3.0.17-1",
        "        new (all)        1:2-1 added, 20 bytes",
        "docs    new.html         added, 5 bytes",
        "        old.html         removed, 5 bytes",
        "images  base.raw         changed, 1.3 GB -> 1.4 GB",
        "pypi    my-pkg           1.0 -> 1.1",
    ]


def test_scripts_get_every_size_and_digest() -> None:
    value = diff(OLD, NEW).to_value()
    assert value["images"]["changed"][0]["new"]["size"] == 1_400_000_000
    assert value["apt"]["packages"][1] == {
        "name": "libssl3 (amd64)",
        "old": ["3.0.16-1"],
        "new": ["3.0.17-1"],
        "old_size": 2_000_000,
        "new_size": 2_100_000,
    }
    assert value["docs"]["same"] == 1


def test_a_release_and_itself_do_not_differ() -> None:
    found = diff(OLD, OLD)
    assert not found.anything
    assert found.to_text() == "Nothing changes.\n"
    assert found.to_value() == {}


def test_how_a_content_travels_is_no_change() -> None:
    held = content(Entry(e.path, e.sha256, e.size, e.type, HELD) for e in OLD.entries)
    assert not diff(OLD, held).anything


def test_everything_is_new_in_the_first_release() -> None:
    found = diff(None, OLD)
    assert sum(len(part.added) + len(part.packages) for part in found.parts.values()) == len(OLD.entries)


def test_two_versions_that_become_one_are_one_line() -> None:
    two = made(**{"apt/aa_1_all.deb": ("a", 1), "apt/aa_2_all.deb": ("b", 1)})
    one = made(**{"apt/aa_3_all.deb": ("c", 1)})
    assert "aa (all)  1, 2 -> 3" in diff(two, one).to_text()


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("apt/x/libc6_2.36-9+deb12u9_amd64.deb", ("libc6 (amd64)", "2.36-9+deb12u9")),
        ("pypi/pip-24.0-py3-none-any.whl", ("pip", "24.0")),
        ("pypi/PyNaCl-1.5.0-1build-cp36-abi3-manylinux_x86_64.whl", ("pynacl (manylinux_x86_64)", "1.5.0")),
        ("docs/readme.txt", None),
        ("apt/dists/stable/Release", None),
    ],
)
def test_packages_are_known_by_their_file_names(path: str, package: tuple[str, str] | None) -> None:
    assert package_of(path) == package
