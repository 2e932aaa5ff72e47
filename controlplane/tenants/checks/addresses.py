"""Subnets: valid CIDRs that overlap nothing, with gateway, ranges and name servers that belong to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import groupby, pairwise
from typing import NamedTuple

from controlplane.tenants.errors import Finding
from controlplane.tenants.reading import ReadSpec
from controlplane.tenants.spec import Network, Subnet
from controlplane.tenants.subnets import automatic_gateway
from controlplane.tenants.words import Path, quoted

MOST_NAME_SERVERS = 5
"""Neutron's `max_dns_nameservers`."""
PREFIXES = {4: (8, 30), 6: (48, 126)}
USUAL = {4: 24, 6: 64}
SMALLEST_MTU_IPV6 = 1280

AnyNetwork = IPv4Network | IPv6Network
AnyAddress = IPv4Address | IPv6Address

_SPECIAL = (
    (ip_network("0.0.0.0/8"), "means 'this network' and is never routed"),
    (ip_network("127.0.0.0/8"), "is loopback"),
    (ip_network("169.254.0.0/16"), "is link-local, where the metadata service answers"),
    (ip_network("224.0.0.0/4"), "is multicast"),
    (ip_network("240.0.0.0/4"), "is reserved"),
    (ip_network("fe80::/10"), "is link-local"),
    (ip_network("ff00::/8"), "is multicast"),
    (ip_network("::/8"), "is reserved"),
)


class Given(NamedTuple):
    """A subnet with a valid CIDR, and where it stands."""

    path: Path
    cidr: AnyNetwork
    subnet: Subnet


def check(spec: ReadSpec) -> Iterator[Finding]:
    """What is wrong with subnets, and with CIDRs of a project that overlap."""
    for i, project in enumerate(spec.tenant.projects):
        for j, network in enumerate(project.networks):
            yield from _network(spec, ("projects", i, "networks", j), network)
    for _, given in groupby(given_subnets(spec), key=lambda one: one.path[1]):
        yield from _overlaps(spec, list(given))


def given_subnets(spec: ReadSpec) -> Iterator[Given]:
    """Every subnet that has a CIDR of its own, valid and of a usual size."""
    for i, project in enumerate(spec.tenant.projects):
        for j, network in enumerate(project.networks):
            for k, subnet in enumerate(network.subnets):
                cidr = parse_network(subnet.cidr) if subnet.cidr is not None else None
                if cidr is not None and _usual(cidr):
                    yield Given(("projects", i, "networks", j, "subnets", k), cidr, subnet)


def _usual(cidr: AnyNetwork) -> bool:
    low, high = PREFIXES[cidr.version]
    return low <= cidr.prefixlen <= high


def parse_network(text: str) -> AnyNetwork | None:
    """A network as `address/prefix length`, without host bits; None when it is none."""
    try:
        return ip_network(text) if re.fullmatch(r"[0-9A-Fa-f.:]+/[0-9]{1,3}", text) else None
    except ValueError:
        return None


def parse_address(text: str) -> AnyAddress | None:
    """One address; None when it is none."""
    try:
        return ip_address(text) if "%" not in text else None
    except ValueError:
        return None


def why_no_network(text: str, host: bool = True) -> tuple[str, str]:
    """What is wrong with a CIDR that `parse_network` refuses, and the remedy; `host`: one address will do."""
    if (address := parse_address(text)) is not None:
        if host:
            return "has no prefix length", f"Add it: {address}/{address.max_prefixlen} is this one address."
        usual = ip_network(f"{address}/{USUAL[address.version]}", strict=False)
        return "has no prefix length", f"Add it, such as {usual}."
    try:
        nearest = ip_network(text, strict=False)
    except ValueError:
        return "is not a network", "Write it as an address and a prefix length, such as 10.0.0.0/24."
    if "/" in text and not text.rpartition("/")[2].isdigit():
        return "has a mask in place of a prefix length", f"Write {nearest}."
    return "has bits set behind its prefix", f"Write {nearest}, the network that contains it."


# --- one subnet -------------------------------------------------------------------------------------------


def _network(spec: ReadSpec, path: Path, network: Network) -> Iterator[Finding]:
    yield from _one_source(spec, path, network)
    for k, subnet in enumerate(network.subnets):
        here = (*path, "subnets", k)
        cidr = parse_network(subnet.cidr) if subnet.cidr is not None else None
        yield from _source(spec, here, subnet)
        if subnet.cidr is not None:
            yield from _cidr(spec, here, subnet.cidr, cidr)
        if subnet.cidr is not None or subnet.pool is None:
            yield from _gateway(spec, here, subnet, cidr)
            yield from _ranges(spec, here, subnet, cidr)
        yield from _name_servers(spec, here, subnet, cidr)
        if (
            network.mtu is not None
            and network.mtu < SMALLEST_MTU_IPV6
            and cidr is not None
            and cidr.version == 6
        ):
            yield spec.finding(
                (*path, "mtu"),
                f"mtu of network {network.name} is {network.mtu}, too small for IPv6 subnet {subnet.name}",
                f"Write {SMALLEST_MTU_IPV6} or more.",
            )


def _one_source(spec: ReadSpec, path: Path, network: Network) -> Iterator[Finding]:
    """Neutron wants all IPv4 subnets of a network from one pool, or none of them from a pool."""
    sources = [(k, s) for k, s in enumerate(network.subnets) if s.cidr is None or ":" not in s.cidr]
    for k, subnet in sources[1:]:
        _, first = sources[0]
        if subnet.pool != first.pool and None in (subnet.pool, subnet.cidr):
            yield spec.finding(
                (*path, "subnets", k, "pool" if subnet.pool else "cidr"),
                f"{spec.label((*path, 'subnets', k))} has its addresses from {subnet.pool or 'its cidr'}, "
                f"but subnet {first.name} of the same network from {first.pool or 'its cidr'}",
                "Take both from the same pool, or put one on a network of its own.",
            )


def _source(spec: ReadSpec, path: Path, subnet: Subnet) -> Iterator[Finding]:
    """Exactly one of `cidr` and `pool`, with only what goes with it."""
    what = spec.label(path)
    if subnet.cidr is None and subnet.pool is None:
        yield spec.finding(
            path, f"{what} has neither 'cidr' nor 'pool'", "Add 'pool: POOL' of the site, or 'cidr: NETWORK'."
        )
    elif subnet.cidr is not None and subnet.pool is not None:
        yield spec.finding((*path, "pool"), f"{what} has both 'cidr' and 'pool'", "Keep one of the two.")
    elif subnet.cidr is not None and subnet.prefix_length is not None:
        yield spec.finding(
            (*path, "prefix_length"),
            f"{what} has 'prefix_length' beside 'cidr', which has one already",
            "Remove 'prefix_length'.",
        )
    elif subnet.pool is not None:
        low, high = PREFIXES[4]
        if subnet.prefix_length is not None and not low <= subnet.prefix_length <= high:
            yield spec.finding(
                (*path, "prefix_length"),
                f"prefix_length of {what} is {subnet.prefix_length}, must be between {low} and {high}",
                "Write a number in that range: 26 makes 64 addresses, 24 makes 256.",
            )
        unknowable = [
            k
            for k, given in (("gateway", subnet.gateway not in (None, "none")), ("ranges", subnet.ranges))
            if given
        ]
        for key in unknowable:
            yield spec.finding(
                (*path, key),
                f"{what} has '{key}', but its addresses are known only once the pool gave them",
                f"Remove '{key}': the site chooses well; or give the subnet a 'cidr' in place of 'pool'.",
            )


def _cidr(spec: ReadSpec, path: Path, text: str, cidr: AnyNetwork | None) -> Iterator[Finding]:
    what = f"cidr {quoted(text)} of {spec.label(path)}"
    here = (*path, "cidr")
    if cidr is None:
        why, remedy = why_no_network(text, host=False)
        yield spec.finding(here, f"{what} {why}", remedy)
        return
    if not _usual(cidr):
        low, high = PREFIXES[cidr.version]
        yield spec.finding(
            here,
            f"{what} has the prefix length {cidr.prefixlen}, must be between {low} and {high}",
            f"Write a length in that range; /{USUAL[cidr.version]} is usual.",
        )
        return
    for special, meaning in _SPECIAL:
        if special.version == cidr.version and special.overlaps(cidr):
            meets = "is in" if cidr.prefixlen >= special.prefixlen else "includes"
            better = "10.0.0.0/24" if cidr.version == 4 else "fd00:0:0:1::/64"
            yield spec.finding(
                here,
                f"{what} {meets} {special}, which {meaning}",
                f"Choose a private range, such as {better}.",
            )
            return


def _gateway(spec: ReadSpec, path: Path, subnet: Subnet, cidr: AnyNetwork | None) -> Iterator[Finding]:
    if subnet.gateway in (None, "none"):
        return
    here = (*path, "gateway")
    what = f"gateway {quoted(subnet.gateway)} of {spec.label(path)}"
    address = parse_address(str(subnet.gateway))
    if address is None:
        yield spec.finding(here, f"{what} is not an address", "Write an address of the subnet, or none.")
    elif cidr is not None and (why := _misfit(address, cidr)):
        yield spec.finding(
            here, f"{what} {why}", f"Write an address of the subnet, such as {cidr[1]}, or none."
        )


def _misfit(address: AnyAddress, cidr: AnyNetwork) -> str:
    """Why a host of `cidr` cannot have `address`; empty when it can."""
    if address.version != cidr.version or address not in cidr:
        return f"is not in {cidr}"
    if address == cidr.network_address:
        return f"is the address of the network {cidr} itself"
    if cidr.version == 4 and address == cidr.broadcast_address:
        return f"is the broadcast address of {cidr}"
    return ""


def _ranges(spec: ReadSpec, path: Path, subnet: Subnet, cidr: AnyNetwork | None) -> Iterator[Finding]:
    fine: list[tuple[int, int, int]] = []
    for n, given in enumerate(subnet.ranges):
        here = (*path, "ranges", n)
        what = spec.label(here)
        ends = []
        for key, text in (("start", given.start), ("end", given.end)):
            address = parse_address(text)
            why = (
                "is not an address" if address is None else _misfit(address, cidr) if cidr is not None else ""
            )
            if why:
                between = f"between {cidr[1]} and {cidr[-2]}" if cidr is not None else "such as 10.0.0.10"
                yield spec.finding(
                    (*here, key), f"{key} {quoted(text)} of {what} {why}", f"Write an address {between}."
                )
            elif address is not None:
                ends.append(address)
        if len(ends) < 2 or cidr is None:
            continue
        low, high = int(ends[0]), int(ends[1])
        if low > high:
            yield spec.finding(
                (*here, "start"),
                f"{what} starts at {given.start}, after its end {given.end}",
                "Swap the two.",
            )
            continue
        gateway = _gateway_of(subnet, cidr)
        if gateway is not None and low <= int(gateway) <= high:
            yield spec.finding(
                (*here, "start"),
                f"{what} includes the gateway {gateway}",
                "Leave the gateway out of the ranges, or write another 'gateway'.",
            )
        fine.append((low, high, n))
    for (_, end, one), (start, _, other) in pairwise(sorted(fine)):
        if start <= end:
            first, second = sorted((one, other))
            yield spec.finding(
                (*path, "ranges", second, "start"),
                f"{spec.label((*path, 'ranges', second))} overlaps range {first + 1}",
                "Make them one range, or move one of them.",
            )


def _gateway_of(subnet: Subnet, cidr: AnyNetwork) -> AnyAddress | None:
    """The gateway that OpenStack will use: the first address when none is given."""
    if subnet.gateway == "none":
        return None
    return parse_address(subnet.gateway or automatic_gateway(cidr))


def _name_servers(spec: ReadSpec, path: Path, subnet: Subnet, cidr: AnyNetwork | None) -> Iterator[Finding]:
    what = spec.label(path)
    if len(subnet.dns) > MOST_NAME_SERVERS:
        yield spec.finding(
            (*path, "dns"),
            f"dns of {what} lists {len(subnet.dns)} servers, OpenStack takes at most {MOST_NAME_SERVERS}",
            "Keep the nearest ones.",
        )
    seen: set[AnyAddress] = set()
    for n, text in enumerate(subnet.dns):
        here = (*path, "dns", n)
        address = parse_address(text)
        if address is None:
            yield spec.finding(
                here,
                f"dns of {what} has {quoted(text)}, which is not an address",
                "Write the server's address.",
            )
            continue
        if address in seen:
            yield spec.finding(here, f"dns of {what} has {quoted(text)} twice", "Remove one of the two.")
        elif address.is_multicast or address.is_unspecified or address.is_loopback:
            yield spec.finding(
                here,
                f"dns of {what} has {quoted(text)}, which other servers cannot reach",
                "Write the address at which the servers of the tenant reach it.",
            )
        elif cidr is not None and address.version != cidr.version:
            yield spec.finding(
                here,
                f"dns of {what} has {quoted(text)}, but the subnet {cidr} is IPv{cidr.version}",
                f"Write an IPv{cidr.version} address.",
            )
        seen.add(address)


# --- between subnets --------------------------------------------------------------------------------------


def _overlaps(spec: ReadSpec, given: list[Given]) -> Iterator[Finding]:
    """One pass over the sorted CIDRs: two networks overlap only when one contains the other."""
    for version in (4, 6):
        widest: Given | None = None
        for one in sorted((g for g in given if g.cidr.version == version), key=_by_address):
            if widest is not None and int(one.cidr.network_address) <= int(widest.cidr.broadcast_address):
                first, second = sorted((widest, one), key=lambda g: spec.tree.place(g.path))
                yield spec.finding(
                    (*second.path, "cidr"),
                    f"cidr {second.cidr} of {spec.label(second.path)} overlaps {first.cidr} of "
                    f"{spec.label(first.path)} on line {spec.line((*first.path, 'cidr'))}",
                    "Choose ranges that share no address.",
                )
            else:
                widest = one


def _by_address(given: Given) -> tuple[int, int, Path]:
    return int(given.cidr.network_address), given.cidr.prefixlen, given.path
