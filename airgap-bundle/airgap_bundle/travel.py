"""How each content travels: held, as a delta, compressed, or as it is (SPEC section 5).

    held   what a receipt says is there does not travel at all
    delta  large contents, against the content of the same path (or the one most like it) in a kept release
    zstd   where it makes the blob smaller; never around what is compressed already
    raw    the rest

The same content, the same base and the same versions of the libraries give the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

from airgap_bundle import content as manifest
from airgap_bundle import delta
from airgap_bundle.content import Content, Entry
from airgap_bundle.errors import InputProblem

Find = Callable[[str], Path]
"""Gives the file that holds the content with this SHA-256; KeyError when it is not at hand."""

BLOCK = 2 * 1024 * 1024
SAMPLE = 1024 * 1024
"""Bytes at the beginning, the middle and the end that say whether compression is worth its time."""
GAIN = 0.93
"""A form is taken when its size is below this part of the plain one."""
DELTA_LEAST = 1024 * 1024
LEVEL_SMALL, LEVEL_LARGE, LARGE = 9, 3, 64 * 1024 * 1024
WINDOW_LOG = 22
"""4 MiB: a receiver's memory does not grow with what it unpacks."""

COMPRESSED = re.compile(
    r"\.(deb|whl|gz|xz|zst|bz2|lz4|zip|jpg|jpeg|png|gpg|tgz|txz|qcow2)$|^oci/.*/blobs/", re.IGNORECASE
)
"""Paths of contents that are compressed inside: no try is made on them."""


class ContentChanged(InputProblem):
    """A file is not what the lock names."""

    exit_code = 15
    message = "{path} is not what the lock names: its SHA-256 is {found}, not {wanted}"
    hint = "Run `airgap-bundle collect` again; it fetches what was damaged."


class NotCollected(InputProblem):
    """A content that the lock names is not at hand."""

    exit_code = 15
    message = "{path} is not in the cache"
    hint = "Run `airgap-bundle collect` first."


@dataclass(frozen=True)
class Wanted:
    """An entry to be: the lock says what, not how it travels."""

    path: str
    sha256: str
    size: int
    type: str


@dataclass(frozen=True)
class Held:
    """What the receipt says is in the zone, and where this side keeps its own copies."""

    contents: Sequence[Content]
    """The manifests of the kept releases, oldest first."""
    find: Find

    def digests(self) -> set[str]:
        """All contents that need not travel."""
        return {entry.sha256 for one in self.contents for entry in one.entries}

    def likeness(self) -> Callable[[Wanted], str | None]:
        """Gives the content that a wanted one is most probably a newer version of, or None."""
        by_path: dict[str, str] = {}
        by_stem: dict[str, str] = {}
        for one in self.contents:
            for entry in one.entries:
                if entry.size >= DELTA_LEAST:
                    by_path[entry.path] = entry.sha256
                    by_stem[stem(entry.path)] = entry.sha256
        return lambda wanted: by_path.get(wanted.path) or by_stem.get(stem(wanted.path))


def travel(
    wanted: Iterable[Wanted],
    find: Find,
    blobs: Path,
    held: Held | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Content:
    """Put a blob into the folder `blobs` for each distinct content that travels; give the manifest.

    Every content is hashed on its way: a blob is of what the lock names. `progress` gets bytes done, and all.

    Raises NotCollected, ContentChanged, Malformed (paths that may not stand in a bundle), OSError.
    """
    listed = list(wanted)
    there = held.digests() if held else set()
    like = held.likeness() if held else None
    total, done = sum(one.size for one in listed), 0
    made: dict[str, Entry] = {}
    for one in listed:
        if one.sha256 not in made:
            if one.sha256 in there:
                made[one.sha256] = Entry(one.path, one.sha256, one.size, one.type, manifest.HELD)
            else:
                base = like(one) if like and held else None
                made[one.sha256] = _make(one, find, blobs, (base, held.find) if base and held else None)
        done += one.size
        progress(done, total)
    return manifest.content(made[one.sha256]._replace(path=one.path, type=one.type) for one in listed)


def stem(path: str) -> str:
    """A path without its digits: what two versions of one file have in common.

    >>> stem("images/debian-12.7.raw") == stem("images/debian-12.8.raw")
    True
    """
    return re.sub(r"[0-9]+", "0", path)


def _make(one: Wanted, find: Find, blobs: Path, base: tuple[str, Find] | None) -> Entry:
    """One blob by the smallest of the ways, and its entry."""
    try:
        source = find(one.sha256)
    except KeyError:
        raise NotCollected(path=one.path) from None
    plain = manifest.raw(one.path, one.sha256, one.size, one.type)
    compressible = not COMPRESSED.search(one.path)
    best = plain
    if base and compressible and one.size >= DELTA_LEAST:
        _check(one, source)
        best = _delta(one, source, blobs, base) or best
    # A delta of nearly everything is no better than the whole, and ties the receiver to a base.
    if best is plain or best.blob_size > one.size * 0.3:
        packed = _compressed(one, source, blobs) if compressible and _worth(source, one.size) else None
        if packed and packed.blob_size < best.blob_size * GAIN:
            _drop(blobs, best, plain)
            best = packed
        elif packed:
            _drop(blobs, packed, plain)
    if best is plain:
        _check(one, source)
        place(source, blobs / one.sha256)
    return best


def place(source: Path, target: Path) -> None:
    """The same bytes under another name: a hard link where it can be, else a copy."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:
        with source.open("rb") as old, target.open("xb") as new:
            while part := old.read(BLOCK):
                new.write(part)


def _drop(blobs: Path, entry: Entry, plain: Entry) -> None:
    if entry is not plain:
        (blobs / entry.blob).unlink(missing_ok=True)


def _check(one: Wanted, source: Path) -> None:
    found, size = hashlib.sha256(), 0
    with source.open("rb", buffering=0) as file:
        while part := file.read(BLOCK):
            found.update(part)
            size += len(part)
    _compare(one, found.hexdigest(), size)


def _compare(one: Wanted, found: str, size: int) -> None:
    if (found, size) != (one.sha256, one.size):
        raise ContentChanged(path=one.path, found=found[:16], wanted=one.sha256[:16])


def _worth(source: Path, size: int) -> bool:
    """Whether three samples shrink; a quick level answers for a thorough one."""
    if size < 512:
        return False
    packer = zstandard.ZstdCompressor(level=1)
    with source.open("rb") as file:
        for at in {0, max(0, size // 2 - SAMPLE // 2), max(0, size - SAMPLE)}:
            file.seek(at)
            part = file.read(SAMPLE)
            if len(packer.compress(part)) < len(part) * GAIN:
                return True
    return False


def _compressed(one: Wanted, source: Path, blobs: Path) -> Entry | None:
    """One zstd frame with the content's size in its header; None when it is no gain."""
    level = LEVEL_LARGE if one.size > LARGE else LEVEL_SMALL
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=one.size, window_log=WINDOW_LOG, write_content_size=True, write_checksum=False,
        # Several threads: the bytes depend on the size of a job, not on how many threads there are.
        threads=os.cpu_count() or 1 if one.size > LARGE else 0,
    )  # fmt: skip
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=one.size)
    partial = blobs / f"{one.sha256}.partial"
    was, became, size, length = hashlib.sha256(), hashlib.sha256(), 0, 0
    with source.open("rb", buffering=0) as file, partial.open("wb") as out:
        while part := file.read(BLOCK):
            was.update(part)
            size += len(part)
            _fits(one, size)
            packed = packer.compress(part)
            became.update(packed)
            length += out.write(packed)
        _compare(one, was.hexdigest(), size)
        packed = packer.flush()
        became.update(packed)
        length += out.write(packed)
    if length >= one.size * GAIN:
        partial.unlink()
        return None
    blob = became.hexdigest()
    partial.rename(blobs / blob)
    return Entry(one.path, one.sha256, one.size, one.type, manifest.ZSTD, blob, length)


def _fits(one: Wanted, size: int) -> None:
    if size > one.size:  # the frame's header already says how long it is
        _compare(one, "longer than it should be", size)


def _delta(one: Wanted, source: Path, blobs: Path, base: tuple[str, Find]) -> Entry | None:
    digest, find = base
    try:
        old = find(digest)
    except KeyError:
        return None  # this side no longer has it; the next best way then
    partial = blobs / f"{one.sha256}.partial"
    delta.make(source, [delta.Base(digest, old)], partial)
    blob, length = hash_file(partial)
    if length >= one.size * GAIN:
        partial.unlink()
        return None
    partial.rename(blobs / blob)
    return Entry(one.path, one.sha256, one.size, one.type, manifest.DELTA, blob, length, (digest,))


def hash_file(path: Path) -> tuple[str, int]:
    """SHA-256 and length of a file."""
    found, size = hashlib.sha256(), 0
    with path.open("rb", buffering=0) as file:
        while part := file.read(BLOCK):
            found.update(part)
            size += len(part)
    return found.hexdigest(), size
