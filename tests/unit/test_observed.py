"""From a listing to what a tenant has: what is ours, what is not, and in which words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from controlplane.tenants.desired import Desired
from controlplane.tenants.resources import Observed, Record, mark
from tests.simulated.cloud import Cloud
from tests.simulated.tables import PLANE_USER
from tests.simulated.world import World, built
from tests.tenant_specs import ministry

MINISTRY = ministry()


@pytest.fixture
def world() -> World:
    return built(MINISTRY)


def seen(world: World) -> dict[str, Observed]:
    return dict(world.view("ministry").resources)


def own(world: World, address: str) -> str:
    """The identifier at an address."""
    return world.records[address].id


def row(world: World, table: str, address: str) -> dict[str, Any]:
    return world.cloud.table(table)[own(world, address)]


# --- claims -----------------------------------------------------------------------------------------------


def test_marks_find_everything_again_when_the_records_are_lost(world: World) -> None:
    before = seen(world)
    world.records.clear()
    assert seen(world).keys() == before.keys()


def test_a_record_finds_what_lost_its_mark(world: World) -> None:
    row(world, "networks", "network/prod/app")["description"] = "mine now"
    assert seen(world)["network/prod/app"].fields["description"] == "mine now"
    del world.records["network/prod/app"]
    assert "network/prod/app" not in seen(world)


def foreign_network(cloud: Cloud, project: str, words: str) -> None:
    cloud.put(
        "networks",
        {
            "name": "app",
            "project_id": project,
            "description": words,
            "admin_state_up": True,
            "mtu": 1450,
            "port_security_enabled": True,
            "router:external": False,
        },
    )


FORGED = {
    "no mark": "Front ends",
    "another tenant's": mark("hospital", "network/prod/other"),
    "another kind's": mark("ministry", "router/prod/other"),
    "too short": mark("ministry", "network/other"),
    "too long": mark("ministry", "network/prod/other/x"),
    "an empty part": mark("ministry", "network/prod/"),
    "another project's": mark("ministry", "network/dev/other"),
    "no kind at all": mark("ministry", "planet/prod/other"),
}


@pytest.mark.parametrize("words", FORGED.values(), ids=list(FORGED))
def test_a_mark_that_does_not_fit_claims_nothing(world: World, words: str) -> None:
    before = seen(world)
    foreign_network(world.cloud, own(world, "project/prod"), words)
    assert seen(world) == before
    assert world.view("ministry").taken == built(MINISTRY).view("ministry").taken


def test_a_malformed_mark_on_an_attached_subnet_stops_no_look(world: World) -> None:
    subnet = dict(row(world, "subnets", "subnet/prod/app/six"))
    subnet |= {"description": "[controlplane ministry subnet/x]", "cidr": "10.9.0.0/24", "name": "odd"}
    made = world.cloud.put("subnets", subnet)
    port = dict(next(iter(world.cloud.table("ports").values())))
    world.cloud.put("ports", port | {"fixed_ips": [{"subnet_id": made["id"], "ip_address": "10.9.0.1"}]})
    assert seen(world).keys() == MINISTRY.resources.keys() | quotas(world)


def quotas(world: World) -> set[str]:
    return {a for a in seen(world) if "-quota/" in a}


def test_nothing_of_a_tenant_is_seen_in_a_foreign_domain_of_its_name() -> None:
    world = World()
    world.cloud.put("domains", {"name": "ministry", "description": "Ours!", "enabled": True})
    view = world.view("ministry")
    assert view.resources == {}
    assert view.taken["domain"].startswith("domain ministry (")


def test_the_domain_is_found_by_its_record_under_another_name(world: World) -> None:
    row(world, "domains", "domain")["name"] = "renamed"
    assert seen(world)["domain"].fields["name"] == "renamed"
    assert "subnet/prod/app/web" in seen(world)


FOREIGN: dict[str, tuple[str, str, Callable[[World], dict[str, Any]]]] = {
    "project": ("projects", "project/test", lambda w: {"enabled": True, "tags": []}),
    "group": ("groups", "group/test", lambda w: {}),
    "user": ("users", "user/test", lambda w: {"enabled": True}),
    "flavor": ("flavors", "flavor/test", lambda w: {"vcpus": 1, "ram": 1, "disk": 1}),
    "volume type": ("volume_types", "volume-type/test", lambda w: {}),
    "credential": (
        "application_credentials",
        "application-credential/robot/test",
        lambda w: {"user_id": own(w, "user/robot"), "roles": []},
    ),
}


@pytest.mark.parametrize(("table", "address", "more"), FOREIGN.values(), ids=list(FOREIGN))
def test_somebody_elses_holds_the_name(
    world: World, table: str, address: str, more: Callable[[World], dict[str, Any]]
) -> None:
    about = {"name": "test", "description": "", "domain_id": own(world, "domain")}
    made = world.cloud.put(table, about | more(world))
    view = world.view("ministry")
    assert view.taken[address].endswith(f"test ({made['id']})")
    assert address not in view.resources


@pytest.mark.parametrize("address", ["flavor/f.db", "volume-type/gold"])
def test_a_name_is_taken_before_the_domain_exists(address: str) -> None:
    world = World()
    Cloud.put(world.cloud, "flavors", {"name": "f.db", "vcpus": 1, "ram": 1, "disk": 1})
    Cloud.put(world.cloud, "volume_types", {"name": "gold"})
    assert address in world.view("ministry").taken


def test_what_a_lost_domain_left_behind_is_still_seen(world: World) -> None:
    world.cloud.table("domains").clear()
    assert seen(world).keys() == {"flavor/f.db", "volume-type/gold", *made_accesses(world)}


def made_accesses(world: World) -> set[str]:
    return {a for a in seen(world) if "-access/" in a}


# --- duplicates -------------------------------------------------------------------------------------------


def twin(world: World, table: str, address: str, **changes: Any) -> str:
    same = {**row(world, table, address), **changes}
    return str(world.cloud.put(table, same)["id"])


def test_of_two_with_one_mark_the_recorded_one_counts(world: World) -> None:
    first = own(world, "network/prod/app")
    second = twin(world, "networks", "network/prod/app")
    world.records["network/prod/app"] = Record("network/prod/app", second, {})
    kept = seen(world)["network/prod/app"]
    assert (kept.id, kept.duplicates) == (second, (first,))


def test_of_two_with_one_mark_and_no_record_the_older_counts(world: World) -> None:
    first = own(world, "network/prod/app")
    second = twin(world, "networks", "network/prod/app")
    del world.records["network/prod/app"]
    kept = seen(world)["network/prod/app"]
    assert (kept.id, kept.duplicates) == (first, (second,))


def test_of_two_server_groups_with_one_name_the_recorded_one_counts(world: World) -> None:
    first = own(world, "server-group/prod/web")
    second = twin(world, "server_groups", "server-group/prod/web")
    third = twin(world, "server_groups", "server-group/prod/web")
    kept = seen(world)["server-group/prod/web"]
    assert (kept.id, kept.duplicates) == (first, (second, third))
    world.records["server-group/prod/web"] = Record("server-group/prod/web", third, {})
    kept = seen(world)["server-group/prod/web"]
    assert (kept.id, kept.duplicates) == (third, (first, second))


# --- identity ---------------------------------------------------------------------------------------------


def test_a_person_whom_the_manager_made_is_not_looked_at(world: World) -> None:
    guest = world.cloud.put(
        "users", {"name": "guest", "domain_id": own(world, "domain"), "enabled": True, "description": ""}
    )
    world.cloud.members[own(world, "group/ops")].add(guest["id"])
    world.cloud.assign("r-member", guest["id"], own(world, "project/prod"))
    assert seen(world).keys() == built_addresses()


def built_addresses() -> set[str]:
    return set(built(MINISTRY).view("ministry").resources)


def test_the_planes_own_role_on_a_project_is_seen(world: World) -> None:
    world.cloud.assign("r-member", PLANE_USER, own(world, "project/prod"))
    found = seen(world)["assignment/member/plane/self/project/prod"]
    assert (found.owned, found.fields["actor"]) == (True, "plane/self")


def test_an_inherited_role_is_not_a_role_on_the_domain_itself(world: World) -> None:
    row = {
        "role": {"id": "r-member"},
        "user": {"id": own(world, "user/anna")},
        "scope": {"domain": {"id": own(world, "domain")}, "OS-INHERIT:inherited_to": "projects"},
    }
    world.cloud.assignments.append(row)
    assert seen(world).keys() == built_addresses()


def test_a_role_that_the_site_does_not_list_keeps_its_identifier(world: World) -> None:
    world.cloud.assign("r-of-a-domain", own(world, "user/anna"), own(world, "project/dev"))
    assert "assignment/id:r-of-a-domain/user/anna/project/dev" in seen(world)


@pytest.mark.parametrize("address", ["user/anna", "application-credential/robot/deploy"])
def test_a_secret_that_is_not_in_the_store_is_lost(world: World, address: str) -> None:
    def credentials() -> object:
        return seen(world)[address].fields["credentials"]

    record = world.records[address]
    assert credentials() == "sealed"
    for fields in ({**record.fields, "credentials": "lost"}, {"name": "recorded while nobody had a key"}):
        world.records[address] = replace(record, fields=fields)
        assert credentials() == "lost"
    world.records[address] = replace(record, id="another")
    assert credentials() == "lost"
    del world.records[address]
    assert credentials() == "lost"


def test_key_pairs_of_a_person_are_not_the_planes(world: World) -> None:
    user = own(world, "user/anna")
    pair = {"name": "own", "public_key": "ssh-rsa AAAA me", "type": "ssh", "user_id": user}
    world.cloud.put("keypairs", pair)
    assert not seen(world)["keypair/anna/own"].owned
    assert seen(world)["keypair/anna/laptop"].owned


# --- network ----------------------------------------------------------------------------------------------


def test_an_interface_to_another_projects_subnet_hides_none_of_ours(world: World) -> None:
    subnet = dict(row(world, "subnets", "subnet/prod/app/web"))
    words = mark("ministry", "subnet/dev/app/web")
    subnet |= {"project_id": own(world, "project/dev"), "description": words, "cidr": "10.9.0.0/24"}
    other = world.cloud.put("subnets", subnet)
    port = dict(next(iter(world.cloud.table("ports").values())))
    world.cloud.put("ports", port | {"fixed_ips": [{"subnet_id": other["id"], "ip_address": "10.9.0.1"}]})
    found = seen(world)
    assert found["interface/prod/edge/app/web"].fields["subnet"] == "subnet/prod/app/web"
    assert found["interface/prod/edge/dev/app/web"].fields["subnet"] == "subnet/dev/app/web"


def test_a_share_with_everybody_is_seen(world: World) -> None:
    share = dict(row(world, "rbac_policies", "share/prod/app/dev"))
    world.cloud.put("rbac_policies", share | {"target_tenant": "*"})
    assert seen(world)["share/prod/app/id:*"].owned


@pytest.mark.parametrize("changes", [{"object_type": "qos_policy"}, {"action": "access_as_external"}])
def test_other_policies_are_no_shares(world: World, changes: dict[str, str]) -> None:
    share = dict(row(world, "rbac_policies", "share/prod/app/dev"))
    world.cloud.put("rbac_policies", share | changes)
    assert seen(world).keys() == built_addresses()


RULES: dict[str, dict[str, Any]] = {
    "ingress:IPv4:icmp:8-any:any": {"protocol": "icmp", "port_range_min": 8},
    "ingress:IPv4:icmp:8-0:any": {"protocol": "icmp", "port_range_min": 8, "port_range_max": 0},
    "ingress:IPv4:tcp:5:any": {"protocol": "6", "port_range_min": 5, "port_range_max": 5},
    "ingress:IPv4:any:any:10.0.0.5/24": {"remote_ip_prefix": "10.0.0.5/24"},
    "ingress:IPv4:any:any:address-group=ag-1": {"remote_address_group_id": "ag-1"},
    "ingress:IPv4:any:any:group=id:sg-foreign": {"remote_group_id": "sg-foreign"},
}


@pytest.mark.parametrize("key", RULES)
def test_a_rule_of_somebody_else_is_told_apart(world: World, key: str) -> None:
    group = own(world, "security-group/prod/web")
    world.cloud.rule(group, direction="ingress", ethertype="IPv4", **RULES[key])
    assert f"rule/prod/web/{key}" in seen(world)
    assert len(seen(world)) == len(built_addresses()) + 1


@pytest.mark.parametrize(("raw", "word"), [("Web", "Web"), ("", None), (None, None)])
def test_what_is_said_about_a_rule_is_seen(world: World, raw: str | None, word: str | None) -> None:
    address = "rule/prod/web/ingress:IPv4:tcp:443:any"
    row(world, "rules", address)["description"] = raw
    assert seen(world)[address].fields["description"] == word


def test_the_default_group_of_a_project_is_left_to_its_people(world: World) -> None:
    assert not any("/default" in address for address in seen(world))


@pytest.mark.parametrize(
    ("changes", "field", "word"),
    [
        ({"gateway_ip": None}, "gateway", "none"),
        ({"gateway_ip": "10.0.0.9"}, "gateway", "10.0.0.9"),
        ({"dns_nameservers": ["2001:DB8::0001"]}, "dns", ["2001:db8::1"]),
        (
            {"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.10"}]},
            "ranges",
            [["10.0.0.9", "10.0.0.10"]],
        ),
        ({"allocation_pools": []}, "ranges", []),
        ({"subnetpool_id": "unknown"}, "pool", None),
        ({"enable_dhcp": False}, "dhcp", False),
    ],
)
def test_a_subnet_in_the_words_of_the_spec(
    world: World, changes: dict[str, Any], field: str, word: Any
) -> None:
    row(world, "subnets", "subnet/prod/app/web").update(changes)
    assert seen(world)["subnet/prod/app/web"].fields[field] == word


@pytest.mark.parametrize(
    ("gateway", "external", "snat"),
    [
        (None, None, None),
        ({}, None, None),
        ({"network_id": "unknown", "enable_snat": False}, "unknown", False),
    ],
)
def test_a_router_in_the_words_of_the_spec(world: World, gateway: Any, external: Any, snat: Any) -> None:
    row(world, "routers", "router/prod/edge")["external_gateway_info"] = gateway
    fields = seen(world)["router/prod/edge"].fields
    assert (fields["external"], fields["snat"]) == (external, snat)


# --- facilities -------------------------------------------------------------------------------------------


def test_access_to_a_flavor_of_the_site_is_the_sites_to_give(world: World) -> None:
    world.cloud.accesses["flavors"][world.cloud.named("flavors", "site.gpu")["id"]] |= {
        "p-foreign",
        own(world, "project/dev"),
    }
    assert not seen(world)["flavor-access/site.gpu/dev"].owned
    assert "flavor-access/site.gpu/id:p-foreign" not in seen(world)


def test_access_to_a_flavor_of_the_tenant_is_the_tenants_alone(world: World) -> None:
    world.cloud.accesses["flavors"][own(world, "flavor/f.db")].add("p-foreign")
    assert seen(world)["flavor-access/f.db/id:p-foreign"].owned


def test_an_image_that_the_project_has_not_accepted_is_pending(world: World) -> None:
    next(iter(world.cloud.table("image_members").values()))["status"] = "pending"
    assert seen(world)["image-access/hospital-appliance/prod"].fields["status"] == "pending"


def test_a_project_without_own_network_quota_has_none(world: World) -> None:
    world.cloud.quotas["network"].clear()
    assert "network-quota/prod" not in seen(world)
    assert "compute-quota/prod" in seen(world)


def test_an_empty_cloud_has_nothing_of_the_tenant() -> None:
    view = World().view("ministry")
    assert (view.resources, [a for a in view.taken if a in MINISTRY.resources]) == ({}, [])
    assert World().plan(Desired("ministry", {})).empty
