"""VOLUME.json: what a volume says of itself, and the names and limits of metadata files (SPEC section 6).

    {"bundle":"zone-updates","cuts":[[0,0],[211,0]],"format":"airgap-bundle/volume/1",
     "metadata":[["metadata/1.root.json",2711],...],"sequence":7,"volume":2}

No signature covers it. It tells a reader where the metadata is and where the volumes begin; all of it is
compared with what is signed as soon as that is verified.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from airgap_bundle.canonical import Json, malformed, parse, render
from airgap_bundle.content import MOST_BYTES, Blob
from airgap_bundle.release import count, match

FORMAT = "airgap-bundle/volume/1"
WHAT = "VOLUME.json"
LARGEST_VOLUME_JSON = 256 * 1024
"""Bytes. 1,024 roots, 256 attestations and 999 cuts take less than half of it."""
MOST_VOLUMES = 999
MOST_ROOTS = 1024

_STREAM = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_METADATA = re.compile(
    r"metadata/(?:([1-9][0-9]{0,3})\.root|(timestamp)|([1-9][0-9]{0,15})\.(snapshot|targets))\.json"
    r"|targets/[0-9a-f]{64}\.(release\.json|content\.ndjson|attestation-[a-z0-9-]{1,100}\.json)"
)
_ORDER = {"timestamp": 2, "snapshot": 3, "targets": 4, "release.json": 5, "content.ndjson": 6}
_LIMITS = {"targets": 5_000_000, "release.json": 1_000_000, "content.ndjson": MOST_BYTES}


_LAST = re.compile(rb',"volume":([1-9][0-9]{0,2})\}$')


class Cut(NamedTuple):
    """Where a volume begins."""

    blob: int
    """Number of the blob in their order, from 0."""
    offset: int
    """Byte in it."""


WHOLE: Sequence[Cut] = (Cut(0, 0),)
"""The cuts of a bundle in one container."""


@dataclass(frozen=True)
class VolumeJson:
    """One volume's VOLUME.json; those of one bundle differ in `volume` only."""

    bundle: str
    sequence: int
    metadata: tuple[tuple[str, int], ...]
    """Names and sizes of the metadata members in their order."""
    cuts: tuple[Cut, ...]
    volume: int
    """The number of this volume, from 1."""

    @property
    def volumes(self) -> int:
        """How many volumes there are."""
        return len(self.cuts)

    def render(self) -> bytes:
        """The canonical bytes of VOLUME.json."""
        common = _common(self.bundle, self.sequence, self.metadata, self.cuts)
        return common[:-1] + b',"volume":%d}' % self.volume

    def sibling(self, data: bytes) -> VolumeJson | None:
        """What `data` says if it is another volume's VOLUME.json of this bundle; saves reading all of it."""
        found = _LAST.search(data[-20:])
        made = replace(self, volume=int(found[1])) if found else None
        return made if made and made.volume <= made.volumes and made.render() == data else None

    @classmethod
    def parse(cls, data: bytes) -> VolumeJson:
        """Read VOLUME.json. Raises Malformed."""
        if len(data) > LARGEST_VOLUME_JSON:
            malformed(WHAT, f"it is larger than {LARGEST_VOLUME_JSON} bytes")
        value = parse(data, WHAT)
        try:
            made = cls._of(value)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            malformed(WHAT, f"a field is missing or wrong ({str(error)[:100]})")
        if made.render() != data:
            malformed(WHAT, "it has fields that this version does not know")
        return made

    @classmethod
    def _of(cls, value: dict[str, Any]) -> VolumeJson:
        if value["format"] != FORMAT:
            malformed(WHAT, f"its format is not {FORMAT}")
        made = cls(
            bundle=match(_STREAM, value["bundle"]),
            sequence=count(value["sequence"], least=1),
            metadata=tuple((match(_METADATA, name), count(size)) for name, size in value["metadata"]),
            cuts=tuple(Cut(count(blob), count(offset)) for blob, offset in value["cuts"]),
            volume=count(value["volume"], least=1),
        )
        if not made.volume <= made.volumes <= MOST_VOLUMES:
            raise ValueError(f"there are 1 to {MOST_VOLUMES} volumes, and this is one of them")
        if made.cuts[0] != WHOLE[0] or any(a >= b for a, b in pairwise(made.cuts)):
            raise ValueError("the cuts do not begin at 0 and go forward")
        names = [name for name, _ in made.metadata]
        if any(order_of(a) >= order_of(b) for a, b in pairwise(names)):
            raise ValueError("the metadata's names are not in their order")
        if any(size > limit_of(name) for name, size in made.metadata):
            raise ValueError("a metadata file is larger than any may be")
        return made


@lru_cache(maxsize=8)
def _common(
    bundle: str, sequence: int, metadata: tuple[tuple[str, int], ...], cuts: tuple[Cut, ...]
) -> bytes:
    """VOLUME.json without `volume`, which comes last: the same for all volumes of a bundle."""
    names: list[Json] = [[name, size] for name, size in metadata]
    return render(
        {
            "bundle": bundle,
            "cuts": [[cut.blob, cut.offset] for cut in cuts],
            "format": FORMAT,
            "metadata": names,
            "sequence": sequence,
        }
    )


def is_metadata(name: str) -> bool:
    """Whether `name` may be a metadata or target file of a bundle, such as `metadata/1.root.json`."""
    found = _METADATA.fullmatch(name)
    return found is not None and (found[1] is None or int(found[1]) <= MOST_ROOTS)


def order_of(name: str) -> tuple[int, int, str]:
    """Sorts metadata names as the container holds them. Raises Malformed: not such a name."""
    found = _METADATA.fullmatch(name)
    if found is None or not is_metadata(name):
        malformed(WHAT, f"{name!r} is not the name of a metadata file")
    root, timestamp, version, role, target = found.groups()
    if root:
        return 1, int(root), ""
    return _ORDER.get(timestamp or role or target, 7), int(version or 0), target or ""


def limit_of(name: str) -> int:
    """The most bytes that the metadata file `name` may have (SPEC section 1)."""
    found = _METADATA.fullmatch(name)
    if found is None:
        return 0
    *_, role, target = found.groups()
    return _LIMITS.get(role or target or "", 1_000_000 if target else 512_000)


def check_cuts(cuts: Sequence[Cut], blobs: Sequence[Blob]) -> None:
    """Raise Malformed unless volumes so cut hold every byte of `blobs` once, and none is empty."""
    if not cuts or cuts[0] != WHOLE[0] or len(cuts) > MOST_VOLUMES:
        malformed(WHAT, f"there are 1 to {MOST_VOLUMES} volumes, and the first begins at the first blob")
    for before, cut in pairwise(cuts):
        if cut <= before or cut.blob >= len(blobs) or cut.offset >= max(blobs[cut.blob].size, 1):
            malformed(WHAT, f"a volume begins at byte {cut.offset} of blob {cut.blob}, and none can")


def file_name(bundle: str, sequence: int, volume: int = 1, volumes: int = 1) -> str:
    """The name of a container, or of one of several volumes."""
    return (
        f"{bundle}-{sequence}.bundle"
        if volumes == 1
        else f"{bundle}-{sequence}.{volume:03d}-of-{volumes:03d}.bundle"
    )
