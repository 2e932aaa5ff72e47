"""Apply: make OpenStack equal to the spec, as far as the plan that was agreed to goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airgap_bundle.errors import Problem
from controlplane.service.ground import Ground
from controlplane.service.journal import JobJournal
from controlplane.service.plans import what_moved
from controlplane.service.rows import desired_of, tenant_row
from controlplane.store.database import reading, writing
from controlplane.store.tenancy import JobRow, PlanRow, RecordRow, SealedRow
from controlplane.tenants.apply import Result, reason_of, run
from controlplane.tenants.desired import Desired
from controlplane.tenants.errors import ApplyIncomplete, StalePlan
from controlplane.tenants.facts import read_facts
from controlplane.tenants.known import Known
from controlplane.tenants.listing import Listing
from controlplane.tenants.observed import View
from controlplane.tenants.operations import operations
from controlplane.tenants.plan import Action, Change, Plan, make_plan
from controlplane.tenants.ports import Effect
from controlplane.tenants.remainder import remainder
from controlplane.tenants.resources import Kind, Observed

ROUNDS = 4
"""How often an apply looks again and does what is left before it gives up."""


class Applying:
    """The handler of `apply`."""

    def __init__(self, ground: Ground) -> None:
        self._on = ground

    def apply(self, job: JobRow, journal: JobJournal) -> dict[str, Any]:
        """Make OpenStack equal to the spec, as far as the plan that was agreed to goes."""
        with reading(self._on.sight.database) as session:
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
            records = self._on.sight.records([job.tenant])[job.tenant]
            plan = make_plan(desired, view, records, row.spec_digest)
            if turn == 0 and job.began_at is None:
                if plan.digest != agreed.digest:
                    moved = what_moved(agreed, plan)
                    raise StalePlan(tenant=job.tenant, digest=agreed.digest[:12], moved=moved)
                self._on.mark_begun(job)  # crash after this: continue without asking again
            view = self._on.give_back(view)
            left = remainder(agreed, plan)
            spare = [(a, ids) for a, ids in plan.duplicates if a in agreed_at]
            if (not left and not spare) or (left == before and not outcome.failed):
                break  # done, or what was done had no effect: to do it again would not help
            before = left
            known = Known(view, read_facts(listing, self._on.sight.overcommit))
            self._drop_spares(spare, view, known)
            self._forget(job.tenant, left)
            needed = {a: tuple(n for n in desired.resources[a].needs) for a in desired.resources}
            todo = operations(left, desired, view.resources, needed)
            journal.tell("started" if turn == 0 else "again", total=len(todo), plan=agreed.digest)
            outcome = run(todo, self._on.cloud, known, desired, journal, self._on.pool, self._on.stopping)
            self._on.cloud.step_down(
                known.ids(Kind.PROJECT)
            )  # crash before this: the next look sees the roles
            if self._on.stopping():
                self._on.hold()
            done += len(outcome.done)
            self._on.ledger.flush()
            listing, view = self._on.look(job.tenant, desired, site=False)
            if outcome.failed and not outcome.done:
                break
        self._settle_records(job, desired, view)
        rest = make_plan(desired, view, self._on.sight.records([job.tenant])[job.tenant], row.spec_digest)
        unfinished = remainder(agreed, rest)
        if unfinished:
            failed = outcome.failed[0] if outcome.failed else None
            reason = reason_of(failed[1]) if failed else "OpenStack still differs after several tries"
            address = failed[0].address if failed else unfinished[0].address
            raise ApplyIncomplete(
                tenant=job.tenant, done=done, total=len(agreed.changes), address=address, reason=reason
            )
        return {"changes": len(agreed.changes), "operations": done, "drift": len(rest.changes)}

    def _first_look(self, job: JobRow, desired: Desired) -> tuple[Listing, View]:
        """What the job begins from: what its plan was made from, if that was moments ago."""
        seen = self._on.sight.just_seen(job.id) if job.began_at is None else None
        if seen is None:
            listing, view = self._on.look(job.tenant, desired)
            return listing, view
        return seen

    def _drop_spares(self, spare: Sequence[tuple[str, tuple[str, ...]]], view: View, known: Known) -> None:
        """Delete what a lost reply left beside the one that is kept, at addresses that this job makes."""
        effects = [
            Effect("delete", address, None, Observed(address, id_, view.resources[address].fields))
            for address, ids in spare
            for id_ in ids
        ]
        for _ in self._on.pool.map(lambda effect: self._on.cloud.perform(effect, known), effects):
            pass

    def _forget(self, tenant: str, changes: Sequence[Change]) -> None:
        gone = [c.address for c in changes if c.action is Action.FORGET]
        with writing(self._on.sight.database) as session:
            for address in gone:
                for table in (RecordRow, SealedRow):
                    if row := session.get(table, (tenant, address)):
                        session.delete(row)

    def _settle_records(self, job: JobRow, desired: Desired, view: View) -> None:
        """Records for what is there and equal, also where a crash came before the record was written."""
        now = self._on.sight.clock()
        with writing(self._on.sight.database) as session:
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
