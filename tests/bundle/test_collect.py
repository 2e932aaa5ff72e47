"""From a lock to bytes: everything that is named, nothing that differs, however often it is interrupted."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from airgap_bundle.cache import Cache, digest_of
from airgap_bundle.collect import collect
from airgap_bundle.errors import Problem
from airgap_bundle.lock import Lock
from airgap_bundle.sources import debian
from airgap_bundle.sources.errors import NotAsLocked, NotThere, UpstreamFailed
from airgap_bundle.sources.item import Item
from tests.bundle.upstream import Layout, Package, wheel, write
from tests.bundle.world import World


def everything(world: World) -> Lock:
    wheel(world.wheels, "alpha", "1.0", ["beta"])
    wheel(world.wheels, "beta")
    layout = Layout(world.folder / "build")
    layout.index(layout.image(b"layer one"), layout.image(b"layer two", architecture="arm64"), tag="12")
    write(world.folder / "a.pdf", b"pdf")
    write(world.folder / "disk.raw", b"\x01" * 4096)
    return world.lock(
        "debian:\n  - suites: [stable]\n    packages: [tool]\n    keyring: $keyring\n"
        "python:\n  - version: '3.11'\n    requirements: [alpha]\n"
        "images:\n  - {image: 'base:12', layout: build}\n"
        "documents: [a.pdf]\ndisk_images:\n  - {path: disk.raw, as: base.raw}\n",
        keyring=world.keyring,
    )


def held(cache: Cache, lock: Lock) -> dict[str, bytes]:
    return {item.path: cache.read(item.sha256) for item in lock.items}


def test_everything_that_a_lock_names_is_in_the_cache_afterwards(world: World) -> None:
    made = everything(world)
    collect(made, world.cache, world.folder)
    for item in made.items:
        assert digest_of(world.cache.path(item.sha256)).sha256 == item.sha256
    assert held(world.cache, made)["documents/a.pdf"] == b"pdf"


def test_locking_and_collecting_twice_gives_the_same_bytes(world: World) -> None:
    first = everything(world)
    collect(first, world.cache, world.folder)
    before = held(world.cache, first)
    shutil.rmtree(world.cache.folder)
    world.cache = Cache(world.folder / "cache")
    second = everything(world)
    collect(second, world.cache, world.folder)
    assert first.render() == second.render()
    assert before == held(world.cache, second)


def test_a_lock_can_be_collected_on_another_machine(world: World, tmp_path: Path) -> None:
    made = everything(world)
    elsewhere = Cache(tmp_path / "elsewhere")
    collect(made, elsewhere, world.folder)
    assert len(held(elsewhere, made)) == len(made.items)


def test_progress_counts_bytes_to_the_end(world: World) -> None:
    made = everything(world)
    told: list[tuple[int, int]] = []
    collect(made, world.cache, world.folder, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] == sum({i.sha256: i.size for i in made.items}.values())
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_what_is_there_already_is_not_fetched_again(world: World) -> None:
    made = everything(world)
    collect(made, world.cache, world.folder)
    shutil.rmtree(world.repository.folder)
    shutil.rmtree(world.wheels)
    (world.folder / "a.pdf").unlink()
    collect(made, world.cache, world.folder)
    assert len(held(world.cache, made)) == len(made.items)


def test_what_decayed_in_the_cache_is_fetched_again(world: World) -> None:
    made = everything(world)
    collect(made, world.cache, world.folder)
    for item in made.items:
        path = world.cache.path(item.sha256)
        path.chmod(0o644)
        path.write_bytes(b"\0" * item.size)
    collect(made, world.cache, world.folder)
    assert all(hashlib.sha256(data).hexdigest() for data in held(world.cache, made).values())


def test_collecting_goes_on_where_it_was_interrupted(world: World) -> None:
    made = everything(world)
    write(world.folder / "a.pdf", b"another")
    with pytest.raises(NotAsLocked, match=r"a\.pdf is not what the lock names"):
        collect(made, world.cache, world.folder, workers=1)
    write(world.folder / "a.pdf", b"pdf")
    collect(made, world.cache, world.folder)
    assert len(held(world.cache, made)) == len(made.items)


def changed(world: World, name: str) -> None:
    """Change what upstream has under the same name."""
    if name == "deb":
        for path in (world.repository.folder / "pool/main/t/tool").iterdir():
            path.write_bytes(Package("tool", "1.0-1", depends="evil").build())
    elif name == "wheel":
        wheel(world.wheels, "alpha", "1.0", ["evil"])
    elif name == "layer":
        layer = hashlib.sha256(b"layer one").hexdigest()
        (world.folder / "build/blobs/sha256" / layer).write_bytes(b"layer 0ne")
    else:
        write(world.folder / "disk.raw", b"\x02" * 4096)


@pytest.mark.parametrize("name", ["deb", "wheel", "layer", "disk"])
def test_what_upstream_changed_since_is_refused_and_does_not_enter(
    world: World, tmp_path: Path, name: str
) -> None:
    made = everything(world)
    changed(world, name)
    elsewhere = Cache(tmp_path / "elsewhere")
    with pytest.raises((NotAsLocked, UpstreamFailed)) as refused:
        collect(made, elsewhere, world.folder)
    assert refused.value.exit_code in (14, 37)
    for path in elsewhere.folder.glob("[0-9a-f][0-9a-f]/*"):
        assert digest_of(path).sha256 == path.name


def test_a_mirror_that_moved_on_is_told_with_what_to_do(world: World, tmp_path: Path) -> None:
    made = everything(world)
    world.repository.publish("stable", Package("tool", "2.0-1"))
    with pytest.raises(Problem) as refused:
        collect(made, Cache(tmp_path / "elsewhere"), world.folder)
    assert "lock the recipe again" in refused.value.remedy


def test_a_local_file_that_is_gone_is_named(world: World, tmp_path: Path) -> None:
    made = everything(world)
    (world.folder / "a.pdf").unlink()
    with pytest.raises(NotThere, match=r"a\.pdf: .* cannot be read"):
        collect(made, Cache(tmp_path / "elsewhere"), world.folder)


def test_a_package_with_a_wrong_size_in_the_lock_is_refused(world: World) -> None:
    made = everything(world)
    wrong = [replace(i, size=i.size + 1) if i.kind == debian.DEB_KIND else i for i in made.items]
    with pytest.raises(NotAsLocked):
        collect(replace(made, items=tuple(wrong)), world.cache, world.folder)


def test_one_content_under_two_paths_is_fetched_once(world: World) -> None:
    write(world.folder / "a.pdf", b"pdf")
    write(world.folder / "b.pdf", b"pdf")
    made = world.lock("documents: [a.pdf, b.pdf]\n")
    (world.folder / "b.pdf").unlink()
    collect(made, world.cache, world.folder)
    assert isinstance(made.items[0], Item)
    assert held(world.cache, made) == {"documents/a.pdf": b"pdf", "documents/b.pdf": b"pdf"}


COLLECT = """
import sys
from pathlib import Path
from airgap_bundle.cache import Cache
from airgap_bundle.collect import collect
from airgap_bundle.lock import Lock
collect(Lock.read(Path(sys.argv[1])), Cache(Path(sys.argv[2])), Path(sys.argv[3]))
"""


def test_killed_at_any_moment_it_leaves_nothing_wrong_and_goes_on(world: World, tmp_path: Path) -> None:
    made = everything(world)
    write(tmp_path / "zone.lock", made.render())
    folder = tmp_path / "elsewhere"
    command = [sys.executable, "-c", COLLECT, str(tmp_path / "zone.lock"), str(folder), str(world.folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(debian.__file__).parents[2])}
    for moment in range(8):
        with subprocess.Popen(
            command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
        ) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.3 + moment * 0.35)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # the tools that it runs, too
        for path in folder.glob("[0-9a-f][0-9a-f]/*"):
            assert digest_of(path).sha256 == path.name
    subprocess.run(command, env=environment, check=True)
    assert held(Cache(folder), made) == held_by_collecting(world, made)
    assert list((folder / ".work").iterdir()) == []


def held_by_collecting(world: World, made: Lock) -> dict[str, bytes]:
    collect(made, world.cache, world.folder)
    return held(world.cache, made)
