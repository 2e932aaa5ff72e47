"""A lock: every file that a recipe means, by path, SHA-256 and size, before it becomes content.

    {"bundle":"zone-updates","created":"2026-11-23T10:00:00Z",...,"format":"airgap-bundle/lock/1",
     "items":[{"path":"apt/pool/main/h/hello/hello_2.10-3_amd64.deb","sha256":"2e6e…","size":53080,
               "source":{"kind":"deb","package":"hello","suite":"bookworm","version":"2.10-3",…},
               "type":"application/vnd.debian.binary-package"},…],…}

Canonical JSON (SPEC section 3), so two locks are compared with `diff` or by their digest. The same recipe and
the same upstream give the same lock but for `created`. Sources are named by package, version and file, never
by an address: whoever collects uses the mirrors of their own machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from airgap_bundle import content
from airgap_bundle.cache import Cache
from airgap_bundle.canonical import Json, Malformed, parse, render
from airgap_bundle.recipe_parts import Allowed, Recipe
from airgap_bundle.release import count, moment, read_moment
from airgap_bundle.sources import ansible, debian, disk, local, oci, pypi, vulnerabilities
from airgap_bundle.sources.debian import Assumed, DebianTarget
from airgap_bundle.sources.errors import LockInvalid, not_there
from airgap_bundle.sources.item import Item
from airgap_bundle.sources.oci import Locked
from airgap_bundle.sources.pypi import PythonTarget

FORMAT = "airgap-bundle/lock/1"
MOST_BYTES = 1024 * 1024 * 1024

Say = Callable[[str], None]
"""Gets one line for people about what is done now."""


def lock(recipe: Recipe, cache: Cache, created: datetime, say: Say = lambda line: None) -> Lock:
    """Find out which files `recipe` means today. `created` becomes the bundle's date.

    Indexes and manifests, wheels and converted disk images are in the cache afterwards; the rest is fetched
    by `collect`.

    Raises NotThere, NotAsLocked, NotVouched, UpstreamFailed, ToolMissing.
    """
    found: list[Item] = []
    debian_targets: list[DebianTarget] = []
    python_targets: list[PythonTarget] = []
    for release in recipe.debian:
        say(f"Debian: {', '.join(release.suites)}")
        items, targets = debian.lock(release, recipe.folder, cache)
        found += items
        debian_targets += targets
    for python in recipe.python:
        say(f"Python {python.version}")
        items, target = pypi.lock(python, recipe.folder, cache)
        found += items
        python_targets.append(target)
    if recipe.images:
        say(f"{len(recipe.images)} OCI images")
    items, images = oci.lock(recipe.images, recipe.folder, cache)
    found += items
    say("Files")
    found += local.lock(recipe.files, "files", recipe.folder)
    found += local.lock(recipe.documents, "documents", recipe.folder)
    found += [disk.lock(image, recipe.folder, cache) for image in recipe.disk_images]
    if recipe.ansible:
        found += ansible.lock(recipe.ansible, recipe.folder)
    for data in recipe.vulnerabilities:
        found += vulnerabilities.lock(data, recipe.folder)
    return Lock(
        bundle=recipe.bundle,
        title=recipe.title,
        created=created,
        next_expected=created + timedelta(days=recipe.next_expected),
        recipe=recipe.digest,
        items=_merged(found),
        debian=tuple(debian_targets),
        python=tuple(python_targets),
        images=tuple(images),
        inside=recipe.inside,
        allow=recipe.allow,
    )


@dataclass(frozen=True)
class Lock:
    """What a bundle will hold."""

    bundle: str
    title: str
    created: datetime
    next_expected: datetime
    recipe: str
    """SHA-256 of what the recipe says."""
    items: tuple[Item, ...]
    """In the order of their paths' bytes."""
    debian: tuple[DebianTarget, ...] = ()
    python: tuple[PythonTarget, ...] = ()
    images: tuple[Locked, ...] = ()
    inside: tuple[str, ...] = ()
    allow: tuple[Allowed, ...] = ()

    @property
    def size(self) -> int:
        """Sum of the items' sizes in bytes."""
        return sum(item.size for item in self.items)

    @property
    def digest(self) -> str:
        """SHA-256 of the lock file."""
        return hashlib.sha256(self.render()).hexdigest()

    def render(self) -> bytes:
        """The canonical bytes of the lock file."""
        return render(_as_json(self))

    @classmethod
    def parse(cls, data: bytes, file: str = "lock") -> Lock:
        """Read a lock file. Raises LockInvalid."""
        try:
            value = parse(data, file)
            if value["format"] != FORMAT:
                raise LockInvalid(file=file, why=f"its format is not {FORMAT}")
            made = _of_json(value)
            if made.render() != data:
                raise LockInvalid(file=file, why="it has fields that this version does not know")
        except Malformed as error:
            raise LockInvalid(file=file, why=str(error.facts["why"])) from None
        except (KeyError, TypeError, ValueError, AttributeError):
            raise LockInvalid(file=file, why="a field is missing or wrong") from None
        if wrong := _why_not_content(made.items):
            raise LockInvalid(file=file, why=wrong)
        return made

    @classmethod
    def read(cls, path: Path) -> Lock:
        """Read a lock file from the disk. Raises LockInvalid, NotThere."""
        try:
            with path.open("rb") as handle:
                data = handle.read(MOST_BYTES + 1)
        except OSError as error:
            not_there(path, f"cannot be read ({error.strerror})", "Make it with: airgap-bundle lock RECIPE")
        return cls.parse(data, path.name)


def _merged(found: Iterable[Item]) -> tuple[Item, ...]:
    """In order, each path once. Raises NotThere: two sources want one path for different bytes."""
    by_path: dict[str, Item] = {}
    for item in found:
        other = by_path.setdefault(item.path, item)
        if (other.sha256, other.size) != (item.sha256, item.size):
            not_there(item.path, "two things in the recipe want this path", "Give one of them an 'as'.")
    items = tuple(sorted(by_path.values(), key=lambda item: item.path.encode()))
    if why := _why_not_content(items):
        not_there("the content", f"cannot travel: {why}", "Give the file another name with 'as'.")
    return items


def _why_not_content(items: Iterable[Item]) -> str | None:
    """What SPEC section 5 has against these paths and digests."""
    try:
        made = content.content(content.raw(i.path, i.sha256, i.size, i.type) for i in items)
    except Malformed as error:
        return str(error.facts["why"])
    if [entry.path for entry in made.entries] != [item.path for item in items]:
        return "its items are not in order"
    for item in items:
        if any("://" in value for value in item.source.values()):
            return f"the source of {item.path} is an address"
    return None


# --- the file ---------------------------------------------------------------------------------------------


def _as_json(lock: Lock) -> Json:
    return {
        "allow": [vars(one) for one in lock.allow],
        "bundle": lock.bundle,
        "created": moment(lock.created),
        "debian": [
            {
                "architecture": target.architecture,
                "base": [
                    {"name": one.name, "provides": list(map(list, one.provides)), "version": one.version}
                    for one in target.base
                ],
                "suites": list(target.suites),
            }
            for target in lock.debian
        ],
        "format": FORMAT,
        "images": [vars(one) for one in lock.images],
        "inside": list(lock.inside),
        "items": [
            {"path": i.path, "sha256": i.sha256, "size": i.size, "source": dict(i.source), "type": i.type}
            for i in lock.items
        ],
        "next_expected": moment(lock.next_expected),
        "python": [
            {**vars(target), "packages": list(target.packages), "extras": list(target.extras)}
            for target in lock.python
        ],
        "recipe": lock.recipe,
        "title": lock.title,
    }


def _of_json(value: dict[str, Any]) -> Lock:
    return Lock(
        bundle=text(value["bundle"]),
        title=text(value["title"]),
        created=read_moment(value["created"]),
        next_expected=read_moment(value["next_expected"]),
        recipe=text(value["recipe"]),
        items=tuple(
            Item(
                text(i["path"]),
                text(i["sha256"]),
                count(i["size"]),
                text(i["type"]),
                {text(k): text(v) for k, v in i["source"].items()},
            )
            for i in value["items"]
        ),
        debian=tuple(
            DebianTarget(
                text(t["architecture"]),
                _texts(t["suites"]),
                tuple(map(_assumed, t["base"])),
            )
            for t in value["debian"]
        ),
        python=tuple(
            PythonTarget(
                text(t["version"]),
                text(t["machine"]),
                text(t["glibc"]),
                _texts(t["packages"]),
                _texts(t["extras"]),
            )
            for t in value["python"]
        ),
        images=tuple(
            Locked(
                text(one["folder"]),
                text(one["name"]),
                None if one["tag"] is None else text(one["tag"]),
                text(one["digest"]),
                count(one["size"]),
                text(one["type"]),
            )
            for one in value["images"]
        ),
        inside=_texts(value["inside"]),
        allow=tuple(Allowed(text(a["path"]), text(a["value"]), text(a["because"])) for a in value["allow"]),
    )


def _assumed(one: dict[str, Any]) -> Assumed:
    provides = tuple((text(name), text(version)) for name, version in one["provides"])
    return Assumed(text(one["name"]), text(one["version"]), provides)


def _texts(values: list[Any]) -> tuple[str, ...]:
    return tuple(map(text, values))


def text(value: Any) -> str:
    """`value` if it is a string. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("something is not text")
    return value
