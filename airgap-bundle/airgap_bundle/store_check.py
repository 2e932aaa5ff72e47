"""Is what a store holds still what was verified? Every content is hashed again, on all cores.

What is damaged or missing is only named: `ingest --repair` replaces it from the medium.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from airgap_bundle.store import Store

BLOCK = 2 * 1024 * 1024


@dataclass(frozen=True)
class Checked:
    """What a check found."""

    contents: int
    size: int
    """Bytes hashed."""
    damaged: tuple[str, ...]
    """SHA-256 of contents whose bytes have changed, or cannot be read."""
    missing: tuple[str, ...]
    """SHA-256 of contents that a kept release names and that are not there."""

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damaged and not self.missing


def check(store: Store, progress: Callable[[int, int], None] = lambda done, total: None) -> Checked:
    """Hash all contents of `store`; nobody may ingest or collect meanwhile.

    Raises StoreBusy, ReleaseDamaged.
    """
    with store.locked(), ThreadPoolExecutor(os.cpu_count()) as pool:  # hashlib lets go of the interpreter
        there = list(store.objects())
        total, done, damaged = sum(size for _, size in there), 0, []
        checks = pool.map(lambda one: _well(store.path(one[0]), one[0]), there)
        for (sha256, size), well in zip(there, checks, strict=True):
            if not well:
                damaged.append(sha256)
            done += size
            progress(done, total)
        have = {sha256 for sha256, _ in there}
        named = {entry.sha256 for kept in store.kept() for entry in kept.content.entries}
        return Checked(len(there), total, tuple(damaged), tuple(sorted(named - have)))


def _well(path: Path, sha256: str) -> bool:
    found = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while part := file.read(BLOCK):
                found.update(part)
    except OSError:
        return False
    return found.hexdigest() == sha256
