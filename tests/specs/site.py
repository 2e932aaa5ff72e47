"""The site against which the specs in this folder are checked: what the lab offers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from controlplane.tenants.checks import check
from controlplane.tenants.errors import Finding, SpecInvalid
from controlplane.tenants.facts import Capacity, Facility, SiteFacts, SubnetPool
from controlplane.tenants.quotas import QuotaClasses
from controlplane.tenants.reading import ReadSpec, read

TODAY = date(2026, 11, 1)
HERE = Path(__file__).parent
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

SITE = SiteFacts(
    domains={
        "default": Facility("d0", False),
        "heritage": Facility("d1", False),
        "ministry": Facility("d2", False, ("ministry", "domain")),
    },
    roles={role: role for role in ("admin", "manager", "member", "reader")},
    external_networks={"public": "n0"},
    subnet_pools={
        "tenant-space": SubnetPool("p0", ("10.64.0.0/10",), 20, 28, 26),
        "nearly-full": SubnetPool("p1", ("10.200.0.0/24",), 24, 28, 26, ("10.200.0.0/25", "10.200.0.128/26")),
        "six": SubnetPool("p2", ("fd00:64::/32",), 48, 64, 64),
    },
    flavors={
        **{name: Facility(name, True) for name in ("m1.tiny", "m1.small", "m1.medium", "m1.large")},
        "provider.gpu": Facility("f1", False),
        "heritage.big": Facility("f2", False, ("heritage", "flavor/heritage.big")),
    },
    images={"debian-12": Facility("i0", True), "hospital-appliance": Facility("i1", False)},
    volume_types={"standard": Facility("v0", True), "vault-ssd": Facility("v1", False)},
    capacity=Capacity(cores=512, ram_mib=1_048_576, volume_gib=8_000),
)


def findings(
    text: bytes | str, file: str = "spec.yaml", facts: SiteFacts | None = SITE, owned: Sequence[str] = ()
) -> list[Finding]:
    """Everything wrong with a spec, whoever finds it."""
    try:
        spec = read(text, file)
    except SpecInvalid as invalid:
        return invalid.findings
    return check(spec, facts, QuotaClasses(), TODAY, owned)


def example(name: str) -> ReadSpec:
    """One of the documentation's tenants."""
    path = EXAMPLES / f"{name}.yaml"
    return read(path.read_bytes(), path.name)
