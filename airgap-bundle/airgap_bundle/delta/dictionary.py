"""Which parts of the bases a segment is packed against: those that its data is probably a version of.

Per gap of the target: what lies in the bases between its two neighbouring copies, if that is of a similar
length; else what follows the one and what precedes the other; and the surroundings of every hint. All of it
in whole blocks, in ascending order, and less far around when it does not fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airgap_bundle.delta.layout import BLOCK, KIB, MIB, MOST_DICTIONARY
from airgap_bundle.delta.matcher import Gap

REACHES = (4 * KIB, 1 * KIB, 0)
"""Bytes around hints and beyond neighbours, tried in this order."""
MOST_BESIDE = 1 * MIB
"""Bytes after or before a copy that are taken on one side."""
MOST_EXTENTS = 2048


@dataclass(frozen=True)
class Portion:
    """The part of a gap that a segment has the data of."""

    gap: Gap
    start: int
    end: int


def extents(portions: Sequence[Portion], base_size: int) -> tuple[tuple[int, int], ...]:
    """(first block, blocks) of the bases, ascending, apart from each other, MOST_DICTIONARY bytes at most.

    Bases that fit are taken whole.
    """
    blocks = -(-base_size // BLOCK)
    if blocks * BLOCK <= MOST_DICTIONARY:
        return ((0, blocks),) if blocks else ()
    for reach in REACHES:
        spans = [span for portion in portions for span in _near(portion, reach)]
        chosen = _joined(spans, blocks)
        if sum(length for _, length in chosen) * BLOCK <= MOST_DICTIONARY and len(chosen) <= MOST_EXTENTS:
            return chosen
    return _cut(chosen)


def _near(portion: Portion, reach: int) -> Iterator[tuple[int, int]]:
    """Spans (start, end) of the bases that are probably like the portion; they may reach outside."""
    gap = portion.gap
    length, before, after = gap.end - gap.start, gap.before, gap.after
    if before is not None and after is not None and 0 < after - before <= 4 * length + reach:
        start, end = (
            before + (at - gap.start) * (after - before) // length for at in (portion.start, portion.end)
        )
        yield start, end
    else:
        beside = min(portion.end - portion.start + reach, MOST_BESIDE)
        if before is not None and portion.start == gap.start:
            yield before, before + beside
        if after is not None and portion.end == gap.end:
            yield after - beside, after
    for here, place in gap.hints:
        if portion.start <= here <= portion.end:
            around = min(here - portion.start, reach) + 256, min(portion.end - here, reach) + 256
            yield place - around[0], place + around[1]


def _joined(spans: list[tuple[int, int]], blocks: int) -> tuple[tuple[int, int], ...]:
    """The blocks that the spans touch, of `blocks` that there are."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted((max(0, s // BLOCK), min(blocks, -(-e // BLOCK))) for s, e in spans):
        if end <= start:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return tuple((start, end - start) for start, end in joined)


def _cut(chosen: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """As many of them as fit."""
    room, kept = MOST_DICTIONARY // BLOCK, []
    for start, length in chosen[:MOST_EXTENTS]:
        if not room:
            break
        kept.append((start, min(length, room)))
        room -= kept[-1][1]
    return tuple(kept)
