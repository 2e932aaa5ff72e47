"""Tenants come out whole however OpenStack fails under the plane: what failed, and how often, as a table."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import two_specs as specs
from tests.lab.faults import Faults, Rule
from tests.lab.session import Lab
from tests.plane import Plane, assert_equal_to_specs, assert_nothing_twice_nothing_orphaned

SERVICES = ("keystone", "nova", "neutron", "cinder", "glance")
Setup = Callable[[Faults], list[Rule]]


def every_service(fault: Callable[[Faults, str], Rule]) -> Setup:
    return lambda faults: [fault(faults, service) for service in SERVICES]


FAULTS: dict[str, Setup] = {
    "replies are lost after the effect": lambda f: [
        f.after_effect(method="POST", path=r"^(?!.*auth/tokens)", every=3),
        f.after_effect(method="PUT|PATCH|DELETE", every=4, cut="close"),
    ],
    "500 from every service": every_service(lambda f, s: f.reply(500, service=s, every=7, times=12)),
    "503 from every service": every_service(lambda f, s: f.reply(503, service=s, every=5, times=12)),
    "503 after the effect": every_service(
        lambda f, s: f.reply(503, after=True, service=s, method="POST|PUT", path=r"^(?!.*tokens)", every=3)
    ),
    "429 that says when to come back": every_service(
        lambda f, s: f.reply(429, {"Retry-After": "1"}, service=s, every=9, times=6)
    ),
    "connections are reset": every_service(lambda f, s: f.reset(service=s, every=5, times=12)),
    "no answer ever comes": every_service(lambda f, s: f.hang(service=s, skip=2, every=8, times=2)),
    "no answer comes though it was done": lambda f: [
        f.hang(after=True, service="neutron", method="POST", every=4, times=3)
    ],
}


@pytest.fixture
def plane(faults: Faults, tmp_path: Path) -> Iterator[Plane]:
    made = Plane(tmp_path).make(faults.clouds_yaml, faults.cloud)
    made.setting("cloud_timeout_seconds", 4)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def tenant(plane: Plane, faults: Faults, lab: Lab) -> Iterator[str]:
    name = f"fault{uuid.uuid4().hex[:6]}"
    yield name
    faults.clear()
    plane.verb(name, "retire", {"grace_seconds": 0})
    plane.verb(name, "erase")
    with lab.connect() as cloud:
        assert_nothing_twice_nothing_orphaned(cloud, name, [])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_tenant_is_applied_and_changed_although(
    fault: str, plane: Plane, tenant: str, faults: Faults, lab: Lab
) -> None:
    rules = FAULTS[fault](faults)
    plane.apply(specs.first(tenant))
    plane.apply(specs.second(tenant))
    faults.clear()
    assert sum(rule.fired for rule in rules) >= 2, "the fault never happened"
    assert_equal_to_specs(plane, [tenant])
    with lab.connect() as cloud:
        assert_nothing_twice_nothing_orphaned(cloud, tenant, [tenant])


def test_tokens_that_expire_in_the_middle_are_renewed(
    plane: Plane, tenant: str, faults: Faults, lab: Lab
) -> None:
    expired = []
    rule = faults.call(
        lambda _: expired.append(faults.expire_tokens()), path=r"^(?!.*auth/tokens)", skip=5, every=25
    )
    plane.apply(specs.first(tenant))
    plane.apply(specs.second(tenant))
    faults.remove(rule)
    assert sum(expired) >= 2, "no living token was revoked"
    assert_equal_to_specs(plane, [tenant])
    with lab.connect() as cloud:
        assert_nothing_twice_nothing_orphaned(cloud, tenant, [tenant])


def test_an_erasure_ends_with_nothing_left_although_replies_are_lost(
    plane: Plane, tenant: str, faults: Faults, lab: Lab
) -> None:
    plane.apply(specs.first(tenant))
    lost = faults.after_effect(method="DELETE|PATCH|PUT", every=3)
    plane.verb(tenant, "retire", {"grace_seconds": 0})
    plane.verb(tenant, "erase")
    faults.clear()
    assert lost.fired >= 2
    with lab.connect() as cloud:
        assert_nothing_twice_nothing_orphaned(cloud, tenant, [])
    plane.apply(specs.first(tenant))


def test_a_cloud_that_does_not_answer_is_said_in_one_sentence_and_loses_nothing(
    plane: Plane, tenant: str, faults: Faults
) -> None:
    plane.apply(specs.first(tenant))
    rule = faults.reset(service="neutron")
    [answer] = plane.ask(
        "POST", "/v1/tenants/apply", {"specs": [{"text": specs.second(tenant), "file": "spec.yaml"}]}
    )
    faults.remove(rule)
    problem = answer["problem"]
    assert (problem["type"], problem["exit_code"]) == ("cloud-unavailable", 51)
    assert problem["detail"].startswith("Neutron does not answer")
    assert_equal_to_specs(plane, [tenant])
