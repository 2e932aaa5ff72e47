"""Following jobs: one display for all of them, until the last has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controlplane.cli import progress
from controlplane.cli.base import Settings

Job = Mapping[str, Any]


def follow(settings: Settings, jobs: Mapping[str, str]) -> dict[str, Job]:
    """Show the progress of `jobs` (id -> title) until all have ended; the ended jobs by id.

    A stream that breaks is taken up again where it broke; the jobs do not notice. Ctrl-C stops the display
    and not the jobs.
    """
    from controlplane.client import Unreachable

    ended: dict[str, Job] = {}
    last, tries = "0", 0
    totals: dict[str, int] = {}
    with progress.watch() as shown:
        while len(ended) < len(jobs):
            waiting = [job for job in jobs if job not in ended]
            try:
                for event in settings.client.events("/v1/jobs/events", {"job": waiting, "after": last}):
                    last, tries = event.id or last, 0
                    _show(shown, event.name, event.data, jobs, totals, ended)
                break
            except Unreachable:  # the daemon restarts: its jobs are resumed, and so is this
                tries += 1
                if tries > RETRIES:
                    raise
                shown.note("the plane does not answer; waiting for it")
                _pause()
    return ended


RETRIES = 30


def _pause() -> None:
    import time

    time.sleep(1)


def _show(
    shown: progress.Progress,
    name: str,
    data: Any,
    jobs: Mapping[str, str],
    totals: dict[str, int],
    ended: dict[str, Job],
) -> None:
    if name == "end":
        ended[data["id"]] = data
        return
    job, told = data["job"], data["data"]
    if name == "started":
        totals[job] = told.get("total") or 0
        title = jobs[job] if len(jobs) == 1 else f"{len(jobs)} jobs"
        shown.start(sum(totals.values()), title)
    elif name == "step":
        prefix = f"{jobs[job].split(' ', 1)[-1]}: " if len(jobs) > 1 else ""
        what = f"{prefix}{told.get('action', '')} {told.get('address', '')}"
        shown.step(what, told.get("state", ""), told.get("reason", ""))
