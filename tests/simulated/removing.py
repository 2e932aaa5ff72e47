"""Deletes, which are refused while something hangs on what should go."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any

from controlplane.tenants.ports import Ids
from controlplane.tenants.resources import Fields, Kind
from tests.simulated.tables import TABLE, Refused, Tables, ids_in

_HANGS: Mapping[Kind, tuple[tuple[str, str], ...]] = {
    Kind.DOMAIN: (("projects", "domain_id"), ("users", "domain_id"), ("groups", "domain_id")),
    Kind.PROJECT: (
        ("networks", "project_id"),
        ("routers", "project_id"),
        ("security_groups", "project_id"),
        ("server_groups", "project_id"),
        ("rbac_policies", "target_tenant"),
        ("application_credentials", "project_id"),
    ),
    Kind.USER: (("application_credentials", "user_id"),),
    Kind.NETWORK: (("subnets", "network_id"), ("rbac_policies", "object_id")),
    Kind.ROUTER: (("ports", "device_id"),),
    Kind.SECURITY_GROUP: (("rules", "remote_group_id"), ("rules", "security_group_id")),
}
"""Kind -> tables and the column that names it."""


def delete(tables: Tables, kind: Kind, id_: str, fields: Fields, ids: Ids) -> None:
    if kind is Kind.MEMBERSHIP:
        tables.members[ids.id(fields["group"])].remove(ids.id(fields["user"]))
    elif kind is Kind.ASSIGNMENT:
        role = ids.facility("roles", fields["role"])
        tables.assignments.remove(
            tables.assignment_row(role, ids.id(fields["actor"]), ids.id(fields["target"]))
        )
    elif kind in (Kind.FLAVOR_ACCESS, Kind.VOLUME_TYPE_ACCESS):
        table = "flavors" if kind is Kind.FLAVOR_ACCESS else "volume_types"
        tables.accesses[table][id_].remove(ids.id(fields["project"]))
    elif kind in (Kind.COMPUTE_QUOTA, Kind.VOLUME_QUOTA, Kind.NETWORK_QUOTA):
        tables.quotas.get(kind.split("-")[0], {}).pop(id_, None)
    elif kind is Kind.IMAGE_ACCESS:
        [row] = tables.where("image_members", image_id=id_, member_id=ids.id(fields["project"]))
        del tables.table("image_members")[row["id"]]
    elif kind is Kind.KEYPAIR:
        [row] = tables.where("keypairs", user_id=ids.id(fields["user"]), name=id_)
        del tables.table("keypairs")[row["id"]]
    else:
        _unused(tables, kind, id_)
        _loosen(tables, kind, id_)
        del tables.table(TABLE[kind])[id_]


def _unused(tables: Tables, kind: Kind, id_: str) -> None:
    """Refuse while something hangs on it."""
    held: list[Any] = []
    for table, name in _HANGS.get(kind, ()):
        held += [row for row in tables.where(table, **{name: id_}) if row.get("name") != "default"]
    if kind is Kind.SUBNET:
        held += [p for p in tables.table("ports").values() if p["fixed_ips"][0]["subnet_id"] == id_]
    if kind in (Kind.DOMAIN, Kind.PROJECT, Kind.USER, Kind.GROUP):
        held += [a for a in tables.assignments if id_ in ids_in(a)]
    if kind is Kind.GROUP:
        held += tables.members[id_]
    if kind in (Kind.FLAVOR, Kind.VOLUME_TYPE):
        held += tables.accesses.get(TABLE[kind], {}).get(id_, ())
    if held:
        raise Refused(f"{kind} {id_} is in use by {held}")


def _loosen(tables: Tables, kind: Kind, id_: str) -> None:
    """What goes along."""
    if kind is Kind.INTERFACE:
        port = tables.table("ports")[id_]
        router = tables.table("routers")[port["device_id"]]
        cidr = ip_network(tables.table("subnets")[port["fixed_ips"][0]["subnet_id"]]["cidr"])
        router["routes"] = [r for r in router["routes"] if ip_address(r["nexthop"]) not in cidr]
    elif kind is Kind.PROJECT:
        tables.drop("security_groups", project_id=id_, name="default")
        tables.drop("image_members", member_id=id_)
        for quotas in tables.quotas.values():
            quotas.pop(id_, None)
        for table in tables.accesses.values():
            for projects in table.values():
                projects.discard(id_)
    elif kind is Kind.USER:
        tables.drop("keypairs", user_id=id_)
    elif kind is Kind.GROUP:
        del tables.members[id_]
