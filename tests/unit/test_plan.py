"""What has to change, why, and what is none of the plane's business."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controlplane.tenants.desired import Desired
from controlplane.tenants.plan import Action, Change, Difference, Plan
from controlplane.tenants.resources import Record, mark
from tests.simulated.tables import PLANE_USER
from tests.simulated.world import World, built
from tests.tenant_specs import KEYS, ministry

MINISTRY = ministry()


@pytest.fixture
def world() -> World:
    return built(MINISTRY)


def own(world: World, address: str) -> str:
    return world.records[address].id


def changes(plan: Plan) -> dict[str, Action]:
    return {change.address: change.action for change in plan.changes}


def only(plan: Plan) -> Change:
    [change] = plan.changes
    return change


# --- drift: a field ---------------------------------------------------------------------------------------

UPDATED: list[tuple[str, str, dict[str, Any], str, Any]] = [
    ("domain", "domains", {"name": "other"}, "name", "other"),
    ("domain", "domains", {"enabled": False}, "enabled", False),
    ("domain", "domains", {"description": mark("ministry", "domain", "Other")}, "description", "Other"),
    ("project/prod", "projects", {"name": "other"}, "name", "other"),
    ("project/prod", "projects", {"description": "Other"}, "description", "Other"),
    ("project/prod", "projects", {"enabled": False}, "enabled", False),
    ("project/prod", "projects", {"tags": ["b", "a"]}, "tags", ["a", "b"]),
    ("group/ops", "groups", {"name": "other"}, "name", "other"),
    ("group/ops", "groups", {"description": ""}, "description", None),
    ("user/anna", "users", {"name": "other"}, "name", "other"),
    ("user/anna", "users", {"email": ""}, "email", None),
    ("user/anna", "users", {"enabled": False}, "enabled", False),
    ("network/prod/app", "networks", {"name": "other"}, "name", "other"),
    ("network/prod/db", "networks", {"mtu": 1450}, "mtu", 1450),
    ("network/prod/app", "networks", {"port_security_enabled": False}, "port_security", False),
    ("network/prod/app", "networks", {"admin_state_up": False}, "enabled", False),
    ("subnet/prod/app/six", "subnets", {"name": "other"}, "name", "other"),
    ("subnet/prod/app/six", "subnets", {"enable_dhcp": False}, "dhcp", False),
    ("subnet/prod/app/web", "subnets", {"dns_nameservers": []}, "dns", []),
    ("subnet/prod/app/six", "subnets", {"gateway_ip": None}, "gateway", "none"),
    ("router/prod/edge", "routers", {"name": "other"}, "name", "other"),
    ("router/prod/edge", "routers", {"routes": []}, "routes", []),
    ("router/prod/edge", "routers", {"admin_state_up": False}, "enabled", False),
    ("security-group/prod/web", "security_groups", {"name": "other"}, "name", "other"),
    ("security-group/prod/web", "security_groups", {"description": "Other"}, "description", "Other"),
    ("flavor/f.db", "flavors", {"extra_specs": {"a": "b"}}, "extra_specs", {"a": "b"}),
    ("volume-type/gold", "volume_types", {"description": "Other"}, "description", "Other"),
    ("volume-type/gold", "volume_types", {"extra_specs": {}}, "extra_specs", {}),
]


@pytest.mark.parametrize(
    ("address", "table", "raw", "field", "have"), UPDATED, ids=[f"{a}-{f}" for a, _, _, f, _ in UPDATED]
)
def test_a_field_changed_behind_the_planes_back_is_set_back(
    world: World, address: str, table: str, raw: dict[str, Any], field: str, have: Any
) -> None:
    world.cloud.table(table)[own(world, address)].update(raw)
    change = only(world.plan(MINISTRY))
    [difference] = change.differences
    assert (change.action, change.address, change.cause) == (
        Action.UPDATE,
        address,
        "changed outside the plane",
    )
    assert (difference.field, difference.have, difference.want) == (
        field,
        have,
        MINISTRY[address].fields[field],
    )
    assert change.loses == ""
    world.apply(MINISTRY, lambda ready: ready[0])
    assert world.plan(MINISTRY).empty


def test_a_gateway_taken_away_with_snat_is_one_change(world: World) -> None:
    world.cloud.table("routers")[own(world, "router/prod/edge")]["external_gateway_info"] = None
    change = only(world.plan(MINISTRY))
    assert [(d.field, d.have, d.want) for d in change.differences] == [
        ("external", None, "public"),
        ("snat", None, True),
    ]


def test_a_quota_is_set_back(world: World) -> None:
    world.cloud.quotas["compute"][own(world, "project/prod")]["cores"] = 9999
    change = only(world.plan(MINISTRY))
    assert (change.action, change.differences[0].have, change.differences[0].want) == (
        Action.UPDATE,
        9999,
        48,
    )


def test_an_image_that_was_rejected_is_accepted_again(world: World) -> None:
    next(iter(world.cloud.table("image_members").values()))["status"] = "rejected"
    assert changes(world.plan(MINISTRY)) == {"image-access/hospital-appliance/prod": Action.UPDATE}


REPLACED: list[tuple[str, Callable[[Any], object], str, dict[str, Action]]] = [
    (
        "subnet/prod/app/web",
        lambda s: s["projects"][0]["networks"][0]["subnets"][0].update(cidr="10.0.0.0/25"),
        "cidr",
        {"interface/prod/edge/app/web": Action.REPLACE},
    ),
    (
        "server-group/prod/web",
        lambda s: s["projects"][0]["server_groups"][0].update(policy="affinity"),
        "policy",
        {},
    ),
    (
        "keypair/anna/laptop",
        lambda s: s["users"][0]["keypairs"][0].update(public_key=KEYS[0]),
        "public_key",
        {},
    ),
    (
        "flavor/f.db",
        lambda s: s["flavors"][0].update(vcpus=4),
        "vcpus",
        {"flavor-access/f.db/prod": Action.REPLACE},
    ),
    (
        "rule/prod/web/ingress:IPv4:any:any:group=db",
        lambda s: s["projects"][0]["security_groups"][0]["rules"][1].update(description="From the database"),
        "description",
        {},
    ),
    (
        "application-credential/robot/deploy",
        lambda s: s["users"][1]["application_credentials"][0].update(roles=["reader"]),
        "roles",
        {"user/robot": Action.UPDATE},
    ),
]


@pytest.mark.parametrize(("address", "edit", "field", "along"), REPLACED, ids=[r[0] for r in REPLACED])
def test_what_openstack_cannot_change_is_replaced_with_what_hangs_on_it(
    world: World, address: str, edit: Callable[[Any], object], field: str, along: dict[str, Action]
) -> None:
    desired = ministry(edit)
    plan = world.plan(desired)
    assert changes(plan) == {address: Action.REPLACE, **along}
    change = next(c for c in plan.changes if c.address == address)
    assert change.cause == f"OpenStack cannot change {field}; the spec changed"
    world.apply(desired, lambda ready: ready[-1])
    assert world.plan(desired).empty


def test_a_gateway_moves_while_no_interface_holds_it(world: World) -> None:
    desired = ministry(lambda s: s["projects"][0]["networks"][0]["subnets"][0].update(gateway="10.0.0.254"))
    plan = world.plan(desired)
    assert changes(plan) == {
        "subnet/prod/app/web": Action.UPDATE,
        "interface/prod/edge/app/web": Action.REPLACE,
    }
    assert plan.changes[1].cause == "subnet/prod/app/web gets another gateway"
    world.apply(desired, lambda ready: ready[-1])
    assert world.plan(desired).empty
    assert len(world.cloud.table("routers")[own(world, "router/prod/edge")]["routes"]) == 2


CAUSES: list[tuple[Any, str]] = [
    ("Old", "the spec changed"),
    ("New", "changed outside the plane"),
    ("Third", "the spec changed, and it was changed outside the plane"),
    (..., "the spec changed"),
    (None, "the spec changed, and it was changed outside the plane"),
]


@pytest.mark.parametrize(("last", "cause"), CAUSES)
def test_what_the_plane_last_set_tells_who_moved(last: Any, cause: str) -> None:
    world = built(ministry(lambda s: s["groups"][0].update(description="Old")))
    fields = dict(world.records["group/ops"].fields)
    fields["description"] = last
    if last is ...:
        del fields["description"]
    world.records["group/ops"] = replace(world.records["group/ops"], fields=fields)
    desired = ministry(lambda s: s["groups"][0].update(description="New"))
    assert only(world.plan(desired)).cause == cause


def test_without_a_record_nobody_knows_who_moved(world: World) -> None:
    del world.records["group/ops"]
    desired = ministry(lambda s: s["groups"][0].update(description="New"))
    assert only(world.plan(desired)).cause == "differs from the spec"


# --- secrets ----------------------------------------------------------------------------------------------

DEPLOY = "application-credential/robot/deploy"
RENEWED = Change(
    Action.UPDATE,
    "user/robot",
    f"{DEPLOY} is made in the user's name",
    (Difference("credentials", "sealed", "renewed", f"{DEPLOY} is made in the user's name"),),
    "the user's present password",
    "nothing brings it back",
)
NOT_STORED = "its secret is not in our store"


def credential(name: str, user: int = 1) -> Callable[[Any], object]:
    given = {"name": name, "project": "prod", "roles": ["member"]}
    return lambda s: s["users"][user].setdefault("application_credentials", []).append(given)


def repaired(world: World, desired: Desired = MINISTRY) -> bool:
    """One round makes it equal, and everything that was stored opens what it is for."""
    world.apply(desired, lambda ready: ready[-1])
    return world.plan(desired).empty and world.useless(desired) == []


def test_a_lost_secret_of_a_program_is_made_anew_with_the_password_of_its_owner(world: World) -> None:
    world.lose(DEPLOY)
    user, made = world.plan(MINISTRY).changes
    assert user == RENEWED
    assert (made.action, made.address) == (Action.REPLACE, DEPLOY)
    assert made.cause == f"OpenStack cannot change credentials; {NOT_STORED}"
    assert repaired(world)


def test_a_lost_password_is_made_anew_and_said_to_be(world: World) -> None:
    world.lose("user/anna")
    lost = Difference("credentials", "lost", "sealed", NOT_STORED)
    assert only(world.plan(MINISTRY)) == Change(
        Action.UPDATE, "user/anna", NOT_STORED, (lost,), RENEWED.loses, RENEWED.undo
    )
    assert repaired(world)


def test_a_password_that_is_made_anew_anyway_is_made_anew_once(world: World) -> None:
    world.lose("user/robot")
    world.lose(DEPLOY)
    user, made = world.plan(MINISTRY).changes
    assert (user.cause, made.address) == (NOT_STORED, DEPLOY)
    assert [(d.have, d.want) for d in user.differences] == [("lost", "sealed")]
    assert repaired(world)


def test_a_credential_that_was_removed_outside_is_made_again_in_its_owners_name(world: World) -> None:
    world.cloud.table("application_credentials").clear()
    assert changes(world.plan(MINISTRY)) == {"user/robot": Action.UPDATE, DEPLOY: Action.CREATE}
    assert world.plan(MINISTRY).changes[0] == RENEWED
    assert repaired(world)


def test_two_new_credentials_renew_the_password_of_their_owner_once(world: World) -> None:
    desired = ministry(lambda s: [credential(name)(s) for name in ("one", "two")])
    plan = world.plan(desired)
    made = "application-credential/robot/"
    assert changes(plan) == {
        "user/robot": Action.UPDATE,
        f"{made}one": Action.CREATE,
        f"{made}two": Action.CREATE,
    }
    assert plan.changes[0].cause == f"{made}one is made in the user's name"
    assert repaired(world, desired)


def test_what_else_changes_of_a_user_stands_beside_the_new_password(world: World) -> None:
    world.cloud.table("users")[own(world, "user/robot")]["email"] = "other@ministry.example"
    world.lose(DEPLOY)
    user = world.plan(MINISTRY).changes[0]
    assert user.differences == (
        Difference("email", "other@ministry.example", None, "changed outside the plane"),
        *RENEWED.differences,
    )
    assert user.cause == f"{RENEWED.cause} and changed outside the plane"
    assert (user.action, user.loses, user.undo) == (RENEWED.action, RENEWED.loses, RENEWED.undo)
    assert repaired(world)


def test_another_change_of_a_user_leaves_the_password_alone(world: World) -> None:
    opens = dict(world.cloud.secrets)
    desired = ministry(lambda s: s["users"][1].update(description="A program", application_credentials=[]))
    plan = world.plan(desired)
    assert changes(plan) == {"user/robot": Action.UPDATE, DEPLOY: Action.DELETE}
    assert [c.address for c in plan.losses] == [DEPLOY]
    assert repaired(world, desired)
    assert world.cloud.secrets == opens


def test_a_new_user_gets_a_password_and_loses_none(world: World) -> None:
    user = {"name": "bot", "groups": ["ops"]}
    desired = ministry(lambda s: [s["users"].append(user), credential("ci", 2)(s)])
    plan = world.plan(desired)
    assert changes(plan) == dict.fromkeys(
        ("user/bot", "membership/ops/bot", "application-credential/bot/ci"), Action.CREATE
    )
    assert plan.losses == ()
    assert repaired(world, desired)


def test_a_user_who_was_removed_outside_is_made_again_and_not_updated(world: World) -> None:
    world.cloud.table("users").pop(own(world, "user/robot"))
    world.cloud.table("application_credentials").clear()
    planned = changes(world.plan(MINISTRY))
    assert (planned["user/robot"], planned[DEPLOY]) == (Action.CREATE, Action.CREATE)


def nobody(written: Any) -> None:
    written["users"][0] |= {"tenant_manager": False, "public_key": None}


def test_a_password_that_nobody_can_receive_is_renewed_all_the_same() -> None:
    def edit(written: Any) -> None:
        nobody(written)
        credential("ci")(written)

    world, desired = built(ministry(nobody)), ministry(edit)
    assert world.store == {}
    user, _ = world.plan(desired).changes
    assert [(d.have, d.want) for d in user.differences] == [("lost", "renewed")]
    assert user.loses == RENEWED.loses
    assert repaired(world, desired)
    assert world.store == {}


def test_the_first_person_who_can_receive_secrets_has_all_of_them_made_anew() -> None:
    world = built(ministry(nobody))
    plan = world.plan(MINISTRY)
    assert {c.address: (c.action, c.loses) for c in plan.losses} == {
        "user/anna": (Action.UPDATE, RENEWED.loses),
        "user/robot": (Action.UPDATE, RENEWED.loses),
        DEPLOY: (Action.REPLACE, "access of the programs that use it"),
    }
    assert repaired(world)


# --- drift: something too many ----------------------------------------------------------------------------


def extra_rule(world: World) -> str:
    group = own(world, "security-group/prod/db")
    world.cloud.rule(group, direction="ingress", ethertype="IPv4", protocol="tcp")
    return "rule/prod/db/ingress:IPv4:tcp:any:any"


def extra_role(world: World) -> str:
    world.cloud.assign("r-admin", own(world, "user/anna"), own(world, "project/dev"))
    return "assignment/admin/user/anna/project/dev"


def extra_share(world: World) -> str:
    share = world.cloud.table("rbac_policies")[own(world, "share/prod/app/dev")]
    world.cloud.put("rbac_policies", {**share, "target_tenant": "*"})
    return "share/prod/app/id:*"


def extra_member(world: World) -> str:
    world.cloud.members[own(world, "group/ops")].add(own(world, "user/robot"))
    return "membership/ops/robot"


def left_over_role(world: World) -> str:
    world.cloud.assign("r-member", PLANE_USER, own(world, "project/prod"))
    return "assignment/member/plane/self/project/prod"


def extra_access(world: World) -> str:
    world.cloud.accesses["flavors"][own(world, "flavor/f.db")].add("p-foreign")
    return "flavor-access/f.db/id:p-foreign"


def extra_server_group(world: World) -> str:
    row = {"name": "old.plane", "policy": "affinity", "project_id": own(world, "project/prod")}
    world.cloud.put("server_groups", row)
    return "server-group/prod/old"


EXTRA = [
    extra_rule,
    extra_role,
    extra_share,
    extra_member,
    left_over_role,
    extra_access,
    extra_server_group,
]


@pytest.mark.parametrize("add", EXTRA)
def test_what_was_added_to_what_is_the_planes_is_removed(world: World, add: Callable[[World], str]) -> None:
    address = add(world)
    change = only(world.plan(MINISTRY))
    assert (change.action, change.address, change.cause) == (
        Action.DELETE,
        address,
        "added outside the plane",
    )
    world.apply(MINISTRY, lambda ready: ready[0])
    assert world.plan(MINISTRY).empty


# --- what is somebody else's ------------------------------------------------------------------------------


def foreign(world: World) -> None:
    """What people of the tenant, other tenants and the site's own people make."""
    cloud, domain, prod = world.cloud, own(world, "domain"), own(world, "project/prod")
    plain = {"description": "", "domain_id": domain, "enabled": True, "tags": []}
    cloud.put("projects", {**plain, "name": "sandbox"}, "p-sandbox")
    cloud.put("users", {**plain, "name": "guest"}, "u-guest")
    cloud.put("groups", {**plain, "name": "guests"}, "g-guests")
    cloud.members["g-guests"] = {"u-guest"}
    cloud.members[own(world, "group/ops")].add("u-guest")
    cloud.assign("r-manager", "u-guest", domain)
    cloud.assign("r-member", "u-guest", prod)
    cloud.assign("r-member", "g-guests", "p-sandbox")
    network = dict(cloud.table("networks")[own(world, "network/prod/app")])
    for project in (prod, "p-sandbox", "p-of-another-tenant"):
        net = cloud.put("networks", {**network, "description": "Tests", "project_id": project})
        subnet = dict(cloud.table("subnets")[own(world, "subnet/prod/app/web")])
        cloud.put(
            "subnets", {**subnet, "network_id": net["id"], "project_id": project, "description": "Tests"}
        )
        cloud.put("security_groups", {"name": "web", "project_id": project, "description": "Tests"})
        cloud.put("server_groups", {"name": "web", "policy": "affinity", "project_id": project})
        router = dict(cloud.table("routers")[own(world, "router/prod/edge")])
        cloud.put("routers", {**router, "description": "Tests", "project_id": project})
    cloud.put("keypairs", {"name": "own", "public_key": KEYS[0], "user_id": own(world, "user/anna")})
    cloud.put("flavors", {"name": "x", "vcpus": 1, "ram": 1, "disk": 1, "description": None})
    cloud.put("volume_types", {"name": "x", "description": mark("hospital", "volume-type/x")})
    cloud.accesses["flavors"][cloud.named("flavors", "site.gpu")["id"]].add("p-of-another-tenant")
    image = cloud.named("images", "hospital-appliance")["id"]
    cloud.put("image_members", {"image_id": image, "member_id": "p-other", "status": "accepted"})
    credential = {"name": "own", "user_id": own(world, "user/robot"), "roles": [], "description": "Mine"}
    cloud.put("application_credentials", credential)


def test_what_is_not_the_planes_is_never_touched(world: World) -> None:
    before = world.plan(MINISTRY)
    foreign(world)
    assert world.plan(MINISTRY) == before
    assert before.empty


def test_what_is_not_the_planes_survives_the_end_of_all_that_is(world: World) -> None:
    foreign(world)
    planned = changes(world.plan(Desired("ministry", {})))
    assert set(planned.values()) == {Action.DELETE}
    assert planned.keys() == MINISTRY.resources.keys()


def same_domain(world: World) -> None:
    world.cloud.put("domains", {"name": "ministry", "description": "Ours", "enabled": True})


def in_domain(table: str, name: str) -> Callable[[World], None]:
    def put(world: World) -> None:
        domain = world.cloud.table("domains").get("d", {"id": None})["id"]
        about = {"name": name, "description": "", "domain_id": domain, "enabled": True, "tags": []}
        world.cloud.put(table, about)

    return put


def named(table: str, name: str) -> Callable[[World], None]:
    def put(world: World) -> None:
        world.cloud.put(table, {"name": name, "vcpus": 1, "ram": 1, "disk": 1, "description": None})

    return put


CONFLICTS: list[tuple[str, Callable[[World], None]]] = [
    ("domain", same_domain),
    ("project/prod", in_domain("projects", "prod")),
    ("user/anna", in_domain("users", "anna")),
    ("group/ops", in_domain("groups", "ops")),
    ("flavor/f.db", named("flavors", "f.db")),
    ("volume-type/gold", named("volume_types", "gold")),
]


@pytest.mark.parametrize(("address", "put"), CONFLICTS, ids=[address for address, _ in CONFLICTS])
def test_what_somebody_else_has_under_the_name_is_a_conflict(
    address: str, put: Callable[[World], None]
) -> None:
    world = World()
    if address.startswith(("project", "user", "group")):
        about = {"name": "ministry", "description": mark("ministry", "domain"), "enabled": True}
        world.cloud.put("domains", about, "d")
    put(world)
    plan = world.plan(MINISTRY)
    assert [conflict.address for conflict in plan.conflicts] == [address]
    assert address not in changes(plan)


def test_another_public_key_of_the_persons_own_is_a_conflict(world: World) -> None:
    next(iter(world.cloud.table("keypairs").values()))["public_key"] = KEYS[0]
    del world.records["keypair/anna/laptop"]
    plan = world.plan(MINISTRY)
    assert ([c.address for c in plan.conflicts], plan.changes) == (["keypair/anna/laptop"], ())


def test_a_network_of_somebody_else_may_have_the_same_name(world: World) -> None:
    row = {"name": "new", "project_id": own(world, "project/prod"), "description": "", "mtu": 1450}
    world.cloud.put("networks", row)
    plan = world.plan(ministry(lambda s: s["projects"][0]["networks"].append({"name": "new"})))
    assert (changes(plan), plan.conflicts) == ({"network/prod/new": Action.CREATE}, ())


# --- duplicates, and records of what is gone --------------------------------------------------------------


def test_duplicates_are_told_and_not_planned_away(world: World) -> None:
    same = dict(world.cloud.table("networks")[own(world, "network/prod/app")])
    spare = world.cloud.put("networks", same)["id"]
    plan = world.plan(MINISTRY)
    assert (plan.changes, plan.duplicates) == ((), (("network/prod/app", (spare,)),))


def test_a_record_of_what_is_nowhere_is_forgotten(world: World) -> None:
    world.records["network/prod/old"] = Record("network/prod/old", "ne-gone", {"name": "old"})
    change = only(world.plan(MINISTRY))
    assert (change.action, change.address) == (Action.FORGET, "network/prod/old")


# --- plans as data ----------------------------------------------------------------------------------------


def test_the_digest_says_what_the_plan_was_computed_from(world: World) -> None:
    plan = world.plan(MINISTRY)
    foreign(world)
    world.cloud.table("networks")[own(world, "network/prod/app")]["status"] = "DOWN"
    assert world.plan(MINISTRY).digest == plan.digest
    assert world.plan(MINISTRY, "another spec").digest != plan.digest
    world.cloud.table("users")[own(world, "user/anna")]["email"] = "other@ministry.example"
    assert world.plan(MINISTRY).digest != plan.digest


def test_the_digest_tells_apart_two_states_that_call_for_the_same_changes(world: World) -> None:
    desired = ministry(lambda s: s["groups"][0].update(description="New"))
    first = world.plan(desired)
    subnet = world.cloud.table("subnets").pop(own(world, "subnet/prod/app/six"))
    subnet["id"] = "another"
    world.cloud.table("subnets")["another"] = subnet
    second = world.plan(desired)
    assert (first.changes, first.digest == second.digest) == (second.changes, False)


def test_losses_are_what_cannot_come_back(world: World) -> None:
    desired = ministry(lambda s: s["projects"][0].update(server_groups=[], description="New"))
    plan = world.plan(desired)
    assert changes(plan) == {"project/prod": Action.UPDATE, "server-group/prod/web": Action.DELETE}
    assert [(c.address, c.loses) for c in plan.losses] == [("server-group/prod/web", "the placement rule")]
    assert plan.counts() == {"update": 1, "delete": 1}


def test_a_plan_reads_in_order_of_need_and_then_what_goes() -> None:
    world = built(ministry(lambda s: s["projects"][0].update(routers=[], security_groups=[])))
    plan = world.plan(ministry(lambda s: s["projects"][0].update(networks=[], routers=[])))
    made = [c.address for c in plan.changes if c.action is Action.CREATE]
    gone = [c.address for c in plan.changes if c.action is Action.DELETE]
    assert [c.address for c in plan.changes] == made + gone
    order = list(ministry().resources)
    assert made == sorted(made, key=order.index)
    assert [a.split("/")[0] for a in gone] == ["share", "subnet", "subnet", "subnet", "network", "network"]
