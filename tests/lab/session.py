"""One lab for a test session, however many processes it has, and for several sessions at once.

Whoever uses the lab holds a shared lock on its `.users` file, which the kernel drops with the process. A lab
that tests started carries a mark; the end of a session stops a marked lab, if nobody else uses it.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from openstack.connection import Connection

from tests.lab.faults import Faults
from tests.lab.openstack import facilities, processes
from tests.lab.openstack.layout import CLOUD, SYSTEM_CLOUD, Site

MARK = "started-by-tests"


@dataclass(frozen=True)
class Lab:
    """A running lab, as tests see it."""

    site: Site
    cloud: ClassVar[str] = CLOUD
    system_cloud: ClassVar[str] = SYSTEM_CLOUD

    @property
    def clouds_yaml(self) -> Path:
        """For OS_CLIENT_CONFIG_FILE; its clouds are `cloud` and `system_cloud`."""
        return self.site.clouds_yaml

    def connect(self, cloud: str = CLOUD, **options: Any) -> Connection:
        """A new connection as the administrator; `options` add to the cloud's entries."""
        return facilities.connect(self.clouds_yaml, cloud, **options)

    def faults(self, *, seed: int = 0) -> Faults:
        """Proxies before every service, yet to be started."""
        return Faults(self.site, seed=seed)


@contextmanager
def lab_in_use(folder: Path) -> Iterator[Lab]:
    """The lab in `folder`, started if need be, and not stopped by another session meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".users", "a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)  # waits while another session stops the lab
        site, started = processes.up(folder)
        if started:
            (folder / MARK).touch()
        yield Lab(site)


def end_of_session(folder: Path) -> None:
    """Stop the lab in `folder` if tests started it and nobody uses it any more."""
    if not (folder / MARK).exists():
        return
    with open(folder / ".users", "a") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return  # the last session to end will stop it
        processes.down(folder)
        keep(folder)


def keep(folder: Path) -> None:
    """A person has asked for this lab: the end of a session leaves it."""
    (folder / MARK).unlink(missing_ok=True)
