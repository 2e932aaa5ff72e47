"""Updates of what is there."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

from controlplane.tenants.ports import Effect, Ids
from controlplane.tenants.resources import Fields, Kind, mark
from controlplane.tenants.subnets import automatic_gateway
from tests.simulated.making import pools, set_quota, way_out
from tests.simulated.tables import TABLE, Refused, Row, Tables


def update(tables: Tables, kind: Kind, id_: str, effect: Effect, ids: Ids) -> None:
    assert effect.want is not None
    fields, changed = effect.want.fields, set(effect.changed)
    if kind in (Kind.COMPUTE_QUOTA, Kind.VOLUME_QUOTA, Kind.NETWORK_QUOTA):
        set_quota(tables, kind.split("-")[0], fields, ids)
        return
    if kind is Kind.IMAGE_ACCESS:
        project = ids.id(fields["project"])
        [member] = tables.where("image_members", image_id=id_, member_id=project)
        member["status"] = fields["status"]
        return
    row = tables.table(TABLE[kind])[id_]
    for name in changed & {"name", "enabled", "email", "mtu", "tags", "extra_specs"}:
        theirs = "admin_state_up" if name == "enabled" and "admin_state_up" in row else name
        row[theirs] = copy.deepcopy(fields[name])
    if "description" in changed:
        row["description"] = mark(ids.tenant, effect.address, fields["description"])
    if "port_security" in changed:
        row["port_security_enabled"] = fields["port_security"]
    if kind is Kind.SUBNET:
        _update_subnet(tables, row, fields, changed)
    if kind is Kind.ROUTER and changed & {"external", "snat"}:
        row["external_gateway_info"] = way_out(fields, ids)
    if "routes" in changed:
        _set_routes(tables, row, fields["routes"])


def _update_subnet(tables: Tables, row: Row, fields: Fields, changed: set[str]) -> None:
    cidr = ip_network(row["cidr"])
    gateway = {"auto": automatic_gateway(cidr), "none": None}.get(fields["gateway"], fields["gateway"])
    ports = [p for p in tables.table("ports").values() if p["fixed_ips"][0]["subnet_id"] == row["id"]]
    if "gateway" in changed:
        if ports:
            raise Refused("GatewayIpInUse")
        row["gateway_ip"] = gateway
    if "ranges" in changed:
        row["allocation_pools"] = pools(fields["ranges"], cidr, gateway)
    for pool in row["allocation_pools"]:
        if row["gateway_ip"] and _inside(row["gateway_ip"], pool["start"], pool["end"]):
            raise Refused("GatewayConflictWithAllocationPools")
    if "dhcp" in changed:
        row["enable_dhcp"] = fields["dhcp"]
    if "dns" in changed:
        row["dns_nameservers"] = list(fields["dns"])


def _set_routes(tables: Tables, router: Row, routes: Sequence[Sequence[str]]) -> None:
    reach = [
        ip_network(tables.table("subnets")[port["fixed_ips"][0]["subnet_id"]]["cidr"])
        for port in tables.where("ports", device_id=router["id"])
    ]
    for _, hop in routes:
        if not any(ip_address(hop) in cidr for cidr in reach):
            raise Refused(f"InvalidRoutes: no way to {hop}")
    router["routes"] = [{"destination": to, "nexthop": hop} for to, hop in routes]


def _inside(address: str, start: str, end: str) -> bool:
    return int(ip_address(start)) <= int(ip_address(address)) <= int(ip_address(end))
