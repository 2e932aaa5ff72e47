"""Neutron: networks, subnets, routers, interfaces, security groups, rules, shares and quotas."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from airgap_bundle.errors import CloudProblem
from controlplane.adapters.openstack.connection import Connection, Fault, Params
from controlplane.adapters.openstack.network_bodies import BODIES, changes, raw_rule
from controlplane.adapters.openstack.verbs import (
    Table,
    Verbs,
    gone,
    held_id,
    marked,
    ours,
    project_of,
    renamed,
    seen,
    updatable,
    wanted,
)
from controlplane.tenants.listing import Raw
from controlplane.tenants.ports import Effect, Ids, Outcome
from controlplane.tenants.quota_words import NETWORK
from controlplane.tenants.resources import Fields, Kind, kind_of
from controlplane.tenants.rules import rule_key

_PATH: Mapping[Kind, tuple[str, str]] = {
    Kind.NETWORK: ("/networks", "network"),
    Kind.SUBNET: ("/subnets", "subnet"),
    Kind.ROUTER: ("/routers", "router"),
    Kind.SECURITY_GROUP: ("/security-groups", "security_group"),
    Kind.RULE: ("/security-group-rules", "security_group_rule"),
    Kind.SHARE: ("/rbac-policies", "rbac_policy"),
}
"""Where a kind lives, and the key of its body; the plural adds an s (rbac_policies is the exception)."""
INTERFACE_OWNERS = (
    "network:router_interface",
    "network:router_interface_distributed",
    "network:ha_router_replicated_interface",
)


class Network:
    """The kinds that Neutron keeps."""

    def __init__(self, connection: Connection) -> None:
        self._c = connection

    @property
    def verbs(self) -> Table:
        """What can be done with each kind."""
        full = Verbs(self._create, self._update, self._delete)
        fixed = full._replace(update=gone)
        quota = Verbs(self._set_quota, lambda e, i, _: self._set_quota(e, i, False), self._reset_quota)
        return {
            Kind.NETWORK: full,
            Kind.SUBNET: full,
            Kind.ROUTER: full,
            Kind.SECURITY_GROUP: full,
            Kind.RULE: fixed,
            Kind.SHARE: fixed,
            Kind.INTERFACE: Verbs(self._attach, gone, self._detach),
            Kind.NETWORK_QUOTA: quota,
        }

    # --- what the requests say ----------------------------------------------------------------------

    def _body(self, effect: Effect, ids: Ids) -> dict[str, Any]:
        """The body of a create."""
        kind, fields = kind_of(effect.address), wanted(effect)
        body = BODIES[kind](fields, ids)
        if kind is Kind.SHARE:
            return body | {"project_id": ids.id(project_of(effect.address))}
        if kind is Kind.RULE:
            text = {"description": fields["description"]} if fields.get("description") else {}
            return body | text | {"project_id": ids.id(project_of(effect.address))}
        return body | {
            "name": fields["name"],
            "description": marked(effect, ids),
            "project_id": ids.id(project_of(effect.address)),
        }

    def _find(self, effect: Effect, ids: Ids) -> Raw | None:
        """What a create of this effect made, if it did."""
        kind, fields = kind_of(effect.address), wanted(effect)
        path, key = _PATH[kind]
        if kind is Kind.SHARE:
            query = [
                ("object_type", "network"),
                ("object_id", ids.id(fields["network"])),
                ("action", "access_as_shared"),
            ]
            target = ids.id(fields["project"])
            shares = self._list(path, "rbac_policies", query)
            return next((raw for raw in shares if raw.get("target_tenant") == target), None)
        if kind is Kind.RULE:
            group = ids.id(fields["security_group"])
            sought = rule_key(self._plain_rule(fields, ids))
            rules = self._list(path, "security_group_rules", [("security_group_id", group)])
            return next((raw for raw in rules if rule_key(raw_rule(raw)) == sought), None)
        project = ids.id(project_of(effect.address))
        query = [("project_id", project), ("name", str(fields["name"]))]
        return ours(self._list(path, key + "s", query), effect, ids)

    @staticmethod
    def _plain_rule(fields: Fields, ids: Ids) -> Fields:
        """A rule with identifiers in place of addresses, to compare with what Neutron lists."""
        group = fields["group"]
        return {**fields, "group": ids.id(group) if group else None}

    def _list(self, path: str, key: str, query: Params) -> list[Raw]:
        return self._c.pages("network", path, key, query)

    # --- verbs --------------------------------------------------------------------------------------

    def _create(self, effect: Effect, ids: Ids, look_first: bool) -> Outcome:
        kind = kind_of(effect.address)
        path, key = _PATH[kind]
        made = self._c.create(
            "network",
            path,
            {key: self._body(effect, ids)},
            find=lambda: self._find(effect, ids),
            exists=(400, 409) if kind is Kind.SUBNET else (409,),  # 400: it overlaps with itself
            look_first=look_first,
        )
        raw = made.raw if made.adopted else made.raw[key]
        if made.adopted and (changed := updatable(kind, wanted(effect))):
            raw = self._put(effect, ids, changed, str(raw["id"]), raw)
        return self._outcome(effect, ids, raw)

    @staticmethod
    def _outcome(effect: Effect, ids: Ids, raw: Raw, *, new: bool = True) -> Outcome:
        kind = kind_of(effect.address)
        facts: dict[str, Any] = {}
        if kind is Kind.SECURITY_GROUP and new:
            held = str(raw["id"])  # rules towards other groups are never of Neutron's own making
            rules = [
                r for r in raw.get("security_group_rules", ()) if r.get("remote_group_id") in (None, held)
            ]
            facts["default_rules"] = {rule_key(raw_rule(r, {held: effect.address})): r["id"] for r in rules}
        elif kind is Kind.SUBNET:
            facts["cidr"] = raw["cidr"]
        return Outcome(str(raw["id"]), wanted(effect), facts)

    def _update(self, effect: Effect, ids: Ids, changed: Iterable[str]) -> Outcome:
        held = held_id(effect, ids)
        return self._outcome(effect, ids, self._put(effect, ids, tuple(changed), held, {}), new=False)

    def _put(self, effect: Effect, ids: Ids, changed: Sequence[str], held: str, raw: Raw) -> Raw:
        kind, fields = kind_of(effect.address), wanted(effect)
        path, key = _PATH[kind]
        body: dict[str, Any] = {}
        for name in changed:
            if name == "name":
                body["name"] = fields["name"]
            elif name == "description":
                body["description"] = marked(effect, ids)
        cidr = (
            raw.get("cidr") or (effect.have.facts.get("cidr") if effect.have else None) or fields.get("cidr")
        )
        body |= changes(kind, fields, ids, changed, cidr or ids.facts(effect.address).get("cidr"))
        reply = self._c.call("network", "PUT", f"{path}/{held}", body={key: body}, action="change")
        answered: Raw = reply.json()[key]
        return answered

    def _delete(self, effect: Effect, ids: Ids) -> bool:
        path, _ = _PATH[kind_of(effect.address)]
        return self._c.delete("network", f"{path}/{held_id(effect, ids)}")

    # --- interfaces ---------------------------------------------------------------------------------

    def _attach(self, effect: Effect, ids: Ids, look_first: bool) -> Outcome:
        fields = wanted(effect)
        router, subnet = ids.id(fields["router"]), ids.id(fields["subnet"])

        def find() -> Raw | None:
            return self._port_of(router, subnet)

        made = self._c.create(
            "network",
            f"/routers/{router}/add_router_interface",
            {"subnet_id": subnet},
            method="PUT",
            find=find,
            exists=(400, 409),
            look_first=look_first,
        )
        port = str(made.raw["id"] if made.adopted else made.raw["port_id"])
        return Outcome(port, fields, {"port": port})

    def _port_of(self, router: str, subnet: str) -> Raw | None:
        query = [("device_id", router), *(("device_owner", owner) for owner in INTERFACE_OWNERS)]
        for port in self._list("/ports", "ports", query):
            if any(ip["subnet_id"] == subnet for ip in port["fixed_ips"]):
                return port
        return None

    def _detach(self, effect: Effect, ids: Ids) -> bool:
        fields = seen(effect)
        try:
            router, subnet = ids.id(fields["router"]), ids.id(fields["subnet"])
        except KeyError:  # the router or the subnet is gone, and the interface with it
            return False
        return self.remove_interface(router, {"subnet_id": subnet})

    def remove_interface(self, router: str, what: Mapping[str, str]) -> bool:
        """Take an interface off a router, and with it the routes that lead through it."""
        path = f"/routers/{router}/remove_router_interface"
        reply = self._c.call("network", "PUT", path, body=what, accept={404, 409}, action="delete")
        if reply.status == 409 and b"RouterInterfaceInUseByRoute" in reply.content:
            self._drop_routes(router, what)
            reply = self._c.call("network", "PUT", path, body=what, accept={404}, action="delete")
        elif reply.status == 409 and b"RouterInterfaceNotFound" not in reply.content:
            self._c.call("network", "PUT", path, body=what, accept={404}, action="delete")
        return reply.good

    def _drop_routes(self, router: str, what: Mapping[str, str]) -> None:
        if "subnet_id" in what:
            subnets = [what["subnet_id"]]
        else:
            port = self._c.get("network", f"/ports/{what['port_id']}")["port"]
            subnets = [ip["subnet_id"] for ip in port["fixed_ips"]]
        nets = [
            ipaddress.ip_network(self._c.get("network", f"/subnets/{subnet}")["subnet"]["cidr"])
            for subnet in subnets
        ]
        routes = self._c.get("network", f"/routers/{router}")["router"]["routes"]
        kept = [r for r in routes if not any(ipaddress.ip_address(r["nexthop"]) in net for net in nets)]
        self._c.call(
            "network", "PUT", f"/routers/{router}", body={"router": {"routes": kept}}, action="change"
        )

    # --- quotas -------------------------------------------------------------------------------------

    def _set_quota(self, effect: Effect, ids: Ids, _: bool) -> Outcome:
        fields = wanted(effect)
        project = ids.id(fields["project"])
        self._c.call(
            "network", "PUT", f"/quotas/{project}", body={"quota": renamed(fields, NETWORK)}, action="change"
        )
        return Outcome(project, fields)

    def _reset_quota(self, effect: Effect, ids: Ids) -> bool:
        project = seen(effect).get("project")
        return self.reset_quota(ids.id(project) if project else held_id(effect, ids))

    def reset_quota(self, project: str) -> bool:
        """Back to the defaults; False when it had none of its own."""
        return self._c.delete("network", f"/quotas/{project}")

    # --- several at once ----------------------------------------------------------------------------

    def create_many(self, effects: Sequence[Effect], ids: Ids) -> list[Outcome | Exception | None]:
        """Creates of one kind in one request. None where it is not known what happened: perform those singly.

        Neutron makes all or none, so a refusal of one says nothing about the others.
        """
        kind = kind_of(effects[0].address)
        path, key = _PATH[kind]
        groups: dict[str, list[int]] = {}
        for index, effect in enumerate(effects):  # rules go by one security group a request
            groups.setdefault(wanted(effect)["security_group"] if kind is Kind.RULE else "", []).append(index)
        outcomes: list[Outcome | Exception | None] = [None] * len(effects)
        for indexes in groups.values():
            bodies = [self._body(effects[index], ids) for index in indexes]
            try:
                reply = self._c.send("network", "POST", path, body={key + "s": bodies})
            except CloudProblem:
                continue
            except Fault as fault:
                if fault.slow:
                    self._c.look(partial(self._find, effects[indexes[0]], ids))
                continue
            if not reply.good:
                continue
            for index, raw in zip(indexes, reply.json()[key + "s"], strict=True):
                outcomes[index] = self._outcome(effects[index], ids, raw)
        return outcomes
