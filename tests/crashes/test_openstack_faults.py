"""What the adapter makes of lost replies, faults of every service and revoked tokens, on the real lab."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from controlplane.adapters.openstack import OpenStack, RetryPolicy
from controlplane.tenants.errors import CloudRefused, CloudUnavailable
from controlplane.tenants.listing import Listing, Raw, Scope
from controlplane.tenants.ports import Effect, Outcome
from controlplane.tenants.resources import Resource, kind_of, read_mark, unique_name
from tests.adapter.cases import CASES, SILENT
from tests.adapter.desk import Desk, opens
from tests.adapter.making import group, member, rule

if TYPE_CHECKING:
    from tests.lab.faults import Faults, Rule
    from tests.lab.session import Lab

HASTY = RetryPolicy(budget=20, sleep=lambda seconds: time.sleep(seconds / 20))
CHANGES: dict[str, Any] = {"method": "POST|PUT|PATCH", "path": "^(?!.*/auth/tokens)"}
"""Any request that changes something."""


@pytest.fixture
def shaken(lab: Lab, faults: Faults) -> Iterator[OpenStack]:
    """The same cloud, through the proxies."""
    with OpenStack(faults.cloud, str(faults.clouds_yaml), retry=HASTY) as opened:
        yield opened
        faults.clear()  # giving roles back shall not fail for a rule that is left


def same(work: Desk, address: str) -> list[Raw]:
    """All that OpenStack has of what an address names, where it would allow several."""
    c, kind = work.cloud._c, kind_of(address)
    project = [("project_id", work.ids.id("project/prod"))]
    if kind == "server-group":
        name = unique_name(address.rsplit("/", 1)[-1])
        groups = c.get("compute", "/os-server-groups", [("all_projects", "True")])["server_groups"]
        return [raw for raw in groups if raw["name"] == name and raw["project_id"] == project[0][1]]
    paths = {
        "network": "networks",
        "subnet": "subnets",
        "router": "routers",
        "security-group": "security_groups",
    }
    key = paths[kind]
    rows = c.pages("network", "/" + key.replace("_", "-"), key, project)
    return [raw for raw in rows if read_mark(raw["description"]) == (work.name, address)]


SEVERAL = ("subnet", *SILENT)
"""Kinds of which OpenStack may have several that look alike."""
SECRET = ("user", "application credential")
TWO_REQUESTS = ("flavor", "image access")


@pytest.mark.parametrize(
    ("case", "lost"), [*((case, 0) for case in CASES), *((case, 1) for case in TWO_REQUESTS)]
)
def test_a_reply_lost_after_the_effect_leaves_exactly_one(
    faults: Faults, shaken: OpenStack, work: Desk, case: str, lost: int
) -> None:
    address, fields, _ = CASES[case](work)
    cut = faults.after_effect(**CHANGES, skip=lost, times=1)
    outcome = work.create(address, through=shaken, **fields)
    assert cut.fired == 1
    assert outcome.id
    if case in SEVERAL:
        assert [raw["id"] for raw in same(work, address)] == [outcome.id]
    assert bool(outcome.secrets) is (case in SECRET)
    assert all(opens(work, secret) for secret in outcome.secrets)
    work.delete(address)


FAULTS: dict[str, Callable[..., Callable[..., Rule]]] = {
    "500": lambda faults: partial(faults.reply, 500),
    "502": lambda faults: partial(faults.reply, 502),
    "503 that asks to wait": lambda faults: partial(faults.reply, 503, {"Retry-After": "1"}),
    "429 that asks to wait": lambda faults: partial(faults.reply, 429, {"Retry-After": "1"}),
    "reset": lambda faults: faults.reset,
    "500 after the effect": lambda faults: partial(faults.reply, 500, after=True),
    "504 after the effect": lambda faults: partial(faults.reply, 504, after=True),
    "closed without an answer": lambda faults: partial(faults.after_effect, cut="close"),
}
OF_SERVICE = {
    "identity": "group",
    "network": "network",
    "compute": "flavor",
    "volume": "volume type",
    "image": "image access",
}


@pytest.mark.parametrize("service", OF_SERVICE)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_service_is_outlasted(
    faults: Faults, shaken: OpenStack, work: Desk, service: str, fault: str
) -> None:
    address, fields, _ = CASES[OF_SERVICE[service]](work)
    twice = FAULTS[fault](faults)(**CHANGES, times=2)
    outcome = work.create(address, through=shaken, **fields)
    assert twice.fired == 2
    assert outcome.id
    if OF_SERVICE[service] in SEVERAL:
        assert [raw["id"] for raw in same(work, address)] == [outcome.id]
    work.delete(address)


@pytest.mark.parametrize("after", [False, True], ids=["never heard", "after the effect"])
def test_after_a_timeout_it_looks_before_it_repeats(
    lab: Lab, faults: Faults, work: Desk, after: bool
) -> None:
    address, fields, _ = CASES["network"](work)
    with OpenStack(faults.cloud, str(faults.clouds_yaml), retry=HASTY, timeout=2) as shaken:
        shaken.listing(Scope(frozenset()))
        silent = faults.hang(after=after, method="POST", path="/networks$", times=1)
        outcome = work.create(address, through=shaken, **fields)
    assert silent.fired == 1
    assert [raw["id"] for raw in same(work, address)] == [outcome.id]
    work.delete(address)


@pytest.mark.parametrize("after", [False, True], ids=["never heard", "after the effect"])
def test_many_in_one_request_are_made_once_when_it_is_lost(
    faults: Faults, shaken: OpenStack, work: Desk, after: bool
) -> None:
    effects = []
    for number in range(3):
        address = f"security-group/prod/lost-{after}-{number}".lower()
        fields = {"name": address.rsplit("/", 1)[-1], "project": "project/prod", "description": None}
        effects.append(Effect("create", address, Resource(address, fields), None))
    where: dict[str, Any] = {"method": "POST", "path": "/security-groups$", "times": 1}
    cut = faults.after_effect(**where) if after else faults.reset(**where)
    outcomes = shaken.perform_many(effects, work.ids)
    assert cut.fired == 1
    for effect, outcome in zip(effects, outcomes, strict=True):
        assert isinstance(outcome, Outcome)
        assert [raw["id"] for raw in same(work, effect.address)] == [outcome.id]


@pytest.mark.parametrize("service", OF_SERVICE)
def test_a_service_that_stays_away_is_named_after_the_budget(
    faults: Faults, work: Desk, service: str
) -> None:
    address, fields, _ = CASES[OF_SERVICE[service]](work)
    slept: list[float] = []
    brief = RetryPolicy(budget=5, sleep=slept.append, clock=lambda: sum(slept), draw=lambda: 0.5)
    catalog = {"volume": "block-storage"}.get(service, service)
    with OpenStack(faults.cloud, str(faults.clouds_yaml), retry=brief) as shaken:
        away = faults.reply(503, service=catalog, method="POST|PUT", path="^(?!.*/auth/tokens)")
        with pytest.raises(CloudUnavailable) as problem:
            work.create(address, through=shaken, **fields)
        assert away.fired > 3
        assert 2 < sum(slept) <= 5
        faults.clear()
    assert "does not answer (HTTP 503)" in str(problem.value)
    assert problem.value.remedy


@pytest.mark.parametrize("fault", ["500", "503 that asks to wait", "reset", "closed without an answer"])
def test_a_look_outlasts_faults_of_all_services(
    faults: Faults, shaken: OpenStack, work: Desk, fault: str
) -> None:
    some = FAULTS[fault](faults)(method="GET", every=3, times=8)
    seen = shaken.listing(work.scope())
    assert some.fired
    assert len(seen.projects) == 2
    assert len(seen.compute_quotas) == len(seen.volume_quotas) == 2


def test_a_login_outlasts_faults_of_keystone(faults: Faults, shaken: OpenStack) -> None:
    down = faults.reply(503, path="/auth/tokens", times=3)
    lost = faults.after_effect(path="/auth/tokens", times=1)
    assert shaken.listing(Scope(frozenset())).roles
    assert (down.fired, lost.fired) == (3, 1)


def test_tokens_may_be_revoked_at_any_time(faults: Faults, shaken: OpenStack, work: Desk) -> None:
    """The plane's own, the one in a tenant's project, and a user's."""
    user = member(work, "revoked")
    fields: dict[str, Any] = {"project": "project/prod", "policy": "affinity"}
    for number in range(2):
        name = f"revoked-{number}"
        work.create(f"server-group/prod/{name}", through=shaken, name=name, **fields)
        address, allowed = rule(group(work, name))
        work.create(address, through=shaken, **allowed)
        about: dict[str, Any] = {"name": name, "user": user, "project": "project/prod", "roles": ["member"]}
        work.create(f"application-credential/revoked/{name}", through=shaken, **about)
        assert faults.expire_tokens() >= 2
    assert len(shaken.listing(work.scope()).projects) == 2


def test_tokens_may_be_revoked_again_and_again_while_it_looks(
    faults: Faults, shaken: OpenStack, work: Desk
) -> None:
    revoked = faults.call(lambda _: faults.expire_tokens(), method="GET", every=7, times=4)
    assert len(shaken.listing(work.scope()).projects) == 2
    assert revoked.fired > 1


def test_a_service_that_accepts_no_token_does_not_loop(faults: Faults, shaken: OpenStack, work: Desk) -> None:
    never = faults.reply(401, service="network")
    with pytest.raises(CloudRefused) as problem:
        work.create("network/prod/never", through=shaken, **CASES["network"](work)[1])
    assert never.fired < 8
    assert "credentials" in problem.value.remedy


def test_no_secret_is_logged_or_shown(
    work: Desk, faults: Faults, shaken: OpenStack, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        cut = faults.after_effect(method="POST", path="/users$", times=1)
        fields: dict[str, Any] = {"name": "secret", "description": None, "email": None, "enabled": True}
        made = work.create("user/secret", through=shaken, **fields)
        password = made.secrets[0].values["password"]
        refusing = faults.reply(
            400,
            content=b'{"error": {"message": "bad password"}}',
            method="PATCH|POST",
            path="/users",
            times=1,
        )
        with pytest.raises(CloudRefused) as problem:
            work.create("user/secret2", through=shaken, **{**fields, "name": "secret2"})
    assert (cut.fired, refusing.fired) == (1, 1)
    shown = caplog.text + repr(made) + repr(problem.value.facts)
    assert password not in shown
    assert shaken._c.own.token() not in shown


def test_a_role_left_over_by_a_crash_is_noticed_and_given_back(lab: Lab, work: Desk) -> None:
    crashed = OpenStack(lab.cloud, str(lab.clouds_yaml))
    fields: dict[str, Any] = {"name": "left", "project": "project/prod", "policy": "affinity"}
    work.create("server-group/prod/left", through=crashed, **fields)  # and never steps down

    def held(listing: Listing) -> list[Raw]:
        return [a for a in listing.role_assignments if a.get("user", {}).get("id") == listing.plane_user_id]

    with OpenStack(lab.cloud, str(lab.clouds_yaml)) as later:
        assert len(held(later.listing(work.scope()))) == 1
        before = later.requests
        later.step_down([work.ids.id("project/prod"), work.ids.id("project/test")])
        later.step_down([work.ids.id("project/prod"), work.ids.id("project/test")])
        assert later.requests == before + 1
        assert held(later.listing(work.scope())) == []
