"""What a vector is: files, a trusted root, a date, and the outcome that every verifier must come to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airgap_bundle.volume_json import WHOLE, Cut
from vectors.forge import Change, Forged, Line, entry, forge

CLOCK = "2026-12-01T00:00:00Z"
ACCEPTED, REFUSED, INCOMPLETE = "accepted", "refused", "incomplete"
ONE = (entry("files/hello.txt", b"Hello, zone!\n"),)
"""The content of most vectors: one small file."""


@dataclass(frozen=True)
class Vector:
    """One vector; its folder is the medium."""

    name: str
    about: str
    """One sentence without its full stop: what is there, or which rule is broken."""
    write: Callable[[Path], Forged]
    """Writes the medium into a new folder."""
    verdict: str
    check: int | None
    """The number of the first failed check, when it is refused."""
    root: Callable[[Forged], bytes] = lambda made: made.root
    """Which root is trusted."""
    clock: str = CLOCK
    not_checked: tuple[int, ...] = (9,)
    """Checks that cannot be made of one that is not refused; 9 never can: a vector has no past."""


def accepted(name: str, about: str, write: Callable[[Path], Forged], **other: Any) -> Vector:
    """A vector that every verifier accepts."""
    return Vector(name, about, write, ACCEPTED, None, **other)


def incomplete(name: str, about: str, write: Callable[[Path], Forged], **other: Any) -> Vector:
    """A vector in which nothing is wrong, and something is missing."""
    return Vector(name, about, write, INCOMPLETE, None, **other)


def refused(name: str, check: int, about: str, write: Callable[[Path], Forged], **other: Any) -> Vector:
    """A vector that every verifier refuses at this check."""
    return Vector(name, about, write, REFUSED, check, **other)


def container(
    lines: Iterable[Line] = ONE,
    *,
    cuts: Sequence[Cut] = WHOLE,
    change: Change = lambda data: data,
    **hooks: Any,
) -> Callable[[Path], Forged]:
    """Write a forged bundle as containers; `change` damages their bytes, `hooks` are those of `forge`."""

    def write(out: Path) -> Forged:
        made = forge(lines, **hooks)
        made.container(out, cuts, change)
        return made

    return write


def folder(
    lines: Iterable[Line] = ONE,
    *,
    after: Callable[[Path, Forged], object] = lambda out, made: None,
    **hooks: Any,
) -> Callable[[Path], Forged]:
    """Write a forged bundle in the folder form; `after` damages it."""

    def write(out: Path) -> Forged:
        made = forge(lines, **hooks)
        made.folder(out)
        after(out, made)
        return made

    return write
