"""desired + observed + records -> plan: what has to change, why, and what it was computed from.

Pure: the same three inputs give the same plan and the same digest. A plan whose digest differs when it is
made again is stale.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from controlplane.tenants.desired import Desired
from controlplane.tenants.observed import View
from controlplane.tenants.resources import TRAITS, Json, Kind, Observed, Record, Resource, kind_of


class Action(StrEnum):
    """What a change does."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    """Drop it from the records: it is gone from OpenStack and from the spec."""


@dataclass(frozen=True)
class Difference:
    """One field: what is there, what should be, and who moved."""

    field: str
    have: Json
    want: Json
    cause: str


@dataclass(frozen=True)
class Change:
    """One thing to do at one address."""

    action: Action
    address: str
    cause: str
    differences: tuple[Difference, ...] = ()
    loses: str = ""
    """What is lost for good; empty when nothing is."""
    undo: str = ""
    """What it costs to undo."""


@dataclass(frozen=True)
class Conflict:
    """Something that the plane does not own is in the way of a change."""

    address: str
    what: str


@dataclass(frozen=True)
class Plan:
    """Ordered changes, and what they were computed from."""

    tenant: str
    spec_digest: str
    observed_digest: str
    changes: tuple[Change, ...]
    conflicts: tuple[Conflict, ...] = ()
    duplicates: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Address and identifiers of further resources that carry its mark."""

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, hexadecimal: what a person accepts and an approver signs."""
        return canonical_digest(self.as_json())

    @property
    def losses(self) -> tuple[Change, ...]:
        """The changes that lose something for good; a person has to accept them."""
        return tuple(change for change in self.changes if change.loses)

    @property
    def empty(self) -> bool:
        """Nothing to do."""
        return not self.changes

    def counts(self) -> dict[str, int]:
        """How many changes of each action, those that occur."""
        return {a.value: n for a in Action if (n := sum(c.action is a for c in self.changes))}

    def as_json(self) -> dict[str, Json]:
        """The plan as data; `from_json` gives it back."""
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The plan that `as_json` wrote."""
        changes = (
            Change(
                Action(c["action"]),
                c["address"],
                c["cause"],
                tuple(Difference(**d) for d in c["differences"]),
                c["loses"],
                c["undo"],
            )
            for c in data["changes"]
        )
        return cls(
            data["tenant"],
            data["spec_digest"],
            data["observed_digest"],
            tuple(changes),
            tuple(Conflict(**c) for c in data["conflicts"]),
            tuple((address, tuple(ids)) for address, ids in data["duplicates"]),
        )


def canonical_digest(data: Json) -> str:
    """SHA-256, hexadecimal, of JSON with sorted keys and no spaces."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def make_plan(desired: Desired, view: View, records: Mapping[str, Record], spec_digest: str) -> Plan:
    """Compare what should be with what is; `records` (what the plane last did) tell the cause."""
    changes: dict[str, Change] = {}
    conflicts: list[Conflict] = []
    for address, want in desired.resources.items():
        have, record = view.resources.get(address), records.get(address)
        if have is None:
            if address in view.taken:
                conflicts.append(Conflict(address, view.taken[address]))
            else:
                cause = "removed outside the plane" if record else "new in the spec"
                changes[address] = _create(want, cause)
            continue
        differences = _differences(want, have, record)
        if not differences:
            continue
        if not have.owned and want.kind not in _SHARED_OWNERSHIP:
            conflicts.append(Conflict(address, f"{want.kind} {have.id}, which the plane did not make,"))
            continue
        changes[address] = _change(want, differences)
    _cascade(changes, desired, view)
    _renew_passwords(changes, desired, view)
    removed = [
        _delete(have, records.get(address))
        for address, have in view.resources.items()
        if address not in desired.resources and have.owned
    ]
    for change in removed:
        changes[change.address] = change
    for address in records:
        if address not in desired.resources and address not in view.resources:
            changes[address] = Change(Action.FORGET, address, "gone from OpenStack and from the spec")
    return Plan(
        desired.tenant,
        spec_digest,
        observed_digest(view, desired),
        tuple(_ordered(changes, desired)),
        tuple(conflicts),
        tuple((a, o.duplicates) for a, o in view.resources.items() if o.duplicates),
    )


_SHARED_OWNERSHIP = {Kind.COMPUTE_QUOTA, Kind.VOLUME_QUOTA, Kind.NETWORK_QUOTA, Kind.IMAGE_ACCESS}
"""Kinds that OpenStack itself makes or that the tenant may answer: to set them is not to take them."""


def observed_digest(view: View, desired: Desired) -> str:
    """What the plan saw of everything that it could change: identifiers and compared fields."""
    seen = {}
    for address, have in view.resources.items():
        want = desired.resources.get(address)
        if want is not None:
            seen[address] = [have.id, {key: have.fields.get(key) for key in want.fields}]
        elif have.owned:
            seen[address] = [have.id, dict(have.fields)]
    return canonical_digest(
        {"seen": seen, "taken": {a: w for a, w in view.taken.items() if a in desired.resources}}
    )


_MISSING = object()


def _differences(want: Resource, have: Observed, record: Record | None) -> tuple[Difference, ...]:
    found = []
    for field, value in want.fields.items():
        now = have.fields.get(field, _MISSING)
        if now is _MISSING or now != value:
            now = None if now is _MISSING else now
            found.append(Difference(field, now, value, _cause(field, record, now, value)))
    return tuple(found)


def _cause(field: str, record: Record | None, now: Json, want: Json) -> str:
    """Three-way: what the plane last set tells a change of the spec from a change behind its back."""
    if field == "credentials":
        return "its secret is not in our store"
    if record is None:
        return "differs from the spec"
    if field not in record.fields:  # the spec did not say until now
        return "the spec changed"
    before = record.fields[field]
    if before == want:
        return "changed outside the plane"
    return "the spec changed" if before == now else "the spec changed, and it was changed outside the plane"


def _create(want: Resource, cause: str) -> Change:
    differences = tuple(
        Difference(f, None, v, cause) for f, v in want.fields.items() if v not in (None, [], {})
    )
    return Change(Action.CREATE, want.address, cause, differences, "", TRAITS[want.kind].undo)


def _change(want: Resource, differences: tuple[Difference, ...]) -> Change:
    trait = TRAITS[want.kind]
    causes = " and ".join(sorted({d.cause for d in differences}))
    fixed = [d.field for d in differences if d.field not in trait.updatable and "*" not in trait.updatable]
    if not fixed and want.kind is Kind.USER and any(d.field == "credentials" for d in differences):
        loses, undo = "the user's present password", "nothing brings it back"
        return Change(Action.UPDATE, want.address, causes, differences, loses, undo)
    if not fixed:
        return Change(Action.UPDATE, want.address, causes, differences, "", "set the old values again")
    why = f"OpenStack cannot change {', '.join(fixed)}; {causes}"
    return Change(Action.REPLACE, want.address, why, differences, trait.loses, "replace it again")


def _delete(have: Observed, record: Record | None) -> Change:
    cause = "no longer in the spec" if record else "added outside the plane"
    differences = tuple(
        Difference(f, v, None, cause) for f, v in have.fields.items() if v not in (None, [], {})
    )
    trait = TRAITS[have.kind]
    return Change(Action.DELETE, have.address, cause, differences, trait.loses, "create it again, empty")


def _renew_passwords(changes: dict[str, Change], desired: Desired, view: View) -> None:
    """Keystone lets only its owner make an application credential: the plane logs in as the user for it.

    It keeps no password, so it sets a new one, and the plan says so.
    """
    for address, change in list(changes.items()):
        if kind_of(address) is not Kind.APPLICATION_CREDENTIAL or change.action is Action.UPDATE:
            continue
        user = str(desired.resources[address].fields["user"])
        also = changes.get(user)
        if user not in view.resources or (also is not None and also.action is not Action.UPDATE):
            continue  # the user is made with it, and so is the password
        known = also.differences if also is not None else ()
        if any(d.field == "credentials" for d in known):
            continue
        have = view.resources[user].fields.get("credentials")
        renewed = Difference("credentials", have, "renewed", f"{address} is made in the user's name")
        changes[user] = _change(desired.resources[user], (*known, renewed))


def _cascade(changes: dict[str, Change], desired: Desired, view: View) -> None:
    """What needs a resource that is replaced, or that is made again, is made again with it."""
    again = {a for a, c in changes.items() if c.action in (Action.REPLACE, Action.CREATE)}
    for address, want in desired.resources.items():  # in order of need, so one pass is enough
        change = changes.get(address)
        if address not in view.resources or (change and change.action is Action.REPLACE):
            continue
        hard = [f"{n} is made again" for n in want.needs if n in again and kind_of(n) not in _SOFT]
        if want.kind is Kind.INTERFACE:
            hard += [f"{n} gets another gateway" for n in want.needs if _moves_gateway(changes.get(n))]
        if hard:
            differences = change.differences if change else ()
            loses = TRAITS[want.kind].loses
            changes[address] = Change(
                Action.REPLACE, address, hard[0], differences, loses, "replace it again"
            )
            again.add(address)


def _moves_gateway(change: Change | None) -> bool:
    """Neutron lets a subnet have another gateway only while no router holds the old one."""
    if change is None or kind_of(change.address) is not Kind.SUBNET or change.action is not Action.UPDATE:
        return False
    return any(difference.field == "gateway" for difference in change.differences)


_SOFT = {
    Kind.DOMAIN,
    Kind.COMPUTE_QUOTA,
    Kind.VOLUME_QUOTA,
    Kind.NETWORK_QUOTA,
    Kind.ASSIGNMENT,
    Kind.MEMBERSHIP,
}
"""Kinds that must come first but whose return changes nothing about what came after them."""


def _ordered(changes: Mapping[str, Change], desired: Desired) -> Iterable[Change]:
    """As a person reads it: makes and changes in order of need, then what goes, last made first."""
    yield from (changes[a] for a in desired.resources if a in changes)
    rank = {kind: i for i, kind in enumerate(Kind)}
    gone = (c for a, c in changes.items() if a not in desired.resources)
    yield from sorted(gone, key=lambda c: (c.action is Action.FORGET, -rank[kind_of(c.address)], c.address))
