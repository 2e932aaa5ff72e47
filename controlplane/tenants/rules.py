"""The identity of a security group rule: what it lets through, in one canonical text."""

from __future__ import annotations

from controlplane.tenants.resources import Fields

ANYWHERE = ("0.0.0.0/0", "::/0")
ALL_PORTS = (1, 65535)
PROTOCOLS = {
    "0": None,
    "1": "icmp",
    "6": "tcp",
    "17": "udp",
    "58": "ipv6-icmp",
    "132": "sctp",
    "any": None,
    "icmpv6": "ipv6-icmp",
}
"""Other names by which Neutron knows a protocol; it takes a rule under both names for the same rule."""


def rule_fields(
    *,
    security_group: str,
    direction: str,
    ether: str,
    protocol: str | None,
    ports: tuple[int, int | None] | None,
    cidr: str | None,
    group: str | None,
) -> Fields:
    """The canonical fields of a rule: any protocol, all ports and anywhere are None, as in Neutron.

    `ports` of ICMP are type and code, which may be None.
    """
    return {
        "security_group": security_group,
        "direction": direction,
        "ether": ether,
        "protocol": PROTOCOLS.get(protocol, protocol) if protocol else None,
        "ports": list(ports) if ports and ports != ALL_PORTS else None,
        "cidr": None if cidr in ANYWHERE else cidr,
        "group": group,
    }


def rule_key(fields: Fields) -> str:
    """`direction:ether:protocol:ports:remote`, the last part of a rule's address.

    >>> rule_key(rule_fields(security_group="security-group/p/web", direction="ingress", ether="IPv4",
    ...                      protocol="tcp", ports=(443, 443), cidr="0.0.0.0/0", group=None))
    'ingress:IPv4:tcp:443:any'
    """
    low, high = fields["ports"] or ("any", "any")
    span = str(low) if low == high else f"{low}-{'any' if high is None else high}"
    group = fields["group"]
    remote = f"group={group.rsplit('/', 1)[-1]}" if group else fields["cidr"] or "any"
    return f"{fields['direction']}:{fields['ether']}:{fields['protocol'] or 'any'}:{span}:{remote}"
