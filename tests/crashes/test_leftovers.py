"""What an apply does only for a moment, or only by the way, outlives no crash: moments of death, as a table.

The plane takes a role on a project to make a server group there; Neutron puts rules of its own into a new
security group; routes leave a router while an interface of it is made again. None of this stands in the plan.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pytest

from tests.lab.faults import Faults
from tests.lab.proxy import Exchange, Interrupted
from tests.lab.session import Lab
from tests.plane import Plane, assert_equal_to_specs


class Death(StrEnum):
    """When the daemon dies at a request."""

    BEFORE = "the request goes on without its sender"
    LOST = "the request dies with its sender"
    AFTER = "the reply finds nobody"


@dataclass(frozen=True)
class Moment:
    """The request at which the daemon dies, in the first apply of a tenant or in the second."""

    apply: int
    death: Death
    method: str
    path: str
    skip: int = 0


ROLE = r"/projects/\w+/users/\w+/roles/\w+$"
RULE = r"/security-group-rules/[\w-]+$"
ROUTER = r"/routers/[\w-]+$"
MOMENTS = {
    "a project was made": Moment(1, Death.AFTER, "POST", "/projects$"),
    "a role was about to be given": Moment(1, Death.BEFORE, "PUT", ROLE),
    "a role was given": Moment(1, Death.AFTER, "PUT", ROLE),
    "a server group was made": Moment(1, Death.AFTER, "POST", "/os-server-groups$"),
    "a role was about to be given back": Moment(1, Death.LOST, "DELETE", ROLE),
    "a role was given back": Moment(1, Death.AFTER, "DELETE", ROLE),
    "a role was given again": Moment(2, Death.AFTER, "PUT", ROLE),
    "a role was about to be given back again": Moment(2, Death.LOST, "DELETE", ROLE),
    "a security group was made": Moment(1, Death.AFTER, "POST", "/security-groups$"),
    "a rule of Neutron's was about to go": Moment(1, Death.LOST, "DELETE", RULE),
    "a rule of Neutron's was gone": Moment(1, Death.AFTER, "DELETE", RULE),
    "routes were dropped": Moment(2, Death.AFTER, "PUT", ROUTER),
    "routes were about to come back": Moment(2, Death.LOST, "PUT", ROUTER, skip=1),
}
FAILURES: dict[str, tuple[int, dict[str, Any]]] = {
    "a rule of Neutron's does not go": (1, {"method": "DELETE", "path": RULE}),
    "routes do not come back": (2, {"method": "PUT", "path": ROUTER, "skip": 1}),
    "a role is not given": (1, {"method": "PUT", "path": ROLE}),
    "a server group is not made again": (2, {"method": "POST", "path": "/os-server-groups$"}),
}


def spec(tenant: str, apply: int) -> str:
    gateway, policy = {1: ("10.9.0.1", "affinity"), 2: ("10.9.0.9", "anti-affinity")}[apply]
    return f"""\
tenant: {tenant}
governance: {{owner: Crash Test, cost_centre: "1", classification: internal, valid_until: 2099-12-31}}
projects:
  - name: prod
    quota: {{class: small}}
    networks: [{{name: app, subnets: [{{name: web, cidr: 10.9.0.0/24, gateway: {gateway}}}]}}]
    routers:
      - name: edge
        interfaces: [app/web]
        routes: [{{destination: 192.168.0.0/24, next_hop: 10.9.0.100}}]
    security_groups: [{{name: shut, egress: deny}}]
    server_groups: [{{name: spread, policy: {policy}}}]
"""


@pytest.fixture(scope="module")
def proxies(lab: Lab) -> Iterator[Faults]:
    with lab.faults() as made:
        yield made


@pytest.fixture(scope="module")
def plane(proxies: Faults, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    made = Plane(tmp_path_factory.mktemp("leftovers")).make(proxies.clouds_yaml, proxies.cloud)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def tenant(plane: Plane, proxies: Faults) -> Iterator[str]:
    name = f"left{uuid.uuid4().hex[:6]}"
    yield name
    proxies.clear()
    plane.verb(name, "retire", {"grace_seconds": 0})
    plane.verb(name, "erase")


def kill_at(plane: Plane, proxies: Faults, moment: Moment) -> threading.Event:
    """Kill the daemon at this moment; gives an event that says so."""
    dead = threading.Event()

    def kill(_: Exchange) -> None:
        plane.kill()
        dead.set()
        if moment.death is Death.LOST:
            raise Interrupted

    after = moment.death is Death.AFTER
    proxies.call(kill, after=after, method=moment.method, path=moment.path, skip=moment.skip, times=1)
    return dead


def jobs(plane: Plane, tenant: str) -> list[dict[str, Any]]:
    """The jobs of a tenant, the last first: how each ended, and what it left to do."""
    told = plane.ask("GET", f"/v1/tenants/{tenant}")["jobs"]
    return [{"state": job["state"], "drift": (job["result"] or {}).get("drift")} for job in told]


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_job_that_died_leaves_nothing_once_it_is_done(
    moment: str, plane: Plane, proxies: Faults, tenant: str
) -> None:
    last = MOMENTS[moment].apply
    for apply in range(1, last):
        plane.apply(spec(tenant, apply))
    dead = kill_at(plane, proxies, MOMENTS[moment])
    with ThreadPoolExecutor(1) as pool:
        applied = pool.submit(plane.apply, spec(tenant, last))
        assert dead.wait(60), "the moment never came"
        plane.start()
        applied.result()
    assert_equal_to_specs(plane, [tenant])
    assert jobs(plane, tenant) == [{"state": "done", "drift": 0}] * last


@pytest.mark.parametrize("failure", FAILURES)
def test_what_is_refused_once_is_put_right_by_the_same_job(
    failure: str, plane: Plane, proxies: Faults, tenant: str
) -> None:
    last, where = FAILURES[failure]
    for apply in range(1, last):
        plane.apply(spec(tenant, apply))
    refused = proxies.reply(400, content=b'{"NeutronError": "no"}', **where, times=1)
    plane.apply(spec(tenant, last))
    assert refused.fired == 1
    assert_equal_to_specs(plane, [tenant])
    assert jobs(plane, tenant) == [{"state": "done", "drift": 0}] * last


def test_any_job_gives_back_a_role_that_a_crash_left(plane: Plane, tenant: str, lab: Lab) -> None:
    plane.apply(spec(tenant, 1))
    with lab.connect() as cloud:
        identity: Any = cloud.identity
        [project] = identity.projects(domain_id=identity.find_domain(tenant, ignore_missing=False).id)
        plane_user = cloud.current_user_id
        role = identity.find_role("member", ignore_missing=False)

        def held() -> list[str]:
            asked = {"scope_project_id": project.id, "user_id": plane_user}
            return [assignment.role["id"] for assignment in identity.role_assignments(**asked)]

        for verb in ("suspend", "resume"):
            identity.assign_project_role_to_user(project, plane_user, role)
            assert held() == [role.id]
            plane.verb(tenant, verb)
            assert held() == []
