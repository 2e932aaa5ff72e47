"""What the site has, that specs name and checks are made against: pure data read from a listing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from controlplane.tenants.listing import Listing
from controlplane.tenants.resources import read_mark


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


def read_facts(listing: Listing, overcommit: Mapping[str, float]) -> SiteFacts:
    """The site's facts in a listing; `overcommit` has the ratios `cores`, `ram` and `volume` (default 1)."""
    pools = {}
    for raw in listing.subnet_pools:
        taken = tuple(s["cidr"] for s in listing.subnets if s.get("subnetpool_id") == raw["id"])
        pools[raw["name"]] = SubnetPool(
            raw["id"],
            tuple(raw["prefixes"]),
            int(raw["min_prefixlen"]),
            int(raw["max_prefixlen"]),
            int(raw["default_prefixlen"]),
            taken,
        )
    images: dict[str, Facility] = {}
    twice = set()
    for raw in listing.images:
        if raw["name"] in images:
            twice.add(raw["name"])
        images[raw["name"]] = Facility(raw["id"], raw.get("visibility") == "public")
    return SiteFacts(
        domains={
            d["name"]: Facility(d["id"], False, read_mark(d.get("description"))) for d in listing.domains
        },
        roles={raw["name"]: raw["id"] for raw in listing.roles},
        external_networks={raw["name"]: raw["id"] for raw in listing.networks if raw.get("router:external")},
        subnet_pools=pools,
        flavors={
            raw["name"]: Facility(
                raw["id"], raw["os-flavor-access:is_public"], read_mark(raw.get("description"))
            )
            for raw in listing.flavors
        },
        images={name: facility for name, facility in images.items() if name not in twice},
        volume_types={
            raw["name"]: Facility(raw["id"], raw["is_public"], read_mark(raw.get("description")))
            for raw in listing.volume_types
        },
        capacity=_capacity(listing, overcommit),
        plane_user_id=listing.plane_user_id,
    )


def _capacity(listing: Listing, overcommit: Mapping[str, float]) -> Capacity:
    totals = listing.hypervisor_totals
    volume: float | None = 0.0
    for pool in listing.volume_pools:
        size = pool.get("capabilities", {}).get("total_capacity_gb")
        known = isinstance(size, int | float)
        volume = volume + float(size) if known and volume is not None else None
    if not listing.volume_pools:
        volume = None
    return Capacity(
        cores=int(totals["vcpus"] * overcommit.get("cores", 1)) if totals.get("vcpus") else None,
        ram_mib=int(totals["memory_mb"] * overcommit.get("ram", 1)) if totals.get("memory_mb") else None,
        volume_gib=None if volume is None else int(volume * overcommit.get("volume", 1)),
    )
