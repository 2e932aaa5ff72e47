"""The content manifest: what a bundle holds and how each entry travels (SPEC section 5).

    {"path":"apt/pool/openssl.deb","sha256":"5f…","size":2017340,"type":"application/vnd.debian.binary-package"}
    {"as":"zstd","blob":"9c…","blob_size":41276,"path":"vulnerabilities/debian.json","sha256":"0a…",…}

One expression matches a whole canonical line, so reading is strict and fast at once: what does not match is
refused, and nothing is parsed twice (100,000 lines take about a third of a second).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from airgap_bundle.canonical import LARGEST, Json, malformed, render

WHAT = "content.ndjson"
MOST_ENTRIES = 2_000_000
MOST_BYTES = 512 * 1024 * 1024
MOST_BASES = 8

RAW, ZSTD, DELTA, HELD = "raw", "zstd", "delta", "held"

_SHA = r"[0-9a-f]{64}"
_SIZE = r"(?:0|[1-9][0-9]{0,15})"
_LINE = re.compile(
    r"\{"
    rf'(?:"as":"(?:(held)"|(zstd)"|(delta)","bases":\["({_SHA}(?:","{_SHA}){{0,7}})"\])'
    rf'(?:,"blob":"({_SHA})","blob_size":({_SIZE}))?,)?'
    rf'"path":"([^"\\\x00-\x1f\x7f]+)","sha256":"({_SHA})","size":({_SIZE}),'
    r'"type":"([a-z0-9.+-]+/[a-z0-9.+-]+)"\}\n'
)
_SEGMENT = re.compile(r'[^"*/:<>?\\|\x00-\x1f\x7f]+')
_PART = re.compile(r"[a-z0-9-]+")


class Entry(NamedTuple):
    """One file of the bundle's content.

    A tuple and not a dataclass: 100,000 of them are made while somebody waits.
    """

    path: str
    sha256: str
    """Of the content as it will be used, 64 hexadecimal digits."""
    size: int
    """Bytes of that content."""
    type: str
    """Media type."""
    way: str = RAW
    """How it travels: raw, zstd, delta or held."""
    blob: str = ""
    """SHA-256 of the bytes that travel; empty when held."""
    blob_size: int = 0
    bases: tuple[str, ...] = ()
    """For a delta: SHA-256 of the contents that it is made against."""

    @property
    def part(self) -> str:
        """The first segment of its path: the shelf it goes to."""
        return self.path.partition("/")[0]


def raw(path: str, sha256: str, size: int, media_type: str) -> Entry:
    """An entry that travels as it is."""
    return Entry(path, sha256, size, media_type, RAW, sha256, size)


@dataclass(frozen=True)
class Blob:
    """Bytes that travel: what a container's member holds."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Part:
    """Sums over the entries of one first path segment, and the digest of their identity lines."""

    entries: int
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True)
class Content:
    """The entries of a bundle, in order of their paths' bytes, all rules of SPEC section 5 kept."""

    entries: Sequence[Entry]

    @property
    def blobs(self) -> dict[str, Blob]:
        """The distinct blobs in the order in which the entries first name them: their order on the medium."""
        return _blobs(self.entries)

    @property
    def size(self) -> int:
        """Sum of the entries' sizes in bytes."""
        return sum(entry.size for entry in self.entries)

    @property
    def carried(self) -> int:
        """Sum of the distinct blobs' sizes in bytes."""
        return sum(blob.size for blob in self.blobs.values())

    @property
    def needs_base(self) -> bool:
        """Whether an entry is held or a delta, so that the bundle is of use only on top of another."""
        return any(entry.way in (HELD, DELTA) for entry in self.entries)

    def parts(self) -> dict[str, Part]:
        """Each part's sums and digest, by name."""
        lines: dict[str, list[bytes]] = {}
        sizes: dict[str, int] = {}
        for entry in self.entries:
            part = entry.part
            lines.setdefault(part, []).append(identity_line(entry))
            sizes[part] = sizes.get(part, 0) + entry.size
        return {
            name: Part(len(of), sizes[name], hashlib.sha256(b"".join(of)).hexdigest())
            for name, of in lines.items()
        }

    def render(self) -> bytes:
        """The canonical bytes of content.ndjson."""
        return b"".join(line(entry) for entry in self.entries)


def content(entries: Iterable[Entry]) -> Content:
    """Sort entries into a manifest. Raises Malformed: they break a rule of SPEC section 5."""
    made = Content(tuple(sorted(entries, key=lambda e: e.path.encode())))
    return parse(made.render())


def parse(data: bytes) -> Content:
    """Read content.ndjson. Raises Malformed: not canonical, or a rule of SPEC section 5 is broken."""
    if len(data) > MOST_BYTES:
        malformed(WHAT, f"it is larger than {MOST_BYTES} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        malformed(WHAT, "it is not UTF-8")
    entries: list[Entry] = []
    types: dict[str, str] = {}
    at, match = 0, _LINE.match
    while at < len(text):
        found = match(text, at)
        if found is None:
            malformed(WHAT, f"line {len(entries) + 1} is not canonical")
        entries.append(_entry(found.groups(), types, len(entries) + 1))
        at = found.end()
        if len(entries) > MOST_ENTRIES:
            malformed(WHAT, f"it has more than {MOST_ENTRIES} entries")
    _check_paths(entries, ascii_only=text.isascii())
    _check_digests(entries)
    return Content(tuple(entries))


def line(entry: Entry) -> bytes:
    """One line of content.ndjson, with its end."""
    value: dict[str, Json] = {
        "path": entry.path,
        "sha256": entry.sha256,
        "size": entry.size,
        "type": entry.type,
    }
    if entry.way != RAW:
        value["as"] = entry.way
    if entry.way in (ZSTD, DELTA):
        value |= {"blob": entry.blob, "blob_size": entry.blob_size}
    if entry.way == DELTA:
        value["bases"] = list(entry.bases)
    return render(value) + b"\n"


def identity_line(entry: Entry) -> bytes:
    """The line without how it travels."""
    return (
        f'{{"path":"{entry.path}","sha256":"{entry.sha256}","size":{entry.size},"type":"{entry.type}"}}\n'
    ).encode()


def _blobs(entries: Iterable[Entry]) -> dict[str, Blob]:
    blobs: dict[str, Blob] = {}
    for entry in entries:
        if entry.blob and entry.blob not in blobs:
            blobs[entry.blob] = Blob(entry.blob, entry.blob_size)
    return blobs


def _entry(groups: Sequence[str | None], types: dict[str, str], number: int) -> Entry:
    held, zstd, delta, bases, blob, blob_size, path, sha256, size, media = groups
    assert path and sha256 and size and media  # noqa: PT018 - the expression matched, so they are there
    length = int(size)
    media = types.setdefault(media, media)  # one string for all entries of a type
    if length > LARGEST:
        malformed(WHAT, f"line {number} has a size beyond 2^53 - 1")
    if not (held or zstd or delta):
        if blob:
            malformed(WHAT, f"line {number} is not canonical")
        return Entry(path, sha256, length, media, RAW, sha256, length)
    if held:
        if blob:
            malformed(WHAT, f"line {number} is held and names a blob")
        return Entry(path, sha256, length, media, HELD)
    if not blob or not blob_size or int(blob_size) > LARGEST:
        malformed(WHAT, f"line {number} names no blob")
    if zstd:
        return Entry(path, sha256, length, media, ZSTD, blob, int(blob_size))
    named = tuple((bases or "").split('","'))
    if len(set(named)) != len(named):
        malformed(WHAT, f"line {number} names a base twice")
    return Entry(path, sha256, length, media, DELTA, blob, int(blob_size), named)


def why_not_a_path(path: str) -> str | None:
    """Why `path` may not stand in a bundle, or None when it may."""
    if len(path.encode("utf-8", "surrogatepass")) > 1024:
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
        if len(segment.encode("utf-8", "surrogatepass")) > 200:
            return "has a segment longer than 200 bytes"
    if not unicodedata.is_normalized("NFC", path):
        return "is not in Unicode normalization form C"
    return None


def fold(path: str) -> str:
    """What a file system that ignores case and forms of letters makes of `path`."""
    return (
        path.lower()
        if path.isascii()
        else unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())
    )


_PLAIN = re.compile(r"[a-z0-9-]+(?:/(?![. ])[A-Za-z0-9._+~%=@,-]{0,199}[A-Za-z0-9_+~%=@,-])+")
"""Paths that break no rule and need no closer look: nearly all of them."""


def _check_paths(entries: Sequence[Entry], *, ascii_only: bool) -> None:
    for number, entry in enumerate(entries, 1):
        path = entry.path
        if (_PLAIN.fullmatch(path) is None or len(path) > 1024) and (why := why_not_a_path(path)):
            malformed(WHAT, f"the path of line {number} {why}")
    paths = [entry.path for entry in entries]
    keys: Sequence[str | bytes] = paths if ascii_only else [path.encode() for path in paths]
    for before, after in pairwise(keys):
        if before >= after:  # type: ignore[operator]  # both are str, or both are bytes
            malformed(WHAT, f"its paths are not strictly sorted at {before!r}")
    folders: dict[str, str] = {}
    last = ""
    for path in paths:
        folder = path.rpartition("/")[0]
        if folder == last:
            continue
        last = folder
        while folder and (known := folders.setdefault(fold(folder), folder)) == folder:
            folder = folder.rpartition("/")[0]
        if folder and known != folder:
            malformed(WHAT, f"the folders {known!r} and {folder!r} are one on some file systems")
    seen: dict[str, str] = {}
    for path in paths:
        folded = fold(path)
        if (other := seen.setdefault(folded, path)) is not path:
            malformed(WHAT, f"the paths {other!r} and {path!r} are one on some file systems")
        if folded in folders:
            malformed(WHAT, f"the path {path!r} is also a folder")


def _check_digests(entries: Sequence[Entry]) -> None:
    contents: dict[str, Entry] = {}
    blobs: dict[str, int] = {}
    for entry in entries:
        first = contents.setdefault(entry.sha256, entry)
        if first is not entry and (first.size, *first[4:]) != (entry.size, *entry[4:]):
            malformed(
                WHAT,
                f"{entry.path!r} has the SHA-256 of {first.path!r} and another size or another way to travel",
            )
        if entry.blob and blobs.setdefault(entry.blob, entry.blob_size) != entry.blob_size:
            malformed(WHAT, f"the blob of {entry.path!r} has two sizes")
        if entry.sha256 in entry.bases:
            malformed(WHAT, f"{entry.path!r} is a delta against itself")
