"""YAML that tools act on: playbooks, compose files, Kubernetes manifests, Galaxy requirements.

Read from the parser's events, so that tags (`!vault`), anchors and several documents are no obstacle and
every finding has its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from airgap_bundle.airtight.leak import ADDRESS, Inside, Leak
from airgap_bundle.airtight.references import Images
from airgap_bundle.lock import Lock

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MOST_EVENTS = 2_000_000

_IMAGE_KEYS = ("image", "baseImage", "base_image", "from_image", "container_image")
_IMAGE_MODULES = re.compile(r"(?:^|\.)(?:docker_image(?:_pull)?|podman_image)$")
_NOT_CONTAINERS = re.compile(r"^(?:openstack\.|os_|community\.libvirt\.|kubevirt\.)")
"""Modules whose `image` is a disk image."""
_DESCRIBING = {
    "name",
    "description",
    "short_description",
    "summary",
    "title",
    "msg",
    "fail_msg",
    "success_msg",
    "comment",
    "homepage",
    "documentation",
    "issues",
    "repository",
    "author",
    "authors",
    "license",
    "license_url",
    "$schema",
    "notes",
    "help",
    "seealso",
    "issue_tracker_url",
    "company",
}
"""Keys whose values are for people."""
_TAKE = "Take the image into the recipe, or write the reference as the bundle has it."
_INSIDE = (
    "Point it at a host of the zone and name that in 'inside', take the thing into the bundle, or allow it."
)
_COLLECTION = "Take the collection into the recipe, under ansible."


@dataclass(frozen=True)
class Scalar:
    """One value, the keys that lead to it, and its line."""

    keys: tuple[str, ...]
    """Keys of the mappings around it, outermost first; items of lists do not count."""
    value: str
    line: int

    @property
    def key(self) -> str:
        """The key that it stands behind."""
        return self.keys[-1] if self.keys else ""


class Playbooks:
    """What is known of the bundle, for looking at YAML."""

    def __init__(self, lock: Lock, inside: Inside, images: Images) -> None:
        self._inside, self._images = inside, images
        self._collections: dict[str, list[str]] = {}
        for item in lock.items:
            if "collection" in item.source:
                known = self._collections.setdefault(item.source["collection"], [])
                known += [item.source["version"]] if item.source["version"] not in known else []

    def leaks(self, path: str, file: str, text: str) -> list[Leak] | None:
        """The leaks of one text, or None when it is not YAML (a template that is not YAML yet)."""
        try:
            found = list(scalars(text))
        except (yaml.YAMLError, RecursionError, ValueError):
            return None
        leaks = [leak for scalar in found for leak in self._of_scalar(path, scalar)]
        for number, scalar in enumerate(found):
            if scalar.key == "repository" and scalar.keys[-2:-1] == ("image",):
                leaks += self._of_chart(path, scalar, found[max(0, number - 5) : number + 6])
        if re.fullmatch(r"requirements\.ya?ml", file):
            leaks += self._requirements(path, text)
        return leaks

    def _of_scalar(self, path: str, scalar: Scalar) -> Iterator[Leak]:
        if self._is_image(scalar):
            if why := self._images.why_not(scalar.value):
                yield Leak(
                    path, scalar.line, f"names the image {scalar.value}, which {why}", scalar.value, _TAKE
                )
            return
        if scalar.key in _DESCRIBING and not scalar.value.startswith("deb "):
            return
        if scalar.value.startswith("ppa:"):
            yield Leak(path, scalar.line, f"names the APT source {scalar.value}", scalar.value, _INSIDE)
        for number, line in enumerate(scalar.value.split("\n")):
            if line.lstrip().startswith("#"):
                continue
            for address in ADDRESS.findall(line):
                if self._inside.leads_out(address):
                    yield Leak(path, scalar.line + number, f"names {address}", address, _INSIDE)

    def _of_chart(self, path: str, repository: Scalar, around: list[Scalar]) -> Iterator[Leak]:
        """`image: {registry: ..., repository: ..., tag: ...}`, as the values of charts have it."""
        beside = {one.key: one.value for one in around if one.keys[:-1] == repository.keys[:-1]}
        name = "/".join(filter(None, (beside.get("registry"), repository.value)))
        end = (
            f"@{beside['digest']}"
            if beside.get("digest")
            else f":{beside['tag']}"
            if beside.get("tag")
            else ""
        )
        if why := self._images.why_not(name + end):
            what = f"names the image {name}{end}, which {why}"
            yield Leak(path, repository.line, what, name + end, _TAKE)

    def _is_image(self, scalar: Scalar) -> bool:
        above = scalar.keys[:-1]
        if any(_NOT_CONTAINERS.match(key) for key in above):
            return False
        if scalar.key in _IMAGE_KEYS:
            return bool(scalar.value)
        return scalar.key == "name" and bool(above) and bool(_IMAGE_MODULES.search(above[-1]))

    def _requirements(self, path: str, text: str) -> Iterator[Leak]:
        """Galaxy requirements: collections that the bundle has, from nowhere else; no roles."""
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            return
        parts = value if isinstance(value, dict) else {"roles": value}
        for one in parts.get("collections") or ():
            entry = one if isinstance(one, dict) else {"name": str(one)}
            name, _, inline = str(entry.get("name", "")).partition(":")
            wanted = str(entry.get("version") or inline or "*")
            line = line_of(text, str(entry.get("name", "")))
            if "source" in entry or entry.get("type", "galaxy") not in ("galaxy", "file", "dir"):
                where = str(entry.get("source") or entry.get("type"))
                if not self._inside.leads_out(where) and "://" in where:
                    continue
                yield Leak(path, line, f"takes the collection {name} from {where}", name, _COLLECTION)
            elif entry.get("type", "galaxy") == "galaxy" and (why := self._why_not_collection(name, wanted)):
                yield Leak(
                    path, line, f"needs the collection {name} {wanted}, which {why}", name, _COLLECTION
                )
        for one in parts.get("roles") or ():
            name = str((one.get("name") or one.get("src")) if isinstance(one, dict) else one)
            what = f"takes the role {name} from Galaxy"
            yield Leak(
                path,
                line_of(text, name),
                what,
                name,
                "Put the role into a collection or beside the playbook.",
            )

    def _why_not_collection(self, name: str, wanted: str) -> str | None:
        versions = self._collections.get(name)
        if versions is None:
            return "is not in the bundle"
        if wanted in ("*", "") or any(accepts(wanted, version) for version in versions):
            return None
        return f"is in the bundle as {', '.join(versions)}"

    def missing_dependencies(self, path: str, needed: dict[str, list[str]]) -> Iterator[Leak]:
        """Collections that a collection depends on and the bundle does not have."""
        for name, wanted in sorted(needed.items()):
            for one in wanted:
                if why := self._why_not_collection(name, one):
                    yield Leak(
                        path, 0, f"depends on the collection {name} {one}, which {why}", name, _COLLECTION
                    )


def accepts(wanted: str, version: str) -> bool:
    """Whether a version is one that Galaxy's notation names: `1.2.3`, `>=1.0.0,<2.0.0`, `*`."""
    try:
        exact = re.fullmatch(r"[0-9].*", wanted)
        return SpecifierSet(f"=={wanted}" if exact else wanted).contains(Version(version), prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return wanted == version


def line_of(text: str, word: str) -> int:
    """The first line that has the word; 0 when none has."""
    return next((n for n, line in enumerate(text.splitlines(), 1) if word and word in line), 0)


def scalars(text: str) -> Iterator[Scalar]:
    """Every value of every document of a YAML text. Raises YAMLError, ValueError: too many."""
    stack: list[list[Any]] = []  # of each mapping or list around: ["map", key or None] or ["list"]
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        if count > MOST_EVENTS:
            raise ValueError("it has too many values")
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop()
            _value_done(stack)
        elif isinstance(event, yaml.MappingStartEvent):
            stack.append(["map", None])
        elif isinstance(event, yaml.SequenceStartEvent):
            stack.append(["list"])
        elif isinstance(event, yaml.AliasEvent):
            _value_done(stack) if not _takes_key(stack) else _set_key(stack, "")
        elif isinstance(event, yaml.ScalarEvent):
            if _takes_key(stack):
                _set_key(stack, event.value)
            else:
                keys = tuple(frame[1] for frame in stack if frame[0] == "map" and frame[1] is not None)
                # A block text begins on the line after its mark.
                line = int(event.start_mark.line) + (2 if event.style in ("|", ">") else 1)  # type: ignore[union-attr]
                yield Scalar(keys, event.value, line)
                _value_done(stack)


def _takes_key(stack: list[list[Any]]) -> bool:
    return bool(stack) and stack[-1][0] == "map" and stack[-1][1] is None


def _set_key(stack: list[list[Any]], key: str) -> None:
    stack[-1][1] = key


def _value_done(stack: list[list[Any]]) -> None:
    if stack and stack[-1][0] == "map":
        stack[-1][1] = None
