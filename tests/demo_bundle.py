"""`make demo-bundle`: a real release crosses the gap, is tampered with on the way, and a delta follows it.

Every line that begins with `$` is a command that you can type; nothing is staged. Packages come from this
machine's own apt and pip configuration; everything after `carry` works without any network. The folders stay,
to look around: .lab/demo-bundle/low is the outside, .lab/demo-bundle/zone the inside.
"""

from __future__ import annotations

import os
import random
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = Path(os.environ.get("DEMO_HOME") or ROOT / ".lab" / "demo-bundle")
LOW, MEDIA, ZONE = HOME / "low", HOME / "media", HOME / "zone"
RECIPES = ROOT / "airgap-bundle" / "recipes"
TOOL = ROOT / ".venv" / "bin" / "airgap-bundle"
PEOPLE = ("anna", "beat", "carla")
NAME = "zone-demo"
BOLD, DIM, PLAIN = ("\x1b[1m", "\x1b[2m", "\x1b[0m") if sys.stdout.isatty() else ("", "", "")


def main() -> int:
    """Run the demo."""
    keep = LOW / "cache"  # what was fetched once is not fetched again
    saved = HOME.with_name("demo-bundle-cache")
    if keep.exists():
        shutil.rmtree(saved, ignore_errors=True)
        keep.rename(saved)
    shutil.rmtree(HOME, ignore_errors=True)
    for folder in (LOW, MEDIA, ZONE):
        folder.mkdir(parents=True)
    if saved.exists():
        saved.rename(keep)
    shutil.copytree(RECIPES, LOW / "recipes", ignore=shutil.ignore_patterns("made", "__pycache__"))
    shutil.copytree(ROOT / "requirements", HOME / "requirements")  # the recipe names the plane's own wheels
    began = time.monotonic()
    ceremony()
    release("one", [], "2026-11-23T10:00:00Z")
    sign_and_carry("one", "--volume-size", "200MB", "--parity", "volume")
    enter()
    tamper()
    lose_a_volume()
    ingest("one")
    receipt()
    release("two", ["--with", "hello"], "2026-12-23T10:00:00Z", *delta_options())
    sign_and_carry("two")
    ingest("two")
    compare()
    print(f"\n{BOLD}That took {time.monotonic() - began:.0f} seconds.{PLAIN}")
    goodbye()
    return 0


# --- the story ------------------------------------------------------------------------------------------


def ceremony() -> None:
    """Three people make the root that two of them sign."""
    chapter("Three release engineers make their keys; the root says that two of them are needed")
    for person in (*PEOPLE, "zone"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", person, "-f", str(LOW / person))
    signers = [word for person in PEOPLE for word in ("--signer", str(LOW / f"{person}.pub"))]
    root = LOW / "root"
    bundle("root", "init", *signers, "--threshold", "2", "--out", str(root))
    first = str(root / "1.root.json")
    for person in PEOPLE[:2]:
        share = str(LOW / f"root-{person}.share")
        bundle("-q", "root", "sign", first, "--out", share, "--key", str(LOW / person), "--yes")
    bundle("root", "assemble", first, *(str(LOW / f"root-{p}.share") for p in PEOPLE[:2]))
    bundle("root", "sheet", first)


def release(name: str, parts: Sequence[str], created: str, *options: str) -> None:
    """From a recipe to an unsigned bundle."""
    chapter(f"Release {name}: an OCI image and a disk are made, the recipe is locked, collected and checked")
    made = LOW / "recipes" / "demo" / "made"
    run(sys.executable, str(LOW / "recipes" / "demo_parts.py"), str(made), "--created", created, *parts)
    lock, cache = str(LOW / f"{name}.lock"), str(LOW / "cache")
    recipe = str(LOW / "recipes" / "demo.yaml")
    bundle("lock", recipe, "--cache", cache, "--out", lock, "--created", created)
    bundle("collect", lock, "--cache", cache, "--folder", str(LOW / "recipes"))
    bundle("airtight", lock, "--cache", cache)
    began = time.monotonic()
    out = str(LOW / name)
    bundle("build", lock, "--cache", cache, "--root", str(LOW / "root"), "--out", out, *options)
    print(f"{DIM}(built in {time.monotonic() - began:.1f} s){PLAIN}")


def sign_and_carry(name: str, *options: str) -> None:
    """Two of three sign, each by a share; then onto the medium."""
    chapter("Two of the three look at the summary and sign on their own machines; then it goes onto a medium")
    folder = LOW / name
    before = ("--previous", str(LOW / "one")) if name != "one" else ()
    bundle("summary", str(folder), *before)
    shares = []
    for person in ("anna", "carla"):
        shares.append(str(LOW / f"{name}-{person}.share"))
        words = ("--out", shares[-1], "--key", str(LOW / person), "--yes")
        bundle("sign", str(folder), *words, quiet=True)
    bundle("assemble", str(folder), *shares)
    bundle("carry", str(folder), "--to", str(MEDIA / name), *options)


def enter() -> None:
    """The zone begins to trust the root."""
    chapter("Inside: the root came by hand, its fingerprint was read aloud from the sheet")
    shown = bundle("-o", "json", "root", "show", str(LOW / "root"), capture=True)
    fingerprint = shown.split('"fingerprint": "')[1].split('"')[0]
    shutil.copy(LOW / "root" / "1.root.json", ZONE / "1.root.json")
    words = ("--fingerprint", fingerprint, "--trust", str(ZONE / "trust"))
    bundle("trust", "init", str(ZONE / "1.root.json"), *words)


def tamper() -> None:
    """Five ways to change what was signed; each is refused with its own sentence."""
    chapter("Tampering on the way, in five ways: each is refused, each with its own sentence")
    tricks: list[tuple[str, Callable[[Path], None], int]] = [
        ("one bit of a package is flipped", flip_a_bit, 44),
        ("a file of somebody else is put beside the volumes", add_a_file, 40),
        ("a volume is cut short", cut_short, 44),
        ("the list of contents is exchanged for another", exchange_content, 44),
        ("a signature is taken away", take_a_signature, 41),
    ]
    for said, change, code in tricks:
        copy = HOME / "tampered"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(MEDIA / "one", copy)
        print(f"\n{said}:")
        change(copy)
        words = relative("ingest", str(copy), "--trust", str(ZONE / "trust"), "--store", str(HOME / "try"))
        done = subprocess.run([TOOL, "-q", *words], text=True, capture_output=True, cwd=ROOT)
        if done.returncode != code:
            raise SystemExit(f"{said}: exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
        show([TOOL.name, "-q", *words])
        print(f"{done.stderr.strip()}\n{DIM}(exit code {code}){PLAIN}")
    shutil.rmtree(HOME / "tampered")
    shutil.rmtree(HOME / "try")


def volumes(folder: Path) -> list[Path]:
    """The volumes on a medium, in order."""
    return sorted(folder.glob("*.bundle"))


def flip_a_bit(folder: Path) -> None:
    """In the middle of a volume."""
    path = volumes(folder)[1]
    at = random.Random(7).randrange(path.stat().st_size // 2, path.stat().st_size - 100_000)
    with path.open("r+b") as file:
        file.seek(at)
        [byte] = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def add_a_file(folder: Path) -> None:
    """Something nobody signed."""
    (folder / "install.sh").write_text("#!/bin/sh\n")


def cut_short(folder: Path) -> None:
    """A copy that ended early."""
    path = volumes(folder)[0]
    os.truncate(path, path.stat().st_size - 4096)


def exchange_content(folder: Path) -> None:
    """Another content manifest of the same length, in every volume."""
    for path in volumes(folder):
        data = path.read_bytes()
        head = data[: 32 * 1024 * 1024].replace(b'"path":"apt/', b'"path":"aqt/')
        path.write_bytes(head + data[32 * 1024 * 1024 :])


def take_a_signature(folder: Path) -> None:
    """One of the two signatures of targets becomes another one."""
    for path in volumes(folder):
        data = bytearray(path.read_bytes())
        at = data.index(b'"sig":"', data.index(b"1.targets.json"))
        data[at + 7 : at + 15] = b"00000000" if data[at + 7 : at + 15] != b"00000000" else b"11111111"
        path.write_bytes(data)


def lose_a_volume() -> None:
    """One volume is lost; parity rebuilds it."""
    chapter("A disk is lost on the way: its volume is rebuilt from the others")
    lost = volumes(MEDIA / "one")[1]
    lost.unlink()
    bundle("repair", str(MEDIA / "one"), "--to", str(HOME / "mended"))
    shutil.move(HOME / "mended" / lost.name, lost)


def ingest(name: str) -> None:
    """Check it, and take it in."""
    chapter(f"Inside: bundle {name} is verified while it is read once, and taken in")
    began = time.monotonic()
    words = ("--trust", str(ZONE / "trust"), "--store", str(ZONE / "store"))
    bundle("ingest", str(MEDIA / name), *words)
    print(f"{DIM}({time.monotonic() - began:.1f} s){PLAIN}")


def receipt() -> None:
    """What is there now goes back out."""
    chapter("The zone says what it has: a receipt, signed, as QR codes on paper")
    words = ("--store", str(ZONE / "store"), "--trust", str(ZONE / "trust"), "--site", "zone-demo-1")
    file = str(ZONE / "receipt.json")
    bundle("receipt", "draft", *words, "--out", file)
    bundle("receipt", "sign", file, "--key", str(LOW / "zone"))
    bundle("receipt", "codes", file, "--characters", "300")
    codes = bundle("receipt", "codes", file, "--text", capture=True)
    (HOME / "scanned.txt").write_text(codes)
    bundle("receipt", "read", str(HOME / "scanned.txt"), "--out", str(LOW / "receipt.json"))


def delta_options() -> list[str]:
    """The second release stands on what the receipt says."""
    receipt_options = ["--receipt", str(LOW / "receipt.json"), "--receipt-signer", str(LOW / "zone.pub")]
    return ["--previous", str(LOW / "one"), *receipt_options, "--kept", str(LOW / "one")]


def compare() -> None:
    """How large each was."""
    chapter("What changed, and how large the two bundles are")
    bundle("diff", str(LOW / "one"), str(LOW / "two"), expect=3)
    sizes = {n: sum(p.stat().st_size for p in volumes(MEDIA / n)) for n in ("one", "two")}
    print(f"\nbundle one  {sizes['one'] / 1e6:7.1f} MB\nbundle two  {sizes['two'] / 1e6:7.1f} MB, a delta")
    bundle("store", "check", "--store", str(ZONE / "store"))


def goodbye() -> None:
    """Where things are, and what to try."""
    store, trust = shorter(str(ZONE / "store")), shorter(str(ZONE / "trust"))
    page = shorter(str(MEDIA / "one" / "carry-sheet.html"))
    print(f"""
The outside is {shorter(str(LOW))}, the media are {shorter(str(MEDIA))}, the inside is {shorter(str(ZONE))}.
A carry sheet to look at or print: {page}

Try next:
  .venv/bin/airgap-bundle verify {shorter(str(MEDIA / "two"))} --trust {trust} --store {store}
  .venv/bin/airgap-bundle verifier --out verifier.html      then open it in a browser, offline
  .venv/bin/airgap-bundle store list --store {store}""")


# --- how it is told -------------------------------------------------------------------------------------


def bundle(*arguments: str, expect: int = 0, capture: bool = False, quiet: bool = False) -> str:
    """A command of the tool, as a person types it. Ends the demo when its exit code is another."""
    show([TOOL.name, *arguments])
    out = subprocess.PIPE if capture or quiet else None
    done = subprocess.run([TOOL, *relative(*arguments)], text=True, stdout=out, cwd=ROOT)
    if done.returncode != expect:
        raise SystemExit(f"that should have ended with exit code {expect}, it was {done.returncode}")
    return done.stdout or ""


def run(*command: str) -> None:
    """Any other command."""
    show(command)
    subprocess.run(relative(*command), check=True, cwd=ROOT)


def show(command: Sequence[str]) -> None:
    """The command as one would type it from here."""
    print(f"{BOLD}$ {' '.join(shlex.quote(shorter(word)) for word in command)}{PLAIN}", flush=True)


def relative(*words: str) -> list[str]:
    """The words as they are typed from the checkout."""
    return [shorter(word) for word in words]


def shorter(text: str) -> str:
    """Paths as seen from the checkout."""
    return text.replace(f"{ROOT}/", "")


def chapter(title: str) -> None:
    """A heading."""
    print(f"\n{BOLD}=== {title}{PLAIN}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
