"""Security groups: rules that OpenStack takes, that mean what they say, and no rule twice."""

from __future__ import annotations

from collections.abc import Iterator

from controlplane.tenants.checks.addresses import parse_network, why_no_network
from controlplane.tenants.checks.names import unknown
from controlplane.tenants.errors import Finding
from controlplane.tenants.reading import ReadSpec
from controlplane.tenants.spec import Rule, SecurityGroup
from controlplane.tenants.words import Path, quoted

WITH_PORTS = ("tcp", "udp", "sctp")
_ANYWHERE = ("0.0.0.0/0", "::/0")


def check(spec: ReadSpec) -> Iterator[Finding]:
    """What is wrong with the security groups of each project."""
    for i, project in enumerate(spec.tenant.projects):
        groups = {group.name for group in project.security_groups}
        for j, group in enumerate(project.security_groups):
            path: Path = ("projects", i, "security_groups", j)
            if group.name == "default":
                yield spec.finding(
                    (*path, "name"),
                    f"a security group of project {project.name} is called 'default', "
                    "which OpenStack makes itself and refuses to make again",
                    "Choose another name.",
                )
            for k, rule in enumerate(group.rules):
                yield from _rule(spec, (*path, "rules", k), rule, groups, f"project {project.name}")
            yield from _identical(spec, path, group)


def _rule(spec: ReadSpec, path: Path, rule: Rule, groups: set[str], owner: str) -> Iterator[Finding]:
    what = spec.label(path)
    if rule.ports is not None:
        yield from _ports(spec, path, rule)
    if rule.protocol == "ipv6-icmp" and rule.ether == "IPv4":
        yield spec.finding(
            (*path, "protocol"),
            f"{what} has protocol ipv6-icmp for IPv4",
            "Add 'ether: IPv6', or write protocol icmp.",
        )
    if rule.protocol == "icmp" and rule.ether == "IPv6":
        yield spec.finding(
            (*path, "protocol"), f"{what} has protocol icmp for IPv6", "Write protocol ipv6-icmp."
        )
    if rule.cidr is not None and rule.group is not None:
        yield spec.finding(
            (*path, "group"),
            f"{what} has both 'cidr' and 'group'",
            "Keep one of the two, or make it two rules.",
        )
    if rule.cidr is not None:
        cidr = parse_network(rule.cidr)
        if cidr is None:
            why, remedy = why_no_network(rule.cidr)
            yield spec.finding((*path, "cidr"), f"cidr {quoted(rule.cidr)} of {what} {why}", remedy)
        elif f"IPv{cidr.version}" != rule.ether:
            yield spec.finding(
                (*path, "cidr"),
                f"cidr {quoted(rule.cidr)} of {what} is IPv{cidr.version}, but the rule is for {rule.ether}",
                f"Add 'ether: IPv{cidr.version}' to the rule."
                if cidr.version == 6
                else "Remove 'ether: IPv6'.",
            )
    if rule.group is not None:
        yield from unknown(spec, (*path, "group"), rule.group, groups, "security group", owner)


def _ports(spec: ReadSpec, path: Path, rule: Rule) -> Iterator[Finding]:
    what = spec.label(path)
    here = (*path, "ports")
    low, high = port_range(rule)
    if rule.protocol == "any":
        yield spec.finding(
            here,
            f"{what} has 'ports' but no protocol",
            "Add 'protocol: tcp', 'udp' or 'sctp', or remove 'ports'.",
        )
    elif rule.protocol not in WITH_PORTS:
        yield spec.finding(here, f"{what} has 'ports', but {rule.protocol} has no ports", "Remove 'ports'.")
    elif not 1 <= low <= 65535 or not 1 <= high <= 65535:
        yield spec.finding(
            here,
            f"{what} has the ports {rule.ports}, must be between 1 and 65535",
            "Write numbers in that range.",
        )
    elif low > high:
        yield spec.finding(
            here, f"{what} has the ports {rule.ports}, which end before they begin", f"Write {high}-{low}."
        )


def port_range(rule: Rule) -> tuple[int, int]:
    """First and last port of a rule that has ports."""
    low, _, high = str(rule.ports).partition("-")
    return int(low), int(high or low)


def _identical(spec: ReadSpec, path: Path, group: SecurityGroup) -> Iterator[Finding]:
    """OpenStack refuses a rule that lets through exactly what another one does."""
    seen: dict[tuple[object, ...], Path] = {}
    if group.egress == "allow":
        for ether in ("IPv4", "IPv6"):
            seen["egress", ether, "any", None, None, None] = ()
    for k, rule in enumerate(group.rules):
        here = (*path, "rules", k)
        network = parse_network(rule.cidr) if rule.cidr is not None else None
        cidr = None if rule.cidr in _ANYWHERE else str(network) if network is not None else rule.cidr
        ports = port_range(rule) if rule.ports is not None else None
        earlier = seen.setdefault((rule.direction, rule.ether, rule.protocol, ports, cidr, rule.group), here)
        if earlier == ():
            yield spec.finding(
                here,
                f"{spec.label(here)} lets everything out, as 'egress: allow' does already",
                "Remove the rule, or write 'egress: deny' in the group.",
            )
        elif earlier != here:
            yield spec.finding(
                here,
                f"{spec.label(here)} is the same as the one on line {spec.line(earlier)}",
                "Remove one of the two.",
            )
