"""Where stretches of the target occur in the bases, exactly or nearly.

Both are cut by FastCDC (Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach", USENIX
ATC 2016; normalisation off). Its gear hash at a cut depends on the 64 bytes before the cut alone, so equal
cuts are *anchors*: places where 64 bytes are probably equal, found at the same density everywhere and however
far the content has moved. The bases' anchors are kept in a table of bounded size. An anchor of the target
that is in the table is compared byte by byte in both directions: a long equal run becomes a copy, a short one
a hint that the bases have something alike there. Nothing is ever copied because hashes agree.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from pyfastcdc import FastCDC

from airgap_bundle.delta.blobs import Blobs
from airgap_bundle.delta.layout import MIB

READ = 4 * MIB
"""Bytes that are cut at once; the anchor at the end of each is lost, which is one in thousands."""
LEAST_CUT, MOST_CUT = 64, 64 * 1024
"""Bytes of a chunk. A chunk of MOST_CUT bytes was cut for its length, as in zeros: it anchors nothing."""
LEAST_ANCHOR = 2 * LEAST_CUT
"""Bytes: FastCDC leaves the first LEAST_CUT bytes of a chunk out of the hash, which needs 64 more."""
LEAST_COPY = 1024
"""Bytes: shorter runs cost more in the table than as matches of the frame, which finds them too."""
NEAR_BEFORE, NEAR_AFTER = 512, 1024
"""Bytes around an anchor that are compared first."""
LEAST_HINT = 32
"""Bytes: shorter runs are chance."""
MOST_ANCHORS = 1 << 21
"""Aimed at: of larger bases a sparser choice of anchors is taken."""
_SLOTS = 4_194_301
"""A prime below 2**22: the table takes 32 MiB."""
_PLACE_BITS = 48


@dataclass(frozen=True)
class Copy:
    """`length` bytes at `start` of the target that are the same at `place` of the bases."""

    start: int
    length: int
    place: int


@dataclass(frozen=True)
class Gap:
    """A stretch of the target without copies, and what is known of its likes in the bases."""

    start: int
    end: int
    before: int | None
    """Where in the bases the copy ends that ends at `start`, if one does."""
    after: int | None
    """Where in the bases the copy begins that begins at `end`, if one does."""
    hints: tuple[tuple[int, int], ...] = field(repr=False)
    """(place in the target, place in the bases), ascending by the first: here they are alike for a little."""


def cutter(base_size: int) -> FastCDC:
    """How base and target are cut: the larger the bases, the fewer anchors a megabyte. Bytes."""
    average = 256
    while base_size // average > MOST_ANCHORS and average < 4 * MIB:  # which FastCDC knows no more than
        average *= 2
    return FastCDC(average, min_size=LEAST_CUT, max_size=max(MOST_CUT, average * 4), normalized_chunking=0)


class Index:
    """The anchors of the bases. Of anchors that share a slot the first is kept."""

    def __init__(self, bases: Blobs) -> None:
        """Read all of the bases once. Raises OSError."""
        self.cutter = cutter(bases.size)
        self._most = self.cutter.max_size
        slots = min(_SLOTS, 4 * (bases.size // self.cutter.avg_size + 16) | 1)
        self._table = array("Q", bytes(8 * slots))
        self.digests = [hashlib.sha256() for _ in bases.sizes]
        start = 0
        for digest, size in zip(self.digests, bases.sizes, strict=True):
            for at in range(0, size, READ):
                data = bases.read(start + at, min(READ, size - at))
                digest.update(data)
                self._add(start + at, data)
            start += size

    def _add(self, start: int, data: bytes) -> None:
        table, slots, most, size = self._table, len(self._table), self._most, len(data)
        for chunk in self.cutter.cut_buf(memoryview(data)):
            if LEAST_ANCHOR <= chunk.length < most:
                gear = chunk.gear_hash
                slot = gear % slots
                end = chunk.offset + chunk.length
                if not table[slot] and end < size:
                    # 16 more bits of the hash tell most others of the slot apart without a look at the bases
                    table[slot] = (gear >> _PLACE_BITS) << _PLACE_BITS | start + end

    def find(self, gear: int) -> int | None:
        """Where the bases probably have the anchor with this hash: the offset of its end."""
        entry = self._table[gear % len(self._table)]
        if not entry or entry >> _PLACE_BITS != gear >> _PLACE_BITS:
            return None
        return entry & (1 << _PLACE_BITS) - 1


def matches(target: Blobs, bases: Blobs, index: Index) -> Iterator[Copy | Gap]:
    """All of the target in ascending order, without overlaps. Raises OSError."""
    return _Matcher(target, bases, index).all()


class _Matcher:
    def __init__(self, target: Blobs, bases: Blobs, index: Index) -> None:
        self._target, self._bases, self._index = target, bases, index
        self._done = 0
        """What lies before it has been given out."""
        self._before: int | None = None
        self._shift = 0
        """From target to bases, by the last copy: after a change both may go on alike."""
        self._hints: list[tuple[int, int]] = []

    def all(self) -> Iterator[Copy | Gap]:
        size = self._target.size
        if copy := self._at(0, b"", None):  # images that changed in place begin alike, and so do equal ones
            yield from self._give(copy)
        while self._done < size:
            start = self._done
            data = memoryview(self._target.read(start, min(READ, size - start)))
            while self._done < start + len(data):
                copy = self._next(start, data, self._done - start)
                if copy is None:
                    break
                yield from self._give(copy)
            if self._done < start + len(data):
                yield from self._give(None, start + len(data))

    def _next(self, start: int, data: memoryview, at: int) -> Copy | None:
        """The next copy whose anchor lies in `data`, which begins at `start` of the target, from `at` on."""
        most, size, find = self._index.cutter.max_size, len(data), self._index.find
        for chunk in self._index.cutter.cut_buf(data[at:]):
            length = chunk.length
            end = at + chunk.offset + length
            if LEAST_ANCHOR <= length < most and end < size:
                sample = bytes(data[end - LEAST_HINT : end])
                copy = self._at(start + end, sample, find(chunk.gear_hash))
                if copy is not None:
                    return copy
        return None

    def _at(self, here: int, sample: bytes, found: int | None) -> Copy | None:
        """The longest copy around `here` of the target; or a hint, when it is too short for one.

        `sample` is what precedes `here`; `found` is where it probably is in the bases.
        """
        best: Copy | None = None
        aligned = here + self._shift
        within = len(sample) <= aligned <= self._bases.size
        if within and self._bases.read(aligned - len(sample), len(sample)) == sample:  # a quick look
            best = self._around(here, aligned)
        if found is not None and not (best and found == aligned):
            other = self._around(here, found)
            if best is None or other.length > best.length:
                best = other
        if best is None or best.length >= LEAST_COPY:
            return best
        if best.length >= LEAST_HINT:
            self._hints.append((here, best.place + here - best.start))
        return None

    def _around(self, here: int, place: int) -> Copy:
        """The equal run around `here` of the target and `place` of the bases; without length when chance."""
        most_before = min(here - self._done, place)
        most_after = min(self._target.size - here, self._bases.size - place)
        # One look near by is enough for most.
        before, after = min(most_before, NEAR_BEFORE), min(most_after, NEAR_AFTER)
        ours = self._target.read(here - before, before + after)
        theirs = self._bases.read(place - before, before + after)
        sample = max(0, before - LEAST_HINT)
        if ours[sample:before] != theirs[sample:before]:
            return Copy(here, 0, place)
        back = _common_end(ours[:before], theirs[:before])
        if back == before:
            back = self._same_before(here, place, back, most_before)
        length = _common_start(ours[before:], theirs[before:])
        if length == after:
            length = self._same_after(here, place, length, most_after)
        return Copy(here - back, back + length, place - back)

    def _give(self, copy: Copy | None, end: int = 0) -> Iterator[Copy | Gap]:
        """What precedes a copy and the copy itself, or what precedes `end`."""
        after = copy.place if copy else None
        end = copy.start if copy else end
        if self._done < end:
            hints = tuple(hint for hint in self._hints if self._done <= hint[0] <= end)
            yield Gap(self._done, end, self._before, after, hints)
        self._hints.clear()
        self._done, self._before = end, None
        if copy:
            yield copy
            self._done, self._before = end + copy.length, copy.place + copy.length
            self._shift = copy.place - copy.start

    def _same_after(self, here: int, place: int, same: int, most: int) -> int:
        """How many bytes are equal from `here` and `place` on: `same` already, `most` at most."""
        step = 4 * NEAR_AFTER
        while same < most:
            length = min(step, most - same)
            ours, theirs = self._target.read(here + same, length), self._bases.read(place + same, length)
            if ours != theirs:
                return same + _common_start(ours, theirs)
            same += length
            step = min(step * 4, MIB)
        return same

    def _same_before(self, here: int, place: int, same: int, most: int) -> int:
        """How many bytes are equal before `here` and `place`: `same` already, `most` at most."""
        step = 4 * NEAR_BEFORE
        while same < most:
            length = min(step, most - same)
            ours = self._target.read(here - same - length, length)
            theirs = self._bases.read(place - same - length, length)
            if ours != theirs:
                return same + _common_end(ours, theirs)
            same += length
            step = min(step * 4, MIB)
        return same


def _common_start(a: bytes, b: bytes) -> int:
    """Bytes that two strings of one length have in common at their start."""
    low, high = 0, len(a)
    while high - low > 256:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    differ = int.from_bytes(a[low:high], "little") ^ int.from_bytes(b[low:high], "little")
    return low + ((differ & -differ).bit_length() - 1) // 8 if differ else high


def _common_end(a: bytes, b: bytes) -> int:
    """Bytes that two strings of one length have in common at their end."""
    low, high = 0, len(a)
    while high - low > 256:
        middle = (low + high) // 2
        if a[middle:high] == b[middle:high]:
            high = middle
        else:
            low = middle
    differ = int.from_bytes(a[low:high], "big") ^ int.from_bytes(b[low:high], "big")
    return len(a) - high + ((differ & -differ).bit_length() - 1) // 8 if differ else len(a) - low
