"""Databases of a lab just furnished, kept beside the environment: a new lab starts from a copy.

Creating the schemas takes longer than starting the services. What a copy must not share with the lab
it came from, it does not: keys are made anew, and every place where a database names a folder or a port
is rewritten.
"""

from __future__ import annotations

import enum
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from tests.lab.openstack.layout import DATABASES, HOST, Site

KEPT_GENERATIONS = 3
PLACES = (
    ("keystone", "endpoint", "url"),
    ("nova_api", "cell_mappings", "database_connection"),
    ("glance", "image_locations", "value"),
)
"""Every column that holds a path or a port of the lab, found by searching a dump of all databases."""


class Made(enum.Enum):
    """How the databases of a lab came to be at this start."""

    FRESH = "from nothing"
    COPIED = "from a golden copy"
    KEPT = "kept since the last start"


def key(site: Site) -> str:
    """Changes with the environment and with any line of the lab's own code."""
    text = hashlib.sha256(site.environment.name.encode())
    package = Path(__file__).parent
    for file in sorted(package.rglob("*.py")):
        text.update(file.relative_to(package).as_posix().encode() + b"\0" + file.read_bytes())
    return text.hexdigest()[:16]


def copy(site: Site) -> bool:
    """Give `site` the golden databases and images; False when there are none yet."""
    source = _folder(site)
    try:
        origin = json.loads((source / "origin.json").read_text())
        shutil.copytree(source / "db", site.databases)
        shutil.copytree(source / "images", site.images)
    except (FileNotFoundError, shutil.Error):  # none, or just now removed as too old
        shutil.rmtree(site.databases, ignore_errors=True)
        shutil.rmtree(site.images, ignore_errors=True)
        return False
    os.utime(source)
    relocate(site, Path(origin["folder"]), int(origin["port"]))
    return True


def relocate(site: Site, folder: Path, port: int) -> None:
    """Rewrite, in the databases of `site`, the `folder` and `port` that they were made with."""
    moved = [(str(folder) + "/", str(site.folder) + "/")]
    moved += [
        (f"http://{HOST}:{port + offset}", f"http://{HOST}:{site.port + offset}") for offset in range(6)
    ]
    for database, table, column in PLACES:
        with closing(sqlite3.connect(site.database(database))) as connection, connection:
            for row, value in connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall():
                for old, new in moved:
                    if old in value:  # once a value: blocks of old and new ports may overlap
                        value = value.replace(old, new)
                        connection.execute(f"UPDATE {table} SET {column}=? WHERE rowid=?", (value, row))
                        break


def capture(site: Site) -> None:
    """Keep the databases and images of `site`, which runs and was just furnished."""
    target = _folder(site)
    target.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        (making / "db").mkdir()
        for name in DATABASES:
            with (
                closing(sqlite3.connect(site.database(name))) as source,
                closing(sqlite3.connect(making / "db" / f"{name}.db")) as copied,
            ):
                source.backup(copied)
        (making / "db" / site.complete.name).touch()
        shutil.copytree(site.images, making / "images")
        (making / "origin.json").write_text(json.dumps({"folder": str(site.folder), "port": site.port}))
        # Crash before this line: a folder with a dot in front, which nobody reads, stays behind.
        making.rename(target)
    except OSError:
        shutil.rmtree(making, ignore_errors=True)  # another lab was quicker, or the disk is full
    _forget_old(site)


def _folder(site: Site) -> Path:
    return _generations(site) / key(site)


def _generations(site: Site) -> Path:
    return site.environment.parent / f"{site.environment.name}-golden"


def _forget_old(site: Site) -> None:
    found = [child for child in _generations(site).iterdir() if not child.name.startswith(".")]
    for old in sorted(found, key=lambda child: child.stat().st_mtime)[:-KEPT_GENERATIONS]:
        shutil.rmtree(old, ignore_errors=True)
