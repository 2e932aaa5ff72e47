"""`python -m tests.bench.bundles --work DIR`: verify and ingest beside other ways to bring files over safely.

Two contents, each carried in one container: files of mixed sizes (4 GiB), and 100,000 small files. All
contestants read the same bytes from DIR and write to DIR, in rounds in turn; files that were written before
are removed and synced away between two of them. The floor is `cp` and fsync of the container, which checks
nothing.

A contestant is a command of its own: seconds, CPU seconds and peak memory are those of its processes, from
their start to their end, with whatever it costs to start them. Peers that are not installed are left out.
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
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.tables import Aim, Report

CHECKOUT = Path(__file__).resolve().parents[2]
GB = 10**9
PEERS = {
    "gpg": "gnupg",
    "openssl": "openssl",
    "borg": "borgbackup",
    "casync": "casync",
    "rauc": "rauc",
    "mksquashfs": "squashfs-tools",
}
"""Commands, and the Debian packages that have them."""


@dataclass
class Run:
    """What one run of a contestant took."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds, user and system, of all its processes."""
    memory: float
    """MB, of its largest process."""


@dataclass(frozen=True)
class Contestant:
    """A way to verify or to bring over: a command for a shell in the content's folder. It writes to out/."""

    name: str
    command: str
    checks: str
    """What it makes sure of."""


@dataclass
class Made:
    """A content, in every form that a contestant needs."""

    folder: Path
    size: int
    """Bytes of the content."""
    files: int
    runs: dict[str, list[Run]] = field(default_factory=dict)

    def best(self, name: str) -> float:
        """Seconds of the fastest run."""
        return min(run.wall for run in self.runs[name])


def contestants(made: Made) -> Iterator[Contestant]:
    """All that are installed, the floor first."""
    yield Contestant("cp + fsync (floor)", "cp in.bundle out/ && sync out/in.bundle", "nothing")
    yield Contestant("cp -r + sync", "cp -r content out/ && sync -f out", "nothing")
    yield Contestant("sha256sum", "sha256sum --quiet -c in.sums", "bytes, no signature")
    yield Contestant(
        "cp && sha256sum -c",
        "cp in.bundle out/ && sync out/in.bundle && cd out && sha256sum --quiet -c ../in.sums",
        "bytes, no signature",
    )
    if shutil.which("openssl"):
        yield Contestant("openssl dgst", "openssl dgst -sha256 in.bundle", "bytes, no signature")
        yield Contestant(
            "cp && openssl dgst",
            "cp in.bundle out/ && sync out/in.bundle && openssl dgst -sha256 out/in.bundle",
            "bytes, no signature",
        )
    if (made.folder / "in.tar.sig").exists():
        yield Contestant(
            "gpg --verify && tar -x",
            "gpg --homedir gpg -q --verify in.tar.sig in.tar && tar -C out -xf in.tar && sync -f out",
            "one signature",
        )
    if (made.folder / "borg").exists():
        command = "cd out && BORG_BASE_DIR=../borg-home borg extract ../borg::content && sync -f ."
        yield Contestant("borg extract", command, "bytes, no signature")
    if (made.folder / "in.caidx").exists():
        yield Contestant(
            "casync extract",
            "casync extract --store=in.castr in.caidx out/content && sync -f out",
            "bytes, no signature",
        )
    if (made.folder / "in.raucb").exists():
        command = "rauc --keyring=cert.pem extract in.raucb out/content && sync -f out"
        yield Contestant("rauc extract", command, "one signature")
    ours = f"{sys.executable} -m airgap_bundle.cli.main"
    yield Contestant(
        "airgap-bundle verify", f"{ours} verify in.bundle --root root.json", "12 checks, thresholds, order"
    )
    yield Contestant(
        "airgap-bundle ingest",
        f"{ours} ingest in.bundle --trust out/trust --store out/store",
        "12 checks, thresholds, order",
    )


def make(folder: Path, sizes: Sequence[int]) -> None:
    """Make a content of these sizes, signed and carried, in every form. In a process of its own."""
    from tests.bundle.make_bundle import make_bundle
    from tests.bundle.volumes import layouts

    folder.mkdir(parents=True)
    content = folder / "content"
    chance = random.Random(len(sizes))
    files: dict[str, bytes | Path] = {}
    for number, size in enumerate(sizes):
        path = f"files/{number % 100:02}/{number:06}.bin"
        (content / path).parent.mkdir(parents=True, exist_ok=True)
        with (content / path).open("wb") as file:
            for at in range(0, size, 2**20):
                file.write(chance.randbytes(min(2**20, size - at)))
        files[path] = content / path
    signed = folder / "signed"
    made = make_bundle(signed, files, created=datetime.now(UTC).replace(microsecond=0))
    (layout,) = layouts(made)
    with (folder / "in.bundle").open("wb") as out:
        for at, run in layout.framing(made.files):
            out.seek(at)
            out.write(run)
        for member in layout.members:
            if member.blob:
                out.seek(member.at)
                with (signed / "blobs" / member.blob).open("rb") as blob:
                    shutil.copyfileobj(blob, out, 2**20)
    (folder / "root.json").write_bytes(made.root_bytes)
    shutil.rmtree(signed)


def prepare(report: Report, folder: Path, sizes: Sequence[int], *, alone: bool = False) -> Made:
    """Make what is not there yet from an earlier run; `alone`: without the peers' forms."""
    if not (folder / "complete").exists():
        if folder.exists():
            shutil.rmtree(folder)
        report.say(f"making {len(sizes)} files of {sum(sizes) / GB:.1f} GB")
        program = (
            "import sys; from pathlib import Path; from tests.bench.bundles import make; "
            "make(Path(sys.argv[1]), [int(size) for size in sys.stdin.read().split()])"
        )
        listed = " ".join(map(str, sizes))
        subprocess.run(
            [sys.executable, "-c", program, folder], input=listed, text=True, check=True, env=_env()
        )
        _shell(folder, "sha256sum in.bundle > in.sums")
        for needs, commands in ({} if alone else _forms()).items():
            if all(shutil.which(command) for command in needs):
                for command in commands:
                    _shell(folder, command)
        (folder / "complete").touch()
    return Made(folder, sum(sizes), len(sizes))


def _forms() -> dict[tuple[str, ...], list[str]]:
    """How each peer's form of the content is made."""
    rauc = "[update]\\ncompatible=bench\\nversion=1\\n[bundle]\\nformat=plain\\n"
    rauc += "[image.rootfs]\\nfilename=in.tar\\n"
    squash = "--mksquashfs-args='-comp gzip -noI -noD -noF'"
    return {
        ("gpg",): [
            "tar -C content -cf in.tar .",
            "mkdir -m 700 gpg && gpg --homedir gpg -q --batch --passphrase '' --quick-gen-key bench ed25519",
            "gpg --homedir gpg -q --batch --detach-sign in.tar",
        ],
        ("borg",): [
            "mkdir borg-home && BORG_BASE_DIR=borg-home borg init -e none borg",
            "cd content && BORG_BASE_DIR=../borg-home borg create -C none ../borg::content .",
        ],
        ("casync",): ["casync make --compression=zstd --store=in.castr in.caidx content > /dev/null"],
        ("rauc", "mksquashfs", "openssl", "gpg"): [
            "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=bench -keyout key.pem -out cert.pem",
            f"mkdir rauc && ln in.tar rauc/in.tar && printf '{rauc}' > rauc/manifest.raucm",
            f"rauc --cert=cert.pem --key=key.pem --keyring=cert.pem {squash} bundle rauc in.raucb",
        ],
    }


def measure(report: Report, made: Made, rounds: int, *, alone: bool = False) -> None:
    """Run all contestants, `rounds` times in turn; `alone`: only the floor and ours."""
    found = [one for one in contestants(made) if not alone or "floor" in one.name or "bundle" in one.name]
    for nth in range(rounds):
        for one in found:
            _clean(made.folder)
            report.say(f"round {nth + 1} of {rounds}: {one.name}")
            made.runs.setdefault(one.name, []).append(_timed(made.folder, one.command))
            if one.name.endswith("ingest"):
                _check_store(made)
    _clean(made.folder, trust=False)


def _timed(folder: Path, command: str) -> Run:
    with open(folder / "output", "wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            ["sh", "-ec", command],
            cwd=folder,
            env=_env(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = (folder / "output").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{command} ended with {process.returncode}: {said}")
    return Run(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000)


def _clean(folder: Path, *, trust: bool = True) -> None:
    """An empty out/, with a trust state of its own, and nothing left to write."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    (folder / "out").mkdir()
    if trust:
        digest = hashlib.sha256((folder / "root.json").read_bytes()).hexdigest()
        command = f"trust init root.json --fingerprint {digest} --trust out/trust"
        _shell(folder, f"{sys.executable} -m airgap_bundle.cli.main {command}")
    os.sync()


def _check_store(made: Made) -> None:
    """The store holds every file: a contestant that did less would have won unfairly."""
    objects = list((made.folder / "out/store/objects").glob("*/*"))
    if (len(objects), sum(path.stat().st_size for path in objects)) != (made.files, made.size):
        raise RuntimeError("the store does not hold all of the content")


def _shell(folder: Path, command: str) -> None:
    done = subprocess.run(["sh", "-ec", command], cwd=folder, env=_env(), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")


def _env() -> dict[str, str]:
    path = os.pathsep.join([str(CHECKOUT), str(CHECKOUT / "airgap-bundle")])
    return {**os.environ, "PYTHONPATH": path, "LC_ALL": "C.UTF-8"}


def tell(report: Report, title: str, made: Made) -> None:
    """Add the table of a content."""
    floor = made.best("cp + fsync (floor)")
    gb = made.size / GB
    rows = []
    checks = {one.name: one.checks for one in contestants(made)}
    for name, runs in made.runs.items():
        best = made.best(name)
        rows.append(
            (
                name,
                f"{best:.2f}",
                f"{statistics.median(run.wall for run in runs):.2f}",
                f"{made.size / best / 1e6:.0f}",
                f"{floor / best:.2f}",
                f"{min(run.cpu for run in runs) / gb:.2f}",
                f"{max(run.memory for run in runs):.0f}",
                checks[name],
            )
        )
    columns = ("", "best s", "median s", "MB/s", "× floor", "CPU s/GB", "peak MB", "makes sure of")
    report.table(title, columns, rows)


def aims(report: Report, mixed: Made, small: Made | None) -> None:
    """What was aimed at for mixed content, best against best."""
    ours = "airgap-bundle ingest"
    best = mixed.best(ours)
    report.aim(Aim("ingest, times cp + fsync", 0.9, mixed.best("cp + fsync (floor)") / best, most=False))
    if "cp && openssl dgst" in mixed.runs:
        got = mixed.best("cp && openssl dgst") / best
        report.aim(Aim("ingest, times cp && openssl dgst", 1.6, got, most=False))
    if "cp && sha256sum -c" in mixed.runs:
        got = mixed.best("cp && sha256sum -c") / best
        report.aim(Aim("ingest, times cp && sha256sum", 3.0, got, most=False))
    cpu = min(run.cpu for run in mixed.runs[ours]) / mixed.size * GB
    report.aim(Aim("ingest, CPU seconds per GB", 1.2, cpu, most=True))
    for name, made in (("mixed content", mixed), ("small files", small)):
        if made is not None:
            peak = max(
                run.memory for one in ("ingest", "verify") for run in made.runs[f"airgap-bundle {one}"]
            )
            report.aim(Aim(f"peak memory for {name}, MB", 200, peak, most=True))


def mixed_sizes(total: int) -> list[int]:
    """Sizes as in a release: half of it in images, then packages of all sizes, and many small files."""
    chance = random.Random(4)
    sizes = [total // 4, total // 8, total // 8]
    while (rest := total - sum(sizes)) > 0:
        sizes.append(min(rest, int(chance.lognormvariate(13.2, 1.9)) + 100))
    return sizes


def small_sizes(files: int) -> list[int]:
    """Sizes from 100 bytes to 8 KB."""
    chance = random.Random(9)
    return [chance.randint(100, 8000) for _ in range(files)]


def install(report: Report) -> None:
    """Install the peers that are missing, from Debian packages."""
    missing = sorted({package for command, package in PEERS.items() if not shutil.which(command)})
    if missing:
        report.say(f"installing {', '.join(missing)}")
        subprocess.run(["apt-get", "install", "-qq", "-y", "--no-install-recommends", *missing], check=True)


def bench(report: Report, work: Path, size: int, files: int, rounds: int, *, alone: bool = False) -> None:
    """Measure both contents in `work`; `alone`: only the floor and ours."""
    for command, package in PEERS.items():
        if not alone and not shutil.which(command):
            report.note(f"{command} is not here (Debian package {package}), so what needs it is left out.")
    kind = "-alone" if alone else ""
    mixed = prepare(report, work / f"mixed-{size}{kind}", mixed_sizes(size), alone=alone)
    measure(report, mixed, rounds, alone=alone)
    tell(report, f"{mixed.files} files of {size / 2**30:.1f} GiB", mixed)
    small = None
    if files:
        small = prepare(report, work / f"small-{files}{kind}", small_sizes(files), alone=alone)
        measure(report, small, rounds, alone=alone)
        tell(report, f"{files} small files of {small.size / 1e6:.0f} MB", small)
    aims(report, mixed, small)


def read_size(text: str) -> int:
    """`4GiB`, `512MiB`."""
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20)):
        if text.endswith(unit):
            return int(float(text.removesuffix(unit)) * factor)
    return int(text)


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bundles", description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="a folder with room for 8 times the size")
    parser.add_argument("--size", type=read_size, default=4 * 2**30, help="mixed content (default: 4GiB)")
    parser.add_argument("--files", type=int, default=100_000, help="small files (default: 100000; 0: none)")
    parser.add_argument("--rounds", type=int, default=5, help="(default: 5)")
    parser.add_argument("--alone", action="store_true", help="only the floor and ours")
    parser.add_argument("--install", action="store_true", help="install missing peers from Debian packages")
    parser.add_argument("--output", choices=("table", "json"), default="table", help="form of stdout")
    asked = parser.parse_args(arguments)
    asked.work.mkdir(parents=True, exist_ok=True)
    report = Report()
    if asked.install:
        install(report)
    bench(report, asked.work.resolve(), asked.size, asked.files, asked.rounds, alone=asked.alone)
    print(report.as_json() if asked.output == "json" else report.as_text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
