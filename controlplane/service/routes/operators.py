"""/v1/operators: who may come in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from airgap_bundle.keys import PublicKey
from controlplane.access.roles import Action, Requester, Role
from controlplane.service import enrolment
from controlplane.service.routing import Router, needs

Name = Annotated[str, Path(max_length=63)]
KeyLine = Annotated[
    str, Field(max_length=1000, description="One public key line: ssh-ed25519 AAAA... comment")
]


class NewOperator(BaseModel):
    """Someone to let in."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=63)]
    roles: Annotated[list[Role], Field(min_length=1, max_length=len(Role))]
    public_key: KeyLine


class NewKey(BaseModel):
    """A further key of someone."""

    model_config = ConfigDict(extra="forbid")

    public_key: KeyLine


class Key(BaseModel):
    """An enrolled key."""

    fingerprint: str
    line: str
    added_at: datetime


class Operator(BaseModel):
    """An operator and their keys."""

    name: str
    roles: list[Role]
    state: str
    """`active` or `suspended`."""
    keys: list[Key]
    enrolled_at: datetime
    enrolled_by: str
    suspended_at: datetime | None
    suspended_by: str | None


Enrolling = Annotated[Requester, needs(Action.ENROL)]


def router(engine: Engine) -> Router:
    """The routes, on one database."""
    routes = Router(prefix="/v1/operators", tags=["operators"])

    @routes.get("", dependencies=[needs(Action.READ)])
    def list_operators() -> list[Operator]:
        """All operators by name, suspended ones too."""
        return [Operator.model_validate(record) for record in enrolment.everyone(engine)]

    @routes.post("", status_code=201)
    def enrol_operator(new: NewOperator, requester: Enrolling) -> Operator:
        """Enrol an operator with roles and a public key."""
        key = PublicKey.parse(new.public_key, "public_key")
        now = datetime.now(UTC)
        return Operator.model_validate(
            enrolment.enrol(engine, new.name, new.roles, key, by=requester.name, now=now)
        )

    @routes.get("/{name}", dependencies=[needs(Action.READ)])
    def show_operator(name: Name) -> Operator:
        """One operator."""
        return Operator.model_validate(enrolment.show(engine, name))

    @routes.post("/{name}/keys", status_code=201)
    def add_key(name: Name, new: NewKey, requester: Enrolling) -> Operator:
        """Give an operator a further key. They stay one person."""
        key = PublicKey.parse(new.public_key, "public_key")
        now = datetime.now(UTC)
        return Operator.model_validate(enrolment.add_key(engine, name, key, by=requester.name, now=now))

    @routes.delete("/{name}")
    def suspend_operator(name: Name, requester: Annotated[Requester, needs(Action.DISMISS)]) -> Operator:
        """Suspend an operator: none of their keys is accepted from the next request on. The record stays."""
        return Operator.model_validate(
            enrolment.suspend(engine, name, by=requester.name, now=datetime.now(UTC))
        )

    @routes.post("/{name}/resume", dependencies=[needs(Action.ENROL)])
    def resume_operator(name: Name) -> Operator:
        """Let a suspended operator in again."""
        return Operator.model_validate(enrolment.resume(engine, name))

    return routes
