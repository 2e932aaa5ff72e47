"""The daemon is killed with SIGKILL at random moments while tenants are applied, changed and erased.

`make test` kills it a few times, `make crash` 200 times; the lines that it prints count them.
"""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest

from tests.crashes import specs
from tests.crashes.plane import Plane, assert_equal_to_specs, assert_nothing_twice_nothing_orphaned
from tests.lab.session import Lab

FEW, MANY = 6, 200


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


@pytest.mark.timeout(5400)
@pytest.mark.parametrize(
    "kills", [pytest.param(FEW, id="few"), pytest.param(MANY, id="many", marks=pytest.mark.long)]
)
def test_every_tenant_survives_the_daemon_being_killed_at_any_moment(
    lab: Lab, tmp_path: Path, kills: int
) -> None:
    seed = random.SystemRandom().randrange(2**32)
    chance = random.Random(seed)
    prefix = f"kill{seed % 10_000}-"
    plane = Plane(tmp_path).make(lab.clouds_yaml, lab.cloud)
    plane.start()
    lives = [Life(plane, f"{prefix}{i}", seed + i) for i in range(3)]
    began = time.monotonic()
    for life in lives:
        life.start()
    try:
        at_work = 0
        for _ in range(kills):
            time.sleep(chance.uniform(0.0, 2.5))
            at_work += plane.working()
            plane.kill()
            plane.start()
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
            f"\nkilled {kills} times ({at_work} while a job was at work) in {time.monotonic() - began:.0f} s, "
            f"{sum(life.steps for life in lives)} applies and erasures: 0 duplicates, 0 orphans (seed {seed})"
        )
    finally:
        for life in lives:
            life.settle.set()
        for life in lives:
            plane.verb(life.tenant, "retire", {"grace_seconds": 0})
            plane.verb(life.tenant, "erase")
        plane.stop()
    with lab.connect() as cloud:
        assert_nothing_twice_nothing_orphaned(cloud, prefix, [])
