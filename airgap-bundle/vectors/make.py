"""Make the vectors: bundles that every verifier must accept, and bundles that every verifier must refuse.

    $ python -m vectors.make            from the folder airgap-bundle: write valid/ invalid/ tampered/
    $ python -m vectors.make --check    fail unless they are what this would write

Every key is a test key whose seed anyone can compute, every date is fixed: made twice, the bytes are the
same.
`expected.json` says what each vector is and what has to come of it, for programs; README.md for people.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from vectors import invalid_vectors, tampered_vectors, valid_vectors
from vectors.forge import sha
from vectors.vector import CLOCK, Vector

HERE = Path(__file__).parent
GROUPS = {"valid": valid_vectors, "invalid": invalid_vectors, "tampered": tampered_vectors}
MADE = (*GROUPS, "roots", "expected.json", "README.md")
README = """\
# Vectors

Bundles that every verifier must accept, and bundles that every verifier must refuse; each breaks one rule of
[the format](../SPEC.md). `make.py` writes them and this page. The Python verifier and the HTML verifier are
tested against all of them, and must come to the same verdict at the same check.

Each folder is a medium. Verify it as of {clock} against the root that `expected.json` names for it:

    airgap-bundle verify vectors/valid/one-file --root vectors/roots/1.root.json

**Every key here is a test key that anyone can compute. Never trust one of these roots.**
"""
TITLES = {
    "valid": "Accepted, or incomplete because a volume is not here.",
    "invalid": "Signed by enough of the right people, and against a rule of the format.",
    "tampered": "Damaged, mixed, cut or added to after they were signed, or not signed by enough.",
}


def write(out: Path) -> None:
    """Write all vectors into the folder `out`."""
    listed, roots = [], Roots(out / "roots")
    for name, vector in vectors():
        made = vector.write(out / name)
        one: dict[str, object] = {
            "name": name,
            "about": vector.about,
            "verdict": vector.verdict,
            "check": vector.check,
        }
        one |= {"root": roots.of(vector.root(made), name), "clock": vector.clock}
        if vector.check is None:
            one["not_checked"] = list(vector.not_checked)
        listed.append(one)
    lines = ",\n".join(json.dumps(one, ensure_ascii=False) for one in listed)
    expected = f'{{"format": "airgap-bundle/vectors/1", "vectors": [\n{lines}\n]}}\n'
    (out / "expected.json").write_text(expected, encoding="utf-8")
    (out / "README.md").write_text(readme(), encoding="utf-8")


def vectors() -> Iterator[tuple[str, Vector]]:
    """Every vector with its full name, such as `invalid/root-hole`."""
    for group, module in GROUPS.items():
        names = [vector.name for vector in module.VECTORS]
        assert len(set(names)) == len(names), "a name is there twice"
        yield from ((f"{group}/{vector.name}", vector) for vector in module.VECTORS)


def readme() -> str:
    """The page for people."""
    lines = [README.format(clock=CLOCK)]
    for group, module in GROUPS.items():
        lines += [
            f"\n## {group}/\n\n{TITLES[group]}\n\n| Vector | Outcome | What is there |\n| --- | --- | --- |\n"
        ]
        for vector in module.VECTORS:
            outcome = f"{vector.verdict} at {vector.check}" if vector.check else vector.verdict
            about = vector.about[0].upper() + vector.about[1:]
            lines.append(f"| `{vector.name}` | {outcome} | {about}. |\n")
    return "".join(lines)


class Roots:
    """The trusted roots, each written once: most vectors share the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, str] = {}

    def of(self, data: bytes, vector: str) -> str:
        """The path of this root below the vectors' folder."""
        digest = sha(data)
        if digest not in self.names:
            self.folder.mkdir(exist_ok=True)
            name = f"{vector.rpartition('/')[2]}.root.json" if self.names else "1.root.json"
            (self.folder / name).write_bytes(data)
            self.names[digest] = f"roots/{name}"
        return self.names[digest]


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file that this script writes below `folder`."""
    found = [path for name in MADE for path in [folder / name, *(folder / name).rglob("*")] if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def main(arguments: list[str]) -> int:
    """Write or check; 0 when all is well."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        write(out)
        if arguments == ["--check"]:
            new, old = files_of(out), files_of(HERE)
            for name in sorted(name for name in {*new, *old} if new.get(name) != old.get(name)):
                print(f"{name} is not what make.py writes", file=sys.stderr)
            return int(new != old)
        for name in MADE:
            if (HERE / name).is_dir():
                shutil.rmtree(HERE / name)
        for name in MADE:
            source = out / name
            shutil.copytree(source, HERE / name) if source.is_dir() else shutil.copy(source, HERE / name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
