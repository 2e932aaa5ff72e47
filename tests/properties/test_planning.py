"""Planning, for any tenant and any change: what is planned is right, complete and nobody else's business."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from controlplane.tenants import apply, spec
from controlplane.tenants.desired import Desired
from controlplane.tenants.facts import read_facts
from controlplane.tenants.known import Known
from controlplane.tenants.operations import Operation, operations
from controlplane.tenants.plan import Action, Plan, make_plan
from controlplane.tenants.ports import Outcome
from controlplane.tenants.resources import TRAITS, Kind, Record, Resource, kind_of
from tests.simulated.world import World, built
from tests.tenant_specs import desired_of, tenants

examples = settings(
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
RANDOM = st.integers(0, 2**32).map(random.Random)

TEXT = ("name", "description", "email")
ORDER_ONLY = {
    Kind.DOMAIN,
    Kind.COMPUTE_QUOTA,
    Kind.VOLUME_QUOTA,
    Kind.NETWORK_QUOTA,
    Kind.ASSIGNMENT,
    Kind.MEMBERSHIP,
}
"""What comes first, but is not part of what comes after it."""
ALWAYS_THERE = {Kind.COMPUTE_QUOTA, Kind.VOLUME_QUOTA}
"""What OpenStack makes up when it is not set."""


def hanging_on(desired: Desired, address: str, soft: set[Kind] = ORDER_ONLY) -> set[str]:
    """Everything that goes when `address` goes, itself too."""
    going = {address}
    for other, resource in desired.resources.items():
        if any(need in going and kind_of(need) not in soft for need in resource.needs):
            going.add(other)
    return going


def renewed(desired: Desired, made: set[str]) -> dict[str, Action]:
    """Users who are there and get another password, because a credential of theirs is made in their name."""
    credentials = [desired[a] for a in made if kind_of(a) is Kind.APPLICATION_CREDENTIAL]
    users = {str(c.fields["user"]) for c in credentials} & desired.resources.keys()
    return dict.fromkeys(users - made, Action.UPDATE)


def one_of(desired: Desired, wanted: Callable[[Resource], bool], rng: random.Random) -> Resource:
    candidates = [resource for resource in desired.resources.values() if wanted(resource)]
    assume(candidates)
    return rng.choice(candidates)


# --- what is as it should be -----------------------------------------------------------------------------


@examples
@given(tenants(), st.booleans())
def test_what_was_made_as_desired_needs_no_change(tenant: spec.Tenant, recorded: bool) -> None:
    desired = desired_of(tenant)
    world = built(desired, recorded=recorded)
    if not recorded:  # without a record nobody knows where the secrets are
        desired = without_secrets(desired)
    plan = world.plan(desired)
    assert (plan.changes, plan.conflicts, plan.duplicates) == ((), (), ())


def without_secrets(desired: Desired) -> Desired:
    def plain(resource: Resource) -> Resource:
        fields = {name: value for name, value in resource.fields.items() if name != "credentials"}
        return replace(resource, fields=fields)

    return Desired(desired.tenant, {a: plain(r) for a, r in desired.resources.items()})


@examples
@given(tenants())
def test_every_need_stands_before_what_needs_it(tenant: spec.Tenant) -> None:
    before: set[str] = set()
    for address, resource in desired_of(tenant).resources.items():
        assert set(resource.needs) <= before
        before.add(address)


@examples
@given(tenants(), RANDOM)
def test_the_order_of_rows_does_not_matter(tenant: spec.Tenant, rng: random.Random) -> None:
    desired = desired_of(tenant)
    world = built(desired)
    assert world.view(desired.tenant, rng) == world.view(desired.tenant)


# --- one resource is missing -----------------------------------------------------------------------------


@examples
@given(tenants(), RANDOM, st.booleans())
def test_what_is_missing_is_made_again_with_all_that_hung_on_it(
    tenant: spec.Tenant, rng: random.Random, remembered: bool
) -> None:
    desired = desired_of(tenant)
    world = built(desired)
    address = one_of(desired, lambda r: r.kind not in ALWAYS_THERE, rng).address
    going = {a for a in hanging_on(desired, address) if kind_of(a) not in ALWAYS_THERE}
    view = world.view(desired.tenant)
    view = replace(view, resources={a: o for a, o in view.resources.items() if a not in going})
    records = {a: r for a, r in world.records.items() if remembered or a not in going}
    plan = make_plan(desired, view, records, "spec")
    cause = "removed outside the plane" if remembered else "new in the spec"
    # (cause of the quotas of a missing project does not matter here: they were not taken away)
    users = renewed(desired, going)
    assert {c.address: c.action for c in plan.changes if c.address in users} == users
    rest = [c for c in plan.changes if kind_of(c.address) not in ALWAYS_THERE and c.address not in users]
    assert {c.address: (c.action, c.cause) for c in rest} == dict.fromkeys(going, (Action.CREATE, cause))


# --- one field differs -----------------------------------------------------------------------------------


def other_value(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value + "-other"
    if isinstance(value, dict):
        return {**value, "other": "value"}
    return [*(value or ()), "other"]


CAUSES = {
    "old": "the spec changed",
    "new": "changed outside the plane",
    "third": "the spec changed, and it was changed outside the plane",
    "silent": "the spec changed",
    "none": "differs from the spec",
}


@examples
@given(tenants(), RANDOM, st.sampled_from(sorted(CAUSES)))
def test_one_field_that_differs_is_one_change_with_its_cause(
    tenant: spec.Tenant, rng: random.Random, remembered: str
) -> None:
    desired = desired_of(tenant)
    world = built(desired)
    desired = without_secrets(desired)
    resource = one_of(desired, lambda r: True, rng)
    field = rng.choice(sorted(resource.fields))
    old = resource.fields[field]
    new = other_value(old)
    wanted = replace(resource, fields={**resource.fields, field: new})
    desired = Desired(desired.tenant, {**desired.resources, resource.address: wanted})
    world.records[resource.address] = recorded(world.records[resource.address], field, remembered, old, new)
    if remembered == "none":
        del world.records[resource.address]
    plan = world.plan(desired)
    updatable = TRAITS[resource.kind].updatable & {field, "*"}
    if remembered == "none" and not surely_ours(resource):
        assert [c.address for c in plan.conflicts] == [resource.address]
        return
    change = next(c for c in plan.changes if c.address == resource.address)
    assert [(d.field, d.have, d.want, d.cause) for d in change.differences] == [
        (field, old, new, CAUSES[remembered])
    ]
    if updatable:
        assert change.action is Action.UPDATE
        cascade = gateway_cascade(desired, resource.address) if field == "gateway" else set()
    else:
        assert change.action is Action.REPLACE
        cascade = hanging_on(desired, resource.address) - {resource.address}
    again = cascade | {resource.address} if change.action is Action.REPLACE else cascade
    rest = {c.address: c.action for c in plan.changes if c is not change}
    assert rest == dict.fromkeys(cascade, Action.REPLACE) | renewed(desired, again)


def surely_ours(resource: Resource) -> bool:
    """People may make key pairs of their own, and the site may open its flavors and volume types."""
    of_site = resource.kind in (Kind.FLAVOR_ACCESS, Kind.VOLUME_TYPE_ACCESS) and len(resource.needs) == 1
    return resource.kind is not Kind.KEYPAIR and not of_site


def gateway_cascade(desired: Desired, subnet: str) -> set[str]:
    return {a for a, r in desired.resources.items() if r.kind is Kind.INTERFACE and subnet in r.needs}


def recorded(record: Record, field: str, how: str, old: Any, new: Any) -> Record:
    fields = dict(record.fields)
    fields[field] = {"old": old, "new": new}.get(how, "a third value")
    if how == "silent":
        del fields[field]
    return replace(record, fields=fields)


# --- plans as data ---------------------------------------------------------------------------------------


@examples
@given(tenants(), tenants(), RANDOM)
def test_a_plan_is_the_same_each_time_and_after_a_journey_as_json(
    before: spec.Tenant, after: spec.Tenant, rng: random.Random
) -> None:
    world, desired = built(desired_of(before)), desired_of(after)
    plan = world.plan(desired)
    again = make_plan(desired, world.view(desired.tenant, rng), world.records, "spec")
    assert again == plan
    assert again.digest == plan.digest
    assert Plan.from_json(json.loads(json.dumps(plan.as_json()))) == plan
    assert sum(plan.counts().values()) == len(plan.changes)
    assert len({c.address for c in plan.changes}) == len(plan.changes)


# --- operations ------------------------------------------------------------------------------------------


@examples
@given(tenants(), tenants(), RANDOM)
def test_any_order_leads_from_any_spec_to_any_other_in_one_round(
    before: spec.Tenant, after: spec.Tenant, rng: random.Random
) -> None:
    world = built(desired_of(before))
    for desired in (desired_of(after), desired_of(before)):
        world.apply(desired, rng.choice)
        assert world.plan(desired).changes == ()
        assert world.records.keys() == desired.resources.keys()
        assert world.useless(desired) == []


@examples
@given(tenants(), tenants(), RANDOM, st.integers(1, 3))
def test_an_apply_that_dies_anywhere_is_finished_within_what_was_agreed(
    before: spec.Tenant, after: spec.Tenant, rng: random.Random, deaths: int
) -> None:
    """After any request, with its record and some before it lost; then again, on the way out of that."""
    world, desired = built(desired_of(before)), desired_of(after)
    agreed = world.plan(desired)
    for _ in range(deaths):
        life = world.steps(desired, rng.choice, agreed, late=rng.randrange(4))
        for _ in islice(life, rng.randrange(len(agreed.changes) + 1)):
            pass
    world.apply(desired, rng.choice, agreed)
    assert world.plan(desired).changes == ()
    assert world.useless(desired) == []


@examples
@given(tenants(), tenants(), RANDOM)
def test_after_drift_of_every_kind_one_round_repairs_everything(
    tenant: spec.Tenant, drifted: spec.Tenant, rng: random.Random
) -> None:
    """Somebody with the plane's rights, but not its records, made another tenant of it."""
    desired = desired_of(tenant)
    world = built(desired)
    records = dict(world.records)
    world.apply(desired_of(drifted), rng.choice)
    world.records = records
    world.apply(desired, rng.choice)
    assert [c for c in world.plan(desired).changes if c.action is not Action.FORGET] == []


@examples
@given(tenants(), RANDOM)
def test_secrets_that_were_lost_are_made_anew_in_one_round(tenant: spec.Tenant, rng: random.Random) -> None:
    desired = desired_of(tenant)
    world = built(desired)
    lost = [a for a in world.store if rng.random() < 0.5]
    for address in lost:
        world.lose(address)
    plan = world.plan(desired)
    users = {a for a in lost if kind_of(a) is Kind.USER}
    credentials = set(lost) - users
    users |= {str(desired[a].fields["user"]) for a in credentials}
    assert {c.address: c.action for c in plan.changes} == {
        **dict.fromkeys(users, Action.UPDATE),
        **dict.fromkeys(credentials, Action.REPLACE),
    }
    assert plan.losses == plan.changes
    world.apply(desired, rng.choice)
    assert world.plan(desired).changes == ()
    assert world.useless(desired) == []


@examples
@given(tenants(), tenants())
def test_a_password_changes_only_when_the_plan_says_that_the_present_one_is_lost(
    before: spec.Tenant, after: spec.Tenant
) -> None:
    world, desired = built(desired_of(before)), desired_of(after)
    opens, plan = dict(world.cloud.secrets), world.plan(desired)
    there = {a: r.id for a, r in world.records.items() if kind_of(a) is Kind.USER and a in desired.resources}
    world.apply(desired, lambda ready: ready[0])
    changed = {a for a, id_ in there.items() if world.cloud.secrets[id_] != opens[id_]}
    said = {c.address for c in plan.losses if c.loses == "the user's present password"}
    assert said == changed
    for change in plan.changes:
        if change.address in said:
            [secret] = [d for d in change.differences if d.field == "credentials"]
            assert (change.action, change.undo) == (Action.UPDATE, "nothing brings it back")
            assert secret.want in ("renewed", "sealed")


@examples
@given(tenants(), RANDOM)
def test_everything_can_be_deleted_in_any_order_that_the_operations_allow(
    tenant: spec.Tenant, rng: random.Random
) -> None:
    world = built(desired_of(tenant))
    before = built(Desired(tenant.tenant, {})).cloud.tables
    world.apply(Desired(tenant.tenant, {}), rng.choice)
    assert world.records == {}
    left = {name: list(rows) for name, rows in world.cloud.tables.items() if rows}
    assert left == {name: list(rows) for name, rows in before.items() if rows}


@examples
@given(tenants(), tenants())
def test_operations_wait_for_what_they_need_and_never_for_each_other(
    before: spec.Tenant, after: spec.Tenant
) -> None:
    world, desired = built(desired_of(before)), desired_of(after)
    view = world.view(desired.tenant)
    todo = operations(world.plan(desired).changes, desired, view.resources)
    after_all = closure(todo)
    for operation in todo:
        assert operation.key not in after_all[operation.key], "waits for itself"
        phase, address = operation.key
        waits = after_all[operation.key]
        if phase == "make":
            needs = desired.resources[address].needs
            assert {("make", need) for need in needs} & after_all.keys() <= waits
        if operation.effect.action == "create":
            assert {key for key in after_all if key[0] == "delete"} <= waits
        if phase == "delete":
            assert {key for key in after_all if key[0] == "unroute"} <= waits
            for other in view.resources.values():
                refers = any(other.fields[f] == address for f in other.fields if f not in TEXT)
                if refers and ("delete", other.address) in after_all:
                    assert ("delete", other.address) in waits


def closure(todo: list[Operation]) -> dict[tuple[str, str], set[tuple[str, str]]]:
    waits = {operation.key: set(operation.after) for operation in todo}
    grew = True
    while grew:
        grew = False
        for after in waits.values():
            more = set().union(*(waits[key] for key in after)) - after if after else set()
            after |= more
            grew = grew or bool(more)
    return waits


@dataclass
class Journal:
    """Keeps what the plane keeps, and does not care about progress."""

    world: World
    desired: Desired

    def began(self, operation: Operation) -> None: ...
    def done(self, operation: Operation, outcome: Outcome) -> None:
        self.world.record(operation.effect, outcome, self.desired)

    def failed(self, operation: Operation, reason: Exception) -> None: ...
    def blocked(self, operation: Operation, by: Operation) -> None: ...


@settings(examples, max_examples=max(30, examples.max_examples // 3))
@given(tenants(), tenants())
def test_the_real_runner_reaches_what_is_desired_with_threads(
    before: spec.Tenant, after: spec.Tenant
) -> None:
    world, desired = built(desired_of(before)), desired_of(after)
    view = world.view(desired.tenant)
    known = Known(view, read_facts(world.cloud.listing(), {}))
    todo = operations(world.plan(desired).changes, desired, view.resources)
    random.Random(0).shuffle(todo)
    with ThreadPoolExecutor(4) as pool:
        journal = Journal(world, desired)
        result = apply.run(todo, world.cloud, known, desired, journal, pool)  # type: ignore[arg-type]
    assert (result.failed, result.blocked) == ([], [])
    assert len(result.done) == len(todo)
    assert [c for c in world.plan(desired).changes if c.action is not Action.FORGET] == []
    assert world.useless(desired) == []


# --- others ----------------------------------------------------------------------------------------------


@examples
@given(tenants(), tenants("hospital"), RANDOM)
def test_another_tenant_is_never_seen(mine: spec.Tenant, theirs: spec.Tenant, rng: random.Random) -> None:
    theirs = theirs.model_copy(update={"flavors": [], "volume_types": []})  # names of these are global
    world, neighbour = built(desired_of(mine)), World()
    plan = world.plan(desired_of(mine))
    neighbour.cloud = world.cloud
    neighbour.apply(desired_of(theirs), rng.choice)
    assert world.plan(desired_of(mine)) == plan
    neighbour.apply(Desired("hospital", {}), rng.choice)
    assert world.plan(desired_of(mine)).changes == ()


def test_the_specs_drawn_here_have_every_kind() -> None:
    found: set[Kind] = set()

    @settings(examples, derandomize=True, database=None)
    @given(tenants())
    def look(tenant: spec.Tenant) -> None:
        found.update(resource.kind for resource in desired_of(tenant).resources.values())

    look()
    assert found == set(Kind)
