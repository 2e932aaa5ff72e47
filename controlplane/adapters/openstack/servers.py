"""Nova's servers: which run, stopping and starting them, and waiting until it is so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from controlplane.adapters.openstack.connection import Connection
from controlplane.adapters.openstack.refusal import refused
from controlplane.tenants.errors import CloudRefused
from controlplane.tenants.listing import Raw
from controlplane.tenants.ports import Thing

RUNNING = 1
"""`OS-EXT-STS:power_state` of a server that runs."""
LOCKED_REASON = "suspended by the control plane"
"""Tells our locks from those of others, which stay."""
PATIENCE = 300.0
"""Seconds to wait for a server or a volume to get where it was told to go."""


class Servers:
    """Servers of tenants, through the administrator's view."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    def of_projects(self, project_ids: Sequence[str]) -> list[Raw]:
        """All servers of the projects; Nova filters by one project a request."""

        def ask(project: str) -> list[Raw]:
            query = [("all_tenants", "True"), ("project_id", project), ("limit", "1000")]
            return self._c.pages("compute", "/servers/detail", "servers", query)

        found = self._c.together({project: partial(ask, project) for project in project_ids})
        return [server for servers in found.values() for server in servers]

    def running(self, project_ids: Sequence[str]) -> list[Thing]:
        """Servers of the projects that run now."""
        return [
            Thing("server", str(server["id"]), str(server["name"]), str(server["tenant_id"]))
            for server in self.of_projects(project_ids)
            if server.get("OS-EXT-STS:power_state") == RUNNING
        ]

    def lock(self, project_ids: Sequence[str], locked: bool) -> int:
        """Lock all servers of the projects against everybody but administrators, or unlock those we locked.

        Services honour a token that they have seen for some minutes after Keystone has dropped it: a lock is
        what keeps its holder from starting a stopped server. Gives how many servers were locked or unlocked.
        """
        verb, body = ("lock", {"locked_reason": LOCKED_REASON}) if locked else ("unlock", None)
        chosen = [
            str(server["id"])
            for server in self.of_projects(project_ids)
            if (not server["locked"] if locked else server.get("locked_reason") == LOCKED_REASON)
        ]

        def act(server_id: str) -> None:
            path = f"/servers/{server_id}/action"
            self._c.call("compute", "POST", path, body={verb: body}, accept={404}, action=verb)

        self._c.together({server_id: partial(act, server_id) for server_id in chosen})
        return len(chosen)

    def stop(self, server_id: str) -> None:
        """Stop and wait until it is off; off or gone already is done."""
        if self._act(server_id, "os-stop", ("SHUTOFF", "SHELVED", "SHELVED_OFFLOADED", "SUSPENDED")):
            self._until(server_id, "SHUTOFF", "stop")

    def start(self, server_id: str) -> None:
        """Start and wait until it runs; one that is gone is refused."""
        if self._act(server_id, "os-start", ("ACTIVE",)):
            self._until(server_id, "ACTIVE", "start")
        elif self._show(server_id) is None:
            raise refused("compute", 404, b"", action="start", address=f"server {server_id}")

    def _act(self, server_id: str, verb: str, there: Sequence[str]) -> bool:
        """Ask for it. False when there is nothing to wait for: it is there already, or gone."""
        path, action = f"/servers/{server_id}/action", verb.removeprefix("os-")
        pause = self._c.retry.start()
        while True:
            reply = self._c.call("compute", "POST", path, body={verb: None}, accept={404, 409}, action=action)
            if reply.good:
                return True
            server = self._show(server_id)
            if reply.status == 404 or server is None or server["status"] in there:
                return False
            # another task runs on it (a start while it stops); a state it cannot leave stays refused
            if server.get("OS-EXT-STS:task_state") is None or not pause.again():
                raise refused(
                    "compute", reply.status, reply.content, action=action, address=f"server {server_id}"
                )

    def _show(self, server_id: str) -> Raw | None:
        reply = self._c.call("compute", "GET", f"/servers/{server_id}", accept={404}, action="show")
        return reply.json()["server"] if reply.good else None

    def _until(self, server_id: str, status: str, action: str) -> None:
        def there() -> bool:
            server = self._show(server_id)
            if server is not None and server["status"] == "ERROR":
                said = str((server.get("fault") or {}).get("message", "it went into ERROR"))
                raise refused("compute", 500, said.encode(), action=action, address=f"server {server_id}")
            return server is None or (
                server["status"] == status and server.get("OS-EXT-STS:task_state") is None
            )

        self.wait(there, action, f"server {server_id}")

    def wait(self, there: Callable[[], bool], action: str, address: str, service: str = "Nova") -> None:
        """Look, at growing intervals, until it is so. Raises CloudRefused when patience ends."""
        policy, interval = self._c.retry, 0.1
        until = policy.clock() + PATIENCE
        while not there():
            if policy.clock() > until:
                raise CloudRefused(
                    service=service,
                    action=action,
                    address=address,
                    reason=f"not done after {PATIENCE:.0f} s",
                    remedy="Look at what the service does with it, then run the same command again.",
                    status=504,
                )
            policy.sleep(interval)
            interval = min(2.0, interval * 1.5)

    def delete(self, server_id: str) -> None:
        """Delete and wait until it is gone, also from the recycle bin of deferred deletion."""
        if not self._c.delete("compute", f"/servers/{server_id}"):
            return

        def there() -> bool:
            server = self._show(server_id)
            if server is not None and server["status"] == "SOFT_DELETED":
                body = {"forceDelete": None}
                path = f"/servers/{server_id}/action"
                self._c.call("compute", "POST", path, body=body, accept={404, 409}, action="delete")
            return server is None

        self.wait(there, "delete", f"server {server_id}")
