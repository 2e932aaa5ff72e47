"""Attacks on the container: what every tar reader falls for is here one more byte that is not as predicted.

Each test makes a hostile medium from a good one, with checksums put right where a tar has them, and shows
that `verify` refuses it at the check and with the exit code that it should. No member name, type or size that
the hostile part says is ever acted upon.
"""

from __future__ import annotations

import dataclasses
import io
import os
import random
import tarfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

from airgap_bundle.container import BLOCK, Member, VolumeLayout, header
from airgap_bundle.errors import Problem
from airgap_bundle.report import Report, Result, Verdict
from airgap_bundle.trusted_root import TrustedRoot
from airgap_bundle.verify import verify
from airgap_bundle.volume_json import WHAT, Cut, VolumeJson, file_name
from tests.bundle.make_bundle import CREATED, Keys, MadeBundle, make_bundle
from tests.bundle.volumes import layouts, volume_bytes, write_volumes

FILES = {
    "files/a.txt": b"an entry of some bytes\n" * 40,
    "files/b.txt": b"an entry as long, else\n" * 40,
    "files/large": random.Random(5).randbytes(70_001),
    "files/larger": random.Random(6).randbytes(70_001),
    "files/one": b"1",
    "files/two": b"2",
}
KEYS = Keys.fresh(seed="container attacks")
VOLUMES = [Cut(0, 0), Cut(2, 0), Cut(3, 11)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeBundle:
    return make_bundle(tmp_path_factory.mktemp("made") / "bundle", FILES, keys=KEYS)


@pytest.fixture
def container(made: MadeBundle, tmp_path: Path) -> Path:
    [path] = write_volumes(made, tmp_path / "medium")
    return path


@pytest.fixture
def volumes(made: MadeBundle, tmp_path: Path) -> list[Path]:
    return write_volumes(made, tmp_path / "medium", cuts=VOLUMES)


def look(made: MadeBundle, *paths: Path) -> Report:
    return verify(paths, TrustedRoot.parse(made.root_bytes), clock=CREATED)


def refused(made: MadeBundle, *paths: Path, check: int, code: int, says: str = "") -> None:
    """`verify` refuses the medium at this check, with this exit code, in words that hold `says`."""
    report = look(made, *paths)
    failed = [made_check for made_check in report.checks if made_check.result is Result.FAILED]
    assert report.verdict is Verdict.REFUSED, report.to_text()
    assert isinstance(report.problem, Problem)
    assert (failed[0].number, report.problem.exit_code) == (check, code), report.to_text()
    assert says in failed[0].text
    assert report.problem.remedy


def layout_of(made: MadeBundle) -> VolumeLayout:
    return layouts(made)[0]


def member_of(made: MadeBundle, path: str) -> Member:
    """The member that carries an entry."""
    blob = next(entry.blob for entry in made.content.entries if entry.path == path)
    return next(member for member in layout_of(made).members if member.blob == blob)


def write(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def checksummed(block: bytes) -> bytes:
    """A header with the checksum that its bytes have."""
    summed = sum(block[:148]) + sum(block[156:512]) + 8 * 32
    return block[:148] + b"%06o\0 " % summed + block[156:]


def header_with(made: MadeBundle, path: str, at: int, data: bytes) -> tuple[int, bytes]:
    """Where the header of an entry's member is, and the header with some bytes replaced."""
    member = member_of(made, path)
    good = header(member.name, member.size)
    return member.at - BLOCK, checksummed(good[:at] + data + good[at + len(data) :])


def test_the_good_container_is_accepted(made: MadeBundle, container: Path, tmp_path: Path) -> None:
    assert look(made, container).verdict is Verdict.ACCEPTED
    assert look(made, container.parent).verdict is Verdict.ACCEPTED
    paths = write_volumes(made, tmp_path / "volumes", cuts=VOLUMES)
    assert look(made, *paths).verdict is Verdict.ACCEPTED


# Names


@pytest.mark.parametrize(
    "name",
    [
        "../../../../etc/cron.d/evil",
        "/etc/cron.d/evil",
        "blobs/../../evil",
        "blobs\\..\\evil",
        "C:evil",
        "metadata/1.root.json",
        "metadata/9.root.json",
        "./VOLUME.json",
        "BLOBS/" + "a" * 64,
        "blobs/" + "A" * 64,
        "blobs/" + "\u0430" * 40,  # a Cyrillic a
        "",
    ],
)
def test_zip_slip_and_other_names_of_members_are_refused(
    made: MadeBundle, container: Path, name: str
) -> None:
    write(container, *header_with(made, "files/a.txt", 0, name.encode()[:100].ljust(100, b"\0")))
    with tarfile.open(container) as archive:  # tar believes it
        assert len(archive.getmembers()) > 6
    refused(made, container, check=10, code=44, says="other bytes than the format puts there")


def test_a_name_in_the_prefix_field_is_refused(made: MadeBundle, container: Path) -> None:
    write(container, *header_with(made, "files/a.txt", 345, b"/etc"))
    refused(made, container, check=10, code=44)


# Types


@pytest.mark.parametrize(
    ("flag", "what"),
    [
        (b"1", "a hard link"),
        (b"2", "a symbolic link"),
        (b"3", "a character device"),
        (b"4", "a block device"),
        (b"5", "a folder"),
        (b"6", "a FIFO"),
        (b"7", "a contiguous file"),
        (b"S", "a sparse file"),
        (b"M", "a continued file"),
        (b"L", "a long name"),
        (b"K", "a long link"),
        (b"g", "a global header"),
        (b"x", "a pax header"),
        (b"D", "a dump folder"),
        (b"V", "a volume label"),
        (b"\0", "an old regular file"),
        (b"Z", "nothing known"),
    ],
)
def test_members_of_other_types_are_refused(
    made: MadeBundle, container: Path, flag: bytes, what: str
) -> None:
    write(container, *header_with(made, "files/a.txt", 156, flag))
    refused(made, container, check=10, code=44)


@pytest.mark.parametrize("flag", [b"1", b"2"])
def test_links_to_places_outside_are_refused(made: MadeBundle, container: Path, flag: bytes) -> None:
    write(container, *header_with(made, "files/a.txt", 156, flag + b"../../../etc/shadow"))
    refused(made, container, check=10, code=44)


def test_devices_with_numbers_are_refused(made: MadeBundle, container: Path) -> None:
    at, block = header_with(made, "files/a.txt", 156, b"4")
    write(container, at, checksummed(block[:329] + b"0000010\0" + b"0000000\0" + block[345:]))
    refused(made, container, check=10, code=44)


def test_a_setuid_mode_and_an_owner_are_refused(made: MadeBundle, container: Path) -> None:
    write(container, *header_with(made, "files/a.txt", 100, b"0006755\0"))
    refused(made, container, check=10, code=44)
    write(container, *header_with(made, "files/a.txt", 100, b"0000644\0" + b"0001750\0"))
    refused(made, container, check=10, code=44)


# Pax


def pad_of(made: MadeBundle, path: str) -> tuple[int, int]:
    """Where the pad before an entry's member begins, and the bytes of its records."""
    member = member_of(made, path)
    before = next(m for m in reversed(list(layout_of(made).members)) if m.at < member.at)
    at = -(-(before.at + before.size) // BLOCK) * BLOCK
    return at, member.at - BLOCK - at - BLOCK


@pytest.mark.parametrize(
    "record",
    [
        b"path=../../../../etc/cron.d/evil",
        b"linkpath=/etc/shadow",
        b"size=0",
        b"size=99999999999999999999",
        b"GNU.sparse.major=1",
        b"GNU.sparse.name=evil",
        b"GNU.sparse.realsize=1125899906842624",
        b"SCHILY.xattr.security.capability=evil",
        b"hdrcharset=BINARY",
        b"mtime=-1",
        b"uid=0",
    ],
)
def test_pax_records_that_change_the_next_member_are_refused(
    made: MadeBundle, container: Path, record: bytes
) -> None:
    at, size = pad_of(made, "files/large")
    assert size >= 512
    line = record + b"\n"
    first = b"%d %s" % (len(line) + 1 + len(str(len(line) + 4)), line)
    rest = size - len(first)
    comment = b"%d comment=" % rest
    body = first + comment + b" " * (rest - len(comment) - 1) + b"\n"
    assert len(body) == size
    write(container, at + BLOCK, body)
    refused(made, container, check=10, code=44)


def test_a_pad_that_is_made_a_global_header_is_refused(made: MadeBundle, container: Path) -> None:
    at, size = pad_of(made, "files/large")
    write(container, at, header("pad", size, b"g"))
    refused(made, container, check=10, code=44)


def test_another_text_in_the_pad_is_refused(made: MadeBundle, container: Path) -> None:
    at, size = pad_of(made, "files/large")
    write(container, at + BLOCK + size - 20, b"hidden words")
    refused(made, container, check=10, code=44)


# Sizes


@pytest.mark.parametrize(
    "size",
    [
        b"77777777777\0",
        b"00000000000\0",
        b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7,  # GNU's base 256
        b"\xff" * 12,  # a negative one
        b"            ",
        b"0000001000 \0",
        b"-0000000001\0",
    ],
)
def test_absurd_sizes_of_members_are_refused(made: MadeBundle, container: Path, size: bytes) -> None:
    write(container, *header_with(made, "files/a.txt", 124, size))
    refused(made, container, check=10, code=44)


@pytest.mark.parametrize(
    "size", [b"77777777777\0", b"00000000000\0", b"00000001750 ", b"\x80" + b"\xff" * 11, b"00001000001\0"]
)
def test_absurd_sizes_of_volume_json_are_refused_before_it_is_read(
    made: MadeBundle, container: Path, size: bytes
) -> None:
    good = header(WHAT, 1)
    write(container, 0, checksummed(good[:124] + size + good[136:]))
    refused(made, container, check=1, code=40)


def test_a_file_of_absurd_length_is_refused_without_reading_it(made: MadeBundle, container: Path) -> None:
    os.truncate(container, 2**43)  # a sparse file; reading it would take hours
    refused(made, container, check=10, code=44, says="too many")


def test_a_sparse_file_is_no_way_around_a_digest(made: MadeBundle, container: Path) -> None:
    member = member_of(made, "files/large")
    data = container.read_bytes()
    with container.open("wb") as file:
        file.write(data[: member.at])
        file.seek(member.at + member.size)  # a hole in the blob's place
        file.write(data[member.at + member.size :])
    refused(made, container, check=11, code=44, says="files/large")


# More and other members


def test_a_duplicate_member_behind_the_others_is_refused(made: MadeBundle, container: Path) -> None:
    member = member_of(made, "files/one")
    data = container.read_bytes()
    twin = header(member.name, 4) + b"evil".ljust(BLOCK, b"\0")
    container.write_bytes(data[: layout_of(made).size - 4096] + twin.ljust(4096, b"\0") + bytes(4096))
    refused(made, container, check=10, code=44)


def test_a_duplicate_member_in_place_of_the_end_is_refused(made: MadeBundle, container: Path) -> None:
    """The file keeps its length: the member stands in the zeros of the end."""
    last = max(member.at + member.size for member in layout_of(made).members)
    at = -(-last // BLOCK) * BLOCK
    assert layout_of(made).size - at >= 3 * BLOCK
    name = next(name for name in made.files if name.endswith("targets.json"))
    write(container, at, header(name, 4) + b"evil")
    with tarfile.open(container) as archive:  # whoever extracts takes the last of two
        assert archive.getnames().count(name) == 2
    refused(made, container, check=10, code=44)


def test_members_in_another_order_are_refused(made: MadeBundle, container: Path) -> None:
    one, two = member_of(made, "files/one"), member_of(made, "files/two")
    data = container.read_bytes()
    write(container, one.at - BLOCK, data[two.at - BLOCK : two.at + BLOCK])
    write(container, two.at - BLOCK, data[one.at - BLOCK : one.at + BLOCK])
    with tarfile.open(container) as archive:
        assert sorted(archive.getnames()) == sorted(member.name for member in layout_of(made).members)
    refused(made, container, check=10, code=44)


def test_contents_that_change_places_are_refused(made: MadeBundle, container: Path) -> None:
    """The headers are right, the blobs are those of the bundle, and each is under the other's name."""
    one, other = member_of(made, "files/large"), member_of(made, "files/larger")
    data = container.read_bytes()
    write(container, one.at, data[other.at : other.at + other.size])
    write(container, other.at, data[one.at : one.at + one.size])
    refused(made, container, check=11, code=44, says="files/large")


def test_a_second_archive_behind_the_first_is_refused(made: MadeBundle, container: Path) -> None:
    evil = io.BytesIO()
    with tarfile.open(fileobj=evil, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("blobs/evil"))
    with container.open("ab") as file:
        file.write(evil.getvalue())
    refused(made, container, check=10, code=44, says="too many")


@pytest.mark.parametrize("more", [b"\0", bytes(512), bytes(4096), b"x" * 4096])
def test_bytes_behind_the_end_are_refused(made: MadeBundle, container: Path, more: bytes) -> None:
    with container.open("ab") as file:
        file.write(more)
    refused(made, container, check=10, code=44, says="too many")


def test_bytes_hidden_in_the_zeros_behind_a_content_are_refused(made: MadeBundle, container: Path) -> None:
    for path in FILES:
        member = member_of(made, path)
        good = container.read_bytes()
        write(container, member.at + member.size, b"x")
        refused(made, container, check=10, code=44)
        container.write_bytes(good)


def test_bytes_hidden_in_the_end_are_refused(made: MadeBundle, container: Path) -> None:
    size = container.stat().st_size
    for back in (1, 511, 512, 1024, 1025):
        write(container, size - back, b"x")
        refused(made, container, check=10, code=44)
        write(container, size - back, b"\0")


@pytest.mark.parametrize(
    "checksum", [b"%06o \0", b" %05o\0 ", b"%06o\0\0", b"%07o\0", b"%08o", b"0%05o\0 ", b"\0\0\0\0\0\0\0\0"]
)
def test_checksums_of_the_same_value_in_another_form_are_refused(
    made: MadeBundle, container: Path, checksum: bytes
) -> None:
    member = member_of(made, "files/a.txt")
    good = header(member.name, member.size)
    value = int(good[148:154], 8)
    field = checksum % value if b"%" in checksum else checksum
    assert len(field) == 8
    write(container, member.at - BLOCK + 148, field)
    if field != good[148:156]:
        refused(made, container, check=10, code=44)


def test_other_bytes_with_the_same_checksum_are_refused(made: MadeBundle, container: Path) -> None:
    member = member_of(made, "files/a.txt")
    good = bytearray(header(member.name, member.size))
    good[6] += 1
    good[7] -= 1
    assert sum(good) == sum(header(member.name, member.size))
    write(container, member.at - BLOCK, bytes(good))
    refused(made, container, check=10, code=44)


def test_every_framing_byte_counts(made: MadeBundle, container: Path) -> None:
    """One bit of each 16 bytes of framing behind VOLUME.json, of which each is refused."""
    runs = list(layout_of(made).framing())[1:]
    chance = random.Random(1)
    for at, run in runs:
        for offset in range(at + chance.randrange(16), at + len(run), 397):
            old = container.read_bytes()[offset : offset + 1]
            write(container, offset, bytes([old[0] ^ 1 << chance.randrange(8)]))
            refused(made, container, check=10, code=44)
            write(container, offset, old)


# Length


def test_a_container_cut_anywhere_is_refused(made: MadeBundle, container: Path) -> None:
    data = container.read_bytes()
    chance = random.Random(2)
    cuts = {0, 1, 511, 512, 513, len(data) - 1, len(data) - 512, len(data) - 4096}
    cuts |= {chance.randrange(len(data)) for _ in range(60)} | {chance.randrange(12_000) for _ in range(60)}
    for size in sorted(cuts):
        container.write_bytes(data[:size])
        report = look(made, container)
        assert report.verdict is Verdict.REFUSED
        assert report.problem is not None
        assert report.problem.exit_code in (40, 44), report.to_text()


@pytest.mark.long
def test_a_container_cut_at_every_byte_is_refused(made: MadeBundle, container: Path) -> None:
    small = make_bundle(container.parent.parent / "small", {"files/a": b"a" * 600}, keys=KEYS)
    [layout] = layouts(small)
    data = volume_bytes(small, layout)
    for size in range(len(data)):
        container.write_bytes(data[:size])
        assert look(small, container).verdict is Verdict.REFUSED, size


# Volumes


def test_volumes_in_any_order_are_accepted(made: MadeBundle, volumes: Sequence[Path]) -> None:
    for order in ([2, 0, 1], [1, 2, 0], [2, 1, 0]):
        assert look(made, *(volumes[n] for n in order)).verdict is Verdict.ACCEPTED


def test_a_truncated_volume_is_refused_and_named(made: MadeBundle, volumes: Sequence[Path]) -> None:
    for path in volumes:
        data = path.read_bytes()
        for size in (0, 300, 900, 5000, len(data) // 2, len(data) - 4096, len(data) - 1):
            path.write_bytes(data[:size])
            report = look(made, *volumes)
            assert report.verdict is Verdict.REFUSED
            assert path.name in report.sentence
        path.write_bytes(data)


def test_volumes_with_swapped_names_are_refused(made: MadeBundle, volumes: Sequence[Path]) -> None:
    volumes[0].rename(volumes[0].with_name("x"))
    volumes[1].rename(volumes[0])
    volumes[0].with_name("x").rename(volumes[1])
    refused(made, volumes[0].parent, check=1, code=40, says="what it holds is named")


def test_blobs_swapped_between_volumes_are_refused(made: MadeBundle, tmp_path: Path) -> None:
    """Two blobs of one size, in volumes 1 and 2, each in the other's place and under the other's name."""
    cuts = [Cut(0, 0), Cut(3, 0)]
    paths = write_volumes(made, tmp_path, cuts=cuts)
    (one, first), (other, second) = (
        (path, member)
        for path, layout in zip(paths, layouts(made, cuts=cuts), strict=True)
        for member in layout.members
        if member.size == 70_001
    )
    assert one != other
    held, others = one.read_bytes(), other.read_bytes()
    write(one, first.at, others[second.at : second.at + second.size])
    write(other, second.at, held[first.at : first.at + first.size])
    refused(made, *paths, check=11, code=44)


def test_two_volumes_of_one_number_are_refused(made: MadeBundle, volumes: Sequence[Path]) -> None:
    twin = volumes[1].parent.parent / "twin"
    twin.write_bytes(volumes[1].read_bytes())
    refused(made, *volumes, twin, check=1, code=40, says="both are volume 2")
    refused(made, volumes[0], volumes[2], twin, twin, check=1, code=40, says="both are volume 2")


def test_volumes_of_two_bundles_are_refused(
    made: MadeBundle, volumes: Sequence[Path], tmp_path: Path
) -> None:
    second = make_bundle(tmp_path / "second", FILES, 2, made)
    others = write_volumes(second, tmp_path / "others", cuts=VOLUMES)
    refused(made, volumes[0], others[1], volumes[2], check=1, code=40, says="do not go together")
    other_name = make_bundle(tmp_path / "third", FILES, bundle="zone-other", keys=KEYS)
    others = write_volumes(other_name, tmp_path / "more", cuts=VOLUMES)
    refused(made, volumes[0], others[1], volumes[2], check=1, code=40, says="do not go together")


def test_volumes_of_two_bundles_with_one_name_and_number_are_refused(
    made: MadeBundle, volumes: Sequence[Path], tmp_path: Path
) -> None:
    """Somebody built sequence 1 twice, with other content of the same sizes."""
    files = {path: data[::-1] for path, data in FILES.items()}
    again = make_bundle(tmp_path / "again", files, keys=KEYS)
    others = write_volumes(again, tmp_path / "others", cuts=VOLUMES)
    for path, other in zip(volumes, others, strict=True):
        assert path.name == other.name
    refused(made, volumes[0], others[1], volumes[2], check=1, code=40, says="do not go together")


def test_a_volume_cut_otherwise_is_refused(made: MadeBundle, volumes: Sequence[Path], tmp_path: Path) -> None:
    others = write_volumes(made, tmp_path / "others", cuts=[Cut(0, 0), Cut(1, 0), Cut(3, 11)])
    refused(made, volumes[0], others[1], volumes[2], check=1, code=40, says="cut into volumes in two ways")


def test_metadata_altered_in_one_volume_only_is_refused(made: MadeBundle, volumes: Sequence[Path]) -> None:
    layout = layouts(made, cuts=VOLUMES)[2]
    for member in layout.members:
        if member.blob is None and member.name != WHAT:
            good = volumes[2].read_bytes()
            write(volumes[2], member.at + member.size // 2, b"\x01")
            refused(made, *volumes, check=10, code=44, says=volumes[2].name)
            volumes[2].write_bytes(good)


# VOLUME.json, which no signature covers


def lying(made: MadeBundle, to: Path, change: Callable[[VolumeJson], VolumeJson]) -> Path:
    """A container laid out as a VOLUME.json that lies says, so that only the lie is wrong."""
    layout = layout_of(made)
    about = change(layout.about)
    lie = VolumeLayout(about, layout.blobs, about.cuts[0], Cut(len(layout.blobs), 0))
    to.mkdir(exist_ok=True)
    path = to / file_name(about.bundle, about.sequence, about.volume, about.volumes)
    path.write_bytes(volume_bytes(made, lie))
    return path


@pytest.mark.parametrize(
    ("change", "check", "code"),
    [
        (lambda about: dataclasses.replace(about, bundle="zone-other"), 10, 40),
        (lambda about: dataclasses.replace(about, sequence=2), 10, 40),
        (lambda about: dataclasses.replace(about, cuts=(Cut(0, 0), Cut(9, 0))), 10, 40),
        (lambda about: dataclasses.replace(about, cuts=(Cut(0, 0), Cut(0, 921))), 10, 40),
        (lambda about: dataclasses.replace(about, cuts=(Cut(0, 0), Cut(2, 0))), 10, 44),
        (lambda about: dataclasses.replace(about, cuts=(Cut(0, 0), Cut(2, 0)), volume=2), 10, 44),
    ],
)
def test_a_volume_json_that_lies_is_refused(
    made: MadeBundle, tmp_path: Path, change: Callable[[VolumeJson], VolumeJson], check: int, code: int
) -> None:
    refused(made, lying(made, tmp_path / "lie", change), check=check, code=code)


@pytest.mark.parametrize("more", [-1, 1, 400])
def test_other_sizes_of_metadata_in_volume_json_are_refused(
    made: MadeBundle, tmp_path: Path, more: int
) -> None:
    [layout] = layouts(made)
    for number in range(len(layout.about.metadata)):
        sizes = list(layout.about.metadata)
        name, size = sizes[number]
        sizes[number] = (name, size + more)
        about = dataclasses.replace(layout.about, metadata=tuple(sizes))
        files = {
            name: data.ljust(dict(sizes)[name])[: dict(sizes)[name]] for name, data in made.files.items()
        }
        lie = VolumeLayout(about, layout.blobs, Cut(0, 0), Cut(len(layout.blobs), 0))
        (tmp_path / "lie").mkdir(exist_ok=True)
        path = tmp_path / "lie" / lie.name
        path.write_bytes(volume_bytes(dataclasses.replace(made, files=files), lie))
        report = look(made, path)
        assert report.verdict is Verdict.REFUSED
        assert report.problem is not None
        assert report.problem.exit_code in (40, 44)


def test_a_volume_json_that_hides_metadata_is_refused(made: MadeBundle, tmp_path: Path) -> None:
    metadata = layout_of(made).about.metadata
    for hidden in metadata:
        left = tuple(named for named in metadata if named != hidden)
        path = lying(made, tmp_path / "less", partial(dataclasses.replace, metadata=left))
        assert look(made, path).verdict is Verdict.REFUSED


def test_a_volume_json_that_adds_metadata_is_refused(made: MadeBundle, tmp_path: Path) -> None:
    stray = dataclasses.replace(made, files={**made.files, "metadata/9.targets.json": b"{}"})
    [path] = write_volumes(stray, tmp_path / "more")
    refused(made, path, check=5, code=40, says="metadata/9.targets.json does not belong")


def test_a_volume_json_of_another_volume_is_refused(made: MadeBundle, volumes: Sequence[Path]) -> None:
    data = volumes[1].read_bytes().replace(b'"volume":2}', b'"volume":3}', 1)
    volumes[1].write_bytes(data)
    volumes[2].unlink()
    refused(made, volumes[0], volumes[1], check=10, code=44)


# The medium


@pytest.mark.parametrize(
    "name",
    [
        "ZONE-UPDATES-1.bundle",
        "zone-updates-1.Bundle",
        "zone-updates-1.bundle.",
        "zone-updates-1.bundle~",
        "zone-update\u017f-1.bundle",  # a long s, which folds to s
        "zone\u2011updates-1.bundle",  # another hyphen
        "zone-updates-\u0661.bundle",  # an Arabic one
        "autorun.inf",
        "desktop.ini",
        ".DS_Store",
        "verifier.html",
        "sha256sums",
        "SHA256SUMS.sig ",
        "metadata",
        "zone-updates-1.bundle.partial",
    ],
)
def test_extra_files_case_and_unicode_variants_are_refused(
    made: MadeBundle, container: Path, name: str
) -> None:
    (container.parent / name).write_bytes(container.read_bytes())
    refused(made, container.parent, check=1, code=40, says="does not belong")
