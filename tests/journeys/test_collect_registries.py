"""Recipes against real registries: Debian and PyPI as this machine has them, and an OCI registry of our own.

Small things only: one package, a few wheels, an image of two layers.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from jsonschema import Draft7Validator
from referencing import Registry, Resource

from airgap_bundle import airtight, recipe, sbom
from airgap_bundle.cache import Cache
from airgap_bundle.collect import collect
from airgap_bundle.lock import Lock, lock
from airgap_bundle.sources.errors import UpstreamFailed
from tests.bundle.upstream import Layout

HEAD = "bundle: zone\ntitle: Updates\nnext_expected: 30 days\n"
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
SUITE = platform.freedesktop_os_release()["VERSION_CODENAME"]
SCHEMAS = "cyclonedx-python-lib==11.7.0"
"""A wheel that has the schemas of CycloneDX in it."""


def made(folder: Path, text: str, cache: str = "cache") -> tuple[Lock, Cache]:
    held = Cache(folder / cache)
    found = lock(recipe.parse((HEAD + text).encode(), "zone.yaml", folder), held, NOW)
    collect(found, held, folder)
    return found, held


# --- Debian and PyPI --------------------------------------------------------------------------------------

REAL = f"""
debian:
  - suites: [{SUITE}]
    packages: [hello]
    base: {{priorities: [required]}}
python:
  - version: "3.11"
    requirements: ["iniconfig==2.0.0"]
  - version: "3.11"
    requirements: ["{SCHEMAS}"]
    dependencies: false
allow:
  - {{path: "pypi/*", value: "license-expression<31,>=30", because: only its schemas are used here}}
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lock, Cache, Path]:
    folder = tmp_path_factory.mktemp("real")
    return *made(folder, REAL), folder


def test_a_debian_package_comes_with_upstreams_signed_index(real: tuple[Lock, Cache, Path]) -> None:
    found, cache, _ = real
    items = {item.path: item for item in found.items if item.part == "apt"}
    (deb,) = [path for path in items if path.endswith(".deb")]
    assert deb.startswith("apt/pool/main/h/hello/hello_")
    assert f"apt/dists/{SUITE}/InRelease" in items
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    release = cache.path(items[f"apt/dists/{SUITE}/InRelease"].sha256)
    subprocess.run(["gpgv", "--keyring", keyring, release], check=True, capture_output=True)
    name = subprocess.run(
        ["dpkg-deb", "--field", cache.path(items[deb].sha256), "Package"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert name.stdout == "hello\n"


def test_a_wheel_comes_by_its_hash_and_installs_from_the_bundle_alone(real: tuple[Lock, Cache, Path]) -> None:
    found, cache, _ = real
    (item,) = [item for item in found.items if item.source.get("package") == "iniconfig"]
    assert item.path == "pypi/iniconfig-2.0.0-py3-none-any.whl"
    assert item.sha256 == "b6a85871a79d2e3b22d2d1b94ac2824226a63c6b741c88f7ae975f18b6778374"
    assert hashlib.sha256(cache.path(item.sha256).read_bytes()).hexdigest() == item.sha256


def test_the_real_content_is_airtight_but_for_what_was_left_out(real: tuple[Lock, Cache, Path]) -> None:
    found, cache, _ = real
    leaks = airtight.find(found, cache)
    assert {leak.path.partition("-")[0] for leak in leaks} <= {"pypi/cyclonedx_python_lib"}
    assert leaks, "without its dependencies, the second target is not whole"


def test_locking_again_gives_the_same_lock_and_bytes(real: tuple[Lock, Cache, Path]) -> None:
    found, cache, folder = real
    again, second = made(folder, REAL, "second")
    assert again.render() == found.render()
    for item in again.items:
        assert second.read(item.sha256) == cache.read(item.sha256)


def test_the_sbom_is_valid_by_the_official_schema(real: tuple[Lock, Cache, Path]) -> None:
    found, cache, _ = real
    (wheel,) = [item for item in found.items if item.source.get("package") == "cyclonedx-python-lib"]
    with zipfile.ZipFile(cache.path(wheel.sha256)) as archive:
        schemas = {
            name.rpartition("/")[2]: json.loads(archive.read(name))
            for name in archive.namelist()
            if name.endswith((".schema.json", ".SNAPSHOT.json"))
        }
    (name,) = [name for name in schemas if name.startswith("bom-1.6")]
    known = Registry().with_resources(
        [(value["$id"], Resource.from_contents(value)) for value in schemas.values() if "$id" in value]
    )
    errors = list(
        Draft7Validator(schemas[name], registry=known).iter_errors(json.loads(sbom.document(found, cache)))
    )
    assert errors == []


# --- an OCI registry --------------------------------------------------------------------------------------


class OciRegistry:
    """A registry on this machine, and a home that has it as the mirror of `example.org/team`."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        config = folder / "registry.yml"
        config.write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/registry}}}}\n"
            f"http: {{addr: '127.0.0.1:{self.port}'}}\nlog: {{level: error}}\n"
        )
        containers = self.home / ".config/containers"
        containers.mkdir(parents=True)
        (containers / "registries.conf").write_text(
            '[[registry]]\nprefix = "example.org/team"\ninsecure = true\n'
            f'location = "127.0.0.1:{self.port}/mirror"\n'
        )
        program = shutil.which("docker-registry")
        assert program, "install the Debian package docker-registry"
        self.process = subprocess.Popen(
            [program, "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def wait(self) -> None:
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2/", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise AssertionError("the registry does not answer")

    def push(self, layout: Path, tag: str, name: str) -> None:
        target = f"docker://127.0.0.1:{self.port}/mirror/{name}:{tag}"
        options = ["--all", "--preserve-digests", "--dest-tls-verify=false", "--quiet"]
        subprocess.run(
            ["skopeo", "copy", *options, f"oci:{layout}:{tag}", target], check=True, capture_output=True
        )


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OciRegistry]:
    running = OciRegistry(tmp_path)
    monkeypatch.setenv("HOME", str(running.home))
    try:
        running.wait()
        yield running
    finally:
        running.process.kill()
        running.process.wait()


def test_an_image_comes_from_the_sites_mirror_with_all_its_digests(
    registry: OciRegistry, tmp_path: Path
) -> None:
    layout = Layout(tmp_path / "build")
    amd64, arm64 = layout.image(b"one" * 999), layout.image(b"two" * 999, architecture="arm64")
    index = layout.index(
        {**amd64, "platform": {"architecture": "amd64", "os": "linux"}},
        {**arm64, "platform": {"architecture": "arm64", "os": "linux"}},
        tag="12",
    )
    registry.push(tmp_path / "build", "12", "base")
    text = f"images:\n  - image: example.org/team/base:12@{index['digest']}\n"
    found, cache = made(tmp_path, text)
    blobs = {path.name for path in (tmp_path / "build/blobs/sha256").iterdir()}
    assert {item.file for item in found.items if item.kind == "oci-blob"} == blobs
    assert all(cache.sound(item.sha256, item.size) for item in found.items)
    assert "127.0.0.1" not in found.render().decode()
    assert airtight.find(found, cache) == []
    assert skopeo_reads(found, cache, tmp_path / "out") == index["digest"]


def skopeo_reads(found: Lock, cache: Cache, folder: Path) -> str:
    """Lay the image out as it will be on a shelf, and let skopeo name its digest."""
    for item in found.items:
        target = folder / item.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(cache.path(item.sha256))
    raw = subprocess.run(
        ["skopeo", "inspect", "--raw", f"oci:{folder}/oci/base:12"], check=True, capture_output=True
    )
    return f"sha256:{hashlib.sha256(raw.stdout).hexdigest()}"


def test_an_image_that_the_registry_does_not_have_is_told(registry: OciRegistry, tmp_path: Path) -> None:
    with pytest.raises(UpstreamFailed, match="skopeo could not look at the image") as refused:
        made(tmp_path, f"images:\n  - image: example.org/team/none@sha256:{'0' * 64}\n")
    assert "configuration of registries" in refused.value.remedy
