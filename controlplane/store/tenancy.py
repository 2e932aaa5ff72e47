"""Tables of the tenants' journey: tenants, plans, records, jobs, sealed secrets, certificates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Text
from sqlmodel import Field, SQLModel

from controlplane.store.columns import UtcDateTime


class TenantRow(SQLModel, table=True):
    """A tenant and where it is in its life."""

    __tablename__ = "tenant"

    name: str = Field(primary_key=True, max_length=63)
    state: str = Field(max_length=20)
    spec_text: str = Field(sa_column=Column(Text, nullable=False))
    spec_file: str = Field(max_length=255)
    spec_digest: str = Field(max_length=64)
    limits: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    """Project -> resolved quota: the numbers that the class stood for when the spec was applied."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    changed_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When OpenStack was last compared with the spec."""
    drift: int = 0
    """Changes that the last comparison called for."""
    job_id: str | None = Field(default=None, max_length=36)
    """The job at work on it; a second one is refused."""
    grace_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    stopped_servers: list[str] | None = Field(default=None, sa_column=Column(JSON))
    """Servers that ran when the tenant was suspended or retired: what resume starts again."""
    handed_over_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class PlanRow(SQLModel, table=True):
    """A plan that was shown, with the spec that it is for."""

    __tablename__ = "plan"

    digest: str = Field(primary_key=True, max_length=64)
    tenant: str = Field(index=True, max_length=63)
    spec_text: str = Field(sa_column=Column(Text, nullable=False))
    spec_file: str = Field(max_length=255)
    limits: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    body: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    made_at: datetime = Field(sa_type=UtcDateTime)
    made_by: str = Field(max_length=63)


class RecordRow(SQLModel, table=True):
    """What the plane made and last set: one resource of a tenant."""

    __tablename__ = "record"

    tenant: str = Field(primary_key=True, max_length=63)
    address: str = Field(primary_key=True, max_length=600)
    openstack_id: str = Field(max_length=255)
    fields: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))
    changed_at: datetime = Field(sa_type=UtcDateTime)
    job_id: str = Field(max_length=36)


class JobRow(SQLModel, table=True):
    """Long work on one tenant, run as a durable workflow of the same id."""

    __tablename__ = "job"

    id: str = Field(primary_key=True, max_length=36)
    verb: str = Field(max_length=20)
    tenant: str = Field(index=True, max_length=63)
    plan: str | None = Field(default=None, max_length=64)
    options: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    state: str = Field(index=True, max_length=10)
    """`queued`, `running`, `done` or `failed`."""
    requester: str = Field(max_length=63)
    created_at: datetime = Field(sa_type=UtcDateTime)
    began_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Set before its first effect: from then on a restart goes on, and does not ask if the plan is stale."""
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    problem: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    result: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))


class JobEventRow(SQLModel, table=True):
    """One thing that a job told: its progress, readable while it runs and afterwards."""

    __tablename__ = "job_event"

    seq: int | None = Field(default=None, primary_key=True)
    job_id: str = Field(index=True, max_length=36)
    at: datetime = Field(sa_type=UtcDateTime)
    kind: str = Field(max_length=20)
    data: dict[str, Any] = Field(sa_column=Column(JSON, nullable=False))


class SealedRow(SQLModel, table=True):
    """A secret of a tenant, sealed to public keys; the plane cannot read it."""

    __tablename__ = "sealed"

    tenant: str = Field(primary_key=True, max_length=63)
    address: str = Field(primary_key=True, max_length=600)
    openstack_id: str = Field(max_length=255)
    envelopes: dict[str, str] = Field(sa_column=Column(JSON, nullable=False))
    """Fingerprint of the recipient's key -> base64 of the sealed box."""
    made_at: datetime = Field(sa_type=UtcDateTime)


class CertificateRow(SQLModel, table=True):
    """A signed erasure certificate; it outlives the tenant."""

    __tablename__ = "certificate"

    id: str = Field(primary_key=True, max_length=36)
    tenant: str = Field(index=True, max_length=63)
    made_at: datetime = Field(sa_type=UtcDateTime)
    body: str = Field(sa_column=Column(Text, nullable=False))
