"""When the adapter tries again, for how long, and what it makes of a refusal: no network at all."""

from __future__ import annotations

import doctest
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from keystoneauth1 import exceptions as auth_errors

from controlplane.adapters.openstack import network_bodies, refusal, retry, verbs
from controlplane.adapters.openstack.connection import Connection, Made, Reply
from controlplane.adapters.openstack.refusal import refused
from controlplane.adapters.openstack.retry import RetryPolicy, retry_after
from controlplane.adapters.openstack.wire import Fault, never_sent
from controlplane.tenants.errors import CloudRefused, CloudUnavailable

CLOUDS = """
clouds:
  nowhere:
    auth:
      {auth_url: http://127.0.0.1:9/v3, username: a, password: b, project_id: c, user_domain_id: d}
"""


@pytest.mark.parametrize("module", [retry, refusal, verbs, network_bodies])
def test_the_examples_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


class Slept:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def policy(self, **more: Any) -> RetryPolicy:
        return RetryPolicy(sleep=self.pauses.append, clock=lambda: sum(self.pauses), draw=lambda: 0.5, **more)


def test_pauses_grow_to_a_longest_one() -> None:
    policy = RetryPolicy(draw=lambda: 0.999999)
    assert [round(policy.pause(attempt), 3) for attempt in range(8)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8, 8]


@given(st.integers(0, 60), st.floats(0, 0.999))
def test_a_pause_is_between_half_and_all_of_its_step(attempt: int, draw: float) -> None:
    whole = min(8.0, 0.2 * 2**attempt)
    assert whole / 2 <= RetryPolicy(draw=lambda: draw).pause(attempt) <= whole


@given(st.floats(0, 1e9))
def test_a_server_may_ask_for_longer_but_not_for_ever(asked: float) -> None:
    pause = RetryPolicy(draw=lambda: 0.0).pause(0, asked)
    assert pause == max(0.1, min(asked, 30.0))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 12 ", 12.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("", None),
        (None, None),
        ("٣", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, datetime(2026, 11, 23, 12, tzinfo=UTC)) == seconds


def test_attempts_end_with_the_budget() -> None:
    slept = Slept()
    attempts = slept.policy(budget=10).start()
    while attempts.again():
        pass
    assert 8 < sum(slept.pauses) <= 10
    assert attempts.made == len(slept.pauses)


def test_a_pause_that_would_end_after_the_budget_is_not_begun() -> None:
    slept = Slept()
    assert not slept.policy(budget=10).start().again(asked=11)
    assert slept.pauses == []


# --- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": {"code": 409, "message": "Conflict", "title": "Conflict"}}', "Conflict"),
        (b'{"badRequest": {"code": 400, "message": "Bad\\nline"}}', "Bad line"),
        (b'{"NeutronError": "as text"}', "as text"),
        (b'{"message": "The server could not comply", "code": "400"}', "The server could not comply"),
        (b"<html><head><title>x</title></head><body><h1>403</h1>No <b>way</b></body></html>", "No way"),
        (b"plain", "plain"),
        (b"", ""),
        (b"[]", ""),
        (b"null", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
    ],
)
def test_the_reason_is_openstacks_own_words(body: bytes, said: str) -> None:
    assert refusal.reason(body) == said


@given(st.binary())
def test_any_answer_gives_one_short_line(body: bytes) -> None:
    said = refusal.reason(body)
    assert len(said) <= refusal.LONGEST
    assert "\n" not in said
    assert str(refused("image", 400, body, action="create", address="x")).isprintable()


def test_what_must_be_concealed_is_not_repeated() -> None:
    body = json.dumps({"error": {"message": "the password s3cret+/ is too weak"}}).encode()
    assert "s3cret" not in refusal.reason(body, ["s3cret+/", ""])


@pytest.mark.parametrize(
    "said",
    [
        "Quota exceeded for resources: ['network'].",
        "Quota exceeded, too many server groups.",
        "Maximum number of key pairs exceeded",
        "VolumeLimitExceeded: Maximum number of volumes allowed (3) exceeded for quota 'volumes'.",
        "The limit on image members has been exceeded",
    ],
)
def test_a_quota_is_recognised(said: str) -> None:
    body = json.dumps({"forbidden": {"message": said}}).encode()
    assert "quota" in refused("network", 403, body, action="create", address="x").remedy


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 418])
def test_every_refusal_has_a_remedy(status: int) -> None:
    problem = refused("compute", status, b"", action="create", address="flavor/x")
    assert str(problem) == f"Nova refused to create flavor/x: HTTP {status}"
    assert problem.remedy.endswith(".")
    assert problem.facts["status"] == status


# --- creates ------------------------------------------------------------------------------------------

DONE = Reply(201, b'{"thing": {"id": "new"}}')
LOST = Fault("connection lost", acted=True, service="network")
UNHEARD = Fault("connection refused", acted=False, service="network")
SLOW = Fault("timeout", acted=True, slow=True, service="network")
BUSY = Fault("HTTP 429", acted=False, service="network", asked=3)
CONFLICT = Reply(409, b'{"error": {"message": "there is one"}}')
OVERLAP = Reply(400, b'{"error": {"message": "overlaps"}}')
THERE = {"id": "there"}


Look = Mapping[str, Any] | None


class Script:
    """A connection whose attempts and looks go by a script."""

    def __init__(
        self, tmp_path: Any, attempts: list[Reply | Fault], looks: list[Mapping[str, Any] | None]
    ) -> None:
        clouds = tmp_path / "clouds.yaml"
        clouds.write_text(CLOUDS)
        self.slept = Slept()
        self.connection = Connection("nowhere", str(clouds), retry=self.slept.policy())
        self.connection.send = self._send  # type: ignore[method-assign]
        self.attempts, self.looks = attempts, looks
        self.did: list[str] = []

    def _send(self, *_: Any, **__: Any) -> Reply:
        self.did.append("create")
        step = self.attempts.pop(0)
        if isinstance(step, Fault):
            raise step
        return step

    def _find(self) -> Mapping[str, Any] | None:
        self.did.append("look")
        return self.looks.pop(0) if self.looks else None

    def run(self, **more: Any) -> Made:
        return self.connection.create("network", "/things", {}, find=self._find, **more)


CREATES: dict[str, tuple[list[Reply | Fault], list[Look], dict[str, Any], str, bool]] = {
    "at once": ([DONE], [], {}, "create", False),
    "found before it is tried, when told to look": ([], [THERE], {"look_first": True}, "look", True),
    "not there, when told to look": ([DONE], [], {"look_first": True}, "look create", False),
    "reply lost after the effect": ([LOST], [THERE], {}, "create look", True),
    "lost before the effect": ([LOST, DONE], [], {}, "create look create", False),
    "never heard: no look at all": ([UNHEARD, DONE], [], {}, "create create", False),
    "told to wait: no look at all": ([BUSY, DONE], [], {}, "create create", False),
    "slow, and there at the third look": ([SLOW], [None, None, THERE], {}, "create look look look", True),
    "it exists and is ours": ([CONFLICT], [THERE], {}, "create look", True),
    "lost, then refused by itself": ([LOST, OVERLAP], [None, THERE], {}, "create look create look", True),
}  # fmt: skip


@pytest.mark.parametrize("case", CREATES)
def test_a_create_is_repeated_only_when_it_did_not_happen(case: str, tmp_path: Any) -> None:
    attempts, looks, more, did, adopted = CREATES[case]
    script = Script(tmp_path, list(attempts), list(looks))
    made = script.run(**more)
    assert " ".join(script.did) == did
    assert made == (Made(THERE, adopted=True) if adopted else Made({"thing": {"id": "new"}}))


@pytest.mark.parametrize("reply", [CONFLICT, OVERLAP, Reply(403, b""), Reply(413, b"")])
def test_a_definite_refusal_ends_a_create(reply: Reply, tmp_path: Any) -> None:
    script = Script(tmp_path, [reply], [])
    with pytest.raises(CloudRefused):
        script.run()
    assert script.did.count("create") == 1


def test_a_server_that_asks_to_wait_is_waited_for(tmp_path: Any) -> None:
    script = Script(tmp_path, [BUSY, DONE], [])
    script.run()
    assert script.slept.pauses == [3]


@pytest.mark.parametrize("act", [lambda s: s.run(), lambda s: s.connection.call("network", "GET", "/things")])
def test_a_service_that_never_answers_is_unavailable_after_the_budget(
    act: Callable[[Script], object], tmp_path: Any
) -> None:
    script = Script(tmp_path, [LOST] * 100, [])
    with pytest.raises(CloudUnavailable, match=r"Neutron does not answer \(connection lost\)"):
        act(script)
    assert 45 < sum(script.slept.pauses) <= 60


def test_pages_are_followed_in_every_services_way(tmp_path: Any) -> None:
    pages: dict[str, list[dict[str, Any]]] = {
        "networks": [
            {
                "networks": [{"id": 1}],
                "networks_links": [{"rel": "next", "href": "http://other:1/v2.0/networks?marker=1&limit=1"}],
            },
            {
                "networks": [{"id": 2}],
                "networks_links": [
                    {"rel": "previous", "href": "http://other:1/v2.0/networks?page_reverse=1"}
                ],
            },
        ],
        "volume_types": [
            {"volume_types": [{"id": 1}], "volume_type_links": [{"rel": "next", "href": "/types?marker=1"}]},
            {"volume_types": [{"id": 2}]},
        ],
        "images": [{"images": [{"id": 1}], "next": "/v2/images?marker=1"}, {"images": [{"id": 2}]}],
        "projects": [
            {"projects": [{"id": 1}], "links": {"next": "http://x/v3/projects?marker=1"}},
            {"projects": [{"id": 2}], "links": {"next": None}},
        ],
        "users": [{"users": [{"id": 1}], "links": {"next": None}, "truncated": True}, {"users": [{"id": 2}]}],
    }
    for key, bodies in pages.items():
        script = Script(tmp_path, [Reply(200, json.dumps(body).encode()) for body in bodies], [])
        assert [row["id"] for row in script.connection.pages("network", "/x", key)] == [1, 2]


def test_a_listing_that_is_cut_off_is_refused_not_believed(tmp_path: Any) -> None:
    cut = Reply(200, json.dumps({"users": [{"id": 1}], "truncated": True}).encode())
    script = Script(tmp_path, [cut, cut, cut], [])
    with pytest.raises(CloudRefused, match="cut off"):
        script.connection.pages("identity", "/users", "users")


def test_a_connection_that_was_never_made_had_no_effect() -> None:
    with pytest.raises(requests.ConnectionError) as failure:
        requests.get("http://127.0.0.1:9/", timeout=2)
    wrapped = auth_errors.ConnectFailure("refused")
    wrapped.__context__ = failure.value
    assert never_sent(wrapped)
    assert not never_sent(auth_errors.ConnectFailure("reset"))
