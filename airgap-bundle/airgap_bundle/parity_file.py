"""A parity file, byte for byte (SPEC section 7); nothing here reads or writes one.

    0           header      JSON, zeros, SHA-256 of it: 16 KiB
    16384       pages       the SHA-256 of each block, 126 to a page of 4 KiB with a digest of its own
    ...         columns     this file's parity columns, one after the other
    ...         pages       once more
    end - 16384 header      once more

Parity files are damaged like any others, so whatever one cannot do without is there twice and says itself
whether it is good.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from airgap_bundle.canonical import Json, malformed, parse, render
from airgap_bundle.release import count, match
from airgap_bundle.volume_json import file_name

FORMAT = "airgap-bundle/parity/1"
BLOCK = 2**20
HEADER = 16_384
PAGE = 4096
HASH = 32
PER_PAGE = 126
MOST_COLUMNS = 256
"""Of a row, parity included: the code works in a field of 256 elements."""
_STREAM = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SHA = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Shape:
    """How volumes are laid in columns, and how many columns of parity there are."""

    bundle: str
    sequence: int
    release: str
    """SHA-256 of release.json."""
    sizes: tuple[int, ...]
    """Bytes of each volume."""
    per_volume: int
    """Columns that each volume is cut into."""
    parity: int
    """Parity columns: how many blocks of a row can be lost."""
    files: int = 1
    """Parity files; each holds as many of the parity columns."""

    @property
    def columns(self) -> int:
        """Columns of data."""
        return self.per_volume * len(self.sizes)

    @cached_property
    def rows(self) -> int:
        """Blocks of a column."""
        return max(-(-max(self.sizes) // (self.per_volume * BLOCK)), 1)

    @property
    def width(self) -> int:
        """Blocks of a row, parity included."""
        return self.columns + self.parity

    @property
    def pages(self) -> int:
        """Pages of hashes, in each of the two places."""
        return -(-self.rows * self.width // PER_PAGE)

    @property
    def data_at(self) -> int:
        """Where a parity file's first column begins."""
        return HEADER + self.pages * PAGE

    @property
    def file_size(self) -> int:
        """Bytes of each parity file."""
        return 2 * self.data_at + self.parity // self.files * self.rows * BLOCK

    @cached_property
    def mark(self) -> bytes:
        """What the pages of this set have in common: 24 bytes."""
        return hashlib.sha256(render(self._common())).digest()[:24]

    def names(self) -> list[str]:
        """The names of the volumes."""
        count = len(self.sizes)
        return [file_name(self.bundle, self.sequence, number, count) for number in range(1, count + 1)]

    def parity_name(self, file: int) -> str:
        """The name of a parity file, from 1."""
        part = f".{file:03d}-of-{self.files:03d}" if self.files > 1 else ""
        return f"{self.bundle}-{self.sequence}{part}.parity"

    def place(self, row: int, column: int) -> tuple[int, int]:
        """Where a block is: its file's number, from 0 (parity files behind the volumes), and offset in it."""
        if column < self.columns:
            volume, column = divmod(column, self.per_volume)
            return volume, (column * self.rows + row) * BLOCK
        file, column = divmod(column - self.columns, self.parity // self.files)
        return len(self.sizes) + file, self.data_at + (column * self.rows + row) * BLOCK

    def length(self, row: int, column: int) -> int:
        """Bytes of a block that are in its file; the rest, to BLOCK, counts as zeros."""
        file, at = self.place(row, column)
        return BLOCK if file >= len(self.sizes) else min(max(self.sizes[file] - at, 0), BLOCK)

    def page_at(self, page: int) -> tuple[int, int]:
        """The two places of a page in each parity file."""
        return HEADER + page * PAGE, self.file_size - HEADER - (self.pages - page) * PAGE

    def render_header(self, file: int) -> bytes:
        """The header of one parity file."""
        text = render(self._common() | {"file": file})
        body = text.ljust(HEADER - HASH, b"\0")
        return body + hashlib.sha256(body).digest()

    def render_page(self, page: int, hashes: bytes) -> bytes:
        """A page of at most 126 hashes."""
        body = page.to_bytes(8, "big") + self.mark + hashes.ljust(PER_PAGE * HASH, b"\0")
        return hashlib.sha256(body).digest() + body

    def read_page(self, page: int, data: bytes) -> bytes | None:
        """The hashes of a page; None when it is damaged or of another set."""
        good = (
            len(data) == PAGE
            and hashlib.sha256(data[HASH:]).digest() == data[:HASH]
            and data[HASH : 2 * HASH] == page.to_bytes(8, "big") + self.mark
        )
        return data[2 * HASH :] if good else None

    def _common(self) -> dict[str, Json]:
        sizes: list[Json] = [*self.sizes]
        return {
            "bundle": self.bundle,
            "files": self.files,
            "format": FORMAT,
            "parity": self.parity,
            "per_volume": self.per_volume,
            "release": self.release,
            "sequence": self.sequence,
            "sizes": sizes,
        }


def read_header(data: bytes, what: str) -> tuple[Shape, int]:
    """What a header says, and the number of its file, from 1. Raises Malformed."""
    body = data[: HEADER - HASH]
    if len(data) != HEADER or hashlib.sha256(body).digest() != data[HEADER - HASH :]:
        malformed(what, "its header is damaged")
    text = body.rstrip(b"\0")
    value = parse(text, what)
    try:
        shape, file = _read(value)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        malformed(what, f"a field is missing or wrong ({str(error)[:100]})")
    if shape.render_header(file) != data:
        malformed(what, "it has fields that this version does not know")
    return shape, file


def _read(value: dict[str, Any]) -> tuple[Shape, int]:
    if value["format"] != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    shape = Shape(
        bundle=match(_STREAM, value["bundle"]),
        sequence=count(value["sequence"], least=1),
        release=match(_SHA, value["release"]),
        sizes=tuple(count(size, least=1) for size in value["sizes"]),
        per_volume=count(value["per_volume"], least=1),
        parity=count(value["parity"], least=1),
        files=count(value["files"], least=1),
    )
    file = count(value["file"], least=1)
    if why := why_not(shape):
        raise ValueError(why)
    if file > shape.files:
        raise ValueError("its number is above the number of files")
    return shape, file


def why_not(shape: Shape) -> str | None:
    """Why there can be no such shape, or None."""
    if not shape.sizes or shape.width > MOST_COLUMNS:
        return f"{shape.columns} columns and {shape.parity} of parity are more than {MOST_COLUMNS}"
    if shape.parity % shape.files:
        return f"{shape.parity} columns of parity cannot be shared by {shape.files} files"
    return None


def page_runs(shape: Shape, hashes: Iterator[Sequence[bytes]]) -> Iterator[tuple[int, bytes]]:
    """Pages (number and bytes) from the hashes of each row, as they come."""
    page, gathered = 0, b""
    for row in hashes:
        gathered += b"".join(row)
        while len(gathered) >= PER_PAGE * HASH:
            yield page, shape.render_page(page, gathered[: PER_PAGE * HASH])
            page, gathered = page + 1, gathered[PER_PAGE * HASH :]
    if gathered:
        yield page, shape.render_page(page, gathered)
