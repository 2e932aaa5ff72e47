"""Operations brought about: in parallel, each failure holding back only what waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from airgap_bundle.errors import Problem
from controlplane.tenants import apply
from controlplane.tenants.apply import BATCH, Result, reason_of, resource_of, run
from controlplane.tenants.desired import Desired
from controlplane.tenants.facts import Facility, SiteFacts
from controlplane.tenants.known import Known
from controlplane.tenants.observed import PLANE, View
from controlplane.tenants.operations import Operation
from controlplane.tenants.ports import Cloud, Effect, Ids, Outcome, Secret
from controlplane.tenants.resources import Observed, Resource

T = TypeVar("T")
Script = Mapping[str, Outcome | Exception]


class AtOnce(Executor):
    """Runs what is submitted right away, so that orders can be told."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
        return future


@dataclass
class Scripted:
    """A cloud that answers from a script, and the journal beside it: one list of what happened."""

    script: Script = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)
    requests: list[list[str]] = field(default_factory=list)
    many: Callable[[Sequence[Effect]], Sequence[Outcome | Exception]] | None = None

    def answer(self, effect: Effect) -> Outcome | Exception:
        return self.script.get(effect.address, Outcome(f"id-{effect.address}"))

    def perform(self, effect: Effect, ids: Ids) -> Outcome:
        self.requests.append([f"{effect.action} {effect.address}"])
        answer = self.answer(effect)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def perform_many(self, effects: Sequence[Effect], ids: Ids) -> Sequence[Outcome | Exception]:
        self.requests.append([f"{effect.action} {effect.address}" for effect in effects])
        return self.many(effects) if self.many else [self.answer(effect) for effect in effects]

    def began(self, operation: Operation) -> None:
        self.told.append(("began", operation.address))

    def done(self, operation: Operation, outcome: Outcome) -> None:
        self.told.append(("done", operation.address))

    def failed(self, operation: Operation, reason: Exception) -> None:
        self.told.append(("failed", operation.address))

    def blocked(self, operation: Operation, by: Operation) -> None:
        self.told.append(("blocked", f"{operation.address} by {by.address}"))


def making(address: str, *after: str) -> Operation:
    effect = Effect("create", address, Resource(address, {}), None)
    return Operation(("make", address), effect, frozenset(("make", a) for a in after))


def known() -> Known:
    facts = SiteFacts(flavors={"small": Facility("f-1", True)}, roles={"member": "r-1"}, plane_user_id="me")
    return Known(View("ministry", {"domain": Observed("domain", "d", {}, facts={"a": 1})}), facts)


def do(
    cloud: Scripted,
    *todo: Operation,
    desired: Sequence[str] = (),
    ids: Known | None = None,
    stop: Callable[[], bool] = lambda: False,
    pool: Executor | None = None,
) -> Result:
    wanted = Desired("ministry", {a: Resource(a, {}) for a in desired})
    as_cloud: Cloud = cloud  # type: ignore[assignment]
    return run(todo, as_cloud, ids or known(), wanted, cloud, pool or AtOnce(), stop)


def addresses(operations: Sequence[Operation]) -> list[str]:
    return sorted(operation.address for operation in operations)


# --- order and failures -----------------------------------------------------------------------------------


def test_what_is_done_is_told_before_what_waits_for_it_begins() -> None:
    cloud = Scripted()
    chain = [making("user/a"), making("user/b", "user/a"), making("user/c", "user/b")]
    result = do(cloud, *reversed(chain))
    assert addresses(result.done) == ["user/a", "user/b", "user/c"]
    assert cloud.told == [(word, f"user/{n}") for n in "abc" for word in ("began", "done")]


def test_a_failure_holds_back_only_what_waits_for_it() -> None:
    broken = RuntimeError("no")
    cloud = Scripted({"user/b": broken})
    result = do(
        cloud,
        making("user/a"),
        making("user/b"),
        making("user/c", "user/b"),
        making("user/d", "user/c", "user/a"),
        making("user/e", "user/a"),
    )
    assert addresses(result.done) == ["user/a", "user/e"]
    assert [(o.address, reason) for o, reason in result.failed] == [("user/b", broken)]
    assert addresses(result.blocked) == ["user/c", "user/d"]
    assert ("blocked", "user/d by user/b") in cloud.told
    assert not {("began", "user/c"), ("began", "user/d")} & set(cloud.told)


def test_two_failures_block_what_waits_for_both_only_once() -> None:
    cloud = Scripted({"user/a": OSError("1"), "user/b": OSError("2")})
    result = do(cloud, making("user/a"), making("user/b"), making("user/c", "user/a", "user/b"))
    assert (len(result.failed), addresses(result.blocked)) == (2, ["user/c"])


def test_what_is_not_in_the_run_is_not_waited_for() -> None:
    assert addresses(do(Scripted(), making("user/a", "user/gone")).done) == ["user/a"]


def test_a_run_with_nothing_to_do_is_done() -> None:
    assert do(Scripted()) == Result()


def test_independent_effects_run_beside_each_other() -> None:
    both = threading.Barrier(2, timeout=10)

    class Meeting(Scripted):
        def perform(self, effect: Effect, ids: Ids) -> Outcome:
            both.wait()
            return Outcome("x")

    with ThreadPoolExecutor(2) as pool:
        assert len(do(Meeting(), making("user/a"), making("user/b"), pool=pool).done) == 2


def test_stop_ends_between_effects() -> None:
    cloud = Scripted()
    result = do(
        cloud, making("user/a"), making("user/b", "user/a"), stop=lambda: ("done", "user/a") in cloud.told
    )
    assert addresses(result.done) == ["user/a"]
    assert (result.failed, result.blocked) == ([], [])
    assert cloud.requests == [["create user/a"]]


def test_stop_before_the_first_effect_does_nothing() -> None:
    cloud = Scripted()
    assert do(cloud, making("user/a"), stop=lambda: True) == Result()
    assert cloud.told == []


# --- batches ----------------------------------------------------------------------------------------------


def networks(count: int) -> list[Operation]:
    return [making(f"network/p/{i:03}") for i in range(count)]


def test_creates_of_neutron_share_requests() -> None:
    cloud = Scripted()
    result = do(cloud, *networks(BATCH + 1), making("user/a"), making("router/p/a"), making("router/p/b"))
    assert sorted(len(request) for request in cloud.requests) == [1, 1, 1, 1, BATCH]
    assert len(result.done) == BATCH + 4


def test_updates_and_deletes_share_none() -> None:
    def acting(action: str, address: str) -> Operation:
        want = Resource(address, {}) if action == "update" else None
        return Operation((action, address), Effect(action, address, want, Observed(address, "x", {})))

    cloud = Scripted()
    do(cloud, *(acting(action, f"network/p/{n}") for n in "ab" for action in ("update", "delete")))
    assert [len(request) for request in cloud.requests] == [1, 1, 1, 1]


def test_one_failure_in_a_batch_leaves_the_others_done() -> None:
    cloud = Scripted({"network/p/001": OSError("no")})
    result = do(cloud, *networks(3), making("subnet/p/001/x", "network/p/001"))
    assert addresses(result.done) == ["network/p/000", "network/p/002"]
    assert (len(result.failed), addresses(result.blocked)) == (1, ["subnet/p/001/x"])


def test_a_batch_that_raises_fails_as_one_and_loses_no_other() -> None:
    def break_(effects: Sequence[Effect]) -> Sequence[Outcome | Exception]:
        raise OSError("cut")

    cloud = Scripted(many=break_)
    result = do(cloud, *networks(2), making("user/a"), making("user/b", "user/a"))
    assert addresses([o for o, _ in result.failed]) == ["network/p/000", "network/p/001"]
    assert addresses(result.done) == ["user/a", "user/b"]


# --- the rules that Neutron makes by itself ---------------------------------------------------------------

GROUP = "security-group/p/web"
V4, V6 = "egress:IPv4:any:any:any", "egress:IPv6:any:any:any"
BORN = Outcome("sg", facts={"default_rules": {V4: "rule-4", V6: "rule-6"}})


def test_a_default_rule_that_is_wanted_costs_no_request_and_another_is_deleted() -> None:
    cloud, ids = Scripted({GROUP: BORN}), known()
    wanted = f"rule/p/web/{V4}"
    result = do(cloud, making(GROUP), making(wanted, GROUP), desired=[GROUP, wanted], ids=ids)
    assert cloud.requests == [[f"create {GROUP}"], [f"delete rule/p/web/{V6}"]]
    assert addresses(result.done) == [wanted, GROUP]
    assert ids.id(wanted) == "rule-4"
    assert ("done", wanted) in cloud.told


def test_a_default_rule_about_which_the_spec_says_something_is_made_with_it() -> None:
    cloud, ids, wanted = Scripted({GROUP: BORN}), known(), f"rule/p/web/{V4}"
    said = Resource(wanted, {"description": "Anywhere"})
    make = Operation(("make", wanted), Effect("create", wanted, said, None), frozenset({("make", GROUP)}))
    desired = Desired("ministry", {wanted: said})
    as_cloud: Cloud = cloud  # type: ignore[assignment]
    run([making(GROUP), make], as_cloud, ids, desired, cloud, AtOnce())
    assert cloud.requests == [
        [f"create {GROUP}"],
        [f"delete rule/p/web/{V4}"],
        [f"delete rule/p/web/{V6}"],
        [f"create {wanted}"],
    ]
    assert ids.id(wanted) == f"id-{wanted}"


def test_default_rules_and_others_of_one_batch_are_told_apart() -> None:
    cloud = Scripted({GROUP: BORN})
    rules = [f"rule/p/web/{key}" for key in (V4, V6, "ingress:IPv4:tcp:22:any", "ingress:IPv4:tcp:80:any")]
    result = do(cloud, making(GROUP), *(making(r, GROUP) for r in rules), desired=rules)
    assert cloud.requests[1:] == [[f"create {r}" for r in rules[2:]]]
    assert len(result.done) == 5


def test_a_default_rule_that_will_not_go_fails_its_group() -> None:
    cloud = Scripted({GROUP: BORN, f"rule/p/web/{V6}": OSError("no")})
    wanted = f"rule/p/web/{V4}"
    result = do(cloud, making(GROUP), making(wanted, GROUP), desired=[wanted])
    assert ([o.address for o, _ in result.failed], addresses(result.blocked)) == ([GROUP], [wanted])


def test_an_update_of_a_group_leaves_its_rules_alone() -> None:
    cloud = Scripted({GROUP: BORN})
    effect = Effect("update", GROUP, Resource(GROUP, {}), Observed(GROUP, "sg", {}), ("description",))
    do(cloud, Operation(("make", GROUP), effect))
    assert cloud.requests == [[f"update {GROUP}"]]


# --- what is known while it runs --------------------------------------------------------------------------


def test_what_was_made_is_known_to_what_comes_after() -> None:
    ids = known()
    secret = Secret("user/a", {"user": "a", "password": "s3cret"})
    cloud = Scripted({"user/a": Outcome("u-1", facts={"b": 2}, secrets=[secret])})
    do(cloud, making("user/a"), ids=ids)
    assert (ids.id("user/a"), ids.facts("user/a"), ids.password("user/a")) == ("u-1", {"b": 2}, "s3cret")
    assert "s3cret" not in repr(secret)


def test_a_password_that_was_renewed_is_known_to_what_logs_in_with_it() -> None:
    known_then: dict[str, str | None] = {}

    class Cloud(Scripted):
        def perform(self, effect: Effect, ids: Ids) -> Outcome:
            known_then[effect.address] = ids.password("user/a")
            return super().perform(effect, ids)

    update = Effect(
        "update", "user/a", Resource("user/a", {}), Observed("user/a", "u-1", {}), ("credentials",)
    )
    secret = Secret("user/a", {"user": "a", "password": "n3w"})
    cloud = Cloud({"user/a": Outcome("u-1", secrets=[secret])})
    login = making("application-credential/a/ci", "user/a")
    do(cloud, login, Operation(("make", "user/a"), update))
    assert known_then == {"user/a": None, "application-credential/a/ci": "n3w"}


def test_what_was_deleted_is_known_no_more() -> None:
    ids = known()
    ids.learn("domain", Outcome(""))
    with pytest.raises(KeyError):
        ids.id("domain")


def test_what_exists_and_what_the_site_has_is_known() -> None:
    ids = known()
    assert (ids.id("domain"), ids.facts("domain"), ids.facts("user/x")) == ("d", {"a": 1}, {})
    assert (ids.id("id:p-foreign"), ids.id(PLANE)) == ("p-foreign", "me")
    assert (ids.facility("flavors", "small"), ids.facility("roles", "member")) == ("f-1", "r-1")
    assert ids.facility("roles", "id:r-unknown") == "r-unknown"
    assert ids.password("user/x") is None
    with pytest.raises(KeyError):
        ids.facility("flavors", "large")


# --- words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("problem", "reason"),
    [
        (Problem(text="the quota is used up"), "the quota is used up"),
        (ValueError("odd"), "ValueError: odd"),
    ],
)
def test_a_reason_is_a_sentence(problem: Exception, reason: str) -> None:
    assert reason_of(problem) == reason


def test_a_resource_that_was_deleted_became_nothing() -> None:
    made = making("user/a")
    assert resource_of(made) is made.effect.want
    gone = Operation(("delete", "user/a"), Effect("delete", "user/a", made.effect.want, None))
    assert resource_of(gone) is None


def test_what_goes_in_bulk_is_what_neutron_takes_in_bulk() -> None:
    assert {kind.value for kind in apply.BULK} == {"network", "subnet", "security-group", "rule"}
