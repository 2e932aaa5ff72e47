"""FORMAT.md is true: its commands run, its files verify, its checks are in the code. So are the examples."""

from __future__ import annotations

import base64
import doctest
import importlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from airgap_bundle import transparency
from airgap_bundle.transparency import checkpoint, proof, stored
from airgap_bundle.transparency.cosignature import Quorum, WitnessKey
from airgap_bundle.transparency.merkle import Tree, leaf_hash
from airgap_bundle.transparency.note import VerifierKey

FOLDER = Path(transparency.__file__).parent
PAGE = (FOLDER / "FORMAT.md").read_text()
FILES: dict[str, str] = dict(
    re.findall(r"^`([\w.-]+)`[^\n]*:\n\n```\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
)
MODULES = sorted(path.stem for path in FOLDER.glob("*.py"))


def commands() -> list[tuple[str, str]]:
    """Every command of the page with the output that the page shows."""
    lines = "".join(re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    found = re.findall(r"^\$ (.*\n(?:> .*\n)*)((?:(?![$>] ).*\n)*)", lines, re.MULTILINE)
    return [(command.replace("\n> ", "\n"), output) for command, output in found]


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_an_auditor_gets_what_the_page_shows(tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    script = "".join(f"{command}\necho '---8<---'\n" for command, _ in commands())
    done = subprocess.run(["bash", "-eu"], input=script, cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split("---8<---\n")[:-1] == [output for _, output in commands()]
    assert len(commands()) > 25


ENTRIES = [leaf_hash(b"%d" % number) for number in range(13)]
TREE, ARRAY = Tree(), list[bytes]()
for leaf in ENTRIES:
    ARRAY += TREE.append(leaf)


def read(positions: Sequence[int]) -> list[bytes]:
    return [ARRAY[position] for position in positions]


def by_hand(call: str, hashes: Sequence[bytes]) -> list[str]:
    """What the page's shell functions make of these hashes."""
    functions = "".join(f"{command}\n" for command, _ in commands() if re.match(r"\w+\(\)", command))
    done = subprocess.run(
        ["bash", "-euc", f"{functions}\n{call}"],
        input="".join(f"{one.hex()}\n" for one in hashes),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 3), (6, 7), (8, 11), (9, 13), (12, 13)])
def test_the_page_climbs_to_the_root_from_any_entry(index: int, size: int) -> None:
    proof = stored.prove_inclusion(index, size, read)
    root = stored.root_at(size, read)
    assert by_hand(f"climb {index} {size} {ENTRIES[index].hex()}", proof) == [root.hex()]


@pytest.mark.parametrize(("old", "new"), [(1, 2), (4, 7), (6, 8), (7, 13), (8, 13), (11, 12)])
def test_the_page_bridges_any_two_sizes(old: int, new: int) -> None:
    roots = [stored.root_at(size, read) for size in (old, new)]
    found = by_hand(f"bridge {old} {new} {roots[0].hex()}", stored.prove_consistency(old, new, read))
    assert [base64.b64decode(text) for text in found] == roots


def test_the_files_of_the_page_verify() -> None:
    log, witness = VerifierKey.parse(FILES["log.vkey"].strip()), WitnessKey.parse(FILES["w1.vkey"].strip())
    quorum = Quorum((witness,), 1)
    three = checkpoint.verify(checkpoint.parse(FILES["three.checkpoint"].encode()), log.name, [log])
    assert [one.time for one in quorum.check(three)] == [1764000000]
    entry = proof.parse(FILES["second.tlog-proof"].encode())
    five = proof.verify(entry, leaf_hash(b"b"), log.name, [log], quorum)
    later = proof.parse_consistency(FILES["later.tlog-extension"].encode())
    assert proof.verify_consistency(later, three.checkpoint, [log], quorum) == five
    assert (three.size, five.size) == (3, 5)


def test_every_check_of_the_page_is_named_in_the_code() -> None:
    listed = set(re.findall(r"^- \*\*([A-Z]\d)\*\*", PAGE, re.MULTILINE))
    code = "".join((FOLDER / f"{name}.py").read_text() for name in MODULES)
    named = set(re.findall(r"\b([KNCWPX]\d)\b", "".join(re.findall(r"# check.*", code))))
    assert named == listed


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_code_are_true(name: str) -> None:
    module = importlib.import_module(
        f"airgap_bundle.transparency.{name}" if name != "__init__" else "airgap_bundle"
    )
    result = doctest.testmod(module)
    assert result.failed == 0
    assert result.attempted or name == "__init__"
