"""The content manifest: what a bundle holds and how each entry travels (SPEC section 5).

    {"path":"apt/pool/openssl.deb","sha256":"5f…","size":2017340,"type":"application/vnd.debian.binary-package"}
    {"as":"zstd","blob":"9c…","blob_size":41276,"path":"vulnerabilities/debian.json","sha256":"0a…",…}

One expression matches a whole canonical line, so reading is strict and fast at once: what does not match is
refused, and nothing is parsed twice. Rules between lines are in `content_rules.py`.
"""

from __future__ import annotations

import gc
import hashlib
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import repeat
from operator import itemgetter
from typing import NamedTuple

from airgap_bundle.canonical import LARGEST, Json, malformed, render
from airgap_bundle.content_rules import LONGEST_PATH, PLAIN, WHAT, check_digests, check_paths, why_not_a_path

MOST_ENTRIES = 2_000_000
MOST_BYTES = 512 * 1024 * 1024
MOST_BASES = 8

RAW, ZSTD, DELTA, HELD = "raw", "zstd", "delta", "held"

_SHA = r"[0-9a-f]{64}"
_SIZE = r"(?:0|[1-9][0-9]{0,15})"
_TYPE = r"[a-z0-9.+-]+/[a-z0-9.+-]+"
_TRAVELS = (
    rf'(?:"as":"(?:(held)"|(zstd)"|(delta)","bases":\["({_SHA}(?:","{_SHA}){{0,7}})"\])'
    rf'(?:,"blob":"({_SHA})","blob_size":({_SIZE}))?,)?'
)
_LINE = re.compile(
    rf'\{{{_TRAVELS}"path":"([^"\\\x00-\x1f\x7f]+)","sha256":"({_SHA})","size":({_SIZE}),"type":"({_TYPE})"\}}\n'
)
_MIXED_LINE = re.compile(
    rf'(\{{{_TRAVELS}"path":"({PLAIN})","sha256":"({_SHA})","size":({_SIZE}),"type":"({_TYPE})"\}}\n)'
)
_PLAIN_LINE = re.compile(
    rf'\{{"path":"({PLAIN})","sha256":"({_SHA})","size":({_SIZE}),"type":"({_TYPE})"\}}\n'
)
_PLAIN_REST = len('{"path":"","sha256":"","size":,"type":""}\n') + 64
_PLAIN_PATH = re.compile(rf"(?=.{{,{LONGEST_PATH}}}\Z){PLAIN}")
_TRAVEL = re.compile(rb'\{"as":[^}]*?,"path":')
BLOCK = 64 * 1024
"""Bytes that are read at once: few enough to stay in the processor's cache, many enough to be quick."""


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


class Blob(NamedTuple):
    """Bytes that travel: what a container's member holds."""

    sha256: str
    size: int


class Part(NamedTuple):
    """Sums over the entries of one first path segment, and the digest of their identity lines."""

    entries: int
    size: int
    """Bytes."""
    sha256: str


@dataclass(frozen=True)
class Content:
    """The entries of a bundle, in order of their paths' bytes, all rules of SPEC section 5 kept.

    Made by `content` and `parse` only.
    """

    entries: Sequence[Entry]
    _data: bytes = field(repr=False, compare=False)
    _all_apart: bool = field(default=False, repr=False, compare=False)
    """Whether every entry travels raw and no two are alike: then each is its own blob."""

    @cached_property
    def blobs(self) -> dict[str, Blob]:
        """The distinct blobs in the order in which the entries first name them: their order on the medium."""
        sizes = self._blob_sizes()
        return dict(zip(sizes, map(_new_blob, sizes.items()), strict=True))

    @property
    def size(self) -> int:
        """Sum of the entries' sizes in bytes."""
        return sum(map(itemgetter(2), self.entries))

    @property
    def carried(self) -> int:
        """Sum of the distinct blobs' sizes in bytes."""
        return self.size if self._all_apart else sum(self._blob_sizes().values())

    @property
    def needs_base(self) -> bool:
        """Whether an entry is held or a delta, so that the bundle is of use only on top of another."""
        return not {HELD, DELTA}.isdisjoint(map(itemgetter(4), self.entries))

    def parts(self) -> dict[str, Part]:
        """Each part's sums and digest, by name."""
        parts: dict[str, Part] = {}
        first, at = 0, 0
        while first < len(self.entries):
            name = self.entries[first].part
            last = bisect_left(self.entries, f"{name}0", first, key=itemgetter(0))  # "0" comes after "/"
            end = self._line_of(self.entries[last].part, at) if last < len(self.entries) else len(self._data)
            size = sum(map(itemgetter(2), self.entries[first:last]))
            parts[name] = Part(last - first, size, _identity_sha256(self._data[at:end]))
            first, at = last, end
        return parts

    def render(self) -> bytes:
        """The canonical bytes of content.ndjson."""
        return b"".join(line(entry) for entry in self.entries)

    def _blob_sizes(self) -> dict[str, int]:
        sizes = dict(zip(map(itemgetter(5), self.entries), map(itemgetter(6), self.entries), strict=True))
        sizes.pop("", None)  # what is held
        return sizes

    def _line_of(self, part: str, after: int) -> int:
        """Where the first line of `part` begins: no other field can hold these bytes."""
        return self._data.rfind(b"\n", 0, self._data.index(f'"path":"{part}/'.encode(), after)) + 1


_new_entry = partial(tuple.__new__, Entry)
_new_blob = partial(tuple.__new__, Blob)


def content(entries: Iterable[Entry]) -> Content:
    """Sort entries into a manifest. Raises Malformed: they break a rule of SPEC section 5."""
    return parse(b"".join(line(entry) for entry in sorted(entries, key=itemgetter(0))))


def parse(data: bytes) -> Content:
    """Read content.ndjson. Raises Malformed: not canonical, or a rule of SPEC section 5 is broken."""
    if len(data) > MOST_BYTES:
        malformed(WHAT, f"it is larger than {MOST_BYTES} bytes")
    with _no_collection():
        return _parsed(data)


def _parsed(data: bytes) -> Content:
    entries: list[Entry] = []
    types: dict[str, str] = {}
    at = 0
    while at < len(data):
        end = data.find(b"\n", at + BLOCK) + 1 or len(data)
        try:
            text = data[at:end].decode("utf-8")
        except UnicodeDecodeError:
            malformed(WHAT, "it is not UTF-8")
        quick = _mixed_entries if '{"as":' in text else _plain_entries
        entries += quick(text, types) or _entries(text, types, len(entries))
        if len(entries) > MOST_ENTRIES:
            malformed(WHAT, f"it has more than {MOST_ENTRIES} entries")
        at = end
    check_paths([entry[0] for entry in entries])
    all_raw = b'{"as":' not in data
    distinct = check_digests(entries, all_raw=all_raw)
    return Content(tuple(entries), data, all_raw and distinct == len(entries))


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


def _identity_sha256(lines: bytes) -> str:
    """SHA-256 of these lines without how they travel."""
    if b'{"as":' in lines:
        lines = _TRAVEL.sub(b'{"path":', lines)
    return hashlib.sha256(lines).hexdigest()


def identity_line(entry: Entry) -> bytes:
    """The line without how it travels."""
    return (
        f'{{"path":"{entry.path}","sha256":"{entry.sha256}","size":{entry.size},"type":"{entry.type}"}}\n'
    ).encode()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the collector of cyclic garbage away: hundreds of thousands of tuples are made, and no cycle.

    It would look at them again and again, and take a fifth of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _plain_entries(text: str, types: dict[str, str]) -> list[Entry] | None:
    """The entries of lines that all travel raw under plain paths, or None: look closer.

    `findall` passes over what does not match; but what it found is as long as the text, so nothing was.
    """
    found = _PLAIN_LINE.findall(text)
    if not found:
        return None
    paths, digests, lengths, media = zip(*found, strict=True)
    covered = len(found) * _PLAIN_REST + sum(sum(map(len, column)) for column in (paths, lengths, media))
    sizes = list(map(int, lengths))
    if covered != len(text) or max(map(len, paths)) > LONGEST_PATH or max(sizes) > LARGEST:
        return None
    kinds = map(types.setdefault, media, media)  # one string for all entries of a type
    columns = zip(paths, digests, sizes, kinds, repeat(RAW), digests, sizes, repeat(()))
    return list(map(_new_entry, columns))


def _mixed_entries(text: str, types: dict[str, str]) -> list[Entry] | None:
    """The same for lines that travel in any way."""
    entries: list[Entry] = []
    covered = 0
    for whole, held, zstd, delta, bases, blob, length, path, sha256, size, media in _MIXED_LINE.findall(text):
        covered += len(whole)
        media = types.setdefault(media, media)
        if not (held or zstd or delta or blob):
            entries.append(_new_entry((path, sha256, int(size), media, RAW, sha256, int(size), ())))
        elif held and not blob:
            entries.append(_new_entry((path, sha256, int(size), media, HELD, "", 0, ())))
        elif zstd and blob:
            entries.append(_new_entry((path, sha256, int(size), media, ZSTD, blob, int(length), ())))
        elif delta and blob and len(set(named := tuple(bases.split('","')))) == len(named):
            entries.append(_new_entry((path, sha256, int(size), media, DELTA, blob, int(length), named)))
        else:
            return None
    too_large = any(e[2] > LARGEST or e[6] > LARGEST or len(e[0]) > LONGEST_PATH for e in entries)
    return None if too_large or covered != len(text) else entries


def _entries(text: str, types: dict[str, str], before: int) -> list[Entry]:
    """The entries of any lines. Raises Malformed."""
    entries: list[Entry] = []
    at, match = 0, _LINE.match
    while at < len(text):
        number = before + len(entries) + 1
        found = match(text, at)
        if found is None:
            malformed(WHAT, f"line {number} is not canonical")
        entry = _entry(found.groups(), types, number)
        if why := why_not_a_path(entry.path) if _PLAIN_PATH.fullmatch(entry.path) is None else None:
            malformed(WHAT, f"the path of line {number} {why}")
        entries.append(entry)
        at = found.end()
    return entries


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
