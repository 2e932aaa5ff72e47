"""The cloud: tables on which an apply brings its effects about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.tenants.ports import Effect, Ids, Outcome, Secret
from controlplane.tenants.resources import Fields, Kind, mark
from controlplane.tenants.rules import rule_key
from tests.simulated.changing import update
from tests.simulated.making import CREATE
from tests.simulated.removing import delete
from tests.simulated.tables import Tables, rule_words


@dataclass
class Cloud(Tables):
    """All services, as far as an apply uses them."""

    def perform(self, effect: Effect, ids: Ids) -> Outcome:
        """Bring one effect about. Raises Refused, and KeyError where something is not there."""
        kind = Kind(effect.address.split("/", 1)[0])
        if effect.action == "delete":
            assert effect.have is not None
            delete(self, kind, effect.have.id, effect.have.fields, ids)
            return Outcome("")
        assert effect.want is not None
        fields = effect.want.fields
        if effect.action == "update":
            id_ = effect.have.id if effect.have else ids.id(effect.address)
            update(self, kind, id_, effect, ids)
            secrets = self._new_secret(effect.address, id_) if "credentials" in effect.changed else ()
            return Outcome(id_, fields, self._facts(kind, id_), secrets)
        words = mark(ids.tenant, effect.address, fields.get("description"))
        id_ = CREATE[kind](self, fields, words, ids)
        told = kind in (Kind.USER, Kind.APPLICATION_CREDENTIAL)
        secrets = self._new_secret(effect.address, id_) if told else ()
        return Outcome(id_, fields, self._facts(kind, id_), secrets)

    def _new_secret(self, address: str, id_: str) -> tuple[Secret]:
        """What opens it from now on; it is told this once."""
        self.count += 1
        self.secrets[id_] = f"secret {self.count} of {id_}"
        word = "password" if address.startswith("user/") else "secret"
        return (Secret(address, {word: self.secrets[id_]}),)

    def perform_many(self, effects: Sequence[Effect], ids: Ids) -> list[Outcome | Exception]:
        return [self.perform(effect, ids) for effect in effects]

    def _facts(self, kind: Kind, id_: str) -> Fields:
        if kind is Kind.SUBNET:
            return {"cidr": self.table("subnets")[id_]["cidr"]}
        if kind is Kind.SECURITY_GROUP:
            rules = self.where("rules", security_group_id=id_)
            return {"default_rules": {rule_key(rule_words(rule)): rule["id"] for rule in rules}}
        return {}
