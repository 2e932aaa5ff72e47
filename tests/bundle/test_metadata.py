"""Metadata is made the same each time, is what python-tuf reads, and has one form."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import Metadata

from airgap_bundle import metadata
from airgap_bundle.canonical import Malformed
from airgap_bundle.metadata import ROLES, Holders
from tests.bundle.zone import ANNA, BERT, CREATED, DORA, Zone, compact, key_id, root_value, sha, signed

TWO_OF_THREE = Holders((ANNA.public, BERT.public, DORA.public), 2)
TARGETS = {"release.json": b"{}", "content.ndjson": b"", "attestation-apt-1.json": b"{}"}


def made_root(**roles: Holders) -> bytes:
    return metadata.root(1, dict.fromkeys(ROLES, TWO_OF_THREE) | roles, CREATED)


def test_the_same_facts_give_the_same_bytes() -> None:
    assert made_root() == made_root()
    once = metadata.bundle(TARGETS, 7, CREATED)
    again = metadata.bundle(dict(reversed(TARGETS.items())), 7, CREATED + timedelta(milliseconds=400))
    assert once == again
    assert list(once) == ["metadata/timestamp.json", "metadata/7.snapshot.json", "metadata/7.targets.json"]


def test_it_is_what_python_tuf_would_write() -> None:
    for data in [made_root(), *metadata.bundle(TARGETS, 7, CREATED).values()]:
        assert Metadata.from_bytes(data).to_bytes() == data


def test_the_signed_part_of_the_file_is_what_tuf_signs() -> None:
    for data in [made_root(), *Zone().bundle(3).values()]:
        if b'"signed":' in data[:2000] and b'"_type"' in data:
            assert metadata.signed_part(data) == Metadata.from_bytes(data).signed_bytes


def test_each_file_names_the_signed_part_of_the_next() -> None:
    files = metadata.bundle(TARGETS, 7, CREATED)
    signed_by_anna = {
        name: metadata.with_signatures(
            data, {key_id(ANNA.public): ANNA.sign(metadata.signed_part(data)).hex()}
        )
        for name, data in files.items()
    }
    for state in (files, signed_by_anna):
        timestamp, snapshot, targets = state.values()
        meta = json.loads(timestamp)["signed"]["meta"]["snapshot.json"]
        assert meta == {"version": 7, "x-signed-sha256": sha(metadata.signed_part(snapshot))}
        meta = json.loads(snapshot)["signed"]["meta"]["targets.json"]
        assert meta == {"version": 7, "x-signed-sha256": sha(metadata.signed_part(targets))}


def test_names_come_in_the_order_of_a_container() -> None:
    digests = {
        "attestation-b-1.json": "b",
        "content.ndjson": "c",
        "release.json": "r",
        "attestation-a-1.json": "a",
    }
    assert metadata.in_order(11, 7, digests) == [
        *(f"metadata/{version}.root.json" for version in range(1, 12)),
        "metadata/timestamp.json",
        "metadata/7.snapshot.json",
        "metadata/7.targets.json",
        "targets/r.release.json",
        "targets/c.content.ndjson",
        "targets/a.attestation-a-1.json",
        "targets/b.attestation-b-1.json",
    ]


@pytest.mark.parametrize(
    ("names", "versions"),
    [
        (["metadata/1.root.json", "metadata/10.root.json", "metadata/2.root.json"], [1, 2, 10]),
        (
            ["metadata/01.root.json", "metadata/0.root.json", "metadata/-1.root.json", "metadata/root.json"],
            [],
        ),
        (
            ["metadata/٣.root.json", "metadata/3.root.json\n", "targets/3.root.json", "metadata/3.Root.json"],
            [],
        ),
    ],
)
def test_a_root_version_is_written_in_one_way(names: list[str], versions: list[int]) -> None:
    assert metadata.root_versions(names) == versions


def test_a_role_that_nobody_could_sign_is_not_made() -> None:
    with pytest.raises(Malformed, match="never reach its threshold"):
        made_root(targets=Holders((ANNA.public,), 2))


ZONE = Zone()
ROOT = root_value(1, dict.fromkeys(ROLES, ((ANNA, BERT, DORA), 2)))
BUNDLE = {
    name.split("/")[1].split(".")[-2]: json.loads(data)
    for name, data in ZONE.bundle(7).items()
    if name.startswith("metadata/") and "root" not in name
}
VALUES = {"root": {"signatures": [], "signed": ROOT}, **BUNDLE}
ANNAS = key_id(ANNA.public)

Change = Callable[[dict[str, Any]], object]


def inside(*path: Any, to: Any = ...) -> Change:
    """Sets what is at `path` in the file to `to`, or removes it."""

    def change(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        if to is ...:
            del value[path[-1]]
        else:
            value[path[-1]] = to

    return change


def renamed(value: dict[str, Any]) -> None:
    keys, roles = value["signed"]["keys"], value["signed"]["roles"]
    keys["ab" * 32] = keys[ANNAS]
    roles["root"]["keyids"].append("ab" * 32)


SIG = {"keyid": "ab" * 32, "sig": "cd" * 64}
WRONG: dict[str, tuple[str, Change]] = {
    "a field beside signed": ("root", inside("more", to=1)),
    "no signatures": ("root", inside("signatures")),
    "signatures that are no list": ("root", inside("signatures", to={})),
    "a signature with a field more": ("root", inside("signatures", to=[SIG | {"x": 1}])),
    "a signature without key": ("root", inside("signatures", to=[{"sig": "cd" * 64}])),
    "a short signature": ("root", inside("signatures", to=[SIG | {"sig": "cd" * 63}])),
    "an upper-case signature": ("root", inside("signatures", to=[SIG | {"sig": "CD" * 64}])),
    "two signatures by one key": ("root", inside("signatures", to=[SIG, SIG | {"sig": "ef" * 64}])),
    "too many signatures": (
        "root",
        inside("signatures", to=[{"keyid": f"{n:064x}", "sig": "cd" * 64} for n in range(129)]),
    ),
    "signed that is a list": ("root", inside("signed", to=[])),
    "another type": ("root", inside("signed", "_type", to="targets")),
    "no version": ("root", inside("signed", "version")),
    "version zero": ("timestamp", inside("signed", "version", to=0)),
    "true as version": ("timestamp", inside("signed", "version", to=True)),
    "a version in words": ("timestamp", inside("signed", "version", to="7")),
    "another specification": ("targets", inside("signed", "spec_version", to="2.0.0")),
    "a specification in other digits": ("targets", inside("signed", "spec_version", to="1.٣")),
    "a specification that is a number": ("targets", inside("signed", "spec_version", to=1)),
    "a date in another form": ("targets", inside("signed", "expires", to="2027-1-1T0:0:0Z")),
    "a date with an offset": ("targets", inside("signed", "expires", to="2027-01-01T00:00:00+00:00")),
    "no date": ("snapshot", inside("signed", "expires")),
    "no consistent snapshot": ("root", inside("signed", "consistent_snapshot", to=False)),
    "one as consistent snapshot": ("root", inside("signed", "consistent_snapshot", to=1)),
    "a fifth role": ("root", inside("signed", "roles", "mirrors", to={"keyids": [ANNAS], "threshold": 1})),
    "a role less": ("root", inside("signed", "roles", "snapshot")),
    "threshold zero": ("root", inside("signed", "roles", "root", "threshold", to=0)),
    "a negative threshold": ("root", inside("signed", "roles", "root", "threshold", to=-1)),
    "true as threshold": ("root", inside("signed", "roles", "root", "threshold", to=True)),
    "a threshold out of reach": ("root", inside("signed", "roles", "root", "threshold", to=4)),
    "a key named twice": ("root", inside("signed", "roles", "root", "keyids", to=[ANNAS, ANNAS])),
    "a key that is not there": ("root", inside("signed", "roles", "root", "keyids", to=["ab" * 32])),
    "key IDs that are a mapping": ("root", inside("signed", "roles", "root", "keyids", to={ANNAS: 1})),
    "one key under two IDs": ("root", renamed),
    "an RSA key": ("root", inside("signed", "keys", ANNAS, "keytype", to="rsa")),
    "another scheme": ("root", inside("signed", "keys", ANNAS, "scheme", to="ed25519ph")),
    "a key with a second value": ("root", inside("signed", "keys", ANNAS, "keyval", "private", to="x")),
    "a key in upper case": ("root", inside("signed", "keys", ANNAS, "keyval", "public", to="AB" * 32)),
    "a key of small order": (
        "root",
        inside("signed", "keys", ANNAS, "keyval", "public", to="01" + "00" * 31),
    ),
    "an owner of two lines": ("root", inside("signed", "keys", ANNAS, "x-owner", to="anna\nbert")),
    "an owner that is a list": ("root", inside("signed", "keys", ANNAS, "x-owner", to=["anna"])),
    "delegations": ("targets", inside("signed", "delegations", to={"keys": {}, "roles": []})),
    "delegations that are null": ("targets", inside("signed", "delegations", to=None)),
    "a target more": (
        "targets",
        inside("signed", "targets", "run.sh", to={"hashes": {"sha256": "ab" * 32}, "length": 1}),
    ),
    "a target elsewhere": (
        "targets",
        inside("signed", "targets", "../release.json", to={"hashes": {"sha256": "ab" * 32}, "length": 1}),
    ),
    "no release": ("targets", inside("signed", "targets", "release.json")),
    "a target without digest": ("targets", inside("signed", "targets", "release.json", "hashes", to={})),
    "a target with MD5": (
        "targets",
        inside("signed", "targets", "release.json", "hashes", "md5", to="ab" * 16),
    ),
    "a target without length": ("targets", inside("signed", "targets", "release.json", "length")),
    "a negative length": ("targets", inside("signed", "targets", "release.json", "length", to=-1)),
    "a huge release": ("targets", inside("signed", "targets", "release.json", "length", to=1_000_001)),
    "a huge manifest": (
        "targets",
        inside("signed", "targets", "content.ndjson", "length", to=512 * 1024 * 1024 + 1),
    ),
    "a snapshot that names more": ("snapshot", inside("signed", "meta", "more.json", to={"version": 1})),
    "a snapshot that names nothing": ("snapshot", inside("signed", "meta", to={})),
    "a snapshot without digest": ("snapshot", inside("signed", "meta", "targets.json", to={"version": 7})),
    "a length and no digest": (
        "snapshot",
        inside("signed", "meta", "targets.json", to={"length": 7, "version": 7}),
    ),
    "a timestamp without digest": ("timestamp", inside("signed", "meta", "snapshot.json", "x-signed-sha256")),
    "a timestamp that names more": ("timestamp", inside("signed", "meta", "root.json", to={"version": 1})),
    "a digest in upper case": (
        "timestamp",
        inside("signed", "meta", "snapshot.json", "x-signed-sha256", to="AB" * 32),
    ),
}


@pytest.mark.parametrize(("role", "change"), WRONG.values(), ids=WRONG.keys())
def test_metadata_in_another_form_is_refused(role: str, change: Change) -> None:
    value = copy.deepcopy(VALUES[role])
    metadata.check(role, "the file", compact(value))
    change(value)
    with pytest.raises(Malformed, match="the file is malformed"):
        metadata.check(role, "the file", compact(value))


@pytest.mark.parametrize("role", ROLES)
def test_unknown_fields_in_what_is_signed_are_allowed_and_kept(role: str) -> None:
    value = copy.deepcopy(VALUES[role])
    value["signed"]["x-tap-99"] = {"deep": [1, {"er": None}]}
    data = compact(value)
    metadata.check(role, role, data)
    assert Metadata.from_bytes(data).signed_bytes == metadata.signed_part(data)


def test_tufs_own_digests_of_the_whole_file_are_taken_too() -> None:
    value = copy.deepcopy(VALUES["snapshot"])
    value["signed"]["meta"]["targets.json"] = {"hashes": {"sha256": "ab" * 32}, "length": 9, "version": 7}
    metadata.check("snapshot", "snapshot", compact(value))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        compact(VALUES["root"]) + b"\n",
        b" " + compact(VALUES["root"]),
        json.dumps(VALUES["root"]).encode(),
        compact(VALUES["root"]).replace(b'"version":1', b'"version":1,"version":1'),
        compact(VALUES["root"]).replace(b'"version":1', b'"version":1.0'),
        compact(VALUES["root"]).replace(b'"version":1', b'"version":1e0'),
        compact(VALUES["root"]).replace(b'"version":1', b'"version":9007199254740993'),
        compact(VALUES["root"]).replace(b"anna", rb"\u0061nna"),
        compact(VALUES["root"]).replace(b"anna", rb"\ud800"),
        compact(VALUES["root"]).replace(b"anna", b"\xed\xa0\x80"),
        compact(VALUES["root"]).replace(b"anna", rb"an\"na"),
        compact(VALUES["root"]).replace(b"anna", rb"an\\na"),
        compact(VALUES["root"]) + b" " * 512_000,
    ],
)
def test_tricks_with_json_are_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        metadata.check("root", "1.root.json", data)


@given(st.sampled_from(ROLES), st.data())
def test_a_damaged_file_is_refused_or_says_something_else(role: str, data: st.DataObject) -> None:
    whole = compact(VALUES[role])
    damaged = bytearray(whole)
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    with suppress(Malformed):
        metadata.check(role, role, bytes(damaged))
        assert metadata.signed_part(bytes(damaged)) != metadata.signed_part(whole) or (
            metadata.signatures(bytes(damaged)) != metadata.signatures(whole)
        )


def test_an_empty_signature_list_is_a_form_that_only_drafts_have() -> None:
    assert metadata.signatures(made_root()) == {}
    one = metadata.with_signatures(made_root(), {ANNAS: "cd" * 64})
    assert metadata.signatures(one) == {ANNAS: "cd" * 64}
    assert metadata.with_signatures(one, {}) == made_root()
    assert metadata.signed_sha256(one) == metadata.signed_sha256(made_root())
    assert signed(ROOT, []) == compact(VALUES["root"])
