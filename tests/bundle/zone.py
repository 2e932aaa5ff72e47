"""A zone and those who sign for it, in memory: good metadata, and any hostile variation of it.

    zone = Zone()
    files = zone.bundle(1)            what a medium holds under metadata/ and targets/
    open_(files, zone.first)          a VerifiedBundle, or the refusal
    zone.bundle(2, edit={"timestamp": lambda signed: signed.update(version=3)})    edited, then signed

Metadata is put together here from plain values, not by the code that it is used to test.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airgap_bundle.content import Content, Entry, content, raw
from airgap_bundle.keys import PrivateKey, PublicKey
from airgap_bundle.metadata_source import MemorySource, MetadataSource
from airgap_bundle.order import Accepted, Past
from airgap_bundle.policy import Policy
from airgap_bundle.release import Base, Release
from airgap_bundle.report import Report
from airgap_bundle.trust import TrustedRoot, VerifiedBundle, open_bundle

CREATED = datetime(2026, 12, 1, 10, tzinfo=UTC)
NOW = CREATED + timedelta(days=3)
YEAR = timedelta(days=400)
Edit = Callable[[dict[str, Any]], object]


def key(name: str) -> PrivateKey:
    """A key that is always the same for the same name."""
    return PrivateKey(hashlib.sha256(name.encode()).digest(), name)


ANNA, BERT, DORA, EMIL, MALLORY = map(key, ("anna", "bert", "dora", "emil", "mallory"))
ROLES = ("root", "targets", "snapshot", "timestamp")


def key_id(public: PublicKey) -> str:
    """TUF's key ID, computed apart from the code under test."""
    value = {"keytype": "ed25519", "keyval": {"public": public.raw.hex()}, "scheme": "ed25519"}
    return sha(compact(value))


def compact(value: object) -> bytes:
    """Canonical JSON, as long as nothing in it is unusual."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def signed(value: Mapping[str, Any], keys: Iterable[PrivateKey]) -> bytes:
    """A metadata file with these signatures."""
    payload = compact(value)
    made = sorted((key_id(one.public), one.sign(payload).hex()) for one in keys)
    return compact({"signatures": [{"keyid": keyid, "sig": sig} for keyid, sig in made], "signed": value})


def root_value(
    version: int,
    holders: Mapping[str, tuple[Sequence[PrivateKey], int]],
    expires: datetime = CREATED + 3 * YEAR,
) -> dict[str, Any]:
    """The signed part of a root."""
    keys = dict.fromkeys(one.public for held, _ in holders.values() for one in held)
    return {
        "_type": "root",
        "consistent_snapshot": True,
        "expires": moment(expires),
        "keys": {
            key_id(one): {
                "keytype": "ed25519",
                "keyval": {"public": one.raw.hex()},
                "scheme": "ed25519",
                "x-owner": one.comment,
            }
            for one in keys
        },
        "roles": {
            role: {"keyids": [key_id(one.public) for one in held], "threshold": threshold}
            for role, (held, threshold) in holders.items()
        },
        "spec_version": "1.0.31",
        "version": version,
    }


def moment(at: datetime) -> str:
    """A time as TUF writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def all_roles(keys: Sequence[PrivateKey], threshold: int) -> dict[str, tuple[Sequence[PrivateKey], int]]:
    """The same people for every role."""
    return dict.fromkeys(ROLES, (keys, threshold))


@dataclass
class Zone:
    """Who signs, the root chain so far, and the releases so far."""

    people: Sequence[PrivateKey] = (ANNA, BERT, DORA)
    threshold: int = 2
    chain: list[bytes] = field(default_factory=list)
    releases: dict[int, bytes] = field(default_factory=dict)
    expires: datetime = CREATED + YEAR
    """When bundles expire that say nothing else; roots do not before that."""

    def __post_init__(self) -> None:
        if not self.chain:
            self.chain.append(signed(self._root(1, self.people, self.threshold), self.signing))

    def _root(self, version: int, people: Sequence[PrivateKey], threshold: int) -> dict[str, Any]:
        return root_value(version, all_roles(people, threshold), max(self.expires, CREATED + 3 * YEAR))

    @property
    def first(self) -> TrustedRoot:
        """What the zone was given by hand."""
        return TrustedRoot.parse(self.chain[0])

    @property
    def signing(self) -> Sequence[PrivateKey]:
        """As many as it takes."""
        return self.people[: self.threshold]

    def rotate(
        self, people: Sequence[PrivateKey], threshold: int = 2, by: Sequence[PrivateKey] | None = None
    ) -> bytes:
        """Hand over to these people: the next root, signed by those before and by them."""
        both = dict.fromkeys([*self.signing, *people[:threshold]])
        made = signed(self._root(len(self.chain) + 1, people, threshold), by or both)
        self.chain.append(made)
        self.people, self.threshold = people, threshold
        return made

    def release(self, sequence: int, listed: Content, /, **changes: Any) -> Release:
        """The release manifest of this sequence."""
        before = self.releases.get(sequence - 1)
        made = Release(
            bundle="zone-updates",
            sequence=sequence,
            previous=None if sequence == 1 else sha(before) if before else "ab" * 32,
            created=CREATED + timedelta(hours=min(sequence, 500)),
            next_expected=CREATED + timedelta(days=30),
            title="For tests",
            entries=len(listed.entries),
            size=listed.size,
            carried=listed.carried,
            parts=listed.parts(),
        )
        return replace(made, **changes)

    def bundle(
        self,
        sequence: int,
        /,
        *,
        entries: Iterable[Entry] = (),
        edit: Mapping[str, Edit] | None = None,
        by: Mapping[str, Sequence[PrivateKey]] | None = None,
        targets: Mapping[str, bytes] | None = None,
        expires: datetime | None = None,
        base: int | None = None,
        **changes: Any,
    ) -> dict[str, bytes]:
        """Metadata and targets by name.

        `edit` changes a role's signed part before it is signed; `by` signs it; `targets` replaces or adds
        target files; `changes` are fields of the release.
        """
        listed = content(entries or [raw("files/a.txt", sha(b"%d" % sequence), 9, "text/plain")])
        if base is not None:
            changes["base"] = Base("ab" * 32, base)
        release = self.release(sequence, listed, **changes).render()
        self.releases[sequence] = release
        by_name = {"release.json": release, "content.ndjson": listed.render()} | dict(targets or {})
        edits, signers = edit or {}, by or {}

        def make(role: str, rest: dict[str, Any]) -> bytes:
            value = {
                "_type": role,
                "expires": moment(expires or self.expires),
                "spec_version": "1.0.31",
                "version": sequence,
            }
            value |= copy.deepcopy(rest)
            if role in edits:
                edits[role](value)
            return signed(value, signers.get(role, self.signing))

        files = {
            name: {"hashes": {"sha256": sha(data)}, "length": len(data)} for name, data in by_name.items()
        }
        of_targets = make("targets", {"targets": files})
        of_snapshot = make("snapshot", {"meta": {"targets.json": naming(sequence, of_targets)}})
        of_timestamp = make("timestamp", {"meta": {"snapshot.json": naming(sequence, of_snapshot)}})
        return {
            **{f"metadata/{version}.root.json": data for version, data in enumerate(self.chain, 1)},
            "metadata/timestamp.json": of_timestamp,
            f"metadata/{sequence}.snapshot.json": of_snapshot,
            f"metadata/{sequence}.targets.json": of_targets,
            **{f"targets/{sha(by_name[name])}.{name}": by_name[name] for name in in_order(by_name)},
        }


def in_order(names: Iterable[str]) -> list[str]:
    """Targets in the order of a container."""
    first = ["release.json", "content.ndjson"]
    return [*first, *sorted(set(names) - set(first))]


def naming(version: int, data: bytes) -> dict[str, Any]:
    """How one file names another."""
    part = data[data.index(b'"signed":') + 9 : -1]
    return {"version": version, "x-signed-sha256": sha(part)}


def open_(
    files: Mapping[str, bytes] | MetadataSource,
    root: TrustedRoot,
    past: Past | None = None,
    *,
    clock: datetime = NOW,
    policy: Policy | None = None,
    report: Report | None = None,
    on_roots: Callable[[Sequence[bytes]], object] = lambda roots: None,
) -> VerifiedBundle:
    """Open a bundle as a zone without a past does, unless one is given."""
    source = MemorySource(files) if isinstance(files, Mapping) else files
    return open_bundle(
        source,
        root,
        past or Past(),
        clock=clock,
        policy=policy or Policy(),
        report=report or Report(),
        on_roots=on_roots,
    )


def after(*bundles: VerifiedBundle) -> Past:
    """The past of a zone that accepted these."""
    accepted = {
        one.release.sequence: Accepted(one.release_sha256, one.release.created, one.root_version)
        for one in bundles
    }
    return Past(bundles[-1].release.bundle, accepted, bundles[-1].roots())
