"""What a signer is about to sign, in words and numbers; what it changes against the bundle before.

zone-updates 7  November security updates
created 2026-11-23 10:00 UTC, next expected 2026-12-23, expires 2027-12-28
stands on sequence 6 (receipt 41ab...)

PART   ENTRIES    SIZE      NEW  CHANGED  GONE  SAME
apt    214        187.1 MB  12   0        9     193

release 5f27 90c1 ...
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from airgap_bundle import attest, metadata
from airgap_bundle.build import Draft
from airgap_bundle.content import Content
from airgap_bundle.release import moment


@dataclass(frozen=True)
class Changes:
    """How a part differs from the bundle before, in numbers of entries."""

    new: int
    changed: int
    gone: int
    same: int


def changes(now: Content, before: Content | None) -> dict[str, Changes]:
    """For each part of either, how it differs."""
    old = {entry.path: entry for entry in before.entries} if before else {}
    new = {entry.path: entry for entry in now.entries}
    found: dict[str, list[int]] = {}
    for path in old.keys() | new.keys():
        counts = found.setdefault(path.partition("/")[0], [0, 0, 0, 0])
        if path not in old:
            counts[0] += 1
        elif path not in new:
            counts[2] += 1
        else:
            counts[1 if old[path].sha256 != new[path].sha256 else 3] += 1
    return {part: Changes(*counts) for part, counts in sorted(found.items())}


def summary(draft: Draft, before: Content | None = None) -> dict[str, Any]:
    """All that a signer should look at, as one JSON-able record."""
    release = draft.release
    differs = changes(draft.content, before)
    targets = next(data for name, data in draft.metadata.items() if name.endswith(".targets.json"))
    return {
        "bundle": release.bundle,
        "sequence": release.sequence,
        "title": release.title,
        "created": moment(release.created),
        "next_expected": moment(release.next_expected),
        "expires": moment(draft.expires),
        "base": vars(release.base) if release.base else None,
        "previous": release.previous,
        "minimum_root": release.minimum_root,
        "size": release.size,
        "carried": release.carried,
        "parts": [
            {
                "part": part,
                "entries": release.parts[part].entries if part in release.parts else 0,
                "size": release.parts[part].size if part in release.parts else 0,
                "new": one.new,
                "changed": one.changed,
                "gone": one.gone,
                "same": one.same,
                "sha256": release.parts[part].sha256 if part in release.parts else None,
            }
            for part, one in differs.items()
        ],
        "attestations": [_attestation(name, data) for name, data in sorted(draft.targets.items())
                         if name not in (metadata.RELEASE, metadata.CONTENT)],
        "release": hashlib.sha256(draft.targets[metadata.RELEASE]).hexdigest(),
        "signing": metadata.signed_sha256(targets),
    }  # fmt: skip


def _attestation(name: str, data: bytes) -> dict[str, Any]:
    said = attest.read(data, name)
    keys = sorted(said.envelope.signatures)
    return {"file": name, "part": said.part, "team": said.team, "says": said.text, "keys": keys}
