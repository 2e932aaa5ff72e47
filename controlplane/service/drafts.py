"""Specs as they come -> considered: read, checked against the site, compared with OpenStack, planned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airgap_bundle.errors import Problem
from controlplane.service.sight import Sight
from controlplane.tenants.checks import check
from controlplane.tenants.desired import Desired, Limits, desire
from controlplane.tenants.errors import Finding, SpecInvalid
from controlplane.tenants.facts import read_facts
from controlplane.tenants.listing import Listing
from controlplane.tenants.observed import View, observe
from controlplane.tenants.plan import Plan, make_plan
from controlplane.tenants.quotas import QuotaClasses, resolve
from controlplane.tenants.reading import ReadSpec, read


@dataclass(frozen=True)
class SpecText:
    """A spec as it came: its text and the name of its file."""

    text: str
    file: str


@dataclass(frozen=True)
class Considered:
    """A spec, what it calls for, what was seen, and the plan between them."""

    spec: ReadSpec
    limits: Mapping[str, Limits]
    desired: Desired
    listing: Listing
    view: View
    plan: Plan


class Drafts:
    """Drafts plans for specs."""

    def __init__(self, sight: Sight, classes: QuotaClasses) -> None:
        self._sight, self._classes = sight, classes

    def consider(self, specs: Sequence[SpecText]) -> list[Considered | Problem]:
        """All specs against one look at the cloud."""
        reads: list[tuple[ReadSpec, Desired, Mapping[str, Limits]] | Problem] = []
        for spec in specs:
            try:
                reads.append(self._read(spec))
            except Problem as problem:
                reads.append(problem)
        good = [r for r in reads if not isinstance(r, Problem)]
        if not good:
            return [r for r in reads if isinstance(r, Problem)]
        names = [desired.tenant for _, desired, _ in good]
        records = self._sight.records(names)
        try:
            listing = self._sight.look([(d.tenant, d, records[d.tenant]) for _, d, _ in good])
        except Problem as problem:
            return [r if isinstance(r, Problem) else problem for r in reads]
        facts = read_facts(listing, self._sight.overcommit)
        result: list[Considered | Problem] = []
        for item in reads:
            if isinstance(item, Problem):
                result.append(item)
                continue
            spec_read, desired, limits = item
            known = records[desired.tenant]
            findings = check(spec_read, facts, self._classes, self._sight.clock().date(), owned=known.keys())
            if names.count(desired.tenant) > 1:
                findings.append(_twice(spec_read))
            if findings:
                result.append(SpecInvalid(spec_read.file, findings))
                continue
            view = observe(desired.tenant, listing, known)
            plan = make_plan(desired, view, known, spec_read.digest)
            result.append(Considered(spec_read, limits, desired, listing, view, plan))
        return result

    def _read(self, spec: SpecText) -> tuple[ReadSpec, Desired, Mapping[str, Limits]]:
        spec_read = read(spec.text, spec.file)
        findings = check(spec_read, None, self._classes, self._sight.clock().date())
        if findings:
            raise SpecInvalid(spec.file, findings)
        limits = {p.name: resolve(p.quota, self._classes) for p in spec_read.tenant.projects}
        return spec_read, desire(spec_read.tenant, limits), limits


def _twice(spec: ReadSpec) -> Finding:
    name = spec.tenant.tenant
    return spec.finding(("tenant",), f"tenant {name} stands in two of the files", "Keep one of them.")
