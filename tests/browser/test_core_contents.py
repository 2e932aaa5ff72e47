"""The core's reading of paths, contents and the container against the Python verifier's.

Each example runs in the page. What one side accepts and the other refuses is a hole in one, or in SPEC.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from airgap_bundle import canonical, container, content
from airgap_bundle.canonical import Malformed
from airgap_bundle.content import Blob
from airgap_bundle.content_rules import fold, why_not_a_path
from airgap_bundle.volume_json import Cut
from tests.browser.core import accepts, js, quick
from tests.browser.devtools import Page
from vectors.forge import delta, entry, held, packed

letters = st.text(max_size=12) | st.text("ab./ \\:AÅÅsßſςΣσﬁıİiK̈́é", max_size=12)


@quick
@given(letters)
@example("a/" + "é" * 101)
def test_the_same_paths_are_allowed(core: Page, path: str) -> None:
    assume(all(unicodedata.category(c) != "Cs" for c in path))
    for candidate in (path, f"part/{path}"):
        found = core.run(f"modules['core/paths.js'].whyNotAPath({json.dumps(candidate)})")
        assert (found is None) == (why_not_a_path(candidate) is None), candidate


@quick
@given(letters)
def test_paths_fold_alike(core: Page, path: str) -> None:
    assume(all(unicodedata.category(c) not in ("Cs", "Cn") for c in path))
    assert core.run(f"modules['core/paths.js'].folded({json.dumps(path)})") == fold(path)


def test_every_character_folds_and_prints_alike(core: Page) -> None:
    core.run(
        "globalThis.of = (c) =>"
        " [modules['core/unicode.js'].isPrintable(c), modules['core/paths.js'].folded(c)]"
    )
    for start in range(0, 0x110000, 0x8000):
        chars = [chr(c) for c in range(start, start + 0x8000) if not 0xD800 <= c < 0xE000]
        found = core.run(f"{json.dumps(chars)}.map(of)")
        for char, (printable, folded) in zip(chars, found, strict=True):
            assert printable == char.isprintable(), f"U+{ord(char):04X}"
            if printable:
                assert folded == fold(char), f"U+{ord(char):04X}"


paths = st.sampled_from(
    ["a/x", "a/X", "a/y", "a/x/y", "b/é", "b/é", "b/É", "b-2/z", "a/ﬁ", "a/fi", "b/b/b", "b/B/c"]
)
blobs = st.sampled_from([b"", b"one", b"two"])
entries = st.one_of(
    st.builds(entry, paths, blobs),
    st.builds(held, paths, blobs),
    st.builds(packed, paths, blobs, blobs),
    st.builds(
        delta, paths, blobs, blobs, st.lists(blobs.map(lambda b: hashlib.sha256(b).hexdigest()), max_size=3)
    ),
)


@quick
@given(
    st.lists(entries, max_size=4),
    st.booleans(),
    st.integers(0, 700),
    st.sampled_from([b"", b"\n", b"0", b"x"]),
)
def test_the_same_lists_of_contents_are_read(
    core: Page, lines: list[Any], ordered: bool, at: int, other: bytes
) -> None:
    if ordered:
        lines = sorted(
            {line.value["path"]: line for line in lines}.values(), key=lambda one: one.value["path"]
        )
    data = b"".join(canonical.render(dict(line.value)) + b"\n" for line in lines)
    for candidate in (data, data[:at] + other + data[at + 1 :]):
        try:
            theirs = content.parse(candidate)
            sums = [len(theirs.entries), theirs.size, theirs.carried]
            parts = {name: part.sha256 for name, part in theirs.parts().items()}
            wanted: Any = [sums, parts, [list(blob) for blob in theirs.blobs.values()]]
        except Malformed:
            wanted = None
        good, found = accepts(
            core,
            f"(({{entries, bytes, carried, parts, blobs}}) => [[entries.length, bytes, carried],"
            " Object.fromEntries([...parts].map(([name, part]) => [name, part.sha256])), [...blobs]])"
            f"(modules['core/content.js'].readContent({js(candidate)}))",
        )
        assert (found if good else None) == wanted, candidate


# The container --------------------------------------------------------------------------------------------


@quick
@given(
    st.lists(st.sampled_from([0, 1, 511, 512, 513, 65_535, 65_536, 65_537, 70_000, 200_000]), max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([0, 1, 512, 65_000])), max_size=3),
    st.integers(0, 3000),
    st.integers(1, 100),
)
def test_every_byte_of_the_framing_is_predicted_alike(
    core: Page, sizes: list[int], places: list[tuple[int, int]], release: int, name: int
) -> None:
    blobs = [Blob(hashlib.sha256(b"%d" % n).hexdigest(), size) for n, size in enumerate(sizes)]
    cuts = [Cut(0, 0), *sorted({Cut(*place) for place in places if place != (0, 0)})]
    metadata = [
        ("metadata/1.root.json", 1000),
        ("metadata/timestamp.json", 512),
        ("metadata/7.snapshot.json", 0),
        ("metadata/7.targets.json", 1),
        (f"targets/{'0' * 64}.release.json", release),
        (f"targets/{'1' * 64}.content.ndjson", 600),
        (f"targets/{'2' * 64}.attestation-{'x' * name}.json", 2),
    ]
    try:
        wanted = container.lay_out(metadata, blobs, cuts, bundle="zone", sequence=7)
    except Malformed:
        wanted = None
    about = {"bundle": "zone", "sequence": 7, "metadata": metadata, "cuts": cuts}
    core.run(FRAMING)
    script = f"framing({json.dumps(about)}, {json.dumps(metadata)}, {json.dumps(blobs)})"
    good, found = accepts(core, script)
    if wanted is None:
        assert not good
        return
    assert good, found
    assert found == [framing_of(volume) for volume in wanted]


FRAMING = """
globalThis.framing = async (about, metadata, blobs) => {
  const { checkCuts, layout } = modules["core/container.js"];
  checkCuts(about.cuts, blobs);
  const made = [];
  for (let volume = 1; volume <= about.cuts.length; volume++) {
    const hash = new modules["core/sha256.js"].Sha256();
    const files = new Map(metadata.map(([name, size]) => [name, new Uint8Array(size)]));
    let end = 0;
    const members = [];
    for (const { at, bytes, size, blob, offset } of layout({ ...about, volume }, files, blobs)) {
      if (at !== end) throw new Error("a gap");
      if (bytes) hash.update(bytes);
      else members.push([at, size, blob, offset]);
      end = at + (bytes ? bytes.length : size);
    }
    made.push([end, hash.hex(), members]);
  }
  return made;
}, undefined
"""


def framing_of(volume: container.VolumeLayout) -> list[Any]:
    """Size, digest of all framing with metadata of zeros, and the blobs' members of a volume."""
    hash_ = hashlib.sha256()
    pieces = dict(volume.framing())
    members = []
    for member in volume.members:
        if member.blob is None:
            if member.name != "VOLUME.json" and member.size:
                pieces[member.at] = bytes(member.size)
        else:
            members.append([member.at, member.size, member.blob, member.blob_offset])
    for _, run in sorted(pieces.items()):
        hash_.update(run)
    return [volume.size, hash_.hexdigest(), members]
