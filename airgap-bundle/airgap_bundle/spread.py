"""Blobs that continue on other volumes, when the volumes come one at a time.

    STORE/incoming/<release>/<sha256>.pieces/data                        the bytes, at their places
    STORE/incoming/<release>/<sha256>.pieces/0000000000-0001073741824    a piece that is there, durable

A piece has no digest of its own, so nothing is known of it before the blob is whole: then the blob is read
once more, from our own disk, and gets its name if it matches. When all volumes are there at once, no blob
comes this way. Volumes may be cut differently the next time: what counts is which bytes are there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from airgap_bundle import pipeline
from airgap_bundle.chunks import CHUNK
from airgap_bundle.content import Blob
from airgap_bundle.durable import sync_folder
from airgap_bundle.incoming import Incoming
from airgap_bundle.pieces import Damage, Outcome, Piece
from airgap_bundle.reading import Source, Unreadable
from airgap_bundle.store import remove

_MARK = re.compile(r"([0-9]{16})-([0-9]{16})")
DATA = "data"


def take(incoming: Incoming, pieces: Iterable[Piece], outcome: Outcome) -> None:
    """Copy pieces that are not there yet; damage goes to `outcome`. Raises OSError."""
    for source, of_volume in groupby(pieces, key=lambda piece: piece.source):
        try:
            source.open()
        except Unreadable as why:
            outcome.add(Damage(source.name, 0, "", why.why))
            continue
        try:
            for piece in of_volume:
                _take_one(incoming.folder / f"{piece.blob}.pieces", piece, outcome)
        finally:
            source.close()


def whole(incoming: Incoming, blobs: dict[str, Blob]) -> list[str]:
    """The blobs of which every byte is there, not yet compared."""
    found: list[str] = []
    for folder in incoming.folder.glob("*.pieces"):
        blob = blobs.get(folder.name.removesuffix(".pieces"))
        if blob is not None and _covered(folder) >= blob.size:
            found.append(blob.sha256)
    return found


def join(incoming: Incoming, blobs: Iterable[Blob], outcome: Outcome) -> list[str]:
    """Compare blobs that are whole; those that match get their names. Gives them. Raises OSError."""
    joined = []
    for blob in blobs:
        folder = incoming.folder / f"{blob.sha256}.pieces"
        source = Source(os.fspath(folder / DATA), blob.size, name="its volumes")
        found = pipeline.run([Piece(source, 0, blob.size, blob.sha256, blob.size)])
        if found.damages:
            outcome.add(Damage("its volumes", 0, blob.sha256, found.damages[0].why))
        else:
            os.chmod(folder / DATA, 0o444)
            # Crash before this: it is compared again. After: it has its name, and an empty folder is left.
            os.rename(folder / DATA, incoming.folder / blob.sha256)
            sync_folder(incoming.folder)
            incoming.there[blob.sha256] = ""
            joined.append(blob.sha256)
        remove(folder)  # pieces of a blob that does not match are of no use: nobody knows which is wrong
    return joined


def _take_one(folder: Path, piece: Piece, outcome: Outcome) -> None:
    mark = folder / f"{piece.offset:016d}-{piece.offset + piece.size:016d}"
    if mark.exists():
        return
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / DATA, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.lseek(descriptor, piece.offset, os.SEEK_SET)
        buffer = memoryview(bytearray(min(CHUNK, piece.size)))
        for done in range(0, piece.size, CHUNK):
            view = buffer[: min(CHUNK, piece.size - done)]
            piece.source.read(view, piece.at + done)
            while view:
                view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)  # crash before this: no mark, and the piece is copied again
    except Unreadable as why:
        outcome.add(Damage(piece.source.name, why.at, piece.blob, why.why))
        return
    finally:
        os.close(descriptor)
    os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    sync_folder(folder)
    sync_folder(folder.parent)


def _covered(folder: Path) -> int:
    """How many bytes from the begin on are there without a hole."""
    marks = [match for path in folder.iterdir() if (match := _MARK.fullmatch(path.name))]
    reached = 0
    for begin, end in sorted((int(mark[1]), int(mark[2])) for mark in marks):
        if begin <= reached:
            reached = max(reached, end)
    return reached
