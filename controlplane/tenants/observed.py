"""listing -> observed: what OpenStack has of one tenant, in the same addresses and words as desired.

A resource is recognised, in this order, by the identifier in our records, by the ownership mark in its
description, or by what it is (a rule, a role assignment). Nothing outside the tenant's own domain is ever
claimed, except what carries our mark and has no domain (flavors, volume types).
"""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controlplane.tenants.desired import SEALED, strongest
from controlplane.tenants.listing import Listing, Raw
from controlplane.tenants.quota_words import COMPUTE, NETWORK, VOLUME
from controlplane.tenants.resources import (
    SUFFIX,
    Fields,
    Json,
    Kind,
    Observed,
    Record,
    kind_of,
    read_mark,
    without_mark,
)
from controlplane.tenants.rules import rule_fields, rule_key
from controlplane.tenants.subnets import gateway_word, plain_routes, ranges_word

PLANE = "plane/self"
"""The address of the plane's own user, where an interrupted job left it a role on a project."""

_PARTS: Mapping[Kind, int] = {
    Kind.DOMAIN: 1,
    Kind.PROJECT: 2,
    Kind.GROUP: 2,
    Kind.USER: 2,
    Kind.APPLICATION_CREDENTIAL: 3,
    Kind.NETWORK: 3,
    Kind.SUBNET: 4,
    Kind.ROUTER: 3,
    Kind.SECURITY_GROUP: 3,
    Kind.FLAVOR: 2,
    Kind.VOLUME_TYPE: 2,
}
"""Parts of the addresses of the kinds that carry a mark."""
_UNIQUE = _PARTS.keys() - {Kind.NETWORK, Kind.SUBNET, Kind.ROUTER, Kind.SECURITY_GROUP}
"""Those of which OpenStack lets only one have a name: somebody else's is in the way."""


@dataclass(frozen=True)
class View:
    """What was seen of one tenant."""

    tenant: str
    resources: Mapping[str, Observed]
    taken: Mapping[str, str] = field(default_factory=dict)
    """Addresses whose name something of somebody else holds: a short description of it."""


def observe(tenant: str, listing: Listing, records: Mapping[str, Record]) -> View:
    """Find the tenant in the listing."""
    sight = _Sight(tenant, listing, records)
    sight.identity()
    sight.network()
    sight.compute()
    sight.volume_and_image()
    return View(tenant, dict(sorted(sight.found.items())), sight.taken)


class _Sight:
    """One look at one tenant: the maps between identifiers and addresses grow kind by kind."""

    def __init__(self, tenant: str, listing: Listing, records: Mapping[str, Record]) -> None:
        self.tenant = tenant
        self.listing = listing
        self.recorded = {(kind_of(r.address), r.id): r.address for r in records.values()}
        self.records = records
        self.found: dict[str, Observed] = {}
        self.taken: dict[str, str] = {}
        self.address: dict[str, str] = {}
        """OpenStack's identifier -> address, of everything found."""
        self._duplicates: dict[str, tuple[str, ...]] = {}

    # --- claiming -------------------------------------------------------------------------------------

    def claim(
        self, kind: Kind, raws: Iterable[Raw], home: Callable[[Raw], str] = lambda _: ""
    ) -> list[tuple[str, Raw]]:
        """Those of `raws` that are ours, one an address; more with the same mark are its duplicates.

        `home` is the address of the project or user that one of them lives in.
        """
        ours: dict[str, list[Raw]] = defaultdict(list)
        for raw in raws:
            parent = home(raw).partition("/")[2]
            address = self.recorded.get((kind, raw["id"])) or self._marked(kind, raw, parent)
            if address is not None:
                ours[address].append(raw)
            elif kind in _UNIQUE:
                name = "/".join(part for part in (kind, parent, raw["name"]) if part)
                self.taken[name] = f"{kind} {raw['name']} ({raw['id']})"
        claimed = []
        for address, same in ours.items():
            known = self.records.get(address)
            same.sort(
                key=lambda raw: (
                    known is None or raw["id"] != known.id,
                    raw.get("created_at") or "",
                    raw["id"],
                )
            )
            self._duplicates[address] = tuple(raw["id"] for raw in same[1:])
            self.taken.pop(address, None)
            self.address[same[0]["id"]] = address
            claimed.append((address, same[0]))
        return claimed

    def _marked(self, kind: Kind, raw: Raw, parent: str) -> str | None:
        """The address in a mark, if it is one that this tenant's `kind` could have here.

        Tenants write descriptions too, so a mark that does not fit where it was found means nothing.
        """
        tenant, address = read_mark(raw.get("description")) or ("", "")
        parts = address.split("/")
        if tenant != self.tenant or parts[0] != kind or len(parts) != _PARTS[kind] or not all(parts):
            return None
        return address if not parent or parts[1] == parent else None

    def add(
        self, address: str, id_: str, fields: Fields, *, owned: bool = True, facts: Fields | None = None
    ) -> None:
        """Something of ours, seen. Of two that are the same, the one on record is kept, else either."""
        owned = owned or address in self.records
        duplicates = self._duplicates.get(address, ())
        new = Observed(address, id_, fields, owned, duplicates, facts or {})
        old = self.found.get(address)
        if old is not None and old.id != id_:
            known = self.records.get(address)
            new, spare = sorted((old, new), key=lambda o: (known is None or o.id != known.id, o.id))
            new = replace(new, duplicates=tuple(sorted((*old.duplicates, spare.id))))
        self.found[address] = new

    def name(self, id_: str | None) -> str | None:
        """The address of an identifier; something foreign keeps its identifier, marked as such."""
        return None if id_ is None else self.address.get(id_, f"id:{id_}")

    def mine(self, raws: Iterable[Raw]) -> list[Raw]:
        """Those that live in one of the tenant's projects that the plane made."""
        return [raw for raw in raws if self._project(raw).startswith("project/")]

    def _project(self, raw: Raw) -> str:
        return self.address.get(raw.get("project_id") or "", "")

    def _owner(self, raw: Raw) -> str:
        return self.address.get(raw.get("user_id") or "", "")

    # --- identity -------------------------------------------------------------------------------------

    def identity(self) -> None:
        """The domain, its projects, groups, users, who is in what, and who may do what."""
        listing = self.listing
        same_name = [raw for raw in listing.domains if raw["name"] == self.tenant]
        by_id = [raw for raw in listing.domains if (Kind.DOMAIN, raw["id"]) in self.recorded]
        self.claim(Kind.DOMAIN, {raw["id"]: raw for raw in (*same_name, *by_id)}.values())
        if taken := self.taken.pop(f"domain/{self.tenant}", None):
            self.taken["domain"] = taken
        domain = next((raw for raw in listing.domains if self.address.get(raw["id"]) == "domain"), None)
        if domain is None:
            return
        self.taken.pop("domain", None)
        about = {
            "name": domain["name"],
            "description": without_mark(domain.get("description")),
            "enabled": domain["enabled"],
        }
        self.add("domain", domain["id"], about)

        def inside(raws: Sequence[Raw]) -> list[Raw]:
            return [raw for raw in raws if raw.get("domain_id") == domain["id"]]

        for address, raw in self.claim(Kind.PROJECT, inside(listing.projects)):
            self.add(
                address, raw["id"], {**_about(raw), "enabled": raw["enabled"], "tags": sorted(raw["tags"])}
            )
        for address, raw in self.claim(Kind.GROUP, inside(listing.groups)):
            self.add(address, raw["id"], _about(raw))
        for address, raw in self.claim(Kind.USER, inside(listing.users)):
            about = {**_about(raw), "email": raw.get("email") or None, "enabled": raw["enabled"]}
            self.add(address, raw["id"], {**about, "credentials": self._credentials_of(address, raw["id"])})
        self._memberships()
        self._assignments()
        self._credentials()

    def _memberships(self) -> None:
        for group_id, user_ids in self.listing.group_members.items():
            for user_id in user_ids:
                group, user = self.address.get(group_id), self.address.get(user_id)
                if group and user:  # a user that the tenant's own manager made is not ours to judge
                    address = f"membership/{_last(group)}/{_last(user)}"
                    self.add(address, f"{group_id}/{user_id}", {"group": group, "user": user})

    def _assignments(self) -> None:
        roles = {raw["id"]: raw["name"] for raw in self.listing.roles}
        plane = self.listing.plane_user_id
        for raw in self.listing.role_assignments:
            actor_id = (raw.get("user") or raw.get("group") or {}).get("id")
            scope = raw.get("scope", {})
            target = self.address.get((scope.get("project") or scope.get("domain") or {}).get("id", ""))
            actor = PLANE if actor_id and actor_id == plane else self.address.get(actor_id or "")
            if actor is None or target is None or "OS-INHERIT:inherited_to" in scope:
                continue
            role = roles.get(raw["role"]["id"], f"id:{raw['role']['id']}")
            address = f"assignment/{role}/{actor}/{target}"
            self.add(address, raw["role"]["id"], {"role": role, "actor": actor, "target": target})

    def _credentials_of(self, address: str, id_: str) -> str:
        record = self.records.get(address)
        return (
            SEALED if record and record.id == id_ and record.fields.get("credentials") == SEALED else "lost"
        )

    def _credentials(self) -> None:
        for user_id, pairs in self.listing.keypairs.items():
            if user := self.address.get(user_id):
                for raw in pairs:
                    key = " ".join(raw["public_key"].split()[:2])
                    about = {"name": raw["name"], "user": user, "public_key": key}
                    self.add(f"keypair/{_last(user)}/{raw['name']}", raw["name"], about, owned=False)
        for user_id, credentials in self.listing.application_credentials.items():
            if user := self.address.get(user_id):
                for address, raw in self.claim(Kind.APPLICATION_CREDENTIAL, credentials, self._owner):
                    about = {
                        **_about(raw),
                        "user": user,
                        "project": self.name(raw.get("project_id")),
                        "roles": strongest(role["name"] for role in raw.get("roles", ())),
                        "expires": (raw.get("expires_at") or "")[:10] or None,
                        "credentials": self._credentials_of(address, raw["id"]),
                    }
                    self.add(address, raw["id"], about)

    # --- network --------------------------------------------------------------------------------------

    def network(self) -> None:
        """Networks, subnets, routers, their interfaces and shares, security groups and rules, and quotas."""
        listing = self.listing
        for address, raw in self.claim(Kind.NETWORK, self.mine(listing.networks), self._project):
            about = {
                **_about(raw),
                "project": self.name(raw["project_id"]),
                "mtu": raw.get("mtu"),
                "port_security": raw.get("port_security_enabled", True),
                "enabled": raw["admin_state_up"],
            }
            self.add(address, raw["id"], about)
        pools = {raw["id"]: raw["name"] for raw in listing.subnet_pools}
        for address, raw in self.claim(Kind.SUBNET, self.mine(listing.subnets), self._project):
            fields = {**_about(raw), **_subnet(raw, pools), "network": self.name(raw["network_id"])}
            fields.pop("description")
            self.add(address, raw["id"], fields, facts={"cidr": raw["cidr"]})
        external = {raw["id"]: raw["name"] for raw in listing.networks if raw.get("router:external")}
        for address, raw in self.claim(Kind.ROUTER, self.mine(listing.routers), self._project):
            gateway = raw.get("external_gateway_info") or {}
            about = {
                **_about(raw),
                "project": self.name(raw["project_id"]),
                "external": external.get(gateway.get("network_id"), gateway.get("network_id")),
                "snat": gateway.get("enable_snat"),
                "routes": plain_routes((r["destination"], r["nexthop"]) for r in raw.get("routes") or ()),
                "enabled": raw["admin_state_up"],
            }
            self.add(address, raw["id"], about)
        self._interfaces()
        self._shares()
        self._filters()
        for project_id, raw in listing.network_quotas.items():
            self._quota(Kind.NETWORK_QUOTA, project_id, raw, NETWORK)

    def _interfaces(self) -> None:
        for port in self.listing.router_ports:
            router = self.address.get(port["device_id"])
            for fixed in port.get("fixed_ips", ()):
                subnet = self.address.get(fixed["subnet_id"])
                if router and subnet:  # a subnet that the tenant made and attached is the tenant's
                    home, place = router.split("/")[1], subnet.removeprefix("subnet/")
                    address = f"interface/{router.removeprefix('router/')}/{place.removeprefix(f'{home}/')}"
                    about = {"router": router, "subnet": subnet}
                    self.add(address, port["id"], about, facts={"port": port["id"]})

    def _shares(self) -> None:
        for raw in self.listing.rbac_policies:
            network = self.address.get(raw["object_id"])
            if network is None or raw["object_type"] != "network" or raw["action"] != "access_as_shared":
                continue
            project = self.name(raw["target_tenant"]) or ""
            address = f"share/{network.removeprefix('network/')}/{project.removeprefix('project/')}"
            self.add(address, raw["id"], {"network": network, "project": project})

    def _filters(self) -> None:
        groups = self.claim(Kind.SECURITY_GROUP, self.mine(self.listing.security_groups), self._project)
        for address, raw in groups:
            self.add(address, raw["id"], {**_about(raw), "project": self.name(raw["project_id"])})
        for address, raw in groups:
            for rule in raw.get("security_group_rules", ()):
                fields = raw_rule(rule, address, self.name)
                at = f"rule/{address.removeprefix('security-group/')}/{rule_key(fields)}"
                self.add(at, rule["id"], {**fields, "description": rule.get("description") or None})

    def _quota(self, kind: Kind, project_id: str, raw: Raw, words: Mapping[str, str]) -> None:
        project = self.address.get(project_id)
        if project and project.startswith("project/"):
            numbers = {ours: raw[theirs] for ours, theirs in words.items() if theirs in raw}
            address = f"{kind}/{_last(project)}"
            self.add(address, project_id, {"project": project, **numbers}, owned=False)

    # --- compute, volume, image -----------------------------------------------------------------------

    def compute(self) -> None:
        """Compute quotas, server groups, private flavors and who may use them."""
        listing = self.listing
        for project_id, raw in listing.compute_quotas.items():
            self._quota(Kind.COMPUTE_QUOTA, project_id, raw, COMPUTE)
        for raw in self.mine(listing.server_groups):
            if not raw["name"].endswith(SUFFIX):
                continue
            project = self.address[raw["project_id"]]
            name = raw["name"].removesuffix(SUFFIX)
            address = f"server-group/{_last(project)}/{name}"
            policy = raw.get("policy") or next(iter(raw.get("policies") or ()), None)
            about = {"name": name, "project": project, "policy": policy}
            self.add(address, raw["id"], about)
        for address, raw in self.claim(Kind.FLAVOR, listing.flavors):
            about = {
                **_about(raw),
                "vcpus": raw["vcpus"],
                "ram_mib": raw["ram"],
                "disk_gib": raw["disk"],
                "extra_specs": dict(raw.get("extra_specs") or {}),
            }
            self.add(address, raw["id"], about)
        names = {raw["id"]: raw["name"] for raw in listing.flavors}
        self._accesses(Kind.FLAVOR_ACCESS, "flavor", names, listing.flavor_access)

    def volume_and_image(self) -> None:
        """Volume quotas, private volume types, who may use them, and images shared with the tenant."""
        listing = self.listing
        for project_id, raw in listing.volume_quotas.items():
            self._quota(Kind.VOLUME_QUOTA, project_id, raw, VOLUME)
        for address, raw in self.claim(Kind.VOLUME_TYPE, listing.volume_types):
            self.add(address, raw["id"], {**_about(raw), "extra_specs": dict(raw.get("extra_specs") or {})})
        names = {raw["id"]: raw["name"] for raw in listing.volume_types}
        self._accesses(Kind.VOLUME_TYPE_ACCESS, "volume_type", names, listing.volume_type_access)
        images = {raw["id"]: raw["name"] for raw in listing.images}
        for image_id, members in listing.image_members.items():
            for member in members:
                project = self.address.get(member["member_id"], "")
                if project.startswith("project/") and image_id in images:
                    about = {"image": images[image_id], "project": project, "status": member["status"]}
                    address = f"image-access/{images[image_id]}/{_last(project)}"
                    self.add(address, image_id, about, owned=False)

    def _accesses(
        self, kind: Kind, field_: str, names: Mapping[str, str], access: Mapping[str, Sequence[str]]
    ) -> None:
        for id_, project_ids in access.items():
            for project_id in project_ids:
                project, made = self.name(project_id) or "", id_ in self.address
                if id_ in names and (made or project.startswith("project/")):
                    about = {field_: names[id_], "project": project}
                    address = f"{kind}/{names[id_]}/{project.removeprefix('project/')}"
                    self.add(address, id_, about, owned=made)


def is_plane_role(address: str) -> bool:
    """Whether this is a role of the plane's own user on a project.

    >>> is_plane_role("assignment/member/plane/self/project/prod")
    True
    """
    return f"/{PLANE}/project/" in address


def raw_rule(rule: Raw, security_group: str, name: Json) -> Fields:
    """The canonical fields of a Neutron rule; `name` turns a group's identifier into its address."""
    low, high = rule.get("port_range_min"), rule.get("port_range_max")
    addresses = rule.get("remote_address_group_id")
    return rule_fields(
        security_group=security_group,
        direction=rule["direction"],
        ether=rule["ethertype"],
        protocol=rule.get("protocol"),
        ports=None if low is None else (low, high),
        cidr=f"address-group={addresses}" if addresses else rule.get("remote_ip_prefix"),
        group=name(rule.get("remote_group_id")),
    )


def _about(raw: Raw) -> dict[str, Json]:
    return {"name": raw["name"], "description": without_mark(raw.get("description"))}


def _subnet(raw: Raw, pools: Mapping[str, str]) -> dict[str, Json]:
    cidr = ipaddress.ip_network(raw["cidr"])
    gateway = raw.get("gateway_ip")
    ranges = [(pool["start"], pool["end"]) for pool in raw.get("allocation_pools", ())]
    return {
        "cidr": str(cidr),
        "pool": pools.get(raw.get("subnetpool_id") or ""),
        "prefix_length": cidr.prefixlen,
        "gateway": gateway_word(cidr, gateway),
        "dhcp": raw["enable_dhcp"],
        "dns": [str(ipaddress.ip_address(a)) for a in raw.get("dns_nameservers", ())],
        "ranges": ranges_word(cidr, gateway, ranges),
        "ip_version": raw["ip_version"],
    }


def _last(address: str) -> str:
    return address.rsplit("/", 1)[-1]
