"""Every kind on the real lab: made once, found again, changed in place, removed, and removed again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest

from controlplane.adapters.openstack import OpenStack, RequestSeen
from controlplane.tenants.errors import CloudRefused, NotOurs
from controlplane.tenants.listing import Listing, Scope
from controlplane.tenants.ports import Effect
from controlplane.tenants.resources import Resource, mark, read_mark
from controlplane.tenants.subnets import gateway_word, ranges_word
from tests.journeys.openstack_adapter_kit import (
    KEY,
    Desk,
    desk,
    group,
    member,
    network,
    opens,
    router,
    rule,
    subnet,
)

if TYPE_CHECKING:
    from tests.lab.session import Lab


@pytest.fixture(scope="module")
def cloud(lab: Lab) -> Iterator[OpenStack]:
    with OpenStack(lab.cloud, str(lab.clouds_yaml)) as opened:
        yield opened


@pytest.fixture(scope="module")
def site(cloud: OpenStack) -> Listing:
    return cloud.listing(Scope(frozenset()))


@pytest.fixture(scope="module")
def work(cloud: OpenStack, site: Listing) -> Iterator[Desk]:
    with desk(cloud, site) as made:
        yield made


Case = tuple[str, dict[str, Any], list[dict[str, Any]]]
"""Address, fields, and one update after the other."""


def plain(address: str, *updates: dict[str, Any], **fields: Any) -> Callable[[Desk], Case]:
    return lambda work: (address, fields, list(updates))


def of_network(work: Desk) -> Case:
    fields = {
        "name": "a",
        "project": "project/prod",
        "description": "One",
        "port_security": True,
        "enabled": True,
    }
    updates: list[dict[str, Any]] = [
        {"name": "b", "description": "Two"},
        {"mtu": 1400},
        {"port_security": False, "enabled": False},
    ]
    return "network/prod/a", fields, updates


def of_subnet(work: Desk) -> Case:
    at = network(work, "of-subnet")
    fields = {
        "name": "a",
        "network": at,
        "cidr": "10.30.0.0/24",
        "gateway": "auto",
        "dhcp": True,
        "dns": ["192.0.2.1"],
        "ranges": "auto",
        "ip_version": 4,
    }
    updates: list[dict[str, Any]] = [
        {"name": "b", "dns": [], "dhcp": False},
        {"ranges": [["10.30.0.10", "10.30.0.20"]]},
        {"gateway": "10.30.0.254"},
        {"gateway": "none", "ranges": "auto"},
        {"gateway": "auto", "ranges": "auto"},
    ]
    return "subnet/prod/of-subnet/a", fields, updates


def of_pooled_subnet(work: Desk) -> Case:
    at = network(work, "of-pool")
    fields = {
        "name": "a",
        "network": at,
        "pool": "tenant-space",
        "prefix_length": 27,
        "gateway": "none",
        "dhcp": True,
        "dns": [],
        "ranges": "auto",
        "ip_version": 4,
    }
    return "subnet/prod/of-pool/a", fields, [{"gateway": "auto", "ranges": "auto"}]


def of_router(work: Desk) -> Case:
    fields: dict[str, Any] = {
        "name": "a",
        "project": "project/prod",
        "description": None,
        "external": "public",
        "snat": True,
        "routes": [],
        "enabled": True,
    }
    updates: list[dict[str, Any]] = [
        {"name": "b", "description": "Out", "snat": False},
        {"external": None, "enabled": False},
    ]
    return "router/prod/a", fields, updates


def of_interface(work: Desk) -> Case:
    inside = subnet(work, network(work, "of-interface"))
    at = router(work, "of-interface")
    return "interface/prod/of-interface/of-interface/front", {"router": at, "subnet": inside}, []


def of_rule(work: Desk) -> Case:
    address, fields = rule(group(work, "of-rule"))
    return address, dict(fields), []


def of_rule_between_groups(work: Desk) -> Case:
    other = group(work, "other")
    address, fields = rule(group(work, "of-groups"), None, other, "egress")
    return address, {**fields, "description": "To the other"}, []


def of_share(work: Desk) -> Case:
    at = network(work, "of-share")
    return "share/prod/of-share/test", {"network": at, "project": "project/test"}, []


def of_membership(work: Desk) -> Case:
    work.create("group/of-it", name="of-it", description=None)
    user = member(work, "in-it")
    return "membership/of-it/in-it", {"group": "group/of-it", "user": user}, []


def of_assignment(work: Desk) -> Case:
    work.create("group/to-it", name="to-it", description=None)
    fields = {"role": "reader", "actor": "group/to-it", "target": "domain"}
    return "assignment/reader/group/to-it/domain", fields, []


def of_credential(work: Desk) -> Case:
    user = member(work, "owner")
    fields = {
        "name": "ci",
        "user": user,
        "project": "project/prod",
        "roles": ["member"],
        "expires": "2031-12-31",
        "description": None,
    }
    return "application-credential/owner/ci", fields, []


def of_keypair(work: Desk) -> Case:
    return "keypair/keys/laptop", {"name": "laptop", "user": member(work, "keys"), "public_key": KEY}, []


def of_flavor(work: Desk) -> Case:
    name = f"{work.name}-flavor"
    specs = {"hw:cpu_policy": "dedicated", "hw:mem_page_size": "large"}
    fields = {
        "name": name,
        "vcpus": 1,
        "ram_mib": 512,
        "disk_gib": 1,
        "description": None,
        "extra_specs": specs,
    }
    updates: list[dict[str, Any]] = [
        {"description": "Private"},
        {"extra_specs": {"hw:cpu_policy": "shared"}},
        {"extra_specs": {}},
    ]
    return f"flavor/{name}", fields, updates


def of_flavor_access(work: Desk) -> Case:
    name = f"{work.name}-access"
    fields: dict[str, Any] = {
        "vcpus": 1,
        "ram_mib": 512,
        "disk_gib": 1,
        "description": None,
        "extra_specs": {},
    }
    work.create(f"flavor/{name}", name=name, **fields)
    return f"flavor-access/{name}/prod", {"flavor": name, "project": "project/prod"}, []


def of_volume_type(work: Desk) -> Case:
    name = f"{work.name}-type"
    fields = {"name": name, "description": "Fast", "extra_specs": {"a": "1", "b": "2"}}
    return f"volume-type/{name}", fields, [{"description": None}, {"extra_specs": {"b": "3"}}]


QUOTAS: Mapping[str, Any] = {
    "compute-quota": {
        "instances": 3,
        "cores": 5,
        "ram_mib": 4096,
        "key_pairs": 2,
        "server_groups": 2,
        "server_group_members": 2,
    },
    "volume-quota": {"volumes": 3, "snapshots": 2, "size_gib": 50, "backups": 1, "backup_size_gib": 10},
    "network-quota": {
        "networks": 20,
        "subnets": 20,
        "routers": 9,
        "ports": 90,
        "floating_ips": 3,
        "security_groups": 9,
        "security_group_rules": 90,
        "rbac_policies": 5,
    },
}

CASES: dict[str, Callable[[Desk], Case]] = {
    "project": plain(
        "project/extra",
        {"description": "More", "tags": ["b", "c"]},
        {"enabled": False},
        name="extra",
        description=None,
        enabled=True,
        tags=["a"],
    ),
    "group": plain("group/ops", {"description": "Operators"}, name="ops", description=None),
    "user": plain(
        "user/eve",
        {"description": "Eve", "email": "eve@example.org"},
        {"enabled": False},
        {"email": None},
        name="eve",
        description=None,
        email=None,
        enabled=True,
    ),
    "membership": of_membership,
    "assignment": of_assignment,
    "application credential": of_credential,
    "key pair": of_keypair,
    **{
        kind: plain(f"{kind}/prod", {next(iter(fields)): 7}, project="project/prod", **fields)
        for kind, fields in QUOTAS.items()
    },
    "network": of_network,
    "subnet": of_subnet,
    "subnet from a pool": of_pooled_subnet,
    "router": of_router,
    "interface": of_interface,
    "security group": plain(
        "security-group/prod/web",
        {"name": "www", "description": "Web"},
        name="web",
        project="project/prod",
        description=None,
    ),
    "rule": of_rule,
    "rule between groups": of_rule_between_groups,
    "share": of_share,
    "server group": plain(
        "server-group/prod/spread", name="spread", project="project/prod", policy="anti-affinity"
    ),
    "flavor": of_flavor,
    "flavor access": of_flavor_access,
    "image access": plain(
        "image-access/hospital-appliance/prod",
        image="hospital-appliance",
        project="project/prod",
        status="accepted",
    ),
    "volume type": of_volume_type,
    "volume type access": plain(
        "volume-type-access/vault-ssd/prod", volume_type="vault-ssd", project="project/prod"
    ),
}

WHERE = {
    "project": ("identity", "/projects/{id}"),
    "group": ("identity", "/groups/{id}"),
    "user": ("identity", "/users/{id}"),
    "network": ("network", "/networks/{id}"),
    "subnet": ("network", "/subnets/{id}"),
    "router": ("network", "/routers/{id}"),
    "interface": ("network", "/ports/{id}"),
    "security-group": ("network", "/security-groups/{id}"),
    "rule": ("network", "/security-group-rules/{id}"),
    "share": ("network", "/rbac-policies/{id}"),
    "server-group": ("compute", "/os-server-groups/{id}"),
    "flavor": ("compute", "/flavors/{id}"),
    "volume-type": ("volume", "/types/{id}"),
}
MARKED = (
    "project",
    "group",
    "user",
    "network",
    "subnet",
    "router",
    "security-group",
    "flavor",
    "volume-type",
)
SILENT = ("network", "subnet from a pool", "router", "security group", "server group")
"""Kinds of which OpenStack makes a second one without a word; the others are found by its refusal."""
MADE_ANEW = ("application credential",)
"""Their secret is told once: one that exists and was not recorded is of no use."""
IN_OPENSTACK = {
    "name": "name",
    "tags": "tags",
    "email": "email",
    "mtu": "mtu",
    "port_security": "port_security_enabled",
    "dhcp": "enable_dhcp",
    "dns": "dns_nameservers",
    "extra_specs": "extra_specs",
}


def raw(work: Desk, address: str) -> Mapping[str, Any] | None:
    """What OpenStack has at an address, by its identifier."""
    kind = address.split("/")[0]
    service, path = WHERE[kind]
    reply = work.cloud._c.call(service, "GET", path.format(id=work.ids.id(address)), accept={404})
    return next(iter(reply.json().values())) if reply.good else None


@pytest.mark.parametrize("case", CASES)
def test_each_kind_is_made_once_changed_in_place_and_removed_twice(work: Desk, case: str) -> None:
    address, fields, updates = CASES[case](work)
    kind = address.split("/")[0]
    made = work.create(address, **fields)
    for look_first in (True,) if case in SILENT else (True, False):
        again = work.create(address, look_first=look_first, **fields)
        assert (again.id == made.id) is (case not in MADE_ANEW)
    if kind in WHERE:
        there = raw(work, address)
        assert there is not None
        if kind in MARKED:
            assert read_mark(there["description"]) == (work.name, address)
        if kind == "rule":
            assert (there["description"] or None) == fields.get("description")
    for changes in updates:
        work.update(address, **changes)
        if kind not in WHERE:
            continue
        there = raw(work, address)
        assert there is not None
        for name, value in changes.items():
            if name == "description":
                assert there["description"] == mark(work.name, address, value)
            elif name in IN_OPENSTACK:
                assert there.get(IN_OPENSTACK[name]) == value
    work.delete(address)
    assert kind not in WHERE or raw(work, address) is None
    work.delete(address)


@pytest.mark.parametrize("cidr", ["10.31.0.0/24", "fd00:31::/64"])
def test_a_gateway_and_ranges_that_are_automatic_are_what_neutron_chooses(work: Desk, cidr: str) -> None:
    net = ip_network(cidr)
    at = network(work, f"automatic-{net.version}")
    address = subnet(work, at, cidr=cidr, ip_version=net.version)
    chosen = raw(work, address)
    work.update(address, gateway="none", ranges=[[str(net[0x50]), str(net[0x60])]])
    work.update(address, gateway="auto", ranges="auto")
    again = raw(work, address)
    assert chosen is not None
    assert again is not None
    assert (again["gateway_ip"], again["allocation_pools"]) == (
        chosen["gateway_ip"],
        chosen["allocation_pools"],
    )
    pools = [(pool["start"], pool["end"]) for pool in chosen["allocation_pools"]]
    assert gateway_word(net, chosen["gateway_ip"]) == "auto"
    assert ranges_word(net, chosen["gateway_ip"], pools) == "auto"


def test_routes_are_set_after_the_interfaces_and_go_with_them(work: Desk) -> None:
    inside = subnet(work, network(work, "routed"))
    at = router(work, "routed")
    address = "interface/prod/routed/routed/front"
    work.create(address, router=at, subnet=inside)
    work.update(at, routes=[["10.99.0.0/16", "10.20.0.9"]])
    there = raw(work, at)
    assert there is not None
    assert there["routes"] == [{"destination": "10.99.0.0/16", "nexthop": "10.20.0.9"}]
    work.delete(address)
    there = raw(work, at)
    assert there is not None
    assert there["routes"] == []


def test_a_new_security_group_names_the_rules_that_neutron_made(work: Desk) -> None:
    address = "security-group/prod/facts"
    fields: dict[str, Any] = {"name": "facts", "project": "project/prod", "description": None}
    of_neutron = {"egress:IPv4:any:any:any", "egress:IPv6:any:any:any"}
    assert set(work.create(address, **fields).facts["default_rules"]) == of_neutron
    for remote in (group(work, "remote"), address):
        at, about = rule(address, None, remote)
        work.create(at, **about)
    itself = {"ingress:IPv4:any:any:group=facts"}
    again = work.create(address, look_first=True, **fields)
    assert set(again.facts["default_rules"]) == of_neutron | itself
    assert "default_rules" not in work.update(address, description="Changed").facts


@pytest.mark.parametrize("case", ["rules", "networks"])
def test_many_of_one_kind_are_made_in_one_request(work: Desk, cloud: OpenStack, case: str) -> None:
    effects = []
    if case == "rules":
        at = group(work, "many")
        for port in range(8000, 8010):
            address, fields = rule(at, (port, port))
            effects.append(Effect("create", address, Resource(address, fields), None))
    else:
        for number in range(3):
            address = f"network/prod/many-{number}"
            wanted = {
                "name": f"many-{number}",
                "project": "project/prod",
                "port_security": True,
                "enabled": True,
            }
            effects.append(Effect("create", address, Resource(address, wanted), None))
    before = cloud.requests
    outcomes = cloud.perform_many(effects, work.ids)
    assert cloud.requests == before + 1
    ids = [outcome.id for outcome in outcomes if not isinstance(outcome, Exception)]
    assert len(set(ids)) == len(effects)
    again = cloud.perform_many(effects[:1] * 1, work.ids) if case == "rules" else ()
    assert [o.id for o in again if not isinstance(o, Exception)] == ids[: len(again)]


def test_one_that_cannot_be_made_does_not_hold_back_the_others_of_its_request(
    work: Desk, cloud: OpenStack
) -> None:
    at = group(work, "mixed")
    effects = []
    for port in (443, 70000, 22):
        address, fields = rule(at, (port, port))
        effects.append(Effect("create", address, Resource(address, fields), None))
    outcomes = cloud.perform_many(effects, work.ids)
    assert [isinstance(outcome, CloudRefused) for outcome in outcomes] == [False, True, False]


@pytest.mark.parametrize("kind", ["project", "group", "user"])
def test_what_somebody_else_has_under_the_name_is_never_touched(
    work: Desk, cloud: OpenStack, kind: str
) -> None:
    about = {"name": "theirs", "domain_id": work.ids.id("domain"), "description": "By hand"}
    cloud._c.call("identity", "POST", f"/{kind}s", body={kind: about})
    fields: dict[str, Any] = {
        "name": "theirs",
        "description": None,
        "email": None,
        "enabled": True,
        "tags": [],
    }
    with pytest.raises(NotOurs, match=f"{kind}/theirs"):
        work.create(f"{kind}/theirs", **fields)
    [same] = cloud._c.pages("identity", f"/{kind}s", f"{kind}s", [("name", "theirs")])
    assert same.items() >= about.items()


# --- secrets ----------------------------------------------------------------------------------------------


def test_a_password_is_made_anew_only_when_it_is_asked_for(work: Desk) -> None:
    about: dict[str, Any] = {"name": "forgetful", "email": None, "description": None}
    [first] = work.create("user/forgetful", **about, enabled=True).secrets
    assert work.update("user/forgetful", description="Forgetful", enabled=True).secrets == ()
    assert opens(work, first)
    [second] = work.update("user/forgetful", credentials="sealed", description="Remembers").secrets
    assert second.address == "user/forgetful"
    assert (opens(work, first), opens(work, second)) == (False, True)
    there = raw(work, "user/forgetful")
    assert there is not None
    assert there["description"] == mark(work.name, "user/forgetful", "Remembers")


@pytest.mark.parametrize("known", ["known", "unknown", "changed by somebody"])
def test_an_application_credential_is_made_whatever_is_known_of_its_owners_password(
    work: Desk, cloud: OpenStack, known: str
) -> None:
    name = known.split()[0]
    user = member(work, name)
    if known == "unknown":
        del work.ids.passwords[user]
    if known == "changed by somebody":
        body = {"user": {"password": "of somebody's own"}}
        cloud._c.call("identity", "PATCH", f"/users/{work.ids.id(user)}", body=body)
    about: dict[str, Any] = {"name": "ci", "user": user, "project": "project/prod", "roles": ["member"]}
    secrets = work.create(f"application-credential/{name}/ci", **about).secrets
    renewed = [] if known == "known" else [user]
    assert [secret.address for secret in secrets] == [*renewed, f"application-credential/{name}/ci"]
    assert all(opens(work, secret) for secret in secrets)


# --- refusals and listings --------------------------------------------------------------------------------


def test_a_refusal_gives_openstacks_reason_and_a_remedy(work: Desk) -> None:
    with pytest.raises(CloudRefused) as refusal:
        network(work, "wide", mtu=70000)
    assert "Neutron refused to create network/prod/wide" in str(refusal.value)
    assert "MTU is too big" in str(refusal.value)
    assert "spec" in refusal.value.remedy


def test_a_quota_has_a_remedy_of_its_own(work: Desk) -> None:
    work.create("network-quota/test", project="project/test", **{**QUOTAS["network-quota"], "networks": 1})
    network(work, "first", "test")
    with pytest.raises(CloudRefused) as refusal:
        network(work, "second", "test")
    assert "uota" in str(refusal.value)
    assert "quota" in refusal.value.remedy
    work.delete("network-quota/test")


def test_a_listing_has_everything_of_the_tenant(cloud: OpenStack, site: Listing) -> None:
    with desk(cloud, site) as work:
        # it makes nothing: Neutron has no `default` group before security groups are asked of a project
        assert [cloud.listing(work.scope()).security_groups for _ in range(2)] == [[], []]
        for case in CASES.values():
            address, fields, _ = case(work)
            work.create(address, **fields)
        work.create(
            "assignment/member/group/ops/project/prod",
            role="member",
            actor="group/ops",
            target="project/prod",
        )
        name = work.name
        scope = work.scope(
            keypair_users=frozenset({(name, "keys")}),
            credential_users=frozenset({(name, "owner")}),
            groups=frozenset({(name, "of-it")}),
            flavors=frozenset({f"{name}-access"}),
            images=frozenset({"hospital-appliance"}),
            volume_types=frozenset({"vault-ssd"}),
        )
        one = cloud.listing(scope)
        every = cloud.listing(Scope())
        prod = work.ids.id("project/prod")
        marks = {
            read_mark(raw.get("description"))
            for kind in (
                one.domains,
                one.projects,
                one.users,
                one.groups,
                one.networks,
                one.subnets,
                one.routers,
                one.security_groups,
                one.flavors,
                one.volume_types,
            )
            for raw in kind
        }
        for address in work.made:
            kind = address.split("/")[0]
            assert kind not in ("domain", *MARKED) or (name, address) in marks, address
        assert [group["name"] for group in one.server_groups] == ["spread.plane"]
        assert one.group_members == {work.ids.id("group/of-it"): [work.ids.id("user/in-it")]}
        assert [pair["name"] for pair in one.keypairs[work.ids.id("user/keys")]] == ["laptop"]
        (credential,) = one.application_credentials[work.ids.id("user/owner")]
        assert credential["expires_at"].startswith("2031-12-31")
        assert one.flavor_access[work.ids.id(f"flavor/{name}-access")] == [prod]
        assert prod in {m["member_id"]: m for members in one.image_members.values() for m in members}
        assert [prod] == [p for ids in one.volume_type_access.values() for p in ids if p == prod]
        assert one.compute_quotas[prod]["cores"] == 5
        assert one.volume_quotas[prod]["gigabytes"] == 50
        assert one.network_quotas[prod]["floatingip"] == 3
        assert len(one.rbac_policies) == 1
        assert len(one.router_ports) == 1
        assert one.hypervisor_totals["vcpus"] > 0
        assert one.volume_pools
        # the plane itself is in the project for the server group; nobody else of another tenant is shown
        assert {a["scope"].get("project", {}).get("id") for a in one.role_assignments} <= {
            None,
            prod,
            work.ids.id("project/test"),
        }
        plane = [a for a in one.role_assignments if a.get("user", {}).get("id") == one.plane_user_id]
        assert len(plane) == 1
        cloud.step_down([prod])
        again = cloud.listing(scope)
        assert not [a for a in again.role_assignments if a.get("user", {}).get("id") == one.plane_user_id]
        # a listing of all tenants shows the same of this one
        mine = {p["id"] for p in one.projects}
        assert mine == {p["id"] for p in every.projects if p["domain_id"] == work.ids.id("domain")}
        for attribute in ("networks", "routers", "security_groups", "rbac_policies", "server_groups"):
            of_all = {raw["id"] for raw in getattr(every, attribute) if raw["project_id"] in mine}
            assert of_all == {raw["id"] for raw in getattr(one, attribute) if raw["project_id"] in mine}


def test_members_of_many_groups_come_from_one_effective_listing(
    work: Desk, cloud: OpenStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("FEW_GROUPS", "FEW_DOMAINS"):
        monkeypatch.setattr(f"controlplane.adapters.openstack.listing.{limit}", 0)
    user = member(work, "busy")
    names = ("empty", "with-a-role", "without-a-role")
    for name in names:
        work.create(f"group/{name}", name=name, description=None)
    for name in names[:2]:
        fields: dict[str, Any] = {"role": "reader", "actor": f"group/{name}", "target": "project/prod"}
        work.create(f"assignment/reader/group/{name}/project/prod", **fields)
    for name in names[1:]:
        work.create(f"membership/{name}/busy", group=f"group/{name}", user=user)
    seen = cloud.listing(work.scope(groups=frozenset((work.name, name) for name in names), quotas=False))
    assert seen.group_members == {
        work.ids.id("group/empty"): [],
        work.ids.id("group/with-a-role"): [work.ids.id(user)],
        work.ids.id("group/without-a-role"): [work.ids.id(user)],
    }


def test_every_request_is_told_with_its_address(lab: Lab) -> None:
    told: list[RequestSeen] = []
    with OpenStack(lab.cloud, str(lab.clouds_yaml), on_request=told.append) as cloud:
        cloud.listing(Scope(frozenset({"nobody"})))
        first = cloud.requests
        cloud.listing(Scope(frozenset({"nobody"})))
        assert cloud.requests < 2 * first - 4  # one login, and roles and capacity are kept for a while
        assert len(told) == cloud.requests
        assert {seen.address for seen in told} == {"listing"}
        assert {seen.service for seen in told} == {"identity", "compute", "network", "volume", "image"}
        assert all(seen.status == 200 or seen.path.endswith("/auth/tokens") for seen in told)
        assert sum(seen.path.endswith("/auth/tokens") for seen in told) == 1


def test_where_people_log_in_is_known_without_a_request(lab: Lab) -> None:
    with OpenStack(lab.cloud, str(lab.clouds_yaml)) as cloud:
        assert cloud.sign_in["auth_url"].endswith("/v3")
        assert cloud.sign_in["region"] == "RegionOne"
        assert cloud.requests == 0
