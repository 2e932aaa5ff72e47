"""Workers of their own processes on PostgreSQL: each job is done once, also when a worker dies at it."""

from __future__ import annotations

import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import two_specs as specs
from tests.lab.session import Lab
from tests.plane import Plane, assert_equal_to_specs, assert_nothing_twice_nothing_orphaned


@pytest.fixture
def plane(lab: Lab, tmp_path: Path, postgresql: str) -> Iterator[Plane]:
    made = Plane(tmp_path).make(lab.clouds_yaml, lab.cloud, "--database", postgresql)
    made.start("--no-workers")
    yield made
    made.stop()


def worker(plane: Plane) -> subprocess.Popen[bytes]:
    return subprocess.Popen(plane.command("worker"), stderr=subprocess.DEVNULL)


def test_a_job_whose_worker_dies_is_done_by_the_next(plane: Plane, lab: Lab) -> None:
    prefix = f"pg{uuid.uuid4().hex[:6]}-"
    names = [f"{prefix}{i}" for i in range(3)]
    workers = [worker(plane), worker(plane)]
    try:
        bodies = [{"text": specs.first(name), "file": f"{name}.yaml"} for name in names]
        answers = plane.ask("POST", "/v1/tenants/apply", {"specs": bodies})
        while not plane.working():
            time.sleep(0.05)
        for one in workers:
            one.send_signal(signal.SIGKILL)
            one.wait()
        workers = [worker(plane), worker(plane)]
        assert [plane.ended(answer["job"]["id"])["state"] for answer in answers] == ["done"] * 3
        assert_equal_to_specs(plane, names)
        with lab.connect() as cloud:
            assert_nothing_twice_nothing_orphaned(cloud, prefix, names)
        for name in names:
            plane.verb(name, "retire", {"grace_seconds": 0})
            plane.verb(name, "erase")
        with lab.connect() as cloud:
            assert_nothing_twice_nothing_orphaned(cloud, prefix, [])
    finally:
        for one in workers:
            one.terminate()
            one.wait(40)
