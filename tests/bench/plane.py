"""The plane as a contestant: its real daemon, called with its real command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airgap_bundle.keys import PrivateKey
from tests.bench import labs, recorded
from tests.bench.measure import Child, run
from tests.lab.openstack.layout import CHECKOUT, CLOUD

READY_SECONDS = 60.0


class PlaneError(Exception):
    """The plane did not do what the benchmark asked; the text has what it said."""


@dataclass(frozen=True)
class Plane:
    """A daemon that runs."""

    folder: Path
    environ: dict[str, str]
    process: subprocess.Popen[bytes]

    def command(self, *arguments: str) -> Child:
        """Run `controlplane ARGUMENTS --output json`. Raises PlaneError when it fails."""
        command = [*CONTROLPLANE, *arguments, "--output", "json", "--site", str(self.folder / "site")]
        child = run(command, self.environ)
        if child.code not in (0, 3):
            raise PlaneError(
                f"controlplane {' '.join(arguments[:2])}: exit {child.code}: {child.errors[-2000:]}"
            )
        return child

    def apply(self, specs: Sequence[Path]) -> Child:
        """`controlplane tenant apply` of all `specs`, followed to its end; each must have been applied."""
        child = self.command("tenant", "apply", *map(str, specs), "--yes")
        results = [row["result"] for row in json.loads(child.output)]
        if results != ["applied"] * len(specs):
            raise PlaneError(f"apply: {results}: {child.errors[-2000:]}")
        return child

    def drift(self) -> tuple[Child, list[dict[str, Any]]]:
        """`controlplane tenant drift` of all tenants, and what it printed."""
        child = self.command("tenant", "drift")
        return child, json.loads(child.output)

    @property
    def cpu(self) -> float:
        """CPU seconds of the daemon so far."""
        return labs.cpu_of(self.process.pid)

    @property
    def requests(self) -> list[recorded.Recorded]:
        """What it asked OpenStack so far."""
        return recorded.read(self.folder / "requests")


CONTROLPLANE = [str(Path(sys.executable).parent / "controlplane")]


@contextmanager
def serving(clouds_yaml: Path, *, bodies: bool = False) -> Iterator[Plane]:
    """A new site for the lab of `clouds_yaml`, and its daemon until the end of the block."""
    folder = labs.FOLDER / "plane"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    key = PrivateKey.generate("bench@lab")
    (folder / "key").touch(mode=0o600)
    (folder / "key").write_bytes(key.to_openssh())
    environ = {**os.environ, "CONTROLPLANE_KEY": str(folder / "key"), "PYTHONPATH": str(CHECKOUT)}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    site = ["--site", str(folder / "site")]
    options = ["--cloud", CLOUD, "--clouds", str(clouds_yaml), "--operator", key.public.line]
    made = run([*CONTROLPLANE, "init", *site, *options], environ)
    if made.code:
        raise PlaneError(f"controlplane init: {made.errors[-2000:]}")
    with open(folder / "log", "wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.recorded", str(folder / "requests"), "serve", *site],
            env=environ | ({"RECORD_BODIES": "1"} if bodies else {}),
            cwd=CHECKOUT,
            stdout=log,
            stderr=log,
        )
    try:
        _await_ready(daemon, folder / "log")
        yield Plane(folder, environ, daemon)
    finally:
        daemon.terminate()
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _await_ready(daemon: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + READY_SECONDS
    while "ready:" not in (said := log.read_text()):
        if daemon.poll() is not None or time.monotonic() > end:
            raise PlaneError(f"controlplane serve: {said[-2000:]}")
        time.sleep(0.05)
