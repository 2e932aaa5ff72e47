"""Every kind on the real lab: made once, found again, changed in place, removed, and removed again."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from controlplane.adapters.openstack import OpenStack
from controlplane.tenants.errors import CloudRefused, NotOurs
from controlplane.tenants.ports import Effect
from controlplane.tenants.resources import Resource, mark, read_mark
from controlplane.tenants.subnets import gateway_word, ranges_word
from tests.adapter.cases import CASES, MARKED, SILENT
from tests.adapter.desk import WHERE, Desk, opens
from tests.adapter.making import group, member, network, router, rule, subnet

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


@pytest.mark.parametrize("case", CASES)
def test_each_kind_is_made_once_changed_in_place_and_removed_twice(work: Desk, case: str) -> None:
    address, fields, updates = CASES[case](work)
    kind = address.split("/")[0]
    made = work.create(address, **fields)
    for look_first in (True,) if case in SILENT else (True, False):
        again = work.create(address, look_first=look_first, **fields)
        assert (again.id == made.id) is (case not in MADE_ANEW)
    if kind in WHERE:
        there = work.raw(address)
        assert there is not None
        if kind in MARKED:
            assert read_mark(there["description"]) == (work.name, address)
        if kind == "rule":
            assert (there["description"] or None) == fields.get("description")
    for changes in updates:
        work.update(address, **changes)
        if kind not in WHERE:
            continue
        there = work.raw(address)
        assert there is not None
        for name, value in changes.items():
            if name == "description":
                assert there["description"] == mark(work.name, address, value)
            elif name in IN_OPENSTACK:
                assert there.get(IN_OPENSTACK[name]) == value
    work.delete(address)
    assert kind not in WHERE or work.raw(address) is None
    work.delete(address)


@pytest.mark.parametrize("cidr", ["10.31.0.0/24", "fd00:31::/64"])
def test_a_gateway_and_ranges_that_are_automatic_are_what_neutron_chooses(work: Desk, cidr: str) -> None:
    net = ip_network(cidr)
    at = network(work, f"automatic-{net.version}")
    address = subnet(work, at, cidr=cidr, ip_version=net.version)
    chosen = work.raw(address)
    work.update(address, gateway="none", ranges=[[str(net[0x50]), str(net[0x60])]])
    work.update(address, gateway="auto", ranges="auto")
    again = work.raw(address)
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
    there = work.raw(at)
    assert there is not None
    assert there["routes"] == [{"destination": "10.99.0.0/16", "nexthop": "10.20.0.9"}]
    work.delete(address)
    there = work.raw(at)
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
    there = work.raw("user/forgetful")
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
