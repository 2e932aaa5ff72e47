"""Handover: what a tenant manager is given. The secrets in it are sealed to the manager's key.

    {"package": {"format": "controlplane-handover/1", "tenant": "ministry", "manager": "anna",
                 "recipient": "SHA256:...", "made_at": "...", "cloud": {"auth_url": "...", "region": "..."},
                 "access": [{"user": "anna", "project": "prod", "roles": ["member"]}],
                 "sealed": [{"address": "user/anna", "box": "<base64 of a libsodium sealed box>"}]},
     "plane_key": "ssh-ed25519 ...",
     "signature": "-----BEGIN SSH SIGNATURE----- ..."}

The signature (SSHSIG, namespace `controlplane-handover`) covers the package as JSON with sorted keys and no
spaces. Each box opens to JSON with `address` and the secret's values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from controlplane.tenants import spec

FORMAT = "controlplane-handover/1"
NAMESPACE = "controlplane-handover"


def packages(
    tenant: spec.Tenant,
    sealed: Mapping[str, Mapping[str, str]],
    fingerprints: Mapping[str, str],
    cloud: Mapping[str, str],
    at: datetime,
) -> list[dict[str, Any]]:
    """One package for each tenant manager. `sealed` is address -> recipient's fingerprint -> box."""
    made = []
    for user in tenant.users:
        if not user.tenant_manager:
            continue
        recipient = fingerprints[user.name]
        boxes = {address: boxes[recipient] for address, boxes in sealed.items() if recipient in boxes}
        made.append(
            {
                "format": FORMAT,
                "tenant": tenant.tenant,
                "manager": user.name,
                "recipient": recipient,
                "made_at": at.isoformat(timespec="seconds"),
                "cloud": dict(cloud),
                "access": list(_access(tenant)),
                "sealed": [{"address": address, "box": box} for address, box in sorted(boxes.items())],
            }
        )
    return made


def _access(tenant: spec.Tenant) -> Iterator[dict[str, Any]]:
    """Who holds which roles on which project, directly or through a group."""
    for user in tenant.users:
        for project in tenant.projects:
            roles = {
                given.role
                for given in tenant.assignments
                if given.project == project.name and (given.user == user.name or given.group in user.groups)
            }
            if roles:
                yield {"user": user.name, "project": project.name, "roles": sorted(roles)}
