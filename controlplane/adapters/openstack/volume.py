"""Cinder: quotas, volume types and who may use them."""

from __future__ import annotations

from controlplane.adapters.openstack.connection import Connection
from controlplane.adapters.openstack.private import VOLUME_TYPES, Private
from controlplane.adapters.openstack.verbs import Table, Verbs, held_id, renamed, seen, wanted
from controlplane.tenants.ports import Effect, Ids, Outcome
from controlplane.tenants.quota_words import VOLUME
from controlplane.tenants.resources import Kind


class Volume:
    """The kinds that Cinder keeps."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    @property
    def verbs(self) -> Table:
        """What can be done with each kind."""
        quota = Verbs(self._set_quota, lambda e, i, _: self._set_quota(e, i, False), self._reset_quota)
        return {
            Kind.VOLUME_QUOTA: quota,
            **Private(self._c, VOLUME_TYPES).verbs,
        }

    # --- quotas -------------------------------------------------------------------------------------

    def _set_quota(self, effect: Effect, ids: Ids, _: bool) -> Outcome:
        fields = wanted(effect)
        project = ids.id(fields["project"])
        self._c.call(
            "volume",
            "PUT",
            f"/os-quota-sets/{project}",
            body={"quota_set": renamed(fields, VOLUME)},
            action="change",
        )
        return Outcome(project, fields)

    def _reset_quota(self, effect: Effect, ids: Ids) -> bool:
        project = seen(effect).get("project")
        return self.reset_quota(ids.id(project) if project else held_id(effect, ids))

    def reset_quota(self, project: str) -> bool:
        """Back to the defaults."""
        return self._c.delete("volume", f"/os-quota-sets/{project}")
