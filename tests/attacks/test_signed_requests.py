"""Every route, attacked in every way: nothing but a fresh, rightly signed request of an allowed role gets in.

The routes come from the application itself, so a new one is attacked from the day it exists.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from fastapi import FastAPI

from airgap_bundle.keys import PrivateKey
from controlplane.access.roles import ALLOWED, Action, Role
from controlplane.access.signing import LABEL
from controlplane.service import site as sites
from controlplane.service import wiring
from controlplane.service.app import build_app
from controlplane.service.routing import ActionMissing, ActionRoute, Router, action_of, seal
from tests.daemon import Daemon, Request, send, signed


class Route(NamedTuple):
    """One method of one path of the application."""

    method: str
    target: str
    action: Action

    @property
    def body(self) -> bytes:
        return b'{"name": "attacked"}' if self.method in ("POST", "PUT", "PATCH") else b""


class Plane(NamedTuple):
    """The daemon, its routes, and keys of people of every kind."""

    daemon: Daemon
    routes: list[Route]
    keys: dict[str, PrivateKey]

    def refused(self, request: Request, kind: str, status: int) -> None:
        """The request is refused for that reason, in the form of all problems."""
        answer = self.daemon.send(request)
        what = f"{request.method} {request.target}"
        assert (answer.kind, answer.status) == (kind, status), f"{what}: {answer.text}"
        assert set(answer.document) >= {"type", "title", "detail", "hint", "exit_code", "status"}
        assert 20 <= answer.document["exit_code"] <= 29


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    daemon = Daemon(tmp_path_factory.mktemp("plane"))
    daemon.init()
    daemon.start()
    keys = {role.value: daemon.enrol(f"only-{role.value.replace('_', '-')}", role.value) for role in Role}
    keys["suspended"] = daemon.enrol("sven", "operator", "security_officer")
    keys["unknown"] = PrivateKey.generate()
    assert daemon.send(signed(daemon.key, "DELETE", "/v1/operators/sven")).status == 200
    yield Plane(daemon, list(routes_of(daemon.site)), keys)
    assert daemon.stop() == 0


def routes_of(site: Path) -> Iterator[Route]:
    """Every method of every route, as the daemon builds them."""
    loaded = sites.load(site)
    parts = wiring.build(loaded)
    try:
        app = build_app(loaded, parts.routers).app
        assert isinstance(app, FastAPI)
        for route in app.router.routes:
            assert isinstance(route, ActionRoute)
            for method in sorted(route.methods or ()):
                yield Route(method, re.sub(r"\{[^}]*\}", "attacked", route.path), action_of(route))
    finally:
        parts.stop()


def forged(request: Request, key: PrivateKey, claimed: PrivateKey) -> Request:
    """Signed by one key, under the name of another."""
    made = signed(key, request.method, request.target, request.body)
    text = made.header("Signature-Input")
    return made.with_("Signature-Input", text.replace(key.public.fingerprint, claimed.public.fingerprint))


def other_method(request: Request) -> Request:
    return Request(
        "DELETE" if request.method != "DELETE" else "GET", request.target, request.headers, request.body
    )


def repeated(plane: Plane, route: Route, name: str) -> Request:
    request = signed(plane.daemon.key, route.method, route.target, route.body)
    return request.plus((name, request.header(name)))


def second_label(request: Request) -> Request:
    for name in ("Signature-Input", "Signature"):
        value = request.header(name)
        request = request.with_(name, f"{value}, other={value.removeprefix(f'{LABEL}=')}")
    return request


def elsewhere(request: Request, target: str) -> Request:
    return Request(request.method, target, request.headers, request.body)


ATTACKS: dict[str, tuple[str, Callable[[Plane, Route], Request]]] = {
    "not signed": (
        "request-not-signed",
        lambda p, r: Request(r.method, r.target, (("Host", "controlplane"),), r.body),
    ),
    "signed by another key": (
        "signature-wrong",
        lambda p, r: forged(Request(r.method, r.target, (), r.body), p.keys["unknown"], p.daemon.key),
    ),
    "signed by another enrolled key": (
        "signature-wrong",
        lambda p, r: forged(Request(r.method, r.target, (), r.body), p.keys["auditor"], p.daemon.key),
    ),
    "signed by a stranger": (
        "unknown-key",
        lambda p, r: signed(p.keys["unknown"], r.method, r.target, r.body),
    ),
    "signed two minutes ago": (
        "request-stale",
        lambda p, r: signed(p.daemon.key, r.method, r.target, r.body, offset=-120),
    ),
    "signed two minutes from now": (
        "request-stale",
        lambda p, r: signed(p.daemon.key, r.method, r.target, r.body, offset=120),
    ),
    "signed for another plane": (
        "wrong-authority",
        lambda p, r: signed(p.daemon.key, r.method, r.target, r.body, authority="other.zone"),
    ),
    "with another Host": (
        "wrong-authority",
        lambda p, r: signed(p.daemon.key, r.method, r.target, r.body).with_("Host", "other.zone"),
    ),
    "with another body": (
        "body-altered",
        lambda p, r: Request(
            r.method, r.target, signed(p.daemon.key, r.method, r.target, r.body).headers, r.body + b" "
        ),
    ),
    "with another body and its digest": (
        "signature-wrong",
        lambda p, r: signed(p.daemon.key, r.method, r.target, r.body).with_(
            "Content-Digest", signed(p.daemon.key, r.method, r.target, r.body + b" ").header("Content-Digest")
        ),
    ),
    "with another method": (
        "signature-wrong",
        lambda p, r: other_method(signed(p.daemon.key, r.method, r.target, r.body)),
    ),
    "with another path": (
        "signature-wrong",
        lambda p, r: elsewhere(signed(p.daemon.key, r.method, r.target, r.body), f"{r.target}/x"),
    ),
    "with the path in another spelling": (
        "signature-wrong",
        lambda p, r: elsewhere(
            signed(p.daemon.key, r.method, r.target, r.body), r.target.replace("/v1", "/%761", 1)
        ),
    ),
    "with a dot segment": (
        "signature-wrong",
        lambda p, r: elsewhere(signed(p.daemon.key, r.method, r.target, r.body), f"/x/..{r.target}"),
    ),
    "with a query": (
        "signature-wrong",
        lambda p, r: elsewhere(signed(p.daemon.key, r.method, r.target, r.body), f"{r.target}?x=1"),
    ),
    "with another query": (
        "signature-wrong",
        lambda p, r: elsewhere(signed(p.daemon.key, r.method, f"{r.target}?x=1", r.body), f"{r.target}?x=2"),
    ),
    "with an absolute request-target": (
        "signature-malformed",
        lambda p, r: elsewhere(
            signed(p.daemon.key, r.method, r.target, r.body), f"http://controlplane{r.target}"
        ),
    ),
    "with two signatures": (
        "signature-malformed",
        lambda p, r: second_label(signed(p.daemon.key, r.method, r.target, r.body)),
    ),
    "with Content-Digest twice": ("signature-malformed", lambda p, r: repeated(p, r, "Content-Digest")),
    "with Signature twice": ("signature-malformed", lambda p, r: repeated(p, r, "Signature")),
    "with Signature-Input twice": ("signature-malformed", lambda p, r: repeated(p, r, "Signature-Input")),
    "with a second digest spelt with _": (
        "signature-malformed",
        lambda p, r: signed(p.daemon.key, r.method, r.target, r.body).plus(
            ("Content_Digest", "sha-256=:AA==:")
        ),
    ),
    "with fewer components covered": (
        "signature-malformed",
        lambda p, r: (made := signed(p.daemon.key, r.method, r.target, r.body)).with_(
            "Signature-Input", made.header("Signature-Input").replace(' "content-digest"', "")
        ),
    ),
}


def test_the_route_table_is_the_one_that_people_call(plane: Plane) -> None:
    known = {(route.method, route.target) for route in plane.routes}
    assert {("GET", "/v1/plane"), ("POST", "/v1/operators"), ("GET", "/v1/openapi.json")} <= known
    assert len(known) == len(plane.routes) >= 9
    answer = plane.daemon.send(signed(plane.daemon.key, "GET", "/v1/openapi.json"))
    listed = {
        (method.upper(), re.sub(r"\{[^}]*\}", "attacked", path))
        for path, methods in json.loads(answer.text)["paths"].items()
        for method in methods
    }
    assert listed == known - {("GET", "/v1/openapi.json")}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_route_lets_an_attack_in_and_nothing_changes(plane: Plane, attack: str) -> None:
    kind, make = ATTACKS[attack]
    before, nonces = plane.daemon.contents(), plane.daemon.nonces()
    for route in plane.routes:
        plane.refused(make(plane, route), kind, 401)
    assert plane.daemon.contents() == before
    assert plane.daemon.nonces() == nonces, "a refused request must not fill the memory"


def test_no_route_lets_a_suspended_operator_in(plane: Plane) -> None:
    before = plane.daemon.contents()
    for route in plane.routes:
        request = signed(plane.keys["suspended"], route.method, route.target, route.body)
        plane.refused(request, "operator-suspended", 403)
    assert plane.daemon.contents() == before


def test_no_route_lets_a_wrong_role_in(plane: Plane) -> None:
    """With an empty body, a broken one and a large one: the role is checked before anything is read."""
    before = plane.daemon.contents()
    attacked = 0
    for route in plane.routes:
        for role in set(Role) - ALLOWED[route.action]:
            for body in {b"", b"{" if route.body else b"", route.body}:
                attacked += 1
                request = signed(plane.keys[role.value], route.method, route.target, body)
                plane.refused(request, "role-not-allowed", 403)
    assert attacked
    assert plane.daemon.contents() == before


def test_no_route_takes_the_same_request_twice(plane: Plane) -> None:
    for route in plane.routes:
        # An auditor's: a route that changes something refuses it for the role, and still remembers it.
        request = signed(plane.keys["auditor"], route.method, f"{route.target}?again=1", route.body)
        first = plane.daemon.send(request)
        assert first.status not in (401, 500), f"{route}: {first.text}"
        for _ in range(2):
            plane.refused(request, "request-replayed", 401)


@pytest.mark.parametrize(
    "target",
    ["/", "/docs", "/redoc", "/openapi.json", "/v2/plane", "/v1/plane/", "//v1/plane", "/%2e%2e/v1/plane"],
)
def test_what_is_no_route_is_behind_the_guard_too(plane: Plane, target: str) -> None:
    for method in ("GET", "POST", "OPTIONS", "TRACE", "HEAD"):
        answer = plane.daemon.send(Request(method, target, (("Host", "controlplane"),)))
        assert answer.status == 401, f"{method} {target}"
        answer = plane.daemon.send(signed(plane.daemon.key, method, target))
        assert answer.status == 404, f"{method} {target}"


def test_a_request_is_not_taken_twice_across_a_crash(plane: Plane) -> None:
    request = signed(plane.daemon.key, "GET", "/v1/plane")
    assert plane.daemon.send(request).status == 200
    plane.daemon.stop(signal.SIGKILL)
    plane.daemon.start()
    plane.refused(request, "request-replayed", 401)


def test_two_processes_on_one_database_take_a_request_once(plane: Plane, tmp_path: Path) -> None:
    other = Daemon(tmp_path)
    shutil.copytree(
        plane.daemon.site, other.site, ignore=shutil.ignore_patterns("plane.*", "*.lock", "workers")
    )
    with open(other.site / "site.toml", "a") as file:
        file.write(f'database_url = "sqlite:///{plane.daemon.site}/plane.db"\n')
    other.start("--no-workers")
    try:
        for _ in range(20):
            request = signed(plane.daemon.key, "GET", "/v1/plane")
            statuses: list[int] = []

            def bring(path: Path, request: Request = request, statuses: list[int] = statuses) -> None:
                statuses.append(send(path, request).status)

            pair = [threading.Thread(target=bring, args=(daemon.socket,)) for daemon in (plane.daemon, other)]
            for thread in pair:
                thread.start()
            for thread in pair:
                thread.join()
            assert sorted(statuses) == [200, 401]
    finally:
        other.stop()


def test_a_body_larger_than_the_limit_is_not_read(plane: Plane) -> None:
    request = signed(plane.daemon.key, "POST", "/v1/operators", b"x" * 100)
    answer = plane.daemon.send(request.plus(("Content-Length", str(5 * 1024 * 1024))))
    assert (answer.status, answer.kind) == (413, "body-too-large")
    assert "4194304 bytes" in answer.document["detail"]


def test_a_body_that_does_not_say_its_length_is_cut_off_at_the_limit(plane: Plane) -> None:
    request = signed(plane.daemon.key, "POST", "/v1/operators").plus(("Transfer-Encoding", "chunked"))
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    said = plane.daemon.raw(request.wire() + chunk * 8 + b"0\r\n\r\n")
    assert b"413" in said.split(b"\r\n")[0]
    assert plane.daemon.send(signed(plane.daemon.key, "GET", "/v1/plane")).status == 200


def test_a_body_within_the_limit_is_read_whole_and_checked(plane: Plane) -> None:
    body = b'{"pad": "' + b"x" * 4_000_000 + b'"}'
    answer = plane.daemon.send(signed(plane.daemon.key, "POST", "/v1/operators", body))
    assert (answer.status, answer.kind) == (422, "request-invalid")
    altered = signed(plane.daemon.key, "POST", "/v1/operators", body)
    plane.refused(Request("POST", "/v1/operators", altered.headers, body[:-2] + b"y}"), "body-altered", 401)


@pytest.mark.parametrize(
    "smuggled",
    [
        ("Content-Length: 5\r\nContent-Length: 6", "two lengths"),
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", "a length and chunks"),
        ("Transfer-Encoding: xchunked", "an unknown coding"),
        ("Host: other", "two Hosts"),
        ("Signature-Input : x=()", "a space before the colon"),
        ("X: a\nSignature: x", "a bare line feed"),
    ],
    ids=lambda smuggled: smuggled[1],
)
def test_what_could_be_read_in_two_ways_is_refused(plane: Plane, smuggled: tuple[str, str]) -> None:
    """Never two answers, never a 200: a hidden second request would show as one."""
    made = signed(plane.daemon.key, "GET", "/v1/plane")
    hidden = signed(plane.daemon.key, "GET", "/v1/operators").wire()
    head = made.wire().replace(b"Content-Length: 0", smuggled[0].encode())
    said = plane.daemon.raw(head.replace(b"Connection: close\r\n", b"") + b"0\r\n\r\n" + hidden)
    statuses = re.findall(rb"^HTTP/1\.1 (\d{3})", said, re.M)
    assert statuses in ([b"400"], [b"401"], [b"413"]), said[:300]


class TestRoutesThatForget:
    """The application is not built when a route does not say what it does."""

    def refused(self, router: Router) -> str:
        with pytest.raises(ActionMissing) as caught:
            seal(FastAPI(openapi_url=None, docs_url=None, redoc_url=None), [router])
        return str(caught.value)

    def test_a_route_without_an_action(self) -> None:
        router = Router()
        with pytest.raises(ActionMissing, match="it names none"):
            router.get("/v1/forgot")(lambda: None)

    def test_a_route_of_a_plain_router(self) -> None:
        from fastapi import APIRouter

        plain = APIRouter()
        plain.get("/v1/forgot")(lambda: None)
        with pytest.raises(ActionMissing, match="is a APIRoute"):
            seal(FastAPI(openapi_url=None, docs_url=None, redoc_url=None), [plain])

    def test_a_mounted_application(self) -> None:
        router = Router()
        router.mount("/files", FastAPI())
        assert "Mount" in self.refused(router)

    def test_a_nested_router(self) -> None:
        router = Router()
        router.include_router(Router(prefix="/v1/inner"))
        self.refused(router)

    def test_a_web_socket(self) -> None:
        router = Router()
        router.websocket("/v1/live")(lambda: None)
        assert "WebSocket" in self.refused(router)

    def test_the_documentation_pages_of_the_framework(self) -> None:
        with pytest.raises(ActionMissing):
            seal(FastAPI(), [])
