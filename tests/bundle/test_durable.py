"""Durable writes, with full disks and sudden death at every line."""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from airgap_bundle import durable
from airgap_bundle.durable import write_durably

OLD, NEW = b"old content\n", b"new content\n" * 1000
CALLS = ["open", "write", "fchmod", "fsync", "close", "rename"]


def leftovers(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if p.name.endswith(durable.TEMPORARY_SUFFIX)]


def in_a_child(work: Callable[[], None]) -> int:
    """Run `work` in a forked child; gives its wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            os._exit(17)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def test_the_content_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, OLD)
    write_durably(path, NEW)
    assert path.read_bytes() == NEW
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
@pytest.mark.parametrize("mode", [0o400, 0o600, 0o640, 0o644, 0o755])
def test_the_mode_is_what_was_asked_whatever_the_umask(tmp_path: Path, mode: int, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_durably(tmp_path / "file", NEW, mode)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_the_mode_is_never_wider_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    for name in ("write", "fchmod", "fsync", "rename"):
        real = getattr(os, name)

        def watched(*arguments: object, real: Callable[..., object] = real) -> object:
            seen.extend(stat.S_IMODE(p.stat().st_mode) for p in leftovers(tmp_path))
            return real(*arguments)

        monkeypatch.setattr(os, name, watched)
    before = os.umask(0)
    try:
        write_durably(tmp_path / "secret", NEW, 0o600)
        write_durably(tmp_path / "sealed", NEW, 0o400)
    finally:
        os.umask(before)
    assert seen
    assert all(mode & ~0o600 == 0 for mode in seen)


def test_a_symbolic_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(OLD)
    (tmp_path / "link").symlink_to("real")
    write_durably(tmp_path / "link", NEW)
    assert (tmp_path / "real").read_bytes() == OLD
    assert (tmp_path / "link").read_bytes() == NEW


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("existing", [None, OLD], ids=["new file", "replaced file"])
def test_death_at_any_call_leaves_the_old_or_the_new(
    tmp_path: Path, call: str, moment: str, existing: bytes | None
) -> None:
    path = tmp_path / "file"
    if existing is not None:
        path.write_bytes(existing)

    def die_there() -> None:
        real = getattr(os, call)

        def killer(*arguments: object) -> object:
            if moment == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            real(*arguments)
            os.kill(os.getpid(), signal.SIGKILL)
            return None

        setattr(os, call, killer)
        write_durably(path, NEW)

    assert os.WTERMSIG(in_a_child(die_there)) == signal.SIGKILL
    expected = NEW if (call, moment) == ("rename", "after") else existing
    assert (path.read_bytes() if path.exists() else None) == expected
    write_durably(path, NEW)  # and the next attempt is not disturbed by what was left
    assert path.read_bytes() == NEW


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT], ids=["ENOSPC", "EIO", "EDQUOT"])
def test_a_failing_call_raises_and_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    path = tmp_path / "file"
    path.write_bytes(OLD)
    real = getattr(os, call)

    def fail(*arguments: object) -> None:
        if call == "close":
            real(*arguments)
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, fail)
        with pytest.raises(OSError, match=os.strerror(code)):
            write_durably(path, NEW)
    assert path.read_bytes() == OLD
    assert leftovers(tmp_path) == []


def test_a_full_disk_leaves_the_old_content(tmp_path: Path) -> None:
    """The kernel refuses to write more than 4 KiB (RLIMIT_FSIZE), in the middle of the content."""
    path = tmp_path / "file"
    path.write_bytes(OLD)

    def fill() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        write_durably(path, NEW)

    assert os.WEXITSTATUS(in_a_child(fill)) == 17
    assert path.read_bytes() == OLD
    assert leftovers(tmp_path) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
def test_a_really_full_disk_leaves_the_old_content(tmp_path: Path) -> None:
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", tmp_path], capture_output=True)
    if mount.returncode:
        pytest.skip("this machine does not let root mount")
    try:
        path = tmp_path / "file"
        path.write_bytes(OLD)
        with pytest.raises(OSError, match="No space left"):
            write_durably(path, NEW)
        assert path.read_bytes() == OLD
        assert leftovers(tmp_path) == []
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_writes_killed_at_random_moments_never_tear_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_durably(path, b"a" * 100_000)
    script = (
        "import sys; from airgap_bundle.durable import write_durably\n"
        "print('go', flush=True)\n"
        "while True:\n"
        "    for letter in (b'a', b'b'): write_durably(sys.argv[1], letter * 100_000)\n"
    )
    for pause in (0.001, 0.003, 0.007, 0.02, 0.05):
        with subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            try:
                child.wait(pause)
            except subprocess.TimeoutExpired:
                child.kill()
        assert path.read_bytes() in (b"a" * 100_000, b"b" * 100_000)


def test_two_writers_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def write(letter: bytes) -> None:
        for _ in range(50):
            write_durably(path, letter * 50_000)

    pid = os.fork()
    if pid == 0:
        write(b"x")
        os._exit(0)
    write(b"y")
    os.waitpid(pid, 0)
    assert path.read_bytes() in (b"x" * 50_000, b"y" * 50_000)
