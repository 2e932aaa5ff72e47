"""A listing: what OpenStack answered, raw, taken in bulk. The adapter fills it; the planner reads it.

Every collection holds the JSON objects of the API as they came, so that tests and fuzzers can write
listings by hand and the translation into the spec's words (`observed.py`) stays pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Raw = Mapping[str, Any]


@dataclass(frozen=True)
class Scope:
    """What to look at. Bulk listings answer for all tenants at once; the rest is asked for by name.

    OpenStack has no bulk listing for compute and volume quotas (one request a project), for key pairs
    and application credentials (one a user), for the members of a group that holds no role (one a
    group), and for who may use a private flavor, image or volume type (one each).
    """

    tenants: frozenset[str] | None = None
    """Domain names, or None for every tenant of the plane (domains that carry its mark)."""
    keypair_users: frozenset[tuple[str, str]] = frozenset()
    """(tenant, user) whose key pairs matter."""
    credential_users: frozenset[tuple[str, str]] = frozenset()
    """(tenant, user) whose application credentials matter."""
    groups: frozenset[tuple[str, str]] = frozenset()
    """(tenant, group) whose members matter."""
    flavors: frozenset[str] = frozenset()
    """Names of private flavors whose access list matters."""
    images: frozenset[str] = frozenset()
    """Names of shared images whose members matter."""
    volume_types: frozenset[str] = frozenset()
    """Names of private volume types whose access list matters."""
    quotas: bool = True
    server_groups: bool = True
    site: bool = True
    """Also what the site offers: all flavors, images, volume types, and what the subnet pools have given out.

    Without it, only as much of them as the tenants' own resources need to be recognised.
    """

    def __or__(self, other: Scope) -> Scope:
        """One scope that answers both: how observations of many tenants become one."""
        both = None if self.tenants is None or other.tenants is None else self.tenants | other.tenants
        return Scope(
            both,
            self.keypair_users | other.keypair_users,
            self.credential_users | other.credential_users,
            self.groups | other.groups,
            self.flavors | other.flavors,
            self.images | other.images,
            self.volume_types | other.volume_types,
            self.quotas or other.quotas,
            self.server_groups or other.server_groups,
            self.site or other.site,
        )


@dataclass(frozen=True)
class Listing:
    """Collections by API name. Those of a project hold at least the projects of the scope's tenants."""

    # identity
    domains: Sequence[Raw] = ()
    """All domains of the cloud."""
    projects: Sequence[Raw] = ()
    users: Sequence[Raw] = ()
    groups: Sequence[Raw] = ()
    roles: Sequence[Raw] = ()
    """All roles without a domain."""
    role_assignments: Sequence[Raw] = ()
    """`GET /v3/role_assignments` of the scope's domains and projects."""
    group_members: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Group id -> user ids."""
    application_credentials: Mapping[str, Sequence[Raw]] = field(default_factory=dict)
    """User id -> credentials."""
    # compute
    keypairs: Mapping[str, Sequence[Raw]] = field(default_factory=dict)
    """User id -> key pairs (the inner object)."""
    flavors: Sequence[Raw] = ()
    """All flavors with details, description and extra specs, public or not."""
    flavor_access: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Flavor id -> project ids."""
    server_groups: Sequence[Raw] = ()
    compute_quotas: Mapping[str, Raw] = field(default_factory=dict)
    """Project id -> `quota_set`."""
    hypervisor_totals: Raw = field(default_factory=dict)
    """`vcpus`, `memory_mb`, `local_gb` over all hypervisors; empty when not known."""
    # network
    networks: Sequence[Raw] = ()
    """Networks of the scope's projects, and all external ones (`router:external`)."""
    subnets: Sequence[Raw] = ()
    """Subnets of the scope's projects, and those taken from a subnet pool."""
    subnet_pools: Sequence[Raw] = ()
    routers: Sequence[Raw] = ()
    router_ports: Sequence[Raw] = ()
    """Ports with device_owner `network:router_interface` (also the HA and DVR kinds)."""
    security_groups: Sequence[Raw] = ()
    """With their `security_group_rules`."""
    rbac_policies: Sequence[Raw] = ()
    network_quotas: Mapping[str, Raw] = field(default_factory=dict)
    """Project id -> `quota`, from the bulk listing: a project that has defaults only is absent."""
    # volume
    volume_types: Sequence[Raw] = ()
    """All volume types with extra specs, public or not."""
    volume_type_access: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Volume type id -> project ids."""
    volume_quotas: Mapping[str, Raw] = field(default_factory=dict)
    """Project id -> `quota_set`."""
    volume_pools: Sequence[Raw] = ()
    """Back-end pools with `capabilities`; empty when not known."""
    # image
    images: Sequence[Raw] = ()
    """Images that are public, community or shared."""
    image_members: Mapping[str, Sequence[Raw]] = field(default_factory=dict)
    """Image id -> members."""
    plane_user_id: str = ""
    """The user that the plane authenticates as."""
