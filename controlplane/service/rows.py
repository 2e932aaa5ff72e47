"""Rows of the tenants' tables: found by name, read as what they stand for, shown as the API gives them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlmodel import Session

from controlplane.store.tenancy import JobRow, TenantRow
from controlplane.tenants.desired import Desired, desire
from controlplane.tenants.errors import UnknownTenant
from controlplane.tenants.plan import Plan
from controlplane.tenants.reading import read


def tenant_row(session: Session, tenant: str) -> TenantRow:
    """The tenant's row. Raises UnknownTenant."""
    row = session.get(TenantRow, tenant)
    if row is None:
        raise UnknownTenant(tenant=tenant)
    return row


def desired_of(row: TenantRow) -> Desired:
    """What the tenant's stored spec calls for, with the quota numbers stored with it."""
    return desire(read(row.spec_text, row.spec_file).tenant, row.limits)


def shown(plan: Plan) -> dict[str, Any]:
    """A plan as the API gives it: its data, its digest and its counts."""
    return plan.as_json() | {"digest": plan.digest, "counts": plan.counts(), "loses": bool(plan.losses)}


def tenant_json(row: TenantRow) -> dict[str, Any]:
    """A tenant as the API gives it."""
    return {
        "name": row.name,
        "state": row.state,
        "drift": row.drift,
        "seen_at": when(row.seen_at),
        "created_at": when(row.created_at),
        "changed_at": when(row.changed_at),
        "grace_until": when(row.grace_until),
        "handed_over_at": when(row.handed_over_at),
        "spec_digest": row.spec_digest,
        "job": row.job_id,
    }


def job_json(job: JobRow) -> dict[str, Any]:
    """A job as the API gives it."""
    return {
        "id": job.id,
        "verb": job.verb,
        "tenant": job.tenant,
        "state": job.state,
        "requester": job.requester,
        "created_at": when(job.created_at),
        "began_at": when(job.began_at),
        "ended_at": when(job.ended_at),
        "plan": job.plan,
        "result": job.result,
        "problem": job.problem,
    }


def when(moment: datetime | None) -> str | None:
    """A moment as the API gives it, to the second."""
    return moment.isoformat(timespec="seconds") if moment else None
