"""One CycloneDX 1.6 document for the whole bundle: what is in it, by name, version, digest and package URL.

    {"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:...","version":1,
     "metadata":{"timestamp":"2026-11-23T10:00:00Z","component":{"type":"application","name":"zone-updates",...}},
     "components":[{"type":"library","name":"libssl3","version":"3.0.17-1~deb12u2",
                    "purl":"pkg:deb/debian/libssl3@3.0.17-1~deb12u2?arch=amd64&distro=bookworm-security",...},...]}

It is made from the lock and from what the images hold, and from nothing else: the same lock gives the same
bytes. It travels as `sbom/bundle.cdx.json`. Sources: CycloneDX 1.6, the package URL specification.
"""

from __future__ import annotations

import json
import urllib.parse
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from airgap_bundle.cache import Cache
from airgap_bundle.lock import Lock
from airgap_bundle.release import moment
from airgap_bundle.sources import debian, debs, inside, oci, pypi
from airgap_bundle.sources.item import Item
from airgap_bundle.sources.oci import Locked

PATH = "sbom/bundle.cdx.json"
TYPE = "application/vnd.cyclonedx+json"
KIND = "sbom"


def sbom(lock: Lock, cache: Cache) -> Item:
    """Make the document and put it into the cache; the item is to be added to the content.

    Everything that `lock` names is in the cache. Raises NotAsLocked, NotVouched.
    """
    made = cache.add(document(lock, cache))
    return Item(PATH, made.sha256, made.size, TYPE, {"kind": KIND})


def document(lock: Lock, cache: Cache) -> bytes:
    """The document's bytes."""
    components = sorted(_components(lock, cache), key=lambda one: str(one["bom-ref"]))
    value = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, f'airgap-bundle/lock/1 {lock.digest}')}",
        "version": 1,
        "metadata": {
            "timestamp": moment(lock.created),
            "tools": {"components": [{"type": "application", "name": "airgap-bundle"}]},
            "component": {
                "type": "application",
                "bom-ref": "bundle",
                "name": lock.bundle,
                "version": lock.digest[:16],
                "description": lock.title,
            },
        },
        "components": components,
        "dependencies": [{"ref": "bundle", "dependsOn": [one["bom-ref"] for one in components]}],
    }
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _components(lock: Lock, cache: Cache) -> Iterator[dict[str, Any]]:
    collections: dict[str, list[Item]] = {}
    for item in lock.items:
        if item.kind in (oci.BLOB_KIND, oci.LAYOUT_KIND):
            continue  # told as images
        if "collection" in item.source and "/ansible_collections/" in item.path:
            collections.setdefault(f"{item.source['collection']} {item.source['version']}", []).append(item)
        else:
            yield _of_item(item)
    for name, items in collections.items():
        yield _collection(name, items)
    for image in lock.images:
        yield _image(image, cache)


def _of_item(item: Item) -> dict[str, Any]:
    source = item.source
    if item.kind == debian.DEB_KIND:
        purl = deb_purl(source["package"], source["version"], source["architecture"], source["suite"])
        return _component(item, "library", source["package"], source["version"], purl)
    if item.kind in (pypi.KIND, pypi.LOCAL_KIND):
        purl = _purl("pypi", [source["package"]], source["version"], {"file_name": item.file})
        return _component(item, "library", source["package"], source["version"], purl)
    if "collection" in source:
        return _component(item, "library", source["collection"], source["version"], None)
    return _component(item, "file", item.path, None, None)


def _component(item: Item, kind: str, name: str, version: str | None, purl: str | None) -> dict[str, Any]:
    made: dict[str, Any] = {
        "bom-ref": item.path,
        "type": kind,
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": item.sha256}],
        "properties": [_property("path", item.path), _property("size", str(item.size))],
    }
    if kind == "file":
        made["mime-type"] = item.type
    if version:
        made["version"] = version
    if purl:
        made["purl"] = purl
    return made


def _collection(name: str, items: Iterable[Item]) -> dict[str, Any]:
    collection, _, version = name.partition(" ")
    files = [_component(item, "file", item.path, None, None) for item in items]
    return {
        "bom-ref": f"ansible/collections/{collection}",
        "type": "library",
        "name": collection,
        "version": version,
        "components": files,
    }


def _image(image: Locked, cache: Cache) -> dict[str, Any]:
    name = image.name.rpartition("/")[2]
    qualifiers = {"repository_url": image.name, **({"tag": image.tag} if image.tag else {})}
    inner = [
        _installed(f"{image.reference}/{digest[:16]}", package)
        for digest, packages in inside.packages(image, cache).items()
        for package in packages
    ]
    made: dict[str, Any] = {
        "bom-ref": image.reference,
        "type": "container",
        "name": image.name,
        "version": image.tag or f"sha256:{image.digest}",
        "purl": _purl("oci", [name], f"sha256:{image.digest}", qualifiers),
        "hashes": [{"alg": "SHA-256", "content": image.digest}],
        "properties": [_property("path", f"oci/{image.folder}")],
    }
    if inner:
        made["components"] = inner
    return made


def _installed(where: str, package: debs.Package) -> dict[str, Any]:
    return {
        "bom-ref": f"{where}/{package.name}/{package.version}/{package.architecture}",
        "type": "library",
        "name": package.name,
        "version": package.version,
        "purl": deb_purl(package.name, package.version, package.architecture, None),
    }


def deb_purl(name: str, version: str, architecture: str, suite: str | None) -> str:
    """The package URL of a Debian package."""
    return _purl(
        "deb", ["debian", name], version, {"arch": architecture, **({"distro": suite} if suite else {})}
    )


def _purl(kind: str, path: Iterable[str], version: str, qualifiers: dict[str, str]) -> str:
    named = "/".join(urllib.parse.quote(part, safe="") for part in path)
    more = "&".join(
        f"{key}={urllib.parse.quote(value, safe='')}" for key, value in sorted(qualifiers.items())
    )
    return f"pkg:{kind}/{named}@{urllib.parse.quote(version, safe='')}" + (f"?{more}" if more else "")


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"airgap-bundle:{name}", "value": value}
