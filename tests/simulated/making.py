"""Creates: what each kind looks like once it is made, and what refuses to be made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from controlplane.tenants.ports import Ids
from controlplane.tenants.quota_words import COMPUTE, NETWORK, VOLUME
from controlplane.tenants.resources import Fields, Kind, unique_name
from controlplane.tenants.subnets import automatic_gateway, automatic_ranges
from tests.simulated.tables import (
    COMPUTE_DEFAULTS,
    NETWORK_DEFAULTS,
    Refused,
    Row,
    Tables,
    flavor_row,
    ids_in,
    network_row,
    volume_type_row,
)

Cidr = IPv4Network | IPv6Network
IMPLIED = {
    "manager": {"manager", "member", "reader"},
    "member": {"member", "reader"},
    "reader": {"reader"},
}


def _domain(tables: Tables, fields: Fields, words: str, ids: Ids) -> str:
    tables.unique("domains", fields["name"])
    row = {"name": fields["name"], "description": words, "enabled": fields["enabled"]}
    return str(tables.put("domains", row | {"tags": [], "options": {}})["id"])


def _entity(tables: Tables, table: str, fields: Fields, words: str, ids: Ids, extra: Row) -> str:
    domain = ids.id("domain")
    assert domain in tables.table("domains")
    tables.unique(table, fields["name"], domain_id=domain)
    row = {"name": fields["name"], "description": words, "domain_id": domain}
    return str(tables.put(table, row | extra)["id"])


def _project(tables: Tables, fields: Fields, words: str, ids: Ids) -> str:
    extra = {"enabled": fields["enabled"], "tags": list(fields["tags"]), "is_domain": False}
    id_ = _entity(tables, "projects", fields, words, ids, extra | {"parent_id": ids.id("domain")})
    tables.put("security_groups", {"name": "default", "project_id": id_, "description": "Default"})
    return id_


def _user(tables: Tables, fields: Fields, words: str, ids: Ids) -> str:
    extra: Row = {"enabled": fields["enabled"], "password_expires_at": None}
    if fields["email"]:
        extra["email"] = fields["email"]
    return _entity(tables, "users", fields, words, ids, extra)


def _group(tables: Tables, fields: Fields, words: str, ids: Ids) -> str:
    id_ = _entity(tables, "groups", fields, words, ids, {})
    tables.members[id_] = set()
    return id_


def _membership(tables: Tables, fields: Fields, _: str, ids: Ids) -> str:
    group, user = ids.id(fields["group"]), ids.id(fields["user"])
    assert user in tables.table("users")
    tables.members[group].add(user)
    return f"{group}/{user}"


def _assignment(tables: Tables, fields: Fields, _: str, ids: Ids) -> str:
    tables.assign(ids.facility("roles", fields["role"]), ids.id(fields["actor"]), ids.id(fields["target"]))
    return str(ids.facility("roles", fields["role"]))


def _credential(tables: Tables, fields: Fields, words: str, ids: Ids) -> str:
    user, project = ids.id(fields["user"]), ids.id(fields["project"])
    if ids.password(fields["user"]) != tables.secrets.get(user):
        raise Refused(f"nobody can log in as {fields['user']}, and only its owner makes one")
    tables.unique("application_credentials", fields["name"], user_id=user)
    actors = {user, *(group for group, users in tables.members.items() if user in users)}
    held: set[str] = set()
    for row in tables.assignments:
        if row["scope"] == {"project": {"id": project}} and ids_in(row) & actors:
            held |= IMPLIED[tables.table("roles")[row["role"]["id"]]["name"]]
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
    return str(tables.put("application_credentials", row)["id"])


def _keypair(tables: Tables, fields: Fields, _: str, ids: Ids) -> str:
    user = ids.id(fields["user"])
    tables.unique("keypairs", fields["name"], user_id=user)
    row = {"name": fields["name"], "public_key": fields["public_key"], "type": "ssh", "user_id": user}
    tables.put("keypairs", row)
    return str(fields["name"])


def set_quota(tables: Tables, service: str, fields: Fields, ids: Ids) -> str:
    project = ids.id(fields["project"])
    assert project in tables.table("projects")
    words = {"compute": COMPUTE, "volume": VOLUME, "network": NETWORK}[service]
    row = {theirs: fields[ours] for ours, theirs in words.items() if ours in fields}
    used = len(tables.where("server_groups", project_id=project))
    if service == "compute" and row.get("server_groups", used) < used:
        raise Refused(f"{used} server groups are in use")
    tables.quotas.setdefault(service, {})[project] = {**row, "project_id": project}
    return project


def _room(tables: Tables, table: str, name: str, project: str) -> None:
    limit = (NETWORK_DEFAULTS | tables.quota("network", project))[name]
    if limit >= 0 and len(tables.where(table, project_id=project)) >= limit:
        raise Refused(f"{table}: the quota of {limit} is used up")


def _network(tables: Tables, fields: Fields, words: str, ids: Ids) -> str:
    project = ids.id(fields["project"])
    _room(tables, "networks", "network", project)
    extra = {"admin_state_up": fields["enabled"], "port_security_enabled": fields["port_security"]}
    row = network_row(fields["name"], project, extra | {"description": words})
    return str(tables.put("networks", row | {"mtu": fields.get("mtu", 1450)})["id"])


def _subnet(tables: Tables, fields: Fields, words: str, ids: Ids) -> str:
    network = tables.table("networks")[ids.id(fields["network"])]
    _room(tables, "subnets", "subnet", network["project_id"])
    pool = tables.named("subnet_pools", fields["pool"]) if fields.get("pool") else None
    cidr = _allocate(tables, fields) if pool else ip_network(fields["cidr"])
    for other in tables.where("subnets", network_id=network["id"]):
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
        "allocation_pools": pools(fields["ranges"], cidr, gateway),
        "host_routes": [],
    }
    return str(tables.put("subnets", row)["id"])


def _allocate(tables: Tables, fields: Fields) -> Cidr:
    pool = tables.named("subnet_pools", fields["pool"])
    size = fields.get("prefix_length") or int(pool["default_prefixlen"])
    taken = [ip_network(s["cidr"]) for s in tables.where("subnets", subnetpool_id=pool["id"])]
    space = IPv4Network(pool["prefixes"][0])
    return next(c for c in space.subnets(new_prefix=size) if not any(c.overlaps(t) for t in taken))


def _router(tables: Tables, fields: Fields, words: str, ids: Ids) -> str:
    row = {
        "name": fields["name"],
        "description": words,
        "project_id": ids.id(fields["project"]),
        "admin_state_up": fields["enabled"],
        "external_gateway_info": way_out(fields, ids),
        "routes": [],
        "ha": False,
    }
    assert not fields["routes"], "a router has no interfaces yet for its routes"
    return str(tables.put("routers", row)["id"])


def way_out(fields: Fields, ids: Ids) -> Row | None:
    if not fields["external"]:
        return None
    network = ids.facility("external_networks", fields["external"])
    return {"network_id": network, "enable_snat": fields["snat"], "external_fixed_ips": []}


def _attach(tables: Tables, fields: Fields, _: str, ids: Ids) -> str:
    router = tables.table("routers")[ids.id(fields["router"])]
    subnet = tables.table("subnets")[ids.id(fields["subnet"])]
    if subnet["gateway_ip"] is None:
        raise Refused(f"{fields['subnet']} has no gateway")
    for port in tables.table("ports").values():
        at = tables.table("subnets")[port["fixed_ips"][0]["subnet_id"]]
        if at["id"] == subnet["id"]:
            raise Refused(f"{fields['subnet']} has a router")
        if port["device_id"] == router["id"] and ip_network(at["cidr"]).overlaps(ip_network(subnet["cidr"])):
            raise Refused(f"{fields['router']} knows the way to {at['cidr']}")
    row = {
        "device_id": router["id"],
        "device_owner": "network:router_interface",
        "project_id": router["project_id"],
        "network_id": subnet["network_id"],
        "fixed_ips": [{"subnet_id": subnet["id"], "ip_address": subnet["gateway_ip"]}],
        "name": "",
    }
    return str(tables.put("ports", row)["id"])


def _security_group(tables: Tables, fields: Fields, words: str, ids: Ids) -> str:
    project = ids.id(fields["project"])
    row = {"name": fields["name"], "description": words, "project_id": project, "stateful": True}
    id_ = str(tables.put("security_groups", row)["id"])
    for ether in ("IPv4", "IPv6"):
        tables.rule(id_, direction="egress", ethertype=ether)
    return id_


def _rule(tables: Tables, fields: Fields, _: str, ids: Ids) -> str:
    low, high = fields["ports"] or (None, None)
    return tables.rule(
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


def _share(tables: Tables, fields: Fields, _: str, ids: Ids) -> str:
    network = tables.table("networks")[ids.id(fields["network"])]
    row = {
        "object_type": "network",
        "object_id": network["id"],
        "action": "access_as_shared",
        "project_id": network["project_id"],
        "target_tenant": ids.id(fields["project"]),
    }
    return str(tables.put("rbac_policies", row)["id"])


def _server_group(tables: Tables, fields: Fields, _: str, ids: Ids) -> str:
    project = ids.id(fields["project"])
    limit = (COMPUTE_DEFAULTS | tables.quota("compute", project))["server_groups"]
    if len(tables.where("server_groups", project_id=project)) >= limit:
        raise Refused(f"the quota of {limit} server groups is used up")
    row = {"name": unique_name(fields["name"]), "policy": fields["policy"], "project_id": project}
    return str(tables.put("server_groups", row | {"members": [], "rules": {}})["id"])


def _flavor(tables: Tables, fields: Fields, words: str, ids: Ids) -> str:
    tables.unique("flavors", fields["name"])
    row = flavor_row(fields["name"], fields, words, False) | {"extra_specs": dict(fields["extra_specs"])}
    return str(tables.put("flavors", row)["id"])


def _volume_type(tables: Tables, fields: Fields, words: str, ids: Ids) -> str:
    tables.unique("volume_types", fields["name"])
    row = volume_type_row(fields["name"], words, dict(fields["extra_specs"]), False)
    return str(tables.put("volume_types", row)["id"])


def _access(tables: Tables, table: str, name: str, fields: Fields, ids: Ids) -> str:
    id_, project = str(tables.named(table, name)["id"]), ids.id(fields["project"])
    assert project in tables.table("projects")
    tables.accesses.setdefault(table, {}).setdefault(id_, set()).add(project)
    return id_


def _image_access(tables: Tables, fields: Fields, _: str, ids: Ids) -> str:
    image = tables.named("images", fields["image"])["id"]
    row = {"image_id": image, "member_id": ids.id(fields["project"]), "status": fields["status"]}
    tables.put("image_members", row)
    return str(image)


def pools(ranges: Any, cidr: Cidr, gateway: str | None) -> list[Row]:
    pairs = automatic_ranges(cidr, gateway) if ranges == "auto" else ranges
    return [{"start": start, "end": end} for start, end in pairs]


Maker = Callable[[Tables, Fields, str, Ids], str]
CREATE: Mapping[Kind, Maker] = {
    Kind.DOMAIN: _domain,
    Kind.PROJECT: _project,
    Kind.GROUP: _group,
    Kind.USER: _user,
    Kind.MEMBERSHIP: _membership,
    Kind.ASSIGNMENT: _assignment,
    Kind.APPLICATION_CREDENTIAL: _credential,
    Kind.KEYPAIR: _keypair,
    Kind.COMPUTE_QUOTA: lambda tables, fields, _, ids: set_quota(tables, "compute", fields, ids),
    Kind.VOLUME_QUOTA: lambda tables, fields, _, ids: set_quota(tables, "volume", fields, ids),
    Kind.NETWORK_QUOTA: lambda tables, fields, _, ids: set_quota(tables, "network", fields, ids),
    Kind.NETWORK: _network,
    Kind.SUBNET: _subnet,
    Kind.ROUTER: _router,
    Kind.INTERFACE: _attach,
    Kind.SECURITY_GROUP: _security_group,
    Kind.RULE: _rule,
    Kind.SHARE: _share,
    Kind.SERVER_GROUP: _server_group,
    Kind.FLAVOR: _flavor,
    Kind.FLAVOR_ACCESS: lambda tables, fields, _, ids: _access(
        tables, "flavors", fields["flavor"], fields, ids
    ),
    Kind.IMAGE_ACCESS: _image_access,
    Kind.VOLUME_TYPE: _volume_type,
    Kind.VOLUME_TYPE_ACCESS: lambda tables, fields, _, ids: _access(
        tables, "volume_types", fields["volume_type"], fields, ids
    ),
}
