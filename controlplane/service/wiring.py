"""Joins ports and adapters for one site."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import IO

from fastapi import APIRouter

from controlplane.adapters.openstack import OpenStack
from controlplane.jobs.engine import JobQueue, Worker
from controlplane.service.drafts import Drafts
from controlplane.service.journal import Ledger
from controlplane.service.lifecycle import Lifecycle
from controlplane.service.observer import Observer
from controlplane.service.plans import Plans
from controlplane.service.questions import Questions
from controlplane.service.routes import jobs, tenants
from controlplane.service.sight import Sight
from controlplane.service.site import Site
from controlplane.service.work import Work
from controlplane.store.database import connect
from controlplane.tenants.quotas import QuotaClasses, load

WORKER_SLOTS = 64
STOP_SECONDS = 20
"""How long a stop waits for effects under way."""


class Parts:
    """What the daemon runs besides its own routes."""

    def __init__(self, site: Site) -> None:
        self.site = site
        key = site.key()
        self._stopping = threading.Event()
        database = connect(site.database)
        self._cloud = OpenStack(site.cloud, str(site.clouds_path), timeout=site.cloud_timeout_seconds)
        self._queue = JobQueue(database)
        self._ledger = Ledger(database)
        self._pool = ThreadPoolExecutor(24, thread_name_prefix="effects")
        sight = Sight(
            database,
            Observer(self._cloud),
            clock=_now,
            overcommit={
                "cores": site.overcommit.cpu,
                "ram": site.overcommit.ram,
                "volume": site.overcommit.disk,
            },
        )
        lifecycle = Lifecycle(database, self._queue, clock=_now, grace=site.grace)
        plans, questions = Plans(sight, Drafts(sight, _classes(site)), lifecycle), Questions(sight)
        self._work = Work(sight, self._cloud, self._ledger, key, self._pool, self._stopping.is_set)
        self._slot, executor = _slot(site)
        self._worker = Worker(database, executor, self._work.run)
        self.routers: Sequence[APIRouter] = (
            tenants.router(plans, lifecycle, questions, key, self._cloud.sign_in),
            jobs.router(questions, lambda: self._ledger.commits),
        )

    def start(self) -> None:
        """Start the workers of this process; they first take up what this slot left behind."""
        self._worker.start()

    def stop(self) -> bool:
        """Let effects under way end, and begin no more; what is unfinished is taken up by the next start.

        Gives whether nothing is unfinished: else only the end of the process frees the threads of jobs.
        """
        self._stopping.set()
        deadline = time.monotonic() + STOP_SECONDS
        while not self._work.ground.quiet and time.monotonic() < deadline:
            time.sleep(0.05)
        idle = self._work.ground.running == 0
        with suppress(Exception):  # ending anyway
            self._worker.stop(0)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._ledger.close()
        self._queue.close()
        self._slot.close()
        return idle


def build(site: Site) -> Parts:
    """The parts for `site`. Nothing runs before `start`."""
    return Parts(site)


def _now() -> datetime:
    return datetime.now(UTC)


def _classes(site: Site) -> QuotaClasses:
    if site.quota_classes is None:
        return QuotaClasses()
    path = site.folder / site.quota_classes
    return load(path.read_bytes(), str(path))


def _slot(site: Site) -> tuple[IO[bytes], str]:
    """An executor id that no live process of this site on this machine holds.

    The kernel drops the lock when the process dies, so the next one that starts gets the same id, and with
    it what the dead one left unfinished; two live workers never share one.
    """
    folder = site.folder / "workers"
    folder.mkdir(mode=0o700, exist_ok=True)
    for number in range(WORKER_SLOTS):
        lock = open(folder / f"{number}.lock", "ab")  # noqa: SIM115 held for the life of the process
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return lock, f"{os.uname().nodename}-{number}"
    raise RuntimeError(f"all {WORKER_SLOTS} worker slots of {site.folder} are taken")
