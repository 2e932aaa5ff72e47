"""The work of jobs: apply, suspend, resume, retire, restore, erase. Any handler can be run again any time.

A handler looks, decides what is left, does it, and looks again. What must outlive a crash is written before
the effect that needs it; what a crash leaves half done is found by the next look.
"""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlmodel import Session, select

from airgap_bundle.errors import Problem
from airgap_bundle.keys import PrivateKey
from airgap_bundle.sshsig import sign
from controlplane.service.journal import JobJournal, Ledger
from controlplane.service.plans import what_moved
from controlplane.service.problems import document
from controlplane.service.rows import desired_of, tenant_row
from controlplane.service.sight import Sight
from controlplane.store.database import reading, writing
from controlplane.store.tenancy import CertificateRow, JobRow, PlanRow, RecordRow, SealedRow, TenantRow
from controlplane.tenants import erasure
from controlplane.tenants.apply import Result, reason_of, run
from controlplane.tenants.desired import Desired, recipients
from controlplane.tenants.errors import ApplyIncomplete, CloudRefused, StalePlan
from controlplane.tenants.facts import read_facts
from controlplane.tenants.known import Known
from controlplane.tenants.lifecycle import State
from controlplane.tenants.listing import Listing
from controlplane.tenants.observed import View, is_plane_role, observe
from controlplane.tenants.operations import operations
from controlplane.tenants.plan import Action, Change, Plan, make_plan
from controlplane.tenants.ports import Cloud, Effect, Thing
from controlplane.tenants.reading import read
from controlplane.tenants.remainder import remainder
from controlplane.tenants.resources import Kind, Observed, Record

ROUNDS = 4
"""How often an apply looks again and does what is left before it gives up."""
JOIN_SECONDS = 0.4
"""How long a look waits for other jobs to join, where there are some: they often end together."""
log = logging.getLogger("controlplane.work")


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
        self.sight, self.cloud, self.ledger, self.key, self.pool = sight, cloud, ledger, plane_key, pool
        self.stopping = stopping
        self._count = threading.Lock()
        self.running = self.held = 0
        self.verbs: Mapping[str, Callable[[JobRow, JobJournal], dict[str, Any]]] = {
            "apply": self.apply,
            "suspend": self.suspend,
            "resume": self.resume,
            "retire": self.retire,
            "restore": self.resume,
            "erase": self.erase,
        }

    def run(self, job_id: str) -> None:
        """Do the job's work and write how it ended. Returns also when the work failed: that is an outcome."""
        with self._at_work():
            self._run(job_id)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self._count:
            self.running += 1
        try:
            yield
        finally:
            with self._count:
                self.running -= 1

    @property
    def quiet(self) -> bool:
        """No job has an effect under way: each has ended, or waits for the end of the process."""
        with self._count:
            return self.running == self.held

    def _run(self, job_id: str) -> None:
        with writing(self.sight.database) as session:
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

        journal = JobJournal(self.ledger, job.id, job.tenant, lines, self.sight.clock)
        journal.tell("began", verb=job.verb, resumed=job.began_at is not None)
        try:
            result = self.verbs[job.verb](job, journal)
            self.ledger.flush()
        except Problem as problem:
            self._end(job, journal, problem=problem)
        except Exception as fault:  # a fault of ours ends the job, not the worker
            log.error("job %s: %s", job.id, traceback.format_exc())
            self._end(job, journal, problem=Problem(text=f"{type(fault).__name__} in job {job.id}: {fault}"))
        else:
            self._end(job, journal, result=result)

    # --- apply ----------------------------------------------------------------------------------------

    def apply(self, job: JobRow, journal: JobJournal) -> dict[str, Any]:
        """Make OpenStack equal to the spec, as far as the plan that was agreed to goes."""
        with reading(self.sight.database) as session:
            row = tenant_row(session, job.tenant)
            kept = session.get(PlanRow, job.plan)
        if kept is None:
            raise Problem(text=f"job {job.id} has no plan")
        agreed, desired = Plan.from_json(kept.body), desired_of(row)
        agreed_at = {change.address for change in agreed.changes}
        outcome, done = Result(), 0
        before: Sequence[Change] = ()
        listing, view = self._first_look(job, desired)
        for turn in range(ROUNDS):
            records = self.sight.records([job.tenant])[job.tenant]
            plan = make_plan(desired, view, records, row.spec_digest)
            if turn == 0 and job.began_at is None:
                if plan.digest != agreed.digest:
                    moved = what_moved(agreed, plan)
                    raise StalePlan(tenant=job.tenant, digest=agreed.digest[:12], moved=moved)
                self._mark_begun(job)  # crash after this: continue without asking again
            view = self._give_back(view)
            left = remainder(agreed, plan)
            spare = [(a, ids) for a, ids in plan.duplicates if a in agreed_at]
            if (not left and not spare) or (left == before and not outcome.failed):
                break  # done, or what was done had no effect: to do it again would not help
            before = left
            known = Known(view, read_facts(listing, self.sight.overcommit))
            self._drop_spares(spare, view, known)
            self._forget(job.tenant, left)
            needed = {a: tuple(n for n in desired.resources[a].needs) for a in desired.resources}
            todo = operations(left, desired, view.resources, needed)
            journal.tell("started" if turn == 0 else "again", total=len(todo), plan=agreed.digest)
            outcome = run(todo, self.cloud, known, desired, journal, self.pool, self.stopping)
            self.cloud.step_down(known.ids(Kind.PROJECT))  # crash before this: the next look sees the roles
            if self.stopping():
                self._hold()
            done += len(outcome.done)
            self.ledger.flush()
            listing, view, _ = self._look(job.tenant, desired, site=False)
            if outcome.failed and not outcome.done:
                break
        self._settle_records(job, desired, view)
        rest = make_plan(desired, view, self.sight.records([job.tenant])[job.tenant], row.spec_digest)
        unfinished = remainder(agreed, rest)
        if unfinished:
            failed = outcome.failed[0] if outcome.failed else None
            reason = reason_of(failed[1]) if failed else "OpenStack still differs after several tries"
            address = failed[0].address if failed else unfinished[0].address
            raise ApplyIncomplete(
                tenant=job.tenant, done=done, total=len(agreed.changes), address=address, reason=reason
            )
        return {"changes": len(agreed.changes), "operations": done, "drift": len(rest.changes)}

    def _hold(self) -> None:
        """The process ends: keep the job unfinished, as a crash would, so that the next worker resumes it."""
        self.ledger.flush()
        with self._count:
            self.held += 1
        threading.Event().wait()

    def _first_look(self, job: JobRow, desired: Desired) -> tuple[Listing, View]:
        """What the job begins from: what its plan was made from, if that was moments ago."""
        seen = self.sight.just_seen(job.id) if job.began_at is None else None
        if seen is None:
            listing, view, _ = self._look(job.tenant, desired)
            return listing, view
        return seen

    def _give_back(self, view: View) -> View:
        """Give back the roles that a crash left the plane in the tenant's projects, and see them no more."""
        rest = {a: seen for a, seen in view.resources.items() if not is_plane_role(a)}
        if len(rest) < len(view.resources):
            self.cloud.step_down(seen.id for seen in rest.values() if seen.kind is Kind.PROJECT)
        return replace(view, resources=rest)

    def _look(
        self, tenant: str, desired: Desired | None, site: bool = True
    ) -> tuple[Listing, View, dict[str, Record]]:
        records = self.sight.records([tenant])[tenant]
        wait = JOIN_SECONDS if self.running > 1 else 0.0
        listing = self.sight.look([(tenant, desired, records)], site, wait)
        return listing, observe(tenant, listing, records), records

    def _mark_begun(self, job: JobRow) -> None:
        with writing(self.sight.database) as session:
            if row := session.get(JobRow, job.id):
                row.began_at = job.began_at = self.sight.clock()

    def _drop_spares(self, spare: Sequence[tuple[str, tuple[str, ...]]], view: View, known: Known) -> None:
        """Delete what a lost reply left beside the one that is kept, at addresses that this job makes."""
        effects = [
            Effect("delete", address, None, Observed(address, id_, view.resources[address].fields))
            for address, ids in spare
            for id_ in ids
        ]
        for _ in self.pool.map(lambda effect: self.cloud.perform(effect, known), effects):
            pass

    def _forget(self, tenant: str, changes: Sequence[Change]) -> None:
        gone = [c.address for c in changes if c.action is Action.FORGET]
        with writing(self.sight.database) as session:
            for address in gone:
                for table in (RecordRow, SealedRow):
                    if row := session.get(table, (tenant, address)):
                        session.delete(row)

    def _settle_records(self, job: JobRow, desired: Desired, view: View) -> None:
        """Records for what is there and equal, also where a crash came before the record was written."""
        now = self.sight.clock()
        with writing(self.sight.database) as session:
            for address, want in desired.resources.items():
                have = view.resources.get(address)
                if have is None or any(have.fields.get(f) != v for f, v in want.fields.items()):
                    continue
                row = session.get(RecordRow, (job.tenant, address))
                if row is None or row.openstack_id != have.id or row.fields != want.fields:
                    fields = dict(want.fields)
                    session.merge(
                        RecordRow(
                            tenant=job.tenant,
                            address=address,
                            openstack_id=have.id,
                            fields=fields,
                            changed_at=now,
                            job_id=job.id,
                        )
                    )

    # --- suspend, resume, retire ----------------------------------------------------------------------

    def suspend(self, job: JobRow, journal: JobJournal) -> dict[str, Any]:
        """Keep everybody out, then stop what runs, remembering it first."""
        domain, projects = self._domain_and_projects(job.tenant)
        self._mark_begun(job)
        journal.tell("started", total=1)
        self.cloud.set_access(domain, False)
        journal.tell("step", address="domain", action="disable", state="done")
        stopped: set[str] = set()
        for _ in range(3):  # a server that was being built when access ended may come up later
            self.cloud.lock_servers(projects, True)  # against tokens that services still remember
            running = [thing.id for thing in self.cloud.running_servers(projects)]
            if not running:
                break
            self._remember_servers(job.tenant, running)  # crash after this: resume still knows them
            journal.tell("started", total=len(running))
            for id_ in self.pool.map(self._stop_server, running):
                stopped.add(id_)
                journal.tell("step", address=f"server/{id_}", action="stop", state="done")
        return {"stopped_servers": len(stopped)}

    def _stop_server(self, id_: str) -> str:
        self.cloud.stop_server(id_)
        return id_

    def _remember_servers(self, tenant: str, ids: Sequence[str]) -> None:
        with writing(self.sight.database) as session:
            row = tenant_row(session, tenant)
            row.stopped_servers = sorted({*(row.stopped_servers or ()), *ids})

    def resume(self, job: JobRow, journal: JobJournal) -> dict[str, Any]:
        """Let people in again and start what ran before."""
        domain, projects = self._domain_and_projects(job.tenant)
        self._mark_begun(job)
        with reading(self.sight.database) as session:
            servers = tenant_row(session, job.tenant).stopped_servers or []
        journal.tell("started", total=1 + len(servers))
        self.cloud.set_access(domain, True)
        self.cloud.lock_servers(projects, False)
        journal.tell("step", address="domain", action="enable", state="done")
        missing = []
        for id_, problem in self.pool.map(self._start_server, servers):
            journal.tell(
                "step", address=f"server/{id_}", action="start", state="failed" if problem else "done"
            )
            if problem:
                missing.append({"id": id_, "reason": reason_of(problem)})
        return {"started_servers": len(servers) - len(missing), "not_started": missing}

    def _start_server(self, id_: str) -> tuple[str, Problem | None]:
        try:
            self.cloud.start_server(id_)
        except CloudRefused as problem:
            return id_, problem
        return id_, None

    def retire(self, job: JobRow, journal: JobJournal) -> dict[str, Any]:
        """Suspend for good, unless restored before the grace period ends."""
        result = self.suspend(job, journal)
        grace = timedelta(seconds=job.options["grace_seconds"])
        until = job.created_at + grace
        with writing(self.sight.database) as session:
            tenant_row(session, job.tenant).grace_until = until
        return result | {"grace_until": until.isoformat(timespec="seconds")}

    def _domain_and_projects(self, tenant: str) -> tuple[str, list[str]]:
        """The domain and every project in it, those of the tenant's own managers too.

        Whatever the job is for: a role that a crash left the plane in one of them is given back.
        """
        listing, view, _ = self._look(tenant, None)
        view = self._give_back(view)
        if "domain" not in view.resources:
            raise CloudRefused(
                service="identity",
                action="find",
                address="domain",
                reason=f"there is no domain {tenant} that the plane made",
                remedy=f"Bring it back with: controlplane tenant apply, or erase {tenant}",
            )
        domain = view.resources["domain"].id
        return domain, [p["id"] for p in listing.projects if p.get("domain_id") == domain]

    # --- erase ----------------------------------------------------------------------------------------

    def erase(self, job: JobRow, journal: JobJournal) -> dict[str, Any]:
        """Delete everything, look until nothing is left, and sign a certificate of it."""
        with reading(self.sight.database) as session:
            record = session.get(RecordRow, (job.tenant, "domain"))
        domain = record.openstack_id if record else ""
        self._mark_begun(job)
        seen = {(t.kind, t.id): t for t in self._seen_before(job)}
        self._remove(list(seen.values()))  # resumed: also what no listing shows once its project is gone
        left: Sequence[Thing] = ()
        for turn in range(ROUNDS):
            left = self.cloud.inventory(domain) if domain else ()
            seen |= {(t.kind, t.id): t for t in left}
            self._remember_things(
                job, list(seen.values())
            )  # crash after this: the certificate still names them
            if not left:
                break
            if turn == 0:
                journal.tell("started", total=len(left))
            self._remove(left, journal)
        else:
            left = self.cloud.inventory(domain)
        if left:
            first = f"{left[0].kind} {left[0].name or left[0].id}"
            reason = f"{len(left)} things are still there, the first is {first}"
            raise ApplyIncomplete(
                tenant=job.tenant,
                done=len(seen) - len(left),
                total=len(seen),
                address=left[0].kind,
                reason=reason,
            )
        return {"removed": len(seen), "certificate": self._certify(job, list(seen.values()))}

    def _remove(self, things: Sequence[Thing], journal: JobJournal | None = None) -> None:
        """Stage by stage; what does not go now is tried again in the next round."""
        for stage in erasure.stages(things):
            for thing, problem in self.pool.map(self._remove_one, stage):
                if journal:
                    state, why = ("failed", {"reason": reason_of(problem)}) if problem else ("done", {})
                    address = f"{thing.kind}/{thing.name or thing.id}"
                    journal.tell("step", address=address, action="delete", state=state, **why)

    def _remove_one(self, thing: Thing) -> tuple[Thing, Problem | None]:
        try:
            self.cloud.remove(thing)
        except CloudRefused as problem:
            return thing, problem
        return thing, None

    def _seen_before(self, job: JobRow) -> list[Thing]:
        return [Thing(**thing) for thing in (job.result or {}).get("seen", ())]

    def _remember_things(self, job: JobRow, things: Sequence[Thing]) -> None:
        with writing(self.sight.database) as session:
            if row := session.get(JobRow, job.id):
                row.result = {"seen": [vars(thing) | {"facts": dict(thing.facts)} for thing in things]}

    def _certify(self, job: JobRow, removed: Sequence[Thing]) -> str:
        now = self.sight.clock()
        body = erasure.certificate(
            job.tenant,
            removed=removed,
            left=(),
            requested_by=job.requester,
            plane=self.key.public.line,
            at=now,
        )
        text = json.dumps(body, indent=2, ensure_ascii=False) + "\n"
        signature = sign(self.key, erasure.NAMESPACE, text.encode())
        with writing(self.sight.database) as session:
            session.merge(
                CertificateRow(
                    id=job.id,
                    tenant=job.tenant,
                    made_at=now,
                    body=json.dumps({"certificate": text, "signature": signature}),
                )
            )
        return job.id

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
        self.ledger.flush()
        now = self.sight.clock()
        with writing(self.sight.database) as session:
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
            tenant.seen_at, tenant.drift = self.sight.clock(), result["drift"]
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
