"""What a tenant consists of: kinds of resources, their addresses, and what OpenStack can do with each.

An *address* names a resource within its tenant and never changes: `network/prod/app`. Fields are plain
JSON in the spec's own words: another resource of the tenant is its address, something that the site has
is its name. Identifiers of OpenStack appear only as `Observed.id`, so that a plan reads like the spec.

    domain                                   security-group/PROJECT/NAME
    project/NAME                             rule/PROJECT/GROUP/KEY
    group/NAME                               share/PROJECT/NETWORK/PROJECT
    user/NAME                                server-group/PROJECT/NAME
    membership/GROUP/USER                    flavor/NAME
    assignment/ROLE/user|group/NAME/domain|project[/NAME]
    application-credential/USER/NAME         flavor-access/NAME/PROJECT
    keypair/USER/NAME                        image-access/NAME/PROJECT
    compute-quota/PROJECT                    volume-type/NAME
    volume-quota/PROJECT                     volume-type-access/NAME/PROJECT
    network-quota/PROJECT
    network/PROJECT/NAME
    subnet/PROJECT/NETWORK/NAME
    router/PROJECT/NAME
    interface/PROJECT/ROUTER/NETWORK/SUBNET
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

Json = Any
"""str, int, bool, None, list or dict of these: what `json.dumps` takes and gives back unchanged."""
Fields = Mapping[str, Json]


class Kind(StrEnum):
    """The first part of an address."""

    DOMAIN = "domain"
    PROJECT = "project"
    GROUP = "group"
    USER = "user"
    MEMBERSHIP = "membership"
    ASSIGNMENT = "assignment"
    APPLICATION_CREDENTIAL = "application-credential"
    KEYPAIR = "keypair"
    COMPUTE_QUOTA = "compute-quota"
    VOLUME_QUOTA = "volume-quota"
    NETWORK_QUOTA = "network-quota"
    NETWORK = "network"
    SUBNET = "subnet"
    ROUTER = "router"
    INTERFACE = "interface"
    SECURITY_GROUP = "security-group"
    RULE = "rule"
    SHARE = "share"
    SERVER_GROUP = "server-group"
    FLAVOR = "flavor"
    FLAVOR_ACCESS = "flavor-access"
    IMAGE_ACCESS = "image-access"
    VOLUME_TYPE = "volume-type"
    VOLUME_TYPE_ACCESS = "volume-type-access"


class Trait(NamedTuple):
    """What OpenStack can do with a kind, and how one of ours is recognised."""

    updatable: frozenset[str]
    """Fields that OpenStack can change in place; a difference in any other needs a replacement."""
    found_by: str
    """`mark` (in the description), `name` (unique in its parent) or `key` (what it is, is its identity)."""
    undo: str
    """What it costs to undo the creation of one, for the reader of a plan."""
    loses: str = ""
    """What is lost when one is deleted; empty when nothing is."""


_NOTHING: frozenset[str] = frozenset()

TRAITS: Mapping[Kind, Trait] = {
    Kind.DOMAIN: Trait(
        frozenset({"name", "description", "enabled"}), "mark", "retire and erase", "the whole tenant"
    ),
    Kind.PROJECT: Trait(
        frozenset({"name", "description", "enabled", "tags"}), "mark", "delete", "everything in the project"
    ),
    Kind.GROUP: Trait(frozenset({"name", "description"}), "mark", "delete", "its members' access"),
    Kind.USER: Trait(
        frozenset({"name", "description", "email", "enabled", "credentials"}),
        "mark",
        "delete",
        "the user's credentials",
    ),
    Kind.MEMBERSHIP: Trait(_NOTHING, "key", "remove"),
    Kind.ASSIGNMENT: Trait(_NOTHING, "key", "unassign"),
    Kind.APPLICATION_CREDENTIAL: Trait(_NOTHING, "name", "delete", "access of the programs that use it"),
    Kind.KEYPAIR: Trait(_NOTHING, "name", "delete"),
    Kind.COMPUTE_QUOTA: Trait(frozenset({"*"}), "key", "set back"),
    Kind.VOLUME_QUOTA: Trait(frozenset({"*"}), "key", "set back"),
    Kind.NETWORK_QUOTA: Trait(frozenset({"*"}), "key", "set back"),
    Kind.NETWORK: Trait(
        frozenset({"name", "description", "mtu", "port_security", "enabled"}),
        "mark",
        "delete",
        "connectivity of everything on it",
    ),
    Kind.SUBNET: Trait(
        frozenset({"name", "description", "gateway", "dhcp", "dns", "ranges"}),
        "mark",
        "delete",
        "the addresses in use on it",
    ),
    Kind.ROUTER: Trait(
        frozenset({"name", "description", "external", "snat", "routes", "enabled"}),
        "mark",
        "delete",
        "routing and floating IPs behind it",
    ),
    Kind.INTERFACE: Trait(_NOTHING, "key", "detach", "routing for the subnet"),
    Kind.SECURITY_GROUP: Trait(
        frozenset({"name", "description"}), "mark", "delete", "the filter on its ports"
    ),
    Kind.RULE: Trait(_NOTHING, "key", "delete"),
    Kind.SHARE: Trait(_NOTHING, "key", "delete", "the other project's access to the network"),
    Kind.SERVER_GROUP: Trait(_NOTHING, "name", "delete", "the placement rule"),
    Kind.FLAVOR: Trait(frozenset({"description", "extra_specs"}), "mark", "delete"),
    Kind.FLAVOR_ACCESS: Trait(_NOTHING, "key", "remove"),
    Kind.IMAGE_ACCESS: Trait(frozenset({"status"}), "key", "remove"),
    Kind.VOLUME_TYPE: Trait(frozenset({"description", "extra_specs"}), "mark", "delete"),
    Kind.VOLUME_TYPE_ACCESS: Trait(_NOTHING, "key", "remove"),
}


def kind_of(address: str) -> Kind:
    """The kind that an address names."""
    return Kind(address.split("/", 1)[0])


@dataclass(frozen=True)
class Resource:
    """One desired resource."""

    address: str
    fields: Fields
    needs: tuple[str, ...] = ()
    """Addresses that must exist before this one is made, and may go only after it is gone."""
    source: tuple[str | int, ...] = ()
    """Where in the spec it stands, to name the line in an error."""

    @property
    def kind(self) -> Kind:
        """The kind, from the address."""
        return kind_of(self.address)


@dataclass(frozen=True)
class Observed:
    """One resource of the tenant as OpenStack has it, in the same words as the desired one."""

    address: str
    id: str
    fields: Fields
    owned: bool = True
    """It carries our mark, is in our records, or is part of something closed that is ours (a rule)."""
    duplicates: tuple[str, ...] = ()
    """Identifiers of further resources that carry the same mark: left by a reply lost after its effect."""
    facts: Fields = field(default_factory=dict)
    """What the adapter needs to act on it and no plan compares (parent identifiers)."""

    @property
    def kind(self) -> Kind:
        """The kind, from the address."""
        return kind_of(self.address)


@dataclass(frozen=True)
class Record:
    """What the plane remembers of a resource it made: the three-way base that tells drift from a new spec."""

    address: str
    id: str
    fields: Fields


# --- the ownership mark -------------------------------------------------------------------------------


def mark(tenant: str, address: str, text: str | None = None) -> str:
    """The description of a resource of ours: `text`, then who owns it. Set in the create call itself.

    >>> mark("ministry", "network/prod/app", "Front ends")
    'Front ends [controlplane ministry network/prod/app]'
    """
    owned = f"[controlplane {tenant} {address}]"
    return f"{text} {owned}" if text else owned


_MARK = re.compile(
    r"(?:(?P<text>.*) )?\[controlplane (?P<tenant>[^][\s]+) (?P<address>[^][\s]+)\]", re.DOTALL
)


def read_mark(description: str | None) -> tuple[str, str] | None:
    """Tenant and address of a marked description; None when it is not ours.

    >>> read_mark("Front ends [controlplane ministry network/prod/app]")
    ('ministry', 'network/prod/app')
    >>> read_mark("[controlplane ministry network/prod/app] see also [1]") is None
    True
    """
    found = _MARK.fullmatch(description or "")
    return (found["tenant"], found["address"]) if found else None


def without_mark(description: str | None) -> str | None:
    """The text that a person gave, without our mark; None when there is none."""
    found = _MARK.fullmatch(description or "")
    return (found["text"] if found else description) or None


SUFFIX = ".plane"


def unique_name(name: str) -> str:
    """The name in OpenStack of a kind that has no description and no unique names (server groups).

    People cannot give such a name by accident, so one found after a crash is ours.
    """
    return name + SUFFIX
