"""OCI images: every blob that a manifest names is in the bundle, none is to be fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from airgap_bundle.airtight.leak import Leak
from airgap_bundle.cache import Cache
from airgap_bundle.lock import Lock
from airgap_bundle.sources.oci import INDEXES, Locked, descriptor, parse_manifest

_AGAIN = "Lock the recipe again; the image must come whole, for all architectures."


def find(lock: Lock, cache: Cache) -> Iterator[Leak]:
    """Leaks of the images. Raises NotVouched: a manifest is malformed."""
    paths = {item.path for item in lock.items}
    for image in lock.images:
        yield from _of_image(image, paths, cache)


def _of_image(image: Locked, paths: set[str], cache: Cache) -> Iterator[Leak]:
    folder = f"oci/{image.folder}/blobs/sha256"
    waiting, seen = [image.digest], set()
    while waiting:
        digest = waiting.pop(0)
        if digest in seen:
            continue
        seen.add(digest)
        if f"{folder}/{digest}" not in paths:
            yield _absent(image, digest)
            continue
        value = parse_manifest(cache.read(digest), image.reference)
        if value["mediaType"] in INDEXES:
            waiting += [descriptor(one, image.reference)[0] for one in value["manifests"]]
            continue
        for one in [value["config"], *value["layers"]]:
            blob = descriptor(one, image.reference)[0]
            if one.get("urls"):
                what = f"has a layer {blob[:16]} that is to be fetched from elsewhere"
                yield Leak(f"{folder}/{digest}", 0, what, str(one["urls"][0]), "Build the image without it.")
            if f"{folder}/{blob}" not in paths:
                yield _absent(image, blob)


def _absent(image: Locked, digest: str) -> Leak:
    what = f"lacks the blob {digest[:16]} of {image.name}"
    return Leak(f"oci/{image.folder}", 0, what, f"sha256:{digest}", _AGAIN)
