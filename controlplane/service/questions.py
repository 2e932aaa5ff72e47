"""What is asked about tenants and their jobs, answered in plain JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlmodel import col, select

from controlplane.service.rows import desired_of, job_json, shown, tenant_json, tenant_row, when
from controlplane.service.sight import Sight
from controlplane.store.database import reading, writing
from controlplane.store.tenancy import CertificateRow, JobEventRow, JobRow, RecordRow, TenantRow
from controlplane.tenants.errors import NoCertificate, UnknownJob
from controlplane.tenants.lifecycle import State
from controlplane.tenants.listing import Listing
from controlplane.tenants.observed import observe
from controlplane.tenants.plan import make_plan


class Questions:
    """Answers about the tenants of a site. Only `drift` looks at OpenStack, and keeps what it saw."""

    def __init__(self, sight: Sight) -> None:
        self._sight, self._database = sight, sight.database

    # --- tenants --------------------------------------------------------------------------------------

    def all(self) -> list[dict[str, Any]]:
        """All tenants, erased ones too."""
        with reading(self._database) as session:
            rows = session.exec(select(TenantRow).order_by(col(TenantRow.name))).all()
            return [tenant_json(row) for row in rows]

    def show(self, tenant: str) -> dict[str, Any]:
        """One tenant with its spec, its resources and its last jobs. Raises UnknownTenant."""
        with reading(self._database) as session:
            row = tenant_row(session, tenant)
            records = session.exec(select(RecordRow).where(RecordRow.tenant == tenant)).all()
            newest = select(JobRow).where(JobRow.tenant == tenant).order_by(col(JobRow.created_at).desc())
            jobs = session.exec(newest.limit(10)).all()
            return tenant_json(row) | {
                "spec": row.spec_text,
                "limits": row.limits,
                "resources": [
                    {"address": r.address, "id": r.openstack_id, "fields": r.fields}
                    for r in sorted(records, key=lambda r: r.address)
                ],
                "jobs": [job_json(job) for job in jobs],
            }

    def drift(self, tenants: Sequence[str]) -> list[dict[str, Any]]:
        """Compare tenants (all that should be in the cloud when empty) with OpenStack, in one look."""
        compared = {State.ACTIVE, State.HANDED_OVER, State.DRIFTED}
        with reading(self._database) as session:
            if tenants:
                rows = [tenant_row(session, name) for name in tenants]
            else:
                rows = [r for r in session.exec(select(TenantRow)).all() if r.state in compared]
        rows.sort(key=lambda r: r.name)
        records = self._sight.records([row.name for row in rows])
        wanted = {row.name: desired_of(row) for row in rows}
        asked = [(name, desired, records[name]) for name, desired in wanted.items()]
        listing = self._sight.look(asked, site=False) if asked else Listing()
        now, answers = self._sight.clock(), []
        plans = {
            row.name: make_plan(
                wanted[row.name],
                observe(row.name, listing, records[row.name]),
                records[row.name],
                row.spec_digest,
            )
            for row in rows
        }
        with writing(self._database) as session:
            for name, plan in plans.items():
                row = tenant_row(session, name)
                if row.state in compared and row.job_id is None:
                    row.seen_at, row.drift = now, len(plan.changes)
                    if plan.changes:
                        row.state = State.DRIFTED
                    elif row.state == State.DRIFTED:
                        row.state = State.HANDED_OVER if row.handed_over_at else State.ACTIVE
                answers.append({"tenant": name, "state": row.state, "plan": shown(plan)})
        return answers

    def certificate(self, tenant: str) -> dict[str, Any]:
        """The newest erasure certificate of a tenant and its signature. Raises NoCertificate."""
        newest = select(CertificateRow).where(CertificateRow.tenant == tenant)
        with reading(self._database) as session:
            row = session.exec(newest.order_by(col(CertificateRow.made_at).desc())).first()
        if row is None:
            raise NoCertificate(tenant=tenant)
        found: dict[str, Any] = json.loads(row.body)
        return found

    # --- jobs -----------------------------------------------------------------------------------------

    def jobs(self, tenant: str | None, limit: int) -> list[dict[str, Any]]:
        """The newest jobs, all or of one tenant."""
        query = select(JobRow).order_by(col(JobRow.created_at).desc()).limit(limit)
        with reading(self._database) as session:
            rows = session.exec(query.where(JobRow.tenant == tenant) if tenant else query).all()
            return [job_json(row) for row in rows]

    def job(self, job_id: str) -> dict[str, Any]:
        """One job. Raises UnknownJob."""
        with reading(self._database) as session:
            row = session.get(JobRow, job_id)
        if row is None:
            raise UnknownJob(job=job_id)
        return job_json(row)

    def ended(self, job_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Those of the jobs that have ended."""
        query = select(JobRow).where(col(JobRow.id).in_(job_ids), col(JobRow.state).in_(("done", "failed")))
        with reading(self._database) as session:
            return [job_json(row) for row in session.exec(query).all()]

    def events(self, job_ids: Sequence[str], after: int) -> list[dict[str, Any]]:
        """What jobs told since the event `after` (0: from their beginning), at most 500 events."""
        query = select(JobEventRow).where(col(JobEventRow.job_id).in_(job_ids), col(JobEventRow.seq) > after)
        with reading(self._database) as session:
            rows = session.exec(query.order_by(col(JobEventRow.seq)).limit(500)).all()
            return [
                {"seq": r.seq, "job": r.job_id, "at": when(r.at), "kind": r.kind, "data": r.data}
                for r in rows
            ]
