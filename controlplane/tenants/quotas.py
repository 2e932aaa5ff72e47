"""Quota classes: what a site calls small, medium and large, and how a spec's quota becomes numbers.

A site may change these classes and add its own:

    classes:
      medium:
        compute: {cores: 96}          # everything else stays
      research:
        description: Many small servers
        like: large                   # starts from this class
        unlimited: true               # a spec may write -1 (no limit)
        compute: {instances: 400}

The numbers are stored with the tenant when its spec is taken in: a later change of a class moves no tenant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field

from controlplane.tenants.errors import Finding, SpecInvalid
from controlplane.tenants.reading import decode, read_model
from controlplane.tenants.spec import ComputeQuota, Model, Name, NetworkQuota, Quota, Text, VolumeQuota
from controlplane.tenants.words import choose, dotted, listed
from controlplane.tenants.yaml_tree import Tree

Limits = dict[str, dict[str, int]]
"""`{"compute": {...}, "volume": {...}, "network": {...}}` with every field of the spec's quota models."""

AREAS: Mapping[str, tuple[str, ...]] = {
    "compute": tuple(ComputeQuota.model_fields),
    "volume": tuple(VolumeQuota.model_fields),
    "network": tuple(NetworkQuota.model_fields),
}

_SMALL: Limits = {
    "compute": {
        "instances": 10,
        "cores": 20,
        "ram_mib": 40_960,
        "key_pairs": 20,
        "server_groups": 5,
        "server_group_members": 10,
    },
    "volume": {"volumes": 20, "snapshots": 20, "size_gib": 500, "backups": 10, "backup_size_gib": 500},
    "network": {
        "networks": 5,
        "subnets": 10,
        "routers": 2,
        "ports": 100,
        "floating_ips": 5,
        "security_groups": 20,
        "security_group_rules": 200,
        "rbac_policies": 10,
    },
}


def _times(factor: int) -> Limits:
    return {
        area: {name: number * factor for name, number in limits.items()} for area, limits in _SMALL.items()
    }


@dataclass(frozen=True)
class QuotaClasses:
    """The classes of a site, each with every number; `unlimited` names those in which a spec may write -1."""

    limits: Mapping[str, Limits] = field(
        default_factory=lambda: {"small": _times(1), "medium": _times(4), "large": _times(16)}
    )
    unlimited: frozenset[str] = frozenset()


def resolve(quota: Quota, classes: QuotaClasses) -> Limits:
    """Every limit that `quota` stands for. Raises `KeyError` for an unknown class: `check` the spec first."""
    limits = classes.limits[quota.of_class]
    overrides = quota.model_dump(include=set(AREAS), exclude_none=True)
    return {area: {**limits[area], **overrides.get(area, {})} for area in AREAS}


class QuotaClass(Model):
    """One class in a site's file."""

    description: Text | None = None
    like: Name | None = None
    """The class it starts from; a changed built-in class starts from itself."""
    unlimited: bool = False
    """Whether a spec may write -1, no limit, in place of a number of this class."""
    compute: ComputeQuota = ComputeQuota()
    volume: VolumeQuota = VolumeQuota()
    network: NetworkQuota = NetworkQuota()


class QuotaClassFile(Model):
    """A site's file of quota classes."""

    classes: dict[Name, QuotaClass] = Field(default_factory=dict)


def load(text: bytes | str, file: str) -> QuotaClasses:
    """The built-in classes with a site's changes from YAML. Raises `SpecInvalid`, with lines."""
    written, tree = read_model(decode(text, file), file, QuotaClassFile)
    limits: dict[str, Limits] = dict(QuotaClasses().limits)
    found: list[Finding] = []
    for name, one in written.classes.items():
        base = one.like or name
        if one.like is not None and one.like not in limits:
            found.append(
                _finding(
                    tree,
                    ("classes", name, "like"),
                    f"class {name} is like '{one.like}', which is not a class above it",
                    choose(one.like, limits, "classes"),
                )
            )
            continue
        overrides = one.model_dump(include=set(AREAS), exclude_none=True)
        merged = {area: {**limits.get(base, {}).get(area, {}), **overrides.get(area, {})} for area in AREAS}
        found += _complete(tree, name, one, merged)
        limits[name] = merged
    if found:
        raise SpecInvalid(file, sorted(found, key=lambda f: f.line))
    return QuotaClasses(limits, frozenset(name for name, one in written.classes.items() if one.unlimited))


def _complete(tree: Tree, name: str, one: QuotaClass, merged: Limits) -> list[Finding]:
    """What a class lacks, and what it leaves without limit though it may not."""
    found = []
    missing = [f"{area}.{key}" for area, keys in AREAS.items() for key in keys if key not in merged[area]]
    if missing:
        found.append(
            _finding(
                tree,
                ("classes", name),
                f"class {name} has no {listed(missing)}",
                "Add the numbers, or start from a class there is with a line such as 'like: small'.",
            )
        )
    for area, limits in merged.items():
        for key, number in limits.items():
            if number < 0 and not one.unlimited:
                found.append(
                    _finding(
                        tree,
                        ("classes", name, area, key),
                        f"class {name} sets {area}.{key} to -1, which is no limit at all",
                        "Write a number, or add 'unlimited: true' to the class if that is meant.",
                    )
                )
    return found


def _finding(tree: Tree, path: tuple[str, ...], message: str, remedy: str) -> Finding:
    place = tree.place(path)
    return Finding(place.line, message, remedy, place.column, dotted(path))
