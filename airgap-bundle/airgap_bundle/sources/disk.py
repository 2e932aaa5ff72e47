"""Disk images: qcow2 travels as raw.

    images/base.raw

A compressed qcow2 shares almost no bytes with the one before it, so a delta of it is as large as itself; of
the raw form, a quarter or less (measured). The raw form is the image's content and nothing else, so any
version of qemu-img makes the same bytes.
"""

from __future__ import annotations

import json
from pathlib import Path

from airgap_bundle.cache import Cache, Digest
from airgap_bundle.recipe_parts import Disk
from airgap_bundle.sources import local, tools
from airgap_bundle.sources.errors import NotAsLocked, NotVouched
from airgap_bundle.sources.item import Item

KIND = "disk-image"
_MAGIC = b"QFI\xfb"


def lock(disk: Disk, folder: Path, cache: Cache) -> Item:
    """The image in raw form, in the cache afterwards. Raises NotThere, NotAsLocked, NotVouched."""
    (found,) = local.find(folder, disk.path)[:1]
    original = local.digest(found)
    if disk.sha256 not in (None, original.sha256):
        raise NotAsLocked(
            what=found.shown, why=f"its SHA-256 is {original.sha256} where the recipe has {disk.sha256}"
        )
    made = _bring(found.path, found.shown, cache)
    source = {"file": found.shown, "kind": KIND, "original": original.sha256}
    return Item(f"images/{disk.name}", made.sha256, made.size, disk.type, source)


def fetch(item: Item, folder: Path, cache: Cache) -> None:
    """Bring the raw form into the cache. Raises NotThere; NotAsLocked: the image was changed since."""
    shown = item.source["file"]
    made = _bring(folder / shown, shown, cache)
    if (made.sha256, made.size) != (item.sha256, item.size):
        raise NotAsLocked(what=shown, why="it was changed since")


def _bring(path: Path, shown: str, cache: Cache) -> Digest:
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            return cache.copy(path, shown)
    _check(path, shown)
    with cache.work() as work:
        raw = work / "raw"
        tools.run(
            ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", path.absolute(), raw],
            f"convert {shown}",
            "Check that the image is whole: qemu-img check.",
        )
        return cache.take(raw)


def _check(path: Path, shown: str) -> None:
    """Refuse an image whose content is partly in another file: reading it would read whatever that names."""
    said = tools.run(
        ["qemu-img", "info", "-f", "qcow2", "--output", "json", path.absolute()],
        f"read {shown}",
        "Check that the image is whole: qemu-img check.",
    )
    value = json.loads(said)
    data_file = value.get("format-specific", {}).get("data", {}).get("data-file")
    if value.get("backing-filename") or data_file:
        raise NotVouched(
            what=shown,
            why="it stands on another file (backing file or data file)",
            remedy="Make it one file: qemu-img convert -O qcow2.",
        )
