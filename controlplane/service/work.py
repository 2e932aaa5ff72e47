"""The work of jobs: apply, suspend, resume, retire, restore, erase. Any handler can be run again any time.

A handler looks, decides what is left, does it, and looks again. What must outlive a crash is written before
the effect that needs it; what a crash leaves half done is found by the next look.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from sqlmodel import Session, select

from airgap_bundle.errors import Problem
from airgap_bundle.keys import PrivateKey
from controlplane.service.applying import Applying
from controlplane.service.erasing import Erasing
from controlplane.service.ground import Ground
from controlplane.service.journal import JobJournal, Ledger
from controlplane.service.problems import document
from controlplane.service.sight import Sight
from controlplane.service.suspending import Suspending
from controlplane.store.database import writing
from controlplane.store.tenancy import JobRow, RecordRow, SealedRow, TenantRow
from controlplane.tenants.desired import recipients
from controlplane.tenants.errors import StalePlan
from controlplane.tenants.lifecycle import State
from controlplane.tenants.ports import Cloud
from controlplane.tenants.reading import read

log = logging.getLogger("controlplane.work")
Handler = Callable[[JobRow, JobJournal], dict[str, Any]]
"""Does a job's work and gives its result. Raises what kept it from that."""


class Work:
    """Handles jobs."""

    def __init__(
        self,
        sight: Sight,
        cloud: Cloud,
        ledger: Ledger,
        plane_key: PrivateKey,
        pool: Executor,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.ground = Ground(sight, cloud, ledger, pool, stopping)
        self._sight, self._ledger = sight, ledger
        suspending = Suspending(self.ground)
        self._verbs: Mapping[str, Handler] = {
            "apply": Applying(self.ground).apply,
            "suspend": suspending.suspend,
            "resume": suspending.resume,
            "retire": suspending.retire,
            "restore": suspending.resume,
            "erase": Erasing(self.ground, plane_key).erase,
        }

    def run(self, job_id: str) -> None:
        """Do the job's work and write how it ended. Returns also when the work failed: that is an outcome."""
        with self.ground.at_work():
            self._run(job_id)

    def _run(self, job_id: str) -> None:
        with writing(self._sight.database) as session:
            job = session.get(JobRow, job_id)
            if job is None or job.state in ("done", "failed"):
                return  # crashed after the outcome was written and before the engine knew
            job.state = "running"
            tenant = session.get(TenantRow, job.tenant)
            spec = read(tenant.spec_text, tenant.spec_file).tenant if tenant else None

        def lines(user: str) -> Sequence[str]:
            return (
                [line for u in spec.users if u.name == user for line in recipients(spec, u)] if spec else ()
            )

        journal = JobJournal(self._ledger, job.id, job.tenant, lines, self._sight.clock)
        journal.tell("began", verb=job.verb, resumed=job.began_at is not None)
        try:
            result = self._verbs[job.verb](job, journal)
            self._ledger.flush()
        except Problem as problem:
            self._end(job, journal, problem=problem)
        except Exception as fault:  # a fault of ours ends the job, not the worker
            log.error("job %s: %s", job.id, traceback.format_exc())
            self._end(job, journal, problem=Problem(text=f"{type(fault).__name__} in job {job.id}: {fault}"))
        else:
            self._end(job, journal, result=result)

    # --- the end --------------------------------------------------------------------------------------

    def _end(
        self,
        job: JobRow,
        journal: JobJournal,
        *,
        result: dict[str, Any] | None = None,
        problem: Problem | None = None,
    ) -> None:
        """Outcome, tenant's state and release of the tenant in one transaction."""
        told = document(problem) if problem else None
        journal.tell("ended", state="failed" if problem else "done", problem=told, result=result)
        self._ledger.flush()
        now = self._sight.clock()
        with writing(self._sight.database) as session:
            row = session.get(JobRow, job.id)
            tenant = session.get(TenantRow, job.tenant)
            if row is None or tenant is None:
                return
            row.state, row.ended_at = ("failed" if problem else "done"), now
            row.problem, row.result = told, result if result is not None else row.result
            tenant.job_id, tenant.changed_at = None, now
            if problem:
                tenant.state = _after_failure(job, problem)
            else:
                self._land(session, tenant, job, result or {})

    def _land(self, session: Session, tenant: TenantRow, job: JobRow, result: dict[str, Any]) -> None:
        """The tenant's state after success."""
        tenant.state = State(job.options["after"])
        if job.verb in ("resume", "restore"):
            tenant.stopped_servers, tenant.grace_until = None, None
        if job.verb == "apply":
            tenant.seen_at, tenant.drift = self._sight.clock(), result["drift"]
            if result["drift"]:
                tenant.state = State.DRIFTED
        if job.verb == "erase":
            tenant.stopped_servers = tenant.grace_until = tenant.handed_over_at = None
            tenant.drift = 0
            for table in (RecordRow, SealedRow):
                for row in session.exec(select(table).where(table.tenant == tenant.name)).all():
                    session.delete(row)


def _after_failure(job: JobRow, problem: Problem) -> State:
    if job.verb == "erase":
        return State.ERASING
    again = job.verb in ("resume", "restore")  # nothing is lost half-way, and the same verb goes on
    if again or isinstance(problem, StalePlan) or job.began_at is None:
        return State(job.options["before"])
    return State.FAILED
