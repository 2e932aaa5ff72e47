"""Texts that tools act on: what they would fetch from outside, found by the kind of file.

    playbooks, compose files, manifests    images, addresses, Galaxy requirements, `ppa:`
    sources.list, *.sources, *.repo        addresses
    pip.conf, requirements*.txt            indexes, addresses
    Dockerfile, Containerfile              FROM, and addresses
    *.sh, *.conf, *.ini, *.toml, *.cfg     addresses, but not in comments

Only what acts is looked at: documents are for people. Members of tarballs are looked at too. A template
(`*.j2`) is read as what it makes; an address or an image that a template leaves open is no finding.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from fnmatch import fnmatchcase

import yaml

from airgap_bundle.airtight.leak import ADDRESS, Inside, Leak
from airgap_bundle.airtight.playbooks import Playbooks
from airgap_bundle.airtight.references import Images
from airgap_bundle.cache import Cache
from airgap_bundle.lock import Lock
from airgap_bundle.sources import ansible
from airgap_bundle.sources.item import Item

LARGEST = 8 * 1024 * 1024
"""Bytes of a text that is looked at: nobody writes larger ones by hand."""
LARGEST_ARCHIVE = 256 * 1024 * 1024
MOST_MEMBERS = 50_000
PARTS = ("files", "ansible")
"""Parts whose files tools act on."""

_SETTINGS = (
    "*.list",
    "*.sources",
    "*.repo",
    "pip.conf",
    "pip.ini",
    "requirements*.txt",
    "requirements*.in",
    "constraints*.txt",
    "*.sh",
    "*.bash",
    "*.conf",
    "*.ini",
    "*.toml",
    "*.cfg",
    "*.cnf",
    "*.service",
    "*.env",
    ".npmrc",
    ".gitmodules",
    "sources.list",
    "*.properties",
    "*.tf",
    "*.hcl",
)
_IMAGE_FILES = ("Dockerfile*", "*.Dockerfile", "Containerfile*")
_YAML = ("*.yml", "*.yaml", "*.json")
_TARBALLS = ("*.tar.gz", "*.tgz", "*.tar", "*.tar.xz")
_NOT_ACTING = re.compile(
    r"(?:^|/)(?:docs?|tests?|molecule|changelogs?|examples?|\.github|LICENSES?)/"
    r"|(?:^|/)(?:MANIFEST\.json|FILES\.json|galaxy\.yml|README\.[a-z]+|meta/(?:runtime|main|execution-environment)\.yml)$"
)
"""In collections and roles: what describes them and what tests them."""
_PIP = re.compile(
    r"^\s*(?:-i|--index-url|--extra-index-url|-f|--find-links)(?:\s|=)|^\s*(?:extra-)?index-url\s*="
)
_FROM = re.compile(r"^\s*FROM\s+(?:--platform=\S+\s+)?(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_INSIDE = (
    "Point it at a host of the zone and name that in 'inside', take the thing into the bundle, or allow it."
)


def find(lock: Lock, cache: Cache) -> Iterator[Leak]:
    """Leaks of the texts. A file that cannot be read as what its name says is looked at line by line."""
    look = _Look(lock)
    for item in lock.items:
        if item.part in PARTS:
            yield from _of_item(item, look, cache)
        if "collection" in item.source:
            yield from look.playbooks.missing_dependencies(item.path, _needed(item, cache))


def _of_item(item: Item, look: _Look, cache: Cache) -> Iterator[Leak]:
    acting = not _NOT_ACTING.search(item.path.partition("/")[2]) if "collection" in item.source else True
    if any(fnmatchcase(item.file.lower(), pattern) for pattern in _TARBALLS):
        if item.size <= LARGEST_ARCHIVE:
            yield from _of_tarball(item, look, cache)
    elif acting and item.size <= LARGEST and look.cares(item.file):
        yield from look.at(item.path, item.file, cache.read(item.sha256))


def _of_tarball(item: Item, look: _Look, cache: Cache) -> Iterator[Leak]:
    try:
        with tarfile.open(fileobj=io.BytesIO(cache.read(item.sha256))) as archive:
            for count, member in enumerate(archive):
                if count >= MOST_MEMBERS:
                    return
                name = member.name.removeprefix("./")
                file = name.rpartition("/")[2]
                if (
                    not member.isfile()
                    or member.size > LARGEST
                    or _NOT_ACTING.search(name)
                    or not look.cares(file)
                ):
                    continue
                content = archive.extractfile(member)
                assert content is not None
                yield from look.at(f"{item.path}!{name}", file, content.read())
    except (tarfile.TarError, OSError, EOFError):
        return  # not a tarball: nothing will act on it


def _needed(item: Item, cache: Cache) -> dict[str, list[str]]:
    """The collections that a collection depends on, from whichever of its files says so."""
    if item.file.endswith((".tar.gz", ".tgz")) and "/ansible_collections/" not in item.path:
        return ansible.dependencies([ansible.manifest_of_tarball(cache.path(item.sha256), item.path)])
    if item.file not in ("galaxy.yml", "MANIFEST.json") or item.path.count("/") != 5:
        return {}
    try:
        value = yaml.safe_load(cache.read(item.sha256))
    except yaml.YAMLError:
        return {}
    value = value if isinstance(value, dict) else {}
    return ansible.dependencies([value.get("collection_info", value)])


class _Look:
    """What is known of the bundle, for looking at texts."""

    def __init__(self, lock: Lock) -> None:
        self.inside = Inside(lock.inside)
        self.images = Images(lock.images, self.inside)
        self.playbooks = Playbooks(lock, self.inside, self.images)

    def cares(self, file: str) -> bool:
        """Whether a file of this name is looked at."""
        name = file.removesuffix(".j2")
        return any(fnmatchcase(name, pattern) for pattern in (*_YAML, *_SETTINGS, *_IMAGE_FILES))

    def at(self, path: str, file: str, data: bytes) -> Iterator[Leak]:
        """The leaks of one text."""
        text = data.decode("utf-8", "replace")
        name = file.removesuffix(".j2")
        if any(fnmatchcase(name, pattern) for pattern in _YAML):
            found = self.playbooks.leaks(path, name, text)
            yield from self._lines(path, text) if found is None else found
        elif any(fnmatchcase(name, pattern) for pattern in _IMAGE_FILES):
            yield from self._image_file(path, text)
        else:
            yield from self._lines(path, text)

    def _lines(self, path: str, text: str) -> Iterator[Leak]:
        for number, line in enumerate(text.splitlines(), 1):
            if line.lstrip().startswith(("#", ";", "//")):
                continue
            acts = re.split(r"\s#", line, maxsplit=1)[0]
            for address in ADDRESS.findall(acts):
                if self.inside.leads_out(address):
                    what = "has an index for pip, " if _PIP.search(line) else "names "
                    yield Leak(path, number, f"{what}{address}", address, _INSIDE)

    def _image_file(self, path: str, text: str) -> Iterator[Leak]:
        stages = {"scratch"}
        for number, line in enumerate(text.splitlines(), 1):
            found = _FROM.match(line)
            if found and found[1] not in stages and (why := self.images.why_not(found[1])):
                yield Leak(path, number, f"is built from {found[1]}, which {why}", found[1], _INSIDE)
            if found and found[2]:
                stages.add(found[2])
        yield from self._lines(path, text)
