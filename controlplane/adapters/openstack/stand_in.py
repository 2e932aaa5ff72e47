"""The plane in a tenant's project: a role there for as short as possible, for what no administrator may do.

Nova makes a server group only in the project of the token. So the plane's own user takes the `member` role
on the project, logs in there with the token it has, and gives the role back in `step_down`. After a crash the
role is left over: the next listing shows the assignment (`plane_user_id`), and `step_down` of that project
takes it away.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from controlplane.adapters.openstack.connection import Connection, Login
from controlplane.tenants.errors import CloudRefused
from controlplane.tenants.ports import Ids

ROLE = "member"


@dataclass
class _Place:
    lock: threading.Condition = field(default_factory=threading.Condition)
    users: int = 0
    login: Login | None = None


class StandIn:
    """The projects in which the plane holds a role now."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection
        self._places: dict[str, _Place] = {}
        self._lock = threading.Lock()
        self._role = ""

    @contextmanager
    def project(self, project_id: str, ids: Ids) -> Iterator[Login]:
        """A login in the project; the role stays for the next one, until `step_down`."""
        place = self._place(project_id)
        with place.lock:
            if place.login is None:
                place.login = self._step_in(project_id, ids)
            place.users += 1
            login = place.login
        try:
            yield login
        finally:
            with place.lock:
                place.users -= 1
                place.lock.notify_all()

    def _step_in(self, project_id: str, ids: Ids) -> Login:
        self._role = ids.facility("roles", ROLE)
        self._c.call("identity", "PUT", self._path(project_id), action="step into")
        return self._c.login_in(project_id)  # crash from here on: the next listing shows the role

    def _path(self, project_id: str) -> str:
        return f"/projects/{project_id}/users/{self._c.own.access().user_id}/roles/{self._role}"

    def step_down(self, project_ids: Iterable[str] | None = None) -> None:
        """Give the role back in these projects (also one left by a crash), or in all this process is in."""
        everywhere = project_ids is None
        if project_ids is None:
            with self._lock:
                project_ids = list(self._places)
        for project_id in project_ids:
            place = self._place(project_id)
            with place.lock:
                place.lock.wait_for(lambda place=place: not place.users)  # type: ignore[misc]
                if place.login is None and everywhere:
                    continue
                if not self._role:
                    self._role = self._find_role()
                self._c.delete("identity", self._path(project_id))
                place.login = None

    def _find_role(self) -> str:
        for role in self._c.pages("identity", "/roles", "roles", [("name", ROLE)]):
            return str(role["id"])
        raise CloudRefused(
            service="Keystone",
            action="show the role",
            address=ROLE,
            reason="there is no such role",
            remedy="Create the role with: openstack role create member",
            status=404,
        )

    def _place(self, project_id: str) -> _Place:
        with self._lock:
            return self._places.setdefault(project_id, _Place())
