"""What a medium that cannot be written means to a person: one sentence and a remedy."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airgap_bundle.errors import StateProblem
from airgap_bundle.sizes import words

PARTIAL = ".partial"
SPARE = 2**20
"""Bytes that are kept for sums, signature and carry sheet."""


class MediumFull(StateProblem):
    """The medium has too little room."""

    exit_code = 33
    message = "{to} is too small: {need} are needed, {free} are free, {short} are missing"
    hint = "Use a larger medium, or cut the bundle into volumes for several: --volume-size."


class FileTooLarge(StateProblem):
    """The medium's file system holds no file of this size."""

    exit_code = 33
    message = "the file system of {to} holds no file of {size}"
    hint = "Cut the bundle into volumes that fit: --volume-size fat32."


class CannotWrite(StateProblem):
    """The medium takes no bytes."""

    exit_code = 35
    message = "{to} cannot be written: {why}"
    hint = "Look for a write-protect switch and for permissions, or use another medium."


def check_room(to: Path, needed: int) -> None:
    """Raise MediumFull when `needed` bytes and a little more are not free where `to` is."""
    status = os.statvfs(to)
    free = status.f_bavail * status.f_frsize
    free += sum(path.stat().st_size for path in to.glob(f"*{PARTIAL}"))  # they are written over
    if free < needed + SPARE:
        raise MediumFull(to=to, need=words(needed), free=words(free), short=words(needed + SPARE - free))


@contextmanager
def write_problems(to: Path, size: int) -> Iterator[None]:
    """Turn the errors of writing `size` bytes below `to` into sentences.

    Raises MediumFull, FileTooLarge, CannotWrite.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            status = os.statvfs(to)
            free = status.f_bavail * status.f_frsize
            short = words(max(size - free, 1))
            raise MediumFull(to=to, need=words(size), free=words(free), short=short) from None
        if error.errno == errno.EFBIG:
            raise FileTooLarge(to=to, size=words(size)) from None
        raise CannotWrite(to=to, why=(error.strerror or str(error)).lower()) from None
