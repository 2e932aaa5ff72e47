"""TUF's client workflow, step by step, over python-tuf's trusted set: no network, no disk, no clock.

    workflow = Workflow(root_bytes, fetch, reference_time)
    workflow.roots(); workflow.timestamp(); workflow.snapshot(); workflow.targets()

This is the one module that touches an internal part of python-tuf, `TrustedMetadataSet`: its public client
can neither be told the time nor kept from writing files. A test holds the part that we use to what it was.
Where metadata comes from, and where what was trusted before is kept, are the caller's. Source: TUF
specification 1.0.31, section 5; the loading of what is kept follows `tuf.ngclient.Updater`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Protocol

from tuf.api.exceptions import EqualVersionNumberError, RepositoryError
from tuf.api.metadata import MetaFile, Root, Snapshot, Targets, Timestamp  # type: ignore[attr-defined]
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from airgap_bundle.metadata import LIMITS, MOST_ROOTS

Fetch = Callable[[str, int | None, int], bytes | None]
"""Gets role, version (None: the name has none) and the most bytes; gives the bytes, or None: not there."""


class Kept(Protocol):
    """What this client trusted before. Bundles keep none of it here: their order is checked apart."""

    def load(self, role: str) -> bytes | None:
        """The metadata of `role` that was trusted last."""

    def save(self, role: str, data: bytes) -> None:
        """Keep `data`, which is trusted from now on."""


class NothingKept:
    """A client that begins from its root each time."""

    def load(self, role: str) -> bytes | None:
        """Nothing."""
        return None

    def save(self, role: str, data: bytes) -> None:
        """Nothing is kept."""


class Workflow:
    """One pass of the workflow. Each step raises python-tuf's RepositoryError when it refuses."""

    def __init__(self, root: bytes, fetch: Fetch, reference_time: datetime, kept: Kept | None = None) -> None:
        self._trusted = TrustedMetadataSet(root, EnvelopeType.METADATA)
        self._trusted.reference_time = reference_time
        self._fetch, self._kept = fetch, kept or NothingKept()

    @property
    def root(self) -> Root:
        """The newest root that was reached."""
        return self._trusted.root

    @property
    def trusted(self) -> TrustedMetadataSet:
        """All that was verified so far."""
        return self._trusted

    def next_root(self, data: bytes) -> Root:
        """Step to the next version: signed by the old and by the new threshold (TUF 5.3.4, 5.3.5)."""
        root = self._trusted.update_root(data)
        self._kept.save(Root.type, data)  # crash after this: the next pass begins from here
        return root

    def roots(self) -> None:
        """Walk to the newest root: one version after the other until the next is not there (TUF 5.3)."""
        for version in range(self.root.version + 1, self.root.version + 1 + MOST_ROOTS):
            if (data := self._fetch(Root.type, version, LIMITS[Root.type])) is None:
                return
            self.next_root(data)

    def timestamp(self) -> Timestamp:
        """Load the timestamp: not older than the one kept, not expired (TUF 5.4)."""
        if (before := self._kept.load(Timestamp.type)) is not None:
            with suppress(RepositoryError):  # expired, or by keys of before: it only guards against rollback
                self._trusted.update_timestamp(before)
        data = self._needed(Timestamp.type, None, LIMITS[Timestamp.type])
        try:
            self._trusted.update_timestamp(data)
        except EqualVersionNumberError:
            return self._trusted.timestamp
        self._kept.save(Timestamp.type, data)
        return self._trusted.timestamp

    def snapshot(self) -> Snapshot:
        """Load the snapshot that the timestamp names (TUF 5.5)."""
        if (before := self._kept.load(Snapshot.type)) is not None:
            with suppress(RepositoryError):  # not the newest any more
                return self._trusted.update_snapshot(before, trusted=True)
        named = self._trusted.timestamp.snapshot_meta
        data = self._named(Snapshot.type, named, LIMITS[Snapshot.type])
        snapshot = self._trusted.update_snapshot(data)
        self._kept.save(Snapshot.type, data)
        return snapshot

    def targets(self, role: str = Targets.type, delegator: str = Root.type) -> Targets:
        """Load the targets that the snapshot names (TUF 5.6); bundles have no delegated ones."""
        if (before := self._kept.load(role)) is not None:
            with suppress(RepositoryError):  # not the newest any more
                return self._trusted.update_delegated_targets(before, role, delegator)
        named = self._trusted.snapshot.meta.get(f"{role}.json")
        if named is None:
            raise RepositoryError(f"snapshot does not name {role}")
        data = self._named(role, named, LIMITS[Targets.type])
        targets = self._trusted.update_delegated_targets(data, role, delegator)
        self._kept.save(role, data)
        return targets

    def _named(self, role: str, named: MetaFile, limit: int) -> bytes:
        version = named.version if self.root.consistent_snapshot else None
        return self._needed(role, version, limit if named.length is None else min(named.length, limit))

    def _needed(self, role: str, version: int | None, limit: int) -> bytes:
        data = self._fetch(role, version, limit)
        if data is None:
            raise RepositoryError(f"{role} is not there")
        return data
