"""What is inside a tenant, whoever made it; the kinds of things are those of `erasure.ORDER`.

Not in it: what Neutron makes and removes by itself (DHCP, gateway and HA ports, a project's `default`
security group), quotas, and what Keystone removes with a user, project or domain (assignments, trusts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from controlplane.adapters.openstack.compute import Compute
from controlplane.adapters.openstack.connection import Connection
from controlplane.adapters.openstack.listing import Lister
from controlplane.adapters.openstack.network import INTERFACE_OWNERS
from controlplane.adapters.openstack.servers import Servers
from controlplane.tenants.erasure import ORDER
from controlplane.tenants.listing import Raw
from controlplane.tenants.ports import Thing
from controlplane.tenants.resources import read_mark

STORED: Mapping[str, tuple[str, str]] = {
    "volume": ("/volumes", "volume"),
    "snapshot": ("/snapshots", "snapshot"),
    "backup": ("/backups", "backup"),
}
"""Cinder's kinds, whose deletion goes on after the answer."""
_BY_NEUTRON = (
    "network:dhcp",
    "network:router_gateway",
    "network:router_centralized_snat",
    "network:router_ha_interface",
    "network:floatingip",
    "network:distributed",
)
"""Owners of ports that Neutron removes with the network, router or address they belong to."""

Call = Callable[[], Any]


class Inventory:
    """Finds what tenants hold."""

    def __init__(self, connection: Connection, lister: Lister, compute: Compute, servers: Servers) -> None:
        self._c, self._lister, self._compute, self._servers = connection, lister, compute, servers

    def of_domain(self, domain_id: str) -> list[Thing]:
        """Everything of the domain, in the order of `ORDER`; empty when there is no such domain."""
        c = self._c
        reply = c.call("identity", "GET", f"/domains/{domain_id}", accept={404}, action="show")
        if not reply.good:
            return []
        domain = reply.json()["domain"]
        of_domain = [("domain_id", domain_id)]
        kinds = ("projects", "users", "groups")
        parts = c.together(
            {kind: partial(c.pages, "identity", f"/{kind}", kind, of_domain) for kind in kinds}
        )
        things = self.of_projects(
            [str(p["id"]) for p in parts["projects"]], read_mark(domain.get("description"))
        )
        things += self._of_users(parts["users"])
        things += [Thing("group", str(g["id"]), str(g["name"])) for g in parts["groups"]]
        things += [Thing("user", str(u["id"]), str(u["name"])) for u in parts["users"]]
        depth = _depths(parts["projects"])
        for project in sorted(parts["projects"], key=lambda p: -depth[p["id"]]):  # the innermost first
            things.append(Thing("project", str(project["id"]), str(project["name"]), str(project["id"])))
        things.append(Thing("domain", domain_id, str(domain["name"])))
        return sorted(things, key=lambda thing: ORDER.index(thing.kind))

    def of_projects(self, projects: Sequence[str], owner: tuple[str, str] | None) -> list[Thing]:
        """Everything in the projects, and the private flavors and volume types made for the tenant."""
        calls: dict[str, Call] = {
            "server_groups": self._compute.server_groups,
            "flavors": lambda: self._c.pages(
                "compute", "/flavors/detail", "flavors", [("is_public", "None")]
            ),
            "types": lambda: self._c.pages("volume", "/types", "volume_types", [("is_public", "None")]),
            "shared": lambda: self._c.pages(
                "image",
                "/images",
                "images",
                [("visibility", "shared"), ("member_status", "all"), ("limit", "1000")],
            ),
        }
        if not projects:
            return []
        seen = self._c.together(calls | self._network_calls(projects) | self._storage_calls(projects))
        mine = set(projects)
        things = [
            Thing("server", str(s["id"]), str(s["name"]), str(s["tenant_id"]))
            for s in self._servers.of_projects(projects)
        ]
        things += self._of_network(seen, mine)
        things += [
            Thing("server-group", str(g["id"]), str(g["name"]), str(g["project_id"]))
            for g in seen["server_groups"]
            if g["project_id"] in mine
        ]
        things += self._of_storage(seen)
        things += self._shared(seen, mine, owner)
        return sorted(things, key=lambda thing: ORDER.index(thing.kind))

    def _network_calls(self, projects: Sequence[str]) -> dict[str, Call]:
        ours = [("project_id", project) for project in projects]

        def ask(path: str, key: str, query: Sequence[tuple[str, str]]) -> Call:
            return lambda: self._c.pages("network", path, key, query, missing={404})

        names = {
            "floating-ip": ("/floatingips", "floatingips"),
            "port": ("/ports", "ports"),
            "router": ("/routers", "routers"),
            "network": ("/networks", "networks"),
            "subnet": ("/subnets", "subnets"),
            "subnet-pool": ("/subnetpools", "subnetpools"),
            "address-scope": ("/address-scopes", "address_scopes"),
        }
        calls = {kind: ask(path, key, ours) for kind, (path, key) in names.items()}
        calls["security-group"] = ask("/security-groups", "security_groups", self._lister.first_mine(ours))
        calls["share"] = ask("/rbac-policies", "rbac_policies", ours)
        targets = [("target_tenant", project) for project in projects]
        calls["share to"] = ask("/rbac-policies", "rbac_policies", targets)
        return calls

    def _storage_calls(self, projects: Sequence[str]) -> dict[str, Call]:
        def cinder(path: str, key: str, project: str) -> Call:
            query = [("all_tenants", "True"), ("project_id", project), ("limit", "1000")]
            return lambda: self._c.pages("volume", f"{path}/detail", key, query, missing={404})

        def glance(project: str, hidden: str) -> Call:
            query = [("owner", project), ("os_hidden", hidden), ("limit", "1000")]
            return lambda: self._c.pages("image", "/images", "images", query)

        calls: dict[str, Call] = {}
        for project in projects:
            for kind, (path, key) in STORED.items():
                calls[f"{kind} {project}"] = cinder(path, key + "s", project)
            for hidden in ("false", "true"):
                calls[f"image {project} {hidden}"] = glance(project, hidden)
        return calls

    @staticmethod
    def _of_network(seen: Mapping[str, Sequence[Raw]], mine: set[str]) -> list[Thing]:
        things = [
            Thing("floating-ip", str(f["id"]), str(f["floating_ip_address"]), str(f["project_id"]))
            for f in seen["floating-ip"]
        ]
        for port in seen["port"]:
            owner, project = port["device_owner"], str(port["project_id"])
            if owner in INTERFACE_OWNERS:
                things.append(
                    Thing("interface", str(port["id"]), port["name"], project, {"router": port["device_id"]})
                )
            elif owner not in _BY_NEUTRON:
                things.append(Thing("port", str(port["id"]), str(port["name"]), project))
        things += [
            Thing("route", str(r["id"]), str(r["name"]), str(r["project_id"]))
            for r in seen["router"]
            if r["routes"]
        ]
        for kind in ("router", "network", "subnet", "subnet-pool", "address-scope", "security-group"):
            things += [
                Thing(kind, str(raw["id"]), str(raw["name"]), str(raw["project_id"]))
                for raw in seen[kind]
                if raw["project_id"] in mine and (kind, raw["name"]) != ("security-group", "default")
            ]
        shares = {str(raw["id"]): raw for raw in [*seen["share"], *seen["share to"]]}
        things += [
            Thing(
                "share",
                held,
                f"{raw['action']} of {raw['object_type']} {raw['object_id']}",
                str(raw["project_id"]),
            )
            for held, raw in shares.items()
        ]
        return things

    @staticmethod
    def _of_storage(seen: Mapping[str, Sequence[Raw]]) -> list[Thing]:
        things: list[Thing] = []
        for name, found in seen.items():
            kind, _, project = name.partition(" ")
            if kind in STORED:
                things += [
                    Thing(kind, str(raw["id"]), str(raw.get("name") or ""), project, _facts(raw))
                    for raw in found
                ]
            elif kind == "image":
                owner = project.split(" ")[0]
                things += [
                    Thing(
                        "image",
                        str(raw["id"]),
                        str(raw.get("name") or ""),
                        owner,
                        {"protected": raw["protected"]},
                    )
                    for raw in found
                ]
        return things

    def _shared(
        self, seen: Mapping[str, Sequence[Raw]], mine: set[str], owner: tuple[str, str] | None
    ) -> list[Thing]:
        """What the site lets the projects use, and what it made for the tenant alone."""
        tenant = owner[0] if owner else None
        calls: dict[str, Call] = {}
        things: list[Thing] = []
        for kind, key, public in (
            ("flavor", "flavors", "os-flavor-access:is_public"),
            ("volume-type", "types", "is_public"),
        ):
            for raw in seen[key]:
                made_for = read_mark(raw.get("description"))
                if tenant and made_for and made_for[0] == tenant:
                    things.append(Thing(kind, str(raw["id"]), str(raw["name"])))
                if raw.get(public, True):
                    continue
                projects_of = self._lister.flavor_projects if kind == "flavor" else self._lister.type_projects
                calls[f"{kind}-access {raw['id']} {raw['name']}"] = partial(projects_of, str(raw["id"]))
        for raw in seen["shared"]:
            calls[f"image-access {raw['id']} {raw.get('name')}"] = partial(self._members, str(raw["id"]))
        for name, projects in self._c.together(calls).items():
            kind, held, text = name.split(" ", 2)
            things += [Thing(kind, held, text, project) for project in projects if project in mine]
        return things

    def _members(self, image: str) -> list[str]:
        return [str(row["member_id"]) for row in self._lister.image_members(image)]

    def _of_users(self, users: Iterable[Raw]) -> list[Thing]:
        calls: dict[str, Call] = {}
        for user in users:
            held = str(user["id"])
            calls[f"key-pair {held}"] = partial(self._lister.keypairs, held)
            calls[f"application-credential {held}"] = partial(self._lister.application_credentials, held)
        things: list[Thing] = []
        for name, found in self._c.together(calls).items():
            kind, user_id = name.split(" ")
            for raw in found:
                held = str(raw["name"] if kind == "key-pair" else raw["id"])
                things.append(Thing(kind, held, str(raw["name"]), "", {"user": user_id}))
        return things


def _facts(raw: Raw) -> dict[str, Any]:
    """What an erasure certificate says about stored data."""
    return {"size_gib": raw.get("size"), "encrypted": bool(raw.get("encrypted", False))}


def _depths(projects: Sequence[Raw]) -> dict[str, int]:
    """How deep each project lies in the tree of projects."""
    parents = {str(p["id"]): p.get("parent_id") for p in projects}

    def depth(project: str | None) -> int:
        return 1 + depth(parents[project]) if project in parents else 0

    return {project: depth(project) for project in parents}
