"""The application: the operators' routes, problems as documents, faults without a traceback."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Query, Request
from sqlalchemy import Engine

from airgap_bundle.errors import CloudProblem, InputProblem, Problem, StateProblem, WaitingForPerson
from airgap_bundle.keys import PrivateKey
from controlplane.access.roles import Action, Requester
from controlplane.service import site as sites
from controlplane.service.app import build_app
from controlplane.service.problems import document, status_of
from controlplane.service.routing import Router, needs, signed_request
from controlplane.service.signatures import Guard
from controlplane.service.site import Site
from controlplane.store.database import connect
from tests.unit.asgi import Answer, call

ANNA = PrivateKey.generate("anna@admin")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text("clouds: {lab: {}}")
    return sites.create(
        tmp_path / "site", cloud="lab", clouds_file=clouds, operator=ANNA.public, operator_name="anna"
    )


@pytest.fixture
def engine(site: Site) -> Iterator[Engine]:
    engine = connect(site.database)
    yield engine
    engine.dispose()


class Plane:
    """The application in this process, at a fixed time."""

    def __init__(self, site: Site, engine: Engine, *routers: Router) -> None:
        self.app: Guard = build_app(site, routers, engine)
        self.app.clock = lambda: NOW

    def call(
        self, method: str, target: str, body: Any = None, key: PrivateKey = ANNA, **options: Any
    ) -> Answer:
        return call(self.app, key, method, target, body, created=int(NOW.timestamp()), **options)


@pytest.fixture
def plane(site: Site, engine: Engine) -> Plane:
    routes = Router(prefix="/v1/test")

    @routes.get("/fault", dependencies=[needs(Action.READ)])
    def fault() -> None:
        raise RuntimeError("secret words of the database")

    @routes.get("/number", dependencies=[needs(Action.READ)])
    def number(n: Annotated[int, Query(ge=1)]) -> int:
        return n

    @routes.get("/waiting")
    def waiting(requester: Annotated[Requester, needs(Action.READ)]) -> None:
        raise WaitingForPerson(text=f"{requester.name} waits")

    return Plane(site, engine, routes)


def enrol(plane: Plane, name: str, *roles: str) -> PrivateKey:
    key = PrivateKey.generate(name)
    body = {"name": name, "roles": roles, "public_key": key.public.line}
    assert plane.call("POST", "/v1/operators", body).status == 201
    return key


class TestOperators:
    def test_an_enrolled_operator_can_come_in_at_once(self, plane: Plane) -> None:
        boris = enrol(plane, "boris", "auditor")
        you = plane.call("GET", "/v1/plane", key=boris).document["you"]
        assert you == {"name": "boris", "roles": ["auditor"], "fingerprint": boris.public.fingerprint}

    def test_a_suspended_operator_is_out_at_once_and_back_after_resume(self, plane: Plane) -> None:
        boris = enrol(plane, "boris", "auditor")
        assert plane.call("DELETE", "/v1/operators/boris").document["state"] == "suspended"
        assert plane.call("GET", "/v1/plane", key=boris).document["type"] == "operator-suspended"
        listed = plane.call("GET", "/v1/operators").document
        assert [(o["name"], o["state"]) for o in listed] == [("anna", "active"), ("boris", "suspended")]
        assert plane.call("POST", "/v1/operators/boris/resume").status == 200
        assert plane.call("GET", "/v1/plane", key=boris).status == 200

    def test_a_person_with_two_keys_is_one_person(self, plane: Plane) -> None:
        enrol(plane, "boris", "auditor")
        second = PrivateKey.generate("boris@laptop")
        added = plane.call("POST", "/v1/operators/boris/keys", {"public_key": second.public.line})
        assert len(added.document["keys"]) == 2
        assert plane.call("GET", "/v1/plane", key=second).document["you"]["name"] == "boris"

    def test_a_key_means_one_person(self, plane: Plane) -> None:
        body = {"name": "twin", "roles": ["auditor"], "public_key": ANNA.public.line}
        answer = plane.call("POST", "/v1/operators", body)
        assert (answer.status, answer.document["type"]) == (409, "operator-exists")
        assert plane.call("GET", "/v1/operators/twin").status == 404

    def test_the_last_security_officer_stays(self, plane: Plane) -> None:
        answer = plane.call("DELETE", "/v1/operators/anna")
        assert (answer.status, answer.document["type"]) == (409, "last-security-officer")
        enrol(plane, "olga", "security_officer")
        assert plane.call("DELETE", "/v1/operators/anna").status == 200

    @pytest.mark.parametrize(
        ("change", "kind"),
        [
            ({"name": "Boris"}, "operator-invalid"),
            ({"roles": []}, "request-invalid"),
            ({"roles": ["admin"]}, "request-invalid"),
            ({"public_key": "ssh-rsa AAAA"}, "key-problem"),
            ({"public_key": "ssh-ed25519 AAAA\n"}, "key-problem"),
            ({"extra": 1}, "request-invalid"),
        ],
    )
    def test_a_wrong_enrolment_is_refused_and_nobody_enrolled(
        self, plane: Plane, change: dict[str, Any], kind: str
    ) -> None:
        body = {"name": "boris", "roles": ["auditor"], "public_key": PrivateKey.generate().public.line}
        answer = plane.call("POST", "/v1/operators", body | change)
        assert (answer.status, answer.document["type"]) == (422, kind)
        assert len(plane.call("GET", "/v1/operators").document) == 1


class TestProblems:
    def test_a_fault_shows_only_a_reference(self, plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.ERROR):
            answer = plane.call("GET", "/v1/test/fault")
        assert (answer.status, answer.document["type"]) == (500, "unexpected")
        assert b"secret" not in answer.body
        reference = answer.document["facts"]["reference"]
        assert reference in caplog.text
        assert "secret words" in caplog.text

    def test_a_broken_database_shows_only_a_reference(self, site: Site, engine: Engine) -> None:
        plane = Plane(site, engine)
        engine.dispose()
        for path in site.folder.glob("plane.db*"):
            path.write_bytes(b"not a database" * 1000)
        answer = plane.call("GET", "/v1/plane")
        assert (answer.status, answer.document["type"]) == (500, "unexpected")
        assert b"sqlite" not in answer.body.lower()

    def test_what_fastapi_refuses_has_the_same_form(self, plane: Plane) -> None:
        answer = plane.call("GET", "/v1/test/number?n=0")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.document["detail"] == "query.n: Input should be greater than or equal to 1"
        assert plane.call("GET", "/v1/nowhere").document["type"] == "unknown-path"
        assert plane.call("PATCH", "/v1/plane").document["type"] == "unknown-path"

    def test_waiting_for_a_person_is_a_conflict_with_its_own_code(self, plane: Plane) -> None:
        answer = plane.call("GET", "/v1/test/waiting")
        assert (answer.status, answer.document["exit_code"]) == (409, 75)
        assert answer.document["detail"] == "anna waits"

    @pytest.mark.parametrize(
        ("kind", "code", "status"),
        [
            (InputProblem, 10, 422),
            (InputProblem, 19, 422),
            (StateProblem, 30, 404),
            (StateProblem, 31, 409),
            (CloudProblem, 50, 502),
            (CloudProblem, 59, 502),
            (Problem, 1, 500),
        ],
    )
    def test_the_status_follows_the_exit_code(self, kind: type[Problem], code: int, status: int) -> None:
        made = type("Made", (kind,), {"exit_code": code, "__doc__": "Made."})(text="x")
        assert status_of(made) == document(made)["status"] == status

    def test_facts_that_json_cannot_say_are_said_as_text(self) -> None:
        assert document(Problem(text="x", path=Path("/a")))["facts"]["path"] == "/a"


class TestBodies:
    def test_a_body_in_pieces_is_put_together(self, plane: Plane) -> None:
        pieces = [
            {"type": "http.request", "body": part, "more_body": more}
            for part, more in ((b'{"na', True), (b"", True), (b'me": 1}', False))
        ]
        answer = plane.call("POST", "/v1/operators", {"name": 1}, messages=pieces)
        assert answer.document["type"] == "request-invalid"

    def test_a_client_that_leaves_is_not_served(self, plane: Plane) -> None:
        pieces = [{"type": "http.request", "body": b"{", "more_body": True}]
        answer = plane.call("POST", "/v1/operators", {}, messages=pieces)
        assert answer.document["type"] == "body-incomplete"


def test_a_route_can_have_the_evidence_of_its_request(site: Site, engine: Engine) -> None:
    seen: list[bool] = []
    routes = Router()

    @routes.get("/v1/evidence", dependencies=[needs(Action.READ)])
    def evidence(request: Request) -> None:
        signed = signed_request(request)
        ANNA.public.verify(signed.base, signed.signature)
        seen.append(True)

    assert Plane(site, engine, routes).call("GET", "/v1/evidence").status == 200
    assert seen
