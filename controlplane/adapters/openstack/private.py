"""Flavors and volume types of a tenant's own, and who may use them: Nova and Cinder keep both in one way.

They belong to no project. One is made private, carries the mark in its description, and lets in the projects
that are named; a private one of the site may let a tenant's projects in, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from controlplane.adapters.openstack.connection import Connection
from controlplane.adapters.openstack.verbs import (
    Table,
    Verbs,
    gone,
    held_id,
    marked,
    seen,
    unique,
    updatable,
    wanted,
)
from controlplane.tenants.listing import Raw
from controlplane.tenants.ports import Effect, Ids, Outcome
from controlplane.tenants.resources import Fields, Kind


@dataclass(frozen=True)
class Words:
    """What Nova or Cinder calls things."""

    kind: Kind
    access: Kind
    service: str
    path: str
    listed: str
    """Where all are listed with their descriptions."""
    key: str
    """Key of the body; also the field of an access that names what it is to. The plural adds an s."""
    specs: str
    """The path of its extra specs, below its own."""
    allow: str
    disallow: str
    party: str
    """What a project is called in the two actions above."""
    body: Callable[[Fields], dict[str, Any]]
    """What a create says besides name and description."""
    specs_in_body: bool
    """Whether a create takes extra specs; else they are set after it."""


FLAVORS = Words(
    kind=Kind.FLAVOR,
    access=Kind.FLAVOR_ACCESS,
    service="compute",
    path="/flavors",
    listed="/flavors/detail",
    key="flavor",
    specs="os-extra_specs",
    allow="addTenantAccess",
    disallow="removeTenantAccess",
    party="tenant",
    body=lambda fields: {
        "vcpus": fields["vcpus"],
        "ram": fields["ram_mib"],
        "disk": fields["disk_gib"],
        "os-flavor-access:is_public": False,
    },
    specs_in_body=False,
)
VOLUME_TYPES = Words(
    kind=Kind.VOLUME_TYPE,
    access=Kind.VOLUME_TYPE_ACCESS,
    service="volume",
    path="/types",
    listed="/types",
    key="volume_type",
    specs="extra_specs",
    allow="addProjectAccess",
    disallow="removeProjectAccess",
    party="project",
    body=lambda fields: {
        "os-volume-type-access:is_public": False,
        "extra_specs": dict(fields.get("extra_specs") or {}),
    },
    specs_in_body=True,
)


class Private:
    """Flavors or volume types, as `words` says."""

    def __init__(self, connection: Connection, words: Words) -> None:
        self._c, self._words = connection, words

    @property
    def verbs(self) -> Table:
        """What can be done with the kind and with access to it."""
        return {
            self._words.kind: Verbs(self._create, self._update, self._delete),
            self._words.access: Verbs(self._allow, gone, self._disallow),
        }

    def _create(self, effect: Effect, ids: Ids, look_first: bool) -> Outcome:
        words, fields = self._words, wanted(effect)
        body = {"name": fields["name"], "description": marked(effect, ids), **words.body(fields)}

        def find() -> Raw | None:
            every = self._c.pages(words.service, words.listed, words.key + "s", [("is_public", "None")])
            return unique((raw for raw in every if raw["name"] == fields["name"]), effect, ids)

        made = self._c.create(words.service, words.path, {words.key: body}, find=find, look_first=look_first)
        raw = made.raw if made.adopted else made.raw[words.key]
        held = str(raw["id"])
        if made.adopted:
            self._change(effect, ids, held, updatable(words.kind, fields), raw.get("extra_specs") or {})
        elif not words.specs_in_body:
            self._set_specs(held, fields.get("extra_specs") or {}, {})
        return Outcome(held, fields)

    def _update(self, effect: Effect, ids: Ids, changed: Iterable[str]) -> Outcome:
        held = held_id(effect, ids)
        self._change(effect, ids, held, changed, seen(effect).get("extra_specs") or {})
        return Outcome(held, wanted(effect))

    def _change(self, effect: Effect, ids: Ids, held: str, changed: Iterable[str], has: Fields) -> None:
        words = self._words
        if "description" in changed:
            body = {words.key: {"description": marked(effect, ids)}}
            self._c.call(words.service, "PUT", f"{words.path}/{held}", body=body, action="change")
        if "extra_specs" in changed:
            self._set_specs(held, wanted(effect).get("extra_specs") or {}, has)

    def _set_specs(self, held: str, want: Mapping[str, str], has: Mapping[str, Any]) -> None:
        service, path = self._words.service, f"{self._words.path}/{held}/{self._words.specs}"
        for name in has:
            if name not in want:
                self._c.delete(service, f"{path}/{name}")
        if set_now := {name: value for name, value in want.items() if has.get(name) != value}:
            self._c.call(service, "POST", path, body={"extra_specs": set_now}, action="change")

    def _delete(self, effect: Effect, ids: Ids) -> bool:
        return self._c.delete(self._words.service, f"{self._words.path}/{held_id(effect, ids)}")

    # --- access -------------------------------------------------------------------------------------

    def _allow(self, effect: Effect, ids: Ids, _: bool) -> Outcome:
        self._action(wanted(effect), ids, self._words.allow, 409, "create")
        return Outcome(effect.address, wanted(effect))

    def _disallow(self, effect: Effect, ids: Ids) -> bool:
        try:
            return self._action(seen(effect), ids, self._words.disallow, 404, "delete")
        except KeyError:
            return False

    def _action(self, fields: Fields, ids: Ids, verb: str, done: int, action: str) -> bool:
        words = self._words
        path = f"{words.path}/{self._id(fields[words.key], ids)}/action"
        body = {verb: {words.party: ids.id(fields["project"])}}
        return self._c.call(words.service, "POST", path, body=body, accept={done}, action=action).good

    def _id(self, name: str, ids: Ids) -> str:
        """One that the plane made for the tenant, else one that the site has."""
        try:
            return ids.id(f"{self._words.kind}/{name}")
        except KeyError:
            return ids.facility(self._words.key + "s", name)
