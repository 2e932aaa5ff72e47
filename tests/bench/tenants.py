"""One generator of tenants for all contestants: each a spec, about 40 things to make.

A tenant is the kind of department that most clouds have: production and development, a network for each
purpose, an edge router, security groups, people with roles, and a program with credentials of its own. Its
numbers are small, so that hundreds fit on the lab's hosts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

Spec = Mapping[str, Any]
"""A tenant spec as data: what `controlplane tenant apply` reads from YAML."""

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMETsBENajiSNMge5JiOF3fyDX+yERCETxjcGerozEAJ"
POOL = "tenant-space"
EXTERNAL = "public"

LIMITS: Mapping[str, Mapping[str, int]] = {
    "compute": {
        "instances": 4,
        "cores": 8,
        "ram_mib": 16_384,
        "key_pairs": 10,
        "server_groups": 4,
        "server_group_members": 10,
    },
    "volume": {"volumes": 4, "snapshots": 4, "size_gib": 40, "backups": 2, "backup_size_gib": 40},
    "network": {
        "networks": 5,
        "subnets": 10,
        "routers": 2,
        "ports": 50,
        "floating_ips": 4,
        "security_groups": 10,
        "security_group_rules": 100,
        "rbac_policies": 5,
    },
}
"""Every limit is written out, so that all contestants set the same numbers."""


def tenant(number: int) -> dict[str, Any]:
    """The spec of the tenant of this number; the same number gives the same tenant."""
    name = f"bench-{number:03d}"
    return {
        "tenant": name,
        "description": f"Department {number}",
        "governance": {
            "owner": f"Head of department {number}",
            "cost_centre": f"CC-{number:04d}",
            "classification": "internal",
            "valid_until": "2099-12-31",
        },
        "projects": [
            {
                "name": "prod",
                "description": "Production",
                "quota": _quota(),
                "networks": [
                    {
                        "name": "front",
                        "description": "Web servers",
                        "subnets": [{"name": "web", "pool": POOL, "prefix_length": 26, "dns": ["10.0.0.53"]}],
                    },
                    {
                        "name": "back",
                        "description": "Databases",
                        "share_with": ["dev"],
                        "subnets": [
                            {"name": "db", "cidr": "172.20.10.0/24", "dns": ["10.0.0.53"]},
                            {"name": "copy", "cidr": "172.20.11.0/24", "gateway": "none"},
                        ],
                    },
                ],
                "routers": [
                    {
                        "name": "edge",
                        "description": "The way out",
                        "external": EXTERNAL,
                        "interfaces": ["front/web", "back/db"],
                    }
                ],
                "security_groups": [
                    {
                        "name": "web",
                        "description": "Web",
                        "rules": [
                            {"protocol": "tcp", "ports": 443, "cidr": "0.0.0.0/0"},
                            {"protocol": "tcp", "ports": 80, "cidr": "0.0.0.0/0"},
                            {"protocol": "icmp", "cidr": "0.0.0.0/0"},
                        ],
                    },
                    {
                        "name": "db",
                        "description": "PostgreSQL",
                        "rules": [
                            {"protocol": "tcp", "ports": 5432, "group": "web"},
                            {"protocol": "tcp", "ports": 22, "cidr": "10.64.0.0/16"},
                        ],
                    },
                ],
            },
            {
                "name": "dev",
                "description": "Development",
                "quota": _quota(),
                "server_groups": [{"name": "builders", "policy": "soft-anti-affinity"}],
            },
        ],
        "groups": [{"name": "operators", "description": "Run the department's services"}],
        "users": [
            {
                "name": "anna",
                "description": "Tenant manager",
                "email": f"anna@{name}.example",
                "tenant_manager": True,
                "public_key": PUBLIC_KEY,
                "groups": ["operators"],
            },
            {
                "name": "pipeline",
                "description": "Deploys",
                "keypairs": [{"name": "deploy", "public_key": PUBLIC_KEY}],
                "application_credentials": [{"name": "deploy", "project": "dev", "roles": ["member"]}],
            },
        ],
        "assignments": [
            {"role": "member", "group": "operators", "project": "prod"},
            {"role": "reader", "group": "operators", "project": "dev"},
            {"role": "member", "user": "pipeline", "project": "dev"},
        ],
        "flavors": [
            {
                "name": f"{name}.db",
                "vcpus": 2,
                "ram_mib": 4096,
                "disk_gib": 10,
                "projects": ["prod"],
            }
        ],
    }


def _quota() -> dict[str, Any]:
    """A new one each time: the plane refuses YAML aliases."""
    return {"class": "small", **{area: dict(limits) for area, limits in LIMITS.items()}}


def write(folder: Path, first: int, count: int) -> list[Path]:
    """Write the specs of `count` tenants from number `first` on, one file each."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number in range(first, first + count):
        path = folder / f"bench-{number:03d}.yaml"
        path.write_text(yaml.safe_dump(tenant(number), sort_keys=False))
        files.append(path)
    return files
