"""Quotas: a known class, no unlimited by accident, and room for what the spec itself makes."""

from __future__ import annotations

from collections.abc import Iterator

from controlplane.tenants.errors import Finding
from controlplane.tenants.quotas import AREAS, Limits, QuotaClasses, resolve
from controlplane.tenants.reading import ReadSpec
from controlplane.tenants.spec import Project
from controlplane.tenants.words import Path, choose, count, quoted

OWN_GROUPS, OWN_RULES = 1, 4
"""Neutron's own security group `default` of every project, and its rules, count too."""
FIRST_RULES = 2
"""Neutron begins every security group with two rules that let everything out."""


def check(spec: ReadSpec, classes: QuotaClasses) -> Iterator[Finding]:
    """What is wrong with the quota of each project."""
    for i, project in enumerate(spec.tenant.projects):
        path: Path = ("projects", i, "quota")
        if project.quota.of_class not in classes.limits:
            yield spec.finding(
                (*path, "class"),
                f"quota of project {project.name} has the class {quoted(project.quota.of_class)}, "
                "which this site does not have",
                choose(project.quota.of_class, classes.limits, "classes"),
            )
            continue
        if project.quota.of_class not in classes.unlimited:
            yield from _unlimited(spec, path, project)
        yield from _room(spec, path, project, resolve(project.quota, classes))


def _unlimited(spec: ReadSpec, path: Path, project: Project) -> Iterator[Finding]:
    for area, keys in AREAS.items():
        for key in keys:
            if getattr(getattr(project.quota, area), key) == -1:
                yield spec.finding(
                    (*path, area, key),
                    f"{spec.label((*path, area, key))} is -1, no limit, "
                    f"which the class {project.quota.of_class} does not allow",
                    "Write a number.",
                )


def _room(spec: ReadSpec, path: Path, project: Project, limits: Limits) -> Iterator[Finding]:
    rules = sum(FIRST_RULES + len(group.rules) for group in project.security_groups)
    groups = len(project.security_groups)
    needs = (
        ("network", "networks", len(project.networks), "network", ""),
        ("network", "subnets", sum(len(n.subnets) for n in project.networks), "subnet", ""),
        ("network", "routers", len(project.routers), "router", ""),
        ("network", "ports", sum(len(r.interfaces) for r in project.routers), "router interface", ""),
        (
            "network",
            "security_groups",
            groups and groups + OWN_GROUPS,
            "security group",
            ", OpenStack's own included",
        ),
        (
            "network",
            "security_group_rules",
            rules and rules + OWN_RULES,
            "rule",
            ", OpenStack's own included",
        ),
        ("network", "rbac_policies", sum(len(n.share_with) for n in project.networks), "network share", ""),
        ("compute", "server_groups", len(project.server_groups), "server group", ""),
    )
    for area, key, needed, noun, note in needs:
        limit = limits[area][key]
        if 0 <= limit < needed:
            overridden = getattr(getattr(project.quota, area), key) is not None
            yield spec.finding(
                (*path, area, key) if overridden else (*path, "class"),
                f"quota.{area}.{key} of project {project.name} is {limit}, "
                f"but the spec makes {count(needed, noun)}{note}",
                f"Write '{key}: {needed}' or more in quota.{area}, or make fewer.",
            )
