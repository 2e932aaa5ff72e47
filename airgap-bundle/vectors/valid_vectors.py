"""Bundles that every verifier accepts, or calls incomplete because part of them is not here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zstandard

from airgap_bundle import attest
from airgap_bundle.canonical import parse
from airgap_bundle.content import Part
from airgap_bundle.volume_json import Cut
from vectors.forge import (
    EXPIRES,
    Forged,
    Step,
    delta,
    entry,
    forge,
    held,
    key,
    new_people,
    packed,
    sha,
    whole_file,
)
from vectors.frames import frame
from vectors.vector import ONE, Vector, accepted, container, folder, incomplete

TEXT = b"".join(b"line %d of a text that compresses well\n" % n for n in range(2000))
"""76,890 bytes."""
NOISE = b"".join(bytes.fromhex(sha(b"noise %d" % n)) for n in range(2050))
"""65,600 bytes that do not compress: aligned in a container."""

SEVERAL = (
    entry("apt/pool/main/h/hello/hello_2.10-3_amd64.deb", NOISE, "application/vnd.debian.binary-package"),
    entry("documents/Überblick/日本語 の 文書.txt", "Grüße\n".encode()),
    entry("documents/empty.txt", b""),
    entry("documents/the same again.txt", b"the same\n"),
    entry("documents/the same.txt", b"the same\n"),
    packed("vulnerabilities/debian.json", TEXT, zstandard.ZstdCompressor(level=3).compress(TEXT)),
)
THREE = (Cut(0, 0), Cut(0, 40_000), Cut(1, 0))
"""Cuts of SEVERAL: the first blob lies in two volumes, the others in the third."""

ROTATION = (
    Step(),
    Step(edit=new_people("anna", "boris", "dora"), by=("anna", "boris")),
    Step(edit=new_people("boris", "dora", "emil"), by=("boris", "dora")),
)
"""Clara leaves, Dora comes; then Anna leaves, Emil comes."""
NEWEST = Step(by=("boris", "dora"))
"""Two of those who sign in the end."""


def edges() -> tuple[Any, ...]:
    """Entries at the limits of what a path may be."""
    return (
        entry("a/" + "/".join(["x" * 200] * 5) + "/" + "y" * 17, b"1,024 bytes"),
        entry("a/ǅ (a title-case letter)", b"1"),
        entry("a/é, composed", b"2"),
        entry("a/…and. so. on", b"3"),
        entry("a/\U0001fae0 (of Unicode 14)", b"4"),
        entry("a/.hidden", b"5"),
        entry("b-2/~$#@!%^&()[]{};'`,=+-_", b"6"),
    )


def attested(out: Path) -> Forged:
    """A bundle with two attestations, one of which has a name that no header holds."""
    lines = SEVERAL[1:]
    release = parse(next(d for n, d in forge(lines).files.items() if n.endswith("release.json")), "release")
    files = {}
    for name, team, who in (
        ("vulnerabilities", "scanners", "olga"),
        ("documents-" + "x" * 90, "writers", "pavel"),
    ):
        part = name.split("-")[0]
        sums = release["parts"][part]
        of = Part(sums["entries"], sums["bytes"], sums["sha256"])
        envelope = attest.attest(part, of, team, "read and tested", key(who))
        files[f"attestation-{name}.json"] = envelope.render()
    made = forge(lines, attestations=files)
    made.container(out)
    return made


def without_second(out: Path) -> Forged:
    """Volumes 1 and 3 of three."""
    made = forge(SEVERAL[1:])
    for name, data in made.volumes((Cut(0, 0), Cut(1, 0), Cut(2, 0))).items():
        if ".002-" not in name:
            out.mkdir(exist_ok=True)
            (out / name).write_bytes(data)
    return made


def beside(out: Path) -> Forged:
    """A container with what may lie beside it."""
    made = forge(ONE)
    made.container(out)
    for name in ("carry-sheet.html", "carry-sheet.txt", "SHA256SUMS", "SHA256SUMS.sig"):
        (out / name).write_bytes(b"not trusted, not shown, not copied\n")
    return made


def bound_by_tuf(name: str, *, both: bool) -> Any:
    """A step that binds the file below as TUF does; `both`: besides the digest of its signed part."""
    state: dict[str, bytes] = {}

    def keep(data: bytes) -> bytes:
        state["file"] = data
        return data

    def edit(value: dict[str, Any]) -> None:
        meta = value["meta"][name]
        meta |= whole_file(state["file"])
        if not both:
            del meta["x-signed-sha256"]

    return keep, edit


def bindings(*, both: bool) -> dict[str, Any]:
    """Steps that bind snapshot and targets as TUF does."""
    keep_targets, edit_snapshot = bound_by_tuf("targets.json", both=both)
    keep_snapshot, edit_timestamp = bound_by_tuf("snapshot.json", both=both)
    return {
        "targets": Step(file=keep_targets),
        "snapshot": Step(edit=edit_snapshot, file=keep_snapshot),
        "timestamp": Step(edit=edit_timestamp),
    }


def unknown(value: dict[str, Any]) -> None:
    """Fields that a later version may bring."""
    value["x-later"] = {"a": [1, None, True, "é"]}


def deep(value: dict[str, Any]) -> None:
    """A list at depth 16: the file is at depth 0."""
    inner: list[Any] = []
    for _ in range(14):
        inner = [inner]
    value["x-deep"] = inner


def zstd(level: int, **parameters: Any) -> bytes:
    """TEXT as a frame of zstandard's."""
    made = zstandard.ZstdCompressionParameters.from_level(level, write_content_size=True, **parameters)
    return zstandard.ZstdCompressor(compression_params=made).compress(TEXT)


FRAMES = (
    packed("z/checksum.txt", TEXT, zstd(3, write_checksum=True)),
    packed("z/fast.txt", TEXT[:-1], zstandard.ZstdCompressor(level=-5).compress(TEXT[:-1])),
    packed("z/raw-block.txt", b"as it is", frame(b"as it is")),
    packed("z/strong.txt", TEXT[:-2], zstandard.ZstdCompressor(level=19).compress(TEXT[:-2])),
    packed("z/window-of-8-mib.txt", b"in a window", frame(b"in a window", window=13 << 3)),
    packed("z/zeros.bin", bytes(300_000), zstandard.ZstdCompressor(level=3).compress(bytes(300_000))),
)
DELTAS = (
    delta("images/base.raw", b"an image, rebuilt", b"what changed", [sha(b"an image")]),
    entry("images/new.txt", b"this one is new\n"),
    held("pypi/kept-1.0-py3-none-any.whl", b"held where it goes"),
)

VECTORS: list[Vector] = [
    accepted("one-file", "one container, one file", container()),
    accepted("folder-form", "the same in the folder form", folder()),
    accepted(
        "several", "five parts of every kind: aligned, compressed, empty, twice the same", container(SEVERAL)
    ),
    accepted("several-in-a-folder", "most of the same in the folder form", folder(SEVERAL[1:])),
    accepted(
        "three-volumes",
        "the same in three volumes, with a blob in two of them",
        container(SEVERAL, cuts=THREE),
    ),
    incomplete(
        "volume-missing",
        "volume 2 of three is not here",
        without_second,
        not_checked=(9, 10, 11, 12),
    ),
    accepted("no-entries", "a release without any entry", container(())),
    accepted("beside", "a carry sheet and checksums lie beside the container", beside),
    accepted(
        "rotated",
        "root version 3: every version signed by its own and the previous two",
        container(roots=ROTATION, targets=NEWEST),
    ),
    accepted(
        "rotated-newest-trusted",
        "the same where version 3 is trusted already",
        container(roots=ROTATION, targets=NEWEST),
        root=lambda made: made.roots[-1],
    ),
    accepted(
        "five-of-five",
        "more signatures than the threshold asks for",
        container(
            people=("anna", "boris", "clara", "dora", "emil"),
            threshold=3,
            targets=Step(by=("anna", "boris", "clara", "dora", "emil")),
        ),
    ),
    accepted(
        "bound-by-tuf",
        "snapshot and targets bound by TUF's length and hashes",
        container(**bindings(both=False)),
    ),
    accepted("bound-twice", "snapshot and targets bound in both ways", container(**bindings(both=True))),
    accepted(
        "unknown-fields",
        "fields in what is signed that this version does not know",
        container(
            roots=(Step(edit=unknown),),
            targets=Step(edit=unknown),
            snapshot=Step(edit=unknown),
            timestamp=Step(edit=unknown),
        ),
    ),
    accepted("attestations", "two attestations, one with a name that takes a pax header", attested),
    accepted("paths", "paths at the limits of what they may be", container(edges())),
    accepted("frames", "zstd frames of several kinds", container(FRAMES)),
    accepted(
        "delta-and-held",
        "a delta, a new file, and one that did not travel",
        container(DELTAS),
        not_checked=(9, 12),
    ),
    accepted(
        "overdue",
        "the next bundle is overdue, which is told and not refused",
        container(),
        clock="2027-02-01T00:00:00Z",
    ),
    accepted(
        "last-second",
        "the second before everything expires",
        container(),
        clock=EXPIRES.replace("28T00:00:00", "27T23:59:59"),
    ),
    accepted(
        "minimum-root",
        "a release that asks for root version 3, and has it",
        container(roots=ROTATION, targets=NEWEST, release=lambda value: value.update(minimum_root=3)),
    ),
    accepted("deep", "nesting of just 16", container(timestamp=Step(edit=deep))),
    accepted("first", "sequence 1, which follows nothing", container(sequence=1)),
]
