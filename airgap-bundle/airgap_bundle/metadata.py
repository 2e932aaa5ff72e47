"""TUF metadata as bundles have it: made without signatures, and read strictly (SPEC section 2).

    root(1, {"root": Holders(keys, 2), "targets": ..., "snapshot": ..., "timestamp": ...}, expires)
    bundle({"release.json": b"...", "content.ndjson": b"..."}, sequence=7, expires=...)
    {"metadata/timestamp.json": ..., "metadata/7.snapshot.json": ..., "metadata/7.targets.json": ...}

Made of the same facts, the bytes are the same. They are canonical JSON without any backslash, and then what
is signed is simply a part of the file (`signed_part`). Source: TUF specification 1.0.31, section 4.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

from airgap_bundle.canonical import malformed, parse, render
from airgap_bundle.errors import KeyProblem
from airgap_bundle.keys import PublicKey
from airgap_bundle.release import SHA256, count, line, match, moment, read_moment
from airgap_bundle.signing import ED25519, OWNER, Ed25519Key, key_id

SPEC_VERSION = "1.0.31"
ROLES = ("root", "targets", "snapshot", "timestamp")
LIMITS = {"root": 512_000, "timestamp": 512_000, "snapshot": 512_000, "targets": 5_000_000}
"""Most bytes of a file of each role."""
MOST_ROOTS = 1024
MOST_KEYS = 64
MOST_ATTESTATIONS = 256
RELEASE, CONTENT = "release.json", "content.ndjson"
TARGET_LIMITS = {RELEASE: 1_000_000, CONTENT: 512 * 1024 * 1024}
ATTESTATION_LIMIT = 1_000_000
SIGNED_SHA256 = "x-signed-sha256"
"""Field of a snapshot or timestamp entry: SHA-256 of the signed part of the file that it names.

TUF's own `hashes` are of the whole file with its signatures, so that snapshot could be signed only after
targets was signed by all. This one is known before, and lets every signer sign everything at once.
"""

SIGNATURE = re.compile(r"[0-9a-f]{128}")
_SPEC = re.compile(r"1\.[0-9]{1,4}(\.[0-9]{1,4})?")
_ATTESTATION = re.compile(r"attestation-[a-z0-9-]{1,100}\.json")
_ROOT_NAME = re.compile(r"metadata/([1-9][0-9]{0,15})\.root\.json")


@dataclass(frozen=True)
class Holders:
    """Whose keys count for a role, and how many of them it takes."""

    keys: tuple[PublicKey, ...]
    threshold: int


def root(version: int, roles: Mapping[str, Holders], expires: datetime) -> bytes:
    """An unsigned root: `roles` has the four top-level roles. Raises Malformed: see `check`."""
    holders = {key_id(key): key for role in roles.values() for key in role.keys}
    signed = {
        "_type": "root",
        "consistent_snapshot": True,
        "expires": moment(expires),
        "keys": {keyid: Ed25519Key.of(key).to_dict() for keyid, key in holders.items()},
        "roles": {
            name: {"keyids": [key_id(key) for key in role.keys], "threshold": role.threshold}
            for name, role in roles.items()
        },
        "spec_version": SPEC_VERSION,
        "version": version,
    }
    return _unsigned("root", signed)


def bundle(targets: Mapping[str, bytes], sequence: int, expires: datetime) -> dict[str, bytes]:
    """The unsigned targets, snapshot and timestamp of the bundle with these targets, by their names in it.

    `targets`: release.json, content.ndjson and the attestations. Raises Malformed: see `check`.
    """
    files = {
        name: {"hashes": {"sha256": hashlib.sha256(data).hexdigest()}, "length": len(data)}
        for name, data in targets.items()
    }
    made_targets = _unsigned("targets", _common("targets", sequence, expires) | {"targets": files})
    meta = {"targets.json": _binding(sequence, made_targets)}
    made_snapshot = _unsigned("snapshot", _common("snapshot", sequence, expires) | {"meta": meta})
    meta = {"snapshot.json": _binding(sequence, made_snapshot)}
    made_timestamp = _unsigned("timestamp", _common("timestamp", sequence, expires) | {"meta": meta})
    return {
        file_name("timestamp", sequence): made_timestamp,
        file_name("snapshot", sequence): made_snapshot,
        file_name("targets", sequence): made_targets,
    }


def file_name(role: str, version: int) -> str:
    """Where the metadata of `role` is in a bundle."""
    return "metadata/timestamp.json" if role == "timestamp" else f"metadata/{version}.{role}.json"


def target_name(name: str, sha256: str) -> str:
    """Where the target `name` with this digest is in a bundle."""
    return f"targets/{sha256}.{name}"


def root_versions(names: Iterable[str]) -> list[int]:
    """The versions of the roots among `names`, ascending."""
    return sorted(int(found[1]) for name in names if (found := _ROOT_NAME.fullmatch(name)))


def in_order(roots: int, sequence: int, targets: Mapping[str, str]) -> list[str]:
    """All names of metadata and targets (name -> SHA-256) in the order of a container (SPEC section 6)."""
    first = [RELEASE, CONTENT]
    return [
        *(file_name("root", version) for version in range(1, roots + 1)),
        *(file_name(role, sequence) for role in ("timestamp", "snapshot", "targets")),
        *(target_name(name, targets[name]) for name in [*first, *sorted(set(targets) - set(first))]),
    ]


def signed_part(data: bytes) -> bytes:
    """What the signatures in this file are made over; `data` has the form that `check` demands."""
    return data[data.index(b'"signed":') + len(b'"signed":') : -1]


def signed_sha256(data: bytes) -> str:
    """SHA-256 of the signed part: which metadata it is, whoever has signed it so far."""
    return hashlib.sha256(signed_part(data)).hexdigest()


def with_signatures(data: bytes, signatures: Mapping[str, str]) -> bytes:
    """The same metadata with these signatures (key ID -> hexadecimal) and no others."""
    listed = [{"keyid": keyid, "sig": sig} for keyid, sig in sorted(signatures.items())]
    return b'{"signatures":' + render(listed) + b',"signed":' + signed_part(data) + b"}"


def signatures(data: bytes) -> dict[str, str]:
    """The signatures in a file of the form that `check` demands: key ID -> hexadecimal."""
    return {one["keyid"]: one["sig"] for one in parse(data, "metadata")["signatures"]}


def check(role: str, name: str, data: bytes) -> dict[str, Any]:
    """Refuse metadata that is not in the form of SPEC section 2, and give its signed part as a value.

    Nothing is verified by that. python-tuf reads the same bytes afterwards: a key twice, a number that is no
    integer, `true` for version 1 and the like never reach it. Raises Malformed.
    """
    if len(data) > LIMITS[role]:
        malformed(name, f"it is larger than {LIMITS[role]} bytes")
    if b"\\" in data:
        malformed(name, "it has a backslash")
    value = parse(data, name)
    try:
        if set(value) != {"signatures", "signed"}:
            raise ValueError("it has other fields than `signatures` and `signed`")
        _check_signatures(value["signatures"])
        signed: dict[str, Any] = value["signed"]
        if signed["_type"] != role:
            raise ValueError(f"it is not {role} metadata")
        match(_SPEC, signed["spec_version"])
        count(signed["version"], least=1)
        read_moment(signed["expires"])
        _CHECKS[role](signed)
    except (KeyError, TypeError, ValueError, AttributeError, KeyProblem) as error:
        _wrong(name, error)
    return signed


def _wrong(name: str, error: Exception) -> NoReturn:
    missing = isinstance(error, KeyError)
    malformed(name, f"the field {str(error)[:80]} is missing" if missing else str(error)[:160])


def _check_signatures(value: Any) -> None:
    for one in _list(value):
        if set(one) != {"keyid", "sig"}:
            raise ValueError("a signature has other fields than `keyid` and `sig`")
        match(SHA256, one["keyid"])
        match(SIGNATURE, one["sig"])
    if len({one["keyid"] for one in value}) != len(value):
        raise ValueError("two of its signatures are by one key")
    if len(value) > 2 * MOST_KEYS:
        raise ValueError(f"it has more than {2 * MOST_KEYS} signatures")


def _check_root(signed: dict[str, Any]) -> None:
    if signed["consistent_snapshot"] is not True:
        raise ValueError("`consistent_snapshot` is not true")
    keys, roles = signed["keys"], signed["roles"]
    if len(keys) > MOST_KEYS:
        raise ValueError(f"it has more than {MOST_KEYS} keys")
    for keyid, key in keys.items():
        if (key["keytype"], key["scheme"]) != (ED25519, ED25519) or set(key["keyval"]) != {"public"}:
            raise ValueError("a key is not an Ed25519 key")
        public = PublicKey(bytes.fromhex(match(SHA256, key["keyval"]["public"])))
        if keyid != key_id(public):  # one key under two IDs would be two signers
            raise ValueError("a key has not the ID that its value gives")
        line(key.get(OWNER, ""))
    if set(roles) != set(ROLES):
        raise ValueError("its roles are not the four of TUF")
    for name, role in roles.items():
        keyids = _list(role["keyids"])
        if len(set(keyids)) != len(keyids) or not set(keyids) <= set(keys):
            raise ValueError(f"the role {name} names a key twice, or one that is not there")
        if count(role["threshold"], least=1) > len(keyids):
            raise ValueError(f"the role {name} can never reach its threshold")


def _check_targets(signed: dict[str, Any]) -> None:
    if "delegations" in signed:
        raise ValueError("it has delegations, which bundles do not use")
    targets = signed["targets"]
    attestations = set(targets) - set(TARGET_LIMITS)
    if not set(TARGET_LIMITS) <= set(targets):
        raise ValueError(f"it does not name {RELEASE} and {CONTENT}")
    if len(attestations) > MOST_ATTESTATIONS:
        raise ValueError(f"it names more than {MOST_ATTESTATIONS} attestations")
    for name, target in targets.items():
        if name in attestations and not _ATTESTATION.fullmatch(name):
            raise ValueError(f"it names {name[:60]}, which is nothing that a bundle has")
        limit = TARGET_LIMITS.get(name, ATTESTATION_LIMIT)
        if count(target["length"]) > limit:
            raise ValueError(f"it names a {name[:60]} of more than {limit} bytes")
        _check_hashes(target["hashes"])


def _check_meta(signed: dict[str, Any], only: str) -> None:
    if set(signed["meta"]) != {only}:
        raise ValueError(f"it names something else than {only}")
    entry = signed["meta"][only]
    count(entry["version"], least=1)
    if SIGNED_SHA256 not in entry and not {"hashes", "length"} <= set(entry):
        raise ValueError(f"it names {only} without its digest")
    if SIGNED_SHA256 in entry:
        match(SHA256, entry[SIGNED_SHA256])
    if "length" in entry:
        count(entry["length"])
    if "hashes" in entry:
        _check_hashes(entry["hashes"])


def _check_hashes(hashes: dict[str, Any]) -> None:
    if set(hashes) != {"sha256"}:
        raise ValueError("it has digests of another kind than SHA-256")
    match(SHA256, hashes["sha256"])


_CHECKS: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "root": _check_root,
    "targets": _check_targets,
    "snapshot": lambda signed: _check_meta(signed, "targets.json"),
    "timestamp": lambda signed: _check_meta(signed, "snapshot.json"),
}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("something is not a list")
    return value


def _common(role: str, version: int, expires: datetime) -> dict[str, Any]:
    return {"_type": role, "expires": moment(expires), "spec_version": SPEC_VERSION, "version": version}


def _binding(version: int, data: bytes) -> dict[str, Any]:
    return {"version": version, SIGNED_SHA256: signed_sha256(data)}


def _unsigned(role: str, signed: dict[str, Any]) -> bytes:
    data = b'{"signatures":[],"signed":' + render(signed) + b"}"
    check(role, f"the new {role}", data)
    return data
