"""Ingest and collection are killed, lose power, and meet full and broken disks, at every step.

After each: no content is readable that is not what its name says; a release that is kept is complete; the
trust state is the old one or the new one, and the new one only with its contents in the store. Going on then
leads to exactly what work without interruption leads to.

`make test` does a part of it, `make crash` all: 300 kills, every moment of power loss, every failing call.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airgap_bundle import keeping
from airgap_bundle.errors import StateProblem
from airgap_bundle.garbage import collect
from airgap_bundle.ingest import VolumesToCome
from airgap_bundle.store import Store, StoreFull
from tests.bundle.make_bundle import MadeBundle, make_bundle, zstd_entry
from tests.bundle.test_ingest import EXPIRES, Place
from tests.bundle.volumes import write_volumes
from tests.crashes.disk import Recorder

FEW, MANY = 8, 300
long = pytest.mark.long


@dataclass
class World:
    """Two releases, as containers, as volumes, and what they lead to."""

    folder: Path
    first: MadeBundle
    second: MadeBundle
    volumes: list[Path]
    """Of the second."""
    end: dict[str, bytes]
    """The store after both, and a collection."""

    def zone(self, name: str) -> Place:
        return Place(self.folder / name, self.first)

    def finish(self, place: Place) -> None:
        """Go on from wherever it was to the end."""
        if place.state.past.highest < 2:
            if place.state.past.highest < 1:
                place.ingest(self.first.folder)
            place.ingest(*self.volumes)
        else:
            place.ingest(*self.volumes)
        with suppress(Exception):
            place.store.forget("zone-updates", 1)
        collect(place.store)
        assert place.everything() == self.end
        assert os.listdir(place.store.folder / "incoming") == []


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    chance = random.Random(23)
    files: dict[str, bytes | Path] = {f"files/{n}": chance.randbytes(700 * n) for n in range(9)}
    files["images/a"] = chance.randbytes(2_200_000)
    first = make_bundle(folder / "one", files, expires=EXPIRES)
    more = {**files, "images/b": chance.randbytes(2_500_001), "files/3": b"new", "files/new": b"n" * 5000}
    del more["files/5"]
    packed = [
        zstd_entry("data/s", b"[1]" * 500),
        zstd_entry("data/l", chance.randbytes(2_300_000) + b"a" * 9),
    ]
    second = make_bundle(folder / "two", more, 2, first, extra=packed, expires=EXPIRES)
    made = World(folder, first, second, write_volumes(second, folder / "v", 3_000_000), {})
    assert len(made.volumes) == 3
    place = made.zone("straight")
    place.ingest(first.folder)
    place.ingest(*made.volumes)
    place.store.forget("zone-updates", 1)
    collect(place.store)
    made.end = place.everything()
    return made


def assert_sound(place: Place, world: World) -> None:
    """What must be true at any moment, before anything is repaired."""
    contents = place.contents()  # compares every digest
    for kept in place.store.kept():
        made = {1: world.first, 2: world.second}[kept.sequence]
        assert kept.digest == made.release_sha256
        assert {name: (kept.folder / name).read_bytes() for name in made.files} == made.files
        assert {entry.sha256 for entry in made.content.entries} <= contents.keys()
    accepted = place.state.accepted
    assert set(accepted) in (set(), {1}, {1, 2})
    if accepted:
        made = {1: world.first, 2: world.second}[max(accepted)]
        assert {entry.sha256 for entry in made.content.entries} <= contents.keys()


def ingest_first(place: Place, world: World) -> None:
    place.ingest(world.first.folder)


def ingest_second(place: Place, world: World) -> None:
    place.ingest(*world.volumes)


def volumes_apart(place: Place, world: World) -> None:
    for volume in (world.volumes[2], world.volumes[0], world.volumes[1]):
        with suppress(VolumesToCome):
            place.ingest(volume)


def collection(place: Place, world: World) -> None:
    place.store.forget("zone-updates", 1)
    collect(place.store)


WORKS: list[tuple[Callable[[Place, World], None], list[Callable[[Place, World], None]]]] = [
    (ingest_first, []),
    (ingest_second, [ingest_first]),
    (volumes_apart, [ingest_first]),
    (collection, [ingest_first, ingest_second]),
]
"""What is interrupted, and what was done before."""
IDS = [work.__name__ for work, _ in WORKS]


@pytest.fixture(params=WORKS, ids=IDS)
def work(request: pytest.FixtureRequest) -> Any:
    return request.param


def begun(world: World, folder: Path, before: list[Callable[[Place, World], None]]) -> Place:
    place = Place(folder, world.first)
    for step in before:
        step(place, world)
    return place


def again(folder: Path) -> Place:
    """The zone in a folder as a new process finds it."""
    place = object.__new__(Place)
    place.folder, place.store = folder, Store.at(folder / "store")
    return place


@pytest.mark.parametrize("part", [pytest.param(31, id="some"), pytest.param(1, id="every", marks=long)])
def test_power_loss_at_any_moment_loses_work_and_never_truth(
    world: World, tmp_path: Path, work: Any, part: int
) -> None:
    chance = random.Random(part)
    place = begun(world, tmp_path / "zone", work[1])
    with Recorder(tmp_path / "zone") as recorder:
        work[0](place, world)
    moments = [n for n in range(len(recorder.log) + 1) if n % part == part // 2]
    assert len(recorder.log) > 10
    for moment in moments:
        folder = tmp_path / f"after-{moment}"
        recorder.write_image(moment, folder, chance)
        left = again(folder)
        assert_sound(left, world)
        world.finish(left)
        subprocess.run(["rm", "-rf", folder], check=True)
    print(f"\n{work[0].__name__}: {len(moments)} moments of {len(recorder.log)} changes")


def test_a_recorded_disk_that_loses_nothing_is_the_disk(world: World, tmp_path: Path) -> None:
    place = begun(world, tmp_path / "zone", [ingest_first])
    with Recorder(tmp_path / "zone") as recorder:
        ingest_second(place, world)

    class Kind(random.Random):
        def random(self) -> float:
            return 0.0

        def choice(self, seq: Any) -> Any:
            return 1.0

    recorder.write_image(len(recorder.log), tmp_path / "image", Kind())
    assert again(tmp_path / "image").everything() == place.everything()


def test_the_recorder_sees_what_is_not_synced(world: World, tmp_path: Path, monkeypatch: Any) -> None:
    """Were nothing synced, the invariants would not hold: so the tests above can fail."""
    place = begun(world, tmp_path / "zone", [])
    with Recorder(tmp_path / "zone") as recorder:
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)
        monkeypatch.setattr(keeping, "sync_file_system", lambda descriptor: None)
        ingest_first(place, world)
    chance, unsound = random.Random(1), 0
    for moment in range(len(recorder.log) - 20, len(recorder.log)):
        recorder.write_image(moment, tmp_path / f"after-{moment}", chance)
        try:
            assert_sound(again(tmp_path / f"after-{moment}"), world)
        except Exception:
            unsound += 1
    assert unsound > 0


CALLS = ("open", "write", "pwrite", "ftruncate", "fchmod", "fsync", "rename", "mkdir", "unlink", "rmdir")


class Fault:
    """Lets the call number `at` fail, of all calls that change a disk below `folder`."""

    def __init__(self, patched: pytest.MonkeyPatch, at: int | None, code: int) -> None:
        self.at, self.code, self.count = at, code, 0
        for name in CALLS:
            patched.setattr(os, name, self._wrap(name, getattr(os, name)))
        sync = keeping.sync_file_system
        patched.setattr(keeping, "sync_file_system", self._wrap("syncfs", sync))

    def _wrap(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **names: Any) -> Any:
            changes = name != "open" or bool(arguments[1] & os.O_CREAT)
            if changes:
                self.count += 1
                if self.count == self.at:
                    raise OSError(self.code, os.strerror(self.code))
            return real(*arguments, **names)

        return wrapped


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO], ids=["ENOSPC", "EIO"])
@pytest.mark.parametrize("part", [pytest.param(29, id="some"), pytest.param(1, id="every", marks=long)])
def test_a_failing_call_stops_the_work_and_going_on_leads_to_the_end(
    world: World, tmp_path: Path, work: Any, part: int, code: int
) -> None:
    start = begun(world, tmp_path / "start", work[1])
    with pytest.MonkeyPatch.context() as patched:
        calls = Fault(patched, None, code)
        work[0](copied(start, tmp_path / "count"), world)
        count = calls.count
    assert count > 20
    tried = 0
    for at in range(1 + part // 2, count + 1, part):
        place = copied(start, tmp_path / f"at-{at}")
        with pytest.MonkeyPatch.context() as patched:
            Fault(patched, at, code)
            with suppress(StateProblem, OSError):  # removing leftovers may fail in silence
                work[0](place, world)
        left = again(place.folder)
        assert_sound(left, world)
        world.finish(left)
        subprocess.run(["rm", "-rf", place.folder], check=True)
        tried += 1
    print(f"\n{work[0].__name__}: {tried} of {count} calls failed")


def copied(place: Place, to: Path) -> Place:
    subprocess.run(["cp", "-a", place.folder, to], check=True)
    return again(to)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a tmpfs needs root")
def test_a_really_full_disk_leaves_the_store_as_it_was(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "room", lambda self: 10**12)  # so that it is not noticed beforehand
    mount = tmp_path / "mount"
    mount.mkdir()
    for size in range(3_000_000, 11_000_000, 1_000_000):
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(mount)]
        if subprocess.run(command, capture_output=True).returncode:
            pytest.skip("this machine does not let root mount")
        try:
            place = begun(world, mount / "zone", [ingest_first])
            before = place.everything()
            try:
                place.ingest(*world.volumes)
            except StoreFull:
                assert place.everything() == before
                assert set(place.state.accepted) == {1}
            assert_sound(place, world)
            subprocess.run(["mount", "-o", "remount,size=60000000", mount], check=True)
            world.finish(place)
        finally:
            subprocess.run(["umount", mount], check=True)


def in_a_child(work: Callable[[], None]) -> int:
    """Begin `work` in a forked child; gives its process id."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:
            os._exit(17)
        os._exit(0)
    return pid


def durations(world: World, folder: Path) -> Iterator[float]:
    for number, (work, before) in enumerate(WORKS):
        place = begun(world, folder / f"timed-{number}", before)
        began = time.monotonic()
        pid = in_a_child(lambda: work(place, world))  # noqa: B023 - it runs at once
        assert os.waitpid(pid, 0)[1] == 0
        yield time.monotonic() - began


@pytest.mark.timeout(5400)
@pytest.mark.parametrize("kills", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=long)])
def test_kills_at_random_moments_lead_to_the_same_end(world: World, tmp_path: Path, kills: int) -> None:
    chance = random.Random(kills)
    lengths = list(durations(world, tmp_path))
    done = rounds = 0
    while done < kills:
        number = rounds % len(WORKS)
        work, before = WORKS[number]
        place = begun(world, tmp_path / f"zone-{rounds}", before)
        for _ in range(chance.randint(1, 4)):  # the same work is killed again while it goes on
            pid = in_a_child(lambda: work(place, world))  # noqa: B023 - it runs at once
            time.sleep(chance.uniform(0, lengths[number]))
            os.kill(pid, signal.SIGKILL)
            killed = os.WIFSIGNALED(os.waitpid(pid, 0)[1])
            done += killed
            assert_sound(again(place.folder), world)
            if not killed:
                break
        world.finish(again(place.folder))
        subprocess.run(["rm", "-rf", place.folder], check=True)
        rounds += 1
    print(f"\n{done} kills in {rounds} rounds of {', '.join(IDS)}")
