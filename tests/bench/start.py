"""How long a command takes to start, in CPU time, beside Python itself. No lab is needed."""

from __future__ import annotations

import statistics
import sys

from tests.bench import labs, plane
from tests.bench.measure import run
from tests.bench.tables import Aim, Report, ratio
from tests.lab.openstack.layout import CLOUD

RUNS = 15
AIM_SECONDS = 0.3
NO_CLOUD = f"""\
clouds:
  {CLOUD}:
    auth: {{auth_url: "http://127.0.0.1:1/v3", username: nobody, password: none, project_name: none}}
"""
"""Listing tenants asks the plane only, never the cloud."""


def bench(report: Report, runs: int = RUNS) -> None:
    """Start each command `runs` times, in turn, so that a busy moment meets all of them."""
    labs.FOLDER.mkdir(parents=True, exist_ok=True)
    clouds_yaml = labs.FOLDER / "no-clouds.yaml"
    clouds_yaml.write_text(NO_CLOUD)
    report.say(f"starting commands {runs} times each")
    with plane.serving(clouds_yaml) as daemon:
        environ = {**daemon.environ, "CONTROLPLANE_SITE": str(daemon.folder / "site")}
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "controlplane --version": [*plane.CONTROLPLANE, "--version"],
            "controlplane --help": [*plane.CONTROLPLANE, "--help"],
            "controlplane tenant list": [*plane.CONTROLPLANE, "tenant", "list"],
        }
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(runs + 1):
            for name, command in commands.items():
                child = run(command, environ, cwd=daemon.folder)
                if child.code:
                    raise plane.PlaneError(f"{name}: exit {child.code}: {child.errors[-1000:]}")
                if turn:  # the first one fills the caches
                    taken[name].append(child.cpu)
    base = taken["python -c pass"]
    rows = [
        [
            name,
            min(cpu),
            statistics.median(cpu),
            ratio(min(cpu), min(base)),
            ratio(statistics.median(cpu), statistics.median(base)),
        ]
        for name, cpu in taken.items()
    ]
    columns = ["command", "CPU s, least", "CPU s, median", "least / python", "median / python"]
    report.table(f"start: CPU seconds of {runs} runs in turn", columns, rows)
    for name in ("controlplane --version", "controlplane tenant list"):
        report.aim(
            Aim(f"CPU seconds of {name}, median", AIM_SECONDS, statistics.median(taken[name]), most=True)
        )
