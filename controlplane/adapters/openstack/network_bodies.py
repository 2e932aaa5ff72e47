"""Neutron's words: the bodies of creates and updates, and what Neutron fills in by itself."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from controlplane.adapters.openstack.verbs import renamed
from controlplane.tenants.listing import Raw
from controlplane.tenants.ports import Ids
from controlplane.tenants.resources import Fields, Kind
from controlplane.tenants.rules import rule_fields
from controlplane.tenants.subnets import automatic_gateway, automatic_ranges


def _network(fields: Fields, _: Ids) -> dict[str, Any]:
    return renamed(
        fields, {"mtu": "mtu", "port_security": "port_security_enabled", "enabled": "admin_state_up"}
    )


def _subnet(fields: Fields, ids: Ids) -> dict[str, Any]:
    body: dict[str, Any] = {
        "network_id": ids.id(fields["network"]),
        "ip_version": fields["ip_version"],
        "enable_dhcp": fields["dhcp"],
        "dns_nameservers": list(fields.get("dns", ())),
    }
    if fields.get("pool"):
        body["subnetpool_id"] = ids.facility("subnet_pools", fields["pool"])
        if fields.get("prefix_length"):
            body["prefixlen"] = fields["prefix_length"]
    else:
        body["cidr"] = fields["cidr"]
    if fields.get("gateway", "auto") != "auto":
        body["gateway_ip"] = None if fields["gateway"] == "none" else fields["gateway"]
    if fields.get("ranges", "auto") != "auto":
        body["allocation_pools"] = [{"start": start, "end": end} for start, end in fields["ranges"]]
    return body


def _router(fields: Fields, ids: Ids) -> dict[str, Any]:
    body: dict[str, Any] = {"admin_state_up": fields["enabled"]}
    if fields.get("external"):
        body["external_gateway_info"] = _gateway(fields, ids)
    return body


def _gateway(fields: Fields, ids: Ids) -> dict[str, Any]:
    if not fields.get("external"):
        return {}
    network = ids.facility("external_networks", fields["external"])
    return {"network_id": network, "enable_snat": fields.get("snat", True)}


def _rule(fields: Fields, ids: Ids) -> dict[str, Any]:
    low, high = fields["ports"] or (None, None)
    return {
        "security_group_id": ids.id(fields["security_group"]),
        "direction": fields["direction"],
        "ethertype": fields["ether"],
        "protocol": fields["protocol"],
        "port_range_min": low,
        "port_range_max": high,
        "remote_ip_prefix": fields["cidr"],
        "remote_group_id": ids.id(fields["group"]) if fields["group"] else None,
    }


def _share(fields: Fields, ids: Ids) -> dict[str, Any]:
    return {
        "object_type": "network",
        "object_id": ids.id(fields["network"]),
        "action": "access_as_shared",
        "target_tenant": ids.id(fields["project"]),
    }


BODIES: Mapping[Kind, Callable[[Fields, Ids], dict[str, Any]]] = {
    Kind.NETWORK: _network,
    Kind.SUBNET: _subnet,
    Kind.ROUTER: _router,
    Kind.SECURITY_GROUP: lambda _, __: {},
    Kind.RULE: _rule,
    Kind.SHARE: _share,
}


def changes(kind: Kind, fields: Fields, ids: Ids, changed: Sequence[str], cidr: str | None) -> dict[str, Any]:
    """The body of an update, for what is neither name nor description."""
    wants = set(changed)
    if kind is Kind.NETWORK:
        return _network({name: fields[name] for name in wants if name in fields}, ids)
    if kind is Kind.SUBNET:
        return _subnet_changes(fields, wants, cidr)
    body: dict[str, Any] = {}
    if kind is Kind.ROUTER:
        if "enabled" in wants:
            body["admin_state_up"] = fields["enabled"]
        if wants & {"external", "snat"}:
            body["external_gateway_info"] = _gateway(fields, ids)
        if "routes" in wants:
            body["routes"] = [{"destination": to, "nexthop": by} for to, by in fields["routes"]]
    return body


def _subnet_changes(fields: Fields, wants: set[str], cidr: str | None) -> dict[str, Any]:
    body: dict[str, Any] = {}
    if "dhcp" in wants:
        body["enable_dhcp"] = fields["dhcp"]
    if "dns" in wants:
        body["dns_nameservers"] = list(fields["dns"])
    gateway = fields.get("gateway", "auto")
    net = ipaddress.ip_network(cidr) if cidr is not None else None
    if net is not None and gateway == "auto":
        gateway = automatic_gateway(net)
    if "gateway" in wants and gateway != "auto":
        body["gateway_ip"] = None if gateway == "none" else gateway
    if "ranges" in wants:
        ranges = fields.get("ranges", "auto")
        if ranges == "auto" and net is not None:
            ranges = automatic_ranges(net, None if gateway == "none" else gateway)
        if ranges != "auto":
            body["allocation_pools"] = [{"start": start, "end": end} for start, end in ranges]
    return body


def raw_rule(raw: Raw, addresses: Mapping[str, str] | None = None) -> Fields:
    """A rule of Neutron in the canonical fields; groups by address where it is given, else by identifier."""
    known = addresses or {}
    low, high = raw.get("port_range_min"), raw.get("port_range_max")
    group, remote = str(raw["security_group_id"]), raw.get("remote_group_id")
    return rule_fields(
        security_group=known.get(group, group),
        direction=raw["direction"],
        ether=raw["ethertype"],
        protocol=raw.get("protocol"),
        ports=None if low is None else (low, low if high is None else high),
        cidr=raw.get("remote_ip_prefix"),
        group=known.get(remote, remote) if remote else None,
    )
