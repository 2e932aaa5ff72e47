"""From a folder that holds a root file system to an OCI image layout; the same tree gives the same image.

    $ python -m airgap_bundle.sources.tree TREE LAYOUT --tag 12 --created 2026-11-23T10:00:00Z

One layer, as a plain tar: it is compressed on its way by the bundle, and the plain form makes small deltas.
Names are sorted, dates are at most `created`, owners are numbers; devices and sockets, which a container
makes itself, are left out, and so is what machines write for themselves (logs, caches, identifiers). Sources:
OCI image layer, configuration and layout specifications 1.1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import stat
import sys
import tarfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from airgap_bundle.release import moment, read_moment
from airgap_bundle.sources.oci import LAYOUT, REF_NAME

LEFT_OUT = (
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "etc/machine-id",
    "etc/hostname",
    "etc/resolv.conf",
    "var/cache",
    "var/lib/apt/lists",
    "var/lib/dpkg/available-old",
    "var/lib/dpkg/diversions-old",
    "var/lib/dpkg/status-old",
    "var/log",
    "var/tmp",
)
"""Folders stay, empty; files go."""


def layout(tree: Path, folder: Path, tag: str, created: datetime, architecture: str = "amd64") -> str:
    """Write the layout to the new folder `folder`; returns the manifest's digest, `sha256:...`.

    Raises FileExistsError, OSError.
    """
    (folder / "blobs/sha256").mkdir(parents=True)
    layer = _layer(tree, folder, created)
    config = _blob(
        folder,
        "application/vnd.oci.image.config.v1+json",
        {
            "architecture": architecture,
            "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
            "created": moment(created),
            "history": [{"created": moment(created), "created_by": "airgap_bundle.sources.tree"}],
            "os": "linux",
            "rootfs": {"diff_ids": [layer["digest"]], "type": "layers"},
        },
    )
    kind = "application/vnd.oci.image.manifest.v1+json"
    value = {"config": config, "layers": [layer], "mediaType": kind, "schemaVersion": 2}
    manifest = _blob(folder, kind, value)
    index = {"manifests": [{**manifest, "annotations": {REF_NAME: tag}}], "schemaVersion": 2}
    (folder / "index.json").write_bytes(_json(index))
    (folder / "oci-layout").write_bytes(LAYOUT)
    return str(manifest["digest"])


def _layer(tree: Path, folder: Path, created: datetime) -> dict[str, Any]:
    partial = folder / "layer.partial"
    latest = int(created.timestamp())
    with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in _names(tree, ""):
            path = tree / name
            member = archive.gettarinfo(
                path, name
            )  # a second name of a file becomes a hard link to the first
            member.uname = member.gname = ""
            member.mtime = min(int(member.mtime), latest)
            member.pax_headers = {}
            if member.isreg():
                with path.open("rb") as file:
                    archive.addfile(member, file)
            else:
                archive.addfile(member)
    with partial.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = partial.stat().st_size
    partial.rename(folder / "blobs/sha256" / digest)
    return {"digest": f"sha256:{digest}", "mediaType": "application/vnd.oci.image.layer.v1.tar", "size": size}


def _names(tree: Path, below: str) -> Iterator[str]:
    with os.scandir(tree / below) as entries:
        found = sorted((entry.name, entry.stat(follow_symlinks=False).st_mode) for entry in entries)
    for last, mode in found:
        name = f"{below}/{last}" if below else last
        if stat.S_ISDIR(mode):
            yield name
            if name not in LEFT_OUT:
                yield from _names(tree, name)
        elif (stat.S_ISREG(mode) or stat.S_ISLNK(mode)) and name not in LEFT_OUT:
            yield name


def _blob(folder: Path, kind: str, value: Any) -> dict[str, Any]:
    data = _json(value)
    digest = hashlib.sha256(data).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(data)
    return {"digest": f"sha256:{digest}", "mediaType": kind, "size": len(data)}


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def main(arguments: list[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m airgap_bundle.sources.tree", description=__doc__)
    parser.add_argument("tree", type=Path)
    parser.add_argument("layout", type=Path)
    parser.add_argument("--tag", required=True)
    parser.add_argument("--created", type=read_moment, default=datetime.now(UTC))
    parser.add_argument("--architecture", default="amd64")
    given = parser.parse_args(arguments)
    print(layout(given.tree, given.layout, given.tag, given.created, given.architecture))


if __name__ == "__main__":
    main(sys.argv[1:])
