"""A tiny maker of signed bundles in the folder form, for every suite that needs one to check or to damage.

    made = make_bundle(tmp_path / "one", {"files/a.txt": b"hello"})
    next_made = make_bundle(tmp_path / "two", {"files/a.txt": b"bye"}, sequence=2, previous=made)

It stands on python-tuf and on our formats only, and on none of the code that it is used to test. `keys` can
be given, else a fresh set is made: three people of whom two sign, and one key each for the online roles.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from securesystemslib.signer._key import Key, SSlibKey
from securesystemslib.signer._signature import Signature
from securesystemslib.signer._signer import Signer
from securesystemslib.signer._utils import compute_default_keyid
from tuf.api._payload import MetaFile, Role, Root, Signed, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.metadata import Metadata

from airgap_bundle.content import HELD, ZSTD, Content, Entry, content, raw
from airgap_bundle.keys import PrivateKey
from airgap_bundle.release import Base, Release

CREATED = datetime(2026, 11, 23, 10, 0, 0, tzinfo=UTC)
YEAR = timedelta(days=400)
TYPE = "application/octet-stream"
EMPTY = hashlib.sha256(b"").hexdigest()


def key(name: str) -> PrivateKey:
    """A key that is always the same for the same name."""
    return PrivateKey(hashlib.sha256(name.encode()).digest(), name)


@dataclass(frozen=True)
class Keys:
    """Who signs what, and how many of them it takes."""

    people: tuple[PrivateKey, ...]
    """They sign root and targets."""
    threshold: int
    snapshot: PrivateKey
    timestamp: PrivateKey

    @classmethod
    def fresh(cls, people: int = 3, threshold: int = 2, seed: str | None = None) -> Keys:
        """New keys; with a `seed` always the same ones for it."""
        names = [*(f"person-{n}" for n in range(1, people + 1)), "snapshot", "timestamp"]
        made = [key(f"{seed}/{name}") if seed else PrivateKey.generate(name) for name in names]
        return cls(tuple(made[:people]), threshold, made[-2], made[-1])

    @property
    def signing(self) -> tuple[PrivateKey, ...]:
        """The people that sign: as many as it takes, no more."""
        return self.people[: self.threshold]


@dataclass(frozen=True)
class MadeBundle:
    """A bundle in a folder, and all that its maker knows of it."""

    folder: Path
    keys: Keys
    """The newest."""
    root_bytes: bytes
    """1.root.json: what a zone is given by hand."""
    release: Release
    release_sha256: str
    content: Content
    files: dict[str, bytes] = field(repr=False)
    """Metadata and targets by name, in the order of the container."""


class Extra(NamedTuple):
    """An entry that does not travel raw, with the bytes of its blob (None when it is held)."""

    entry: Entry
    blob: bytes | None


def zstd_entry(path: str, data: bytes, media_type: str = TYPE) -> Extra:
    """An entry that travels as one zstd frame."""
    import zstandard

    frame = zstandard.ZstdCompressor(level=3, write_content_size=True).compress(data)
    return Extra(Entry(path, sha(data), len(data), media_type, ZSTD, sha(frame), len(frame)), frame)


def held_entry(path: str, data: bytes, media_type: str = TYPE) -> Extra:
    """An entry of which nothing travels."""
    return Extra(Entry(path, sha(data), len(data), media_type, HELD), None)


def make_bundle(
    folder: Path,
    files: Mapping[str, bytes | Path],
    sequence: int = 1,
    previous: MadeBundle | str | None = None,
    keys: Keys | None = None,
    *,
    bundle: str = "zone-updates",
    title: str = "A bundle for tests",
    created: datetime | None = None,
    expires: datetime | None = None,
    next_expected: datetime | None = None,
    extra: Iterable[Extra] = (),
    base: Base | None = None,
    minimum_root: int = 1,
    attestations: Mapping[str, bytes] | None = None,
    roots: Sequence[Keys] | None = None,
) -> MadeBundle:
    """Write a signed bundle of `files` (path -> content, or a file to copy) into the new folder `folder`.

    `previous`: the bundle before, or the SHA-256 of its release.json; its keys are taken when none are given.
    `created`: the fixed day CREATED, plus a day for each sequence after the first. `expires`: 400 days later.
    `attestations`: by name without their digest, such as "attestation-apt-1.json".
    `roots`: the keys of each root version, oldest first; the last is who signs now. Default: `keys`, once.
    """
    if roots is None:
        roots = [keys or (previous.keys if isinstance(previous, MadeBundle) else Keys.fresh())]
    who = roots[-1]
    created = created or CREATED + timedelta(days=sequence - 1)
    expires = expires or created + YEAR
    previous_sha = previous.release_sha256 if isinstance(previous, MadeBundle) else previous
    if sequence > 1 and previous_sha is None:
        previous_sha = sha(b"a release that only its digest is known of")

    (folder / "blobs").mkdir(parents=True)
    (folder / "metadata").mkdir()
    (folder / "targets").mkdir()
    entries = []
    for path, data in files.items():
        if isinstance(data, Path):
            with data.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            entries.append(raw(path, digest, data.stat().st_size, TYPE))
            shutil.copyfile(data, folder / "blobs" / digest)
        else:
            entries.append(raw(path, sha(data), len(data), TYPE))
            (folder / "blobs" / sha(data)).write_bytes(data)
    for entry, blob in extra:
        entries.append(entry)
        if blob is not None:
            (folder / "blobs" / entry.blob).write_bytes(blob)
    listed = content(entries)
    release = Release(
        bundle=bundle,
        sequence=sequence,
        previous=previous_sha,
        created=created,
        next_expected=next_expected or created + timedelta(days=30),
        title=title,
        entries=len(listed.entries),
        size=listed.size,
        carried=listed.carried,
        parts=listed.parts(),
        base=base,
        minimum_root=minimum_root,
    )
    by_name = {"release.json": release.render(), "content.ndjson": listed.render(), **(attestations or {})}
    chain = root_chain(roots, expires)
    metadata = sign_targets(by_name, who, sequence, expires)
    order = ["release.json", "content.ndjson", *sorted(attestations or {})]
    made = {
        **{f"metadata/{version}.root.json": data for version, data in enumerate(chain, 1)},
        **metadata,
        **{f"targets/{sha(by_name[name])}.{name}": by_name[name] for name in order},
    }
    for name, data in made.items():
        (folder / name).write_bytes(data)
    return MadeBundle(folder, who, chain[0], release, sha(by_name["release.json"]), listed, made)


def root_chain(roots: Sequence[Keys], expires: datetime) -> list[bytes]:
    """Root versions 1, 2, ...: each signed by its own people and by those of the version before."""
    chain: list[bytes] = []
    for version, keys in enumerate(roots, 1):
        root = Root(version=version, expires=expires, consistent_snapshot=True)
        for role, holders, threshold in [
            ("root", keys.people, keys.threshold),
            ("targets", keys.people, keys.threshold),
            ("snapshot", (keys.snapshot,), 1),
            ("timestamp", (keys.timestamp,), 1),
        ]:
            made = [tuf_key(holder) for holder in holders]
            root.keys.update({one.keyid: one for one in made})
            root.roles[role] = Role([one.keyid for one in made], threshold)
        before = roots[version - 2].signing if version > 1 else ()
        chain.append(signed(root, dict.fromkeys([*keys.signing, *before])))
    return chain


def sign_targets(
    targets: Mapping[str, bytes], keys: Keys, version: int, expires: datetime
) -> dict[str, bytes]:
    """Timestamp, snapshot and targets for these target files, by their names in a bundle."""
    files = {name: TargetFile.from_data(name, data, ["sha256"]) for name, data in targets.items()}
    targets_bytes = signed(Targets(version, expires=expires, targets=files), keys.signing)
    meta = {"targets.json": MetaFile.from_data(version, targets_bytes, ["sha256"])}
    snapshot_bytes = signed(Snapshot(version, expires=expires, meta=meta), [keys.snapshot])
    of_snapshot = MetaFile.from_data(version, snapshot_bytes, ["sha256"])
    return {
        "metadata/timestamp.json": signed(
            Timestamp(version, expires=expires, snapshot_meta=of_snapshot), [keys.timestamp]
        ),
        f"metadata/{version}.snapshot.json": snapshot_bytes,
        f"metadata/{version}.targets.json": targets_bytes,
    }


def signed(payload: Signed, by: Iterable[PrivateKey]) -> bytes:
    """Metadata with one signature of each key."""
    metadata: Metadata[Any] = Metadata(payload)
    for one in by:
        metadata.sign(_Signer(one), append=True)
    return metadata.to_bytes()


def tuf_key(private: PrivateKey) -> SSlibKey:
    """The public half as TUF names it."""
    value = {"public": private.public.raw.hex()}
    return SSlibKey(compute_default_keyid("ed25519", "ed25519", value), "ed25519", "ed25519", value)


def sha(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


class _Signer(Signer):
    def __init__(self, private: PrivateKey) -> None:
        self._private = private

    @property
    def public_key(self) -> Key:
        return tuf_key(self._private)

    def sign(self, payload: bytes) -> Signature:
        return Signature(self.public_key.keyid, self._private.sign(payload).hex())

    @classmethod
    def from_priv_key_uri(cls, priv_key_uri: str, public_key: Key, secrets_handler: Any = None) -> Signer:
        raise NotImplementedError
