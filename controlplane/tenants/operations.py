"""plan -> operations: single effects with what each must wait for. A replacement is a delete and a create.

1. routes that go, or that lead through an interface that goes, are dropped from their routers, because they
   hold on to interfaces;
2. deletes, what was needed last;
3. creates and updates, what is needed first; every create waits for all deletes of its tenant, so that
   a CIDR or a name that moves to another address is free, and every quota, because Nova lets none go below
   what is in use;
4. routes that come, or come back, are set on their routers, after the interfaces through which they lead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from controlplane.tenants.desired import Desired
from controlplane.tenants.plan import Action, Change
from controlplane.tenants.ports import Effect
from controlplane.tenants.resources import Kind, Observed, Resource, kind_of

Cidr = IPv4Network | IPv6Network
Key = tuple[str, str]
"""(phase, address); phases are `unroute`, `delete`, `make` and `route`."""


@dataclass(frozen=True)
class Operation:
    """One effect and the operations that must be done before it."""

    key: Key
    effect: Effect
    after: frozenset[Key] = field(default_factory=frozenset)

    @property
    def address(self) -> str:
        """Where it acts."""
        return self.effect.address


def operations(
    changes: Iterable[Change],
    desired: Desired,
    observed: Mapping[str, Observed],
    needed: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Operation]:
    """The operations of `changes`. `needed` tells what resources that leave the spec needed (by address)."""
    changes = list(changes)
    needed = dict(needed or {})
    made: dict[Key, Operation] = {}
    deletes = {c.address for c in changes if c.action in (Action.DELETE, Action.REPLACE)}
    for change in changes:
        want, have = desired.resources.get(change.address), observed.get(change.address)
        changed = tuple(d.field for d in change.differences)
        if change.action in (Action.DELETE, Action.REPLACE) and have is not None:
            key = ("delete", change.address)
            made[key] = Operation(key, Effect("delete", change.address, want, have))
        if change.action in (Action.CREATE, Action.REPLACE) and want is not None:
            _make(made, Effect("create", change.address, _routeless(want), None))
            if want.kind is Kind.ROUTER and want.fields["routes"]:
                _route(made, want)
        if change.action is Action.UPDATE and want is not None and have is not None:
            if want.kind is Kind.ROUTER:
                changed = tuple(f for f in changed if f != "routes")
            if want.kind is Kind.SUBNET and "gateway" in changed and "ranges" not in changed:
                changed += ("ranges",)  # Neutron refuses a gateway within the ranges, and moves none
            if changed:
                _make(made, Effect("update", change.address, want, have, changed))
    cuts = _cuts(deletes, observed)
    routed = {c.address for c in changes if any(d.field == "routes" for d in c.differences)}
    for address in sorted(routed | cuts.keys()):
        want, have = desired.resources.get(address), observed.get(address)
        if want is not None and have is not None and address not in deletes:
            _reroute(made, want, have, cuts.get(address, ()))
    return _wired(made, desired, observed, deletes, needed)


def _make(made: dict[Key, Operation], effect: Effect) -> None:
    key = ("make", effect.address)
    made[key] = Operation(key, effect)


def _routeless(want: Resource) -> Resource:
    """A router is made without routes: they lead through interfaces that do not exist yet."""
    return replace(want, fields={**want.fields, "routes": []}) if want.kind is Kind.ROUTER else want


def _route(made: dict[Key, Operation], want: Resource) -> None:
    key = ("route", want.address)
    made[key] = Operation(key, Effect("update", want.address, want, None, ("routes",)))


def _reroute(made: dict[Key, Operation], want: Resource, have: Observed, cuts: Sequence[Cidr]) -> None:
    """Drop what may not stay while interfaces into `cuts` go, then set what is missing."""
    held, wanted = have.fields["routes"], want.fields["routes"]
    staying = [r for r in held if r in wanted and not any(ip_address(r[1]) in cut for cut in cuts)]
    if staying != held:
        key = ("unroute", want.address)
        fewer = replace(want, fields={**want.fields, "routes": staying})
        made[key] = Operation(key, Effect("update", want.address, fewer, have, ("routes",)))
    if staying != wanted:
        _route(made, want)


def _cuts(deletes: set[str], observed: Mapping[str, Observed]) -> dict[str, list[Cidr]]:
    """Router -> the networks that it loses the way to, if only for a moment."""
    cuts: dict[str, list[Cidr]] = {}
    for address in deletes:
        have = observed.get(address)
        if have is not None and have.kind is Kind.INTERFACE:
            subnet = observed.get(have.fields["subnet"])
            if subnet is not None:
                cuts.setdefault(have.fields["router"], []).append(ip_network(subnet.fields["cidr"]))
    return cuts


def _wired(
    made: dict[Key, Operation],
    desired: Desired,
    observed: Mapping[str, Observed],
    deletes: set[str],
    needed: Mapping[str, tuple[str, ...]],
) -> list[Operation]:
    """Fill in what each waits for."""
    unroutes = {key for key in made if key[0] == "unroute"}
    gone = {key for key in made if key[0] == "delete"}
    dependents: dict[str, set[str]] = {}
    for address in deletes:
        for need in _needs(address, desired, observed, needed):
            dependents.setdefault(need, set()).add(address)
    interfaces = {key for key in made if key[0] == "make" and kind_of(key[1]) is Kind.INTERFACE}
    result = []
    for key, operation in made.items():
        phase, address = key
        after: set[Key] = set()
        if phase == "delete":
            after = unroutes | {("delete", d) for d in dependents.get(address, ())}
        elif phase == "make":
            want = desired.resources.get(address)
            after = {("make", need) for need in (want.needs if want else ())} | {("unroute", address)}
            if kind_of(address) is Kind.SUBNET:  # its gateway is free once no interface holds it
                after |= {("delete", dependent) for dependent in dependents.get(address, ())}
            if operation.effect.action == "create" or kind_of(address) in _QUOTAS:
                after |= gone
        elif phase == "route":
            router = address.removeprefix("router/")
            after = {("make", address), ("unroute", address)}
            after |= {k for k in interfaces if k[1].startswith(f"interface/{router}/")} | gone
        result.append(replace(operation, after=frozenset(after & made.keys() - {key})))
    return result


def _needs(
    address: str, desired: Desired, observed: Mapping[str, Observed], needed: Mapping[str, tuple[str, ...]]
) -> set[str]:
    """What the resource at `address` holds on to: from the spec, and from the references in its fields."""
    want, have = desired.resources.get(address), observed.get(address)
    found = set(want.needs if want else ()) | set(needed.get(address, ()))
    found |= {str(have.fields[name]) for name in _REFERENCES if have and have.fields.get(name)}
    kind = kind_of(address)
    if kind in _DOMAIN_CHILDREN:
        found.add("domain")
    elif kind in (Kind.FLAVOR_ACCESS, Kind.VOLUME_TYPE_ACCESS):
        name = address.split("/", 1)[1].rpartition("/")[0]
        found.add(f"{kind.removesuffix('-access')}/{name}")
    return found - {address}


_REFERENCES = (
    "project",
    "network",
    "router",
    "subnet",
    "security_group",
    "group",
    "user",
    "actor",
    "target",
)
"""Fields that hold the address of another resource."""
_QUOTAS = {Kind.COMPUTE_QUOTA, Kind.VOLUME_QUOTA, Kind.NETWORK_QUOTA}
_DOMAIN_CHILDREN = {Kind.PROJECT, Kind.GROUP, Kind.USER}
