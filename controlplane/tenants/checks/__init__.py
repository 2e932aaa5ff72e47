"""Does a spec make sense: in itself, for its quota, and at this site? Pure: same input, same answer."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from itertools import chain, islice

from controlplane.tenants.checks import access, addresses, filters, limits, names, routing, site
from controlplane.tenants.errors import Finding
from controlplane.tenants.facts import SiteFacts
from controlplane.tenants.quotas import QuotaClasses
from controlplane.tenants.reading import MOST_FINDINGS, ReadSpec


def check(
    spec: ReadSpec,
    facts: SiteFacts | None,
    classes: QuotaClasses,
    today: date,
    owned: Collection[str] = (),
) -> list[Finding]:
    """What is wrong with `spec`, by line, at most `MOST_FINDINGS`; empty when it can be planned.

    Without `facts` only the spec itself is checked. `owned` has the addresses that the plane already made
    for this tenant: they need no further room in the site's address pools.
    """
    parts = [
        names.check(spec),
        addresses.check(spec),
        routing.check(spec),
        filters.check(spec),
        access.check(spec, today),
        limits.check(spec, classes),
    ]
    if facts is not None:
        parts.append(site.check(spec, facts, classes, frozenset(owned)))
    found = dict.fromkeys(chain.from_iterable(islice(part, MOST_FINDINGS) for part in parts))
    return sorted(found, key=lambda finding: (finding.line, finding.column))[:MOST_FINDINGS]
