"""A PostgreSQL of the tests' own, from Debian's packages: on a Unix socket only, thrown away afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running() -> Iterator[str]:
    """A fresh server; gives the URL of its database. Raises RuntimeError where it is not installed."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # pytest's own folders are closed to other users
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL does not run as root
        as_user = ["setpriv", "--reuid=nobody", "--clear-groups", "--"]
        shutil.chown(folder, "nobody")
    data = folder / "data"

    def run(program: str, *arguments: str | Path) -> None:
        command = [*as_user, str(programs / program), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr.strip()[-300:]}")

    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    try:
        run("initdb", "-D", data, "-U", "plane", "-A", "trust", "--no-sync")
        run("pg_ctl", "-D", data, "-w", "-o", options, "-l", folder / "log", "start")
        try:
            yield f"postgresql+psycopg://plane@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    installed = sorted(str(path) for path in Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (installed[-1] if installed else "")
    if not found:
        raise RuntimeError("PostgreSQL is not installed; `make env` as root installs it (Debian: postgresql)")
    return Path(found).resolve().parent
