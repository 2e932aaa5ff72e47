"""One drift check of many tenants: how its requests grow, what it takes, and how much memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from tests.bench import labs, plane, recorded, tenants
from tests.bench.measure import Score, measured
from tests.bench.provision import SPECS
from tests.bench.tables import Aim, Report

MOST = 200
CHUNK = 25
"""So many tenants are seeded by one command."""
GROWTH_AIM = 2.0
"""The bulk requests for the most tenants are at most so many times those for the fewest."""

SINGLE: Mapping[str, str] = {
    r"nova /v2.1/os-quota-sets/": "Nova shows the quota of one project at a time",
    r"cinder /v3/os-quota-sets/": "Cinder shows the quota of one project at a time",
    r"nova /v2.1/os-keypairs": "Nova lists the key pairs of one user at a time",
    r"keystone /v3/users/\{id\}/application_credentials": "Keystone lists them of one user at a time",
    r"keystone /v3/groups/\{id\}/users": "Keystone lists the members of one group at a time",
    r"nova /v2.1/flavors/\{id\}/os-flavor-access": "Nova lists who may use one flavor at a time",
    r"glance /v2/images/\{id\}/members": "Glance lists the members of one image at a time",
    r"cinder /v3/types/\{id\}/os-volume-type-access": "Cinder lists who may use one type at a time",
}
"""Where OpenStack has no bulk listing: a request for each project, user, group, flavor, image or type."""
BULK = "a page holds many"


def bench(report: Report, sizes: Sequence[int]) -> None:
    """Seed tenants through the plane, and check them all at each of `sizes`."""
    found: dict[int, Counter[str]] = {}
    rows = []
    with labs.fresh() as lab, plane.serving(lab.clouds_yaml) as daemon:
        there = 0
        for size in sizes:
            while there < size:
                number = min(CHUNK, size - there)
                report.say(f"seeding tenants {there + 1} to {there + number} of {sizes[-1]}")
                daemon.apply(tenants.write(SPECS, there, number))
                there += number
            report.say(f"drift of {size} tenants")
            asked = len(daemon.requests)
            before, _ = labs.memory_of(daemon.process.pid)
            drifted = 0

            def work() -> float:
                nonlocal drifted
                cpu = daemon.cpu
                child, answers = daemon.drift()
                drifted = sum(bool(answer["plan"]["changes"]) for answer in answers)
                if len(answers) != size:  # noqa: B023 called at once
                    raise plane.PlaneError(f"drift compared {len(answers)} tenants, not {size}")  # noqa: B023
                return child.cpu + daemon.cpu - cpu

            score = measured(Score("drift", size), lab, work)
            held, most = labs.memory_of(daemon.process.pid)
            found[size] = Counter(kind(one) for one in daemon.requests[asked:])
            total = sum(found[size].values())
            cpu = [score.wall, score.server_cpu, score.client_cpu]
            rows.append(
                [size, total, total / size, *cpu, before / 2**20, held / 2**20, most / 2**20, drifted]
            )
    columns = ["tenants", "requests", "a tenant", "wall s", "server CPU s", "client CPU s"]
    columns += ["MiB before", "MiB after", "MiB at most", "drifted"]
    report.table("drift of all tenants in one look", columns, rows)
    _growth(report, found, sizes)


def _growth(report: Report, found: Mapping[int, Counter[str]], sizes: Sequence[int]) -> None:
    first, last = sizes[0], sizes[-1]
    kinds = sorted(set().union(*found.values()), key=lambda name: -found[last][name])
    for title, single in (("bulk pages", False), ("no bulk listing in OpenStack", True)):
        chosen = [name for name in kinds if bool(reason(name)) is single]
        rows: list[list[object]] = [
            [name, *(found[size][name] for size in sizes), found[last][name] / last, reason(name) or BULK]
            for name in chosen
        ]
        sums = [sum(found[size][name] for name in chosen) for size in sizes]
        rows.append(["all of these", *sums, sums[-1] / last, ""])
        columns = ["request", *(f"{size} tenants" for size in sizes), "a tenant", "why"]
        report.table(f"requests of a drift check: {title}", columns, rows)
        if not single and sums[0]:
            what = f"growth of bulk requests from {first} to {last} tenants ({last / first:.0f}x the tenants)"
            report.aim(Aim(what, GROWTH_AIM, sums[-1] / sums[0], most=True))


def kind(one: recorded.Recorded) -> str:
    """The collection that a request reads; role assignments of one scope are another than all of them."""
    scoped = re.search(r"(scope\.\w+\.id|domain_id)=", urlsplit(one.url).query)
    return recorded.shape(one) + (f"?{scoped[1]}" if scoped else "")


def reason(name: str) -> str:
    """Why a request of this kind reads one thing only; empty when it reads pages."""
    return next((why for pattern, why in SINGLE.items() if re.search(pattern, name)), "")
