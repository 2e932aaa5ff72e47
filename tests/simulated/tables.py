"""The tables of all services: what is there, and the listing of it."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from controlplane.tenants.listing import Listing
from controlplane.tenants.resources import Fields, Kind
from controlplane.tenants.rules import rule_key

Row = dict[str, Any]
_PLAIN = (
    "domains",
    "projects",
    "users",
    "groups",
    "roles",
    "flavors",
    "server_groups",
    "networks",
    "subnets",
    "subnet_pools",
    "routers",
    "security_groups",
    "rbac_policies",
    "volume_types",
    "images",
)
"""Collections of a listing that are tables here."""

COMPUTE_DEFAULTS = {
    "instances": 10,
    "cores": 20,
    "ram": 51200,
    "key_pairs": 100,
    "server_groups": 10,
    "server_group_members": 10,
    "metadata_items": 128,
}
VOLUME_DEFAULTS = {
    "volumes": 10,
    "snapshots": 10,
    "gigabytes": 1000,
    "backups": 10,
    "backup_gigabytes": 1000,
    "groups": 10,
    "per_volume_gigabytes": -1,
    "gigabytes_standard": -1,
}
NETWORK_DEFAULTS = {
    "network": 100,
    "subnet": 100,
    "router": 20,
    "port": 500,
    "floatingip": 50,
    "security_group": 100,
    "security_group_rule": 500,
    "rbac_policy": -1,
    "subnetpool": -1,
}
PLANE_USER = "u-plane"
OPERATORS = "p-operators"
"""The project of the site's own people: external network, subnet pool and shared image live there."""


TABLE: Mapping[Kind, str] = {
    Kind.DOMAIN: "domains",
    Kind.PROJECT: "projects",
    Kind.GROUP: "groups",
    Kind.USER: "users",
    Kind.APPLICATION_CREDENTIAL: "application_credentials",
    Kind.NETWORK: "networks",
    Kind.SUBNET: "subnets",
    Kind.ROUTER: "routers",
    Kind.INTERFACE: "ports",
    Kind.SECURITY_GROUP: "security_groups",
    Kind.RULE: "rules",
    Kind.SHARE: "rbac_policies",
    Kind.SERVER_GROUP: "server_groups",
    Kind.FLAVOR: "flavors",
    Kind.VOLUME_TYPE: "volume_types",
}
"""Where the rows of a kind are."""


class Refused(Exception):
    """What a service would not do."""


@dataclass
class Tables:
    """Collection -> identifier -> object of the API."""

    tables: dict[str, dict[str, Row]] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)
    accesses: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    quotas: dict[str, dict[str, Row]] = field(default_factory=dict)
    assignments: list[Row] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    """Identifier of a user or of an application credential -> what opens it now."""
    count: int = 0

    def __post_init__(self) -> None:
        """Furnish the site."""
        for name in ("admin", "manager", "member", "reader"):
            self.put("roles", {"name": name, "domain_id": None}, f"r-{name}")
        self.put("domains", {"name": "Default", "description": "", "enabled": True, "tags": []}, "default")
        self.put("networks", network_row("public", OPERATORS, {"router:external": True, "description": ""}))
        pool = {"name": "tenant-space", "prefixes": ["10.64.0.0/16"], "ip_version": 4, "shared": True}
        sizes = {"min_prefixlen": "20", "max_prefixlen": "28", "default_prefixlen": "26"}
        self.put("subnet_pools", pool | sizes | {"project_id": OPERATORS, "description": ""})
        for name, public in (("m1.tiny", True), ("site.gpu", False)):
            self.put("flavors", flavor_row(name, {"vcpus": 1, "ram_mib": 512, "disk_gib": 1}, None, public))
        for name, public in (("standard", True), ("vault-ssd", False)):
            self.put("volume_types", volume_type_row(name, None, {}, public))
        image = {"visibility": "shared", "owner": OPERATORS, "status": "active", "tags": []}
        self.put("images", image | {"name": "hospital-appliance"})

    def table(self, name: str) -> dict[str, Row]:
        return self.tables.setdefault(name, {})

    def put(self, name: str, row: Row, id_: str = "") -> Row:
        self.count += 1
        row["id"] = id_ or f"{name[:2]}-{self.count:04}"
        if name in ("networks", "subnets", "routers", "ports", "security_groups"):
            row["created_at"] = f"2026-01-01T{self.count // 3600:02}:{self.count // 60 % 60:02}:00Z"
            row["tenant_id"] = row["project_id"]
        self.table(name)[row["id"]] = row
        return row

    def named(self, name: str, wanted: str) -> Row:
        return next(row for row in self.table(name).values() if row["name"] == wanted)

    def where(self, table: str, **values: str) -> list[Row]:
        rows = self.table(table).values()
        return [row for row in rows if all(row.get(key) == value for key, value in values.items())]

    def listing(self, shuffled: random.Random | None = None) -> Listing:
        """Everything; with its rows in another order when asked."""

        def rows(found: Iterable[Any]) -> list[Any]:
            copied = copy.deepcopy(list(found))
            if shuffled:
                shuffled.shuffle(copied)
            return copied

        def by_id(found: Mapping[str, Iterable[Any]]) -> dict[str, list[Any]]:
            return {key: rows(found[key]) for key in rows(found)}

        def grouped(table: str) -> dict[str, list[Any]]:
            owners = sorted({row["user_id"] for row in self.table(table).values()})
            return by_id({user: self.where(table, user_id=user) for user in owners})

        projects = list(self.table("projects"))
        bulk: dict[str, Any] = {name: rows(self.table(name).values()) for name in _PLAIN}
        for group in bulk["security_groups"]:
            group["security_group_rules"] = rows(self.where("rules", security_group_id=group["id"]))
        accesses = {
            table: by_id({id_: sorted(found) for id_, found in self.accesses.get(table, {}).items()})
            for table in ("flavors", "volume_types")
        }
        images: dict[str, list[Row]] = {}
        for member in self.table("image_members").values():
            images.setdefault(member["image_id"], []).append(member)
        return Listing(
            **bulk,
            role_assignments=rows(self.assignments),
            group_members=by_id({group: sorted(users) for group, users in self.members.items()}),
            application_credentials=grouped("application_credentials"),
            keypairs=grouped("keypairs"),
            flavor_access=accesses["flavors"],
            compute_quotas={p: COMPUTE_DEFAULTS | self.quota("compute", p) | {"id": p} for p in projects},
            router_ports=rows(self.table("ports").values()),
            network_quotas={p: NETWORK_DEFAULTS | row for p, row in self.quotas.get("network", {}).items()},
            volume_type_access=accesses["volume_types"],
            volume_quotas={p: VOLUME_DEFAULTS | self.quota("volume", p) | {"id": p} for p in projects},
            image_members=by_id(images),
            plane_user_id=PLANE_USER,
        )

    def quota(self, service: str, project: str) -> Row:
        return self.quotas.get(service, {}).get(project, {})

    def drop(self, table: str, **values: str) -> None:
        for row in self.where(table, **values):
            del self.table(table)[row["id"]]

    def unique(self, table: str, name: str, **parent: str) -> None:
        if self.where(table, name=name, **parent):
            raise Refused(f"{table}: {name} exists")

    def assign(self, role: str, actor: str, target: str) -> None:
        """A role for a user or group on a project or domain; again is no mistake."""
        row = self.assignment_row(role, actor, target)
        if row not in self.assignments:
            self.assignments.append(row)

    def step_down(self) -> None:
        """The plane gives back the roles that it took."""
        self.assignments = [row for row in self.assignments if PLANE_USER not in ids_in(row)]

    def assignment_row(self, role: str, actor: str, target: str) -> Row:
        whom = "group" if actor in self.table("groups") else "user"
        where = "domain" if target in self.table("domains") else "project"
        assert target in self.table(f"{where}s")
        assert whom == "group" or actor == PLANE_USER or actor in self.table("users")
        return {"role": {"id": role}, whom: {"id": actor}, "scope": {where: {"id": target}}, "links": {}}

    def rule(self, group: str, **values: Any) -> str:
        """A rule of a security group, as Neutron stores it."""
        empty = dict.fromkeys(
            ("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id")
        )
        row = {**empty, "remote_address_group_id": None, **values, "security_group_id": group}
        assert group in self.table("security_groups")
        for other in self.where("rules", security_group_id=group):
            if rule_words(other) == rule_words(row):
                raise Refused(f"the rule {rule_key(rule_words(row))} exists")
        return str(self.put("rules", row)["id"])


def network_row(name: str, project: str, extra: Row) -> Row:
    plain = {"admin_state_up": True, "mtu": 1450, "port_security_enabled": True, "router:external": False}
    return {"name": name, "project_id": project, "shared": False, "status": "ACTIVE", **plain, **extra}


def flavor_row(name: str, size: Fields, words: str | None, public: bool) -> Row:
    given = {"vcpus": size["vcpus"], "ram": size["ram_mib"], "disk": size["disk_gib"]}
    more = {"os-flavor-access:is_public": public, "swap": 0, "OS-FLV-EXT-DATA:ephemeral": 0}
    return {"name": name, **given, "description": words, "extra_specs": {}, **more}


def volume_type_row(name: str, words: str | None, extra_specs: Row, public: bool) -> Row:
    visible = {"is_public": public, "os-volume-type-access:is_public": public, "qos_specs_id": None}
    return {"name": name, "description": words, "extra_specs": extra_specs, **visible}


def rule_words(rule: Row) -> Fields:
    low = rule["port_range_min"]
    return {
        "direction": rule["direction"],
        "ether": rule["ethertype"],
        "protocol": rule["protocol"],
        "ports": None if low is None else [low, rule["port_range_max"]],
        "cidr": rule["remote_ip_prefix"],
        "group": rule["remote_group_id"],
    }


def ids_in(assignment: Row) -> set[str]:
    parts = [assignment.get("user"), assignment.get("group"), *assignment["scope"].values()]
    return {part["id"] for part in parts if part}
