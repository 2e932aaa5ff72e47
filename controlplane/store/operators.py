"""Tables of who may come in: operators, their keys, and the nonces of their requests.

Table classes do not validate; what goes in was validated in plain models before (service/operators.py).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Session, SQLModel, select

from controlplane.store.columns import UtcDateTime


class Operator(SQLModel, table=True):
    """One person, or one script. Never deleted: the audit log names them for ever."""

    __tablename__ = "operator"

    name: str = Field(primary_key=True, max_length=63)
    roles: str
    """Words separated by one space, in the order of `controlplane.access.roles.Role`."""
    enrolled_at: datetime = Field(sa_type=UtcDateTime)
    enrolled_by: str
    """An operator's name, or `init`."""
    suspended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    suspended_by: str | None = None


class OperatorKey(SQLModel, table=True):
    """A public key of an operator. Two keys of one person are still one person."""

    __tablename__ = "operator_key"

    fingerprint: str = Field(primary_key=True, max_length=50)
    """`SHA256:...`"""
    operator: str = Field(foreign_key="operator.name", index=True, max_length=63)
    line: str
    """`ssh-ed25519 AAAA... comment`"""
    added_at: datetime = Field(sa_type=UtcDateTime)
    added_by: str


class Nonce(SQLModel, table=True):
    """A signed request that was accepted. Its uniqueness is what refuses a replay."""

    __tablename__ = "nonce"

    fingerprint: str = Field(primary_key=True, max_length=50)
    nonce: str = Field(primary_key=True, max_length=86)
    until: datetime = Field(sa_type=UtcDateTime, index=True)
    """When it may be forgotten, because its request would be stale."""


def key_with_operator(session: Session, fingerprint: str) -> tuple[OperatorKey, Operator] | None:
    """The enrolled key with that fingerprint, and whose it is."""
    found = session.exec(
        select(OperatorKey, Operator)
        .where(OperatorKey.fingerprint == fingerprint)
        .where(Operator.name == OperatorKey.operator)
    ).first()
    return (found[0], found[1]) if found else None


def operators_with_keys(session: Session) -> list[tuple[Operator, list[OperatorKey]]]:
    """Every operator by name, each with the keys by age."""
    keys: dict[str, list[OperatorKey]] = {}
    for key in session.exec(select(OperatorKey)).all():
        keys.setdefault(key.operator, []).append(key)
    operators = sorted(session.exec(select(Operator)).all(), key=lambda operator: operator.name)
    return [(o, sorted(keys.get(o.name, []), key=lambda k: (k.added_at, k.fingerprint))) for o in operators]


def remember_nonce(session: Session, fingerprint: str, nonce: str, until: datetime) -> bool:
    """Insert the nonce; False if it is there already. The primary key decides between two processes."""
    session.add(Nonce(fingerprint=fingerprint, nonce=nonce, until=until))
    try:
        session.flush()
    except IntegrityError:
        session.rollback()
        return False
    return True


def forget_nonces(session: Session, now: datetime) -> None:
    """Delete what need not be remembered any more."""
    session.execute(delete(Nonce).where(Nonce.until < now))  # type: ignore[arg-type]
