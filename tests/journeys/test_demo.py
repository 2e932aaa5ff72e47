"""`make demo` is a promise: it runs, whole, in a network that has nothing but loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home() -> Iterator[Path]:
    """A short path: Unix sockets have little room for theirs."""
    folder = Path(tempfile.mkdtemp(prefix="demo-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(900)
def test_the_demo_runs_where_there_is_no_network_at_all(home: Path) -> None:
    environ = dict(os.environ, DEMO_HOME=str(home / "demo"), NO_COLOR="1")
    demo = f"{sys.executable} -m tests.demo"
    script = f"ip link set lo up && {demo} && {demo} down"
    isolated = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-ec", script]
    done = subprocess.run(isolated, cwd=ROOT, env=environ, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert "ministry: 57 to create" in said
    assert "added outside the plane" in said
    assert "nothing to do" in said
    assert 'Good "controlplane-erasure" signature' in said
    assert "OpenStack's domain hospital: gone" in said
