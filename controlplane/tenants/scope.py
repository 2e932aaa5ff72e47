"""What has to be looked at to plan for a tenant: no more requests than its spec and records call for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from controlplane.tenants.desired import Desired
from controlplane.tenants.listing import Scope
from controlplane.tenants.resources import Kind, Record, kind_of


def scope_of(tenant: str, desired: Desired | None, records: Mapping[str, Record], site: bool = True) -> Scope:
    """The scope of one tenant: its domain, and by name whatever OpenStack cannot list in bulk.

    Without `site`, what the site offers is left out: enough to compare, not to check a spec.
    """
    addresses = {*(desired.resources if desired else ()), *records}

    def parts(kind: Kind) -> list[list[str]]:
        return [a.split("/") for a in addresses if kind_of(a) is kind]

    def names(kinds: Iterable[Kind]) -> frozenset[str]:
        found = [a.split("/", 1)[1] for a in addresses if kind_of(a) in kinds]
        return frozenset(name.rpartition("/")[0] for name in found)

    return Scope(
        tenants=frozenset({tenant}),
        keypair_users=frozenset((tenant, p[1]) for p in parts(Kind.KEYPAIR)),
        credential_users=frozenset((tenant, p[1]) for p in parts(Kind.APPLICATION_CREDENTIAL)),
        groups=frozenset((tenant, p[1]) for p in parts(Kind.GROUP)),
        flavors=names({Kind.FLAVOR_ACCESS}),
        images=names({Kind.IMAGE_ACCESS}),
        volume_types=names({Kind.VOLUME_TYPE_ACCESS}),
        server_groups=bool(parts(Kind.SERVER_GROUP)),
        site=site,
    )
