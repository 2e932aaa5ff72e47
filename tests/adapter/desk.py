"""A tenant under work: what was made, its identifiers, its secrets."""

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
from controlplane.tenants.listing import Listing, Raw, Scope
from controlplane.tenants.ports import Effect, Outcome, Secret, Thing
from controlplane.tenants.resources import Fields, Observed, Resource, kind_of

WHERE = {
    "project": ("identity", "/projects/{id}"),
    "group": ("identity", "/groups/{id}"),
    "user": ("identity", "/users/{id}"),
    "network": ("network", "/networks/{id}"),
    "subnet": ("network", "/subnets/{id}"),
    "router": ("network", "/routers/{id}"),
    "interface": ("network", "/ports/{id}"),
    "security-group": ("network", "/security-groups/{id}"),
    "rule": ("network", "/security-group-rules/{id}"),
    "share": ("network", "/rbac-policies/{id}"),
    "server-group": ("compute", "/os-server-groups/{id}"),
    "flavor": ("compute", "/flavors/{id}"),
    "volume-type": ("volume", "/types/{id}"),
}
"""Kind: its service, and where one of it is there."""


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

    def create(
        self, address: str, *, through: OpenStack | None = None, look_first: bool = False, **fields: Any
    ) -> Outcome:
        """Make it, by another door when asked."""
        effect = Effect("create", address, Resource(address, fields), None)
        outcome = (through or self.cloud).perform(effect, self.ids, look_first=look_first)
        self.ids.learn(address, outcome)
        self.made[address] = Observed(address, outcome.id, outcome.fields, facts=outcome.facts)
        return outcome

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

    def raw(self, address: str) -> Raw | None:
        """What OpenStack has at an address, by its identifier."""
        service, path = WHERE[kind_of(address)]
        reply = self.cloud._c.call(service, "GET", path.format(id=self.ids.id(address)), accept={404})
        return next(iter(reply.json().values())) if reply.good else None


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
