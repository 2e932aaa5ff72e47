"""Operators: enrol, list, suspend, resume. The rules here, the rows in `controlplane.store.operators`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session, select

from airgap_bundle.errors import InputProblem, StateProblem
from airgap_bundle.keys import PublicKey
from controlplane.access.roles import Role, listed
from controlplane.store.database import reading, writing
from controlplane.store.operators import Operator, OperatorKey, operators_with_keys

NAME = re.compile(r"[a-z][a-z0-9._-]{0,62}")


class OperatorInvalid(InputProblem):
    """What was given for an operator cannot be used."""

    exit_code = 14
    message = "operator {operator}: {why}"
    hint = "{remedy}"


class UnknownOperator(StateProblem):
    """Nobody of that name is enrolled."""

    exit_code = 30
    message = "there is no operator {operator}"
    hint = "List them with: controlplane operator list"


class OperatorExists(StateProblem):
    """The name or the key is taken."""

    exit_code = 37
    message = "{what} is already enrolled, as operator {operator}"
    hint = "{remedy}"


class LastSecurityOfficer(StateProblem):
    """Without a security officer nobody could ever be let in again."""

    exit_code = 38
    message = "{operator} is the last security officer who is not suspended"
    hint = "Enrol another first: controlplane operator enrol NAME --role security_officer --public-key FILE"


def enrol(
    engine: Engine, name: str, roles: Iterable[Role], key: PublicKey, *, by: str, now: datetime
) -> dict[str, Any]:
    """Add an operator. Raises OperatorInvalid, OperatorExists."""
    checked_name(name)
    chosen = frozenset(roles)
    if not chosen:
        raise OperatorInvalid(
            operator=name, why="has no role", remedy=f"Give one of: {listed(frozenset(Role))}."
        )
    with writing(engine) as session:
        if taken := session.get(OperatorKey, key.fingerprint):
            remedy = "One key means one person. Use another key."
            raise OperatorExists(what=f"the key {key.fingerprint}", operator=taken.operator, remedy=remedy)
        if session.get(Operator, name):
            remedy = (
                "Choose another name, or add the key: controlplane operator add-key NAME --public-key FILE"
            )
            raise OperatorExists(what=f"the name {name}", operator=name, remedy=remedy)
        session.add(Operator(name=name, roles=listed(chosen, " "), enrolled_at=now, enrolled_by=by))
        session.flush()
        add(session, name, key, by, now)
    return show(engine, name)


def add_key(engine: Engine, name: str, key: PublicKey, *, by: str, now: datetime) -> dict[str, Any]:
    """Give an operator a further key. Raises UnknownOperator, OperatorExists."""
    with writing(engine) as session:
        operator_row(session, name)
        if taken := session.get(OperatorKey, key.fingerprint):
            remedy = "One key means one person. Use another key."
            raise OperatorExists(what=f"the key {key.fingerprint}", operator=taken.operator, remedy=remedy)
        add(session, name, key, by, now)
    return show(engine, name)


def enrol_first(engine: Engine, name: str, roles: Iterable[Role], key: PublicKey, now: datetime) -> None:
    """Enrol the first operator of a new site; again the same one is nothing new, any other is refused.

    Raises OperatorExists when the database already has operators.
    """
    with writing(engine) as session:
        there = operators_with_keys(session)
        if not there:
            session.add(
                Operator(name=name, roles=listed(frozenset(roles), " "), enrolled_at=now, enrolled_by="init")
            )
            session.flush()
            add(session, name, key, "init", now)
        elif [(o.name, [k.fingerprint for k in keys]) for o, keys in there] != [(name, [key.fingerprint])]:
            remedy = "This database belongs to a site. Give an empty one, or go on with that site."
            raise OperatorExists(what="someone else", operator=there[0][0].name, remedy=remedy)


def suspend(engine: Engine, name: str, *, by: str, now: datetime) -> dict[str, Any]:
    """Let an operator in no more, from the next request on. Raises UnknownOperator, LastSecurityOfficer."""
    with writing(engine) as session:
        operator = operator_row(session, name)
        if operator.suspended_at is None:
            officers = [
                other.name
                for other in session.exec(select(Operator)).all()
                if Role.SECURITY_OFFICER in other.roles.split() and other.suspended_at is None
            ]
            if officers == [name]:
                raise LastSecurityOfficer(operator=name)
            operator.suspended_at, operator.suspended_by = now, by
    return show(engine, name)


def resume(engine: Engine, name: str) -> dict[str, Any]:
    """Let a suspended operator in again. Raises UnknownOperator."""
    with writing(engine) as session:
        operator = operator_row(session, name)
        operator.suspended_at = operator.suspended_by = None
    return show(engine, name)


def everyone(engine: Engine) -> list[dict[str, Any]]:
    """All operators by name."""
    with reading(engine) as session:
        return [record(operator, keys) for operator, keys in operators_with_keys(session)]


def show(engine: Engine, name: str) -> dict[str, Any]:
    """One operator. Raises UnknownOperator."""
    with reading(engine) as session:
        operator = operator_row(session, name)
        keys = session.exec(select(OperatorKey).where(OperatorKey.operator == name)).all()
        return record(operator, sorted(keys, key=lambda key: (key.added_at, key.fingerprint)))


def record(operator: Operator, keys: Iterable[OperatorKey]) -> dict[str, Any]:
    """An operator as the API gives it."""
    return {
        "name": operator.name,
        "roles": operator.roles.split(),
        "state": "suspended" if operator.suspended_at else "active",
        "keys": [{"fingerprint": k.fingerprint, "line": k.line, "added_at": k.added_at} for k in keys],
        "enrolled_at": operator.enrolled_at,
        "enrolled_by": operator.enrolled_by,
        "suspended_at": operator.suspended_at,
        "suspended_by": operator.suspended_by,
    }


def operator_row(session: Session, name: str) -> Operator:
    """The row, or UnknownOperator."""
    if (operator := session.get(Operator, name)) is None:
        raise UnknownOperator(operator=name)
    return operator


def add(session: Session, name: str, key: PublicKey, by: str, now: datetime) -> None:
    """Insert a key's row."""
    session.add(
        OperatorKey(fingerprint=key.fingerprint, operator=name, line=key.line, added_at=now, added_by=by)
    )


def checked_name(name: str) -> str:
    """The name, or OperatorInvalid."""
    if not NAME.fullmatch(name):
        remedy = "Use lower-case letters, digits, '.', '_' and '-', beginning with a letter, at most 63."
        raise OperatorInvalid(operator=name, why="is not a name that can be used", remedy=remedy)
    return name
