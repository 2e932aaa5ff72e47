"""What the services' modules have in common: the three verbs, the mark, and how one of ours is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from controlplane.tenants.errors import NotOurs
from controlplane.tenants.listing import Raw
from controlplane.tenants.ports import Effect, Ids, Outcome
from controlplane.tenants.resources import TRAITS, Fields, Kind, mark, read_mark


class Verbs(NamedTuple):
    """How one kind is made, changed and removed."""

    create: Callable[[Effect, Ids, bool], Outcome]
    """The flag asks to look for one that exists before making it, not only in doubt."""
    update: Callable[[Effect, Ids, Iterable[str]], Outcome]
    delete: Callable[[Effect, Ids], bool]
    """False when it was gone already."""


Table = Mapping[Kind, Verbs]


def wanted(effect: Effect) -> Fields:
    """The fields that the resource should have."""
    if effect.want is None:
        raise ValueError(f"{effect.action} of {effect.address} says not what is wanted")
    return effect.want.fields


def seen(effect: Effect) -> Fields:
    """The fields that the resource was seen with."""
    return effect.have.fields if effect.have is not None else {}


def held_id(effect: Effect, ids: Ids) -> str:
    """The identifier of what an update or a delete is about."""
    return effect.have.id if effect.have is not None and effect.have.id else ids.id(effect.address)


def marked(effect: Effect, ids: Ids) -> str:
    """The description that says whose it is."""
    return mark(ids.tenant, effect.address, wanted(effect).get("description"))


def is_ours(raw: Raw, effect: Effect, ids: Ids) -> bool:
    """Whether what OpenStack has carries the mark of this address."""
    return read_mark(raw.get("description")) == (ids.tenant, effect.address)


def ours(found: Iterable[Raw], effect: Effect, ids: Ids) -> Raw | None:
    """The one that carries the mark, where names are not unique."""
    return min(
        (raw for raw in found if is_ours(raw, effect, ids)), key=lambda raw: str(raw["id"]), default=None
    )


def unique(found: Iterable[Raw], effect: Effect, ids: Ids) -> Raw | None:
    """The one that carries the mark, where names are unique. Raises NotOurs for another's."""
    held = list(found)
    mine = ours(held, effect, ids)
    if mine is None and held:
        raise NotOurs(what=f"{effect.address} ({held[0].get('name', held[0].get('id'))})")
    return mine


def updatable(kind: Kind, fields: Fields) -> list[str]:
    """The fields that are brought to what is wanted in one that was adopted."""
    return [name for name in fields if name in TRAITS[kind].updatable]


def project_of(address: str) -> str:
    """The address of the project that a resource of a project lives in.

    >>> project_of("subnet/prod/app/front")
    'project/prod'
    """
    return "project/" + address.split("/")[1]


def gone(_: Effect, __: Ids, ___: Iterable[str]) -> Outcome:
    """Kinds that cannot be changed in place."""
    raise ValueError("OpenStack cannot change this kind in place; replace it")


def renamed(fields: Fields, names: Mapping[str, str]) -> dict[str, Any]:
    """The fields in OpenStack's words.

    >>> renamed({"ram_mib": 1, "cores": 2, "project": "x"}, {"ram_mib": "ram", "cores": "cores"})
    {'ram': 1, 'cores': 2}
    """
    return {theirs: fields[own] for own, theirs in names.items() if own in fields}
