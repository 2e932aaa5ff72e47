"""Routers: interfaces that exist and can be attached, routes whose next hop the router can reach."""

from __future__ import annotations

from collections.abc import Iterator

from controlplane.tenants.checks.addresses import AnyNetwork, parse_address, parse_network, why_no_network
from controlplane.tenants.errors import Finding
from controlplane.tenants.reading import ReadSpec
from controlplane.tenants.spec import Project, Router, Subnet
from controlplane.tenants.words import Path, choose, listed, quoted


def check(spec: ReadSpec) -> Iterator[Finding]:
    """What is wrong with the routers of each project."""
    for i, project in enumerate(spec.tenant.projects):
        subnets = {f"{n.name}/{s.name}": s for n in project.networks for s in n.subnets}
        yield from _interfaces(spec, ("projects", i), project, subnets)
        for j, router in enumerate(project.routers):
            path: Path = ("projects", i, "routers", j)
            if router.external is None and not router.snat:
                yield spec.finding(
                    (*path, "snat"),
                    f"router {router.name} has 'snat: false' but no external network",
                    "Add 'external: NETWORK', or remove 'snat'.",
                )
            yield from _routes(spec, path, router, subnets)


def _interfaces(
    spec: ReadSpec, path: Path, project: Project, subnets: dict[str, Subnet]
) -> Iterator[Finding]:
    attached: dict[str, Router] = {}
    for j, router in enumerate(project.routers):
        for k, name in enumerate(router.interfaces):
            here = (*path, "routers", j, "interfaces", k)
            subnet = subnets.get(name)
            if subnet is None:
                yield spec.finding(
                    here,
                    f"router {router.name} has an interface on {quoted(name)}, "
                    f"which project {project.name} does not have",
                    choose(name, subnets, "subnets"),
                )
                continue
            if subnet.gateway == "none":
                yield spec.finding(
                    here,
                    f"router {router.name} has an interface on {name}, which has no gateway address for it",
                    "Remove 'gateway: none' from the subnet, or remove the interface.",
                )
            other = attached.setdefault(name, router)
            if other is not router:
                yield spec.finding(
                    here,
                    f"router {router.name} has an interface on {name}, whose gateway is router {other.name}",
                    "Remove the interface from one of the two routers.",
                )


def _routes(spec: ReadSpec, path: Path, router: Router, subnets: dict[str, Subnet]) -> Iterator[Finding]:
    networks, certain = _reach(router, subnets)
    seen: set[tuple[str, str]] = set()
    for k, route in enumerate(router.routes):
        here = (*path, "routes", k)
        what = spec.label(here)
        if parse_network(route.destination) is None:
            why, remedy = why_no_network(route.destination)
            yield spec.finding(
                (*here, "destination"), f"destination {quoted(route.destination)} of {what} {why}", remedy
            )
        hop = parse_address(route.next_hop)
        if hop is None:
            yield spec.finding(
                (*here, "next_hop"),
                f"next_hop {quoted(route.next_hop)} of {what} is not an address",
                "Write the address of the next router.",
            )
        elif certain and not any(hop.version == n.version and hop in n for n in networks):
            there = listed([str(n) for n in networks], "or") or "none, because it has no interface"
            yield spec.finding(
                (*here, "next_hop"),
                f"next_hop {quoted(route.next_hop)} of {what} is in no network that the router reaches",
                f"Write an address in {there}." if networks else "Give the router an interface first.",
            )
        if (route.destination, route.next_hop) in seen:
            yield spec.finding(here, f"{what} stands there already", "Remove one of the two.")
        seen.add((route.destination, route.next_hop))


def _reach(router: Router, subnets: dict[str, Subnet]) -> tuple[list[AnyNetwork], bool]:
    """The networks a router is on, and whether that is all: a pool's or the site's addresses are unknown."""
    networks: list[AnyNetwork] = []
    certain = router.external is None
    for name in router.interfaces:
        subnet = subnets.get(name)
        cidr = parse_network(subnet.cidr) if subnet is not None and subnet.cidr is not None else None
        if cidr is None:
            certain = False
        else:
            networks.append(cidr)
    return networks, certain
