"""A contestant: `openstack ...` commands one after another, as a shell script has them.

Identifiers go from one command to the next as `-f value -c id` prints them. The program's user runs the
commands that only it may run.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.bench.measure import run
from tests.bench.tenants import Spec


class CommandFailed(Exception):
    """A command of a script failed; the text has what it said."""


class Shell:
    """Runs commands of python-openstackclient and adds up what they take."""

    def __init__(self, environment: Path, clouds_yaml: Path, cloud: str) -> None:
        self.clouds_yaml, self.cloud = clouds_yaml, cloud
        self._openstack = str(environment / "bin" / "openstack")
        self._environ = {
            "PATH": f"{environment / 'bin'}:/usr/bin:/bin",
            "HOME": str(clouds_yaml.parent),
            "OS_CLIENT_CONFIG_FILE": str(clouds_yaml),
            "OS_CLOUD": cloud,
        }
        self.cpu = 0.0
        """CPU seconds of all commands so far."""
        self.commands = 0

    def __call__(self, command: str, *arguments: object, user: Mapping[str, str] | None = None) -> str:
        """Run `openstack COMMAND ARGUMENTS`; what it printed. Raises CommandFailed."""
        environ = {**self._environ, **user} if user else self._environ
        child = run([self._openstack, *command.split(), *map(str, arguments)], environ)
        self.cpu += child.cpu
        self.commands += 1
        if child.code:
            raise CommandFailed(f"openstack {command}: {child.errors[-1000:]}")
        return child.output.strip()

    def make(self, command: str, *arguments: object, user: Mapping[str, str] | None = None) -> str:
        """As the call; gives the identifier of what was made."""
        return self(command, *arguments, "-f", "value", "-c", "id", user=user)


def tenant(run: Shell, spec: Spec) -> None:
    """Make one tenant."""
    domain = run.make("domain create", spec["tenant"], "--description", spec["description"])
    projects = {
        p["name"]: run.make(
            "project create", p["name"], "--domain", domain, "--description", p["description"]
        )
        for p in spec["projects"]
    }
    groups = {
        g["name"]: run.make("group create", g["name"], "--domain", domain, "--description", g["description"])
        for g in spec["groups"]
    }
    users, passwords = {}, {}
    for user in spec["users"]:
        passwords[user["name"]] = secrets.token_urlsafe(24)
        options = ["--domain", domain, "--password", passwords[user["name"]]]
        held = users[user["name"]] = run.make("user create", user["name"], *options)
        for group in user.get("groups", ()):
            run("group add user", groups[group], held)
        if user.get("tenant_manager"):
            run("role add", "manager", "--user", held, "--domain", domain)
    for given in spec["assignments"]:
        group = given.get("group")
        actor = ["--group", groups[group]] if group else ["--user", users[given["user"]]]
        run("role add", given["role"], *actor, "--project", projects[given["project"]])
    for project in spec["projects"]:
        run("quota set", *_quota(project["quota"]), projects[project["name"]])
        _networks(run, project, projects)
    for flavor in spec["flavors"]:
        size = ["--vcpus", flavor["vcpus"], "--ram", flavor["ram_mib"], "--disk", flavor["disk_gib"]]
        access = [word for name in flavor["projects"] for word in ("--project", projects[name])]
        run("flavor create", flavor["name"], "--private", *size, *access)
    for user in spec["users"]:
        for credential in user.get("application_credentials", ()):
            project = projects[credential["project"]]
            login = _login(run, users[user["name"]], passwords[user["name"]], project)
            _as_user(run, spec, user, credential, login)


def _as_user(run: Shell, spec: Spec, user: Spec, credential: Spec, login: Mapping[str, str]) -> None:
    for pair in user["keypairs"]:
        file = run.clouds_yaml.with_name("bench-key.pub")
        file.write_text(pair["public_key"] + "\n")
        run("keypair create", pair["name"], "--public-key", file, user=login)
    roles = [word for role in credential["roles"] for word in ("--role", role)]
    run("application credential create", credential["name"], *roles, user=login)
    for project in spec["projects"]:
        for group in project.get("server_groups", ()):
            run("server group create", group["name"], "--policy", group["policy"], user=login)


def _login(run: Shell, user: str, password: str, project: str) -> dict[str, str]:
    """The environment of a user's own commands: the same cloud, another login."""
    file = run.clouds_yaml.with_name(f"clouds-{user}.yaml")
    config = dict(yaml.safe_load(run.clouds_yaml.read_text())["clouds"][run.cloud])
    login = {"user_id": user, "password": password, "project_id": project}
    config["auth"] = {"auth_url": config["auth"]["auth_url"], **login}
    file.write_text(yaml.safe_dump({"clouds": {run.cloud: config}}))
    return {"OS_CLIENT_CONFIG_FILE": str(file), "OS_COMPUTE_API_VERSION": "2.87"}


_QUOTA = {
    "ram_mib": "ram",
    "size_gib": "gigabytes",
    "backup_size_gib": "backup-gigabytes",
    "floating_ips": "floating-ips",
    "security_groups": "secgroups",
    "security_group_rules": "secgroup-rules",
}


def _quota(quota: Spec) -> list[Any]:
    return [
        word
        for area in ("compute", "volume", "network")
        for name, limit in quota[area].items()
        for word in (f"--{_QUOTA.get(name, name.replace('_', '-'))}", limit)
    ]


def _networks(run: Shell, project: Spec, projects: Mapping[str, str]) -> None:
    home = projects[project["name"]]
    subnets = {}
    for network in project.get("networks", ()):
        options = ["--project", home, "--description", network["description"]]
        held = run.make("network create", network["name"], *options)
        for subnet in network["subnets"]:
            space: list[object] = ["--subnet-range", subnet.get("cidr")]
            if "pool" in subnet:
                space = ["--subnet-pool", subnet["pool"], "--prefix-length", subnet["prefix_length"]]
            for server in subnet.get("dns", ()):
                space += ["--dns-nameserver", server]
            space += ["--gateway", subnet["gateway"]] if "gateway" in subnet else []
            made = run.make("subnet create", subnet["name"], "--project", home, "--network", held, *space)
            subnets[f"{network['name']}/{subnet['name']}"] = made
        for other in network.get("share_with", ()):
            target = ["--target-project", projects[other], "--project", home]
            options = ["--type", "network", "--action", "access_as_shared"]
            run("network rbac create", held, *options, *target)
    for router in project.get("routers", ()):
        gateway = ["--external-gateway", router["external"]]
        held = run.make("router create", router["name"], "--project", home, *gateway)
        for name in router["interfaces"]:
            run("router add subnet", held, subnets[name])
    groups: dict[str, str] = {}
    for group in project.get("security_groups", ()):
        options = ["--project", home, "--description", group["description"]]
        held = groups[group["name"]] = run.make("security group create", group["name"], *options)
        for rule in group["rules"]:
            far = (
                ["--remote-group", groups[rule["group"]]]
                if "group" in rule
                else ["--remote-ip", rule["cidr"]]
            )
            port = ["--dst-port", rule["ports"]] if "ports" in rule else []
            run("security group rule create", held, "--protocol", rule["protocol"], *far, *port)
