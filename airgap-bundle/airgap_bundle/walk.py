"""What to read of a located bundle, in the medium's order: all that is predicted, and the wanted blobs.

    for piece in walk(located, verified, wanted): ...

Metadata members are compared with what was verified: what was read then is what is still there.
"""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping

from airgap_bundle.content import Blob
from airgap_bundle.medium import Located, LocatedVolume
from airgap_bundle.pieces import Piece
from airgap_bundle.reading import Source


def walk(
    located: Located, metadata: Mapping[str, bytes], blobs: Mapping[str, Blob], wanted: Container[str]
) -> Iterator[Piece]:
    """The pieces of all that is here, volume by volume. Of blobs, those in `wanted`; all of the framing.

    `metadata`: the verified metadata by name. `blobs`: `Content.blobs`.
    """
    if located.blobs is not None:
        yield from _folder(os.fspath(located.blobs), blobs, wanted)
    for volume in located.volumes:
        yield from _volume(volume, metadata, blobs, wanted)


def here(located: Located, blobs: Mapping[str, Blob]) -> dict[str, int]:
    """For each blob of which anything is here, how many bytes: fewer than its size if a volume is missing."""
    if located.blobs is not None:
        return {sha256: blob.size for sha256, blob in blobs.items()}
    found: dict[str, int] = {}
    for volume in located.volumes:
        for sha256, _, size in volume.layout.pieces():
            found[sha256] = found.get(sha256, 0) + size
    return found


def framing_size(located: Located) -> int:
    """Bytes of the volumes that are no blob's."""
    return sum(
        volume.layout.size - sum(size for _, _, size in volume.layout.pieces()) for volume in located.volumes
    )


def partial(located: Located, wanted: Container[str], blobs: Mapping[str, Blob]) -> list[Piece]:
    """The pieces that are here of blobs in `wanted`."""
    return [piece for volume in located.volumes for piece in _volume(volume, {}, blobs, wanted) if piece.blob]


def _folder(folder: str, blobs: Mapping[str, Blob], wanted: Container[str]) -> Iterator[Piece]:
    for sha256, blob in blobs.items():
        if sha256 in wanted:
            source = Source(f"{folder}/{sha256}", blob.size, name=f"blobs/{sha256}")
            yield Piece(source, 0, blob.size, sha256, blob.size)


def _volume(
    volume: LocatedVolume, metadata: Mapping[str, bytes], blobs: Mapping[str, Blob], wanted: Container[str]
) -> Iterator[Piece]:
    layout = volume.layout
    source = Source(os.fspath(volume.path), layout.size, name=volume.path.name, descriptor=volume.descriptor)
    framing = layout.framing()
    for member in layout.members:
        if member.blob is not None and not member.size and member.blob in wanted:
            yield Piece(source, member.at, 0, member.blob, 0)
        if not member.size or member.name == "VOLUME.json":
            continue  # these are in the midst of a run
        at, run = next(framing)
        yield Piece(source, at, len(run), expected=run)
        if member.blob is None:
            if member.name in metadata:
                yield Piece(source, member.at, member.size, expected=metadata[member.name])
        elif member.blob in wanted:
            yield Piece(
                source, member.at, member.size, member.blob, blobs[member.blob].size, member.blob_offset
            )
    for at, run in framing:
        yield Piece(source, at, len(run), expected=run)
