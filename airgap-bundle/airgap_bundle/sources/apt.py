"""The machine's own apt, in a private folder: its mirrors, proxies and credentials, but not its packages.

    ROOT/sources.list      the machine's entries for the wanted suites, as apt itself lists them
    ROOT/state/lists       the indexes, as they came
    ROOT/state/status      what is assumed to be installed

Nothing outside ROOT is written, and no hook or preference of the machine has a say in what is chosen.
Addresses stay in here. Source: apt.conf(5), apt-get(8) `indextargets`, apt-helper.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from airgap_bundle.sources import debs, tools
from airgap_bundle.sources.errors import NotVouched, UpstreamFailed
from airgap_bundle.sources.signed_index import SignedIndex, verify

HELPER = "/usr/lib/apt/apt-helper"

_CONF = """
Dir::State "{root}/state";
Dir::State::status "{root}/state/status";
Dir::Cache "{root}/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "{architecture}";
#clear APT::Architectures;
APT::Architectures {{ "{architecture}"; }};
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Update::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear APT::Default-Release;
#clear APT::NeverAutoRemove;
Acquire::PDiffs "false";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
#clear Acquire::IndexTargets::deb::Packages::KeepCompressedAs;
Acquire::IndexTargets::deb::Packages::KeepCompressedAs "xz gz uncompressed";
Acquire::IndexTargets::deb::Packages::KeepCompressed "true";
#clear Acquire::CompressionTypes::Order;
Acquire::CompressionTypes::Order {{ "xz"; "gz"; }};
Acquire::Retries "3";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
"""


@dataclass(frozen=True)
class Index:
    """One Packages file that upstream vouches for, and the packages in it."""

    suite: str
    component: str
    name: str
    """Below the suite's folder: `main/binary-amd64/Packages.xz`."""
    data: bytes
    packages: tuple[debs.Package, ...]


@dataclass(frozen=True)
class Suite:
    """One suite as it came: the signed InRelease and its package indexes."""

    name: str
    in_release: bytes
    signed: SignedIndex
    indexes: tuple[Index, ...]


@dataclass(frozen=True)
class Chosen:
    """A package that apt chose."""

    name: str
    version: str
    architecture: str


class Apt:
    """apt in the private folder `root`, for one architecture."""

    def __init__(self, root: Path, architecture: str) -> None:
        self.root = root.absolute()
        self.architecture = architecture
        for folder in ("state/lists/partial", "cache/archives/partial"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        (self.root / "state/status").touch()
        (self.root / "apt.conf").write_text(_CONF.format(root=self.root, architecture=architecture))
        self._repositories: dict[tuple[str, str], str] = {}
        """Where each suite's component is; known after `update`."""

    def places(self, suites: Sequence[str], components: Sequence[str]) -> dict[tuple[str, str], list[str]]:
        """Where the machine's APT sources have each suite's component. Raises UpstreamFailed: nowhere."""
        found: dict[tuple[str, str], list[str]] = {}
        for place, suite, component, _, _ in self._targets(machine=True):
            if suite in suites and component in components:
                known = found.setdefault((suite, component), [])
                known += [place] if place not in known else []
        for suite in suites:
            for component in components:
                if (suite, component) not in found:
                    raise UpstreamFailed(
                        tool="apt",
                        action=f"find {suite} {component} for {self.architecture}",
                        why="this machine's APT sources do not have it",
                        remedy="Add it to the machine's APT sources, or name another suite in the recipe.",
                    )
        return found

    def update(self, suites: Sequence[str], components: Sequence[str], keyring: Path) -> list[Suite]:
        """Fetch the suites' indexes and check them against `keyring`.

        Raises UpstreamFailed: the mirror does not answer; NotVouched: not signed by the keyring.
        """
        places = self.places(suites, components)
        self._sources((place, s, c, keyring) for (s, c), known in places.items() for place in known)
        said = self._run(["update"], "fetch the package indexes", accept=(0, 100), complaints=True)
        by_place: dict[tuple[str, str], list[tuple[str, str, Path]]] = {}
        for place, suite, component, name, file in self._targets():
            by_place.setdefault((suite, place), []).append((component, name, Path(file)))
        made = []
        for suite in suites:
            tried = [(place, by_place[suite, place]) for s, place in by_place if s == suite]
            if not tried:
                raise UpstreamFailed(
                    tool="apt-get",
                    action=f"fetch the index of {suite}",
                    why=tools.last_words(said) or "nothing came",
                    remedy="Check the machine's APT sources and its network, then try again.",
                )
            made.append(self._suite(suite, tried, components, keyring))
        self._sources((place, s, c, keyring) for (s, c), place in self._repositories.items())
        return made

    def _suite(
        self,
        suite: str,
        tried: list[tuple[str, list[tuple[str, str, Path]]]],
        components: Sequence[str],
        keyring: Path,
    ) -> Suite:
        place, files = tried[0]
        first = files[0]
        try:
            in_release = _in_release(first[2], first[1]).read_bytes()
        except FileNotFoundError:
            raise NotVouched(
                what=f"the index of {suite}",
                why="the mirror has no InRelease, so nobody signed it",
                remedy="Use a mirror that keeps upstream's signatures.",
            ) from None
        signed = verify(in_release, keyring, f"the index of {suite}")
        indexes = []
        for component, name, file in files:
            name += "".join(end for end in (".xz", ".gz") if file.name.endswith(end))
            data = signed.check(name, file.read_bytes())
            plain = debs.unpacked(data, name)
            if name.endswith(
                (".xz", ".gz")
            ):  # apt looks things up in it, which takes minutes when it is packed
                file.with_suffix("").write_bytes(plain)
                file.unlink()
            indexes.append(
                Index(suite, component, name, data, tuple(debs.packages(plain.decode("utf-8", "replace"))))
            )
            self._repositories[suite, component] = place
        for component in components:
            if (suite, component) not in self._repositories:
                raise UpstreamFailed(
                    tool="apt-get",
                    action=f"fetch the index of {suite} {component}",
                    why="it did not come",
                    remedy="Try again; the mirror may be in the middle of an update.",
                )
        return Suite(suite, in_release, signed, tuple(indexes))

    def solve(
        self,
        suites: Sequence[str],
        wanted: Sequence[str],
        installed: Iterable[debs.Package],
        keyring: Path,
        *,
        upgrade: bool = False,
        recommends: bool = False,
    ) -> list[Chosen]:
        """What apt would fetch to have `wanted` (`name` or `name=version`) on a host that has `installed`.

        Raises UpstreamFailed: it finds no solution.
        """
        status = "\n\n".join(_installed(package) for package in installed)
        (self.root / "state/status").write_text(status + "\n" if status else "")
        self._sources((place, s, c, keyring) for (s, c), place in self._repositories.items() if s in suites)
        options = [
            "--simulate",
            "-q",
            "--allow-downgrades",
            "--assume-yes" if upgrade else "--no-remove",
        ]
        options += ["-o", f"APT::Install-Recommends={str(recommends).lower()}"]
        said = self._run(
            [*options, "dist-upgrade" if upgrade else "install", *wanted],
            "find what is needed",
            "Check the names and versions in the recipe, and what its base says that hosts have.",
        )
        return sorted(
            _chosen(said.decode("utf-8", "replace")), key=lambda c: (c.name, c.version, c.architecture)
        )

    def download(self, wanted: Sequence[tuple[str, str, Path]]) -> None:
        """Fetch files: each its address, its SHA-256, and where it goes. Raises UpstreamFailed."""
        arguments: list[str | Path] = []
        for address, sha256, target in wanted:
            arguments += [address, target, f"SHA256:{sha256}"]
        tools.run(
            [HELPER, "-c", self.root / "apt.conf", "download-file", *arguments],
            f"fetch {len(wanted)} files, {wanted[0][2].name} among them",
            "If upstream has newer versions now, lock the recipe again; else check the machine's network.",
        )

    def _sources(self, entries: Iterable[tuple[str, str, str, Path]]) -> None:
        lines = sorted(
            {
                f"deb [arch={self.architecture} signed-by={keyring.absolute()}] {place} {suite} {component}\n"
                for place, suite, component, keyring in entries
            }
        )
        (self.root / "sources.list").write_text("".join(lines))

    def _targets(self, *, machine: bool = False) -> Iterator[tuple[str, str, str, str, str]]:
        """What apt says of its package indexes: repository, suite, component, name, file.

        Those of the `machine` are only configured; nothing of them has been fetched.
        """
        form = "$(REPO_URI)\t$(RELEASE)\t$(COMPONENT)\t$(METAKEY)\t$(FILENAME)"
        options = ["--no-release-info"] if machine else []
        command = [*options, "indextargets", "--format", form, "Created-By: Packages"]
        said = self._run(command, "list its sources", machine=machine)
        for line in said.decode("utf-8", "replace").splitlines():
            parts = line.split("\t")
            if len(parts) == 5 and re.search(rf"/binary-(?:{self.architecture}|all)/", parts[3]):
                yield parts[0], parts[1], parts[2], parts[3], parts[4]

    def _run(
        self,
        arguments: Sequence[str],
        action: str,
        remedy: str = "Check apt.",
        *,
        machine: bool = False,
        accept: Sequence[int] = (0,),
        complaints: bool = False,
    ) -> bytes:
        """Run apt-get with the private sources, or with those of the `machine`."""
        private = [
            "-o",
            f"Dir::Etc::sourcelist={self.root}/sources.list",
            "-o",
            "Dir::Etc::sourceparts=/dev/null",
        ]
        command = ["apt-get", "-c", str(self.root / "apt.conf"), *([] if machine else private), *arguments]
        return tools.run(command, action, remedy, accept=accept, complaints=complaints)


def address(place: str, path: str) -> str:
    """The address of a file in a repository, as apt writes it: `+` and `~` are taken for others by some."""
    return place.rstrip("/") + "/" + urllib.parse.quote(path, safe="/").replace("~", "%7e")


def _in_release(file: Path, name: str) -> Path:
    """Where apt keeps the InRelease beside the index `name`: the names share their beginning."""
    flat = "_" + name.replace("/", "_")
    return file.with_name(file.name[: file.name.rindex(flat)] + "_InRelease")


_INST = re.compile(r"Inst (\S+?)(?::\S+)? (?:\[\S+\] )?\((\S+) .*\[([a-z0-9-]+)\]\)")


def _chosen(said: str) -> Iterator[Chosen]:
    """Lines of `--simulate`: Inst libssl3 [3.0.16-1] (3.0.17-1~deb12u2 Debian:12.11/stable [amd64])."""
    for line in said.splitlines():
        if line.startswith("Inst "):
            found = _INST.match(line)
            if found is None:
                raise UpstreamFailed(
                    tool="apt-get",
                    action="say what it would install",
                    why=f"its answer has another form: {line[:100]}",
                    remedy="Report this with the version of apt.",
                )
            yield Chosen(found[1], found[2], found[3])


def _installed(package: debs.Package) -> str:
    """A stanza of a dpkg status file."""
    if re.search(r"^Status:", package.text, re.MULTILINE):
        return package.text
    lines = [
        f"{name}: {value}" for name, value in debs.fields(package.text).items() if name not in _NOT_INSTALLED
    ]
    return "\n".join([*lines, "Status: install ok installed"])


_NOT_INSTALLED = ("Filename", "Size", "MD5sum", "SHA1", "SHA256", "Description", "Description-md5", "Tag")
