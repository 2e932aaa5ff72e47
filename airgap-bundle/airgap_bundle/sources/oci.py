"""OCI images: locked down to each layer, fetched by skopeo, laid out as an OCI image layout.

    oci/debian-base/oci-layout
    oci/debian-base/index.json                   ours: every image of this folder, by tag
    oci/debian-base/blobs/sha256/5fa3...         manifests, configurations, layers, byte for byte

An image is named with its digest, so its manifest is known before anything comes; the manifest names all
else. It is copied for all architectures, never converted: digests stay what the publisher signed. Sources:
OCI image layout and manifest specifications 1.1, Docker image manifest version 2 schema 2.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from airgap_bundle.cache import Cache, digest_of
from airgap_bundle.recipe_parts import Image
from airgap_bundle.sources import tools
from airgap_bundle.sources.errors import NotAsLocked, NotVouched, not_there
from airgap_bundle.sources.item import BINARY, JSON, Item

BLOB_KIND, LAYOUT_KIND = "oci-blob", "oci-layout"
LARGEST_MANIFEST = 4 * 1024 * 1024
DEEPEST = 4
"""Indexes within indexes."""

INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"

_COPY = ("--all", "--preserve-digests", "--quiet", "--retry-times", "3")
_ADVICE = "Check the name and the digest in the recipe, and the machine's configuration of registries."


@dataclass(frozen=True)
class Locked:
    """One image that the content holds."""

    folder: str
    """Below `oci/`."""
    name: str
    tag: str | None
    digest: str
    """SHA-256 of its manifest or index, hexadecimal."""
    size: int
    type: str

    @property
    def reference(self) -> str:
        """`name[:tag]@sha256:digest`."""
        return f"{self.name}{':' + self.tag if self.tag else ''}@sha256:{self.digest}"


def lock(images: Sequence[Image], folder: Path, cache: Cache) -> tuple[list[Item], list[Locked]]:
    """Every blob of every image. Manifests are in the cache afterwards.

    Raises NotThere, NotAsLocked, NotVouched, UpstreamFailed, ToolMissing.
    """
    items: dict[str, Item] = {}
    locked = []
    for image in images:
        found, blobs = _lock_one(image, folder, cache)
        locked.append(found)
        for item in blobs:
            items.setdefault(item.path, item)
    for item in layout_items(locked):
        items[item.path] = item
    return sorted(items.values(), key=lambda item: item.path), locked


def layout_items(images: Iterable[Locked]) -> Iterator[Item]:
    """The two files that make each folder an image layout."""
    for folder, group in _by_folder(images).items():
        for name, data, kind in (
            ("oci-layout", LAYOUT, JSON),
            ("index.json", index_json(group), "application/vnd.oci.image.index.v1+json"),
        ):
            sha256 = hashlib.sha256(data).hexdigest()
            yield Item(
                f"oci/{folder}/{name}", sha256, len(data), kind, {"folder": folder, "kind": LAYOUT_KIND}
            )


def generate(images: Iterable[Locked], cache: Cache) -> None:
    """Write what `layout_items` names into the cache."""
    cache.add(LAYOUT)
    for group in _by_folder(images).values():
        cache.add(index_json(group))


def index_json(images: Iterable[Locked]) -> bytes:
    """The index.json of one folder, always the same for the same images."""
    manifests = [
        {
            "annotations": {
                FULL_NAME: f"{one.name}:{one.tag}" if one.tag else f"{one.name}@sha256:{one.digest}",
                **({REF_NAME: one.tag} if one.tag else {}),
            },
            "digest": f"sha256:{one.digest}",
            "mediaType": one.type,
            "size": one.size,
        }
        for one in sorted(images, key=lambda one: (one.name, one.tag or "", one.digest))
    ]
    value = {"manifests": manifests, "mediaType": INDEXES[0], "schemaVersion": 2}
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def fetch(items: Sequence[Item], folder: Path, cache: Cache) -> None:
    """Bring these blobs into the cache. Raises UpstreamFailed, NotAsLocked, NotThere."""
    by_image: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        by_image.setdefault((item.source["image"], item.source.get("layout", "")), []).append(item)
    for (image, layout), group in by_image.items():
        if layout:
            for item in group:
                blob = folder / layout / "blobs/sha256" / item.sha256
                cache.copy(blob, f"{layout}/blobs/sha256/{item.sha256}", item.digest)
        else:
            _fetch_from_registry(image, group, cache)


def _fetch_from_registry(image: str, group: Sequence[Item], cache: Cache) -> None:
    with cache.work() as work:
        # A plain folder and not a layout: a layout takes no Docker manifests, and skopeo would convert them.
        target = work / "image"
        tools.run(
            ["skopeo", "copy", *_COPY, f"docker://{untagged(image)}", f"dir:{target}"],
            f"fetch the image {image}",
            _ADVICE,
        )
        wanted = {item.sha256: item for item in group}
        for file in sorted(target.iterdir()):
            sha256 = digest_of(file).sha256
            if item := wanted.pop(sha256, None):
                cache.admit(file, item.sha256, item.size, item.path)
        if wanted:
            missing = next(iter(wanted.values()))
            raise NotAsLocked(what=f"the image {image}", why=f"it has no blob {missing.sha256[:16]}")


def untagged(image: str) -> str:
    """Without the tag, which skopeo refuses beside a digest: the digest says it all."""
    name, _, digest = image.partition("@")
    return f"{re.sub(r':[^/:]*$', '', name)}@{digest}"


# --- what an image is -------------------------------------------------------------------------------------


def _lock_one(image: Image, folder: Path, cache: Cache) -> tuple[Locked, list[Item]]:
    read = _Layout(folder / image.layout, image.layout) if image.layout else _Registry(image)
    digest = image.digest or read.digest(image)
    locked, items = None, []
    for sha256, size, kind, data in _walk(read, digest, 0):
        if data is not None:
            cache.add(data)
        if locked is None:
            locked = Locked(image.place, image.name, image.tag, sha256, size, kind)
        source = {
            "image": locked.reference,
            "kind": BLOB_KIND,
            **({"layout": image.layout} if image.layout else {}),
        }
        items.append(Item(f"oci/{image.place}/blobs/sha256/{sha256}", sha256, size, kind, source))
    assert locked is not None
    return locked, items


def _walk(read: _Layout | _Registry, digest: str, depth: int) -> Iterator[tuple[str, int, str, bytes | None]]:
    """A manifest or index, then all that it names: digest, size, media type, and the bytes of manifests."""
    data = read.manifest(digest)
    if hashlib.sha256(data).hexdigest() != digest:
        raise NotAsLocked(what=f"the image {read.shown}", why=f"its manifest is not sha256:{digest[:16]}...")
    value = parse_manifest(data, read.shown)
    kind = value["mediaType"]
    yield digest, len(data), kind, data
    if kind in INDEXES:
        if depth >= DEEPEST:
            refuse(read.shown, "its indexes are nested too deep")
        for one in value["manifests"]:
            yield from _walk(read, descriptor(one, read.shown)[0], depth + 1)
        return
    for one in [value["config"], *value["layers"]]:
        sha256, size, media = descriptor(one, read.shown)
        if one.get("urls"):
            refuse(read.shown, f"its layer {sha256[:16]} is to be fetched from elsewhere")
        yield sha256, size, media, None


def parse_manifest(data: bytes, what: str) -> dict[str, Any]:
    """A manifest or index with a known media type. Raises NotVouched."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        refuse(what, "its manifest is not JSON")
    if not isinstance(value, dict):
        refuse(what, "its manifest is no object")
    kind = value.get("mediaType") or (MANIFESTS[0] if "layers" in value else INDEXES[0])
    known = "manifests" if kind in INDEXES else "layers" if kind in MANIFESTS else None
    if known is None:
        refuse(what, f"its manifest has the type {kind!r}, which is not an image")
    if not isinstance(value.get(known), list) or (
        known == "layers" and not isinstance(value.get("config"), dict)
    ):
        refuse(what, "its manifest lacks what a manifest has")
    return {**value, "mediaType": kind}


def descriptor(one: Any, what: str) -> tuple[str, int, str]:
    """Digest, size and media type of what a manifest names. Raises NotVouched."""
    found = re.fullmatch(r"sha256:([0-9a-f]{64})", str(one.get("digest"))) if isinstance(one, dict) else None
    if found is None or not isinstance(one.get("size"), int) or one["size"] < 0:
        refuse(what, "its manifest names something without a SHA-256 or size")
    media = str(one.get("mediaType", ""))
    return found[1], one["size"], media if re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", media) else BINARY


def refuse(what: str, why: str) -> NoReturn:
    """Raise NotVouched about an image."""
    raise NotVouched(what=f"the image {what}", why=why, remedy="Ask its publisher for an ordinary OCI image.")


class _Registry:
    """Manifests as a registry gives them, through skopeo."""

    def __init__(self, image: Image) -> None:
        self.shown = image.image
        self._name = image.name

    def digest(self, image: Image) -> str:
        raise AssertionError("a recipe's image from a registry has a digest")

    def manifest(self, digest: str) -> bytes:
        name = f"{self._name}@sha256:{digest}"
        data = tools.run(
            ["skopeo", "inspect", "--raw", f"docker://{name}"], f"look at the image {name}", _ADVICE
        )
        return data if hashlib.sha256(data).hexdigest() == digest else data.removesuffix(b"\n")


class _Layout:
    """Manifests of a local OCI layout folder."""

    def __init__(self, folder: Path, shown: str) -> None:
        self.shown, self._folder = shown, folder

    def digest(self, image: Image) -> str:
        """The one image of the layout, or the one with the tag."""
        found = [
            one
            for one in json.loads(self._read("index.json"))["manifests"]
            if image.tag is None
            or one.get("annotations", {}).get(REF_NAME) in (image.tag, f"{image.name}:{image.tag}")
        ]
        if len(found) != 1:
            not_there(
                image.layout,
                f"{len(found)} of its images fit {image.image}",
                "Name the tag that its index.json gives, or the digest.",
            )
        return descriptor(found[0], self.shown)[0]

    def manifest(self, digest: str) -> bytes:
        return self._read(f"blobs/sha256/{digest}")

    def _read(self, name: str) -> bytes:
        try:
            with (self._folder / name).open("rb") as file:
                return file.read(LARGEST_MANIFEST)
        except OSError as error:
            not_there(
                f"{self.shown}/{name}",
                f"cannot be read ({error.strerror})",
                "Name the folder of an OCI image layout.",
            )


def _by_folder(images: Iterable[Locked]) -> dict[str, list[Locked]]:
    folders: dict[str, list[Locked]] = {}
    for image in images:
        folders.setdefault(image.folder, []).append(image)
    return dict(sorted(folders.items()))
