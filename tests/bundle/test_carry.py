"""Carrying: what is on the medium is what was signed, whole, or not there under its name."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle import carry as carrying
from airgap_bundle.carry import (
    NAMESPACE,
    Carried,
    MediumInUse,
    NoSuchVolume,
    NotAsWritten,
    carry,
)
from airgap_bundle.cuts import VolumesTooSmall
from airgap_bundle.errors import Problem
from airgap_bundle.keys import PrivateKey
from airgap_bundle.medium import DoesNotBelong, open_medium
from airgap_bundle.parity import Wish
from airgap_bundle.repair import repair
from airgap_bundle.signed_folder import NotCarried
from airgap_bundle.sizes import MEDIA, NotASize, read_size, words
from airgap_bundle.virtual_volume import VirtualVolume
from airgap_bundle.volume_writer import CHUNK, Blobs, SourceDamaged
from airgap_bundle.write_problems import CannotWrite, FileTooLarge, MediumFull
from tests.bundle.make_bundle import Keys, MadeBundle, make_bundle
from tests.bundle.volumes import layouts, volume_bytes

RANDOM = random.Random(7)
FILES = {
    "files/empty": b"",
    "files/large": RANDOM.randbytes(3 * CHUNK + 12345),
    "files/exact": RANDOM.randbytes(CHUNK),
    **{f"files/{n}": RANDOM.randbytes(RANDOM.randrange(1, 90_000)) for n in range(60)},
}
SIZE = 5_000_000
"""Smaller than files/large, so that it is cut."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> MadeBundle:
    return make_bundle(tmp_path_factory.mktemp("made") / "bundle", FILES, keys=Keys.fresh(seed="carry"))


def fresh(tmp_path: Path, files: dict[str, bytes] = FILES) -> MadeBundle:
    return make_bundle(tmp_path / "bundle", dict(files), keys=Keys.fresh(seed="carry"))


def bundles_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.bundle"))


def check_all(made: MadeBundle, to: Path, volume_size: int | None = None) -> None:
    """Everything on the medium is, byte for byte, what the layout predicts."""
    for layout in layouts(made, volume_size):
        assert (to / layout.name).read_bytes() == volume_bytes(made, layout)
    assert not list(to.glob("*.partial"))
    with open_medium([to]) as medium:
        assert medium.missing == ()


@pytest.mark.parametrize("volume_size", [None, SIZE, 9_000_000])
def test_the_medium_holds_what_the_layout_predicts(
    made: MadeBundle, tmp_path: Path, volume_size: int | None
) -> None:
    told: list[tuple[int, int]] = []
    carried = carry(
        made.folder, tmp_path / "m", volume_size=volume_size, progress=lambda *news: told.append(news)
    )
    check_all(made, tmp_path / "m", volume_size)
    assert len(carried.files) == carried.volumes == {None: 1, SIZE: 5, 9_000_000: 3}[volume_size]
    for file in carried.files:
        data = (tmp_path / "m" / file.name).read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    total = 2 * sum(file.size for file in carried.files)
    assert told[-1] == (total, total)
    assert told == sorted(told)


def test_a_tar_of_any_make_extracts_the_folder(made: MadeBundle, tmp_path: Path) -> None:
    carried = carry(made.folder, tmp_path / "m")
    with tarfile.open(tmp_path / "m" / carried.files[0].name) as archive:
        archive.extractall(tmp_path / "out", filter="data")
    (tmp_path / "out" / "VOLUME.json").unlink()
    with open_medium([tmp_path / "out"]) as medium:
        located = medium.locate(carried.bundle)
    assert located.blobs == tmp_path / "out" / "blobs"


def test_an_auditor_checks_sums_and_signature_with_common_tools(made: MadeBundle, tmp_path: Path) -> None:
    key = PrivateKey.generate("anna")
    carry(made.folder, tmp_path / "m", volume_size=SIZE, key=key)
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tmp_path / "m", check=True)
    (tmp_path / "signers").write_text(f"anna {key.public.line}\n")
    sums = (tmp_path / "m" / "SHA256SUMS").read_bytes()
    verify = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "signers"), "-I", "anna", "-n", NAMESPACE]
    verify += ["-s", str(tmp_path / "m" / "SHA256SUMS.sig")]
    assert b"Good" in subprocess.run(verify, input=sums, capture_output=True, check=True).stdout


def test_each_volume_can_be_written_alone_to_a_medium_of_its_own(made: MadeBundle, tmp_path: Path) -> None:
    together = carry(made.folder, tmp_path / "all", volume_size=SIZE)
    for file in together.files:
        to = tmp_path / f"disc-{file.volume}"
        alone = carry(made.folder, to, volume_size=SIZE, only=file.volume)
        assert bundles_in(to) == [file.name]
        assert alone.files == (file,)
        assert (to / file.name).read_bytes() == (tmp_path / "all" / file.name).read_bytes()
        assert (to / "SHA256SUMS").read_text() == f"{file.sha256}  {file.name}\n"
    with open_medium(sorted(tmp_path.glob("disc-*"))) as medium:
        assert medium.missing == ()


def test_volumes_written_one_by_one_to_one_place_are_summed_together(
    made: MadeBundle, tmp_path: Path
) -> None:
    for number in (3, 1, 2, 5, 4):
        carry(made.folder, tmp_path / "m", volume_size=SIZE, only=number)
    check_all(made, tmp_path / "m", SIZE)
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=tmp_path / "m", check=True)
    assert len((tmp_path / "m" / "SHA256SUMS").read_text().splitlines()) == 5


@pytest.mark.parametrize("volume_size", [None, SIZE])
def test_parity_is_carried_and_mends(made: MadeBundle, tmp_path: Path, volume_size: int | None) -> None:
    to = tmp_path / "m"
    told: list[tuple[int, int]] = []
    wish = Wish(volumes=1) if volume_size else Wish()
    carried = carry(
        made.folder, to, volume_size=volume_size, parity=wish, progress=lambda *news: told.append(news)
    )
    assert told[-1][0] == told[-1][1]
    assert carried.files[-1].volume is None
    assert max(file.size for file in carried.files) <= (volume_size or 10**9)
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=to, check=True)
    with open_medium([to]) as medium:
        assert medium.missing == ()
    good = {path.name: path.read_bytes() for path in to.iterdir()}
    again = carry(made.folder, to, volume_size=volume_size, parity=wish)
    assert all(file.kept for file in again.files)
    lost = to / carried.files[1 if volume_size else 0].name
    if volume_size:
        lost.unlink()
    else:
        with lost.open("r+b") as file:
            file.seek(5_000_000)
            file.write(bytes(900_000))
    repair([to], tmp_path / "out")
    assert (tmp_path / "out" / lost.name).read_bytes() == good[lost.name]
    flip(to / carried.files[-1].name)
    carry(made.folder, to, volume_size=volume_size, parity=wish)
    assert {path.name: path.read_bytes() for path in to.iterdir()} == good


def test_parity_is_the_same_when_each_volume_goes_to_a_medium_of_its_own(
    made: MadeBundle, tmp_path: Path
) -> None:
    wish = Wish(volumes=2)
    together = carry(made.folder, tmp_path / "all", volume_size=SIZE, parity=wish)
    for number, file in enumerate(together.files, 1):
        to = tmp_path / f"disc-{number}"
        alone = carry(made.folder, to, volume_size=SIZE, parity=wish, only=number)
        assert alone.files == (file,)
        assert (to / file.name).read_bytes() == (tmp_path / "all" / file.name).read_bytes()
        assert carry(made.folder, to, volume_size=SIZE, parity=wish, only=number).files[0].kept
    with pytest.raises(NoSuchVolume):
        carry(made.folder, tmp_path / "m", volume_size=SIZE, parity=wish, only=len(together.files) + 1)
    discs = [tmp_path / f"disc-{number}" for number in range(3, len(together.files) + 1)]
    mended = repair(discs, tmp_path / "mended").mended
    assert [one.path.read_bytes() for one in mended] == [
        (tmp_path / "all" / file.name).read_bytes() for file in together.files[:2]
    ]


def test_parity_of_a_damaged_folder_is_not_made(tmp_path: Path) -> None:
    made = fresh(tmp_path)
    flip(made.folder / "blobs" / hashlib.sha256(FILES["files/7"]).hexdigest())
    with pytest.raises(SourceDamaged):
        carry(made.folder, tmp_path / "m", volume_size=SIZE, parity=Wish(volumes=1), only=7)
    assert os.listdir(tmp_path / "m") == []


@given(st.data())
def test_a_virtual_volume_reads_like_the_file(made: MadeBundle, data: st.DataObject) -> None:
    blobs = Blobs(made.folder / "blobs", {blob.sha256: blob.size for blob in made.content.blobs.values()})
    layout = data.draw(st.sampled_from(layouts(made, SIZE)))
    whole = volume_bytes(made, layout)
    volume = VirtualVolume(layout, made.files, blobs)
    for _ in range(5):
        at = data.draw(st.integers(0, len(whole)))
        size = data.draw(st.integers(0, len(whole) - at))
        view = memoryview(bytearray(size))
        volume.read(view, at)
        assert view == whole[at : at + size]
    volume.close()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def extend(path: Path) -> None:
    os.truncate(path, path.stat().st_size + 1)


def link(path: Path) -> None:
    path.rename(path.parent.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent.parent / "elsewhere")


DAMAGES = [flip, cut, extend, link, Path.unlink]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("which", ["files/large", "files/7"])
@pytest.mark.parametrize("volume_size", [None, SIZE])
def test_a_damaged_folder_is_refused_and_nothing_gets_a_bundles_name(
    tmp_path: Path, which: str, damage: Callable[[Path], Any], volume_size: int | None
) -> None:
    made = fresh(tmp_path)
    sha256 = hashlib.sha256(FILES[which]).hexdigest()
    damage(made.folder / "blobs" / sha256)
    with pytest.raises(Problem) as refusal:
        carry(made.folder, tmp_path / "m", volume_size=volume_size)
    assert refusal.value.exit_code in (40, 44)
    named = bundles_in(tmp_path / "m") if (tmp_path / "m").exists() else []
    planned = layouts(fresh(tmp_path / "x"), volume_size)
    assert named == [layout.name for layout in planned][: len(named)]
    for layout in planned[: len(named)]:
        assert sha256 not in {member.blob for member in layout.members}
    assert not list(tmp_path.glob("m/*.partial"))


def test_a_blob_whose_cut_off_end_is_damaged_spoils_the_volume_that_holds_its_begin(tmp_path: Path) -> None:
    made = fresh(tmp_path)
    blob = made.folder / "blobs" / hashlib.sha256(FILES["files/large"]).hexdigest()
    data = blob.read_bytes()
    blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    [number] = {
        layout.number
        for layout in layouts(made, SIZE)
        if any(member.name == f"blobs/{blob.name}" for member in layout.members)
    }
    with pytest.raises(SourceDamaged, match=blob.name):
        carry(made.folder, tmp_path / "m", volume_size=SIZE, only=number)
    assert bundles_in(tmp_path / "m") == []


def test_an_empty_blob_is_checked_too(tmp_path: Path) -> None:
    made = fresh(tmp_path)
    (made.folder / "blobs" / hashlib.sha256(b"").hexdigest()).write_bytes(b"x")
    with pytest.raises(SourceDamaged):
        carry(made.folder, tmp_path / "m")


def test_what_is_complete_is_kept(made: MadeBundle, tmp_path: Path) -> None:
    first = carry(made.folder, tmp_path / "m", volume_size=SIZE)
    (tmp_path / "m" / first.files[1].name).unlink()
    flip(tmp_path / "m" / first.files[3].name)
    cut(tmp_path / "m" / first.files[4].name)
    before = {path.name: path.stat().st_ino for path in (tmp_path / "m").glob("*.bundle")}
    again = carry(made.folder, tmp_path / "m", volume_size=SIZE)
    check_all(made, tmp_path / "m", SIZE)
    assert [file.kept for file in again.files] == [True, False, True, False, False]
    assert [file.sha256 for file in again.files] == [file.sha256 for file in first.files]
    for file in again.files:
        if file.kept:
            assert (tmp_path / "m" / file.name).stat().st_ino == before[file.name]


@pytest.mark.parametrize("kills", [12, pytest.param(150, marks=pytest.mark.long)])
def test_a_run_that_is_killed_leaves_whole_volumes_or_none(
    made: MadeBundle, tmp_path: Path, kills: int
) -> None:
    began = time.monotonic()
    carry(made.folder, tmp_path / "timed", volume_size=SIZE)
    usual = time.monotonic() - began
    good = {layout.name: volume_bytes(made, layout) for layout in layouts(made, SIZE)}
    chance = random.Random(11)
    for _ in range(kills):
        if bundles_in(tmp_path / "m") == sorted(good):
            shutil.rmtree(tmp_path / "m")
        pid = os.fork()
        if pid == 0:
            carry(made.folder, tmp_path / "m", volume_size=SIZE)
            os._exit(0)
        time.sleep(chance.random() * usual)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for name in bundles_in(tmp_path / "m"):
            assert (tmp_path / "m" / name).read_bytes() == good[name]
    carry(made.folder, tmp_path / "m", volume_size=SIZE)
    check_all(made, tmp_path / "m", SIZE)


ERRORS = [
    (errno.ENOSPC, MediumFull, "is too small"),
    (errno.EDQUOT, MediumFull, "is too small"),
    (errno.EFBIG, FileTooLarge, "holds no file of"),
    (errno.EIO, CannotWrite, "input/output error"),
    (errno.EROFS, CannotWrite, "read-only"),
]


@pytest.mark.parametrize(
    ("number", "problem", "says", "call", "at"),
    [(*error, "pwrite", at) for error in ERRORS for at in (0, 4)]
    + [(*ERRORS[3], call, at) for call in ("fsync", "rename", "open") for at in (0, 1, 2, 3)],
)
def test_an_error_of_the_medium_is_a_sentence_and_leaves_nothing(
    made: MadeBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    problem: type[Problem],
    says: str,
    call: str,
    at: int,
) -> None:
    """The call fails from its `at`th time on, where it is about the medium and not about the folder."""
    real, calls = getattr(os, call), 0

    def failing(what: Any, *more: Any, **named: Any) -> Any:
        nonlocal calls
        about_medium = call != "open" or (str(tmp_path) in str(what) and more[0] & os.O_CREAT)
        calls += bool(about_medium)
        if about_medium and calls > at:
            raise OSError(number, os.strerror(number))
        return real(what, *more, **named)

    good = {layout.name: volume_bytes(made, layout) for layout in layouts(made, SIZE)}
    monkeypatch.setattr(os, call, failing)
    with pytest.raises(problem, match=says):
        carry(made.folder, tmp_path / "m", volume_size=SIZE)
    for name in bundles_in(tmp_path / "m"):
        assert (tmp_path / "m" / name).read_bytes() == good[name]
    assert not [name for name in os.listdir(tmp_path / "m") if name.endswith(".partial")]
    monkeypatch.undo()
    carry(made.folder, tmp_path / "m", volume_size=SIZE)
    check_all(made, tmp_path / "m", SIZE)


def test_a_file_system_that_holds_only_small_files_is_named(made: MadeBundle, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(FileTooLarge, match="holds no file of"):
            carry(made.folder, tmp_path / "m")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_medium_without_room_is_found_before_anything_is_written(made: MadeBundle, tmp_path: Path) -> None:
    to = tmp_path / "small"
    to.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=10m", "none", str(to)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        with pytest.raises(MediumFull, match=r"are needed, .* are free, .* are missing"):
            carry(made.folder, to)
        assert os.listdir(to) == []
        carry(made.folder, to, volume_size=SIZE, only=2)
        with open_medium([to]) as medium:
            assert medium.missing == (1, 3, 4, 5)
    finally:
        subprocess.run(["umount", to], check=True)


def test_a_medium_that_gives_back_other_bytes_is_found(
    made: MadeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite

    def bad_cell(descriptor: int, data: Any, offset: int) -> int:
        copy = bytearray(data)
        if offset <= 6_000_000 < offset + len(copy):
            copy[6_000_000 - offset] ^= 0x10
        return real(descriptor, bytes(copy), offset)

    monkeypatch.setattr(os, "pwrite", bad_cell)
    with pytest.raises(NotAsWritten, match=r"zone-updates-1\.bundle"):
        carry(made.folder, tmp_path / "m")
    assert os.listdir(tmp_path / "m") == []


def test_file_systems_that_refuse_direct_writes_get_ordinary_ones(
    made: MadeBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airgap_bundle import volume_writer

    real, refused = os.pwrite, 0

    def picky(descriptor: int, data: Any, offset: int) -> int:
        nonlocal refused
        if volume_writer._is_direct(descriptor):
            refused += 1
            raise OSError(errno.EINVAL, "no")
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", picky)
    carry(made.folder, tmp_path / "m")
    check_all(made, tmp_path / "m")
    assert refused <= 1


@pytest.mark.parametrize(
    "name", ["other-1.bundle", "notes.txt", "lost+found", "zone-updates-1.001-of-009.bundle"]
)
def test_a_place_that_the_other_side_would_refuse_is_refused(
    made: MadeBundle, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).touch()
    with pytest.raises(MediumInUse, match="has no place beside this bundle"):
        carry(made.folder, tmp_path)


def test_a_signature_of_other_sums_never_stays(made: MadeBundle, tmp_path: Path) -> None:
    carry(made.folder, tmp_path, key=PrivateKey.generate())
    assert (tmp_path / "SHA256SUMS.sig").exists()
    carry(made.folder, tmp_path)
    assert not (tmp_path / "SHA256SUMS.sig").exists()


def test_what_nobody_signed_is_not_carried(tmp_path: Path) -> None:
    made = fresh(tmp_path, {"files/a": b"a"})
    path = made.folder / "metadata" / "1.targets.json"
    path.write_bytes(path.read_bytes().partition(b',"signed"')[0].partition(b"[")[0] + b'[],"signed":{}}')
    with pytest.raises(NotCarried, match="not signed yet"):
        carry(made.folder, tmp_path / "m")


@pytest.mark.parametrize(
    ("name", "to"),
    [
        ("metadata/timestamp.json", None),
        ("metadata/1.root.json", "metadata/2.root.json"),
        ("metadata/1.targets.json", "metadata/2.targets.json"),
        ("metadata/1.snapshot.json", None),
        ("targets/*release.json", None),
        ("targets/*content.ndjson", None),
        ("targets/*content.ndjson", f"targets/{'0' * 64}.content.ndjson"),
    ],
)
def test_a_folder_that_is_not_whole_is_not_carried(tmp_path: Path, name: str, to: str | None) -> None:
    made = fresh(tmp_path, {"files/a": b"a"})
    [path] = made.folder.glob(name)
    if to is None:
        path.unlink()
    else:
        path.rename(made.folder / to)
    with pytest.raises(NotCarried):
        carry(made.folder, tmp_path / "m")


def test_a_stray_file_in_the_folder_is_not_carried(tmp_path: Path) -> None:
    made = fresh(tmp_path, {"files/a": b"a"})
    (made.folder / "blobs" / "note").touch()
    with pytest.raises(DoesNotBelong):
        carry(made.folder, tmp_path / "m")


def test_a_carried_bundle_is_not_carried_again(made: MadeBundle, tmp_path: Path) -> None:
    carry(made.folder, tmp_path / "m")
    with pytest.raises(NotCarried, match="carried already"):
        carry(tmp_path / "m", tmp_path / "n")


@pytest.mark.parametrize("only", [0, 6, -1])
def test_a_volume_that_there_is_not_is_not_written(made: MadeBundle, tmp_path: Path, only: int) -> None:
    with pytest.raises(NoSuchVolume):
        carry(made.folder, tmp_path / "m", volume_size=SIZE, only=only)
    with pytest.raises(VolumesTooSmall):
        carry(made.folder, tmp_path / "m", volume_size=100_000)


def test_memory_does_not_grow_with_the_bundle(tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(300 * 2**20)
    made = make_bundle(tmp_path / "bundle", {"files/zeros": large})
    script = (
        "import sys; from pathlib import Path; from airgap_bundle.carry import carry\n"
        "carry(Path(sys.argv[1]), Path(sys.argv[2]), volume_size=100_000_000)\n"
        "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, made.folder, tmp_path / "m"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(ran.stdout) < 150 * 1024


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4.7GB", 4_700_000_000),
        ("2GiB", 2**31),
        ("2 GiB", 2**31),
        ("700m", 700_000_000),
        ("0.5TB", 500_000_000_000),
        ("1048576", 2**20),
        ("DVD", MEDIA["dvd"]),
        ("fat32", 2**32 - 1),
        ("1.5KiB", 1536),
    ],
)
def test_sizes_are_read_as_people_say_them(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "4,7GB", "GB", "1e9", "4.7XB", "0.1B", "1.GB", "dvd9", "9" * 16]
)
def test_other_texts_are_no_sizes(text: str) -> None:
    with pytest.raises(NotASize):
        read_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 KB"),
        (99_949, "99.9 KB"),
        (999_499, "999 KB"),
        (999_500, "1.0 MB"),
        (4_700_372_992, "4.7 GB"),
        (10**18, "1000 PB"),
    ],
)
def test_sizes_are_said_in_three_digits(size: int, text: str) -> None:
    assert words(size) == text


def test_what_was_carried_is_told(made: MadeBundle, tmp_path: Path) -> None:
    carried: Carried = carry(made.folder, tmp_path)
    assert carried.bundle.release == made.release
    assert carried.bundle.release_sha256 == made.release_sha256
    assert carried.bundle.root_version == 1
    assert carried.to == tmp_path
    assert carrying.read_sums(tmp_path) == {file.name: file.sha256 for file in carried.files}
