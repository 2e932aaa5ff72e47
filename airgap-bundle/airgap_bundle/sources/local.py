"""The release engineer's own files: plain files, folders, Ansible content, documents, vulnerability data.

A path in a recipe is relative to the recipe's folder; a glob's matches come in order of their names. What a
path names itself may be a symbolic link; what a glob or a folder brings may not, because nobody wrote its
name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from airgap_bundle.cache import Cache, Digest, digest_of
from airgap_bundle.recipe_parts import File
from airgap_bundle.sources.errors import NotAsLocked, not_there
from airgap_bundle.sources.item import Item, media_type

KIND = "file"
_SKIPPED = {".git", "__pycache__"}
"""Folders that tools leave behind in others."""


@dataclass(frozen=True)
class Found:
    """A file that a recipe names."""

    path: Path
    shown: str
    """As the recipe would name it: relative to its folder, with '/'."""
    below: str
    """Relative to the glob's fixed part or to the named folder; a file's own name if it was named itself."""


def find(folder: Path, pattern: str) -> list[Found]:
    """The files that a path, a folder or a glob names. Raises NotThere: none, or a thing that is no file."""
    fixed, rest = _split(pattern)
    start = folder / fixed if fixed else folder
    if not rest:
        if start.is_dir():
            return list(_below(start, sorted(start.rglob("*")), fixed, pattern))
        if not start.is_file():
            not_there(
                pattern, "there is no such file", "Check the path; it is relative to the recipe's folder."
            )
        return [Found(start, fixed, start.name)]
    return list(_below(start, sorted(start.glob(rest)), fixed, pattern))


def _below(start: Path, paths: Sequence[Path], fixed: str, pattern: str) -> Iterator[Found]:
    count = 0
    for path in paths:
        below = path.relative_to(start).as_posix()
        if not _SKIPPED.isdisjoint(below.split("/")):
            continue
        if path.is_symlink():
            not_there(
                pattern,
                f"{below} is a symbolic link",
                "Name the file that it points to, or remove the link: only regular files travel.",
            )
        if path.is_file():
            count += 1
            yield Found(path, f"{fixed}/{below}" if fixed else below, below)
        elif not path.is_dir():
            not_there(pattern, f"{below} is neither a file nor a folder", "Only regular files travel.")
    if not count:
        not_there(
            pattern, "there are no such files", "Check the path; it is relative to the recipe's folder."
        )


def _split(pattern: str) -> tuple[str, str]:
    """The folders before the first wildcard, and the rest; nothing is left when there is none."""
    segments = pattern.split("/")
    for number, segment in enumerate(segments):
        if re.search(r"[*?\[]", segment):
            return "/".join(segments[:number]), "/".join(segments[number:])
    return pattern.rstrip("/"), ""


def lock(files: Sequence[File], prefix: str, folder: Path) -> list[Item]:
    """Items for the files, each below `prefix` (`documents`, `ansible/playbooks`).

    Raises NotThere; NotAsLocked: the recipe gives another digest.
    """
    return [item for file in files for item in _locked(file, prefix, folder)]


def _locked(file: File, prefix: str, folder: Path) -> Iterator[Item]:
    for found in find(folder, file.path):
        below = file.name or (f"{file.under}/{found.below}" if file.under else found.below)
        made = digest(found)
        if file.sha256 not in (None, made.sha256):
            raise NotAsLocked(
                what=found.shown, why=f"its SHA-256 is {made.sha256} where the recipe has {file.sha256}"
            )
        path = f"{prefix}/{below}"
        source = {"file": found.shown, "kind": KIND}
        yield Item(path, made.sha256, made.size, file.type or media_type(path), source)


def digest(found: Found) -> Digest:
    """What a found file holds. Raises NotThere."""
    try:
        return digest_of(found.path)
    except OSError as error:
        not_there(found.shown, f"cannot be read ({error.strerror})", "Check its permissions.")


def fetch(item: Item, folder: Path, cache: Cache) -> None:
    """Copy the file into the cache. Raises NotThere; NotAsLocked: it changed since it was locked."""
    cache.copy(folder / item.source["file"], item.source["file"], item.digest)
