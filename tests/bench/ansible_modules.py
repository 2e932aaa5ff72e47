"""A contestant: a playbook with Ansible's openstack.cloud modules, one task a resource."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.bench.measure import Child, run
from tests.bench.tenants import Spec

PASSWORD = "bench-Password-1"


class PlaybookFailed(Exception):
    """A playbook failed; the text has what it said."""


Task = tuple[str, Mapping[str, Any], str]
"""Module, arguments, and the variable that keeps what it returns."""


def play(environment: Path, playbook: Path, clouds_yaml: Path, cloud: str) -> Child:
    """Run the playbook as a person does. Raises PlaybookFailed."""
    environ = {
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "HOME": str(playbook.parent),
        "LC_ALL": "C.UTF-8",
        "OS_CLIENT_CONFIG_FILE": str(clouds_yaml),
        "OS_CLOUD": cloud,
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_DEPRECATION_WARNINGS": "0",
        "ANSIBLE_PIPELINING": "1",  # what whoever minds the time turns on
    }
    command = [str(environment / "bin" / "ansible-playbook"), "-i", "localhost,", str(playbook)]
    child = run(command, environ)
    if child.code:
        raise PlaybookFailed((child.output + child.errors)[-2000:])
    return child


def changed(child: Child) -> tuple[int, int]:
    """How many tasks were ok, and how many of them changed something."""
    ok, changes = re.search(r"ok=(\d+)\s+changed=(\d+)", child.output).groups()  # type: ignore[union-attr]
    return int(ok), int(changes)


def write(path: Path, spec: Spec, python: Path, cloud: Mapping[str, Any]) -> None:
    """Write a playbook that makes the tenant of `spec`.

    `cloud` is the entry of clouds.yaml, from which the program's user gets its own login.
    """
    blocks: list[dict[str, Any]] = [{"block": _named(_tasks(spec))}]
    for user in spec["users"]:
        for credential in user.get("application_credentials", ()):
            environ = {"environment": _login(user, credential, cloud)}
            blocks.append({"block": _named(_as_user(spec, user, credential))} | environ)
    play = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": str(python)},
        "tasks": blocks,
    }
    path.write_text(yaml.safe_dump(json.loads(json.dumps([play])), sort_keys=False))


def _named(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    return [
        {"name": f"{module} {number}", f"openstack.cloud.{module}": arguments}
        | ({"register": register} if register else {})
        for number, (module, arguments, register) in enumerate(tasks)
    ]


def _login(user: Spec, credential: Spec, cloud: Mapping[str, Any]) -> dict[str, str]:
    """Variables for `cloud: envvars`: application_credential takes its cloud by name only."""
    values = {name: value for name, value in cloud.items() if name not in ("auth", "auth_type")}
    values |= {"auth_type": "password", "auth_url": cloud["auth"]["auth_url"], "password": PASSWORD}
    values |= {"user_id": _user(user["name"]), "project_id": _project(credential["project"])}
    return {f"OS_{name.upper()}": str(value) for name, value in values.items()}


def _tasks(spec: Spec) -> list[Task]:
    domain = "{{ domain.domain.id }}"
    tasks: list[Task] = [
        ("identity_domain", {"name": spec["tenant"], "description": spec["description"]}, "domain")
    ]
    for project in spec["projects"]:
        about = {"name": project["name"], "domain": domain, "description": project["description"]}
        tasks.append(("project", about, f"project_{project['name']}"))
    for group in spec["groups"]:
        about = {"name": group["name"], "domain_id": domain, "description": group["description"]}
        tasks.append(("identity_group", about, f"group_{group['name']}"))
    for user in spec["users"]:
        about = {"name": user["name"], "domain": domain, "description": user["description"]}
        about |= {"password": PASSWORD, "update_password": "on_create"}
        tasks.append(("identity_user", about, f"user_{user['name']}"))
        tasks += [
            ("group_assignment", {"user": _user(user["name"]), "group": _group(name)}, "")
            for name in user.get("groups", ())
        ]
        if user.get("tenant_manager"):
            about = {"role": "manager", "user": _user(user["name"]), "domain": domain}
            tasks.append(("role_assignment", about, ""))
    for given in spec["assignments"]:
        actor = {"group": _group(given["group"])} if "group" in given else {"user": _user(given["user"])}
        about = {"role": given["role"], "project": _project(given["project"]), **actor}
        tasks.append(("role_assignment", about, ""))
    for project in spec["projects"]:
        tasks.append(("quota", {"name": _project(project["name"]), **_quota(project["quota"])}, ""))
        tasks += _networks(project)
    for flavor in spec["flavors"]:
        size = {"vcpus": flavor["vcpus"], "ram": flavor["ram_mib"], "disk": flavor["disk_gib"]}
        tasks.append(("compute_flavor", {"name": flavor["name"], "is_public": False, **size}, ""))
        for name in flavor["projects"]:
            tasks.append(("compute_flavor_access", {"name": flavor["name"], "project": _project(name)}, ""))
    return tasks


def _as_user(spec: Spec, user: Spec, credential: Spec) -> list[Task]:
    login = {"cloud": "envvars"}
    tasks: list[Task] = [
        ("keypair", {"name": pair["name"], "public_key": pair["public_key"], **login}, "")
        for pair in user["keypairs"]
    ]
    roles = [{"name": role} for role in credential["roles"]]
    tasks.append(("application_credential", {"name": credential["name"], "roles": roles, **login}, ""))
    for project in spec["projects"]:
        tasks += [
            ("server_group", {"name": group["name"], "policy": group["policy"], **login}, "")
            for group in project.get("server_groups", ())
        ]
    return tasks


def _user(name: str) -> str:
    return f"{{{{ user_{name}.user.id }}}}"


def _group(name: str) -> str:
    return f"{{{{ group_{name}.group.id }}}}"


def _project(name: str) -> str:
    return f"{{{{ project_{name}.project.id }}}}"


_QUOTA = {"ram_mib": "ram", "size_gib": "gigabytes", "backup_size_gib": "backup_gigabytes"}


def _quota(quota: Spec) -> dict[str, int]:
    areas = ("compute", "volume", "network")
    return {_QUOTA.get(name, name): limit for area in areas for name, limit in quota[area].items()}


def _networks(project: Spec) -> list[Task]:
    home = _project(project["name"])
    tasks: list[Task] = []
    for network in project.get("networks", ()):
        variable = f"network_{network['name']}"
        tasks.append(("network", {"name": network["name"], "project": home}, variable))
        held = f"{{{{ {variable}.network.id }}}}"
        for subnet in network["subnets"]:
            about: dict[str, Any] = {"name": subnet["name"], "network": held}
            if "pool" in subnet:
                # with `project` the module looks for the pool in that project only, and with `prefix_length`
                # it refuses to run twice; the pool's default is the length that the tenants have
                about |= {"subnet_pool": subnet["pool"], "extra_attrs": {"project_id": home}}
            else:
                about |= {"cidr": subnet["cidr"], "project": home}
            about |= {"dns_nameservers": subnet["dns"]} if "dns" in subnet else {}
            about |= {"disable_gateway_ip": True} if subnet.get("gateway") == "none" else {}
            tasks.append(("subnet", about, f"subnet_{network['name']}_{subnet['name']}"))
        for other in network.get("share_with", ()):
            about = {"object_id": held, "object_type": "network", "action": "access_as_shared"}
            about |= {"target_project_id": _project(other), "project_id": home}
            tasks.append(("neutron_rbac_policy", about, ""))
    for router in project.get("routers", ()):
        interfaces = [
            {
                "net": f"{{{{ network_{name.split('/')[0]}.network.id }}}}",
                "subnet": f"{{{{ subnet_{name.replace('/', '_')}.subnet.id }}}}",
            }
            for name in router["interfaces"]
        ]
        about = {"name": router["name"], "project": home, "network": router["external"], "enable_snat": True}
        tasks.append(("router", {**about, "interfaces": interfaces}, ""))
    for group in project.get("security_groups", ()):
        about = {"name": group["name"], "project": home, "description": group["description"]}
        variable = f"filter_{group['name']}"
        tasks.append(("security_group", about, variable))
        for rule in group["rules"]:
            about = {"security_group": f"{{{{ {variable}.security_group.id }}}}", "project": home}
            about |= {"protocol": rule["protocol"], "direction": "ingress", "ether_type": "IPv4"}
            if "ports" in rule:
                about |= {"port_range_min": rule["ports"], "port_range_max": rule["ports"]}
            if "group" in rule:
                about["remote_group"] = f"{{{{ filter_{rule['group']}.security_group.id }}}}"
            else:
                about["remote_ip_prefix"] = rule["cidr"]
            tasks.append(("security_group_rule", about, ""))
    return tasks
