"""The same tenants by every contestant, each on a lab as fresh as the next one's."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from tests.bench import ansible_modules, dependencies, floor, labs, plane, recorded, shell_commands, tenants
from tests.bench.measure import Score, measured, run
from tests.bench.tables import Aim, Report, Say, ratio
from tests.lab.faults import Faults
from tests.lab.openstack.layout import CLOUD, Site

SLOW_AIM = 10.0
"""How many times faster than Ansible and the command line the plane aims to be, in wall time a tenant."""
FLOOR_AIM = 1.25
"""How many times the floor's wall time the plane aims to stay within."""
COMMANDS, ANSIBLE = "openstack commands", "ansible openstack.cloud"
QUICK_PACES = (floor.Pace(16, 2),)
SPECS = labs.FOLDER / "specs"


def bench(report: Report, count: int, *, quick: bool) -> None:
    """Run all contestants and add their tables to `report`."""
    ours, asked = by_plane(count, report.say)
    paces = QUICK_PACES if quick else floor.PACES
    floors, why_not = by_floor(asked, count, paces, report.say)
    if not floors and not quick:  # a request without an answer cannot be replayed: record another run
        report.note(f"the plane was recorded a second time, because the first had {why_not}")
        ours, asked = by_plane(count, report.say)
        floors, why_not = by_floor(asked, count, paces, report.say)
    best = min(floors, key=lambda one: one.wall, default=None)
    if (
        best is not None and not quick
    ):  # once more, the other way round: a busy moment may have met one of them
        pace = next(pace for pace in paces if str(pace) == best.note)
        floors += by_floor(asked, count, [pace], report.say)[0]
        best = min(floors, key=lambda one: one.wall)
        again, _ = by_plane(count, report.say)
        ours = min(ours, again, key=lambda one: one.wall)
    scores = [ours, *([best] if best is not None else []), by_sdk(count, report.say)]
    if not quick:
        environment = peers(report)
        scores.append(by_commands(environment, report.say))
        scores += by_ansible(environment, report.say)
    _tables(report, scores, floors)
    requests_by_kind(report, asked, count)
    if why_not:
        report.note(f"the floor could not be measured: {why_not}")
    if quick:
        report.note("a quick run shows that the benchmark works; its ratios are too small to mean anything")
    elif best is not None:
        report.aim(Aim("wall time, times the floor's", FLOOR_AIM, ours.wall / best.wall, most=True))
    for slow in scores:
        if slow.name in (COMMANDS, ANSIBLE):
            faster = slow.each(slow.wall) / ours.each(ours.wall)
            report.aim(Aim(f"times faster a tenant than {slow.name}", SLOW_AIM, faster, most=False))


def _tables(report: Report, scores: Sequence[Score], floors: Sequence[Score]) -> None:
    ours = scores[0]
    report.table(
        f"provision: {ours.tenants} tenants, figures per tenant",
        [
            "contestant",
            "tenants",
            "wall s",
            "requests",
            "server CPU s",
            "client CPU s",
            "wall / plane",
            "note",
        ],
        [_row(score, ours) for score in scores],
    )
    least = min((one.wall for one in floors), default=0.0)
    report.table(
        "the floor: the plane's requests replayed raw, all tenants",
        ["pace", "wall s", "server CPU s", "client CPU s", "wall / best"],
        [[f.note, f.wall, f.server_cpu, f.client_cpu, ratio(f.wall, least)] for f in floors],
    )
    report.table(
        "where the services' CPU seconds go, per tenant",
        ["contestant", *ours.by_service],
        [[s.name, *(s.each(seconds) for seconds in s.by_service.values())] for s in scores],
    )


def _row(score: Score, ours: Score) -> list[object]:
    return [
        score.name,
        score.tenants,
        score.each(score.wall),
        score.each(score.requests),
        score.each(score.server_cpu),
        score.each(score.client_cpu),
        ratio(score.each(score.wall), ours.each(ours.wall)),
        score.note,
    ]


def by_plane(count: int, say: Say) -> tuple[Score, list[recorded.Recorded]]:
    """The plane: daemon and command line, from the command to its end. Also what it asked."""
    say(f"the plane makes {count} tenants")
    with labs.fresh() as lab, plane.serving(lab.clouds_yaml, bodies=True) as daemon:
        files = tenants.write(SPECS, 0, count)

        def work() -> float:
            before = daemon.cpu
            return daemon.apply(files).cpu + daemon.cpu - before

        score = measured(Score("the plane", count), lab, work)
        asked = daemon.requests
    score.requests = len(asked)
    lost = sum(not one.status for one in asked)
    repeated = sum(one.status >= 400 for one in asked)
    score.note = f"{lost} without answer, {repeated} refused" if lost or repeated else ""
    return score, asked


def by_floor(
    asked: Sequence[recorded.Recorded], count: int, paces: Sequence[floor.Pace], say: Say
) -> tuple[list[Score], str]:
    """The plane's requests replayed raw at each pace; or why that cannot be."""
    try:
        steps = dependencies.steps(asked)
    except dependencies.NotReplayable as why:
        return [], str(why)
    scores = []
    for pace in paces:
        say(f"the floor: {len(steps)} requests, {pace}")
        with labs.fresh() as lab:
            try:
                score = Score("raw floor", count, note=str(pace), requests=len(steps))
                scores.append(measured(score, lab, lambda lab=lab, pace=pace: floor.replay(steps, lab, pace)))  # type: ignore[misc]
            except floor.Differs as why:
                return scores, f"{pace}: {why}"
    return scores, ""


def by_sdk(count: int, say: Say) -> Score:
    """A serial script with openstacksdk."""
    say(f"openstacksdk makes {count} tenants")
    score = Score("openstacksdk script", count)
    with labs.fresh() as lab:
        files = tenants.write(SPECS, 0, count)
        command = [
            sys.executable,
            "-m",
            "tests.bench.serial_sdk",
            str(lab.clouds_yaml),
            CLOUD,
            *map(str, files),
        ]

        def work() -> float:
            child = run(command)
            if child.code:
                raise RuntimeError(child.errors[-2000:])
            score.requests = int(child.output)
            return child.cpu

        return measured(score, lab, work)


def peers(report: Report) -> Path:
    """The environment of the other tools, warmed up: nobody pays for compiling bytecode in a measured run."""
    report.say("preparing the other tools")
    installed = run([sys.executable, "requirements/install.py", "peers"])
    if installed.code:
        raise RuntimeError(installed.errors[-2000:])
    environment = Path(installed.output.strip())
    run([str(environment / "bin" / "python"), "-m", "compileall", "-q", "-j", "0", str(environment / "lib")])
    return environment


def by_commands(environment: Path, say: Say) -> Score:
    """Commands of python-openstackclient, for one tenant; requests counted by a proxy."""
    say("openstack commands make 1 tenant")
    score = Score(COMMANDS, 1)
    with labs.fresh() as lab, Faults(lab) as proxy:
        shell = shell_commands.Shell(environment, proxy.clouds_yaml, CLOUD)

        def work() -> float:
            shell_commands.tenant(shell, tenants.tenant(0))
            return shell.cpu

        measured(score, lab, work)
        score.requests, score.note = len(proxy.log), f"{shell.commands} commands"
    return score


def by_ansible(environment: Path, say: Say) -> list[Score]:
    """A playbook for one tenant, and the same playbook again with nothing to do."""
    scores = []
    with labs.fresh() as lab, Faults(lab) as proxy:
        playbook = labs.FOLDER / "playbook.yml"
        cloud = yaml.safe_load(proxy.clouds_yaml.read_text())["clouds"][CLOUD]
        ansible_modules.write(playbook, tenants.tenant(0), environment / "bin" / "python", cloud)
        for name in (ANSIBLE, "ansible, unchanged re-run"):
            say(f"{name}: 1 tenant")
            score = Score(name, 1)
            scores.append(_play(score, environment, playbook, proxy, lab))
    return scores


def _play(score: Score, environment: Path, playbook: Path, proxy: Faults, lab: Site) -> Score:
    proxy.forget()

    def work() -> float:
        child = ansible_modules.play(environment, playbook, proxy.clouds_yaml, CLOUD)
        ok, changes = ansible_modules.changed(child)
        score.note = f"{ok} tasks, {changes} changed"
        return child.cpu

    measured(score, lab, work)
    score.requests = len(proxy.log)
    return score


def requests_by_kind(report: Report, asked: Sequence[recorded.Recorded], count: int) -> None:
    """What the plane asked, most expensive first."""
    kinds: dict[str, list[recorded.Recorded]] = {}
    for one in asked:
        kinds.setdefault(recorded.shape(one), []).append(one)
    rows = sorted(kinds.items(), key=lambda item: -sum(one.seconds for one in item[1]))
    writes = sum(one.method != "GET" for one in asked)
    reads = len(asked) - writes
    report.table(
        f"what the plane asked: {writes / count:.1f} writes and {reads / count:.1f} reads a tenant",
        ["request", "a tenant", "in all", "mean s"],
        [
            [kind, len(ones) / count, len(ones), sum(o.seconds for o in ones) / len(ones)]
            for kind, ones in rows[:40]
        ],
    )
