"""A medium that hangs becomes a sentence: work on it is watched, and left behind when nothing moves.

    outcome = watched(lambda tell: run(pieces, progress=tell), "zone-updates-7.bundle")

A read that a dying disk holds up cannot be interrupted, so the work runs in a thread of its own that nobody
waits for any longer; the caller gets StuckMedium and can end. Slow is not stuck: only silence counts.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from airgap_bundle.metadata_source import StuckMedium

SILENCE = 120.0
"""Seconds without a byte after which a medium is given up; drives retry a bad sector for half a minute."""

Progress = Callable[[int, int], None]
Got = TypeVar("Got")


@dataclass
class _Ended(Generic[Got]):
    result: Got | None
    error: BaseException | None


def watched(
    work: Callable[[Progress], Got], what: str, progress: Progress | None = None, silence: float = SILENCE
) -> Got:
    """The result of `work`, which is given what to tell its progress (done and total bytes) to.

    `what`: what is waited for, in the error's words. `progress` is told the same, in the caller's thread.

    Raises StuckMedium: it told of no progress for `silence` seconds; and whatever `work` raises.
    """
    news: queue.SimpleQueue[tuple[int, int] | _Ended[Got]] = queue.SimpleQueue()

    def run() -> None:
        try:
            ended = _Ended(work(lambda done, total: news.put((done, total))), None)
        except BaseException as error:  # whatever it is, it is the caller's to see
            ended = _Ended(None, error)
        news.put(ended)

    threading.Thread(target=run, daemon=True, name="watched").start()
    farthest, heard = -1, time.monotonic()
    while True:
        try:
            said = news.get(timeout=max(heard + silence - time.monotonic(), 0.001))
        except queue.Empty:
            raise StuckMedium(what=what, seconds=round(time.monotonic() - heard)) from None
        if isinstance(said, _Ended):
            if said.error is not None:
                raise said.error
            return said.result  # type: ignore[return-value]  # no error, so it is there
        if said[0] > farthest:  # the same figure again is no progress
            farthest, heard = said[0], time.monotonic()
        if progress is not None:
            progress(*said)
