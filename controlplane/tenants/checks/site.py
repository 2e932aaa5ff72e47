"""The site: what a spec names is there, what it makes is not, and there is room for all of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from ipaddress import ip_network

from controlplane.tenants.checks.addresses import PREFIXES, given_subnets
from controlplane.tenants.checks.names import RESERVED_TENANTS
from controlplane.tenants.errors import Finding
from controlplane.tenants.facts import Facility, SiteFacts, SubnetPool
from controlplane.tenants.quotas import QuotaClasses, resolve
from controlplane.tenants.reading import ReadSpec
from controlplane.tenants.spec import Flavor, Subnet, VolumeType
from controlplane.tenants.words import Path, choose, count, quoted


def check(
    spec: ReadSpec, facts: SiteFacts, classes: QuotaClasses, owned: Collection[str]
) -> Iterator[Finding]:
    """What the site cannot give. `owned` has the addresses that exist for this tenant already."""
    yield from _tenant_name(spec, facts)
    yield from _roles(spec, facts)
    yield from _external_networks(spec, facts)
    yield from _pools(spec, facts, owned)
    yield from _address_plan(spec, facts)
    yield from _private(spec, "flavors", "flavor", spec.tenant.flavors, facts.flavors)
    yield from _private(spec, "volume_types", "volume type", spec.tenant.volume_types, facts.volume_types)
    yield from _images(spec, facts)
    yield from _capacity(spec, facts, classes)


def _absent(spec: ReadSpec, path: Path, what: str, noun: str, name: str, known: Collection[str]) -> Finding:
    return spec.finding(
        path,
        f"{what} names the {noun} {quoted(name)}, which this site does not have",
        choose(name, known, f"{noun}s", f"Ask the site's operator for one: it has no {noun} at all."),
    )


def _tenant_name(spec: ReadSpec, facts: SiteFacts) -> Iterator[Finding]:
    name = spec.tenant.tenant
    there = facts.domains.get(name)
    if name in RESERVED_TENANTS:
        return  # said already
    if there is not None and there.mark != (name, "domain"):
        yield spec.finding(
            ("tenant",),
            f"the site has a domain {quoted(name)} already, and the plane did not make it",
            "Choose another name for the tenant.",
        )


def _roles(spec: ReadSpec, facts: SiteFacts) -> Iterator[Finding]:
    used: list[tuple[Path, str]] = [
        (("assignments", i, "role"), a.role) for i, a in enumerate(spec.tenant.assignments)
    ]
    for i, user in enumerate(spec.tenant.users):
        if user.tenant_manager:
            used.append((("users", i, "tenant_manager"), "manager"))
        for j, credential in enumerate(user.application_credentials):
            listed = ("users", i, "application_credentials", j, "roles")
            used += [((*listed, k), role) for k, role in enumerate(credential.roles)]
    for path, role in used:
        if role not in facts.roles:
            yield spec.finding(
                path,
                f"{spec.label(path)} needs the role '{role}', which this site does not have",
                "Have the site's operator run 'keystone-manage bootstrap', which makes the roles.",
            )


def _external_networks(spec: ReadSpec, facts: SiteFacts) -> Iterator[Finding]:
    for i, project in enumerate(spec.tenant.projects):
        for j, router in enumerate(project.routers):
            if router.external is not None and router.external not in facts.external_networks:
                yield _absent(
                    spec,
                    ("projects", i, "routers", j, "external"),
                    f"router {router.name}",
                    "external network",
                    router.external,
                    facts.external_networks,
                )


# --- addresses --------------------------------------------------------------------------------------------


def _pools(spec: ReadSpec, facts: SiteFacts, owned: Collection[str]) -> Iterator[Finding]:
    wanted: dict[str, list[tuple[int, Path]]] = {}
    for i, project in enumerate(spec.tenant.projects):
        for j, network in enumerate(project.networks):
            for k, subnet in enumerate(network.subnets):
                if subnet.pool is None or subnet.cidr is not None:
                    continue
                path: Path = ("projects", i, "networks", j, "subnets", k)
                pool = facts.subnet_pools.get(subnet.pool)
                if pool is None:
                    what = spec.label(path)
                    yield _absent(spec, (*path, "pool"), what, "subnet pool", subnet.pool, facts.subnet_pools)
                    continue
                problem = next(_pool_fits(spec, path, subnet, pool), None)
                if problem is not None:
                    yield problem
                    continue
                if f"subnet/{project.name}/{network.name}/{subnet.name}" not in owned:
                    length = subnet.prefix_length or pool.default_prefix_length
                    wanted.setdefault(subnet.pool, []).append((length, path))
    for name, requests in wanted.items():
        yield from _pool_room(spec, name, facts.subnet_pools[name], requests)


def _pool_fits(spec: ReadSpec, path: Path, subnet: Subnet, pool: SubnetPool) -> Iterator[Finding]:
    if any(":" in prefix for prefix in pool.prefixes):
        yield spec.finding(
            (*path, "pool"),
            f"{spec.label(path)} takes its addresses from the IPv6 pool {quoted(subnet.pool)}",
            "Name an IPv4 pool; an IPv6 subnet is given its 'cidr'.",
        )
    low, high = pool.min_prefix_length, pool.max_prefix_length
    length = subnet.prefix_length
    if length is not None and PREFIXES[4][0] <= length <= PREFIXES[4][1] and not low <= length <= high:
        yield spec.finding(
            (*path, "prefix_length"),
            f"prefix_length of {spec.label(path)} is {length}, "
            f"the pool {quoted(subnet.pool)} gives {low} to {high}",
            "Write a number in that range.",
        )


def _pool_room(
    spec: ReadSpec, name: str, pool: SubnetPool, requests: list[tuple[int, Path]]
) -> Iterator[Finding]:
    """Largest first, each into the smallest free block: when this fails, no other order succeeds."""
    free = _free_blocks(pool)
    for length, path in sorted(requests, key=lambda request: request[0]):
        fitting = [size for size, number in free.items() if number and size <= length]
        if not fitting:
            yield spec.finding(
                (*path, "pool"),
                f"the pool {quoted(name)} has no /{length} left for {spec.label(path)}",
                "Ask for a smaller subnet (a longer prefix), or have the site's operator extend the pool.",
            )
            continue
        size = max(fitting)
        free[size] -= 1
        for smaller in range(size + 1, length + 1):
            free[smaller] = free.get(smaller, 0) + 1


def _free_blocks(pool: SubnetPool) -> dict[int, int]:
    """How many aligned blocks of each prefix length a pool has left."""
    free: dict[int, int] = {}
    taken = sorted(
        (int(n[0]), int(n[-1])) for n in (ip_network(text, strict=False) for text in pool.allocated)
    )
    for text in pool.prefixes:
        prefix = ip_network(text, strict=False)
        start, end = int(prefix[0]), int(prefix[-1])
        for first, last in taken:
            if last < start or first > end:
                continue
            _count_blocks(free, start, first - 1)
            start = max(start, last + 1)
        _count_blocks(free, start, end)
    return free


def _count_blocks(free: dict[int, int], start: int, end: int) -> None:
    """Cut the IPv4 addresses from `start` to `end` into the largest aligned blocks."""
    while start <= end:
        bits = min((start & -start).bit_length() - 1 if start else 32, (end - start + 1).bit_length() - 1)
        free[32 - bits] = free.get(32 - bits, 0) + 1
        start += 1 << bits


def _address_plan(spec: ReadSpec, facts: SiteFacts) -> Iterator[Finding]:
    """What a pool gives out, nobody takes by hand."""
    pools = [
        (name, ip_network(prefix, strict=False))
        for name, pool in facts.subnet_pools.items()
        for prefix in pool.prefixes
    ]
    for given in given_subnets(spec):
        for name, prefix in pools:
            if prefix.version == given.cidr.version and prefix.overlaps(given.cidr):
                yield spec.finding(
                    (*given.path, "cidr"),
                    f"cidr {quoted(given.subnet.cidr)} of {spec.label(given.path)} overlaps {prefix}, "
                    f"which the site gives out by its pool {quoted(name)}",
                    f"Write 'pool: {name}' in place of 'cidr', or choose a range outside {prefix}.",
                )
                break


# --- flavors, images, volume types ------------------------------------------------------------------------


def _private(
    spec: ReadSpec,
    field: str,
    noun: str,
    things: Sequence[Flavor | VolumeType],
    there: Mapping[str, Facility],
) -> Iterator[Finding]:
    tenant = spec.tenant.tenant
    address = noun.replace(" ", "-")
    for i, thing in enumerate(things):
        if "/" in thing.name:
            continue  # said already
        facility = there.get(thing.name)
        path: Path = (field, i, "name")
        owner = facility.mark[0] if facility is not None and facility.mark is not None else None
        if thing.existing and facility is None:
            private = [name for name, one in there.items() if not one.public and one.mark is None]
            yield spec.finding(
                path,
                f"there is no {noun} {quoted(thing.name)} at this site",
                choose(
                    thing.name,
                    private,
                    f"private {noun}s",
                    "Remove 'existing: true' to have the plane make it.",
                ),
            )
        elif thing.existing and facility is not None and facility.public:
            yield spec.finding(
                path,
                f"the {noun} {quoted(thing.name)} is public, so every project may use it already",
                "Remove it here.",
            )
        elif thing.existing and owner is not None:
            mine = owner == tenant
            yield spec.finding(
                path,
                f"the {noun} {quoted(thing.name)} was made for tenant {owner}",
                "Remove 'existing: true'." if mine else "Make one of your own under another name.",
            )
        elif (
            not thing.existing
            and facility is not None
            and facility.mark != (tenant, f"{address}/{thing.name}")
        ):
            remedy = "Choose another name" + (
                "." if facility.public or owner else ", or add 'existing: true' to use that one."
            )
            yield spec.finding(path, f"the site has a {noun} {quoted(thing.name)} already", remedy)


def _images(spec: ReadSpec, facts: SiteFacts) -> Iterator[Finding]:
    for i, image in enumerate(spec.tenant.images):
        if "/" in image.name:
            continue  # said already
        there = facts.images.get(image.name)
        if there is None:
            shared = [name for name, one in facts.images.items() if not one.public]
            yield spec.finding(
                ("images", i, "name"),
                f"the site has no image {quoted(image.name)} to share, or more than one of that name",
                choose(
                    image.name,
                    shared,
                    "images",
                    "Have the site's operator upload it with visibility 'shared'.",
                ),
            )
        elif there.public:
            yield spec.finding(
                ("images", i, "name"),
                f"the image {quoted(image.name)} is public, so every project may use it already",
                "Remove it here.",
            )


# --- capacity ---------------------------------------------------------------------------------------------


def _capacity(spec: ReadSpec, facts: SiteFacts, classes: QuotaClasses) -> Iterator[Finding]:
    """The quotas of a tenant's projects together against what the site has."""
    known = [(i, p) for i, p in enumerate(spec.tenant.projects) if p.quota.of_class in classes.limits]
    for area, key, unit, most in (
        ("compute", "cores", "cores", facts.capacity.cores),
        ("compute", "ram_mib", "MiB of memory", facts.capacity.ram_mib),
        ("volume", "size_gib", "GiB of volumes", facts.capacity.volume_gib),
    ):
        if most is None:
            continue
        numbers = [(max(resolve(p.quota, classes)[area][key], 0), i) for i, p in known]
        total = sum(number for number, _ in numbers)
        if total <= most:
            continue
        largest, i = max(numbers, key=lambda one: (one[0], -one[1]))
        override = getattr(getattr(spec.tenant.projects[i].quota, area), key) is not None
        path: Path = ("projects", i, "quota")
        together = f", {count(len(numbers), 'project')} together" if len(numbers) > 1 else ""
        yield spec.finding(
            (*path, area, key) if override else (*path, "class"),
            f"the quota is {total} {unit}{together}, but this site has {most}",
            f"Lower quota.{area}.{key} of project {spec.tenant.projects[i].name}, which is {largest}"
            + (", or of another." if len(numbers) > 1 else "."),
        )
