"""Wheels: what each requires is in the bundle, for the hosts that it is for.

Checked twice: by the wheels' own metadata, with the markers of the target, and by pip itself, cut off from
every index. pip sees the markers of the Python that runs it, so it is asked only when that is the target's
version.
"""

from __future__ import annotations

import email.parser
import sys
import zipfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from packaging import tags
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from airgap_bundle.airtight.leak import Leak
from airgap_bundle.cache import Cache
from airgap_bundle.lock import Lock
from airgap_bundle.sources import pypi
from airgap_bundle.sources.errors import NotVouched, UpstreamFailed
from airgap_bundle.sources.item import Item
from airgap_bundle.sources.pypi import PythonTarget

LARGEST_METADATA = 8 * 1024 * 1024
_TAKE = "Let the recipe take dependencies, or name the package in its requirements."


def find(lock: Lock, cache: Cache) -> Iterator[Leak]:
    """Leaks of the wheels. Raises NotVouched: one is damaged; ToolMissing."""
    items = [item for item in lock.items if item.kind in (pypi.KIND, pypi.LOCAL_KIND)]
    for target in lock.python:
        named = set(target.packages)
        here = [item for item in items if f"{item.source['package']}=={item.source['version']}" in named]
        fitting = [item for item in here if _fits(item, target)]
        leaks = [*_missing(target, fitting), *_unmet(target, fitting, cache)]
        yield from leaks
        if not leaks and fitting and target.version == f"{sys.version_info[0]}.{sys.version_info[1]}":
            yield from _pip_disagrees(target, fitting, cache)


def _fits(item: Item, target: PythonTarget) -> bool:
    version = tuple(int(part) for part in target.version.split("."))
    options = target.options()
    platforms = [value for option, value in pairwise(options) if option == "--platform"]
    known = {
        *tags.cpython_tags(version, platforms=platforms),
        *tags.compatible_tags(version, interpreter=f"cp{version[0]}{version[1]}", platforms=platforms),
    }
    return not known.isdisjoint(parse_wheel_filename(item.file)[3])


def _missing(target: PythonTarget, items: list[Item]) -> Iterator[Leak]:
    there = {f"{item.source['package']}=={item.source['version']}" for item in items}
    for package in target.packages:
        if package not in there:
            yield Leak(
                "pypi",
                0,
                f"has no wheel of {package} for {target.name}",
                package,
                "Lock the recipe again for it.",
            )


def _unmet(target: PythonTarget, items: list[Item], cache: Cache) -> Iterator[Leak]:
    versions = {item.source["package"]: Version(item.source["version"]) for item in items}
    metadata = {item.source["package"]: _metadata(item, cache) for item in items}
    paths = {item.source["package"]: item.path for item in items}
    waiting = [(package, "") for package in versions]
    waiting += [(name, rest.rstrip("]")) for name, _, rest in (one.partition("[") for one in target.extras)]
    seen: set[tuple[str, str]] = set()
    while waiting:
        package, extra = waiting.pop(0)
        if (package, extra) in seen or package not in versions:
            continue
        seen.add((package, extra))
        if not extra:
            yield from _python_too_old(paths[package], metadata[package][1], target)
        for requirement in metadata[package][0]:
            if requirement.marker and not requirement.marker.evaluate({**target.markers(), "extra": extra}):
                continue
            if not requirement.marker and extra:
                continue  # told without the extra
            name = canonicalize_name(requirement.name)
            waiting += [(name, one) for one in requirement.extras]
            if requirement.url or name not in versions or not _accepts(requirement.specifier, versions[name]):
                wanted = str(requirement).partition(";")[0].strip()
                what = f"requires {wanted}, which the bundle does not have for {target.name}"
                yield Leak(paths[package], 0, what, wanted, _TAKE)


def _accepts(specifier: SpecifierSet, version: Version) -> bool:
    return specifier.contains(version, prereleases=True)


def _python_too_old(path: str, wanted: str, target: PythonTarget) -> Iterator[Leak]:
    try:
        fits = not wanted or SpecifierSet(wanted).contains(f"{target.version}.99", prereleases=True)
    except InvalidSpecifier:
        fits = True  # pip takes no notice of it either
    if not fits:
        what = f"needs Python {wanted}, and the hosts have {target.version}"
        yield Leak(path, 0, what, wanted, "Name an older version of the package.")


def _metadata(item: Item, cache: Cache) -> tuple[list[Requirement], str]:
    """What a wheel requires, and which Python. What is no requirement is left out, as pip does."""
    try:
        with zipfile.ZipFile(cache.path(item.sha256)) as archive:
            (name,) = [
                n for n in archive.namelist() if n.endswith(".dist-info/METADATA") and n.count("/") == 1
            ]
            with archive.open(name) as file:
                said = email.parser.BytesParser().parsebytes(file.read(LARGEST_METADATA), headersonly=True)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        raise NotVouched(what=item.path, why="it is not a wheel", remedy="Fetch it again.") from None
    found = []
    for line in said.get_all("Requires-Dist") or ():
        try:
            found.append(Requirement(str(line)))
        except InvalidRequirement:
            continue
    return found, str(said.get("Requires-Python") or "")


def _pip_disagrees(target: PythonTarget, items: list[Item], cache: Cache) -> Iterator[Leak]:
    with cache.work() as work:
        wheels = work / "wheels"
        wheels.mkdir()
        for item in items:
            Path(wheels, item.file).symlink_to(cache.path(item.sha256).absolute())
        extras: dict[str, list[str]] = {}
        for one in target.extras:
            extras.setdefault(one.partition("[")[0], []).append(one.partition("[")[2].rstrip("]"))
        lines = []
        for package in target.packages:
            name, _, version = package.partition("==")
            asked = f"[{','.join(extras[name])}]" if name in extras else ""
            lines.append(f"{name}{asked}=={version}")
        (work / "requirements").write_text("\n".join(lines) + "\n")
        command = [
            "install",
            "--dry-run",
            "--quiet",
            "--ignore-installed",
            "--no-index",
            "--find-links",
            str(wheels),
        ]
        command += ["--target", str(work / "nowhere"), "--requirement", str(work / "requirements")]
        try:
            pypi.pip([*command, *target.options()], "install the wheels from the bundle alone", isolated=True)
        except UpstreamFailed as failed:
            why = str(failed.facts["why"])
            yield Leak("pypi", 0, f"is not enough for {target.name}: {why}", target.name, _TAKE)
