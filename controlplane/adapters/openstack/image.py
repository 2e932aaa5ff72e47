"""Glance: which projects may use an image of the site."""

from __future__ import annotations

from collections.abc import Iterable

from controlplane.adapters.openstack.connection import Connection
from controlplane.adapters.openstack.stand_in import StandIn
from controlplane.adapters.openstack.verbs import Table, Verbs, seen, wanted
from controlplane.tenants.errors import CloudRefused
from controlplane.tenants.ports import Effect, Ids, Outcome
from controlplane.tenants.resources import Kind


class Image:
    """The kind that Glance keeps: a membership of an image, accepted on the project's behalf."""

    def __init__(self, connection: Connection, stand_in: StandIn) -> None:
        self._c = connection
        self._stand_in = stand_in

    @property
    def verbs(self) -> Table:
        """What can be done with each kind."""
        return {Kind.IMAGE_ACCESS: Verbs(self._create, self._update, self._delete)}

    def _create(self, effect: Effect, ids: Ids, _: bool) -> Outcome:
        image, project = self._both(effect, ids)
        self._c.call(  # 409: a member already
            "image",
            "POST",
            f"/images/{image}/members",
            body={"member": project},
            accept={409},
            action="create",
        )
        return self._update(effect, ids, ())

    def _update(self, effect: Effect, ids: Ids, _: Iterable[str]) -> Outcome:
        """Accept. Glance lets an administrator do so by default; where it does not, the project does."""
        image, project = self._both(effect, ids)
        path, body = (
            f"/images/{image}/members/{project}",
            {"status": wanted(effect).get("status", "accepted")},
        )
        try:
            self._c.call("image", "PUT", path, body=body, action="change")
        except CloudRefused as refusal:
            if refusal.facts.get("status") != 403:
                raise
            with self._stand_in.project(project, ids) as login:
                self._c.call("image", "PUT", path, body=body, action="change", login=login)
        return Outcome(effect.address, wanted(effect))

    def _delete(self, effect: Effect, ids: Ids) -> bool:
        fields = seen(effect)
        try:
            image, project = ids.facility("images", fields["image"]), ids.id(fields["project"])
        except KeyError:
            return False
        return self._c.delete("image", f"/images/{image}/members/{project}")

    @staticmethod
    def _both(effect: Effect, ids: Ids) -> tuple[str, str]:
        fields = wanted(effect)
        return ids.facility("images", fields["image"]), ids.id(fields["project"])
