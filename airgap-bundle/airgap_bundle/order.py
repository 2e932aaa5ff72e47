"""What may come after what: check 9 of SPEC section 13, and the rules of section 12.

    accepted here: 5 6 7      offered: 7, the same   already here
                                       7, another    refused: two bundles of one number
                                       6 or below    refused: rollback
                                       8             `previous` must be the digest of 7
                                       10, full      may skip 8 and 9: it needs nothing of them
                                       10 on base 6  may skip 8 and 9: 6 was accepted
                                       10 on base 8  refused: 8 was not accepted

Pure: facts in, a sentence or a refusal out. The rules are those of SPEC section 12.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from tuf.api.metadata import Metadata, Root  # type: ignore[attr-defined]

from airgap_bundle.refusals import AnotherHistory, AnotherStream, BaseMissing, RolledBack
from airgap_bundle.release import Release, moment


@dataclass(frozen=True)
class Accepted:
    """A bundle that was accepted here."""

    release: str
    """SHA-256 of its release.json."""
    created: datetime
    root: int
    """The newest root version at that time."""


@dataclass(frozen=True)
class Past:
    """What was accepted before; `Past.unknown()` for an auditor who has only files."""

    bundle: str | None = None
    """The stream that is received here; None until the first bundle has said it."""
    accepted: Mapping[int, Accepted] = field(default_factory=dict)
    """By sequence number."""
    roots: Sequence[bytes] = ()
    """Every root that was ever trusted here, oldest first."""
    known: bool = True
    """Whether there is a trust state at all."""

    @classmethod
    def unknown(cls) -> Past:
        """Nothing is known about before, so order cannot be checked."""
        return cls(known=False)

    void: bool = False
    """Whether the root was rotated so that no bundle from before can be accepted: order begins anew."""

    @property
    def highest(self) -> int:
        """The sequence number of the newest accepted bundle that counts; 0 when there is none."""
        return 0 if self.void else max(self.accepted, default=0)

    @property
    def newest(self) -> datetime | None:
        """When the newest accepted bundle was made: now is not earlier than that."""
        return self.accepted[self.highest].created if self.highest else None


def after_rotation(past: Past, newest: Root) -> Past:
    """The past as it counts under the newest root.

    When that root leaves so few keys that no bundle from before can be accepted any more, order begins anew:
    this is how one recovers from keys that were used to sign absurdly high numbers or dates (TUF's
    fast-forward attack, TUF 5.3.11). As long as a bundle from before could still be accepted, order stays as
    it is, and a rotation rolls nothing back.
    """
    if not past.accepted:
        return past
    until = past.accepted[max(past.accepted)].root
    old = [
        root
        for root in (Metadata[Root].from_bytes(data).signed for data in past.roots)
        if root.version <= until
    ]
    for role in ("timestamp", "snapshot", "targets"):
        held = {keyid for root in old for keyid in root.roles[role].keyids}
        if held and len(held & set(newest.roles[role].keyids)) < newest.roles[role].threshold:
            return replace(past, void=True)
    return past


def check_order(release: Release, digest: str, past: Past) -> str:
    """Refuse a release that may not come after what was accepted; gives what it does, in words.

    `digest`: SHA-256 of its release.json. Raises RolledBack, AnotherHistory, AnotherStream, BaseMissing.
    """
    name, sequence = release.bundle, release.sequence
    if past.bundle is not None and past.bundle != name:
        raise AnotherStream(offered=name, have=past.bundle)
    if sequence < past.highest:
        raise RolledBack(what=name, have=past.highest, offered=sequence)
    if sequence == past.highest:
        if past.accepted[sequence].release != digest:
            raise AnotherHistory(what=f"this {name} {sequence} is not the one that was accepted here")
        return f"{name} {sequence} is here already, and this is the same"
    before = past.accepted.get(sequence - 1) if past.highest else None
    if before is not None and before.release != release.previous:
        raise AnotherHistory(
            what=f"{name} {sequence} follows another {name} {sequence - 1} than the one accepted here"
        )
    if past.newest is not None and release.created < past.newest:
        raise RolledBack(what="the date", have=moment(past.newest), offered=moment(release.created))
    if release.base is not None and release.base.sequence not in past.accepted:
        raise BaseMissing(bundle=name, sequence=sequence, base=release.base.sequence)
    stands = f", on {release.base.sequence}" if release.base else ""
    if past.highest == 0:
        return f"{name} {sequence} is the first here{stands}"
    skipped = sequence - past.highest - 1
    after = f" and skips {skipped}" if skipped else ""
    return f"{name} {sequence} comes after {past.highest}{after}{stands}"
