"""What is left of an agreed plan when an apply stopped under way: its own traces too, nobody else's."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count, islice
from typing import Any

import pytest

from controlplane.tenants.desired import Desired
from controlplane.tenants.plan import Plan
from controlplane.tenants.remainder import remainder
from tests.simulated.tables import PLANE_USER
from tests.simulated.world import World, built
from tests.tenant_specs import ministry

NOTHING = Desired("ministry", {})


def edited(edit: Callable[[Any], object]) -> Desired:
    """The ministry with its first project edited."""
    return ministry(lambda written: edit(written["projects"][0]))


JOURNEYS = {
    "made": (NOTHING, ministry()),
    "another gateway": (
        ministry(),
        edited(lambda prod: prod["networks"][0]["subnets"][0].update(gateway="10.0.0.9")),
    ),
    "a network moves": (
        ministry(),
        edited(lambda prod: prod["networks"][0]["subnets"][0].update(cidr="10.0.0.0/25")),
    ),
    "emptied": (ministry(), NOTHING),
}


@pytest.mark.parametrize("journey", JOURNEYS)
@pytest.mark.parametrize("late", [0, 2], ids=["all recorded", "the last two unrecorded"])
def test_it_is_enough_wherever_an_apply_stopped(journey: str, late: int) -> None:
    before, after = JOURNEYS[journey]
    for requests in count():
        world = built(before)
        agreed = world.plan(after)
        died = islice(world.steps(after, lambda ready: ready[0], agreed, late), requests)
        stopped = len(list(died)) == requests
        world.apply(after, lambda ready: ready[0], agreed)
        assert world.plan(after).changes == (), f"died after {requests} requests"
        assert world.useless(after) == []
        if not stopped:
            break
    assert requests > 4


def moved(edit: Callable[[World], object]) -> tuple[Plan, Plan]:
    """The plan that makes the ministry's interfaces anew, and the plan after an edit of the cloud."""
    before, after = JOURNEYS["another gateway"]
    world = built(before)
    agreed = world.plan(after)
    edit(world)
    return agreed, world.plan(after)


def own(world: World, address: str) -> str:
    return world.records[address].id


def foreign_rule(world: World) -> None:
    group = own(world, "security-group/prod/web")
    rule = next(row for row in world.cloud.table("rules").values() if row["security_group_id"] == group)
    world.cloud.put("rules", {**rule, "direction": "ingress", "protocol": "udp"})


def foreign_role(world: World) -> None:
    world.cloud.assign("r-reader", own(world, "user/anna"), own(world, "project/prod"))


def described_router(world: World) -> None:
    world.cloud.table("routers")[own(world, "router/prod/edge")]["description"] += "!"


def lost_network(world: World) -> None:
    world.cloud.table("networks")[own(world, "network/prod/db")]["mtu"] = 9000


@pytest.mark.parametrize("edit", [foreign_rule, foreign_role, described_router, lost_network])
def test_what_somebody_changed_meanwhile_waits_for_a_plan_of_its_own(edit: Callable[[World], None]) -> None:
    agreed, now = moved(edit)
    assert len(now.changes) > len(agreed.changes)
    assert remainder(agreed, now) == agreed.changes


def test_only_the_routes_of_a_router_are_put_right() -> None:
    def edit(world: World) -> None:
        router = world.cloud.table("routers")[own(world, "router/prod/edge")]
        router["routes"] = []
        router["admin_state_up"] = False

    agreed, now = moved(edit)
    [router] = [change for change in remainder(agreed, now) if change not in agreed.changes]
    assert (router.address, [d.field for d in router.differences]) == ("router/prod/edge", ["routes"])


def test_a_role_of_the_planes_own_is_given_back_by_no_operation() -> None:
    def edit(world: World) -> None:
        world.cloud.assign("r-member", PLANE_USER, own(world, "project/prod"))

    agreed, now = moved(edit)
    assert "assignment/member/plane/self/project/prod" in {change.address for change in now.changes}
    assert remainder(now, now) == remainder(agreed, now) == agreed.changes
