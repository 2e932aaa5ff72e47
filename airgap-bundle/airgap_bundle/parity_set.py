"""Volumes and their parity as they are found, some damaged, some lost: which of their blocks are good."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from airgap_bundle.canonical import Malformed
from airgap_bundle.errors import InputProblem
from airgap_bundle.medium import VolumesMixed
from airgap_bundle.metadata_source import Damaged
from airgap_bundle.parity_file import BLOCK, HASH, HEADER, PAGE, PER_PAGE, Shape, read_header

MOST_NAMES = 3000
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NoParityHere(InputProblem):
    """There is nothing to mend with."""

    exit_code = 17
    message = "there is no parity file that can be read in {where}"
    hint = "Name the folder or the files, with the .parity files; without them nothing can be mended."


@dataclass
class File:
    """A volume or parity file that there should be."""

    name: str
    path: Path | None = None
    """None: it is not there."""
    descriptor: int = -1
    size: int = 0


class Table:
    """The hashes of the blocks: each page from whichever of its copies is good."""

    def __init__(self, shape: Shape, parity: Sequence[File]) -> None:
        self._shape, self._parity = shape, parity
        self.damaged = 0
        self._page = lru_cache(maxsize=8)(self._read)

    def hash(self, row: int, column: int) -> bytes | None:
        """The SHA-256 of a block; None when no copy of it is left."""
        page, place = divmod(row * self._shape.width + column, PER_PAGE)
        hashes = self._page(page)
        return None if hashes is None else hashes[place * HASH : (place + 1) * HASH]

    def _read(self, page: int) -> bytes | None:
        for file in self._parity:
            for at in self._shape.page_at(page):
                data = bytearray(PAGE)
                if file.path is not None and fill(file, memoryview(data), at):
                    hashes = self._shape.read_page(page, bytes(data))
                    if hashes is not None:
                        return hashes
                    self.damaged += 1
        return None


def open_set(paths: Sequence[Path], stack: ExitStack) -> tuple[Shape, list[File], Table]:
    """Open all volumes and parity files that are there; a list of them as the shape numbers them."""
    by_name: dict[str, Path] = {}
    for path in _listed(paths):
        if (other := by_name.setdefault(path.name, path)) != path:
            raise VolumesMixed(one=other, other=path, why="they have one name")
    shape: Shape | None = None
    opened: dict[int, File] = {}
    for name, path in sorted(by_name.items()):
        if not name.endswith(".parity") or (file := _open_file(path, stack)) is None:
            continue
        if (read := _header(file)) is None:
            continue
        if shape is not None and read[0] != shape:
            raise VolumesMixed(
                one=next(iter(opened.values())).name, other=name, why="they are of two parities"
            )
        shape = read[0]
        opened[read[1]] = file
    if shape is None:
        raise NoParityHere(where=", ".join(str(path) for path in paths))
    files = []
    for name in shape.names():
        there = _open_file(by_name[name], stack) if name in by_name else None
        files.append(there or File(name))
    parity = [opened.get(n) or File(shape.parity_name(n)) for n in range(1, shape.files + 1)]
    return shape, [*files, *parity], Table(shape, parity)


def _listed(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        with os.scandir(path) as listing:
            for number, entry in enumerate(listing):
                if number > MOST_NAMES:
                    raise NoParityHere(where=f"{path}, which has more than {MOST_NAMES} files")
                if entry.name.endswith((".bundle", ".parity")):
                    yield Path(entry.path)


def _open_file(path: Path, stack: ExitStack) -> File | None:
    """The open file; None when it is none, or cannot be opened: then it counts as lost."""
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            return None
        descriptor = os.open(path, _OPEN)
    except OSError:
        return None
    stack.callback(os.close, descriptor)
    return File(path.name, path, descriptor, os.fstat(descriptor).st_size)


def _header(file: File) -> tuple[Shape, int] | None:
    for at in (0, file.size - HEADER):
        data = bytearray(HEADER)
        if at >= 0 and fill(file, memoryview(data), at):
            try:
                return read_header(bytes(data), file.name)
            except Malformed:
                continue
    return None


def fill(file: File, view: memoryview, at: int) -> bool:
    """Read all of `view`; whether that was possible."""
    done = 0
    while done < len(view):
        try:
            got = os.preadv(file.descriptor, [view[done:]], at + done)
        except OSError:
            return False
        if not got:
            return False
        done += got
    return True


def is_good(
    shape: Shape, files: Sequence[File], table: Table, row: int, column: int, buffer: memoryview
) -> bool:
    """Whether a block can be read and has its hash. `buffer` has BLOCK bytes, and the block's afterwards."""
    number, at = shape.place(row, column)
    length = shape.length(row, column)
    file = files[number]
    if file.path is None or not fill(file, buffer[:length], at):
        return False
    if length < BLOCK:
        buffer[length:] = bytes(BLOCK - length)
    return hashlib.sha256(buffer).digest() == table.hash(row, column)


def examine(path: Path, tell: Callable[[int], None] = lambda size: None) -> str:
    """The SHA-256 of a parity file that has been read back whole and is what it must be. Raises Damaged."""
    with ExitStack() as stack:
        file = _open_file(path, stack)
        if file is None or (found := _header(file)) is None:
            raise Damaged(what=path.name, why="it has no header that can be read")
        shape, number = found
        header = shape.render_header(number)
        if file.size != shape.file_size:
            raise Damaged(what=path.name, why=f"it has {file.size} bytes where {shape.file_size} belong")
        os.posix_fadvise(file.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)  # from the medium, not from memory
        table = Table(shape, [file])
        total = hashlib.sha256()
        for at, size, row, column in _parts(shape, number):
            data = memoryview(bytearray(size))
            if not fill(file, data, at):
                raise Damaged(what=path.name, why=f"byte {at} cannot be read")
            if column is not None:
                good = hashlib.sha256(data).digest() == table.hash(row, column)
            elif at in (0, shape.file_size - HEADER):
                good = data == header
            else:
                good = shape.read_page(row, bytes(data)) is not None
            if not good:
                raise Damaged(what=path.name, why=f"its bytes from {at} on are not what was written")
            total.update(data)
            tell(size)
        return total.hexdigest()


def _parts(shape: Shape, number: int) -> Iterator[tuple[int, int, int, int | None]]:
    """Offset, size, and row and column of a block, or page number and None; headers have neither."""
    yield 0, HEADER, 0, None
    for page in range(shape.pages):
        yield shape.page_at(page)[0], PAGE, page, None
    own = shape.parity // shape.files
    for column in range(shape.columns + (number - 1) * own, shape.columns + number * own):
        for row in range(shape.rows):
            yield shape.place(row, column)[1], BLOCK, row, column
    for page in range(shape.pages):
        yield shape.page_at(page)[1], PAGE, page, None
    yield shape.file_size - HEADER, HEADER, 0, None
