"""Bundles whose signed values were changed at random and signed again: both verifiers stop at the same check.

Each example runs in the page and in Python. What one accepts and the other refuses is a hole in one, or SPEC.
"""

from __future__ import annotations

import base64
import copy
import json
from datetime import datetime
from typing import Any

from hypothesis import event, given
from hypothesis import strategies as st

from airgap_bundle.canonical import render
from airgap_bundle.container import header
from airgap_bundle.errors import BundleRefused
from airgap_bundle.metadata_source import MemorySource
from airgap_bundle.policy import Policy
from airgap_bundle.report import Report, Result
from airgap_bundle.trust import Past, open_bundle
from airgap_bundle.trusted_root import TrustedRoot
from airgap_bundle.volume_json import VolumeJson
from tests.browser.core import accepts, js, quick
from tests.browser.devtools import Page
from vectors.forge import Forged, Step, delta, entry, forge, held, key_id, packed
from vectors.frames import frame
from vectors.vector import CLOCK

LINES = (
    delta("files/d.raw", b"rebuilt", b"delta", ["ab" * 32]),
    entry("files/hello.txt", b"Hello, zone!\n"),
    held("files/kept.txt", b"kept"),
    packed("packed/text.txt", b"packed", frame(b"packed")),
)
PIECES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        1,
        2,
        6,
        7,
        8,
        13,
        64,
        -1,
        2**53 - 1,
        "",
        "x",
        "7",
        "1.0",
        "1.0.31",
        "2.0.0",
        "é",
    ),
    *(
        "ab" * 32,
        "0" * 64,
        "AB" * 32,
        "text/plain",
        "zone",
        "files",
        "ed25519",
        "root",
        "targets",
        "timestamp",
    ),
    *("2026-11-23T10:00:00Z", "2026-12-01T00:00:00Z", "2026-12-01T00:00:01Z", "2028-02-30T00:00:00Z"),
    *("2030-01-01T00:00:00Z", "1999-01-01T00:00:00Z", "0999-01-01T00:00:00Z", [], {}, [1], {"a": 1}),
    *(key_id("anna"), key_id("clara"), key_id("timestamp"), {"sha256": "0" * 64}, "release.json"),
]
NAMES = [
    "version",
    "x-signed-sha256",
    "hashes",
    "length",
    "sha256",
    "x-owner",
    "threshold",
    "sequence",
    "base",
]
NAMES += ["as", "blob", "blob_size", "bases", "path", "size", "type", "more", "0" * 64, "attestation-a.json"]


@st.composite
def changes(draw: st.DrawFn) -> Any:
    """A function that changes a value at a place, and gives the changed one."""
    turns = draw(st.lists(st.integers(0, 50), min_size=1, max_size=6))
    act = draw(st.sampled_from(["set", "set", "set", "delete", "add", "move"]))
    piece, name = draw(st.sampled_from(PIECES)), draw(st.sampled_from(NAMES))

    def change(value: Any) -> Any:
        whole = {"value": copy.deepcopy(value)}
        inside, at = whole, "value"
        for turn in turns:
            here: Any = inside[at]
            if isinstance(here, dict) and here:
                inside, at = here, sorted(here)[turn % len(here)]
            elif isinstance(here, list) and here:
                inside, at = here, turn % len(here)  # type: ignore[assignment]
        if act == "add" and isinstance(inside[at], dict):
            inside[at][name] = copy.deepcopy(piece)
        elif act == "move" and isinstance(inside, dict):
            inside[name] = inside.pop(at)
        elif act == "delete" and inside is not whole:
            del inside[at]
        else:
            inside[at] = copy.deepcopy(piece)
        return whole["value"]

    return change


TRY = """
globalThis.open = async (files, root, now) => {
  const { readTrustedRoot, openBundle } = modules["core/trust.js"];
  const { Report } = modules["core/report.js"];
  const { demand } = modules["core/problem.js"];
  const held = new Map(Object.entries(files).map(([name, text]) => [name, bytes(text)]));
  const source = { names: new Set(held.keys()), read: async (name, limit) => {
    demand(held.get(name).length <= limit, "too long");
    return held.get(name);
  } };
  const report = new Report();
  await openBundle(source, { root: await readTrustedRoot(root) }, now, report);
  return report.checks.slice(1, 8).map(({ result, text }) => [result, text]);
}, undefined
"""


def compare(core: Page, made: Forged) -> None:
    """Hold what the page finds in checks 2 to 8 against what Python finds."""
    files = {name: base64.b64encode(data).decode() for name, data in made.files.items()}
    core.run(TRY)
    found = core.run(f"open({json.dumps(files)}, {js(made.root)}, Date.parse({json.dumps(CLOCK)}))")
    report = Report()
    try:
        clock = datetime.fromisoformat(CLOCK)
        root = TrustedRoot.parse(made.root)
        open_bundle(
            MemorySource(made.files), root, Past.unknown(), clock=clock, policy=Policy(), report=report
        )
    except BundleRefused:
        pass
    wanted = [(str(check.result), check.text) for check in report.checks[1:8]]
    failed = next((n for n, (result, _) in enumerate(wanted, 2) if result == Result.FAILED), None)
    event(f"stops at {failed}")
    assert [result for result, _ in found] == [result for result, _ in wanted], (found, wanted)


@quick
@given(st.sampled_from(["root", "targets", "snapshot", "timestamp"]), changes())
def test_changed_metadata_fares_alike(core: Page, role: str, change: Any) -> None:
    state: dict[str, Any] = {}

    def edit(value: dict[str, Any]) -> None:
        state["value"] = change(value)

    def text(part: bytes) -> bytes:
        try:
            return render(state["value"])
        except ValueError:
            return part

    step = Step(edit=edit, text=text)
    if role == "root":
        made = forge(LINES, roots=(Step(), Step(edit=edit, text=text, by=("anna", "boris"))))
    else:
        made = forge(LINES, **{role: step})  # type: ignore[arg-type]
    compare(core, made)


@quick
@given(changes())
def test_a_changed_release_fares_alike(core: Page, change: Any) -> None:
    def changed(data: bytes) -> bytes:
        try:
            return render(change(json.loads(data)))
        except ValueError:
            return data

    compare(core, forge(LINES, release_bytes=changed))


@quick
@given(st.integers(0, 3), changes())
def test_a_changed_line_of_contents_fares_alike(core: Page, number: int, change: Any) -> None:
    def changed(data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        try:
            lines[number] = render(change(json.loads(lines[number]))) + b"\n"
        except ValueError:
            return data
        return b"".join(lines)

    compare(core, forge(LINES, content=changed))


@quick
@given(changes(), st.integers(1, 3))
def test_a_changed_volume_json_is_read_alike(core: Page, change: Any, volumes: int) -> None:
    cuts = [[0, 0], [1, 5], [3, 0]][:volumes]
    names = [[name, len(data)] for name, data in forge(LINES).files.items()]
    about = {"bundle": "zone", "cuts": cuts, "format": "airgap-bundle/volume/1", "metadata": names}
    try:
        data = render(change({**about, "sequence": 7, "volume": 1}))
    except ValueError:
        return
    try:
        VolumeJson.parse(data)
        good = True
    except BundleRefused:
        good = False
    event(f"read: {good}")
    ours, why = accepts(core, f"modules['core/container.js'].readVolumeJson({js(data)})")
    assert ours == good, (data, why)


@quick
@given(st.integers(0, 511), st.integers(0, 255), st.integers(0, 300_000))
def test_a_changed_first_header_is_read_alike(core: Page, at: int, byte: int, size: int) -> None:
    data = bytearray(header("VOLUME.json", size))
    data[at] = byte
    digits = bytes(data[124:135])
    plain = all(48 <= digit < 56 for digit in digits)
    good = plain and bytes(data) == header("VOLUME.json", int(digits, 8)) and int(digits, 8) <= 256 * 1024
    ours, _ = accepts(core, f"modules['core/container.js'].readFirstHeader({js(bytes(data))})")
    assert ours == good
