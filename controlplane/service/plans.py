"""Validate, plan and apply specs, one answer each. What changes the cloud becomes a job (`work.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import select

from airgap_bundle.errors import Problem
from controlplane.access.roles import Action, Requester
from controlplane.service.drafts import Considered, Drafts, SpecText
from controlplane.service.lifecycle import Lifecycle
from controlplane.service.rows import shown, tenant_row
from controlplane.service.sight import Sight
from controlplane.store.database import reading, writing
from controlplane.store.tenancy import PlanRow, TenantRow
from controlplane.tenants.errors import NeedsAcceptance, NotOurs, StalePlan
from controlplane.tenants.lifecycle import State, step
from controlplane.tenants.plan import Plan


class Plans:
    """The plans of a site's tenants: made from specs, kept, applied."""

    def __init__(self, sight: Sight, drafts: Drafts, lifecycle: Lifecycle) -> None:
        self._sight, self._drafts, self._lifecycle = sight, drafts, lifecycle

    def validate(self, specs: Sequence[SpecText]) -> list[dict[str, Any]]:
        """Read and check specs against the site, one answer each. Nothing is stored."""
        return [self._answer(considered, lambda _: {}) for considered in self._drafts.consider(specs)]

    def plan(self, specs: Sequence[SpecText], requester: str) -> list[dict[str, Any]]:
        """Plan specs and keep the plans, one answer each."""

        def keep(considered: Considered) -> dict[str, Any]:
            self._refuse_conflicts(considered.plan)
            self._keep(considered, requester)
            return {"plan": shown(considered.plan)}

        return [self._answer(considered, keep) for considered in self._drafts.consider(specs)]

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

        return [self._answer(considered, put) for considered in self._drafts.consider(specs)]

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

    def _refuse_conflicts(self, plan: Plan) -> None:
        if plan.conflicts:
            raise NotOurs(what=plan.conflicts[0].what, conflicts=[vars(c) for c in plan.conflicts])

    def _keep(self, considered: Considered, requester: str) -> None:
        """Keep the plan, and the tenant as a draft if it is new."""
        now, plan, spec = self._sight.clock(), considered.plan, considered.spec
        with writing(self._sight.database) as session:
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
                session.add(_new_row(considered, State.DRAFT, now))

    def _stale(self, considered: Considered, accepted: Sequence[str]) -> Problem:
        plan = considered.plan
        with reading(self._sight.database) as session:
            rows = session.exec(select(PlanRow).where(PlanRow.tenant == plan.tenant)).all()
        shown_before = [r for r in rows if any(r.digest.startswith(d) for d in accepted if len(d) >= 12)]
        digest = ", ".join(d[:12] for d in accepted)
        moved = "no such plan was shown for this tenant"
        if shown_before:
            moved = what_moved(Plan.from_json(shown_before[0].body), plan)
        return StalePlan(tenant=plan.tenant, digest=digest, moved=moved, now=plan.digest[:12])

    def _put_apply(self, considered: Considered, requester: str) -> dict[str, Any]:
        now, plan = self._sight.clock(), considered.plan
        with writing(self._sight.database) as session:
            row = tenant_row(session, plan.tenant)
            self._lifecycle.refuse_busy(session, row)
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
            job = self._lifecycle.put(session, row, "apply", options, requester, plan.digest)
            self._sight.keep(job["id"], now, considered.listing, considered.view)
        return {"plan": shown(plan), "job": job}


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


def _after_failure(row: TenantRow) -> State:
    return State.HANDED_OVER if row.handed_over_at else State.ACTIVE


def _spec_columns(considered: Considered) -> dict[str, Any]:
    spec = considered.spec
    return {
        "spec_text": spec.text,
        "spec_file": spec.file,
        "spec_digest": spec.digest,
        "limits": dict(considered.limits),
    }


def _new_row(considered: Considered, state: State, now: datetime) -> TenantRow:
    columns = _spec_columns(considered)
    return TenantRow(name=considered.plan.tenant, state=state, created_at=now, changed_at=now, **columns)
