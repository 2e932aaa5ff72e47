"""The verbs of a tenant's life: each becomes a job in the queue; only hand-over is done at once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session, select

from airgap_bundle.keys import PrivateKey, PublicKey
from airgap_bundle.sshsig import sign
from controlplane.jobs.engine import JobQueue
from controlplane.service.rows import job_json, tenant_row
from controlplane.store.database import writing
from controlplane.store.tenancy import JobRow, SealedRow, TenantRow
from controlplane.tenants import handover
from controlplane.tenants.errors import InGrace, NoTenantManager, TenantBusy
from controlplane.tenants.lifecycle import State, step
from controlplane.tenants.reading import read


class Lifecycle:
    """Takes tenants from state to state, one job at a time."""

    def __init__(
        self, database: Engine, queue: JobQueue, *, clock: Callable[[], datetime], grace: timedelta
    ) -> None:
        self._database, self._queue, self._clock, self.grace = database, queue, clock, grace

    def begin(self, tenant: str, verb: str, requester: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Put a job for a verb of the lifecycle in the queue; its description."""
        now = self._clock()
        with writing(self._database) as session:
            row = tenant_row(session, tenant)
            self.refuse_busy(session, row)
            arrow = step(tenant, State(row.state), verb)
            if (
                verb == "erase"
                and row.grace_until
                and now < row.grace_until
                and not row.state == State.ERASING
            ):
                raise InGrace(tenant=tenant, until=row.grace_until.isoformat(timespec="minutes"))
            after = arrow.after
            if verb in ("resume", "restore") and row.handed_over_at:
                after = State.HANDED_OVER
            row.state, row.changed_at = arrow.during, now
            return self.put(
                session, row, verb, {**options, "after": after, "before": arrow.before}, requester
            )

    def put(
        self,
        session: Session,
        row: TenantRow,
        verb: str,
        options: Mapping[str, Any],
        requester: str,
        plan: str | None = None,
    ) -> dict[str, Any]:
        """Job row, tenant's claim and workflow in one transaction."""
        job = JobRow(
            id=str(uuid.uuid4()),
            verb=verb,
            tenant=row.name,
            plan=plan,
            options=dict(options),
            state="queued",
            requester=requester,
            created_at=self._clock(),
        )
        row.job_id = job.id
        session.add(job)
        session.flush()
        self._queue.put(session, job.id)
        return job_json(job)

    @staticmethod
    def refuse_busy(session: Session, row: TenantRow) -> None:
        """Raise TenantBusy while another job is at work on the tenant."""
        if row.job_id is not None:
            job = session.get(JobRow, row.job_id)
            if job is not None and job.state in ("queued", "running"):
                raise TenantBusy(tenant=row.name, job=job.id, verb=job.verb)

    def handover(self, tenant: str, plane_key: PrivateKey, cloud: Mapping[str, str]) -> list[dict[str, Any]]:
        """What each tenant manager is given, signed by the plane. Raises NotNow, NoTenantManager."""
        now = self._clock()
        with writing(self._database) as session:
            row = tenant_row(session, tenant)
            self.refuse_busy(session, row)
            arrow = step(tenant, State(row.state), "handover")
            spec = read(row.spec_text, row.spec_file).tenant
            sealed = session.exec(select(SealedRow).where(SealedRow.tenant == tenant)).all()
            fingerprints = {
                u.name: PublicKey.parse(u.public_key).fingerprint for u in spec.users if u.public_key
            }
            boxes = {r.address: r.envelopes for r in sealed}
            made = handover.packages(spec, boxes, fingerprints, cloud, now)
            if not made:
                raise NoTenantManager(tenant=tenant)
            row.state, row.handed_over_at, row.changed_at = arrow.after, now, now
        return [_signed(package, plane_key) for package in made]


def _signed(package: dict[str, Any], key: PrivateKey) -> dict[str, Any]:
    text = json.dumps(package, sort_keys=True, separators=(",", ":")).encode()
    return {
        "package": package,
        "plane_key": key.public.line,
        "signature": sign(key, handover.NAMESPACE, text),
    }
