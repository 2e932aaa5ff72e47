"""What a quota's numbers are called by us and by each service; the one table for both directions."""

from __future__ import annotations

from collections.abc import Mapping

COMPUTE: Mapping[str, str] = {
    "instances": "instances",
    "cores": "cores",
    "ram_mib": "ram",
    "key_pairs": "key_pairs",
    "server_groups": "server_groups",
    "server_group_members": "server_group_members",
}
VOLUME: Mapping[str, str] = {
    "volumes": "volumes",
    "snapshots": "snapshots",
    "size_gib": "gigabytes",
    "backups": "backups",
    "backup_size_gib": "backup_gigabytes",
}
NETWORK: Mapping[str, str] = {
    "networks": "network",
    "subnets": "subnet",
    "routers": "router",
    "ports": "port",
    "floating_ips": "floatingip",
    "security_groups": "security_group",
    "security_group_rules": "security_group_rule",
    "rbac_policies": "rbac_policy",
}
