"""The lab of a benchmark: its own, fresh for each contestant, with the CPU time that its services took."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.openstack import processes
from tests.lab.openstack.layout import CHECKOUT, SERVICES, Site

FOLDER = CHECKOUT / ".lab" / "bench"
TICKS = os.sysconf("SC_CLK_TCK")
"""The kernel's ticks a second, the unit of CPU times in /proc."""


@contextmanager
def fresh() -> Iterator[Site]:
    """A lab as it is after furnishing; what an earlier one stored is gone. Destroyed at the end."""
    folder = FOLDER / "openstack"
    processes.destroy(folder)
    try:
        site, _ = processes.up(folder, say=lambda _: None)
        yield site
    finally:
        processes.destroy(folder)


def server_cpu(site: Site) -> dict[str, float]:
    """CPU seconds that each service has taken since it started, user and system."""
    return {name: cpu_of(processes.process_of(site, name)) for name in SERVICES}


def cpu_of(process: int) -> float:
    """CPU seconds, user and system, of a process that runs; 0 when there is none."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return 0.0
    fields = stat.rpartition(")")[2].split()  # the name before may hold spaces
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_of(process: int) -> tuple[int, int]:
    """Bytes of memory that a process holds now, and the most that it held (resident set)."""
    held = {"VmRSS": 0, "VmHWM": 0}
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in held:
            held[name] = int(rest.split()[0]) * 1024
    return held["VmRSS"], held["VmHWM"]


def machine() -> str:
    """The machine in general terms, for the head of a report."""
    memory = next(
        int(line.split()[1])
        for line in Path("/proc/meminfo").read_text().splitlines()
        if line.startswith("MemTotal")
    )
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, {memory / 2**20:.0f} GiB of memory, load {load:.1f} at the start"
