"""Vulnerability data, so that the zone can say what an update closes: local files, looked at first.

    vulnerabilities/osv/all.zip                     advisories in the OSV format, one JSON file each, or one
    JSON vulnerabilities/debian-tracker/data.json        what Debian's security tracker exports

Sources: the OSV schema (`id` and `modified` in each advisory), the tracker's JSON (package -> CVE ->
releases).
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from airgap_bundle.recipe_parts import File, Vulnerabilities
from airgap_bundle.sources import local
from airgap_bundle.sources.errors import not_there
from airgap_bundle.sources.item import Item

LARGEST = 512 * 1024 * 1024
LARGEST_ADVISORY = 8 * 1024 * 1024
_ADVICE = {
    "osv": "Name an export of OSV: a zip of advisories, or one advisory as JSON.",
    "debian-tracker": "Name the JSON that Debian's security tracker exports.",
}


def lock(data: Vulnerabilities, folder: Path) -> list[Item]:
    """The file, once it is clear that it is what the recipe says. Raises NotThere, NotAsLocked."""
    items = local.lock([File(data.path, data.sha256)], f"vulnerabilities/{data.kind}", folder)
    for item in items:
        why = _why_not(folder / item.source["file"], data.kind)
        if why:
            not_there(item.source["file"], why, _ADVICE[data.kind])
    return items


def _why_not(path: Path, kind: str) -> str | None:
    if path.stat().st_size > LARGEST:
        return f"has more than {LARGEST} bytes"
    try:
        if kind == "debian-tracker":
            return None if _is_tracker(json.loads(path.read_bytes())) else "is not what the tracker exports"
        if not zipfile.is_zipfile(path):
            return None if _is_advisory(json.loads(path.read_bytes())) else "is not an advisory of OSV"
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith(".json")]
            if not names:
                return "holds no advisories"
            for name in (names[0], names[-1]):
                if archive.getinfo(name).file_size > LARGEST_ADVISORY:
                    return f"holds {name}, which is too large for an advisory"
                if not _is_advisory(json.loads(archive.read(name))):
                    return f"holds {name}, which is not an advisory of OSV"
    except (ValueError, RecursionError, zipfile.BadZipFile, NotImplementedError):
        return "is damaged or not JSON"
    return None


def _is_advisory(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("id"), str)
        and isinstance(value.get("modified"), str)
    )


def _is_tracker(value: Any) -> bool:
    first = next(iter(value.values()), None) if isinstance(value, dict) else None
    return isinstance(first, dict) and all(
        isinstance(issue, dict) and "releases" in issue for issue in first.values()
    )
