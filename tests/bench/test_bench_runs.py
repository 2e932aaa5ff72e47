"""The benchmark's own logic; and, as a long test, that a small one runs to its end.

Its figures are for people: nothing here asserts how fast anything is.
"""

from __future__ import annotations

import asyncio
import json
import sys

import pytest
import yaml

from tests.bench import dependencies, floor, recorded, tenants
from tests.bench.measure import run
from tests.bench.recorded import Recorded
from tests.bench.tables import Aim, Report
from tests.lab.openstack.layout import FIRST_PORT
from tests.specs.site import findings

PROJECT, USER, ROLE = "a" * 32, "b" * 32, "c" * 32
KEYSTONE = f"http://127.0.0.1:{FIRST_PORT}/v3"


def _one(
    method: str, path: str, at: float, *, answer: object = None, token: str = "", **more: object
) -> Recorded:
    text = json.dumps(answer) if answer is not None else ""
    headers = {"X-Auth-Token": str(more.pop("using", "own"))}
    body = json.dumps(more["body"]) if "body" in more else ""
    return Recorded(method, KEYSTONE + path, 200, at, at + 0.5, "t", headers, body, text, token)


def _login(at: float, scope: str) -> Recorded:
    auth = {"identity": {"methods": ["token"], "token": {"id": "own"}}, "scope": {"project": {"id": scope}}}
    return _one("POST", "/auth/tokens", at, token="scoped", body={"auth": auth})


@pytest.fixture
def recording() -> list[Recorded]:
    """The plane makes a project, takes a role there, uses it, gives it back, and looks."""
    plane = "d" * 32
    return [
        _one("GET", "/roles", 0, answer={"roles": [{"id": ROLE}, {"id": plane}]}),
        _one("POST", "/projects", 1, answer={"project": {"id": PROJECT}}),
        _one("PUT", f"/projects/{PROJECT}/users/{plane}/roles/{ROLE}", 2),
        _login(3, PROJECT),
        _one("POST", "/things", 4, answer={"thing": {"id": USER}}, using="scoped"),
        _one("DELETE", f"/projects/{PROJECT}/users/{plane}/roles/{ROLE}", 5),
        _one("GET", "/projects", 6, answer={"projects": [{"id": PROJECT}]}),
    ]


def test_requests_wait_only_for_what_they_need(recording: list[Recorded]) -> None:
    waits = {step.index: step.after for step in dependencies.steps(recording)}
    assert waits[1] == set(), "a create does not wait for a look that tells it nothing"
    assert waits[2] == {0, 1}, "identifiers must have been answered"
    assert waits[3] == {1, 2}, "a login needs the role"
    assert waits[4] == {3}, "a token must have been given"
    assert waits[5] == {0, 1, 3, 4}, "a role is given back after its use"
    assert waits[6] == {1, 2, 3, 4, 5}, "a look sees what it saw"


def test_what_nothing_told_cannot_be_replayed() -> None:
    with pytest.raises(dependencies.NotReplayable):
        dependencies.steps([_one("GET", f"/projects/{PROJECT}", 0)])


def test_a_request_without_answer_cannot_be_replayed(recording: list[Recorded]) -> None:
    lost = Recorded("GET", KEYSTONE + "/users", 0, 9, 9.5, "t")
    with pytest.raises(dependencies.NotReplayable):
        dependencies.steps([*recording, lost])


def test_identifiers_are_paired_whatever_the_order_of_a_list() -> None:
    replay = floor._Replay([], None, floor.Pace(1))  # type: ignore[arg-type]
    old = {"rules": [{"id": "1" * 32, "direction": "in"}, {"id": "2" * 32, "direction": "out"}]}
    new = {"rules": [{"id": "4" * 32, "direction": "out"}, {"id": "3" * 32, "direction": "in"}]}
    replay._learn(old, new, frozenset({"1" * 32, "2" * 32}))
    assert replay.now == {"1" * 32: "3" * 32, "2" * 32: "4" * 32}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", (200, "", b"{}", False)),
        (b"HTTP/1.1 201 OK\r\nX-Subject-Token: t\r\nContent-Length: 0\r\n\r\n", (201, "t", b"", False)),
        (b"HTTP/1.1 204 None\r\nConnection: close\r\n\r\n", (204, "", b"", True)),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            (200, "", b"{}", False),
        ),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", (200, "", b"{}", True)),
    ],
)
def test_answers_are_read_in_every_framing(sent: bytes, expected: tuple[object, ...]) -> None:
    async def read() -> object:
        reader = asyncio.StreamReader()
        reader.feed_data(sent)
        reader.feed_eof()
        return await floor._answer(reader)

    assert asyncio.run(read()) == expected


def test_the_tenants_are_specs_without_fault() -> None:
    for number in (0, 199):
        assert findings(yaml.safe_dump(tenants.tenant(number))) == []


def test_an_aim_that_is_not_met_is_said_so() -> None:
    report = Report(quiet=True)
    report.aim(Aim("times the floor", 1.25, 1.41, most=True))
    report.table("a table", ["what", "s"], [["x", 1.234], ["y", 10.0]])
    assert "times the floor: aim 1.25, got 1.41: falls short" in report.as_text()
    assert json.loads(report.as_json())["aims"][0]["met"] is False


def test_shapes_hide_identifiers() -> None:
    one = Recorded(
        "GET", f"http://127.0.0.1:{FIRST_PORT + 4}/v2.1/os-quota-sets/{PROJECT}?x=1", 200, 0, 1, "t"
    )
    assert recorded.shape(one) == "GET nova /v2.1/os-quota-sets/{id}"


@pytest.mark.long
@pytest.mark.xdist_group("bench")
def test_a_small_benchmark_runs_to_its_end() -> None:
    child = run([sys.executable, "-m", "tests.bench", "all", "--quick", "--output", "json"])
    assert child.code == 0, child.errors[-3000:]
    titles = [table["title"] for table in json.loads(child.output)["tables"]]
    for part in ("start:", "provision:", "the floor:", "what the plane asked:", "drift of all", "bulk pages"):
        assert any(part in title for title in titles), f"no table of {part} in {titles}"
