"""Look at everything in a scope: bulk listings, page by page, of all services at once.

Requests of different services run beside each other; those that need an identifier from another one come in
a second and a third step. With few projects in scope Neutron is asked for these only, else for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from controlplane.adapters.openstack.compute import Compute
from controlplane.adapters.openstack.connection import Connection, Params
from controlplane.adapters.openstack.network import INTERFACE_OWNERS
from controlplane.adapters.openstack.stand_in import StandIn
from controlplane.tenants.errors import CloudRefused
from controlplane.tenants.listing import Listing, Raw, Scope
from controlplane.tenants.resources import Kind, read_mark

FEW_DOMAINS = 4
"""Up to so many tenants Keystone is asked by domain; above, one listing of everything is cheaper."""
FEW_PROJECTS = 150
"""Up to so many projects fit in a URL of 8 KiB."""
FEW_GROUPS = 12
"""Up to so many groups are asked one by one; above, one effective listing of all assignments is cheaper."""
STEADY = 60.0
"""Seconds for which roles and capacity, which hardly ever change, are not asked for again."""

Call = Callable[[], Any]
_NOTHING: Mapping[str, Any] = {
    **dict.fromkeys(("flavors", "volume_types", "images", "network_quotas", "server_groups", "subnets"), ()),
    "volume_pools": (),
    "hypervisor_totals": {},
}
"""What was not asked for is empty."""


class Lister:
    """Takes listings through one connection."""

    def __init__(self, connection: Connection, compute: Compute, stand_in: StandIn) -> None:
        self._c = connection
        self._compute = compute
        self._stand_in = stand_in
        self._steady: dict[str, tuple[float, Any]] = {}

    def take(self, scope: Scope) -> Listing:
        """Everything in `scope`."""
        c = self._c
        first: dict[str, Call] = {
            "domains": lambda: c.pages("identity", "/domains", "domains"),
            "roles": partial(self._now_and_then, "roles", self._keystone("roles")),
            "external": partial(self._now_and_then, "external", self._external, fresh=scope.site),
            "subnet_pools": partial(self._now_and_then, "subnetpools", self._subnet_pools, fresh=scope.site),
        }
        if scope.site or scope.flavors:
            first["flavors"] = self._flavors
        if scope.site or scope.volume_types:
            first["volume_types"] = self._volume_types
        if scope.site or scope.images:
            first["images"] = self._images
        if scope.site:
            first["hypervisor_totals"] = partial(self._now_and_then, "hypervisors", self._hypervisors)
            first["volume_pools"] = partial(self._now_and_then, "pools", self._pools)
        if scope.quotas:
            first["network_quotas"] = lambda: c.pages("network", "/quotas", "quotas")
        if scope.server_groups:
            first["server_groups"] = self._compute.server_groups
        everything = scope.tenants is None or len(scope.tenants) > FEW_DOMAINS
        if everything:
            first |= {
                name: self._keystone(name) for name in ("projects", "users", "groups", "role_assignments")
            }
        seen = {**_NOTHING, **c.together(first)}
        names, ids = _in_scope(seen["domains"], scope)
        second: dict[str, Call] = {}
        if not everything:
            for kind in ("projects", "users", "groups"):
                second |= {f"{kind} {d}": self._keystone(kind, [("domain_id", d)]) for d in ids}
        elif ids and not any(user["domain_id"] in ids for user in seen["users"]):
            # Keystone with a driver for each domain answers for one domain at a time
            for kind in ("users", "groups"):
                second |= {f"{kind} {d}": self._keystone(kind, [("domain_id", d)]) for d in ids}
        second |= self._accesses(scope, seen)
        # the projects are what the third step waits for: ask for them beside the rest
        seen |= c.together(second)
        parts = {
            kind: [
                raw
                for name, found in seen.items()
                if name.split(" ")[0] == kind
                for raw in found
                if raw["domain_id"] in ids
            ]
            for kind in ("projects", "users", "groups")
        }
        projects = [str(project["id"]) for project in parts["projects"]]
        seen |= c.together(self._third(scope, projects, parts, names, everything))
        return self._assemble(scope, seen, parts, ids)

    # --- steps --------------------------------------------------------------------------------------

    def _now_and_then(self, name: str, call: Call, fresh: bool = False) -> Any:
        """What hardly ever changes, kept for a while; asked for at once when it must be `fresh`."""
        until, kept = self._steady.get(name, (0.0, None))
        now = self._c.retry.clock()
        if fresh or kept is None or now > until:
            kept = call()
            self._steady[name] = (now + STEADY, kept)
        return kept

    def _keystone(self, kind: str, query: Params = ()) -> Call:
        return lambda: self._c.pages("identity", f"/{kind}", kind, query)

    def _accesses(self, scope: Scope, seen: Mapping[str, Sequence[Raw]]) -> dict[str, Call]:
        calls: dict[str, Call] = {}
        for flavor in _named(seen["flavors"], scope.flavors):
            if not flavor.get("os-flavor-access:is_public", True):
                calls[f"flavor_access {flavor['id']}"] = partial(self.flavor_projects, str(flavor["id"]))
        for image in _named(seen["images"], scope.images):
            if image.get("visibility") == "shared":
                calls[f"image_members {image['id']}"] = partial(self.image_members, str(image["id"]))
        for kind in _named(seen["volume_types"], scope.volume_types):
            if not kind.get("is_public", True):
                calls[f"volume_type_access {kind['id']}"] = partial(self.type_projects, str(kind["id"]))
        return calls

    def _third(
        self,
        scope: Scope,
        projects: Sequence[str],
        parts: Mapping[str, Sequence[Raw]],
        tenants: Mapping[str, str],
        everything: bool,
    ) -> dict[str, Call]:
        calls = self._neutron(projects, everything, scope.site)
        users = _by_name(parts["users"], tenants, Kind.USER)
        groups = _by_name(parts["groups"], tenants, Kind.GROUP)
        if not everything:
            scopes = [("scope.domain.id", d) for d in tenants] + [("scope.project.id", p) for p in projects]
            for scoped in scopes:
                calls[f"role_assignments {scoped[1]}"] = self._keystone("role_assignments", [scoped])
        wanted = sorted(groups[key] for key in scope.groups if key in groups)
        if everything and len(wanted) > FEW_GROUPS:
            calls["effective"] = lambda: self._members_in_bulk(wanted)
        else:
            for group in wanted:
                calls[f"group_members {group}"] = partial(self._members, group)
        for key in sorted(scope.credential_users):
            if user := users.get(key):
                calls[f"application_credentials {user}"] = partial(self.application_credentials, user)
        for key in sorted(scope.keypair_users):
            if user := users.get(key):
                calls[f"keypairs {user}"] = partial(self.keypairs, user)
        if scope.quotas:
            for project in projects:
                for service, kind in (("compute", "compute_quotas"), ("volume", "volume_quotas")):
                    calls[f"{kind} {project}"] = partial(self._quota, service, project)
        return calls

    def _neutron(self, projects: Sequence[str], everything: bool, site: bool) -> dict[str, Call]:
        few = len(projects) <= FEW_PROJECTS
        ours = [("project_id", project) for project in projects] if few else []

        def ask(path: str, key: str, query: Params = ()) -> Call:
            return lambda: self._c.pages("network", path, key, query)

        owners = [("device_owner", owner) for owner in INTERFACE_OWNERS]
        calls: dict[str, Call] = {}
        if site:
            calls["subnets"] = ask(
                "/subnets", "subnets"
            )  # also other tenants': what the pools have given out
        elif projects:
            calls["subnets"] = ask("/subnets", "subnets", ours)
        if projects or everything:
            calls |= {
                "networks": ask("/networks", "networks", ours),
                "routers": ask("/routers", "routers", ours),
                "router_ports": ask("/ports", "ports", owners + ours),
                "security_groups": ask("/security-groups", "security_groups", self.first_mine(ours)),
                "rbac_policies": ask("/rbac-policies", "rbac_policies", [("object_type", "network"), *ours]),
            }
        return calls

    def first_mine(self, projects: Params) -> Params:
        """The plane's own project first: Neutron makes a `default` group for the first one asked for."""
        return [("project_id", str(self._c.own.access().project_id)), *projects] if projects else projects

    # --- single collections -------------------------------------------------------------------------

    def keypairs(self, user: str) -> list[Raw]:
        """The key pairs of a user, without their wrapping."""
        query = [("user_id", user), ("limit", "1000")]
        return [row["keypair"] for row in self._c.pages("compute", "/os-keypairs", "keypairs", query)]

    def application_credentials(self, user: str) -> list[Raw]:
        """The application credentials of a user."""
        path = f"/users/{user}/application_credentials"
        return self._rows("identity", path, "application_credentials")

    def flavor_projects(self, flavor: str) -> list[str]:
        """The projects that may use a private flavor."""
        rows = self._rows("compute", f"/flavors/{flavor}/os-flavor-access", "flavor_access")
        return [str(row["tenant_id"]) for row in rows]

    def type_projects(self, volume_type: str) -> list[str]:
        """The projects that may use a private volume type."""
        rows = self._rows("volume", f"/types/{volume_type}/os-volume-type-access", "volume_type_access")
        return [str(row["project_id"]) for row in rows]

    def image_members(self, image: str) -> list[Raw]:
        """The members of a shared image."""
        return self._rows("image", f"/images/{image}/members", "members")

    def _rows(self, service: str, path: str, key: str) -> list[Raw]:
        """Parts of one thing; none when it is gone since it was listed."""
        reply = self._c.call(service, "GET", path, accept={404}, action="show")
        return list(reply.json()[key]) if reply.good else []

    def _quota(self, service: str, project: str) -> Raw:
        path = f"/os-quota-sets/{project}"  # Nova answers 400 for a project that is gone
        reply = self._c.call(service, "GET", path, accept={400, 404}, action="show")
        quota: Raw = reply.json()["quota_set"] if reply.good else {}
        return quota

    def _members(self, group: str) -> list[str]:
        return [str(user["id"]) for user in self._rows("identity", f"/groups/{group}/users", "users")]

    def _members_in_bulk(self, groups: Sequence[str]) -> dict[str, list[str]]:
        """Members of groups that hold a role, from one effective listing; the others one by one."""
        rows = self._c.pages("identity", "/role_assignments", "role_assignments", [("effective", "")])
        members: dict[str, set[str]] = {}
        for row in rows:
            link = row["links"].get("membership")
            if link:
                group, _, user = str(link).partition("/groups/")[2].partition("/users/")
                members.setdefault(group, set()).add(user)
        silent = [group for group in groups if group not in members]
        rest = {group: self._members(group) for group in silent}
        return {group: sorted(members[group]) if group in members else rest[group] for group in groups}

    def _images(self) -> list[Raw]:
        """Images that are public, community or shared: a plain listing has all private ones, too."""
        found: dict[str, Raw] = {}
        for visibility in ("public", "community", "shared"):
            query = [("visibility", visibility), ("member_status", "all"), ("limit", "1000")]
            found |= {str(image["id"]): image for image in self._c.pages("image", "/images", "images", query)}
        return list(found.values())

    def _flavors(self) -> list[Raw]:
        query = [("is_public", "None"), ("limit", "1000")]
        return self._c.pages("compute", "/flavors/detail", "flavors", query)

    def _volume_types(self) -> list[Raw]:
        return self._c.pages("volume", "/types", "volume_types", [("is_public", "None")])

    def _external(self) -> list[Raw]:
        return self._c.pages("network", "/networks", "networks", [("router:external", "True")])

    def _subnet_pools(self) -> list[Raw]:
        return self._c.pages("network", "/subnetpools", "subnetpools")

    def _hypervisors(self) -> Raw:
        found: Raw = self._optional("compute", "/os-hypervisors/statistics").get("hypervisor_statistics", {})
        return found

    def _pools(self) -> Sequence[Raw]:
        query = [("detail", "true")]
        return list(self._optional("volume", "/scheduler-stats/get_pools", query).get("pools", ()))

    def _optional(self, service: str, path: str, query: Params = ()) -> Mapping[str, Any]:
        try:
            body: Mapping[str, Any] = self._c.get(service, path, query)
        except CloudRefused:  # capacity is then not known, and not checked
            return {}
        return body

    # --- assembly -----------------------------------------------------------------------------------

    def _assemble(
        self, scope: Scope, seen: dict[str, Any], parts: Mapping[str, Sequence[Raw]], domains: Iterable[str]
    ) -> Listing:
        projects = {str(project["id"]) for project in parts["projects"]}
        targets = projects | set(domains)
        assignments = [
            row
            for name, rows in seen.items()
            if name.split(" ")[0] == "role_assignments"
            for row in rows
            if _target(row["scope"]) in targets
        ]

        plane = str(self._c.own.access().user_id)
        for row in assignments:
            if row.get("user", {}).get("id") == plane and "project" in row["scope"]:
                self._stand_in.notice(str(row["scope"]["project"]["id"]), str(row["role"]["id"]))

        def by_id(kind: str) -> dict[str, Any]:
            return {name.split(" ", 1)[1]: at for name, at in seen.items() if name.startswith(kind + " ")}

        def quotas(kind: str) -> dict[str, Raw]:
            return {project: quota for project, quota in by_id(kind).items() if quota}

        def of_projects(kind: str) -> list[Raw]:
            return [raw for raw in seen.get(kind, ()) if raw.get("project_id") in projects]

        networks = {str(raw["id"]): raw for raw in [*seen["external"], *of_projects("networks")]}
        return Listing(
            domains=seen["domains"],
            **parts,
            roles=seen["roles"],
            role_assignments=assignments,
            group_members=seen.get("effective") or by_id("group_members"),
            application_credentials=by_id("application_credentials"),
            keypairs=by_id("keypairs"),
            flavors=seen["flavors"],
            flavor_access=by_id("flavor_access"),
            server_groups=of_projects("server_groups"),
            compute_quotas=quotas("compute_quotas"),
            hypervisor_totals=seen["hypervisor_totals"],
            networks=list(networks.values()),
            subnets=[
                raw
                for raw in seen.get("subnets", ())
                if raw["project_id"] in projects or raw.get("subnetpool_id")
            ],
            subnet_pools=seen["subnet_pools"],
            routers=of_projects("routers"),
            router_ports=of_projects("router_ports"),
            security_groups=of_projects("security_groups"),
            rbac_policies=of_projects("rbac_policies"),
            network_quotas={
                raw["project_id"]: raw for raw in seen["network_quotas"] if raw["project_id"] in projects
            },
            volume_types=seen["volume_types"],
            volume_type_access=by_id("volume_type_access"),
            volume_quotas=quotas("volume_quotas"),
            volume_pools=seen["volume_pools"],
            images=seen["images"],
            image_members=by_id("image_members"),
            plane_user_id=plane,
        )


def _in_scope(domains: Iterable[Raw], scope: Scope) -> tuple[dict[str, str], list[str]]:
    """Domain id -> tenant of the domains in scope, and their ids."""
    tenants: dict[str, str] = {}
    for domain in domains:
        owner = read_mark(domain.get("description"))
        name = owner[0] if owner and owner[1] == "domain" else ""
        if scope.tenants is None:
            if name:
                tenants[str(domain["id"])] = name
        elif name in scope.tenants or domain["name"] in scope.tenants:
            tenants[str(domain["id"])] = name or str(domain["name"])
    return tenants, list(tenants)


def _by_name(found: Iterable[Raw], tenants: Mapping[str, str], kind: Kind) -> dict[tuple[str, str], str]:
    """(tenant, name) -> identifier, by the name that our mark gives: somebody may have renamed it since."""
    named, marked = {}, {}
    for raw in found:
        tenant, owner = tenants[raw["domain_id"]], read_mark(raw.get("description"))
        named[tenant, str(raw["name"])] = str(raw["id"])
        if owner is not None and owner[0] == tenant and owner[1].startswith(f"{kind}/"):
            marked[tenant, owner[1].split("/")[1]] = str(raw["id"])
    return named | marked


def _named(found: Iterable[Raw], names: frozenset[str]) -> Iterable[Raw]:
    return (raw for raw in found if raw.get("name") in names)


def _target(scope: Mapping[str, Any]) -> str | None:
    at = scope.get("project") or scope.get("domain") or {}
    return at.get("id")
