"""Python wheels: chosen, locked and fetched by pip, with the index that is configured on the machine.

    pypi/textual-6.6.0-py3-none-any.whl

pip says which versions fit together and gives each file's SHA-256; its addresses are dropped. Only wheels: a
source distribution would run its own code when it is built. Sources: pip's installation report, PEP 425, 508,
600.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from airgap_bundle.cache import Cache
from airgap_bundle.recipe_parts import Python
from airgap_bundle.sources import tools
from airgap_bundle.sources.errors import ToolMissing, UpstreamFailed, not_there
from airgap_bundle.sources.item import Item, media_type
from airgap_bundle.sources.local import find

KIND, LOCAL_KIND = "wheel", "local-wheel"
AT_ONCE = 20
"""Wheels that one run of pip fetches."""

_ADVICE = "Check the names and versions in the recipe, and the machine's pip configuration."


@dataclass(frozen=True)
class PythonTarget:
    """One kind of host that wheels are for, and which wheels it is to have."""

    version: str
    machine: str
    glibc: str
    packages: tuple[str, ...]
    """`name==version`, names normalised."""
    extras: tuple[str, ...] = ()
    """`name[extra]`: extras that the requirements ask for."""

    @property
    def name(self) -> str:
        """For people and for `Item.source`."""
        return f"cpython-{self.version}-{self.machine}-glibc-{self.glibc}"

    def options(self) -> list[str]:
        """What pip is told for this kind of host."""
        tags = [f"manylinux_2_{minor}_{self.machine}" for minor in range(int(self.glibc[2:]), 4, -1)]
        tags += [f"{old}_{self.machine}" for old in ("manylinux2014", "manylinux2010", "manylinux1", "linux")]
        made = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", self.version]
        return made + [option for tag in tags for option in ("--platform", tag)]

    def markers(self) -> dict[str, str]:
        """The environment that PEP 508 markers see there."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.version}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.version}.0",
            "python_version": self.version,
            "sys_platform": "linux",
        }


def target_of(name: str) -> PythonTarget:
    """The reverse of `PythonTarget.name`, without its packages."""
    _, version, machine, _, glibc = name.split("-")
    return PythonTarget(version, machine, glibc, ())


def lock(spec: Python, folder: Path, cache: Cache) -> tuple[list[Item], PythonTarget]:
    """Which wheels the requirements are. They are in the cache afterwards: only then is their size known.

    Raises NotThere, UpstreamFailed, ToolMissing, NotAsLocked.
    """
    bare = PythonTarget(spec.version, spec.machine, spec.glibc, ())
    items = _local_wheels(spec, folder, cache)
    lines: list[str] = []
    if spec.requirements or spec.requirements_file:
        lines += spec.requirements
        if spec.requirements_file:
            lines += requirement_lines(folder / spec.requirements_file, spec.requirements_file)
        wanted = _resolve(lines, bare, spec.dependencies, cache)
        missing = [item for item in wanted if not cache.has(item.sha256, item.size)]
        for start in range(0, len(missing), AT_ONCE):
            fetch(missing[start : start + AT_ONCE], cache)
        items += [_sized(item, cache) for item in wanted]
    packages = sorted({f"{item.source['package']}=={item.source['version']}" for item in items})
    return items, PythonTarget(spec.version, spec.machine, spec.glibc, tuple(packages), _extras(lines))


def _extras(lines: Sequence[str]) -> tuple[str, ...]:
    asked = [Requirement(line.partition(" --hash=")[0]) for line in lines]
    return tuple(sorted(f"{canonicalize_name(one.name)}[{extra}]" for one in asked for extra in one.extras))


def fetch(items: Sequence[Item], cache: Cache) -> None:
    """Bring these wheels into the cache. Raises UpstreamFailed, NotAsLocked."""
    by_target: dict[str, list[Item]] = {}
    for item in items:
        by_target.setdefault(item.source["target"], []).append(item)
    for target, group in by_target.items():
        with cache.work() as work:
            lines = [
                f"{i.source['package']}=={i.source['version']} --hash=sha256:{i.sha256}\n" for i in group
            ]
            (work / "requirements").write_text("".join(lines))
            options = ["--quiet", "--no-deps", "--require-hashes", "--dest", str(work / "wheels")]
            pip(
                [
                    "download",
                    *options,
                    "--requirement",
                    str(work / "requirements"),
                    *target_of(target).options(),
                ],
                f"fetch {len(group)} wheels, {group[0].file} among them",
            )
            for item in group:
                file = work / "wheels" / item.file
                if not file.exists():
                    raise UpstreamFailed(
                        tool="pip", action=f"fetch {item.file}", why="it brought another file", remedy=_ADVICE
                    )
                cache.admit(file, item.sha256, item.size if item.size >= 0 else None, item.path)


def requirement_lines(path: Path, what: str) -> list[str]:
    """The requirements of a file, each on one line with its hashes. Raises NotThere: options, addresses."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        not_there(what, f"cannot be read ({error})", "Check the path in the recipe.")
    found = []
    joined = re.sub(r"\\\n\s*", lambda match: "\x00" * match.group().count("\n"), text)
    number = 1
    for line in joined.split("\n"):
        requirement, *hashes = re.split(r"\s--hash=", line.replace("\x00", " ").partition(" #")[0].strip())
        if requirement and not requirement.startswith("#"):
            found.append(
                " ".join([checked(requirement, f"{what}:{number}"), *(f"--hash={h.strip()}" for h in hashes)])
            )
        number += 1 + line.count("\x00")
    return found


def checked(requirement: str, what: str) -> str:
    """A requirement that names a package and no address. Raises NotThere."""
    if requirement.startswith("-"):
        not_there(
            what,
            f"'{requirement[:60]}' is an option",
            "Remove it: the machine's pip configuration holds options.",
        )
    try:
        parsed = Requirement(requirement)
    except InvalidRequirement:
        not_there(what, f"'{requirement[:60]}' is not a requirement", "Write name==version.")
    if parsed.url:
        not_there(what, f"{parsed.name} is named by an address", "Write name==version.")
    return str(parsed)


def pip(arguments: Sequence[str], action: str, remedy: str = _ADVICE, *, isolated: bool = False) -> bytes:
    """Run pip: the one of this Python, else the machine's. Raises UpstreamFailed, ToolMissing."""
    if importlib.util.find_spec("pip"):
        command = [sys.executable, "-m", "pip"]
    elif found := shutil.which("pip3"):
        command = [found]
    else:
        raise ToolMissing(tool="pip", purpose=action, package="python3-pip")
    quiet = ["--no-input", "--disable-pip-version-check", "--no-color", *(["--isolated"] if isolated else [])]
    return tools.run([*command, *quiet, *arguments], action, remedy, name="pip")


# --- what pip chooses -------------------------------------------------------------------------------------


def _resolve(lines: Sequence[str], target: PythonTarget, dependencies: bool, cache: Cache) -> list[Item]:
    with cache.work() as work:
        (work / "requirements").write_text("\n".join(lines) + "\n")
        pip(
            ["install", "--dry-run", "--quiet", "--ignore-installed", "--report", str(work / "report")]
            + ["--target", str(work / "nowhere"), "--requirement", str(work / "requirements")]
            + ([] if dependencies else ["--no-deps"])
            + target.options(),
            "find the wheels that the requirements need",
        )
        report = json.loads((work / "report").read_text())
    return sorted((_item(found, target) for found in report["install"]), key=lambda item: item.path)


def _item(found: dict[str, Any], target: PythonTarget) -> Item:
    """One entry of pip's report; its size is not known yet and is -1."""
    file = urllib.parse.unquote(found["download_info"]["url"].partition("#")[0].rpartition("/")[2])
    sha256 = found["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256", "")
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise UpstreamFailed(
            tool="pip", action=f"say what {file} is", why="the index gives it no SHA-256", remedy=_ADVICE
        )
    name, version = found["metadata"]["name"], found["metadata"]["version"]
    return _wheel(file, sha256, -1, {"kind": KIND, "target": target.name}, name, version)


def _sized(item: Item, cache: Cache) -> Item:
    size = cache.path(item.sha256).stat().st_size
    return Item(item.path, item.sha256, size, item.type, item.source)


def _wheel(file: str, sha256: str, size: int, source: dict[str, str], name: str, version: str) -> Item:
    path = f"pypi/{file}"
    source = {**source, "package": canonicalize_name(name), "version": version}
    return Item(path, sha256, size, media_type(path), source)


def _local_wheels(spec: Python, folder: Path, cache: Cache) -> list[Item]:
    items = []
    for pattern in spec.wheels:
        for found in find(folder, pattern):
            try:
                name, version, _, _ = parse_wheel_filename(found.path.name)
            except InvalidWheelFilename:
                not_there(found.shown, "is not a wheel by its name", "Name files that end in .whl.")
            made = cache.copy(found.path, found.shown)
            source = {"file": found.shown, "kind": LOCAL_KIND}
            items.append(_wheel(found.path.name, made.sha256, made.size, source, name, str(version)))
    return items
