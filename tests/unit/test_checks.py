"""Checks with and without the site's facts, quota classes, and what an existing tenant may keep."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from controlplane.tenants.checks import check
from controlplane.tenants.checks.access import rights_of, roles_of
from controlplane.tenants.checks.keylines import keypair_problem
from controlplane.tenants.errors import Finding, SpecInvalid
from controlplane.tenants.facts import Capacity, SiteFacts
from controlplane.tenants.quotas import AREAS, QuotaClasses, load, resolve
from controlplane.tenants.reading import MOST_FINDINGS, read
from controlplane.tenants.spec import Quota
from tests.specs.made import GOOD
from tests.specs.site import EXAMPLES, HERE, SITE, TODAY, example, findings

NEEDS_SITE = sorted(path for path in (HERE / "bad").glob("site-*.yaml"))


def messages(found: list[Finding]) -> list[str]:
    return [finding.message for finding in found]


# --- with and without the site ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", NEEDS_SITE, ids=lambda path: path.stem)
def test_what_only_the_site_can_refuse_passes_without_its_facts(path: Path) -> None:
    assert findings(path.read_bytes(), facts=None) == []
    assert findings(path.read_bytes(), facts=SITE) != []


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_are_right_at_the_labs_site_and_without_one(path: Path) -> None:
    assert findings(path.read_bytes()) == findings(path.read_bytes(), facts=None) == []


def test_an_empty_site_has_nothing_that_the_ministry_needs() -> None:
    found = check(example("ministry"), SiteFacts(), QuotaClasses(), TODAY)
    assert {f.message.split("which this site")[0] for f in found} >= {
        "router edge names the external network 'public', ",
        "subnet web names the subnet pool 'tenant-space', ",
        "tenant_manager of user anna needs the role 'manager', ",
    }
    assert any(f.remedy == "Ask the site's operator for one: it has no subnet pool at all." for f in found)


def test_capacity_that_is_not_known_is_not_checked() -> None:
    text = (HERE / "bad" / "site-cores-above-capacity.yaml").read_bytes()
    assert findings(text, facts=replace(SITE, capacity=Capacity())) == []


def test_capacity_is_for_all_projects_together() -> None:
    text = GOOD + "  - {name: dev, quota: {class: small}}\n"
    tight = replace(SITE, capacity=Capacity(cores=39))
    assert messages(findings(text, facts=tight)) == [
        "the quota is 40 cores, 2 projects together, but this site has 39"
    ]
    assert findings(text, facts=replace(SITE, capacity=Capacity(cores=40))) == []


def test_a_domain_that_the_plane_made_for_this_tenant_is_no_obstacle() -> None:
    assert SITE.domains["ministry"].mark == ("ministry", "domain")
    assert findings(GOOD.replace("acme", "ministry")) == []


def test_a_subnet_that_exists_needs_no_more_room_in_its_pool() -> None:
    text = (HERE / "bad" / "site-pool-full-together.yaml").read_bytes()
    assert findings(text) != []
    assert findings(text, owned=["subnet/prod/app/a"]) == []


def test_the_same_spec_gets_the_same_findings() -> None:
    text = (HERE / "bad" / "many-at-once.yaml").read_bytes()
    assert findings(text) == findings(text)


def many(template: str, number: int) -> str:
    return ", ".join(template.format(i) for i in range(number))


LARGE = {
    "unknown projects": GOOD
    + "images: [{name: hospital-appliance, projects: ["
    + many("prd-{}", 20_000)
    + "]}]\n",
    "projects": GOOD + "".join(f"  - {{name: p{i}, quota: {{class: smal}}}}\n" for i in range(6_000)),
    "credentials": GOOD
    + "users: [{name: u, application_credentials: ["
    + many("{{name: c{}, project: prod, roles: [member]}}", 4_000)
    + "]}]\nassignments: ["
    + many("{{role: reader, user: u{}, project: prod}}", 2_500)
    + "]\n",
}


@pytest.mark.parametrize("text", LARGE.values(), ids=LARGE)
def test_a_large_file_that_is_wrong_everywhere_is_refused_soon(text: str) -> None:
    start = time.process_time()
    assert 0 < len(findings(text)) <= MOST_FINDINGS
    assert time.process_time() - start < 10


# --- access -----------------------------------------------------------------------------------------------


def test_a_users_roles_come_directly_by_group_and_by_implication() -> None:
    tenant = example("ministry").tenant
    anna, jonas, pipeline = tenant.users
    rights = rights_of(tenant)
    assert roles_of(anna, "prod", rights) == {"member", "reader"}
    assert roles_of(jonas, "prod", rights) == {"reader"}
    assert roles_of(anna, "dev", rights) == set()
    assert roles_of(pipeline, "dev", rights) == {"member", "reader"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ssh-rsa", "is cut or altered"),
        ("ssh-rsa AAAAB3NzaC1yc2E", "is cut or altered"),
        ("ssh-rsa AAAAC3NzaC1lZDI1NTE5", "says it is ssh-rsa but holds another kind of key"),
        ("ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY=", "is cut or altered"),
        ('from="10.0.0.1" ssh-rsa AAAA', "is not an OpenSSH public key of a kind that OpenStack takes"),
        ("-----BEGIN RSA PRIVATE KEY-----", "is a private key"),
    ],
)
def test_a_keypair_that_servers_cannot_use_is_refused(line: str, says: str) -> None:
    problem = keypair_problem(line)
    assert problem is not None
    assert problem[0] == says


# --- quota classes ----------------------------------------------------------------------------------------


def quota(**overrides: object) -> Quota:
    return Quota.model_validate({"class": "small", **overrides})


def test_a_quota_resolves_to_every_number() -> None:
    limits = resolve(quota(compute={"cores": 7}, network={"floating_ips": 0}), QuotaClasses())
    assert {area: set(numbers) for area, numbers in limits.items()} == {
        a: set(keys) for a, keys in AREAS.items()
    }
    assert limits["compute"]["cores"] == 7
    assert limits["network"]["floating_ips"] == 0
    assert limits["compute"]["instances"] == QuotaClasses().limits["small"]["compute"]["instances"]


def test_overrides_leave_the_class_as_it_is() -> None:
    classes = QuotaClasses()
    resolve(quota(compute={"cores": 7}), classes)
    assert classes == QuotaClasses()


def test_a_site_changes_one_number_and_adds_a_class() -> None:
    classes = load(
        "classes:\n  small: {compute: {cores: 2}}\n"
        "  huge: {like: large, unlimited: true, volume: {volumes: -1}}\n",
        "quotas.yaml",
    )
    assert classes.limits["small"]["compute"]["cores"] == 2
    assert classes.limits["small"]["volume"] == QuotaClasses().limits["small"]["volume"]
    assert classes.limits["huge"]["volume"]["volumes"] == -1
    assert classes.limits["huge"]["compute"] == QuotaClasses().limits["large"]["compute"]
    assert classes.unlimited == {"huge"}


def test_unlimited_passes_where_the_class_allows_it() -> None:
    text = GOOD.replace("{class: small}", "{class: small, network: {ports: -1}}")
    generous = replace(QuotaClasses(), unlimited=frozenset({"small"}))
    assert check(read(text, "x"), SITE, generous, TODAY) == []
    assert len(check(read(text, "x"), SITE, QuotaClasses(), TODAY)) == 1


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("classes:\n  small: {comput: {}}\n", 2, "unknown key 'comput' in class small"),
        ("classes:\n  huge: {like: larg}\n", 2, "class huge is like 'larg', which is not a class above it"),
        (
            "classes:\n  small:\n    compute: {cores: -1}\n",
            3,
            "class small sets compute.cores to -1, which is no limit",
        ),
        (
            "classes:\n  tiny: {volume: {volumes: 1}}\n",
            2,
            "class tiny has no compute.instances, compute.cores",
        ),
        ("classes:\n  Big: {like: large}\n", 2, "the key 'Big' in classes must be lower-case letters"),
        ("classes: &a {}\n", 1, "the anchor '&a' marks a value"),
    ],
)
def test_a_wrong_file_of_classes_is_refused_with_its_line(text: str, line: int, says: str) -> None:
    with pytest.raises(SpecInvalid) as refused:
        load(text, "quotas.yaml")
    assert refused.value.findings[0].line == line
    assert refused.value.findings[0].message.startswith(says)
