"""The daemon is killed with SIGKILL at random moments while tenants are applied, changed and erased.

`make test` kills it a few times, `make crash` 200 times; the lines that it prints count them.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from tests import two_specs as specs
from tests.lab.faults import Faults
from tests.lab.session import Lab
from tests.plane import Plane, assert_equal_to_specs, assert_nothing_twice_nothing_orphaned

FEW, MANY = 6, 200
QUICK_START = 2.5
"""Seconds that a start takes on a machine with nothing else to do."""


class Life(threading.Thread):
    """A tenant that is applied, changed and erased, again and again, until told to settle."""

    def __init__(self, plane: Plane, name: str, seed: int) -> None:
        super().__init__(name=name)
        self.plane, self.tenant = plane, name
        self.chance = random.Random(seed)
        self.settle = threading.Event()
        self.steps = 0
        self.trouble: BaseException | None = None

    def run(self) -> None:
        try:
            self._live()
        except BaseException as trouble:  # told to the test, which fails with it
            self.trouble = trouble

    def _live(self) -> None:
        while not self.settle.is_set():
            self.plane.apply(specs.first(self.tenant))
            self.steps += 1
            if self.chance.random() < 0.8:
                self.plane.apply(specs.second(self.tenant))
                self.steps += 1
            if self.chance.random() < 0.4:
                self.plane.verb(self.tenant, "retire", {"grace_seconds": 0})
                self.plane.verb(self.tenant, "erase")
                self.steps += 2
        self.plane.apply(self.chance.choice((specs.first, specs.second))(self.tenant))


def kill(plane: Plane, faults: Faults, chance: random.Random, at_a_request: bool, slow: float) -> bool:
    """Kill the daemon at a random time, or just before or after OpenStack serves a request of it.

    `slow` is how much slower than usual the machine is: jobs must get on, or only their beginnings are
    killed. Gives whether a job was at work.
    """
    if not at_a_request:
        time.sleep(chance.uniform(0.0, 6.0) * slow)
        working = plane.working()
        plane.kill()
        return working
    killed, once = threading.Event(), threading.Lock()

    def now(_: object) -> None:
        with once:
            if not killed.is_set():
                plane.kill()
                killed.set()  # not before it is dead, or the next start meets the one that dies

    rule = faults.call(now, after=chance.random() < 0.5, skip=chance.randrange(100), times=1)
    if not killed.wait(20 * slow):
        now(None)
    faults.remove(rule)
    return True


@pytest.mark.timeout(5400)
@pytest.mark.parametrize(
    "kills", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.long)]
)
def test_every_tenant_survives_the_daemon_being_killed_at_any_moment(
    lab: Lab, faults: Faults, tmp_path: Path, kills: int
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    prefix = f"kill{seed % 10_000}-"
    plane = Plane(tmp_path).make(faults.clouds_yaml, faults.cloud)
    plane.start()
    lives = [Life(plane, f"{prefix}{i}", seed + i) for i in range(3)]
    began = time.monotonic()
    for life in lives:
        life.start()
    try:
        at_work, slow = 0, 1.0
        for turn in range(kills):
            at_work += kill(plane, faults, chance, at_a_request=turn % 2 == 1, slow=slow)
            assert not [life.trouble for life in lives if life.trouble], f"seed {seed}"
            slow = max(1.0, plane.revive() / QUICK_START)
        for life in lives:
            life.settle.set()
        for life in lives:
            life.join(600)
            assert life.trouble is None, f"seed {seed}: {life.trouble!r}"
        assert at_work > 0
        assert_equal_to_specs(plane, [life.tenant for life in lives])
        with lab.connect() as cloud:
            assert_nothing_twice_nothing_orphaned(cloud, prefix, [life.tenant for life in lives])
        print(
            f"\nkilled {kills} times ({at_work} with a job at work) in {time.monotonic() - began:.0f} s, "
            f"{sum(life.steps for life in lives)} applies and erasures: 0 duplicates, 0 orphans (seed {seed})"
        )
    finally:
        plane.revive()
        for life in lives:
            life.settle.set()
        for life in lives:
            plane.verb(life.tenant, "retire", {"grace_seconds": 0})
            plane.verb(life.tenant, "erase")
        plane.stop()
    with lab.connect() as cloud:
        assert_nothing_twice_nothing_orphaned(cloud, prefix, [])
