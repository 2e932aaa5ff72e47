"""Cinder: quotas, volume types and who may use them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from controlplane.adapters.openstack.connection import Connection
from controlplane.adapters.openstack.verbs import (
    Table,
    Verbs,
    gone,
    held_id,
    marked,
    renamed,
    seen,
    unique,
    updatable,
    wanted,
)
from controlplane.tenants.listing import Raw
from controlplane.tenants.ports import Effect, Ids, Outcome
from controlplane.tenants.quota_words import VOLUME
from controlplane.tenants.resources import Fields, Kind


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
            Kind.VOLUME_TYPE: Verbs(self._create_type, self._update_type, self._delete_type),
            Kind.VOLUME_TYPE_ACCESS: Verbs(self._allow, gone, self._disallow),
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

    # --- volume types -------------------------------------------------------------------------------

    def _create_type(self, effect: Effect, ids: Ids, look_first: bool) -> Outcome:
        fields = wanted(effect)
        body = {
            "name": fields["name"],
            "description": marked(effect, ids),
            "os-volume-type-access:is_public": False,
            "extra_specs": dict(fields.get("extra_specs") or {}),
        }

        def find() -> Raw | None:
            kinds = self._c.pages("volume", "/types", "volume_types", [("is_public", "None")])
            return unique((raw for raw in kinds if raw["name"] == fields["name"]), effect, ids)

        made = self._c.create("volume", "/types", {"volume_type": body}, find=find, look_first=look_first)
        raw = made.raw if made.adopted else made.raw["volume_type"]
        held = str(raw["id"])
        if made.adopted:
            self._change(effect, ids, held, updatable(Kind.VOLUME_TYPE, fields), raw.get("extra_specs") or {})
        return Outcome(held, fields)

    def _update_type(self, effect: Effect, ids: Ids, changed: Iterable[str]) -> Outcome:
        held = held_id(effect, ids)
        self._change(effect, ids, held, changed, seen(effect).get("extra_specs") or {})
        return Outcome(held, wanted(effect))

    def _change(
        self, effect: Effect, ids: Ids, held: str, changed: Iterable[str], has: Mapping[str, Any]
    ) -> None:
        if "description" in changed:
            body = {"volume_type": {"description": marked(effect, ids)}}
            self._c.call("volume", "PUT", f"/types/{held}", body=body, action="change")
        if "extra_specs" in changed:
            want, path = wanted(effect).get("extra_specs") or {}, f"/types/{held}/extra_specs"
            for name in has:
                if name not in want:
                    self._c.delete("volume", f"{path}/{name}")
            if now := {name: value for name, value in want.items() if has.get(name) != value}:
                self._c.call("volume", "POST", path, body={"extra_specs": now}, action="change")

    def _delete_type(self, effect: Effect, ids: Ids) -> bool:
        return self._c.delete("volume", f"/types/{held_id(effect, ids)}")

    def _allow(self, effect: Effect, ids: Ids, _: bool) -> Outcome:
        self._action(wanted(effect), ids, "addProjectAccess", 409, "create")
        return Outcome(effect.address, wanted(effect))

    def _disallow(self, effect: Effect, ids: Ids) -> bool:
        try:
            return self._action(seen(effect), ids, "removeProjectAccess", 404, "delete")
        except KeyError:
            return False

    def _action(self, fields: Fields, ids: Ids, verb: str, done: int, action: str) -> bool:
        path = f"/types/{type_id(fields['volume_type'], ids)}/action"
        body = {verb: {"project": ids.id(fields["project"])}}
        return self._c.call("volume", "POST", path, body=body, accept={done}, action=action).good


def type_id(name: str, ids: Ids) -> str:
    """A volume type that the plane made for the tenant, else one that the site has."""
    try:
        return ids.id(f"volume-type/{name}")
    except KeyError:
        return ids.facility("volume_types", name)
