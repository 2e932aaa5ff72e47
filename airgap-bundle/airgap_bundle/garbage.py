"""Collect what no kept release names, and what crashes left behind.

    found = collect(store, dry_run=True)     what would go, with sizes; nothing is changed
    found = collect(store)                   it goes

Kept is: every content of every kept release, what an unfinished ingest needs, its quarantine. An ingest at
work holds the store's lock, so the two never meet. Nothing names what is removed, so a crash in the midst
leaves only less garbage. When a kept release cannot be read, nothing is collected at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from airgap_bundle.canonical import Malformed
from airgap_bundle.content import Content
from airgap_bundle.content import parse as parse_content
from airgap_bundle.durable import TEMPORARY_SUFFIX, sync_folder
from airgap_bundle.incoming import CONTENT, RELEASE
from airgap_bundle.release import Release
from airgap_bundle.sizes import words
from airgap_bundle.store import Store, remove


@dataclass(frozen=True)
class Collected:
    """What goes, or went."""

    objects: tuple[tuple[str, int], ...]
    """SHA-256 and size in bytes of contents that nothing names."""
    leftovers: tuple[tuple[Path, int], ...]
    """Files and folders that nobody reads, and their sizes in bytes."""
    kept: int
    """Contents that stay."""
    kept_size: int
    """Their bytes."""
    dry_run: bool

    @property
    def size(self) -> int:
        """Bytes that are freed."""
        return sum(size for _, size in self.objects) + sum(size for _, size in self.leftovers)

    @property
    def sentence(self) -> str:
        """One sentence for a person."""
        verb = "would be" if self.dry_run else "were"
        return (
            f"{len(self.objects)} contents and {len(self.leftovers)} leftovers {verb} removed "
            f"({words(self.size)}); {self.kept} contents stay ({words(self.kept_size)})."
        )


def collect(
    store: Store, *, dry_run: bool = False, progress: Callable[[int, int], None] | None = None
) -> Collected:
    """Remove every content that neither a kept release nor an unfinished ingest names, and all leftovers.

    `progress` is told contents removed and to remove.

    Raises StoreBusy; ReleaseDamaged: a kept release cannot be read, and nothing was removed; OSError.
    """
    with store.locked():
        named = _named(store)
        objects, kept, kept_size = [], 0, 0
        for sha256, size in store.objects():
            if sha256 in named:
                kept, kept_size = kept + 1, kept_size + size
            else:
                objects.append((sha256, size))
        leftovers = [(path, _size(path)) for path in _leftovers(store)]
        found = Collected(tuple(objects), tuple(leftovers), kept, kept_size, dry_run)
        if not dry_run:
            _remove(store, found, progress)
    return found


def _named(store: Store) -> set[str]:
    """Every content that must stay. Raises ReleaseDamaged."""
    named: set[str] = set()
    for kept in store.kept():
        named.update(entry.sha256 for entry in kept.content.entries)
    for release in store.unfinished():
        content = _needed_by(store, release)
        if content is not None:
            for entry in content.entries:
                named.add(entry.sha256)
                named.update(entry.bases)
    return named


def _needed_by(store: Store, release: str) -> Content | None:
    """What an unfinished ingest needs; None when it is a leftover, which nobody will finish."""
    folder = store.folder / "incoming" / release
    try:
        data = (folder / RELEASE).read_bytes()
        content = (folder / CONTENT).read_bytes()
    except FileNotFoundError:
        return None  # it was being begun or removed
    try:
        about = Release.parse(data)
        if hashlib.sha256(data).hexdigest() != release:
            return None
        needed = parse_content(content)
        about.check_content(needed)
    except Malformed:
        return None
    if any(kept.sequence >= about.sequence for kept in store.kept(about.bundle)):
        return None  # it is in the store, or a newer one is: order refuses it for good
    return needed


def _leftovers(store: Store) -> Iterator[Path]:
    for folder in sorted((store.folder / "incoming").iterdir()):
        if _needed_by(store, folder.name) is None:
            yield folder
    yield from sorted((store.folder / "releases").glob(f"*/*{TEMPORARY_SUFFIX}"))
    yield from sorted(store.folder.glob(f".*{TEMPORARY_SUFFIX}"))


def _size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if path.is_dir() and not path.is_symlink():
        return sum(one.lstat().st_size for one in path.rglob("*") if one.is_file())
    return path.lstat().st_size


def _remove(store: Store, found: Collected, progress: Callable[[int, int], None] | None) -> None:
    for path, _ in found.leftovers:
        if path.parent.name == "incoming":  # first what says what it is, as when an ingest ends
            remove(path / RELEASE)
        remove(path)
    for number, (sha256, _) in enumerate(found.objects, 1):
        store.path(sha256).unlink(missing_ok=True)  # crash here: the rest is collected the next time
        if progress is not None and (number % 256 == 0 or number == len(found.objects)):
            progress(number, len(found.objects))
    store.sync_objects(sorted({sha256[:2] for sha256, _ in found.objects}))
    sync_folder(store.folder / "incoming")
