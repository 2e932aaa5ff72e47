"""A TUF repository in memory: published step by step, each step able to be wrong.

    repository = Repository()
    repository.publish("targets", "snapshot", "timestamp")     the next version of each, signed
    client(repository).refresh()                               0 requests over any network

Written for our own cases; the public suite has its own.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

from securesystemslib.signer import (  # type: ignore[attr-defined]
    CryptoSigner,
    Signer,
)
from tuf.api.exceptions import DownloadError
from tuf.api.metadata import (  # type: ignore[attr-defined]
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from airgap_bundle.keys import PrivateKey
from airgap_bundle.signing import TufSigner
from tests.conformance.client import Client

NOW = datetime(2026, 12, 1, tzinfo=UTC)
TOP = ("root", "targets", "snapshot", "timestamp")


@dataclass
class Kept:
    """What the client trusted, in memory."""

    files: dict[str, bytes] = field(default_factory=dict)

    def load(self, role: str) -> bytes | None:
        """The metadata of a role."""
        return self.files.get(role)

    def save(self, role: str, data: bytes) -> None:
        """Keep it."""
        self.files[role] = data

    @property
    def versions(self) -> dict[str, int]:
        """What is trusted, by role."""
        return {role: version(data) for role, data in self.files.items()}


class Repository:
    """Roles that are edited in `md`, and what was published of them in `published`."""

    def __init__(self, *, consistent: bool = True) -> None:
        self.md: dict[str, Metadata[Any]] = {
            "root": Metadata(Root(expires=NOW + timedelta(days=90), consistent_snapshot=consistent)),
            "targets": Metadata(Targets(expires=NOW + timedelta(days=90))),
            "snapshot": Metadata(Snapshot(expires=NOW + timedelta(days=90))),
            "timestamp": Metadata(Timestamp(expires=NOW + timedelta(days=90))),
        }
        self.signers: dict[str, dict[str, Signer]] = defaultdict(dict)
        self.published: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        """What is served of each role: the number in its name, and its bytes."""
        self.files: dict[str, bytes] = {}
        self.hashes = False
        """Whether snapshot and timestamp name digests."""
        self.requests: list[str] = []
        for role in TOP:
            self.add_key(role)
            self.md[role].signed.version = 0
        self.publish(*TOP)

    @property
    def root(self) -> Root:
        """The root that is published next."""
        signed: Root = self.md["root"].signed
        return signed

    @property
    def snapshot(self) -> Snapshot:
        """The snapshot that is published next."""
        signed: Snapshot = self.md["snapshot"].signed
        return signed

    @property
    def timestamp(self) -> Timestamp:
        """The timestamp that is published next."""
        signed: Timestamp = self.md["timestamp"].signed
        return signed

    def targets(self, role: str = "targets") -> Targets:
        """The targets role that is published next."""
        signed: Targets = self.md[role].signed
        return signed

    def add_key(self, role: str, signer: Signer | None = None) -> Signer:
        """Let another key sign `role`."""
        signer = signer or TufSigner(PrivateKey.generate())
        if role in TOP:
            self.root.add_key(signer.public_key, role)
        self.signers[role][signer.public_key.keyid] = signer
        return signer

    def replace_key(self, role: str) -> None:
        """Take the key of `role` away and give it another."""
        for keyid in list(self.root.roles[role].keyids):
            self.root.revoke_key(keyid, role)
        self.signers[role].clear()
        self.add_key(role)

    def delegate(self, parent: str, role: str, paths: list[str], *, terminating: bool = False) -> None:
        """Let `parent` delegate `paths` to `role`; its metadata is published apart."""
        delegator = self.targets(parent)
        if delegator.delegations is None:
            delegator.delegations = Delegations({}, roles={})
        if role not in self.md:
            self.md[role] = Metadata(Targets(version=1, expires=NOW + timedelta(days=90)))
            self.md[role].signed.version = 0
            self.add_key(role)
        assert delegator.delegations.roles is not None
        delegator.delegations.roles[role] = DelegatedRole(role, [], 1, terminating, paths=paths)
        for signer in self.signers[role].values():
            delegator.add_key(signer.public_key, role)

    def add_target(self, name: str, data: bytes, role: str = "targets") -> None:
        """Offer a target; its role is published apart."""
        target = TargetFile.from_data(name, data, ["sha256"])
        self.targets(role).targets[name] = target
        folder, slash, file = name.rpartition("/")
        self.files[f"{folder}{slash}{target.hashes['sha256']}.{file}"] = data

    def publish(self, *roles: str) -> None:
        """Sign and publish the next version of each of `roles`, in this order."""
        for role in roles:
            md = self.md[role]
            md.signed.version += 1
            self.put(role, self.signed(role), md.signed.version)

    def put(self, role: str, data: bytes, number: int) -> None:
        """Publish `data` as version `number` of `role`, whatever it says itself."""
        self.published[role].append((number, data))
        if role == "snapshot":
            self.timestamp.snapshot_meta = self._named(number, data)
        elif role not in ("root", "timestamp"):
            self.snapshot.meta[f"{role}.json"] = self._named(number, data)

    def signed(self, role: str) -> bytes:
        """The role as it is now, signed by all who may."""
        md = self.md[role]
        md.signatures.clear()
        for signer in self.signers[role].values():
            md.sign(signer, append=True)
        return md.to_bytes()

    def _named(self, number: int, data: bytes) -> MetaFile:
        return MetaFile.from_data(number, data, ["sha256"]) if self.hashes else MetaFile(number)

    def metadata(self, path: str, limit: int) -> bytes | None:
        """Serve a metadata file. Raises DownloadError: it is longer than `limit`."""
        self.requests.append(unquote(path))
        number, _, role = unquote(path).removesuffix(".json").partition(".")
        if not role:
            number, role = "", number
        published = self.published.get(role, [])
        wanted = [data for version, data in published if not number or version == int(number)]
        if not wanted:
            return None
        if len(wanted[-1]) > limit:
            raise DownloadError("too long")
        return wanted[-1]

    def target(self, path: str, limit: int) -> bytes | None:
        """Serve a target file."""
        self.requests.append(path)
        data = self.files.get(path)
        return None if data is None else data[: limit + 1]

    def first_client(self) -> Kept:
        """A client that was given the first root."""
        return Kept({"root": self.published["root"][0][1]})

    def client(self, kept: Kept, now: datetime = NOW) -> Client:
        """That client, about to make one pass."""
        self.requests.clear()
        return Client(kept, self.metadata, now)


def version(data: bytes) -> int:
    """The version inside a metadata file."""
    number: int = Metadata.from_bytes(data).signed.version
    return number


def crypto_signer(kind: str) -> Signer:
    """A signer of another kind of key than ours."""
    return {"rsa": CryptoSigner.generate_rsa, "ecdsa": CryptoSigner.generate_ecdsa}[kind]()
