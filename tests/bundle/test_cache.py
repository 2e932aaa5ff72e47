"""Content by digest: what a name promises is what the bytes are, whatever crashes or decays."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airgap_bundle.cache import Cache, Digest, copy_sparse, digest_of
from airgap_bundle.sources.errors import NotAsLocked, NotThere


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def names(cache: Cache) -> list[str]:
    return sorted(path.name for path in cache.folder.glob("[0-9a-f][0-9a-f]/*"))


def test_content_is_found_by_its_digest_and_cannot_be_written(cache: Cache) -> None:
    made = cache.add(b"hello")
    path = cache.path(made.sha256)
    assert path == cache.folder / made.sha256[:2] / made.sha256
    assert path.stat().st_mode & 0o777 == 0o444
    assert cache.read(made.sha256) == b"hello"
    assert cache.has(made.sha256, 5)
    assert not cache.has(made.sha256, 6)


def test_what_has_another_digest_than_expected_does_not_enter(cache: Cache) -> None:
    with cache.work() as folder:
        (folder / "x").write_bytes(b"evil")
        with pytest.raises(
            NotAsLocked, match=r"pool/x\.deb is not what the lock names: its SHA-256"
        ) as refused:
            cache.admit(folder / "x", sha(b"good"), 4, "pool/x.deb")
        assert not (folder / "x").exists()
    assert refused.value.exit_code == 14
    assert names(cache) == []


def test_what_has_another_length_than_expected_does_not_enter(cache: Cache) -> None:
    with cache.work() as folder:
        (folder / "x").write_bytes(b"good")
        with pytest.raises(NotAsLocked, match="it has 4 bytes where 5 are named"):
            cache.admit(folder / "x", sha(b"good"), 5, "x")


def test_what_decayed_on_the_disk_is_noticed_and_removed(cache: Cache) -> None:
    made = cache.add(b"hello")
    cache.path(made.sha256).chmod(0o644)
    cache.path(made.sha256).write_bytes(b"hallo")
    with pytest.raises(NotAsLocked, match="changed on the disk"):
        cache.read(made.sha256)
    assert not cache.sound(made.sha256, 5)
    assert names(cache) == []


def test_what_decayed_is_replaced_when_it_comes_again(cache: Cache) -> None:
    made = cache.add(b"hello")
    cache.path(made.sha256).chmod(0o644)
    cache.path(made.sha256).write_bytes(b"hallo")
    assert cache.add(b"hello") == made
    assert cache.read(made.sha256) == b"hello"


def test_a_file_of_somebody_else_is_copied_and_left_alone(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"mine")
    assert cache.copy(tmp_path / "x", "x") == Digest(sha(b"mine"), 4)
    assert (tmp_path / "x").read_bytes() == b"mine"
    with pytest.raises(NotThere, match=r"no-x: .* cannot be read"):
        cache.copy(tmp_path / "no", "no-x")


def test_holes_stay_holes(cache: Cache, tmp_path: Path) -> None:
    with (tmp_path / "disk").open("wb") as file:
        file.write(b"boot")
        file.truncate(64 * 1024 * 1024)
    made = cache.copy(tmp_path / "disk", "disk")
    assert made == digest_of(tmp_path / "disk")
    assert cache.path(made.sha256).stat().st_blocks * 512 < 1024 * 1024


@given(runs=st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=6))
def test_sparse_copies_are_exact(runs: list[tuple[bool, int]]) -> None:
    source, target = os.memfd_create("source"), os.memfd_create("target")
    try:
        for data, pages in runs:
            end = os.fstat(source).st_size
            os.ftruncate(source, end + pages * 4096 - 17)
            if data:
                os.pwrite(source, os.urandom(pages * 4096 - 17), end)
        copy_sparse(source, target)
        end = os.fstat(source).st_size
        assert os.pread(source, end, 0) == os.pread(target, end + 1, 0)
    finally:
        os.close(source)
        os.close(target)


def test_work_left_by_a_killed_process_is_swept_and_work_under_way_is_not(tmp_path: Path) -> None:
    program = (
        "import sys,time\nfrom pathlib import Path\nfrom airgap_bundle.cache import Cache\n"
        "with Cache(Path(sys.argv[1])).work() as folder:\n"
        "    (folder / 'half').write_bytes(b'x')\n    print(folder, flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "cache")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "airgap-bundle")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        Cache(tmp_path / "cache")
        assert (folder / "half").exists()
        process.send_signal(signal.SIGKILL)
        process.wait()
    Cache(tmp_path / "cache")
    assert not folder.exists()


def test_two_may_add_the_same_at_once(tmp_path: Path) -> None:
    first, second = Cache(tmp_path / "cache"), Cache(tmp_path / "cache")
    with first.work() as one, second.work() as two:
        (one / "x").write_bytes(b"same")
        (two / "x").write_bytes(b"same")
        assert first.take(one / "x") == second.take(two / "x")
    assert names(first) == [sha(b"same")]


def test_a_work_folder_is_gone_at_its_end_even_after_an_error(cache: Cache) -> None:
    left = contextlib.ExitStack()
    folder = left.enter_context(cache.work())
    (folder / "x").write_bytes(b"x")
    with pytest.raises(ZeroDivisionError), left:
        raise ZeroDivisionError
    assert not folder.exists()
