"""Make bundles byte by byte, with a hook at every step, so that a vector can break exactly one rule.

    made = forge([entry("files/a.txt", b"hello")], timestamp=Step(edit=lambda v: v.update(version=8)))
    made.container(folder)            zone-updates-7.bundle
    made.folder(folder)               metadata/ targets/ blobs/

Metadata is signed after it was edited, so that every signature is good and nothing but the rule is broken;
what names a file is computed from the file as it has become. It stands on the container's layout (SPEC
section 6) and on Ed25519; the metadata is written here, apart from the code that vectors are there to test.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airgap_bundle.canonical import render
from airgap_bundle.container import lay_out
from airgap_bundle.content import Blob
from airgap_bundle.keys import PrivateKey
from airgap_bundle.volume_json import WHOLE, Cut

BUNDLE, SEQUENCE = "zone-updates", 7
CREATED, NEXT = "2026-11-23T10:00:00Z", "2026-12-23T10:00:00Z"
EXPIRES = "2027-12-28T00:00:00Z"
PREVIOUS = hashlib.sha256(b"the release before, of which only the digest is known").hexdigest()
PEOPLE, THRESHOLD = ("anna", "boris", "clara"), 2
"""Two of three sign root and targets; one machine key each signs snapshot and timestamp."""

Edit = Callable[[dict[str, Any]], object]
Change = Callable[[bytes], bytes]


def key(name: str) -> PrivateKey:
    """The test key of this name: its seed is a digest that anyone can compute. Never trust one."""
    return PrivateKey(hashlib.sha256(f"airgap-bundle TEST VECTOR key: {name}".encode()).digest(), name)


def sha(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Step:
    """What is done otherwise than it should be, when one metadata file is made."""

    edit: Edit = lambda value: None
    """Changes the value before it is rendered."""
    text: Change = lambda text: text
    """Changes the signed part before it is signed."""
    by: Sequence[str] | None = None
    """Who signs instead of those that should."""
    sign: Callable[[dict[str, str], bytes], object] = lambda signatures, part: None
    """Changes the signatures, by key ID; gets the signed part as well."""
    file: Change = lambda data: data
    """Changes the finished file."""


NOTHING = Step()


@dataclass(frozen=True)
class Line:
    """A line of content.ndjson, and the blob that travels for it, if any does."""

    value: Mapping[str, Any]
    blob: bytes | None


def entry(path: str, data: bytes, media: str = "text/plain") -> Line:
    """An entry that travels as it is."""
    return Line({"path": path, "sha256": sha(data), "size": len(data), "type": media}, data)


def packed(path: str, data: bytes, frame: bytes, **other: Any) -> Line:
    """An entry that travels as the zstd frame `frame`."""
    how = {"as": "zstd", "blob": sha(frame), "blob_size": len(frame)}
    return Line({**entry(path, data, "application/json").value, **how, **other}, frame)


def held(path: str, data: bytes) -> Line:
    """An entry of which nothing travels."""
    return Line({**entry(path, data).value, "as": "held"}, None)


def delta(path: str, data: bytes, blob: bytes, bases: Sequence[str]) -> Line:
    """An entry that travels as a delta."""
    how = {"as": "delta", "bases": list(bases), "blob": sha(blob), "blob_size": len(blob)}
    return Line({**entry(path, data).value, **how}, blob)


@dataclass
class Forged:
    """A bundle that was made, and that writes itself in any form."""

    files: dict[str, bytes]
    """Metadata and targets by name, in the order of the container."""
    blobs: dict[str, bytes]
    """In the order of the container."""
    bundle: str = BUNDLE
    sequence: int = SEQUENCE
    root: bytes = b""
    """1.root.json, which is trusted."""
    roots: list[bytes] = field(default_factory=list)

    def folder(self, out: Path) -> None:
        """The folder form."""
        for name, data in {**self.files, **{f"blobs/{n}": data for n, data in self.blobs.items()}}.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(data)

    def container(self, out: Path, cuts: Sequence[Cut] = WHOLE, change: Change = lambda data: data) -> None:
        """One container, or a volume for each cut; `change` damages every one of them."""
        out.mkdir(parents=True, exist_ok=True)
        for name, data in self.volumes(cuts).items():
            (out / name).write_bytes(change(data))

    def volumes(self, cuts: Sequence[Cut] = WHOLE) -> dict[str, bytes]:
        """The volumes by their files' names."""
        named = [(name, len(data)) for name, data in self.files.items()]
        blobs = [Blob(name, len(data)) for name, data in self.blobs.items()]
        made = {}
        for layout in lay_out(named, blobs, cuts, bundle=self.bundle, sequence=self.sequence):
            data = bytearray(layout.size)
            for at, run in layout.framing():
                data[at : at + len(run)] = run
            for member in layout.members:
                if member.name == "VOLUME.json":
                    continue  # it is predicted, so it is part of the framing
                whole = self.blobs[member.blob] if member.blob else self.files[member.name]
                part = whole[member.blob_offset : member.blob_offset + member.size]
                data[member.at : member.at + member.size] = part
            made[layout.name] = bytes(data)
        return made


def forge(
    lines: Iterable[Line],
    *,
    roots: Sequence[Step] = (NOTHING,),
    targets: Step = NOTHING,
    snapshot: Step = NOTHING,
    timestamp: Step = NOTHING,
    release: Edit = lambda value: None,
    release_bytes: Change = lambda data: data,
    content: Change = lambda data: data,
    attestations: Mapping[str, bytes] | None = None,
    sequence: int = SEQUENCE,
    people: Sequence[str] = PEOPLE,
    threshold: int = THRESHOLD,
) -> Forged:
    """Make a bundle. Without any hook it is valid; see `Step` for what each may change."""
    lines = sorted(lines, key=lambda line: str(line.value["path"]).encode("utf-8", "surrogatepass"))
    manifest = content(b"".join(render(dict(line.value)) + b"\n" for line in lines))
    blobs: dict[str, bytes] = {}
    for line in lines:
        if line.blob is not None:
            blobs.setdefault(str(line.value.get("blob", line.value["sha256"])), line.blob)
    about = _release(lines, blobs, sequence)
    release(about)
    named = {"release.json": release_bytes(render(about)), "content.ndjson": manifest, **(attestations or {})}
    order = ["release.json", "content.ndjson", *sorted(attestations or {})]

    chain = _chain(roots, people, threshold)
    made_targets = _signed(
        {"_type": "targets", "targets": {name: _hashes(named[name]) for name in order}},
        sequence,
        targets,
        people[:threshold],
    )
    made_snapshot = _signed(
        {"_type": "snapshot", "meta": {"targets.json": _binding(made_targets, sequence)}},
        sequence,
        snapshot,
        ["snapshot"],
    )
    made_timestamp = _signed(
        {"_type": "timestamp", "meta": {"snapshot.json": _binding(made_snapshot, sequence)}},
        sequence,
        timestamp,
        ["timestamp"],
    )
    files = {
        **{f"metadata/{version}.root.json": data for version, data in enumerate(chain, 1)},
        "metadata/timestamp.json": made_timestamp,
        f"metadata/{sequence}.snapshot.json": made_snapshot,
        f"metadata/{sequence}.targets.json": made_targets,
        **{f"targets/{sha(named[name])}.{name}": named[name] for name in order},
    }
    return Forged(files, blobs, sequence=sequence, root=chain[0], roots=chain)


def key_id(name: str) -> str:
    """The ID of a test key in TUF metadata."""
    return sha(render(_public(key(name).public.raw)))


def _public(raw: bytes) -> dict[str, Any]:
    return {"keytype": "ed25519", "keyval": {"public": raw.hex()}, "scheme": "ed25519"}


def root_keys(names: Iterable[str]) -> dict[str, Any]:
    """Test keys as a root lists them."""
    return {key_id(name): {**_public(key(name).public.raw), "x-owner": f"{name}@test"} for name in names}


def raw_key(raw: bytes) -> tuple[str, dict[str, Any]]:
    """32 bytes as a key of a root, whatever they are, with their ID."""
    return sha(render(_public(raw))), _public(raw)


def new_people(*names: str) -> Edit:
    """Change a root so that these people sign root and targets from then on."""

    def edit(value: dict[str, Any]) -> None:
        value["keys"] = root_keys([*names, "snapshot", "timestamp"])
        for role in ("root", "targets"):
            value["roles"][role]["keyids"] = [key_id(name) for name in names]

    return edit


def _chain(steps: Sequence[Step], people: Sequence[str], threshold: int) -> list[bytes]:
    """Root versions 1, 2, ...; each step changes what the version before said."""
    chain, roles = (
        [],
        {"root": people, "targets": people, "snapshot": ["snapshot"], "timestamp": ["timestamp"]},
    )
    said: dict[str, Any] = {
        "_type": "root",
        "consistent_snapshot": True,
        "keys": root_keys([*people, "snapshot", "timestamp"]),
        "roles": {
            role: {"keyids": [key_id(name) for name in names], "threshold": min(threshold, len(names))}
            for role, names in roles.items()
        },
    }
    for version, step in enumerate(steps, 1):
        said = {**said, "keys": {**said["keys"]}, "roles": {n: {**r} for n, r in said["roles"].items()}}
        chain.append(_signed(said, version, step, people[:threshold]))
    return chain


def _signed(value: dict[str, Any], version: int, step: Step, by: Sequence[str]) -> bytes:
    value |= {"expires": EXPIRES, "spec_version": "1.0.31", "version": version}
    step.edit(value)
    part = step.text(render(value))
    signatures = {key_id(name): key(name).sign(part).hex() for name in (by if step.by is None else step.by)}
    step.sign(signatures, part)
    listed = render([{"keyid": keyid, "sig": sig} for keyid, sig in sorted(signatures.items())])
    return step.file(b'{"signatures":' + listed + b',"signed":' + part + b"}")


def _binding(data: bytes, version: int) -> dict[str, Any]:
    part = data[data.index(b'"signed":') + len(b'"signed":') : -1]
    return {"version": version, "x-signed-sha256": sha(part)}


def whole_file(data: bytes) -> dict[str, Any]:
    """A file as TUF's own fields name it: length and digest with its signatures."""
    return _hashes(data)


def _hashes(data: bytes) -> dict[str, Any]:
    return {"hashes": {"sha256": sha(data)}, "length": len(data)}


def _release(lines: Sequence[Line], blobs: Mapping[str, bytes], sequence: int) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    identities: dict[str, bytes] = {}
    for line in lines:
        # Where the part's name is the rule that is broken, the release names another: it is checked before.
        part = re.sub(r"[^a-z0-9-]", "", str(line.value["path"]).split("/")[0]) or "files"
        sums = parts.setdefault(part, {"bytes": 0, "entries": 0})
        sums["entries"] += 1
        sums["bytes"] += line.value["size"]
        identity = {name: line.value[name] for name in ("path", "sha256", "size", "type")}
        identities[part] = identities.get(part, b"") + render(identity) + b"\n"
    for part, text in identities.items():
        parts[part]["sha256"] = sha(text)
    needy = any(line.value.get("as") in ("held", "delta") for line in lines)
    return {
        "base": {"receipt": sha(b"a receipt"), "sequence": 5} if needy else None,
        "bundle": BUNDLE,
        "content": {
            "bytes": sum(line.value["size"] for line in lines),
            "carried": sum(map(len, blobs.values())),
            "entries": len(lines),
        },
        "created": CREATED,
        "format": "airgap-bundle/release/1",
        "minimum_root": 1,
        "next_expected": NEXT,
        "parts": parts,
        "previous": None if sequence == 1 else PREVIOUS,
        "sequence": sequence,
        "title": "A test vector",
    }
