"""What Debian packages are inside an OCI image: its layers' dpkg database, read without unpacking anything.

Both forms: `var/lib/dpkg/status` (the uppermost layer that has one counts), and one file a package in
`var/lib/dpkg/status.d/`, as images without a package manager have. Source: OCI image layer specification.
"""

from __future__ import annotations

import gzip
import json
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import zstandard

from airgap_bundle.cache import Cache
from airgap_bundle.sources import debs
from airgap_bundle.sources.oci import INDEXES, Locked, descriptor, parse_manifest

LARGEST_STATUS = 64 * 1024 * 1024
STATUS, STATUS_D = "var/lib/dpkg/status", "var/lib/dpkg/status.d/"


def packages(image: Locked, cache: Cache) -> dict[str, list[debs.Package]]:
    """The Debian packages in an image, by the SHA-256 of the manifest of each architecture.

    A layer that is no tar archive holds none. Raises NotVouched: a manifest is malformed; NotAsLocked.
    """
    return {digest: _of_manifest(value, image.reference, cache) for digest, value in manifests(image, cache)}


def manifests(image: Locked, cache: Cache) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each manifest of an image with its digest; those of indexes are followed."""
    waiting, seen = [image.digest], set()
    while waiting:
        digest = waiting.pop(0)
        if digest in seen:
            continue
        seen.add(digest)
        value = parse_manifest(cache.read(digest), image.reference)
        if value["mediaType"] in INDEXES:
            waiting += [descriptor(one, image.reference)[0] for one in value["manifests"]]
        else:
            yield digest, value


def platform(value: dict[str, Any], cache: Cache) -> str:
    """The architecture that a manifest's configuration names; empty when it names none."""
    try:
        config = json.loads(cache.read(descriptor(value["config"], "")[0]))
        return str(config.get("architecture", ""))
    except (ValueError, AttributeError):
        return ""


def _of_manifest(value: dict[str, Any], what: str, cache: Cache) -> list[debs.Package]:
    status, separate = "", []
    for layer in value["layers"]:
        for name, text in _status_files(cache.path(descriptor(layer, what)[0])):
            if name == STATUS:
                status = text
            else:
                separate.append(text)
    found = [p for p in debs.packages(status) if p.get("Status").endswith(" installed")]
    found += [p for text in separate for p in debs.packages(text)]
    return sorted(found, key=lambda p: (p.name, p.version, p.architecture))


def _status_files(layer: Path) -> Iterator[tuple[str, str]]:
    try:
        with _unpacked(layer) as file, tarfile.open(fileobj=file, mode="r|") as archive:
            for member in archive:
                name = member.name.removeprefix("./")
                if not member.isfile() or member.size > LARGEST_STATUS:
                    continue
                if name == STATUS or (name.startswith(STATUS_D) and not name.endswith(".md5sums")):
                    content = archive.extractfile(member)
                    assert content is not None
                    yield name, content.read().decode("utf-8", "replace")
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError):
        return  # no tar archive, such as the layers of charts and of signatures


@contextmanager
def _unpacked(layer: Path) -> Iterator[Any]:
    with layer.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked
        elif magic == b"\x28\xb5\x2f\xfd":
            with zstandard.ZstdDecompressor().stream_reader(file) as stream:
                yield stream
        else:
            yield file
