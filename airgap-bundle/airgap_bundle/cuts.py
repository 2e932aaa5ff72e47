"""Where to cut a bundle so that each volume fits its medium (SPEC section 6)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from airgap_bundle.container import BLOCK, PAGE, head_size, lay_out, next_at
from airgap_bundle.content import Blob
from airgap_bundle.errors import InputProblem
from airgap_bundle.volume_json import MOST_VOLUMES, WHOLE, Cut, VolumeJson

CUT_STEP = 2**20
"""Bytes: a blob that is larger than a volume is cut at a multiple of it. Readers accept any place."""


class VolumesTooSmall(InputProblem):
    """The asked size of volumes cannot hold this bundle."""

    exit_code = 14
    message = "{why}"
    hint = "Choose larger volumes."


def choose_cuts(
    metadata: Iterable[tuple[str, int]], blobs: Sequence[Blob], capacity: int, *, bundle: str, sequence: int
) -> tuple[Cut, ...]:
    """Cut a bundle so that no volume is larger than `capacity` bytes.

    A blob is cut only when no volume could hold it whole. The size of VOLUME.json depends on the cuts, and
    they on its size: room is kept for the longest that so many cuts can be, and the outcome is measured.

    Raises VolumesTooSmall.
    """
    named = tuple(metadata)
    room, expected = capacity, 1
    while True:
        longest = tuple(Cut(max(len(blobs), 1), 2**53 - 1) for _ in range(expected))
        reserved = len(VolumeJson(bundle, sequence, named, longest, MOST_VOLUMES).render())
        cuts = _cuts(head_size(reserved, named), blobs, room)
        if len(cuts) > MOST_VOLUMES:
            raise VolumesTooSmall(why=f"volumes of {capacity} bytes would be more than {MOST_VOLUMES}")
        if len(cuts) > expected:
            expected = len(cuts)
            continue
        if all(v.size <= capacity for v in lay_out(named, blobs, cuts, bundle=bundle, sequence=sequence)):
            return cuts
        room -= PAGE  # where VOLUME.json came out smaller, alignment can cost a page more


def _cuts(head: int, blobs: Sequence[Blob], capacity: int) -> tuple[Cut, ...]:
    """Fill volumes one after the other. Raises VolumesTooSmall."""
    last = capacity // PAGE * PAGE - 2 * BLOCK  # members end here at most
    if head > last:
        raise VolumesTooSmall(why=f"a volume of {capacity} bytes does not hold the metadata ({head} bytes)")
    cuts, at = [WHOLE[0]], head
    for number, blob in enumerate(blobs):
        if next_at(at, blob.size) <= last:
            at = next_at(at, blob.size)
        elif next_at(head, blob.size) <= last:
            cuts.append(Cut(number, 0))
            at = next_at(head, blob.size)
        else:
            at = _spread(cuts, number, blob.size, at, head, last)
        if len(cuts) > MOST_VOLUMES:
            break
    return tuple(cuts)


def _spread(cuts: list[Cut], number: int, size: int, at: int, head: int, last: int) -> int:
    """Lay a blob that no volume holds over several, from the room that is left in this one."""
    offset = 0
    while next_at(at, size - offset) > last:
        piece = (last - at) // CUT_STEP * CUT_STEP
        while piece > 0 and next_at(at, piece) > last:
            piece -= CUT_STEP
        if piece <= 0 and at == head:
            raise VolumesTooSmall(why=f"a volume of {last} bytes has no room for {CUT_STEP} bytes of a blob")
        offset += max(piece, 0)
        cuts.append(Cut(number, offset))
        at = head
        if len(cuts) > MOST_VOLUMES:
            break
    return next_at(at, size - offset)
