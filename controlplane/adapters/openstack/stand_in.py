"""The plane in a tenant's project: a role there for as short as possible, for what no administrator may do.

Nova makes a server group only in the project of the token. So the plane's own user takes the `member` role
on the project, logs in there with the token it has, and gives the role back in `step_down`. After a crash the
role is left over: the next listing notices it, and the next `step_down` of that project takes it away.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from controlplane.adapters.openstack.connection import Connection
from controlplane.adapters.openstack.login import Login
from controlplane.tenants.ports import Ids

ROLE = "member"


@dataclass
class _Place:
    lock: threading.Condition = field(default_factory=threading.Condition)
    users: int = 0
    login: Login | None = None
    roles: set[str] = field(default_factory=set)
    """Identifiers of the roles that the plane holds here."""


class StandIn:
    """The projects in which the plane holds a role now."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection
        self._places: dict[str, _Place] = {}
        self._lock = threading.Lock()

    @contextmanager
    def project(self, project_id: str, ids: Ids) -> Iterator[Login]:
        """A login in the project; the role stays for the next one, until `step_down`."""
        place = self._place(project_id)
        with place.lock:
            if place.login is None:
                place.login = self._step_in(project_id, place, ids)
            place.users += 1
            login = place.login
        try:
            yield login
        finally:
            with place.lock:
                place.users -= 1
                place.lock.notify_all()

    def _step_in(self, project_id: str, place: _Place, ids: Ids) -> Login:
        role = ids.facility("roles", ROLE)
        place.roles.add(role)
        self._c.call("identity", "PUT", self._path(project_id, role), action="step into")
        return self._c.login_in(project_id)  # crash from here on: the next listing notices the role

    def notice(self, project_id: str, role: str) -> None:
        """A listing shows that the plane holds this role: taken just now, or left over by a crash."""
        self._place(project_id).roles.add(role)

    def step_down(self, project_ids: Iterable[str] | None = None) -> None:
        """Give the roles back in these projects, those left over by a crash too; by default in all."""
        if project_ids is None:
            with self._lock:
                project_ids = [project_id for project_id, place in self._places.items() if place.login]
        for project_id in project_ids:
            place = self._place(project_id)
            with place.lock:
                place.lock.wait_for(partial(_empty, place))
                place.login = None
                while place.roles:
                    role = next(iter(place.roles))
                    self._c.delete("identity", self._path(project_id, role))
                    place.roles.discard(role)

    def _path(self, project_id: str, role: str) -> str:
        return f"/projects/{project_id}/users/{self._c.own.access().user_id}/roles/{role}"

    def _place(self, project_id: str) -> _Place:
        with self._lock:
            return self._places.setdefault(project_id, _Place())


def _empty(place: _Place) -> bool:
    return not place.users
