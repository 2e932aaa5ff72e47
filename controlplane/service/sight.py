"""What the plane sees of its tenants in OpenStack, and what it remembers of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce

from sqlalchemy import Engine
from sqlmodel import col, select

from controlplane.service.observer import Observer
from controlplane.store.database import reading
from controlplane.store.tenancy import RecordRow
from controlplane.tenants.desired import Desired
from controlplane.tenants.listing import Listing, Scope
from controlplane.tenants.observed import View
from controlplane.tenants.resources import Record
from controlplane.tenants.scope import scope_of

FRESH = timedelta(seconds=10)
"""How long a look that a plan was made from stands for the look with which its job begins."""


class Sight:
    """Looks and records, of all tenants of a site."""

    def __init__(
        self,
        database: Engine,
        observer: Observer,
        *,
        clock: Callable[[], datetime],
        overcommit: Mapping[str, float],
    ) -> None:
        self.database, self.observer, self.clock, self.overcommit = database, observer, clock, overcommit
        self._seen: dict[str, tuple[datetime, Listing, View]] = {}
        """What was just seen for a job that was queued: it need not look again if it begins soon."""

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

    def keep(self, job_id: str, at: datetime, listing: Listing, view: View) -> None:
        """Keep what the plan of a job was made from, for `just_seen`."""
        self._seen[job_id] = (at, listing, view)

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
