"""What Neutron fills in for a subnet, and one spelling of addresses: spec and listing become comparable.

The rules are those of `neutron/db/ipam_backend_mixin.py` and `neutron/ipam/utils.py`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from controlplane.tenants.resources import Json

Cidr = ipaddress.IPv4Network | ipaddress.IPv6Network


def automatic_gateway(cidr: Cidr) -> str:
    """The gateway of a subnet for which none is named: the first host, in IPv6 the router anycast address.

    >>> [automatic_gateway(ipaddress.ip_network(c)) for c in ("10.0.0.0/24", "fd00::/64")]
    ['10.0.0.1', 'fd00::']
    """
    return str(cidr.network_address + (1 if cidr.version == 4 and cidr.num_addresses > 1 else 0))


def automatic_ranges(cidr: Cidr, gateway: str | None) -> list[list[str]]:
    """The ranges of a subnet for which none are named: all hosts but the gateway.

    >>> automatic_ranges(ipaddress.ip_network("10.0.0.0/29"), "10.0.0.3")
    [['10.0.0.1', '10.0.0.2'], ['10.0.0.4', '10.0.0.6']]
    >>> automatic_ranges(ipaddress.ip_network("fd00::/126"), "fd00::")
    [['fd00::1', 'fd00::3']]
    """
    whole = cidr.num_addresses <= (2 if cidr.version == 4 else 1)
    first = int(cidr[0]) + (0 if whole else 1)
    last = int(cidr[-1]) - (0 if whole or cidr.version == 6 else 1)
    gate = int(ipaddress.ip_address(gateway)) if gateway else -1
    spans = [(first, gate - 1), (gate + 1, last)] if first <= gate <= last else [(first, last)]
    address = type(cidr[0])
    return [[str(address(low)), str(address(high))] for low, high in spans if low <= high]


def gateway_word(cidr: Cidr, gateway: str | None) -> str:
    """The field `gateway`: `none`, `auto` or another address."""
    if gateway is None:
        return "none"
    plain = str(ipaddress.ip_address(gateway))
    return "auto" if plain == automatic_gateway(cidr) else plain


def ranges_word(cidr: Cidr, gateway: str | None, ranges: Iterable[tuple[str, str]]) -> Json:
    """The field `ranges`: `auto` when they are all hosts but the gateway, else in order of addresses."""
    pairs = sorted([ipaddress.ip_address(end) for end in pair] for pair in ranges)
    plain = [[str(low), str(high)] for low, high in pairs]
    return "auto" if plain == automatic_ranges(cidr, gateway) else plain


def plain_routes(routes: Iterable[tuple[str, str]]) -> list[list[str]]:
    """Destination and next hop of each route, in one spelling and order.

    >>> plain_routes([("FD00:A::/64", "fd00::0009")])
    [['fd00:a::/64', 'fd00::9']]
    """
    return sorted(
        [str(ipaddress.ip_network(to, strict=False)), str(ipaddress.ip_address(by))] for to, by in routes
    )
