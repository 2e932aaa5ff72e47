"""What the adapter tells on the real lab: listings, refusals with remedies, and each request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from controlplane.adapters.openstack import OpenStack, RequestSeen
from controlplane.tenants.errors import CloudRefused
from controlplane.tenants.listing import Listing, Scope
from controlplane.tenants.resources import read_mark
from tests.adapter.cases import CASES, MARKED, QUOTAS
from tests.adapter.desk import Desk, desk
from tests.adapter.making import member, network

if TYPE_CHECKING:
    from tests.lab.session import Lab


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
