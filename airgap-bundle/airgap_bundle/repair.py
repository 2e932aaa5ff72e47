"""Mend damaged or lost volumes from what is left of them and their parity (SPEC section 7).

    repaired = repair([Path("/media/usb")], Path("mended"))

First everything is read and hashed block by block, to find out whether each row has enough good blocks left.
Only then new files are written, beside what is there and not over it, and each mended block is compared with
its hash. What comes out is as untrusted as what was carried: verify it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import zfec  # type: ignore[import-untyped]

from airgap_bundle.durable import sync_folder
from airgap_bundle.errors import BundleRefused, StateProblem
from airgap_bundle.parity import strip_of
from airgap_bundle.parity_file import BLOCK, Shape
from airgap_bundle.parity_set import File, Table, fill, is_good, open_set
from airgap_bundle.write_problems import PARTIAL, write_problems

_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class BeyondRepair(BundleRefused):
    """More is damaged than the parity can mend."""

    exit_code = 44
    message = (
        "{short} blocks of 1 MiB are damaged beyond repair: parity mends {parity} in each row of {width}, "
        "and {rows} of {of} rows have more ({where})"
    )
    hint = "Carry these volumes again: {files}."


class NowhereToWrite(StateProblem):
    """The mended file is there already."""

    exit_code = 31
    message = "{path} is there already"
    hint = "Name an empty folder for the mended volumes."


@dataclass(frozen=True)
class Mended:
    """A volume that was damaged or lost, and is whole again."""

    name: str
    path: Path
    """Where it is now."""
    lost: bool
    """It was not there at all."""
    ranges: tuple[tuple[int, int], ...]
    """The bytes that were mended: first, and behind the last."""

    def __str__(self) -> str:
        """One line for a person."""
        if self.lost:
            return f"{self.name} was not there and is rebuilt"
        where = ", ".join(f"{first} to {behind - 1}" for first, behind in self.ranges[:8])
        more = f" and in {len(self.ranges) - 8} other places" if len(self.ranges) > 8 else ""
        return (
            f"{self.name} is mended at bytes {where}{more}"
            if self.ranges
            else f"{self.name} is cut to its length"
        )


@dataclass(frozen=True)
class Repaired:
    """What came of it."""

    mended: tuple[Mended, ...]
    sound: tuple[str, ...]
    """Volumes that needed nothing."""
    parity_damaged: int
    """Blocks and pages of parity that were found damaged; make the parity again when this is not 0."""


@dataclass
class _Found:
    """What a scan found."""

    damaged: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """By row, the columns of data that are damaged."""
    spare: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """By such a row, the columns of parity that are good; no more than are needed."""
    parity_damaged: int = 0


def repair(
    paths: Sequence[Path],
    out: Path | None,
    *,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Repaired:
    """Write what is damaged or lost of a bundle's volumes into the folder `out`; None mends in place.

    `paths`: volumes, parity files, and folders in which they lie. `tell` gets rows scanned, of how many.

    Raises NoParityHere, BeyondRepair, VolumesMixed, NowhereToWrite, and MediumFull, CannotWrite: then no new
    file is left.
    """
    with ExitStack() as stack:
        shape, files, table = open_set(paths, stack)
        _check_enough(shape, files)
        found = _scan(shape, files, table, tell)
        _check_mendable(shape, files, found)
        broken = [n for n, size in enumerate(shape.sizes) if _is_broken(shape, files[n], size, n, found)]
        size = sum(shape.sizes[number] for number in broken)
        with write_problems(out or beside(files), size):
            mended = _mend(shape, files, table, found, broken, out, stack)
        sound = [name for n, name in enumerate(shape.names()) if n not in broken]
        return Repaired(tuple(mended), tuple(sound), found.parity_damaged + table.damaged)


def _is_broken(shape: Shape, file: File, size: int, number: int, found: _Found) -> bool:
    columns = range(number * shape.per_volume, (number + 1) * shape.per_volume)
    return (
        file.path is None
        or file.size != size
        or any(column in columns for row in found.damaged.values() for column in row)
    )


def _scan(shape: Shape, files: Sequence[File], table: Table, tell: Callable[[int, int], None]) -> _Found:
    """Read all data, and as much parity as is needed for what is damaged."""
    found = _Found()
    buffer = memoryview(bytearray(BLOCK))
    for row in range(shape.rows):
        bad = tuple(
            column
            for column in range(shape.columns)
            if shape.length(row, column) and not is_good(shape, files, table, row, column, buffer)
        )
        if bad:
            found.damaged[row] = bad
            spare: list[int] = []
            for column in range(shape.columns, shape.width):
                if len(spare) == len(bad):
                    break
                if is_good(shape, files, table, row, column, buffer):
                    spare.append(column)
                else:
                    found.parity_damaged += 1
            found.spare[row] = tuple(spare)
        tell(row + 1, shape.rows)
    return found


def _check_enough(shape: Shape, files: Sequence[File]) -> None:
    """Stop early where no row can have enough; a forged header could ask for endless work."""
    needed, left = sum(shape.sizes), sum(file.size for file in files)
    if left < needed // 2:
        lost = [file.name for file in files[: len(shape.sizes)] if file.path is None]
        raise BeyondRepair(
            short=(needed - left) // BLOCK,
            parity=shape.parity,
            width=shape.width,
            rows=shape.rows,
            of=shape.rows,
            where=f"{left} of {needed} bytes are left",
            files=", ".join(lost or shape.names()),
        )


def _check_mendable(shape: Shape, files: Sequence[File], found: _Found) -> None:
    short = {
        row: len(bad) - len(found.spare[row])
        for row, bad in found.damaged.items()
        if len(bad) > len(found.spare[row])
    }
    if not short:
        return
    numbers = {shape.place(row, column)[0] for row in short for column in found.damaged[row]}
    worst = max(short, key=lambda row: len(found.damaged[row]))
    raise BeyondRepair(
        short=sum(short.values()),
        parity=shape.parity,
        width=shape.width,
        rows=len(short),
        of=shape.rows,
        where=f"row {worst} has {len(found.damaged[worst])}",
        files=", ".join(files[number].name for number in sorted(numbers)),
    )


def _mend(
    shape: Shape,
    files: Sequence[File],
    table: Table,
    found: _Found,
    broken: Sequence[int],
    out: Path | None,
    stack: ExitStack,
) -> list[Mended]:
    """Write the broken volumes, whole."""
    targets: dict[int, tuple[Path, int]] = {}
    folder = out or beside(files)
    try:
        for number in broken:
            targets[number] = _target(files[number], shape.sizes[number], out, folder, stack)
        for row, bad in sorted(found.damaged.items()):
            _mend_row(shape, files, table, row, bad, found.spare[row], targets)
        for path, descriptor in targets.values():
            os.fsync(descriptor)
            if path.name.endswith(PARTIAL):
                path.rename(path.with_name(path.name.removesuffix(PARTIAL)))
                sync_folder(path.parent)
    finally:
        for path, _ in targets.values():
            if path.name.endswith(PARTIAL):
                path.unlink(missing_ok=True)
    ranges = _ranges(shape, found)
    return [
        Mended(
            files[number].name,
            path.with_name(path.name.removesuffix(PARTIAL)),
            files[number].path is None,
            tuple(ranges.get(number, ())),
        )
        for number, (path, _) in targets.items()
    ]


def beside(files: Sequence[File]) -> Path:
    """Where the volumes lie: a lost one that is to be mended in place goes there too."""
    return next(file.path.parent for file in files if file.path is not None)


def _target(file: File, size: int, out: Path | None, folder: Path, stack: ExitStack) -> tuple[Path, int]:
    """A file to mend in: a copy in `out`, or the file itself; always of the right length."""
    if out is None and file.path is not None:
        path, flags = file.path, os.O_WRONLY | _OPEN
    else:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / file.name).exists():
            raise NowhereToWrite(path=folder / file.name)
        path, flags = folder / (file.name + PARTIAL), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | _OPEN
    descriptor = os.open(path, flags, 0o644)
    stack.callback(os.close, descriptor)
    if out is not None and file.path is not None:
        _copy(file, descriptor, min(size, file.size))
    os.ftruncate(descriptor, size)
    return path, descriptor


def _copy(file: File, descriptor: int, size: int) -> None:
    """Copy what can be read; what cannot is damaged and will be written over."""
    buffer = memoryview(bytearray(BLOCK))
    for at in range(0, size, BLOCK):
        view = buffer[: min(BLOCK, size - at)]
        if fill(file, view, at):
            _put(descriptor, view, at)


def _put(descriptor: int, view: memoryview | bytes, at: int) -> None:
    rest = memoryview(view)
    while rest:
        done = os.pwrite(descriptor, rest, at)
        rest, at = rest[done:], at + done


def _mend_row(
    shape: Shape,
    files: Sequence[File],
    table: Table,
    row: int,
    bad: Sequence[int],
    spare: Sequence[int],
    targets: dict[int, tuple[Path, int]],
) -> None:
    """Compute the damaged blocks of a row from all others; write those whose hash is right."""
    decoder = zfec.Decoder(shape.columns, shape.width)
    # The decoder wants each good block in its own place, and parity in the places of the damaged ones.
    stand_in = dict(zip(bad, spare, strict=True))
    columns = [stand_in.get(column, column) for column in range(shape.columns)]
    hashers = {column: hashlib.sha256() for column in bad}
    step = strip_of(shape)
    views = [memoryview(bytearray(step)) for _ in columns]
    for at in range(0, BLOCK, step):
        for column, view in zip(columns, views, strict=True):
            _read_strip(shape, files, row, column, at, view)
        whole = decoder.decode(views, columns)
        for column in bad:
            data = bytes(whole[column])
            hashers[column].update(data)
            number, place = shape.place(row, column)
            length = min(max(shape.length(row, column) - at, 0), step)
            _put(targets[number][1], data[:length], place + at)
    for column, hasher in hashers.items():
        expected = table.hash(row, column)
        if expected is not None and hasher.digest() != expected:
            raise BeyondRepair(
                short=len(bad),
                parity=shape.parity,
                width=shape.width,
                rows=1,
                of=shape.rows,
                where=f"row {row} changed while it was read",
                files=files[shape.place(row, column)[0]].name,
            )


def _read_strip(
    shape: Shape, files: Sequence[File], row: int, column: int, at: int, view: memoryview
) -> None:
    number, place = shape.place(row, column)
    length = min(max(shape.length(row, column) - at, 0), len(view))
    if length and not fill(files[number], view[:length], place + at):
        view[:length] = bytes(length)  # it was good a moment ago; the hash of what is mended will tell
    if length < len(view):
        view[length:] = bytes(len(view) - length)


def _ranges(shape: Shape, found: _Found) -> dict[int, list[tuple[int, int]]]:
    """By volume, the bytes that were damaged, neighbours together."""
    places: dict[int, list[tuple[int, int]]] = {}
    for row, bad in found.damaged.items():
        for column in bad:
            number, at = shape.place(row, column)
            places.setdefault(number, []).append((at, at + shape.length(row, column)))
    merged: dict[int, list[tuple[int, int]]] = {}
    for number, runs in places.items():
        for first, behind in sorted(runs):
            known = merged.setdefault(number, [])
            if known and known[-1][1] == first:
                known[-1] = (known[-1][0], behind)
            else:
                known.append((first, behind))
    return merged
