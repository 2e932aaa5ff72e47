"""spec -> desired: every resource that a tenant should have, with its address and what it needs first."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from controlplane.tenants import spec
from controlplane.tenants.resources import Fields, Json, Resource
from controlplane.tenants.rules import rule_fields, rule_key
from controlplane.tenants.subnets import automatic_gateway, gateway_word, plain_routes, ranges_word

Limits = Mapping[str, Mapping[str, int]]
"""Resolved quota of a project: `compute`, `volume` and `network`, each with all its numbers."""
Source = tuple[str | int, ...]


@dataclass(frozen=True)
class Desired:
    """What a tenant should have, in an order in which it can be made."""

    tenant: str
    resources: Mapping[str, Resource]

    def __getitem__(self, address: str) -> Resource:
        """The resource at an address. Raises KeyError."""
        return self.resources[address]


def desire(tenant: spec.Tenant, limits: Mapping[str, Limits]) -> Desired:
    """Everything that `tenant` describes; `limits` has the resolved quota of each of its projects."""
    made = [
        _domain(tenant),
        *_projects(tenant, limits),
        *_people(tenant),
        *_assignments(tenant),
        *_networks(tenant),
        *_filters(tenant),
        *_placement(tenant),
        *_facilities(tenant),
        *_credentials(tenant),
    ]
    return Desired(tenant.tenant, {resource.address: resource for resource in made})


SEALED = "sealed"
"""Value of the field `credentials`: our store has it, sealed. A crash before that leaves it `lost`."""


def strongest(roles: Iterable[str]) -> list[str]:
    """Roles without those that another implies: Keystone adds `reader` to a credential that has `member`."""
    held = set(roles)
    for role, implied in _IMPLIED.items():
        if role in held:
            held -= implied
    return sorted(held)


_IMPLIED = {"manager": {"member", "reader"}, "member": {"reader"}}


def recipients(tenant: spec.Tenant, user: spec.User) -> list[str]:
    """The public key lines that a user's secrets are sealed to: the tenant managers' and the user's own."""
    lines = [u.public_key for u in tenant.users if u.public_key and (u.tenant_manager or u.name == user.name)]
    return list(dict.fromkeys(lines))


def _domain(tenant: spec.Tenant) -> Resource:
    owner = f"{tenant.description or tenant.governance.owner}"
    return Resource(
        "domain", {"name": tenant.tenant, "description": owner, "enabled": True}, source=("tenant",)
    )


def _projects(tenant: spec.Tenant, limits: Mapping[str, Limits]) -> Iterator[Resource]:
    governance = tenant.governance
    tags = [
        f"classification:{governance.classification}",
        f"cost-centre:{governance.cost_centre}".replace("/", "-").replace(",", "-"),
        f"valid-until:{governance.valid_until.isoformat()}",
    ]
    for i, project in enumerate(tenant.projects):
        source: Source = ("projects", i)
        address = f"project/{project.name}"
        fields = {
            "name": project.name,
            "description": project.description,
            "enabled": True,
            "tags": sorted(tags),
        }
        yield Resource(address, fields, ("domain",), source)
        for service, numbers in limits[project.name].items():
            yield Resource(
                f"{service}-quota/{project.name}",
                {"project": address, **numbers},
                (address,),
                (*source, "quota"),
            )


def _people(tenant: spec.Tenant) -> Iterator[Resource]:
    for i, group in enumerate(tenant.groups):
        about = {"name": group.name, "description": group.description}
        yield Resource(f"group/{group.name}", about, ("domain",), ("groups", i))
    for i, user in enumerate(tenant.users):
        address = f"user/{user.name}"
        fields: dict[str, Json] = {
            "name": user.name,
            "description": user.description,
            "email": user.email,
            "enabled": True,
        }
        if recipients(tenant, user):
            fields["credentials"] = SEALED
        yield Resource(address, fields, ("domain",), ("users", i))
        for j, name in enumerate(user.groups):
            member = {"group": f"group/{name}", "user": address}
            yield Resource(
                f"membership/{name}/{user.name}", member, tuple(member.values()), ("users", i, "groups", j)
            )
        for j, pair in enumerate(user.keypairs):
            key = {"name": pair.name, "user": address, "public_key": " ".join(pair.public_key.split()[:2])}
            yield Resource(f"keypair/{user.name}/{pair.name}", key, (address,), ("users", i, "keypairs", j))


def _assignments(tenant: spec.Tenant) -> Iterator[Resource]:
    for i, user in enumerate(tenant.users):
        if user.tenant_manager:
            yield _assignment("manager", f"user/{user.name}", "domain", ("users", i, "tenant_manager"))
    for i, given in enumerate(tenant.assignments):
        actor = f"user/{given.user}" if given.user else f"group/{given.group}"
        target = f"project/{given.project}" if given.project else "domain"
        yield _assignment(given.role, actor, target, ("assignments", i))


def _assignment(role: str, actor: str, target: str, source: Source) -> Resource:
    fields = {"role": role, "actor": actor, "target": target}
    return Resource(f"assignment/{role}/{actor}/{target}", fields, (actor, target), source)


def _networks(tenant: spec.Tenant) -> Iterator[Resource]:
    for i, project in enumerate(tenant.projects):
        home = f"project/{project.name}"
        first = (home, f"network-quota/{project.name}")
        for j, network in enumerate(project.networks):
            source: Source = ("projects", i, "networks", j)
            address = f"network/{project.name}/{network.name}"
            fields: dict[str, Json] = {
                "name": network.name,
                "project": home,
                "description": network.description,
                "port_security": network.port_security,
                "enabled": True,
            }
            if network.mtu is not None:
                fields["mtu"] = network.mtu
            yield Resource(address, fields, first, source)
            for k, subnet in enumerate(network.subnets):
                yield Resource(
                    f"subnet/{project.name}/{network.name}/{subnet.name}",
                    _subnet(subnet, address),
                    (address, first[1]),
                    (*source, "subnets", k),
                )
            for k, other in enumerate(network.share_with):
                shared = {"network": address, "project": f"project/{other}"}
                yield Resource(
                    f"share/{project.name}/{network.name}/{other}",
                    shared,
                    (*shared.values(), first[1]),
                    (*source, "share_with", k),
                )
        for j, router in enumerate(project.routers):
            yield from _router(project.name, router, first, ("projects", i, "routers", j))


def _subnet(subnet: spec.Subnet, network: str) -> Fields:
    fields: dict[str, Json] = {
        "name": subnet.name,
        "network": network,
        "gateway": subnet.gateway or "auto",
        "dhcp": subnet.dhcp,
        "dns": [str(ipaddress.ip_address(a)) for a in subnet.dns],
        "ranges": "auto",
        "ip_version": 4,
    }
    if subnet.cidr is not None:
        cidr = ipaddress.ip_network(subnet.cidr)
        gateway = None if subnet.gateway == "none" else subnet.gateway or automatic_gateway(cidr)
        fields |= {
            "cidr": str(cidr),
            "ip_version": cidr.version,
            "gateway": gateway_word(cidr, gateway),
        }
        if subnet.ranges:
            fields["ranges"] = ranges_word(cidr, gateway, [(r.start, r.end) for r in subnet.ranges])
    else:
        fields["pool"] = subnet.pool
        if subnet.prefix_length is not None:  # else the pool's default, whatever it is
            fields["prefix_length"] = subnet.prefix_length
    return fields


def _router(project: str, router: spec.Router, first: tuple[str, ...], source: Source) -> Iterator[Resource]:
    address = f"router/{project}/{router.name}"
    fields: dict[str, Json] = {
        "name": router.name,
        "project": f"project/{project}",
        "description": router.description,
        "external": router.external,
        "routes": plain_routes((r.destination, r.next_hop) for r in router.routes),
        "enabled": True,
    }
    if router.external:
        fields["snat"] = router.snat
    yield Resource(address, fields, first, source)
    for k, name in enumerate(router.interfaces):
        subnet = f"subnet/{project}/{name}"
        yield Resource(
            f"interface/{project}/{router.name}/{name}",
            {"router": address, "subnet": subnet},
            (address, subnet, first[1]),
            (*source, "interfaces", k),
        )


def _filters(tenant: spec.Tenant) -> Iterator[Resource]:
    """The groups of a project, then their rules: a rule may name any group of its project."""
    for i, project in enumerate(tenant.projects):
        first = (f"project/{project.name}", f"network-quota/{project.name}")
        for j, group in enumerate(project.security_groups):
            address = f"security-group/{project.name}/{group.name}"
            fields = {"name": group.name, "project": first[0], "description": group.description}
            yield Resource(address, fields, first, ("projects", i, "security_groups", j))
        for j, group in enumerate(project.security_groups):
            yield from _rules(project.name, group, ("projects", i, "security_groups", j))


def _rules(project: str, group: spec.SecurityGroup, source: Source) -> Iterator[Resource]:
    address = f"security-group/{project}/{group.name}"
    rules = [(_rule(rule, address), (*source, "rules", k)) for k, rule in enumerate(group.rules)]
    if group.egress == "allow":
        rules += [(_let_out(address, ether), (*source, "egress")) for ether in ("IPv4", "IPv6")]
    for rule, where in rules:
        groups = (address, rule["group"]) if rule["group"] not in (None, address) else (address,)
        needs = (*groups, f"network-quota/{project}")
        yield Resource(f"rule/{project}/{group.name}/{rule_key(rule)}", rule, needs, where)


def _rule(rule: spec.Rule, security_group: str) -> Fields:
    fields = _canonical(rule, security_group)
    return {**fields, "description": rule.description} if rule.description else fields


def _canonical(rule: spec.Rule, security_group: str) -> Fields:
    home = security_group.rsplit("/", 1)[0]
    ports: tuple[int, int] | None = None
    if rule.ports is not None:
        low, _, high = str(rule.ports).partition("-")
        ports = (int(low), int(high or low))
    return rule_fields(
        security_group=security_group,
        direction=rule.direction,
        ether=rule.ether,
        protocol=rule.protocol,
        ports=ports,
        cidr=str(ipaddress.ip_network(rule.cidr)) if rule.cidr else None,
        group=f"{home}/{rule.group}" if rule.group else None,
    )


def _let_out(security_group: str, ether: str) -> Fields:
    return rule_fields(
        security_group=security_group,
        direction="egress",
        ether=ether,
        protocol=None,
        ports=None,
        cidr=None,
        group=None,
    )


def _placement(tenant: spec.Tenant) -> Iterator[Resource]:
    for i, project in enumerate(tenant.projects):
        home = f"project/{project.name}"
        for j, group in enumerate(project.server_groups):
            yield Resource(
                f"server-group/{project.name}/{group.name}",
                {"name": group.name, "project": home, "policy": group.policy},
                (home, f"compute-quota/{project.name}"),
                ("projects", i, "server_groups", j),
            )


def _facilities(tenant: spec.Tenant) -> Iterator[Resource]:
    """Private flavors, shared images and private volume types, and who may use them."""
    for i, flavor in enumerate(tenant.flavors):
        source: Source = ("flavors", i)
        made = () if flavor.existing else (f"flavor/{flavor.name}",)
        if made:
            size = {"vcpus": flavor.vcpus, "ram_mib": flavor.ram_mib, "disk_gib": flavor.disk_gib}
            fields = {
                "name": flavor.name,
                **size,
                "description": None,
                "extra_specs": dict(flavor.extra_specs),
            }
            yield Resource(made[0], fields, ("domain",), source)
        yield from _access("flavor-access", "flavor", flavor.name, flavor.projects, made, source)
    for i, image in enumerate(tenant.images):
        yield from _access("image-access", "image", image.name, image.projects, (), ("images", i))
    for i, volume_type in enumerate(tenant.volume_types):
        source = ("volume_types", i)
        made = () if volume_type.existing else (f"volume-type/{volume_type.name}",)
        if made:
            about = {"description": volume_type.description, "extra_specs": dict(volume_type.extra_specs)}
            yield Resource(made[0], {"name": volume_type.name, **about}, ("domain",), source)
        yield from _access(
            "volume-type-access", "volume_type", volume_type.name, volume_type.projects, made, source
        )


def _access(
    kind: str, field: str, name: str, projects: list[str], made: tuple[str, ...], source: Source
) -> Iterator[Resource]:
    for k, project in enumerate(projects):
        fields: dict[str, Json] = {field: name, "project": f"project/{project}"}
        if kind == "image-access":
            fields["status"] = "accepted"
        yield Resource(
            f"{kind}/{name}/{project}", fields, (*made, f"project/{project}"), (*source, "projects", k)
        )


def _credentials(tenant: spec.Tenant) -> Iterator[Resource]:
    """Application credentials come last: Keystone grants them only roles that the user already holds."""
    held = list(_assignments(tenant))
    for i, user in enumerate(tenant.users):
        address = f"user/{user.name}"
        actors = {address, *(f"group/{name}" for name in user.groups)}
        rights = [a.address for a in held if a.fields["actor"] in actors]
        rights += [f"membership/{name}/{user.name}" for name in user.groups]
        for j, credential in enumerate(user.application_credentials):
            fields = {
                "name": credential.name,
                "user": address,
                "project": f"project/{credential.project}",
                "roles": strongest(credential.roles),
                "expires": credential.expires.isoformat() if credential.expires else None,
                "description": credential.description,
            }
            if recipients(tenant, user):
                fields["credentials"] = SEALED
            yield Resource(
                f"application-credential/{user.name}/{credential.name}",
                fields,
                (address, f"project/{credential.project}", *rights),
                ("users", i, "application_credentials", j),
            )
