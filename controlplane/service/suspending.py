"""Suspend and resume, retire and restore: keep people out and servers off, and let both come back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airgap_bundle.errors import Problem
from controlplane.service.ground import Ground
from controlplane.service.journal import JobJournal
from controlplane.service.rows import tenant_row
from controlplane.store.database import reading, writing
from controlplane.store.tenancy import JobRow
from controlplane.tenants.apply import reason_of
from controlplane.tenants.errors import CloudRefused


class Suspending:
    """The handlers of `suspend`, `resume` (which is `restore`, too) and `retire`."""

    def __init__(self, ground: Ground) -> None:
        self._on = ground

    def suspend(self, job: JobRow, journal: JobJournal) -> dict[str, Any]:
        """Keep everybody out, then stop what runs, remembering it first."""
        domain, projects = self._domain_and_projects(job.tenant)
        self._on.mark_begun(job)
        journal.tell("started", total=1)
        self._on.cloud.set_access(domain, False)
        journal.tell("step", address="domain", action="disable", state="done")
        stopped: set[str] = set()
        for _ in range(3):  # a server that was being built when access ended may come up later
            self._on.cloud.lock_servers(projects, True)  # against tokens that services still remember
            running = [thing.id for thing in self._on.cloud.running_servers(projects)]
            if not running:
                break
            self._remember_servers(job.tenant, running)  # crash after this: resume still knows them
            journal.tell("started", total=len(running))
            for id_ in self._on.pool.map(self._stop_server, running):
                stopped.add(id_)
                journal.tell("step", address=f"server/{id_}", action="stop", state="done")
        return {"stopped_servers": len(stopped)}

    def _stop_server(self, id_: str) -> str:
        self._on.cloud.stop_server(id_)
        return id_

    def _remember_servers(self, tenant: str, ids: Sequence[str]) -> None:
        with writing(self._on.sight.database) as session:
            row = tenant_row(session, tenant)
            row.stopped_servers = sorted({*(row.stopped_servers or ()), *ids})

    def resume(self, job: JobRow, journal: JobJournal) -> dict[str, Any]:
        """Let people in again and start what ran before."""
        domain, projects = self._domain_and_projects(job.tenant)
        self._on.mark_begun(job)
        with reading(self._on.sight.database) as session:
            servers = tenant_row(session, job.tenant).stopped_servers or []
        journal.tell("started", total=1 + len(servers))
        self._on.cloud.set_access(domain, True)
        self._on.cloud.lock_servers(projects, False)
        journal.tell("step", address="domain", action="enable", state="done")
        missing = []
        for id_, problem in self._on.pool.map(self._start_server, servers):
            journal.tell(
                "step", address=f"server/{id_}", action="start", state="failed" if problem else "done"
            )
            if problem:
                missing.append({"id": id_, "reason": reason_of(problem)})
        return {"started_servers": len(servers) - len(missing), "not_started": missing}

    def _start_server(self, id_: str) -> tuple[str, Problem | None]:
        try:
            self._on.cloud.start_server(id_)
        except CloudRefused as problem:
            return id_, problem
        return id_, None

    def retire(self, job: JobRow, journal: JobJournal) -> dict[str, Any]:
        """Suspend for good, unless restored before the grace period ends."""
        result = self.suspend(job, journal)
        grace = timedelta(seconds=job.options["grace_seconds"])
        until = job.created_at + grace
        with writing(self._on.sight.database) as session:
            tenant_row(session, job.tenant).grace_until = until
        return result | {"grace_until": until.isoformat(timespec="seconds")}

    def _domain_and_projects(self, tenant: str) -> tuple[str, list[str]]:
        """The domain and every project in it, those of the tenant's own managers too.

        Whatever the job is for: a role that a crash left the plane in one of them is given back.
        """
        listing, view = self._on.look(tenant, None)
        view = self._on.give_back(view)
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
