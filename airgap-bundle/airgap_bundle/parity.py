"""Parity: m more columns for the k that volumes are laid in; any m of them can be lost (SPEC section 7).

                column 0   column 1   ...  column k-1  │  column k ... column k+m-1
    row 0       1 MiB      1 MiB           1 MiB       │  1 MiB        1 MiB         zfec of the row
    row 1       ...
                <- volume 1 ->  ...   <- last volume ->    <----- parity files ----->

A column is one contiguous run of a file, so a scratch of a twentieth of a disc costs each row one block. The
SHA-256 of each block says which are damaged; Reed-Solomon mends as many of a row as there are parity columns.
Parity is never trust: what was mended is verified like anything else.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import zfec  # type: ignore[import-untyped]

from airgap_bundle.durable import sync_folder
from airgap_bundle.errors import InputProblem
from airgap_bundle.medium import Medium, open_medium
from airgap_bundle.metadata_source import Damaged
from airgap_bundle.parity_file import BLOCK, HEADER, Shape, page_runs, why_not
from airgap_bundle.write_problems import PARTIAL

_WISH = re.compile(r"([1-9][0-9]{0,2})\+([1-9][0-9]{0,2})|(?:([1-9])-)?volumes?")


class NoSuchParity(InputProblem):
    """Parity that cannot be made."""

    exit_code = 16
    message = "{why}"
    hint = (
        "Say it like 20+2, `volume` (one may be lost) or `2-volumes`; all columns together are at most 256."
    )


@dataclass(frozen=True)
class Wish:
    """How much may be lost."""

    data: int = 20
    parity: int = 2
    """So many of each `data` + `parity` blocks."""
    volumes: int = 0
    """Instead: so many whole volumes."""


def read_wish(text: str) -> Wish:
    """`20+2`, `volume` or `2-volumes`. Raises NoSuchParity."""
    found = _WISH.fullmatch(text)
    if found is None:
        raise NoSuchParity(why=f"{text} is not a parity")
    if found[1]:
        return Wish(int(found[1]), int(found[2]))
    return Wish(volumes=int(found[3] or 1))


def shape_of(
    wish: Wish, bundle: str, sequence: int, release: str, sizes: Sequence[int], largest: int | None = None
) -> Shape:
    """Columns that grant the wish for volumes of such sizes, in files of `largest` bytes at most if possible.

    Raises NoSuchParity.
    """
    if wish.volumes:
        shape = Shape(bundle, sequence, release, tuple(sizes), 1, wish.volumes, wish.volumes)
    else:
        per_volume = max(round(wish.data / len(sizes)), 1)
        parity = max(-(-per_volume * len(sizes) * wish.parity // wish.data), wish.parity)
        shape = Shape(bundle, sequence, release, tuple(sizes), per_volume, parity)
        while largest is not None and shape.file_size > largest and shape.files < parity:
            files = shape.files + 1
            shape = Shape(
                bundle, sequence, release, tuple(sizes), per_volume, -(-parity // files) * files, files
            )
    if why := why_not(shape):
        raise NoSuchParity(why=why)
    return shape


def make_parity(
    paths: Sequence[Path],
    to: Path,
    wish: Wish,
    *,
    largest: int | None = None,
    tell: Callable[[int], None] = lambda size: None,
) -> tuple[Shape, list[Path]]:
    """Write the parity of a container, or of all volumes of a bundle, into the folder `to`.

    A file has its name when it is complete and on the disk. `tell` gets the bytes that were read.

    Raises NoSuchParity, Damaged (a volume is missing or cannot be read), OSError.
    """
    with open_medium(paths) as medium:
        shape = _shape(medium, wish, largest)
        volumes = [FileVolume(volume.path.name, volume.descriptor) for volume in medium.volumes]
        return shape, write_parity(shape, volumes, to, tell=tell)


class Volume(Protocol):
    """What parity is made of: a file, or a volume that is nowhere yet."""

    def read(self, view: memoryview, at: int) -> None:
        """Fill `view` from offset `at` on, or raise."""


@dataclass(frozen=True)
class FileVolume:
    """An open file."""

    name: str
    descriptor: int

    def read(self, view: memoryview, at: int) -> None:
        """See Volume. Raises Damaged, OSError."""
        done = 0
        while done < len(view):
            got = os.preadv(self.descriptor, [view[done:]], at + done)
            if not got:
                raise Damaged(what=self.name, why="it was cut while it was read")
            done += got


def write_parity(
    shape: Shape,
    volumes: Sequence[Volume],
    to: Path,
    *,
    only: int | None = None,
    tell: Callable[[int], None] = lambda size: None,
) -> list[Path]:
    """Write the parity files of the shape's volumes, which are given in their order; or `only` one file."""
    numbers = range(1, shape.files + 1) if only is None else [only]
    files = {number: to / shape.parity_name(number) for number in numbers}
    partials = {number: file.with_name(file.name + PARTIAL) for number, file in files.items()}
    try:
        with ExitStack() as stack:
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            opened = {}
            for number, partial in partials.items():
                opened[number] = os.open(partial, flags, 0o644)
                stack.callback(os.close, opened[number])
            _write(shape, volumes, opened, tell)
        for number, partial in partials.items():
            partial.rename(files[number])
        sync_folder(to)
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)
    return list(files.values())


def _shape(medium: Medium, wish: Wish, largest: int | None) -> Shape:
    if medium.missing:
        raise Damaged(what="the bundle", why=f"parity takes all volumes, and there are {medium.summary}")
    if not medium.volumes:
        raise NoSuchParity(why="parity is of a container or of volumes, not of a folder")
    about = medium.volumes[0].about
    release = next(name[8:72] for name, _ in about.metadata if name.endswith(".release.json"))
    sizes = [volume.size for volume in medium.volumes]
    return shape_of(wish, about.bundle, about.sequence, release, sizes, largest)


def _write(
    shape: Shape, volumes: Sequence[Volume], files: Mapping[int, int], tell: Callable[[int], None]
) -> None:
    """Everything into the parity files, open by their numbers, and to the disk."""
    for descriptor in files.values():
        os.ftruncate(descriptor, shape.file_size)
    for page, data in page_runs(shape, _rows(shape, volumes, files, tell)):
        for descriptor in files.values():
            for at in shape.page_at(page):
                os.pwrite(descriptor, data, at)
    for number, descriptor in files.items():
        header = shape.render_header(number)
        os.pwrite(descriptor, header, 0)
        os.pwrite(descriptor, header, shape.file_size - HEADER)
        os.fsync(descriptor)


def _rows(
    shape: Shape, volumes: Sequence[Volume], files: Mapping[int, int], tell: Callable[[int], None]
) -> Iterator[Sequence[bytes]]:
    """Encode row after row into the parity files; gives the hashes of each row's blocks."""
    encoder = zfec.Encoder(shape.columns, shape.width)
    strips = [Strips(shape, volumes), Strips(shape, volumes)]
    working: list[Future[None]] = []
    step = strip_of(shape)
    with ThreadPoolExecutor(2) as pool:
        for row in range(shape.rows):
            hashers = [hashlib.sha256() for _ in range(shape.width)]
            for number, at in enumerate(range(0, BLOCK, step)):
                strip = strips[(row * (BLOCK // step) + number) % 2]
                tell(strip.read(row, at))  # while the strip before is encoded and hashed
                for work in working:
                    work.result()
                working = [
                    pool.submit(_encode, shape, encoder, strip.views, files, row, at, hashers),
                    pool.submit(_hash, strip.views, hashers),
                ]
            for work in working:
                work.result()
            yield [hasher.digest() for hasher in hashers]


def _encode(
    shape: Shape,
    encoder: zfec.Encoder,
    views: Sequence[memoryview],
    files: Mapping[int, int],
    row: int,
    at: int,
    hashers: Sequence[hashlib._Hash],
) -> None:
    made = encoder.encode(views, tuple(range(shape.columns, shape.width)))
    for column, data in enumerate(made, shape.columns):
        hashers[column].update(data)
        file, offset = shape.place(row, column)
        number = file - len(shape.sizes) + 1
        if number in files:
            os.pwrite(files[number], data, offset + at)


def _hash(views: Sequence[memoryview], hashers: Sequence[hashlib._Hash]) -> None:
    for view, hasher in zip(views, hashers, strict=False):
        hasher.update(view)


def strip_of(shape: Shape) -> int:
    """Bytes of each block that are in memory at a time: two rows of strips are 128 MiB at most."""
    return BLOCK if shape.width <= 48 else BLOCK // 4


class Strips:
    """A strip of each data block of a row, read into memory of its own."""

    def __init__(self, shape: Shape, volumes: Sequence[Volume]) -> None:
        self._shape, self._volumes = shape, volumes
        self.views = [memoryview(bytearray(strip_of(shape))) for _ in range(shape.columns)]

    def read(self, row: int, at: int) -> int:
        """Read the strip at `at` of each block; the bytes that there were."""
        total = 0
        for column, view in enumerate(self.views):
            length = min(max(self._shape.length(row, column) - at, 0), len(view))
            file, offset = self._shape.place(row, column)
            if length:
                self._volumes[file].read(view[:length], offset + at)
                total += length
            if length < len(view):
                view[length:] = bytes(len(view) - length)
        return total
