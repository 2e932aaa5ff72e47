"""Make a delta: find copies, gather the rest into segments, pack each against its likes, prove the whole."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import zstandard

from airgap_bundle.delta.applier import apply
from airgap_bundle.delta.blobs import Blobs
from airgap_bundle.delta.dictionary import Portion, extents
from airgap_bundle.delta.errors import DeltaBaseMissing
from airgap_bundle.delta.layout import (
    BLOCK,
    MIB,
    MOST_BASES,
    MOST_DATA,
    MOST_DICTIONARY,
    MOST_STEPS,
    ZEROS,
    Blob,
    Header,
    Segment,
    Step,
    span,
)
from airgap_bundle.delta.matcher import Gap, Index, matches

PACKERS = 2
"""Segments that are packed at the same time; each takes some 40 MB."""


@dataclass(frozen=True)
class Base:
    """A blob that the receiver holds: its SHA-256 (hexadecimal), and where we have it."""

    sha256: str
    path: Path


@dataclass(frozen=True)
class Delta:
    """What was made. All numbers are bytes."""

    header: Header
    size: int
    """Of the delta."""
    copied: int
    """Of the target, that are copied out of the bases."""
    zeros: int
    """Of the target, that are runs of zeros."""
    data: int
    """Of the target, that are packed."""


def make(target: Path, bases: Sequence[Base], out: Path) -> Delta:
    """Write to `out`, replacing it, how `target` is rebuilt out of `bases` (1 to 8, in the order given).

    The same content in the same order gives the same bytes, with the same versions of zstandard and
    pyfastcdc. The delta is applied once before it gets its name. Memory does not depend on
    the sizes: below 200 MB. A crash can leave a file `OUT.partial`, which nobody reads.

    Raises DeltaBaseMissing (a base is not what it is called), OSError, ValueError (number of bases).
    """
    if not 1 <= len(bases) <= MOST_BASES or len({base.sha256 for base in bases}) < len(bases):
        raise ValueError(f"a delta has 1 to {MOST_BASES} different bases")
    partial = out.with_name(f"{out.name}.partial")
    try:
        with (
            Blobs([target]) as new,
            Blobs([base.path for base in bases]) as old,
            ThreadPoolExecutor(PACKERS) as pool,
            partial.open("wb") as file,
        ):
            digest = pool.submit(_digest, new)  # beside the look at the bases
            index = Index(old)
            for base, found in zip(bases, index.digests, strict=True):
                if found.hexdigest() != base.sha256:
                    raise DeltaBaseMissing(digest=base.sha256, why=f"{base.path} is not")
            named = (Blob(base.sha256, size) for base, size in zip(bases, old.sizes, strict=True))
            header = Header(Blob(digest.result(), new.size), tuple(named))
            file.write(header.encode())
            counts = dict.fromkeys(("copied", "zeros", "data"), 0)
            for segment in _packed(_drafts(new, old, index), new, old, pool):
                file.write(segment.encode())
                _count(counts, segment)
            size = file.tell()
        places = {base.sha256: base.path for base in bases}
        apply(partial, places.get, lambda _: None)  # a delta that does not rebuild must not be carried
        os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    return Delta(header, size, **counts)


def _digest(blobs: Blobs) -> str:
    digest = hashlib.sha256()
    for at in range(0, blobs.size, MIB):
        digest.update(blobs.read(at, min(MIB, blobs.size - at)))
    return digest.hexdigest()


def _count(counts: dict[str, int], segment: Segment) -> None:
    counts["data"] += segment.data
    for step in segment.steps:
        counts["zeros" if step.place == ZEROS else "copied"] += step.run


@dataclass
class _Draft:
    """A segment that is not packed yet."""

    steps: list[Step] = field(default_factory=list)
    pending: int = 0
    """Bytes of data after the last run."""
    size: int = 0
    """Bytes of data in all."""
    portions: list[Portion] = field(default_factory=list)
    """Where the data is, in the target."""

    def add_data(self, gap: Gap, start: int, end: int) -> int:
        """Take of the target from `start` to `end`, which is in `gap`, what there is room for; its end."""
        end = min(end, start + MOST_DATA - self.size)
        self.portions.append(Portion(gap, start, end))
        self.pending += end - start
        self.size += end - start
        return end

    def add_run(self, length: int, place: int) -> None:
        last = self.steps[-1] if self.steps and not self.pending else None
        if last and last.place == ZEROS == place:
            self.steps[-1] = Step(last.data, last.run + length, ZEROS)
        elif last and ZEROS not in (last.place, place) and last.place + last.run == place:
            self.steps[-1] = Step(last.data, last.run + length, last.place)
        else:
            self.steps.append(Step(self.pending, length, place))
            self.pending = 0

    @property
    def full(self) -> bool:
        return self.size == MOST_DATA or len(self.steps) == MOST_STEPS - 1

    def finished(self) -> _Draft:
        if self.pending:
            self.steps.append(Step(self.pending, 0, ZEROS))
            self.pending = 0
        return self


def _drafts(new: Blobs, old: Blobs, index: Index) -> Iterator[_Draft]:
    """All of the target as segments, each as full as can be: so each is larger than LEAST_SEGMENT."""
    draft = _Draft()
    for found in matches(new, old, index):
        if isinstance(found, Gap):
            for start, end, zeros in _stretches(new, found):
                if zeros:
                    draft.add_run(end - start, ZEROS)
                while not zeros and start < end:
                    start = draft.add_data(found, start, end)
                    if draft.full:
                        yield draft.finished()
                        draft = _Draft()
                if draft.full:
                    yield draft.finished()
                    draft = _Draft()
        else:
            draft.add_run(found.length, found.place)
            if draft.full:
                yield draft.finished()
                draft = _Draft()
    if draft.steps or draft.pending:
        yield draft.finished()


_ZERO_BLOCK = bytes(BLOCK)


def _stretches(new: Blobs, gap: Gap) -> Iterator[tuple[int, int, bool]]:
    """The gap as (start, end, whether it is of zeros), by turns; zeros are whole blocks of the target."""
    data = new.read(gap.start, gap.end - gap.start)
    start = at = 0
    was = False
    while at < len(data):
        end = min(at + BLOCK - (gap.start + at) % BLOCK, len(data))
        zeros = data[at:end] == _ZERO_BLOCK
        if zeros != was and start < at:
            yield gap.start + start, gap.start + at, was
            start = at
        was = zeros
        at = end
    yield gap.start + start, gap.end, was


def _packed(drafts: Iterator[_Draft], new: Blobs, old: Blobs, pool: ThreadPoolExecutor) -> Iterator[Segment]:
    """The segments in order. The compressor lets go of Python's lock, so packing goes on beside matching."""
    ahead: deque[Future[Segment]] = deque()
    for draft in drafts:
        ahead.append(pool.submit(_pack, draft, new, old))
        if len(ahead) > 2 * PACKERS:
            yield ahead.popleft().result()
    while ahead:
        yield ahead.popleft().result()


def _pack(draft: _Draft, new: Blobs, old: Blobs) -> Segment:
    if not draft.size:
        return Segment((), tuple(draft.steps), b"")
    chosen = extents(draft.portions, old.size)
    data = b"".join(new.read(portion.start, portion.end - portion.start) for portion in draft.portions)
    dictionary = zstandard.ZstdCompressionDict(
        b"".join(old.read(*span(extent, old.size)) for extent in chosen),
        dict_type=zstandard.DICT_TYPE_RAWCONTENT,
    )
    # Given in full, not as a level: what a level means is the library's to change. The search is thorough,
    # but its table fits a cache: twice the segment and the table give 1 % less in 1.4 times the time.
    parameters = zstandard.ZstdCompressionParameters(
        window_log=max(MOST_DICTIONARY, MOST_DATA).bit_length(),
        hash_log=20,
        chain_log=20,
        search_log=4,
        min_match=6,
        target_length=16,
        strategy=zstandard.STRATEGY_LAZY2,
        write_content_size=True,
        write_checksum=False,
        write_dict_id=False,
    )
    packer = zstandard.ZstdCompressor(compression_params=parameters, dict_data=dictionary)
    return Segment(chosen, tuple(draft.steps), packer.compress(data))
