"""Debian packages: each dependency is in the bundle or in the base; an index vouches for each."""

from __future__ import annotations

import re
from collections.abc import Iterator

from airgap_bundle.airtight.leak import Leak
from airgap_bundle.cache import Cache
from airgap_bundle.lock import Lock
from airgap_bundle.sources import debian, debs
from airgap_bundle.sources.item import Item

_TAKE = "Let the recipe take dependencies, or say in its base that hosts have it."


def find(lock: Lock, cache: Cache) -> Iterator[Leak]:
    """Leaks of the .debs, read from the .debs themselves. Raises NotVouched: one is damaged."""
    items = [item for item in lock.items if item.kind == debian.DEB_KIND]
    read = {item.path: debs.read_deb(cache.path(item.sha256)) for item in items}
    yield from _unvouched(lock, items, cache)
    for item in items:
        for file in read[item.path].conffiles:
            if file.startswith(("/etc/apt/sources.list", "/etc/apt/auth.conf")):
                yield Leak(
                    item.path,
                    0,
                    f"installs an APT source, {file}",
                    file,
                    "Leave it out, or allow it with a reason.",
                )
    for target in lock.debian:
        here = [item for item in items if item.source["architecture"] in (target.architecture, "all")]
        available = debs.Available(
            [
                *((p.name, p.version, p.provides) for p in (read[item.path].package for item in here)),
                *((one.name, one.version, one.provides) for one in target.base),
            ]
        )
        for item in here:
            if item.source["index_architecture"] == target.architecture:
                yield from _unmet(item.path, read[item.path].package, available)


def _unmet(path: str, package: debs.Package, available: debs.Available) -> Iterator[Leak]:
    for field in ("Pre-Depends", "Depends"):
        for alternatives in debs.relations(package.get(field)):
            if not available.meets(alternatives):
                wanted = " | ".join(map(str, alternatives))
                yield Leak(
                    path, 0, f"depends on {wanted}, which neither the bundle nor the base has", wanted, _TAKE
                )


def _unvouched(lock: Lock, items: list[Item], cache: Cache) -> Iterator[Leak]:
    named: set[str] = set()
    releases = b""
    for item in lock.items:
        if item.kind == debian.INDEX_KIND and item.file == "InRelease":
            releases += cache.read(item.sha256)
    for item in lock.items:
        if item.kind == debian.INDEX_KIND and item.file.startswith("Packages"):
            if item.sha256.encode() not in releases:
                yield Leak(
                    item.path,
                    0,
                    "is not named by the InRelease in the bundle",
                    item.sha256,
                    "Lock the recipe again.",
                )
            text = debs.unpacked(cache.read(item.sha256), item.path).decode("utf-8", "replace")
            named.update(re.findall(r"^SHA256: ([0-9a-f]{64})$", text, re.MULTILINE))
    for item in items:
        if item.sha256 not in named:
            yield Leak(
                item.path,
                0,
                "is named by no signed index in the bundle",
                item.sha256,
                "Lock the recipe again.",
            )
