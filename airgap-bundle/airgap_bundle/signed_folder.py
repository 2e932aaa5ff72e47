"""A signed bundle in its folder, as `carry` takes it: read whole and by digests, not by signatures.

Whoever carries a bundle need not trust it, but should not carry what the other side must refuse: each file is
there once, its digest is that of its name, and somebody has signed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from airgap_bundle import content as manifests
from airgap_bundle.content import Content
from airgap_bundle.errors import InputProblem
from airgap_bundle.medium import open_medium
from airgap_bundle.release import Release
from airgap_bundle.volume_json import limit_of, order_of


class NotCarried(InputProblem):
    """The folder is not a signed bundle."""

    exit_code = 19
    message = "{folder} is not a bundle that can be carried: {why}"
    hint = "Give a bundle's folder after `airgap-bundle assemble`."


@dataclass(frozen=True)
class SignedFolder:
    """What is in the folder; `blobs/` holds just what the content names, by name."""

    folder: Path
    release: Release
    release_sha256: str
    content: Content
    metadata: dict[str, bytes]
    """Metadata and target files by name, in the order of the container."""

    @property
    def root_version(self) -> int:
        """The newest root."""
        return sum(name.endswith(".root.json") for name in self.metadata)


def read_signed(folder: Path) -> SignedFolder:
    """Read the bundle in `folder`.

    Raises NotCarried, DoesNotBelong, NoBundleHere, Malformed, Damaged.
    """
    with open_medium([folder]) as medium:
        if medium.folder is None:
            raise NotCarried(folder=folder, why="it is carried already")
        names = sorted(medium.metadata.names(), key=order_of)
        files = {name: medium.metadata.read(name, limit_of(name)) for name in names}
        release_name = _only(folder, names, ".release.json")
        content_name = _only(folder, names, ".content.ndjson")
        for name in (name for name in names if name.startswith("targets/")):
            if hashlib.sha256(files[name]).hexdigest() != name[8:72]:
                raise NotCarried(folder=folder, why=f"{name} has another SHA-256")
        release = Release.parse(files[release_name])
        content = manifests.parse(files[content_name])
        release.check_content(content)
        made = SignedFolder(folder, release, release_name[8:72], content, files)
        _check_names(made)
        medium.locate(made)
    return made


def _only(folder: Path, names: list[str], end: str) -> str:
    found = [name for name in names if name.endswith(end)]
    if len(found) != 1:
        raise NotCarried(folder=folder, why=f"it has {len(found)} files that end in {end}")
    return found[0]


def _check_names(made: SignedFolder) -> None:
    number = made.release.sequence
    roles = [f"metadata/{name}.json" for name in ("timestamp", f"{number}.snapshot", f"{number}.targets")]
    roots = [f"metadata/{version}.root.json" for version in range(1, made.root_version + 1)]
    found = [name for name in made.metadata if name.startswith("metadata/")]
    for name in [*roots, *roles]:
        if name not in found:
            raise NotCarried(folder=made.folder, why=f"{name} is missing")
    if strange := set(found) - {*roots, *roles}:
        raise NotCarried(folder=made.folder, why=f"{min(strange)} is not of sequence {number}")
    for name in found:
        try:
            signed = json.loads(made.metadata[name]).get("signatures")
        except (ValueError, AttributeError, RecursionError):
            raise NotCarried(folder=made.folder, why=f"{name} is not JSON") from None
        if not signed:
            raise NotCarried(folder=made.folder, why=f"{name} is not signed yet")
