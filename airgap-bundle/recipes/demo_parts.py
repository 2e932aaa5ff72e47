"""Make the parts of `demo.yaml` that no upstream has: an OCI image and a disk, both of one small Debian tree.

    $ python3 airgap-bundle/recipes/demo_parts.py airgap-bundle/recipes/demo/made
    $ python3 ... airgap-bundle/recipes/demo/made --with hello --created 2026-12-23T10:00:00Z

debootstrap makes the tree from the mirror of the machine's own APT sources; it needs root and takes about a
minute. The second form makes a second release with one package more, for a delta. Nothing is left but the
parts.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

try:
    from airgap_bundle.release import read_moment
except ModuleNotFoundError:  # run from the source tree, before anything is installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from airgap_bundle.release import read_moment

from airgap_bundle.sources import tree
from airgap_bundle.sources.apt import Apt
from airgap_bundle.sources.tools import run

SUITE = "bookworm"
DISK_MIB = 256
_HELP = "Install debootstrap, e2fsprogs and qemu-utils, and run it as root."


def make(folder: Path, more: list[str], created: datetime, keep: Path | None = None) -> None:
    """Make `debian-base` (an OCI layout) and `base.qcow2` in `folder`, anew. `keep`: a tree to use again."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as work:
        root = keep or Path(work, "tree")
        if not root.exists():
            debootstrap(root, more, created)
        shutil.rmtree(folder / "debian-base", ignore_errors=True)
        print(f"image {tree.layout(root, folder / 'debian-base', '12', created)}")
        disk(root, Path(work), folder / "base.qcow2", created)
        print(f"disk {folder / 'base.qcow2'}")


def debootstrap(root: Path, more: list[str], created: datetime) -> None:
    """A minimal Debian in `root`, from where the machine's APT sources have the suite."""
    with tempfile.TemporaryDirectory() as private:
        places = Apt(Path(private), architecture()).places([SUITE], ["main"])
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(['ca-certificates', *more])}"]
    environment = {"SOURCE_DATE_EPOCH": str(int(created.timestamp())), "DEBIAN_FRONTEND": "noninteractive"}
    run(
        [*command, SUITE, root, places[SUITE, "main"][0]],
        "make a Debian tree",
        _HELP,
        environment=environment,
    )
    for left in ("var/cache/apt/archives", "var/lib/apt/lists", "var/log"):
        for path in sorted((root / left).rglob("*"), reverse=True):
            path.unlink() if not path.is_dir() or path.is_symlink() else path.rmdir()


def disk(root: Path, work: Path, target: Path, created: datetime) -> None:
    """An ext4 disk of the tree as a compressed qcow2, the form in which vendors ship disks."""
    raw = work / "disk"
    environment = {
        "SOURCE_DATE_EPOCH": str(int(created.timestamp())),
        "E2FSPROGS_FAKE_TIME": str(int(created.timestamp())),
    }
    seed = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    options = ["-q", "-t", "ext4", "-U", seed, "-E", f"hash_seed={seed},root_owner=0:0", "-d", str(root)]
    run(["mke2fs", *options, raw, f"{DISK_MIB}M"], "make a file system", _HELP, environment=environment)
    run(["qemu-img", "convert", "-c", "-O", "qcow2", raw, target], "make a qcow2", _HELP)


def architecture() -> str:
    """The machine's architecture, as Debian names it."""
    return subprocess.run(
        ["dpkg", "--print-architecture"], capture_output=True, text=True, check=True
    ).stdout.strip()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--with", dest="more", action="append", default=[], metavar="PACKAGE")
    parser.add_argument("--created", type=read_moment, default=read_moment("2026-11-23T10:00:00Z"))
    parser.add_argument("--tree", type=Path, help="a folder to keep the tree in, and to use it again")
    given = parser.parse_args()
    os.umask(0o022)
    make(given.folder, given.more, given.created, given.tree)


if __name__ == "__main__":
    main()
