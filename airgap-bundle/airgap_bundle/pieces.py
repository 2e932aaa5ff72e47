"""What the engine is given and what it gives: pieces of a medium, places for what matched, damage.

A *piece* says which bytes of which file must be which; a *sink* makes places for blobs (`Keep`); what is not
as it must be becomes a *damage*. All of it is about digests and bytes: bundles are the business of others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from airgap_bundle.errors import printable
from airgap_bundle.reading import Source

MOST_DAMAGES = 100
"""How many places of damage are remembered, if nothing else is said; all are counted."""


class Piece(NamedTuple):
    """Bytes of a file on the medium and what they must be.

    A tuple and not a dataclass: 100,000 of them are made while somebody waits.
    """

    source: Source
    at: int
    """Offset in the source."""
    size: int
    blob: str = ""
    """SHA-256 of the whole blob; empty for bytes that are predicted."""
    blob_size: int = 0
    offset: int = 0
    """Where in the blob these bytes stand. The pieces of a blob come in order and without a hole."""
    expected: bytes = b""
    """The predicted bytes, where `blob` is empty."""


class Damage(NamedTuple):
    """A place where the medium is not what was signed."""

    path: str
    at: int
    blob: str
    """Empty where predicted bytes differ."""
    why: str

    def __str__(self) -> str:
        """One clause for a person: what is damaged, where and how."""
        what = f"blob {self.blob[:12]}…" if self.blob else "the framing"
        return f"{what} at byte {self.at} of {printable(self.path)}: {self.why}"


class Keep(Protocol):
    """Where one large blob is written. It ends with exactly one of `settle` and `discard`."""

    def clone(self, source: Source, at: int, offset: int, size: int) -> bool:
        """Share the bytes instead of copying them, where the file system can; then `read` gives them."""

    def read(self, view: memoryview, offset: int) -> None:
        """What was cloned. It is hashed from here: what was hashed is what is kept."""

    def write(self, view: memoryview, offset: int) -> None:
        """Write a chunk. Several threads call it, for places that do not overlap."""

    def settle(self) -> None:
        """The digest matched: make it durable, then give it its name."""

    def discard(self) -> None:
        """It did not match, or the work was stopped. Does not raise."""


class Sink(Protocol):
    """What keeps the blobs that matched."""

    def begin(self, blob: str, size: int) -> Keep | None:
        """A place for a large blob; None when it is only to be hashed. The reading thread calls it."""

    def small(self, worker: int, blob: str, data: memoryview) -> None:
        """Keep a small blob, which matched. `data` is valid during the call; only that worker calls it."""

    def flush(self, worker: int) -> None:
        """Make what that worker kept durable, then give it its names."""


@dataclass
class Outcome:
    """What came of a run."""

    blobs: int = 0
    """How many matched."""
    size: int = 0
    """Bytes read."""
    damages: list[Damage] = field(default_factory=list)
    """The first of them, in no order."""
    damaged_blobs: int = 0
    damaged_framing: int = 0
    most: int = MOST_DAMAGES
    """How many damages are remembered."""
    given_up: bool = False
    """The medium could not be read in so many places that the rest was not tried."""

    def add(self, damage: Damage) -> None:
        """Count a damage."""
        if damage.blob:
            self.damaged_blobs += 1
        else:
            self.damaged_framing += 1
        if len(self.damages) < self.most:
            self.damages.append(damage)
