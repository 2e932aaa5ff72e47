"""As many requests into a service at once as it answers without delay, and no more.

A service with one process gains nothing from a second request at the same time: both take twice as long,
their time-outs run, and other users wait. One with many processes gains until they are all busy. The
gate finds out which it is: it compares how long a request took with the best time of its kind, lets more
in while they are alike and fewer when they are not. The idea is that of TCP Vegas (Brakmo, Peterson 1995).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FIRST, MOST = 1.0, 12.0
"""Requests at once at the beginning, when the best times are learnt, and at most."""
SLOW, QUICK = 1.7, 1.3
"""Times the best time of its kind, as a moving average: above, fewer are let in; below, more."""
LESS, MORE = 0.25, 0.05
"""By how much one answer changes the number: quickly down, slowly up."""
IDLE = 60.0
"""Seconds without a request after which all is learnt anew: the service may be another by then."""

_IDENTIFIER = re.compile(r"[0-9a-f]{8}-?[0-9a-f-]{24,}")


class Gate:
    """The way into one service. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._room = threading.Condition()
        self._inside = 0
        self._limit, self._ratio = FIRST, 1.0
        self._best: dict[str, float] = {}
        self._last = clock()

    @property
    def limit(self) -> int:
        """How many are let in at once now."""
        return max(1, int(self._limit))

    @contextmanager
    def inside(self, method: str, path: str) -> Iterator[None]:
        """Wait for room, then be inside; how long that took is learnt from."""
        with self._room:
            if self._inside == 0 and self._clock() - self._last > IDLE:
                self._limit, self._ratio = FIRST, 1.0
                self._best.clear()
            while self._inside >= self.limit:
                self._room.wait()
            self._inside += 1
        began = self._clock()
        try:
            yield
        finally:
            took = self._clock() - began
            with self._room:
                self._inside -= 1
                self._last = began + took
                self.learn(f"{method} {_IDENTIFIER.sub('*', path)}", took)
                self._room.notify(self.limit)

    def learn(self, kind: str, took: float) -> None:
        """Take in that a request of this kind took so many seconds."""
        took = max(took, 1e-4)
        best = self._best[kind] = min(took, self._best.get(kind, took))
        self._ratio += (took / best - self._ratio) / 4
        if self._ratio > SLOW:
            self._limit = max(1.0, self._limit - LESS)
        elif self._ratio < QUICK:
            self._limit = min(MOST, self._limit + MORE)
