"""The rules that the lines of content.ndjson keep together (SPEC section 5): order, collisions, digests.

Each rule is first asked of all entries at once, which the interpreter does in C; only when the answer is no
does somebody look for the entry to blame. Nearly always the answer is yes, and a person waits for it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from operator import itemgetter, lt
from typing import TYPE_CHECKING

from airgap_bundle.canonical import malformed

if TYPE_CHECKING:
    from airgap_bundle.content import Entry

WHAT = "content.ndjson"
LONGEST_PATH = 1024
LONGEST_SEGMENT = 200
PLAIN = r"[a-z0-9-]+(?:/(?!\.)[A-Za-z0-9._+~%=@,-]{1,200}+(?<!\.))+"
"""Paths that break no rule but perhaps the length, and need no closer look: nearly all of them."""

_PART = re.compile(r"[a-z0-9-]+")
_SEGMENT = re.compile(r'[^"*/:<>?\\|\x00-\x1f\x7f]+')

_sha256, _size, _identity = itemgetter(1), itemgetter(2), itemgetter(1, 2, 4, 5, 6, 7)
_blob, _blob_and_size = itemgetter(5), itemgetter(5, 6)


def why_not_a_path(path: str) -> str | None:
    """Why `path` may not stand in a bundle, or None when it may."""
    if len(path.encode("utf-8", "surrogatepass")) > LONGEST_PATH:
        return "is longer than 1,024 bytes"
    segments = path.split("/")
    if len(segments) < 2:
        return "has no part before its first slash"
    if not _PART.fullmatch(segments[0]):
        return "begins with a part that is not of a-z, 0-9 and `-`"
    for segment in segments:
        if segment in ("", ".", ".."):
            return "has an empty segment, `.` or `..`"
        if segment[0] == " " or segment[-1] in ". ":
            return "has a segment that begins with a space or ends in a dot or a space"
        if not _SEGMENT.fullmatch(segment) or not segment.isprintable():
            return 'has a character that is not printable or one of " * : < > ? \\ |'
        if len(segment.encode("utf-8", "surrogatepass")) > LONGEST_SEGMENT:
            return "has a segment longer than 200 bytes"
    if not unicodedata.is_normalized("NFC", path):
        return "is not in Unicode normalization form C"
    return None


def fold(path: str) -> str:
    """What a file system that ignores case and forms of letters makes of `path`."""
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())


def check_paths(paths: Sequence[str]) -> None:
    """Refuse paths that are not strictly sorted, or that are one on some file systems. Raises Malformed.

    UTF-8 keeps the order of code points, so strings sort as their bytes do.
    """
    if not all(map(lt, paths, islice(paths, 1, None))):
        before = next(before for before, after in pairwise(paths) if before >= after)
        malformed(WHAT, f"its paths are not strictly sorted at {before!r}")
    folded = _distinct(paths, "paths")
    folders: set[str] = set()
    level = {path.rpartition("/")[0] for path in paths}
    while level:
        folders |= level
        level = {folder.rpartition("/")[0] for folder in level} - {""}
    folded_folders = _distinct(folders, "folders")
    if not folded.isdisjoint(folded_folders):
        path = next(path for path in paths if fold(path) in folded_folders)
        malformed(WHAT, f"the path {path!r} is also a folder")


def check_digests(entries: Sequence[Entry], *, all_raw: bool) -> int:
    """Refuse a digest with two meanings; gives the number of distinct contents. Raises Malformed."""
    distinct = len(set(map(_sha256, entries)))
    if distinct < len(entries) and len(set(map(_identity, entries))) != distinct:
        first: dict[str, Entry] = {}
        for entry in entries:
            other = first.setdefault(entry.sha256, entry)
            if _identity(other) != _identity(entry):
                of = f"{entry.path!r} has the SHA-256 of {other.path!r}"
                malformed(WHAT, f"{of} and another size or another way to travel")
    if all_raw:
        return distinct  # each blob is the content itself
    if len(set(map(_blob_and_size, entries))) != len(set(map(_blob, entries))):
        sizes: dict[str, int] = {}
        for entry in entries:
            if sizes.setdefault(entry.blob, entry.blob_size) != entry.blob_size:
                malformed(WHAT, f"the blob of {entry.path!r} has two sizes")
    for entry in entries:
        if entry.bases and entry.sha256 in entry.bases:
            malformed(WHAT, f"{entry.path!r} is a delta against itself")
    return distinct


def _distinct(names: Iterable[str], what: str) -> set[str]:
    """The folded forms of `names`, which are distinct themselves. Raises Malformed: two have the same."""
    names = list(names)
    folded = set(map(str.lower if all(map(str.isascii, names)) else fold, names))
    if len(folded) != len(names):
        seen: dict[str, str] = {}
        for name in sorted(names):
            if (other := seen.setdefault(fold(name), name)) != name:
                malformed(WHAT, f"the {what} {other!r} and {name!r} are one on some file systems")
    return folded
