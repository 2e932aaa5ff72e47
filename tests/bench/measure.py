"""What a contestant costs: wall and CPU seconds of its processes, and the services' CPU seconds."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench import labs
from tests.lab.openstack.layout import CHECKOUT, Site


@dataclass(frozen=True)
class Child:
    """A process that ended. Times are seconds; CPU is user and system, of it and what it waited for."""

    code: int
    output: str
    errors: str
    wall: float
    cpu: float


def run(command: Sequence[str], environ: Mapping[str, str] | None = None, cwd: Path = CHECKOUT) -> Child:
    """Run a command to its end. Never raises for its exit code."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, env=environ, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        return Child(
            process.returncode,
            output.read().decode(errors="replace"),
            errors.read().decode(errors="replace"),
            wall,
            usage.ru_utime + usage.ru_stime,
        )


@dataclass
class Score:
    """What one contestant took for some tenants."""

    name: str
    tenants: int
    wall: float = 0.0
    """Seconds from the first command to the last effect."""
    requests: int = 0
    server_cpu: float = 0.0
    """CPU seconds of the lab's services."""
    by_service: dict[str, float] = field(default_factory=dict)
    client_cpu: float = 0.0
    """CPU seconds of everything on the client's side, daemon included."""
    note: str = ""

    def each(self, number: float) -> float:
        """A number of this score, per tenant."""
        return number / self.tenants


def measured(score: Score, lab: Site, work: Callable[[], float]) -> Score:
    """Run `work`, which gives its client's CPU seconds, and fill in `score`."""
    before, began = labs.server_cpu(lab), time.perf_counter()
    score.client_cpu = work()
    score.wall = time.perf_counter() - began
    after = labs.server_cpu(lab)
    score.by_service = {name: after[name] - before[name] for name in after}
    score.server_cpu = sum(score.by_service.values())
    return score
