"""What all jobs stand on: looks, records, OpenStack, threads, and a stop that loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import replace

from controlplane.service.journal import Ledger
from controlplane.service.sight import Sight
from controlplane.store.database import writing
from controlplane.store.tenancy import JobRow
from controlplane.tenants.desired import Desired
from controlplane.tenants.listing import Listing
from controlplane.tenants.observed import View, is_plane_role, observe
from controlplane.tenants.ports import Cloud
from controlplane.tenants.resources import Kind

JOIN_SECONDS = 0.4
"""How long a look waits for other jobs to join, where there are some: they often end together."""


class Ground:
    """Shared by the handlers of one process. Safe to share between threads."""

    def __init__(
        self, sight: Sight, cloud: Cloud, ledger: Ledger, pool: Executor, stopping: Callable[[], bool]
    ) -> None:
        self.sight, self.cloud, self.ledger, self.pool, self.stopping = sight, cloud, ledger, pool, stopping
        self._count = threading.Lock()
        self.running = self._held = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """A job is at work within."""
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
            return self.running == self._held

    def hold(self) -> None:
        """The process ends: keep the job unfinished, as a crash would, so that the next worker resumes it."""
        self.ledger.flush()
        with self._count:
            self._held += 1
        threading.Event().wait()

    def mark_begun(self, job: JobRow) -> None:
        """From here on, a crash is followed by a resumption: nobody is asked again."""
        with writing(self.sight.database) as session:
            if row := session.get(JobRow, job.id):
                row.began_at = job.began_at = self.sight.clock()

    def look(self, tenant: str, desired: Desired | None, site: bool = True) -> tuple[Listing, View]:
        """A tenant as it is now, together with others whose jobs look as well."""
        records = self.sight.records([tenant])[tenant]
        wait = JOIN_SECONDS if self.running > 1 else 0.0
        listing = self.sight.look([(tenant, desired, records)], site, wait)
        return listing, observe(tenant, listing, records)

    def give_back(self, view: View) -> View:
        """Give back the roles that a crash left the plane in the tenant's projects, and see them no more."""
        rest = {a: seen for a, seen in view.resources.items() if not is_plane_role(a)}
        if len(rest) < len(view.resources):
            self.cloud.step_down(seen.id for seen in rest.values() if seen.kind is Kind.PROJECT)
        return replace(view, resources=rest)
