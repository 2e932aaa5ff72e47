"""One daemon on the lab for the journeys of a module, and the command line as a person uses it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.session import Lab
from tests.plane import Plane


@dataclass(frozen=True)
class Said:
    """How a command ended and what it said."""

    code: int
    out: str
    err: str


@dataclass
class Desk:
    """Where an operator sits: a daemon, a key, a folder with specs."""

    plane: Plane
    folder: Path
    lab: Lab

    def run(self, *arguments: str, **environ: str) -> Said:
        """`controlplane ...` to its end, without a terminal."""
        command = [sys.executable, "-m", "controlplane.cli.main", *arguments]
        site = {"CONTROLPLANE_SITE": str(self.plane.site), "CONTROLPLANE_KEY": str(self.folder / "operator")}
        done = subprocess.run(
            command,
            env={**os.environ, **site, **environ},
            cwd=self.folder,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def spec(self, name: str, text: str) -> str:
        """A spec's file, by its name."""
        (self.folder / f"{name}.yaml").write_text(text)
        return f"{name}.yaml"

    def admin(self) -> Any:
        """OpenStack past the plane, as its administrator."""
        return self.lab.connect()


@pytest.fixture(scope="module")
def desk(lab: Lab) -> Iterator[Desk]:
    folder = Path(tempfile.mkdtemp(prefix="desk-"))
    plane = Plane(folder).make(lab.clouds_yaml, lab.cloud)
    (folder / "operator").touch(mode=0o600)
    (folder / "operator").write_bytes(plane.key.to_openssh())
    plane.start()
    yield Desk(plane, folder, lab)
    plane.stop()
    shutil.rmtree(folder)


@pytest.fixture
def tenant(desk: Desk) -> Iterator[str]:
    """A name for a tenant; whatever it became is erased afterwards."""
    name = f"t{uuid.uuid4().hex[:8]}"
    yield name
    known = {t["name"]: t["state"] for t in desk.plane.ask("GET", "/v1/tenants")}
    if known.get(name, "DRAFT") in ("DRAFT", "ERASED"):
        return
    desk.plane.verb(name, "retire", {"grace_seconds": 0})
    desk.plane.verb(name, "erase")
