"""What the site has, that specs name and checks are made against: pure data read from a listing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SubnetPool:
    """An address pool of the site (a Neutron subnet pool)."""

    id: str
    prefixes: tuple[str, ...]
    min_prefix_length: int
    max_prefix_length: int
    default_prefix_length: int
    allocated: tuple[str, ...] = ()
    """CIDRs taken from it so far."""


@dataclass(frozen=True)
class Facility:
    """A flavor, image or volume type that the site has."""

    id: str
    public: bool
    mark: tuple[str, str] | None = None
    """Tenant and address when the plane made it for a tenant."""


@dataclass(frozen=True)
class Capacity:
    """What a single tenant's quota can be at most, over-commitment included. None: not known, not checked."""

    cores: int | None = None
    ram_mib: int | None = None
    volume_gib: int | None = None


@dataclass(frozen=True)
class SiteFacts:
    """Names to what they name. `plane_user_id` is the user that the plane itself authenticates as."""

    domains: Mapping[str, Facility] = field(default_factory=dict)
    roles: Mapping[str, str] = field(default_factory=dict)
    external_networks: Mapping[str, str] = field(default_factory=dict)
    subnet_pools: Mapping[str, SubnetPool] = field(default_factory=dict)
    flavors: Mapping[str, Facility] = field(default_factory=dict)
    images: Mapping[str, Facility] = field(default_factory=dict)
    """Only images that can be shared or are public; `public` tells which. A name held twice is left out."""
    volume_types: Mapping[str, Facility] = field(default_factory=dict)
    capacity: Capacity = Capacity()
    plane_user_id: str = ""
