"""Erasure: in which order a tenant's things go, and the certificate that says what went.

The order is the one in which OpenStack lets go: nothing is deleted while something else holds on to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from controlplane.tenants.ports import Thing

FORMAT = "controlplane-erasure/1"
NAMESPACE = "controlplane-erasure"
"""The SSHSIG namespace of a certificate's signature."""

ORDER: tuple[str, ...] = (
    "server",
    "floating-ip",
    "route",
    "interface",
    "port",
    "router",
    "share",
    "subnet",
    "network",
    "subnet-pool",
    "address-scope",
    "security-group",
    "server-group",
    "snapshot",
    "backup",
    "volume",
    "image",
    "image-access",
    "flavor-access",
    "volume-type-access",
    "flavor",
    "volume-type",
    "key-pair",
    "application-credential",
    "user",
    "group",
    "project",
    "domain",
)

NOT_PROVEN = {
    "volume": "deleted, not proven erased: the volume was not encrypted and its back end gives no proof",
    "snapshot": "deleted, not proven erased: its back end gives no proof",
    "backup": "deleted, not proven erased: its back end gives no proof",
    "image": "deleted, not proven erased: the image store gives no proof",
    "server": "deleted; its root disk is not proven erased: the hypervisor gives no proof",
}


def stages(things: Iterable[Thing]) -> list[list[Thing]]:
    """The things in the order of `ORDER`; one stage may go at once. An unknown kind goes first."""
    rank = {kind: i for i, kind in enumerate(ORDER)}
    by_stage: dict[int, list[Thing]] = {}
    for thing in things:
        by_stage.setdefault(rank.get(thing.kind, -1), []).append(thing)
    return [sorted(by_stage[i], key=lambda t: (t.name, t.id)) for i in sorted(by_stage)]


def certificate(
    tenant: str,
    *,
    removed: Sequence[Thing],
    left: Sequence[Thing],
    requested_by: str,
    plane: str,
    at: datetime,
) -> dict[str, Any]:
    """What was there, what is gone, what could not be proven. Signed by the caller.

    `removed` is everything that was seen before and during the erasure, `left` what was there afterwards.
    """
    remaining = {(thing.kind, thing.id) for thing in left}
    gone = [thing for thing in removed if (thing.kind, thing.id) not in remaining]
    return {
        "format": FORMAT,
        "tenant": tenant,
        "erased_at": at.isoformat(timespec="seconds"),
        "requested_by": requested_by,
        "plane_key": plane,
        "complete": not left,
        "removed": [_entry(thing) for thing in gone],
        "left": [_entry(thing) for thing in left],
        "not_proven": [
            {**_entry(thing), "why": NOT_PROVEN[thing.kind]}
            for thing in gone
            if thing.kind in NOT_PROVEN and not thing.facts.get("encrypted")
        ],
        "method": "each was deleted through the API of its service and then no longer listed by it",
    }


def _entry(thing: Thing) -> dict[str, str]:
    return {"kind": thing.kind, "id": thing.id, "name": thing.name, "project": thing.project}
