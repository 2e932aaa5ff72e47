"""What is asked about tenants, answered: validate, plan, list, show, drift; and jobs put in the queue.

Every answer is plain JSON. Work that changes the cloud is never done here: it becomes a job (`work.py`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from airgap_bundle.errors import Problem
from airgap_bundle.keys import PrivateKey, PublicKey
from airgap_bundle.sshsig import sign
from controlplane.access.roles import Action, Requester
from controlplane.jobs.engine import JobQueue
from controlplane.service.observer import Observer
from controlplane.store.database import reading, writing
from controlplane.store.tenancy import (
    CertificateRow,
    JobEventRow,
    JobRow,
    PlanRow,
    RecordRow,
    SealedRow,
    TenantRow,
)
from controlplane.tenants import handover
from controlplane.tenants.checks import check
from controlplane.tenants.desired import Desired, Limits, desire
from controlplane.tenants.errors import (
    Finding,
    InGrace,
    NeedsAcceptance,
    NoCertificate,
    NoTenantManager,
    NotOurs,
    SpecInvalid,
    StalePlan,
    TenantBusy,
    UnknownJob,
    UnknownTenant,
)
from controlplane.tenants.facts import read_facts
from controlplane.tenants.lifecycle import State, step
from controlplane.tenants.listing import Listing, Scope
from controlplane.tenants.observed import View, observe
from controlplane.tenants.plan import Plan, make_plan
from controlplane.tenants.quotas import QuotaClasses, resolve
from controlplane.tenants.reading import ReadSpec, read
from controlplane.tenants.resources import Record
from controlplane.tenants.scope import scope_of

FRESH = timedelta(seconds=10)
"""How long a look that a plan was made from stands for the look with which its job begins."""


@dataclass(frozen=True)
class SpecText:
    """A spec as it came: its text and the name of its file."""

    text: str
    file: str


@dataclass(frozen=True)
class Considered:
    """A spec, what it calls for, what was seen, and the plan between them."""

    spec: ReadSpec
    limits: Mapping[str, Limits]
    desired: Desired
    listing: Listing
    view: View
    plan: Plan


class Tenancy:
    """The tenants of a site."""

    def __init__(
        self,
        database: Engine,
        observer: Observer,
        queue: JobQueue,
        *,
        clock: Callable[[], datetime],
        classes: QuotaClasses,
        overcommit: Mapping[str, float],
        grace: timedelta,
    ) -> None:
        self.database, self.observer, self.queue, self.clock = database, observer, queue, clock
        self.classes, self.overcommit, self.grace = classes, overcommit, grace
        self._seen: dict[str, tuple[datetime, Listing, View]] = {}
        """What was just seen for a job that was queued: it need not look again if it begins soon."""

    # --- specs and plans ------------------------------------------------------------------------------

    def validate(self, specs: Sequence[SpecText]) -> list[dict[str, Any]]:
        """Read and check specs against the site, one answer each. Nothing is stored."""
        return [self._answer(considered, lambda _: {}) for considered in self._consider_all(specs)]

    def plan(self, specs: Sequence[SpecText], requester: str) -> list[dict[str, Any]]:
        """Plan specs and keep the plans, one answer each."""

        def keep(considered: Considered) -> dict[str, Any]:
            self._refuse_conflicts(considered.plan)
            self._keep(considered, requester)
            return {"plan": shown(considered.plan)}

        return [self._answer(considered, keep) for considered in self._consider_all(specs)]

    def apply(
        self, specs: Sequence[SpecText], requester: Requester, accept: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Plan specs and put a job in the queue for each that calls for changes, one answer each.

        `accept` holds digests of plans that a person saw and accepts: such a plan is applied as it was shown
        or not at all. A plan that loses something for good is applied only when it is accepted.
        """

        def put(considered: Considered) -> dict[str, Any]:
            plan = considered.plan
            self._refuse_conflicts(plan)
            accepted = any(plan.digest.startswith(digest) for digest in accept if len(digest) >= 12)
            if accept and not accepted:
                raise self._stale(considered, accept)
            self._keep(considered, requester.name)
            if plan.losses:
                requester.permit(Action.ACCEPT)
            if plan.losses and not accepted:
                lost = plan.losses[0]
                raise NeedsAcceptance(
                    tenant=plan.tenant,
                    consequence=f"loses {lost.loses} ({lost.action} {lost.address})",
                    command=f"controlplane tenant apply {considered.spec.file} --accept {plan.digest[:12]}",
                    plan=shown(plan),
                )
            return self._put_apply(considered, requester.name)

        return [self._answer(considered, put) for considered in self._consider_all(specs)]

    def _answer(
        self, considered: Considered | Problem, then: Callable[[Considered], dict[str, Any]]
    ) -> dict[str, Any]:
        """One spec's answer, or its problem: one bad spec of many does not hold up the others."""
        if isinstance(considered, Problem):
            return {"problem": considered}
        about = {"tenant": considered.plan.tenant, "file": considered.spec.file}
        try:
            return about | then(considered)
        except Problem as problem:
            return about | {"problem": problem}

    def _consider_all(self, specs: Sequence[SpecText]) -> list[Considered | Problem]:
        """All specs against one look at the cloud."""
        reads: list[tuple[ReadSpec, Desired, Mapping[str, Limits]] | Problem] = []
        for spec in specs:
            try:
                reads.append(self._read(spec))
            except Problem as problem:
                reads.append(problem)
        good = [r for r in reads if not isinstance(r, Problem)]
        if not good:
            return [r for r in reads if isinstance(r, Problem)]
        names = [desired.tenant for _, desired, _ in good]
        records = self.records(names)
        try:
            listing = self.look([(d.tenant, d, records[d.tenant]) for _, d, _ in good])
        except Problem as problem:
            return [r if isinstance(r, Problem) else problem for r in reads]
        facts = read_facts(listing, self.overcommit)
        result: list[Considered | Problem] = []
        for item in reads:
            if isinstance(item, Problem):
                result.append(item)
                continue
            spec_read, desired, limits = item
            known = records[desired.tenant]
            findings = check(spec_read, facts, self.classes, self.clock().date(), owned=known.keys())
            if names.count(desired.tenant) > 1:
                findings.append(_twice(spec_read))
            if findings:
                result.append(SpecInvalid(spec_read.file, findings))
                continue
            view = observe(desired.tenant, listing, known)
            plan = make_plan(desired, view, known, spec_read.digest)
            result.append(Considered(spec_read, limits, desired, listing, view, plan))
        return result

    def _read(self, spec: SpecText) -> tuple[ReadSpec, Desired, Mapping[str, Limits]]:
        spec_read = read(spec.text, spec.file)
        findings = check(spec_read, None, self.classes, self.clock().date())
        if findings:
            raise SpecInvalid(spec.file, findings)
        limits = {p.name: resolve(p.quota, self.classes) for p in spec_read.tenant.projects}
        return spec_read, desire(spec_read.tenant, limits), limits

    def look(
        self,
        tenants: Sequence[tuple[str, Desired | None, Mapping[str, Record]]],
        site: bool = True,
        wait: float = 0.0,
    ) -> Listing:
        """One look that serves all of `tenants`; without `site`, enough to compare them with OpenStack.

        `wait` gives others, in seconds, the time to join.
        """
        scopes = [scope_of(name, desired, records, site) for name, desired, records in tenants]
        nothing = Scope(frozenset(), quotas=False, server_groups=False, site=False)
        return self.observer.look(reduce(lambda a, b: a | b, scopes, nothing), wait)

    def just_seen(self, job_id: str) -> tuple[Listing, View] | None:
        """What the plan of a job was made from, if that was moments ago and in this process."""
        now = self.clock()
        when, listing, view = self._seen.pop(job_id, (None, None, None))
        for old in [j for j, (at, _, _) in self._seen.items() if now - at > FRESH]:
            self._seen.pop(old, None)
        if when is None or listing is None or view is None or now - when > FRESH:
            return None
        return listing, view

    def records(self, tenants: Sequence[str]) -> dict[str, dict[str, Record]]:
        """What the plane made of each tenant, by address."""
        found: dict[str, dict[str, Record]] = {name: {} for name in tenants}
        with reading(self.database) as session:
            for row in session.exec(select(RecordRow).where(col(RecordRow.tenant).in_(tenants))):
                found[row.tenant][row.address] = Record(row.address, row.openstack_id, row.fields)
        return found

    def _refuse_conflicts(self, plan: Plan) -> None:
        if plan.conflicts:
            raise NotOurs(what=plan.conflicts[0].what, conflicts=[vars(c) for c in plan.conflicts])

    def _keep(self, considered: Considered, requester: str) -> None:
        """Keep the plan, and the tenant as a draft if it is new."""
        now, plan, spec = self.clock(), considered.plan, considered.spec
        with writing(self.database) as session:
            session.merge(
                PlanRow(
                    digest=plan.digest,
                    tenant=plan.tenant,
                    spec_text=spec.text,
                    spec_file=spec.file,
                    limits=dict(considered.limits),
                    body=plan.as_json(),
                    made_at=now,
                    made_by=requester,
                )
            )
            if session.get(TenantRow, plan.tenant) is None:
                session.add(_tenant_row(considered, State.DRAFT, now))

    def _stale(self, considered: Considered, accepted: Sequence[str]) -> Problem:
        plan = considered.plan
        with reading(self.database) as session:
            rows = session.exec(select(PlanRow).where(PlanRow.tenant == plan.tenant)).all()
        shown_before = [r for r in rows if any(r.digest.startswith(d) for d in accepted if len(d) >= 12)]
        digest = ", ".join(d[:12] for d in accepted)
        moved = "no such plan was shown for this tenant"
        if shown_before:
            moved = what_moved(Plan.from_json(shown_before[0].body), plan)
        return StalePlan(tenant=plan.tenant, digest=digest, moved=moved, now=plan.digest[:12])

    def _put_apply(self, considered: Considered, requester: str) -> dict[str, Any]:
        now, plan = self.clock(), considered.plan
        with writing(self.database) as session:
            row = self.tenant_row(session, plan.tenant)
            self._refuse_busy(session, row)
            arrow = step(plan.tenant, State(row.state), "apply")
            row.seen_at, row.drift = now, len(plan.changes)
            if plan.empty and arrow.before in (State.ACTIVE, State.HANDED_OVER, State.DRIFTED):
                for name, value in _spec_columns(considered).items():
                    setattr(row, name, value)
                row.state, row.changed_at = arrow.after, now
                return {"plan": shown(plan), "job": None}
            for name, value in _spec_columns(considered).items():
                setattr(row, name, value)
            row.state, row.changed_at = arrow.during, now
            was_ours = arrow.after if arrow.before is not State.FAILED else _after_failure(row)
            options = {"before": arrow.before, "after": was_ours, "digest": plan.digest}
            job = self._put(session, row, "apply", options, requester, plan.digest)
            self._seen[job["id"]] = (now, considered.listing, considered.view)
        return {"plan": shown(plan), "job": job}

    # --- lifecycle ------------------------------------------------------------------------------------

    def begin(self, tenant: str, verb: str, requester: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Put a job for a verb of the lifecycle in the queue; its description."""
        now = self.clock()
        with writing(self.database) as session:
            row = self.tenant_row(session, tenant)
            self._refuse_busy(session, row)
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
            return self._put(
                session, row, verb, {**options, "after": after, "before": arrow.before}, requester
            )

    def _put(
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
            created_at=self.clock(),
        )
        row.job_id = job.id
        session.add(job)
        session.flush()
        self.queue.put(session, job.id)
        return job_json(job)

    def _refuse_busy(self, session: Session, row: TenantRow) -> None:
        if row.job_id is not None:
            job = session.get(JobRow, row.job_id)
            if job is not None and job.state in ("queued", "running"):
                raise TenantBusy(tenant=row.name, job=job.id, verb=job.verb)

    @staticmethod
    def tenant_row(session: Session, tenant: str) -> TenantRow:
        """The tenant's row. Raises UnknownTenant."""
        row = session.get(TenantRow, tenant)
        if row is None:
            raise UnknownTenant(tenant=tenant)
        return row

    def handover(self, tenant: str, plane_key: PrivateKey, cloud: Mapping[str, str]) -> list[dict[str, Any]]:
        """What each tenant manager is given, signed by the plane. Raises NotNow, NoTenantManager."""
        now = self.clock()
        with writing(self.database) as session:
            row = self.tenant_row(session, tenant)
            self._refuse_busy(session, row)
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

    def certificate(self, tenant: str) -> dict[str, Any]:
        """The newest erasure certificate of a tenant and its signature. Raises NoCertificate."""
        newest = select(CertificateRow).where(CertificateRow.tenant == tenant)
        with reading(self.database) as session:
            row = session.exec(newest.order_by(col(CertificateRow.made_at).desc())).first()
        if row is None:
            raise NoCertificate(tenant=tenant)
        found: dict[str, Any] = json.loads(row.body)
        return found

    def jobs(self, tenant: str | None, limit: int) -> list[dict[str, Any]]:
        """The newest jobs, all or of one tenant."""
        query = select(JobRow).order_by(col(JobRow.created_at).desc()).limit(limit)
        with reading(self.database) as session:
            rows = session.exec(query.where(JobRow.tenant == tenant) if tenant else query).all()
            return [job_json(row) for row in rows]

    def job(self, job_id: str) -> dict[str, Any]:
        """One job. Raises UnknownJob."""
        with reading(self.database) as session:
            row = session.get(JobRow, job_id)
        if row is None:
            raise UnknownJob(job=job_id)
        return job_json(row)

    def ended(self, job_ids: Sequence[str]) -> list[dict[str, Any]]:
        """Those of the jobs that have ended."""
        query = select(JobRow).where(col(JobRow.id).in_(job_ids), col(JobRow.state).in_(("done", "failed")))
        with reading(self.database) as session:
            return [job_json(row) for row in session.exec(query).all()]

    def events(self, job_ids: Sequence[str], after: int) -> list[dict[str, Any]]:
        """What jobs told since the event `after` (0: from their beginning), at most 500 events."""
        query = select(JobEventRow).where(col(JobEventRow.job_id).in_(job_ids), col(JobEventRow.seq) > after)
        with reading(self.database) as session:
            rows = session.exec(query.order_by(col(JobEventRow.seq)).limit(500)).all()
            return [
                {"seq": r.seq, "job": r.job_id, "at": _when(r.at), "kind": r.kind, "data": r.data}
                for r in rows
            ]

    # --- questions ------------------------------------------------------------------------------------

    def all(self) -> list[dict[str, Any]]:
        """All tenants, erased ones too."""
        with reading(self.database) as session:
            rows = session.exec(select(TenantRow).order_by(col(TenantRow.name))).all()
            return [tenant_json(row) for row in rows]

    def show(self, tenant: str) -> dict[str, Any]:
        """One tenant with its spec, its resources and its last jobs. Raises UnknownTenant."""
        with reading(self.database) as session:
            row = self.tenant_row(session, tenant)
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
        with reading(self.database) as session:
            if tenants:
                rows = [self.tenant_row(session, name) for name in tenants]
            else:
                rows = [r for r in session.exec(select(TenantRow)).all() if r.state in compared]
        rows.sort(key=lambda r: r.name)
        records = self.records([row.name for row in rows])
        wanted = {row.name: desired_of(row) for row in rows}
        asked = [(name, desired, records[name]) for name, desired in wanted.items()]
        listing = self.look(asked, site=False) if asked else Listing()
        now, answers = self.clock(), []
        plans = {
            row.name: make_plan(
                wanted[row.name],
                observe(row.name, listing, records[row.name]),
                records[row.name],
                row.spec_digest,
            )
            for row in rows
        }
        with writing(self.database) as session:
            for name, plan in plans.items():
                row = self.tenant_row(session, name)
                if row.state in compared and row.job_id is None:
                    row.seen_at, row.drift = now, len(plan.changes)
                    if plan.changes:
                        row.state = State.DRIFTED
                    elif row.state == State.DRIFTED:
                        row.state = State.HANDED_OVER if row.handed_over_at else State.ACTIVE
                answers.append({"tenant": name, "state": row.state, "plan": shown(plan)})
        return answers


def desired_of(row: TenantRow) -> Desired:
    """What the tenant's stored spec calls for, with the quota numbers stored with it."""
    return desire(read(row.spec_text, row.spec_file).tenant, row.limits)


def what_moved(before: Plan, now: Plan) -> str:
    """In a few words, why two plans differ."""
    if before.spec_digest != now.spec_digest:
        return "the spec changed"
    old, new = ({c.address: c for c in plan.changes} for plan in (before, now))
    moved = sorted(a for a in old.keys() | new.keys() if old.get(a) != new.get(a))
    if not moved:
        return "the cloud changed"
    more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
    return f"{', '.join(moved[:3])}{more} changed in the cloud"


def shown(plan: Plan) -> dict[str, Any]:
    """A plan as the API gives it: its data, its digest and its counts."""
    return plan.as_json() | {"digest": plan.digest, "counts": plan.counts(), "loses": bool(plan.losses)}


def tenant_json(row: TenantRow) -> dict[str, Any]:
    """A tenant as the API gives it."""
    return {
        "name": row.name,
        "state": row.state,
        "drift": row.drift,
        "seen_at": _when(row.seen_at),
        "created_at": _when(row.created_at),
        "changed_at": _when(row.changed_at),
        "grace_until": _when(row.grace_until),
        "handed_over_at": _when(row.handed_over_at),
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
        "created_at": _when(job.created_at),
        "began_at": _when(job.began_at),
        "ended_at": _when(job.ended_at),
        "plan": job.plan,
        "result": job.result,
        "problem": job.problem,
    }


def _signed(package: dict[str, Any], key: PrivateKey) -> dict[str, Any]:
    text = json.dumps(package, sort_keys=True, separators=(",", ":")).encode()
    return {
        "package": package,
        "plane_key": key.public.line,
        "signature": sign(key, handover.NAMESPACE, text),
    }


def _when(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


def _after_failure(row: TenantRow) -> State:
    return State.HANDED_OVER if row.handed_over_at else State.ACTIVE


def _twice(spec: ReadSpec) -> Finding:
    name = spec.tenant.tenant
    return spec.finding(("tenant",), f"tenant {name} stands in two of the files", "Keep one of them.")


def _spec_columns(considered: Considered) -> dict[str, Any]:
    spec = considered.spec
    return {
        "spec_text": spec.text,
        "spec_file": spec.file,
        "spec_digest": spec.digest,
        "limits": dict(considered.limits),
    }


def _tenant_row(considered: Considered, state: State, now: datetime) -> TenantRow:
    columns = _spec_columns(considered)
    return TenantRow(name=considered.plan.tenant, state=state, created_at=now, changed_at=now, **columns)
