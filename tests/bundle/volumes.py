"""Write a made bundle as a container or volumes, straight from its layout and without `carry`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from airgap_bundle.container import VolumeLayout, lay_out
from airgap_bundle.cuts import choose_cuts
from airgap_bundle.volume_json import WHOLE, Cut
from tests.bundle.make_bundle import MadeBundle


def layouts(
    made: MadeBundle, volume_size: int | None = None, cuts: Sequence[Cut] = WHOLE
) -> list[VolumeLayout]:
    """How a bundle lies in volumes of at most `volume_size` bytes, or with these cuts."""
    named = [(name, len(data)) for name, data in made.files.items()]
    blobs = list(made.content.blobs.values())
    bundle, sequence = made.release.bundle, made.release.sequence
    if volume_size is not None:
        cuts = choose_cuts(named, blobs, volume_size, bundle=bundle, sequence=sequence)
    return lay_out(named, blobs, cuts, bundle=bundle, sequence=sequence)


def write_volumes(
    made: MadeBundle, to: Path, volume_size: int | None = None, cuts: Sequence[Cut] = WHOLE
) -> list[Path]:
    """Write all volumes into the folder `to` under their names; their paths in order."""
    to.mkdir(parents=True, exist_ok=True)
    paths = []
    for layout in layouts(made, volume_size, cuts):
        paths.append(to / layout.name)
        paths[-1].write_bytes(volume_bytes(made, layout))
    return paths


def volume_bytes(made: MadeBundle, layout: VolumeLayout) -> bytes:
    """The bytes of one volume."""
    out = bytearray(layout.size)
    for at, run in layout.framing(made.files):
        out[at : at + len(run)] = run
    for member in layout.members:
        if member.blob:
            blob = (made.folder / "blobs" / member.blob).read_bytes()
            out[member.at : member.at + member.size] = blob[
                member.blob_offset : member.blob_offset + member.size
            ]
    return bytes(out)
