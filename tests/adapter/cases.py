"""Every kind, as a table: how one is made, and one update after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.adapter.desk import Desk
from tests.adapter.making import KEY, group, member, network, router, rule, subnet

Case = tuple[str, dict[str, Any], list[dict[str, Any]]]
"""Address, fields, and one update after the other."""


def plain(address: str, *updates: dict[str, Any], **fields: Any) -> Callable[[Desk], Case]:
    return lambda work: (address, fields, list(updates))


def of_network(work: Desk) -> Case:
    fields = {
        "name": "a",
        "project": "project/prod",
        "description": "One",
        "port_security": True,
        "enabled": True,
    }
    updates: list[dict[str, Any]] = [
        {"name": "b", "description": "Two"},
        {"mtu": 1400},
        {"port_security": False, "enabled": False},
    ]
    return "network/prod/a", fields, updates


def of_subnet(work: Desk) -> Case:
    at = network(work, "of-subnet")
    fields = {
        "name": "a",
        "network": at,
        "cidr": "10.30.0.0/24",
        "gateway": "auto",
        "dhcp": True,
        "dns": ["192.0.2.1"],
        "ranges": "auto",
        "ip_version": 4,
    }
    updates: list[dict[str, Any]] = [
        {"name": "b", "dns": [], "dhcp": False},
        {"ranges": [["10.30.0.10", "10.30.0.20"]]},
        {"gateway": "10.30.0.254"},
        {"gateway": "none", "ranges": "auto"},
        {"gateway": "auto", "ranges": "auto"},
    ]
    return "subnet/prod/of-subnet/a", fields, updates


def of_pooled_subnet(work: Desk) -> Case:
    at = network(work, "of-pool")
    fields = {
        "name": "a",
        "network": at,
        "pool": "tenant-space",
        "prefix_length": 27,
        "gateway": "none",
        "dhcp": True,
        "dns": [],
        "ranges": "auto",
        "ip_version": 4,
    }
    return "subnet/prod/of-pool/a", fields, [{"gateway": "auto", "ranges": "auto"}]


def of_router(work: Desk) -> Case:
    fields: dict[str, Any] = {
        "name": "a",
        "project": "project/prod",
        "description": None,
        "external": "public",
        "snat": True,
        "routes": [],
        "enabled": True,
    }
    updates: list[dict[str, Any]] = [
        {"name": "b", "description": "Out", "snat": False},
        {"external": None, "enabled": False},
    ]
    return "router/prod/a", fields, updates


def of_interface(work: Desk) -> Case:
    inside = subnet(work, network(work, "of-interface"))
    at = router(work, "of-interface")
    return "interface/prod/of-interface/of-interface/front", {"router": at, "subnet": inside}, []


def of_rule(work: Desk) -> Case:
    address, fields = rule(group(work, "of-rule"))
    return address, dict(fields), []


def of_rule_between_groups(work: Desk) -> Case:
    other = group(work, "other")
    address, fields = rule(group(work, "of-groups"), None, other, "egress")
    return address, {**fields, "description": "To the other"}, []


def of_share(work: Desk) -> Case:
    at = network(work, "of-share")
    return "share/prod/of-share/test", {"network": at, "project": "project/test"}, []


def of_membership(work: Desk) -> Case:
    work.create("group/of-it", name="of-it", description=None)
    user = member(work, "in-it")
    return "membership/of-it/in-it", {"group": "group/of-it", "user": user}, []


def of_assignment(work: Desk) -> Case:
    work.create("group/to-it", name="to-it", description=None)
    fields = {"role": "reader", "actor": "group/to-it", "target": "domain"}
    return "assignment/reader/group/to-it/domain", fields, []


def of_credential(work: Desk) -> Case:
    user = member(work, "owner")
    fields = {
        "name": "ci",
        "user": user,
        "project": "project/prod",
        "roles": ["member"],
        "expires": "2031-12-31",
        "description": None,
    }
    return "application-credential/owner/ci", fields, []


def of_keypair(work: Desk) -> Case:
    return "keypair/keys/laptop", {"name": "laptop", "user": member(work, "keys"), "public_key": KEY}, []


def of_flavor(work: Desk) -> Case:
    name = f"{work.name}-flavor"
    specs = {"hw:cpu_policy": "dedicated", "hw:mem_page_size": "large"}
    fields = {
        "name": name,
        "vcpus": 1,
        "ram_mib": 512,
        "disk_gib": 1,
        "description": None,
        "extra_specs": specs,
    }
    updates: list[dict[str, Any]] = [
        {"description": "Private"},
        {"extra_specs": {"hw:cpu_policy": "shared"}},
        {"extra_specs": {}},
    ]
    return f"flavor/{name}", fields, updates


def of_flavor_access(work: Desk) -> Case:
    name = f"{work.name}-access"
    fields: dict[str, Any] = {
        "vcpus": 1,
        "ram_mib": 512,
        "disk_gib": 1,
        "description": None,
        "extra_specs": {},
    }
    work.create(f"flavor/{name}", name=name, **fields)
    return f"flavor-access/{name}/prod", {"flavor": name, "project": "project/prod"}, []


def of_volume_type(work: Desk) -> Case:
    name = f"{work.name}-type"
    fields = {"name": name, "description": "Fast", "extra_specs": {"a": "1", "b": "2"}}
    return f"volume-type/{name}", fields, [{"description": None}, {"extra_specs": {"b": "3"}}]


QUOTAS: Mapping[str, Any] = {
    "compute-quota": {
        "instances": 3,
        "cores": 5,
        "ram_mib": 4096,
        "key_pairs": 2,
        "server_groups": 2,
        "server_group_members": 2,
    },
    "volume-quota": {"volumes": 3, "snapshots": 2, "size_gib": 50, "backups": 1, "backup_size_gib": 10},
    "network-quota": {
        "networks": 20,
        "subnets": 20,
        "routers": 9,
        "ports": 90,
        "floating_ips": 3,
        "security_groups": 9,
        "security_group_rules": 90,
        "rbac_policies": 5,
    },
}

CASES: dict[str, Callable[[Desk], Case]] = {
    "project": plain(
        "project/extra",
        {"description": "More", "tags": ["b", "c"]},
        {"enabled": False},
        name="extra",
        description=None,
        enabled=True,
        tags=["a"],
    ),
    "group": plain("group/ops", {"description": "Operators"}, name="ops", description=None),
    "user": plain(
        "user/eve",
        {"description": "Eve", "email": "eve@example.org"},
        {"enabled": False},
        {"email": None},
        name="eve",
        description=None,
        email=None,
        enabled=True,
    ),
    "membership": of_membership,
    "assignment": of_assignment,
    "application credential": of_credential,
    "key pair": of_keypair,
    **{
        kind: plain(f"{kind}/prod", {next(iter(fields)): 7}, project="project/prod", **fields)
        for kind, fields in QUOTAS.items()
    },
    "network": of_network,
    "subnet": of_subnet,
    "subnet from a pool": of_pooled_subnet,
    "router": of_router,
    "interface": of_interface,
    "security group": plain(
        "security-group/prod/web",
        {"name": "www", "description": "Web"},
        name="web",
        project="project/prod",
        description=None,
    ),
    "rule": of_rule,
    "rule between groups": of_rule_between_groups,
    "share": of_share,
    "server group": plain(
        "server-group/prod/spread", name="spread", project="project/prod", policy="anti-affinity"
    ),
    "flavor": of_flavor,
    "flavor access": of_flavor_access,
    "image access": plain(
        "image-access/hospital-appliance/prod",
        image="hospital-appliance",
        project="project/prod",
        status="accepted",
    ),
    "volume type": of_volume_type,
    "volume type access": plain(
        "volume-type-access/vault-ssd/prod", volume_type="vault-ssd", project="project/prod"
    ),
}

SILENT = ("network", "subnet from a pool", "router", "security group", "server group")
"""Kinds of which OpenStack makes a second one without a word; the others are found by its refusal."""
MARKED = (
    "project",
    "group",
    "user",
    "network",
    "subnet",
    "router",
    "security-group",
    "flavor",
    "volume-type",
)
"""Kinds that carry the mark in their description."""
