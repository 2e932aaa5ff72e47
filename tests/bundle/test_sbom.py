"""One list of everything that is in a bundle, always the same for the same lock."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airgap_bundle import sbom
from airgap_bundle.collect import collect
from airgap_bundle.lock import Lock
from airgap_bundle.sources import inside
from tests.bundle.upstream import Layout, collection, tar, wheel, write
from tests.bundle.world import World

STATUS = (
    "Package: base-files\nStatus: install ok installed\nVersion: 12.4\nArchitecture: amd64\n\n"
    "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: amd64\n"
)


def status(text: str, name: str = "var/lib/dpkg/status") -> bytes:
    return tar([("etc/hostname", b"x"), (name, text.encode())])


@pytest.fixture
def lock(world: World) -> Lock:
    wheel(world.wheels, "alpha", "1.0")
    wheel(world.folder / "dist", "ours", "0.1.0+zone")
    layout = Layout(world.folder / "build")
    layout.image(b"no archive", status("Package: old\n"), gzip.compress(status(STATUS)), tag="12")
    write(world.folder / "a.pdf", b"pdf")
    write(world.folder / "src/galaxy.yml", b"namespace: acme\nname: web\nversion: 2.0.0\n")
    collection(world.folder, "acme", "net", "1.2.0")
    made = world.lock(
        "debian:\n  - suites: [stable]\n    packages: [tool]\n    keyring: $keyring\n"
        "python:\n  - version: '3.11'\n    requirements: [alpha]\n    wheels: [dist/*.whl]\n"
        "images:\n  - {image: 'host.zone/team/base:12', layout: build}\n"
        "ansible:\n  collections: [src, acme-net-1.2.0.tar.gz]\n"
        "documents: [a.pdf]\n",
        keyring=world.keyring,
    )
    collect(made, world.cache, world.folder)
    return made


def document(lock: Lock, world: World) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(sbom.document(lock, world.cache))
    return value


def test_everything_in_the_bundle_is_listed_once(lock: Lock, world: World) -> None:
    value = document(lock, world)
    assert {
        one["name"]: (one["type"], one.get("version"), one.get("purl")) for one in value["components"]
    } == {
        "libc": ("library", "2.36-1", "pkg:deb/debian/libc@2.36-1?arch=amd64&distro=stable"),
        "libtool": ("library", "1.0-1", "pkg:deb/debian/libtool@1.0-1?arch=amd64&distro=stable"),
        "mawk": ("library", "1:1.3-1", "pkg:deb/debian/mawk@1%3A1.3-1?arch=amd64&distro=stable"),
        "tool": ("library", "1.0-1", "pkg:deb/debian/tool@1.0-1?arch=amd64&distro=stable"),
        "apt/dists/stable/InRelease": ("file", None, None),
        "apt/dists/stable/main/binary-amd64/Packages.xz": ("file", None, None),
        "alpha": ("library", "1.0", "pkg:pypi/alpha@1.0?file_name=alpha-1.0-py3-none-any.whl"),
        "ours": (
            "library",
            "0.1.0+zone",
            "pkg:pypi/ours@0.1.0%2Bzone?file_name=ours-0.1.0%2Bzone-py3-none-any.whl",
        ),
        "acme.net": ("library", "1.2.0", None),
        "acme.web": ("library", "2.0.0", None),
        "documents/a.pdf": ("file", None, None),
        "host.zone/team/base": (
            "container",
            "12",
            f"pkg:oci/base@sha256%3A{lock.images[0].digest}?repository_url=host.zone%2Fteam%2Fbase&tag=12",
        ),
    }


def test_every_component_that_is_one_file_has_its_digest(lock: Lock, world: World) -> None:
    digests = {item.path: item.sha256 for item in lock.items}
    for one in document(lock, world)["components"]:
        if one["bom-ref"] in digests:
            assert one["hashes"] == [{"alg": "SHA-256", "content": digests[one["bom-ref"]]}]


def test_what_is_installed_in_an_image_is_listed_with_it(lock: Lock, world: World) -> None:
    (image,) = [one for one in document(lock, world)["components"] if one["type"] == "container"]
    assert [one["purl"] for one in image["components"]] == ["pkg:deb/debian/base-files@12.4?arch=amd64"]


def test_images_without_a_package_manager_list_each_package_in_a_file(world: World) -> None:
    layout = Layout(world.folder / "build")
    layout.image(status("Package: base\nVersion: 1\n", "var/lib/dpkg/status.d/base"), tag="1")
    made = world.lock("images:\n  - {image: 'base:1', layout: build}\n")
    collect(made, world.cache, world.folder)
    (found,) = inside.packages(made.images[0], world.cache).values()
    assert [(one.name, one.version) for one in found] == [("base", "1")]


def test_references_are_unique_and_all_named_by_the_bundle(lock: Lock, world: World) -> None:
    value = document(lock, world)
    refs = [one["bom-ref"] for one in value["components"]]
    assert len(set(refs)) == len(refs)
    assert value["dependencies"] == [{"ref": "bundle", "dependsOn": refs}]


def test_the_same_lock_gives_the_same_bytes(lock: Lock, world: World) -> None:
    assert sbom.document(lock, world.cache) == sbom.document(Lock.parse(lock.render()), world.cache)


def test_the_serial_number_follows_the_lock_and_the_date_is_the_locks(lock: Lock, world: World) -> None:
    later = replace(
        lock, created=datetime(2026, 12, 24, tzinfo=UTC), next_expected=datetime(2027, 1, 1, tzinfo=UTC)
    )
    first, second = document(lock, world), document(later, world)
    assert first["serialNumber"] != second["serialNumber"]
    assert (first["metadata"]["timestamp"], second["metadata"]["timestamp"]) == (
        "2026-11-23T10:00:00Z",
        "2026-12-24T00:00:00Z",
    )


def test_the_document_is_content_of_its_own(lock: Lock, world: World, tmp_path: Path) -> None:
    item = sbom.sbom(lock, world.cache)
    assert (item.path, item.type) == ("sbom/bundle.cdx.json", "application/vnd.cyclonedx+json")
    assert world.cache.read(item.sha256) == sbom.document(lock, world.cache)
    assert str(tmp_path) not in world.cache.read(item.sha256).decode()
