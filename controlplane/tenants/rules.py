"""The identity of a security group rule: what it lets through, in one canonical text."""

from __future__ import annotations

from controlplane.tenants.resources import Fields

ANYWHERE = ("0.0.0.0/0", "::/0")


def rule_fields(
    *,
    security_group: str,
    direction: str,
    ether: str,
    protocol: str | None,
    ports: tuple[int, int] | None,
    cidr: str | None,
    group: str | None,
) -> Fields:
    """The canonical fields of a rule: `any` protocol and anywhere are None, as Neutron treats them."""
    return {
        "security_group": security_group,
        "direction": direction,
        "ether": ether,
        "protocol": None if protocol in (None, "any", "0") else protocol,
        "ports": list(ports) if ports else None,
        "cidr": None if cidr in ANYWHERE else cidr,
        "group": group,
    }


def rule_key(fields: Fields) -> str:
    """`direction:ether:protocol:ports:remote`, the last part of a rule's address.

    >>> rule_key(rule_fields(security_group="security-group/p/web", direction="ingress", ether="IPv4",
    ...                      protocol="tcp", ports=(443, 443), cidr="0.0.0.0/0", group=None))
    'ingress:IPv4:tcp:443:any'
    """
    ports = fields["ports"]
    span = "any" if not ports else str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}"
    group = fields["group"]
    remote = f"group={group.rsplit('/', 1)[-1]}" if group else fields["cidr"] or "any"
    return f"{fields['direction']}:{fields['ether']}:{fields['protocol'] or 'any'}:{span}:{remote}"
