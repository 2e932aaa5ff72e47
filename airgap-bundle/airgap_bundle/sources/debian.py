"""Debian packages: locked from upstream's signed index, fetched through the machine's own apt.

    apt/dists/bookworm-security/InRelease                          as upstream signed it
    apt/dists/bookworm-security/main/binary-amd64/Packages.xz      as InRelease names it
    apt/pool/updates/main/o/openssl/libssl3_3.0.17-1~deb12u2_amd64.deb

apt says which packages a set needs; what each of them is (digest, size, path) is read from the index that
gpgv vouched for, never from apt's answer. The indexes travel, too, so that a host can check upstream's
signature.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from airgap_bundle.cache import Cache
from airgap_bundle.recipe_parts import Debian
from airgap_bundle.sources import debs, versions
from airgap_bundle.sources.apt import Apt, Chosen, Index, Suite, address
from airgap_bundle.sources.errors import NotThere, NotVouched, UpstreamFailed, not_there
from airgap_bundle.sources.item import BINARY, DEB, TEXT, Item, media_type
from airgap_bundle.sources.signed_index import KEYRINGS

DEB_KIND, INDEX_KIND = "deb", "deb-index"
AT_ONCE = 24
"""Files that one run of apt fetches."""


@dataclass(frozen=True)
class Assumed:
    """A package that hosts are assumed to have."""

    name: str
    version: str
    provides: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class DebianTarget:
    """For which hosts the packages are, so that the airtight check needs nothing else."""

    architecture: str
    suites: tuple[str, ...]
    base: tuple[Assumed, ...]


def lock(spec: Debian, folder: Path, cache: Cache) -> tuple[list[Item], list[DebianTarget]]:
    """Which files the recipe's packages are. The indexes are in the cache afterwards.

    Raises UpstreamFailed, NotVouched, NotThere, ToolMissing.
    """
    keyring = folder / spec.keyring if "/" in spec.keyring else KEYRINGS / spec.keyring
    items: dict[str, Item] = {}
    targets = []
    for architecture in spec.architectures:
        with cache.work() as root:
            apt = Apt(root, architecture)
            suites = apt.update(spec.suites, spec.components, keyring)
            base = _base(spec, folder, apt, suites, keyring)
            chosen = _choose(spec, apt, suites, base, keyring)
        for index, package in chosen:
            item = _deb_item(index, package)
            items[item.path] = item
        vouching = {id(index) for index, _ in chosen}
        for suite in suites:
            if used := [index for index in suite.indexes if id(index) in vouching]:
                items |= {item.path: item for item in _index_items(suite, used, architecture, cache)}
        targets.append(
            DebianTarget(architecture, spec.suites, tuple(sorted(map(_assumed, base), key=_by_name)))
        )
    return sorted(items.values(), key=lambda item: item.path), targets


def fetch(items: Sequence[Item], cache: Cache) -> None:
    """Bring these items into the cache. Raises UpstreamFailed, NotAsLocked."""
    by_architecture: dict[str, list[Item]] = {}
    for item in items:
        by_architecture.setdefault(item.source["index_architecture"], []).append(item)
    for architecture, group in by_architecture.items():
        with cache.work() as root:
            apt = Apt(root / "apt", architecture)
            places = apt.places(
                sorted({item.source["suite"] for item in group}),
                sorted({item.source["component"] for item in group}),
            )
            wanted = [(item, places[item.source["suite"], item.source["component"]]) for item in group]
            _fetch_from(apt, wanted, root, cache)


def _fetch_from(apt: Apt, wanted: list[tuple[Item, list[str]]], root: Path, cache: Cache) -> None:
    """From the first place of each; when that fails, from the second, and so on."""
    for turn in range(max(len(known) for _, known in wanted)):
        asked = [
            (address(known[turn], item.path.removeprefix("apt/")), item.sha256, root / item.sha256)
            for item, known in wanted
            if turn < len(known)
        ]
        try:
            apt.download(asked)
        except UpstreamFailed:
            if all(turn + 1 >= len(known) for _, known in wanted):
                raise
            continue
        break
    for item, _ in wanted:
        file = root / item.sha256
        if file.is_symlink():  # a mirror in a local folder: apt links to it
            cache.copy(file.resolve(), item.path, item.digest)
        else:
            cache.admit(file, item.sha256, item.size, item.path)


# --- which packages ---------------------------------------------------------------------------------------


def _choose(
    spec: Debian, apt: Apt, suites: Sequence[Suite], base: Sequence[debs.Package], keyring: Path
) -> list[tuple[Index, debs.Package]]:
    known: dict[tuple[str, str, str], tuple[Index, debs.Package]] = {}
    by_name: dict[str, list[tuple[Index, debs.Package]]] = {}
    for suite in suites:
        for index in suite.indexes:
            for package in index.packages:
                # The first suite that has a version is the one that we name as its source.
                known.setdefault((package.name, package.version, package.architecture), (index, package))
                by_name.setdefault(package.name, []).append((index, package))
    for wanted in spec.packages:
        _check_exists(wanted, by_name, spec)
    if not spec.dependencies:
        return [_newest(wanted, by_name) for wanted in spec.packages]
    solution = apt.solve(
        spec.suites, spec.packages, base, keyring, upgrade=spec.upgrade, recommends=spec.recommends
    )
    if not solution:
        not_there(
            "the Debian packages",
            "hosts have them all already",
            "Name a newer version, or say in 'base' what hosts really have.",
        )
    return [_vouched(chosen, known) for chosen in solution]


def _vouched(
    chosen: Chosen, known: dict[tuple[str, str, str], tuple[Index, debs.Package]]
) -> tuple[Index, debs.Package]:
    found = known.get((chosen.name, chosen.version, chosen.architecture))
    if found is None:
        raise NotVouched(
            what=f"{chosen.name} {chosen.version}",
            why="apt chose it and no signed index names it",
            remedy="Lock the recipe again; the mirror may be in the middle of an update.",
        )
    return found


def _check_exists(wanted: str, by_name: dict[str, list[tuple[Index, debs.Package]]], spec: Debian) -> None:
    name, _, version = wanted.partition("=")
    offered = sorted({package.version for _, package in by_name.get(name, ())}, key=versions.newest_last)
    if not offered:
        not_there(
            f"the package {name}",
            f"is not in {', '.join(spec.suites)}",
            "Check its name; `apt-cache search` finds packages. Or name another suite or component.",
        )
    if version and version not in offered:
        not_there(
            f"the package {name}",
            f"has no version {version} in {', '.join(spec.suites)}",
            f"Versions there are {', '.join(offered)}.",
        )


def _newest(wanted: str, by_name: dict[str, list[tuple[Index, debs.Package]]]) -> tuple[Index, debs.Package]:
    name, _, version = wanted.partition("=")
    fitting = [found for found in by_name[name] if not version or found[1].version == version]
    newest = max((package.version for _, package in fitting), key=versions.newest_last)
    return next(found for found in fitting if found[1].version == newest)


# --- what hosts have --------------------------------------------------------------------------------------


def _base(spec: Debian, folder: Path, apt: Apt, suites: Sequence[Suite], keyring: Path) -> list[debs.Package]:
    if spec.base is None:
        return []
    if spec.base.installed:
        return _installed(folder / spec.base.installed, spec.base.installed, suites, apt.architecture)
    first = suites[0]
    known = {
        (package.name, package.version, package.architecture): package
        for index in first.indexes
        for package in index.packages
    }
    names = {name for name, _, _ in known}
    for name in spec.base.packages:
        if name not in names:
            not_there(f"the package {name} of base", f"is not in {first.name}", "Check its name.")
    named = [package for package in known.values() if package.name in spec.base.packages]
    wanted = set(spec.base.packages) | {
        package.name
        for package in known.values()
        if (package.get("Priority") in spec.base.priorities or (package.essential and spec.base.priorities))
        and not any(
            one.conflicts(package) or package.conflicts(one) for one in named
        )  # chrony: not timesyncd
    }
    chosen = apt.solve([first.name], sorted(wanted), [], keyring)
    return [known[one.name, one.version, one.architecture] for one in chosen]


def _installed(path: Path, what: str, suites: Sequence[Suite], architecture: str) -> list[debs.Package]:
    """What a host has: its dpkg status file, or lines `name version` as `dpkg-query -W` prints them."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError as error:
        not_there(what, f"cannot be read ({error.strerror})", "Copy /var/lib/dpkg/status of a host to there.")
    if re.search(r"^Package:", text, re.MULTILINE):
        return [p for p in debs.packages(text) if p.get("Status").endswith(" installed") and p.version]
    known: dict[str, list[debs.Package]] = {}
    for package in (p for suite in suites for index in suite.indexes for p in index.packages):
        known.setdefault(package.name, []).append(package)
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.split()
        if not parts:
            continue
        if len(parts) != 2 or not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9]+)?", parts[0]):
            raise NotThere(
                what=f"{what}:{number}",
                why="is neither of a dpkg status file nor of `dpkg-query -W`",
                remedy="Copy /var/lib/dpkg/status of a host to there.",
            )
        found.append(_stanza(parts[0].partition(":")[0], parts[1], known, architecture))
    return found


def _stanza(name: str, version: str, known: dict[str, list[debs.Package]], architecture: str) -> debs.Package:
    """What the suites say of this version; of another version; or just name and version."""
    offered = known.get(name, [])
    for package in offered:
        if package.version == version:
            return package
    if offered:
        text = re.sub(r"^Version:.*", f"Version: {version}", offered[0].text, count=1, flags=re.MULTILINE)
        return debs.Package(text, name, version, offered[0].architecture)
    text = f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}"
    return debs.Package(text, name, version, architecture)


def _assumed(package: debs.Package) -> Assumed:
    return Assumed(package.name, package.version, tuple(package.provides))


def _by_name(assumed: Assumed) -> tuple[str, str]:
    return assumed.name, assumed.version


# --- items ------------------------------------------------------------------------------------------------


def _deb_item(index: Index, package: debs.Package) -> Item:
    filename, sha256, size = package.get("Filename"), package.get("SHA256"), package.get("Size")
    if not re.fullmatch("[0-9a-f]{64}", sha256) or not size.isdigit() or not filename.startswith("pool/"):
        raise NotVouched(
            what=f"{package.name} {package.version}",
            why=f"the index of {index.suite} gives it no SHA-256, size or place in the pool",
            remedy="Name another suite; this one is not laid out as Debian's are.",
        )
    return Item(
        f"apt/{filename}",
        sha256,
        int(size),
        DEB,
        {
            "architecture": package.architecture,
            "component": index.component,
            "index_architecture": index.name.split("/binary-")[1].split("/")[0],
            "kind": DEB_KIND,
            "package": package.name,
            "source_package": package.source,
            "suite": index.suite,
            "version": package.version,
        },
    )


def _index_items(suite: Suite, used: Iterable[Index], architecture: str, cache: Cache) -> list[Item]:
    """The signed index, put into the cache at once: tomorrow the mirror has another one."""
    source = {
        "component": suite.indexes[0].component,
        "date": suite.signed.fields.get("Date", ""),
        "index_architecture": architecture,
        "kind": INDEX_KIND,
        "suite": suite.name,
    }
    made = cache.add(suite.in_release)
    items = [Item(f"apt/dists/{suite.name}/InRelease", made.sha256, made.size, TEXT, source)]
    for index in used:
        made = cache.add(index.data)
        path = f"apt/dists/{suite.name}/{index.name}"
        kind = media_type(path)
        items.append(
            Item(
                path,
                made.sha256,
                made.size,
                TEXT if kind == BINARY else kind,
                {**source, "component": index.component},
            )
        )
    return items
