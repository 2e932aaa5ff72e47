"""What the tenants' journey needs from outside, as Protocols; `adapters/openstack` implements them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from controlplane.tenants.listing import Listing, Scope
from controlplane.tenants.resources import Fields, Observed, Resource


@dataclass(frozen=True)
class Effect:
    """One thing to bring about: make, change or remove the resource at an address."""

    action: str
    """`create`, `update`, `replace` or `delete`."""
    address: str
    want: Resource | None
    """What it should become; None for delete."""
    have: Observed | None
    """What was seen; None for create."""
    changed: tuple[str, ...] = ()
    """The fields that differ, for update."""


@dataclass(frozen=True)
class Secret:
    """Something only the tenant manager may read. Its text never appears in a repr."""

    address: str
    values: Mapping[str, str] = field(repr=False)
    """For example `password`, or `id` and `secret`."""


@dataclass(frozen=True)
class Outcome:
    """What an effect led to."""

    id: str
    """Identifier in OpenStack; empty after a delete."""
    fields: Fields = field(default_factory=dict)
    facts: Fields = field(default_factory=dict)
    """What children of it need (parent identifiers), as in `Observed.facts`."""
    secrets: Sequence[Secret] = ()


class Ids(Protocol):
    """Identifiers of what exists, growing while an apply runs. Safe to share between threads."""

    tenant: str

    def id(self, address: str) -> str:
        """The identifier at an address. Raises KeyError when it is not there."""
        ...

    def facts(self, address: str) -> Fields:
        """`Observed.facts` or `Outcome.facts` of an address; empty when it has none."""
        ...

    def facility(self, kind: str, name: str) -> str:
        """The identifier of something the site has; kind is a field name of SiteFacts. Raises KeyError."""
        ...

    def password(self, user_address: str) -> str | None:
        """The password that this apply set for a user, while it is still in memory."""
        ...


@dataclass(frozen=True)
class Thing:
    """Something inside a tenant's projects, whoever made it: what erasure removes and certifies."""

    kind: str
    """An inventory kind, such as `server`, `port` or `volume`; `erasure.ORDER` lists them."""
    id: str
    name: str
    project: str = ""
    """The project's identifier."""
    facts: Fields = field(default_factory=dict)


class Cloud(Protocol):
    """OpenStack, as the plane uses it. Every call may raise CloudUnavailable or CloudRefused."""

    def listing(self, scope: Scope) -> Listing:
        """Look at everything in `scope`, in bulk, in parallel."""
        ...

    def perform(self, effect: Effect, ids: Ids) -> Outcome:
        """Bring one effect about; safe to repeat.

        A create whose reply was lost is found again by its mark before it is tried again; a delete of
        what is gone is done.
        """
        ...

    def perform_many(self, effects: Sequence[Effect], ids: Ids) -> Sequence[Outcome | Exception]:
        """Several creates of one kind, in one request where OpenStack can (Neutron); one outcome each."""
        ...

    def step_down(self, project_ids: Iterable[str] | None = None) -> None:
        """Give up the role that the plane's own user took on these projects for a moment."""
        ...

    def running_servers(self, project_ids: Sequence[str]) -> Sequence[Thing]:
        """Servers of the projects that run now."""
        ...

    def stop_server(self, server_id: str) -> None:
        """Stop a server and wait until it is off; one that is off or gone is done."""
        ...

    def start_server(self, server_id: str) -> None:
        """Start a server and wait until it runs; one that runs is done; gone raises CloudRefused."""
        ...

    def lock_servers(self, project_ids: Sequence[str], locked: bool) -> int:
        """Lock all servers of the projects against their users, or unlock those we locked; how many."""
        ...

    def set_access(self, domain_id: str, enabled: bool) -> None:
        """Let the domain's users in, or keep them out (existing tokens die as well)."""
        ...

    def inventory(self, domain_id: str) -> Sequence[Thing]:
        """Everything inside the domain's projects and the domain, whoever made it."""
        ...

    def remove(self, thing: Thing) -> None:
        """Delete one thing and wait until it is gone; what is gone is done."""
        ...
