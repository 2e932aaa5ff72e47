"""The gate finds how many requests a service takes at once, by how long they take."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from controlplane.adapters.openstack.gate import MOST, Gate


class Clock:
    """Time that passes when told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def answers(gate: Gate, clock: Clock, seconds: float, times: int, path: str = "/networks") -> None:
    for _ in range(times):
        with gate.inside("GET", path):
            clock.now += seconds


def test_more_are_let_in_while_answers_come_as_quickly_as_ever() -> None:
    clock = Clock()
    gate = Gate(clock)
    answers(gate, clock, 0.05, 400)
    assert gate.limit == int(MOST)


def test_fewer_are_let_in_as_soon_as_answers_slow_down_but_never_none() -> None:
    clock = Clock()
    gate = Gate(clock)
    answers(gate, clock, 0.05, 400)
    for _ in range(60):
        answers(gate, clock, 0.05, 1)
        answers(gate, clock, 0.40, 3)
    assert gate.limit == 1


def test_slow_and_quick_kinds_of_request_are_told_apart() -> None:
    clock = Clock()
    gate = Gate(clock)
    for _ in range(200):
        answers(gate, clock, 0.01, 1, "/quotas")
        answers(gate, clock, 0.50, 1, f"/networks/{'ab12' * 8}")
    assert gate.limit == int(MOST)


@pytest.mark.parametrize("processes", [1, 2, 4, 8])
def test_as_many_are_let_in_as_the_service_has_processes_or_little_more(processes: int) -> None:
    gate, limits = Gate(), []
    for _ in range(2000):
        gate.learn("POST /networks", 0.05 * max(1.0, gate.limit / processes))
        limits.append(gate.limit)
    settled = limits[500:]
    assert processes * 0.75 <= sum(settled) / len(settled) <= processes * 2


def test_no_more_are_inside_than_the_limit() -> None:
    gate, inside, most, lock = Gate(), [0], [0], threading.Lock()

    def request(_: int) -> None:
        with gate.inside("POST", "/networks"):
            with lock:
                inside[0] += 1
                most.append(inside[0])
            time.sleep(0.001)
            with lock:
                inside[0] -= 1

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(request, range(200)))
    assert max(most) <= MOST
    assert inside == [0]


def test_after_a_quiet_minute_all_is_learnt_anew() -> None:
    clock = Clock()
    gate = Gate(clock)
    answers(gate, clock, 0.05, 400)
    clock.now += 61
    answers(gate, clock, 0.50, 1)
    assert gate.limit == 1


def test_room_is_given_back_when_a_request_fails() -> None:
    gate = Gate()
    for _ in range(20):
        with pytest.raises(OSError, match="lost"), gate.inside("GET", "/"):
            raise OSError("lost")
    with gate.inside("GET", "/"):
        pass
