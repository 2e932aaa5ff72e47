"""Start and stop a lab: `up`, `down`, `status`, `destroy`.

A start survives being killed at any moment. Databases count only once `.complete` is there; a service
that was started is found again by its process file, which names the process and when it began, so that
no other process is ever stopped in its place.
"""

from __future__ import annotations

import fcntl
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.lab.openstack import configuration, facilities, golden
from tests.lab.openstack.layout import (
    BLOCK,
    CHECKOUT,
    DEFAULT_FOLDER,
    ENGINES,
    FIRST_PORT,
    HOST,
    LAST_PORT,
    SERVICES,
    TOKEN_SECONDS,
    Site,
)

Say = Callable[[str], None]
START_ORDER = ("nova", "neutron", "keystone", "cinder", "glance", "placement")
"""The slowest first, for machines with few cores."""
START_SECONDS = 180.0
STOP_SECONDS = 10.0


class LabError(Exception):
    """The lab did not do what was asked; the text says what to look at."""


@dataclass(frozen=True)
class ServiceStatus:
    """One service: `process` is 0 when it does not run, `memory` is in bytes (its share of shared pages)."""

    name: str
    url: str
    process: int
    answers: bool
    memory: int


def narrate(line: str) -> None:
    """Progress goes to stderr; stdout is data."""
    print(line, file=sys.stderr, flush=True)


def up(
    folder: Path = DEFAULT_FOLDER,
    *,
    port: int | None = None,
    token_seconds: int | None = None,
    use_golden: bool = True,
    say: Say = narrate,
) -> tuple[Site, bool]:
    """Bring the lab in `folder` up; the site, and whether this call started it.

    A lab that runs is left as it is. `port` and `token_seconds` default to what the folder recorded.
    LabError when a service does not come up, or when a running lab has another `port` or `token_seconds`.
    """
    folder = folder.resolve()
    with _only_one(folder):
        known = Site.load(folder)
        if known and known.ready.exists() and all(process_of(known, name) for name in SERVICES):
            if port not in (None, known.port) or token_seconds not in (None, known.token_seconds):
                raise LabError(f"the lab in {folder} runs with other settings; bring it down first")
            say(f"already running in {folder}")
            return known, False
        if known:
            _stop(known)
        began = time.monotonic()
        environment = _environment()
        with _sockets(folder, known, port) as (first, sockets):
            seconds = token_seconds or (known.token_seconds if known else TOKEN_SECONDS)
            site = Site(folder=folder, port=first, environment=environment, token_seconds=seconds)
            try:
                made = _start(site, known, sockets, use_golden, say)
                if made is not golden.Made.COPIED:
                    facilities.furnish(site, say)
                if made is golden.Made.FRESH and use_golden:
                    golden.capture(site)
                site.ready.touch()
            except BaseException:
                _stop(site)
                raise
        say(f"up in {time.monotonic() - began:.1f} s: {site.clouds_yaml}")
        return site, True


def down(folder: Path = DEFAULT_FOLDER) -> bool:
    """Stop the lab in `folder` and keep what it stores; False when nothing ran."""
    site = Site.load(folder.resolve())
    if site is None:
        return False
    with _only_one(site.folder):
        return _stop(site)


def destroy(folder: Path = DEFAULT_FOLDER) -> None:
    """Stop the lab in `folder` and remove all that it stored."""
    folder = folder.resolve()
    with _only_one(folder):
        site = Site.load(folder)
        if site is not None:
            _stop(site)
        shutil.rmtree(folder, ignore_errors=True)


def status(site: Site) -> list[ServiceStatus]:
    """How each service is."""
    return [_status(site, name) for name in SERVICES]


def process_of(site: Site, name: str) -> int:
    """The process of the service `name`, 0 when it does not run."""
    try:
        process, started = (site.processes / f"{name}.pid").read_text().split()
    except (FileNotFoundError, ValueError):
        return 0
    return int(process) if _started(int(process)) == started else 0


def _status(site: Site, name: str) -> ServiceStatus:
    process = process_of(site, name)
    return ServiceStatus(
        name=name,
        url=site.url(name),
        process=process,
        answers=bool(process) and _answers(site.root_url(name), 5),
        memory=_memory(process) if process else 0,
    )


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Starts and stops of one folder wait for one another."""
    path = folder / ".lock"
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        with open(path, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # `destroy` removes the lock with the folder: whoever waited for it needs the new one.
            if path.exists() and os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                yield
                return


def _environment() -> Path:
    """The folder of the services' environment; installing it the first time takes a while."""
    command = [sys.executable, str(CHECKOUT / "requirements" / "install.py"), "lab"]
    asked = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if asked.returncode:
        raise LabError("the OpenStack environment could not be installed; the reason is above")
    return Path(asked.stdout.strip())


@contextmanager
def _sockets(
    folder: Path, known: Site | None, port: int | None
) -> Iterator[tuple[int, dict[str, socket.socket]]]:
    """A block of free ports and its listening sockets, held from here until the services have them.

    Nobody else can take a port in between, requests queue until a service is ready, and nobody polls a
    closed port. The folder's path picks where to look first, so that checkouts do not meet.
    """
    if port is not None:
        candidates = [port]
    else:
        blocks = (LAST_PORT - FIRST_PORT) // BLOCK
        start = zlib.crc32(os.fsencode(folder)) % blocks
        candidates = [FIRST_PORT + (start + step) % blocks * BLOCK for step in range(blocks)]
        if known:
            candidates.insert(0, known.port)
    for first in candidates:
        held = _listen(first)
        if held:
            try:
                yield first, held
            finally:
                for one in held.values():
                    one.close()
            return
    raise LabError(f"ports {candidates[0]} to {candidates[0] + BLOCK - 1} are in use; choose another --port")


def _listen(first: int) -> dict[str, socket.socket]:
    """Listening sockets for the block that starts at `first`; none when a port is taken."""
    held: dict[str, socket.socket] = {}
    for service in SERVICES.values():
        one = held[service.name] = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, first + service.offset))
            one.listen(1024)
        except OSError:
            for taken in held.values():
                taken.close()
            return {}
    return held


def _start(
    site: Site, known: Site | None, sockets: dict[str, socket.socket], use_golden: bool, say: Say
) -> golden.Made:
    made = golden.Made.KEPT
    if not site.complete.exists():
        for leftover in ("db", "keystone", "glance", "nova", "neutron", "cinder", "etc", "pid"):
            shutil.rmtree(site.folder / leftover, ignore_errors=True)
        site.save()
        copied = use_golden and golden.copy(site)
        made = golden.Made.COPIED if copied else golden.Made.FRESH
    elif known and (known.port, known.folder) != (site.port, site.folder):
        golden.relocate(site, known.folder, known.port)
    site.save()
    configuration.write(site)
    for leftover_file in site.processes.iterdir():
        leftover_file.unlink()
    fresh = made is golden.Made.FRESH
    processes: dict[str, subprocess.Popen[bytes]] = {}

    def bring_up(name: str) -> None:
        began = time.monotonic()
        processes[name] = _launch(site, name, sockets[name], fresh)
        while not _answers(site.root_url(name), START_SECONDS):
            _must_live(site, name, processes[name], began)
        say(f"{name:<10} answers after {time.monotonic() - began:5.1f} s")

    with ThreadPoolExecutor(len(SERVICES)) as pool:
        list(pool.map(bring_up, START_ORDER))
    for name in ENGINES:
        began = time.monotonic()
        while not (site.processes / f"{name}.engine").exists():
            _must_live(site, name, processes[name], began)
            time.sleep(0.05)
    site.complete.touch()
    return made


def _launch(site: Site, name: str, listening: socket.socket, fresh: bool) -> subprocess.Popen[bytes]:
    environ = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # bytecode halves the next start
    environ |= {
        "LAB_FOLDER": str(site.folder),
        "LAB_SOCKET": str(listening.fileno()),
        "OS_KEYSTONE_CONFIG_DIR": str(site.etc),
        "OS_KEYSTONE_CONFIG_FILES": "keystone.conf",
        "OS_PLACEMENT_CONFIG_DIR": str(site.etc),
        "OS_GLANCE_CONFIG_DIR": str(site.etc),
        "OS_NEUTRON_CONFIG_DIR": str(site.etc),
        "OS_NEUTRON_CONFIG_FILES": "neutron.conf",
        "OS_NOVA_CONFIG_DIR": str(site.etc),
        "OS_CINDER_DISABLE_EVENTLET_PATCHING": "1",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONWARNINGS": "ignore",
    }
    if fresh:
        environ["LAB_FRESH"] = "1"
    with open(site.logs / f"{name}.out", "ab") as log:
        process = subprocess.Popen(
            [site.python, "-m", "tests.lab.openstack.inside.serve", name],
            env=environ,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[listening.fileno()],
        )
    # Crash before this line: the service runs unrecorded. Its port is then busy and the next start says so.
    (site.processes / f"{name}.pid").write_text(f"{process.pid} {_started(process.pid)}\n")
    listening.close()
    return process


def _must_live(site: Site, name: str, process: subprocess.Popen[bytes], began: float) -> None:
    if process.poll() is not None:
        raise LabError(f"{name} ended with {process.returncode}; see {site.logs / name}.out")
    if time.monotonic() - began > START_SECONDS:
        raise LabError(f"{name} is not ready after {START_SECONDS:.0f} s; see {site.logs}")


def _answers(url: str, seconds: float) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(url, timeout=seconds).read()
    except urllib.error.HTTPError as answer:
        return answer.code < 500
    except (OSError, http.client.HTTPException):
        time.sleep(0.05)
        return False
    return True


def _stop(site: Site) -> bool:
    running = {name: process for name in SERVICES if (process := process_of(site, name))}
    for process in running.values():
        _signal(process, signal.SIGTERM)
    end = time.monotonic() + STOP_SECONDS
    for name, process in running.items():
        while process_of(site, name):
            if time.monotonic() > end:
                _signal(process, signal.SIGKILL)
            time.sleep(0.02)
        (site.processes / f"{name}.pid").unlink(missing_ok=True)
    return bool(running)


def _signal(process: int, number: signal.Signals) -> None:
    try:
        os.killpg(process, number)
    except ProcessLookupError:
        return


def _started(process: int) -> str:
    """When the process began, in the kernel's ticks; empty when it has ended."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    fields = stat.rpartition(")")[2].split()  # the name before may hold spaces
    return "" if fields[0] in "ZX" else fields[19]


def _memory(process: int) -> int:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
