"""Tenant specs drawn by hypothesis: small, often alike, and such that OpenStack can have any two in turn."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from ipaddress import ip_network
from typing import Any, TypeVar

from hypothesis import strategies as st

from controlplane.tenants import spec
from controlplane.tenants.desired import Desired, desire
from controlplane.tenants.quotas import QuotaClasses, resolve

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[int]], int]
Written = dict[str, Any]

TEXTS = (None, "One", "network/prod/app", "domain", "see [1]", "ends [controlplane a b]")
KEYS = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMETsBENajiSNMge5JiOF3fyDX+yERCETxjcGerozEAJ",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFP7ni00AWD7pGInIirOHGkwQEtqOaJ1FVQ1jZ1Z3JlW",
)
CIDRS = (
    ("10.0.0.0/24", "10.0.1.0/24", "10.0.2.0/25", "10.0.2.128/25", "fd00:a::/64", "fd00:b::/64"),
    ("10.0.0.0/23", "10.0.2.0/24", "10.1.0.0/16", "10.2.0.0/24", "fd00:a::/63", "fd00:c::/64"),
)
"""Two families: within each nothing overlaps, between them much does."""
RULES: tuple[Mapping[str, Any], ...] = (
    {"protocol": "tcp", "ports": 443, "cidr": "0.0.0.0/0"},
    {"protocol": "tcp", "ports": "8000-8010", "cidr": "10.0.0.0/24"},
    {"protocol": "tcp", "ports": "1-65535"},
    {"protocol": "icmp"},
    {"ether": "IPv6", "protocol": "ipv6-icmp", "cidr": "::/0"},
    {"protocol": "udp", "ports": 53, "group": "web"},
    {"protocol": "udp", "ports": 53, "group": "db"},
    {"direction": "egress", "protocol": "tcp", "ports": 5432, "description": "Databases"},
    {"direction": "egress", "description": "Anywhere"},
)


def desired_of(tenant: spec.Tenant) -> Desired:
    """With the quota classes that every site has."""
    return desire(tenant, {p.name: resolve(p.quota, QuotaClasses()) for p in tenant.projects})


@cache
def _numbers(least: int, most: int) -> st.SearchStrategy[int]:
    return st.integers(least, most)


def one(draw: Draw, *values: T) -> T:
    """One of `values`, the first when all is simple."""
    return values[draw(_numbers(0, len(values) - 1))]


def some(draw: Draw, values: Sequence[T], least: int = 0) -> list[T]:
    """Any of `values`, none or as few as may be when all is simple."""
    if not values:
        return []
    mask = draw(_numbers(2**least - 1, 2 ** len(values) - 1))
    return [value for i, value in enumerate(values) if mask >> i & 1]


@st.composite
def tenants(draw: Any, name: str = "ministry") -> spec.Tenant:
    """A tenant with a bit of everything."""
    projects = some(draw, ["prod", "dev"], 1)
    groups, users = some(draw, ["ops", "devs"]), some(draw, ["anna", "jonas"])
    assignments = some(draw, list(_possible(projects, groups, users)))
    governance = {
        "owner": one(draw, "Directorate", "user/anna"),
        "cost_centre": one(draw, "4711", "a/b,c"),
        "classification": "restricted",
        "valid_until": one(draw, "2030-12-31", "2031-01-01"),
    }
    images, flavors, types = ["hospital-appliance"], ["f.db", "site.gpu"], ["gold", "vault-ssd"]
    written = {
        "tenant": name,
        "description": one(draw, *TEXTS),
        "governance": governance,
        "projects": [_project(draw, p, [q for q in projects if q != p]) for p in projects],
        "groups": [{"name": g, "description": one(draw, *TEXTS)} for g in groups],
        "users": [_user(draw, u, groups, assignments) for u in users],
        "assignments": assignments,
        "flavors": [_flavor(draw, f) | _used(draw, projects) for f in some(draw, flavors)],
        "images": [{"name": i} | _used(draw, projects) for i in some(draw, images)],
        "volume_types": [_type(draw, v) | _used(draw, projects) for v in some(draw, types)],
    }
    return spec.Tenant.model_validate(written)


def _possible(projects: list[str], groups: list[str], users: list[str]) -> Iterator[Written]:
    for actor in [*({"user": u} for u in users), *({"group": g} for g in groups)]:
        for role in ("member", "reader"):
            yield from ({"role": role, **actor, "project": project} for project in projects)
        yield {"role": "reader", **actor, "domain": True}


def _used(draw: Draw, projects: list[str]) -> Written:
    return {"projects": some(draw, projects, 1)}


def _flavor(draw: Draw, name: str) -> Written:
    if name == "site.gpu":
        return {"name": name, "existing": True}
    size = {"vcpus": one(draw, 1, 2), "ram_mib": 512, "disk_gib": 1}
    return {"name": name, **size, "extra_specs": one(draw, {}, {"hw_rng:allowed": "true"})}


def _type(draw: Draw, name: str) -> Written:
    if name == "vault-ssd":
        return {"name": name, "existing": True}
    return {"name": name, "description": one(draw, *TEXTS), "extra_specs": one(draw, {}, {"a": "b"})}


def _user(draw: Draw, name: str, groups: list[str], assignments: list[Written]) -> Written:
    mine = some(draw, groups)
    held = [
        {"project": a["project"], "roles": [a["role"]]}
        for a in assignments
        if "project" in a and (a.get("user") == name or a.get("group") in mine)
    ]
    credentials: list[Written] = []
    wanted = one(draw, False, True)
    if held and wanted:
        about = {"expires": one(draw, None, "2028-06-30"), "description": one(draw, *TEXTS)}
        credentials.append({"name": "deploy", **one(draw, *held), **about})
    manager = one(draw, False, True)
    return {
        "name": name,
        "description": one(draw, *TEXTS),
        "email": one(draw, None, f"{name}@ministry.example"),
        "tenant_manager": manager,
        "public_key": KEYS[0] if manager else None,
        "groups": mine,
        "keypairs": one(draw, [], *([{"name": "laptop", "public_key": key}] for key in KEYS)),
        "application_credentials": credentials,
    }


def _project(draw: Draw, name: str, others: list[str]) -> Written:
    family = one(draw, *CIDRS)
    turn = one(draw, *range(len(family)))
    cidrs = [*family[turn:], *family[:turn]]
    networks: list[Written] = [
        {
            "name": network,
            "description": one(draw, *TEXTS),
            "mtu": one(draw, None, 1400),
            "port_security": one(draw, True, False),
            "subnets": _subnets(draw, cidrs),
            "share_with": some(draw, others),
        }
        for network in some(draw, ["app", "db"])
    ]
    groups, server_groups = some(draw, ["web", "db"]), some(draw, ["web", "db"])
    subnets, spare = sum(len(n["subnets"]) for n in networks), one(draw, 0, 1)
    quota = {
        "class": one(draw, "small", "medium"),
        "compute": {"server_groups": len(server_groups) + spare},
        "network": {"networks": len(networks) + spare, "subnets": subnets + spare},
    }
    return {
        "name": name,
        "description": one(draw, *TEXTS),
        "quota": quota,
        "networks": networks,
        "routers": list(_routers(draw, networks)),
        "security_groups": [_security_group(draw, g, groups) for g in groups],
        "server_groups": [
            {"name": g, "policy": one(draw, "affinity", "anti-affinity")} for g in server_groups
        ],
    }


def _subnets(draw: Draw, cidrs: list[str]) -> list[Written]:
    names = some(draw, ["one", "two"])
    if one(draw, False, True):
        return [{"name": n, "pool": "tenant-space", "prefix_length": one(draw, None, 27)} for n in names]
    return [_given_subnet(draw, name, cidrs.pop()) for name in names]


def _given_subnet(draw: Draw, name: str, cidr: str) -> Written:
    if cidr.endswith("/25"):  # its hosts are too few for what follows
        return {"name": name, "cidr": cidr, "dhcp": one(draw, True, False)}
    stem = cidr.split("/")[0]
    start = stem if ":" in stem else stem.rsplit(".", 1)[0] + "."
    ranges = [{"start": f"{start}40", "end": f"{start}50"}, {"start": f"{start}20", "end": f"{start}30"}]
    return {
        "name": name,
        "cidr": cidr,
        "gateway": one(draw, None, "none", f"{start}99", f"{start}1"),
        "dhcp": one(draw, True, False),
        "dns": [] if ":" in cidr else some(draw, ["9.9.9.9", "1.1.1.1"]),
        "ranges": one(draw, [], ranges, ranges[1:]),
    }


def _routers(draw: Draw, networks: list[Written]) -> Iterator[Written]:
    free = [
        (f"{n['name']}/{s['name']}", s.get("cidr"))
        for n in networks
        for s in n["subnets"]
        if s.get("gateway") != "none"
    ]
    for name in some(draw, ["edge", "core"]):
        joined = some(draw, free)
        free = [place for place in free if place not in joined]
        external = one(draw, None, "public")
        yield {
            "name": name,
            "description": one(draw, *TEXTS),
            "external": external,
            "snat": external is None or one(draw, True, False),
            "interfaces": [place for place, _ in joined],
            "routes": some(draw, _possible_routes([cidr for _, cidr in joined])),
        }


def _possible_routes(cidrs: list[str | None]) -> list[Written]:
    return [
        {"destination": f"192.168.{i}.0/24", "next_hop": str(ip_network(cidr)[100])}
        for i, cidr in enumerate(cidrs)
        if cidr is not None
    ]


def _security_group(draw: Draw, name: str, groups: list[str]) -> Written:
    egress = one(draw, "allow", "deny")
    rules = [rule for rule in RULES if rule.get("group") in (None, *groups)]
    if egress == "allow":  # that is what the last one says
        rules = rules[:-1]
    return {"name": name, "description": one(draw, *TEXTS), "egress": egress, "rules": some(draw, rules)}


MINISTRY: Written = {
    "tenant": "ministry",
    "governance": {
        "owner": "Directorate",
        "cost_centre": "a/b,c",
        "classification": "restricted",
        "valid_until": "2030-12-31",
    },
    "projects": [
        {
            "name": "prod",
            "description": "The portal",
            "quota": {"class": "small", "compute": {"cores": 48}},
            "networks": [
                {
                    "name": "app",
                    "description": "Front ends",
                    "subnets": [
                        {"name": "web", "cidr": "10.0.0.0/24", "dns": ["9.9.9.9", "1.1.1.1"]},
                        {"name": "six", "cidr": "fd00:a::/64"},
                    ],
                    "share_with": ["dev"],
                },
                {"name": "db", "mtu": 1400, "subnets": [{"name": "data", "pool": "tenant-space"}]},
            ],
            "routers": [
                {
                    "name": "edge",
                    "external": "public",
                    "interfaces": ["app/web", "db/data"],
                    "routes": [
                        {"destination": "192.168.0.0/24", "next_hop": "10.0.0.100"},
                        {"destination": "192.168.1.0/24", "next_hop": "10.0.0.101"},
                    ],
                }
            ],
            "security_groups": [
                {"name": "web", "rules": [{"protocol": "tcp", "ports": 443}, {"group": "db"}]},
                {
                    "name": "db",
                    "egress": "deny",
                    "rules": [{"protocol": "tcp", "ports": 5432, "group": "web"}],
                },
            ],
            "server_groups": [{"name": "web", "policy": "anti-affinity"}],
        },
        {"name": "dev", "quota": {"class": "small"}},
    ],
    "groups": [{"name": "ops", "description": "Run it"}],
    "users": [
        {
            "name": "anna",
            "email": "anna@ministry.example",
            "tenant_manager": True,
            "public_key": KEYS[0],
            "groups": ["ops"],
            "keypairs": [{"name": "laptop", "public_key": KEYS[1] + " anna@laptop"}],
        },
        {
            "name": "robot",
            "application_credentials": [
                {"name": "deploy", "project": "prod", "roles": ["member"], "expires": "2028-06-30"}
            ],
        },
    ],
    "assignments": [
        {"role": "member", "group": "ops", "project": "prod"},
        {"role": "member", "user": "robot", "project": "prod"},
        {"role": "reader", "group": "ops", "domain": True},
    ],
    "flavors": [
        {"name": "f.db", "vcpus": 2, "ram_mib": 512, "disk_gib": 1, "projects": ["prod"]},
        {"name": "site.gpu", "existing": True, "projects": ["prod"]},
    ],
    "images": [{"name": "hospital-appliance", "projects": ["prod"]}],
    "volume_types": [
        {"name": "gold", "description": "Fast", "extra_specs": {"a": "b"}, "projects": ["prod"]},
        {"name": "vault-ssd", "existing": True, "projects": ["prod"]},
    ],
}
"""A tenant with every kind of resource."""


def ministry(edit: Callable[[Any], object] = lambda written: None) -> Desired:
    """What `MINISTRY` calls for, after `edit` changed a copy of it."""
    written = copy.deepcopy(MINISTRY)
    edit(written)
    return desired_of(spec.Tenant.model_validate(written))
