"""Deltas beside xdelta3 and zstd: two real Debian root images, before and after the security updates.

`python -m tests.bench.delta --work DIR` makes the two images in DIR once (some 250 MB from the Debian
registry as this machine has it configured) and then measures. The old image has what stable had at its last
point release; the new one has the same packages from the security archive on top, and a second kernel.
Every figure is of this machine and this run: compare within a table, not between runs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.tables import Aim, Report, ratio

MB, MIB = 1_000_000, 1 << 20

PACKAGES = (
    *("?essential", "?priority(required)", "?priority(important)", "linux-image-amd64", "openssh-server"),
    *("python3", "curl", "git", "postgresql-15", "chrony", "rsync", "bind9"),
)
"""A server: about 1 GB installed, some 30 packages of which have security updates, besides the kernel's."""

SIZE = 1472
"""MiB of both file systems: a disk keeps its size when its content grows."""

IDENTIFIER = "5eedc0de-0000-4000-8000-000000000001"
"""UUID and hash seed of both file systems: an image builder that is reproducible fixes them."""

OLD_PINS = """\
Package: *
Pin: release l=Debian-Security
Pin-Priority: -10

Package: *
Pin: release a=*-updates
Pin-Priority: -10
"""


@dataclass(frozen=True)
class Pair:
    """Two raw ext4 images and what lies between them."""

    old: Path
    new: Path
    changed: tuple[str, ...]
    """File names of the packages that the new image has and the old one has not."""
    packages_size: int
    """Bytes of these packages: what an update by packages would carry."""


def images(work: Path) -> Pair:
    """The pair in `work`, made there at the first call."""
    pair = work / "old.img", work / "new.img"
    if not all(path.exists() for path in pair):
        _make_images(work, *pair)
    old, new = (set((work / f"{name}.debs").read_text().split()) for name in ("old", "new"))
    changed = tuple(sorted(new - old))
    return Pair(*pair, changed, sum((work / "archives" / name).stat().st_size for name in changed))


def _make_images(work: Path, old: Path, new: Path) -> None:
    tree = work / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    before = _fetch(work, PACKAGES, OLD_PINS)
    kernel = next(name.split("_")[0] for name in before if name.startswith("linux-image-6"))
    # The kernel that runs stays installed beside the new one.
    after = _fetch(work, [*PACKAGES, f"{kernel}={_version(before, kernel)}"], "")
    _install(tree, work / "archives", before)
    _image(tree, old)
    for name in sorted(set(before) - set(after)):
        _remove(tree, name)
    _install(tree, work / "archives", sorted(set(after) - set(before)))
    _image(tree, new)
    shutil.rmtree(tree)
    (work / "old.debs").write_text("\n".join(before))
    (work / "new.debs").write_text("\n".join(after))


def _version(names: Sequence[str], package: str) -> str:
    return urllib.parse.unquote(next(n.split("_")[1] for n in names if n.startswith(f"{package}_")))


def _fetch(work: Path, packages: Sequence[str], pins: str) -> list[str]:
    """Download what a fresh machine needs for `packages`; the file names of all of it."""
    state = work / "apt"
    (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    for folder in (work / "archives", state / "none"):
        (folder / "partial").mkdir(parents=True, exist_ok=True)
    (state / "status").write_text("")  # nothing is installed: everything is fetched
    (state / "pins").write_text(pins)
    options = {
        "Dir::State": state,
        "Dir::State::status": state / "status",
        "Dir::Cache": state,
        "Dir::Cache::archives": work / "archives",
        "Dir::Etc::preferences": state / "pins",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "root",
    }
    apt = [
        "apt-get",
        "-qq",
        "-y",
        *(part for key, value in options.items() for part in ("-o", f"{key}={value}")),
    ]
    subprocess.run([*apt, "update"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # apt leaves archives that it has out of the list, so it lists as if it had none
    nothing = ["-o", f"Dir::Cache::archives={state / 'none'}"]
    listed = subprocess.run(
        [*apt, *nothing, "install", "--print-uris", *packages], check=True, capture_output=True, text=True
    )
    subprocess.run([*apt, "install", "--download-only", *packages], check=True, stdout=subprocess.DEVNULL)
    return sorted(line.split()[1] for line in listed.stdout.splitlines() if line.startswith("'"))


def _install(tree: Path, archives: Path, names: Sequence[str]) -> None:
    """Unpack packages, with the lists that dpkg keeps. No script runs: no initrd, no caches."""
    for folder in ("bin", "sbin", "lib", "lib64"):
        if not (tree / folder).is_symlink():
            (tree / "usr" / folder).mkdir(parents=True, exist_ok=True)
            (tree / folder).symlink_to(f"usr/{folder}")
    information = tree / "var" / "lib" / "dpkg" / "info"
    information.mkdir(parents=True, exist_ok=True)
    for name in names:
        package = name.split("_")[0]
        content = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archives / name], stdout=subprocess.PIPE)
        listed = subprocess.run(
            ["tar", "-xpvf", "-", "--keep-directory-symlink", "--no-overwrite-dir", "-C", tree],
            stdin=content.stdout, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        if content.wait():
            raise RuntimeError(f"dpkg-deb cannot read {name}")
        control = subprocess.run(
            ["dpkg-deb", "--field", archives / name], check=True, capture_output=True, text=True
        ).stdout
        subprocess.run(["dpkg-deb", "--control", archives / name, tree / "control"], check=True)
        for path in (tree / "control").iterdir():
            path.rename(information / f"{package}.{path.name}")
        (tree / "control").rmdir()
        (information / f"{package}.control").write_text(control)
        (information / f"{package}.list").write_text(listed)
    _settle(tree)
    status = "\n".join(path.read_text() for path in sorted(information.glob("*.control")))
    (information.parent / "status").write_text(status)


def _settle(tree: Path) -> None:
    """Access times a day ahead: reading the tree must not change every inode of the next image."""
    ahead = time.time() + 86400
    for folder, folders, files in os.walk(tree):
        for path in (os.path.join(folder, name) for name in (*folders, *files)):
            status = os.lstat(path)
            if status.st_atime < ahead - 86400:
                os.utime(path, (ahead, status.st_mtime), follow_symlinks=False)


def _remove(tree: Path, name: str) -> None:
    """Remove what a package put there, but not folders."""
    listed = tree / "var" / "lib" / "dpkg" / "info" / f"{name.split('_')[0]}.list"
    for line in listed.read_text().splitlines():
        path = tree / line
        if path.is_symlink() or path.is_file():
            path.unlink()


def _image(tree: Path, path: Path) -> None:
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    fixed = f"hash_seed={IDENTIFIER},lazy_itable_init=0,lazy_journal_init=0"
    subprocess.run(
        ["mke2fs", "-q", "-F", "-t", "ext4", "-U", IDENTIFIER, "-E", fixed, "-d", tree, partial, f"{SIZE}M"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    partial.rename(path)


def synthetic(work: Path, size: int) -> Pair:
    """A pair of `size` MiB made of random bytes: most as before, some moved, some edited, some new."""
    work.mkdir(parents=True, exist_ok=True)
    old, new = work / f"old-{size}.bin", work / f"new-{size}.bin"
    if not new.exists():
        rng = random.Random(size)
        with old.open("wb") as first, new.with_suffix(".partial").open("wb") as second:
            for nth in range(size):
                part = random.Random(f"old {nth}").randbytes(MIB)
                first.write(part)
                match rng.randrange(10):
                    case 0:
                        part = rng.randbytes(MIB)
                    case 1:
                        edited = bytearray(part)
                        for at in range(0, MIB, 500):
                            edited[at] ^= 1
                        part = bytes(edited)
                    case 2:
                        part = (
                            random.Random(f"old {rng.randrange(size)}").randbytes(MIB)[100_001:]
                            + b"x" * 100_001
                        )
                second.write(part)
        new.with_suffix(".partial").rename(new)
    return Pair(old, new, (), 0)


@dataclass(frozen=True)
class Way:
    """A way to make one image out of the other. In the commands stand OLD, NEW, DELTA and OUT."""

    name: str
    make: Sequence[Sequence[str]]
    apply: Sequence[str]


@dataclass
class Cost:
    """What commands took: seconds, and the most memory of any of them."""

    wall: float = 0.0
    cpu: float = 0.0
    memory: float = 0.0
    """MB, peak resident."""


OURS = "this delta"
WHOLE = "zstd -3 of the whole"
_MAKE = (
    "import sys, hashlib; from pathlib import Path; from airgap_bundle import delta; "
    "new, old, out = map(Path, sys.argv[1:4]); delta.make(new, [delta.Base(sys.argv[4], old)], out)"
)
_APPLY = (
    "import sys; from pathlib import Path; from airgap_bundle import delta; "
    "delta.apply(Path(sys.argv[1]), lambda _: Path(sys.argv[2]), open(sys.argv[3], 'wb').write)"
)
_HASH = "import sys, hashlib; hashlib.file_digest(open(sys.argv[1], 'rb'), 'sha256')"


def ways(pair: Pair) -> list[Way]:
    """What there is to compare; programs that are not installed are left out."""
    with pair.old.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    long = "--long=31"
    window = str(1 << max(16, (pair.old.stat().st_size - 1).bit_length()))  # else xdelta3 sees 64 MB of it
    found = [
        Way(
            OURS,
            [[sys.executable, "-c", _MAKE, "NEW", "OLD", "DELTA", digest]],
            [sys.executable, "-c", _APPLY, "DELTA", "OLD", "OUT"],
        )
    ]
    if shutil.which("zstd"):
        found += [
            Way(
                WHOLE,
                [["zstd", "-qf", "-3", "-T1", "NEW", "-o", "DELTA"]],
                ["zstd", "-qdf", "DELTA", "-o", "OUT"],
            ),
            Way(
                "zstd -3 --patch-from",
                [["zstd", "-qf", "-3", "-T1", long, "--patch-from=OLD", "NEW", "-o", "DELTA"]],
                ["zstd", "-qdf", long, "--patch-from=OLD", "DELTA", "-o", "OUT"],
            ),
        ]
    if shutil.which("xdelta3"):
        found.append(
            Way(
                "xdelta3 -1",
                [["xdelta3", "-e", "-f", "-1", "-B", window, "-s", "OLD", "NEW", "DELTA"]],
                ["xdelta3", "-d", "-f", "-B", window, "-s", "OLD", "DELTA", "OUT"],
            )
        )
    return found


def run(commands: Sequence[Sequence[str]], files: Mapping[str, Path]) -> Cost:
    """Run the commands one after another. Raises RuntimeError when one fails."""
    cost = Cost()
    for command in commands:
        words = []
        for word in command:
            name, _, value = word.rpartition("=")
            words.append(f"{name}={files[value]}" if name and value in files else str(files.get(word, word)))
        began = time.perf_counter()
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"{words[0]} ended with {process.returncode}")
        cost.wall += time.perf_counter() - began
        cost.cpu += usage.ru_utime + usage.ru_stime
        cost.memory = max(cost.memory, usage.ru_maxrss / 1000)
    return cost


def bench(report: Report, work: Path, runs: int = 3, *, quick: bool = False) -> None:
    """Measure on the real pair, `runs` rounds in turn; `quick`: once, on a small synthetic pair, offline."""
    pair = synthetic(work, 48) if quick else images(work)
    runs = 1 if quick else runs
    size = pair.new.stat().st_size
    found = ways(pair)
    sizes: dict[str, int] = {}
    making: dict[str, list[Cost]] = {way.name: [] for way in found}
    applying: dict[str, list[Cost]] = {name: [] for name in (*making, "cp", "sha256 alone")}
    with tempfile.TemporaryDirectory(dir=work) as folder:
        for nth in range(runs):
            files = {
                "OLD": pair.old,
                "NEW": pair.new,
                "DELTA": Path(folder) / "delta",
                "OUT": Path(folder) / "out",
            }
            for way in found:
                report.say(f"round {nth + 1} of {runs}: {way.name}")
                making[way.name].append(run(way.make, files))
                sizes[way.name] = files["DELTA"].stat().st_size
                applying[way.name].append(run([way.apply], files))
                _same(pair.new, files["OUT"])
                files["OUT"].unlink()
            applying["cp"].append(run([["cp", "NEW", "OUT"]], files))
            applying["sha256 alone"].append(run([[sys.executable, "-c", _HASH, "NEW"]], files))
    columns = ("way", "MB", "of zstd -3", "s", "CPU s", "MB per CPU s", "peak MB")
    rows = [
        (name, sizes[name] / MB, ratio(sizes[name], sizes.get(WHOLE, 0)), *_figures(costs, size))
        for name, costs in making.items()
    ]
    what = f"{size / MB:.0f} MB image"
    if pair.changed:
        what += f", {len(pair.changed)} packages changed ({pair.packages_size / MB:.0f} MB of packages)"
    report.table(f"Make a delta: {what}, medians of {runs}", columns, rows)
    report.table(
        "Apply it",
        ("way", *columns[3:]),
        [(name, *_figures(costs, size)) for name, costs in applying.items()],
    )
    if quick:
        return
    _memory(report, work)
    if WHOLE in sizes:
        report.aim(Aim("size of a delta against zstd -3", 0.25, sizes[OURS] / sizes[WHOLE], most=True))
    if "xdelta3 -1" in sizes:
        report.aim(Aim("size of a delta against xdelta3", 1.0, sizes[OURS] / sizes["xdelta3 -1"], most=True))
    report.aim(Aim("MB per CPU second to make", 50.0, size / MB / _median(making[OURS], "cpu"), most=False))
    report.aim(
        Aim("MB per CPU second to apply", 300.0, size / MB / _median(applying[OURS], "cpu"), most=False)
    )
    report.aim(Aim("peak MB to make", 250.0, max(cost.memory for cost in making[OURS]), most=True))
    report.aim(Aim("peak MB to apply", 200.0, max(cost.memory for cost in applying[OURS]), most=True))


def _memory(report: Report, work: Path) -> None:
    """That memory does not grow with the image: ours alone, over synthetic pairs."""
    rows = []
    for size in (64, 1024, 3072):
        report.say(f"memory at {size} MiB")
        pair = synthetic(work, size)
        with tempfile.TemporaryDirectory(dir=work) as folder:
            files = {
                "OLD": pair.old,
                "NEW": pair.new,
                "DELTA": Path(folder) / "delta",
                "OUT": Path(folder) / "out",
            }
            ours = ways(pair)[0]
            make, apply = run(ours.make, files), run([ours.apply], files)
            _same(pair.new, files["OUT"])
            made = files["DELTA"].stat().st_size
        rows.append((f"{size} MiB", made / MB, make.cpu, make.memory, apply.cpu, apply.memory))
    columns = ("synthetic image", "delta MB", "make CPU s", "peak MB", "apply CPU s", "peak MB")
    report.table("Memory by the size of the image", columns, rows)


def _figures(costs: Sequence[Cost], size: int) -> tuple[float, float, float, float]:
    cpu = _median(costs, "cpu")
    return _median(costs, "wall"), cpu, size / MB / cpu, _median(costs, "memory")


def _median(costs: Sequence[Cost], what: str) -> float:
    return float(statistics.median(getattr(cost, what) for cost in costs))


def _same(one: Path, other: Path) -> None:
    subprocess.run(["cmp", one, other], check=True)


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.delta", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="a folder for the images (12 GB)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default: 3)")
    parser.add_argument("--quick", action="store_true", help="a small synthetic pair: a smoke test")
    parser.add_argument("--output", choices=("table", "json"), default="table", help="form of stdout")
    asked = parser.parse_args(arguments)
    asked.work.mkdir(parents=True, exist_ok=True)
    report = Report()
    bench(report, asked.work, asked.runs, quick=asked.quick)
    print(report.as_json() if asked.output == "json" else report.as_text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
