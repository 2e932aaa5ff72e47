"""From a spec to what a tenant should have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from controlplane.tenants.desired import SEALED, strongest
from controlplane.tenants.resources import Kind, mark, read_mark, without_mark
from tests.tenant_specs import MINISTRY, ministry

PROD = "network-quota/prod"
NEEDS = {
    "domain": (),
    "project/prod": ("domain",),
    "compute-quota/prod": ("project/prod",),
    "group/ops": ("domain",),
    "user/anna": ("domain",),
    "membership/ops/anna": ("group/ops", "user/anna"),
    "keypair/anna/laptop": ("user/anna",),
    "assignment/manager/user/anna/domain": ("user/anna", "domain"),
    "assignment/member/group/ops/project/prod": ("group/ops", "project/prod"),
    "network/prod/app": ("project/prod", PROD),
    "subnet/prod/app/web": ("network/prod/app", PROD),
    "share/prod/app/dev": ("network/prod/app", "project/dev", PROD),
    "router/prod/edge": ("project/prod", PROD),
    "interface/prod/edge/app/web": ("router/prod/edge", "subnet/prod/app/web", PROD),
    "security-group/prod/web": ("project/prod", PROD),
    "rule/prod/web/ingress:IPv4:tcp:443:any": ("security-group/prod/web", PROD),
    "rule/prod/web/ingress:IPv4:any:any:group=db": (
        "security-group/prod/web",
        "security-group/prod/db",
        PROD,
    ),
    "server-group/prod/web": ("project/prod", "compute-quota/prod"),
    "flavor/f.db": ("domain",),
    "flavor-access/f.db/prod": ("flavor/f.db", "project/prod"),
    "flavor-access/site.gpu/prod": ("project/prod",),
    "image-access/hospital-appliance/prod": ("project/prod",),
    "volume-type-access/gold/prod": ("volume-type/gold", "project/prod"),
    "application-credential/robot/deploy": (
        "user/robot",
        "project/prod",
        "assignment/member/user/robot/project/prod",
    ),
}


@pytest.mark.parametrize("address", NEEDS)
def test_a_resource_names_what_it_needs(address: str) -> None:
    assert ministry()[address].needs == NEEDS[address]


def test_every_kind_can_be_desired() -> None:
    assert {resource.kind for resource in ministry().resources.values()} == set(Kind)


def test_every_source_is_a_place_in_the_spec() -> None:
    for resource in ministry().resources.values():
        at: Any = MINISTRY
        for step in resource.source:
            if step in ("quota", "egress", "tenant_manager") and step not in at:
                break
            at = at[step]


def subnet(**fields: Any) -> dict[str, Any]:
    given = {"name": "web", "cidr": "10.0.0.0/24", **fields}

    def edit(written: Any) -> None:
        network = written["projects"][0]["networks"][0]
        network["subnets"] = [{k: v for k, v in given.items() if v is not None}]
        written["projects"][0]["routers"] = []

    return dict(ministry(edit)["subnet/prod/app/web"].fields)


@pytest.mark.parametrize(
    ("given", "field", "word"),
    [
        ({}, "gateway", "auto"),
        ({"gateway": "10.0.0.1"}, "gateway", "auto"),
        ({"gateway": "10.0.0.254"}, "gateway", "10.0.0.254"),
        ({"gateway": "none"}, "gateway", "none"),
        ({"cidr": "fd00:a::/64"}, "gateway", "auto"),
        ({"cidr": "fd00:a::/64", "gateway": "FD00:A::0001"}, "gateway", "fd00:a::1"),
        ({}, "ranges", "auto"),
        ({"ranges": [{"start": "10.0.0.2", "end": "10.0.0.254"}]}, "ranges", "auto"),
        (
            {
                "ranges": [
                    {"start": "10.0.0.100", "end": "10.0.0.110"},
                    {"start": "10.0.0.20", "end": "10.0.0.30"},
                ]
            },
            "ranges",
            [["10.0.0.20", "10.0.0.30"], ["10.0.0.100", "10.0.0.110"]],
        ),
        ({"gateway": "none", "ranges": [{"start": "10.0.0.1", "end": "10.0.0.254"}]}, "ranges", "auto"),
        ({"cidr": "fd00:a::/64"}, "ip_version", 6),
        ({"dns": ["2001:DB8::0001"]}, "dns", ["2001:db8::1"]),
        ({"cidr": None, "pool": "tenant-space", "prefix_length": 27}, "prefix_length", 27),
    ],
)
def test_a_subnet_is_told_in_the_words_that_a_listing_is_told_in(
    given: dict[str, Any], field: str, word: Any
) -> None:
    assert subnet(**given)[field] == word


def test_a_pool_decides_the_size_that_the_spec_leaves_open() -> None:
    assert "prefix_length" not in subnet(cidr=None, pool="tenant-space")
    assert "cidr" not in subnet(cidr=None, pool="tenant-space")


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        ({}, "ingress:IPv4:any:any:any"),
        ({"protocol": "tcp", "ports": 22}, "ingress:IPv4:tcp:22:any"),
        ({"protocol": "tcp", "ports": "80-80"}, "ingress:IPv4:tcp:80:any"),
        ({"protocol": "tcp", "ports": "8000-8010"}, "ingress:IPv4:tcp:8000-8010:any"),
        ({"protocol": "udp", "ports": "1-65535"}, "ingress:IPv4:udp:any:any"),
        ({"cidr": "0.0.0.0/0"}, "ingress:IPv4:any:any:any"),
        ({"cidr": "10.0.0.0/8"}, "ingress:IPv4:any:any:10.0.0.0/8"),
        ({"ether": "IPv6", "cidr": "2001:DB8::/32"}, "ingress:IPv6:any:any:2001:db8::/32"),
        ({"ether": "IPv6", "cidr": "::/0", "protocol": "ipv6-icmp"}, "ingress:IPv6:ipv6-icmp:any:any"),
        ({"group": "web"}, "ingress:IPv4:any:any:group=web"),
        ({"direction": "egress", "protocol": "sctp"}, "egress:IPv4:sctp:any:any"),
    ],
)
def test_a_rule_is_what_it_lets_through(rule: dict[str, Any], key: str) -> None:
    def edit(written: Any) -> None:
        written["projects"][0]["security_groups"] = [{"name": "web", "egress": "deny", "rules": [rule]}]

    assert [a for a in ministry(edit).resources if a.startswith("rule/")] == [f"rule/prod/web/{key}"]


def test_a_rule_says_a_description_only_when_it_has_one() -> None:
    def edit(written: Any) -> None:
        rules = [{"protocol": "tcp", "description": "All of TCP"}, {"protocol": "udp"}]
        written["projects"][0]["security_groups"] = [{"name": "web", "egress": "deny", "rules": rules}]

    said = {a: r.fields.get("description", ...) for a, r in ministry(edit).resources.items() if "rule/" in a}
    assert said == {
        "rule/prod/web/ingress:IPv4:tcp:any:any": "All of TCP",
        "rule/prod/web/ingress:IPv4:udp:any:any": ...,
    }


def test_a_group_that_lets_out_has_the_rules_that_neutron_makes() -> None:
    out = {f"rule/prod/web/egress:{ether}:any:any:any" for ether in ("IPv4", "IPv6")}
    assert out <= ministry().resources.keys()
    assert not any(a.startswith("rule/prod/db/egress") for a in ministry().resources)


def test_a_manager_who_is_also_assigned_the_role_has_it_once() -> None:
    def edit(written: Any) -> None:
        written["assignments"].append({"role": "manager", "user": "anna", "domain": True})

    assert ministry(edit).resources.keys() == ministry().resources.keys()


def test_tags_have_no_characters_that_keystone_refuses() -> None:
    assert ministry()["project/prod"].fields["tags"] == [
        "classification:restricted",
        "cost-centre:a-b-c",
        "valid-until:2030-12-31",
    ]


def test_quotas_are_all_numbers_of_the_class_with_the_overrides() -> None:
    fields = ministry()["compute-quota/prod"].fields
    assert (fields["cores"], fields["instances"], fields["project"]) == (48, 10, "project/prod")


def test_a_key_is_compared_without_its_comment() -> None:
    assert ministry()["keypair/anna/laptop"].fields["public_key"].count(" ") == 1


def no_manager(written: Any) -> None:
    written["users"][0] |= {"tenant_manager": False, "public_key": None}


def own_key(written: Any) -> None:
    written["users"][0] |= {"tenant_manager": False}


@pytest.mark.parametrize(
    ("edit", "sealed"),
    [
        (lambda written: None, {"user/anna", "user/robot", "application-credential/robot/deploy"}),
        (own_key, {"user/anna"}),
        (no_manager, set()),
    ],
    ids=["a manager's key", "a user's own key", "no key"],
)
def test_secrets_are_sealed_only_when_somebody_can_open_them(
    edit: Callable[[Any], object], sealed: set[str]
) -> None:
    fields = {resource.address: resource.fields for resource in ministry(edit).resources.values()}
    assert {a: f["credentials"] for a, f in fields.items() if "credentials" in f} == dict.fromkeys(
        sealed, SEALED
    )


def test_a_credential_waits_for_roles_that_come_through_a_group() -> None:
    def edit(written: Any) -> None:
        credential = {"name": "tool", "project": "prod", "roles": ["member"]}
        written["users"][0]["application_credentials"] = [credential]

    assert {"membership/ops/anna", "assignment/member/group/ops/project/prod"} <= set(
        ministry(edit)["application-credential/anna/tool"].needs
    )


@pytest.mark.parametrize(
    ("roles", "left"),
    [
        (["reader"], ["reader"]),
        (["member", "reader"], ["member"]),
        (["reader", "manager", "member"], ["manager"]),
        (["admin", "member"], ["admin", "member"]),
    ],
)
def test_implied_roles_are_left_out(roles: list[str], left: list[str]) -> None:
    assert strongest(roles) == left


# --- marks ------------------------------------------------------------------------------------------------

TEXTS = ["", " ", "One", "two  words ", "[x]", "a]", "[", "line\nline", "[controlplane other network/a/b]"]


@pytest.mark.parametrize("text", TEXTS)
def test_a_mark_gives_back_owner_and_text(text: str) -> None:
    marked = mark("ministry", "network/prod/app", text)
    assert read_mark(marked) == ("ministry", "network/prod/app")
    assert without_mark(marked) == (text or None)


@pytest.mark.parametrize(
    "description",
    [
        None,
        "",
        "One",
        "[controlplane]",
        "[controlplane ministry]",
        "[controlplane ministry ]",
        "[controlplane ministry network/a/b] and more",
        "[controlplane ministry network/a/b] see [1]",
        "[controlplane ministry network/a b]",
        "x[controlplane ministry network/a/b]",
        "[Controlplane ministry network/a/b]",
    ],
)
def test_what_is_no_mark_is_text(description: str | None) -> None:
    assert read_mark(description) is None
    assert without_mark(description) == (description or None)
