"""Nova: key pairs, quotas, server groups, flavors and who may use them."""

from __future__ import annotations

from controlplane.adapters.openstack.connection import Connection
from controlplane.adapters.openstack.private import FLAVORS, Private
from controlplane.adapters.openstack.stand_in import StandIn
from controlplane.adapters.openstack.verbs import Table, Verbs, gone, held_id, renamed, seen, wanted
from controlplane.tenants.errors import NotOurs
from controlplane.tenants.listing import Raw
from controlplane.tenants.ports import Effect, Ids, Outcome
from controlplane.tenants.quota_words import COMPUTE
from controlplane.tenants.resources import Kind, unique_name


class Compute:
    """The kinds that Nova keeps."""

    def __init__(self, connection: Connection, stand_in: StandIn) -> None:
        self._c = connection
        self._stand_in = stand_in

    @property
    def verbs(self) -> Table:
        """What can be done with each kind."""
        quota = Verbs(self._set_quota, lambda e, i, _: self._set_quota(e, i, False), self._reset_quota)
        return {
            Kind.KEYPAIR: Verbs(self._create_keypair, gone, self._delete_keypair),
            Kind.COMPUTE_QUOTA: quota,
            Kind.SERVER_GROUP: Verbs(self._create_server_group, gone, self._delete_server_group),
            **Private(self._c, FLAVORS).verbs,
        }

    # --- key pairs ----------------------------------------------------------------------------------

    def _create_keypair(self, effect: Effect, ids: Ids, look_first: bool) -> Outcome:
        fields = wanted(effect)
        user, name, key = ids.id(fields["user"]), str(fields["name"]), fields["public_key"]

        def find() -> Raw | None:
            reply = self._c.call(
                "compute",
                "GET",
                f"/os-keypairs/{name}",
                params=[("user_id", user)],
                accept={404},
                action="show",
            )
            if not reply.good:
                return None
            found: Raw = reply.json()["keypair"]
            if found["public_key"].split()[:2] != key.split()[:2]:
                raise NotOurs(what=f"{effect.address} with another public key")
            return found

        body = {"keypair": {"name": name, "public_key": key, "type": "ssh", "user_id": user}}
        self._c.create("compute", "/os-keypairs", body, find=find, look_first=look_first)
        return Outcome(name, fields, {"user": user})

    def _delete_keypair(self, effect: Effect, ids: Ids) -> bool:
        fields = seen(effect)
        try:
            user = ids.id(fields["user"])
        except KeyError:
            return False
        return self._c.delete("compute", f"/os-keypairs/{fields['name']}", [("user_id", user)])

    # --- quotas -------------------------------------------------------------------------------------

    def _set_quota(self, effect: Effect, ids: Ids, _: bool) -> Outcome:
        fields = wanted(effect)
        project = ids.id(fields["project"])
        self._c.call(
            "compute",
            "PUT",
            f"/os-quota-sets/{project}",
            body={"quota_set": renamed(fields, COMPUTE)},
            action="change",
        )
        return Outcome(project, fields)

    def _reset_quota(self, effect: Effect, ids: Ids) -> bool:
        project = seen(effect).get("project")
        return self.reset_quota(ids.id(project) if project else held_id(effect, ids))

    def reset_quota(self, project: str) -> bool:
        """Back to the defaults. Nova answers 400 for a project that is gone; it has nothing to reset then."""
        reply = self._c.call(
            "compute", "DELETE", f"/os-quota-sets/{project}", accept={400, 404}, action="reset"
        )
        return reply.good

    # --- server groups ------------------------------------------------------------------------------

    def _create_server_group(self, effect: Effect, ids: Ids, look_first: bool) -> Outcome:
        """Nova makes one only in the project of the token, and keeps no description: the name is the mark."""
        fields = wanted(effect)
        project, name = ids.id(fields["project"]), unique_name(fields["name"])

        def find() -> Raw | None:
            for group in self.server_groups():
                if group["project_id"] == project and group["name"] == name:
                    return group
            return None

        with self._stand_in.project(project, ids) as login:
            made = self._c.create(
                "compute",
                "/os-server-groups",
                {"server_group": {"name": name, "policy": fields["policy"]}},
                find=find,
                look_first=look_first,
                login=login,
            )
        raw = made.raw if made.adopted else made.raw["server_group"]
        return Outcome(str(raw["id"]), fields)

    def server_groups(self) -> list[Raw]:
        """All server groups of all projects; Nova pages them by offset, without links."""
        found: list[Raw] = []
        while True:
            query = [("all_projects", "True"), ("limit", "1000"), ("offset", str(len(found)))]
            page = self._c.get("compute", "/os-server-groups", query)["server_groups"]
            found += page
            if len(page) < 1000:
                return found

    def _delete_server_group(self, effect: Effect, ids: Ids) -> bool:
        return self._c.delete("compute", f"/os-server-groups/{held_id(effect, ids)}")
