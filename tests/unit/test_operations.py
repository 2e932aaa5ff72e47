"""In which order a plan is carried out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from controlplane.tenants.desired import Desired
from controlplane.tenants.operations import Key, Operation, operations
from controlplane.tenants.plan import Action, Change
from controlplane.tenants.resources import Observed, Resource
from tests.simulated.world import World, built
from tests.tenant_specs import ministry


def planned(world: World, desired: Desired) -> dict[Key, Operation]:
    todo = operations(world.plan(desired).changes, desired, world.view(desired.tenant).resources)
    return {operation.key: operation for operation in todo}


def routes(*pairs: tuple[str, str]) -> Callable[[Any], object]:
    given = [{"destination": to, "next_hop": by} for to, by in pairs]
    return lambda s: s["projects"][0]["routers"][0].update(routes=given)


OLD, KEPT, NEW = (
    ("192.168.0.0/24", "10.0.0.100"),
    ("192.168.1.0/24", "10.0.0.101"),
    ("10.9.0.0/16", "10.0.0.9"),
)
UNROUTE, ROUTE = ("unroute", "router/prod/edge"), ("route", "router/prod/edge")
WEB = "interface/prod/edge/app/web"


def told(operation: Operation) -> list[tuple[str, str]]:
    assert operation.effect.want is not None
    return [(to, by) for to, by in operation.effect.want.fields["routes"]]


def test_a_replacement_is_a_delete_and_then_a_create() -> None:
    world = built(ministry())
    todo = planned(world, ministry(lambda s: s["projects"][0]["server_groups"][0].update(policy="affinity")))
    delete, make = ("delete", "server-group/prod/web"), ("make", "server-group/prod/web")
    assert [o.effect.action for o in todo.values()] == ["delete", "create"]
    assert todo[delete].after == set()
    assert todo[make].after == {delete}
    assert (todo[delete].address, todo[make].effect.have) == ("server-group/prod/web", None)


def test_a_new_router_gets_its_routes_last() -> None:
    todo = planned(World(), ministry())
    made = todo["make", "router/prod/edge"].effect.want
    assert made is not None
    assert made.fields["routes"] == []
    assert told(todo[ROUTE]) == [OLD, KEPT]
    assert todo[ROUTE].after == {
        ("make", "router/prod/edge"),
        ("make", WEB),
        ("make", "interface/prod/edge/db/data"),
    }


@pytest.mark.parametrize(
    ("wanted", "unrouted", "routed"),
    [
        ((KEPT,), [KEPT], None),
        ((), [], None),
        ((NEW, OLD, KEPT), None, [NEW, OLD, KEPT]),
        ((NEW, KEPT), [KEPT], [NEW, KEPT]),
    ],
)
def test_routes_go_before_deletes_and_come_after_creates(
    wanted: tuple[tuple[str, str], ...], unrouted: Any, routed: Any
) -> None:
    todo = planned(built(ministry()), ministry(routes(*wanted)))
    assert todo.keys() == {key for key, given in ((UNROUTE, unrouted), (ROUTE, routed)) if given is not None}
    for key, given in ((UNROUTE, unrouted), (ROUTE, routed)):
        if given is not None:
            assert told(todo[key]) == given
            assert todo[key].effect.changed == ("routes",)


def test_routes_through_an_interface_that_is_made_again_come_back() -> None:
    def edit(written: Any) -> None:
        written["projects"][0]["networks"][0]["subnets"][0].update(cidr="10.0.0.0/25")

    todo = planned(built(ministry()), ministry(edit))
    assert told(todo[UNROUTE]) == []
    assert told(todo[ROUTE]) == [OLD, KEPT]
    assert UNROUTE in todo["delete", WEB].after
    assert {UNROUTE, ("make", WEB)} <= todo[ROUTE].after


def test_routes_through_other_interfaces_stay_throughout() -> None:
    def edit(written: Any) -> None:
        routing = written["projects"][0]["routers"][0]
        routing["interfaces"] = ["app/web"]

    todo = planned(built(ministry()), ministry(edit))
    assert {key[0] for key in todo} == {"delete"}


def test_a_router_that_changes_otherwise_is_changed_once() -> None:
    def edit(written: Any) -> None:
        written["projects"][0]["routers"][0].update(description="New", routes=[])

    todo = planned(built(ministry()), ministry(edit))
    make = todo["make", "router/prod/edge"]
    assert make.effect.changed == ("description",)
    assert make.after == {UNROUTE}


def test_a_gateway_moves_with_the_ranges_around_it_and_between_two_interfaces() -> None:
    def edit(written: Any) -> None:
        written["projects"][0]["networks"][0]["subnets"][0].update(gateway="10.0.0.254")

    todo = planned(built(ministry()), ministry(edit))
    subnet = todo["make", "subnet/prod/app/web"]
    assert subnet.effect.changed == ("gateway", "ranges")
    assert ("delete", WEB) in subnet.after
    assert {("make", "subnet/prod/app/web"), ("delete", WEB)} <= todo["make", WEB].after


def test_a_quota_changes_after_deletes_and_before_creates() -> None:
    def edit(written: Any) -> None:
        project = written["projects"][0]
        project["quota"] = {"class": "small", "network": {"networks": 2}, "compute": {"server_groups": 0}}
        project["server_groups"] = []
        project["networks"].append({"name": "new", "subnets": [{"name": "one", "cidr": "10.5.0.0/24"}]})
        project["networks"] = project["networks"][1:]
        project["routers"] = []

    todo = planned(built(ministry()), ministry(edit))
    gone = {key for key in todo if key[0] == "delete"}
    assert gone <= todo["make", "compute-quota/prod"].after
    assert gone <= todo["make", "network-quota/prod"].after
    assert ("make", "network-quota/prod") in todo["make", "network/prod/new"].after
    assert ("make", "network-quota/prod") in todo["make", "subnet/prod/new/one"].after


def test_a_credential_is_made_after_its_owner_has_a_new_password() -> None:
    world, address = built(ministry()), "application-credential/robot/deploy"
    world.lose(address)
    todo = planned(world, ministry())
    renewal = todo["make", "user/robot"]
    assert (renewal.effect.action, renewal.effect.changed) == ("update", ("credentials",))
    assert renewal.after == frozenset()
    assert todo["make", address].after == {("delete", address), ("make", "user/robot")}
    assert len(todo) == 3


def test_an_update_waits_for_no_stranger() -> None:
    def edit(written: Any) -> None:
        written["projects"][0].update(server_groups=[], description="New")

    todo = planned(built(ministry()), ministry(edit))
    assert todo["make", "project/prod"].after == frozenset()


def test_texts_are_not_references() -> None:
    """Two things whose descriptions name each other are deleted all the same."""
    one = Observed("group/a", "1", {"name": "user/b", "description": "group/b"})
    two = Observed("group/b", "2", {"name": "domain", "description": "group/a"})
    changes = [Change(Action.DELETE, o.address, "no longer in the spec") for o in (one, two)]
    todo = operations(changes, Desired("ministry", {}), {o.address: o for o in (one, two)})
    assert [o.after for o in todo] == [frozenset(), frozenset()]


def test_nothing_is_done_to_forget() -> None:
    assert operations([Change(Action.FORGET, "group/a", "gone")], Desired("ministry", {}), {}) == []


def test_needs_of_what_leaves_the_spec_can_be_told() -> None:
    gone = [Observed(a, a, {}) for a in ("keypair/anna/a", "user/anna")]
    changes = [Change(Action.DELETE, o.address, "no longer in the spec") for o in gone]
    needed = {"keypair/anna/a": ("user/anna",)}
    todo = operations(changes, Desired("ministry", {}), {o.address: o for o in gone}, needed)
    assert {o.address: o.after for o in todo} == {
        "keypair/anna/a": frozenset(),
        "user/anna": {("delete", "keypair/anna/a")},
    }


def test_a_change_whose_resource_vanished_meanwhile_does_nothing() -> None:
    change = Change(Action.DELETE, "group/a", "no longer in the spec")
    assert operations([change], Desired("ministry", {}), {}) == []
    update = Change(Action.UPDATE, "group/a", "the spec changed")
    want = Resource("group/a", {"name": "a"})
    assert operations([update], Desired("ministry", {"group/a": want}), {}) == []
