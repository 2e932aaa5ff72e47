"""Taking away what is inside a tenant, for good, and waiting until it is gone.

Removing a project resets its quotas and deletes its `default` security group first, which Neutron makes by
itself and would keep for ever. Removing a domain disables it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.adapters.openstack.compute import Compute
from controlplane.adapters.openstack.connection import Connection
from controlplane.adapters.openstack.identity import Identity
from controlplane.adapters.openstack.inventory import STORED, Inventory
from controlplane.adapters.openstack.listing import Lister
from controlplane.adapters.openstack.network import Network
from controlplane.adapters.openstack.refusal import refused
from controlplane.adapters.openstack.servers import Servers
from controlplane.adapters.openstack.volume import Volume
from controlplane.tenants.ports import Thing

_PLAIN: Mapping[str, tuple[str, str]] = {
    "floating-ip": ("network", "/floatingips"),
    "port": ("network", "/ports"),
    "router": ("network", "/routers"),
    "share": ("network", "/rbac-policies"),
    "network": ("network", "/networks"),
    "subnet": ("network", "/subnets"),
    "subnet-pool": ("network", "/subnetpools"),
    "address-scope": ("network", "/address-scopes"),
    "security-group": ("network", "/security-groups"),
    "server-group": ("compute", "/os-server-groups"),
    "flavor": ("compute", "/flavors"),
    "volume-type": ("volume", "/types"),
    "group": ("identity", "/groups"),
    "user": ("identity", "/users"),
}
"""Kinds that one DELETE removes at once."""
_PATCH = "application/openstack-images-v2.1-json-patch"


class Removal:
    """Removes what tenants hold."""

    def __init__(
        self,
        connection: Connection,
        inventory: Inventory,
        lister: Lister,
        identity: Identity,
        compute: Compute,
        network: Network,
        volume: Volume,
        servers: Servers,
    ) -> None:
        self._c, self._inventory, self._lister, self._identity = connection, inventory, lister, identity
        self._compute, self._network, self._volume, self._servers = compute, network, volume, servers

    def remove(self, thing: Thing) -> None:
        """Delete one thing and wait until it is gone."""
        c, held = self._c, thing.id
        match thing.kind:
            case "server":
                self._servers.delete(held)
            case "route":
                body: dict[str, Any] = {"router": {"routes": []}}
                c.call("network", "PUT", f"/routers/{held}", body=body, accept={404}, action="change")
            case "interface":
                self._network.remove_interface(str(thing.facts["router"]), {"port_id": held})
            case "volume" | "snapshot" | "backup":
                self._delete_slowly(thing)
            case "image":
                self._delete_image(thing)
            case "image-access":
                c.delete("image", f"/images/{held}/members/{thing.project}")
            case "flavor-access" | "volume-type-access":
                self._withdraw(thing)
            case "key-pair":
                c.delete("compute", f"/os-keypairs/{held}", [("user_id", str(thing.facts["user"]))])
            case "application-credential":
                c.delete("identity", f"/users/{thing.facts['user']}/application_credentials/{held}")
            case "project":
                self._delete_emptied(held)
            case "domain":
                self._identity.delete_domain(held)
            case _:
                service, path = _PLAIN[thing.kind]
                c.delete(service, f"{path}/{held}")

    def delete_project(self, project: str) -> bool:
        """Remove everything in a project, then the project; False when it was gone already."""
        existed = self._c.call("identity", "GET", f"/projects/{project}", accept={404}, action="show").good
        if existed:  # nobody shall put something into it meanwhile
            body = {"project": {"enabled": False}}
            self._c.call(
                "identity", "PATCH", f"/projects/{project}", body=body, accept={404}, action="disable"
            )
        for thing in self._inventory.of_projects([project], None):
            self.remove(thing)
        self._delete_emptied(project)
        return existed

    def _delete_emptied(self, project: str) -> None:
        """Delete a project of which only quotas and the `default` security group are left."""
        c = self._c
        self._c.together(
            {
                "compute": lambda: self._compute.reset_quota(project),
                "network": lambda: self._network.reset_quota(project),
                "volume": lambda: self._volume.reset_quota(project),
            }
        )
        query = self._lister.first_mine([("project_id", project)])
        for group in c.pages("network", "/security-groups", "security_groups", query):
            if group["project_id"] == project and group["name"] == "default":
                c.delete("network", f"/security-groups/{group['id']}")
        c.delete("identity", f"/projects/{project}")

    def _withdraw(self, thing: Thing) -> None:
        if thing.kind == "flavor-access":
            service, path, body = "compute", "/flavors", {"removeTenantAccess": {"tenant": thing.project}}
        else:
            service, path, body = "volume", "/types", {"removeProjectAccess": {"project": thing.project}}
        self._c.call(service, "POST", f"{path}/{thing.id}/action", body=body, accept={404}, action="delete")

    def _delete_image(self, thing: Thing) -> None:
        if thing.facts.get("protected"):
            change = [{"op": "replace", "path": "/protected", "value": False}]
            path = f"/images/{thing.id}"
            self._c.call("image", "PATCH", path, body=change, media=_PATCH, accept={404}, action="unprotect")
        self._c.delete("image", f"/images/{thing.id}")

    def _delete_slowly(self, thing: Thing) -> None:
        """Delete in Cinder and wait. A volume that a server has just let go may still be busy."""
        collection, key = STORED[thing.kind]
        path = f"{collection}/{thing.id}"
        asked = False

        def there() -> bool:
            nonlocal asked
            if not asked:
                reply = self._c.call("volume", "DELETE", path, accept={400, 404}, action="delete")
                asked = reply.good
                if reply.status == 404:
                    return True
            reply = self._c.call("volume", "GET", path, accept={404}, action="show")
            if reply.status == 404:
                return True
            raw = reply.json()[key]
            if raw["status"] == "error_deleting":
                raise refused(
                    "volume",
                    500,
                    b"it went into error_deleting",
                    action="delete",
                    address=f"{thing.kind} {thing.id}",
                )
            if not asked and not raw.get("attachments") and raw["status"] not in _ON_THE_WAY:
                force: dict[str, Any] = {"os-force_delete": {}}
                asked = self._c.call(
                    "volume", "POST", f"{path}/action", body=force, accept={400, 404}, action="delete"
                ).good
            return False

        self._servers.wait(there, "delete", f"{thing.kind} {thing.id}", "Cinder")


_ON_THE_WAY = frozenset(
    {"deleting", "detaching", "creating", "downloading", "uploading", "available", "backing-up"}
)
"""States that a volume leaves by itself: wait, do not force."""
