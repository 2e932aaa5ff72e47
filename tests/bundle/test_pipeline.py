"""The engine: what is read is hashed, what matched is kept, whatever disks and media do."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from airgap_bundle import keeping
from airgap_bundle.incoming import Quarantine
from airgap_bundle.keeping import Ways
from airgap_bundle.metadata_source import StuckMedium
from airgap_bundle.pieces import Outcome, Piece
from airgap_bundle.pipeline import SMALL, run
from airgap_bundle.reading import Source

SIZES = [0, 1, 511, 4096, 65_535, 65_536, 200_001, SMALL - 1, SMALL, SMALL + 1, 2**21, 5_000_000, 9_000_001]


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Medium:
    """A file of blobs with framing between them."""

    def __init__(self, path: Path, blobs: list[bytes], aligned: bool = True) -> None:
        self.path, self.blobs = path, blobs
        self.at: list[int] = []
        data = bytearray()
        for blob in blobs:
            data += b"framing!" * 64
            if aligned:
                data += b"." * (-len(data) % 4096)
            self.at.append(len(data))
            data += blob
        data += b"." * (-len(data) % 4096)
        path.write_bytes(data)
        self.data = bytes(data)

    def pieces(self) -> Iterator[Piece]:
        source = Source(str(self.path), len(self.data))
        end = 0
        for at, blob in zip(self.at, self.blobs, strict=True):
            yield Piece(source, end, at - end, expected=self.data[end:at])
            end = at + len(blob)
            half = len(blob) // 2 if len(blob) > 4_000_000 else len(blob)  # large ones in two pieces
            yield Piece(source, at, half, sha(blob), len(blob))
            if half < len(blob):
                yield Piece(source, at + half, len(blob) - half, sha(blob), len(blob), half)
        yield Piece(source, end, len(self.data) - end, expected=self.data[end:])


@pytest.fixture
def medium(tmp_path: Path) -> Medium:
    chance = random.Random(3)
    return Medium(tmp_path / "medium", [chance.randbytes(size) for size in SIZES])


def kept(folder: Path) -> dict[str, bytes]:
    """Every file that has its name, also in batches."""
    return {
        path.name: path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".partial" not in str(path)
    }


def copy(medium: Medium, folder: Path, ways: Ways | None = None) -> Outcome:
    folder.mkdir(exist_ok=True)
    with Quarantine(folder, ways=ways) as quarantine:
        return run(medium.pieces(), quarantine)


@pytest.mark.parametrize("direct", [True, False], ids=["direct", "by the cache"])
@pytest.mark.parametrize("aligned", [True, False], ids=["aligned", "anywhere"])
def test_every_blob_is_kept_under_its_digest(tmp_path: Path, direct: bool, aligned: bool) -> None:
    chance = random.Random(3)
    medium = Medium(tmp_path / "medium", [chance.randbytes(size) for size in SIZES], aligned)
    outcome = copy(medium, tmp_path / "q", Ways(direct=direct))
    assert (outcome.blobs, outcome.damages) == (len(SIZES), [])
    assert outcome.size == len(medium.data)
    assert kept(tmp_path / "q") == {sha(blob): blob for blob in medium.blobs}


@pytest.mark.parametrize("folder", ["/dev/shm", None], ids=["tmpfs", "disk"])
def test_file_systems_of_other_kinds_will_do(medium: Medium, tmp_path: Path, folder: str | None) -> None:
    place = Path(folder or tmp_path) / f"pipeline-{os.getpid()}"
    try:
        copy(medium, place)
        assert kept(place) == {sha(blob): blob for blob in medium.blobs}
    finally:
        subprocess.run(["rm", "-rf", place], check=True)


def test_a_file_system_that_refuses_direct_writes_is_written_by_the_cache(
    medium: Medium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refusing(path: Any, flags: int, *arguments: Any, **names: Any) -> int:
        descriptor = real(path, flags & ~os.O_DIRECT, *arguments, **names)
        if flags & os.O_DIRECT:
            os.close(descriptor)  # as the kernel does it: the file is made and then refused
            raise OSError(errno.EINVAL, "Invalid argument")
        return descriptor

    monkeypatch.setattr(os, "open", refusing)
    copy(medium, tmp_path / "q")
    assert kept(tmp_path / "q") == {sha(blob): blob for blob in medium.blobs}


def test_direct_writes_that_are_refused_or_cut_short_go_on_by_the_cache(
    medium: Medium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, chance = os.pwrite, random.Random(5)

    def awkward(descriptor: int, data: memoryview, offset: int) -> int:
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_DIRECT:
            if chance.random() < 0.1:
                raise OSError(errno.EINVAL, "Invalid argument")
            return real(descriptor, data[: max(len(data) // 2 // 4096 * 4096, 4096)], offset)
        return real(descriptor, data[: chance.randint(1, len(data))], offset)

    monkeypatch.setattr(os, "pwrite", awkward)
    copy(medium, tmp_path / "q")
    assert kept(tmp_path / "q") == {sha(blob): blob for blob in medium.blobs}


def test_damage_is_found_everywhere_and_the_rest_is_kept(medium: Medium, tmp_path: Path) -> None:
    data = bytearray(medium.data)
    hurt = [2, 6, 11]
    for number in hurt:
        data[medium.at[number] + SIZES[number] // 3] ^= 4
    data[medium.at[5] - 10] ^= 4
    medium.path.write_bytes(data)
    outcome = copy(medium, tmp_path / "q")
    assert (outcome.damaged_blobs, outcome.damaged_framing) == (3, 1)
    assert {d.blob for d in outcome.damages if d.blob} == {sha(medium.blobs[n]) for n in hurt}
    (framing,) = (d for d in outcome.damages if not d.blob)
    assert framing.at == medium.at[5] - 10
    good = {sha(blob): blob for n, blob in enumerate(medium.blobs) if n not in hurt}
    assert kept(tmp_path / "q") == good
    assert not [path for path in (tmp_path / "q").iterdir() if path.suffix == ".partial"]


def test_a_sector_that_cannot_be_read_damages_what_lies_there_only(
    medium: Medium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = [medium.at[3] + 100, medium.at[12] + 3_000_000]
    real = os.preadv

    def failing(descriptor: int, views: list[memoryview], at: int) -> int:
        if any(at <= place < at + len(views[0]) for place in bad):
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor, views, at)

    monkeypatch.setattr(os, "preadv", failing)
    outcome = copy(medium, tmp_path / "q")
    assert {d.blob for d in outcome.damages} == {sha(medium.blobs[3]), sha(medium.blobs[12])}
    assert {d.why for d in outcome.damages} == {"it cannot be read (input/output error)"}
    assert len(kept(tmp_path / "q")) == len(SIZES) - 2


def test_a_device_that_only_fails_is_given_up(
    medium: Medium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "preadv", failing)
    outcome = copy(medium, tmp_path / "q")
    assert outcome.given_up
    assert kept(tmp_path / "q") == {}


def test_a_medium_that_ends_too_early_is_damage(medium: Medium, tmp_path: Path) -> None:
    size = len(medium.data)
    medium.path.write_bytes(medium.data[: medium.at[12] + 10])
    outcome = copy(medium, tmp_path / "q")
    assert kept(tmp_path / "q") == {}
    assert f"where {size} belong" in outcome.damages[0].why


def test_a_medium_that_shrinks_while_it_is_read_is_damage(
    medium: Medium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.preadv

    def shrinking(descriptor: int, views: list[memoryview], at: int) -> int:
        if at > medium.at[12]:
            os.truncate(medium.path, medium.at[12] + 100)
        return real(descriptor, views, at)

    monkeypatch.setattr(os, "preadv", shrinking)
    outcome = copy(medium, tmp_path / "q")
    assert "the file ends there" in {d.why for d in outcome.damages}
    assert sha(medium.blobs[12]) not in kept(tmp_path / "q")


def test_a_medium_that_hangs_is_left_behind(
    medium: Medium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, released = os.preadv, threading.Event()

    def hanging(descriptor: int, views: list[memoryview], at: int) -> int:
        if at > medium.at[11]:
            released.wait(30)
        return real(descriptor, views, at)

    monkeypatch.setattr(os, "preadv", hanging)
    with pytest.raises(StuckMedium, match="the medium is stuck"), Quarantine(tmp_path) as quarantine:
        run(medium.pieces(), quarantine, silence=0.5)
    released.set()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT], ids=["ENOSPC", "EIO", "EDQUOT"])
@pytest.mark.parametrize(
    "call", ["open", "pwrite", "write", "ftruncate", "fchmod", "fsync", "rename", "mkdir", "posix_fallocate"]
)
def test_a_disk_that_fails_ends_the_run_and_names_nothing_wrong(
    medium: Medium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    for fails_at in range(4):
        folder = tmp_path / f"q{fails_at}"
        folder.mkdir()
        with monkeypatch.context() as patched, Quarantine(folder) as quarantine:
            patched.setattr(os, call, failing_at(getattr(os, call), fails_at, code, call))
            failed = None
            try:
                run(medium.pieces(), quarantine)
            except OSError as error:
                failed = error.errno
            assert failed == code or fails_at > 0  # some calls are made only once
        for name, data in kept(folder).items():
            assert sha(data) == name


def failing_at(real: Callable[..., Any], number: int, code: int, call: str) -> Callable[..., Any]:
    calls = iter(range(1_000_000))

    def failing(*arguments: Any, **names: Any) -> Any:
        mine = call != "open" or names.get("dir_fd") is not None
        if mine and next(calls) == number:
            raise OSError(code, os.strerror(code))
        return real(*arguments, **names)

    return failing


def test_what_write_back_could_not_write_is_noticed(
    medium: Medium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(keeping, "sync_file_system", failing)
    with pytest.raises(OSError, match="Input/output error"):
        copy(medium, tmp_path / "q")
    assert not [name for name in os.listdir(tmp_path / "q") if name.startswith("batch") and "." not in name]


def test_an_interrupt_ends_it(medium: Medium, tmp_path: Path) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Quarantine(tmp_path) as quarantine:
        run(medium.pieces(), quarantine, progress=interrupt)
    assert threading.active_count() < 5


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_blocks_are_shared_where_the_file_system_can(tmp_path: Path, kind: str) -> None:
    make = {"xfs": ["mkfs.xfs", "-q", "-m", "reflink=1"], "btrfs": ["mkfs.btrfs", "-q"]}[kind]
    image, mount = tmp_path / "image", tmp_path / "mount"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(512 * 2**20)
    try:
        made = subprocess.run([*make, image], capture_output=True).returncode == 0
    except FileNotFoundError:
        made = False
    if not made or subprocess.run(["mount", "-o", "loop", image, mount], capture_output=True).returncode:
        pytest.skip(f"no {kind} here")
    try:
        chance = random.Random(3)
        medium = Medium(mount / "medium", [chance.randbytes(size) for size in SIZES])
        os.sync()
        ways = Ways()
        copy(medium, mount / "q", ways)
        assert ways.clone
        assert kept(mount / "q") == {sha(blob): blob for blob in medium.blobs}
        large = next((mount / "q").glob(sha(medium.blobs[-1])))
        extents = subprocess.run(["filefrag", "-v", large], capture_output=True, text=True).stdout
        assert "shared" in extents
    finally:
        subprocess.run(["umount", mount], check=True)


MEASURED = """
import re, sys
from pathlib import Path
from airgap_bundle.incoming import Quarantine
from airgap_bundle.pieces import Piece
from airgap_bundle.pipeline import run
from airgap_bundle.reading import Source
size, digest = int(sys.argv[2]), sys.argv[3]
source = Source(sys.argv[1], size)
with Quarantine(Path(sys.argv[4])) as quarantine:
    assert run([Piece(source, 0, size, digest, size)], quarantine).blobs == 1
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024)
"""


def test_memory_does_not_grow_with_the_size(tmp_path: Path) -> None:
    peaks = []
    for size in (20_000_000, 400_000_000):
        path, folder = tmp_path / f"{size}", tmp_path / f"q{size}"
        folder.mkdir()
        with path.open("wb") as file:
            file.truncate(size)
        with path.open("rb") as read:
            digest = hashlib.file_digest(read, "sha256").hexdigest()
        command = [sys.executable, "-c", MEASURED, str(path), str(size), digest, str(folder)]
        environ = {**os.environ, "PYTHONPATH": "airgap-bundle"}
        peaks.append(int(subprocess.run(command, env=environ, check=True, capture_output=True).stdout))
    assert peaks[1] < peaks[0] + 20
    assert peaks[1] < 120
