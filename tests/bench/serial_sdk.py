"""A contestant: the script that a competent operator writes with openstacksdk. Serial, no checks, no resume.

    python -m tests.bench.serial_sdk CLOUDS_YAML CLOUD SPEC...     # prints how many HTTP requests it made

It makes what the specs say, one call after another through one connection, and logs in as the program's user
once for what only that user may make (its key pair, its application credential and the server group).
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Any

import openstack
import requests
import yaml
from openstack.connection import Connection

from tests.bench.tenants import Spec

made = 0


def main(arguments: list[str]) -> None:
    """Make every tenant, then print the number of requests."""
    clouds_file, cloud, *files = arguments
    _count()
    config = openstack.config.OpenStackConfig(config_files=[clouds_file], load_envvars=False)
    connection: Any = Connection(config=config.get_one(cloud))
    roles = {role.name: role.id for role in connection.identity.roles()}
    external = {network.name: network.id for network in connection.network.networks(is_router_external=True)}
    pools = {pool.name: pool.id for pool in connection.network.subnet_pools()}
    for file in files:
        tenant(connection, yaml.safe_load(Path(file).read_text()), roles, external, pools)
    print(made)


def tenant(
    c: Any, spec: Spec, roles: dict[str, str], external: dict[str, str], pools: dict[str, str]
) -> None:
    """Make one tenant."""
    domain = c.identity.create_domain(name=spec["tenant"], description=spec["description"])
    projects: dict[str, Any] = {}
    for project in spec["projects"]:
        projects[project["name"]] = c.identity.create_project(
            name=project["name"],
            domain_id=domain.id,
            description=project["description"],
            tags=[f"cost-centre:{spec['governance']['cost_centre']}"],
        )
    groups = {
        g["name"]: c.identity.create_group(name=g["name"], domain_id=domain.id, description=g["description"])
        for g in spec["groups"]
    }
    users, passwords = {}, {}
    for user in spec["users"]:
        passwords[user["name"]] = secrets.token_urlsafe(24)
        users[user["name"]] = held = c.identity.create_user(
            name=user["name"],
            domain_id=domain.id,
            description=user["description"],
            email=user.get("email"),
            password=passwords[user["name"]],
        )
        for group in user.get("groups", ()):
            c.identity.add_user_to_group(held, groups[group])
        if user.get("tenant_manager"):
            c.identity.assign_domain_role_to_user(domain, held, roles["manager"])
    for given in spec["assignments"]:
        project, role = projects[given["project"]], roles[given["role"]]
        if "group" in given:
            c.identity.assign_project_role_to_group(project, groups[given["group"]], role)
        else:
            c.identity.assign_project_role_to_user(project, users[given["user"]], role)
    for project in spec["projects"]:
        quotas(c, projects[project["name"]].id, project["quota"])
        networks(c, project, projects, external, pools)
        filters(c, project, projects[project["name"]].id)
    for flavor in spec["flavors"]:
        held = c.compute.create_flavor(
            name=flavor["name"],
            vcpus=flavor["vcpus"],
            ram=flavor["ram_mib"],
            disk=flavor["disk_gib"],
            is_public=False,
        )
        for name in flavor["projects"]:
            c.compute.flavor_add_tenant_access(held, projects[name].id)
    for user in spec["users"]:
        for credential in user.get("application_credentials", ()):
            as_user = c.connect_as(
                username=None,
                user_id=users[user["name"]].id,
                password=passwords[user["name"]],
                project_id=projects[credential["project"]].id,
                project_name=None,
                project_domain_id=None,
                user_domain_id=None,
            )
            for pair in user["keypairs"]:
                as_user.compute.create_keypair(name=pair["name"], public_key=pair["public_key"])
            as_user.identity.create_application_credential(
                users[user["name"]].id,
                credential["name"],
                roles=[{"id": roles[role]} for role in credential["roles"]],
            )
            for project in spec["projects"]:
                for group in project.get("server_groups", ()):
                    as_user.compute.create_server_group(name=group["name"], policy=group["policy"])


def quotas(c: Any, project: str, quota: Spec) -> None:
    """Set the limits of the three services."""
    compute, volume, network = quota["compute"], quota["volume"], quota["network"]
    c.compute.update_quota_set(
        project, **{"ram" if name == "ram_mib" else name: limit for name, limit in compute.items()}
    )
    renamed = {"size_gib": "gigabytes", "backup_size_gib": "backup_gigabytes"}
    c.block_storage.update_quota_set(project, **{renamed.get(k, k): limit for k, limit in volume.items()})
    c.network.update_quota(project, **network)


def networks(
    c: Any, project: Spec, projects: dict[str, Any], external: dict[str, str], pools: dict[str, str]
) -> None:
    """Networks, subnets, shares, routers and interfaces of a project."""
    home, subnets = projects[project["name"]].id, {}
    for network in project.get("networks", ()):
        held = c.network.create_network(
            name=network["name"], project_id=home, description=network["description"]
        )
        for subnet in network["subnets"]:
            about: dict[str, Any] = {"name": subnet["name"], "network_id": held.id, "project_id": home}
            if "pool" in subnet:
                about |= {"subnet_pool_id": pools[subnet["pool"]], "prefix_length": subnet["prefix_length"]}
            else:
                about["cidr"] = subnet["cidr"]
            if subnet.get("gateway") == "none":
                about["gateway_ip"] = None
            about |= {"dns_nameservers": subnet["dns"]} if "dns" in subnet else {}
            made = c.network.create_subnet(ip_version=4, **about)
            subnets[f"{network['name']}/{subnet['name']}"] = made.id
        for other in network.get("share_with", ()):
            c.network.create_rbac_policy(
                object_type="network",
                object_id=held.id,
                action="access_as_shared",
                target_project_id=projects[other].id,
                project_id=home,
            )
    for router in project.get("routers", ()):
        held = c.network.create_router(
            name=router["name"],
            project_id=home,
            description=router["description"],
            external_gateway_info={"network_id": external[router["external"]], "enable_snat": True},
        )
        for name in router["interfaces"]:
            c.network.add_interface_to_router(held, subnet_id=subnets[name])


def filters(c: Any, project: Spec, home: str) -> None:
    """Security groups and their rules."""
    groups: dict[str, str] = {}
    for group in project.get("security_groups", ()):
        held = c.network.create_security_group(
            name=group["name"], project_id=home, description=group["description"]
        )
        groups[group["name"]] = held.id
        for rule in group["rules"]:
            c.network.create_security_group_rule(
                security_group_id=held.id,
                project_id=home,
                direction="ingress",
                ether_type="IPv4",
                protocol=rule["protocol"],
                port_range_min=rule.get("ports"),
                port_range_max=rule.get("ports"),
                remote_ip_prefix=rule.get("cidr"),
                remote_group_id=groups[rule["group"]] if "group" in rule else None,
            )


def _count() -> None:
    send = requests.Session.send

    def counted(*arguments: Any, **options: Any) -> requests.Response:
        global made  # noqa: PLW0603 one number of this process
        made += 1
        return send(*arguments, **options)

    requests.Session.send = counted  # type: ignore[method-assign]


if __name__ == "__main__":
    main(sys.argv[1:])
