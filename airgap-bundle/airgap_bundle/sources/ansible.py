"""Ansible content: collections and playbooks.

    ansible/collections/acme-net-1.2.0.tar.gz                           a tarball, as it is
    ansible/collections/ansible_collections/acme/net/...                a folder, file by file
    ansible/playbooks/site.yml

Both forms of collections work in a collections path, or with `ansible-galaxy collection install --offline`.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from airgap_bundle.recipe_parts import Ansible, File
from airgap_bundle.sources import local
from airgap_bundle.sources.errors import not_there
from airgap_bundle.sources.item import Item

LARGEST_MANIFEST = 16 * 1024 * 1024
_NAME = re.compile(r"[a-z0-9_]+")


def lock(ansible: Ansible, folder: Path) -> list[Item]:
    """Every file of the collections and playbooks. Raises NotThere, NotAsLocked."""
    items = local.lock(ansible.playbooks, "ansible/playbooks", folder)
    for file in ansible.collections:
        items += _collection(file, folder)
    return items


def _collection(file: File, folder: Path) -> list[Item]:
    path = folder / file.path
    if path.is_dir():
        namespace, name, version = _identity(_of_folder(path, file.path), file.path)
        under = f"ansible/collections/ansible_collections/{namespace}/{name}"
        found = local.lock([file], under, folder)
        return [_named(item, f"{namespace}.{name}", version) for item in found]
    items = []
    for item in local.lock([file], "ansible/collections", folder):
        of_tarball = manifest_of_tarball(folder / item.source["file"], item.source["file"])
        namespace, name, version = _identity(of_tarball, item.source["file"])
        items.append(_named(item, f"{namespace}.{name}", version))
    return items


def manifest_of_tarball(path: Path, what: str) -> Any:
    """The `collection_info` of a collection's tarball. Raises NotThere."""
    try:
        with tarfile.open(path) as archive:
            file = archive.extractfile("MANIFEST.json")
            return json.loads(file.read(LARGEST_MANIFEST) if file else b"{}").get("collection_info")
    except (tarfile.TarError, KeyError, OSError, ValueError, EOFError):
        not_there(
            what,
            "is not a tarball of a collection",
            "Make one with `ansible-galaxy collection build`, or download it.",
        )


def dependencies(infos: Iterable[Any]) -> dict[str, list[str]]:
    """Which collections these collections need, each with the version ranges that they name."""
    needed: dict[str, list[str]] = {}
    for info in infos:
        for name, wanted in ((info or {}).get("dependencies") or {}).items():
            needed.setdefault(str(name), []).append(str(wanted))
    return needed


def _of_folder(path: Path, what: str) -> Any:
    try:
        if (path / "MANIFEST.json").exists():
            return json.loads((path / "MANIFEST.json").read_bytes()).get("collection_info")
        return yaml.safe_load((path / "galaxy.yml").read_bytes())
    except (OSError, ValueError, yaml.YAMLError):
        not_there(what, "has neither galaxy.yml nor MANIFEST.json", "Name the folder of one collection.")


def _identity(info: Any, what: str) -> tuple[str, str, str]:
    found = (
        [str(info.get(key, "")) for key in ("namespace", "name", "version")]
        if isinstance(info, dict)
        else [""]
    )
    if not all(found) or not (_NAME.fullmatch(found[0]) and _NAME.fullmatch(found[1])):
        not_there(what, "does not say its namespace, name and version", "Name a collection.")
    return found[0], found[1], found[2]


def _named(item: Item, collection: str, version: str) -> Item:
    source = {**item.source, "collection": collection, "version": version}
    return Item(item.path, item.sha256, item.size, item.type, source)
