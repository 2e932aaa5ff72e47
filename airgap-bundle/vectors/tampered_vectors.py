"""Good bundles that somebody or something damaged, mixed, cut, or added to after they were signed."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from airgap_bundle.container import header
from airgap_bundle.volume_json import Cut
from vectors import curve
from vectors.forge import Forged, Line, Step, entry, forge, key, key_id, new_people
from vectors.invalid_vectors import edit, replaced
from vectors.valid_vectors import NOISE
from vectors.vector import ONE, Vector, container, folder, refused

HELLO = b"Hello, zone!\n"
PAIR = (entry("files/a.txt", b"one of two files\n"), entry("files/b.txt", b"two of two files\n"))
LARGE = (entry("files/noise.bin", NOISE),)
CUTS = (Cut(0, 0), Cut(0, 7), Cut(1, 0))
"""Cuts of PAIR: the first blob lies in volumes 1 and 2."""
OTHER = (entry("files/hello.txt", b"Other things.\n"),)
VOLUME_SIZE = re.compile(rb'(content\.ndjson",)(\d+)\]\]')
Damage = Callable[[bytes], bytes]


def flip(where: bytes, by: int = 0) -> Damage:
    """Flip the lowest bit of the byte `by` bytes behind the last place where `where` is found."""

    def damage(data: bytes) -> bytes:
        at = data.rindex(where) + by
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return damage


def damaged(name: str, check: int, about: str, change: Damage, lines: Sequence[Line] = ONE) -> Vector:
    """A container whose bytes were changed."""
    return refused(name, check, about, container(lines, change=change))


def in_folder(name: str, check: int, about: str, after: Callable[[Path, Forged], object]) -> Vector:
    """A bundle in the folder form that was changed."""
    return refused(name, check, about, folder(PAIR, after=after))


def swapped(data: bytes, one: bytes, other: bytes) -> bytes:
    """`data` with two texts of one length in each other's places."""
    a, b = data.rindex(one), data.rindex(other)
    assert a < b, "they stand in this order"
    return data[:a] + other + data[a + len(one) : b] + one + data[b + len(other) :]


def members_swapped(data: bytes) -> bytes:
    """The two blobs of PAIR with their headers in each other's places."""
    a, b = (data.rindex(text) - 512 for text in (b"one of two files\n", b"two of two files\n"))
    return data[:a] + data[b : b + 1024] + data[a : a + 1024] + data[b + 1024 :]


def zeroed(data: bytes) -> bytes:
    """A sector of 4 KiB that reads as zeros."""
    at = data.index(NOISE[:64])
    return data[: at + 4096] + bytes(4096) + data[at + 8192 :]


def resized(data: bytes, old: bytes, new: bytes) -> bytes:
    """`data` with a text of VOLUME.json replaced, and its header made to fit; the rest stays where it is."""
    size = int(data[124:135], 8)
    text = replaced(data[512 : 512 + size], old, new)
    assert len(text) <= 1024, "it still fits into its blocks"
    return header("VOLUME.json", len(text)) + text + data[512 + len(text) :]


def volumes(change: Callable[[dict[str, bytes]], dict[str, bytes]]) -> Callable[[Path], Forged]:
    """Three volumes, as `change` leaves them, by their files' names."""

    def write(out: Path) -> Forged:
        made = forge(PAIR)
        out.mkdir(parents=True)
        for name, data in change(made.volumes(CUTS)).items():
            (out / name).write_bytes(data)
        return made

    return write


def volume(number: int, change: Damage) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    """Change one of three volumes."""
    return lambda files: {n: change(d) if f".00{number}-" in n else d for n, d in files.items()}


def renamed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Volumes 2 and 3 with each other's names."""
    one, two, three = files
    return {one: files[one], two: files[three], three: files[two]}


def from_elsewhere(**hooks: Any) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    """The third volume replaced by that of another bundle."""

    def change(files: dict[str, bytes]) -> dict[str, bytes]:
        others = forge(PAIR, **hooks).volumes(CUTS)
        [*kept, _] = files.items()
        return dict([*kept, list(others.items())[-1]])

    return change


def mixed(*names: str) -> Callable[[Path], Forged]:
    """A container with these metadata files of another bundle of the same number."""

    def write(out: Path) -> Forged:
        made, other = forge(ONE), forge(OTHER)
        for name in names:
            [mine] = [n for n in made.files if n.endswith(name)]
            [theirs] = [n for n in other.files if n.endswith(name)]
            made.files = {
                theirs if n == mine else n: other.files[theirs] if n == mine else d
                for n, d in made.files.items()
            }
        made.container(out)
        return made

    return write


def plain_tar(data: bytes) -> bytes:
    """The same members as any tar would write them."""
    made = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive, tarfile.open(fileobj=made, mode="w") as out:
        for member in archive:
            member.mtime = 1_800_000_000
            out.addfile(member, archive.extractfile(member))
    return made.getvalue()


def replayed(signatures: dict[str, str], part: bytes) -> None:
    """The timestamp key's good signature over another text."""
    signatures[key_id("timestamp")] = (
        key("timestamp").sign(replaced(part, b'"version":7}', b'"version":6}')).hex()
    )


def zeros(signatures: dict[str, str], part: bytes) -> None:
    """Signatures of zeros."""
    signatures.update(dict.fromkeys(signatures, "0" * 128))


def upper(signatures: dict[str, str], part: bytes) -> None:
    """Good signatures in upper-case digits."""
    signatures.update({keyid: sig.upper() for keyid, sig in signatures.items()})


def put(name: str, data: bytes = b"not from us\n") -> Callable[[Path, Forged], object]:
    """Add or replace a file of the folder form."""

    def after(out: Path, made: Forged) -> None:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(data)

    return after


def blob(change: Callable[[Path], object]) -> Callable[[Path, Forged], object]:
    """Change the file of the first blob of the folder form."""
    return lambda out, made: change(out / "blobs" / next(iter(made.blobs)))


def beside(name: str) -> Callable[[Path], Forged]:
    """A container with a stray file beside it."""

    def write(out: Path) -> Forged:
        made = forge(ONE)
        made.container(out)
        (out / name).write_bytes(b"not from us\n")
        return made

    return write


def named_otherwise(out: Path) -> Forged:
    """A container under the name of another one."""
    made = forge(ONE)
    made.container(out)
    (out / "zone-updates-7.bundle").rename(out / "zone-updates-8.bundle")
    return made


def two_bundles(out: Path) -> Forged:
    """Sequences 7 and 8 in one folder."""
    forge(ONE, sequence=8).container(out)
    made = forge(ONE)
    made.container(out)
    return made


BYTES = [
    damaged("bit-in-blob", 11, "a bit of a blob is flipped", flip(HELLO), ONE),
    damaged("bit-in-root", 2, "a bit of the root is flipped", flip(b"anna@test")),
    damaged("bit-in-timestamp", 3, "a bit of timestamp is flipped", flip(b'"_type":"timestamp"', 9)),
    damaged(
        "bit-in-signature",
        3,
        "a bit of timestamp's signature is flipped",
        flip(b'"signed":{"_type":"timestamp"', -10),
    ),
    damaged("bit-in-snapshot", 4, "a bit of snapshot is flipped", flip(b'"_type":"snapshot"', 9)),
    damaged("bit-in-targets", 5, "a bit of targets is flipped", flip(b'"_type":"targets"', 9)),
    damaged("bit-in-release", 6, "a bit of the release is flipped", flip(b"A test vector")),
    damaged("bit-in-content", 7, "a bit of the list of contents is flipped", flip(b"files/hello.txt")),
    damaged("bit-in-header", 10, "a bit of a blob's header is flipped", flip(HELLO, -512 + 100)),
    damaged("bit-in-name", 10, "a bit of a blob's name in its header is flipped", flip(HELLO, -512)),
    damaged(
        "bit-in-metadata-header",
        10,
        "a bit of the header of targets is flipped",
        flip(b"metadata/7.targets.json\0"),
    ),
    damaged("bit-in-padding", 10, "a bit behind a blob's end is flipped", flip(HELLO, len(HELLO))),
    damaged("bit-at-the-end", 10, "the last bit is flipped", lambda data: data[:-1] + b"\1"),
    damaged("bit-in-pad", 10, "a bit of a pad is flipped", flip(b" comment=", 20), LARGE),
    damaged("sector-of-zeros", 11, "a sector reads as zeros", zeroed, LARGE),
    damaged(
        "volume-json-bundle",
        1,
        "VOLUME.json says another name",
        lambda data: data.replace(b'{"bundle":"zone-updates"', b'{"bundle":"zone-updatez"', 1),
    ),
    damaged(
        "volume-json-cuts",
        1,
        "VOLUME.json says that there is another volume",
        lambda data: resized(data, b'"cuts":[[0,0]]', b'"cuts":[[0,0],[0,1]]'),
    ),
    damaged(
        "volume-json-spaces",
        1,
        "VOLUME.json is not canonical",
        lambda data: resized(data, b'"volume":1', b'"volume": 1'),
    ),
    damaged(
        "volume-json-volume",
        1,
        "VOLUME.json says that it is volume 2 of one",
        lambda data: data.replace(b'"volume":1', b'"volume":2', 1),
    ),
    damaged(
        "volume-json-order",
        1,
        "VOLUME.json names metadata in another order",
        lambda data: resized(
            data, b'[["metadata/1.root.json"', b'[["metadata/timestamp.json",1],["metadata/1.root.json"'
        ),
    ),
    damaged(
        "volume-json-size",
        7,
        "VOLUME.json says that the list of contents is a byte longer",
        lambda data: VOLUME_SIZE.sub(lambda found: found[1] + b"%d]]" % (int(found[2]) + 1), data, 1),
    ),
    damaged("cut-last-byte", 10, "the last byte is missing", lambda data: data[:-1]),
    damaged("cut-in-blob", 10, "it ends in a blob", lambda data: data[: data.index(NOISE) + 30_000], LARGE),
    damaged(
        "cut-in-metadata", 5, "it ends in targets", lambda data: data[: data.index(b'"_type":"targets"')]
    ),
    damaged("cut-in-header", 1, "it ends in the first header", lambda data: data[:300]),
    damaged("cut-to-nothing", 1, "it is empty", lambda data: b""),
    damaged("page-behind", 10, "a page of zeros is behind it", lambda data: data + bytes(4096)),
    damaged("archive-behind", 10, "the same archive once more is behind it", lambda data: data + data),
    damaged("byte-before", 1, "a byte is before it", lambda data: b"\0" + data),
    damaged("gzip", 1, "it was compressed", lambda data: gzip.compress(data, mtime=0)),
    damaged("plain-tar", 1, "it was packed again by another tar", plain_tar),
    damaged(
        "blobs-swapped",
        11,
        "two blobs of one size have changed places",
        lambda data: swapped(data, b"one of two files\n", b"two of two files\n"),
        PAIR,
    ),
    damaged("members-swapped", 10, "two blobs with their headers have changed places", members_swapped, PAIR),
]

MEDIA = [
    refused(
        "volume-2-metadata",
        10,
        "the copy of the metadata in volume 2 is damaged",
        volumes(volume(2, flip(b'"_type":"targets"', 9))),
    ),
    refused(
        "volume-1-blob",
        11,
        "a blob that goes on in volume 2 is damaged in volume 1",
        volumes(volume(1, flip(b"one of "))),
    ),
    refused(
        "volumes-cut-elsewhere",
        10,
        "VOLUME.json of every volume says that it was cut one byte later",
        volumes(lambda files: {n: replaced(d, b"[0,7]", b"[0,8]") for n, d in files.items()}),
    ),
    refused(
        "volumes-cut-nowhere",
        10,
        "VOLUME.json of every volume says that it was cut behind a blob's end",
        volumes(lambda files: {n: resized(d, b"[0,7]", b"[0,77]") for n, d in files.items()}),
    ),
    refused("volume-3-cut", 10, "volume 3 is cut", volumes(volume(3, lambda data: data[:-4096]))),
    refused("volumes-renamed", 1, "two volumes have each other's names", volumes(renamed)),
    refused(
        "volume-of-another",
        1,
        "volume 3 is of a bundle of the same number, signed at another time",
        volumes(
            from_elsewhere(
                timestamp=edit(expires="2027-12-29T00:00:00Z"),
                release=lambda value: value.update(title="A later try"),
            )
        ),
    ),
    refused("volume-of-the-next", 1, "volume 3 is of the next bundle", volumes(from_elsewhere(sequence=8))),
    refused(
        "volume-twice",
        1,
        "volume 2 is there a second time",
        volumes(lambda files: {**files, "zone-updates-7.004-of-003.bundle": list(files.values())[1]}),
    ),
    refused("two-bundles", 1, "two bundles lie in one folder", two_bundles),
    refused("named-otherwise", 1, "a container has the name of another one", named_otherwise),
    refused("stray-beside", 1, "a stray file lies beside the container", beside("autorun.inf")),
    refused("stray-hidden", 1, "a hidden file lies beside the container", beside(".DS_Store")),
    refused(
        "stray-case",
        1,
        "a carry sheet in other letters lies beside the container",
        beside("Carry-Sheet.html"),
    ),
    refused(
        "stray-partial",
        1,
        "a file that was not finished lies beside the container",
        beside("zone-updates-7.bundle.partial"),
    ),
    in_folder(
        "folder-blob-bit",
        11,
        "a blob's file is damaged",
        blob(lambda path: path.write_bytes(b"0ne of two files\n")),
    ),
    in_folder(
        "folder-blob-cut",
        11,
        "a blob's file is cut",
        blob(lambda path: path.write_bytes(path.read_bytes()[:-1])),
    ),
    in_folder(
        "folder-blob-longer",
        11,
        "a blob's file is longer than it was",
        blob(lambda path: path.write_bytes(path.read_bytes() + b"\n")),
    ),
    in_folder("folder-blob-missing", 1, "a blob's file is not there", blob(lambda path: path.unlink())),
    in_folder("folder-blob-stray", 1, "a blob that nothing names", put("blobs/" + "0" * 64)),
    in_folder("folder-blob-named", 1, "a file among the blobs that is none", put("blobs/readme.txt")),
    in_folder("folder-stray", 1, "a stray file in the folder", put("readme.txt")),
    in_folder("folder-stray-folder", 1, "a stray folder in the folder", put("scripts/install.sh")),
    in_folder(
        "folder-stray-metadata", 1, "a file among the metadata that is none", put("metadata/mirrors.json")
    ),
    in_folder(
        "folder-stray-targets",
        5,
        "targets of another version among the metadata",
        put("metadata/8.targets.json"),
    ),
    in_folder("folder-stray-root", 2, "a next root that is none", put("metadata/2.root.json")),
    in_folder(
        "folder-old-snapshot",
        5,
        "the snapshot of another version was left among the metadata",
        put("metadata/6.snapshot.json"),
    ),
    in_folder("folder-deep", 1, "a file in a folder below blobs", put("blobs/deep/" + "0" * 64)),
]

SIGNATURES = [
    refused("signature-zeros", 3, "a signature of zeros", container(timestamp=Step(sign=zeros))),
    refused(
        "signature-malleable",
        3,
        "a signature with S + L instead of S, which loose verifiers accept",
        container(timestamp=Step(sign=curve.malleable)),
    ),
    refused(
        "signature-neutral-r",
        3,
        "a signature whose R is the neutral point, which fulfils the equation",
        container(timestamp=Step(sign=curve.neutral_r)),
    ),
    refused(
        "signature-upper-case",
        3,
        "a good signature in upper-case digits",
        container(timestamp=Step(sign=upper)),
    ),
    refused(
        "signature-replayed",
        3,
        "the right key's signature over the timestamp before",
        container(timestamp=Step(sign=replayed)),
    ),
    refused("signature-by-stranger", 3, "signed by a stranger", container(timestamp=Step(by=("mallory",)))),
    refused("signature-missing", 3, "not signed", container(timestamp=Step(by=()))),
    refused(
        "targets-below-threshold",
        5,
        "one person signed, and it takes two",
        container(targets=Step(by=("anna",))),
    ),
    refused(
        "targets-by-machine",
        5,
        "one person signed, and the key of snapshot",
        container(targets=Step(by=("anna", "snapshot"))),
    ),
    refused(
        "targets-by-two-and-half",
        5,
        "two people signed, and a third signature is not valid",
        container(
            targets=Step(
                by=("anna", "boris"),
                sign=lambda signatures, part: signatures.update({key_id("clara"): "0" * 128}),
            )
        ),
    ),
    refused(
        "targets-by-revoked",
        5,
        "signed by Clara, whom root version 2 leaves out",
        container(
            roots=(Step(), Step(edit=new_people("anna", "boris", "dora"), by=("anna", "boris"))),
            targets=Step(by=("anna", "clara")),
        ),
    ),
    refused("mixed-targets", 5, "targets of another bundle of the same number", mixed("7.targets.json")),
    refused(
        "mixed-snapshot",
        4,
        "snapshot and targets of another bundle of the same number",
        mixed("7.snapshot.json", "7.targets.json"),
    ),
    refused(
        "mixed-content",
        5,
        "release and contents of another bundle of the same number",
        mixed("release.json", "content.ndjson"),
    ),
]

VECTORS: list[Vector] = [*BYTES, *MEDIA, *SIGNATURES]
