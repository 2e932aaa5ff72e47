"""Bring every file that a lock names into the cache, however often that is interrupted.

Each kind of source is fetched by its own tool, a few files at a time, so that an interruption costs little;
what is in the cache already, and still has its digest, is not fetched again. Nothing enters the cache under a
name that its bytes do not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from airgap_bundle.cache import Cache
from airgap_bundle.lock import Lock
from airgap_bundle.sources import debian, disk, local, oci, pypi
from airgap_bundle.sources.item import Item

WORKERS = 4
"""Programs that fetch at the same time: enough to be busy, few enough for a mirror to bear."""

Progress = Callable[[int, int], None]
"""Gets the bytes that are done and the bytes in all."""


def collect(
    lock: Lock,
    cache: Cache,
    folder: Path,
    *,
    workers: int = WORKERS,
    progress: Progress = lambda done, total: None,
) -> None:
    """Fetch what `lock` names and `cache` lacks; local files are relative to `folder`, the recipe's.

    Every item's bytes are hashed, those that were there too. It can be interrupted at any moment and started
    again.

    Raises NotAsLocked, NotThere, NotVouched, UpstreamFailed, ToolMissing; what was fetched until then stays.
    """
    total = sum({item.sha256: item.size for item in lock.items}.values())
    oci.generate(lock.images, cache)
    with ThreadPoolExecutor(workers) as pool:
        sound = list(pool.map(lambda item: cache.sound(item.sha256, item.size), lock.items))
        missing: dict[str, Item] = {}
        for item, there in zip(lock.items, sound, strict=True):
            if not there:
                missing.setdefault(item.sha256, item)
        done = total - sum(item.size for item in missing.values())
        progress(done, total)
        running: dict[Future[None], int] = {}
        for fetch, batch in _batches(missing.values(), folder, cache):
            running[pool.submit(fetch, batch)] = sum(item.size for item in batch)
        waiting = set(running)
        try:
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                    done += running[future]
                    progress(done, total)
        finally:
            for future in waiting:
                future.cancel()


Fetch = Callable[[Sequence[Item]], None]


def _batches(items: Iterable[Item], folder: Path, cache: Cache) -> Iterator[tuple[Fetch, list[Item]]]:
    """What is fetched by one run of a tool."""
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        of = item.source
        which = of.get("index_architecture") or of.get("target") or of.get("image") or item.path
        groups.setdefault((item.kind, which), []).append(item)
    for (kind, _), group in sorted(groups.items(), key=lambda pair: pair[0]):
        fetch, at_once = _how(kind, folder, cache)
        for start in range(0, len(group), at_once):
            yield fetch, group[start : start + at_once]


def _how(kind: str, folder: Path, cache: Cache) -> tuple[Fetch, int]:
    """How items of a kind are fetched, and how many at once."""
    if kind in (debian.DEB_KIND, debian.INDEX_KIND):
        return lambda items: debian.fetch(items, cache), debian.AT_ONCE
    if kind == pypi.KIND:
        return lambda items: pypi.fetch(items, cache), pypi.AT_ONCE
    if kind == oci.BLOB_KIND:
        return lambda items: oci.fetch(items, folder, cache), 1_000_000
    if kind == disk.KIND:
        return lambda items: disk.fetch(items[0], folder, cache), 1
    return lambda items: local.fetch(items[0], folder, cache), 1
