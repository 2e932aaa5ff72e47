"""A tenant made through the adapter alone: what the adapter's tests on the real lab have in common."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from secrets import token_hex
from typing import Any

from keystoneauth1.exceptions import Unauthorized
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from controlplane.adapters.openstack import OpenStack
from controlplane.tenants.erasure import ORDER
from controlplane.tenants.listing import Listing, Scope
from controlplane.tenants.ports import Effect, Outcome, Secret, Thing
from controlplane.tenants.resources import Fields, Observed, Resource
from controlplane.tenants.rules import rule_fields, rule_key

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK1PkFzAv1bDhL4D9xK0Gd1nFbYrkKJZ1kzPq5oXr0Zk tenant"


class Known:
    """Identifiers as an apply keeps them."""

    def __init__(self, tenant: str, facilities: Mapping[str, Mapping[str, str]]) -> None:
        self.tenant = tenant
        self.passwords: dict[str, str] = {}
        self._facilities = facilities
        self._ids: dict[str, str] = {}
        self._facts: dict[str, Fields] = {}
        self._lock = threading.Lock()

    def id(self, address: str) -> str:
        with self._lock:
            return self._ids[address]

    def facts(self, address: str) -> Fields:
        return self._facts.get(address, {})

    def facility(self, kind: str, name: str) -> str:
        return self._facilities[kind][name]

    def password(self, user_address: str) -> str | None:
        return self.passwords.get(user_address)

    def learn(self, address: str, outcome: Outcome) -> None:
        with self._lock:
            self._ids[address] = outcome.id
            self._facts[address] = outcome.facts
            for secret in outcome.secrets:
                if "password" in secret.values:
                    self.passwords[secret.address] = secret.values["password"]

    def forget(self, address: str) -> None:
        with self._lock:
            self._ids.pop(address, None)


class Desk:
    """One tenant under work."""

    def __init__(self, cloud: OpenStack, name: str, listing: Listing) -> None:
        self.cloud = cloud
        self.name = name
        self.ids = Known(name, facilities(listing))
        self.made: dict[str, Observed] = {}

    def create(self, address: str, *, look_first: bool = False, **fields: Any) -> Outcome:
        effect = Effect("create", address, Resource(address, fields), None)
        outcome = self.cloud.perform(effect, self.ids, look_first=look_first)
        self.keep(address, outcome)
        return outcome

    def keep(self, address: str, outcome: Outcome) -> None:
        self.ids.learn(address, outcome)
        self.made[address] = Observed(address, outcome.id, outcome.fields, facts=outcome.facts)

    def update(self, address: str, **changes: Any) -> Outcome:
        have = self.made[address]
        want = Resource(address, {**have.fields, **changes})
        outcome = self.cloud.perform(Effect("update", address, want, have, tuple(changes)), self.ids)
        self.ids.learn(address, outcome)
        self.made[address] = Observed(address, outcome.id, want.fields, facts=have.facts)
        return outcome

    def delete(self, address: str) -> Outcome:
        return self.cloud.perform(Effect("delete", address, None, self.made[address]), self.ids)

    def erase(self) -> list[Thing]:
        """Everything away, domain last; what was there."""
        things = list(self.cloud.inventory(self.ids.id("domain")))
        for thing in things:
            self.cloud.remove(thing)
        return things

    def scope(self, **more: Any) -> Scope:
        return Scope(frozenset({self.name}), **more)


def facilities(listing: Listing) -> dict[str, dict[str, str]]:
    """What the lab offers, by name."""

    def named(raws: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        return {str(raw["name"]): str(raw["id"]) for raw in raws}

    external = [network for network in listing.networks if network["router:external"]]
    return {
        "roles": named(listing.roles),
        "external_networks": named(external),
        "subnet_pools": named(listing.subnet_pools),
        "flavors": named(listing.flavors),
        "images": named(listing.images),
        "volume_types": named(listing.volume_types),
    }


@contextmanager
def desk(cloud: OpenStack, site: Listing) -> Iterator[Desk]:
    """A tenant with a domain and two projects, erased at the end."""
    work = Desk(cloud, f"adapter-{token_hex(4)}", site)
    work.create("domain", name=work.name, description="For a test", enabled=True)
    try:
        for name in ("prod", "test"):
            work.create(f"project/{name}", name=name, description=None, enabled=True, tags=["adapter"])
        yield work
    finally:
        cloud.step_down()
        work.erase()


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


def opens(work: Desk, secret: Secret) -> bool:
    """Whether Keystone lets in who has it."""
    url, told = work.cloud.sign_in["auth_url"], secret.values
    login = (
        v3.Password(
            url,
            username=told["user"],
            user_domain_id=work.ids.id("domain"),
            password=told["password"],
            unscoped=True,
        )
        if "password" in told
        else v3.ApplicationCredential(
            url, application_credential_id=told["id"], application_credential_secret=told["secret"]
        )
    )
    try:
        return bool(Session(auth=login).get_token())
    except Unauthorized:
        return False


__all__ = [
    "KEY",
    "ORDER",
    "Desk",
    "desk",
    "group",
    "member",
    "network",
    "opens",
    "router",
    "rule",
    "subnet",
]
