"""When to try again and when to give up: pure arithmetic, with clock, sleep and randomness as arguments."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

TRANSIENT = frozenset({429, 500, 502, 503, 504})
"""Statuses that a later attempt may not meet."""


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with jitter, within a budget of seconds for one call."""

    budget: float = 60.0
    first: float = 0.2
    longest: float = 8.0
    longest_asked: float = 30.0
    """The most that a server may ask for with `Retry-After`."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    draw: Callable[[], float] = random.random
    """Uniform in [0, 1)."""

    def pause(self, attempt: int, asked: float | None = None) -> float:
        """Seconds to wait after the attempt of this number (from 0); never less than the server asked for.

        >>> RetryPolicy(draw=lambda: 0.0).pause(2)
        0.4
        >>> RetryPolicy(draw=lambda: 0.0).pause(0, asked=3)
        3
        """
        wait: float = min(self.longest, self.first * 2**attempt) * (0.5 + self.draw() / 2)
        return wait if asked is None else max(wait, min(asked, self.longest_asked))

    def start(self) -> Attempts:
        """Begin counting for one call."""
        return Attempts(self, self.clock() + self.budget)


@dataclass
class Attempts:
    """The attempts of one call."""

    policy: RetryPolicy
    until: float
    made: int = 0

    def again(self, asked: float | None = None) -> bool:
        """Wait for the next attempt; False when the budget does not allow another one."""
        wait = self.policy.pause(self.made, asked)
        if self.policy.clock() + wait > self.until:
            return False
        self.made += 1
        self.policy.sleep(wait)
        return True


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a `Retry-After` header asks for (RFC 9110 10.2.3: a number or a date), or None.

    >>> retry_after("7"), retry_after("soon"), retry_after(None)
    (7.0, None, None)
    """
    if not header:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
