"""The usual parts of a tenant, made; each gives its address."""

from __future__ import annotations

from typing import Any

from controlplane.tenants.resources import Fields
from controlplane.tenants.rules import rule_fields, rule_key
from tests.adapter.desk import Desk

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK1PkFzAv1bDhL4D9xK0Gd1nFbYrkKJZ1kzPq5oXr0Zk tenant"


def network(work: Desk, name: str = "app", project: str = "prod", **more: Any) -> str:
    address = f"network/{project}/{name}"
    fields = {"description": None, "port_security": True, "enabled": True, **more}
    work.create(address, name=name, project=f"project/{project}", **fields)
    return address


def subnet(work: Desk, at: str, name: str = "front", **more: Any) -> str:
    _, project, of = at.split("/")
    address = f"subnet/{project}/{of}/{name}"
    fields = {
        "cidr": "10.20.0.0/24",
        "gateway": "auto",
        "dhcp": True,
        "dns": [],
        "ranges": "auto",
        "ip_version": 4,
        **more,
    }
    work.create(address, name=name, network=at, **fields)
    return address


def router(work: Desk, name: str = "edge", **more: Any) -> str:
    address = f"router/prod/{name}"
    fields = {"description": None, "external": None, "routes": [], "enabled": True, **more}
    work.create(address, name=name, project="project/prod", **fields)
    return address


def group(work: Desk, name: str = "web", description: str | None = None) -> str:
    address = f"security-group/prod/{name}"
    work.create(address, name=name, project="project/prod", description=description)
    return address


def rule(
    of: str, ports: tuple[int, int] | None = (443, 443), remote: str | None = None, direction: str = "ingress"
) -> tuple[str, Fields]:
    """Address and fields of a rule that lets in a port, or everything."""
    fields = rule_fields(
        security_group=of,
        direction=direction,
        ether="IPv4",
        protocol="tcp" if ports else None,
        ports=ports,
        cidr=None,
        group=remote,
    )
    return f"{of.replace('security-group', 'rule', 1)}/{rule_key(fields)}", fields


def member(work: Desk, name: str = "ada") -> str:
    """A user who is a member of the project."""
    user = f"user/{name}"
    work.create(user, name=name, description=None, email=None, enabled=True)
    work.create(f"assignment/member/{user}/project/prod", role="member", actor=user, target="project/prod")
    return user
