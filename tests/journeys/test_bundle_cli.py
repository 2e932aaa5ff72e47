"""A release by the command line: ceremony, recipe, build, shares, media, ingest, receipt, delta."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airgap_bundle.keys import PrivateKey

PEOPLE = ("anna", "beat", "carla")


class Shell:
    """Types commands in a folder, as one of the people would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            k: v for k, v in os.environ.items() if not k.startswith("AIRGAP_BUNDLE_") and k != "PYTHONPATH"
        }

    def __call__(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-m", "airgap_bundle.cli.main", *words],
            cwd=self.folder, env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert ended.returncode == code, (
            f"{' '.join(words)}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        )
        return ended

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self(*words, "--output", "json", code=code).stdout)

    def path(self, name: str) -> Path:
        return self.folder / name


def image(seed: int, changed: int = 0) -> bytes:
    """A disk image: noise that is always the same, with a few blocks that differ."""
    chance = random.Random(seed)
    blocks = [chance.randbytes(4096) for _ in range(1024)]
    for number in range(changed):
        blocks[number * 97] = chance.randbytes(4096)
    return b"".join(blocks)


def recipe(shell: Shell, disk: bytes, notes: str) -> None:
    shell.path("base.raw").write_bytes(disk)
    shell.path("notes.md").write_text(notes)
    shell.path("tools.txt").write_text("a tool\n" * 50_000)
    shell.path("recipe.yaml").write_text(
        "bundle: zone-updates\ntitle: Updates\nnext_expected: 30 days\n"
        "disk_images:\n  - {path: base.raw, as: base.raw}\nfiles:\n  - tools.txt\ndocuments:\n  - notes.md\n"
    )


def build(shell: Shell, name: str, *more: str) -> None:
    shell("lock", "recipe.yaml", "--cache", "cache", "--out", f"{name}.lock")
    shell("collect", f"{name}.lock", "--cache", "cache")
    shell("airtight", f"{name}.lock", "--cache", "cache")
    shell("build", f"{name}.lock", "--cache", "cache", "--root", "root", "--out", name, *more)


def sign(shell: Shell, name: str, *people: str) -> list[str]:
    shares = []
    for person in people:
        shares.append(f"{name}-{person}.share")
        shell("sign", name, "--out", shares[-1], "--key", person, "--yes")
    return shares


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Bundle 1, built, signed by two of three, on a medium; and a zone that trusts the root."""
    made = Shell(tmp_path_factory.mktemp("release"))
    for person in (*PEOPLE, "zone"):
        key = PrivateKey.generate(person)
        made.path(person).write_bytes(key.to_openssh())
        made.path(person).chmod(0o600)
        made.path(f"{person}.pub").write_text(key.public.line + "\n")
    signers = [word for person in PEOPLE for word in ("--signer", f"{person}.pub")]
    made("root", "init", *signers, "--threshold", "2", "--out", "root")
    for person in PEOPLE[:2]:
        made("root", "sign", "root/1.root.json", "--out", f"root-{person}.share", "--key", person, "--yes")
    made("root", "assemble", "root/1.root.json", "root-anna.share", "root-beat.share")
    recipe(made, image(1), "first")
    build(made, "one")
    made("assemble", "one", *sign(made, "one", "anna", "carla"))
    made("carry", "one", "--to", "medium", "--parity", "20+2")
    fingerprint = made.json("root", "show", "root")["fingerprint"]
    made("trust", "init", "root/1.root.json", "--fingerprint", fingerprint, "--trust", "trust")
    return made


def test_what_two_of_three_signed_arrives_and_the_next_is_a_delta_against_the_receipt(shell: Shell) -> None:
    report = shell.json("verify", "medium", "--trust", "trust")
    assert (report["verdict"], len(report["checks"])) == ("accepted", 12)
    shell("ingest", "medium", "--trust", "trust", "--store", "store")
    [kept] = shell.json("store", "list", "--store", "store")
    assert (kept["bundle"], kept["sequence"]) == ("zone-updates", 1)
    where = shell(
        "store", "path", "zone-updates", "1", "documents/notes.md", "--store", "store"
    ).stdout.strip()
    assert shell.path(where).read_text() == "first"

    draft = ("receipt", "draft", "--store", "store", "--trust", "trust", "--site", "zone-geneva")
    shell(*draft, "--out", "receipt.json")
    shell("receipt", "sign", "receipt.json", "--key", "zone")
    codes = shell("receipt", "codes", "receipt.json", "--text").stdout
    shell.path("scanned.txt").write_text("\n".join(reversed(codes.splitlines())))
    shell("receipt", "read", "scanned.txt", "--out", "carried-out.json")

    recipe(shell, image(1, changed=5), "second")
    signed_there = ("--receipt", "carried-out.json", "--receipt-signer", "zone.pub", "--kept", "one")
    build(shell, "two", "--previous", "one", *signed_there)
    summary = shell.json("summary", "two", "--previous", "one")
    assert summary["base"]["sequence"] == 1
    assert {p["part"]: p["changed"] for p in summary["parts"]} == {
        "documents": 1,
        "files": 0,
        "images": 1,
        "sbom": 1,
    }
    assert summary["carried"] < 100_000 < summary["size"]
    shell("assemble", "two", *sign(shell, "two", "beat", "carla"))
    shell("carry", "two", "--to", "medium-two")
    shell("ingest", "medium-two", "--trust", "trust", "--store", "store")
    where = shell("store", "path", "zone-updates", "2", "images/base.raw", "--store", "store").stdout.strip()
    assert shell.path(where).read_bytes() == image(1, changed=5)
    old = shell("ingest", "medium", "--trust", "trust", "--store", "store", code=43)
    assert "went backwards: 2 is here, the bundle offers 1" in old.stderr
    shell("store", "forget", "zone-updates", "1", "--store", "store")
    assert len(shell.json("store", "gc", "--store", "store")["objects"]) >= 2
    shell("store", "check", "--store", "store")


def test_the_same_lock_gives_the_same_bytes(shell: Shell, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shell("build", "one.lock", "--cache", "cache", "--root", "root", "--out", str(again))
    for path in sorted(again.rglob("*")):
        twin = shell.path("one") / path.relative_to(again)
        if path.is_file() and path.parent.name != "metadata":
            assert path.read_bytes() == twin.read_bytes(), path
    assert {p.name for p in again.rglob("*")} == {p.name for p in shell.path("one").rglob("*")}
    signing = [shell.json("summary", str(folder))["signing"] for folder in (again, shell.path("one"))]
    assert signing[0] == signing[1]


def test_one_signature_is_not_enough_and_one_person_is_one_signature(shell: Shell, tmp_path: Path) -> None:
    lone = tmp_path / "lone"
    shell("build", "one.lock", "--cache", "cache", "--root", "root", "--out", str(lone))
    shell("sign", str(lone), "--out", str(tmp_path / "a.share"), "--key", "anna", "--yes")
    shell("sign", str(lone), "--out", str(tmp_path / "b.share"), "--key", "anna", "--yes")
    refused = shell("assemble", str(lone), str(tmp_path / "a.share"), str(tmp_path / "b.share"), code=41)
    assert "needs 2 of the 3 keys" in refused.stderr
    stranger = shell("sign", str(lone), "--out", str(tmp_path / "z.share"), "--key", "zone", "--yes", code=41)
    assert "may sign nothing of this" in stranger.stderr


def test_a_team_vouches_before_the_signers_sign_and_not_after(shell: Shell, tmp_path: Path) -> None:
    vouched = tmp_path / "vouched"
    shell("build", "one.lock", "--cache", "cache", "--root", "root", "--out", str(vouched))
    words = ("--part", "files", "--team", "tools", "--says", "read by two")
    shell("attest", str(vouched), *words, "--key", "zone")
    [said] = shell.json("summary", str(vouched))["attestations"]
    assert (said["part"], said["team"]) == ("files", "tools")
    late = shell("attest", "one", *words, "--key", "zone", code=32)
    assert "already carries signatures" in late.stderr


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["verify", "nothing", "--root", "root/1.root.json"], 17, "there is no such file"),
        (["verify", "medium"], 2, "what to trust is missing"),
        (["build", "one.lock", "--cache", "cache", "--root", "root", "--out", "one"], 31, "is there already"),
        (
            ["build", "one.lock", "--cache", "nowhere", "--root", "root", "--out", "x"],
            15,
            "is not in the cache",
        ),
        (["sign", "one", "--out", "x.share", "--key", "nobody", "--yes"], 12, "there is no such file"),
        (["sign", "one", "--out", "x.share", "--key", "anna"], 2, "nobody is here to be asked"),
        (
            ["root", "init", "--signer", "anna.pub", "--threshold", "2", "--out", "r"],
            11,
            "nobody could ever reach",
        ),
        (["receipt", "show", "notes.md"], 40, "malformed"),
        (["trust", "init", "root/1.root.json", "--fingerprint", "00" * 32, "--trust", "t"], 41, "SHA-256"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_a_remedy(
    shell: Shell, words: list[str], code: int, sentence: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "airgap_bundle.cli.main", *words],
        cwd=shell.folder, env=shell.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert ended.returncode == code, ended.stderr
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
    if code != 2:
        assert len([line for line in ended.stderr.splitlines() if line.startswith("error: ")]) == 1


def test_a_verifier_for_browsers_comes_with_the_package(shell: Shell) -> None:
    shell("verifier", "--out", "verifier.html")
    page = shell.path("verifier.html").read_text()
    assert "Content-Security-Policy" in page
    assert "http-equiv" in page
