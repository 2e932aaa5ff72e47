"""A cloud in memory: enough of OpenStack to plan against, and strict about the order of what is done.

For properties of pure code only. It proves nothing about OpenStack: the lab does. Its answers have the
shapes of the real services (Keystone, Neutron, Nova, Cinder and Glance of the lab), and it refuses what they
refuse; beyond that it refuses to delete anything on which something else still hangs, so that a wrong order
shows.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from controlplane.tenants.desired import SEALED, Desired
from controlplane.tenants.facts import read_facts
from controlplane.tenants.known import Known
from controlplane.tenants.listing import Listing
from controlplane.tenants.observed import View, observe
from controlplane.tenants.operations import Operation, operations
from controlplane.tenants.plan import Plan, make_plan
from controlplane.tenants.ports import Effect, Ids, Outcome, Secret
from controlplane.tenants.quota_words import COMPUTE, NETWORK, VOLUME
from controlplane.tenants.remainder import remainder
from controlplane.tenants.resources import Fields, Kind, Record, mark, unique_name
from controlplane.tenants.rules import rule_key
from controlplane.tenants.subnets import automatic_gateway, automatic_ranges

Row = dict[str, Any]
Choose = Callable[[Sequence[Operation]], Operation]
"""Which of the operations that wait for nothing comes next."""
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
Cidr = IPv4Network | IPv6Network

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
IMPLIED = {
    "manager": {"manager", "member", "reader"},
    "member": {"member", "reader"},
    "reader": {"reader"},
}
PLANE_USER = "u-plane"
OPERATORS = "p-operators"
"""The project of the site's own people: external network, subnet pool and shared image live there."""


class Refused(Exception):
    """What a service would not do."""


@dataclass
class Cloud:
    """The tables of all services: collection -> identifier -> object of the API."""

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
        self.put("networks", _network("public", OPERATORS, {"router:external": True, "description": ""}))
        pool = {"name": "tenant-space", "prefixes": ["10.64.0.0/16"], "ip_version": 4, "shared": True}
        sizes = {"min_prefixlen": "20", "max_prefixlen": "28", "default_prefixlen": "26"}
        self.put("subnet_pools", pool | sizes | {"project_id": OPERATORS, "description": ""})
        for name, public in (("m1.tiny", True), ("site.gpu", False)):
            self.put("flavors", _flavor(name, {"vcpus": 1, "ram_mib": 512, "disk_gib": 1}, None, public))
        for name, public in (("standard", True), ("vault-ssd", False)):
            self.put("volume_types", _volume_type(name, None, {}, public))
        image = {"visibility": "shared", "owner": OPERATORS, "status": "active", "tags": []}
        self.put("images", image | {"name": "hospital-appliance"})

    # --- tables -------------------------------------------------------------------------------------

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
            compute_quotas={p: COMPUTE_DEFAULTS | self._quota("compute", p) | {"id": p} for p in projects},
            router_ports=rows(self.table("ports").values()),
            network_quotas={p: NETWORK_DEFAULTS | row for p, row in self.quotas.get("network", {}).items()},
            volume_type_access=accesses["volume_types"],
            volume_quotas={p: VOLUME_DEFAULTS | self._quota("volume", p) | {"id": p} for p in projects},
            image_members=by_id(images),
            plane_user_id=PLANE_USER,
        )

    def _quota(self, service: str, project: str) -> Row:
        return self.quotas.get(service, {}).get(project, {})

    def _drop(self, table: str, **values: str) -> None:
        for row in self.where(table, **values):
            del self.table(table)[row["id"]]

    # --- effects ------------------------------------------------------------------------------------

    def perform(self, effect: Effect, ids: Ids) -> Outcome:
        """Bring one effect about. Raises Refused, and KeyError where something is not there."""
        kind = Kind(effect.address.split("/", 1)[0])
        if effect.action == "delete":
            assert effect.have is not None
            self._delete(kind, effect.have.id, effect.have.fields, ids)
            return Outcome("")
        assert effect.want is not None
        fields = effect.want.fields
        if effect.action == "update":
            id_ = effect.have.id if effect.have else ids.id(effect.address)
            self._update(kind, id_, effect, ids)
            secrets = self._new_secret(effect.address, id_) if "credentials" in effect.changed else ()
            return Outcome(id_, fields, self._facts(kind, id_), secrets)
        words = mark(ids.tenant, effect.address, fields.get("description"))
        id_ = _CREATE[kind](self, fields, words, ids)
        told = kind in (Kind.USER, Kind.APPLICATION_CREDENTIAL)
        secrets = self._new_secret(effect.address, id_) if told else ()
        return Outcome(id_, fields, self._facts(kind, id_), secrets)

    def _new_secret(self, address: str, id_: str) -> tuple[Secret]:
        """What opens it from now on; it is told this once."""
        self.count += 1
        self.secrets[id_] = f"secret {self.count} of {id_}"
        word = "password" if address.startswith("user/") else "secret"
        return (Secret(address, {word: self.secrets[id_]}),)

    def perform_many(self, effects: Sequence[Effect], ids: Ids) -> list[Outcome | Exception]:
        return [self.perform(effect, ids) for effect in effects]

    def _facts(self, kind: Kind, id_: str) -> Fields:
        if kind is Kind.SUBNET:
            return {"cidr": self.table("subnets")[id_]["cidr"]}
        if kind is Kind.SECURITY_GROUP:
            rules = self.where("rules", security_group_id=id_)
            return {"default_rules": {rule_key(_rule_words(rule)): rule["id"] for rule in rules}}
        return {}

    # --- creates ------------------------------------------------------------------------------------

    def _unique(self, table: str, name: str, **parent: str) -> None:
        if self.where(table, name=name, **parent):
            raise Refused(f"{table}: {name} exists")

    def _domain(self, fields: Fields, words: str, ids: Ids) -> str:
        self._unique("domains", fields["name"])
        row = {"name": fields["name"], "description": words, "enabled": fields["enabled"]}
        return str(self.put("domains", row | {"tags": [], "options": {}})["id"])

    def _entity(self, table: str, fields: Fields, words: str, ids: Ids, extra: Row) -> str:
        domain = ids.id("domain")
        assert domain in self.table("domains")
        self._unique(table, fields["name"], domain_id=domain)
        row = {"name": fields["name"], "description": words, "domain_id": domain}
        return str(self.put(table, row | extra)["id"])

    def _project(self, fields: Fields, words: str, ids: Ids) -> str:
        extra = {"enabled": fields["enabled"], "tags": list(fields["tags"]), "is_domain": False}
        id_ = self._entity("projects", fields, words, ids, extra | {"parent_id": ids.id("domain")})
        self.put("security_groups", {"name": "default", "project_id": id_, "description": "Default"})
        return id_

    def _user(self, fields: Fields, words: str, ids: Ids) -> str:
        extra: Row = {"enabled": fields["enabled"], "password_expires_at": None}
        if fields["email"]:
            extra["email"] = fields["email"]
        return self._entity("users", fields, words, ids, extra)

    def _group(self, fields: Fields, words: str, ids: Ids) -> str:
        id_ = self._entity("groups", fields, words, ids, {})
        self.members[id_] = set()
        return id_

    def _membership(self, fields: Fields, _: str, ids: Ids) -> str:
        group, user = ids.id(fields["group"]), ids.id(fields["user"])
        assert user in self.table("users")
        self.members[group].add(user)
        return f"{group}/{user}"

    def _assignment(self, fields: Fields, _: str, ids: Ids) -> str:
        self.assign(ids.facility("roles", fields["role"]), *self._parties(fields, ids))
        return str(ids.facility("roles", fields["role"]))

    def _parties(self, fields: Fields, ids: Ids) -> tuple[str, str]:
        return ids.id(fields["actor"]), ids.id(fields["target"])

    def assign(self, role: str, actor: str, target: str) -> None:
        """A role for a user or group on a project or domain; again is no mistake."""
        row = self._assignment_row(role, actor, target)
        if row not in self.assignments:
            self.assignments.append(row)

    def step_down(self) -> None:
        """The plane gives back the roles that it took."""
        self.assignments = [row for row in self.assignments if PLANE_USER not in _ids_in(row)]

    def _assignment_row(self, role: str, actor: str, target: str) -> Row:
        whom = "group" if actor in self.table("groups") else "user"
        where = "domain" if target in self.table("domains") else "project"
        assert target in self.table(f"{where}s")
        assert whom == "group" or actor == PLANE_USER or actor in self.table("users")
        return {"role": {"id": role}, whom: {"id": actor}, "scope": {where: {"id": target}}, "links": {}}

    def _credential(self, fields: Fields, words: str, ids: Ids) -> str:
        user, project = ids.id(fields["user"]), ids.id(fields["project"])
        if ids.password(fields["user"]) != self.secrets.get(user):
            raise Refused(f"nobody can log in as {fields['user']}, and only its owner makes one")
        self._unique("application_credentials", fields["name"], user_id=user)
        actors = {user, *(group for group, users in self.members.items() if user in users)}
        held: set[str] = set()
        for row in self.assignments:
            if row["scope"] == {"project": {"id": project}} and _ids_in(row) & actors:
                held |= IMPLIED[self.table("roles")[row["role"]["id"]]["name"]]
        if not set(fields["roles"]) <= held:
            raise Refused(f"{fields['user']} holds {held}, not {fields['roles']}")
        given = sorted(set().union(*(IMPLIED[role] for role in fields["roles"])))
        row = {
            "name": fields["name"],
            "description": words,
            "user_id": user,
            "project_id": project,
            "roles": [{"name": role, "id": f"r-{role}"} for role in given],
            "expires_at": f"{fields['expires']}T23:59:59.000000" if fields["expires"] else None,
        }
        return str(self.put("application_credentials", row)["id"])

    def _keypair(self, fields: Fields, _: str, ids: Ids) -> str:
        user = ids.id(fields["user"])
        self._unique("keypairs", fields["name"], user_id=user)
        row = {"name": fields["name"], "public_key": fields["public_key"], "type": "ssh", "user_id": user}
        self.put("keypairs", row)
        return str(fields["name"])

    def _set_quota(self, service: str, fields: Fields, ids: Ids) -> str:
        project = ids.id(fields["project"])
        assert project in self.table("projects")
        words = {"compute": COMPUTE, "volume": VOLUME, "network": NETWORK}[service]
        row = {theirs: fields[ours] for ours, theirs in words.items() if ours in fields}
        used = len(self.where("server_groups", project_id=project))
        if service == "compute" and row.get("server_groups", used) < used:
            raise Refused(f"{used} server groups are in use")
        self.quotas.setdefault(service, {})[project] = {**row, "project_id": project}
        return project

    def _room(self, table: str, name: str, project: str) -> None:
        limit = (NETWORK_DEFAULTS | self._quota("network", project))[name]
        if limit >= 0 and len(self.where(table, project_id=project)) >= limit:
            raise Refused(f"{table}: the quota of {limit} is used up")

    def _make_network(self, fields: Fields, words: str, ids: Ids) -> str:
        project = ids.id(fields["project"])
        self._room("networks", "network", project)
        extra = {"admin_state_up": fields["enabled"], "port_security_enabled": fields["port_security"]}
        row = _network(fields["name"], project, extra | {"description": words})
        return str(self.put("networks", row | {"mtu": fields.get("mtu", 1450)})["id"])

    def _make_subnet(self, fields: Fields, words: str, ids: Ids) -> str:
        network = self.table("networks")[ids.id(fields["network"])]
        self._room("subnets", "subnet", network["project_id"])
        pool = self.named("subnet_pools", fields["pool"]) if fields.get("pool") else None
        cidr = self._allocate(fields) if pool else ip_network(fields["cidr"])
        for other in self.where("subnets", network_id=network["id"]):
            if cidr.overlaps(ip_network(other["cidr"])):
                raise Refused(f"{cidr} overlaps {other['cidr']}")
        gateway = {"auto": automatic_gateway(cidr), "none": None}.get(fields["gateway"], fields["gateway"])
        row = {
            "name": fields["name"],
            "description": words,
            "project_id": network["project_id"],
            "network_id": network["id"],
            "ip_version": cidr.version,
            "cidr": str(cidr),
            "subnetpool_id": pool["id"] if pool else None,
            "gateway_ip": gateway,
            "enable_dhcp": fields["dhcp"],
            "dns_nameservers": list(fields["dns"]),
            "allocation_pools": _pools(fields["ranges"], cidr, gateway),
            "host_routes": [],
        }
        return str(self.put("subnets", row)["id"])

    def _allocate(self, fields: Fields) -> Cidr:
        pool = self.named("subnet_pools", fields["pool"])
        size = fields.get("prefix_length") or int(pool["default_prefixlen"])
        taken = [ip_network(s["cidr"]) for s in self.where("subnets", subnetpool_id=pool["id"])]
        space = IPv4Network(pool["prefixes"][0])
        return next(c for c in space.subnets(new_prefix=size) if not any(c.overlaps(t) for t in taken))

    def _make_router(self, fields: Fields, words: str, ids: Ids) -> str:
        row = {
            "name": fields["name"],
            "description": words,
            "project_id": ids.id(fields["project"]),
            "admin_state_up": fields["enabled"],
            "external_gateway_info": self._way_out(fields, ids),
            "routes": [],
            "ha": False,
        }
        assert not fields["routes"], "a router has no interfaces yet for its routes"
        return str(self.put("routers", row)["id"])

    @staticmethod
    def _way_out(fields: Fields, ids: Ids) -> Row | None:
        if not fields["external"]:
            return None
        network = ids.facility("external_networks", fields["external"])
        return {"network_id": network, "enable_snat": fields["snat"], "external_fixed_ips": []}

    def _attach(self, fields: Fields, _: str, ids: Ids) -> str:
        router = self.table("routers")[ids.id(fields["router"])]
        subnet = self.table("subnets")[ids.id(fields["subnet"])]
        if subnet["gateway_ip"] is None:
            raise Refused(f"{fields['subnet']} has no gateway")
        for port in self.table("ports").values():
            at = self.table("subnets")[port["fixed_ips"][0]["subnet_id"]]
            if at["id"] == subnet["id"]:
                raise Refused(f"{fields['subnet']} has a router")
            if port["device_id"] == router["id"] and ip_network(at["cidr"]).overlaps(
                ip_network(subnet["cidr"])
            ):
                raise Refused(f"{fields['router']} knows the way to {at['cidr']}")
        row = {
            "device_id": router["id"],
            "device_owner": "network:router_interface",
            "project_id": router["project_id"],
            "network_id": subnet["network_id"],
            "fixed_ips": [{"subnet_id": subnet["id"], "ip_address": subnet["gateway_ip"]}],
            "name": "",
        }
        return str(self.put("ports", row)["id"])

    def _make_security_group(self, fields: Fields, words: str, ids: Ids) -> str:
        project = ids.id(fields["project"])
        row = {"name": fields["name"], "description": words, "project_id": project, "stateful": True}
        id_ = str(self.put("security_groups", row)["id"])
        for ether in ("IPv4", "IPv6"):
            self.rule(id_, direction="egress", ethertype=ether)
        return id_

    def _make_rule(self, fields: Fields, _: str, ids: Ids) -> str:
        low, high = fields["ports"] or (None, None)
        return self.rule(
            ids.id(fields["security_group"]),
            direction=fields["direction"],
            ethertype=fields["ether"],
            protocol=fields["protocol"],
            port_range_min=low,
            port_range_max=high,
            remote_ip_prefix=fields["cidr"],
            remote_group_id=ids.id(fields["group"]) if fields["group"] else None,
            description=fields.get("description") or "",
        )

    def rule(self, group: str, **values: Any) -> str:
        """A rule of a security group, as Neutron stores it."""
        empty = dict.fromkeys(
            ("protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id")
        )
        row = {**empty, "remote_address_group_id": None, **values, "security_group_id": group}
        assert group in self.table("security_groups")
        for other in self.where("rules", security_group_id=group):
            if _rule_words(other) == _rule_words(row):
                raise Refused(f"the rule {rule_key(_rule_words(row))} exists")
        return str(self.put("rules", row)["id"])

    def _share(self, fields: Fields, _: str, ids: Ids) -> str:
        network = self.table("networks")[ids.id(fields["network"])]
        row = {
            "object_type": "network",
            "object_id": network["id"],
            "action": "access_as_shared",
            "project_id": network["project_id"],
            "target_tenant": ids.id(fields["project"]),
        }
        return str(self.put("rbac_policies", row)["id"])

    def _server_group(self, fields: Fields, _: str, ids: Ids) -> str:
        project = ids.id(fields["project"])
        limit = (COMPUTE_DEFAULTS | self._quota("compute", project))["server_groups"]
        if len(self.where("server_groups", project_id=project)) >= limit:
            raise Refused(f"the quota of {limit} server groups is used up")
        row = {"name": unique_name(fields["name"]), "policy": fields["policy"], "project_id": project}
        return str(self.put("server_groups", row | {"members": [], "rules": {}})["id"])

    def _make_flavor(self, fields: Fields, words: str, ids: Ids) -> str:
        self._unique("flavors", fields["name"])
        row = _flavor(fields["name"], fields, words, False) | {"extra_specs": dict(fields["extra_specs"])}
        return str(self.put("flavors", row)["id"])

    def _make_volume_type(self, fields: Fields, words: str, ids: Ids) -> str:
        self._unique("volume_types", fields["name"])
        row = _volume_type(fields["name"], words, dict(fields["extra_specs"]), False)
        return str(self.put("volume_types", row)["id"])

    def _access(self, table: str, name: str, fields: Fields, ids: Ids) -> str:
        id_, project = str(self.named(table, name)["id"]), ids.id(fields["project"])
        assert project in self.table("projects")
        self.accesses.setdefault(table, {}).setdefault(id_, set()).add(project)
        return id_

    def _image_access(self, fields: Fields, _: str, ids: Ids) -> str:
        image = self.named("images", fields["image"])["id"]
        row = {"image_id": image, "member_id": ids.id(fields["project"]), "status": fields["status"]}
        self.put("image_members", row)
        return str(image)

    # --- updates ------------------------------------------------------------------------------------

    def _update(self, kind: Kind, id_: str, effect: Effect, ids: Ids) -> None:
        assert effect.want is not None
        fields, changed = effect.want.fields, set(effect.changed)
        if kind in (Kind.COMPUTE_QUOTA, Kind.VOLUME_QUOTA, Kind.NETWORK_QUOTA):
            self._set_quota(kind.split("-")[0], fields, ids)
            return
        if kind is Kind.IMAGE_ACCESS:
            project = ids.id(fields["project"])
            [member] = self.where("image_members", image_id=id_, member_id=project)
            member["status"] = fields["status"]
            return
        row = self.table(_TABLE[kind])[id_]
        for name in changed & {"name", "enabled", "email", "mtu", "tags", "extra_specs"}:
            theirs = "admin_state_up" if name == "enabled" and "admin_state_up" in row else name
            row[theirs] = copy.deepcopy(fields[name])
        if "description" in changed:
            row["description"] = mark(ids.tenant, effect.address, fields["description"])
        if "port_security" in changed:
            row["port_security_enabled"] = fields["port_security"]
        if kind is Kind.SUBNET:
            self._update_subnet(row, fields, changed)
        if kind is Kind.ROUTER and changed & {"external", "snat"}:
            row["external_gateway_info"] = self._way_out(fields, ids)
        if "routes" in changed:
            self._set_routes(row, fields["routes"])

    def _update_subnet(self, row: Row, fields: Fields, changed: set[str]) -> None:
        cidr = ip_network(row["cidr"])
        gateway = {"auto": automatic_gateway(cidr), "none": None}.get(fields["gateway"], fields["gateway"])
        ports = [p for p in self.table("ports").values() if p["fixed_ips"][0]["subnet_id"] == row["id"]]
        if "gateway" in changed:
            if ports:
                raise Refused("GatewayIpInUse")
            row["gateway_ip"] = gateway
        if "ranges" in changed:
            row["allocation_pools"] = _pools(fields["ranges"], cidr, gateway)
        for pool in row["allocation_pools"]:
            if row["gateway_ip"] and _inside(row["gateway_ip"], pool["start"], pool["end"]):
                raise Refused("GatewayConflictWithAllocationPools")
        if "dhcp" in changed:
            row["enable_dhcp"] = fields["dhcp"]
        if "dns" in changed:
            row["dns_nameservers"] = list(fields["dns"])

    def _set_routes(self, router: Row, routes: Sequence[Sequence[str]]) -> None:
        reach = [
            ip_network(self.table("subnets")[port["fixed_ips"][0]["subnet_id"]]["cidr"])
            for port in self.where("ports", device_id=router["id"])
        ]
        for _, hop in routes:
            if not any(ip_address(hop) in cidr for cidr in reach):
                raise Refused(f"InvalidRoutes: no way to {hop}")
        router["routes"] = [{"destination": to, "nexthop": hop} for to, hop in routes]

    # --- deletes ------------------------------------------------------------------------------------

    def _delete(self, kind: Kind, id_: str, fields: Fields, ids: Ids) -> None:
        if kind is Kind.MEMBERSHIP:
            self.members[ids.id(fields["group"])].remove(ids.id(fields["user"]))
        elif kind is Kind.ASSIGNMENT:
            role = ids.facility("roles", fields["role"])
            self.assignments.remove(self._assignment_row(role, *self._parties(fields, ids)))
        elif kind in (Kind.FLAVOR_ACCESS, Kind.VOLUME_TYPE_ACCESS):
            table = "flavors" if kind is Kind.FLAVOR_ACCESS else "volume_types"
            self.accesses[table][id_].remove(ids.id(fields["project"]))
        elif kind in (Kind.COMPUTE_QUOTA, Kind.VOLUME_QUOTA, Kind.NETWORK_QUOTA):
            self.quotas.get(kind.split("-")[0], {}).pop(id_, None)
        elif kind is Kind.IMAGE_ACCESS:
            [row] = self.where("image_members", image_id=id_, member_id=ids.id(fields["project"]))
            del self.table("image_members")[row["id"]]
        elif kind is Kind.KEYPAIR:
            [row] = self.where("keypairs", user_id=ids.id(fields["user"]), name=id_)
            del self.table("keypairs")[row["id"]]
        else:
            self._unused(kind, id_)
            self._loosen(kind, id_)
            del self.table(_TABLE[kind])[id_]

    def _unused(self, kind: Kind, id_: str) -> None:
        """Refuse while something hangs on it."""
        held: list[Any] = []
        for table, name in _HANGS.get(kind, ()):
            held += [row for row in self.where(table, **{name: id_}) if row.get("name") != "default"]
        if kind is Kind.SUBNET:
            held += [p for p in self.table("ports").values() if p["fixed_ips"][0]["subnet_id"] == id_]
        if kind in (Kind.DOMAIN, Kind.PROJECT, Kind.USER, Kind.GROUP):
            held += [a for a in self.assignments if id_ in _ids_in(a)]
        if kind is Kind.GROUP:
            held += self.members[id_]
        if kind in (Kind.FLAVOR, Kind.VOLUME_TYPE):
            held += self.accesses.get(_TABLE[kind], {}).get(id_, ())
        if held:
            raise Refused(f"{kind} {id_} is in use by {held}")

    def _loosen(self, kind: Kind, id_: str) -> None:
        """What goes along."""
        if kind is Kind.INTERFACE:
            port = self.table("ports")[id_]
            router = self.table("routers")[port["device_id"]]
            cidr = ip_network(self.table("subnets")[port["fixed_ips"][0]["subnet_id"]]["cidr"])
            router["routes"] = [r for r in router["routes"] if ip_address(r["nexthop"]) not in cidr]
        elif kind is Kind.PROJECT:
            self._drop("security_groups", project_id=id_, name="default")
            self._drop("image_members", member_id=id_)
            for quotas in self.quotas.values():
                quotas.pop(id_, None)
            for table in self.accesses.values():
                for projects in table.values():
                    projects.discard(id_)
        elif kind is Kind.USER:
            self._drop("keypairs", user_id=id_)
        elif kind is Kind.GROUP:
            del self.members[id_]


Maker = Callable[[Cloud, Fields, str, Ids], str]
_CREATE: Mapping[Kind, Maker] = {
    Kind.DOMAIN: Cloud._domain,
    Kind.PROJECT: Cloud._project,
    Kind.GROUP: Cloud._group,
    Kind.USER: Cloud._user,
    Kind.MEMBERSHIP: Cloud._membership,
    Kind.ASSIGNMENT: Cloud._assignment,
    Kind.APPLICATION_CREDENTIAL: Cloud._credential,
    Kind.KEYPAIR: Cloud._keypair,
    Kind.COMPUTE_QUOTA: lambda cloud, fields, _, ids: cloud._set_quota("compute", fields, ids),
    Kind.VOLUME_QUOTA: lambda cloud, fields, _, ids: cloud._set_quota("volume", fields, ids),
    Kind.NETWORK_QUOTA: lambda cloud, fields, _, ids: cloud._set_quota("network", fields, ids),
    Kind.NETWORK: Cloud._make_network,
    Kind.SUBNET: Cloud._make_subnet,
    Kind.ROUTER: Cloud._make_router,
    Kind.INTERFACE: Cloud._attach,
    Kind.SECURITY_GROUP: Cloud._make_security_group,
    Kind.RULE: Cloud._make_rule,
    Kind.SHARE: Cloud._share,
    Kind.SERVER_GROUP: Cloud._server_group,
    Kind.FLAVOR: Cloud._make_flavor,
    Kind.FLAVOR_ACCESS: lambda cloud, fields, _, ids: cloud._access("flavors", fields["flavor"], fields, ids),
    Kind.IMAGE_ACCESS: Cloud._image_access,
    Kind.VOLUME_TYPE: Cloud._make_volume_type,
    Kind.VOLUME_TYPE_ACCESS: lambda cloud, fields, _, ids: cloud._access(
        "volume_types", fields["volume_type"], fields, ids
    ),
}
_TABLE: Mapping[Kind, str] = {
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


def _network(name: str, project: str, extra: Row) -> Row:
    plain = {"admin_state_up": True, "mtu": 1450, "port_security_enabled": True, "router:external": False}
    return {"name": name, "project_id": project, "shared": False, "status": "ACTIVE", **plain, **extra}


def _flavor(name: str, size: Fields, words: str | None, public: bool) -> Row:
    given = {"vcpus": size["vcpus"], "ram": size["ram_mib"], "disk": size["disk_gib"]}
    more = {"os-flavor-access:is_public": public, "swap": 0, "OS-FLV-EXT-DATA:ephemeral": 0}
    return {"name": name, **given, "description": words, "extra_specs": {}, **more}


def _volume_type(name: str, words: str | None, extra_specs: Row, public: bool) -> Row:
    visible = {"is_public": public, "os-volume-type-access:is_public": public, "qos_specs_id": None}
    return {"name": name, "description": words, "extra_specs": extra_specs, **visible}


def _pools(ranges: Any, cidr: Cidr, gateway: str | None) -> list[Row]:
    pairs = automatic_ranges(cidr, gateway) if ranges == "auto" else ranges
    return [{"start": start, "end": end} for start, end in pairs]


def _inside(address: str, start: str, end: str) -> bool:
    return int(ip_address(start)) <= int(ip_address(address)) <= int(ip_address(end))


def _rule_words(rule: Row) -> Fields:
    low = rule["port_range_min"]
    return {
        "direction": rule["direction"],
        "ether": rule["ethertype"],
        "protocol": rule["protocol"],
        "ports": None if low is None else [low, rule["port_range_max"]],
        "cidr": rule["remote_ip_prefix"],
        "group": rule["remote_group_id"],
    }


def _ids_in(assignment: Row) -> set[str]:
    parts = [assignment.get("user"), assignment.get("group"), *assignment["scope"].values()]
    return {part["id"] for part in parts if part}


# --- a tenant in the cloud ------------------------------------------------------------------------------


@dataclass
class World:
    """A cloud, and what the plane keeps of its tenants: records, and secrets that somebody can receive."""

    cloud: Cloud = field(default_factory=Cloud)
    records: dict[str, Record] = field(default_factory=dict)
    store: dict[str, str] = field(default_factory=dict)

    def view(self, tenant: str, shuffled: random.Random | None = None) -> View:
        return observe(tenant, self.cloud.listing(shuffled), self.records)

    def plan(self, desired: Desired, spec_digest: str = "spec") -> Plan:
        return make_plan(desired, self.view(desired.tenant), self.records, spec_digest)

    def apply(self, desired: Desired, choose: Choose, agreed: Plan | None = None) -> list[Operation]:
        """One round: plan, then every operation, one at a time in an order that `choose` decides."""
        order = [done for done in self.steps(desired, choose, agreed) if done is not None]
        for change in self.plan(desired).changes:
            if change.action == "forget":
                del self.records[change.address]
        return order

    def steps(
        self, desired: Desired, choose: Choose, agreed: Plan | None = None, late: int = 0
    ) -> Iterator[Operation | None]:
        """A round that yields after each request, its operation once it is over: to leave it there is to die.

        `late` is how many operations records lag behind; with `agreed`, only what is left of that plan.
        """
        view = self.view(desired.tenant)
        plan = make_plan(desired, view, self.records, "spec")
        assert not plan.conflicts, plan.conflicts
        self.cloud.step_down()
        known = Known(view, read_facts(self.cloud.listing(), {}))
        todo = operations(remainder(agreed or plan, plan), desired, view.resources)
        waiting = {operation.key: operation for operation in todo}
        assert len(waiting) == len(todo)
        unwritten, rules = list[tuple[Effect, Outcome]](), dict[str, str]()
        while waiting:
            ready = [o for o in waiting.values() if not o.after & waiting.keys()]
            assert ready, f"these wait for each other: {sorted(waiting)}"
            operation = waiting.pop(choose(ready).key)
            effect = operation.effect
            if effect.action == "create" and effect.address in rules:
                outcome = Outcome(rules[effect.address], effect.want.fields if effect.want else {})
            else:
                outcome = self.cloud.perform(effect, known)
                if effect.action == "create":
                    for rule, id_ in self._born(effect.address, outcome, desired):
                        yield None
                        if rule:
                            rules[rule] = id_
                        else:
                            del self.cloud.table("rules")[id_]
            known.learn(effect.address, outcome)
            unwritten.append((effect, outcome))
            while len(unwritten) > late:
                self.record(*unwritten.pop(0), desired)
            yield operation
        for written in unwritten:
            self.record(*written, desired)

    @staticmethod
    def _born(address: str, outcome: Outcome, desired: Desired) -> Iterator[tuple[str, str]]:
        """The rules that Neutron makes with a group: the address of one that is wanted, else nothing."""
        for key, id_ in outcome.facts.get("default_rules", {}).items():
            rule = f"rule/{address.removeprefix('security-group/')}/{key}"
            want = desired.resources.get(rule)
            yield rule if want is not None and not want.fields.get("description") else "", id_

    def record(self, effect: Effect, outcome: Outcome, desired: Desired) -> None:
        """As the journal of a job does it."""
        for secret in outcome.secrets:
            if "credentials" in desired[secret.address].fields:
                [self.store[secret.address]] = secret.values.values()
        if effect.action == "delete":
            self.records.pop(effect.address, None)
            self.store.pop(effect.address, None)
        elif effect.want is not None:
            fields = dict(effect.want.fields)
            if "credentials" in fields:
                fields["credentials"] = SEALED if effect.address in self.store else "lost"
            self.records[effect.address] = Record(effect.address, outcome.id, fields)

    def lose(self, address: str) -> None:
        """A crash came after the effect and before its secret was stored."""
        record = self.records[address]
        self.records[address] = replace(record, fields={**record.fields, "credentials": "lost"})
        del self.store[address]

    def useless(self, desired: Desired) -> list[str]:
        """Whose stored secret is missing, or opens nothing any more."""
        wanted = [a for a, resource in desired.resources.items() if "credentials" in resource.fields]
        return [a for a in wanted if self.store.get(a) != self.cloud.secrets[self.records[a].id]]


def built(desired: Desired, *, recorded: bool = True) -> World:
    """A cloud that has what is desired, made in the order of `desired`."""
    world = World()
    world.apply(desired, lambda ready: ready[0])
    if not recorded:
        world.records.clear()
        world.store.clear()
    return world
