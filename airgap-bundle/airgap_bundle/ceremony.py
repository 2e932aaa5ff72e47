"""The root ceremony: who may sign, and how many of them it takes; made, changed, and shown.

    new = init({"root": Holders(three, 2), "targets": Holders(five, 2)}, expires)     1.root.json, unsigned
    share = sign(new, None, signer)                                 each holder, on their own machine
    signed = assemble(new, shares, None)                            enough of them, or it says who is missing
    next_ = rotate(signed, revoked(roles_of(signed), key), expires) 2.root.json, for old and new holders

A root is changed by making the next version. Holders of both versions sign it, so everyone who trusts the old
one can trust the new one without being told. Tables of roles are plain values: `added`, `revoked`, `replaced`
and `with_threshold` make new ones, and `rotate` checks what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airgap_bundle import metadata, shares
from airgap_bundle.dsse import Signs
from airgap_bundle.errors import InputProblem
from airgap_bundle.keys import PublicKey
from airgap_bundle.metadata import ROLES, Holders
from airgap_bundle.quorum import keys_of, public_of
from airgap_bundle.release import moment
from airgap_bundle.shares import Share
from airgap_bundle.trusted_root import TrustedRoot

Roles = Mapping[str, Holders]
"""Role name to who holds it. Snapshot and timestamp may be left out: then they are held as targets is."""

ONLINE = ("snapshot", "timestamp")


class CannotChange(InputProblem):
    """A table of roles that would lock people out, or a change that makes no sense."""

    exit_code = 11
    message = "{what}"
    hint = "{remedy}"


@dataclass(frozen=True)
class Draft:
    """A root that is to be signed, and what its signers should think about first."""

    data: bytes
    version: int
    warnings: tuple[str, ...]


def init(roles: Roles, expires: datetime) -> Draft:
    """The unsigned first root. Raises CannotChange."""
    table = _whole(roles)
    return Draft(metadata.root(1, table, expires), 1, tuple(_warnings(table)))


def rotate(current: bytes, roles: Roles, expires: datetime) -> Draft:
    """The unsigned next version, with this table of roles. Raises CannotChange; NotARoot, for `current`."""
    before = TrustedRoot.parse(current, "the root before")
    table = _whole(roles)
    version = before.version + 1
    warnings = [*_warnings(table), *_lost(roles_of(current)["root"], table["root"], before.version)]
    return Draft(metadata.root(version, table, expires), version, tuple(warnings))


def revoke(current: bytes, key: PublicKey, expires: datetime) -> Draft:
    """The unsigned next version without `key`. Raises CannotChange: a threshold is out of reach then."""
    return rotate(current, revoked(roles_of(current), key), expires)


def sign(draft: bytes, previous: bytes | None, key: Signs) -> Share:
    """One holder's share of a new root. Raises NotASigner, Malformed, AgentProblem."""
    return shares.sign_root(draft, previous, key)


def assemble(draft: bytes, given: Iterable[Share], previous: bytes | None) -> bytes:
    """The signed root. Raises ForeignShare, NotSignedByEnough: it says whose shares are missing."""
    return shares.merge_root(draft, given, previous)


def roles_of(root: bytes) -> dict[str, Holders]:
    """The table of roles of a root. Raises Malformed."""
    signed = shares.read_root(root, "the root")
    return {
        name: Holders(
            tuple(public_of(key) for key in keys_of(signed, name).values()), signed.roles[name].threshold
        )
        for name in ROLES
    }


def added(roles: Roles, role: str, key: PublicKey) -> dict[str, Holders]:
    """The table with `key` in `role`; roles that are held as targets is go with it. Raises CannotChange."""
    if key in _held(roles, role).keys:
        raise CannotChange(what=f"{_name(key)} holds {role} already", remedy="Leave it out.")
    return {
        name: replace(held, keys=(*held.keys, key)) if name in _together(roles, role) else held
        for name, held in roles.items()
    }


def revoked(roles: Roles, key: PublicKey) -> dict[str, Holders]:
    """The table without `key` in any role. Raises CannotChange."""
    if not any(key in held.keys for held in roles.values()):
        raise CannotChange(what=f"{_name(key)} holds no role", remedy="`root show` lists who does.")
    return {
        name: replace(held, keys=tuple(one for one in held.keys if one != key))
        for name, held in roles.items()
    }


def replaced(roles: Roles, old: PublicKey, new: PublicKey) -> dict[str, Holders]:
    """The table with `new` wherever `old` was. Raises CannotChange."""
    without = revoked(roles, old)
    for name, held in roles.items():
        if old in held.keys and new in held.keys:
            raise CannotChange(
                what=f"{_name(new)} holds {name} already", remedy="Revoke the old key instead."
            )
        if old in held.keys:
            keys = tuple(new if one == old else one for one in held.keys)
            without[name] = replace(held, keys=keys)
    return without


def with_threshold(roles: Roles, role: str, threshold: int) -> dict[str, Holders]:
    """The table with another threshold; roles that are held as targets is go with it. Raises CannotChange."""
    _held(roles, role)
    return {
        name: replace(held, threshold=threshold) if name in _together(roles, role) else held
        for name, held in roles.items()
    }


def describe(root: bytes, previous: bytes | None = None) -> dict[str, Any]:
    """All that a root says, as one record for JSON: version, expiry, who holds what, who signed it so far."""
    signed = shares.read_root(root, "the root")
    return {
        "version": signed.version,
        "expires": moment(signed.expires),
        "fingerprint": fingerprint(root),
        "roles": [
            {
                "role": name,
                "threshold": held.threshold,
                "keys": [{"owner": key.comment, "fingerprint": key.fingerprint} for key in held.keys],
            }
            for name, held in roles_of(root).items()
        ],
        "signatures": shares.standing_of_root(root, [], previous) if signed.version == 1 or previous else [],
    }


def show(root: bytes, previous: bytes | None = None) -> list[str]:
    """The same as lines for people."""
    said = describe(root, previous)
    lines = [
        f"root version {said['version']}, expires {said['expires']}",
        f"SHA-256 {said['fingerprint']}",
        "",
    ]
    for role in grouped(said["roles"]):
        lines.append(f"{role['role']}: {role['threshold']} of {len(role['keys'])}")
        lines += [f"    {key['fingerprint']}  {key['owner']}".rstrip() for key in role["keys"]]
    return [*lines, "", *said["signatures"]] if said["signatures"] else lines


def grouped(roles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The roles of `describe`, those that the same people hold in the same way under one name."""
    groups: list[dict[str, Any]] = []
    for role in roles:
        same = next((one for one in groups if one | {"role": ""} == role | {"role": ""}), None)
        if same is None:
            groups.append(dict(role))
        else:
            same["role"] += f", {role['role']}"
    return groups


def fingerprint(root: bytes) -> str:
    """SHA-256 of the file, as `sha256sum` prints it."""
    from hashlib import sha256

    return sha256(root).hexdigest()


def _whole(roles: Roles) -> dict[str, Holders]:
    if unknown := sorted(set(roles) - set(ROLES)):
        raise CannotChange(what=f"there is no role {unknown[0]}", remedy=f"The roles are {', '.join(ROLES)}.")
    for name in ("root", "targets"):
        _held(roles, name)
    table = {name: roles.get(name, roles["targets"]) for name in ROLES}
    for name, held in table.items():
        have = len(set(held.keys))
        if have != len(held.keys):
            raise CannotChange(what=f"{name} names a key twice", remedy="One key counts once: name it once.")
        if not 1 <= held.threshold <= have:
            raise CannotChange(
                what=f"{name} would need {held.threshold} of {have} keys, which nobody could ever reach",
                remedy="Add a key, replace the one that goes, or lower the threshold in the same step.",
            )
    return table


def _held(roles: Roles, role: str) -> Holders:
    if role not in roles:
        raise CannotChange(what=f"nobody holds {role}", remedy=f"Name who holds {role}.")
    return roles[role]


def _together(roles: Roles, role: str) -> set[str]:
    """The roles that change with `role`: those that have been held as targets is stay so."""
    same = {name for name in ONLINE if role == "targets" and roles.get(name) == roles["targets"]}
    return same | {role}


def _warnings(roles: Roles) -> Iterable[str]:
    for name in ("root", "targets"):
        held = roles[name]
        if held.threshold == 1:
            yield f"{name}: one stolen key is enough to sign. Two of three is a good beginning."
        elif held.threshold == len(held.keys):
            yield f"{name}: all {held.threshold} keys are needed; losing one locks all out. Add a spare."


def _lost(old: Holders, new: Holders, version: int) -> Iterable[str]:
    staying = [key for key in old.keys if key in new.keys]
    if len(staying) < old.threshold:
        yield (
            f"root version {version} asks for {old.threshold} of its keys, and only {len(staying)} of them "
            "stay: who leaves has to sign this root as well, or nobody who trusts the old one will follow."
        )


def _name(key: PublicKey) -> str:
    return f"{key.comment} {key.fingerprint}".strip()
