"""Keystone: domains, projects, groups, users, memberships, role assignments and application credentials."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from controlplane.adapters.openstack.connection import Connection, Made
from controlplane.adapters.openstack.verbs import (
    Table,
    Verbs,
    gone,
    held_id,
    is_ours,
    marked,
    seen,
    unique,
    updatable,
    wanted,
)
from controlplane.tenants.errors import CloudRefused
from controlplane.tenants.listing import Raw
from controlplane.tenants.ports import Effect, Ids, Outcome, Secret
from controlplane.tenants.resources import Kind, kind_of

_COLLECTION = {Kind.DOMAIN: "domains", Kind.PROJECT: "projects", Kind.GROUP: "groups", Kind.USER: "users"}


class Identity:
    """The kinds that Keystone keeps."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection
        self._turns: dict[str, threading.Lock] = {}
        self._turn = threading.Lock()

    @property
    def verbs(self) -> Table:
        """What can be done with each kind."""
        entity = Verbs(self._create, self._update, self._delete)
        return {
            Kind.DOMAIN: entity._replace(delete=self._delete_domain),
            Kind.PROJECT: entity,
            Kind.GROUP: entity,
            Kind.USER: entity._replace(create=self._create_user, update=self._update_user),
            Kind.MEMBERSHIP: Verbs(self._join, gone, self._leave),
            Kind.ASSIGNMENT: Verbs(self._assign, gone, self._unassign),
            Kind.APPLICATION_CREDENTIAL: Verbs(self._create_credential, gone, self._delete_credential),
        }

    # --- domains, projects, groups, users -----------------------------------------------------------

    def _body(self, effect: Effect, ids: Ids, names: Iterable[str]) -> dict[str, Any]:
        fields = wanted(effect)
        body = {
            name: fields[name]
            for name in names
            if name in ("name", "enabled", "tags", "email") and name in fields
        }
        if "description" in names:
            body["description"] = marked(effect, ids)
        return body

    def _create(self, effect: Effect, ids: Ids, look_first: bool) -> Outcome:
        made = self._make(effect, ids, look_first, {})
        if made.adopted:
            self._update(effect, ids, updatable(kind_of(effect.address), wanted(effect)), str(made.raw["id"]))
        return Outcome(str(made.raw["id"]), wanted(effect))

    def _make(self, effect: Effect, ids: Ids, look_first: bool, extra: dict[str, Any]) -> Made:
        kind, fields = kind_of(effect.address), wanted(effect)
        body = self._body(effect, ids, ("name", "description", "enabled", "tags", "email")) | extra
        query = [("name", str(fields["name"]))]
        if kind is not Kind.DOMAIN:
            body["domain_id"] = ids.id("domain")
            query.append(("domain_id", body["domain_id"]))
        path = "/" + _COLLECTION[kind]

        def find() -> Raw | None:
            return unique(self._c.pages("identity", path, _COLLECTION[kind], query), effect, ids)

        made = self._c.create(
            "identity",
            path,
            {kind.value: body},
            find=find,
            look_first=look_first,
            conceal=[extra.get("password", "")],
        )
        return made if made.adopted else Made(made.raw[kind.value])

    def _create_user(self, effect: Effect, ids: Ids, look_first: bool) -> Outcome:
        fields = wanted(effect)
        password = secrets.token_urlsafe(24)
        made = self._make(effect, ids, look_first, {"password": password})
        user = str(made.raw["id"])
        if made.adopted:  # of an earlier run or of this one: only a password set now is known for certain
            self._update(effect, ids, updatable(Kind.USER, fields), user, {"password": password})
        return Outcome(user, fields, secrets=[_password(effect.address, fields["name"], password)])

    def _update_user(self, effect: Effect, ids: Ids, changed: Iterable[str]) -> Outcome:
        """As any update; lost `credentials` are made anew: nobody knows the password of before."""
        if "credentials" not in changed:
            return self._update(effect, ids, changed)
        password, name = secrets.token_urlsafe(24), wanted(effect)["name"]
        outcome = self._update(effect, ids, changed, extra={"password": password})
        return replace(outcome, secrets=[_password(effect.address, name, password)])

    def _update(
        self,
        effect: Effect,
        ids: Ids,
        changed: Iterable[str],
        found: str = "",
        extra: dict[str, Any] | None = None,
    ) -> Outcome:
        kind, held = kind_of(effect.address), found or held_id(effect, ids)
        body = self._body(effect, ids, tuple(changed)) | (extra or {})
        self._c.call(
            "identity",
            "PATCH",
            f"/{_COLLECTION[kind]}/{held}",
            body={kind.value: body},
            action="change",
            conceal=[body.get("password", "")],
        )
        return Outcome(held, wanted(effect))

    def _delete(self, effect: Effect, ids: Ids) -> bool:
        return self._c.delete("identity", f"/{_COLLECTION[kind_of(effect.address)]}/{held_id(effect, ids)}")

    def _delete_domain(self, effect: Effect, ids: Ids) -> bool:
        return self.delete_domain(held_id(effect, ids))

    def delete_domain(self, domain_id: str) -> bool:
        """Disable and delete a domain: Keystone refuses to delete one that is enabled."""
        return self.set_enabled(domain_id, False) and self._c.delete("identity", f"/domains/{domain_id}")

    def set_enabled(self, domain_id: str, enabled: bool, missing: Iterable[int] = (404,)) -> bool:
        """Enable or disable a domain; False when there is none."""
        return self._c.call(
            "identity",
            "PATCH",
            f"/domains/{domain_id}",
            body={"domain": {"enabled": enabled}},
            accept=missing,
            action="change",
        ).good

    # --- memberships and assignments: idempotent ----------------------------------------------------

    def _join(self, effect: Effect, ids: Ids, _: bool) -> Outcome:
        self._c.call("identity", "PUT", self._membership(wanted(effect), ids), action="create")
        return Outcome(effect.address, wanted(effect))

    def _leave(self, effect: Effect, ids: Ids) -> bool:
        try:
            path = self._membership(seen(effect), ids)
        except KeyError:  # the group or the user is gone, and the membership with it
            return False
        return self._c.delete("identity", path)

    @staticmethod
    def _membership(fields: Any, ids: Ids) -> str:
        return f"/groups/{ids.id(fields['group'])}/users/{ids.id(fields['user'])}"

    def _assign(self, effect: Effect, ids: Ids, _: bool) -> Outcome:
        self._c.call("identity", "PUT", self._assignment(wanted(effect), ids), action="create")
        return Outcome(effect.address, wanted(effect))

    def _unassign(self, effect: Effect, ids: Ids) -> bool:
        try:
            path = self._assignment(seen(effect), ids)
        except KeyError:  # the actor or the project is gone, and the assignment with it
            return False
        return self._c.delete("identity", path)

    @staticmethod
    def _assignment(fields: Any, ids: Ids) -> str:
        actor, target = fields["actor"], fields["target"]
        role = ids.facility("roles", fields["role"])
        whom = ("groups" if actor.startswith("group/") else "users") + "/" + ids.id(actor)
        where = ("domains" if target == "domain" else "projects") + "/" + ids.id(target)
        return f"/{where}/{whom}/roles/{role}"

    # --- application credentials --------------------------------------------------------------------

    def _create_credential(self, effect: Effect, ids: Ids, _: bool) -> Outcome:
        """Make one as its owner: Keystone lets nobody else.

        One that is ours but whose secret nobody has (a crash before it was recorded) is made anew.
        """
        fields = wanted(effect)
        user, project = ids.id(fields["user"]), ids.id(fields["project"])
        with self._turn_of(user):
            password = ids.password(fields["user"])
            told = [] if password else [self._new_password(fields["user"], user)]
            try:
                raw = self._make_credential(
                    effect, ids, user, project, password or told[0].values["password"]
                )
            except CloudRefused as refusal:
                if refusal.facts.get("status") != 401 or not password:
                    raise
                told = [self._new_password(fields["user"], user)]  # somebody has changed it
                raw = self._make_credential(effect, ids, user, project, told[0].values["password"])
        values = {"id": str(raw["id"]), "secret": str(raw["secret"]), "name": str(raw["name"])}
        return Outcome(values["id"], fields, {"user": user}, [*told, Secret(effect.address, values)])

    def _make_credential(self, effect: Effect, ids: Ids, user: str, project: str, password: str) -> Raw:
        fields, path = wanted(effect), f"/users/{user}/application_credentials"
        body = {
            "name": fields["name"],
            "description": marked(effect, ids),
            "roles": [{"id": ids.facility("roles", role)} for role in fields["roles"]],
        }
        if fields.get("expires"):
            body["expires_at"] = f"{fields['expires']}T23:59:59.000000"

        def find() -> Raw | None:
            """Clear one of ours out of the way: its secret was told once, to nobody."""
            for raw in self._c.pages("identity", path, "application_credentials", [("name", fields["name"])]):
                if unique([raw], effect, ids):
                    self._c.delete("identity", f"{path}/{raw['id']}")
            return None

        login = self._c.login_as(user, password, project)
        for _ in range(2):
            try:
                made = self._c.create(
                    "identity", path, {"application_credential": body}, find=find, login=login
                )
            except CloudRefused as refusal:
                if refusal.facts.get("status") != 409:
                    raise
                continue  # it was in the way, and is cleared now
            return dict(made.raw["application_credential"])
        raise CloudRefused(
            service="Keystone",
            action="create",
            address=effect.address,
            reason="the name is taken again and again",
            remedy="See who else makes application credentials for this user.",
            status=409,
        )

    def _new_password(self, address: str, user: str) -> Secret:
        password = secrets.token_urlsafe(24)
        reply = self._c.call(
            "identity",
            "PATCH",
            f"/users/{user}",
            body={"user": {"password": password}},
            action="change",
            conceal=[password],
        )
        return _password(address, reply.json()["user"]["name"], password)

    def _delete_credential(self, effect: Effect, ids: Ids) -> bool:
        try:
            user = ids.id(seen(effect)["user"])
        except KeyError:
            return False
        return self._c.delete("identity", f"/users/{user}/application_credentials/{held_id(effect, ids)}")

    def _turn_of(self, user: str) -> threading.Lock:
        with self._turn:
            return self._turns.setdefault(user, threading.Lock())


def _password(address: str, name: str, password: str) -> Secret:
    return Secret(address, {"user": name, "password": password})


__all__ = ["Identity", "is_ours"]
