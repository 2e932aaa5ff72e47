"""From a lock and its cache to an unsigned bundle in a folder; the same input gives the same bytes.

    bundle/metadata/1.root.json ... timestamp.json 7.snapshot.json 7.targets.json    unsigned
    bundle/targets/<sha256>.release.json <sha256>.content.ndjson
    bundle/blobs/<sha256> ...

What follows: content teams attest (`attest.py`, `add_attestation`), signers sign by shares and the shares are
merged (`shares.py`), `carry.py` writes it to a medium.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from airgap_bundle import attest, metadata
from airgap_bundle.content import Content
from airgap_bundle.content import parse as parse_content
from airgap_bundle.durable import sync_folder, write_durably
from airgap_bundle.errors import InputProblem, StateProblem
from airgap_bundle.metadata_source import FolderSource
from airgap_bundle.release import Base, Release, read_moment
from airgap_bundle.travel import Find, Held, Wanted, travel


class BundleExists(StateProblem):
    """There is something where the bundle should go."""

    exit_code = 31
    message = "{folder} is there already"
    hint = "Name a new folder, or remove that one first."


class AlreadySigned(StateProblem):
    """Somebody has signed it, so it may not change."""

    exit_code = 32
    message = "{folder} already carries signatures, which a change would void"
    hint = "Build the bundle again, add the attestations, and have it signed after that."


class NotABundle(InputProblem):
    """A folder is no bundle, or has lost a file."""

    exit_code = 19
    message = "{folder} is not a bundle folder: {why}"
    hint = "Give a folder that `airgap-bundle build` made."


class WrongPrevious(InputProblem):
    """The bundle before does not fit."""

    exit_code = 16
    message = "sequence {sequence} of {bundle} cannot follow {previous}"
    hint = "Give the bundle of the same name with the sequence number before this one; sequence 1 has none."


class WrongAttestation(InputProblem):
    """An attestation is not of this bundle."""

    exit_code = 14
    message = "the attestation of part {part} is not of this bundle: {why}"
    hint = "Attest this bundle's part: `airgap-bundle attest`."


@dataclass(frozen=True)
class Plan:
    """What the bundle is to say of itself."""

    bundle: str
    """The stream's name."""
    sequence: int
    title: str
    created: datetime
    next_expected: datetime
    expires: datetime
    """When its metadata expires: after that, a site asks two named people."""
    previous: Release | None = None
    base: Base | None = None
    minimum_root: int = 1


@dataclass(frozen=True)
class Draft:
    """A bundle folder as `build` left it: checked by digests, not by signatures."""

    folder: Path
    release: Release
    content: Content
    targets: dict[str, bytes]
    """release.json, content.ndjson and the attestations by name."""
    metadata: dict[str, bytes]
    """timestamp, snapshot and targets by their names in the bundle."""
    expires: datetime

    @property
    def signed(self) -> bool:
        """Whether anybody has signed any of it."""
        return any(metadata.signatures(data) for data in self.metadata.values())


def build(
    plan: Plan,
    wanted: Iterable[Wanted],
    find: Find,
    roots: Mapping[int, bytes],
    folder: Path,
    held: Held | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Release:
    """Write the unsigned bundle to the new folder `folder`; `roots` is the root chain by version, from 1.

    Killed at any moment, `folder` is not there; what is left has the name `folder.partial` and is made anew.

    Raises BundleExists, WrongPrevious, ContentChanged, Malformed, OSError.
    """
    if folder.exists():
        raise BundleExists(folder=folder)
    _check_previous(plan)
    partial = folder.with_name(f"{folder.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    (partial / "blobs").mkdir(parents=True)
    try:
        content = travel(wanted, find, partial / "blobs", held, progress)
        release = _release(plan, content)
        (partial / "metadata").mkdir()
        for version, data in roots.items():
            write_durably(partial / metadata.file_name("root", version), data)
        _write_targets(
            partial,
            {metadata.RELEASE: release.render(), metadata.CONTENT: content.render()},
            plan.sequence,
            plan.expires,
        )
    except BaseException:
        with contextlib.suppress(OSError):
            shutil.rmtree(partial)
        raise
    os.sync()  # the blobs too: after the rename, the folder is all there or, after power loss, not there
    partial.rename(folder)
    sync_folder(folder.absolute().parent)
    return release


def read_draft(folder: Path) -> Draft:
    """Read a bundle folder without trusting it: for its makers, who are about to sign it.

    Every digest that the metadata names is compared. Raises NotABundle, Malformed.
    """
    source = FolderSource(folder)
    try:
        timestamp = source.read("metadata/timestamp.json", metadata.LIMITS["timestamp"])
        sequence = metadata.check("timestamp", "timestamp.json", timestamp)["version"]
        files = {metadata.file_name("timestamp", sequence): timestamp}
        for role in ("snapshot", "targets"):
            name = metadata.file_name(role, sequence)
            files[name] = source.read(name, metadata.LIMITS[role])
        named = metadata.check("targets", "targets.json", files[metadata.file_name("targets", sequence)])
        targets = {}
        for name, one in named["targets"].items():
            sha256 = one["hashes"]["sha256"]
            data = source.read(metadata.target_name(name, sha256), one["length"])
            if hashlib.sha256(data).hexdigest() != sha256:
                raise NotABundle(folder=folder, why=f"{name} is not what its metadata names")
            targets[name] = data
    except KeyError as missing:
        raise NotABundle(folder=folder, why=f"{missing.args[0]} is not there") from None
    release = Release.parse(targets[metadata.RELEASE])
    content = parse_content(targets[metadata.CONTENT])
    release.check_content(content)
    return Draft(folder, release, content, targets, files, read_moment(named["expires"]))


def add_attestation(folder: Path, data: bytes) -> str:
    """Make an attestation a target of the unsigned bundle in `folder`; gives its name.

    Raises AlreadySigned, WrongAttestation, NotABundle, Malformed.
    """
    draft = read_draft(folder)
    if draft.signed:
        raise AlreadySigned(folder=folder)
    said = attest.read(data, "the attestation")
    part = draft.release.parts.get(said.part)
    if part is None:
        raise WrongAttestation(part=said.part, why="there is no such part")
    if part.sha256 != said.sha256:
        raise WrongAttestation(part=said.part, why="that part had other entries")
    if data in draft.targets.values():
        raise WrongAttestation(part=said.part, why="it is in there already")
    names = (f"attestation-{said.part}-{number}.json" for number in count(1))
    name = next(name for name in names if name not in draft.targets)
    _write_targets(folder, draft.targets | {name: data}, draft.release.sequence, draft.expires)
    return name


def _release(plan: Plan, content: Content) -> Release:
    return Release(
        bundle=plan.bundle,
        sequence=plan.sequence,
        previous=hashlib.sha256(plan.previous.render()).hexdigest() if plan.previous else None,
        created=plan.created,
        next_expected=plan.next_expected,
        title=plan.title,
        entries=len(content.entries),
        size=content.size,
        carried=content.carried,
        parts=content.parts(),
        base=plan.base if content.needs_base else None,
        minimum_root=plan.minimum_root,
    )


def _check_previous(plan: Plan) -> None:
    before = plan.previous
    if before is None:
        if plan.sequence != 1:
            raise WrongPrevious(sequence=plan.sequence, bundle=plan.bundle, previous="nothing")
    elif (before.bundle, before.sequence + 1) != (plan.bundle, plan.sequence):
        previous = f"sequence {before.sequence} of {before.bundle}"
        raise WrongPrevious(sequence=plan.sequence, bundle=plan.bundle, previous=previous)
    elif before.created > plan.created:
        previous = f"sequence {before.sequence}, which was made later"
        raise WrongPrevious(sequence=plan.sequence, bundle=plan.bundle, previous=previous)


def _write_targets(folder: Path, targets: Mapping[str, bytes], sequence: int, expires: datetime) -> None:
    """Write targets, then the metadata that names them; crash between: one is there that nobody names."""
    (folder / "targets").mkdir(exist_ok=True)
    for name, data in targets.items():
        path = folder / metadata.target_name(name, hashlib.sha256(data).hexdigest())
        if not path.exists():
            write_durably(path, data)
    for name, data in metadata.bundle(targets, sequence, expires).items():
        write_durably(folder / name, data)
